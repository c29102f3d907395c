//! The peers that the interop tests run against: Debian 12's OpenSSH 9.2 and the 10.0 of its
//! backports, and other clients of SFTP.
//!
//! A peer that cannot be had is a failure that says what to do; it is never skipped, since a test
//! that did not run looks the same as one that passed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Done, Failure, output, run, stdout, workspace};

const INSTALLED: [&str; 3] = ["openssh-server", "openssh-client", "openssh-sftp-server"];

/// Other clients of SFTP, and what paramiko is installed with.
const CLIENTS: [&str; 5] = ["curl", "lftp", "rclone", "sshfs", "python3-venv"];

/// The programs of [`INSTALLED`] and [`CLIENTS`] that tests run.
const PROGRAMS: [&str; 8] = [
    "/usr/sbin/sshd",
    "/usr/bin/ssh",
    "/usr/bin/sftp",
    "/usr/bin/ssh-keygen",
    "/usr/bin/curl",
    "/usr/bin/lftp",
    "/usr/bin/rclone",
    "/usr/bin/sshfs",
];

/// The version of paramiko, a client that is no program.
const PARAMIKO: &str = "5.1.0";

const PARAMIKO_VERSION: &str = "import paramiko; print(paramiko.__version__)";

/// OpenSSH's own regression tests: where they are put, the package, and its suite.
const REGRESS: (&str, &str, &str) = ("openssh-9.2-tests", "openssh-tests", "bookworm");

/// One generation of OpenSSH.
struct Peer {
    /// The folder under `target/peers`.
    folder: &'static str,
    /// What `ssh -V` begins with.
    version: &'static str,
    /// The suite of Debian that has it.
    suite: &'static str,
    /// Whether the system's own programs serve where they have this version.
    system: bool,
}

const PEERS: [Peer; 2] = [
    Peer { folder: "openssh-9.2", version: "OpenSSH_9.2", suite: "bookworm", system: true },
    Peer {
        folder: "openssh-10.0",
        version: "OpenSSH_10.0",
        suite: "bookworm-backports",
        system: false,
    },
];

/// Makes sure that every peer is there, and says where.
pub(crate) fn fetch() -> Done {
    install_system()?;
    for peer in &PEERS {
        let found =
            if peer.system && version_of(Path::new("/usr/bin/ssh")).starts_with(peer.version) {
                PathBuf::from("/")
            } else {
                unpacked(peer)?
            };
        let version = check(peer, &found)?;
        eprintln!("xtask: peer {version} in {}", found.display());
    }
    fetch_paramiko()?;
    fetch_regress()
}

