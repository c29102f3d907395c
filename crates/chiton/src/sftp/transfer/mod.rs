//! Whole files: many requests out at once, local files read and written on threads of their own.

mod get;
mod local;
mod put;

pub use get::Get;
pub use put::Put;

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the file that are in place, what was there before a resumption included.
    pub done: u64,
    /// The size of the file, where it is known.
    pub total: Option<u64>,
}

/// Is told how far a transfer has come.
type OnProgress = Box<dyn FnMut(Progress) + Send>;

/// Time for the planners, which own no clock.
struct Clock(tokio::time::Instant);

impl Clock {
    fn start() -> Self {
        Self(tokio::time::Instant::now())
    }

    fn now(&self) -> ssh_wire::Time {
        ssh_wire::Time::from_epoch(self.0.elapsed())
    }
}
