//! `curve25519-sha256` and `curve25519-sha256@libssh.org` (RFC 8731): the same under two names.
//!
//! The 32 bytes of the shared secret are read as a big-endian number and hashed as an `mpint`.

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{agree::X25519, rng::Rng};

use super::method::{BadShare, ClientShare, Method, SharedSecret};

impl ClientShare for X25519 {
    fn public(&self) -> Vec<u8> {
        Self::public(self).to_vec()
    }

    /// Lengths other than 32 and secrets of zeros are refused (RFC 8731 §3).
    fn agree(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, BadShare> {
        let theirs = theirs.try_into().map_err(|_| BadShare)?;
        let secret = Self::agree(*self, theirs).map_err(|_| BadShare)?;
        Ok(SharedSecret::mpint(secret.expose()))
    }
}

impl Method for X25519 {
    fn generate(rng: &mut dyn Rng) -> Result<Self, BadShare> {
        Ok(Self::generate(rng))
    }
}
