//! The whole of SSH without I/O: the three layers in one value.
//!
//! A [`Session`] is the transport, then authentication, then the connection protocol, each begun
//! by the proof that the one before has ended. It takes bytes, the time and randomness, and gives
//! bytes, events and one deadline. The tokio client and server of this crate are loops around
//! it; `examples/sans_io_loop.rs` is another one, with a blocking socket.
//!
//! ```text
//! socket ──► Inbound::buffer ─ Inbound::next ─► Session::handle ─► SessionEvent
//! socket ◄── Session::take_output ◄─ Session::{authenticator, connection, …}
//! ```
//!
//! [`Inbound`] is a value of its own, so that whoever reads the socket decrypts without holding a
//! lock that others need for writing.

use core::time::Duration;
use std::sync::Arc;

use ssh_auth::{client, server};
use ssh_connection::{
    Mux,
    message::{ConnectionMessage, GlobalRequest, RequestFailure, RequestSuccess},
};
use ssh_crypto::rng::Rng;
use ssh_keys::{PrivateKey, PublicKey, SignatureAlgorithm};
use ssh_transport::{
    Config, Event, HostKeyOffer, HostKeyTrusted, Inbound, Payload, Received, Transport,
};
use ssh_wire::{
    DisconnectReason, Layer, Message as _, Outbox as _, PeerText, Rest, Time, proof::SessionId,
};

use crate::{
    error::{Error, PeerMisbehaved, Phase},
    host_key_news,
};

/// Which side of the connection this is.
pub use ssh_connection::Role;

/// How long everything from the first byte to the end of authentication may take, unless
/// [`Session::set_login_timeout`] says otherwise: a peer that stops half-way must not be waited for
/// for ever. As OpenSSH's `LoginGraceTime`.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(120);

/// One SSH connection, client or server, as a state machine.
#[derive(Debug)]
pub struct Session {
    began: Time,
    /// How long everything up to the end of authentication may take.
    login_timeout: Option<Duration>,
    transport: Transport,
    stage: Stage,
    start: Start,
    limits: ssh_connection::Limits,
    /// Of the first key exchange.
    session_id: Option<SessionId>,
    /// Server: the keys that it is known by.
    host_keys: Vec<PrivateKey>,
    /// How often the peer has told its host keys, or wanted ours proved.
    host_key_news: u32,
}

/// What authentication needs when the first key exchange is over.
#[derive(Debug)]
enum Start {
    Client { user: String, algorithms: Vec<(SignatureAlgorithm, bool)> },
    Server { methods: server::MethodSet, limits: server::Limits, banner: String },
}

/// The protocol that is spoken above the transport now.
#[derive(Debug)]
enum Stage {
    KeyExchange,
    ClientAuth(Box<client::Authenticator>),
    ServerAuth(Box<server::Acceptor>),
    Connected(Box<Mux>),
}

/// What happened, and wants somebody's attention.
#[derive(Debug)]
#[non_exhaustive]
pub enum SessionEvent {
    /// Client: the server proved that it holds this key. Whether it is the right host's is to be
    /// answered with [`Session::answer_host_key`] or [`Session::refuse_host_key`].
    HostKey(HostKeyOffer),
    /// Client: the channel is encrypted and the host trusted; [`Session::authenticator`] is there.
    AuthReady,
    /// Client: news from authentication.
    Auth(client::AuthEvent),
    /// Server: somebody wants in. To be answered with [`Session::accept`],
    /// [`Session::accept_partially`] or [`Session::reject`].
    AuthQuestion(server::AuthQuestion),
    /// Server: a request to be let in was refused without a question, for logs.
    AuthRefused(server::Refusal),
    /// Authentication has ended well; [`Session::connection`] is there.
    Authenticated,
    /// Client: the server has told all keys that it is known by, or is going to be (OpenSSH's
    /// `PROTOCOL` §2.5). Comes at most once. Nothing is proved yet.
    HostKeys(Vec<PublicKey>),
    /// A key exchange after the first one is complete.
    Rekeyed,
    /// The peer said good-bye.
    Disconnected(ssh_transport::Disconnect),
    /// A message for the log (RFC 4253 §11.3).
    Debug {
        /// The peer thinks that it should be shown to the user.
        always_display: bool,
        /// The message.
        text: PeerText,
    },
}

