//! RFC 4253 §6.6, RFC 5656 §3, RFC 8332 §3, RFC 8709 §3: names of key types and of the
//! algorithms that sign with them, as values.

use core::fmt;

use ssh_crypto::hash::HashAlgorithm;

/// What kind of key a blob holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyType {
    /// `ssh-ed25519` (RFC 8709).
    Ed25519,
    /// `ecdsa-sha2-nistp256` (RFC 5656).
    EcdsaP256,
    /// `ssh-rsa` (RFC 4253 §6.6); signs with SHA-2 only (RFC 8332).
    Rsa,
}

impl KeyType {
    /// All of them, the preferred first.
    pub const ALL: &[Self] = &[Self::Ed25519, Self::EcdsaP256, Self::Rsa];

    /// The name in the blob and at the start of a public key line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::Rsa => "ssh-rsa",
        }
    }

    /// The type with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|key_type| key_type.name() == name)
    }

    /// The algorithms that keys of this type sign with, the preferred first.
    #[must_use]
    pub const fn signature_algorithms(self) -> &'static [SignatureAlgorithm] {
        match self {
            Self::Ed25519 => &[SignatureAlgorithm::Ed25519],
            Self::EcdsaP256 => &[SignatureAlgorithm::EcdsaP256],
            Self::Rsa => &[SignatureAlgorithm::RsaSha512, SignatureAlgorithm::RsaSha256],
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a message is signed: what negotiation, authentication requests and signature blobs name.
///
/// `ssh-rsa` as a signature algorithm (RSA with SHA-1) does not exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SignatureAlgorithm {
    /// `ssh-ed25519` (RFC 8709 §6).
    Ed25519,
    /// `ecdsa-sha2-nistp256` (RFC 5656 §3.1.2).
    EcdsaP256,
    /// `rsa-sha2-512` (RFC 8332 §3).
    RsaSha512,
    /// `rsa-sha2-256` (RFC 8332 §3).
    RsaSha256,
}

/// The names in the host key list of a key exchange: without certificates, the same names as
/// those of signatures.
pub type HostKeyAlgorithm = SignatureAlgorithm;

impl SignatureAlgorithm {
    /// All of them, the preferred first.
    pub const ALL: &[Self] = &[Self::Ed25519, Self::EcdsaP256, Self::RsaSha512, Self::RsaSha256];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::RsaSha512 => "rsa-sha2-512",
            Self::RsaSha256 => "rsa-sha2-256",
        }
    }

    /// The algorithm with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// The type of the keys that sign with it. Only for RSA the two have different names
    /// (RFC 8332 §3).
    #[must_use]
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::Ed25519,
            Self::EcdsaP256 => KeyType::EcdsaP256,
            Self::RsaSha512 | Self::RsaSha256 => KeyType::Rsa,
        }
    }

    /// The hash of the message that is signed. (Ed25519 uses it twice, inside.)
    #[must_use]
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::Ed25519 | Self::RsaSha512 => HashAlgorithm::Sha512,
            Self::EcdsaP256 | Self::RsaSha256 => HashAlgorithm::Sha256,
        }
    }
}

impl fmt::Display for SignatureAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_map_one_to_one() {
        for key_type in KeyType::ALL {
            assert_eq!(KeyType::from_name(key_type.name()), Some(*key_type));
        }
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(SignatureAlgorithm::from_name(algorithm.name()), Some(*algorithm));
            assert!(algorithm.key_type().signature_algorithms().contains(algorithm));
        }
    }

    #[test]
    fn rsa_with_sha1_has_no_name() {
        assert_eq!(SignatureAlgorithm::from_name("ssh-rsa"), None);
    }
}
