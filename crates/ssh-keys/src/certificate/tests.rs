//! Certificates of OpenSSH, and certificates of our own that are wrong in one way each.

use alloc::{format, vec, vec::Vec};

use proptest::prelude::*;
use ssh_crypto::rng::SeededRng;
use ssh_wire::put_string;

use super::*;
use crate::{PrivateKey, SignatureError, testing};

/// A moment at which every certificate of the test data is valid that ever is.
const NOW: u64 = 1_795_000_000;

fn certificate(name: &str) -> Certificate {
    let text = testing::text(name);
    Certificate::from_openssh(&text).unwrap_or_else(|error| panic!("{name}: {error}")).0
}

fn ca() -> PublicKey {
    testing::public("certs/ca.pub")
}

fn for_user(name: &str, user: &str, now: u64) -> Result<Grant, CertificateError> {
    let certificate = certificate(&format!("certs/{name}-cert.pub"));
    let authorities = [ca(), testing::public("certs/ca_rsa.pub")];
    certificate.verify(|key| authorities.contains(key))?.for_user(&[user], now)
}

#[test]
fn certificates_of_openssh_are_read_and_written_back() {
    for name in [
        "certs/h_host-cert.pub",
        "certs/h_wild-cert.pub",
        "certs/u_default-cert.pub",
        "certs/u_force-cert.pub",
        "certs/u_pq-cert.pub",
        "certs/u_rsa-cert.pub",
        "certs/u_rsaca-cert.pub",
        "certs/u_rsaca_sha1-cert.pub",
        "openssh/ed25519_1-cert.pub",
        "openssh/ecdsa_1-cert.pub",
        "openssh/ed25519_sk1-cert.pub",
        "openssh/ecdsa_sk1-cert.pub",
        "openssh/mldsa44_ed25519_1-cert.pub",
    ] {
        let text = testing::text(name);
        let (certificate, comment) = Certificate::from_openssh(&text).unwrap();
        assert_eq!(certificate.to_openssh(&comment), text.trim_end(), "{name}");
        assert_eq!(Certificate::from_blob(certificate.blob()), Ok(certificate.clone()));
        let key = testing::text(
            &name
                .replace("-cert", "")
                .replace("certs/h_host", "certs/host")
                .replace("certs/h_wild", "certs/host")
                .replace("certs/u_rsa.", "certs/ruser.")
                .replace("certs/u_pq", "certs/pq")
                .replace("certs/u_default", "certs/user")
                .replace("certs/u_force", "certs/user")
                .replace("certs/u_rsaca_sha1", "certs/user")
                .replace("certs/u_rsaca", "certs/user"),
        );
        assert_eq!(*certificate.key(), PublicKey::from_openssh(&key).unwrap().0, "{name}");
        let verdict = certificate.verify(|_| true).map(|_| ());
        if name.contains("sha1") {
            let name = "ssh-rsa".into();
            assert_eq!(verdict, Err(CertificateError::UnacceptableAlgorithm { name }));
        } else {
            assert_eq!(verdict, Ok(()), "{name}");
        }
    }
}

#[test]
fn the_fields_are_those_that_ssh_keygen_shows() {
    let host = certificate("certs/h_host-cert.pub");
    assert_eq!((host.role(), host.serial()), (Role::Host, 9));
    assert_eq!(host.key_id().raw(), "host cert");
    assert_eq!(host.principals(), ["host.example.com", "10.1.2.3"]);
    assert_eq!((host.valid_after(), host.valid_before()), (0, FOREVER));
    assert_eq!(*host.authority(), ca());
    let force = certificate("certs/u_force-cert.pub");
    let options: Vec<_> =
        force.critical_options().iter().map(|o| (o.name.raw(), o.as_text())).collect();
    assert_eq!(
        options,
        [
            ("force-command", Some("/bin/true arg")),
            ("source-address", Some("10.0.0.0/8,192.0.2.1"))
        ]
    );
    assert_eq!(force.extensions(), []);
    assert_eq!(certificate("certs/u_default-cert.pub").extensions().len(), 5);
}

