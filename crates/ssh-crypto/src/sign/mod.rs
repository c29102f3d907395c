//! Signatures: Ed25519 (RFC 8709), ECDSA on P-256 (RFC 5656 §3) and RSA (RFC 8332).
//!
//! Keys and signatures are numbers and byte strings here; how SSH writes them is
//! the business of the crate above.

mod ecdsa;
mod ed25519;
mod rsa;

pub use ecdsa::{EcdsaP256Key, ecdsa_p256_point_is_valid, ecdsa_p256_verify};
pub use ed25519::{Ed25519Key, ed25519_verify};
pub use rsa::{RSA_MAX_BITS, RSA_MIN_BITS, RsaKey, rsa_check_public, rsa_verify};

use crate::Secret;

/// A big-endian number of any length as 32 bytes; `None` if it does not fit.
///
/// Key files write scalars without leading zeros, or with one for the sign.
pub(crate) fn scalar_from_magnitude(bytes: &[u8]) -> Option<Secret<[u8; 32]>> {
    let mut scalar = Secret::new([0; 32]);
    let (excess, low) = bytes.split_at(bytes.len().saturating_sub(32));
    for (to, from) in scalar.expose_mut().iter_mut().rev().zip(low.iter().rev()) {
        *to = *from;
    }
    excess.iter().all(|byte| *byte == 0).then_some(scalar)
}
