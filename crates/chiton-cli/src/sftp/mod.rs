//! `chiton sftp`: files on another machine, by commands typed or in a batch file.

pub(crate) mod command;
mod complete;
mod editor;
pub(crate) mod glob;
mod interpreter;
mod listing;
pub(crate) mod pattern;
pub(crate) mod remote;
pub(crate) mod transfer;
pub(crate) mod words;

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
};

use crate::{
    args::{self, Getopt, Grammar, Item},
    destination::{self, Destination},
    failure::{Failure, Result},
    log::{self, Level, print, say},
    options,
    reach::{Other, Reach},
    signals, ssh, terminal,
};
use command::{Command, Line, TransferFlags};
use editor::Editor;
use interpreter::{Interpreter, Outcome};
use remote::Remote;
use transfer::{Manner, Pace};
use words::Word;

pub(crate) use listing::show;

const GRAMMAR: Grammar =
    Grammar { flags: "46AaCfNpqrv", values: "BbcDFiJloPRSsX", unsupported: "" };

const USAGE: &str = "chiton sftp [options] [user@]host[:path [local]]";

/// What `--help` prints, up to the names of the options of `-o`.
const HELP: &str = "\
chiton sftp: files on another machine; options as OpenSSH's sftp

usage: chiton sftp [options] [user@]host[:directory]
       chiton sftp [options] [user@]host:file [local]
       chiton sftp [options] sftp://[user@]host[:port][/path] [local]
       chiton sftp -b file [options] [user@]host

  -P port           the port; 22 unless said
  -i key_file       a private key to log in with; may be given more than once
  -b file           take the commands from a file (-: from standard input) and stop at the
                    first that fails; - before a command: go on; @ before it: do not show it
  -o Name=value     an option by its name, see below
  -r                whole directories with get and put
  -p                keep times and modes with get and put
  -a                go on with what was broken off
  -f                wait until what was moved is on the disk
  -l limit          the most Kbit to move in a second
  -B bytes          how much one request asks for; as much as the server allows unless said
  -R requests       how many requests are under way at most
  -X option         the same by name: buffer=bytes, nrequests=number
  -c ciphers        what to offer, best first, with commas between
  -F none           read no configuration file; none is read so far
  -q, -v            say less, say more; -v up to three times
  -N                be as talkative with -b as without
  -s subsystem      the subsystem on the other side, or the path of the server program there
  -D program        speak to a server program on this machine, such as sftp-server
  -S program        connect by another ssh program; it gets -4, -6, -A, -C, -J as well,
                    which this one does not support yet

The commands are listed by the command help.
";

/// What the program exits with if a command fails in batch mode, or the connection.
const FAILED: u8 = 1;
const CONNECTION_FAILED: u8 = 255;

/// The longest line of a batch file. Without a bound, a file of zeros would fill the memory.
const MAX_LINE: u64 = 64 * 1024;

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Invocation {
    settings: Settings,
    /// None with a server on this machine.
    destination: Option<Destination>,
    /// What to fetch, or where to begin.
    path: Option<Vec<u8>>,
    local: Option<OsString>,
}

/// What the options of the command line say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Settings {
    reach: Reach,
    subsystem: Option<OsString>,
    batch: Option<OsString>,
    flags: TransferFlags,
    pace: Pace,
    /// `-q`, or `-b` without `-N`.
    quiet: bool,
    log_quiet: bool,
    verbosity: u32,
}

/// Runs `sftp`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let (result, code) = match parse(args) {
        Ok(Some(invocation)) => (crate::run_async(run(invocation)), CONNECTION_FAILED),
        Ok(None) => {
            print(format_args!("{HELP}\n{}", options::help()));
            return 0;
        }
        Err(failure) => (Err(failure), FAILED),
    };
    result.unwrap_or_else(|failure| {
        say!(Fatal, "chiton sftp: {failure}");
        code
    })
}

/// Reads the command line; nothing is to be done if it asks for help.
fn parse(args: &[OsString]) -> Result<Option<Invocation>> {
    let mut getopt = Getopt::new(GRAMMAR, args);
    let Some(settings) = read_options(&mut getopt)? else { return Ok(None) };
    let missing =
        || Failure::new(format_args!("the destination is missing: {USAGE}; --help says more"));
    let (destination, path) = if settings.reach.is_local() {
        (None, getopt.operand().map(|path| path.as_bytes().to_vec()))
    } else {
        let text = getopt.operand().ok_or_else(missing)?;
        let destination = destination::parse_sftp(text.as_bytes()).map_err(Failure::new)?;
        let path = destination.path.clone();
        (Some(destination), path)
    };
    let path = path.filter(|path| !path.is_empty());
    let local = getopt.operand().cloned();
    if !getopt.rest().is_empty() {
        return Err(Failure::new("there is more behind the destination than a local path"));
    }
    if local.is_some() && path.is_none() {
        return Err(Failure::new("a local path needs a remote one: host:path local"));
    }
    Ok(Some(Invocation { settings, destination, path, local }))
}

