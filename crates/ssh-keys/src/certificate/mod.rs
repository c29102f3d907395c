//! `PROTOCOL.certkeys` (draft-ietf-sshm-cert): a key, what it may be used for, and the signature
//! of an authority over both.
//!
//! ```text
//! name | nonce | fields of the key | serial | role | key id | principals | after | before
//!      | critical options | extensions | reserved | key of the authority | signature
//! ```
//!
//! Reading a certificate shows that it is well-formed and nothing else. [`Certificate::verify`]
//! checks who signed it and gives a [`Trusted`] certificate, and only that can be asked whether it
//! is good for a host or a user.

mod check;
mod error;
mod issue;
mod options;
#[cfg(test)]
mod tests;

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::fmt;

use ssh_wire::{DecodeErrorKind, PeerText, Reader};

pub use self::{
    check::Trusted,
    error::CertificateError,
    issue::{CertificateRequest, IssueError, Unsigned},
    options::{CertificateOption, Grant},
};
use crate::{
    Fingerprint, KeyError, KeyType, PublicKey, SignatureAlgorithm, line,
    public::{MIN_RSA_BITS, Material, refuse_zero, shown},
    signature,
};

/// The longest certificate that is read, in bytes: it takes two of the largest RSA keys, a
/// signature, and [`MAX_PRINCIPALS`] names.
pub const MAX_LEN: usize = 64 * 1024;
/// The most principals of a certificate; OpenSSH's limit.
pub const MAX_PRINCIPALS: usize = 256;
/// The most options and extensions, each. OpenSSH knows three and six.
pub const MAX_OPTIONS: usize = 64;
/// The end of the validity of a certificate that is valid for ever.
pub const FOREVER: u64 = u64::MAX;

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "PROTOCOL.certkeys has these two")]
pub enum Role {
    /// It proves who a user is.
    User,
    /// It proves who a host is.
    Host,
}

impl Role {
    const fn number(self) -> u32 {
        match self {
            Self::User => 1,
            Self::Host => 2,
        }
    }

    const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::User),
            2 => Some(Self::Host),
            _ => None,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Host => "host",
        })
    }
}

/// A certificate: well-formed, and not yet believed. Keeps its blob as it came; cheap to clone.
#[derive(Clone)]
pub struct Certificate(Arc<Inner>);

struct Inner {
    blob: Box<[u8]>,
    /// As it is spelled in the blob.
    name: &'static str,
    key: PublicKey,
    serial: u64,
    role: Role,
    key_id: PeerText,
    principals: Vec<String>,
    valid_after: u64,
    valid_before: u64,
    critical: Vec<CertificateOption>,
    extensions: Vec<CertificateOption>,
    authority: PublicKey,
    /// How much of the blob is signed.
    signed_len: usize,
    signature: Box<[u8]>,
}

impl Certificate {
    /// Reads the blob that key exchange, authentication requests and files carry.
    ///
    /// # Errors
    /// The [`CertificateError`]s of form: everything that can be seen without knowing whom to
    /// trust, what for, and what time it is.
    pub fn from_blob(blob: &[u8]) -> Result<Self, CertificateError> {
        Self::from_blob_of_bits(blob, MIN_RSA_BITS)
    }

    /// As [`Self::from_blob`], for those who have asked for smaller RSA keys: see
    /// [`PublicKey::from_blob_of_bits`].
    ///
    /// # Errors
    /// As there.
    pub fn from_blob_of_bits(blob: &[u8], min_rsa_bits: usize) -> Result<Self, CertificateError> {
        if blob.len() > MAX_LEN {
            return Err(CertificateError::TooLong { len: blob.len() });
        }
        let mut reader = Reader::new("certificate", blob);
        let name = reader.field("type").string()?;
        let (key_type, name) = core::str::from_utf8(name)
            .ok()
            .and_then(KeyType::certificate_spelled)
            .ok_or_else(|| CertificateError::NotACertificate { name: shown(name) })?;
        reader.field("nonce").string()?;
        let from = reader.offset();
        Material::read(key_type, &mut reader, min_rsa_bits)?;
        let fields = blob.get(from..reader.offset()).unwrap_or_default();
        let key = PublicKey::from_fields(key_type.plain_spelling(name), fields, min_rsa_bits)?;

        let serial = reader.field("serial").uint64()?;
        let number = reader.field("role").uint32()?;
        let role = Role::from_number(number).ok_or(CertificateError::UnknownRole { number })?;
        let at = reader.field("key id").clone();
        let key_id = reader.string()?;
        refuse_zero(&at, key_id)?;
        let principals = read_principals(reader.field("principals").string()?)?;
        let valid_after = reader.field("valid after").uint64()?;
        let valid_before = reader.field("valid before").uint64()?;
        let critical = options::read(reader.field("critical options").string()?)?;
        let extensions = options::read(reader.field("extensions").string()?)?;
        reader.field("reserved").string()?;
        let authority = read_authority(reader.field("authority").string()?, min_rsa_bits)?;
        let signed_len = reader.offset();
        let signature = reader.field("signature").string()?.into();
        reader.finish()?;
        Ok(Self(Arc::new(Inner {
            blob: blob.into(),
            name,
            key,
            serial,
            role,
            key_id: PeerText::from_bytes(key_id),
            principals,
            valid_after,
            valid_before,
            critical,
            extensions,
            authority,
            signed_len,
            signature,
        })))
    }

