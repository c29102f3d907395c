//! sshd(8), SSH_KNOWN_HOSTS FILE FORMAT: which keys belong to which hosts.
//!
//! A line is `[@revoked|@cert-authority] hosts type base64 [comment]`, where hosts are patterns
//! with commas between, or one hashed name. A line that is not in order is skipped: it never
//! matches, it never ends the reading of the others, and [`KnownHosts::skipped`] tells of it.

mod document;
mod host_name;
mod line;
#[cfg(test)]
mod tests;

use alloc::{format, string::String, sync::Arc, vec::Vec};
use core::fmt;

use ssh_crypto::{
    mac::{Hmac, HmacAlgorithm},
    rng::Rng,
};
use ssh_wire::PeerText;

use self::line::{HASH_LEN, Line, LineKey, Marker};
pub use self::{
    document::{Document, FoundLine, LineMarker},
    host_name::{HostName, InvalidHostName, MAX_HOST_NAME_LEN},
};
use crate::{
    Fingerprint, KeyType, PublicKey, SignatureAlgorithm, SkippedLine, base64,
    certificate::{Certificate, CertificateError},
    line::lines,
};

/// The lines of one or several `known_hosts` files.
#[derive(Clone, Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
    skipped: Vec<SkippedLine>,
}

#[derive(Clone, Debug)]
struct Entry {
    source: Arc<str>,
    number: usize,
    line: Line,
}

/// What `known_hosts` says about a host and the key it has proven to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key is known for the host: the only verdict with which to go on unasked.
    Known,
    /// No key is known for the host.
    Unknown,
    /// Another key of the same type is known for the host: somebody may be in between.
    Changed {
        /// The keys of this type that are known.
        known: Vec<KnownKey>,
    },
    /// Only keys of other types are known for the host.
    OtherTypes {
        /// The keys that are known.
        known: Vec<KnownKey>,
    },
    /// The key is marked as revoked for the host: it is in wrong hands. No other line, and nobody
    /// who is asked, can make up for that.
    Revoked {
        /// The file that says so.
        source: Arc<str>,
        /// The number of the line.
        line: usize,
    },
}

/// What `known_hosts` says about a host and the certificate whose key it has proven to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateVerdict {
    /// An authority that is known for the host certifies its key: go on unasked.
    Certified {
        /// The file that has the authority.
        source: Arc<str>,
        /// The number of the line.
        line: usize,
    },
    /// The certificate proves nothing here. The key in it may still be known as such:
    /// [`KnownHosts::lookup`] tells.
    NotCertified(CertificateError),
    /// The key, or the authority, is marked as revoked for the host: it is in wrong hands.
    Revoked {
        /// The file that says so.
        source: Arc<str>,
        /// The number of the line.
        line: usize,
    },
}

/// A key on a line that is about the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KnownKey {
    /// The file.
    pub source: Arc<str>,
    /// The number of the line, from 1.
    pub line: usize,
    /// The type of the key, which need not be one that is implemented.
    pub key_type: PeerText,
    /// The fingerprint of the key.
    pub fingerprint: Fingerprint,
}

impl fmt::Display for KnownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} {}", self.source, self.line, self.key_type, self.fingerprint)
    }
}

impl KnownHosts {
    /// No hosts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the text of a file; `source` is its name, for messages.
    #[must_use]
    pub fn parse(text: &[u8], source: &str) -> Self {
        let source: Arc<str> = source.into();
        let mut hosts = Self::new();
        for (number, text) in lines(text) {
            let source = Arc::clone(&source);
            match Line::parse(text) {
                Ok(line) => hosts.entries.push(Entry { source, number, line }),
                Err(reason) => hosts.skipped.push(SkippedLine { source, line: number, reason }),
            }
        }
        hosts
    }

