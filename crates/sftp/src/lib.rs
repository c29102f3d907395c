//! SFTP version 3 (draft-ietf-secsh-filexfer-02) with OpenSSH's extensions, without I/O.
//!
//! ```text
//!   requests                                                            replies
//!   ───────►  bytes for the channel   ┌─────────┐   bytes from the channel  ───────►
//!   Client::open, read, … ──────────► │ channel │ ──────────► Client::feed   Client::poll
//!                                     │ "sftp"  │
//!   Server::feed ◄─────────────────── │         │ ◄──────── what Server::feed appended
//!                                     └─────────┘
//! ```
//!
//! - [`client`]: requests out, typed replies in, matched by id and checked against what was asked.
//! - [`transfer`]: what to ask for next to move a whole file, and when it is whole.
//! - [`server`]: the same operations served from a [`FileSystem`](server::FileSystem).
//! - [`message`]: the packets; [`attrs`], [`status`], [`extension`], [`limits`]: what is in them.
//! - [`path`]: paths as bytes, and which listed names are safe to create.
//!
//! Nothing here reads a socket, a file or a clock. Numbers that bound what a peer can make us
//! hold are in [`limits`].

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
#[cfg(test)]
extern crate std;

pub mod attrs;
mod chunks;
pub mod client;
mod error;
pub mod extension;
mod flags;
mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod glob;
pub mod limits;
mod longname;
#[cfg(any(test, feature = "fuzzing"))]
mod memory;
pub mod message;
pub mod path;
pub mod server;
pub mod status;
pub mod transfer;
#[cfg(test)]
mod vectors;

pub use attrs::{Attrs, FileType, Permissions};
pub use chunks::Chunks;
pub use error::{Error, PeerMisbehaved, RequestError};
pub use extension::{Extension, Extensions};
pub use flags::OpenFlags;
pub use limits::Limits;
pub use longname::{OwnerNames, longname};
pub use status::{Status, StatusCode};
