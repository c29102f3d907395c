//! Uploading many files and directories at once.

mod ending;
mod step;
mod tree;

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::time::Duration;

use ssh_wire::Time;

use super::{
    Item, Options, Range, TransferError,
    pipe::{Pace, Pipe},
    upload::Upload,
};
pub use step::PutStep;
use tree::{Directory, Made};

/// How many loaded pieces are looked at for one that can be sent: those of a file may wait for a
/// channel while those of the next need not.
const LOOK_AHEAD: usize = 16;

/// Requests whose data is loaded before there is room for them.
const READY: u64 = 2;

/// What to load of the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a file and a range of it")]
pub struct Load {
    /// The file.
    pub item: Item,
    /// The part of it.
    pub range: Range,
}

/// How a file is to be uploaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a list of switches")]
pub struct PutFile {
    /// The directory that has to be there before.
    pub parent: Option<Item>,
    /// Its size in bytes, as far as it is known: a hint.
    pub size: Option<u64>,
    /// Ask what the server has of it before.
    pub look: bool,
    /// Set attributes at the end.
    pub set_attributes: bool,
    /// Wait until it is on the disk.
    pub sync: bool,
    /// Give it its name at the end, and remove it if it fails.
    pub rename: bool,
}

/// Plans an upload of files and directories. See the [module](super).
#[derive(Clone, Debug)]
pub struct Puts {
    options: Options,
    lanes: Vec<Pipe>,
    pace: Pace,
    /// Requests under way that are no writes.
    others: usize,
    /// Handles that are open, or being opened or closed.
    handles: usize,
    /// Bytes that will be loaded of the files that are open or being opened.
    promised: u64,
    /// Bytes that are being loaded, are loaded, or are under way.
    held: u64,
    files: BTreeMap<Item, File>,
    directories: BTreeMap<Item, Directory>,
    to_open: VecDeque<Item>,
    /// Files that have more to load.
    loading: VecDeque<Item>,
    /// What is loaded and can be sent.
    ready: VecDeque<Piece>,
    /// Requests without data, in order.
    steps: VecDeque<PutStep>,
    finished: VecDeque<(Item, Result<u64, TransferError>)>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    item: Item,
    range: Range,
}

/// A channel, as one file sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handle {
    None,
    Opening,
    Open,
    /// It could not be opened there, or is closed again.
    Over,
}

#[derive(Clone, Debug)]
struct File {
    how: PutFile,
    plan: Upload,
    /// What is promised for it and was not loaded.
    promised: u64,
    /// Where the next load begins, and how many are under way.
    load_next: u64,
    loads: usize,
    /// It is out of `loading` until a load is there.
    parked: bool,
    /// Pieces that wait for the file to be opened.
    waiting: Vec<Range>,
    /// Pieces that are loaded and not sent, those that wait included.
    unsent: usize,
    /// Writes that were sent.
    writes: u64,
    handles: Vec<Handle>,
    /// Requests under way that are no writes.
    others: usize,
    stage: Stage,
    /// What was confirmed when it was given up.
    kept: Option<u64>,
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Waits for its directory, or to be opened.
    Waiting,
    Opening,
    /// Content is loaded and written.
    Writing,
    /// Everything is sent, its end included.
    Ending,
    Renaming,
    /// Given up. `bool`: what it has is still to be cut, or it is to be removed.
    Over {
        cut: bool,
    },
}

