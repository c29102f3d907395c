//! Paths of the server and names in them: filexfer-02 §6.2.
//!
//! Paths are bytes: the protocol declares no character set. The separator is `/`.

use alloc::vec::Vec;
use core::fmt;

/// The naming rules of the system on which a listed name shall become a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NamingRules {
    /// `/` separates.
    Unix,
    /// `\` separates as well, and `:` names a drive or a stream.
    Windows,
}

impl NamingRules {
    /// The rules of the system that this program was built for.
    pub const LOCAL: Self = if cfg!(windows) { Self::Windows } else { Self::Unix };
}

/// Why a listed name must not become a local file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadComponent {
    /// It has no bytes.
    Empty,
    /// It is `.` or `..`.
    Dots,
    /// It has a byte that separates: `/`, on Windows also `\` and `:`.
    Separator(u8),
    /// It has a NUL byte.
    Nul,
}

impl fmt::Display for BadComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name is empty"),
            Self::Dots => f.write_str("the name is \".\" or \"..\""),
            Self::Separator(byte) => write!(f, "the name contains '{}'", char::from(*byte)),
            Self::Nul => f.write_str("the name contains a NUL byte"),
        }
    }
}

impl core::error::Error for BadComponent {}

/// Checks that `name`, which a server listed, is the name of something in a directory and leads
/// nowhere else. To be called before a listed name is used for a local file.
///
/// # Errors
/// [`BadComponent`] says how the name would lead elsewhere.
pub fn check_component(name: &[u8], rules: NamingRules) -> Result<(), BadComponent> {
    if name.is_empty() {
        return Err(BadComponent::Empty);
    }
    if name == b"." || name == b".." {
        return Err(BadComponent::Dots);
    }
    for byte in name {
        match (byte, rules) {
            (0, _) => return Err(BadComponent::Nul),
            (b'/', _) | (b'\\' | b':', NamingRules::Windows) => {
                return Err(BadComponent::Separator(*byte));
            }
            _ => {}
        }
    }
    Ok(())
}

/// `name` as seen from the directory `base`: `name` itself if it is absolute or `base` is empty.
#[must_use]
pub fn join(base: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::new();
    if name.first() != Some(&b'/') {
        path.extend_from_slice(base);
        if !base.is_empty() && !name.is_empty() && base.last() != Some(&b'/') {
            path.push(b'/');
        }
    }
    path.extend_from_slice(name);
    path
}

/// The path without `.`, `..` and repeated separators, as far as that can be said without looking
/// at the file system: symbolic links are not followed. `..` at the root stays at the root; `..`
/// at the start of a relative path is kept. What is left empty becomes `.`.
#[must_use]
pub fn normalize(path: &[u8]) -> Vec<u8> {
    let absolute = path.first() == Some(&b'/');
    let mut components: Vec<&[u8]> = Vec::new();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if components.last().is_some_and(|last| *last != b"..") => {
                components.pop();
            }
            b".." if absolute => {}
            _ => components.push(component),
        }
    }
    let mut out = Vec::new();
    if absolute {
        out.push(b'/');
    }
    out.extend(components.join(&b'/'));
    if out.is_empty() {
        out.push(b'.');
    }
    out
}

/// The last component of a path; `None` if it has none, or if that is `.` or `..`.
#[must_use]
pub fn file_name(path: &[u8]) -> Option<&[u8]> {
    let last = path.split(|byte| *byte == b'/').rfind(|component| !component.is_empty())?;
    (last != b"." && last != b"..").then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_listed_name_that_leads_elsewhere_is_refused() {
        use BadComponent::{Dots, Empty, Nul, Separator};
        use NamingRules::{Unix, Windows};
        for (name, rules, result) in [
            (&b"a"[..], Unix, Ok(())),
            (b"...", Unix, Ok(())),
            (b"..a", Unix, Ok(())),
            (b"\xff\xfe", Unix, Ok(())),
            (b"a\\b", Unix, Ok(())),
            (b"", Unix, Err(Empty)),
            (b".", Unix, Err(Dots)),
            (b"..", Windows, Err(Dots)),
            (b"../x", Unix, Err(Separator(b'/'))),
            (b"/etc/passwd", Unix, Err(Separator(b'/'))),
            (b"a/", Windows, Err(Separator(b'/'))),
            (b"a\0b", Unix, Err(Nul)),
            (b"..\\x", Windows, Err(Separator(b'\\'))),
            (b"c:x", Windows, Err(Separator(b':'))),
        ] {
            assert_eq!(check_component(name, rules), result, "{name:?}");
        }
    }

    #[test]
    fn join_puts_one_separator_between() {
        for (base, name, path) in [
            (&b"a"[..], &b"b"[..], &b"a/b"[..]),
            (b"a/", b"b", b"a/b"),
            (b"/", b"b", b"/b"),
            (b"a", b"/b", b"/b"),
            (b"", b"b", b"b"),
            (b"a", b"", b"a"),
        ] {
            assert_eq!(join(base, name), path);
        }
    }

    #[test]
    fn normalize_stays_below_the_root() {
        for (path, normal) in [
            (&b"/a/../../b"[..], &b"/b"[..]),
            (b"//a//./b/", b"/a/b"),
            (b"/..", b"/"),
            (b"", b"."),
            (b"a/..", b"."),
            (b"../a/../../b", b"../../b"),
            (b"./a", b"a"),
        ] {
            assert_eq!(normalize(path), normal, "{path:?}");
        }
    }

    #[test]
    fn the_file_name_is_the_last_component() {
        assert_eq!(file_name(b"/a/b//"), Some(&b"b"[..]));
        assert_eq!(file_name(b"b"), Some(&b"b"[..]));
        assert_eq!(file_name(b"/"), None);
        assert_eq!(file_name(b"a/.."), None);
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing_more(path in "[a./]{0,24}") {
            let once = normalize(path.as_bytes());
            prop_assert_eq!(&normalize(&once), &once);
            prop_assert_eq!(once.first() == Some(&b'/'), path.starts_with('/'));
        }
    }
}
