//! The same damaged files to `ssh-keygen` and to us: what one reads, the other reads, and as the
//! same thing. Where they differ for a reason, it stands in [`crate::allowed`]; all else fails.
//!
//! A usual run takes one seed; `CHITON_DIFFERENTIAL_SEEDS=20` looks at twenty.

use std::collections::BTreeMap;

use chiton_tests::peer::{Generation, Peer};
use ssh_crypto::rng::{Rng as _, SeededRng};
use ssh_keys::{
    Certificate, Identity, KeyType, Krl, PrivateKey, SignatureAlgorithm,
    certificate::{CertificateError, CertificateOption, CertificateRequest, MAX_PRINCIPALS, Role},
    known_hosts::{Document, HostName, LineMarker},
    sshsig::{AllowedSigners, SshSignature},
};

use crate::{
    allowed::{Refusal, TOO_MANY_OPTIONS, reason_for, unread_option},
    keygen::{Keygen, testdata},
};

/// Lines in one file, each of which is another damaged copy.
const LINES: usize = 400;

/// When signatures are checked here: after their signers have become valid.
const NOW: u64 = 1_800_000_000;

fn number(rng: &mut SeededRng, below: usize) -> usize {
    let mut bytes = [0; 8];
    rng.fill(&mut bytes);
    usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(below.max(1)).unwrap()).unwrap()
}

/// Changes, adds, removes or repeats some bytes.
fn damage(bytes: &mut Vec<u8>, rng: &mut SeededRng) {
    let at = number(rng, bytes.len() + 1);
    match number(rng, 5) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << number(rng, 8),
        2 if at < bytes.len() => bytes[at] = u8::try_from(number(rng, 256)).unwrap(),
        3 => {
            let end = bytes.len().min(at + 1 + number(rng, 8));
            drop(bytes.drain(at..end));
        }
        _ => {
            let end = bytes.len().min(at + 1 + number(rng, 8));
            let again = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, again));
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let n = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for digit in 0..4 {
            let index = usize::try_from(n >> (18 - 6 * digit) & 63).unwrap();
            text.push(if digit <= chunk.len() { char::from(DIGITS[index]) } else { '=' });
        }
    }
    text
}

/// The name in a blob, if there is one.
fn name_in(blob: &[u8]) -> Option<String> {
    let (len, rest) = blob.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let name = std::str::from_utf8(rest.get(..len)?).ok()?;
    name.bytes().all(|byte| byte.is_ascii_graphic()).then(|| name.to_owned())
}

/// The seeds of this run: one, or as many as `CHITON_DIFFERENTIAL_SEEDS` says.
fn seeds() -> std::ops::Range<u64> {
    let count = std::env::var("CHITON_DIFFERENTIAL_SEEDS");
    0..count.map_or(1, |count| count.parse().expect("CHITON_DIFFERENTIAL_SEEDS is a number"))
}

/// Fails unless the two agree about a key or certificate, or disagree as [`ALLOWED`] says.
///
/// [`ALLOWED`]: crate::allowed::ALLOWED
fn assert_agreement(peer: &Peer, ours: Result<(), &CertificateError>, theirs: bool, line: &str) {
    match ours {
        Ok(()) => assert!(theirs, "{}: only ours: {line}", peer.version()),
        Err(error) => assert!(
            !theirs || reason_for(peer, Refusal::Identity(error)).is_some(),
            "{}: only theirs: {error:?}: {line}",
            peer.version()
        ),
    }
}

/// Damaged copies of the lines of public keys or certificates: the blob is damaged, and the name
/// before it is the one inside. Each has its number for a comment.
fn damaged_lines(names: &[&str], rng: &mut SeededRng) -> Vec<String> {
    let blobs: Vec<Vec<u8>> = names
        .iter()
        .map(|name| {
            let text = String::from_utf8(testdata(name)).unwrap();
            Identity::from_openssh(&text).unwrap().0.blob().to_vec()
        })
        .collect();
    let mut lines = Vec::new();
    while lines.len() < LINES {
        let mut blob = blobs[number(rng, blobs.len())].clone();
        for _ in 0..number(rng, 3) {
            damage(&mut blob, rng);
        }
        if let Some(name) = name_in(&blob) {
            lines.push(format!("{name} {} n{}", base64(&blob), lines.len() + 1));
        }
    }
    lines
}

