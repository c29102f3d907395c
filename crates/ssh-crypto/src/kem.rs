//! ML-KEM-768 (FIPS 203), the post-quantum half of `mlkem768x25519-sha256`.
//!
//! Not on graviola: its interface draws from the system's generator only, and
//! our randomness is an argument.

use core::fmt;

use ml_kem::kem::{Decapsulate, Encapsulate, KeyExport};
use ml_kem::{DecapsulationKey768, EncapsulationKey768};

use crate::rng::{Adapter, Rng};
use crate::{InvalidEncapsulationKey, Secret};

/// The length of an encapsulation key, in bytes.
pub const ENCAPSULATION_KEY_LEN: usize = 1184;
/// The length of a ciphertext, in bytes.
pub const CIPHERTEXT_LEN: usize = 1088;

/// The decapsulation side: who made the key pair and opens what was sealed for it.
pub struct MlKem768(DecapsulationKey768);

impl MlKem768 {
    /// A fresh key pair (FIPS 203 §7.1).
    #[must_use]
    pub fn generate(rng: &mut dyn Rng) -> Self {
        let mut seed = Secret::new([0; 64]);
        rng.fill(seed.expose_mut());
        Self::from_seed(seed.expose())
    }

    /// The key pair of a seed, `d || z` in FIPS 203: for tests and replay.
    #[must_use]
    pub fn from_seed(seed: &[u8; 64]) -> Self {
        Self(DecapsulationKey768::from_seed((*seed).into()))
    }

    /// The encapsulation key, to be sent.
    #[must_use]
    pub fn encapsulation_key(&self) -> [u8; ENCAPSULATION_KEY_LEN] {
        self.0.encapsulation_key().to_bytes().into()
    }

    /// The secret inside `ciphertext` (FIPS 203 §7.3).
    ///
    /// Never fails: a ciphertext that was not made with our key gives a secret
    /// nobody knows ("implicit rejection"), and the exchange fails later.
    #[must_use]
    pub fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Secret<[u8; 32]> {
        Secret::new(self.0.decapsulate(ciphertext.into()).into())
    }
}

impl fmt::Debug for MlKem768 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MlKem768(..)")
    }
}

/// Makes a secret and seals it for the holder of `encapsulation_key` (FIPS 203 §7.2).
///
/// # Errors
/// [`InvalidEncapsulationKey`] if the key fails the modulus check.
pub fn encapsulate(
    encapsulation_key: &[u8; ENCAPSULATION_KEY_LEN],
    rng: &mut dyn Rng,
) -> Result<([u8; CIPHERTEXT_LEN], Secret<[u8; 32]>), InvalidEncapsulationKey> {
    let key =
        EncapsulationKey768::new(encapsulation_key.into()).map_err(|_| InvalidEncapsulationKey)?;
    let (ciphertext, secret) = key.encapsulate_with_rng(&mut Adapter(rng));
    Ok((ciphertext.into(), Secret::new(secret.into())))
}
