//! Why a request was not sent.

use core::fmt;

use ssh_keys::{SignError, SignatureError, algorithm::KeyType};

use crate::error::AuthError;

/// A request that was not sent. Except for [`Ended`](Self::Ended) and
/// [`TooManyRequests`](Self::TooManyRequests), another one may be tried.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The key was tried already; the server would count it against the user.
    AlreadyTried,
    /// The last request has not been answered.
    Busy,
    /// The certificate is over another key than the one that is to sign.
    CertificateOfOtherKey,
    /// Authentication has ended with this error.
    Ended(AuthError),
    /// The server says which signature algorithms it takes (RFC 8308 §3.1), and none of them
    /// suits the key.
    NoAlgorithm {
        /// The type of the key.
        key_type: KeyType,
    },
    /// The key could not sign.
    Sign(SignError),
    /// The signature handed in is not one of the key over the data of the request.
    Signature(SignatureError),
    /// Authentication has succeeded.
    Succeeded,
    /// As many requests were sent as [`MAX_REQUESTS`](crate::limits::MAX_REQUESTS) allows.
    TooManyRequests,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyTried => f.write_str("this key was tried already"),
            Self::Busy => f.write_str("the last authentication request is not answered yet"),
            Self::CertificateOfOtherKey => f.write_str("the certificate is over another key"),
            Self::Ended(error) => write!(f, "authentication has failed: {error}"),
            Self::NoAlgorithm { key_type } => write!(
                f,
                "the server takes no signature algorithm for keys of the type {}",
                key_type.name()
            ),
            Self::Sign(error) => write!(f, "the key could not sign: {error}"),
            Self::Signature(error) => {
                write!(f, "the signature does not belong to the key and the request: {error}")
            }
            Self::Succeeded => f.write_str("authentication has succeeded already"),
            Self::TooManyRequests => f.write_str("too many authentication requests"),
        }
    }
}

impl core::error::Error for RequestError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Ended(error) => Some(error),
            Self::Sign(error) => Some(error),
            Self::Signature(error) => Some(error),
            _ => None,
        }
    }
}
