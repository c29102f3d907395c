//! The SSH connection protocol (RFC 4254): many channels over one authenticated connection.
//!
//! [`Mux`] is the whole of it, for clients and servers alike. It does no I/O, has no clock and
//! starts no tasks: payloads and the time go in, messages leave through an
//! [`Outbox`](ssh_wire::Outbox), and [`Mux::poll`] says what happened.
//!
//! ```text
//!                 payload, now                       write · read · request · eof · close
//!                      │                                           │
//!                ┌─────▼───────────────────────────────────────────▼────┐
//!                │ Mux   global requests · opens · table of channels    │
//!                │         Channel: state · window · buffers · replies  │
//!                └─────┬───────────────────────────────────────────┬────┘
//!                 MuxEvent (poll)                            Outbox::send
//! ```
//!
//! What it promises:
//!
//! - It cannot exist before authentication has ended: [`Mux::new`] takes
//!   [`Authenticated`](ssh_wire::proof::Authenticated).
//! - Flow control is inside. Windows are credited when the application has *read*, never on
//!   arrival, and all that is unread or promised stays within [`Limits::connection_budget`].
//! - Nobody waits for anybody: a channel that is not read stops itself and no other.
//! - Each message has an answer in each state of a channel (`channel/state.rs`); a peer that breaks
//!   a rule gets a typed [`PeerMisbehaved`] that names it.
//! - What the application did not ask for is refused, and leaves nothing behind.
//!
//! A session from both ends, with two lists of messages for a network:
//!
//! ```
//! use bytes::Bytes;
//! use ssh_connection::{Limits, Mux, MuxEvent, Read, Request, Role, Stream};
//! use ssh_wire::{Time, proof::Authenticated};
//!
//! let now = Time::ZERO;
//! let mux = |role| Mux::new(Authenticated::by_userauth_success(), role, Limits::default());
//! let (mut client, mut server) = (mux(Role::Client), mux(Role::Server));
//! let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
//!
//! let id = client.open_session(now, &mut to_server).unwrap();
//! for payload in to_server.drain(..) {
//!     server.handle(Bytes::from(payload), now, &mut to_client).unwrap();
//! }
//! let Some(MuxEvent::Incoming(offer)) = server.poll() else { panic!() };
//! let theirs = server.accept(offer, now, &mut to_client).unwrap();
//!
//! for payload in to_client.drain(..) {
//!     client.handle(Bytes::from(payload), now, &mut to_server).unwrap();
//! }
//! assert_eq!(client.poll(), Some(MuxEvent::Opened(id)));
//! client.request(id, &Request::Exec(b"uname".into()), true, &mut to_server).unwrap();
//!
//! for payload in to_server.drain(..) {
//!     server.handle(Bytes::from(payload), now, &mut to_client).unwrap();
//! }
//! let Some(MuxEvent::Request(_, Request::Exec(_), Some(token))) = server.poll() else { panic!() };
//! server.reply(token, true, &mut to_client);
//! server.write(theirs, Stream::Data, &[b"chi", b"ton\n"], &mut to_client).unwrap();
//!
//! for payload in to_client.drain(..) {
//!     client.handle(Bytes::from(payload), now, &mut to_server).unwrap();
//! }
//! let mut buf = [0; 16];
//! assert_eq!(client.read(id, Stream::Data, &mut buf, now, &mut to_server), Read::Data(7));
//! ```
//!
//! | RFC 4254 | here |
//! |---|---|
//! | §4 global requests | `global.rs` |
//! | §5.1 opening | `mux/open.rs` |
//! | §5.2 data, windows | `mux/data.rs`, `channel/{window,recv_buf,send}.rs`, `budget.rs` |
//! | §5.3 closing | `channel/state.rs`, `mux/mod.rs` |
//! | §5.4 requests | `mux/requests.rs`, `channel/request.rs` |
//! | §6 sessions, §8 modes | [`session`] |
//! | §7 forwarding | a later `forward/`: its opens are refused as an unknown type, its requests fail |
//! | §9 numbers | [`message`] |

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

mod budget;
mod channel;
mod error;
mod event;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod global;
mod limits;
pub mod message;
#[cfg(any(test, feature = "fuzzing"))]
mod model;
mod mux;
pub mod session;
#[cfg(test)]
mod tests;
mod token;

pub use channel::{ChannelId, Read, ReadChunk, Stream};
pub use error::{Error, Limit, PeerMisbehaved, RequestError, TooManyChannels, WriteError};
pub use event::{MuxEvent, OpenFailure, OpenFailureReason, RequestId};
pub use limits::Limits;
pub use mux::{Mux, Role};
pub use session::{
    Env, ExitSignal, ExitStatus, Mode, Pty, Request, Signal, TerminalModes, WindowSize,
};
pub use token::{IncomingChannel, IncomingKind, ReplyToken};

/// A number of the wire as a size of memory.
pub(crate) fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A size of memory as a number of the wire; what does not fit is more than any window.
pub(crate) fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
