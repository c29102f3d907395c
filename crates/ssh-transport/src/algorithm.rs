//! The algorithms, as values. A name is read at the edge and never kept as text.

use core::fmt;

use ssh_crypto::{
    agree::FixedGroup,
    cbc::CbcCipher,
    hash::HashAlgorithm,
    mac::{HmacAlgorithm, UmacTag},
};
use ssh_keys::{KeyType, SignatureAlgorithm};

/// What an algorithm is for: the lists of `KEXINIT` (RFC 4253 §7.1), and signatures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlgorithmKind {
    /// Key exchange methods.
    Kex,
    /// Algorithms of the server's key.
    HostKey,
    /// Encryption.
    Cipher,
    /// Message authentication.
    Mac,
    /// Compression.
    Compression,
    /// Signatures of users and authorities, which are not negotiated.
    Signature,
}

impl fmt::Display for AlgorithmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kex => "key exchange method",
            Self::HostKey => "host key algorithm",
            Self::Cipher => "cipher",
            Self::Mac => "MAC",
            Self::Compression => "compression",
            Self::Signature => "signature algorithm",
        })
    }
}

impl AlgorithmKind {
    /// The option of `ssh_config` that sets the list.
    #[must_use]
    pub const fn option(self) -> &'static str {
        match self {
            Self::Kex => "KexAlgorithms",
            Self::HostKey => "HostKeyAlgorithms",
            Self::Cipher => "Ciphers",
            Self::Mac => "MACs",
            Self::Compression => "Compression",
            Self::Signature => "PubkeyAcceptedAlgorithms",
        }
    }
}

/// How willingly an algorithm is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "offered always, when asked for, or against advice")]
pub enum Standing {
    /// Offered by those who say nothing else.
    Usual,
    /// Sound, and offered by those who name it.
    OnRequest,
    /// Known to be weak. It exists with the cargo feature `legacy`, and even then is offered only
    /// by those who name it.
    Legacy,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::KexAlgorithm {}
    impl Sealed for super::CompressionAlgorithm {}
    impl Sealed for super::CipherAlgorithm {}
    impl Sealed for super::MacAlgorithm {}
    impl Sealed for super::HostKeyAlgorithm {}
}

/// A value that stands for an algorithm that both sides can agree on.
pub trait Algorithm: Copy + Eq + fmt::Debug + sealed::Sealed + 'static {
    /// What it is for.
    const KIND: AlgorithmKind;
    /// All that this crate has, in its order of preference.
    fn all() -> &'static [Self];
    /// The name on the wire.
    fn name(self) -> &'static str;
    /// How willingly it is offered.
    fn standing(self) -> Standing;

    /// The algorithm with this name.
    fn from_name(name: &str) -> Option<Self> {
        Self::all().iter().copied().find(|algorithm| algorithm.name() == name)
    }
}

