//! Commands on the other side, shaped like [`tokio::process`].

use core::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};
use std::{io, sync::Arc};

use ssh_connection::{Env, Pty, Request, Signal, Stream, WindowSize};
use ssh_wire::PeerText;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    channel::Channel,
    driver::Connection,
    error::{ChannelError, CommandFailed, Error},
    exit_status::ExitStatus,
};

/// How much of a failed command's standard error goes into [`Error::CommandFailed`].
const STDERR_IN_ERROR: usize = 1024;

/// How much of each stream is collected, unless [`Command::max_output`] says otherwise: what a
/// program would want in memory at once. A server could else fill it.
pub const MAX_OUTPUT: usize = 64 * 1024 * 1024;

/// What a command did, as [`crate::Client::exec`] returns it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Turns everything but status 0 into an error.
    ///
    /// # Errors
    /// [`Error::CommandFailed`] with the status and the end of the standard error.
    pub fn ok(self) -> Result<Self, Error> {
        if self.status.success() {
            return Ok(self);
        }
        let from = self.stderr.len().saturating_sub(STDERR_IN_ERROR);
        let tail = self.stderr.get(from..).unwrap_or_default().trim_ascii();
        Err(Error::CommandFailed(Box::new(CommandFailed {
            status: self.status,
            stderr: PeerText::from_bytes(tail),
        })))
    }
}

/// What to do with one of a command's streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stdio {
    /// It is there in [`Child`].
    #[default]
    Piped,
    /// Input ends at once; output is dropped as it arrives.
    Null,
}

impl Stdio {
    /// The stream is there in [`Child`].
    #[must_use]
    pub const fn piped() -> Self {
        Self::Piped
    }

    /// Input ends at once; output is dropped as it arrives.
    #[must_use]
    pub const fn null() -> Self {
        Self::Null
    }
}

/// A command to be run, a shell or a subsystem.
#[derive(Clone, Debug)]
#[must_use = "a command does nothing until it is spawned"]
pub struct Command {
    connection: Arc<Connection>,
    start: Request<'static>,
    start_name: &'static str,
    env: Vec<(String, String)>,
    pty: Option<Pty<'static>>,
    stdin: Stdio,
    stdout: Stdio,
    stderr: Stdio,
    max_output: usize,
}

impl Command {
    pub(crate) fn new(
        connection: Arc<Connection>,
        start_name: &'static str,
        start: Request<'static>,
    ) -> Self {
        Self {
            connection,
            start,
            start_name,
            env: Vec::new(),
            pty: None,
            stdin: Stdio::Piped,
            stdout: Stdio::Piped,
            stderr: Stdio::Piped,
            max_output: MAX_OUTPUT,
        }
    }

    /// Sets an environment variable (RFC 4254 §6.4). Servers ignore the ones that they do not
    /// know, and do so silently: a refusal is not an error.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Runs on a terminal, or not (RFC 4254 §6.2). On a terminal both outputs arrive as one.
    pub fn pty(mut self, pty: impl Into<Option<Pty<'static>>>) -> Self {
        self.pty = pty.into();
        self
    }

    /// What to do with the standard input.
    pub const fn stdin(mut self, stdio: Stdio) -> Self {
        self.stdin = stdio;
        self
    }

    /// What to do with the standard output.
    pub const fn stdout(mut self, stdio: Stdio) -> Self {
        self.stdout = stdio;
        self
    }

    /// What to do with the standard error.
    pub const fn stderr(mut self, stdio: Stdio) -> Self {
        self.stderr = stdio;
        self
    }

    /// How many bytes of each stream [`output`](Self::output) and
    /// [`Child::wait_with_output`] collect; [`MAX_OUTPUT`] unless said. More is an error.
    pub const fn max_output(mut self, bytes: usize) -> Self {
        self.max_output = bytes;
        self
    }

