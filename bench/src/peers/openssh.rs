//! OpenSSH of several generations.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::program::{Program, openssh};
use super::{Folders, Kind};
use crate::failure::{Done, Failure};
use crate::site::{stdout, text};

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
    let (ssh, program) = if name == SID {
        let run = folders.own().join("peers").join(name);
        let (ssh, sftp) = (run.join("run/ssh"), run.join("run/sftp"));
        if !ssh.exists() {
            unpack(&run)?;
        }
        let sftp = vec![text(&sftp)?, "-S".into(), text(&ssh)?];
        let program = Program { ssh: vec![text(&ssh)?], sftp, shares: true };
        (ssh, program)
    } else {
        (root.join("usr/bin/ssh"), openssh(&root)?)
    };
    let version = version(&ssh);
    if !version.contains(number(name)) {
        return Err(Failure::new(format!(
            "{} says \"{version}\": run `cargo xtask peers`",
            ssh.display()
        )));
    }
    Ok((version, Kind::Program(program)))
}

/// The generation that only Debian's unstable suite has, built for a newer C library.
const SID: &str = "openssh-10.6";

/// Unpacks it with everything that it needs, and writes a script for each program that starts it
/// with its own C library. The system's packages are not touched.
fn unpack(folder: &Path) -> Done {
    eprintln!("bench: downloading {SID}");
    fs::create_dir_all(folder).map_err(Failure::file(folder))?;
    let script = r#"
set -e
folder=$PWD
rm -rf apt usr etc
mkdir -p apt/lists/partial apt/cache/archives/partial run.new
: >apt/status
printf 'Types: deb\nURIs: http://deb.debian.org/debian\nSuites: sid\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' >apt/peer.sources
own() {
    apt-get -qq -o "Dir::State::lists=$folder/apt/lists" -o "Dir::Cache=$folder/apt/cache" \
        -o "Dir::Etc::sourcelist=$folder/apt/peer.sources" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::status=$folder/apt/status" -o APT::Sandbox::User= "$@"
}
own update
own install -y --download-only --no-install-recommends openssh-client
for package in apt/cache/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x
done
rm -rf apt
for program in ssh sftp; do
    cat >run.new/$program <<EOF
#!/bin/sh
exec '$folder/usr/lib64/ld-linux-x86-64.so.2' --library-path '$folder/usr/lib/x86_64-linux-gnu' '$folder/usr/bin/$program' "\$@"
EOF
    chmod +x run.new/$program
done
mv run.new run
"#;
    stdout(Command::new("sh").args(["-c", script]).current_dir(folder)).map(drop)
}
