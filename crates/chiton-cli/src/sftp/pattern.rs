//! Patterns of file names as `glob(7)` has them: `*`, `?`, `[a-z]`, `[!a-z]`.

use super::words::Word;

/// A character of a name: a Unicode scalar value, or a byte that is no UTF-8 (above all of them).
type Unit = u32;

const NOT_UTF8: Unit = 0x11_0000;

fn units(bytes: &[u8]) -> Vec<Unit> {
    let mut out = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.extend(chunk.valid().chars().map(Unit::from));
        out.extend(chunk.invalid().iter().map(|&byte| NOT_UTF8 | Unit::from(byte)));
    }
    out
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Exactly(Unit),
    AnyOne,
    AnyNumber,
    OneOf { negated: bool, ranges: Vec<(Unit, Unit)> },
}

/// A pattern for one component of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern(Vec<Token>);

impl Pattern {
    /// True if a name fits. A leading dot is matched by a dot in the pattern only.
    pub(crate) fn matches(&self, name: &[u8]) -> bool {
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
            let (token, unit) = (self.0.get(at), name.get(in_name));
            let fits = match (token, unit) {
                (None, None) => return true,
                (Some(Token::AnyNumber), _) => {
                    last_star = Some((at, in_name));
                    at = at.saturating_add(1);
                    continue;
                }
                (Some(token), Some(&unit)) => token.fits(unit),
                _ => false,
            };
            if fits {
                at = at.saturating_add(1);
                in_name = in_name.saturating_add(1);
            } else {
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
}

impl Token {
    fn fits(&self, unit: Unit) -> bool {
        match self {
            Self::Exactly(expected) => *expected == unit,
            Self::AnyOne => true,
            Self::AnyNumber => false,
            Self::OneOf { negated, ranges } => {
                ranges.iter().any(|&(low, high)| (low..=high).contains(&unit)) != *negated
            }
        }
    }
}

/// One component of a path that may have patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Component {
    Name(Vec<u8>),
    Pattern(Pattern),
}

/// A path whose components may be patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathPattern {
    /// True if it begins at the root.
    pub(crate) absolute: bool,
    pub(crate) components: Vec<Component>,
    /// True if it ends in a slash: only directories fit.
    pub(crate) directory: bool,
    /// What it was read from, without quotes.
    text: Vec<u8>,
}

impl PathPattern {
    /// True if it is a pattern for one name, which fits; or the text of the name itself.
    pub(crate) fn matches_name(&self, name: &[u8]) -> bool {
        let fits = match self.components.as_slice() {
            [Component::Pattern(pattern)] => pattern.matches(name),
            _ => false,
        };
        fits || self.text == name
    }

    /// Reads a word; `None` if there is no pattern in it.
    pub(crate) fn parse(word: &Word) -> Option<Self> {
        let marked: Vec<(u8, bool)> = word.marked().collect();
        let parts = marked.split(|&(byte, _)| byte == b'/').filter(|part| !part.is_empty());
        let components: Vec<Component> = parts.map(component).collect();
        if components.iter().all(|c| matches!(c, Component::Name(_))) {
            return None;
        }
        let is_slash = |marked: Option<&(u8, bool)>| marked.is_some_and(|m| m.0 == b'/');
        Some(Self {
            absolute: is_slash(marked.first()),
            components,
            directory: is_slash(marked.last()),
            text: word.bytes().to_vec(),
        })
    }
}

fn component(marked: &[(u8, bool)]) -> Component {
    let special = marked.iter().any(|&(byte, literal)| !literal && b"*?[".contains(&byte));
    if !special {
        return Component::Name(marked.iter().map(|m| m.0).collect());
    }
    // Units are decoded from runs of literal bytes, so that one character is one unit.
    let mut tokens = Vec::new();
    let mut run = Vec::new();
    let mut rest = marked;
    while let Some((&(byte, literal), tail)) = rest.split_first() {
        rest = tail;
        let token = match byte {
            b'*' if !literal => Some(Token::AnyNumber),
            b'?' if !literal => Some(Token::AnyOne),
            b'[' if !literal => class(tail).map(|(token, after)| {
                rest = after;
                token
            }),
            _ => None,
        };
        match token {
            Some(token) => {
                tokens.extend(units(&run).into_iter().map(Token::Exactly));
                run.clear();
                tokens.push(token);
            }
            None => run.push(byte),
        }
    }
    tokens.extend(units(&run).into_iter().map(Token::Exactly));
    let all_exact = tokens.iter().all(|token| matches!(token, Token::Exactly(_)));
    if all_exact {
        return Component::Name(marked.iter().map(|m| m.0).collect());
    }
    Component::Pattern(Pattern(tokens))
}

