//! The alphabet of SSH: the data types of RFC 4251 §5, and what every layer says with them.
//!
//! | RFC 4251 §5 | Rust, reading | Rust, writing |
//! |---|---|---|
//! | `byte` | `u8` | `u8` |
//! | `byte[n]` | `[u8; N]` | `[u8; N]` |
//! | `boolean` | `bool` | `bool` |
//! | `uint32`, `uint64` | `u32`, `u64` | `u32`, `u64` |
//! | `string` | `&[u8]`, or `&str` where the RFC demands UTF-8 | the same |
//! | `mpint` | [`MpInt`] | [`MpInt`] |
//! | `name-list` | [`NameList`] | [`NameList`], [`Names`] |
//!
//! Reading borrows from the packet and never allocates. Every length is compared with what is
//! left before it is used, and an error tells the message, the field, the offset and the reason:
//!
//! ```
//! use ssh_wire::{Message, messages};
//!
//! messages! {
//!     /// Messages of a protocol with one message.
//!     pub enum Example<'a>;
//!
//!     /// Carries bytes of a channel.
//!     ["RFC 4254 §5.2"] 94 ChannelData<'a> {
//!         /// The receiver's number for the channel.
//!         recipient: u32,
//!         /// At most the window, at most the packet limit.
//!         data: &'a [u8],
//!     }
//! }
//!
//! let error = ChannelData::parse(&[94, 0, 0, 0, 3, 0, 0, 0, 6, 1, 2]).unwrap_err();
//! assert_eq!(error.to_string(), "ChannelData.data at byte 9: needs 6 bytes, 2 are left");
//! ```
//!
//! Three more things that no layer can own alone live here: message numbers and which layer a
//! number belongs to ([`Layer`]), the [`Outbox`] through which a layer speaks to the one below,
//! and the [proofs](proof) that one layer hands to the next.

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

/// What the macros of this crate need; not part of the API.
#[doc(hidden)]
pub mod __private {
    pub use alloc::vec::Vec;
}
#[cfg(test)]
extern crate std;

mod error;
mod fault;
mod messages;
mod number;
pub mod proof;
mod read;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod time;
mod types;
mod write;

pub use error::{DecodeError, DecodeErrorKind};
pub use fault::{DisconnectReason, Fault, Rule};
pub use number::Layer;
pub use read::{Decode, Message, Reader};
pub use text::{PeerText, escape};
pub use time::Time;
pub use types::{MAX_NAME_LEN, MpInt, NameList, Names, Rest};
pub use write::{Encode, Outbox, Parts, put_string, put_with_length};
