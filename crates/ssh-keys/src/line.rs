//! Lines of `known_hosts`, `authorized_keys` and `*.pub` files: fields, and keys on them.
//!
//! Fields are separated by spaces and tabs, by nothing else.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt;

use ssh_wire::{PeerText, Reader};

use crate::{KeyError, PublicKey, base64, certificate::CertificateError, public::shown};

/// The longest line that is read, in bytes. The largest key takes less than 4 KiB of it, the rest
/// is for names of hosts and comments.
pub const MAX_LINE_LEN: usize = 16 * 1024;

/// A line that counts for nothing, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedLine {
    /// The name of the file, as given to the parser.
    pub source: Arc<str>,
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: LineError,
}

impl fmt::Display for SkippedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.source, self.line, self.reason)
    }
}

/// Why a line counts for nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LineError {
    /// The line is longer than [`MAX_LINE_LEN`].
    TooLong,
    /// A word with `@` at the start of the line that is neither `@revoked` nor `@cert-authority`.
    UnknownMarker {
        /// The word.
        marker: PeerText,
    },
    /// A hashed name that is not `|1|salt|hash` with 20 bytes each.
    BadHashedName,
    /// The options before the key are not built as options are.
    Options,
    /// An option that is unknown: without it the line could permit more than it says.
    UnknownOption {
        /// Its name.
        name: PeerText,
    },
    /// An option that may stand there once stands there twice.
    DuplicateOption {
        /// Its name.
        name: PeerText,
    },
    /// An option whose value does not say what it has to say.
    BadOption {
        /// Its name.
        name: PeerText,
    },
    /// What has to be text is not UTF-8.
    NotText,
    /// The key is not one.
    Key(KeyError),
    /// What calls itself a certificate is not one.
    Certificate(CertificateError),
}

impl From<KeyError> for LineError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(f, "the line is longer than {MAX_LINE_LEN} bytes"),
            Self::UnknownMarker { marker } => {
                write!(f, "\"{marker}\" is neither \"@revoked\" nor \"@cert-authority\"")
            }
            Self::BadHashedName => f.write_str("the hashed host name is not \"|1|salt|hash\""),
            Self::Options => f.write_str("the options before the key are not in order"),
            Self::UnknownOption { name } => write!(f, "the option \"{name}\" is not known"),
            Self::DuplicateOption { name } => write!(f, "the option \"{name}\" stands there twice"),
            Self::BadOption { name } => {
                write!(f, "the option \"{name}\" has no proper value")
            }
            Self::NotText => f.write_str("the line is not UTF-8"),
            Self::Key(error) => error.fmt(f),
            Self::Certificate(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for LineError {}

/// The lines with something on them, and their numbers from 1. Comments and blank lines are left
/// out, and so are separators at both ends and the carriage return of Windows.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
    lines
        .map(|(number, line)| (number, trimmed(line.strip_suffix(b"\r").unwrap_or(line))))
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

const fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `text` without separators at both ends.
pub(crate) fn trimmed(text: &[u8]) -> &[u8] {
    let from = text.iter().position(|byte| !is_separator(*byte)).unwrap_or(text.len());
    let to = text
        .iter()
        .rposition(|byte| !is_separator(*byte))
        .map_or(from, |last| last.saturating_add(1));
    text.get(from..to).unwrap_or_default()
}

/// The first field, and what follows it without the separators between.
pub(crate) fn field(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| is_separator(*byte)).unwrap_or(text.len());
    let (field, rest) = text.split_at_checked(end).unwrap_or_default();
    let separators = rest.iter().take_while(|byte| is_separator(**byte)).count();
    (field, rest.get(separators..).unwrap_or_default())
}

/// A key as text: a type, a blob that holds the same type, and a comment.
pub(crate) struct KeyText<'a> {
    pub(crate) key_type: &'a [u8],
    pub(crate) blob: Vec<u8>,
    pub(crate) comment: &'a [u8],
}

/// Reads `type base64 [comment]` without looking further into the blob than to its type.
pub(crate) fn read_key_text(text: &[u8]) -> Result<KeyText<'_>, KeyError> {
    let (key_type, rest) = field(text);
    let (base64, comment) = field(rest);
    if key_type.is_empty() {
        return Err(KeyError::MissingField("key type"));
    }
    if base64.is_empty() {
        return Err(KeyError::MissingField("key"));
    }
    let blob = base64::decode(base64).ok_or(KeyError::NotBase64)?;
    let found = Reader::new("public key", &blob).field("type").string()?;
    if found != key_type {
        let (declared, found) = (shown(key_type), shown(found));
        return Err(KeyError::TypeMismatch { declared, found });
    }
    Ok(KeyText { key_type, blob, comment })
}

/// Writes `type base64 [comment]`. Control characters of the comment become spaces, so that it stays
/// one line.
pub(crate) fn key_line(name: &str, blob: &[u8], comment: &str) -> String {
    let mut text = String::from(name);
    text.push(' ');
    text.push_str(&base64::encode(blob));
    if !comment.is_empty() {
        text.push(' ');
        text.extend(comment.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    text
}

/// Reads `type base64 [comment]`; returns the comment too.
pub(crate) fn read_key(text: &[u8]) -> Result<(PublicKey, &[u8]), KeyError> {
    let text = read_key_text(text)?;
    Ok((PublicKey::from_blob(&text.blob)?, text.comment))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn only_spaces_and_tabs_separate() {
        assert_eq!(field(b"a \t b c"), (&b"a"[..], &b"b c"[..]));
        assert_eq!(field(b"a\x0bb\x0cc\xa0d"), (&b"a\x0bb\x0cc\xa0d"[..], &b""[..]));
        assert_eq!(field(b""), (&b""[..], &b""[..]));
    }

    #[test]
    fn lines_keep_their_numbers() {
        let found: Vec<_> = lines(b"# a\r\n\n x\ty \r\n\t# b\nz\n\r\n\r\r\n\x0c").collect();
        assert_eq!(found, vec![(3, &b"x\ty"[..]), (5, b"z"), (7, b"\r"), (8, b"\x0c")]);
    }
}
