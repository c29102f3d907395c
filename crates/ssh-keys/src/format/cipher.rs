//! `PROTOCOL.key` §2: the ciphers that protect a private key at rest. They are those of the
//! transport (RFC 4344, RFC 5647, `PROTOCOL.chacha20poly1305`, RFC 4253 §6.3), used for one message.

use core::fmt;

use alloc::vec::Vec;

use ssh_crypto::{
    Forged, Secret,
    aead::AesGcm,
    cbc::{CbcCipher, CbcDecryptor, CbcEncryptor},
    constant_time_eq,
    poly1305::poly1305,
    stream::{AesCtr, ChaCha20Key},
};

/// A cipher of OpenSSH's key files. Old ones are here to be read; what protects a file against its
/// thief is the passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileCipher {
    /// `aes256-ctr`: what `ssh-keygen` writes.
    Aes256Ctr,
    /// `aes192-ctr`.
    Aes192Ctr,
    /// `aes128-ctr`.
    Aes128Ctr,
    /// `aes256-gcm@openssh.com`.
    Aes256Gcm,
    /// `aes128-gcm@openssh.com`.
    Aes128Gcm,
    /// `chacha20-poly1305@openssh.com`.
    ChaCha20Poly1305,
    /// `aes256-cbc`.
    Aes256Cbc,
    /// `aes192-cbc`.
    Aes192Cbc,
    /// `aes128-cbc`.
    Aes128Cbc,
    /// `3des-cbc`.
    TripleDesCbc,
}

/// How a cipher works.
enum Mode {
    Ctr,
    Gcm,
    ChaCha20Poly1305,
    Cbc(CbcCipher),
}

impl FileCipher {
    /// All of them, the preferred first.
    pub const ALL: &[Self] = &[
        Self::Aes256Ctr,
        Self::Aes192Ctr,
        Self::Aes128Ctr,
        Self::Aes256Gcm,
        Self::Aes128Gcm,
        Self::ChaCha20Poly1305,
        Self::Aes256Cbc,
        Self::Aes192Cbc,
        Self::Aes128Cbc,
        Self::TripleDesCbc,
    ];

    /// The name in the file.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Ctr => "aes256-ctr",
            Self::Aes192Ctr => "aes192-ctr",
            Self::Aes128Ctr => "aes128-ctr",
            Self::Aes256Gcm => "aes256-gcm@openssh.com",
            Self::Aes128Gcm => "aes128-gcm@openssh.com",
            Self::ChaCha20Poly1305 => "chacha20-poly1305@openssh.com",
            Self::Aes256Cbc => "aes256-cbc",
            Self::Aes192Cbc => "aes192-cbc",
            Self::Aes128Cbc => "aes128-cbc",
            Self::TripleDesCbc => "3des-cbc",
        }
    }

    /// The cipher with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cipher| cipher.name() == name)
    }

    const fn mode(self) -> Mode {
        match self {
            Self::Aes256Ctr | Self::Aes192Ctr | Self::Aes128Ctr => Mode::Ctr,
            Self::Aes256Gcm | Self::Aes128Gcm => Mode::Gcm,
            Self::ChaCha20Poly1305 => Mode::ChaCha20Poly1305,
            Self::Aes256Cbc => Mode::Cbc(CbcCipher::Aes256),
            Self::Aes192Cbc => Mode::Cbc(CbcCipher::Aes192),
            Self::Aes128Cbc => Mode::Cbc(CbcCipher::Aes128),
            Self::TripleDesCbc => Mode::Cbc(CbcCipher::TripleDes),
        }
    }

    /// The plaintext is padded to a multiple of this.
    pub(crate) const fn block_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 | Self::TripleDesCbc => 8,
            _ => 16,
        }
    }

    pub(crate) const fn tag_len(self) -> usize {
        match self.mode() {
            Mode::Ctr | Mode::Cbc(_) => 0,
            Mode::Gcm | Mode::ChaCha20Poly1305 => 16,
        }
    }

    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Aes128Ctr | Self::Aes128Gcm | Self::Aes128Cbc => 16,
            Self::Aes192Ctr | Self::Aes192Cbc | Self::TripleDesCbc => 24,
            Self::Aes256Ctr | Self::Aes256Gcm | Self::Aes256Cbc => 32,
            Self::ChaCha20Poly1305 => 64,
        }
    }

    pub(crate) const fn iv_len(self) -> usize {
        match self.mode() {
            Mode::Ctr => 16,
            Mode::Gcm => 12,
            Mode::ChaCha20Poly1305 => 0,
            Mode::Cbc(cipher) => cipher.block_len(),
        }
    }

    /// Decrypts `buf` in place. `key` has [`Self::key_len`] bytes, `iv` [`Self::iv_len`], `tag`
    /// [`Self::tag_len`].
    pub(crate) fn open(
        self,
        key: &[u8],
        iv: &[u8],
        buf: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Forged> {
        match self.mode() {
            Mode::Ctr => ctr(key, iv, buf),
            Mode::Cbc(cipher) => {
                let mut chain = CbcDecryptor::new(cipher, key, iv).map_err(|_| Forged)?;
                chain.decrypt(buf).map_err(|_| Forged)
            }
            Mode::Gcm => {
                let (iv, tag) = iv.try_into().ok().zip(tag.try_into().ok()).ok_or(Forged)?;
                AesGcm::new(key).map_err(|_| Forged)?.open(iv, &[], buf, tag)
            }
            Mode::ChaCha20Poly1305 => {
                let (stream, tag_key) = chacha20(key)?;
                if !constant_time_eq(&poly1305(tag_key.expose(), &[buf]), tag) {
                    return Err(Forged);
                }
                stream.apply(0, 1, buf);
                Ok(())
            }
        }
    }

    /// Encrypts `buf` in place, whole blocks, and gives the tag. Fails only if `key` or `iv` has
    /// another length than in [`Self::open`].
    pub(crate) fn seal(self, key: &[u8], iv: &[u8], buf: &mut [u8]) -> Result<Vec<u8>, Forged> {
        match self.mode() {
            Mode::Ctr => ctr(key, iv, buf).map(|()| Vec::new()),
            Mode::Cbc(cipher) => {
                let mut chain = CbcEncryptor::new(cipher, key, iv).map_err(|_| Forged)?;
                chain.encrypt(buf).map_err(|_| Forged)?;
                Ok(Vec::new())
            }
            Mode::Gcm => {
                let iv = iv.try_into().map_err(|_| Forged)?;
                Ok(AesGcm::new(key).map_err(|_| Forged)?.seal(iv, &[], buf).into())
            }
            Mode::ChaCha20Poly1305 => {
                let (stream, tag_key) = chacha20(key)?;
                stream.apply(0, 1, buf);
                Ok(poly1305(tag_key.expose(), &[buf]).into())
            }
        }
    }
}

impl fmt::Display for FileCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn ctr(key: &[u8], iv: &[u8], buf: &mut [u8]) -> Result<(), Forged> {
    let iv = iv.try_into().map_err(|_| Forged)?;
    AesCtr::new(key, iv).map_err(|_| Forged)?.apply(buf);
    Ok(())
}

/// The stream and the key of the tag. The second half of the key is for the length field of packets.
fn chacha20(key: &[u8]) -> Result<(ChaCha20Key, Secret<[u8; 32]>), Forged> {
    let stream = ChaCha20Key::new(key.first_chunk().ok_or(Forged)?);
    let mut tag_key = Secret::new([0; 32]);
    stream.apply(0, 0, tag_key.expose_mut());
    Ok((stream, tag_key))
}
