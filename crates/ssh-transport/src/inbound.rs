//! From bytes to verified payloads (RFC 4253 §6), decrypted where they lie.
//!
//! An [`Inbound`] belongs to whoever reads the socket, so that opening packets needs no lock. It
//! gives one thing at a time:
//!
//! ```text
//! Identification ──line──► Packets ──NEWKEYS──► AwaitingKeys
//!                             ▲──Transport::handle(NEWKEYS)──┘
//! ```
//!
//! `NEWKEYS` is a barrier: what follows it is under keys that only the
//! [`Transport`](crate::Transport) can install.

use alloc::boxed::Box;
use core::fmt;

use bytes::{Buf, BytesMut};
use ssh_wire::{Message, PeerText};

use crate::{
    Role,
    algorithm::CompressionAlgorithm,
    compression::{Authenticated, BadCompression, Inflater},
    crypto::{BadMac, Open, null::Null},
    error::{Error, PeerMisbehaved},
    event::Payload,
    ident::{IdentificationReader, PeerIdentification},
    message::NewKeys,
    packet::{HEADER_LEN, LENGTH_LEN, MIN_PADDING, Usage},
};

/// The reading half of a connection.
pub struct Inbound {
    buf: BytesMut,
    state: State,
    key: Box<dyn Open>,
    sequence: u32,
    usage: Usage,
    /// Bytes of the packet at the front of the buffer, once its length is known.
    packet: Option<usize>,
    last_line: Option<PeerText>,
    role: Role,
    /// What inflates payloads once the user is authenticated, if that was negotiated.
    inflater: Option<Inflater>,
    authenticated: Authenticated,
}

enum State {
    Identification(IdentificationReader),
    Packets,
    AwaitingKeys,
    Failed(Error),
}

/// Something that came from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Received {
    /// The first line.
    Identification(PeerIdentification),
    /// A packet, verified under the keys of its time.
    Packet(Payload),
}

