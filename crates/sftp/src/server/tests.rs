//! Tests of [`Server`], among them that it answers as OpenSSH's server did.

use super::*;
use crate::{memory::Memory, message::FromServer, vectors};
use alloc::collections::BTreeMap;
use proptest::prelude::*;
use ssh_wire::testing::every_split;

const INIT: [u8; 9] = [0, 0, 0, 5, 1, 0, 0, 0, 3];

fn server() -> Server<Memory> {
    let mut fs = Memory::new(b"/home");
    fs.put(b"file", b"0123456789");
    Server::new(fs, &Config::default())
}

/// A server that has answered `INIT`.
fn started() -> Server<Memory> {
    let mut server = server();
    let mut out = Vec::new();
    assert_eq!(server.feed(&INIT, &mut out), Ok(INIT.len()));
    assert!(matches!(FromServer::parse(&out[4..]), Ok(FromServer::Version(_))));
    server
}

fn packet(message: &dyn Encode) -> Vec<u8> {
    let mut out = Vec::new();
    put_packet(&mut out, message);
    out
}

/// The one packet that answers `request`, without its length.
fn ask(server: &mut Server<Memory>, request: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    assert_eq!(server.feed(request, &mut out), Ok(request.len()));
    assert_eq!(out[..4], u32::try_from(out.len() - 4).unwrap().to_be_bytes(), "one packet");
    out.split_off(4)
}

fn status(server: &mut Server<Memory>, request: &dyn Encode) -> StatusCode {
    match FromServer::parse(&ask(server, &packet(request))).unwrap() {
        FromServer::Status(status) => status.code,
        other => panic!("{other:?}"),
    }
}

fn open(server: &mut Server<Memory>, path: &[u8], flags: OpenFlags) -> Vec<u8> {
    let request = message::Open { id: 1, path, flags, attrs: Attrs::NONE };
    match FromServer::parse(&ask(server, &packet(&request))).unwrap() {
        FromServer::Handle(reply) => reply.handle.to_vec(),
        other => panic!("{other:?}"),
    }
}

/// What is compared of two replies: times, block counts and longnames differ.
fn essence(packet: &[u8]) -> alloc::string::String {
    match FromServer::parse(packet).unwrap() {
        FromServer::Version(version) => alloc::format!("version {}", version.version),
        FromServer::Status(status) => alloc::format!("{status:?}"),
        FromServer::Handle(reply) => alloc::format!("handle for {}", reply.id),
        FromServer::Attributes(reply) => {
            alloc::format!("{} {}", reply.id, essence_of(&reply.attrs))
        }
        FromServer::ExtendedReply(reply) => {
            // The names of users and groups are the same everywhere.
            let fields = reply.fields.0;
            let same = if fields.windows(4).any(|word| word == b"root") { fields } else { &[] };
            alloc::format!("{} {} bytes {same:?}", reply.id, fields.len())
        }
        FromServer::Name(reply) => {
            let mut names: Vec<_> = reply
                .entries
                .iter()
                .map(|entry| (entry.filename.to_vec(), essence_of(&entry.attrs)))
                .collect();
            names.sort();
            alloc::format!("{} {names:?}", reply.id)
        }
        FromServer::Data(data) => alloc::format!("{data:?}"),
    }
}

/// Type and permissions, and the size but of directories.
fn essence_of(attrs: &Attrs) -> alloc::string::String {
    let size = attrs.size.filter(|_| !attrs.is_dir());
    alloc::format!("{:?} {size:?}", attrs.permissions.map(crate::Permissions::bits))
}

