//! Protecting packets (RFC 4253 §6.3, §6.4): one call seals or opens a packet where it lies.
//!
//! | file | protection | what authenticates |
//! |---|---|---|
//! | [`chachapoly`] | `chacha20-poly1305@openssh.com` | itself |
//! | [`gcm`] | `aes128-gcm@openssh.com`, `aes256-gcm@openssh.com` | itself |
//! | [`ctr`] | `aes128-ctr`, `aes192-ctr`, `aes256-ctr` | [`mac`], over plaintext or ciphertext |
//! | [`cbc`] | `aes128-cbc` and others, `legacy` only | the same |
//! | [`null`] | none, before the first `NEWKEYS` | nothing |

pub(crate) mod cbc;
pub(crate) mod chachapoly;
pub(crate) mod ctr;
pub(crate) mod gcm;
pub(crate) mod mac;
pub(crate) mod null;

use alloc::boxed::Box;

use ssh_crypto::Secret;

use crate::{
    algorithm::{CipherAlgorithm, MacAlgorithm},
    kex::negotiate::Protection,
    packet::Shape,
};

/// A packet whose tag does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadMac;

/// The sending half of a protection, with its key and counters.
pub(crate) trait Seal: Send {
    /// The measures of its packets.
    fn shape(&self) -> Shape;

    /// Encrypts and authenticates `packet`: length, body, and [`Shape::tag`] bytes of room for
    /// the tag. `sequence` is the packet's number, never used twice with one key.
    fn seal(&mut self, sequence: u32, packet: &mut [u8]);
}

/// The receiving half of a protection, with its key and counters.
pub(crate) trait Open: Send {
    /// The measures of its packets.
    fn shape(&self) -> Shape;

    /// Bytes that have to be there before the packet's length can be told.
    fn header_len(&self) -> usize;

    /// The packet's length, from its first [`header_len`](Self::header_len) bytes. It may decrypt
    /// them where they lie, and is called once for each packet. The length is not authentic yet.
    fn length(&mut self, sequence: u32, header: &mut [u8]) -> u32;

    /// Verifies `packet` (length, body, tag), then decrypts its body where it lies.
    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), BadMac>;
}

/// Key material of one direction (RFC 4253 §7.2).
pub(crate) struct KeyMaterial {
    /// The first 16 bytes of letter A or B.
    pub(crate) iv: Secret<[u8; 16]>,
    /// The first 64 bytes of letter C or D.
    pub(crate) key: Secret<[u8; 64]>,
    /// The first 64 bytes of letter E or F.
    pub(crate) mac: Secret<[u8; 64]>,
}

impl KeyMaterial {
    fn key(&self, len: usize) -> &[u8] {
        self.key.expose().get(..len).unwrap_or_default()
    }

    fn mac_key(&self, mac: MacAlgorithm) -> &[u8] {
        self.mac.expose().get(..mac.key_len()).unwrap_or_default()
    }
}

/// A protection that cannot be built; the key lengths in [`CipherAlgorithm`] would be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidKeyMaterial;

/// Makes the sending half.
pub(crate) fn sealing_key(
    protection: Protection,
    material: &KeyMaterial,
) -> Result<Box<dyn Seal>, InvalidKeyMaterial> {
    let cipher = protection.cipher();
    let key = material.key(cipher.key_len());
    Ok(match (cipher, protection.mac()) {
        (CipherAlgorithm::Aes128Gcm | CipherAlgorithm::Aes256Gcm, _) => {
            Box::new(gcm::Gcm::new(key, material.iv.expose())?)
        }
        (CipherAlgorithm::ChaCha20Poly1305, _) => {
            Box::new(chachapoly::ChaChaPoly::new(material.key.expose()))
        }
        (_, Some(mac)) => {
            let (iv, mac) =
                (material.iv.expose(), mac::PacketMac::new(mac, material.mac_key(mac))?);
            match cipher.cbc() {
                Some(cipher) => Box::new(cbc::Sealing::new(cipher, key, iv, mac)?),
                None => Box::new(ctr::Ctr::new(key, iv, mac)?),
            }
        }
        (_, None) => return Err(InvalidKeyMaterial),
    })
}