impl Inbound {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            buf: BytesMut::new(),
            state: State::Identification(IdentificationReader::new(role)),
            key: Box::new(Null),
            sequence: 0,
            usage: Usage::default(),
            packet: None,
            last_line: None,
            role,
            inflater: None,
            authenticated: Authenticated::default(),
        }
    }

    /// Where bytes from the socket are appended. Nothing else may be done with it.
    pub const fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buf
    }

    /// The next thing that is complete. `None`: more bytes are needed, or the new keys.
    ///
    /// # Errors
    /// [`Error::PeerMisbehaved`] or [`Error::UnsupportedVersion`], from then on for ever. Hand it
    /// to [`Transport::fail`](crate::Transport::fail), so that the peer gets told.
    #[expect(clippy::should_implement_trait, reason = "it does not end: None means not yet")]
    pub fn next(&mut self) -> Result<Option<Received>, Error> {
        let result = match &mut self.state {
            State::Identification(reader) => {
                let result = reader.next(&mut self.buf);
                if !matches!(result, Ok(None)) {
                    self.last_line = reader.last_line().cloned();
                }
                if matches!(result, Ok(Some(_))) {
                    self.state = State::Packets;
                }
                result.map(|line| line.map(Received::Identification))
            }
            State::Packets => self.packet().map(|payload| payload.map(Received::Packet)),
            State::AwaitingKeys => Ok(None),
            State::Failed(error) => return Err(error.clone()),
        };
        if let Err(error) = &result {
            self.state = State::Failed(error.clone());
        }
        result
    }

    /// The last line with words in it that a server sent before its identification, or instead of
    /// it: where a server refuses to talk, this is why.
    #[must_use]
    pub const fn last_line(&self) -> Option<&PeerText> {
        match &self.state {
            State::Identification(reader) => reader.last_line(),
            _ => self.last_line.as_ref(),
        }
    }

    /// Bytes that have to be appended before [`next`](Self::next) can give something; 0 where that
    /// cannot be told.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.packet.map_or(0, |len| len.saturating_sub(self.buf.len()))
    }

    /// Takes the next packet off the buffer.
    fn packet(&mut self) -> Result<Option<Payload>, Error> {
        let Some(len) = self.packet_len()? else { return Ok(None) };
        if self.buf.len() < len {
            return Ok(None);
        }
        self.packet = None;
        if self.usage.is_exhausted() {
            return Err(PeerMisbehaved::SequenceNumbersExhausted.into());
        }
        let mut packet = self.buf.split_to(len);
        self.key
            .open(self.sequence, &mut packet)
            .map_err(|BadMac| Error::from(PeerMisbehaved::BadMac))?;
        self.usage.count(len);
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let tag = self.key.shape().tag;
        let payload = unpad(packet, len.saturating_sub(tag), sequence)?;
        let payload = self.inflate(payload)?;
        if payload.number() == Authenticated::SUCCESS && self.role == Role::Client {
            self.authenticated.set();
        }
        if payload.number() == NewKeys::NUMBER {
            self.state = State::AwaitingKeys;
        }
        Ok(Some(payload))
    }

    /// Inflates a payload where compression has begun.
    fn inflate(&mut self, payload: Payload) -> Result<Payload, Error> {
        let Some(inflater) = self.inflater.as_mut().filter(|_| self.authenticated.is_set()) else {
            return Ok(payload);
        };
        let inflated = inflater.inflate(payload.bytes());
        let inflated = inflated.map_err(|BadCompression| PeerMisbehaved::BadCompression)?;
        let number = inflated.first().copied().ok_or(PeerMisbehaved::EmptyPacket)?;
        Ok(Payload::new(inflated.into(), number, payload.sequence()))
    }

    /// The whole length of the packet at the front, checked as soon as it can be told.
    fn packet_len(&mut self) -> Result<Option<usize>, Error> {
        if self.packet.is_some() {
            return Ok(self.packet);
        }
        let Some(header) = self.buf.get_mut(..self.key.header_len()) else { return Ok(None) };
        let shape = self.key.shape();
        let length = self.key.length(self.sequence, header);
        if !shape.allows(length) {
            return Err(PeerMisbehaved::BadPacketLength { length }.into());
        }
        let whole = usize::try_from(length).unwrap_or(usize::MAX);
        self.packet = Some(whole.saturating_add(LENGTH_LEN).saturating_add(shape.tag));
        Ok(self.packet)
    }

    /// Takes new keys into use after `NEWKEYS`.
    pub(crate) fn install(&mut self, key: Box<dyn Open>, reset_sequence: bool) {
        self.key = key;
        self.usage = Usage::default();
        if reset_sequence {
            self.sequence = 0;
        }
        if matches!(self.state, State::AwaitingKeys) {
            self.state = State::Packets;
        }
    }

    /// A new stream, with the new keys.
    pub(crate) fn set_compression(
        &mut self,
        algorithm: CompressionAlgorithm,
        authenticated: &Authenticated,
    ) {
        self.inflater = Inflater::new(algorithm);
        self.authenticated = authenticated.clone();
    }

    /// How much the present key has been used.
    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }
}

#[cfg(test)]
impl Inbound {
    /// As if so many packets had come under the present key.
    pub(crate) const fn pretend_usage(&mut self, packets: u64) {
        self.usage.packets = packets;
    }

    /// As if so many packets had come.
    pub(crate) const fn skip_to(&mut self, sequence: u32) {
        self.sequence = sequence;
    }
}

