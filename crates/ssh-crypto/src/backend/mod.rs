//! Who computes what more than one library can.
//!
//! | | where | what it serves |
//! |---|---|---|
//! | [`ring`] | feature `ring` | AES-GCM, `chacha20-poly1305@openssh.com`, HMAC with SHA-2, key agreement with a private value of its own, Ed25519 and RSA signing, checking of ECDSA and RSA |
//! | [`graviola`] | feature `graviola`, and the CPU has the instructions | AES-GCM, key agreement on X25519, P-256 and P-384, ML-KEM-768 with randomness of its own, Ed25519 signing, checking of ECDSA |
//! | [`pure`] and the files of the primitives | everywhere | everything |
//!
//! Who stands higher and serves an operation does it: whoever turns `ring` on wants ring. All give
//! the same bytes and accept the same input; the tests hold them to it. What has no second library
//! that is faster and does the same is not here and names its library in its own file: so are
//! Ed25519's checks, since libraries differ in which malformed keys they accept, and ECDSA signing,
//! since ours is repeatable (RFC 6979) and theirs is not.

mod absent;
mod pure;

#[cfg(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod graviola;
#[cfg(feature = "ring")]
mod ring;
#[cfg(test)]
mod tests;

/// Where graviola is off or does not exist, everything is pure.
#[cfg(not(all(feature = "graviola", any(target_arch = "x86_64", target_arch = "aarch64"))))]
mod graviola {
    pub(super) use super::pure::*;

    pub(super) type MlKem768 = super::absent::MlKem<1184, 1088>;

    pub(super) const fn is_supported() -> bool {
        false
    }
}

/// The same for ring.
#[cfg(not(feature = "ring"))]
mod ring {
    pub(super) use super::absent::{ChaChaPoly, Ephemeral, Hmac, RsaKey, rsa_verify};
    pub(super) use super::pure::*;

    pub(super) const fn is_supported() -> bool {
        false
    }
}

use alloc::boxed::Box;

use crate::hash::HashAlgorithm;
use crate::mac::HmacAlgorithm;
use crate::rng::Rng;
use crate::{Forged, InvalidEncapsulationKey, Secret};

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// RustCrypto and dalek.
    Pure,
    /// graviola, where the CPU has what it needs.
    Graviola,
    /// ring.
    Ring,
}

impl Backend {
    /// Whether it is built in, and the CPU has what it needs.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Pure => true,
            Self::Graviola => graviola::is_supported(),
            Self::Ring => ring::is_supported(),
        }
    }

    fn serves(self) -> bool {
        self.is_available() && is_wanted(self)
    }
}

/// From now on only `backend` computes, where it serves an operation, and otherwise RustCrypto and
/// dalek. Keys that exist keep theirs.
#[cfg(feature = "benchmark")]
pub fn use_only(backend: Backend) {
    ONLY.store(backend as u8, core::sync::atomic::Ordering::Relaxed);
}

/// Nobody has chosen.
#[cfg(feature = "benchmark")]
const ANY: u8 = u8::MAX;

#[cfg(feature = "benchmark")]
static ONLY: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(ANY);

#[cfg(feature = "benchmark")]
fn is_wanted(backend: Backend) -> bool {
    let only = ONLY.load(core::sync::atomic::Ordering::Relaxed);
    only == ANY || only == backend as u8
}

#[cfg(not(feature = "benchmark"))]
const fn is_wanted(_: Backend) -> bool {
    true
}

/// Who does what all three serve.
fn first() -> Backend {
    if Backend::Ring.serves() { Backend::Ring } else { first_but_ring() }
}

/// Who does what ring does not serve.
fn first_but_ring() -> Backend {
    if Backend::Graviola.serves() { Backend::Graviola } else { Backend::Pure }
}

/// An expanded AES-GCM key. Boxed: the tables are several hundred bytes that
/// would be copied, with the secrets in them, at each move.
pub(crate) enum AesGcm {
    Pure(Box<pure::AesGcm>),
    Graviola(Box<graviola::AesGcm>),
    Ring(Box<ring::AesGcm>),
}

impl AesGcm {
    /// `None` unless `key` has 16 or 32 bytes.
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        Self::of(first(), key)
    }

    fn of(backend: Backend, key: &[u8]) -> Option<Self> {
        match backend {
            Backend::Pure => pure::AesGcm::new(key).map(Box::new).map(Self::Pure),
            Backend::Graviola => graviola::AesGcm::new(key).map(Box::new).map(Self::Graviola),
            Backend::Ring => ring::AesGcm::new(key).map(Box::new).map(Self::Ring),
        }
    }

    /// `buf` must not exceed the limit of GCM.
    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], buf: &mut [u8]) -> [u8; 16] {
        match self {
            Self::Pure(key) => key.seal(nonce, aad, buf),
            Self::Graviola(key) => key.seal(nonce, aad, buf),
            Self::Ring(key) => key.seal(nonce, aad, buf),
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
            Self::Graviola(key) => key.open(nonce, aad, buf, tag),
            Self::Ring(key) => key.open(nonce, aad, buf, tag),
        }
    }
}

