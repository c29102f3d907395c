//! Two sessions, the network between them, and the time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chiton::Error;
use chiton::session::{Session, SessionEvent};
use ssh_auth::method::Method;
use ssh_auth::server::MethodSet;
use ssh_crypto::hash::{HashAlgorithm, Hasher};
use ssh_crypto::rng::{Rng, SeededRng};
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{Config, Inbound};
use ssh_wire::{Outbox as _, Time};

use crate::client::ClientApp;
use crate::server::ServerApp;

/// Virtual time after which a session that has not ended never will.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Decisions of the network and of the applications, all from one seed.
#[derive(Debug)]
pub struct Dice(SeededRng);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(SeededRng::new(seed))
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// How the network cuts what is written into what is read.
#[derive(Debug, Clone, Copy)]
pub enum Chop {
    /// As it was written.
    Whole,
    /// Into single bytes.
    Bytes,
    /// Into pieces up to this size.
    Upto(u64),
}

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub chop: Chop,
    /// The longest delay of one piece.
    pub delay_ms: u64,
    /// Bytes after which each side begins a key exchange.
    pub client_rekey: u64,
    pub server_rekey: u64,
    pub rekey_interval_ms: u64,
    pub channels: usize,
    /// Bytes that go up each channel and come back.
    pub amount: usize,
    pub window: u32,
    pub max_packet: u32,
    /// How long the client stays when everything is done.
    pub linger_ms: u64,
}

impl Plan {
    pub fn random(seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ 0x706c_616e);
        let never = 1 << 40;
        Self {
            seed,
            chop: dice.pick(&[Chop::Whole, Chop::Upto(7), Chop::Upto(100), Chop::Upto(3000)]),
            delay_ms: dice.pick(&[0, 1, 20, 300]),
            client_rekey: dice.pick(&[3000, 50_000, never]),
            server_rekey: dice.pick(&[3000, 50_000, never]),
            rekey_interval_ms: dice.pick(&[3_600_000, 2000]),
            channels: dice.pick(&[1, 2, 7]),
            amount: dice.pick(&[0, 1, 5000, 100_000]),
            window: dice.pick(&[2048, 40_000, 2 * 1024 * 1024]),
            max_packet: dice.pick(&[512, 4096, 32 * 1024]),
            linger_ms: 0,
        }
    }

    fn config(&self, rekey_bytes: u64, host_keys: Vec<PrivateKey>) -> Arc<Config> {
        let mut config = Config::default();
        config.limits.rekey_bytes = rekey_bytes;
        config.limits.rekey_interval = Duration::from_millis(self.rekey_interval_ms);
        // Key exchanges that wait for a slow network for minutes are no error here.
        config.limits.rekey_timeout = PATIENCE;
        config.host_keys = host_keys;
        Arc::new(config)
    }

    fn limits(&self) -> ssh_connection::Limits {
        let mut limits = ssh_connection::Limits::default();
        limits.initial_window = self.window;
        limits.max_packet = self.max_packet;
        limits
    }
}

/// One direction of the network.
#[derive(Debug)]
struct Link {
    in_flight: VecDeque<(Time, Vec<u8>)>,
    /// How many bytes have been written to it, and which of them will be changed.
    written: u64,
    flip: Option<(u64, u8)>,
    sent: Hasher,
}

impl Link {
    fn new() -> Self {
        let sent = Hasher::new(HashAlgorithm::Sha256);
        Self { in_flight: VecDeque::new(), written: 0, flip: None, sent }
    }