#[test]
fn a_user_is_let_in_by_name_and_by_time() {
    let grant = for_user("u_default", "alice", NOW).unwrap();
    assert!(grant.permit_pty && grant.permit_port_forwarding && grant.force_command.is_none());
    assert!(!for_user("u_clear", "alice", NOW).unwrap().permit_pty);
    assert!(for_user("u_extension", "alice", NOW).unwrap().permit_pty);
    let forced = for_user("u_force", "bob", NOW).unwrap();
    assert_eq!(forced.force_command.as_deref(), Some("/bin/true arg"));
    let inside = "192.0.2.1".parse().unwrap();
    assert!(forced.source_address.is_some_and(|networks| networks.contain(inside)));

    let wrong = CertificateError::WrongPrincipal { expected: "bob".into() };
    assert_eq!(for_user("u_default", "bob", NOW), Err(wrong));
    let unknown = CertificateError::UnknownCriticalOption { name: "foo@example.com".into() };
    assert_eq!(for_user("u_critical", "alice", NOW), Err(unknown));
    assert_eq!(for_user("u_noprinc", "alice", NOW), Err(CertificateError::NoPrincipals));
    let (start, end) = (1_577_836_800, 1_609_459_200);
    let expired = |now| for_user("u_expired", "alice", now).map(|_| ());
    assert_eq!(expired(start - 1), Err(CertificateError::NotYetValid { valid_after: start }));
    assert_eq!(expired(start), Ok(()));
    assert_eq!(expired(end - 1), Ok(()));
    assert_eq!(expired(end), Err(CertificateError::Expired { valid_before: end }));
    assert!(matches!(
        for_user("u_future", "alice", NOW),
        Err(CertificateError::NotYetValid { .. })
    ));
    assert!(for_user("u_rsaca", "alice", NOW).is_ok());
    let host = certificate("certs/h_host-cert.pub");
    let as_user = host.verify(|_| true).unwrap().for_user(&["host.example.com"], NOW);
    assert_eq!(as_user, Err(CertificateError::WrongRole { expected: Role::User }));
}

#[test]
fn a_host_is_known_by_patterns_and_has_no_options() {
    let check = |name: &str, host: &str| {
        let certificate = certificate(name);
        certificate.verify(|key| *key == ca()).and_then(|trusted| trusted.for_host(host, NOW))
    };
    assert_eq!(check("certs/h_host-cert.pub", "HOST.example.com"), Ok(()));
    assert_eq!(check("certs/h_host-cert.pub", "10.1.2.3"), Ok(()));
    assert!(check("certs/h_host-cert.pub", "x.example.com").is_err());
    assert_eq!(check("certs/h_wild-cert.pub", "x.example.com"), Ok(()));
    assert!(check("certs/h_wild-cert.pub", "example.com").is_err());
    let role = CertificateError::WrongRole { expected: Role::Host };
    assert_eq!(check("certs/u_default-cert.pub", "alice"), Err(role));
    let with_option = issue(|request| {
        request.role = Role::Host;
        request.critical_options.push(CertificateOption::flag("verify-required"));
    });
    let refused = with_option.verify(|_| true).unwrap().for_host("alice", NOW);
    let unknown = CertificateError::UnknownCriticalOption { name: "verify-required".into() };
    assert_eq!(refused, Err(unknown));
}

/// The names are those of OpenSSH's own tests, `regress/unittests/authopt`.
#[test]
fn options_of_openssh_are_granted_and_bad_ones_refused() {
    let grant = |name: &str| {
        let certificate = certificate(&format!("authopt/{name}.cert"));
        let names: Vec<_> = certificate.principals().iter().map(String::as_str).collect();
        Grant::of(&certificate).map(|grant| (grant, names.len()))
    };
    let flags = |name: &str| {
        let (grant, _) = grant(name).unwrap();
        [
            grant.permit_agent_forwarding,
            grant.permit_port_forwarding,
            grant.permit_pty,
            grant.permit_user_rc,
            grant.permit_x11_forwarding,
        ]
    };
    assert_eq!(flags("all_permit"), [true; 5]);
    assert_eq!(flags("no_permit"), [false; 5]);
    for (at, name) in ["agentfwd", "portfwd", "pty", "user_rc", "x11fwd"].iter().enumerate() {
        let mut only = [false; 5];
        only[at] = true;
        assert_eq!(flags(&format!("only_{name}")), only, "{name}");
        assert_eq!(flags(&format!("no_{name}")), only.map(|flag| !flag), "{name}");
    }
    assert_eq!(grant("force_command").unwrap().0.force_command.as_deref(), Some("foo"));
    assert!(grant("sourceaddr").unwrap().0.source_address.is_some());
    assert!(matches!(grant("bad_sourceaddr"), Err(CertificateError::BadOption { .. })));
    let unknown = grant("unknown_critical");
    assert!(matches!(unknown, Err(CertificateError::UnknownCriticalOption { .. })));
}

