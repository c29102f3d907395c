//! One line of `known_hosts`.

use alloc::{boxed::Box, string::String};

use ssh_crypto::mac::{Hmac, HmacAlgorithm};

use super::HostName;
use crate::{
    Fingerprint, KeyError, LineError, PublicKey, base64,
    line::{MAX_LINE_LEN, field, read_key_text},
    pattern,
    public::shown,
};

/// The length of salt and hash of a hashed name: that of SHA-1.
pub(super) const HASH_LEN: usize = 20;

/// What a line says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Marker {
    /// The key is that of the hosts.
    None,
    /// The key signs the certificates of the hosts, and is itself the key of none.
    CertAuthority,
    /// The hosts must not be trusted with this key.
    Revoked,
}

/// The hosts a line is about.
#[derive(Clone, Debug)]
pub(super) enum Hosts {
    /// A list of patterns, in lower case.
    Patterns(Box<[u8]>),
    /// One name, as HMAC-SHA1 with the salt as the key.
    Hashed { salt: [u8; HASH_LEN], hash: [u8; HASH_LEN] },
}

/// The key on a line.
#[derive(Clone, Debug)]
pub(super) enum LineKey {
    Usable(PublicKey),
    /// Of a type that is not implemented: no host can prove to have it, but it is known.
    Other {
        key_type: String,
        fingerprint: Fingerprint,
    },
}

/// A line that is in order.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) marker: Marker,
    pub(super) hosts: Hosts,
    pub(super) key: LineKey,
}

impl Line {
    /// Reads `[marker] hosts type base64 [comment]`.
    pub(super) fn parse(text: &[u8]) -> Result<Self, LineError> {
        if text.len() > MAX_LINE_LEN {
            return Err(LineError::TooLong);
        }
        let (first, rest) = field(text);
        let (marker, text) = match first {
            b"@revoked" => (Marker::Revoked, rest),
            b"@cert-authority" => (Marker::CertAuthority, rest),
            [b'@', ..] => return Err(LineError::UnknownMarker { marker: shown(first) }),
            _ => (Marker::None, text),
        };
        let (hosts, text) = field(text);
        if hosts.is_empty() {
            return Err(KeyError::MissingField("host name").into());
        }
        let hosts = Hosts::parse(hosts)?;
        Ok(Self { marker, hosts, key: LineKey::parse(text)? })
    }
}

impl Hosts {
    fn parse(text: &[u8]) -> Result<Self, LineError> {
        match text.strip_prefix(b"|") {
            Some(hashed) => parse_hashed(hashed).ok_or(LineError::BadHashedName),
            None => Ok(Self::Patterns(text.to_ascii_lowercase().into())),
        }
    }

    pub(super) fn include(&self, host: &HostName) -> bool {
        let name = host.as_str().as_bytes();
        match self {
            Self::Patterns(patterns) => pattern::list_includes(patterns, name),
            Self::Hashed { salt, hash } => {
                Hmac::new(HmacAlgorithm::Sha1, salt).verify(&[name], hash).is_ok()
            }
        }
    }
}

/// Reads `1|salt|hash`.
fn parse_hashed(text: &[u8]) -> Option<Hosts> {
    let mut parts = text.split(|byte| *byte == b'|');
    let (kind, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    if kind != b"1" || parts.next().is_some() {
        return None;
    }
    let salt = base64::decode(salt)?.try_into().ok()?;
    let hash = base64::decode(hash)?.try_into().ok()?;
    Some(Hosts::Hashed { salt, hash })
}

impl LineKey {
    fn parse(text: &[u8]) -> Result<Self, KeyError> {
        let text = read_key_text(text)?;
        // A list of what is known says nothing of what is enough: whoever connects has to ask for
        // small keys, and one that is revoked is so at any size.
        match PublicKey::from_blob_of_bits(&text.blob, 0) {
            Ok(key) => Ok(Self::Usable(key)),
            Err(KeyError::UnsupportedType { .. }) => Ok(Self::Other {
                key_type: String::from_utf8_lossy(text.key_type).into_owned(),
                fingerprint: Fingerprint::of_blob(&text.blob),
            }),
            Err(error) => Err(error),
        }
    }

    pub(super) fn key_type(&self) -> &str {
        match self {
            Self::Usable(key) => key.key_type().name(),
            Self::Other { key_type, .. } => key_type,
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        match self {
            Self::Usable(key) => key.fingerprint(),
            Self::Other { fingerprint, .. } => *fingerprint,
        }
    }
}
