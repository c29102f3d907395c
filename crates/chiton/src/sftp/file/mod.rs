//! An open file: reads ahead and writes behind, so that the ordinary traits keep the link full.

mod ahead;
mod behind;
mod options;
#[cfg(test)]
mod tests;

pub use options::OpenOptions;

use core::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{
    io::{self, SeekFrom},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, Bytes};
use sftp::{
    Attrs, Extension,
    client::{Client, Handle},
};
use tokio::io::{AsyncRead, AsyncSeek, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{
    RemotePath, Request, Sftp,
    engine::{Opened, Ticket},
    error, expect_attrs, expect_ok,
};
use crate::error::{Error, SftpErrorKind};
use ahead::Reader;
use behind::Writer;

/// An open file on the other side.
///
/// Reading asks for more than is wanted at the moment, up to 4 MiB. Writing does not wait for the
/// answers: up to 4 MiB are under way, and small pieces are put together while something is. What
/// went wrong is told by the next write, and by [`flush`](AsyncWriteExt::flush),
/// [`sync_all`](Self::sync_all) and [`close`](Self::close), which wait for every answer; once a
/// write has failed, all of them go on to fail.
///
/// Dropping a file sends what was written, and closes it without telling how that went.
///
/// # Cancel safety
/// A read or write that was dropped has read or written nothing.
#[derive(Debug)]
pub struct File {
    sftp: Sftp,
    path: RemotePath,
    handle: Opened,
    position: u64,
    reader: Reader,
    /// Behind a lock for the methods that need no exclusive file, and still come after what was
    /// written before.
    writer: Mutex<Writer>,
    seek: Option<Seek>,
}

#[derive(Debug)]
enum Seek {
    To(u64),
    /// Before the size is asked for, and then while it is waited for.
    FromEnd(Option<Ticket>, i64),
}

impl File {
    pub(super) fn new(sftp: Sftp, path: RemotePath, handle: Handle) -> Self {
        let reader = Reader::new(&sftp.engine, 0);
        let writer = Mutex::new(Writer::new(&sftp.engine));
        let handle = Opened::new(Arc::clone(&sftp.engine), handle);
        Self { sftp, path, handle, position: 0, reader, writer, seek: None }
    }

    fn error(&self, operation: &'static str, kind: SftpErrorKind) -> Error {
        error(operation, self.path.as_bytes(), kind)
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    /// The handle, for a request that is to come after everything that was written.
    fn poll_handle(&self, cx: &Context<'_>) -> Poll<Result<Handle, SftpErrorKind>> {
        let handle = self.handle.handle()?.clone();
        ready!(self.lock().poll_send_pending(&handle, cx))?;
        Poll::Ready(Ok(handle))
    }

    async fn handle(&self) -> Result<Handle, SftpErrorKind> {
        poll_fn(|cx| self.poll_handle(cx)).await
    }

    /// The most that one request may read and write.
    fn limits(&self) -> (u32, u32) {
        self.sftp.engine.client(|client| (client.limits().max_read, client.limits().max_write))
    }

    /// Reading goes on at another place, or what was read ahead was just overwritten.
    fn restart_reader(&mut self) {
        if !self.reader.is_fresh(self.position) {
            self.reader = Reader::new(&self.sftp.engine, self.position);
        }
    }

    async fn act(&self, operation: &'static str, request: impl Request) -> Result<(), Error> {
        let reply = self.sftp.ask(request).await;
        reply.and_then(expect_ok).map_err(|kind| self.error(operation, kind))
    }

    /// What the server says about the open file.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn metadata(&self) -> Result<Attrs, Error> {
        let ask = async {
            let handle = self.handle().await?;
            self.sftp.ask(|client, out| client.fstat(&handle, out)).await.and_then(expect_attrs)
        };
        ask.await.map_err(|kind| self.error("metadata", kind))
    }

    /// Changes what is set in `attrs`: size, owner, permissions, times.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn set_attrs(&self, attrs: &Attrs) -> Result<(), Error> {
        let handle = self.handle().await.map_err(|kind| self.error("set_attrs", kind))?;
        self.act("set_attrs", |client, out| client.fsetstat(&handle, attrs, out)).await
    }

    /// Cuts the file, or makes it longer with zeros.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn set_len(&self, size: u64) -> Result<(), Error> {
        let handle = self.handle().await.map_err(|kind| self.error("set_len", kind))?;
        let attrs = Attrs::with_size(size);
        self.act("set_len", |client, out| client.fsetstat(&handle, &attrs, out)).await
    }

    /// Waits until everything that was written is confirmed, and on the server's disk
    /// (`fsync@openssh.com`).
    ///
    /// # Errors
    /// A write failed, the server cannot say (it does not offer the extension), its answer, or the
    /// end of the connection.
    pub async fn sync_all(&mut self) -> Result<(), Error> {
        self.sftp.need(Extension::Fsync, "sync_all", &self.path).await?;
        let settle = async {
            poll_fn(|cx| self.poll_settle(cx)).await?;
            self.handle().await
        };
        let handle = settle.await.map_err(|kind| self.error("sync_all", kind))?;
        self.act("sync_all", |client, out| client.fsync(&handle, out)).await
    }

    /// Reads from `offset` into `buf` until that is full or the file ends, and says how many bytes.
    /// The place where [`AsyncRead`] goes on stays where it is.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize, Error> {
        let len = u64::try_from(buf.len()).unwrap_or(u64::MAX);
        let size = self.limits().0;
        let mut reader = Reader::of_range(&self.sftp.engine, offset, len);
        let mut filled: usize = 0;
        let read = async {
            let handle = self.handle().await?;
            loop {
                let rest = buf.get_mut(filled..).unwrap_or_default();
                let taken = poll_fn(|cx| take_piece(&mut reader, &handle, size, rest, cx)).await?;
                if taken == 0 {
                    return Ok(filled);
                }
                filled = filled.saturating_add(taken);
            }
        };
        read.await.map_err(|kind| self.error("read_at", kind))
    }

    /// Writes all of `data` at `offset`, and waits for the server's confirmation. The place where
    /// [`AsyncWrite`] goes on stays where it is. A file opened for appending ignores the offset.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection. Parts of it may have been written.
    ///
    /// # Cancel safety
    /// Parts of it may have been written.
    pub async fn write_at(&self, data: &[u8], offset: u64) -> Result<(), Error> {
        let most = self.limits().1;
        let mut writer = Writer::new(&self.sftp.engine);
        let (mut at, mut rest) = (offset, data);
        let write = async {
            let handle = self.handle().await?;
            while !rest.is_empty() {
                let taken = poll_fn(|cx| writer.poll_write(&handle, (at, rest), most, cx)).await?;
                rest = rest.get(taken..).unwrap_or_default();
                at = at.saturating_add(u64::try_from(taken).unwrap_or(u64::MAX));
            }
            poll_fn(|cx| writer.poll_settle(&handle, cx)).await
        };
        write.await.map_err(|kind| self.error("write_at", kind))
    }

    /// Copies content to another open file without its coming here (`copy-data`): `len` bytes from
    /// `offset`, or everything up to the end if there is no `len`.
    ///
    /// # Errors
    /// The server's answer: a failure if both are the same file, and "end of file" if there is less
    /// than `len`, though OpenSSH's server does not notice if what is missing is below 64 KiB.
    /// A server without the extension, or the end of the connection.
    ///
    /// # Cancel safety
    /// The server goes on copying.
    pub async fn copy_range_to(
        &self,
        offset: u64,
        len: Option<u64>,
        target: &Self,
        target_offset: u64,
    ) -> Result<(), Error> {
        self.sftp.need(Extension::CopyData, "copy", &self.path).await?;
        // 0 means everything on the wire.
        if len == Some(0) {
            return Ok(());
        }
        let handles = async { Ok((self.handle().await?, target.handle().await?)) };
        let (from, to) = handles.await.map_err(|kind| self.error("copy", kind))?;
        self.act("copy", |client, out| {
            client.copy_data((&from, offset), len.unwrap_or(0), (&to, target_offset), out)
        })
        .await
    }

    /// Waits for what was written to be confirmed and closes the file.
    ///
    /// # Errors
    /// A write or the closing failed at the server: the file is not complete.
    ///
    /// # Cancel safety
    /// The file is closed in any case; how that went is not told.
    pub async fn close(mut self) -> Result<(), Error> {
        // The request goes right behind what was written: one round trip for both.
        let close = async {
            let handle = self.handle().await?;
            poll_fn(|cx| self.writer().poll_close(&handle, cx)).await?;
            self.handle.take();
            poll_fn(|cx| self.writer().poll_settle(&handle, cx)).await
        };
        let closed = close.await;
        closed.map_err(|kind| self.error("close", kind))
    }

    /// Reads from here to the end, at most [`MAX_CONTENT`](super::MAX_CONTENT) bytes.
    ///
    /// # Errors
    /// The server's answer, [`SftpErrorKind::ContentTooLong`], or the end of the connection.
    ///
    /// # Cancel safety
    /// What had been read is lost.
    pub async fn read_to_vec(&mut self) -> Result<Vec<u8>, Error> {
        self.read_to_vec_up_to(super::MAX_CONTENT).await
    }

    /// As [`Self::read_to_vec`], but at most `limit` bytes.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Cancel safety
    /// What had been read is lost.
    pub async fn read_to_vec_up_to(&mut self, limit: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(piece) = poll_fn(|cx| self.poll_piece(cx)).await? {
            if piece.len() > limit.saturating_sub(bytes.len()) {
                return Err(self.error("read", SftpErrorKind::ContentTooLong { limit }));
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// Writes all of `bytes` here, and waits for the server's confirmation.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    ///
    /// # Cancel safety
    /// Parts of it may have been written.
    pub async fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes).await.map_err(unwrap_io)?;
        self.flush().await.map_err(unwrap_io)
    }

    /// The next piece as it came, without a copy; `None` at the end.
    pub(super) fn poll_piece(&mut self, cx: &Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let size = self.limits().0;
        let piece = match ready!(self.poll_handle(cx)) {
            Ok(handle) => {
                let piece = ready!(self.reader.poll_piece(&handle, size, cx));
                piece.map(|piece| piece.map(|piece| piece.split_to(piece.len())))
            }
            Err(kind) => Err(kind),
        };
        let piece = piece.map_err(|kind| self.error("read", kind))?;
        let len = piece.as_ref().map_or(0, Bytes::len);
        self.advance(len);
        Poll::Ready(Ok(piece))
    }

    /// Reading has given `n` bytes; none means the end, behind which there may be more later.
    fn advance(&mut self, n: usize) {
        self.position = self.position.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
        if n == 0 {
            self.restart_reader();
        }
    }

    /// Asks for the size to seek from the end.
    fn poll_size(&mut self, cx: &Context<'_>) -> Poll<Result<Attrs, SftpErrorKind>> {
        if matches!(self.seek, Some(Seek::FromEnd(None, _))) {
            let handle = ready!(self.poll_handle(cx))?;
            let ticket = self.sftp.engine.ticket();
            ready!(ticket.poll_reserve(cx))?;
            ticket.send(|client, out| client.fstat(&handle, out))?;
            if let Some(Seek::FromEnd(place, _)) = &mut self.seek {
                *place = Some(ticket);
            }
        }
        let Some(Seek::FromEnd(Some(ticket), _)) = &self.seek else { return Poll::Pending };
        Poll::Ready(ready!(ticket.poll_reply(cx)).and_then(|(_, reply)| expect_attrs(reply)))
    }

    fn poll_settle(&mut self, cx: &Context<'_>) -> Poll<Result<(), SftpErrorKind>> {
        let handle = match self.handle.handle() {
            Ok(handle) => handle.clone(),
            Err(kind) => return Poll::Ready(Err(kind)),
        };
        self.writer().poll_settle(&handle, cx)
    }
}

