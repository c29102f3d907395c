//! Servers that break the rules, and what they must not make of us.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use sftp::{
    Attrs, FileType, Permissions, StatusCode,
    message::{Attributes, Data, Entry, FromClient, Handle, Status, put_packet},
};
use ssh_wire::{Encode, Rest};

use super::testing::scripted;
use crate::error::{Error, SftpErrorKind};

const DIR: Attrs = of_type(FileType::Directory);
const FILE: Attrs = of_type(FileType::Regular);

const fn of_type(kind: FileType) -> Attrs {
    Attrs { permissions: Some(Permissions::new(kind, 0o755)), ..Attrs::NONE }
}

fn status(out: &mut Vec<u8>, id: u32, code: StatusCode) {
    put_packet(out, &Status { id, code, message: b"", language: b"" });
}

fn names(out: &mut Vec<u8>, id: u32, names: &[(&[u8], Attrs)]) {
    let mut fields = vec![104];
    id.encode(&mut fields);
    u32::try_from(names.len()).unwrap().encode(&mut fields);
    for &(filename, attrs) in names {
        Entry { filename, longname: b"", attrs }.encode(&mut fields);
    }
    put_packet(out, &Rest(&fields));
}

fn kind(error: &Error) -> &SftpErrorKind {
    let Error::Sftp(error) = error else { panic!("{error}") };
    &error.kind
}

#[tokio::test]
async fn an_answer_to_nobody_ends_the_session_and_says_so() {
    let sftp = scripted(|request, out| {
        let FromClient::Stat(stat) = request else { panic!("{request:?}") };
        put_packet(out, &Attributes { id: stat.id + 1000, attrs: FILE });
    })
    .await;
    for _ in 0..2 {
        let error = sftp.metadata("/x").await.unwrap_err();
        assert!(matches!(kind(&error), SftpErrorKind::Protocol(_)), "{error}");
        let text = error.to_string();
        assert!(text.contains("which waits for nothing") && text.contains("/x"), "{text}");
    }
    assert!(matches!(sftp.ended(), Some(SftpErrorKind::Protocol(_))));
}

#[tokio::test]
async fn more_than_was_asked_for_and_answers_given_twice_are_errors() {
    let sftp = scripted(|request, out| match request {
        FromClient::Open(open) => put_packet(out, &Handle { id: open.id, handle: b"h" }),
        FromClient::Read(read) => put_packet(out, &Data { id: read.id, data: &[0; 50] }),
        FromClient::Write(write) => {
            status(out, write.id, StatusCode::Ok);
            status(out, write.id, StatusCode::Ok);
        }
        other => panic!("{other:?}"),
    })
    .await;
    let file = sftp.open_file("/x").await.unwrap();
    let error = file.read_at(&mut [0; 20], 0).await.unwrap_err();
    assert!(error.to_string().contains("50 bytes where 20 were asked for"), "{error}");
    let sftp = scripted(|request, out| match request {
        FromClient::Open(open) => put_packet(out, &Handle { id: open.id, handle: b"h" }),
        FromClient::Write(write) => {
            status(out, write.id, StatusCode::Ok);
            status(out, write.id, StatusCode::Ok);
        }
        other => panic!("{other:?}"),
    })
    .await;
    let error = sftp.write("/x", b"content").await.unwrap_err();
    assert!(error.to_string().contains("which waits for nothing"), "{error}");
}

#[tokio::test]
async fn four_billion_names_are_refused_before_there_is_memory_for_them() {
    let sftp = scripted(|request, out| match request {
        FromClient::Opendir(dir) => put_packet(out, &Handle { id: dir.id, handle: b"h" }),
        FromClient::Readdir(dir) => {
            let id = dir.id.to_be_bytes();
            put_packet(out, &Rest(&[&[104], &id[..], &[0xff; 4]].concat()));
        }
        _ => {}
    })
    .await;
    let error = sftp.list_dir("/").await.unwrap_err();
    assert!(matches!(kind(&error), SftpErrorKind::Protocol(_)), "{error}");
    assert!(error.to_string().contains("4294967295"), "{error}");
}

/// What comes behind the end of a file is not of the file.
#[tokio::test]
async fn data_behind_the_end_is_not_taken() {
    let sftp = scripted(|request, out| match request {
        FromClient::Open(open) => put_packet(out, &Handle { id: open.id, handle: b"h" }),
        FromClient::Read(read) => match read.offset {
            0 => put_packet(out, &Data { id: read.id, data: b"abc" }),
            3 => status(out, read.id, StatusCode::Eof),
            _ => put_packet(out, &Data { id: read.id, data: b"more" }),
        },
        FromClient::Close(close) => status(out, close.id, StatusCode::Ok),
        other => panic!("{other:?}"),
    })
    .await;
    assert_eq!(sftp.read("/x").await.unwrap(), b"abc");
    // And names behind the end of a directory do not make it endless.
    let asked = AtomicUsize::new(0);
    let sftp = scripted(move |request, out| match request {
        FromClient::Opendir(dir) => put_packet(out, &Handle { id: dir.id, handle: b"h" }),
        FromClient::Readdir(dir) => match asked.fetch_add(1, Ordering::SeqCst) {
            0 => status(out, dir.id, StatusCode::Eof),
            _ => names(out, dir.id, &[(b"late", FILE)]),
        },
        FromClient::Close(close) => status(out, close.id, StatusCode::Ok),
        other => panic!("{other:?}"),
    })
    .await;
    assert!(sftp.list_dir("/").await.unwrap().len() <= 1);
}

