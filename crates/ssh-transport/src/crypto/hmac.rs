//! HMAC over packets (RFC 4253 §6.4, RFC 6668, OpenSSH PROTOCOL §1.5).
//!
//! The MAC is over the sequence number and the packet: in clear, or with `-etm` as it is sent.

use ssh_crypto::mac::Hmac;

use super::BadMac;
use crate::algorithm::MacAlgorithm;

/// A MAC key, and what it is applied to.
pub(crate) struct PacketMac {
    hmac: Hmac,
    pub(crate) encrypt_then_mac: bool,
}

impl PacketMac {
    pub(crate) fn new(algorithm: MacAlgorithm, key: &[u8]) -> Self {
        Self {
            hmac: Hmac::new(algorithm.hmac(), key),
            encrypt_then_mac: algorithm.is_encrypt_then_mac(),
        }
    }

    pub(crate) const fn tag_len(&self) -> usize {
        self.hmac.tag_len()
    }

    /// Writes the tag over packet number `sequence`.
    pub(crate) fn sign(&self, sequence: u32, packet: &[u8], tag: &mut [u8]) {
        self.hmac.sign(&[&sequence.to_be_bytes(), packet], tag);
    }

    /// Compares in constant time.
    pub(crate) fn verify(&self, sequence: u32, packet: &[u8], tag: &[u8]) -> Result<(), BadMac> {
        self.hmac.verify(&[&sequence.to_be_bytes(), packet], tag).map_err(|_| BadMac)
    }
}
