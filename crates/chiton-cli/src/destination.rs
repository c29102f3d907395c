//! Where to connect: `[user@]host`, `ssh://[user@]host[:port]`, `[user@]host[:path]`,
//! `sftp://[user@]host[:port][/path]`, and the same with `scp://`.

use core::fmt;

/// A place to connect to, as written on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    pub(crate) user: Option<String>,
    pub(crate) host: String,
    pub(crate) port: Option<u16>,
    /// Only of `sftp`: what to fetch, or where to begin.
    pub(crate) path: Option<Vec<u8>>,
}

/// A destination nobody could connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DestinationError {
    EmptyHost,
    EmptyUser,
    /// A name that would be taken for an option.
    Dash(String),
    /// A control character or white space.
    BadCharacter(String),
    BadPort(String),
    BadPercent(String),
    Path,
}

impl fmt::Display for DestinationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyHost => f.write_str("the destination has no host name; write [user@]host"),
            Self::EmptyUser => f.write_str("the destination has an empty user name before the @"),
            Self::Dash(name) => write!(f, "'{name}' begins with a dash: not a host or user name"),
            Self::BadCharacter(name) => {
                write!(f, "'{}' has a character no host or user name has", name.escape_debug())
            }
            Self::BadPort(port) => write!(f, "'{port}' is not a port; write 1 to 65535"),
            Self::BadPercent(text) => write!(f, "'{text}' has a % that no two hex digits follow"),
            Self::Path => f.write_str("an ssh:// destination has no path"),
        }
    }
}

/// Reads the destination of `ssh`.
pub(crate) fn parse_ssh(text: &str) -> Result<Destination, DestinationError> {
    if let Some(uri) = strip_scheme(text, "ssh://") {
        let destination = parse_uri(uri)?;
        return match destination.path.as_deref() {
            None | Some(b"") => Ok(Destination { path: None, ..destination }),
            Some(_) => Err(DestinationError::Path),
        };
    }
    user_and_host(text)
}

/// Reads an operand of `scp`; `None` if it names a file of this machine.
pub(crate) fn parse_scp(text: &[u8]) -> Result<Option<Destination>, DestinationError> {
    if let Some(uri) = core::str::from_utf8(text).ok().and_then(|t| strip_scheme(t, "scp://")) {
        return parse_uri(uri).map(Some);
    }
    path_colon(text).map(|_| parse_sftp(text)).transpose()
}

/// Reads the destination of `sftp`.
pub(crate) fn parse_sftp(text: &[u8]) -> Result<Destination, DestinationError> {
    let name = |bytes: &[u8]| match core::str::from_utf8(bytes) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => Err(DestinationError::BadCharacter(String::from_utf8_lossy(bytes).into_owned())),
    };
    if let Some(uri) = core::str::from_utf8(text).ok().and_then(|t| strip_scheme(t, "sftp://")) {
        return parse_uri(uri);
    }
    let Some((place, path)) = path_colon(text).and_then(|colon| text.split_at_checked(colon))
    else {
        return user_and_host(&name(text)?);
    };
    let destination = user_and_host(&name(place)?)?;
    let path = path.strip_prefix(b":").unwrap_or(path).to_vec();
    Ok(Destination { path: Some(path), ..destination })
}

fn strip_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(scheme.len())?;
    head.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// The colon between host and path; none where a slash comes first, or inside of brackets.
fn path_colon(text: &[u8]) -> Option<usize> {
    let mut in_brackets = false;
    for (index, &byte) in text.iter().enumerate() {
        match byte {
            b'[' if index == 0 || text.get(index.wrapping_sub(1)) == Some(&b'@') => {
                in_brackets = true;
            }
            b']' => in_brackets = false,
            b':' if index == 0 => return None,
            b':' if !in_brackets => return Some(index),
            b'/' if !in_brackets => return None,
            _ => {}
        }
    }
    None
}

fn user_and_host(text: &str) -> Result<Destination, DestinationError> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    build(user.map(str::to_owned), host, None, None)
}

fn parse_uri(uri: &str) -> Result<Destination, DestinationError> {
    let (authority, path) = match uri.split_once('/') {
        Some((authority, path)) => (authority, Some(percent_decode(path)?)),
        None => (uri, None),
    };
    let (user, host_port) = match authority.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, authority),
    };
    let user = match user {
        // Connection parameters such as `;fingerprint=` have no meaning here and are dropped.
        Some(user) => {
            let name = user.split(';').next().unwrap_or(user);
            let name = String::from_utf8(percent_decode(name)?);
            Some(name.map_err(|_| DestinationError::BadCharacter(user.to_owned()))?)
        }
        None => None,
    };
    let bracket_end = host_port.rfind(']').unwrap_or(0);
    let (host, port) = match host_port.rfind(':') {
        Some(colon) if colon > bracket_end => {
            let (host, port) = host_port.split_at(colon);
            (host, Some(parse_port(port.strip_prefix(':').unwrap_or(port))?))
        }
        _ => (host_port, None),
    };
    build(user, host, port, path)
}

