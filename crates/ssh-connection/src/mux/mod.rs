//! RFC 4254 §4 and §5: all channels of a connection, and who gets which message.

use alloc::collections::VecDeque;

use bytes::Bytes;
use ssh_wire::{Message, Outbox, Rest, Time, proof::Authenticated};

use crate::{
    ChannelId, Error, ExitStatus, Limits, MuxEvent, PeerMisbehaved, RequestId,
    budget::Budget,
    channel::{
        state::{Input, Reaction, State},
        table::Table,
        window::RoundTrip,
    },
    event::Events,
    global::GlobalRequests,
    message::{ChannelClose, ChannelEof, ConnectionMessage, GlobalRequest},
    token::Desk,
};

mod data;
mod open;
mod requests;

use self::open::Offer;

/// Which side of the connection this is. Almost everything is the same for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Role {
    /// Opens sessions, and refuses those that the server wants to open (RFC 4254 §6.1).
    Client,
    /// Is asked for sessions.
    Server,
}

/// The connection protocol of one connection: channels, their data and requests.
///
/// The embedder calls [`handle`](Self::handle) for each payload with a number from 80 to 127 and
/// [`poll`](Self::poll) until nothing is left; whoever uses a channel calls the others, at any
/// time. Messages leave through `out`. No call waits, and none fails because the application is
/// slow.
#[derive(Debug)]
pub struct Mux {
    role: Role,
    limits: Limits,
    table: Table,
    offers: VecDeque<Offer>,
    globals: GlobalRequests,
    budget: Budget,
    round_trip: RoundTrip,
    events: Events,
    desk: Desk,
    /// Channels on which a write has stopped for want of room in the transport.
    wait_for_room: VecDeque<ChannelId>,
    next_serial: u64,
    failed: Option<Error>,
}

impl Mux {
    /// The connection protocol after authentication has ended.
    #[must_use]
    pub fn new(_who: Authenticated, role: Role, limits: Limits) -> Self {
        let limits = limits.consistent();
        Self {
            role,
            table: Table::default(),
            offers: VecDeque::new(),
            globals: GlobalRequests::default(),
            budget: Budget::new(&limits),
            round_trip: RoundTrip::default(),
            events: Events::new(&limits),
            desk: Desk::default(),
            wait_for_room: VecDeque::new(),
            next_serial: 0,
            failed: None,
            limits,
        }
    }

