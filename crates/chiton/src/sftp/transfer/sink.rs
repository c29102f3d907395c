//! The local side of downloads, on a thread of its own: positional, in the order of the jobs.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, IoSlice},
    os::unix::{ffi::OsStrExt, fs::FileExt},
    path::{Path, PathBuf},
};

use sftp::{Attrs, Chunks, transfer::Item};

use super::{
    folder::{Existing, Folder, MODE, preserve},
    local::local_error,
    worker::Hand,
};
use crate::error::{LocalFileError, SftpErrorKind};

/// Blocks of zeroes of this size, aligned to it, are left out of sparse files.
const BLOCK: usize = 4096;

/// Where something goes.
#[derive(Debug)]
pub(super) enum Place {
    /// To a path that the user named; links are followed.
    Path(PathBuf),
    /// To a file that is open.
    Open(File, PathBuf),
    /// Into a directory of the tree.
    In(Item, Vec<u8>),
}

/// How a file is finished.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    pub(super) size: u64,
    /// Permission bits and times that it shall have.
    pub(super) attrs: Option<Attrs>,
}

/// How files are written.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Manner {
    pub(super) atomic: bool,
    pub(super) sync: bool,
    pub(super) sparse: bool,
    /// What is there is not emptied before.
    pub(super) in_place: bool,
}

/// Each has one [`Done`].
#[derive(Debug)]
pub(super) enum Job {
    /// Makes a directory.
    Folder(Item, Place),
    /// Says how much of a file is there.
    Look(Item, Place),
    /// Opens a file, and keeps what is there up to `keep`.
    Create { item: Item, place: Place, mode: Option<u32>, keep: u64 },
    /// Writes a piece.
    Write(Item, u64, Chunks),
    /// Cuts a file to its size and closes it.
    Finish(Item, Ending),
    /// All of the above, for a small file.
    Store { item: Item, place: Place, mode: Option<u32>, pieces: Vec<(u64, Chunks)>, end: Ending },
    /// Cuts a file to what is there without a gap, and no more than that; or removes it if it
    /// does not have its name yet.
    Abandon(Item, u64),
    /// Makes a symbolic link.
    Link(Item, Place, Vec<u8>),
    /// Closes a directory, and gives it its attributes.
    Settle(Item, Option<Attrs>),
}

#[derive(Debug)]
pub(super) enum Done {
    /// A directory, link or file is as it shall be.
    Ready(Item),
    /// What is there of a file, open for reading.
    There(Item, Result<Option<(File, u64)>, SftpErrorKind>),
    /// A piece is written, or not needed any more: its bytes are free.
    Written(u64),
    /// A file is whole.
    Finished(Item),
    /// A file was given up. Up to where it is there without a gap.
    Abandoned(Item, u64),
    /// Something went wrong; of a file, up to here it is there without a gap. `freed` bytes that
    /// were to be written are not needed any more.
    Failed { item: Item, cause: SftpErrorKind, written: u64, freed: u64 },
}

/// The files and directories that are open.
#[derive(Debug, Default)]
pub(super) struct Sink {
    manner: Manner,
    folders: HashMap<Item, Folder>,
    files: HashMap<Item, Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    written: Prefix,
    /// The directory, the name that it has until it is finished, and the one that it gets.
    renamed: Option<(Folder, Vec<u8>, Vec<u8>)>,
}

impl Sink {
    pub(super) fn new(manner: Manner) -> Self {
        Self { manner, ..Self::default() }
    }

    fn folder(&self, item: Item) -> Result<&Folder, LocalFileError> {
        // It failed, and that was said.
        self.folders.get(&item).ok_or_else(|| {
            let source = io::ErrorKind::NotFound.into();
            LocalFileError { operation: "open", path: PathBuf::new(), source }
        })
    }

    fn make_folder(&mut self, item: Item, place: Place) -> Result<(), LocalFileError> {
        let folder = match place {
            Place::In(parent, name) => self.folder(parent)?.inner(&name)?,
            Place::Path(path) | Place::Open(_, path) => Folder::top(&path)?,
        };
        self.folders.insert(item, folder);
        Ok(())
    }

