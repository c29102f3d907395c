//! An agent that serves a Unix socket.

use core::{convert::Infallible, fmt, future::pending, time::Duration};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use ssh_agent::{
    Bindings,
    agent::{Answer, Question},
};
use ssh_crypto::rng::SystemRng;
use ssh_wire::Time;
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

use super::stream::{self, Stream};

/// Connections at once, each of which may make the agent hold a message. Further ones wait.
const MAX_CONNECTIONS: usize = 256;

/// How long to wait before the next try when a connection cannot be accepted, since there are too
/// many open files for instance.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

type Confirm = Arc<dyn Fn(&Question) -> bool + Send + Sync>;

/// An agent: holds keys in memory, wipes them when it forgets them, and signs for whoever may
/// connect.
///
/// Clones are the same agent.
#[derive(Clone)]
#[must_use]
pub struct Server {
    shared: Arc<Shared>,
    confirm: Option<Confirm>,
}

struct Shared {
    agent: Mutex<ssh_agent::Agent>,
    /// When the agent began, by a clock that does not go back, and by the one on the wall.
    epoch: Instant,
    began: Duration,
    /// Told when the next key to be forgotten may be another one.
    changed: Notify,
    places: Arc<Semaphore>,
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

impl Server {
    /// An agent without keys. To be made on a tokio runtime.
    pub fn new() -> Self {
        Self::with_agent(ssh_agent::Agent::new())
    }

    /// An agent that forgets keys after this time unless they come with a lifetime of their own.
    pub fn with_lifetime(lifetime: Duration) -> Self {
        Self::with_agent(ssh_agent::Agent::new().with_lifetime(lifetime))
    }

    fn with_agent(agent: ssh_agent::Agent) -> Self {
        let shared = Shared {
            agent: Mutex::new(agent),
            epoch: Instant::now(),
            began: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            changed: Notify::new(),
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        };
        Self { shared: Arc::new(shared), confirm: None }
    }

    /// Who is asked about each signature of a key that was added so; without this call nobody is,
    /// and such keys sign nothing. The callback runs on a thread where it may block.
    pub fn confirm(mut self, ask: impl Fn(&Question) -> bool + Send + Sync + 'static) -> Self {
        self.confirm = Some(Arc::new(ask));
        self
    }

    /// Serves clients that connect to `listener`. Other users than the one who runs this process,
    /// and root, are turned away, whatever the permissions of the socket.
    ///
    /// # Cancel safety
    /// Dropping the future ends it: it accepts nobody any more. Connections that are open go on.
    pub async fn serve(&self, listener: UnixListener) -> Infallible {
        loop {
            let place = Arc::clone(&self.shared.places).acquire_owned();
            let client = async { (place.await, listener.accept().await) };
            tokio::select! {
                () = self.next_death() => self.shared.lock().tick(self.shared.now()),
                (place, accepted) = client => match (place, accepted) {
                    (Ok(place), Ok((client, _))) if is_own(&client) => self.spawn(client, place),
                    (Ok(_), Ok(_)) => {}
                    _ => tokio::time::sleep(ACCEPT_AGAIN).await,
                },
            }
        }
    }

    fn spawn(&self, client: UnixStream, place: OwnedSemaphorePermit) {
        let server = self.clone();
        tokio::spawn(async move {
            // Why a client is gone is of no interest.
            let _ended = server.serve_one(client).await;
            drop(place);
        });
    }

    /// Waits until a key is to be forgotten, or another one may be the next.
    async fn next_death(&self) {
        let deadline = self.shared.lock().deadline();
        let death = async {
            match deadline.and_then(|at| self.shared.instant(at)) {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = death => {}
            () = self.shared.changed.notified() => {}
        }
    }

    /// Serves one client, over whatever stream.
    ///
    /// # Errors
    /// The stream fails, or the client does not speak the protocol.
    pub async fn serve_one(&self, mut client: impl Stream) -> io::Result<()> {
        let mut bindings = Bindings::default();
        while let Some(request) = stream::receive(&mut client).await? {
            let answer = self.shared.lock().handle(
                &mut bindings,
                request.expose(),
                self.shared.now(),
                &mut SystemRng,
            );
            self.shared.changed.notify_one();
            let reply = match answer {
                Answer::Reply(reply) => reply,
                Answer::After(delay, reply) => {
                    tokio::time::sleep(delay).await;
                    reply
                }
                Answer::Ask(question) => self.ask(question).await,
                _ => return Err(io::ErrorKind::Unsupported.into()),
            };
            stream::send(&mut client, &reply).await?;
        }
        Ok(())
    }

    async fn ask(&self, question: Question) -> Vec<u8> {
        let yes = match self.confirm.clone() {
            Some(confirm) => {
                let asked = question.clone();
                tokio::task::spawn_blocking(move || confirm(&asked)).await.unwrap_or(false)
            }
            None => false,
        };
        self.shared.lock().answer(question, yes, self.shared.now())
    }
}

impl Shared {
    /// The agent is whole after every step, also one that panicked.
    fn lock(&self) -> MutexGuard<'_, ssh_agent::Agent> {
        self.agent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Time {
        Time::from_epoch(self.began.saturating_add(self.epoch.elapsed()))
    }

    fn instant(&self, at: Time) -> Option<Instant> {
        self.epoch.checked_add(at.since_epoch().saturating_sub(self.began))
    }
}

fn is_own(client: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    client.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0)
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("agent", &*self.shared.lock()).finish_non_exhaustive()
    }
}
