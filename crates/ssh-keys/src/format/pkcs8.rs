//! RFC 5958, RFC 8410, RFC 8018: PKCS#8, plain and encrypted (PBES2).

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};

use der::{
    Decode as _, Reader as _, SliceReader, Tag, TagMode, TagNumber, Tagged as _,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, OctetStringRef, SetOfRef},
};
use ssh_crypto::{
    Secret,
    cbc::{CbcCipher, CbcEncryptor},
    hash::HashAlgorithm,
    kdf,
    rng::Rng,
    sign::Ed25519Key,
};

use super::{
    asn1::{self, Algorithm, Writer, tag},
    pem, pkcs1, sec1,
};
use crate::{
    PrivateKey, PrivateKeyError,
    private::{ReadLimits, SecretKey},
};

pub(super) const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
pub(super) const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
pub(super) const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");
const DES_EDE3_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.3.7");

/// Iterations of PBKDF2 in what is written: about a tenth of a second.
const ITERATIONS: u32 = 300_000;
const SALT_LEN: usize = 16;

/// Reads `OneAsymmetricKey`: version, algorithm, key, \[0\] attributes, \[1\] public key.
pub(super) fn read(bytes: &[u8], limits: &ReadLimits) -> Result<PrivateKey, PrivateKeyError> {
    let (algorithm, key) = asn1::sequence("PrivateKeyInfo", bytes, |reader| {
        // 1 means that a public key may follow.
        if u8::decode(reader)? > 1 {
            return Err(reader.error(der::ErrorKind::Failed));
        }
        let algorithm = Algorithm::read(reader)?;
        let key = <&OctetStringRef>::decode(reader)?.as_bytes();
        reader.context_specific::<SetOfRef<'_, AnyRef<'_>>>(TagNumber(0), TagMode::Implicit)?;
        reader.context_specific::<BitStringRef<'_>>(TagNumber(1), TagMode::Implicit)?;
        Ok((algorithm, key))
    })?;
    let oid = |any: AnyRef<'_>| any.decode_as::<ObjectIdentifier>().ok();
    match algorithm.oid {
        RSA => pkcs1::read(key, limits),
        EC => {
            let curve = algorithm.parameters.and_then(oid);
            let curve = curve.ok_or(PrivateKeyError::NotDer { structure: "EcParameters" })?;
            let known = asn1::curve(curve).ok_or_else(|| unsupported(curve))?;
            sec1::read_on(Some(known), key, limits)
        }
        ED25519 => {
            let seed = read_seed(key)?.try_into().map_err(|_| PrivateKeyError::InvalidKey)?;
            let secret = SecretKey::Ed25519(Ed25519Key::from_seed(seed));
            PrivateKey::of_numbers(secret, "", limits.min_rsa_bits)
        }
        other => Err(unsupported(other)),
    }
}

/// Reads `CurvePrivateKey` (RFC 8410 §7): the seed in a string of its own.
fn read_seed(bytes: &[u8]) -> Result<&[u8], PrivateKeyError> {
    let read = || -> der::Result<&[u8]> {
        let mut reader = SliceReader::new(bytes)?;
        let seed = <&OctetStringRef>::decode(&mut reader)?.as_bytes();
        reader.finish()?;
        Ok(seed)
    };
    read().map_err(|_| PrivateKeyError::NotDer { structure: "CurvePrivateKey" })
}

fn unsupported(oid: ObjectIdentifier) -> PrivateKeyError {
    PrivateKeyError::UnsupportedAlgorithm { name: oid.to_string().as_str().into() }
}

/// How an encrypted key is encrypted.
struct Pbes2<'a> {
    prf: HashAlgorithm,
    salt: &'a [u8],
    iterations: u32,
    cipher: CbcCipher,
    iv: &'a [u8],
}

