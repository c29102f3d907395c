//! Unknown, changed and revoked host keys, under each policy.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chiton::error::HostKeyReason;
use chiton::{Client, Error, HostKeyAnswer, HostKeys};
use chiton_tests::against_each_peer;
use chiton_tests::keys::{KINDS, Keys, public_blob};
use chiton_tests::peer::Peer;
use chiton_tests::sshd::{Sshd, known_hosts_line, whoami};
use tempfile::TempDir;

use crate::key;

/// A `known_hosts` file with these lines.
fn file(lines: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    std::fs::write(&path, lines).unwrap();
    (folder, path)
}

async fn connect(sshd: &Sshd, host_keys: HostKeys) -> Result<Client, Error> {
    let builder = Client::builder("127.0.0.1", sshd.port()).user(whoami());
    builder.host_keys(host_keys).auth(key()).connect().await
}

async fn reason(sshd: &Sshd, host_keys: HostKeys) -> HostKeyReason {
    match connect(sshd, host_keys).await {
        Err(Error::HostKey(error)) => error.reason,
        other => panic!("{other:?}"),
    }
}

fn known(path: &Path) -> HostKeys {
    HostKeys::known_hosts(path).unwrap()
}

async fn an_unknown_host_is_refused(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let other = known_hosts_line(1, &Keys::get().host("ed25519"));
    let (_folder, path) = file(&other);
    assert!(matches!(reason(sshd, known(&path)).await, HostKeyReason::Unknown { .. }));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), other, "the file was changed");
}

async fn a_new_host_is_remembered(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    for hashed in [false, true] {
        let (_folder, path) = file("");
        connect(sshd, known(&path).accept_new().hashed(hashed)).await.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.contains("127.0.0.1"), !hashed, "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
        // Now it is known, strictly, and OpenSSH reads the line as we do.
        connect(sshd, known(&path).strict()).await.unwrap();
        let mut find = std::process::Command::new(peer.program("ssh-keygen"));
        let host = format!("[127.0.0.1]:{}", sshd.port());
        let output = find.args(["-F", &host, "-f"]).arg(&path).output().unwrap();
        assert!(output.status.success(), "ssh-keygen -F does not find {host} in {text}");
    }
}

async fn the_question_is_asked_and_obeyed(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let (_folder, path) = file("");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let policy = |answer| {
        let asked = Arc::clone(&asked);
        known(&path).ask(move |unknown| {
            asked.lock().unwrap().push((unknown.host.clone(), unknown.fingerprint.to_string()));
            answer
        })
    };
    assert!(matches!(reason(sshd, policy(HostKeyAnswer::Refuse)).await, HostKeyReason::Refused));
    connect(sshd, policy(HostKeyAnswer::Accept)).await.unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    connect(sshd, policy(HostKeyAnswer::AcceptAndRemember)).await.unwrap();
    connect(sshd, policy(HostKeyAnswer::Refuse)).await.unwrap();

    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3, "{asked:?}");
    let mut show = std::process::Command::new(peer.program("ssh-keygen"));
    let output = show.arg("-lf").arg(Keys::get().host("ed25519")).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    for (host, fingerprint) in asked.iter() {
        assert_eq!(*host, format!("[127.0.0.1]:{}", sshd.port()));
        assert!(shown.contains(fingerprint), "{fingerprint} is not in {shown}");
    }
}

/// Another key than the known one ends the connection, whatever the policy for unknown hosts.
async fn a_changed_key_is_refused(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    for kind in KINDS {
        let (_folder, path) = file(&known_hosts_line(sshd.port(), &Keys::get().other_host(kind)));
        let policies = [
            known(&path),
            known(&path).accept_new(),
            known(&path).ask(|_| panic!("a changed key is no question")),
            known(&path).warn(|_| panic!("a changed key is no warning")),
        ];
        for policy in policies {
            let reason = reason(sshd, policy).await;
            let HostKeyReason::Changed { known } = reason else { panic!("{kind}: {reason:?}") };
            assert!(known[0].contains("known_hosts"), "{known:?}");
        }
    }
}

async fn a_revoked_key_is_refused(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let keys = Keys::get();
    let mut lines: String =
        KINDS.map(|kind| known_hosts_line(sshd.port(), &keys.host(kind))).concat();
    for kind in KINDS {
        lines.push_str(&format!("@revoked * {}\n", public_blob(&keys.host(kind))));
    }
    let (_folder, path) = file(&lines);
    for policy in [known(&path), known(&path).accept_new(), known(&path).ask(|_| panic!("asked"))] {
        assert!(matches!(reason(sshd, policy).await, HostKeyReason::Revoked { .. }));
    }
}

/// The known types are offered first, so that a server with several keys shows the known one.
async fn the_known_type_of_key_is_asked_for(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    for (kind, algorithm) in
        [("ed25519", "ssh-ed25519"), ("ecdsa", "ecdsa-sha2-nistp256"), ("rsa", "rsa-sha2-512")]
    {
        let lines = ["# a comment\n", "not a line\n"].concat()
            + &known_hosts_line(sshd.port(), &Keys::get().host(kind));
        let (_folder, path) = file(&lines);
        let client = connect(sshd, known(&path)).await.unwrap();
        assert_eq!(client.negotiated().unwrap().host_key.name(), algorithm);
    }
}

async fn one_exact_key(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let public = |path: PathBuf| ssh_keys::PublicKey::from_openssh(&public_blob(&path)).unwrap().0;
    let right = public(Keys::get().host("ecdsa"));
    connect(sshd, HostKeys::exactly(right)).await.unwrap();
    let wrong = public(Keys::get().other_host("ecdsa"));
    assert!(connect(sshd, HostKeys::exactly(wrong)).await.is_err());
}

/// The way round the check, which has to be called dangerous to be used.
async fn the_insecure_way(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let builder = Client::builder("127.0.0.1", sshd.port()).user(whoami());
    builder.dangerous().accept_any_host_key().auth(key()).connect().await.unwrap();
}

against_each_peer!(
    an_unknown_host_is_refused,
    a_new_host_is_remembered,
    the_question_is_asked_and_obeyed,
    a_changed_key_is_refused,
    a_revoked_key_is_refused,
    the_known_type_of_key_is_asked_for,
    one_exact_key,
    the_insecure_way,
);
