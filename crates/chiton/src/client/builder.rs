//! From a host name to an authenticated connection.

use core::{fmt, time::Duration};
use std::{io, sync::Arc};

use ssh_crypto::rng::SystemRng;
use ssh_keys::{Identity, PublicKey, known_hosts::HostName};
use ssh_transport::{Config, Preferences};
use ssh_wire::{PeerText, Time};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::Instant,
};

use super::{
    Auth, Client, HostKeys,
    attempts::{Attempts, HostProof, Login},
    front::{Budget, Front, blocking},
    update,
};
use crate::{
    driver::{Connection, Driver, KeepAlive, Plain, Shared, Socket},
    error::{ConnectError, Error, Phase},
    limits::Limits,
    session::{Session, SessionEvent},
};

/// How long everything from DNS to authentication may take, unless said otherwise. What a person
/// takes to answer a question does not count.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Whoever connects has to say which host keys to trust. What forgets it does not compile:
///
/// ```compile_fail,E0599
/// let builder = chiton::Client::builder("example.org", 22);
/// let connect = builder.auth(chiton::Auth::password("secret"));
/// ```
#[derive(Debug)]
pub struct WantsHostKeys(());

/// Whoever connects has to say how to authenticate. What forgets it does not compile:
///
/// ```compile_fail,E0599
/// # fn host_keys() -> chiton::HostKeys { unimplemented!() }
/// let builder = chiton::Client::builder("example.org", 22).host_keys(host_keys());
/// let connect = builder.connect();
/// ```
#[derive(Debug)]
pub struct WantsAuth(HostKeys);

/// Everything that has to be said has been said.
#[derive(Debug)]
pub struct Ready {
    host_keys: HostKeys,
    auth: Auth,
}

type OnBanner = Arc<dyn Fn(&PeerText) + Send + Sync>;

/// Describes a connection. See [`Client::builder`].
#[must_use]
pub struct Builder<Stage> {
    host: String,
    port: u16,
    user: Option<String>,
    config: Config,
    limits: Limits,
    timeout: Duration,
    keepalive: Option<KeepAlive>,
    on_banner: Option<OnBanner>,
    stage: Stage,
}

impl Builder<WantsHostKeys> {
    pub(super) fn new(host: String, port: u16) -> Self {
        Self {
            host,
            port,
            user: None,
            config: Config::default(),
            limits: Limits::default(),
            timeout: CONNECT_TIMEOUT,
            keepalive: Some(KeepAlive::USUAL),
            on_banner: None,
            stage: WantsHostKeys(()),
        }
    }

    /// Which host keys to trust.
    pub fn host_keys(self, host_keys: HostKeys) -> Builder<WantsAuth> {
        self.with(|_| WantsAuth(host_keys))
    }

    /// The way round checking the host key.
    pub const fn dangerous(self) -> Dangerous {
        Dangerous(self)
    }
}

/// What no program that talks to anything but itself should do.
#[derive(Debug)]
#[must_use]
pub struct Dangerous(Builder<WantsHostKeys>);

impl Dangerous {
    /// Accepts whatever key the host shows. Anybody on the way can then read and change
    /// everything, passwords included.
    pub fn accept_any_host_key(self) -> Builder<WantsAuth> {
        self.0.host_keys(HostKeys::anything())
    }
}

impl Builder<WantsAuth> {
    /// How to authenticate.
    pub fn auth(self, auth: Auth) -> Builder<Ready> {
        self.with(|WantsAuth(host_keys)| Ready { host_keys, auth })
    }
}

impl<Stage> Builder<Stage> {
    fn with<Next>(self, next: impl FnOnce(Stage) -> Next) -> Builder<Next> {
        let Self { host, port, user, config, limits, timeout, keepalive, on_banner, stage } = self;
        let stage = next(stage);
        Builder { host, port, user, config, limits, timeout, keepalive, on_banner, stage }
    }

    /// The user to log in as. Unless said, it is whoever runs this program.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Which algorithms to offer, in which order. Unless said, [`Preferences::modern`].
    pub fn algorithms(mut self, preferences: Preferences) -> Self {
        self.config.preferences = preferences;
        self
    }

    /// The smallest RSA key, in bits, of a host, of the authority over it, and in a key file of the
    /// user: 2048 unless said otherwise, for smaller ones can be factored. Old devices have keys of
    /// 1024 bits, and no less is to be had. (OpenSSH's `RequiredRSASize`.)
    pub const fn required_rsa_size(mut self, bits: usize) -> Self {
        self.config.min_rsa_bits = bits;
        self
    }

    /// How much the peer can make this program hold.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long everything from DNS to authentication may take; 30 s unless said otherwise. What
    /// a person takes to answer a question does not count.
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Asks an idle server every `interval` whether it is still there, and gives it up after
    /// `max_missed` questions without any answer. Without this call it is asked every minute, and
    /// given up after three questions.
    pub const fn keepalive(mut self, interval: Duration, max_missed: u32) -> Self {
        self.keepalive = Some(KeepAlive { interval, max_missed });
        self
    }

    /// Asks nothing: a server that is gone is only noticed by what is sent to it, and a
    /// connection outlives a computer that sleeps for an hour.
    pub const fn no_keepalive(mut self) -> Self {
        self.keepalive = None;
        self
    }

    /// Exchanges new keys after this many bytes in either direction (RFC 4253 §9).
    pub const fn rekey_after(mut self, bytes: u64) -> Self {
        self.config.limits.rekey_bytes = bytes;
        self
    }

    /// Exchanges new keys after this time (RFC 4253 §9).
    pub const fn rekey_every(mut self, time: Duration) -> Self {
        self.config.limits.rekey_interval = time;
        self
    }

