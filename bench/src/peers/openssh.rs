//! OpenSSH of several generations.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::openssh;
use super::{Folders, Kind};
use crate::failure::{Done, Failure};

/// Where the programs of a generation are: the system's own, or unpacked by `cargo xtask peers`.
pub(crate) fn root(name: &str, folders: &Folders) -> PathBuf {
    let unpacked = folders.workspace.join("target/peers").join(name);
    let system = Path::new("/");
    if !unpacked.exists() && version(&system.join("usr/bin/ssh")).contains(number(name)) {
        return system.to_owned();
    }
    unpacked
}

fn number(name: &str) -> &str {
    name.rsplit('-').next().unwrap_or(name)
}

/// What `ssh -V` says, or nothing.
fn version(ssh: &Path) -> String {
    Command::new(ssh)
        .arg("-V")
        .output()
        .map(|output| String::from_utf8_lossy(&output.stderr).trim().to_owned())
        .unwrap_or_default()
}

pub(super) fn find(name: &'static str, folders: &Folders) -> Done<(String, Kind)> {
    let root = root(name, folders);
    let ssh = root.join("usr/bin/ssh");
    let version = version(&ssh);
    if !version.contains(number(name)) {
        return Err(Failure::new(format!(
            "{} says \"{version}\": run `cargo xtask peers`",
            ssh.display()
        )));
    }
    Ok((version, Kind::Program(openssh(&root)?)))
}
