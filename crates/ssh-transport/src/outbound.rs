//! From messages to sealed bytes (RFC 4253 §6), encrypted where they lie.
//!
//! A message writes itself into the output behind room for its header; padding and tag follow,
//! and the packet is sealed in place. While a key exchange runs, from our `KEXINIT` to our
//! `NEWKEYS`, what RFC 4253 §7.1 forbids to send is held back and follows `NEWKEYS` in order.

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{Secret, rng::Rng};
use ssh_wire::{Encode, Layer, Rest};

use crate::{
    algorithm::CompressionAlgorithm,
    compression::{Authenticated, Deflater},
    crypto::{Seal, null::Null},
    error::Error,
    packet::{HEADER_LEN, LENGTH_LEN, MAX_PACKET_LENGTH, MAX_TAG_LEN, Usage},
};

/// Random bytes are fetched in pieces of this size: asking the system for each packet's padding
/// would cost more than sealing it.
const POOL: usize = 1024;

/// Zeros to make room with: the longest padding and the longest tag.
const ZEROS: [u8; 256 + MAX_TAG_LEN] = [0; 256 + MAX_TAG_LEN];

/// The writing half of a connection.
pub(crate) struct Outbound {
    out: Vec<u8>,
    key: Box<dyn Seal>,
    sequence: u32,
    usage: Usage,
    /// Whether our `KEXINIT` is out and our `NEWKEYS` is not.
    holding: bool,
    /// Payloads that wait for `NEWKEYS`, each behind its length. A password may be among them.
    held: Secret<Vec<u8>>,
    held_limit: usize,
    /// What compresses payloads once the user is authenticated, if that was negotiated.
    deflater: Option<Deflater>,
    authenticated: Authenticated,
    /// Bytes in `out` that are not channel data.
    control: usize,
    rng: Box<dyn Rng>,
    pool: Box<[u8; POOL]>,
    /// Bytes of the pool that have been used.
    pool_used: usize,
}

impl Outbound {
    pub(crate) fn new(rng: Box<dyn Rng>, held_limit: usize) -> Self {
        Self {
            out: Vec::new(),
            key: Box::new(Null),
            sequence: 0,
            usage: Usage::default(),
            holding: false,
            held: Secret::new(Vec::new()),
            held_limit,
            deflater: None,
            authenticated: Authenticated::default(),
            control: 0,
            rng,
            pool: Box::new([0; POOL]),
            pool_used: POOL,
        }
    }

    /// The source of randomness of the connection.
    pub(crate) const fn rng(&mut self) -> &mut Box<dyn Rng> {
        &mut self.rng
    }

