//! `PROTOCOL.sshsig`: signatures over files and other things that are no login.
//!
//! ```text
//! "SSHSIG" | version 1 | public key | namespace | reserved | hash | signature
//! signed:  "SSHSIG" | namespace | reserved | hash | hash of the message
//! ```
//!
//! A valid signature shows that a key made it for a namespace. Whose key that is, and whether it
//! counts, is said by [`AllowedSigners`].

mod allowed_signers;
#[cfg(test)]
mod tests;

use alloc::{string::String, vec::Vec};
use core::fmt;

pub use ssh_crypto::hash::HashAlgorithm;
use ssh_crypto::hash::{Digest, Hasher};
use ssh_wire::{DecodeError, DecodeErrorKind, Encode as _, PeerText, Reader, put_string};

pub use self::allowed_signers::{AllowedSigner, AllowedSigners, NotAllowed};
use crate::{
    PrivateKey, PublicKey, SignError, SignatureError, TokenProof, base64,
    certificate::{CertificateError, Identity},
    public::shown,
    signature,
};

const BEGIN: &str = "-----BEGIN SSH SIGNATURE-----";
const END: &str = "-----END SSH SIGNATURE-----";
const MAGIC: &[u8; 6] = b"SSHSIG";
const VERSION: u32 = 1;
/// Characters of base64 in a line, as `ssh-keygen` writes them.
const LINE_LEN: usize = 70;

/// The longest signature that is read, in bytes of its file.
pub const MAX_LEN: usize = 128 * 1024;

/// A signature: well-formed, and not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshSignature {
    identity: Identity,
    namespace: String,
    reserved: Vec<u8>,
    hash: HashAlgorithm,
    signature: Vec<u8>,
}

impl SshSignature {
    /// Signs `message` for `namespace`, such as `file` or `git`, with the hash that `ssh-keygen`
    /// uses, SHA-512.
    ///
    /// # Errors
    /// [`SshSigError::EmptyNamespace`] and [`SshSigError::Sign`].
    pub fn sign(key: &PrivateKey, namespace: &str, message: &[u8]) -> Result<Self, SshSigError> {
        let unsigned = UnsignedSsh::new(namespace, HashAlgorithm::Sha512, message)?;
        let algorithm = key.algorithms().first().copied();
        let signature = algorithm
            .ok_or(SignError::Failed)
            .and_then(|algorithm| key.sign(algorithm, &unsigned.to_bytes()))
            .map_err(SshSigError::Sign)?;
        unsigned.signed_with(Identity::Key(key.public().clone()), &signature)
    }

    /// Reads the text of a `*.sig` file.
    ///
    /// # Errors
    /// [`SshSigError`], but for those of checking.
    pub fn from_armored(text: &[u8]) -> Result<Self, SshSigError> {
        if text.len() > MAX_LEN {
            return Err(SshSigError::TooLong { len: text.len() });
        }
        let rest = text.trim_ascii_start().strip_prefix(BEGIN.as_bytes());
        let rest = rest.ok_or(SshSigError::NotArmored)?;
        let end = rest.windows(END.len()).position(|window| window == END.as_bytes());
        let body = end.and_then(|end| rest.get(..end)).ok_or(SshSigError::Truncated)?;
        let bytes = base64::decode_secret(body).ok_or(SshSigError::NotBase64)?;
        Self::from_bytes(bytes.expose())
    }

