//! RFC 7468 §2, RFC 1421 §4.6: the text around keys, and the encryption that OpenSSL put into it.

use alloc::{string::String, vec::Vec};

use ssh_crypto::{
    Secret,
    cbc::{CbcCipher, CbcDecryptor},
    hash::{HashAlgorithm, Hasher},
};

use super::{pkcs1, sec1};
use crate::{PrivateKey, PrivateKeyError, base64, private::SecretKey, public::shown};

/// Characters of base64 in a line (RFC 7468 §2).
const LINE_LEN: usize = 64;
/// The salt is this much of the initial vector (`EVP_BytesToKey` of OpenSSL).
const SALT_LEN: usize = 8;

/// A text with a label, headers, and base64.
pub(crate) struct Pem<'a> {
    pub(crate) label: &'a [u8],
    headers: &'a [u8],
    body: &'a [u8],
}

impl<'a> Pem<'a> {
    /// Takes a text apart that begins with `-----BEGIN `. What stands behind its end does not count.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, PrivateKeyError> {
        let cut = PrivateKeyError::Truncated;
        let rest = text.trim_ascii_start().strip_prefix(b"-----BEGIN ").ok_or(cut)?;
        let (label, rest) = split_once(rest, b"-----").ok_or(PrivateKeyError::Truncated)?;
        let end = [b"-----END ", label, b"-----"].concat();
        let (body, _) = split_once(rest, &end).ok_or(PrivateKeyError::Truncated)?;
        // Headers have colons, base64 has not, and a blank line is between.
        let (headers, body) = match blank_line(body).filter(|_| body.contains(&b':')) {
            Some((headers, body)) => (headers, body),
            None => (&[][..], body),
        };
        Ok(Self { label, headers, body })
    }

    /// What the base64 holds.
    pub(crate) fn decoded(&self) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        base64::decode_secret(self.body).ok_or(PrivateKeyError::NotBase64)
    }

    /// The same, decrypted if `DEK-Info` says that it has to be.
    pub(crate) fn decrypted(
        &self,
        passphrase: Option<&[u8]>,
    ) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
        let bytes = self.decoded()?;
        let Some(info) = self.header(b"DEK-Info") else { return Ok(bytes) };
        let (cipher, iv) = dek_info(info)?;
        decrypt(cipher, &iv, bytes, passphrase)
    }

    fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        self.headers.split(|byte| *byte == b'\n').find_map(|line| {
            let value = line.strip_prefix(name)?.strip_prefix(b":")?;
            Some(value.trim_ascii())
        })
    }

    /// What was wrong with the inside of an encrypted text: with the wrong passphrase it is noise
    /// that happened to end as it should.
    pub(crate) fn blame(&self, error: PrivateKeyError) -> PrivateKeyError {
        match (error, self.header(b"DEK-Info")) {
            (PrivateKeyError::NotDer { .. }, Some(_)) => PrivateKeyError::WrongPassphrase,
            (error, _) => error,
        }
    }
}

/// Reads `AES-128-CBC,0123…`.
fn dek_info(info: &[u8]) -> Result<(CbcCipher, Vec<u8>), PrivateKeyError> {
    let (name, iv) = split_once(info, b",").unwrap_or((info, b""));
    let cipher = match name.to_ascii_uppercase().as_slice() {
        b"AES-128-CBC" => CbcCipher::Aes128,
        b"AES-192-CBC" => CbcCipher::Aes192,
        b"AES-256-CBC" => CbcCipher::Aes256,
        b"DES-EDE3-CBC" => CbcCipher::TripleDes,
        _ => return Err(PrivateKeyError::UnsupportedCipher { name: shown(name) }),
    };
    let iv = core::str::from_utf8(iv.trim_ascii()).ok().and_then(unhex);
    let iv = iv.filter(|iv| iv.len() == cipher.block_len());
    Ok((cipher, iv.ok_or(PrivateKeyError::BadHeader { name: "DEK-Info" })?))
}

/// The bytes of pairs of digits.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_chunks::<2>();
    rest.is_empty().then_some(())?;
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Decrypts, and takes the padding off.
pub(super) fn decrypt(
    cipher: CbcCipher,
    iv: &[u8],
    bytes: Secret<Vec<u8>>,
    passphrase: Option<&[u8]>,
) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
    if bytes.expose().is_empty() || !bytes.expose().len().is_multiple_of(cipher.block_len()) {
        return Err(PrivateKeyError::Truncated);
    }
    let passphrase = passphrase.ok_or(PrivateKeyError::Encrypted)?;
    let salt = iv.get(..SALT_LEN).unwrap_or(iv);
    let key = bytes_to_key(passphrase, salt, cipher.key_len());
    open_padded(cipher, key.expose(), iv, bytes)
}

