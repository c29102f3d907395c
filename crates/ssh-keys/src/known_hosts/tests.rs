//! Files of OpenSSH, and the rules of `known_hosts` one by one.

use alloc::{string::ToString, vec};

use proptest::prelude::*;
use ssh_crypto::rng::SeededRng;

use super::*;
use crate::{
    LineError, PrivateKey,
    certificate::{CertificateRequest, Role},
    line::MAX_LINE_LEN,
    pattern,
    testing::{self, some_key},
};

fn host(name: &str) -> HostName {
    HostName::new(name, 22).unwrap()
}

fn known(text: &str) -> KnownHosts {
    KnownHosts::parse(text.as_bytes(), "file")
}

/// The lines that a verdict names.
fn places(verdict: &Verdict) -> Vec<usize> {
    match verdict {
        Verdict::Changed { known } | Verdict::OtherTypes { known } => {
            known.iter().map(|key| key.line).collect()
        }
        _ => vec![],
    }
}

/// The RSA keys of the file have 1024 bits and are skipped.
#[test]
fn the_test_file_of_openssh_is_understood() {
    let hosts = KnownHosts::parse(&testing::bytes("hostkeys/known_hosts"), "known_hosts");
    let key = |name: &str| testing::public(&format!("hostkeys/{name}.pub"));
    for (name, file, expected) in [
        ("sisyphus.example.com", "ed25519_1", Verdict::Known),
        ("prometheus.example.com", "ed25519_2", Verdict::Known),
        ("192.0.2.1", "ed25519_2", Verdict::Known),
        ("2001:db8::1", "ed25519_2", Verdict::Known),
        ("anything.example.com", "ed25519_3", Verdict::Known),
        ("anything.example.com", "ecdsa_3", Verdict::Known),
        ("192.0.2.77", "ed25519_3", Verdict::Known),
        ("2001:db8::2", "ecdsa_3", Verdict::Known),
        ("sisyphus.example.com", "ed25519_5", Verdict::Known),
        ("sisyphus.example.com", "ecdsa_5", Verdict::Known),
        ("2001:db8::1", "ed25519_6", Verdict::Known),
        ("192.0.2.1", "ecdsa_6", Verdict::Known),
        ("example.com", "ed25519_1", Verdict::Unknown),
    ] {
        assert_eq!(hosts.lookup(&host(name), &key(file)), expected, "{name} {file}");
    }
    let revoked = hosts.lookup(&host("sisyphus.example.com"), &key("ed25519_4"));
    assert!(matches!(revoked, Verdict::Revoked { .. }), "{revoked:?}");
    // The key of the certificate authority is not that of the host, which is known by others.
    let authority = hosts.lookup(&host("prometheus.example.com"), &key("ecdsa_4"));
    assert!(matches!(authority, Verdict::Changed { .. }), "{authority:?}");
}

#[test]
fn invalid_lines_of_openssh_are_skipped_and_listed() {
    let text = testing::text("hostkeys/known_hosts");
    let hosts = known(&text);
    let first_invalid = text.lines().position(|line| line == "# Some invalid lines").unwrap() + 2;
    let invalid: Vec<_> =
        hosts.skipped().iter().filter(|skipped| skipped.line >= first_invalid).collect();
    assert_eq!(invalid.len(), text.lines().count() + 1 - first_invalid, "{invalid:#?}");
    // The keys of 1024 bits above are known, though they are not enough unless asked for.
    assert_eq!(invalid.len(), hosts.skipped().len());
    assert_eq!(
        invalid[0].to_string(),
        format!("file:{first_invalid}: \"@what\" is neither \"@revoked\" nor \"@cert-authority\"")
    );
}

#[test]
fn hashed_names_match_their_host_only() {
    let json: serde_json::Value =
        serde_json::from_str(&testing::text("known_hosts_hash.json")).unwrap();
    let (key, line) = some_key(1);
    for case in json.as_array().unwrap() {
        let name = case["host"].as_str().unwrap();
        let (name, port) = match name.strip_prefix('[').and_then(|name| name.split_once("]:")) {
            Some((name, port)) => (name, port.parse().unwrap()),
            None => (name, 22),
        };
        let hosts = known(&format!("{} {line}", case["entry"].as_str().unwrap()));
        let name_of = |port| HostName::new(name, port).unwrap();
        assert_eq!(hosts.lookup(&name_of(port), &key), Verdict::Known, "{name}");
        assert_eq!(hosts.lookup(&name_of(port + 1), &key), Verdict::Unknown, "{name}");
        assert_eq!(hosts.lookup(&host("other"), &key), Verdict::Unknown, "{name}");
    }
}

