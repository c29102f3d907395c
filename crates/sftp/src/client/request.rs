//! Requests: filexfer-02 §6 and §8.

use alloc::vec::Vec;

use ssh_wire::{Encode, Message, Rest, put_with_length};

use super::{Asked, Client, Expected, Handle, RequestId, Session};
use crate::{
    Attrs, OpenFlags, RequestError,
    extension::{ExtendedRequest, Extension, Ids},
    limits::{MAX_DATA, MAX_OUTSTANDING},
    message::{
        Close, Extended, Fsetstat, Fstat, Init, Lstat, Mkdir, Open, Opendir, Pairs, Read, Readdir,
        Readlink, Realpath, Remove, Rename, Rmdir, Setstat, Stat, Symlink, VERSION, Write,
        put_packet,
    },
};

impl Session {
    pub(super) fn room(&self) -> usize {
        MAX_OUTSTANDING
            .saturating_sub(self.outstanding.len())
            .saturating_sub(self.replies.len())
            .saturating_sub(usize::from(self.data.is_some()))
    }

    /// Reserves an id that no request has. 0 stands for `INIT`.
    fn next_id(&mut self) -> Result<u32, RequestError> {
        if !self.started {
            return Err(RequestError::NotStarted);
        }
        if self.room() == 0 {
            return Err(RequestError::TooManyOutstanding);
        }
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            let arriving = self.data.as_ref().is_some_and(|data| data.id.0 == self.last_id);
            if self.last_id != 0 && !arriving && !self.outstanding.contains_key(&self.last_id) {
                return Ok(self.last_id);
            }
        }
    }

    /// Writes the packet of which `body` writes everything from the type on; `more` bytes follow
    /// that the caller sends by itself.
    fn send(
        &mut self,
        out: &mut Vec<u8>,
        asked: Asked,
        more: u32,
        body: impl FnOnce(u32, &mut Vec<u8>),
    ) -> Result<RequestId, RequestError> {
        let id = self.next_id()?;
        let start = out.len();
        put_with_length(out, |out| body(id, out));
        let written = out.len().saturating_sub(start).saturating_sub(4);
        let len = written.saturating_add(usize::try_from(more).unwrap_or(usize::MAX));
        let limit = self.limits.max_packet;
        let length = u32::try_from(len).ok().filter(|length| *length <= limit);
        let (Some(length), Some(place)) =
            (length, out.get_mut(start..).and_then(<[u8]>::first_chunk_mut))
        else {
            out.truncate(start);
            return Err(RequestError::TooLong { len, limit });
        };
        *place = length.to_be_bytes();
        self.outstanding.insert(id, asked);
        Ok(RequestId(id))
    }

    fn request<M: Encode>(
        &mut self,
        out: &mut Vec<u8>,
        operation: &'static str,
        result: Expected,
        message: impl FnOnce(u32) -> M,
    ) -> Result<RequestId, RequestError> {
        self.send(out, Asked { operation, result }, 0, |id, out| message(id).encode(out))
    }

    fn extended(
        &mut self,
        out: &mut Vec<u8>,
        extension: Extension,
        result: Expected,
        request: &ExtendedRequest<'_>,
    ) -> Result<RequestId, RequestError> {
        // What the server accepts may be asked before it has said what it offers: a server without
        // an answer says so.
        let offered = match self.server {
            Some(offered) => offered.contains(extension),
            None => extension == Extension::Limits,
        };
        if !offered {
            return Err(RequestError::NotOffered(extension));
        }
        let name = extension.name();
        self.send(out, Asked { operation: name, result }, 0, |id, out| {
            Extended { id, name: name.as_bytes(), fields: Rest(&[]) }.encode(out);
            request.put_fields(out);
        })
    }
}

/// Requests. Each appends one packet to `out` and gives the id of its reply.
///
/// # Errors
/// All of them: [`RequestError::NotStarted`] before [`start`](Self::start),
/// [`RequestError::TooManyOutstanding`] without [`room`](Self::room), and
/// [`RequestError::TooLong`] if a path is longer than the server's packets. `out` is unchanged
/// then.
#[expect(clippy::missing_errors_doc, reason = "the same for all, said above")]
impl Client {
    /// Begins the session: writes `INIT`. Answered by [`Response::Version`] under
    /// [`RequestId::INIT`]. Requests may follow without waiting for it, apart from extensions.
    ///
    /// [`Response::Version`]: super::Response::Version
    pub fn start(&mut self, out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        let session = &mut self.session;
        if !session.started {
            session.started = true;
            let asked = Asked { operation: "INIT", result: Expected::Version };
            session.outstanding.insert(RequestId::INIT.0, asked);
            put_packet(out, &Init { version: VERSION, extensions: Pairs::default() });
        }
        Ok(RequestId::INIT)
    }

