//! The client: requests out, typed replies in.
//!
//! A [`Client`] writes requests into a buffer of the caller, who sends it to the subsystem
//! `sftp`, and is fed what comes back. Every request has an id, and its reply is handed out under
//! that id. Requests need not wait for each other: sending many before the first reply is what
//! makes transfers fast.
//!
//! What a server sends is checked against what was asked: the id must be waiting, the kind of
//! the reply must be one that the request can have, and there must not be more data than was
//! asked for. A server that breaks this ends the session with an [`Error`] that says what it did.
//!
//! ```
//! use sftp::{OpenFlags, Attrs, client::{Client, Response}, StatusCode};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::new();
//! let mut out = Vec::new();
//! client.start(&mut out)?;
//! let open = client.open(b"/etc/hosts", OpenFlags::READ, &Attrs::NONE, &mut out)?;
//! // … `out` is sent, and what the server answers is fed, in whatever pieces it comes:
//! client.feed(vec![0, 0, 0, 5, 2, 0, 0, 0, 3, 0, 0, 0, 17].into())?;
//! client.feed(vec![101, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0].into())?;
//! assert!(matches!(client.poll().unwrap().response, Response::Version));
//! let reply = client.poll().unwrap();
//! assert_eq!(reply.id, open);
//! let Response::Status(status) = reply.response else { panic!() };
//! assert_eq!(status.code, StatusCode::NoSuchFile);
//! # Ok(()) }
//! ```

mod reply;
mod request;

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};
use core::fmt;

use bytes::Bytes;

use crate::{
    Attrs, Chunks, Error, Extensions, Limits, Status,
    extension::{IdNames, StatVfs},
    frame::{Reply as Frame, ReplyReader},
    path::{BadComponent, NamingRules, check_component},
};

/// The number of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u32);

impl RequestId {
    /// The number of `INIT`, which has none on the wire: [`Response::Version`] answers it.
    pub const INIT: Self = Self(0);

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An open file or directory of a server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Handle(Bytes);

impl Handle {
    /// The bytes by which the server knows it.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handle(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// One name of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Name {
    /// The name, as the server sent it: see [`Self::component`].
    pub filename: Vec<u8>,
    /// A line as `ls -l` prints it, for people; escape it before showing it on a terminal.
    pub longname: Vec<u8>,
    /// What the server knows of the file.
    pub attrs: Attrs,
}

impl Name {
    /// The name, if it is safe to use as the name of a local file: one component that leads
    /// nowhere else.
    ///
    /// # Errors
    /// [`BadComponent`] says how it would lead elsewhere; `.` and `..`, which most servers list,
    /// are among it.
    pub fn component(&self, rules: NamingRules) -> Result<&[u8], BadComponent> {
        check_component(&self.filename, rules).map(|()| &*self.filename)
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The request.
    pub id: RequestId,
    /// What the server answered.
    pub response: Response,
}

/// What a server can answer. Every request can get [`Status`](Self::Status) when it fails; one
/// without a result gets it when it succeeds as well.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Response {
    /// How the request ended. With the code "OK" only for requests that have no result.
    Status(Status),
    /// To [`open`](Client::open) and [`opendir`](Client::opendir).
    Handle(Handle),
    /// To [`read`](Client::read): at least one byte unless none was asked for, at most what was
    /// asked for. Less than that says nothing about the end of the file.
    Data(Chunks),
    /// To [`readdir`](Client::readdir): at least one name.
    Names(Vec<Name>),
    /// To [`realpath`](Client::realpath), [`readlink`](Client::readlink),
    /// [`expand_path`](Client::expand_path) and [`home_directory`](Client::home_directory).
    Path(Vec<u8>),
    /// To [`stat`](Client::stat), [`lstat`](Client::lstat) and [`fstat`](Client::fstat).
    Attrs(Attrs),
    /// To [`statvfs`](Client::statvfs) and [`fstatvfs`](Client::fstatvfs).
    StatVfs(StatVfs),
    /// To [`ask_limits`](Client::ask_limits); [`Client::limits`] has them from now on.
    Limits(Limits),
    /// To [`users_groups_by_id`](Client::users_groups_by_id): as many names as were asked for.
    IdNames(IdNames),
    /// To [`start`](Client::start); [`Client::extensions`] has what the server offers.
    Version,
}

/// The client's half of an SFTP session.
#[derive(Debug, Default)]
pub struct Client {
    reader: ReplyReader,
    session: Session,
    failed: Option<Error>,
}

/// Everything but the bytes.
#[derive(Debug, Default)]
struct Session {
    /// What was asked and not yet answered.
    outstanding: BTreeMap<u32, Asked>,
    /// Answers that have not been taken.
    replies: VecDeque<Reply>,
    /// The `DATA` that is arriving.
    data: Option<Arriving>,
    last_id: u32,
    started: bool,
    /// What the server offers; `None` until it answered `INIT`.
    server: Option<Extensions>,
    limits: Limits,
}

/// A request that waits for its reply.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Its name, for errors.
    operation: &'static str,
    /// What it can be answered with besides a status.
    result: Expected,
}

/// The result that a request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// None.
    Nothing,
    Version,
    Handle,
    /// That many bytes.
    Data(u32),
    Names,
    Path,
    Attrs,
    StatVfs,
    Limits,
    /// That many names.
    IdNames {
        users: usize,
        groups: usize,
    },
}

#[derive(Debug)]
struct Arriving {
    id: RequestId,
    left: usize,
    chunks: Chunks,
}

impl Client {
    /// A session in which nothing has been sent yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes of the stream from the server, cut anywhere. Afterwards [`Self::poll`] has the
    /// answers that became complete.
    ///
    /// # Errors
    /// What the server did wrong. The session is over then, and every later call gives the same
    /// error; answers that came before can still be taken.
    pub fn feed(&mut self, chunk: Bytes) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.read_all(chunk).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn read_all(&mut self, mut input: Bytes) -> Result<(), Error> {
        while let Some(frame) = self.reader.next(&mut input)? {
            match frame {
                Frame::Packet(packet) => self.session.packet(packet)?,
                Frame::DataBegins { id, len } => self.session.data_begins(id, len)?,
                Frame::DataPiece(piece) => self.session.data_piece(piece),
            }
        }
        Ok(())
    }

    /// The next answer, in the order in which they came.
    pub fn poll(&mut self) -> Option<Reply> {
        self.session.replies.pop_front()
    }

    /// Requests that wait for their answers.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.session.outstanding.len()
    }

    /// How many requests can be made now, before
    /// [`TooManyOutstanding`](crate::RequestError::TooManyOutstanding).
    #[must_use]
    pub fn room(&self) -> usize {
        self.session.room()
    }

    /// What the server offers besides version 3; `None` until it answered
    /// [`start`](Self::start).
    #[must_use]
    pub const fn extensions(&self) -> Option<Extensions> {
        self.session.server
    }

    /// What the server accepts: the draft's numbers, until it answered
    /// [`ask_limits`](Self::ask_limits).
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.session.limits
    }

    /// Takes what the server told on another channel of the same connection for what it accepts on
    /// this one, so that it need not be asked again.
    pub const fn assume_limits(&mut self, limits: Limits) {
        self.session.limits = limits;
    }

    /// The error that ended the session.
    #[must_use]
    pub const fn error(&self) -> Option<&Error> {
        self.failed.as_ref()
    }
}

#[cfg(test)]
mod tests;
