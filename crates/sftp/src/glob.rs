//! Patterns of file names, as `glob(7)` has them: `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before what
//! stands for itself.
//!
//! Names are bytes; where they are UTF-8, `?` and classes take a character and not a byte of it.

use alloc::vec::Vec;

/// A character of a name: a Unicode scalar value, or a byte that is no UTF-8 (above all of them).
type Unit = u32;

const NOT_UTF8: Unit = 0x11_0000;

fn units(bytes: &[u8]) -> Vec<Unit> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.extend(chunk.valid().chars().map(Unit::from));
        out.extend(chunk.invalid().iter().map(|byte| NOT_UTF8 | Unit::from(*byte)));
    }
    out
}

/// The opposite of [`units`].
fn bytes(units: &[Unit]) -> Vec<u8> {
    let mut out = Vec::with_capacity(units.len());
    for unit in units {
        match char::from_u32(*unit) {
            Some(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            None => out.extend(unit.to_le_bytes().first()),
        }
    }
    out
}

fn is(unit: Unit, byte: u8) -> bool {
    unit == Unit::from(byte)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Exactly(Unit),
    AnyOne,
    AnyNumber,
    OneOf { negated: bool, ranges: Vec<(Unit, Unit)> },
}

impl Token {
    fn fits(&self, unit: Unit) -> bool {
        match self {
            Self::Exactly(expected) => *expected == unit,
            Self::AnyOne => true,
            Self::AnyNumber => false,
            Self::OneOf { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&unit)) != *negated
            }
        }
    }
}

/// A pattern for the names in one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Token>);

/// A component of a path: a name, or a pattern for names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a component has a pattern in it or it has not")]
pub enum Component {
    /// This name.
    Name(Vec<u8>),
    /// Any name that fits.
    Pattern(Pattern),
}

impl Component {
    /// Reads a component of a path, which has no `/`. A `[` that is not closed stands for itself.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let text = units(text);
        let (mut tokens, mut rest) = (Vec::new(), &text[..]);
        while let Some((unit, tail)) = rest.split_first() {
            rest = tail;
            let class = if is(*unit, b'[') { class(tail) } else { None };
            tokens.push(match (class, tail.split_first()) {
                (Some((token, after)), _) => {
                    rest = after;
                    token
                }
                (None, Some((literal, after))) if is(*unit, b'\\') => {
                    rest = after;
                    Token::Exactly(*literal)
                }
                _ if is(*unit, b'*') => Token::AnyNumber,
                _ if is(*unit, b'?') => Token::AnyOne,
                _ => Token::Exactly(*unit),
            });
        }
        let exactly = |token: &Token| match token {
            Token::Exactly(unit) => Some(*unit),
            _ => None,
        };
        match tokens.iter().map(exactly).collect::<Option<Vec<Unit>>>() {
            Some(name) => Self::Name(bytes(&name)),
            None => Self::Pattern(Pattern(tokens)),
        }
    }
}

