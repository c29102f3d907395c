//! Signatures of OpenSSH and of our own, and who may sign.

use alloc::{format, vec};

use proptest::prelude::*;
use ssh_crypto::rng::SeededRng;

use super::*;
use crate::{
    KeyType, LineError,
    certificate::{CertificateRequest, Role},
    testing,
};

const NAMES: &[&str] =
    &["ecdsa", "ed25519", "rsa", "ecdsa_sk", "ed25519_sk", "ecdsa_sk_webauthn", "mldsa44-ed25519"];

fn signature(name: &str) -> SshSignature {
    let text = testing::bytes(&format!("sshsig/{name}.sig"));
    SshSignature::from_armored(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn namespace() -> String {
    testing::text("sshsig/namespace").trim_end().into()
}

fn key(seed: u64) -> PrivateKey {
    PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(seed)).unwrap()
}

#[test]
fn signatures_of_openssh_verify_and_are_written_back() {
    let message = testing::bytes("sshsig/signed-data");
    for name in NAMES {
        let signature = signature(name);
        let public = testing::text(&format!("sshsig/{name}.pub"));
        assert_eq!(*signature.identity(), Identity::from_openssh(&public).unwrap().0, "{name}");
        let proof = signature.verify(&namespace(), &message);
        let proof = proof.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(proof.is_some(), name.contains("_sk"), "{name}");
        assert!(proof.is_none_or(|proof| proof.user_present), "{name}");
        assert_eq!(
            signature.to_armored().as_bytes(),
            testing::bytes(&format!("sshsig/{name}.sig"))
        );

        let other = [&message[..], b"\0"].concat();
        let forged = Err(SshSigError::Signature(SignatureError::Forged));
        assert_eq!(signature.verify(&namespace(), &other), forged, "{name}");
        let wrong = signature.verify("file", &message);
        assert!(matches!(wrong, Err(SshSigError::WrongNamespace { .. })), "{name}");
    }
}

#[test]
fn every_key_of_ours_signs_and_its_signatures_are_read_back() {
    for key_type in KeyType::ALL.iter().filter(|key_type| !key_type.is_hardware()) {
        let key = match key_type {
            // Made once: it takes seconds.
            KeyType::Rsa => testing::private("keys/host_rsa"),
            key_type => PrivateKey::generate(*key_type, &mut SeededRng::new(1)).unwrap(),
        };
        let text = SshSignature::sign(&key, "file", b"message").unwrap().to_armored();
        let signature = SshSignature::from_armored(text.as_bytes()).unwrap();
        assert_eq!(signature.verify("file", b"message"), Ok(None), "{key_type}");
        assert!(signature.verify("file", b"massage").is_err(), "{key_type}");
    }
}

#[test]
fn a_signature_without_a_namespace_or_with_another_hash_is_none() {
    assert_eq!(SshSignature::sign(&key(1), "", b"m"), Err(SshSigError::EmptyNamespace));
    let refused = UnsignedSsh::new("file", HashAlgorithm::Sha1, b"m").unwrap_err();
    assert!(matches!(refused, SshSigError::UnknownHash { .. }));
    let sha256 = UnsignedSsh::new("file", HashAlgorithm::Sha256, b"m").unwrap();
    let blob = key(1).sign(crate::SignatureAlgorithm::Ed25519, &sha256.to_bytes()).unwrap();
    let identity = Identity::Key(key(1).public().clone());
    let signature = sha256.clone().signed_with(identity, &blob).unwrap();
    assert_eq!(signature.verify("file", b"m"), Ok(None));
    let other = Identity::Key(key(2).public().clone());
    let forged = Err(SshSigError::Signature(SignatureError::Forged));
    assert_eq!(sha256.signed_with(other, &blob), forged);
}

#[test]
fn every_cut_and_every_changed_byte_is_noticed() {
    let bytes = signature("ed25519").to_bytes();
    for end in 0..bytes.len() {
        assert!(SshSignature::from_bytes(&bytes[..end]).is_err(), "{end}");
    }
    let message = testing::bytes("sshsig/signed-data");
    for at in 0..bytes.len() {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        let verdict = SshSignature::from_bytes(&bytes)
            .and_then(|signature| signature.verify(&namespace(), &message));
        assert!(verdict.is_err(), "{at}");
    }
    assert!(SshSignature::from_bytes(&[&bytes[..], b"\0"].concat()).is_err());
    let text = signature("ed25519").to_armored();
    for end in 0..text.len() - 1 {
        let error = SshSignature::from_armored(&text.as_bytes()[..end]).unwrap_err();
        let begun = end >= BEGIN.len();
        assert_eq!(error, if begun { SshSigError::Truncated } else { SshSigError::NotArmored });
    }
    let long = vec![b' '; MAX_LEN + 1];
    assert_eq!(SshSignature::from_armored(&long), Err(SshSigError::TooLong { len: MAX_LEN + 1 }));
}

fn signers(text: &str) -> AllowedSigners {
    AllowedSigners::parse(text.as_bytes(), "allowed_signers")
}

#[test]
fn a_signer_is_who_a_line_says_for_what_it_says_and_when() {
    let (key, line) = testing::some_key(1);
    let (other, _) = testing::some_key(2);
    let file = signers(&format!(
        "# who may sign\nalice@example.org,*@example.com namespaces=\"git,file*\",\
         valid-after=\"20200101Z\",valid-before=\"20210101Z\" {line} comment\n"
    ));
    assert_eq!(file.skipped(), []);
    let during = 1_590_000_000;
    let check = |key: &PublicKey, principal: &str, namespace: &str, time| {
        file.check(&Identity::Key(key.clone()), principal, namespace, time, 0)
            .map(|found| found.line)
    };
    assert_eq!(check(&key, "alice@example.org", "git", during), Ok(2));
    assert_eq!(check(&key, "bob@example.com", "files", during), Ok(2));
    assert_eq!(check(&key, "bob@example.org", "git", during), Err(NotAllowed::UnknownSigner));
    assert_eq!(check(&other, "alice@example.org", "git", during), Err(NotAllowed::UnknownSigner));
    let namespace = NotAllowed::Namespace { line: 2, namespace: "mail".into() };
    assert_eq!(check(&key, "alice@example.org", "mail", during), Err(namespace));
    let early = check(&key, "alice@example.org", "git", 1_577_836_799);
    assert_eq!(early, Err(NotAllowed::NotYetValid { line: 2 }));
    assert_eq!(check(&key, "alice@example.org", "git", 1_577_836_800), Ok(2));
    assert_eq!(check(&key, "alice@example.org", "git", 1_609_459_200), Ok(2));
    let late = check(&key, "alice@example.org", "git", 1_609_459_201);
    assert_eq!(late, Err(NotAllowed::Expired { line: 2 }));
    let identity = Identity::Key(key);
    let found = file.find_principals(&identity, during, 0);
    assert_eq!(found, ["alice@example.org", "*@example.com"]);
    assert!(file.find_principals(&identity, 0, 0).is_empty());
    assert_eq!(file.match_principals("x@example.com").count(), 1);
    assert_eq!(file.match_principals("x@example.net").count(), 0);
}

#[test]
fn an_authority_lets_those_sign_that_it_certifies() {
    let mut rng = SeededRng::new(3);
    let (authority, user) = (key(10), key(11));
    let mut request =
        CertificateRequest::new(user.public().clone(), Role::User, "id", "alice@example.org");
    request.valid_before = 1000;
    request.principals.push("alice@elsewhere".into());
    let algorithm = crate::SignatureAlgorithm::Ed25519;
    let certificate = request.issue(&authority, algorithm, &mut rng).unwrap();
    let certified = Identity::Certificate(certificate);
    let line = authority.public().to_openssh("");
    let file = signers(&format!("*@example.org cert-authority {line}\n"));
    let check = |identity: &Identity, principal: &str, time| {
        file.check(identity, principal, "file", time, 0).map(|signer| signer.line)
    };
    assert_eq!(check(&certified, "alice@example.org", 999), Ok(1));
    for (principal, time) in [("bob@example.org", 999), ("alice@example.org", 1000)] {
        let refused = check(&certified, principal, time);
        assert!(matches!(refused, Err(NotAllowed::Certificate { line: 1, .. })), "{refused:?}");
    }
    let unknown = Err(NotAllowed::UnknownSigner);
    assert_eq!(check(&certified, "alice@elsewhere", 999), unknown);
    // The authority is no signer itself, nor is a certified key without its certificate.
    for key in [&authority, &user] {
        let key = Identity::Key(key.public().clone());
        assert_eq!(check(&key, "alice@example.org", 999), unknown);
    }
    assert_eq!(file.find_principals(&certified, 999, 0), ["alice@example.org"]);
    // A certificate that a line names signs by itself, as a key does; its key without it does not.
    let named = signers(&format!("x namespaces=\"file\" {}\n", certified.to_openssh("")));
    assert_eq!(named.skipped(), []);
    assert_eq!(named.check(&certified, "x", "file", 5000, 0).map(|found| found.line), Ok(1));
    assert_eq!(named.find_principals(&certified, 5000, 0), ["x"]);
    let plain = Identity::Key(user.public().clone());
    assert_eq!(named.check(&plain, "x", "file", 999, 0), Err(NotAllowed::UnknownSigner));
    assert!(file.find_principals(&certified, 1000, 0).is_empty());
    let plain = signers(&format!("*@example.org {line}\n"));
    assert!(plain.check(&certified, "alice@example.org", "file", 999, 0).is_err());
}

#[test]
fn lines_that_are_not_in_order_count_for_nothing() {
    let (_, line) = testing::some_key(1);
    let texts = [
        "alice".into(),
        format!("alice unknown {line}"),
        format!("alice namespaces=\"a\",namespaces=\"b\" {line}"),
        format!("alice valid-after=\"2020\" {line}"),
        format!("alice valid-after=\"20200102\",valid-before=\"20200101\" {line}"),
        format!("alice cert-authority, {line}"),
        format!("\"alice {line}"),
        format!("al\"ice\" {line}"),
        format!("\"\" {line}"),
        format!("alice{} {line}", "x".repeat(crate::MAX_LINE_LEN)),
        testing::text("openssh/ed25519_1-cert.pub")
            .replacen("ssh-", "alice ssh-", 1)
            .replace('A', "B"),
    ];
    let file = signers(&texts.join("\n"));
    assert_eq!(file.signers(), []);
    let reasons: Vec<_> = file.skipped().iter().map(|skipped| skipped.reason.clone()).collect();
    assert_eq!(reasons.len(), texts.len(), "{reasons:?}");
    assert_eq!(reasons[1], LineError::UnknownOption { name: "unknown".into() });
    assert_eq!(reasons[2], LineError::DuplicateOption { name: "namespaces".into() });
    assert_eq!(reasons[3], LineError::BadOption { name: "valid-after".into() });
    assert_eq!(reasons[4], LineError::BadOption { name: "valid-before".into() });
    let quoted = signers(&format!("\"alice smith\" {line}"));
    assert_eq!(quoted.signers()[0].principals, "alice smith");
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        drop(SshSignature::from_armored(&bytes));
        let begun = [&b"SSHSIG\0\0\0\x01"[..], &bytes].concat();
        drop(SshSignature::from_bytes(&begun));
        drop(AllowedSigners::parse(&bytes, "x"));
    }
}
