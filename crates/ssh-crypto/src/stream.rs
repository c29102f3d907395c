//! Stream ciphers: AES in counter mode (RFC 4344 §4) and `ChaCha20` as the cipher
//! `chacha20-poly1305@openssh.com` uses it.

use core::fmt;

use aes::{Aes128, Aes192, Aes256};
use chacha20::ChaCha20LegacyCore;
use ctr::Ctr128BE;
use ctr::cipher::{Block, KeyIvInit, StreamCipher, StreamCipherCore};
use zeroize::Zeroize;

use crate::{InvalidLength, Secret};

/// The sizes of AES keys.
const AES_KEY_LENGTHS: &[usize] = &[16, 24, 32];

/// AES in counter mode: a key, and a counter that continues from call to call.
///
/// The counter is a 128-bit big-endian number that starts at the initial vector
/// and wraps around (RFC 4344 §4).
pub struct AesCtr(State);

enum State {
    Aes128(Ctr128BE<Aes128>),
    Aes192(Ctr128BE<Aes192>),
    Aes256(Ctr128BE<Aes256>),
}

impl AesCtr {
    /// Expands a key of 16, 24 or 32 bytes; the stream starts at `iv`.
    ///
    /// # Errors
    /// [`InvalidLength`] for a key of any other length.
    pub fn new(key: &[u8], iv: &[u8; 16]) -> Result<Self, InvalidLength> {
        let iv = iv.as_slice();
        let state = match key.len() {
            16 => Ctr128BE::new_from_slices(key, iv).map(State::Aes128),
            24 => Ctr128BE::new_from_slices(key, iv).map(State::Aes192),
            _ => Ctr128BE::new_from_slices(key, iv).map(State::Aes256),
        };
        state.map(Self).map_err(|_| InvalidLength {
            what: "an AES key",
            expected: AES_KEY_LENGTHS,
            actual: key.len(),
        })
    }

    /// Encrypts or decrypts `buf` in place with the next bytes of the key stream.
    pub fn apply(&mut self, buf: &mut [u8]) {
        // The library's only failure is the end of the key stream, after 2^128 blocks.
        match &mut self.0 {
            State::Aes128(stream) => stream.apply_keystream(buf),
            State::Aes192(stream) => stream.apply_keystream(buf),
            State::Aes256(stream) => stream.apply_keystream(buf),
        }
    }
}

impl fmt::Debug for AesCtr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Aes128(_) => "AesCtr(128)",
            State::Aes192(_) => "AesCtr(192)",
            State::Aes256(_) => "AesCtr(256)",
        })
    }
}

/// The length of a block of `ChaCha20`, in bytes.
const BLOCK: usize = 64;

/// So many blocks the vector code makes in the time of one. For a single one the code with AVX-512
/// even takes four times as long as for four. Portable code makes one after the other.
const TOGETHER: usize =
    if cfg!(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")) {
        4
    } else {
        1
    };

/// So many blocks are the most that some vector code makes at once.
const MOST_TOGETHER: usize = 16;

/// The same in bytes.
const BATCH: usize = MOST_TOGETHER * BLOCK;

/// A `ChaCha20` key, for the original cipher with a 64-bit nonce and a 64-bit
/// block counter (not the 96/32 split of RFC 8439).
#[derive(Clone)]
pub struct ChaCha20Key(Secret<[u8; 32]>);

impl ChaCha20Key {
    /// Takes the key over.
    #[must_use]
    pub const fn new(key: &[u8; 32]) -> Self {
        Self(Secret::new(*key))
    }

    /// Encrypts or decrypts `buf` in place with the key stream of `nonce`, from
    /// the 64-byte block `counter` on.
    ///
    /// `nonce` is the packet's sequence number; on the wire of the cipher it
    /// stands as eight bytes, big-endian.
    pub fn apply(&self, nonce: u64, counter: u64, buf: &mut [u8]) {
        apply_from(&mut self.core(nonce, counter), buf);
    }

