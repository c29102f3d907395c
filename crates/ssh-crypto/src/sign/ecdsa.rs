//! ECDSA on P-256 with SHA-256 (RFC 5656 §3, FIPS 186-5).

use core::fmt;

use p256::ecdsa::{Signature, SigningKey, signature::Signer};

use super::scalar_from_magnitude;
use crate::agree::uncompressed;
use crate::rng::Rng;
use crate::{Forged, InvalidKey, Secret, backend};

/// An ECDSA private key on P-256.
#[derive(Clone)]
pub struct EcdsaP256Key {
    key: SigningKey,
    public: [u8; 65],
}

impl EcdsaP256Key {
    /// The key of a private scalar, big-endian, with or without leading zeros.
    ///
    /// # Errors
    /// [`InvalidKey::ScalarOutOfRange`] unless 0 < scalar < the order of the curve.
    pub fn from_scalar(scalar: &[u8]) -> Result<Self, InvalidKey> {
        let scalar = scalar_from_magnitude(scalar).ok_or(InvalidKey::ScalarOutOfRange)?;
        let public = backend::p256_public(scalar.expose()).ok_or(InvalidKey::ScalarOutOfRange)?;
        let key = SigningKey::from_bytes(scalar.expose().into())
            .map_err(|_| InvalidKey::ScalarOutOfRange)?;
        Ok(Self { key, public })
    }

    /// A fresh key.
    ///
    /// # Errors
    /// None for any working source of randomness.
    pub fn generate(rng: &mut dyn Rng) -> Result<Self, InvalidKey> {
        let (scalar, _) = backend::p256_generate(rng);
        Self::from_scalar(scalar.expose())
    }

    /// The private scalar, big-endian, for writing the key to a file.
    #[must_use]
    pub fn scalar(&self) -> Secret<[u8; 32]> {
        Secret::new(self.key.to_bytes().into())
    }

    /// The public key: an uncompressed point.
    #[must_use]
    pub const fn public(&self) -> [u8; 65] {
        self.public
    }

    /// The signature (r, s) of `msg`, both big-endian; always the same for the
    /// same message (RFC 6979), so no bad randomness can give the key away.
    #[must_use]
    pub fn sign(&self, msg: &[u8]) -> ([u8; 32], [u8; 32]) {
        // Fails if r or s is zero: once in 2^256. Then these do not verify either.
        self.key.try_sign(msg).map_or(([0; 32], [0; 32]), |signature: Signature| {
            let (r, s) = signature.split_bytes();
            (r.into(), s.into())
        })
    }
}

impl fmt::Debug for EcdsaP256Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EcdsaP256Key(..)")
    }
}

/// Checks a signature (r, s), both big-endian, by the holder of an uncompressed point.
///
/// # Errors
/// [`Forged`] if it is not `public`'s signature of `msg`, or `public` is not an
/// uncompressed point on the curve.
pub fn ecdsa_p256_verify(
    public: &[u8],
    msg: &[u8],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<(), Forged> {
    let public = uncompressed(public).ok_or(Forged)?;
    backend::ecdsa_p256_verify(public, msg, r, s)
}

/// Whether `public` is an uncompressed point on the curve.
#[must_use]
pub fn ecdsa_p256_point_is_valid(public: &[u8]) -> bool {
    uncompressed(public).is_some_and(backend::p256_point_is_valid)
}
