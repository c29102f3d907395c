//! The channels that an upload goes over. A window of the server bounds what is under way on each of
//! them; on a long link several are worth it. They are asked for once and all together: to ask for one
//! first, in case the server allows none, costs three of the round trips that they are there to save.

use core::{future::poll_fn, task::Poll};
use std::collections::HashMap;

use sftp::{
    client::{RequestId, Response},
    transfer::{PutStep, lanes_wanted},
};

use super::Sending;
use crate::{
    error::SftpErrorKind,
    sftp::{Sftp, engine::Ticket},
};

/// A channel.
pub(super) struct Lane {
    pub(super) sftp: Sftp,
    pub(super) ticket: Ticket,
    pub(super) asked: HashMap<RequestId, Asked>,
}

/// What a request asks.
pub(super) struct Asked {
    pub(super) step: PutStep,
    /// `STAT` of a directory that could not be made: it may be there.
    pub(super) again: bool,
}

impl Lane {
    pub(super) fn new(sftp: Sftp) -> Self {
        Self { ticket: sftp.engine.ticket(), sftp, asked: HashMap::new() }
    }
}

impl Sending {
    /// Decides how many channels it is worth, from what is known of the link and the files.
    pub(super) fn decide(&mut self) {
        if self.decided {
            return;
        }
        let Some(lane) = self.lanes.first() else { return };
        let left = self.account.meter.total.saturating_sub(self.account.meter.done);
        let measured = self.plan.measured();
        let Some(round_trip) =
            measured.map(|(time, _)| time).or_else(|| lane.sftp.engine.round_trip())
        else {
            return;
        };
        let rate = measured.map(|(_, rate)| rate).filter(|rate| *rate > 0);
        let window = lane.sftp.engine.window();
        let Some(window) = window.filter(|_| lane.sftp.client.is_some()) else {
            self.decided = true;
            return;
        };
        let wanted = lanes_wanted(round_trip, window, rate, left).min(self.settings.channels);
        if wanted > 1 {
            self.decided = true;
            (1..wanted).for_each(|_| self.open_lane());
        }
    }

    /// Takes a channel that was asked for. A server that allows no further one gets along with those
    /// that are there, and is not asked again.
    pub(super) fn on_lane(&mut self, opened: Option<Sftp>) {
        let Some(sftp) = opened else { return };
        self.lanes.push(Lane::new(sftp));
        self.plan.add_lane();
    }

    /// Asks for a further channel.
    fn open_lane(&mut self) {
        let Some(Lane { sftp, .. }) = self.lanes.first() else { return };
        let Some(client) = sftp.client.clone() else { return };
        let limits = sftp.engine.client(|client| client.limits());
        let patience = sftp.engine.request_timeout();
        self.opening.spawn(async move {
            let sftp = client.open_sftp_as(limits).await?;
            sftp.set_request_timeout(patience);
            Ok(sftp)
        });
    }
}

/// The next reply on any channel.
pub(super) async fn reply(lanes: &[Lane]) -> Result<(usize, RequestId, Response), SftpErrorKind> {
    poll_fn(|cx| {
        for (at, lane) in lanes.iter().enumerate() {
            if lane.asked.is_empty() {
                continue;
            }
            if let Poll::Ready(reply) = lane.ticket.poll_reply(cx) {
                return Poll::Ready(reply.map(|(id, response)| (at, id, response)));
            }
        }
        Poll::Pending
    })
    .await
}
