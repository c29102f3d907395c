//! Bytes before there are keys: anybody on the network can send them (RFC 4253 §4 to §8).

use chiton::{Auth, Error, error::Phase};
use chiton_tests::hostile::Engine;
use ssh_wire::{DisconnectReason, Encode, NameList};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use crate::{World, connection, rule, within};

/// A packet without protection, with the least padding.
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 11 - (payload.len() + 8) % 8;
    let padding = if padding < 4 { padding + 8 } else { padding };
    raw_packet(payload, u8::try_from(padding).unwrap(), padding)
}

/// A packet that claims to have so much padding.
fn raw_packet(payload: &[u8], claimed: u8, padding: usize) -> Vec<u8> {
    let length = u32::try_from(1 + payload.len() + padding).unwrap();
    [&length.to_be_bytes(), &[claimed][..], payload, &vec![0; padding]].concat()
}

#[test]
fn packets_made_by_hand_are_whole_blocks() {
    for len in 1..50 {
        let packet = packet(&vec![2; len]);
        assert!(packet.len().is_multiple_of(8) && packet[4] >= 4, "{len}");
    }
}

/// What happened to somebody who sent `bytes` and then listened.
struct Outcome {
    error: Error,
    heard: Vec<u8>,
}

impl Outcome {
    /// The reason of the good-bye, which nobody has protected.
    fn reason(&self) -> Option<DisconnectReason> {
        let line = self.heard.iter().position(|byte| *byte == b'\n')?;
        let mut rest = &self.heard[line + 1..];
        while let Some((length, body)) = rest.split_first_chunk::<4>() {
            let (packet, next) = body.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            if packet[1] == 1 {
                let (reason, _) = packet[2..].split_first_chunk::<4>()?;
                return Some(DisconnectReason(u32::from_be_bytes(*reason)));
            }
            rest = next;
        }
        None
    }
}

/// Sends `bytes` to a client of ours.
async fn to_client(bytes: &[u8]) -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let builder = connection(listener.local_addr().unwrap().port()).auth(Auth::password("secret"));
    let client = tokio::spawn(builder.connect());
    let (mut socket, _) = within(listener.accept()).await.unwrap();
    let heard = exchange(&mut socket, bytes).await;
    Outcome { error: within(client).await.unwrap().unwrap_err(), heard }
}

/// Sends `bytes` to a server of ours.
async fn to_server(world: &mut World, bytes: &[u8]) -> Outcome {
    let mut socket = world.socket().await;
    let heard = exchange(&mut socket, bytes).await;
    Outcome { error: world.cause().await, heard }
}

async fn exchange(socket: &mut tokio::net::TcpStream, bytes: &[u8]) -> Vec<u8> {
    // The other side may have had enough before the last byte.
    socket.write_all(bytes).await.ok();
    let mut heard = Vec::new();
    within(socket.read_to_end(&mut heard)).await.ok();
    heard
}

const IDENT: &[u8] = b"SSH-2.0-hostile\r\n";
const PROTOCOL_ERROR: DisconnectReason = DisconnectReason::PROTOCOL_ERROR;

fn identified(bytes: &[u8]) -> Vec<u8> {
    [IDENT, bytes].concat()
}

/// Sends each to both, and compares the rule that was broken and the reason of the good-bye.
async fn both_refuse(cases: &[(Vec<u8>, &str, DisconnectReason)]) {
    let mut world = World::start();
    for (bytes, broken, reason) in cases {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        for outcome in [to_client(bytes).await, to_server(&mut world, bytes).await] {
            assert_eq!(rule(&outcome.error), *broken, "{shown:?}: {}", outcome.error);
            assert_eq!(outcome.reason(), Some(*reason), "{shown:?}: {}", outcome.error);
        }
    }
}

