//! Whole files and trees: many requests out at once, local files on threads of their own.

mod check;
mod fetch;
mod folder;
mod get;
mod local;
mod options;
mod progress;
mod put;
mod report;
mod send;
mod sink;
mod source;
mod worker;

pub use folder::{Existing, Folder};
pub use get::Get;
pub use options::{Links, Resume, Verify};
pub use progress::{FileEvent, FileProgress, FileState, Monitor, Progress};
pub use put::Put;
pub use report::{Report, SkipReason, Skipped};

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