    /// Opens a channel and starts the command on it: two round trips, however much is set.
    ///
    /// # Errors
    /// The server refuses the channel, the terminal or the command; the connection ends.
    ///
    /// # Cancel safety
    /// Dropping the future closes the channel again. Whether the command has begun by then is
    /// not known.
    pub async fn spawn(&self) -> Result<Child, Error> {
        let channel = Channel::open_session(&self.connection).await?;
        for (name, value) in &self.env {
            channel.tell(&Request::Env(Env {
                name: name.clone().into_bytes().into(),
                value: value.clone().into_bytes().into(),
            }))?;
        }
        let mut requests = Vec::with_capacity(2);
        if let Some(pty) = &self.pty {
            requests.push(("pty-req", Request::Pty(pty.clone())));
        }
        requests.push((self.start_name, self.start.clone()));
        channel.ask(&requests).await?;

        let channel = Arc::new(channel);
        let output = |stdio, stream| match stdio {
            Stdio::Piped => Some(Arc::clone(&channel)),
            Stdio::Null => {
                channel.discard(stream);
                None
            }
        };
        let stdout = output(self.stdout, Stream::Data).map(ChildStdout);
        let stderr = output(self.stderr, Stream::Stderr).map(ChildStderr);
        let stdin = match self.stdin {
            Stdio::Piped => Some(ChildStdin { channel: Arc::clone(&channel), ended: false }),
            Stdio::Null => {
                channel.eof();
                None
            }
        };
        Ok(Child { channel, stdin, stdout, stderr, max_output: self.max_output })
    }

    /// Runs the command to its end and collects what it writes. The input is empty.
    ///
    /// # Errors
    /// As [`Self::spawn`]; [`ChannelError::OutputTooLong`]. A status other than 0 is not an error
    /// (see [`Output::ok`]).
    ///
    /// # Cancel safety
    /// Dropping the future closes the channel, which does not end the command on most servers.
    pub async fn output(&self) -> Result<Output, Error> {
        let mut child = self.clone().stdin(Stdio::Null).spawn().await?;
        child.stdin = None;
        child.wait_with_output().await
    }

    /// Runs the command to its end, dropping what it writes. The input is empty.
    ///
    /// # Errors
    /// As [`Self::spawn`].
    ///
    /// # Cancel safety
    /// As [`Self::output`].
    pub async fn status(&self) -> Result<ExitStatus, Error> {
        let quiet = self.clone().stdin(Stdio::Null).stdout(Stdio::Null).stderr(Stdio::Null);
        quiet.spawn().await?.wait().await
    }
}

/// A command that runs on the other side.
///
/// Dropping it and its streams closes the channel.
#[derive(Debug)]
pub struct Child {
    channel: Arc<Channel>,
    /// Where to write the command's input to. Dropping it sends the end of the input.
    pub stdin: Option<ChildStdin>,
    /// What the command writes to its standard output.
    pub stdout: Option<ChildStdout>,
    /// What the command writes to its standard error.
    pub stderr: Option<ChildStderr>,
    max_output: usize,
}

impl Child {
    /// Waits for the end of the command. As in [`tokio::process::Child::wait`], the input is
    /// closed first. Output that nobody has taken is dropped, so that the command cannot hang on
    /// it.
    ///
    /// # Errors
    /// The connection ended before the channel was closed.
    ///
    /// # Cancel safety
    /// Safe: it can be called again.
    pub async fn wait(&mut self) -> Result<ExitStatus, Error> {
        self.stdin = None;
        if self.stdout.is_some() {
            self.channel.discard(Stream::Data);
        }
        if self.stderr.is_some() {
            self.channel.discard(Stream::Stderr);
        }
        self.channel.wait_closed().await
    }

    /// Waits for the end of the command and collects what it writes, both streams at once.
    ///
    /// # Errors
    /// As [`Self::wait`], and [`ChannelError::OutputTooLong`] with which the channel is closed.
    ///
    /// # Cancel safety
    /// Dropping the future drops the child with it.
    pub async fn wait_with_output(mut self) -> Result<Output, Error> {
        let limit = self.max_output;
        self.stdin = None;
        let mut out = self.stdout.take();
        let mut err = self.stderr.take();
        let collect_out = async {
            let mut bytes = Vec::new();
            if let Some(stream) = &mut out {
                collect(&stream.0, Stream::Data, limit, &mut bytes).await?;
            }
            Ok::<_, Error>(bytes)
        };
        let collect_err = async {
            let mut bytes = Vec::new();
            if let Some(stream) = &mut err {
                collect(&stream.0, Stream::Stderr, limit, &mut bytes).await?;
            }
            Ok::<_, Error>(bytes)
        };
        let (stdout, stderr) = tokio::try_join!(collect_out, collect_err)?;
        let status = self.channel.wait_closed().await?;
        Ok(Output { status, stdout, stderr })
    }

