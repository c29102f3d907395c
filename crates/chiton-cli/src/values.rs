//! The values options have: words in quotes, sizes, times, paths with `~` and `%` sequences.

use core::{fmt, time::Duration};
use std::path::PathBuf;

/// When keys are to be exchanged anew (`RekeyLimit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RekeyLimit {
    /// After so many bytes; the cipher's own limit if none.
    pub(crate) bytes: Option<u64>,
    /// After so much time; the library's default if none.
    pub(crate) time: Option<Duration>,
}

/// Splits at white space; double quotes hold words together, a backslash in front of a quote or
/// a backslash takes it as it is. `None` if a quote is not closed.
pub(crate) fn split_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' if matches!(chars.peek(), Some('"' | '\'' | '\\')) => {
                word.get_or_insert_default().extend(chars.next());
            }
            '"' | '\'' if quote.is_none() => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            _ if quote == Some(c) => quote = None,
            _ if c.is_whitespace() && quote.is_none() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A time as in `sshd_config(5)`: seconds, or numbers with the units s, m, h, d, w added up.
pub(crate) fn parse_time(text: &str) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut rest = text;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let (digits, tail) = rest.split_at(end);
        let mut tail = tail.chars();
        let unit: u64 = match tail.next().map(|c| c.to_ascii_lowercase()) {
            None | Some('s') => 1,
            Some('m') => 60,
            Some('h') => 60 * 60,
            Some('d') => 24 * 60 * 60,
            Some('w') => 7 * 24 * 60 * 60,
            Some(_) => return None,
        };
        let count: u64 = digits.parse().ok()?;
        total = total.checked_add(count.checked_mul(unit)?)?;
        rest = tail.as_str();
    }
    Some(Duration::from_secs(total))
}

/// A number of bytes with K, M or G behind it.
fn parse_size(text: &str) -> Option<u64> {
    let (digits, factor) = match text.char_indices().last()? {
        (index, 'k' | 'K') => (text.get(..index)?, 1 << 10),
        (index, 'm' | 'M') => (text.get(..index)?, 1 << 20),
        (index, 'g' | 'G') => (text.get(..index)?, 1 << 30),
        _ => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// The least number of bytes `RekeyLimit` may have, as in OpenSSH.
const MIN_REKEY_BYTES: u64 = 16;

/// `RekeyLimit`: a size or `default`, then maybe a time or `none`.
pub(crate) fn parse_rekey_limit(words: &[String]) -> Option<RekeyLimit> {
    let (size, time) = match words {
        [size] => (size, None),
        [size, time] => (size, Some(time)),
        _ => return None,
    };
    let bytes = match size.to_ascii_lowercase().as_str() {
        "default" | "none" => None,
        size => match parse_size(size)? {
            0 => None,
            bytes if bytes < MIN_REKEY_BYTES => return None,
            bytes => Some(bytes),
        },
    };
    let time = match time {
        None => None,
        Some(time) if time.eq_ignore_ascii_case("none") => None,
        Some(time) => Some(parse_time(time)?).filter(|time| !time.is_zero()),
    };
    Some(RekeyLimit { bytes, time })
}

/// `EscapeChar`: one ASCII character, `^X`, or `none`.
pub(crate) fn parse_escape_char(text: &str) -> Option<Option<u8>> {
    match text.as_bytes() {
        [byte] if byte.is_ascii() => Some(Some(*byte)),
        [b'^', letter @ b'@'..=b'~'] => Some(Some(letter & 0x1f)),
        _ => text.eq_ignore_ascii_case("none").then_some(None),
    }
}

/// What the `%` sequences of a path stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tokens<'a> {
    /// `%d` and `~`
    pub(crate) home: Option<&'a str>,
    /// `%h`
    pub(crate) host: &'a str,
    /// `%p`
    pub(crate) port: u16,
    /// `%r`
    pub(crate) remote_user: &'a str,
    /// `%u`
    pub(crate) local_user: &'a str,
}

/// A path that cannot be expanded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExpandError {
    NoHome(String),
    OtherHome(String),
    BadToken(String),
}