    /// Opens a file. Of `attrs` only the permissions count, for a file that is made.
    pub fn open(
        &mut self,
        path: &[u8],
        flags: OpenFlags,
        attrs: &Attrs,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let attrs = *attrs;
        self.session.request(out, "OPEN", Expected::Handle, |id| Open { id, path, flags, attrs })
    }

    /// Closes a file or directory. The handle is gone when this is sent; the status tells whether
    /// everything that was written arrived.
    pub fn close(&mut self, handle: &Handle, out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        let handle = handle.as_bytes();
        self.session.request(out, "CLOSE", Expected::Nothing, |id| Close { id, handle })
    }

    /// Asks for at most `len` bytes from `offset`. More than [`MAX_DATA`] are not asked for: they
    /// would not fit a packet.
    pub fn read(
        &mut self,
        handle: &Handle,
        offset: u64,
        len: u32,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let (handle, len) = (handle.as_bytes(), len.min(MAX_DATA));
        self.session.request(out, "READ", Expected::Data(len), |id| Read {
            id,
            handle,
            offset,
            len,
        })
    }

    /// Writes `data` at `offset`; it is copied to `out`. See [`Self::write_header`] for large
    /// ones.
    pub fn write(
        &mut self,
        handle: &Handle,
        offset: u64,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let id = self.write_header(handle, offset, len, out)?;
        out.extend_from_slice(data);
        Ok(id)
    }

    /// Writes everything of a `WRITE` but its data: length, type, id, handle, offset and the
    /// length of the data. The caller sends `len` bytes of data directly behind it, so that the
    /// data need not be copied here.
    pub fn write_header(
        &mut self,
        handle: &Handle,
        offset: u64,
        len: u32,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let asked = Asked { operation: "WRITE", result: Expected::Nothing };
        self.session.send(out, asked, len, |id, out| {
            Write::NUMBER.encode(out);
            id.encode(out);
            handle.as_bytes().encode(out);
            offset.encode(out);
            len.encode(out);
        })
    }

    /// Asks for the attributes of what is at `path`; of a link itself.
    pub fn lstat(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        self.session.request(out, "LSTAT", Expected::Attrs, |id| Lstat { id, path })
    }

    /// Asks for the attributes of an open file.
    pub fn fstat(&mut self, handle: &Handle, out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        let handle = handle.as_bytes();
        self.session.request(out, "FSTAT", Expected::Attrs, |id| Fstat { id, handle })
    }

    /// Sets attributes of what is at `path`; links are followed.
    pub fn setstat(
        &mut self,
        path: &[u8],
        attrs: &Attrs,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let attrs = *attrs;
        self.session.request(out, "SETSTAT", Expected::Nothing, |id| Setstat { id, path, attrs })
    }

    /// Sets attributes of an open file.
    pub fn fsetstat(
        &mut self,
        handle: &Handle,
        attrs: &Attrs,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let (handle, attrs) = (handle.as_bytes(), *attrs);
        self.session.request(out, "FSETSTAT", Expected::Nothing, |id| Fsetstat {
            id,
            handle,
            attrs,
        })
    }

    /// Opens a directory for listing.
    pub fn opendir(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        self.session.request(out, "OPENDIR", Expected::Handle, |id| Opendir { id, path })
    }

    /// Asks for the next names of a directory; a status with the code "end of file" says that
    /// there are no more.
    pub fn readdir(
        &mut self,
        handle: &Handle,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let handle = handle.as_bytes();
        self.session.request(out, "READDIR", Expected::Names, |id| Readdir { id, handle })
    }

    /// Removes a file or link.
    pub fn remove(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        self.session.request(out, "REMOVE", Expected::Nothing, |id| Remove { id, path })
    }

    /// Makes a directory. Of `attrs` only the permissions count.
    pub fn mkdir(
        &mut self,
        path: &[u8],
        attrs: &Attrs,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let attrs = *attrs;
        self.session.request(out, "MKDIR", Expected::Nothing, |id| Mkdir { id, path, attrs })
    }

    /// Removes an empty directory.
    pub fn rmdir(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        self.session.request(out, "RMDIR", Expected::Nothing, |id| Rmdir { id, path })
    }

    /// Asks for the absolute form of a path; of `.` to learn where the session begins.
    pub fn realpath(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        self.session.request(out, "REALPATH", Expected::Path, |id| Realpath { id, path })
    }

    /// Asks for the attributes of what is at `path`; links are followed.
    pub fn stat(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        self.session.request(out, "STAT", Expected::Attrs, |id| Stat { id, path })
    }

    /// Renames; fails if `new` exists. See [`Self::posix_rename`].
    pub fn rename(
        &mut self,
        old: &[u8],
        new: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        self.session.request(out, "RENAME", Expected::Nothing, |id| Rename { id, old, new })
    }

    /// Asks where a link leads.
    pub fn readlink(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        self.session.request(out, "READLINK", Expected::Path, |id| Readlink { id, path })
    }

