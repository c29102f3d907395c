//! Implementations of SSH other than OpenSSH, in both directions: AsyncSSH (Python), Dropbear, ssh2
//! (JavaScript), and PuTTY as a client. Each negotiates all that it has in common with us, carries
//! data, and logs in with keys and a password.
//!
//! What a peer has is a column of the tables in `chiton_tests::evidence`; that they are right is
//! seen from what the peer offers.

mod offers;
mod their_clients;
mod their_servers;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use chiton::Preferences;
use chiton_tests::evidence::{self, Evidence, Peer};
use ssh_transport::{
    Algorithm, CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm, KexAlgorithm,
};
use tempfile::TempDir;

/// A user of the servers that are not Dropbear.
const USER: &str = "alice";

/// The user's password.
const PASSWORD: &str = "a pass word with \u{e9}";

/// The command that a client runs, which needs input, both outputs and the exit status.
const COMMAND: &str = "cat; echo oops >&2; exit 3";

/// How much goes through [`COMMAND`] and back: more than a packet.
const ECHOED: usize = 150_000;

/// The kinds of user keys that these implementations know, by [`chiton_tests::keys`].
const USER_KEYS: [&str; 5] = ["ed25519", "ecdsa", "ecdsa-384", "ecdsa-521", "rsa"];

/// What both this build and `peers` have, each on its own with the rest left as usual.
fn cases(peers: &[Peer]) -> Vec<(String, Preferences)> {
    let mut cases = vec![("the usual".to_owned(), Preferences::modern())];
    let mut case = |what: &str, set: &dyn Fn(&mut Preferences)| {
        let mut preferences = Preferences::modern();
        set(&mut preferences);
        cases.push((what.to_owned(), preferences));
    };
    for method in common::<KexAlgorithm>(evidence::KEX, peers) {
        case(method.name(), &|it| it.set_kex(method.name()).unwrap());
    }
    for key in common::<HostKeyAlgorithm>(evidence::HOST_KEYS, peers) {
        case(key.name(), &|it| it.set_host_keys(key.name()).unwrap());
    }
    let ciphers = common::<CipherAlgorithm>(evidence::CIPHERS, peers);
    for cipher in ciphers.iter().filter(|cipher| cipher.is_aead()) {
        case(cipher.name(), &|it| it.set_ciphers(cipher.name()).unwrap());
    }
    for (cipher, mac) in evidence::pairs(&ciphers, &common(evidence::MACS, peers)) {
        case(&format!("{cipher} with {mac}"), &|it| {
            it.set_ciphers(cipher.name()).unwrap();
            it.set_macs(mac.name()).unwrap();
        });
    }
    for compression in common::<CompressionAlgorithm>(evidence::COMPRESSION, peers) {
        case(compression.name(), &|it| it.set_compression(compression.name()).unwrap());
    }
    cases
}

/// What both this build and `peers` have.
fn common<T: Algorithm>(table: &'static [Evidence], peers: &[Peer]) -> Vec<T> {
    evidence::with(table, peers).filter_map(T::from_name).collect()
}

/// A file of these tests.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop_others").join(name)
}

/// A program or library that `cargo xtask peers` fetched.
fn fetched(path: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers").join(path);
    let there = path.exists();
    assert!(there, "{} is missing: run `cargo xtask peers`, which fetches it", path.display());
    path
}

/// A private key in Dropbear's format, by Dropbear's own program.
fn dropbear_key(folder: &TempDir, key: &Path) -> PathBuf {
    let converted = folder.path().join(key.file_name().unwrap());
    if !converted.exists() {
        let mut convert = Command::new(fetched("openssh-10.6/usr/bin/dropbearconvert"));
        convert.args(["openssh", "dropbear"]).arg(key).arg(&converted);
        let output = convert.output().unwrap();
        assert!(output.status.success(), "{convert:?}: {output:?}");
    }
    converted
}

/// Says on the terminal, past the capture of the test runner, against what this ran.
fn announce(test: &str, version: &str) {
    let line = format!("interop: {test}: peer {version}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

/// Bytes without a pattern that a bug could hide in, the same ones each time.
fn noise() -> Vec<u8> {
    let mut state: u64 = 0x2545_f491_4f6c_dd1d;
    let mut bytes = Vec::with_capacity(ECHOED + 8);
    while bytes.len() < ECHOED {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(ECHOED);
    bytes
}
