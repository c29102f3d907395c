//! Command lines as `getopt` reads them: `-v`, `-p 22`, `-p22`, `-vp22`, `--`.
//!
//! The subcommands `ssh` and `sftp` speak OpenSSH's command line, where flags cluster and may
//! stand behind the host name; a parser of GNU-style options does not fit it.

use core::fmt;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// One option of a command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// `-v`
    Flag(char),
    /// `-p 22`
    Value(char, OsString),
    /// `--help`, `-h`, `-?`
    Help,
}

/// A command line that does not fit the grammar.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ArgsError {
    /// The program has no such option.
    Unknown(char),
    /// No option is a word; `--help` alone is.
    UnknownWord(OsString),
    /// OpenSSH has this option, this program does not.
    Unsupported(char),
    /// The option needs a value and the line ends.
    MissingValue(char),
    /// The value has to be text.
    NotText(char),
}

impl fmt::Display for ArgsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(c) => {
                write!(f, "unknown option -{}; --help lists those there are", c.escape_default())
            }
            Self::UnknownWord(word) => {
                let word = word.to_string_lossy();
                let word = word.escape_debug();
                write!(f, "unknown option {word}; --help lists those there are")
            }
            Self::Unsupported(c) => write!(f, "option -{c} of OpenSSH is not supported yet"),
            Self::MissingValue(c) => write!(f, "option -{c} needs a value"),
            Self::NotText(c) => write!(f, "the value of option -{c} is not UTF-8 text"),
        }
    }
}

/// What a program's options are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grammar {
    /// Options without a value.
    pub(crate) flags: &'static str,
    /// Options with a value.
    pub(crate) values: &'static str,
    /// Options OpenSSH has and this program has not.
    pub(crate) unsupported: &'static str,
}

impl Grammar {
    /// Some programs have another use for `-h` than help.
    fn has(&self, option: char) -> bool {
        self.flags.contains(option) || self.values.contains(option)
    }
}

/// Walks over a command line.
#[derive(Debug)]
pub(crate) struct Getopt<'a> {
    grammar: Grammar,
    args: &'a [OsString],
    cluster: &'a [u8],
    terminated: bool,
}

impl<'a> Getopt<'a> {
    pub(crate) fn new(grammar: Grammar, args: &'a [OsString]) -> Self {
        Self { grammar, args, cluster: &[], terminated: false }
    }

    /// The next option; `None` before the first operand, after `--` and at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Item>, ArgsError> {
        if self.cluster.is_empty() {
            let Some((first, rest)) = self.args.split_first() else { return Ok(None) };
            match first.as_bytes() {
                b"--" if !self.terminated => {
                    self.args = rest;
                    self.terminated = true;
                    return Ok(None);
                }
                b"--help" | b"-h" | b"-?"
                    if !(self.terminated || first == "-h" && self.grammar.has('h')) =>
                {
                    self.args = rest;
                    return Ok(Some(Item::Help));
                }
                [b'-', b'-', ..] if !self.terminated => {
                    return Err(ArgsError::UnknownWord(first.clone()));
                }
                [b'-', cluster @ ..] if !cluster.is_empty() && !self.terminated => {
                    self.args = rest;
                    self.cluster = cluster;
                }
                _ => return Ok(None),
            }
        }
        let Some((&byte, rest)) = self.cluster.split_first() else { return Ok(None) };
        self.cluster = rest;
        let option = char::from(byte);
        if self.grammar.flags.contains(option) {
            return Ok(Some(Item::Flag(option)));
        }
        if !self.grammar.values.contains(option) {
            let known = self.grammar.unsupported.contains(option);
            let error = if known { ArgsError::Unsupported } else { ArgsError::Unknown };
            return Err(error(option));
        }
        let value = if self.cluster.is_empty() {
            let (value, rest) = self.args.split_first().ok_or(ArgsError::MissingValue(option))?;
            self.args = rest;
            value.clone()
        } else {
            OsStr::from_bytes(core::mem::take(&mut self.cluster)).to_owned()
        };
        Ok(Some(Item::Value(option, value)))
    }

    /// Takes the operand that stands next, so that options may follow it.
    pub(crate) fn operand(&mut self) -> Option<&'a OsString> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    /// True once `--` was read: no options follow.
    pub(crate) fn is_terminated(&self) -> bool {
        self.terminated
    }

    /// What has not been read.
    pub(crate) fn rest(&self) -> &'a [OsString] {
        self.args
    }
}

