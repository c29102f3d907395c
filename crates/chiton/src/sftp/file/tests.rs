//! Tests of [`File`].

use super::*;
use crate::sftp::testing::{World, millis};
use core::task::Waker;
use proptest::prelude::*;
use sftp::{
    StatusCode,
    server::{Operation, Policy},
};
use std::fs;
use tokio::io::{AsyncReadExt, AsyncSeekExt};

fn noise(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(31) >> 3).to_le_bytes()[0]).collect()
}

async fn update(sftp: &Sftp, path: &str) -> File {
    OpenOptions::new().read(true).write(true).create(true).open(sftp, path).await.unwrap()
}

#[tokio::test]
async fn whole_files_of_every_length_go_there_and_back() {
    let world = World::new().await;
    for len in [0, 1, 261_119, 261_120, 261_121, 5_000_000] {
        let bytes = noise(len);
        world.sftp.write("file", &bytes).await.unwrap();
        assert!(fs::read(world.path("file")).unwrap() == bytes, "{len}");
        assert!(world.sftp.read("file").await.unwrap() == bytes, "{len}");
    }
    world.settled().await;
    assert_eq!(world.open_handles(), 0);
}

#[tokio::test]
async fn small_writes_travel_together_while_something_is_under_way() {
    let world = World::new().await;
    let mut file = world.sftp.create("file").await.unwrap();
    let bytes = noise(100_000);
    for piece in bytes.chunks(10) {
        file.write_all(piece).await.unwrap();
    }
    file.flush().await.unwrap();
    assert!(fs::read(world.path("file")).unwrap() == bytes);
    assert!(world.writes() < 5_000, "{}", world.writes());
    // Alone, a small one goes at once.
    let before = world.writes();
    file.write_all(b"x").await.unwrap();
    world.settled().await;
    assert_eq!(world.writes(), before + 1);
}

#[tokio::test]
async fn a_refused_write_is_told_by_everything_that_comes_after_it() {
    let world = World::with(Policy::default().deny(Operation::Write), 0).await;
    let mut file = world.sftp.create("file").await.unwrap();
    file.write_all(&noise(1000)).await.unwrap();
    for _ in 0..2 {
        let error = unwrap_io(file.flush().await.unwrap_err());
        assert_eq!(error.sftp_status(), Some(StatusCode::PermissionDenied));
        assert!(error.to_string().contains("file"), "{error}");
        assert!(file.write_all(b"more").await.is_err());
        assert!(file.shutdown().await.is_err());
        assert!(file.sync_all().await.is_err());
    }
    assert!(file.write_at(b"x", 0).await.is_err());
    assert!(file.close().await.is_err());
    assert_eq!(world.open_handles(), 0);
    let error = world.sftp.write("file", b"x").await.unwrap_err();
    assert_eq!(error.sftp_status(), Some(StatusCode::PermissionDenied));
}

#[tokio::test]
async fn what_was_written_arrives_though_the_file_is_dropped() {
    let world = World::new().await;
    let mut file = world.sftp.create("file").await.unwrap();
    for piece in noise(10_000).chunks(100) {
        file.write_all(piece).await.unwrap();
    }
    drop(file);
    world.settled().await;
    assert!(fs::read(world.path("file")).unwrap() == noise(10_000));
    assert_eq!(world.open_handles(), 0);
}

#[tokio::test]
async fn places_do_not_depend_on_where_the_stream_is() {
    let world = World::new().await;
    let bytes = noise(1_000_000);
    let mut file = update(&world.sftp, "file").await;
    file.write_all(&bytes[..10]).await.unwrap();
    file.write_at(&bytes[600_000..], 600_000).await.unwrap();
    file.write_at(&bytes[10..600_000], 10).await.unwrap();
    let mut all = vec![0; 1_000_100];
    assert_eq!(file.read_at(&mut all, 0).await.unwrap(), 1_000_000);
    assert!(all[..1_000_000] == bytes);
    let mut part = [0; 100];
    assert_eq!(file.read_at(&mut part, 999_950).await.unwrap(), 50);
    assert_eq!(file.read_at(&mut part, 5_000_000).await.unwrap(), 0);
    assert_eq!(file.read_at(&mut [], 0).await.unwrap(), 0);
    assert_eq!(file.stream_position().await.unwrap(), 10);
    file.set_len(700).await.unwrap();
    assert_eq!(file.metadata().await.unwrap().size, Some(700));
    file.sync_all().await.unwrap();
    file.close().await.unwrap();
}