fn read_options(getopt: &mut Getopt<'_>) -> Result<Option<Settings>> {
    let mut settings = Settings::default();
    let (mut quiet, mut noisy) = (false, false);
    while let Some(item) = getopt.next().map_err(Failure::new)? {
        match item {
            Item::Help => return Ok(None),
            Item::Flag('a') => settings.flags.resume = true,
            Item::Flag('f') => settings.flags.sync = true,
            Item::Flag('N') => noisy = true,
            Item::Flag('p') => settings.flags.preserve = true,
            Item::Flag('r') => settings.flags.recursive = true,
            Item::Value('b', file) => {
                if settings.batch.replace(file).is_some() {
                    return Err(Failure::new("only one -b can be given"));
                }
                settings.reach.batch_mode();
            }
            Item::Value('s', name) => settings.subsystem = Some(name),
            Item::Value(option @ ('B' | 'R' | 'X' | 'l'), value) => {
                settings.pace.set(option, &args::text(option, value).map_err(Failure::new)?)?;
            }
            item => {
                match item {
                    Item::Flag('q') => quiet = true,
                    Item::Flag('v') => settings.verbosity = settings.verbosity.saturating_add(1),
                    _ => {}
                }
                settings.reach.take(item)?;
            }
        }
    }
    settings.reach.check()?;
    settings.log_quiet = quiet;
    settings.quiet = quiet || (settings.batch.is_some() && !noisy);
    Ok(Some(settings))
}

async fn run(invocation: Invocation) -> Result<u8> {
    let Invocation { settings, destination, path, local } = invocation;
    let level = settings.reach.options().unwrap_or_default();
    ssh::set_log_level(&level, settings.log_quiet, settings.verbosity);
    signals::watch(i32::from(FAILED))
        .map_err(|error| Failure::new(format_args!("cannot watch for signals: {error}")))?;
    // What cannot be read is told before anybody is asked for a password.
    let lines = Lines::open(settings.batch.as_deref().map(Path::new))?;
    let subsystem = settings.subsystem.as_deref();
    let (sftp, other) = settings.reach.sftp(destination.as_ref(), subsystem).await?;
    if !settings.quiet {
        match other.host() {
            Some(host) => say!(Info, "Connected to {host}."),
            None => say!(Info, "Connected."),
        }
    }
    let mut remote = Remote::new(sftp);
    if lines.is_interactive() {
        // Names are completed from there.
        remote.settle().await?;
    }
    // Errors of commands are the purpose of the program, not diagnostics of the connection.
    if log::level() < Level::Error {
        log::set_level(Level::Error);
    }
    let quiet = settings.quiet;
    let manner = Manner {
        quiet,
        progress: !quiet,
        in_place: false,
        follow: false,
        resumable: true,
        pace: settings.pace,
    };
    let interpreter = Interpreter { remote, flags: settings.flags, manner };
    let batch = settings.batch.is_some();
    let mut session = Session { other, interpreter, lines, batch };
    let code = session.run(path.as_deref(), local).await;
    let Session { other, interpreter, .. } = session;
    // A program ends when its input does.
    drop(interpreter);
    other.end().await;
    code
}

/// Where commands come from.
enum Lines {
    Editor(Box<Editor>),
    Reader(Box<dyn BufRead + Send>),
}

impl Lines {
    fn open(batch: Option<&Path>) -> Result<Self> {
        match batch {
            Some(path) if path.as_os_str() != "-" => {
                let cannot = |error| Failure::local("read the batch file", path, &error);
                let file = File::open(path).map_err(cannot)?;
                if file.metadata().map_err(cannot)?.is_dir() {
                    return Err(cannot(io::ErrorKind::IsADirectory.into()));
                }
                Ok(Self::Reader(Box::new(BufReader::new(file))))
            }
            None if terminal::stdin_is_tty() => Ok(Self::Editor(Box::new(Editor::new()?))),
            _ => Ok(Self::Reader(Box::new(BufReader::new(io::stdin())))),
        }
    }

    fn is_interactive(&self) -> bool {
        matches!(self, Self::Editor(_))
    }

