//! Files that somebody made to do harm: cut anywhere, with costs without end, with halves that do
//! not belong together.

use alloc::{format, string::String, vec::Vec};

use ssh_crypto::rng::SeededRng;

use super::*;
use crate::{KeyType, base64, testing};

fn error(text: &[u8], passphrase: Option<&[u8]>) -> PrivateKeyError {
    PrivateKey::parse(text, passphrase).map(|_| ()).unwrap_err()
}

/// One file of each format but OpenSSH's, which has tests of its own.
const FILES: &[(&str, Option<&[u8]>)] = &[
    ("extra/rsa2048_pem", None),
    ("extra/rsa2048_pem_enc", Some(testing::PASSPHRASE)),
    ("extra/rsa2048_pkcs8", None),
    ("extra/rsa2048_pkcs8_enc", Some(testing::PASSPHRASE)),
    ("extra/ecdsa384_pem", None),
    ("extra/ed25519.v2.ppk", None),
    ("extra/ed25519.v2enc.ppk", Some(testing::PASSPHRASE)),
    ("extra/ecdsa384.v3.ppk", None),
    ("extra/rsa2048.v3.ppk", None),
];

#[test]
fn every_cut_of_a_file_is_an_error() {
    for (name, passphrase) in FILES {
        let text = testing::bytes(name);
        assert!(PrivateKey::parse(&text, *passphrase).is_ok(), "{name}");
        // The last line may lack its end.
        for end in 0..text.trim_ascii_end().len() {
            error(&text[..end], *passphrase);
        }
    }
}

/// The label, and what is inside of a PEM file.
fn inside(name: &str) -> (String, Vec<u8>) {
    let text = testing::bytes(name);
    let pem = pem::Pem::parse(&text).unwrap();
    let label = core::str::from_utf8(pem.label).unwrap();
    (label.into(), pem.decoded().unwrap().expose().clone())
}

fn around(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", base64::encode(der))
}

#[test]
fn every_cut_and_every_extra_byte_of_der_is_an_error() {
    for name in [
        "extra/rsa2048_pem",
        "extra/rsa2048_pkcs8",
        "extra/ecdsa384_pem",
        "extra/rsa2048_pkcs8_enc",
    ] {
        let (label, mut der) = inside(name);
        for end in 0..der.len() {
            error(around(&label, &der[..end]).as_bytes(), None);
        }
        der.push(0);
        let more = error(around(&label, &der).as_bytes(), None);
        assert!(matches!(more, PrivateKeyError::NotDer { .. }), "{name} {more}");
    }
}

#[test]
fn a_changed_byte_of_a_ppk_file_is_noticed() {
    let text = testing::text("extra/ed25519.v3.ppk");
    let lines: Vec<&str> = text.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        for byte in 0..line.len() {
            let mut changed: Vec<Vec<u8>> =
                lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            changed[at][byte] ^= 1;
            error(&changed.join(&b'\n'), None);
        }
    }
}

#[test]
fn a_file_cannot_make_us_compute_or_allocate_without_end() {
    let ppk = testing::text("extra/ed25519.v3enc.ppk");
    let with = |name: &str, value: &str| -> PrivateKeyError {
        let line = ppk.lines().find(|line| line.starts_with(name)).unwrap();
        let text = ppk.replace(line, &format!("{name}: {value}"));
        error(text.as_bytes(), Some(testing::PASSPHRASE))
    };
    for (name, value) in [
        ("Argon2-Memory", "4294967295"),
        ("Argon2-Memory", "0"),
        ("Argon2-Passes", "4294967295"),
        ("Argon2-Passes", "0"),
        ("Argon2-Parallelism", "4294967295"),
        ("Argon2-Parallelism", "0"),
    ] {
        let refused = with(name, value);
        assert!(matches!(refused, PrivateKeyError::TooMuchArgon2 { .. }), "{name} {refused}");
    }
    for (name, value) in [
        ("Argon2-Memory", "-1"),
        ("Argon2-Memory", "4294967296"),
        ("Argon2-Salt", "zz"),
        ("Public-Lines", "4294967295"),
        ("Private-Lines", "100000"),
        ("Private-MAC", "0"),
    ] {
        assert!(matches!(with(name, value), PrivateKeyError::BadHeader { .. }), "{name} {value}");
    }

    let (label, mut many) = inside("extra/rsa2048_pkcs8_enc");
    // INTEGER 2048, the iterations, becomes one of four bytes: the lengths around it grow by two.
    let iterations = [2, 2, 8, 0];
    let at = many.windows(4).position(|window| window == iterations).unwrap();
    drop(many.splice(at..at + 4, [2, 4, 0x7f, 0xff, 0xff, 0xff]));
    grow(&mut many, at, 2);
    let refused = error(around(&label, &many).as_bytes(), Some(testing::PASSPHRASE));
    assert_eq!(refused, PrivateKeyError::TooManyIterations { iterations: 0x7fff_ffff });
}

