//! Reading a whole file.

use alloc::collections::BTreeMap;

use ssh_wire::Time;

use super::{Range, TransferError, pipe::Pipe, pipe::Sent, ranges::Ranges};

/// Requests are not made smaller than this because of short replies: below it, more bytes would
/// go into packets than into content.
const MIN_READ: u32 = 4096;

/// How often a file may end before content that the server sent, until that is an error. Once
/// happens when a file grows at the wrong moment.
const MAX_HOLES: u8 = 4;

/// Plans the reads of a file, until it is whole.
///
/// Content comes in any order and is to be written where it belongs; when the transfer is
/// [done](Self::is_done), the copy is to be cut to the size that [`check`](Self::check) gives.
#[derive(Clone, Debug)]
pub(super) struct Download {
    /// Where the first byte that was never asked for is.
    next: u64,
    start: u64,
    /// The size that was told at first.
    size: Option<u64>,
    /// Up to where reads are sent freely; behind it, one at a time until it brings content.
    /// `None` if nothing is known, or the file turned out longer.
    hint: Option<u64>,
    /// Bytes of one request. Becomes smaller if the server always gives less.
    read_len: u32,
    in_flight: BTreeMap<u64, Read>,
    /// What short replies left.
    again: BTreeMap<u64, Rest>,
    /// Ranges that were answered with the end of the file.
    ended: BTreeMap<u64, u32>,
    there: Ranges,
    holes: u8,
    done: bool,
}

#[derive(Clone, Copy, Debug)]
struct Read {
    len: u32,
    sent: Sent,
    /// The bytes of the short reply that left this range to be asked for again.
    after: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    len: u32,
    after: Option<u32>,
}

impl Download {
    /// Plans the reads of a file from `start` on, in requests of `request_len` bytes. `size` is
    /// what was told of it: a hint, since files of `/proc` say 0 and have content, and others grow
    /// and shrink meanwhile.
    pub(super) fn new(request_len: u32, start: u64, size: Option<u64>) -> Self {
        Self {
            next: start,
            start,
            size,
            hint: size,
            read_len: request_len.max(1),
            in_flight: BTreeMap::new(),
            again: BTreeMap::new(),
            ended: BTreeMap::new(),
            there: Ranges::new(start),
            holes: 0,
            done: false,
        }
    }

    /// True if there is something to ask for, were there room for it.
    pub(super) fn wants(&self) -> bool {
        self.choose().is_some()
    }

    /// Reads that are under way.
    pub(super) fn under_way(&self) -> usize {
        self.in_flight.len()
    }

    /// What to ask for next; `None` if a reply has to come first, or everything is there. It
    /// counts as sent `now`, and is to be answered with [`on_data`](Self::on_data) or
    /// [`on_eof`](Self::on_eof).
    pub(super) fn next_read(&mut self, pipe: &mut Pipe, now: Time) -> Option<Range> {
        let (offset, Rest { len, after }) = self.choose()?;
        if !pipe.has_room(len) {
            return None;
        }
        if let Some(rest) = self.again.remove(&offset) {
            let left = rest.len.saturating_sub(len);
            if left > 0 {
                self.again.insert(offset.saturating_add(u64::from(len)), Rest { len: left, after });
            }
        } else {
            self.next = offset.saturating_add(u64::from(len));
        }
        let sent = pipe.sent(len, now);
        self.in_flight.insert(offset, Read { len, sent, after });
        Some(Range { offset, len })
    }

    /// The next range, whether there is room for it or not.
    fn choose(&self) -> Option<(u64, Rest)> {
        if self.done {
            return None;
        }
        if let Some((offset, rest)) = self.again.first_key_value() {
            return Some((*offset, Rest { len: rest.len.min(self.read_len), ..*rest }));
        }
        if !self.ended.is_empty() {
            return None;
        }
        let len = match self.hint.map(|hint| hint.saturating_sub(self.next)) {
            None => self.read_len,
            // Behind the size that was told: one read finds out whether that is the end.
            Some(0)
                if self
                    .in_flight
                    .last_key_value()
                    .is_some_and(|(at, _)| Some(*at) >= self.hint) =>
            {
                return None;
            }
            // It is expected to have nothing, and shall not count as much.
            Some(0) => self.read_len.min(MIN_READ),
            Some(left) => u32::try_from(left).map_or(self.read_len, |left| left.min(self.read_len)),
        };
        // At the very end of what 64 bits count, there is no file.
        self.next.checked_add(u64::from(len))?;
        Some((self.next, Rest { len, after: None }))
    }