/// Decrypts in CBC mode and takes the padding of RFC 8018 §6.1.1 off.
pub(super) fn open_padded(
    cipher: CbcCipher,
    key: &[u8],
    iv: &[u8],
    mut bytes: Secret<Vec<u8>>,
) -> Result<Secret<Vec<u8>>, PrivateKeyError> {
    let wrong = PrivateKeyError::WrongPassphrase;
    let Ok(mut chain) = CbcDecryptor::new(cipher, key, iv) else { return Err(wrong) };
    if chain.decrypt(bytes.expose_mut()).is_err() {
        return Err(wrong);
    }
    let padding = bytes.expose().last().copied().unwrap_or(0);
    let len = bytes.expose().len().checked_sub(usize::from(padding));
    match len.filter(|_| (1..=cipher.block_len()).contains(&usize::from(padding))) {
        Some(len) if bytes.expose().iter().skip(len).all(|byte| *byte == padding) => {
            bytes.expose_mut().truncate(len);
            Ok(bytes)
        }
        _ => Err(PrivateKeyError::WrongPassphrase),
    }
}

/// `EVP_BytesToKey` of OpenSSL with MD5 and one round: MD5 of what came last, passphrase and salt,
/// again and again.
fn bytes_to_key(passphrase: &[u8], salt: &[u8], len: usize) -> Secret<Vec<u8>> {
    let mut key = Secret::new(Vec::with_capacity(len.saturating_add(16)));
    let mut last: Option<ssh_crypto::hash::Digest> = None;
    while key.expose().len() < len {
        let mut hasher = Hasher::new(HashAlgorithm::Md5);
        hasher.update(last.as_ref().map_or(&[], |digest| digest.as_bytes()));
        hasher.update(passphrase);
        hasher.update(salt);
        let digest = hasher.finish();
        key.expose_mut().extend_from_slice(digest.as_bytes());
        last = Some(digest);
    }
    key.expose_mut().truncate(len);
    key
}

/// The text around `bytes`. No copy of a secret stays behind.
pub(crate) fn armored(label: &str, bytes: &[u8], line_len: usize) -> Secret<String> {
    let base64 = base64::encode_secret(bytes);
    let lines = base64.expose().chunks(line_len);
    let capacity = base64.expose().len().saturating_add(lines.len()).saturating_add(128);
    let mut text = Secret::new(String::with_capacity(capacity));
    let out = text.expose_mut();
    for part in ["-----BEGIN ", label, "-----\n"] {
        out.push_str(part);
    }
    for line in lines {
        out.push_str(core::str::from_utf8(line).unwrap_or_default());
        out.push('\n');
    }
    for part in ["-----END ", label, "-----\n"] {
        out.push_str(part);
    }
    text
}

/// The text around DER.
pub(super) fn of_der(label: &str, der: &[u8]) -> Secret<String> {
    armored(label, der, LINE_LEN)
}

/// Writes PKCS#1 or SEC 1.
pub(crate) fn write(key: &PrivateKey) -> Result<Secret<String>, PrivateKeyError> {
    match key.secret() {
        SecretKey::Rsa(key) => Ok(of_der("RSA PRIVATE KEY", pkcs1::write(key).expose())),
        SecretKey::Ecdsa(key) => Ok(of_der("EC PRIVATE KEY", sec1::write(key, true).expose())),
        SecretKey::Ed25519(_) | SecretKey::MlDsa44Ed25519(_) | SecretKey::Token(_) => {
            Err(PrivateKeyError::NoSuchForm { key_type: key.public().key_type() })
        }
    }
}

/// What stands before and behind the first `mark`.
fn split_once<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(mark.len()..)?))
}

/// What stands before and behind the first line with nothing on it, after the first one.
fn blank_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    split_once(text, b"\n\n").or_else(|| split_once(text, b"\n\r\n"))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::testing;

    const DEK: &str = "AES-128-CBC,000102030405060708090A0B0C0D0E0F";

    fn with_header(dek_info: &str) -> Vec<u8> {
        let text = testing::text("extra/rsa2048_pem_enc");
        let line = text.lines().find(|line| line.starts_with("DEK-Info")).unwrap();
        text.replace(line, &alloc::format!("DEK-Info: {dek_info}")).into_bytes()
    }

    #[test]
    fn headers_that_say_nothing_proper_are_told() {
        let read = |text: &[u8]| PrivateKey::parse(text, Some(b"x")).unwrap_err();
        let bad = PrivateKeyError::BadHeader { name: "DEK-Info" };
        for header in
            ["AES-128-CBC", "AES-128-CBC,", "AES-128-CBC,00", "AES-128-CBC,zz", "DES-EDE3-CBC,0001"]
        {
            assert_eq!(read(&with_header(header)), bad, "{header}");
        }
        let unknown = PrivateKeyError::UnsupportedCipher { name: "CAMELLIA-256-CBC".into() };
        assert_eq!(read(&with_header("CAMELLIA-256-CBC,00")), unknown);
        assert_eq!(read(&with_header(DEK)), PrivateKeyError::WrongPassphrase);
        let asked = PrivateKey::parse(&with_header(DEK), None);
        assert_eq!(asked.unwrap_err(), PrivateKeyError::Encrypted);
    }

    #[test]
    fn digits_in_pairs_are_bytes() {
        assert_eq!(unhex("00ffA0"), Some(vec![0, 0xff, 0xa0]));
        assert_eq!(unhex(""), Some(vec![]));
        for bad in ["0", "0g", "+1", "é", "0 "] {
            assert_eq!(unhex(bad), None, "{bad}");
        }
    }
}
