//! Every algorithm that we have, negotiated by OpenSSH's client and then used, across rekeys.

use chiton::Preferences;
use chiton_tests::against_each_peer;
use chiton_tests::evidence::{self, Evidence};
use chiton_tests::openssh::Clients;
use chiton_tests::peer::Peer;
use ssh_transport::{Algorithm, CipherAlgorithm, HostKeyAlgorithm, KexAlgorithm, MacAlgorithm};

use crate::{Ours, noise};

/// Enough for several rekeys at [`REKEY`].
const ECHOED: usize = 300_000;

/// Makes the client begin a key exchange after so many bytes.
const REKEY: &str = "RekeyLimit=64K";

/// Sends data through `cat` and back with `options`, and checks that the client negotiated
/// `names` and exchanged keys anew.
fn exercise(clients: &Clients, options: &[&str], names: &[&str]) {
    let sent = noise(ECHOED);
    let options = [&[REKEY, "LogLevel=DEBUG1"], options].concat();
    let outcome = clients.ssh(&options, "cat", &sent).ok();
    assert!(outcome.stdout == sent, "{names:?}: other data came back");
    for name in names {
        let said = outcome.stderr.lines().any(|line| {
            line.contains(" kex: ") && line.split_whitespace().any(|word| word == *name)
        });
        assert!(said, "{name} was not negotiated:\n{}", outcome.stderr);
    }
    let exchanges = outcome.stderr.matches("SSH2_MSG_KEXINIT received").count();
    assert!(exchanges > 2, "{names:?}: only {exchanges} key exchanges");
}

/// What both this build and `peer` have.
fn common<T: Algorithm>(table: &'static [Evidence], peer: &Peer) -> Vec<T> {
    evidence::with_openssh(table, peer).filter_map(T::from_name).collect()
}

/// A server of ours that offers all that it has.
async fn willing() -> Ours {
    fn all<T: Algorithm>() -> String {
        T::all().iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(",")
    }
    let mut preferences = Preferences::modern_server();
    preferences.set_kex(&all::<KexAlgorithm>()).unwrap();
    preferences.set_host_keys(&all::<HostKeyAlgorithm>()).unwrap();
    preferences.set_ciphers(&all::<CipherAlgorithm>()).unwrap();
    preferences.set_macs(&all::<MacAlgorithm>()).unwrap();
    Ours::start_with(|builder| builder.preferences(preferences)).await
}

async fn every_key_exchange(peer: &Peer) {
    let ours = willing().await;
    let clients = ours.clients(peer);
    for method in common::<KexAlgorithm>(evidence::KEX, peer) {
        let name = method.name();
        exercise(&clients, &[&format!("KexAlgorithms={name}")], &[name]);
    }
}

async fn every_host_key_type(peer: &Peer) {
    let ours = willing().await;
    let clients = ours.clients(peer);
    for algorithm in common::<HostKeyAlgorithm>(evidence::HOST_KEYS, peer) {
        let name = algorithm.name();
        exercise(&clients, &[&format!("HostKeyAlgorithms={name}")], &[name]);
    }
}

async fn every_aead(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let ciphers = common::<CipherAlgorithm>(evidence::CIPHERS, peer);
    for cipher in ciphers.into_iter().filter(|cipher| cipher.is_aead()) {
        let name = cipher.name();
        exercise(&clients, &[&format!("Ciphers={name}")], &[name]);
    }
}

async fn every_stream_cipher_and_every_mac(peer: &Peer) {
    let ours = willing().await;
    let clients = ours.clients(peer);
    let ciphers = common::<CipherAlgorithm>(evidence::CIPHERS, peer);
    for (cipher, mac) in evidence::pairs(&ciphers, &common(evidence::MACS, peer)) {
        let (cipher, mac) = (cipher.name(), mac.name());
        let options = [format!("Ciphers={cipher}"), format!("MACs={mac}")];
        exercise(&clients, &[&options[0], &options[1]], &[cipher, mac]);
    }
}

async fn compression(peer: &Peer) {
    let mut preferences = Preferences::modern_server();
    preferences.set_compression("none,zlib@openssh.com").unwrap();
    let ours = Ours::start_with(|builder| builder.preferences(preferences)).await;
    let clients = ours.clients(peer);
    let sent = vec![b'x'; ECHOED];
    let outcome = clients.ssh(&[REKEY, "Compression=yes", "LogLevel=DEBUG1"], "cat", &sent).ok();
    assert!(outcome.stdout == sent, "other data came back");
    assert!(outcome.stderr.contains("Enabling compression"), "{}", outcome.stderr);
    exercise(&clients, &["Compression=yes"], &[]);
}

/// With the defaults of both, under strict key exchange.
async fn the_defaults(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let kex = if peer.is_v10() { "mlkem768x25519-sha256" } else { "sntrup761x25519-sha512" };
    exercise(&clients, &[], &[kex, "ssh-ed25519"]);
    let outcome = clients.ssh(&["LogLevel=DEBUG3"], "true", &[]).ok();
    assert!(outcome.stderr.contains("will use strict KEX ordering"), "{}", outcome.stderr);
}

/// A client that has nothing in common with us is told so, and we serve the next one.
async fn nothing_in_common(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let outcome = clients.ssh(&["KexAlgorithms=diffie-hellman-group14-sha256"], "true", &[]);
    assert_eq!(outcome.status, 255);
    assert!(outcome.stderr.contains("no matching key exchange method"), "{}", outcome.stderr);
    let outcome = clients.ssh(&["Ciphers=aes128-cbc"], "true", &[]);
    assert!(outcome.stderr.contains("no matching cipher"), "{}", outcome.stderr);
    clients.ssh(&[], "true", &[]).ok();
}

against_each_peer!(
    every_key_exchange,
    every_host_key_type,
    every_aead,
    every_stream_cipher_and_every_mac,
    compression,
    the_defaults,
    nothing_in_common,
);
