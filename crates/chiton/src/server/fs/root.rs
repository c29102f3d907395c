//! One directory and what is beneath it.
//!
//! The client's `/` is the root directory given, and there is no way out of it: every path is
//! resolved beneath an open directory (`openat2` with `RESOLVE_BENEATH` where the system has it,
//! component by component where not), so neither `..` nor a link, absolute or relative, leads
//! elsewhere, and neither does one that is swapped in between two steps. A link that points out
//! can be seen, read and removed; following it is refused.

use core::fmt;
use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::FileExt,
    },
    path::{Component, Path, PathBuf},
};

use cap_std::{
    ambient_authority,
    fs::{
        Dir, DirBuilder, DirBuilderExt, Metadata, MetadataExt, OpenOptions, OpenOptionsExt, ReadDir,
    },
};
use rustix::{fs::OFlags, io::Errno};
use sftp::{
    Attrs, OpenFlags, StatusCode,
    extension::StatVfs,
    server::{DirEntry, FileSystem},
};

use super::{
    ids::Names,
    now,
    open::{self, Stop},
    open_flags, set_entry_attrs, status,
};

/// A directory, served as the whole world.
pub struct Root {
    dir: Dir,
    names: Names,
    stop: Stop,
}

impl Root {
    /// Opens the directory at `path`, of the machine's own file system.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::new(Dir::open_ambient_dir(path, ambient_authority())?))
    }

    /// Another handle on the same directory, for another session.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.dir.try_clone().map(Self::new)
    }

    fn new(dir: Dir) -> Self {
        Self { dir, names: Names::default(), stop: Stop::default() }
    }

    /// What ends a long copy.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// The directory that holds what `path` names, and its name in there. Links before the last
    /// component are followed.
    fn entry(&self, path: &Path) -> io::Result<(Dir, OsString)> {
        let name = path.file_name().ok_or(Errno::INVAL)?.to_owned();
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let dir = match parent {
            Some(parent) => self.dir.open_dir(parent)?,
            None => self.dir.try_clone()?,
        };
        Ok((dir, name))
    }

    /// As [`Self::entry`], of what links lead to. If the name becomes a link afterwards, what is
    /// done to it is done to the link.
    fn target(&self, path: &Path) -> io::Result<(Dir, OsString)> {
        let path = self.dir.canonicalize(path)?;
        if path.file_name().is_none() {
            return Ok((self.dir.try_clone()?, OsString::from(".")));
        }
        self.entry(&path)
    }

    fn open_file(&self, path: &Path, flags: OpenFlags, mode: u32) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(flags.readable() || flags.contains(OpenFlags::READ));
        options.write(flags.writable());
        options.mode(mode).custom_flags(bits(open_flags(flags)));
        Ok(self.dir.open_with(path, &options)?.into_std())
    }

    /// Opens what is there to ask or change something, not to read it. Never blocks.
    fn open_existing(&self, path: &Path, write: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(!write).write(write);
        options.custom_flags(bits(OFlags::NONBLOCK | OFlags::NOCTTY));
        Ok(self.dir.open_with(path, &options)?.into_std())
    }

    /// On Linux through a descriptor that needs no permission on the file: its owner may have
    /// none.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(bits(OFlags::PATH));
            let file = self.dir.open_with(path, &options)?;
            match super::set_mode_by_path(&file, mode) {
                // No /proc here.
                Err(error)
                    if matches!(
                        Errno::from_io_error(&error),
                        Some(Errno::NOENT | Errno::NOTDIR)
                    ) => {}
                result => return result,
            }
        }
        open::set_attrs(&self.open_existing(path, false)?, &Attrs::with_mode(mode))
    }

    fn set_one(&self, path: &Path, attrs: &Attrs) -> io::Result<()> {
        if let Some(size) = attrs.size {
            self.open_existing(path, true)?.set_len(size)?;
        }
        if let Some(permissions) = attrs.permissions {
            self.set_mode(path, permissions.mode())?;
        }
        if attrs.times.is_some() || attrs.owner.is_some() {
            let (dir, name) = self.target(path)?;
            let rest = Attrs { size: None, permissions: None, ..*attrs };
            set_entry_attrs(dir, &name, &rest)?;
        }
        Ok(())
    }

    /// As [`Self::entry`], and the root itself is there as well.
    fn entry_or_root(&self, path: &Path) -> io::Result<(Dir, OsString)> {
        if path == Path::new(".") {
            return Ok((self.dir.try_clone()?, OsString::from(".")));
        }
        self.entry(path)
    }

    fn absolute(&self, path: &Path) -> io::Result<PathBuf> {
        match self.dir.canonicalize(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = path.file_name().ok_or(Errno::NOENT)?;
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                Ok(self.dir.canonicalize(parent.unwrap_or(Path::new(".")))?.join(name))
            }
            result => result,
        }
    }

    fn rename_exclusively(&self, old: &Path, new: &Path) -> io::Result<()> {
        let (from, name) = self.entry(old)?;
        let (to, new_name) = self.entry(new)?;
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(&from, &name, &to, &new_name, flags) {
                // Not every file system can.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                result => return Ok(result?),
            }
        }
        match to.symlink_metadata(&new_name) {
            Ok(_) => Err(Errno::EXIST.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                from.rename(name, &to, new_name)
            }
            Err(error) => Err(error),
        }
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Root").field(&self.dir).finish()
    }
}

