//! The client of a simulation: logs in after some failures, then sends data up its channels and
//! checks what comes back, byte by byte.

use std::collections::VecDeque;
use std::time::Duration;

use chiton::Secret;
use chiton::session::{Session, SessionEvent};
use ssh_auth::client::AuthEvent;
use ssh_connection::{ChannelId, ExitStatus, MuxEvent, Read, Request, Stream};
use ssh_keys::{PrivateKey, PublicKey};
use ssh_wire::Time;

use crate::server::{GOOD_BYE, PASSWORD};
use crate::world::{App, Dice, Plan};

/// The byte at `offset` of channel `number`.
pub fn byte(number: usize, offset: usize) -> u8 {
    let mixed = offset.wrapping_mul(0x9e37_79b9).wrapping_add(number.wrapping_mul(0x85eb));
    (mixed >> 7) as u8
}

/// One way to try to log in.
#[derive(Debug, Clone, Copy)]
enum Login {
    None,
    WrongPassword,
    Password,
    Key,
    AskThenKey,
}

#[derive(Debug)]
struct Channel {
    id: ChannelId,
    number: usize,
    running: bool,
    sent: usize,
    received: usize,
    errors: Vec<u8>,
    ended_input: bool,
    /// No event has said otherwise since the last attempt found nothing.
    may_write: bool,
    may_read: bool,
    may_read_errors: bool,
    closed: bool,
}

/// The application.
pub struct ClientApp {
    host: PublicKey,
    user: PrivateKey,
    logins: VecDeque<Login>,
    connected: bool,
    /// Channels still to be opened.
    to_open: usize,
    opened: usize,
    amount: usize,
    channels: Vec<Channel>,
    refused: usize,
    sleeps_until: Option<Time>,
}

impl ClientApp {
    pub fn new(plan: &Plan, host: PublicKey, user: PrivateKey) -> Self {
        let mut dice = Dice::new(plan.seed ^ 0x6c6f_6769);
        let mut logins = VecDeque::new();
        for _ in 0..dice.below(3) {
            logins.push_back(dice.pick(&[Login::None, Login::WrongPassword]));
        }
        // The server wants both.
        logins.push_back(dice.pick(&[Login::Key, Login::AskThenKey]));
        logins.push_back(Login::Password);
        Self {
            host,
            user,
            logins,
            connected: false,
            to_open: plan.channels,
            opened: 0,
            amount: plan.amount,
            channels: Vec::new(),
            refused: 0,
            sleeps_until: None,
        }
    }

    pub fn is_done(&self) -> bool {
        self.connected && self.to_open == 0 && self.channels.is_empty()
    }

    pub fn wakes(&self) -> Option<Time> {
        self.sleeps_until
    }

    fn log_in(&mut self, session: &mut Session) {
        let (auth, out) = session.authenticator().unwrap();
        let login = self.logins.pop_front().expect("the right one lets us in");
        let secret = |text: &str| Secret::new(text.to_owned());
        let sent = match login {
            Login::None => auth.try_none(out),
            Login::WrongPassword => auth.try_password(secret("wrong"), out),
            Login::Password => auth.try_password(secret(PASSWORD), out),
            Login::Key => auth.try_key(&self.user, out),
            Login::AskThenKey => auth.ask_key(self.user.public(), self.user.algorithms()[0], out),
        };
        sent.unwrap();
    }

