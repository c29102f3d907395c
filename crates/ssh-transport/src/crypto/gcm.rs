//! `aes128-gcm@openssh.com` and `aes256-gcm@openssh.com` (RFC 5647 §7, draft-miller-sshm-aes-gcm).
//!
//! The length is sent in clear and authenticated with the rest. The nonce does not depend on the
//! sequence number: it starts with the derived value and its last eight bytes count packets.

use ssh_crypto::aead::AesGcm;

use super::{BadMac, InvalidKeyMaterial, Open, Seal};
use crate::packet::{LENGTH_LEN, Shape};

const SHAPE: Shape = Shape { block: 16, aligns_length: false, tag: AesGcm::TAG_LEN };

/// One direction of AES-GCM.
pub(crate) struct Gcm {
    key: AesGcm,
    fixed: [u8; 4],
    invocations: u64,
}

impl Gcm {
    /// Begins with the first twelve bytes of `iv` as the nonce.
    pub(crate) fn new(key: &[u8], iv: &[u8; 16]) -> Result<Self, InvalidKeyMaterial> {
        let [f0, f1, f2, f3, c0, c1, c2, c3, c4, c5, c6, c7, ..] = *iv;
        Ok(Self {
            key: AesGcm::new(key).map_err(|_| InvalidKeyMaterial)?,
            fixed: [f0, f1, f2, f3],
            invocations: u64::from_be_bytes([c0, c1, c2, c3, c4, c5, c6, c7]),
        })
    }

    /// The nonce of this packet; the next packet gets the next one.
    fn next_nonce(&mut self) -> [u8; 12] {
        let [f0, f1, f2, f3] = self.fixed;
        let [c0, c1, c2, c3, c4, c5, c6, c7] = self.invocations.to_be_bytes();
        self.invocations = self.invocations.wrapping_add(1);
        [f0, f1, f2, f3, c0, c1, c2, c3, c4, c5, c6, c7]
    }
}

impl Seal for Gcm {
    fn shape(&self) -> Shape {
        SHAPE
    }

    fn seal(&mut self, _sequence: u32, packet: &mut [u8]) {
        let nonce = self.next_nonce();
        let Some((length, rest)) = packet.split_first_chunk_mut::<LENGTH_LEN>() else { return };
        let Some((body, room)) = rest.split_last_chunk_mut::<{ AesGcm::TAG_LEN }>() else { return };
        *room = self.key.seal(&nonce, length, body);
    }
}

impl Open for Gcm {
    fn shape(&self) -> Shape {
        SHAPE
    }

    fn header_len(&self) -> usize {
        LENGTH_LEN
    }

    fn length(&mut self, _sequence: u32, header: &mut [u8]) -> u32 {
        header.first_chunk().copied().map_or(0, u32::from_be_bytes)
    }

    fn open(&mut self, _sequence: u32, packet: &mut [u8]) -> Result<(), BadMac> {
        let nonce = self.next_nonce();
        let (length, rest) = packet.split_first_chunk_mut::<LENGTH_LEN>().ok_or(BadMac)?;
        let (body, tag) = rest.split_last_chunk_mut::<{ AesGcm::TAG_LEN }>().ok_or(BadMac)?;
        self.key.open(&nonce, length, body, tag).map_err(|_| BadMac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_eight_bytes_of_the_nonce_count() {
        let mut iv = [0xff; 16];
        iv[0] = 1;
        let mut gcm = Gcm::new(&[0; 16], &iv).unwrap();
        assert_eq!(gcm.next_nonce()[..], iv[..12]);
        assert_eq!(gcm.next_nonce(), [1, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(gcm.next_nonce()[11], 1);
    }
}
