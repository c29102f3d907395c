//! Peers that break the rules: each way has an error that names the rule.

use super::*;
use crate::{
    Limit, PeerMisbehaved,
    message::{
        ChannelClose, ChannelData, ChannelEof, ChannelExtendedData, ChannelFailure, ChannelOpen,
        ChannelOpenConfirmation, ChannelOpenFailure, ChannelRequest, ChannelSuccess, ChannelType,
        ChannelWindowAdjust, GlobalRequest,
    },
};
use ssh_wire::{DecodeErrorKind, DisconnectReason, Fault, Rest};

const CONFIRMATION: ChannelOpenConfirmation<'_> = ChannelOpenConfirmation {
    recipient: 0,
    sender: 5,
    initial_window: 1000,
    max_packet: 100,
    data: Rest(b""),
};

/// A client with an open channel 0.
fn client() -> Alone {
    let mut alone = opening();
    alone.get(&CONFIRMATION).unwrap();
    alone
}

/// A client that waits for the answer to its open of channel 0.
fn opening() -> Alone {
    let mut alone = Alone::new(Role::Client, Limits::default());
    alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    alone
}

/// One scenario for each variant of [`PeerMisbehaved`], in its order.
#[test]
fn every_misbehaviour_is_an_error_that_names_its_rule() {
    type Send<'a> = (&'a dyn Fn() -> Alone, &'a [&'a dyn Encode]);
    let success = ChannelSuccess { recipient: 0 };
    let failure = ChannelFailure { recipient: 0 };
    let data = ChannelData { recipient: 0, data: b"x" };
    let eof = ChannelEof { recipient: 0 };
    let close = ChannelClose { recipient: 0 };
    let large = [0; 32 * 1024 + 1];
    let largest = [0; 32 * 1024];
    let too_large = ChannelData { recipient: 0, data: &large };
    let full = ChannelData { recipient: 0, data: &largest };
    let full_err = ChannelExtendedData { recipient: 0, code: 1, data: &largest };
    let mut too_much: Vec<&dyn Encode> = vec![&full, &full_err];
    too_much.extend([&full as &dyn Encode; 62]);
    too_much.push(&data);
    let elsewhere = ChannelData { recipient: 1, data: b"x" };
    let adjust = ChannelWindowAdjust { recipient: 0, bytes: u32::MAX - 999 };
    let zero = ChannelOpenConfirmation { max_packet: 0, ..CONFIRMATION };
    let refusal = ChannelOpenFailure { recipient: 0, reason: 1, description: b"", language: b"" };
    let open =
        ChannelOpen { kind: ChannelType::Session, sender: 9, initial_window: 0, max_packet: 0 };
    let promise =
        GlobalRequest { name: "no-more-sessions@openssh.com", want_reply: true, data: Rest(b"") };
    let session = ChannelOpen { max_packet: 1, ..open };
    let server = || Alone::new(Role::Server, Limits::default());

    use PeerMisbehaved::*;
    let scenarios: &[(Send<'_>, PeerMisbehaved, &str)] = &[
        ((&client, &[&success]), ChannelReplyNotAsked { channel: 0 }, "RFC 4254 §5.4"),
        ((&client, &[&failure]), ChannelReplyNotAsked { channel: 0 }, "RFC 4254 §5.4"),
        ((&client, &[&eof, &data]), DataAfterEof { channel: 0 }, "RFC 4254 §5.3"),
        (
            (&client, &[&too_large]),
            DataBeyondMaxPacket { channel: 0, len: 32_769, max: 32_768 },
            "RFC 4254 §5.2",
        ),
        ((&client, &too_much), DataBeyondWindow { channel: 0, over: 1 }, "RFC 4254 §5.2"),
        (
            (&client, &[&close, &data]),
            MessageAfterClose { channel: 0, message: 94 },
            "RFC 4254 §5.3",
        ),
        (
            (&client, &[&close, &failure]),
            MessageAfterClose { channel: 0, message: 100 },
            "RFC 4254 §5.3",
        ),
        (
            (&opening, &[&full_err]),
            MessageBeforeConfirmation { channel: 0, message: 95 },
            "RFC 4254 §5.1",
        ),
        ((&client, &[&CONFIRMATION]), OpenReplyNotAsked { channel: 0 }, "RFC 4254 §5.1"),
        ((&client, &[&refusal]), OpenReplyNotAsked { channel: 0 }, "RFC 4254 §5.1"),
        ((&server, &[&CONFIRMATION]), OpenReplyNotAsked { channel: 0 }, "RFC 4254 §5.1"),
        ((&opening, &[&refusal, &refusal]), OpenReplyNotAsked { channel: 0 }, "RFC 4254 §5.1"),
        ((&server, &[&promise, &session]), SessionAfterNoMoreSessions, "OpenSSH PROTOCOL §2.2"),
        ((&client, &[&elsewhere]), UnknownChannel { channel: 1, message: 94 }, "RFC 4254 §5"),
        ((&client, &[&adjust]), WindowAboveMaximum { channel: 0 }, "RFC 4254 §5.2"),
        ((&opening, &[&zero]), ZeroMaxPacket { channel: 0 }, "RFC 4254 §5.1"),
        ((&server, &[&open]), ZeroMaxPacket { channel: 9 }, "RFC 4254 §5.1"),
    ];
    for ((start, messages), expected, rule) in scenarios {
        let mut alone = start();
        let (last, before) = messages.split_last().unwrap();
        for message in before {
            alone.get(message).unwrap();
        }
        let error = alone.get(last).unwrap_err();
        assert_eq!(error, Error::PeerMisbehaved(*expected));
        assert_eq!(error.rule().unwrap().0, *rule, "{expected:?}");
        assert_eq!(error.disconnect(), Some(DisconnectReason::PROTOCOL_ERROR));
        assert_eq!(error.fault(), Fault::Peer);
        assert!(std::format!("{error}").contains(rule));
        assert_eq!(alone.get(&eof), Err(error), "a dead mux stays dead");
    }
}

