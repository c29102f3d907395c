//! Every algorithm that we have, negotiated with OpenSSH and then used, before and after a rekey.

use chiton::{Client, Error, Preferences, Stdio};
use chiton_tests::against_each_peer;
use chiton_tests::evidence::{self, Evidence};
use chiton_tests::peer::Peer;
use chiton_tests::sshd::Sshd;
use ssh_transport::{Algorithm, CipherAlgorithm, HostKeyAlgorithm, KexAlgorithm};
use tokio::io::AsyncWriteExt as _;

use crate::{key, noise, to};

/// More than a packet, so that sequence numbers, lengths and continued keystreams matter.
const ECHOED: usize = 200_000;

/// Sends data through `cat` and back, exchanges new keys, and does it again.
async fn exercise(client: &Client, what: &str) {
    let sent = noise(ECHOED);
    for round in ["first keys", "new keys"] {
        let mut child = client.command("cat").stderr(Stdio::null()).spawn().await.unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let bytes = sent.clone();
        let writer = tokio::spawn(async move {
            stdin.write_all(&bytes).await.unwrap();
            stdin.shutdown().await.unwrap();
        });
        let output = child.wait_with_output().await.unwrap();
        writer.await.unwrap();
        assert!(output.status.success(), "{what}, {round}: {}", output.status);
        assert!(output.stdout == sent, "{what}, {round}: other data came back");
        client.rekey();
    }
}

/// The negotiated algorithms in one line, to look for names in.
fn negotiated(client: &Client) -> String {
    client.negotiated().unwrap().to_string()
}

/// Whether `text` has `name` as a word of its own: one name is the beginning of another.
fn has(text: &str, name: &str) -> bool {
    text.split(|char: char| char.is_whitespace() || ",;()".contains(char)).any(|word| word == name)
}

async fn connect(sshd: &Sshd, preferences: Preferences) -> Result<Client, Error> {
    to(sshd).algorithms(preferences).auth(key()).connect().await
}

/// What both this build and `peer` have.
fn common<T: Algorithm>(table: &'static [Evidence], peer: &Peer) -> Vec<T> {
    evidence::with_openssh(table, peer).filter_map(T::from_name).collect()
}

/// A server that offers what is weak as well, where we have it.
fn willing(peer: &Peer) -> Sshd {
    let all = |table| evidence::with_openssh(table, peer).collect::<Vec<_>>().join(",");
    let (kex, ciphers) = (all(evidence::KEX), all(evidence::CIPHERS));
    let (macs, host_keys) = (all(evidence::MACS), all(evidence::HOST_KEYS));
    let config = format!(
        "KexAlgorithms {kex}\nHostKeyAlgorithms {host_keys}\nCiphers {ciphers}\nMACs {macs}\n"
    );
    Sshd::start(peer, &config)
}

async fn every_key_exchange(peer: &Peer) {
    let sshd = willing(peer);
    for method in common::<KexAlgorithm>(evidence::KEX, peer) {
        let name = method.name();
        let mut preferences = Preferences::modern();
        preferences.set_kex(name).unwrap();
        let result = connect(&sshd, preferences).await;
        let client = result.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(has(&negotiated(&client), name), "{name}: {}", negotiated(&client));
        assert_eq!(client.negotiated().unwrap().weak().contains(&name), method.is_legacy());
        exercise(&client, name).await;
    }
}

/// A client that insists on what the server lacks is told both lists.
async fn a_key_exchange_that_the_server_lacks(peer: &Peer) {
    let mut preferences = Preferences::modern();
    preferences.set_kex("mlkem1024nistp384-sha384").unwrap();
    let error = connect(Sshd::shared(peer), preferences).await.unwrap_err().to_string();
    assert!(error.contains("we offer mlkem1024nistp384-sha384"), "{error}");
    assert!(error.contains("sntrup761x25519-sha512@openssh.com"), "{error}");
    assert!(error.contains("KexAlgorithms=+"), "{error}");
}

