//! Downloading a file.

use std::{
    collections::HashMap,
    fs,
    future::{Future, IntoFuture},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use sftp::{
    Attrs, OpenFlags, StatusCode,
    client::{Handle, RequestId, Response},
    transfer::Download,
};

use super::{
    Clock, FileEvent, FileState, Links, Monitor, Progress, Report, Resume, Verify,
    local::{NotWritten, Writer, blocking, failed},
};
use super::{
    options::{Settings, setters},
    progress::{Meter, OnProgress, report_to},
};
use crate::{
    error::{Error, SftpErrorKind},
    sftp::{
        RemotePath, Sftp,
        engine::{Opened, Ticket},
        error, expect_attrs, expect_handle, expect_ok, unexpected,
    },
};

/// A download, to be awaited. See [`Sftp::get`].
#[must_use = "a transfer does nothing until it is awaited"]
pub struct Get {
    sftp: Sftp,
    remote: RemotePath,
    local: PathBuf,
    file: Option<fs::File>,
    settings: Settings,
    tell: Option<OnProgress>,
}

impl core::fmt::Debug for Get {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Get")
            .field("remote", &self.remote)
            .field("local", &self.local)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Get {
    pub(in crate::sftp) fn new(sftp: Sftp, remote: RemotePath, local: PathBuf) -> Self {
        Self { sftp, remote, local, file: None, settings: Settings::default(), tell: None }
    }

    setters!();

    /// Writes to this file, opened for writing, from its beginning on. The local path is then only
    /// what it is called in errors. For files whose names a server chooses: they are opened
    /// beneath a directory, and through no link.
    pub fn into_file(mut self, file: fs::File) -> Self {
        self.file = Some(file);
        self
    }

    /// Moves what was described, and tells what came of it. The report of a transfer that was
    /// broken off has what was done until then.
    ///
    /// # Cancel safety
    /// Dropping the future leaves what is confirmed, as far as the local side goes; see
    /// [`Monitor::cancel`] for how to end it and be told.
    pub async fn report(mut self) -> Report {
        let remote = self.remote.clone();
        let shown = self
            .tell
            .take()
            .map(|tell| tokio::spawn(report_to(self.settings.monitor.watch(), tell)));
        let mut meter = Meter::new(self.settings.monitor.clone());
        let monitor = self.settings.monitor.clone();
        let local = self.local.clone();
        let tell = |state| {
            let event = FileEvent { remote: remote.clone(), local: local.clone(), state };
            monitor.tell(|| event);
        };
        tell(FileState::Started { size: None });
        let moved = tokio::select! {
            moved = self.transfer(&mut meter) => moved,
            () = monitor.cancelled() => Err(SftpErrorKind::Cancelled),
        };
        let moved = moved.map_err(|kind| error("get", remote.as_bytes(), kind));
        tell(match &moved {
            Ok(size) => FileState::Done { size: *size },
            Err(error) => FileState::Failed(error.clone()),
        });
        meter.finish();
        if let Some(shown) = shown {
            shown.await.ok();
        }
        let mut report = Report::default();
        match moved {
            Ok(bytes) => {
                report.files = 1;
                report.bytes = bytes;
            }
            Err(error) => report.fail(error),
        }
        report
    }

    async fn run(self) -> Result<u64, Error> {
        self.report().await.into_result().map(|report| report.bytes)
    }

    async fn transfer(&mut self, meter: &mut Meter) -> Result<u64, SftpErrorKind> {
        let (asking, ticket) = (self.sftp.engine.ticket(), self.sftp.engine.ticket());
        // Both in one round trip; the server may answer them in any order.
        let path = self.remote.as_bytes();
        asking.send(|client, out| client.stat(path, out))?;
        ticket.send(|client, out| client.open(path, OpenFlags::READ, &Attrs::NONE, out))?;
        let attrs = asking.reply().await.and_then(|(_, reply)| expect_attrs(reply));
        let handle = ticket.reply().await.and_then(|(_, reply)| expect_handle(reply))?;
        // Closed when it is dropped: reading has told everything there is to tell.
        let open = Opened::new(Arc::clone(&self.sftp.engine), handle);
        self.receive(&ticket, open.handle()?, attrs, meter).await
    }

    async fn receive(
        &mut self,
        ticket: &Ticket,
        handle: &Handle,
        attrs: Result<Attrs, SftpErrorKind>,
        meter: &mut Meter,
    ) -> Result<u64, SftpErrorKind> {
        let attrs = attrs?;
        if attrs.is_dir() {
            return Err(SftpErrorKind::IsADirectory);
        }
        let (path, resume, file) =
            (self.local.clone(), self.settings.resume != Resume::No, self.file.take());
        let mode = attrs.permissions.map(sftp::Permissions::mode);
        let keep = resume || self.settings.in_place;
        let (file, start) = blocking(move || open_target(file, &path, mode, keep, resume)).await?;
        if attrs.size.is_some_and(|size| size < start) {
            return Err(SftpErrorKind::Transfer(sftp::transfer::TransferError::SizeMismatch {
                moved: start,
                size: attrs.size.unwrap_or(0),
            }));
        }
        let request = self.sftp.engine.client(|client| client.limits().max_read);
        let mut options = self.settings.planned(request);
        options.start = start;
        options.size = attrs.size.filter(|_| attrs.is_file() || attrs.permissions.is_none());
        let writer = Writer::new(file, self.local.clone(), start);
        let mut receiving = Receiving {
            ticket,
            handle,
            writer: &writer,
            plan: Download::new(&options),
            clock: Clock::start(),
            asked: HashMap::new(),
            total: attrs.size,
            meter,
        };
        let run = receiving.run().await;
        let plan = receiving.plan;
        let confirmed = plan.confirmed();
        let written = writer.finish().await;
        // If the disk is what failed, that is the cause, and not the queue to it.
        let file = match (run, written) {
            (Ok(()), Ok(file)) => file,
            (_, Err(NotWritten { cause, written })) => {
                let cause = Box::new(cause);
                return Err(SftpErrorKind::Interrupted { confirmed: written, cause });
            }
            (Err(cause), Ok(file)) => {
                // What arrived behind a gap is not worth keeping, and would look complete.
                blocking(move || {
                    file.set_len(confirmed).ok();
                    Ok(())
                })
                .await?;
                return Err(SftpErrorKind::Interrupted { confirmed, cause: Box::new(cause) });
            }
        };
        let end = Self::check(&plan, ticket, handle).await?;
        let path = self.local.clone();
        blocking(move || file.set_len(end).map_err(|error| failed("cut", &path, error)))
            .await
            .map(|()| end)
    }

    /// Compares sizes; asks the server once more if they differ, since files change.
    async fn check(
        plan: &Download,
        ticket: &Ticket,
        handle: &Handle,
    ) -> Result<u64, SftpErrorKind> {
        if let Ok(end) = plan.check(None) {
            return Ok(end);
        }
        ticket.send(|client, out| client.fstat(handle, out))?;
        let now = expect_attrs(ticket.reply().await?.1)?;
        plan.check(now.size).map_err(SftpErrorKind::Transfer)
    }
}

/// Opens the local file, unless it is `open`, and tells how much of it counts.
fn open_target(
    open: Option<fs::File>,
    path: &Path,
    mode: Option<u32>,
    keep: bool,
    resume: bool,
) -> Result<(fs::File, u64), SftpErrorKind> {
    let file = match open {
        Some(file) if keep => file,
        Some(file) => {
            file.set_len(0).map_err(|error| failed("empty", path, error))?;
            file
        }
        None => create(path, mode, keep)?,
    };
    let there = file.metadata().map_err(|error| failed("open", path, error))?.len();
    Ok((file, if resume { there } else { 0 }))
}

fn create(path: &Path, mode: Option<u32>, keep: bool) -> Result<fs::File, SftpErrorKind> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(!keep);
    // The owner has to be able to write it, or it could not be resumed.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(
        &mut options,
        mode.map_or(0o666, |mode| mode & 0o777 | 0o200),
    );
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path).map_err(|error| failed("create", path, error))
}

