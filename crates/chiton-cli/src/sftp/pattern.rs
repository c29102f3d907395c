//! Patterns in words of a command: what quotes and backslashes have taken its meaning from is no
//! pattern. The patterns themselves are [`sftp::glob`]'s.

pub(crate) use sftp::glob::Component;

use super::words::Word;

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
    let mut text = Vec::with_capacity(marked.len());
    for &(byte, literal) in marked {
        if literal && b"*?[]!^-\\".contains(&byte) {
            text.push(b'\\');
        }
        text.push(byte);
    }
    Component::parse(&text)
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
        assert!(matches(r"[a'-'c]*", "-") && !matches(r"[a'-'c]*", "b"));
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
