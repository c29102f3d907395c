//! Text that came from the peer, on its way to a person (RFC 4251 §9.2).

use alloc::{boxed::Box, string::String};
use core::fmt::{self, Write};

/// Text from the peer: a banner, a description, a software version.
///
/// Printing it escapes everything that could steer a terminal or forge a line of a log: the C0
/// control characters but tab and newline, DEL, the C1 control characters, and the characters
/// that turn the direction of writing. Bytes that are not UTF-8 become U+FFFD.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct PeerText(Box<str>);

impl PeerText {
    /// Takes bytes as they came.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(String::from_utf8_lossy(bytes).into_owned().into_boxed_str())
    }

    /// The text as it came, control characters and all. Not for a terminal.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// True if there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for PeerText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(&self.0).fmt(f)
    }
}

impl fmt::Debug for PeerText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Shows `text` with every character escaped that could steer a terminal.
pub fn escape(text: &str) -> impl fmt::Display + '_ {
    Escaped(text)
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            let turns_direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            match c {
                '\t' | '\n' => f.write_char(c)?,
                _ if c.is_control() || turns_direction => write!(f, "{}", c.escape_unicode())?,
                _ => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn control_characters_of_the_peer_are_shown_and_not_obeyed() {
        let text = PeerText::from_bytes(b"a\x1b[2Jb\x7f\xc2\x9bc\r\n\td\xff\0");
        assert_eq!(text.to_string(), "a\\u{1b}[2Jb\\u{7f}\\u{9b}c\\u{d}\n\td\u{fffd}\\u{0}");
    }

    #[test]
    fn writing_direction_cannot_be_turned() {
        assert_eq!(PeerText::from("x\u{202e}y").to_string(), "x\\u{202e}y");
    }
}