fn authority() -> PrivateKey {
    PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(20)).unwrap()
}

fn issue(change: impl FnOnce(&mut CertificateRequest)) -> Certificate {
    let mut request = CertificateRequest::new(testing::some_key(1).0, Role::User, "id", "alice");
    change(&mut request);
    request.issue(&authority(), SignatureAlgorithm::Ed25519, &mut SeededRng::new(1)).unwrap()
}

#[test]
fn every_type_of_key_is_certified_by_every_type_of_key() {
    let mut rng = SeededRng::new(2);
    let mut authorities: Vec<_> = KeyType::ALL
        .iter()
        .filter(|key_type| !key_type.is_hardware() && **key_type != KeyType::Rsa)
        .map(|key_type| PrivateKey::generate(*key_type, &mut rng).unwrap())
        .collect();
    authorities.push(testing::private("keys/host_rsa"));
    let mut keys: Vec<_> = authorities.iter().map(|key| key.public().clone()).collect();
    for name in ["ed25519_sk1", "ecdsa_sk1", "mldsa44_ed25519_1"] {
        keys.push(testing::public(&format!("openssh/{name}.pub")));
    }
    for key in &keys {
        for authority in &authorities {
            let request = CertificateRequest::new(key.clone(), Role::User, "id", "alice");
            for algorithm in authority.algorithms() {
                let certificate = request.issue(authority, *algorithm, &mut rng).unwrap();
                assert_eq!(certificate.key(), key);
                assert_eq!(certificate.signature_algorithm(), Some(*algorithm));
                let trusted = certificate.verify(|key| key == authority.public()).unwrap();
                assert!(trusted.for_user(&["alice"], NOW).unwrap().permit_pty);
            }
        }
    }
}

#[test]
fn an_authority_that_is_not_trusted_is_not_even_computed_with() {
    let certificate = issue(|_| ());
    let authority = authority().public().fingerprint();
    let error = certificate.verify(|_| false).unwrap_err();
    assert_eq!(error, CertificateError::UntrustedAuthority { authority });
    let refused = certificate.verify_with(|_| true, |_| false).unwrap_err();
    assert_eq!(refused, CertificateError::UnacceptableAlgorithm { name: "ssh-ed25519".into() });
}

#[test]
fn a_certificate_is_no_authority() {
    let inner = issue(|_| ());
    let request = CertificateRequest::new(testing::some_key(2).0, Role::User, "id", "alice");
    let unsigned = request.unsigned(authority().public(), &mut SeededRng::new(1));
    // The last string of what is signed is the authority.
    let cut = unsigned.as_bytes().len() - authority().public().blob().len() - 4;
    let mut blob = unsigned.as_bytes()[..cut].to_vec();
    put_string(&mut blob, inner.blob());
    let signature = authority().sign(SignatureAlgorithm::Ed25519, &blob).unwrap();
    put_string(&mut blob, &signature);
    assert_eq!(Certificate::from_blob(&blob), Err(CertificateError::AuthorityIsCertificate));
}

#[test]
fn every_cut_is_an_error_and_every_changed_byte_is_noticed() {
    for name in ["certs/u_force-cert.pub", "certs/h_host-cert.pub", "certs/u_rsaca-cert.pub"] {
        let blob = certificate(name).blob().to_vec();
        for end in 0..blob.len() {
            assert!(Certificate::from_blob(&blob[..end]).is_err(), "{name} {end}");
        }
        let more = [&blob[..], &[0]].concat();
        assert!(matches!(Certificate::from_blob(&more), Err(CertificateError::Malformed(_))));
        for at in 0..blob.len() {
            let mut blob = blob.clone();
            blob[at] ^= 0x20;
            let verdict = Certificate::from_blob(&blob)
                .and_then(|changed| changed.verify(|_| true).map(|_| ()));
            assert!(verdict.is_err(), "{name} {at}");
        }
    }
}