    /// Sends a signal to the command, by its name without `SIG`: `TERM`, `KILL`, `INT`
    /// (RFC 4254 §6.9). Nobody answers; OpenSSH knows it since 7.9, others ignore it.
    ///
    /// # Errors
    /// The channel or the connection is closed.
    pub fn signal(&self, name: &str) -> Result<(), Error> {
        self.channel.tell(&Request::Signal(Signal::named(name.to_owned())))
    }

    /// Ends the command as far as the protocol can: `KILL`, then the channel is closed.
    pub fn kill(&mut self) {
        // A closed channel has nothing left to kill.
        self.signal("KILL").ok();
        self.channel.close();
    }

    /// Tells the command that its terminal has another size now (RFC 4254 §6.7).
    ///
    /// # Errors
    /// The channel or the connection is closed.
    pub fn resize(&self, columns: u32, rows: u32) -> Result<(), Error> {
        self.channel.tell(&Request::WindowChange(WindowSize { columns, rows, width: 0, height: 0 }))
    }

    /// True when the command has ended or the connection is gone.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.channel.is_closed()
    }
}

async fn collect(
    channel: &Channel,
    stream: Stream,
    limit: usize,
    into: &mut Vec<u8>,
) -> Result<(), Error> {
    while let Some(bytes) = poll_fn(|cx| channel.poll_read_chunk(stream, cx)).await? {
        if bytes.len() > limit.saturating_sub(into.len()) {
            return Err(ChannelError::OutputTooLong(limit).into());
        }
        into.extend_from_slice(&bytes);
    }
    Ok(())
}

/// The input of a command. Dropping it, or shutting it down, sends the end of the input.
///
/// # Cancel safety
/// What a `write` returned as written is on its way; a `write` that was dropped wrote nothing.
#[derive(Debug)]
pub struct ChildStdin {
    channel: Arc<Channel>,
    ended: bool,
}

impl ChildStdin {
    fn end(&mut self) {
        if !core::mem::replace(&mut self.ended, true) {
            self.channel.eof();
        }
    }
}

impl Drop for ChildStdin {
    fn drop(&mut self) {
        self.end();
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.channel.poll_write(Stream::Data, cx, &[buf]).map_err(io::Error::from)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let slices: Vec<&[u8]> = bufs.iter().map(|buf| &**buf).collect();
        self.channel.poll_write(Stream::Data, cx, &slices).map_err(io::Error::from)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

macro_rules! output_stream {
    ($(#[$doc:meta])* $name:ident, $stream:expr) => {
        $(#[$doc])*
        ///
        /// # Cancel safety
        /// A `read` that was dropped has read nothing.
        #[derive(Debug)]
        pub struct $name(pub(crate) Arc<Channel>);

        impl $name {
            /// The next piece of the stream as it was received, without a copy; `None` at its end.
            ///
            /// # Errors
            /// What ended the connection.
            ///
            /// # Cancel safety
            /// Safe.
            pub async fn read_chunk(&mut self) -> Result<Option<bytes::Bytes>, Error> {
                poll_fn(|cx| self.0.poll_read_chunk($stream, cx)).await
            }

            /// Reads everything up to the end of the stream, at most [`MAX_OUTPUT`] bytes.
            ///
            /// # Errors
            /// [`ChannelError::OutputTooLong`], or what ended the connection.
            ///
            /// # Cancel safety
            /// What was read is lost when the future is dropped.
            pub async fn read_all(&mut self) -> Result<Vec<u8>, Error> {
                self.read_up_to(MAX_OUTPUT).await
            }

            /// Reads everything up to the end of the stream, at most `limit` bytes.
            ///
            /// # Errors
            /// As [`Self::read_all`].
            ///
            /// # Cancel safety
            /// As [`Self::read_all`].
            pub async fn read_up_to(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
                let mut bytes = Vec::new();
                collect(&self.0, $stream, limit, &mut bytes).await?;
                Ok(bytes)
            }
        }

        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.0.poll_read($stream, cx, buf).map_err(io::Error::from)
            }
        }
    };
}

output_stream! {
    /// The standard output of a command.
    ChildStdout, Stream::Data
}

output_stream! {
    /// The standard error of a command.
    ChildStderr, Stream::Stderr
}
