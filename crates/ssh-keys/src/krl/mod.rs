//! `PROTOCOL.krl`: lists of keys and certificates that are in wrong hands.
//!
//! A list that cannot be read in full says nothing about any key, and whoever consults it must
//! then trust none.

mod read;
#[cfg(test)]
mod tests;
mod write;

use alloc::{boxed::Box, collections::BTreeSet, string::String, vec::Vec};
use core::fmt;

use ssh_crypto::hash::HashAlgorithm;
use ssh_wire::{DecodeError, PeerText, escape};

use crate::{
    KeyError, PublicKey, SkippedLine,
    certificate::{Certificate, Identity},
    fingerprint::hash,
};

/// The longest list that is read, in bytes: half a million keys.
pub const MAX_LEN: usize = 16 * 1024 * 1024;
/// The most serial numbers that one bitmap tells of; OpenSSH's limit.
pub const MAX_BITMAP_BITS: u64 = 1 << 24;

const MAGIC: &[u8; 8] = b"SSHKRL\n\0";
const FORMAT: u32 = 1;

/// The numbers of sections and of their parts (`PROTOCOL.krl`).
mod number {
    pub(super) const CERTIFICATES: u8 = 1;
    pub(super) const KEYS: u8 = 2;
    pub(super) const SHA1: u8 = 3;
    pub(super) const SHA256: u8 = 5;
    pub(super) const EXTENSION: u8 = 255;

    pub(super) const SERIALS: u8 = 0x20;
    pub(super) const SERIAL_RANGE: u8 = 0x21;
    pub(super) const SERIAL_BITMAP: u8 = 0x22;
    pub(super) const KEY_IDS: u8 = 0x23;
    pub(super) const PART_EXTENSION: u8 = 0x39;
}

/// A key revocation list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Krl {
    version: u64,
    generated: u64,
    comment: String,
    keys: BTreeSet<Box<[u8]>>,
    sha1: BTreeSet<[u8; 20]>,
    sha256: BTreeSet<[u8; 32]>,
    certificates: Vec<RevokedCertificates>,
}

/// Certificates of one authority, or of any, that are revoked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedCertificates {
    authority: Option<PublicKey>,
    serials: Vec<Serials>,
    key_ids: BTreeSet<String>,
}

/// Serial numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Serials {
    /// From the first to the last.
    Range(u64, u64),
    /// The number `offset + n` for each bit n, counted from the end of the bytes.
    Bitmap { offset: u64, bits: Box<[u8]> },
}

impl Serials {
    fn contain(&self, serial: u64) -> bool {
        match self {
            Self::Range(first, last) => (*first..=*last).contains(&serial),
            Self::Bitmap { offset, bits } => {
                let Some(bit) = serial.checked_sub(*offset) else { return false };
                usize::try_from(bit / 8)
                    .ok()
                    .and_then(|byte| bits.iter().rev().nth(byte))
                    .is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
            }
        }
    }

    /// First and last numbers of the runs.
    fn ranges(&self) -> Vec<(u64, u64)> {
        let (offset, bits) = match self {
            Self::Range(first, last) => return [(*first, *last)].into(),
            Self::Bitmap { offset, bits } => (*offset, bits),
        };
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (at, byte) in (0_u64..).zip(bits.iter().rev()) {
            for bit in (0..8_u64).filter(|bit| byte >> bit & 1 == 1) {
                let serial = offset.saturating_add(at.saturating_mul(8).saturating_add(bit));
                match ranges.last_mut() {
                    Some((_, last)) if last.checked_add(1) == Some(serial) => *last = serial,
                    _ => ranges.push((serial, serial)),
                }
            }
        }
        ranges
    }
}

impl RevokedCertificates {
    /// The authority whose certificates these are; `None` for all of them.
    #[must_use]
    pub const fn authority(&self) -> Option<&PublicKey> {
        self.authority.as_ref()
    }

    /// The serial numbers, as first and last of each run.
    pub fn serials(&self) -> impl Iterator<Item = (u64, u64)> {
        self.serials.iter().flat_map(Serials::ranges)
    }

    /// The key ids.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.key_ids.iter().map(String::as_str)
    }

    fn reason(&self, certificate: &Certificate) -> Option<Revocation> {
        if self.authority.as_ref().is_some_and(|authority| authority != certificate.authority()) {
            return None;
        }
        // 0 means that the authority does not count.
        let serial = certificate.serial();
        if serial != 0 && self.serials.iter().any(|serials| serials.contain(serial)) {
            return Some(Revocation::Serial(serial));
        }
        let key_id = certificate.key_id().raw();
        self.key_ids.contains(key_id).then(|| Revocation::KeyId(certificate.key_id().clone()))
    }
}

/// Why a key is revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Revocation {
    /// The key itself is on the list.
    Key,
    /// The fingerprint of the key is on the list.
    Fingerprint,
    /// The serial number of the certificate is.
    Serial(u64),
    /// The key id of the certificate is.
    KeyId(PeerText),
    /// The authority that signed the certificate is.
    Authority,
}

impl Krl {
    /// A list of nothing, made at `generated` (seconds since 1970).
    #[must_use]
    pub fn new(version: u64, generated: u64, comment: &str) -> Self {
        Self { version, generated, comment: comment.into(), ..Self::default() }
    }

