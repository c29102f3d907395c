//! What can be wrong with keys, signatures and key files.

use core::fmt;

use ssh_wire::{DecodeError, DecodeErrorKind, Fault, PeerText, Rule};

use crate::{KeyType, SignatureAlgorithm, certificate::CertificateError, private, public};

/// Bytes or text that are no public key this crate accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The blob is not built as its type demands.
    Malformed(DecodeError),
    /// A key of a type that is not implemented.
    UnsupportedType {
        /// The name of the type.
        name: PeerText,
    },
    /// The name before a blob is not the name inside of it.
    TypeMismatch {
        /// The name before the blob.
        declared: PeerText,
        /// The name inside.
        found: PeerText,
    },
    /// The curve is not the one that the key type names.
    WrongCurve {
        /// The name of the curve that the type demands.
        expected: &'static str,
        /// The name of the curve in the key.
        found: PeerText,
    },
    /// The point is compressed, or not on the curve.
    InvalidPoint,
    /// The RSA modulus is too small to be safe or too large to be computed with.
    RsaModulusSize {
        /// Its size in bits.
        bits: usize,
    },
    /// The RSA modulus is even, so it is no product of two large primes.
    RsaModulusEven,
    /// The RSA exponent is even, 1, or too large.
    RsaExponent,
    /// A public key line ends before the field.
    MissingField(&'static str),
    /// The key on a line is not base64.
    NotBase64,
    /// A file is not built as RFC 4716 demands.
    NotRfc4716,
    /// A file in PEM holds no public key, or one of an algorithm that is not supported.
    NotPublicPem,
}

impl KeyError {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::UnsupportedType { .. } | Self::RsaModulusSize { .. } => Fault::Policy,
            _ => Fault::Peer,
        }
    }

    /// The rule that the key breaks, where it breaks one.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        Some(Rule(match self {
            Self::Malformed(_) | Self::TypeMismatch { .. } => "RFC 4253 §6.6",
            Self::WrongCurve { .. } | Self::InvalidPoint => "RFC 5656 §3.1",
            Self::RsaModulusEven | Self::RsaExponent => "RFC 8017 §3.1",
            Self::MissingField(_) | Self::NotBase64 => "sshd(8) AUTHORIZED_KEYS FILE FORMAT",
            Self::NotRfc4716 => "RFC 4716 §3",
            Self::NotPublicPem => "RFC 7468 §13",
            Self::UnsupportedType { .. } | Self::RsaModulusSize { .. } => return None,
        }))
    }
}

impl From<DecodeError> for KeyError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::UnsupportedType { name } => {
                write!(f, "keys of type \"{name}\" are not supported; these are: ")?;
                write_list(f, KeyType::ALL)
            }
            Self::TypeMismatch { declared, found } => {
                write!(f, "the key is called \"{declared}\", but its blob holds \"{found}\"")
            }
            Self::WrongCurve { expected, found } => {
                write!(f, "the key is on the curve \"{found}\", its type demands \"{expected}\"")
            }
            Self::InvalidPoint => f.write_str("the key is not an uncompressed point on its curve"),
            Self::RsaModulusSize { bits } => write!(
                f,
                "the RSA key has {bits} bits, allowed are {} to {}",
                public::MIN_RSA_BITS,
                public::MAX_RSA_BITS
            ),
            Self::RsaModulusEven => f.write_str("the RSA modulus is even"),
            Self::RsaExponent => {
                f.write_str("the RSA exponent is not an odd number from 3 to 2^33 - 1")
            }
            Self::MissingField(field) => write!(f, "the line has no {field}"),
            Self::NotBase64 => f.write_str("the key on the line is not base64"),
            Self::NotRfc4716 => {
                f.write_str("the public key has not the lines that RFC 4716 demands")
            }
            Self::NotPublicPem => f.write_str(
                "the PEM text is neither a PUBLIC KEY of RSA, an elliptic curve or Ed25519 nor an \
                 RSA PUBLIC KEY",
            ),
        }
    }
}

impl core::error::Error for KeyError {}

fn write_list(f: &mut fmt::Formatter<'_>, names: &[impl fmt::Display]) -> fmt::Result {
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            f.write_str(", ")?;
        }
        name.fmt(f)?;
    }
    Ok(())
}

/// A signature that does not prove what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureError {
    /// The signature blob is not built as its algorithm demands.
    Malformed(DecodeError),
    /// The blob names another algorithm than the one agreed on.
    WrongAlgorithm {
        /// The algorithm agreed on.
        expected: SignatureAlgorithm,
        /// The name in the blob.
        found: PeerText,
    },
    /// The algorithm agreed on does not belong to keys of this type.
    WrongKeyType {
        /// The algorithm agreed on.
        algorithm: SignatureAlgorithm,
        /// The type of the key.
        key: KeyType,
    },
    /// The blob names an algorithm that is not implemented.
    UnknownAlgorithm {
        /// The name in the blob.
        name: PeerText,
    },
    /// The signature was not made with this key over this message.
    Forged,
    /// The signature was made by a FIDO token that nobody touched.
    NotTouched,
}

