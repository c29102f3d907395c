//! A client and a server in memory, for tests and fuzzing.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};

use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_wire::{Outbox, Rest, Time};

use crate::{Config, Disconnect, Error, Event, HostKeyOffer, Inbound, Received, Role, Transport};

/// One side of a connection.
pub(crate) struct Side {
    pub(crate) transport: Transport,
    pub(crate) inbound: Inbound,
    /// Payloads for the layers above.
    pub(crate) payloads: Vec<Vec<u8>>,
    /// Other events by name, in order.
    pub(crate) events: Vec<&'static str>,
    pub(crate) session: Option<Vec<u8>>,
    pub(crate) goodbye: Option<Disconnect>,
    pub(crate) error: Option<Error>,
    /// The host key that waits for a verdict, if it is not trusted at once.
    pub(crate) offer: Option<HostKeyOffer>,
    pub(crate) trusts: bool,
    /// Whether the last message of a trusted host led to an established connection.
    pub(crate) trusted: bool,
}

impl Side {
    pub(crate) fn new(role: Role, config: Config, seed: u64, now: Time) -> Self {
        let rng = Box::new(SeededRng::new(seed));
        let config = Arc::new(config);
        let (transport, inbound) = match role {
            Role::Client => Transport::client(config, rng, now),
            Role::Server => Transport::server(config, rng, now),
        };
        Self {
            transport,
            inbound,
            payloads: Vec::new(),
            events: Vec::new(),
            session: None,
            goodbye: None,
            error: None,
            offer: None,
            trusts: true,
            trusted: false,
        }
    }

    /// Takes in one thing that has arrived. False if there was none, or the connection is over.
    pub(crate) fn step(&mut self, now: Time) -> bool {
        match self.inbound.next() {
            Ok(Some(received)) => self.handle(received, now),
            Ok(None) => return false,
            Err(error) => {
                self.transport.fail(error);
                // The first error stays: the peer may have said goodbye before its nonsense.
                self.error = self.transport.error().cloned();
            }
        }
        self.error.is_none()
    }

    /// Hands something to the transport.
    pub(crate) fn handle(&mut self, received: Received, now: Time) {
        let result = self.transport.handle(received, &mut self.inbound, now);
        self.result(result);
    }

    fn result(&mut self, result: Result<Option<Event>, Error>) {
        match result {
            Ok(Some(event)) => self.event(event),
            Ok(None) => {}
            Err(error) => self.error = Some(error),
        }
    }

    fn event(&mut self, event: Event) {
        self.events.push(match event {
            Event::HostKey(offer) => {
                if self.trusts {
                    self.trust(offer);
                } else {
                    self.offer = Some(offer);
                }
                return;
            }
            Event::Payload(payload) => {
                self.payloads.push(payload.bytes().to_vec());
                return;
            }
            Event::Established(session) => {
                self.session = Some(session.as_bytes().to_vec());
                "Established"
            }
            Event::Disconnected(goodbye) => {
                self.goodbye = Some(goodbye);
                "Disconnected"
            }
            Event::PeerExtensions => "PeerExtensions",
            Event::Rekeyed => "Rekeyed",
            Event::Debug { .. } => "Debug",
            Event::Pong(_) => "Pong",
        });
    }

    pub(crate) fn trust(&mut self, offer: HostKeyOffer) {
        self.trusted = true;
        let result = self.transport.answer_host_key(offer.trust());
        self.result(result);
    }

    /// Takes in everything that has arrived.
    pub(crate) fn steps(&mut self, now: Time) {
        while self.step(now) {}
    }

    /// Feeds bytes, as pieces of at most `piece` bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8], piece: usize, now: Time) {
        for part in bytes.chunks(piece.max(1)) {
            self.inbound.buffer().extend_from_slice(part);
            self.steps(now);
        }
    }

    pub(crate) fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.transport.take_output(&mut out);
        out
    }

    pub(crate) fn send(&mut self, payload: &[u8]) {
        self.transport.send(&Rest(payload));
    }
}

/// A client and a server.
pub(crate) struct Pair {
    pub(crate) client: Side,
    pub(crate) server: Side,
    pub(crate) now: Time,
    /// The most bytes that arrive at once.
    pub(crate) piece: usize,
}

impl Pair {
    pub(crate) fn new(client: Config, server: Config) -> Self {
        let now = Time::ZERO;
        Self {
            client: Side::new(Role::Client, client, 1, now),
            server: Side::new(Role::Server, server, 2, now),
            now,
            piece: usize::MAX,
        }
    }

    /// With the configuration of `edit` on both sides, and an Ed25519 host key.
    pub(crate) fn with(edit: impl Fn(&mut Config)) -> Self {
        let mut client = Config::default();
        edit(&mut client);
        let mut server = client.clone();
        server.host_keys = host_keys();
        Self::new(client, server)
    }

    pub(crate) const fn side(&mut self, role: Role) -> &mut Side {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }
}

#[cfg(test)]
impl Pair {
    /// Carries what `to`'s peer has sent; `to` does nothing with it yet.
    pub(crate) fn carry(&mut self, to: Role) -> bool {
        let bytes = self.side(to.other()).output();
        self.side(to).inbound.buffer().extend_from_slice(&bytes);
        !bytes.is_empty()
    }

    /// Carries what `to`'s peer has sent and lets `to` take it in.
    pub(crate) fn deliver(&mut self, to: Role) -> bool {
        let bytes = self.side(to.other()).output();
        let (piece, now) = (self.piece, self.now);
        self.side(to).feed(&bytes, piece, now);
        !bytes.is_empty()
    }

    /// Carries bytes both ways until there are none.
    pub(crate) fn run(&mut self) {
        while self.deliver(Role::Server) | self.deliver(Role::Client) {}
    }
}

/// An Ed25519 host key, always the same.
pub(crate) fn host_keys() -> Vec<PrivateKey> {
    let key = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(9));
    key.map_or_else(|_| Vec::new(), |key| vec![key])
}
