//! A hostile server and a client that has logged in to it (RFC 4254).

use core::time::Duration;

use chiton::{Child, Client, Error, ExitStatus, error::Phase};
use chiton_tests::hostile::Peer;
use ssh_connection::message::{
    ChannelClose, ChannelData, ChannelEof, ChannelExtendedData, ChannelOpenConfirmation,
    ChannelSuccess, ChannelWindowAdjust,
};
use ssh_wire::{DisconnectReason, Encode, Rest};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{logged_in, rule, within};

const PROTOCOL_ERROR: Option<DisconnectReason> = Some(DisconnectReason::PROTOCOL_ERROR);

/// Grants the next channel that the client asks for, with this window.
async fn grant(peer: &mut Peer<TcpStream>, initial_window: u32) -> u32 {
    let open = within(peer.payload_with(90)).await;
    let number = open[12..16].try_into().map(u32::from_be_bytes).unwrap();
    peer.send(&ChannelOpenConfirmation {
        recipient: number,
        sender: number,
        initial_window,
        max_packet: 32 * 1024,
        data: Rest(&[]),
    })
    .await;
    within(peer.payload_with(98)).await;
    peer.send(&ChannelSuccess { recipient: number }).await;
    number
}

/// A command that runs on the hostile server, as channel 0.
async fn running(window: u32) -> (Peer<TcpStream>, Client, Child) {
    let (mut peer, client) = logged_in().await;
    let command = client.command("x");
    let (child, number) =
        within(async { tokio::join!(command.spawn(), grant(&mut peer, window)) }).await;
    assert_eq!(number, 0);
    (peer, client, child.unwrap())
}

/// A request on channel 0 that nobody has to answer.
fn request(name: &str, body: &[u8]) -> Vec<u8> {
    let mut payload = vec![98, 0, 0, 0, 0];
    name.encode(&mut payload);
    payload.push(0);
    payload.extend_from_slice(body);
    payload
}

/// How a client ends that has a running command and gets these messages.
async fn ends(messages: &[&dyn Encode]) -> (Error, Option<DisconnectReason>) {
    let (mut peer, client, _child) = running(0).await;
    for message in messages {
        peer.engine.send(*message);
    }
    peer.flush().await.unwrap();
    let reason = within(peer.goodbye()).await;
    (within(client.closed()).await, reason)
}

#[tokio::test]
async fn what_breaks_the_rules_of_channels_ends_the_connection() {
    let confirm = |max_packet| ChannelOpenConfirmation {
        recipient: 0,
        sender: 0,
        initial_window: 1,
        max_packet,
        data: Rest(&[]),
    };
    let data = |recipient, len: usize| ChannelData { recipient, data: &[7; 40_000][..len] };
    let (eof, close) = (ChannelEof { recipient: 0 }, ChannelClose { recipient: 0 });
    let adjust = |bytes| ChannelWindowAdjust { recipient: 0, bytes };
    let cases: &[(&[&dyn Encode], &str)] = &[
        (&[&data(0, 32 * 1024 + 1)], "RFC 4254 §5.2"),
        (&[&data(1, 1)], "RFC 4254 §5"),
        (&[&data(u32::MAX, 1)], "RFC 4254 §5"),
        (&[&eof, &data(0, 1)], "RFC 4254 §5.3"),
        (&[&close, &close], "RFC 4254 §5.3"),
        (&[&close, &data(0, 1)], "RFC 4254 §5.3"),
        (&[&adjust(u32::MAX), &adjust(1)], "RFC 4254 §5.2"),
        (&[&confirm(1)], "RFC 4254 §5.1"),
        (&[&ChannelSuccess { recipient: 0 }], "RFC 4254 §5.4"),
        (&[&Rest(&request("exit-status", &[0, 0]))], "RFC 4251 §5"),
        (&[&Rest(&[94, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])], "RFC 4251 §5"),
        (&[&Rest(&[52])], "RFC 4252 §6"),
        (&[&Rest(&[50, 0])], "RFC 4252 §6"),
        (&[&Rest(&[5, 0, 0, 0, 0])], "RFC 4252 §6 and RFC 4253 §7.1"),
        (&[&Rest(&[31, 0, 0, 0, 0])], "RFC 4253 §7.1"),
        (&[&Rest(&[21])], "RFC 4253 §7.1"),
    ];
    for (messages, broken) in cases {
        let (error, reason) = ends(messages).await;
        assert_eq!((rule(&error), reason), (*broken, PROTOCOL_ERROR), "{error}");
    }
}