async fn every_host_key_type(peer: &Peer) {
    let sshd = willing(peer);
    for algorithm in common::<HostKeyAlgorithm>(evidence::HOST_KEYS, peer) {
        let name = algorithm.name();
        let mut preferences = Preferences::modern();
        preferences.set_host_keys(name).unwrap();
        let client = connect(&sshd, preferences).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(has(&negotiated(&client), name), "{name}: {}", negotiated(&client));
        exercise(&client, name).await;
    }
}

async fn every_aead(peer: &Peer) {
    let sshd = Sshd::shared(peer);
    let ciphers = common::<CipherAlgorithm>(evidence::CIPHERS, peer);
    for cipher in ciphers.into_iter().filter(|cipher| cipher.is_aead()) {
        let name = cipher.name();
        let mut preferences = Preferences::modern();
        preferences.set_ciphers(name).unwrap();
        let client = connect(sshd, preferences).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(has(&negotiated(&client), name), "{name}: {}", negotiated(&client));
        exercise(&client, name).await;
    }
}

async fn every_stream_cipher_and_every_mac(peer: &Peer) {
    let sshd = willing(peer);
    let ciphers = common::<CipherAlgorithm>(evidence::CIPHERS, peer);
    for (cipher, mac) in evidence::pairs(&ciphers, &common(evidence::MACS, peer)) {
        let (cipher, mac) = (cipher.name(), mac.name());
        let mut preferences = Preferences::modern();
        preferences.set_ciphers(cipher).unwrap();
        preferences.set_macs(mac).unwrap();
        let what = format!("{cipher} with {mac}");
        let result = connect(&sshd, preferences).await;
        let client = result.unwrap_or_else(|e| panic!("{what}: {e}"));
        let summary = negotiated(&client);
        assert!(has(&summary, cipher) && has(&summary, mac), "{what}: {summary}");
        exercise(&client, &what).await;
    }
}

/// Compression is asked for, begins with the login, and goes on under new keys.
async fn compression(peer: &Peer) {
    let mut preferences = Preferences::modern();
    preferences.set_compression("zlib@openssh.com").unwrap();
    let sshd = Sshd::start(peer, "Compression delayed\n");
    let client = connect(&sshd, preferences).await.unwrap();
    assert!(has(&negotiated(&client), "zlib@openssh.com"), "{}", negotiated(&client));
    exercise(&client, "compression").await;
}

/// With our defaults the best of what both have is chosen, under strict key exchange.
async fn the_defaults(peer: &Peer) {
    let client = connect(Sshd::shared(peer), Preferences::modern()).await.unwrap();
    let negotiated = client.negotiated().unwrap();
    let kex = if peer.is_v10() { "mlkem768x25519-sha256" } else { "sntrup761x25519-sha512" };
    assert_eq!(negotiated.kex.name(), kex);
    assert!(negotiated.strict, "OpenSSH has strict key exchange");
    assert!(client.server_identification().unwrap().to_string().contains("OpenSSH_"));
    exercise(&client, "defaults").await;
}

/// A server that prefers what we prefer takes the guess, and any other drops it.
async fn a_guess_right_or_wrong(peer: &Peer) {
    let order = "KexAlgorithms curve25519-sha256,ecdh-sha2-nistp256\n\
                 HostKeyAlgorithms ssh-ed25519,ecdsa-sha2-nistp256\n";
    let sshd = Sshd::start(peer, order);
    for kex in ["curve25519-sha256,ecdh-sha2-nistp256", "ecdh-sha2-nistp256,curve25519-sha256"] {
        let mut preferences = Preferences::modern();
        preferences.set_kex(kex).unwrap();
        preferences.set_host_keys("ssh-ed25519").unwrap();
        let builder = to(&sshd).algorithms(preferences).guess_key_exchange();
        let client = builder.auth(key()).connect().await.unwrap();
        assert_eq!(client.negotiated().unwrap().kex.name(), kex.split(',').next().unwrap());
        exercise(&client, kex).await;
    }
}

against_each_peer!(
    a_guess_right_or_wrong,
    every_key_exchange,
    a_key_exchange_that_the_server_lacks,
    every_host_key_type,
    every_aead,
    every_stream_cipher_and_every_mac,
    compression,
    the_defaults,
);
