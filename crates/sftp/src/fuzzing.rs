//! Fuzz targets: bodies that must neither panic nor hang, whatever the bytes.

#![expect(clippy::missing_panics_doc, reason = "a panic is what a fuzzer looks for")]

use alloc::vec::Vec;

use bytes::Bytes;
use ssh_wire::{Decode, Encode, Reader, Rest};

use crate::{
    Attrs, OpenFlags, OwnerNames,
    client::{Client, Response},
    extension::{ExtendedRequest, IdNames, StatVfs},
    limits::{Limits, MAX_OUTSTANDING, MAX_PACKET, OUTPUT_MARK},
    memory::Memory,
    message::{FromClient, FromServer},
    path,
    server::{Config, Server},
    transfer::{
        Options, PutFile,
        simulation::{self, Behaviour, Chance, Tree},
    },
};

/// A name and a body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this crate.
pub const TARGETS: &[Target] = &[
    ("sftp_messages", sftp_messages),
    ("sftp_client", sftp_client),
    ("sftp_server", sftp_server),
    ("transfer", transfer),
];

/// What parses also parses after being written, and is the same.
pub fn sftp_messages(data: &[u8]) {
    let written = |message: &dyn Encode| {
        let mut out = Vec::new();
        message.encode(&mut out);
        out
    };
    if let Ok(message) = FromClient::parse(data) {
        assert_eq!(FromClient::parse(&written(&message)).as_ref(), Ok(&message));
        if let FromClient::Extended(extended) = message
            && let Ok(request) = ExtendedRequest::parse(extended.name, extended.fields)
        {
            let mut fields = Vec::new();
            request.put_fields(&mut fields);
            assert_eq!(ExtendedRequest::parse(extended.name, Rest(&fields)), Ok(request));
        }
    }
    if let Ok(message) = FromServer::parse(data) {
        assert_eq!(FromServer::parse(&written(&message)).as_ref(), Ok(&message));
        if let FromServer::Name(name) = message {
            let count = u32::try_from(name.entries.iter().count());
            assert_eq!(count, Ok(name.entries.len()));
            for entry in name.entries.iter() {
                let _ = path::check_component(entry.filename, path::NamingRules::LOCAL);
                let line = crate::longname(
                    entry.filename,
                    &entry.attrs,
                    1,
                    OwnerNames::default(),
                    u32::MAX,
                );
                assert!(line.ends_with(entry.filename));
                let normal = path::normalize(entry.filename);
                assert_eq!(path::normalize(&normal), normal);
            }
        }
    }
    for most in [0, 3] {
        if let Ok(names) = IdNames::decode(&mut Reader::new("IdNames", data), most, most) {
            assert!(names.users.len() <= most.saturating_add(1));
        }
    }
    let _ = StatVfs::decode(&mut Reader::new("StatVfs", data));
    let _ = Limits::decode(&mut Reader::new("Limits", data));
}

/// Splits `data` into pieces whose lengths are its first bytes.
fn pieces(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (lens, mut rest) = data.split_at_checked(data.len().min(8)).unwrap_or((&[], data));
    let mut lens = lens.iter().cycle();
    core::iter::from_fn(move || {
        let len = lens.next().map_or(usize::MAX, |len| usize::from(*len).saturating_add(1));
        let (piece, left) = rest.split_at_checked(len.min(rest.len()))?;
        rest = left;
        (!piece.is_empty()).then_some(piece)
    })
}

