//! How a session begins: `INIT`, and what the server offers and accepts. On a long link each of the
//! steps costs a round trip; with servers that are known to answer one request after the other, what
//! comes next need not wait for them.

use core::{future::poll_fn, task::Poll, time::Duration};
use std::sync::Arc;

use sftp::{Extension, Limits, client::Client as Codec};
use ssh_connection::{Request, Stream};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::SetOnce,
    task::AbortHandle,
    time::{Instant, timeout},
};

use super::{
    Sftp,
    engine::{Engine, Ticket},
    error,
    link::Link,
};
use crate::{
    Client,
    channel::Channel,
    driver::Connection,
    error::{Error, SftpErrorKind},
};

/// How long the start of a session may take: the server has a program to start.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The start of a session that is under way. The last handle on the session that is dropped ends it.
#[derive(Debug)]
pub(super) struct Beginning {
    outcome: Arc<SetOnce<Result<(), Error>>>,
    task: AbortHandle,
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sftp {
    /// Opens a session, and does not wait until it has begun if it is known how the server takes
    /// that. A further session takes what the server accepts from the first.
    pub(crate) async fn open_ahead(
        client: &Client,
        connection: &Arc<Connection>,
        limits: Option<Limits>,
    ) -> Result<Self, Error> {
        let channel = Arc::new(Channel::open_session(connection).await?);
        channel.discard(Stream::Stderr);
        let engine = Engine::new(Link::Channel(Arc::clone(&channel)));
        if let Some(limits) = limits {
            engine.assume_limits(limits);
        }
        let known = is_known_server(client);
        let mut sftp = Self { engine, client: Some(client.clone()), beginning: None };
        // INIT travels right behind the request for the subsystem: a server that refuses it never
        // looks at the data, and one that does not saves a round trip.
        let engine = Arc::clone(&sftp.engine);
        let mut begin = Box::pin(async move {
            let request = [("subsystem", Request::Subsystem("sftp".into()))];
            let greet = async { Greeting::send(engine, limits.is_none(), known)?.wait().await };
            tokio::try_join!(channel.ask(&request), greet).map(drop)
        });
        if !known {
            begin.await?;
            return Ok(sftp);
        }
        // Both are on their way before anything else can be asked.
        match poll_fn(|cx| Poll::Ready(begin.as_mut().poll(cx))).await {
            Poll::Ready(begun) => begun?,
            Poll::Pending => sftp.beginning = Some(sftp.begin_aside(begin)),
        }
        Ok(sftp)
    }

    /// Speaks SFTP over any stream of bytes: the pipes of a local `sftp-server` or of somebody
    /// else's `ssh -s host sftp` (join them with [`tokio::io::join`]), a TLS connection, a socket.
    ///
    /// The stream ends with the last handle on the session.
    ///
    /// # Errors
    /// A stream that ends, fails, or speaks something else.
    pub async fn over(stream: impl AsyncRead + AsyncWrite + Send + 'static) -> Result<Self, Error> {
        let engine = Engine::new(Link::stream(stream));
        Greeting::send(Arc::clone(&engine), true, false)?.wait().await?;
        Ok(Self { engine, client: None, beginning: None })
    }

    /// Waits until the server has begun the session: what [`Client::open_sftp`] does, and
    /// [`Client::open_sftp_ahead`] leaves to this.
    ///
    /// # Errors
    /// The server has no SFTP, or the connection ends. Every operation fails then.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn begun(&self) -> Result<(), Error> {
        match &self.beginning {
            Some(beginning) => beginning.outcome.wait().await.clone(),
            None => Ok(()),
        }
    }

    /// Lets the session begin while others use it already. They fail if it does not.
    fn begin_aside(
        &self,
        begin: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Arc<Beginning> {
        let outcome = Arc::new(SetOnce::new());
        let (told, engine) = (Arc::clone(&outcome), Arc::clone(&self.engine));
        let task = tokio::spawn(async move {
            let begun = begin.await;
            let why = begun.as_ref().err().map(|error| match error {
                Error::Sftp(error) => error.kind.clone(),
                error => SftpErrorKind::Connection(error.clone()),
            });
            // It is set only here.
            told.set(begun).ok();
            if let Some(why) = why {
                engine.give_up(why);
            }
        });
        Arc::new(Beginning { outcome, task: task.abort_handle() })
    }
}

/// True for servers whose habits are known, by what they call themselves: they take requests before
/// they have answered `INIT`, answer in order, and answer every extension that they do not know.
fn is_known_server(client: &Client) -> bool {
    let name = client.server_identification().map(|name| name.to_string()).unwrap_or_default();
    ["SSH-2.0-OpenSSH_", "SSH-2.0-chiton"].iter().any(|known| name.starts_with(known))
}

/// `INIT`, and the question what the server accepts, on their way.
struct Greeting {
    ticket: Ticket,
    engine: Arc<Engine>,
    began: Instant,
    /// Whether it has to be asked what the server accepts, and whether that was done already.
    ask: bool,
    asked: bool,
}

impl Greeting {
    fn send(engine: Arc<Engine>, ask: bool, known: bool) -> Result<Self, Error> {
        let ticket = engine.ticket();
        let asked = ask && known;
        let send = || {
            ticket.send(Codec::start)?;
            if asked {
                ticket.send(Codec::ask_limits)?;
            }
            ticket.flush();
            Ok(())
        };
        send().map_err(failed)?;
        Ok(Self { ticket, engine, began: Instant::now(), ask, asked })
    }

    async fn wait(self) -> Result<(), Error> {
        match timeout(START_TIMEOUT, self.replies()).await {
            Ok(begun) => begun.map_err(failed),
            Err(_) => Err(failed(SftpErrorKind::NoAnswer { after: START_TIMEOUT })),
        }
    }

    async fn replies(self) -> Result<(), SftpErrorKind> {
        self.ticket.reply().await?;
        let mut round_trip = self.began.elapsed();
        let offered = || {
            let extensions = self.engine.client(Codec::extensions);
            extensions.is_some_and(|offered| offered.contains(Extension::Limits))
        };
        if self.asked {
            self.ticket.reply().await?;
        } else if self.ask && offered() {
            let began = Instant::now();
            self.ticket.send(Codec::ask_limits)?;
            // A server that offers them and then has none leaves the draft's.
            self.ticket.reply().await?;
            // The first answer had to wait for a program to be started.
            round_trip = round_trip.min(began.elapsed());
        }
        self.engine.note_round_trip(round_trip);
        Ok(())
    }
}

fn failed(kind: SftpErrorKind) -> Error {
    error("start", &[], kind)
}