/// A table of algorithms: one line is the variant, its name, where it is specified and how it
/// stands.
macro_rules! algorithms {
    (
        $(#[$doc:meta])* $type:ident, $kind:ident;
        $($(#[$attr:meta])* $variant:ident, $name:literal, $spec:literal, $standing:ident;)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $($(#[$attr])* #[doc = concat!("`", $name, "`, ", $spec)] $variant,)*
        }

        impl $type {
            /// All of them, in the order of preference where nothing else is known.
            pub const ALL: &'static [Self] = &[$($(#[$attr])* Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $($(#[$attr])* Self::$variant => $name,)* }
            }

            /// Where it is specified.
            #[must_use]
            pub const fn spec(self) -> &'static str {
                match self { $($(#[$attr])* Self::$variant => $spec,)* }
            }

            /// How willingly it is offered.
            #[must_use]
            pub const fn standing(self) -> Standing {
                match self { $($(#[$attr])* Self::$variant => Standing::$standing,)* }
            }

            /// Whether it is known to be weak.
            #[must_use]
            pub const fn is_legacy(self) -> bool {
                matches!(self.standing(), Standing::Legacy)
            }

            /// The algorithm with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                <Self as Algorithm>::from_name(name)
            }
        }

        impl Algorithm for $type {
            const KIND: AlgorithmKind = AlgorithmKind::$kind;
            fn all() -> &'static [Self] { Self::ALL }
            fn name(self) -> &'static str { self.name() }
            fn standing(self) -> Standing { self.standing() }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

algorithms! {
    /// Key exchange methods.
    KexAlgorithm, Kex;
    MlKem768X25519Sha256, "mlkem768x25519-sha256", "RFC 10042", Usual;
    #[cfg(feature = "std")]
    Sntrup761X25519Sha512, "sntrup761x25519-sha512", "draft-ietf-sshm-ntruprime-ssh", Usual;
    #[cfg(feature = "std")]
    Sntrup761X25519Sha512OpenSsh, "sntrup761x25519-sha512@openssh.com", "draft-ietf-sshm-ntruprime-ssh", Usual;
    Curve25519Sha256, "curve25519-sha256", "RFC 8731", Usual;
    Curve25519Sha256LibSsh, "curve25519-sha256@libssh.org", "RFC 8731", Usual;
    EcdhSha2Nistp256, "ecdh-sha2-nistp256", "RFC 5656", Usual;
    EcdhSha2Nistp384, "ecdh-sha2-nistp384", "RFC 5656", Usual;
    EcdhSha2Nistp521, "ecdh-sha2-nistp521", "RFC 5656", Usual;
    GroupExchangeSha256, "diffie-hellman-group-exchange-sha256", "RFC 4419, RFC 8270", Usual;
    Group16Sha512, "diffie-hellman-group16-sha512", "RFC 8268", Usual;
    Group18Sha512, "diffie-hellman-group18-sha512", "RFC 8268", Usual;
    Group14Sha256, "diffie-hellman-group14-sha256", "RFC 8268", Usual;
    MlKem768Nistp256Sha256, "mlkem768nistp256-sha256", "RFC 10042", OnRequest;
    MlKem1024Nistp384Sha384, "mlkem1024nistp384-sha384", "RFC 10042", OnRequest;
    Group15Sha512, "diffie-hellman-group15-sha512", "RFC 8268", OnRequest;
    Group17Sha512, "diffie-hellman-group17-sha512", "RFC 8268", OnRequest;
    #[cfg(feature = "legacy")]
    Group14Sha1, "diffie-hellman-group14-sha1", "RFC 4253", Legacy;
    #[cfg(feature = "legacy")]
    GroupExchangeSha1, "diffie-hellman-group-exchange-sha1", "RFC 4419", Legacy;
    #[cfg(feature = "legacy")]
    Group1Sha1, "diffie-hellman-group1-sha1", "RFC 4253", Legacy;
}

algorithms! {
    /// What the server's host key signs with, and whether it comes with a certificate.
    HostKeyAlgorithm, HostKey;
    Ed25519, "ssh-ed25519", "RFC 8709", Usual;
    EcdsaP256, "ecdsa-sha2-nistp256", "RFC 5656", Usual;
    EcdsaP384, "ecdsa-sha2-nistp384", "RFC 5656", Usual;
    EcdsaP521, "ecdsa-sha2-nistp521", "RFC 5656", Usual;
    SkEd25519, "sk-ssh-ed25519@openssh.com", "OpenSSH PROTOCOL.u2f", Usual;
    SkEcdsaP256, "sk-ecdsa-sha2-nistp256@openssh.com", "OpenSSH PROTOCOL.u2f", Usual;
    WebAuthnSkEcdsaP256, "webauthn-sk-ecdsa-sha2-nistp256@openssh.com", "OpenSSH PROTOCOL.u2f", Usual;
    RsaSha512, "rsa-sha2-512", "RFC 8332", Usual;
    RsaSha256, "rsa-sha2-256", "RFC 8332", Usual;
    MlDsa44Ed25519, "ssh-mldsa44-ed25519", "draft-ietf-sshm-composite-sigs", Usual;
    Ed25519Cert, "ssh-ed25519-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    EcdsaP256Cert, "ecdsa-sha2-nistp256-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    EcdsaP384Cert, "ecdsa-sha2-nistp384-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    EcdsaP521Cert, "ecdsa-sha2-nistp521-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    SkEd25519Cert, "sk-ssh-ed25519-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    SkEcdsaP256Cert, "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    WebAuthnSkEcdsaP256Cert, "webauthn-sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    RsaSha512Cert, "rsa-sha2-512-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    RsaSha256Cert, "rsa-sha2-256-cert-v01@openssh.com", "OpenSSH PROTOCOL.certkeys", Usual;
    MlDsa44Ed25519Cert, "ssh-mldsa44-ed25519-cert", "draft-ietf-sshm-composite-sigs", Usual;
    MlDsa44Ed25519OpenSsh, "ssh-mldsa44-ed25519@openssh.com", "the earlier name, of OpenSSH 10.4 and 10.5", OnRequest;
    MlDsa44Ed25519CertOpenSsh, "ssh-mldsa44-ed25519-cert-v01@openssh.com", "the earlier name, of OpenSSH 10.4 and 10.5", OnRequest;
    #[cfg(feature = "legacy")]
    RsaSha1, "ssh-rsa", "RFC 4253", Legacy;
}

algorithms! {
    /// Ciphers.
    CipherAlgorithm, Cipher;
    Aes128Gcm, "aes128-gcm@openssh.com", "RFC 5647, draft-miller-sshm-aes-gcm", Usual;
    Aes256Gcm, "aes256-gcm@openssh.com", "RFC 5647, draft-miller-sshm-aes-gcm", Usual;
    ChaCha20Poly1305, "chacha20-poly1305@openssh.com", "draft-ietf-sshm-chacha20-poly1305", Usual;
    Aes128Ctr, "aes128-ctr", "RFC 4344", Usual;
    Aes192Ctr, "aes192-ctr", "RFC 4344", Usual;
    Aes256Ctr, "aes256-ctr", "RFC 4344", Usual;
    #[cfg(feature = "legacy")]
    Aes128Cbc, "aes128-cbc", "RFC 4253", Legacy;
    #[cfg(feature = "legacy")]
    Aes192Cbc, "aes192-cbc", "RFC 4253", Legacy;
    #[cfg(feature = "legacy")]
    Aes256Cbc, "aes256-cbc", "RFC 4253", Legacy;
    #[cfg(feature = "legacy")]
    TripleDesCbc, "3des-cbc", "RFC 4253", Legacy;
}

algorithms! {
    /// Message authentication codes. They are for ciphers that do not authenticate themselves.
    MacAlgorithm, Mac;
    HmacSha256Etm, "hmac-sha2-256-etm@openssh.com", "OpenSSH PROTOCOL §1.5", Usual;
    HmacSha512Etm, "hmac-sha2-512-etm@openssh.com", "OpenSSH PROTOCOL §1.5", Usual;
    Umac128Etm, "umac-128-etm@openssh.com", "RFC 4418, OpenSSH PROTOCOL §1.5", Usual;
    Umac64Etm, "umac-64-etm@openssh.com", "RFC 4418, OpenSSH PROTOCOL §1.5", Usual;
    HmacSha256, "hmac-sha2-256", "RFC 6668", Usual;
    HmacSha512, "hmac-sha2-512", "RFC 6668", Usual;
    Umac128, "umac-128@openssh.com", "RFC 4418, draft-miller-secsh-umac", Usual;
    Umac64, "umac-64@openssh.com", "RFC 4418, draft-miller-secsh-umac", Usual;
    #[cfg(feature = "legacy")]
    HmacSha1Etm, "hmac-sha1-etm@openssh.com", "OpenSSH PROTOCOL §1.5", Legacy;
    #[cfg(feature = "legacy")]
    HmacSha1, "hmac-sha1", "RFC 4253", Legacy;
    #[cfg(feature = "legacy")]
    HmacSha1Short, "hmac-sha1-96", "RFC 4253", Legacy;
    #[cfg(feature = "legacy")]
    HmacMd5, "hmac-md5", "RFC 4253", Legacy;
}

algorithms! {
    /// Compression of packets, before they are encrypted.
    CompressionAlgorithm, Compression;
    None, "none", "RFC 4253", Usual;
    #[cfg(feature = "std")]
    ZlibOpenSsh, "zlib@openssh.com", "draft-miller-secsh-compression-delayed", OnRequest;
}

impl KexAlgorithm {
    /// The hash of the exchange and of the key derivation.
    #[must_use]
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::MlKem768X25519Sha256
            | Self::MlKem768Nistp256Sha256
            | Self::Curve25519Sha256
            | Self::Curve25519Sha256LibSsh
            | Self::EcdhSha2Nistp256
            | Self::GroupExchangeSha256
            | Self::Group14Sha256 => HashAlgorithm::Sha256,
            Self::MlKem1024Nistp384Sha384 | Self::EcdhSha2Nistp384 => HashAlgorithm::Sha384,
            #[cfg(feature = "std")]
            Self::Sntrup761X25519Sha512 | Self::Sntrup761X25519Sha512OpenSsh => {
                HashAlgorithm::Sha512
            }
            Self::EcdhSha2Nistp521
            | Self::Group15Sha512
            | Self::Group16Sha512
            | Self::Group17Sha512
            | Self::Group18Sha512 => HashAlgorithm::Sha512,
            #[cfg(feature = "legacy")]
            Self::Group14Sha1 | Self::GroupExchangeSha1 | Self::Group1Sha1 => HashAlgorithm::Sha1,
        }
    }

    /// Whether the server chooses a group first, which takes two messages more (RFC 4419).
    #[must_use]
    pub const fn is_group_exchange(self) -> bool {
        match self {
            Self::GroupExchangeSha256 => true,
            #[cfg(feature = "legacy")]
            Self::GroupExchangeSha1 => true,
            _ => false,
        }
    }

    /// The group of a method that has one for ever.
    pub(crate) const fn fixed_group(self) -> Option<FixedGroup> {
        match self {
            Self::Group14Sha256 => Some(FixedGroup::Group14),
            Self::Group15Sha512 => Some(FixedGroup::Group15),
            Self::Group16Sha512 => Some(FixedGroup::Group16),
            Self::Group17Sha512 => Some(FixedGroup::Group17),
            Self::Group18Sha512 => Some(FixedGroup::Group18),
            #[cfg(feature = "legacy")]
            Self::Group14Sha1 => Some(FixedGroup::Group14),
            #[cfg(feature = "legacy")]
            Self::Group1Sha1 => Some(FixedGroup::Group1),
            _ => None,
        }
    }

    /// Whether the method computes in the multiplicative group of a prime field: much work for a
    /// server that does not know yet who is asking.
    pub(crate) const fn is_finite_field(self) -> bool {
        self.is_group_exchange() || self.fixed_group().is_some()
    }
}

impl HostKeyAlgorithm {
    /// How the key signs.
    #[must_use]
    pub const fn signature(self) -> SignatureAlgorithm {
        match self {
            Self::Ed25519 | Self::Ed25519Cert => SignatureAlgorithm::Ed25519,
            Self::EcdsaP256 | Self::EcdsaP256Cert => SignatureAlgorithm::EcdsaP256,
            Self::EcdsaP384 | Self::EcdsaP384Cert => SignatureAlgorithm::EcdsaP384,
            Self::EcdsaP521 | Self::EcdsaP521Cert => SignatureAlgorithm::EcdsaP521,
            Self::SkEd25519 | Self::SkEd25519Cert => SignatureAlgorithm::SkEd25519,
            Self::SkEcdsaP256 | Self::SkEcdsaP256Cert => SignatureAlgorithm::SkEcdsaP256,
            Self::WebAuthnSkEcdsaP256 | Self::WebAuthnSkEcdsaP256Cert => {
                SignatureAlgorithm::WebAuthnSkEcdsaP256
            }
            Self::RsaSha512 | Self::RsaSha512Cert => SignatureAlgorithm::RsaSha512,
            Self::RsaSha256 | Self::RsaSha256Cert => SignatureAlgorithm::RsaSha256,
            Self::MlDsa44Ed25519
            | Self::MlDsa44Ed25519Cert
            | Self::MlDsa44Ed25519OpenSsh
            | Self::MlDsa44Ed25519CertOpenSsh => SignatureAlgorithm::MlDsa44Ed25519,
            #[cfg(feature = "legacy")]
            Self::RsaSha1 => SignatureAlgorithm::RsaSha1,
        }
    }

    /// The type of the key that signs.
    #[must_use]
    pub const fn key_type(self) -> KeyType {
        self.signature().key_type()
    }

    /// Whether a certificate over the key is sent, and not the key alone.
    #[must_use]
    pub const fn is_certificate(self) -> bool {
        matches!(
            self,
            Self::Ed25519Cert
                | Self::EcdsaP256Cert
                | Self::EcdsaP384Cert
                | Self::EcdsaP521Cert
                | Self::SkEd25519Cert
                | Self::SkEcdsaP256Cert
                | Self::WebAuthnSkEcdsaP256Cert
                | Self::RsaSha512Cert
                | Self::RsaSha256Cert
                | Self::MlDsa44Ed25519Cert
                | Self::MlDsa44Ed25519CertOpenSsh
        )
    }
}

impl CipherAlgorithm {
    /// Whether the cipher authenticates too, so that no MAC is negotiated for it.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        matches!(self, Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305)
    }

    /// Bytes of key.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ctr => 16,
            Self::Aes192Ctr => 24,
            Self::Aes256Gcm | Self::Aes256Ctr => 32,
            Self::ChaCha20Poly1305 => 64,
            #[cfg(feature = "legacy")]
            Self::Aes128Cbc | Self::Aes192Cbc | Self::Aes256Cbc | Self::TripleDesCbc => {
                match self.cbc() {
                    Some(cipher) => cipher.key_len(),
                    None => 0,
                }
            }
        }
    }

    /// The block cipher of those that chain blocks.
    pub(crate) const fn cbc(self) -> Option<CbcCipher> {
        match self {
            #[cfg(feature = "legacy")]
            Self::Aes128Cbc => Some(CbcCipher::Aes128),
            #[cfg(feature = "legacy")]
            Self::Aes192Cbc => Some(CbcCipher::Aes192),
            #[cfg(feature = "legacy")]
            Self::Aes256Cbc => Some(CbcCipher::Aes256),
            #[cfg(feature = "legacy")]
            Self::TripleDesCbc => Some(CbcCipher::TripleDes),
            _ => None,
        }
    }
}

/// What computes a MAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MacFunction {
    /// An HMAC and how many bytes of its tag are sent.
    Hmac(HmacAlgorithm, usize),
    /// UMAC, for which the packet's number is the nonce.
    Umac(UmacTag),
}

impl MacAlgorithm {
    /// Whether the ciphertext is authenticated and not the plaintext.
    #[must_use]
    pub const fn is_encrypt_then_mac(self) -> bool {
        match self {
            Self::HmacSha256Etm | Self::HmacSha512Etm | Self::Umac128Etm | Self::Umac64Etm => true,
            Self::HmacSha256 | Self::HmacSha512 | Self::Umac128 | Self::Umac64 => false,
            #[cfg(feature = "legacy")]
            Self::HmacSha1Etm => true,
            #[cfg(feature = "legacy")]
            Self::HmacSha1 | Self::HmacSha1Short | Self::HmacMd5 => false,
        }
    }

    /// What is behind the name.
    pub(crate) const fn function(self) -> MacFunction {
        match self {
            Self::HmacSha256Etm | Self::HmacSha256 => MacFunction::Hmac(HmacAlgorithm::Sha256, 32),
            Self::HmacSha512Etm | Self::HmacSha512 => MacFunction::Hmac(HmacAlgorithm::Sha512, 64),
            Self::Umac128Etm | Self::Umac128 => MacFunction::Umac(UmacTag::Bits128),
            Self::Umac64Etm | Self::Umac64 => MacFunction::Umac(UmacTag::Bits64),
            #[cfg(feature = "legacy")]
            Self::HmacSha1Etm | Self::HmacSha1 => MacFunction::Hmac(HmacAlgorithm::Sha1, 20),
            #[cfg(feature = "legacy")]
            Self::HmacSha1Short => MacFunction::Hmac(HmacAlgorithm::Sha1, 12),
            #[cfg(feature = "legacy")]
            Self::HmacMd5 => MacFunction::Hmac(HmacAlgorithm::Md5, 16),
        }
    }

    /// Bytes of key.
    pub(crate) const fn key_len(self) -> usize {
        match self.function() {
            MacFunction::Hmac(hmac, _) => hmac.tag_len(),
            MacFunction::Umac(_) => ssh_crypto::mac::Umac::KEY_LEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_are_unique_and_found<T: Algorithm>() {
        for algorithm in T::all() {
            assert_eq!(T::from_name(algorithm.name()), Some(*algorithm));
            assert!(ssh_wire::NameList::from_text(algorithm.name()).is_some());
        }
        assert!(T::KIND == AlgorithmKind::Compression || T::from_name("none").is_none());
    }

    #[test]
    fn every_name_leads_to_its_algorithm() {
        names_are_unique_and_found::<KexAlgorithm>();
        names_are_unique_and_found::<CipherAlgorithm>();
        names_are_unique_and_found::<MacAlgorithm>();
        names_are_unique_and_found::<HostKeyAlgorithm>();
        names_are_unique_and_found::<CompressionAlgorithm>();
    }

    #[test]
    fn markers_of_kexinit_are_no_algorithms() {
        for marker in ["ext-info-c", "ext-info-s", "kex-strict-c-v00@openssh.com", "kex-strict-s"] {
            assert_eq!(KexAlgorithm::from_name(marker), None);
        }
    }
}
