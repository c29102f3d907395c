//! What the fuzzer calls: each function takes any bytes, and must neither panic nor take long.

#![expect(clippy::missing_panics_doc, reason = "a panic is how a target reports what it found")]

use alloc::vec::Vec;

use ssh_crypto::rng::SeededRng;
use ssh_wire::Reader;

use crate::{
    Certificate, Fingerprint, Identity, Krl, Md5Fingerprint, PrivateKey, PublicKey,
    SignatureAlgorithm,
    authorized_keys::{AuthorizedKeys, Visitor},
    format::{self, openssh, pem::Pem},
    known_hosts::{Document, HostName, KnownHosts, Verdict, entry_line},
    private::ReadLimits,
    sshfp::SshfpRecord,
    sshsig::{AllowedSigners, SshSignature},
};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("public_key", public_key),
    ("private_key", private_key),
    ("ppk", ppk),
    ("pem", pem),
    ("certificate", certificate),
    ("krl", krl),
    ("sshsig", sshsig),
    ("allowed_signers", allowed_signers),
    ("known_hosts", known_hosts),
    ("authorized_keys", authorized_keys),
];

/// Passphrases that cost next to nothing: more take time and find nothing.
const LIMITS: ReadLimits = ReadLimits {
    min_rsa_bits: 0,
    max_bcrypt_rounds: 1,
    max_pbkdf2_iterations: 10,
    max_argon2_memory: 64,
};

