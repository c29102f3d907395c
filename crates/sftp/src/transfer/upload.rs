//! Writing a whole file.

use alloc::collections::BTreeMap;

use ssh_wire::Time;

use super::{Options, Range, TransferError, pipe::Pipe, pipe::Sent, ranges::Ranges};

/// Plans the writes of a file, until every one is acknowledged.
///
/// The source is read in order until it ends; its size need not be known.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Where the next write goes.
    next: u64,
    request_len: u32,
    ended: bool,
    in_flight: BTreeMap<u64, (u32, Sent)>,
    there: Ranges,
    pipe: Pipe,
}

impl Upload {
    /// Plans an upload. [`Options::size`] has no meaning here.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            next: options.start,
            request_len: options.request_len.max(1),
            ended: false,
            in_flight: BTreeMap::new(),
            there: Ranges::new(options.start),
            pipe: Pipe::new(options),
        }
    }

    /// What to write next: at most this much of the source, which may have less ready. `None` if
    /// an acknowledgement has to come first, or the source has ended. Asking changes nothing;
    /// [`on_sent`](Self::on_sent) does.
    #[must_use]
    pub fn next_write(&self) -> Option<Range> {
        let len = self.request_len;
        let fits = self.next.checked_add(u64::from(len)).is_some();
        (!self.ended && fits && self.pipe.has_room(len)).then_some(Range { offset: self.next, len })
    }

    /// Notes that `len` bytes were sent for the range that [`next_write`](Self::next_write) gave;
    /// 0 is the end of the source.
    pub fn on_sent(&mut self, len: u32, now: Time) {
        let Some(end) = self.next.checked_add(u64::from(len)).filter(|_| len > 0) else {
            self.ended = true;
            return;
        };
        let sent = self.pipe.sent(len, now);
        self.in_flight.insert(self.next, (len, sent));
        self.next = end;
    }

    /// Notes that the source has ended.
    pub const fn on_source_end(&mut self) {
        self.ended = true;
    }

    /// Notes that the server acknowledged the write at `offset` with the status "OK".
    ///
    /// # Errors
    /// [`TransferError::NotInFlight`] if there was none.
    pub fn on_ack(&mut self, offset: u64, now: Time) -> Result<(), TransferError> {
        let Some((len, sent)) = self.in_flight.remove(&offset) else {
            return Err(TransferError::NotInFlight { offset });
        };
        self.pipe.answered(sent, len, len, now);
        self.there.add(offset, offset.saturating_add(u64::from(len)));
        Ok(())
    }

    /// True when the source has ended and every write is acknowledged.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.ended && self.in_flight.is_empty()
    }

    /// Up to where the file on the server is complete, in bytes. What is behind it may have gaps:
    /// a transfer that failed is to be cut to this, or taken up again from here.
    #[must_use]
    pub const fn confirmed(&self) -> u64 {
        self.there.prefix()
    }

    /// The size of the file, when it is whole; compared with `size_now`, what the server says it
    /// has, if that is given.
    ///
    /// # Errors
    /// [`TransferError::Unfinished`] before [`is_done`](Self::is_done);
    /// [`TransferError::SizeMismatch`] if the sizes differ.
    pub fn check(&self, size_now: Option<u64>) -> Result<u64, TransferError> {
        let moved = self.confirmed();
        if !self.is_done() {
            return Err(TransferError::Unfinished { confirmed: moved });
        }
        match size_now {
            Some(size) if size != moved => Err(TransferError::SizeMismatch { moved, size }),
            _ => Ok(moved),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn options(request_len: u32) -> Options {
        Options { max_requests: 8, ..Options::new(request_len) }
    }

    #[test]
    fn an_empty_source_makes_an_empty_file() {
        let mut upload = Upload::new(&options(10));
        assert_eq!(upload.next_write(), Some(Range { offset: 0, len: 10 }));
        upload.on_sent(0, Time::ZERO);
        assert!(upload.is_done() && upload.next_write().is_none());
        assert_eq!(upload.check(Some(0)), Ok(0));
        assert_eq!(upload.check(Some(1)), Err(TransferError::SizeMismatch { moved: 0, size: 1 }));
    }

    #[test]
    fn what_is_confirmed_has_no_gap() {
        let mut upload = Upload::new(&Options { start: 100, ..options(10) });
        for _ in 0..3 {
            upload.on_sent(10, Time::ZERO);
        }
        upload.on_ack(120, Time::ZERO).unwrap();
        upload.on_ack(100, Time::ZERO).unwrap();
        assert_eq!(upload.confirmed(), 110);
        assert_eq!(upload.check(None), Err(TransferError::Unfinished { confirmed: 110 }));
        assert_eq!(upload.on_ack(100, Time::ZERO), Err(TransferError::NotInFlight { offset: 100 }));
    }

    #[test]
    fn no_more_writes_than_allowed_are_under_way() {
        let mut upload = Upload::new(&options(10));
        let mut sent = 0;
        while upload.next_write().is_some() {
            upload.on_sent(10, Time::ZERO);
            sent += 1;
        }
        assert_eq!(sent, 8);
    }

    proptest! {
        #[test]
        fn a_source_that_gives_crumbs_is_written_whole(
            crumbs in proptest::collection::vec(1_u32..50, 0..60),
            order in any::<u64>(),
        ) {
            let source: Vec<u8> = (0..crumbs.iter().sum::<u32>()).map(|i| i.to_le_bytes()[0]).collect();
            let mut upload = Upload::new(&options(50));
            let mut file: Vec<u8> = Vec::new();
            let mut under_way: Vec<u64> = Vec::new();
            let mut crumbs = crumbs.into_iter();
            let mut random = order;
            while !upload.is_done() {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let ack = random >> 63 == 1;
                if let Some(range) = upload.next_write().filter(|_| !ack || under_way.is_empty()) {
                    let len = crumbs.next().unwrap_or(0);
                    upload.on_sent(len, Time::ZERO);
                    if len > 0 {
                        let at = usize::try_from(range.offset).unwrap();
                        prop_assert_eq!(file.len(), at);
                        file.extend(&source[at..at + usize::try_from(len).unwrap()]);
                        under_way.push(range.offset);
                    }
                } else {
                    let at = usize::try_from(random >> 32).unwrap() % under_way.len();
                    upload.on_ack(under_way.swap_remove(at), Time::ZERO).unwrap();
                }
            }
            prop_assert_eq!(&file, &source);
            prop_assert_eq!(upload.check(None), Ok(u64::try_from(source.len()).unwrap()));
        }
    }
}