impl SignatureError {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }

    /// The rule that the signature breaks.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        Some(Rule(match self {
            Self::WrongAlgorithm { .. } | Self::WrongKeyType { .. } => "RFC 8332 §3",
            Self::Malformed(_) | Self::UnknownAlgorithm { .. } | Self::Forged => "RFC 4253 §6.6",
            Self::NotTouched => "PROTOCOL.u2f",
        }))
    }
}

impl From<DecodeError> for SignatureError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::WrongAlgorithm { expected, found } => {
                write!(f, "the signature is called \"{found}\", agreed on was \"{expected}\"")
            }
            Self::WrongKeyType { algorithm, key } => {
                write!(f, "a key of type {key} makes no signatures of {algorithm}")
            }
            Self::UnknownAlgorithm { name } => {
                write!(f, "signatures called \"{name}\" are not supported")
            }
            Self::Forged => f.write_str("the signature does not fit key and message"),
            Self::NotTouched => f.write_str("nobody touched the token that made the signature"),
        }
    }
}

impl core::error::Error for SignatureError {}

/// Why a private key does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// The algorithm does not belong to keys of this type.
    WrongKeyType {
        /// The algorithm asked for.
        algorithm: SignatureAlgorithm,
        /// The type of the key.
        key: KeyType,
    },
    /// The key is in a FIDO token, and signs only through an agent.
    InToken,
    /// There is no randomness to protect the computation with (RSA without the feature `std`).
    NoRandomness,
    /// The computation failed, and its result was withheld: a damaged key or faulty hardware.
    Failed,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongKeyType { algorithm, key } => {
                write!(f, "a key of type {key} makes no signatures of {algorithm}")
            }
            Self::InToken => f.write_str(
                "the key is in a token, which signs through an agent that has `ssh-sk-helper`",
            ),
            Self::NoRandomness => f.write_str("there is no randomness to sign with"),
            Self::Failed => f.write_str("the private key does not compute a signature"),
        }
    }
}

impl core::error::Error for SignError {}

/// No key came out of the random numbers given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationFailed;

impl fmt::Display for GenerationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no key could be made from the random numbers given")
    }
}

impl core::error::Error for GenerationFailed {}

/// What a file holds that should have been a private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FoundFormat {
    /// Nothing but white space.
    Empty,
    /// Anything else.
    Unknown,
}

/// Why a file gives no private key. The text says what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// The key is encrypted and no passphrase was given.
    Encrypted,
    /// The passphrase is wrong, or the encrypted part is damaged; the two cannot be told apart.
    WrongPassphrase,
    /// The file holds a public key.
    PublicKeyInstead,
    /// The file ends too early.
    Truncated,
    /// The file is longer than [`private::MAX_FILE_LEN`].
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The file is in a format without the `-----BEGIN` line.
    UnknownFormat {
        /// What it looks like.
        found: FoundFormat,
    },
    /// The file is PEM with a label that is not implemented.
    UnsupportedPem {
        /// The words between `-----BEGIN ` and `-----`.
        label: PeerText,
    },
    /// What stands between the `-----` lines is not base64.
    NotBase64,
    /// The file is encrypted with a cipher that is not implemented.
    UnsupportedCipher {
        /// Its name.
        name: PeerText,
    },
    /// The passphrase is to be made a key in a way that is not implemented.
    UnsupportedKdf {
        /// Its name.
        name: PeerText,
    },
    /// Trying a passphrase would take more than [`private::MAX_BCRYPT_ROUNDS`].
    TooManyRounds {
        /// The rounds the file demands.
        rounds: u32,
    },
    /// Trying a passphrase would take more than [`private::MAX_PBKDF2_ITERATIONS`].
    TooManyIterations {
        /// The iterations the file demands.
        iterations: u32,
    },
    /// Trying a passphrase would take more than [`private::MAX_ARGON2_MEMORY`], or no work at all.
    TooMuchArgon2 {
        /// The memory the file demands, in KiB.
        memory: u32,
        /// How often it demands to go over it.
        passes: u32,
    },
    /// The file names the algorithm of its key by a number that is not known.
    UnsupportedAlgorithm {
        /// The number, with dots.
        name: PeerText,
    },
    /// A line before the key does not say what it has to say.
    BadHeader {
        /// The word at its start.
        name: &'static str,
    },
    /// What is inside is not the DER of this structure.
    NotDer {
        /// The structure, as its specification calls it.
        structure: &'static str,
    },
    /// The file was changed after it was written.
    Tampered,
    /// A file that is to be encrypted needs a passphrase.
    EmptyPassphrase,
    /// Keys of this type cannot be written in the form that was asked for.
    NoSuchForm {
        /// The type of the key.
        key_type: KeyType,
    },
    /// The certificate that comes with the key is none.
    Certificate(CertificateError),
    /// The file holds another number of keys than one.
    NotOneKey {
        /// How many.
        count: u32,
    },
    /// The file is not built as `PROTOCOL.key` demands.
    Malformed(DecodeError),
    /// The public half of the key is not acceptable.
    PublicKey(KeyError),
    /// The private half is not a key: its numbers are out of range or do not belong together.
    InvalidKey,
    /// Public and private half are not of the same key.
    Mismatch,
}

