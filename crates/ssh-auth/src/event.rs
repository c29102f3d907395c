//! What happened: the answers of [`client::Authenticator::handle`](crate::client::Authenticator)
//! and [`server::Acceptor::handle`](crate::server::Acceptor).

use ssh_keys::{KeyError, PublicKey, SignatureError, certificate::CertificateError};
use ssh_wire::{PeerText, proof::Authenticated};

use crate::method::Methods;
use crate::{client::SignRequest, server::AuthQuestion};

/// What a client learns.
#[derive(Debug)]
#[non_exhaustive]
pub enum AuthEvent {
    /// Text that the server wants the user to read (RFC 4252 §5.4).
    Banner(PeerText),
    /// The request was refused, or it succeeded and more is needed.
    Failed {
        /// The methods that can continue.
        remaining: Methods,
        /// True if the request succeeded.
        partial: bool,
    },
    /// The server would accept a signature of the key asked about.
    KeyAccepted(SignRequest),
    /// The password was right but has expired, or the new one is not good enough:
    /// [`change_password`](crate::client::Authenticator::change_password), or another method.
    ChangePassword {
        /// What the server says about it.
        prompt: PeerText,
    },
    /// The user is authenticated.
    Success(Authenticated),
}

/// What a server learns.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerAuthEvent {
    /// The client asks to be let in; the application answers with
    /// [`accept`](crate::server::Acceptor::accept) or [`reject`](crate::server::Acceptor::reject).
    Request(AuthQuestion),
    /// A request was refused without a question. For logs.
    Refused(Refusal),
}

/// Why a server refused a request by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The method is unknown, or not among those that can continue.
    Method {
        /// Its name.
        name: PeerText,
    },
    /// The signature algorithm is unknown.
    Algorithm {
        /// Its name.
        name: PeerText,
    },
    /// The algorithm is not one for keys of this type (RFC 8332 §3).
    AlgorithmOfOtherKeyType {
        /// The key.
        key: PublicKey,
    },
    /// The blob is not a key that can be used.
    Key(KeyError),
    /// The blob is not a certificate.
    Certificate(CertificateError),
    /// The key has completed a factor before.
    KeyUsed {
        /// The key.
        key: PublicKey,
    },
    /// The signature is not one of the key for this session, user and service.
    Signature {
        /// The key.
        key: PublicKey,
        /// What is wrong.
        error: SignatureError,
    },
    /// The password is longer than [`MAX_PASSWORD`](crate::limits::MAX_PASSWORD) or not UTF-8.
    Password,
}
