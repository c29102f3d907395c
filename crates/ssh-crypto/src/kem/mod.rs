//! Post-quantum key encapsulation: ML-KEM-768 and ML-KEM-1024 (FIPS 203), Streamlined NTRU Prime.
//!
//! With graviola, ML-KEM-768 runs there if the caller's randomness is the system's: its interface
//! draws from there and nowhere else. A seed, or any other source, gets the portable library.

#[cfg(feature = "std")]
mod sntrup761;

use core::fmt;

use ml_kem::kem::{Decapsulate, Encapsulate, KeyExport};

#[cfg(feature = "std")]
pub use sntrup761::{
    SNTRUP761_CIPHERTEXT_LEN, SNTRUP761_PUBLIC_LEN, Sntrup761, sntrup761_encapsulate,
};

use crate::rng::{Adapter, Rng};
use crate::{InvalidEncapsulationKey, Secret, backend};

/// The length of an encapsulation key of ML-KEM-768, in bytes.
pub const ENCAPSULATION_KEY_LEN: usize = 1184;
/// The length of a ciphertext of ML-KEM-768, in bytes.
pub const CIPHERTEXT_LEN: usize = 1088;
/// The length of an encapsulation key and of a ciphertext of ML-KEM-1024, in bytes.
pub const MLKEM1024_LEN: usize = 1568;

/// A key pair.
enum Half<K, H> {
    /// Of a seed.
    Known(K),
    /// Drawn by a library that keeps it.
    Held(H),
}

macro_rules! mlkem {
    ($name:literal, $type:ident, $decapsulation:ident, $encapsulation:ident, $encapsulate:ident,
     $key_len:ident, $ciphertext_len:ident) => {
        #[doc = concat!("The decapsulation side of ", $name, ": who made the key pair and opens ")]
        /// what was sealed for it.
        pub struct $type(Half<ml_kem::$decapsulation, backend::$type>);

        impl $type {
            /// A fresh key pair (FIPS 203 §7.1).
            #[must_use]
            pub fn generate(rng: &mut dyn Rng) -> Self {
                if let Some(held) = backend::$type::generate(rng) {
                    return Self(Half::Held(held));
                }
                let mut seed = Secret::new([0; 64]);
                rng.fill(seed.expose_mut());
                Self::from_seed(seed.expose())
            }

            /// The key pair of a seed, `d || z` in FIPS 203: for tests and replay.
            #[must_use]
            pub fn from_seed(seed: &[u8; 64]) -> Self {
                Self(Half::Known(ml_kem::$decapsulation::from_seed((*seed).into())))
            }

            /// The encapsulation key, to be sent.
            #[must_use]
            pub fn encapsulation_key(&self) -> [u8; $key_len] {
                match &self.0 {
                    Half::Known(key) => key.encapsulation_key().to_bytes().into(),
                    Half::Held(key) => key.encapsulation_key(),
                }
            }

            /// The secret inside `ciphertext` (FIPS 203 §7.3).
            ///
            /// Never fails: a ciphertext that was not made with our key gives a secret
            /// nobody knows ("implicit rejection"), and the exchange fails later.
            #[must_use]
            pub fn decapsulate(self, ciphertext: &[u8; $ciphertext_len]) -> Secret<[u8; 32]> {
                match self.0 {
                    Half::Known(key) => Secret::new(key.decapsulate(ciphertext.into()).into()),
                    Half::Held(key) => key.decapsulate(ciphertext),
                }
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($type), "(..)"))
            }
        }

        /// Makes a secret and seals it for the holder of `encapsulation_key` (FIPS 203 §7.2).
        ///
        /// # Errors
        /// [`InvalidEncapsulationKey`] if the key fails the modulus check.
        pub fn $encapsulate(
            encapsulation_key: &[u8; $key_len],
            rng: &mut dyn Rng,
        ) -> Result<([u8; $ciphertext_len], Secret<[u8; 32]>), InvalidEncapsulationKey> {
            if let Some(encapsulated) = backend::$type::encapsulate(encapsulation_key, rng) {
                return encapsulated;
            }
            let key = ml_kem::$encapsulation::new(encapsulation_key.into())
                .map_err(|_| InvalidEncapsulationKey)?;
            let (ciphertext, secret) = key.encapsulate_with_rng(&mut Adapter(rng));
            Ok((ciphertext.into(), Secret::new(secret.into())))
        }
    };
}

