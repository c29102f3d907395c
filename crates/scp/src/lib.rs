//! The protocol of `rcp`, which `scp` spoke before SFTP and still speaks with `-O`: both ends,
//! without I/O.
//!
//! ```text
//!   scp -f PATH, or the local end of an upload          scp -t PATH, or of a download
//!   ┌────────┐  T, C, D, E: records; data; troubles            ┌──────┐
//!   │ Source │ ───────────────────────────────────────────────►│ Sink │
//!   │        │◄─────────────────────────────────────────────── │      │
//!   └────────┘  one reply to each record and each file         └──────┘
//! ```
//!
//! No RFC has it; what it is was told by Jan Pechanec in "How the SCP protocol works" (2007) and is
//! shown by the programs that speak it. The source decides what there is, so the [`Sink`] does not
//! believe it: a name is one component, without control characters, and one that was asked for;
//! a directory comes only if directories were asked for; nesting has an end; a file is exactly as
//! long as it was said to be.
//!
//! - [`Source`] and [`Sink`]: the two ends as state machines.
//! - [`record`]: the lines between them. [`name`]: which names are safe.
//! - [`Remote`]: the command line of the other end.
//! - [`limits`]: what a peer can make us hold.

#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

extern crate alloc;

mod error;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod limits;
mod line;
pub mod name;
pub mod record;
mod remote;
mod sink;
mod source;
#[cfg(test)]
mod tests;

pub use error::{Error, Misuse, PeerMisbehaved};
pub use name::BadName;
pub use record::{Record, Times};
pub use remote::Remote;
pub use sink::{Asked, Event, IsAsked, Offer, Sink};
pub use source::{Reply, Source};
