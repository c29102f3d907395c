//! Transfers: large ones with keys exchanged anew all the time, those over a long link, and those that
//! stop in the middle.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use chiton::error::{Error, SftpErrorKind};
use chiton::sftp::{Monitor, Resume, Verify};
use chiton::{Client, Sftp};
use chiton_tests::against_each_peer;
use chiton_tests::embedded::Wire;
use chiton_tests::peer::Peer;
use chiton_tests::sshd::{Sshd, whoami};

use crate::{key, to};

const MIB: u64 = 1024 * 1024;

/// A file of `size` bytes without a pattern.
fn make(path: &Path, size: u64) {
    let script = format!("head -c {size} /dev/urandom > \"$1\"");
    let status = Command::new("sh").args(["-c", &script, "make"]).arg(path).status().unwrap();
    assert!(status.success());
}

/// Whether two files have the same content.
fn same(one: &Path, other: &Path) -> bool {
    Command::new("cmp").arg(one).arg(other).status().unwrap().success()
}

/// Uploads a file, downloads what was uploaded, and compares all three.
async fn round_trip(sftp: &Sftp, size: u64) {
    let folder = tempfile::tempdir().unwrap();
    let [source, remote, back] = ["source", "remote", "back"].map(|name| folder.path().join(name));
    make(&source, size);
    sftp.put(&source, remote.to_str().unwrap()).await.unwrap();
    assert!(same(&source, &remote), "the upload differs");
    sftp.get(remote.to_str().unwrap(), &back).await.unwrap();
    assert!(same(&source, &back), "the download differs");
}

/// How many key exchanges the server has begun or joined, by its log at `LogLevel DEBUG1`.
fn key_exchanges(sshd: &Sshd) -> usize {
    sshd.log().matches("SSH2_MSG_KEXINIT received").count()
}

/// 256 MiB each way while we begin a key exchange after every MiB.
async fn a_large_file_each_way_while_we_rekey(peer: &Peer) {
    let sshd = Sshd::start(peer, "LogLevel DEBUG1");
    let builder = to(&sshd).rekey_after(MIB);
    let client = builder.auth(key()).connect().await.unwrap();
    let sftp = client.open_sftp().await.unwrap();
    round_trip(&sftp, 256 * MIB).await;
    // Data in flight while keys are exchanged belongs to the keys before.
    let exchanges = key_exchanges(&sshd);
    assert!(exchanges > 200, "only {exchanges} key exchanges");
}

/// The same while the server begins them.
async fn a_large_file_each_way_while_the_server_rekeys(peer: &Peer) {
    let sshd = Sshd::start(peer, "LogLevel DEBUG1\nRekeyLimit 1M");
    let client = to(&sshd).auth(key()).connect().await.unwrap();
    let sftp = client.open_sftp().await.unwrap();
    round_trip(&sftp, 256 * MIB).await;
    let exchanges = key_exchanges(&sshd);
    assert!(exchanges > 200, "only {exchanges} key exchanges");
}

/// Both sides begin at the same time, again and again, while data flows both ways.
async fn both_sides_rekey(peer: &Peer) {
    let sshd = Sshd::start(peer, "LogLevel DEBUG1\nRekeyLimit 256K");
    let builder = to(&sshd).rekey_after(MIB / 4);
    let client = builder.auth(key()).connect().await.unwrap();
    let (one, other) = (client.open_sftp().await.unwrap(), client.open_sftp().await.unwrap());
    tokio::join!(round_trip(&one, 24 * MIB), round_trip(&other, 24 * MIB));
    let exchanges = key_exchanges(&sshd);
    assert!(exchanges > 50, "only {exchanges} key exchanges");
}

/// A download that was cut off goes on where it stopped.
async fn a_transfer_is_resumed(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let client = crate::connect(sshd).await;
    let sftp = client.open_sftp().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [remote, local] = ["remote", "local"].map(|name| folder.path().join(name));
    make(&remote, 4 * MIB);
    let content = fs::read(&remote).unwrap();
    fs::write(&local, &content[..1_500_000]).unwrap();
    sftp.get(remote.to_str().unwrap(), &local).resume(true).await.unwrap();
    assert!(same(&remote, &local));
    fs::write(&local, &content).unwrap();
    fs::write(&remote, &content[..1_234_567]).unwrap();
    sftp.put(&local, remote.to_str().unwrap()).resume(true).await.unwrap();
    assert!(same(&remote, &local));
}