/// The window is exact: the last byte is taken, and data of both streams counts.
#[test]
fn all_of_the_window_may_be_used() {
    let mut alone = client();
    let largest = [0; 32 * 1024];
    for i in 0..64 {
        let message: &dyn Encode = if i % 2 == 0 {
            &ChannelData { recipient: 0, data: &largest }
        } else {
            &ChannelExtendedData { recipient: 0, code: 1, data: &largest }
        };
        alone.get(message).unwrap();
    }
    let largest_window = ChannelWindowAdjust { recipient: 0, bytes: u32::MAX - 1000 };
    assert_eq!(alone.get(&largest_window), Ok(()));
}

#[test]
fn a_flood_of_requests_is_a_limit_and_not_memory() {
    let open =
        ChannelOpen { kind: ChannelType::Session, sender: 9, initial_window: 0, max_packet: 1 };
    let limits = Limits {
        max_pending_replies: 3,
        max_queued_requests: 5,
        max_queued_request_bytes: 1000,
        ..Limits::default()
    };
    let server = || {
        let mut alone = Alone::new(Role::Server, limits.clone());
        alone.get(&open).unwrap();
        let Some(MuxEvent::Incoming(incoming)) = alone.mux.poll() else { panic!() };
        alone.mux.accept(incoming, alone.now, &mut alone.sent).unwrap();
        alone
    };
    let command = vec![0; 400];
    for (command, want_reply, taken, limit) in [
        (&b""[..], true, 3, Limit::PendingReplies { channel: 0, limit: 3 }),
        (&b""[..], false, 5, Limit::QueuedRequests { limit: 5 }),
        (&command[..], false, 2, Limit::QueuedRequestBytes { limit: 1000 }),
    ] {
        let mut alone = server();
        let env = crate::Env { name: command.into(), value: b"".into() };
        let request = Request::Env(env);
        let message = ChannelRequest { recipient: 0, want_reply, request };
        for _ in 0..taken {
            alone.get(&message).unwrap();
        }
        let error = alone.get(&message).unwrap_err();
        assert_eq!(error, Error::LimitExceeded(limit));
        assert_eq!((error.fault(), error.rule()), (Fault::Policy, None));
        assert_eq!(error.disconnect(), Some(DisconnectReason::BY_APPLICATION));
    }
}

/// Requests that are refused by the mux itself are answered at once and pile up nothing.
#[test]
fn requests_that_nobody_is_asked_about_need_no_memory() {
    let mut alone = client();
    let request = Request::Other { name: "ping".into(), data: vec![0; 30_000].into() };
    let message = ChannelRequest { recipient: 0, want_reply: true, request };
    alone.sent();
    for _ in 0..2000 {
        alone.get(&message).unwrap();
        assert_eq!(alone.sent(), [100]);
    }
}

#[test]
fn a_number_outside_of_the_table_is_left_to_the_transport() {
    for number in [83, 89, 101, 127] {
        let mut alone = client();
        let error = alone.get(&number).unwrap_err();
        let Error::InvalidMessage(error) = error else { panic!("{error:?}") };
        assert_eq!(error.kind, DecodeErrorKind::UnknownNumber(number));
        assert!(!crate::message::ConnectionMessage::has_number(number));
    }
}

/// A connection that holds as much as it can holds what the limits say, and not much more.
#[test]
fn a_peer_that_fills_everything_stays_within_the_budget() {
    let limits =
        Limits { connection_budget: 4 * 1024 * 1024, max_channels: 16, ..Limits::default() };
    let mut alone = Alone::new(Role::Client, limits.clone());
    // Each payload is a slice of a block of its own, as small as a slice may be.
    let block = |message: &dyn Encode| {
        let mut bytes = payload(message);
        let len = bytes.len();
        bytes.resize(limits.read_block, 0);
        Bytes::from(bytes).slice(..len)
    };
    let data = [0; 1024];
    for number in 0..16 {
        let opened = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
        assert_eq!(opened.number(), number);
        alone.get(&ChannelOpenConfirmation { recipient: number, ..CONFIRMATION }).unwrap();
        let message = block(&ChannelData { recipient: number, data: &data });
        let window = alone.mux.inspect(opened).unwrap().initial_window() as usize;
        for _ in 0..window / 1024 {
            alone.mux.handle(message.clone(), alone.now, &mut alone.sent).unwrap();
        }
    }
    let (mut unread, mut alive) = (0, 0);
    for channel in alone.mux.inspect_all() {
        unread += channel.buffered().0;
        alive += channel.buffered().1;
    }
    assert!(unread <= limits.connection_budget && unread > limits.connection_budget / 2);
    assert!(alive <= limits.worst_case(), "{alive}");
}
