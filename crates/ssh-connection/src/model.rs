//! A client and a server driven by bytes, against a model so naive that it is surely right.
//!
//! The bytes say what the two applications do and when the network delivers. Checked after each
//! step: both sides accept what the other sends, what is read is what was written and in order, and
//! memory stays within the limits. Checked at the end, when everything was delivered and read: all
//! data has arrived, no reader and no writer was forgotten, and nothing is left behind.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a model of small numbers, which is to panic when it is contradicted"
)]

use alloc::{collections::VecDeque, format, vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use ssh_wire::{Encode, Outbox, Time, proof::Authenticated};

use crate::{
    ChannelId, ExitStatus, IncomingChannel, Limits, Mux, MuxEvent, OpenFailureReason, Read,
    ReadChunk, ReplyToken, Request, Role, Stream, WriteError, channel::recv_buf,
};

/// Runs the steps in `bytes` and then the end.
pub(crate) fn run(bytes: &[u8]) {
    let mut steps = Steps(bytes);
    let mut world = World::new();
    while let Some(step) = steps.next() {
        world.step(step, &mut steps);
        world.check();
    }
    world.finish();
}

const CLIENT: usize = 0;
const SERVER: usize = 1;
const STREAMS: [Stream; 2] = [Stream::Data, Stream::Stderr];
const MAX_SESSIONS: usize = 40;

fn limits() -> Limits {
    Limits {
        initial_window: 3000,
        max_window: 20_000,
        connection_budget: 30_000,
        max_packet: 700,
        max_channels: 5,
        max_pending_opens: 3,
        read_block: 4096,
        ..Limits::default()
    }
}

struct Steps<'a>(&'a [u8]);

impl Steps<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.next().unwrap_or(0)) % bound.max(1)
    }
}

/// The way from one side to the other.
#[derive(Default)]
struct Wire {
    messages: VecDeque<Vec<u8>>,
    room: usize,
}

impl Outbox for Wire {
    fn send(&mut self, message: &dyn Encode) {
        let mut payload = Vec::new();
        message.encode(&mut payload);
        if matches!(payload[0], 94 | 95) {
            self.room = self.room.saturating_sub(payload.len());
        }
        self.messages.push_back(payload);
    }

    fn data_room(&self) -> usize {
        self.room
    }
}

/// One stream in one direction.
#[derive(Default)]
struct Flow {
    written: usize,
    read: usize,
    /// The reader has let go of some.
    lossy: bool,
    /// The last read found nothing, and no event came since.
    reader_waits: bool,
}

/// What one side knows about a session.
#[derive(Default)]
struct End {
    id: Option<ChannelId>,
    open: bool,
    sent_eof: bool,
    closed: bool,
    released: bool,
    writer_waits: bool,
    token: Option<ReplyToken>,
}

#[derive(Default)]
struct Session {
    ends: [End; 2],
    /// By writer and stream.
    flows: [[Flow; 2]; 2],
    exit: Option<u32>,
}

struct World {
    muxes: [Mux; 2],
    /// By sender.
    wires: [Wire; 2],
    sessions: Vec<Session>,
    offers: VecDeque<IncomingChannel>,
    now: Time,
}

/// The byte at `place` of a flow.
fn byte(session: usize, side: usize, stream: usize, place: usize) -> u8 {
    (place * 7 + place / 256 + session * 31 + side * 101 + stream * 57) as u8
}

impl World {
    fn new() -> Self {
        let mux = |role| Mux::new(Authenticated::by_userauth_success(), role, limits());
        let wire = || Wire { messages: VecDeque::new(), room: 2000 };
        Self {
            muxes: [mux(Role::Client), mux(Role::Server)],
            wires: [wire(), wire()],
            sessions: vec![],
            offers: VecDeque::new(),
            now: Time::ZERO,
        }
    }

