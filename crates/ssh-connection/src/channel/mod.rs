//! RFC 4254 §5: one channel.

use bytes::Bytes;
use ssh_wire::{Outbox, Time};

use crate::{
    ExitStatus, Limits, PeerMisbehaved,
    budget::Budget,
    message::{ChannelClose, ChannelEof, ChannelWindowAdjust},
};

pub(crate) mod recv_buf;
pub(crate) mod request;
pub(crate) mod send;
pub(crate) mod state;
pub(crate) mod table;
pub(crate) mod window;

pub use table::ChannelId;

use self::{
    recv_buf::RecvBuf,
    request::{Answers, Asked},
    send::Sender,
    state::{Input, Reaction, State, Violation},
    window::{Excess, ReceiveWindow, RoundTrip},
};

/// One of the two directions of bytes that a channel has each way. They share its window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "RFC 4254 §5.2 has these two")]
pub enum Stream {
    /// `SSH_MSG_CHANNEL_DATA`: standard input and output, a connection, a subsystem.
    Data,
    /// `SSH_MSG_CHANNEL_EXTENDED_DATA` of type 1: standard error.
    Stderr,
}

/// What a read found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a read has no other ends")]
pub enum Read {
    /// So many bytes, at least one; or none for a buffer of no length.
    Data(usize),
    /// Nothing yet: [`MuxEvent::Readable`](crate::MuxEvent::Readable) or
    /// [`MuxEvent::Eof`](crate::MuxEvent::Eof) will tell.
    Empty,
    /// The end: nothing will come, or there is no such channel.
    Eof,
}

/// What a read of a whole chunk found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a read has no other ends")]
pub enum ReadChunk {
    /// Bytes as they came, mostly without a copy.
    Data(Bytes),
    /// As [`Read::Empty`].
    Empty,
    /// As [`Read::Eof`].
    Eof,
}

/// What comes in on one stream.
#[derive(Debug)]
pub(crate) struct Inflow {
    buf: RecvBuf,
    /// A read found nothing, so that the next data is worth an event.
    wants_event: bool,
    /// Nobody will read: what comes counts as read.
    discard: bool,
}

impl Inflow {
    fn new(limits: &Limits) -> Self {
        Self { buf: RecvBuf::new(limits.read_block), wants_event: true, discard: false }
    }
}

/// What the mux knows about one channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) state: State,
    /// The peer's number for it.
    pub(crate) remote: u32,
    /// True if this side asked for it.
    pub(crate) ours: bool,
    /// The application has let go of it.
    pub(crate) released: bool,
    pub(crate) sender: Sender,
    pub(crate) asked: Asked,
    pub(crate) answers: Answers,
    pub(crate) exit: Option<ExitStatus>,
    /// Since when the peer owes the first sign on the channel, which tells the round trip.
    pub(crate) awaits_sign: Option<Time>,
    window: ReceiveWindow,
    data: Inflow,
    stderr: Inflow,
    max_window: u32,
}

/// What has to happen beyond the channel after bytes were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pressure {
    None,
    /// The budget did not allow all the credit that the channel could have had.
    Tight,
}

impl Channel {
    /// A channel that this side asks for.
    pub(crate) fn ours(limits: &Limits, budget: &mut Budget, now: Time) -> Self {
        Self::new(State::OPENING, true, Sender::closed(), 0, limits, budget, now)
    }

    /// A channel that the peer has asked for and is granted.
    pub(crate) fn theirs(
        remote: u32,
        sender: Sender,
        limits: &Limits,
        budget: &mut Budget,
        now: Time,
    ) -> Self {
        let mut channel = Self::new(State::OPEN, false, sender, remote, limits, budget, now);
        // Whoever opens a session has no second stream to send.
        channel.stderr.discard = true;
        channel
    }

    fn new(
        state: State,
        ours: bool,
        sender: Sender,
        remote: u32,
        limits: &Limits,
        budget: &mut Budget,
        now: Time,
    ) -> Self {
        let initial = limits.initial_window.min(budget.allowance(0));
        budget.change(0, initial);
        Self {
            state,
            remote,
            ours,
            released: false,
            sender,
            asked: Asked::default(),
            answers: Answers::default(),
            exit: None,
            awaits_sign: Some(now),
            window: ReceiveWindow::new(initial, limits.max_packet, now),
            data: Inflow::new(limits),
            stderr: Inflow::new(limits),
            max_window: limits.max_window,
        }
    }

    /// The window that the peer is told when the channel is opened.
    pub(crate) const fn initial_window(&self) -> u32 {
        self.window.target()
    }

