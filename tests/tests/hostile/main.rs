//! Peers that break the rules, on a real socket: each ends in an error that says which rule, in a
//! good-bye with the fitting reason, and in no time.
//!
//! The hostile half is made of our own transport, or of bytes; the honest half is the client and
//! the server as their users have them, and [`chiton::session`] in the table of all messages.

mod before_keys;
mod client;
mod files;
mod login;
mod server;
mod table;

use core::{future::Future, time::Duration};

use chiton::{
    Auth, Client, Error, HostKeys,
    client::{Builder, Ready, WantsAuth},
    server::{Event, Handle, Server},
};
use chiton_tests::hostile::{Peer, host_key};
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

const USER: &str = "alice";
const PASSWORD: &str = "opensesame";

/// Waits for what must not take long.
async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it hangs")
}

/// A description of a connection to a hostile server.
fn connection(port: u16) -> Builder<WantsAuth> {
    Client::builder("127.0.0.1", port)
        .user(USER)
        .connect_timeout(PATIENCE)
        .host_keys(HostKeys::exactly(host_key().public().clone()))
}

/// A client of ours, and the hostile server that it talks to; it is on its way.
async fn client_with(
    auth: Auth,
) -> (Peer<TcpStream>, tokio::task::JoinHandle<Result<Client, Error>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let builder: Builder<Ready> = connection(listener.local_addr().unwrap().port()).auth(auth);
    let client = tokio::spawn(builder.connect());
    let (socket, _) = within(listener.accept()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    (Peer::server(socket), client)
}

/// A client of ours that has logged in to a hostile server.
async fn logged_in() -> (Peer<TcpStream>, Client) {
    let (mut peer, client) = client_with(Auth::password(PASSWORD)).await;
    within(peer.let_in()).await;
    (peer, within(client).await.unwrap().unwrap())
}

/// A server of ours, and what it says about its clients.
struct World {
    handle: Handle,
    events: mpsc::UnboundedReceiver<Event>,
    _root: TempDir,
}

impl World {
    fn start() -> Self {
        Self::with(|builder| builder)
    }

    fn with(change: impl FnOnce(chiton::server::Builder) -> chiton::server::Builder) -> Self {
        let (tell, events) = mpsc::unbounded_channel();
        let root = tempfile::tempdir().unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let builder = Server::builder()
            .host_key(host_key())
            .password(USER, PASSWORD)
            .allow_exec(true)
            .shell("/bin/sh")
            .sftp_root(root.path())
            .on_event(move |event| drop(tell.send(event.clone())));
        let handle = change(builder).serve(TcpListener::from_std(listener).unwrap()).unwrap();
        Self { handle, events, _root: root }
    }

    async fn socket(&self) -> TcpStream {
        let socket = TcpStream::connect(self.handle.local_addr()).await.unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// A hostile client.
    async fn peer(&self) -> Peer<TcpStream> {
        Peer::client(self.socket().await)
    }

    /// A hostile client that has logged in.
    async fn member(&self) -> Peer<TcpStream> {
        let mut peer = self.peer().await;
        within(peer.log_in(USER, PASSWORD)).await;
        peer
    }

    /// Why the next connection ends.
    async fn cause(&mut self) -> Error {
        loop {
            if let Event::Ended { cause, .. } = within(self.events.recv()).await.unwrap() {
                return cause;
            }
        }
    }
}

/// The rule that an error names.
fn rule(error: &Error) -> &'static str {
    error.rule().map_or("none", |rule| rule.0)
}
