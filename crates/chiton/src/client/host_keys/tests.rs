//! What the policies trust.

use std::fs;

use super::*;
use ssh_crypto::rng::SeededRng;
use ssh_keys::{
    PrivateKey, SignatureAlgorithm,
    certificate::{CertificateRequest, Role},
    sshfp::SshfpHash,
};

fn key(seed: u64) -> PublicKey {
    PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(seed)).unwrap().public().clone()
}

fn file(lines: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("known_hosts");
    fs::write(&path, lines).unwrap();
    (dir, path)
}

fn check(policy: &HostKeys, host: &HostName, key: &PublicKey) -> Result<(), Error> {
    policy.check(host, &Identity::Key(key.clone()), &[])
}

fn certificate(principal: &str) -> Identity {
    let mut rng = SeededRng::new(20);
    let authority = PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
    let request = CertificateRequest::new(key(1), Role::Host, "id", principal);
    let algorithm = authority.algorithms()[0];
    Identity::Certificate(request.issue(&authority, algorithm, &mut rng).unwrap())
}

#[test]
fn an_authority_vouches_for_its_hosts_under_every_policy() {
    let (good, bad) = (certificate("*.example.org"), certificate("*.example.com"));
    let authority = good.certificate().unwrap().authority().to_openssh("");
    let (_dir, path) = file(&format!("@cert-authority *.example.org {authority}\n"));
    let host = HostName::new("a.example.org", 22).unwrap();
    for policy in policies(&path) {
        policy.check(&host, &good, &[]).unwrap();
    }
    let strict = HostKeys::known_hosts(&path).unwrap();
    let reason = reason(strict.check(&host, &bad, &[]));
    assert!(matches!(
        reason,
        HostKeyReason::NotCertified { error: CertificateError::WrongPrincipal { .. } }
    ));
    let elsewhere = HostName::new("a.example.net", 22).unwrap();
    assert!(strict.check(&elsewhere, &good, &[]).is_err());
    // A key that is known needs no certificate, and one that is revoked is refused with it.
    let line = known_hosts::entry_line(&host, &key(1), None);
    let (_dir, known) = file(&line);
    HostKeys::known_hosts(&known).unwrap().check(&host, &bad, &[]).unwrap();
    let revoked = format!("@cert-authority * {authority}\n@revoked * {authority}\n{line}");
    let (_dir, revoked) = file(&revoked);
    for policy in policies(&revoked) {
        let result = policy.check(&host, &good, &[]);
        assert!(
            matches!(result, Err(Error::HostKey(error)) if matches!(error.reason, HostKeyReason::Revoked { .. }))
        );
    }
}

#[test]
fn the_dns_vouches_for_hosts_that_no_file_knows() {
    let host = HostName::new("h", 2222).unwrap();
    let record = |seed| SshfpRecord::of(&key(seed), SshfpHash::Sha256).unwrap();
    let with = |path: &Path, seed: Option<u64>| {
        HostKeys::known_hosts(path).unwrap().sshfp(move |name| {
            assert_eq!(name, "h");
            seed.map(record).into_iter().collect()
        })
    };
    let (_dir, empty) = file("");
    check(&with(&empty, Some(1)), &host, &key(1)).unwrap();
    let differs = reason(check(&with(&empty, Some(2)).accept_new(), &host, &key(1)));
    assert!(matches!(differs, HostKeyReason::DnsDiffers));
    let silent = reason(check(&with(&empty, None), &host, &key(1)));
    assert!(matches!(silent, HostKeyReason::Unknown { .. }));
    // The DNS does not excuse a key that has changed.
    let (_dir, known) = file(&known_hosts::entry_line(&host, &key(3), None));
    let changed = reason(check(&with(&known, Some(1)), &host, &key(1)));
    assert!(matches!(changed, HostKeyReason::Changed { .. }));
}

fn reason(result: Result<(), Error>) -> HostKeyReason {
    match result {
        Err(Error::HostKey(error)) => error.reason,
        other => panic!("{other:?}"),
    }
}

/// Every policy but the insecure one, all of them as willing as they can be.
fn policies(path: &Path) -> Vec<HostKeys> {
    let from = || HostKeys::known_hosts(path).unwrap();
    vec![
        from(),
        from().strict(),
        from().accept_new(),
        from().ask(|_| HostKeyAnswer::AcceptAndRemember),
        from().warn(|_| {}),
    ]
}