    /// Sends the first message of the key exchange before the server has said what it wants
    /// (`first_kex_packet_follows`, RFC 4253 §7). With a server that prefers the same method and
    /// type of host key this saves a round trip; any other drops the message, and all goes on as
    /// without. The types of key that `known_hosts` has for the host are preferred.
    pub const fn guess_key_exchange(mut self) -> Self {
        self.config.guess_kex = true;
        self
    }

    /// Is shown what the server has to say before authentication (RFC 4252 §5.4).
    pub fn on_banner(mut self, show: impl Fn(&PeerText) + Send + Sync + 'static) -> Self {
        self.on_banner = Some(Arc::new(show));
        self
    }
}

impl Builder<Ready> {
    /// Connects over TCP.
    ///
    /// # Errors
    /// See [`Error`]; each says in which phase it happened.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket.
    pub async fn connect(self) -> Result<Client, Error> {
        let mut budget = Budget::new(self.timeout);
        let socket = open_tcp(&self.host, self.port, &mut budget).await?;
        self.handshake(socket, budget).await
    }

    /// Connects over a stream that is open already: through a proxy, a tunnel, a pipe. The host
    /// name serves to look up the host key.
    ///
    /// # Errors
    /// As [`Self::connect`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    pub async fn connect_over<S>(self, stream: S) -> Result<Client, Error>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let budget = Budget::new(self.timeout);
        self.handshake(Plain(stream), budget).await
    }

    async fn handshake<S>(self, socket: S, mut budget: Budget) -> Result<Client, Error>
    where
        S: Socket + 'static,
    {
        let Self { host, port, user, mut config, limits, keepalive, on_banner, stage, .. } = self;
        let Ready { host_keys, auth } = stage;
        let user = match user {
            Some(user) => user,
            None => whoami::username()
                .map_err(|_| Error::ApiMisuse("cannot tell who runs this program; name a user"))?,
        };
        let name =
            HostName::new(&host, port).map_err(|_| Error::Destination(host.as_str().into()))?;
        let mut known = host_keys.known_types(&name);
        config.preferences.prefer_host_key_types(&known);
        if host_keys.knows_authority(&name) {
            config.preferences.prefer_host_certificates();
        }
        let offered = config.preferences.host_keys().as_slice();
        known.retain(|known| offered.iter().any(|algorithm| algorithm.key_type() == *known));

        let min_rsa_bits = config.min_rsa_bits;
        let (mut session, inbound) = Session::client(
            Arc::new(config),
            &user,
            limits.connection(),
            Box::new(SystemRng),
            Time::ZERO,
        );
        // Counted here, without the time that a person takes to answer.
        session.set_login_timeout(None);
        let shared = Shared::new(session, Instant::now());
        let front = Front { connection: Arc::new(Connection { shared: Arc::clone(&shared) }) };
        tokio::spawn(Driver::new(socket, inbound, shared, keepalive));

        let mut proof = HostProof::default();
        loop {
            match budget.spend(Phase::KeyExchange, front.next_event()).await?? {
                SessionEvent::HostKey(offer) => {
                    proof = HostProof::of(&offer);
                    let (policy, name) = (host_keys.clone(), name.clone());
                    let identity = match offer.certificate() {
                        Some(certificate) => Identity::Certificate(certificate.clone()),
                        None => Identity::Key(offer.key().clone()),
                    };
                    let asked = known.clone();
                    match blocking(move || policy.check(&name, &identity, &asked)).await? {
                        Ok(()) => front.trust(offer)?,
                        Err(error) => {
                            front.refuse(offer);
                            return Err(error);
                        }
                    }
                }
                SessionEvent::AuthReady => break,
                _ => {}
            }
        }
        let login = Login { user: &user, host: &host, min_rsa_bits, proof: &proof };
        Attempts::new(&front, &mut budget, login, on_banner.as_deref()).run(auth).await?;
        let session = front.connection.shared.with(|state| state.session.id().cloned());
        if let Some(session) = session.filter(|_| host_keys.learns())
            && let Ok(current) = PublicKey::from_blob(&proof.key)
        {
            let shared = Arc::clone(&front.connection.shared);
            tokio::spawn(update::run(shared, host_keys, name, current, session));
        }
        Ok(Client::new(front.connection))
    }
}

impl<Stage: fmt::Debug> fmt::Debug for Builder<Stage> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}

/// Opens a TCP connection to the first address that answers.
pub(super) async fn open_tcp(
    host: &str,
    port: u16,
    budget: &mut Budget,
) -> Result<TcpStream, Error> {
    let failed = |source| Arc::new(ConnectError { to: format!("{host} port {port}"), source });
    let lookup = tokio::net::lookup_host((host, port));
    let addresses: Vec<_> = budget
        .spend(Phase::Resolving, lookup)
        .await?
        .map_err(|source| Error::Resolve(failed(source)))?
        .collect();
    if addresses.is_empty() {
        let none = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(Error::Resolve(failed(none)));
    }
    let mut last = Error::TimedOut(Phase::Connecting, budget.total);
    for (tried, address) in addresses.iter().enumerate() {
        // An address that does not answer must not take the time of the others.
        let others = addresses.len().saturating_sub(tried);
        match budget.spend_share(others, Phase::Connecting, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Without it each small packet may wait for the acknowledgement of the one before.
                socket.set_nodelay(true).map_err(|source| Error::Connect(failed(source)))?;
                return Ok(socket);
            }
            Ok(Err(error)) => last = Error::Connect(failed(error)),
            Err(error) => last = error,
        }
    }
    Err(last)
}
