//! Stream ciphers: AES in counter mode (RFC 4344 §4) and `ChaCha20` as the cipher
//! `chacha20-poly1305@openssh.com` uses it.

use core::fmt;

use aes::{Aes128, Aes192, Aes256};
use chacha20::ChaCha20LegacyCore;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher, StreamCipherCore};

use crate::{InvalidLength, Secret};

/// The sizes of AES keys.
const AES_KEY_LENGTHS: &[usize] = &[16, 24, 32];

/// AES in counter mode: a key, and a counter that continues from call to call.
///
/// The counter is a 128-bit big-endian number that starts at the initial vector
/// and wraps around (RFC 4344 §4).
pub struct AesCtr(State);

enum State {
    Aes128(Ctr128BE<Aes128>),
    Aes192(Ctr128BE<Aes192>),
    Aes256(Ctr128BE<Aes256>),
}

impl AesCtr {
    /// Expands a key of 16, 24 or 32 bytes; the stream starts at `iv`.
    ///
    /// # Errors
    /// [`InvalidLength`] for a key of any other length.
    pub fn new(key: &[u8], iv: &[u8; 16]) -> Result<Self, InvalidLength> {
        let iv = iv.as_slice();
        let state = match key.len() {
            16 => Ctr128BE::new_from_slices(key, iv).map(State::Aes128),
            24 => Ctr128BE::new_from_slices(key, iv).map(State::Aes192),
            _ => Ctr128BE::new_from_slices(key, iv).map(State::Aes256),
        };
        state.map(Self).map_err(|_| InvalidLength {
            what: "an AES key",
            expected: AES_KEY_LENGTHS,
            actual: key.len(),
        })
    }

    /// Encrypts or decrypts `buf` in place with the next bytes of the key stream.
    pub fn apply(&mut self, buf: &mut [u8]) {
        // The library's only failure is the end of the key stream, after 2^128 blocks.
        match &mut self.0 {
            State::Aes128(stream) => stream.apply_keystream(buf),
            State::Aes192(stream) => stream.apply_keystream(buf),
            State::Aes256(stream) => stream.apply_keystream(buf),
        }
    }
}

impl fmt::Debug for AesCtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Aes128(_) => "AesCtr(128)",
            State::Aes192(_) => "AesCtr(192)",
            State::Aes256(_) => "AesCtr(256)",
        })
    }
}

/// A `ChaCha20` key, for the original cipher with a 64-bit nonce and a 64-bit
/// block counter (not the 96/32 split of RFC 8439).
#[derive(Clone)]
pub struct ChaCha20Key(Secret<[u8; 32]>);

impl ChaCha20Key {
    /// Takes the key over.
    #[must_use]
    pub const fn new(key: &[u8; 32]) -> Self {
        Self(Secret::new(*key))
    }

    /// Encrypts or decrypts `buf` in place with the key stream of `nonce`, from
    /// the 64-byte block `counter` on.
    ///
    /// `nonce` is the packet's sequence number; on the wire of the cipher it
    /// stands as eight bytes, big-endian.
    pub fn apply(&self, nonce: u64, counter: u64, buf: &mut [u8]) {
        let mut core = ChaCha20LegacyCore::new(self.0.expose().into(), &nonce.to_be_bytes().into());
        core.set_block_pos(counter);
        core.apply_keystream_partial(buf.into());
    }
}

impl fmt::Debug for ChaCha20Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChaCha20Key(..)")
    }
}
