//! The other side of a connection, in the hands of a test: it speaks SSH with our own transport up
//! to the point where the test makes it break a rule.

use std::{io, sync::Arc, time::Duration};

use ssh_auth::message::{
    CONNECTION_SERVICE, MethodRequest, ServiceAccept, ServiceRequest, USERAUTH_SERVICE,
    UserauthRequest, UserauthSuccess,
};
use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{Config, Event, Inbound, Received, Transport};
use ssh_wire::{DisconnectReason, Encode, Outbox, Rest, Time, proof::SessionId};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The host key of hostile servers.
///
/// # Panics
/// If no key can be made.
#[must_use]
pub fn host_key() -> PrivateKey {
    PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(77)).unwrap()
}

/// A transport without a socket, and what is behind it.
#[derive(Debug)]
pub struct Engine {
    /// To be told to do what it should not.
    pub transport: Transport,
    inbound: Inbound,
    clock: Duration,
}

impl Engine {
    /// A client that trusts every host.
    #[must_use]
    pub fn client() -> Self {
        Self::new(Transport::client(Arc::new(quick()), Box::new(SeededRng::new(5)), Time::ZERO))
    }

    /// A server that is known by [`host_key`].
    #[must_use]
    pub fn server() -> Self {
        let mut config = quick();
        config.host_keys.push(host_key());
        Self::new(Transport::server(Arc::new(config), Box::new(SeededRng::new(6)), Time::ZERO))
    }

    fn new((transport, inbound): (Transport, Inbound)) -> Self {
        Self { transport, inbound, clock: Duration::ZERO }
    }

    /// Takes in bytes of the other side.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.inbound.buffer().extend_from_slice(bytes);
    }

    /// The next thing that the other side's bytes mean; none if there have to be more.
    ///
    /// # Panics
    /// If the other side breaks a rule: it is the one that should keep them.
    pub fn event(&mut self) -> Option<Event> {
        while let Some(received) = self.inbound.next().expect("the honest side keeps the rules") {
            if let Some(event) = self.handle(received) {
                return Some(event);
            }
        }
        None
    }

    fn handle(&mut self, received: Received) -> Option<Event> {
        self.clock += Duration::from_micros(1);
        let now = Time::from_epoch(self.clock);
        let event = self.transport.handle(received, &mut self.inbound, now);
        match event.expect("the honest side keeps the rules")? {
            Event::HostKey(offer) => {
                self.transport.answer_host_key(offer.trust()).expect("the offer is fresh")
            }
            event => Some(event),
        }
    }

    /// Sends a message, whatever it is.
    pub fn send(&mut self, message: &dyn Encode) {
        self.transport.send(message);
    }

    /// Sends a message given as bytes, whatever they are.
    pub fn send_bytes(&mut self, payload: &[u8]) {
        self.transport.send(&Rest(payload));
    }

    /// Begins a key exchange.
    pub fn rekey(&mut self) {
        self.transport.rekey(Time::from_epoch(self.clock));
    }

    /// What is to be given to the other side.
    pub fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.transport.take_output(&mut out);
        out
    }
}

/// The fastest exchange: tests make hundreds of them.
fn quick() -> Config {
    let mut config = Config::default();
    config.preferences.set_kex("curve25519-sha256").expect("the name is known");
    config
}

/// A peer on a stream.
#[derive(Debug)]
pub struct Peer<S> {
    /// The stream, to write to it what no transport would.
    pub socket: S,
    /// The transport.
    pub engine: Engine,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    /// A client.
    pub fn client(socket: S) -> Self {
        Self { socket, engine: Engine::client() }
    }

    /// A server that is known by [`host_key`].
    pub fn server(socket: S) -> Self {
        Self { socket, engine: Engine::server() }
    }

    /// Sends a message, whatever it is, at once.
    ///
    /// # Panics
    /// If the connection is gone.
    pub async fn send(&mut self, message: &dyn Encode) {
        self.engine.send(message);
        self.flush().await.expect("the connection is there");
    }

    /// Sends a message given as bytes, at once.
    ///
    /// # Panics
    /// If the connection is gone.
    pub async fn send_bytes(&mut self, payload: &[u8]) {
        self.send(&Rest(payload)).await;
    }

    /// Writes what is to be written.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.socket.write_all(&self.engine.output()).await
    }

    /// The next event; none at the end of the stream.
    pub async fn event(&mut self) -> Option<Event> {
        loop {
            let event = self.engine.event();
            // What it has provoked goes out; a peer that is gone is noticed by reading.
            self.flush().await.ok();
            if event.is_some() {
                return event;
            }
            let mut bytes = vec![0; 64 * 1024];
            match self.socket.read(&mut bytes).await {
                Ok(n) if n > 0 => self.engine.feed(&bytes[..n]),
                _ => return None,
            }
        }
    }

    /// The first key exchange, to its end.
    ///
    /// # Panics
    /// If it does not come to its end.
    pub async fn establish(&mut self) -> SessionId {
        loop {
            match self.event().await.expect("a key exchange") {
                Event::Established(session) => return session,
                Event::PeerExtensions => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message for the layers above.
    ///
    /// # Panics
    /// If something else comes.
    pub async fn payload(&mut self) -> Vec<u8> {
        loop {
            match self.event().await.expect("a message") {
                Event::Payload(payload) => return payload.bytes().to_vec(),
                Event::PeerExtensions | Event::Rekeyed => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The next message with this number; others are passed over.
    pub async fn payload_with(&mut self, number: u8) -> Vec<u8> {
        loop {
            let payload = self.payload().await;
            if payload.first() == Some(&number) {
                return payload;
            }
        }
    }

    /// The reason of the other side's good-bye; none if the stream ends without one.
    pub async fn goodbye(&mut self) -> Option<DisconnectReason> {
        loop {
            if let Event::Disconnected(goodbye) = self.event().await? {
                return Some(goodbye.reason);
            }
        }
    }

    /// As a server: the first key exchange, and the first request to be let in is granted.
    pub async fn let_in(&mut self) {
        self.accept_service().await;
        self.payload_with(50).await;
        self.send(&UserauthSuccess {}).await;
    }

    /// As a server: the first key exchange, and the service of authentication.
    pub async fn accept_service(&mut self) {
        self.establish().await;
        self.payload_with(5).await;
        self.send(&ServiceAccept { service: USERAUTH_SERVICE }).await;
    }

    /// As a client: logs in with a password.
    pub async fn log_in(&mut self, user: &str, password: &str) {
        self.establish().await;
        self.send(&ServiceRequest { service: USERAUTH_SERVICE }).await;
        let method = MethodRequest::Password { password: password.as_bytes() };
        self.send(&UserauthRequest { user, service: CONNECTION_SERVICE, method }).await;
        self.payload_with(52).await;
    }
}
