//! RFC 4254 §5.1: opens of both sides, granted, refused and forgotten.

use super::*;
use crate::{
    IncomingKind, OpenFailureReason, TooManyChannels,
    message::{
        ChannelClose, ChannelOpen, ChannelOpenConfirmation, ChannelOpenFailure, ChannelType,
        GlobalRequest,
    },
};
use ssh_wire::{Message, Rest};

const SESSION: ChannelOpen<'_> =
    ChannelOpen { kind: ChannelType::Session, sender: 7, initial_window: 100, max_packet: 10 };

/// The reason codes of the refusals that were sent since the last call.
fn refusals(alone: &mut Alone) -> Vec<(u32, u32)> {
    let read = |m: &Vec<u8>| {
        let refusal = <ChannelOpenFailure<'_> as Message>::parse(m).unwrap();
        (refusal.recipient, refusal.reason)
    };
    alone.sent.drain(..).collect::<Vec<_>>().iter().map(read).collect()
}

#[test]
fn a_client_refuses_sessions_and_everyone_refuses_unknown_types() {
    for role in [Role::Client, Role::Server] {
        let mut alone = Alone::new(role, Limits::default());
        if role == Role::Client {
            alone.get(&SESSION).unwrap();
            assert_eq!(refusals(&mut alone), [(7, 1)]);
        }
        for name in ["x11", "direct-tcpip", "forwarded-tcpip", "auth-agent@openssh.com", ""] {
            let kind = ChannelType::Other { name, data: Rest(b"whatever") };
            alone.get(&ChannelOpen { kind, ..SESSION }).unwrap();
            assert_eq!(refusals(&mut alone), [(7, 3)], "{name}");
        }
        assert_eq!(alone.mux.poll(), None);
        assert_eq!(alone.mux.channels(), 0, "nothing is left behind");
    }
}

#[test]
fn a_server_asks_its_application() {
    let mut alone = Alone::new(Role::Server, Limits::default());
    alone.get(&SESSION).unwrap();
    let Some(MuxEvent::Incoming(incoming)) = alone.mux.poll() else { panic!() };
    assert_eq!(incoming.kind(), IncomingKind::Session);
    assert_eq!(alone.sent(), []);
    alone.mux.refuse(incoming, OpenFailureReason::CONNECT_FAILED, "no", &mut alone.sent);
    assert_eq!(refusals(&mut alone), [(7, 2)]);

    alone.get(&SESSION).unwrap();
    let Some(MuxEvent::Incoming(incoming)) = alone.mux.poll() else { panic!() };
    let id = alone.mux.accept(incoming, alone.now, &mut alone.sent).unwrap();
    let message = alone.sent.pop().unwrap();
    assert_eq!(
        <ChannelOpenConfirmation<'_> as Message>::parse(&message).unwrap(),
        ChannelOpenConfirmation {
            recipient: 7,
            sender: id.number(),
            initial_window: 2 * 1024 * 1024,
            max_packet: 32 * 1024,
            data: Rest(b""),
        }
    );
}

#[test]
fn an_offer_that_is_dropped_is_refused() {
    let mut alone = Alone::new(Role::Server, Limits::default());
    alone.get(&SESSION).unwrap();
    drop(alone.mux.poll());
    alone.mux.answer_abandoned(&mut alone.sent);
    assert_eq!(refusals(&mut alone), [(7, 1)]);
    // Nobody even looked at the event: it still waits, and so does the peer.
    alone.get(&SESSION).unwrap();
    alone.mux.answer_abandoned(&mut alone.sent);
    assert_eq!(refusals(&mut alone), []);
}

#[test]
fn an_offer_of_another_connection_is_not_taken() {
    let mut a = Alone::new(Role::Server, Limits::default());
    let mut b = Alone::new(Role::Server, Limits::default());
    a.get(&SESSION).unwrap();
    let Some(MuxEvent::Incoming(incoming)) = a.mux.poll() else { panic!() };
    assert_eq!(b.mux.accept(incoming, b.now, &mut b.sent), None);
    assert_eq!(b.sent(), []);
}

#[test]
fn opens_that_nobody_answers_are_bounded() {
    let limits = Limits { max_pending_opens: 3, ..Limits::default() };
    let mut alone = Alone::new(Role::Server, limits);
    for _ in 0..5 {
        alone.get(&SESSION).unwrap();
    }
    assert_eq!(refusals(&mut alone), [(7, 4), (7, 4)]);
}

