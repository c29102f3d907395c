//! The client's step (RFC 4253 §8): what makes a server's answer believable.
//!
//! In this order: the host key parses and has the type of the negotiated algorithm, both public
//! values make a secret, and the host key signed the hash over everything that was said.

use alloc::{boxed::Box, vec::Vec};

use ssh_crypto::{hash::Digest, rng::Rng};
use ssh_keys::{Identity, KeyError, certificate::CertificateError};
use ssh_wire::Message;

use super::{
    group_exchange::Agreed,
    hash::Transcript,
    method::{self, ClientShare, SharedSecret},
    negotiate::Negotiated,
};
use crate::{
    crypto::{Open, Seal},
    error::{Error, PeerMisbehaved},
    message::{KexDhGexReply, KexEcdhReply},
};

/// Our public value is out, the server's has not come.
pub(crate) struct AwaitReply {
    pub(crate) negotiated: Negotiated,
    transcript: Transcript,
    share: Box<dyn ClientShare>,
    pub(crate) public: Vec<u8>,
    /// After a group exchange.
    agreed: Option<Agreed>,
}

/// The server proved that it has its key and that nobody changed what was said.
pub(crate) struct Proven {
    pub(crate) host_key: Identity,
    /// Of the host key over the exchange hash.
    pub(crate) signature: Box<[u8]>,
    pub(crate) exchange_hash: Digest,
    pub(crate) secret: SharedSecret,
}

impl AwaitReply {
    /// Makes the public value for what was negotiated.
    pub(crate) fn new(
        negotiated: Negotiated,
        transcript: Transcript,
        rng: &mut dyn Rng,
    ) -> Result<Self, Error> {
        let share = method::generate(negotiated.kex, None, rng).map_err(|_| Error::UnusableKeys)?;
        Ok(Self::with_share(negotiated, transcript, share, None))
    }

    pub(crate) fn with_share(
        negotiated: Negotiated,
        transcript: Transcript,
        share: Box<dyn ClientShare>,
        agreed: Option<Agreed>,
    ) -> Self {
        let public = share.public();
        Self { negotiated, transcript, share, public, agreed }
    }

    /// The number of the server's answer.
    pub(crate) const fn number(&self) -> u8 {
        if self.agreed.is_some() { KexDhGexReply::NUMBER } else { KexEcdhReply::NUMBER }
    }

    fn parse<'a>(&self, payload: &'a [u8]) -> Result<KexEcdhReply<'a>, Error> {
        if self.agreed.is_none() {
            return Ok(KexEcdhReply::parse(payload)?);
        }
        let KexDhGexReply { host_key, server_public, signature } = KexDhGexReply::parse(payload)?;
        Ok(KexEcdhReply { host_key, server_public, signature })
    }

    /// Checks the server's answer. An RSA key has at least so many bits.
    pub(crate) fn finish(self, payload: &[u8], min_rsa_bits: usize) -> Result<Proven, Error> {
        let reply = self.parse(payload)?;
        let algorithm = self.negotiated.host_key;
        let host_key = Identity::from_blob_of_bits(reply.host_key, min_rsa_bits)
            .map_err(|error| bad_host_key(&error, min_rsa_bits))?;
        if host_key.key().key_type() != algorithm.key_type()
            || host_key.certificate().is_some() != algorithm.is_certificate()
        {
            return Err(PeerMisbehaved::WrongHostKeyType.into());
        }
        let secret =
            self.share.agree(reply.server_public).map_err(|_| PeerMisbehaved::BadKexShare)?;
        let exchange_hash = self.transcript.exchange_hash(
            self.negotiated.kex.hash(),
            reply.host_key,
            self.agreed.as_ref().map_or(&[], |agreed| &agreed.hashed),
            [&self.public, reply.server_public],
            &secret,
        );
        host_key
            .key()
            .verify(algorithm.signature(), exchange_hash.as_bytes(), reply.signature)
            .map_err(|_| PeerMisbehaved::BadHostKeySignature)?;
        let signature = reply.signature.into();
        Ok(Proven { host_key, signature, exchange_hash, secret })
    }
}

/// A key that is only too small is nobody's fault.
const fn bad_host_key(error: &CertificateError, required: usize) -> Error {
    match error {
        CertificateError::Key(KeyError::RsaModulusSize { bits })
        | CertificateError::Authority(KeyError::RsaModulusSize { bits }) => {
            Error::RsaHostKeySize { bits: *bits, required }
        }
        _ => Error::PeerMisbehaved(PeerMisbehaved::BadHostKey),
    }
}

/// First exchange: the keys are made, and somebody has to say whether this is the right host.
pub(crate) struct AwaitVerdict {
    pub(crate) exchange_hash: Digest,
    pub(crate) sealing: Box<dyn Seal>,
    /// Taken when the server's `NEWKEYS` comes before the verdict.
    pub(crate) opening: Option<Box<dyn Open>>,
}
