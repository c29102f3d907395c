//! What an SFTP session travels over: a channel of a connection, or any stream of bytes.

use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{
    io::{self, IoSlice},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Bytes, BytesMut};
use ssh_connection::Stream as ChannelStream;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::{
    channel::Channel,
    error::{Error, Phase},
};

/// How much one read of a stream takes at most: what a pipe holds.
const READ: usize = 64 * 1024;

/// Both directions of a byte stream.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send {}

impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// The way to the server.
#[derive(Debug)]
pub(super) enum Link {
    Channel(Arc<Channel>),
    Stream(Mutex<Stream>),
}

/// A byte stream, and the memory that the next read fills.
pub(super) struct Stream {
    io: Pin<Box<dyn Duplex>>,
    buffer: BytesMut,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Link {
    pub(super) fn stream(io: impl Duplex + 'static) -> Self {
        Self::Stream(Mutex::new(Stream { io: Box::pin(io), buffer: BytesMut::new() }))
    }

    /// Takes the next piece of what was received; `None` at the end.
    pub(super) fn poll_read_chunk(&self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        match self {
            Self::Channel(channel) => channel.poll_read_chunk(ChannelStream::Data, cx),
            Self::Stream(stream) => {
                let Stream { io, buffer } = &mut *lock(stream);
                buffer.reserve(READ);
                let mut cx = Context::from_waker(cx.waker());
                let read = ready!(poll_read_buf(io.as_mut(), &mut cx, buffer)).map_err(lost)?;
                Poll::Ready(Ok((read > 0).then(|| buffer.split().freeze())))
            }
        }
    }

    /// Writes as much as there is room for now; the pieces travel together.
    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        pieces: &[&[u8]],
    ) -> Poll<Result<usize, Error>> {
        match self {
            Self::Channel(channel) => channel.poll_write(ChannelStream::Data, cx, pieces),
            Self::Stream(stream) => {
                let slices: Vec<IoSlice<'_>> = pieces.iter().map(|p| IoSlice::new(p)).collect();
                let mut cx = Context::from_waker(cx.waker());
                let wrote = lock(stream).io.as_mut().poll_write_vectored(&mut cx, &slices);
                match ready!(wrote).map_err(lost)? {
                    0 => Poll::Ready(Err(lost(io::ErrorKind::WriteZero.into()))),
                    n => Poll::Ready(Ok(n)),
                }
            }
        }
    }

    /// Sees to it that what was written is on its way; to be called again when woken.
    pub(super) fn poll_flush(&self, cx: &Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::Channel(_) => Poll::Ready(Ok(())),
            Self::Stream(stream) => {
                let mut cx = Context::from_waker(cx.waker());
                lock(stream).io.as_mut().poll_flush(&mut cx).map_err(lost)
            }
        }
    }
}

fn lock(stream: &Mutex<Stream>) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lost(error: io::Error) -> Error {
    Error::ConnectionLost(Phase::Connected, Some(Arc::new(error)))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use crate::{Sftp, error::SftpErrorKind};

    /// VERSION 3 without extensions.
    const VERSION: &[u8] = &[0, 0, 0, 5, 2, 0, 0, 0, 3];

    #[tokio::test]
    async fn a_session_goes_over_any_stream_and_ends_with_it() {
        // A buffered writer keeps what it is given until it is flushed.
        let (ours, mut server) = duplex(16);
        let open = tokio::spawn(Sftp::over(tokio::io::BufStream::new(ours)));
        let mut init = [0; 9];
        server.read_exact(&mut init).await.unwrap();
        assert_eq!(init, [0, 0, 0, 5, 1, 0, 0, 0, 3]);
        server.write_all(VERSION).await.unwrap();
        let sftp = open.await.unwrap().unwrap();
        assert!(sftp.ended().is_none());

        let asking = tokio::spawn({
            let sftp = sftp.clone();
            async move { sftp.canonicalize("a path that is longer than the stream holds").await }
        });
        let mut length = [0; 4];
        server.read_exact(&mut length).await.unwrap();
        let mut request = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        server.read_exact(&mut request).await.unwrap();
        assert!(request.ends_with(b"holds"));
        drop(server);
        let error = asking.await.unwrap().unwrap_err();
        let crate::Error::Sftp(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind, SftpErrorKind::SubsystemEnded), "{error}");
        assert!(matches!(sftp.ended(), Some(SftpErrorKind::SubsystemEnded)));
    }

    #[tokio::test]
    async fn a_stream_that_speaks_something_else_is_an_error() {
        let (ours, mut server) = duplex(1024);
        server.write_all(b"Welcome to example.org!\r\n").await.unwrap();
        let error = Sftp::over(ours).await.unwrap_err();
        let crate::Error::Sftp(error) = error else { panic!("{error}") };
        assert!(matches!(error.kind, SftpErrorKind::Protocol(_)), "{error}");
    }
}
