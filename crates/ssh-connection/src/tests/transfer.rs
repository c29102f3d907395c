//! Data in both directions: order, windows, growth, budget.

use super::*;
use crate::{
    WriteError,
    message::{ChannelData, ChannelExtendedData, ChannelOpenConfirmation, ChannelWindowAdjust},
};
use ssh_wire::{Message, Outbox, Rest};

/// Bytes in which every place is different from its neighbours.
fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| ((i * 31 + i / 251 + seed) % 256) as u8).collect()
}

/// The lengths of data in messages, by stream.
fn data_lengths(messages: &[Vec<u8>]) -> Vec<usize> {
    messages
        .iter()
        .filter_map(|m| match m[0] {
            94 => Some(<ChannelData<'_> as Message>::parse(m).unwrap().data.len()),
            95 => Some(<ChannelExtendedData<'_> as Message>::parse(m).unwrap().data.len()),
            _ => None,
        })
        .collect()
}

/// 10 MiB on each stream one way and 10 MiB the other way, through windows of 2 MiB.
#[test]
fn much_data_goes_both_ways_with_stderr_between() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let len = 10 * 1024 * 1024;
    let (input, output, errors) = (pattern(len, 1), pattern(len, 2), pattern(len, 3));
    let (mut wrote_in, mut wrote_out, mut wrote_err) = (0, 0, 0);
    let (mut got_in, mut got_out, mut got_err) = (vec![], vec![], vec![]);
    let mut rounds = 0;
    while got_in.len() < len || got_out.len() < len || got_err.len() < len {
        rounds += 1;
        assert!(rounds < 1000, "nothing moves");
        let Pair { client, server, to_server, to_client, .. } = &mut pair;
        wrote_in += client.write(ours, Stream::Data, &[&input[wrote_in..]], to_server).unwrap();
        let end = (wrote_out + 100_000).min(len);
        wrote_out +=
            server.write(theirs, Stream::Data, &[&output[wrote_out..end]], to_client).unwrap();
        let end = (wrote_err + 70_001).min(len);
        wrote_err +=
            server.write(theirs, Stream::Stderr, &[&errors[wrote_err..end]], to_client).unwrap();
        pair.deliver();
        got_out.extend(pair.client_reads(ours, Stream::Data));
        got_err.extend(pair.client_reads(ours, Stream::Stderr));
        let mut buf = vec![0; 300_001];
        while let Read::Data(n) =
            pair.server.read(theirs, Stream::Data, &mut buf, pair.now, &mut pair.to_client)
        {
            got_in.extend_from_slice(&buf[..n]);
        }
        pair.client_events();
        pair.server_events();
    }
    assert!(got_in == input && got_out == output && got_err == errors);
}

#[test]
fn a_writer_stops_at_the_window_and_is_told_when_to_go_on() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let window = Limits::default().initial_window as usize;
    let data = pattern(window + 1, 0);
    let Pair { server, to_client, .. } = &mut pair;
    assert_eq!(server.write_room(theirs, to_client), window);
    assert_eq!(server.write(theirs, Stream::Data, &[&data], to_client), Ok(window));
    assert_eq!(server.write(theirs, Stream::Data, &[b"x"], to_client), Ok(0));
    assert_eq!(server.write_room(theirs, to_client), 0);
    assert!(data_lengths(&pair.to_client).iter().all(|len| *len <= 32_768));
    pair.deliver();
    assert_eq!(pair.server_events(), []);
    assert_eq!(pair.client_events(), [MuxEvent::Readable(ours, Stream::Data)]);
    assert_eq!(pair.client_reads(ours, Stream::Data), data[..window]);
    pair.deliver();
    assert_eq!(pair.server_events(), [MuxEvent::Writable(theirs)]);
}

#[test]
fn readable_comes_once_until_a_read_found_nothing() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    for _ in 0..5 {
        pair.server.write(theirs, Stream::Data, &[b"x"], &mut pair.to_client).unwrap();
        pair.server.write(theirs, Stream::Stderr, &[b"y"], &mut pair.to_client).unwrap();
        pair.deliver();
    }
    let readable = [Stream::Data, Stream::Stderr].map(|s| MuxEvent::Readable(ours, s));
    assert_eq!(pair.client_events(), readable);
    let mut buf = [0; 3];
    let Pair { client, to_server, now, .. } = &mut pair;
    assert_eq!(client.read(ours, Stream::Data, &mut buf, *now, to_server), Read::Data(3));
    pair.server.write(theirs, Stream::Data, &[b"x"], &mut pair.to_client).unwrap();
    pair.deliver();
    assert_eq!(pair.client_events(), [], "more is unread, which the reader knows");
    assert_eq!(pair.client_reads(ours, Stream::Data), b"xxx");
    pair.server.write(theirs, Stream::Data, &[b"x"], &mut pair.to_client).unwrap();
    pair.deliver();
    assert_eq!(pair.client_events(), [MuxEvent::Readable(ours, Stream::Data)]);
}

