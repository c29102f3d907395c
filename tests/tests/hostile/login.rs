//! Between the keys and the login (RFC 4252): what a hostile server may not get out of a client,
//! and a hostile client not into a server.

use core::time::Duration;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chiton::{
    Auth, Error, Secret,
    keys::{KeyType, PrivateKey},
};
use chiton_tests::hostile::Peer;
use ssh_auth::{
    AuthError, PeerMisbehaved,
    message::{
        CONNECTION_SERVICE, MethodRequest, PublicKeyOk, ServiceAccept, ServiceRequest,
        USERAUTH_SERVICE, UserauthBanner, UserauthFailure, UserauthRequest, UserauthSuccess,
    },
};
use ssh_crypto::rng::SeededRng;
use ssh_transport::{Event, MAX_EARLY_KEY_EXCHANGES};
use ssh_wire::{DisconnectReason, NameList};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{PASSWORD, USER, World, client_with, rule, within};

const PROTOCOL_ERROR: Option<DisconnectReason> = Some(DisconnectReason::PROTOCOL_ERROR);

fn failure(methods: &str, partial_success: bool) -> UserauthFailure<'_> {
    UserauthFailure { methods: NameList::from_text(methods).unwrap(), partial_success }
}

fn user_key() -> PrivateKey {
    PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(3)).unwrap()
}

/// The name of the method in a request to be let in.
fn method(request: &[u8]) -> &'static str {
    let names = ["none", "publickey", "password"];
    let found = names.into_iter().find(|name| {
        let field = [&u32::try_from(name.len()).unwrap().to_be_bytes(), name.as_bytes()].concat();
        request.windows(field.len()).any(|window| window == field)
    });
    found.expect("a method that we speak")
}

/// A person who takes some time to type a password.
fn slow_person() -> Auth {
    Auth::ask_password(1, |_| {
        std::thread::sleep(Duration::from_millis(300));
        Some(Secret::new("secret".to_owned()))
    })
}

#[tokio::test]
async fn success_that_nobody_asked_for_lets_nobody_in() {
    let (mut peer, client) = client_with(slow_person()).await;
    within(peer.accept_service()).await;
    assert_eq!(method(&within(peer.payload_with(50)).await), "none");
    peer.send(&failure("password", false)).await;
    peer.send(&UserauthSuccess {}).await;
    // The password that is typed afterwards is not sent.
    assert_eq!(within(peer.goodbye()).await, PROTOCOL_ERROR);
    let error = within(client).await.unwrap().unwrap_err();
    let expected = AuthError::from(PeerMisbehaved::ReplyWithoutRequest { number: 52 });
    assert!(matches!(&error, Error::AuthProtocol(found) if **found == expected), "{error}");
    assert_eq!(rule(&error), "RFC 4252 §5.1");
}

#[tokio::test]
async fn the_connection_protocol_has_to_wait_for_the_login() {
    for number in [80, 90, 91, 94, 98, 99, 127] {
        let (mut peer, client) = client_with(Auth::password(PASSWORD)).await;
        within(peer.accept_service()).await;
        peer.send_bytes(&[number, 0, 0, 0, 0]).await;
        assert_eq!(within(peer.goodbye()).await, PROTOCOL_ERROR);
        let error = within(client).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::PeerMisbehaved(_)), "{number}: {error}");
        assert!(rule(&error).starts_with("RFC 4252 §6"), "{error}");
    }
}

#[tokio::test]
async fn number_60_belongs_to_the_method_in_flight() {
    let key = user_key();
    let (mut peer, client) = client_with(Auth::key(key.clone())).await;
    within(peer.accept_service()).await;
    within(peer.payload_with(50)).await;
    // The key was not asked about: it has signed already.
    peer.send(&PublicKeyOk { algorithm: "ssh-ed25519", key: key.public().blob() }).await;
    assert_eq!(within(peer.goodbye()).await, PROTOCOL_ERROR);
    assert_eq!(rule(&within(client).await.unwrap().unwrap_err()), "RFC 4252 §6");
}

