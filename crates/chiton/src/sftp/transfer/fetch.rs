//! Runs a download: asks what the plan says, and gives what comes to the disk.

use core::{
    pin::{Pin, pin},
    time::Duration,
};
use std::{
    collections::{HashMap, VecDeque},
    fs,
    path::PathBuf,
    sync::Arc,
};

use sftp::{
    Attrs, Chunks, OpenFlags, StatusCode,
    client::{Handle, Name, RequestId, Response},
    path::{NamingRules, check_component},
    transfer::{GetStep, Gets, Item, TransferError},
};
use tokio::{task::JoinSet, time::sleep};

use super::{
    Clock, FileEvent, FileProgress, FileState, Links, Report, Resume, SkipReason, Verify,
    check::{self, Checked},
    options::Settings,
    progress::Meter,
    sink::{Done, Ending, Job, Manner, Place, Sink},
    worker::Worker,
};
use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath, Sftp,
        dir::MAX_LISTING,
        engine::{Opened, Ticket},
        error, expect_attrs, expect_path, unexpected,
    },
};

/// How deep a tree may be: what is deeper is a loop or a trap (OpenSSH has the same bound).
pub(super) const MAX_DEPTH: u32 = 64;

/// A file that is said to be no larger is written in one go, when everything of it is there: more
/// than a request carries from most servers.
const SMALL: u64 = 128 * 1024;

/// Links that are looked at, and files that are compared, at a time.
const ASIDE: usize = 16;

/// Requests of the session that a transfer leaves to others.
const RESERVE: usize = 64;

const TOP: Item = Item(0);

/// A download that is under way.
pub(super) struct Fetch {
    sftp: Sftp,
    settings: Settings,
    ticket: Ticket,
    plan: Gets,
    clock: Clock,
    sink: Worker<Sink>,
    entries: HashMap<Item, Entry>,
    asked: HashMap<RequestId, Asked>,
    /// Links of the tree that were not looked at.
    links: VecDeque<Item>,
    /// Files of which is to be seen how much is there.
    to_look: VecDeque<Item>,
    /// How many of those are under way, and what is being compared.
    looking: usize,
    checks: JoinSet<(Item, Checked)>,
    next_item: u32,
    /// What the names take that were listed and are not done.
    listed: usize,
    meter: Meter,
    report: Report,
}

/// What a request asks.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Step(GetStep),
    Link(Item),
    LinkTarget(Item),
}

struct Entry {
    remote: RemotePath,
    local: PathBuf,
    parent: Option<Item>,
    /// The name in the parent.
    name: Vec<u8>,
    /// The open file of the user.
    file: Option<fs::File>,
    attrs: Attrs,
    depth: u32,
    handle: Option<Opened>,
    /// Bytes that were there, and those that came.
    start: u64,
    came: u64,
    content: Content,
    /// Why it was given up, until the disk has said up to where it is there.
    failure: Option<SftpErrorKind>,
    over: bool,
    /// It is being given its end on the disk.
    finishing: bool,
    /// Of a directory: what in it is not done, and whether everything was listed.
    left: usize,
    listed: bool,
}

/// What is done with the content of a file.
enum Content {
    /// It is kept until it is all there.
    Small(Vec<(u64, Chunks)>),
    /// It is written as it comes.
    Written,
}

impl Fetch {
    pub(super) fn new(sftp: Sftp, settings: Settings) -> Self {
        let limits = sftp.engine.client(|client| client.limits());
        let mut options = settings.planned(limits.max_read);
        options.rate = settings.rate;
        options.round_trip = sftp.engine.round_trip();
        sftp.engine.expect_data();
        if let Some(told) = limits.max_handles {
            let told = usize::try_from(told).unwrap_or(usize::MAX);
            options.max_handles = options.max_handles.min(told).max(1);
        }
        let manner = Manner {
            atomic: settings.atomic,
            sync: settings.sync,
            // What is written over has to be written over with zeroes as well.
            sparse: settings.sparse && !settings.in_place,
            in_place: settings.in_place,
        };
        Self {
            ticket: sftp.engine.ticket(),
            plan: Gets::new(&options),
            clock: Clock::start(),
            sink: Worker::start(Sink::new(manner), settings.on_this_thread),
            entries: HashMap::new(),
            asked: HashMap::new(),
            links: VecDeque::new(),
            to_look: VecDeque::new(),
            looking: 0,
            checks: JoinSet::new(),
            next_item: 1,
            listed: 0,
            meter: Meter::new(settings.monitor.clone()),
            report: Report::default(),
            sftp,
            settings,
        }
    }