    fn look(&self, place: Place) -> Result<Option<(File, u64)>, LocalFileError> {
        let (file, path) = match place {
            Place::In(parent, name) => {
                let folder = self.folder(parent)?;
                (folder.existing(&name)?, folder.path_of(&name))
            }
            Place::Path(path) => match File::open(&path) {
                Ok(file) => (Some(file), path),
                Err(error) if error.kind() == io::ErrorKind::NotFound => (None, path),
                Err(error) => return Err(local_error("open", &path, error)),
            },
            Place::Open(file, path) => (Some(file), path),
        };
        let Some(file) = file else { return Ok(None) };
        let size = file.metadata().map_err(|error| local_error("open", &path, error))?.len();
        Ok(Some((file, size)))
    }

    fn create(&self, place: Place, mode: Option<u32>, keep: u64) -> Result<Open, LocalFileError> {
        let keeps = keep > 0 || self.manner.in_place;
        let existing = if keeps { Existing::Keep } else { Existing::Empty };
        let (file, path, renamed) = match place {
            Place::Open(file, path) => {
                if !keeps {
                    file.set_len(0).map_err(|error| local_error("empty", &path, error))?;
                }
                (file, path, None)
            }
            Place::Path(path) if self.manner.atomic => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let folder = Folder::of_user(parent.unwrap_or_else(|| Path::new(".")))?;
                let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
                temporary(folder, name, mode)?
            }
            Place::Path(path) => (create(&path, mode, keeps)?, path, None),
            Place::In(parent, name) => {
                let folder = self.folder(parent)?;
                if self.manner.atomic {
                    temporary(folder.clone(), name, mode)?
                } else {
                    (folder.create(&name, mode, existing)?, folder.path_of(&name), None)
                }
            }
        };
        let written = Prefix { end: keep, ahead: BTreeMap::new() };
        Ok(Open { file, path, written, renamed })
    }

    fn write(&self, open: &mut Open, offset: u64, chunks: Chunks) -> Result<(), LocalFileError> {
        let len = u64::try_from(chunks.len()).unwrap_or(u64::MAX);
        let result = if self.manner.sparse {
            write_sparse(&open.file, &chunks.into_vec(), offset)
        } else {
            write_at(&open.file, chunks, offset)
        };
        result.map_err(|error| local_error("write", &open.path, error))?;
        open.written.add(offset, offset.saturating_add(len));
        Ok(())
    }

    fn finish(&self, open: &Open, end: &Ending) -> Result<(), LocalFileError> {
        let Open { file, path, renamed, .. } = open;
        let metadata = file.metadata().map_err(|error| local_error("cut", path, error))?;
        if metadata.is_file() && metadata.len() != end.size {
            file.set_len(end.size).map_err(|error| local_error("cut", path, error))?;
        }
        if let Some(attrs) = &end.attrs {
            preserve(file, path, attrs)?;
        }
        if self.manner.sync || renamed.is_some() {
            file.sync_all().map_err(|error| local_error("write to the disk", path, error))?;
        }
        match renamed {
            Some((folder, from, to)) => folder.rename(from, to),
            None => Ok(()),
        }
    }

    fn store(
        &self,
        place: Place,
        mode: Option<u32>,
        pieces: Vec<(u64, Chunks)>,
        end: &Ending,
    ) -> Result<(), (LocalFileError, u64)> {
        let mut open = self.create(place, mode, 0).map_err(|error| (error, 0))?;
        let written = pieces
            .into_iter()
            .try_for_each(|(offset, chunks)| self.write(&mut open, offset, chunks))
            .and_then(|()| self.finish(&open, end));
        written.map_err(|error| {
            let written = open.written.end;
            open.abandon(written);
            (error, written)
        })
    }

    /// Fails a file that is open.
    fn give_up(&mut self, item: Item, error: LocalFileError, freed: u64) -> Done {
        let written = self.files.remove(&item).map_or(0, |open| {
            let written = open.written.end;
            open.abandon(written);
            written
        });
        Done::Failed { item, cause: error.into(), written, freed }
    }

    fn job(&mut self, job: Job) -> Done {
        let failed = |item, error: LocalFileError| Done::Failed {
            item,
            cause: error.into(),
            written: 0,
            freed: 0,
        };
        match job {
            Job::Folder(item, place) => match self.make_folder(item, place) {
                Ok(()) => Done::Ready(item),
                Err(error) => failed(item, error),
            },
            Job::Look(item, place) => {
                Done::There(item, self.look(place).map_err(SftpErrorKind::from))
            }
            Job::Create { item, place, mode, keep } => match self.create(place, mode, keep) {
                Ok(open) => {
                    self.files.insert(item, open);
                    Done::Ready(item)
                }
                Err(error) => failed(item, error),
            },
            Job::Write(item, offset, chunks) => {
                let bytes = u64::try_from(chunks.len()).unwrap_or(u64::MAX);
                // What has failed was said to have.
                let Some(mut open) = self.files.remove(&item) else { return Done::Written(bytes) };
                let result = self.write(&mut open, offset, chunks);
                self.files.insert(item, open);
                match result {
                    Ok(()) => Done::Written(bytes),
                    Err(error) => self.give_up(item, error, bytes),
                }
            }
            Job::Finish(item, end) => {
                let Some(open) = self.files.get(&item) else { return Done::Written(0) };
                match self.finish(open, &end) {
                    Ok(()) => {
                        self.files.remove(&item);
                        Done::Finished(item)
                    }
                    Err(error) => self.give_up(item, error, 0),
                }
            }
            Job::Store { item, place, mode, pieces, end } => {
                match self.store(place, mode, pieces, &end) {
                    Ok(()) => Done::Finished(item),
                    Err((error, written)) => {
                        Done::Failed { item, cause: error.into(), written, freed: 0 }
                    }
                }
            }
            Job::Abandon(item, confirmed) => {
                let Some(open) = self.files.remove(&item) else { return Done::Abandoned(item, 0) };
                let there = open.written.end.min(confirmed);
                let kept = if open.renamed.is_some() { 0 } else { there };
                open.abandon(there);
                Done::Abandoned(item, kept)
            }
            Job::Link(item, place, target) => {
                let made = match place {
                    Place::In(parent, name) => {
                        self.folder(parent).and_then(|folder| folder.link(&name, &target))
                    }
                    // Only what is in a tree is copied as a link.
                    Place::Path(_) | Place::Open(..) => Ok(()),
                };
                match made {
                    Ok(()) => Done::Ready(item),
                    Err(error) => failed(item, error),
                }
            }
            Job::Settle(item, attrs) => {
                let folder = self.folders.remove(&item);
                let settled = folder.zip(attrs).map(|(folder, attrs)| folder.settle(&attrs));
                match settled {
                    Some(Err(error)) => failed(item, error),
                    _ => Done::Ready(item),
                }
            }
        }
    }
}