    fn step(&mut self, step: u8, steps: &mut Steps<'_>) {
        let side = steps.below(2);
        let session = steps.below(self.sessions.len());
        match step % 16 {
            0 | 1 if self.sessions.len() < MAX_SESSIONS => self.open(),
            2..=4 => self.write(session, side, steps.below(2), steps.below(256) * 13),
            5 | 6 => {
                let whole = steps.below(2) == 1;
                self.read(session, side, steps.below(2), steps.below(256) * 17, whole);
            }
            7 | 8 => self.deliver(side, steps.below(8)),
            9 => self.poll(side),
            10 => self.answer_offer(steps.below(3)),
            11 => self.answer_request(session, steps.below(3)),
            12 => self.give_room(side, steps.below(256) * 10),
            13 => self.now = self.now + Duration::from_millis(steps.below(64) as u64),
            14 => self.exit(session, steps.below(256) as u32),
            _ => match steps.below(6) {
                0 | 1 => self.eof(session, side),
                2 => self.close(session, side),
                3 => self.release(session, side),
                4 => self.discard(session, side, steps.below(2)),
                _ => self.keepalive(side),
            },
        }
    }

    fn open(&mut self) {
        let opened = self.muxes[CLIENT].open_session(self.now, &mut self.wires[CLIENT]);
        if let Ok(id) = opened {
            let mut session = Session::default();
            session.ends[CLIENT].id = Some(id);
            self.sessions.push(session);
        }
    }

    fn write(&mut self, at: usize, side: usize, stream: usize, len: usize) {
        let Some(session) = self.sessions.get_mut(at) else { return };
        let (end, flow) = (&mut session.ends[side], &mut session.flows[side][stream]);
        let Some(id) = end.id.filter(|_| end.open) else { return };
        let data: Vec<u8> = (0..len).map(|i| byte(at, side, stream, flow.written + i)).collect();
        let (first, second) = data.split_at(len / 3);
        let wire = &mut self.wires[side];
        match self.muxes[side].write(id, STREAMS[stream], &[first, second], wire) {
            Ok(n) => {
                assert!(n <= len && !end.sent_eof && !end.closed);
                flow.written += n;
                end.writer_waits |= n < len;
            }
            Err(WriteError::EofSent) => assert!(end.sent_eof),
            Err(WriteError::Closed) => {}
            Err(error) => assert!(end.released, "{error:?}"),
        }
    }

    fn read(&mut self, at: usize, side: usize, stream: usize, len: usize, whole: bool) -> bool {
        let Some(session) = self.sessions.get_mut(at) else { return false };
        let (end, flow) = (&session.ends[side], &mut session.flows[1 - side][stream]);
        let Some(id) = end.id else { return false };
        let (mux, wire) = (&mut self.muxes[side], &mut self.wires[side]);
        let mut buf = vec![0; len.max(1)];
        let data = if whole {
            match mux.read_chunk(id, STREAMS[stream], self.now, wire) {
                ReadChunk::Data(bytes) => bytes,
                ReadChunk::Empty => Bytes::new(),
                ReadChunk::Eof => return false,
            }
        } else {
            match mux.read(id, STREAMS[stream], &mut buf, self.now, wire) {
                Read::Data(n) => Bytes::copy_from_slice(&buf[..n]),
                Read::Empty => Bytes::new(),
                Read::Eof => return false,
            }
        };
        for found in &data {
            assert_eq!(*found, byte(at, 1 - side, stream, flow.read), "session {at}");
            flow.read += 1;
        }
        assert!(flow.read <= flow.written);
        flow.reader_waits = data.is_empty();
        !data.is_empty()
    }

    fn deliver(&mut self, from: usize, count: usize) {
        for _ in 0..count {
            let Some(message) = self.wires[from].messages.pop_front() else { return };
            let to = 1 - from;
            self.muxes[to]
                .handle(Bytes::from(message), self.now, &mut self.wires[to])
                .unwrap_or_else(|error| panic_with(&format!("{error}")));
        }
    }

    fn poll(&mut self, side: usize) {
        while let Some(event) = self.muxes[side].poll() {
            self.on_event(side, event);
        }
    }