    /// Downloads what is at `remote`.
    pub(super) async fn run(
        mut self,
        remote: RemotePath,
        local: PathBuf,
        file: Option<fs::File>,
    ) -> Report {
        let mut top = Entry::new(remote, local, Attrs::NONE);
        top.file = file;
        let top_path = top.remote.clone();
        self.entries.insert(TOP, top);
        let monitor = self.settings.monitor.clone();
        let mut cancelled = pin!(monitor.cancelled());
        let begun = tokio::select! {
            begun = self.begin() => begun,
            () = &mut cancelled => Err(SftpErrorKind::Cancelled),
        };
        let broken = match begun {
            Ok(()) => loop {
                match self.turn(cancelled.as_mut()).await {
                    Ok(true) => {}
                    Ok(false) => break None,
                    Err(kind) => break Some(kind),
                }
            },
            Err(kind) => {
                self.fail(TOP, kind);
                None
            }
        };
        if let Some(kind) = broken {
            self.break_off(&kind, &top_path).await;
        }
        self.sink.finish().await;
        self.meter.finish();
        self.report
    }

    /// Looks at what there is, and opens it in the same round trip.
    async fn begin(&mut self) -> Result<(), SftpErrorKind> {
        let Some(top) = self.entries.get(&TOP) else { return Ok(()) };
        let path = top.remote.clone();
        let path = path.as_bytes();
        let asking = self.sftp.engine.ticket();
        asking.send_in_turn(|client, out| client.stat(path, out)).await?;
        let recursive = self.settings.recursive;
        let open = self.ticket.send_in_turn(|client, out| match recursive {
            true => client.opendir(path, out),
            false => client.open(path, OpenFlags::READ, &Attrs::NONE, out),
        });
        open.await?;
        let attrs = asking.reply().await.and_then(|(_, reply)| expect_attrs(reply));
        let opened = self.ticket.reply().await?.1;
        let handle = match opened {
            Response::Handle(handle) => Some(handle),
            // It is no directory, if it is anything at all.
            _ if recursive => None,
            other => return Err(unexpected(other)),
        };
        let attrs = match attrs {
            Ok(attrs) => attrs,
            Err(kind) => {
                self.close(handle);
                return Err(kind);
            }
        };
        if let Some(top) = self.entries.get_mut(&TOP) {
            top.attrs = attrs;
        }
        match (attrs.is_dir(), recursive, handle) {
            (true, true, Some(handle)) => {
                self.set_handle(TOP, handle);
                self.begin_directory(TOP);
                self.plan.add_open_directory(TOP);
            }
            (true, true, None) => {
                self.begin_directory(TOP);
                self.plan.add_directory(TOP);
            }
            (true, false, handle) => {
                self.close(handle);
                return Err(SftpErrorKind::IsADirectory);
            }
            (false, _, handle) => {
                if let Some(handle) = handle {
                    self.set_handle(TOP, handle);
                }
                self.begin_file(TOP);
            }
        }
        Ok(())
    }

    fn close(&self, handle: Option<Handle>) {
        if let Some(handle) = handle {
            self.sftp.engine.send_and_forget(move |client, out| client.close(&handle, out));
        }
    }

    fn set_handle(&mut self, item: Item, handle: Handle) {
        match self.entries.get_mut(&item) {
            Some(entry) => {
                entry.handle = Some(Opened::new(Arc::clone(&self.sftp.engine), handle));
            }
            None => self.close(Some(handle)),
        }
    }

