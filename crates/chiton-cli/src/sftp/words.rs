//! Command lines of `sftp`, split into words: quotes, backslashes and comments.

use core::fmt;

/// A word of a command line. Each byte knows whether quotes or a backslash took its special
/// meaning away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    bytes: Vec<u8>,
    literal: Vec<bool>,
}

impl Word {
    fn push(&mut self, byte: u8, literal: bool) {
        self.bytes.push(byte);
        self.literal.push(literal);
    }

    /// A word without any special meaning.
    pub(crate) fn literal(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), literal: vec![true; bytes.len()] }
    }

    /// A pattern, in which only a backslash takes meaning away.
    pub(crate) fn pattern(text: &[u8]) -> Self {
        let mut word = Self::default();
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            match byte {
                b'\\' => word.push(bytes.next().unwrap_or(b'\\'), true),
                _ => word.push(byte, false),
            }
        }
        word
    }

    /// What a shell makes of a word that it does not split: quotes and backslashes take meaning
    /// away.
    pub(crate) fn shell(text: &[u8]) -> Self {
        let mut word = Self::default();
        let mut quote: Option<u8> = None;
        let mut bytes = text.iter().copied();
        while let Some(byte) = bytes.next() {
            match (quote, byte) {
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), _) if byte == open => quote = None,
                (None | Some(b'"'), b'\\') => word.push(bytes.next().unwrap_or(b'\\'), true),
                (None, _) => word.push(byte, false),
                (Some(_), _) => word.push(byte, true),
            }
        }
        word
    }

    /// True for a path that begins at the root.
    pub(crate) fn is_absolute(&self) -> bool {
        self.bytes().first() == Some(&b'/')
    }

    /// The text with quotes and backslashes taken away.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The text, if it is UTF-8.
    pub(crate) fn text(&self) -> Option<&str> {
        core::str::from_utf8(&self.bytes).ok()
    }

    /// Each byte, and whether it stands for itself alone.
    pub(crate) fn marked(&self) -> impl Iterator<Item = (u8, bool)> + '_ {
        self.bytes.iter().copied().zip(self.literal.iter().copied())
    }

    /// The same with other bytes put in front, which stand for themselves.
    pub(crate) fn with_prefix(&self, prefix: &[u8]) -> Self {
        let mut word = Self::literal(prefix);
        word.bytes.extend_from_slice(&self.bytes);
        word.literal.extend_from_slice(&self.literal);
        word
    }
}

/// A line that cannot be split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordsError {
    UnclosedQuote,
}

impl fmt::Display for WordsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quote is not closed")
    }
}

/// Splits a line. Single and double quotes hold words together; a backslash takes the meaning of
/// the next character away; `#` begins a comment.
pub(crate) fn split(line: &[u8]) -> Result<Vec<Word>, WordsError> {
    let mut words = Vec::new();
    let mut word: Option<Word> = None;
    let mut quote: Option<u8> = None;
    let mut bytes = line.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (quote, byte) {
            (None, b'#') => break,
            (None, b'"' | b'\'') => {
                quote = Some(byte);
                word.get_or_insert_default();
            }
            (None, _) if byte.is_ascii_whitespace() => words.extend(word.take()),
            (None, b'\\') => {
                let next = bytes.next().unwrap_or(b'\\');
                word.get_or_insert_default().push(next, true);
            }
            (None, _) => word.get_or_insert_default().push(byte, false),
            (Some(open), _) if byte == open => quote = None,
            (Some(open), b'\\') => {
                // Inside of quotes a backslash is special before a few characters only.
                let special = |next: u8| next == open || b"*?[\\".contains(&next);
                let next = bytes.next_if(|&next| special(next)).unwrap_or(b'\\');
                word.get_or_insert_default().push(next, true);
            }
            (Some(_), _) => word.get_or_insert_default().push(byte, true),
        }
    }
    if quote.is_some() {
        return Err(WordsError::UnclosedQuote);
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<String> {
        let words = split(line.as_bytes()).unwrap();
        words.iter().map(|w| w.text().unwrap().to_owned()).collect()
    }

    #[test]
    fn words_are_split_at_white_space() {
        assert_eq!(texts("get  a\tb "), ["get", "a", "b"]);
        assert_eq!(texts("   "), [""; 0]);
    }

    #[test]
    fn quotes_hold_words_together() {
        assert_eq!(texts(r#"get "a b" 'c "d'"e""#), ["get", "a b", "c \"de"]);
        assert_eq!(texts(r#"put "" x"#), ["put", "", "x"]);
        assert_eq!(texts(r#""a\"b\c" 'it\'s'"#), ["a\"b\\c", "it's"]);
        assert_eq!(split(b"get \"a"), Err(WordsError::UnclosedQuote));
    }

    #[test]
    fn a_backslash_takes_meaning_away() {
        assert_eq!(texts(r"a\ b \#c \\"), ["a b", "#c", "\\"]);
    }

    #[test]
    fn patterns_know_backslashes_only_and_shells_quotes_too() {
        let marks = |word: Word| {
            word.marked().map(|(byte, literal)| (char::from(byte), literal)).collect::<Vec<_>>()
        };
        assert_eq!(marks(Word::pattern(br"\*'*")), [('*', true), ('\'', false), ('*', false)]);
        assert_eq!(marks(Word::shell(br#"*'*'"\*""#)), [('*', false), ('*', true), ('*', true)]);
        assert_eq!(Word::pattern(br"a\").bytes(), br"a\");
    }

    #[test]
    fn a_comment_ends_the_line() {
        assert_eq!(texts("ls # all of it"), ["ls"]);
        assert_eq!(texts("ls '#'"), ["ls", "#"]);
    }

    #[test]
    fn quoted_bytes_stand_for_themselves() {
        let words = split(br#"*\*"*"'\?'"#).unwrap();
        let marked: Vec<_> = words[0].marked().collect();
        assert_eq!(marked, [(b'*', false), (b'*', true), (b'*', true), (b'?', true)]);
    }
}