/// Everything takes 50 ms each way, and the server's window is 2 MiB.
async fn upload_over_a_long_link(sshd: &Sshd) -> usize {
    let server = ([127, 0, 0, 1], sshd.port()).into();
    let address = Wire::delayed(server, Duration::from_millis(50)).await;
    // Under this port it is known to nobody.
    let builder = Client::builder("127.0.0.1", address.port()).user(whoami());
    let builder = builder.dangerous().accept_any_host_key();
    let client = builder.auth(key()).connect().await.unwrap();
    let sftp = client.open_sftp().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [source, remote] = ["source", "remote"].map(|name| folder.path().join(name));
    make(&source, 48 * MIB);
    sftp.put(&source, remote.to_str().unwrap()).await.unwrap();
    assert!(same(&source, &remote));
    sshd.log().matches("Starting session: subsystem").count()
}

/// On a long link one upload takes as many channels as fill it, unasked.
async fn a_long_link_is_filled_by_several_channels(peer: &Peer) {
    let sshd = Sshd::start(peer, "LogLevel DEBUG1");
    let channels = upload_over_a_long_link(&sshd).await;
    assert!(channels > 1, "{channels}");
}

/// A server that allows one session only gets the file through that one.
async fn a_server_that_refuses_further_channels_gets_along_with_one(peer: &Peer) {
    let sshd = Sshd::start(peer, "LogLevel DEBUG1\nMaxSessions 1");
    assert_eq!(upload_over_a_long_link(&sshd).await, 1);
    assert!(sshd.log().contains("no more sessions"), "{}", sshd.log());
}

/// What a transfer of one file fails with.
fn failure<T>(result: Result<T, Error>) -> SftpErrorKind {
    match result.err().expect("it does not fail") {
        Error::Sftp(error) => error.kind,
        other => panic!("{other}"),
    }
}

/// A server with a shell says what it has by hash; one without cannot.
async fn copies_are_compared_by_hash_where_the_server_can(peer: &Peer) {
    let folder = tempfile::tempdir().unwrap();
    let [source, remote, back] = ["source", "remote", "back"].map(|name| folder.path().join(name));
    make(&source, 3 * MIB + 17);
    let there = remote.to_str().unwrap();
    let sftp = crate::connect(Sshd::shared(peer)).await.open_sftp().await.unwrap();
    let put = sftp.put(&source, there).verify(true).report().await;
    let get = sftp.get(there, &back).verify(true).report().await;
    for report in [put, get] {
        assert!(report.is_complete() && report.verified == 1, "{report:?}");
    }
    assert!(same(&source, &back));
    let mute = Sshd::start(peer, "ForceCommand internal-sftp");
    let sftp = crate::connect(&mute).await.open_sftp().await.unwrap();
    let error = sftp.put(&source, there).verify(true).await.unwrap_err();
    assert!(error.to_string().contains("does not run sha256sum"), "{error}");
    let report = sftp.put(&source, there).verify(Verify::IfPossible).report().await;
    assert!(report.is_complete() && report.verified == 0, "{report:?}");
}

/// What is there is compared before it is gone on behind it, by hash or by reading it.
async fn what_is_not_the_beginning_is_not_gone_on_behind(peer: &Peer) {
    let mute = Sshd::start(peer, "ForceCommand internal-sftp");
    for sshd in [Sshd::shared(peer), &mute] {
        let sftp = crate::connect(sshd).await.open_sftp().await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let [source, part] = ["source", "part"].map(|name| folder.path().join(name));
        make(&source, 2 * MIB);
        let content = fs::read(&source).unwrap();
        let mut changed = content[..1_000_000].to_vec();
        changed[999_000] ^= 1;
        fs::write(&part, &changed).unwrap();
        let (from, to) = (source.to_str().unwrap(), part.to_str().unwrap());
        for result in [
            sftp.get(from, &part).resume(true).await.map(drop),
            sftp.put(&source, to).resume(true).await.map(drop),
        ] {
            let kind = failure(result);
            assert!(matches!(kind, SftpErrorKind::ResumeMismatch { there: 1_000_000 }), "{kind}");
        }
        assert!(fs::read(&part).unwrap() == changed, "it was changed");
        sftp.put(&source, to).resume(Resume::Restart).await.unwrap();
        assert!(same(&source, &part));
    }
}

