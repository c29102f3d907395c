//! Fingerprints as OpenSSH has shown them since 6.8: `SHA256:` and base64 without padding.

use core::fmt;

use ssh_crypto::hash::{HashAlgorithm, digest};

use crate::base64;

/// The SHA-256 of a public key blob: short enough to be read by a person.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of the key with this blob. The blob need not be of a known type.
    #[must_use]
    pub fn of_blob(blob: &[u8]) -> Self {
        let digest = digest(HashAlgorithm::Sha256, blob);
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
            *to = *from;
        }
        Self(bytes)
    }

    /// The hash.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// `SHA256:` and 43 characters, as `ssh-keygen -l` shows it.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SHA256:")?;
        f.write_str(&base64::encode_unpadded(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use crate::testing;

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        for name in ["ed25519_1", "ed25519_2", "ecdsa_1", "rsa_2"] {
            let key = testing::public(&std::format!("openssh/{name}.pub"));
            let expected = testing::text(&std::format!("openssh/{name}.fp"));
            assert_eq!(key.fingerprint().to_string(), expected.trim_end(), "{name}");
        }
    }
}
