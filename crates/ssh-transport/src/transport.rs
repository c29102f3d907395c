//! The state machine of RFC 4253: what comes in, what goes out, and what it means.

mod exchange;

use alloc::{
    boxed::Box,
    string::{String, ToString},
    sync::Arc,
    vec::Vec,
};
use core::fmt;

use ssh_crypto::{hash::Digest, rng::Rng};
use ssh_keys::{PublicKey, SignatureAlgorithm};
use ssh_wire::{DisconnectReason, Encode, Message, Outbox, PeerText, Reader, Time};

use crate::{
    Role,
    config::Config,
    error::{Error, PeerMisbehaved},
    event::{Disconnect, Event, Payload},
    ext_info::PeerExtensions,
    host_key::{HostKeyOffer, HostKeyTrusted},
    ident::PeerIdentification,
    inbound::{Inbound, Received},
    kex::{Kex, init::FirstChoice, negotiate::Negotiated, rekey::Schedule},
    limits::{CONTROL_HIGH_WATER, MAX_EXT_INFO_FROM_SERVER, MAX_PINGS},
    message::{self, ExtInfo, Ignore, KexInit, NewKeys, Ping, Pong},
    outbound::{self, Outbound},
    packet::Usage,
};

/// The longest explanation that goes into a `DISCONNECT` of ours, in bytes.
const MAX_DISCONNECT_TEXT: usize = 255;

/// One connection's transport layer: everything but the reading of packets, which is
/// [`Inbound`]'s.
///
/// See the [crate](crate) for how the two are driven.
pub struct Transport {
    role: Role,
    config: Arc<Config>,
    outbound: Outbound,
    kex: Kex,
    schedule: Schedule,
    peer: Option<PeerIdentification>,
    peer_text: Option<PeerText>,
    /// The exchange hash of the first exchange.
    session: Option<Digest>,
    /// Whether the first exchange is complete and, for a client, the host trusted.
    established: bool,
    /// Client: the host key that was trusted.
    host_key: Option<PublicKey>,
    strict: bool,
    peer_wants_ext_info: bool,
    /// Whether the next packet of the key exchange is a wrong guess.
    skip_guess: bool,
    /// What the peer's latest `KEXINIT` names first.
    peer_first_choice: Option<FirstChoice>,
    /// Server: whether the next packet may be the client's `EXT_INFO`.
    ext_info_next: bool,
    extensions: PeerExtensions,
    negotiated: Option<Negotiated>,
    /// Pings that were not answered yet.
    pings: u32,
    /// Key exchanges that the peer began before the connection protocol spoke.
    early_exchanges: u8,
    failed: Option<Error>,
    #[cfg(feature = "fuzzing")]
    null_protection: bool,
}

impl Transport {
    /// Begins as a client: identification and `KEXINIT` are in the output at once.
    #[must_use]
    pub fn client(config: Arc<Config>, rng: Box<dyn Rng>, now: Time) -> (Self, Inbound) {
        Self::new(Role::Client, config, rng, now)
    }

    /// Begins as a server: identification and `KEXINIT` are in the output at once.
    #[must_use]
    pub fn server(config: Arc<Config>, rng: Box<dyn Rng>, now: Time) -> (Self, Inbound) {
        Self::new(Role::Server, config, rng, now)
    }

    fn new(role: Role, config: Arc<Config>, rng: Box<dyn Rng>, now: Time) -> (Self, Inbound) {
        let mut transport = Self {
            role,
            outbound: Outbound::new(rng, config.limits.held_output),
            config,
            kex: Kex::Idle,
            schedule: Schedule::new(now),
            peer: None,
            peer_text: None,
            session: None,
            established: false,
            host_key: None,
            strict: false,
            peer_wants_ext_info: false,
            skip_guess: false,
            peer_first_choice: None,
            ext_info_next: false,
            extensions: PeerExtensions::default(),
            negotiated: None,
            pings: 0,
            early_exchanges: 0,
            failed: None,
            #[cfg(feature = "fuzzing")]
            null_protection: false,
        };
        transport.outbound.line(transport.config.identification.as_str());
        if let Err(error) = transport.send_kexinit() {
            transport.fail(error);
        }
        (transport, Inbound::new(role))
    }

