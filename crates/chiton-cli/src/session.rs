//! A command or a shell with the standard streams of this process, and its terminal.

use core::convert::Infallible;
use std::io;

use chiton::{Child, ChildStderr, ChildStdin, ChildStdout, Client, Command, ExitStatus, Pty};
use ssh_connection::WindowSize;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    signal::unix::{SignalKind, signal},
};

use crate::{
    advice,
    connect::Target,
    escapes::{self, Action, Escapes},
    failure::{Failure, Result, io_reason},
    log::{self, Level, say},
    signals,
    stdio::{Input, Output},
    terminal::{self, Guard},
};

/// What the program exits with when the command gave no status it could exit with.
const NO_STATUS: u8 = 255;

/// The size of a terminal that does not tell its own.
const DEFAULT_SIZE: (u32, u32) = (80, 24);

/// What to start, and how to treat it.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    pub(crate) command: Command,
    /// Ask for a terminal.
    pub(crate) tty: bool,
    /// The character that begins an escape.
    pub(crate) escape: Option<u8>,
    /// The input is empty.
    pub(crate) no_stdin: bool,
    /// For messages.
    pub(crate) target: &'a Target,
}

/// Why the streams stopped flowing.
#[derive(Debug)]
enum End {
    /// The command closed its outputs.
    Outputs,
    /// The user typed `~.`
    Disconnect,
    /// Nobody reads our standard output any more.
    NoReader,
}

/// Runs a command to its end; gives the exit code.
pub(crate) async fn run(client: &Client, start: Start<'_>) -> Result<u8> {
    let target = start.target;
    let explain = |error: chiton::Error| Failure::new(advice::explain(&error, Some(target)));
    let mut command = start.command;
    if start.tty {
        command = command.pty(pty());
    }
    let mut child = command.spawn().await.map_err(explain)?;
    let raw = if start.tty && terminal::stdin_is_tty() {
        let raw = Guard::raw();
        Some(raw.map_err(|e| Failure::new(format_args!("cannot set the terminal: {e}")))?)
    } else {
        None
    };
    let keyboard = Keyboard { client, escapes: Escapes::new(start.escape), raw };
    let end = flow(&mut child, keyboard, start.tty, start.no_stdin).await;
    let end = end.map_err(|stop| stop.explain(target))?;
    let status = match end {
        End::Outputs => child.wait().await.map_err(explain)?,
        End::Disconnect => {
            say!(Info, "Connection to {} closed.", target.host);
            return Ok(NO_STATUS);
        }
        End::NoReader => {
            say!(Verbose, "Nobody reads the output any more.");
            return Ok(NO_STATUS);
        }
    };
    if start.tty {
        say!(Info, "Connection to {} closed.", target.host);
    }
    Ok(exit_code(&status))
}

fn exit_code(status: &ExitStatus) -> u8 {
    match status {
        ExitStatus::Code(code) => u8::try_from(*code).unwrap_or(NO_STATUS),
        _ => {
            say!(Verbose, "The command ended with {status}.");
            NO_STATUS
        }
    }
}

fn pty() -> Pty<'static> {
    let (columns, rows) = size();
    let term = std::env::var("TERM").unwrap_or_default().into_bytes();
    Pty {
        term: term.into(),
        size: WindowSize::of_characters(columns, rows),
        modes: terminal::modes(),
    }
}

fn size() -> (u32, u32) {
    terminal::size().unwrap_or(DEFAULT_SIZE)
}

/// Lets the streams flow until the command has closed its own.
async fn flow(
    child: &mut Child,
    keyboard: Keyboard<'_>,
    tty: bool,
    no_stdin: bool,
) -> core::result::Result<End, Stop> {
    let local = |error| Stop::local("use the standard streams", &error);
    let outputs = outputs(child.stdout.take(), child.stderr.take()).map_err(local)?;
    // Dropping the stream says that the input is empty.
    let input = match child.stdin.take().filter(|_| !no_stdin) {
        Some(stream) => Some((Input::stdin().map_err(local)?, stream)),
        None => None,
    };
    // The outputs come first: what the command has written is shown even if it is over.
    tokio::select! {
        biased;
        end = outputs => end,
        never = follow_size(child), if tty => match never {},
        () = keyboard.run(input) => Ok(End::Disconnect),
    }
}

/// Writes both outputs until the command closes them.
fn outputs(
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
) -> io::Result<impl Future<Output = core::result::Result<End, Stop>>> {
    let (to_stdout, to_stderr) = (Output::stdout()?, Output::stderr()?);
    Ok(async move {
        let both = tokio::try_join!(
            pump(stdout, to_stdout, "standard output"),
            pump(stderr, to_stderr, "standard error"),
        );
        match both {
            Ok((None, None)) => Ok(End::Outputs),
            Ok((Some(lost), _) | (None, Some(lost))) => Err(Stop::Lost(lost)),
            Err(Stop::NoReader) => Ok(End::NoReader),
            Err(stop) => Err(stop),
        }
    })
}

/// Why the streams cannot flow any more.
#[derive(Debug)]
enum Stop {
    /// Nobody reads one of ours.
    NoReader,
    /// One of ours failed.
    Failed(Failure),
    /// One of the command's was cut off.
    Lost(io::Error),
}

impl Stop {
    fn local(doing: &str, error: &io::Error) -> Self {
        Self::Failed(Failure::new(format_args!("cannot {doing}: {}", io_reason(error))))
    }

