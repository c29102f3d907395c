//! The server: requests in, replies out, over a [`FileSystem`].
//!
//! Requests are answered one at a time and in order, as by OpenSSH's server, and with its
//! conventions where the draft leaves room: which status an operation on a closed handle gets,
//! what an open without flags means, that attributes are set one by one. Beyond it, a packet of
//! an unknown type is answered [`StatusCode::OpUnsupported`] (OpenSSH is silent), and one whose
//! fields are cut [`StatusCode::BadMessage`] (OpenSSH gives up).
//!
//! Memory is bounded: one packet of input, [`OUTPUT_MARK`] and one reply of output, and
//! [`Config::max_handles`] of whatever the file system keeps for an open file.

mod filesystem;
mod handles;
mod policy;

use alloc::{boxed::Box, vec::Vec};

use ssh_wire::{DecodeError, DecodeErrorKind, Encode, Message, Reader, Rest};

pub use filesystem::{DirEntry, FileSystem};
pub use policy::{Operation, Policy};

use crate::{
    Attrs, Error, Extensions, Limits, OpenFlags, PeerMisbehaved, StatusCode,
    extension::{ExtendedRequest, Extension, IdNames, Ids},
    frame::{Request, RequestReader},
    limits::{DEFAULT_MAX_HANDLES, MAX_DATA, MAX_ID_NAME, MAX_IDS, OUTPUT_MARK},
    longname::{OwnerNames, longname},
    message::{self, Entry, FromClient, Pairs, put_packet, put_pair},
    path::join,
};
use handles::{Handles, OpenDir, OpenFile};

/// The most names in one `NAME`, as OpenSSH's server.
const MAX_NAMES: usize = 100;
/// No further name is added to a `NAME` that has this many bytes: so it is not much longer than
/// the 34000 bytes that the draft asks everyone to accept.
const NAMES_MARK: usize = 32 * 1024;
/// The longest name of an entry that is listed, in bytes: no file system has longer ones, and it
/// bounds a `NAME`.
const MAX_NAME_LEN: usize = 4096;
/// Permissions of files and directories for which the client gave none, before the umask.
const FILE_MODE: u32 = 0o666;
const DIR_MODE: u32 = 0o777;

/// What a server allows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The most files and directories open at a time.
    pub max_handles: usize,
    /// What is done at all. What is not is answered [`StatusCode::PermissionDenied`].
    pub policy: Policy,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_handles: DEFAULT_MAX_HANDLES, policy: Policy::default() }
    }
}

