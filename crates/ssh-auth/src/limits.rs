//! Every number that bounds what a peer can make this layer hold or do.

/// Requests one [`Authenticator`](crate::client::Authenticator) sends, in all. A server that
/// answers "partial success" for ever would otherwise keep the client busy for ever. OpenSSH's
/// client ends sooner for want of methods; servers cut off after 6 to 20 failures (RFC 4252 §4).
pub const MAX_REQUESTS: usize = 64;

/// Banners accepted before the client gives up. OpenSSH sends one, others one for each attempt.
pub const MAX_BANNERS: usize = 32;

/// Bytes of all banners together: a page of legal text is 4 KiB.
pub const MAX_BANNER_BYTES: usize = 64 * 1024;

/// Names in a list of methods that can continue. There are fewer than ten in the IANA registry.
pub const MAX_METHODS: usize = 32;

/// The longest user name a server takes, in bytes. Linux has 32, OpenLDAP 256.
pub const MAX_USER_NAME: usize = 256;

/// The longest password a server hands to the application, in bytes: what is behind it may be a
/// slow hash whose time grows with the length. OpenSSH has the same number.
pub const MAX_PASSWORD: usize = 1024;

/// Requests a client may send ahead while the application thinks about an earlier one.
pub const MAX_PIPELINED: usize = 8;

/// Bytes of the requests sent ahead, together.
pub const MAX_PIPELINED_BYTES: usize = 64 * 1024;
