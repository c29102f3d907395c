//! Every message in every state of a channel, and every message cut at every byte.

use super::*;
use crate::{
    PeerMisbehaved,
    message::{
        ChannelClose, ChannelData, ChannelEof, ChannelExtendedData, ChannelFailure, ChannelOpen,
        ChannelOpenConfirmation, ChannelOpenFailure, ChannelRequest, ChannelSuccess, ChannelType,
        ChannelWindowAdjust, ConnectionMessage, GlobalRequest, RequestFailure, RequestSuccess,
    },
};
use ssh_wire::{Message, Rest};

/// Where channel 0 of a mux is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// There is no channel.
    Nowhere,
    Opening,
    /// The application has given it up.
    OpeningGivenUp,
    Open,
    OpenSentEof,
    OpenReceivedEof,
    OpenBothEof,
    /// Opened by the peer.
    OpenTheirs,
    Closing,
    ClosingReleased,
    Closed,
}

const PLACES: [Place; 11] = [
    Place::Nowhere,
    Place::Opening,
    Place::OpeningGivenUp,
    Place::Open,
    Place::OpenSentEof,
    Place::OpenReceivedEof,
    Place::OpenBothEof,
    Place::OpenTheirs,
    Place::Closing,
    Place::ClosingReleased,
    Place::Closed,
];

const CONFIRMATION: ChannelOpenConfirmation<'_> = ChannelOpenConfirmation {
    recipient: 0,
    sender: 5,
    initial_window: 1000,
    max_packet: 100,
    data: Rest(b""),
};

const SESSION: ChannelOpen<'_> =
    ChannelOpen { kind: ChannelType::Session, sender: 5, initial_window: 9, max_packet: 9 };

/// A mux with channel 0 at `place`.
fn at(place: Place) -> Alone {
    let role = if place == Place::OpenTheirs { Role::Server } else { Role::Client };
    let mut alone = Alone::new(role, Limits::default());
    if place == Place::OpenTheirs {
        alone.get(&SESSION).unwrap();
        let Some(MuxEvent::Incoming(incoming)) = alone.mux.poll() else { panic!() };
        alone.mux.accept(incoming, alone.now, &mut alone.sent).unwrap();
    } else if place != Place::Nowhere {
        let id = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
        if !matches!(place, Place::Opening | Place::OpeningGivenUp) {
            alone.get(&CONFIRMATION).unwrap();
        }
        if matches!(place, Place::OpenReceivedEof | Place::OpenBothEof) {
            alone.get(&ChannelEof { recipient: 0 }).unwrap();
        }
        match place {
            Place::OpenSentEof | Place::OpenBothEof => alone.mux.eof(id, &mut alone.sent),
            Place::OpeningGivenUp | Place::ClosingReleased => {
                alone.mux.release(id, &mut alone.sent);
            }
            Place::Closing => alone.mux.close(id, &mut alone.sent),
            Place::Closed => alone.get(&ChannelClose { recipient: 0 }).unwrap(),
            _ => {}
        }
    }
    while alone.mux.poll().is_some() {}
    alone.sent();
    alone
}

/// A message of each kind, about channel 0 where it is about one.
fn all_messages() -> Vec<Vec<u8>> {
    let request = |want_reply, request| ChannelRequest { recipient: 0, want_reply, request };
    let other = ChannelType::Other { name: "other", data: Rest(b"data") };
    vec![
        payload(&GlobalRequest { name: "name", want_reply: true, data: Rest(b"data") }),
        payload(&RequestSuccess { data: Rest(b"data") }),
        payload(&RequestFailure {}),
        payload(&SESSION),
        payload(&ChannelOpen { kind: other, ..SESSION }),
        payload(&CONFIRMATION),
        payload(&ChannelOpenFailure { recipient: 0, reason: 1, description: b"a", language: b"b" }),
        payload(&ChannelWindowAdjust { recipient: 0, bytes: 7 }),
        payload(&ChannelData { recipient: 0, data: b"data" }),
        payload(&ChannelExtendedData { recipient: 0, code: 1, data: b"data" }),
        payload(&ChannelEof { recipient: 0 }),
        payload(&ChannelClose { recipient: 0 }),
        payload(&request(true, Request::Shell)),
        payload(&request(false, Request::ExitStatus(7))),
        payload(&ChannelSuccess { recipient: 0 }),
        payload(&ChannelFailure { recipient: 0 }),
    ]
}

