//! Large transfers, with keys exchanged anew all the time.

use std::path::Path;
use std::process::Command;

use chiton::Sftp;
use chiton_tests::against_each_peer;
use chiton_tests::peer::Peer;
use chiton_tests::sshd::Sshd;

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
    let content = std::fs::read(&remote).unwrap();
    std::fs::write(&local, &content[..1_500_000]).unwrap();
    sftp.get(remote.to_str().unwrap(), &local).resume(true).await.unwrap();
    assert!(same(&remote, &local));
    std::fs::write(&local, &content).unwrap();
    std::fs::write(&remote, &content[..1_234_567]).unwrap();
    sftp.put(&local, remote.to_str().unwrap()).resume(true).await.unwrap();
    assert!(same(&remote, &local));
}

against_each_peer!(
    a_large_file_each_way_while_we_rekey,
    a_large_file_each_way_while_the_server_rekeys,
    both_sides_rekey,
    a_transfer_is_resumed,
);
