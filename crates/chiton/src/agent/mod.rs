//! Agents (RFC 9987): programs that hold private keys, and those that ask them to sign.
//!
//! [`Agent`] is a connection to one, such as OpenSSH's; [`Server`] is one.
//!
//! ```no_run
//! # async fn f() -> Result<(), chiton::Error> {
//! use chiton::agent::Agent;
//!
//! let agent = Agent::from_env().await?;
//! for key in agent.list().await? {
//!     println!("{}", key.comment);
//! }
//! # Ok(()) }
//! ```

mod client;
mod error;
#[cfg(unix)]
mod server;
mod stream;

pub use client::Agent;
pub use error::AgentError;
#[cfg(unix)]
pub use server::Server;
pub use stream::Stream;

/// A key as an agent lists it.
pub use ssh_agent::client::{Identity, SessionBind};
/// Limits to the use of a key that is added, and the question that an agent may have to ask.
pub use ssh_agent::{
    Constraints,
    agent::Question,
    destination::{Destination, Hop, HopKey},
};
