//! What one client may do before it is in.

/// Limits of an [`Acceptor`](super::Acceptor).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Failed attempts after which the client has to go; OpenSSH's `MaxAuthTries`. A question
    /// about a key that is answered by no counts, the first `none` does not. Zero is one.
    pub max_failures: u32,
    /// Requests of any kind and outcome. OpenSSH has 1024.
    pub max_requests: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_failures: 6, max_requests: 128 }
    }
}