    fn write(&mut self, bytes: &[u8], plan: &Plan, now: Time, dice: &mut Dice) {
        self.sent.update(bytes);
        let mut bytes = bytes.to_vec();
        if let Some((at, bit)) = self.flip
            && let Some(offset) = at.checked_sub(self.written)
            && let Some(byte) = bytes.get_mut(offset as usize)
        {
            *byte ^= 1 << bit;
        }
        self.written += bytes.len() as u64;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let len = match plan.chop {
                Chop::Whole => rest.len(),
                Chop::Bytes => 1,
                Chop::Upto(most) => (1 + dice.below(most) as usize).min(rest.len()),
            };
            let (piece, after) = rest.split_at(len);
            rest = after;
            // What was written first arrives first, so a delay holds up what follows.
            let delay = Duration::from_millis(dice.below(plan.delay_ms + 1));
            let before = self.in_flight.back().map_or(now, |(time, _)| *time);
            self.in_flight.push_back((before.max(now + delay), piece.to_vec()));
        }
    }

    /// When the next piece arrives.
    fn next(&self) -> Option<Time> {
        self.in_flight.front().map(|(time, _)| *time)
    }
}

/// What sits on top of a session.
pub trait App {
    /// Something happened.
    fn on_event(&mut self, event: SessionEvent, session: &mut Session, now: Time, dice: &mut Dice);
    /// There may be something to do. True if something was done.
    fn act(&mut self, session: &mut Session, now: Time, dice: &mut Dice) -> bool;
}

/// One end of the connection.
struct Side<A> {
    session: Session,
    inbound: Inbound,
    app: A,
    out: Vec<u8>,
    rekeys: usize,
    error: Option<Error>,
}

impl<A: App> Side<A> {
    fn new((session, inbound): (Session, Inbound), app: A) -> Self {
        Self { session, inbound, app, out: Vec::new(), rekeys: 0, error: None }
    }

    fn receive(&mut self, bytes: &[u8], now: Time, dice: &mut Dice) {
        self.inbound.buffer().extend_from_slice(bytes);
        while self.error.is_none() {
            let received = match self.inbound.next() {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    self.session.transport_mut().fail(error.clone());
                    self.error = Some(error.into());
                    return;
                }
            };
            match self.session.handle(received, &mut self.inbound, now) {
                Ok(Some(SessionEvent::Disconnected(goodbye))) => {
                    self.error = Some(ssh_transport::Error::Disconnected(goodbye).into());
                }
                Ok(Some(event)) => {
                    self.rekeys += usize::from(matches!(event, SessionEvent::Rekeyed));
                    self.app.on_event(event, &mut self.session, now, dice);
                }
                Ok(None) => {}
                Err(error) => self.error = Some(error),
            }
        }
    }

    /// Lets the application act and puts what it wrote on the network. True if anything happened.
    fn act(&mut self, link: &mut Link, plan: &Plan, now: Time, dice: &mut Dice) -> bool {
        let mut active = false;
        if self.error.is_none() {
            if self.session.deadline().is_some_and(|deadline| deadline <= now)
                && let Err(error) = self.session.tick(now)
            {
                self.error = Some(error);
            }
            active = self.app.act(&mut self.session, now, dice);
        }
        self.out.clear();
        self.session.take_output(&mut self.out);
        if !self.out.is_empty() {
            link.write(&self.out, plan, now, dice);
            active = true;
            if let Some((mux, transport)) = self.session.connection()
                && transport.data_room() > 0
            {
                mux.data_room_returned();
            }
        }
        active
    }
}

/// The whole.
pub struct World {
    plan: Plan,
    now: Time,
    dice: Dice,
    client: Side<ClientApp>,
    server: Side<ServerApp>,
    to_server: Link,
    to_client: Link,
}

