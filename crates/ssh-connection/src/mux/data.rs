//! RFC 4254 §5.2: data in both directions.

use core::time::Duration;

use bytes::Bytes;
use ssh_wire::{Message, Outbox, Time};

use super::Mux;
use crate::{
    ChannelId, Error, MuxEvent, PeerMisbehaved, Read, ReadChunk, Stream, WriteError,
    channel::{
        Pressure, Received,
        state::{Input, Reaction, State},
    },
    message::{ChannelData, ChannelExtendedData, ChannelWindowAdjust, STDERR},
};

impl Mux {
    /// Writes `data`, the concatenation of its parts, in as few messages as the peer allows;
    /// where it fits, in one. Returns how many bytes were taken. Less than all means that the
    /// window of the channel is used up, or that the transport has no room:
    /// [`MuxEvent::Writable`] tells when to go on.
    ///
    /// # Errors
    /// If the channel does not take data any more.
    pub fn write(
        &mut self,
        id: ChannelId,
        stream: Stream,
        data: &[&[u8]],
        out: &mut dyn Outbox,
    ) -> Result<usize, WriteError> {
        let channel = self.table.get_mut(id).ok_or(WriteError::UnknownChannel)?;
        match channel.state {
            // The window is empty until the peer confirms, so that nothing is sent.
            State::Opening { .. } | State::Open { sent_eof: false, .. } => {}
            State::Open { sent_eof: true, .. } => return Err(WriteError::EofSent),
            State::Closing | State::Closed => return Err(WriteError::Closed),
        }
        let waited = channel.sender.waits_for_room;
        let sent = channel.sender.write(channel.remote, stream, data, out);
        if channel.sender.waits_for_room && !waited {
            self.wait_for_room.push_back(id);
        }
        Ok(sent)
    }

    /// How many bytes [`Self::write`] would take now.
    #[must_use]
    pub fn write_room(&self, id: ChannelId, out: &dyn Outbox) -> usize {
        self.table
            .get(id)
            .filter(|channel| channel.state.may_write())
            .map_or(0, |channel| channel.sender.room(out))
    }

    /// What the peer takes on a channel now before it has said that it took some, in bytes.
    #[must_use]
    pub fn send_window(&self, id: ChannelId) -> u32 {
        self.table.get(id).map_or(0, |channel| channel.sender.window())
    }

    /// The shortest time that the peer took to answer something on this connection; `None` before
    /// there was an answer.
    #[must_use]
    pub const fn round_trip(&self) -> Option<Duration> {
        self.round_trip.shortest()
    }

    /// The transport has room again: wakes the writers that had stopped for want of it, in the
    /// order in which they did.
    pub fn data_room_returned(&mut self) {
        while let Some(id) = self.wait_for_room.pop_front() {
            if let Some(channel) = self.table.get_mut(id) {
                channel.sender.waits_for_room = false;
                self.events.push(MuxEvent::Writable(id));
            }
        }
    }

    /// Copies unread bytes to `buf` and lets the peer send as many more.
    pub fn read(
        &mut self,
        id: ChannelId,
        stream: Stream,
        buf: &mut [u8],
        now: Time,
        out: &mut dyn Outbox,
    ) -> Read {
        let Some(channel) = self.table.get_mut(id) else { return Read::Eof };
        let read = channel.read(stream, buf);
        if let Read::Data(len) = read {
            self.credit(id, len, now, out);
        }
        read
    }

    /// Takes unread bytes out, a piece of them as it came, and lets the peer send as many more.
    pub fn read_chunk(
        &mut self,
        id: ChannelId,
        stream: Stream,
        now: Time,
        out: &mut dyn Outbox,
    ) -> ReadChunk {
        let Some(channel) = self.table.get_mut(id) else { return ReadChunk::Eof };
        let read = channel.read_chunk(stream);
        if let ReadChunk::Data(bytes) = &read {
            self.credit(id, bytes.len(), now, out);
        }
        read
    }

    /// Throws away what is unread on a stream and all that will come, so that it never stops the
    /// other stream or the peer.
    pub fn discard(&mut self, id: ChannelId, stream: Stream, now: Time, out: &mut dyn Outbox) {
        if let Some(channel) = self.table.get_mut(id) {
            let len = channel.discard(stream);
            self.credit(id, len, now, out);
        }
    }

    /// Lets the peer send more on a channel than at first, `window` bytes in all, where the limits
    /// and the budget allow it: for a long link, of which it is known that much will come.
    pub fn widen(&mut self, id: ChannelId, window: u32, out: &mut dyn Outbox) {
        if let Some(channel) = self.table.get_mut(id) {
            channel.widen(window, &mut self.budget, out);
        }
    }

    /// `len` bytes were read: the peer may send as many more, if the budget allows.
    fn credit(&mut self, id: ChannelId, len: usize, now: Time, out: &mut dyn Outbox) {
        let Some(channel) = self.table.get_mut(id) else { return };
        let pressure = channel.consumed(len, &mut self.budget, self.round_trip, now, out);
        if pressure == Pressure::Tight {
            self.relieve_budget();
        }
    }

    pub(super) fn on_data(
        &mut self,
        message: ChannelData<'_>,
        payload: &Bytes,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let (id, reaction) =
            self.step(message.recipient, Input::Data, ChannelData::NUMBER, now, out)?;
        if reaction != Reaction::Process {
            return Ok(());
        }
        self.take_data(id, Some(Stream::Data), payload.slice_ref(message.data), now, out)
    }

    pub(super) fn on_extended_data(
        &mut self,
        message: ChannelExtendedData<'_>,
        payload: &Bytes,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let (id, reaction) =
            self.step(message.recipient, Input::Data, ChannelExtendedData::NUMBER, now, out)?;
        if reaction != Reaction::Process {
            return Ok(());
        }
        let stream = (message.code == STDERR).then_some(Stream::Stderr);
        self.take_data(id, stream, payload.slice_ref(message.data), now, out)
    }

    fn take_data(
        &mut self,
        id: ChannelId,
        stream: Option<Stream>,
        data: Bytes,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let Some(channel) = self.table.get_mut(id) else { return Ok(()) };
        let len = data.len();
        match channel.receive(stream, data, id.number())? {
            Received::Kept => {}
            Received::Tell(stream) => self.events.push(MuxEvent::Readable(id, stream)),
            Received::Unwanted => self.credit(id, len, now, out),
        }
        Ok(())
    }

    pub(super) fn on_window_adjust(
        &mut self,
        message: ChannelWindowAdjust,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let ChannelWindowAdjust { recipient, bytes } = message;
        if self.table.by_number(recipient).is_none() {
            // As on a closed channel that is not released: see `channel/state.rs`.
            return Ok(());
        }
        let number = ChannelWindowAdjust::NUMBER;
        let (id, reaction) = self.step(recipient, Input::WindowAdjust, number, now, out)?;
        let Some(channel) = self.table.get_mut(id) else { return Ok(()) };
        if reaction == Reaction::Process {
            let overflow = PeerMisbehaved::WindowAboveMaximum { channel: recipient };
            if channel.sender.adjust(bytes).map_err(|_| overflow)? {
                self.events.push(MuxEvent::Writable(id));
            }
        }
        Ok(())
    }
}
