//! The line editor of `sftp`: history, and completion of commands and of files on both sides.

use core::time::Duration;

use rustyline::{
    CompletionType, Config, Context, Helper, completion::Completer, error::ReadlineError,
    highlight::Highlighter, hint::Hinter, history::MemHistory, validate::Validator,
};
use tokio::{runtime::Handle, time::timeout};

use super::{
    complete::{self, Kind, Typed},
    glob::{self, Local, Tree},
    remote::Remote,
};
use crate::{
    failure::{Failure, Result},
    log::say,
    terminal::Guard,
};

const PROMPT: &str = "sftp> ";

/// How long a server may take to list a directory for a completion.
const PATIENCE: Duration = Duration::from_secs(3);

/// Reads lines from the terminal.
#[derive(Debug)]
pub(crate) struct Editor(rustyline::Editor<Names, MemHistory>);

impl Editor {
    pub(crate) fn new() -> Result<Self> {
        let config =
            Config::builder().auto_add_history(true).completion_type(CompletionType::List).build();
        let editor = rustyline::Editor::with_history(config, MemHistory::new());
        Ok(Self(editor.map_err(cannot)?))
    }

    /// From now on completes names of files there, from the current directory on. To be called
    /// where the session runs.
    pub(crate) fn look_at(&mut self, remote: &Remote) {
        self.0.set_helper(Some(Names { remote: remote.clone(), session: Handle::current() }));
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

/// Looks names up.
#[derive(Debug)]
struct Names {
    remote: Remote,
    /// The thread that asks for a line is not the one of the session.
    session: Handle,
}

impl Names {
    fn files(&self, typed: &Typed) -> Vec<String> {
        let (directory, _) = complete::split(&typed.text);
        let look = async {
            match typed.kind {
                Kind::Local => Local.list(directory).await,
                _ if directory.first() == Some(&b'/') => self.remote.list(directory).await,
                _ => self.remote.list(&glob::join(&self.remote.directory, directory)).await,
            }
        };
        // What cannot be listed has no names.
        let names = self.session.block_on(async { timeout(PATIENCE, look).await });
        names.map_or_else(|_| Vec::new(), |names| complete::files(typed, names.unwrap_or_default()))
    }
}

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = complete::typed(line.get(..position).unwrap_or(line));
        let candidates = match typed.kind {
            Kind::Command => complete::commands(&typed.text),
            Kind::Local | Kind::Remote => self.files(&typed),
            Kind::Other => Vec::new(),
        };
        Ok((typed.start, candidates))
    }
}

impl Hinter for Names {
    type Hint = String;
}
impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}
