//! The peers that the interop tests run against: OpenSSH of three generations, and other
//! implementations of SSH.
//!
//! A peer that cannot be had is a failure that says what to do; it is never skipped, since a test
//! that did not run looks the same as one that passed.

mod apt;
mod libraries;
mod openssh;
mod sid;
mod system;

use std::path::PathBuf;

use crate::command::{Done, workspace};

/// Makes sure that every peer is there, and says where.
pub(crate) fn fetch() -> Done {
    system::install()?;
    openssh::fetch()?;
    sid::fetch()?;
    libraries::fetch()
}

/// Where a peer is put that is not installed in the system.
fn folder(name: &str) -> PathBuf {
    workspace().join("target/peers").join(name)
}
