//! The line editor of `sftp`: history, and completion of commands.

use rustyline::{
    Config, Context, Helper, completion::Completer, error::ReadlineError, highlight::Highlighter,
    hint::Hinter, history::MemHistory, validate::Validator,
};

use super::command::COMMANDS;
use crate::{
    failure::{Failure, Result},
    log::say,
    terminal::Guard,
};

const PROMPT: &str = "sftp> ";

/// Reads lines from the terminal.
#[derive(Debug)]
pub(crate) struct Editor(rustyline::Editor<Commands, MemHistory>);

impl Editor {
    pub(crate) fn new() -> Result<Self> {
        let config = Config::builder().auto_add_history(true).build();
        let editor = rustyline::Editor::with_history(config, MemHistory::new());
        let mut editor = editor.map_err(cannot)?;
        editor.set_helper(Some(Commands));
        Ok(Self(editor))
    }

    /// The next line; `None` at the end of the input. Blocks.
    pub(crate) fn line(&mut self) -> Option<String> {
        // If a signal ends the program meanwhile, the terminal is put back.
        let _guard = Guard::snapshot();
        loop {
            match self.0.readline(PROMPT) {
                Ok(line) => return Some(line),
                // `^C` gives up the line, not the program.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return None,
                Err(error) => {
                    say!(Error, "{}", cannot(error));
                    return None;
                }
            }
        }
    }
}

fn cannot(error: ReadlineError) -> Failure {
    Failure::new(format_args!("cannot read from the terminal: {error}"))
}

/// Completes the names of commands.
#[derive(Clone, Copy, Debug)]
struct Commands;

impl Completer for Commands {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        Ok((0, complete(line.get(..position).unwrap_or(line))))
    }
}

impl Hinter for Commands {
    type Hint = String;
}
impl Highlighter for Commands {}
impl Validator for Commands {}
impl Helper for Commands {}

fn complete(typed: &str) -> Vec<String> {
    let names = COMMANDS.iter().map(|(name, ..)| *name);
    names.filter(|name| name.starts_with(typed)).map(|name| format!("{name} ")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_completed_and_nothing_else() {
        assert_eq!(complete("reg"), ["reget "]);
        assert_eq!(complete("p"), ["progress ", "put ", "pwd "]);
        assert!(complete("get fi").is_empty());
    }
}
