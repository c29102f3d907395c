//! Fuzz targets of the whole session: bytes against either role, and the two against each other.

use std::sync::Arc;

use ssh_auth::client::AuthEvent;
use ssh_connection::{ChannelId, IncomingChannel, MuxEvent, ReadChunk, Request, Stream};
use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{Config, Inbound};
use ssh_wire::Time;

use crate::session::{Session, SessionEvent};

/// A target: takes any bytes and panics if something is wrong.
pub type Target = fn(&[u8]);

/// The targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("session_client", session_client),
    ("session_server", session_server),
    ("session_pair", session_pair),
];

/// What flows in `session_pair`, in each direction.
const VOLUME: usize = 48 * 1024;

/// Steps after which a pair that makes no progress counts as hanging.
const MAX_STEPS: usize = 20_000;

/// A server that says anything.
pub fn session_client(data: &[u8]) {
    feed(Side::client(1), data);
}

/// A client that says anything.
pub fn session_server(data: &[u8]) {
    feed(Side::server(1), data);
}

fn feed(mut side: Side, data: &[u8]) {
    let (schedule, bytes) = data.split_at_checked(8).unwrap_or((&[], data));
    let mut cuts = schedule.iter().cycle();
    let mut rest = bytes;
    while !rest.is_empty() {
        let len = cuts.next().map_or(64, |cut| usize::from(*cut).saturating_add(1)).min(rest.len());
        let (now, later) = rest.split_at(len);
        rest = later;
        if side.receive(now).is_err() {
            // The goodbye is in the output, and nothing is taken from now on.
            let ended = side.session.transport().error().is_some();
            assert!(ended, "a session goes on after an error");
            return;
        }
        side.sent.clear();
    }
}

/// Client and server against each other. The input is the schedule: who gets how many of the
/// bytes on their way, when keys are exchanged anew. Whatever it is, everything that is sent
/// arrives, in order.
///
/// # Panics
/// If it does not.
pub fn session_pair(data: &[u8]) {
    let (mut client, mut server) = (Side::client(2), Side::server(3));
    let mut ops = data.iter().copied().chain(core::iter::repeat(0xff));
    for step in 0..MAX_STEPS {
        if client.received.len() == VOLUME && server.received.len() == VOLUME {
            assert!(client.received.iter().enumerate().all(|(i, byte)| *byte == pattern(i)));
            assert!(server.received.iter().enumerate().all(|(i, byte)| *byte == pattern(i)));
            return;
        }
        let op = ops.next().unwrap_or(0xff);
        let (from, to) =
            if op & 1 == 0 { (&mut client, &mut server) } else { (&mut server, &mut client) };
        match op & 0x0e {
            // Before the login is over, more than a few are not honest.
            2 if step % 16 == 0 && from.session.connection().is_some() => {
                from.session.transport_mut().rekey(from.now);
            }
            4 => from.now = later(from.now),
            _ => {}
        }
        let (from, to) = if op == 0xff && step % 2 == 0 { (to, from) } else { (from, to) };
        from.act();
        let len = match op {
            0xff => from.sent.len(),
            _ => from.sent.len().min(usize::from(op).saturating_mul(16)),
        };
        let bytes: Vec<u8> = from.sent.drain(..len).collect();
        let received = to.receive(&bytes);
        assert!(received.is_ok(), "two honest sides fell out: {received:?}");
    }
    panic_free_hang(client.received.len(), server.received.len());
}

fn panic_free_hang(client: usize, server: usize) {
    assert!(
        client == VOLUME && server == VOLUME,
        "the pair hangs: client has {client}, server {server} of {VOLUME} bytes"
    );
}

/// A second later.
fn later(now: Time) -> Time {
    Time::from_epoch(now.since_epoch().saturating_add(core::time::Duration::from_secs(1)))
}

/// The byte at a place of what is sent.
fn pattern(i: usize) -> u8 {
    u8::try_from(i % 251).unwrap_or(0)
}

/// One side with what it wants: the client opens a session and runs something, the server lets
/// it; then both send and receive [`VOLUME`] bytes.
struct Side {
    session: Session,
    inbound: Inbound,
    now: Time,
    sent: Vec<u8>,
    channel: Option<ChannelId>,
    open: bool,
    written: usize,
    received: Vec<u8>,
    is_client: bool,
}

