//! Which names are safe to create, and to send.

use core::fmt;

/// Why a name is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BadName {
    /// Nothing.
    Empty,
    /// `.` or `..`.
    Dots,
    /// It has a `/`: more than one component, or another place.
    Slash,
    /// It has a control character: it would end the record, or steer a terminal.
    Control,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty",
            Self::Dots => "it is another directory",
            Self::Slash => "it has a slash",
            Self::Control => "it has a control character",
        })
    }
}

/// Makes sure that a name is one component of a path, and harmless.
///
/// # Errors
/// What is the matter with it.
pub fn check(name: &[u8]) -> Result<(), BadName> {
    match name {
        b"" => Err(BadName::Empty),
        b"." | b".." => Err(BadName::Dots),
        _ if name.contains(&b'/') => Err(BadName::Slash),
        _ if name.iter().any(u8::is_ascii_control) => Err(BadName::Control),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_harmless_component() {
        for good in [&b"a"[..], b"...", b"-rf", b" a b ", b"\xff\xfe", "\u{e4}".as_bytes()] {
            assert_eq!(check(good), Ok(()), "{good:?}");
        }
        for (bad, why) in [
            (&b""[..], BadName::Empty),
            (b".", BadName::Dots),
            (b"..", BadName::Dots),
            (b"/etc", BadName::Slash),
            (b"../x", BadName::Slash),
            (b"a/", BadName::Slash),
            (b"a\nb", BadName::Control),
            (b"a\0", BadName::Control),
            (b"\x1b[2J", BadName::Control),
            (b"\x7f", BadName::Control),
        ] {
            assert_eq!(check(bad), Err(why), "{bad:?}");
        }
    }
}
