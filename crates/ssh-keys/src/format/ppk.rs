//! PuTTY's key files, versions 2 and 3 (PuTTY manual, appendix C).
//!
//! ```text
//! PuTTY-User-Key-File-3: ssh-ed25519
//! Encryption: aes256-cbc
//! Comment: …
//! Public-Lines: n        and n lines of base64: the public blob
//! Key-Derivation: Argon2id        in version 3, if encrypted
//! Argon2-Memory: KiB              Argon2-Passes:   Argon2-Parallelism:   Argon2-Salt: hex
//! Private-Lines: n       and n lines of base64: the private numbers
//! Private-MAC: hex       over everything
//! ```

use alloc::{vec, vec::Vec};

use ssh_crypto::{
    Secret,
    cbc::{CbcCipher, CbcDecryptor},
    hash::{HashAlgorithm, Hasher},
    kdf::{self, Argon2Cost, Argon2Kind},
    mac::{Hmac, HmacAlgorithm},
    sign::{EcdsaKey, Ed25519Key},
};
use ssh_wire::{Decode as _, MpInt, Reader, put_string};

use super::pem;
use crate::{
    KeyError, PrivateKey, PrivateKeyError, PublicKey, base64,
    private::{ReadLimits, SecretKey, rsa},
    public::{Material, shown},
};

/// The most lines of base64 that a part may have: those of the largest file.
const MAX_LINES: usize = 2048;

/// A file, taken apart.
struct Ppk<'a> {
    version: Version,
    algorithm: &'a str,
    encryption: &'a str,
    comment: &'a str,
    public: Vec<u8>,
    /// How the key comes from the passphrase, in version 3.
    argon2: Option<Argon2>,
    private: Secret<Vec<u8>>,
    mac: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Two,
    Three,
}

struct Argon2 {
    kind: Argon2Kind,
    cost: Argon2Cost,
    salt: Vec<u8>,
}

/// What protects the private part.
struct Keys {
    cipher: Option<(Secret<[u8; 32]>, [u8; 16])>,
    mac: Hmac,
}

pub(super) fn read(
    text: &[u8],
    passphrase: Option<&[u8]>,
    limits: &ReadLimits,
) -> Result<PrivateKey, PrivateKeyError> {
    let ppk = Ppk::parse(text)?;
    let public = ppk.public(limits)?;
    let plain = ppk.open(passphrase, limits)?;
    let secret = read_private(&public, plain.expose(), limits)?;
    Ok(PrivateKey::new(secret, public, ppk.comment))
}

pub(super) fn read_public(text: &[u8], limits: &ReadLimits) -> Result<PublicKey, PrivateKeyError> {
    Ppk::parse(text)?.public(limits)
}

/// As [`read`], but takes the MAC for right, which no fuzzer gets past, and the private part for
/// plain.
#[cfg(feature = "fuzzing")]
pub(super) fn read_unauthenticated(
    text: &[u8],
    limits: &ReadLimits,
) -> Result<PrivateKey, PrivateKeyError> {
    let ppk = Ppk::parse(text)?;
    let public = ppk.public(limits)?;
    let secret = read_private(&public, ppk.private.expose(), limits)?;
    Ok(PrivateKey::new(secret, public, ppk.comment))
}

/// The lines of a file, from the first to the last.
struct Lines<'a>(core::str::Lines<'a>);

impl<'a> Lines<'a> {
    /// The value of the next line, which is called `name`.
    fn header(&mut self, name: &'static str) -> Result<&'a str, PrivateKeyError> {
        let line = self.0.next().ok_or(PrivateKeyError::Truncated)?;
        line.strip_prefix(name)
            .and_then(|value| value.strip_prefix(": "))
            .ok_or(PrivateKeyError::BadHeader { name })
    }

    fn number(&mut self, name: &'static str) -> Result<u32, PrivateKeyError> {
        let bad = PrivateKeyError::BadHeader { name };
        let value = self.header(name)?;
        if !value.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(bad);
        }
        value.parse().map_err(|_| bad)
    }

    /// As many lines of base64 as the next line, which is called `name`, says.
    fn base64(&mut self, name: &'static str) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        let count = usize::try_from(self.number(name)?).unwrap_or(usize::MAX);
        if count > MAX_LINES {
            return Err(PrivateKeyError::BadHeader { name });
        }
        let mut text = Secret::new(Vec::with_capacity(count.saturating_mul(64)));
        for _ in 0..count {
            let line = self.0.next().ok_or(PrivateKeyError::Truncated)?;
            text.expose_mut().extend_from_slice(line.as_bytes());
        }
        base64::decode_secret(text.expose()).ok_or(PrivateKeyError::NotBase64)
    }
}

