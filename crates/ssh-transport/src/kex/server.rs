//! The server's step (RFC 4253 §8): answering the client's public value with a signature.

use alloc::vec::Vec;

use ssh_crypto::{hash::Digest, rng::Rng};
use ssh_keys::PrivateKey;
use ssh_wire::Message;

use super::{
    hash::Transcript,
    method::{self, SharedSecret},
    negotiate::Negotiated,
};
use crate::{
    algorithm::HostKeyAlgorithm,
    config::Config,
    error::{Error, PeerMisbehaved},
    message::KexEcdhInit,
};

/// Both `KEXINIT` are known, the client's public value has not come.
pub(crate) struct AwaitMethodInit {
    pub(crate) negotiated: Negotiated,
    pub(crate) transcript: Transcript,
}

/// What is sent to the client, and what stays here.
pub(crate) struct Answer {
    pub(crate) host_key: Vec<u8>,
    pub(crate) public: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    pub(crate) exchange_hash: Digest,
    pub(crate) secret: SharedSecret,
}

impl AwaitMethodInit {
    /// Answers the client's public value.
    pub(crate) fn answer(
        &self,
        payload: &[u8],
        config: &Config,
        rng: &mut dyn Rng,
    ) -> Result<Answer, Error> {
        let init = KexEcdhInit::parse(payload)?;
        let algorithm = self.negotiated.host_key;
        let key = host_key(config, algorithm).ok_or(Error::SigningFailed)?;
        let (public, secret) = method::respond(self.negotiated.kex, init.client_public, rng)
            .map_err(|_| PeerMisbehaved::BadKexShare)?;
        let host_key = key.public().blob().to_vec();
        let exchange_hash = self.transcript.exchange_hash(
            self.negotiated.kex.hash(),
            &host_key,
            init.client_public,
            &public,
            &secret,
        );
        let signature =
            key.sign(algorithm, exchange_hash.as_bytes()).map_err(|_| Error::SigningFailed)?;
        Ok(Answer { host_key, public, signature, exchange_hash, secret })
    }
}

/// The key that signs with an algorithm: the first of its type.
pub(crate) fn host_key(config: &Config, algorithm: HostKeyAlgorithm) -> Option<&PrivateKey> {
    config.host_keys.iter().find(|key| key.algorithms().contains(&algorithm))
}
