//! ECDSA on the curves of RFC 5656: P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512.

mod p256;
mod wide;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

pub use p256::{EcdsaP256Key, ecdsa_p256_point_is_valid, ecdsa_p256_verify};

use crate::rng::Rng;
use crate::{Forged, InvalidKey, Secret};

/// The longest scalar and coordinate, in bytes: P-521.
const MAX_SCALAR: usize = 66;

/// A curve, and with it the hash that goes before the signature (RFC 5656 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_enums, reason = "RFC 5656 §10.1 has these three")]
pub enum EcdsaCurve {
    /// NIST P-256, SHA-256.
    P256,
    /// NIST P-384, SHA-384.
    P384,
    /// NIST P-521, SHA-512.
    P521,
}

impl EcdsaCurve {
    /// All of them.
    pub const ALL: &[Self] = &[Self::P256, Self::P384, Self::P521];

    /// The length of a private scalar, of a coordinate and of each half of a signature, in bytes.
    #[must_use]
    pub const fn scalar_len(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => MAX_SCALAR,
        }
    }

    /// The length of an uncompressed point, in bytes.
    #[must_use]
    pub const fn point_len(self) -> usize {
        match self {
            Self::P256 => 65,
            Self::P384 => 97,
            Self::P521 => 133,
        }
    }

    /// The size of the curve as people call it, in bits.
    #[must_use]
    pub const fn bits(self) -> usize {
        match self {
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }
}

/// An ECDSA private key.
#[derive(Clone)]
pub struct EcdsaKey(Inner);

#[derive(Clone)]
enum Inner {
    P256(EcdsaP256Key),
    P384(Box<wide::P384Key>),
    P521(Box<wide::P521Key>),
}

impl EcdsaKey {
    /// The key of a private scalar, big-endian, with or without leading zeros.
    ///
    /// # Errors
    /// [`InvalidKey::ScalarOutOfRange`] unless 0 < scalar < the order of the curve.
    pub fn from_scalar(curve: EcdsaCurve, scalar: &[u8]) -> Result<Self, InvalidKey> {
        Ok(Self(match curve {
            EcdsaCurve::P256 => Inner::P256(EcdsaP256Key::from_scalar(scalar)?),
            EcdsaCurve::P384 => Inner::P384(Box::new(wide::P384Key::from_scalar(scalar)?)),
            EcdsaCurve::P521 => Inner::P521(Box::new(wide::P521Key::from_scalar(scalar)?)),
        }))
    }

    /// A fresh key.
    ///
    /// # Errors
    /// None for any working source of randomness.
    pub fn generate(curve: EcdsaCurve, rng: &mut dyn Rng) -> Result<Self, InvalidKey> {
        Ok(Self(match curve {
            EcdsaCurve::P256 => Inner::P256(EcdsaP256Key::generate(rng)?),
            EcdsaCurve::P384 => Inner::P384(Box::new(wide::P384Key::generate(rng)?)),
            EcdsaCurve::P521 => Inner::P521(Box::new(wide::P521Key::generate(rng)?)),
        }))
    }

    /// The curve.
    #[must_use]
    pub const fn curve(&self) -> EcdsaCurve {
        match self.0 {
            Inner::P256(_) => EcdsaCurve::P256,
            Inner::P384(_) => EcdsaCurve::P384,
            Inner::P521(_) => EcdsaCurve::P521,
        }
    }

    /// The private scalar, big-endian, [`scalar_len`](EcdsaCurve::scalar_len) bytes, for writing
    /// the key to a file.
    #[must_use]
    pub fn scalar(&self) -> Secret<Vec<u8>> {
        match &self.0 {
            Inner::P256(key) => Secret::new(key.scalar().expose().to_vec()),
            Inner::P384(key) => key.scalar(),
            Inner::P521(key) => key.scalar(),
        }
    }

    /// The public key: an uncompressed point of [`point_len`](EcdsaCurve::point_len) bytes.
    #[must_use]
    pub fn public(&self) -> Vec<u8> {
        match &self.0 {
            Inner::P256(key) => key.public().to_vec(),
            Inner::P384(key) => key.public(),
            Inner::P521(key) => key.public(),
        }
    }

