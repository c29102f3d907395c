//! Diffie-Hellman: X25519 (RFC 7748, RFC 8731), ECDH (RFC 5656 §4), and in prime fields
//! (RFC 4253 §8).
//!
//! Each private value is ephemeral: agreeing consumes it.

mod dh;
mod groups;
mod nist;

use core::fmt;

pub use dh::{DH_MAX_BITS, DH_MIN_BITS, Dh, DhGroup, FixedGroup};
pub use nist::{P384, P521};

use crate::backend::{self, Curve, Ephemeral};
use crate::rng::Rng;
use crate::sign::scalar_from_magnitude;
use crate::{InvalidKey, InvalidPoint, Secret, WeakPoint};

/// A private value.
enum Private<const N: usize> {
    /// Its bytes.
    Known(Secret<[u8; N]>),
    /// Drawn by the library, which keeps it.
    Held(Ephemeral),
}

impl<const N: usize> Private<N> {
    /// The secret shared with the holder of `peer`, for a value whose bytes we have as `known` says.
    fn agree(
        self,
        peer: &[u8],
        known: impl FnOnce(&[u8; N]) -> Option<Secret<[u8; N]>>,
    ) -> Option<Secret<[u8; N]>> {
        match self {
            Self::Known(secret) => known(secret.expose()),
            Self::Held(private) => private.agree(peer),
        }
    }
}

/// Our half of an X25519 exchange.
pub struct X25519 {
    secret: Private<32>,
    public: [u8; 32],
}

impl X25519 {
    /// A fresh private value.
    #[must_use]
    pub fn generate(rng: &mut dyn Rng) -> Self {
        if let Some((held, public)) = Ephemeral::generate(Curve::X25519, rng) {
            return Self { secret: Private::Held(held), public };
        }
        let mut secret = Secret::new([0; 32]);
        rng.fill(secret.expose_mut());
        Self::new(secret)
    }

    /// The exchange with a known private value: for tests and replay.
    #[must_use]
    pub fn from_secret(secret: [u8; 32]) -> Self {
        Self::new(Secret::new(secret))
    }

    fn new(secret: Secret<[u8; 32]>) -> Self {
        let public = backend::x25519_public(secret.expose());
        Self { secret: Private::Known(secret), public }
    }

    /// The public value to send, `Q_C` or `Q_S`.
    #[must_use]
    pub const fn public(&self) -> [u8; 32] {
        self.public
    }

    /// The secret shared with the holder of `peer`.
    ///
    /// # Errors
    /// [`WeakPoint`] if it is all zero, which the peer can force (RFC 8731 §3:
    /// "MUST abort").
    pub fn agree(self, peer: &[u8; 32]) -> Result<Secret<[u8; 32]>, WeakPoint> {
        self.secret.agree(peer, |secret| backend::x25519_agree(secret, peer)).ok_or(WeakPoint)
    }
}

impl fmt::Debug for X25519 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("X25519").finish_non_exhaustive()
    }
}

/// Our half of an ECDH exchange on P-256.
pub struct P256 {
    secret: Private<32>,
    public: [u8; 65],
}

impl P256 {
    /// A fresh private value.
    #[must_use]
    pub fn generate(rng: &mut dyn Rng) -> Self {
        if let Some((held, public)) = Ephemeral::generate(Curve::P256, rng) {
            return Self { secret: Private::Held(held), public };
        }
        let (secret, public) = backend::p256_generate(rng);
        Self { secret: Private::Known(secret), public }
    }

    /// The exchange with a known private value, big-endian: for tests and replay.
    ///
    /// # Errors
    /// [`InvalidKey::ScalarOutOfRange`] unless 0 < secret < the order of the curve.
    pub fn from_secret(secret: &[u8]) -> Result<Self, InvalidKey> {
        let secret = scalar_from_magnitude::<32>(secret).ok_or(InvalidKey::ScalarOutOfRange)?;
        let public = backend::p256_public(secret.expose()).ok_or(InvalidKey::ScalarOutOfRange)?;
        Ok(Self { secret: Private::Known(secret), public })
    }

    /// The public value to send: an uncompressed point (SEC 1 §2.3.3).
    #[must_use]
    pub const fn public(&self) -> [u8; 65] {
        self.public
    }

    /// The secret shared with the holder of `peer`: the X coordinate, big-endian.
    ///
    /// # Errors
    /// [`InvalidPoint`] unless `peer` is an uncompressed point on the curve
    /// (RFC 5656 §4: public keys "MUST" be validated).
    pub fn agree(self, peer: &[u8]) -> Result<Secret<[u8; 32]>, InvalidPoint> {
        let peer = uncompressed(peer).ok_or(InvalidPoint)?;
        self.secret.agree(peer, |secret| backend::p256_agree(secret, peer)).ok_or(InvalidPoint)
    }
}

