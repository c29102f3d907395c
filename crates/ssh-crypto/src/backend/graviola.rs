//! graviola: assembly inside Rust for x86-64 (AVX2, ADX) and aarch64, no C compiler.
//!
//! It asserts that the CPU is one it serves: call nothing here unless
//! [`is_supported`] says so.

use alloc::boxed::Box;
use std::sync::OnceLock;

use graviola::aead;
use graviola::hashing::{Hash, Sha256, Sha384};
use graviola::key_agreement::{mlkem768, p256, p384, x25519};
use graviola::signing::{ecdsa, eddsa};

use super::Encapsulated;
use crate::rng::Rng;
use crate::{Forged, InvalidEncapsulationKey, Secret};

/// Asked of the CPU once per process.
pub(super) fn is_supported() -> bool {
    static SUPPORTED: OnceLock<bool> = OnceLock::new();
    *SUPPORTED.get_or_init(graviola::util::is_cpu_supported)
}

pub(crate) struct AesGcm(aead::AesGcm);

impl AesGcm {
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        matches!(key.len(), 16 | 32).then(|| Self(aead::AesGcm::new(key)))
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], buf: &mut [u8]) -> [u8; 16] {
        let mut tag = [0; 16];
        self.0.encrypt(nonce, aad, buf, &mut tag);
        tag
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Forged> {
        self.0.decrypt(nonce, aad, buf, tag).map_err(|_| Forged)
    }
}

pub(crate) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    x25519::StaticPrivateKey::from_array(secret).public_key().as_bytes()
}

pub(crate) fn x25519_agree(secret: &[u8; 32], peer: &[u8; 32]) -> Option<Secret<[u8; 32]>> {
    let shared = x25519::StaticPrivateKey::from_array(secret)
        .diffie_hellman(&x25519::PublicKey::from_array(peer))
        .ok()?;
    Some(Secret::new(shared.as_bytes()))
}

pub(crate) fn p256_public(secret: &[u8; 32]) -> Option<[u8; 65]> {
    let secret = p256::StaticPrivateKey::from_bytes(secret).ok()?;
    Some(secret.public_key_uncompressed())
}

pub(crate) fn p256_agree(secret: &[u8; 32], peer: &[u8; 65]) -> Option<Secret<[u8; 32]>> {
    let secret = p256::StaticPrivateKey::from_bytes(secret).ok()?;
    let peer = p256::PublicKey::from_x962_uncompressed(peer).ok()?;
    let shared = secret.diffie_hellman(&peer).ok()?;
    Some(Secret::new(shared.0))
}

pub(crate) fn p384_public(secret: &[u8; 48]) -> Option<[u8; 97]> {
    let secret = p384::StaticPrivateKey::from_bytes(secret).ok()?;
    Some(secret.public_key_uncompressed())
}

pub(crate) fn p384_agree(secret: &[u8; 48], peer: &[u8; 97]) -> Option<Secret<[u8; 48]>> {
    let secret = p384::StaticPrivateKey::from_bytes(secret).ok()?;
    let peer = p384::PublicKey::from_x962_uncompressed(peer).ok()?;
    let shared = secret.diffie_hellman(&peer).ok()?;
    Some(Secret::new(shared.0))
}

pub(crate) fn ecdsa_p256_verify(
    public: &[u8; 65],
    msg: &[u8],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<(), Forged> {
    ecdsa_verify::<ecdsa::P256, Sha256>(public, msg, &[*r, *s].concat())
}

pub(crate) fn ecdsa_p384_verify(
    public: &[u8; 97],
    msg: &[u8],
    r: &[u8; 48],
    s: &[u8; 48],
) -> Result<(), Forged> {
    ecdsa_verify::<ecdsa::P384, Sha384>(public, msg, &[*r, *s].concat())
}

fn ecdsa_verify<C: ecdsa::Curve, H: Hash>(
    public: &[u8],
    msg: &[u8],
    sig: &[u8],
) -> Result<(), Forged> {
    let key = ecdsa::VerifyingKey::<C>::from_x962_uncompressed(public).map_err(|_| Forged)?;
    key.verify::<H>(&[msg], sig).map_err(|_| Forged)
}

pub(crate) struct Ed25519(eddsa::Ed25519SigningKey);

impl Ed25519 {
    pub(crate) fn new(seed: &[u8; 32]) -> Option<Self> {
        eddsa::Ed25519SigningKey::from_bytes(seed).ok().map(Self)
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.public_key().as_bytes()
    }

    pub(crate) fn sign(&self, msg: &[u8]) -> [u8; 64] {
        self.0.sign(msg)
    }
}

/// Its interface draws from the system: for everybody else's randomness there are only functions
/// that it calls internal.
pub(crate) struct MlKem768(Box<mlkem768::DecapKey>);

impl MlKem768 {
    pub(crate) fn generate(rng: &dyn Rng) -> Option<Self> {
        let key = rng.is_the_systems().then(mlkem768::DecapKey::generate)?;
        key.ok().map(Box::new).map(Self)
    }

    pub(crate) fn encapsulation_key(&self) -> [u8; 1184] {
        self.0.encapsulation_key().as_bytes()
    }

    pub(crate) fn decapsulate(self, ciphertext: &[u8; 1088]) -> Secret<[u8; 32]> {
        Secret::new(*self.0.decaps(&(*ciphertext).into()).as_ref())
    }

    pub(crate) fn encapsulate(key: &[u8; 1184], rng: &dyn Rng) -> Option<Encapsulated<1088>> {
        if !rng.is_the_systems() {
            return None;
        }
        let Ok(key) = mlkem768::EncapKey::from_bytes(key) else {
            return Some(Err(InvalidEncapsulationKey));
        };
        let (secret, ciphertext) = key.encaps().ok()?;
        Some(Ok((*ciphertext.as_ref(), Secret::new(*secret.as_ref()))))
    }
}
