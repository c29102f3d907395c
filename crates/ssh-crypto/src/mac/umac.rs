//! UMAC (RFC 4418), the MAC of `umac-64@openssh.com` and `umac-128@openssh.com`: a universal hash
//! at several bytes per cycle, encrypted with a pad that AES makes of the packet's number.
//!
//! No maintained crate has it, and a packet needs a part of it only: messages of at most 16 MiB,
//! for which the second layer is POLY64 alone.

use alloc::boxed::Box;
use core::fmt;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::Zeroize;

use crate::{Forged, constant_time_eq};

/// The longest message, in bytes: beyond it RFC 4418 §5.3.1 goes on with a wider polynomial. A
/// packet is 64 times smaller.
pub const UMAC_MAX_MESSAGE: usize = 1 << 24;

/// Bytes that the first layer compresses at a time.
const L1_BLOCK: usize = 1024;
/// Bytes that NH mixes at a time.
const NH_BLOCK: usize = 32;
/// The most iterations, each of which makes four bytes of tag.
const MAX_ITERATIONS: usize = 4;
/// Words of the first layer's key: each iteration uses it four words further on.
const L1_WORDS: usize = L1_BLOCK / 4 + (MAX_ITERATIONS - 1) * 4;
/// The prime below 2^64, as its distance.
const P64_OFFSET: u64 = 59;
/// The prime below 2^36.
const P36: u64 = (1 << 36) - 5;
/// What POLY64 puts before words that its prime does not cover (RFC 4418 §5.3.2).
const MAX_WORD: u64 = u64::MAX << 32;

/// The length of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "SSH has these two")]
pub enum UmacTag {
    /// 8 bytes.
    Bits64,
    /// 16 bytes.
    Bits128,
}

impl UmacTag {
    /// The length of the tag, in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        match self {
            Self::Bits64 => 8,
            Self::Bits128 => 16,
        }
    }

    /// Tags are never empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }
}

/// A UMAC key, expanded once. Computing a tag does not allocate.
pub struct Umac {
    tag: UmacTag,
    pad: Aes128,
    keys: Box<Keys>,
}

/// The keys of the universal hash.
struct Keys {
    l1: [u32; L1_WORDS],
    l2: [u64; MAX_ITERATIONS],
    l3: [[u64; 8]; MAX_ITERATIONS],
    l3_mask: [u32; MAX_ITERATIONS],
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.l1.zeroize();
        self.l2.zeroize();
        self.l3.zeroize();
        self.l3_mask.zeroize();
    }
}

impl Umac {
    /// Bytes of key.
    pub const KEY_LEN: usize = 16;

    /// Expands a key (RFC 4418 §3.2.1, §5.1).
    #[must_use]
    pub fn new(tag: UmacTag, key: &[u8; Self::KEY_LEN]) -> Self {
        let cipher = Aes128::new(key.into());
        let mut keys = Box::new(Keys {
            l1: [0; L1_WORDS],
            l2: [0; MAX_ITERATIONS],
            l3: [[0; 8]; MAX_ITERATIONS],
            l3_mask: [0; MAX_ITERATIONS],
        });
        let mut stream = Derived::new(&cipher, 1);
        keys.l1.iter_mut().for_each(|word| *word = stream.u32());
        let mut stream = Derived::new(&cipher, 2);
        for key in &mut keys.l2 {
            *key = stream.u64() & 0x01ff_ffff_01ff_ffff;
            // The key of POLY128, which no message here needs.
            stream.u64();
            stream.u64();
        }
        let mut stream = Derived::new(&cipher, 3);
        for key in keys.l3.iter_mut().flatten() {
            *key = stream.u64().checked_rem(P36).unwrap_or(0);
        }
        let mut stream = Derived::new(&cipher, 4);
        keys.l3_mask.iter_mut().for_each(|mask| *mask = stream.u32());
        let mut pad_key = Derived::new(&cipher, 0).block();
        let pad = Aes128::new(&pad_key.into());
        pad_key.zeroize();
        Self { tag, pad, keys }
    }

    /// The length of its tags, in bytes.
    #[must_use]
    pub const fn tag_len(&self) -> usize {
        self.tag.len()
    }

    /// Writes the tag of `msg` to the front of `tag`, as far as there is room.
    ///
    /// A nonce, in SSH the packet's number, must never be used twice with one key. A message of
    /// more than [`UMAC_MAX_MESSAGE`] bytes, which no packet reaches, gets zeros that do not verify.
    pub fn sign(&self, nonce: u64, msg: &[u8], tag: &mut [u8]) {
        let computed = self.compute(nonce, msg).unwrap_or([0; 16]);
        for (to, from) in tag.iter_mut().zip(computed.iter().take(self.tag_len())) {
            *to = *from;
        }
    }