/// Reads a class behind its `[`, and gives what is behind its `]`.
fn class(text: &[Unit]) -> Option<(Token, &[Unit])> {
    let (negated, body) = match text.split_first() {
        Some((unit, rest)) if is(*unit, b'!') || is(*unit, b'^') => (true, rest),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    let mut rest = body;
    loop {
        // A `]` in first place is a member.
        let (low, after) = member(rest, !ranges.is_empty())?;
        let Some(low) = low else { return Some((Token::OneOf { negated, ranges }, after)) };
        rest = after;
        let high = match after.split_first() {
            Some((dash, behind)) if is(*dash, b'-') => match member(behind, true)? {
                (Some(high), after) => {
                    rest = after;
                    high
                }
                // The dash is the last member.
                (None, _) => low,
            },
            _ => low,
        };
        ranges.push((low, high));
    }
}

/// The next member of a class; `None` at its end.
fn member(text: &[Unit], may_end: bool) -> Option<(Option<Unit>, &[Unit])> {
    let (unit, rest) = text.split_first()?;
    if may_end && is(*unit, b']') {
        return Some((None, rest));
    }
    if is(*unit, b'\\') {
        let (literal, rest) = rest.split_first()?;
        return Some((Some(*literal), rest));
    }
    Some((Some(*unit), rest))
}

impl Pattern {
    /// True if a name fits. A leading dot is matched by a dot in the pattern only.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        let name = units(name);
        let dot = Unit::from(b'.');
        if name.first() == Some(&dot) && self.0.first() != Some(&Token::Exactly(dot)) {
            return false;
        }
        self.matches_units(&name)
    }

    /// Goes back to the last `*` only: earlier ones have matched as little as they need, so the
    /// time is at most the product of the lengths.
    fn matches_units(&self, name: &[Unit]) -> bool {
        let (mut at, mut in_name) = (0_usize, 0_usize);
        let mut last_star: Option<(usize, usize)> = None;
        loop {
            let fits = match (self.0.get(at), name.get(in_name)) {
                (None, None) => return true,
                (Some(Token::AnyNumber), _) => {
                    last_star = Some((at, in_name));
                    at = at.saturating_add(1);
                    continue;
                }
                (Some(token), Some(unit)) => token.fits(*unit),
                _ => false,
            };
            if fits {
                at = at.saturating_add(1);
                in_name = in_name.saturating_add(1);
                continue;
            }
            match last_star {
                Some((star, taken)) if taken < name.len() => {
                    let taken = taken.saturating_add(1);
                    last_star = Some((star, taken));
                    at = star.saturating_add(1);
                    in_name = taken;
                }
                _ => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn fits(pattern: &str, name: &str) -> bool {
        match Component::parse(pattern.as_bytes()) {
            Component::Pattern(pattern) => pattern.matches(name.as_bytes()),
            Component::Name(exactly) => exactly == name.as_bytes(),
        }
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        for (pattern, yes, no) in [
            ("*.txt", &["a.txt", "é.txt"][..], &["a.txt.", ".txt", "txt"][..]),
            ("a*b*c", &["abc", "a1b2c", "abcbc"], &["ab", "abcd"]),
            ("?", &["a", "é", "日"], &["", "ab", "."]),
            ("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]),
            ("[!a-c]", &["d", "é"], &["a", "dd"]),
            ("[]x]", &["]", "x"], &["a"]),
            ("[a-]", &["a", "-"], &["b"]),
            (".*", &[".a", "."], &["a"]),
            ("a\\*", &["a*"], &["ab"]),
            ("[\\]]", &["]"], &["\\"]),
        ] {
            assert!(yes.iter().all(|name| fits(pattern, name)), "{pattern} {yes:?}");
            assert!(!no.iter().any(|name| fits(pattern, name)), "{pattern} {no:?}");
        }
    }

    #[test]
    fn what_has_no_pattern_is_a_name() {
        for (text, name) in [("plain", "plain"), ("w\\*w", "w*w"), ("[a", "[a"), ("a\\", "a\\")] {
            assert_eq!(Component::parse(text.as_bytes()), Component::Name(name.into()), "{text}");
        }
        let raw = b"\xff\xfe";
        assert_eq!(Component::parse(raw), Component::Name(raw.to_vec()));
    }

    #[test]
    fn a_pattern_of_stars_takes_no_time() {
        assert!(!fits(&"*a".repeat(50), &"ab".repeat(5000)));
    }

    proptest! {
        #[test]
        fn a_name_with_everything_quoted_fits_itself(name in "[a-z*?\\[\\]!^.-]{1,12}") {
            let quoted: String = name.chars().flat_map(|c| ['\\', c]).collect();
            prop_assert!(fits(&quoted, &name));
        }

        #[test]
        fn no_pattern_panics(pattern in any::<Vec<u8>>(), name in any::<Vec<u8>>()) {
            if let Component::Pattern(pattern) = Component::parse(&pattern) {
                // A leading dot that the pattern does not have is never matched.
                let dotted = [b".", &name[..]].concat();
                prop_assert!(!pattern.matches(&dotted) || pattern.0.first() == Some(&Token::Exactly(46)));
            }
        }
    }
}