/// `-l`: which lines are keys, their sizes and fingerprints.
fn fingerprints(peer: &Peer, seed: u64) {
    let keygen = Keygen::new(peer);
    let mut rng = SeededRng::new(1000 * seed + 1);
    let mut names = vec![
        "keys/host_ed25519.pub",
        "keys/host_ecdsa.pub",
        "keys/host_ecdsa384.pub",
        "keys/host_ecdsa521.pub",
        "keys/host_rsa.pub",
        "openssh/ed25519_sk1.pub",
        "openssh/ecdsa_sk1.pub",
    ];
    if peer.generation() >= Generation::V10_6 {
        names.push("keys/host_mldsa.pub");
    }
    let lines = damaged_lines(&names, &mut rng);
    keygen.write("keys.pub", (lines.join("\n") + "\n").as_bytes());
    let output = keygen.run(&["-l", "-f", "keys.pub"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    let theirs: BTreeMap<&str, String> = shown
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (words[2], words[..2].join(" "))
        })
        .collect();
    let mut both = 0;
    for (at, line) in lines.iter().enumerate() {
        let theirs = theirs.get(format!("n{}", at + 1).as_str());
        let ours = Identity::from_openssh(line).map(|(identity, _)| identity);
        let verdict = ours.as_ref().map(|_| ());
        assert_agreement(peer, verdict, theirs.is_some(), line);
        if let (Ok(identity), Some(theirs)) = (ours, theirs) {
            let key = identity.key();
            let ours = format!("{} {}", key.bits(), key.fingerprint());
            assert_eq!(ours, *theirs, "{}: {line}", peer.version());
            both += 1;
        }
    }
    assert!(both > LINES / 5, "only {both} lines were keys");
}

/// `-L`: which lines are certificates with a right signature.
fn certificates(peer: &Peer, seed: u64) {
    let keygen = Keygen::new(peer);
    let mut rng = SeededRng::new(1000 * seed + 2);
    let mut lines = damaged_lines(
        &[
            "certs/u_default-cert.pub",
            "certs/u_force-cert.pub",
            "certs/u_noprinc-cert.pub",
            "certs/u_critical-cert.pub",
            "certs/h_host-cert.pub",
            "certs/u_rsaca-cert.pub",
            "certs/u_rsaca_sha1-cert.pub",
            "openssh/ed25519_sk1-cert.pub",
            "openssh/ecdsa_1-cert.pub",
        ],
        &mut rng,
    );
    lines.extend(resigned_certificates(peer, &mut rng));
    let mut both = 0;
    for line in &lines {
        // One file each: text that it cannot show ends the program.
        keygen.write("cert.pub", line.as_bytes());
        let output = keygen.run(&["-L", "-f", "cert.pub"]);
        let shown = String::from_utf8_lossy(&output.stdout);
        let ours = Certificate::from_openssh(line).and_then(|(certificate, _)| {
            certificate.verify(|_| true)?;
            Ok(certificate)
        });
        let theirs = shown.starts_with("cert.pub:\n");
        if !theirs && ours.as_ref().is_ok_and(unread_option) {
            continue;
        }
        assert_agreement(peer, ours.as_ref().map(|_| ()), theirs, line);
        if let Ok(certificate) = ours {
            for expected in [
                format!(" {} {} certificate\n", certificate.name(), certificate.role()),
                format!("-CERT {}\n", certificate.fingerprint()),
                format!(" {} (using ", certificate.authority().fingerprint()),
                format!(" Serial: {}\n", certificate.serial()),
            ] {
                assert!(shown.contains(&expected), "{expected:?} is not in\n{shown}");
            }
            both += 1;
        }
    }
    assert!(both > LINES / 5, "only {both} lines were certificates");
}

