//! AsyncSSH and paramiko: small scripts, in a virtual environment below the target folder.

use std::process::Command;

use super::library::Library;
use super::{Folders, Kind};
use crate::failure::Done;
use crate::site::{stdout, text};

const PACKAGES: [&str; 2] = ["asyncssh==2.24.0", "paramiko==5.1.0"];

pub(super) fn find(name: &'static str, folders: &Folders) -> Done<(String, Kind)> {
    let environment = folders.own().join("peers/python");
    let python = environment.join("bin/python");
    if stdout(Command::new(&python).args(["-c", &format!("import {name}")])).is_err() {
        eprintln!("bench: installing {}", PACKAGES.join(" "));
        stdout(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        let mut pip = Command::new(&python);
        stdout(pip.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES))?;
    }
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
