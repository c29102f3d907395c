//! Message authentication: HMAC (RFC 2104) for packets (RFC 6668), key files and hashed host names,
//! and UMAC (RFC 4418) for packets.

mod umac;

use core::fmt;

use hmac::{EagerHash, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

pub use umac::{UMAC_MAX_MESSAGE, Umac, UmacTag};

use crate::{Forged, backend, constant_time_eq};

/// The longest tag, in bytes.
const MAX_TAG: usize = 64;

/// The hash function under an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HmacAlgorithm {
    /// HMAC-MD5: `hmac-md5` where it is asked for.
    Md5,
    /// HMAC-SHA-1: hashed host names in `known_hosts`, and `hmac-sha1` where it is asked for.
    Sha1,
    /// HMAC-SHA-256.
    Sha256,
    /// HMAC-SHA-512.
    Sha512,
}

impl HmacAlgorithm {
    /// The length of its tags, in bytes.
    #[must_use]
    pub const fn tag_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// An HMAC key, expanded once.
///
/// Computing a tag copies the expanded state: two compression calls fewer per
/// packet than starting from the key, and no allocation.
#[derive(Clone)]
pub struct Hmac(State);

#[derive(Clone)]
enum State {
    Md5(hmac::Hmac<Md5>),
    Sha1(hmac::Hmac<Sha1>),
    Sha256(hmac::Hmac<Sha256>),
    Sha512(hmac::Hmac<Sha512>),
    Other(HmacAlgorithm, backend::Hmac),
}

impl Hmac {
    /// Expands `key`, which may have any length (RFC 2104 §2).
    #[must_use]
    pub fn new(algorithm: HmacAlgorithm, key: &[u8]) -> Self {
        if let Some(other) = backend::Hmac::new(algorithm, key) {
            return Self(State::Other(algorithm, other));
        }
        Self::portable(algorithm, key)
    }

    pub(crate) fn portable(algorithm: HmacAlgorithm, key: &[u8]) -> Self {
        Self(match algorithm {
            HmacAlgorithm::Md5 => State::Md5(keyed::<Md5>(key)),
            HmacAlgorithm::Sha1 => State::Sha1(keyed::<Sha1>(key)),
            HmacAlgorithm::Sha256 => State::Sha256(keyed::<Sha256>(key)),
            HmacAlgorithm::Sha512 => State::Sha512(keyed::<Sha512>(key)),
        })
    }

    /// Which HMAC this is.
    #[must_use]
    pub const fn algorithm(&self) -> HmacAlgorithm {
        match self.0 {
            State::Md5(_) => HmacAlgorithm::Md5,
            State::Sha1(_) => HmacAlgorithm::Sha1,
            State::Sha256(_) => HmacAlgorithm::Sha256,
            State::Sha512(_) => HmacAlgorithm::Sha512,
            State::Other(algorithm, _) => algorithm,
        }
    }

    /// The length of its tags, in bytes.
    #[must_use]
    pub const fn tag_len(&self) -> usize {
        self.algorithm().tag_len()
    }

    /// Writes the tag of the concatenated `parts` to the front of `tag`.
    ///
    /// A buffer shorter than [`tag_len`](Self::tag_len) takes the front of the
    /// tag, as truncated MACs are defined; what is beyond the tag is left alone.
    pub fn sign(&self, parts: &[&[u8]], tag: &mut [u8]) {
        let (computed, _) = self.compute(parts);
        for (to, from) in tag.iter_mut().zip(computed.iter().take(self.tag_len())) {
            *to = *from;
        }
    }

    /// Checks, in constant time, that `tag` is the whole tag of the concatenated `parts`.
    ///
    /// # Errors
    /// [`Forged`] if it is not, or has another length.
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> Result<(), Forged> {
        let (computed, len) = self.compute(parts);
        let computed = computed.get(..len).ok_or(Forged)?;
        if constant_time_eq(computed, tag) { Ok(()) } else { Err(Forged) }
    }

    /// The tag and its length.
    fn compute(&self, parts: &[&[u8]]) -> ([u8; MAX_TAG], usize) {
        match &self.0 {
            State::Md5(state) => tag_of(state, parts),
            State::Sha1(state) => tag_of(state, parts),
            State::Sha256(state) => tag_of(state, parts),
            State::Sha512(state) => tag_of(state, parts),
            State::Other(algorithm, state) => {
                let mut tag = [0; MAX_TAG];
                state.compute(parts, &mut tag);
                (tag, algorithm.tag_len())
            }
        }
    }
}

impl fmt::Debug for Hmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hmac").field(&self.algorithm()).finish()
    }
}

/// RFC 2104 §2: a key longer than a block is hashed first, a shorter one is padded with zeros.
///
/// Done here since the library's constructor for keys of any length is fallible.
fn keyed<D: EagerHash + Digest>(key: &[u8]) -> hmac::Hmac<D>
where
    hmac::Hmac<D>: KeyInit,
{
    let mut block = hmac::digest::Key::<hmac::Hmac<D>>::default();
    if key.len() > block.len() {
        fill_front(&mut block, &D::digest(key));
    } else {
        fill_front(&mut block, key);
    }
    let hmac = <hmac::Hmac<D> as KeyInit>::new(&block);
    zeroize::Zeroize::zeroize(block.as_mut_slice());
    hmac
}