    fn on_event(&mut self, side: usize, event: MuxEvent) {
        let at = event.channel().and_then(|id| {
            self.sessions.iter().position(|session| session.ends[side].id == Some(id))
        });
        match (event, at) {
            (MuxEvent::Incoming(offer), _) => self.offers.push_back(offer),
            (MuxEvent::Request(id, Request::Exec(command), token), _) => {
                let end = &mut self.sessions[usize::from(command[0])].ends[SERVER];
                end.id = Some(id);
                end.open = true;
                end.token = token;
            }
            (MuxEvent::Opened(id), Some(at)) => {
                let request = Request::Exec(vec![at as u8].into());
                let wire = &mut self.wires[CLIENT];
                let asked = self.muxes[CLIENT].request(id, &request, true, wire);
                let end = &mut self.sessions[at].ends[CLIENT];
                assert!(asked.is_ok() || end.closed, "{asked:?}");
                end.open = asked.is_ok();
            }
            (MuxEvent::OpenFailed(..), Some(at)) => self.sessions[at].ends[CLIENT].released = true,
            (MuxEvent::Readable(_, stream), Some(at)) => {
                let stream = usize::from(stream == Stream::Stderr);
                self.sessions[at].flows[1 - side][stream].reader_waits = false;
            }
            (MuxEvent::Writable(_), Some(at)) => {
                self.sessions[at].ends[side].writer_waits = false;
            }
            (MuxEvent::Exited(id), Some(at)) => {
                let status = self.sessions[at].exit.map(ExitStatus::Code);
                assert_eq!(self.muxes[side].exit_status(id), status.as_ref());
            }
            _ => {}
        }
    }

    fn answer_offer(&mut self, answer: usize) {
        let Some(offer) = self.offers.pop_front() else { return };
        let (mux, wire) = (&mut self.muxes[SERVER], &mut self.wires[SERVER]);
        match answer {
            0 => mux.refuse(offer, OpenFailureReason::CONNECT_FAILED, "no", wire),
            1 => drop(offer),
            _ => assert!(mux.accept(offer, self.now, wire).is_some()),
        }
    }

    fn answer_request(&mut self, at: usize, answer: usize) {
        let Some(session) = self.sessions.get_mut(at) else { return };
        let Some(token) = session.ends[SERVER].token.take() else { return };
        match answer {
            0 => drop(token),
            n => self.muxes[SERVER].reply(token, n == 1, &mut self.wires[SERVER]),
        }
    }

    fn give_room(&mut self, side: usize, room: usize) {
        self.wires[side].room = room;
        if room >= 700 {
            self.muxes[side].data_room_returned();
        }
    }

    fn exit(&mut self, at: usize, code: u32) {
        let Some(session) = self.sessions.get_mut(at) else { return };
        let Some(id) = session.ends[SERVER].id.filter(|_| session.exit.is_none()) else { return };
        let request = Request::ExitStatus(code);
        if self.muxes[SERVER].request(id, &request, false, &mut self.wires[SERVER]).is_ok() {
            session.exit = Some(code);
        }
    }

    fn eof(&mut self, at: usize, side: usize) {
        let Some(end) = self.end(at, side) else { return };
        end.sent_eof = true;
        if let Some(id) = end.id {
            self.muxes[side].eof(id, &mut self.wires[side]);
        }
    }

    fn close(&mut self, at: usize, side: usize) {
        let Some(end) = self.end(at, side) else { return };
        end.closed = true;
        if let Some(id) = end.id {
            self.muxes[side].close(id, &mut self.wires[side]);
            self.lose(at, side, &[0, 1]);
        }
    }

    fn release(&mut self, at: usize, side: usize) {
        let Some(end) = self.end(at, side) else { return };
        end.closed = true;
        end.released = true;
        if let Some(id) = end.id {
            self.muxes[side].release(id, &mut self.wires[side]);
            self.lose(at, side, &[0, 1]);
        }
    }

    fn discard(&mut self, at: usize, side: usize, stream: usize) {
        let Some(id) = self.end(at, side).and_then(|end| end.id) else { return };
        self.muxes[side].discard(id, STREAMS[stream], self.now, &mut self.wires[side]);
        self.lose(at, side, &[stream]);
    }

    /// An end that the application can use.
    fn end(&mut self, at: usize, side: usize) -> Option<&mut End> {
        let end = &mut self.sessions.get_mut(at)?.ends[side];
        end.id.is_some().then_some(end)
    }

    /// What `side` has not read, it will not.
    fn lose(&mut self, at: usize, side: usize, streams: &[usize]) {
        for stream in streams {
            self.sessions[at].flows[1 - side][*stream].lossy = true;
        }
    }

    fn keepalive(&mut self, side: usize) {
        let name = "keepalive@openssh.com";
        self.muxes[side].global_request(name, b"", true, &mut self.wires[side]);
    }

