//! The local side of uploads, on a thread of its own: positional, in the order of the jobs.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::{self, File, Metadata},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rustix::{
    fs::{SeekFrom, seek},
    io::{Errno, pread},
};
use sftp::transfer::{Item, Load};

use super::{Links, local::local_error, worker::Hand};
use crate::error::LocalFileError;

/// Something local.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) size: u64,
    pub(super) mode: u32,
    /// Seconds since 1970.
    pub(super) accessed: i64,
    pub(super) modified: i64,
}

/// What something local is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// A link with this text.
    Link(Vec<u8>),
    Special,
}

/// Each has one [`Done`].
#[derive(Debug)]
pub(super) enum Job {
    /// Looks at what the user named.
    Look(Item, PathBuf),
    /// Lists a directory.
    List(Item, PathBuf),
    /// Reads a part of a file into the memory that is given.
    Load(Load, PathBuf, Vec<u8>),
    /// Closes a file of which nothing more is wanted.
    Close(Item),
}

#[derive(Debug)]
pub(super) enum Done {
    Looked(Item, Result<Found, LocalFileError>),
    Listed(Item, Result<Vec<Found>, LocalFileError>),
    /// The first bytes of the range, and whether the file ends there.
    Loaded(Load, Result<(Bytes, bool), LocalFileError>),
    /// The whole range is a hole, up to here, and whether the file ends there.
    Hole(Load, u64, bool),
    Closed,
}

/// The files that are open.
#[derive(Debug)]
pub(super) struct Source {
    files: HashMap<Item, File>,
    links: Links,
    sparse: bool,
    /// What the user named is neither a file nor a directory.
    special: bool,
}

impl Source {
    pub(super) fn new(links: Links, sparse: bool) -> Self {
        Self { files: HashMap::new(), links, sparse, special: false }
    }

    fn list(&self, path: &Path) -> Result<Vec<Found>, LocalFileError> {
        let cannot = |error| local_error("read the directory", path, error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let name = entry.file_name().into_vec();
            // What is gone meanwhile was not in it.
            let Ok(mut metadata) = entry.metadata() else { continue };
            let mut link = None;
            if metadata.is_symlink() {
                match self.links {
                    Links::Follow => match fs::metadata(entry.path()) {
                        Ok(target) if !target.is_dir() || !is_loop(path, &entry.path()) => {
                            metadata = target;
                        }
                        _ => {}
                    },
                    Links::Keep => {
                        let target = fs::read_link(entry.path()).map_err(cannot)?;
                        link = Some(target.into_os_string().into_vec());
                    }
                    Links::Skip => {}
                }
            }
            entries.push(Found::new(name, &metadata, link));
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn load(&mut self, load: Load, path: &Path, buffer: Vec<u8>) -> Result<Done, LocalFileError> {
        let Load { item, range } = load;
        let file = match self.files.entry(item) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let file = File::open(path).map_err(|error| local_error("open", path, error))?;
                place.insert(file)
            }
        };
        let cannot = |error: Errno| local_error("read", path, error.into());
        let end = range.offset.saturating_add(range.len.into());
        if self.sparse
            && let Some(data) = next_data(file, range.offset).map_err(cannot)?
            && data >= end
        {
            let size = file.metadata().map_err(|error| local_error("read", path, error))?.len();
            return Ok(Done::Hole(load, data.min(size), data >= size));
        }
        let (bytes, ended) = read(file, range.offset, range.len, buffer).map_err(cannot)?;
        if ended {
            self.files.remove(&item);
        }
        Ok(Done::Loaded(load, Ok((bytes, ended))))
    }
}

/// Whether a link in `directory` leads to one of the directories on the way to it, through other
/// links or not. What cannot be looked up counts as one.
fn is_loop(directory: &Path, link: &Path) -> bool {
    let Ok(target) = fs::canonicalize(link) else { return true };
    let on_the_way = |path: &Path| {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        fs::canonicalize(path).map_or(true, |real| real.starts_with(&target))
    };
    directory.ancestors().any(on_the_way)
}