fn tag_of<M: Mac + Clone>(state: &M, parts: &[&[u8]]) -> ([u8; MAX_TAG], usize) {
    let mut mac = state.clone();
    for part in parts {
        mac.update(part);
    }
    let computed = mac.finalize().into_bytes();
    let mut tag = [0; MAX_TAG];
    fill_front(&mut tag, &computed);
    (tag, computed.len())
}

fn fill_front(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;
    use crate::testing::{Vectors, unhex};

    const ALL: [HmacAlgorithm; 4] =
        [HmacAlgorithm::Md5, HmacAlgorithm::Sha1, HmacAlgorithm::Sha256, HmacAlgorithm::Sha512];

    fn tag(algorithm: HmacAlgorithm, key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let hmac = Hmac::new(algorithm, key);
        let mut tag = alloc::vec![0; hmac.tag_len()];
        hmac.sign(parts, &mut tag);
        tag
    }

    #[test]
    fn known_answers_of_rfc_4231() {
        let vectors = Vectors::load(include_str!("../../testdata/hmac-sha2.json"));
        for case in vectors.list("vectors") {
            let (key, data) = (case.hex("key"), case.hex("data"));
            for (algorithm, name) in
                [(HmacAlgorithm::Sha256, "sha256"), (HmacAlgorithm::Sha512, "sha512")]
            {
                assert_eq!(tag(algorithm, &key, &[&data]), case.hex(name));
            }
        }
    }

    #[test]
    fn known_answers_of_rfc_2202() {
        // Test case 2 of both.
        let data: &[u8] = b"what do ya want for nothing?";
        let md5 = "750c783e6ab0b503eaa86e310a5db738";
        assert_eq!(tag(HmacAlgorithm::Md5, b"Jefe", &[data]), unhex(md5));
        let sha1 = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";
        assert_eq!(tag(HmacAlgorithm::Sha1, b"Jefe", &[data]), unhex(sha1));
    }

    #[test]
    fn a_key_longer_than_a_block_is_hashed_first() {
        // RFC 4231 test case 6, RFC 2202 test case 6 (80 bytes, SHA-1).
        let data = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(
            tag(HmacAlgorithm::Sha256, &[0xaa; 131], &[data]),
            unhex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
        );
        assert_eq!(
            tag(HmacAlgorithm::Sha1, &[0xaa; 80], &[data]),
            unhex("aa4ae5e15272d00e95705637ce8a3b55ed402112")
        );
        assert_eq!(
            tag(HmacAlgorithm::Sha512, &[0xaa; 131], &[data]),
            unhex(
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
                 6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"
            )
        );
    }

    #[test]
    fn parts_are_concatenated_and_the_key_serves_many_packets() {
        for algorithm in ALL {
            let hmac = Hmac::new(algorithm, b"key");
            let whole = tag(algorithm, b"key", &[b"sequence", b"", b"packet"]);
            for _ in 0..3 {
                assert_eq!(hmac.verify(&[b"sequencepacket"], &whole), Ok(()));
            }
            assert_eq!(hmac.verify(&[b"sequencepacke"], &whole), Err(Forged));
        }
    }

    #[test]
    fn a_changed_short_or_long_tag_is_refused() {
        for algorithm in ALL {
            let hmac = Hmac::new(algorithm, b"key");
            let mut tag = tag(algorithm, b"key", &[b"data"]);
            for bit in 0..tag.len() * 8 {
                tag[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(hmac.verify(&[b"data"], &tag), Err(Forged));
                tag[bit / 8] ^= 1 << (bit % 8);
            }
            assert_eq!(hmac.verify(&[b"data"], &tag[1..]), Err(Forged));
            assert_eq!(hmac.verify(&[b"data"], &[]), Err(Forged));
            tag.push(0);
            assert_eq!(hmac.verify(&[b"data"], &tag), Err(Forged));
        }
    }

    #[test]
    fn a_short_buffer_takes_the_front_of_the_tag() {
        let hmac = Hmac::new(HmacAlgorithm::Sha256, b"key");
        let whole = tag(HmacAlgorithm::Sha256, b"key", &[b"data"]);
        let (mut short, mut long) = ([0; 12], [0xee; 40]);
        hmac.sign(&[b"data"], &mut short);
        hmac.sign(&[b"data"], &mut long);
        assert_eq!(short, whole[..12]);
        assert_eq!(long[..32], whole);
        assert_eq!(long[32..], [0xee; 8]);
    }

    #[test]
    fn debug_shows_no_key() {
        let hmac = Hmac::new(HmacAlgorithm::Sha256, b"key");
        assert_eq!(format!("{hmac:?}"), "Hmac(Sha256)");
    }
}
