//! OpenSSH's `PROTOCOL.key`: the private key format `openssh-key-v1`.
//!
//! ```text
//! "openssh-key-v1\0" | cipher | kdf | kdf options | number of keys (1) | public blob | sealed | tag
//!
//! sealed, decrypted:  check | check (the same) | type | numbers of the key | comment | 1 2 3 …
//! ```

use alloc::{string::String, vec, vec::Vec};

use ssh_crypto::{
    Secret, kdf,
    rng::Rng,
    sign::{EcdsaP256Key, Ed25519Key, RsaKey},
};
use ssh_wire::{
    Decode as _, DecodeError, DecodeErrorKind, Encode as _, MpInt, Reader, put_string,
    put_with_length,
};

use crate::{
    KeyType, PrivateKeyError, PublicKey, armor, base64,
    cipher::Cipher,
    private::{MAX_FILE_LEN, SecretKey},
    public::shown,
};

const MAGIC: &[u8; 15] = b"openssh-key-v1\0";
const NAME: &str = "openssh-key-v1";
/// Characters of base64 in a line, as OpenSSH writes them.
const LINE_LEN: usize = 70;

/// A private key, the public key it says to belong to, and its comment.
pub(crate) struct Opened {
    pub(crate) secret: SecretKey,
    pub(crate) public: PublicKey,
    pub(crate) comment: String,
}

/// The outer, unencrypted part of a file.
struct Envelope<'a> {
    cipher: Cipher,
    /// Salt and rounds of bcrypt; none if the key is not encrypted.
    bcrypt: Option<(&'a [u8], u32)>,
    public: &'a [u8],
    sealed: &'a [u8],
    tag: &'a [u8],
}

/// Reads a key file; `max_rounds` bounds the time that a passphrase may take.
pub(crate) fn read(
    text: &[u8],
    passphrase: Option<&[u8]>,
    max_rounds: u32,
) -> Result<Opened, PrivateKeyError> {
    let bytes = decode(text)?;
    let envelope = Envelope::parse(bytes.expose())?;
    let public = PublicKey::from_blob(envelope.public)?;
    let plain = envelope.open(passphrase, max_rounds)?;
    let (secret, comment) = read_plain(plain.expose())?;
    if secret.public_blob() != public.blob() {
        return Err(PrivateKeyError::Mismatch);
    }
    Ok(Opened { secret, public, comment })
}

/// Reads the public key of a key file, which is never encrypted.
pub(crate) fn read_public(text: &[u8]) -> Result<PublicKey, PrivateKeyError> {
    let bytes = decode(text)?;
    Ok(PublicKey::from_blob(Envelope::parse(bytes.expose())?.public)?)
}

fn decode(text: &[u8]) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
    if text.len() > MAX_FILE_LEN {
        return Err(PrivateKeyError::TooLong { len: text.len() });
    }
    base64::decode_secret(armor::body(text)?).ok_or(PrivateKeyError::NotBase64)
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
        let cipher = Cipher::from_name(name)
            .ok_or_else(|| PrivateKeyError::UnsupportedCipher { name: shown(name) })?;
        let at = reader.field("kdf").clone();
        let kdf = reader.string().map_err(outside)?;
        let options = reader.field("kdf options").string().map_err(outside)?;
        let bcrypt = match kdf {
            b"none" => None,
            b"bcrypt" => Some(parse_bcrypt(options)?),
            name => return Err(PrivateKeyError::UnsupportedKdf { name: shown(name) }),
        };
        if bcrypt.is_none() != (cipher == Cipher::Plain) {
            let kind = DecodeErrorKind::Invalid("cipher and kdf are both \"none\" or neither");
            return Err(PrivateKeyError::Malformed(at.error(kind)));
        }
        let count = reader.field("number of keys").uint32().map_err(outside)?;
        if count != 1 {
            return Err(PrivateKeyError::NotOneKey { count });
        }
        let public = reader.field("public key").string().map_err(outside)?;
        let at = reader.field("private key").clone();
        let sealed = reader.string().map_err(outside)?;
        if sealed.is_empty() || !sealed.len().is_multiple_of(cipher.block_len()) {
            let kind = DecodeErrorKind::Invalid("its length is not a multiple of the block length");
            return Err(PrivateKeyError::Malformed(at.error(kind)));
        }
        let tag = reader.field("tag").take(cipher.tag_len()).map_err(outside)?;
        reader.finish().map_err(outside)?;
        Ok(Self { cipher, bcrypt, public, sealed, tag })
    }

    /// The decrypted part, which belongs to the passphrase if the cipher has a tag, and otherwise
    /// if it begins with a number repeated.
    fn open(
        &self,
        passphrase: Option<&[u8]>,
        max_rounds: u32,
    ) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        let mut plain = Secret::new(self.sealed.to_vec());
        let Some((salt, rounds)) = self.bcrypt else {
            let checks = read_checks(plain.expose()).map_err(PrivateKeyError::Malformed)?;
            return if checks { Ok(plain) } else { Err(PrivateKeyError::InvalidKey) };
        };
        let passphrase = passphrase.ok_or(PrivateKeyError::Encrypted)?;
        if rounds > max_rounds {
            return Err(PrivateKeyError::TooManyRounds { rounds });
        }
        let key_len = self.cipher.key_len();
        let mut derived = Secret::new(vec![0; key_len.saturating_add(self.cipher.iv_len())]);
        // The only thing left to complain about is an empty passphrase.
        kdf::bcrypt_pbkdf(passphrase, salt, rounds, derived.expose_mut())
            .map_err(|_| PrivateKeyError::WrongPassphrase)?;
        let (key, iv) = derived.expose().split_at_checked(key_len).unwrap_or_default();
        self.cipher
            .open(key, iv, plain.expose_mut(), self.tag)
            .map_err(|_| PrivateKeyError::WrongPassphrase)?;
        if read_checks(plain.expose()) == Ok(true) {
            Ok(plain)
        } else {
            Err(PrivateKeyError::WrongPassphrase)
        }
    }
}

