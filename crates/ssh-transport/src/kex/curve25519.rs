//! `curve25519-sha256` and `curve25519-sha256@libssh.org` (RFC 8731): the same under two names.
//!
//! The 32 bytes of the shared secret are read as a big-endian number and hashed as an `mpint`.

use alloc::vec::Vec;

use ssh_crypto::{agree::X25519, rng::Rng};

use super::method::{BadShare, SharedSecret};

/// The client's private half.
pub(crate) struct ClientShare(X25519);

impl ClientShare {
    pub(crate) fn generate(rng: &mut dyn Rng) -> Self {
        Self(X25519::generate(rng))
    }

    pub(crate) fn public(&self) -> Vec<u8> {
        self.0.public().to_vec()
    }

    pub(crate) fn agree(self, server_public: &[u8]) -> Result<SharedSecret, BadShare> {
        agree(self.0, server_public)
    }
}

/// The server's half.
pub(crate) fn respond(
    client_public: &[u8],
    rng: &mut dyn Rng,
) -> Result<(Vec<u8>, SharedSecret), BadShare> {
    let key = X25519::generate(rng);
    let public = key.public().to_vec();
    Ok((public, agree(key, client_public)?))
}

/// Lengths other than 32 and secrets of zeros are refused (RFC 8731 §3).
fn agree(key: X25519, peer: &[u8]) -> Result<SharedSecret, BadShare> {
    let peer = peer.try_into().map_err(|_| BadShare)?;
    let secret = key.agree(peer).map_err(|_| BadShare)?;
    Ok(SharedSecret::mpint(secret.expose()))
}

#[cfg(test)]
pub(crate) fn share_of_secret(secret: [u8; 32]) -> ClientShare {
    ClientShare(X25519::from_secret(secret))
}