impl Session {
    /// Begins a connection as its client. Identification and first KEXINIT are in the output.
    #[must_use]
    pub fn client(
        config: Arc<Config>,
        user: &str,
        limits: ssh_connection::Limits,
        rng: Box<dyn Rng>,
        now: Time,
    ) -> (Self, Inbound) {
        let mut algorithms = Vec::new();
        for algorithm in config.preferences.user_keys().as_slice() {
            // An algorithm may have two names.
            let algorithm = (algorithm.signature(), algorithm.is_certificate());
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        let (transport, inbound) = Transport::client(config, rng, now);
        let start = Start::Client { user: user.to_owned(), algorithms };
        (Self::new(transport, start, limits, Vec::new(), now), inbound)
    }

    /// Begins a connection as its server. Identification and first KEXINIT are in the output.
    #[must_use]
    pub fn server(
        config: Arc<Config>,
        methods: server::MethodSet,
        auth_limits: server::Limits,
        limits: ssh_connection::Limits,
        rng: Box<dyn Rng>,
        now: Time,
    ) -> (Self, Inbound) {
        let host_keys = config.host_keys.clone();
        let (transport, inbound) = Transport::server(config, rng, now);
        let start = Start::Server { methods, limits: auth_limits, banner: String::new() };
        (Self::new(transport, start, limits, host_keys, now), inbound)
    }

    const fn new(
        transport: Transport,
        start: Start,
        limits: ssh_connection::Limits,
        host_keys: Vec<PrivateKey>,
        now: Time,
    ) -> Self {
        Self {
            began: now,
            login_timeout: Some(LOGIN_TIMEOUT),
            transport,
            stage: Stage::KeyExchange,
            start,
            limits,
            session_id: None,
            host_keys,
            host_key_news: 0,
        }
    }

    /// How long everything from the beginning of the session to the end of authentication may
    /// take; [`LOGIN_TIMEOUT`] unless said. With `None` there is no end: that is for those who
    /// count the time themselves, without that which a person takes to answer.
    pub const fn set_login_timeout(&mut self, timeout: Option<Duration>) {
        self.login_timeout = timeout;
    }

    /// When the peer is left unless authentication has ended.
    #[expect(clippy::arithmetic_side_effects, reason = "the addition of `Time` saturates")]
    fn login_deadline(&self) -> Option<Time> {
        let waits = self.transport.error().is_none() && !matches!(self.stage, Stage::Connected(_));
        self.login_timeout.filter(|_| waits).map(|timeout| self.began + timeout)
    }

    /// Handles one thing that [`Inbound::next`] gave.
    ///
    /// # Errors
    /// Whatever ends the connection. A fitting `SSH_MSG_DISCONNECT` is then in the output.
    pub fn handle(
        &mut self,
        received: Received,
        inbound: &mut Inbound,
        now: Time,
    ) -> Result<Option<SessionEvent>, Error> {
        let event = self.transport.handle(received, inbound, now)?;
        self.on_transport_event(event, now)
    }

    fn on_transport_event(
        &mut self,
        event: Option<Event>,
        now: Time,
    ) -> Result<Option<SessionEvent>, Error> {
        let Some(event) = event else { return Ok(None) };
        Ok(match event {
            Event::HostKey(offer) => Some(SessionEvent::HostKey(offer)),
            Event::Established(session_id) => {
                self.session_id = Some(session_id.clone());
                match &self.start {
                    Start::Client { user, algorithms } => {
                        let taken = self.transport.server_sig_algs().map(<[_]>::to_vec);
                        let out = &mut self.transport;
                        let mut auth = client::Authenticator::new(user, &session_id, taken, out);
                        auth.allow_only(algorithms.clone());
                        self.stage = Stage::ClientAuth(Box::new(auth));
                        Some(SessionEvent::AuthReady)
                    }
                    Start::Server { methods, limits, banner } => {
                        let mut acceptor = server::Acceptor::new(&session_id, *limits, *methods);
                        if !banner.is_empty() {
                            acceptor.banner(banner, &mut self.transport);
                        }
                        self.stage = Stage::ServerAuth(Box::new(acceptor));
                        None
                    }
                }
            }
            Event::PeerExtensions => {
                if let (Stage::ClientAuth(auth), Some(algorithms)) =
                    (&mut self.stage, self.transport.server_sig_algs())
                {
                    auth.set_server_sig_algs(algorithms.to_vec());
                }
                None
            }
            Event::Payload(payload) => self.on_payload(payload, now)?,
            Event::Rekeyed => Some(SessionEvent::Rekeyed),
            Event::Disconnected(disconnect) => Some(SessionEvent::Disconnected(disconnect)),
            Event::Debug { always_display, text } => {
                Some(SessionEvent::Debug { always_display, text })
            }
            _ => None,
        })
    }

    /// Gives a payload to the layer that owns its number, if that layer is there (RFC 4250 §4.1).
    fn on_payload(&mut self, payload: Payload, now: Time) -> Result<Option<SessionEvent>, Error> {
        let number = payload.number();
        if number == GlobalRequest::NUMBER
            && matches!(self.stage, Stage::Connected(_))
            && let Some(event) = self.on_host_key_news(payload.bytes())
        {
            return Ok(event);
        }
        let result = match (Layer::of(number), &mut self.stage) {
            // SERVICE_REQUEST and SERVICE_ACCEPT belong to the transport's numbers and to
            // authentication's meaning.
            (Layer::Transport | Layer::Auth, Stage::ClientAuth(auth)) => {
                return match auth.handle(payload.bytes(), &mut self.transport) {
                    Ok(Some(client::AuthEvent::Success(proof))) => {
                        let limits = self.limits.clone();
                        self.stage =
                            Stage::Connected(Box::new(Mux::new(proof, Role::Client, limits)));
                        Ok(Some(SessionEvent::Authenticated))
                    }
                    Ok(event) => Ok(event.map(SessionEvent::Auth)),
                    Err(error) => Err(self.fail(error.into())),
                };
            }
            (Layer::Transport | Layer::Auth, Stage::ServerAuth(acceptor)) => {
                return match acceptor.handle(payload.bytes(), &mut self.transport) {
                    Ok(event) => Ok(event.and_then(server_event)),
                    Err(error) => Err(self.fail(error.into())),
                };
            }
            (Layer::Connection, Stage::Connected(mux)) if ConnectionMessage::has_number(number) => {
                mux.handle(payload.into_bytes(), now, &mut self.transport).map_err(Error::from)
            }
            // RFC 4252 §5.1: requests after success are silently ignored; by a client, a banner
            // that was under way.
            (Layer::Auth, Stage::Connected(_))
                if matches!(
                    (number, &self.start),
                    (50, Start::Server { .. }) | (53, Start::Client { .. })
                ) =>
            {
                Ok(())
            }
            (Layer::Connection, Stage::Connected(_)) | (Layer::Unassigned, _) => {
                self.transport.unimplemented(&payload);
                Ok(())
            }
            (layer, _) => Err(Error::PeerMisbehaved(PeerMisbehaved::WrongPhase { number, layer })),
        };
        result.map(|()| None).map_err(|error| self.fail(error))
    }

    /// The two global requests that are about host keys; `None` for all others.
    fn on_host_key_news(&mut self, payload: &[u8]) -> Option<Option<SessionEvent>> {
        let GlobalRequest { name, want_reply, data } = GlobalRequest::parse(payload).ok()?;
        match (&self.start, name) {
            (Start::Client { .. }, host_key_news::ANNOUNCE) if !want_reply => {
                self.host_key_news = self.host_key_news.saturating_add(1);
                let keys = (self.host_key_news == 1).then(|| host_key_news::parse(data.0));
                Some(keys.flatten().map(SessionEvent::HostKeys))
            }
            (Start::Server { .. }, host_key_news::PROVE) if want_reply => {
                self.host_key_news = self.host_key_news.saturating_add(1);
                let may = self.host_key_news <= host_key_news::MAX_PROOFS;
                let session = self.session_id.as_ref().filter(|_| may);
                let proofs = session
                    .and_then(|session| host_key_news::prove(&self.host_keys, session, data.0));
                match proofs {
                    Some(proofs) => self.transport.send(&RequestSuccess { data: Rest(&proofs) }),
                    None => self.transport.send(&RequestFailure {}),
                }
                Some(None)
            }
            _ => None,
        }
    }

    /// The session identifier, once the first key exchange is over (RFC 4253 §7.2).
    #[must_use]
    pub const fn id(&self) -> Option<&SessionId> {
        self.session_id.as_ref()
    }

    /// Server: tells the client all keys that the server is known by, so that it can learn those it
    /// does not know yet. To be called once, after [`SessionEvent::Authenticated`].
    pub fn announce_host_keys(&mut self) {
        if let (Stage::Connected(mux), Start::Server { .. }) = (&mut self.stage, &self.start) {
            let keys = host_key_news::blobs(self.host_keys.iter().map(PrivateKey::public));
            mux.global_request(host_key_news::ANNOUNCE, &keys, false, &mut self.transport);
        }
    }

    /// Queues the DISCONNECT that fits `error`.
    fn fail(&mut self, error: Error) -> Error {
        if let Some(reason) = error.disconnect() {
            self.transport.disconnect(reason, &error.to_string());
        }
        error
    }

    /// Client: goes on with a host whose key was accepted.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn answer_host_key(
        &mut self,
        trusted: HostKeyTrusted,
        now: Time,
    ) -> Result<Option<SessionEvent>, Error> {
        let event = self.transport.answer_host_key(trusted)?;
        self.on_transport_event(event, now)
    }

