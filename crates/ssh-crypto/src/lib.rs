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
//! | [`chachapoly`](mod@chachapoly) | `chacha20-poly1305@openssh.com` | draft-ietf-sshm-chacha20-poly1305 |
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
//! RustCrypto and dalek serve every platform, and everything. What else is built in does what it
//! serves; all give the same bytes and accept the same input.
//!
//! * Feature `graviola` (on by default), on a CPU that has the instructions, which is asked at run
//!   time: AES-GCM, key agreement on X25519, P-256 and P-384, ML-KEM-768, Ed25519 signing, ECDSA
//!   verification on P-256 and P-384. No C compiler is needed.
//! * Feature `ring` (off by default, **needs a C compiler**), on every CPU, and before graviola:
//!   AES-GCM, `chacha20-poly1305@openssh.com`, HMAC with SHA-2, key agreement on X25519,
//!   P-256 and P-384, Ed25519 signing, ECDSA verification on P-256 and P-384, RSA signing (2048 to
//!   4096 bits, an exponent of 65537 at least) and verification (2048 to 8192). ring does not wipe
//!   its keys from memory, as everything else here does.
//!
//! RustCrypto's ChaCha20 chooses AVX-512 at run time only if the program is built with
//! `RUSTFLAGS='--cfg chacha20_avx512'`, or with that in its `.cargo/config.toml`, which no library
//! can do for it. `chacha20-poly1305@openssh.com` then takes half the time, and gives the same bytes.
//!
//! ring's key agreement and graviola's ML-KEM draw from the operating system themselves and take
//! no private value. They are used only where the caller's randomness is the system's
//! ([`rng::Rng::is_the_systems`]); with any other source, a seed above all, the bytes come from it,
//! and the same session is the same again. ECDSA signing is left to the portable libraries for the
//! same reason: theirs is repeatable. So is the verification of Ed25519, since libraries
//! differ in which malformed keys they accept.
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
pub mod chachapoly;
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

pub use backend::Backend;
#[cfg(feature = "benchmark")]
#[doc(hidden)]
pub use backend::use_only;
pub use error::{
    Forged, InvalidEncapsulationKey, InvalidGroup, InvalidKey, InvalidLength, InvalidPoint,
    InvalidShare, KdfError, SignError, WeakPoint,
};
pub use secret::{Secret, constant_time_eq};
