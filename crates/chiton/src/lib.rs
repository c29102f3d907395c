//! SSH from scratch in Rust: connect, run commands and move files, without a C compiler.
//!
//! ```no_run
//! # async fn five_lines() -> Result<(), chiton::Error> {
//! let ssh = chiton::connect("alice@example.org").await?;
//! let out = ssh.exec("uname -a").await?.ok()?;
//! let sftp = ssh.open_sftp().await?;
//! sftp.get("/var/log/syslog", "syslog").await?;
//! sftp.put("site.tar", "/srv/site.tar").await?;
//! # drop(out); Ok(()) }
//! ```
//!
//! # What is where
//!
//! - [`connect`] is for programs that act for the person in front of them; [`Client::builder`]
//!   says everything explicitly. Which host keys to trust ([`HostKeys`]) and how to authenticate
//!   ([`Auth`]) cannot be forgotten: without them it does not compile.
//! - [`Client`] runs commands ([`Client::exec`], [`Command`], [`Child`]) and opens SFTP sessions
//!   ([`Sftp`]). Handles are cheap clones that can be used from any thread.
//! - [`server`] is the other side: a server that can be embedded.
//! - [`agent`] speaks to programs that hold keys, such as `ssh-agent`, and can be one.
//! - [`session`] is the whole protocol without tokio and without sockets, for those who have
//!   their own. The layers under it are crates of their own: `ssh-transport`, `ssh-auth`,
//!   `ssh-connection`, `sftp`.
//! - [`Error`] tells whose fault it was ([`Error::fault`]) and which rule was broken
//!   ([`Error::rule`]).
//!
//! # What holds for everything here
//!
//! - **Deadlines.** Connecting has one deadline from DNS to authentication. Afterwards a peer that
//!   is gone is noticed by its silence ([`Builder::keepalive`](client::Builder::keepalive)).
//! - **Cancelling.** Every future may be dropped. Nothing is lost that was not returned, and
//!   nothing is left behind at the server but what the documentation of the method says.
//! - **The end.** The last handle that is dropped closes the connection. A connection that is
//!   lost ends every pending operation with the cause.
//! - **Memory.** What a peer can make a connection hold is bounded by [`Limits`].
//! - **No stalls.** A channel that nobody reads stops at its window and holds up nothing else.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

/// The programs in the README have to compile.
#[cfg(all(doctest, feature = "tokio"))]
#[doc = include_str!("../../../README.md")]
struct Readme;

#[cfg(feature = "tokio")]
pub mod agent;
#[cfg(feature = "tokio")]
mod channel;
#[cfg(feature = "tokio")]
pub mod client;
#[cfg(feature = "tokio")]
mod command;
#[cfg(feature = "tokio")]
mod driver;
pub mod error;
mod exit_status;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod host_key_news;
#[cfg(feature = "tokio")]
mod limits;
#[cfg(feature = "tokio")]
pub mod server;
pub mod session;
#[cfg(feature = "tokio")]
pub mod sftp;

#[cfg(feature = "tokio")]
pub use client::{Auth, Client, HostKeyAnswer, HostKeys, UnknownHost, connect};
#[cfg(feature = "tokio")]
pub use command::{
    Child, ChildStderr, ChildStdin, ChildStdout, Command, MAX_OUTPUT, Output, Stdio,
};
pub use error::Error;
pub use exit_status::ExitStatus;
#[cfg(feature = "tokio")]
pub use limits::Limits;
#[cfg(feature = "tokio")]
pub use sftp::{RemotePath, Sftp};

/// A terminal for a command (RFC 4254 §6.2), its size and its modes.
pub use ssh_connection::{Mode, Pty, TerminalModes, WindowSize};
/// A secret that is wiped from memory when it is dropped and never printed.
pub use ssh_crypto::Secret;
/// Keys: reading, generating, signing; known_hosts and authorized_keys.
pub use ssh_keys as keys;
/// The algorithms there are, and how willingly each is offered.
pub mod algorithms {
    pub use ssh_transport::{
        Algorithm, AlgorithmKind, CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm,
        KexAlgorithm, MacAlgorithm, Standing,
    };
}
/// Which algorithms to offer, in which order.
pub use ssh_transport::{Negotiated, Preferences};
/// Text from the peer, escaped when it is printed.
pub use ssh_wire::PeerText;