    /// The signature (r, s) of `msg`, both big-endian and of full length; always the same for the
    /// same message (RFC 6979), so no bad randomness can give the key away.
    #[must_use]
    pub fn sign(&self, msg: &[u8]) -> (Vec<u8>, Vec<u8>) {
        match &self.0 {
            Inner::P256(key) => {
                let (r, s) = key.sign(msg);
                (r.to_vec(), s.to_vec())
            }
            Inner::P384(key) => key.sign(msg),
            Inner::P521(key) => key.sign(msg),
        }
    }
}

impl fmt::Debug for EcdsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcdsaKey({:?}, ..)", self.curve())
    }
}

/// Checks a signature (r, s) by the holder of an uncompressed point. Both numbers are big-endian,
/// with or without leading zeros.
///
/// # Errors
/// [`Forged`] if it is not `public`'s signature of `msg`, or `public` is not an
/// uncompressed point on the curve.
pub fn ecdsa_verify(
    curve: EcdsaCurve,
    public: &[u8],
    msg: &[u8],
    r: &[u8],
    s: &[u8],
) -> Result<(), Forged> {
    match curve {
        EcdsaCurve::P256 => ecdsa_p256_verify(public, msg, &public_number(r)?, &public_number(s)?),
        EcdsaCurve::P384 => wide::p384_verify(public, msg, &public_number(r)?, &public_number(s)?),
        EcdsaCurve::P521 => wide::p521_verify(public, msg, &public_number(r)?, &public_number(s)?),
    }
}

/// Whether `public` is an uncompressed point on the curve.
#[must_use]
pub fn ecdsa_point_is_valid(curve: EcdsaCurve, public: &[u8]) -> bool {
    match curve {
        EcdsaCurve::P256 => ecdsa_p256_point_is_valid(public),
        EcdsaCurve::P384 => wide::p384_point_is_valid(public),
        EcdsaCurve::P521 => wide::p521_point_is_valid(public),
    }
}

