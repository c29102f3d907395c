//! `chacha20-poly1305@openssh.com` (draft-ietf-sshm-chacha20-poly1305).
//!
//! Two keys: the first half of the key material encrypts the body and makes the Poly1305 key, the
//! second half encrypts the length. The nonce is the packet's sequence number. Poly1305 runs over
//! the plain concatenation of both ciphertexts, without the padding of RFC 8439.

use ssh_crypto::{Secret, constant_time_eq, poly1305::poly1305, stream::ChaCha20Key};

use super::{BadMac, Open, Seal};
use crate::packet::{LENGTH_LEN, Shape};

const TAG_LEN: usize = 16;
const SHAPE: Shape = Shape { block: 8, aligns_length: false, tag: TAG_LEN };

/// One direction of the cipher.
pub(crate) struct ChaChaPoly {
    main: ChaCha20Key,
    header: ChaCha20Key,
}

impl ChaChaPoly {
    pub(crate) fn new(key: &[u8; 64]) -> Self {
        let (main, header) = key.split_at(32);
        let half = |bytes: &[u8]| {
            ChaCha20Key::new(
                Secret::new(bytes.first_chunk::<32>().copied().unwrap_or_default()).expose(),
            )
        };
        Self { main: half(main), header: half(header) }
    }

    /// The tag over an encrypted packet without its tag; the key is used for this packet alone.
    fn tag(&self, sequence: u32, sealed: &[u8]) -> [u8; TAG_LEN] {
        let mut key = Secret::new([0; 32]);
        self.main.apply(sequence.into(), 0, key.expose_mut());
        poly1305(key.expose(), &[sealed])
    }
}

impl Seal for ChaChaPoly {
    fn shape(&self) -> Shape {
        SHAPE
    }

    fn seal(&mut self, sequence: u32, packet: &mut [u8]) {
        let Some((sealed, room)) = packet.split_last_chunk_mut::<TAG_LEN>() else { return };
        let Some((length, body)) = sealed.split_first_chunk_mut::<LENGTH_LEN>() else { return };
        self.header.apply(sequence.into(), 0, length);
        self.main.apply(sequence.into(), 1, body);
        *room = self.tag(sequence, sealed);
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
        let mut length = header.first_chunk().copied().unwrap_or([0; LENGTH_LEN]);
        self.header.apply(sequence.into(), 0, &mut length);
        u32::from_be_bytes(length)
    }

    fn open(&mut self, sequence: u32, packet: &mut [u8]) -> Result<(), BadMac> {
        let (sealed, tag) = packet.split_last_chunk_mut::<TAG_LEN>().ok_or(BadMac)?;
        if !constant_time_eq(&self.tag(sequence, sealed), tag) {
            return Err(BadMac);
        }
        let (_, body) = sealed.split_first_chunk_mut::<LENGTH_LEN>().ok_or(BadMac)?;
        self.main.apply(sequence.into(), 1, body);
        Ok(())
    }
}
