//! Downloading many files and directories at once.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use ssh_wire::Time;

use super::{
    Item, MAX_WAITING, Options, Range, TransferError,
    download::Download,
    pipe::{Pace, Pipe},
};

/// Directories that are listed at a time. What is deep in a tree is listed before what is beside
/// it, so that few wait.
const MAX_LISTINGS: usize = 16;

/// The requests for names of one directory that are under way: from two on, since most are answered
/// by a first part and the end, up to this where names keep coming.
const MAX_LISTING_DEPTH: usize = 16;

/// What to ask the server next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GetStep {
    /// `OPEN` of a file for reading; answered with [`Gets::on_opened`] or [`Gets::on_refused`].
    Open(Item),
    /// `READ`; answered with [`Gets::on_data`], [`Gets::on_eof`] or [`Gets::on_read_failed`].
    Read(Item, Range),
    /// `FSTAT` of an open file, whose size was not what it had been told to be; answered with
    /// [`Gets::on_size`].
    Size(Item),
    /// `OPENDIR`; answered with [`Gets::on_opened`] or [`Gets::on_refused`].
    OpenDirectory(Item),
    /// `READDIR`; answered with [`Gets::on_names`] or [`Gets::on_listed`].
    List(Item),
    /// `CLOSE`; answered with [`Gets::on_closed`], however it went.
    Close(Item),
}

impl GetStep {
    /// The file or directory that it is for.
    #[must_use]
    pub const fn item(self) -> Item {
        match self {
            Self::Open(item)
            | Self::Read(item, _)
            | Self::Size(item)
            | Self::OpenDirectory(item)
            | Self::List(item)
            | Self::Close(item) => item,
        }
    }
}

/// Plans a download of files and directories. See the [module](super).
#[derive(Clone, Debug)]
pub struct Gets {
    options: Options,
    pipe: Pipe,
    pace: Pace,
    /// Bytes that came and are not stored.
    held: u64,
    /// Requests under way that are no reads.
    others: usize,
    /// Files and directories that are open, or being opened or closed.
    handles: usize,
    /// Bytes that will be asked for in the files that are open or being opened.
    promised: u64,
    files: BTreeMap<Item, File>,
    directories: BTreeMap<Item, Directory>,
    to_open: VecDeque<Item>,
    to_list: Vec<Item>,
    /// Files that have reads to be sent.
    reading: VecDeque<Item>,
    /// Directories of which names can be asked for.
    listing: VecDeque<Item>,
    sizing: VecDeque<Item>,
    closing: VecDeque<Item>,
    /// Requests to close that are under way.
    closes: usize,
    finished: VecDeque<(Item, Result<u64, TransferError>)>,
}

#[derive(Clone, Debug)]
struct File {
    plan: Download,
    /// What is promised for it and was not asked for.
    promised: u64,
    /// It is in `reading`.
    queued: bool,
    open: bool,
    /// Nothing more is wanted of it; it is kept until all its requests are answered.
    over: bool,
    /// Requests under way that are no reads.
    others: usize,
}

#[derive(Clone, Debug)]
struct Directory {
    /// Requests for names that are under way, and how many there may be.
    asked: usize,
    depth: usize,
    queued: bool,
    open: bool,
    over: bool,
}