/// Puts our handle into a request that was recorded with OpenSSH's.
fn with_our_handle(request: &[u8], ours: &BTreeMap<Vec<u8>, Vec<u8>>) -> Vec<u8> {
    let Ok(parsed) = FromClient::parse(&request[4..]) else { return request.to_vec() };
    let our = |handle: &[u8]| ours.get(handle).cloned().unwrap_or_else(|| handle.to_vec());
    match parsed {
        FromClient::Close(m) => packet(&message::Close { handle: &our(m.handle), ..m }),
        FromClient::Read(m) => packet(&message::Read { handle: &our(m.handle), ..m }),
        FromClient::Write(m) => packet(&message::Write { handle: &our(m.handle), ..m }),
        FromClient::Fstat(m) => packet(&message::Fstat { handle: &our(m.handle), ..m }),
        FromClient::Fsetstat(m) => packet(&message::Fsetstat { handle: &our(m.handle), ..m }),
        FromClient::Readdir(m) => packet(&message::Readdir { handle: &our(m.handle), ..m }),
        FromClient::Extended(m) if m.name.starts_with(b"fs") => {
            let mut handle = Vec::new();
            our(&m.fields.0[4..]).as_slice().encode(&mut handle);
            packet(&message::Extended { fields: Rest(&handle), ..m })
        }
        FromClient::Extended(m) if m.name == b"copy-data" => {
            let Ok(ExtendedRequest::CopyData { from, from_offset, len, to, to_offset }) =
                ExtendedRequest::parse(m.name, m.fields)
            else {
                panic!()
            };
            let (from, to) = (&our(from)[..], &our(to)[..]);
            let mut fields = Vec::new();
            ExtendedRequest::CopyData { from, from_offset, len, to, to_offset }
                .put_fields(&mut fields);
            packet(&message::Extended { fields: Rest(&fields), ..m })
        }
        _ => request.to_vec(),
    }
}

#[test]
fn every_operation_is_answered_as_by_openssh() {
    let mut fs = Memory::new(b"/tmp/specwork/sd2");
    fs.make_dir(b"/dev", 0o755).unwrap();
    fs.put(b"/dev/zero", &[0; 300_000]);
    let mut server = Server::new(fs, &Config::default());
    let mut handles: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut compared = 0;
    for vectors::Exchange { label, request, response } in vectors::exchanges() {
        if label.starts_with("packet length") {
            let error = server.feed(&request, &mut Vec::new()).unwrap_err();
            assert_eq!(error, PeerMisbehaved::PacketTooLong { length: 0x0004_0001 }.into());
            continue;
        }
        let ours = ask(&mut server, &with_our_handle(&request, &handles));
        let Some(theirs) = response else {
            match FromServer::parse(&ours).unwrap() {
                FromServer::Status(status) if label.starts_with("unknown packet type") => {
                    assert_eq!(status.code, StatusCode::OpUnsupported);
                    assert_eq!(status.id, 5000);
                }
                FromServer::Data(data) => assert_eq!(data.data.len(), 261_120),
                other => panic!("{label}: {other:?}"),
            }
            continue;
        };
        assert_eq!(essence(&ours), essence(&theirs[4..]), "{label}");
        compared += 1;
        if let (Ok(FromServer::Handle(ours)), Ok(FromServer::Handle(theirs))) =
            (FromServer::parse(&ours), FromServer::parse(&theirs[4..]))
        {
            handles.insert(theirs.handle.to_vec(), ours.handle.to_vec());
        }
    }
    assert_eq!(compared, 90);
    assert_eq!(server.open_handles(), 1, "one is opened and never closed");
}

#[test]
fn nothing_is_done_before_init() {
    let mut server = server();
    let request = packet(&message::Remove { id: 1, path: b"file" });
    let error = Error::from(PeerMisbehaved::RequestBeforeInit { number: 13 });
    let mut out = Vec::new();
    assert_eq!(server.feed(&request, &mut out), Err(error.clone()));
    // And the session stays over.
    assert_eq!(server.feed(&INIT, &mut out), Err(error));
    assert!(out.is_empty());
    assert_eq!(server.file_system().get(b"file"), b"0123456789");
}