    /// Takes in what `inbound` gave, in order and all of it. At most one event comes of each.
    ///
    /// # Errors
    /// Any of [`Error`]; the connection is over then, and what is left to do is to send
    /// [the output](Self::take_output) with the `DISCONNECT`.
    pub fn handle(
        &mut self,
        received: Received,
        inbound: &mut Inbound,
        now: Time,
    ) -> Result<Option<Event>, Error> {
        self.alive()?;
        self.schedule.at(now);
        let result = match received {
            Received::Identification(line) => {
                self.peer_text = Some(line.to_text());
                self.peer = Some(line);
                Ok(None)
            }
            Received::Packet(payload) => self.packet(payload, inbound),
        };
        let result = result.and_then(|event| {
            if self.failed.is_none() {
                self.rekey_if_due(inbound.usage(), true)?;
            }
            Ok(event)
        });
        self.checked(result)
    }

    /// Client: goes on with a host whose key is the right one. `NEWKEYS` is sent now.
    /// [`Event::Established`] is the result if the server's came already, else it comes later.
    ///
    /// # Errors
    /// [`Error::WrongHostKeyAnswer`] if no offer of this connection waits for the answer, or the
    /// error that ended the connection before.
    pub fn answer_host_key(&mut self, trusted: HostKeyTrusted) -> Result<Option<Event>, Error> {
        self.alive()?;
        let result = match core::mem::replace(&mut self.kex, Kex::Idle) {
            Kex::AwaitVerdict(state) if state.exchange_hash == *trusted.exchange_hash() => {
                self.trusted(*state, trusted)
            }
            _ => Err(Error::WrongHostKeyAnswer),
        };
        self.checked(result)
    }

    /// Client: ends the connection because the key is not the right one.
    pub fn refuse_host_key(&mut self, refused: HostKeyOffer) {
        drop(refused);
        self.fail(Error::HostKeyRefused);
    }

    /// Swaps the output with `spare`, an empty buffer whose capacity is used from then on. If it
    /// is not empty, the output is appended.
    pub fn take_output(&mut self, spare: &mut Vec<u8>) {
        self.outbound.take(spare);
    }

    /// Bytes of output that wait to be taken.
    #[must_use]
    pub const fn pending_output(&self) -> usize {
        self.outbound.pending()
    }

    /// Bytes of the output that are not channel data. From [`CONTROL_HIGH_WATER`] on a driver
    /// stops reading until they are taken. What a key exchange holds back does not count, since
    /// only reading ends the exchange; it has a limit of its own
    /// ([`Limits::held_output`](crate::Limits::held_output)).
    #[must_use]
    pub const fn control_backlog(&self) -> usize {
        self.outbound.control()
    }

    /// When [`tick`](Self::tick) has to be called at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        if self.failed.is_some() { None } else { self.schedule.deadline(&self.config.limits) }
    }

    /// Tells the time: old keys are renewed, and a peer that does not complete an exchange is
    /// left.
    ///
    /// # Errors
    /// [`Error::RekeyTimedOut`], or the error that ended the connection before.
    pub fn tick(&mut self, now: Time) -> Result<(), Error> {
        self.alive()?;
        self.schedule.at(now);
        let result = if self.schedule.is_late(&self.config.limits) {
            Err(Error::RekeyTimedOut)
        } else {
            self.rekey_if_due(Usage::default(), true)
        };
        self.checked(result)
    }

    /// Exchanges keys now, unless an exchange runs already. Not for the time of authentication:
    /// OpenSSH refuses it there.
    pub fn rekey(&mut self, now: Time) {
        self.schedule.at(now);
        if self.failed.is_some() || !self.established || !matches!(self.kex, Kex::Idle) {
            return;
        }
        self.schedule.begin(true);
        if let Err(error) = self.send_kexinit() {
            self.fail(error);
        }
    }

    /// Ends the connection with a `DISCONNECT`. Later calls give [`Error::Closed`].
    pub fn disconnect(&mut self, reason: DisconnectReason, text: &str) {
        if self.failed.is_none() {
            self.say_goodbye(reason, text);
            self.end(Error::Closed);
        }
    }

    /// Ends the connection because of an error that was found outside: by [`Inbound`], or by a
    /// layer above in the form of one of this layer's. A fitting `DISCONNECT` is queued. The
    /// first error stays.
    pub fn fail(&mut self, error: Error) {
        if self.failed.is_some() {
            return;
        }
        if let Some(reason) = error.disconnect() {
            self.say_goodbye(reason, &error.to_string());
        }
        self.end(error);
    }

    /// Answers a message of a layer above whose number nobody knows (RFC 4253 §11.4).
    pub fn unimplemented(&mut self, payload: &Payload) {
        if self.failed.is_none() {
            let sequence = payload.sequence();
            if let Err(error) = self.outbound.send_now(&message::Unimplemented { sequence }) {
                self.fail(error);
            }
        }
    }

    /// Sends a ping, which the peer answers with [`Event::Pong`]. False: nothing was sent, because
    /// the peer has not announced `ping@openssh.com`, or [`MAX_PINGS`] are unanswered.
    pub fn ping(&mut self, data: &[u8]) -> bool {
        let possible = self.extensions.ping && self.established && self.pings < MAX_PINGS;
        if !possible || self.failed.is_some() {
            return false;
        }
        self.pings = self.pings.saturating_add(1);
        self.send(&Ping { data });
        true
    }

    /// What the two sides agreed on in the latest key exchange.
    #[must_use]
    pub const fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    /// The peer's first line, once it came.
    #[must_use]
    pub const fn peer_identification(&self) -> Option<&PeerText> {
        self.peer_text.as_ref()
    }

    /// Client: the signature algorithms that the server accepts from users, if it told.
    #[must_use]
    pub fn server_sig_algs(&self) -> Option<&[SignatureAlgorithm]> {
        self.extensions.server_sig_algs.as_deref()
    }

    /// Client: the host key that was trusted.
    #[must_use]
    pub const fn host_key(&self) -> Option<&PublicKey> {
        self.host_key.as_ref()
    }

    /// Whether a key exchange after the first is running.
    #[must_use]
    pub const fn is_rekeying(&self) -> bool {
        self.established && !matches!(self.kex, Kex::Idle)
    }

    /// Whether the first key exchange is complete and the host trusted.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        self.established
    }

    /// The error that ended the connection, if one did.
    #[must_use]
    pub const fn error(&self) -> Option<&Error> {
        self.failed.as_ref()
    }

    /// For fuzzing: packets are not protected after `NEWKEYS`, so that arbitrary bytes get on.
    #[cfg(feature = "fuzzing")]
    pub(crate) const fn use_null_protection(&mut self) {
        self.null_protection = true;
    }
}

