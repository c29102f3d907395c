//! What a transfer has done.

use core::fmt;

use crate::{error::Error, sftp::RemotePath};

/// The most failures and skipped files that are listed; above it they are only counted.
pub(super) const MAX_LISTED: usize = 10_000;

/// What a transfer has done, and what it could not.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Files that are whole at the target.
    pub files: u64,
    /// Directories that are there now.
    pub directories: u64,
    /// Symbolic links that were made.
    pub links: u64,
    /// Bytes that the files have, those that were there before included.
    pub bytes: u64,
    /// Bytes of content that went over the connection.
    pub moved: u64,
    /// Files whose content was compared by hash: see [`Verify`](super::Verify).
    pub verified: u64,
    /// What was left out on purpose; at most 10,000 of them.
    pub skipped: Vec<Skipped>,
    /// What went wrong, each with its path; at most 10,000 of them. One file that fails does not
    /// end the transfer of a tree.
    pub failures: Vec<Error>,
    /// How many failures there were.
    pub failed: u64,
}

impl Report {
    /// True if nothing went wrong.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.failed == 0
    }

    /// The report of a transfer in which nothing went wrong.
    ///
    /// # Errors
    /// The first thing that did.
    pub fn into_result(mut self) -> Result<Self, Error> {
        if self.failures.is_empty() { Ok(self) } else { Err(self.failures.swap_remove(0)) }
    }

    pub(super) fn fail(&mut self, error: Error) {
        self.failed = self.failed.saturating_add(1);
        if self.failures.len() < MAX_LISTED {
            self.failures.push(error);
        }
    }

    pub(super) fn skip(&mut self, path: RemotePath, reason: SkipReason) {
        if self.skipped.len() < MAX_LISTED {
            self.skipped.push(Skipped { path, reason });
        }
    }
}

/// Something that a transfer has left out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// Its path on the side where it is.
    pub path: RemotePath,
    /// Why.
    pub reason: SkipReason,
}

/// Why something was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SkipReason {
    /// A symbolic link: see [`Links`](super::Links).
    Link,
    /// Neither a file nor a directory nor a link: a device, a pipe, a socket.
    Special,
    /// More than 64 directories deep: a loop or a trap.
    TooDeep,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "a symbolic link",
            Self::Special => "not a regular file",
            Self::TooDeep => "more than 64 directories deep",
        })
    }
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: left out", self.path, self.reason)
    }
}