/// Reads a class behind its `[`. `None` if it is not closed: then `[` stands for itself.
fn class(marked: &[(u8, bool)]) -> Option<(Token, &[(u8, bool)])> {
    let (negated, body) = match marked.split_first() {
        Some((&(b'!' | b'^', false), rest)) => (true, rest),
        _ => (false, marked),
    };
    // A `]` in first place is a member.
    let end = body.iter().skip(1).position(|&m| m == (b']', false))?.saturating_add(1);
    let (members, after) = body.split_at_checked(end)?;
    let after = after.get(1..)?;
    let bytes: Vec<u8> = members.iter().map(|m| m.0).collect();
    let units = units(&bytes);
    let mut ranges = Vec::new();
    let mut rest = units.as_slice();
    let dash = Unit::from(b'-');
    loop {
        rest = match rest {
            [low, middle, high, tail @ ..] if *middle == dash => {
                ranges.push((*low, *high));
                tail
            }
            [one, tail @ ..] => {
                ranges.push((*one, *one));
                tail
            }
            [] => break,
        };
    }
    Some((Token::OneOf { negated, ranges }, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::words::split;
    use proptest::prelude::*;

    fn pattern(text: &str) -> Option<PathPattern> {
        PathPattern::parse(&split(text.as_bytes()).unwrap()[0])
    }

    fn matches(text: &str, name: &str) -> bool {
        match pattern(text).unwrap().components.as_slice() {
            [Component::Pattern(pattern)] => pattern.matches(name.as_bytes()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn stars_and_question_marks() {
        assert!(matches("*.txt", "a.txt"));
        assert!(matches("*", "anything"));
        assert!(matches("a*b*c", "aXbYbZc"));
        assert!(!matches("a*b*c", "aXbYbZ"));
        assert!(matches("?", "ä"));
        assert!(!matches("?", "ab"));
        assert!(matches("**a", "a"));
    }

    #[test]
    fn classes() {
        assert!(matches("[a-c]x", "bx"));
        assert!(!matches("[!a-c]x", "bx"));
        assert!(matches("[]]", "]"));
        assert!(matches("[a-]*", "-1"));
        assert!(matches("[ä-ü]", "ö"));
        assert_eq!(pattern("[ab"), None, "an open class is a name");
    }

    #[test]
    fn hidden_files_need_a_dot() {
        assert!(!matches("*", ".profile"));
        assert!(!matches("?profile", ".profile"));
        assert!(matches(".*", ".profile"));
    }

    #[test]
    fn quoted_patterns_are_names() {
        assert_eq!(pattern(r"a\*b"), None);
        assert_eq!(pattern(r#""a*b""#), None);
        assert!(matches(r"\**", "*x"));
        assert!(!matches(r"\**", "x"));
    }

    #[test]
    fn paths_have_components() {
        let path = pattern("/srv//x*/log/").unwrap();
        assert!(path.absolute && path.directory);
        assert_eq!(path.components.len(), 3);
        assert_eq!(path.components[0], Component::Name(b"srv".to_vec()));
        assert!(!pattern("a/*").unwrap().absolute);
    }

    #[test]
    fn a_name_that_is_not_utf8_can_be_matched() {
        let star = Pattern(vec![Token::AnyOne, Token::Exactly(Unit::from(b'a'))]);
        assert!(star.matches(b"\xffa"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        let text = format!("{}b", "a*".repeat(50));
        assert!(!matches(&text, &"a".repeat(5000)));
    }

    proptest! {
        #[test]
        fn a_quoted_name_is_never_a_pattern(name in "[^'\\\\/#\0]{1,20}") {
            prop_assert_eq!(pattern(&format!("'{name}'")), None);
        }

        #[test]
        fn matching_never_panics(text in "[ab*?\\[\\]!-]{1,12}", name in "[ab\\-\\]]{0,12}") {
            if let Some(path) = pattern(&text) {
                for component in path.components {
                    if let Component::Pattern(pattern) = component {
                        let _ = pattern.matches(name.as_bytes());
                    }
                }
            }
        }
    }
}
