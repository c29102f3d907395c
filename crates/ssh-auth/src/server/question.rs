//! The question that a server's application answers.

use alloc::{boxed::Box, string::String};

use ssh_crypto::Secret;
use ssh_keys::{Certificate, Identity, PublicKey, TokenProof, algorithm::SignatureAlgorithm};
use ssh_wire::proof::SessionId;

use crate::method::Method;

/// A client asks to be let in.
///
/// It goes back to the [`Acceptor`](super::Acceptor) that made it with the answer, now or minutes
/// later; no other one takes it. Dropping it leaves the client without an answer.
#[derive(Debug)]
#[must_use = "the client waits for the answer"]
pub struct AuthQuestion {
    pub(super) session: SessionId,
    pub(super) id: u32,
    pub(super) user: Box<str>,
    pub(super) credential: Credential,
}

/// What a client shows.
#[derive(Debug)]
#[non_exhaustive]
pub enum Credential {
    /// Nothing (RFC 4252 §5.2). Only asked where the set of methods has [`Method::None`].
    None,
    /// A password (RFC 4252 §8).
    Password(Secret<String>),
    /// A password and the one to have from now on (RFC 4252 §8).
    PasswordChange {
        /// The present password.
        old: Secret<String>,
        /// The new one.
        new: Secret<String>,
    },
    /// A key (RFC 4252 §7).
    Key {
        /// The key.
        key: PublicKey,
        /// The certificate over the key that the client shows instead of the key alone. It is
        /// well-formed and **not checked**: whether an authority that is trusted has signed it, for
        /// this user and for now, is the application's to see.
        certificate: Option<Certificate>,
        /// What the client signs with, or would.
        algorithm: SignatureAlgorithm,
        /// True if the client has signed for this session, user and service, and the signature
        /// was found good. False for the question whether it should; yes to that lets nobody in.
        proven: bool,
        /// How the token was used that made the signature, if the key is in one.
        token: Option<TokenProof>,
    },
}

impl Credential {
    /// The key or certificate, if it is one.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        match self {
            Self::Key { certificate: Some(certificate), .. } => {
                Some(Identity::Certificate(certificate.clone()))
            }
            Self::Key { key, certificate: None, .. } => Some(Identity::Key(key.clone())),
            Self::None | Self::Password(_) | Self::PasswordChange { .. } => None,
        }
    }
}

impl AuthQuestion {
    /// Who asks to be let in; at most [`MAX_USER_NAME`](crate::limits::MAX_USER_NAME) bytes,
    /// without control characters.
    #[must_use]
    pub const fn user(&self) -> &str {
        &self.user
    }

    /// What the client shows.
    #[must_use]
    pub const fn credential(&self) -> &Credential {
        &self.credential
    }

    /// The method in use.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self.credential {
            Credential::None => Method::None,
            Credential::Password(_) | Credential::PasswordChange { .. } => Method::Password,
            Credential::Key { .. } => Method::PublicKey,
        }
    }
}