    fn explain(self, target: &Target) -> Failure {
        match self {
            Self::NoReader => Failure::new("nobody reads the output any more"),
            Self::Failed(failure) => failure,
            // The library's error is inside of the stream's.
            Self::Lost(error) => match error.downcast::<chiton::Error>() {
                Ok(error) => Failure::new(advice::explain(&error, Some(target))),
                Err(error) => Failure::new(error),
            },
        }
    }
}

/// Writes a stream of the command to one of ours up to its end. If the connection is lost before
/// it, everything that was received is written, and the loss given back.
async fn pump(
    from: Option<impl AsyncRead + Unpin>,
    mut to: Output,
    name: &'static str,
) -> core::result::Result<Option<io::Error>, Stop> {
    let Some(mut from) = from else { return Ok(None) };
    let lost = loop {
        let mut chunk = to.chunk();
        match from.read(chunk.room()).await {
            Ok(0) => break None,
            Ok(count) => chunk.set_filled(count),
            Err(error) => break Some(error),
        }
        if !to.write(chunk).await {
            break None;
        }
    };
    match to.finish().await {
        Ok(()) => Ok(lost),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Stop::NoReader),
        Err(error) => Err(Stop::local(&format!("write to {name}"), &error)),
    }
}

/// Tells the command about every change of the terminal's size. Never ends.
async fn follow_size(child: &Child) -> Infallible {
    if let Ok(mut changes) = signal(SignalKind::window_change()) {
        while changes.recv().await.is_some() {
            let (columns, rows) = size();
            if child.resize(columns, rows).is_err() {
                break;
            }
        }
    }
    core::future::pending().await
}

/// The user's side of a session: what is typed, and the terminal it is typed on.
struct Keyboard<'a> {
    client: &'a Client,
    escapes: Escapes,
    raw: Option<Guard>,
}

impl Keyboard<'_> {
    /// Sends what is typed or piped in. Ends only when the user asks for it.
    async fn run(mut self, input: Option<(Input, ChildStdin)>) {
        if let Some((mut input, mut stream)) = input {
            if self.send(&mut input, &mut stream).await {
                return;
            }
            // Dropping it says that the input is at its end.
            drop(stream);
        }
        // Keeps the terminal raw while the command goes on.
        core::future::pending::<()>().await;
    }

    /// True if the user wants to disconnect; false at the end of the input.
    async fn send(&mut self, input: &mut Input, stream: &mut ChildStdin) -> bool {
        let mut typed = Vec::new();
        loop {
            let chunk = match input.next().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return false,
                Err(error) => {
                    say!(Error, "Cannot read standard input: {error}.");
                    return false;
                }
            };
            if !self.escapes.are_on() {
                let sent = stream.write_all(chunk.bytes()).await;
                input.give_back(chunk);
                if sent.is_err() {
                    // The command reads no more; it may still write.
                    return false;
                }
                continue;
            }
            let mut rest = chunk.bytes();
            while !rest.is_empty() {
                typed.clear();
                let (taken, action) = self.escapes.feed(rest, &mut typed);
                rest = rest.get(taken..).unwrap_or_default();
                if stream.write_all(&typed).await.is_err() {
                    return false;
                }
                if let Some(action) = action
                    && self.act(action)
                {
                    return true;
                }
            }
            input.give_back(chunk);
        }
    }

    /// Does what an escape asks for. True if that is to disconnect.
    fn act(&mut self, action: Action) -> bool {
        match action {
            Action::Disconnect => return true,
            Action::Help => say!(Error, "{}", escapes::HELP),
            Action::Rekey => self.client.rekey(),
            Action::Louder => log::set_level(log::level().louder()),
            Action::Quieter => log::set_level(log::level().quieter()),
            Action::Suspend => self.suspend(),
        }
        if matches!(action, Action::Louder | Action::Quieter) && log::level() > Level::Quiet {
            say!(Error, "LogLevel {:?}.", log::level());
        }
        false
    }

    fn suspend(&mut self) {
        let was_raw = self.raw.take().is_some();
        if let Err(error) = signals::suspend() {
            say!(Error, "Cannot suspend: {error}.");
        }
        if was_raw {
            match Guard::raw() {
                Ok(guard) => self.raw = Some(guard),
                Err(error) => say!(Error, "Cannot set the terminal: {error}."),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn statuses_become_exit_codes() {
        assert_eq!(exit_code(&ExitStatus::Code(7)), 7);
        assert_eq!(exit_code(&ExitStatus::Code(256)), 255);
        assert_eq!(exit_code(&ExitStatus::Missing), 255);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stream_is_written_to_its_end() {
        let (reader, writer) = io::pipe().unwrap();
        let bytes: Vec<u8> = (0..600_000_u32).map(|i| (i >> 3) as u8).collect();
        let read = std::thread::spawn(move || {
            let mut all = Vec::new();
            (&reader).read_to_end(&mut all).unwrap();
            all
        });
        let output = Output::new(writer.into(), "test").unwrap();
        assert!(matches!(pump(Some(bytes.as_slice()), output, "test").await, Ok(None)));
        assert_eq!(read.join().unwrap(), bytes);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn an_output_without_a_reader_ends_the_stream() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let output = Output::new(writer.into(), "test").unwrap();
        let stopped = pump(Some(tokio::io::repeat(b'y')), output, "test").await;
        assert!(matches!(stopped, Err(Stop::NoReader)));
    }
}
