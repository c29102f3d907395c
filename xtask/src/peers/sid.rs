//! What only Debian's unstable suite has: OpenSSH 10.6 with post-quantum keys, Dropbear and PuTTY of
//! this year. All of it is built for a newer C library than Debian 12's and comes with its own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::{Dependencies, unpack};
use super::openssh;
use crate::command::{Done, Failure, output};

/// The folder of the peers, named after the one that is more than a client or small.
const FOLDER: &str = "openssh-10.6";

/// What `ssh -V` begins with.
const VERSION: &str = "OpenSSH_10.6";

const SUITE: &str = "sid";

/// The packages besides [`openssh::PACKAGES`].
const OTHERS: [&str; 2] = ["dropbear-bin", "putty-tools"];

/// The programs that can be started, below `usr`.
const PROGRAMS: [&str; 21] = [
    "bin/ssh",
    "bin/sftp",
    "bin/scp",
    "bin/ssh-add",
    "bin/ssh-agent",
    "bin/ssh-keygen",
    "bin/ssh-keyscan",
    "sbin/sshd",
    "lib/openssh/sftp-server",
    "lib/openssh/sshd-auth",
    "lib/openssh/sshd-session",
    "lib/openssh/ssh-pkcs11-helper",
    "lib/openssh/ssh-sk-helper",
    "bin/dbclient",
    "bin/dropbearconvert",
    "bin/dropbearkey",
    "sbin/dropbear",
    "bin/plink",
    "bin/pscp",
    "bin/psftp",
    "bin/puttygen",
];

/// Starts the program of the same name below `tree` with the C library that is there. It says
/// nothing of where it is, so that the folder can be moved.
const SCRIPT: &str = r#"#!/bin/sh
tree=${0%/usr/*}/tree/usr
exec "$tree/LIBRARIES/LOADER" --library-path "$tree/LIBRARIES" --argv0 "$0" "$tree/${0##*/usr/}" "$@"
"#;

/// Makes sure that the peers are there, and says where.
pub(super) fn fetch() -> Done {
    let folder = super::folder(FOLDER);
    if !is_complete(&folder) {
        let packages = [&openssh::PACKAGES[..], &OTHERS].concat();
        download(&packages, &folder).map_err(|failure| {
            Failure::new(format!(
                "cannot get the peers {} from Debian's {SUITE}: {failure}\nThe interop tests need \
                 them below {}; `cargo xtask peers` tries again",
                packages.join(", "),
                folder.display(),
            ))
        })?;
    }
    let version = openssh::check(VERSION, &folder)?;
    eprintln!("xtask: peer {version} in {}", folder.display());
    for program in ["sbin/dropbear", "bin/plink"] {
        let path = folder.join("usr").join(program);
        let (worked, stdout, stderr) = output(Command::new(&path).arg("-V"))?;
        let said = if stdout.is_empty() { stderr } else { stdout };
        let version = said.lines().next().unwrap_or_default();
        if !worked {
            let path = path.display();
            return Err(Failure::new(format!("{path} does not start: {version}")));
        }
        eprintln!("xtask: peer {version} in {}", folder.display());
    }
    Ok(())
}

/// Whether all programs are there, and the right OpenSSH.
fn is_complete(folder: &Path) -> bool {
    let usr = folder.join("usr");
    PROGRAMS.iter().all(|program| usr.join(program).exists())
        && openssh::version_of(&usr.join("bin/ssh")).starts_with(VERSION)
}

/// Unpacks the packages into `tree`, and puts a script for each program beside it.
fn download(packages: &[&str], folder: &Path) -> Done {
    let io = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    let tree = folder.join("tree");
    fs::create_dir_all(folder).map_err(io)?;
    unpack(SUITE, packages, Dependencies::Unpacked, &tree)?;
    let (libraries, loader) = c_library(&tree)?;
    let script = SCRIPT.replace("LIBRARIES", &libraries).replace("LOADER", &loader);
    for program in PROGRAMS {
        let path = folder.join("usr").join(program);
        if !tree.join("usr").join(program).exists() {
            return Err(Failure::new(format!("there is no {program} in {}", packages.join(", "))));
        }
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(io)?;
        fs::write(&path, &script).map_err(io)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(io)?;
    }
    Ok(())
}

/// The folder of the C library, below `usr`, and the name of the loader in it.
fn c_library(tree: &Path) -> Done<(String, String)> {
    let names = |path: PathBuf| {
        fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name())
    };
    for folder in names(tree.join("usr/lib")) {
        let path = tree.join("usr/lib").join(&folder);
        let loader =
            names(path.clone()).find(|name| name.display().to_string().starts_with("ld-linux"));
        if let Some(loader) = loader
            && path.join("libc.so.6").exists()
        {
            return Ok((format!("lib/{}", folder.display()), loader.display().to_string()));
        }
    }
    Err(Failure::new(format!("there is no C library in {}", tree.display())))
}