    /// Does what can be done, and waits for what comes next. False when all is done.
    async fn turn(
        &mut self,
        mut cancelled: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, SftpErrorKind> {
        while let Some(done) = self.sink.try_next() {
            self.on_disk(done);
        }
        if self.asked.is_empty() {
            tokio::select! {
                turn = self.ticket.reserve() => turn?,
                () = cancelled.as_mut() => return Err(SftpErrorKind::Cancelled),
            }
        }
        self.ask()?;
        let (entries, plan) = (&self.entries, &self.plan);
        self.meter.update(|| active(entries, plan));
        let left = self.links.len().saturating_add(self.to_look.len()).saturating_add(self.looking);
        let waits = left > 0 || !self.plan.only_closes(self.asked.len());
        let waits = waits && !self.asked.is_empty();
        let disk = self.sink.pending() > 0;
        let checks = !self.checks.is_empty();
        let now = self.clock.now();
        let pause = self.plan.opens(now).map(|at| at.since(now));
        if !waits && !disk && !checks && pause.is_none() {
            self.ticket.flush();
            return Ok(false);
        }
        tokio::select! {
            biased;
            reply = self.ticket.reply(), if waits => {
                let (id, response) = reply?;
                self.on_reply(id, response);
            }
            done = self.sink.next(), if disk => {
                if let Some(done) = done {
                    self.on_disk(done);
                }
            }
            checked = self.checks.join_next(), if checks => {
                if let Some(Ok((item, checked))) = checked {
                    self.on_checked(item, checked);
                }
            }
            () = rest(pause), if pause.is_some() => {}
            () = cancelled => return Err(SftpErrorKind::Cancelled),
        }
        Ok(true)
    }

    /// Sends what the plan wants to be asked.
    fn ask(&mut self) -> Result<(), SftpErrorKind> {
        while let Some(item) = self.to_look.front().copied().filter(|_| self.looking < ASIDE) {
            self.to_look.pop_front();
            if let Some(place) = self.entries.get(&item).map(Entry::place) {
                self.looking = self.looking.saturating_add(1);
                self.sink.send(Job::Look(item, place));
            }
        }
        while self.has_room() {
            let extra = self.asked.len() < ASIDE || self.plan.is_idle();
            if extra && let Some(item) = self.links.pop_front() {
                let Some(entry) = self.entries.get(&item) else { continue };
                let path = entry.remote.as_bytes();
                let (id, asked) = match self.settings.links {
                    Links::Follow => {
                        let id = self.ticket.send(|client, out| client.stat(path, out))?;
                        (id, Asked::LinkTarget(item))
                    }
                    _ => {
                        let id = self.ticket.send(|client, out| client.readlink(path, out))?;
                        (id, Asked::Link(item))
                    }
                };
                self.asked.insert(id, asked);
                continue;
            }
            let Some(step) = self.plan.next(self.clock.now()) else { break };
            self.send(step)?;
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.asked.is_empty() || self.sftp.engine.room() > RESERVE
    }

    fn send(&mut self, step: GetStep) -> Result<(), SftpErrorKind> {
        let Some(entry) = self.entries.get_mut(&step.item()) else { return Ok(()) };
        let path = entry.remote.as_bytes();
        let ticket = &self.ticket;
        let handle = entry.handle.as_ref().and_then(|open| open.handle().ok());
        let id = match (step, handle) {
            (GetStep::Open(_), _) => {
                ticket.send(|client, out| client.open(path, OpenFlags::READ, &Attrs::NONE, out))?
            }
            (GetStep::OpenDirectory(_), _) => {
                ticket.send(|client, out| client.opendir(path, out))?
            }
            (GetStep::Read(_, range), Some(handle)) => {
                ticket.send(|client, out| client.read(handle, range.offset, range.len, out))?
            }
            (GetStep::Size(_), Some(handle)) => {
                ticket.send(|client, out| client.fstat(handle, out))?
            }
            (GetStep::List(_), Some(handle)) => {
                ticket.send(|client, out| client.readdir(handle, out))?
            }
            (GetStep::Close(_), Some(handle)) => {
                ticket.send(|client, out| client.close(handle, out))?
            }
            // Only what is open is read and closed.
            (_, None) => return Ok(()),
            _ => return Ok(()),
        };
        if let (GetStep::Close(_), Some(open)) = (step, &mut entry.handle) {
            open.take();
        }
        self.asked.insert(id, Asked::Step(step));
        Ok(())
    }

    fn on_reply(&mut self, id: RequestId, response: Response) {
        let Some(asked) = self.asked.remove(&id) else { return };
        let step = match asked {
            Asked::Step(step) => step,
            Asked::Link(item) => return self.on_link(item, response),
            Asked::LinkTarget(item) => return self.on_link_target(item, response),
        };
        let now = self.clock.now();
        match (step, response) {
            (GetStep::Open(item), Response::Handle(handle)) => {
                self.set_handle(item, handle);
                self.open_local(item);
                self.plan.on_opened(item);
            }
            (GetStep::OpenDirectory(item), Response::Handle(handle)) => {
                self.set_handle(item, handle);
                self.plan.on_opened(item);
            }
            (GetStep::Open(item) | GetStep::OpenDirectory(item), other) => {
                self.plan.on_refused(item);
                self.fail(item, unexpected(other));
            }
            (GetStep::Read(item, range), Response::Data(chunks)) => {
                let got = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
                self.plan.on_data(item, range.offset, got, now);
                self.on_content(item, range.offset, chunks);
                self.collect();
            }
            (GetStep::Read(item, range), Response::Status(status))
                if status.code == StatusCode::Eof =>
            {
                self.plan.on_eof(item, range.offset, now);
                self.collect();
            }
            (GetStep::Read(item, range), other) => {
                self.plan.on_read_failed(item, range.offset, now);
                self.fail(item, unexpected(other));
            }
            (GetStep::Size(item), other) => {
                let size = expect_attrs(other).ok().and_then(|attrs| attrs.size);
                self.plan.on_size(item, size);
                self.collect();
            }
            (GetStep::List(item), Response::Names(names)) => {
                self.plan.on_names(item);
                self.on_names(item, names);
            }
            (GetStep::List(item), Response::Status(status)) if status.code == StatusCode::Eof => {
                self.plan.on_listed(item);
                self.on_listed(item);
            }
            (GetStep::List(item), other) => {
                self.plan.on_listed(item);
                self.fail_directory(item, unexpected(other));
            }
            (GetStep::Close(item), _) => {
                // Reading has told everything there is to tell.
                self.plan.on_closed(item);
                self.on_closed(item);
            }
            _ => {}
        }
    }

    /// Takes note of files that have ended, as the plan has it.
    fn collect(&mut self) {
        while let Some((item, result)) = self.plan.poll_finished() {
            match result {
                Ok(size) => self.finish_local(item, size),
                Err(error) => self.fail(item, SftpErrorKind::Transfer(error)),
            }
        }
    }

    /// Begins with a directory whose attributes are known.
    fn begin_directory(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        self.sink.send(Job::Folder(item, entry.place()));
        self.tell(item, FileState::Directory);
    }

    /// Begins with a file whose attributes are known.
    fn begin_file(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        self.meter.files = self.meter.files.saturating_add(1);
        match entry.size() {
            Some(size) => self.meter.total = self.meter.total.saturating_add(size),
            None => self.meter.unknown = self.meter.unknown.saturating_add(1),
        }
        if self.settings.resume == Resume::No || self.settings.atomic {
            self.add_file(item, 0);
        } else {
            self.to_look.push_back(item);
        }
    }

    /// Gives a file to the plan, from `start` on.
    fn add_file(&mut self, item: Item, start: u64) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        let size = entry.size();
        entry.start = start;
        self.meter.skipped = self.meter.skipped.saturating_add(start);
        let small = start == 0 && size.is_some_and(|size| size <= SMALL) && entry.file.is_none();
        // What is named is written as it comes, so that what is there can be taken up.
        entry.content = if small && entry.parent.is_some() {
            Content::Small(Vec::new())
        } else {
            Content::Written
        };
        // A hint for regular files only: others say anything.
        let hint = size.filter(|_| entry.attrs.is_file() || entry.attrs.permissions.is_none());
        self.tell(item, FileState::Started { size });
        let open = self.entries.get(&item).is_some_and(|entry| entry.handle.is_some());
        if open {
            self.open_local(item);
            self.plan.add_open_file(item, start, hint);
        } else {
            self.plan.add_file(item, start, hint);
        }
    }

    /// Opens the local file, unless it is written in one go.
    fn open_local(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        if let Content::Written = entry.content
            && !entry.over
        {
            let (mode, keep) = (entry.mode(), entry.start);
            let place = entry.take_place();
            self.sink.send(Job::Create { item, place, mode, keep });
        }
    }

    fn on_content(&mut self, item: Item, offset: u64, chunks: Chunks) {
        let len = u64::try_from(chunks.len()).unwrap_or(u64::MAX);
        let Some(entry) = self.entries.get_mut(&item).filter(|entry| !entry.over) else {
            return self.plan.on_stored(len);
        };
        entry.came = entry.came.saturating_add(len);
        self.meter.done = self.meter.done.saturating_add(len);
        self.report.moved = self.report.moved.saturating_add(len);
        match &mut entry.content {
            Content::Written => self.sink.send(Job::Write(item, offset, chunks)),
            Content::Small(pieces) => {
                pieces.push((offset, chunks));
                if entry.came <= SMALL {
                    return;
                }
                // It has become larger than it was said to be.
                let pieces = core::mem::take(pieces);
                entry.content = Content::Written;
                self.open_local(item);
                for (offset, chunks) in pieces {
                    self.sink.send(Job::Write(item, offset, chunks));
                }
            }
        }
    }

    /// Everything of a file came: it is given its end on the disk.
    fn finish_local(&mut self, item: Item, size: u64) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        let end = Ending { size, attrs: self.settings.preserve.then_some(entry.attrs) };
        if let Content::Small(pieces) = &mut entry.content {
            let pieces = core::mem::take(pieces);
            let (mode, came) = (entry.mode(), entry.came);
            let place = entry.take_place();
            // What waits in the queue to the disk is bounded by the files that may be open.
            self.plan.on_stored(came);
            self.sink.send(Job::Store { item, place, mode, pieces, end });
        } else {
            self.sink.send(Job::Finish(item, end));
        }
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.came = size;
            entry.finishing = true;
        }
    }

    fn on_disk(&mut self, done: Done) {
        match done {
            Done::Ready(item) => self.on_ready(item),
            Done::There(item, there) => self.on_there(item, there),
            Done::Written(bytes) => self.plan.on_stored(bytes),
            Done::Finished(item) => self.on_written(item),
            Done::Abandoned(item, confirmed) => {
                let failure = self.entries.get_mut(&item).and_then(|entry| entry.failure.take());
                if let Some(cause) = failure {
                    let cause = Box::new(cause);
                    self.record(item, SftpErrorKind::Interrupted { confirmed, cause });
                }
            }
            Done::Failed { item, cause, written, freed } => {
                self.plan.on_stored(freed);
                let Some(entry) = self.entries.get_mut(&item) else { return };
                if entry.is_directory() {
                    return self.fail_directory(item, cause);
                }
                // It may have failed for another reason before; it does so once.
                let known = entry.over && entry.failure.take().is_none();
                let kind = match entry.came {
                    0 => cause,
                    _ => {
                        let cause = Box::new(cause);
                        SftpErrorKind::Interrupted { confirmed: written, cause }
                    }
                };
                entry.over = true;
                self.plan.abandon(item);
                if !known {
                    self.record(item, kind);
                }
            }
        }
    }

    /// A directory, link or file is there.
    fn on_ready(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        if entry.attrs.is_symlink() && entry.parent.is_some() {
            self.report.links = self.report.links.saturating_add(1);
            self.tell(item, FileState::Link);
            self.forget(item);
        } else if entry.is_directory() && entry.over {
            self.report.directories = self.report.directories.saturating_add(1);
            self.forget(item);
        }
    }

    /// How much of a file is there.
    fn on_there(&mut self, item: Item, there: Result<Option<(fs::File, u64)>, SftpErrorKind>) {
        self.looking = self.looking.saturating_sub(1);
        let Some(entry) = self.entries.get(&item) else { return };
        let there = match there {
            Ok(there) => there,
            Err(kind) => return self.give_up(item, kind),
        };
        let Some((file, there)) = there.filter(|(_, there)| *there > 0) else {
            return self.add_file(item, 0);
        };
        match (self.settings.resume, entry.size().filter(|size| *size < there)) {
            (Resume::Restart, Some(_)) => self.add_file(item, 0),
            (_, Some(size)) => {
                let mismatch = TransferError::SizeMismatch { moved: there, size };
                self.give_up(item, SftpErrorKind::Transfer(mismatch));
            }
            (Resume::Trust, None) => self.add_file(item, there),
            (_, None) => {
                let (sftp, remote) = (self.sftp.clone(), entry.remote.clone());
                self.checks.spawn(async move {
                    (
                        item,
                        Checked::Beginning(check::same(&sftp, &remote, file, there).await, there),
                    )
                });
            }
        }
    }

    fn on_checked(&mut self, item: Item, checked: Checked) {
        match checked {
            Checked::Beginning(Ok(true), there) => self.add_file(item, there),
            Checked::Beginning(Ok(false), _) if self.settings.resume == Resume::Restart => {
                self.add_file(item, 0);
            }
            Checked::Beginning(Ok(false), there) => {
                self.give_up(item, SftpErrorKind::ResumeMismatch { there });
            }
            Checked::Beginning(Err(kind), _) => self.give_up(item, kind),
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

    /// Fails a file that the plan does not know yet.
    fn give_up(&mut self, item: Item, kind: SftpErrorKind) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.handle = None;
        }
        entry_over(&mut self.entries, item);
        self.record(item, kind);
    }

    /// A file is whole on the disk.
    fn on_written(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        if self.settings.verify == Verify::No {
            return self.complete(item);
        }
        let (sftp, remote, local) = (self.sftp.clone(), entry.remote.clone(), entry.local.clone());
        self.checks.spawn(async move {
            (item, Checked::Whole(check::whole(&sftp, &remote, local).await))
        });
    }

    fn complete(&mut self, item: Item) {
        let Some(size) = self.entries.get(&item).map(|entry| entry.came) else { return };
        self.report.files = self.report.files.saturating_add(1);
        self.report.bytes = self.report.bytes.saturating_add(size);
        self.meter.files_done = self.meter.files_done.saturating_add(1);
        self.tell(item, FileState::Done { size });
        entry_over(&mut self.entries, item);
        self.leave(item);
    }

    /// Gives up a file because of what the server said or did.
    fn fail(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get_mut(&item).filter(|entry| !entry.over) else { return };
        entry.over = true;
        if entry.is_directory() && entry.handle.is_some() {
            return self.fail_directory(item, kind);
        }
        let opened = entry.handle.is_some();
        match &entry.content {
            Content::Written if opened => {
                entry.failure = Some(kind);
                let confirmed = self.plan.confirmed(item);
                self.plan.abandon(item);
                self.sink.send(Job::Abandon(item, confirmed));
            }
            Content::Small(_) if entry.came > 0 => {
                let came = entry.came;
                entry.content = Content::Small(Vec::new());
                self.plan.on_stored(came);
                self.plan.abandon(item);
                let cause = Box::new(kind);
                self.record(item, SftpErrorKind::Interrupted { confirmed: 0, cause });
            }
            _ => {
                self.plan.abandon(item);
                self.record(item, kind);
            }
        }
    }

    /// Lists a directory no further. What was listed of it goes on.
    fn fail_directory(&mut self, item: Item, kind: SftpErrorKind) {
        self.plan.abandon(item);
        let path = self.entries.get(&item).map(|entry| entry.remote.clone());
        if let Some(path) = path {
            let failure = error("get", path.as_bytes(), kind);
            self.tell(item, FileState::Failed(failure.clone()));
            self.report.fail(failure);
        }
        self.on_listed(item);
    }

    /// Says what went wrong with a file, for which nothing more is done.
    fn record(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get(&item) else { return };
        let failure = error("get", entry.remote.as_bytes(), kind);
        self.tell(item, FileState::Failed(failure.clone()));
        self.report.fail(failure);
        self.leave(item);
    }

    fn tell(&self, item: Item, state: FileState) {
        let Some(entry) = self.entries.get(&item) else { return };
        self.settings.monitor.tell(|| FileEvent {
            remote: entry.remote.clone(),
            local: entry.local.clone(),
            state,
        });
    }

    /// Takes an item that is done out of its directory. It is kept while it is open.
    fn leave(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        let parent = entry.parent.take();
        if entry.handle.is_none() {
            self.remove(item);
        }
        if let Some(parent) = parent {
            if let Some(directory) = self.entries.get_mut(&parent) {
                directory.left = directory.left.saturating_sub(1);
            }
            self.settle(parent);
        }
    }

    fn forget(&mut self, item: Item) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.over = true;
        }
        self.leave(item);
    }

    fn remove(&mut self, item: Item) {
        if let Some(entry) = self.entries.remove(&item) {
            self.listed = self.listed.saturating_sub(entry.weight());
        }
    }

    fn on_closed(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        entry.handle = None;
        if entry.over && entry.parent.is_none() && entry.failure.is_none() && item != TOP {
            self.remove(item);
        }
    }

    /// Everything in a directory is known.
    fn on_listed(&mut self, item: Item) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.listed = true;
        }
        self.settle(item);
    }

    /// Ends a directory in which everything is done.
    fn settle(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        if entry.listed && entry.left == 0 && !entry.over {
            entry.over = true;
            let attrs = self.settings.preserve.then_some(entry.attrs);
            self.sink.send(Job::Settle(item, attrs));
        }
    }

    /// Takes what a directory was said to contain.
    fn on_names(&mut self, item: Item, names: Vec<Name>) {
        for Name { filename, attrs, .. } in names {
            if matches!(&*filename, b"." | b"..") {
                continue;
            }
            let Some(directory) = self.entries.get(&item).filter(|entry| !entry.over) else {
                return;
            };
            if let Err(bad) = check_component(&filename, NamingRules::LOCAL) {
                return self.fail_directory(item, SftpErrorKind::BadName(bad));
            }
            let mut entry = directory.inner(item, filename, attrs);
            self.listed = self.listed.saturating_add(entry.weight());
            if self.listed > MAX_LISTING {
                let kind = SftpErrorKind::ListingTooLong { limit: MAX_LISTING };
                return self.fail_directory(item, kind);
            }
            let number = Item(self.next_item);
            if let Some(reason) = self.leaves_out(&entry) {
                self.listed = self.listed.saturating_sub(entry.weight());
                self.skip(&entry, reason);
                continue;
            }
            self.next_item = self.next_item.wrapping_add(1);
            entry.parent = Some(item);
            self.entries.insert(number, entry);
            if let Some(directory) = self.entries.get_mut(&item) {
                directory.left = directory.left.saturating_add(1);
            }
            if attrs.is_dir() {
                self.begin_directory(number);
                self.plan.add_directory(number);
            } else if attrs.is_symlink() {
                self.links.push_back(number);
            } else {
                self.begin_file(number);
            }
        }
    }

    /// Why something listed is left out, if it is.
    fn leaves_out(&self, entry: &Entry) -> Option<SkipReason> {
        let known = entry.attrs.permissions.and_then(sftp::Permissions::file_type).is_some();
        if entry.attrs.is_symlink() {
            (self.settings.links == Links::Skip).then_some(SkipReason::Link)
        } else if entry.attrs.is_dir() {
            (entry.depth >= MAX_DEPTH).then_some(SkipReason::TooDeep)
        } else {
            (known && !entry.attrs.is_file()).then_some(SkipReason::Special)
        }
    }

    fn skip(&mut self, entry: &Entry, reason: SkipReason) {
        self.settings.monitor.tell(|| FileEvent {
            remote: entry.remote.clone(),
            local: entry.local.clone(),
            state: FileState::Skipped(reason),
        });
        self.report.skip(entry.remote.clone(), reason);
    }

    /// Where a link leads.
    fn on_link(&mut self, item: Item, response: Response) {
        let Some(entry) = self.entries.get(&item) else { return };
        match expect_path(response) {
            Ok(target) => {
                let place = entry.place();
                self.sink.send(Job::Link(item, place, target.into_bytes()));
            }
            Err(kind) => self.fail(item, kind),
        }
    }

    /// What a link leads to.
    fn on_link_target(&mut self, item: Item, response: Response) {
        match expect_attrs(response) {
            Ok(attrs) if attrs.is_file() => {
                if let Some(entry) = self.entries.get_mut(&item) {
                    entry.attrs = attrs;
                }
                self.begin_file(item);
            }
            Ok(attrs) => {
                let reason = if attrs.is_dir() { SkipReason::Link } else { SkipReason::Special };
                if let Some(entry) = self.entries.remove(&item) {
                    self.skip(&entry, reason);
                    self.entries.insert(item, entry);
                }
                self.forget(item);
            }
            Err(kind) => self.fail(item, kind),
        }
    }

    /// The transfer cannot go on: what was being written is cut to what is confirmed.
    async fn break_off(&mut self, why: &SftpErrorKind, top: &RemotePath) {
        let mut open: Vec<Item> = self.entries.keys().copied().collect();
        open.sort();
        for item in open {
            let Some(entry) = self.entries.get(&item) else { continue };
            if !entry.is_directory() && entry.handle.is_some() && !entry.finishing {
                self.fail(item, why.clone());
            }
        }
        while let Some(done) = self.sink.next().await {
            self.on_disk(done);
        }
        if self.report.is_complete() {
            self.report.fail(error("get", top.as_bytes(), why.clone()));
        }
    }
}