/// Messages, by number and state.
impl Transport {
    /// Gives every message of every number in every state to its handler, or refuses it.
    fn packet(&mut self, payload: Payload, inbound: &mut Inbound) -> Result<Option<Event>, Error> {
        let ext_info_next = core::mem::take(&mut self.ext_info_next);
        let exchanging = self.kex.peer_is_exchanging();
        let number = payload.number();
        match number {
            0 => Err(PeerMisbehaved::MessageNumberZero { sequence: payload.sequence() }.into()),
            message::Disconnect::NUMBER => self.peer_disconnected(&payload).map(Some),
            KexInit::NUMBER => self.peer_kexinit(payload),
            NewKeys::NUMBER => self.peer_newkeys(&payload, inbound),
            30..=49 => self.method_message(&payload),
            // Strict: nothing that is not the exchange, not even what means nothing.
            _ if exchanging && !self.established && self.strict => Err(self.unexpected(&payload)),
            Ignore::NUMBER | message::Unimplemented::NUMBER => Ok(None),
            message::Debug::NUMBER => debug(&payload).map(Some),
            // Numbers of RFC 4253 §7.1 that may come during an exchange, but mean nothing to us. To
            // say so is no part of a strict first exchange, in which we may still be ourselves.
            8..=19 | 22..=29 if self.established || !self.strict => {
                self.unimplemented(&payload);
                Ok(None)
            }
            // All others are forbidden between KEXINIT and NEWKEYS, and before the first.
            _ if exchanging || self.session.is_none() => Err(self.unexpected(&payload)),
            ExtInfo::NUMBER => self.peer_ext_info(&payload, ext_info_next),
            Ping::NUMBER => self.peer_ping(&payload),
            // The server's keys are in use, but the client has not judged the host: nothing for
            // the layers above.
            _ if !self.established => Err(self.unexpected(&payload)),
            5 | 6 | 50..=79 => Ok(Some(Event::Payload(payload))),
            80..=127 => {
                self.schedule.authenticated();
                Ok(Some(Event::Payload(payload)))
            }
            Pong::NUMBER => self.peer_pong(&payload),
            8..=19 | 22..=29 | 128..=191 | 194..=255 => {
                self.unimplemented(&payload);
                Ok(None)
            }
        }
    }

    fn unexpected(&self, payload: &Payload) -> Error {
        let (number, sequence) = (payload.number(), payload.sequence());
        let strict = self.strict && !self.established && self.kex.peer_is_exchanging();
        Error::PeerMisbehaved(if strict {
            PeerMisbehaved::StrictKexViolation { number, sequence }
        } else {
            PeerMisbehaved::UnexpectedMessage { number, sequence }
        })
    }