#[test]
fn a_certificate_counts_if_its_authority_is_known_for_the_host() {
    let mut rng = SystemRng;
    let mut key = || PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
    let (authority, other, key) = (key(), key(), key());
    let certificate = |principal| {
        CertificateRequest::new(key.public().clone(), Role::Host, "id", principal)
            .issue(&authority, SignatureAlgorithm::Ed25519, &mut SystemRng)
            .unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    let policy = |lines: &str| {
        fs::write(&path, lines).unwrap();
        HostKeys::known_hosts(&path).unwrap()
    };
    let host = HostName::new("h.test", 22).unwrap();
    let line = |marker: &str, key: &PrivateKey| {
        format!("{marker} *.test {}\n", key.public().to_openssh(""))
    };
    let check = |policy: &HostKeys, principal| {
        policy.check(&host, &Identity::Certificate(certificate(principal)), &[])
    };
    let known = policy(&line("@cert-authority", &authority));
    assert!(known.knows_authority(&host));
    assert!(check(&known, "h.test").is_ok());
    assert!(check(&known, "*.test").is_ok());
    // For another host, or by an authority that is not known: a key that nobody knows.
    let unknown = |result| matches!(reason(result), HostKeyReason::NotCertified { .. });
    assert!(unknown(check(&known, "other.test")));
    let stranger = policy(&line("@cert-authority", &other));
    assert!(unknown(check(&stranger, "h.test")));
    // A key that is known is good without its certificate.
    let plain = policy(&format!("h.test {}\n", key.public().to_openssh("")));
    assert!(!plain.knows_authority(&host));
    assert!(check(&plain, "other.test").is_ok());
    for revoked in [&authority, &key] {
        let lines = line("@cert-authority", &authority) + &line("@revoked", revoked);
        let result = check(&policy(&lines), "h.test");
        assert!(matches!(reason(result), HostKeyReason::Revoked { .. }));
    }
}

#[test]
fn no_policy_accepts_a_changed_key() {
    let host = HostName::new("h", 22).unwrap();
    let (_dir, path) = file(&known_hosts::entry_line(&host, &key(1), None));
    for policy in policies(&path) {
        assert!(
            matches!(reason(check(&policy, &host, &key(2))), HostKeyReason::Changed { .. }),
            "{policy:?}"
        );
        assert!(check(&policy, &host, &key(1)).is_ok());
    }
}

#[test]
fn no_policy_accepts_a_revoked_key() {
    let host = HostName::new("h", 22).unwrap();
    let line = known_hosts::entry_line(&host, &key(1), None);
    let (_dir, path) = file(&format!("{line}@revoked * {}", line.split_once(' ').unwrap().1));
    for policy in policies(&path) {
        assert!(
            matches!(reason(check(&policy, &host, &key(1))), HostKeyReason::Revoked { .. }),
            "{policy:?}"
        );
    }
}

#[test]
fn accept_new_remembers_and_is_strict_from_then_on() {
    let host = HostName::new("Example.ORG", 2222).unwrap();
    let (_dir, path) = file("# no newline at the end");
    for hashed in [false, true] {
        let policy = HostKeys::known_hosts(&path).unwrap().accept_new().hashed(hashed);
        check(&policy, &host, &key(3)).unwrap();
    }
    let again = HostKeys::known_hosts(&path).unwrap();
    check(&again, &host, &key(3)).unwrap();
    assert!(matches!(reason(check(&again, &host, &key(4))), HostKeyReason::Changed { .. }));
    let other = HostName::new("example.org", 22).unwrap();
    assert!(matches!(reason(check(&again, &other, &key(3))), HostKeyReason::Unknown { .. }));
}

/// The same policy may serve many connections, one after the other or at once.
#[test]
fn what_one_connection_accepts_is_all_that_the_next_one_accepts() {
    let host = HostName::new("h", 22).unwrap();
    let (_dir, path) = file("");
    let always = |_: &UnknownHost| HostKeyAnswer::AcceptAndRemember;
    for policy in [
        HostKeys::known_hosts(&path).unwrap().accept_new(),
        HostKeys::files(&[], &[]).unwrap().accept_new(),
        HostKeys::files(&[], &[]).unwrap().ask(always),
    ] {
        let other = policy.clone();
        check(&policy, &host, &key(3)).unwrap();
        check(&other, &host, &key(3)).unwrap();
        let refused = reason(check(&other, &host, &key(4)));
        assert!(matches!(refused, HostKeyReason::Changed { .. }), "{policy:?}");
        fs::write(&path, "").unwrap();
    }
}

#[test]
fn a_key_of_another_type_than_asked_for_is_not_new() {
    let host = HostName::new("h", 22).unwrap();
    let (_dir, path) = file(&known_hosts::entry_line(&host, &key(1), None));
    let ecdsa = PrivateKey::generate(KeyType::EcdsaP256, &mut SeededRng::new(1)).unwrap();
    let ecdsa = ecdsa.public();
    let asked = [KeyType::Ed25519];
    let from = || HostKeys::known_hosts(&path).unwrap();
    for policy in [from().accept_new(), from().warn(|_| {})] {
        let refused = reason(policy.check(&host, &Identity::Key(ecdsa.clone()), &asked));
        assert!(matches!(refused, HostKeyReason::Changed { .. }), "{policy:?}");
    }
    assert!(matches!(
        reason(from().check(&host, &Identity::Key(ecdsa.clone()), &asked)),
        HostKeyReason::Unknown { .. }
    ));
    // Whoever was not asked for it has not refused to show it.
    from().accept_new().check(&host, &Identity::Key(ecdsa.clone()), &[]).unwrap();
    // With a person to ask, it is for the person to say.
    fs::write(&path, known_hosts::entry_line(&host, &key(1), None)).unwrap();
    let ask = from().ask(|unknown| {
        assert_eq!(unknown.known_types, [KeyType::Ed25519]);
        HostKeyAnswer::Refuse
    });
    assert!(matches!(
        reason(ask.check(&host, &Identity::Key(ecdsa.clone()), &asked)),
        HostKeyReason::Refused
    ));
}

#[test]
fn what_becomes_of_a_new_key_is_told() {
    let host = HostName::new("h", 22).unwrap();
    let (dir, path) = file("");
    let told = Arc::new(Mutex::new(Vec::new()));
    let policy = |policy: HostKeys| {
        let told = Arc::clone(&told);
        policy.accept_new().on_remember(move |unknown, remembered| {
            told.lock().unwrap().push(match remembered {
                Remembered::InFile(path) => format!("{} in {}", unknown.host, path.display()),
                Remembered::InMemory => "in memory".to_owned(),
                Remembered::NotWritten(error) => error.to_string(),
            });
        })
    };
    check(&policy(HostKeys::known_hosts(&path).unwrap()), &host, &key(3)).unwrap();
    check(&policy(HostKeys::files(&[], &[]).unwrap()), &host, &key(3)).unwrap();
    // A file in the place of the directory.
    let nowhere = HostKeys::known_hosts(path.join("known_hosts"));
    assert!(nowhere.is_err(), "what cannot be read is no empty file");
    let unwritable = dir.path().join("is-a-file-later/known_hosts");
    let unwritable = HostKeys::known_hosts(unwritable).unwrap();
    fs::write(dir.path().join("is-a-file-later"), "").unwrap();
    let silent = unwritable.clone().accept_new();
    assert!(matches!(check(&silent, &host, &key(3)), Err(Error::LocalFile(_))));
    check(&policy(unwritable), &host, &key(3)).unwrap();
    let told = told.lock().unwrap();
    assert_eq!(told[..2], [format!("h in {}", path.display()), "in memory".to_owned()]);
    assert!(told[2].starts_with("cannot add the host key to "), "{told:?}");
}

#[cfg(unix)]
#[test]
fn a_file_without_end_lists_nothing() {
    let error = HostKeys::known_hosts("/dev/zero").unwrap_err();
    assert!(error.to_string().contains("longer than"), "{error}");
    let full = HostKeys::known_hosts("/dev/null").unwrap().accept_new();
    check(&full, &HostName::new("h", 22).unwrap(), &key(3)).unwrap();
}

#[test]
fn strict_refuses_the_unknown_and_writes_nothing() {
    let (_dir, path) = file("");
    let policy = HostKeys::known_hosts(&path).unwrap();
    let result = check(&policy, &HostName::new("h", 22).unwrap(), &key(5));
    assert!(matches!(reason(result), HostKeyReason::Unknown { .. }));
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_file_that_cannot_be_read_is_an_error_and_not_no_check() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(HostKeys::known_hosts(dir.path()), Err(Error::LocalFile(_))));
}

#[test]
fn lines_that_are_not_in_order_are_told_and_count_for_nothing() {
    let host = HostName::new("h", 22).unwrap();
    let good = known_hosts::entry_line(&host, &key(1), None);
    let bad = good.replace("AAAA", "AA*A");
    let (_dir, path) = file(&format!("# a comment\n{bad}{good}\n@unknown {good}"));
    let policy = HostKeys::known_hosts(&path).unwrap();
    let told: Vec<String> = policy.skipped_lines().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with(&format!("{}:2: ", path.display())), "{told:?}");
    assert!(told[1].starts_with(&format!("{}:5: ", path.display())), "{told:?}");
    check(&policy, &host, &key(1)).unwrap();
    assert!(HostKeys::exactly(key(1)).skipped_lines().is_empty());
}

#[test]
fn an_expected_key_is_the_only_one() {
    let policy = HostKeys::exactly(key(6));
    let host = HostName::new("h", 22).unwrap();
    check(&policy, &host, &key(6)).unwrap();
    assert!(check(&policy, &host, &key(7)).is_err());
}
