//! SSH keys at rest and their blobs: public and private keys, signatures, fingerprints, and the
//! two files that say which keys to trust, `known_hosts` and `authorized_keys`.
//!
//! | what | where it is specified | here |
//! |---|---|---|
//! | names of key types and signature algorithms | RFC 4253 §6.6, RFC 5656, RFC 8332, RFC 8709 | [`algorithm`] |
//! | public key blobs, `id_*.pub` lines | RFC 4253 §6.6 and the above | [`PublicKey`] |
//! | signature blobs | the above | [`PublicKey::verify`], [`PrivateKey::sign`] |
//! | private key files | OpenSSH's `PROTOCOL.key` | [`PrivateKey`] |
//! | fingerprints | OpenSSH's `SHA256:…` | [`Fingerprint`] |
//! | known hosts | sshd(8), `SSH_KNOWN_HOSTS FILE FORMAT` | [`known_hosts`] |
//! | authorized keys | sshd(8), `AUTHORIZED_KEYS FILE FORMAT` | [`authorized_keys`] |
//!
//! A [`PublicKey`] exists only if its blob is well-formed, has nothing behind its last field, and
//! its numbers are in the limits named in [`public`]. No function here reads files: text goes in,
//! and what is wrong with it comes out with the number of the line.
//!
//! ```
//! use ssh_keys::{PublicKey, known_hosts::{HostName, KnownHosts, Verdict}};
//!
//! let line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAf4gqy1iYniwZIfDO1Ou2cscMmXJRsn4wxjZrdvNXq2 me";
//! let (key, comment) = PublicKey::from_openssh(line)?;
//! assert_eq!(comment, "me");
//!
//! let known = KnownHosts::parse(format!("[*.example.org]:2222 {line}\n").as_bytes(), "known_hosts");
//! assert_eq!(known.lookup(&HostName::new("www.Example.org", 2222)?, &key), Verdict::Known);
//! assert_eq!(known.lookup(&HostName::new("www.example.org", 22)?, &key), Verdict::Unknown);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
#[cfg(test)]
extern crate std;

pub mod algorithm;
mod armor;
pub mod authorized_keys;
mod base64;
mod cipher;
mod error;
mod fingerprint;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod known_hosts;
mod line;
mod openssh_key;
pub mod private;
pub mod public;
mod signature;
#[cfg(test)]
mod testing;

pub use algorithm::{HostKeyAlgorithm, KeyType, SignatureAlgorithm};
pub use error::{
    FoundFormat, GenerationFailed, KeyError, PrivateKeyError, SignError, SignatureError,
};
pub use fingerprint::Fingerprint;
pub use line::{LineError, MAX_LINE_LEN, SkippedLine};
pub use private::PrivateKey;
pub use public::PublicKey;
