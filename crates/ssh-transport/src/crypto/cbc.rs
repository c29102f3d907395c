//! Block ciphers in CBC mode with a MAC (RFC 4253 §6.3), in both orders: for old peers that have
//! nothing else.
//!
//! The vector of a packet is the last block of the one before. Without an `-etm` MAC the length is
//! in the first block, and who may inject packets learns plaintext from when a peer gives up on it
//! (CVE-2008-5161). So a length that cannot be is treated as the longest there is: the packet is
//! read to its end, and only then found to be forged.

use ssh_crypto::cbc::{CbcCipher, CbcDecryptor, CbcEncryptor};

use super::{BadMac, InvalidKeyMaterial, Open, Seal, mac::PacketMac};
use crate::packet::{LENGTH_LEN, MAX_PACKET_LENGTH, Shape};

/// What both directions know.
struct Frame {
    cipher: CbcCipher,
    mac: PacketMac,
}

impl Frame {
    const fn shape(&self) -> Shape {
        Shape {
            block: self.cipher.block_len(),
            aligns_length: !self.mac.encrypt_then_mac,
            tag: self.mac.tag_len(),
        }
    }
}

/// The sending half.
pub(crate) struct Sealing {
    frame: Frame,
    chain: CbcEncryptor,
}

/// The receiving half.
pub(crate) struct Opening {
    frame: Frame,
    chain: CbcDecryptor,
    /// Whether the length of the packet that comes cannot be right.
    impossible: bool,
}

/// The front of the vector's 16 bytes, as long as a block.
fn vector(cipher: CbcCipher, iv: &[u8; 16]) -> &[u8] {
    iv.get(..cipher.block_len()).unwrap_or(iv)
}

impl Sealing {
    pub(crate) fn new(
        cipher: CbcCipher,
        key: &[u8],
        iv: &[u8; 16],
        mac: PacketMac,
    ) -> Result<Self, InvalidKeyMaterial> {
        let chain = CbcEncryptor::new(cipher, key, vector(cipher, iv));
        Ok(Self { frame: Frame { cipher, mac }, chain: chain.map_err(|_| InvalidKeyMaterial)? })
    }
}

impl Opening {
    pub(crate) fn new(
        cipher: CbcCipher,
        key: &[u8],
        iv: &[u8; 16],
        mac: PacketMac,
    ) -> Result<Self, InvalidKeyMaterial> {
        let chain = CbcDecryptor::new(cipher, key, vector(cipher, iv));
        Ok(Self {
            frame: Frame { cipher, mac },
            chain: chain.map_err(|_| InvalidKeyMaterial)?,
            impossible: false,
        })
    }
}

impl Seal for Sealing {
    fn shape(&self) -> Shape {
        self.frame.shape()
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let mac = &self.frame.mac;
        let at = packet.len().saturating_sub(mac.tag_len());
        let Some((packet, tag)) = packet.split_at_mut_checked(at) else { return };
        // Whole blocks, since the shape has been kept.
        if mac.encrypt_then_mac {
            if let Some((_, body)) = packet.split_first_chunk_mut::<LENGTH_LEN>() {
                let _whole = self.chain.encrypt(body);
            }
            mac.sign(sequence, packet, tag);
        } else {
            mac.sign(sequence, packet, tag);
            let _whole = self.chain.encrypt(packet);
        }
    }
}

impl Open for Opening {
    fn shape(&self) -> Shape {
        self.frame.shape()
    }

    fn header_len(&self) -> usize {
        if self.frame.mac.encrypt_then_mac { LENGTH_LEN } else { self.frame.cipher.block_len() }
    }

    fn length(&mut self, _sequence: u32, header: &mut [u8]) -> u32 {
        let clear = self.frame.mac.encrypt_then_mac;
        if !clear {
            let _whole = self.chain.decrypt(header);
        }
        let length = header.first_chunk().copied().map_or(0, u32::from_be_bytes);
        if clear || self.frame.shape().allows(length) {
            return length;
        }
        self.impossible = true;
        MAX_PACKET_LENGTH.saturating_sub(4)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), BadMac> {
        let mac = &self.frame.mac;
        let at = packet.len().checked_sub(mac.tag_len()).ok_or(BadMac)?;
        let (packet, tag) = packet.split_at_mut_checked(at).ok_or(BadMac)?;
        if mac.encrypt_then_mac {
            mac.verify(sequence, packet, tag)?;
            let (_, body) = packet.split_first_chunk_mut::<LENGTH_LEN>().ok_or(BadMac)?;
            return self.chain.decrypt(body).map_err(|_| BadMac);
        }
        // `length` has decrypted the first block already.
        let rest = packet.get_mut(self.frame.cipher.block_len()..).unwrap_or_default();
        let whole = self.chain.decrypt(rest);
        let verdict = mac.verify(sequence, packet, tag);
        if self.impossible || whole.is_err() { Err(BadMac) } else { verdict }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::algorithm::MacAlgorithm;

    #[test]
    fn a_length_that_cannot_be_is_found_forged_only_at_the_end_of_the_longest_packet() {
        for cipher in [CbcCipher::Aes128, CbcCipher::TripleDes] {
            let key = &[1; 32][..cipher.key_len()];
            let mac = || PacketMac::new(MacAlgorithm::HmacSha256, &[2; 32]).unwrap();
            let mut opening = Opening::new(cipher, key, &[3; 16], mac()).unwrap();
            // Of some block that nobody encrypted, the length is wrong nearly always.
            let mut packet = vec![0x5a; 262_144 + 32];
            let header = opening.header_len();
            let length = opening.length(0, &mut packet[..header]);
            assert_eq!(length, 262_140);
            assert!(opening.shape().allows(length));
            assert_eq!(opening.open(0, &mut packet), Err(BadMac));
        }
    }
}
