//! All tests.

use std::process::Command;

use crate::command::{Done, cargo, run, target, workspace};
use crate::{icount, peers};

pub(crate) fn all() -> Done {
    peers::fetch()?;
    run(&mut cargo(&["test", "--workspace"]))?;
    // The weak algorithms, against the peers that still have them; with ring, which so meets the
    // known answers and all peers as well. It needs a C compiler.
    let packages = ["chiton-crypto", "chiton-keys", "chiton-transport"];
    let packages = packages.iter().flat_map(|name| ["--package", *name]);
    run(cargo(&["test", "--lib", "--features", "legacy,ring"]).args(packages))?;
    let tests =
        ["algorithms", "interop_openssh_client", "interop_openssh_server", "interop_others"];
    let tests = tests.iter().flat_map(|name| ["--test", *name]);
    let legacy = ["test", "--package", "chiton-tests", "--features", "legacy,ring"];
    run(cargo(&legacy).args(tests).args(["--", "algorithm", "page", "evidence", "sha1"]))?;
    icount::icount(false)?;
    smoke()
}

/// A bounded run of every fuzz target over its seeds and mutations of them.
///
/// `--workspace` keeps the features, and with them the dependencies already built, of the tests.
pub(crate) fn smoke() -> Done {
    run(&mut cargo(&["build", "--workspace", "--bin", "smoke"]))?;
    run(Command::new(target().join("debug/smoke")).current_dir(workspace()))
}
