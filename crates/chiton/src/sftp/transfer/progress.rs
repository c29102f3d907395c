//! How far a transfer has come, for whoever wants to look.
//!
//! A transfer never waits for those who look: it writes what there is to see into a place of its
//! own, a few times a second, and goes on.

use core::time::Duration;
use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sftp::transfer::Item;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::SkipReason;
use crate::{error::Error, sftp::RemotePath};

/// How often what can be seen is brought up to date, at most.
const INTERVAL: Duration = Duration::from_millis(100);

/// The most events that wait to be fetched; the oldest are dropped.
const MAX_EVENTS: usize = 4096;

/// The most files under way that are listed.
const MAX_ACTIVE: usize = 8;

/// What the rate is averaged over, about.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// How far a transfer has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes that are in place, over all files; what was there before a resumption included.
    pub done: u64,
    /// Bytes in all, as far as they are known: while directories are still being listed, it
    /// grows. `None` if a file does not tell its size.
    pub total: Option<u64>,
    /// Bytes a second, over the last seconds.
    pub rate: u64,
    /// How long it will take at this rate; `None` if that cannot be said.
    pub left: Option<Duration>,
    /// Files that are done.
    pub files_done: u64,
    /// Files that are known.
    pub files: u64,
    /// The files that are under way, the oldest first; at most 8 of them.
    pub active: Vec<FileProgress>,
    /// The transfer has ended.
    pub finished: bool,
}

/// How far one file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileProgress {
    /// Its path on the other side.
    pub remote: RemotePath,
    /// Bytes that are in place.
    pub done: u64,
    /// Its size, where it is known.
    pub total: Option<u64>,
}

/// Of the files that are open, those that are listed.
pub(super) fn oldest<'a, E: 'a>(
    open: impl Iterator<Item = (&'a Item, &'a E)>,
    show: impl Fn(Item, &E) -> FileProgress,
) -> Vec<FileProgress> {
    let mut open: Vec<_> = open.collect();
    open.sort_by_key(|(item, _)| **item);
    open.into_iter().take(MAX_ACTIVE).map(|(item, entry)| show(*item, entry)).collect()
}

/// What has happened to a file or directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FileEvent {
    /// Its path on the other side.
    pub remote: RemotePath,
    /// Its path on this side.
    pub local: PathBuf,
    /// What has happened.
    pub state: FileState,
}

/// What has happened to a file or directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FileState {
    /// Its transfer has begun.
    Started {
        /// Its size, where it is known.
        size: Option<u64>,
    },
    /// It is whole at the target.
    Done {
        /// Its size.
        size: u64,
    },
    /// A directory is there and is being gone through.
    Directory,
    /// A symbolic link was made.
    Link,
    /// It was left out.
    Skipped(SkipReason),
    /// It went wrong.
    Failed(Error),
}

/// Looks at a transfer while it runs, and can end it. Clones look at the same one.
///
/// ```no_run
/// # async fn f(sftp: chiton::Sftp) -> Result<(), chiton::Error> {
/// let monitor = chiton::sftp::Monitor::new();
/// let mut seen = monitor.watch();
/// let get = sftp.get("/srv/data", "data").recursive(true).monitor(&monitor);
/// let show = async {
///     while seen.changed().await.is_ok() {
///         let now = seen.borrow_and_update().clone();
///         println!("{} of {:?} bytes, {} B/s", now.done, now.total, now.rate);
///         if now.finished {
///             break;
///         }
///     }
/// };
/// let (report, ()) = tokio::join!(get.report(), show);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Monitor(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    progress: watch::Sender<Progress>,
    events: Mutex<VecDeque<FileEvent>>,
    /// Somebody wants events.
    listening: AtomicBool,
    news: Notify,
    cancelled: AtomicBool,
    /// Wakes the transfer that is to end.
    stop: Notify,
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new()
    }
}

impl Monitor {
    /// For one transfer.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Shared {
            progress: watch::Sender::new(Progress::default()),
            events: Mutex::default(),
            listening: AtomicBool::new(false),
            news: Notify::new(),
            cancelled: AtomicBool::new(false),
            stop: Notify::new(),
        }))
    }

    /// How far it has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.0.progress.borrow().clone()
    }

    /// A view that can be waited for: it changes some ten times a second.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Progress> {
        self.0.progress.subscribe()
    }

    /// Begins to collect events, to be fetched with [`Self::event`]. Without it there are none.
    pub fn listen(&self) {
        self.0.listening.store(true, Ordering::Relaxed);
    }

    /// What happened next; `None` once the transfer has ended and everything was fetched. Up to
    /// 4096 events wait to be fetched, then the oldest are dropped; failures stand in the
    /// [`Report`](super::Report) as well.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn event(&self) -> Option<FileEvent> {
        self.listen();
        loop {
            let news = self.0.news.notified();
            let ended = self.0.progress.borrow().finished;
            if let Some(event) = self.events().pop_front() {
                return Some(event);
            }
            if ended {
                return None;
            }
            news.await;
        }
    }

    /// Ends the transfer: it stops asking, cuts what it was writing to what is confirmed, and
    /// fails with [`SftpErrorKind::Interrupted`](crate::error::SftpErrorKind::Interrupted), from
    /// where it can be resumed.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Release);
        self.0.stop.notify_one();
    }

    /// True once [`Self::cancel`] was called.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::Acquire)
    }

    /// Waits until it is to end.
    pub(super) async fn cancelled(&self) {
        while !self.is_cancelled() {
            self.0.stop.notified().await;
        }
    }

    fn events(&self) -> std::sync::MutexGuard<'_, VecDeque<FileEvent>> {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what happened, if anybody wants to know.
    pub(super) fn tell(&self, event: impl FnOnce() -> FileEvent) {
        if !self.0.listening.load(Ordering::Relaxed) {
            return;
        }
        let mut events = self.events();
        if events.len() >= MAX_EVENTS {
            events.pop_front();
        }
        events.push_back(event());
        drop(events);
        self.0.news.notify_one();
    }
}

