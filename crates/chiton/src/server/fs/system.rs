//! The files of the machine.

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, ReadDir},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{DirBuilderExt, FileExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags},
    io::Errno,
};
use sftp::{
    Attrs, OpenFlags, StatusCode,
    extension::StatVfs,
    server::{DirEntry, FileSystem},
};

use super::{
    ids::{self, Names},
    now,
    open::{self, Stop},
    open_flags, set_entry_attrs, set_entry_mode, status,
};

/// Everything that the user of the process may see and do, as OpenSSH's `sftp-server` serves it.
/// Nothing is confined: `..` and links lead wherever they lead.
#[derive(Debug)]
pub struct System {
    start: PathBuf,
    names: Names,
    stop: Stop,
}

impl System {
    /// Relative paths begin at the directory `start`, an absolute path.
    #[must_use]
    pub fn new(start: impl Into<PathBuf>) -> Self {
        Self { start: start.into(), names: Names::default(), stop: Stop::default() }
    }

    /// What ends a long copy.
    #[must_use]
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    fn path(&self, path: &[u8]) -> PathBuf {
        self.start.join(OsStr::from_bytes(path))
    }

    fn set_one(path: &Path, attrs: &Attrs) -> io::Result<()> {
        if let Some(size) = attrs.size {
            let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            File::from(rustix::fs::open(path, flags, Mode::empty())?).set_len(size)?;
        }
        if let Some(permissions) = attrs.permissions {
            set_entry_mode(CWD, path.canonicalize()?.as_os_str(), permissions.mode())?;
        }
        if attrs.times.is_some() || attrs.owner.is_some() {
            let rest = Attrs { size: None, permissions: None, ..*attrs };
            set_entry_attrs(CWD, path.canonicalize()?.as_os_str(), &rest)?;
        }
        Ok(())
    }

    fn rename_exclusively(old: &Path, new: &Path) -> io::Result<()> {
        #[cfg(any(target_os = "linux", target_os = "macos"))]
        {
            let flags = rustix::fs::RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(CWD, old, CWD, new, flags) {
                // Not every file system can.
                Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
                result => return Ok(result?),
            }
        }
        match fs::symlink_metadata(new) {
            Ok(_) => Err(Errno::EXIST.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::rename(old, new),
            Err(error) => Err(error),
        }
    }

    fn absolute(path: &Path) -> io::Result<PathBuf> {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = path.file_name().ok_or(Errno::NOENT)?;
                let parent = path.parent().ok_or(Errno::NOENT)?;
                Ok(parent.canonicalize()?.join(name))
            }
            result => result,
        }
    }
}

impl FileSystem for System {
    type File = File;
    type Dir = (ReadDir, Dots);

    fn open(&mut self, path: &[u8], flags: OpenFlags, mode: u32) -> Result<File, StatusCode> {
        let access = match (flags.contains(OpenFlags::READ), flags.writable()) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        let flags = open_flags(flags) | access | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode & 0o7777);
        let file = rustix::fs::open(self.path(path), flags, mode);
        file.map(File::from).map_err(|error| status(error.into()))
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

    fn open_dir(&mut self, path: &[u8]) -> Result<Self::Dir, StatusCode> {
        let path = self.path(path);
        let list = fs::read_dir(&path).map_err(status)?;
        Ok((list, Dots { dir: path, left: [".", ".."].iter() }))
    }

    fn read_dir(&mut self, (list, dots): &mut Self::Dir) -> Result<Option<DirEntry>, StatusCode> {
        let entry = |name: Vec<u8>, metadata: &fs::Metadata| DirEntry {
            name,
            attrs: open::attrs_of(metadata),
            links: metadata.nlink(),
        };
        // The standard library lists neither, and OpenSSH's server does.
        for name in dots.left.by_ref() {
            if let Ok(metadata) = fs::symlink_metadata(dots.dir.join(name)) {
                return Ok(Some(entry(name.as_bytes().to_vec(), &metadata)));
            }
        }
        for listed in list.by_ref() {
            let listed = listed.map_err(status)?;
            // What has been removed since it was listed is left out.
            if let Ok(metadata) = listed.metadata() {
                return Ok(Some(entry(listed.file_name().into_vec(), &metadata)));
            }
        }
        Ok(None)
    }

