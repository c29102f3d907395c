//! A server that can be embedded: commands, shells, terminals and SFTP, as the user who runs it.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use chiton::{keys::{PrivateKey, authorized_keys::AuthorizedKeys}, server::Server};
//!
//! let host_key = PrivateKey::parse(&std::fs::read("host_key")?, None)?;
//! let keys = AuthorizedKeys::parse(&std::fs::read("authorized_keys")?);
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:2222").await?;
//! let server = Server::builder()
//!     .host_key(host_key)
//!     .authorized_keys(keys)
//!     .sftp_root("/srv/files")
//!     .allow_exec(true)
//!     .on_event(|event| eprintln!("{event}"))
//!     .serve(listener)?;
//! println!("listening on {}", server.local_addr());
//! server.wait().await;
//! # Ok(()) }
//! ```
//!
//! The server changes no user ids: everything happens with the rights of the process. What SFTP
//! shows is confined to one directory ([`fs`]); what commands do is not, which is why they have
//! to be allowed explicitly.
//!
//! ```text
//! listener ── a task for each client: connection ── a task for each channel: session
//!                   │        │                              │            │
//!                driver   accounts                      process,     subsystem
//!                                                   terminal, relay  (sftp) ── fs
//! ```

mod accounts;
mod builder;
mod connection;
mod event;
pub mod fs;
mod inherited;
mod listener;
mod process;
mod relay;
mod session;
mod subsystem;
mod terminal;

pub use builder::Builder;
pub use event::{Event, Proof};
pub use listener::Handle;

/// A server is made with [`Server::builder`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Server;

impl Server {
    /// Begins to set up a server.
    pub fn builder() -> Builder {
        Builder::new()
    }
}
