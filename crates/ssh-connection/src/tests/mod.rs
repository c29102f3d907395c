//! Scenarios: a client and a server, or one of them and a peer that does as it likes.

use alloc::{vec, vec::Vec};
use core::time::Duration;

use bytes::Bytes;
use ssh_wire::{Encode, Time, proof::Authenticated, testing::payload};

use crate::{ChannelId, Error, Limits, Mux, MuxEvent, Read, ReadChunk, Request, Role, Stream};

mod closing;
mod hostile;
mod opening;
mod requests;
mod table;
mod transfer;

/// A client and a server, the lists of messages between them, and a clock.
struct Pair {
    client: Mux,
    server: Mux,
    to_server: Vec<Vec<u8>>,
    to_client: Vec<Vec<u8>>,
    now: Time,
}

impl Pair {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            client: mux(Role::Client, limits.clone()),
            server: mux(Role::Server, limits),
            to_server: vec![],
            to_client: vec![],
            now: Time::ZERO,
        }
    }

    /// Delivers what is on the way, in both directions, until nothing is.
    fn deliver(&mut self) {
        while !(self.to_server.is_empty() && self.to_client.is_empty()) {
            self.deliver_to_server();
            self.deliver_to_client();
        }
    }

    fn deliver_to_server(&mut self) {
        for message in core::mem::take(&mut self.to_server) {
            self.server.handle(message.into(), self.now, &mut self.to_client).unwrap();
        }
    }

    fn deliver_to_client(&mut self) {
        for message in core::mem::take(&mut self.to_client) {
            self.client.handle(message.into(), self.now, &mut self.to_server).unwrap();
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// An open session: the client's id and the server's. Events of other channels are dropped.
    fn session(&mut self) -> (ChannelId, ChannelId) {
        self.client_events();
        self.server_events();
        let ours = self.client.open_session(self.now, &mut self.to_server).unwrap();
        self.deliver();
        let Some(MuxEvent::Incoming(incoming)) = self.server.poll() else { panic!() };
        let theirs = self.server.accept(incoming, self.now, &mut self.to_client).unwrap();
        self.deliver();
        assert_eq!(self.client.poll(), Some(MuxEvent::Opened(ours)));
        (ours, theirs)
    }

    /// A session on which a command runs.
    fn exec(&mut self) -> (ChannelId, ChannelId) {
        let (ours, theirs) = self.session();
        let request = Request::Exec(b"command".into());
        self.client.request(ours, &request, true, &mut self.to_server).unwrap();
        self.deliver();
        let Some(MuxEvent::Request(id, got, Some(token))) = self.server.poll() else { panic!() };
        assert_eq!((id, got), (theirs, request));
        self.server.reply(token, true, &mut self.to_client);
        self.deliver();
        assert!(matches!(self.client.poll(), Some(MuxEvent::RequestAnswered(_, _, true))));
        (ours, theirs)
    }

    fn client_events(&mut self) -> Vec<MuxEvent> {
        core::iter::from_fn(|| self.client.poll()).collect()
    }

    fn server_events(&mut self) -> Vec<MuxEvent> {
        core::iter::from_fn(|| self.server.poll()).collect()
    }

    /// What the client can read now.
    fn client_reads(&mut self, id: ChannelId, stream: Stream) -> Vec<u8> {
        let mut all = vec![];
        while let ReadChunk::Data(bytes) =
            self.client.read_chunk(id, stream, self.now, &mut self.to_server)
        {
            all.extend_from_slice(&bytes);
        }
        all
    }
}

fn mux(role: Role, limits: Limits) -> Mux {
    Mux::new(Authenticated::by_userauth_success(), role, limits)
}

/// One side, and a peer that sends what a test wants.
struct Alone {
    mux: Mux,
    sent: Vec<Vec<u8>>,
    now: Time,
}

impl Alone {
    fn new(role: Role, limits: Limits) -> Self {
        Self { mux: mux(role, limits), sent: vec![], now: Time::ZERO }
    }

    fn get(&mut self, message: &dyn Encode) -> Result<(), Error> {
        self.mux.handle(Bytes::from(payload(message)), self.now, &mut self.sent)
    }

    /// Numbers of the messages that were sent since the last call.
    fn sent(&mut self) -> Vec<u8> {
        self.sent.drain(..).map(|message| message[0]).collect()
    }

    fn read(&mut self, id: ChannelId, buf: &mut [u8]) -> Read {
        self.mux.read(id, Stream::Data, buf, self.now, &mut self.sent)
    }
}
