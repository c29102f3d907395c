//! Our client against OpenSSH's server, of three generations.

mod algorithms;
mod certificates;
mod commands;
mod files;
mod host_keys;
mod login;
mod loss;
mod old_rsa;
mod transfers;

use std::time::Duration;

use chiton::client::{Builder, WantsAuth};
use chiton::{Auth, Client, HostKeys};
use chiton_tests::keys::Keys;
use chiton_tests::sshd::{Sshd, whoami};

/// A connection to `sshd` that trusts its keys and still has to log in.
fn to(sshd: &Sshd) -> Builder<WantsAuth> {
    Client::builder("127.0.0.1", sshd.port())
        .user(whoami())
        .connect_timeout(Duration::from_secs(60))
        .host_keys(HostKeys::known_hosts(sshd.known_hosts()).unwrap())
}

/// The user's usual key.
fn key() -> Auth {
    Auth::key_file(Keys::get().user("ed25519"))
}

/// A connection to `sshd`, logged in with a key.
async fn connect(sshd: &Sshd) -> Client {
    to(sshd).auth(key()).connect().await.unwrap()
}

/// Bytes without a pattern that a bug could hide in, the same ones each time.
fn noise(len: usize) -> Vec<u8> {
    let mut state: u64 = 0x2545_f491_4f6c_dd1d;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
