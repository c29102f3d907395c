//! Key files, both ways.

use chiton_tests::peer::{Generation, Peer};
use ssh_crypto::{Secret, rng::SeededRng};
use ssh_keys::{
    KeyType, PrivateKey, PublicKey,
    known_hosts::{HostName, entry_line},
    private::{FileCipher, Protection},
};

use crate::keygen::{Keygen, key_of};

const PASSPHRASE: &str = "correct horse";

fn peers() -> [&'static Peer; 3] {
    [Peer::v9_2(), Peer::v10_0(), Peer::v10_6()].map(|peer| peer.announce("keygen"))
}

/// One key of each type that all generations know.
fn keys() -> Vec<PrivateKey> {
    let mut rng = SeededRng::new(40);
    let types = [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521];
    let mut keys: Vec<_> =
        types.map(|key_type| PrivateKey::generate(key_type, &mut rng).unwrap()).into();
    keys.push(PrivateKey::generate_rsa(2048, &mut rng).unwrap());
    keys.iter().map(|key| key.with_comment("a comment")).collect()
}

/// What `ssh-keygen -y` says of a file of ours.
fn assert_read(keygen: &Keygen, what: &str, key: &PrivateKey, text: &Secret<String>, pass: &str) {
    let path = keygen.write("key", text.expose().as_bytes());
    let line = keygen.ok(&["-y", "-P", pass, "-f", path.to_str().unwrap()]);
    assert_eq!(key_of(&line), key.public().to_openssh(""), "{what}");
}

#[test]
fn what_we_write_is_read_there() {
    let mut rng = SeededRng::new(1);
    for peer in peers() {
        let keygen = Keygen::new(peer);
        for key in keys() {
            let name = key.public().name();
            assert_read(&keygen, name, &key, &key.to_openssh(&mut rng), "");
            let types = [KeyType::Rsa, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521];
            if types.contains(&key.public().key_type()) {
                assert_read(&keygen, name, &key, &key.to_pem().unwrap(), "");
            }
            // Ed25519 in PKCS#8 (RFC 8410) is read since OpenSSH 9.6.
            if key.public().key_type() != KeyType::Ed25519 || peer.is_v10() {
                assert_read(&keygen, name, &key, &key.to_pkcs8().unwrap(), "");
                let text = key.to_pkcs8_encrypted(PASSPHRASE.as_bytes(), &mut rng).unwrap();
                assert_read(&keygen, name, &key, &text, PASSPHRASE);
            }
        }
        let key = &keys()[0];
        for cipher in FileCipher::ALL {
            let protection =
                Protection::new(PASSPHRASE.as_bytes()).with_cipher(*cipher).with_rounds(2);
            let text = key.to_openssh_encrypted(&protection, &mut rng).unwrap();
            assert_read(&keygen, cipher.name(), key, &text, PASSPHRASE);
            let again = PrivateKey::parse(text.expose().as_bytes(), Some(PASSPHRASE.as_bytes()));
            assert_eq!(again.unwrap().public(), key.public());
        }
    }
}

#[test]
fn keys_of_ml_dsa_are_read_both_ways() {
    let peer = Peer::v10_6().announce("keygen");
    let keygen = Keygen::new(peer);
    let mut rng = SeededRng::new(3);
    let key = PrivateKey::generate(KeyType::MlDsa44Ed25519, &mut rng).unwrap();
    assert_read(&keygen, "plain", &key, &key.to_openssh(&mut rng), "");
    let protection = Protection::new(PASSPHRASE.as_bytes()).with_rounds(2);
    let text = key.to_openssh_encrypted(&protection, &mut rng).unwrap();
    assert_read(&keygen, "encrypted", &key, &text, PASSPHRASE);
    for pass in ["", PASSPHRASE] {
        let name = format!("theirs{}", pass.len());
        keygen.ok(&["-q", "-t", "mldsa44-ed25519", "-N", pass, "-a", "2", "-f", &name]);
        let passphrase = (!pass.is_empty()).then_some(pass.as_bytes());
        let key = PrivateKey::parse(&keygen.read(&name), passphrase).unwrap();
        let public = keygen.read_text(&format!("{name}.pub"));
        assert_eq!(PublicKey::parse(&public).unwrap().0, *key.public());
        let exported = keygen.ok(&["-e", "-m", "RFC4716", "-f", &format!("{name}.pub")]);
        assert_eq!(PublicKey::parse(&exported).unwrap().0, *key.public());
        keygen.write("rfc4716", key.public().to_rfc4716("a b").as_bytes());
        let imported = keygen.ok(&["-i", "-f", "rfc4716"]);
        assert_eq!(key_of(&imported), key.public().to_openssh(""));
    }
}