impl PrivateKeyError {
    /// The error for the outer, unencrypted part of a file: there, missing bytes are the sign of
    /// a file that was cut.
    pub(crate) const fn outside(error: DecodeError) -> Self {
        match error.kind {
            DecodeErrorKind::Truncated { .. } => Self::Truncated,
            _ => Self::Malformed(error),
        }
    }
}

impl From<KeyError> for PrivateKeyError {
    fn from(error: KeyError) -> Self {
        Self::PublicKey(error)
    }
}

impl fmt::Display for PrivateKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Encrypted => f.write_str("the private key is encrypted, a passphrase is needed"),
            Self::WrongPassphrase => f.write_str("wrong passphrase (or a damaged file)"),
            Self::PublicKeyInstead => f.write_str(
                "this is a public key; the private key is in the file without \".pub\" in its name",
            ),
            Self::Truncated => f.write_str("the private key file is cut short"),
            Self::TooLong { len } => write!(
                f,
                "the file is {len} bytes long, a private key has at most {}",
                private::MAX_FILE_LEN
            ),
            Self::UnknownFormat { found } => match found {
                FoundFormat::Empty => f.write_str("the private key file is empty"),
                FoundFormat::Unknown => f.write_str(
                    "not a private key: such a file begins with \
                     \"-----BEGIN OPENSSH PRIVATE KEY-----\" or another \"-----BEGIN … PRIVATE \
                     KEY-----\", or with \"PuTTY-User-Key-File\"",
                ),
            },
            Self::UnsupportedPem { label } => write!(
                f,
                "the key format \"{label}\" is not supported; \
                 `ssh-keygen -p -f FILE` converts a key in place"
            ),
            Self::NotBase64 => f.write_str("the private key file holds something not base64"),
            Self::UnsupportedCipher { name } => write!(
                f,
                "the private key is encrypted with \"{name}\", which is not supported; \
                 `ssh-keygen -p -Z aes256-ctr -f FILE` encrypts it anew"
            ),
            Self::UnsupportedKdf { name } => write!(
                f,
                "the private key is protected with \"{name}\", which is not supported; \
                 `ssh-keygen -p -f FILE` protects it anew"
            ),
            Self::TooManyRounds { rounds } => write!(
                f,
                "the private key demands {rounds} rounds of bcrypt, at most {} are tried; \
                 `ssh-keygen -p -a 24 -f FILE` protects it anew",
                private::MAX_BCRYPT_ROUNDS
            ),
            Self::TooManyIterations { iterations } => write!(
                f,
                "the private key demands {iterations} iterations of PBKDF2, at most {} are tried; \
                 `ssh-keygen -p -f FILE` protects it anew",
                private::MAX_PBKDF2_ITERATIONS
            ),
            Self::TooMuchArgon2 { memory, passes } => write!(
                f,
                "the private key demands Argon2 with {memory} KiB and {passes} passes, at most \
                 {} KiB are tried; `puttygen FILE -P` protects it anew",
                private::MAX_ARGON2_MEMORY
            ),
            Self::UnsupportedAlgorithm { name } => {
                write!(
                    f,
                    "the file holds a key of the algorithm {name}, which is not supported; \
                           these are: "
                )?;
                write_list(f, KeyType::ALL)
            }
            Self::BadHeader { name } => {
                write!(f, "the line \"{name}\" of the private key file is missing or not in order")
            }
            Self::NotDer { structure } => {
                write!(f, "what the private key file holds is no {structure} in DER")
            }
            Self::Tampered => f.write_str("the private key file was changed after it was written"),
            Self::EmptyPassphrase => f.write_str("a passphrase must not be empty"),
            Self::NoSuchForm { key_type } => {
                write!(f, "keys of type {key_type} cannot be written in this form")
            }
            Self::Certificate(error) => error.fmt(f),
            Self::NotOneKey { count } => {
                write!(f, "the file holds {count} keys, exactly one is supported")
            }
            Self::Malformed(error) => error.fmt(f),
            Self::PublicKey(error) => error.fmt(f),
            Self::InvalidKey => {
                f.write_str("the numbers of the private key are not those of a key")
            }
            Self::Mismatch => f.write_str("public and private half are not of the same key"),
        }
    }
}

impl core::error::Error for PrivateKeyError {}