/// Certificates that were damaged before they were signed, so that the signature is right: only
/// what is in them can be refused.
fn resigned_certificates(peer: &Peer, rng: &mut SeededRng) -> Vec<String> {
    let authority = PrivateKey::generate(KeyType::Ed25519, rng).unwrap();
    let mut keys = vec!["host_ed25519", "host_ecdsa", "host_rsa", "../openssh/ed25519_sk1"];
    if peer.generation() >= Generation::V10_6 {
        keys.push("host_mldsa");
    }
    let mut lines = Vec::new();
    while lines.len() < LINES / 2 {
        let name = format!("keys/{}.pub", keys[number(rng, keys.len())]);
        let text = String::from_utf8(testdata(&name)).unwrap();
        let key = Identity::from_openssh(&text).unwrap().0.key().clone();
        let role = [Role::User, Role::Host][number(rng, 2)];
        let mut request = CertificateRequest::new(key, role, "an id", "alice");
        request.serial = u64::try_from(number(rng, 1000)).unwrap();
        match number(rng, 12) {
            0 => request.principals.resize(MAX_PRINCIPALS + number(rng, 2), "bob".into()),
            1 => {
                let option = CertificateOption::flag("x@example.org");
                request.extensions.resize(TOO_MANY_OPTIONS - number(rng, 2), option);
            }
            2 => request.principals.push("zero\0byte".into()),
            3 => request.key_id.push('\0'),
            4 => request.critical_options.push(CertificateOption::text("force-command", "ls")),
            5 => request.critical_options.push(CertificateOption::flag("unknown\0")),
            _ => {}
        }
        let mut blob = request.unsigned(authority.public(), rng).as_bytes().to_vec();
        for _ in 0..number(rng, 3) {
            damage(&mut blob, rng);
        }
        let signature = authority.sign(SignatureAlgorithm::Ed25519, &blob).unwrap();
        ssh_wire::put_string(&mut blob, &signature);
        if let Some(name) = name_in(&blob) {
            lines.push(format!("{name} {}", base64(&blob)));
        }
    }
    lines
}

/// `-F`: which lines of a `known_hosts` file are about a host.
fn known_hosts(peer: &Peer, seed: u64) {
    let keygen = Keygen::new(peer);
    let mut rng = SeededRng::new(1000 * seed + 3);
    let key = PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
    let line = key.public().to_openssh("");
    let hosts =
        [("a.example.org", 22), ("b.example.org", 2222), ("192.0.2.1", 22), ("2001:db8::1", 22)];
    let names = hosts.map(|(host, port)| HostName::new(host, port).unwrap());
    for round in 0..40 {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for name in &names {
            let mut salt = SeededRng::new(round);
            let hashed = ssh_keys::known_hosts::entry_line(name, key.public(), Some(&mut salt));
            lines.push(hashed.trim_end().into());
        }
        for pattern in [
            "a.example.org",
            "*.example.org,!a.example.org",
            "192.0.2.?,b*",
            "[b.example.org]:2222",
            "[*.example.org]:*",
            "A.EXAMPLE.ORG,2001:db8::1",
            "@revoked a.example.org",
            "@cert-authority *.example.org",
            "!*,a.example.org",
            "# a.example.org",
            "|1|x",
        ] {
            lines.push(format!("{pattern} {line} comment").into_bytes());
        }
        for line in &mut lines {
            // Not in the key, which other tests damage.
            for _ in 0..number(&mut rng, 3) {
                let end = line.iter().position(|byte| *byte == b' ').unwrap_or(0);
                let mut head = line[..end].to_vec();
                damage(&mut head, &mut rng);
                head.retain(|byte| byte.is_ascii_graphic() || *byte == b'\t');
                drop(line.splice(..end, head));
            }
        }
        let text = lines.join(&b'\n');
        keygen.write("known_hosts", &text);
        let document = Document::parse(&text);
        for name in &names {
            let output = keygen.run(&["-F", name.as_str(), "-f", "known_hosts"]);
            let shown = String::from_utf8_lossy(&output.stdout).into_owned();
            let prefix = format!("# Host {name} found: line ");
            let theirs: Vec<String> = shown
                .lines()
                .filter_map(|line| line.strip_prefix(&prefix))
                .map(|found| found.trim_end().to_owned())
                .collect();
            let ours: Vec<String> = document
                .find(name)
                .map(|found| match found.marker {
                    LineMarker::HostKey => found.number.to_string(),
                    LineMarker::CertAuthority => format!("{} CA", found.number),
                    LineMarker::Revoked => format!("{} REVOKED", found.number),
                })
                .collect();
            let theirs: Vec<String> =
                theirs.iter().map(|line| line.replace("CERTIFICATE AUTHORITY", "CA")).collect();
            let shown = String::from_utf8_lossy(&text);
            assert_eq!(ours, theirs, "{}: {name} in\n{shown}", peer.version());
        }
    }
}