    /// Notes that `got` bytes came for the request at `offset`. If they are fewer than asked for,
    /// the rest is asked for again.
    ///
    /// # Errors
    /// [`TransferError::NotInFlight`] and [`TransferError::WrongLength`] for what was not asked
    /// for, [`TransferError::Hole`] if the server's file cannot be.
    pub(super) fn on_data(
        &mut self,
        pipe: &mut Pipe,
        offset: u64,
        got: u32,
        now: Time,
    ) -> Result<(), TransferError> {
        let Some(Read { len, sent, after }) = self.in_flight.remove(&offset) else {
            return Err(TransferError::NotInFlight { offset });
        };
        pipe.answered(sent, len, got, now);
        let rest = len.checked_sub(got).filter(|_| got > 0);
        let Some(rest) = rest else {
            return Err(TransferError::WrongLength { asked: len, got });
        };
        let end = offset.saturating_add(u64::from(got));
        self.there.add(offset, end);
        // Content behind a short reply: it was short because the server gives no more at a time.
        if let Some(most) = after.filter(|most| *most < self.read_len) {
            let half = self.read_len.checked_div(2).unwrap_or(1);
            self.read_len = most.max(half).max(MIN_READ.min(self.read_len));
        }
        if rest > 0 {
            self.again.insert(end, Rest { len: rest, after: Some(got) });
        }
        if self.hint.is_some_and(|hint| end > hint) {
            self.hint = None;
        }
        self.settle()
    }

    /// Notes that the server said "end of file" to the request at `offset`.
    ///
    /// # Errors
    /// As [`Self::on_data`].
    pub(super) fn on_eof(
        &mut self,
        pipe: &mut Pipe,
        offset: u64,
        now: Time,
    ) -> Result<(), TransferError> {
        let Some(Read { len, sent, .. }) = self.in_flight.remove(&offset) else {
            return Err(TransferError::NotInFlight { offset });
        };
        pipe.answered(sent, len, 0, now);
        self.ended.insert(offset, len);
        self.settle()
    }

    /// Notes that the request at `offset` was answered with nothing that helps.
    pub(super) fn on_failed(&mut self, pipe: &mut Pipe, offset: u64, now: Time) {
        if let Some(Read { len, sent, .. }) = self.in_flight.remove(&offset) {
            pipe.answered(sent, len, 0, now);
        }
    }

    /// Finds out whether everything is there, once nothing is under way and the end was seen.
    fn settle(&mut self) -> Result<(), TransferError> {
        if self.ended.is_empty() || !self.in_flight.is_empty() || !self.again.is_empty() {
            return Ok(());
        }
        let Some(end) = self.there.end_ahead() else {
            self.done = true;
            return Ok(());
        };
        // The file ended before content that came: it grew meanwhile, so the gap is asked for
        // again, and what is behind the content as well.
        self.holes = self.holes.saturating_add(1);
        if self.holes > MAX_HOLES {
            return Err(TransferError::Hole { at: self.there.prefix() });
        }
        let gaps = core::mem::take(&mut self.ended).into_iter().filter(|(at, _)| *at < end);
        self.again.extend(gaps.map(|(at, len)| (at, Rest { len, after: None })));
        self.next = end;
        Ok(())
    }

    /// True when the end of the file was seen and everything before it is there.
    pub(super) const fn is_done(&self) -> bool {
        self.done
    }

    /// Up to where the copy is complete, in bytes: where a transfer that fails now can be taken
    /// up again.
    pub(super) const fn confirmed(&self) -> u64 {
        self.there.prefix()
    }

    /// The size of the file, when it is whole.
    ///
    /// Without `size_now` it is compared with the size that was told at first. If that is larger,
    /// the file may have been cut meanwhile: its size is to be asked for again and given here.
    ///
    /// # Errors
    /// [`TransferError::Unfinished`] before [`is_done`](Self::is_done);
    /// [`TransferError::SizeMismatch`] if the copy is shorter than the file, or began behind its
    /// end.
    pub(super) fn check(&self, size_now: Option<u64>) -> Result<u64, TransferError> {
        let moved = self.confirmed();
        if !self.done {
            return Err(TransferError::Unfinished { confirmed: moved });
        }
        match size_now.or(self.size) {
            Some(size) if moved < size || moved == self.start && moved > size => {
                Err(TransferError::SizeMismatch { moved, size })
            }
            _ => Ok(moved),
        }
    }
}

#[cfg(test)]
mod tests;