    /// Client: ends the connection with a host whose key is not accepted.
    pub fn refuse_host_key(&mut self, offer: HostKeyOffer) {
        self.transport.refuse_host_key(offer);
    }

    /// Client: the authentication in progress and the outbox it speaks through.
    pub fn authenticator(&mut self) -> Option<(&mut client::Authenticator, &mut Transport)> {
        match &mut self.stage {
            Stage::ClientAuth(auth) => Some((auth, &mut self.transport)),
            _ => None,
        }
    }

    /// Server: lets the user in, or asks a client that showed a key without a signature to sign.
    /// The connection protocol begins with [`SessionEvent::Authenticated`].
    ///
    /// # Errors
    /// As [`Self::handle`]: requests that came in the meantime are handled.
    pub fn accept(
        &mut self,
        question: server::AuthQuestion,
    ) -> Result<Option<SessionEvent>, Error> {
        let Stage::ServerAuth(acceptor) = &mut self.stage else { return Ok(None) };
        let Some(proof) = acceptor.accept(question, &mut self.transport) else {
            return self.poll_acceptor();
        };
        self.stage = Stage::Connected(Box::new(Mux::new(proof, Role::Server, self.limits.clone())));
        Ok(Some(SessionEvent::Authenticated))
    }

    /// Server: yes, and more is needed: one of the methods in `remaining`.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn accept_partially(
        &mut self,
        question: server::AuthQuestion,
        remaining: server::MethodSet,
    ) -> Result<Option<SessionEvent>, Error> {
        if let Stage::ServerAuth(acceptor) = &mut self.stage {
            acceptor.accept_partially(question, remaining, &mut self.transport);
        }
        self.poll_acceptor()
    }

    /// Server: no.
    ///
    /// # Errors
    /// As [`Self::accept`], and a client that has failed too often.
    pub fn reject(
        &mut self,
        question: server::AuthQuestion,
    ) -> Result<Option<SessionEvent>, Error> {
        if let Stage::ServerAuth(acceptor) = &mut self.stage
            && let Err(error) = acceptor.reject(question, &mut self.transport)
        {
            return Err(self.fail(error.into()));
        }
        self.poll_acceptor()
    }

    /// Server: what became of requests that the client sent ahead while a question was open. To be
    /// called after each answer, until there is nothing more.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub fn poll_acceptor(&mut self) -> Result<Option<SessionEvent>, Error> {
        let Stage::ServerAuth(acceptor) = &mut self.stage else { return Ok(None) };
        match acceptor.poll(&mut self.transport) {
            Ok(event) => Ok(event.and_then(server_event)),
            Err(error) => Err(self.fail(error.into())),
        }
    }

    /// Server: text for the user to read before the login ends (RFC 4252 §5.4). It is sent as soon
    /// as the protocol allows; after the login it is dropped.
    pub fn banner(&mut self, text: &str) {
        match (&mut self.stage, &mut self.start) {
            (Stage::KeyExchange, Start::Server { banner, .. }) => banner.push_str(text),
            (Stage::ServerAuth(acceptor), _) => acceptor.banner(text, &mut self.transport),
            _ => {}
        }
    }

    /// The channels, once authentication has ended well, and the outbox they speak through.
    pub fn connection(&mut self) -> Option<(&mut Mux, &mut Transport)> {
        match &mut self.stage {
            Stage::Connected(mux) => Some((mux, &mut self.transport)),
            _ => None,
        }
    }

    /// The transport: what was negotiated, rekeying, disconnecting.
    #[must_use]
    pub const fn transport(&self) -> &Transport {
        &self.transport
    }

    /// The transport, to make it do something.
    pub const fn transport_mut(&mut self) -> &mut Transport {
        &mut self.transport
    }

    /// Swaps the bytes that are to be written to the socket against `spare`, which is cleared.
    pub fn take_output(&mut self, spare: &mut Vec<u8>) {
        self.transport.take_output(spare);
    }

    /// When [`Self::tick`] wants to be called, at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.transport.deadline().into_iter().chain(self.login_deadline()).min()
    }

    /// Does what is due: rekeying by time, giving up on a login or a key exchange that does not
    /// end.
    ///
    /// # Errors
    /// As [`Self::handle`]; [`Error::TimedOut`] for a login.
    pub fn tick(&mut self, now: Time) -> Result<(), Error> {
        if self.login_deadline().is_some_and(|deadline| deadline <= now) {
            let phase = match self.stage {
                Stage::KeyExchange => Phase::KeyExchange,
                _ => Phase::Authentication,
            };
            let text = "the time for logging in is over";
            self.transport.disconnect(DisconnectReason::BY_APPLICATION, text);
            return Err(Error::TimedOut(phase, self.login_timeout.unwrap_or_default()));
        }
        self.transport.tick(now).map_err(Error::from)
    }

    /// Says good-bye. What is queued is still to be written to the socket.
    pub fn disconnect(&mut self, reason: DisconnectReason, text: &str) {
        self.transport.disconnect(reason, text);
    }
}

