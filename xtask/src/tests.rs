//! All tests.

use std::process::Command;

use crate::command::{Done, cargo, run, target, workspace};
use crate::peers;

pub(crate) fn all() -> Done {
    peers::fetch()?;
    run(&mut cargo(&["test", "--workspace"]))?;
    smoke()
}

/// A bounded run of every fuzz target over its seeds and mutations of them.
///
/// `--workspace` keeps the features, and with them the dependencies already built, of the tests.
pub(crate) fn smoke() -> Done {
    run(&mut cargo(&["build", "--workspace", "--bin", "smoke"]))?;
    run(Command::new(target().join("debug/smoke")).current_dir(workspace()))
}
