//! Certificates, lists of revoked keys, and signatures, both ways.

use chiton_tests::peer::{Generation, Peer};
use ssh_crypto::rng::SeededRng;
use ssh_keys::{
    Certificate, Fingerprint, Identity, KeyType, Krl, Md5Fingerprint, PrivateKey, PublicKey,
    certificate::{CertificateOption, CertificateRequest, Role},
    sshfp::{SshfpHash, SshfpRecord},
    sshsig::{AllowedSigners, SshSignature},
};

use crate::keygen::Keygen;

/// A moment in the years for which certificates are asked for here.
const NOW: u64 = 1_700_000_000;

fn peers() -> [&'static Peer; 3] {
    [Peer::v9_2(), Peer::v10_0(), Peer::v10_6()].map(|peer| peer.announce("keygen"))
}

fn key(key_type: KeyType, seed: u64) -> PrivateKey {
    PrivateKey::generate(key_type, &mut SeededRng::new(seed)).unwrap()
}

const TYPES: [KeyType; 4] =
    [KeyType::Ed25519, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521];

/// The types of keys that `peer` knows.
fn types(peer: &Peer) -> impl Iterator<Item = KeyType> {
    let newest = (peer.generation() >= Generation::V10_6).then_some(KeyType::MlDsa44Ed25519);
    TYPES.into_iter().chain(newest)
}

#[test]
fn certificates_of_ours_are_shown_there_as_they_were_meant() {
    for peer in peers() {
        let keygen = Keygen::new(peer);
        for (seed, key_type) in (50..).zip(types(peer)) {
            let (authority, subject) = (key(key_type, seed), key(key_type, seed + 100));
            let mut request =
                CertificateRequest::new(subject.public().clone(), Role::User, "the id", "alice");
            request.serial = 12345;
            request.principals.push("bob".into());
            (request.valid_after, request.valid_before) = (NOW, NOW + 3600);
            let options = &mut request.critical_options;
            options.push(CertificateOption::text("force-command", "/bin/true"));
            options.push(CertificateOption::text("source-address", "10.0.0.0/8"));
            let algorithm = authority.algorithms()[0];
            let certificate = request.issue(&authority, algorithm, &mut SeededRng::new(1)).unwrap();
            keygen.write("cert.pub", certificate.to_openssh("comment").as_bytes());
            let shown = keygen.ok(&["-L", "-f", "cert.pub"]);
            for expected in [
                format!("{} user certificate", certificate.name()),
                format!("CERT {}", subject.public().fingerprint()),
                format!("{} (using {algorithm})", authority.public().fingerprint()),
                "Key ID: \"the id\"".into(),
                "Serial: 12345".into(),
                "Valid: from 2023-11-14T22:13:20 to 2023-11-14T23:13:20".into(),
                "alice\n                bob\n".into(),
                "force-command /bin/true".into(),
                "source-address 10.0.0.0/8".into(),
                "permit-pty".into(),
            ] {
                assert!(shown.contains(&expected), "{expected:?} is not in\n{shown}");
            }
        }
    }
}

#[test]
fn certificates_issued_there_are_good_here() {
    for peer in peers() {
        let keygen = Keygen::new(peer);
        let newest = (peer.generation() >= Generation::V10_6).then_some(("mldsa44-ed25519", ""));
        let kinds = [("ed25519", ""), ("ecdsa", "384"), ("rsa", "2048")];
        for (ca, bits) in kinds.into_iter().chain(newest) {
            for name in ["ca", "user", "user.pub", "user-cert.pub"] {
                drop(std::fs::remove_file(keygen.path(name)));
            }
            let mut arguments = vec!["-q", "-t", ca, "-N", "", "-f", "ca"];
            if !bits.is_empty() {
                arguments.extend(["-b", bits]);
            }
            keygen.ok(&arguments);
            keygen.ok(&["-q", "-t", "ed25519", "-N", "", "-f", "user"]);
            keygen.ok(&[
                "-q",
                "-s",
                "ca",
                "-I",
                "id",
                "-n",
                "alice,bob",
                "-z",
                "7",
                "-O",
                "no-pty",
                "-O",
                "force-command=run",
                "-V",
                "20230101:20240101",
                "user.pub",
            ]);
            let (certificate, _) =
                Certificate::from_openssh(&keygen.read_text("user-cert.pub")).unwrap();
            let (authority, _) = PublicKey::from_openssh(&keygen.read_text("ca.pub")).unwrap();
            let grant = certificate
                .verify(|key| *key == authority)
                .and_then(|trusted| trusted.for_user(&["bob"], NOW));
            let grant = grant.unwrap();
            assert!(!grant.permit_pty && grant.permit_port_forwarding);
            assert_eq!(grant.force_command.as_deref(), Some("run"));
            assert_eq!(certificate.serial(), 7);
        }
    }
}

