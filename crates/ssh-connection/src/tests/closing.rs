//! RFC 4254 §5.3 and §6.10: ends of data, of channels and of programs, in every order.

use super::*;
use crate::{
    ExitSignal, ExitStatus, RequestError, Signal,
    message::{ChannelClose, ChannelData, ChannelEof, ChannelRequest, ChannelWindowAdjust},
};
use ssh_wire::PeerText;

/// What a server does at the end of a program.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Data,
    Stderr,
    Status,
    Eof,
    Close,
}

/// features.md, pain 38: no data and no status is lost, whatever the order in which a server ends.
/// (openssh.md §30: sshd sends the status before the output.)
#[test]
fn nothing_is_lost_in_any_order_of_the_end() {
    use End::{Close, Data, Eof, Status, Stderr};
    for order in [
        &[Data, Stderr, Eof, Status, Close][..],
        &[Status, Data, Stderr, Eof, Close],
        &[Stderr, Status, Data, Eof, Close],
        &[Data, Stderr, Status, Close],
        &[Status, Data, Stderr, Close],
        &[Data, Stderr, Eof, Close],
        &[Data, Stderr, Close],
    ] {
        let mut pair = Pair::new();
        let (ours, theirs) = pair.exec();
        let Pair { server, to_client, .. } = &mut pair;
        for end in order {
            match end {
                Data => assert_eq!(server.write(theirs, Stream::Data, &[b"out"], to_client), Ok(3)),
                Stderr => {
                    assert_eq!(server.write(theirs, Stream::Stderr, &[b"err"], to_client), Ok(3));
                }
                Status => {
                    let status = Request::ExitStatus(3);
                    server.request(theirs, &status, false, to_client).unwrap();
                }
                Eof => server.eof(theirs, to_client),
                Close => server.close(theirs, to_client),
            }
        }
        pair.deliver();
        let events = pair.client_events();
        assert_eq!(events.contains(&MuxEvent::Eof(ours)), order.contains(&Eof), "{order:?}");
        assert_eq!(events.last(), Some(&MuxEvent::Closed(ours)), "{order:?}");
        assert_eq!(pair.client_reads(ours, Stream::Data), b"out", "{order:?}");
        assert_eq!(pair.client_reads(ours, Stream::Stderr), b"err", "{order:?}");
        let Pair { client, to_server, now, .. } = &mut pair;
        assert_eq!(client.read(ours, Stream::Data, &mut [0], *now, to_server), Read::Eof);
        let status = order.contains(&Status).then_some(&ExitStatus::Code(3));
        assert_eq!(client.exit_status(ours), status, "{order:?}");
        client.release(ours, to_server);
        assert_eq!(client.exit_status(ours), None);
        assert_eq!((client.channels(), to_server.len()), (0, 0), "CLOSE was answered before");
        pair.server.release(theirs, &mut pair.to_client);
        assert_eq!(pair.server.channels(), 0);
    }
}

#[test]
fn a_signal_is_an_exit_too_and_the_first_word_counts() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let exit = ExitSignal {
        signal: Signal::KILL,
        core_dumped: false,
        message: b"out of memory".into(),
        language: b"en".into(),
    };
    let Pair { server, to_client, .. } = &mut pair;
    server.request(theirs, &Request::ExitSignal(exit), false, to_client).unwrap();
    server.request(theirs, &Request::ExitStatus(0), false, to_client).unwrap();
    pair.deliver();
    assert_eq!(pair.client_events(), [MuxEvent::Exited(ours)]);
    let killed = ExitStatus::Signal {
        name: Signal::KILL,
        core_dumped: false,
        message: PeerText::from("out of memory"),
    };
    assert_eq!(pair.client.exit_status(ours), Some(&killed));
}

/// "The channel remains open after this message, and more data may still be sent in the other
/// direction" (§5.3).
#[test]
fn eof_ends_one_direction_only() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    pair.client.eof(ours, &mut pair.to_server);
    pair.client.eof(ours, &mut pair.to_server);
    assert_eq!(pair.to_server.len(), 1);
    pair.deliver();
    assert_eq!(pair.server_events(), [MuxEvent::Eof(theirs)]);
    assert_eq!(pair.server.write(theirs, Stream::Data, &[b"more"], &mut pair.to_client), Ok(4));
    pair.deliver();
    assert_eq!(pair.client_reads(ours, Stream::Data), b"more");
}

#[test]
fn both_sides_may_close_at_once() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    pair.client.close(ours, &mut pair.to_server);
    pair.client.close(ours, &mut pair.to_server);
    pair.server.close(theirs, &mut pair.to_client);
    assert_eq!((pair.to_server.len(), pair.to_client.len()), (1, 1));
    pair.deliver();
    assert_eq!(pair.client_events(), [MuxEvent::Closed(ours)]);
    assert_eq!(pair.server_events(), [MuxEvent::Closed(theirs)]);
}

/// After our CLOSE the peer may still be in the middle of something: it is dropped, but how the
/// program ended is not.
#[test]
fn late_messages_on_a_closing_channel_are_dropped() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let Pair { client, server, to_server, to_client, now } = &mut pair;
    client.close(ours, to_server);
    server.write(theirs, Stream::Data, &[&[0; 100_000]], to_client).unwrap();
    server.request(theirs, &Request::ExitStatus(7), false, to_client).unwrap();
    server.request(theirs, &Request::Shell, true, to_client).unwrap();
    server.eof(theirs, to_client);
    to_client.push(payload(&ChannelWindowAdjust { recipient: ours.number(), bytes: 1 }));
    to_server.truncate(1);
    for message in core::mem::take(to_client) {
        client.handle(message.into(), *now, to_server).unwrap();
    }
    assert_eq!(to_server.len(), 1, "nothing is sent after CLOSE, not even a reply");
    pair.deliver();
    assert_eq!(pair.client_events(), [MuxEvent::Exited(ours), MuxEvent::Closed(ours)]);
    assert_eq!(pair.client.exit_status(ours), Some(&ExitStatus::Code(7)));
    assert_eq!(pair.client_reads(ours, Stream::Data), b"");
    assert_eq!(pair.client.inspect(ours).unwrap().window().holding(), 0);
}

