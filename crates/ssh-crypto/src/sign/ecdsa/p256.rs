//! ECDSA on P-256 with SHA-256 (RFC 5656 §3, FIPS 186-5).

use core::fmt;

use p256::ecdsa::{Signature, SigningKey, signature::Signer};

use super::super::scalar_from_magnitude;
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
        let scalar = scalar_from_magnitude::<32>(scalar).ok_or(InvalidKey::ScalarOutOfRange)?;
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

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::{Vectors, unhex};

    const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

    fn number(hex: &str) -> [u8; 32] {
        unhex(hex).try_into().unwrap()
    }

    #[test]
    fn known_answers_of_rfc_6979() {
        // Appendix A.2.5, with SHA-256.
        let scalar = number("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
        let key = EcdsaP256Key::from_scalar(&scalar).unwrap();
        assert_eq!(
            key.public()[..],
            unhex(
                "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
                 7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299"
            )
        );
        assert_eq!(*key.scalar().expose(), scalar);
        let cases: [(&[u8], &str, &str); 2] = [
            (
                b"sample",
                "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
                "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
            ),
            (
                b"test",
                "f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367",
                "019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
            ),
        ];
        for (message, r, s) in cases {
            let (r, s) = (number(r), number(s));
            assert_eq!(key.sign(message), (r, s));
            assert_eq!(ecdsa_p256_verify(&key.public(), message, &r, &s), Ok(()));
        }
    }

    #[test]
    fn a_host_signature_of_openssh_verifies() {
        let kex = Vectors::load(include_str!("../../../testdata/kex-ecdh-nistp256.json"));
        let blob = kex.hex("K_S");
        let public = &blob[blob.len() - 65..];
        // ... | length of r, 33 with the zero for the sign | r | length of s | s
        let blob = kex.hex("signature");
        let (blob, s) = blob.split_at(blob.len() - 32);
        let r = &blob[blob.len() - 4 - 32..blob.len() - 4];
        assert_eq!(
            ecdsa_p256_verify(public, &kex.hex("H"), r.try_into().unwrap(), s.try_into().unwrap()),
            Ok(())
        );
    }

    #[test]
    fn any_flipped_bit_is_a_forgery() {
        let key = EcdsaP256Key::generate(&mut SeededRng::new(1)).unwrap();
        let public = key.public();
        let (r, s) = key.sign(b"message");
        for bit in (0..32 * 8).step_by(7) {
            let flip = |bytes: &[u8; 32]| {
                let mut bytes = *bytes;
                bytes[bit / 8] ^= 1 << (bit % 8);
                bytes
            };
            let verify = |r: &_, s: &_| ecdsa_p256_verify(&public, b"message", r, s);
            assert_eq!(verify(&flip(&r), &s), Err(Forged));
            assert_eq!(verify(&r, &flip(&s)), Err(Forged));
        }
        assert_eq!(ecdsa_p256_verify(&public, b"messagf", &r, &s), Err(Forged));
    }

    #[test]
    fn signature_numbers_out_of_range_are_refused() {
        let key = EcdsaP256Key::generate(&mut SeededRng::new(2)).unwrap();
        let (r, s) = key.sign(b"message");
        for bad in [[0; 32], number(ORDER), [0xff; 32]] {
            for (r, s) in [(&bad, &s), (&r, &bad), (&bad, &bad)] {
                let verdict = ecdsa_p256_verify(&key.public(), b"message", r, s);
                assert_eq!(verdict, Err(Forged));
            }
        }
    }

    #[test]
    fn scalars_out_of_range_are_refused_and_short_ones_are_numbers() {
        for bad in [&[][..], &[0; 40], &number(ORDER), &[1; 33]] {
            let refused = EcdsaP256Key::from_scalar(bad).unwrap_err();
            assert_eq!(refused, InvalidKey::ScalarOutOfRange);
        }
        let short = EcdsaP256Key::from_scalar(&[1]).unwrap();
        assert_eq!(short.scalar().expose()[31], 1);
        // The generator itself (SEC 2 §2.4.2).
        assert_eq!(
            short.public()[1..33],
            unhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
        );
    }

    #[test]
    fn only_uncompressed_points_on_the_curve_are_valid() {
        let good = EcdsaP256Key::from_scalar(&[1]).unwrap().public();
        assert!(ecdsa_p256_point_is_valid(&good));
        let mut off_curve = good;
        off_curve[64] ^= 1;
        let mut compressed = [0; 33];
        compressed.copy_from_slice(&good[..33]);
        compressed[0] = 0x03;
        let (r, s) = EcdsaP256Key::from_scalar(&[1]).unwrap().sign(b"m");
        assert_eq!(ecdsa_p256_verify(&good, b"m", &r, &s), Ok(()));
        for bad in [&off_curve[..], &compressed, &good[..64], &[0], &[]] {
            assert!(!ecdsa_p256_point_is_valid(bad));
            assert_eq!(ecdsa_p256_verify(bad, b"m", &r, &s), Err(Forged));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let key = EcdsaP256Key::from_scalar(&[7]).unwrap();
        assert_eq!(format!("{key:?}"), "EcdsaP256Key(..)");
    }
}