/// Adds `by` to the length of every SEQUENCE that holds the byte at `at`.
fn grow(der: &mut [u8], at: usize, by: u8) {
    let mut place = 0;
    while place < at {
        let header =
            if der[place + 1] & 0x80 == 0 { 2 } else { 2 + usize::from(der[place + 1] & 0x7f) };
        let last = place + header - 1;
        let len = if header == 2 {
            usize::from(der[last])
        } else {
            der[place + 2..=last].iter().fold(0, |len, byte| len << 8 | usize::from(*byte))
        };
        if der[place] == 0x30 && at < place + header + len {
            der[last] += by;
            place += header;
        } else {
            place += header + len;
        }
    }
}

#[test]
fn halves_of_different_keys_do_not_make_a_key() {
    let mut rng = SeededRng::new(9);
    let keys = [1, 2].map(|_| PrivateKey::generate(KeyType::EcdsaP256, &mut rng).unwrap());
    let [mut one, other] = keys.map(|key| {
        let text = key.to_pem().unwrap();
        let text = text.expose().as_bytes();
        pem::Pem::parse(text).unwrap().decoded().unwrap().expose().clone()
    });
    // The point is what it ends with.
    let point = one.len() - 64;
    one[point..].copy_from_slice(&other[point..]);
    let mixed = error(around("EC PRIVATE KEY", &one).as_bytes(), None);
    assert_eq!(mixed, PrivateKeyError::Mismatch);
}

#[test]
fn every_format_that_is_written_is_read_back() {
    let mut rng = SeededRng::new(3);
    for key_type in [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521] {
        let key = PrivateKey::generate(key_type, &mut rng).unwrap();
        let plain = key.to_pkcs8().unwrap();
        let sealed = key.to_pkcs8_encrypted(b"pass", &mut rng).unwrap();
        for (text, passphrase) in [(plain, None), (sealed, Some(&b"pass"[..]))] {
            let again = PrivateKey::parse(text.expose().as_bytes(), passphrase).unwrap();
            assert_eq!(again.public(), key.public());
        }
        assert_eq!(key.to_pem().is_ok(), key_type != KeyType::Ed25519);
    }
    let rsa = testing::private("keys/host_rsa");
    for text in [rsa.to_pkcs8().unwrap(), rsa.to_pem().unwrap()] {
        assert_eq!(
            PrivateKey::parse(text.expose().as_bytes(), None).unwrap().public(),
            rsa.public()
        );
    }
    let refused = rsa.to_pkcs8_encrypted(b"", &mut rng).map(|_| ()).unwrap_err();
    assert_eq!(refused, PrivateKeyError::EmptyPassphrase);
    for rounds in [0, u32::MAX] {
        let protection = Protection::new(b"x").with_rounds(rounds);
        let refused = rsa.to_openssh_encrypted(&protection, &mut rng).map(|_| ()).unwrap_err();
        assert_eq!(refused, PrivateKeyError::TooManyRounds { rounds });
    }
}
