//! Every file of the test data, and whether it is read or refused: a file that is not named here
//! fails the test, and so does one that is not what is said of it.

use alloc::{format, string::String, vec::Vec};

use crate::{
    Certificate, KeyError, Krl, PrivateKey, PrivateKeyError, PublicKey,
    certificate::CertificateError, private::ReadLimits, sshsig::SshSignature, testing,
};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A private key, in a format that is read without a passphrase.
    Private,
    /// The same, refused unless RSA keys of 1024 bits are asked for.
    WeakPrivate,
    /// A private key that opens with this passphrase.
    Encrypted(&'static [u8]),
    /// The same, refused unless RSA keys of 1024 bits are asked for.
    WeakEncrypted(&'static [u8]),
    /// A public key.
    Public,
    /// The same, refused unless RSA keys of 1024 bits are asked for.
    WeakPublic,
    /// A key of protocol 1, which does not exist any more.
    Ancient,
    /// A certificate.
    Certificate,
    /// A certificate over an RSA key of 1024 bits, or signed by one.
    WeakCertificate,
    /// A list of revoked keys.
    Krl,
    /// A signature.
    Signature,
    /// Something that other tests read.
    Other,
}

const PASSPHRASE: &[u8] = testing::PASSPHRASE;
const OPENSSH: &[u8] = testing::OPENSSH_PASSPHRASE;

/// What a file is, by its folder and name.
fn what(folder: &str, name: &str) -> What {
    match (folder, name) {
        ("openssh", "rsa_n_pw" | "rsa_1_pw") => What::WeakEncrypted(OPENSSH),
        ("openssh", "rsa_1" | "rsa_1_sha1" | "rsa_1_sha512" | "rsa_n") => What::WeakPrivate,
        ("openssh", "rsa_1.pub" | "rsa_1_sha1.pub" | "rsa_1_sha512.pub") => What::WeakPublic,
        ("openssh", "rsa_1-cert.pub" | "rsa_1_sha1-cert.pub" | "rsa_1_sha512-cert.pub") => {
            What::WeakCertificate
        }
        ("openssh", "pw") => What::Other,
        ("openssh", name) if name.contains(".fp") || name.contains(".param.") => What::Other,
        ("openssh", name) if name.ends_with("_pw") => What::Encrypted(OPENSSH),
        ("hostkeys", name) if name.starts_with("rsa1_") => What::Ancient,
        ("hostkeys", name) if name.starts_with("rsa_") => What::WeakPublic,
        ("hostkeys", "known_hosts") => What::Other,
        ("extra", name) if name.contains("enc") => What::Encrypted(PASSPHRASE),
        ("certs", name) if name.ends_with(".txt") => What::Other,
        ("certs", name) if name.starts_with("krl_") => What::Krl,
        ("authopt", _) => What::Certificate,
        ("sshsig", "namespace" | "signed-data") => What::Other,
        ("sshsig", name) if name.ends_with(".sig") => What::Signature,
        (_, name) if name.ends_with("-cert.pub") => What::Certificate,
        (_, name) if name.ends_with(".pub") => What::Public,
        _ => What::Private,
    }
}

fn weak() -> ReadLimits {
    ReadLimits::USUAL.with_min_rsa_bits(1024)
}

/// The public key beside a private one, if there is one.
fn beside(path: &str) -> Option<PublicKey> {
    let stem = path.strip_suffix("_pw").unwrap_or(path);
    let text = std::fs::read_to_string(testing::path(&format!("{stem}.pub"))).ok()?;
    let blob = crate::line::read_key_text(text.trim_end().as_bytes()).ok()?.blob;
    PublicKey::from_blob_of_bits(&blob, 1024).ok()
}

fn check_private(path: &str, passphrase: Option<&[u8]>, is_weak: bool) {
    let text = testing::bytes(path);
    let limits = if is_weak { weak() } else { ReadLimits::USUAL };
    let key = PrivateKey::parse_with(&text, passphrase, &limits);
    let key = key.unwrap_or_else(|error| panic!("{path}: {error}"));
    if let Some(public) = beside(path) {
        assert_eq!(*key.public(), public, "{path}");
    }
    for algorithm in key.algorithms() {
        let signature = key.sign(*algorithm, b"message").unwrap();
        assert_eq!(key.public().verify(*algorithm, b"message", &signature), Ok(()), "{path}");
    }
    if is_weak {
        let refused = PrivateKey::parse(&text, passphrase).unwrap_err();
        let size = PrivateKeyError::PublicKey(KeyError::RsaModulusSize { bits: 1024 });
        assert_eq!(refused, size, "{path}");
    }
    if passphrase.is_some() {
        let asked = PrivateKey::parse_with(&text, None, &limits).unwrap_err();
        assert_eq!(asked, PrivateKeyError::Encrypted, "{path}");
        let wrong = PrivateKey::parse_with(&text, Some(b"wrong"), &limits).unwrap_err();
        assert_eq!(wrong, PrivateKeyError::WrongPassphrase, "{path}");
    }
}

fn check(path: &str, what: What) {
    let size = KeyError::RsaModulusSize { bits: 1024 };
    match what {
        What::Private => check_private(path, None, false),
        What::WeakPrivate => check_private(path, None, true),
        What::Encrypted(passphrase) => check_private(path, Some(passphrase), false),
        What::WeakEncrypted(passphrase) => check_private(path, Some(passphrase), true),
        What::Public => drop(testing::public(path)),
        What::WeakPublic => {
            let text = testing::text(path);
            assert_eq!(PublicKey::from_openssh(&text), Err(size), "{path}");
            let blob = crate::line::read_key_text(text.trim_end().as_bytes()).unwrap().blob;
            assert!(PublicKey::from_blob_of_bits(&blob, 1024).is_ok(), "{path}");
        }
        What::Ancient => {
            assert!(PublicKey::from_openssh(&testing::text(path)).is_err(), "{path}");
        }
        What::Certificate => {
            let read = Certificate::from_openssh(&testing::text(path));
            assert!(read.is_ok(), "{path}: {read:?}");
        }
        What::WeakCertificate => {
            let text = testing::text(path);
            let refused = Certificate::from_openssh(&text).map(|_| ());
            let (key, authority) =
                (CertificateError::Key(size.clone()), CertificateError::Authority(size));
            assert!(refused == Err(key) || refused == Err(authority), "{path}: {refused:?}");
            let blob = crate::line::read_key_text(text.trim_end().as_bytes()).unwrap().blob;
            assert!(Certificate::from_blob_of_bits(&blob, 1024).is_ok(), "{path}");
        }
        What::Krl => assert!(Krl::from_bytes(&testing::bytes(path)).is_ok(), "{path}"),
        What::Signature => {
            assert!(SshSignature::from_armored(&testing::bytes(path)).is_ok(), "{path}");
        }
        What::Other => {}
    }
}

#[test]
fn every_file_of_the_test_data_is_read_or_refused_as_it_ought_to_be() {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for folder in ["keys", "extra", "certs", "openssh", "hostkeys", "authopt", "sshsig"] {
        let entries = std::fs::read_dir(testing::path(folder)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        for name in &names {
            check(&format!("{folder}/{name}"), what(folder, name));
        }
        counts.push((folder, names.len()));
    }
    // A folder that was not copied in full would prove less than it seems to.
    assert_eq!(
        counts,
        [
            ("keys", 14),
            ("extra", 30),
            ("certs", 36),
            ("openssh", 89),
            ("hostkeys", 25),
            ("authopt", 17),
            ("sshsig", 22),
        ]
    );
}