/// Until a new file is whole, there is the old one.
async fn the_old_file_stays_until_the_new_one_is_whole(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let folder = tempfile::tempdir().unwrap();
    let [source, remote] = ["source", "remote"].map(|name| folder.path().join(name));
    make(&source, 8 * MIB);
    fs::write(&remote, "old").unwrap();
    let there = remote.to_str().unwrap();
    for lost in [false, true] {
        let sftp = crate::connect(&sshd).await.open_sftp().await.unwrap();
        let monitor = Monitor::new();
        let mut seen = monitor.watch();
        let put = sftp.put(&source, there).atomic(true).limit_rate(4_000_000).monitor(&monitor);
        let stop = async {
            while seen.borrow_and_update().done < MIB {
                seen.changed().await.unwrap();
            }
            if lost {
                sshd.kill_connections();
            } else {
                monitor.cancel();
            }
        };
        let (put, ()) = tokio::join!(put.into_future(), stop);
        failure(put);
        assert_eq!(fs::read(&remote).unwrap(), b"old");
        // What was written is removed where there is still a server to do so.
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, if lost { 3 } else { 2 });
    }
    let sftp = crate::connect(&sshd).await.open_sftp().await.unwrap();
    sftp.put(&source, there).atomic(true).await.unwrap();
    assert!(same(&source, &remote));
}

/// What stops in the middle leaves a beginning, says how long it is, and can be gone on with.
async fn what_stops_in_the_middle_says_where_and_is_resumed(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let folder = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|name| folder.path().join(name));
    make(&source, 8 * MIB);
    let (from, to) = (source.to_str().unwrap(), target.to_str().unwrap());
    let content = fs::read(&source).unwrap();
    for (up, lost) in [(false, false), (false, true), (true, false), (true, true)] {
        fs::remove_file(&target).ok();
        let sftp = crate::connect(&sshd).await.open_sftp().await.unwrap();
        let monitor = Monitor::new();
        let mut seen = monitor.watch();
        let transfer = async {
            if up {
                sftp.put(&source, to).limit_rate(4_000_000).monitor(&monitor).await.map(drop)
            } else {
                sftp.get(from, &target).limit_rate(4_000_000).monitor(&monitor).await.map(drop)
            }
        };
        let stop = async {
            while seen.borrow_and_update().done < MIB {
                seen.changed().await.unwrap();
            }
            if lost {
                sshd.kill_connections();
            } else {
                monitor.cancel();
            }
        };
        let (result, ()) = tokio::join!(transfer, stop);
        let text = result.as_ref().unwrap_err().to_string();
        let SftpErrorKind::Interrupted { confirmed, .. } = failure(result) else {
            panic!("{text}")
        };
        assert!(text.contains(&format!("the first {confirmed} bytes are in place")), "{text}");
        let there = fs::read(&target).unwrap();
        // A server that was killed could not be told to cut what it had not confirmed.
        assert!(confirmed > 0 && there.len() as u64 >= confirmed, "{confirmed} {}", there.len());
        assert!(up && lost || there.len() as u64 == confirmed, "{confirmed} {}", there.len());
        let confirmed = usize::try_from(confirmed).unwrap();
        assert!(content[..confirmed] == there[..confirmed]);
        let sftp = crate::connect(&sshd).await.open_sftp().await.unwrap();
        if up {
            sftp.put(&source, to).resume(Resume::Restart).await.unwrap();
        } else {
            sftp.get(from, &target).resume(true).await.unwrap();
        }
        assert!(same(&source, &target));
    }
}

/// Holes are not filled with zeroes that take room.
async fn holes_stay_holes_on_both_sides(peer: &Peer) {
    let sftp = crate::connect(Sshd::shared(peer)).await.open_sftp().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [source, remote, back] = ["source", "remote", "back"].map(|name| folder.path().join(name));
    make(&source, MIB);
    let file = fs::OpenOptions::new().write(true).open(&source).unwrap();
    file.set_len(40 * MIB).unwrap();
    let there = remote.to_str().unwrap();
    sftp.put(&source, there).sparse(true).await.unwrap();
    sftp.get(there, &back).sparse(true).await.unwrap();
    for copy in [&remote, &back] {
        assert!(same(&source, copy));
        let taken = fs::metadata(copy).unwrap().blocks() * 512;
        assert!(taken < 4 * MIB, "{} takes {taken} bytes", copy.display());
    }
}

against_each_peer!(
    a_large_file_each_way_while_we_rekey,
    a_large_file_each_way_while_the_server_rekeys,
    both_sides_rekey,
    a_transfer_is_resumed,
    a_long_link_is_filled_by_several_channels,
    a_server_that_refuses_further_channels_gets_along_with_one,
    copies_are_compared_by_hash_where_the_server_can,
    what_is_not_the_beginning_is_not_gone_on_behind,
    the_old_file_stays_until_the_new_one_is_whole,
    what_stops_in_the_middle_says_where_and_is_resumed,
    holes_stay_holes_on_both_sides,
);