/// What is expected of a message: numbers of the messages sent in return, or an error.
fn expected(place: Place, message: &[u8]) -> Result<Vec<u8>, PeerMisbehaved> {
    use Place::*;
    let number = message[0];
    let is_open = matches!(place, Open | OpenSentEof | OpenReceivedEof | OpenBothEof | OpenTheirs);
    let before = Err(PeerMisbehaved::MessageBeforeConfirmation { channel: 0, message: number });
    let after = Err(PeerMisbehaved::MessageAfterClose { channel: 0, message: number });
    let unknown = Err(PeerMisbehaved::UnknownChannel { channel: 0, message: number });
    let no_request = Err(PeerMisbehaved::ChannelReplyNotAsked { channel: 0 });
    match (number, place) {
        // About no channel: the same everywhere.
        (80, _) => Ok(vec![82]),
        (81 | 82, _) => Ok(vec![]),
        (90, OpenTheirs) if message == payload(&SESSION) => Ok(vec![]),
        (90, _) => Ok(vec![92]),
        // Answers to opens.
        (91, Opening) => Ok(vec![]),
        (91, OpeningGivenUp) => Ok(vec![97]),
        (92, Opening | OpeningGivenUp) => Ok(vec![]),
        (91 | 92, _) => Err(PeerMisbehaved::OpenReplyNotAsked { channel: 0 }),
        // Everything else.
        (93, Nowhere) => Ok(vec![]),
        (_, Nowhere) => unknown,
        (_, Opening | OpeningGivenUp) => before,
        (93, _) => Ok(vec![]),
        (_, Closed) => after,
        (94 | 95, OpenReceivedEof | OpenBothEof) => {
            Err(PeerMisbehaved::DataAfterEof { channel: 0 })
        }
        (97, _) if is_open => Ok(vec![97]),
        // The client refuses to run a shell; a server asks first; after CLOSE nothing is sent.
        (98, OpenTheirs) => Ok(vec![]),
        (98, _) if is_open && message == all_messages()[12] => Ok(vec![100]),
        (99 | 100, _) => no_request,
        (94..=98, _) => Ok(vec![]),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_message_has_an_answer_in_every_state() {
    for place in PLACES {
        for message in all_messages() {
            let mut alone = at(place);
            let result = alone.mux.handle(message.clone().into(), alone.now, &mut alone.sent);
            let got = result.map(|()| alone.sent());
            let expected = expected(place, &message).map_err(Error::PeerMisbehaved);
            assert_eq!(got, expected, "{place:?} {:?}", ConnectionMessage::parse(&message));
        }
    }
}

#[test]
fn the_table_of_messages_is_complete() {
    for (number, name, _) in ConnectionMessage::TABLE {
        assert!(all_messages().iter().any(|message| message[0] == *number), "{name}");
    }
}

/// A cut message is an error or, where it is open-ended, another message; it is never data.
#[test]
fn every_message_cut_at_every_byte_is_harmless() {
    for message in all_messages() {
        for end in 0..message.len() {
            for place in [Place::Nowhere, Place::Opening, Place::Open, Place::Closing] {
                let mut alone = at(place);
                let cut = Bytes::copy_from_slice(&message[..end]);
                let result = alone.mux.handle(cut, alone.now, &mut alone.sent);
                if ConnectionMessage::parse(&message[..end]).is_err() {
                    assert!(matches!(result, Err(Error::InvalidMessage(_))));
                    assert_eq!((alone.sent(), alone.mux.poll()), (vec![], None));
                }
            }
        }
    }
}

/// Every bit of every message flipped, on an open channel: an error or not, but no panic, and what
/// is read is at most what was sent.
#[test]
fn every_flipped_bit_is_harmless() {
    for message in all_messages() {
        for bit in 0..message.len() * 8 {
            for place in [Place::Open, Place::OpenTheirs, Place::Opening] {
                let mut alone = at(place);
                let mut bytes = message.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let _result = alone.mux.handle(bytes.into(), alone.now, &mut alone.sent);
                while alone.mux.poll().is_some() {}
                let buffered: usize =
                    alone.mux.inspect_all().map(|channel| channel.buffered().0).sum();
                assert!(buffered <= message.len());
            }
        }
    }
}

/// Answers that belong to requests are taken in all states in which they can come.
#[test]
fn a_reply_is_taken_after_eof_and_while_closing() {
    for number in [ChannelSuccess::NUMBER, ChannelFailure::NUMBER] {
        for close in [false, true] {
            let mut alone = at(Place::Open);
            let id = ChannelId::for_tests(0);
            let asked = alone.mux.request(id, &Request::Shell, true, &mut alone.sent).unwrap();
            alone.mux.eof(id, &mut alone.sent);
            if close {
                alone.mux.close(id, &mut alone.sent);
            }
            let reply = [number, 0, 0, 0, 0];
            alone.mux.handle(reply.to_vec().into(), alone.now, &mut alone.sent).unwrap();
            let ok = number == ChannelSuccess::NUMBER;
            assert_eq!(alone.mux.poll(), Some(MuxEvent::RequestAnswered(id, asked, ok)));
        }
    }
}
