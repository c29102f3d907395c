//! The client: a handle on an authenticated connection.

mod attempts;
mod auth;
mod builder;
mod destination;
mod front;
mod host_keys;
mod key_file;
mod scan;
mod update;

pub use auth::{Auth, AuthPlan};
pub use builder::{Builder, Dangerous, Ready, WantsAuth, WantsHostKeys};
pub use destination::Destination;
pub use host_keys::{HostKeyAnswer, HostKeys, Remembered, UnknownHost};
pub use scan::{ScannedHost, scan_host_key};

use core::future::poll_fn;
use std::{sync::Arc, task::Poll};

use ssh_connection::Request;
use ssh_transport::Negotiated;
use ssh_wire::PeerText;

use crate::{
    agent::Agent,
    command::{Command, Output},
    driver::Connection,
    error::Error,
    sftp::Sftp,
};

/// Connects to `[user@]host[:port]` as an interactive program would: with `~/.ssh/known_hosts`
/// (and the system's), strictly; with the keys of the agent in
/// `SSH_AUTH_SOCK`, then those in `~/.ssh` that are not encrypted. The user is the one who runs the program unless named.
///
/// ```no_run
/// # async fn f() -> Result<(), chiton::Error> {
/// let ssh = chiton::connect("alice@example.org").await?;
/// let out = ssh.exec("uname -a").await?;
/// println!("{}", String::from_utf8_lossy(&out.stdout));
/// # Ok(()) }
/// ```
///
/// # Errors
/// Everything from an unknown host to refused keys; see [`Error`].
///
/// # Cancel safety
/// Dropping the future closes the socket.
pub async fn connect(destination: &str) -> Result<Client, Error> {
    let Destination { user, host, port } = destination.parse()?;
    let builder = Client::builder(host, port.unwrap_or(22));
    let builder = match user {
        Some(user) => builder.user(user),
        None => builder,
    };
    let auth = match Agent::path_from_env() {
        Some(_) => Auth::agent().or(Auth::default_keys()?),
        None => Auth::default_keys()?,
    };
    builder.host_keys(HostKeys::default_files()?).auth(auth).connect().await
}

/// An authenticated connection to a server.
///
/// Clones are handles on the same connection; they can be used from any thread at the same time.
/// The connection is closed when the last handle is dropped, those of commands and SFTP sessions
/// included. If it is lost, every pending operation ends with the cause.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Arc<Connection>,
}

impl Client {
    /// Begins to describe a connection. Which host keys to trust and how to authenticate have to
    /// be said before it can be made: forgetting either does not compile.
    pub fn builder(host: impl Into<String>, port: u16) -> Builder<WantsHostKeys> {
        Builder::new(host.into(), port)
    }

    pub(crate) const fn new(connection: Arc<Connection>) -> Self {
        Self { connection }
    }

    /// Runs a command to its end and collects what it writes. The input is empty.
    ///
    /// Both streams are read at once and as they come, so that no amount of output can block it.
    /// A status other than 0 is not an error; [`Output::ok`] makes it one.
    ///
    /// # Errors
    /// The server refuses the command, or the connection ends.
    ///
    /// # Cancel safety
    /// Dropping the future closes the channel; most servers let the command run on.
    pub async fn exec(&self, command: impl Into<Vec<u8>>) -> Result<Output, Error> {
        self.command(command).output().await
    }

    /// Describes a command to be run.
    pub fn command(&self, command: impl Into<Vec<u8>>) -> Command {
        let request = Request::Exec(command.into().into());
        Command::new(Arc::clone(&self.connection), "exec", request)
    }

    /// Describes the user's login shell, to be run.
    pub fn shell(&self) -> Command {
        Command::new(Arc::clone(&self.connection), "shell", Request::Shell)
    }

    /// Describes a subsystem (RFC 4254 §6.5), to be run.
    pub fn subsystem(&self, name: &str) -> Command {
        let request = Request::Subsystem(name.to_owned().into());
        Command::new(Arc::clone(&self.connection), "subsystem", request)
    }

    /// Starts an SFTP session.
    ///
    /// # Errors
    /// The server has no SFTP, or the connection ends.
    ///
    /// # Cancel safety
    /// Dropping the future closes the channel again.
    pub async fn open_sftp(&self) -> Result<Sftp, Error> {
        let sftp = self.open_sftp_ahead().await?;
        sftp.begun().await?;
        Ok(sftp)
    }

    /// Starts an SFTP session, and does not wait until the server has begun it: on a long link the
    /// first operation so comes a round trip sooner. That the server has no SFTP is then told by
    /// [`Sftp::begun`], and by the operations, which fail. Until then nobody knows what the
    /// server offers ([`Sftp::has`]); operations that need to know wait for it.
    ///
    /// It waits all the same with servers other than OpenSSH's and ours, since not every one takes
    /// requests before it has answered the first.
    ///
    /// # Errors
    /// The server allows no further channel, or the connection ends.
    ///
    /// # Cancel safety
    /// Dropping the future closes the channel again.
    pub async fn open_sftp_ahead(&self) -> Result<Sftp, Error> {
        Sftp::open_ahead(self, &self.connection, None).await
    }

    /// True if both are handles on one connection.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.connection, &other.connection)
    }

    /// Starts a further SFTP session with a server that has told its limits, as
    /// [`open_sftp_ahead`](Self::open_sftp_ahead).
    pub(crate) async fn open_sftp_as(&self, limits: sftp::Limits) -> Result<Sftp, Error> {
        Sftp::open_ahead(self, &self.connection, Some(limits)).await
    }

    /// What the two sides agreed on in the last key exchange.
    #[must_use]
    pub fn negotiated(&self) -> Option<Negotiated> {
        self.connection.shared.with(|state| state.session.transport().negotiated().cloned())
    }

    /// How the server names itself and its version.
    #[must_use]
    pub fn server_identification(&self) -> Option<PeerText> {
        self.connection
            .shared
            .with(|state| state.session.transport().peer_identification().cloned())
    }

    /// Exchanges new keys now. Data goes on flowing; nothing waits for the end of it.
    pub fn rekey(&self) {
        self.connection.shared.with(|state| {
            let now = state.now();
            state.session.transport_mut().rekey(now);
        });
    }

    /// Says good-bye and waits until it has been written. Other handles on the connection get
    /// [`Error::Closed`].
    ///
    /// # Errors
    /// None today; a connection that was lost already counts as closed.
    ///
    /// # Cancel safety
    /// The connection is closed in any case.
    pub async fn close(self) -> Result<(), Error> {
        self.connection.shared.with(|state| state.close("closed by the application"));
        poll_fn(|cx| {
            self.connection.shared.with(|state| {
                if state.is_finished() {
                    return Poll::Ready(());
                }
                state.wait_for_end(cx.waker());
                Poll::Pending
            })
        })
        .await;
        Ok(())
    }

    /// Waits for the end of the connection and tells why it ended.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn closed(&self) -> Error {
        poll_fn(|cx| {
            self.connection.shared.with(|state| match state.alive() {
                Err(error) => Poll::Ready(error),
                Ok(()) => {
                    state.wait_for_end(cx.waker());
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Why the connection has ended, if it has.
    #[must_use]
    pub fn is_closed(&self) -> Option<Error> {
        self.connection.shared.with(|state| state.alive().err())
    }
}