    /// Checks, in constant time, that `tag` is the whole tag of `msg`.
    ///
    /// # Errors
    /// [`Forged`] if it is not, has another length, or `msg` has more than [`UMAC_MAX_MESSAGE`]
    /// bytes.
    pub fn verify(&self, nonce: u64, msg: &[u8], tag: &[u8]) -> Result<(), Forged> {
        let computed = self.compute(nonce, msg).ok_or(Forged)?;
        let computed = computed.get(..self.tag_len()).ok_or(Forged)?;
        if constant_time_eq(computed, tag) { Ok(()) } else { Err(Forged) }
    }

    fn compute(&self, nonce: u64, msg: &[u8]) -> Option<[u8; 16]> {
        if msg.len() > UMAC_MAX_MESSAGE {
            return None;
        }
        let mut tag = self.pad(nonce);
        let parts = match self.tag {
            UmacTag::Bits64 => self.hash::<2>(msg),
            UmacTag::Bits128 => self.hash::<4>(msg),
        };
        let (words, _) = tag.as_chunks_mut::<4>();
        for (word, part) in words.iter_mut().zip(parts) {
            *word = (u32::from_be_bytes(*word) ^ part).to_be_bytes();
        }
        Some(tag)
    }

    /// The pad (RFC 4418 §4): of a 16-byte block, a tag of 8 bytes takes the half that the lowest
    /// bit of the nonce says.
    fn pad(&self, nonce: u64) -> [u8; 16] {
        let low = match self.tag {
            UmacTag::Bits64 => nonce & 1,
            UmacTag::Bits128 => 0,
        };
        let mut block = aes::Block::default();
        for (to, from) in block.iter_mut().zip((nonce ^ low).to_be_bytes()) {
            *to = from;
        }
        self.pad.encrypt_block(&mut block);
        let mut pad: [u8; 16] = block.into();
        if low == 1 {
            pad.rotate_left(8);
        }
        pad
    }

    /// UHASH (RFC 4418 §5): `N` words of hash.
    fn hash<const N: usize>(&self, msg: &[u8]) -> [u32; MAX_ITERATIONS] {
        let hashes = if msg.len() <= L1_BLOCK {
            // The second layer is left out.
            self.l1::<N>(msg)
        } else {
            let mut hashes = [1_u64; N];
            for block in msg.chunks(L1_BLOCK) {
                for ((hash, word), key) in
                    hashes.iter_mut().zip(self.l1::<N>(block)).zip(&self.keys.l2)
                {
                    *hash = poly64(*hash, *key, word);
                }
            }
            hashes
        };
        let mut parts = [0; MAX_ITERATIONS];
        for (index, (part, hash)) in parts.iter_mut().zip(hashes).enumerate() {
            *part = self.l3(index, hash);
        }
        parts
    }

    /// L1-HASH of a block of at most 1024 bytes (RFC 4418 §5.2): NH, and the length in bits.
    fn l1<const N: usize>(&self, block: &[u8]) -> [u64; N] {
        let bits = u64::try_from(block.len()).unwrap_or(0).wrapping_mul(8);
        let mut sums = [bits; N];
        let (whole, rest) = block.as_chunks::<NH_BLOCK>();
        let mut keys = self.keys.l1.as_slice();
        for chunk in whole {
            nh(&mut sums, chunk, keys);
            keys = keys.get(8..).unwrap_or_default();
        }
        // Padded with zeros to a positive multiple of 32 bytes.
        if !rest.is_empty() || block.is_empty() {
            let mut chunk = [0; NH_BLOCK];
            for (to, from) in chunk.iter_mut().zip(rest) {
                *to = *from;
            }
            nh(&mut sums, &chunk, keys);
        }
        sums
    }

    /// L3-HASH (RFC 4418 §5.4), of a value whose upper 8 bytes are zero.
    fn l3(&self, index: usize, hash: u64) -> u32 {
        let keys = self.keys.l3.get(index).unwrap_or(&[0; 8]);
        let mask = self.keys.l3_mask.get(index).copied().unwrap_or_default();
        let mut sum = 0_u64;
        for (key, shift) in keys.iter().skip(4).zip([48, 32, 16, 0]) {
            // 36 and 16 bits: four of them do not overflow.
            sum = sum.wrapping_add(key.wrapping_mul((hash >> shift) & 0xffff));
        }
        let reduced = sum.checked_rem(P36).unwrap_or(0);
        let low = u32::try_from(reduced & 0xffff_ffff).unwrap_or(0);
        low ^ mask
    }
}

