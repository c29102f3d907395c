//! One client, from its TCP connection to its sessions.

use core::{future::poll_fn, task::Poll};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use ssh_auth::server::{AuthQuestion, Credential, MethodSet};
use ssh_crypto::rng::SystemRng;
use ssh_keys::authorized_keys::{Permissions, Visitor};
use ssh_wire::Time;
use tokio::{
    net::TcpStream,
    sync::{OwnedSemaphorePermit, watch},
    task::JoinSet,
    time::Instant,
};

use super::{
    accounts::Verdict,
    event::{Event, Proof},
    listener::{Shop, told},
    session::{self, Origin},
};
use crate::{
    channel::Channel,
    driver::{Connection, Driver, KeepAlive, Shared},
    error::Error,
    session::{Session, SessionEvent},
};

/// Serves one client until the connection ends. `place` is its place among the clients that have
/// not logged in.
pub(super) async fn serve(
    socket: TcpStream,
    origin: Origin,
    shop: Arc<Shop>,
    place: OwnedSemaphorePermit,
    stop: watch::Receiver<bool>,
) {
    let peer = origin.peer;
    let mut limits = shop.limits.connection();
    // Whoever opens many channels at once gets those that `max_channels` allows.
    limits.max_pending_opens = limits.max_channels;
    let (mut session, inbound) = Session::server(
        Arc::clone(&shop.transport),
        shop.accounts.methods(),
        shop.auth_limits,
        limits,
        Box::new(SystemRng),
        Time::ZERO,
    );
    session.set_login_timeout(Some(shop.login_grace));
    let shared = Shared::new(session, Instant::now());
    let driver = Driver::new(socket, inbound, Arc::clone(&shared), Some(KeepAlive::USUAL));
    let connection = Arc::new(Connection { shared });
    shop.tell(Event::Connected { peer });
    let front = Front { connection, shop: Arc::clone(&shop), peer, stop };
    let ((), cause) = tokio::join!(driver, front.run(origin, place));
    shop.tell(Event::Ended { peer, cause });
}

/// What is done with a connection beside moving its bytes.
struct Front {
    connection: Arc<Connection>,
    shop: Arc<Shop>,
    peer: SocketAddr,
    stop: watch::Receiver<bool>,
}

impl Front {
    /// Ends with the connection, and gives the cause.
    async fn run(self, origin: Origin, place: OwnedSemaphorePermit) -> Error {
        let connection = Arc::clone(&self.connection);
        let mut stop = self.stop.clone();
        let work = async {
            let granted = match self.log_in().await {
                Ok(granted) => granted,
                Err(error) => return error,
            };
            drop(place);
            self.sessions(origin, granted).await
        };
        tokio::select! {
            biased;
            cause = work => cause,
            () = told(&mut stop) => {
                connection.shared.with(|state| state.close("the server is shutting down"));
                Error::Closed
            }
        }
    }

    /// Gives what the client may do.
    async fn log_in(&self) -> Result<Permissions, Error> {
        if let Some(banner) = &self.shop.banner {
            self.connection.shared.with(|state| state.session.banner(banner));
        }
        let mut last = None;
        let mut done = MethodSet::EMPTY;
        let mut granted = None;
        loop {
            let event = poll_fn(|cx| {
                let event = self.connection.shared.with(|state| state.next_event(cx.waker()));
                event.map_or(Poll::Pending, Poll::Ready)
            })
            .await?;
            match event {
                SessionEvent::AuthQuestion(question) => {
                    last = Some(self.answer(question, &mut done, &mut granted)?);
                }
                SessionEvent::Authenticated => {
                    if self.shop.announce_host_keys {
                        self.connection.shared.with(|state| state.session.announce_host_keys());
                    }
                    let Some((user, proof)) = last else { continue };
                    self.shop.tell(Event::LoggedIn { peer: self.peer, user, proof });
                    // Who logged in with a password is held by no options.
                    return Ok(granted.unwrap_or_default());
                }
                _ => {}
            }
        }
    }

    /// Where the client is and what time it is, for the options of keys.
    fn visitor(&self) -> Visitor<'static> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |elapsed| elapsed.as_secs());
        let address = Some(self.peer.ip());
        // Names are not looked up, and dates without a zone are in UTC.
        Visitor { user: "", address, host: None, now, utc_offset: 0 }
    }

    /// Answers a question, and tells who was asking and how.
    fn answer(
        &self,
        question: AuthQuestion,
        done: &mut MethodSet,
        granted: &mut Option<Permissions>,
    ) -> Result<(String, Proof), Error> {
        let visitor = self.visitor();
        let verdict = self.shop.accounts.judge(&question, &visitor, done, granted);
        let (user, proof) = (question.user().to_owned(), Proof::of(question.credential()));
        let signed = !matches!(question.credential(), Credential::Key { proven: false, .. });
        if verdict == Verdict::Reject && signed {
            let (peer, user, proof) = (self.peer, user.clone(), proof.clone());
            self.shop.tell(Event::Refused { peer, user, proof });
        }
        let mut wakers = Vec::new();
        self.connection.shared.with(|state| {
            state.alive()?;
            let mut next = match verdict {
                Verdict::Accept => state.session.accept(question),
                Verdict::AcceptPartially(left) => state.session.accept_partially(question, left),
                Verdict::Reject => state.session.reject(question),
            };
            let result = loop {
                match next {
                    Ok(Some(event)) => {
                        if let Err(error) = state.on_event(event, &mut wakers) {
                            break Err(error);
                        }
                    }
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                }
                next = state.session.poll_acceptor();
            };
            if let Err(error) = &result {
                state.fail(error.clone(), &mut wakers);
            }
            result
        })?;
        Ok((user, proof))
    }

    /// Serves sessions until the connection ends; they end with it.
    async fn sessions(&self, origin: Origin, granted: Permissions) -> Error {
        let granted = Arc::new(granted);
        let mut sessions = JoinSet::new();
        loop {
            let incoming = poll_fn(|cx| {
                let incoming = self.connection.shared.with(|state| state.next_incoming(cx.waker()));
                incoming.map_or(Poll::Pending, Poll::Ready)
            });
            let incoming = tokio::select! {
                incoming = incoming => incoming,
                Some(_) = sessions.join_next() => continue,
            };
            let accepted =
                incoming.and_then(|incoming| Channel::accept(&self.connection, incoming));
            match accepted {
                Ok(channel) => {
                    let permissions = Arc::clone(&self.shop.permissions);
                    let granted = Arc::clone(&granted);
                    sessions.spawn(session::serve(channel, permissions, granted, origin.clone()));
                }
                Err(error) if self.connection.shared.lock().alive().is_err() => return error,
                // The client has closed the channel before it was open.
                Err(_) => {}
            }
        }
    }
}
