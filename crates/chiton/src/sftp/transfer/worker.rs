//! A thread for local files: jobs in, results out, in order.
//!
//! Many small files cost one thread hop for as many as are waiting, and not one each.

use std::sync::mpsc as std_mpsc;

use tokio::{sync::mpsc, task::JoinHandle};

/// What works on the thread.
pub(super) trait Hand: Send + 'static {
    type Job: Send + 'static;
    type Done: Send + 'static;

    /// Does one job.
    fn work(&mut self, job: Self::Job, done: &mpsc::UnboundedSender<Self::Done>);

    /// No further job comes: the transfer has ended, or was dropped.
    fn end(self);
}

/// The transfer's end of it. How much waits in both queues is bounded by what the planner lets be
/// under way.
pub(super) struct Worker<H: Hand> {
    jobs: std_mpsc::Sender<H::Job>,
    done: mpsc::UnboundedReceiver<H::Done>,
    thread: JoinHandle<()>,
    /// Jobs whose results did not come.
    pending: usize,
}

impl<H: Hand> Worker<H> {
    pub(super) fn start(mut hand: H) -> Self {
        let (jobs, queue) = std_mpsc::channel();
        let (results, done) = mpsc::unbounded_channel();
        let thread = tokio::task::spawn_blocking(move || {
            while let Ok(job) = queue.recv() {
                hand.work(job, &results);
            }
            hand.end();
        });
        Self { jobs, done, thread, pending: 0 }
    }

    /// Queues a job that has one result.
    pub(super) fn send(&mut self, job: H::Job) {
        // The thread ends before this side only if the runtime does.
        if self.jobs.send(job).is_ok() {
            self.pending = self.pending.saturating_add(1);
        }
    }

    /// Jobs that wait or are being done.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }

    /// A result that is there.
    pub(super) fn try_next(&mut self) -> Option<H::Done> {
        let done = self.done.try_recv().ok()?;
        self.pending = self.pending.saturating_sub(1);
        Some(done)
    }

    /// The next result; `None` if none is to come.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn next(&mut self) -> Option<H::Done> {
        if self.pending == 0 {
            return None;
        }
        let done = self.done.recv().await;
        self.pending = self.pending.saturating_sub(1);
        done
    }

    /// Lets the thread finish what is queued, and waits for that.
    pub(super) async fn finish(self) {
        drop(self.jobs);
        // A thread that does not end well was cancelled with its runtime.
        self.thread.await.ok();
    }
}