/// Reads a port number, 1 to 65535.
pub(crate) fn parse_port(text: &str) -> Result<u16, DestinationError> {
    match text.parse::<u16>() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(DestinationError::BadPort(text.to_owned())),
    }
}

fn build(
    user: Option<String>,
    host: &str,
    port: Option<u16>,
    path: Option<Vec<u8>>,
) -> Result<Destination, DestinationError> {
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() {
        return Err(DestinationError::EmptyHost);
    }
    for name in [Some(host), user.as_deref()].into_iter().flatten() {
        if name.starts_with('-') {
            return Err(DestinationError::Dash(name.to_owned()));
        }
        if name.chars().any(char::is_control) {
            return Err(DestinationError::BadCharacter(name.to_owned()));
        }
    }
    if host.chars().any(char::is_whitespace) {
        return Err(DestinationError::BadCharacter(host.to_owned()));
    }
    if user.as_deref() == Some("") {
        return Err(DestinationError::EmptyUser);
    }
    Ok(Destination { user, host: host.to_owned(), port, path })
}

fn percent_decode(text: &str) -> Result<Vec<u8>, DestinationError> {
    let bad = || DestinationError::BadPercent(text.to_owned());
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else { return Err(bad()) };
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        match (digit(high), digit(low)) {
            (Some(high), Some(low)) if (high, low) != (0, 0) => out.push(high << 4 | low),
            _ => return Err(bad()),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(user: Option<&str>, host: &str, port: Option<u16>, path: Option<&str>) -> Destination {
        Destination {
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
            path: path.map(|p| p.as_bytes().to_vec()),
        }
    }

    #[test]
    fn ssh_destinations() {
        assert_eq!(parse_ssh("host"), Ok(place(None, "host", None, None)));
        assert_eq!(parse_ssh("a@b@host"), Ok(place(Some("a@b"), "host", None, None)));
        assert_eq!(parse_ssh("::1"), Ok(place(None, "::1", None, None)));
        assert_eq!(
            parse_ssh("SSH://al%40ice@h:2222"),
            Ok(place(Some("al@ice"), "h", Some(2222), None))
        );
        assert_eq!(parse_ssh("ssh://[::1]:22/"), Ok(place(None, "::1", Some(22), None)));
        assert_eq!(parse_ssh("ssh://[::1]"), Ok(place(None, "::1", None, None)));
    }

    #[test]
    fn sftp_destinations() {
        assert_eq!(parse_sftp(b"h:/tmp/x"), Ok(place(None, "h", None, Some("/tmp/x"))));
        assert_eq!(parse_sftp(b"u@h:"), Ok(place(Some("u"), "h", None, Some(""))));
        assert_eq!(parse_sftp(b"u@h:a@b:c"), Ok(place(Some("u"), "h", None, Some("a@b:c"))));
        assert_eq!(parse_sftp(b"u@[::1]:f"), Ok(place(Some("u"), "::1", None, Some("f"))));
        assert_eq!(
            parse_sftp(b"sftp://u@h:22/a%20b"),
            Ok(place(Some("u"), "h", Some(22), Some("a b")))
        );
    }

    #[test]
    fn a_destination_that_cannot_be_is_refused() {
        assert_eq!(parse_ssh(""), Err(DestinationError::EmptyHost));
        assert_eq!(parse_ssh("alice@"), Err(DestinationError::EmptyHost));
        assert_eq!(parse_ssh("@host"), Err(DestinationError::EmptyUser));
        assert!(matches!(parse_ssh("-oProxyCommand=x"), Err(DestinationError::Dash(_))));
        assert!(matches!(parse_ssh("a b"), Err(DestinationError::BadCharacter(_))));
        assert!(matches!(parse_ssh("ssh://h:0"), Err(DestinationError::BadPort(_))));
        assert!(matches!(parse_ssh("ssh://h:99999"), Err(DestinationError::BadPort(_))));
        assert!(matches!(parse_ssh("ssh://h/path"), Err(DestinationError::Path)));
        assert!(matches!(parse_sftp(b"sftp://h/%zz"), Err(DestinationError::BadPercent(_))));
        assert!(matches!(parse_sftp(b"sftp://h/%00"), Err(DestinationError::BadPercent(_))));
    }
}
