//! What can be wrong with certificates.

use alloc::string::String;
use core::fmt;

use ssh_wire::{DecodeError, Fault, PeerText, Rule};

use super::{MAX_LEN, Role};
use crate::{Fingerprint, KeyError, SignatureError};

/// A certificate that is none, or that is not good for what it was shown for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateError {
    /// The blob is longer than [`MAX_LEN`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The blob is not built as `PROTOCOL.certkeys` demands.
    Malformed(DecodeError),
    /// The name in the blob is not that of a certificate.
    NotACertificate {
        /// The name.
        name: PeerText,
    },
    /// The key that is certified, or the line it stands on, is not acceptable.
    Key(KeyError),
    /// The key of the authority is not acceptable.
    Authority(KeyError),
    /// The authority is itself certified; chains do not exist.
    AuthorityIsCertificate,
    /// The certificate is for neither users nor hosts.
    UnknownRole {
        /// The number of its role.
        number: u32,
    },
    /// The authority is not one that is trusted here.
    UntrustedAuthority {
        /// The fingerprint of its key.
        authority: Fingerprint,
    },
    /// The authority signed with an algorithm that nobody may rely on, RSA with SHA-1 above all.
    UnacceptableAlgorithm {
        /// The name of the algorithm.
        name: PeerText,
    },
    /// The authority did not sign this.
    Signature(SignatureError),
    /// The certificate is for something else.
    WrongRole {
        /// What it was shown for.
        expected: Role,
    },
    /// The certificate is not valid yet.
    NotYetValid {
        /// From when on it will be, in seconds since 1970.
        valid_after: u64,
    },
    /// The certificate is not valid any more.
    Expired {
        /// Since when it is not, in seconds since 1970.
        valid_before: u64,
    },
    /// The certificate names nobody. That never means everybody.
    NoPrincipals,
    /// The certificate is for others.
    WrongPrincipal {
        /// Who was looked for.
        expected: String,
    },
    /// The certificate demands something that is unknown here, so it cannot be obeyed.
    UnknownCriticalOption {
        /// The name of the option.
        name: PeerText,
    },
    /// An option stands there twice, and the two may contradict each other.
    DuplicateOption {
        /// The name of the option.
        name: PeerText,
    },
    /// The value of an option does not say what it has to say.
    BadOption {
        /// The name of the option.
        name: PeerText,
    },
}

impl CertificateError {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Key(error) | Self::Authority(error) => error.fault(),
            Self::UntrustedAuthority { .. }
            | Self::UnacceptableAlgorithm { .. }
            | Self::WrongRole { .. }
            | Self::NotYetValid { .. }
            | Self::Expired { .. }
            | Self::NoPrincipals
            | Self::WrongPrincipal { .. }
            | Self::UnknownCriticalOption { .. } => Fault::Policy,
            _ => Fault::Peer,
        }
    }

    /// The rule that the certificate breaks, where it breaks one.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::Key(error) | Self::Authority(error) => error.rule(),
            Self::UntrustedAuthority { .. } | Self::TooLong { .. } => None,
            Self::Signature(error) => error.rule(),
            _ => Some(Rule("PROTOCOL.certkeys")),
        }
    }
}

impl From<DecodeError> for CertificateError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => {
                write!(f, "the certificate has {len} bytes, at most {MAX_LEN} are read")
            }
            Self::Malformed(error) => error.fmt(f),
            Self::NotACertificate { name } => write!(f, "\"{name}\" is no type of certificates"),
            Self::Key(error) => error.fmt(f),
            Self::Authority(error) => write!(f, "the key of the authority: {error}"),
            Self::AuthorityIsCertificate => {
                f.write_str("the authority of the certificate is a certificate itself")
            }
            Self::UnknownRole { number } => {
                write!(f, "the certificate is for neither users nor hosts (role {number})")
            }
            Self::UntrustedAuthority { authority } => {
                write!(f, "the authority of the certificate, {authority}, is not trusted")
            }
            Self::UnacceptableAlgorithm { name } => {
                write!(f, "the authority signed with \"{name}\", which proves nothing any more")
            }
            Self::Signature(error) => write!(f, "the signature of the authority: {error}"),
            Self::WrongRole { expected } => {
                write!(f, "the certificate is not one for a {expected}")
            }
            Self::NotYetValid { valid_after } => {
                write!(f, "the certificate is not valid before ")?;
                write_time(f, *valid_after)
            }
            Self::Expired { valid_before } => {
                write!(f, "the certificate has not been valid since ")?;
                write_time(f, *valid_before)
            }
            Self::NoPrincipals => f.write_str("the certificate names nobody that it is for"),
            Self::WrongPrincipal { expected } => {
                write!(f, "the certificate is not for \"{}\"", ssh_wire::escape(expected))
            }
            Self::UnknownCriticalOption { name } => {
                write!(f, "the certificate demands \"{name}\", which is not supported")
            }
            Self::DuplicateOption { name } => {
                write!(f, "the certificate has the option \"{name}\" twice")
            }
            Self::BadOption { name } => {
                write!(f, "the option \"{name}\" of the certificate has no proper value")
            }
        }
    }
}

fn write_time(f: &mut fmt::Formatter<'_>, unix: u64) -> fmt::Result {
    match crate::calendar::civil(unix) {
        Some([year, month, day, hour, minute, second]) => {
            write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
        }
        None => write!(f, "the end of time"),
    }
}

impl core::error::Error for CertificateError {}
