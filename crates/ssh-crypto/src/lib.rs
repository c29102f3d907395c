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
//! | [`stream`] | AES-CTR, ChaCha20 | RFC 4344, `PROTOCOL.chacha20poly1305` |
//! | [`poly1305`](mod@poly1305) | Poly1305 | RFC 8439 §2.5 |
//! | [`mac`] | HMAC | RFC 2104, RFC 6668 |
//! | [`hash`] | SHA-2, SHA-1 | FIPS 180-4 |
//! | [`agree`] | X25519, ECDH on P-256 | RFC 7748, SEC 1 |
//! | [`kem`] | ML-KEM-768 | FIPS 203 |
//! | [`sign`] | Ed25519, ECDSA P-256, RSA | RFC 8032, RFC 6979, RFC 8017 |
//! | [`kdf`] | `bcrypt_pbkdf` | `PROTOCOL.key` |
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
    Forged, InvalidEncapsulationKey, InvalidKey, InvalidLength, InvalidPoint, KdfError, SignError,
    WeakPoint,
};
pub use secret::{Secret, constant_time_eq};
