//! The formats of key files, and which of them a file is in.

mod asn1;
mod cipher;
#[cfg(test)]
mod hostile;
pub(crate) mod openssh;
pub(crate) mod pem;
pub(crate) mod pkcs1;
pub(crate) mod pkcs8;
mod ppk;
pub(crate) mod rfc4716;
pub(crate) mod sec1;
pub(crate) mod spki;

pub use self::{cipher::FileCipher, openssh::Protection};
use crate::{
    FoundFormat, KeyError, PrivateKey, PrivateKeyError, PublicKey,
    certificate::{CertificateError, Identity},
    private::{MAX_FILE_LEN, ReadLimits},
    public::shown,
};

/// A file by its first line.
enum Found<'a> {
    OpenSsh,
    Pem(pem::Pem<'a>),
    Putty,
}

/// Reads a private key in any format.
pub(crate) fn read(
    text: &[u8],
    passphrase: Option<&[u8]>,
    limits: &ReadLimits,
) -> Result<PrivateKey, PrivateKeyError> {
    match recognise(text)? {
        Found::OpenSsh => openssh::read(text, passphrase, limits),
        Found::Putty => ppk::read(text, passphrase, limits),
        Found::Pem(pem) => match pem.label {
            b"RSA PRIVATE KEY" => pkcs1::read(pem.decrypted(passphrase)?.expose(), limits)
                .map_err(|error| pem.blame(error)),
            b"EC PRIVATE KEY" => sec1::read(pem.decrypted(passphrase)?.expose(), limits)
                .map_err(|error| pem.blame(error)),
            b"PRIVATE KEY" => pkcs8::read(pem.decrypted(passphrase)?.expose(), limits)
                .map_err(|error| pem.blame(error)),
            b"ENCRYPTED PRIVATE KEY" => {
                pkcs8::read_encrypted(pem.decoded()?.expose(), passphrase, limits)
            }
            label => Err(PrivateKeyError::UnsupportedPem { label: shown(label) }),
        },
    }
}

/// Reads the public half of a private key file that has it outside of the encryption.
pub(crate) fn read_public(text: &[u8], limits: &ReadLimits) -> Result<PublicKey, PrivateKeyError> {
    match recognise(text)? {
        Found::OpenSsh => openssh::read_public(text, limits),
        Found::Putty => ppk::read_public(text, limits),
        Found::Pem(_) => read(text, None, limits).map(|key| key.public().clone()),
    }
}

fn recognise(text: &[u8]) -> Result<Found<'_>, PrivateKeyError> {
    if text.len() > MAX_FILE_LEN {
        return Err(PrivateKeyError::TooLong { len: text.len() });
    }
    let text = text.trim_ascii_start();
    if text.starts_with(b"PuTTY-User-Key-File-") {
        return Ok(Found::Putty);
    }
    if !text.starts_with(b"-----BEGIN ") {
        return Err(not_private(text));
    }
    let pem = pem::Pem::parse(text)?;
    if pem.label.ends_with(b"PUBLIC KEY") {
        return Err(PrivateKeyError::PublicKeyInstead);
    }
    Ok(if pem.label == b"OPENSSH PRIVATE KEY" { Found::OpenSsh } else { Found::Pem(pem) })
}

/// PuTTY's format, believing the MAC.
#[cfg(feature = "fuzzing")]
pub(crate) fn ppk_for_fuzzing(
    text: &[u8],
    limits: &ReadLimits,
) -> Result<PrivateKey, PrivateKeyError> {
    ppk::read_unauthenticated(text, limits)
}

/// Every structure of DER, without the text around it.
#[cfg(feature = "fuzzing")]
pub(crate) fn der_for_fuzzing(
    bytes: &[u8],
    passphrase: &[u8],
    limits: &ReadLimits,
) -> [Result<PrivateKey, PrivateKeyError>; 4] {
    [
        pkcs8::read(bytes, limits),
        pkcs8::read_encrypted(bytes, Some(passphrase), limits),
        pkcs1::read(bytes, limits),
        sec1::read(bytes, limits),
    ]
}

/// What a file is that is no private key.
fn not_private(text: &[u8]) -> PrivateKeyError {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_public = text.starts_with(rfc4716::BEGIN.as_bytes())
        || core::str::from_utf8(first).is_ok_and(|line| {
            matches!(
                Identity::from_openssh(line),
                Ok(_)
                    | Err(CertificateError::Key(
                        KeyError::UnsupportedType { .. } | KeyError::RsaModulusSize { .. }
                    ) | CertificateError::Authority(_))
            )
        });
    if is_public {
        return PrivateKeyError::PublicKeyInstead;
    }
    let found = if text.is_empty() { FoundFormat::Empty } else { FoundFormat::Unknown };
    PrivateKeyError::UnknownFormat { found }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::testing;

    fn error(text: &[u8]) -> PrivateKeyError {
        read(text, None, &ReadLimits::USUAL).unwrap_err()
    }

    #[test]
    fn what_is_no_private_key_is_told_apart() {
        let unknown = |found| PrivateKeyError::UnknownFormat { found };
        for (name, expected) in [
            ("extra/ed25519.pub", PrivateKeyError::PublicKeyInstead),
            ("openssh/rsa_1.pub", PrivateKeyError::PublicKeyInstead),
            ("openssh/ed25519_1-cert.pub", PrivateKeyError::PublicKeyInstead),
            ("openssh/rsa_1-cert.pub", PrivateKeyError::PublicKeyInstead),
            ("keys/host_mldsa.pub", PrivateKeyError::PublicKeyInstead),
            ("README.md", unknown(FoundFormat::Unknown)),
        ] {
            assert_eq!(error(&testing::bytes(name)), expected, "{name}");
        }
        for (text, expected) in [
            ("", unknown(FoundFormat::Empty)),
            (" \r\n\t\n", unknown(FoundFormat::Empty)),
            ("---- BEGIN SSH2 PUBLIC KEY ----\n", PrivateKeyError::PublicKeyInstead),
            (
                "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
                PrivateKeyError::PublicKeyInstead,
            ),
            ("-----BEGIN RSA PRIVATE KEY", PrivateKeyError::Truncated),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", PrivateKeyError::Truncated),
            (
                "-----BEGIN DSA PRIVATE KEY-----\nAAAA\n-----END DSA PRIVATE KEY-----\n",
                PrivateKeyError::UnsupportedPem { label: "DSA PRIVATE KEY".into() },
            ),
        ] {
            assert_eq!(error(text.as_bytes()), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let text = "-----BEGIN DSA PRIVATE KEY-----\n-----END DSA PRIVATE KEY-----\n";
        let text = error(text.as_bytes()).to_string();
        assert!(text.contains("ssh-keygen"), "{text}");
    }
}
