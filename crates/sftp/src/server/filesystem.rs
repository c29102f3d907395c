//! What a server serves.

use alloc::vec::Vec;

use crate::{Attrs, Extensions, OpenFlags, StatusCode, extension::StatVfs};

/// Files and directories that a [`Server`](super::Server) serves.
///
/// Paths are bytes with `/` between components, never contain NUL, and are empty only where that
/// is said. What they mean is up to the file system: it holds its own root and present directory,
/// and **it alone confines a client to them**, whatever `..` and symbolic links say.
///
/// Every operation ends before the next begins. Errors are status codes; [`StatusCode`] has the
/// table by which OpenSSH makes them from `errno`. An open file or directory is closed by
/// dropping it, at the latest when the server is dropped; [`Self::close`] is for those whose
/// client wants to know whether everything was written.
///
/// # Errors
/// Of all operations: the code that the client gets. [`StatusCode::Ok`] is not an error; a server
/// sends [`StatusCode::Failure`] instead.
#[expect(clippy::missing_errors_doc, reason = "the same for all, said above")]
pub trait FileSystem {
    /// An open file.
    type File;
    /// An open directory, at some place of its listing.
    type Dir;

    /// Opens a file. A file that is made gets the permissions `mode` (at most `0o7777`), less
    /// what the file system always takes away (the umask).
    ///
    /// A directory may be opened for reading; reading it then fails. The flags are independent of
    /// each other: [`OpenFlags::TRUNCATE`] works without [`OpenFlags::CREATE`]. What is opened
    /// with [`OpenFlags::APPEND`] ignores the offset of writes.
    fn open(&mut self, path: &[u8], flags: OpenFlags, mode: u32) -> Result<Self::File, StatusCode>;

    /// Reads from `offset` into the beginning of `buf`, which is not empty, and says how many
    /// bytes; 0 at or behind the end of the file. May read less than there is. `offset` is below
    /// 2^63, and the server has checked that the file was opened for reading.
    fn read_at(
        &mut self,
        file: &mut Self::File,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, StatusCode>;

    /// Writes all of `data` at `offset`; behind the end it leaves a hole. `offset` is below 2^63,
    /// and the server has checked that the file was opened for writing.
    fn write_at(
        &mut self,
        file: &mut Self::File,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StatusCode>;

    /// The attributes of an open file.
    fn file_attrs(&mut self, file: &mut Self::File) -> Result<Attrs, StatusCode>;

    /// Sets the one attribute of an open file that `attrs` has. (The server calls it once for
    /// each attribute, in OpenSSH's order.) Only `0o7777` of permissions counts.
    fn set_file_attrs(&mut self, file: &mut Self::File, attrs: &Attrs) -> Result<(), StatusCode>;

    /// Waits until the content of an open file is on the disk.
    fn sync(&mut self, file: &mut Self::File) -> Result<(), StatusCode>;

    /// Closes a file, and tells what went wrong with writing to it until now.
    fn close(&mut self, file: Self::File) -> Result<(), StatusCode>;

    /// Opens a directory for listing.
    fn open_dir(&mut self, path: &[u8]) -> Result<Self::Dir, StatusCode>;

    /// The next entry of a directory; `None` at its end. `.` and `..` may be among them, as they
    /// are with OpenSSH.
    fn read_dir(&mut self, dir: &mut Self::Dir) -> Result<Option<DirEntry>, StatusCode>;

    /// The attributes of what is at `path`; links are followed.
    fn stat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode>;

    /// The attributes of what is at `path`; of a link itself.
    fn lstat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode>;

    /// Sets the one attribute that `attrs` has, of what is at `path`; links are followed. Called
    /// as [`Self::set_file_attrs`].
    fn set_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode>;

    /// Removes a file or link; fails for a directory.
    fn remove(&mut self, path: &[u8]) -> Result<(), StatusCode>;

    /// Makes a directory with the permissions `mode` (at most `0o7777`), less the umask.
    fn make_dir(&mut self, path: &[u8], mode: u32) -> Result<(), StatusCode>;

    /// Removes an empty directory.
    fn remove_dir(&mut self, path: &[u8]) -> Result<(), StatusCode>;

    /// The absolute path of `path`, links followed. The last component may be missing in the file
    /// system, those before it must not. `.` is the directory where the client begins.
    fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode>;

    /// Renames; fails if `new` exists.
    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode>;

    /// Renames, and replaces a file that has the name `new`, as POSIX's `rename`.
    fn posix_rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode>;

    /// Where a link leads, as it was written; [`StatusCode::BadMessage`] for what is not a link.
    fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode>;

    /// Makes `link`, which leads to `target`. The target may be anything but empty.
    fn symlink(&mut self, target: &[u8], link: &[u8]) -> Result<(), StatusCode>;

    /// Makes `new` a second name for the file `old`.
    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode>;

    /// How full the file system at `path` is.
    fn stat_vfs(&mut self, path: &[u8]) -> Result<StatVfs, StatusCode>;

    /// How full the file system of an open file is.
    fn file_stat_vfs(&mut self, file: &mut Self::File) -> Result<StatVfs, StatusCode>;

    /// Sets the one attribute that `attrs` has, of what is at `path`; of a link itself. Never a
    /// size. Otherwise called as [`Self::set_file_attrs`].
    fn set_link_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode>;

    /// Copies `len` bytes from one open file to another, or everything up to the end if there is
    /// no `len`, and says how many were copied: fewer only if the file ends.
    /// [`StatusCode::Failure`] if both are the same file. Both offsets are below 2^63, and the
    /// server has checked for what the files were opened.
    fn copy(
        &mut self,
        from: (&mut Self::File, u64),
        len: Option<u64>,
        to: (&mut Self::File, u64),
    ) -> Result<u64, StatusCode>;

    /// The absolute path of a user's home, if there is such a user; of the client's own if `user`
    /// is empty.
    fn home(&mut self, user: &[u8]) -> Option<Vec<u8>>;

    /// The name of a user; none is known unless said otherwise. Not called again for a user whose
    /// name a listing needs again soon.
    fn user_name(&mut self, uid: u32) -> Option<Vec<u8>> {
        let _ = uid;
        None
    }

    /// The name of a group, as [`Self::user_name`].
    fn group_name(&mut self, gid: u32) -> Option<Vec<u8>> {
        let _ = gid;
        None
    }

    /// The extensions that are offered; the others are answered
    /// [`StatusCode::OpUnsupported`] without being called. All, unless said otherwise.
    fn extensions(&self) -> Extensions {
        Extensions::all()
    }

    /// The present time in seconds since 1970, for the dates of listings. Without it they show
    /// years instead of times of day.
    fn now(&mut self) -> u32 {
        0
    }
}

/// One entry of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "file systems make it")]
pub struct DirEntry {
    /// The name: one component.
    pub name: Vec<u8>,
    /// Its attributes; of a link itself.
    pub attrs: Attrs,
    /// How many names the file has.
    pub links: u64,
}
