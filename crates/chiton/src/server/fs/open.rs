//! Open files: what is done with them does not depend on how they were found.

use core::sync::atomic::{AtomicBool, Ordering};
use std::{
    fs::{File, Permissions},
    io,
    os::{
        fd::AsFd,
        unix::fs::{FileExt, MetadataExt, PermissionsExt},
    },
    path::Path,
    sync::Arc,
};

use rustix::io::Errno;
use sftp::{Attrs, attrs::Owner, extension::StatVfs};

/// Copied in one go, in bytes: after each such piece it is looked whether to stop.
const COPY_PIECE: u64 = 8 * 1024 * 1024;

/// The buffer where the system cannot copy by itself.
const COPY_BUFFER: usize = 128 * 1024;

/// Ends what may take long: a client may ask to copy more than it waits for, and goes.
///
/// Clones are one; once stopped, it stays so.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Lets what is under way fail soon.
    pub fn stop(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(Errno::CANCELED.into()) } else { Ok(()) }
    }
}

pub(super) fn read_at(file: &File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read_at(buf, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

pub(super) fn attrs(file: &File) -> io::Result<Attrs> {
    file.metadata().map(|metadata| attrs_of(&metadata))
}

pub(super) fn attrs_of(metadata: &std::fs::Metadata) -> Attrs {
    super::attrs(
        metadata.size(),
        metadata.mode(),
        (metadata.uid(), metadata.gid()),
        (metadata.atime(), metadata.mtime()),
    )
}

/// Sets the one attribute that `attrs` has.
pub(super) fn set_attrs(file: &File, attrs: &Attrs) -> io::Result<()> {
    if let Some(size) = attrs.size {
        file.set_len(size)?;
    }
    if let Some(permissions) = attrs.permissions {
        file.set_permissions(Permissions::from_mode(permissions.mode()))?;
    }
    if let Some(times) = attrs.times {
        rustix::fs::futimens(file, &super::timestamps(times))?;
    }
    if let Some(Owner { uid, gid }) = attrs.owner {
        let (uid, gid) = super::owner(uid, gid);
        rustix::fs::fchown(file, uid, gid)?;
    }
    Ok(())
}

/// How full the file system of an open file or directory is.
pub(super) fn stat_vfs(file: impl AsFd) -> io::Result<StatVfs> {
    Ok(stat_vfs_of(&rustix::fs::fstatvfs(file)?))
}

/// How full the file system at a path is.
pub(super) fn stat_vfs_at(path: &Path) -> io::Result<StatVfs> {
    Ok(stat_vfs_of(&rustix::fs::statvfs(path)?))
}

fn stat_vfs_of(stat: &rustix::fs::StatVfs) -> StatVfs {
    let flag = |flag, bit| if stat.f_flag.contains(flag) { bit } else { 0 };
    StatVfs {
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
    }
}

/// Copies `len` bytes, or up to the end, and says how many: fewer only at the end of `from`.
pub(super) fn copy(
    from: (&File, u64),
    len: Option<u64>,
    to: (&File, u64),
    stop: &Stop,
) -> io::Result<u64> {
    let (source, target) = (from.0.metadata()?, to.0.metadata()?);
    if (source.dev(), source.ino()) == (target.dev(), target.ino()) {
        // Its end would move for ever.
        return Err(Errno::EXIST.into());
    }
    let mut copying = Copying { from, to, left: len, copied: 0 };
    copying.by_the_system(stop)?;
    copying.by_hand(stop)?;
    Ok(copying.copied)
}

struct Copying<'a> {
    from: (&'a File, u64),
    to: (&'a File, u64),
    /// Bytes still to copy; `None` for all.
    left: Option<u64>,
    copied: u64,
}

impl Copying<'_> {
    fn next_len(&self, most: u64) -> u64 {
        self.left.unwrap_or(most).min(most)
    }

    fn advance(&mut self, n: u64) {
        self.from.1 = self.from.1.saturating_add(n);
        self.to.1 = self.to.1.saturating_add(n);
        self.left = self.left.map(|left| left.saturating_sub(n));
        self.copied = self.copied.saturating_add(n);
    }

    /// As far as the system can copy by itself, perhaps by sharing blocks. What it cannot, and
    /// what it says is the end (which it says of every file in /proc), is left.
    #[cfg(target_os = "linux")]
    fn by_the_system(&mut self, stop: &Stop) -> io::Result<()> {
        loop {
            let len = usize::try_from(self.next_len(COPY_PIECE)).unwrap_or(usize::MAX);
            let (mut from, mut to) = (self.from.1, self.to.1);
            if len == 0 {
                return Ok(());
            }
            match rustix::fs::copy_file_range(
                self.from.0,
                Some(&mut from),
                self.to.0,
                Some(&mut to),
                len,
            ) {
                Ok(0) | Err(_) => return Ok(()),
                Ok(n) => self.advance(u64::try_from(n).unwrap_or(u64::MAX)),
            }
            stop.check()?;
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn by_the_system(&mut self, _stop: &Stop) -> io::Result<()> {
        Ok(())
    }

    fn by_hand(&mut self, stop: &Stop) -> io::Result<()> {
        let mut buf = vec![0; COPY_BUFFER];
        loop {
            let len = usize::try_from(self.next_len(COPY_PIECE)).unwrap_or(usize::MAX);
            let piece = buf.get_mut(..len.min(COPY_BUFFER)).unwrap_or_default();
            if piece.is_empty() {
                return Ok(());
            }
            let n = read_at(self.from.0, self.from.1, piece)?;
            if n == 0 {
                return Ok(());
            }
            self.to.0.write_all_at(piece.get(..n).unwrap_or_default(), self.to.1)?;
            self.advance(u64::try_from(n).unwrap_or(u64::MAX));
            stop.check()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};

    #[test]
    fn a_copy_has_what_was_asked_for_and_tells_how_much_that_was() {
        let temp = tempfile::tempdir().unwrap();
        let path = |name: &str| temp.path().join(name);
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        fs::write(path("from"), &content).unwrap();
        let from = File::open(path("from")).unwrap();
        let stop = Stop::default();
        let to = File::create(path("to")).unwrap();
        assert_eq!(copy((&from, 5), Some(100), (&to, 3), &stop).unwrap(), 100);
        let copied = fs::read(path("to")).unwrap();
        assert_eq!(copied, [&[0; 3], &content[5..105]].concat());
        assert_eq!(copy((&from, 0), None, (&to, 0), &stop).unwrap(), 1_200_000);
        assert_eq!(fs::read(path("to")).unwrap(), content);
        assert_eq!(copy((&from, 1_199_990), Some(100), (&to, 0), &stop).unwrap(), 10);
        assert_eq!(copy((&from, 1 << 40), None, (&to, 0), &stop).unwrap(), 0);
        // Where the system does not copy by itself: appending, and a file that has no size.
        let append = OpenOptions::new().append(true).open(path("to")).unwrap();
        assert_eq!(copy((&from, 0), Some(7), (&append, 0), &stop).unwrap(), 7);
        assert_eq!(fs::read(path("to")).unwrap()[1_200_000..], content[..7]);
        #[cfg(target_os = "linux")]
        {
            let version = File::open("/proc/version").unwrap();
            let n = copy((&version, 0), None, (&File::create(path("v")).unwrap(), 0), &stop);
            assert_eq!(
                n.unwrap(),
                u64::try_from(fs::read("/proc/version").unwrap().len()).unwrap()
            );
        }
    }

    #[test]
    fn no_file_is_copied_to_itself_and_no_copy_goes_on_for_nobody() {
        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("f"), b"content").unwrap();
        let one = File::open(temp.path().join("f")).unwrap();
        let two = OpenOptions::new().append(true).open(temp.path().join("f")).unwrap();
        let stop = Stop::default();
        let error = copy((&one, 0), None, (&two, 0), &stop).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::EXIST));
        let endless = File::open("/dev/zero").unwrap();
        let nowhere = OpenOptions::new().write(true).open("/dev/null").unwrap();
        stop.stop();
        let error = copy((&endless, 0), None, (&nowhere, 0), &stop).unwrap_err();
        assert_eq!(Errno::from_io_error(&error), Some(Errno::CANCELED));
    }
}
