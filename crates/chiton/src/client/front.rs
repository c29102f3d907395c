//! What whoever sets a connection up sees of it: its events, one after the other, and the time
//! that is left.

use core::{
    future::{Future, poll_fn},
    task::Poll,
    time::Duration,
};
use std::sync::Arc;

use ssh_auth::{
    AuthRecord,
    client::{Authenticator, RequestError},
};
use ssh_transport::{HostKeyOffer, Transport};
use tokio::time::Instant;

use crate::{
    driver::Connection,
    error::{Error, Phase},
    session::SessionEvent,
};

/// The time that is left for connecting. Only waiting for the network counts.
pub(super) struct Budget {
    pub(super) total: Duration,
    left: Duration,
}

impl Budget {
    pub(super) const fn new(total: Duration) -> Self {
        Self { total, left: total }
    }

    /// Waits for `what`, as long as there is time.
    pub(super) async fn spend<T>(
        &mut self,
        phase: Phase,
        what: impl Future<Output = T>,
    ) -> Result<T, Error> {
        self.spend_share(1, phase, what).await
    }

    /// Waits for `what`, as long as its share of the time lasts.
    pub(super) async fn spend_share<T>(
        &mut self,
        shares: usize,
        phase: Phase,
        what: impl Future<Output = T>,
    ) -> Result<T, Error> {
        let shares = u32::try_from(shares).unwrap_or(u32::MAX);
        let start = Instant::now();
        let limit = self.left.checked_div(shares).unwrap_or(self.left);
        let result = tokio::time::timeout(limit, what).await;
        self.left = self.left.saturating_sub(start.elapsed());
        result.map_err(|_| Error::TimedOut(phase, self.total))
    }
}

/// The connection as seen by whoever sets it up.
pub(super) struct Front {
    pub(super) connection: Arc<Connection>,
}

impl Front {
    /// The next event of the handshake or of authentication.
    pub(super) async fn next_event(&self) -> Result<SessionEvent, Error> {
        poll_fn(|cx| {
            let event = self.connection.shared.with(|state| state.next_event(cx.waker()));
            event.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    pub(super) fn trust(&self, offer: HostKeyOffer) -> Result<(), Error> {
        self.connection.shared.with(|state| {
            state.alive()?;
            let now = state.now();
            let event = state.session.answer_host_key(offer.trust(), now)?;
            match event {
                Some(event) => state.on_event(event, &mut Vec::new()),
                None => Ok(()),
            }
        })
    }

    pub(super) fn refuse(&self, offer: HostKeyOffer) {
        self.connection.shared.with(|state| state.session.refuse_host_key(offer));
    }

    pub(super) fn with_authenticator(
        &self,
        act: impl FnOnce(&mut Authenticator, &mut Transport) -> Result<(), RequestError>,
    ) -> Result<Result<(), RequestError>, Error> {
        self.connection.shared.with(|state| {
            state.alive()?;
            match state.session.authenticator() {
                Some((auth, transport)) => Ok(act(auth, transport)),
                None => Err(Error::ApiMisuse("authentication is over")),
            }
        })
    }

    /// What was tried so far.
    pub(super) fn auth_record(&self) -> AuthRecord {
        self.connection.shared.with(|state| {
            state.session.authenticator().map(|(auth, _)| auth.record().clone()).unwrap_or_default()
        })
    }
}

/// Runs what may block on a thread where it may.
pub(super) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(act).await.map_err(|_| Error::Closed)
}