#[tokio::test]
async fn data_beyond_the_window_ends_the_connection() {
    let (mut peer, client, _child) = running(0).await;
    // Nobody reads it, so there is never any credit for more.
    let goodbye = within(async {
        let flood = ChannelData { recipient: 0, data: &[7; 32 * 1024] };
        for _ in 0..200 {
            peer.engine.send(&flood);
            if peer.flush().await.is_err() {
                break;
            }
        }
        peer.goodbye().await
    })
    .await;
    assert_eq!(goodbye, PROTOCOL_ERROR);
    assert_eq!(rule(&within(client.closed()).await), "RFC 4254 §5.2");
}

#[tokio::test]
async fn a_channel_with_packets_of_nothing_is_refused() {
    let (mut peer, client) = logged_in().await;
    let command = client.command("x");
    let hostile = async {
        peer.payload_with(90).await;
        let (initial_window, max_packet, data) = (100, 0, Rest(&[][..]));
        peer.send(&ChannelOpenConfirmation {
            recipient: 0,
            sender: 0,
            initial_window,
            max_packet,
            data,
        })
        .await;
        peer.goodbye().await
    };
    let (spawned, reason) = within(async { tokio::join!(command.spawn(), hostile) }).await;
    assert_eq!(reason, PROTOCOL_ERROR);
    assert_eq!(rule(&spawned.unwrap_err()), "RFC 4254 §5.1");
}

/// What a server may not have at all, or does not know better, costs it nothing but the answer.
#[tokio::test]
async fn what_was_not_asked_for_is_refused_and_the_connection_lives() {
    let (mut peer, _client, _child) = running(0).await;
    for kind in ["session", "x11", "forwarded-tcpip", "auth-agent@openssh.com", ""] {
        let mut open = vec![90];
        kind.encode(&mut open);
        open.extend_from_slice(&[0, 0, 0, 9, 0, 0, 1, 0, 0, 0, 1, 0, 1, 2, 3]);
        let open = if kind == "session" { &open[..open.len() - 3] } else { &open };
        peer.send_bytes(open).await;
        let refusal = within(peer.payload()).await;
        assert_eq!(refusal[..5], [92, 0, 0, 0, 9], "{kind}");
    }
    for (name, want_reply) in [("hostkeys-00@openssh.com", 0), ("tcpip-forward", 1), ("", 1)] {
        let mut global = vec![80];
        name.encode(&mut global);
        global.push(want_reply);
        peer.send_bytes(&global).await;
        if want_reply == 1 {
            assert_eq!(within(peer.payload()).await, [82], "{name}");
        }
    }
    // Replies to nothing are dropped, and so is a banner that comes too late.
    for payload in [&[81, 1, 2][..], &[82], &[53, 0, 0, 0, 0, 0, 0, 0, 0]] {
        peer.send_bytes(payload).await;
    }
    // A request on the channel that no client grants.
    let mut ask = request("exec", &[0, 0, 0, 1, b'x']);
    ask[5 + 4 + 4] = 1;
    peer.send_bytes(&ask).await;
    assert_eq!(within(peer.payload()).await, [100, 0, 0, 0, 0]);
}

#[tokio::test]
async fn only_a_well_formed_status_and_a_close_are_a_success() {
    let status = request("exit-status", &[0, 0, 0, 0]);
    let (eof, close) = (ChannelEof { recipient: 0 }, ChannelClose { recipient: 0 });
    let said = ChannelData { recipient: 0, data: b"done\n" };
    let cases: &[(&[&dyn Encode], ExitStatus)] = &[
        (&[&said, &Rest(&status), &eof, &close], ExitStatus::Code(0)),
        (&[&Rest(&status), &said, &close], ExitStatus::Code(0)),
        (&[&Rest(&request("exit-status", &[0, 0, 1, 0])), &close], ExitStatus::Code(256)),
        (&[&said, &eof, &close], ExitStatus::Missing),
        (&[&close], ExitStatus::Missing),
    ];
    for (messages, expected) in cases {
        let (mut peer, _client, child) = running(0).await;
        for message in *messages {
            peer.send(*message).await;
        }
        let output = within(child.wait_with_output()).await.unwrap();
        assert_eq!(output.status, *expected);
        assert_eq!(output.ok().is_ok(), *expected == ExitStatus::Code(0), "{expected:?}");
    }
    // Without the close, everything may still be missing.
    let (mut peer, _client, child) = running(0).await;
    for message in [&said as &dyn Encode, &Rest(&status), &eof] {
        peer.send(message).await;
    }
    drop(peer);
    let error = within(child.wait_with_output()).await.unwrap_err();
    assert!(matches!(error, Error::ConnectionLost(Phase::Connected, _)), "{error}");
}