/// Downloads OpenSSH's regression tests where they are not there yet.
fn fetch_regress() -> Done {
    let (name, package, suite) = REGRESS;
    let folder = workspace().join("target/peers").join(name);
    if !folder.join("usr/lib/openssh/regress/test-exec.sh").exists() {
        download(suite, &[package], &folder).map_err(|failure| {
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
fn version_of(ssh: &Path) -> String {
    match output(Command::new(ssh).arg("-V")) {
        Ok((true, _, stderr)) => stderr.trim().to_owned(),
        _ => String::new(),
    }
}

/// Installs Debian's OpenSSH, and other clients of SFTP, where they are missing.
fn install_system() -> Done {
    let mut missing: Vec<&str> =
        PROGRAMS.into_iter().filter(|program| !Path::new(program).exists()).collect();
    if !matches!(output(Command::new("python3").args(["-c", "import ensurepip"])), Ok((true, ..))) {
        missing.push("python3-venv");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let is_root = stdout(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let is_debian = Path::new("/etc/debian_version").exists();
    if !(is_root && is_debian) {
        return Err(Failure::new(format!(
            "the interop tests need OpenSSH and other clients, and {} is missing. Install it \
             with:\n    sudo apt-get install {} {}\n(or the packages of your system that have \
             these programs), then run this again",
            missing.join(", "),
            INSTALLED.join(" "),
            CLIENTS.join(" "),
        )));
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        run(&mut command)
    };
    apt(&["update", "-qq"])?;
    let mut install = vec!["install", "-y", "-qq", "--no-install-recommends"];
    install.extend(INSTALLED);
    install.extend(CLIENTS);
    apt(&install)
}

/// Puts Python's paramiko into an environment of its own where it is not there yet.
fn fetch_paramiko() -> Done {
    let folder = workspace().join("target/peers/paramiko");
    let python = folder.join("bin/python");
    let version = || match output(Command::new(&python).args(["-c", PARAMIKO_VERSION])) {
        Ok((true, stdout, _)) => stdout.trim().to_owned(),
        _ => String::new(),
    };
    if version() != PARAMIKO {
        let wanted = format!("paramiko=={PARAMIKO}");
        let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .and_then(|()| {
                run(Command::new(&python).args(["-m", "pip", "install", "--quiet", &wanted]))
            });
        made.map_err(|failure| {
            Failure::new(format!(
                "cannot get the peer paramiko: {failure}\nThe interop tests need {wanted} in a \
                 Python environment (python3 -m venv) in {}",
                folder.display(),
            ))
        })?;
    }
    eprintln!("xtask: peer paramiko {} in {}", version(), folder.display());
    Ok(())
}

/// The folder of a peer that is not the system's own, downloaded where it is not there yet.
fn unpacked(peer: &Peer) -> Done<PathBuf> {
    let folder = workspace().join("target/peers").join(peer.folder);
    if version_of(&folder.join("usr/bin/ssh")).starts_with(peer.version) {
        return Ok(folder);
    }
    download(peer.suite, &INSTALLED, &folder).map_err(|failure| {
        Failure::new(format!(
            "cannot get the peer {} from Debian's {}: {failure}\nThe interop tests need it: put \
             the unpacked packages {} of that suite into {} (dpkg-deb -x PACKAGE FOLDER)",
            peer.version,
            peer.suite,
            INSTALLED.join(", "),
            folder.display(),
        ))
    })?;
    Ok(folder)
}

/// Downloads the packages with an apt state of their own, which leaves the system's as it is, and
/// unpacks them.
fn download(suite: &str, packages: &[&str], folder: &Path) -> Done {
    eprintln!("xtask: downloading {} from {suite}", packages.join(", "));
    let io = |error: std::io::Error| Failure::new(format!("{}: {error}", folder.display()));
    let name = folder.file_name().unwrap_or_default().display();
    let new = folder.with_file_name(format!("{name}.new"));
    if new.exists() {
        fs::remove_dir_all(&new).map_err(io)?;
    }
    let apt_folder = new.join("apt");
    for part in ["lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(apt_folder.join(part)).map_err(io)?;
    }
    let sources = apt_folder.join("peer.sources");
    fs::write(&sources, source_entry(suite)?).map_err(io)?;

    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .arg("-qq")
            .args(["-o", &format!("Dir::State::lists={}", apt_folder.join("lists").display())])
            .args(["-o", &format!("Dir::Cache={}", apt_folder.join("cache").display())])
            .args(["-o", &format!("Dir::Etc::sourcelist={}", sources.display())])
            .args(["-o", "Dir::Etc::sourceparts=-", "-o", "APT::Sandbox::User="])
            .args(["-o", "Acquire::Retries=3"])
            .args(arguments)
            .current_dir(&apt_folder);
        stdout(&mut command)
    };
    apt(&["update"])?;
    let mut arguments = vec!["download"];
    arguments.extend(packages);
    apt(&arguments)?;

    for entry in fs::read_dir(&apt_folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            stdout(Command::new("dpkg-deb").arg("-x").arg(&path).arg(&new))?;
        }
    }
    fs::remove_dir_all(&apt_folder).map_err(io)?;
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(io)?;
    }
    fs::rename(&new, folder).map_err(io)
}

/// A sources entry for `suite`, from the mirror that this machine uses for Debian itself.
fn source_entry(suite: &str) -> Done<String> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(parts) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(parts.flatten().map(|entry| entry.path()));
    }
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        let found = match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => from_stanzas(&text),
            Some("list") => from_lines(&text),
            _ => None,
        };
        if let Some((uri, signed_by)) = found {
            let signed_by = signed_by.map_or_else(String::new, |by| format!("Signed-By: {by}\n"));
            return Ok(format!(
                "Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n{signed_by}"
            ));
        }
    }
    Err(Failure::new("no Debian mirror found in /etc/apt/sources.list or sources.list.d"))
}