    fn peer_disconnected(&mut self, payload: &Payload) -> Result<Event, Error> {
        // Old peers leave the language out; whatever else follows does not matter any more.
        let mut reader = Reader::new(message::Disconnect::NAME, payload.bytes());
        reader.number(message::Disconnect::NUMBER)?;
        let reason = DisconnectReason(reader.field("reason").uint32()?);
        let text = PeerText::from_bytes(reader.field("description").string()?);
        let goodbye = Disconnect { reason, text };
        self.end(Error::Disconnected(goodbye.clone()));
        Ok(Event::Disconnected(goodbye))
    }

    fn peer_ext_info(&mut self, payload: &Payload, next: bool) -> Result<Option<Event>, Error> {
        let allowed = match self.role {
            Role::Client => self.extensions.count < MAX_EXT_INFO_FROM_SERVER,
            Role::Server => next,
        };
        if !allowed {
            return Err(PeerMisbehaved::MisplacedExtInfo.into());
        }
        self.extensions.update(self.role.other(), payload.bytes())?;
        Ok(Some(Event::PeerExtensions))
    }

    /// Answers a ping, unless too many answers wait already or the host is not trusted yet.
    fn peer_ping(&mut self, payload: &Payload) -> Result<Option<Event>, Error> {
        let ping = Ping::parse(payload.bytes())?;
        let waiting = self.outbound.control().saturating_add(self.outbound.held());
        if self.established && waiting < CONTROL_HIGH_WATER {
            self.send_checked(&Pong { data: ping.data })?;
        }
        Ok(None)
    }

    /// Answers that nobody asked for are dropped.
    fn peer_pong(&mut self, payload: &Payload) -> Result<Option<Event>, Error> {
        let pong = Pong::parse(payload.bytes())?;
        let Some(left) = self.pings.checked_sub(1) else { return Ok(None) };
        self.pings = left;
        Ok(Some(Event::Pong(bytes::Bytes::copy_from_slice(pong.data))))
    }
}

/// Sending and ending.
impl Transport {
    fn alive(&self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// Ends the connection if `result` is an error.
    fn checked<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(error) = &result {
            self.fail(error.clone());
        }
        result
    }

    fn send_checked(&mut self, message: &dyn Encode) -> Result<(), Error> {
        let number = self.outbound.send(message)?;
        if outbound::is_of_connection(number) {
            self.schedule.authenticated();
        }
        self.rekey_if_due(Usage::default(), false)
    }

    fn say_goodbye(&mut self, reason: DisconnectReason, text: &str) {
        let text: String = text.chars().take(MAX_DISCONNECT_TEXT).collect();
        let message =
            message::Disconnect { reason: reason.0, description: text.as_bytes(), language: b"" };
        // Where even this cannot be sent, the connection ends without it.
        let _number = self.outbound.send_now(&message);
    }

    /// Nothing is done any more, and key material is forgotten.
    fn end(&mut self, error: Error) {
        self.kex = Kex::Idle;
        self.failed = Some(error);
    }
}

fn debug(payload: &Payload) -> Result<Event, Error> {
    let message = message::Debug::parse(payload.bytes())?;
    Ok(Event::Debug {
        always_display: message.always_display,
        text: PeerText::from_bytes(message.message),
    })
}

impl Outbox for Transport {
    /// Sends a message of a layer above. While keys are exchanged it waits for the new ones.
    fn send(&mut self, message: &dyn Encode) {
        if self.failed.is_some() {
            return;
        }
        if let Err(error) = self.send_checked(message) {
            self.fail(error);
        }
    }

    fn data_room(&self) -> usize {
        if self.failed.is_some() || self.outbound.is_holding() {
            return 0;
        }
        self.config.limits.output_high_water.saturating_sub(self.outbound.pending())
    }
}

#[cfg(test)]
impl Transport {
    /// For peers that break the rules.
    pub(crate) const fn outbound(&mut self) -> &mut Outbound {
        &mut self.outbound
    }

    /// For servers that change their key.
    pub(crate) fn set_config(&mut self, config: Arc<Config>) {
        self.config = config;
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("role", &self.role)
            .field("kex", &self.kex.name())
            .field("established", &self.established)
            .field("strict", &self.strict)
            .field("negotiated", &self.negotiated)
            .field("pending_output", &self.outbound.pending())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
