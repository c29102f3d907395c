//! Whole files and trees: many requests out at once, local files on threads of their own.

mod account;
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

use core::time::Duration;

use sftp::transfer::Item;

pub use folder::{Existing, Folder};
pub use get::Get;
pub use options::{Links, Resume, Verify};
pub use progress::{FileEvent, FileProgress, FileState, Monitor, Progress};
pub use put::Put;
pub use report::{Report, SkipReason, Skipped};

/// How deep a tree may be: what is deeper is a loop or a trap (OpenSSH has the same bound).
const MAX_DEPTH: u32 = 64;

/// Requests of the session that a transfer leaves to others.
const RESERVE: usize = 64;

/// What the user named.
const TOP: Item = Item(0);

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

/// Waits for as long as the plan says, if it does.
async fn rest(pause: Option<Duration>) {
    if let Some(pause) = pause {
        tokio::time::sleep(pause).await;
    }
}