#[tokio::test]
async fn a_file_that_grows_is_read_on() {
    let world = World::new().await;
    fs::write(world.path("file"), b"one").unwrap();
    let mut file = world.sftp.open_file("file").await.unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).await.unwrap();
    fs::write(world.path("file"), b"one two").unwrap();
    file.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "one two");
}

/// A read that is dropped before it is ready takes nothing.
#[tokio::test]
async fn a_read_that_is_given_up_loses_nothing() {
    let world = World::new().await;
    let bytes = noise(2_000_000);
    fs::write(world.path("file"), &bytes).unwrap();
    let mut file = world.sftp.open_file("file").await.unwrap();
    let (mut copy, mut given_up) = (Vec::new(), 0);
    loop {
        let mut buf = [0; 50_000];
        let read = {
            let mut reading = core::pin::pin!(file.read(&mut buf));
            let mut cx = Context::from_waker(Waker::noop());
            reading.as_mut().poll(&mut cx)
        };
        match read {
            Poll::Pending => {
                given_up += 1;
                tokio::task::yield_now().await;
            }
            Poll::Ready(n) => match n.unwrap() {
                0 => break,
                n => copy.extend_from_slice(&buf[..n]),
            },
        }
    }
    assert!(copy == bytes && given_up > 0, "{given_up}");
}

#[tokio::test]
async fn an_open_that_is_given_up_leaves_nothing_open() {
    let world = World::new().await;
    fs::write(world.path("file"), b"x").unwrap();
    {
        let mut opening = core::pin::pin!(world.sftp.open_file("file"));
        let mut listing = core::pin::pin!(world.sftp.read_dir("."));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(opening.as_mut().poll(&mut cx).is_pending());
        assert!(listing.as_mut().poll(&mut cx).is_pending());
    }
    world.settled().await;
    world.settled().await;
    assert_eq!(world.open_handles(), 0);
}

