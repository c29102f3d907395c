//! Logging in: keys, passwords, several methods in a row, and what the error says when nothing
//! helps.

use std::sync::{Arc, Mutex};

use chiton::client::Builder;
use chiton::{Auth, Client, Error, Secret};
use chiton_tests::against_each_peer;
use chiton_tests::keys::{Keys, PASSPHRASE};
use chiton_tests::peer::{Generation, Peer};
use chiton_tests::sshd::Sshd;
use chiton_tests::user::User;

use crate::{key, to};

/// Who the server says we are.
async fn whoami(client: &Client) -> String {
    let output = client.exec("id -un").await.unwrap().ok().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn every_type_of_user_key(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    for kind in peer.kinds() {
        let auth = Auth::key_file(Keys::get().user(kind));
        let result = to(sshd).auth(auth).connect().await;
        let client = result.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(whoami(&client).await, chiton_tests::sshd::whoami());
    }
    let log = sshd.log();
    let mut logged = vec!["ED25519", "ECDSA", "RSA"];
    if peer.generation() == Generation::V10_6 {
        logged.push("MLDSA44-ED25519");
    }
    for kind in logged {
        assert!(log.contains(&format!("Accepted key {kind} ")), "no {kind} in the log:\n{log}");
    }
}

async fn an_encrypted_key_asks_for_its_passphrase(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let with = |passphrase: &'static str| {
        let ask = move |question: &str| {
            assert!(question.contains("encrypted"), "{question}");
            Some(Secret::new(passphrase.to_owned()))
        };
        to(sshd).auth(Auth::key_file_asking(Keys::get().encrypted(), 1, ask)).connect()
    };
    with(PASSPHRASE).await.unwrap();
    assert!(matches!(with("wrong").await.unwrap_err(), Error::KeyFile(_)));
    let unasked = to(sshd).auth(Auth::key_file(Keys::get().encrypted())).connect().await;
    assert!(matches!(unasked.unwrap_err(), Error::KeyFile(_)));
}

async fn a_password(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let user = User::get();
    let auth = Auth::password(User::PASSWORD);
    let client = to(sshd).user(user.name()).auth(auth).connect().await.unwrap();
    assert_eq!(whoami(&client).await, user.name());
}

async fn a_wrong_password_is_said_to_be_wrong(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let user = User::get();
    let auth = Auth::password("wrong");
    let error = to(sshd).user(user.name()).auth(auth).connect().await.unwrap_err();
    let Error::Auth(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.user, user.name());
    assert_eq!(failure.record.attempts.len(), 1, "{failure:?}");
    assert!(failure.remaining.iter().any(|method| method == "password"), "{failure:?}");
    // What was tried is told, what the password was is not.
    assert!(!format!("{error} {error:?}").contains("wrong"), "{error:?}");

    let unknown = to(sshd).user("no-such-user").auth(Auth::password("x")).connect().await;
    assert!(matches!(unknown.unwrap_err(), Error::Auth(_)));
}

async fn a_password_is_asked_for_again(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let user = User::get();
    let answers = Arc::new(Mutex::new(vec![User::PASSWORD, "wrong again", "wrong"]));
    let asked = Arc::clone(&answers);
    let auth = Auth::ask_password(3, move |_| {
        asked.lock().unwrap().pop().map(|password| Secret::new(password.to_owned()))
    });
    let client = to(sshd).user(user.name()).auth(auth).connect().await.unwrap();
    assert_eq!(whoami(&client).await, user.name());
    assert!(answers.lock().unwrap().is_empty());
}

async fn what_comes_next_is_tried(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let keys = Keys::get();
    let auth = Auth::none()
        .or(Auth::key_file(keys.stranger("ed25519")))
        .or(Auth::key_file(keys.stranger("rsa")))
        .or(Auth::password("wrong"))
        .or(key());
    let client = to(sshd).auth(auth).connect().await.unwrap();
    assert!(client.exec("true").await.unwrap().status.success());

    let auth = Auth::key_file(keys.stranger("ed25519")).or(Auth::key_file(keys.stranger("ecdsa")));
    let error = to(sshd).auth(auth).connect().await.unwrap_err();
    let Error::Auth(failure) = &error else { panic!("{error}") };
    assert_eq!((failure.plan.len(), failure.record.attempts.len()), (2, 2), "{failure:?}");
}

/// A server may want a key and then a password too (partial success, RFC 4252 §5.1).
async fn several_methods_in_a_row(peer: &Peer) {
    let sshd = Sshd::start(peer, "AuthenticationMethods publickey,password");
    let user = User::get();
    let to = || to(&sshd).user(user.name());
    let client = to().auth(key().or(Auth::password(User::PASSWORD))).connect().await.unwrap();
    assert_eq!(whoami(&client).await, user.name());

    let error = to().auth(key()).connect().await.unwrap_err();
    let Error::Auth(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.remaining, ["password"], "{failure:?}");
}

async fn the_banner_is_shown(peer: &Peer) {
    let folder = tempfile::tempdir().unwrap();
    let banner = folder.path().join("banner");
    std::fs::write(&banner, "Mind the \x1b[31mgap\n").unwrap();
    let sshd = Sshd::start(peer, &format!("Banner {}", banner.display()));
    let seen = Arc::new(Mutex::new(String::new()));
    let shown = Arc::clone(&seen);
    let builder: Builder<_> =
        to(&sshd).on_banner(move |text| *shown.lock().unwrap() = text.to_string());
    builder.auth(key()).connect().await.unwrap();
    let seen = seen.lock().unwrap();
    assert!(seen.contains("Mind the ") && seen.contains("gap") && !seen.contains('\x1b'), "{seen}");
}

against_each_peer!(
    every_type_of_user_key,
    an_encrypted_key_asks_for_its_passphrase,
    a_password,
    a_wrong_password_is_said_to_be_wrong,
    a_password_is_asked_for_again,
    what_comes_next_is_tried,
    several_methods_in_a_row,
    the_banner_is_shown,
);