impl fmt::Debug for Umac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Umac").field(&self.tag).finish()
    }
}

/// NH of 32 bytes (RFC 4418 §5.2.2) for `N` iterations, whose keys begin four words apart.
fn nh<const N: usize>(sums: &mut [u64; N], chunk: &[u8; NH_BLOCK], keys: &[u32]) {
    let (words, _) = chunk.as_chunks::<4>();
    let words = words.iter().map(|word| u32::from_le_bytes(*word));
    let mut message = [0_u32; 8];
    for (to, from) in message.iter_mut().zip(words) {
        *to = from;
    }
    for (index, sum) in sums.iter_mut().enumerate() {
        let start = index.wrapping_mul(4);
        let Some(keys) = keys.get(start..).and_then(|keys| keys.first_chunk::<8>()) else { return };
        let ([m0, m1, m2, m3, m4, m5, m6, m7], [k0, k1, k2, k3, k4, k5, k6, k7]) = (message, *keys);
        for (a, b, c, d) in [(m0, k0, m4, k4), (m1, k1, m5, k5), (m2, k2, m6, k6), (m3, k3, m7, k7)]
        {
            let (left, right) = (a.wrapping_add(b), c.wrapping_add(d));
            *sum = sum.wrapping_add(u64::from(left).wrapping_mul(u64::from(right)));
        }
    }
}

/// A step of POLY64 (RFC 4418 §5.3.2).
fn poly64(hash: u64, key: u64, word: u64) -> u64 {
    // Once in 2^32 words.
    if word >= MAX_WORD {
        let marked = multiply_add(hash, key, 0_u64.wrapping_sub(P64_OFFSET).wrapping_sub(1));
        return multiply_add(marked, key, word.wrapping_sub(P64_OFFSET));
    }
    multiply_add(hash, key, word)
}

/// `hash * key + word` modulo 2^64 - 59. The key has at most 57 bits.
fn multiply_add(hash: u64, key: u64, word: u64) -> u64 {
    let mut value = u128::from(hash).wrapping_mul(u128::from(key)).wrapping_add(u128::from(word));
    // 2^64 is 59: the upper half, at most 58 bits, shrinks to 64 and then to one.
    for _ in 0..2 {
        let low = value & u128::from(u64::MAX);
        value = (value >> 64).wrapping_mul(u128::from(P64_OFFSET)).wrapping_add(low);
    }
    // At most once the prime too much, and then plus 59 carries into bit 64.
    let carried = value.wrapping_add(u128::from(P64_OFFSET));
    let over = carried >> 64;
    let chosen = value.wrapping_add(over.wrapping_mul(u128::from(P64_OFFSET)));
    u64::try_from(chosen & u128::from(u64::MAX)).unwrap_or(0)
}

/// The stream of RFC 4418 §3.2.1: `AES(index | 1), AES(index | 2), …`.
struct Derived<'a> {
    cipher: &'a Aes128,
    index: u64,
    counter: u64,
    block: [u8; 16],
    used: usize,
}

impl<'a> Derived<'a> {
    const fn new(cipher: &'a Aes128, index: u64) -> Self {
        Self { cipher, index, counter: 0, block: [0; 16], used: 16 }
    }

    fn block(&mut self) -> [u8; 16] {
        self.counter = self.counter.wrapping_add(1);
        let input = (u128::from(self.index) << 64) | u128::from(self.counter);
        let mut block = input.to_be_bytes().into();
        self.cipher.encrypt_block(&mut block);
        block.into()
    }

    fn u32(&mut self) -> u32 {
        if self.used >= self.block.len() {
            self.block = self.block();
            self.used = 0;
        }
        let word = self.block.get(self.used..).and_then(|rest| rest.first_chunk::<4>());
        self.used = self.used.wrapping_add(4);
        word.copied().map_or(0, u32::from_be_bytes)
    }

    fn u64(&mut self) -> u64 {
        (u64::from(self.u32()) << 32) | u64::from(self.u32())
    }
}