/// Is told of every request with the code that answers it; for a log.
pub type Observer = Box<dyn FnMut(&FromClient<'_>, StatusCode) + Send>;

/// The server's half of an SFTP session.
pub struct Server<F: FileSystem> {
    fs: F,
    extensions: Extensions,
    reader: RequestReader,
    handles: Handles<F>,
    policy: Policy,
    observer: Option<Observer>,
    /// `INIT` has come.
    started: bool,
    failed: Option<Error>,
}

impl<F: FileSystem> core::fmt::Debug for Server<F> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Server")
            .field("extensions", &self.extensions)
            .field("handles", &self.handles.len())
            .field("started", &self.started)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// How a request is answered: with what is in the buffer already, or with a status.
type Answer = Result<(), StatusCode>;

impl<F: FileSystem> Server<F> {
    /// A session over `fs`, in which nothing has come yet.
    #[must_use]
    pub fn new(fs: F, config: &Config) -> Self {
        let permitted =
            |extension: &Extension| config.policy.permits(Operation::Extended(*extension));
        Self {
            extensions: fs.extensions().iter().filter(permitted).collect(),
            policy: config.policy.clone(),
            observer: None,
            fs,
            reader: RequestReader::default(),
            handles: Handles::new(config.max_handles),
            started: false,
            failed: None,
        }
    }

    /// Takes bytes of the stream from the client, cut anywhere, appends the replies to `out`, and
    /// says how many bytes were taken.
    ///
    /// They are fewer than there are if `out` has more than [`OUTPUT_MARK`] bytes: the caller
    /// sends `out`, and then gives the rest again. So a client that does not read its replies is
    /// not read from either.
    ///
    /// # Errors
    /// What the client did wrong. The session is over then, and every later call gives the same
    /// error; `out` has the replies to what came before.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let mut rest = bytes;
        match self.read(&mut rest, out) {
            Ok(()) => Ok(bytes.len().saturating_sub(rest.len())),
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Lets `observer` know what is done from now on.
    pub fn observe(&mut self, observer: Observer) {
        self.observer = Some(observer);
    }

    /// Files and directories that are open.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        self.handles.len()
    }

    /// The file system.
    pub const fn file_system(&mut self) -> &mut F {
        &mut self.fs
    }

    fn read(&mut self, input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        while out.len() < OUTPUT_MARK {
            match self.reader.next(input)? {
                None => break,
                Some(Request::InPlace(packet)) => self.packet(packet, out)?,
                Some(Request::Assembled) => {
                    let buffer = self.reader.take();
                    let result = self.packet(RequestReader::packet(&buffer), out);
                    self.reader.put_back(buffer);
                    result?;
                }
            }
        }
        Ok(())
    }

    fn packet(&mut self, packet: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let mut reader = Reader::new("packet", packet);
        let number = reader.field("type").byte()?;
        if !self.started && number != message::Init::NUMBER {
            return Err(PeerMisbehaved::RequestBeforeInit { number }.into());
        }
        if number == message::Init::NUMBER {
            parse(packet)?;
            self.started = true;
            self.version(out);
            return Ok(());
        }
        let id = reader.field("id").uint32()?;
        let start = out.len();
        let request = parse(packet);
        let answer = match &request {
            Ok(request) => {
                self.policy.check(request).and_then(|()| self.answer(request.clone(), out))
            }
            Err(DecodeError { kind: DecodeErrorKind::UnknownNumber(_), .. }) => {
                Err(StatusCode::OpUnsupported)
            }
            Err(_) => Err(StatusCode::BadMessage),
        };
        let code = match answer {
            Ok(()) => StatusCode::Ok,
            Err(StatusCode::Ok) => StatusCode::Failure,
            Err(code) => code,
        };
        if let (Some(observer), Ok(request)) = (&mut self.observer, &request) {
            observer(request, code);
        }
        if code == StatusCode::Ok && out.len() > start {
            return Ok(());
        }
        out.truncate(start);
        let message = code.text().as_bytes();
        put_packet(out, &message::Status { id, code, message, language: b"" });
        Ok(())
    }

    /// Answers `INIT`, also a second one. Always with version 3, as OpenSSH's server.
    fn version(&self, out: &mut Vec<u8>) {
        let mut pairs = Vec::new();
        for extension in self.extensions.iter() {
            put_pair(&mut pairs, extension.name(), extension.version());
        }
        let extensions = Pairs::from_bytes(&pairs).unwrap_or_default();
        put_packet(out, &message::Version { version: message::VERSION, extensions });
    }

    /// Does what `request` asks. What writes nothing to `out` is answered with the status OK.
    fn answer(&mut self, request: FromClient<'_>, out: &mut Vec<u8>) -> Answer {
        match request {
            // Both are dealt with where the packet is looked at first.
            FromClient::Init(_) => Err(StatusCode::BadMessage),
            FromClient::Open(message::Open { id, path, flags, attrs }) => {
                self.open(id, path, flags, &attrs, out)
            }
            FromClient::Close(request) => self.close(request.handle),
            FromClient::Read(request) => self.read_file(&request, out),
            FromClient::Write(request) => self.write_file(&request),
            FromClient::Lstat(message::Lstat { id, path }) => {
                let attrs = self.fs.lstat(existing(path)?)?;
                put_attrs(id, attrs, out)
            }
            FromClient::Stat(message::Stat { id, path }) => {
                let attrs = self.fs.stat(existing(path)?)?;
                put_attrs(id, attrs, out)
            }
            FromClient::Fstat(message::Fstat { id, handle }) => {
                let file = self.handles.file(handle, StatusCode::Failure)?;
                let attrs = self.fs.file_attrs(&mut file.file)?;
                put_attrs(id, attrs, out)
            }
            FromClient::Setstat(message::Setstat { path, attrs, .. }) => {
                let path = existing(path)?;
                last_error(attrs.one_by_one().map(|one| self.fs.set_attrs(path, &one)))
            }
            FromClient::Fsetstat(message::Fsetstat { handle, attrs, .. }) => {
                let file = &mut self.handles.file(handle, StatusCode::Failure)?.file;
                last_error(attrs.one_by_one().map(|one| self.fs.set_file_attrs(file, &one)))
            }
            FromClient::Opendir(message::Opendir { id, path }) => {
                self.handles.room()?;
                let dir = self.fs.open_dir(existing(path)?)?;
                put_handle(id, self.handles.add_dir(dir)?, out)
            }
            FromClient::Readdir(message::Readdir { id, handle }) => self.read_dir(id, handle, out),
            FromClient::Remove(request) => self.fs.remove(existing(request.path)?),
            FromClient::Mkdir(message::Mkdir { path, attrs, .. }) => {
                self.fs.make_dir(existing(path)?, mode(&attrs, DIR_MODE))
            }
            FromClient::Rmdir(request) => self.fs.remove_dir(existing(request.path)?),
            FromClient::Realpath(message::Realpath { id, path }) => {
                let path = if path.is_empty() { b"." } else { existing(path)? };
                let path = self.fs.real_path(path)?;
                put_path(id, &path, out)
            }
            FromClient::Rename(message::Rename { old, new, .. }) => {
                self.fs.rename(existing(old)?, existing(new)?)
            }
            FromClient::Readlink(message::Readlink { id, path }) => {
                let target = self.fs.read_link(existing(path)?)?;
                put_path(id, &target, out)
            }
            FromClient::Symlink(message::Symlink { target, link, .. }) => {
                self.fs.symlink(existing(target)?, existing(link)?)
            }
            FromClient::Extended(message::Extended { id, name, fields }) => {
                self.extended(id, name, fields, out)
            }
        }
    }

    fn open(
        &mut self,
        id: u32,
        path: &[u8],
        flags: OpenFlags,
        attrs: &Attrs,
        out: &mut Vec<u8>,
    ) -> Answer {
        self.handles.room()?;
        let file = self.fs.open(existing(path)?, flags, mode(attrs, FILE_MODE))?;
        put_handle(id, self.handles.add_file(OpenFile { file, flags })?, out)
    }

    fn close(&mut self, handle: &[u8]) -> Answer {
        match self.handles.remove(handle)? {
            handles::Open::File(OpenFile { file, .. }) => self.fs.close(file),
            handles::Open::Dir(dir) => {
                drop(dir);
                Ok(())
            }
        }
    }

    /// `READ`: the file is read into the place in `out` where it is sent from.
    fn read_file(&mut self, request: &message::Read<'_>, out: &mut Vec<u8>) -> Answer {
        let message::Read { id, handle, offset, len } = *request;
        let OpenFile { file, flags } = self.handles.file(handle, StatusCode::Failure)?;
        if !flags.readable() {
            return Err(StatusCode::NoSuchFile);
        }
        check_offset(offset)?;
        let len = usize::try_from(len.min(MAX_DATA)).unwrap_or(0);
        let start = out.len();
        put_packet(out, &message::Data { id, data: &[] });
        let data = out.len();
        if len == 0 {
            return Ok(());
        }
        out.resize(data.saturating_add(len), 0);
        let read = self.fs.read_at(file, offset, out.get_mut(data..).unwrap_or_default())?.min(len);
        if read == 0 {
            return Err(StatusCode::Eof);
        }
        out.truncate(data.saturating_add(read));
        set_length(out, start, 4);
        set_length(out, data.saturating_sub(4), 4);
        Ok(())
    }

    fn write_file(&mut self, request: &message::Write<'_>) -> Answer {
        let OpenFile { file, flags } = self.handles.file(request.handle, StatusCode::Failure)?;
        if !flags.writable() {
            return Err(StatusCode::NoSuchFile);
        }
        check_offset(request.offset)?;
        self.fs.write_at(file, request.offset, request.data)
    }

    fn read_dir(&mut self, id: u32, handle: &[u8], out: &mut Vec<u8>) -> Answer {
        let OpenDir { dir, pending } = self.handles.dir(handle)?;
        let now = self.fs.now();
        let start = out.len();
        put_packet(out, &message::Name { id, entries: message::Entries::default() });
        let entries = out.len();
        let mut count: u32 = 0;
        let full = |out: &Vec<u8>| out.len().saturating_sub(entries) >= NAMES_MARK;
        for _ in 0..MAX_NAMES {
            let next = pending.take().map_or_else(|| self.fs.read_dir(dir).transpose(), Some);
            match next {
                None => break,
                Some(Ok(entry)) if entry.name.len() > MAX_NAME_LEN => {}
                Some(Ok(DirEntry { name, attrs, links })) => {
                    let owner = attrs.owner.unwrap_or_default();
                    let user = known(self.fs.user_name(owner.uid));
                    let group = known(self.fs.group_name(owner.gid));
                    let names = OwnerNames { user: user.as_deref(), group: group.as_deref() };
                    let longname = longname(&name, &attrs, links, names, now);
                    Entry { filename: &name, longname: &longname, attrs }.encode(out);
                    count = count.saturating_add(1);
                }
                Some(Err(code)) if count == 0 => return Err(code),
                // What was found is told first; the error is the answer to the next request.
                Some(Err(code)) => {
                    *pending = Some(Err(code));
                    break;
                }
            }
            if full(out) {
                break;
            }
        }
        if count == 0 {
            return Err(StatusCode::Eof);
        }
        if let Some(place) = out.get_mut(..entries).and_then(<[u8]>::last_chunk_mut) {
            *place = count.to_be_bytes();
        }
        set_length(out, start, 4);
        Ok(())
    }

    fn extended(&mut self, id: u32, name: &[u8], fields: Rest<'_>, out: &mut Vec<u8>) -> Answer {
        if !Extension::from_name(name).is_some_and(|known| self.extensions.contains(known)) {
            // What the policy denies has been dealt with.
            return Err(StatusCode::OpUnsupported);
        }
        match ExtendedRequest::parse(name, fields).map_err(|_| StatusCode::BadMessage)? {
            ExtendedRequest::PosixRename { old, new } => {
                self.fs.posix_rename(existing(old)?, existing(new)?)
            }
            ExtendedRequest::HardLink { old, new } => {
                self.fs.hard_link(existing(old)?, existing(new)?)
            }
            ExtendedRequest::Fsync { handle } => {
                let file = self.handles.file(handle, StatusCode::NoSuchFile)?;
                self.fs.sync(&mut file.file)
            }
            ExtendedRequest::StatVfs { path } => {
                let answer = self.fs.stat_vfs(existing(path)?)?;
                put_extended(id, &answer, out)
            }
            ExtendedRequest::FstatVfs { handle } => {
                let file = self.handles.file(handle, StatusCode::Failure)?;
                let answer = self.fs.file_stat_vfs(&mut file.file)?;
                put_extended(id, &answer, out)
            }
            ExtendedRequest::Lsetstat { attrs: Attrs { size: Some(_), .. }, .. } => {
                Err(StatusCode::BadMessage)
            }
            ExtendedRequest::Lsetstat { path, attrs } => {
                let path = existing(path)?;
                last_error(attrs.one_by_one().map(|one| self.fs.set_link_attrs(path, &one)))
            }
            ExtendedRequest::ExpandPath { path } => self.expand_path(id, path, out),
            ExtendedRequest::CopyData { from, from_offset, len, to, to_offset } => {
                self.copy_data((from, from_offset), len, (to, to_offset))
            }
            ExtendedRequest::HomeDirectory { user } => {
                let home = self.fs.home(user).ok_or(StatusCode::Failure)?;
                put_path(id, &home, out)
            }
            ExtendedRequest::UsersGroupsById { users, groups } => {
                self.names_by_id(id, users, groups, out)
            }
            ExtendedRequest::Limits => {
                put_extended(id, &Limits::of_server(self.handles.limit()), out)
            }
            ExtendedRequest::Unknown { .. } => Err(StatusCode::OpUnsupported),
        }
    }
}

/// A part of [`Server::extended`] each.
impl<F: FileSystem> Server<F> {
    /// `~` stands for where the session begins, `~user` for a user's home.
    fn expand_path(&mut self, id: u32, path: &[u8], out: &mut Vec<u8>) -> Answer {
        let path = match path.strip_prefix(b"~") {
            None if path.is_empty() => b".".to_vec(),
            None => existing(path)?.to_vec(),
            Some(rest) => {
                let end = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
                let (user, rest) = rest.split_at_checked(end).unwrap_or_default();
                let home = if user.is_empty() { Some(b".".to_vec()) } else { self.fs.home(user) };
                let Some(home) = home else {
                    let (code, message) = (StatusCode::NoSuchFile, b"no such user");
                    put_packet(out, &message::Status { id, code, message, language: b"" });
                    return Ok(());
                };
                let start = rest.iter().position(|byte| *byte != b'/').unwrap_or(rest.len());
                let rest = rest.get(start..).unwrap_or_default();
                existing(&join(&home, rest))?.to_vec()
            }
        };
        let path = self.fs.real_path(&path)?;
        put_path(id, &path, out)
    }

    fn copy_data(&mut self, from: (&[u8], u64), len: u64, to: (&[u8], u64)) -> Answer {
        let (source, target) = self.handles.files(from.0, to.0)?;
        if !source.flags.readable() || !target.flags.writable() {
            return Err(StatusCode::NoSuchFile);
        }
        check_offset(from.1)?;
        check_offset(to.1)?;
        let len = Some(len).filter(|len| *len != 0);
        let copied = self.fs.copy((&mut source.file, from.1), len, (&mut target.file, to.1))?;
        if len.is_some_and(|len| copied < len) { Err(StatusCode::Eof) } else { Ok(()) }
    }

    fn names_by_id(
        &mut self,
        id: u32,
        users: Ids<'_>,
        groups: Ids<'_>,
        out: &mut Vec<u8>,
    ) -> Answer {
        if users.len().saturating_add(groups.len()) > MAX_IDS {
            return Err(StatusCode::Failure);
        }
        let mut user = |uid| known(self.fs.user_name(uid)).unwrap_or_default();
        let users = users.iter().map(&mut user).collect();
        let mut group = |gid| known(self.fs.group_name(gid)).unwrap_or_default();
        let names = IdNames { users, groups: groups.iter().map(&mut group).collect() };
        put_extended(id, &names, out)
    }
}

/// Reads a request. Bytes behind its fields are skipped, as by OpenSSH's server.
fn parse(packet: &[u8]) -> Result<FromClient<'_>, DecodeError> {
    match FromClient::parse(packet) {
        Err(DecodeError { kind: DecodeErrorKind::TrailingBytes(more), .. }) => {
            let end = packet.len().saturating_sub(more);
            FromClient::parse(packet.get(..end).unwrap_or_default())
        }
        other => other,
    }
}

