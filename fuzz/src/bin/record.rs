//! Records the seeds of the targets `session_client` and `session_server`: what the two sides of
//! those targets say to each other when both are honest. To be run again when the defaults of the
//! key exchange change, since the seeds then lead no further than it.

use std::process::ExitCode;
use std::sync::Arc;

use chiton::session::{Session, SessionEvent};
use chiton_fuzz::seeds;
use ssh_auth::client::AuthEvent;
use ssh_auth::method::Method;
use ssh_auth::server::MethodSet;
use ssh_connection::{ChannelId, MuxEvent, Request, Stream};
use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{Config, Inbound};
use ssh_wire::Time;

type Problem = Box<dyn core::error::Error>;

/// The seed of both sides of the targets.
const SEED: u64 = 1;

/// The seed of the server's host key there.
const HOST_KEY_SEED: u64 = 9;

/// More of a conversation than this is only data.
const MAX_LEN: usize = 8 * 1024;

/// The inputs begin with the sizes of the pieces they arrive in.
const IN_LARGE_PIECES: [u8; 8] = [0xff; 8];

/// One side, and all that it has said.
struct Side {
    session: Session,
    inbound: Inbound,
    said: Vec<u8>,
    heard: usize,
    channel: Option<ChannelId>,
}

impl Side {
    fn new((session, inbound): (Session, Inbound)) -> Self {
        Self { session, inbound, said: Vec::new(), heard: 0, channel: None }
    }

    /// Hears what the other side has said since the last time.
    fn hear(&mut self, other: &Self) -> Result<(), Problem> {
        let news = other.said.get(self.heard..).unwrap_or_default();
        self.heard = other.said.len();
        self.inbound.buffer().extend_from_slice(news);
        while let Some(received) = self.inbound.next()? {
            let mut event = self.session.handle(received, &mut self.inbound, Time::ZERO)?;
            while let Some(happened) = event.take() {
                event = self.on_event(happened)?;
            }
        }
        self.on_channels()?;
        let mut out = Vec::new();
        self.session.take_output(&mut out);
        self.said.append(&mut out);
        Ok(())
    }

    fn on_event(&mut self, event: SessionEvent) -> Result<Option<SessionEvent>, Problem> {
        Ok(match event {
            SessionEvent::HostKey(offer) => {
                self.session.answer_host_key(offer.trust(), Time::ZERO)?
            }
            SessionEvent::AuthReady | SessionEvent::Auth(AuthEvent::Failed { .. }) => {
                if let Some((auth, out)) = self.session.authenticator() {
                    auth.try_none(out)?;
                }
                None
            }
            SessionEvent::AuthQuestion(question) => self.session.accept(question)?,
            _ => None,
        })
    }

    fn on_channels(&mut self) -> Result<(), Problem> {
        let Some((mux, out)) = self.session.connection() else { return Ok(()) };
        while let Some(event) = mux.poll() {
            match event {
                MuxEvent::Opened(id) => {
                    mux.request(id, &Request::Exec(b"run".as_slice().into()), true, out)?;
                    mux.write(id, Stream::Data, &[b"input"], out)?;
                    mux.eof(id, out);
                }
                MuxEvent::Incoming(incoming) => {
                    self.channel = mux.accept(incoming, Time::ZERO, out);
                }
                MuxEvent::Request(id, _, token) => {
                    if let Some(token) = token {
                        mux.reply(token, true, out);
                    }
                    mux.write(id, Stream::Data, &[b"output"], out)?;
                    mux.write(id, Stream::Stderr, &[b"errors"], out)?;
                    mux.request(id, &Request::ExitStatus(3), false, out)?;
                    mux.eof(id, out);
                    mux.close(id, out);
                }
                MuxEvent::Closed(id) => mux.release(id, out),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes what this side has said a seed of the target that plays the other side.
    fn record(&self, target: &str) -> Result<(), Problem> {
        let said = self.said.get(..MAX_LEN).unwrap_or(&self.said);
        let seed = [&IN_LARGE_PIECES, said].concat();
        let folder = seeds::package().join("corpus").join(target);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("seed-honest"), &seed)?;
        println!("{target}: {} bytes", seed.len());
        Ok(())
    }
}

fn record() -> Result<(), Problem> {
    let limits = ssh_connection::Limits::default;
    let rng = || Box::new(SeededRng::new(SEED));
    let config = Arc::new(Config::default());
    let mut client = Side::new(Session::client(config, "user", limits(), rng(), Time::ZERO));
    let mut config = Config::default();
    config
        .host_keys
        .extend(PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(HOST_KEY_SEED)));
    let methods = MethodSet::EMPTY.with(Method::None);
    let auth_limits = ssh_auth::server::Limits::default();
    let config = Arc::new(config);
    let server = Session::server(config, methods, auth_limits, limits(), rng(), Time::ZERO);
    let mut server = Side::new(server);

    let mut opened = false;
    for _ in 0..20 {
        client.hear(&server)?;
        server.hear(&client)?;
        if let (false, Some((mux, out))) = (opened, client.session.connection()) {
            client.channel = Some(mux.open_session(Time::ZERO, out)?);
            opened = true;
        }
    }
    if server.channel.is_none() {
        return Err("the two sides did not get as far as a channel".into());
    }
    server.record("session_client")?;
    client.record("session_server")
}

fn main() -> ExitCode {
    match record() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("record: {problem}");
            ExitCode::FAILURE
        }
    }
}