/// An expanded Ed25519 key, which signs.
pub(crate) enum Ed25519 {
    Pure(pure::Ed25519),
    Graviola(graviola::Ed25519),
    Ring(ring::Ed25519),
}

impl Ed25519 {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self::of(first(), seed).unwrap_or_else(|| Self::Pure(pure::Ed25519::expand(seed)))
    }

    fn of(backend: Backend, seed: &[u8; 32]) -> Option<Self> {
        match backend {
            Backend::Pure => pure::Ed25519::new(seed).map(Self::Pure),
            Backend::Graviola => graviola::Ed25519::new(seed).map(Self::Graviola),
            Backend::Ring => ring::Ed25519::new(seed).map(Self::Ring),
        }
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        match self {
            Self::Pure(key) => key.public(),
            Self::Graviola(key) => key.public(),
            Self::Ring(key) => key.public(),
        }
    }

    pub(crate) fn sign(&self, msg: &[u8]) -> [u8; 64] {
        match self {
            Self::Pure(key) => key.sign(msg),
            Self::Graviola(key) => key.sign(msg),
            Self::Ring(key) => key.sign(msg),
        }
    }
}

/// The X25519 public value of a private one.
pub(crate) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    match first_but_ring() {
        Backend::Graviola => graviola::x25519_public(secret),
        _ => pure::x25519_public(secret),
    }
}

/// `None` if the shared secret is all zero.
pub(crate) fn x25519_agree(secret: &[u8; 32], peer: &[u8; 32]) -> Option<Secret<[u8; 32]>> {
    match first_but_ring() {
        Backend::Graviola => graviola::x25519_agree(secret, peer),
        _ => pure::x25519_agree(secret, peer),
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
    match first_but_ring() {
        Backend::Graviola => graviola::p256_public(secret),
        _ => pure::p256_public(secret),
    }
}

/// The X coordinate; `None` unless the secret is in range and the peer's point on the curve.
pub(crate) fn p256_agree(secret: &[u8; 32], peer: &[u8; 65]) -> Option<Secret<[u8; 32]>> {
    match first_but_ring() {
        Backend::Graviola => graviola::p256_agree(secret, peer),
        _ => pure::p256_agree(secret, peer),
    }
}

/// `None` unless 0 < secret < the order of the curve.
pub(crate) fn p384_public(secret: &[u8; 48]) -> Option<[u8; 97]> {
    match first_but_ring() {
        Backend::Graviola => graviola::p384_public(secret),
        _ => pure::p384_public(secret),
    }
}

/// The X coordinate; `None` unless the secret is in range and the peer's point on the curve.
pub(crate) fn p384_agree(secret: &[u8; 48], peer: &[u8; 97]) -> Option<Secret<[u8; 48]>> {
    match first_but_ring() {
        Backend::Graviola => graviola::p384_agree(secret, peer),
        _ => pure::p384_agree(secret, peer),
    }
}

pub(crate) use pure::{p256_point_is_valid, p521_agree, p521_public};

/// The curves of key agreement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    X25519,
    P256,
    P384,
    P521,
}

/// A private value that a library drew from the system and never shows.
pub(crate) struct Ephemeral(ring::Ephemeral);

impl Ephemeral {
    /// A fresh one with its public value. `None` where nobody offers that, and unless `rng` is the
    /// system's: from every other source come bytes that somebody may want to see again.
    pub(crate) fn generate<const N: usize>(curve: Curve, rng: &dyn Rng) -> Option<(Self, [u8; N])> {
        let pair = Backend::Ring.serves().then(|| ring::Ephemeral::generate(curve, rng));
        pair.flatten().map(|(private, public)| (Self(private), public))
    }

    /// As the functions above.
    pub(crate) fn agree<const N: usize>(self, peer: &[u8]) -> Option<Secret<[u8; N]>> {
        self.0.agree(peer)
    }
}

