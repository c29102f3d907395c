//! The binary packet (RFC 4253 §6) and its limits.
//!
//! ```text
//! ┌───────────────┬────────────────┬─────────┬─────────┬─────┐
//! │ packet_length │ padding_length │ payload │ padding │ tag │
//! │    4 bytes    │     1 byte     │  ≥ 1    │ 4..=255 │     │
//! └───────────────┴────────────────┴─────────┴─────────┴─────┘
//!                 ├──────────── packet_length ─────────┤
//! ├── multiple of the block, encrypt-and-MAC ──────────┤
//!                 ├── multiple of the block, all others┤
//! ```

/// The largest packet length that is accepted and sent, in bytes.
///
/// RFC 4253 §6.1 demands 35000 bytes at least; OpenSSH has this limit, and so nobody sends more.
pub const MAX_PACKET_LENGTH: u32 = 256 * 1024;

/// The smallest packet length: the byte for the padding's length, and the least padding
/// (RFC 4253 §6). The payload of at least a byte is checked once it can be told from padding.
pub const MIN_PACKET_LENGTH: u32 = 5;

/// The least padding, in bytes (RFC 4253 §6).
pub(crate) const MIN_PADDING: usize = 4;

/// Bytes of the length field.
pub(crate) const LENGTH_LEN: usize = 4;

/// Bytes before the payload: the packet's length and the padding's.
pub(crate) const HEADER_LEN: usize = 5;

/// The longest tag of any protection, in bytes: HMAC with SHA-512.
pub(crate) const MAX_TAG_LEN: usize = 64;

/// A packet number under one key must not repeat: sequence numbers have 32 bits (RFC 4344 §3.1).
pub(crate) const MAX_PACKETS_PER_KEY: u64 = 1 << 32;

/// What a protection demands of a packet's measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// What has to be a multiple of this has to be: 8 or 16, always a power of two.
    pub(crate) block: usize,
    /// Whether the length field counts among the bytes to be aligned: it does when it is encrypted
    /// together with the rest.
    pub(crate) aligns_length: bool,
    /// Bytes of the tag.
    pub(crate) tag: usize,
}

impl Shape {
    /// The padding for a payload: the least that is allowed.
    pub(crate) const fn padding(self, payload: usize) -> usize {
        let mask = self.block.saturating_sub(1);
        let head =
            if self.aligns_length { HEADER_LEN } else { HEADER_LEN.wrapping_sub(LENGTH_LEN) };
        let over = payload.wrapping_add(head) & mask;
        let padding = self.block.wrapping_sub(over);
        if padding < MIN_PADDING { padding.wrapping_add(self.block) } else { padding }
    }

    /// Whether a packet may have this length.
    pub(crate) fn allows(self, packet_length: u32) -> bool {
        let counted =
            if self.aligns_length { packet_length.wrapping_add(4) } else { packet_length };
        let mask = u32::try_from(self.block.saturating_sub(1)).unwrap_or(u32::MAX);
        (MIN_PACKET_LENGTH..=MAX_PACKET_LENGTH).contains(&packet_length) && counted & mask == 0
    }
}

/// How much a key has been used, for rekeying (RFC 4253 §9) and against repeated numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Packets under the key.
    pub(crate) packets: u64,
    /// Their bytes on the wire.
    pub(crate) bytes: u64,
}

impl Usage {
    /// Counts a packet.
    pub(crate) fn count(&mut self, bytes: usize) {
        self.packets = self.packets.saturating_add(1);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Whether one more packet would repeat a sequence number under the key.
    pub(crate) const fn is_exhausted(self) -> bool {
        self.packets >= MAX_PACKETS_PER_KEY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_allowed_packet_is_that_of_openssh() {
        let shape = Shape { block: 8, aligns_length: false, tag: 16 };
        assert!(shape.allows(262_144) && !shape.allows(262_152));
        assert!(shape.allows(8) && !shape.allows(0) && !shape.allows(!7));
        let shape = Shape { aligns_length: true, ..shape };
        assert!(shape.allows(12) && shape.allows(262_140) && !shape.allows(262_144));
        assert!(!shape.allows(4) && !shape.allows(u32::MAX - 3));
    }

    #[test]
    fn packets_of_35000_bytes_are_accepted_as_rfc_4253_demands() {
        let shape = Shape { block: 8, aligns_length: true, tag: 0 };
        assert!(shape.allows(35_004));
    }

    proptest! {
        #[test]
        fn padding_is_the_least_that_aligns(
            payload in 1_usize..40_000, big in any::<bool>(), aligns_length in any::<bool>()
        ) {
            let shape = Shape { block: if big { 16 } else { 8 }, aligns_length, tag: 0 };
            let padding = shape.padding(payload);
            prop_assert!((4..4 + shape.block).contains(&padding));
            prop_assert!(shape.allows(u32::try_from(1 + payload + padding).unwrap()));
        }
    }
}
