//! The door: takes TCP connections, as many as there is place for.

use core::{fmt, time::Duration};
use std::{io, net::SocketAddr, sync::Arc};

use ssh_transport::Config;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::{JoinHandle, JoinSet},
};

use super::{
    accounts::Accounts,
    connection,
    event::Event,
    session::{Origin, Permissions},
};
use crate::{error::Error, limits::Limits};

/// How long to wait when the system has no room for another connection. Trying again at once
/// would only keep a processor busy.
const BREATH: Duration = Duration::from_millis(100);

/// How long connections get to say good-bye when the server is shut down.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A function that is told what happens.
pub(super) type Listen = Arc<dyn Fn(&Event) + Send + Sync>;

/// Everything that connections share.
pub(super) struct Shop {
    pub(super) transport: Arc<Config>,
    pub(super) accounts: Accounts,
    pub(super) auth_limits: ssh_auth::server::Limits,
    pub(super) limits: Limits,
    pub(super) permissions: Arc<Permissions>,
    pub(super) banner: Option<String>,
    pub(super) login_grace: Duration,
    pub(super) max_connections: usize,
    pub(super) max_strangers: usize,
    pub(super) on_event: Option<Listen>,
    /// Whether clients are told all host keys.
    pub(super) announce_host_keys: bool,
}

impl Shop {
    pub(super) fn tell(&self, event: Event) {
        if let Some(on_event) = &self.on_event {
            on_event(&event);
        }
    }
}

/// A running server. Dropping it ends the server and its connections at once.
pub struct Handle {
    local: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Handle {
    pub(super) fn start(listener: TcpListener, shop: Shop) -> Result<Self, Error> {
        let local =
            listener.local_addr().map_err(|_| Error::ApiMisuse("the listener has no address"))?;
        super::inherited::stop_ignoring_signals();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(listen(listener, Arc::new(shop), stopped));
        Ok(Self { local, stop, task })
    }

    /// The address the server listens on.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Takes no more connections, and closes those there are. Programs of clients that still run
    /// get a hang-up signal.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // An error means that the task has ended already.
        (&mut self.task).await.ok();
    }

    /// Waits while the server runs: for ever, unless its task is destroyed with the runtime.
    pub async fn wait(mut self) {
        (&mut self.task).await.ok();
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("local", &self.local).finish_non_exhaustive()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, shop: Arc<Shop>, mut stop: watch::Receiver<bool>) {
    let strangers = Arc::new(Semaphore::new(shop.max_strangers));
    let mut connections = JoinSet::new();
    let stopped = stop.clone();
    loop {
        tokio::select! {
            biased;
            () = told(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let place = Arc::clone(&strangers).try_acquire_owned();
                    match (place, origin(&socket, peer)) {
                        (Ok(place), Ok(origin)) if connections.len() < shop.max_connections => {
                            let shop = Arc::clone(&shop);
                            let stopped = stopped.clone();
                            connections.spawn(connection::serve(socket, origin, shop, place, stopped));
                        }
                        _ => shop.tell(Event::TurnedAway { peer }),
                    }
                }
                Err(_) => tokio::time::sleep(BREATH).await,
            },
        }
    }
    drop(listener);
    // Those that have not ended by then are cut off.
    tokio::time::timeout(LAST_WORDS, async { while connections.join_next().await.is_some() {} })
        .await
        .ok();
}

/// Waits until the server is to stop, or is gone.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}

fn origin(socket: &TcpStream, peer: SocketAddr) -> io::Result<Origin> {
    // Without it each small packet may wait for the acknowledgement of the one before.
    socket.set_nodelay(true)?;
    Ok(Origin { peer, local: socket.local_addr()? })
}