fn parse_bcrypt(options: &[u8]) -> Result<(&[u8], u32), PrivateKeyError> {
    let mut reader = Reader::new("bcrypt options", options);
    let at = reader.field("salt").clone();
    let salt = reader.string().map_err(PrivateKeyError::Malformed)?;
    let rounds = reader.field("rounds").uint32().map_err(PrivateKeyError::Malformed)?;
    if salt.is_empty() || rounds == 0 {
        let kind = DecodeErrorKind::Invalid("no salt, or no rounds");
        return Err(PrivateKeyError::Malformed(at.error(kind)));
    }
    reader.finish().map_err(PrivateKeyError::Malformed)?;
    Ok((salt, rounds))
}

fn read_checks(plain: &[u8]) -> Result<bool, DecodeError> {
    let mut reader = Reader::new("private key", plain);
    reader.field("check");
    Ok(reader.uint32()? == reader.uint32()?)
}

/// Reads what was encrypted.
fn read_plain(plain: &[u8]) -> Result<(SecretKey, String), PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let mut reader = Reader::new("private key", plain);
    reader.field("check").uint64().map_err(malformed)?;
    let secret = read_secret(&mut reader)?;
    let comment = reader.field("comment").string().map_err(malformed)?;
    let at = reader.field("padding").clone();
    // Shorter than a cipher block in practice; the count is one byte in any case.
    let padding = reader.rest();
    if padding.len() > usize::from(u8::MAX)
        || !padding.iter().copied().eq((1..=u8::MAX).take(padding.len()))
    {
        return Err(malformed(at.error(DecodeErrorKind::Invalid("must be the bytes 1, 2, 3 …"))));
    }
    Ok((secret, String::from_utf8_lossy(comment).into_owned()))
}

/// The type and the numbers of a key.
pub(crate) fn read_secret(reader: &mut Reader<'_>) -> Result<SecretKey, PrivateKeyError> {
    let name = reader.field("type").string().map_err(PrivateKeyError::Malformed)?;
    let key_type = core::str::from_utf8(name).ok().and_then(KeyType::from_name);
    match key_type.ok_or(PrivateKeyError::Mismatch)? {
        KeyType::Ed25519 => read_ed25519(reader),
        KeyType::EcdsaP256 => read_p256(reader),
        KeyType::Rsa => read_rsa(reader),
    }
}

fn read_ed25519(reader: &mut Reader<'_>) -> Result<SecretKey, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let public = reader.field("public").string_of::<32>().map_err(malformed)?;
    let secret = reader.field("secret").string_of::<64>().map_err(malformed)?;
    let (Some(seed), Some(again)) = (secret.first_chunk::<32>(), secret.last_chunk::<32>()) else {
        return Err(PrivateKeyError::InvalidKey);
    };
    let key = Ed25519Key::from_seed(seed);
    if key.public() == *public && public == again {
        Ok(SecretKey::Ed25519(key))
    } else {
        Err(PrivateKeyError::Mismatch)
    }
}

fn read_p256(reader: &mut Reader<'_>) -> Result<SecretKey, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let at = reader.field("curve").clone();
    if reader.string().map_err(malformed)? != b"nistp256" {
        return Err(malformed(at.error(DecodeErrorKind::Invalid("must be \"nistp256\""))));
    }
    let point = reader.field("point").string_of::<65>().map_err(malformed)?;
    let scalar = MpInt::decode(reader.field("scalar")).map_err(malformed)?;
    let key =
        EcdsaP256Key::from_scalar(scalar.as_bytes()).map_err(|_| PrivateKeyError::InvalidKey)?;
    if key.public() == *point {
        Ok(SecretKey::EcdsaP256(key))
    } else {
        Err(PrivateKeyError::Mismatch)
    }
}

