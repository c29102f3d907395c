//! RFC 4253 §6.6, RFC 5656 §3, RFC 8332 §3, RFC 8709 §3, OpenSSH's `PROTOCOL.u2f` and
//! `PROTOCOL.certkeys`, draft-ietf-sshm-composite-sigs: names of key types, of their certificates
//! and of the algorithms that sign with them, as values.

use core::fmt;

use ssh_crypto::{hash::HashAlgorithm, sign::EcdsaCurve};

/// What kind of key a blob holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum KeyType {
    /// `ssh-ed25519` (RFC 8709).
    Ed25519,
    /// `ecdsa-sha2-nistp256` (RFC 5656).
    EcdsaP256,
    /// `ecdsa-sha2-nistp384` (RFC 5656).
    EcdsaP384,
    /// `ecdsa-sha2-nistp521` (RFC 5656).
    EcdsaP521,
    /// `sk-ssh-ed25519@openssh.com`: Ed25519 in a FIDO token (`PROTOCOL.u2f`).
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com`: ECDSA in a FIDO token (`PROTOCOL.u2f`).
    SkEcdsaP256,
    /// `ssh-rsa` (RFC 4253 §6.6); signs with SHA-2 (RFC 8332).
    Rsa,
    /// `ssh-mldsa44-ed25519`: ML-DSA-44 and Ed25519, of which both have to be right
    /// (draft-ietf-sshm-composite-sigs).
    MlDsa44Ed25519,
}

impl KeyType {
    /// All of them, the preferred first.
    pub const ALL: &[Self] = &[
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::SkEd25519,
        Self::SkEcdsaP256,
        Self::Rsa,
        Self::MlDsa44Ed25519,
    ];

    /// The name in the blob and at the start of a public key line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::Rsa => "ssh-rsa",
            Self::MlDsa44Ed25519 => "ssh-mldsa44-ed25519",
        }
    }

    /// The name of a certificate over a key of this type.
    #[must_use]
    pub const fn certificate_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519-cert-v01@openssh.com",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384-cert-v01@openssh.com",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521-cert-v01@openssh.com",
            Self::SkEd25519 => "sk-ssh-ed25519-cert-v01@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::Rsa => "ssh-rsa-cert-v01@openssh.com",
            Self::MlDsa44Ed25519 => "ssh-mldsa44-ed25519-cert",
        }
    }

    /// The names under which the type and its certificates went before they were registered:
    /// OpenSSH 10.4 and 10.5 write them, and they are read.
    const fn earlier_names(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::MlDsa44Ed25519 => Some((
                "ssh-mldsa44-ed25519@openssh.com",
                "ssh-mldsa44-ed25519-cert-v01@openssh.com",
            )),
            _ => None,
        }
    }

    /// The type with this name, or with the name it had earlier.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::spelled(name).map(|(key_type, _)| key_type)
    }

    /// The type of the keys under certificates with this name.
    #[must_use]
    pub fn from_certificate_name(name: &str) -> Option<Self> {
        Self::certificate_spelled(name).map(|(key_type, _)| key_type)
    }

    /// The type with this name, and the name as it is spelled here.
    pub(crate) fn spelled(name: &str) -> Option<(Self, &'static str)> {
        Self::ALL.iter().find_map(|key_type| {
            let earlier = key_type.earlier_names().map(|(earlier, _)| earlier);
            [Some(key_type.name()), earlier]
                .into_iter()
                .flatten()
                .find(|spelling| *spelling == name)
                .map(|spelling| (*key_type, spelling))
        })
    }

    /// The type of the key under a certificate with this name, and the name as it is spelled here.
    pub(crate) fn certificate_spelled(name: &str) -> Option<(Self, &'static str)> {
        Self::ALL.iter().find_map(|key_type| {
            let earlier = key_type.earlier_names().map(|(_, earlier)| earlier);
            [Some(key_type.certificate_name()), earlier]
                .into_iter()
                .flatten()
                .find(|spelling| *spelling == name)
                .map(|spelling| (*key_type, spelling))
        })
    }

    /// How certificates over a key are called whose own name is spelled `name`, and the reverse.
    pub(crate) fn certificate_spelling(self, name: &str) -> &'static str {
        match self.earlier_names() {
            Some((earlier, certificate)) if earlier == name => certificate,
            _ => self.certificate_name(),
        }
    }

    /// How the key is called in a certificate that is called `certificate`.
    pub(crate) fn plain_spelling(self, certificate: &str) -> &'static str {
        match self.earlier_names() {
            Some((name, earlier)) if earlier == certificate => name,
            _ => self.name(),
        }
    }

    /// Whether the private half is in a FIDO token and signs only through an agent.
    #[must_use]
    pub const fn is_hardware(self) -> bool {
        matches!(self, Self::SkEd25519 | Self::SkEcdsaP256)
    }

    /// How `ssh-keygen -l` calls the type.
    #[must_use]
    pub const fn short_name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ED25519",
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => "ECDSA",
            Self::SkEd25519 => "ED25519-SK",
            Self::SkEcdsaP256 => "ECDSA-SK",
            Self::Rsa => "RSA",
            Self::MlDsa44Ed25519 => "MLDSA44-ED25519",
        }
    }

    /// The algorithms that keys of this type sign with, the preferred first.
    #[must_use]
    pub const fn signature_algorithms(self) -> &'static [SignatureAlgorithm] {
        match self {
            Self::Ed25519 => &[SignatureAlgorithm::Ed25519],
            Self::EcdsaP256 => &[SignatureAlgorithm::EcdsaP256],
            Self::EcdsaP384 => &[SignatureAlgorithm::EcdsaP384],
            Self::EcdsaP521 => &[SignatureAlgorithm::EcdsaP521],
            Self::SkEd25519 => &[SignatureAlgorithm::SkEd25519],
            Self::SkEcdsaP256 => {
                &[SignatureAlgorithm::SkEcdsaP256, SignatureAlgorithm::WebAuthnSkEcdsaP256]
            }
            Self::Rsa => &[SignatureAlgorithm::RsaSha512, SignatureAlgorithm::RsaSha256],
            Self::MlDsa44Ed25519 => &[SignatureAlgorithm::MlDsa44Ed25519],
        }
    }
}

/// The name of a curve in a blob (RFC 5656 §10.1).
pub(crate) const fn curve_name(curve: EcdsaCurve) -> &'static str {
    match curve {
        EcdsaCurve::P256 => "nistp256",
        EcdsaCurve::P384 => "nistp384",
        EcdsaCurve::P521 => "nistp521",
    }
}

/// The type of the keys on a curve that are not in a token.
pub(crate) const fn key_type_of_curve(curve: EcdsaCurve) -> KeyType {
    match curve {
        EcdsaCurve::P256 => KeyType::EcdsaP256,
        EcdsaCurve::P384 => KeyType::EcdsaP384,
        EcdsaCurve::P521 => KeyType::EcdsaP521,
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
    /// `ecdsa-sha2-nistp384` (RFC 5656 §3.1.2).
    EcdsaP384,
    /// `ecdsa-sha2-nistp521` (RFC 5656 §3.1.2).
    EcdsaP521,
    /// `sk-ssh-ed25519@openssh.com` (`PROTOCOL.u2f`).
    SkEd25519,
    /// `sk-ecdsa-sha2-nistp256@openssh.com` (`PROTOCOL.u2f`).
    SkEcdsaP256,
    /// `webauthn-sk-ecdsa-sha2-nistp256@openssh.com`, as a browser makes it (`PROTOCOL.u2f`).
    WebAuthnSkEcdsaP256,
    /// `rsa-sha2-512` (RFC 8332 §3).
    RsaSha512,
    /// `rsa-sha2-256` (RFC 8332 §3).
    RsaSha256,
    /// `ssh-mldsa44-ed25519` (draft-ietf-sshm-composite-sigs).
    MlDsa44Ed25519,
    /// `ssh-rsa` (RFC 4253 §6.6): RSA with SHA-1, which can be forged. For the host keys of old
    /// servers, where somebody asks for it by name; nothing else finds it.
    #[cfg(feature = "legacy")]
    RsaSha1,
}

impl SignatureAlgorithm {
    /// All of them, the preferred first.
    pub const ALL: &[Self] = &[
        Self::Ed25519,
        Self::EcdsaP256,
        Self::EcdsaP384,
        Self::EcdsaP521,
        Self::SkEd25519,
        Self::SkEcdsaP256,
        Self::WebAuthnSkEcdsaP256,
        Self::RsaSha512,
        Self::RsaSha256,
        Self::MlDsa44Ed25519,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::EcdsaP256 => "ecdsa-sha2-nistp256",
            Self::EcdsaP384 => "ecdsa-sha2-nistp384",
            Self::EcdsaP521 => "ecdsa-sha2-nistp521",
            Self::SkEd25519 => "sk-ssh-ed25519@openssh.com",
            Self::SkEcdsaP256 => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::WebAuthnSkEcdsaP256 => "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
            Self::RsaSha512 => "rsa-sha2-512",
            Self::RsaSha256 => "rsa-sha2-256",
            Self::MlDsa44Ed25519 => "ssh-mldsa44-ed25519",
            #[cfg(feature = "legacy")]
            Self::RsaSha1 => "ssh-rsa",
        }
    }

    /// The name of the algorithm where it comes with a certificate instead of a key.
    #[must_use]
    pub const fn certificate_name(self) -> &'static str {
        match self {
            Self::WebAuthnSkEcdsaP256 => "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
            Self::RsaSha512 => "rsa-sha2-512-cert-v01@openssh.com",
            Self::RsaSha256 => "rsa-sha2-256-cert-v01@openssh.com",
            Self::Ed25519
            | Self::EcdsaP256
            | Self::EcdsaP384
            | Self::EcdsaP521
            | Self::SkEd25519
            | Self::SkEcdsaP256
            | Self::MlDsa44Ed25519 => self.key_type().certificate_name(),
            #[cfg(feature = "legacy")]
            Self::RsaSha1 => self.key_type().certificate_name(),
        }
    }

    /// The algorithm with this name, or with the name it had earlier.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|algorithm| algorithm.name() == name || algorithm.earlier_name() == Some(name))
    }

    /// The algorithm that has this name where it comes with a certificate.
    #[must_use]
    pub fn from_certificate_name(name: &str) -> Option<Self> {
        let earlier = KeyType::certificate_spelled(name).map(|(key_type, _)| key_type);
        Self::ALL.iter().copied().find(|algorithm| {
            algorithm.certificate_name() == name
                || (algorithm.earlier_name().is_some() && earlier == Some(algorithm.key_type()))
        })
    }

    /// The algorithm that a signature is labelled with; [`Self::from_name`], and RSA with SHA-1.
    pub(crate) fn of_label(label: &[u8]) -> Option<Self> {
        match core::str::from_utf8(label).ok()? {
            #[cfg(feature = "legacy")]
            "ssh-rsa" => Some(Self::RsaSha1),
            label => Self::from_name(label),
        }
    }

    /// The name that the algorithm had before it was registered, and that is still read.
    #[must_use]
    pub const fn earlier_name(self) -> Option<&'static str> {
        match self.key_type().earlier_names() {
            Some((name, _)) => Some(name),
            None => None,
        }
    }

    /// The type of the keys that sign with it. Only for RSA and for browsers the two have different
    /// names (RFC 8332 §3).
    #[must_use]
    pub const fn key_type(self) -> KeyType {
        match self {
            Self::Ed25519 => KeyType::Ed25519,
            Self::EcdsaP256 => KeyType::EcdsaP256,
            Self::EcdsaP384 => KeyType::EcdsaP384,
            Self::EcdsaP521 => KeyType::EcdsaP521,
            Self::SkEd25519 => KeyType::SkEd25519,
            Self::SkEcdsaP256 | Self::WebAuthnSkEcdsaP256 => KeyType::SkEcdsaP256,
            Self::RsaSha512 | Self::RsaSha256 => KeyType::Rsa,
            Self::MlDsa44Ed25519 => KeyType::MlDsa44Ed25519,
            #[cfg(feature = "legacy")]
            Self::RsaSha1 => KeyType::Rsa,
        }
    }

    /// The hash of the message that is signed. (Ed25519 uses it twice, inside.)
    #[must_use]
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            #[cfg(feature = "legacy")]
            Self::RsaSha1 => HashAlgorithm::Sha1,
            Self::Ed25519 | Self::EcdsaP521 | Self::RsaSha512 | Self::MlDsa44Ed25519 => {
                HashAlgorithm::Sha512
            }
            Self::EcdsaP384 => HashAlgorithm::Sha384,
            Self::EcdsaP256
            | Self::SkEd25519
            | Self::SkEcdsaP256
            | Self::WebAuthnSkEcdsaP256
            | Self::RsaSha256 => HashAlgorithm::Sha256,
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
            assert_eq!(KeyType::from_name(key_type.certificate_name()), None);
            let certified = KeyType::from_certificate_name(key_type.certificate_name());
            assert_eq!(certified, Some(*key_type));
        }
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(SignatureAlgorithm::from_name(algorithm.name()), Some(*algorithm));
            assert!(algorithm.key_type().signature_algorithms().contains(algorithm));
            let certified = SignatureAlgorithm::from_certificate_name(algorithm.certificate_name());
            assert_eq!(certified, Some(*algorithm));
        }
    }

    #[test]
    fn names_from_before_registration_are_read() {
        let (name, certificate) =
            ("ssh-mldsa44-ed25519@openssh.com", "ssh-mldsa44-ed25519-cert-v01@openssh.com");
        let key_type = KeyType::MlDsa44Ed25519;
        assert_eq!(KeyType::spelled(name), Some((key_type, name)));
        assert_eq!(KeyType::certificate_spelled(certificate), Some((key_type, certificate)));
        assert_eq!(key_type.certificate_spelling(name), certificate);
        assert_eq!(key_type.plain_spelling(certificate), name);
        let algorithm = Some(SignatureAlgorithm::MlDsa44Ed25519);
        assert_eq!(SignatureAlgorithm::from_name(name), algorithm);
        assert_eq!(SignatureAlgorithm::from_certificate_name(certificate), algorithm);
    }

    #[test]
    fn rsa_with_sha1_has_no_name() {
        assert_eq!(SignatureAlgorithm::from_name("ssh-rsa"), None);
        assert_eq!(SignatureAlgorithm::from_certificate_name("ssh-rsa-cert-v01@openssh.com"), None);
    }
}
