//! Uploading a file.

use std::{
    collections::HashMap,
    fs,
    future::{Future, IntoFuture},
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use bytes::Bytes;
use sftp::{
    Attrs, OpenFlags, StatusCode,
    client::{Handle, RequestId},
    transfer::{TransferError, Upload},
};

use super::{
    Clock, FileEvent, FileState, Links, Monitor, Progress, Report, Resume, Verify,
    local::{Reader, blocking, failed},
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
        error, expect_attrs, expect_handle, expect_ok,
    },
};

/// An upload, to be awaited. See [`Sftp::put`].
#[must_use = "a transfer does nothing until it is awaited"]
pub struct Put {
    sftp: Sftp,
    local: PathBuf,
    remote: RemotePath,
    settings: Settings,
    tell: Option<OnProgress>,
}

impl core::fmt::Debug for Put {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Put")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Put {
    pub(in crate::sftp) fn new(sftp: Sftp, local: PathBuf, remote: RemotePath) -> Self {
        Self { sftp, local, remote, settings: Settings::default(), tell: None }
    }

    setters!();

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
        let moved = moved.map_err(|kind| error("put", remote.as_bytes(), kind));
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

    #[expect(clippy::needless_pass_by_ref_mut, reason = "a shared reference to it is not Send")]
    async fn transfer(&mut self, meter: &mut Meter) -> Result<u64, SftpErrorKind> {
        let path = self.local.clone();
        let (file, size, mode) = blocking(move || open_source(&path)).await?;
        let ticket = self.sftp.engine.ticket();
        let from = match self.settings.resume != Resume::No {
            true => Self::there_already(&self.remote, &ticket, size).await?,
            false => 0,
        };
        let mut flags = OpenFlags::WRITE | OpenFlags::CREATE;
        if from == 0 && !self.settings.in_place {
            flags = flags | OpenFlags::TRUNCATE;
        }
        let attrs = Attrs::with_mode(mode);
        ticket.send(|client, out| client.open(self.remote.as_bytes(), flags, &attrs, out))?;
        let handle = expect_handle(ticket.reply().await?.1)?;
        let mut open = Opened::new(Arc::clone(&self.sftp.engine), handle);

        let request = self.sftp.engine.client(|client| client.limits().max_write);
        let mut options = self.settings.planned(request);
        let piece = usize::try_from(options.request_len).unwrap_or(usize::MAX);
        let reader = Reader::new(file, self.local.clone(), from, piece);
        options.start = from;
        let mut sending = Sending {
            ticket: &ticket,
            handle: open.handle()?,
            reader,
            plan: Upload::new(&options),
            clock: Clock::start(),
            out: HashMap::new(),
            total: size,
            meter,
        };
        let sent = sending.run().await;
        let plan = sending.plan;
        let confirmed = plan.confirmed();
        let interrupted = |cause| SftpErrorKind::Interrupted { confirmed, cause: Box::new(cause) };
        if let Err(cause) = sent {
            // What stands behind a gap is not worth keeping, and would look complete.
            let attrs = Attrs::with_size(confirmed);
            let handle = open.handle()?;
            self.sftp.engine.send_and_forget(|client, out| client.fsetstat(handle, &attrs, out));
            return Err(interrupted(cause));
        }
        // The size as the server has it now, and the end of the file, in one round trip; the
        // server may answer them in any order.
        let Some(handle) = open.take() else { return Err(SftpErrorKind::SubsystemEnded) };
        let cutting = self.sftp.engine.ticket();
        if self.settings.in_place {
            let size = Attrs::with_size(confirmed);
            cutting.send(|client, out| client.fsetstat(&handle, &size, out))?;
        }
        let asking = self.sftp.engine.ticket();
        asking.send(|client, out| client.fstat(&handle, out))?;
        ticket.send(|client, out| client.close(&handle, out))?;
        let attrs = asking.reply().await.and_then(|(_, reply)| expect_attrs(reply));
        ticket.reply().await.and_then(|(_, reply)| expect_ok(reply)).map_err(interrupted)?;
        if self.settings.in_place {
            cutting.reply().await.and_then(|(_, reply)| expect_ok(reply)).map_err(interrupted)?;
        }
        let size = match attrs {
            Ok(attrs) => attrs.size,
            // A server that takes files and shows none: every write was confirmed.
            Err(kind) if kind.status() == Some(StatusCode::PermissionDenied) => None,
            Err(kind) => return Err(interrupted(kind)),
        };
        plan.check(size).map_err(SftpErrorKind::Transfer)
    }

