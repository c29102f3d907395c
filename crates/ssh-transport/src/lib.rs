//! The SSH transport layer (RFC 4253) as a state machine without I/O, for both roles.
//!
//! It turns bytes into messages that nobody else can read or change, sent by a host whose key
//! somebody trusts; and it keeps that promise or ends the connection. Bytes, time and randomness
//! are arguments; messages, events and a deadline are results.
//!
//! ```text
//!  socket ──► Inbound::buffer ──► Inbound::next ──Received──► Transport::handle ──► Event
//!                                      ▲     NEWKEYS: new keys      │
//!                                      └────────────────────────────┤
//!  socket ◄── Transport::take_output ◄── sealed in place ◄──────────┴── Outbox::send
//! ```
//!
//! [`Inbound`] is apart so that packets are opened by whoever reads the socket, outside of any
//! lock around [`Transport`]. Behind a `NEWKEYS` it gives nothing until [`Transport::handle`] has
//! put the new keys into it.
//!
//! # The loop
//! A client and a server that talk through two vectors:
//!
//! ```
//! use std::sync::Arc;
//! use ssh_crypto::rng::SeededRng;
//! use ssh_keys::{KeyType, PrivateKey};
//! use ssh_transport::{Config, Error, Event, Inbound, Transport};
//! use ssh_wire::Time;
//!
//! let host_key = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(1))?;
//! let mut settings = Config::default();
//! settings.host_keys.push(host_key.clone());
//!
//! let rng = |seed| Box::new(SeededRng::new(seed)); // SystemRng, outside of examples
//! let now = Time::ZERO;
//! let (mut client, mut from_server) =
//!     Transport::client(Arc::new(Config::default()), rng(2), now);
//! let (mut server, mut from_client) = Transport::server(Arc::new(settings), rng(3), now);
//!
//! // What a driver does when the socket is readable.
//! fn read(side: &mut Transport, inbound: &mut Inbound, now: Time) -> Result<Vec<Event>, Error> {
//!     let mut events = Vec::new();
//!     loop {
//!         match inbound.next() {
//!             Ok(Some(received)) => events.extend(side.handle(received, inbound, now)?),
//!             Ok(None) => return Ok(events),
//!             Err(error) => {
//!                 side.fail(error.clone());
//!                 return Err(error);
//!             }
//!         }
//!     }
//! }
//!
//! let mut established = 0;
//! let mut wire = Vec::new();
//! while established < 2 {
//!     client.take_output(&mut wire);
//!     from_client.buffer().extend_from_slice(&wire);
//!     wire.clear();
//!     for event in read(&mut server, &mut from_client, now)? {
//!         established += usize::from(matches!(event, Event::Established(_)));
//!     }
//!     server.take_output(&mut wire);
//!     from_server.buffer().extend_from_slice(&wire);
//!     wire.clear();
//!     for event in read(&mut client, &mut from_server, now)? {
//!         let next = match event {
//!             Event::HostKey(offer) => {
//!                 assert_eq!(offer.key(), host_key.public()); // known_hosts, in earnest
//!                 client.answer_host_key(offer.trust())?
//!             }
//!             other => Some(other),
//!         };
//!         established += usize::from(matches!(next, Some(Event::Established(_))));
//!     }
//! }
//! assert!(client.negotiated().unwrap().strict);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where things are
//! | section | here |
//! |---|---|
//! | RFC 4253 §4.2, identification | [`Identification`] |
//! | RFC 4253 §6, packets | [`Inbound`], [`packet`] |
//! | RFC 4253 §6.3, §6.4, protection | [`CipherAlgorithm`], [`MacAlgorithm`] |
//! | RFC 4253 §7, key exchange | [`KexAlgorithm`], [`negotiate`] |
//! | RFC 4253 §8, host keys | [`HostKeyOffer`] |
//! | RFC 4253 §9, new keys | [`Limits`], [`Transport::rekey`] |
//! | RFC 4253 §11, other messages | [`message`] |
//! | RFC 8308, extensions | [`Transport::server_sig_algs`] |
//! | draft-ietf-sshm-strict-kex | [`Negotiated::strict`] |

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

mod algorithm;
mod compression;
mod config;
mod crypto;
mod error;
mod event;
mod ext_info;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host_key;
mod ident;
mod inbound;
mod kex;
mod limits;
pub mod message;
mod outbound;
pub mod packet;
mod preferences;
mod remedy;
#[cfg(any(test, feature = "fuzzing"))]
mod testing;
#[cfg(test)]
mod tests;
mod transport;

pub use algorithm::{
    Algorithm, AlgorithmKind, CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm,
    KexAlgorithm, MacAlgorithm, Standing,
};
pub use config::Config;
pub use error::{Error, NoCommonAlgorithm, PeerMisbehaved};
pub use event::{Disconnect, Event, Payload};
pub use host_key::{HostKeyOffer, HostKeyTrusted};
pub use ident::{Identification, InvalidIdentification, PeerIdentification};
pub use inbound::{Inbound, Received};
pub use kex::group_exchange::parse_moduli;
pub use kex::negotiate::{Negotiated, Offer, Protection, negotiate};
pub use limits::{
    CONTROL_HIGH_WATER, Limits, MAX_EARLY_KEY_EXCHANGES, MAX_EXT_INFO_FROM_SERVER,
    MAX_IDENTIFICATION, MAX_LINE_BEFORE_IDENTIFICATION, MAX_LINES_BEFORE_IDENTIFICATION, MAX_PINGS,
};
pub use preferences::{List, Preferences, PreferencesError, UnknownAlgorithm};
pub use remedy::Remedy;
pub use transport::Transport;

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a connection has two sides")]
pub enum Role {
    /// The side that connected.
    Client,
    /// The side that was connected to, and has a host key.
    Server,
}

impl Role {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}
