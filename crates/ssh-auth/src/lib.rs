//! The authentication protocol of SSH (RFC 4252) without I/O, for both roles.
//!
//! | RFC | here |
//! |---|---|
//! | 4252 §4, methods | [`method`] |
//! | 4252 §5 to §8, messages; 4253 §10, the service | [`message`] |
//! | 4252 §7, what is signed | [`signing`] |
//! | 4252, the client | [`client`] |
//! | 4252, the server | [`server`] |
//! | 8308 §3.1, `server-sig-algs`; 8332, RSA with SHA-2 | [`client`] |
//!
//! Both roles are machines: payloads from the transport go in, messages come out through an
//! [`Outbox`](ssh_wire::Outbox), and events say what happened. They stand between two proofs. A
//! [`SessionId`](ssh_wire::proof::SessionId), which exists once the host is trusted, is needed to
//! make one; [`Authenticated`](ssh_wire::proof::Authenticated), which the connection protocol
//! needs, comes out at the end:
//!
//! ```
//! use ssh_auth::{client::{AuthEvent, Authenticator}, method::{Method, MethodSet},
//!     server::{Acceptor, Credential, Limits, ServerAuthEvent}};
//! use ssh_crypto::Secret;
//! use ssh_wire::proof::SessionId;
//!
//! let session = SessionId::of_trusted_exchange(&[7; 32]);
//! let (mut to_server, mut to_client) = (Vec::new(), Vec::new());
//! let mut client = Authenticator::new("alice", &session, None, &mut to_server);
//! client.try_password(Secret::new("opensesame".into()), &mut to_server)?;
//!
//! let methods = MethodSet::EMPTY.with(Method::Password);
//! let mut server = Acceptor::new(&session, Limits::default(), methods);
//! for payload in &to_server {
//!     if let Some(ServerAuthEvent::Request(question)) = server.handle(payload, &mut to_client)? {
//!         match question.credential() {
//!             Credential::Password(password) if password.expose() == "opensesame" => {
//!                 assert!(server.accept(question, &mut to_client).is_some());
//!             }
//!             _ => server.reject(question, &mut to_client)?,
//!         }
//!     }
//! }
//!
//! let mut events = Vec::new();
//! for payload in &to_client {
//!     events.extend(client.handle(payload, &mut to_server)?);
//! }
//! assert!(matches!(events[..], [AuthEvent::Success(_)]));
//! assert_eq!(client.record().to_string(), "password: accepted");
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

pub mod client;
mod error;
mod event;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
pub mod limits;
pub mod message;
pub mod method;
pub mod record;
pub mod server;
pub mod signing;

pub use error::{AuthError, Limit, PeerMisbehaved};
pub use record::AuthRecord;
