//! A whole session in memory: key exchange, login, a channel, and data both ways.

use std::sync::Arc;

use chiton::session::{Session, SessionEvent};
use ssh_connection::{ChannelId, MuxEvent, ReadChunk, Request, Stream};
use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{Config, Inbound};
use ssh_wire::Time;

use crate::{Done, check};

/// Sent in each direction, in bytes.
const TOTAL: usize = 8 << 20;

pub(crate) fn both_ways() -> Done {
    let (mut client, mut server) = (Side::client(), Side::server()?);
    while (client.came, server.came) != (TOTAL, TOTAL) {
        let moved = client.act() + server.act();
        check(moved > 0, "nothing moves")?;
        server.receive(&mut client.wire)?;
        client.receive(&mut server.wire)?;
    }
    Ok(())
}

/// One side and what it has sent.
struct Side {
    session: Session,
    inbound: Inbound,
    wire: Vec<u8>,
    channel: Option<ChannelId>,
    runs: bool,
    content: Vec<u8>,
    sent: usize,
    came: usize,
}

impl Side {
    fn client() -> Self {
        Self::new(Session::client(
            Arc::new(Config::default()),
            "user",
            ssh_connection::Limits::default(),
            Box::new(SeededRng::new(1)),
            Time::ZERO,
        ))
    }

    fn server() -> Done<Self> {
        let mut config = Config::default();
        config.host_keys.push(PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(2))?);
        Ok(Self::new(Session::server(
            Arc::new(config),
            ssh_auth::server::MethodSet::EMPTY.with(ssh_auth::method::Method::None),
            ssh_auth::server::Limits::default(),
            ssh_connection::Limits::default(),
            Box::new(SeededRng::new(3)),
            Time::ZERO,
        )))
    }

    fn new((session, inbound): (Session, Inbound)) -> Self {
        Self {
            session,
            inbound,
            wire: Vec::new(),
            channel: None,
            runs: false,
            content: vec![7; TOTAL],
            sent: 0,
            came: 0,
        }
    }

    fn receive(&mut self, bytes: &mut Vec<u8>) -> Done {
        self.inbound.buffer().extend_from_slice(bytes);
        bytes.clear();
        while let Some(received) = self.inbound.next()? {
            let mut event = self.session.handle(received, &mut self.inbound, Time::ZERO)?;
            while let Some(happened) = event.take() {
                event = self.answer(happened)?;
            }
            self.channels()?;
        }
        Ok(())
    }

    fn answer(&mut self, event: SessionEvent) -> Done<Option<SessionEvent>> {
        match event {
            SessionEvent::HostKey(offer) => {
                return Ok(self.session.answer_host_key(offer.trust(), Time::ZERO)?);
            }
            SessionEvent::AuthReady => {
                let (auth, out) = self.session.authenticator().ok_or("not the time to log in")?;
                auth.try_none(out)?;
            }
            SessionEvent::AuthQuestion(question) => return Ok(self.session.accept(question)?),
            // The client speaks first.
            SessionEvent::Authenticated => {
                if let Some((mux, out)) = self.session.connection()
                    && self.channel.is_none()
                {
                    self.channel = mux.open_session(Time::ZERO, out).ok();
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn channels(&mut self) -> Done {
        let Some((mux, out)) = self.session.connection() else { return Ok(()) };
        while let Some(event) = mux.poll() {
            match event {
                MuxEvent::Opened(id) => {
                    mux.request(id, &Request::Exec(b"x".into()), true, out)?;
                    self.runs = true;
                }
                MuxEvent::Incoming(channel) => self.channel = mux.accept(channel, Time::ZERO, out),
                MuxEvent::Request(_, _, Some(token)) => {
                    mux.reply(token, true, out);
                    self.runs = true;
                }
                _ => {}
            }
        }
        let Some(id) = self.channel else { return Ok(()) };
        while let ReadChunk::Data(bytes) = mux.read_chunk(id, Stream::Data, Time::ZERO, out) {
            self.came += bytes.len();
        }
        Ok(())
    }

    /// Writes what there is room for, and gives how many bytes are on their way.
    fn act(&mut self) -> usize {
        if let (Some(id), true, Some((mux, out))) =
            (self.channel, self.runs, self.session.connection())
        {
            let rest = self.content.get(self.sent..).unwrap_or_default();
            self.sent += mux.write(id, Stream::Data, &[rest], out).unwrap_or(0);
        }
        self.session.take_output(&mut self.wire);
        if let Some((mux, _)) = self.session.connection() {
            mux.data_room_returned();
        }
        self.wire.len()
    }
}
