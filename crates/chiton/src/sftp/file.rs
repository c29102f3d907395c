//! An open file: reads ahead and writes behind, so that the ordinary traits keep the link full.

use core::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{
    collections::VecDeque,
    io::{self, SeekFrom},
    sync::Arc,
};

use bytes::Bytes;
use sftp::{
    Attrs, Extension, OpenFlags, StatusCode,
    client::{Client, Handle, RequestId, Response},
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeek, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::{
    RemotePath, Sftp,
    engine::{Opened, Ticket},
    error, expect_attrs, expect_handle, expect_ok,
};
use crate::error::{Error, SftpErrorKind};

/// How many reads are ahead of the reader at most. With 255 KiB each this is 4 MiB in flight.
const MAX_AHEAD: usize = 16;

/// How many writes may be unconfirmed.
const MAX_BEHIND: usize = 16;

/// How to open a file, as [`tokio::fs::OpenOptions`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OpenOptions {
    flags: OpenFlags,
    attrs: Option<Attrs>,
}

impl OpenOptions {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    const fn set(&mut self, flag: OpenFlags, yes: bool) {
        let bits = self.flags.bits();
        let bits = if yes { bits | flag.bits() } else { bits & !flag.bits() };
        self.flags = OpenFlags::from_bits(bits);
    }

    /// For reading.
    pub fn read(mut self, yes: bool) -> Self {
        self.set(OpenFlags::READ, yes);
        self
    }

    /// For writing.
    pub fn write(mut self, yes: bool) -> Self {
        self.set(OpenFlags::WRITE, yes);
        self
    }

    /// For writing at the end, wherever that is by then.
    pub fn append(mut self, yes: bool) -> Self {
        self.set(OpenFlags::APPEND, yes);
        if yes { self.write(true) } else { self }
    }

    /// Creates the file if it is not there.
    pub fn create(mut self, yes: bool) -> Self {
        self.set(OpenFlags::CREATE, yes);
        self
    }

    /// Creates the file and fails if it is there.
    pub fn create_new(mut self, yes: bool) -> Self {
        self.set(OpenFlags::EXCLUSIVE, yes);
        if yes { self.create(true) } else { self }
    }

    /// Empties the file.
    pub fn truncate(mut self, yes: bool) -> Self {
        self.set(OpenFlags::TRUNCATE, yes);
        self
    }

    /// The permissions of a file that is created, before the server's umask.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.attrs = Some(Attrs::with_mode(mode));
        self
    }

    /// Opens a file.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    ///
    /// # Cancel safety
    /// A handle that arrives for nobody is closed; a file that was created stays.
    pub async fn open(&self, sftp: &Sftp, path: impl Into<RemotePath>) -> Result<File, Error> {
        let path = path.into();
        let attrs = self.attrs.unwrap_or(Attrs::NONE);
        let reply =
            sftp.ask(|client, out| client.open(path.as_bytes(), self.flags, &attrs, out)).await;
        let handle =
            reply.and_then(expect_handle).map_err(|kind| error("open", path.as_bytes(), kind))?;
        Ok(File::new(sftp.clone(), path, handle))
    }
}

/// An open file on the other side.
///
/// Reading asks for more than is wanted at the moment, writing does not wait for each answer;
/// [`AsyncWriteExt::flush`] and [`File::close`] do, and tell what went wrong. Dropping a file
/// closes it without telling.
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
    writer: Writer,
    seek: Option<Seek>,
}

#[derive(Debug)]
struct Reader {
    ticket: Ticket,
    ahead: VecDeque<Ahead>,
    /// Where the next request begins.
    next: u64,
    depth: usize,
    /// Pieces that have arrived and are next.
    ready: VecDeque<Bytes>,
    at_end: bool,
}

#[derive(Debug)]
struct Ahead {
    id: RequestId,
    offset: u64,
    len: u32,
    answer: Option<Response>,
}

#[derive(Debug)]
struct Writer {
    ticket: Ticket,
    behind: usize,
    failed: Option<SftpErrorKind>,
}

#[derive(Debug)]
enum Seek {
    To(u64),
    FromEnd(Ticket, i64),
}

impl Reader {
    const fn new(ticket: Ticket, at: u64) -> Self {
        Self {
            ticket,
            ahead: VecDeque::new(),
            next: at,
            depth: 1,
            ready: VecDeque::new(),
            at_end: false,
        }
    }