    /// How much of the file the server has, when it is resumed.
    async fn there_already(
        remote: &RemotePath,
        ticket: &Ticket,
        size: u64,
    ) -> Result<u64, SftpErrorKind> {
        ticket.send(|client, out| client.stat(remote.as_bytes(), out))?;
        match expect_attrs(ticket.reply().await?.1) {
            Ok(attrs) => {
                let there = attrs.size.unwrap_or(0);
                if there > size {
                    let mismatch = TransferError::SizeMismatch { moved: size, size: there };
                    return Err(SftpErrorKind::Transfer(mismatch));
                }
                Ok(there)
            }
            Err(kind) if kind.status() == Some(StatusCode::NoSuchFile) => Ok(0),
            Err(kind) => Err(kind),
        }
    }
}

fn open_source(path: &Path) -> Result<(fs::File, u64, u32), SftpErrorKind> {
    let file = fs::File::open(path).map_err(|error| failed("open", path, error))?;
    let meta = file.metadata().map_err(|error| failed("open", path, error))?;
    if meta.is_dir() {
        let error = std::io::ErrorKind::IsADirectory.into();
        return Err(failed("upload", path, error));
    }
    #[cfg(unix)]
    let mode = std::os::unix::fs::PermissionsExt::mode(&meta.permissions()) & 0o777;
    #[cfg(not(unix))]
    let mode = if meta.permissions().readonly() { 0o444 } else { 0o644 };
    Ok((file, meta.len(), mode))
}

/// The middle of an upload.
struct Sending<'a> {
    ticket: &'a Ticket,
    handle: &'a Handle,
    reader: Reader,
    plan: Upload,
    clock: Clock,
    /// What is out: where it belongs, and its memory, which is read into again afterwards.
    out: HashMap<RequestId, (u64, Bytes)>,
    total: u64,
    meter: &'a mut Meter,
}

impl Sending<'_> {
    /// Sends until the end of the local file and waits for every confirmation.
    async fn run(&mut self) -> Result<(), SftpErrorKind> {
        while !self.plan.is_done() {
            let room = self.plan.next_write().is_some();
            tokio::select! {
                biased;
                piece = self.reader.next(), if room => match piece {
                    Some(piece) => {
                        let (offset, data) = piece?;
                        let id = self.ticket.send_write(self.handle, offset, data.clone())?;
                        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
                        self.plan.on_sent(len, self.clock.now());
                        self.out.insert(id, (offset, data));
                        self.ticket.flush();
                    }
                    None => self.plan.on_source_end(),
                },
                reply = self.ticket.reply(), if !self.out.is_empty() => {
                    let (id, response) = reply?;
                    expect_ok(response)?;
                    let Some((offset, data)) = self.out.remove(&id) else { continue };
                    self.plan
                        .on_ack(offset, self.clock.now())
                        .map_err(SftpErrorKind::Transfer)?;
                    self.reader.give_back(data);
                    let done = self.plan.confirmed();
                    self.meter.done = done;
                    self.meter.total = self.total;
                    self.meter.update(Vec::new);
                }
            }
        }
        Ok(())
    }
}

impl IntoFuture for Put {
    type Output = Result<u64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// The number of bytes that the remote file has in the end.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