#[test]
fn options_that_contradict_or_say_nothing_are_refused() {
    let grant = |options: Vec<CertificateOption>, extensions: Vec<CertificateOption>| {
        let certificate = issue(|request| {
            request.critical_options = options;
            request.extensions = extensions;
        });
        certificate.verify(|_| true).unwrap().for_user(&["alice"], NOW)
    };
    let text = CertificateOption::text;
    let duplicate = |name: &str| CertificateError::DuplicateOption { name: name.into() };
    let bad = |name: &str| CertificateError::BadOption { name: name.into() };
    for name in ["force-command", "source-address"] {
        let twice = vec![text(name, "10.0.0.1"), text(name, "10.0.0.2")];
        assert_eq!(grant(twice, vec![]), Err(duplicate(name)));
        assert_eq!(grant(vec![CertificateOption::flag(name)], vec![]), Err(bad(name)));
    }
    assert_eq!(grant(vec![text("source-address", "*")], vec![]), Err(bad("source-address")));
    assert_eq!(grant(vec![text("verify-required", "")], vec![]), Err(bad("verify-required")));
    assert_eq!(grant(vec![], vec![text("permit-pty", "x")]), Err(bad("permit-pty")));
    assert!(grant(vec![], vec![text("permit-anything@example.org", "x")]).is_ok());
    assert!(
        grant(vec![CertificateOption::flag("verify-required")], vec![]).unwrap().verify_required
    );
}

#[test]
fn options_are_written_in_the_order_of_their_names() {
    let certificate = issue(|request| request.extensions.reverse());
    let names: Vec<_> = certificate.extensions().iter().map(|option| option.name.raw()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
}

#[test]
fn more_than_a_certificate_may_hold_is_refused() {
    let request = |principals: usize, options: usize, key_id: usize| {
        let mut request = CertificateRequest::new(testing::some_key(1).0, Role::User, "", "a");
        request.principals = vec!["a".into(); principals];
        request.extensions = vec![CertificateOption::flag("x"); options];
        request.key_id = "i".repeat(key_id);
        request.issue(&authority(), SignatureAlgorithm::Ed25519, &mut SeededRng::new(1))
    };
    assert!(request(MAX_PRINCIPALS, MAX_OPTIONS, 1000).is_ok());
    for (principals, options, key_id) in
        [(MAX_PRINCIPALS + 1, 0, 0), (1, MAX_OPTIONS + 1, 0), (1, 0, MAX_LEN)]
    {
        assert!(request(principals, options, key_id).is_err(), "{principals} {options} {key_id}");
    }
}

#[test]
fn a_signature_of_somebody_else_makes_no_certificate() {
    let request = CertificateRequest::new(testing::some_key(1).0, Role::User, "id", "alice");
    let unsigned = request.unsigned(authority().public(), &mut SeededRng::new(1));
    let other = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(99)).unwrap();
    let signature = other.sign(SignatureAlgorithm::Ed25519, unsigned.as_bytes()).unwrap();
    let refused = unsigned.signed_with(&signature).unwrap_err();
    assert_eq!(refused, CertificateError::Signature(SignatureError::Forged));
}

#[test]
fn roles_are_users_and_hosts() {
    let blob = issue(|_| ()).blob().to_vec();
    // name, nonce, point, serial, role
    let at = 4 + 32 + 4 + 32 + 4 + 32 + 8 + 3;
    assert_eq!(blob[at], 1);
    for number in [0, 3, 255] {
        let mut blob = blob.clone();
        blob[at] = number;
        let number = number.into();
        assert_eq!(Certificate::from_blob(&blob), Err(CertificateError::UnknownRole { number }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_asked_for_is_what_is_certified(
        serial in any::<u64>(), key_id in "[^\\x00]{0,20}",
        principals in proptest::collection::vec("[a-z*.]{0,8}", 0..4),
        valid in any::<(u64, u64)>(), command in "[^\\x00]{0,20}",
    ) {
        let certificate = issue(|request| {
            request.serial = serial;
            request.key_id.clone_from(&key_id);
            request.principals.clone_from(&principals);
            (request.valid_after, request.valid_before) = valid;
            request.critical_options.push(CertificateOption::text("force-command", &command));
        });
        prop_assert_eq!(certificate.serial(), serial);
        prop_assert_eq!(certificate.key_id().raw(), key_id);
        prop_assert_eq!(certificate.principals(), principals);
        prop_assert_eq!((certificate.valid_after(), certificate.valid_before()), valid);
        prop_assert_eq!(certificate.critical_options()[0].as_text(), Some(command.as_str()));
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..400_usize) {
        let mut blob = certificate("certs/u_force-cert.pub").blob().to_vec();
        blob.truncate(at);
        blob.extend(bytes);
        if let Ok(certificate) = Certificate::from_blob(&blob) {
            drop(certificate.verify(|_| true).map(|_| ()));
        }
    }
}