/// Whether `uri` and `component` look like the archive that has the OpenSSH of a release, and not
/// its security archive or another vendor's.
fn is_debian_archive<'a>(uri: &str, mut components: impl Iterator<Item = &'a str>) -> bool {
    uri.trim_end_matches('/').ends_with("/debian") && components.any(|name| name == "main")
}

/// URI and keyring of Debian's archive in a file of deb822 stanzas.
fn from_stanzas(text: &str) -> Option<(String, Option<String>)> {
    text.split("\n\n").find_map(|stanza| {
        let field = |name: &str| {
            stanza.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim())
            })
        };
        let uri = field("URIs")?.split_whitespace().next()?;
        is_debian_archive(uri, field("Components")?.split_whitespace()).then(|| {
            let keyring = field("Signed-By").filter(|by| by.starts_with('/'));
            (uri.to_owned(), keyring.map(str::to_owned))
        })
    })
}

/// URI and keyring of Debian's archive in a file of one-line entries.
fn from_lines(text: &str) -> Option<(String, Option<String>)> {
    text.lines().find_map(|line| {
        let mut rest = line.trim().strip_prefix("deb ")?.trim_start();
        let mut keyring = None;
        if let Some((options, after)) =
            rest.strip_prefix('[').and_then(|bracketed| bracketed.split_once(']'))
        {
            keyring =
                options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
            rest = after;
        }
        let mut words = rest.split_whitespace();
        let (uri, _suite) = (words.next()?, words.next()?);
        is_debian_archive(uri, words).then(|| (uri.to_owned(), keyring.map(str::to_owned)))
    })
}

/// Checks that the programs of a peer start on this machine. Gives the version.
fn check(peer: &Peer, root: &Path) -> Done<String> {
    let ssh = root.join("usr/bin/ssh");
    let version = version_of(&ssh);
    if !version.starts_with(peer.version) {
        return Err(Failure::new(format!(
            "{} -V says \"{version}\", expected {}",
            ssh.display(),
            peer.version
        )));
    }
    // `sshd -t` would need host keys; a wrong flag shows that it starts, since it then prints its
    // version with the usage.
    let sshd = root.join("usr/sbin/sshd");
    let (_, _, usage) = output(Command::new(&sshd).arg("-?"))?;
    if !usage.contains(peer.version) {
        return Err(Failure::new(format!(
            "{} does not start: {}\nIt links with libraries of Debian 12; \
             `apt-get install {}` brings them there",
            sshd.display(),
            usage.trim(),
            INSTALLED.join(" "),
        )));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::{from_lines, from_stanzas};

    #[test]
    fn the_mirror_is_found_in_stanzas() {
        let text = "Types: deb\nURIs: http://example.org/debian-security\nSuites: x-security\n\
                    Components: main\n\nTypes: deb\n# a comment\nURIs: http://example.org/debian\n\
                    Suites: x x-updates\nComponents: main\nSigned-By: /usr/share/keyrings/a.gpg\n";
        assert_eq!(
            from_stanzas(text),
            Some(("http://example.org/debian".into(), Some("/usr/share/keyrings/a.gpg".into())))
        );
    }

    #[test]
    fn the_mirror_is_found_in_lines() {
        let text = "# deb http://no.example.org/debian x main\n\
                    deb https://packages.example.org/apt tool main\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://example.org/debian/ x main contrib\n";
        assert_eq!(
            from_lines(text),
            Some(("http://example.org/debian/".into(), Some("/k.gpg".into())))
        );
        assert_eq!(from_lines("deb http://example.org/debian x contrib\n"), None);
    }
}
