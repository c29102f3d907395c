//! Learning a server's new host keys once one has logged in (OpenSSH's `UpdateHostKeys`).

use core::{future::poll_fn, task::Poll};
use std::sync::Arc;

use ssh_keys::{PublicKey, known_hosts::HostName};
use ssh_wire::proof::SessionId;

use super::{HostKeys, front::blocking};
use crate::{driver::Shared, error::Error, host_key_news};

/// Waits for the server to tell its keys, has those proved that are not known, and writes them into
/// the file of `policy`. Ends with the connection, and does not keep it open.
///
/// Nothing of it is an error for anybody: what is known stays known.
pub(super) async fn run(
    shared: Arc<Shared>,
    policy: HostKeys,
    host: HostName,
    current: PublicKey,
    session: SessionId,
) -> Result<(), Error> {
    let announced = poll_fn(|cx| {
        let keys = shared.with(|state| state.announced_host_keys(cx.waker()));
        keys.map_or(Poll::Pending, Poll::Ready)
    })
    .await?;
    // A server that does not name the key it was known by has something else in mind.
    if !announced.contains(&current) {
        return Ok(());
    }
    let (asked, keys) = (policy.clone(), announced.clone());
    let (name, known_by) = (host.clone(), current.clone());
    let unknown = blocking(move || asked.keys_to_learn(&name, &known_by, &keys)).await?;
    let Some(unknown) = unknown else { return Ok(()) };
    if !unknown.is_empty() {
        let data = host_key_news::blobs(&unknown);
        shared.with(|state| state.ask_for_host_key_proof(&data))?;
        let proofs = poll_fn(|cx| {
            let proofs = shared.with(|state| state.host_key_proof(cx.waker()));
            proofs.map_or(Poll::Pending, Poll::Ready)
        })
        .await?;
        let is_proved =
            proofs.is_some_and(|proofs| host_key_news::is_proved(&unknown, &session, &proofs));
        if !is_proved {
            return Ok(());
        }
    }
    blocking(move || policy.learn(&host, &announced)).await?
}
