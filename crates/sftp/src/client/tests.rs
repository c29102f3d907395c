//! Tests of [`Client`]: against replies of OpenSSH, of our own server, and of hostile ones.

use super::*;
use crate::{
    Error, OpenFlags, PeerMisbehaved, RequestError, StatusCode,
    attrs::Permissions,
    limits::{MAX_DATA, MAX_OUTSTANDING, MAX_PACKET},
    memory::Memory,
    message::{self, FromClient, FromServer, Pairs, put_packet},
    path::NamingRules,
    server::{Config, Server},
    transfer::{GetStep, Gets, Item, Options, PutFile, PutStep, Puts},
    vectors,
};
use alloc::collections::BTreeMap;
use proptest::prelude::*;
use ssh_wire::{DecodeErrorKind, Encode, Rest, Time};

fn packet(message: &dyn Encode) -> Bytes {
    let mut out = Vec::new();
    put_packet(&mut out, message);
    Bytes::from(out)
}

/// A client whose server has answered `INIT` with all extensions.
fn started() -> Client {
    let mut client = Client::new();
    client.start(&mut Vec::new()).unwrap();
    let mut pairs = Vec::new();
    for extension in Extensions::all().iter() {
        message::put_pair(&mut pairs, extension.name(), extension.version());
    }
    let extensions = Pairs::from_bytes(&pairs).unwrap();
    client.feed(packet(&message::Version { version: 3, extensions })).unwrap();
    let reply = client.poll().unwrap();
    assert_eq!(reply, Reply { id: RequestId::INIT, response: Response::Version });
    client
}

fn handle(bytes: &[u8]) -> Handle {
    Handle(Bytes::copy_from_slice(bytes))
}

/// Makes the request that was recorded, and gives what was written for it.
fn request(client: &mut Client, recorded: &FromClient<'_>) -> Result<Vec<u8>, RequestError> {
    let mut out = Vec::new();
    let o = &mut out;
    match *recorded {
        FromClient::Init(_) => client.start(o),
        FromClient::Open(m) => client.open(m.path, m.flags, &m.attrs, o),
        FromClient::Close(m) => client.close(&handle(m.handle), o),
        FromClient::Read(m) => client.read(&handle(m.handle), m.offset, m.len, o),
        FromClient::Write(m) => client.write(&handle(m.handle), m.offset, m.data, o),
        FromClient::Lstat(m) => client.lstat(m.path, o),
        FromClient::Fstat(m) => client.fstat(&handle(m.handle), o),
        FromClient::Setstat(m) => client.setstat(m.path, &m.attrs, o),
        FromClient::Fsetstat(m) => client.fsetstat(&handle(m.handle), &m.attrs, o),
        FromClient::Opendir(m) => client.opendir(m.path, o),
        FromClient::Readdir(m) => client.readdir(&handle(m.handle), o),
        FromClient::Remove(m) => client.remove(m.path, o),
        FromClient::Mkdir(m) => client.mkdir(m.path, &m.attrs, o),
        FromClient::Rmdir(m) => client.rmdir(m.path, o),
        FromClient::Realpath(m) => client.realpath(m.path, o),
        FromClient::Stat(m) => client.stat(m.path, o),
        FromClient::Rename(m) => client.rename(m.old, m.new, o),
        FromClient::Readlink(m) => client.readlink(m.path, o),
        FromClient::Symlink(m) => client.symlink(m.target, m.link, o),
        FromClient::Extended(m) => {
            use crate::extension::ExtendedRequest as E;
            match E::parse(m.name, m.fields).unwrap() {
                E::PosixRename { old, new } => client.posix_rename(old, new, o),
                E::StatVfs { path } => client.statvfs(path, o),
                E::FstatVfs { handle: bytes } => client.fstatvfs(&handle(bytes), o),
                E::HardLink { old, new } => client.hardlink(old, new, o),
                E::Fsync { handle: bytes } => client.fsync(&handle(bytes), o),
                E::Lsetstat { path, attrs } => client.lsetstat(path, &attrs, o),
                E::Limits => client.ask_limits(o),
                E::ExpandPath { path } => client.expand_path(path, o),
                E::CopyData { from, from_offset, len, to, to_offset } => {
                    let (from, to) = (handle(from), handle(to));
                    client.copy_data((&from, from_offset), len, (&to, to_offset), o)
                }
                E::HomeDirectory { user } => client.home_directory(user, o),
                E::UsersGroupsById { users, groups } => {
                    let (users, groups) = (users.iter().collect(), groups.iter().collect());
                    let (users, groups): (Vec<u32>, Vec<u32>) = (users, groups);
                    client.users_groups_by_id(&users, &groups, o)
                }
                E::Unknown { .. } => return Ok(out),
            }
        }
    }
    .map(|_| out)
}