#[tokio::test]
async fn banners_and_methods_have_an_end() {
    let (mut peer, client) = client_with(Auth::password(PASSWORD)).await;
    within(peer.accept_service()).await;
    for _ in 0..40 {
        peer.engine.send(&UserauthBanner { message: &[b'x'; 1000], language: b"" });
    }
    peer.flush().await.unwrap();
    assert_eq!(within(peer.goodbye()).await, PROTOCOL_ERROR);
    assert!(matches!(within(client).await.unwrap(), Err(Error::AuthProtocol(_))));

    let (mut peer, client) = client_with(Auth::password(PASSWORD)).await;
    within(peer.accept_service()).await;
    peer.send(&failure(&["x"; 33].join(","), false)).await;
    assert_eq!(within(peer.goodbye()).await, PROTOCOL_ERROR);
    assert!(matches!(within(client).await.unwrap(), Err(Error::AuthProtocol(_))));
}

#[tokio::test]
async fn a_server_that_always_wants_more_gets_each_credential_once_for_each_factor() {
    let auth = Auth::key(user_key()).or(Auth::password("one")).or(Auth::password("two"));
    let (mut peer, client) = client_with(auth).await;
    within(peer.accept_service()).await;
    let mut methods = Vec::new();
    let ended = loop {
        match within(peer.event()).await {
            Some(Event::Payload(payload)) => {
                methods.push(method(payload.bytes()));
                peer.send(&failure("publickey,password", true)).await;
            }
            Some(Event::PeerExtensions) => {}
            Some(Event::Disconnected(_)) | None => break within(client).await.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(methods, ["publickey", "password", "password"]);
    assert!(matches!(ended, Err(Error::Auth(_))));
}

/// Servers that want a password and then a key, in this order, name one method after the other.
#[tokio::test]
async fn a_key_that_came_too_early_is_tried_again_for_the_next_factor() {
    let auth = Auth::none().or(Auth::key(user_key())).or(Auth::password(PASSWORD));
    let (mut peer, client) = client_with(auth).await;
    within(peer.accept_service()).await;
    for (expected, answer) in
        [("none", failure("password", false)), ("password", failure("publickey", true))]
    {
        assert_eq!(method(&within(peer.payload_with(50)).await), expected);
        peer.send(&answer).await;
    }
    assert_eq!(method(&within(peer.payload_with(50)).await), "publickey");
    peer.send(&UserauthSuccess {}).await;
    within(client).await.unwrap().unwrap();

    // The same where the key was sent before anybody knew better.
    let auth = Auth::key(user_key()).or(Auth::password(PASSWORD));
    let (mut peer, client) = client_with(auth).await;
    within(peer.accept_service()).await;
    for (expected, answer) in
        [("publickey", failure("password", false)), ("password", failure("publickey", true))]
    {
        assert_eq!(method(&within(peer.payload_with(50)).await), expected);
        peer.send(&answer).await;
    }
    assert_eq!(method(&within(peer.payload_with(50)).await), "publickey");
    peer.send(&UserauthSuccess {}).await;
    within(client).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_person_is_asked_as_often_as_configured_and_no_more() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let auth = Auth::ask_password(2, move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        Some(Secret::new("wrong".to_owned()))
    });
    let (mut peer, client) = client_with(auth).await;
    within(peer.accept_service()).await;
    // Nothing, and twice a password.
    for _ in 0..3 {
        within(peer.payload_with(50)).await;
        peer.send(&failure("password", false)).await;
    }
    assert!(matches!(within(client).await.unwrap(), Err(Error::Auth(_))));
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

/// Exchanges keys until the other side has had enough.
async fn exchange_keys(peer: &mut Peer<TcpStream>) -> (u8, Option<DisconnectReason>) {
    let mut exchanges = 0;
    loop {
        peer.engine.rekey();
        loop {
            match within(peer.event()).await {
                Some(Event::Rekeyed) => break,
                Some(Event::Disconnected(goodbye)) => return (exchanges, Some(goodbye.reason)),
                None => return (exchanges, None),
                Some(_) => {}
            }
        }
        exchanges += 1;
    }
}

#[tokio::test]
async fn strangers_cannot_make_us_exchange_keys_for_ever() {
    let (mut peer, client) = client_with(Auth::password(PASSWORD)).await;
    within(peer.accept_service()).await;
    assert_eq!(exchange_keys(&mut peer).await, (MAX_EARLY_KEY_EXCHANGES, PROTOCOL_ERROR));
    assert_eq!(rule(&within(client).await.unwrap().unwrap_err()), "RFC 4253 §9");

    let mut world = World::start();
    let mut peer = world.peer().await;
    within(peer.establish()).await;
    assert_eq!(exchange_keys(&mut peer).await, (MAX_EARLY_KEY_EXCHANGES, PROTOCOL_ERROR));
    assert_eq!(rule(&world.cause().await), "RFC 4253 §9");
}

/// What a client that has established keys is told after it has sent these messages.
async fn server_says(world: &mut World, payloads: &[&[u8]]) -> (Error, Option<DisconnectReason>) {
    let mut peer = world.peer().await;
    within(peer.establish()).await;
    for payload in payloads {
        peer.engine.send_bytes(payload);
    }
    peer.flush().await.unwrap();
    let reason = within(peer.goodbye()).await;
    (world.cause().await, reason)
}

#[tokio::test]
async fn strangers_get_no_further_than_the_login() {
    let mut world = World::start();
    let message = ssh_wire::testing::payload;
    let service = message(&ServiceRequest { service: USERAUTH_SERVICE });
    let request = |user, service| {
        let method = MethodRequest::Password { password: b"guess" };
        message(&UserauthRequest { user, service, method })
    };
    let alice = request(USER, CONNECTION_SERVICE);
    let open = [&[90, 0, 0, 0, 7][..], b"session", &[0; 12]].concat();
    let accept = message(&ServiceAccept { service: USERAUTH_SERVICE });
    let cases: &[(&[&[u8]], &str)] = &[
        (&[&open], "RFC 4252 §6 and RFC 4253 §7.1"),
        (&[&service, &open], "RFC 4252 §6 and RFC 4253 §7.1"),
        (&[&service, &[52]], "RFC 4252 §6"),
        (&[&service, &accept], "RFC 4252 §6"),
        (&[&alice], "RFC 4253 §10"),
        (&[&service, &alice, &request("root", CONNECTION_SERVICE)], "RFC 4252 §5"),
        (&[&service, &alice, &request(USER, "other")], "RFC 4252 §5"),
        (&[&service, &alice[..alice.len() - 1]], "RFC 4251 §5"),
    ];
    for (payloads, broken) in cases {
        let (error, reason) = server_says(&mut world, payloads).await;
        assert_eq!((rule(&error), reason), (*broken, PROTOCOL_ERROR), "{payloads:?}: {error}");
    }
    let other = message(&ServiceRequest { service: CONNECTION_SERVICE });
    let (error, reason) = server_says(&mut world, &[&other]).await;
    assert_eq!(reason, Some(DisconnectReason::SERVICE_NOT_AVAILABLE), "{error}");
    let ill = request("a\nb", CONNECTION_SERVICE);
    let (error, reason) = server_says(&mut world, &[&service, &ill]).await;
    assert_eq!(reason, Some(DisconnectReason::ILLEGAL_USER_NAME), "{error}");
    let guesses = [&[&service[..]], &[&alice[..]; 6][..]].concat();
    let (error, reason) = server_says(&mut world, &guesses).await;
    assert_eq!(reason, Some(DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE), "{error}");
}

/// The answers to nonsense must not pile up, and whoever does not take them must not stay.
#[tokio::test]
async fn strangers_that_read_nothing_have_to_leave() {
    let world = World::with(|builder| {
        builder.max_connections(1, 1).login_grace(Duration::from_millis(500))
    });
    let mut socket = world.socket().await;
    socket.write_all(b"SSH-2.0-flood\r\n").await.unwrap();
    // Number 25 means nothing, and each is answered with UNIMPLEMENTED.
    let nonsense = [0, 0, 0, 12, 10, 25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].repeat(4096);
    let mut sent = 0;
    while let Ok(Ok(())) =
        tokio::time::timeout(Duration::from_millis(200), socket.write_all(&nonsense)).await
    {
        sent += nonsense.len();
        assert!(sent < 256 << 20, "it never stops reading");
    }
    // There is one place, and it is free again although nobody has read the good-bye.
    within(async {
        loop {
            let mut peer = world.peer().await;
            if let Some(Event::Established(_)) = peer.event().await {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}