/// A server that sends whatever it likes.
pub fn sftp_client(data: &[u8]) {
    let mut client = Client::new();
    let mut out = Vec::new();
    let _ = client.start(&mut out);
    // Requests of every kind are waiting: the bytes choose how they are answered.
    for path in [&b"a"[..], b"b"] {
        let _ = client.open(path, OpenFlags::READ, &Attrs::NONE, &mut out);
        let _ = client.stat(path, &mut out);
        let _ = client.realpath(path, &mut out);
        let _ = client.remove(path, &mut out);
    }
    for piece in pieces(data) {
        let before = client.error().cloned();
        let result = client.feed(Bytes::copy_from_slice(piece));
        assert!(before.is_none() || before == result.err(), "an error is for ever");
        while let Some(reply) = client.poll() {
            match reply.response {
                Response::Handle(handle) => {
                    let _ = client.read(&handle, 0, u32::MAX, &mut out);
                    let _ = client.readdir(&handle, &mut out);
                    let _ = client.fstatvfs(&handle, &mut out);
                    let _ = client.copy_data((&handle, 0), 0, (&handle, 9), &mut out);
                }
                Response::Version => {
                    let _ = client.ask_limits(&mut out);
                    let _ = client.statvfs(b"/", &mut out);
                    let _ = client.expand_path(b"~", &mut out);
                    let _ = client.home_directory(b"", &mut out);
                    let _ = client.lsetstat(b"a", &Attrs::NONE, &mut out);
                    let _ = client.users_groups_by_id(&[0, 1], &[2], &mut out);
                }
                Response::Data(chunks) => {
                    assert!(chunks.len() <= usize::try_from(MAX_PACKET).unwrap_or(usize::MAX));
                }
                _ => {}
            }
        }
        assert!(client.outstanding() <= MAX_OUTSTANDING);
    }
}

/// A client that sends whatever it likes.
pub fn sftp_server(data: &[u8]) {
    let mut fs = Memory::new(b"/home");
    fs.put(b"file", b"content");
    let mut server = Server::new(fs, &Config::default());
    let most = OUTPUT_MARK.saturating_add(usize::try_from(MAX_PACKET).unwrap_or(0));
    let mut out = Vec::new();
    let _ = server.feed(&[0, 0, 0, 5, 1, 0, 0, 0, 3], &mut out);
    for mut piece in pieces(data) {
        while !piece.is_empty() {
            out.clear();
            let Ok(taken) = server.feed(piece, &mut out) else { return };
            assert!(taken > 0 && out.len() <= most.saturating_add(4), "{} bytes", out.len());
            assert!(server.open_handles() <= Config::default().max_handles);
            piece = piece.get(taken..).unwrap_or_default();
        }
    }
}

/// Transfers of a tree, with a server that misbehaves as the bytes say.
pub fn transfer(data: &[u8]) {
    let mut bytes = data.iter().copied();
    let mut next = || bytes.next().unwrap_or(0);
    let bits = next();
    let behaviour = Behaviour {
        short_reads: bits & 1 != 0,
        grows: bits & 2 != 0,
        shrinks: bits & 4 != 0,
        errors: bits & 8 != 0,
        lies: bits & 16 != 0,
    };
    let mut options = Options::new(u32::from(next()).saturating_add(64));
    options.max_requests = usize::from(next());
    options.max_handles = usize::from(next());
    options.budget = u64::from(u16::from_be_bytes([next(), next()]));
    let directories = usize::from(next() & 7);
    let len = |bits: u8| usize::from(bits).saturating_mul(usize::from(bits)) & 0x7fff;
    let lens: Vec<usize> = (0..(next() & 7).saturating_add(1)).map(|_| len(next())).collect();
    let (lanes, switches) = (usize::from(next() & 3).saturating_add(1), next());
    let tree = Tree { lens, directories, start: 0 };
    // When the bytes are used up, a counter goes on, so that everything happens at some time.
    let mut count: u32 = 0;
    let mut chance = Chance(move || {
        count = count.wrapping_add(1);
        bytes.next().map_or_else(|| count.wrapping_mul(0x9e37_79b1) >> 16, u32::from)
    });
    if bits & 0x80 == 0 {
        for outcome in simulation::download(&options, &tree, behaviour, &mut chance) {
            let copy = outcome.copy.unwrap_or_default();
            if outcome.result.is_some_and(|result| result.is_ok()) && !behaviour.shrinks {
                assert!(outcome.file.starts_with(&copy), "the copy is not the file");
                assert!(behaviour.grows || copy == outcome.file, "the copy is cut");
            }
        }
        return;
    }
    let how = PutFile {
        set_attributes: switches & 1 != 0,
        sync: switches & 2 != 0,
        rename: switches & 4 != 0,
        ..PutFile::default()
    };
    for outcome in simulation::upload(&options, &tree, how, lanes, behaviour, &mut chance) {
        if outcome.result.is_some_and(|result| result.is_ok()) {
            assert!(outcome.copy == Some(outcome.file), "the copy is not the source");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_target_fails_on_random_bytes(
            data in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            TARGETS.iter().for_each(|(_, target)| target(&data));
        }
    }
}