/// What a client's path means beneath the root: relative, and without the `..` that would lead
/// above it, as `/..` is `/` everywhere. A `..` behind another component is left to the system,
/// which knows whether that is a link.
fn beneath(path: &[u8]) -> PathBuf {
    let mut clean = PathBuf::new();
    let mut depth: usize = 0;
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => {
                if let Some(less) = depth.checked_sub(1) {
                    depth = less;
                    clean.push("..");
                }
            }
            name => {
                depth = depth.saturating_add(1);
                clean.push(OsStr::from_bytes(name));
            }
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

fn bits(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn attrs(metadata: &Metadata) -> Attrs {
    super::attrs(
        metadata.size(),
        metadata.mode(),
        (metadata.uid(), metadata.gid()),
        (metadata.atime(), metadata.mtime()),
    )
}

impl FileSystem for Root {
    type File = File;
    type Dir = ReadDir;

    fn open(&mut self, path: &[u8], flags: OpenFlags, mode: u32) -> Result<File, StatusCode> {
        self.open_file(&beneath(path), flags, mode).map_err(status)
    }

    fn read_at(
        &mut self,
        file: &mut File,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, StatusCode> {
        open::read_at(file, offset, buf).map_err(status)
    }

    fn write_at(&mut self, file: &mut File, offset: u64, data: &[u8]) -> Result<(), StatusCode> {
        file.write_all_at(data, offset).map_err(status)
    }

    fn file_attrs(&mut self, file: &mut File) -> Result<Attrs, StatusCode> {
        open::attrs(file).map_err(status)
    }

    fn set_file_attrs(&mut self, file: &mut File, attrs: &Attrs) -> Result<(), StatusCode> {
        open::set_attrs(file, attrs).map_err(status)
    }

    fn sync(&mut self, file: &mut File) -> Result<(), StatusCode> {
        file.sync_all().map_err(status)
    }

    fn close(&mut self, file: File) -> Result<(), StatusCode> {
        drop(file);
        Ok(())
    }

    fn file_stat_vfs(&mut self, file: &mut File) -> Result<StatVfs, StatusCode> {
        open::stat_vfs(file).map_err(status)
    }

    fn copy(
        &mut self,
        from: (&mut File, u64),
        len: Option<u64>,
        to: (&mut File, u64),
    ) -> Result<u64, StatusCode> {
        open::copy((from.0, from.1), len, (to.0, to.1), &self.stop).map_err(status)
    }

    fn user_name(&mut self, uid: u32) -> Option<Vec<u8>> {
        self.names.user(uid)
    }

    fn group_name(&mut self, gid: u32) -> Option<Vec<u8>> {
        self.names.group(gid)
    }

    fn now(&mut self) -> u32 {
        now()
    }

    fn open_dir(&mut self, path: &[u8]) -> Result<ReadDir, StatusCode> {
        self.dir.read_dir(beneath(path)).map_err(status)
    }

    fn read_dir(&mut self, dir: &mut ReadDir) -> Result<Option<DirEntry>, StatusCode> {
        for entry in dir.by_ref() {
            let entry = entry.map_err(status)?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(status(error)),
            };
            let name = entry.file_name().into_vec();
            return Ok(Some(DirEntry { name, attrs: attrs(&metadata), links: metadata.nlink() }));
        }
        Ok(None)
    }

    fn stat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode> {
        self.dir.metadata(beneath(path)).map(|metadata| attrs(&metadata)).map_err(status)
    }

    fn lstat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode> {
        self.dir.symlink_metadata(beneath(path)).map(|metadata| attrs(&metadata)).map_err(status)
    }

    fn set_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode> {
        self.set_one(&beneath(path), attrs).map_err(status)
    }

    fn remove(&mut self, path: &[u8]) -> Result<(), StatusCode> {
        self.dir.remove_file(beneath(path)).map_err(status)
    }

    fn make_dir(&mut self, path: &[u8], mode: u32) -> Result<(), StatusCode> {
        let mut builder = DirBuilder::new();
        builder.mode(mode);
        self.dir.create_dir_with(beneath(path), &builder).map_err(status)
    }

    fn remove_dir(&mut self, path: &[u8]) -> Result<(), StatusCode> {
        self.dir.remove_dir(beneath(path)).map_err(status)
    }

    fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode> {
        let path = self.absolute(&beneath(path)).map_err(status)?;
        let path: PathBuf = path.components().filter(|c| *c != Component::CurDir).collect();
        Ok([b"/", path.as_os_str().as_bytes()].concat())
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        self.rename_exclusively(&beneath(old), &beneath(new)).map_err(status)
    }

    fn posix_rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        self.dir.rename(beneath(old), &self.dir, beneath(new)).map_err(status)
    }

    fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode> {
        let target = self.dir.read_link_contents(beneath(path)).map_err(status)?;
        Ok(target.into_os_string().into_vec())
    }

    fn symlink(&mut self, target: &[u8], link: &[u8]) -> Result<(), StatusCode> {
        self.dir.symlink_contents(OsStr::from_bytes(target), beneath(link)).map_err(status)
    }

    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        self.dir.hard_link(beneath(old), &self.dir, beneath(new)).map_err(status)
    }

    fn stat_vfs(&mut self, path: &[u8]) -> Result<StatVfs, StatusCode> {
        let path = beneath(path);
        let stat = || match self.dir.open_dir(&path) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::NOTDIR) => {
                let (dir, _) = self.target(&path)?;
                open::stat_vfs(dir)
            }
            dir => open::stat_vfs(dir?),
        };
        stat().map_err(status)
    }

    fn set_link_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode> {
        let (dir, name) = self.entry_or_root(&beneath(path)).map_err(status)?;
        set_entry_attrs(dir, &name, attrs).map_err(status)
    }

    /// The client is at home in the root; where others are at home is not beneath it.
    fn home(&mut self, user: &[u8]) -> Option<Vec<u8>> {
        user.is_empty().then(|| b"/".to_vec())
    }
}

#[cfg(test)]
mod tests;
