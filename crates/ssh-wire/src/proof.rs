//! What one layer has proven, handed to the next as a value.
//!
//! RFC 4251 stacks three protocols, and most of the fatal bugs in SSH implementations are one of
//! them starting before the one below had finished. Here the upper layer cannot be built without
//! the value that the lower one makes at the end:
//!
//! ```text
//! ssh-transport ── SessionId ──► ssh-auth ── Authenticated ──► ssh-connection
//! ```
//!
//! The layers do not depend on each other, so the values live here and their constructors are
//! public. Each is called at one place in the workspace, and a test in `tests/` counts the calls.

use core::fmt;

/// The exchange hash of the first key exchange (RFC 4253 §7.2): names the session for ever.
///
/// It exists only once the server's host key has signed it, the host key was accepted, and both
/// sides have taken the new keys into use; authentication signs it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId {
    bytes: [u8; Self::MAX_LEN],
    len: usize,
}

impl SessionId {
    /// The longest hash of any key exchange method: SHA-512.
    pub const MAX_LEN: usize = 64;

    /// Called by the transport when the first key exchange is complete and the host trusted.
    ///
    /// Hashes longer than [`Self::MAX_LEN`] do not exist; further bytes would be ignored.
    #[must_use]
    pub fn of_trusted_exchange(exchange_hash: &[u8]) -> Self {
        let mut bytes = [0; Self::MAX_LEN];
        let mut len: usize = 0;
        for (to, from) in bytes.iter_mut().zip(exchange_hash) {
            *to = *from;
            len = len.saturating_add(1);
        }
        Self { bytes, len }
    }

    /// The hash, 32 to 64 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(")?;
        for byte in self.as_bytes() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

/// Authentication has ended with `SSH_MSG_USERAUTH_SUCCESS` (RFC 4252 §5.1).
///
/// The connection protocol cannot start without it.
#[derive(Debug)]
pub struct Authenticated(());

impl Authenticated {
    /// Called by the authentication protocol: by a client that received the success of a request
    /// it had out, by a server that sent it.
    #[must_use]
    pub const fn by_userauth_success() -> Self {
        Self(())
    }
}
