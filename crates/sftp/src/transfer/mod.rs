//! Moving files and trees: filexfer-02 §6, and what makes it fast and whole.
//!
//! [`Gets`] and [`Puts`] decide what to ask for next, for all files and directories of a transfer
//! at once, and when each is whole. They know nothing of packets or files: they are told what was
//! sent and what came back, and what time it is. Whoever drives them keeps which request id stands
//! for which step, and which path for which [`Item`].
//!
//! - Opening, reading, writing, closing and listing of different files and directories overlap.
//!   For one file, and for a directory and what is in it, the order is kept.
//! - Many requests are under way at a time. How many follows from what the link delivers: see
//!   [`Options::budget`].
//! - A reply with less than was asked for is no end of file: the rest is asked for again. Only
//!   the status "end of file" ends a file; the size that a server told before is a hint.
//! - What was moved without a gap from the start is known at every moment: it is where a transfer
//!   that failed can be taken up again.
//!
//! ```
//! use sftp::{Limits, transfer::{GetStep, Gets, Item, Options}};
//! use ssh_wire::Time;
//!
//! let file = b"content of a file on a server";
//! let mut copy = vec![0; 29];
//! let mut gets = Gets::new(&Options::new(Limits::default().max_read));
//! gets.add_file(Item(0), 0, Some(29));
//! while let Some(step) = gets.next(Time::ZERO) {
//!     match step {
//!         GetStep::Open(item) => gets.on_opened(item),
//!         GetStep::Read(item, read) => {
//!             let at = usize::try_from(read.offset).unwrap();
//!             match file.len() - at {
//!                 0 => gets.on_eof(item, read.offset, Time::ZERO),
//!                 left => {
//!                     let got = left.min(10); // a server that gives 10 bytes at a time
//!                     copy[at..at + got].copy_from_slice(&file[at..at + got]);
//!                     gets.on_data(item, read.offset, u32::try_from(got).unwrap(), Time::ZERO);
//!                 }
//!             }
//!         }
//!         GetStep::Close(item) => gets.on_closed(item),
//!         other => panic!("{other:?}"),
//!     }
//! }
//! assert_eq!(gets.poll_finished(), Some((Item(0), Ok(29))));
//! assert_eq!(&copy[..], &file[..]);
//! ```

mod download;
mod gets;
mod lanes;
mod pipe;
mod puts;
mod ranges;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod simulation;
mod upload;

use core::{fmt, time::Duration};

use ssh_wire::Fault;

pub use gets::{GetStep, Gets};
pub use lanes::wanted as lanes_wanted;
pub use puts::{Load, PutFile, PutStep, Puts};

use crate::limits::DEFAULT_MAX_HANDLES;

/// The most bytes asked for and not yet answered, unless configured otherwise: what fills a link
/// of 1 Gbit/s at 250 ms.
pub const DEFAULT_BUDGET: u64 = 32 * 1024 * 1024;

/// The most requests of a transfer under way, unless configured otherwise. Servers have been seen
/// to fail when a whole file was asked for at once; this many they take.
pub const DEFAULT_MAX_REQUESTS: usize = 512;

/// The most files that are known and wait to be opened before more directories are listed: what
/// waits takes memory, and a tree may have no end.
pub const MAX_WAITING: usize = 8192;

/// A file or directory of a transfer, by the number that whoever drives it gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_structs, reason = "an item is its number")]
pub struct Item(pub u32);

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a range is an offset and a length")]
pub struct Range {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; never 0.
    pub len: u32,
}

/// How much a transfer may have under way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// The most data in one request, in bytes: [`Limits::max_read`](crate::Limits::max_read) or
    /// [`max_write`](crate::Limits::max_write).
    pub request_len: u32,
    /// The most bytes asked for and not yet answered. A transfer begins with 2 to 8 MiB, by the
    /// round trip (or 64 requests, if that is less), and goes to twice what the link holds, but not
    /// below 2 MiB: so it is always full and other requests do not queue for long. As much
    /// again may have come and not be stored yet.
    pub budget: u64,
    /// The round trip of the link, as far as it is known.
    pub round_trip: Option<Duration>,
    /// What the peer lets us have under way on one channel, in bytes, if that is known: not much
    /// more is kept ready for it.
    pub window: Option<u64>,
    /// The most requests under way.
    pub max_requests: usize,
    /// The most files and directories open at a time.
    pub max_handles: usize,
    /// The most bytes a second; `None` is no limit. Requests are then small enough that there are
    /// some ten of them a second.
    pub rate: Option<u64>,
}

impl Options {
    /// Requests of `request_len` bytes, and the usual bounds.
    #[must_use]
    pub const fn new(request_len: u32) -> Self {
        Self {
            request_len,
            budget: DEFAULT_BUDGET,
            round_trip: None,
            window: None,
            max_requests: DEFAULT_MAX_REQUESTS,
            max_handles: DEFAULT_MAX_HANDLES,
            rate: None,
        }
    }

    /// Bytes of one request: fewer, where the rate is limited.
    fn paced_len(&self) -> u32 {
        /// Below it, more bytes would go into packets than into content.
        const LEAST: u64 = 4096;

        let tenth = self.rate.and_then(|rate| rate.checked_div(10)).map(|tenth| tenth.max(LEAST));
        let paced = tenth.and_then(|len| u32::try_from(len).ok()).unwrap_or(u32::MAX);
        self.request_len.max(1).min(paced)
    }
}

/// Why a file that was moved is not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferError {
    /// The server says that the file ends at `at`, and has content behind it, again and again.
    Hole {
        /// Where the file is said to end, in bytes.
        at: u64,
    },
    /// Nothing was asked for at this offset, or it was answered already.
    NotInFlight {
        /// The offset in bytes.
        offset: u64,
    },
    /// The file has another size than what was moved.
    SizeMismatch {
        /// Bytes that the file has now, counting those that were there at the start.
        moved: u64,
        /// Bytes that the server says it has.
        size: u64,
    },
    /// The transfer is not at its end.
    Unfinished {
        /// Bytes that are there without a gap.
        confirmed: u64,
    },
    /// A reply without bytes, or with more than were asked for.
    WrongLength {
        /// Bytes asked for.
        asked: u32,
        /// Bytes in the reply.
        got: u32,
    },
}

impl TransferError {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::Hole { .. } | Self::SizeMismatch { .. } | Self::WrongLength { .. } => Fault::Peer,
            Self::NotInFlight { .. } | Self::Unfinished { .. } => Fault::Local,
        }
    }
}

impl fmt::Display for TransferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole { at } => {
                write!(
                    f,
                    "the server says that the file ends at byte {at} and has content behind it"
                )
            }
            Self::NotInFlight { offset } => {
                write!(f, "nothing at byte {offset} of the file is under way")
            }
            Self::SizeMismatch { moved, size } => {
                write!(f, "the copy has {moved} bytes, the file on the server has {size}")
            }
            Self::Unfinished { confirmed } => {
                write!(f, "the transfer is not finished; {confirmed} bytes are complete")
            }
            Self::WrongLength { asked, got } => {
                write!(f, "{got} bytes came where {asked} were asked for")
            }
        }
    }
}

impl core::error::Error for TransferError {}