mlkem!(
    "ML-KEM-768",
    MlKem768,
    DecapsulationKey768,
    EncapsulationKey768,
    encapsulate,
    ENCAPSULATION_KEY_LEN,
    CIPHERTEXT_LEN
);
mlkem!(
    "ML-KEM-1024",
    MlKem1024,
    DecapsulationKey1024,
    EncapsulationKey1024,
    mlkem1024_encapsulate,
    MLKEM1024_LEN,
    MLKEM1024_LEN
);

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::agree::X25519;
    use crate::rng::SeededRng;
    use crate::testing::Vectors;

    #[test]
    fn a_real_exchange_with_openssh() {
        let kex = Vectors::load(include_str!("../../testdata/kex-mlkem768x25519.json"));
        let kem = MlKem768::from_seed(&kex.array("client_mlkem768_seed_d_z"));
        let ours = X25519::from_secret(kex.array("client_private_x25519"));
        let sent = [&kem.encapsulation_key()[..], &ours.public()].concat();
        assert_eq!(sent, kex.hex("client_public"));

        let received = kex.hex("server_public");
        let (ciphertext, point) = received.split_at(CIPHERTEXT_LEN);
        let shared = kem.decapsulate(ciphertext.try_into().unwrap());
        assert_eq!(*shared.expose(), kex.array("shared_mlkem768"));
        let shared = ours.agree(point.try_into().unwrap()).unwrap();
        assert_eq!(*shared.expose(), kex.array("shared_x25519"));
    }

    #[test]
    fn what_is_encapsulated_is_decapsulated() {
        let mut rng = SeededRng::new(1);
        for _ in 0..8 {
            let kem = MlKem768::generate(&mut rng);
            let (ciphertext, theirs) = encapsulate(&kem.encapsulation_key(), &mut rng).unwrap();
            assert_eq!(kem.decapsulate(&ciphertext).expose(), theirs.expose());
        }
    }

    #[test]
    fn ml_kem_1024_opens_what_was_sealed_for_it_and_checks_keys() {
        let mut rng = SeededRng::new(5);
        let kem = MlKem1024::generate(&mut rng);
        let good = kem.encapsulation_key();
        let (mut ciphertext, theirs) = mlkem1024_encapsulate(&good, &mut rng).unwrap();
        assert_eq!(format!("{kem:?}"), "MlKem1024(..)");
        assert_eq!(kem.decapsulate(&ciphertext).expose(), theirs.expose());
        ciphertext[1500] ^= 1;
        let again = MlKem1024::generate(&mut SeededRng::new(5));
        assert_ne!(again.decapsulate(&ciphertext).expose(), theirs.expose());
        let mut bad = good;
        bad[0] = 0xff;
        bad[1] |= 0x0f;
        let refused = mlkem1024_encapsulate(&bad, &mut rng).unwrap_err();
        assert_eq!(refused, InvalidEncapsulationKey);
    }

    #[test]
    fn a_foreign_ciphertext_gives_another_secret_always_the_same() {
        let mut rng = SeededRng::new(2);
        let kem = || MlKem768::from_seed(&[2; 64]);
        let (mut ciphertext, theirs) = encapsulate(&kem().encapsulation_key(), &mut rng).unwrap();
        ciphertext[500] ^= 1;
        let rejected = kem().decapsulate(&ciphertext);
        assert_ne!(rejected.expose(), theirs.expose());
        assert_eq!(kem().decapsulate(&ciphertext).expose(), rejected.expose());
    }

    #[test]
    fn keys_that_fail_the_modulus_check_are_refused() {
        let mut rng = SeededRng::new(3);
        let good = MlKem768::generate(&mut rng).encapsulation_key();
        // The coefficients are 12 bits each, little-endian, in the first 1152 bytes.
        for coefficient in [3329_u16, 4095] {
            for offset in [0, 3 * 100, 1152 - 3] {
                let mut bad = good;
                bad[offset] = coefficient as u8;
                bad[offset + 1] = (bad[offset + 1] & 0xf0) | (coefficient >> 8) as u8;
                let refused = encapsulate(&bad, &mut rng).unwrap_err();
                assert_eq!(refused, InvalidEncapsulationKey);
            }
        }
        let mut largest = good;
        largest[0] = 0x00;
        largest[1] = (largest[1] & 0xf0) | 0x0d;
        assert!(encapsulate(&largest, &mut rng).is_ok());
    }

    #[test]
    fn debug_shows_no_key() {
        let kem = MlKem768::from_seed(&[7; 64]);
        assert_eq!(format!("{kem:?}"), "MlKem768(..)");
    }
}