    fn stat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode> {
        fs::metadata(self.path(path)).map(|found| open::attrs_of(&found)).map_err(status)
    }

    fn lstat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode> {
        fs::symlink_metadata(self.path(path)).map(|found| open::attrs_of(&found)).map_err(status)
    }

    fn set_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode> {
        Self::set_one(&self.path(path), attrs).map_err(status)
    }

    fn set_link_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode> {
        set_entry_attrs(CWD, self.path(path).as_os_str(), attrs).map_err(status)
    }

    fn remove(&mut self, path: &[u8]) -> Result<(), StatusCode> {
        fs::remove_file(self.path(path)).map_err(status)
    }

    fn make_dir(&mut self, path: &[u8], mode: u32) -> Result<(), StatusCode> {
        DirBuilder::new().mode(mode).create(self.path(path)).map_err(status)
    }

    fn remove_dir(&mut self, path: &[u8]) -> Result<(), StatusCode> {
        fs::remove_dir(self.path(path)).map_err(status)
    }

    fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode> {
        let path = Self::absolute(&self.path(path)).map_err(status)?;
        Ok(path.into_os_string().into_vec())
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        Self::rename_exclusively(&self.path(old), &self.path(new)).map_err(status)
    }

    fn posix_rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        fs::rename(self.path(old), self.path(new)).map_err(status)
    }

    fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode> {
        let target = fs::read_link(self.path(path)).map_err(status)?;
        Ok(target.into_os_string().into_vec())
    }

    fn symlink(&mut self, target: &[u8], link: &[u8]) -> Result<(), StatusCode> {
        std::os::unix::fs::symlink(OsStr::from_bytes(target), self.path(link)).map_err(status)
    }

    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        fs::hard_link(self.path(old), self.path(new)).map_err(status)
    }

    fn stat_vfs(&mut self, path: &[u8]) -> Result<StatVfs, StatusCode> {
        open::stat_vfs_at(&self.path(path)).map_err(status)
    }

    fn home(&mut self, user: &[u8]) -> Option<Vec<u8>> {
        ids::home(user)
    }
}

/// `.` and `..` of a directory, as far as they have not been listed.
#[derive(Debug)]
pub struct Dots {
    dir: PathBuf,
    left: core::slice::Iter<'static, &'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const READ: OpenFlags = OpenFlags::READ;
    const WRITE: OpenFlags = OpenFlags::WRITE;

