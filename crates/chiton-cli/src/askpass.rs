//! Questions to the user: passwords, passphrases, host keys. On the terminal, or through the
//! program in `SSH_ASKPASS`, by OpenSSH's rules.

use alloc::sync::Arc;
use core::fmt;
use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read, Write},
    process::{Command, Stdio},
};

use zeroize::Zeroizing;

use crate::{
    log::say,
    terminal::{Guard, Tty},
};

/// The longest answer that is read; more is an error. Ample for a password, and a bound for what
/// an askpass program can make us hold.
const MAX_ANSWER: usize = 4096;

/// Asked where `SSH_ASKPASS` names no program.
const DEFAULT_ASKPASS: &str = "/usr/bin/ssh-askpass";

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum AskError {
    /// `BatchMode=yes`.
    Batch,
    /// No terminal and no askpass program.
    NobodyToAsk,
    /// The user ended the input, or cancelled the dialog.
    Cancelled,
    /// The askpass program could not be run.
    Program(OsString, io::Error),
    /// The terminal could not be read.
    Terminal(io::Error),
    TooLong,
    NotText,
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Batch => f.write_str("BatchMode forbids to ask"),
            Self::NobodyToAsk => f.write_str(
                "there is no terminal to ask on; run it on one or set SSH_ASKPASS and SSH_ASKPASS_REQUIRE=force",
            ),
            Self::Cancelled => f.write_str("no answer was given"),
            Self::Program(program, error) => {
                write!(f, "cannot run the askpass program {}: {error}", program.display())
            }
            Self::Terminal(error) => write!(f, "cannot ask on the terminal: {error}"),
            Self::TooLong => write!(f, "the answer is longer than {MAX_ANSWER} bytes"),
            Self::NotText => f.write_str("the answer is not UTF-8 text"),
        }
    }
}

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    Terminal,
    Program(OsString),
    Nobody,
}

/// The part of the environment that decides whom to ask.
#[derive(Clone, Debug, Default)]
struct Environment {
    display: bool,
    askpass: Option<OsString>,
    require: Option<OsString>,
    has_terminal: bool,
}

impl Environment {
    fn now() -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            display: is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"),
            askpass: env::var_os("SSH_ASKPASS").filter(|program| !program.is_empty()),
            require: env::var_os("SSH_ASKPASS_REQUIRE"),
            has_terminal: open_terminal().is_ok(),
        }
    }

    fn whom(&self) -> Whom {
        let require = self.require.as_deref().unwrap_or_default().to_ascii_lowercase();
        let (may_use, must_use) = match require.to_str() {
            Some("force") => (true, true),
            Some("prefer") => (self.display, self.display),
            Some("never") => (false, false),
            _ => (self.display, false),
        };
        if must_use || (may_use && !self.has_terminal) {
            let program = self.askpass.clone();
            return Whom::Program(program.unwrap_or_else(|| DEFAULT_ASKPASS.into()));
        }
        if self.has_terminal { Whom::Terminal } else { Whom::Nobody }
    }
}

/// Asks the user, or nobody in batch mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    pub(crate) batch: bool,
}

impl Asker {
    /// Asks for a secret, not shown while it is typed. Blocks.
    pub(crate) fn secret(self, prompt: &str) -> Result<Zeroizing<String>, AskError> {
        self.ask(prompt, true)
    }

    /// Asks a question whose answer may be seen. Blocks.
    pub(crate) fn question(self, prompt: &str) -> Result<String, AskError> {
        self.ask(prompt, false).map(|answer| answer.to_string())
    }

    /// The answer, or the reason why there is none.
    fn ask(self, prompt: &str, hidden: bool) -> Result<Zeroizing<String>, AskError> {
        if self.batch {
            return Err(AskError::Batch);
        }
        match Environment::now().whom() {
            Whom::Terminal => ask_terminal(prompt, hidden),
            Whom::Program(program) => ask_program(&program, prompt),
            Whom::Nobody => Err(AskError::NobodyToAsk),
        }
    }
}

/// Whether somebody agrees, asked through the askpass program, since what needs an agreement has no
/// terminal. An empty answer and "yes" agree. Blocks.
pub(crate) fn permission(prompt: &str) -> bool {
    let environment = Environment { has_terminal: false, ..Environment::now() };
    let Whom::Program(program) = environment.whom() else { return false };
    let mut command = Command::new(&program);
    command.env("SSH_ASKPASS_PROMPT", "confirm");
    match run_program(command, &program, prompt) {
        Ok(answer) => answer.is_empty() || answer.eq_ignore_ascii_case("yes"),
        Err(_) => false,
    }
}

fn open_terminal() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

fn ask_terminal(prompt: &str, hidden: bool) -> Result<Zeroizing<String>, AskError> {
    let tty = Arc::new(open_terminal().map_err(AskError::Terminal)?);
    let change = if hidden { Guard::hidden } else { Guard::asking };
    let guard = change(Tty::File(Arc::clone(&tty))).map_err(AskError::Terminal)?;
    let mut terminal: &File = &tty;
    terminal.write_all(b"\r").map_err(AskError::Terminal)?;
    terminal.write_all(prompt.as_bytes()).map_err(AskError::Terminal)?;
    let answer = read_line(terminal);
    drop(guard);
    answer
}

