//! russh with russh-sftp: a small client, tuned as well as their options allow.

use std::process::Command;

use super::library::Library;
use super::{Folders, Kind};
use crate::failure::Done;
use crate::site::{stdout, text};

pub(super) fn find(folders: &Folders) -> Done<(String, Kind)> {
    let package = folders.workspace.join("bench/peers/russh");
    let target = folders.own().join("russh");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    stdout(
        Command::new(cargo)
            .args(["build", "--quiet", "--release", "--locked"])
            .current_dir(&package)
            .env("CARGO_TARGET_DIR", &target),
    )?;
    let lock = std::fs::read_to_string(package.join("Cargo.lock")).unwrap_or_default();
    let version = |name: &str| {
        lock.split("[[package]]")
            .find(|entry| entry.contains(&format!("name = \"{name}\"\n")))
            .and_then(|entry| entry.split("version = \"").nth(1))
            .and_then(|rest| rest.split('"').next())
            .unwrap_or("?")
            .to_owned()
    };
    let command = vec![text(&target.join("release/bench-russh"))?];
    let version = format!("{}, russh-sftp {}", version("russh"), version("russh-sftp"));
    Ok((version, Kind::Library(Library { command, cannot: &[] })))
}
