//! Completion of what is typed at the prompt of `sftp`: commands, and files of either side.

use super::{command::COMMANDS, words::Word};

/// What a word of a command line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Command,
    Local,
    Remote,
    /// Nothing that could be looked up.
    Other,
}

/// The word that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) kind: Kind,
    /// Where it begins in the line.
    pub(super) start: usize,
    /// The quote that is open, if one is.
    pub(super) quote: Option<char>,
    /// What it says so far, without quotes.
    pub(super) text: Vec<u8>,
}

/// Finds the word at the end of `line`.
pub(super) fn typed(line: &str) -> Typed {
    let mut start = 0;
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut finished: Vec<&str> = Vec::new();
    for (at, c) in line.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if quote == Some(c) {
            quote = None;
        } else if quote.is_none() && (c == '"' || c == '\'') {
            quote = Some(c);
        } else if quote.is_none() && c.is_ascii_whitespace() {
            finished.extend(line.get(start..at).filter(|word| !word.is_empty()));
            start = at.saturating_add(c.len_utf8());
        }
    }
    let text = Word::shell(line.get(start..).unwrap_or_default().as_bytes());
    Typed { kind: kind(&finished), start, quote, text: text.bytes().to_vec() }
}

/// What the word behind these is.
fn kind(before: &[&str]) -> Kind {
    let Some((command, words)) = before.split_first() else { return Kind::Command };
    let command = command.trim_start_matches(['-', '@']).to_ascii_lowercase();
    let place = words.iter().filter(|word| !word.starts_with('-')).count();
    match (command.as_str(), place) {
        ("get" | "reget" | "mget", 0) | ("put" | "reput" | "mput", 1) => Kind::Remote,
        ("get" | "reget" | "mget", 1) | ("put" | "reput" | "mput", 0) => Kind::Local,
        ("cd" | "chdir" | "ls" | "dir" | "df" | "mkdir" | "rm" | "rmdir", _) => Kind::Remote,
        ("copy" | "cp" | "ln" | "rename" | "symlink", _) => Kind::Remote,
        ("chmod" | "chown" | "chgrp", 1) => Kind::Remote,
        ("lcd" | "lchdir" | "lls" | "lmkdir", _) => Kind::Local,
        _ => Kind::Other,
    }
}

/// The commands that begin with what is typed.
pub(super) fn commands(typed: &[u8]) -> Vec<String> {
    let names = COMMANDS.iter().map(|(name, ..)| *name);
    names.filter(|name| name.as_bytes().starts_with(typed)).map(|name| format!("{name} ")).collect()
}

/// The directory to look into, and what a name in it has to begin with.
pub(super) fn split(text: &[u8]) -> (&[u8], &[u8]) {
    let cut = text.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at.saturating_add(1));
    text.split_at_checked(cut).unwrap_or((&[], text))
}

/// What to put in the place of the word: for each name in `directory` that fits, and whether it is
/// a directory, the path as it has to be typed. Names that cannot be typed are left out.
pub(super) fn files(
    typed: &Typed,
    names: impl IntoIterator<Item = (Vec<u8>, bool)>,
) -> Vec<String> {
    let (directory, beginning) = split(&typed.text);
    let mut fitting: Vec<(Vec<u8>, bool)> = names
        .into_iter()
        .filter(|(name, _)| name.starts_with(beginning))
        // As a shell: hidden files only where a dot was typed.
        .filter(|(name, _)| !beginning.is_empty() || name.first() != Some(&b'.'))
        .collect();
    fitting.sort();
    let whole = |(name, is_directory): (Vec<u8>, bool)| {
        let path = String::from_utf8([directory, &name].concat()).ok()?;
        if path.chars().any(char::is_control) {
            return None;
        }
        let mut text = quoted(&path, typed.quote);
        match (is_directory, typed.quote) {
            (true, _) => text.push('/'),
            (false, Some(quote)) => text.extend([quote, ' ']),
            (false, None) => text.push(' '),
        }
        Some(text)
    };
    fitting.into_iter().filter_map(whole).collect()
}

/// A path as it has to be typed to stand for itself.
fn quoted(path: &str, quote: Option<char>) -> String {
    let mut text: String = quote.into_iter().collect();
    for c in path.chars() {
        let special = match quote {
            Some(open) => c == open || "*?[\\".contains(c),
            None => c.is_ascii_whitespace() || "*?[\\\"'#".contains(c),
        };
        if special {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::words;

    fn kind_of(line: &str) -> Kind {
        typed(line).kind
    }

    #[test]
    fn the_place_in_the_line_says_what_is_typed() {
        assert_eq!(kind_of("ge"), Kind::Command);
        assert_eq!(kind_of("get fi"), Kind::Remote);
        assert_eq!(kind_of("get -pR fi"), Kind::Remote);
        assert_eq!(kind_of("get file "), Kind::Local);
        assert_eq!(kind_of("put "), Kind::Local);
        assert_eq!(kind_of("PUT a b"), Kind::Remote);
        assert_eq!(kind_of("put 'two words' "), Kind::Remote);
        assert_eq!(kind_of("lcd x"), Kind::Local);
        assert_eq!(kind_of("chmod 6"), Kind::Other);
        assert_eq!(kind_of("chmod 644 x"), Kind::Remote);
        assert_eq!(kind_of("-rm x"), Kind::Remote);
        assert_eq!(kind_of("lumask 0"), Kind::Other);
    }

    #[test]
    fn the_word_is_read_as_the_command_will_read_it() {
        let word = typed(r"get a\ b/c");
        assert_eq!((word.start, word.quote, word.text), (4, None, b"a b/c".to_vec()));
        let word = typed("get \"a b");
        assert_eq!((word.start, word.quote, word.text), (4, Some('"'), b"a b".to_vec()));
    }

    #[test]
    fn commands_are_completed() {
        assert_eq!(commands(b"reg"), ["reget "]);
        assert_eq!(commands(b"p"), ["progress ", "put ", "pwd "]);
    }

    #[test]
    fn files_are_completed_as_they_have_to_be_typed() {
        let names = || {
            ["two words", "twig", ".two", "it's", "b\u{1b}[2J"]
                .map(|name| (name.as_bytes().to_vec(), name == "twig"))
        };
        let complete = |line: &str| files(&typed(line), names());
        assert_eq!(complete("get dir/tw"), ["dir/twig/", "dir/two\\ words "]);
        assert_eq!(complete("get \"dir/two"), ["\"dir/two words\" "]);
        assert_eq!(complete("get .t"), [".two "]);
        assert_eq!(complete("get i"), ["it\\'s "]);
        assert_eq!(complete("get b"), [""; 0], "it would steer the terminal");
        // What is put in means what was meant.
        for candidate in [complete("get dir/two"), complete("get 'dir/two")].concat() {
            let line = format!("get {candidate}");
            let words = words::split(line.as_bytes()).unwrap();
            assert_eq!(words.last().unwrap().bytes(), b"dir/two words");
        }
    }
}
