//! Runs an upload: reads what the plan wants to be loaded, and sends what it says.

use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::Poll,
    time::Duration,
};
use std::{collections::HashMap, fs::File, path::PathBuf};

use bytes::Bytes;
use sftp::{
    Attrs, Extension, OpenFlags, StatusCode,
    attrs::Times,
    client::{Client as Codec, Handle, RequestId, Response},
    transfer::{Item, MAX_WAITING, PutFile, PutStep, Puts, Range, TransferError, lanes_wanted},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Clock, FileEvent, FileProgress, FileState, Report, Resume, SkipReason, Verify,
    check::{self, Checked},
    fetch::MAX_DEPTH,
    folder::MODE,
    local::local_error,
    options::Settings,
    progress::{MAX_ACTIVE, Meter},
    sink::temporary_name,
    source::{Done, Found, Job, Kind, Source},
    worker::Worker,
};
use crate::{
    error::{Error, SftpErrorKind},
    sftp::{RemotePath, Sftp, engine::Ticket, error, expect_attrs, expect_ok, unexpected},
};

/// Requests of a session that a transfer leaves to others.
const RESERVE: usize = 64;

/// Buffers that are kept to be read into again.
const SPARES: usize = 8;

/// How long a transfer that was cancelled waits for the server to cut files.
const TIDYING: Duration = Duration::from_secs(10);

const TOP: Item = Item(0);

/// An upload that is under way.
pub(super) struct Sending {
    settings: Settings,
    plan: Puts,
    clock: Clock,
    source: Worker<Source>,
    /// The first is the session of the user.
    lanes: Vec<Lane>,
    /// Further channels that are being opened.
    opening: JoinSet<Result<Sftp, Error>>,
    /// Whether it was decided how many channels there shall be.
    decided: bool,
    entries: HashMap<Item, Entry>,
    /// What was loaded and not sent.
    loaded: HashMap<(Item, u64), Bytes>,
    spare: Vec<Vec<u8>>,
    /// Directories that were not listed.
    to_list: Vec<Item>,
    checks: JoinSet<(Item, Checked)>,
    next_item: u32,
    request_len: u32,
    meter: Meter,
    report: Report,
}

/// A channel.
struct Lane {
    sftp: Sftp,
    ticket: Ticket,
    asked: HashMap<RequestId, Asked>,
}

/// What a request asks, and the memory of what was written.
struct Asked {
    step: PutStep,
    data: Option<Bytes>,
    /// `STAT` of a directory that could not be made: it may be there.
    again: bool,
}

struct Entry {
    remote: RemotePath,
    /// What it is called until it is whole.
    hidden: Option<RemotePath>,
    local: PathBuf,
    attrs: Attrs,
    directory: bool,
    link: Option<Vec<u8>>,
    depth: u32,
    size: u64,
    start: u64,
    /// By channel.
    handles: Vec<Option<Handle>>,
    /// Why a directory could not be made, until it is seen whether it is there.
    refused: Option<SftpErrorKind>,
    over: bool,
}

impl Sending {
    pub(super) fn new(sftp: Sftp, settings: Settings) -> Self {
        let limits = sftp.engine.client(|client| client.limits());
        let mut options = settings.planned(limits.max_write);
        options.rate = settings.rate;
        options.round_trip = sftp.engine.round_trip();
        options.window = sftp.engine.window();
        if let Some(told) = limits.max_handles {
            let told = usize::try_from(told).unwrap_or(usize::MAX);
            options.max_handles = options.max_handles.min(told).max(1);
        }
        Self {
            plan: Puts::new(&options),
            clock: Clock::start(),
            source: Worker::start(
                Source::new(settings.links, settings.sparse),
                settings.on_this_thread,
            ),
            lanes: vec![Lane::new(sftp)],
            opening: JoinSet::new(),
            decided: settings.channels <= 1,
            entries: HashMap::new(),
            loaded: HashMap::new(),
            spare: Vec::new(),
            to_list: Vec::new(),
            checks: JoinSet::new(),
            next_item: 1,
            request_len: options.request_len,
            meter: Meter::new(settings.monitor.clone()),
            report: Report::default(),
            settings,
        }
    }

    fn sftp(&self) -> Option<&Sftp> {
        self.lanes.first().map(|lane| &lane.sftp)
    }

