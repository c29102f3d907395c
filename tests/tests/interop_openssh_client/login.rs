//! Logging in with OpenSSH's client, and how it sees our host keys.

use std::process::Command;

use chiton_tests::against_each_peer;
use chiton_tests::keys::{KINDS, Keys, public_blob};
use chiton_tests::openssh::Clients;
use chiton_tests::peer::Peer;

use crate::{Ours, PASSWORD, USER};

async fn every_type_of_user_key(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    for kind in peer.kinds() {
        let identity = format!("IdentityFile={}", Keys::get().user(kind).display());
        clients.ssh(&[&identity], "true", &[]).ok();
    }
    // RSA keys sign with either hash.
    let identity = format!("IdentityFile={}", Keys::get().user("rsa").display());
    for algorithm in ["rsa-sha2-256", "rsa-sha2-512"] {
        let accepted = format!("PubkeyAcceptedAlgorithms={algorithm}");
        clients.ssh(&[&identity, &accepted], "true", &[]).ok();
    }
}

async fn an_unknown_key_is_refused(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    for kind in KINDS {
        let identity = format!("IdentityFile={}", Keys::get().stranger(kind).display());
        let outcome = clients.ssh(&[&identity], "true", &[]);
        assert_eq!(outcome.status, 255);
        assert!(outcome.stderr.contains("Permission denied"), "{}", outcome.stderr);
    }
}

async fn the_right_key_after_wrong_ones(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let keys = Keys::get();
    let identities = [keys.stranger("rsa"), keys.stranger("ed25519"), keys.user("ecdsa")]
        .map(|path| format!("IdentityFile={}", path.display()));
    clients.ssh(&identities.each_ref().map(String::as_str), "true", &[]).ok();
}

async fn a_password(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    assert_eq!(clients.ssh_with_password(PASSWORD, "echo in").ok().text(), "in\n");
    let outcome = clients.ssh_with_password("wrong", "echo in");
    assert_eq!(outcome.status, 255);
    assert!(outcome.stderr.contains("Permission denied"), "{}", outcome.stderr);
}

async fn another_user_is_refused(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = Clients::new(peer, ours.port(), "bob", &KINDS);
    assert_eq!(clients.ssh_with_password(PASSWORD, "true").status, 255);
}

async fn a_server_with_one_kind_of_login_says_so(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let outcome = clients.ssh(&["PreferredAuthentications=none"], "true", &[]);
    assert_eq!(outcome.status, 255);
    let methods = outcome.stderr.contains("publickey,password")
        || outcome.stderr.contains("password,publickey");
    assert!(methods, "{}", outcome.stderr);
}

async fn our_host_keys_are_checked(peer: &Peer) {
    let ours = Ours::start().await;
    // A client that knows none of our keys, and one that knows another.
    let outcome = Clients::new(peer, ours.port(), USER, &[]).ssh(&[], "true", &[]);
    assert!(outcome.stderr.contains("Host key verification failed"), "{}", outcome.stderr);
    let clients = Clients::new(peer, ours.port(), USER, &[]);
    let other = public_blob(&Keys::get().other_host("ed25519"));
    let line = format!("[127.0.0.1]:{} {other}\n", ours.port());
    std::fs::write(clients.known_hosts(), line).unwrap();
    let outcome = clients.ssh(&[], "true", &[]);
    assert_eq!(outcome.status, 255);
    assert!(outcome.stderr.contains("IDENTIFICATION HAS CHANGED"), "{}", outcome.stderr);
    // Accepted once, known afterwards.
    std::fs::write(clients.known_hosts(), "").unwrap();
    clients.ssh(&["StrictHostKeyChecking=accept-new"], "true", &[]).ok();
    clients.ssh(&[], "true", &[]).ok();
}

async fn ssh_keyscan_sees_every_host_key(peer: &Peer) {
    let ours = Ours::start().await;
    let mut scan = Command::new("timeout");
    scan.arg("60").arg(peer.program("ssh-keyscan")).args(["-p", &ours.port().to_string()]);
    let output = scan.args(["-t", "ed25519,ecdsa,rsa", "127.0.0.1"]).output().unwrap();
    let seen = String::from_utf8(output.stdout).unwrap();
    for kind in KINDS {
        assert!(seen.contains(&public_blob(&Keys::get().host(kind))), "no {kind} in:\n{seen}");
    }
}

against_each_peer!(
    every_type_of_user_key,
    an_unknown_key_is_refused,
    the_right_key_after_wrong_ones,
    a_password,
    another_user_is_refused,
    a_server_with_one_kind_of_login_says_so,
    our_host_keys_are_checked,
    ssh_keyscan_sees_every_host_key,
);
