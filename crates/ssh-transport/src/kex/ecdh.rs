//! `ecdh-sha2-nistp256` (RFC 5656 §4): the X coordinate of the shared point, as an `mpint`.

use alloc::vec::Vec;

use ssh_crypto::{agree::P256, rng::Rng};

use super::method::{BadShare, SharedSecret};

/// The client's private half.
pub(crate) struct ClientShare(P256);

impl ClientShare {
    pub(crate) fn generate(rng: &mut dyn Rng) -> Self {
        Self(P256::generate(rng))
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
    let key = P256::generate(rng);
    let public = key.public().to_vec();
    Ok((public, agree(key, client_public)?))
}

/// Points that are compressed, at infinity or not on the curve are refused (RFC 5656 §4).
fn agree(key: P256, peer: &[u8]) -> Result<SharedSecret, BadShare> {
    let secret = key.agree(peer).map_err(|_| BadShare)?;
    Ok(SharedSecret::mpint(secret.expose()))
}

#[cfg(test)]
pub(crate) fn share_of_secret(secret: &[u8]) -> ClientShare {
    ClientShare(P256::from_secret(secret).unwrap())
}
