//! What the tests of the whole share: real OpenSSH servers and clients, keys made by `ssh-keygen`,
//! and a local user with a password.
//!
//! Everything here panics when something is missing or does not work, because that is how a test
//! fails. In particular an absent peer is never a pass: `cargo xtask peers` gets them.

pub mod certificates;
pub mod embedded;
pub mod evidence;
pub mod guard;
pub mod hostile;
pub mod keys;
pub mod openssh;
pub mod peer;
pub mod sshd;
pub mod user;