#[test]
fn damaged_hashed_names_never_match() {
    let (key, line) = some_key(1);
    let good = entry_line(&host("a"), &key, Some(&mut SeededRng::new(1)));
    let (name, _) = good.split_once(' ').unwrap();
    for bad in [
        name.replacen("|1|", "|2|", 1),
        name.replacen("|1|", "|1", 1),
        name.replacen("|1|", "|", 1),
        format!("{name}|"),
        format!("{name},a"),
        name[..name.len() - 1].into(),
        "|1||".into(),
        "|".into(),
        "|1|AAAA|AAAA".into(),
    ] {
        let hosts = known(&format!("{bad} {line}"));
        assert_eq!(hosts.skipped()[0].reason, LineError::BadHashedName, "{bad}");
        assert_eq!(hosts.lookup(&host("a"), &key), Verdict::Unknown);
    }
}

#[test]
fn entry_lines_make_the_host_known() {
    let (key, line) = some_key(1);
    for name in [host("Example.org"), HostName::new("2001:db8::1", 2222).unwrap()] {
        let plain = entry_line(&name, &key, None);
        assert_eq!(plain, format!("{name} {line}\n"));
        let hashed = entry_line(&name, &key, Some(&mut SeededRng::new(1)));
        assert!(hashed.starts_with("|1|") && hashed.ends_with('\n'));
        assert!(!hashed.contains(name.as_str()));
        for text in [plain, hashed] {
            assert_eq!(known(&text).lookup(&name, &key), Verdict::Known);
            assert_eq!(known(&text).lookup(&host("other"), &key), Verdict::Unknown);
        }
    }
}

#[test]
fn revoked_wins_over_everything_in_every_order() {
    let (key, line) = some_key(1);
    for text in [
        format!("a {line}\n@revoked a {line}\n"),
        format!("@revoked a {line}\na {line}\n"),
        format!("@revoked * {line}\na {line}\n"),
        format!("a {line}\n@cert-authority a {line}\n\t@revoked\t\ta,b \t{line}\n"),
    ] {
        let verdict = known(&text).lookup(&host("a"), &key);
        assert!(matches!(verdict, Verdict::Revoked { .. }), "{text} {verdict:?}");
    }
    let mut hosts = known(&format!("a {line}"));
    hosts.extend(KnownHosts::parse(format!("\n@revoked a {line}").as_bytes(), "global"));
    assert_eq!(
        hosts.lookup(&host("a"), &key),
        Verdict::Revoked { source: "global".into(), line: 2 }
    );
}

#[test]
fn a_revoked_line_speaks_of_its_key_and_its_hosts_only() {
    let (key, line) = some_key(1);
    let (_, other) = some_key(2);
    let hosts = known(&format!("@revoked a {other}\n@revoked b {line}\na {line}\n"));
    assert_eq!(hosts.lookup(&host("a"), &key), Verdict::Known);
    // A revoked key is no known key either.
    assert_eq!(known(&format!("@revoked a {other}")).lookup(&host("a"), &key), Verdict::Unknown);
}

#[test]
fn the_key_of_a_certificate_authority_is_not_a_host_key() {
    let (key, line) = some_key(1);
    let hosts = known(&format!("@cert-authority * {line}"));
    assert_eq!(hosts.lookup(&host("a"), &key), Verdict::Unknown);
    assert_eq!(hosts.algorithms_for(&host("a")), []);
    assert_eq!(hosts.skipped(), []);
}

fn host_certificate(principal: &str, valid_before: u64) -> Certificate {
    let mut rng = SeededRng::new(5);
    let authority = PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
    let mut request = CertificateRequest::new(some_key(1).0, Role::Host, "id", principal);
    request.valid_before = valid_before;
    request.issue(&authority, SignatureAlgorithm::Ed25519, &mut rng).unwrap()
}