fn server_event(event: server::ServerAuthEvent) -> Option<SessionEvent> {
    match event {
        server::ServerAuthEvent::Request(question) => Some(SessionEvent::AuthQuestion(question)),
        server::ServerAuthEvent::Refused(refusal) => Some(SessionEvent::AuthRefused(refusal)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_crypto::rng::SeededRng;

    fn second(n: u64) -> Time {
        Time::from_epoch(Duration::from_secs(n))
    }

    fn client(began: Time) -> Session {
        let (rng, limits) = (Box::new(SeededRng::new(1)), ssh_connection::Limits::default());
        Session::client(Arc::new(Config::default()), "alice", limits, rng, began).0
    }

    #[test]
    fn a_peer_that_does_not_get_to_the_end_of_the_login_is_left() {
        let mut session = client(second(10));
        assert_eq!(session.deadline(), Some(second(130)));
        let mut out = Vec::new();
        session.take_output(&mut out);
        assert!(session.tick(second(129)).is_ok());
        let error = session.tick(second(130)).unwrap_err();
        assert!(matches!(error, Error::TimedOut(Phase::KeyExchange, LOGIN_TIMEOUT)), "{error}");
        assert!(session.transport().pending_output() > 0, "the peer is not told");
        assert_eq!(session.deadline(), None);
        assert!(session.tick(second(131)).is_err());
    }

    #[test]
    fn the_time_for_the_login_can_be_set_and_left_to_others() {
        let mut session = client(second(0));
        session.set_login_timeout(Some(Duration::from_secs(7)));
        assert_eq!(session.deadline(), Some(second(7)));
        session.set_login_timeout(None);
        assert_eq!(session.deadline(), None);
        assert!(session.tick(second(1_000_000)).is_ok());
    }
}