/// Where content begins at or behind `offset`; the size if there is none. `None` where the file
/// system does not know.
fn next_data(file: &File, offset: u64) -> Result<Option<u64>, Errno> {
    match seek(file, SeekFrom::Data(offset)) {
        Ok(data) => Ok(Some(data)),
        // Behind the last content: the rest is a hole, if there is a rest.
        Err(Errno::NXIO) => match seek(file, SeekFrom::End(0)) {
            Ok(size) if size > offset => Ok(Some(u64::MAX)),
            _ => Ok(None),
        },
        Err(Errno::INVAL | Errno::NOTSUP | Errno::SPIPE) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads `len` bytes, or up to the end, and says whether that is the end: one byte more is read
/// to see it.
fn read(file: &File, offset: u64, len: u32, mut buffer: Vec<u8>) -> Result<(Bytes, bool), Errno> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    buffer.clear();
    buffer.reserve_exact(len.saturating_add(1));
    while buffer.len() <= len {
        let at = offset.saturating_add(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
        match pread(file, rustix::buffer::spare_capacity(&mut buffer), at) {
            Ok(0) => return Ok((buffer.into(), true)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(len);
    Ok((buffer.into(), false))
}

impl Found {
    fn new(name: Vec<u8>, metadata: &Metadata, link: Option<Vec<u8>>) -> Self {
        let kind = match link {
            Some(target) => Kind::Link(target),
            None if metadata.is_file() => Kind::File,
            None if metadata.is_dir() => Kind::Directory,
            // One that is not to be copied.
            None if metadata.is_symlink() => Kind::Link(Vec::new()),
            None => Kind::Special,
        };
        Self {
            name,
            kind,
            size: metadata.len(),
            mode: metadata.mode(),
            accessed: metadata.atime(),
            modified: metadata.mtime(),
        }
    }
}

impl Hand for Source {
    type Job = Job;
    type Done = Done;

    fn work(&mut self, job: Job) -> Done {
        match job {
            Job::Look(item, path) => {
                let found = fs::metadata(&path).map(|metadata| {
                    let name = path.file_name().unwrap_or_default().as_bytes().to_vec();
                    Found::new(name, &metadata, None)
                });
                self.special = found.as_ref().is_ok_and(|found| found.kind == Kind::Special);
                Done::Looked(item, found.map_err(|error| local_error("open", &path, error)))
            }
            Job::List(item, path) => Done::Listed(item, self.list(&path)),
            Job::Load(load, path, buffer) => match self.load(load, &path, buffer) {
                Ok(done) => done,
                Err(error) => Done::Loaded(load, Err(error)),
            },
            Job::Close(item) => {
                self.files.remove(&item);
                Done::Closed
            }
        }
    }

    /// Pipes and terminals wait for who is at their other end.
    fn may_wait(&self, job: &Job) -> bool {
        self.special && matches!(job, Job::Load(..))
    }

    fn end(self) {}
}

impl From<&Found> for io::ErrorKind {
    /// What is wrong with something that is not moved.
    fn from(found: &Found) -> Self {
        match found.kind {
            Kind::Directory => Self::IsADirectory,
            _ => Self::InvalidInput,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileExt, symlink};

    use sftp::transfer::Range;

    fn load(offset: u64, len: u32) -> Load {
        Load { item: Item(1), range: Range { offset, len } }
    }

    fn loaded(source: &mut Source, path: &Path, offset: u64, len: u32) -> (Vec<u8>, bool) {
        match source.load(load(offset, len), path, Vec::new()).unwrap() {
            Done::Loaded(_, Ok((bytes, end))) => (bytes.to_vec(), end),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_end_of_a_file_is_seen_with_its_last_byte() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        fs::write(&path, "abcdef").unwrap();
        let mut source = Source::new(Links::Skip, false);
        assert_eq!(loaded(&mut source, &path, 0, 3), (b"abc".to_vec(), false));
        assert_eq!(loaded(&mut source, &path, 3, 3), (b"def".to_vec(), true));
        assert_eq!(loaded(&mut source, &path, 6, 3), (Vec::new(), true));
    }

    #[test]
    fn holes_are_found_where_the_file_system_has_them() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("f");
        let file = File::create(&path).unwrap();
        file.set_len(64 << 20).unwrap();
        file.write_all_at(b"x", 32 << 20).unwrap();
        let mut source = Source::new(Links::Skip, true);
        match source.load(load(0, 1 << 20), &path, Vec::new()).unwrap() {
            Done::Hole(_, to, false) => assert!(to > 1 << 20 && to <= 32 << 20, "{to}"),
            // A file system without holes.
            Done::Loaded(..) => return,
            other => panic!("{other:?}"),
        }
        let (bytes, _) = loaded(&mut source, &path, 32 << 20, 1);
        assert_eq!(bytes, b"x");
        match source.load(load(40 << 20, 1 << 20), &path, Vec::new()).unwrap() {
            Done::Hole(_, to, true) => assert_eq!(to, 64 << 20),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_listing_follows_links_as_it_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path();
        fs::write(path.join("f"), "abc").unwrap();
        fs::create_dir(path.join("d")).unwrap();
        symlink("f", path.join("l")).unwrap();
        symlink("d", path.join("m")).unwrap();
        let kinds = |links| -> Vec<Kind> {
            let found = Source::new(links, false).list(path).unwrap();
            assert_eq!(
                found.iter().map(|f| &f.name[..]).collect::<Vec<_>>(),
                [b"d", b"f", b"l", b"m"]
            );
            found.into_iter().map(|found| found.kind).collect()
        };
        let link = |text: &[u8]| Kind::Link(text.to_vec());
        assert_eq!(kinds(Links::Skip), [Kind::Directory, Kind::File, link(b""), link(b"")]);
        assert_eq!(
            kinds(Links::Follow),
            [Kind::Directory, Kind::File, Kind::File, Kind::Directory]
        );
        assert_eq!(kinds(Links::Keep), [Kind::Directory, Kind::File, link(b"f"), link(b"d")]);
    }

    #[test]
    fn a_link_back_to_where_it_is_is_not_followed_through_whatever_it_goes() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path();
        for name in ["a", "b"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        symlink("../b", path.join("a/to_b")).unwrap();
        symlink("../a", path.join("b/to_a")).unwrap();
        symlink(".", path.join("a/here")).unwrap();
        symlink("..", path.join("a/up")).unwrap();
        symlink("nowhere", path.join("a/void")).unwrap();
        let kinds = |directory: &str| -> Vec<(Vec<u8>, Kind)> {
            let found = Source::new(Links::Follow, false).list(&path.join(directory)).unwrap();
            found.into_iter().map(|found| (found.name, found.kind)).collect()
        };
        let link = |name: &str| (name.as_bytes().to_vec(), Kind::Link(Vec::new()));
        let to_b = (b"to_b".to_vec(), Kind::Directory);
        assert_eq!(kinds("a"), [link("here"), to_b, link("up"), link("void")]);
        assert_eq!(kinds("a/to_b"), [link("to_a")]);
        assert_eq!(kinds("b"), [(b"to_a".to_vec(), Kind::Directory)]);
    }
}
