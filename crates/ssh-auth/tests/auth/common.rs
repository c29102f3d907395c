//! A client and a server connected by two lists of messages.

use ssh_auth::{
    AuthError,
    client::{AuthEvent, Authenticator},
    method::{Method, MethodSet},
    server::{Acceptor, Limits, ServerAuthEvent},
};
use ssh_crypto::{Secret, rng::SeededRng};
use ssh_keys::{PrivateKey, algorithm::KeyType};
use ssh_wire::proof::SessionId;

pub(crate) fn session() -> SessionId {
    SessionId::of_trusted_exchange(&[7; 32])
}

pub(crate) fn key(key_type: KeyType, seed: u64) -> PrivateKey {
    PrivateKey::generate(key_type, &mut SeededRng::new(seed)).unwrap()
}

pub(crate) fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

pub(crate) fn methods(methods: &[Method]) -> MethodSet {
    methods.iter().copied().collect()
}

pub(crate) fn both() -> MethodSet {
    methods(&[Method::PublicKey, Method::Password])
}

/// What the server's application does with each event.
type App = dyn FnMut(&mut Acceptor, ServerAuthEvent, &mut Vec<Vec<u8>>) -> Result<(), AuthError>;

pub(crate) struct Pair {
    pub(crate) client: Authenticator,
    pub(crate) server: Acceptor,
    pub(crate) to_server: Vec<Vec<u8>>,
    pub(crate) to_client: Vec<Vec<u8>>,
    app: Box<App>,
}

impl Pair {
    pub(crate) fn new(
        methods: MethodSet,
        app: impl FnMut(&mut Acceptor, ServerAuthEvent, &mut Vec<Vec<u8>>) -> Result<(), AuthError>
        + 'static,
    ) -> Self {
        let mut to_server = Vec::new();
        Self {
            client: Authenticator::new("alice", &session(), None, &mut to_server),
            server: Acceptor::new(&session(), Limits::default(), methods),
            to_server,
            to_client: Vec::new(),
            app: Box::new(app),
        }
    }

    /// Delivers until nothing is under way; the client's events and how the server fared.
    pub(crate) fn run(&mut self) -> (Vec<AuthEvent>, Result<(), AuthError>) {
        let mut events = Vec::new();
        while !self.to_server.is_empty() || !self.to_client.is_empty() {
            for payload in core::mem::take(&mut self.to_server) {
                let mut event = match self.server.handle(&payload, &mut self.to_client) {
                    Ok(event) => event,
                    Err(error) => return (events, Err(error)),
                };
                while let Some(happened) = event {
                    if let Err(error) = (self.app)(&mut self.server, happened, &mut self.to_client)
                    {
                        return (events, Err(error));
                    }
                    event = self.server.poll(&mut self.to_client).unwrap();
                }
            }
            for payload in core::mem::take(&mut self.to_client) {
                events.extend(self.client.handle(&payload, &mut self.to_server).unwrap());
            }
        }
        (events, Ok(()))
    }

    /// Delivers, and gives the one event that comes of it.
    pub(crate) fn event(&mut self) -> AuthEvent {
        let (mut events, server) = self.run();
        server.unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }
}