    fn ask(
        &mut self,
        handle: &Handle,
        at: Option<usize>,
        offset: u64,
        len: u32,
    ) -> Result<(), SftpErrorKind> {
        let id = self.ticket.send(|client, out| client.read(handle, offset, len, out))?;
        let entry = Ahead { id, offset, len, answer: None };
        match at {
            Some(at) => self.ahead.insert(at, entry),
            None => self.ahead.push_back(entry),
        }
        Ok(())
    }

    /// Makes the next pieces ready. Nothing ready afterwards means the end of the file.
    fn poll_fill(
        &mut self,
        handle: &Handle,
        size: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SftpErrorKind>> {
        while self.ready.is_empty() && !self.at_end {
            while self.ahead.len() < self.depth {
                let offset = self.next;
                self.next = offset.saturating_add(size.into());
                self.ask(handle, None, offset, size)?;
            }
            while self.ahead.front().is_some_and(|front| front.answer.is_none()) {
                let (id, response) = ready!(self.ticket.poll_reply(cx))?;
                if let Some(entry) = self.ahead.iter_mut().find(|entry| entry.id == id) {
                    entry.answer = Some(response);
                }
            }
            let Some(Ahead { offset, len, answer, .. }) = self.ahead.pop_front() else { continue };
            match answer {
                Some(Response::Data(chunks)) => {
                    let got = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
                    if got < len {
                        // A short answer is legal; the rest is asked for again, before what
                        // follows it.
                        let rest = len.saturating_sub(got);
                        self.ask(handle, Some(0), offset.saturating_add(got.into()), rest)?;
                    } else {
                        self.depth = self.depth.saturating_mul(2).min(MAX_AHEAD);
                    }
                    self.ready.extend(chunks.into_parts());
                }
                Some(Response::Status(status)) if status.code == StatusCode::Eof => {
                    self.at_end = true;
                }
                Some(other) => return Poll::Ready(expect_ok(other)),
                None => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Writer {
    /// Waits until at most `behind` writes are unconfirmed.
    fn poll_settle(&mut self, behind: usize, cx: &Context<'_>) -> Poll<Result<(), SftpErrorKind>> {
        while self.behind > behind {
            let (_, response) = ready!(self.ticket.poll_reply(cx))?;
            self.behind = self.behind.saturating_sub(1);
            if let Err(kind) = expect_ok(response) {
                self.failed.get_or_insert(kind);
            }
        }
        Poll::Ready(self.failed.take().map_or(Ok(()), Err))
    }
}

impl File {
    pub(super) fn new(sftp: Sftp, path: RemotePath, handle: Handle) -> Self {
        let reader = Reader::new(sftp.engine.ticket(), 0);
        let writer = Writer { ticket: sftp.engine.ticket(), behind: 0, failed: None };
        let handle = Opened::new(Arc::clone(&sftp.engine), handle);
        Self { sftp, path, handle, position: 0, reader, writer, seek: None }
    }

    fn error(&self, operation: &'static str, kind: SftpErrorKind) -> Error {
        error(operation, self.path.as_bytes(), kind)
    }

    fn handle(&self) -> Result<Handle, SftpErrorKind> {
        self.handle.handle().cloned()
    }

    /// Reading goes on at another place, or what was read ahead was just overwritten.
    fn restart_reader(&mut self) {
        if self.reader.ahead.is_empty() && self.reader.ready.is_empty() {
            self.reader.next = self.position;
            self.reader.at_end = false;
        } else {
            self.reader = Reader::new(self.sftp.engine.ticket(), self.position);
        }
    }

    /// What the server says about the open file.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn metadata(&self) -> Result<Attrs, Error> {
        let ask = async {
            let handle = self.handle()?;
            self.sftp.ask(|client, out| client.fstat(&handle, out)).await.and_then(expect_attrs)
        };
        ask.await.map_err(|kind| self.error("metadata", kind))
    }

    /// Changes what is set in `attrs`: size, owner, permissions, times.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn set_attrs(&self, attrs: &Attrs) -> Result<(), Error> {
        let ask = async {
            let handle = self.handle()?;
            let request =
                |client: &mut Client, out: &mut Vec<u8>| client.fsetstat(&handle, attrs, out);
            self.sftp.ask(request).await.and_then(expect_ok)
        };
        ask.await.map_err(|kind| self.error("set_attrs", kind))
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
        self.sftp.need(Extension::CopyData, "copy", &self.path)?;
        // 0 means everything on the wire.
        if len == Some(0) {
            return Ok(());
        }
        let copy = async {
            let (from, to) = (self.handle()?, target.handle()?);
            let request = |client: &mut Client, out: &mut Vec<u8>| {
                client.copy_data((&from, offset), len.unwrap_or(0), (&to, target_offset), out)
            };
            self.sftp.ask(request).await.and_then(expect_ok)
        };
        copy.await.map_err(|kind| self.error("copy", kind))
    }

    /// Waits for what was written to be confirmed and closes the file.
    ///
    /// # Errors
    /// A write or the closing failed at the server: the file is not complete.
    ///
    /// # Cancel safety
    /// The file is closed in any case; how that went is not told.
    pub async fn close(mut self) -> Result<(), Error> {
        let settled = poll_fn(|cx| self.writer.poll_settle(0, cx)).await;
        let closed = self.close_handle().await;
        settled.and(closed).map_err(|kind| self.error("close", kind))
    }

    async fn close_handle(&mut self) -> Result<(), SftpErrorKind> {
        let Some(handle) = self.handle.take() else { return Ok(()) };
        self.sftp.ask(|client, out| client.close(&handle, out)).await.and_then(expect_ok)
    }

    /// Reads from here to the end.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn read_to_vec(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        match self.read_to_end(&mut bytes).await {
            Ok(_) => Ok(bytes),
            Err(io) => Err(unwrap_io(io)),
        }
    }

    /// Writes all of `bytes` here.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.write_all(bytes).await.map_err(unwrap_io)?;
        self.flush().await.map_err(unwrap_io)
    }
}

