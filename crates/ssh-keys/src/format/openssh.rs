//! OpenSSH's `PROTOCOL.key`: the private key format `openssh-key-v1`.
//!
//! ```text
//! "openssh-key-v1\0" | cipher | kdf | kdf options | number of keys (1) | public blob | sealed | tag
//!
//! sealed, decrypted:  check | check (the same) | type | numbers of the key | comment | 1 2 3 …
//! ```

use alloc::{string::String, vec, vec::Vec};

use ssh_crypto::{Secret, kdf, rng::Rng};
use ssh_wire::{DecodeError, DecodeErrorKind, Encode as _, Reader, put_string};

use super::{cipher::FileCipher, pem};
use crate::{
    PrivateKey, PrivateKeyError, PublicKey,
    private::{MAX_BCRYPT_ROUNDS, ReadLimits, SecretKey},
    public::shown,
};

const MAGIC: &[u8; 15] = b"openssh-key-v1\0";
const NAME: &str = "openssh-key-v1";
const LABEL: &str = "OPENSSH PRIVATE KEY";
/// Characters of base64 in a line, as OpenSSH writes them.
const LINE_LEN: usize = 70;
/// Without a cipher the plaintext is padded to a multiple of this.
const PLAIN_BLOCK_LEN: usize = 8;
const SALT_LEN: usize = 16;

/// How a key file is to be encrypted.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Protection<'a> {
    passphrase: Passphrase<'a>,
    /// The cipher.
    pub cipher: FileCipher,
    /// Rounds of bcrypt, each of about 7 ms: what trying a passphrase costs.
    pub rounds: u32,
}

/// Not shown.
#[derive(Clone, Copy)]
struct Passphrase<'a>(&'a [u8]);

impl core::fmt::Debug for Passphrase<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl<'a> Protection<'a> {
    /// As `ssh-keygen` does it: `aes256-ctr`, 24 rounds.
    #[must_use]
    pub const fn new(passphrase: &'a [u8]) -> Self {
        Self { passphrase: Passphrase(passphrase), cipher: FileCipher::Aes256Ctr, rounds: 24 }
    }

    /// With another cipher.
    #[must_use]
    pub const fn with_cipher(self, cipher: FileCipher) -> Self {
        Self { cipher, ..self }
    }

    /// With more rounds, or fewer.
    #[must_use]
    pub const fn with_rounds(self, rounds: u32) -> Self {
        Self { rounds, ..self }
    }
}

/// The outer, unencrypted part of a file.
struct Envelope<'a> {
    protection: Option<Bcrypt<'a>>,
    public: &'a [u8],
    sealed: &'a [u8],
    tag: &'a [u8],
}

/// How the sealed part is protected.
struct Bcrypt<'a> {
    cipher: FileCipher,
    salt: &'a [u8],
    rounds: u32,
}

/// Reads a key file.
pub(crate) fn read(
    text: &[u8],
    passphrase: Option<&[u8]>,
    limits: &ReadLimits,
) -> Result<PrivateKey, PrivateKeyError> {
    let bytes = decode(text)?;
    let envelope = Envelope::parse(bytes.expose())?;
    let public = PublicKey::from_blob_of_bits(envelope.public, limits.min_rsa_bits)?;
    let plain = envelope.open(passphrase, limits.max_bcrypt_rounds)?;
    let (secret, inner, comment) = read_plain(plain.expose(), limits.min_rsa_bits)?;
    if inner != public {
        return Err(PrivateKeyError::Mismatch);
    }
    Ok(PrivateKey::new(secret, public, &comment))
}

/// Reads the public key of a key file, which is never encrypted.
pub(crate) fn read_public(text: &[u8], limits: &ReadLimits) -> Result<PublicKey, PrivateKeyError> {
    let bytes = decode(text)?;
    let blob = Envelope::parse(bytes.expose())?.public;
    Ok(PublicKey::from_blob_of_bits(blob, limits.min_rsa_bits)?)
}

