//! ring: BoringSSL's primitives behind a Rust interface. A C compiler builds them.
//!
//! What it insists on drawing itself (private values of a key agreement) is left to it only where
//! the caller's randomness is the system's. RSA signing draws nothing: the exponentiation runs in
//! constant time, without blinding. ring does not wipe keys from memory.

use alloc::vec::Vec;

use ring::aead::chacha20_poly1305_openssh::{OpeningKey, SealingKey};
use ring::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{self, EphemeralPrivateKey, UnparsedPublicKey};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair as RsaKeyPair, KeyPairComponents, PublicKeyComponents};
use ring::signature::{self, Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaParameters};
use ring::{hmac, signature::EcdsaVerificationAlgorithm};

use super::{Curve, RsaNumbers};
use crate::hash::HashAlgorithm;
use crate::mac::HmacAlgorithm;
use crate::rng::Rng;
use crate::{Forged, Secret};

/// It finds out on its own what the CPU can do, and does without.
pub(super) const fn is_supported() -> bool {
    true
}

pub(crate) struct AesGcm(LessSafeKey);

impl AesGcm {
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        let algorithm = if key.len() == 16 { &AES_128_GCM } else { &AES_256_GCM };
        UnboundKey::new(algorithm, key).ok().map(LessSafeKey::new).map(Self)
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], buf: &mut [u8]) -> [u8; 16] {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let tag = self.0.seal_in_place_separate_tag(nonce, Aad::from(aad), buf);
        // The only error is a message beyond the limit, which the caller has excluded.
        tag.ok().and_then(|tag| tag.as_ref().try_into().ok()).unwrap_or_default()
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Forged> {
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let opened =
            self.0.open_in_place_separate_tag(nonce, Aad::from(aad), (*tag).into(), buf, 0..);
        opened.map(|_| ()).map_err(|_| Forged)
    }
}

/// Both directions: neither has more state than the 64 bytes of the key.
pub(crate) struct ChaChaPoly {
    sealing: SealingKey,
    opening: OpeningKey,
}

impl ChaChaPoly {
    #[expect(clippy::unnecessary_wraps, reason = "as where there is no ring")]
    pub(crate) fn new(key: &[u8; 64]) -> Option<Self> {
        Some(Self { sealing: SealingKey::new(key), opening: OpeningKey::new(key) })
    }

    pub(crate) fn length(&self, sequence: u32, length: [u8; 4]) -> [u8; 4] {
        self.opening.decrypt_packet_length(sequence, length)
    }