/// The middle of a download.
struct Receiving<'a> {
    ticket: &'a Ticket,
    handle: &'a Handle,
    writer: &'a Writer,
    plan: Download,
    clock: Clock,
    asked: HashMap<RequestId, u64>,
    total: Option<u64>,
    meter: &'a mut Meter,
}

impl Receiving<'_> {
    async fn run(&mut self) -> Result<(), SftpErrorKind> {
        while !self.plan.is_done() {
            while let Some(range) = self.plan.next_read(self.clock.now()) {
                let id = self
                    .ticket
                    .send(|client, out| client.read(self.handle, range.offset, range.len, out))?;
                self.asked.insert(id, range.offset);
            }
            let (id, response) = self.ticket.reply().await?;
            let Some(offset) = self.asked.remove(&id) else { continue };
            let now = self.clock.now();
            match response {
                Response::Data(chunks) => {
                    let got = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
                    self.plan.on_data(offset, got, now).map_err(SftpErrorKind::Transfer)?;
                    self.writer.write(offset, chunks).await?;
                    let done = self.plan.confirmed();
                    self.meter.done = done;
                    self.meter.total = self.total.unwrap_or(0);
                    self.meter.update(Vec::new);
                }
                Response::Status(status) if status.code == StatusCode::Eof => {
                    self.plan.on_eof(offset, now).map_err(SftpErrorKind::Transfer)?;
                }
                Response::Status(status) => {
                    return expect_ok(Response::Status(status));
                }
                other => return Err(unexpected(other)),
            }
        }
        Ok(())
    }
}

impl IntoFuture for Get {
    type Output = Result<u64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// The number of bytes that the local file has in the end.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
