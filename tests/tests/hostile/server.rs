//! A hostile client that has logged in to a server of ours (RFC 4254).

use core::time::Duration;

use chiton::Error;
use chiton_tests::hostile::Peer;
use ssh_connection::message::{ChannelClose, ChannelData, ChannelEof, ChannelWindowAdjust};
use ssh_wire::{DisconnectReason, Encode};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{World, rule, within};

const PROTOCOL_ERROR: Option<DisconnectReason> = Some(DisconnectReason::PROTOCOL_ERROR);

fn open(sender: u32, window: u32, max_packet: u32) -> Vec<u8> {
    let mut payload = vec![90];
    "session".encode(&mut payload);
    for number in [sender, window, max_packet] {
        number.encode(&mut payload);
    }
    payload
}

fn request(channel: u32, name: &str, want_reply: bool, body: &[&[u8]]) -> Vec<u8> {
    let mut payload = vec![98];
    channel.encode(&mut payload);
    name.encode(&mut payload);
    payload.push(want_reply.into());
    for part in body {
        part.encode(&mut payload);
    }
    payload
}

/// A client with a session, which is channel 0 on both sides.
async fn with_session(world: &World) -> Peer<TcpStream> {
    let mut peer = world.member().await;
    peer.send_bytes(&open(0, 1 << 20, 1 << 15)).await;
    assert_eq!(within(peer.payload()).await[..9], [91, 0, 0, 0, 0, 0, 0, 0, 0]);
    peer
}

/// How the server ends a connection with a session on it after these messages.
async fn ends(world: &mut World, messages: &[&dyn Encode]) -> (Error, Option<DisconnectReason>) {
    let mut peer = with_session(world).await;
    for message in messages {
        peer.engine.send(*message);
    }
    peer.flush().await.unwrap();
    let reason = within(peer.goodbye()).await;
    (world.cause().await, reason)
}

#[tokio::test]
async fn what_breaks_the_rules_of_channels_ends_the_connection() {
    let mut world = World::start();
    let data = |recipient, len: usize| ChannelData { recipient, data: &[7; 40_000][..len] };
    let (eof, close) = (ChannelEof { recipient: 0 }, ChannelClose { recipient: 0 });
    let adjust = ChannelWindowAdjust { recipient: 0, bytes: u32::MAX };
    let bytes = ssh_wire::Rest;
    let (empty, cut) = (open(1, 1, 0), request(0, "exec", true, &[]));
    let cases: &[(&[&dyn Encode], &str)] = &[
        (&[&data(0, 32 * 1024 + 1)], "RFC 4254 §5.2"),
        (&[&data(3, 1)], "RFC 4254 §5"),
        (&[&eof, &data(0, 1)], "RFC 4254 §5.3"),
        (&[&adjust], "RFC 4254 §5.2"),
        (&[&bytes(&empty)], "RFC 4254 §5.1"),
        (&[&bytes(&[91; 17])], "RFC 4254 §5.1"),
        (&[&bytes(&[99, 0, 0, 0, 0])], "RFC 4254 §5.4"),
        (&[&bytes(&cut)], "RFC 4251 §5"),
        (&[&bytes(&[53, 0, 0, 0, 0, 0, 0, 0, 0])], "RFC 4252 §6"),
        (&[&bytes(&[52])], "RFC 4252 §6"),
        (&[&bytes(&[6, 0, 0, 0, 0])], "RFC 4252 §6 and RFC 4253 §7.1"),
        (&[&bytes(&[30, 0, 0, 0, 0])], "RFC 4253 §7.1"),
    ];
    for (messages, broken) in cases {
        let (error, reason) = ends(&mut world, messages).await;
        assert_eq!((rule(&error), reason), (*broken, PROTOCOL_ERROR), "{error}");
    }
    // After the session was closed on both sides, its number names nothing.
    let mut peer = with_session(&world).await;
    peer.send(&close).await;
    within(peer.payload_with(97)).await;
    peer.send(&data(0, 1)).await;
    assert_eq!(within(peer.goodbye()).await, PROTOCOL_ERROR);
}

#[tokio::test]
async fn data_beyond_the_window_ends_the_connection() {
    let mut world = World::start();
    let mut peer = with_session(&world).await;
    // Nobody reads it: no program was started.
    let reason = within(async {
        for _ in 0..200 {
            peer.engine.send(&ChannelData { recipient: 0, data: &[7; 32 * 1024] });
            if peer.flush().await.is_err() {
                break;
            }
        }
        peer.goodbye().await
    });
    assert_eq!(reason.await, PROTOCOL_ERROR);
    assert_eq!(rule(&world.cause().await), "RFC 4254 §5.2");
}

#[tokio::test]
async fn channels_without_end_are_refused_and_the_connection_lives() {
    let world = World::start();
    let mut peer = world.member().await;
    let mut granted = 0;
    for number in 0..400 {
        peer.send_bytes(&open(number, 1000, 1000)).await;
        match within(peer.payload()).await[0] {
            91 => granted += 1,
            92 => {}
            other => panic!("{other}"),
        }
    }
    assert_eq!(granted, 256);
}

/// Requests while SFTP runs are nobody's business, and must neither pile up nor go unanswered.
#[tokio::test]
async fn requests_beside_sftp_are_refused_and_do_not_pile_up() {
    let world = World::start();
    let mut peer = with_session(&world).await;
    peer.send_bytes(&request(0, "subsystem", true, &[b"sftp"])).await;
    within(peer.payload_with(99)).await;
    let value = [b'x'; 200_000];
    // A hundred megabytes, if anybody kept them.
    for _ in 0..500 {
        peer.send_bytes(&request(0, "env", false, &[b"LC_ALL", &value])).await;
    }
    for _ in 0..50 {
        for _ in 0..20 {
            peer.engine.send_bytes(&request(0, "env", true, &[b"LC_ALL", b"C"]));
        }
        peer.flush().await.unwrap();
        for _ in 0..20 {
            assert_eq!(within(peer.payload()).await, [100, 0, 0, 0, 0]);
        }
    }
    // It still serves files.
    peer.send(&ChannelData { recipient: 0, data: &[0, 0, 0, 5, 1, 0, 0, 0, 3] }).await;
    let version = within(peer.payload_with(94)).await;
    assert_eq!(version[13..18], [2, 0, 0, 0, 3]);
}

#[tokio::test]
async fn a_client_that_asks_and_does_not_listen_throttles_itself() {
    let world = World::start();
    let mut peer = with_session(&world).await;
    let mut ask = vec![80];
    "tcpip-forward".encode(&mut ask);
    ask.push(1);
    let mut sent: usize = 0;
    loop {
        for _ in 0..1000 {
            peer.engine.send_bytes(&ask);
        }
        let bytes = peer.engine.output();
        let write = peer.socket.write_all(&bytes);
        match tokio::time::timeout(Duration::from_millis(300), write).await {
            Ok(written) => written.unwrap(),
            Err(_) => break,
        }
        sent += bytes.len();
        assert!(sent < 256 << 20, "it never stops reading");
    }
    // Shutting down does not wait for it.
    let World { handle, .. } = world;
    tokio::time::timeout(Duration::from_secs(6), handle.shutdown()).await.unwrap();
}
