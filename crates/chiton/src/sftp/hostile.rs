//! Servers that break the rules, and what they must not make of us.

use core::{
    task::{Context, Waker},
    time::Duration,
};
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Wake,
};

use sftp::{
    Attrs, FileType, Permissions, StatusCode,
    limits::MAX_OUTSTANDING,
    message::{Attributes, Data, Entry, FromClient, Handle, Status, put_packet},
    server::Policy,
};
use ssh_wire::{Encode, Rest};

use super::{
    Sftp,
    testing::{World, scripted},
};
use crate::error::{Error, SftpErrorKind};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

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

/// Names a request, to be answered later.
fn id_of(request: &FromClient<'_>) -> Option<u32> {
    match request {
        FromClient::Stat(stat) => Some(stat.id),
        _ => None,
    }
}

#[tokio::test]
async fn more_requests_than_may_be_out_wait_for_their_turn() {
    const ALL: usize = 5 * MAX_OUTSTANDING;
    let most = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&most);
    let (out_now, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (entered, done) = (Arc::clone(&out_now), Arc::clone(&answered));
    let mut waiting = Vec::new();
    let sftp = scripted(move |request, out| {
        waiting.extend(id_of(&request));
        seen.fetch_max(waiting.len(), Ordering::SeqCst);
        let begun = entered.fetch_add(1, Ordering::SeqCst) + 1;
        // Nothing until no more can come, then everything, in the wrong order.
        if waiting.len() == MAX_OUTSTANDING || begun == ALL {
            while let Some(id) = waiting.pop() {
                put_packet(out, &Attributes { id, attrs: FILE });
            }
        }
    })
    .await;
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..ALL {
        let (sftp, done) = (sftp.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            sftp.metadata(format!("/{at}")).await.unwrap();
            done.fetch_add(1, Ordering::SeqCst);
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(answered.load(Ordering::SeqCst), ALL);
    assert_eq!(most.load(Ordering::SeqCst), MAX_OUTSTANDING);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn who_is_given_up_while_waiting_holds_up_nobody() {
    let mut waiting = Vec::new();
    let mut open = false;
    let sftp = scripted(move |request, out| {
        waiting.extend(id_of(&request));
        open |= waiting.len() == MAX_OUTSTANDING;
        if open {
            waiting.drain(..).for_each(|id| put_packet(out, &Attributes { id, attrs: FILE }));
        }
    })
    .await;
    let mut noop = Context::from_waker(Waker::noop());
    let mut given_up: Vec<_> =
        (0..MAX_OUTSTANDING + 20).map(|_| Box::pin(sftp.metadata("/x"))).collect();
    for future in &mut given_up {
        assert!(future.as_mut().poll(&mut noop).is_pending());
    }
    let woken = Arc::new(Woken::default());
    let mut last = Box::pin(sftp.metadata("/last"));
    let waker = Waker::from(Arc::clone(&woken));
    assert!(last.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    drop(given_up);
    // Nobody else looks for replies any more.
    assert!(woken.0.load(Ordering::SeqCst) > 0);
    tokio::time::timeout(PATIENCE, last).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_answers_nothing_is_left_when_that_was_asked_for() {
    let sftp = scripted(|_, _| {}).await;
    let limit = Duration::from_secs(5);
    sftp.set_request_timeout(limit);
    // The time before anything was asked does not count.
    tokio::time::sleep(Duration::from_secs(100)).await;
    let start = tokio::time::Instant::now();
    let (one, other) = tokio::join!(sftp.metadata("/x"), sftp.read_dir("/y"));
    assert_eq!(start.elapsed().as_secs(), 5);
    for error in [one.unwrap_err(), other.unwrap_err()] {
        assert!(
            matches!(kind(&error), SftpErrorKind::NoAnswer { after } if *after == limit),
            "{error}"
        );
        assert!(error.to_string().contains("did not answer for 5.0 s"), "{error}");
    }
    assert!(matches!(sftp.ended(), Some(SftpErrorKind::NoAnswer { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_slow_is_not_left() {
    let world = World::with(Policy::default(), 2000).await;
    world.sftp.set_request_timeout(Duration::from_secs(5));
    for name in ["a", "b", "c"] {
        world.sftp.write(name, b"content").await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    // Without a limit it may be silent as long as it likes.
    let sftp = scripted(|_, _| {}).await;
    let waits = tokio::time::timeout(Duration::from_secs(86_400), sftp.metadata("/x")).await;
    assert!(waits.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_does_not_begin_ends_at_some_time() {
    let (ours, _theirs) = tokio::io::duplex(1024);
    let error = Sftp::over(ours).await.unwrap_err();
    assert!(matches!(kind(&error), SftpErrorKind::NoAnswer { .. }), "{error}");
}

#[tokio::test]
async fn everything_works_while_others_have_all_requests_out() {
    let world = World::with(Policy::default(), 5).await;
    let (sftp, local) = (&world.sftp, tempfile::tempdir().unwrap());
    let content = vec![7; 300_000];
    sftp.write("there", &content).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut others = tokio::task::JoinSet::new();
    for _ in 0..MAX_OUTSTANDING + 500 {
        let (sftp, stop) = (sftp.clone(), Arc::clone(&stop));
        others.spawn(async move {
            while !stop.load(Ordering::SeqCst) {
                sftp.metadata("there").await.unwrap();
            }
        });
    }
    let full = async {
        while sftp.engine.room() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, full).await.unwrap();
    let work = async {
        assert_eq!(sftp.read("there").await.unwrap(), content);
        let mut file = sftp.create("new").await.unwrap();
        file.write_all(b"some").await.unwrap();
        file.write_all(b"more").await.unwrap();
        assert_eq!(file.metadata().await.unwrap().size, Some(8));
        assert_eq!(file.seek(std::io::SeekFrom::End(-1)).await.unwrap(), 7);
        file.close().await.unwrap();
        sftp.create_dir_all("a/b/c").await.unwrap();
        assert_eq!(sftp.list_dir(".").await.unwrap().len(), 3);
        sftp.remove_dir_all("a").await.unwrap();
        sftp.get("there", local.path().join("got")).await.unwrap();
        sftp.put(local.path().join("got"), "put").resume(true).await.unwrap();
        sftp.put(local.path(), "tree").recursive(true).await.unwrap();
        sftp.get("tree", local.path().join("back")).recursive(true).await.unwrap();
        drop(sftp.open_file("there").await.unwrap());
    };
    tokio::time::timeout(PATIENCE, work).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    while let Some(other) = others.join_next().await {
        other.unwrap();
    }
    world.settled().await;
    assert_eq!(world.open_handles(), 0);
    assert_eq!(std::fs::read(local.path().join("back/got")).unwrap(), content);
}

#[tokio::test]
async fn no_file_fills_the_memory_of_whoever_reads_it_whole() {
    let world = World::new().await;
    std::fs::write(world.path("f"), b"0123456789").unwrap();
    assert_eq!(world.sftp.read_up_to("f", 10).await.unwrap(), b"0123456789");
    let error = world.sftp.read_up_to("f", 9).await.unwrap_err();
    assert!(matches!(kind(&error), SftpErrorKind::ContentTooLong { limit: 9 }), "{error}");
    assert!(error.to_string().contains("read_up_to"), "{error}");
    let sparse = std::fs::File::create(world.path("large")).unwrap();
    sparse.set_len(u64::try_from(super::MAX_CONTENT).unwrap() + 1).unwrap();
    let error = world.sftp.read("large").await.unwrap_err();
    assert!(matches!(kind(&error), SftpErrorKind::ContentTooLong { .. }), "{error}");
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