    /// Adds the lines of another file.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.skipped.extend(other.skipped);
    }

    /// The lines that are not in order, and count for nothing.
    #[must_use]
    pub fn skipped(&self) -> &[SkippedLine] {
        &self.skipped
    }

    /// True if no line counts for anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is known of `host`, which has proven to hold `key`.
    #[must_use]
    pub fn lookup(&self, host: &HostName, key: &PublicKey) -> Verdict {
        let mut is_known = false;
        let mut same_type = Vec::new();
        let mut other_types = Vec::new();
        for entry in self.about(host) {
            match (entry.line.marker, &entry.line.key) {
                (Marker::CertAuthority, _) => {}
                (Marker::Revoked, LineKey::Usable(revoked)) if revoked == key => {
                    let source = Arc::clone(&entry.source);
                    return Verdict::Revoked { source, line: entry.number };
                }
                (Marker::Revoked, _) => {}
                (Marker::None, LineKey::Usable(known)) if known == key => is_known = true,
                (Marker::None, LineKey::Usable(known)) if known.key_type() == key.key_type() => {
                    same_type.push(entry.known_key());
                }
                (Marker::None, _) => other_types.push(entry.known_key()),
            }
        }
        if is_known {
            Verdict::Known
        } else if !same_type.is_empty() {
            Verdict::Changed { known: same_type }
        } else if !other_types.is_empty() {
            Verdict::OtherTypes { known: other_types }
        } else {
            Verdict::Unknown
        }
    }

    /// What is known of `host`, which has proven to hold the key of `certificate`. `now` is in
    /// seconds since 1970.
    #[must_use]
    pub fn lookup_certificate(
        &self,
        host: &HostName,
        certificate: &Certificate,
        now: u64,
    ) -> CertificateVerdict {
        self.lookup_certificate_with(host, certificate, now, |_| true)
    }

    /// As [`Self::lookup_certificate`], with fewer algorithms by which authorities may have signed.
    pub fn lookup_certificate_with(
        &self,
        host: &HostName,
        certificate: &Certificate,
        now: u64,
        is_acceptable: impl FnOnce(SignatureAlgorithm) -> bool,
    ) -> CertificateVerdict {
        let mut authority = None;
        for entry in self.about(host) {
            let LineKey::Usable(key) = &entry.line.key else { continue };
            let is_authority = key == certificate.authority();
            match entry.line.marker {
                Marker::Revoked if is_authority || key == certificate.key() => {
                    let source = Arc::clone(&entry.source);
                    return CertificateVerdict::Revoked { source, line: entry.number };
                }
                Marker::CertAuthority if is_authority => authority = authority.or(Some(entry)),
                _ => {}
            }
        }
        let verdict = certificate
            .verify_with(|_| authority.is_some(), is_acceptable)
            .and_then(|trusted| trusted.for_host(host.host(), now));
        match (verdict, authority) {
            (Ok(()), Some(entry)) => CertificateVerdict::Certified {
                source: Arc::clone(&entry.source),
                line: entry.number,
            },
            (Ok(()), None) => {
                let authority = certificate.authority().fingerprint();
                CertificateVerdict::NotCertified(CertificateError::UntrustedAuthority { authority })
            }
            (Err(error), _) => CertificateVerdict::NotCertified(error),
        }
    }

    /// Whether an authority is known for `host`, so that asking it for a certificate makes sense.
    #[must_use]
    pub fn has_authority_for(&self, host: &HostName) -> bool {
        self.about(host).any(|entry| entry.line.marker == Marker::CertAuthority)
    }

    /// The keys that are known for `host`, without authorities and revoked ones.
    pub fn keys_of(&self, host: &HostName) -> impl Iterator<Item = &PublicKey> {
        self.about(host).filter_map(|entry| match (entry.line.marker, &entry.line.key) {
            (Marker::None, LineKey::Usable(key)) => Some(key),
            _ => None,
        })
    }

    /// The types of the keys that are known for `host`, in the order of the lines: a client asks
    /// for them first, so that a host with several keys shows one that can be checked.
    #[must_use]
    pub fn algorithms_for(&self, host: &HostName) -> Vec<KeyType> {
        let mut types = Vec::new();
        for entry in self.about(host) {
            if let (Marker::None, LineKey::Usable(key)) = (entry.line.marker, &entry.line.key)
                && !types.contains(&key.key_type())
            {
                types.push(key.key_type());
            }
        }
        types
    }

    fn about(&self, host: &HostName) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.line.hosts.include(host))
    }
}

impl Entry {
    fn known_key(&self) -> KnownKey {
        KnownKey {
            source: Arc::clone(&self.source),
            line: self.number,
            key_type: self.line.key.key_type().into(),
            fingerprint: self.line.key.fingerprint(),
        }
    }
}

/// The line that makes `key` known for `host`, with its end of line. With `hashed`, random bytes
/// for the salt, the name of the host cannot be read from it.
#[must_use]
pub fn entry_line(host: &HostName, key: &PublicKey, hashed: Option<&mut dyn Rng>) -> String {
    let key = key.to_openssh("");
    match hashed {
        None => format!("{host} {key}\n"),
        Some(rng) => format!("{} {key}\n", hashed_name(host.as_str().as_bytes(), rng)),
    }
}

/// A name as it stands in a file that does not tell it.
fn hashed_name(name: &[u8], rng: &mut dyn Rng) -> String {
    let mut salt = [0; HASH_LEN];
    rng.fill(&mut salt);
    let mut hash = [0; HASH_LEN];
    Hmac::new(HmacAlgorithm::Sha1, &salt).sign(&[name], &mut hash);
    format!("|1|{}|{}", base64::encode(&salt), base64::encode(&hash))
}