#[test]
fn lists_of_ours_revoke_there_what_they_revoke_here() {
    let authority = key(KeyType::Ed25519, 1);
    let subject = key(KeyType::Ed25519, 2);
    let certificate = |serial, key_id: &str| {
        let mut request =
            CertificateRequest::new(subject.public().clone(), Role::User, key_id, "alice");
        request.serial = serial;
        request.issue(&authority, authority.algorithms()[0], &mut SeededRng::new(4)).unwrap()
    };
    let mut identities = vec![Identity::Key(subject.public().clone())];
    identities.extend(
        [1, 5, 63, 64, 65, 200, 1000, 5000, u64::MAX].map(|serial| {
            Identity::Certificate(certificate(serial, &format!("id {}", serial % 3)))
        }),
    );
    identities
        .extend((10..14).map(|seed| Identity::Key(key(KeyType::Ed25519, seed).public().clone())));
    for peer in peers() {
        let keygen = Keygen::new(peer);
        for (at, identity) in identities.iter().enumerate() {
            keygen.write(&format!("k{at}.pub"), identity.to_openssh("").as_bytes());
        }
        let mut lists = vec![Krl::new(1, NOW, "nothing")];
        let mut list = |change: &mut dyn FnMut(&mut Krl)| {
            let mut krl = Krl::new(2, NOW, "c");
            change(&mut krl);
            lists.push(krl);
        };
        let ca = Some(authority.public());
        // One of each form in which numbers are written: list, range, bitmap.
        list(&mut |krl| [5, 1000, u64::MAX].iter().for_each(|n| krl.revoke_serials(ca, *n, *n)));
        list(&mut |krl| krl.revoke_serials(ca, 60, 4999));
        list(&mut |krl| (1..100).step_by(2).for_each(|n| krl.revoke_serials(ca, n, n)));
        list(&mut |krl| krl.revoke_serials(None, 64, 64));
        list(&mut |krl| krl.revoke_key_id(ca, "id 2"));
        list(&mut |krl| krl.revoke_key(identities[10].key()));
        list(&mut |krl| krl.revoke_key(authority.public()));
        list(&mut |krl| krl.revoke_sha256(*identities[11].key().fingerprint().as_bytes()));
        for krl in &lists {
            keygen.write("krl", &krl.to_bytes());
            for (at, identity) in identities.iter().enumerate() {
                let output = keygen.run(&["-Q", "-f", "krl", &format!("k{at}.pub")]);
                let revoked = krl.reason(identity).is_some();
                assert_eq!(!output.status.success(), revoked, "{krl:?} {identity:?} {output:?}");
            }
        }
        // And one of theirs.
        keygen.write("spec", b"serial: 1-70\nid: id 1\n");
        keygen.write("ca.pub", authority.public().to_openssh("").as_bytes());
        keygen.ok(&["-q", "-k", "-f", "theirs", "-s", "ca.pub", "spec", "k11.pub"]);
        let theirs = Krl::from_bytes(&keygen.read("theirs")).unwrap();
        for (at, identity) in identities.iter().enumerate() {
            let output = keygen.run(&["-Q", "-f", "theirs", &format!("k{at}.pub")]);
            assert_eq!(!output.status.success(), theirs.reason(identity).is_some(), "{at}");
        }
    }
}

#[test]
fn signatures_of_ours_are_good_there_and_the_reverse() {
    for peer in peers() {
        let keygen = Keygen::new(peer);
        for (seed, key_type) in (60..).zip(types(peer)) {
            let key = key(key_type, seed);
            let line = key.public().to_openssh("");
            let allowed = format!("alice@example.org namespaces=\"file\" {line}\n");
            keygen.write("allowed", allowed.as_bytes());
            keygen.write("key", key.to_openssh(&mut SeededRng::new(1)).expose().as_bytes());
            let ours = SshSignature::sign(&key, "file", b"message").unwrap().to_armored();
            keygen.write("ours.sig", ours.as_bytes());
            let verify = ["-Y", "verify", "-f", "allowed", "-I", "alice@example.org", "-n", "file"];
            let output = keygen.run_with(&[&verify[..], &["-s", "ours.sig"]].concat(), b"message");
            assert!(output.status.success(), "{output:?}");
            let output = keygen.run_with(&[&verify[..], &["-s", "ours.sig"]].concat(), b"massage");
            assert!(!output.status.success());

            keygen.write("message", b"message");
            drop(std::fs::remove_file(keygen.path("message.sig")));
            keygen.ok(&["-q", "-Y", "sign", "-f", "key", "-n", "file", "message"]);
            let theirs = SshSignature::from_armored(&keygen.read("message.sig")).unwrap();
            assert_eq!(theirs.verify("file", b"message"), Ok(None));
            let signers = AllowedSigners::parse(allowed.as_bytes(), "allowed");
            let check = signers.check(theirs.identity(), "alice@example.org", "file", NOW, 0);
            assert!(check.is_ok());
        }
    }
}

#[test]
fn fingerprints_pictures_and_records_are_the_same() {
    for peer in peers() {
        let keygen = Keygen::new(peer);
        for seed in 0..20 {
            let key = key(TYPES[usize::try_from(seed).unwrap() % 4], seed + 200);
            keygen.write("k.pub", key.public().to_openssh("").as_bytes());
            let identity = Identity::Key(key.public().clone());
            for (hash, fingerprint, picture) in [
                (
                    "sha256",
                    identity.key().fingerprint().to_string(),
                    Fingerprint::randomart(&identity),
                ),
                (
                    "md5",
                    Md5Fingerprint::of_blob(identity.blob()).to_string(),
                    Md5Fingerprint::randomart(&identity),
                ),
            ] {
                let shown = keygen.ok(&["-l", "-v", "-E", hash, "-f", "k.pub"]);
                let (line, art) = shown.split_once('\n').unwrap();
                assert_eq!(line.split(' ').nth(1), Some(&*fingerprint));
                assert_eq!(art.trim_end(), picture);
            }
            let records = keygen.ok(&["-r", "h", "-f", "k.pub"]);
            let ours = [SshfpHash::Sha1, SshfpHash::Sha256].map(|hash| {
                format!("h IN SSHFP {}\n", SshfpRecord::of(key.public(), hash).unwrap())
            });
            assert_eq!(records, ours.concat());
        }
    }
}