    fn has(&self, extension: Extension) -> bool {
        self.sftp().is_some_and(|sftp| sftp.has(extension))
    }

    /// Uploads what is at `local`.
    pub(super) async fn run(mut self, local: PathBuf, remote: RemotePath) -> Report {
        self.entries.insert(TOP, Entry::new(remote.clone(), local.clone()));
        self.source.send(Job::Look(TOP, local));
        let monitor = self.settings.monitor.clone();
        let mut cancelled = pin!(monitor.cancelled());
        let broken = loop {
            match self.turn(cancelled.as_mut()).await {
                Ok(true) => {}
                Ok(false) => break None,
                Err(kind) => break Some(kind),
            }
        };
        if let Some(kind) = broken {
            self.break_off(kind, &remote).await;
        }
        self.meter.finish();
        core::mem::take(&mut self.report)
    }

    /// Does what can be done, and waits for what comes next. False when all is done.
    async fn turn(
        &mut self,
        mut cancelled: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, SftpErrorKind> {
        while let Some(done) = self.source.try_next() {
            self.on_disk(done);
        }
        if let Some(lane) = self.lanes.first().filter(|lane| lane.asked.is_empty()) {
            tokio::select! {
                turn = lane.ticket.reserve() => turn?,
                () = cancelled.as_mut() => return Err(SftpErrorKind::Cancelled),
            }
        }
        self.ask()?;
        let (entries, plan) = (&self.entries, &self.plan);
        self.meter.update(|| active(entries, plan));
        let waits = self.lanes.iter().any(|lane| !lane.asked.is_empty());
        let disk = self.source.pending() > 0;
        let checks = !self.checks.is_empty();
        let now = self.clock.now();
        let pause = self.plan.opens(now).map(|at| at.since(now));
        if !waits && !disk && !checks && pause.is_none() {
            return Ok(false);
        }
        let opening = !self.opening.is_empty();
        let lanes = &self.lanes;
        tokio::select! {
            biased;
            reply = reply(lanes), if waits => {
                let (lane, id, response) = reply?;
                self.on_reply(lane, id, response);
            }
            done = self.source.next(), if disk => {
                if let Some(done) = done {
                    self.on_disk(done);
                }
            }
            checked = self.checks.join_next(), if checks => {
                if let Some(Ok((item, checked))) = checked {
                    self.on_checked(item, checked);
                }
            }
            opened = self.opening.join_next(), if opening => {
                // A server that allows no further channel gets along with those that are there.
                if let Some(Ok(Ok(sftp))) = opened {
                    self.lanes.push(Lane::new(sftp));
                    self.plan.add_lane();
                }
            }
            () = rest(pause), if pause.is_some() => {}
            () = cancelled => return Err(SftpErrorKind::Cancelled),
        }
        Ok(true)
    }

    /// Sends and loads what the plan wants.
    fn ask(&mut self) -> Result<(), SftpErrorKind> {
        while self.plan.waiting() < MAX_WAITING {
            let Some(item) = self.to_list.pop() else { break };
            if let Some(entry) = self.entries.get(&item) {
                self.source.send(Job::List(item, entry.local.clone()));
            }
        }
        while let Some(load) = self.plan.next_load() {
            let Some(entry) = self.entries.get(&load.item) else {
                self.plan.on_loaded(load, 0, true);
                continue;
            };
            let wide = load.range.len > self.request_len / 2;
            let buffer = if wide { self.spare.pop() } else { None };
            self.source.send(Job::Load(load, entry.local.clone(), buffer.unwrap_or_default()));
        }
        while self.has_room() {
            let Some(step) = self.plan.next(self.clock.now()) else { break };
            self.send(step)?;
        }
        self.lanes.iter().skip(1).for_each(|lane| lane.ticket.flush());
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.lanes.iter().all(|lane| lane.asked.is_empty() || lane.sftp.engine.room() > RESERVE)
    }

    /// The attributes that something shall have in the end.
    fn wanted(&self, entry: &Entry) -> Attrs {
        let mut attrs = if self.settings.preserve { entry.attrs } else { Attrs::NONE };
        attrs.size = None;
        if !entry.directory && (self.settings.sparse || self.settings.in_place) {
            attrs.size = Some(entry.size);
        }
        attrs
    }

    fn send(&mut self, step: PutStep) -> Result<(), SftpErrorKind> {
        let item = step.item();
        let (Some(entry), Some(lane)) = (self.entries.get(&item), self.lanes.get(step.lane()))
        else {
            return Ok(());
        };
        let ticket = &lane.ticket;
        let path = entry.remote.as_bytes();
        let now_at = entry.hidden.as_ref().map_or(path, RemotePath::as_bytes);
        let handle = |lane: usize| {
            entry.handles.get(lane).and_then(Option::as_ref).ok_or(SftpErrorKind::SubsystemEnded)
        };
        let mut data = None;
        let id = match step {
            PutStep::MakeDirectory(_) => {
                // It has to be written into, whatever its mode shall be in the end.
                let mode = entry.mode() & MODE | 0o300;
                let attrs = Attrs::with_mode(mode);
                ticket.send(|client, out| client.mkdir(path, &attrs, out))?
            }
            PutStep::SetDirectory(_) => {
                let attrs = self.wanted(entry);
                ticket.send(|client, out| client.setstat(path, &attrs, out))?
            }
            PutStep::Look(_) => ticket.send(|client, out| client.stat(path, out))?,
            PutStep::Open(_) => {
                let mut flags = OpenFlags::WRITE | OpenFlags::CREATE;
                if entry.hidden.is_some() {
                    flags = flags | OpenFlags::EXCLUSIVE;
                } else if entry.start == 0 && !self.settings.in_place {
                    flags = flags | OpenFlags::TRUNCATE;
                }
                let attrs = Attrs::with_mode(entry.mode() & MODE);
                ticket.send(|client, out| client.open(now_at, flags, &attrs, out))?
            }
            PutStep::Join(..) => {
                let flags = OpenFlags::WRITE;
                ticket.send(|client, out| client.open(now_at, flags, &Attrs::NONE, out))?
            }
            PutStep::Write(_, lane, Range { offset, .. }) => {
                let handle = handle(lane)?;
                // What the plan lets be sent was loaded.
                let Some(bytes) = self.loaded.remove(&(item, offset)) else { return Ok(()) };
                data = Some(bytes.clone());
                ticket.send_write(handle, offset, bytes)?
            }
            PutStep::SetAttributes(_) => {
                let (handle, attrs) = (handle(0)?, self.wanted(entry));
                ticket.send(|client, out| client.fsetstat(handle, &attrs, out))?
            }
            PutStep::Sync(_) => {
                let handle = handle(0)?;
                ticket.send(|client, out| client.fsync(handle, out))?
            }
            PutStep::Size(_) => {
                let handle = handle(0)?;
                ticket.send(|client, out| client.fstat(handle, out))?
            }
            PutStep::Cut(_, size) => {
                let (handle, attrs) = (handle(0)?, Attrs::with_size(size));
                ticket.send(|client, out| client.fsetstat(handle, &attrs, out))?
            }
            PutStep::Close(_, lane) => {
                let handle = handle(lane)?;
                ticket.send(|client, out| client.close(handle, out))?
            }
            PutStep::Rename(_) => {
                ticket.send(|client, out| client.posix_rename(now_at, path, out))?
            }
            PutStep::Remove(_) => ticket.send(|client, out| client.remove(now_at, out))?,
            PutStep::MakeLink(_) => {
                let target = entry.link.as_deref().unwrap_or_default();
                ticket.send(|client, out| client.symlink(target, path, out))?
            }
            _ => return Ok(()),
        };
        if let Some(lane) = self.lanes.get_mut(step.lane()) {
            lane.asked.insert(id, Asked { step, data, again: false });
        }
        Ok(())
    }

    fn on_reply(&mut self, lane: usize, id: RequestId, response: Response) {
        let asked = self.lanes.get_mut(lane).and_then(|lane| lane.asked.remove(&id));
        let Some(Asked { step, data, again }) = asked else { return };
        let now = self.clock.now();
        match step {
            PutStep::MakeDirectory(item) => self.on_made(item, response, again),
            PutStep::SetDirectory(item) => {
                if let Err(kind) = expect_ok(response) {
                    self.say(item, kind);
                }
                self.plan.on_done(item);
            }
            PutStep::Look(item) => self.on_looked(item, response),
            PutStep::Open(item) => match response {
                Response::Handle(handle) => {
                    self.set_handle(item, 0, handle);
                    self.plan.on_opened(item);
                }
                other => {
                    self.record(item, unexpected(other));
                    self.plan.on_refused(item);
                }
            },
            PutStep::Join(item, lane) => {
                let ok = match response {
                    Response::Handle(handle) => {
                        self.set_handle(item, lane, handle);
                        true
                    }
                    _ => false,
                };
                self.plan.on_joined(item, lane, ok);
            }
            PutStep::Write(item, _, Range { offset, len }) => {
                self.recycle(data);
                let ok = match expect_ok(response) {
                    Ok(()) => {
                        self.meter.done = self.meter.done.saturating_add(len.into());
                        self.report.moved = self.report.moved.saturating_add(len.into());
                        true
                    }
                    Err(kind) => {
                        self.interrupt(item, kind);
                        false
                    }
                };
                self.plan.on_written(item, offset, ok, now);
            }
            PutStep::Size(item) => match expect_attrs(response) {
                Ok(attrs) => self.plan.on_size(item, attrs.size),
                // A server that takes files and shows none: every write was confirmed.
                Err(kind) if kind.status().is_some() => self.plan.on_size(item, None),
                Err(kind) => {
                    self.interrupt(item, kind);
                    self.plan.on_refused(item);
                }
            },
            PutStep::Close(item, lane) => {
                let closed = expect_ok(response);
                if let Some(handle) =
                    self.entries.get_mut(&item).and_then(|entry| entry.handles.get_mut(lane))
                {
                    *handle = None;
                }
                let ok = closed.is_ok();
                if let Err(kind) = closed {
                    self.interrupt(item, kind);
                }
                self.plan.on_closed(item, ok);
            }
            PutStep::Cut(item, _) | PutStep::Remove(item) => self.plan.on_done(item),
            PutStep::SetAttributes(item)
            | PutStep::Sync(item)
            | PutStep::Rename(item)
            | PutStep::MakeLink(item) => match expect_ok(response) {
                Ok(()) => self.plan.on_done(item),
                Err(kind) => {
                    self.interrupt(item, kind);
                    self.plan.on_refused(item);
                }
            },
            _ => {}
        }
        self.collect();
    }

    fn set_handle(&mut self, item: Item, lane: usize, handle: Handle) {
        if let Some(entry) = self.entries.get_mut(&item) {
            if entry.handles.len() <= lane {
                entry.handles.resize(lane.saturating_add(1), None);
            }
            if let Some(place) = entry.handles.get_mut(lane) {
                *place = Some(handle);
            }
        }
    }

    /// Keeps the memory of what was written, to be read into again.
    fn recycle(&mut self, data: Option<Bytes>) {
        let wide = usize::try_from(self.request_len / 2).unwrap_or(usize::MAX);
        if let Some(data) = data.filter(|data| data.len() > wide)
            && self.spare.len() < SPARES
            && let Ok(buffer) = data.try_into_mut()
        {
            self.spare.push(buffer.into());
        }
    }

    fn on_made(&mut self, item: Item, response: Response, again: bool) {
        let failure = match (response, again) {
            (Response::Attrs(attrs), true) if attrs.is_dir() => None,
            (Response::Status(status), false) if status.code == StatusCode::Ok => None,
            (response, false) => {
                // Version 3 has no code for "it is there already".
                let Some(entry) = self.entries.get(&item) else { return };
                let path = entry.remote.clone();
                let Some(lane) = self.lanes.first_mut() else { return };
                let asked = lane.ticket.send(|client, out| client.stat(path.as_bytes(), out));
                if let Ok(id) = asked {
                    let step = PutStep::MakeDirectory(item);
                    lane.asked.insert(id, Asked { step, data: None, again: true });
                    if let Some(entry) = self.entries.get_mut(&item) {
                        entry.refused = Some(unexpected(response));
                    }
                    return;
                }
                Some(unexpected(response))
            }
            (other, true) => {
                let refused = self.entries.get_mut(&item).and_then(|entry| entry.refused.take());
                Some(refused.unwrap_or_else(|| unexpected(other)))
            }
        };
        match failure {
            None => {
                self.tell(item, FileState::Directory);
                self.plan.on_done(item);
            }
            Some(kind) => {
                self.record(item, kind);
                self.plan.on_refused(item);
            }
        }
    }

    /// What the server has of a file that is to be resumed.
    fn on_looked(&mut self, item: Item, response: Response) {
        let Some(entry) = self.entries.get(&item) else { return };
        let there = match expect_attrs(response) {
            Ok(attrs) => attrs.size.unwrap_or(0),
            Err(kind) if kind.status() == Some(StatusCode::NoSuchFile) => 0,
            Err(kind) => {
                self.record(item, kind);
                return self.plan.on_refused(item);
            }
        };
        let size = entry.size;
        match self.settings.resume {
            _ if there == 0 => self.take_up(item, 0),
            Resume::Restart if there > size => self.take_up(item, 0),
            _ if there > size => {
                let mismatch = TransferError::SizeMismatch { moved: size, size: there };
                self.record(item, SftpErrorKind::Transfer(mismatch));
                self.plan.on_refused(item);
            }
            Resume::Trust | Resume::No => self.take_up(item, there),
            Resume::Verify | Resume::Restart => {
                let Some(sftp) = self.sftp().cloned() else { return };
                let (remote, local) = (entry.remote.clone(), entry.local.clone());
                self.checks.spawn(async move {
                    let opened = tokio::task::spawn_blocking(move || {
                        File::open(&local).map_err(|error| local_error("open", &local, error))
                    });
                    let same = match opened.await {
                        Ok(Ok(file)) => check::same(&sftp, &remote, file, there).await,
                        Ok(Err(error)) => Err(error.into()),
                        Err(_) => Err(SftpErrorKind::Connection(Error::Closed)),
                    };
                    (item, Checked::Beginning(same, there))
                });
            }
        }
    }

    fn take_up(&mut self, item: Item, start: u64) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.start = start;
        }
        self.meter.skipped = self.meter.skipped.saturating_add(start);
        self.plan.on_looked(item, start);
    }

    fn on_checked(&mut self, item: Item, checked: Checked) {
        match checked {
            Checked::Beginning(Ok(true), there) => self.take_up(item, there),
            Checked::Beginning(Ok(false), _) if self.settings.resume == Resume::Restart => {
                self.take_up(item, 0);
            }
            Checked::Beginning(Ok(false), there) => {
                self.record(item, SftpErrorKind::ResumeMismatch { there });
                self.plan.on_refused(item);
            }
            Checked::Beginning(Err(kind), _) => {
                self.record(item, kind);
                self.plan.on_refused(item);
            }
            Checked::Whole(Ok(Some(true))) => {
                self.report.verified = self.report.verified.saturating_add(1);
                self.complete(item);
            }
            Checked::Whole(Ok(Some(false))) => self.record(item, SftpErrorKind::ContentDiffers),
            Checked::Whole(Ok(None)) if self.settings.verify == Verify::Always => {
                self.record(item, SftpErrorKind::CannotVerify);
            }
            Checked::Whole(Ok(None)) => self.complete(item),
            Checked::Whole(Err(kind)) => self.record(item, kind),
        }
    }

    fn on_disk(&mut self, done: Done) {
        match done {
            Done::Looked(item, Ok(found)) => self.begin(item, found),
            Done::Looked(item, Err(error)) => self.record(item, error.into()),
            Done::Listed(item, Ok(found)) => {
                found.into_iter().for_each(|found| self.add(item, found));
                self.plan.seal(item);
            }
            Done::Listed(item, Err(error)) => {
                self.say(item, error.into());
                self.plan.seal(item);
            }
            Done::Loaded(load, Ok((bytes, end))) => {
                let got = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                if let Some(entry) = self.entries.get_mut(&load.item).filter(|entry| !entry.over) {
                    if end {
                        entry.size = load.range.offset.saturating_add(got.into());
                    }
                    if got > 0 {
                        self.loaded.insert((load.item, load.range.offset), bytes);
                    }
                }
                self.plan.on_loaded(load, got, end);
            }
            Done::Loaded(load, Err(error)) => {
                self.interrupt(load.item, error.into());
                self.plan.abandon(load.item);
                self.plan.on_loaded(load, 0, true);
            }
            Done::Hole(load, to, end) => {
                if end && let Some(entry) = self.entries.get_mut(&load.item) {
                    entry.size = to;
                }
                self.plan.on_hole(load, to, end);
            }
            Done::Closed => {}
        }
        self.collect();
    }

    /// Begins with what the user named.
    fn begin(&mut self, item: Item, found: Found) {
        let Some(top) = self.entries.get_mut(&item) else { return };
        let recursive = self.settings.recursive;
        match found.kind {
            Kind::Directory if recursive => {
                top.describe(&found);
                self.add_directory(item, None);
            }
            Kind::Directory => {
                let kind = std::io::ErrorKind::IsADirectory.into();
                let failure = local_error("upload", &top.local, kind);
                self.record(item, failure.into());
            }
            Kind::File | Kind::Link(_) | Kind::Special => {
                top.describe(&found);
                self.add_file(item, None, found.size);
            }
        }
    }

    /// Takes what is in a local directory.
    fn add(&mut self, parent: Item, found: Found) {
        // What could not be made has nothing put into it.
        let Some(directory) = self.entries.get(&parent).filter(|entry| !entry.over) else { return };
        let mut entry = directory.inner(&found);
        let reason = match (&found.kind, self.settings.links) {
            (Kind::Directory, _) if entry.depth > MAX_DEPTH => Some(SkipReason::TooDeep),
            (Kind::Link(target), _) if target.is_empty() => Some(SkipReason::Link),
            (Kind::Special, _) => Some(SkipReason::Special),
            _ => None,
        };
        if let Some(reason) = reason {
            self.settings.monitor.tell(|| FileEvent {
                remote: entry.remote.clone(),
                local: entry.local.clone(),
                state: FileState::Skipped(reason),
            });
            return self.report.skip(RemotePath::from(&*entry.local), reason);
        }
        let item = Item(self.next_item);
        self.next_item = self.next_item.wrapping_add(1);
        entry.describe(&found);
        let size = found.size;
        match found.kind {
            Kind::Directory => {
                self.entries.insert(item, entry);
                self.add_directory(item, Some(parent));
            }
            Kind::Link(target) => {
                entry.link = Some(target);
                self.entries.insert(item, entry);
                self.plan.add_link(item, Some(parent));
            }
            Kind::File | Kind::Special => {
                self.entries.insert(item, entry);
                self.add_file(item, Some(parent), size);
            }
        }
    }

    fn add_directory(&mut self, item: Item, parent: Option<Item>) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.directory = true;
        }
        self.plan.add_directory(item, parent, false, self.settings.preserve);
        self.to_list.push(item);
    }

    fn add_file(&mut self, item: Item, parent: Option<Item>, size: u64) {
        let settings = &self.settings;
        let atomic = settings.atomic && self.has(Extension::PosixRename);
        if settings.atomic && !atomic {
            let name = Extension::PosixRename.name();
            return self.record(item, SftpErrorKind::Unsupported(name));
        }
        let how = PutFile {
            parent,
            size: Some(size),
            look: settings.resume != Resume::No && !atomic,
            set_attributes: settings.preserve || settings.sparse || settings.in_place,
            sync: (settings.sync || atomic) && self.has(Extension::Fsync),
            rename: atomic,
        };
        if settings.sync && !how.sync {
            return self.record(item, SftpErrorKind::Unsupported(Extension::Fsync.name()));
        }
        if atomic && let Some(entry) = self.entries.get_mut(&item) {
            entry.hide();
        }
        self.meter.files = self.meter.files.saturating_add(1);
        self.meter.total = self.meter.total.saturating_add(size);
        self.tell(item, FileState::Started { size: Some(size) });
        self.plan.add_file(item, how);
        self.decide();
    }

    /// Decides how many channels it is worth, from what is known of the link and the files.
    fn decide(&mut self) {
        let Some(lane) = self.lanes.first().filter(|_| !self.decided) else { return };
        let left = self.meter.total.saturating_sub(self.meter.done);
        let measured = self.plan.measured();
        let Some(round_trip) =
            measured.map(|(time, _)| time).or_else(|| lane.sftp.engine.round_trip())
        else {
            return;
        };
        let rate = measured.map(|(_, rate)| rate).filter(|rate| *rate > 0);
        let window = lane.sftp.engine.window();
        let (Some(client), Some(window)) = (lane.sftp.client.clone(), window) else {
            self.decided = true;
            return;
        };
        let wanted = lanes_wanted(round_trip, window, rate, left).min(self.settings.channels);
        for _ in 1..wanted {
            self.decided = true;
            let limits = lane.sftp.engine.client(|client| client.limits());
            let client = client.clone();
            let patience = lane.sftp.engine.request_timeout();
            self.opening.spawn(async move {
                let sftp = client.open_sftp_as(limits).await?;
                sftp.set_request_timeout(patience);
                Ok(sftp)
            });
        }
    }

    /// Takes note of files that have ended, as the plan has it.
    fn collect(&mut self) {
        while let Some((item, result)) = self.plan.poll_finished() {
            let Some(entry) = self.entries.get_mut(&item) else { continue };
            match result {
                Ok(_) if entry.over => {}
                Ok(_) if entry.directory => {
                    self.report.directories = self.report.directories.saturating_add(1);
                    self.entries.remove(&item);
                }
                Ok(_) if entry.link.is_some() => {
                    self.report.links = self.report.links.saturating_add(1);
                    self.tell(item, FileState::Link);
                    self.entries.remove(&item);
                }
                Ok(size) => {
                    entry.size = size;
                    entry.handles.clear();
                    self.on_whole(item);
                }
                Err(error) => self.interrupt(item, SftpErrorKind::Transfer(error)),
            }
        }
    }

    /// A file is whole on the server.
    fn on_whole(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        if self.settings.verify == Verify::No {
            return self.complete(item);
        }
        let (remote, local) = (entry.remote.clone(), entry.local.clone());
        let Some(sftp) = self.sftp().cloned() else { return };
        self.checks.spawn(async move {
            (item, Checked::Whole(check::whole(&sftp, &remote, local).await))
        });
    }

    fn complete(&mut self, item: Item) {
        let Some(size) = self.entries.get(&item).map(|entry| entry.size) else { return };
        self.report.files = self.report.files.saturating_add(1);
        self.report.bytes = self.report.bytes.saturating_add(size);
        self.meter.files_done = self.meter.files_done.saturating_add(1);
        self.tell(item, FileState::Done { size });
        self.entries.remove(&item);
    }

    /// Says what went wrong with a file that may be there in part.
    fn interrupt(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get(&item) else { return };
        let begun = entry.handles.iter().any(Option::is_some);
        let confirmed = if entry.hidden.is_some() { 0 } else { self.plan.confirmed(item) };
        let kind = if begun {
            SftpErrorKind::Interrupted { confirmed, cause: Box::new(kind) }
        } else {
            kind
        };
        self.record(item, kind);
    }

    /// Says what went wrong with something, of which nothing more is done. It is kept until the
    /// plan has closed it.
    fn record(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get_mut(&item).filter(|entry| !entry.over) else { return };
        entry.over = true;
        let in_it = |(of, _): &(Item, u64), _: &mut Bytes| *of != item;
        self.loaded.retain(in_it);
        self.source.send(Job::Close(item));
        self.say(item, kind);
    }

    fn say(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get(&item) else { return };
        let failure = error("put", entry.remote.as_bytes(), kind);
        self.tell(item, FileState::Failed(failure.clone()));
        self.report.fail(failure);
    }

    fn tell(&self, item: Item, state: FileState) {
        let Some(entry) = self.entries.get(&item) else { return };
        self.settings.monitor.tell(|| FileEvent {
            remote: entry.remote.clone(),
            local: entry.local.clone(),
            state,
        });
    }

    /// The transfer cannot go on. If the connection lives, what was being written is cut to what is
    /// confirmed.
    async fn break_off(&mut self, why: SftpErrorKind, top: &RemotePath) {
        let mut items: Vec<Item> = self.entries.keys().copied().collect();
        items.sort();
        for &item in &items {
            let open = |entry: &Entry| entry.handles.iter().any(Option::is_some);
            if self.entries.get(&item).is_some_and(open) {
                self.interrupt(item, why.clone());
            }
        }
        if self.report.is_complete() {
            self.report.fail(error("put", top.as_bytes(), why.clone()));
        }
        if let SftpErrorKind::Cancelled = why {
            self.checks.abort_all();
            self.to_list.clear();
            for item in items {
                if let Some(entry) = self.entries.get_mut(&item) {
                    entry.over = true;
                }
                self.plan.abandon(item);
            }
            let tidy =
                async { while let Ok(true) = self.turn(pin!(core::future::pending())).await {} };
            // A server that takes longer than that is left as it is.
            timeout(TIDYING, tidy).await.ok();
        }
    }
}

