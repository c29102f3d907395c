//! A server with everything allowed, and clients of it.

use chiton::{
    Auth, Client, Error, HostKeys,
    keys::{KeyType, PrivateKey, authorized_keys::AuthorizedKeys},
    server::{Builder, Handle, Server},
};
use ssh_crypto::rng::SeededRng;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub(crate) fn key(seed: u64) -> PrivateKey {
    PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(seed)).unwrap()
}

pub(crate) fn host_key() -> PrivateKey {
    key(1)
}

pub(crate) fn user_key() -> PrivateKey {
    key(2)
}

pub(crate) fn authorized(key: &PrivateKey) -> AuthorizedKeys {
    AuthorizedKeys::parse(key.public().to_openssh("test").as_bytes())
}

pub(crate) struct World {
    pub(crate) server: Handle,
    pub(crate) root: TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(change: impl FnOnce(Builder) -> Builder) -> Self {
        Self::at("127.0.0.1:0", change).await
    }

    pub(crate) async fn at(address: &str, change: impl FnOnce(Builder) -> Builder) -> Self {
        let root = tempfile::tempdir().unwrap();
        let builder = Server::builder()
            .host_key(host_key())
            .authorized_keys(authorized(&user_key()))
            .password("alice", "right")
            .sftp_root(root.path())
            .allow_exec(true)
            // Not what this machine's user has in its profiles.
            .shell("/bin/sh")
            .home(root.path());
        let listener = TcpListener::bind(address).await.unwrap();
        Self { server: change(builder).serve(listener).unwrap(), root }
    }

    pub(crate) fn builder(&self) -> chiton::client::Builder<chiton::client::WantsAuth> {
        let address = self.server.local_addr();
        Client::builder(address.ip().to_string(), address.port())
            .host_keys(HostKeys::exactly(host_key().public().clone()))
    }

    pub(crate) async fn log_in(&self, auth: Auth) -> Result<Client, Error> {
        self.builder().auth(auth).user("alice").connect().await
    }

    pub(crate) async fn client(&self) -> Client {
        self.log_in(Auth::key(user_key())).await.unwrap()
    }
}
