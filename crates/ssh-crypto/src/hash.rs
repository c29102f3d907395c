//! Hash functions (FIPS 180-4, RFC 1321).

use core::fmt;

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use zeroize::Zeroize;

use crate::constant_time_eq;

/// A hash function that SSH uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// MD5, for old fingerprints and the keys of old key files. Broken.
    Md5,
    /// SHA-1, for the hashed host names of `known_hosts` and for old formats and methods. Broken
    /// for signatures.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl HashAlgorithm {
    /// The length of its digests, in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A hash being computed over data that comes in pieces.
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Md5(Md5),
    Sha1(Sha1),
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    /// The hash of nothing yet.
    #[must_use]
    pub fn new(algorithm: HashAlgorithm) -> Self {
        Self(match algorithm {
            HashAlgorithm::Md5 => State::Md5(Md5::new()),
            HashAlgorithm::Sha1 => State::Sha1(Sha1::new()),
            HashAlgorithm::Sha256 => State::Sha256(Sha256::new()),
            HashAlgorithm::Sha384 => State::Sha384(Sha384::new()),
            HashAlgorithm::Sha512 => State::Sha512(Sha512::new()),
        })
    }

    /// Which hash function this is.
    #[must_use]
    pub const fn algorithm(&self) -> HashAlgorithm {
        match self.0 {
            State::Md5(_) => HashAlgorithm::Md5,
            State::Sha1(_) => HashAlgorithm::Sha1,
            State::Sha256(_) => HashAlgorithm::Sha256,
            State::Sha384(_) => HashAlgorithm::Sha384,
            State::Sha512(_) => HashAlgorithm::Sha512,
        }
    }

    /// Appends `data` to what is hashed.
    pub fn update(&mut self, data: &[u8]) {
        match &mut self.0 {
            State::Md5(state) => state.update(data),
            State::Sha1(state) => state.update(data),
            State::Sha256(state) => state.update(data),
            State::Sha384(state) => state.update(data),
            State::Sha512(state) => state.update(data),
        }
    }

    /// The digest of everything appended.
    #[must_use]
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Md5(state) => Digest::new(&state.finalize()),
            State::Sha1(state) => Digest::new(&state.finalize()),
            State::Sha256(state) => Digest::new(&state.finalize()),
            State::Sha384(state) => Digest::new(&state.finalize()),
            State::Sha512(state) => Digest::new(&state.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hasher").field(&self.algorithm()).finish()
    }
}

/// The result of a hash function, up to 64 bytes, kept inline.
///
/// SSH derives its keys by hashing (RFC 4253 §7.2), so a digest may be a secret:
/// it is wiped when dropped, compared in constant time, and `Debug` shows its
/// length only.
#[derive(Clone)]
pub struct Digest {
    bytes: [u8; Self::MAX_LEN],
    /// At most `MAX_LEN`; a `u8` keeps the whole at 65 bytes.
    len: u8,
}

impl Digest {
    /// The length of the longest digest (SHA-512).
    pub const MAX_LEN: usize = 64;

    /// A digest of `source`, at most 64 bytes of it.
    fn new(source: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        let mut len = 0_u8;
        for (to, from) in bytes.iter_mut().zip(source) {
            *to = *from;
            len = len.saturating_add(1);
        }
        Self { bytes, len }
    }

    /// The digest as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        constant_time_eq(self.as_bytes(), other.as_bytes())
    }
}

impl Eq for Digest {}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({} bytes)", self.len)
    }
}

impl Zeroize for Digest {
    fn zeroize(&mut self) {
        self.bytes.zeroize();
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.zeroize();
    }
}

/// The digest of `data`.
#[must_use]
pub fn digest(algorithm: HashAlgorithm, data: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(data);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::testing::unhex;

    const ALL: [HashAlgorithm; 5] = [
        HashAlgorithm::Md5,
        HashAlgorithm::Sha1,
        HashAlgorithm::Sha256,
        HashAlgorithm::Sha384,
        HashAlgorithm::Sha512,
    ];

    #[test]
    fn known_answers_of_abc() {
        // RFC 1321 appendix A.5; FIPS 180-2, appendices A to D.
        let expected = [
            "900150983cd24fb0d6963f7d28e17f72",
            "a9993e364706816aba3e25717850c26c9cd0d89d",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ];
        for (algorithm, expected) in ALL.into_iter().zip(expected) {
            let digest = digest(algorithm, b"abc");
            assert_eq!(digest.as_ref(), unhex(expected), "{algorithm:?}");
            assert_eq!(digest.as_bytes().len(), algorithm.output_len());
        }
    }

    #[test]
    fn pieces_and_clones_give_the_digest_of_the_whole() {
        let data: [u8; 250] = core::array::from_fn(|i| i as u8);
        for algorithm in ALL {
            for cut in [0, 1, 63, 64, 65, 127, 128, 250] {
                let mut hasher = Hasher::new(algorithm);
                assert_eq!(hasher.algorithm(), algorithm);
                hasher.update(&data[..cut]);
                let mut branch = hasher.clone();
                branch.update(b"other");
                hasher.update(&data[cut..]);
                assert_eq!(hasher.finish(), digest(algorithm, &data));
                assert_ne!(branch.finish(), digest(algorithm, &data));
            }
        }
    }

    #[test]
    fn debug_shows_no_digest_since_it_may_be_a_key() {
        let digest = digest(HashAlgorithm::Sha256, b"abc");
        assert_eq!(format!("{digest:?}"), "Digest(32 bytes)");
        let hasher = Hasher::new(HashAlgorithm::Sha1);
        assert_eq!(format!("{hasher:?}"), "Hasher(Sha1)");
    }
}
