//! The server of a simulation: wants a key and a password, and echoes what it reads.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use chiton::session::{Session, SessionEvent};
use ssh_auth::method::Method;
use ssh_auth::server::{AuthQuestion, Credential, MethodSet};
use ssh_connection::{
    ChannelId, IncomingChannel, MuxEvent, OpenFailureReason, ReadChunk, Request, Stream,
};
use ssh_keys::PublicKey;
use ssh_wire::Time;

use crate::world::{App, Dice};

/// The user's password.
pub const PASSWORD: &str = "open sesame";

/// What every command writes to its stderr at the end.
pub const GOOD_BYE: &[u8] = b"good bye";

/// Whether the channel that is opened as this one is refused.
pub const fn refuses(number: usize) -> bool {
    number % 5 == 3
}

#[derive(Debug)]
struct Channel {
    id: ChannelId,
    /// What the command is called with; none yet.
    number: Option<u32>,
    pending: VecDeque<Bytes>,
    may_read: bool,
    may_write: bool,
    /// Everything was read.
    ended: bool,
    good_bye: &'static [u8],
    finished: bool,
}

/// The application.
pub struct ServerApp {
    user: PublicKey,
    connected: bool,
    incoming: usize,
    channels: Vec<Channel>,
    sleeps_until: Option<Time>,
}

impl ServerApp {
    pub const fn new(user: PublicKey) -> Self {
        Self { user, connected: false, incoming: 0, channels: Vec::new(), sleeps_until: None }
    }

    pub fn is_done(&self) -> bool {
        self.connected && self.channels.is_empty()
    }

    pub fn wakes(&self) -> Option<Time> {
        self.sleeps_until
    }

    fn answer(&mut self, question: AuthQuestion, session: &mut Session) {
        assert_eq!(question.user(), "alice");
        let event = match question.credential() {
            Credential::Password(password) if password.expose() == PASSWORD => {
                session.accept(question)
            }
            Credential::Key { key, proven: true, .. } if *key == self.user => {
                session.accept_partially(question, MethodSet::EMPTY.with(Method::Password))
            }
            Credential::Key { key, proven: false, .. } if *key == self.user => {
                session.accept(question)
            }
            _ => session.reject(question),
        };
        match event.unwrap() {
            Some(SessionEvent::Authenticated) => self.connected = true,
            Some(SessionEvent::AuthQuestion(question)) => self.answer(question, session),
            Some(SessionEvent::AuthRefused(_)) | None => {}
            Some(other) => panic!("unexpected: {other:?}"),
        }
    }

    fn on_incoming(&mut self, incoming: IncomingChannel, session: &mut Session, now: Time) {
        let (mux, out) = session.connection().unwrap();
        let number = self.incoming;
        self.incoming += 1;
        if refuses(number) {
            // Dropping the token would refuse too.
            mux.refuse(incoming, OpenFailureReason::CONNECT_FAILED, "not this one", out);
            return;
        }
        let id = mux.accept(incoming, now, out).unwrap();
        self.channels.push(Channel {
            id,
            number: None,
            pending: VecDeque::new(),
            may_read: true,
            may_write: true,
            ended: false,
            good_bye: GOOD_BYE,
            finished: false,
        });
    }

    fn on_mux(&mut self, event: MuxEvent, session: &mut Session, now: Time) {
        if let MuxEvent::Incoming(incoming) = event {
            return self.on_incoming(incoming, session, now);
        }
        let (mux, out) = session.connection().unwrap();
        let Some(id) = event.channel() else { panic!("unexpected: {event:?}") };
        let at = self.channels.iter().position(|channel| channel.id == id).unwrap();
        let channel = &mut self.channels[at];
        match event {
            MuxEvent::Request(_, Request::Exec(command), Some(token)) => {
                let command = core::str::from_utf8(&command).unwrap();
                channel.number = Some(command.strip_prefix("echo ").unwrap().parse().unwrap());
                mux.reply(token, true, out);
            }
            MuxEvent::Writable(_) => channel.may_write = true,
            MuxEvent::Readable(..) | MuxEvent::Eof(_) => channel.may_read = true,
            MuxEvent::Closed(_) => {
                assert!(channel.finished, "closed before its command had ended");
                mux.release(id, out);
                self.channels.remove(at);
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Echoes a little on one channel. True if anything moved.
    fn move_data(channel: &mut Channel, session: &mut Session, now: Time) -> bool {
        let (mux, out) = session.connection().unwrap();
        let Some(number) = channel.number else { return false };
        let mut moved = false;
        // No more is read than is waiting to be written, so that windows close.
        if channel.may_read && !channel.ended && channel.pending.len() < 4 {
            match mux.read_chunk(channel.id, Stream::Data, now, out) {
                ReadChunk::Data(chunk) => {
                    channel.pending.push_back(chunk);
                    moved = true;
                }
                ReadChunk::Empty => channel.may_read = false,
                ReadChunk::Eof => channel.ended = true,
            }
        }
        if channel.finished {
            return moved;
        }
        if channel.may_write
            && let Some(chunk) = channel.pending.front_mut()
        {
            let written = mux.write(channel.id, Stream::Data, &[chunk], out).unwrap();
            chunk.advance(written);
            if chunk.is_empty() {
                channel.pending.pop_front();
            }
            channel.may_write = written > 0;
            moved |= written > 0;
        }
        let all_echoed = channel.ended && channel.pending.is_empty();
        if all_echoed && channel.may_write && !channel.good_bye.is_empty() {
            let written = mux.write(channel.id, Stream::Stderr, &[channel.good_bye], out).unwrap();
            channel.good_bye = &channel.good_bye[written..];
            channel.may_write = written > 0;
            moved |= written > 0;
        }
        if all_echoed && channel.good_bye.is_empty() {
            mux.request(channel.id, &Request::ExitStatus(number), false, out).unwrap();
            mux.eof(channel.id, out);
            mux.close(channel.id, out);
            channel.finished = true;
            moved = true;
        }
        moved
    }
}

impl App for ServerApp {
    fn on_event(&mut self, event: SessionEvent, session: &mut Session, _: Time, _: &mut Dice) {
        match event {
            SessionEvent::AuthQuestion(question) => self.answer(question, session),
            // `none`, which the session answers by itself.
            SessionEvent::AuthRefused(_) => {}
            SessionEvent::Rekeyed => {
                if let Some((mux, _)) = session.connection() {
                    mux.data_room_returned();
                }
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn act(&mut self, session: &mut Session, now: Time, dice: &mut Dice) -> bool {
        if !self.connected {
            return false;
        }
        while let Some(event) = session.connection().unwrap().0.poll() {
            self.on_mux(event, session, now);
        }
        if self.sleeps_until.is_some_and(|until| until > now) {
            return false;
        }
        self.sleeps_until = None;
        if dice.below(20) == 0 {
            self.sleeps_until = Some(now + Duration::from_millis(dice.below(30)));
            return false;
        }
        let mut active = false;
        for channel in &mut self.channels {
            active |= Self::move_data(channel, session, now);
        }
        active
    }
}
