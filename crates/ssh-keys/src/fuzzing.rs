//! What the fuzzer calls: each function takes any bytes, and must neither panic nor take long.

#![expect(clippy::missing_panics_doc, reason = "a panic is how a target reports what it found")]

use ssh_crypto::rng::SeededRng;

use crate::{
    PrivateKey, PublicKey, SignatureAlgorithm,
    authorized_keys::AuthorizedKeys,
    known_hosts::{HostName, KnownHosts, Verdict, entry_line},
    openssh_key,
};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("public_key", public_key),
    ("private_key", private_key),
    ("known_hosts", known_hosts),
    ("authorized_keys", authorized_keys),
];

/// A public key blob, and then a line. What is read is written as it was read.
pub fn public_key(data: &[u8]) {
    if let Ok(key) = PublicKey::from_blob(data) {
        assert_eq!(key.blob(), data);
        let again = PublicKey::from_openssh(&key.to_openssh("comment"));
        assert_eq!(again.map(|(key, _)| key), Ok(key.clone()));
        for algorithm in SignatureAlgorithm::ALL {
            assert!(key.verify(*algorithm, data, data).is_err());
        }
    }
    if let Ok(line) = core::str::from_utf8(data)
        && let Ok((key, comment)) = PublicKey::from_openssh(line)
    {
        let again = PublicKey::from_openssh(&key.to_openssh(&comment));
        assert_eq!(again.map(|(key, _)| key), Ok(key));
    }
}

/// A private key file, as text and as what is inside of the text. What is read is written so that
/// it reads the same.
pub fn private_key(data: &[u8]) {
    /// Passphrases of one round only: more take time and find nothing.
    const MAX_ROUNDS: u32 = 1;
    for text in [data, openssh_key::armored(data).expose().as_bytes()] {
        drop(openssh_key::read(text, Some(b"passphrase"), MAX_ROUNDS));
        let Ok(key) = PrivateKey::from_openssh(text, None) else { continue };
        assert_eq!(PrivateKey::public_from_openssh(text).as_ref(), Ok(key.public()));
        let written = key.to_openssh(&mut SeededRng::new(0));
        let again = PrivateKey::from_openssh(written.expose().as_bytes(), None);
        assert_eq!(again.map(|key| key.public().clone()).as_ref(), Ok(key.public()));
    }
}

/// A `known_hosts` file. A key that was not in the file is never known, a key that was added is
/// known unless it is revoked.
pub fn known_hosts(data: &[u8]) {
    let Ok(key) =
        PublicKey::from_blob(b"\0\0\0\x0bssh-ed25519\0\0\0\x20 no host has this key, I hope. ")
    else {
        return;
    };
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
    }
}

/// An `authorized_keys` file.
pub fn authorized_keys(data: &[u8]) {
    let keys = AuthorizedKeys::parse(data);
    for key in keys.keys() {
        let again = AuthorizedKeys::parse(key.to_openssh("comment").as_bytes());
        assert!(again.contains(key) && again.skipped().is_empty());
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
        for folder in ["keys", "extra", "openssh", "hostkeys"] {
            let entries = fs::read_dir(testing::path(folder)).unwrap();
            paths.extend(entries.map(|entry| entry.unwrap().path()));
        }
        paths.sort();
        assert!(paths.len() > 30);
        let mut rng = SeededRng::new(1);
        for path in paths {
            let original = fs::read(path).unwrap();
            for round in 0..30 {
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