#[test]
fn requests_and_replies_of_openssh_are_written_and_understood() {
    let mut client = Client::new();
    let mut understood = 0;
    for vectors::Exchange { label, request: bytes, response } in vectors::exchanges() {
        let (Ok(recorded), Some(mut reply)) = (FromClient::parse(&bytes[4..]), response) else {
            continue;
        };
        let written = request(&mut client, &recorded).unwrap();
        if written.is_empty() {
            continue; // an extension that is not ours
        }
        if matches!(recorded, FromClient::Init(_)) {
            assert_eq!(written, bytes, "{label}");
        } else {
            // The same but for the id, which the reply gets as well.
            let same = written[..5] == bytes[..5] && written[9..] == bytes[9..];
            assert!(same, "{label}: {written:?}");
            reply[5..9].copy_from_slice(&written[5..9]);
        }
        client.feed(Bytes::from(reply.clone())).unwrap();
        let response = client.poll().unwrap().response;
        let same = match (&FromServer::parse(&reply[4..]).unwrap(), &response) {
            (FromServer::Version(_), Response::Version) => true,
            (FromServer::Status(theirs), Response::Status(ours)) => theirs.code == ours.code,
            (FromServer::Handle(theirs), Response::Handle(ours)) => theirs.handle == &*ours.0,
            (FromServer::Data(theirs), Response::Data(ours)) => {
                theirs.data == ours.clone().into_vec()
            }
            (FromServer::Name(theirs), Response::Names(ours)) => {
                theirs.entries.iter().map(Name::from).eq(ours.iter().cloned())
            }
            (FromServer::Name(theirs), Response::Path(ours)) => {
                theirs.entries.iter().all(|entry| entry.filename == ours)
            }
            (FromServer::Attributes(theirs), Response::Attrs(ours)) => theirs.attrs == *ours,
            (FromServer::ExtendedReply(_), Response::StatVfs(ours)) => ours.max_name_len == 255,
            (FromServer::ExtendedReply(_), Response::Limits(ours)) => ours.max_read == MAX_DATA,
            (FromServer::ExtendedReply(theirs), Response::IdNames(ours)) => {
                let mut written = Vec::new();
                ours.encode(&mut written);
                theirs.fields.0 == written
            }
            _ => false,
        };
        assert!(same, "{label}: {response:?}");
        understood += 1;
    }
    assert_eq!(understood, 89);
    assert_eq!(client.extensions(), Some(Extensions::all()));
    assert_eq!((client.outstanding(), client.poll()), (0, None));
}

