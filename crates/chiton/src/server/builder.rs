//! How a server is set up.

use core::{fmt, time::Duration};
use std::{path::PathBuf, sync::Arc};

use ssh_crypto::Secret;
use ssh_keys::{Certificate, PrivateKey, PublicKey, authorized_keys::AuthorizedKeys};
use ssh_transport::{Config, Preferences};
use tokio::net::TcpListener;

use super::{
    accounts::Accounts,
    event::Event,
    fs::Root,
    listener::{Handle, Listen, Shop},
    process::Account,
    session::Permissions,
};
use crate::{error::Error, limits::Limits};

/// Connections at once. Each of them may hold what [`Limits::worst_case`] says.
const MAX_CONNECTIONS: usize = 256;

/// Connections at once that have not logged in: what anybody on the network can fill. Ten times
/// what OpenSSH starts to refuse at (`MaxStartups 10:30:100`), where it refuses all.
const MAX_STRANGERS: usize = 100;

/// The time for key exchange and authentication together, as OpenSSH's `LoginGraceTime`.
const LOGIN_GRACE: Duration = Duration::from_secs(120);

/// The variables that a client may set: the language, as Debian's sshd.
const ENV: [&str; 2] = ["LANG", "LC_*"];

/// Says how a server shall be.
///
/// Nothing is allowed that is not asked for: without a key or password nobody gets in, and
/// without [`allow_exec`](Self::allow_exec) or [`sftp_root`](Self::sftp_root) there is nothing to
/// do inside.
#[must_use]
pub struct Builder {
    transport: Config,
    accounts: Accounts,
    auth_limits: ssh_auth::server::Limits,
    limits: Limits,
    exec: bool,
    sftp_root: Option<PathBuf>,
    account: Account,
    env: Vec<String>,
    banner: Option<String>,
    login_grace: Duration,
    max_connections: usize,
    max_strangers: usize,
    on_event: Option<Listen>,
    announce_host_keys: bool,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            transport: default_transport(),
            accounts: Accounts::default(),
            auth_limits: ssh_auth::server::Limits::default(),
            limits: Limits::default(),
            exec: false,
            sftp_root: None,
            account: Account::current(),
            env: ENV.map(str::to_owned).into(),
            banner: None,
            login_grace: LOGIN_GRACE,
            max_connections: MAX_CONNECTIONS,
            max_strangers: MAX_STRANGERS,
            on_event: None,
            announce_host_keys: false,
        }
    }

    /// Adds a key by which clients know this server. One of each type is useful.
    pub fn host_key(mut self, key: PrivateKey) -> Self {
        self.transport.host_keys.push(key);
        self
    }

    /// Lets in whoever holds one of these keys, under any user name: programs run as the user of
    /// this process in any case.
    pub fn authorized_keys(mut self, keys: AuthorizedKeys) -> Self {
        self.accounts.add_keys(None, keys);
        self
    }

    /// Lets `user` in with one of these keys.
    pub fn authorized_keys_of(mut self, user: impl Into<String>, keys: AuthorizedKeys) -> Self {
        self.accounts.add_keys(Some(user.into()), keys);
        self
    }

    /// Lets users in who have a certificate of this authority that names them, as far as it says:
    /// until when, from where, to do what (OpenSSH's `TrustedUserCAKeys`).
    pub fn trusted_user_ca(mut self, authority: PublicKey) -> Self {
        self.accounts.add_authority(authority);
        self
    }

    /// Lets `user` in with this password.
    pub fn password(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.accounts.add_password(user.into(), Secret::new(password.into()));
        self
    }

    /// Lets nobody in with a key or a password alone: it takes both, in any order.
    pub const fn require_key_and_password(mut self) -> Self {
        self.accounts.need_all_methods();
        self
    }

    /// Serves this directory over SFTP: to clients it is `/`, and nothing outside exists.
    pub fn sftp_root(mut self, directory: impl Into<PathBuf>) -> Self {
        self.sftp_root = Some(directory.into());
        self
    }

    /// Lets clients run commands and shells, as the user who runs this process and with all that
    /// this user may do.
    pub const fn allow_exec(mut self, allow: bool) -> Self {
        self.exec = allow;
        self
    }

    /// The shell that reads commands and is given to clients; without this call the one in
    /// `SHELL`, or `/bin/sh`. Shells have habits: `bash`, for one, reads `~/.bashrc` before a
    /// command that comes over SSH.
    pub fn shell(mut self, program: impl Into<PathBuf>) -> Self {
        self.account.shell = program.into();
        self
    }

    /// The directory where commands and shells start, and what they know as `HOME`; without this
    /// call the home of the user.
    pub fn home(mut self, directory: impl Into<PathBuf>) -> Self {
        self.account.home = directory.into();
        self
    }

    /// The variables that clients may set for their programs; a name that ends in `*` stands for
    /// all that begin so. Without this call `LANG` and `LC_*`.
    pub fn accept_env<I, S>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.env = names.into_iter().map(Into::into).collect();
        self
    }

    /// Tells clients that have logged in all keys that the server is known by, and proves that it
    /// holds them (OpenSSH's `hostkeys-00@openssh.com`), so that they know a new key before an old
    /// one goes.
    pub const fn announce_host_keys(mut self, announce: bool) -> Self {
        self.announce_host_keys = announce;
        self
    }

    /// Text that clients show before the login (RFC 4252 §5.4).
    pub fn banner(mut self, text: impl Into<String>) -> Self {
        self.banner = Some(text.into());
        self
    }

    /// A certificate over one of the host keys: clients that know the authority need not know the
    /// key. It is shown to those who ask for certificates.
    pub fn host_certificate(mut self, certificate: Certificate) -> Self {
        self.transport.host_certificates.push(certificate);
        self
    }

    /// Which algorithms to offer, in which order. Unless said, [`Preferences::modern_server`].
    pub fn preferences(mut self, preferences: Preferences) -> Self {
        self.transport.preferences = preferences;
        self
    }

    /// How much a client can make a connection hold.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Exchanges new keys after this many bytes in either direction (RFC 4253 §9).
    pub const fn rekey_after(mut self, bytes: u64) -> Self {
        self.transport.limits.rekey_bytes = bytes;
        self
    }

    /// Exchanges new keys after this time (RFC 4253 §9).
    pub const fn rekey_every(mut self, time: Duration) -> Self {
        self.transport.limits.rekey_interval = time;
        self
    }

    /// How many connections there may be at once, and how many of them that have not logged in.
    /// What comes above is closed at once.
    pub const fn max_connections(mut self, all: usize, not_logged_in: usize) -> Self {
        self.max_connections = all;
        self.max_strangers = not_logged_in;
        self
    }

    /// The time that a client has to log in; 120 seconds without this call.
    pub const fn login_grace(mut self, time: Duration) -> Self {
        self.login_grace = time;
        self
    }

    /// How often a client may fail to log in before it is cut off; 6 without this call.
    pub const fn max_auth_failures(mut self, failures: u32) -> Self {
        self.auth_limits.max_failures = failures;
        self
    }

    /// Calls `listen` with everything that happens, for a log. It must not block.
    pub fn on_event(mut self, listen: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(listen));
        self
    }

    /// Serves clients that connect to `listener`, until the handle is dropped or
    /// [`Handle::shutdown`] is called. To be called on a tokio runtime.
    ///
    /// # Errors
    /// There is no host key, nobody could get in, or the directory for SFTP cannot be opened.
    pub fn serve(self, listener: TcpListener) -> Result<Handle, Error> {
        if self.transport.host_keys.is_empty() {
            return Err(Error::ApiMisuse("a server needs a host key: Builder::host_key"));
        }
        if !self.accounts.can_let_in() {
            return Err(Error::ApiMisuse(
                "nobody could log in: Builder::authorized_keys, Builder::password, or both",
            ));
        }
        let sftp = match &self.sftp_root {
            Some(path) => Some(
                Root::open(path)
                    .map_err(|error| Error::local("open the directory", path, error))?,
            ),
            None => None,
        };
        let permissions =
            Permissions { account: self.account, exec: self.exec, sftp, env: self.env };
        let shop = Shop {
            transport: Arc::new(self.transport),
            accounts: self.accounts,
            auth_limits: self.auth_limits,
            limits: self.limits,
            permissions: Arc::new(permissions),
            banner: self.banner,
            login_grace: self.login_grace,
            max_connections: self.max_connections,
            max_strangers: self.max_strangers,
            on_event: self.on_event,
            announce_host_keys: self.announce_host_keys,
        };
        Handle::start(listener, shop)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("accounts", &self.accounts)
            .field("exec", &self.exec)
            .field("sftp_root", &self.sftp_root)
            .finish_non_exhaustive()
    }
}

fn default_transport() -> Config {
    let mut config = Config::default();
    config.preferences = Preferences::modern_server();
    config
}
