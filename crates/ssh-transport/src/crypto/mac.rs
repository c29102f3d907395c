//! MACs over packets (RFC 4253 §6.4, RFC 6668, RFC 4418, OpenSSH PROTOCOL §1.5).
//!
//! An HMAC is over the sequence number and the packet; for UMAC the number is the nonce. The packet
//! is taken in clear, or with `-etm` as it is sent.

use ssh_crypto::{
    constant_time_eq,
    mac::{Hmac, Umac},
};

use super::{BadMac, InvalidKeyMaterial};
use crate::{
    algorithm::{MacAlgorithm, MacFunction},
    packet::MAX_TAG_LEN,
};

/// A MAC key, and what it is applied to.
pub(crate) struct PacketMac {
    key: Key,
    pub(crate) encrypt_then_mac: bool,
}

enum Key {
    /// The key, and how many bytes of the tag are sent.
    Hmac(Hmac, usize),
    Umac(Umac),
}

impl PacketMac {
    pub(crate) fn new(algorithm: MacAlgorithm, key: &[u8]) -> Result<Self, InvalidKeyMaterial> {
        let key = match algorithm.function() {
            MacFunction::Hmac(hmac, len) => Key::Hmac(Hmac::new(hmac, key), len),
            MacFunction::Umac(tag) => {
                Key::Umac(Umac::new(tag, key.try_into().map_err(|_| InvalidKeyMaterial)?))
            }
        };
        Ok(Self { key, encrypt_then_mac: algorithm.is_encrypt_then_mac() })
    }

    pub(crate) const fn tag_len(&self) -> usize {
        match &self.key {
            Key::Hmac(_, len) => *len,
            Key::Umac(umac) => umac.tag_len(),
        }
    }

    /// Writes the tag over packet number `sequence`.
    pub(crate) fn sign(&self, sequence: u32, packet: &[u8], tag: &mut [u8]) {
        match &self.key {
            // What is too short for it takes the front of the tag.
            Key::Hmac(hmac, _) => hmac.sign(&[&sequence.to_be_bytes(), packet], tag),
            Key::Umac(umac) => umac.sign(sequence.into(), packet, tag),
        }
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, sequence: u32, packet: &[u8], tag: &[u8]) -> Result<(), BadMac> {
        let mut computed = [0; MAX_TAG_LEN];
        let computed = computed.get_mut(..self.tag_len()).ok_or(BadMac)?;
        self.sign(sequence, packet, computed);
        if constant_time_eq(computed, tag) { Ok(()) } else { Err(BadMac) }
    }
}