/// Makes the receiving half.
pub(crate) fn opening_key(
    protection: Protection,
    material: &KeyMaterial,
) -> Result<Box<dyn Open>, InvalidKeyMaterial> {
    let cipher = protection.cipher();
    let key = material.key(cipher.key_len());
    Ok(match (cipher, protection.mac()) {
        (CipherAlgorithm::Aes128Gcm | CipherAlgorithm::Aes256Gcm, _) => {
            Box::new(gcm::Gcm::new(key, material.iv.expose())?)
        }
        (CipherAlgorithm::ChaCha20Poly1305, _) => {
            Box::new(chachapoly::ChaChaPoly::new(material.key.expose()))
        }
        (_, Some(mac)) => {
            let (iv, mac) =
                (material.iv.expose(), mac::PacketMac::new(mac, material.mac_key(mac))?);
            match cipher.cbc() {
                Some(cipher) => Box::new(cbc::Opening::new(cipher, key, iv, mac)?),
                None => Box::new(ctr::Ctr::new(key, iv, mac)?),
            }
        }
        (_, None) => return Err(InvalidKeyMaterial),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    use crate::packet::LENGTH_LEN;

    fn material(byte: u8) -> KeyMaterial {
        KeyMaterial {
            iv: Secret::new([byte; 16]),
            key: Secret::new([byte; 64]),
            mac: Secret::new([byte; 64]),
        }
    }

    fn all() -> impl Iterator<Item = Protection> {
        let ciphers = CipherAlgorithm::ALL.iter();
        ciphers.flat_map(|c| MacAlgorithm::ALL.iter().map(|m| Protection::of(*c, *m)))
    }

    /// A packet of `blocks` blocks with room for the tag.
    fn packet(shape: Shape, blocks: usize) -> Vec<u8> {
        let length = blocks * shape.block + if shape.aligns_length { 16 - LENGTH_LEN } else { 0 };
        let mut packet = u32::try_from(length).unwrap().to_be_bytes().to_vec();
        packet.extend((0..length).map(|i| u8::try_from(i % 256).unwrap()));
        packet.resize(packet.len() + shape.tag, 0);
        packet
    }

    fn open(key: &mut dyn Open, sequence: u32, packet: &mut [u8]) -> Result<u32, BadMac> {
        let length = key.length(sequence, &mut packet[..key.header_len()]);
        key.open(sequence, packet)?;
        Ok(length)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn packets_open_in_order_to_what_was_sealed(
            sizes in proptest::collection::vec(1_usize..40, 1..5), first in any::<u32>()
        ) {
            for protection in all() {
                let mut sealing = sealing_key(protection, &material(1)).unwrap();
                let mut opening = opening_key(protection, &material(1)).unwrap();
                let mut sequence = first;
                for blocks in &sizes {
                    let plain = packet(sealing.shape(), *blocks);
                    let mut sealed = plain.clone();
                    sealing.seal(sequence, &mut sealed);
                    prop_assert!(sealed != plain);
                    let length = open(&mut *opening, sequence, &mut sealed).unwrap();
                    prop_assert_eq!(&length.to_be_bytes(), &plain[..4]);
                    let end = plain.len() - sealing.shape().tag;
                    prop_assert_eq!(&sealed[4..end], &plain[4..end]);
                    sequence = sequence.wrapping_add(1);
                }
            }
        }
    }

    #[test]
    fn a_packet_opens_only_in_its_place_with_its_key() {
        for protection in all() {
            let mut sealing = sealing_key(protection, &material(1)).unwrap();
            let sealed: Vec<_> = (0..2)
                .map(|sequence| {
                    let mut sealed = packet(sealing.shape(), 3);
                    sealing.seal(sequence, &mut sealed);
                    sealed
                })
                .collect();
            // The second first: GCM and CTR count for themselves, the others by the number.
            let mut opening = opening_key(protection, &material(1)).unwrap();
            assert_eq!(open(&mut *opening, 0, &mut sealed[1].clone()), Err(BadMac));
            let mut opening = opening_key(protection, &material(2)).unwrap();
            assert_eq!(open(&mut *opening, 0, &mut sealed[0].clone()), Err(BadMac));
            // The same twice.
            let mut opening = opening_key(protection, &material(1)).unwrap();
            assert!(open(&mut *opening, 0, &mut sealed[0].clone()).is_ok());
            assert_eq!(open(&mut *opening, 1, &mut sealed[0].clone()), Err(BadMac));
        }
    }

    #[test]
    fn packets_shorter_than_their_tag_are_refused() {
        for protection in all() {
            for len in 0..100 {
                let mut opening = opening_key(protection, &material(1)).unwrap();
                assert_eq!(opening.open(0, &mut vec![0; len]), Err(BadMac), "{protection} {len}");
            }
        }
    }
}
