//! The text around a private key (RFC 7468 §2, as OpenSSH writes it), and what else a file that
//! was given as a private key may be.

use crate::{FoundFormat, KeyError, PrivateKeyError, PublicKey, public::shown};

pub(crate) const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
pub(crate) const END: &str = "-----END OPENSSH PRIVATE KEY-----";

/// The base64 between the lines of an OpenSSH private key. What stands behind the last line does
/// not count.
pub(crate) fn body(text: &[u8]) -> Result<&[u8], PrivateKeyError> {
    let text = text.trim_ascii_start();
    let Some(rest) = text.strip_prefix(b"-----BEGIN ") else { return Err(not_pem(text)) };
    let (label, rest) = split_once(rest, b"-----").ok_or(PrivateKeyError::Truncated)?;
    if label.ends_with(b"PUBLIC KEY") {
        return Err(PrivateKeyError::PublicKeyInstead);
    }
    if label != b"OPENSSH PRIVATE KEY" {
        return Err(PrivateKeyError::UnsupportedPem { label: shown(label) });
    }
    let (body, _) = split_once(rest, END.as_bytes()).ok_or(PrivateKeyError::Truncated)?;
    Ok(body)
}

fn not_pem(text: &[u8]) -> PrivateKeyError {
    let first = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_public = text.starts_with(b"---- BEGIN SSH2 PUBLIC KEY")
        || core::str::from_utf8(first).is_ok_and(|line| {
            matches!(
                PublicKey::from_openssh(line),
                Ok(_) | Err(KeyError::UnsupportedType { .. } | KeyError::RsaModulusSize { .. })
            )
        });
    if is_public {
        return PrivateKeyError::PublicKeyInstead;
    }
    let found = if text.is_empty() {
        FoundFormat::Empty
    } else if text.starts_with(b"PuTTY-User-Key-File-") {
        FoundFormat::Putty
    } else {
        FoundFormat::Unknown
    };
    PrivateKeyError::UnknownFormat { found }
}

/// What stands before and behind the first `mark`.
fn split_once<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|window| window == mark)?;
    let (before, rest) = text.split_at_checked(at)?;
    Some((before, rest.get(mark.len()..)?))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::testing;

    #[test]
    fn other_formats_are_told_apart() {
        let pem = |label: &str| PrivateKeyError::UnsupportedPem { label: label.into() };
        let unknown = |found| PrivateKeyError::UnknownFormat { found };
        for (name, expected) in [
            ("extra/rsa2048_pem", pem("RSA PRIVATE KEY")),
            ("extra/rsa2048_pem_enc", pem("RSA PRIVATE KEY")),
            ("extra/rsa2048_pkcs8", pem("PRIVATE KEY")),
            ("extra/rsa2048_pkcs8_enc", pem("ENCRYPTED PRIVATE KEY")),
            ("extra/ecdsa384_pem", pem("EC PRIVATE KEY")),
            ("openssh/rsa_1_pw", pem("RSA PRIVATE KEY")),
            ("openssh/ecdsa_1", pem("EC PRIVATE KEY")),
            ("openssh/ecdsa_1_pw", pem("EC PRIVATE KEY")),
            ("extra/ed25519.v2.ppk", unknown(FoundFormat::Putty)),
            ("extra/ed25519.v3enc.ppk", unknown(FoundFormat::Putty)),
            ("extra/ed25519.pub", PrivateKeyError::PublicKeyInstead),
            ("openssh/rsa_1.pub", PrivateKeyError::PublicKeyInstead),
            ("keys/host_mldsa.pub", PrivateKeyError::PublicKeyInstead),
            ("README.md", unknown(FoundFormat::Unknown)),
        ] {
            assert_eq!(body(&testing::bytes(name)), Err(expected), "{name}");
        }
        for (text, expected) in [
            ("", unknown(FoundFormat::Empty)),
            (" \r\n\t\n", unknown(FoundFormat::Empty)),
            ("---- BEGIN SSH2 PUBLIC KEY ----\n", PrivateKeyError::PublicKeyInstead),
            ("-----BEGIN PUBLIC KEY-----\n", PrivateKeyError::PublicKeyInstead),
            ("-----BEGIN RSA PRIVATE KEY", PrivateKeyError::Truncated),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", PrivateKeyError::Truncated),
        ] {
            assert_eq!(body(text.as_bytes()), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn errors_say_what_to_do() {
        let error = body(&testing::bytes("extra/rsa2048_pem")).unwrap_err().to_string();
        assert!(error.contains("ssh-keygen -p -f"), "{error}");
        let error = body(&testing::bytes("extra/ed25519.v3.ppk")).unwrap_err().to_string();
        assert!(error.contains("puttygen"), "{error}");
    }
}
