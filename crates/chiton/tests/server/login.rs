//! Who gets in, and how many.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use chiton::{
    Auth, Error, Secret,
    keys::{PrivateKey, PrivateKeyError::WrongPassphrase, authorized_keys::AuthorizedKeys},
    server::{Event, Server},
};
use tokio::{io::AsyncReadExt, net::TcpStream};

use crate::common::{World, authorized, key, user_key};

#[tokio::test]
async fn a_key_or_a_password_lets_in() {
    let world = World::new().await;
    for auth in [
        Auth::key(user_key()),
        Auth::password("right"),
        Auth::none().or(Auth::key(key(9))).or(Auth::password("wrong")).or(Auth::password("right")),
    ] {
        let client = world.log_in(auth).await.unwrap();
        let output = client.exec("echo hello").await.unwrap().ok().unwrap();
        assert_eq!(output.stdout, b"hello\n");
        client.close().await.unwrap();
    }
}

#[tokio::test]
async fn anything_else_does_not() {
    let world = World::new().await;
    for auth in [Auth::none(), Auth::key(key(9)), Auth::password("wrong"), Auth::password("")] {
        let error = world.log_in(auth).await.unwrap_err();
        assert!(matches!(error, Error::Auth(_)), "{error}");
    }
    // The password is alice's.
    let bob = world.builder().auth(Auth::password("right")).user("bob").connect().await;
    assert!(matches!(bob, Err(Error::Auth(_))));
}

#[tokio::test]
async fn keys_of_one_user_are_not_those_of_another() {
    let world =
        World::with(|builder| builder.authorized_keys_of("carol", authorized(&key(7)))).await;
    for (user, lets_in) in [("carol", true), ("alice", false)] {
        let result = world.builder().auth(Auth::key(key(7))).user(user).connect().await;
        assert_eq!(result.is_ok(), lets_in, "{user}");
    }
}

#[tokio::test]
async fn where_both_are_needed_one_is_not_enough() {
    let world = World::with(|builder| builder.require_key_and_password()).await;
    let (key, password) = (|| Auth::key(user_key()), || Auth::password("right"));
    for auth in [key().or(password()), password().or(key()), key().or(key()).or(password())] {
        world.log_in(auth).await.unwrap();
    }
    for auth in [key(), password(), key().or(Auth::password("wrong")), password().or(password())] {
        assert!(matches!(world.log_in(auth).await, Err(Error::Auth(_))));
    }
}

#[tokio::test]
async fn failing_too_often_ends_the_connection() {
    let world = World::with(|builder| builder.max_auth_failures(2)).await;
    let auth = Auth::password("1").or(Auth::password("2")).or(Auth::password("right"));
    let error = world.log_in(auth).await.unwrap_err();
    assert!(error.to_string().contains("too many authentication failures"), "{error}");
}

/// A key file with the passphrase "open sesame".
const LOCKED: &str = include_str!("../../src/client/testdata/encrypted_ed25519");

#[tokio::test]
async fn only_for_a_key_that_the_server_wants_a_passphrase_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    std::fs::write(&path, LOCKED).unwrap();
    let asked = Arc::new(Mutex::new(0));
    let auth = |times, answers: &'static [&'static str]| {
        let asked = Arc::clone(&asked);
        *asked.lock().unwrap() = 0;
        Auth::key_file_asking(&path, times, move |_| {
            let mut asked = asked.lock().unwrap();
            *asked += 1;
            Some(Secret::new(answers[*asked - 1].to_owned()))
        })
    };
    let stranger = World::new().await;
    let error = stranger.log_in(auth(3, &[])).await.unwrap_err();
    assert!(matches!(error, Error::Auth(_)), "{error}");
    stranger.log_in(auth(3, &[]).or(Auth::key(user_key()))).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), 0);

    let public = PrivateKey::parse_public(LOCKED.as_bytes()).unwrap();
    let keys = AuthorizedKeys::parse(public.to_openssh("locked").as_bytes());
    let friend = World::with(|builder| builder.authorized_keys(keys)).await;
    friend.log_in(auth(3, &["wrong", "open sesame"])).await.unwrap();
    assert_eq!(*asked.lock().unwrap(), 2);
    let error = friend.log_in(auth(2, &["wrong", "bad"])).await.unwrap_err();
    assert!(matches!(&error, Error::KeyFile(file) if file.kind == WrongPassphrase), "{error}");
    // Another credential gets its turn after it.
    friend.log_in(auth(1, &["wrong"]).or(Auth::password("right"))).await.unwrap();
}