#[test]
fn what_is_written_there_we_read() {
    for peer in peers() {
        let keygen = Keygen::new(peer);
        let mut count = 0;
        let takes_any_pem = peer.generation() < Generation::V10_6;
        for (kind, bits) in
            [("ed25519", ""), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")]
        {
            for (format, pass) in [
                (&["-m", "RFC4716"][..], ""),
                (&["-m", "RFC4716", "-a", "2"], PASSPHRASE),
                (&["-m", "PKCS8"], ""),
                (&["-m", "PKCS8"], PASSPHRASE),
                (&["-m", "PEM"], ""),
                (&["-m", "PEM"], PASSPHRASE),
            ] {
                // OpenSSL has no older form for Ed25519: before 10.6 the option went unheeded.
                if kind == "ed25519" && format.contains(&"PEM") && !takes_any_pem {
                    continue;
                }
                count += 1;
                let name = format!("key{count}");
                let mut arguments = vec!["-q", "-t", kind, "-N", pass, "-C", "a b", "-f", &name];
                arguments.extend(format);
                if !bits.is_empty() {
                    arguments.extend(["-b", bits]);
                }
                keygen.ok(&arguments);
                let text = keygen.read(&name);
                let passphrase = (!pass.is_empty()).then_some(pass.as_bytes());
                let key = PrivateKey::parse(&text, passphrase)
                    .unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
                let public = keygen.read_text(&format!("{name}.pub"));
                assert_eq!(PublicKey::parse(&public).unwrap().0, *key.public(), "{arguments:?}");

                // Both ways in RFC 4716.
                let exported = keygen.ok(&["-e", "-m", "RFC4716", "-f", &format!("{name}.pub")]);
                assert_eq!(PublicKey::parse(&exported).unwrap().0, *key.public());
                keygen.write("rfc4716", key.public().to_rfc4716("a b").as_bytes());
                let imported = keygen.ok(&["-i", "-f", "rfc4716"]);
                assert_eq!(key_of(&imported), key.public().to_openssh(""));
            }
        }
        for cipher in FileCipher::ALL {
            let name = format!("key_{cipher}");
            let arguments =
                ["-q", "-t", "ed25519", "-N", PASSPHRASE, "-a", "2", "-Z", cipher.name()];
            keygen.ok(&[&arguments[..], &["-f", &name]].concat());
            let key = PrivateKey::parse(&keygen.read(&name), Some(PASSPHRASE.as_bytes())).unwrap();
            let public = keygen.read_text(&format!("{name}.pub"));
            assert_eq!(key_of(&public), key.public().to_openssh(""), "{cipher}");
        }
    }
}

#[test]
fn hashed_names_of_ours_are_found_there_and_the_reverse() {
    for peer in peers() {
        let keygen = Keygen::new(peer);
        let key = keys()[0].public().clone();
        let mut rng = SeededRng::new(2);
        let mut text = String::new();
        for (host, port) in [("a.example.org", 22), ("b.example.org", 2222), ("2001:db8::1", 22)] {
            let name = HostName::new(host, port).unwrap();
            text.push_str(&entry_line(&name, &key, Some(&mut rng)));
        }
        keygen.write("known_hosts", text.as_bytes());
        for (line, host) in (1..).zip(["a.example.org", "[b.example.org]:2222", "2001:db8::1"]) {
            let found = keygen.ok(&["-F", host, "-f", "known_hosts"]);
            assert!(found.contains(&format!("# Host {host} found: line {line}")), "{found}");
        }
        keygen.write("plain", format!("x,y {}\n", key.to_openssh("")).as_bytes());
        keygen.ok(&["-q", "-H", "-f", "plain"]);
        let hashed = ssh_keys::known_hosts::Document::parse(&keygen.read("plain"));
        for host in ["x", "y"] {
            assert_eq!(hashed.find(&HostName::new(host, 22).unwrap()).count(), 1, "{host}");
        }
    }
}
