//! Moving whole files: filexfer-02 §6.4, and what makes it fast and whole.
//!
//! [`Download`] and [`Upload`] decide what to ask for next and when a file is whole. They know
//! nothing of packets or files: they are told what was sent and what came back, and what time it
//! is. Whoever drives them keeps which request id stands for which offset.
//!
//! - Many requests are under way at a time. How many follows from what the link delivers: see
//!   [`Options::budget`].
//! - A reply with less than was asked for is no end of file: the rest is asked for again. Only
//!   the status "end of file" ends a file; the size that a server told before is a hint.
//! - What was moved without a gap from the start is known at every moment: it is where a transfer
//!   that failed can be taken up again.
//!
//! ```
//! use sftp::{Limits, transfer::{Download, Options}};
//! use ssh_wire::Time;
//!
//! let file = b"content of a file on a server";
//! let mut options = Options::new(Limits::default().max_read);
//! options.size = Some(29);
//! let mut download = Download::new(&options);
//! let mut copy = vec![0; 29];
//! while !download.is_done() {
//!     let read = download.next_read(Time::ZERO).unwrap();
//!     let at = usize::try_from(read.offset).unwrap();
//!     match file.len() - at {
//!         0 => download.on_eof(read.offset, Time::ZERO)?,
//!         left => {
//!             let got = left.min(10); // a server that gives 10 bytes at a time
//!             copy[at..at + got].copy_from_slice(&file[at..at + got]);
//!             download.on_data(read.offset, u32::try_from(got).unwrap(), Time::ZERO)?;
//!         }
//!     }
//! }
//! assert_eq!((download.check(None)?, &copy[..]), (29, &file[..]));
//! # Ok::<(), sftp::transfer::TransferError>(())
//! ```

mod download;
mod pipe;
mod ranges;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod simulation;
mod upload;

use core::fmt;

use ssh_wire::Fault;

pub use download::Download;
pub use upload::Upload;

/// The most bytes asked for and not yet answered, unless configured otherwise: what fills a link
/// of 1 Gbit/s at 250 ms.
pub const DEFAULT_BUDGET: u64 = 32 * 1024 * 1024;

/// The most requests of a transfer under way, unless configured otherwise. Servers have been seen
/// to fail when a whole file was asked for at once; this many they take.
pub const DEFAULT_MAX_REQUESTS: usize = 256;

/// A part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a range is an offset and a length")]
pub struct Range {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How long it is, in bytes; never 0.
    pub len: u32,
}

/// How a file is moved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Where to begin, in bytes: more than 0 to take up a transfer again.
    pub start: u64,
    /// The size of the source in bytes, as far as it is known. A hint: files of `/proc` say 0 and
    /// have content, others grow and shrink meanwhile.
    pub size: Option<u64>,
    /// The most data in one request, in bytes: [`Limits::max_read`](crate::Limits::max_read) or
    /// [`max_write`](crate::Limits::max_write).
    pub request_len: u32,
    /// The most bytes asked for and not yet answered. A transfer begins with 4 MiB (or 64
    /// requests, if that is less) and grows to twice what the link holds, so that it is always
    /// full and other requests do not queue for long.
    pub budget: u64,
    /// The most requests under way.
    pub max_requests: usize,
}

impl Options {
    /// A whole file in requests of `request_len` bytes.
    #[must_use]
    pub const fn new(request_len: u32) -> Self {
        Self {
            start: 0,
            size: None,
            request_len,
            budget: DEFAULT_BUDGET,
            max_requests: DEFAULT_MAX_REQUESTS,
        }
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