#[tokio::test]
async fn a_listing_without_end_that_nobody_reads_on_asks_no_more() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    let sftp = scripted(move |request, out| match request {
        FromClient::Opendir(dir) => put_packet(out, &Handle { id: dir.id, handle: b"h" }),
        FromClient::Readdir(dir) => {
            counter.fetch_add(1, Ordering::SeqCst);
            names(out, dir.id, &[(&b"again"[..], FILE); 100]);
        }
        FromClient::Close(close) => status(out, close.id, StatusCode::Ok),
        FromClient::Realpath(path) => names(out, path.id, &[(b"/", Attrs::NONE)]),
        other => panic!("{other:?}"),
    })
    .await;
    let mut listing = sftp.read_dir("/").await.unwrap();
    for _ in 0..5000 {
        assert!(listing.next_entry().await.unwrap().is_some());
    }
    sftp.canonicalize(".").await.unwrap();
    let before = asked.load(Ordering::SeqCst);
    assert!(before <= 50 + 16, "{before}");
    sftp.canonicalize(".").await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), before);
}

/// A server whose every directory has what `entries` say.
async fn removed(entries: Vec<(Vec<u8>, Attrs)>) -> (Error, Vec<Vec<u8>>, usize) {
    let removed = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::new(AtomicUsize::new(0));
    let (log, counter) = (Arc::clone(&removed), Arc::clone(&requests));
    let mut told = std::collections::HashSet::new();
    let mut handle: u32 = 0;
    let sftp = scripted(move |request, out| {
        counter.fetch_add(1, Ordering::SeqCst);
        match request {
            FromClient::Lstat(stat) => put_packet(out, &Attributes { id: stat.id, attrs: DIR }),
            FromClient::Opendir(dir) => {
                handle += 1;
                put_packet(out, &Handle { id: dir.id, handle: &handle.to_be_bytes() });
            }
            FromClient::Readdir(dir) if entries.len() > 1 || told.insert(dir.handle.to_vec()) => {
                let entries: Vec<(&[u8], Attrs)> =
                    entries.iter().map(|(name, attrs)| (&**name, *attrs)).collect();
                names(out, dir.id, &entries);
            }
            FromClient::Readdir(dir) => status(out, dir.id, StatusCode::Eof),
            FromClient::Remove(file) => {
                log.lock().unwrap().push(file.path.to_vec());
                // Late, as from a slow disk: never.
            }
            FromClient::Close(close) => status(out, close.id, StatusCode::Ok),
            other => panic!("{other:?}"),
        }
    })
    .await;
    let error = sftp.remove_dir_all("/tree").await.unwrap_err();
    let removed = removed.lock().unwrap().clone();
    (error, removed, requests.load(Ordering::SeqCst))
}

#[tokio::test]
async fn directories_nested_for_ever_are_left_at_some_depth() {
    let (error, removed, requests) = removed(vec![(b"deeper".to_vec(), DIR)]).await;
    assert!(matches!(kind(&error), SftpErrorKind::TooDeep { limit: 1024 }), "{error}");
    assert!(removed.is_empty() && requests < 10_000, "{requests}");
}

#[tokio::test]
async fn names_that_lead_elsewhere_are_not_removed() {
    for name in [&b"../x"[..], b"/etc/passwd", b"a/b", b"", b"a\0b"] {
        let entries = vec![(b".".to_vec(), DIR), (b"..".to_vec(), DIR), (name.to_vec(), FILE)];
        let (error, removed, _) = removed(entries).await;
        assert!(matches!(kind(&error), SftpErrorKind::BadName(_)), "{error}");
        assert!(removed.is_empty(), "{removed:?}");
    }
}

#[tokio::test]
async fn names_that_wait_for_their_removal_are_bounded() {
    let entries = (0..8).map(|letter| (vec![b'a' + letter; 30_000], FILE)).collect();
    let (error, removed, requests) = removed(entries).await;
    assert!(matches!(kind(&error), SftpErrorKind::ListingTooLong { .. }));
    assert!(removed.len() <= 64 && requests < 1000, "{} {requests}", removed.len());
}

#[tokio::test]
async fn names_in_errors_cannot_steer_a_terminal() {
    let sftp = scripted(|request, out| match request {
        FromClient::Lstat(stat) => put_packet(out, &Attributes { id: stat.id, attrs: DIR }),
        FromClient::Opendir(dir) => put_packet(out, &Handle { id: dir.id, handle: b"h" }),
        FromClient::Readdir(dir) => names(out, dir.id, &[(b"a\x1b]0;x\x07", FILE)]),
        FromClient::Remove(file) => put_packet(
            out,
            &Status {
                id: file.id,
                code: StatusCode::Failure,
                message: b"no \x1b[31m\r",
                language: b"",
            },
        ),
        FromClient::Close(close) => status(out, close.id, StatusCode::Ok),
        other => panic!("{other:?}"),
    })
    .await;
    let text = sftp.remove_dir_all("/tree").await.unwrap_err().to_string();
    assert!(text.contains("/tree/a") && text.contains("no "), "{text}");
    assert!(!text.contains(['\x1b', '\x07', '\r']), "{text:?}");
}
