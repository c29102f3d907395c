//! RustCrypto and dalek: everywhere, in Rust alone.

use aes_gcm::aead::Tag;
use aes_gcm::{AeadInOut, Aes128Gcm, Aes256Gcm, KeyInit};
use ed25519_dalek::{Signer, SigningKey};
use p256::ecdsa::signature::Verifier;
use p256::elliptic_curve::ecdh::diffie_hellman;
use p256::elliptic_curve::ops::Reduce;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{FieldBytes, NonZeroScalar, PublicKey, SecretKey};

use crate::{Forged, Secret};

pub(crate) enum AesGcm {
    Aes128(Aes128Gcm),
    Aes256(Aes256Gcm),
}

impl AesGcm {
    pub(crate) fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128Gcm::new_from_slice(key).ok().map(Self::Aes128),
            _ => Aes256Gcm::new_from_slice(key).ok().map(Self::Aes256),
        }
    }

    pub(crate) fn seal(&self, nonce: &[u8; 12], aad: &[u8], buf: &mut [u8]) -> [u8; 16] {
        // The only error is a message beyond the limit, which the caller has excluded.
        match self {
            Self::Aes128(key) => key.encrypt_inout_detached(nonce.into(), aad, buf.into()),
            Self::Aes256(key) => key.encrypt_inout_detached(nonce.into(), aad, buf.into()),
        }
        .unwrap_or_default()
        .into()
    }

    pub(crate) fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), Forged> {
        let tag: &Tag<Aes128Gcm> = tag.into();
        match self {
            Self::Aes128(key) => key.decrypt_inout_detached(nonce.into(), aad, buf.into(), tag),
            Self::Aes256(key) => key.decrypt_inout_detached(nonce.into(), aad, buf.into(), tag),
        }
        .map_err(|_| Forged)
    }
}

pub(crate) fn x25519_public(secret: &[u8; 32]) -> [u8; 32] {
    let secret = x25519_dalek::StaticSecret::from(*secret);
    x25519_dalek::PublicKey::from(&secret).to_bytes()
}

pub(crate) fn x25519_agree(secret: &[u8; 32], peer: &[u8; 32]) -> Option<Secret<[u8; 32]>> {
    let secret = x25519_dalek::StaticSecret::from(*secret);
    let shared = secret.diffie_hellman(&x25519_dalek::PublicKey::from(*peer));
    shared.was_contributory().then(|| Secret::new(shared.to_bytes()))
}

pub(crate) fn p256_public(secret: &[u8; 32]) -> Option<[u8; 65]> {
    let secret = SecretKey::from_bytes(secret.into()).ok()?;
    point_bytes(&secret.public_key())
}

/// The key pair of `draw` brought into range, for [`super::p256_generate`].
pub(crate) fn p256_reduced(draw: &[u8; 32]) -> (Secret<[u8; 32]>, [u8; 65]) {
    let scalar = NonZeroScalar::reduce(<&FieldBytes>::from(draw));
    let secret = SecretKey::from(&scalar);
    let public = point_bytes(&secret.public_key()).unwrap_or([0; 65]);
    (Secret::new(secret.to_bytes().into()), public)
}

pub(crate) fn p256_agree(secret: &[u8; 32], peer: &[u8; 65]) -> Option<Secret<[u8; 32]>> {
    let secret = SecretKey::from_bytes(secret.into()).ok()?;
    let peer = PublicKey::from_sec1_bytes(peer).ok()?;
    let shared = diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine());
    Some(Secret::new((*shared.raw_secret_bytes()).into()))
}

pub(crate) fn p256_point_is_valid(public: &[u8; 65]) -> bool {
    PublicKey::from_sec1_bytes(public).is_ok()
}

macro_rules! wide {
    ($curve:ident, $len:literal, $point:literal, $public:ident, $agree:ident, $verify:ident) => {
        pub(crate) fn $public(secret: &[u8; $len]) -> Option<[u8; $point]> {
            let secret = $curve::SecretKey::from_bytes(secret.into()).ok()?;
            secret.public_key().to_sec1_point(false).as_bytes().try_into().ok()
        }

        pub(crate) fn $agree(
            secret: &[u8; $len],
            peer: &[u8; $point],
        ) -> Option<Secret<[u8; $len]>> {
            let secret = $curve::SecretKey::from_bytes(secret.into()).ok()?;
            let peer = $curve::PublicKey::from_sec1_bytes(peer).ok()?;
            let shared = diffie_hellman(secret.to_nonzero_scalar(), peer.as_affine());
            Some(Secret::new((*shared.raw_secret_bytes()).into()))
        }

        pub(crate) fn $verify(
            public: &[u8; $point],
            msg: &[u8],
            r: &[u8; $len],
            s: &[u8; $len],
        ) -> Result<(), Forged> {
            let key = $curve::ecdsa::VerifyingKey::from_sec1_bytes(public).map_err(|_| Forged)?;
            let signature = $curve::ecdsa::Signature::from_scalars(*r, *s).map_err(|_| Forged)?;
            key.verify(msg, &signature).map_err(|_| Forged)
        }
    };
}

wide!(p384, 48, 97, p384_public, p384_agree, ecdsa_p384_verify);
wide!(p521, 66, 133, p521_public, p521_agree, ecdsa_p521_verify);

pub(crate) struct Ed25519(SigningKey);

impl Ed25519 {
    pub(crate) fn expand(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }

    #[expect(clippy::unnecessary_wraps, reason = "as in the other libraries")]
    pub(crate) fn new(seed: &[u8; 32]) -> Option<Self> {
        Some(Self::expand(seed))
    }

    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    pub(crate) fn sign(&self, msg: &[u8]) -> [u8; 64] {
        self.0.sign(msg).to_bytes()
    }
}

pub(crate) fn ecdsa_p256_verify(
    public: &[u8; 65],
    msg: &[u8],
    r: &[u8; 32],
    s: &[u8; 32],
) -> Result<(), Forged> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(public).map_err(|_| Forged)?;
    let signature = p256::ecdsa::Signature::from_scalars(*r, *s).map_err(|_| Forged)?;
    key.verify(msg, &signature).map_err(|_| Forged)
}

fn point_bytes(public: &PublicKey) -> Option<[u8; 65]> {
    public.to_sec1_point(false).as_bytes().try_into().ok()
}
