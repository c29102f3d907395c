//! Who is measured, and how each of them is asked for each piece of work.

mod curl;
mod library;
mod libssh;
mod openssh;
mod program;
mod python;
mod rclone;
mod russh;

use std::path::PathBuf;

pub(crate) use openssh::root as openssh_root;

use crate::failure::Done;
use crate::measure::Invocation;
use crate::site::stdout;
use crate::work::{Place, Work};

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    pub(crate) version: String,
    kind: Kind,
}

/// How a client is driven.
#[derive(Clone, Debug)]
enum Kind {
    /// `ssh` and `sftp`, or what takes the same command line.
    Program(program::Program),
    /// A small program on a library, all of which have the same command line.
    Library(library::Library),
    Curl,
    Rclone,
}

/// A client that is not there, and why.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) name: &'static str,
    pub(crate) why: String,
}

/// Where things were built.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    /// The folder of the root manifest.
    pub(crate) workspace: PathBuf,
    /// The folder that cargo builds into.
    pub(crate) target: PathBuf,
}

impl Folders {
    /// The folder for what the benchmark builds and downloads.
    pub(crate) fn own(&self) -> PathBuf {
        self.target.join("bench")
    }
}

/// The names of all clients, in the order of the tables.
pub(crate) const NAMES: [&str; 11] = [
    CHITON,
    CHITON_LIBRARY,
    "openssh-9.2",
    OPENSSH_10,
    "openssh-10.6",
    "libssh",
    "russh",
    "curl",
    "rclone",
    "asyncssh",
    "paramiko",
];
pub(crate) const CHITON: &str = "chiton";
pub(crate) const CHITON_LIBRARY: &str = "chiton-lib";
pub(crate) const OPENSSH_10: &str = "openssh-10.0";

/// Finds a client, or builds it.
pub(crate) fn find(name: &'static str, folders: &Folders) -> Result<Peer, Missing> {
    let found = match name {
        CHITON => program::chiton(folders),
        CHITON_LIBRARY => library::chiton(folders),
        "libssh" => libssh::find(folders),
        "russh" => russh::find(folders),
        "curl" => curl::find(),
        "rclone" => rclone::find(),
        "asyncssh" | "paramiko" => python::find(name, folders),
        _ => openssh::find(name, folders),
    };
    found
        .map(|(version, kind)| Peer { name, version, kind })
        .map_err(|failure| Missing { name, why: failure.to_string() })
}

impl Peer {
    /// Whether it is a program that people use, and not a small client on a library.
    pub(crate) const fn is_program(&self) -> bool {
        !matches!(self.kind, Kind::Library(_))
    }

    /// The command line for `work`, or why there is none.
    pub(crate) fn invocation(
        &self,
        work: &Work,
        place: &Place,
        remote: &dyn Fn(&std::path::Path) -> Done<String>,
    ) -> Done<Invocation> {
        match &self.kind {
            Kind::Program(program) => program.invocation(work, place, remote),
            Kind::Library(library) => library.invocation(work, place, remote),
            Kind::Curl => curl::invocation(work, place, remote),
            Kind::Rclone => rclone::invocation(work, place, remote),
        }
    }
}

/// Installs a Debian package where `program` is missing and this is root.
fn install(program: &str, package: &str) -> Done {
    use std::process::Command;
    if Command::new(program).arg("--version").output().is_ok() {
        return Ok(());
    }
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-y", "-qq", "--no-install-recommends", package]);
    stdout(apt.env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
}