/// Reads `EncryptedPrivateKeyInfo`: how it is encrypted, and the rest.
pub(super) fn read_encrypted(
    bytes: &[u8],
    passphrase: Option<&[u8]>,
    limits: &ReadLimits,
) -> Result<PrivateKey, PrivateKeyError> {
    let (algorithm, sealed) = asn1::sequence("EncryptedPrivateKeyInfo", bytes, |reader| {
        Ok((Algorithm::read(reader)?, <&OctetStringRef>::decode(reader)?.as_bytes()))
    })?;
    if algorithm.oid != PBES2 {
        return Err(PrivateKeyError::UnsupportedKdf {
            name: algorithm.oid.to_string().as_str().into(),
        });
    }
    let how = Pbes2::read(algorithm)?;
    if sealed.is_empty() || !sealed.len().is_multiple_of(how.cipher.block_len()) {
        return Err(PrivateKeyError::Truncated);
    }
    let iterations = how.iterations;
    if iterations > limits.max_pbkdf2_iterations {
        return Err(PrivateKeyError::TooManyIterations { iterations });
    }
    let passphrase = passphrase.ok_or(PrivateKeyError::Encrypted)?;
    let mut key = Secret::new(alloc::vec![0; how.cipher.key_len()]);
    kdf::pbkdf2(how.prf, passphrase, how.salt, iterations, key.expose_mut())
        .map_err(|_| PrivateKeyError::TooManyIterations { iterations })?;
    let sealed = Secret::new(sealed.to_vec());
    let plain = pem::open_padded(how.cipher, key.expose(), how.iv, sealed)?;
    read(plain.expose(), limits).map_err(|error| match error {
        // Noise that happened to end as it should.
        PrivateKeyError::NotDer { .. } => PrivateKeyError::WrongPassphrase,
        error => error,
    })
}

impl<'a> Pbes2<'a> {
    fn read(algorithm: Algorithm<'a>) -> Result<Self, PrivateKeyError> {
        let malformed = |_: der::Error| PrivateKeyError::NotDer { structure: "PBES2-params" };
        let both =
            algorithm.parameters.ok_or(PrivateKeyError::NotDer { structure: "PBES2-params" })?;
        let (derivation, encryption) = (|| -> der::Result<_> {
            let mut reader = SliceReader::new(both.value())?;
            if both.tag() != Tag::Sequence {
                return Err(reader.error(der::ErrorKind::Failed));
            }
            let algorithms = (Algorithm::read(&mut reader)?, Algorithm::read(&mut reader)?);
            reader.finish()?;
            Ok(algorithms)
        })()
        .map_err(malformed)?;
        if derivation.oid != PBKDF2 {
            let name = derivation.oid.to_string();
            return Err(PrivateKeyError::UnsupportedKdf { name: name.as_str().into() });
        }
        let (salt, iterations, prf) = Self::read_pbkdf2(derivation).map_err(malformed)?;
        let prf = match prf {
            None | Some(HMAC_SHA1) => HashAlgorithm::Sha1,
            Some(HMAC_SHA256) => HashAlgorithm::Sha256,
            Some(HMAC_SHA384) => HashAlgorithm::Sha384,
            Some(HMAC_SHA512) => HashAlgorithm::Sha512,
            Some(other) => {
                let name = other.to_string();
                return Err(PrivateKeyError::UnsupportedKdf { name: name.as_str().into() });
            }
        };
        let cipher = match encryption.oid {
            AES128_CBC => CbcCipher::Aes128,
            AES192_CBC => CbcCipher::Aes192,
            AES256_CBC => CbcCipher::Aes256,
            DES_EDE3_CBC => CbcCipher::TripleDes,
            other => {
                let name = other.to_string();
                return Err(PrivateKeyError::UnsupportedCipher { name: name.as_str().into() });
            }
        };
        let iv = encryption.parameters.and_then(|any| any.decode_as::<&OctetStringRef>().ok());
        let iv = iv.map(OctetStringRef::as_bytes).filter(|iv| iv.len() == cipher.block_len());
        let iv = iv.ok_or(PrivateKeyError::NotDer { structure: "PBES2-params" })?;
        Ok(Self { prf, salt, iterations, cipher, iv })
    }

    /// Salt, iterations, and the hash if it is not SHA-1 (RFC 8018 §A.2).
    fn read_pbkdf2(
        algorithm: Algorithm<'a>,
    ) -> der::Result<(&'a [u8], u32, Option<ObjectIdentifier>)> {
        let failed = || der::Error::from(der::ErrorKind::Failed);
        let parameters = algorithm.parameters.ok_or_else(failed)?;
        if parameters.tag() != Tag::Sequence {
            return Err(failed());
        }
        let mut reader = SliceReader::new(parameters.value())?;
        let salt = <&OctetStringRef>::decode(&mut reader)?.as_bytes();
        let iterations = u32::decode(&mut reader)?;
        // The length of the key follows from the cipher.
        Option::<u32>::decode(&mut reader)?;
        let prf = if reader.is_finished() { None } else { Some(Algorithm::read(&mut reader)?.oid) };
        reader.finish()?;
        Ok((salt, iterations, prf))
    }
}