impl Drop for Derived<'_> {
    fn drop(&mut self) {
        self.block.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::Vectors;

    const KEY: &[u8; 16] = b"abcdefghijklmnop";

    fn tag(length: UmacTag, nonce: u64, msg: &[u8]) -> Vec<u8> {
        let umac = Umac::new(length, KEY);
        let mut tag = vec![0; umac.tag_len()];
        umac.sign(nonce, msg, &mut tag);
        assert_eq!(umac.verify(nonce, msg, &tag), Ok(()));
        tag
    }

    #[test]
    fn known_answers_of_rfc_4418() {
        let nonce = u64::from_be_bytes(*b"bcdefghi");
        let vectors = Vectors::load(include_str!("../../testdata/umac.json"));
        for case in vectors.list("vectors") {
            let name = case.value("message").as_str().unwrap();
            let msg = match name.split_once('*') {
                None => vec![],
                Some((text, count)) => {
                    let count = count.split_once('^').map_or_else(
                        || count.parse().unwrap(),
                        |(base, power)| base.parse::<usize>().unwrap().pow(power.parse().unwrap()),
                    );
                    text.as_bytes().repeat(count)
                }
            };
            assert_eq!(tag(UmacTag::Bits64, nonce, &msg), case.hex("tag64_rfc"), "{name}");
            assert_eq!(
                tag(UmacTag::Bits128, nonce, &msg),
                case.hex("tag128_openssh_code"),
                "{name}"
            );
        }
    }

    #[test]
    fn multiplication_is_that_of_the_prime_field() {
        let prime = u128::from(u64::MAX) - 58;
        let key_max = 0x01ff_ffff_01ff_ffff;
        for hash in [0, 1, 58, 59, 60, u64::MAX - 59, u64::MAX - 58, u64::MAX] {
            for key in [0, 1, 2, key_max] {
                for word in [0, 1, 59, u64::MAX - 59, u64::MAX - 58, u64::MAX] {
                    let expected = (u128::from(hash) * u128::from(key) + u128::from(word)) % prime;
                    let found = multiply_add(hash, key, word);
                    assert_eq!(u128::from(found), expected, "{hash} {key} {word}");
                }
            }
        }
    }

    #[test]
    fn words_beyond_the_prime_are_marked() {
        // RFC 4418 §5.3.2: two steps, with p - 1 and with the word less 59.
        let prime = u128::from(u64::MAX) - 58;
        let (hash, key, word) = (12_345, 0x0102_0304_0005_0607, u64::MAX - 7);
        let step = |hash: u128, word: u128| (hash * u128::from(key) + word) % prime;
        let expected = step(step(hash, prime - 1), u128::from(word) - 59);
        assert_eq!(u128::from(poly64(12_345, key, word)), expected);
    }

    #[test]
    fn any_flipped_bit_and_any_other_nonce_is_a_forgery() {
        for length in [UmacTag::Bits64, UmacTag::Bits128] {
            let umac = Umac::new(length, &[3; 16]);
            let msg = [5; 100];
            let mut good = vec![0; umac.tag_len()];
            umac.sign(9, &msg, &mut good);
            assert_eq!(umac.verify(9, &msg, &good), Ok(()));
            for nonce in [8, 10, 11, 1 << 32 | 9] {
                assert_eq!(umac.verify(nonce, &msg, &good), Err(Forged));
            }
            for bit in 0..good.len() * 8 {
                let mut bad = good.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(umac.verify(9, &msg, &bad), Err(Forged));
            }
            for bit in 0..msg.len() * 8 {
                let mut bad = msg;
                bad[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(umac.verify(9, &bad, &good), Err(Forged));
            }
            for end in 0..good.len() {
                assert_eq!(umac.verify(9, &msg, &good[..end]), Err(Forged));
            }
        }
    }

    #[test]
    fn messages_beyond_the_limit_are_refused() {
        let umac = Umac::new(UmacTag::Bits64, KEY);
        let msg = vec![0; UMAC_MAX_MESSAGE + 1];
        let mut tag = [1; 8];
        umac.sign(0, &msg, &mut tag);
        assert_eq!(tag, [0; 8]);
        assert_eq!(umac.verify(0, &msg, &tag), Err(Forged));
        umac.sign(0, &msg[1..], &mut tag);
        assert_eq!(umac.verify(0, &msg[1..], &tag), Ok(()));
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", Umac::new(UmacTag::Bits64, KEY)), "Umac(Bits64)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn zeros_at_the_end_are_part_of_the_message(
            msg in proptest::collection::vec(any::<u8>(), 0..2100), nonce: u64
        ) {
            let longer = [&msg[..], &[0]].concat();
            for length in [UmacTag::Bits64, UmacTag::Bits128] {
                prop_assert_ne!(tag(length, nonce, &msg), tag(length, nonce, &longer));
            }
        }
    }
}