#[tokio::test]
async fn stderr_of_an_unknown_kind_is_thrown_away() {
    let (mut peer, _client, child) = running(0).await;
    peer.send(&ChannelExtendedData { recipient: 0, code: 9, data: b"?" }).await;
    peer.send(&ChannelExtendedData { recipient: 0, code: 1, data: b"!" }).await;
    peer.send(&ChannelClose { recipient: 0 }).await;
    let output = within(child.wait_with_output()).await.unwrap();
    assert_eq!((output.stdout, output.stderr), (vec![], b"!".to_vec()));
}

/// As long as a packet may be at all (RFC 4253 §6.1 and OpenSSH's limit), to the byte.
#[tokio::test]
async fn the_longest_packets_are_taken() {
    let (mut peer, _client, child) = running(0).await;
    let mut ignore = vec![2];
    vec![7_u8; 262_134].as_slice().encode(&mut ignore);
    for _ in 0..20 {
        peer.send_bytes(&ignore).await;
        peer.send(&ChannelData { recipient: 0, data: b"x" }).await;
    }
    peer.send(&ChannelClose { recipient: 0 }).await;
    let output = within(child.wait_with_output()).await.unwrap();
    assert_eq!(output.stdout, [b'x'; 20]);
}

/// Fills every buffer on the way to a server that reads nothing.
async fn fill(child: &mut Child) {
    let mut stdin = child.stdin.take().unwrap();
    let block = vec![1; 1 << 20];
    while let Ok(written) =
        tokio::time::timeout(Duration::from_millis(300), stdin.write_all(&block)).await
    {
        written.unwrap();
    }
    child.stdin = Some(stdin);
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_reads_nothing() {
    let (_peer, client, mut child) = running(u32::MAX).await;
    fill(&mut child).await;
    tokio::time::timeout(Duration::from_secs(5), client.close()).await.unwrap().unwrap();
    assert!(matches!(within(child.wait()).await, Err(Error::Closed)));
}

#[tokio::test]
async fn dropping_everything_closes_the_socket_to_a_server_that_reads_nothing() {
    let (peer, client, mut child) = running(u32::MAX).await;
    fill(&mut child).await;
    drop((client, child));
    // Nothing is read here: only the other side can end it, once its last words had their time.
    let mut socket = peer.socket;
    within(async {
        while socket.write_all(b"still here?").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// Answers are bounded by not reading on, whatever the other side asks for.
#[tokio::test]
async fn a_server_that_asks_and_does_not_listen_throttles_itself() {
    let (mut peer, client, _child) = running(0).await;
    let mut ask = vec![80];
    "keepalive@openssh.com".encode(&mut ask);
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
    tokio::time::timeout(Duration::from_secs(5), client.close()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_too_long_to_send_is_an_error_at_once() {
    let (mut peer, client) = logged_in().await;
    let open = async {
        peer.payload_with(90).await;
        let (initial_window, max_packet, data) = (0, 1, Rest(&[][..]));
        peer.send(&ChannelOpenConfirmation {
            recipient: 0,
            sender: 0,
            initial_window,
            max_packet,
            data,
        })
        .await;
        peer
    };
    let exec = client.exec(vec![b'x'; 300_000]);
    let (result, _peer) = within(async { tokio::join!(exec, open) }).await;
    let error = result.unwrap_err();
    let too_long = ssh_transport::Error::MessageTooLong;
    assert!(matches!(&error, Error::Transport(found) if **found == too_long), "{error}");
}

/// A server that begins to exchange keys and does not go on with it is left after five minutes,
/// without anybody having asked for keepalives.
#[tokio::test(start_paused = true)]
async fn an_exchange_that_does_not_go_on_is_given_up() {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let mut peer = Peer::server(theirs);
    let connect = crate::connection(22).no_keepalive();
    let connect = connect.auth(chiton::Auth::password("x")).connect_over(ours);
    let (client, ()) = tokio::join!(connect, peer.let_in());
    let client = client.unwrap();
    peer.engine.rekey();
    peer.flush().await.unwrap();
    let error = tokio::time::timeout(Duration::from_secs(600), client.closed()).await.unwrap();
    assert_eq!(rule(&error), "RFC 4253 §9", "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_went_silent_is_noticed_unless_one_says_otherwise() {
    for (keepalive, noticed) in [(true, true), (false, false)] {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let mut peer = Peer::server(theirs);
        let builder = crate::connection(22);
        let builder = if keepalive { builder } else { builder.no_keepalive() };
        let connect = builder.auth(chiton::Auth::password("x")).connect_over(ours);
        let (client, ()) = tokio::join!(connect, peer.let_in());
        let client = client.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(300), client.closed()).await;
        assert_eq!(closed.is_ok(), noticed);
        if let Ok(error) = closed {
            assert!(matches!(error, Error::TimedOut(Phase::Connected, _)), "{error}");
        }
    }
}