    /// Reads what is inside of the text.
    ///
    /// # Errors
    /// As [`Self::from_armored`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SshSigError> {
        if bytes.len() > MAX_LEN {
            return Err(SshSigError::TooLong { len: bytes.len() });
        }
        let mut reader = Reader::new("SSHSIG", bytes);
        let at = reader.field("magic").clone();
        if reader.array()? != *MAGIC {
            return Err(at.error(DecodeErrorKind::Invalid("must be \"SSHSIG\"")).into());
        }
        let version = reader.field("version").uint32()?;
        if version != VERSION {
            return Err(SshSigError::UnknownVersion { version });
        }
        let identity = reader.field("public key").string()?;
        let identity = Identity::from_blob(identity).map_err(SshSigError::Identity)?;
        let namespace = reader.field("namespace").utf8()?;
        let reserved = reader.field("reserved").string()?.into();
        let hash = reader.field("hash").string()?;
        let hash =
            hash_from_name(hash).ok_or_else(|| SshSigError::UnknownHash { name: shown(hash) })?;
        let signature = reader.field("signature").string()?.into();
        reader.finish()?;
        check_namespace(namespace)?;
        Ok(Self { identity, namespace: namespace.into(), reserved, hash, signature })
    }

    /// What is inside of the text.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        VERSION.encode(&mut out);
        put_string(&mut out, self.identity.blob());
        put_string(&mut out, self.namespace.as_bytes());
        put_string(&mut out, &self.reserved);
        put_string(&mut out, hash_name(self.hash).as_bytes());
        put_string(&mut out, &self.signature);
        out
    }

    /// The text of a `*.sig` file.
    #[must_use]
    pub fn to_armored(&self) -> String {
        let base64 = base64::encode(&self.to_bytes());
        let lines = base64.as_bytes().chunks(LINE_LEN);
        let mut text = String::new();
        for line in [BEGIN.as_bytes()].into_iter().chain(lines).chain([END.as_bytes()]) {
            text.push_str(core::str::from_utf8(line).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// The key that has made it, or so it says.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What it is for.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The hash of the message that is signed.
    #[must_use]
    pub const fn hash(&self) -> HashAlgorithm {
        self.hash
    }

    /// Checks that the key has signed `message` for `namespace`. **That says nothing about whose
    /// key it is**: ask [`AllowedSigners`]. Tells how the token was used, if the key is in one.
    ///
    /// # Errors
    /// [`SshSigError::WrongNamespace`] and [`SshSigError::Signature`].
    pub fn verify(
        &self,
        namespace: &str,
        message: &[u8],
    ) -> Result<Option<TokenProof>, SshSigError> {
        let mut hasher = Hasher::new(self.hash);
        hasher.update(message);
        self.verify_digest(namespace, &hasher.finish())
    }

    /// As [`Self::verify`], for a message that was hashed, with [`Self::hash`], as it came.
    ///
    /// # Errors
    /// As there.
    pub fn verify_digest(
        &self,
        namespace: &str,
        digest: &Digest,
    ) -> Result<Option<TokenProof>, SshSigError> {
        if namespace != self.namespace {
            let (expected, found) = (namespace.into(), self.namespace.as_str().into());
            return Err(SshSigError::WrongNamespace { expected, found });
        }
        let data = signed_data(&self.namespace, &self.reserved, self.hash, digest);
        let algorithm = signature::algorithm_of(&self.signature).map_err(SshSigError::Signature)?;
        let key: &PublicKey = self.identity.key();
        key.verify_proof(algorithm, &data, &self.signature).map_err(SshSigError::Signature)
    }
}

/// A signature that lacks its key and the signature proper: for keys that are in an agent.
#[derive(Clone, Debug)]
pub struct UnsignedSsh {
    namespace: String,
    hash: HashAlgorithm,
    digest: Digest,
}

impl UnsignedSsh {
    /// Begins a signature of `message` for `namespace`.
    ///
    /// # Errors
    /// [`SshSigError::EmptyNamespace`], or [`SshSigError::UnknownHash`] if `hash` is neither
    /// SHA-256 nor SHA-512.
    pub fn new(namespace: &str, hash: HashAlgorithm, message: &[u8]) -> Result<Self, SshSigError> {
        let mut hasher = Hasher::new(hash);
        hasher.update(message);
        Self::of_digest(namespace, hash, hasher.finish())
    }

    /// As [`Self::new`], for a message that was hashed as it came.
    ///
    /// # Errors
    /// As there.
    pub fn of_digest(
        namespace: &str,
        hash: HashAlgorithm,
        digest: Digest,
    ) -> Result<Self, SshSigError> {
        check_namespace(namespace)?;
        if hash_from_name(hash_name(hash).as_bytes()).is_none() {
            return Err(SshSigError::UnknownHash { name: "another than sha256 and sha512".into() });
        }
        Ok(Self { namespace: namespace.into(), hash, digest })
    }

    /// What the key has to sign: RSA keys with SHA-2.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        signed_data(&self.namespace, &[], self.hash, &self.digest)
    }

    /// The signature with the blob that the key gave.
    ///
    /// # Errors
    /// [`SshSigError::Signature`] if it is not one of the key over this.
    pub fn signed_with(
        self,
        identity: Identity,
        signature: &[u8],
    ) -> Result<SshSignature, SshSigError> {
        let Self { namespace, hash, digest } = self;
        let signature = SshSignature {
            identity,
            namespace: namespace.clone(),
            reserved: Vec::new(),
            hash,
            signature: signature.into(),
        };
        signature.verify_digest(&namespace, &digest)?;
        Ok(signature)
    }
}

fn signed_data(namespace: &str, reserved: &[u8], hash: HashAlgorithm, digest: &Digest) -> Vec<u8> {
    let mut data = Vec::new();
    data.extend_from_slice(MAGIC);
    put_string(&mut data, namespace.as_bytes());
    put_string(&mut data, reserved);
    put_string(&mut data, hash_name(hash).as_bytes());
    put_string(&mut data, digest.as_bytes());
    data
}

/// Without a namespace a signature for one thing could be used for another.
fn check_namespace(namespace: &str) -> Result<(), SshSigError> {
    if namespace.is_empty() || namespace.contains('\0') {
        Err(SshSigError::EmptyNamespace)
    } else {
        Ok(())
    }
}

const fn hash_name(hash: HashAlgorithm) -> &'static str {
    match hash {
        HashAlgorithm::Sha256 => "sha256",
        HashAlgorithm::Sha512 => "sha512",
        _ => "",
    }
}

