//! A server with a tree of files that misbehaves on purpose, for tests and fuzzing of [`Gets`] and
//! [`Puts`].

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::time::Duration;

use ssh_wire::Time;

use super::{GetStep, Gets, Item, Load, Options, PutFile, PutStep, Puts, Range, TransferError};

/// More steps than this is a transfer that does not end.
const MAX_STEPS: usize = 400_000;

/// What happens, by numbers from a seed or from a fuzzer.
pub(crate) struct Chance<F: FnMut() -> u32>(pub(crate) F);

impl<F: FnMut() -> u32> Chance<F> {
    /// A number below `n`; 0 if `n` is 0.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from((self.0)()).unwrap_or(0).checked_rem(n).unwrap_or(0)
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

/// How the files and the server behave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behaviour {
    /// Replies may be shorter than asked for.
    pub(crate) short_reads: bool,
    /// Files grow while they are read.
    pub(crate) grows: bool,
    /// Files are cut while they are read.
    pub(crate) shrinks: bool,
    /// Requests fail now and then.
    pub(crate) errors: bool,
    /// What is told of sizes is wrong, or nothing is told.
    pub(crate) lies: bool,
}

/// How one file went.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// `None`: it was given up because of an error of the server.
    pub(crate) result: Option<Result<u64, TransferError>>,
    /// The copy, cut to what was confirmed; `None` if there is none.
    pub(crate) copy: Option<Vec<u8>>,
    /// The file as it was at the end.
    pub(crate) file: Vec<u8>,
}

/// Byte `at` of every file here, so that a copy can be compared whatever the file's size was.
fn byte(at: usize) -> u8 {
    let [a, b, c, _] = u32::try_from(at).unwrap_or(0).wrapping_mul(0x9e37_79b1).to_le_bytes();
    a ^ b ^ c
}

fn resize(file: &mut Vec<u8>, len: usize) {
    file.truncate(len);
    file.extend((file.len()..len).map(byte));
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn number(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}

fn moment(step: usize) -> Time {
    Time::from_epoch(Duration::from_millis(number(step)))
}

/// Puts `bytes` to `at`.
fn place(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at.saturating_add(bytes.len());
    if file.len() < end {
        file.resize(end, 0);
    }
    if let Some(to) = file.get_mut(at..end) {
        to.copy_from_slice(bytes);
    }
}

/// A tree: the lengths of its files, spread over directories of which each is in the one before or
/// beside it.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) lens: Vec<usize>,
    pub(crate) directories: usize,
    /// From where on files are taken up; those that are shorter are not there yet.
    pub(crate) start: usize,
}

impl Tree {
    /// The first number that is a directory's.
    const DIRECTORIES: u32 = 1 << 16;

    fn directory(at: usize) -> Item {
        Item(Self::DIRECTORIES.saturating_add(u32::try_from(at).unwrap_or(0)))
    }

    fn file(at: usize) -> Item {
        Item(u32::try_from(at).unwrap_or(0))
    }

    /// The directory that a directory is in; `None` for the top.
    fn parent(at: usize) -> Option<usize> {
        at.checked_sub(1).map(|before| before / 2)
    }

    /// The directory that a file is in.
    fn folder(&self, at: usize) -> usize {
        at.checked_rem(self.directories.max(1)).unwrap_or(0)
    }

    fn start_of(&self, at: usize) -> usize {
        if self.lens.get(at).is_some_and(|len| *len >= self.start) { self.start } else { 0 }
    }
}

/// A download that is under way.
struct Downloading<'a, F: FnMut() -> u32> {
    tree: &'a Tree,
    behaviour: Behaviour,
    chance: &'a mut Chance<F>,
    gets: Gets,
    files: Vec<Vec<u8>>,
    copies: Vec<Vec<u8>>,
    results: BTreeMap<Item, Result<u64, TransferError>>,
    confirmed: BTreeMap<Item, u64>,
    /// What of each directory was listed.
    listed: BTreeMap<Item, bool>,
    open: BTreeSet<Item>,
    /// Bytes that are not stored.
    unstored: u64,
    grows: usize,
    shrinks: usize,
}

/// A request that was sent, and the end of the directory, if it asked for names behind that.
struct Sent(GetStep, bool);