/// What a server answers to a request of each kind, and what that makes.
#[test]
fn every_wrong_reply_ends_the_session_with_what_the_server_did() {
    type Ask = fn(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>;
    let read: Ask = |client, out| client.read(&handle(b"h"), 0, 4, out);
    let open: Ask = |client, out| client.open(b"p", OpenFlags::READ, &Attrs::NONE, out);
    let stat: Ask = |client, out| client.stat(b"p", out);
    let remove: Ask = |client, out| client.remove(b"p", out);
    let readdir: Ask = |client, out| client.readdir(&handle(b"h"), out);
    let realpath: Ask = |client, out| client.realpath(b"p", out);
    let ids: Ask = |client, out| client.users_groups_by_id(&[1, 2], &[3], out);
    let names_of = |users: &[&[u8]], groups: &[&[u8]]| {
        let list = |names: &[&[u8]]| names.iter().map(|name| name.to_vec()).collect();
        let mut reply = [201, 0, 0, 0, 1].to_vec();
        IdNames { users: list(users), groups: list(groups) }.encode(&mut reply);
        reply
    };
    let (few, many) = (names_of(&[b"a"], &[b"b"]), names_of(&[b"a", b"b"], &[&b"c"[..]; 9]));
    let id = 1;
    let mut two = Vec::new();
    2_u32.encode(&mut two);
    for _ in 0..2 {
        message::Entry { filename: b"a", longname: b"", attrs: Attrs::NONE }.encode(&mut two);
    }
    let names = |number: &'static [u8]| [&[104, 0, 0, 0, 1], number].concat();
    let none = names(&[0, 0, 0, 0]);
    let two = [&[104, 0, 0, 0, 1], &two[..]].concat();
    let status = |code| message::Status { id, code, message: b"", language: b"" };
    let unexpected = |operation, reply| PeerMisbehaved::UnexpectedReply { operation, reply };
    let ok_without = |operation| PeerMisbehaved::OkWithoutResult { operation };
    let attrs = Attrs::NONE;
    let cases: &[(Ask, &dyn Encode, PeerMisbehaved)] = &[
        (
            read,
            &message::Data { id, data: b"12345" },
            PeerMisbehaved::DataLongerThanAsked { asked: 4, got: 5 },
        ),
        (read, &message::Data { id, data: b"" }, PeerMisbehaved::EmptyData { asked: 4 }),
        (read, &status(StatusCode::Ok), ok_without("READ")),
        (read, &message::Attributes { id, attrs }, unexpected("READ", "ATTRS")),
        (read, &message::Handle { id, handle: b"" }, unexpected("READ", "HANDLE")),
        (read, &Rest(&two), unexpected("READ", "NAME")),
        (
            open,
            &message::Handle { id, handle: &[0; 257] },
            PeerMisbehaved::HandleTooLong { len: 257 },
        ),
        (open, &status(StatusCode::Ok), ok_without("OPEN")),
        (open, &message::Data { id, data: b"1" }, unexpected("OPEN", "DATA")),
        (stat, &message::Handle { id, handle: b"h" }, unexpected("STAT", "HANDLE")),
        (remove, &message::Data { id, data: b"" }, unexpected("REMOVE", "DATA")),
        (
            remove,
            &message::ExtendedReply { id, fields: Rest(b"") },
            unexpected("REMOVE", "EXTENDED_REPLY"),
        ),
        (readdir, &Rest(&none), PeerMisbehaved::EmptyNames { operation: "READDIR" }),
        (readdir, &status(StatusCode::Ok), ok_without("READDIR")),
        (realpath, &Rest(&none), PeerMisbehaved::EmptyNames { operation: "REALPATH" }),
        (
            realpath,
            &Rest(&two),
            PeerMisbehaved::MoreThanOneName { operation: "REALPATH", count: 2 },
        ),
        (ids, &Rest(&few), PeerMisbehaved::WrongNumberOfNames { asked: 2, got: 1 }),
        (ids, &Rest(&many), PeerMisbehaved::WrongNumberOfNames { asked: 1, got: 2 }),
        (ids, &status(StatusCode::Ok), ok_without("users-groups-by-id@openssh.com")),
        (
            stat,
            &message::Attributes { id: 2, attrs },
            PeerMisbehaved::UnknownId { id: 2, reply: "ATTRS" },
        ),
        (
            stat,
            &message::Data { id: 7, data: b"x" },
            PeerMisbehaved::UnknownId { id: 7, reply: "DATA" },
        ),
        (
            stat,
            &message::Version { version: 3, extensions: Pairs::default() },
            PeerMisbehaved::SecondVersion,
        ),
    ];
    for (ask, reply, misbehaved) in cases {
        let mut client = started();
        assert_eq!(ask(&mut client, &mut Vec::new()).unwrap().number(), id);
        let error = Error::PeerMisbehaved(*misbehaved);
        assert_eq!(client.feed(packet(*reply)), Err(error.clone()));
        assert_eq!((error.fault(), error.rule()), (ssh_wire::Fault::Peer, Some(misbehaved.rule())));
        // The session stays over, whatever comes.
        let fine = packet(&message::Attributes { id, attrs });
        assert_eq!(client.feed(fine), Err(error.clone()));
        assert_eq!(client.poll(), None);
        assert_eq!(client.error(), Some(&error));
    }
}

#[test]
fn replies_that_do_not_parse_name_the_place() {
    for (bytes, message, field) in [
        (&[105, 0, 0, 0, 1, 0, 0, 0, 1, 0][..], "Attributes", "attrs.size"),
        (&[104, 0, 0, 0, 1, 0, 0, 0, 9][..], "Name", "count"),
        (&[101, 0, 0][..], "Status", "id"),
        (&[103, 0, 0, 0, 1][..], "Data", "data"),
        (&[103, 0, 0, 0, 1, 0, 0, 0, 9, 1][..], "Data", "data"),
        (&[7, 0, 0, 0, 1][..], "FromServer", ""),
        (&[102, 0, 0, 0, 1, 0, 0, 0, 0, 0][..], "Handle", ""),
    ] {
        let mut client = started();
        let Err(Error::InvalidMessage(error)) = client.feed(packet(&Rest(bytes))) else {
            panic!("{bytes:?}");
        };
        assert_eq!((error.message, error.field), (message, field));
    }
    let mut client = started();
    let reply = Bytes::copy_from_slice(&(MAX_PACKET + 1).to_be_bytes());
    let length = MAX_PACKET + 1;
    assert_eq!(client.feed(reply), Err(PeerMisbehaved::PacketTooLong { length }.into()));
}

#[test]
fn a_reply_is_used_once() {
    let mut client = started();
    let id = client.stat(b"p", &mut Vec::new()).unwrap().number();
    let reply = packet(&message::Attributes { id, attrs: Attrs::NONE });
    client.feed(reply.clone()).unwrap();
    assert_eq!(client.feed(reply), Err(PeerMisbehaved::UnknownId { id, reply: "ATTRS" }.into()));
    // What came before can still be taken.
    assert!(client.poll().is_some());
}

#[test]
fn replies_come_in_any_order() {
    let mut client = started();
    let out = &mut Vec::new();
    let ids = [client.stat(b"a", out), client.stat(b"b", out), client.stat(b"c", out)];
    let ids = ids.map(Result::unwrap);
    for at in [2, 0, 1] {
        let attrs = Attrs::with_size(at);
        let id = ids[usize::try_from(at).unwrap()].number();
        client.feed(packet(&message::Attributes { id, attrs })).unwrap();
        let reply = client.poll().unwrap();
        assert_eq!((reply.id.number(), reply.response), (id, Response::Attrs(attrs)));
    }
}

#[test]
fn nothing_comes_before_version_and_versions_must_agree() {
    let feed = |message: &dyn Encode| {
        let mut client = Client::new();
        let out = &mut Vec::new();
        client.start(out).unwrap();
        client.stat(b"p", out).unwrap();
        client.feed(packet(message))
    };
    let early = feed(&message::Attributes { id: 1, attrs: Attrs::NONE });
    assert_eq!(early, Err(PeerMisbehaved::ReplyBeforeVersion { reply: "ATTRS" }.into()));
    for version in [0, 2, 4, 6, u32::MAX] {
        let answer = feed(&message::Version { version, extensions: Pairs::default() });
        assert_eq!(answer, Err(Error::UnsupportedVersion { theirs: version }));
    }
    assert_eq!(feed(&message::Version { version: 3, extensions: Pairs::default() }), Ok(()));
    // Before INIT, the server has nothing to say.
    let reply = packet(&message::Version { version: 3, extensions: Pairs::default() });
    assert_eq!(Client::new().feed(reply), Err(PeerMisbehaved::SecondVersion.into()));
}

#[test]
fn extensions_of_another_version_are_not_offered() {
    let mut client = Client::new();
    client.start(&mut Vec::new()).unwrap();
    let mut pairs = Vec::new();
    message::put_pair(&mut pairs, "statvfs@openssh.com", "1");
    message::put_pair(&mut pairs, "fsync@openssh.com", "1");
    message::put_pair(&mut pairs, "what@example.com", "");
    let extensions = Pairs::from_bytes(&pairs).unwrap();
    client.feed(packet(&message::Version { version: 3, extensions })).unwrap();
    assert_eq!(client.extensions(), Some(Extensions::NONE.with(crate::Extension::Fsync)));
    let out = &mut Vec::new();
    let not_offered = RequestError::NotOffered(crate::Extension::StatVfs);
    assert_eq!(client.statvfs(b"/", out), Err(not_offered));
    assert!(out.is_empty() && client.fsync(&handle(b"h"), out).is_ok());
}

#[test]
fn requests_that_cannot_be_sent_leave_nothing_behind() {
    let out = &mut Vec::new();
    assert_eq!(Client::new().stat(b"p", out), Err(RequestError::NotStarted));
    let mut client = started();
    let long = alloc::vec![b'x'; 40_000];
    let too_long = RequestError::TooLong { len: 40_009, limit: 34_000 };
    assert_eq!(client.stat(&long, out), Err(too_long));
    assert!(matches!(
        client.write_header(&handle(b"h"), 0, u32::MAX, out),
        Err(RequestError::TooLong { .. })
    ));
    assert_eq!((client.outstanding(), out.len()), (0, 0));
}

#[test]
fn requests_without_replies_are_bounded_and_so_are_replies_not_taken() {
    let mut client = started();
    let out = &mut Vec::new();
    let mut ids = Vec::new();
    while client.room() > 0 {
        ids.push(client.stat(b"p", out).unwrap());
    }
    assert_eq!(ids.len(), MAX_OUTSTANDING);
    assert_eq!(client.stat(b"p", out), Err(RequestError::TooManyOutstanding));
    let reply = packet(&message::Attributes { id: ids[0].number(), attrs: Attrs::NONE });
    client.feed(reply).unwrap();
    assert_eq!(client.stat(b"p", out), Err(RequestError::TooManyOutstanding));
    client.poll().unwrap();
    assert!(client.stat(b"p", out).is_ok());
}

#[test]
fn ids_that_wait_are_not_given_again() {
    let mut client = started();
    let out = &mut Vec::new();
    let waiting = client.stat(b"p", out).unwrap();
    client.session.last_id = u32::MAX;
    let next = client.stat(b"p", out).unwrap();
    assert!(next != waiting && next != RequestId::INIT, "{next}");
}

#[test]
fn a_write_is_a_header_and_the_data_behind_it() {
    let mut client = started();
    let (mut whole, mut header) = (Vec::new(), Vec::new());
    client.write(&handle(b"abc"), 5, b"data", &mut whole).unwrap();
    let id = client.write_header(&handle(b"abc"), 5, 4, &mut header).unwrap();
    header.extend_from_slice(b"data");
    let FromClient::Write(write) = FromClient::parse(&header[4..]).unwrap() else { panic!() };
    assert_eq!((write.id, write.offset, write.data), (id.number(), 5, &b"data"[..]));
    assert_eq!(header[..4], whole[..4]);
}

#[test]
fn reading_nothing_gives_nothing() {
    let mut client = started();
    let id = client.read(&handle(b"h"), 0, 0, &mut Vec::new()).unwrap();
    client.feed(packet(&message::Data { id: id.number(), data: b"" })).unwrap();
    assert_eq!(client.poll().unwrap().response, Response::Data(Chunks::new()));
}

#[test]
fn content_is_handed_out_where_it_was_received() {
    let mut client = started();
    let id = client.read(&handle(b"h"), 0, 4096, &mut Vec::new()).unwrap();
    let bytes = packet(&message::Data { id: id.number(), data: &[7; 4096] });
    client.feed(bytes.slice(..2000)).unwrap();
    assert_eq!(client.poll(), None);
    client.feed(bytes.slice(2000..)).unwrap();
    let Response::Data(chunks) = client.poll().unwrap().response else { panic!() };
    let places: Vec<_> = chunks.iter().map(|part| (part.as_ptr(), part.len())).collect();
    assert_eq!(places, [(bytes[13..].as_ptr(), 1987), (bytes[2000..].as_ptr(), 2109)]);
}

#[test]
fn cut_extended_replies_are_errors() {
    let mut client = started();
    let id = client.ask_limits(&mut Vec::new()).unwrap().number();
    let reply = message::ExtendedReply { id, fields: Rest(&[0; 31]) };
    let Err(Error::InvalidMessage(error)) = client.feed(packet(&reply)) else { panic!() };
    assert_eq!((error.message, error.field), ("limits@openssh.com", "max-open-handles"));
    assert!(matches!(error.kind, DecodeErrorKind::Truncated { .. }));
}

/// A client and a server with bytes between them that come in pieces.
struct Pair {
    client: Client,
    server: Server<Memory>,
    up: Vec<u8>,
    down: Vec<u8>,
    random: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let server = Server::new(Memory::new(b"/home/user"), &Config::default());
        let mut pair =
            Self { client: Client::new(), server, up: Vec::new(), down: Vec::new(), random: seed };
        pair.client.start(&mut pair.up).unwrap();
        assert_eq!(pair.reply(RequestId::INIT), Response::Version);
        let id = pair.client.ask_limits(&mut pair.up).unwrap();
        let Response::Limits(limits) = pair.reply(id) else { panic!() };
        assert_eq!((limits.max_read, limits.max_handles), (MAX_DATA, Some(256)));
        pair
    }

    fn below(&mut self, n: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from(self.random >> 40).unwrap() % n.max(1)
    }

    /// Moves some bytes, one way or the other.
    fn step(&mut self) {
        if self.below(2) == 0 {
            let n = self.below(self.up.len().min(70_000)) + 1;
            let some = &self.up[..n.min(self.up.len())];
            let taken = self.server.feed(some, &mut self.down).unwrap();
            self.up.drain(..taken);
        } else {
            let n = self.below(self.down.len().min(70_000)) + 1;
            let some: Vec<u8> = self.down.drain(..n.min(self.down.len())).collect();
            self.client.feed(Bytes::from(some)).unwrap();
        }
    }

    fn next(&mut self) -> Reply {
        for _ in 0..100_000 {
            if let Some(reply) = self.client.poll() {
                return reply;
            }
            self.step();
        }
        panic!("no reply");
    }

    fn reply(&mut self, id: RequestId) -> Response {
        let reply = self.next();
        assert_eq!(reply.id, id);
        reply.response
    }

    /// Makes a request and gives its answer.
    fn ask(
        &mut self,
        ask: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) -> Response {
        let id = ask(&mut self.client, &mut self.up).unwrap();
        self.reply(id)
    }

    fn status(
        &mut self,
        ask: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) -> StatusCode {
        match self.ask(ask) {
            Response::Status(status) => status.code,
            other => panic!("{other:?}"),
        }
    }

    fn open(&mut self, path: &[u8], flags: OpenFlags) -> Handle {
        match self.ask(|client, out| client.open(path, flags, &Attrs::NONE, out)) {
            Response::Handle(handle) => handle,
            other => panic!("{other:?}"),
        }
    }

    fn attrs(
        &mut self,
        ask: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) -> Attrs {
        match self.ask(ask) {
            Response::Attrs(attrs) => attrs,
            other => panic!("{other:?}"),
        }
    }

    fn put(&mut self, path: &[u8], content: &[u8], options: &Options) {
        let mut puts = Puts::new(options);
        let size = u64::try_from(content.len()).ok();
        puts.add_file(Item(0), PutFile { size, ..PutFile::default() });
        let (mut steps, mut handle) = (BTreeMap::new(), None);
        while !puts.is_idle() {
            while let Some(load) = puts.next_load() {
                let rest = &content[usize::try_from(load.range.offset).unwrap()..];
                let got = rest.len().min(usize::try_from(load.range.len).unwrap());
                puts.on_loaded(load, u32::try_from(got).unwrap(), got == rest.len());
            }
            while let Some(step) = puts.next(Time::ZERO) {
                let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
                let (client, up) = (&mut self.client, &mut self.up);
                let id = match (step, &handle) {
                    (PutStep::Open(_), None) => client.open(path, flags, &Attrs::NONE, up),
                    (PutStep::Write(_, _, range), Some(handle)) => {
                        let at = usize::try_from(range.offset).unwrap();
                        let data = &content[at..at + usize::try_from(range.len).unwrap()];
                        client.write(handle, range.offset, data, up)
                    }
                    (PutStep::Size(_), Some(handle)) => client.fstat(handle, up),
                    (PutStep::Close(..), Some(handle)) => client.close(handle, up),
                    other => panic!("{other:?}"),
                };
                steps.insert(id.unwrap(), step);
            }
            while let Some((item, result)) = puts.poll_finished() {
                assert_eq!((item, result), (Item(0), Ok(size.unwrap())));
            }
            if steps.is_empty() {
                continue;
            }
            let Reply { id, response } = self.next();
            match (steps.remove(&id).unwrap(), response) {
                (PutStep::Open(item), Response::Handle(opened)) => {
                    handle = Some(opened);
                    puts.on_opened(item);
                }
                (PutStep::Size(item), Response::Attrs(attrs)) => puts.on_size(item, attrs.size),
                (PutStep::Write(item, _, range), Response::Status(status)) => {
                    let ok = status.code == StatusCode::Ok;
                    puts.on_written(item, range.offset, ok, Time::ZERO);
                }
                (PutStep::Close(item, _), Response::Status(status)) => {
                    puts.on_closed(item, status.code == StatusCode::Ok);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    fn get(&mut self, path: &[u8], size: Option<u64>, options: &Options) -> Vec<u8> {
        let mut gets = Gets::new(options);
        gets.add_file(Item(0), 0, size);
        let (mut steps, mut handle) = (BTreeMap::new(), None);
        let mut copy = Vec::new();
        while !gets.is_idle() {
            while let Some(step) = gets.next(Time::ZERO) {
                let (client, up) = (&mut self.client, &mut self.up);
                let id = match (step, &handle) {
                    (GetStep::Open(_), None) => {
                        client.open(path, OpenFlags::READ, &Attrs::NONE, up)
                    }
                    (GetStep::Read(_, range), Some(handle)) => {
                        client.read(handle, range.offset, range.len, up)
                    }
                    (GetStep::Close(_), Some(handle)) => client.close(handle, up),
                    other => panic!("{other:?}"),
                };
                steps.insert(id.unwrap(), step);
            }
            let Reply { id, response } = self.next();
            match (steps.remove(&id).unwrap(), response) {
                (GetStep::Open(item), Response::Handle(opened)) => {
                    handle = Some(opened);
                    gets.on_opened(item);
                }
                (GetStep::Read(item, range), Response::Data(chunks)) => {
                    let at = usize::try_from(range.offset).unwrap();
                    copy.resize(copy.len().max(at + chunks.len()), 0);
                    chunks.copy_to(&mut copy[at..]);
                    let got = u32::try_from(chunks.len()).unwrap();
                    gets.on_data(item, range.offset, got, Time::ZERO);
                    gets.on_stored(got.into());
                }
                (GetStep::Read(item, range), Response::Status(status)) => {
                    assert_eq!(status.code, StatusCode::Eof);
                    gets.on_eof(item, range.offset, Time::ZERO);
                }
                (GetStep::Close(item), Response::Status(_)) => gets.on_closed(item),
                other => panic!("{other:?}"),
            }
            while let Some((_, result)) = gets.poll_finished() {
                copy.truncate(usize::try_from(result.unwrap()).unwrap());
            }
        }
        copy
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn files_survive_the_way_to_the_server_and_back(
        len in prop_oneof![0_usize..100, 0_usize..600_000],
        request_len in prop_oneof![500_u32..5000, Just(32_768), Just(MAX_DATA)],
        max_read in prop_oneof![Just(usize::MAX), 4000_usize..50_000],
        known in any::<bool>(),
        seed: u64,
    ) {
        let mut pair = Pair::new(seed);
        pair.server.file_system().max_read = max_read;
        let content: Vec<u8> = (0..len).map(|i| ((i * 31) >> 3).to_le_bytes()[0]).collect();
        let options = Options::new(request_len);
        pair.put(b"file", &content, &options);
        prop_assert!(pair.server.file_system().get(b"file") == content);
        let size = known.then(|| u64::try_from(len).unwrap());
        prop_assert!(pair.get(b"file", size, &options) == content);
        prop_assert_eq!((pair.server.open_handles(), pair.client.outstanding()), (0, 0));
    }
}

fn every_extension_of_later_years_reaches_the_server(pair: &mut Pair) {
    let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE;
    let (one, two) = (pair.open(b"dir/one", flags), pair.open(b"dir/two", flags));
    assert_eq!(pair.status(|c, out| c.write(&one, 0, b"content", out)), StatusCode::Ok);
    let copied = pair.status(|c, out| c.copy_data((&one, 3), 0, (&two, 1), out));
    assert_eq!(copied, StatusCode::Ok);
    let copy = pair.ask(|c, out| c.read(&two, 0, 100, out));
    assert_eq!(copy, Response::Data(Chunks::from(Bytes::from_static(b"\0tent"))));
    for (handle, path) in [(&one, &b"dir/one"[..]), (&two, b"dir/two")] {
        assert_eq!(pair.status(|c, out| c.close(handle, out)), StatusCode::Ok);
        assert_eq!(pair.status(|c, out| c.remove(path, out)), StatusCode::Ok);
    }
    let mode = Attrs::with_mode(0o711);
    assert_eq!(pair.status(|c, out| c.lsetstat(b"dir/file", &mode, out)), StatusCode::Ok);
    assert_eq!(
        pair.ask(|c, out| c.expand_path(b"~/dir", out)),
        Response::Path(b"/home/user/dir".to_vec())
    );
    let home = pair.ask(|c, out| c.home_directory(b"", out));
    assert_eq!(home, Response::Path(b"/root".to_vec()));
    assert_eq!(
        pair.ask(|c, out| c.users_groups_by_id(&[1, 77, 0], &[0], out)),
        Response::IdNames(IdNames {
            users: [&b"daemon"[..], b"", b"root"].map(Vec::from).to_vec(),
            groups: alloc::vec![b"root".to_vec()],
        })
    );
}

#[test]
fn every_operation_reaches_the_server() {
    let mut pair = Pair::new(1);
    let mode = Attrs::with_mode(0o700);
    assert_eq!(pair.status(|c, out| c.mkdir(b"dir", &mode, out)), StatusCode::Ok);
    let flags = OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE;
    let file = pair.open(b"dir/file", flags);
    assert_eq!(pair.status(|c, out| c.write(&file, 0, b"content", out)), StatusCode::Ok);
    assert_eq!(
        pair.ask(|c, out| c.read(&file, 3, 100, out)),
        Response::Data(Chunks::from(Bytes::from_static(b"tent")))
    );
    assert_eq!(pair.status(|c, out| c.read(&file, 7, 100, out)), StatusCode::Eof);
    assert_eq!(pair.status(|c, out| c.fsetstat(&file, &Attrs::with_size(3), out)), StatusCode::Ok);
    assert_eq!(pair.attrs(|c, out| c.fstat(&file, out)).size, Some(3));
    assert_eq!(pair.status(|c, out| c.fsync(&file, out)), StatusCode::Ok);
    assert!(matches!(pair.ask(|c, out| c.fstatvfs(&file, out)), Response::StatVfs(_)));
    assert_eq!(pair.status(|c, out| c.close(&file, out)), StatusCode::Ok);
    assert_eq!(pair.status(|c, out| c.setstat(b"dir/file", &mode, out)), StatusCode::Ok);
    let permissions = pair.attrs(|c, out| c.stat(b"dir/file", out)).permissions;
    assert_eq!(permissions, Some(Permissions::from_bits(0o100_700)));
    assert_eq!(pair.status(|c, out| c.symlink(b"dir/file", b"link", out)), StatusCode::Ok);
    assert!(pair.attrs(|c, out| c.lstat(b"link", out)).is_symlink());
    assert!(pair.attrs(|c, out| c.stat(b"link", out)).is_file());
    assert_eq!(pair.ask(|c, out| c.readlink(b"link", out)), Response::Path(b"dir/file".to_vec()));
    assert_eq!(
        pair.ask(|c, out| c.realpath(b"link", out)),
        Response::Path(b"/home/user/dir/file".to_vec())
    );
    assert_eq!(pair.status(|c, out| c.hardlink(b"dir/file", b"hard", out)), StatusCode::Ok);
    assert_eq!(pair.status(|c, out| c.rename(b"hard", b"link", out)), StatusCode::Failure);
    assert_eq!(pair.status(|c, out| c.posix_rename(b"hard", b"link", out)), StatusCode::Ok);
    assert!(pair.attrs(|c, out| c.lstat(b"link", out)).is_file());
    assert!(matches!(pair.ask(|c, out| c.statvfs(b"/", out)), Response::StatVfs(_)));
    every_extension_of_later_years_reaches_the_server(&mut pair);
    assert_eq!(pair.status(|c, out| c.rmdir(b"dir", out)), StatusCode::Failure);
    let Response::Handle(dir) = pair.ask(|c, out| c.opendir(b".", out)) else { panic!() };
    let Response::Names(names) = pair.ask(|c, out| c.readdir(&dir, out)) else { panic!() };
    let listed: Vec<&[u8]> =
        names.iter().filter_map(|name| name.component(NamingRules::Unix).ok()).collect();
    assert_eq!(listed, [&b"dir"[..], b"link"], "and not the dots");
    assert!(names[0].longname.starts_with(b"drwxr-xr-x "));
    assert_eq!(pair.status(|c, out| c.readdir(&dir, out)), StatusCode::Eof);
    assert_eq!(pair.status(|c, out| c.close(&dir, out)), StatusCode::Ok);
    for path in [&b"dir/file"[..], b"link"] {
        assert_eq!(pair.status(|c, out| c.remove(path, out)), StatusCode::Ok);
    }
    assert_eq!(pair.status(|c, out| c.rmdir(b"dir", out)), StatusCode::Ok);
    assert_eq!(pair.status(|c, out| c.stat(b"dir", out)), StatusCode::NoSuchFile);
}