impl Hand for Sink {
    type Job = Job;
    type Done = Done;

    fn work(&mut self, job: Job) -> Done {
        self.job(job)
    }

    fn may_wait(&self, job: &Job) -> bool {
        let place = match job {
            // Waiting for the disk is what it is for.
            Job::Finish(..) | Job::Store { .. } if self.manner.sync || self.manner.atomic => {
                return true;
            }
            Job::Look(_, place) | Job::Create { place, .. } | Job::Store { place, .. } => place,
            _ => return false,
        };
        // Pipes and terminals wait for who is at their other end.
        let metadata = match place {
            Place::Path(path) => fs::metadata(path),
            Place::Open(file, _) => file.metadata(),
            Place::In(..) => return false,
        };
        metadata.is_ok_and(|metadata| !metadata.is_file())
    }

    /// What is still open was dropped in the middle: it keeps what is there without a gap.
    fn end(self) {
        for open in self.files.into_values() {
            let written = open.written.end;
            open.abandon(written);
        }
    }
}

impl Open {
    /// What stands behind a gap would look complete; a device cannot be cut.
    fn abandon(self, size: u64) {
        match self.renamed {
            Some((folder, name, _)) => folder.remove(&name),
            None => {
                self.file.set_len(size).ok();
            }
        }
    }
}

type Created = (File, PathBuf, Option<(Folder, Vec<u8>, Vec<u8>)>);

/// A new file that gets its name at the end.
fn temporary(folder: Folder, name: Vec<u8>, mode: Option<u32>) -> Result<Created, LocalFileError> {
    let path = folder.path_of(&name);
    let hidden = temporary_name(&name);
    let file = folder.create(&hidden, mode, Existing::Refuse)?;
    Ok((file, path, Some((folder, hidden, name))))
}

/// A name in the same directory that nobody else has.
pub(super) fn temporary_name(name: &[u8]) -> Vec<u8> {
    /// Names have 255 bytes at most, nearly everywhere.
    const MOST: usize = 200;

    let random = RandomState::new().build_hasher().finish();
    let kept = name.get(..name.len().min(MOST)).unwrap_or_default();
    [b".".as_slice(), kept, format!(".{random:016x}.part").as_bytes()].concat()
}

