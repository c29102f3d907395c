//! A local directory that is held open while a tree is written into it.
//!
//! What a server lists decides the names in the tree, and nothing else: each file and directory is
//! made relative to the one it belongs to, by its descriptor, and a link in its place is not
//! followed. So a link that is there, or that somebody puts there meanwhile, leads nowhere.

use alloc::sync::Arc;
use std::{
    ffi::OsStr,
    fs::File,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, fchmod, fstat, futimens,
        mkdirat, openat,
    },
    io::Errno,
};
use sftp::Attrs;

use crate::failure::{Failure, Result, show_path};

/// Permission bits that are copied.
pub(crate) const MODE: u32 = 0o777;

/// A directory, and how it is called.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    directory: Arc<OwnedFd>,
    path: PathBuf,
}

impl Folder {
    /// The directory at `path`, made unless it is there. Its last component must not be a link.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        Self::open(CWD, path.as_os_str(), path.to_path_buf())
    }

    /// The directory `name` in this one, made unless it is there.
    pub(crate) fn folder(&self, name: &[u8]) -> Result<Self> {
        let name = OsStr::from_bytes(name);
        Self::open(&self.directory, name, self.path.join(name))
    }

    fn open(parent: impl rustix::fd::AsFd, name: &OsStr, path: PathBuf) -> Result<Self> {
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

    /// The file `name` in this directory, made unless it is there, to be written.
    pub(crate) fn file(&self, name: &[u8], mode: Option<u32>) -> Result<(File, PathBuf)> {
        let name = OsStr::from_bytes(name);
        let path = self.path.join(name);
        let cannot = |error| refusal("create", &path, error);
        // Without waiting for whoever reads a FIFO that has this name.
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        // The owner has to be able to write it, or it could not be resumed.
        let mode = Mode::from_raw_mode(mode.map_or(0o666, |mode| mode & MODE | 0o200));
        let file = openat(&self.directory, name, flags, mode).map_err(cannot)?;
        let kind = FileType::from_raw_mode(fstat(&file).map_err(cannot)?.st_mode);
        if kind != FileType::RegularFile {
            let path = show_path(&path);
            return Err(Failure::new(format_args!("{path} is not a regular file: left alone")));
        }
        Ok((file.into(), path))
    }

    /// Gives the directory the mode and the times of the remote one.
    pub(crate) fn preserve(&self, attrs: &Attrs) -> Result<()> {
        preserve(&self.directory, &self.path, attrs)
    }
}

fn is_link(parent: impl rustix::fd::AsFd, name: &OsStr) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

fn refusal(doing: &str, path: &Path, error: Errno) -> Failure {
    if error == Errno::LOOP {
        let path = show_path(path);
        return Failure::new(format_args!("{path} is a symbolic link: not written through"));
    }
    Failure::local(doing, path, &error.into())
}

/// Gives a local file the mode and the times of the remote one.
pub(crate) fn preserve(file: impl rustix::fd::AsFd, path: &Path, attrs: &Attrs) -> Result<()> {
    let cannot = |error: Errno| Failure::local("set mode and times of", path, &error.into());
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
        for failure in [
            top.folder(b"dir").unwrap_err(),
            top.file(b"file", None).unwrap_err(),
            top.file(b"dangling", None).unwrap_err(),
            Folder::at(&temp.path().join("top/dir")).unwrap_err(),
        ] {
            assert!(failure.to_string().contains("symbolic link"), "{failure}");
        }
        assert_eq!(fs::read(outside.join("file")).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_is_swapped_for_a_link_is_written_where_it_was() {
        let temp = tempfile::tempdir().unwrap();
        let (made, moved) = (temp.path().join("made"), temp.path().join("moved"));
        let folder = Folder::at(&made).unwrap();
        fs::rename(&made, &moved).unwrap();
        symlink("/nowhere", &made).unwrap();
        folder.file(b"f", Some(0o4640)).unwrap();
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
            folder.file(b"f", None).unwrap();
        }
        let fifo = temp.path().join("fifo");
        rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        // Nobody reads it: that must not make us wait.
        assert!(folder.file(b"fifo", None).is_err());
        assert!(folder.file(b"d", None).is_err() && folder.folder(b"f").is_err());
    }

    #[test]
    fn modes_and_times_are_copied_without_special_bits() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::at(temp.path()).unwrap();
        let (file, path) = folder.file(b"f", None).unwrap();
        let times = Some(Times { accessed: 5, modified: 7 });
        preserve(&file, &path, &Attrs { times, ..Attrs::with_mode(0o4640) }).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!(metadata.mtime(), 7);
    }
}
