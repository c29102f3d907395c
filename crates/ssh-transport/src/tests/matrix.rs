//! Every combination of algorithms: handshake, data both ways, new keys from each side.

use alloc::{vec, vec::Vec};
use std::{fs, path::PathBuf};

use ssh_crypto::{
    agree::{DhGroup, FixedGroup},
    rng::SeededRng,
};
use ssh_keys::{
    Certificate, KeyType, PrivateKey, SignatureAlgorithm,
    certificate::{self, CertificateRequest},
};

use crate::{
    CipherAlgorithm, Config, Error, HostKeyAlgorithm, KexAlgorithm, List, MacAlgorithm, Role,
    testing::{Pair, host_keys},
};

fn all_host_keys() -> Vec<PrivateKey> {
    let rsa = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/host_rsa");
    let mut keys = host_keys();
    for key_type in
        [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::MlDsa44Ed25519]
    {
        keys.push(PrivateKey::generate(key_type, &mut SeededRng::new(5)).unwrap());
    }
    keys.push(PrivateKey::parse(&fs::read(rsa).unwrap(), None).unwrap());
    keys
}

/// What is left to choose: AEAD ciphers have no MAC.
fn protections() -> Vec<(CipherAlgorithm, MacAlgorithm)> {
    let mut all = Vec::new();
    for cipher in CipherAlgorithm::ALL {
        let macs = if cipher.is_aead() { &MacAlgorithm::ALL[..1] } else { MacAlgorithm::ALL };
        all.extend(macs.iter().map(|mac| (*cipher, *mac)));
    }
    all
}

fn only(
    kex: KexAlgorithm,
    host_key: HostKeyAlgorithm,
    (cipher, mac): (CipherAlgorithm, MacAlgorithm),
) -> Config {
    let mut config = Config::default();
    let preferences = &mut config.preferences;
    preferences.set_kex(kex.name()).unwrap();
    preferences.set_host_keys(host_key.name()).unwrap();
    preferences.set_ciphers(cipher.name()).unwrap();
    preferences.set_macs(mac.name()).unwrap();
    config
}

/// A message of the connection protocol of some length.
fn message(n: usize) -> Vec<u8> {
    let mut message = vec![94];
    message.extend((0..n).map(|i| u8::try_from(i % 251).unwrap()));
    message
}

/// Handshake, data, new keys three times with data in flight; everything arrives in order.
fn converse(pair: &mut Pair) {
    pair.run();
    for side in [&pair.client, &pair.server] {
        assert_eq!(side.error, None);
        assert!(side.events.contains(&"Established"), "{:?}", side.events);
    }
    assert_eq!(pair.client.session, pair.server.session);
    let mut sent = 0;
    for rekeying in [&[][..], &[Role::Client], &[Role::Server], &[Role::Client, Role::Server]] {
        let mut say = |pair: &mut Pair| {
            pair.client.send(&message(sent));
            pair.server.send(&message(sent + 1));
            sent += 2;
        };
        say(pair);
        for role in rekeying {
            let now = pair.now;
            pair.side(*role).transport.rekey(now);
            assert!(pair.side(*role).transport.is_rekeying());
        }
        say(pair);
        pair.deliver(Role::Server);
        say(pair);
        pair.run();
        say(pair);
        pair.run();
    }
    for (side, odd) in [(&pair.client, 1), (&pair.server, 0)] {
        assert_eq!(side.error, None);
        assert_eq!(side.events.iter().filter(|event| **event == "Rekeyed").count(), 3);
        let expected: Vec<_> = (0..sent / 2).map(|i| message(2 * i + odd)).collect();
        assert!(side.payloads == expected, "messages were lost or out of order");
        assert!(!side.transport.is_rekeying());
    }
}

/// A certificate over each key, by an authority that nobody knows.
fn certificates(keys: &[PrivateKey]) -> Vec<Certificate> {
    let mut rng = SeededRng::new(6);
    let authority = PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
    keys.iter()
        .map(|key| {
            CertificateRequest::new(key.public().clone(), certificate::Role::Host, "id", "host")
                .issue(&authority, SignatureAlgorithm::Ed25519, &mut rng)
                .unwrap()
        })
        .collect()
}

