//! A local directory that is held open while a tree is written into it.
//!
//! What a server lists decides the names in the tree, and nothing else: each file and directory is
//! made relative to the one it belongs to, by its descriptor, and a link in its place is not
//! followed. So a link that is there, or that somebody puts there meanwhile, leads nowhere.

use core::fmt;
use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, fchmod, fstat, futimens,
        mkdirat, openat, renameat, statat, symlinkat, unlinkat,
    },
    io::Errno,
};
use sftp::{
    Attrs,
    path::{NamingRules, check_component},
};

use crate::error::{Error, LocalFileError};

/// Permission bits that are copied.
pub(super) const MODE: u32 = 0o777;

/// A local directory that is held open, into which names of a server can be written: nothing that
/// is done with it leads out of it.
#[derive(Clone, Debug)]
pub struct Folder {
    directory: Arc<OwnedFd>,
    path: PathBuf,
}

/// How a file in a [`Folder`] is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Existing {
    /// What is there keeps its content.
    Keep,
    /// What is there is emptied.
    Empty,
    /// There must be nothing.
    Refuse,
}

/// Why a name is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeftAlone {
    Link,
    NoFile,
    BadName,
}

impl fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "it is a symbolic link, which is not written through",
            Self::NoFile => "it is not a regular file",
            Self::BadName => "this is not the name of something in a directory",
        })
    }
}

impl std::error::Error for LeftAlone {}

impl Folder {
    /// The directory at `path`, made unless it is there. Its last component must not be a link.
    ///
    /// # Errors
    /// [`Error::LocalFile`].
    pub fn at(path: &Path) -> Result<Self, Error> {
        Self::make(CWD, path.as_os_str(), path.to_path_buf()).map_err(Error::from)
    }

    /// The directory `name` in this one, made unless it is there.
    ///
    /// # Errors
    /// [`Error::LocalFile`].
    pub fn folder(&self, name: &[u8]) -> Result<Self, Error> {
        self.inner(name).map_err(Error::from)
    }

    pub(super) fn inner(&self, name: &[u8]) -> Result<Self, LocalFileError> {
        let path = self.path_of(name);
        component(name, &path)?;
        Self::make(&self.directory, OsStr::from_bytes(name), path)
    }

    pub(super) fn top(path: &Path) -> Result<Self, LocalFileError> {
        Self::make(CWD, path.as_os_str(), path.to_path_buf())
    }

