//! Writing one file.

use alloc::collections::BTreeMap;

use ssh_wire::Time;

use super::{
    TransferError,
    pipe::{Pipe, Sent},
    ranges::Ranges,
};

/// Keeps account of the writes of a file, until every one is confirmed.
///
/// The source is loaded in order until it ends; its size need not be known.
#[derive(Clone, Debug)]
pub(super) struct Upload {
    /// Up to where the source was loaded, or is a hole.
    loaded: u64,
    ended: bool,
    in_flight: BTreeMap<u64, Write>,
    there: Ranges,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    len: u32,
    lane: usize,
    sent: Sent,
}

impl Upload {
    /// An upload of what is behind `start`.
    pub(super) fn new(start: u64) -> Self {
        Self { loaded: start, ended: false, in_flight: BTreeMap::new(), there: Ranges::new(start) }
    }

    /// Notes that the source was read up to `end`.
    pub(super) fn on_loaded(&mut self, end: u64) {
        self.loaded = self.loaded.max(end);
    }

    /// Notes that there is nothing to be sent for a range: it is a hole.
    pub(super) fn on_hole(&mut self, start: u64, end: u64) {
        if start < end {
            self.loaded = self.loaded.max(end);
            self.there.add(start, end);
        }
    }

    /// Notes that the source has ended.
    pub(super) const fn on_source_end(&mut self) {
        self.ended = true;
    }

    /// True if the source has ended.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Notes that a range was sent.
    pub(super) fn on_sent(&mut self, lane: usize, offset: u64, len: u32, sent: Sent) {
        self.in_flight.insert(offset, Write { len, lane, sent });
    }

    /// Notes that the write at `offset` was answered, and gives its length. Only what the server
    /// has said "OK" to counts.
    ///
    /// # Errors
    /// [`TransferError::NotInFlight`] if there was none.
    pub(super) fn on_answer(
        &mut self,
        lanes: &mut [Pipe],
        offset: u64,
        ok: bool,
        now: Time,
    ) -> Result<u32, TransferError> {
        let Some(Write { len, lane, sent }) = self.in_flight.remove(&offset) else {
            return Err(TransferError::NotInFlight { offset });
        };
        if let Some(pipe) = lanes.get_mut(lane) {
            pipe.answered(sent, len, if ok { len } else { 0 }, now);
        }
        if ok {
            self.there.add(offset, offset.saturating_add(u64::from(len)));
        }
        Ok(len)
    }

    /// Writes that are under way.
    pub(super) fn under_way(&self) -> usize {
        self.in_flight.len()
    }

    /// Up to where the file on the server is complete, in bytes. What is behind it may have gaps:
    /// a transfer that failed is to be cut to this, or taken up again from here.
    pub(super) const fn confirmed(&self) -> u64 {
        self.there.prefix()
    }

    /// The size that the file has when everything is confirmed.
    pub(super) const fn end(&self) -> u64 {
        self.loaded
    }
}