/// ECDSA on P-256 with SHA-256.
pub(crate) fn ecdsa_p256_verify(
    public: &[u8; 65],
    msg: &[u8],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<(), Forged> {
    match first() {
        Backend::Pure => pure::ecdsa_p256_verify(public, msg, r, s),
        Backend::Graviola => graviola::ecdsa_p256_verify(public, msg, r, s),
        Backend::Ring => ring::ecdsa_p256_verify(public, msg, r, s),
    }
}

/// ECDSA on P-384 with SHA-384.
pub(crate) fn ecdsa_p384_verify(
    public: &[u8; 97],
    msg: &[u8],
    r: &[u8; 48],
    s: &[u8; 48],
) -> Result<(), Forged> {
    match first() {
        Backend::Pure => pure::ecdsa_p384_verify(public, msg, r, s),
        Backend::Graviola => graviola::ecdsa_p384_verify(public, msg, r, s),
        Backend::Ring => ring::ecdsa_p384_verify(public, msg, r, s),
    }
}

/// ECDSA on P-521 with SHA-512.
pub(crate) use pure::ecdsa_p521_verify;

/// A decapsulation key of ML-KEM-768 that a library drew from the system and never shows.
pub(crate) struct MlKem768(graviola::MlKem768);

/// A ciphertext of ML-KEM and the secret in it; an error for a key that fails the modulus check.
pub(crate) type Encapsulated<const CIPHERTEXT: usize> =
    Result<([u8; CIPHERTEXT], Secret<[u8; 32]>), InvalidEncapsulationKey>;

impl MlKem768 {
    /// `None` where nobody offers it, and unless `rng` is the system's.
    pub(crate) fn generate(rng: &dyn Rng) -> Option<Self> {
        let held = Backend::Graviola.serves().then(|| graviola::MlKem768::generate(rng));
        held.flatten().map(Self)
    }

    pub(crate) fn encapsulation_key(&self) -> [u8; 1184] {
        self.0.encapsulation_key()
    }

    pub(crate) fn decapsulate(self, ciphertext: &[u8; 1088]) -> Secret<[u8; 32]> {
        self.0.decapsulate(ciphertext)
    }

    /// `None` as above.
    pub(crate) fn encapsulate(key: &[u8; 1184], rng: &dyn Rng) -> Option<Encapsulated<1088>> {
        Backend::Graviola.serves().then(|| graviola::MlKem768::encapsulate(key, rng)).flatten()
    }
}

/// Nobody but the portable library has it.
pub(crate) type MlKem1024 = absent::MlKem<1568, 1568>;

/// An HMAC key, where ring serves it.
#[derive(Clone)]
pub(crate) struct Hmac(ring::Hmac);

impl Hmac {
    pub(crate) fn new(algorithm: HmacAlgorithm, key: &[u8]) -> Option<Self> {
        Backend::Ring.serves().then(|| ring::Hmac::new(algorithm, key)).flatten().map(Self)
    }

    /// Writes the tag of the concatenated `parts` to the front of `tag`.
    pub(crate) fn compute(&self, parts: &[&[u8]], tag: &mut [u8; 64]) {
        self.0.compute(parts, tag);
    }
}

/// A key of `chacha20-poly1305@openssh.com`, where ring serves it.
pub(crate) struct ChaChaPoly(ring::ChaChaPoly);

impl ChaChaPoly {
    pub(crate) fn new(key: &[u8; 64]) -> Option<Self> {
        Backend::Ring.serves().then(|| ring::ChaChaPoly::new(key)).flatten().map(Self)
    }

    pub(crate) fn length(&self, sequence: u32, length: [u8; 4]) -> [u8; 4] {
        self.0.length(sequence, length)
    }

    /// `packet` has at least the four bytes of its length.
    pub(crate) fn seal(&self, sequence: u32, packet: &mut [u8]) -> [u8; 16] {
        self.0.seal(sequence, packet)
    }

    pub(crate) fn open(
        &self,
        sequence: u32,
        packet: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Forged> {
        self.0.open(sequence, packet, tag)
    }
}

/// The numbers of an RSA private key, big-endian and minimal.
#[cfg_attr(not(feature = "ring"), expect(dead_code, reason = "only ring reads them"))]
pub(crate) struct RsaNumbers<'a> {
    pub(crate) n: &'a [u8],
    pub(crate) e: &'a [u8],
    pub(crate) d: &'a [u8],
    pub(crate) p: &'a [u8],
    pub(crate) q: &'a [u8],
    pub(crate) dp: &'a [u8],
    pub(crate) dq: &'a [u8],
    pub(crate) iqmp: &'a [u8],
}

/// An RSA private key, where ring serves it: 2048 to 4096 bits, an exponent of at least 65537.
pub(crate) struct RsaKey(ring::RsaKey);

impl RsaKey {
    /// Whether it is worth taking a key apart.
    pub(crate) fn is_served() -> bool {
        Backend::Ring.serves()
    }

    pub(crate) fn new(numbers: &RsaNumbers<'_>) -> Option<Self> {
        Self::is_served().then(|| ring::RsaKey::new(numbers)).flatten().map(Self)
    }

    /// The signature of `msg`. `None` for a hash that is not served, an error if the result did not
    /// verify.
    pub(crate) fn sign(
        &self,
        hash: HashAlgorithm,
        msg: &[u8],
    ) -> Option<Result<alloc::vec::Vec<u8>, Forged>> {
        self.0.sign(hash, msg)
    }
}

/// The verdict on a signature as long as the modulus. `None` if ring does not serve the hash or the
/// size. The numbers are minimal.
pub(crate) fn rsa_verify(
    n: &[u8],
    e: &[u8],
    hash: HashAlgorithm,
    msg: &[u8],
    sig: &[u8],
) -> Option<Result<(), Forged>> {
    Backend::Ring.serves().then(|| ring::rsa_verify(n, e, hash, msg, sig)).flatten()
}

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