/// An offer has its place reserved: it can be granted whatever is opened meanwhile.
#[test]
fn channels_are_bounded_offers_included() {
    let limits = Limits { max_channels: 2, ..Limits::default() };
    let mut alone = Alone::new(Role::Server, limits);
    alone.get(&SESSION).unwrap();
    let Some(MuxEvent::Incoming(incoming)) = alone.mux.poll() else { panic!() };
    alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    let again = alone.mux.open_session(alone.now, &mut alone.sent);
    assert_eq!(again, Err(TooManyChannels { limit: 2 }));
    alone.sent();
    alone.get(&SESSION).unwrap();
    assert_eq!(refusals(&mut alone), [(7, 4)]);
    assert!(alone.mux.accept(incoming, alone.now, &mut alone.sent).is_some());
    assert_eq!(alone.mux.channels(), 2);
}

#[test]
fn a_refused_open_frees_its_number_and_its_id_is_dead() {
    let mut alone = Alone::new(Role::Client, Limits::default());
    let id = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    let text = b"go\x07 away";
    alone
        .get(&ChannelOpenFailure { recipient: 0, reason: 2, description: text, language: b"" })
        .unwrap();
    let Some(MuxEvent::OpenFailed(failed, failure)) = alone.mux.poll() else { panic!() };
    assert_eq!((failed, failure.reason), (id, OpenFailureReason::CONNECT_FAILED));
    assert_eq!(std::format!("{failure}"), "connect failed: go\\u{7} away");
    assert!(!alone.mux.is_in_use(id));
    let next = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    assert_eq!(next.number(), id.number());
    assert_ne!(next, id);
}

/// The application gives up before the peer has answered.
#[test]
fn an_open_that_is_given_up_is_closed_as_soon_as_it_is_granted() {
    let mut alone = Alone::new(Role::Client, Limits::default());
    let id = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    alone.mux.release(id, &mut alone.sent);
    assert_eq!(alone.sent(), [90]);
    assert_eq!(alone.mux.channels(), 1);
    alone
        .get(&ChannelOpenConfirmation {
            recipient: 0,
            sender: 9,
            initial_window: 1,
            max_packet: 1,
            data: Rest(b""),
        })
        .unwrap();
    assert_eq!(alone.sent, [payload(&ChannelClose { recipient: 9 })]);
    alone.get(&ChannelClose { recipient: 0 }).unwrap();
    assert_eq!((alone.mux.channels(), alone.mux.poll()), (0, None));
    assert_eq!(alone.mux.inspect_budget().taken(), 0, "its window is given back");

    let id = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    alone.mux.release(id, &mut alone.sent);
    alone
        .get(&ChannelOpenFailure { recipient: 0, reason: 2, description: b"", language: b"" })
        .unwrap();
    assert_eq!((alone.mux.channels(), alone.mux.poll()), (0, None));
    assert_eq!(alone.mux.inspect_budget().taken(), 0, "its window is given back");
}

/// As above, with an application that waits for the end.
#[test]
fn a_channel_that_is_closed_before_it_opens_says_only_that_it_is_closed() {
    let mut alone = Alone::new(Role::Client, Limits::default());
    let id = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    assert_eq!(alone.mux.write(id, Stream::Data, &[b"x"], &mut alone.sent), Ok(0));
    alone.mux.close(id, &mut alone.sent);
    alone
        .get(&ChannelOpenConfirmation {
            recipient: 0,
            sender: 9,
            initial_window: 1,
            max_packet: 1,
            data: Rest(b""),
        })
        .unwrap();
    assert_eq!((alone.sent(), alone.mux.poll()), (vec![90, 97], None));
    alone.get(&ChannelClose { recipient: 0 }).unwrap();
    assert_eq!(alone.mux.poll(), Some(MuxEvent::Closed(id)));
}

#[test]
fn after_no_more_sessions_a_session_ends_the_connection() {
    let mut alone = Alone::new(Role::Server, Limits::default());
    alone
        .get(&GlobalRequest {
            name: "no-more-sessions@openssh.com",
            want_reply: false,
            data: Rest(b""),
        })
        .unwrap();
    let error = alone.get(&SESSION).unwrap_err();
    assert_eq!(error, crate::PeerMisbehaved::SessionAfterNoMoreSessions.into());
}
