//! Cipher block chaining: for key files, whatever their age, and for packets where old peers have
//! nothing else (RFC 4253 §6.3).

use alloc::boxed::Box;
use core::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use des::TdesEde3;

use crate::InvalidLength;

/// A block cipher for CBC; the key's length says which AES.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "SSH and its key files have no others left")]
pub enum CbcCipher {
    /// AES with a key of 128 bits.
    Aes128,
    /// AES with a key of 192 bits.
    Aes192,
    /// AES with a key of 256 bits.
    Aes256,
    /// Triple DES with three keys, encrypt-decrypt-encrypt. Broken by its short block: after 2^32
    /// blocks of 8 bytes plaintext leaks (CVE-2016-2183).
    TripleDes,
}

impl CbcCipher {
    /// Bytes of key.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 | Self::TripleDes => 24,
            Self::Aes256 => 32,
        }
    }

    /// Bytes of a block, and of the initial vector.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
            Self::TripleDes => 8,
        }
    }

    const fn lengths(self) -> (&'static [usize], &'static [usize]) {
        match self {
            Self::Aes128 => (&[16], &[16]),
            Self::Aes192 => (&[24], &[16]),
            Self::Aes256 => (&[32], &[16]),
            Self::TripleDes => (&[24], &[8]),
        }
    }

    fn check(self, key: &[u8], iv: &[u8]) -> Result<(), InvalidLength> {
        let (keys, ivs) = self.lengths();
        if key.len() != self.key_len() {
            return Err(InvalidLength { what: "a CBC key", expected: keys, actual: key.len() });
        }
        if iv.len() != self.block_len() {
            return Err(InvalidLength { what: "a CBC vector", expected: ivs, actual: iv.len() });
        }
        Ok(())
    }
}