impl fmt::Debug for P256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("P256").finish_non_exhaustive()
    }
}

/// `bytes` if they have the form of an uncompressed point; on the curve or not.
pub(crate) fn uncompressed(bytes: &[u8]) -> Option<&[u8; 65]> {
    <&[u8; 65]>::try_from(bytes).ok().filter(|bytes| bytes.first() == Some(&0x04))
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::Vectors;

    #[test]
    fn known_answers_of_rfc_7748() {
        let vectors = Vectors::load(include_str!("../../testdata/x25519.json"));
        for case in vectors.list("vectors") {
            let shared = X25519::from_secret(case.array("scalar")).agree(&case.array("u")).unwrap();
            assert_eq!(*shared.expose(), case.array("out"));
        }
    }

    #[test]
    fn points_of_low_order_are_refused() {
        let vectors = Vectors::load(include_str!("../../testdata/x25519.json"));
        for point in vectors.hex_list("low_order_points_must_abort_kex") {
            let point = point.try_into().unwrap();
            let ours = X25519::generate(&mut SeededRng::new(1));
            assert_eq!(ours.agree(&point).unwrap_err(), WeakPoint);
        }
    }

    #[test]
    fn a_real_exchange_on_p256() {
        let kex = Vectors::load(include_str!("../../testdata/kex-ecdh-nistp256.json"));
        let ours = P256::from_secret(&kex.hex("client_private_scalar")).unwrap();
        assert_eq!(ours.public()[..], kex.hex("client_public"));
        let shared = ours.agree(&kex.hex("server_public")).unwrap();
        assert_eq!(shared.expose()[..], kex.hex("shared_ecdh_x"));
    }

    #[test]
    fn both_sides_get_the_same_secret() {
        let mut rng = SeededRng::new(2);
        let (a, b) = (X25519::generate(&mut rng), X25519::generate(&mut rng));
        let (to_a, to_b) = (b.public(), a.public());
        assert_ne!(to_a, to_b);
        assert_eq!(a.agree(&to_a).unwrap().expose(), b.agree(&to_b).unwrap().expose());
        let (a, b) = (P256::generate(&mut rng), P256::generate(&mut rng));
        let (to_a, to_b) = (b.public(), a.public());
        assert_eq!(a.agree(&to_a).unwrap().expose(), b.agree(&to_b).unwrap().expose());
    }

    #[test]
    fn points_off_the_curve_compressed_cut_or_infinite_are_refused() {
        let mut rng = SeededRng::new(3);
        let good = P256::generate(&mut rng).public();
        let mut off_curve = good;
        off_curve[64] ^= 1;
        let mut hybrid = good;
        hybrid[0] = 0x06;
        let mut compressed = [0; 33];
        compressed.copy_from_slice(&good[..33]);
        compressed[0] = 0x02 | (good[64] & 1);
        let mut too_large = [0xff; 65];
        too_large[0] = 0x04;
        let mut zero = [0; 65];
        zero[0] = 0x04;
        let bad: [&[u8]; 8] =
            [&off_curve, &hybrid, &compressed, &too_large, &zero, &good[..64], &[0], &[]];
        for peer in bad {
            let ours = P256::generate(&mut rng);
            assert_eq!(ours.agree(peer).unwrap_err(), InvalidPoint, "{peer:02x?}");
        }
        assert!(P256::generate(&mut rng).agree(&good).is_ok());
    }

    #[test]
    fn private_values_out_of_range_are_refused() {
        for bad in [&[0; 32][..], &[], &[0xff; 32], &[1; 33]] {
            let refused = P256::from_secret(bad).unwrap_err();
            assert_eq!(refused, InvalidKey::ScalarOutOfRange);
        }
        // Short and sign-padded encodings of the same number are the same key.
        let short = P256::from_secret(&[5]).unwrap().public();
        let mut padded = [0; 33];
        padded[32] = 5;
        assert_eq!(P256::from_secret(&padded).unwrap().public(), short);
    }

    #[test]
    fn a_stuck_source_of_randomness_does_not_hang() {
        struct Stuck(u8);
        impl Rng for Stuck {
            fn fill(&mut self, dest: &mut [u8]) {
                dest.fill(self.0);
            }
        }
        for byte in [0, 0xff] {
            let ours = P256::generate(&mut Stuck(byte));
            let Private::Known(secret) = &ours.secret else { panic!("not of a seed") };
            let again = P256::from_secret(secret.expose()).unwrap();
            assert_eq!(ours.public(), again.public());
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let ours = X25519::from_secret([7; 32]);
        assert_eq!(format!("{ours:?}"), "X25519 { .. }");
        let ours = P256::from_secret(&[7]).unwrap();
        assert_eq!(format!("{ours:?}"), "P256 { .. }");
    }
}
