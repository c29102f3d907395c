//! Everything a peer can make a connection hold, as numbers.

use core::mem::size_of;

use crate::{
    channel::{Channel, recv_buf},
    event::MuxEvent,
    size,
};

/// What a peer may make this side hold. [`Limits::worst_case`] is the sum.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes that a peer may send on a new channel before anything is read. 2 MiB, as OpenSSH:
    /// fills 160 Mbit/s at 100 ms from the first byte, and grows from there.
    pub initial_window: u32,
    /// The most a window grows to. 32 MiB fill 2.5 Gbit/s at 100 ms.
    pub max_window: u32,
    /// Bytes that all channels together may hold unread or have promised to take. SSH has no window
    /// for a connection; this makes one. 64 MiB: two channels at full width, or the 256 channels
    /// of [`Self::max_channels`] at a quarter MiB.
    pub connection_budget: usize,
    /// Bytes of data in one message, as told to the peer and enforced. 32 KiB, as everyone: RFC
    /// 4253 §6.1 obliges nobody to take larger packets.
    pub max_packet: u32,
    /// Channels at a time, those that are being opened or closed included. 256: a browser behind
    /// a forwarded port uses some dozens.
    pub max_channels: usize,
    /// Opens by the peer that the application has not answered. 16: what comes above is refused.
    pub max_pending_opens: usize,
    /// Requests on one channel that the application has not answered. 128: clients send a
    /// terminal, some variables and a command without waiting for answers.
    pub max_pending_replies: usize,
    /// Requests that were received and not fetched with [`Mux::poll`](crate::Mux::poll). 1024.
    pub max_queued_requests: usize,
    /// Bytes of strings in those requests. 1 MiB: four of the largest packets.
    pub max_queued_request_bytes: usize,
    /// The size of the blocks in which the embedder reads from its socket, at most. Payloads are
    /// kept as slices of them, so this is what a kept byte can pin, and each stream may pin 64 KiB
    /// less than a block for nothing. 128 KiB.
    pub read_block: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            initial_window: 2 * 1024 * 1024,
            max_window: 32 * 1024 * 1024,
            connection_budget: 64 * 1024 * 1024,
            max_packet: 32 * 1024,
            max_channels: 256,
            max_pending_opens: 16,
            max_pending_replies: 128,
            max_queued_requests: 1024,
            max_queued_request_bytes: 1024 * 1024,
            read_block: 128 * 1024,
        }
    }
}

impl Limits {
    /// The most bytes that one connection holds on behalf of its peer.
    ///
    /// Unread bytes count twice, since a slice may keep as much again of its block alive.
    #[must_use]
    pub fn worst_case(&self) -> usize {
        let limits = self.clone().consistent();
        let unread = limits.connection_budget.saturating_mul(2);
        let slack = limits
            .max_channels
            .saturating_mul(2)
            .saturating_mul(recv_buf::slack(limits.read_block));
        let per_channel = size_of::<Channel>()
            .saturating_add(limits.max_pending_replies.saturating_mul(64))
            .saturating_add(size_of::<MuxEvent>().saturating_mul(8));
        let channels = limits.max_channels.saturating_mul(per_channel);
        let requests = limits
            .max_queued_requests
            .saturating_mul(size_of::<MuxEvent>())
            .saturating_add(limits.max_queued_request_bytes);
        [unread, slack, channels, requests].into_iter().fold(0, usize::saturating_add)
    }

    /// What a channel may be sent even if the budget is used up: two packets, one on the way
    /// while the other is read.
    pub(crate) fn window_floor(&self) -> u32 {
        self.max_packet.saturating_mul(2).min(self.initial_window)
    }

    /// The same limits with those raised that would contradict others: no window and no packet is
    /// empty, a window holds a packet, and the budget has the floor of each channel.
    pub(crate) fn consistent(mut self) -> Self {
        self.max_packet = self.max_packet.max(1);
        self.initial_window = self.initial_window.max(self.max_packet);
        self.max_window = self.max_window.max(self.initial_window);
        let floors = size(self.window_floor()).saturating_mul(self.max_channels);
        self.connection_budget = self.connection_budget.max(floors);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_case_of_the_defaults_is_known() {
        let worst = Limits::default().worst_case();
        assert!(worst < 192 * 1024 * 1024, "{worst}");
        assert!(worst > 128 * 1024 * 1024, "{worst}");
    }

    #[test]
    fn contradictions_are_resolved_upwards() {
        let limits = Limits {
            initial_window: 0,
            max_window: 0,
            connection_budget: 0,
            max_packet: 0,
            max_channels: 3,
            ..Limits::default()
        }
        .consistent();
        assert_eq!((limits.max_packet, limits.initial_window, limits.max_window), (1, 1, 1));
        assert_eq!(limits.connection_budget, 3);
    }
}
