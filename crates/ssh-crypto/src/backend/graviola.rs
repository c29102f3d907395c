//! graviola: assembly inside Rust for x86-64 (AVX2, ADX) and aarch64, no C compiler.
//!
//! It asserts that the CPU is one it serves: call nothing here unless
//! [`is_supported`] says so.

use std::sync::OnceLock;

use graviola::aead;
use graviola::hashing::Sha256;
use graviola::key_agreement::{p256, x25519};
use graviola::signing::ecdsa;

use crate::{Forged, Secret};

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

pub(crate) fn ecdsa_p256_verify(
    public: &[u8; 65],
    msg: &[u8],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<(), Forged> {
    let key =
        ecdsa::VerifyingKey::<ecdsa::P256>::from_x962_uncompressed(public).map_err(|_| Forged)?;
    let mut signature = [0; 64];
    for (to, from) in signature.iter_mut().zip(r.iter().chain(s)) {
        *to = *from;
    }
    key.verify::<Sha256>(&[msg], &signature).map_err(|_| Forged)
}
