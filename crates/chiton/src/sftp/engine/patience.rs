//! How long a server may leave requests without any answer.

use core::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// For how long a server that owes answers has been silent, if that is to have an end.
#[derive(Debug, Default)]
pub(super) struct Patience {
    limit: Option<Duration>,
    /// Since when.
    silent: Option<Instant>,
    /// Rings at the end or before.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) const fn limit(&self) -> Option<Duration> {
        self.limit
    }

    pub(super) fn set_limit(&mut self, limit: Option<Duration>) {
        (self.limit, self.silent, self.timer) = (limit, None, None);
    }

    /// Something came, was taken, or is owed from now on.
    pub(super) const fn renew(&mut self) {
        self.silent = None;
    }

    /// Ready when it is over. To be called again when woken, and whenever something came.
    pub(super) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        let Some(limit) = self.limit else { return Poll::Pending };
        let silent = *self.silent.get_or_insert_with(Instant::now);
        // A time that cannot be told does not come.
        let Some(end) = silent.checked_add(limit) else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= end {
                return Poll::Ready(limit);
            }
            timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}
