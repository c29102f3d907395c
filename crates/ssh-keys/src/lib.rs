//! SSH keys at rest and their blobs: public and private keys, certificates, signatures,
//! fingerprints, and the files that say which of them to trust.
//!
//! | what | where it is specified | here |
//! |---|---|---|
//! | names of key types and signature algorithms | RFC 4253 §6.6, RFC 5656, RFC 8332, RFC 8709, `PROTOCOL.u2f`, draft-ietf-sshm-composite-sigs | [`algorithm`] |
//! | public key blobs, `id_*.pub` lines, RFC 4716 | the above | [`PublicKey`] |
//! | signature blobs | the above | [`PublicKey::verify`], [`PrivateKey::sign`] |
//! | private key files | OpenSSH's `PROTOCOL.key`, RFC 8017, RFC 5915, RFC 5958, RFC 8018, PuTTY's manual | [`PrivateKey::parse`] |
//! | certificates | `PROTOCOL.certkeys` | [`certificate`] |
//! | revocation lists | `PROTOCOL.krl` | [`krl`] |
//! | signatures over files | `PROTOCOL.sshsig`, ssh-keygen(1) | [`sshsig`] |
//! | fingerprints and pictures | OpenSSH's `SHA256:…`, `MD5:…` | [`Fingerprint`], [`Md5Fingerprint`] |
//! | fingerprints in the DNS | RFC 4255, RFC 6594, RFC 7479 | [`sshfp`] |
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

pub mod address;
pub mod algorithm;
pub mod authorized_keys;
mod base64;
pub mod calendar;
pub mod certificate;
mod error;
mod fingerprint;
mod format;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod known_hosts;
pub mod krl;
mod line;
mod options;
mod pattern;
pub mod private;
pub mod public;
mod signature;
pub mod sshfp;
pub mod sshsig;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod vectors;

pub use algorithm::{KeyType, SignatureAlgorithm};
pub use certificate::{Certificate, Identity};
pub use error::{
    FoundFormat, GenerationFailed, KeyError, PrivateKeyError, SignError, SignatureError,
};
pub use fingerprint::{Fingerprint, Md5Fingerprint};
pub use krl::Krl;
pub use line::{LineError, MAX_LINE_LEN, SkippedLine};
pub use private::{PrivateKey, ReadLimits};
pub use public::PublicKey;
pub use signature::TokenProof;
