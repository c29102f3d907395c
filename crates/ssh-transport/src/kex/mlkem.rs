//! `mlkem768x25519-sha256` (RFC 10042): secure as long as one of ML-KEM and X25519 is.
//!
//! ```text
//! client: encapsulation key (1184) │ X25519 public (32)
//! server: ciphertext (1088)        │ X25519 public (32)
//! K = string(SHA-256(ML-KEM secret │ X25519 secret))
//! ```

use alloc::vec::Vec;

use ssh_crypto::{
    Secret,
    agree::X25519,
    hash::{HashAlgorithm, Hasher},
    kem::{self, CIPHERTEXT_LEN, ENCAPSULATION_KEY_LEN, MlKem768},
    rng::Rng,
};

use super::method::{BadShare, SharedSecret};

/// The client's private half.
pub(crate) struct ClientShare {
    kem: MlKem768,
    curve: X25519,
}

impl ClientShare {
    pub(crate) fn generate(rng: &mut dyn Rng) -> Self {
        Self { kem: MlKem768::generate(rng), curve: X25519::generate(rng) }
    }

    pub(crate) fn public(&self) -> Vec<u8> {
        let mut public = self.kem.encapsulation_key().to_vec();
        public.extend_from_slice(&self.curve.public());
        public
    }

    pub(crate) fn agree(self, server_public: &[u8]) -> Result<SharedSecret, BadShare> {
        let (ciphertext, point) = split::<CIPHERTEXT_LEN>(server_public)?;
        let classical = self.curve.agree(point).map_err(|_| BadShare)?;
        Ok(combine(&self.kem.decapsulate(ciphertext), &classical))
    }
}

/// The server's half.
pub(crate) fn respond(
    client_public: &[u8],
    rng: &mut dyn Rng,
) -> Result<(Vec<u8>, SharedSecret), BadShare> {
    let (key, point) = split::<ENCAPSULATION_KEY_LEN>(client_public)?;
    let (ciphertext, post_quantum) = kem::encapsulate(key, rng).map_err(|_| BadShare)?;
    let curve = X25519::generate(rng);
    let mut public = ciphertext.to_vec();
    public.extend_from_slice(&curve.public());
    let classical = curve.agree(point).map_err(|_| BadShare)?;
    Ok((public, combine(&post_quantum, &classical)))
}

/// A value of exactly `N` bytes, and a point of exactly 32.
fn split<const N: usize>(public: &[u8]) -> Result<(&[u8; N], &[u8; 32]), BadShare> {
    let (first, point) = public.split_first_chunk::<N>().ok_or(BadShare)?;
    Ok((first, point.try_into().map_err(|_| BadShare)?))
}

fn combine(post_quantum: &Secret<[u8; 32]>, classical: &Secret<[u8; 32]>) -> SharedSecret {
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.update(post_quantum.expose());
    hasher.update(classical.expose());
    SharedSecret::string(hasher.finish().as_bytes())
}

#[cfg(test)]
pub(crate) fn share_of_secret(seed: &[u8; 64], secret: [u8; 32]) -> ClientShare {
    ClientShare { kem: MlKem768::from_seed(seed), curve: X25519::from_secret(secret) }
}