    /// Lets `work` have the key stream of `nonce` for a body of `len` bytes. It stays in one place,
    /// since a move would leave a copy behind that nobody overwrites.
    pub(crate) fn with_packet<T>(
        &self,
        nonce: u64,
        len: usize,
        work: impl FnOnce(&mut PacketStream) -> T,
    ) -> T {
        let mut stream = PacketStream { head: KeyStream::empty(), rest: self.core(nonce, 0) };
        stream.head.fill(&mut stream.rest, len.saturating_add(BLOCK));
        work(&mut stream)
    }

    /// The cipher from the block `counter` on.
    fn core(&self, nonce: u64, counter: u64) -> ChaCha20LegacyCore {
        let mut core = ChaCha20LegacyCore::new(self.0.expose().into(), &nonce.to_be_bytes().into());
        core.set_block_pos(counter);
        core
    }
}

/// The key stream of one packet: block 0 is the key that authenticates it, the body begins at
/// block 1.
///
/// Whatever of it fits is made in one call, since the first block alone costs as much as several.
pub(crate) struct PacketStream {
    head: KeyStream,
    /// What comes after `head`.
    rest: ChaCha20LegacyCore,
}

impl PacketStream {
    /// The key for Poly1305.
    pub(crate) fn one_time_key(&self) -> &[u8; 32] {
        let [key, ..] = &self.head.halves;
        key
    }

    /// Encrypts or decrypts the body, for once.
    pub(crate) fn apply(&mut self, body: &mut [u8]) {
        let head = self.head.made().get(BLOCK..).unwrap_or_default();
        let (body, rest) = body.split_at_mut(body.len().min(head.len()));
        xor(body, head);
        apply_from(&mut self.rest, rest);
    }
}

/// Encrypts or decrypts `buf` with what comes next; where it ends within a block, the rest of that
/// is lost.
fn apply_from(core: &mut ChaCha20LegacyCore, buf: &mut [u8]) {
    let (batches, rest) = buf.as_chunks_mut::<BATCH>();
    if !batches.is_empty() {
        let blocks = batches.as_flattened_mut();
        core.apply_keystream_blocks(Block::<ChaCha20LegacyCore>::slice_as_chunks_mut(blocks).0);
    }
    if !rest.is_empty() {
        let mut stream = KeyStream::empty();
        stream.fill(core, rest.len());
        xor(rest, stream.made());
    }
}

fn xor(buf: &mut [u8], stream: &[u8]) {
    for (byte, key) in buf.iter_mut().zip(stream) {
        *byte ^= key;
    }
}

/// The next blocks of a key stream, overwritten when dropped.
struct KeyStream {
    /// In halves of blocks, since the first half is a key where it is one.
    halves: [[u8; BLOCK / 2]; 2 * MOST_TOGETHER],
    /// The bytes of them that are key stream.
    made: usize,
}

impl KeyStream {
    const fn empty() -> Self {
        Self { halves: [[0; BLOCK / 2]; 2 * MOST_TOGETHER], made: 0 }
    }

    /// Makes `len` bytes or more, as far as there is room for them.
    fn fill(&mut self, core: &mut ChaCha20LegacyCore, len: usize) {
        let bytes = self.halves.as_flattened_mut();
        let (blocks, _) = Block::<ChaCha20LegacyCore>::slice_as_chunks_mut(bytes);
        let wanted = len.div_ceil(BLOCK).next_multiple_of(TOGETHER).min(blocks.len());
        let blocks = blocks.get_mut(..wanted).unwrap_or_default();
        core.write_keystream_blocks(blocks);
        self.made = blocks.len().saturating_mul(BLOCK);
    }

    fn made(&self) -> &[u8] {
        self.halves.as_flattened().get(..self.made).unwrap_or_default()
    }
}

impl Drop for KeyStream {
    fn drop(&mut self) {
        // As a slice: an array is overwritten byte by byte.
        self.halves.as_flattened_mut().get_mut(..self.made).unwrap_or_default().zeroize();
    }
}

