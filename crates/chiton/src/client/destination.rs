//! `[user@]host[:port]`.

use core::str::FromStr;

use crate::error::Error;

/// Where to connect to, as people write it.
///
/// An IPv6 address with a port stands in brackets: `[::1]:2222`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Destination {
    /// The user, if named.
    pub user: Option<String>,
    /// The host name or address, without brackets.
    pub host: String,
    /// The port, if named.
    pub port: Option<u16>,
}

impl FromStr for Destination {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::Destination(text.into());
        let (user, rest) = match text.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, text),
        };
        let (host, port) = if let Some(rest) = rest.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            match rest {
                "" => (host, None),
                _ => (host, Some(rest.strip_prefix(':').ok_or_else(bad)?)),
            }
        } else {
            match rest.split_once(':') {
                // More than one colon: an IPv6 address without a port.
                Some((_, port)) if port.contains(':') => (rest, None),
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            }
        };
        let port = port.map(str::parse).transpose().map_err(|_| bad())?;
        let unprintable = |c: char| c.is_control() || c.is_whitespace();
        if host.is_empty()
            || host.starts_with('-')
            || host.contains(unprintable)
            || port == Some(0)
            || user.is_some_and(|user| user.is_empty() || user.contains(unprintable))
        {
            return Err(bad());
        }
        Ok(Self { user: user.map(str::to_owned), host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_understood_as_people_write_them() {
        for (text, user, host, port) in [
            ("h", None, "h", None),
            ("u@h:22", Some("u"), "h", Some(22)),
            ("a@b@h", Some("a@b"), "h", None),
            ("[::1]:2222", None, "::1", Some(2222)),
            ("u@[::1]", Some("u"), "::1", None),
            ("fe80::1%eth0", None, "fe80::1%eth0", None),
        ] {
            let parsed: Destination = text.parse().unwrap();
            assert_eq!(
                (parsed.user.as_deref(), parsed.host.as_str(), parsed.port),
                (user, host, port),
                "{text}"
            );
        }
        for text in ["", "@h", "u@", "h:0", "h:99999", "h:x", "[::1", "[::1]2", "-oProxy", "a b"] {
            assert!(text.parse::<Destination>().is_err(), "{text}");
        }
    }
}