#[tokio::test]
async fn identifications_out_of_bounds_are_refused() {
    let line = "RFC 4253 §4.2";
    both_refuse(&[
        ([b"SSH-2.0-", &[b'x'; 300][..]].concat(), line, PROTOCOL_ERROR),
        (vec![b'x'; 8193], line, PROTOCOL_ERROR),
        (b"x\n".repeat(1024), line, PROTOCOL_ERROR),
        (b"SSH-2.0-a\0b\r\n".to_vec(), line, PROTOCOL_ERROR),
        (b"SSH-2.0-a\rb\r\n".to_vec(), line, PROTOCOL_ERROR),
        (
            b"SSH-1.5-old\r\n".to_vec(),
            "RFC 4253 §5",
            DisconnectReason::PROTOCOL_VERSION_NOT_SUPPORTED,
        ),
    ])
    .await;
}

#[tokio::test]
async fn packets_of_impossible_measures_are_refused() {
    let length = |n: u32| identified(&[&n.to_be_bytes()[..], &[4, 2, 0, 0, 0, 0, 0, 0]].concat());
    let mut cases: Vec<_> = [u32::MAX, u32::MAX - 3, 262_148, 1 << 31, 0, 4, 13]
        .into_iter()
        .map(|n| (length(n), "RFC 4253 §6.1", PROTOCOL_ERROR))
        .collect();
    for (payload, claimed, padding) in
        [(&[2][..], 3, 10), (&[2], 255, 10), (&[2], 12, 10), (&[], 11, 11)]
    {
        let packet = identified(&raw_packet(payload, claimed, padding));
        cases.push((packet, "RFC 4253 §6", PROTOCOL_ERROR));
    }
    // What is no SSH at all.
    cases.push((identified(b"GET / HTTP/1.1\r\n\r\n"), "RFC 4253 §6.1", PROTOCOL_ERROR));
    both_refuse(&cases).await;
}

#[tokio::test]
async fn what_comes_before_its_time_is_refused() {
    let order = "RFC 4253 §7.1";
    let mut cases: Vec<_> = [5, 6, 7, 30, 31, 50, 51, 52, 53, 60, 80, 90, 94, 98, 127, 192]
        .into_iter()
        .map(|number| (identified(&packet(&[number, 0, 0, 0, 0])), order, PROTOCOL_ERROR))
        .collect();
    cases.push((identified(&packet(&[21])), order, PROTOCOL_ERROR));
    cases.push((identified(&packet(&[0, 1])), "RFC 4250 §4.1.1", PROTOCOL_ERROR));
    both_refuse(&cases).await;
}

#[tokio::test]
async fn nothing_but_the_exchange_may_follow_kexinit_if_both_are_strict() {
    let mut world = World::start();
    for number in [2, 3, 4, 5, 6, 7, 20, 21, 50, 52, 90, 94, 100, 150, 192] {
        let after = |mut engine: Engine| {
            let mut bytes = engine.output();
            bytes.extend(packet(&[number, 0, 0, 0, 0, 0, 0, 0, 0]));
            bytes
        };
        let client = to_client(&after(Engine::server())).await;
        let server = to_server(&mut world, &after(Engine::client())).await;
        for outcome in [client, server] {
            let rule = rule(&outcome.error);
            // A malformed NEWKEYS or KEXINIT is malformed first.
            let malformed = matches!(number, 20 | 21) && rule == "RFC 4251 §5";
            let strict = rule == "draft-ietf-sshm-strict-kex §3";
            assert!(strict || malformed, "{number}: {}", outcome.error);
            assert_eq!(outcome.reason(), Some(PROTOCOL_ERROR), "{number}");
        }
    }
    for engine in [Engine::server(), Engine::client()] {
        let is_server = format!("{:?}", engine.transport).contains("Server");
        let mut engine = engine;
        let bytes = [engine.output(), packet(&[21])].concat();
        let outcome =
            if is_server { to_client(&bytes).await } else { to_server(&mut world, &bytes).await };
        assert_eq!(rule(&outcome.error), "draft-ietf-sshm-strict-kex §3", "early NEWKEYS");
    }
}