fn converse_with(kex: KexAlgorithm, host_key: HostKeyAlgorithm, keys: &[PrivateKey]) {
    let client = only(kex, host_key, protections()[0]);
    let mut server = client.clone();
    server.host_keys = keys.to_vec();
    server.host_certificates = certificates(keys);
    // Exchanged groups are not computed in at length.
    server.groups = vec![DhGroup::fixed(FixedGroup::Group14)];
    let mut pair = Pair::new(client, server);
    converse(&mut pair);
    let negotiated = pair.client.transport.negotiated().unwrap();
    assert_eq!((negotiated.kex, negotiated.host_key), (kex, host_key));
    assert_eq!(Some(negotiated), pair.server.transport.negotiated());
}

#[test]
fn every_key_exchange_works() {
    for kex in KexAlgorithm::ALL {
        converse_with(*kex, HostKeyAlgorithm::Ed25519, &host_keys());
    }
}

#[test]
fn every_host_key_works_with_a_certificate_and_without() {
    let keys = all_host_keys();
    // Hosts have no keys in tokens.
    let host_keys = HostKeyAlgorithm::ALL.iter().filter(|a| !a.key_type().is_hardware());
    for host_key in host_keys {
        converse_with(KexAlgorithm::Curve25519Sha256, *host_key, &keys);
    }
}

#[test]
fn a_certificate_is_shown_to_whoever_judges_the_host() {
    let keys = host_keys();
    let certificates = certificates(&keys);
    for certified in [true, false] {
        let mut pair = Pair::with(|config| {
            config.host_certificates.clone_from(&certificates);
            if certified {
                config.preferences.prefer_host_certificates();
            }
        });
        pair.client.trusts = false;
        pair.run();
        let offer = pair.client.offer.take().unwrap();
        assert_eq!(offer.key(), keys[0].public());
        assert_eq!(offer.certificate(), certified.then_some(&certificates[0]));
        assert_eq!(offer.algorithm().is_certificate(), certified);
    }
}

#[test]
fn a_server_without_a_certificate_offers_none() {
    let mut pair = Pair::with(|config| {
        let preferences = &mut config.preferences;
        preferences.set_host_keys("ssh-ed25519-cert-v01@openssh.com").unwrap();
    });
    pair.run();
    assert!(matches!(pair.client.error, Some(Error::NoCommonAlgorithm(_))));
}

#[test]
fn every_protection_works_strict_or_not_however_bytes_arrive() {
    let (kex, host_key) = (KexAlgorithm::Curve25519Sha256, HostKeyAlgorithm::Ed25519);
    for to_server in protections() {
        for (strict, piece) in [(true, 1), (false, usize::MAX)] {
            let mut client = only(kex, host_key, to_server);
            client.strict_kex = strict;
            let mut server = client.clone();
            server.strict_kex = true;
            server.host_keys = host_keys();
            let mut pair = Pair::new(client, server);
            pair.piece = piece;
            converse(&mut pair);
            let negotiated = pair.client.transport.negotiated().unwrap();
            assert_eq!(negotiated.strict, strict);
            assert_eq!(negotiated.client_to_server.cipher(), to_server.0);
            let mac = (!to_server.0.is_aead()).then_some(to_server.1);
            assert_eq!(negotiated.server_to_client.mac(), mac);
        }
    }
}

/// Compression begins behind the server's USERAUTH_SUCCESS, in both directions, and anew with
/// new keys.
#[test]
fn compression_begins_with_the_login_and_survives_new_keys() {
    let mut pair = Pair::with(|config| {
        config.preferences.set_compression("zlib@openssh.com,none").unwrap();
    });
    pair.run();
    let said = vec![b'x'; 10_000];
    let message = [&[94][..], &said].concat();
    let cost = |pair: &mut Pair, role: Role| {
        let before = pair.side(role).transport.pending_output();
        pair.side(role).send(&message);
        let cost = pair.side(role).transport.pending_output() - before;
        pair.run();
        cost
    };
    for role in [Role::Client, Role::Server] {
        assert!(cost(&mut pair, role) > 10_000, "before the login nothing is compressed");
    }
    pair.server.send(&[52]);
    pair.run();
    for _ in 0..3 {
        for role in [Role::Client, Role::Server] {
            assert!(cost(&mut pair, role) < 200);
        }
        let now = pair.now;
        pair.client.transport.rekey(now);
        pair.run();
    }
    for side in [&pair.client, &pair.server] {
        assert_eq!(side.error, None);
        assert_eq!(side.events.iter().filter(|event| **event == "Rekeyed").count(), 3);
        assert!(side.payloads.iter().filter(|payload| **payload == message).count() == 4);
    }
    let shown = std::format!("{}", pair.client.transport.negotiated().unwrap());
    assert!(shown.contains(", zlib@openssh.com"), "{shown}");
}