    /// Makes `link`, which leads to `target`. Sent in the order of OpenSSH; a server that follows
    /// the draft's takes them the other way round.
    pub fn symlink(
        &mut self,
        target: &[u8],
        link: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        self.session.request(out, "SYMLINK", Expected::Nothing, |id| Symlink { id, target, link })
    }

    /// Renames, and replaces what has the new name. [`RequestError::NotOffered`] without
    /// [`Extension::PosixRename`].
    pub fn posix_rename(
        &mut self,
        old: &[u8],
        new: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::PosixRename { old, new };
        self.session.extended(out, Extension::PosixRename, Expected::Nothing, &request)
    }

    /// Asks how full the file system at `path` is. [`RequestError::NotOffered`] without
    /// [`Extension::StatVfs`].
    pub fn statvfs(&mut self, path: &[u8], out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::StatVfs { path };
        self.session.extended(out, Extension::StatVfs, Expected::StatVfs, &request)
    }

    /// Asks how full the file system of an open file is. [`RequestError::NotOffered`] without
    /// [`Extension::FstatVfs`].
    pub fn fstatvfs(
        &mut self,
        handle: &Handle,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::FstatVfs { handle: handle.as_bytes() };
        self.session.extended(out, Extension::FstatVfs, Expected::StatVfs, &request)
    }

    /// Makes `new` a second name for `old`. [`RequestError::NotOffered`] without
    /// [`Extension::HardLink`].
    pub fn hardlink(
        &mut self,
        old: &[u8],
        new: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::HardLink { old, new };
        self.session.extended(out, Extension::HardLink, Expected::Nothing, &request)
    }

    /// Waits until the content of an open file is on the disk. [`RequestError::NotOffered`]
    /// without [`Extension::Fsync`].
    pub fn fsync(&mut self, handle: &Handle, out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::Fsync { handle: handle.as_bytes() };
        self.session.extended(out, Extension::Fsync, Expected::Nothing, &request)
    }

    /// Asks what the server accepts; worth doing once at the start. [`RequestError::NotOffered`]
    /// without [`Extension::Limits`].
    pub fn ask_limits(&mut self, out: &mut Vec<u8>) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::Limits;
        self.session.extended(out, Extension::Limits, Expected::Limits, &request)
    }

    /// Sets attributes of what is at `path`; of a link itself. A size is refused by servers.
    /// [`RequestError::NotOffered`] without [`Extension::Lsetstat`].
    pub fn lsetstat(
        &mut self,
        path: &[u8],
        attrs: &Attrs,
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::Lsetstat { path, attrs: *attrs };
        self.session.extended(out, Extension::Lsetstat, Expected::Nothing, &request)
    }

    /// Asks for the absolute form of a path in which `~` and `~user` at the beginning stand for
    /// homes. Answered as [`Self::realpath`]. [`RequestError::NotOffered`] without
    /// [`Extension::ExpandPath`].
    pub fn expand_path(
        &mut self,
        path: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::ExpandPath { path };
        self.session.extended(out, Extension::ExpandPath, Expected::Path, &request)
    }

    /// Copies content from one open file to another, without its coming here: `len` bytes, or
    /// everything up to the end if that is 0. The status "end of file" says that there was less.
    /// [`RequestError::NotOffered`] without [`Extension::CopyData`].
    pub fn copy_data(
        &mut self,
        from: (&Handle, u64),
        len: u64,
        to: (&Handle, u64),
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::CopyData {
            from: from.0.as_bytes(),
            from_offset: from.1,
            len,
            to: to.0.as_bytes(),
            to_offset: to.1,
        };
        self.session.extended(out, Extension::CopyData, Expected::Nothing, &request)
    }

    /// Asks where a user is at home; the one who is logged in if `user` is empty. Answered as
    /// [`Self::realpath`]. [`RequestError::NotOffered`] without [`Extension::HomeDirectory`].
    pub fn home_directory(
        &mut self,
        user: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let request = ExtendedRequest::HomeDirectory { user };
        self.session.extended(out, Extension::HomeDirectory, Expected::Path, &request)
    }

    /// Asks for the names of users and groups; servers answer
    /// [`MAX_IDS`](crate::limits::MAX_IDS) of them at least. [`RequestError::NotOffered`] without
    /// [`Extension::UsersGroupsById`].
    pub fn users_groups_by_id(
        &mut self,
        users: &[u32],
        groups: &[u32],
        out: &mut Vec<u8>,
    ) -> Result<RequestId, RequestError> {
        let bytes = |ids: &[u32]| ids.iter().flat_map(|id| id.to_be_bytes()).collect::<Vec<_>>();
        let (uids, gids) = (bytes(users), bytes(groups));
        let request = ExtendedRequest::UsersGroupsById {
            users: Ids::from_bytes(&uids).unwrap_or_default(),
            groups: Ids::from_bytes(&gids).unwrap_or_default(),
        };
        let result = Expected::IdNames { users: users.len(), groups: groups.len() };
        self.session.extended(out, Extension::UsersGroupsById, result, &request)
    }
}
