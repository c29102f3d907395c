//! RFC 4254 §5.1: opening channels, in both directions.

use ssh_wire::{Message, Outbox, Rest, Time};

use super::{Mux, Role};
use crate::{
    ChannelId, Error, MuxEvent, OpenFailure, OpenFailureReason, PeerMisbehaved, TooManyChannels,
    channel::{
        Channel,
        send::Sender,
        state::{Input, Reaction},
    },
    event::excerpt,
    message::{ChannelOpen, ChannelOpenConfirmation, ChannelOpenFailure, ChannelType},
    token::{IncomingChannel, IncomingKind, Watch},
};

/// A channel that the peer wants and the application has not answered. It has a place among the
/// channels, so that it can always be granted.
#[derive(Debug)]
pub(super) struct Offer {
    serial: u64,
    watch: Watch,
    /// The peer's number.
    sender: u32,
    window: u32,
    max_packet: u32,
}

impl Mux {
    /// Asks the peer for a session: a channel on which it runs a program (RFC 4254 §6.1).
    /// [`MuxEvent::Opened`] or [`MuxEvent::OpenFailed`] tells the answer.
    ///
    /// # Errors
    /// If there are as many channels as the limits allow.
    pub fn open_session(
        &mut self,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<ChannelId, TooManyChannels> {
        self.open(ChannelType::Session, now, out)
    }

    /// Asks the peer for a channel of any type; as [`Self::open_session`].
    ///
    /// # Errors
    /// If there are as many channels as the limits allow.
    pub fn open(
        &mut self,
        kind: ChannelType<'_>,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<ChannelId, TooManyChannels> {
        if self.places_taken() >= self.limits.max_channels {
            return Err(TooManyChannels { limit: self.limits.max_channels });
        }
        let channel = Channel::ours(&self.limits, &mut self.budget, now);
        let (id, initial_window) = self.insert(channel);
        out.send(&ChannelOpen {
            kind,
            sender: id.number(),
            initial_window,
            max_packet: self.limits.max_packet,
        });
        Ok(id)
    }

    /// Grants a channel that the peer wants. Its id may be used at once.
    ///
    /// `None` if the offer comes from another connection.
    pub fn accept(
        &mut self,
        incoming: IncomingChannel,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Option<ChannelId> {
        let offer = self.take_offer(&incoming)?;
        let sender = Sender::new(offer.window, offer.max_packet);
        let channel = Channel::theirs(offer.sender, sender, &self.limits, &mut self.budget, now);
        let (id, initial_window) = self.insert(channel);
        out.send(&ChannelOpenConfirmation {
            recipient: offer.sender,
            sender: id.number(),
            initial_window,
            max_packet: self.limits.max_packet,
            data: Rest(&[]),
        });
        Some(id)
    }

    /// Refuses a channel that the peer wants.
    pub fn refuse(
        &mut self,
        incoming: IncomingChannel,
        reason: OpenFailureReason,
        text: &str,
        out: &mut dyn Outbox,
    ) {
        if let Some(offer) = self.take_offer(&incoming) {
            send_refusal(offer.sender, reason, text, out);
        }
    }

    fn insert(&mut self, channel: Channel) -> (ChannelId, u32) {
        let initial_window = channel.initial_window();
        let id = self.table.insert(channel);
        if initial_window < self.limits.initial_window {
            self.relieve_budget();
        }
        (id, initial_window)
    }

    fn take_offer(&mut self, incoming: &IncomingChannel) -> Option<Offer> {
        let at = self.offers.iter().position(|offer| offer.serial == incoming.serial)?;
        self.offers.remove(at)
    }

    pub(super) fn refuse_abandoned_offers(&mut self, out: &mut dyn Outbox) {
        self.offers.retain(|offer| {
            let abandoned = offer.watch.is_abandoned();
            if abandoned {
                let reason = OpenFailureReason::ADMINISTRATIVELY_PROHIBITED;
                send_refusal(offer.sender, reason, "refused", out);
            }
            !abandoned
        });
    }

    pub(super) fn on_open(
        &mut self,
        message: ChannelOpen<'_>,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let ChannelOpen { kind, sender, initial_window: window, max_packet } = message;
        if max_packet == 0 {
            return Err(PeerMisbehaved::ZeroMaxPacket { channel: sender }.into());
        }
        let refusal = match (kind, self.role) {
            // "Client implementations SHOULD reject any session channel open requests" (§6.1).
            (ChannelType::Session, Role::Client) => {
                Some((OpenFailureReason::ADMINISTRATIVELY_PROHIBITED, "clients run no sessions"))
            }
            (ChannelType::Session, Role::Server) if self.globals.no_more_sessions => {
                return Err(PeerMisbehaved::SessionAfterNoMoreSessions.into());
            }
            (ChannelType::Session, Role::Server) if !self.has_room_for_offer() => {
                Some((OpenFailureReason::RESOURCE_SHORTAGE, "too many channels"))
            }
            (ChannelType::Session, Role::Server) => None,
            (ChannelType::Other { .. }, _) => {
                Some((OpenFailureReason::UNKNOWN_CHANNEL_TYPE, "unknown channel type"))
            }
        };
        if let Some((reason, text)) = refusal {
            send_refusal(sender, reason, text, out);
            return Ok(());
        }
        let serial = self.serial();
        let (mark, watch) = self.desk.issue();
        self.offers.push_back(Offer { serial, watch, sender, window, max_packet });
        let kind = IncomingKind::Session;
        self.events.push(MuxEvent::Incoming(IncomingChannel { serial, kind, _mark: mark }));
        Ok(())
    }

    fn has_room_for_offer(&self) -> bool {
        self.offers.len() < self.limits.max_pending_opens
            && self.places_taken() < self.limits.max_channels
    }

    pub(super) fn on_confirmation(
        &mut self,
        message: ChannelOpenConfirmation<'_>,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let number = message.recipient;
        let Some((id, channel)) = self.table.by_number(number) else {
            return Err(PeerMisbehaved::OpenReplyNotAsked { channel: number }.into());
        };
        // Before the step, which may send EOF or CLOSE. If the step is an error, this was the last.
        channel.remote = message.sender;
        let number_of_message = ChannelOpenConfirmation::NUMBER;
        let (_, reaction) = self.step(number, Input::Confirmation, number_of_message, now, out)?;
        let Some(channel) = self.table.get_mut(id) else { return Ok(()) };
        if message.max_packet == 0 {
            return Err(PeerMisbehaved::ZeroMaxPacket { channel: number }.into());
        }
        let writable = channel.sender.open(message.initial_window, message.max_packet);
        if reaction != Reaction::SendClose {
            self.events.push(MuxEvent::Opened(id));
            if writable {
                self.events.push(MuxEvent::Writable(id));
            }
        }
        Ok(())
    }

    pub(super) fn on_open_failure(
        &mut self,
        message: ChannelOpenFailure<'_>,
        now: Time,
        out: &mut dyn Outbox,
    ) -> Result<(), Error> {
        let number = message.recipient;
        if self.table.by_number(number).is_none() {
            return Err(PeerMisbehaved::OpenReplyNotAsked { channel: number }.into());
        }
        let (id, _) =
            self.step(number, Input::OpenFailure, ChannelOpenFailure::NUMBER, now, out)?;
        let released = self.table.remove(id).is_none_or(|channel| channel.released);
        if !released {
            let failure = OpenFailure {
                reason: OpenFailureReason(message.reason),
                text: excerpt(message.description),
            };
            self.events.push(MuxEvent::OpenFailed(id, failure));
        }
        Ok(())
    }
}

fn send_refusal(recipient: u32, reason: OpenFailureReason, text: &str, out: &mut dyn Outbox) {
    out.send(&ChannelOpenFailure {
        recipient,
        reason: reason.0,
        description: text.as_bytes(),
        language: b"",
    });
}