    /// The next line, on a thread where waiting for it is no harm. `None` at the end.
    async fn next(mut self, remote: &Remote) -> Result<(Self, Option<Vec<u8>>)> {
        if let Self::Editor(editor) = &mut self {
            editor.look_at(remote);
        }
        let read = move || match self {
            Self::Editor(mut editor) => {
                let line = editor.line();
                Ok((Self::Editor(editor), line.map(String::into_bytes)))
            }
            Self::Reader(mut reader) => {
                let line = read_line(&mut reader)?;
                Ok((Self::Reader(reader), line))
            }
        };
        let read = tokio::task::spawn_blocking(read).await;
        read.unwrap_or_else(|_| Err(Failure::new("the thread that reads commands has panicked")))
    }
}

fn read_line(reader: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
    read.map_err(|error| Failure::new(format_args!("cannot read the commands: {error}")))?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(last) => {
            line.push(last);
            if u64::try_from(line.len()).is_ok_and(|len| len < MAX_LINE) {
                return Ok(Some(line));
            }
            Err(Failure::new(format_args!("a command is longer than {MAX_LINE} bytes")))
        }
    }
}

/// One run of the program: commands until the last.
struct Session {
    other: Other,
    interpreter: Interpreter,
    lines: Lines,
    batch: bool,
}

