//! The question whether a host key is the right one, as two values (RFC 4251 §4.1).
//!
//! ```text
//! signature over the exchange hash verified ──► HostKeyOffer ──trust()──► HostKeyTrusted
//!                                                    └──drop── refused
//! ```
//!
//! An offer is made by the client's key exchange alone, and only [`HostKeyTrusted`] lets the
//! transport send `NEWKEYS`: authentication cannot be reached around them.

use alloc::boxed::Box;
use core::fmt;

use ssh_crypto::hash::Digest;
use ssh_keys::{Certificate, Identity, PublicKey};

use crate::algorithm::HostKeyAlgorithm;

/// A host key whose owner signed this connection's exchange hash. Dropping it refuses it.
#[must_use = "a key exchange waits for the answer"]
pub struct HostKeyOffer(Box<Inner>);

struct Inner {
    identity: Identity,
    algorithm: HostKeyAlgorithm,
    exchange_hash: Digest,
    signature: Box<[u8]>,
}

impl HostKeyOffer {
    /// Called once the signature has been verified.
    pub(crate) fn verified(
        identity: Identity,
        algorithm: HostKeyAlgorithm,
        exchange_hash: Digest,
        signature: Box<[u8]>,
    ) -> Self {
        Self(Box::new(Inner { identity, algorithm, exchange_hash, signature }))
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        self.0.identity.key()
    }

    /// The certificate that came with it. Nobody has checked yet what it says, nor by whom it is;
    /// to those who know no authority the key is one as any other.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.0.identity.certificate()
    }

    /// The algorithm that it signed with.
    #[must_use]
    pub const fn algorithm(&self) -> HostKeyAlgorithm {
        self.0.algorithm
    }

    /// What it signed: the exchange hash, which becomes the session identifier.
    #[must_use]
    pub fn exchange_hash(&self) -> &[u8] {
        self.0.exchange_hash.as_bytes()
    }

    /// The signature, a blob of name and signature. With it an agent can be told which host a
    /// session leads to.
    #[must_use]
    pub const fn signature(&self) -> &[u8] {
        &self.0.signature
    }

    /// States that the key is that of the host one wanted to reach.
    pub fn trust(self) -> HostKeyTrusted {
        HostKeyTrusted(self)
    }
}

impl fmt::Debug for HostKeyOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostKeyOffer")
            .field("key", self.key())
            .field("algorithm", &self.0.algorithm)
            .finish_non_exhaustive()
    }
}

/// A host key that somebody took the responsibility for; made by [`HostKeyOffer::trust`].
#[must_use = "a key exchange waits for it"]
pub struct HostKeyTrusted(HostKeyOffer);

impl HostKeyTrusted {
    /// The exchange that the answer belongs to.
    pub(crate) const fn exchange_hash(&self) -> &Digest {
        &self.0.0.exchange_hash
    }

    /// The key, to compare later exchanges with.
    pub(crate) fn into_key(self) -> PublicKey {
        self.0.0.identity.key().clone()
    }
}

impl fmt::Debug for HostKeyTrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HostKeyTrusted").field(self.0.key()).finish()
    }
}