    /// The directory at `path`, which is there; links are followed.
    pub(super) fn of_user(path: &Path) -> Result<Self, LocalFileError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|error| refusal("open the directory", path, error))?;
        Ok(Self { directory: Arc::new(directory), path: path.to_path_buf() })
    }

    fn make(parent: impl AsFd, name: &OsStr, path: PathBuf) -> Result<Self, LocalFileError> {
        let cannot = |error| refusal("make the directory", &path, error);
        match mkdirat(&parent, name, Mode::from_raw_mode(MODE)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(cannot(error)),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(&parent, name, flags, Mode::empty());
        let directory = opened.map_err(|error| match error {
            // What Linux says of a link where a directory is wanted.
            Errno::NOTDIR if is_link(&parent, name) => cannot(Errno::LOOP),
            error => cannot(error),
        })?;
        Ok(Self { directory: Arc::new(directory), path })
    }

    /// The path of this directory, as it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn path_of(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    /// The file `name` in this directory, made unless it is there, to be written. Of `mode` the
    /// permission bits count, and the owner may always write.
    ///
    /// # Errors
    /// [`Error::LocalFile`], also for links and for what is no regular file.
    pub fn file(&self, name: &[u8], mode: Option<u32>, existing: Existing) -> Result<File, Error> {
        self.create(name, mode, existing).map_err(Error::from)
    }

    pub(super) fn create(
        &self,
        name: &[u8],
        mode: Option<u32>,
        existing: Existing,
    ) -> Result<File, LocalFileError> {
        let path = self.path_of(name);
        component(name, &path)?;
        let cannot = |error| refusal("create", &path, error);
        // Without waiting for whoever reads a FIFO that has this name.
        let mut flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        if existing == Existing::Refuse {
            flags |= OFlags::EXCL;
        }
        // The owner has to be able to write it, or it could not be resumed.
        let mode = Mode::from_raw_mode(mode.map_or(0o666, |mode| mode & MODE | 0o200));
        let file = openat(&self.directory, OsStr::from_bytes(name), flags, mode).map_err(cannot)?;
        let stat = fstat(&file).map_err(cannot)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(left_alone("create", path, LeftAlone::NoFile));
        }
        let file = File::from(file);
        if existing == Existing::Empty && stat.st_size != 0 {
            file.set_len(0).map_err(|source| LocalFileError {
                operation: "empty",
                path,
                source,
            })?;
        }
        Ok(file)
    }

    /// The regular file `name` in this directory, to be read; `None` if there is none.
    pub(super) fn existing(&self, name: &[u8]) -> Result<Option<File>, LocalFileError> {
        let path = self.path_of(name);
        component(name, &path)?;
        let flags =
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match openat(&self.directory, OsStr::from_bytes(name), flags, Mode::empty()) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(refusal("open", &path, error)),
        }
    }

    /// Makes the symbolic link `name`, or puts it in the place of one that is there.
    pub(super) fn link(&self, name: &[u8], target: &[u8]) -> Result<(), LocalFileError> {
        let path = self.path_of(name);
        component(name, &path)?;
        let name = OsStr::from_bytes(name);
        let target = OsStr::from_bytes(target);
        let made = match symlinkat(target, &self.directory, name) {
            Err(Errno::EXIST) if is_link(&self.directory, name) => {
                unlinkat(&self.directory, name, AtFlags::empty())
                    .and_then(|()| symlinkat(target, &self.directory, name))
            }
            made => made,
        };
        made.map_err(|error| refusal("make the link", &path, error))
    }

    /// Gives a file in this directory another name in it.
    pub(super) fn rename(&self, from: &[u8], to: &[u8]) -> Result<(), LocalFileError> {
        let path = self.path_of(to);
        component(to, &path)?;
        let (from, to) = (OsStr::from_bytes(from), OsStr::from_bytes(to));
        renameat(&self.directory, from, &self.directory, to)
            .map_err(|error| refusal("rename to", &path, error))
    }

    /// Removes a file in this directory that this transfer has made.
    pub(super) fn remove(&self, name: &[u8]) {
        // What is already gone is as good.
        unlinkat(&self.directory, OsStr::from_bytes(name), AtFlags::empty()).ok();
    }

    /// Gives the directory the permission bits and the times of the remote one.
    ///
    /// # Errors
    /// [`Error::LocalFile`].
    pub fn preserve(&self, attrs: &Attrs) -> Result<(), Error> {
        preserve(&self.directory, &self.path, attrs).map_err(Error::from)
    }

    pub(super) fn settle(&self, attrs: &Attrs) -> Result<(), LocalFileError> {
        preserve(&self.directory, &self.path, attrs)
    }
}

fn component(name: &[u8], path: &Path) -> Result<(), LocalFileError> {
    check_component(name, NamingRules::LOCAL)
        .map_err(|_| left_alone("create", path.to_path_buf(), LeftAlone::BadName))
}