    /// Memory is within the limits.
    fn check(&self) {
        let limits = limits();
        for mux in &self.muxes {
            let floor = limits.window_floor() as usize;
            let mut held = (limits.max_channels - mux.channels()) * floor;
            let mut drawn = 0;
            for channel in mux.inspect_all() {
                let holding = channel.window().holding() as usize;
                let (unread, alive) = channel.buffered();
                held += holding.max(floor);
                drawn += holding.saturating_sub(floor);
                assert!(unread <= holding);
                assert!(alive <= 2 * unread + 2 * (recv_buf::slack(4096) + 4096));
                assert!(channel.window().target() <= limits.max_window);
            }
            assert!(held <= limits.connection_budget, "{held}");
            assert_eq!(drawn, mux.inspect_budget().taken());
        }
    }

    /// Delivers and reads everything, then asks whether anything is missing.
    fn finish(&mut self) {
        let mut quiet = 0;
        while quiet < 3 {
            quiet += 1;
            for side in [CLIENT, SERVER] {
                if !self.wires[side].messages.is_empty() {
                    quiet = 0;
                }
                self.deliver(side, usize::MAX);
                self.check();
                self.poll(side);
                self.give_room(side, 1 << 20);
                self.muxes[side].answer_abandoned(&mut self.wires[side]);
                while !self.offers.is_empty() {
                    self.answer_offer(2);
                }
                for at in 0..self.sessions.len() {
                    self.answer_request(at, 1);
                    for stream in [0, 1] {
                        let waits = self.sessions[at].flows[1 - side][stream].reader_waits;
                        while self.read(at, side, stream, 900, false) {
                            assert!(!waits, "session {at}: the reader {side} was forgotten");
                            quiet = 0;
                        }
                    }
                }
            }
        }
        self.poll(CLIENT);
        self.poll(SERVER);
        for (at, session) in self.sessions.iter().enumerate() {
            session.check_end(at);
        }
        self.check_nothing_is_left();
    }

    fn check_nothing_is_left(&mut self) {
        for at in 0..self.sessions.len() {
            self.release(at, CLIENT);
            self.release(at, SERVER);
        }
        for _ in 0..3 {
            self.deliver(CLIENT, usize::MAX);
            self.deliver(SERVER, usize::MAX);
            // Sessions that the client gave up before the server's application heard of them.
            while let Some(event) = self.muxes[SERVER].poll() {
                if let Some(id) = event.channel() {
                    self.muxes[SERVER].release(id, &mut self.wires[SERVER]);
                }
            }
        }
        assert_eq!(self.muxes[CLIENT].channels(), 0);
    }
}

impl Session {
    /// Everything was delivered and read.
    fn check_end(&self, at: usize) {
        let [client, server] = &self.ends;
        let usable = |end: &End| end.open && !end.closed && !end.released;
        for (side, flows) in self.flows.iter().enumerate() {
            let (writer, reader) = (&self.ends[side], &self.ends[1 - side]);
            for (stream, flow) in flows.iter().enumerate() {
                // Whoever accepts a session has nobody to read the other stream.
                let unwanted = side == CLIENT && stream == 1;
                if !flow.lossy && !unwanted && reader.id.is_some() && !reader.released {
                    assert_eq!(flow.read, flow.written, "session {at}, {side}, {stream}");
                }
            }
            if usable(client) && usable(server) && !writer.sent_eof {
                assert!(!writer.writer_waits, "session {at}: the writer {side} was forgotten");
            }
        }
    }
}

/// The model is contradicted.
#[expect(clippy::panic, reason = "this is what a model is for")]
fn panic_with(text: &str) -> ! {
    panic!("{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn two_honest_sides_and_a_network_that_delays(
            bytes in proptest::collection::vec(any::<u8>(), 0..1500)
        ) {
            run(&bytes);
        }
    }

    /// The model would find nothing if its steps led nowhere.
    #[test]
    fn the_steps_of_the_model_move_data() {
        let mut world = World::new();
        world.open();
        for _ in 0..3 {
            world.deliver(CLIENT, 9);
            world.poll(SERVER);
            world.answer_offer(2);
            world.deliver(SERVER, 9);
            world.poll(CLIENT);
        }
        world.write(0, CLIENT, 0, 1000);
        world.deliver(CLIENT, 9);
        assert!(world.read(0, SERVER, 0, 600, false) && world.read(0, SERVER, 0, 600, true));
        assert_eq!(world.sessions[0].flows[CLIENT][0].read, 1000);
        world.finish();
    }
}
