//! The name under which a host stands in `known_hosts`.

use alloc::{format, string::String};
use core::fmt;

use ssh_wire::PeerText;

/// The port that is not written (RFC 4253 §4.1).
const DEFAULT_PORT: u16 = 22;
/// The longest name, in bytes: more than DNS has (RFC 1035 §2.3.4), enough for an IPv6 address
/// with a zone.
pub const MAX_HOST_NAME_LEN: usize = 255;

/// A host name or address and a port as `known_hosts` has them: in lower case, and `[host]:port`
/// unless the port is 22.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName {
    /// As it stands in the file.
    text: String,
    /// Without port and brackets.
    host: String,
}

/// Text that cannot be the name of a host: in `known_hosts` it would mean something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidHostName {
    name: PeerText,
}

impl HostName {
    /// The name of the host that a user called `host` on `port`. An IPv6 address may have its
    /// brackets or not.
    ///
    /// # Errors
    /// [`InvalidHostName`] if `host` is empty, longer than [`MAX_HOST_NAME_LEN`], or has a
    /// character that means something in `known_hosts`: white space, controls, quotes, brackets,
    /// backslash, and ``,*?!|#@``.
    pub fn new(host: &str, port: u16) -> Result<Self, InvalidHostName> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if !(1..=MAX_HOST_NAME_LEN).contains(&bare.len()) || bare.chars().any(has_a_meaning) {
            let shown: String = host.chars().take(64).collect();
            return Err(InvalidHostName { name: PeerText::from(shown.as_str()) });
        }
        let host = bare.to_ascii_lowercase();
        let text = if port == DEFAULT_PORT { host.clone() } else { format!("[{host}]:{port}") };
        Ok(Self { text, host })
    }

    /// The name or address alone: what a certificate names.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

fn has_a_meaning(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "[],*?!|#@\"'\\`".contains(c)
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for InvalidHostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not the name or address of a host", self.name)
    }
}

impl core::error::Error for InvalidHostName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_lower_case_and_have_the_port_if_it_is_not_22() {
        for (host, port, expected) in [
            ("Example.ORG", 22, "example.org"),
            ("Example.ORG", 2222, "[example.org]:2222"),
            ("2001:DB8::1", 22, "2001:db8::1"),
            ("[2001:db8::1]", 22, "2001:db8::1"),
            ("[2001:db8::1]", 1, "[2001:db8::1]:1"),
            ("fe80::1%eth0", 22, "fe80::1%eth0"),
        ] {
            assert_eq!(HostName::new(host, port).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn names_that_would_be_patterns_fields_or_lines_are_refused() {
        let long = "a".repeat(256);
        let bad = [
            "", "[]", "*", "a?", "!a", "a,b", "a b", "a\tb", "a\nb", "a\0", "|1|x|y", "#a", "u@a",
            "@revoked", "[a", "a]", "[[a]]", "a\u{a0}b", "a\u{85}b", &long,
        ];
        for host in bad {
            assert!(HostName::new(host, 22).is_err(), "{host:?}");
        }
    }
}