#[test]
fn a_second_init_is_answered_again() {
    let mut server = started();
    assert!(matches!(FromServer::parse(&ask(&mut server, &INIT)), Ok(FromServer::Version(_))));
}

#[test]
fn only_what_the_file_system_can_is_offered() {
    let mut server = started();
    server.extensions = Extensions::NONE.with(Extension::Limits);
    let reply = ask(&mut server, &INIT);
    let Ok(FromServer::Version(version)) = FromServer::parse(&reply) else { panic!() };
    let names: Vec<_> = version.extensions.iter().collect();
    assert_eq!(names, [(&b"limits@openssh.com"[..], &b"1"[..])]);
    let mut fields = Vec::new();
    b"file".as_slice().encode(&mut fields);
    let request = message::Extended { id: 1, name: b"statvfs@openssh.com", fields: Rest(&fields) };
    assert_eq!(status(&mut server, &request), StatusCode::OpUnsupported);
}

#[test]
fn cut_fields_are_a_bad_message_and_the_session_goes_on() {
    let mut server = started();
    let reply = ask(&mut server, &[0, 0, 0, 9, 3, 0, 0, 0, 7, 0, 0, 0, 9]);
    let Ok(FromServer::Status(reply)) = FromServer::parse(&reply) else { panic!() };
    assert_eq!((reply.id, reply.code), (7, StatusCode::BadMessage));
    assert_eq!(status(&mut server, &message::Remove { id: 1, path: b"file" }), StatusCode::Ok);
    // Without an id there is nothing to answer.
    let mut out = Vec::new();
    assert!(matches!(server.feed(&[0, 0, 0, 2, 3, 0], &mut out), Err(Error::InvalidMessage(_))));
}

#[test]
fn bytes_behind_the_fields_are_skipped() {
    let mut server = started();
    let mut request = packet(&message::Remove { id: 1, path: b"file" });
    request.extend([1, 2, 3]);
    request[3] += 3;
    let reply = ask(&mut server, &request);
    let Ok(FromServer::Status(reply)) = FromServer::parse(&reply) else { panic!() };
    assert_eq!(reply.code, StatusCode::Ok);
}

#[test]
fn paths_with_nul_never_reach_the_file_system() {
    let mut server = started();
    for path in [&b"file\0"[..], b"\0"] {
        assert_eq!(status(&mut server, &message::Remove { id: 1, path }), StatusCode::BadMessage);
        let attrs = Attrs::NONE;
        let open = message::Open { id: 1, path, flags: OpenFlags::READ, attrs };
        assert_eq!(status(&mut server, &open), StatusCode::BadMessage);
        let rename = message::Rename { id: 1, old: b"file", new: path };
        assert_eq!(status(&mut server, &rename), StatusCode::BadMessage);
        let link = message::Symlink { id: 1, target: path, link: b"l" };
        assert_eq!(status(&mut server, &link), StatusCode::BadMessage);
    }
    assert_eq!(server.file_system().get(b"file"), b"0123456789");
}

#[test]
fn the_table_of_handles_is_bounded_and_nothing_is_made_beyond_it() {
    let mut server =
        Server::new(Memory::new(b"/"), &Config { max_handles: 2, ..Config::default() });
    ask(&mut server, &INIT);
    let flags = OpenFlags::WRITE | OpenFlags::CREATE;
    let first = open(&mut server, b"a", flags);
    open(&mut server, b"b", flags);
    let third = message::Open { id: 1, path: b"c", flags, attrs: Attrs::NONE };
    assert_eq!(status(&mut server, &third), StatusCode::Failure);
    assert_eq!(status(&mut server, &message::Opendir { id: 1, path: b"/" }), StatusCode::Failure);
    assert_eq!(status(&mut server, &message::Remove { id: 1, path: b"c" }), StatusCode::NoSuchFile);
    assert_eq!(status(&mut server, &message::Close { id: 1, handle: &first }), StatusCode::Ok);
    let again = open(&mut server, b"c", flags);
    assert_ne!(again, first, "a handle that was closed does not soon come again");
    assert_eq!(server.open_handles(), 2);
}