/// Downloads a tree.
pub(crate) fn download<F: FnMut() -> u32>(
    options: &Options,
    tree: &Tree,
    behaviour: Behaviour,
    chance: &mut Chance<F>,
) -> Vec<Outcome> {
    let whole = |len: &usize| {
        let mut file = Vec::new();
        resize(&mut file, *len);
        file
    };
    let files: Vec<Vec<u8>> = tree.lens.iter().map(whole).collect();
    let start =
        |(at, file): (usize, &Vec<u8>)| file.get(..tree.start_of(at)).unwrap_or_default().to_vec();
    let copies = files.iter().enumerate().map(start).collect();
    let mut downloading = Downloading {
        tree,
        behaviour,
        chance,
        gets: Gets::new(options),
        copies,
        files,
        results: BTreeMap::new(),
        confirmed: BTreeMap::new(),
        listed: BTreeMap::new(),
        open: BTreeSet::new(),
        unstored: 0,
        // They do not grow for ever: that would never end.
        grows: if behaviour.grows { 20 } else { 0 },
        shrinks: usize::from(behaviour.shrinks),
    };
    downloading.run(options);
    downloading.outcomes()
}

impl<F: FnMut() -> u32> Downloading<'_, F> {
    fn run(&mut self, options: &Options) {
        let mut under_way: Vec<Sent> = Vec::new();
        self.gets.add_directory(Tree::directory(0));
        for step in 0..MAX_STEPS {
            let now = moment(step);
            self.collect();
            if self.gets.is_idle() {
                assert!(under_way.is_empty() && self.gets.next(now).is_none());
                assert!(self.open.is_empty(), "left open: {:?}", self.open);
                return;
            }
            self.disturb();
            if under_way.is_empty() || self.chance.once_in(2) {
                if let Some(step) = self.gets.next(now) {
                    let sent = self.send(step);
                    under_way.push(sent);
                    let requests = options.max_requests.max(1);
                    let closes = under_way.iter().filter(|s| matches!(s.0, GetStep::Close(_)));
                    let others = under_way.len().saturating_sub(closes.count());
                    assert!(others <= requests, "{others} requests");
                    assert!(self.open.len() <= options.max_handles.max(1), "{:?}", self.open);
                    continue;
                }
                if under_way.is_empty() && self.gets.opens(now).is_some() {
                    continue;
                }
                if self.unstored > 0 {
                    self.gets.on_stored(self.unstored);
                    self.unstored = 0;
                    continue;
                }
                assert!(!under_way.is_empty(), "neither done nor waiting: {:?}", self.gets);
            }
            let Sent(step, end) = under_way.swap_remove(self.chance.below(under_way.len()));
            self.answer(step, end, now);
        }
        assert!(self.gets.is_idle(), "the transfer does not end: {:?}", self.gets);
    }

    fn collect(&mut self) {
        while let Some((item, result)) = self.gets.poll_finished() {
            self.confirmed.insert(item, self.gets.confirmed(item));
            assert!(self.results.insert(item, result).is_none(), "{item:?} has ended twice");
        }
    }

    /// Lets files grow or shrink.
    fn disturb(&mut self) {
        let at = self.chance.below(self.files.len());
        let Some(file) = self.files.get_mut(at) else { return };
        if self.grows > 0 && self.chance.once_in(8) {
            self.grows = self.grows.saturating_sub(1);
            let len = file.len().saturating_add(self.chance.below(3000));
            resize(file, len);
        }
        if self.shrinks > 0 && self.chance.once_in(30) {
            self.shrinks = self.shrinks.saturating_sub(1);
            file.truncate(self.chance.below(file.len()));
        }
    }

    /// What has to keep its order happens here; answers come in any.
    fn send(&mut self, step: GetStep) -> Sent {
        let mut end = false;
        match step {
            GetStep::Open(item) | GetStep::OpenDirectory(item) => {
                assert!(self.open.insert(item), "{item:?} is opened twice");
            }
            GetStep::List(item) => {
                assert!(self.open.contains(&item));
                end = self.listed.insert(item, true).is_some();
            }
            GetStep::Close(item) => assert!(self.open.remove(&item), "{item:?} is not open"),
            GetStep::Read(item, range) => assert!(self.open.contains(&item) && range.len > 0),
            GetStep::Size(item) => assert!(self.open.contains(&item)),
        }
        Sent(step, end)
    }

    fn answer(&mut self, step: GetStep, end: bool, now: Time) {
        let fails = self.behaviour.errors && self.chance.once_in(40);
        match step {
            GetStep::Open(item) | GetStep::OpenDirectory(item) if fails => {
                self.open.remove(&item);
                self.gets.on_refused(item);
            }
            GetStep::Open(item) | GetStep::OpenDirectory(item) => self.gets.on_opened(item),
            GetStep::List(item) if end || fails => self.gets.on_listed(item),
            GetStep::List(item) => {
                self.gets.on_names(item);
                self.add_entries(item);
            }
            GetStep::Close(item) => self.gets.on_closed(item),
            GetStep::Size(item) => {
                let at = size(item.0.into());
                self.gets.on_size(item, self.files.get(at).map(|file| number(file.len())));
            }
            GetStep::Read(item, range) if fails => {
                self.confirmed.insert(item, self.gets.confirmed(item));
                self.gets.on_read_failed(item, range.offset, now);
            }
            GetStep::Read(item, range) => self.read(item, range, now),
        }
    }

    fn add_entries(&mut self, item: Item) {
        let is = |at: &usize| Tree::directory(*at) == item;
        let Some(here) = (0..self.tree.directories.max(1)).find(is) else { return };
        for at in 1..self.tree.directories {
            if Tree::parent(at) == Some(here) {
                self.gets.add_directory(Tree::directory(at));
            }
        }
        for at in 0..self.files.len() {
            if self.tree.folder(at) == here {
                let len = self.files.get(at).map(|file| number(file.len()));
                let told = match self.behaviour.lies {
                    true if self.chance.once_in(2) => None,
                    true => u64::try_from(self.chance.below(40_000)).ok(),
                    false => len,
                };
                let start = number(self.tree.start_of(at));
                self.gets.add_file(Tree::file(at), start, told);
            }
        }
    }

    fn read(&mut self, item: Item, Range { offset, len }: Range, now: Time) {
        let (place_of, at) = (size(item.0.into()), size(offset));
        let there = self.files.get(place_of).and_then(|file| file.get(at..)).unwrap_or_default();
        let most = there.len().min(size(len.into()));
        if most == 0 {
            return self.gets.on_eof(item, offset, now);
        }
        let got = match self.behaviour.short_reads && self.chance.once_in(4) {
            true => self.chance.below(most).saturating_add(1),
            false => most,
        };
        if let (Some(copy), Some(bytes)) = (self.copies.get_mut(place_of), there.get(..got)) {
            place(copy, at, bytes);
        }
        self.gets.on_data(item, offset, u32::try_from(got).unwrap_or(0), now);
        self.unstored = self.unstored.saturating_add(number(got));
    }

    fn outcomes(self) -> Vec<Outcome> {
        let Self { files, copies, results, confirmed, .. } = self;
        let files = files.into_iter().zip(copies).enumerate();
        let outcome = |(at, (file, mut copy)): (usize, (Vec<u8>, Vec<u8>))| {
            let item = Tree::file(at);
            let most = confirmed.get(&item).copied().unwrap_or(0);
            assert!(size(most) <= copy.len(), "more confirmed than came");
            copy.truncate(size(most));
            Outcome { result: results.get(&item).cloned(), copy: Some(copy), file }
        };
        files.map(outcome).collect()
    }
}

