//! The fuzz targets of the workspace, and two ways to run them.
//!
//! What a target does is written in the crate it tests, behind the feature `fuzzing`, next to the
//! code: a function of bytes that must return, whatever they are. Here they are collected.
//!
//! * `cargo +nightly fuzz run NAME -- -dict=fuzz/ssh.dict` searches, guided by coverage.
//! * `cargo xtask smoke` runs every target for two seconds over its seeds and mutations of them.
//!   It needs no nightly and is part of `cargo xtask test`.
//! * `cargo run -p chiton-fuzz --bin NAME -- FILE…` runs one target over files, such as the
//!   reproducers that the other two print.
//!
//! The seeds are in `corpus/NAME/seed-…`; what libFuzzer finds lies beside them and is not
//! committed.

pub mod mutate;
pub mod seeds;
pub mod smoke;

use std::process::ExitCode;

/// What a target does with its input. It must return, and neither panic nor take long.
pub type Body = fn(&[u8]);

/// The targets of each crate.
const CRATES: &[(&str, &[(&str, Body)])] = &[
    ("ssh-keys", ssh_keys::fuzzing::TARGETS),
    ("ssh-transport", ssh_transport::fuzzing::TARGETS),
    ("ssh-auth", ssh_auth::fuzzing::TARGETS),
    ("ssh-agent", ssh_agent::fuzzing::TARGETS),
    ("ssh-connection", ssh_connection::fuzzing::TARGETS),
    ("scp", scp::fuzzing::TARGETS),
    ("sftp", sftp::fuzzing::TARGETS),
    ("chiton", chiton::fuzzing::TARGETS),
];

/// One fuzz target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The crate that it tests.
    pub krate: &'static str,
    /// Its name: of its entry point, and of the folder of its seeds.
    pub name: &'static str,
    /// What it does.
    pub body: Body,
}

/// Every target.
pub fn targets() -> impl Iterator<Item = Target> {
    CRATES.iter().flat_map(|&(krate, targets)| {
        targets.iter().map(move |&(name, body)| Target { krate, name, body })
    })
}

/// Runs the target called `name`: what libFuzzer calls.
///
/// # Panics
/// If the target does, which is what fuzzing looks for, or if there is no such target.
#[expect(clippy::panic, reason = "an entry point without a target would fuzz nothing, unseen")]
pub fn run(name: &str, data: &[u8]) {
    match targets().find(|target| target.name == name) {
        Some(target) => (target.body)(data),
        None => panic!("no crate has a fuzz target {name}"),
    }
}

/// Runs the target called `name` over the files named on the command line.
///
/// # Panics
/// If the target does.
#[must_use]
pub fn replay(name: &str) -> ExitCode {
    let mut files = std::env::args_os().skip(1).peekable();
    if files.peek().is_none() {
        eprintln!("{name}: which files? (or search with: cargo +nightly fuzz run {name})");
        return ExitCode::FAILURE;
    }
    for file in files {
        match std::fs::read(&file) {
            Ok(data) => {
                run(name, &data);
                println!("{}: {} bytes: passed", file.display(), data.len());
            }
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{seeds, targets};

    #[test]
    fn names_are_unique() {
        let mut names = HashSet::new();
        for target in targets() {
            assert!(names.insert(target.name), "two targets are called {}", target.name);
        }
    }

    #[test]
    fn every_target_has_an_entry_point_and_seeds() {
        let manifest = std::fs::read_to_string(seeds::package().join("Cargo.toml")).unwrap();
        for target in targets() {
            let name = target.name;
            let bin = format!(
                "[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\n"
            );
            assert!(manifest.contains(&bin), "fuzz/Cargo.toml lacks:\n{bin}");
            let entry = seeds::package().join(format!("fuzz_targets/{name}.rs"));
            let entry = std::fs::read_to_string(&entry).unwrap();
            assert!(entry.contains(&format!("run(\"{name}\", data)")), "{name}: other target");
            assert!(entry.contains(&format!("replay(\"{name}\")")), "{name}: other target");
            assert!(!seeds::of(name).unwrap().is_empty(), "no seeds in corpus/{name}");
        }
    }
}