impl Session {
    /// Fetches or changes to what the destination names, then reads commands.
    async fn run(&mut self, path: Option<&[u8]>, local: Option<OsString>) -> Result<u8> {
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            let local = local.map(|local| Word::literal(&local.into_vec()));
            if let Some(code) = self.begin(path, local).await? {
                return Ok(code);
            }
        }
        self.read_commands().await
    }

    /// What `host:path` asks for. The exit code, unless commands follow.
    async fn begin(&mut self, path: &[u8], local: Option<Word>) -> Result<Option<u8>> {
        // A name that a server gave out can be given back, whatever is in it; what looks like a
        // pattern was meant as one.
        let words = words::split(path).ok().filter(|words| words.len() == 1);
        let word = words.and_then(|mut words| words.pop()).unwrap_or_else(|| Word::literal(path));
        if !word.is_absolute() {
            self.interpreter.remote.settle().await?;
        }
        let absolute = self.interpreter.remote.path(&word);
        let attrs = self.interpreter.remote.sftp.metadata(absolute.clone()).await;
        let outcome = if attrs.is_ok_and(|attrs| attrs.is_dir()) && local.is_none() {
            if !self.interpreter.manner.quiet {
                print(format_args!("Changing to: {}", show(&absolute)));
            }
            match self.carry_out(Command::Cd(Some(word))).await {
                Outcome::Done => return Ok(None),
                outcome => outcome,
            }
        } else {
            let flags = TransferFlags::default();
            self.carry_out(Command::Get { flags, remote: word, local }).await
        };
        self.check_connection().await?;
        Ok(Some(if outcome == Outcome::Failed { FAILED } else { 0 }))
    }

    async fn read_commands(&mut self) -> Result<u8> {
        let interactive = self.lines.is_interactive();
        loop {
            let placeholder = Lines::Reader(Box::new(io::empty()));
            let lines = core::mem::replace(&mut self.lines, placeholder);
            let (lines, line) = lines.next(&self.interpreter.remote).await?;
            self.lines = lines;
            let Some(line) = line else { return Ok(0) };
            match self.execute(&line, interactive).await {
                Outcome::Quit => return Ok(0),
                Outcome::Failed if self.batch => {
                    self.check_connection().await?;
                    return Ok(FAILED);
                }
                Outcome::Done | Outcome::Failed => self.check_connection().await?,
            }
        }
    }

    /// Carries out one line. What may fail in it has not failed.
    async fn execute(&mut self, line: &[u8], interactive: bool) -> Outcome {
        let Line { ignore_errors, silent, command } = command::parse(line);
        let outcome = match command {
            Ok(command) => {
                if !silent && command != Command::Nothing {
                    self.echo(line, interactive);
                }
                self.do_interruptibly(command, interactive).await
            }
            Err(error) => {
                self.echo(line, interactive);
                say!(Error, "{error}");
                Outcome::Failed
            }
        };
        match outcome {
            Outcome::Failed if ignore_errors => Outcome::Done,
            outcome => outcome,
        }
    }

    /// Carries out one command; who sits in front of it may break it off.
    async fn do_interruptibly(&mut self, command: Command, interactive: bool) -> Outcome {
        let work = self.carry_out(command);
        if !interactive {
            return work.await;
        }
        signals::interruptible(work).await.unwrap_or_else(|| {
            say!(Error, "Interrupted.");
            Outcome::Failed
        })
    }

    /// Carries out one command, as long as there is a connection: without one each of many files
    /// would fail on its own. What becomes of the connection is for [`Self::check_connection`].
    async fn carry_out(&mut self, command: Command) -> Outcome {
        // A program on this side is not left alone with the terminal.
        let local = matches!(command, Command::Shell(_) | Command::Lls(_));
        let closed = self.other.closed(&self.interpreter.remote.sftp);
        let work = self.interpreter.run(command);
        if local {
            return work.await;
        }
        tokio::select! {
            biased;
            () = closed => Outcome::Failed,
            outcome = work => outcome,
        }
    }

    /// Shows a command that nobody typed here.
    fn echo(&self, line: &[u8], interactive: bool) {
        if !interactive {
            print(format_args!("sftp> {}", show(line.trim_ascii())));
        }
    }

    /// Nothing works any more once the connection is gone.
    async fn check_connection(&mut self) -> Result<()> {
        match self.other.lost(&self.interpreter.remote.sftp).await {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(words: &[&str]) -> Result<Invocation> {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&args).map(Option::unwrap)
    }

    #[test]
    fn help_tells_of_every_option() {
        assert_eq!(parse(&["--help".into()]), Ok(None));
        for option in GRAMMAR.flags.chars().chain(GRAMMAR.values.chars()) {
            assert!(HELP.contains(&format!("-{option}")), "-{option}");
        }
    }

    #[test]
    fn a_batch_file_means_batch_mode_and_little_noise() {
        let found = invocation(&["-b", "-", "-P", "2222", "-r", "u@h"]).unwrap();
        let found = found.settings;
        assert_eq!(found.batch, Some("-".into()));
        let options = found.reach.options().unwrap();
        assert!(options.is_batch() && found.quiet && !found.log_quiet);
        assert!(found.flags.recursive);
        assert_eq!(options.port, Some(2222));
        assert!(!invocation(&["-Nb", "f", "h"]).unwrap().settings.quiet);
        assert!(invocation(&["-b", "f", "-b", "g", "h"]).is_err());
    }

    #[test]
    fn a_path_may_be_fetched_to_a_local_one() {
        let found = invocation(&["h:/etc/motd", "here"]).unwrap();
        assert_eq!(found.path.unwrap(), b"/etc/motd");
        assert_eq!(found.local, Some("here".into()));
        assert!(invocation(&["h", "here"]).is_err());
        assert!(invocation(&["h:x", "here", "there"]).is_err());
    }

    #[test]
    fn a_server_on_this_machine_needs_no_destination() {
        let found = invocation(&["-D", "/bin/server -e"]).unwrap();
        assert_eq!((found.destination, found.path), (None, None));
        let found = invocation(&["-D", "/bin/server", "a:b", "c"]).unwrap();
        assert_eq!((found.path, found.local), (Some(b"a:b".to_vec()), Some("c".into())));
    }

    #[test]
    fn the_pace_is_set_by_letters_and_by_names() {
        let pace = |words: &[&str]| invocation(words).unwrap().settings.pace;
        let by_letters = pace(&["-B", "32768", "-R", "2", "-l", "8", "h"]);
        let expected = Pace { request: Some(32768), requests: Some(2), rate: Some(1024) };
        assert_eq!(by_letters, expected);
        assert_eq!(pace(&["-Xbuffer=32768", "-Xnrequests=2", "-l8", "h"]), expected);
        assert!(invocation(&["-B", "0", "h"]).is_err());
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let line = |words: &[&str]| invocation(words).unwrap_err().to_string();
        assert!(line(&["-J", "a", "h"]).contains("-J"));
        assert!(line(&["-l", "much", "h"]).contains("-l"));
        assert!(line(&["-X", "foo=1", "h"]).contains("foo"));
        assert!(line(&["-z", "h"]).contains("-z"));
        assert!(line(&["-oFoo=1", "h"]).contains("Foo"));
    }

    #[test]
    fn lines_are_read_up_to_a_bound() {
        let mut reader = &b"pwd\n\nls"[..];
        assert_eq!(read_line(&mut reader), Ok(Some(b"pwd".to_vec())));
        assert_eq!(read_line(&mut reader), Ok(Some(vec![])));
        assert_eq!(read_line(&mut reader), Ok(Some(b"ls".to_vec())));
        assert_eq!(read_line(&mut reader), Ok(None));
        let mut endless = BufReader::new(io::repeat(0));
        assert!(read_line(&mut endless).is_err());
    }

    #[test]
    fn a_batch_file_that_is_missing_is_named() {
        let failure = Lines::open(Some(Path::new("/nonexistent/batch"))).err().unwrap();
        assert_eq!(
            failure.to_string(),
            "cannot read the batch file /nonexistent/batch: no such file or directory"
        );
    }
}
