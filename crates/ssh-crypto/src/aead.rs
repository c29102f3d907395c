//! AES-GCM (NIST SP 800-38D), the AEAD of RFC 5647.

use core::fmt;

use crate::backend;
use crate::{Forged, InvalidLength};

/// The longest message GCM can seal under one nonce (SP 800-38D §5.2.1.1), in bytes.
///
/// Beyond it the 32-bit block counter would repeat. SSH packets are 2^18 times
/// smaller; the check costs nothing and holds for every backend.
const MAX_MESSAGE: u64 = (1 << 36) - 32;

/// The sizes of AES keys that SSH has for GCM.
const KEY_LENGTHS: &[usize] = &[16, 32];

/// An expanded AES-128-GCM or AES-256-GCM key.
///
/// Sealing and opening work in place, with the tag apart, and do not allocate.
pub struct AesGcm {
    backend: backend::AesGcm,
    key_len: usize,
}

impl AesGcm {
    /// The length of a tag, in bytes.
    pub const TAG_LEN: usize = 16;

    /// Expands a key of 16 or 32 bytes.
    ///
    /// # Errors
    /// [`InvalidLength`] for any other length.
    pub fn new(key: &[u8]) -> Result<Self, InvalidLength> {
        let backend = backend::AesGcm::new(key).ok_or(InvalidLength {
            what: "an AES-GCM key",
            expected: KEY_LENGTHS,
            actual: key.len(),
        })?;
        Ok(Self { backend, key_len: key.len() })
    }

    /// Encrypts `buf` in place and returns the tag over it and `aad`.
    ///
    /// A nonce must never be used twice with one key: doing so gives the key
    /// away. A message beyond GCM's limit of 64 GiB, which no packet reaches, is
    /// overwritten with zeros and gets a tag that does not verify.
    #[must_use]
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], buf: &mut [u8]) -> [u8; Self::TAG_LEN] {
        if too_long(buf) {
            buf.fill(0);
            return [0; Self::TAG_LEN];
        }
        self.backend.seal(nonce, aad, buf)
    }

    /// Checks `tag` over `buf` and `aad`, then decrypts `buf` in place.
    ///
    /// # Errors
    /// [`Forged`] if the tag does not match. What `buf` holds then is unspecified
    /// and must not be used.
    pub fn open(
        &self,
        nonce: &[u8; 12],
        aad: &[u8],
        buf: &mut [u8],
        tag: &[u8; Self::TAG_LEN],
    ) -> Result<(), Forged> {
        if too_long(buf) {
            return Err(Forged);
        }
        self.backend.open(nonce, aad, buf, tag)
    }
}

impl fmt::Debug for AesGcm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AesGcm").field("key_len", &self.key_len).finish_non_exhaustive()
    }
}

/// Whether this CPU has instructions that make AES-GCM faster than
/// ChaCha20-Poly1305: then it should be proposed first.
#[must_use]
pub fn aes_gcm_is_accelerated() -> bool {
    backend::cpu_has_aes()
}

