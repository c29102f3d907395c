//! The files that an SFTP client gets to see: one directory and what is beneath it.
//!
//! The client's `/` is the root directory given, and there is no way out of it: every path is
//! resolved beneath an open directory (`openat2` with `RESOLVE_BENEATH` where the system has it,
//! component by component where not), so neither `..` nor a link, absolute or relative, leads
//! elsewhere, and neither does one that is swapped in between two steps. A link that points out
//! can be seen, read and removed; following it is refused.
//!
//! Nothing here waits for another program: a FIFO is opened without blocking.

use core::fmt;
use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Component, Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use cap_std::{
    ambient_authority,
    fs::{
        Dir, DirBuilder, DirBuilderExt, File, FileExt, Metadata, MetadataExt, OpenOptions,
        OpenOptionsExt, Permissions, PermissionsExt, ReadDir,
    },
};
use rustix::{
    fs::{AtFlags, OFlags, Timespec, Timestamps},
    io::Errno,
};
use sftp::{
    Attrs, OpenFlags, Permissions as Mode, StatusCode,
    attrs::{Owner, Times},
    extension::StatVfs,
    server::{DirEntry, FileSystem},
};

/// A directory, served as the whole world.
pub struct Root {
    dir: Dir,
}

impl Root {
    /// Opens the directory at `path`, of the machine's own file system.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self { dir: Dir::open_ambient_dir(path, ambient_authority())? })
    }

    /// Another handle on the same directory, for another session.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { dir: self.dir.try_clone()? })
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
        // The flags are independent of each other, as they are for `open(2)`; the options of the
        // standard library have rules of their own.
        let mut custom = OFlags::NONBLOCK | OFlags::NOCTTY;
        for (flag, custom_flag) in [
            (OpenFlags::CREATE, OFlags::CREATE),
            (OpenFlags::TRUNCATE, OFlags::TRUNC),
            (OpenFlags::EXCLUSIVE, OFlags::EXCL),
            (OpenFlags::APPEND, OFlags::APPEND),
        ] {
            if flags.contains(flag) {
                custom |= custom_flag;
            }
        }
        if !flags.contains(OpenFlags::CREATE) {
            // Without O_CREAT its effect is undefined.
            custom.remove(OFlags::EXCL);
        }
        let mut options = OpenOptions::new();
        options.read(flags.readable() || flags.contains(OpenFlags::READ));
        options.write(flags.writable());
        options.mode(mode).custom_flags(custom_flags(custom));
        self.dir.open_with(path, &options)
    }

    /// Opens what is there to ask or change something, not to read it. Never blocks.
    fn open_existing(&self, path: &Path, write: bool) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(!write).write(write);
        options.custom_flags(custom_flags(OFlags::NONBLOCK | OFlags::NOCTTY));
        self.dir.open_with(path, &options)
    }

    /// On Linux through a descriptor that needs no permission on the file: its owner may have
    /// none.
    fn set_mode(&self, path: &Path, mode: u32) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        {
            let mut options = OpenOptions::new();
            options.read(true).custom_flags(custom_flags(OFlags::PATH));
            let file = self.dir.open_with(path, &options)?;
            let link = format!("/proc/self/fd/{}", file.as_raw_fd());
            match rustix::fs::chmod(link, rustix::fs::Mode::from_raw_mode(mode)) {
                // No /proc here.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                result => return Ok(result?),
            }
        }
        self.open_existing(path, false)?.set_permissions(Permissions::from_mode(mode))
    }

    fn set_one(&self, path: &Path, attrs: &Attrs) -> io::Result<()> {
        if let Some(size) = attrs.size {
            self.open_existing(path, true)?.set_len(size)?;
        }
        if let Some(permissions) = attrs.permissions {
            self.set_mode(path, permissions.mode())?;
        }
        if let Some(times) = attrs.times {
            let (dir, name) = self.target(path)?;
            rustix::fs::utimensat(dir, name, &timestamps(times), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        if let Some(Owner { uid, gid }) = attrs.owner {
            let (dir, name) = self.target(path)?;
            let (uid, gid) = owner(uid, gid);
            rustix::fs::chownat(dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
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

fn custom_flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

fn owner(uid: u32, gid: u32) -> (Option<rustix::fs::Uid>, Option<rustix::fs::Gid>) {
    // The number with all bits set means "as it is" to the system.
    let some = |id: u32| (id != u32::MAX).then_some(id);
    (some(uid).map(rustix::fs::Uid::from_raw), some(gid).map(rustix::fs::Gid::from_raw))
}

fn timestamps(times: Times) -> Timestamps {
    let time = |seconds| Timespec { tv_sec: i64::from(seconds), tv_nsec: 0 };
    Timestamps { last_access: time(times.accessed), last_modification: time(times.modified) }
}

fn attrs(metadata: &Metadata) -> Attrs {
    // Times before 1970 and after 2106 have no number in version 3.
    let time = |seconds: i64| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
    Attrs {
        size: Some(metadata.size()),
        owner: Some(Owner { uid: metadata.uid(), gid: metadata.gid() }),
        permissions: Some(Mode::from_bits(metadata.mode())),
        times: Some(Times { accessed: time(metadata.atime()), modified: time(metadata.mtime()) }),
    }
}

fn stat_vfs(file: impl AsFd) -> io::Result<StatVfs> {
    let stat = rustix::fs::fstatvfs(file)?;
    let flag = |flag, bit| if stat.f_flag.contains(flag) { bit } else { 0 };
    Ok(StatVfs {
        block_size: stat.f_bsize,
        fragment_size: stat.f_frsize,
        blocks: stat.f_blocks,
        blocks_free: stat.f_bfree,
        blocks_available: stat.f_bavail,
        files: stat.f_files,
        files_free: stat.f_ffree,
        files_available: stat.f_favail,
        id: stat.f_fsid,
        flags: flag(rustix::fs::StatVfsMountFlags::RDONLY, StatVfs::READ_ONLY)
            | flag(rustix::fs::StatVfsMountFlags::NOSUID, StatVfs::NO_SETUID),
        max_name_len: stat.f_namemax,
    })
}

/// The code for an error: the table of [`StatusCode`].
fn status(error: io::Error) -> StatusCode {
    match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::BADF | Errno::LOOP) => StatusCode::NoSuchFile,
        Some(Errno::PERM | Errno::ACCESS | Errno::FAULT) => StatusCode::PermissionDenied,
        Some(Errno::NAMETOOLONG | Errno::INVAL) => StatusCode::BadMessage,
        Some(Errno::NOSYS) => StatusCode::OpUnsupported,
        Some(_) => StatusCode::Failure,
        // Not from the system: a path that leads out.
        None if error.kind() == io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        None => StatusCode::Failure,
    }
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
        loop {
            match file.read_at(buf, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(status),
            }
        }
    }

    fn write_at(&mut self, file: &mut File, offset: u64, data: &[u8]) -> Result<(), StatusCode> {
        file.write_all_at(data, offset).map_err(status)
    }

    fn file_attrs(&mut self, file: &mut File) -> Result<Attrs, StatusCode> {
        file.metadata().map(|metadata| attrs(&metadata)).map_err(status)
    }

    fn set_file_attrs(&mut self, file: &mut File, attrs: &Attrs) -> Result<(), StatusCode> {
        let set = || -> io::Result<()> {
            if let Some(size) = attrs.size {
                file.set_len(size)?;
            }
            if let Some(permissions) = attrs.permissions {
                file.set_permissions(Permissions::from_mode(permissions.mode()))?;
            }
            if let Some(times) = attrs.times {
                rustix::fs::futimens(&*file, &timestamps(times))?;
            }
            if let Some(Owner { uid, gid }) = attrs.owner {
                let (uid, gid) = owner(uid, gid);
                rustix::fs::fchown(&*file, uid, gid)?;
            }
            Ok(())
        };
        set().map_err(status)
    }

    fn sync(&mut self, file: &mut File) -> Result<(), StatusCode> {
        file.sync_all().map_err(status)
    }

    fn close(&mut self, file: File) -> Result<(), StatusCode> {
        drop(file);
        Ok(())
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
                stat_vfs(dir)
            }
            dir => stat_vfs(dir?),
        };
        stat().map_err(status)
    }

    fn file_stat_vfs(&mut self, file: &mut File) -> Result<StatVfs, StatusCode> {
        stat_vfs(file).map_err(status)
    }

    fn now(&mut self) -> u32 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};
    use tempfile::TempDir;

    /// `outside` beside the root, with a secret in it, and a root with a file and a directory.
    fn world() -> (TempDir, Root) {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path().join("root");
        fs::create_dir_all(root.join("dir/inner")).unwrap();
        fs::create_dir(temp.path().join("outside")).unwrap();
        fs::write(temp.path().join("outside/secret"), b"secret").unwrap();
        fs::write(root.join("file"), b"content").unwrap();
        let root = Root::open(root).unwrap();
        (temp, root)
    }

    const READ: OpenFlags = OpenFlags::READ;
    const WRITE: OpenFlags = OpenFlags::WRITE;
    const CREATE: OpenFlags = OpenFlags::CREATE;

    fn read(root: &mut Root, path: &str) -> Result<Vec<u8>, StatusCode> {
        let mut file = root.open(path.as_bytes(), READ, 0)?;
        let mut buf = [0; 64];
        let n = root.read_at(&mut file, 0, &mut buf)?;
        Ok(buf[..n].to_vec())
    }

    fn names(root: &mut Root, path: &str) -> Vec<String> {
        let mut dir = root.open_dir(path.as_bytes()).unwrap();
        let mut names = Vec::new();
        while let Some(entry) = root.read_dir(&mut dir).unwrap() {
            names.push(String::from_utf8(entry.name).unwrap());
        }
        names.sort();
        names
    }

    #[test]
    fn the_root_is_the_root_however_it_is_spelled() {
        let (_temp, mut root) = world();
        for path in
            ["/", ".", "/..", "../../..", "/dir/..", "dir/../..", "//", "./dir/../../dir/.."]
        {
            assert_eq!(root.real_path(path.as_bytes()).unwrap(), b"/", "{path}");
            assert_eq!(names(&mut root, path), ["dir", "file"], "{path}");
        }
        for path in ["file", "/file", "/../file", "/../../../file", "dir/inner/../../file"] {
            assert_eq!(read(&mut root, path).unwrap(), b"content", "{path}");
        }
        assert_eq!(root.real_path(b"dir/./inner/").unwrap(), b"/dir/inner");
        assert_eq!(root.real_path(b"dir/new").unwrap(), b"/dir/new");
        assert_eq!(root.real_path(b"new").unwrap(), b"/new");
        assert_eq!(root.real_path(b"no/new"), Err(StatusCode::NoSuchFile));
    }

    /// Everything that can be done to a path, done to a path that leads out.
    fn nothing_happens_through(temp: &TempDir, root: &mut Root, path: &str, what: &str) {
        let p = path.as_bytes();
        let before = fs::metadata(temp.path().join("outside/secret")).unwrap();
        assert!(read(root, path).is_err(), "{what}: read");
        for flags in [WRITE, WRITE | CREATE, WRITE | CREATE | OpenFlags::TRUNCATE] {
            assert!(root.open(p, flags, 0o644).is_err(), "{what}: open {flags:?}");
        }
        assert!(root.stat(p).is_err(), "{what}: stat");
        assert!(root.stat_vfs(p).is_err(), "{what}: statvfs");
        assert!(root.real_path(p).is_err(), "{what}: real path");
        for attrs in [
            Attrs::with_size(0),
            Attrs::with_mode(0o777),
            Attrs { times: Some(Times { accessed: 1, modified: 1 }), ..Attrs::NONE },
            Attrs { owner: Some(Owner { uid: 1, gid: 1 }), ..Attrs::NONE },
        ] {
            assert!(root.set_attrs(p, &attrs).is_err(), "{what}: {attrs:?}");
        }
        assert!(root.open_dir(p).is_err(), "{what}: open dir");
        assert!(root.make_dir(p, 0o777).is_err(), "{what}: make dir");
        assert!(root.remove_dir(p).is_err(), "{what}: remove dir");
        let after = fs::metadata(temp.path().join("outside/secret")).unwrap();
        assert_eq!(before.permissions(), after.permissions(), "{what}");
        assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "{what}");
        assert_eq!(fs::read(temp.path().join("outside/secret")).unwrap(), b"secret", "{what}");
    }

    #[test]
    fn no_link_leads_out() {
        let (temp, mut root) = world();
        let absolute = temp.path().join("outside/secret");
        let inside = temp.path().join("root");
        symlink(&absolute, inside.join("absolute")).unwrap();
        symlink("../outside/secret", inside.join("relative")).unwrap();
        symlink("dir/inner/../../../outside/secret", inside.join("winding")).unwrap();
        symlink("relative", inside.join("twice")).unwrap();
        for path in ["absolute", "relative", "winding", "twice", "/dir/../relative"] {
            nothing_happens_through(&temp, &mut root, path, path);
        }
        // A link to a directory on the way is no way either, for the last component included.
        symlink("../outside", inside.join("away")).unwrap();
        symlink(temp.path().join("outside"), inside.join("dir/away")).unwrap();
        for path in ["away/secret", "dir/away/secret", "away/../outside/secret", "away/new"] {
            nothing_happens_through(&temp, &mut root, path, path);
            let p = path.as_bytes();
            assert!(root.lstat(p).is_err() && root.read_link(p).is_err(), "{path}");
            assert!(root.remove(p).is_err(), "{path}");
            assert!(root.symlink(b"x", p).is_err(), "{path}");
            for (old, new) in [(&b"file"[..], p), (p, &b"taken"[..])] {
                assert!(root.rename(old, new).is_err(), "{path}");
                assert!(root.posix_rename(old, new).is_err(), "{path}");
                assert!(root.hard_link(old, new).is_err(), "{path}");
            }
        }
        assert_eq!(fs::read_dir(temp.path().join("outside")).unwrap().count(), 1);
        assert_eq!(read(&mut root, "file").unwrap(), b"content");
    }

    #[test]
    fn a_link_that_leads_out_can_be_seen_and_removed() {
        let (temp, mut root) = world();
        root.symlink(b"/etc/passwd", b"link").unwrap();
        assert_eq!(root.read_link(b"link").unwrap(), b"/etc/passwd");
        assert!(root.lstat(b"link").unwrap().is_symlink());
        assert_eq!(root.stat(b"link"), Err(StatusCode::PermissionDenied));
        root.rename(b"link", b"dir/other").unwrap();
        root.remove(b"dir/other").unwrap();
        assert!(!temp.path().join("root/dir/other").is_symlink());
    }

    #[test]
    fn links_inside_are_followed() {
        let (_temp, mut root) = world();
        root.symlink(b"../file", b"dir/link").unwrap();
        assert_eq!(read(&mut root, "dir/link").unwrap(), b"content");
        assert_eq!(root.real_path(b"dir/link").unwrap(), b"/file");
        root.set_attrs(b"dir/link", &Attrs::with_mode(0o640)).unwrap();
        assert_eq!(root.stat(b"file").unwrap().permissions.unwrap().mode(), 0o640);
        assert!(root.stat_vfs(b"dir/link").unwrap().blocks > 0);
    }

    #[test]
    fn files_are_written_where_the_client_says() {
        let (_temp, mut root) = world();
        let mut file = root.open(b"new", WRITE | CREATE | OpenFlags::EXCLUSIVE, 0o600).unwrap();
        root.write_at(&mut file, 4, b"late").unwrap();
        root.write_at(&mut file, 0, b"soon").unwrap();
        root.sync(&mut file).unwrap();
        assert_eq!(root.file_attrs(&mut file).unwrap().size, Some(8));
        root.close(file).unwrap();
        assert_eq!(read(&mut root, "new").unwrap(), b"soonlate");
        assert_eq!(root.stat(b"new").unwrap().permissions.unwrap().mode(), 0o600);
        let again = root.open(b"new", WRITE | CREATE | OpenFlags::EXCLUSIVE, 0o600);
        assert_eq!(again.err(), Some(StatusCode::Failure));
        let mut file = root.open(b"new", WRITE | OpenFlags::APPEND, 0).unwrap();
        root.write_at(&mut file, 0, b"!").unwrap();
        assert_eq!(read(&mut root, "new").unwrap(), b"soonlate!");
        // Each flag by itself, as with OpenSSH's server.
        drop(root.open(b"new", WRITE | OpenFlags::TRUNCATE, 0).unwrap());
        assert_eq!(read(&mut root, "new").unwrap(), b"");
        drop(root.open(b"made", READ | CREATE, 0o644).unwrap());
        assert_eq!(read(&mut root, "made").unwrap(), b"");
        assert_eq!(root.open(b"nothing", READ, 0).err(), Some(StatusCode::NoSuchFile));
    }

    #[test]
    fn attributes_of_files_are_set_one_by_one() {
        let (_temp, mut root) = world();
        let times = Attrs { times: Some(Times { accessed: 7, modified: 8 }), ..Attrs::NONE };
        root.set_attrs(b"file", &times).unwrap();
        root.set_attrs(b"file", &Attrs::with_size(3)).unwrap();
        root.set_attrs(b"file", &Attrs::with_mode(0o400)).unwrap();
        let found = root.stat(b"file").unwrap();
        assert_eq!((found.size, found.times.unwrap().accessed), (Some(3), 7));
        // Whoever owns a file may change its mode without being allowed to read it.
        root.set_attrs(b"file", &Attrs::with_mode(0)).unwrap();
        root.set_attrs(b"file", &Attrs::with_mode(0o600)).unwrap();
        let mut file = root.open(b"file", WRITE, 0).unwrap();
        for attrs in [Attrs::with_size(1), Attrs::with_mode(0o644), times] {
            root.set_file_attrs(&mut file, &attrs).unwrap();
        }
        let Owner { uid, gid } = found.owner.unwrap();
        let mine = Attrs { owner: Some(Owner { uid, gid }), ..Attrs::NONE };
        root.set_file_attrs(&mut file, &mine).unwrap();
        root.set_attrs(b"file", &mine).unwrap();
        let found = root.stat(b"file").unwrap();
        assert_eq!((found.size, found.times.unwrap().modified), (Some(1), 8));
        assert_eq!(found.permissions.unwrap().mode(), 0o644);
    }

    #[test]
    fn renaming_replaces_only_where_it_should() {
        let (_temp, mut root) = world();
        drop(root.open(b"other", WRITE | CREATE, 0o600).unwrap());
        assert_eq!(root.rename(b"file", b"other"), Err(StatusCode::Failure));
        root.posix_rename(b"file", b"/other").unwrap();
        assert_eq!(read(&mut root, "other").unwrap(), b"content");
        root.rename(b"other", b"dir/inner/moved").unwrap();
        root.hard_link(b"dir/inner/moved", b"second").unwrap();
        assert_eq!(names(&mut root, "/"), ["dir", "second"]);
        assert_eq!(root.rename(b"nothing", b"x"), Err(StatusCode::NoSuchFile));
    }

    #[test]
    fn directories_are_made_listed_and_removed() {
        let (_temp, mut root) = world();
        root.make_dir(b"/made", 0o700).unwrap();
        assert_eq!(root.stat(b"made").unwrap().permissions.unwrap().mode(), 0o700);
        assert_eq!(root.make_dir(b"/made", 0o700), Err(StatusCode::Failure));
        assert_eq!(root.remove(b"made").err(), Some(StatusCode::Failure));
        root.remove_dir(b"made").unwrap();
        assert_eq!(root.remove_dir(b"dir"), Err(StatusCode::Failure));
        assert!(root.remove_dir(b"/").is_err() && root.remove(b"/").is_err());
        assert!(root.rename(b"/", b"x").is_err() && root.rename(b"file", b"/").is_err());
        let mut dir = root.open_dir(b"/").unwrap();
        while let Some(entry) = root.read_dir(&mut dir).unwrap() {
            assert_eq!(entry.attrs.is_dir(), entry.name == b"dir");
            assert!(entry.links > 0);
        }
    }

    /// Opening a FIFO must not make the server wait for its other end.
    #[test]
    fn a_fifo_holds_up_nobody() {
        let (temp, mut root) = world();
        let path = temp.path().join("root/fifo");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(read(&mut root, "fifo"), Err(StatusCode::Failure));
        assert!(root.open(b"fifo", WRITE, 0).is_err());
        root.set_attrs(b"fifo", &Attrs::with_mode(0o622)).unwrap();
        let times = Attrs { times: Some(Times { accessed: 1, modified: 1 }), ..Attrs::NONE };
        root.set_attrs(b"fifo", &times).unwrap();
        assert!(root.set_attrs(b"fifo", &Attrs::with_size(0)).is_err());
    }
}