impl Side {
    fn client(seed: u64) -> Self {
        let (session, inbound) = Session::client(
            Arc::new(Config::default()),
            "user",
            ssh_connection::Limits::default(),
            Box::new(SeededRng::new(seed)),
            Time::ZERO,
        );
        Self::new(session, inbound, true)
    }

    fn server(seed: u64) -> Self {
        let mut config = Config::default();
        config.host_keys.extend(PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(9)));
        let methods = ssh_auth::server::MethodSet::EMPTY.with(ssh_auth::method::Method::None);
        let (session, inbound) = Session::server(
            Arc::new(config),
            methods,
            ssh_auth::server::Limits::default(),
            ssh_connection::Limits::default(),
            Box::new(SeededRng::new(seed)),
            Time::ZERO,
        );
        Self::new(session, inbound, false)
    }

    const fn new(session: Session, inbound: Inbound, is_client: bool) -> Self {
        Self {
            session,
            inbound,
            now: Time::ZERO,
            sent: Vec::new(),
            channel: None,
            open: false,
            written: 0,
            received: Vec::new(),
            is_client,
        }
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<(), crate::Error> {
        self.inbound.buffer().extend_from_slice(bytes);
        let result = self.handle_all();
        self.act();
        result
    }

    fn handle_all(&mut self) -> Result<(), crate::Error> {
        loop {
            let received = match self.inbound.next() {
                Ok(Some(received)) => received,
                Ok(None) => return Ok(()),
                Err(error) => {
                    self.session.transport_mut().fail(error.clone());
                    return Err(error.into());
                }
            };
            let mut event = self.session.handle(received, &mut self.inbound, self.now)?;
            while let Some(happened) = event.take() {
                event = self.on_event(happened)?;
            }
            self.on_channels();
        }
    }

    fn on_event(&mut self, event: SessionEvent) -> Result<Option<SessionEvent>, crate::Error> {
        match event {
            SessionEvent::HostKey(offer) => self.session.answer_host_key(offer.trust(), self.now),
            SessionEvent::AuthReady | SessionEvent::Auth(AuthEvent::Failed { .. }) => {
                if let Some((auth, out)) = self.session.authenticator() {
                    // A server that refuses too often makes this an error of ours.
                    auth.try_none(out).ok();
                }
                Ok(None)
            }
            SessionEvent::AuthQuestion(question) => self.session.accept(question),
            SessionEvent::Authenticated if self.is_client => {
                if let Some((mux, out)) = self.session.connection() {
                    self.channel = mux.open_session(self.now, out).ok();
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    fn on_channels(&mut self) {
        let now = self.now;
        let Some((mux, out)) = self.session.connection() else { return };
        while let Some(event) = mux.poll() {
            match event {
                MuxEvent::Opened(id) => {
                    let request = Request::Exec(b"run".as_slice().into());
                    self.open = mux.request(id, &request, true, out).is_ok();
                }
                MuxEvent::Incoming(channel) => {
                    let incoming: IncomingChannel = channel;
                    self.channel = mux.accept(incoming, now, out);
                }
                MuxEvent::Request(_, request, token) => {
                    self.open |= matches!(request, Request::Exec(_));
                    if let Some(token) = token {
                        mux.reply(token, true, out);
                    }
                }
                _ => {}
            }
        }
        let Some(id) = self.channel else { return };
        while let ReadChunk::Data(bytes) = mux.read_chunk(id, Stream::Data, now, out) {
            self.received.extend_from_slice(&bytes);
        }
    }

    /// Writes what there is room for, and takes the output.
    fn act(&mut self) {
        if let (Some(id), true, Some((mux, out))) =
            (self.channel, self.open, self.session.connection())
        {
            let rest: Vec<u8> = (self.written..VOLUME).map(pattern).collect();
            if let Ok(n) = mux.write(id, Stream::Data, &[&rest], out) {
                self.written = self.written.saturating_add(n);
            }
            mux.data_room_returned();
        }
        self.on_channels();
        let mut out = Vec::new();
        self.session.take_output(&mut out);
        self.sent.append(&mut out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_comes_through_under_any_schedule() {
        session_pair(&[]);
        let mut rng = SeededRng::new(77);
        for _ in 0..20 {
            let mut schedule = [0; 4096];
            ssh_crypto::rng::Rng::fill(&mut rng, &mut schedule);
            session_pair(&schedule);
        }
    }
}
