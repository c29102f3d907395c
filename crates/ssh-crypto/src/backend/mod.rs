//! Who computes: the portable libraries, or graviola where the CPU has what it needs.
//!
//! Only what graviola does several times faster, through an interface that takes
//! our bytes, is here; everything else has a single implementation and names its
//! library in its own file.

mod pure;

#[cfg(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "graviola.rs"]
mod fast;

/// Where graviola is off or does not exist, nothing is fast and everything is pure.
#[cfg(not(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod fast {
    pub(super) use super::pure::*;

    pub(super) const fn is_supported() -> bool {
        false
    }
}

use alloc::boxed::Box;

use crate::rng::Rng;
use crate::{Forged, Secret};

/// An expanded AES-GCM key. Boxed: the tables are several hundred bytes that
/// would be copied, with the secrets in them, at each move.
pub(crate) enum AesGcm {
    Pure(Box<pure::AesGcm>),
    Fast(Box<fast::AesGcm>),
}

impl AesGcm {
    /// `None` unless `key` has 16 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        if fast::is_supported() { Self::fast(key) } else { Self::pure(key) }
    }

    fn fast(key: &[u8]) -> Option<Self> {
        fast::AesGcm::new(key).map(Box::new).map(Self::Fast)
    }

    fn pure(key: &[u8]) -> Option<Self> {
        pure::AesGcm::new(key).map(Box::new).map(Self::Pure)
    }

    /// `buf` must not exceed the limit of GCM.
    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], buf: &mut [u8]) -> [u8; 16] {
        match self {
            Self::Pure(key) => key.seal(nonce, aad, buf),
            Self::Fast(key) => key.seal(nonce, aad, buf),
        }
    }

    /// `buf` must not exceed the limit of GCM.
    pub(crate) fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Forged> {
        match self {
            Self::Pure(key) => key.open(nonce, aad, buf, tag),
            Self::Fast(key) => key.open(nonce, aad, buf, tag),
        }
    }
}

/// The X25519 public value of a private one.
pub(crate) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    if fast::is_supported() { fast::x25519_public(secret) } else { pure::x25519_public(secret) }
}

/// `None` if the shared secret is all zero.
pub(crate) fn x25519_agree(secret: &[u8; 32], peer: &[u8; 32]) -> Option<Secret<[u8; 32]>> {
    if fast::is_supported() {
        fast::x25519_agree(secret, peer)
    } else {
        pure::x25519_agree(secret, peer)
    }
}

/// A fresh P-256 key pair: scalar and uncompressed point.
pub(crate) fn p256_generate(rng: &mut dyn Rng) -> (Secret<[u8; 32]>, [u8; 65]) {
    /// A draw is out of range once in 2^32.
    const DRAWS: usize = 16;

    let mut draw = Secret::new([0; 32]);
    for _ in 0..DRAWS {
        rng.fill(draw.expose_mut());
        if let Some(public) = p256_public(draw.expose()) {
            return (draw, public);
        }
    }
    // Once in 2^512, or with a source that is stuck: do not loop for ever.
    pure::p256_reduced(draw.expose())
}

/// `None` unless 0 < secret < the order of the curve.
pub(crate) fn p256_public(secret: &[u8; 32]) -> Option<[u8; 65]> {
    if fast::is_supported() { fast::p256_public(secret) } else { pure::p256_public(secret) }
}

/// The X coordinate; `None` unless the secret is in range and the peer's point on the curve.
pub(crate) fn p256_agree(secret: &[u8; 32], peer: &[u8; 65]) -> Option<Secret<[u8; 32]>> {
    if fast::is_supported() {
        fast::p256_agree(secret, peer)
    } else {
        pure::p256_agree(secret, peer)
    }
}

