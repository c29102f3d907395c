//! Why a host is not trusted.

use core::fmt;
use std::path::PathBuf;

use ssh_keys::{Fingerprint, certificate::CertificateError};

use super::shown;

/// Why a host key was not accepted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HostKeyError {
    /// The host as known_hosts names it.
    pub host: String,
    /// The kind of key that the host showed.
    pub key_type: &'static str,
    /// The fingerprint of the key that the host showed.
    pub fingerprint: Fingerprint,
    /// What is the matter with it.
    pub reason: HostKeyReason,
}

/// What is the matter with a host key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum HostKeyReason {
    /// No file lists a key for the host.
    Unknown {
        /// Where to add it.
        file: Option<PathBuf>,
    },
    /// A file lists another key for the host.
    Changed {
        /// `file:line` of each key listed.
        known: Vec<String>,
    },
    /// It is not the one key that was to be trusted
    /// ([`HostKeys::exactly`](crate::HostKeys::exactly)).
    Unexpected {
        /// The fingerprint of that one.
        expected: Fingerprint,
    },
    /// A file says that this key must never be accepted.
    Revoked {
        /// `file:line` of the entry.
        at: String,
    },
    /// The host shows a certificate that proves nothing here, and no file lists its key either.
    NotCertified {
        /// What is wrong with the certificate.
        error: CertificateError,
    },
    /// The DNS has the fingerprint of another key for the host.
    DnsDiffers,
    /// Whoever was asked said no.
    Refused,
}

impl fmt::Display for HostKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, key_type, fingerprint, reason } = self;
        match reason {
            HostKeyReason::Unknown { file } => {
                write!(f, "the host {host} is unknown; its {key_type} key is {fingerprint}. ")?;
                f.write_str("Compare it with what the host's owner says")?;
                match file {
                    Some(file) => {
                        write!(f, " and add it to {}", shown(file))?;
                        f.write_str("; chiton keyscan and ssh-keyscan write the line")
                    }
                    None => Ok(()),
                }
            }
            HostKeyReason::Changed { known } => write!(
                f,
                "THE KEY OF {host} HAS CHANGED: it shows a {key_type} key {fingerprint}, but {} \
                 {} another one. Either the host was set up anew, or somebody is in between. \
                 Remove the old key only if you know why it changed",
                known.join(", "),
                if known.len() == 1 { "lists" } else { "list" },
            ),
            HostKeyReason::Unexpected { expected } => write!(
                f,
                "{host} shows the {key_type} key {fingerprint}, but the only one to be trusted is \
                 {expected}. Either the host was set up anew, or somebody is in between. Trust \
                 another key only if you know why it changed"
            ),
            HostKeyReason::Revoked { at } => write!(
                f,
                "the {key_type} key {fingerprint} that {host} shows is marked as revoked at {at}: \
                 do not connect"
            ),
            HostKeyReason::NotCertified { error } => write!(
                f,
                "the certificate that {host} shows proves nothing: {error}; and its {key_type} key \
                 {fingerprint} is unknown"
            ),
            HostKeyReason::DnsDiffers => write!(
                f,
                "the {key_type} key {fingerprint} that {host} shows is not the one that the DNS has \
                 for it: somebody may be in between"
            ),
            HostKeyReason::Refused => {
                write!(f, "the {key_type} key {fingerprint} of {host} was not accepted")
            }
        }
    }
}
