//! Where work on local files is done: on a thread of its own, in the order of the jobs, or, for
//! transfers that may hold up their own thread, right there until something might wait for long.
//!
//! On a thread, many small files cost one hop for as many as are waiting, and not one each. Without
//! one there is no hop at all, and content is written while the cache of the CPU that decrypted it
//! still has it.

use core::time::Duration;
use std::{collections::VecDeque, sync::mpsc as std_mpsc, time::Instant};

use tokio::{sync::mpsc, task::JoinHandle};

/// A job that has taken longer shows that the files are not in memory: further ones get a thread.
/// Copying the largest request into the page cache takes a hundredth of it.
const SLOW: Duration = Duration::from_millis(20);

/// What works on local files.
pub(super) trait Hand: Send + 'static {
    type Job: Send + 'static;
    type Done: Send + 'static;

    /// Does one job.
    fn work(&mut self, job: Self::Job) -> Self::Done;

    /// Whether a job might wait for something else than this machine's memory and disks.
    fn may_wait(&self, job: &Self::Job) -> bool;

    /// No further job comes: the transfer has ended, or was dropped.
    fn end(self);
}

/// The transfer's end of it. How much waits in both queues is bounded by what the planner lets be
/// under way.
pub(super) struct Worker<H: Hand> {
    place: Place<H>,
    /// Jobs whose results were not taken.
    pending: usize,
}

enum Place<H: Hand> {
    Here(Here<H>),
    Thread(Thread<H>),
}

/// Works when it is told to. Results wait for the transfer to take them.
struct Here<H: Hand> {
    /// There until it ends or moves to a thread.
    hand: Option<H>,
    /// The last job took long: the next gets a thread.
    slow: bool,
    done: VecDeque<H::Done>,
}

struct Thread<H: Hand> {
    /// Results from before there was the thread.
    earlier: VecDeque<H::Done>,
    jobs: std_mpsc::Sender<H::Job>,
    done: mpsc::UnboundedReceiver<H::Done>,
    thread: JoinHandle<()>,
}

impl<H: Hand> Worker<H> {
    /// Starts a thread, or, if `here` says so, works without one for as long as nothing waits.
    pub(super) fn start(hand: H, here: bool) -> Self {
        let place = if here {
            Place::Here(Here { hand: Some(hand), slow: false, done: VecDeque::new() })
        } else {
            Place::Thread(Thread::start(hand, VecDeque::new()))
        };
        Self { place, pending: 0 }
    }

    /// Does a job that has one result, or queues it.
    pub(super) fn send(&mut self, job: H::Job) {
        let taken = match &mut self.place {
            Place::Thread(thread) => thread.send(job),
            Place::Here(here) => match here.work(job) {
                Ok(()) => true,
                Err((hand, job)) => {
                    let thread = Thread::start(hand, core::mem::take(&mut here.done));
                    let taken = thread.send(job);
                    self.place = Place::Thread(thread);
                    taken
                }
            },
        };
        if taken {
            self.pending = self.pending.saturating_add(1);
        }
    }

    /// Jobs that wait, are being done, or have results that were not taken.
    pub(super) const fn pending(&self) -> usize {
        self.pending
    }

    /// A result that is there.
    pub(super) fn try_next(&mut self) -> Option<H::Done> {
        let done = match &mut self.place {
            Place::Here(here) => here.done.pop_front()?,
            Place::Thread(thread) => match thread.earlier.pop_front() {
                Some(done) => done,
                None => thread.done.try_recv().ok()?,
            },
        };
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
        if let Some(done) = self.try_next() {
            return Some(done);
        }
        let done = match &mut self.place {
            Place::Here(_) => None,
            Place::Thread(thread) => thread.done.recv().await,
        };
        self.pending = self.pending.saturating_sub(1);
        done
    }

    /// Finishes what is queued, and waits for that.
    pub(super) async fn finish(self) {
        // What works here is done, and ends as it is dropped.
        if let Place::Thread(Thread { jobs, thread, .. }) = self.place {
            drop(jobs);
            // A thread that does not end well was cancelled with its runtime.
            thread.await.ok();
        }
    }
}

impl<H: Hand> Here<H> {
    /// Does a job. What might wait is given back with the hand, which then needs a thread.
    fn work(&mut self, job: H::Job) -> Result<(), (H, H::Job)> {
        let Some(mut hand) = self.hand.take() else { return Ok(()) };
        if self.slow || hand.may_wait(&job) {
            return Err((hand, job));
        }
        let begun = Instant::now();
        self.done.push_back(hand.work(job));
        self.slow = begun.elapsed() > SLOW;
        self.hand = Some(hand);
        Ok(())
    }
}

impl<H: Hand> Drop for Here<H> {
    fn drop(&mut self) {
        if let Some(hand) = self.hand.take() {
            hand.end();
        }
    }
}

impl<H: Hand> Thread<H> {
    fn start(mut hand: H, earlier: VecDeque<H::Done>) -> Self {
        let (jobs, queue) = std_mpsc::channel();
        let (results, done) = mpsc::unbounded_channel();
        let thread = tokio::task::spawn_blocking(move || {
            while let Ok(job) = queue.recv() {
                // Nobody listens to a transfer that was dropped.
                results.send(hand.work(job)).ok();
            }
            hand.end();
        });
        Self { earlier, jobs, done, thread }
    }

    /// The thread ends before this side only if the runtime does: then nothing is taken.
    fn send(&self, job: H::Job) -> bool {
        self.jobs.send(job).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::{self, ThreadId};

    /// Says on which thread it works, and waits for what is odd.
    #[derive(Debug)]
    struct Clerk;

    enum Task {
        Quick,
        Slow,
        Waiting,
    }

    impl Hand for Clerk {
        type Job = Task;
        type Done = ThreadId;

        fn work(&mut self, task: Task) -> ThreadId {
            if let Task::Slow = task {
                thread::sleep(2 * SLOW);
            }
            thread::current().id()
        }

        fn may_wait(&self, task: &Task) -> bool {
            matches!(task, Task::Waiting)
        }

        fn end(self) {}
    }

    async fn threads(tasks: impl IntoIterator<Item = Task>, here: bool) -> Vec<bool> {
        let mut worker = Worker::start(Clerk, here);
        tasks.into_iter().for_each(|task| worker.send(task));
        let mut done = Vec::new();
        while let Some(thread) = worker.next().await {
            done.push(thread == thread::current().id());
        }
        assert_eq!(worker.pending(), 0);
        worker.finish().await;
        done
    }

    #[tokio::test]
    async fn work_is_done_on_a_thread_of_its_own_unless_it_may_be_done_here() {
        let quick = || [Task::Quick, Task::Quick, Task::Quick];
        assert_eq!(threads(quick(), false).await, [false; 3]);
        assert_eq!(threads(quick(), true).await, [true; 3]);
    }

    #[tokio::test]
    async fn what_might_wait_and_all_behind_it_is_done_on_a_thread() {
        let tasks = [Task::Quick, Task::Waiting, Task::Quick];
        assert_eq!(threads(tasks, true).await, [true, false, false]);
    }

    #[tokio::test]
    async fn what_comes_after_something_slow_is_done_on_a_thread() {
        let tasks = [Task::Quick, Task::Slow, Task::Quick];
        assert_eq!(threads(tasks, true).await, [true, true, false]);
    }
}