/// ECDSA on P-256 with SHA-256.
pub(crate) fn ecdsa_p256_verify(
    public: &[u8; 65],
    msg: &[u8],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<(), Forged> {
    if fast::is_supported() {
        fast::ecdsa_p256_verify(public, msg, r, s)
    } else {
        pure::ecdsa_p256_verify(public, msg, r, s)
    }
}

pub(crate) use pure::p256_point_is_valid;

/// Whether the CPU has AES and carry-less multiplication, which every backend uses if it has.
pub(crate) fn cpu_has_aes() -> bool {
    #[cfg(all(feature = "std", any(target_arch = "x86", target_arch = "x86_64")))]
    let detected = std::arch::is_x86_feature_detected!("aes")
        && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(all(feature = "std", target_arch = "aarch64"))]
    let detected = std::arch::is_aarch64_feature_detected!("aes")
        && std::arch::is_aarch64_feature_detected!("pmull");
    // Elsewhere, what the compiler was told it may use.
    #[cfg(not(all(
        feature = "std",
        any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")
    )))]
    let detected = cfg!(target_feature = "aes");
    detected
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::agree::X25519;
    use crate::rng::SeededRng;
    use crate::sign::EcdsaP256Key;
    use crate::testing::Vectors;

    fn gcm_agrees(key: &[u8], nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) {
        let (fast, pure) = (AesGcm::fast(key).unwrap(), AesGcm::pure(key).unwrap());
        let (mut a, mut b) = (plaintext.to_vec(), plaintext.to_vec());
        let tag = fast.seal(nonce, aad, &mut a);
        assert_eq!(tag, pure.seal(nonce, aad, &mut b));
        assert_eq!(a, b);
        for flipped in 0..3 {
            let mut tag = tag;
            tag[0] ^= flipped;
            let verdict = if flipped == 0 { Ok(()) } else { Err(Forged) };
            let (mut a, mut b) = (a.clone(), b.clone());
            assert_eq!(fast.open(nonce, aad, &mut a, &tag), verdict);
            assert_eq!(pure.open(nonce, aad, &mut b, &tag), verdict);
            if flipped == 0 {
                assert_eq!((&a[..], &b[..]), (plaintext, plaintext));
            }
        }
    }

    #[test]
    fn aes_gcm_gives_the_same_bytes_at_every_length() {
        if !fast::is_supported() {
            return;
        }
        let data: [u8; 700] = core::array::from_fn(|i| (i * 7) as u8);
        for len in (0..data.len()).step_by(3) {
            gcm_agrees(&[1; 16], &[2; 12], &data[..len % 40], &data[..len]);
            gcm_agrees(&[3; 32], &[4; 12], &data[..4], &data[..len]);
        }
        for len in [32 * 1024, 35_000, 256 * 1024] {
            gcm_agrees(&[5; 16], &[6; 12], &[0, 0, 1, 0], &vec![7; len]);
            gcm_agrees(&[8; 32], &[9; 12], &[0, 0, 1, 0], &vec![7; len]);
        }
    }

    #[test]
    fn both_refuse_points_of_low_order() {
        if !fast::is_supported() {
            return;
        }
        let vectors = Vectors::load(include_str!("../../testdata/x25519.json"));
        for point in vectors.hex_list("low_order_points_must_abort_kex") {
            let mut point = point.try_into().unwrap();
            assert!(fast::x25519_agree(&[7; 32], &point).is_none());
            assert!(pure::x25519_agree(&[7; 32], &point).is_none());
            // The top bit is ignored (RFC 7748 §5).
            point[31] |= 0x80;
            assert!(fast::x25519_agree(&[7; 32], &point).is_none());
            assert!(pure::x25519_agree(&[7; 32], &point).is_none());
        }
    }

    #[test]
    fn both_refuse_the_same_scalars_and_points() {
        if !fast::is_supported() {
            return;
        }
        let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
        let order: [u8; 32] = crate::testing::unhex(order).try_into().unwrap();
        let mut below = order;
        below[31] -= 1;
        for secret in [[0; 32], order, [0xff; 32]] {
            assert_eq!(fast::p256_public(&secret), None);
            assert_eq!(pure::p256_public(&secret), None);
        }
        let top = fast::p256_public(&below);
        assert!(top.is_some());
        assert_eq!(top, pure::p256_public(&below));

        let good = top.unwrap();
        for index in 0..65 {
            let mut bad = good;
            bad[index] ^= 1;
            assert!(fast::p256_agree(&below, &bad).is_none());
            assert!(pure::p256_agree(&below, &bad).is_none());
            assert!(!p256_point_is_valid(&bad));
        }
    }

    #[test]
    fn the_mode_in_use_is_the_fast_one_where_there_is_one() {
        let key = AesGcm::new(&[0; 16]).unwrap();
        assert_eq!(matches!(key, AesGcm::Fast(_)), fast::is_supported());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn aes_gcm_is_the_same(
            key: [u8; 32],
            long: bool,
            nonce: [u8; 12],
            aad in proptest::collection::vec(any::<u8>(), 0..50),
            plaintext in proptest::collection::vec(any::<u8>(), 0..3000),
        ) {
            if fast::is_supported() {
                gcm_agrees(&key[..if long { 32 } else { 16 }], &nonce, &aad, &plaintext);
            }
        }

        #[test]
        fn x25519_is_the_same(secret: [u8; 32], peer: [u8; 32]) {
            if fast::is_supported() {
                prop_assert_eq!(fast::x25519_public(&secret), pure::x25519_public(&secret));
                let (a, b) = (
                    fast::x25519_agree(&secret, &peer),
                    pure::x25519_agree(&secret, &peer),
                );
                prop_assert_eq!(a.map(|a| *a.expose()), b.map(|b| *b.expose()));
                let ours = X25519::from_secret(secret);
                prop_assert_eq!(ours.public(), pure::x25519_public(&secret));
            }
        }

        #[test]
        fn p256_is_the_same(seed: u64, msg in proptest::collection::vec(any::<u8>(), 0..100)) {
            if fast::is_supported() {
                let mut rng = SeededRng::new(seed);
                let (secret, public) = p256_generate(&mut rng);
                let (_, peer) = p256_generate(&mut rng);
                prop_assert_eq!(Some(public), pure::p256_public(secret.expose()));
                let a = fast::p256_agree(secret.expose(), &peer).unwrap();
                let b = pure::p256_agree(secret.expose(), &peer).unwrap();
                prop_assert_eq!(a.expose(), b.expose());

                let (r, s) = EcdsaP256Key::from_scalar(secret.expose()).unwrap().sign(&msg);
                for (key, verdict) in [(&public, Ok(())), (&peer, Err(Forged))] {
                    prop_assert_eq!(fast::ecdsa_p256_verify(key, &msg, &r, &s), verdict);
                    prop_assert_eq!(pure::ecdsa_p256_verify(key, &msg, &r, &s), verdict);
                }
            }
        }
    }
}
