//! Patterns of host names: `*` for any text, `?` for one character, `!` before a pattern to
//! exclude, and a comma between patterns (ssh_config(5), PATTERNS).

/// Does the list of patterns include `name`? A pattern with `!` that matches wins over all others,
/// wherever it stands.
pub(crate) fn list_includes(patterns: &[u8], name: &[u8]) -> bool {
    let mut included = false;
    for pattern in patterns.split(|byte| *byte == b',') {
        match pattern.strip_prefix(b"!") {
            Some(pattern) if matches(pattern, name) => return false,
            Some(_) => {}
            None => included = included || matches(pattern, name),
        }
    }
    included
}

/// Does `name` as a whole match `pattern`?
///
/// Of all stars before the present place only the last can make a difference, so there is one
/// place to go back to, and the time is at most that of the length of the pattern plus the square
/// of the length of the name, for any number of stars.
pub(crate) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // What follows the last star, and the name from where this may still begin.
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                pattern = rest;
                retry = Some((rest, name));
            }
            (None, None) => return true,
            // What is left of the pattern needs more than is left of the name, and the star
            // could only take more of it.
            (Some(_), None) => return false,
            (Some((want, pattern_rest)), Some((have, name_rest)))
                if *want == b'?' || want == have =>
            {
                (pattern, name) = (pattern_rest, name_rest);
            }
            _ => {
                // The star takes one character more.
                let Some((after_star, from)) = retry else { return false };
                let Some((_, from)) = from.split_first() else { return false };
                (pattern, name) = (after_star, from);
                retry = Some((after_star, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("?", "", false),
            ("?", "a", true),
            ("?", "ab", false),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("*a", "ab", false),
            ("*.example.org", "www.example.org", true),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", "www.example.org.evil", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("*ab", "aab", true),
            ("192.0.2.?", "192.0.2.12", false),
            ("[*]:2222", "[host]:2222", true),
            ("[*]:2222", "[host]:22222", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_negated_pattern_wins_wherever_it_stands() {
        for (list, name, expected) in [
            ("*.a,!x.a", "y.a", true),
            ("*.a,!x.a", "x.a", false),
            ("!x.a,*.a", "x.a", false),
            ("!x.a", "y.a", false),
            ("a,b,", "b", true),
            ("!!a,*", "!a", false),
            ("!*", "a", false),
        ] {
            assert_eq!(list_includes(list.as_bytes(), name.as_bytes()), expected, "{list} {name}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_one() {
        let name = vec![b'a'; 255];
        let mut pattern = b"*a".repeat(5_000);
        pattern.push(b'b');
        // Going back to every star would take longer than the universe is old.
        assert!(!matches(&pattern, &name));
        let pattern = [&b"*a*a*a*a*a*a*a*a*a*a*"[..], &[b'a'; 120], b"b"].concat();
        assert!(!matches(&pattern, &name));
    }

    /// The definition, as a table: `table[i]` tells if the pattern so far matches `name[..i]`.
    fn oracle(pattern: &[u8], name: &[u8]) -> bool {
        let mut table: Vec<bool> = (0..=name.len()).map(|i| i == 0).collect();
        for p in pattern {
            let before = table.clone();
            for i in 0..=name.len() {
                table[i] = match p {
                    b'*' => before[..=i].contains(&true),
                    b'?' => i > 0 && before[i - 1],
                    p => i > 0 && before[i - 1] && name[i - 1] == *p,
                };
            }
        }
        table[name.len()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn matching_is_what_the_definition_says(pattern in "[ab*?]{0,12}", name in "[ab]{0,12}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                oracle(pattern.as_bytes(), name.as_bytes())
            );
        }
    }
}