/// The traits of tokio carry our errors inside of theirs.
fn unwrap_io(error: io::Error) -> Error {
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
        let size = this.sftp.engine.client(|client| client.limits().max_read);
        let filled = match this.handle() {
            Ok(handle) => ready!(this.reader.poll_fill(&handle, size, cx)),
            Err(kind) => Err(kind),
        };
        if let Err(kind) = filled {
            return Poll::Ready(Err(this.error("read", kind).into()));
        }
        while let Some(front) = this.reader.ready.front_mut() {
            let n = front.len().min(buf.remaining());
            buf.put_slice(&front.split_to(n));
            this.position = this.position.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
            if !front.is_empty() {
                break;
            }
            this.reader.ready.pop_front();
        }
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
        let settled = ready!(this.writer.poll_settle(MAX_BEHIND.saturating_sub(1), cx));
        let handle = match settled.and_then(|()| this.handle()) {
            Ok(handle) => handle,
            Err(kind) => return Poll::Ready(Err(this.error("write", kind).into())),
        };
        let most = this.sftp.engine.client(|client| client.limits().max_write);
        let piece = buf.get(..usize::try_from(most).unwrap_or(usize::MAX)).unwrap_or(buf);
        let data = Bytes::copy_from_slice(piece);
        if let Err(kind) = this.writer.ticket.send_write(&handle, this.position, data) {
            return Poll::Ready(Err(this.error("write", kind).into()));
        }
        this.writer.ticket.flush();
        this.writer.behind = this.writer.behind.saturating_add(1);
        let n = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        this.position = this.position.saturating_add(n);
        this.restart_reader();
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let settled = ready!(this.writer.poll_settle(0, cx));
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
            SeekFrom::End(by) => {
                let handle = self.handle().map_err(|kind| self.error("seek", kind))?;
                let ticket = self.sftp.engine.ticket();
                ticket
                    .send(|client, out| client.fstat(&handle, out))
                    .map_err(|kind| self.error("seek", kind))?;
                Seek::FromEnd(ticket, by)
            }
        });
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        let to = match &this.seek {
            None => return Poll::Ready(Ok(this.position)),
            Some(Seek::To(to)) => *to,
            Some(Seek::FromEnd(ticket, by)) => {
                let reply = ready!(ticket.poll_reply(cx)).and_then(|(_, r)| expect_attrs(r));
                let by = *by;
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
