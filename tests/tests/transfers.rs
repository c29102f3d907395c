//! Transfers of files and trees as those who embed the client see them, against our own server on
//! a real socket.

use std::{
    fs,
    os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    path::Path,
    time::Duration,
};

use chiton::{
    Sftp,
    error::{Error, SftpErrorKind},
    sftp::{FileState, Links, Monitor, Report, Resume, SkipReason, Verify},
};
use chiton_tests::embedded::{Embedded, Wire};
use tokio::time::timeout;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

async fn start() -> (Embedded, Sftp, tempfile::TempDir) {
    let server = Embedded::start().await;
    let sftp = server.connect().await.open_sftp().await.unwrap();
    (server, sftp, tempfile::tempdir().unwrap())
}

/// Content that tells files and places in them apart.
fn content(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from((at / 7 + at % 251 + seed * 31) % 256).unwrap()).collect()
}

/// A tree of `files` small files in nested directories, a large one, an empty one, and a link.
fn make_tree(at: &Path, files: usize) {
    for n in 0..files {
        let folder = at.join(format!("d{}/e{}", n % 5, n % 3));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("f{n}")), content(n, n * 37 % 9000)).unwrap();
    }
    fs::write(at.join("large"), content(1, 3_000_000)).unwrap();
    fs::write(at.join("empty"), "").unwrap();
    fs::create_dir(at.join("hollow")).unwrap();
    symlink("large", at.join("link")).unwrap();
}