fn decode(text: &[u8]) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
    pem::Pem::parse(text)?.decoded()
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, PrivateKeyError> {
        let mut reader = Reader::new(NAME, bytes);
        let at = reader.field("magic").clone();
        if reader.array().map_err(PrivateKeyError::outside)? != *MAGIC {
            let kind = DecodeErrorKind::Invalid("must be \"openssh-key-v1\" and a zero byte");
            return Err(PrivateKeyError::Malformed(at.error(kind)));
        }
        Self::parse_fields(reader)
    }

    fn parse_fields(mut reader: Reader<'a>) -> Result<Self, PrivateKeyError> {
        let outside = PrivateKeyError::outside;
        let name = reader.field("cipher").string().map_err(outside)?;
        let cipher = match name {
            b"none" => None,
            name => Some(
                core::str::from_utf8(name)
                    .ok()
                    .and_then(FileCipher::from_name)
                    .ok_or_else(|| PrivateKeyError::UnsupportedCipher { name: shown(name) })?,
            ),
        };
        let at = reader.field("kdf").clone();
        let kdf = reader.string().map_err(outside)?;
        let options = reader.field("kdf options").string().map_err(outside)?;
        let protection = match (cipher, kdf) {
            (None, b"none") => None,
            (Some(cipher), b"bcrypt") => Some(Bcrypt::parse(cipher, options)?),
            (_, b"none" | b"bcrypt") => {
                let kind = DecodeErrorKind::Invalid("cipher and kdf are both \"none\" or neither");
                return Err(PrivateKeyError::Malformed(at.error(kind)));
            }
            (_, name) => return Err(PrivateKeyError::UnsupportedKdf { name: shown(name) }),
        };
        let count = reader.field("number of keys").uint32().map_err(outside)?;
        if count != 1 {
            return Err(PrivateKeyError::NotOneKey { count });
        }
        let public = reader.field("public key").string().map_err(outside)?;
        let at = reader.field("private key").clone();
        let sealed = reader.string().map_err(outside)?;
        let block_len = cipher.map_or(PLAIN_BLOCK_LEN, FileCipher::block_len);
        if sealed.is_empty() || !sealed.len().is_multiple_of(block_len) {
            let kind = DecodeErrorKind::Invalid("its length is not a multiple of the block length");
            return Err(PrivateKeyError::Malformed(at.error(kind)));
        }
        let tag_len = cipher.map_or(0, FileCipher::tag_len);
        let tag = reader.field("tag").take(tag_len).map_err(outside)?;
        reader.finish().map_err(outside)?;
        Ok(Self { protection, public, sealed, tag })
    }

    /// The decrypted part, which belongs to the passphrase if the cipher has a tag, and otherwise
    /// if it begins with a number repeated.
    fn open(
        &self,
        passphrase: Option<&[u8]>,
        max_rounds: u32,
    ) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        let mut plain = Secret::new(self.sealed.to_vec());
        let Some(Bcrypt { cipher, salt, rounds }) = self.protection else {
            let checks = read_checks(plain.expose()).map_err(PrivateKeyError::Malformed)?;
            return if checks { Ok(plain) } else { Err(PrivateKeyError::InvalidKey) };
        };
        let passphrase = passphrase.ok_or(PrivateKeyError::Encrypted)?;
        if rounds > max_rounds {
            return Err(PrivateKeyError::TooManyRounds { rounds });
        }
        // The only thing left to complain about is an empty passphrase.
        let derived = derive(cipher, passphrase, salt, rounds)
            .map_err(|_| PrivateKeyError::WrongPassphrase)?;
        let (key, iv) = derived.expose().split_at_checked(cipher.key_len()).unwrap_or_default();
        cipher
            .open(key, iv, plain.expose_mut(), self.tag)
            .map_err(|_| PrivateKeyError::WrongPassphrase)?;
        if read_checks(plain.expose()) == Ok(true) {
            Ok(plain)
        } else {
            Err(PrivateKeyError::WrongPassphrase)
        }
    }
}

/// Key and initial vector of a cipher.
fn derive(
    cipher: FileCipher,
    passphrase: &[u8],
    salt: &[u8],
    rounds: u32,
) -> Result<Secret<Vec<u8>>, ssh_crypto::KdfError> {
    let mut derived = Secret::new(vec![0; cipher.key_len().saturating_add(cipher.iv_len())]);
    kdf::bcrypt_pbkdf(passphrase, salt, rounds, derived.expose_mut())?;
    Ok(derived)
}

impl<'a> Bcrypt<'a> {
    fn parse(cipher: FileCipher, options: &'a [u8]) -> Result<Self, PrivateKeyError> {
        let mut reader = Reader::new("bcrypt options", options);
        let at = reader.field("salt").clone();
        let salt = reader.string().map_err(PrivateKeyError::Malformed)?;
        let rounds = reader.field("rounds").uint32().map_err(PrivateKeyError::Malformed)?;
        if salt.is_empty() || rounds == 0 {
            let kind = DecodeErrorKind::Invalid("no salt, or no rounds");
            return Err(PrivateKeyError::Malformed(at.error(kind)));
        }
        reader.finish().map_err(PrivateKeyError::Malformed)?;
        Ok(Self { cipher, salt, rounds })
    }
}

fn read_checks(plain: &[u8]) -> Result<bool, DecodeError> {
    let mut reader = Reader::new("private key", plain);
    reader.field("check");
    Ok(reader.uint32()? == reader.uint32()?)
}

