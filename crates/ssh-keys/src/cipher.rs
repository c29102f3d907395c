//! `PROTOCOL.key` §2: the ciphers that protect a private key at rest. They are those of the
//! transport (RFC 4344, RFC 5647, `PROTOCOL.chacha20poly1305`), used for one message.

use ssh_crypto::{
    Forged, Secret, aead::AesGcm, constant_time_eq, poly1305::poly1305, stream::AesCtr,
    stream::ChaCha20Key,
};

/// A cipher of key files; of AES with the length of its key in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cipher {
    Plain,
    AesCtr(usize),
    AesGcm(usize),
    ChaCha20Poly1305,
}

impl Cipher {
    pub(crate) const fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"none" => Self::Plain,
            b"aes128-ctr" => Self::AesCtr(16),
            b"aes192-ctr" => Self::AesCtr(24),
            b"aes256-ctr" => Self::AesCtr(32),
            b"aes128-gcm@openssh.com" => Self::AesGcm(16),
            b"aes256-gcm@openssh.com" => Self::AesGcm(32),
            b"chacha20-poly1305@openssh.com" => Self::ChaCha20Poly1305,
            _ => return None,
        })
    }

    /// The plaintext is padded to a multiple of this.
    pub(crate) const fn block_len(self) -> usize {
        match self {
            Self::Plain | Self::ChaCha20Poly1305 => 8,
            Self::AesCtr(_) | Self::AesGcm(_) => 16,
        }
    }

    pub(crate) const fn tag_len(self) -> usize {
        match self {
            Self::Plain | Self::AesCtr(_) => 0,
            Self::AesGcm(_) | Self::ChaCha20Poly1305 => 16,
        }
    }

    pub(crate) const fn key_len(self) -> usize {
        match self {
            Self::Plain => 0,
            Self::AesCtr(len) | Self::AesGcm(len) => len,
            Self::ChaCha20Poly1305 => 64,
        }
    }

    pub(crate) const fn iv_len(self) -> usize {
        match self {
            Self::Plain | Self::ChaCha20Poly1305 => 0,
            Self::AesCtr(_) => 16,
            Self::AesGcm(_) => 12,
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
        match self {
            Self::Plain => Ok(()),
            Self::AesCtr(_) => {
                let iv = iv.try_into().map_err(|_| Forged)?;
                AesCtr::new(key, iv).map_err(|_| Forged)?.apply(buf);
                Ok(())
            }
            Self::AesGcm(_) => {
                let (iv, tag) = iv.try_into().ok().zip(tag.try_into().ok()).ok_or(Forged)?;
                AesGcm::new(key).map_err(|_| Forged)?.open(iv, &[], buf, tag)
            }
            Self::ChaCha20Poly1305 => {
                // The second half of the key is for the length field of packets.
                let stream = ChaCha20Key::new(key.first_chunk().ok_or(Forged)?);
                let mut tag_key = Secret::new([0; 32]);
                stream.apply(0, 0, tag_key.expose_mut());
                if !constant_time_eq(&poly1305(tag_key.expose(), &[buf]), tag) {
                    return Err(Forged);
                }
                stream.apply(0, 1, buf);
                Ok(())
            }
        }
    }
}