#[test]
fn closing_throws_away_what_is_unread() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    pair.server.write(theirs, Stream::Data, &[&[0; 100_000]], &mut pair.to_client).unwrap();
    pair.deliver();
    pair.client.close(ours, &mut pair.to_server);
    let channel = pair.client.inspect(ours).unwrap();
    assert_eq!((channel.buffered().0, channel.window().holding()), (0, 0));
    let Pair { client, to_server, now, .. } = &mut pair;
    assert_eq!(client.read(ours, Stream::Data, &mut [0], *now, to_server), Read::Eof);
}

/// The mirror image: a client that has not heard of the end still asks for something.
#[test]
fn late_requests_do_not_reach_the_application() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let Pair { client, server, to_server, to_client, .. } = &mut pair;
    server.close(theirs, to_client);
    client.request(ours, &Request::Signal(Signal::INT), true, to_server).unwrap();
    pair.deliver_to_server();
    assert_eq!(pair.server_events(), []);
    assert_eq!(pair.to_client.len(), 1, "nothing follows CLOSE");
}

#[test]
fn a_released_channel_is_closed_and_says_nothing_more() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    pair.server.write(theirs, Stream::Data, &[b"x"], &mut pair.to_client).unwrap();
    pair.deliver();
    pair.client.release(ours, &mut pair.to_server);
    pair.client.release(ours, &mut pair.to_server);
    assert_eq!(pair.client_events(), [], "not even what was queued");
    assert_eq!(pair.client.channels(), 1, "the number is not free before the peer closes");
    pair.deliver();
    assert_eq!(pair.client_events(), []);
    assert_eq!(pair.client.channels(), 0);
    assert_eq!(pair.server_events(), [MuxEvent::Closed(theirs)]);
}

/// Threads of a peer that credit a window race with those that close; nothing depends on it.
#[test]
fn a_window_adjust_after_the_end_is_ignored() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let late = payload(&ChannelWindowAdjust { recipient: ours.number(), bytes: u32::MAX });
    pair.server.close(theirs, &mut pair.to_client);
    pair.to_client.push(late.clone());
    pair.deliver();
    pair.client.release(ours, &mut pair.to_server);
    pair.to_client.push(late);
    pair.deliver();
    assert_eq!(pair.client.channels(), 0);
}

#[test]
fn requests_without_an_answer_are_answered_by_the_end() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let size = Request::WindowChange(crate::WindowSize::of_characters(1, 1));
    let Pair { client, to_server, .. } = &mut pair;
    let first = client.request(ours, &size, true, to_server).unwrap();
    let second = client.request(ours, &size, true, to_server).unwrap();
    pair.deliver();
    let _unanswered = pair.server_events();
    pair.server.close(theirs, &mut pair.to_client);
    pair.deliver();
    assert_eq!(
        pair.client_events(),
        [
            MuxEvent::RequestAnswered(ours, first, false),
            MuxEvent::RequestAnswered(ours, second, false),
            MuxEvent::Closed(ours),
        ]
    );
    let again = pair.client.request(ours, &size, true, &mut pair.to_server);
    assert_eq!(again, Err(RequestError::Closed));
}

/// No credit is worth a message to a peer that sends no more.
#[test]
fn reading_after_the_end_sends_nothing() {
    for close in [false, true] {
        let mut pair = Pair::new();
        let (ours, theirs) = pair.exec();
        let Pair { server, to_client, .. } = &mut pair;
        server.write(theirs, Stream::Data, &[&[1; 2_000_000]], to_client).unwrap();
        if close {
            server.close(theirs, to_client);
        } else {
            server.eof(theirs, to_client);
        }
        pair.deliver();
        assert_eq!(pair.client_reads(ours, Stream::Data).len(), 2_000_000);
        assert_eq!(pair.to_server.len(), 0);
        assert_eq!(pair.client.inspect(ours).unwrap().window().holding(), 0);
    }
}

/// The words of the end as the peer writes them, on an open channel.
#[test]
fn a_second_eof_says_nothing_new() {
    let mut pair = Pair::new();
    let (ours, _) = pair.exec();
    let recipient = ours.number();
    for _ in 0..2 {
        pair.to_client.push(payload(&ChannelEof { recipient }));
    }
    pair.to_client.push(payload(&ChannelClose { recipient }));
    pair.deliver_to_client();
    assert_eq!(pair.client_events(), [MuxEvent::Eof(ours), MuxEvent::Closed(ours)]);
}

/// A status that is cut is not a status.
#[test]
fn a_malformed_exit_status_ends_the_connection() {
    let mut pair = Pair::new();
    let (ours, _) = pair.exec();
    let request = Request::Other { name: "exit-status".into(), data: b"\0\0\0".into() };
    let message = ChannelRequest { recipient: ours.number(), want_reply: false, request };
    let result = pair.client.handle(payload(&message).into(), pair.now, &mut pair.to_server);
    assert!(matches!(result, Err(Error::InvalidMessage(_))));
    assert_eq!(pair.client.exit_status(ours), None);
    let data = ChannelData { recipient: ours.number(), data: b"x" };
    let again = pair.client.handle(payload(&data).into(), pair.now, &mut pair.to_server);
    assert_eq!(again, result, "the error is for ever");
}
