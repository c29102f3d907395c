//! What a peer can make us hold.

/// The longest line, in bytes with its end: a record with a name, or a message. Without a bound, a
/// peer that never ends its line would fill the memory. OpenSSH's buffer has 2048 bytes; names of
/// common file systems have at most 255 (1020 of some).
pub const MAX_LINE: usize = 4096;

/// How deep directories may be nested. A source can open one after the other for ever; OpenSSH's
/// SFTP client has the same bound.
pub const MAX_DEPTH: usize = 64;

/// The largest file, in bytes: what file systems and their offsets can hold.
pub const MAX_SIZE: u64 = i64::MAX as u64;
