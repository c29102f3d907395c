//! Diffie-Hellman in a prime field (RFC 4253 §8, RFC 8268), with a fixed group or one that was
//! exchanged (RFC 4419).
//!
//! The public values are `mpint`s. On the wire and in the exchange hash that is a string like
//! those of the other methods, as long as the number stands in its only shortest form; so other
//! forms are refused.

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{
    agree::{Dh, DhGroup},
    rng::Rng,
};
use ssh_wire::{Encode, MpInt};

use super::method::{BadShare, ClientShare, SharedSecret};

/// The private half of either side.
pub(crate) struct FiniteField(pub(crate) Dh);

impl FiniteField {
    pub(crate) fn generate(group: DhGroup, rng: &mut dyn Rng) -> Self {
        Self(Dh::generate(group, rng))
    }
}

impl ClientShare for FiniteField {
    fn public(&self) -> Vec<u8> {
        let mut public = Vec::new();
        MpInt::from_bytes(self.0.public()).encode(&mut public);
        // Without the length, which the message writes.
        public.drain(..4.min(public.len()));
        public
    }

    fn agree(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, BadShare> {
        let secret = self.0.agree(positive(theirs)?).map_err(|_| BadShare)?;
        Ok(SharedSecret::mpint(secret.expose()))
    }
}

/// The bytes of a positive `mpint` (RFC 4251 §5) if they are as few as possible.
fn positive(bytes: &[u8]) -> Result<&[u8], BadShare> {
    match bytes {
        [0, rest @ ..] if rest.first().is_some_and(|first| *first >= 0x80) => Ok(rest),
        [first, ..] if (1..0x80).contains(first) => Ok(bytes),
        _ => Err(BadShare),
    }
}
