//! AsyncSSH and paramiko: small scripts, in the virtual environment that
//! `cargo xtask peers` makes.

use std::process::Command;

use super::library::Library;
use super::{Folders, Kind};
use crate::failure::Done;
use crate::site::{stdout, text};

pub(super) fn find(name: &'static str, folders: &Folders) -> Done<(String, Kind)> {
    let python = folders.workspace.join("target/peers/python/bin/python");
    let version = stdout(
        Command::new(&python).args(["-c", &format!("import {name}; print({name}.__version__)")]),
    )?;
    let script = folders.workspace.join(format!("bench/peers/python/{name}_client.py"));
    let command = vec![text(&python)?, text(&script)?];
    let cannot: &[_] = match name {
        "paramiko" => &[
            ("at-once", "one thread for each command: not what it is for"),
            ("idle", "a thread for each connection: not what it is for"),
        ],
        _ => &[],
    };
    Ok((version.trim().to_owned(), Kind::Library(Library { command, cannot })))
}