/// What was written and not sent goes on its way before the file is closed.
impl Drop for File {
    fn drop(&mut self) {
        if let Ok(handle) = self.handle.handle().cloned() {
            // There is nobody to be told.
            if let Some((at, data)) = self.writer().take_pending() {
                let write =
                    move |client: &mut Client, out: &mut _| client.write(&handle, at, &data, out);
                self.sftp.engine.send_and_forget(write);
            }
        }
    }
}

/// Copies the beginning of what was read to `buf`, and says how much; 0 at the end of the file.
fn take_piece(
    reader: &mut Reader,
    handle: &Handle,
    size: u32,
    buf: &mut [u8],
    cx: &Context<'_>,
) -> Poll<Result<usize, SftpErrorKind>> {
    let Some(piece) = ready!(reader.poll_piece(handle, size, cx))? else {
        return Poll::Ready(Ok(0));
    };
    let n = piece.len().min(buf.len());
    piece.copy_to_slice(buf.get_mut(..n).unwrap_or_default());
    Poll::Ready(Ok(n))
}

/// The traits of tokio carry our errors inside of theirs.
pub(super) fn unwrap_io(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(other) => Error::local("use", "the stream", other),
    }
}

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let size = this.limits().0;
        let piece = match ready!(this.poll_handle(cx)) {
            Ok(handle) => ready!(this.reader.poll_piece(&handle, size, cx)),
            Err(kind) => Err(kind),
        };
        let taken = match piece {
            Ok(Some(piece)) => {
                let taken = piece.split_to(piece.len().min(buf.remaining()));
                buf.put_slice(&taken);
                taken.len()
            }
            Ok(None) => 0,
            Err(kind) => return Poll::Ready(Err(this.error("read", kind).into())),
        };
        this.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let (most, at) = (this.limits().1, this.position);
        let written = match this.handle.handle().cloned() {
            Ok(handle) => ready!(this.writer().poll_write(&handle, (at, buf), most, cx)),
            Err(kind) => Err(kind),
        };
        match written {
            Ok(n) => {
                this.position = at.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
                this.restart_reader();
                Poll::Ready(Ok(n))
            }
            Err(kind) => Poll::Ready(Err(this.error("write", kind).into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let settled = ready!(this.poll_settle(cx));
        Poll::Ready(settled.map_err(|kind| this.error("write", kind).into()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn start_seek(mut self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let out_of_range = || io::Error::from(io::ErrorKind::InvalidInput);
        self.seek = Some(match position {
            SeekFrom::Start(to) => Seek::To(to),
            SeekFrom::Current(by) => {
                Seek::To(self.position.checked_add_signed(by).ok_or_else(out_of_range)?)
            }
            SeekFrom::End(by) => Seek::FromEnd(None, by),
        });
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        let to = match &this.seek {
            None => return Poll::Ready(Ok(this.position)),
            Some(Seek::To(to)) => *to,
            Some(Seek::FromEnd(_, by)) => {
                let by = *by;
                let reply = ready!(this.poll_size(cx));
                this.seek = None;
                let size = match reply {
                    Ok(attrs) => attrs.size.unwrap_or(0),
                    Err(kind) => return Poll::Ready(Err(this.error("seek", kind).into())),
                };
                match size.checked_add_signed(by) {
                    Some(to) => to,
                    None => return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
                }
            }
        };
        this.seek = None;
        if to != this.position {
            this.position = to;
            this.restart_reader();
        }
        Poll::Ready(Ok(to))
    }
}