    /// Takes a message of the peer. Data of large messages is kept as slices of `payload`.
    ///
    /// A number that is not in the table is an error here; RFC 4253 §11.4 wants it answered with
    /// `SSH_MSG_UNIMPLEMENTED`, which is up to the caller: see [`ConnectionMessage::has_number`].
    ///
    /// # Errors
    /// What ends the connection, see [`Error`]; after one, each further call gives it again.
    pub fn handle(&mut self, payload: Bytes, now: Time, out: &mut dyn Outbox) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.answer_abandoned(out);
        let result = self.dispatch(&payload, now, out);
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        result
    }

    fn dispatch(&mut self, payload: &Bytes, now: Time, out: &mut dyn Outbox) -> Result<(), Error> {
        match ConnectionMessage::parse(payload)? {
            ConnectionMessage::ChannelData(m) => self.on_data(m, payload, now, out),
            ConnectionMessage::ChannelExtendedData(m) => {
                self.on_extended_data(m, payload, now, out)
            }
            ConnectionMessage::ChannelWindowAdjust(m) => self.on_window_adjust(m, now, out),
            ConnectionMessage::ChannelRequest(m) => self.on_request(m, now, out),
            ConnectionMessage::ChannelSuccess(m) => self.on_success(m, now, out),
            ConnectionMessage::ChannelFailure(m) => self.on_failure(m, now, out),
            ConnectionMessage::ChannelEof(m) => self.on_eof(m, now, out),
            ConnectionMessage::ChannelClose(m) => self.on_close(m, now, out),
            ConnectionMessage::ChannelOpen(m) => self.on_open(m, out),
            ConnectionMessage::ChannelOpenConfirmation(m) => self.on_confirmation(m, now, out),
            ConnectionMessage::ChannelOpenFailure(m) => self.on_open_failure(m, now, out),
            ConnectionMessage::GlobalRequest(m) => {
                self.globals.handle(m, self.role == Role::Server, out);
                Ok(())
            }
            ConnectionMessage::RequestSuccess(m) => {
                self.on_global_reply(Some(m.data));
                Ok(())
            }
            ConnectionMessage::RequestFailure(_) => {
                self.on_global_reply(None);
                Ok(())
            }
        }
    }

    /// What happened, oldest first. To be called until it gives `None`.
    pub fn poll(&mut self) -> Option<MuxEvent> {
        loop {
            let event = self.events.pop()?;
            let wanted = match &event {
                MuxEvent::OpenFailed(..) => true,
                other => other.channel().is_none_or(|id| self.is_in_use(id)),
            };
            if wanted {
                return Some(event);
            }
        }
    }

    /// Says that no more data will be written to a channel; reading goes on. More than once, or
    /// on a channel that is closed or unknown, it does nothing.
    pub fn eof(&mut self, id: ChannelId, out: &mut dyn Outbox) {
        if let Some(channel) = self.table.get_mut(id) {
            // A wish of this side never breaks a rule.
            let _reaction = channel.step(Input::SendEof, &mut self.budget, out);
        }
    }

    /// Closes a channel. What the peer still sends on it is thrown away, and so is what was not
    /// read; only how the program ended is still noted. [`MuxEvent::Closed`] follows when the peer
    /// has closed it too.
    pub fn close(&mut self, id: ChannelId, out: &mut dyn Outbox) {
        if let Some(channel) = self.table.get_mut(id) {
            let _reaction = channel.step(Input::SendClose, &mut self.budget, out);
            if channel.state != State::Closed {
                channel.drop_unread(&mut self.budget);
            }
        }
    }

    /// Lets go of a channel: closes it if it is not closed, and tells nothing more about it. The
    /// id is dead from now on; the number is used again once the peer has closed the channel too.
    pub fn release(&mut self, id: ChannelId, out: &mut dyn Outbox) {
        self.close(id, out);
        let Some(channel) = self.table.get_mut(id) else { return };
        channel.released = true;
        channel.drop_unread(&mut self.budget);
        if channel.state == State::Closed {
            self.table.remove(id);
        }
    }

    /// How the program of a channel ended, once the peer has said so and until the channel is
    /// released.
    #[must_use]
    pub fn exit_status(&self, id: ChannelId) -> Option<&ExitStatus> {
        self.table.get(id)?.exit.as_ref()
    }

    /// True until a channel is released, or was refused by the peer.
    #[must_use]
    pub fn is_in_use(&self, id: ChannelId) -> bool {
        self.table.get(id).is_some_and(|channel| !channel.released)
    }

    /// How many channels there are, those included that are being opened or closed.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.table.len()
    }

    /// Asks the peer for something that concerns the connection as a whole, such as
    /// `keepalive@openssh.com`. If a reply is wanted, [`MuxEvent::GlobalReply`] brings it.
    pub fn global_request(
        &mut self,
        name: &str,
        data: &[u8],
        want_reply: bool,
        out: &mut dyn Outbox,
    ) -> RequestId {
        let id = RequestId(self.serial());
        out.send(&GlobalRequest { name, want_reply, data: Rest(data) });
        if want_reply {
            self.globals.ask(id);
        }
        id
    }

    /// Refuses what the peer asked for in questions whose tokens were dropped. [`Self::handle`]
    /// does this too; call it when tokens were dropped and no message is due.
    pub fn answer_abandoned(&mut self, out: &mut dyn Outbox) {
        if self.desk.any_dropped() {
            self.refuse_abandoned_offers(out);
            for channel in self.table.iter_mut() {
                channel.answers.refuse_abandoned();
                channel.answers.flush(channel.remote, out);
            }
        }
    }

    fn on_global_reply(&mut self, data: Option<Rest<'_>>) {
        if let Some(id) = self.globals.answered() {
            // A copy, so that a short answer does not keep a large block alive.
            let data = data.map(|data| Bytes::copy_from_slice(data.0));
            self.events.push(MuxEvent::GlobalReply(id, data));
        }
    }

    fn on_eof(
        &mut self,
        message: ChannelEof,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let (id, reaction) =
            self.step(message.recipient, Input::Eof, ChannelEof::NUMBER, now, out)?;
        if reaction == Reaction::Process {
            self.events.push(MuxEvent::Eof(id));
        }
        Ok(())
    }

    fn on_close(
        &mut self,
        message: ChannelClose,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let (id, _) = self.step(message.recipient, Input::Close, ChannelClose::NUMBER, now, out)?;
        let Some(channel) = self.table.get_mut(id) else { return Ok(()) };
        if channel.released {
            self.table.remove(id);
            return Ok(());
        }
        while let Some(request) = channel.asked.pop() {
            self.events.push(MuxEvent::RequestAnswered(id, request, false));
        }
        self.events.push(MuxEvent::Closed(id));
        Ok(())
    }

    /// Finds the channel that a message is for and takes the step of its state machine.
    fn step(
        &mut self,
        number: u32,
        input: Input,
        message: u8,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(ChannelId, Reaction), Error> {
        let Some((id, channel)) = self.table.by_number(number) else {
            return Err(PeerMisbehaved::UnknownChannel { channel: number, message }.into());
        };
        let reaction = channel
            .step(input, &mut self.budget, out)
            .map_err(|violation| violation.at(number, message))?;
        if let Some(since) = channel.awaits_sign.take() {
            self.round_trip.sample(now.since(since));
        }
        Ok((id, reaction))
    }

    /// A number that was never used on the connection.
    const fn serial(&mut self) -> u64 {
        let serial = self.next_serial;
        self.next_serial = self.next_serial.saturating_add(1);
        serial
    }

    /// Channels and offers: what counts against the limit.
    fn places_taken(&self) -> usize {
        self.table.len().saturating_add(self.offers.len())
    }

    /// Lowers the targets of the channels that hold more than their share.
    fn relieve_budget(&mut self) {
        let share = self.budget.share(self.table.len());
        for channel in self.table.iter_mut() {
            channel.shrink(share);
        }
    }

    /// The channel, for the checks of tests.
    #[cfg(test)]
    pub(crate) fn inspect(&self, id: ChannelId) -> Option<&crate::channel::Channel> {
        self.table.get(id)
    }

    /// The account, for the checks of tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn inspect_budget(&self) -> &Budget {
        &self.budget
    }

    /// All channels, for the checks of tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn inspect_all(&self) -> impl Iterator<Item = &crate::channel::Channel> {
        self.table.iter()
    }
}
