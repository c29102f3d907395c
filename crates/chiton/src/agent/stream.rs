//! What connects to an agent: a Unix socket, a named pipe on Windows, or whatever carries bytes.

use std::{io, path::Path};

use ssh_agent::frame;
use ssh_crypto::Secret;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// A stream of bytes to an agent or to one of its clients.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// Connects to the agent at `path`.
#[cfg(unix)]
pub(super) async fn open(path: &Path) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(tokio::net::UnixStream::connect(path).await?))
}

/// Connects to the agent at `path`, a named pipe.
#[cfg(windows)]
pub(super) async fn open(path: &Path) -> io::Result<Box<dyn Stream>> {
    Ok(Box::new(tokio::net::windows::named_pipe::ClientOptions::new().open(path)?))
}

/// Sends a message.
pub(super) async fn send(stream: &mut (impl Stream + ?Sized), message: &[u8]) -> io::Result<()> {
    let framed = frame::framed(message).map_err(io::Error::other)?;
    stream.write_all(framed.expose()).await?;
    stream.flush().await
}

/// Receives a message; `None` at the end of the stream, where one may end.
pub(super) async fn receive(
    stream: &mut (impl Stream + ?Sized),
) -> io::Result<Option<Secret<Vec<u8>>>> {
    let mut header = [0; frame::HEADER_LEN];
    let (first, rest) = header.split_at_mut(1);
    if stream.read(first).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(rest).await?;
    let len = frame::len(header).map_err(io::Error::other)?;
    // Bounded; and so is the number of those who can make us hold as much.
    let mut message = Secret::new(vec![0; len]);
    stream.read_exact(message.expose_mut()).await?;
    Ok(Some(message))
}