/// A `KEXINIT` that offers one thing for everything.
fn kexinit(offer: &str) -> Vec<u8> {
    let list = |text| NameList::from_text(text).unwrap();
    let (offer, none) = (list(offer), list(""));
    let mut out = Vec::new();
    ssh_transport::message::KexInit {
        cookie: [1; 16],
        kex_algorithms: offer,
        server_host_key_algorithms: offer,
        encryption_client_to_server: offer,
        encryption_server_to_client: offer,
        mac_client_to_server: offer,
        mac_server_to_client: offer,
        compression_client_to_server: offer,
        compression_server_to_client: offer,
        languages_client_to_server: none,
        languages_server_to_client: none,
        first_kex_packet_follows: false,
        reserved: 0,
    }
    .encode(&mut out);
    out
}

#[tokio::test]
async fn offers_that_do_not_parse_or_do_not_fit_are_refused() {
    let whole = kexinit("none");
    let cut = &whole[..whole.len() - 1];
    let long = [&whole[..], &[0]].concat();
    let mut lying = whole.clone();
    lying[17..21].copy_from_slice(&u32::MAX.to_be_bytes());
    let malformed = "RFC 4251 §5";
    both_refuse(&[
        (identified(&packet(cut)), malformed, PROTOCOL_ERROR),
        (identified(&packet(&long)), malformed, PROTOCOL_ERROR),
        (identified(&packet(&lying)), malformed, PROTOCOL_ERROR),
        (identified(&packet(&whole)), "RFC 4253 §7.1", DisconnectReason::KEY_EXCHANGE_FAILED),
    ])
    .await;
    // Both lists are in the error, so that somebody can do something about it.
    let error = to_client(&identified(&packet(&whole))).await.error.to_string();
    assert!(error.contains("curve25519-sha256") && error.contains("the peer none"), "{error}");
}

#[tokio::test]
async fn answers_that_are_none_end_the_exchange() {
    let mut world = World::start();
    let reply = |body: &[u8]| {
        let mut engine = Engine::server();
        [engine.output(), packet(body)].concat()
    };
    let share = |body: &[u8]| {
        let mut engine = Engine::client();
        [engine.output(), packet(body)].concat()
    };
    let failed = DisconnectReason::KEY_EXCHANGE_FAILED;
    // A host key that is none; a share of no bytes.
    let outcome = to_client(&reply(&[31, 0, 0, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0])).await;
    assert_eq!((rule(&outcome.error), outcome.reason()), ("RFC 4253 §8", Some(failed)));
    let outcome = to_server(&mut world, &share(&[30, 0, 0, 0, 0])).await;
    assert_eq!(outcome.reason(), Some(failed), "{}", outcome.error);
    assert!(rule(&outcome.error).contains("RFC 8731 §3"), "{}", outcome.error);
    for outcome in
        [to_client(&reply(&[31, 9])).await, to_server(&mut world, &share(&[30, 9])).await]
    {
        let expected = ("RFC 4251 §5", Some(PROTOCOL_ERROR));
        assert_eq!((rule(&outcome.error), outcome.reason()), expected, "{}", outcome.error);
    }
}

#[tokio::test]
async fn a_stream_that_ends_anywhere_is_a_lost_connection() {
    let mut engine = Engine::server();
    let whole = engine.output();
    for cut in [0, 1, 5, 20, 30, 60, whole.len() - 1, whole.len()] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = tokio::spawn(connection(port).auth(Auth::password("secret")).connect());
        let (mut socket, _) = within(listener.accept()).await.unwrap();
        socket.write_all(&whole[..cut]).await.unwrap();
        socket.shutdown().await.unwrap();
        let error = within(client).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::ConnectionLost(Phase::KeyExchange, _)), "{cut}: {error}");
    }
    // A server that does not want to talk may say why, and cannot steer the terminal with it.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = tokio::spawn(connection(port).auth(Auth::password("secret")).connect());
    let (mut socket, _) = within(listener.accept()).await.unwrap();
    socket.write_all(b"Too many\x1b[2J connections\r\n").await.unwrap();
    socket.shutdown().await.unwrap();
    let error = within(client).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::TurnedAway(_)), "{error}");
    assert!(error.to_string().contains("Too many\\u{1b}[2J connections"), "{error}");
}
