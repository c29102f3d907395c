//! sshd(8), AUTHORIZED_KEYS FILE FORMAT: the options before a key, also in `allowed_signers`.
//!
//! Options have commas between them and no spaces but in quotes: `name`, `no-name`,
//! `name="value"`. In a value `\"` is a quote, and any other backslash is itself.

use alloc::{string::String, vec::Vec};

/// An option: a name, in lower case, and the value if there is one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct KeyOption {
    pub(crate) name: String,
    pub(crate) value: Option<String>,
}

impl KeyOption {
    /// Whether this is the flag called `name`; `Some(false)` if it is `no-name`.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        if self.value.is_some() {
            return None;
        }
        if self.name == name {
            return Some(true);
        }
        (self.name.strip_prefix("no-") == Some(name)).then_some(false)
    }
}

/// Splits a line into its options and what follows the blanks behind them; `None` if a quote does
/// not end, or nothing follows.
pub(crate) fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.iter().position(|byte| {
        let ends = !quoted && matches!(byte, b' ' | b'\t');
        if *byte == b'"' && !escaped {
            quoted = !quoted;
        }
        escaped = *byte == b'\\';
        ends
    })?;
    let (options, rest) = text.split_at_checked(end)?;
    Some((options, crate::line::trimmed(rest)))
}

/// The options of a line; `None` if they are not built as they should be.
pub(crate) fn parse(options: &str) -> Option<Vec<KeyOption>> {
    let mut found = Vec::new();
    let mut rest = options;
    loop {
        let end = rest.find(['=', ',']).unwrap_or(rest.len());
        let (name, after) = rest.split_at_checked(end)?;
        if name.is_empty() || name.contains('"') {
            return None;
        }
        let (value, after) = match after.strip_prefix('=') {
            Some(quoted) => {
                let (value, after) = dequoted(quoted)?;
                (Some(value), after)
            }
            None => (None, after),
        };
        found.push(KeyOption { name: name.to_ascii_lowercase(), value });
        if after.is_empty() {
            return Some(found);
        }
        rest = after.strip_prefix(',')?;
    }
}

/// The text between the quotes at the start, and what follows.
fn dequoted(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('"')?;
    let mut value = String::new();
    loop {
        let at = rest.find(['"', '\\'])?;
        let (before, special) = rest.split_at_checked(at)?;
        value.push_str(before);
        if let Some(after) = special.strip_prefix("\\\"") {
            value.push('"');
            rest = after;
        } else if let Some(after) = special.strip_prefix('\\') {
            value.push('\\');
            rest = after;
        } else {
            return Some((value, special.strip_prefix('"')?));
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use proptest::prelude::*;

    use super::*;

    fn list(text: &str) -> Option<Vec<(String, Option<String>)>> {
        Some(parse(text)?.into_iter().map(|option| (option.name, option.value)).collect())
    }

    #[test]
    fn flags_and_values_are_told_apart() {
        let text = r#"Restrict,no-PTY,command="a \"b\" c, d",from="*",environment="A=\\x""#;
        let flag = |name: &str| (name.to_string(), None);
        let value = |name: &str, value: &str| (name.to_string(), Some(value.to_string()));
        assert_eq!(
            list(text),
            Some(alloc::vec![
                flag("restrict"),
                flag("no-pty"),
                value("command", "a \"b\" c, d"),
                value("from", "*"),
                // As OpenSSH reads it: a backslash before a backslash is nothing special.
                value("environment", "A=\\\\x"),
            ])
        );
    }

    #[test]
    fn what_is_not_built_as_options_are_is_refused() {
        for text in [
            "",
            ",",
            "a,",
            ",a",
            "a,,b",
            "a=",
            "a=b",
            "a=\"b",
            "a=\"b\"c",
            "a=\"b\\\"",
            "=\"b\"",
            "a\"b\"",
            "a=\"b\",",
        ] {
            assert_eq!(list(text), None, "{text}");
        }
    }

    #[test]
    fn options_end_at_the_first_blank_outside_of_quotes() {
        for (text, expected) in [
            ("a b", Some(("a", "b"))),
            ("a=\"x y\" \t b c ", Some(("a=\"x y\"", "b c"))),
            ("a=\"x \\\" y\" b", Some(("a=\"x \\\" y\"", "b"))),
            ("a", None),
            ("a=\"x y", None),
        ] {
            let expected = expected.map(|(a, b): (&str, &str)| (a.as_bytes(), b.as_bytes()));
            assert_eq!(split(text.as_bytes()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_value_survives_quotes(value in "[^\\\\]{0,20}") {
            let text = alloc::format!("a=\"{}\"", value.replace('"', "\\\""));
            prop_assert_eq!(list(&text), Some(alloc::vec![("a".to_string(), Some(value))]));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[a-c\",=\\\\ ]{0,20}") {
            drop(parse(&text));
            let _ = split(text.as_bytes());
        }
    }
}