/// An upload that is under way.
struct Uploading<'a, F: FnMut() -> u32> {
    tree: &'a Tree,
    behaviour: Behaviour,
    chance: &'a mut Chance<F>,
    puts: Puts,
    sources: Vec<Vec<u8>>,
    /// What is on the server: files and directories.
    there: BTreeMap<Item, Vec<u8>>,
    made: BTreeSet<Item>,
    open: BTreeSet<(Item, usize)>,
    named: BTreeSet<Item>,
    loads: Vec<Load>,
    failed: BTreeSet<Item>,
    results: BTreeMap<Item, Result<u64, TransferError>>,
    lanes: usize,
    how: PutFile,
}

/// Uploads a tree on up to `lanes` channels.
pub(crate) fn upload<F: FnMut() -> u32>(
    options: &Options,
    tree: &Tree,
    how: PutFile,
    lanes: usize,
    behaviour: Behaviour,
    chance: &mut Chance<F>,
) -> Vec<Outcome> {
    let whole = |len: &usize| {
        let mut file = Vec::new();
        resize(&mut file, *len);
        file
    };
    let mut uploading = Uploading {
        tree,
        behaviour,
        chance,
        puts: Puts::new(options),
        sources: tree.lens.iter().map(whole).collect(),
        there: BTreeMap::new(),
        made: BTreeSet::new(),
        open: BTreeSet::new(),
        named: BTreeSet::new(),
        loads: Vec::new(),
        failed: BTreeSet::new(),
        results: BTreeMap::new(),
        lanes: lanes.saturating_sub(1),
        how,
    };
    uploading.run(options);
    uploading.outcomes()
}