/// The modulus comes before the exponent here, other than in the public blob.
fn read_rsa(reader: &mut Reader<'_>) -> Result<SecretKey, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let n = MpInt::decode(reader.field("n")).map_err(malformed)?;
    let e = MpInt::decode(reader.field("e")).map_err(malformed)?;
    let d = MpInt::decode(reader.field("d")).map_err(malformed)?;
    // Computed anew from p and q, so that a wrong one cannot make faulty signatures.
    let _iqmp = MpInt::decode(reader.field("iqmp")).map_err(malformed)?;
    let p = MpInt::decode(reader.field("p")).map_err(malformed)?;
    let q = MpInt::decode(reader.field("q")).map_err(malformed)?;
    RsaKey::from_parts(n.as_bytes(), e.as_bytes(), d.as_bytes(), p.as_bytes(), q.as_bytes())
        .map(SecretKey::Rsa)
        .map_err(|_| PrivateKeyError::InvalidKey)
}

/// Writes an unencrypted key file. No copy of a secret stays behind.
pub(crate) fn write(
    secret: &SecretKey,
    public: &PublicKey,
    comment: &str,
    rng: &mut dyn Rng,
) -> Secret<String> {
    let plain = write_plain(secret, comment, rng);
    let capacity = plain.expose().len().saturating_add(public.blob().len()).saturating_add(128);
    let mut bytes = Secret::new(Vec::with_capacity(capacity));
    let out = bytes.expose_mut();
    out.extend_from_slice(MAGIC);
    for string in [&b"none"[..], b"none", b""] {
        put_string(out, string);
    }
    1_u32.encode(out);
    put_string(out, public.blob());
    put_string(out, plain.expose());

    armored(bytes.expose())
}

/// The lines of text around the bytes of a key file.
pub(crate) fn armored(bytes: &[u8]) -> Secret<String> {
    let base64 = base64::encode_secret(bytes);
    let lines = base64.expose().chunks(LINE_LEN);
    let capacity = base64.expose().len().saturating_add(lines.len()).saturating_add(128);
    let mut text = Secret::new(String::with_capacity(capacity));
    let out = text.expose_mut();
    for line in [armor::BEGIN.as_bytes()].into_iter().chain(lines).chain([armor::END.as_bytes()]) {
        out.push_str(core::str::from_utf8(line).unwrap_or_default());
        out.push('\n');
    }
    text
}

/// Room for the numbers of a key. The largest are those of RSA keys: n, d of the size of the public
/// blob, p, q, iqmp of half of it.
fn fields_capacity(secret: &SecretKey) -> usize {
    secret.public_blob().len().saturating_mul(4).saturating_add(512)
}

/// What [`read_secret`] reads. No copy of a secret stays behind.
pub(crate) fn write_fields(secret: &SecretKey) -> Secret<Vec<u8>> {
    let mut fields = Secret::new(Vec::with_capacity(fields_capacity(secret)));
    write_secret(secret, fields.expose_mut());
    fields
}

fn write_plain(secret: &SecretKey, comment: &str, rng: &mut dyn Rng) -> Secret<Vec<u8>> {
    let capacity = fields_capacity(secret).saturating_add(comment.len());
    let mut plain = Secret::new(Vec::with_capacity(capacity));
    let out = plain.expose_mut();
    let mut check = [0; 4];
    rng.fill(&mut check);
    out.extend_from_slice(&check);
    out.extend_from_slice(&check);
    write_secret(secret, out);
    put_string(out, comment.as_bytes());
    let padding = out.len().next_multiple_of(Cipher::Plain.block_len()).saturating_sub(out.len());
    out.extend((1..=u8::MAX).take(padding));
    plain
}

fn write_secret(secret: &SecretKey, out: &mut Vec<u8>) {
    put_string(out, secret.key_type().name().as_bytes());
    match secret {
        SecretKey::Ed25519(key) => {
            let public = key.public();
            put_string(out, &public);
            put_with_length(out, |out| {
                out.extend_from_slice(key.seed().expose());
                out.extend_from_slice(&public);
            });
        }
        SecretKey::EcdsaP256(key) => {
            put_string(out, b"nistp256");
            put_string(out, &key.public());
            MpInt::from_bytes(key.scalar().expose()).encode(out);
        }
        SecretKey::Rsa(key) => {
            MpInt::from_bytes(&key.n()).encode(out);
            MpInt::from_bytes(&key.e()).encode(out);
            for number in [key.d(), key.iqmp(), key.p(), key.q()] {
                MpInt::from_bytes(number.expose()).encode(out);
            }
        }
    }
}