/// `-Q`: whether damaged lists are read, and what they revoke.
fn revocation_lists(peer: &Peer, seed: u64) {
    let keygen = Keygen::new(peer);
    let mut rng = SeededRng::new(1000 * seed + 4);
    let names = ["u_default-cert", "u_force-cert", "h_host-cert", "user", "ruser"];
    let identities = names.map(|name| {
        let text = testdata(&format!("certs/{name}.pub"));
        keygen.write(&format!("{name}.pub"), &text);
        Identity::from_openssh(&String::from_utf8(text).unwrap()).unwrap().0
    });
    let lists = ["krl_ca", "krl_explicit", "krl_hashes", "krl_bitmap"].map(|name| {
        let list = testdata(&format!("certs/{name}"));
        // The bitmaps of the test data are long; what is damaged is mostly the rest.
        Krl::from_bytes(&list).unwrap().to_bytes()
    });
    let mut read = 0;
    for round in 0..150 {
        let mut list = lists[round % lists.len()].clone();
        for _ in 0..number(&mut rng, 3) {
            damage(&mut list, &mut rng);
        }
        keygen.write("krl", &list);
        let ours = Krl::from_file(&list);
        for (name, identity) in names.iter().zip(&identities) {
            let output = keygen.run(&["-Q", "-f", "krl", &format!("{name}.pub")]);
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let theirs = match (output.status.success(), said.contains("REVOKED")) {
                (true, _) => Some(false),
                (false, true) => Some(true),
                (false, false) => None,
            };
            let ours = ours.as_ref().ok().map(|list| list.reason(identity).is_some());
            assert_eq!(ours, theirs, "{} round {round}: {name}: {output:?}", peer.version());
        }
        read += usize::from(ours.is_ok());
    }
    assert!(read > 20, "only {read} lists were read");
}

/// `-Y verify`: damaged signatures, messages and signers.
fn signatures(peer: &Peer, seed: u64) {
    let keygen = Keygen::new(peer);
    let mut rng = SeededRng::new(1000 * seed + 5);
    let key = PrivateKey::generate(KeyType::EcdsaP256, &mut rng).unwrap();
    let line = key.public().to_openssh("");
    let signature = SshSignature::sign(&key, "file", b"message").unwrap().to_bytes();
    let mut good = 0;
    for round in 0..250 {
        let mut bytes = signature.clone();
        let mut allowed = format!(
            "alice,*@example.org,!eve@example.org namespaces=\"file,x*\",valid-after=\"20200101\" {line}\n"
        )
        .into_bytes();
        match round % 3 {
            0 => damage(&mut bytes, &mut rng),
            1 => {
                // Not in the key.
                let mut head = allowed[..60].to_vec();
                damage(&mut head, &mut rng);
                head.retain(|byte| byte.is_ascii_graphic() || *byte == b' ');
                drop(allowed.splice(..60, head));
            }
            _ => {}
        }
        let armored = format!(
            "-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n",
            base64(&bytes)
        );
        keygen.write("sig", armored.as_bytes());
        keygen.write("allowed", &allowed);
        let principal =
            ["alice", "bob@example.org", "eve@example.org", "mallory"][number(&mut rng, 4)];
        let namespace = ["file", "file", "x", "y"][number(&mut rng, 4)];
        let output = keygen.run_with(
            &["-Y", "verify", "-f", "allowed", "-I", principal, "-n", namespace, "-s", "sig"],
            b"message",
        );
        let signers = AllowedSigners::parse(&allowed, "allowed");
        let ours = SshSignature::from_armored(armored.as_bytes()).is_ok_and(|signature| {
            signature.verify(namespace, b"message").is_ok()
                && signers.check(signature.identity(), principal, namespace, NOW, 0).is_ok()
        });
        let theirs = output.status.success();
        let names = allowed.split(|byte| *byte == b' ').next().unwrap();
        let skipped = signers.skipped().first();
        let reason =
            skipped.and_then(|line| reason_for(peer, Refusal::Signer(&line.reason, names)));
        assert!(
            ours == theirs || theirs && reason.is_some(),
            "{} {principal} {namespace} {ours} {skipped:?} {} {output:?}",
            peer.version(),
            String::from_utf8_lossy(&allowed)
        );
        good += usize::from(ours);
    }
    assert!(good > 10, "only {good} signatures were good");
}

macro_rules! with_each_peer {
    (@module $module:ident, $peer:ident, $($name:ident),*) => {
        mod $module {
            $(
                #[test]
                fn $name() {
                    let peer = super::Peer::$peer().announce(stringify!($name));
                    super::seeds().for_each(|seed| super::$name(peer, seed));
                }
            )*
        }
    };
    ($($name:ident),*) => {
        with_each_peer!(@module openssh_9_2, v9_2, $($name),*);
        with_each_peer!(@module openssh_10_0, v10_0, $($name),*);
        with_each_peer!(@module openssh_10_6, v10_6, $($name),*);
    };
}

with_each_peer!(fingerprints, certificates, known_hosts, revocation_lists, signatures);
