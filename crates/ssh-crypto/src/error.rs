//! What can go wrong, one small type per kind of failure.
//!
//! Errors say what was expected and never carry secret material; those about
//! authenticity say nothing more than that it failed.

use core::fmt;

/// A tag or signature does not belong to this data and this key.
///
/// Deliberately without detail: how far a forgery got helps only the forger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forged;

impl fmt::Display for Forged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tag or signature does not match the data")
    }
}

/// Key material of a length the algorithm does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidLength {
    /// What was being made.
    pub what: &'static str,
    /// The lengths that exist, in bytes.
    pub expected: &'static [usize],
    /// The length that was given, in bytes.
    pub actual: usize,
}

impl fmt::Display for InvalidLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, expected, actual } = self;
        write!(f, "{what} has one of {expected:?} bytes, got {actual}")
    }
}

/// The peer's X25519 point leads to an all-zero shared secret (RFC 8731 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeakPoint;

impl fmt::Display for WeakPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer's X25519 public value has low order: the shared secret is zero")
    }
}

/// Not the uncompressed encoding of a point on the curve (RFC 5656 §3.1, SEC 1 §2.3.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPoint;

impl fmt::Display for InvalidPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected an uncompressed point (first byte 04) on the curve of the method")
    }
}

/// An ML-KEM encapsulation key that fails the modulus check of FIPS 203 §7.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidEncapsulationKey;

impl fmt::Display for InvalidEncapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the ML-KEM encapsulation key has a coefficient that is not below 3329")
    }
}

/// A public value of Diffie-Hellman that is not above 1 and below p - 1 (RFC 4253 §8, RFC 8268 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidShare;

impl fmt::Display for InvalidShare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer's Diffie-Hellman value is not above 1 and below p - 1")
    }
}

/// Why a group for Diffie-Hellman is refused (RFC 4419 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidGroup {
    /// The modulus is even, or its size is not within the bounds.
    Modulus {
        /// The size of the modulus that was given.
        bits: usize,
        /// The least size, in bits.
        min: usize,
        /// The largest size, in bits.
        max: usize,
    },
    /// The generator is not above 1 and below p - 1.
    Generator,
}

impl fmt::Display for InvalidGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Modulus { bits, min, max } => write!(
                f,
                "expected an odd Diffie-Hellman modulus of {min} to {max} bits, got one of {bits}"
            ),
            Self::Generator => {
                f.write_str("the generator of the group is not above 1 and below p - 1")
            }
        }
    }
}

/// Why key material is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidKey {
    /// The private scalar is zero or not below the order of the curve.
    ScalarOutOfRange,
    /// The RSA modulus has fewer than 2048 or more than 16384 bits, or is even.
    Modulus {
        /// The size of the modulus that was given.
        bits: usize,
    },
    /// The RSA public exponent is even, below 3 or not below 2^33.
    PublicExponent,
    /// The private RSA numbers do not belong to the public ones or to each other.
    Inconsistent,
    /// The library could not make an RSA key of this size.
    Generation,
}

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScalarOutOfRange => {
                f.write_str("the private scalar is zero or not below the order of the curve")
            }
            Self::Modulus { bits } => write!(
                f,
                "expected an odd RSA modulus of 2048 to 16384 bits, got one of {bits} bits"
            ),
            Self::PublicExponent => f.write_str(
                "expected an RSA public exponent that is odd, at least 3 and below 2^33",
            ),
            Self::Inconsistent => {
                f.write_str("the private RSA numbers do not belong to the public key")
            }
            Self::Generation => f.write_str("no RSA key of this size could be generated"),
        }
    }
}

/// Why no signature was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignError {
    /// RSA in SSH signs SHA-256 and SHA-512 only (RFC 8332 §3), and SHA-1 with the feature
    /// `legacy`.
    UnsupportedHash,
    /// There is no randomness to blind the RSA operation with, so it is not done.
    NoRandomness,
    /// The result did not verify: faulty hardware or a damaged key. Nothing was released.
    Fault,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnsupportedHash => "RSA signatures are made over SHA-256 or SHA-512",
            Self::NoRandomness => "no randomness to blind the RSA operation with",
            Self::Fault => "the RSA operation gave a signature that does not verify",
        })
    }
}