async fn rest(pause: Option<Duration>) {
    if let Some(pause) = pause {
        sleep(pause).await;
    }
}

fn entry_over(entries: &mut HashMap<Item, Entry>, item: Item) {
    if let Some(entry) = entries.get_mut(&item) {
        entry.over = true;
    }
}

fn active(entries: &HashMap<Item, Entry>, plan: &Gets) -> Vec<FileProgress> {
    let mut open: Vec<_> = entries
        .iter()
        .filter(|(_, entry)| entry.handle.is_some() && !entry.is_directory() && !entry.over)
        .collect();
    open.sort_by_key(|(item, _)| **item);
    let shown = |(item, entry): (&Item, &Entry)| FileProgress {
        remote: entry.remote.clone(),
        done: plan.confirmed(*item),
        total: entry.size(),
    };
    open.into_iter().take(super::progress::MAX_ACTIVE).map(shown).collect()
}

impl Entry {
    fn new(remote: RemotePath, local: PathBuf, attrs: Attrs) -> Self {
        Self {
            remote,
            local,
            parent: None,
            name: Vec::new(),
            file: None,
            attrs,
            depth: 0,
            handle: None,
            start: 0,
            came: 0,
            content: Content::Written,
            failure: None,
            over: false,
            finishing: false,
            left: 0,
            listed: false,
        }
    }