/// Asks for what is left open to be cut to what is confirmed and closed: the transfer was dropped,
/// or the server took too long.
impl Drop for Sending {
    fn drop(&mut self) {
        for (item, entry) in &self.entries {
            let confirmed = Attrs::with_size(self.plan.confirmed(*item));
            for (lane, handle) in self.lanes.iter().zip(&entry.handles) {
                let Some(handle) = handle.clone() else { continue };
                let cut = (entry.hidden.is_none() && !entry.over).then_some(confirmed);
                let engine = &lane.sftp.engine;
                if let (Some(cut), handle) = (cut, handle.clone()) {
                    engine.send_and_forget(move |client, out| client.fsetstat(&handle, &cut, out));
                }
                engine.send_and_forget(move |client, out| client.close(&handle, out));
            }
            if let (Some(hidden), Some(lane), true) =
                (&entry.hidden, self.lanes.first(), entry.handles.iter().any(Option::is_some))
            {
                let hidden = hidden.clone();
                let remove =
                    move |client: &mut Codec, out: &mut _| client.remove(hidden.as_bytes(), out);
                lane.sftp.engine.send_and_forget(remove);
            }
        }
    }
}

/// The next reply on any channel.
async fn reply(lanes: &[Lane]) -> Result<(usize, RequestId, Response), SftpErrorKind> {
    poll_fn(|cx| {
        for (at, lane) in lanes.iter().enumerate() {
            if lane.asked.is_empty() {
                continue;
            }
            if let Poll::Ready(reply) = lane.ticket.poll_reply(cx) {
                return Poll::Ready(reply.map(|(id, response)| (at, id, response)));
            }
        }
        Poll::Pending
    })
    .await
}