impl<F: FnMut() -> u32> Uploading<'_, F> {
    fn add_all(&mut self) {
        for at in 0..self.tree.directories.max(1) {
            let parent = Tree::parent(at).map(Tree::directory);
            self.puts.add_directory(Tree::directory(at), parent, false, true);
        }
        for (at, source) in self.sources.iter().enumerate() {
            let size = match self.behaviour.lies {
                true if self.chance.once_in(2) => None,
                true => u64::try_from(self.chance.below(40_000)).ok(),
                false => Some(number(source.len())),
            };
            let parent = Some(Tree::directory(self.tree.folder(at)));
            self.puts.add_file(Tree::file(at), PutFile { parent, size, ..self.how });
        }
        for at in 0..self.tree.directories.max(1) {
            self.puts.seal(Tree::directory(at));
        }
    }

    fn run(&mut self, options: &Options) {
        let mut under_way: Vec<PutStep> = Vec::new();
        self.add_all();
        for step in 0..MAX_STEPS {
            let now = moment(step);
            while let Some((item, result)) = self.puts.poll_finished() {
                assert!(self.results.insert(item, result).is_none(), "{item:?} has ended twice");
            }
            if self.puts.is_idle() {
                assert!(under_way.is_empty() && self.puts.next(now).is_none());
                assert!(self.open.is_empty(), "left open: {:?}", self.open);
                assert!(self.loads.is_empty());
                return;
            }
            if self.lanes > 0 && self.chance.once_in(20) {
                self.lanes = self.lanes.saturating_sub(1);
                self.puts.add_lane();
            }
            match self.chance.below(4) {
                0 => {
                    if let Some(load) = self.puts.next_load() {
                        self.loads.push(load);
                        continue;
                    }
                }
                1 if !self.loads.is_empty() => {
                    self.load();
                    continue;
                }
                _ => {}
            }
            if under_way.is_empty() || self.chance.once_in(2) {
                if let Some(step) = self.puts.next(now) {
                    self.send(step);
                    under_way.push(step);
                    assert!(under_way.len() <= options.max_requests.max(1));
                    assert!(self.open.len() <= options.max_handles.max(1), "{:?}", self.open);
                    continue;
                }
                if under_way.is_empty() && self.puts.opens(now).is_some() {
                    continue;
                }
                if let Some(load) = self.puts.next_load() {
                    self.loads.push(load);
                    continue;
                }
                if !self.loads.is_empty() {
                    self.load();
                    continue;
                }
                assert!(!under_way.is_empty(), "neither done nor waiting: {:?}", self.puts);
            }
            let step = under_way.swap_remove(self.chance.below(under_way.len()));
            self.answer(step, now);
        }
        assert!(self.puts.is_idle(), "the transfer does not end: {:?}", self.puts);
    }

    /// Reads what is the oldest of what is to be loaded.
    fn load(&mut self) {
        let load = self.loads.remove(0);
        let source = self.sources.get(size(load.item.0.into())).map_or(&[][..], |source| source);
        let there = source.get(size(load.range.offset)..).unwrap_or_default().len();
        if self.behaviour.errors && self.chance.once_in(60) {
            self.failed.insert(load.item);
            self.puts.abandon(load.item);
            return self.puts.on_loaded(load, 0, true);
        }
        let got = there.min(size(load.range.len.into()));
        // That it was the end is seen at once or with the next load.
        let end = got == there && self.chance.once_in(2);
        self.puts.on_loaded(load, u32::try_from(got).unwrap_or(0), end);
    }

    /// What the server does, in the order in which it is asked to.
    fn send(&mut self, step: PutStep) {
        match step {
            PutStep::MakeDirectory(item) => {
                let at = size(item.0.saturating_sub(Tree::DIRECTORIES).into());
                let parent = Tree::parent(at).map(Tree::directory);
                assert!(parent.is_none_or(|parent| self.made.contains(&parent)), "{item:?}");
            }
            PutStep::SetDirectory(_) | PutStep::MakeLink(_) => {}
            PutStep::Look(item) => {
                let at = size(item.0.into());
                let source = self.sources.get(at).map_or(&[][..], |source| source);
                let start = source.get(..self.tree.start_of(at)).unwrap_or_default();
                self.there.insert(item, start.to_vec());
            }
            PutStep::Open(item) => {
                let folder = Tree::directory(self.tree.folder(size(item.0.into())));
                assert!(self.made.contains(&folder), "{item:?} before its directory");
                assert!(self.open.insert((item, 0)));
                let file = self.there.entry(item).or_default();
                if !self.how.look {
                    file.clear();
                }
            }
            PutStep::Join(item, lane) => {
                assert!(lane > 0 && self.there.contains_key(&item));
                assert!(self.open.insert((item, lane)), "{item:?} is opened twice");
            }
            PutStep::Write(item, lane, range) => {
                assert!(self.open.contains(&(item, lane)), "{item:?} is not open on {lane}");
                let at = size(range.offset);
                let end = at.saturating_add(size(range.len.into()));
                let source = self.sources.get(size(item.0.into())).map_or(&[][..], |s| s);
                let bytes = source.get(at..end).unwrap_or_default();
                assert!(!bytes.is_empty(), "what is sent was loaded");
                place(self.there.entry(item).or_default(), at, bytes);
            }
            PutStep::SetAttributes(item) | PutStep::Sync(item) | PutStep::Size(item) => {
                assert!(self.open.contains(&(item, 0)));
            }
            PutStep::Cut(item, len) => {
                assert!(self.open.contains(&(item, 0)));
                if let Some(file) = self.there.get_mut(&item) {
                    file.truncate(size(len));
                }
            }
            PutStep::Close(item, lane) => {
                assert!(self.open.remove(&(item, lane)), "{item:?} is not open on {lane}");
            }
            PutStep::Rename(item) => {
                self.named.insert(item);
            }
            PutStep::Remove(item) => {
                self.there.remove(&item);
            }
        }
    }

    fn answer(&mut self, step: PutStep, now: Time) {
        let fails = self.behaviour.errors && self.chance.once_in(60);
        match step {
            PutStep::Look(item) => {
                let len = self.there.get(&item).map_or(0, Vec::len);
                self.puts.on_looked(item, number(len));
            }
            PutStep::Open(item) if fails => {
                self.open.remove(&(item, 0));
                self.there.remove(&item);
                self.failed.insert(item);
                self.puts.on_refused(item);
            }
            PutStep::Open(item) => self.puts.on_opened(item),
            PutStep::Join(item, lane) => {
                if fails {
                    self.open.remove(&(item, lane));
                }
                self.puts.on_joined(item, lane, !fails);
            }
            PutStep::Write(item, _, range) => {
                if fails {
                    self.failed.insert(item);
                }
                self.puts.on_written(item, range.offset, !fails, now);
            }
            PutStep::Size(item) => {
                let len = self.there.get(&item).map(|file| number(file.len()));
                self.puts.on_size(item, len);
            }
            PutStep::Close(item, _) => {
                if fails {
                    self.failed.insert(item);
                }
                self.puts.on_closed(item, !fails);
            }
            PutStep::MakeDirectory(item)
            | PutStep::SetAttributes(item)
            | PutStep::Sync(item)
            | PutStep::Rename(item)
            | PutStep::MakeLink(item)
                if fails =>
            {
                self.failed.insert(item);
                if step == PutStep::Rename(item) {
                    self.named.remove(&item);
                }
                self.puts.on_refused(item);
            }
            PutStep::MakeDirectory(item) => {
                self.made.insert(item);
                self.puts.on_done(item);
            }
            PutStep::SetDirectory(item)
            | PutStep::SetAttributes(item)
            | PutStep::Sync(item)
            | PutStep::Cut(item, _)
            | PutStep::Rename(item)
            | PutStep::Remove(item)
            | PutStep::MakeLink(item) => self.puts.on_done(item),
        }
    }

    fn outcomes(self) -> Vec<Outcome> {
        let Self { sources, mut there, results, failed, how, named, .. } = self;
        let outcome = |(at, file): (usize, Vec<u8>)| {
            let item = Tree::file(at);
            let result = results.get(&item).cloned();
            assert!(result.is_none() || result != Some(Ok(0)) || file.is_empty());
            assert!(!(result.is_some_and(|r| r.is_ok()) && failed.contains(&item)), "{item:?}");
            assert!(!how.rename || result.is_none_or(|r| r.is_ok() == named.contains(&item)));
            Outcome { result, copy: there.remove(&item), file }
        };
        sources.into_iter().enumerate().map(outcome).collect()
    }
}