impl fmt::Debug for ChaCha20Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChaCha20Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::{format, vec::Vec};

    use super::*;
    use crate::constant_time_eq;
    use crate::mac::{Hmac, HmacAlgorithm};
    use crate::poly1305::poly1305;
    use crate::testing::{Vectors, unhex};

    #[test]
    fn known_answers_of_sp_800_38a() {
        // Appendix F.5.1, F.5.3 and F.5.5.
        let plaintext = unhex(
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51\
             30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710",
        );
        let cases = [
            (
                "2b7e151628aed2a6abf7158809cf4f3c",
                "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff\
                 5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
            ),
            (
                "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
                "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94\
                 1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
            ),
            (
                "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
                "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5\
                 2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
            ),
        ];
        let iv = core::array::from_fn(|i| 0xf0 + i as u8);
        for (key, ciphertext) in cases {
            let mut buf = plaintext.clone();
            AesCtr::new(&unhex(key), &iv).unwrap().apply(&mut buf);
            assert_eq!(buf, unhex(ciphertext));
        }
    }

    #[test]
    fn packets_of_openssh_decrypt_and_verify() {
        let vectors = Vectors::load(include_str!("../testdata/packets.json"));
        for (name, algorithm) in [
            ("aes192_ctr_hmac_sha2_256", HmacAlgorithm::Sha256),
            ("aes256_ctr_hmac_sha2_512", HmacAlgorithm::Sha512),
        ] {
            let packet = vectors.object(name);
            let (wire, plaintext) = (packet.hex("wire"), packet.hex("plaintext"));
            let (body, tag) = wire.split_at(plaintext.len());
            let mut body = body.to_vec();
            AesCtr::new(&packet.hex("key"), &packet.array("iv")).unwrap().apply(&mut body);
            assert_eq!(body, plaintext);
            let mac = Hmac::new(algorithm, &packet.hex("mac_key"));
            let seq = u32::try_from(packet.number("seq")).unwrap();
            assert_eq!(mac.verify(&[&seq.to_be_bytes(), &body], tag), Ok(()));
        }
    }

    #[test]
    fn the_counter_continues_from_call_to_call_and_wraps_around() {
        for key_len in [16, 24, 32] {
            let key = vec![9; key_len];
            let stream = |iv: [u8; 16], cuts: &[usize]| -> Vec<u8> {
                let mut ctr = AesCtr::new(&key, &iv).unwrap();
                let mut out = Vec::new();
                for cut in cuts {
                    let mut piece = vec![0; *cut];
                    ctr.apply(&mut piece);
                    out.extend(piece);
                }
                out
            };
            assert_eq!(stream([5; 16], &[200]), stream([5; 16], &[1, 15, 17, 0, 167]));
            assert_eq!(stream([0xff; 16], &[200])[16..], stream([0; 16], &[184]));
        }
    }

    #[test]
    fn aes_keys_of_other_lengths_are_refused() {
        for len in [0, 8, 15, 17, 23, 25, 31, 33, 64] {
            let error = AesCtr::new(&vec![0; len], &[0; 16]).unwrap_err();
            assert_eq!(error.actual, len);
        }
    }

    #[test]
    fn known_answer_of_rfc_8439() {
        let vectors = Vectors::load(include_str!("../testdata/chacha20poly1305.json"));
        let case = vectors.object("chacha20");
        // The 96-bit nonce there begins with the upper half of our counter, 0.
        let (upper, nonce) = case
            .hex("nonce96")
            .split_first_chunk::<4>()
            .map_or_else(|| panic!("short nonce"), |(upper, nonce)| (*upper, nonce.to_vec()));
        assert_eq!(upper, [0; 4]);
        let nonce = u64::from_be_bytes(nonce.try_into().unwrap());
        let mut buf = case.hex("plaintext");
        ChaCha20Key::new(&case.array("key")).apply(nonce, case.number("counter"), &mut buf);
        assert_eq!(buf, case.hex("ciphertext"));
    }

    #[test]
    fn a_packet_of_chacha20_poly1305_at_openssh() {
        let vectors = Vectors::load(include_str!("../testdata/chacha20poly1305.json"));
        let case = vectors.object("openssh_packet");
        let key: [u8; 64] = case.array("key64");
        let main = ChaCha20Key::new(&key[..32].try_into().unwrap());
        let header = ChaCha20Key::new(&key[32..].try_into().unwrap());
        let seq = case.number("seq");
        let (payload, padding) = (case.hex("payload"), case.hex("padding"));
        let mut body = vec![padding.len() as u8];
        body.extend(payload);
        body.extend(padding);
        let mut length = (body.len() as u32).to_be_bytes();

        header.apply(seq, 0, &mut length);
        assert_eq!(length[..], case.hex("enc_length"));
        let mut poly_key = [0; 32];
        main.apply(seq, 0, &mut poly_key);
        assert_eq!(poly_key, case.array("poly_key"));
        main.apply(seq, 1, &mut body);
        assert_eq!(body, case.hex("ciphertext"));
        let tag = poly1305(&poly_key, &[&length, &body]);
        assert!(constant_time_eq(&tag, &case.hex("tag")));
    }

    /// What the crate does with a buffer, whatever its length, in one call.
    fn crate_alone(key: &[u8; 32], nonce: u64, counter: u64, buf: &mut [u8]) {
        let mut core = ChaCha20LegacyCore::new(key.into(), &nonce.to_be_bytes().into());
        core.set_block_pos(counter);
        core.apply_keystream_partial(buf.into());
    }

    #[test]
    fn the_stream_is_that_of_the_crate_wherever_a_batch_of_blocks_ends() {
        let key = [7; 32];
        let multiples = (0..40).map(|blocks| blocks * BLOCK).chain((3..6).map(|of| of * BATCH));
        for len in multiples.flat_map(|len| len.saturating_sub(2)..len + 3) {
            for counter in [0, 1, u64::from(u32::MAX) - 1] {
                let (mut ours, mut expected) = (vec![3; len], vec![3; len]);
                ChaCha20Key::new(&key).apply(9, counter, &mut ours);
                crate_alone(&key, 9, counter, &mut expected);
                assert!(ours == expected, "{len} bytes from block {counter}");
            }
        }
    }

    #[test]
    fn a_packet_has_block_0_for_its_key_and_its_body_from_block_1_on() {
        let key = [7; 32];
        for len in (0..2200).chain(32 * 1024..32 * 1024 + 70) {
            let mut expected = vec![0; BLOCK + len];
            crate_alone(&key, 9, 0, &mut expected);
            // What is announced may be wrong: it decides on the speed only.
            for announced in [len, 0, 5000] {
                ChaCha20Key::new(&key).with_packet(9, announced, |stream| {
                    assert_eq!(stream.one_time_key(), &expected[..32]);
                    let mut body = vec![0; len];
                    stream.apply(&mut body);
                    assert!(body == expected[BLOCK..], "{len} bytes, {announced} announced");
                    assert_eq!(stream.one_time_key(), &expected[..32]);
                });
            }
        }
    }

    #[test]
    fn the_block_counter_has_64_bits() {
        let key = ChaCha20Key::new(&[3; 32]);
        let last = u64::from(u32::MAX);
        let mut across = [0; 64 * 9];
        key.apply(1, last - 3, &mut across);
        for (block, counter) in across.chunks(64).zip(last - 3..) {
            let mut single = [0; 64];
            key.apply(1, counter, &mut single);
            assert_eq!(block, single, "block {counter:#x}");
        }
        let (mut low, mut high) = ([0; 64], [0; 64]);
        key.apply(1, 0, &mut low);
        key.apply(1, last + 1, &mut high);
        assert_ne!(low, high);
    }

    #[test]
    fn debug_shows_no_key() {
        let ctr = AesCtr::new(&[7; 24], &[7; 16]).unwrap();
        assert_eq!(format!("{ctr:?}"), "AesCtr(192)");
        assert_eq!(format!("{:?}", ChaCha20Key::new(&[7; 32])), "ChaCha20Key(..)");
    }
}