/// Reads what was encrypted.
fn read_plain(
    plain: &[u8],
    min_rsa_bits: usize,
) -> Result<(SecretKey, PublicKey, String), PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let mut reader = Reader::new("private key", plain);
    reader.field("check").uint64().map_err(malformed)?;
    let (secret, public, _) = SecretKey::decode(&mut reader, min_rsa_bits)?;
    let comment = reader.field("comment").string().map_err(malformed)?;
    let at = reader.field("padding").clone();
    // Shorter than a cipher block in practice; the count is one byte in any case.
    let padding = reader.rest();
    if padding.len() > usize::from(u8::MAX)
        || !padding.iter().copied().eq((1..=u8::MAX).take(padding.len()))
    {
        return Err(malformed(at.error(DecodeErrorKind::Invalid("must be the bytes 1, 2, 3 …"))));
    }
    Ok((secret, public, String::from_utf8_lossy(comment).into_owned()))
}

/// Writes an unencrypted key file. No copy of a secret stays behind.
pub(crate) fn write(key: &PrivateKey, rng: &mut dyn Rng) -> Secret<String> {
    let plain = write_plain(key, PLAIN_BLOCK_LEN, rng);
    armored(&envelope(key, "none", "none", &[], plain.expose(), &[]))
}

/// Writes a key file that opens with a passphrase.
pub(crate) fn write_encrypted(
    key: &PrivateKey,
    protection: &Protection<'_>,
    rng: &mut dyn Rng,
) -> Result<Secret<String>, PrivateKeyError> {
    let Protection { passphrase: Passphrase(passphrase), cipher, rounds } = *protection;
    if passphrase.is_empty() {
        return Err(PrivateKeyError::EmptyPassphrase);
    }
    if rounds == 0 || rounds > MAX_BCRYPT_ROUNDS {
        return Err(PrivateKeyError::TooManyRounds { rounds });
    }
    let mut salt = [0; SALT_LEN];
    rng.fill(&mut salt);
    let derived = derive(cipher, passphrase, &salt, rounds)
        .map_err(|_| PrivateKeyError::TooManyRounds { rounds })?;
    let (secret, iv) = derived.expose().split_at_checked(cipher.key_len()).unwrap_or_default();
    let mut sealed = write_plain(key, cipher.block_len(), rng);
    let tag =
        cipher.seal(secret, iv, sealed.expose_mut()).map_err(|_| PrivateKeyError::InvalidKey)?;
    let mut options = Vec::new();
    put_string(&mut options, &salt);
    rounds.encode(&mut options);
    Ok(armored(&envelope(key, cipher.name(), "bcrypt", &options, sealed.expose(), &tag)))
}

fn envelope(
    key: &PrivateKey,
    cipher: &str,
    kdf: &str,
    options: &[u8],
    sealed: &[u8],
    tag: &[u8],
) -> Secret<Vec<u8>> {
    let public = key.public().blob();
    let capacity = sealed.len().saturating_add(public.len()).saturating_add(256);
    let mut bytes = Secret::new(Vec::with_capacity(capacity));
    let out = bytes.expose_mut();
    out.extend_from_slice(MAGIC);
    for string in [cipher.as_bytes(), kdf.as_bytes(), options] {
        put_string(out, string);
    }
    1_u32.encode(out);
    put_string(out, public);
    put_string(out, sealed);
    out.extend_from_slice(tag);
    bytes
}

fn armored(bytes: &Secret<Vec<u8>>) -> Secret<String> {
    pem::armored(LABEL, bytes.expose(), LINE_LEN)
}

/// The text around the bytes of a key file, for fuzzing.
#[cfg(feature = "fuzzing")]
pub(crate) fn armored_for_fuzzing(bytes: &[u8]) -> Secret<String> {
    pem::armored(LABEL, bytes, LINE_LEN)
}

fn write_plain(key: &PrivateKey, block_len: usize, rng: &mut dyn Rng) -> Secret<Vec<u8>> {
    let (public, comment) = (key.public(), key.comment());
    // The largest are RSA keys: n, d of the size of the public blob, p, q, iqmp of half of it.
    let numbers = public.blob().len().saturating_mul(4);
    let capacity = numbers.saturating_add(comment.len()).saturating_add(2048);
    let mut plain = Secret::new(Vec::with_capacity(capacity));
    let out = plain.expose_mut();
    let mut check = [0; 4];
    rng.fill(&mut check);
    out.extend_from_slice(&check);
    out.extend_from_slice(&check);
    key.secret().encode(public, out);
    put_string(out, comment.as_bytes());
    let padding = out.len().next_multiple_of(block_len).saturating_sub(out.len());
    out.extend((1..=u8::MAX).take(padding));
    plain
}