fn too_long(buf: &[u8]) -> bool {
    u64::try_from(buf.len()).is_ok_and(|len| len > MAX_MESSAGE)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::{format, string::ToString};

    use super::*;
    use crate::testing::{Vectors, unhex};

    /// McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B
    /// (test cases 2, 4, 13, 14 and 16): key, nonce, aad, plaintext, ciphertext, tag.
    const CASES: [[&str; 6]; 5] = [
        [
            "00000000000000000000000000000000",
            "000000000000000000000000",
            "",
            "00000000000000000000000000000000",
            "0388dace60b6a392f328c2b971b2fe78",
            "ab6e47d42cec13bdf53a67b21257bddf",
        ],
        [
            "feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e\
             21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            "5bc94fbc3221a5db94fae95ae7121a47",
        ],
        [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "000000000000000000000000",
            "",
            "",
            "",
            "530f8afbc74536b9a963b4f1c4cb738b",
        ],
        [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "000000000000000000000000",
            "",
            "00000000000000000000000000000000",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ],
        [
            "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
             1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
             8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ],
    ];

    #[test]
    fn known_answers_of_the_gcm_specification() {
        for case in CASES {
            let [key, nonce, aad, plaintext, ciphertext, tag] = case.map(unhex);
            let nonce = nonce.try_into().unwrap();
            let tag: [u8; 16] = tag.try_into().unwrap();
            let gcm = AesGcm::new(&key).unwrap();
            let mut buf = plaintext.clone();
            assert_eq!(gcm.seal(&nonce, &aad, &mut buf), tag);
            assert_eq!(buf, ciphertext);
            assert_eq!(gcm.open(&nonce, &aad, &mut buf, &tag), Ok(()));
            assert_eq!(buf, plaintext);
        }
    }

    #[test]
    fn packets_of_openssh_open() {
        let vectors = Vectors::load(include_str!("../testdata/packets.json"));
        for name in ["aes128_gcm", "aes256_gcm"] {
            let packet = vectors.object(name);
            let (wire, plaintext) = (packet.hex("wire"), packet.hex("plaintext"));
            let (length, rest) = wire.split_at(4);
            let (body, tag) = rest.split_at(rest.len() - 16);
            let gcm = AesGcm::new(&packet.hex("key")).unwrap();
            let mut body = body.to_vec();
            let tag = tag.try_into().unwrap();
            assert_eq!(gcm.open(&packet.array("iv"), length, &mut body, &tag), Ok(()));
            assert_eq!(body, plaintext[4..]);
        }
    }

    #[test]
    fn any_flipped_bit_is_a_forgery() {
        let gcm = AesGcm::new(&[7; 16]).unwrap();
        let (nonce, aad) = ([1; 12], [2; 4]);
        let mut sealed = vec![3; 40];
        let tag = gcm.seal(&nonce, &aad, &mut sealed);
        let open = |nonce: &[u8; 12], aad: &[u8], buf: &[u8], tag: &[u8; 16]| {
            gcm.open(nonce, aad, &mut buf.to_vec(), tag)
        };
        assert_eq!(open(&nonce, &aad, &sealed, &tag), Ok(()));
        for bit in 0..40 * 8 {
            let flip = |bytes: &mut [u8]| {
                let len = bytes.len();
                bytes[bit / 8 % len] ^= 1 << (bit % 8);
            };
            let (mut nonce2, mut aad2, mut sealed2, mut tag2) = (nonce, aad, sealed.clone(), tag);
            flip(&mut nonce2);
            flip(&mut aad2);
            flip(&mut sealed2);
            flip(&mut tag2);
            assert_eq!(open(&nonce2, &aad, &sealed, &tag), Err(Forged));
            assert_eq!(open(&nonce, &aad2, &sealed, &tag), Err(Forged));
            assert_eq!(open(&nonce, &aad, &sealed2, &tag), Err(Forged));
            assert_eq!(open(&nonce, &aad, &sealed, &tag2), Err(Forged));
        }
        assert_eq!(open(&nonce, &aad, &sealed[1..], &tag), Err(Forged));
    }

    #[test]
    fn keys_of_other_lengths_are_refused() {
        for len in [0, 15, 17, 24, 31, 33, 64] {
            let error = AesGcm::new(&vec![0; len]).unwrap_err();
            assert_eq!(error.actual, len);
            assert!(error.to_string().contains("[16, 32]"));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let gcm = AesGcm::new(&[7; 32]).unwrap();
        assert_eq!(format!("{gcm:?}"), "AesGcm { key_len: 32, .. }");
    }

    #[test]
    fn the_cpu_is_asked_and_answers_the_same_each_time() {
        assert_eq!(aes_gcm_is_accelerated(), aes_gcm_is_accelerated());
    }
}