/// Is told how far a transfer has come.
pub(super) type OnProgress = Box<dyn FnMut(Progress) + Send>;

/// Calls `tell` whenever something has changed, until the end. To be run as a task of its own.
pub(super) async fn report_to(mut seen: watch::Receiver<Progress>, mut tell: OnProgress) {
    while seen.changed().await.is_ok() {
        let now = seen.borrow_and_update().clone();
        let finished = now.finished;
        tell(now);
        if finished {
            return;
        }
    }
}

/// The transfer's side: counts, and brings up to date what can be seen.
#[derive(Debug)]
pub(super) struct Meter {
    monitor: Monitor,
    began: Instant,
    /// When it was last brought up to date, and what was done by then.
    last: Option<(Instant, u64)>,
    /// How many files were known by then.
    last_files: u64,
    rate: f64,
    pub(super) done: u64,
    /// What was there before.
    pub(super) skipped: u64,
    pub(super) total: u64,
    /// Files that do not tell their size.
    pub(super) unknown: u64,
    pub(super) files_done: u64,
    pub(super) files: u64,
}

impl Meter {
    pub(super) fn new(monitor: Monitor) -> Self {
        Self {
            monitor,
            began: Instant::now(),
            last: None,
            last_files: 0,
            rate: 0.0,
            done: 0,
            skipped: 0,
            total: 0,
            unknown: 0,
            files_done: 0,
            files: 0,
        }
    }

    /// Brings up to date what can be seen, unless that was done a moment ago. That there is a file
    /// at all is shown at once.
    pub(super) fn update(&mut self, active: impl FnOnce() -> Vec<FileProgress>) {
        let now = Instant::now();
        let recent = self.last.is_some_and(|(at, _)| now.duration_since(at) < INTERVAL);
        if !recent || (self.last_files == 0 && self.files > 0) {
            self.show(now, active(), false);
        }
    }

    /// The transfer has ended.
    pub(super) fn finish(&mut self) {
        self.show(Instant::now(), Vec::new(), true);
        self.monitor.0.news.notify_waiters();
        self.monitor.0.news.notify_one();
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is shown to people"
    )]
    fn show(&mut self, now: Instant, mut active: Vec<FileProgress>, finished: bool) {
        active.truncate(MAX_ACTIVE);
        let (since, before) = self.last.unwrap_or((self.began, self.skipped));
        let took = now.duration_since(since).as_secs_f64();
        let moved = self.done.saturating_add(self.skipped).saturating_sub(before) as f64;
        if took > 0.0 {
            let weight = if self.last.is_none() {
                1.0
            } else {
                1.0 - (-took / RATE_WINDOW.as_secs_f64()).exp()
            };
            self.rate += weight * (moved / took - self.rate);
        }
        let done = self.done.saturating_add(self.skipped);
        (self.last, self.last_files) = (Some((now, done)), self.files);
        let total = (self.unknown == 0).then_some(self.total.max(done));
        let rate = self.rate as u64;
        let left = total.and_then(|total| total.saturating_sub(done).checked_div(rate));
        self.monitor.0.progress.send_replace(Progress {
            done,
            total,
            rate,
            left: left.map(Duration::from_secs),
            files_done: self.files_done,
            files: self.files,
            active,
            finished,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(n: usize) -> FileEvent {
        let state = FileState::Done { size: 0 };
        FileEvent { remote: format!("{n}").into(), local: PathBuf::new(), state }
    }

    #[tokio::test(start_paused = true)]
    async fn rate_and_time_left_follow_what_was_moved() {
        let monitor = Monitor::new();
        let mut meter = Meter::new(monitor.clone());
        meter.total = 10_000;
        for _ in 0..20 {
            tokio::time::advance(Duration::from_millis(100)).await;
            meter.done += 100;
            meter.update(Vec::new);
        }
        let now = monitor.progress();
        assert_eq!((now.done, now.total, now.finished), (2000, Some(10_000), false));
        assert!((990..=1010).contains(&now.rate), "{}", now.rate);
        assert_eq!(now.left, Some(Duration::from_secs(8_000 / now.rate)));
        meter.unknown = 1;
        meter.finish();
        assert_eq!((monitor.progress().total, monitor.progress().finished), (None, true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_be_seen_changes_ten_times_a_second_at_most() {
        let monitor = Monitor::new();
        let mut meter = Meter::new(monitor.clone());
        meter.update(Vec::new);
        meter.done = 5;
        meter.update(|| panic!("too early"));
        assert_eq!(monitor.progress().done, 0);
    }

    #[tokio::test]
    async fn events_nobody_fetches_take_bounded_memory() {
        let monitor = Monitor::new();
        let mut meter = Meter::new(monitor.clone());
        monitor.tell(|| panic!("nobody listens"));
        monitor.listen();
        (0..MAX_EVENTS + 10).for_each(|n| monitor.tell(|| event(n)));
        meter.finish();
        let first = monitor.event().await.unwrap();
        assert_eq!(first.remote, RemotePath::from("10"));
        for _ in 1..MAX_EVENTS {
            monitor.event().await.unwrap();
        }
        assert!(monitor.event().await.is_none());
    }

    #[tokio::test]
    async fn a_cancelled_transfer_learns_of_it_before_and_while_it_waits() {
        let monitor = Monitor::new();
        let waiting = monitor.clone();
        let task = tokio::spawn(async move { waiting.cancelled().await });
        tokio::task::yield_now().await;
        monitor.cancel();
        task.await.unwrap();
        monitor.cancelled().await;
    }
}
