//! The agent protocol (RFC 9987): a program that holds private keys, and those that ask it to sign.
//!
//! | what | where it is specified | here |
//! |---|---|---|
//! | messages and their frame | RFC 9987 §5, §8.1 | [`message`], [`frame`] |
//! | what a client asks, and how it reads the answers | RFC 9987 §5 | [`client`] |
//! | keys on their way into an agent | RFC 9987 §5.2 | [`client::add_identity`], [`Agent`] |
//! | constraints of a key | RFC 9987 §5.2.7, OpenSSH's `PROTOCOL.agent` | [`Constraints`] |
//! | where a key may be used | `restrict-destination-v00@openssh.com` | [`destination`] |
//! | which sessions a connection serves | `session-bind@openssh.com` | [`Bindings`] |
//! | an agent | all of it | [`Agent`] |
//!
//! Nothing here reads sockets, clocks or dice, or asks anybody. Whoever drives an [`Agent`] hands
//! in the messages, the time and randomness, and gets answers. Where a person has to agree, it
//! gets a [`Question`](agent::Question), which may wait.
//!
//! ```
//! use ssh_agent::{Agent, Bindings, Constraints, agent::Answer, client, message};
//! use ssh_crypto::rng::SeededRng;
//! use ssh_keys::{KeyType, PrivateKey};
//! use ssh_wire::Time;
//!
//! let mut rng = SeededRng::new(1);
//! let key = PrivateKey::generate(KeyType::Ed25519, &mut rng)?;
//! let (mut agent, mut connection) = (Agent::new(), Bindings::default());
//! let mut ask = |request: &[u8]| match agent.handle(&mut connection, request, Time::ZERO, &mut rng) {
//!     Answer::Reply(reply) => reply,
//!     _ => panic!("no constraint says that somebody has to agree"),
//! };
//!
//! let add = client::add_identity(&key, "me", &Constraints::default());
//! client::done(&ask(add.expose()))?;
//! let list = client::identities(&ask(&client::payload(&message::RequestIdentities {})))?;
//! assert_eq!(list[0].blob, key.public().blob());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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

pub mod agent;
mod binding;
pub mod client;
mod constraint;
pub mod destination;
mod error;
pub mod frame;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod limits;
pub mod message;

pub use agent::Agent;
pub use binding::Bindings;
pub use constraint::Constraints;
pub use error::{AgentError, ConstraintError};