/// `PrivateKeyInfo` of a key.
fn info(key: &PrivateKey) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
    let mut out = Writer::new();
    let body = |out: &mut Writer| -> Result<(), PrivateKeyError> {
        out.integer(&[0]);
        match key.secret() {
            SecretKey::Rsa(key) => {
                out.nest(tag::SEQUENCE, |out| {
                    out.oid(RSA).put(tag::NULL, &[]);
                });
                out.put(tag::OCTET_STRING, pkcs1::write(key).expose());
            }
            SecretKey::Ecdsa(key) => {
                let curve = asn1::curve_oid(key.curve());
                out.nest(tag::SEQUENCE, |out| {
                    out.oid(EC).oid(curve);
                });
                out.put(tag::OCTET_STRING, sec1::write(key, false).expose());
            }
            SecretKey::Ed25519(key) => {
                out.nest(tag::SEQUENCE, |out| {
                    out.oid(ED25519);
                });
                out.nest(tag::OCTET_STRING, |out| {
                    out.put(tag::OCTET_STRING, key.seed().expose());
                });
            }
            SecretKey::MlDsa44Ed25519(_) | SecretKey::Token(_) => {
                let key_type = key.public().key_type();
                return Err(PrivateKeyError::NoSuchForm { key_type });
            }
        }
        Ok(())
    };
    let mut result = Ok(());
    out.nest(tag::SEQUENCE, |out| result = body(out));
    result.map(|()| out.finish())
}

/// Writes a plain file.
pub(crate) fn write(key: &PrivateKey) -> Result<Secret<String>, PrivateKeyError> {
    Ok(pem::of_der("PRIVATE KEY", info(key)?.expose()))
}

/// Writes a file that opens with a passphrase.
pub(crate) fn write_encrypted(
    key: &PrivateKey,
    passphrase: &[u8],
    rng: &mut dyn Rng,
) -> Result<Secret<String>, PrivateKeyError> {
    if passphrase.is_empty() {
        return Err(PrivateKeyError::EmptyPassphrase);
    }
    let cipher = CbcCipher::Aes256;
    let (mut salt, mut iv) = ([0; SALT_LEN], [0; 16]);
    rng.fill(&mut salt);
    rng.fill(&mut iv);
    let mut secret = Secret::new([0; 32]);
    let failed = |_| PrivateKeyError::TooManyIterations { iterations: ITERATIONS };
    kdf::pbkdf2(HashAlgorithm::Sha256, passphrase, &salt, ITERATIONS, secret.expose_mut())
        .map_err(failed)?;

    let mut sealed = info(key)?;
    let block = cipher.block_len();
    let bytes = sealed.expose_mut();
    let padding = block.saturating_sub(bytes.len().checked_rem(block).unwrap_or(0));
    bytes.extend(core::iter::repeat_n(u8::try_from(padding).unwrap_or(0), padding));
    CbcEncryptor::new(cipher, secret.expose(), &iv)
        .and_then(|mut chain| chain.encrypt(bytes))
        .map_err(|_| PrivateKeyError::InvalidKey)?;

    let mut out = Writer::new();
    out.nest(tag::SEQUENCE, |out| {
        out.nest(tag::SEQUENCE, |out| {
            out.oid(PBES2).nest(tag::SEQUENCE, |out| {
                out.nest(tag::SEQUENCE, |out| write_pbkdf2(&salt, out));
                out.nest(tag::SEQUENCE, |out| {
                    out.oid(AES256_CBC).put(tag::OCTET_STRING, &iv);
                });
            });
        });
        out.put(tag::OCTET_STRING, sealed.expose());
    });
    Ok(pem::of_der("ENCRYPTED PRIVATE KEY", out.finish().expose()))
}

fn write_pbkdf2(salt: &[u8], out: &mut Writer) {
    out.oid(PBKDF2).nest(tag::SEQUENCE, |out| {
        out.put(tag::OCTET_STRING, salt).integer(&ITERATIONS.to_be_bytes());
        out.nest(tag::SEQUENCE, |out| {
            out.oid(HMAC_SHA256).put(tag::NULL, &[]);
        });
    });
}