    /// Reads the first line of the text of a `*-cert.pub` file. Returns the comment too, as it
    /// stands there (not for a terminal: see [`ssh_wire::escape`]).
    ///
    /// # Errors
    /// As [`Self::from_blob`], and the [`KeyError`]s of lines.
    pub fn from_openssh(text: &str) -> Result<(Self, String), CertificateError> {
        let first = text.trim_start().lines().next().unwrap_or_default();
        let text = line::read_key_text(line::trimmed(first.as_bytes()))?;
        let comment = String::from_utf8_lossy(text.comment).into_owned();
        Ok((Self::from_blob(&text.blob)?, comment))
    }

    /// The line for a `*-cert.pub` file, without an end of line.
    #[must_use]
    pub fn to_openssh(&self, comment: &str) -> String {
        line::key_line(self.name(), self.blob(), comment)
    }

    /// The blob, as in [`Self::from_blob`].
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.0.blob
    }

    /// The name of the type as the blob spells it; see [`KeyType::from_certificate_name`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The key that is certified.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        &self.0.key
    }

    /// The number that the authority gave the certificate; 0 if it counts none.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.0.serial
    }

    /// Whom it is for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// What the authority calls the certificate, for logs.
    #[must_use]
    pub fn key_id(&self) -> &PeerText {
        &self.0.key_id
    }

    /// The users, or the hosts (with wildcards), that it is for.
    #[must_use]
    pub fn principals(&self) -> &[String] {
        &self.0.principals
    }

    /// The first second of its validity, since 1970.
    #[must_use]
    pub fn valid_after(&self) -> u64 {
        self.0.valid_after
    }

    /// The first second after its validity, since 1970; [`FOREVER`] if there is none.
    #[must_use]
    pub fn valid_before(&self) -> u64 {
        self.0.valid_before
    }

    /// What who accepts the certificate has to obey, or refuse it.
    #[must_use]
    pub fn critical_options(&self) -> &[CertificateOption] {
        &self.0.critical
    }

    /// What the certificate permits. What is unknown may be ignored.
    #[must_use]
    pub fn extensions(&self) -> &[CertificateOption] {
        &self.0.extensions
    }

    /// The key that has to have signed it.
    #[must_use]
    pub fn authority(&self) -> &PublicKey {
        &self.0.authority
    }

    /// The algorithm that the authority signed with, by the name in the signature.
    #[must_use]
    pub fn signature_name(&self) -> PeerText {
        let name = Reader::new("signature", &self.0.signature).string().unwrap_or_default();
        shown(name)
    }

    /// The algorithm that the authority signed with, if it is one that may be relied on: RSA with
    /// SHA-1 is not.
    #[must_use]
    pub fn signature_algorithm(&self) -> Option<SignatureAlgorithm> {
        signature::algorithm_of(&self.0.signature).ok()
    }

    /// The fingerprint that `ssh-keygen -l` shows: that of the key alone.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.key().fingerprint()
    }

    fn signed(&self) -> &[u8] {
        self.blob().get(..self.0.signed_len).unwrap_or_default()
    }

    fn signature(&self) -> &[u8] {
        &self.0.signature
    }
}