impl<'a> Ppk<'a> {
    fn parse(text: &'a [u8]) -> Result<Self, PrivateKeyError> {
        let text = core::str::from_utf8(text.trim_ascii_start());
        let text = text.map_err(|_| PrivateKeyError::BadHeader { name: "Comment" })?;
        let mut lines = Lines(text.lines());
        let first = lines.0.next().unwrap_or_default();
        let (version, algorithm) = first.split_once(": ").ok_or(PrivateKeyError::Truncated)?;
        let version = match version {
            "PuTTY-User-Key-File-2" => Version::Two,
            "PuTTY-User-Key-File-3" => Version::Three,
            other => {
                let label = shown(other.as_bytes());
                return Err(PrivateKeyError::UnsupportedPem { label });
            }
        };
        let encryption = lines.header("Encryption")?;
        let comment = lines.header("Comment")?;
        let public = lines.base64("Public-Lines")?.expose().clone();
        let argon2 = if version == Version::Three && encryption != "none" {
            Some(Argon2::parse(&mut lines)?)
        } else {
            None
        };
        let private = lines.base64("Private-Lines")?;
        let mac = lines.header("Private-MAC")?;
        let mac = pem::unhex(mac).ok_or(PrivateKeyError::BadHeader { name: "Private-MAC" })?;
        Ok(Self { version, algorithm, encryption, comment, public, argon2, private, mac })
    }

    fn public(&self, limits: &ReadLimits) -> Result<PublicKey, PrivateKeyError> {
        let key = PublicKey::from_blob_of_bits(&self.public, limits.min_rsa_bits)?;
        if key.name() == self.algorithm {
            return Ok(key);
        }
        let (declared, found) = (shown(self.algorithm.as_bytes()), key.name().into());
        Err(KeyError::TypeMismatch { declared, found }.into())
    }

    /// The private numbers, which belong to everything else in the file.
    fn open(
        &self,
        passphrase: Option<&[u8]>,
        limits: &ReadLimits,
    ) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        let passphrase = match self.encryption {
            "none" => b"",
            "aes256-cbc" => passphrase.ok_or(PrivateKeyError::Encrypted)?,
            name => {
                return Err(PrivateKeyError::UnsupportedCipher { name: shown(name.as_bytes()) });
            }
        };
        let encrypted = self.encryption != "none";
        let keys = match (self.version, &self.argon2) {
            (Version::Two, _) => Keys::of_version_2(passphrase, encrypted),
            (Version::Three, None) => {
                Keys { cipher: None, mac: Hmac::new(HmacAlgorithm::Sha256, b"") }
            }
            (Version::Three, Some(argon2)) => argon2.keys(passphrase, limits)?,
        };
        let mut plain = self.private.clone();
        if let Some((key, iv)) = &keys.cipher {
            let chain = CbcDecryptor::new(CbcCipher::Aes256, key.expose(), iv);
            let opened = chain.and_then(|mut chain| chain.decrypt(plain.expose_mut()));
            opened.map_err(|_| PrivateKeyError::Truncated)?;
        }
        let mut header = Vec::new();
        for text in [self.algorithm, self.encryption, self.comment] {
            put_string(&mut header, text.as_bytes());
        }
        put_string(&mut header, &self.public);
        let len = u32::try_from(plain.expose().len()).unwrap_or(u32::MAX).to_be_bytes();
        match keys.mac.verify(&[&header, &len, plain.expose()], &self.mac) {
            Ok(()) => Ok(plain),
            Err(_) if encrypted => Err(PrivateKeyError::WrongPassphrase),
            Err(_) => Err(PrivateKeyError::Tampered),
        }
    }
}

impl Keys {
    /// The keys of version 2: SHA-1 of a counter and the passphrase.
    fn of_version_2(passphrase: &[u8], encrypted: bool) -> Self {
        let sha1 = |prefix: &[u8]| {
            let mut hasher = Hasher::new(HashAlgorithm::Sha1);
            hasher.update(prefix);
            hasher.update(passphrase);
            hasher.finish()
        };
        let (first, second) = (sha1(&[0, 0, 0, 0]), sha1(&[0, 0, 0, 1]));
        let mut key = Secret::new([0; 32]);
        let bytes = first.as_bytes().iter().chain(second.as_bytes());
        for (to, from) in key.expose_mut().iter_mut().zip(bytes) {
            *to = *from;
        }
        let mac = sha1(b"putty-private-key-file-mac-key");
        Self {
            cipher: encrypted.then_some((key, [0; 16])),
            mac: Hmac::new(HmacAlgorithm::Sha1, mac.as_bytes()),
        }
    }
}