#[test]
fn an_authority_certifies_its_hosts_and_no_others() {
    let certificate = host_certificate("*.example.org", 1000);
    let authority = certificate.authority().to_openssh("");
    let hosts = known(&format!("# x\n@cert-authority *.org,[*.org]:* {authority}\n"));
    let lookup = |name: &str, port, now| {
        hosts.lookup_certificate(&HostName::new(name, port).unwrap(), &certificate, now)
    };
    let certified = CertificateVerdict::Certified { source: "file".into(), line: 2 };
    assert_eq!(lookup("A.example.org", 22, 999), certified);
    assert_eq!(lookup("a.example.org", 2222, 999), certified);
    for (name, now) in [("a.example.org", 1000), ("example.org", 999), ("a.example.com", 999)] {
        let verdict = lookup(name, 22, now);
        assert!(matches!(verdict, CertificateVerdict::NotCertified(_)), "{name} {verdict:?}");
    }
    assert!(hosts.has_authority_for(&host("a.org")) && !hosts.has_authority_for(&host("a.com")));
    // Without its certificate the key is not known, and the line of a key is none of an authority.
    assert_eq!(hosts.lookup(&host("a.example.org"), certificate.key()), Verdict::Unknown);
    let plain = known(&format!("*.org {authority}\n"));
    let verdict = plain.lookup_certificate(&host("a.example.org"), &certificate, 1);
    let untrusted =
        CertificateError::UntrustedAuthority { authority: certificate.authority().fingerprint() };
    assert_eq!(verdict, CertificateVerdict::NotCertified(untrusted));
}

#[test]
fn a_certificate_is_revoked_with_its_key_and_with_its_authority() {
    let certificate = host_certificate("a", u64::MAX);
    let authority = certificate.authority().to_openssh("");
    let key = certificate.key().to_openssh("");
    for revoked in [&authority, &key] {
        let hosts = known(&format!("@cert-authority a {authority}\n@revoked * {revoked}\n"));
        let verdict = hosts.lookup_certificate(&host("a"), &certificate, 1);
        assert_eq!(verdict, CertificateVerdict::Revoked { source: "file".into(), line: 2 });
    }
}

#[test]
fn a_negated_pattern_keeps_the_line_from_matching() {
    let (key, line) = some_key(1);
    let hosts = known(&format!("*.example.org,!BAD.example.org {line}"));
    assert_eq!(hosts.lookup(&host("good.example.org"), &key), Verdict::Known);
    assert_eq!(hosts.lookup(&host("bad.example.org"), &key), Verdict::Unknown);
    assert_eq!(hosts.lookup(&host("Bad.Example.org"), &key), Verdict::Unknown);
}

#[test]
fn another_port_is_another_host() {
    let (key, line) = some_key(1);
    let hosts = known(&format!("a,[b]:2222,[*.c]:23 {line}"));
    let verdict = |name, port| hosts.lookup(&HostName::new(name, port).unwrap(), &key);
    assert_eq!(verdict("a", 22), Verdict::Known);
    assert_eq!(verdict("a", 2222), Verdict::Unknown);
    assert_eq!(verdict("b", 2222), Verdict::Known);
    assert_eq!(verdict("b", 22), Verdict::Unknown);
    assert_eq!(verdict("x.c", 23), Verdict::Known);
    assert_eq!(verdict("x.c", 22), Verdict::Unknown);
}

#[test]
fn a_host_may_have_several_keys() {
    let (first, first_line) = some_key(1);
    let (second, second_line) = some_key(2);
    let (third, _) = some_key(3);
    let ecdsa = testing::public("hostkeys/ecdsa_3.pub");
    let hosts = known(&format!("a {first_line}\n# x\na {second_line}\n"));
    assert_eq!(hosts.lookup(&host("a"), &first), Verdict::Known);
    assert_eq!(hosts.lookup(&host("a"), &second), Verdict::Known);
    let changed = hosts.lookup(&host("a"), &third);
    assert!(matches!(changed, Verdict::Changed { .. }));
    assert_eq!(places(&changed), [1, 3]);
    let other = hosts.lookup(&host("a"), &ecdsa);
    assert_eq!(places(&other), [1, 3]);
    let Verdict::OtherTypes { known } = other else { panic!("{other:?}") };
    assert_eq!(known[0].to_string(), format!("file:1: ssh-ed25519 {}", first.fingerprint()));
}

#[test]
fn keys_of_types_not_implemented_are_known_but_never_match() {
    let hosts = known("a ssh-dss AAAAB3NzaC1kc3MAAAABAQ==\n");
    let verdict = hosts.lookup(&host("a"), &some_key(1).0);
    let Verdict::OtherTypes { known } = &verdict else { panic!("{verdict:?}") };
    assert_eq!(known[0].key_type.to_string(), "ssh-dss");
    assert_eq!(hosts.algorithms_for(&host("a")), []);
}