    /// The window, for the checks of tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn window(&self) -> &ReceiveWindow {
        &self.window
    }

    /// Unread bytes and what they keep alive, for the checks of tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn buffered(&self) -> (usize, usize) {
        (
            self.data.buf.len().saturating_add(self.stderr.buf.len()),
            self.data.buf.held().saturating_add(self.stderr.buf.held()),
        )
    }

    const fn inflow(&mut self, stream: Stream) -> &mut Inflow {
        match stream {
            Stream::Data => &mut self.data,
            Stream::Stderr => &mut self.stderr,
        }
    }

    /// Takes a step of the state machine and sends what goes with it.
    pub(crate) fn step(
        &mut self,
        input: Input,
        budget: &mut Budget,
        out: &mut dyn Outbox,
    ) -> Result<Reaction, Violation> {
        let (next, reaction) = self.state.step(input)?;
        self.state = next;
        match reaction {
            Reaction::SendEof => out.send(&ChannelEof { recipient: self.remote }),
            Reaction::SendClose => {
                out.send(&ChannelClose { recipient: self.remote });
                self.answers.clear();
            }
            Reaction::Process | Reaction::Drop | Reaction::Forget => {}
        }
        if !self.may_still_receive() {
            self.account(budget, ReceiveWindow::shut);
        }
        Ok(reaction)
    }

    /// Changes the window and tells the budget.
    fn account<R>(
        &mut self,
        budget: &mut Budget,
        change: impl FnOnce(&mut ReceiveWindow) -> R,
    ) -> R {
        let before = self.window.holding();
        let result = change(&mut self.window);
        budget.change(before, self.window.holding());
        result
    }

    /// Takes data of the peer. True if the application is to be told.
    ///
    /// `stream` is `None` for a type of data that is not known; it counts and is thrown away.
    pub(crate) fn receive(
        &mut self,
        stream: Option<Stream>,
        data: Bytes,
        number: u32,
    ) -> Result<Received, PeerMisbehaved> {
        let len = data.len();
        self.window.receive(len).map_err(|excess| match excess {
            Excess::Packet { max } => {
                PeerMisbehaved::DataBeyondMaxPacket { channel: number, len, max }
            }
            Excess::Window { over } => PeerMisbehaved::DataBeyondWindow { channel: number, over },
        })?;
        let Some(stream) = stream else { return Ok(Received::Unwanted) };
        let inflow = self.inflow(stream);
        if inflow.discard {
            return Ok(Received::Unwanted);
        }
        let tell = inflow.wants_event && len > 0;
        inflow.wants_event &= len == 0;
        inflow.buf.push(data);
        Ok(if tell { Received::Tell(stream) } else { Received::Kept })
    }

    /// Copies unread bytes to `buf`.
    pub(crate) fn read(&mut self, stream: Stream, buf: &mut [u8]) -> Read {
        let may_receive = self.may_still_receive();
        let inflow = self.inflow(stream);
        if inflow.buf.len() > 0 {
            return Read::Data(inflow.buf.read(buf));
        }
        inflow.wants_event = true;
        if may_receive { Read::Empty } else { Read::Eof }
    }

    /// Takes unread bytes out, a chunk of them.
    pub(crate) fn read_chunk(&mut self, stream: Stream) -> ReadChunk {
        let may_receive = self.may_still_receive();
        let inflow = self.inflow(stream);
        if let Some(bytes) = inflow.buf.pop() {
            return ReadChunk::Data(bytes);
        }
        inflow.wants_event = true;
        if may_receive { ReadChunk::Empty } else { ReadChunk::Eof }
    }

    const fn may_still_receive(&self) -> bool {
        self.state.may_receive() || matches!(self.state, State::Opening { .. })
    }

    /// From now on nobody reads `stream`. Returns what was unread.
    pub(crate) fn discard(&mut self, stream: Stream) -> usize {
        let inflow = self.inflow(stream);
        inflow.discard = true;
        inflow.buf.clear()
    }

    /// `len` bytes were read or thrown away: gives the peer credit for them.
    pub(crate) fn consumed(
        &mut self,
        len: usize,
        budget: &mut Budget,
        round_trip: RoundTrip,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Pressure {
        let too_small = self.account(budget, |window| window.consume(len, now, round_trip));
        if !self.state.may_receive() {
            return Pressure::None;
        }
        let allowance = budget.allowance(self.window.holding());
        if too_small {
            let spare = allowance.saturating_sub(self.window.owed());
            self.window.grow(self.max_window, spare);
        }
        let owed = self.window.owed();
        let floor = budget.floor();
        if let Some(bytes) = self.account(budget, |window| window.credit(allowance, floor)) {
            out.send(&ChannelWindowAdjust { recipient: self.remote, bytes });
        }
        if owed > allowance { Pressure::Tight } else { Pressure::None }
    }

    /// Lets the peer send up to `window` bytes, as far as that is allowed.
    pub(crate) fn widen(&mut self, window: u32, budget: &mut Budget, out: &mut dyn Outbox) {
        if !self.state.may_receive() {
            return;
        }
        let allowance = budget.allowance(self.window.holding());
        let spare = allowance.saturating_sub(self.window.owed());
        self.window.widen(window.min(self.max_window), spare);
        let floor = budget.floor();
        if let Some(bytes) = self.account(budget, |window| window.credit(allowance, floor)) {
            out.send(&ChannelWindowAdjust { recipient: self.remote, bytes });
        }
    }

    /// Another channel needs room: this one gets no credit while it holds more than `share`.
    pub(crate) fn shrink(&mut self, share: u32) {
        self.window.shrink(share);
    }

    /// Throws away what is unread: the application has closed the channel.
    pub(crate) fn drop_unread(&mut self, budget: &mut Budget) {
        self.data.buf.clear();
        self.stderr.buf.clear();
        self.account(budget, ReceiveWindow::clear);
    }
}

/// What became of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// It waits to be read, and the application knows that something does.
    Kept,
    /// It waits to be read, and the application is to be told.
    Tell(Stream),
    /// It was thrown away and counts as read.
    Unwanted,
}
