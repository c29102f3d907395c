//! The first message of a key exchange, sent ahead (RFC 4253 §7): round trips saved, and wrong
//! guesses that change nothing.

use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};

use crate::{
    Config, Role,
    testing::{Pair, host_keys},
};

/// The server with its own order; the client guesses.
fn guessing(strict: bool, server: impl Fn(&mut Config)) -> Pair {
    let mut client = Config { guess_kex: true, strict_kex: strict, ..Config::default() };
    let mut theirs = Config { host_keys: host_keys(), ..Config::default() };
    client.preferences.set_host_keys("^ssh-ed25519").unwrap();
    theirs.preferences.set_host_keys("^ssh-ed25519").unwrap();
    server(&mut theirs);
    Pair::new(client, theirs)
}

/// How often the client has to hear from the server until the connection is established.
fn rounds(pair: &mut Pair) -> usize {
    let mut rounds = 0;
    while pair.client.session.is_none() {
        assert!(pair.deliver(Role::Server) && pair.deliver(Role::Client), "nothing goes on");
        rounds += 1;
    }
    assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    pair.run();
    assert_eq!(pair.client.session, pair.server.session);
    rounds
}

#[test]
fn a_right_guess_saves_a_round_trip() {
    for strict in [true, false] {
        assert_eq!(rounds(&mut Pair::with(|config| config.strict_kex = strict)), 2);
        assert_eq!(rounds(&mut guessing(strict, |_| ())), 1);
    }
}

/// Wrong in the method, and wrong in the host key alone: then the method that was guessed is the
/// one that is used, and the guess is dropped all the same.
#[test]
fn a_wrong_guess_costs_nothing_but_its_bytes() {
    for strict in [true, false] {
        for (kex, host_keys) in [
            ("^ecdh-sha2-nistp256", "^ssh-ed25519"),
            ("curve25519-sha256", "^ssh-ed25519"),
            ("^mlkem768x25519-sha256", "^ecdsa-sha2-nistp256"),
        ] {
            let mut pair = guessing(strict, |config| {
                config.preferences.set_kex(kex).unwrap();
                config.preferences.set_host_keys(host_keys).unwrap();
                // A server names only what it has a key for.
                let ecdsa = PrivateKey::generate(KeyType::EcdsaP256, &mut SeededRng::new(3));
                config.host_keys.push(ecdsa.unwrap());
            });
            assert_eq!(rounds(&mut pair), 2, "{kex} {host_keys}");
            pair.client.send(&[94, 1]);
            pair.run();
            assert_eq!(pair.server.payloads, [[94, 1]]);
        }
    }
}

/// What the server prefers is known by then.
#[test]
fn later_exchanges_of_a_client_are_guessed_where_that_is_right() {
    for (kex, expected) in [("^mlkem768x25519-sha256", 1), ("^ecdh-sha2-nistp256", 2)] {
        let mut pair = guessing(true, |config| config.preferences.set_kex(kex).unwrap());
        rounds(&mut pair);
        pair.client.send(&[94]);
        pair.run();
        let now = pair.now;
        pair.client.transport.rekey(now);
        let mut rounds = 0;
        while pair.client.transport.is_rekeying() {
            assert!(pair.deliver(Role::Server) && pair.deliver(Role::Client));
            rounds += 1;
        }
        assert_eq!(rounds, expected, "{kex}");
        pair.run();
        assert_eq!((&pair.client.error, &pair.server.error), (&None, &None));
    }
}

/// The server answers a guess at once, so that its data stops for no time at all.
#[test]
fn a_server_does_not_stop_sending_for_a_rekey_that_was_guessed() {
    let mut pair = guessing(true, |_| ());
    rounds(&mut pair);
    pair.client.send(&[94]);
    pair.run();
    let now = pair.now;
    pair.client.transport.rekey(now);
    pair.server.send(&[94, 1]);
    pair.deliver(Role::Server);
    pair.server.send(&[94, 2]);
    pair.deliver(Role::Client);
    assert_eq!(pair.client.payloads, [[94, 1], [94, 2]]);
    assert!(!pair.client.transport.is_rekeying());
}