#[test]
fn the_types_known_come_in_the_order_of_the_lines() {
    let ecdsa = testing::text("hostkeys/ecdsa_3.pub");
    let rsa = testing::text("keys/host_rsa.pub");
    let (_, one) = some_key(1);
    let (_, two) = some_key(2);
    let text = format!("b {one}\n@revoked a {two}\n*,!b {ecdsa}\na {two}\na {one}\nb {rsa}");
    let hosts = known(&text);
    assert_eq!(hosts.algorithms_for(&host("a")), [KeyType::EcdsaP256, KeyType::Ed25519]);
    assert_eq!(hosts.algorithms_for(&host("b")), [KeyType::Ed25519, KeyType::Rsa]);
    assert_eq!(hosts.algorithms_for(&host("c")), [KeyType::EcdsaP256]);
}

#[test]
fn bad_lines_are_skipped_and_the_others_count() {
    let (key, line) = some_key(1);
    let blob = line.split(' ').nth(1).unwrap();
    let long = format!("a{} {line}", ",a".repeat(MAX_LINE_LEN / 2));
    let bad = [
        "a",
        "a ssh-ed25519",
        "a ssh-ed25519 !!!!",
        &format!("a ssh-rsa {blob}"),
        &format!("a {blob}"),
        &format!("@Revoked a {line}"),
        &format!("@ a {line}"),
        &format!("@cert-authority,revoked a {line}"),
        &format!("a\u{b}{line}"),
        &format!("a ssh-ed25519 {}", &blob[..blob.len() - 4]),
        "a 1024 35 1234567890",
        "@revoked",
        "@revoked a",
        &long,
    ];
    let text = bad.join("\n");
    let hosts = known(&text);
    assert!(hosts.is_empty(), "{hosts:?}");
    let numbers: Vec<_> = hosts.skipped().iter().map(|skipped| skipped.line).collect();
    assert_eq!(numbers, (1..=bad.len()).collect::<Vec<_>>());
    assert_eq!(hosts.lookup(&host("a"), &key), Verdict::Unknown);
    assert_eq!(hosts.skipped()[bad.len() - 1].reason, LineError::TooLong);

    let hosts = known(&format!("{text}\na {line} comment with words\n"));
    assert_eq!(hosts.lookup(&host("a"), &key), Verdict::Known);
}

#[test]
fn lines_may_end_as_on_windows_and_need_not_be_utf8() {
    let (key, line) = some_key(1);
    let mut text = format!("\ta\t \t{line} caf").into_bytes();
    text.extend(b"\xe9\r\n\xff\xfe x y\r\n");
    let hosts = KnownHosts::parse(&text, "file");
    assert_eq!(hosts.lookup(&host("a"), &key), Verdict::Known);
    assert_eq!(hosts.skipped().len(), 1);
}

#[test]
fn a_name_is_not_taken_for_a_marker_or_a_comment_inside_of_a_line() {
    let (key, line) = some_key(1);
    let hosts = known(&format!("a,@revoked,#b {line}"));
    assert_eq!(hosts.lookup(&host("a"), &key), Verdict::Known);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_gives_a_verdict(
        text in "((@[a-z-]{0,9} )?[a-c*?!,|1=\\[\\]:]{0,12}[ \t]{0,2}(ssh-ed25519 )?[A-Za-z0-9+/=]{0,9}\n?){0,6}"
    ) {
        let (key, _) = some_key(1);
        prop_assert!(!matches!(known(&text).lookup(&host("a"), &key), Verdict::Known));
    }

    #[test]
    fn known_is_what_some_line_says_and_none_revokes(
        lines in proptest::collection::vec((0..3_u8, "[ab*]{1,3}(,!?[ab*]{1,3})?", 1..4_u8), 0..6),
        name in "[ab]{1,3}",
    ) {
        let (key, _) = some_key(1);
        let text: String = lines
            .iter()
            .map(|(marker, hosts, byte)| {
                let marker = ["", "@revoked ", "@cert-authority "][usize::from(*marker)];
                format!("{marker}{hosts} {}\n", some_key(*byte).1)
            })
            .collect();
        let says = |marker: u8| lines.iter().any(|(m, hosts, byte)| {
            *m == marker && *byte == 1 && pattern::list_includes(hosts.as_bytes(), name.as_bytes())
        });
        let verdict = known(&text).lookup(&host(&name), &key);
        prop_assert_eq!(matches!(verdict, Verdict::Revoked { .. }), says(1));
        prop_assert_eq!(verdict == Verdict::Known, says(0) && !says(1));
    }
}
