//! chiton's own server inside the test, and a wire that can be cut.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chiton::{
    Auth, Client, Error, HostKeys,
    client::{Builder, Ready, WantsAuth},
    keys::{KeyType, PrivateKey, PublicKey},
    server::{self, Handle, Server},
};
use ssh_crypto::rng::SeededRng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// The user and the password of the server.
pub const USER: &str = "tester";
/// See [`USER`].
pub const PASSWORD: &str = "correct horse battery staple";

/// A server with a directory of its own.
#[derive(Debug)]
pub struct Embedded {
    handle: Handle,
    host_key: PublicKey,
    directory: tempfile::TempDir,
}

impl Embedded {
    /// Starts a server that lets [`USER`] in with [`PASSWORD`].
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start() -> Self {
        Self::start_with(|builder, root| builder.sftp_root(root)).await
    }

    /// Starts a server without SFTP.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn start_without_sftp() -> Self {
        Self::start_with(|builder, _| builder).await
    }

    async fn start_with(more: impl FnOnce(server::Builder, &Path) -> server::Builder) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let host_key = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(41)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let builder = Server::builder()
            .host_key(host_key.clone())
            .password(USER, PASSWORD)
            .allow_exec(true)
            // Not the one of whoever runs the tests: it would read that person's settings.
            .shell("/bin/sh");
        let handle = more(builder, directory.path()).serve(listener).unwrap();
        Self { handle, host_key: host_key.public().clone(), directory }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.handle.local_addr()
    }

    /// A file in the directory that it serves.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// The directory that it serves.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A description of a connection to `address`, where this server is reached.
    pub fn at(&self, address: SocketAddr) -> Builder<Ready> {
        self.unauthenticated(address).auth(Auth::password(PASSWORD))
    }

    /// As [`Self::at`], without what lets the user in.
    pub fn unauthenticated(&self, address: SocketAddr) -> Builder<WantsAuth> {
        Client::builder(address.ip().to_string(), address.port())
            .user(USER)
            .host_keys(HostKeys::exactly(self.host_key.clone()))
    }

    /// A connection.
    ///
    /// # Panics
    /// If it cannot be made.
    pub async fn connect(&self) -> Client {
        self.at(self.address()).connect().await.unwrap()
    }
}

/// A wire between client and server that can be cut or go silent.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    cut: Arc<AtomicBool>,
    silent: Arc<AtomicBool>,
}

impl Wire {
    /// Lays a wire to `server`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Self {
            address: listener.local_addr().unwrap(),
            cut: Arc::default(),
            silent: Arc::default(),
        };
        let (cut, silent) = (Arc::clone(&wire.cut), Arc::clone(&wire.silent));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                for (mut from, mut to) in [(client_read, server_write), (server_read, client_write)]
                {
                    let (cut, silent) = (Arc::clone(&cut), Arc::clone(&silent));
                    tokio::spawn(async move {
                        let mut bytes = vec![0; 64 * 1024];
                        while !cut.load(Ordering::Relaxed) {
                            let read = from.read(&mut bytes);
                            let Ok(read) =
                                tokio::time::timeout(Duration::from_millis(5), read).await
                            else {
                                continue;
                            };
                            match read {
                                Ok(n) if n > 0 => {
                                    let forwards = !silent.load(Ordering::Relaxed);
                                    if forwards && to.write_all(&bytes[..n]).await.is_err() {
                                        break;
                                    }
                                }
                                _ => break,
                            }
                        }
                    });
                }
            }
        });
        wire
    }

    /// Lays a wire to `server` on which everything takes `delay` each way.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn delayed(server: SocketAddr, delay: Duration) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                client.set_nodelay(true).unwrap();
                server.set_nodelay(true).unwrap();
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = server.into_split();
                tokio::spawn(carry(client_read, server_write, delay));
                tokio::spawn(carry(server_read, client_write, delay));
            }
        });
        address
    }

    /// Where to connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Both sides see the end of the stream.
    pub fn cut(&self) {
        self.cut.store(true, Ordering::Relaxed);
    }

    /// Everything is swallowed from now on; nobody is told.
    pub fn go_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }
}

/// Moves bytes, each after the delay.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Duration) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, bytes)) = receiver.recv().await {
            sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut bytes = vec![0; 256 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if sender.send((Instant::now() + delay, bytes[..read].to_vec())).is_err() {
            return;
        }
    }
}

/// True for the errors that a connection ends with when it is lost.
#[must_use]
pub const fn is_lost(error: &Error) -> bool {
    matches!(error, Error::ConnectionLost(..))
}