fn is_link(parent: impl AsFd, name: &OsStr) -> bool {
    statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

fn left_alone(operation: &'static str, path: PathBuf, why: LeftAlone) -> LocalFileError {
    LocalFileError { operation, path, source: io::Error::other(why) }
}

fn refusal(operation: &'static str, path: &Path, error: Errno) -> LocalFileError {
    if error == Errno::LOOP {
        return left_alone(operation, path.to_path_buf(), LeftAlone::Link);
    }
    LocalFileError { operation, path: path.to_path_buf(), source: error.into() }
}

/// Gives a local file the permission bits and the times of the remote one.
pub(super) fn preserve(file: impl AsFd, path: &Path, attrs: &Attrs) -> Result<(), LocalFileError> {
    let cannot = |error: Errno| refusal("set mode and times of", path, error);
    if let Some(permissions) = attrs.permissions {
        fchmod(&file, Mode::from_raw_mode(permissions.mode() & MODE)).map_err(cannot)?;
    }
    if let Some(times) = attrs.times {
        let time = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
        let times = Timestamps {
            last_access: time(times.accessed),
            last_modification: time(times.modified),
        };
        futimens(&file, &times).map_err(cannot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    use sftp::attrs::Times;

    #[test]
    fn a_tree_is_written_beneath_its_directory_and_through_no_link() {
        let temp = tempfile::tempdir().unwrap();
        let outside = temp.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("file"), "untouched").unwrap();
        let top = Folder::at(&temp.path().join("top")).unwrap();
        symlink(&outside, temp.path().join("top/dir")).unwrap();
        symlink(outside.join("file"), temp.path().join("top/file")).unwrap();
        symlink(outside.join("new"), temp.path().join("top/dangling")).unwrap();
        for error in [
            top.folder(b"dir").unwrap_err(),
            top.file(b"file", None, Existing::Empty).unwrap_err(),
            top.file(b"dangling", None, Existing::Keep).unwrap_err(),
            Folder::at(&temp.path().join("top/dir")).unwrap_err(),
        ] {
            assert!(error.to_string().contains("symbolic link"), "{error}");
        }
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_refused_by_every_method() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(&temp.path().join("top")).unwrap();
        for name in [&b"../x"[..], b"/x", b"..", b".", b"", b"a/b", b"a\0b"] {
            assert!(folder.folder(name).is_err());
            assert!(folder.file(name, None, Existing::Empty).is_err());
            assert!(folder.existing(name).is_err());
            assert!(folder.link(name, b"t").is_err());
            assert!(folder.rename(b"a", name).is_err());
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_is_swapped_for_a_link_is_written_where_it_was() {
        let temp = tempfile::tempdir().unwrap();
        let (made, moved) = (temp.path().join("made"), temp.path().join("moved"));
        let folder = Folder::at(&made).unwrap();
        fs::rename(&made, &moved).unwrap();
        symlink("/nowhere", &made).unwrap();
        folder.file(b"f", Some(0o4640), Existing::Refuse).unwrap();
        let metadata = fs::metadata(moved.join("f")).unwrap();
        assert_eq!(metadata.mode() & 0o7000, 0, "no special bits");
        folder.folder(b"d").unwrap();
        assert!(moved.join("d").is_dir());
    }

    #[test]
    fn what_is_there_is_used_again_and_what_is_no_file_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path()).unwrap();
        for _ in 0..2 {
            folder.folder(b"d").unwrap();
            folder.file(b"f", None, Existing::Empty).unwrap();
            folder.link(b"l", b"f").unwrap();
        }
        assert!(folder.file(b"f", None, Existing::Refuse).is_err());
        let fifo = temp.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        // Nobody reads it: that must not make us wait.
        assert!(folder.file(b"fifo", None, Existing::Empty).is_err());
        assert!(folder.file(b"d", None, Existing::Empty).is_err() && folder.folder(b"f").is_err());
        assert!(folder.link(b"f", b"elsewhere").is_err(), "a file is not replaced by a link");
    }

    #[test]
    fn modes_and_times_are_copied_without_special_bits() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path()).unwrap();
        let file = folder.file(b"f", None, Existing::Empty).unwrap();
        let path = temp.path().join("f");
        let times = Some(Times { accessed: 5, modified: 7 });
        preserve(&file, &path, &Attrs { times, ..Attrs::with_mode(0o4640) }).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!(metadata.mtime(), 7);
    }
}