#[tokio::test]
async fn copies_are_made_by_the_server_or_through_us() {
    use std::os::unix::fs::PermissionsExt as _;
    let copy_data = Operation::Extended(Extension::CopyData);
    for policy in [Policy::default(), Policy::default().deny(copy_data)] {
        let world = World::with(policy, 0).await;
        let bytes = noise(700_000);
        world.sftp.write("from", &bytes).await.unwrap();
        fs::set_permissions(world.path("from"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(world.path("longer"), noise(900_000)).unwrap();
        fs::write(world.path("empty"), b"").unwrap();
        for to in ["new", "longer"] {
            assert_eq!(world.sftp.copy("from", to).await.unwrap(), 700_000);
            assert!(fs::read(world.path(to)).unwrap() == bytes, "{to}");
            let mode = fs::metadata(world.path(to)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o640, "{to}");
        }
        assert_eq!(world.sftp.copy("empty", "new").await.unwrap(), 0);
        assert_eq!(fs::read(world.path("new")).unwrap(), b"");
        // Its own copy it may become, and it keeps what it has.
        fs::hard_link(world.path("from"), world.path("second")).unwrap();
        world.sftp.copy("from", "second").await.ok();
        assert!(fs::read(world.path("from")).unwrap() == bytes);
        fs::create_dir(world.path("dir")).unwrap();
        assert!(world.sftp.copy("dir", "x").await.is_err());
        assert!(!world.sftp.try_exists("x").await.unwrap());
        assert!(world.sftp.try_exists("dir").await.unwrap());
        world.settled().await;
        assert_eq!(world.open_handles(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn the_ordinary_traits_keep_a_long_link_full() {
    let world = World::with(Policy::default(), 50).await;
    let bytes = noise(16 << 20);
    let start = tokio::time::Instant::now();
    let mut file = world.sftp.create("file").await.unwrap();
    for piece in bytes.chunks(8 * 1024) {
        file.write_all(piece).await.unwrap();
    }
    file.close().await.unwrap();
    // One round trip to open, 4 MiB in each of the others, one for the last.
    assert!(millis(start) <= 700, "{}", millis(start));
    let start = tokio::time::Instant::now();
    let mut copy = Vec::new();
    let mut file = world.sftp.open_file("file").await.unwrap();
    file.read_to_end(&mut copy).await.unwrap();
    assert!(millis(start) <= 1100, "{}", millis(start));
    assert!(copy == bytes);
    let start = tokio::time::Instant::now();
    world.sftp.write("small", b"content").await.unwrap();
    assert!(millis(start) <= 200, "two round trips: {}", millis(start));
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Write(usize),
    Seek(SeekFrom),
    Flush,
    SetLen(u64),
    ReadAt(u64, usize),
    WriteAt(u64, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![0..50_usize, 0..300_000_usize];
    let at = 0..600_000_u64;
    prop_oneof![
        len.clone().prop_map(Step::Read),
        len.clone().prop_map(Step::Write),
        at.clone().prop_map(|at| Step::Seek(SeekFrom::Start(at))),
        (-1000..1000_i64).prop_map(|by| Step::Seek(SeekFrom::Current(by))),
        (-1000..10_i64).prop_map(|by| Step::Seek(SeekFrom::End(by))),
        Just(Step::Flush),
        at.clone().prop_map(Step::SetLen),
        (at.clone(), len.clone()).prop_map(|(at, len)| Step::ReadAt(at, len)),
        (at, len).prop_map(|(at, len)| Step::WriteAt(at, len)),
    ]
}

/// Does the same to a file of the machine.
async fn both(file: &mut File, local: &mut fs::File, step: Step) {
    use std::{
        io::{Read as _, Seek as _, Write as _},
        os::unix::fs::FileExt as _,
    };
    match step {
        Step::Read(len) => {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            file.take(len as u64).read_to_end(&mut ours).await.unwrap();
            local.take(len as u64).read_to_end(&mut theirs).unwrap();
            assert!(ours == theirs, "read {len}: {} {}", ours.len(), theirs.len());
        }
        Step::Write(len) => {
            let bytes = noise(len);
            file.write_all(&bytes).await.unwrap();
            local.write_all(&bytes).unwrap();
        }
        Step::Seek(to) => {
            let (ours, theirs) = (file.seek(to).await, local.seek(to));
            assert_eq!(ours.ok(), theirs.ok());
        }
        Step::Flush => file.flush().await.unwrap(),
        Step::SetLen(len) => {
            file.set_len(len).await.unwrap();
            local.set_len(len).unwrap();
            // What was read ahead is of before; a seek to the same place does not look again.
            file.restart_reader();
        }
        Step::ReadAt(at, len) => {
            let (mut ours, mut theirs) = (vec![0; len], vec![0; len]);
            let n = file.read_at(&mut ours, at).await.unwrap();
            assert_eq!(n, local.read_at(&mut theirs, at).unwrap());
            assert!(ours == theirs);
        }
        Step::WriteAt(at, len) => {
            let bytes = noise(len);
            file.write_at(&bytes, at).await.unwrap();
            local.write_all_at(&bytes, at).unwrap();
            file.restart_reader();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_file_does_what_a_file_of_the_machine_does(
        steps in proptest::collection::vec(step(), 1..25),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let mut file = update(&world.sftp, "file").await;
            let path = world.path("local");
            let mut local =
                fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
            for step in steps {
                both(&mut file, &mut local, step).await;
            }
            file.close().await.unwrap();
            assert!(fs::read(world.path("file")).unwrap() == fs::read(path).unwrap());
        });
    }
}
