//! OpenSSH of the generations that Debian 12 has programs of, and its regression tests.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::apt::{Dependencies, unpack};
use crate::command::{Done, Failure, output};

/// The packages of a generation.
pub(super) const PACKAGES: [&str; 3] = ["openssh-server", "openssh-client", "openssh-sftp-server"];

/// OpenSSH's own regression tests: where they are put, the package, and its suite.
const REGRESS: (&str, &str, &str) = ("openssh-9.2-tests", "openssh-tests", "bookworm");

/// One generation of OpenSSH.
struct Generation {
    /// The folder under `target/peers`.
    folder: &'static str,
    /// What `ssh -V` begins with.
    version: &'static str,
    /// The suite of Debian that has it.
    suite: &'static str,
    /// Whether the system's own programs serve where they have this version.
    system: bool,
}

const GENERATIONS: [Generation; 2] = [
    Generation { folder: "openssh-9.2", version: "OpenSSH_9.2", suite: "bookworm", system: true },
    Generation {
        folder: "openssh-10.0",
        version: "OpenSSH_10.0",
        suite: "bookworm-backports",
        system: false,
    },
];

/// Makes sure that the generations are there, and says where.
pub(super) fn fetch() -> Done {
    for peer in &GENERATIONS {
        let found =
            if peer.system && version_of(Path::new("/usr/bin/ssh")).starts_with(peer.version) {
                PathBuf::from("/")
            } else {
                unpacked(peer)?
            };
        let version = check(peer.version, &found)?;
        eprintln!("xtask: peer {version} in {}", found.display());
    }
    fetch_regress()
}

/// Downloads OpenSSH's regression tests where they are not there yet.
fn fetch_regress() -> Done {
    let (name, package, suite) = REGRESS;
    let folder = super::folder(name);
    if !folder.join("usr/lib/openssh/regress/test-exec.sh").exists() {
        unpack(suite, &[package], Dependencies::OfTheSystem, &folder).map_err(|failure| {
            Failure::new(format!(
                "cannot get OpenSSH's regression tests from Debian's {suite}: {failure}\nPut the \
                 unpacked package {package} of that suite into {} (dpkg-deb -x PACKAGE FOLDER)",
                folder.display(),
            ))
        })?;
    }
    eprintln!("xtask: OpenSSH's regression tests in {}", folder.display());
    Ok(())
}

/// What `ssh -V` says, or nothing where there is none.
pub(super) fn version_of(ssh: &Path) -> String {
    match output(Command::new(ssh).arg("-V")) {
        Ok((true, _, stderr)) => stderr.trim().to_owned(),
        _ => String::new(),
    }
}

/// The folder of a peer that is not the system's own, downloaded where it is not there yet.
fn unpacked(peer: &Generation) -> Done<PathBuf> {
    let folder = super::folder(peer.folder);
    if version_of(&folder.join("usr/bin/ssh")).starts_with(peer.version) {
        return Ok(folder);
    }
    unpack(peer.suite, &PACKAGES, Dependencies::OfTheSystem, &folder).map_err(|failure| {
        Failure::new(format!(
            "cannot get the peer {} from Debian's {}: {failure}\nThe interop tests need it: put \
             the unpacked packages {} of that suite into {} (dpkg-deb -x PACKAGE FOLDER)",
            peer.version,
            peer.suite,
            PACKAGES.join(", "),
            folder.display(),
        ))
    })?;
    Ok(folder)
}

/// Checks that the programs of a peer start on this machine. Gives the version.
pub(super) fn check(expected: &str, root: &Path) -> Done<String> {
    let ssh = root.join("usr/bin/ssh");
    let version = version_of(&ssh);
    if !version.starts_with(expected) {
        return Err(Failure::new(format!(
            "{} -V says \"{version}\", expected {}",
            ssh.display(),
            expected
        )));
    }
    // `sshd -t` would need host keys; a wrong flag shows that it starts, since it then prints its
    // version with the usage.
    let sshd = root.join("usr/sbin/sshd");
    let (_, _, usage) = output(Command::new(&sshd).arg("-?"))?;
    if !usage.contains(expected) {
        return Err(Failure::new(format!(
            "{} does not start: {}\nIt links with libraries of Debian 12; \
             `apt-get install {}` brings them there",
            sshd.display(),
            usage.trim(),
            PACKAGES.join(" "),
        )));
    }
    Ok(version)
}