/// features.md, pain 1: an exit status can never sit behind data that nobody reads, if the reader
/// says that nobody will.
#[test]
fn a_discarded_stream_never_stops_its_peer() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let data = pattern(10 * 1024 * 1024, 0);
    let mut wrote =
        pair.server.write(theirs, Stream::Stderr, &[&data], &mut pair.to_client).unwrap();
    assert!(wrote < data.len());
    pair.deliver();
    pair.client.discard(ours, Stream::Stderr, pair.now, &mut pair.to_server);
    while wrote < data.len() {
        pair.deliver();
        let Pair { server, to_client, .. } = &mut pair;
        let n = server.write(theirs, Stream::Stderr, &[&data[wrote..]], to_client).unwrap();
        assert!(n > 0);
        wrote += n;
    }
    pair.deliver();
    let inspected = pair.client.inspect(ours).unwrap();
    assert_eq!(inspected.buffered(), (0, 0));
    assert_eq!(pair.client_reads(ours, Stream::Stderr), b"");
}

/// A client has no second stream to a program; what it sends there must not fill the window.
#[test]
fn a_session_does_not_wait_for_a_reader_of_the_clients_stderr() {
    let mut pair = Pair::new();
    let (ours, theirs) = pair.exec();
    let mut wrote = 0;
    while wrote < 5 * 1024 * 1024 {
        let Pair { client, to_server, .. } = &mut pair;
        let n = client.write(ours, Stream::Stderr, &[&[0; 100_000]], to_server).unwrap();
        assert!(n > 0);
        wrote += n;
        pair.deliver();
    }
    assert_eq!(pair.server.inspect(theirs).unwrap().buffered().0, 0);
}

#[test]
fn data_of_an_unknown_type_is_credited_and_thrown_away() {
    let mut pair = Pair::new();
    let (ours, _) = pair.exec();
    let data = [0; 32_768];
    for _ in 0..1000 {
        let message = ChannelExtendedData { recipient: ours.number(), code: 7, data: &data };
        pair.client.handle(payload(&message).into(), pair.now, &mut pair.to_server).unwrap();
    }
    assert_eq!(pair.client_events(), []);
    assert_eq!(pair.client.inspect(ours).unwrap().buffered(), (0, 0));
}

/// A transport with room for so many bytes of data.
struct Narrow {
    room: usize,
    sent: Vec<Vec<u8>>,
}

impl Outbox for Narrow {
    fn send(&mut self, message: &dyn Encode) {
        self.sent.send(message);
        self.room = self.room.saturating_sub(data_lengths(&self.sent[self.sent.len() - 1..])[0]);
    }

    fn data_room(&self) -> usize {
        self.room
    }
}

#[test]
fn writers_stopped_by_the_transport_are_woken_once_and_in_order() {
    let mut pair = Pair::new();
    let (a, _) = pair.exec();
    let (b, _) = pair.exec();
    let (c, _) = pair.exec();
    let mut out = Narrow { room: 40_000, sent: vec![] };
    let data = [&[0_u8; 32_768][..]];
    assert_eq!(pair.client.write(b, Stream::Data, &data, &mut out), Ok(32_768));
    assert_eq!(pair.client.write(b, Stream::Data, &data, &mut out), Ok(7_232));
    for _ in 0..3 {
        assert_eq!(pair.client.write(b, Stream::Data, &data, &mut out), Ok(0));
        assert_eq!(pair.client.write(a, Stream::Data, &data, &mut out), Ok(0));
    }
    assert_eq!(pair.client.write_room(c, &out), 0);
    assert_eq!(pair.client_events(), []);
    pair.client.data_room_returned();
    assert_eq!(pair.client_events(), [MuxEvent::Writable(b), MuxEvent::Writable(a)]);
    pair.client.data_room_returned();
    assert_eq!(pair.client_events(), []);
    assert_eq!(pair.client.write(a, Stream::Data, &data, &mut out), Ok(0));
    pair.client.data_room_returned();
    assert_eq!(pair.client_events(), [MuxEvent::Writable(a)], "and again");
}

