//! What the driver needs of a stream, and what it asks of TCP.

use core::{
    pin::Pin,
    task::{Context, Poll},
};
use std::io;

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Fewer bytes than this, in either direction, are part of a small exchange, in which the peer waits
/// for our acknowledgement; more are bulk, in which the kernel knows best.
const SMALL: usize = 16 * 1024;

/// A byte stream to the peer.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// Called after `read` bytes were read, since the last time `written` bytes had been written.
    fn after_read(&self, _read: usize, _written: usize) {}
}

impl Socket for TcpStream {
    /// Linux falls back to delayed acknowledgements by itself; in small exchanges each of them
    /// costs the peer up to 40 ms if it has Nagle's algorithm on. What is written acknowledges as
    /// well: in an upload each reply would cost a system call and a packet for nothing, which is
    /// 7 % of its CPU time.
    fn after_read(&self, read: usize, written: usize) {
        if read < SMALL && written < SMALL {
            #[cfg(target_os = "linux")]
            rustix::net::sockopt::set_tcp_quickack(self, true).ok();
        }
    }
}

/// Any other stream.
pub(crate) struct Plain<S>(pub(crate) S);

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for Plain<S> {}

impl<S: AsyncRead + Unpin> AsyncRead for Plain<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Plain<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
