//! Protecting packets (RFC 4253 §6.3, §6.4): one call seals or opens a packet where it lies.
//!
//! | file | protection | what authenticates |
//! |---|---|---|
//! | [`chachapoly`] | `chacha20-poly1305@openssh.com` | itself |
//! | [`gcm`] | `aes128-gcm@openssh.com`, `aes256-gcm@openssh.com` | itself |
//! | [`ctr`] | `aes128-ctr`, `aes192-ctr`, `aes256-ctr` | [`hmac`], over plaintext or ciphertext |
//! | [`null`] | none, before the first `NEWKEYS` | nothing |

pub(crate) mod chachapoly;
pub(crate) mod ctr;
pub(crate) mod gcm;
pub(crate) mod hmac;
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
            let mac_key = material.mac_key(mac);
            Box::new(ctr::Ctr::new(key, material.iv.expose(), hmac::PacketMac::new(mac, mac_key))?)
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
            let mac_key = material.mac_key(mac);
            Box::new(ctr::Ctr::new(key, material.iv.expose(), hmac::PacketMac::new(mac, mac_key))?)
        }
        (_, None) => return Err(InvalidKeyMaterial),
    })
}