/// The client's window after `rounds` round trips of a peer that always sends all it may.
fn window_after(rounds: u32, trip: Duration, think: Duration) -> u32 {
    let mut pair = Pair::new();
    let ours = pair.client.open_session(pair.now, &mut pair.to_server).unwrap();
    pair.deliver();
    let Some(MuxEvent::Incoming(incoming)) = pair.server.poll() else { panic!() };
    let theirs = pair.server.accept(incoming, pair.now, &mut pair.to_client).unwrap();
    pair.pass(trip);
    pair.deliver();
    let data = vec![0; 64 * 1024 * 1024];
    for _ in 0..rounds {
        pair.server.write(theirs, Stream::Data, &[&data], &mut pair.to_client).unwrap();
        pair.pass(trip + think);
        pair.deliver_to_client();
        pair.client_reads(ours, Stream::Data);
        pair.deliver_to_server();
    }
    pair.client.inspect(ours).unwrap().window().target()
}

#[test]
fn the_window_grows_while_it_is_what_limits_the_peer() {
    let trip = Duration::from_millis(100);
    let mib = 1024 * 1024;
    assert_eq!(window_after(1, trip, Duration::ZERO), 4 * mib);
    assert_eq!(window_after(3, trip, Duration::ZERO), 16 * mib);
    assert_eq!(window_after(20, trip, Duration::ZERO), 32 * mib);
    assert_eq!(window_after(20, trip, trip * 2), 2 * mib, "something else is what limits it");
}

/// What the peer may make this side hold, all channels together, stays in the budget, also when
/// channels have grown before others are opened.
#[test]
fn the_budget_holds_for_all_channels_together() {
    let limits =
        Limits { connection_budget: 8 * 1024 * 1024, max_channels: 32, ..Limits::default() };
    let mut pair = Pair::with(limits.clone());
    let data = vec![0; 32 * 1024 * 1024];
    let mut sessions = vec![];
    for _ in 0..32 {
        pair.pass(Duration::from_millis(10));
        let session = pair.session();
        pair.client.discard(session.0, Stream::Stderr, pair.now, &mut pair.to_server);
        sessions.push(session);
        for (ours, theirs) in &sessions {
            pair.server.write(*theirs, Stream::Data, &[&data], &mut pair.to_client).unwrap();
            pair.pass(Duration::from_millis(1));
            pair.deliver();
            if ours.number() % 3 != 0 {
                pair.client_reads(*ours, Stream::Data);
            }
            pair.deliver();
            let held: usize =
                pair.client.inspect_all().map(|channel| channel.window().holding() as usize).sum();
            let held_back = (32 - pair.client.channels()) * 64 * 1024;
            assert!(held + held_back <= limits.connection_budget, "{held}");
        }
    }
    // Those that nobody reads do not starve the others.
    for (ours, theirs) in &sessions {
        if ours.number() % 3 != 0 {
            let Pair { server, to_client, .. } = &mut pair;
            let n = server.write(*theirs, Stream::Data, &[&data], to_client).unwrap();
            assert!(n >= 32 * 1024, "{ours}: {n}");
        }
    }
}

/// One round trip in which each peer sends all it may and everything is read.
fn exchange(pair: &mut Pair, sessions: &[(ChannelId, ChannelId)]) {
    let data = vec![0; 64 * 1024 * 1024];
    for (_, theirs) in sessions {
        pair.server.write(*theirs, Stream::Data, &[&data], &mut pair.to_client).unwrap();
    }
    pair.pass(Duration::from_millis(100));
    pair.deliver_to_client();
    for (ours, _) in sessions {
        pair.client_reads(*ours, Stream::Data);
    }
    pair.deliver_to_server();
}

/// A session whose open took a round trip.
fn session_over_a_long_link(pair: &mut Pair) -> (ChannelId, ChannelId) {
    pair.server_events();
    let ours = pair.client.open_session(pair.now, &mut pair.to_server).unwrap();
    pair.deliver();
    let Some(MuxEvent::Incoming(incoming)) = pair.server.poll() else { panic!() };
    let theirs = pair.server.accept(incoming, pair.now, &mut pair.to_client).unwrap();
    pair.pass(Duration::from_millis(100));
    pair.deliver();
    pair.client_events();
    pair.server_events();
    (ours, theirs)
}