    /// The number of the list, which grows with each edition.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub const fn generated(&self) -> u64 {
        self.generated
    }

    /// What its maker says of it (not for a terminal: see [`ssh_wire::escape`]).
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// Why `identity` is not to be trusted; `None` if nothing is known against it. A certificate is
    /// revoked with its key, and with the key of its authority.
    #[must_use]
    pub fn reason(&self, identity: &Identity) -> Option<Revocation> {
        if let Some(reason) = self.key_reason(identity.key()) {
            return Some(reason);
        }
        let certificate = identity.certificate()?;
        self.certificates
            .iter()
            .find_map(|revoked| revoked.reason(certificate))
            .or_else(|| self.key_reason(certificate.authority()).map(|_| Revocation::Authority))
    }

    fn key_reason(&self, key: &PublicKey) -> Option<Revocation> {
        let sha1 = hash::<20>(HashAlgorithm::Sha1, key.blob());
        let sha256 = hash::<32>(HashAlgorithm::Sha256, key.blob());
        if self.sha1.contains(&sha1) || self.sha256.contains(&sha256) {
            Some(Revocation::Fingerprint)
        } else if self.keys.contains(key.blob()) {
            Some(Revocation::Key)
        } else {
            None
        }
    }

    /// The blobs of the keys that are revoked as such.
    pub fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(|blob| &**blob)
    }

    /// The SHA-1 fingerprints of keys.
    pub fn sha1_fingerprints(&self) -> impl Iterator<Item = &[u8; 20]> {
        self.sha1.iter()
    }

    /// The SHA-256 fingerprints of keys.
    pub fn sha256_fingerprints(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.sha256.iter()
    }

    /// The certificates, by their authority.
    #[must_use]
    pub fn certificates(&self) -> &[RevokedCertificates] {
        &self.certificates
    }

    /// Revokes a key, and with it every certificate over it or signed by it.
    pub fn revoke_key(&mut self, key: &PublicKey) {
        self.keys.insert(key.blob().into());
    }

    /// Revokes the key with this SHA-1 fingerprint.
    pub fn revoke_sha1(&mut self, fingerprint: [u8; 20]) {
        self.sha1.insert(fingerprint);
    }

    /// Revokes the key with this SHA-256 fingerprint.
    pub fn revoke_sha256(&mut self, fingerprint: [u8; 32]) {
        self.sha256.insert(fingerprint);
    }

    /// Revokes the certificates of `authority` (or of all) with serial numbers from `first` to
    /// `last`. There is no number 0, and a range that ends before it begins is none.
    pub fn revoke_serials(&mut self, authority: Option<&PublicKey>, first: u64, last: u64) {
        let first = first.max(1);
        if first <= last {
            self.of(authority).serials.push(Serials::Range(first, last));
        }
    }

    /// Revokes the certificates of `authority` (or of all) with this key id.
    pub fn revoke_key_id(&mut self, authority: Option<&PublicKey>, key_id: &str) {
        self.of(authority).key_ids.insert(key_id.into());
    }

    /// Revokes one certificate: by its serial number, or by its key id if it has none.
    pub fn revoke_certificate(&mut self, certificate: &Certificate) {
        let authority = Some(certificate.authority());
        match certificate.serial() {
            0 => self.revoke_key_id(authority, certificate.key_id().raw()),
            serial => self.revoke_serials(authority, serial, serial),
        }
    }

    /// Makes a new edition.
    pub const fn set_edition(&mut self, version: u64, generated: u64) {
        self.version = version;
        self.generated = generated;
    }

    /// Adds everything that another list revokes.
    pub fn extend(&mut self, other: Self) {
        self.keys.extend(other.keys);
        self.sha1.extend(other.sha1);
        self.sha256.extend(other.sha256);
        for revoked in other.certificates {
            let own = self.of(revoked.authority.as_ref());
            own.serials.extend(revoked.serials);
            own.key_ids.extend(revoked.key_ids);
        }
    }

    fn of(&mut self, authority: Option<&PublicKey>) -> &mut RevokedCertificates {
        let known = self.certificates.iter().position(|own| own.authority.as_ref() == authority);
        let at = known.unwrap_or(self.certificates.len());
        if known.is_none() {
            let authority = authority.cloned();
            self.certificates.push(RevokedCertificates { authority, ..Default::default() });
        }
        // Never taken: the entry is there by now.
        #[expect(clippy::indexing_slicing, reason = "found or pushed above")]
        &mut self.certificates[at]
    }
}

/// Bytes that are no list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KrlError {
    /// The list is longer than [`MAX_LEN`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The bytes do not begin as a list does.
    NotAKrl,
    /// The format has another version.
    UnknownFormat {
        /// The version.
        version: u32,
    },
    /// The list is not built as `PROTOCOL.krl` demands.
    Malformed(DecodeError),
    /// The key of an authority is not acceptable.
    Authority(KeyError),
    /// A section that is unknown, or withdrawn: what it revokes cannot be told.
    UnknownSection {
        /// The number of the section, or of the part of one.
        number: u8,
    },
    /// An extension that has to be understood, and is not.
    CriticalExtension {
        /// Its name.
        name: PeerText,
    },
    /// A list as text has a line that is no key.
    Line(SkippedLine),
}

impl From<DecodeError> for KrlError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for KrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => {
                write!(f, "the revocation list has {len} bytes, at most {MAX_LEN} are read")
            }
            Self::NotAKrl => f.write_str("this is no key revocation list"),
            Self::UnknownFormat { version } => {
                write!(f, "the revocation list has format {version}, supported is {FORMAT}")
            }
            Self::Malformed(error) => error.fmt(f),
            Self::Authority(error) => write!(f, "the key of an authority on the list: {error}"),
            Self::UnknownSection { number } => {
                write!(f, "the revocation list has a section {number}, which is not supported")
            }
            Self::CriticalExtension { name } => {
                write!(f, "the revocation list demands \"{name}\", which is not supported")
            }
            Self::Line(line) => {
                write!(f, "the list of revoked keys: {}", escape(&alloc::format!("{line}")))
            }
        }
    }
}

impl core::error::Error for KrlError {}