#[tokio::test]
async fn the_banner_is_shown_before_the_login() {
    let world = World::with(|builder| builder.banner("For\x07 friends only.\n")).await;
    let shown = Arc::new(Mutex::new(String::new()));
    let show = Arc::clone(&shown);
    let builder = world.builder().auth(Auth::password("right")).user("alice");
    builder
        .on_banner(move |text| show.lock().unwrap().push_str(&text.to_string()))
        .connect()
        .await
        .unwrap();
    assert_eq!(*shown.lock().unwrap(), "For\\u{7} friends only.\n");
}

#[tokio::test]
async fn whoever_does_not_log_in_has_to_leave() {
    let world = World::with(|builder| builder.login_grace(Duration::from_millis(200))).await;
    let mut socket = TcpStream::connect(world.server.local_addr()).await.unwrap();
    let mut heard = Vec::new();
    let read = socket.read_to_end(&mut heard);
    tokio::time::timeout(Duration::from_secs(5), read).await.unwrap().unwrap();
    assert!(heard.starts_with(b"SSH-2.0-"));
}

#[tokio::test]
async fn strangers_cannot_fill_the_house() {
    let turned_away = Arc::new(Mutex::new(0));
    let count = Arc::clone(&turned_away);
    let world = World::with(|builder| {
        builder.max_connections(3, 2).on_event(move |event| {
            if matches!(event, Event::TurnedAway { .. }) {
                *count.lock().unwrap() += 1;
            }
        })
    })
    .await;
    // Two that only stand around.
    let mut standing = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(world.server.local_addr()).await.unwrap();
        socket.read_u8().await.unwrap();
        standing.push(socket);
    }
    assert!(world.log_in(Auth::password("right")).await.is_err());
    assert_eq!(*turned_away.lock().unwrap(), 1);
    drop(standing);
    // Those who are in do not count as strangers any more.
    let mut inside = Vec::new();
    while inside.len() < 3 {
        if let Ok(client) = world.log_in(Auth::password("right")).await {
            inside.push(client);
        }
    }
    assert!(world.log_in(Auth::password("right")).await.is_err(), "the house is full");
    for client in &inside {
        client.exec("true").await.unwrap().ok().unwrap();
    }
}

#[tokio::test]
async fn the_log_tells_who_came_and_why_they_left() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let lines = Arc::clone(&log);
    let world = World::with(|builder| {
        builder.on_event(move |event| lines.lock().unwrap().push(event.to_string()))
    })
    .await;
    let auth = Auth::password("wrong").or(Auth::key(user_key()));
    world.log_in(auth).await.unwrap().close().await.unwrap();
    while log.lock().unwrap().len() < 4 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let log = log.lock().unwrap().join("\n");
    let key = user_key().public().fingerprint();
    for part in [
        ": connected",
        ": refused \"alice\" with a password",
        &format!(": \"alice\" has logged in with the key {key}"),
        ": ended: ",
    ] {
        assert!(log.contains(part), "{part} in {log}");
    }
    assert!(!log.contains("wrong"), "no passwords in logs");
}

#[tokio::test]
async fn a_server_that_is_of_no_use_does_not_start() {
    let listener = || async { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap() };
    let without_key = Server::builder().password("a", "b").serve(listener().await);
    assert!(matches!(without_key, Err(Error::ApiMisuse(_))));
    let without_users = Server::builder().host_key(key(1)).serve(listener().await);
    assert!(matches!(without_users, Err(Error::ApiMisuse(_))));
    let never_enough = Server::builder().host_key(key(1)).password("a", "b");
    let never_enough = never_enough.require_key_and_password().serve(listener().await);
    assert!(matches!(never_enough, Err(Error::ApiMisuse(_))));
    let without_root = Server::builder().host_key(key(1)).password("a", "b").sftp_root("/no/such");
    assert!(matches!(without_root.serve(listener().await), Err(Error::LocalFile(_))));
}

#[tokio::test]
async fn shutting_down_says_good_bye_and_ends_programs() {
    // An address of its own: at the usual one another test could take the port meanwhile.
    let world = World::at("127.0.0.2:0", |builder| builder).await;
    let client = world.client().await;
    let mark = world.root.path().join("hung-up");
    let script = format!("trap 'touch {}; exit' HUP; echo ready; sleep 60 & wait", mark.display());
    let mut child = client.command(script).spawn().await.unwrap();
    let ready = child.stdout.as_mut().unwrap().read_chunk().await.unwrap();
    assert_eq!(ready.as_deref(), Some(&b"ready\n"[..]));
    let address = world.server.local_addr();
    tokio::time::timeout(Duration::from_secs(4), world.server.shutdown()).await.unwrap();
    let error = client.closed().await;
    assert!(matches!(&error, Error::Disconnected(_)), "{error}");
    assert!(error.to_string().contains("shutting down"), "{error}");
    assert!(TcpStream::connect(address).await.is_err());
    while !mark.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