impl Argon2 {
    fn parse(lines: &mut Lines<'_>) -> Result<Self, PrivateKeyError> {
        let kind = match lines.header("Key-Derivation")? {
            "Argon2id" => Argon2Kind::Id,
            "Argon2i" => Argon2Kind::I,
            "Argon2d" => Argon2Kind::D,
            name => return Err(PrivateKeyError::UnsupportedKdf { name: shown(name.as_bytes()) }),
        };
        let memory = lines.number("Argon2-Memory")?;
        let passes = lines.number("Argon2-Passes")?;
        let lanes = lines.number("Argon2-Parallelism")?;
        let salt = pem::unhex(lines.header("Argon2-Salt")?);
        let salt = salt.ok_or(PrivateKeyError::BadHeader { name: "Argon2-Salt" })?;
        Ok(Self { kind, cost: Argon2Cost { memory, passes, lanes }, salt })
    }

    fn keys(&self, passphrase: &[u8], limits: &ReadLimits) -> Result<Keys, PrivateKeyError> {
        let Argon2Cost { memory, passes, .. } = self.cost;
        let too_much = PrivateKeyError::TooMuchArgon2 { memory, passes };
        if memory > limits.max_argon2_memory {
            return Err(too_much);
        }
        let mut derived = Secret::new(vec![0; 80]);
        kdf::argon2(self.kind, passphrase, &self.salt, self.cost, derived.expose_mut())
            .map_err(|_| too_much)?;
        let (mut key, mut iv) = (Secret::new([0; 32]), [0; 16]);
        let mut bytes = derived.expose().iter();
        for to in key.expose_mut().iter_mut().chain(&mut iv) {
            *to = bytes.next().copied().unwrap_or(0);
        }
        let mac = Hmac::new(HmacAlgorithm::Sha256, bytes.as_slice());
        Ok(Keys { cipher: Some((key, iv)), mac })
    }
}

/// Reads the private numbers; behind them is padding.
fn read_private(
    public: &PublicKey,
    plain: &[u8],
    limits: &ReadLimits,
) -> Result<SecretKey, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let mut reader = Reader::new("ppk", plain);
    let secret = match public.material() {
        Material::Rsa { n, e } => {
            let d = MpInt::decode(reader.field("d")).map_err(malformed)?;
            let p = MpInt::decode(reader.field("p")).map_err(malformed)?;
            let q = MpInt::decode(reader.field("q")).map_err(malformed)?;
            rsa(n, e, d.as_bytes(), p.as_bytes(), q.as_bytes(), limits.min_rsa_bits)?
        }
        Material::Ecdsa { curve, .. } => {
            let scalar = MpInt::decode(reader.field("scalar")).map_err(malformed)?;
            let key = EcdsaKey::from_scalar(*curve, scalar.as_bytes());
            SecretKey::Ecdsa(key.map_err(|_| PrivateKeyError::InvalidKey)?)
        }
        Material::Ed25519(_) => {
            let seed = reader.field("seed").string().map_err(malformed)?;
            SecretKey::Ed25519(Ed25519Key::from_seed(&seed_of(seed)?))
        }
        Material::MlDsa44Ed25519(_) | Material::SkEd25519 { .. } | Material::SkEcdsaP256 { .. } => {
            return Err(PrivateKeyError::NoSuchForm { key_type: public.key_type() });
        }
    };
    if secret.belongs_to(public) { Ok(secret) } else { Err(PrivateKeyError::Mismatch) }
}

/// The seed, which older versions wrote as a number: without zeros at its start, or with one more.
fn seed_of(bytes: &[u8]) -> Result<[u8; 32], PrivateKeyError> {
    let mut seed = [0; 32];
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = bytes.get(zeros..).unwrap_or_default();
    let start = seed.len().checked_sub(bytes.len()).ok_or(PrivateKeyError::InvalidKey)?;
    for (to, from) in seed.iter_mut().skip(start).zip(bytes) {
        *to = *from;
    }
    Ok(seed)
}
