//! The algorithms, as values. A name is read at the edge and never kept as text.

use core::fmt;

use ssh_crypto::{hash::HashAlgorithm, mac::HmacAlgorithm};
pub use ssh_keys::HostKeyAlgorithm;
use ssh_keys::SignatureAlgorithm;

/// What an algorithm is for: the lists of `KEXINIT` (RFC 4253 §7.1).
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
}

impl fmt::Display for AlgorithmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kex => "key exchange method",
            Self::HostKey => "host key algorithm",
            Self::Cipher => "cipher",
            Self::Mac => "MAC",
            Self::Compression => "compression",
        })
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::KexAlgorithm {}
    impl Sealed for super::CipherAlgorithm {}
    impl Sealed for super::MacAlgorithm {}
    impl Sealed for super::SignatureAlgorithm {}
}

/// A value that stands for an algorithm that both sides can agree on.
pub trait Algorithm: Copy + Eq + fmt::Debug + sealed::Sealed + 'static {
    /// What it is for.
    const KIND: AlgorithmKind;
    /// All that this crate has, in its order of preference.
    fn all() -> &'static [Self];
    /// The name on the wire.
    fn name(self) -> &'static str;

    /// The algorithm with this name.
    fn from_name(name: &str) -> Option<Self> {
        Self::all().iter().copied().find(|algorithm| algorithm.name() == name)
    }
}

/// A table of algorithms: one line is the variant, its name and where it is specified.
macro_rules! algorithms {
    ($(#[$doc:meta])* $type:ident, $kind:ident; $($variant:ident, $name:literal, $spec:literal;)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $type {
            $(#[doc = concat!("`", $name, "`, ", $spec)] $variant,)*
        }

        impl $type {
            /// All of them, in the order of preference where nothing else is known.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Where it is specified.
            #[must_use]
            pub const fn spec(self) -> &'static str {
                match self { $(Self::$variant => $spec,)* }
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
    MlKem768X25519Sha256, "mlkem768x25519-sha256", "RFC 10042";
    Curve25519Sha256, "curve25519-sha256", "RFC 8731";
    Curve25519Sha256LibSsh, "curve25519-sha256@libssh.org", "RFC 8731";
    EcdhSha2Nistp256, "ecdh-sha2-nistp256", "RFC 5656";
}

algorithms! {
    /// Ciphers.
    CipherAlgorithm, Cipher;
    Aes128Gcm, "aes128-gcm@openssh.com", "RFC 5647, draft-miller-sshm-aes-gcm";
    Aes256Gcm, "aes256-gcm@openssh.com", "RFC 5647, draft-miller-sshm-aes-gcm";
    ChaCha20Poly1305, "chacha20-poly1305@openssh.com", "draft-ietf-sshm-chacha20-poly1305";
    Aes128Ctr, "aes128-ctr", "RFC 4344";
    Aes192Ctr, "aes192-ctr", "RFC 4344";
    Aes256Ctr, "aes256-ctr", "RFC 4344";
}

algorithms! {
    /// Message authentication codes. They are for ciphers that do not authenticate themselves.
    MacAlgorithm, Mac;
    HmacSha256Etm, "hmac-sha2-256-etm@openssh.com", "OpenSSH PROTOCOL §1.5";
    HmacSha512Etm, "hmac-sha2-512-etm@openssh.com", "OpenSSH PROTOCOL §1.5";
    HmacSha256, "hmac-sha2-256", "RFC 6668";
    HmacSha512, "hmac-sha2-512", "RFC 6668";
}

impl KexAlgorithm {
    /// The hash of the exchange and of the key derivation.
    #[must_use]
    pub const fn hash(self) -> HashAlgorithm {
        match self {
            Self::MlKem768X25519Sha256
            | Self::Curve25519Sha256
            | Self::Curve25519Sha256LibSsh
            | Self::EcdhSha2Nistp256 => HashAlgorithm::Sha256,
        }
    }
}

impl CipherAlgorithm {
    /// Whether the cipher authenticates too, so that no MAC is negotiated for it.
    #[must_use]
    pub const fn is_aead(self) -> bool {
        match self {
            Self::Aes128Gcm | Self::Aes256Gcm | Self::ChaCha20Poly1305 => true,
            Self::Aes128Ctr | Self::Aes192Ctr | Self::Aes256Ctr => false,
        }
    }

    /// Bytes of key.
    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Ctr => 16,
            Self::Aes192Ctr => 24,
            Self::Aes256Gcm | Self::Aes256Ctr => 32,
            Self::ChaCha20Poly1305 => 64,
        }
    }
}

impl MacAlgorithm {
    /// Whether the ciphertext is authenticated and not the plaintext.
    #[must_use]
    pub const fn is_encrypt_then_mac(self) -> bool {
        match self {
            Self::HmacSha256Etm | Self::HmacSha512Etm => true,
            Self::HmacSha256 | Self::HmacSha512 => false,
        }
    }

    /// The HMAC behind the name.
    pub(crate) const fn hmac(self) -> HmacAlgorithm {
        match self {
            Self::HmacSha256Etm | Self::HmacSha256 => HmacAlgorithm::Sha256,
            Self::HmacSha512Etm | Self::HmacSha512 => HmacAlgorithm::Sha512,
        }
    }

    /// Bytes of key: as many as of tag.
    pub(crate) const fn key_len(self) -> usize {
        self.hmac().tag_len()
    }
}

impl Algorithm for SignatureAlgorithm {
    const KIND: AlgorithmKind = AlgorithmKind::HostKey;

    fn all() -> &'static [Self] {
        Self::ALL
    }

    fn name(self) -> &'static str {
        self.name()
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
        assert_eq!(T::from_name("none"), None);
    }

    #[test]
    fn every_name_leads_to_its_algorithm() {
        names_are_unique_and_found::<KexAlgorithm>();
        names_are_unique_and_found::<CipherAlgorithm>();
        names_are_unique_and_found::<MacAlgorithm>();
        names_are_unique_and_found::<HostKeyAlgorithm>();
    }

    #[test]
    fn markers_of_kexinit_are_no_algorithms() {
        for marker in ["ext-info-c", "ext-info-s", "kex-strict-c-v00@openssh.com", "kex-strict-s"] {
            assert_eq!(KexAlgorithm::from_name(marker), None);
        }
    }
}