/// Why no key was derived from a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KdfError {
    /// The passphrase is empty.
    EmptyPassphrase,
    /// The salt is empty.
    EmptySalt,
    /// The number of rounds is zero or more than [`MAX_ROUNDS`](crate::kdf::MAX_ROUNDS).
    Rounds(u32),
    /// The output is empty or longer than [`MAX_OUTPUT`](crate::kdf::MAX_OUTPUT) bytes.
    OutputLength(usize),
    /// PBKDF2: the number of iterations is zero or more than
    /// [`MAX_ITERATIONS`](crate::kdf::MAX_ITERATIONS).
    Iterations(u32),
    /// Argon2: less memory than its lanes need, or more than
    /// [`MAX_ARGON2_MEMORY`](crate::kdf::MAX_ARGON2_MEMORY). In KiB.
    Argon2Memory(u32),
    /// Argon2: no pass over the memory, or together more than
    /// [`MAX_ARGON2_WORK`](crate::kdf::MAX_ARGON2_WORK).
    Argon2Passes(u32),
    /// Argon2: no lane, or more than [`MAX_ARGON2_LANES`](crate::kdf::MAX_ARGON2_LANES).
    Argon2Lanes(u32),
    /// Argon2: a salt of fewer than 8 bytes, or an output of fewer than 4.
    Argon2Input,
}

impl fmt::Display for KdfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPassphrase => f.write_str("bcrypt_pbkdf: the passphrase is empty"),
            Self::EmptySalt => f.write_str("bcrypt_pbkdf: the salt is empty"),
            Self::Rounds(rounds) => write!(
                f,
                "bcrypt_pbkdf: expected 1 to {} rounds, got {rounds}",
                crate::kdf::MAX_ROUNDS
            ),
            Self::OutputLength(length) => write!(
                f,
                "bcrypt_pbkdf: expected 1 to {} bytes of output, got {length}",
                crate::kdf::MAX_OUTPUT
            ),
            Self::Iterations(iterations) => write!(
                f,
                "PBKDF2: expected 1 to {} iterations, got {iterations}",
                crate::kdf::MAX_ITERATIONS
            ),
            Self::Argon2Memory(memory) => write!(
                f,
                "Argon2: expected 8 KiB for each lane to {} KiB of memory, got {memory}",
                crate::kdf::MAX_ARGON2_MEMORY
            ),
            Self::Argon2Passes(passes) => write!(
                f,
                "Argon2: expected at least one pass, and at most {} KiB in all passes together, \
                 got {passes} passes",
                crate::kdf::MAX_ARGON2_WORK
            ),
            Self::Argon2Lanes(lanes) => write!(
                f,
                "Argon2: expected 1 to {} lanes, got {lanes}",
                crate::kdf::MAX_ARGON2_LANES
            ),
            Self::Argon2Input => {
                f.write_str("Argon2: expected a salt of 8 bytes and an output of 4 at least")
            }
        }
    }
}

impl core::error::Error for Forged {}
impl core::error::Error for InvalidLength {}
impl core::error::Error for WeakPoint {}
impl core::error::Error for InvalidPoint {}
impl core::error::Error for InvalidEncapsulationKey {}
impl core::error::Error for InvalidShare {}
impl core::error::Error for InvalidGroup {}
impl core::error::Error for InvalidKey {}
impl core::error::Error for SignError {}
impl core::error::Error for KdfError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn messages_say_what_was_expected_and_what_came() {
        let length = InvalidLength { what: "an AES-GCM key", expected: &[16, 32], actual: 24 };
        assert_eq!(length.to_string(), "an AES-GCM key has one of [16, 32] bytes, got 24");
        assert_eq!(
            InvalidKey::Modulus { bits: 1024 }.to_string(),
            "expected an odd RSA modulus of 2048 to 16384 bits, got one of 1024 bits"
        );
        assert!(KdfError::Rounds(0).to_string().ends_with("got 0"));
        assert!(KdfError::OutputLength(9999).to_string().ends_with("got 9999"));
    }
}
