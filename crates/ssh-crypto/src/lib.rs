//! The one door between chiton and cryptography libraries.
//!
//! Everything SSH needs, and nothing else: one file per primitive, plain byte
//! arrays in and out, no type of a foreign crate in a public signature. Which
//! library computes a primitive is decided in [`backend`](self#backends) and can
//! change without any other crate noticing.
//!
//! | file | what | standard |
//! |---|---|---|
//! | [`aead`] | AES-GCM | NIST SP 800-38D, RFC 5647 |
//! | [`cbc`](mod@cbc) | AES and Triple DES in CBC mode | SP 800-38A, SP 800-67 |
//! | [`stream`] | AES-CTR, ChaCha20 | RFC 4344, `PROTOCOL.chacha20poly1305` |
//! | [`poly1305`](mod@poly1305) | Poly1305 | RFC 8439 §2.5 |
//! | [`mac`] | HMAC, UMAC | RFC 2104, RFC 6668, RFC 4418 |
//! | [`hash`] | SHA-2, SHA-1, MD5 | FIPS 180-4, RFC 1321 |
//! | [`agree`] | X25519, ECDH, finite-field Diffie-Hellman | RFC 7748, SEC 1, RFC 4419 |
//! | [`kem`] | ML-KEM-768 and -1024, sntrup761 | FIPS 203, draft-ietf-sshm-ntruprime-ssh |
//! | [`sign`] | Ed25519, ECDSA, RSA, ML-DSA-44 with Ed25519, FIDO | RFC 8032, RFC 6979, RFC 8017, FIPS 204 |
//! | [`kdf`] | `bcrypt_pbkdf`, PBKDF2, Argon2 | `PROTOCOL.key`, RFC 8018, RFC 9106 |
//!
//! What is broken, and here all the same (MD5, SHA-1, Triple DES), reads old key files. No
//! connection negotiates it without the feature `legacy` of the crates above.
//!
//! # Backends
//! RustCrypto and dalek serve every platform. With the feature `graviola` (on by
//! default) and a CPU that has the instructions, AES-GCM, X25519, P-256 key
//! agreement and ECDSA verification run on graviola; the choice is made at run
//! time, both give the same bytes, and neither needs a C compiler.
//!
//! # Panics
//! No function panics on any input. [`rng::SystemRng`] panics when the operating
//! system has no randomness to give: there is nothing safe to return.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod aead;
pub mod agree;
mod backend;
pub mod cbc;
mod error;
pub mod hash;
pub mod kdf;
pub mod kem;
pub mod mac;
pub mod poly1305;
pub mod rng;
mod secret;
pub mod sign;
pub mod stream;
#[cfg(test)]
mod testing;

pub use error::{
    Forged, InvalidEncapsulationKey, InvalidGroup, InvalidKey, InvalidLength, InvalidPoint,
    InvalidShare, KdfError, SignError, WeakPoint,
};
pub use secret::{Secret, constant_time_eq};
