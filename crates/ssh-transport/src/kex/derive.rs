//! Keys from the shared secret (RFC 4253 §7.2).
//!
//! ```text
//! K1 = HASH(K │ H │ letter │ session_id)    K2 = HASH(K │ H │ K1)    K3 = HASH(K │ H │ K1 │ K2) …
//! ```
//!
//! | letter | | from |
//! |---|---|---|
//! | A, B | initial vector | client, server |
//! | C, D | encryption key | client, server |
//! | E, F | MAC key | client, server |

use ssh_crypto::{
    Secret,
    hash::{Digest, HashAlgorithm, Hasher},
};

use super::{FreshKeys, method::SharedSecret, negotiate::Negotiated};
use crate::{
    Role,
    crypto::{InvalidKeyMaterial, KeyMaterial, opening_key, sealing_key},
};

/// Derives keys of any length for one exchange.
pub(crate) struct KeyDerivation<'a> {
    /// The state after K and H, with which every hash begins.
    start: Hasher,
    session_id: &'a [u8],
}

impl<'a> KeyDerivation<'a> {
    pub(crate) fn new(
        algorithm: HashAlgorithm,
        secret: &SharedSecret,
        exchange_hash: &Digest,
        session_id: &'a [u8],
    ) -> Self {
        let mut start = Hasher::new(algorithm);
        start.update(secret.encoded());
        start.update(exchange_hash.as_bytes());
        Self { start, session_id }
    }

    /// Fills `out` with the key of a letter.
    pub(crate) fn fill(&self, letter: u8, out: &mut [u8]) {
        let mut hasher = self.start.clone();
        hasher.update(&[letter]);
        hasher.update(self.session_id);
        let mut next = hasher.finish();
        let mut all = self.start.clone();
        let mut filled: usize = 0;
        while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let block = next.as_bytes();
            for (to, from) in rest.iter_mut().zip(block) {
                *to = *from;
            }
            filled = filled.saturating_add(block.len().max(1));
            all.update(block);
            next = all.clone().finish();
        }
    }

    fn array<const N: usize>(&self, letter: u8) -> Secret<[u8; N]> {
        let mut out = Secret::new([0; N]);
        self.fill(letter, out.expose_mut());
        out
    }

    /// What one direction needs: `letters` are for IV, key and MAC key.
    fn material(&self, letters: [u8; 3]) -> KeyMaterial {
        let [iv, key, mac] = letters;
        KeyMaterial { iv: self.array(iv), key: self.array(key), mac: self.array(mac) }
    }

    /// The keys of both directions, as `role` uses them.
    pub(crate) fn keys(
        &self,
        role: Role,
        negotiated: &Negotiated,
    ) -> Result<FreshKeys, InvalidKeyMaterial> {
        let client = self.material(*b"ACE");
        let server = self.material(*b"BDF");
        Ok(match role {
            Role::Client => FreshKeys {
                sealing: sealing_key(negotiated.client_to_server, &client)?,
                opening: opening_key(negotiated.server_to_client, &server)?,
            },
            Role::Server => FreshKeys {
                sealing: sealing_key(negotiated.server_to_client, &server)?,
                opening: opening_key(negotiated.client_to_server, &client)?,
            },
        })
    }
}
