//! The server's step (RFC 4253 §8): answering the client's public value with a signature.

use alloc::vec::Vec;

use ssh_crypto::{hash::Digest, rng::Rng};
use ssh_keys::{Certificate, PrivateKey};
use ssh_wire::{Encode, Message};

use super::{
    group_exchange::Agreed,
    hash::Transcript,
    method::{self, SharedSecret},
    negotiate::Negotiated,
};
use crate::{
    algorithm::HostKeyAlgorithm,
    config::Config,
    error::{Error, PeerMisbehaved},
    message::{KexDhGexInit, KexDhGexReply, KexEcdhInit, KexEcdhReply},
};

/// Both `KEXINIT` are known, the client's public value has not come.
pub(crate) struct AwaitMethodInit {
    pub(crate) negotiated: Negotiated,
    pub(crate) transcript: Transcript,
    /// After a group exchange.
    pub(crate) agreed: Option<Agreed>,
}

/// What is sent to the client, and what stays here.
pub(crate) struct Answer {
    /// The reply, as a payload.
    pub(crate) reply: Vec<u8>,
    pub(crate) exchange_hash: Digest,
    pub(crate) secret: SharedSecret,
}

impl AwaitMethodInit {
    /// The number of the client's message.
    pub(crate) const fn number(&self) -> u8 {
        if self.agreed.is_some() { KexDhGexInit::NUMBER } else { KexEcdhInit::NUMBER }
    }

    fn parse<'a>(&self, payload: &'a [u8]) -> Result<&'a [u8], Error> {
        Ok(match &self.agreed {
            None => KexEcdhInit::parse(payload)?.client_public,
            Some(_) => KexDhGexInit::parse(payload)?.client_public,
        })
    }

    fn reply(&self, host_key: &[u8], server_public: &[u8], signature: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        match &self.agreed {
            None => KexEcdhReply { host_key, server_public, signature }.encode(&mut out),
            Some(_) => KexDhGexReply { host_key, server_public, signature }.encode(&mut out),
        }
        out
    }

    /// Answers the client's public value.
    pub(crate) fn answer(
        &self,
        payload: &[u8],
        config: &Config,
        rng: &mut dyn Rng,
    ) -> Result<Answer, Error> {
        let client_public = self.parse(payload)?;
        let algorithm = self.negotiated.host_key;
        let (key, host_key) = host_key(config, algorithm).ok_or(Error::SigningFailed)?;
        let group = self.agreed.as_ref().map(|agreed| agreed.group.clone());
        let (public, secret) = method::respond(self.negotiated.kex, group, client_public, rng)
            .map_err(|_| PeerMisbehaved::BadKexShare)?;
        let exchange_hash = self.transcript.exchange_hash(
            self.negotiated.kex.hash(),
            host_key,
            self.agreed.as_ref().map_or(&[], |agreed| &agreed.hashed),
            [client_public, &public],
            &secret,
        );
        let signature = key
            .sign(algorithm.signature(), exchange_hash.as_bytes())
            .map_err(|_| Error::SigningFailed)?;
        Ok(Answer { reply: self.reply(host_key, &public, &signature), exchange_hash, secret })
    }
}

/// The key that signs with an algorithm, the first of its type, and the blob that is shown for it:
/// its own, or that of a certificate over it.
pub(crate) fn host_key(
    config: &Config,
    algorithm: HostKeyAlgorithm,
) -> Option<(&PrivateKey, &[u8])> {
    let signs = |key: &&PrivateKey| key.public().key_type() == algorithm.key_type();
    let mut keys = config.host_keys.iter().filter(signs);
    if !algorithm.is_certificate() {
        return keys.next().map(|key| (key, key.public().blob()));
    }
    keys.find_map(|key| {
        let over = |certificate: &&Certificate| certificate.key() == key.public();
        Some((key, config.host_certificates.iter().find(over)?.blob()))
    })
}
