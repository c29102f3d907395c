//! Every number that bounds what the other side can make this one hold or do.

/// The longest message, in bytes, its length not counted: what OpenSSH's agent and client take. A
/// length that is announced makes the receiver hold as much.
pub const MAX_MESSAGE: usize = 256 * 1024;

/// Keys that an agent holds. Whoever may connect may add keys, which stay; OpenSSH's client reads
/// an answer with at most twice as many.
pub const MAX_KEYS: usize = 1024;

/// Keys in an answer that a client reads, as OpenSSH's.
pub const MAX_IDENTITIES: u32 = 2048;

/// Sessions that one connection to an agent is bound to: the hops of a forwarded agent. OpenSSH's
/// number.
pub const MAX_BINDINGS: usize = 16;

/// The longest session identifier of a binding, in bytes. There is no hash of more than 64; this is
/// OpenSSH's number.
pub const MAX_SESSION_ID: usize = 128;

/// Destination constraints of one key, and keys of one hop: each is looked at for every signature.
/// OpenSSH's number.
pub const MAX_DESTINATIONS: usize = 1024;

/// The longest comment of a key that an agent keeps, in bytes: it is sent in every list.
pub const MAX_COMMENT: usize = 4 * 1024;

/// By how much longer an agent takes to answer each further wrong passphrase, in milliseconds;
/// and after how many it gets no longer. OpenSSH's numbers: ten seconds in the end.
pub const UNLOCK_DELAY_MS: u64 = 100;
/// See [`UNLOCK_DELAY_MS`].
pub const MAX_UNLOCK_DELAYS: u64 = 100;
