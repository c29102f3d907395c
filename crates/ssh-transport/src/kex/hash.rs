//! The exchange hash H (RFC 4253 §8, RFC 5656 §4): what the host key signs.
//!
//! ```text
//! H = HASH(string V_C │ string V_S │ string I_C │ string I_S
//!          │ string K_S │ parameters │ string client's value │ string server's value │ K)
//! ```
//!
//! Only the group exchange has parameters.

use alloc::vec::Vec;

use bytes::Bytes;
use ssh_crypto::hash::{Digest, HashAlgorithm, Hasher};

use super::method::SharedSecret;

/// What was said before the method began.
#[derive(Clone, Debug)]
pub(crate) struct Transcript {
    /// V_C: the client's identification.
    pub(crate) client_identification: Bytes,
    /// V_S: the server's identification.
    pub(crate) server_identification: Bytes,
    /// I_C: the payload of the client's `KEXINIT`.
    pub(crate) client_init: Bytes,
    /// I_S: the payload of the server's `KEXINIT`.
    pub(crate) server_init: Bytes,
}

impl Transcript {
    /// The hash of the whole exchange.
    pub(crate) fn exchange_hash(
        &self,
        algorithm: HashAlgorithm,
        host_key: &[u8],
        parameters: &[u8],
        [client_public, server_public]: [&[u8]; 2],
        secret: &SharedSecret,
    ) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        for part in [
            &self.client_identification,
            &self.server_identification,
            &self.client_init,
            &self.server_init,
            host_key,
        ] {
            update_string(&mut hasher, part);
        }
        hasher.update(parameters);
        update_string(&mut hasher, client_public);
        update_string(&mut hasher, server_public);
        hasher.update(secret.encoded());
        hasher.finish()
    }

    /// The transcript as seen by one side.
    pub(crate) fn new(
        role: crate::Role,
        (our_identification, our_init): (&str, Vec<u8>),
        (their_identification, their_init): (&[u8], Bytes),
    ) -> Self {
        let ours = (Bytes::copy_from_slice(our_identification.as_bytes()), Bytes::from(our_init));
        let theirs = (Bytes::copy_from_slice(their_identification), their_init);
        let (client, server) = match role {
            crate::Role::Client => (ours, theirs),
            crate::Role::Server => (theirs, ours),
        };
        Self {
            client_identification: client.0,
            server_identification: server.0,
            client_init: client.1,
            server_init: server.1,
        }
    }
}

/// Hashes a `string` (RFC 4251 §5).
fn update_string(hasher: &mut Hasher, part: &[u8]) {
    hasher.update(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
    hasher.update(part);
}