impl Gets {
    /// Plans the download of nothing yet.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let options = Options { request_len: options.paced_len(), ..options.clone() };
        Self {
            pipe: Pipe::new(&options),
            pace: Pace::new(options.rate),
            options,
            held: 0,
            others: 0,
            handles: 0,
            promised: 0,
            files: BTreeMap::new(),
            directories: BTreeMap::new(),
            to_open: VecDeque::new(),
            to_list: Vec::new(),
            reading: VecDeque::new(),
            listing: VecDeque::new(),
            sizing: VecDeque::new(),
            closing: VecDeque::new(),
            closes: 0,
            finished: VecDeque::new(),
        }
    }

    /// Adds a file: what is behind `start`, of the size that was told, if any was. Each item is to
    /// be added once.
    pub fn add_file(&mut self, item: Item, start: u64, size: Option<u64>) {
        let plan = Download::new(self.options.request_len, start, size);
        let left = size.map(|size| size.saturating_sub(start));
        let promised = left.unwrap_or_else(|| self.options.request_len.into()).max(1);
        let file = File { plan, promised, queued: false, open: false, over: false, others: 0 };
        self.files.insert(item, file);
        self.to_open.push_back(item);
    }

    /// Adds a file that is open already.
    pub fn add_open_file(&mut self, item: Item, start: u64, size: Option<u64>) {
        self.add_file(item, start, size);
        self.to_open.pop_back();
        self.handles = self.handles.saturating_add(1);
        if let Some(file) = self.files.get_mut(&item) {
            self.promised = self.promised.saturating_add(file.promised);
        }
        self.opened_file(item);
    }

    /// Adds a directory to be listed.
    pub fn add_directory(&mut self, item: Item) {
        let directory = Directory { asked: 0, depth: 2, queued: false, open: false, over: false };
        self.directories.insert(item, directory);
        self.to_list.push(item);
    }

    /// Adds a directory that is open already.
    pub fn add_open_directory(&mut self, item: Item) {
        self.add_directory(item);
        self.to_list.pop();
        self.handles = self.handles.saturating_add(1);
        self.opened_directory(item);
    }

    /// What to ask for next; `None` if a reply has to come first, something be
    /// [stored](Self::on_stored), time pass (see [`Self::opens`]), or if nothing is left to do. It
    /// counts as sent `now`.
    pub fn next(&mut self, now: Time) -> Option<GetStep> {
        if let Some(item) = self.closing.pop_front() {
            self.closes = self.closes.saturating_add(1);
            return Some(self.other(item, GetStep::Close(item)));
        }
        if self.pipe.requests().saturating_add(self.others) >= self.options.max_requests.max(1) {
            return None;
        }
        while let Some(item) = self.sizing.pop_front() {
            if self.files.get(&item).is_some_and(|file| !file.over) {
                return Some(self.other(item, GetStep::Size(item)));
            }
        }
        self.next_listing().or_else(|| self.next_read(now)).or_else(|| self.next_open())
    }

    /// Counts a request that is no read.
    fn other(&mut self, item: Item, step: GetStep) -> GetStep {
        self.others = self.others.saturating_add(1);
        if let Some(file) = self.files.get_mut(&item) {
            file.others = file.others.saturating_add(1);
        }
        step
    }

    fn answered(&mut self, item: Item) {
        self.others = self.others.saturating_sub(1);
        if let Some(file) = self.files.get_mut(&item) {
            file.others = file.others.saturating_sub(1);
        }
    }

    fn next_listing(&mut self) -> Option<GetStep> {
        while let Some(&item) = self.listing.front() {
            match self.directories.get_mut(&item) {
                Some(directory) if !directory.over && directory.asked < directory.depth => {
                    directory.asked = directory.asked.saturating_add(1);
                    self.others = self.others.saturating_add(1);
                    return Some(GetStep::List(item));
                }
                Some(directory) => directory.queued = false,
                None => {}
            }
            self.listing.pop_front();
        }
        let room = self.handles < self.options.max_handles.max(1)
            && self.directories.len().saturating_sub(self.to_list.len()) < MAX_LISTINGS
            && self.to_open.len() < MAX_WAITING;
        let item = if room { self.to_list.pop()? } else { return None };
        self.handles = self.handles.saturating_add(1);
        Some(self.other(item, GetStep::OpenDirectory(item)))
    }

    fn next_read(&mut self, now: Time) -> Option<GetStep> {
        let open = self.pace.is_open(now) && self.pipe.opens(now).is_none();
        if self.held >= self.pipe.target() || !open {
            return None;
        }
        while let Some(&item) = self.reading.front() {
            let file = self.files.get_mut(&item).filter(|file| !file.over);
            if let Some(file) = file {
                if let Some(range) = file.plan.next_read(&mut self.pipe, now) {
                    let kept = file.promised.saturating_sub(range.len.into());
                    self.promised =
                        self.promised.saturating_sub(file.promised.saturating_sub(kept));
                    file.promised = kept;
                    self.pace.spent(range.len, now);
                    return Some(GetStep::Read(item, range));
                }
                if file.plan.wants() {
                    return None;
                }
                file.queued = false;
            }
            self.reading.pop_front();
        }
        None
    }

    fn next_open(&mut self) -> Option<GetStep> {
        let room = self.handles < self.options.max_handles.max(1)
            && (self.promised < self.pipe.target() || self.handles == 0);
        if !room {
            return None;
        }
        let item = self.to_open.pop_front()?;
        self.handles = self.handles.saturating_add(1);
        if let Some(file) = self.files.get(&item) {
            self.promised = self.promised.saturating_add(file.promised);
        }
        Some(self.other(item, GetStep::Open(item)))
    }

    /// When something can be asked for again that has to wait now because of
    /// [`Options::rate`], or because a long link is being filled.
    #[must_use]
    pub fn opens(&self, now: Time) -> Option<Time> {
        let opens = self.pace.opens(now).or_else(|| self.pipe.opens(now));
        opens.filter(|_| !self.reading.is_empty())
    }

    /// Notes that a file or directory was opened.
    pub fn on_opened(&mut self, item: Item) {
        self.answered(item);
        if self.directories.contains_key(&item) {
            self.opened_directory(item);
        } else {
            self.opened_file(item);
        }
    }

    fn opened_directory(&mut self, item: Item) {
        let Some(directory) = self.directories.get_mut(&item) else { return };
        directory.open = true;
        if directory.over {
            self.closing.push_back(item);
        } else {
            directory.queued = true;
            self.listing.push_back(item);
        }
    }

    fn opened_file(&mut self, item: Item) {
        let Some(file) = self.files.get_mut(&item) else { return };
        file.open = true;
        if file.over {
            self.tidy(item);
        } else {
            file.queued = true;
            self.reading.push_back(item);
        }
    }

    /// Notes that a file or directory could not be opened. There is nothing more to come of it.
    pub fn on_refused(&mut self, item: Item) {
        self.answered(item);
        self.handles = self.handles.saturating_sub(1);
        self.directories.remove(&item);
        if let Some(file) = self.files.remove(&item) {
            self.promised = self.promised.saturating_sub(file.promised);
        }
    }

    /// Notes that `got` bytes came for the read at `offset`. If they are fewer than asked for, the
    /// rest is asked for again. They count as held until they are [stored](Self::on_stored).
    pub fn on_data(&mut self, item: Item, offset: u64, got: u32, now: Time) {
        self.held = self.held.saturating_add(got.into());
        self.on_read(item, |file, pipe| file.on_data(pipe, offset, got, now));
    }

    /// Notes that the server said "end of file" to the read at `offset`.
    pub fn on_eof(&mut self, item: Item, offset: u64, now: Time) {
        self.on_read(item, |file, pipe| file.on_eof(pipe, offset, now));
    }

    /// Notes that the read at `offset` failed, which ends the file: see [`Self::abandon`].
    pub fn on_read_failed(&mut self, item: Item, offset: u64, now: Time) {
        if let Some(file) = self.files.get_mut(&item) {
            file.plan.on_failed(&mut self.pipe, offset, now);
        }
        self.abandon(item);
    }

    fn on_read(
        &mut self,
        item: Item,
        note: impl FnOnce(&mut Download, &mut Pipe) -> Result<(), TransferError>,
    ) {
        let Some(file) = self.files.get_mut(&item) else { return };
        let noted = note(&mut file.plan, &mut self.pipe);
        if file.over {
            self.tidy(item);
        } else if let Err(error) = noted {
            self.finish(item, Err(error));
        } else if file.plan.is_done() {
            match file.plan.check(None) {
                Err(TransferError::SizeMismatch { .. }) => self.sizing.push_back(item),
                result => self.finish(item, result),
            }
        } else if !file.queued && file.plan.wants() {
            // Before files that were opened later.
            file.queued = true;
            self.reading.push_front(item);
        }
    }

    /// Notes the size that a file has now, if the server told one.
    pub fn on_size(&mut self, item: Item, size: Option<u64>) {
        self.answered(item);
        let Some(file) = self.files.get(&item) else { return };
        if file.over {
            self.tidy(item);
        } else {
            let result = file.plan.check(size);
            self.finish(item, result);
        }
    }

    fn finish(&mut self, item: Item, result: Result<u64, TransferError>) {
        self.finished.push_back((item, result));
        self.abandon(item);
    }

    /// Gives up a file or directory: nothing more is asked for, and what is open is closed once
    /// everything that is under way was answered.
    pub fn abandon(&mut self, item: Item) {
        if let Some(directory) = self.directories.get_mut(&item) {
            if !directory.over {
                directory.over = true;
                if directory.open {
                    self.closing.push_back(item);
                } else if let Some(at) = self.to_list.iter().position(|waiting| *waiting == item) {
                    self.to_list.remove(at);
                    self.directories.remove(&item);
                }
            }
            return;
        }
        let Some(file) = self.files.get_mut(&item) else { return };
        if file.over {
            return self.tidy(item);
        }
        file.over = true;
        if let Some(at) = self.to_open.iter().position(|waiting| *waiting == item) {
            self.to_open.remove(at);
            self.files.remove(&item);
            return;
        }
        self.promised = self.promised.saturating_sub(file.promised);
        file.promised = 0;
        self.tidy(item);
    }

    /// Closes a file that is over, once nothing of it is under way.
    fn tidy(&mut self, item: Item) {
        let Some(file) = self.files.get_mut(&item) else { return };
        if file.over && file.open && file.others == 0 && file.plan.under_way() == 0 {
            file.open = false;
            self.closing.push_back(item);
        }
    }

    /// Notes that names of a directory came; whoever drives this adds what they stand for.
    pub fn on_names(&mut self, item: Item) {
        self.others = self.others.saturating_sub(1);
        let Some(directory) = self.directories.get_mut(&item) else { return };
        directory.asked = directory.asked.saturating_sub(1);
        directory.depth = directory.depth.saturating_mul(2).min(MAX_LISTING_DEPTH);
        if !directory.over && !directory.queued {
            directory.queued = true;
            self.listing.push_back(item);
        }
    }

    /// Notes that a request for names was answered with the end of the directory, or an error.
    pub fn on_listed(&mut self, item: Item) {
        self.others = self.others.saturating_sub(1);
        if let Some(directory) = self.directories.get_mut(&item) {
            directory.asked = directory.asked.saturating_sub(1);
        }
        self.abandon(item);
    }

    /// Notes that a file or directory was closed.
    pub fn on_closed(&mut self, item: Item) {
        self.closes = self.closes.saturating_sub(1);
        self.answered(item);
        self.handles = self.handles.saturating_sub(1);
        self.files.remove(&item);
        self.directories.remove(&item);
    }

    /// Notes that `bytes` that came were stored, or thrown away.
    pub const fn on_stored(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(bytes);
    }

    /// The next file that has ended: with its size if it is whole. A file that was
    /// [given up](Self::abandon) or [refused](Self::on_refused) is not among them.
    pub fn poll_finished(&mut self) -> Option<(Item, Result<u64, TransferError>)> {
        self.finished.pop_front()
    }

    /// Up to where the copy of a file is complete, in bytes: where it can be taken up again.
    #[must_use]
    pub fn confirmed(&self, item: Item) -> u64 {
        self.files.get(&item).map_or(0, |file| file.plan.confirmed())
    }

    /// True if nothing is left to do and nothing under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.files.is_empty()
            && self.directories.is_empty()
            && self.finished.is_empty()
            && self.others == 0
    }

    /// True if nothing is left to do, and the requests under way, which are so many, are all for
    /// [`GetStep::Close`]. Their answers tell nothing: what was read was read.
    #[must_use]
    pub fn only_closes(&self, under_way: usize) -> bool {
        under_way == self.closes
            && self.files.len().saturating_add(self.directories.len()) == self.closes
            && self.finished.is_empty()
    }

    /// How many files are known and wait to be opened.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.to_open.len()
    }
}

#[cfg(test)]
pub(crate) mod tests;