/// The value of an option as text.
pub(crate) fn text(option: char, value: OsString) -> Result<String, ArgsError> {
    value.into_string().map_err(|_| ArgsError::NotText(option))
}

/// Arguments as the one command line that goes to the server, as `ssh` joins them.
pub(crate) fn join(args: &[OsString]) -> Vec<u8> {
    let words: Vec<Vec<u8>> = args.iter().map(|arg| arg.clone().into_vec()).collect();
    words.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRAMMAR: Grammar = Grammar { flags: "vqt", values: "pl", unsupported: "L" };

    fn args(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn read(words: &[&str]) -> (Result<Vec<Item>, ArgsError>, Vec<String>) {
        let args = args(words);
        let mut getopt = Getopt::new(GRAMMAR, &args);
        let mut items = Vec::new();
        let result = loop {
            match getopt.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break Ok(items),
                Err(error) => break Err(error),
            }
        };
        let rest = getopt.rest().iter().map(|a| a.to_string_lossy().into_owned()).collect();
        (result, rest)
    }

    #[test]
    fn flags_cluster_and_values_may_touch_their_option() {
        let (items, rest) = read(&["-vqp22", "-l", "alice", "host", "-v"]);
        let expected = vec![
            Item::Flag('v'),
            Item::Flag('q'),
            Item::Value('p', "22".into()),
            Item::Value('l', "alice".into()),
        ];
        assert_eq!(items, Ok(expected));
        assert_eq!(rest, ["host", "-v"]);
    }

    #[test]
    fn two_dashes_end_the_options() {
        let (items, rest) = read(&["-v", "--", "-q"]);
        assert_eq!(items, Ok(vec![Item::Flag('v')]));
        assert_eq!(rest, ["-q"]);
    }

    #[test]
    fn options_may_follow_the_host_and_end_at_the_command() {
        let words = args(&["host", "-v", "ls", "-l"]);
        let mut getopt = Getopt::new(GRAMMAR, &words);
        assert_eq!(getopt.next(), Ok(None));
        assert_eq!(getopt.operand(), Some(&OsString::from("host")));
        assert_eq!(getopt.next(), Ok(Some(Item::Flag('v'))));
        assert_eq!(getopt.next(), Ok(None));
        assert_eq!(join(getopt.rest()), b"ls -l");
    }

    #[test]
    fn help_is_asked_for_in_three_ways() {
        for word in ["--help", "-h", "-?"] {
            assert_eq!(read(&["-v", word]).0, Ok(vec![Item::Flag('v'), Item::Help]));
        }
        assert_eq!(read(&["--", "--help"]).1, ["--help"]);
    }

    #[test]
    fn a_dash_alone_is_an_operand() {
        let (items, rest) = read(&["-"]);
        assert_eq!(items, Ok(vec![]));
        assert_eq!(rest, ["-"]);
    }

    #[test]
    fn an_option_nobody_knows_is_named() {
        assert_eq!(read(&["-vz"]).0, Err(ArgsError::Unknown('z')));
        assert_eq!(read(&["-L", "1:a:2"]).0, Err(ArgsError::Unsupported('L')));
        assert_eq!(read(&["-p"]).0, Err(ArgsError::MissingValue('p')));
        assert_eq!(read(&["--port"]).0, Err(ArgsError::UnknownWord("--port".into())));
        let shown = ArgsError::Unknown('\x1b').to_string();
        assert!(shown.starts_with("unknown option -\\u{1b};"), "{shown}");
        let shown = ArgsError::UnknownWord("--\x1b".into()).to_string();
        assert!(shown.starts_with("unknown option --\\u{1b};"), "{shown}");
    }
}