/// The first channel takes what there is; a second one gets its share of it.
#[test]
fn a_channel_that_has_grown_makes_room_for_another() {
    let budget: u32 = 8 * 1024 * 1024;
    let limits =
        Limits { connection_budget: budget as usize, max_channels: 4, ..Limits::default() };
    let mut pair = Pair::with(limits);
    let first = session_over_a_long_link(&mut pair);
    let target = |pair: &Pair, session: (ChannelId, ChannelId)| {
        pair.client.inspect(session.0).unwrap().window().target()
    };
    for _ in 0..20 {
        exchange(&mut pair, &[first]);
    }
    let all = budget - 3 * 64 * 1024;
    assert!(target(&pair, first) <= all, "what others may always have is kept back");
    assert!(target(&pair, first) > all / 2);
    let second = session_over_a_long_link(&mut pair);
    assert_eq!(target(&pair, first), budget / 2, "no credit above its share");
    for _ in 0..20 {
        exchange(&mut pair, &[first, second]);
    }
    assert!(target(&pair, first) <= budget / 4 * 3, "{}", target(&pair, first));
    assert!(target(&pair, second) >= budget / 4, "{}", target(&pair, second));
}

/// A channel that nobody reads stops itself and no other.
#[test]
fn a_slow_channel_does_not_stop_the_others() {
    let mut pair = Pair::new();
    let (_, slow) = pair.exec();
    let (quick, theirs) = pair.exec();
    let data = vec![0; 10 * 1024 * 1024];
    pair.server.write(slow, Stream::Data, &[&data], &mut pair.to_client).unwrap();
    let mut got = 0;
    for _ in 0..200 {
        pair.server.write(theirs, Stream::Data, &[&data], &mut pair.to_client).unwrap();
        pair.deliver();
        got += pair.client_reads(quick, Stream::Data).len();
    }
    assert!(got > 200 * 1024 * 1024, "{got}");
}

#[test]
fn writes_on_channels_that_take_no_data_are_typed_errors() {
    let mut pair = Pair::new();
    let (ours, _) = pair.exec();
    let Pair { client, to_server, .. } = &mut pair;
    client.eof(ours, to_server);
    assert_eq!(client.write(ours, Stream::Data, &[b"x"], to_server), Err(WriteError::EofSent));
    assert_eq!(client.write_room(ours, to_server), 0);
    client.close(ours, to_server);
    assert_eq!(client.write(ours, Stream::Data, &[b"x"], to_server), Err(WriteError::Closed));
    client.release(ours, to_server);
    pair.deliver();
    let Pair { client, to_server, now, .. } = &mut pair;
    let unknown = Err(WriteError::UnknownChannel);
    assert_eq!(client.write(ours, Stream::Data, &[b"x"], to_server), unknown);
    assert_eq!(client.read(ours, Stream::Data, &mut [0], *now, to_server), Read::Eof);
    assert_eq!(client.read_chunk(ours, Stream::Data, *now, to_server), ReadChunk::Eof);
    assert_eq!(client.write_room(ours, to_server), 0);
}

/// Before the peer confirms there is no window; a write waits, and is woken.
#[test]
fn a_write_before_the_channel_is_open_waits() {
    let mut alone = Alone::new(Role::Client, Limits::default());
    let id = alone.mux.open_session(alone.now, &mut alone.sent).unwrap();
    assert_eq!(alone.mux.write(id, Stream::Data, &[b"x"], &mut alone.sent), Ok(0));
    assert_eq!(alone.read(id, &mut [0]), Read::Empty);
    let confirmation = |initial_window| ChannelOpenConfirmation {
        recipient: id.number(),
        sender: 5,
        initial_window,
        max_packet: 10,
        data: Rest(b""),
    };
    alone.get(&confirmation(0)).unwrap();
    assert_eq!(alone.mux.poll(), Some(MuxEvent::Opened(id)));
    assert_eq!(alone.mux.poll(), None);
    alone.get(&ChannelWindowAdjust { recipient: id.number(), bytes: 1 }).unwrap();
    assert_eq!(alone.mux.poll(), Some(MuxEvent::Writable(id)));
    assert_eq!(alone.mux.write(id, Stream::Data, &[b"xy"], &mut alone.sent), Ok(1));
    assert_eq!(alone.sent.last().unwrap(), &payload(&ChannelData { recipient: 5, data: b"x" }));
}