    fn world() -> (tempfile::TempDir, System) {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("dir")).unwrap();
        fs::write(temp.path().join("file"), b"content").unwrap();
        let system = System::new(temp.path());
        (temp, system)
    }

    fn read(system: &mut System, path: &[u8]) -> Result<Vec<u8>, StatusCode> {
        let mut file = system.open(path, READ, 0)?;
        let mut buf = [0; 64];
        let n = system.read_at(&mut file, 0, &mut buf)?;
        Ok(buf[..n].to_vec())
    }

    #[test]
    fn paths_mean_what_they_mean_on_the_machine() {
        let (temp, mut system) = world();
        let whole = temp.path().canonicalize().unwrap().into_os_string().into_vec();
        assert_eq!(system.real_path(b".").unwrap(), whole);
        assert_eq!(system.real_path(b"dir/../new").unwrap(), [&whole[..], b"/new"].concat());
        assert_eq!(system.real_path(b"no/new"), Err(StatusCode::NoSuchFile));
        symlink(temp.path().join("file"), temp.path().join("dir/link")).unwrap();
        assert_eq!(read(&mut system, b"dir/link").unwrap(), b"content");
        assert_eq!(read(&mut system, &[&whole[..], b"/file"].concat()).unwrap(), b"content");
        assert!(system.stat(b"/etc/passwd").unwrap().is_file());
        assert_eq!(system.home(b"root").as_deref(), Some(&b"/root"[..]));
        assert_eq!(system.home(b"no such user"), None);
    }

    #[test]
    fn listings_have_the_dots_as_those_of_openssh() {
        let (_temp, mut system) = world();
        let mut dir = system.open_dir(b".").unwrap();
        let mut names = Vec::new();
        while let Some(entry) = system.read_dir(&mut dir).unwrap() {
            assert_eq!(entry.attrs.is_dir(), entry.name != b"file");
            names.push(entry.name);
        }
        names.sort();
        assert_eq!(names, [&b"."[..], b"..", b"dir", b"file"]);
        assert_eq!(system.open_dir(b"file").err(), Some(StatusCode::NoSuchFile));
    }

    #[test]
    fn links_are_followed_or_not_as_the_request_says() {
        let (temp, mut system) = world();
        system.symlink(b"file", b"link").unwrap();
        let times = |n| Attrs {
            times: Some(sftp::attrs::Times { accessed: n, modified: n }),
            ..Attrs::NONE
        };
        system.set_attrs(b"link", &Attrs::with_mode(0o640)).unwrap();
        system.set_attrs(b"link", &Attrs::with_size(3)).unwrap();
        system.set_attrs(b"link", &times(1)).unwrap();
        assert!(system.set_link_attrs(b"link", &Attrs::with_mode(0)).is_err());
        let (file, link) = (system.stat(b"link").unwrap(), system.lstat(b"link").unwrap());
        assert_eq!((file.size, file.permissions.unwrap().mode()), (Some(3), 0o640));
        assert_eq!((file.times, link.size), (times(1).times, Some(4)));
        system.set_link_attrs(b"link", &times(2)).unwrap();
        assert_eq!(system.lstat(b"link").unwrap().times, times(2).times);
        assert_eq!(system.stat(b"link").unwrap().times, times(1).times);
        assert_eq!(system.read_link(b"link").unwrap(), b"file");
        assert_eq!(system.read_link(b"file"), Err(StatusCode::BadMessage));
        system.remove(b"link").unwrap();
        assert!(temp.path().join("file").exists());
    }

    #[test]
    fn renaming_replaces_only_where_it_should() {
        let (_temp, mut system) = world();
        drop(system.open(b"other", WRITE | OpenFlags::CREATE, 0o600).unwrap());
        assert_eq!(system.rename(b"file", b"other"), Err(StatusCode::Failure));
        assert_eq!(system.hard_link(b"file", b"other"), Err(StatusCode::Failure));
        system.posix_rename(b"file", b"other").unwrap();
        assert_eq!(read(&mut system, b"other").unwrap(), b"content");
        system.make_dir(b"made", 0o700).unwrap();
        system.rename(b"other", b"made/moved").unwrap();
        system.hard_link(b"made/moved", b"again").unwrap();
        assert_eq!(system.remove_dir(b"made"), Err(StatusCode::Failure));
        assert_eq!(system.stat(b"made").unwrap().permissions.unwrap().mode(), 0o700);
        assert!(system.stat_vfs(b"again").unwrap().blocks > 0);
    }

    #[test]
    fn the_flags_of_an_open_are_independent() {
        let (_temp, mut system) = world();
        assert!(system.open(b"file", WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE, 0).is_err());
        let mut file = system.open(b"file", READ | WRITE | OpenFlags::APPEND, 0).unwrap();
        system.write_at(&mut file, 0, b"!").unwrap();
        assert_eq!(read(&mut system, b"file").unwrap(), b"content!");
        drop(system.open(b"file", WRITE | OpenFlags::TRUNCATE, 0).unwrap());
        assert_eq!(read(&mut system, b"file").unwrap(), b"");
        assert_eq!(system.open(b"none", READ, 0).err(), Some(StatusCode::NoSuchFile));
        assert_eq!(system.open(b"dir", WRITE, 0).err(), Some(StatusCode::Failure));
    }
}