impl Puts {
    /// Plans the upload of nothing yet, on one channel.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        let options = Options { request_len: options.paced_len(), ..options.clone() };
        Self {
            lanes: Vec::from([Pipe::new(&options)]),
            pace: Pace::new(options.rate),
            options,
            others: 0,
            handles: 0,
            promised: 0,
            held: 0,
            files: BTreeMap::new(),
            directories: BTreeMap::new(),
            to_open: VecDeque::new(),
            loading: VecDeque::new(),
            ready: VecDeque::new(),
            steps: VecDeque::new(),
            finished: VecDeque::new(),
        }
    }

    /// Adds a channel to the one that was there from the start, which has the number 0, and gives
    /// its number. Large files are written on several.
    pub fn add_lane(&mut self) -> usize {
        self.lanes.push(Pipe::new(&self.options));
        self.lanes.len().saturating_sub(1)
    }

    /// What was measured on the first channel: the shortest round trip, and the rate in bytes a
    /// second. `None` before there was an answer.
    #[must_use]
    pub fn measured(&self) -> Option<(Duration, u64)> {
        let pipe = self.lanes.first()?;
        pipe.round_trip().map(|round_trip| (round_trip, pipe.rate()))
    }

    /// Adds a file. Each item is to be added once.
    pub fn add_file(&mut self, item: Item, how: PutFile) {
        let promised = how.size.unwrap_or_else(|| self.options.request_len.into()).max(1);
        let file = File {
            how,
            plan: Upload::new(0),
            promised,
            load_next: 0,
            loads: 0,
            parked: false,
            waiting: Vec::new(),
            unsent: 0,
            writes: 0,
            handles: Vec::new(),
            others: 0,
            stage: Stage::Waiting,
            kept: None,
        };
        self.files.insert(item, file);
        self.enter(item, how.parent);
    }

    /// Adds a symbolic link.
    pub fn add_link(&mut self, item: Item, parent: Option<Item>) {
        let how = PutFile { parent, ..PutFile::default() };
        self.add_file(item, how);
        // It is all in one request.
        if let Some(file) = self.files.get_mut(&item) {
            file.stage = Stage::Renaming;
            file.promised = 0;
        }
        if !self.waits(parent) {
            self.to_open.retain(|waiting| *waiting != item);
            self.begin(item);
        }
    }

    fn step(&mut self, item: Item, step: PutStep) {
        if let Some(file) = self.files.get_mut(&item) {
            file.others = file.others.saturating_add(1);
        }
        self.steps.push_back(step);
    }

    /// What to ask for next; `None` if a reply has to come first, something be loaded, time pass
    /// (see [`Self::opens`]), or if nothing is left to do. It counts as sent `now`.
    pub fn next(&mut self, now: Time) -> Option<PutStep> {
        let writes = self.lanes.iter().map(Pipe::requests).fold(0, usize::saturating_add);
        if writes.saturating_add(self.others) >= self.options.max_requests.max(1) {
            return None;
        }
        if let Some(step) = self.steps.pop_front() {
            self.others = self.others.saturating_add(1);
            return Some(step);
        }
        let step = self.next_write(now).or_else(|| self.next_open());
        // What was the last of a file is followed by its end.
        if let Some(PutStep::Write(item, ..)) = step {
            self.end(item);
        }
        step
    }

    fn target(&self) -> u64 {
        self.lanes.iter().map(Pipe::target).fold(0, u64::saturating_add).min(self.options.budget)
    }

    fn next_write(&mut self, now: Time) -> Option<PutStep> {
        if !self.pace.is_open(now) {
            return None;
        }
        for at in 0..self.ready.len().min(LOOK_AHEAD) {
            let Some(&Piece { item, range }) = self.ready.get(at) else { break };
            let Some(file) = self.files.get_mut(&item) else { continue };
            let lane =
                best(&self.lanes, range.len, |lane| file.handles.get(lane) == Some(&Handle::Open));
            if let Some((lane, pipe)) = lane.and_then(|at| Some((at, self.lanes.get_mut(at)?))) {
                self.ready.remove(at);
                file.plan.on_sent(lane, range.offset, range.len, pipe.sent(range.len, now));
                file.unsent = file.unsent.saturating_sub(1);
                file.writes = file.writes.saturating_add(1);
                self.pace.spent(range.len, now);
                return Some(PutStep::Write(item, lane, range));
            }
            // The channels that it is open on are full: another may have room.
            let left = file.plan.end().saturating_sub(range.offset).max(file.promised);
            let handles = self.handles;
            let other = (handles < self.options.max_handles.max(1)
                && left > u64::from(self.options.request_len).saturating_mul(4))
            .then(|| {
                best(&self.lanes, range.len, |lane| {
                    matches!(file.handles.get(lane), None | Some(Handle::None))
                })
            });
            if let Some(lane) = other.flatten() {
                file.set_handle(lane, Handle::Opening);
                file.others = file.others.saturating_add(1);
                self.handles = self.handles.saturating_add(1);
                self.others = self.others.saturating_add(1);
                return Some(PutStep::Join(item, lane));
            }
        }
        None
    }

    fn next_open(&mut self) -> Option<PutStep> {
        let room = self.handles < self.options.max_handles.max(1)
            && (self.promised < self.target() || self.handles == 0);
        if !room {
            return None;
        }
        let item = self.to_open.pop_front()?;
        let file = self.files.get_mut(&item)?;
        file.stage = Stage::Opening;
        file.others = file.others.saturating_add(1);
        file.set_handle(0, Handle::Opening);
        self.promised = self.promised.saturating_add(file.promised);
        self.handles = self.handles.saturating_add(1);
        self.others = self.others.saturating_add(1);
        self.loading.push_back(item);
        Some(PutStep::Open(item))
    }

    /// What to load next of the source; `None` if that has to wait. It is to be answered with
    /// [`Self::on_loaded`], or by giving up the file.
    pub fn next_load(&mut self) -> Option<Load> {
        // What is under way, and what is ready to follow it.
        let ready = u64::from(self.options.request_len).saturating_mul(READY);
        let most = self.target().saturating_add(ready);
        loop {
            let &item = self.loading.front()?;
            let file = self
                .files
                .get_mut(&item)
                .filter(|file| !matches!(file.stage, Stage::Over { .. }) && !file.plan.has_ended());
            let Some(file) = file else {
                self.loading.pop_front();
                continue;
            };
            let left = file.how.size.map(|size| size.saturating_sub(file.load_next));
            // What is behind the size that was told is looked at once the rest is there.
            if left == Some(0) && file.loads > 0 {
                file.parked = true;
                self.loading.pop_front();
                continue;
            }
            let len = left
                .filter(|left| *left > 0)
                .and_then(|left| u32::try_from(left).ok())
                .map_or(self.options.request_len, |left| left.min(self.options.request_len));
            if self.held > 0 && self.held.saturating_add(len.into()) > most {
                return None;
            }
            let range = Range { offset: file.load_next, len };
            file.load_next = file.load_next.saturating_add(len.into());
            file.loads = file.loads.saturating_add(1);
            self.held = self.held.saturating_add(len.into());
            return Some(Load { item, range });
        }
    }

    /// When something can be sent again that has to wait now because of [`Options::rate`].
    #[must_use]
    pub fn opens(&self, now: Time) -> Option<Time> {
        self.pace.opens(now).filter(|_| !self.ready.is_empty())
    }

    /// Notes that the first `got` bytes of a range were loaded; fewer than were wanted, or none,
    /// say that the source ended there, and so does `end`.
    pub fn on_loaded(&mut self, load: Load, got: u32, end: bool) {
        let Load { item, range } = load;
        let missing = range.len.saturating_sub(got);
        self.held = self.held.saturating_sub(missing.into());
        let Some(file) = self.files.get_mut(&item) else {
            self.held = self.held.saturating_sub(got.into());
            return;
        };
        file.loads = file.loads.saturating_sub(1);
        self.promised = self.promised.saturating_sub(file.keep_promise(got));
        if matches!(file.stage, Stage::Over { .. }) || file.plan.has_ended() {
            self.held = self.held.saturating_sub(got.into());
            self.end(item);
            return self.tidy(item);
        }
        if got > 0 {
            file.plan.on_loaded(range.offset.saturating_add(got.into()));
            file.unsent = file.unsent.saturating_add(1);
            let range = Range { len: got, ..range };
            if file.stage == Stage::Writing {
                self.ready.push_back(Piece { item, range });
            } else {
                file.waiting.push(range);
            }
        }
        if end || missing > 0 {
            file.plan.on_source_end();
            self.promised = self.promised.saturating_sub(file.promised);
            file.promised = 0;
            self.end(item);
        } else if file.parked {
            file.parked = false;
            self.loading.push_front(item);
        }
    }

    /// Notes that the whole range is a hole in the source, which has no content up to `to`. Where
    /// the source ends in a hole, [`PutFile::set_attributes`] has to set the size.
    pub fn on_hole(&mut self, load: Load, to: u64, end: bool) {
        let Load { item, range } = load;
        self.held = self.held.saturating_sub(range.len.into());
        let Some(file) = self.files.get_mut(&item) else { return };
        file.loads = file.loads.saturating_sub(1);
        if matches!(file.stage, Stage::Over { .. }) || file.plan.has_ended() {
            self.end(item);
            return self.tidy(item);
        }
        let mut until = range.offset.saturating_add(range.len.into()).min(to);
        // Whatever was asked for behind the last content is a hole as well.
        if end || file.load_next == range.offset.saturating_add(range.len.into()) {
            file.load_next = file.load_next.max(to);
            until = to;
        }
        file.plan.on_hole(range.offset, until);
        if end {
            file.plan.on_source_end();
            self.promised = self.promised.saturating_sub(file.promised);
            file.promised = 0;
            self.end(item);
        } else if file.parked {
            file.parked = false;
            self.loading.push_front(item);
        }
    }

    fn answered(&mut self, item: Item) {
        self.others = self.others.saturating_sub(1);
        if let Some(file) = self.files.get_mut(&item) {
            file.others = file.others.saturating_sub(1);
        }
    }

    /// Notes what the server has of a file: it is taken up at `start`.
    pub fn on_looked(&mut self, item: Item, start: u64) {
        self.answered(item);
        let Some(file) = self.files.get_mut(&item) else { return };
        if let Stage::Over { .. } = file.stage {
            return self.tidy(item);
        }
        file.plan = Upload::new(start);
        file.load_next = start;
        file.promised = file.promised.saturating_sub(start).max(1);
        self.to_open.push_back(item);
    }

    /// Notes that a file was opened.
    pub fn on_opened(&mut self, item: Item) {
        self.answered(item);
        let Some(file) = self.files.get_mut(&item) else { return };
        file.set_handle(0, Handle::Open);
        if file.stage != Stage::Opening {
            return self.tidy(item);
        }
        file.stage = Stage::Writing;
        let pieces = core::mem::take(&mut file.waiting);
        self.ready.extend(pieces.into_iter().map(|range| Piece { item, range }));
        self.end(item);
    }

    /// Notes how opening an open file on another channel went. If it did not, the file does with
    /// those that it has.
    pub fn on_joined(&mut self, item: Item, lane: usize, ok: bool) {
        self.answered(item);
        if !ok {
            self.handles = self.handles.saturating_sub(1);
        }
        let Some(file) = self.files.get_mut(&item) else { return };
        file.set_handle(lane, if ok { Handle::Open } else { Handle::Over });
        match file.stage {
            Stage::Writing => self.end(item),
            _ => self.tidy(item),
        }
    }

    /// Notes the answer to a write.
    pub fn on_written(&mut self, item: Item, offset: u64, ok: bool, now: Time) {
        let Some(file) = self.files.get_mut(&item) else { return };
        match file.plan.on_answer(&mut self.lanes, offset, ok, now) {
            Ok(len) => self.held = self.held.saturating_sub(len.into()),
            Err(error) => return self.finish(item, Err(error)),
        }
        match file.stage {
            Stage::Over { .. } => self.tidy(item),
            _ if !ok => self.abandon(item),
            Stage::Writing => self.end(item),
            _ => self.conclude(item),
        }
    }

    /// Notes that a request without content was answered with success.
    pub fn on_done(&mut self, item: Item) {
        self.answered(item);
        if let Some(directory) = self.directories.get_mut(&item) {
            match directory.state {
                Made::Asked => {
                    directory.state = Made::Yes;
                    let waiting = core::mem::take(&mut directory.waiting);
                    waiting.into_iter().for_each(|item| self.begin(item));
                    self.settle(item);
                }
                Made::Setting => self.leave(item),
                Made::Waiting | Made::Yes => {}
            }
            return;
        }
        match self.files.get(&item).map(|file| file.stage) {
            Some(Stage::Over { .. }) => self.tidy(item),
            Some(_) => self.conclude(item),
            None => {}
        }
    }

    /// Notes that a request was refused: of what it was for nothing more is to come, and nothing
    /// of what is in a directory that could not be made.
    pub fn on_refused(&mut self, item: Item) {
        self.answered(item);
        if self.directories.contains_key(&item) {
            return self.abandon_directory(item);
        }
        if let Some(file) = self.files.get_mut(&item)
            && file.handles.first() == Some(&Handle::Opening)
        {
            file.set_handle(0, Handle::None);
            self.handles = self.handles.saturating_sub(1);
        }
        self.abandon(item);
    }

    /// The next file, link or directory that has ended: a file with its size if it is whole. A
    /// file that was [given up](Self::abandon) or [refused](Self::on_refused) is not among
    /// them.
    pub fn poll_finished(&mut self) -> Option<(Item, Result<u64, TransferError>)> {
        self.finished.pop_front()
    }

    /// Up to where a file on the server is complete, in bytes: where it can be taken up again. Of
    /// one that was given up, what it was then, to which it is cut.
    #[must_use]
    pub fn confirmed(&self, item: Item) -> u64 {
        self.files.get(&item).map_or(0, File::confirmed)
    }

    /// True if nothing is left to do and nothing under way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.files.is_empty()
            && self.directories.is_empty()
            && self.finished.is_empty()
            && self.others == 0
    }

    /// How many files are known and wait to be opened.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.files.len()
    }
}

impl File {
    fn confirmed(&self) -> u64 {
        self.kept.unwrap_or_else(|| self.plan.confirmed())
    }

    fn set_handle(&mut self, lane: usize, handle: Handle) {
        if self.handles.len() <= lane {
            self.handles.resize(lane.saturating_add(1), Handle::None);
        }
        if let Some(place) = self.handles.get_mut(lane) {
            *place = handle;
        }
    }

    /// Takes `got` bytes off what is promised, and says how many those were.
    fn keep_promise(&mut self, got: u32) -> u64 {
        let kept = self.promised.min(got.into());
        self.promised = self.promised.saturating_sub(kept);
        kept
    }
}

/// The lane with the fewest bytes under way that has room for `len` more and `may` be used.
fn best(lanes: &[Pipe], len: u32, may: impl Fn(usize) -> bool) -> Option<usize> {
    let free = lanes.iter().enumerate().filter(|(lane, pipe)| may(*lane) && pipe.has_room(len));
    free.min_by_key(|(_, pipe)| pipe.bytes()).map(|(lane, _)| lane)
}

#[cfg(test)]
mod tests;