fn create(path: &Path, mode: Option<u32>, keep: bool) -> Result<File, LocalFileError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(!keep);
    // The owner has to be able to write it, or it could not be resumed.
    let mode = mode.map_or(0o666, |mode| mode & MODE | 0o200);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options.open(path).map_err(|error| local_error("create", path, error))
}

/// How much is there without a gap, when pieces come in any order.
#[derive(Debug)]
struct Prefix {
    end: u64,
    ahead: BTreeMap<u64, u64>,
}

impl Prefix {
    fn add(&mut self, from: u64, to: u64) {
        self.ahead.insert(from, to);
        while let Some(next) = self.ahead.first_entry().filter(|next| *next.key() <= self.end) {
            self.end = self.end.max(next.remove());
        }
    }
}

fn write_at(file: &File, mut chunks: Chunks, mut offset: u64) -> io::Result<()> {
    /// The most slices that a system call takes everywhere.
    const MAX_SLICES: usize = 16;

    while !chunks.is_empty() {
        let slices: Vec<IoSlice<'_>> = chunks.iter().take(MAX_SLICES).map(IoSlice::new).collect();
        let n = match rustix::io::pwritev(file, &slices, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => n,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        chunks.advance(n);
        offset = offset.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
    }
    Ok(())
}

/// Writes what is not zero. The file was empty behind what is kept, so the rest is a hole.
fn write_sparse(file: &File, data: &[u8], mut offset: u64) -> io::Result<()> {
    let block = u64::try_from(BLOCK).unwrap_or(1);
    let mut rest = data;
    while !rest.is_empty() {
        let into = offset.checked_rem(block).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let len = BLOCK.saturating_sub(into).min(rest.len());
        let (piece, behind) = rest.split_at_checked(len).unwrap_or((rest, &[]));
        if piece.iter().any(|byte| *byte != 0) {
            file.write_all_at(piece, offset)?;
        }
        offset = offset.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        rest = behind;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    use bytes::Bytes;

    fn chunks(bytes: &[u8]) -> Chunks {
        Chunks::from(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn only_what_is_there_without_a_gap_counts_as_written() {
        let mut written = Prefix { end: 10, ahead: BTreeMap::new() };
        written.add(20, 30);
        assert_eq!(written.end, 10);
        written.add(10, 20);
        assert_eq!(written.end, 30);
        written.add(40, 50);
        assert_eq!(written.end, 30);
    }

    #[test]
    fn zeroes_take_no_blocks_in_a_sparse_file() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        let manner = Manner { sparse: true, ..Manner::default() };
        let sink = Sink::new(manner);
        let mut data = vec![0; 1 << 20];
        data[5] = 1;
        data[600_000] = 2;
        let end = Ending { size: 1 << 20, attrs: None };
        let pieces = vec![(0, chunks(&data[..700_001])), (700_001, chunks(&data[700_001..]))];
        sink.store(Place::Path(path.clone()), None, pieces, &end).unwrap();
        assert!(fs::read(&path).unwrap() == data);
        assert!(fs::metadata(&path).unwrap().blocks() * 512 <= 64 * 1024);
    }

    #[test]
    fn an_atomic_file_has_its_name_only_when_it_is_whole() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        fs::write(&path, "old").unwrap();
        let mut sink = Sink::new(Manner { atomic: true, ..Manner::default() });
        let place = || Place::Path(path.clone());
        let (item, failing) = (Item(0), Item(1));
        for item in [item, failing] {
            sink.job(Job::Create { item, place: place(), mode: None, keep: 0 });
            sink.job(Job::Write(item, 0, chunks(b"new")));
        }
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert!(matches!(sink.job(Job::Abandon(failing, 3)), Done::Abandoned(_, 0)));
        let done = sink.job(Job::Finish(item, Ending { size: 3, attrs: None }));
        assert!(matches!(done, Done::Finished(_)), "{done:?}");
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_dropped_in_the_middle_keeps_what_has_no_gap() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        let mut sink = Sink::new(Manner::default());
        let place = Place::Path(path.clone());
        sink.job(Job::Create { item: Item(0), place, mode: None, keep: 0 });
        sink.job(Job::Write(Item(0), 0, chunks(b"abc")));
        sink.job(Job::Write(Item(0), 10, chunks(b"xyz")));
        sink.end();
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }

    #[test]
    fn temporary_names_are_short_and_hidden() {
        let name = temporary_name(&[b'n'; 255]);
        assert!(name.len() < 255 && name.starts_with(b".n"));
        assert_ne!(name, temporary_name(&[b'n'; 255]));
    }
}