    pub(crate) fn seal(&self, sequence: u32, packet: &mut [u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        self.sealing.seal_in_place(sequence, packet, &mut tag);
        tag
    }

    pub(crate) fn open(
        &self,
        sequence: u32,
        packet: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Forged> {
        self.opening.open_in_place(sequence, packet, tag).map(|_| ()).map_err(|_| Forged)
    }
}

#[derive(Clone)]
pub(crate) struct Hmac(hmac::Key);

impl Hmac {
    /// `None` for MD5, which ring lacks, and for SHA-1, where it does not use the CPU's instructions
    /// and takes three times as long as the portable library.
    pub(crate) fn new(algorithm: HmacAlgorithm, key: &[u8]) -> Option<Self> {
        let algorithm = match algorithm {
            HmacAlgorithm::Md5 | HmacAlgorithm::Sha1 => return None,
            HmacAlgorithm::Sha256 => hmac::HMAC_SHA256,
            HmacAlgorithm::Sha512 => hmac::HMAC_SHA512,
        };
        Some(Self(hmac::Key::new(algorithm, key)))
    }

    pub(crate) fn compute(&self, parts: &[&[u8]], tag: &mut [u8; 64]) {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        for (to, from) in tag.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
    }
}

pub(crate) struct Ephemeral {
    private: EphemeralPrivateKey,
    algorithm: &'static agreement::Algorithm,
}

impl Ephemeral {
    /// `None` for P-521, and unless `rng` is the system's.
    pub(crate) fn generate<const N: usize>(curve: Curve, rng: &dyn Rng) -> Option<(Self, [u8; N])> {
        let algorithm = match curve {
            Curve::X25519 => &agreement::X25519,
            Curve::P256 => &agreement::ECDH_P256,
            Curve::P384 => &agreement::ECDH_P384,
            Curve::P521 => return None,
        };
        if !rng.is_the_systems() {
            return None;
        }
        let private = EphemeralPrivateKey::generate(algorithm, &SystemRandom::new()).ok()?;
        let public = private.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some((Self { private, algorithm }, public))
    }

    /// Refuses what is not a point, and a secret that is all zero.
    pub(crate) fn agree<const N: usize>(self, peer: &[u8]) -> Option<Secret<[u8; N]>> {
        let peer = UnparsedPublicKey::new(self.algorithm, peer);
        agreement::agree_ephemeral(self.private, &peer, |secret| {
            secret.try_into().ok().map(Secret::new)
        })
        .ok()?
    }
}

pub(crate) struct Ed25519(Ed25519KeyPair);

impl Ed25519 {
    pub(crate) fn new(seed: &[u8; 32]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.public_key().as_ref().try_into().unwrap_or_default()
    }

    pub(crate) fn sign(&self, msg: &[u8]) -> [u8; 64] {
        self.0.sign(msg).as_ref().try_into().unwrap_or([0; 64])
    }
}

pub(crate) fn ecdsa_p256_verify(
    public: &[u8; 65],
    msg: &[u8],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<(), Forged> {
    ecdsa_verify(&signature::ECDSA_P256_SHA256_FIXED, public, msg, &[*r, *s].concat())
}

pub(crate) fn ecdsa_p384_verify(
    public: &[u8; 97],
    msg: &[u8],
    r: &[u8; 48],
    s: &[u8; 48],
) -> Result<(), Forged> {
    ecdsa_verify(&signature::ECDSA_P384_SHA384_FIXED, public, msg, &[*r, *s].concat())
}

fn ecdsa_verify(
    algorithm: &'static EcdsaVerificationAlgorithm,
    public: &[u8],
    msg: &[u8],
    sig: &[u8],
) -> Result<(), Forged> {
    signature::UnparsedPublicKey::new(algorithm, public).verify(msg, sig).map_err(|_| Forged)
}

pub(crate) struct RsaKey(RsaKeyPair);

impl RsaKey {
    /// `None` unless the modulus has 2048 to 4096 bits and the exponent is at least 65537.
    pub(crate) fn new(numbers: &RsaNumbers<'_>) -> Option<Self> {
        RsaKeyPair::from_components(&KeyPairComponents {
            public_key: PublicKeyComponents { n: numbers.n, e: numbers.e },
            d: numbers.d,
            p: numbers.p,
            q: numbers.q,
            dP: numbers.dp,
            dQ: numbers.dq,
            qInv: numbers.iqmp,
        })
        .ok()
        .map(Self)
    }

    /// `None` for SHA-1: ring only checks those.
    pub(crate) fn sign(&self, hash: HashAlgorithm, msg: &[u8]) -> Option<Result<Vec<u8>, Forged>> {
        let encoding: &'static dyn RsaEncoding = match hash {
            HashAlgorithm::Sha256 => &signature::RSA_PKCS1_SHA256,
            HashAlgorithm::Sha512 => &signature::RSA_PKCS1_SHA512,
            HashAlgorithm::Md5 | HashAlgorithm::Sha1 | HashAlgorithm::Sha384 => return None,
        };
        let mut sig = alloc::vec![0; self.0.public().modulus_len()];
        // The padding of PKCS#1 v1.5 has no randomness in it, and nothing else asks for any.
        let done = self.0.sign(encoding, &SystemRandom::new(), msg, &mut sig);
        Some(done.map(|()| sig).map_err(|_| Forged))
    }
}

/// `None` unless the modulus has 2048 to 8192 bits.
pub(crate) fn rsa_verify(
    n: &[u8],
    e: &[u8],
    hash: HashAlgorithm,
    msg: &[u8],
    sig: &[u8],
) -> Option<Result<(), Forged>> {
    /// Bytes of a modulus.
    const SERVED: core::ops::RangeInclusive<usize> = 256..=1024;

    let parameters: &RsaParameters = match hash {
        HashAlgorithm::Sha256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        HashAlgorithm::Sha512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        HashAlgorithm::Sha1 => &signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        HashAlgorithm::Md5 | HashAlgorithm::Sha384 => return None,
    };
    if !SERVED.contains(&n.len()) {
        return None;
    }
    Some(PublicKeyComponents { n, e }.verify(parameters, msg, sig).map_err(|_| Forged))
}