#[test]
fn handles_that_were_never_given_are_refused() {
    let mut server = started();
    for handle in [&b""[..], b"abc", b"abcd", b"abcdefgh", &[0; 256]] {
        let offset = 0;
        for (request, code) in [
            (&message::Read { id: 1, handle, offset, len: 1 } as &dyn Encode, StatusCode::Failure),
            (&message::Write { id: 1, handle, offset, data: b"x" }, StatusCode::Failure),
            (&message::Fstat { id: 1, handle }, StatusCode::Failure),
            (&message::Readdir { id: 1, handle }, StatusCode::Failure),
            (&message::Close { id: 1, handle }, StatusCode::NoSuchFile),
        ] {
            assert_eq!(status(&mut server, request), code);
        }
    }
}

#[test]
fn offsets_that_no_file_has_are_a_bad_message() {
    let mut server = started();
    let handle = &*open(&mut server, b"file", OpenFlags::READ | OpenFlags::WRITE);
    for offset in [1 << 63, u64::MAX] {
        let read = message::Read { id: 1, handle, offset, len: 1 };
        assert_eq!(status(&mut server, &read), StatusCode::BadMessage);
        let write = message::Write { id: 1, handle, offset, data: b"x" };
        assert_eq!(status(&mut server, &write), StatusCode::BadMessage);
    }
    let read = message::Read { id: 1, handle, offset: (1 << 63) - 1, len: 1 };
    assert_eq!(status(&mut server, &read), StatusCode::Eof);
}

#[test]
fn a_file_opened_for_reading_is_not_written() {
    let mut server = started();
    let handle = &*open(&mut server, b"file", OpenFlags::READ);
    let write = message::Write { id: 1, handle, offset: 0, data: b"x" };
    assert_eq!(status(&mut server, &write), StatusCode::NoSuchFile);
    assert_eq!(server.file_system().get(b"file"), b"0123456789");
}

#[test]
fn output_is_bounded_and_input_waits() {
    let mut server = started();
    server.file_system().put(b"large", &[7; 1 << 20]);
    let handle = &*open(&mut server, b"large", OpenFlags::READ);
    let one = packet(&message::Read { id: 1, handle, offset: 0, len: u32::MAX });
    let requests = one.repeat(100);
    let (mut rest, mut replies) = (&requests[..], 0);
    while !rest.is_empty() {
        let mut out = Vec::new();
        let taken = server.feed(rest, &mut out).unwrap();
        assert!(taken > 0 && out.len() <= OUTPUT_MARK + 4 + crate::limits::MAX_PACKET as usize);
        // While the output waits, nothing is taken.
        if out.len() >= OUTPUT_MARK {
            assert_eq!(server.feed(&rest[taken..], &mut out), Ok(0));
        }
        replies += out.len() / (13 + MAX_DATA as usize);
        rest = &rest[taken..];
    }
    assert_eq!(replies, 100);
}

