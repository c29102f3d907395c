//! Looking at a host's key without logging in.

use core::time::Duration;
use std::sync::Arc;

use ssh_crypto::rng::SystemRng;
use ssh_keys::PublicKey;
use ssh_transport::{Config, Preferences};
use ssh_wire::{PeerText, Time};
use tokio::time::Instant;

use super::{
    builder::open_tcp,
    front::{Budget, Front},
};
use crate::{
    driver::{Connection, Driver, Shared},
    error::{Error, Phase},
    limits::Limits,
    session::{Session, SessionEvent},
};

/// What a host showed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScannedHost {
    /// How it calls itself (RFC 4253 §4.2).
    pub identification: Option<PeerText>,
    /// The key that it proved to hold. **Whether it is the right host's is not known**: anybody on
    /// the way can have answered.
    pub key: PublicKey,
}

/// Asks a host for the key that it has for the first of the host key algorithms in `algorithms` that
/// it knows, and leaves before logging in. `timeout` is for all of it.
///
/// # Errors
/// The host cannot be reached, or has no key for these algorithms; see [`Error`].
///
/// # Cancel safety
/// Dropping the future closes the socket.
pub async fn scan_host_key(
    host: &str,
    port: u16,
    algorithms: Preferences,
    timeout: Duration,
) -> Result<ScannedHost, Error> {
    let mut budget = Budget::new(timeout);
    let socket = open_tcp(host, port, &mut budget).await?;
    let mut config = Config::default();
    config.preferences = algorithms;
    let limits = Limits::default().connection();
    let (session, inbound) =
        Session::client(Arc::new(config), "", limits, Box::new(SystemRng), Time::ZERO);
    let shared = Shared::new(session, Instant::now());
    let front = Front { connection: Arc::new(Connection { shared: Arc::clone(&shared) }) };
    tokio::spawn(Driver::new(socket, inbound, shared, None));
    loop {
        let event = budget.spend(Phase::KeyExchange, front.next_event()).await??;
        if let SessionEvent::HostKey(offer) = event {
            let key = offer.key().clone();
            let identification = front.connection.shared.with(|state| {
                state.session.refuse_host_key(offer);
                state.session.transport().peer_identification().cloned()
            });
            return Ok(ScannedHost { identification, key });
        }
    }
}
