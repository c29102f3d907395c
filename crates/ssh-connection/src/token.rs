//! Questions of the peer, as values that the application owns until it answers.
//!
//! The peer waits, in order, for an answer to each; so a token that is dropped counts as a refusal.

use alloc::sync::{Arc, Weak};
use core::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::ChannelId;

/// Knows when tokens are dropped, without looking at each of them.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    dropped: Arc<AtomicUsize>,
}

impl Desk {
    /// The two ends of a question: one for the token, one to see whether it still exists.
    pub(crate) fn issue(&self) -> (Mark, Watch) {
        let mark = Arc::new(Tally(self.dropped.clone()));
        let watch = Watch(Arc::downgrade(&mark));
        (Mark { _tally: mark }, watch)
    }

    /// True if tokens were dropped since the last call.
    pub(crate) fn any_dropped(&self) -> bool {
        self.dropped.load(Ordering::Relaxed) > 0 && self.dropped.swap(0, Ordering::Acquire) > 0
    }
}

/// The end of a question that lives in its token.
pub(crate) struct Mark {
    _tally: Arc<Tally>,
}

struct Tally(Arc<AtomicUsize>);

impl Drop for Tally {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

/// The end of a question that the mux keeps.
pub(crate) struct Watch(Weak<Tally>);

impl Watch {
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_abandoned() { "abandoned" } else { "waiting" })
    }
}

/// A channel that the peer wants to open.
///
/// It is granted with [`Mux::accept`](crate::Mux::accept) and refused with
/// [`Mux::refuse`](crate::Mux::refuse). Dropping it refuses it too, at the next message that the
/// mux handles or the next [`Mux::answer_abandoned`](crate::Mux::answer_abandoned).
#[must_use = "dropping it refuses the channel"]
pub struct IncomingChannel {
    pub(crate) serial: u64,
    pub(crate) kind: IncomingKind,
    pub(crate) _mark: Mark,
}

/// What a channel of the peer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IncomingKind {
    /// A program on this side (RFC 4254 §6.1). Only servers are asked.
    Session,
}

impl IncomingChannel {
    /// What the channel is for.
    #[must_use]
    pub const fn kind(&self) -> IncomingKind {
        self.kind
    }
}

impl fmt::Debug for IncomingChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingChannel").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl PartialEq for IncomingChannel {
    fn eq(&self, other: &Self) -> bool {
        self.serial == other.serial
    }
}

impl Eq for IncomingChannel {}

/// A request of the peer that waits for [`Mux::reply`](crate::Mux::reply).
///
/// Dropping it refuses the request, at the next message that the mux handles or the next
/// [`Mux::answer_abandoned`](crate::Mux::answer_abandoned).
#[must_use = "dropping it refuses the request"]
pub struct ReplyToken {
    pub(crate) channel: ChannelId,
    pub(crate) serial: u64,
    pub(crate) _mark: Mark,
}

impl ReplyToken {
    /// The channel of the request.
    #[must_use]
    pub const fn channel(&self) -> ChannelId {
        self.channel
    }
}

impl fmt::Debug for ReplyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplyToken").field("channel", &self.channel).finish_non_exhaustive()
    }
}

impl PartialEq for ReplyToken {
    fn eq(&self, other: &Self) -> bool {
        (self.channel, self.serial) == (other.channel, other.serial)
    }
}

impl Eq for ReplyToken {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_token_is_noticed_once() {
        let desk = Desk::default();
        let (mark, watch) = desk.issue();
        assert!(!desk.any_dropped() && !watch.is_abandoned());
        drop(mark);
        assert!(desk.any_dropped() && watch.is_abandoned());
        assert!(!desk.any_dropped());
    }

    #[test]
    fn tokens_may_be_answered_from_another_thread() {
        fn check<T: Send + Sync + 'static>() {}
        check::<IncomingChannel>();
        check::<ReplyToken>();
        check::<crate::MuxEvent>();
        check::<crate::Mux>();
    }
}