    fn on_auth(&mut self, event: AuthEvent, session: &mut Session) {
        match event {
            AuthEvent::Failed { .. } => self.log_in(session),
            AuthEvent::KeyAccepted(request) => {
                let signature = self.user.sign(request.algorithm(), request.data()).unwrap();
                let (auth, out) = session.authenticator().unwrap();
                auth.signed(&request, &signature, out).unwrap();
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn on_mux(&mut self, event: MuxEvent, session: &mut Session) {
        let (mux, out) = session.connection().unwrap();
        let Some(id) = event.channel() else { panic!("unexpected: {event:?}") };
        let at = self.channels.iter().position(|channel| channel.id == id).unwrap();
        let channel = &mut self.channels[at];
        match event {
            MuxEvent::Opened(id) => {
                let command = format!("echo {}", channel.number).into_bytes();
                mux.request(id, &Request::Exec(command.into()), true, out).unwrap();
            }
            MuxEvent::OpenFailed(..) => {
                assert!(crate::server::refuses(channel.number));
                self.refused += 1;
                self.channels.remove(at);
            }
            MuxEvent::RequestAnswered(_, _, granted) => {
                assert!(granted);
                channel.running = true;
            }
            MuxEvent::Writable(_) => channel.may_write = true,
            MuxEvent::Readable(_, Stream::Stderr) => channel.may_read_errors = true,
            MuxEvent::Readable(..) => channel.may_read = true,
            MuxEvent::Eof(_) => {
                channel.may_read = true;
                channel.may_read_errors = true;
            }
            MuxEvent::Closed(_) => channel.closed = true,
            MuxEvent::Exited(_) => {}
            other => panic!("unexpected: {other:?}"),
        }
    }

    /// Reads and writes a little on one channel. True if anything moved.
    fn move_data(&mut self, at: usize, session: &mut Session, now: Time, dice: &mut Dice) -> bool {
        let amount = self.amount;
        let channel = &mut self.channels[at];
        let (mux, out) = session.connection().unwrap();
        let mut moved = false;
        if channel.may_read {
            let mut buffer = vec![0; 1 + dice.below(5000) as usize];
            match mux.read(channel.id, Stream::Data, &mut buffer, now, out) {
                Read::Data(len) => {
                    for byte in &buffer[..len] {
                        let expected = self::byte(channel.number, channel.received);
                        assert_eq!(*byte, expected, "channel {}", channel.number);
                        channel.received += 1;
                    }
                    moved = true;
                }
                Read::Empty | Read::Eof => channel.may_read = false,
            }
        }
        if channel.may_read_errors {
            let mut buffer = [0; 3];
            match mux.read(channel.id, Stream::Stderr, &mut buffer, now, out) {
                Read::Data(len) => {
                    channel.errors.extend_from_slice(&buffer[..len]);
                    moved = true;
                }
                Read::Empty | Read::Eof => channel.may_read_errors = false,
            }
        }
        if channel.running && channel.may_write && channel.sent < amount {
            let len = (1 + dice.below(6000) as usize).min(amount - channel.sent);
            let bytes: Vec<u8> =
                (channel.sent..channel.sent + len).map(|at| byte(channel.number, at)).collect();
            let (head, tail) = bytes.split_at(dice.below(len as u64) as usize);
            let written = mux.write(channel.id, Stream::Data, &[head, tail], out).unwrap();
            channel.sent += written;
            channel.may_write = written > 0;
            moved |= written > 0;
        }
        if channel.running && channel.sent == amount && !channel.ended_input {
            mux.eof(channel.id, out);
            channel.ended_input = true;
            moved = true;
        }
        moved
    }

    /// Checks and forgets channels that are closed and read to their end.
    fn finish(&mut self, session: &mut Session) {
        let amount = self.amount;
        let (mux, out) = session.connection().unwrap();
        self.channels.retain(|channel| {
            if !channel.closed || channel.may_read || channel.may_read_errors {
                return true;
            }
            assert_eq!(channel.received, amount, "channel {}", channel.number);
            assert_eq!(channel.errors, GOOD_BYE);
            let code = u32::try_from(channel.number).unwrap();
            assert_eq!(mux.exit_status(channel.id), Some(&ExitStatus::Code(code)));
            mux.release(channel.id, out);
            false
        });
    }
}

impl App for ClientApp {
    fn on_event(&mut self, event: SessionEvent, session: &mut Session, now: Time, _: &mut Dice) {
        match event {
            SessionEvent::HostKey(offer) => {
                assert_eq!(*offer.key(), self.host);
                if let Some(event) = session.answer_host_key(offer.trust(), now).unwrap() {
                    assert!(matches!(event, SessionEvent::AuthReady));
                    self.log_in(session);
                }
            }
            SessionEvent::AuthReady => self.log_in(session),
            SessionEvent::Auth(event) => self.on_auth(event, session),
            SessionEvent::Authenticated => {
                assert!(self.logins.is_empty(), "let in too early");
                self.connected = true;
            }
            SessionEvent::Rekeyed => {
                let (mux, _) = session.connection().unwrap();
                mux.data_room_returned();
            }
            other => panic!("unexpected: {other:?}"),
        }
    }

    fn act(&mut self, session: &mut Session, now: Time, dice: &mut Dice) -> bool {
        if !self.connected {
            return false;
        }
        while let Some(event) = session.connection().unwrap().0.poll() {
            self.on_mux(event, session);
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
        if self.to_open > 0 {
            let (mux, out) = session.connection().unwrap();
            let id = mux.open_session(now, out).unwrap();
            self.channels.push(Channel {
                id,
                number: self.opened,
                running: false,
                sent: 0,
                received: 0,
                errors: Vec::new(),
                ended_input: false,
                may_write: true,
                may_read: true,
                may_read_errors: true,
                closed: false,
            });
            self.opened += 1;
            self.to_open -= 1;
            active = true;
        }
        for at in 0..self.channels.len() {
            active |= self.move_data(at, session, now, dice);
        }
        self.finish(session);
        active
    }
}