fn read_principals(bytes: &[u8]) -> Result<Vec<String>, CertificateError> {
    let mut reader = Reader::new("certificate principals", bytes);
    let mut principals = Vec::new();
    while reader.left() > 0 {
        let at = reader.field("principal").clone();
        if principals.len() >= MAX_PRINCIPALS {
            let why = DecodeErrorKind::Invalid("more names than a certificate may have");
            return Err(at.error(why).into());
        }
        let principal = reader.utf8()?;
        refuse_zero(&at, principal.as_bytes())?;
        principals.push(principal.into());
    }
    Ok(principals)
}

/// Reads the key of an authority. That it is no certificate itself is seen before it is read, so
/// that chains are not followed, however long.
fn read_authority(blob: &[u8], min_rsa_bits: usize) -> Result<PublicKey, CertificateError> {
    let name = Reader::new("authority", blob).field("type").string()?;
    if core::str::from_utf8(name).ok().and_then(KeyType::certificate_spelled).is_some() {
        return Err(CertificateError::AuthorityIsCertificate);
    }
    PublicKey::from_blob_of_bits(blob, min_rsa_bits).map_err(CertificateError::Authority)
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.blob() == other.blob()
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, key, role, serial, key_id, .. } = &*self.0;
        write!(f, "Certificate({name} {} {role} {serial} {key_id:?})", key.fingerprint())
    }
}

/// What may stand where a key is expected: a key, or a certificate over one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else")]
pub enum Identity {
    /// A key by itself.
    Key(PublicKey),
    /// A certificate.
    Certificate(Certificate),
}

impl Identity {
    /// Reads a blob by the name that it begins with.
    ///
    /// # Errors
    /// As [`Certificate::from_blob`] and [`PublicKey::from_blob`].
    pub fn from_blob(blob: &[u8]) -> Result<Self, CertificateError> {
        Self::from_blob_of_bits(blob, MIN_RSA_BITS)
    }

    /// As [`Self::from_blob`], for those who have asked for other RSA keys; see
    /// [`PublicKey::from_blob_of_bits`].
    ///
    /// # Errors
    /// As there.
    pub fn from_blob_of_bits(blob: &[u8], min_rsa_bits: usize) -> Result<Self, CertificateError> {
        let name = Reader::new("public key", blob).field("type").string()?;
        if core::str::from_utf8(name).ok().and_then(KeyType::certificate_spelled).is_some() {
            Certificate::from_blob_of_bits(blob, min_rsa_bits).map(Self::Certificate)
        } else {
            Ok(Self::Key(PublicKey::from_blob_of_bits(blob, min_rsa_bits)?))
        }
    }

    /// Reads the first line of the text of a `*.pub` file. Returns the comment too.
    ///
    /// # Errors
    /// As [`Self::from_blob`], and the [`KeyError`]s of lines.
    pub fn from_openssh(text: &str) -> Result<(Self, String), CertificateError> {
        Self::from_openssh_of_bits(text, MIN_RSA_BITS)
    }

    /// As [`Self::from_openssh`], for those who have asked for smaller RSA keys; see
    /// [`PublicKey::from_blob_of_bits`].
    ///
    /// # Errors
    /// As there.
    pub fn from_openssh_of_bits(
        text: &str,
        min_rsa_bits: usize,
    ) -> Result<(Self, String), CertificateError> {
        let first = text.trim_start().lines().next().unwrap_or_default();
        let text = line::read_key_text(line::trimmed(first.as_bytes()))?;
        let comment = String::from_utf8_lossy(text.comment).into_owned();
        Ok((Self::from_blob_of_bits(&text.blob, min_rsa_bits)?, comment))
    }

    /// The line for a file, without an end of line.
    #[must_use]
    pub fn to_openssh(&self, comment: &str) -> String {
        match self {
            Self::Key(key) => key.to_openssh(comment),
            Self::Certificate(certificate) => certificate.to_openssh(comment),
        }
    }

    /// The key, with a certificate or without.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        match self {
            Self::Key(key) => key,
            Self::Certificate(certificate) => certificate.key(),
        }
    }

    /// The certificate, if it is one.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        match self {
            Self::Key(_) => None,
            Self::Certificate(certificate) => Some(certificate),
        }
    }

    /// The blob.
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        match self {
            Self::Key(key) => key.blob(),
            Self::Certificate(certificate) => certificate.blob(),
        }
    }

    /// The name of its type as the blob spells it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Key(key) => key.name(),
            Self::Certificate(certificate) => certificate.name(),
        }
    }
}

impl From<KeyError> for CertificateError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}
