//! RSA as old servers have it: small keys, and signatures with SHA-1.

use std::path::{Path, PathBuf};
use std::process::Command;

use chiton::{Auth, Client, Error, HostKeys, Preferences};
use chiton_tests::against_each_peer;
use chiton_tests::keys::Keys;
use chiton_tests::peer::Peer;
use chiton_tests::sshd::{Sshd, known_hosts_line, whoami};
use tempfile::TempDir;

use crate::to;

/// An RSA key of 1024 bits.
fn small_key(peer: &Peer) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small");
    let mut keygen = Command::new(peer.program("ssh-keygen"));
    keygen.args(["-q", "-t", "rsa", "-b", "1024", "-N", "", "-f"]).arg(&path);
    let output = keygen.output().unwrap();
    assert!(output.status.success(), "{keygen:?}: {output:?}");
    (folder, path)
}

async fn connect(sshd: &Sshd, known: &Path, key: &Path, bits: usize) -> Result<Client, Error> {
    Client::builder("127.0.0.1", sshd.port())
        .user(whoami())
        .host_keys(HostKeys::known_hosts(known).unwrap())
        .auth(Auth::key_file(key))
        .required_rsa_size(bits)
        .connect()
        .await
}

async fn a_small_host_key_is_trusted_by_those_who_ask_for_it(peer: &Peer) {
    let (folder, small) = small_key(peer);
    let sshd = Sshd::start(peer, &format!("HostKey {}\n", small.display()));
    let known = folder.path().join("known_hosts");
    std::fs::write(&known, known_hosts_line(sshd.port(), &small)).unwrap();
    let key = Keys::get().user("ed25519");

    let error = connect(&sshd, &known, &key, 2048).await.unwrap_err().to_string();
    assert!(error.contains("an RSA key of 1024 bits, allowed are 2048 to 16384"), "{error}");
    assert!(error.contains("RequiredRSASize=1024 would allow it"), "{error}");

    let client = connect(&sshd, &known, &key, 1024).await.unwrap();
    client.rekey();
    assert!(client.exec("true").await.unwrap().status.success());
    // Asked for or not: it has to be the known one.
    std::fs::write(&known, "").unwrap();
    let refused = connect(&sshd, &known, &key, 1024).await;
    assert!(matches!(refused, Err(Error::HostKey(_))), "{refused:?}");
}

async fn a_large_key_can_be_demanded(peer: &Peer) {
    let sshd = Sshd::start(peer, &format!("HostKey {}\n", Keys::get().host("rsa").display()));
    let key = Keys::get().user("ed25519");
    let error = connect(&sshd, &sshd.known_hosts(), &key, 3072).await.unwrap_err().to_string();
    assert!(error.contains("an RSA key of 2048 bits, allowed are 3072 to 16384"), "{error}");
}

async fn a_small_user_key_is_used_by_those_who_ask_for_it(peer: &Peer) {
    let (folder, small) = small_key(peer);
    let authorized = small.with_extension("pub");
    let sshd = Sshd::start(peer, &format!("AuthorizedKeysFile {}\n", authorized.display()));
    let refused = connect(&sshd, &sshd.known_hosts(), &small, 2048).await;
    let Err(Error::KeyFile(error)) = &refused else { panic!("{refused:?}") };
    assert!(error.kind.to_string().contains("1024 bits"), "{error:?}");
    connect(&sshd, &sshd.known_hosts(), &small, 1024).await.unwrap();
    drop(folder);
}

/// A server that takes no other signatures of users: only by its name, and in no other build.
async fn signatures_with_sha1_are_made_for_those_who_ask_for_them(peer: &Peer) {
    let sshd = Sshd::start(peer, "PubkeyAcceptedAlgorithms ssh-rsa\n");
    let login = |preferences| {
        let auth = Auth::key_file(Keys::get().user("rsa"));
        to(&sshd).algorithms(preferences).auth(auth).connect()
    };
    let refused = login(Preferences::modern()).await;
    assert!(matches!(refused, Err(Error::Auth(_))), "{refused:?}");
    let mut preferences = Preferences::modern();
    // 9.2 says that it takes SHA-2 whether it does or not.
    let set = preferences.set_user_keys(if peer.is_v10() { "+ssh-rsa" } else { "ssh-rsa" });
    assert_eq!(set.is_ok(), cfg!(feature = "legacy"), "{set:?}");
    if set.is_ok() {
        let client = login(preferences).await.unwrap();
        assert!(client.exec("true").await.unwrap().status.success());
        assert!(sshd.log().contains("Accepted key RSA "), "{}", sshd.log());
    }
}

against_each_peer!(
    a_small_host_key_is_trusted_by_those_who_ask_for_it,
    a_large_key_can_be_demanded,
    a_small_user_key_is_used_by_those_who_ask_for_it,
    signatures_with_sha1_are_made_for_those_who_ask_for_them,
);