macro_rules! direction {
    ($(#[$doc:meta])* $type:ident, $states:ident, $mode:ident, $blocks:ident, $apply:ident,
     $(#[$apply_doc:meta])*) => {
        $(#[$doc])*
        pub struct $type {
            cipher: CbcCipher,
            /// Boxed: expanded keys are hundreds of bytes that moves would copy.
            state: Box<$states>,
        }

        enum $states {
            Aes128($mode<Aes128>),
            Aes192($mode<Aes192>),
            Aes256($mode<Aes256>),
            TripleDes($mode<TdesEde3>),
        }

        impl $type {
            /// Expands a key; the chain starts at `iv`.
            ///
            /// # Errors
            /// [`InvalidLength`] unless key and vector have the lengths of the cipher.
            pub fn new(cipher: CbcCipher, key: &[u8], iv: &[u8]) -> Result<Self, InvalidLength> {
                cipher.check(key, iv)?;
                let state = match cipher {
                    CbcCipher::Aes128 => $mode::new_from_slices(key, iv).map($states::Aes128),
                    CbcCipher::Aes192 => $mode::new_from_slices(key, iv).map($states::Aes192),
                    CbcCipher::Aes256 => $mode::new_from_slices(key, iv).map($states::Aes256),
                    CbcCipher::TripleDes => {
                        $mode::new_from_slices(key, iv).map($states::TripleDes)
                    }
                };
                let (expected, _) = cipher.lengths();
                let state = state.map_err(|_| InvalidLength {
                    what: "a CBC key",
                    expected,
                    actual: key.len(),
                })?;
                Ok(Self { cipher, state: Box::new(state) })
            }

            $(#[$apply_doc])*
            pub fn $apply(&mut self, buf: &mut [u8]) -> Result<(), InvalidLength> {
                let uneven = |_| InvalidLength {
                    what: "CBC data, in whole blocks that",
                    expected: self.cipher.lengths().1,
                    actual: buf.len(),
                };
                if !buf.len().is_multiple_of(self.cipher.block_len()) {
                    return Err(uneven(()));
                }
                match &mut *self.state {
                    $states::Aes128(mode) => {
                        mode.$blocks(aes::Block::cast_slice_from_core_mut(buf.as_chunks_mut().0));
                    }
                    $states::Aes192(mode) => {
                        mode.$blocks(aes::Block::cast_slice_from_core_mut(buf.as_chunks_mut().0));
                    }
                    $states::Aes256(mode) => {
                        mode.$blocks(aes::Block::cast_slice_from_core_mut(buf.as_chunks_mut().0));
                    }
                    $states::TripleDes(mode) => {
                        mode.$blocks(DesBlock::cast_slice_from_core_mut(buf.as_chunks_mut().0));
                    }
                }
                Ok(())
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($type)).field(&self.cipher).finish()
            }
        }
    };
}

type DesBlock = cbc::cipher::Block<TdesEde3>;

direction! {
    /// Encryption; the chain goes on from call to call.
    CbcEncryptor, Encrypting, Encryptor, encrypt_blocks, encrypt,
    /// Encrypts `buf`, whole blocks, in place.
    ///
    /// # Errors
    /// [`InvalidLength`] if they are not whole; nothing is encrypted then.
}

direction! {
    /// Decryption; the chain goes on from call to call.
    CbcDecryptor, Decrypting, Decryptor, decrypt_blocks, decrypt,
    /// Decrypts `buf`, whole blocks, in place. What comes out is not authentic.
    ///
    /// # Errors
    /// [`InvalidLength`] if they are not whole; nothing is decrypted then.
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::unhex;

    const ALL: [CbcCipher; 4] =
        [CbcCipher::Aes128, CbcCipher::Aes192, CbcCipher::Aes256, CbcCipher::TripleDes];

    /// SP 800-38A appendix F.2 (the first two blocks), and SP 800-67's keys with the text of
    /// NIST's example: cipher, key, vector, plaintext, ciphertext.
    const KNOWN: [(CbcCipher, &str, &str, &str, &str); 4] = [
        (
            CbcCipher::Aes128,
            "2b7e151628aed2a6abf7158809cf4f3c",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
        ),
        (
            CbcCipher::Aes192,
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a",
        ),
        (
            CbcCipher::Aes256,
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        ),
        (
            CbcCipher::TripleDes,
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "f69f2445df4f9b17",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "2079c3d53aa763e193b79e2569ab5262516570481f25b50f73c0bda85c8e0da7",
        ),
    ];

    #[test]
    fn known_answers_of_sp_800_38a() {
        for (cipher, key, iv, plaintext, ciphertext) in KNOWN {
            let [key, iv, plaintext, ciphertext] = [key, iv, plaintext, ciphertext].map(unhex);
            let mut buf = plaintext.clone();
            let mut encryptor = CbcEncryptor::new(cipher, &key, &iv).unwrap();
            // In two calls: the chain goes on.
            let (first, second) = buf.split_at_mut(16);
            encryptor.encrypt(first).unwrap();
            encryptor.encrypt(second).unwrap();
            assert_eq!(buf, ciphertext, "{cipher:?}");
            let mut decryptor = CbcDecryptor::new(cipher, &key, &iv).unwrap();
            let (first, second) = buf.split_at_mut(16);
            decryptor.decrypt(first).unwrap();
            decryptor.decrypt(second).unwrap();
            assert_eq!(buf, plaintext, "{cipher:?}");
        }
    }

    #[test]
    fn other_lengths_of_keys_vectors_and_data_are_refused() {
        for cipher in ALL {
            let (key, iv) = ([1; 40], [2; 20]);
            for len in (0..40).filter(|len| *len != cipher.key_len()) {
                let iv = &iv[..cipher.block_len()];
                let error = CbcEncryptor::new(cipher, &key[..len], iv).unwrap_err();
                assert_eq!((error.expected, error.actual), (&[cipher.key_len()][..], len));
            }
            let key = &key[..cipher.key_len()];
            for len in (0..20).filter(|len| *len != cipher.block_len()) {
                let error = CbcDecryptor::new(cipher, key, &iv[..len]).unwrap_err();
                assert_eq!((error.expected, error.actual), (&[cipher.block_len()][..], len));
            }
            let mut decryptor = CbcDecryptor::new(cipher, key, &iv[..cipher.block_len()]).unwrap();
            let mut data = [0; 17];
            assert!(decryptor.decrypt(&mut data).is_err());
            assert_eq!(data, [0; 17]);
            assert_eq!(decryptor.decrypt(&mut []), Ok(()));
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let encryptor = CbcEncryptor::new(CbcCipher::Aes128, &[7; 16], &[7; 16]).unwrap();
        assert_eq!(format!("{encryptor:?}"), "CbcEncryptor(Aes128)");
    }

    proptest! {
        #[test]
        fn what_was_encrypted_is_decrypted(
            blocks in 0_usize..40, key: [u8; 32], iv: [u8; 16], fill: u8
        ) {
            for cipher in ALL {
                let (key, iv) = (&key[..cipher.key_len()], &iv[..cipher.block_len()]);
                let plaintext = alloc::vec![fill; blocks * cipher.block_len()];
                let mut buf = plaintext.clone();
                CbcEncryptor::new(cipher, key, iv).unwrap().encrypt(&mut buf).unwrap();
                prop_assert!(blocks == 0 || buf != plaintext);
                CbcDecryptor::new(cipher, key, iv).unwrap().decrypt(&mut buf).unwrap();
                prop_assert_eq!(buf, plaintext);
            }
        }
    }
}
