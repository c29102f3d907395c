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