#[test]
fn the_default_is_post_quantum_strict_and_authenticated_by_the_cipher() {
    let mut pair = Pair::with(|_| ());
    converse(&mut pair);
    let negotiated = pair.server.transport.negotiated().unwrap();
    assert_eq!(negotiated.kex, KexAlgorithm::MlKem768X25519Sha256);
    assert!(negotiated.strict && negotiated.client_to_server.mac().is_none());
    let shown = std::format!("{negotiated}");
    assert!(shown.starts_with("mlkem768x25519-sha256, host key ssh-ed25519, "), "{shown}");
    assert!(List::<CipherAlgorithm>::usual().as_slice().len() == 6);
}

#[test]
fn both_sides_learn_what_the_other_has() {
    let mut pair = Pair::with(|_| ());
    pair.run();
    assert_eq!(pair.client.events, ["Established", "PeerExtensions"]);
    assert_eq!(pair.server.events, ["Established", "PeerExtensions"]);
    assert_eq!(pair.client.transport.server_sig_algs(), Some(SignatureAlgorithm::ALL));
    assert_eq!(pair.server.transport.server_sig_algs(), None);
    assert!(!pair.server.transport.ping(b"clients do not announce it"));
    assert!(pair.client.transport.ping(b"x"));
    pair.run();
    assert_eq!(pair.client.events.last(), Some(&"Pong"));
    let name = pair.client.transport.peer_identification().unwrap();
    assert!(name.raw().starts_with("SSH-2.0-chiton_"));
    let host_key = pair.client.transport.host_key();
    assert_eq!(host_key, Some(host_keys()[0].public()));
}

#[test]
fn a_client_speaks_without_waiting() {
    let mut pair = Pair::with(|_| ());
    for role in [Role::Client, Role::Server] {
        let output = pair.side(role).output();
        assert!(output.starts_with(b"SSH-2.0-chiton_"));
        let end = output.iter().position(|byte| *byte == b'\n').unwrap();
        assert_eq!(output[end + 1 + 5], 20);
    }
}

#[test]
fn the_verdict_may_come_before_or_after_the_servers_newkeys() {
    for late in [false, true] {
        let mut pair = Pair::with(|_| ());
        pair.client.trusts = false;
        pair.carry(Role::Client);
        pair.deliver(Role::Server);
        // Identification, KEXINIT; then the server's answer and NEWKEYS.
        pair.client.steps(pair.now);
        pair.deliver(Role::Server);
        pair.carry(Role::Client);
        assert!(pair.client.step(pair.now));
        if late {
            pair.client.steps(pair.now);
        }
        let offer = pair.client.offer.take().unwrap();
        assert!(pair.client.events.iter().all(|event| *event != "Established"));
        pair.client.trust(offer);
        assert_eq!(pair.client.events.contains(&"Established"), late);
        pair.client.steps(pair.now);
        pair.run();
        assert!(pair.client.events.contains(&"Established"));
        assert!(pair.server.events.contains(&"Established"));
        assert_eq!(pair.client.session, pair.server.session);
    }
}

#[test]
fn a_refused_host_key_ends_the_connection_with_reason_9() {
    let mut pair = Pair::with(|_| ());
    pair.client.trusts = false;
    pair.run();
    let offer = pair.client.offer.take().unwrap();
    pair.client.transport.refuse_host_key(offer);
    pair.run();
    assert_eq!(pair.server.goodbye.as_ref().unwrap().reason.0, 9);
    assert!(!pair.server.events.contains(&"Established"));
}