    /// Sends bytes that are no packet: the identification.
    pub(crate) fn line(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// Sends or holds back a message, and gives its number (0 for no message).
    pub(crate) fn send(&mut self, message: &dyn Encode) -> Result<u8, Error> {
        if !self.holding {
            return self.send_now(message);
        }
        let held = self.held.expose_mut();
        let start = held.len();
        held.extend_from_slice(&[0; LENGTH_LEN]);
        let body = held.len();
        message.encode(held);
        let number = held.get(body).copied().unwrap_or(0);
        if may_pass_key_exchange(number) {
            let payload = held.split_off(body);
            held.truncate(start);
            return self.send_now(&Rest(&payload));
        }
        let len = u32::try_from(held.len().saturating_sub(body)).unwrap_or(u32::MAX);
        if let Some(place) = held.get_mut(start..body) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        if held.len() > self.held_limit {
            self.held = Secret::new(Vec::new());
            return Err(Error::TooMuchHeldOutput);
        }
        Ok(number)
    }

    /// Sends a message even while a key exchange runs.
    pub(crate) fn send_now(&mut self, message: &dyn Encode) -> Result<u8, Error> {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; HEADER_LEN]);
        message.encode(&mut self.out);
        let result = self.seal_from(start);
        if !matches!(result, Ok(1..)) {
            self.out.truncate(start);
        }
        result
    }

    /// Turns what lies behind `start`, a header's room and a payload, into a packet.
    fn seal_from(&mut self, start: usize) -> Result<u8, Error> {
        let end = self.out.len();
        let payload = end.saturating_sub(start).saturating_sub(HEADER_LEN);
        // Nothing to send: a message that wrote nothing, or one with the reserved number 0.
        let number = self.out.get(end.saturating_sub(payload)).copied().unwrap_or(0);
        if number == 0 {
            return Ok(0);
        }
        let payload = self.compress(start, payload)?;
        let shape = self.key.shape();
        let padding = shape.padding(payload);
        let length = payload.saturating_add(padding).saturating_add(1);
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        if length > MAX_PACKET_LENGTH {
            return Err(Error::MessageTooLong);
        }
        if self.usage.is_exhausted() {
            return Err(Error::SequenceNumbersExhausted);
        }
        let room = ZEROS.get(..shape.tag).unwrap_or(&ZEROS);
        let random = random_bytes(&mut self.pool, &mut self.pool_used, &mut *self.rng, padding);
        self.out.extend_from_slice(random);
        self.out.extend_from_slice(room);
        let Some(packet) = self.out.get_mut(start..) else { return Ok(0) };
        if let Some((header, _)) = packet.split_first_chunk_mut::<HEADER_LEN>() {
            let [a, b, c, d] = length.to_be_bytes();
            *header = [a, b, c, d, u8::try_from(padding).unwrap_or(u8::MAX)];
        }
        self.key.seal(self.sequence, packet);
        let sealed = packet.len();
        self.sequence = self.sequence.wrapping_add(1);
        self.usage.count(sealed);
        if !is_channel_data(number) {
            self.control = self.control.saturating_add(sealed);
        }
        if number == Authenticated::SUCCESS {
            self.authenticated.set();
        }
        Ok(number)
    }

    /// Compresses the payload behind `start` where that has begun, and gives its length.
    fn compress(&mut self, start: usize, payload: usize) -> Result<usize, Error> {
        let Some(deflater) = self.deflater.as_mut().filter(|_| self.authenticated.is_set()) else {
            return Ok(payload);
        };
        // The peer inflates no more either.
        if u32::try_from(payload).unwrap_or(u32::MAX) > MAX_PACKET_LENGTH {
            return Err(Error::MessageTooLong);
        }
        let at = start.saturating_add(HEADER_LEN);
        let plain = self.out.get(at..).unwrap_or_default();
        let compressed = deflater.deflate(plain).map_err(|_| Error::CompressionFailed)?;
        self.out.truncate(at);
        self.out.extend_from_slice(&compressed);
        Ok(compressed.len())
    }

    /// From our `KEXINIT` on, messages of the layers above wait.
    pub(crate) const fn hold(&mut self) {
        self.holding = true;
    }

    /// Takes new keys into use behind our `NEWKEYS`.
    pub(crate) fn install(&mut self, key: Box<dyn Seal>, reset_sequence: bool) {
        self.key = key;
        self.usage = Usage::default();
        if reset_sequence {
            self.sequence = 0;
        }
    }

    /// A new stream, with the new keys.
    pub(crate) fn set_compression(&mut self, algorithm: CompressionAlgorithm) {
        self.deflater = Deflater::new(algorithm);
    }

    /// Whether the user is authenticated, for the other direction.
    pub(crate) const fn authenticated(&self) -> &Authenticated {
        &self.authenticated
    }

    /// Sends what was held back.
    pub(crate) fn release(&mut self) -> Result<(), Error> {
        self.holding = false;
        let held = core::mem::replace(&mut self.held, Secret::new(Vec::new()));
        let mut rest = held.expose().as_slice();
        while let Some((length, tail)) = rest.split_first_chunk::<LENGTH_LEN>() {
            let len = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            let Some((payload, tail)) = tail.split_at_checked(len) else { break };
            self.send_now(&Rest(payload))?;
            rest = tail;
        }
        Ok(())
    }

    /// Swaps the output with an empty buffer. Bytes that `spare` still holds stay in front.
    pub(crate) fn take(&mut self, spare: &mut Vec<u8>) {
        if spare.is_empty() {
            core::mem::swap(&mut self.out, spare);
        } else {
            spare.append(&mut self.out);
        }
        self.control = 0;
    }

    /// Bytes that wait for the socket.
    pub(crate) const fn pending(&self) -> usize {
        self.out.len()
    }

    /// Those of them that are not channel data.
    pub(crate) const fn control(&self) -> usize {
        self.control
    }

    /// Bytes of messages that wait for `NEWKEYS`.
    pub(crate) const fn held(&self) -> usize {
        self.held.expose().len()
    }

    pub(crate) const fn is_holding(&self) -> bool {
        self.holding
    }

    /// How much the present key has been used.
    pub(crate) const fn usage(&self) -> Usage {
        self.usage
    }
}

#[cfg(test)]
impl Outbound {
    /// As if so many packets had been sent under the present key.
    pub(crate) const fn pretend_usage(&mut self, packets: u64) {
        self.usage.packets = packets;
    }

    /// As if so many packets had been sent.
    pub(crate) const fn skip_to(&mut self, sequence: u32) {
        self.sequence = sequence;
    }
}

