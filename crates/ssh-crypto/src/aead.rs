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