impl fmt::Display for ExpandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome(path) => write!(f, "'{path}' needs a home directory; set HOME"),
            Self::OtherHome(path) => {
                write!(f, "'{path}' names another user's home; write the whole path")
            }
            Self::BadToken(path) => {
                write!(f, "'{path}' has an unknown % sequence; there are %% %d %h %p %r %u")
            }
        }
    }
}

/// Expands `~/`, and the sequences `%% %d %h %p %r %u`.
pub(crate) fn expand_path(path: &str, tokens: &Tokens<'_>) -> Result<PathBuf, ExpandError> {
    let home = || tokens.home.ok_or_else(|| ExpandError::NoHome(path.to_owned()));
    let mut out = String::new();
    let rest = match path.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => {
            out.push_str(home()?);
            rest
        }
        Some(_) => return Err(ExpandError::OtherHome(path.to_owned())),
        None => path,
    };
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some('d') => out.push_str(home()?),
            Some('h') => out.push_str(tokens.host),
            Some('p') => out.push_str(&tokens.port.to_string()),
            Some('r') => out.push_str(tokens.remote_user),
            Some('u') => out.push_str(tokens.local_user),
            _ => return Err(ExpandError::BadToken(path.to_owned())),
        }
    }
    Ok(PathBuf::from(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split_words(text).unwrap()
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(words("  a  b "), ["a", "b"]);
        assert_eq!(words(r#""a b"c 'd e'"#), ["a bc", "d e"]);
        assert_eq!(words(r#"a\"b \x"#), ["a\"b", "\\x"]);
        assert_eq!(words(r#""""#), [""]);
        assert_eq!(split_words("'a"), None);
    }

    #[test]
    fn times_add_up() {
        let seconds = |text| parse_time(text).map(|t| t.as_secs());
        assert_eq!(seconds("90"), Some(90));
        assert_eq!(seconds("1h30m5s"), Some(5405));
        assert_eq!(seconds("1W2d"), Some(777_600));
        for bad in ["", "m", "1x", "1h-5", "99999999999999999999", "9999999999999999999w"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn rekey_limits_have_sizes_and_times() {
        let limit = |text| parse_rekey_limit(&words(text));
        let of = |bytes, secs: Option<u64>| {
            Some(RekeyLimit { bytes, time: secs.map(Duration::from_secs) })
        };
        assert_eq!(limit("1M"), of(Some(1 << 20), None));
        assert_eq!(limit("2g 1h"), of(Some(2 << 30), Some(3600)));
        assert_eq!(limit("default none"), of(None, None));
        assert_eq!(limit("default 30"), of(None, Some(30)));
        for bad in ["15", "K", "1T", "1M 1h x", "1M x", "99999999999G"] {
            assert_eq!(limit(bad), None, "{bad}");
        }
    }

    #[test]
    fn escape_characters() {
        assert_eq!(parse_escape_char("~"), Some(Some(b'~')));
        assert_eq!(parse_escape_char("^]"), Some(Some(0x1d)));
        assert_eq!(parse_escape_char("None"), Some(None));
        assert_eq!(parse_escape_char("xy"), None);
        assert_eq!(parse_escape_char("ä"), None);
    }

    #[test]
    fn paths_expand() {
        let tokens = Tokens {
            home: Some("/home/a"),
            host: "h",
            port: 22,
            remote_user: "root",
            local_user: "a",
        };
        let expand = |path| expand_path(path, &tokens).map(|p| p.display().to_string());
        assert_eq!(expand("~/.ssh/id"), Ok("/home/a/.ssh/id".to_owned()));
        assert_eq!(expand("~"), Ok("/home/a".to_owned()));
        assert_eq!(expand("%d/%r@%h:%p.%u%%"), Ok("/home/a/root@h:22.a%".to_owned()));
        assert_eq!(expand("~bob/x"), Err(ExpandError::OtherHome("~bob/x".to_owned())));
        assert_eq!(expand("%"), Err(ExpandError::BadToken("%".to_owned())));
        assert_eq!(expand("%z"), Err(ExpandError::BadToken("%z".to_owned())));
        let homeless = Tokens { home: None, ..tokens };
        assert_eq!(expand_path("~/x", &homeless), Err(ExpandError::NoHome("~/x".to_owned())));
    }
}