#[test]
fn long_listings_come_in_parts_that_everyone_accepts() {
    let mut server = started();
    for i in 0..300 {
        let name = alloc::format!("{i:0>200}");
        server.file_system().put(name.as_bytes(), b"");
    }
    let opendir = packet(&message::Opendir { id: 1, path: b"." });
    let reply = ask(&mut server, &opendir);
    let Ok(FromServer::Handle(message::Handle { handle, .. })) = FromServer::parse(&reply) else {
        panic!()
    };
    let readdir = packet(&message::Readdir { id: 1, handle });
    let (mut names, mut parts) = (0, 0);
    loop {
        let reply = ask(&mut server, &readdir);
        assert!(reply.len() <= 34_000);
        match FromServer::parse(&reply).unwrap() {
            FromServer::Name(reply) => {
                assert!(!reply.entries.is_empty() && reply.entries.len() <= 100);
                names += reply.entries.len();
                parts += 1;
            }
            FromServer::Status(status) => {
                assert_eq!(status.code, StatusCode::Eof);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(names == 303 && parts >= 4, "{names} {parts}");
}

#[test]
fn every_attribute_is_tried_and_the_last_error_told() {
    let mut server = started();
    let attrs = Attrs {
        size: Some(u64::MAX), // fails
        permissions: Some(crate::Permissions::from_bits(0o100_600)),
        ..Attrs::NONE
    };
    assert_eq!(
        status(&mut server, &message::Setstat { id: 1, path: b"file", attrs }),
        StatusCode::Failure
    );
    let attrs = server.file_system().stat(b"file").unwrap();
    assert_eq!(attrs.permissions.unwrap().mode(), 0o600);
}

/// The status of an extended request.
fn extended(server: &mut Server<Memory>, name: &[u8], request: &ExtendedRequest<'_>) -> StatusCode {
    let mut fields = Vec::new();
    request.put_fields(&mut fields);
    status(server, &message::Extended { id: 1, name, fields: Rest(&fields) })
}

#[test]
fn a_copy_needs_two_files_opened_for_it_and_says_if_there_was_less() {
    let mut server = started();
    let read = &*open(&mut server, b"file", OpenFlags::READ);
    let write = &*open(&mut server, b"copy", OpenFlags::WRITE | OpenFlags::CREATE);
    let second = &*open(&mut server, b"file", OpenFlags::WRITE);
    let opendir = message::Opendir { id: 1, path: b"." };
    let reply = ask(&mut server, &packet(&opendir));
    let Ok(FromServer::Handle(message::Handle { handle: dir, .. })) = FromServer::parse(&reply)
    else {
        panic!()
    };
    let mut copy = |from, from_offset, len, to, to_offset| {
        let request = ExtendedRequest::CopyData { from, from_offset, len, to, to_offset };
        extended(&mut server, b"copy-data", &request)
    };
    assert_eq!(copy(read, 2, 3, write, 1), StatusCode::Ok);
    assert_eq!(copy(read, 8, 3, write, 4), StatusCode::Eof, "less than was asked for");
    assert_eq!(copy(read, 0, 3, second, 0), StatusCode::Failure, "one file by two handles");
    assert_eq!(copy(read, 0, 3, read, 100), StatusCode::Failure);
    assert_eq!(copy(write, 0, 3, second, 0), StatusCode::NoSuchFile, "not open for reading");
    assert_eq!(copy(read, 0, 3, b"????", 0), StatusCode::NoSuchFile);
    assert_eq!(copy(dir, 0, 3, write, 0), StatusCode::Failure);
    assert_eq!(copy(read, 1 << 63, 3, write, 0), StatusCode::BadMessage);
    assert_eq!(copy(read, 0, 3, write, u64::MAX), StatusCode::BadMessage);
    assert_eq!(server.file_system().get(b"copy"), b"\x00234\x38\x39");
}

#[test]
fn attributes_of_a_link_are_its_own_and_have_no_size() {
    let mut server = started();
    let link = message::Symlink { id: 1, target: b"file", link: b"link" };
    assert_eq!(status(&mut server, &link), StatusCode::Ok);
    let name = b"lsetstat@openssh.com";
    let mut set =
        |attrs| extended(&mut server, name, &ExtendedRequest::Lsetstat { path: b"link", attrs });
    assert_eq!(set(Attrs::with_size(0)), StatusCode::BadMessage);
    assert_eq!(set(Attrs::with_mode(0o700)), StatusCode::Ok);
    let fs = server.file_system();
    assert_eq!(fs.lstat(b"link").unwrap().permissions.unwrap().mode(), 0o700);
    assert_eq!(fs.stat(b"link").unwrap().permissions.unwrap().mode(), 0o644);
}

#[test]
fn a_path_is_expanded_from_where_its_tilde_is_at_home() {
    let mut server = started();
    server.file_system().make_dir(b"/root", 0o700).unwrap();
    for (path, expanded) in [
        (&b"~"[..], &b"/home"[..]),
        (b"~/", b"/home"),
        (b"~//x", b"/home/x"),
        (b"", b"/home"),
        (b"x/..", b"/home"),
        (b"~root", b"/root"),
        (b"~root/new", b"/root/new"),
        (b"file~", b"/home/file~"),
    ] {
        if path == b"x/.." {
            server.file_system().make_dir(b"x", 0o700).unwrap();
        }
        let mut fields = Vec::new();
        ExtendedRequest::ExpandPath { path }.put_fields(&mut fields);
        let name = b"expand-path@openssh.com";
        let request = message::Extended { id: 1, name, fields: Rest(&fields) };
        let reply = ask(&mut server, &packet(&request));
        let Ok(FromServer::Name(reply)) = FromServer::parse(&reply) else { panic!("{path:?}") };
        assert_eq!(reply.entries.iter().next().unwrap().filename, expanded);
    }
}

#[test]
fn look_ups_of_names_are_bounded() {
    let mut server = started();
    let name = b"users-groups-by-id@openssh.com";
    let ids = alloc::vec![0; 4 * MAX_IDS];
    let (users, one) = (Ids::from_bytes(&ids).unwrap(), Ids::from_bytes(&ids[..4]).unwrap());
    let request = ExtendedRequest::UsersGroupsById { users, groups: one };
    assert_eq!(extended(&mut server, name, &request), StatusCode::Failure);
    let mut fields = Vec::new();
    ExtendedRequest::UsersGroupsById { users, groups: Ids::default() }.put_fields(&mut fields);
    let request = message::Extended { id: 1, name, fields: Rest(&fields) };
    let reply = ask(&mut server, &packet(&request));
    assert!(matches!(FromServer::parse(&reply), Ok(FromServer::ExtendedReply(_))));
    let cut = [&[0, 0, 0, 5][..], &[0; 5], &[0; 4]].concat();
    let cut = message::Extended { id: 1, name, fields: Rest(&cut) };
    assert_eq!(status(&mut server, &cut), StatusCode::BadMessage);
}

#[test]
fn a_read_only_server_changes_nothing_and_offers_no_extension_that_would() {
    let mut fs = Memory::new(b"/home");
    fs.put(b"file", b"0123456789");
    let config = Config { policy: Policy::default().read_only(), ..Config::default() };
    let mut server = Server::new(fs, &config);
    let mut out = Vec::new();
    server.feed(&INIT, &mut out).unwrap();
    let Ok(FromServer::Version(version)) = FromServer::parse(&out[4..]) else { panic!() };
    let offered: Vec<&[u8]> = version.extensions.iter().map(|(name, _)| name).collect();
    assert_eq!(offered.len(), 6);
    assert!(!offered.contains(&&b"copy-data"[..]));
    let (id, path, attrs) = (1, &b"file"[..], Attrs::with_mode(0));
    let open = |flags| message::Open { id, path, flags, attrs };
    let handle = &*self::open(&mut server, path, OpenFlags::READ);
    let (old, new, offset) = (path, &b"new"[..], 0);
    for request in [
        &open(OpenFlags::WRITE) as &dyn Encode,
        &open(OpenFlags::READ | OpenFlags::TRUNCATE),
        &open(OpenFlags::CREATE),
        &message::Write { id, handle, offset, data: b"x" },
        &message::Setstat { id, path, attrs },
        &message::Fsetstat { id, handle, attrs },
        &message::Remove { id, path },
        &message::Mkdir { id, path: new, attrs },
        &message::Rmdir { id, path },
        &message::Rename { id, old, new },
        &message::Symlink { id, target: old, link: new },
    ] {
        assert_eq!(status(&mut server, request), StatusCode::PermissionDenied);
    }
    for (extension, request) in [
        (Extension::PosixRename, ExtendedRequest::PosixRename { old, new }),
        (Extension::HardLink, ExtendedRequest::HardLink { old, new }),
        (Extension::Fsync, ExtendedRequest::Fsync { handle }),
        (Extension::Lsetstat, ExtendedRequest::Lsetstat { path, attrs }),
    ] {
        let code = extended(&mut server, extension.name().as_bytes(), &request);
        assert_eq!(code, StatusCode::PermissionDenied);
    }
    assert_eq!(status(&mut server, &message::Close { id, handle }), StatusCode::Ok);
    assert_eq!(server.file_system().get(b"file"), b"0123456789");
    assert_eq!(server.file_system().stat(path).unwrap().permissions.unwrap().mode(), 0o644);
}

#[test]
fn what_is_denied_is_not_done_and_an_observer_hears_of_everything() {
    let policy = Policy::default().deny(Operation::Remove).deny(Operation::Realpath);
    let mut fs = Memory::new(b"/home");
    fs.put(b"file", b"0123456789");
    let mut server = Server::new(fs, &Config { policy, ..Config::default() });
    let log = alloc::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = alloc::sync::Arc::clone(&log);
    server.observe(Box::new(move |request, code| {
        seen.lock().unwrap().push((Operation::of(request), code));
    }));
    ask(&mut server, &INIT);
    let (id, path) = (1, &b"file"[..]);
    let denied = StatusCode::PermissionDenied;
    assert_eq!(status(&mut server, &message::Remove { id, path }), denied);
    assert_eq!(status(&mut server, &message::Realpath { id, path }), denied);
    ask(&mut server, &packet(&message::Stat { id, path }));
    assert_eq!(
        status(&mut server, &message::Rename { id, old: b"file", new: b"x" }),
        StatusCode::Ok
    );
    assert_eq!(
        *log.lock().unwrap(),
        [
            (Some(Operation::Remove), denied),
            (Some(Operation::Realpath), denied),
            (Some(Operation::Stat), StatusCode::Ok),
            (Some(Operation::Rename), StatusCode::Ok),
        ]
    );
}

#[test]
fn requests_may_come_in_any_pieces() {
    let handle = &0_u32.to_be_bytes();
    let session = [
        INIT.to_vec(),
        packet(&message::Open {
            id: 1,
            path: b"new",
            flags: OpenFlags::READ | OpenFlags::WRITE | OpenFlags::CREATE,
            attrs: Attrs::NONE,
        }),
        packet(&message::Write { id: 2, handle, offset: 3, data: b"content" }),
        packet(&message::Read { id: 3, handle, offset: 0, len: 100 }),
        packet(&message::Close { id: 4, handle }),
    ]
    .concat();
    let mut expected: Option<Vec<u8>> = None;
    every_split(&session, |pieces| {
        let (mut server, mut out) = (server(), Vec::new());
        for piece in pieces {
            assert_eq!(server.feed(piece, &mut out), Ok(piece.len()));
        }
        assert_eq!(server.file_system().get(b"new"), b"\0\0\0content");
        assert_eq!(expected.get_or_insert_with(|| out.clone()), &out);
    });
}

proptest! {
    #[test]
    fn whatever_comes_is_answered_or_an_error(
        packets in proptest::collection::vec(
            (prop_oneof![3_u8..21, Just(200), 2_u8..=255], proptest::collection::vec(any::<u8>(), 4..40)),
            0..20,
        ),
    ) {
        let mut server = started();
        for (number, body) in packets {
            let mut request = alloc::vec![number];
            request.extend(&body);
            let reply = ask(&mut server, &packet(&Rest(&request)));
            let parsed = FromServer::parse(&reply);
            prop_assert!(parsed.is_ok(), "{parsed:?}");
            prop_assert_eq!(&reply[1..5], &body[..4], "the id of the request");
        }
    }
}
