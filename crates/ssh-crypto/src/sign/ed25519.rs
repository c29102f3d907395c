//! Ed25519 (RFC 8032 §5.1).
//!
//! One library on every CPU: implementations differ in which malformed keys and
//! signatures they accept, and what a user may log in with must not depend on
//! the processor.

use core::fmt;

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::rng::Rng;
use crate::{Forged, Secret};

/// An Ed25519 private key.
#[derive(Clone)]
pub struct Ed25519Key(SigningKey);

impl Ed25519Key {
    /// The key of a 32-byte seed, which RFC 8032 calls the private key.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
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
        Secret::new(self.0.to_bytes())
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// The signature of `msg`; always the same for the same message.
    #[must_use]
    pub fn sign(&self, msg: &[u8]) -> [u8; 64] {
        self.0.sign(msg).to_bytes()
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