impl World {
    pub fn new(plan: &Plan) -> Self {
        let mut rng = SeededRng::new(plan.seed ^ 0x6b65_7973);
        let mut key = || PrivateKey::generate(KeyType::Ed25519, &mut rng).unwrap();
        let (host, user) = (key(), key());
        let mut client = Session::client(
            plan.config(plan.client_rekey, Vec::new()),
            "alice",
            plan.limits(),
            Box::new(SeededRng::new(plan.seed ^ 0x636c)),
            Time::ZERO,
        );
        let mut server = Session::server(
            plan.config(plan.server_rekey, vec![host.clone()]),
            MethodSet::EMPTY.with(Method::Password).with(Method::PublicKey),
            ssh_auth::server::Limits::default(),
            plan.limits(),
            Box::new(SeededRng::new(plan.seed ^ 0x7365)),
            Time::ZERO,
        );
        for session in [&mut client.0, &mut server.0] {
            session.set_login_timeout(Some(PATIENCE));
        }
        Self {
            plan: plan.clone(),
            now: Time::ZERO,
            dice: Dice::new(plan.seed),
            client: Side::new(client, ClientApp::new(plan, host.public().clone(), user.clone())),
            server: Side::new(server, ServerApp::new(user.public().clone())),
            to_server: Link::new(),
            to_client: Link::new(),
        }
    }

    /// Makes one bit of what is sent arrive wrong.
    pub fn flip_a_bit(&mut self, seed: u64) {
        let mut dice = Dice::new(seed ^ 0x666c_6970);
        let flip = Some((dice.below(8000), dice.below(8) as u8));
        match dice.below(2) {
            0 => self.to_server.flip = flip,
            _ => self.to_client.flip = flip,
        }
    }

    /// Runs until both sides are done. Everything has to go well.
    pub fn run_to_the_end(&mut self) {
        let error = self.run();
        assert!(error.is_none(), "{:?}: {error:?}", self.plan);
        assert!(self.client.app.is_done(), "stalled at {:?}: {:?}", self.now, self.plan);
        assert!(self.server.app.is_done(), "the server is not done: {:?}", self.plan);
        let (mux, _) = self.client.session.connection().unwrap();
        assert_eq!(mux.channels(), 0, "channels are left: {:?}", self.plan);
    }

    /// Runs until the client is done, or a side fails, or nothing can happen any more. Gives the
    /// first error.
    pub fn run(&mut self) -> Option<Error> {
        let mut linger = None;
        loop {
            let (now, dice) = (self.now, &mut self.dice);
            let mut active = self.client.act(&mut self.to_server, &self.plan, now, dice);
            active |= self.server.act(&mut self.to_client, &self.plan, now, dice);
            if let Some(error) = self.client.error.as_ref().or(self.server.error.as_ref()) {
                return Some(error.clone());
            }
            if self.client.app.is_done() && self.server.app.is_done() {
                let until =
                    *linger.get_or_insert(self.now + Duration::from_millis(self.plan.linger_ms));
                if self.now >= until {
                    return None;
                }
            }
            if !active && !self.advance() {
                return None;
            }
            self.deliver();
            if self.now.since_epoch() > PATIENCE {
                return None;
            }
        }
    }

    /// Moves time on to the next thing that happens. False if nothing ever will.
    fn advance(&mut self) -> bool {
        let next = [
            self.to_server.next(),
            self.to_client.next(),
            self.client.session.deadline(),
            self.server.session.deadline(),
            self.client.app.wakes(),
            self.server.app.wakes(),
        ];
        match next.into_iter().flatten().min() {
            Some(next) => {
                self.now = self.now.max(next);
                true
            }
            None => false,
        }
    }

    /// Delivers what has arrived by now.
    fn deliver(&mut self) {
        let now = self.now;
        while self.to_server.next().is_some_and(|time| time <= now) {
            let (_, piece) = self.to_server.in_flight.pop_front().unwrap();
            self.server.receive(&piece, now, &mut self.dice);
        }
        while self.to_client.next().is_some_and(|time| time <= now) {
            let (_, piece) = self.to_client.in_flight.pop_front().unwrap();
            self.client.receive(&piece, now, &mut self.dice);
        }
    }

    /// Key exchanges after the first, as the client counts them.
    pub fn rekeys(&self) -> usize {
        self.client.rekeys
    }

    /// A digest of everything that was sent.
    pub fn digest(&self) -> Vec<u8> {
        let digests = [&self.to_server.sent, &self.to_client.sent];
        digests.map(|sent| sent.clone().finish().as_ref().to_vec()).concat()
    }
}