const fn hash_from_name(name: &[u8]) -> Option<HashAlgorithm> {
    match name {
        b"sha256" => Some(HashAlgorithm::Sha256),
        b"sha512" => Some(HashAlgorithm::Sha512),
        _ => None,
    }
}

/// A signature that is none, or does not show what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SshSigError {
    /// The file is longer than [`MAX_LEN`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The text does not begin as a signature does.
    NotArmored,
    /// The text ends too early.
    Truncated,
    /// What stands between the `-----` lines is not base64.
    NotBase64,
    /// The signature is not built as `PROTOCOL.sshsig` demands.
    Malformed(DecodeError),
    /// The format has another version.
    UnknownVersion {
        /// The version.
        version: u32,
    },
    /// The message was hashed in a way that is not implemented.
    UnknownHash {
        /// The name of the hash.
        name: PeerText,
    },
    /// The signature names nothing that it is for.
    EmptyNamespace,
    /// The signature is for something else.
    WrongNamespace {
        /// What it was shown for.
        expected: PeerText,
        /// What it is for.
        found: PeerText,
    },
    /// The key or certificate is not acceptable.
    Identity(CertificateError),
    /// The key has not signed this.
    Signature(SignatureError),
    /// The key does not sign.
    Sign(SignError),
}

impl From<DecodeError> for SshSigError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for SshSigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => {
                write!(f, "the signature file has {len} bytes, at most {MAX_LEN} are read")
            }
            Self::NotArmored => write!(f, "not a signature: such a file begins with \"{BEGIN}\""),
            Self::Truncated => f.write_str("the signature file is cut short"),
            Self::NotBase64 => f.write_str("the signature file holds something not base64"),
            Self::Malformed(error) => error.fmt(f),
            Self::UnknownVersion { version } => {
                write!(f, "the signature has version {version}, supported is {VERSION}")
            }
            Self::UnknownHash { name } => {
                write!(f, "the message was hashed with \"{name}\", supported are sha256 and sha512")
            }
            Self::EmptyNamespace => f.write_str("the signature has no namespace"),
            Self::WrongNamespace { expected, found } => {
                write!(f, "the signature is for \"{found}\", not for \"{expected}\"")
            }
            Self::Identity(error) => error.fmt(f),
            Self::Signature(error) => error.fmt(f),
            Self::Sign(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for SshSigError {}
