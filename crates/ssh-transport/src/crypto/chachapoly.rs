//! `chacha20-poly1305@openssh.com` (draft-ietf-sshm-chacha20-poly1305).
//!
//! The length is encrypted with a key of its own, so that it can be told before the rest is there.

use ssh_crypto::chachapoly;

use super::{BadMac, Open, Seal};
use crate::packet::{LENGTH_LEN, Shape};

const TAG_LEN: usize = chachapoly::ChaChaPoly::TAG_LEN;
const SHAPE: Shape = Shape { block: 8, aligns_length: false, tag: TAG_LEN };

/// One direction of the cipher.
pub(crate) struct ChaChaPoly(chachapoly::ChaChaPoly);

impl ChaChaPoly {
    pub(crate) fn new(key: &[u8; 64]) -> Self {
        Self(chachapoly::ChaChaPoly::new(key))
    }
}

impl Seal for ChaChaPoly {
    fn shape(&self) -> Shape {
        SHAPE
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let Some((packet, room)) = packet.split_last_chunk_mut::<TAG_LEN>() else { return };
        *room = self.0.seal(sequence, packet);
    }
}

impl Open for ChaChaPoly {
    fn shape(&self) -> Shape {
        SHAPE
    }

    fn header_len(&self) -> usize {
        LENGTH_LEN
    }

    fn length(&mut self, sequence: u32, header: &mut [u8]) -> u32 {
        // The ciphertext stays: the tag is over it.
        self.0.length(sequence, header.first_chunk().copied().unwrap_or([0; LENGTH_LEN]))
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), BadMac> {
        let (packet, tag) = packet.split_last_chunk_mut::<TAG_LEN>().ok_or(BadMac)?;
        self.0.open(sequence, packet, tag).map_err(|_| BadMac)
    }
}
