//! Ed25519 (RFC 8032 §5.1).
//!
//! Signatures are the same bytes whoever computes them. Checking them is one
//! library's work on every CPU and with every feature: implementations differ in which
//! malformed keys and signatures they accept, and what a user may log in with must not depend
//! on the processor.

use alloc::sync::Arc;
use core::fmt;

use ed25519_dalek::{Signature, VerifyingKey};

use crate::rng::Rng;
use crate::{Forged, Secret, backend};

/// An Ed25519 private key. Cloning shares what was expanded from its seed.
#[derive(Clone)]
pub struct Ed25519Key {
    seed: Secret<[u8; 32]>,
    expanded: Arc<backend::Ed25519>,
}

impl Ed25519Key {
    /// The key of a 32-byte seed, which RFC 8032 calls the private key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { seed: Secret::new(*seed), expanded: Arc::new(backend::Ed25519::new(seed)) }
    }

    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut dyn Rng) -> Self {
        let mut seed = Secret::new([0; 32]);
        rng.fill(seed.expose_mut());
        Self::from_seed(seed.expose())
    }

    /// The seed, for writing the key to a file.
    #[must_use]
    pub fn seed(&self) -> Secret<[u8; 32]> {
        self.seed.clone()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.expanded.public()
    }

    /// The signature of `msg`; always the same for the same message.
    #[must_use]
    pub fn sign(&self, msg: &[u8]) -> [u8; 64] {
        self.expanded.sign(msg)
    }
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519Key(..)")
    }
}

/// Checks a signature, strictly: the scalar must be reduced, and neither the
/// public key nor the commitment may be of small order. With a key of small order
/// one signature would fit any message.
///
/// # Errors
/// [`Forged`] if the signature is not `public`'s signature of `msg`, or `public` is no key.
pub fn ed25519_verify(public: &[u8; 32], msg: &[u8], sig: &[u8; 64]) -> Result<(), Forged> {
    let key = VerifyingKey::from_bytes(public).map_err(|_| Forged)?;
    key.verify_strict(msg, &Signature::from_bytes(sig)).map_err(|_| Forged)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::{Vectors, unhex};

    #[test]
    fn known_answers_of_rfc_8032() {
        let vectors = Vectors::load(include_str!("../../testdata/ed25519.json"));
        for case in vectors.list("vectors") {
            let key = Ed25519Key::from_seed(&case.array("seed"));
            let (message, signature) = (case.hex("message"), case.array("signature"));
            assert_eq!(key.public(), case.array("public"));
            assert_eq!(*key.seed().expose(), case.array("seed"));
            assert_eq!(key.sign(&message), signature);
            assert_eq!(ed25519_verify(&key.public(), &message, &signature), Ok(()));
        }
    }

    #[test]
    fn a_host_signature_of_openssh_verifies() {
        let kex = Vectors::load(include_str!("../../testdata/kex-mlkem768x25519.json"));
        let last = |name, len| -> Vec<u8> { kex.hex(name).split_off(kex.hex(name).len() - len) };
        let public = last("K_S", 32).try_into().unwrap();
        let signature = last("signature", 64).try_into().unwrap();
        assert_eq!(ed25519_verify(&public, &kex.hex("H"), &signature), Ok(()));
    }

    #[test]
    fn any_flipped_bit_is_a_forgery() {
        let key = Ed25519Key::generate(&mut SeededRng::new(1));
        let (public, signature) = (key.public(), key.sign(b"message"));
        for bit in 0..64 * 8 {
            let mut forged = signature;
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ed25519_verify(&public, b"message", &forged), Err(Forged));
        }
        for bit in 0..32 * 8 {
            let mut other = public;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ed25519_verify(&other, b"message", &signature), Err(Forged));
        }
        assert_eq!(ed25519_verify(&public, b"messagf", &signature), Err(Forged));
    }

    #[test]
    fn a_key_of_small_order_verifies_nothing() {
        // The neutral element as key and commitment, scalar 0: fits every
        // message unless small orders are refused.
        let mut public = [0; 32];
        public[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert_eq!(ed25519_verify(&public, b"anything", &signature), Err(Forged));
    }

    #[test]
    fn a_scalar_that_is_not_reduced_is_refused() {
        let order = unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
        let key = Ed25519Key::generate(&mut SeededRng::new(2));
        let mut signature = key.sign(b"message");
        let mut carry = 0;
        for (byte, add) in signature[32..].iter_mut().zip(order) {
            let sum = u16::from(*byte) + u16::from(add) + carry;
            *byte = sum as u8;
            carry = sum >> 8;
        }
        assert_eq!(ed25519_verify(&key.public(), b"message", &signature), Err(Forged));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = Ed25519Key::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), "Ed25519Key(..)");
    }
}
