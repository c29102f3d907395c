//! OpenSSH's clients, of three generations, against our server.

mod algorithms;
mod certificates;
mod commands;
mod files;
mod login;
mod loss;

use std::net::Ipv4Addr;
use std::path::Path;

use chiton::server::{Builder, Handle, Server};
use chiton_tests::keys::{ALL_KINDS, Keys};
use chiton_tests::openssh::Clients;
use chiton_tests::peer::Peer;
use ssh_keys::PrivateKey;
use ssh_keys::authorized_keys::AuthorizedKeys;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// The user that our server knows.
const USER: &str = "alice";

/// The user's password.
const PASSWORD: &str = "a pass word with \u{e9}";

/// A server of ours, and the folder that its SFTP serves.
struct Ours {
    handle: Handle,
    root: TempDir,
}

impl Ours {
    async fn start() -> Self {
        Self::start_with(|builder| builder).await
    }

    /// A server with host keys of all kinds, changed by `configure`.
    async fn start_with(configure: impl FnOnce(Builder) -> Builder) -> Self {
        let root = tempfile::tempdir().unwrap();
        let keys = Keys::get();
        let mut builder = Server::builder()
            .authorized_keys(AuthorizedKeys::parse(keys.authorized().as_bytes()))
            .password(USER, PASSWORD)
            .sftp_root(root.path())
            .allow_exec(true)
            // Not the one of whoever runs the tests: it would read that person's settings.
            .shell("/bin/sh")
            .accept_env(["CHITON_*"]);
        for kind in ALL_KINDS {
            builder = builder.host_key(private(&keys.host(kind)));
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let handle = configure(builder).serve(listener).unwrap();
        Self { handle, root }
    }

    fn port(&self) -> u16 {
        self.handle.local_addr().port()
    }

    /// OpenSSH's clients of one generation for this server.
    fn clients(&self, peer: &Peer) -> Clients {
        Clients::new(peer, self.port(), USER, &ALL_KINDS)
    }
}

fn private(path: &Path) -> PrivateKey {
    PrivateKey::parse(&std::fs::read(path).unwrap(), None).unwrap()
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