/// A public key blob, and then a file. What is read is written as it was read.
pub fn public_key(data: &[u8]) {
    if let Ok(key) = PublicKey::from_blob(data) {
        assert_eq!(key.blob(), data);
        for text in [key.to_openssh("comment"), key.to_rfc4716("comment")] {
            assert_eq!(PublicKey::parse(&text), Ok((key.clone(), "comment".into())));
        }
        for algorithm in SignatureAlgorithm::ALL {
            assert!(key.verify(*algorithm, data, data).is_err());
        }
        let identity = Identity::Key(key);
        drop((Fingerprint::randomart(&identity), Md5Fingerprint::randomart(&identity)));
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    if let Ok((key, comment)) = PublicKey::parse(text) {
        let again = PublicKey::from_openssh(&key.to_openssh(&comment));
        assert_eq!(again.map(|(key, _)| key), Ok(key));
    }
    if let Some(record) = SshfpRecord::parse(text) {
        assert_eq!(SshfpRecord::parse(&alloc::format!("{record}")), Some(record));
    }
}

/// A private key file in any format, as text and as what is inside of OpenSSH's; then the numbers
/// as agents are given them. What is read is written so that it reads the same.
pub fn private_key(data: &[u8]) {
    let armored = openssh::armored_for_fuzzing(data);
    for text in [data, armored.expose().as_bytes()] {
        drop(PrivateKey::parse_with(text, Some(b"passphrase"), &LIMITS));
        if let Ok(key) = PrivateKey::parse_with(text, None, &LIMITS) {
            reads_the_same(&key);
        }
    }
    if let Ok((key, certificate)) =
        PrivateKey::decode_certified_fields(&mut Reader::new("fields", data))
    {
        let written = match &certificate {
            Some(certificate) => key.encode_certified_fields(certificate),
            None => key.encode_fields(),
        };
        let again =
            PrivateKey::decode_certified_fields(&mut Reader::new("fields", written.expose()));
        let again = again.map(|(key, certificate)| (key.public().clone(), certificate));
        assert_eq!(again, Ok((key.public().clone(), certificate)));
    }
}

/// A file of PuTTY's, as it is and as if its MAC were right, so that the numbers are looked at. The
/// public half is the same whichever way it was read.
pub fn ppk(data: &[u8]) {
    drop(PrivateKey::parse_with(data, Some(b"passphrase"), &LIMITS));
    let public = format::read_public(data, &LIMITS);
    let Ok(key) = format::ppk_for_fuzzing(data, &LIMITS) else { return };
    if data.trim_ascii_start().starts_with(b"PuTTY-User-Key-File-") {
        assert_eq!(public.as_ref(), Ok(key.public()));
    }
    reads_the_same(&key);
}

/// The text of RFC 7468 with the encryption that OpenSSL put into it, and what is inside of such
/// texts: PKCS#8, plain and encrypted, PKCS#1, SEC 1.
pub fn pem(data: &[u8]) {
    let inside = Pem::parse(data).and_then(|pem| pem.decrypted(Some(b"passphrase")));
    let inside = inside.ok();
    for der in [Some(data), inside.as_ref().map(|inside| &inside.expose()[..])] {
        let Some(der) = der else { continue };
        for key in format::der_for_fuzzing(der, b"passphrase", &LIMITS).into_iter().flatten() {
            reads_the_same(&key);
        }
    }
}

/// What was read can be written, and is the same when it is read again.
fn reads_the_same(key: &PrivateKey) {
    let written = [Some(key.to_openssh(&mut SeededRng::new(0))), key.to_pkcs8().ok()];
    for written in written.into_iter().flatten() {
        let again = PrivateKey::parse_with(written.expose().as_bytes(), None, &LIMITS);
        assert_eq!(again.map(|key| key.public().clone()).as_ref(), Ok(key.public()));
    }
}

/// A certificate, as a blob and as a file. Nobody can sign one by accident.
pub fn certificate(data: &[u8]) {
    let text = core::str::from_utf8(data).ok();
    let of_text = text.and_then(|text| Certificate::from_openssh(text).ok());
    let of_text = of_text.map(|(certificate, _)| certificate);
    if let Ok(certificate) = Certificate::from_blob(data) {
        assert_eq!(certificate.blob(), data);
    }
    for certificate in Certificate::from_blob(data).ok().into_iter().chain(of_text) {
        let line = certificate.to_openssh("comment");
        let again = Certificate::from_openssh(&line).map(|(certificate, _)| certificate);
        assert_eq!(again.as_ref(), Ok(&certificate));
        if let Ok(trusted) = certificate.verify(|_| true) {
            let names: Vec<&str> =
                certificate.principals().iter().map(alloc::string::String::as_str).collect();
            drop(trusted.for_user(&names, certificate.valid_after()));
            drop(trusted.for_host("example.org", certificate.valid_after()));
        }
    }
}

/// A key revocation list. What is written reads the same, and the second time to the byte.
pub fn krl(data: &[u8]) {
    /// More take time and find nothing.
    const MAX_LEN: usize = 64 * 1024;
    if data.len() > MAX_LEN {
        return;
    }
    let Ok(krl) = Krl::from_file(data) else { return };
    let written = krl.to_bytes();
    let again = Krl::from_bytes(&written);
    assert_eq!(again.map(|krl| krl.to_bytes()), Ok(written));
}

/// A signature of `ssh-keygen -Y sign`, as text and as what is inside.
pub fn sshsig(data: &[u8]) {
    let both = [SshSignature::from_armored(data), SshSignature::from_bytes(data)];
    for signature in both.into_iter().flatten() {
        let again = SshSignature::from_armored(signature.to_armored().as_bytes());
        assert_eq!(again.as_ref(), Ok(&signature));
        assert!(signature.verify(signature.namespace(), b"nobody signed this").is_err());
    }
}

/// An `allowed_signers` file. A key that is not in the file signs for nobody.
pub fn allowed_signers(data: &[u8]) {
    let signers = AllowedSigners::parse(data, "fuzz");
    let Some(nobody) = nobodys_key() else { return };
    let nobody = Identity::Key(nobody);
    assert!(signers.check(&nobody, "a", "file", 0, 0).is_err());
    assert!(signers.find_principals(&nobody, 0, 0).is_empty());
    for signer in signers.signers() {
        let identity = signer.identity.clone();
        drop(signers.check(&identity, &signer.principals, "file", 0, 0));
        drop(signers.find_principals(&identity, 0, 0));
    }
}

fn nobodys_key() -> Option<PublicKey> {
    let blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20 no host has this key, I hope. ";
    PublicKey::from_blob(blob).ok()
}

/// A `known_hosts` file. A key that was not in the file is never known, a key that was added is
/// known unless it is revoked, and a host that was removed has none.
pub fn known_hosts(data: &[u8]) {
    let Some(key) = nobodys_key() else { return };
    let hosts = KnownHosts::parse(data, "fuzz");
    for (name, port) in [("example.org", 22), ("example.org", 2222), ("2001:db8::1", 22)] {
        let Ok(name) = HostName::new(name, port) else { continue };
        let before = hosts.lookup(&name, &key);
        let mut more = hosts.clone();
        more.extend(KnownHosts::parse(entry_line(&name, &key, None).as_bytes(), "more"));
        let after = more.lookup(&name, &key);
        match before {
            Verdict::Revoked { .. } => assert_eq!(after, before),
            _ => assert_eq!(after, Verdict::Known),
        }
        assert!(more.algorithms_for(&name).contains(&key.key_type()));

        let mut document = Document::parse(data);
        document.hash(&mut SeededRng::new(0));
        document.remove(&name);
        let left = KnownHosts::parse(&document.to_bytes(), "left");
        assert!(left.keys_of(&name).next().is_none());
    }
}

/// An `authorized_keys` file.
pub fn authorized_keys(data: &[u8]) {
    let keys = AuthorizedKeys::parse(data);
    for address in ["192.0.2.1", "2001:db8::1"] {
        let address = address.parse().ok();
        let visitor = Visitor { user: "a", address, host: None, now: 0, utc_offset: 0 };
        for entry in keys.entries() {
            let identity = Identity::Key(entry.key.clone());
            drop(keys.admit(&identity, &visitor));
            let again = AuthorizedKeys::parse(entry.key.to_openssh("comment").as_bytes());
            assert!(again.admit(&identity, &visitor).is_ok() && again.skipped().is_empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use std::fs;

    use ssh_crypto::rng::Rng as _;

    use super::*;
    use crate::testing;

    /// Changes, adds or removes bytes at a random place.
    fn damage(file: &mut Vec<u8>, rng: &mut SeededRng) {
        let mut random = [0; 6];
        rng.fill(&mut random);
        let [high, low, what, b, c, d] = random.map(usize::from);
        let at = (high << 8 | low) % (file.len() + 1);
        match what % 3 {
            0 if at < file.len() => file[at] ^= 1 << (b % 8),
            1 => file.insert(at, b"AZaz09+/=\n\t \"*!,@|"[b % 18]),
            _ => drop(file.drain(at..file.len().min(at + c % (d % 16 + 1)))),
        }
    }

    #[test]
    fn the_test_data_and_damaged_copies_of_it_pass_every_target() {
        let mut paths = Vec::new();
        for folder in ["keys", "extra", "openssh", "hostkeys", "certs", "authopt", "sshsig"] {
            let entries = fs::read_dir(testing::path(folder)).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
        paths.sort();
        assert!(paths.len() > 30);
        let mut rng = SeededRng::new(1);
        for path in paths {
            let original = fs::read(path).unwrap();
            for round in 0..12 {
                let mut file = original.clone();
                for _ in 0..round % 4 {
                    damage(&mut file, &mut rng);
                }
                for (_, target) in TARGETS {
                    target(&file);
                }
            }
        }
    }
}
