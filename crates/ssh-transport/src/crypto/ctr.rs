//! AES in counter mode (RFC 4344 §4) with a MAC, in both orders.
//!
//! With an `-etm` MAC the length is in clear and the tag is over the ciphertext. Without, the
//! length is encrypted with the rest and the tag is over the plaintext: the first block has to be
//! decrypted before it is known how much to read, and its bytes are not authentic until the end.

use ssh_crypto::stream::AesCtr;

use super::{BadMac, InvalidKeyMaterial, Open, Seal, mac::PacketMac};
use crate::packet::{LENGTH_LEN, Shape};

const BLOCK: usize = 16;

/// One direction of AES-CTR with its MAC.
pub(crate) struct Ctr {
    stream: AesCtr,
    mac: PacketMac,
}

impl Ctr {
    pub(crate) fn new(
        key: &[u8],
        iv: &[u8; 16],
        mac: PacketMac,
    ) -> Result<Self, InvalidKeyMaterial> {
        let stream = AesCtr::new(key, iv).map_err(|_| InvalidKeyMaterial)?;
        Ok(Self { stream, mac })
    }

    const fn measures(&self) -> Shape {
        Shape { block: BLOCK, aligns_length: !self.mac.encrypt_then_mac, tag: self.mac.tag_len() }
    }
}

impl Seal for Ctr {
    fn shape(&self) -> Shape {
        self.measures()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let at = packet.len().saturating_sub(self.mac.tag_len());
        let Some((packet, tag)) = packet.split_at_mut_checked(at) else { return };
        if self.mac.encrypt_then_mac {
            if let Some((_, body)) = packet.split_first_chunk_mut::<LENGTH_LEN>() {
                self.stream.apply(body);
            }
            self.mac.sign(sequence, packet, tag);
        } else {
            self.mac.sign(sequence, packet, tag);
            self.stream.apply(packet);
        }
    }
}

impl Open for Ctr {
    fn shape(&self) -> Shape {
        self.measures()
    }

    fn header_len(&self) -> usize {
        if self.mac.encrypt_then_mac { LENGTH_LEN } else { BLOCK }
    }

    fn length(&mut self, _sequence: u32, header: &mut [u8]) -> u32 {
        if !self.mac.encrypt_then_mac {
            self.stream.apply(header);
        }
        header.first_chunk().copied().map_or(0, u32::from_be_bytes)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), BadMac> {
        let at = packet.len().checked_sub(self.mac.tag_len()).ok_or(BadMac)?;
        let (packet, tag) = packet.split_at_mut_checked(at).ok_or(BadMac)?;
        if self.mac.encrypt_then_mac {
            self.mac.verify(sequence, packet, tag)?;
            let (_, body) = packet.split_first_chunk_mut::<LENGTH_LEN>().ok_or(BadMac)?;
            self.stream.apply(body);
            Ok(())
        } else {
            // `length` has decrypted the first block already.
            self.stream.apply(packet.get_mut(BLOCK..).unwrap_or_default());
            self.mac.verify(sequence, packet, tag)
        }
    }
}
