//! Those who wait until another request may be made: a session has at most
//! [`MAX_OUTSTANDING`](sftp::limits::MAX_OUTSTANDING) without a reply.

use core::task::Waker;
use std::collections::BTreeMap;

/// So many of the first in the line look for replies: one of them may not be polled for a while.
const READERS: usize = 8;

/// The waiting, by the number of their ticket, which is the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Line(BTreeMap<u64, Waker>);

impl Line {
    /// Waits. True for those who have to look for replies meanwhile.
    pub(super) fn wait(&mut self, ticket: u64, waker: &Waker) -> bool {
        self.0.entry(ticket).and_modify(|known| known.clone_from(waker)).or_insert(waker.clone());
        self.0.range(..ticket).take(READERS).count() < READERS
    }

    /// Leaves the line. Gives who moves up to those that look for replies.
    pub(super) fn leave(&mut self, ticket: u64) -> Option<Waker> {
        self.0.remove(&ticket)?;
        self.0.values().nth(READERS.saturating_sub(1)).cloned()
    }

    /// The first ones.
    pub(super) fn first(&self, most: usize) -> impl Iterator<Item = &Waker> {
        self.0.values().take(most)
    }
}
