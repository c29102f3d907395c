//! P-384 with SHA-384 and P-521 with SHA-512.

use alloc::vec::Vec;

use super::super::scalar_from_magnitude;
use crate::rng::Rng;
use crate::{Forged, InvalidKey, Secret, backend};

/// How many draws of a scalar are tried: one is out of range at most every other time (P-521, whose
/// order fills 521 of the 521 bits that are left), and with P-384 once in 2^190.
const DRAWS: usize = 256;

macro_rules! curve {
    ($curve:ident, $key:ident, $len:literal, $point:literal, $top:literal, $verify:ident, $verifying:ident, $valid:ident) => {
        #[derive(Clone)]
        pub(super) struct $key {
            key: $curve::ecdsa::SigningKey,
            public: [u8; $point],
        }

        impl $key {
            pub(super) fn from_scalar(scalar: &[u8]) -> Result<Self, InvalidKey> {
                let scalar =
                    scalar_from_magnitude::<$len>(scalar).ok_or(InvalidKey::ScalarOutOfRange)?;
                let key = $curve::ecdsa::SigningKey::from_bytes(scalar.expose().into())
                    .map_err(|_| InvalidKey::ScalarOutOfRange)?;
                let public = key.verifying_key().to_sec1_point(false);
                let public = public.as_bytes().try_into();
                Ok(Self { key, public: public.map_err(|_| InvalidKey::ScalarOutOfRange)? })
            }

            pub(super) fn generate(rng: &mut dyn Rng) -> Result<Self, InvalidKey> {
                let mut draw = Secret::new([0; $len]);
                for _ in 0..DRAWS {
                    rng.fill(draw.expose_mut());
                    if let Some(first) = draw.expose_mut().first_mut() {
                        *first &= $top;
                    }
                    if let Ok(key) = Self::from_scalar(draw.expose()) {
                        return Ok(key);
                    }
                }
                // Once in 2^256, or with a source that is stuck: do not loop for ever.
                Err(InvalidKey::ScalarOutOfRange)
            }

            pub(super) fn scalar(&self) -> Secret<Vec<u8>> {
                Secret::new(self.key.to_bytes().to_vec())
            }

            pub(super) fn public(&self) -> Vec<u8> {
                self.public.to_vec()
            }

            pub(super) fn sign(&self, msg: &[u8]) -> (Vec<u8>, Vec<u8>) {
                use $curve::ecdsa::signature::Signer;
                // Fails if r or s is zero: never to be seen. Then these do not verify either.
                self.key.try_sign(msg).map_or_else(
                    |_| (alloc::vec![0; $len], alloc::vec![0; $len]),
                    |signature: $curve::ecdsa::Signature| {
                        let (r, s) = signature.split_bytes();
                        (r.to_vec(), s.to_vec())
                    },
                )
            }
        }

        pub(super) fn $verify(
            public: &[u8],
            msg: &[u8],
            r: &[u8; $len],
            s: &[u8; $len],
        ) -> Result<(), Forged> {
            backend::$verifying(public.try_into().map_err(|_| Forged)?, msg, r, s)
        }

        pub(super) fn $valid(public: &[u8]) -> bool {
            // Other lengths are compressed points and infinity; the first byte of an uncompressed
            // one is 4, and that of a "hybrid" one the library refuses.
            public.len() == $point && $curve::PublicKey::from_sec1_bytes(public).is_ok()
        }
    };
}

curve!(p384, P384Key, 48, 97, 0xff, p384_verify, ecdsa_p384_verify, p384_point_is_valid);
curve!(p521, P521Key, 66, 133, 0x01, p521_verify, ecdsa_p521_verify, p521_point_is_valid);
