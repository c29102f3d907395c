//! Negotiation against a small oracle, and what happens where nothing is common.

use alloc::{string::String, vec::Vec};

use proptest::{prelude::*, sample::subsequence};
use ssh_wire::{DisconnectReason, NameList};

use crate::{
    Algorithm, AlgorithmKind, CipherAlgorithm, CompressionAlgorithm, Config, Error,
    HostKeyAlgorithm, KexAlgorithm, MacAlgorithm, Negotiated, Offer, Role, message::KexInit,
    negotiate, testing::Pair,
};

/// Names in the order of the two sides: the client's first that the server has.
fn oracle(client: &[&str], server: &[&str]) -> Option<String> {
    client.iter().find(|name| server.contains(name)).map(|name| String::from(*name))
}

fn shuffled<T: Algorithm>() -> impl Strategy<Value = Vec<T>> {
    subsequence(T::all().to_vec(), 0..=T::all().len()).prop_shuffle()
}

/// Names of a peer: ours, and some that nobody knows.
fn names<T: Algorithm>() -> impl Strategy<Value = Vec<String>> {
    let mut known: Vec<String> = T::all().iter().map(|a| a.name().into()).collect();
    known.extend(["unknown", "none", "kex-strict-c", "x@y"].map(String::from));
    let count = known.len();
    subsequence(known, 0..=count).prop_shuffle()
}

fn texts<T: Algorithm>(list: &[T]) -> Vec<&'static str> {
    list.iter().map(|algorithm| algorithm.name()).collect()
}

fn strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// What the oracle says to a whole offer, as names.
fn expected(role: Role, ours: &Offer<'_>, theirs: &[Vec<String>; 4]) -> Option<[String; 4]> {
    let choose = |ours: &[&str], theirs: &[String]| match role {
        Role::Client => oracle(ours, &strs(theirs)),
        Role::Server => oracle(&strs(theirs), ours),
    };
    let kex = choose(&texts(ours.kex), &theirs[0])?;
    let host_key = choose(&texts(ours.host_keys), &theirs[1])?;
    let cipher = choose(&texts(ours.ciphers), &theirs[2])?;
    let mac = if cipher.ends_with("-ctr") || cipher.ends_with("-cbc") {
        choose(&texts(ours.macs), &theirs[3])?
    } else {
        String::new()
    };
    Some([kex, host_key, cipher, mac])
}

fn chosen(negotiated: &Negotiated) -> [String; 4] {
    let protection = negotiated.client_to_server;
    assert_eq!(protection, negotiated.server_to_client);
    [
        negotiated.kex.name().into(),
        Algorithm::name(negotiated.host_key).into(),
        protection.cipher().name().into(),
        protection.mac().map_or(String::new(), |mac| mac.name().into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn negotiation_does_what_ten_lines_of_oracle_do(
        is_client in any::<bool>(),
        kex in shuffled::<KexAlgorithm>(),
        host_keys in shuffled::<HostKeyAlgorithm>(),
        ciphers in shuffled::<CipherAlgorithm>(),
        macs in shuffled::<MacAlgorithm>(),
        their_kex in names::<KexAlgorithm>(),
        their_host_keys in names::<HostKeyAlgorithm>(),
        their_ciphers in names::<CipherAlgorithm>(),
        their_macs in names::<MacAlgorithm>(),
    ) {
        let role = if is_client { Role::Client } else { Role::Server };
        let ours =
            Offer { kex: &kex, host_keys: &host_keys, ciphers: &ciphers, macs: &macs, compression: &[CompressionAlgorithm::None] };
        let theirs = [their_kex, their_host_keys, their_ciphers, their_macs];
        let [k, h, c, m] = theirs.each_ref().map(|list| list.join(","));
        let list = |text| NameList::from_text(text).unwrap();
        let message = KexInit {
            cookie: [0; 16],
            kex_algorithms: list(&k),
            server_host_key_algorithms: list(&h),
            encryption_client_to_server: list(&c),
            encryption_server_to_client: list(&c),
            mac_client_to_server: list(&m),
            mac_server_to_client: list(&m),
            compression_client_to_server: list("none"),
            compression_server_to_client: list("zlib@openssh.com,none"),
            languages_client_to_server: list(""),
            languages_server_to_client: list(""),
            first_kex_packet_follows: false,
            reserved: 0,
        };
        let found = negotiate(&ours, &message, role);
        prop_assert_eq!(found.ok().map(|n| chosen(&n)), expected(role, &ours, &theirs));
        let no_compression = KexInit { compression_client_to_server: list("zlib"), ..message };
        prop_assert!(negotiate(&ours, &no_compression, role).is_err());
    }
}

#[test]
fn sides_without_a_common_algorithm_say_what_they_would_have_taken() {
    type Edit = fn(&mut Config);
    let edits: [(Edit, Edit, AlgorithmKind); 4] = [
        (
            |c| c.preferences.set_kex("curve25519-sha256").unwrap(),
            |c| c.preferences.set_kex("ecdh-sha2-nistp256").unwrap(),
            AlgorithmKind::Kex,
        ),
        (|c| c.preferences.set_host_keys("rsa-sha2-512").unwrap(), |_| (), AlgorithmKind::HostKey),
        (
            |c| c.preferences.set_ciphers("aes128-ctr").unwrap(),
            |c| c.preferences.set_ciphers("aes256-ctr").unwrap(),
            AlgorithmKind::Cipher,
        ),
        (
            |c| {
                c.preferences.set_ciphers("aes128-ctr").unwrap();
                c.preferences.set_macs("hmac-sha2-256").unwrap();
            },
            |c| c.preferences.set_macs("hmac-sha2-512").unwrap(),
            AlgorithmKind::Mac,
        ),
    ];
    for (client_edit, server_edit, kind) in edits {
        let mut client = Config::default();
        client_edit(&mut client);
        let mut server = Config { host_keys: crate::testing::host_keys(), ..Config::default() };
        server_edit(&mut server);
        let mut pair = Pair::new(client, server);
        pair.run();
        for side in [&pair.client, &pair.server] {
            let error = side.transport.error().unwrap();
            let Error::NoCommonAlgorithm(what) = error else { panic!("{error:?}") };
            assert_eq!(what.kind, kind);
            assert_eq!(error.disconnect(), Some(DisconnectReason::KEY_EXCHANGE_FAILED));
        }
    }
}

#[test]
fn a_server_without_keys_offers_none() {
    let mut pair = Pair::new(Config::default(), Config::default());
    pair.run();
    let error = pair.client.transport.error().unwrap();
    assert!(matches!(error, Error::NoCommonAlgorithm(e) if e.kind == AlgorithmKind::HostKey));
}