/// A big-endian number that is no secret, as exactly `N` bytes.
fn public_number<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Forged> {
    super::padded(bytes).ok_or(Forged)
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::{Vectors, unhex};

    struct Known {
        curve: EcdsaCurve,
        scalar: &'static str,
        x: &'static str,
        r: &'static str,
        s: &'static str,
    }

    /// RFC 6979 appendix A.2.5 to A.2.7: "sample" with the curve's own hash.
    const KNOWN: [Known; 3] = [
        Known {
            curve: EcdsaCurve::P256,
            scalar: "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721",
            x: "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
            r: "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
            s: "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
        },
        Known {
            curve: EcdsaCurve::P384,
            scalar: "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d8\
                     96d5724e4c70a825f872c9ea60d2edf5",
            x: "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64\
                def8f0ea9055866064a254515480bc13",
            r: "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c\
                81a648152e44acf96e36dd1e80fabe46",
            s: "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94f\
                a329c145786e679e7b82c71a38628ac8",
        },
        Known {
            curve: EcdsaCurve::P521,
            scalar: "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75\
                     caa896eb32f1f47c70855836a6d16fcc1466f6d8fbec67db89ec0c08b0e996b83538",
            x: "01894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd\
                371123d46e45db6b5d5370a7f20fb633155d38ffa16d2bd761dcac474b9a2f5023a4",
            r: "00c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f\
                174e25a1ee9017b5d450606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa",
            s: "00617cce7cf5064806c467f678d3b4080d6f1cc50af26ca209417308281b68af\
                282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
        },
    ];

    #[test]
    fn known_answers_of_rfc_6979() {
        for known in KNOWN {
            let (scalar, x) = (unhex(known.scalar), unhex(known.x));
            let key = EcdsaKey::from_scalar(known.curve, &scalar).unwrap();
            let public = key.public();
            assert_eq!(public.len(), known.curve.point_len());
            assert_eq!(public[1..=known.curve.scalar_len()], x);
            assert_eq!(*key.scalar().expose(), scalar);
            let (r, s) = (unhex(known.r), unhex(known.s));
            assert_eq!(key.sign(b"sample"), (r.clone(), s.clone()));
            assert_eq!(ecdsa_verify(known.curve, &public, b"sample", &r, &s), Ok(()));
            let short = |number: &[u8]| {
                let zeros = number.iter().take_while(|byte| **byte == 0).count();
                number[zeros..].to_vec()
            };
            assert_eq!(
                ecdsa_verify(known.curve, &public, b"sample", &short(&r), &[&[0], &s[..]].concat()),
                Ok(())
            );
            assert_eq!(ecdsa_verify(known.curve, &public, b"samplf", &r, &s), Err(Forged));
        }
    }

    #[test]
    fn host_signatures_of_openssh_verify() {
        let signatures = Vectors::load(include_str!("../../../testdata/ecdsa.json"));
        for (name, curve) in [("nistp384", EcdsaCurve::P384), ("nistp521", EcdsaCurve::P521)] {
            let case = signatures.object(name);
            let (public, hash) = (case.hex("public"), case.hex("H"));
            let (mut r, s) = (case.hex("r"), case.hex("s"));
            assert!(ecdsa_point_is_valid(curve, &public));
            assert_eq!(ecdsa_verify(curve, &public, &hash, &r, &s), Ok(()));
            *r.last_mut().unwrap() ^= 1;
            assert_eq!(ecdsa_verify(curve, &public, &hash, &r, &s), Err(Forged));
        }
    }

    #[test]
    fn scalars_and_points_out_of_range_are_refused() {
        for curve in EcdsaCurve::ALL {
            let len = curve.scalar_len();
            for bad in [&[][..], &[0; 66][..len], &[0xff; 66][..len], &[1; 67][..=len]] {
                let refused = EcdsaKey::from_scalar(*curve, bad).unwrap_err();
                assert_eq!(refused, InvalidKey::ScalarOutOfRange);
            }
            let good = EcdsaKey::from_scalar(*curve, &[5]).unwrap().public();
            assert!(ecdsa_point_is_valid(*curve, &good));
            for index in 0..good.len() {
                let mut bad = good.clone();
                bad[index] ^= 1;
                assert!(!ecdsa_point_is_valid(*curve, &bad), "{curve:?} {index}");
            }
            assert!(!ecdsa_point_is_valid(*curve, &good[1..]));
            assert!(!ecdsa_point_is_valid(*curve, &[]));
            let zero = [0; MAX_SCALAR];
            let verdict = ecdsa_verify(*curve, &good, b"m", &zero[..len], &zero[..len]);
            assert_eq!(verdict, Err(Forged));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = EcdsaKey::from_scalar(EcdsaCurve::P521, &[7]).unwrap();
        assert_eq!(format!("{key:?}"), "EcdsaKey(P521, ..)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn every_key_verifies_its_own_signatures_and_no_others(seed: u64, msg: [u8; 20]) {
            for curve in EcdsaCurve::ALL {
                let mut rng = SeededRng::new(seed);
                let key = EcdsaKey::generate(*curve, &mut rng).unwrap();
                let other = EcdsaKey::generate(*curve, &mut rng).unwrap();
                let again = EcdsaKey::from_scalar(*curve, key.scalar().expose()).unwrap();
                prop_assert_eq!(again.public(), key.public());
                let (r, s) = key.sign(&msg);
                prop_assert_eq!(ecdsa_verify(*curve, &key.public(), &msg, &r, &s), Ok(()));
                prop_assert_eq!(ecdsa_verify(*curve, &other.public(), &msg, &r, &s), Err(Forged));
            }
        }

        #[test]
        fn no_bytes_of_a_peer_make_verification_panic_or_succeed(
            public in proptest::collection::vec(any::<u8>(), 0..140),
            r in proptest::collection::vec(any::<u8>(), 0..70),
            s in proptest::collection::vec(any::<u8>(), 0..70),
        ) {
            for curve in EcdsaCurve::ALL {
                prop_assert!(ecdsa_verify(*curve, &public, b"m", &r, &s).is_err());
                let point = EcdsaKey::from_scalar(*curve, &[9]).unwrap().public();
                prop_assert!(ecdsa_verify(*curve, &point, b"m", &r, &s).is_err());
            }
        }
    }
}
