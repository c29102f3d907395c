//! `ecdh-sha2-nistp256`, `-nistp384` and `-nistp521` (RFC 5656 §4): the X coordinate of the shared
//! point, as an `mpint`.
//!
//! Points that are compressed, at infinity or not on the curve are refused.

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{
    agree::{P256, P384, P521},
    rng::Rng,
};

use super::method::{BadShare, ClientShare, Method, SharedSecret};

macro_rules! curve {
    ($type:ident, $generate:expr) => {
        impl ClientShare for $type {
            fn public(&self) -> Vec<u8> {
                Self::public(self).to_vec()
            }

            fn agree(self: Box<Self>, theirs: &[u8]) -> Result<SharedSecret, BadShare> {
                let secret = Self::agree(*self, theirs).map_err(|_| BadShare)?;
                Ok(SharedSecret::mpint(secret.expose()))
            }
        }

        impl Method for $type {
            fn generate(rng: &mut dyn Rng) -> Result<Self, BadShare> {
                $generate(rng)
            }
        }
    };
}

curve!(P256, |rng| Ok(P256::generate(rng)));
// They fail only if the source of randomness is stuck.
curve!(P384, |rng| P384::generate(rng).map_err(|_| BadShare));
curve!(P521, |rng| P521::generate(rng).map_err(|_| BadShare));
