//! The files that an SFTP client gets to see.
//!
//! - [`Root`]: one directory and what is beneath it, with no way out. What `Builder::sftp_root`
//!   serves.
//! - [`System`]: the files of the machine, as the user of the process may use them. What a program
//!   serves that stands for OpenSSH's `sftp-server`.
//!
//! They differ in how a path is found; what is done with an open file is the same (`open.rs`), and
//! so are the names of users and groups (`ids.rs`).

mod ids;
mod open;
mod root;
mod system;

pub use open::Stop;
pub use root::Root;
pub use system::System;

use std::{
    ffi::OsStr,
    io,
    os::fd::AsFd,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::{
    fs::{AtFlags, OFlags, Timespec, Timestamps},
    io::Errno,
};
use sftp::{
    Attrs, OpenFlags, StatusCode,
    attrs::{Owner, Times},
};

/// What `open(2)` gets for the flags of a client. They are independent of each other; the options
/// of the standard library have rules of their own. Opening a FIFO or a terminal holds up nobody.
fn open_flags(flags: OpenFlags) -> OFlags {
    let mut all = OFlags::NONBLOCK | OFlags::NOCTTY;
    for (flag, system) in [
        (OpenFlags::CREATE, OFlags::CREATE),
        (OpenFlags::TRUNCATE, OFlags::TRUNC),
        (OpenFlags::EXCLUSIVE, OFlags::EXCL),
        (OpenFlags::APPEND, OFlags::APPEND),
    ] {
        if flags.contains(flag) {
            all |= system;
        }
    }
    if !flags.contains(OpenFlags::CREATE) {
        // Without O_CREAT its effect is undefined.
        all.remove(OFlags::EXCL);
    }
    all
}

/// Sets the one attribute that `attrs` has, of the entry `name` of `dir`; of a link itself.
fn set_entry_attrs(dir: impl AsFd, name: &OsStr, attrs: &Attrs) -> io::Result<()> {
    if let Some(permissions) = attrs.permissions {
        set_entry_mode(&dir, name, permissions.mode())?;
    }
    if let Some(times) = attrs.times {
        rustix::fs::utimensat(&dir, name, &timestamps(times), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if let Some(Owner { uid, gid }) = attrs.owner {
        let (uid, gid) = owner(uid, gid);
        rustix::fs::chownat(&dir, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}

/// On Linux through a descriptor that needs no permission on the file: its owner may have none.
/// A link has no mode there.
#[cfg(target_os = "linux")]
fn set_entry_mode(dir: impl AsFd, name: &OsStr, mode: u32) -> io::Result<()> {
    use rustix::fs::{FileType, Mode};
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&dir, name, flags, Mode::empty())?;
    let found = FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode);
    if found == FileType::Symlink {
        return Err(Errno::NOTSUP.into());
    }
    set_mode_by_path(&file, mode)
}

#[cfg(not(target_os = "linux"))]
fn set_entry_mode(dir: impl AsFd, name: &OsStr, mode: u32) -> io::Result<()> {
    let mode = rustix::fs::Mode::from_raw_mode(mode.try_into().map_err(|_| Errno::INVAL)?);
    Ok(rustix::fs::chmodat(dir, name, mode, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Sets the mode of a file that was opened with `O_PATH`.
#[cfg(target_os = "linux")]
fn set_mode_by_path(file: impl AsFd, mode: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let link = format!("/proc/self/fd/{}", file.as_fd().as_raw_fd());
    Ok(rustix::fs::chmod(link, rustix::fs::Mode::from_raw_mode(mode))?)
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

/// Attributes from numbers of `stat(2)`.
fn attrs(size: u64, mode: u32, (uid, gid): (u32, u32), (atime, mtime): (i64, i64)) -> Attrs {
    // Times before 1970 and after 2106 have no number in version 3.
    let time = |seconds: i64| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
    Attrs {
        size: Some(size),
        owner: Some(Owner { uid, gid }),
        permissions: Some(sftp::Permissions::from_bits(mode)),
        times: Some(Times { accessed: time(atime), modified: time(mtime) }),
    }
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

/// The present time in seconds since 1970.
fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}