/// Random bytes for padding, each used once.
fn random_bytes<'a>(
    pool: &'a mut [u8; POOL],
    used: &mut usize,
    rng: &mut dyn Rng,
    len: usize,
) -> &'a [u8] {
    let end = used.saturating_add(len);
    let (start, end) = if end > POOL {
        rng.fill(pool);
        (0, len)
    } else {
        (*used, end)
    };
    *used = end;
    pool.get(start..end).unwrap_or_default()
}

/// What may be sent between `KEXINIT` and `NEWKEYS` (RFC 4253 §7.1): 1 to 4, and what the key
/// exchange itself sends. `SERVICE_REQUEST`, `SERVICE_ACCEPT` and `EXT_INFO` may not.
const fn may_pass_key_exchange(number: u8) -> bool {
    matches!(number, 1..=4)
}

const fn is_channel_data(number: u8) -> bool {
    matches!(number, 94 | 95)
}

/// Whether a message shows that authentication is over.
pub(crate) const fn is_of_connection(number: u8) -> bool {
    matches!(Layer::of(number), Layer::Connection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{collections::BTreeSet, vec};
    use ssh_crypto::rng::SeededRng;

    fn outbound(held_limit: usize) -> Outbound {
        Outbound::new(Box::new(SeededRng::new(3)), held_limit)
    }

    fn taken(outbound: &mut Outbound) -> Vec<u8> {
        let mut out = Vec::new();
        outbound.take(&mut out);
        out
    }

    #[test]
    fn a_packet_has_the_least_padding_and_random_bytes_in_it() {
        let mut outbound = outbound(0);
        let mut paddings = BTreeSet::new();
        for _ in 0..300 {
            assert_eq!(outbound.send_now(&Rest(&[2, 0, 0, 0, 0])), Ok(2));
            let packet = taken(&mut outbound);
            assert_eq!(packet[..10], [0, 0, 0, 12, 6, 2, 0, 0, 0, 0]);
            paddings.insert(packet[10..].to_vec());
        }
        assert_eq!(paddings.len(), 300, "padding repeats");
    }

    #[test]
    fn output_is_swapped_and_bytes_that_were_left_stay_in_front() {
        let mut outbound = outbound(0);
        outbound.line("a");
        let mut spare = Vec::with_capacity(5000);
        outbound.take(&mut spare);
        assert_eq!(spare, b"a\r\n");
        outbound.line("b");
        outbound.take(&mut spare);
        assert_eq!(spare, b"a\r\nb\r\n");
        assert!(outbound.out.capacity() >= 5000, "the capacity of the spare buffer is used");
        assert_eq!((outbound.pending(), outbound.control()), (0, 0));
    }

    #[test]
    fn what_may_not_be_sent_during_an_exchange_waits_and_keeps_its_order() {
        let mut outbound = outbound(1000);
        outbound.hold();
        for number in [94, 5, 2, 192, 7, 1, 100] {
            outbound.send(&Rest(&[number, 9])).unwrap();
        }
        assert!(outbound.is_holding());
        let numbers = |bytes: &[u8]| bytes.chunks(16).map(|packet| packet[5]).collect::<Vec<_>>();
        assert_eq!(numbers(&taken(&mut outbound)), [2, 1]);
        outbound.send_now(&Rest(&[21, 9])).unwrap();
        outbound.release().unwrap();
        assert_eq!(numbers(&taken(&mut outbound)), [21, 94, 5, 192, 7, 100]);
        assert_eq!(outbound.held(), 0);
    }

    #[test]
    fn channel_data_does_not_count_as_control() {
        let mut outbound = outbound(0);
        for number in [94, 95] {
            outbound.send(&Rest(&[number; 100])).unwrap();
        }
        assert_eq!(outbound.control(), 0);
        outbound.send(&Rest(&[93; 9])).unwrap();
        assert_eq!(outbound.control(), 24);
        assert_eq!(outbound.pending(), 2 * 112 + 24);
    }

    #[test]
    fn a_message_of_nothing_uses_no_sequence_number() {
        let mut outbound = outbound(100);
        for payload in [&[][..], &[0, 1]] {
            assert_eq!(outbound.send(&Rest(payload)), Ok(0));
        }
        outbound.hold();
        assert_eq!(outbound.send(&Rest(&[])), Ok(0));
        outbound.release().unwrap();
        assert_eq!((outbound.pending(), outbound.sequence), (0, 0));
    }

    #[test]
    fn a_message_too_long_leaves_the_output_as_it_was() {
        let mut outbound = outbound(0);
        outbound.send(&Rest(&[94])).unwrap();
        let before = outbound.pending();
        assert_eq!(outbound.send(&Rest(&vec![94; 262_144])), Err(Error::MessageTooLong));
        assert_eq!((outbound.pending(), outbound.sequence), (before, 1));
    }
}