    /// Something in this directory.
    fn inner(&self, item: Item, name: Vec<u8>, attrs: Attrs) -> Self {
        use std::os::unix::ffi::OsStrExt;

        let local = self.local.join(std::ffi::OsStr::from_bytes(&name));
        let mut entry = Self::new(self.remote.join(&name), local, attrs);
        entry.name = name;
        entry.parent = Some(item);
        entry.depth = self.depth.saturating_add(1);
        entry
    }

    /// What it takes in memory.
    fn weight(&self) -> usize {
        let paths = self.remote.as_bytes().len().saturating_add(self.local.as_os_str().len());
        paths.saturating_add(self.name.len()).saturating_add(size_of::<Self>())
    }

    fn is_directory(&self) -> bool {
        self.attrs.is_dir()
    }

    fn size(&self) -> Option<u64> {
        self.attrs.size
    }

    fn mode(&self) -> Option<u32> {
        self.attrs.permissions.map(sftp::Permissions::mode)
    }

    /// Where it goes; a file of the user can be looked at before.
    fn place(&self) -> Place {
        match (self.parent, &self.file) {
            (Some(parent), _) => Place::In(parent, self.name.clone()),
            (None, Some(file)) => match file.try_clone() {
                Ok(file) => Place::Open(file, self.local.clone()),
                Err(_) => Place::Path(self.local.clone()),
            },
            (None, None) => Place::Path(self.local.clone()),
        }
    }

    fn take_place(&mut self) -> Place {
        match self.file.take() {
            Some(file) => Place::Open(file, self.local.clone()),
            None => self.place(),
        }
    }
}