/// Cuts the payload out of an opened packet of `end` bytes without its tag.
fn unpad(mut packet: BytesMut, end: usize, sequence: u32) -> Result<Payload, Error> {
    let padding = packet.get(LENGTH_LEN).copied().unwrap_or(0);
    let body = end.saturating_sub(HEADER_LEN);
    let bad = || Error::from(PeerMisbehaved::BadPadding { length: padding });
    let payload = body.checked_sub(padding.into()).ok_or_else(bad)?;
    if usize::from(padding) < MIN_PADDING {
        return Err(bad());
    }
    let number = packet.get(HEADER_LEN).copied().filter(|_| payload > 0);
    let number = number.ok_or(PeerMisbehaved::EmptyPacket)?;
    packet.advance(HEADER_LEN.min(packet.len()));
    packet.truncate(payload);
    Ok(Payload::new(packet.freeze(), number, sequence))
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Identification(_) => "Identification",
            State::Packets => "Packets",
            State::AwaitingKeys => "AwaitingKeys",
            State::Failed(_) => "Failed",
        };
        f.debug_struct("Inbound")
            .field("state", &state)
            .field("buffered", &self.buf.len())
            .field("sequence", &self.sequence)
            .field("usage", &self.usage)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use ssh_wire::{Rest, testing::every_split};

    use crate::outbound::Outbound;
    use ssh_crypto::rng::SeededRng;

    fn wire(payloads: &[&[u8]]) -> Vec<u8> {
        let mut outbound = Outbound::new(Box::new(SeededRng::new(1)), 0);
        outbound.line("SSH-2.0-x");
        for payload in payloads {
            outbound.send_now(&Rest(payload)).unwrap();
        }
        let mut out = Vec::new();
        outbound.take(&mut out);
        out
    }

    fn numbers(inbound: &mut Inbound) -> Vec<u8> {
        let mut numbers = Vec::new();
        while let Some(received) = inbound.next().unwrap() {
            if let Received::Packet(payload) = received {
                numbers.push(payload.number());
            }
        }
        numbers
    }

    #[test]
    fn how_bytes_arrive_makes_no_difference() {
        let bytes = wire(&[&[2, 9], &[94; 30], &[1]]);
        every_split(&bytes, |parts| {
            let mut inbound = Inbound::new(Role::Server);
            let mut found = Vec::new();
            for part in parts {
                inbound.buffer().extend_from_slice(part);
                found.extend(numbers(&mut inbound));
            }
            assert_eq!(found, [2, 94, 1]);
            assert_eq!(inbound.usage().packets, 3);
        });
    }

    #[test]
    fn behind_newkeys_nothing_comes_until_the_new_keys_are_there() {
        let mut inbound = Inbound::new(Role::Server);
        inbound.buffer().extend_from_slice(&wire(&[&[21], &[94]]));
        assert_eq!(numbers(&mut inbound), [21]);
        assert_eq!(inbound.next(), Ok(None));
        inbound.install(Box::new(Null), true);
        let Ok(Some(Received::Packet(payload))) = inbound.next() else { panic!() };
        assert_eq!((payload.number(), payload.sequence()), (94, 0));
    }

    #[test]
    fn it_says_how_much_is_missing_once_it_knows() {
        let mut inbound = Inbound::new(Role::Server);
        let bytes = wire(&[&[94; 100]]);
        let (head, tail) = bytes.split_at(20);
        inbound.buffer().extend_from_slice(head);
        assert!(numbers(&mut inbound).is_empty());
        assert_eq!(inbound.missing(), tail.len());
    }

    #[test]
    fn payloads_lie_where_the_socket_put_them() {
        let mut inbound = Inbound::new(Role::Server);
        inbound.buffer().reserve(4096);
        let place = inbound.buffer().as_ptr() as usize;
        inbound.buffer().extend_from_slice(&wire(&[&[94; 100], &[94; 50]]));
        assert!(matches!(inbound.next(), Ok(Some(Received::Identification(_)))));
        for _ in 0..2 {
            let Ok(Some(Received::Packet(payload))) = inbound.next() else { panic!() };
            let at = payload.bytes().as_ptr() as usize;
            assert!((place..place + 4096).contains(&at));
        }
    }

    #[test]
    fn what_a_server_said_before_it_hung_up_is_kept() {
        let mut inbound = Inbound::new(Role::Client);
        inbound.buffer().extend_from_slice(b"Not allowed at this time\r\n");
        assert_eq!(inbound.next(), Ok(None));
        assert_eq!(inbound.last_line().unwrap().raw(), "Not allowed at this time");
        let mut errors = vec![];
        inbound.buffer().extend_from_slice(b"SSH-1.5-x\n");
        for _ in 0..2 {
            errors.push(inbound.next().unwrap_err());
        }
        assert!(matches!(errors[0], Error::UnsupportedVersion(_)) && errors[0] == errors[1]);
        assert!(inbound.last_line().is_some());
    }
}