fn ask_program(program: &OsStr, prompt: &str) -> Result<Zeroizing<String>, AskError> {
    run_program(Command::new(program), program, prompt)
}

fn run_program(
    mut command: Command,
    program: &OsStr,
    prompt: &str,
) -> Result<Zeroizing<String>, AskError> {
    say!(Debug1, "asking through {}", program.display());
    let failed = |error| AskError::Program(program.to_owned(), error);
    let mut child = command.arg(prompt).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let answer = match child.stdout.take() {
        Some(mut output) => {
            let answer = read_line(&mut output);
            // A program that writes more must not fail because nobody reads it.
            drop(io::copy(&mut output, &mut io::sink()));
            answer
        }
        None => Err(AskError::Cancelled),
    };
    let status = child.wait().map_err(failed)?;
    if !status.success() {
        return Err(AskError::Cancelled);
    }
    // A program that prints nothing and says all is well answers with an empty line.
    match answer {
        Err(AskError::Cancelled) => Ok(Zeroizing::new(String::new())),
        answer => answer,
    }
}

/// One line without its end. A byte at a time would be slow for a file, but a terminal hands out
/// a line at most, and of an askpass program the first line alone counts.
fn read_line(mut input: impl Read) -> Result<Zeroizing<String>, AskError> {
    let mut line = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
    let mut chunk = Zeroizing::new([0_u8; 256]);
    let mut ended = false;
    while !ended {
        let count = match input.read(chunk.as_mut_slice()) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(AskError::Terminal(error)),
        };
        let got = chunk.get(..count).unwrap_or_default();
        let text = got.split(|&byte| byte == b'\n').next().unwrap_or_default();
        ended = text.len() < count || count == 0;
        if count == 0 && line.is_empty() {
            return Err(AskError::Cancelled);
        }
        // Growing beyond the capacity would leave a copy behind that is not wiped.
        if line.len().saturating_add(text.len()) > MAX_ANSWER {
            return Err(AskError::TooLong);
        }
        line.extend_from_slice(text);
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    match core::str::from_utf8(&line) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(AskError::NotText),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn whom(display: bool, terminal: bool, require: Option<&str>) -> Whom {
        let environment = Environment {
            display,
            askpass: Some("ask".into()),
            require: require.map(OsString::from),
            has_terminal: terminal,
        };
        environment.whom()
    }

    #[test]
    fn the_terminal_is_asked_first_and_the_program_where_there_is_none() {
        let program = || Whom::Program("ask".into());
        assert_eq!(whom(true, true, None), Whom::Terminal);
        assert_eq!(whom(true, false, None), program());
        assert_eq!(whom(false, false, None), Whom::Nobody);
        assert_eq!(whom(true, true, Some("prefer")), program());
        assert_eq!(whom(false, true, Some("prefer")), Whom::Terminal);
        assert_eq!(whom(false, true, Some("FORCE")), program());
        assert_eq!(whom(true, false, Some("never")), Whom::Nobody);
        assert_eq!(whom(true, true, Some("never")), Whom::Terminal);
    }

    #[test]
    fn batch_mode_asks_nobody() {
        let asker = Asker { batch: true };
        assert!(matches!(asker.secret("password: "), Err(AskError::Batch)));
    }

    #[test]
    fn one_line_is_read() {
        let line = |bytes: &[u8]| read_line(bytes).map(|line| line.to_string());
        assert_eq!(line(b"secret\nmore").unwrap(), "secret");
        assert_eq!(line(b"secret\r\n").unwrap(), "secret");
        assert_eq!(line(b"secret").unwrap(), "secret");
        assert_eq!(line(b"\n").unwrap(), "");
        assert!(matches!(line(b""), Err(AskError::Cancelled)));
        assert!(matches!(line(b"\xff\n"), Err(AskError::NotText)));
        assert_eq!(line(&[b'a'; MAX_ANSWER]).unwrap().len(), MAX_ANSWER);
        assert!(matches!(line(&[b'a'; MAX_ANSWER + 1]), Err(AskError::TooLong)));
    }

    #[test]
    fn the_askpass_program_gets_the_prompt_and_may_cancel() {
        let folder = tempfile::tempdir().unwrap();
        let script = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
            path.into_os_string()
        };
        let echo = script("echo", "#!/bin/sh\necho \"got $1\"\necho more\n");
        assert_eq!(ask_program(&echo, "pw?").unwrap().as_str(), "got pw?");
        let cancel = script("cancel", "#!/bin/sh\necho x\nexit 1\n");
        assert!(matches!(ask_program(&cancel, "pw?"), Err(AskError::Cancelled)));
        let empty = script("empty", "#!/bin/sh\nexit 0\n");
        assert_eq!(ask_program(&empty, "pw?").unwrap().as_str(), "");
        let missing = OsString::from("/nonexistent/askpass");
        assert!(matches!(ask_program(&missing, "pw?"), Err(AskError::Program(..))));
    }
}