async fn rest(pause: Option<Duration>) {
    if let Some(pause) = pause {
        sleep(pause).await;
    }
}

fn active(entries: &HashMap<Item, Entry>, plan: &Puts) -> Vec<FileProgress> {
    let open =
        |(_, entry): &(&Item, &Entry)| !entry.over && entry.handles.iter().any(Option::is_some);
    let mut open: Vec<_> = entries.iter().filter(open).collect();
    open.sort_by_key(|(item, _)| **item);
    let shown = |(item, entry): (&Item, &Entry)| FileProgress {
        remote: entry.remote.clone(),
        done: plan.confirmed(*item),
        total: Some(entry.size),
    };
    open.into_iter().take(MAX_ACTIVE).map(shown).collect()
}

impl Lane {
    fn new(sftp: Sftp) -> Self {
        Self { ticket: sftp.engine.ticket(), sftp, asked: HashMap::new() }
    }
}

impl Entry {
    fn new(remote: RemotePath, local: PathBuf) -> Self {
        Self {
            remote,
            hidden: None,
            local,
            attrs: Attrs::NONE,
            directory: false,
            link: None,
            depth: 0,
            size: 0,
            start: 0,
            handles: Vec::new(),
            refused: None,
            over: false,
        }
    }

    /// Something in this directory.
    fn inner(&self, found: &Found) -> Self {
        use std::os::unix::ffi::OsStrExt;

        let local = self.local.join(std::ffi::OsStr::from_bytes(&found.name));
        let mut entry = Self::new(self.remote.join(&found.name), local);
        entry.depth = self.depth.saturating_add(1);
        entry
    }

    fn describe(&mut self, found: &Found) {
        let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
        let times = Times { accessed: seconds(found.accessed), modified: seconds(found.modified) };
        self.attrs = Attrs { times: Some(times), ..Attrs::with_mode(found.mode & MODE) };
        self.size = found.size;
    }

    /// Gives it a name for as long as it is not whole.
    fn hide(&mut self) {
        let path = self.remote.as_bytes();
        let name = self.remote.file_name().unwrap_or_default();
        let end =
            path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last.saturating_add(1));
        let start = end.saturating_sub(name.len());
        let mut hidden = path.get(..start).unwrap_or_default().to_vec();
        hidden.extend(temporary_name(name));
        self.hidden = Some(hidden.into());
    }

    fn mode(&self) -> u32 {
        self.attrs.permissions.map_or(0o644, sftp::Permissions::mode)
    }
}