/// What is in a tree: paths with content, targets or nothing, in order.
fn read_tree(at: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![at.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(at).unwrap().to_str().unwrap().to_owned();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                found.push((name, Vec::new()));
                folders.push(path);
            } else if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                found.push((name, target.to_str().unwrap().into()));
            } else {
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn complete(report: &Report) {
    assert!(report.is_complete(), "{:?}", report.failures);
}

/// The first failure of a report, which has some.
fn failure(report: Report) -> SftpErrorKind {
    match report.into_result().unwrap_err() {
        Error::Sftp(error) => error.kind,
        other => panic!("{other}"),
    }
}

/// Sends a tree and fetches it, with local files on a thread of their own or not.
async fn there_and_back(on_this_thread: bool) {
    let (server, sftp, temp) = start().await;
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    make_tree(&source, 300);
    let expected = read_tree(&source);
    let put = || sftp.put(&source, "tree").recursive(true).on_this_thread(on_this_thread);
    let report = timeout(PATIENCE, put().links(Links::Keep).report()).await.unwrap();
    complete(&report);
    assert_eq!((report.files, report.links), (302, 1));
    assert!(read_tree(&server.path("tree")) == expected);
    let back = temp.path().join("back");
    let get = || sftp.get("tree", &back).recursive(true).on_this_thread(on_this_thread);
    let report = timeout(PATIENCE, get().links(Links::Keep).report()).await.unwrap();
    complete(&report);
    assert_eq!((report.files, report.links, report.directories), (302, 1, 22));
    assert_eq!(report.bytes, report.moved);
    assert!(read_tree(&back) == expected);
    // Once more, over what is there.
    complete(&get().report().await);
    complete(&put().report().await);
    assert!(read_tree(&back) == expected && read_tree(&server.path("tree")) == expected);
}

#[tokio::test]
async fn a_tree_arrives_as_it_is_in_both_directions() {
    there_and_back(false).await;
}

#[tokio::test]
async fn a_tree_arrives_as_it_is_without_a_thread_for_local_files() {
    there_and_back(true).await;
}

#[tokio::test]
async fn modes_and_times_are_those_of_the_source_when_asked_for() {
    let (server, sftp, temp) = start().await;
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("f"), "x").unwrap();
    fs::set_permissions(source.join("f"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::create_dir(source.join("d")).unwrap();
    fs::write(source.join("d/g"), "y").unwrap();
    fs::set_permissions(source.join("d"), fs::Permissions::from_mode(0o555)).unwrap();
    let past = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    for name in ["f", "d"] {
        fs::File::open(source.join(name)).unwrap().set_modified(past).unwrap();
    }
    complete(&sftp.put(&source, "t").recursive(true).preserve(true).report().await);
    let back = temp.path().join("back");
    complete(&sftp.get("t", &back).recursive(true).preserve(true).report().await);
    for tree in [server.path("t"), back] {
        for (name, mode) in [("f", 0o751), ("d", 0o555)] {
            let metadata = fs::metadata(tree.join(name)).unwrap();
            assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (mode, 1_000_000), "{name}");
        }
        fs::set_permissions(tree.join("d"), fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(source.join("d"), fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn links_and_specials_are_left_out_or_followed_as_asked() {
    let (server, sftp, temp) = start().await;
    fs::create_dir_all(server.path("t/d")).unwrap();
    fs::write(server.path("t/f"), "content").unwrap();
    symlink("f", server.path("t/to-file")).unwrap();
    symlink("d", server.path("t/to-dir")).unwrap();
    let fifo = server.path("t/fifo");
    assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
    let get = |links, to: &str| sftp.get("t", temp.path().join(to)).recursive(true).links(links);
    let report = get(Links::Skip, "skip").report().await;
    complete(&report);
    let mut reasons: Vec<_> = report.skipped.iter().map(|s| s.reason).collect();
    reasons.sort_by_key(|reason| format!("{reason:?}"));
    assert_eq!(reasons, [SkipReason::Link, SkipReason::Link, SkipReason::Special]);
    let report = get(Links::Follow, "follow").report().await;
    complete(&report);
    assert_eq!(report.files, 2);
    assert_eq!(fs::read(temp.path().join("follow/to-file")).unwrap(), b"content");
    assert!(!temp.path().join("follow/to-dir").exists());
    // The other way.
    let back = sftp.put(temp.path().join("follow"), "back").recursive(true);
    complete(&back.links(Links::Follow).report().await);
    assert_eq!(fs::read(server.path("back/to-file")).unwrap(), b"content");
}

#[tokio::test]
async fn one_file_that_fails_does_not_end_the_rest() {
    let (server, sftp, temp) = start().await;
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    for n in 0..20 {
        fs::write(source.join(format!("f{n}")), content(n, 5000)).unwrap();
    }
    // A directory stands in the way of one.
    fs::create_dir_all(server.path("t/f7/x")).unwrap();
    let report = sftp.put(&source, "t").recursive(true).report().await;
    assert_eq!((report.files, report.failed), (19, 1));
    assert!(report.failures[0].to_string().contains("f7"), "{}", report.failures[0]);
    let back = temp.path().join("back");
    fs::create_dir_all(back.join("f3")).unwrap();
    fs::remove_dir_all(server.path("t/f7")).unwrap();
    let report = sftp.get("t", &back).recursive(true).report().await;
    assert_eq!((report.files, report.failed), (18, 1));
    assert!(report.failures[0].to_string().contains("f3"), "{}", report.failures[0]);
}

#[tokio::test]
async fn resuming_goes_on_only_behind_the_beginning_of_the_source() {
    let (server, sftp, temp) = start().await;
    let (local, whole) = (temp.path().join("f"), content(1, 2_000_000));
    fs::write(server.path("f"), &whole).unwrap();
    let mut other = whole[..900_000].to_vec();
    other[450_000..470_000].fill(0);
    // What is there is another file.
    fs::write(&local, &other).unwrap();
    let kind = failure(sftp.get("f", &local).resume(Resume::Verify).report().await);
    assert!(matches!(kind, SftpErrorKind::ResumeMismatch { there: 900_000 }), "{kind}");
    assert!(fs::read(&local).unwrap() == other, "it was left alone");
    let report = sftp.get("f", &local).resume(Resume::Restart).report().await;
    complete(&report);
    assert_eq!(report.moved, 2_000_000);
    assert!(fs::read(&local).unwrap() == whole);
    // It is the beginning.
    fs::write(&local, &whole[..900_000]).unwrap();
    let report = sftp.get("f", &local).resume(true).report().await;
    complete(&report);
    assert_eq!((report.moved, report.bytes), (1_100_000, 2_000_000));
    assert!(fs::read(&local).unwrap() == whole);
    // The same the other way.
    fs::write(server.path("g"), &other).unwrap();
    let kind = failure(sftp.put(&local, "g").resume(true).report().await);
    assert!(matches!(kind, SftpErrorKind::ResumeMismatch { .. }), "{kind}");
    assert!(fs::read(server.path("g")).unwrap() == other, "it was left alone");
    fs::write(server.path("g"), &whole[..1_999_999]).unwrap();
    let report = sftp.put(&local, "g").resume(true).report().await;
    complete(&report);
    assert_eq!(report.moved, 1);
    assert!(fs::read(server.path("g")).unwrap() == whole);
}

#[tokio::test]
async fn a_tree_is_resumed_where_it_stopped() {
    let (server, sftp, temp) = start().await;
    make_tree(server.root(), 60);
    let back = temp.path().join("back");
    complete(&sftp.get("/", &back).recursive(true).report().await);
    let before = read_tree(&back);
    fs::remove_dir_all(back.join("d2")).unwrap();
    fs::File::options().write(true).open(back.join("large")).unwrap().set_len(1_000_000).unwrap();
    let report = sftp.get("/", &back).recursive(true).resume(true).report().await;
    complete(&report);
    assert!(report.moved >= 2_000_000 && report.moved < 2_500_000, "{}", report.moved);
    assert!(read_tree(&back) == before);
}

#[tokio::test]
async fn an_atomic_file_replaces_the_old_one_when_it_is_whole() {
    let (server, sftp, temp) = start().await;
    let (local, new) = (temp.path().join("f"), content(3, 1_000_000));
    fs::write(&local, &new).unwrap();
    fs::write(server.path("f"), "old").unwrap();
    complete(&sftp.put(&local, "f").atomic(true).report().await);
    assert!(fs::read(server.path("f")).unwrap() == new);
    assert_eq!(fs::read_dir(server.root()).unwrap().count(), 1, "nothing else is left");
    fs::write(&local, "old").unwrap();
    complete(&sftp.get("f", &local).atomic(true).preserve(true).report().await);
    assert!(fs::read(&local).unwrap() == new);
    assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    // A name that a directory has.
    fs::create_dir_all(server.path("d/x")).unwrap();
    let report = sftp.put(&local, "d").atomic(true).report().await;
    assert!(!report.is_complete());
    assert_eq!(fs::read_dir(server.root()).unwrap().count(), 2, "what failed was removed");
}

#[tokio::test]
async fn holes_stay_holes() {
    let (server, sftp, temp) = start().await;
    let path = temp.path().join("f");
    let file = fs::File::create(&path).unwrap();
    file.write_all_at(b"begin", 0).unwrap();
    file.write_all_at(b"middle", 20 << 20).unwrap();
    file.set_len(40 << 20).unwrap();
    let report = sftp.put(&path, "f").sparse(true).report().await;
    complete(&report);
    assert!(report.moved < 4 << 20, "{}", report.moved);
    let back = temp.path().join("back");
    complete(&sftp.get("f", &back).sparse(true).report().await);
    let whole = fs::read(&path).unwrap();
    for copy in [server.path("f"), back] {
        assert!(fs::read(&copy).unwrap() == whole);
        assert!(fs::metadata(&copy).unwrap().blocks() * 512 < 4 << 20);
    }
}

#[tokio::test]
async fn copies_are_compared_when_asked_for() {
    let (server, sftp, temp) = start().await;
    // The commands of this server see other paths than its sessions do: nothing can be compared.
    fs::write(server.path("f"), content(5, 50_000)).unwrap();
    let local = temp.path().join("f");
    let report = sftp.get("f", &local).verify(Verify::IfPossible).report().await;
    complete(&report);
    assert_eq!((report.files, report.verified), (1, 0));
    let kind = failure(sftp.get("f", &local).verify(true).report().await);
    assert!(matches!(kind, SftpErrorKind::CannotVerify), "{kind}");
}

#[tokio::test]
async fn the_rate_is_kept() {
    let (server, sftp, temp) = start().await;
    fs::write(server.path("f"), content(5, 600_000)).unwrap();
    let local = temp.path().join("f");
    let began = std::time::Instant::now();
    complete(&sftp.get("f", &local).limit_rate(1_000_000).report().await);
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
    let began = std::time::Instant::now();
    complete(&sftp.put(&local, "g").limit_rate(1_000_000).report().await);
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_cancelled_transfer_says_what_is_confirmed_and_leaves_no_more() {
    let (server, sftp, temp) = start().await;
    let whole = content(9, 20_000_000);
    let (source, back) = (temp.path().join("source"), temp.path().join("back"));
    fs::write(&source, &whole).unwrap();
    let monitor = Monitor::new();
    let mut seen = monitor.watch();
    let put = sftp.put(&source, "f").limit_rate(10_000_000).monitor(&monitor);
    let cancel = async {
        while seen.borrow_and_update().done < 1_000_000 {
            seen.changed().await.unwrap();
        }
        monitor.cancel();
    };
    let (report, ()) =
        timeout(PATIENCE, async { tokio::join!(put.report(), cancel) }).await.unwrap();
    let kind = failure(report);
    let SftpErrorKind::Interrupted { confirmed, cause } = kind else { panic!("{kind}") };
    assert!(matches!(*cause, SftpErrorKind::Cancelled) && confirmed >= 900_000, "{confirmed}");
    let there = fs::read(server.path("f")).unwrap();
    assert_eq!(there.len(), usize::try_from(confirmed).unwrap());
    assert!(whole.starts_with(&there));
    // From there it can be resumed.
    complete(&sftp.put(&source, "f").resume(true).report().await);
    assert!(fs::read(server.path("f")).unwrap() == whole);
    let monitor = Monitor::new();
    let mut seen = monitor.watch();
    let get = sftp.get("f", &back).limit_rate(10_000_000).monitor(&monitor);
    let cancel = async {
        while seen.borrow_and_update().done < 1_000_000 {
            seen.changed().await.unwrap();
        }
        monitor.cancel();
    };
    let (report, ()) =
        timeout(PATIENCE, async { tokio::join!(get.report(), cancel) }).await.unwrap();
    let kind = failure(report);
    let SftpErrorKind::Interrupted { confirmed, .. } = kind else { panic!("{kind}") };
    let there = fs::read(&back).unwrap();
    assert_eq!(there.len(), usize::try_from(confirmed).unwrap());
    assert!(whole.starts_with(&there) && confirmed > 0);
}

#[tokio::test]
async fn a_dropped_download_keeps_what_has_no_gap() {
    let (server, sftp, temp) = start().await;
    let whole = content(2, 8_000_000);
    fs::write(server.path("f"), &whole).unwrap();
    let back = temp.path().join("back");
    let get = sftp.get("f", &back).limit_rate(8_000_000);
    assert!(timeout(Duration::from_millis(300), get.report()).await.is_err());
    // The thread that writes ends by itself.
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if fs::metadata(&back).is_ok_and(|metadata| metadata.len() > 0) {
            break;
        }
    }
    assert!(whole.starts_with(&fs::read(&back).unwrap()));
    complete(&sftp.get("f", &back).resume(true).report().await);
    assert!(fs::read(&back).unwrap() == whole);
}

#[tokio::test]
async fn a_lost_connection_leaves_of_each_file_of_a_tree_what_is_confirmed() {
    let server = Embedded::start().await;
    let temp = tempfile::tempdir().unwrap();
    let source = temp.path().join("source");
    fs::create_dir(&source).unwrap();
    for n in 0..12 {
        fs::write(source.join(format!("f{n}")), content(n, 1_500_000)).unwrap();
    }
    for round in 0..2 {
        let wire = Wire::to(server.address()).await;
        let ssh = server.at(wire.address()).connect().await.unwrap();
        let sftp = ssh.open_sftp().await.unwrap();
        let monitor = Monitor::new();
        let mut seen = monitor.watch();
        let (target, copy) = match round {
            0 => ("up", server.path("up")),
            _ => ("down", temp.path().join("down")),
        };
        let cut = async {
            while seen.borrow_and_update().done < 4_000_000 {
                seen.changed().await.unwrap();
            }
            wire.cut();
        };
        let transfer = async {
            match round {
                0 => {
                    let put = sftp.put(&source, target).recursive(true);
                    put.limit_rate(20_000_000).monitor(&monitor).report().await
                }
                _ => {
                    let get = sftp.get("up", &copy).recursive(true);
                    get.limit_rate(20_000_000).monitor(&monitor).report().await
                }
            }
        };
        let (report, ()) = timeout(PATIENCE, async { tokio::join!(transfer, cut) }).await.unwrap();
        assert!(!report.is_complete());
        // What is said to be confirmed is there.
        for error in &report.failures {
            let Error::Sftp(error) = error else { panic!("{error}") };
            let SftpErrorKind::Interrupted { confirmed, .. } = &error.kind else { continue };
            let name = String::from_utf8(error.path.clone()).unwrap();
            let name = name.rsplit('/').next().unwrap();
            let n: usize = name[1..].parse().unwrap();
            let there = fs::read(copy.join(name)).unwrap();
            let confirmed = usize::try_from(*confirmed).unwrap();
            assert!(there.len() >= confirmed && there[..confirmed] == content(n, confirmed));
            if round == 1 {
                assert_eq!(there.len(), confirmed, "it was cut to that");
            }
        }
        if round == 0 {
            complete(
                &server
                    .connect()
                    .await
                    .open_sftp()
                    .await
                    .unwrap()
                    .put(&source, "up")
                    .recursive(true)
                    .report()
                    .await,
            );
        }
    }
}

#[tokio::test]
async fn what_happens_can_be_watched() {
    let (server, sftp, temp) = start().await;
    fs::create_dir(server.path("t")).unwrap();
    for n in 0..5 {
        fs::write(server.path(&format!("t/f{n}")), content(n, 1000)).unwrap();
    }
    let monitor = Monitor::new();
    monitor.listen();
    let (told, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let get = sftp.get("t", temp.path().join("t")).recursive(true).monitor(&monitor);
    let get = get.progress(move |now| told.send(now).unwrap());
    complete(&get.report().await);
    let mut done = 0;
    while let Some(event) = monitor.event().await {
        done += usize::from(matches!(event.state, FileState::Done { size: 1000 }));
    }
    assert_eq!(done, 5);
    let mut last = None;
    while let Ok(now) = calls.try_recv() {
        last = Some(now);
    }
    let last = last.unwrap();
    assert!(last.finished && last.files_done == 5 && last.done == 5000);
    assert_eq!(monitor.progress(), last);
}