/// A path that a file system can be asked for: not empty, without NUL.
fn existing(path: &[u8]) -> Result<&[u8], StatusCode> {
    if path.is_empty() {
        Err(StatusCode::NoSuchFile)
    } else if path.contains(&0) {
        Err(StatusCode::BadMessage)
    } else {
        Ok(path)
    }
}

/// The name of a user or group, if it may stand in a reply.
fn known(name: Option<Vec<u8>>) -> Option<Vec<u8>> {
    name.filter(|name| name.len() <= MAX_ID_NAME)
}

/// Offsets are signed where files are: what does not fit is `EINVAL`.
fn check_offset(offset: u64) -> Answer {
    i64::try_from(offset).map(drop).map_err(|_| StatusCode::BadMessage)
}

fn mode(attrs: &Attrs, otherwise: u32) -> u32 {
    attrs.permissions.map_or(otherwise, |permissions| permissions.mode())
}

/// Runs all, and gives the last error.
fn last_error(answers: impl Iterator<Item = Answer>) -> Answer {
    answers.filter_map(Result::err).last().map_or(Ok(()), Err)
}

/// Writes the count of bytes behind the four at `at` into them.
fn set_length(out: &mut [u8], at: usize, width: usize) {
    let len = out.len().saturating_sub(at).saturating_sub(width);
    let len = u32::try_from(len).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = len.to_be_bytes();
    }
}

fn put_attrs(id: u32, attrs: Attrs, out: &mut Vec<u8>) -> Answer {
    put_packet(out, &message::Attributes { id, attrs });
    Ok(())
}

fn put_handle(id: u32, handle: [u8; 4], out: &mut Vec<u8>) -> Answer {
    put_packet(out, &message::Handle { id, handle: &handle });
    Ok(())
}

fn put_extended(id: u32, fields: &dyn Encode, out: &mut Vec<u8>) -> Answer {
    let mut bytes = Vec::new();
    fields.encode(&mut bytes);
    put_packet(out, &message::ExtendedReply { id, fields: Rest(&bytes) });
    Ok(())
}

/// A `NAME` with one path, which is its own longname and has no attributes, as by OpenSSH.
fn put_path(id: u32, path: &[u8], out: &mut Vec<u8>) -> Answer {
    let start = out.len();
    put_packet(out, &message::Name { id, entries: message::Entries::default() });
    if let Some(count) = out.last_chunk_mut() {
        *count = 1_u32.to_be_bytes();
    }
    Entry { filename: path, longname: path, attrs: Attrs::NONE }.encode(out);
    set_length(out, start, 4);
    Ok(())
}

#[cfg(test)]
mod tests;
