//! Tests of the packets.

use super::*;
use crate::{attrs::tests::any_attrs, vectors};
use proptest::{collection::vec, prelude::*};
use ssh_wire::testing::{check_message, payload_and_one_more};

/// Checks that a message survives a round trip and that no cut of it does.
macro_rules! check {
    ($($message:expr),* $(,)?) => {
        $({
            let message = $message;
            let bytes = payload_and_one_more(&message);
            check_message(&message, &bytes);
        })*
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_message_survives_a_round_trip_and_no_cut(
        id: u32,
        offset: u64,
        len: u32,
        flags: u32,
        one in vec(any::<u8>(), 0..12),
        two in vec(any::<u8>(), 0..12),
        attrs in any_attrs(),
    ) {
        let flags = OpenFlags::from_bits(flags);
        let (path, handle, data): (&[u8], &[u8], &[u8]) = (&one, &one, &two);
        let (old, new): (&[u8], &[u8]) = (&one, &two);
        check!(
            Open { id, path, flags, attrs },
            Close { id, handle },
            Read { id, handle, offset, len },
            Write { id, handle, offset, data },
            Lstat { id, path },
            Fstat { id, handle },
            Setstat { id, path, attrs },
            Fsetstat { id, handle, attrs },
            Opendir { id, path },
            Readdir { id, handle },
            Remove { id, path },
            Mkdir { id, path, attrs },
            Rmdir { id, path },
            Realpath { id, path },
            Stat { id, path },
            Rename { id, old, new },
            Readlink { id, path },
            Symlink { id, target: old, link: new },
            Handle { id, handle },
            Data { id, data },
            Attributes { id, attrs },
        );
        let mut entries = alloc::vec![];
        for (filename, longname) in [(&one, &two), (&two, &one)] {
            Entry { filename, longname, attrs }.encode(&mut entries);
        }
        let entries = Entries { count: 2, bytes: &entries };
        check!(Name { id, entries });
        prop_assert_eq!(entries.iter().count(), 2);
        prop_assert!(entries.iter().all(|entry| entry.attrs == attrs));
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..80), number in 0_u8..=255) {
        let mut bytes = bytes;
        bytes.insert(0, number);
        let _ = FromClient::parse(&bytes);
        let _ = FromServer::parse(&bytes);
    }
}

#[test]
fn a_status_without_texts_is_read_as_one_with_empty_texts() {
    let whole = [101, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0, 1, b'x', 0, 0, 0, 0];
    let status = |message: &'static [u8]| {
        Ok(Status { id: 9, code: StatusCode::Failure, message, language: b"" })
    };
    assert_eq!(Status::parse(&whole), status(b"x"));
    assert_eq!(Status::parse(&whole[..14]), status(b"x"));
    assert_eq!(Status::parse(&whole[..9]), status(b""));
    for end in [0, 1, 5, 8, 10, 12, 13, 15, 17] {
        assert!(Status::parse(&whole[..end]).is_err(), "{end}");
    }
}

#[test]
fn more_names_than_bytes_is_an_error_at_once() {
    let error = Name::parse(&[104, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]).unwrap_err();
    assert_eq!(error.kind, DecodeErrorKind::TooMany { count: 0xffff_ffff, limit: 0 });
    assert_eq!(error.field, "count");
}

#[test]
fn a_cut_extension_pair_is_an_error() {
    let mut bytes = alloc::vec![2, 0, 0, 0, 3];
    put_pair(&mut bytes, "a@b", "1");
    let version = Version::parse(&bytes).unwrap();
    assert_eq!(version.extensions.iter().collect::<Vec<_>>(), [(&b"a@b"[..], &b"1"[..])]);
    for end in 6..bytes.len() {
        assert!(Version::parse(&bytes[..end]).is_err(), "{end}");
    }
}

#[test]
fn the_tables_name_every_number_once() {
    let mut numbers: Vec<u8> =
        FromClient::TABLE.iter().chain(FromServer::TABLE).map(|(number, ..)| *number).collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!((numbers.len(), count), (27, 27));
}

fn written(message: &dyn Encode) -> Vec<u8> {
    let mut out = Vec::new();
    put_packet(&mut out, message);
    out
}

#[test]
fn what_openssh_sent_reads_and_writes_the_same() {
    let mut seen = alloc::collections::BTreeSet::new();
    let mut client = |packet: &[u8]| {
        seen.insert(packet[4]);
        let message = FromClient::parse(&packet[4..]).unwrap();
        assert_eq!(written(&message), packet, "{message:?}");
    };
    let server = |packet: &[u8]| {
        let message = FromServer::parse(&packet[4..]).unwrap();
        assert_eq!(written(&message), packet, "{message:?}");
    };
    for exchange in vectors::exchanges() {
        // Two of the requests are no packets of the protocol, on purpose.
        if exchange.label.contains("type 99") || exchange.label.contains("> 256 KiB") {
            continue;
        }
        client(&exchange.request);
        exchange.response.iter().for_each(|response| server(response));
    }
    for (from_client, packet) in vectors::session() {
        if from_client { client(&packet) } else { server(&packet) }
    }
    assert_eq!(seen.len(), FromClient::TABLE.len(), "every request is among them");
}
