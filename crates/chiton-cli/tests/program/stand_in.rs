//! Our programs in place of OpenSSH's, and the other way around, in a script that neither side
//! knows: `stand_in.sh`, which does with keys what people do.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    agent::openssh,
    place::{run, text},
};

/// How many of its steps the script says `ok` to, in every setting.
const STEPS: usize = 45;

/// The script is killed after so many seconds.
const LIMIT: &str = "120";

const KEY_PROGRAMS: [&str; 4] = ["ssh-keygen", "ssh-add", "ssh-agent", "ssh-keyscan"];

/// Whose programs run.
#[derive(Clone, Copy)]
enum Whose {
    Ours,
    /// OpenSSH's, of this version.
    Stock(&'static str),
}

impl Whose {
    fn path(self, program: &str) -> PathBuf {
        match self {
            Self::Ours => PathBuf::from(env!("CARGO_BIN_EXE_chiton")),
            Self::Stock(version) => PathBuf::from(openssh(version, program).get_program()),
        }
    }
}

/// OpenSSH's server of that version, and what it wants in its configuration.
fn server(version: &str) -> (PathBuf, String) {
    let programs = PathBuf::from(openssh(version, "ssh").get_program());
    let root = programs.ancestors().nth(2).unwrap().to_owned();
    let sshd = root.join("sbin/sshd");
    assert!(sshd.exists(), "{} is missing: run `cargo xtask peers`", sshd.display());
    let parts = root.join("lib/openssh");
    let parts = parts.display();
    let config = if version == "9.2" {
        String::new()
    } else {
        // Without the penalties off, the logins that have to fail would block the next.
        format!(
            "SshdSessionPath {parts}/sshd-session\nSshdAuthPath {parts}/sshd-auth\n\
             PerSourcePenalties no\n"
        )
    };
    (sshd, config)
}

/// Runs the script with `ssh` of one side and the programs for keys of the other.
fn day(ssh: Whose, keys: Whose, server_version: &str) {
    let folder = tempfile::Builder::new().prefix("stand-in-").tempdir().unwrap();
    let (bin, home) = (folder.path().join("bin"), folder.path().join("home"));
    for folder in [&bin, &home] {
        fs::create_dir(folder).unwrap();
    }
    symlink(ssh.path("ssh"), bin.join("ssh")).unwrap();
    for program in KEY_PROGRAMS {
        symlink(keys.path(program), bin.join(program)).unwrap();
    }
    // A server that runs as root wants an empty folder, which Debian's service makes at each boot.
    let empty = Path::new("/run/sshd");
    if !empty.exists() {
        fs::DirBuilder::new().mode(0o755).recursive(true).create(empty).unwrap();
    }
    let (sshd, config) = server(server_version);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("timeout");
    command
        .args(["-k", "5", LIMIT, "sh"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/program/stand_in.sh"))
        .env_clear()
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", &home)
        .env("SSHD", sshd)
        .env("SSHD_CONFIG", config)
        .env("PORT", port.to_string())
        .current_dir(&home);
    let output = run(&mut command);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{}:\n{said}{}", output.status, text(&output.stderr));
    assert_eq!(said.lines().filter(|line| line.starts_with("ok: ")).count(), STEPS, "{said}");
}

#[test]
fn stock_ssh_9_2_works_with_our_agent_and_keys() {
    day(Whose::Stock("9.2"), Whose::Ours, "9.2");
}

#[test]
fn stock_ssh_10_0_works_with_our_agent_and_keys() {
    day(Whose::Stock("10.0"), Whose::Ours, "10.0");
}

#[test]
fn our_ssh_works_with_the_agent_and_keys_of_9_2() {
    day(Whose::Ours, Whose::Stock("9.2"), "10.0");
}

#[test]
fn our_ssh_works_with_the_agent_and_keys_of_10_0() {
    day(Whose::Ours, Whose::Stock("10.0"), "9.2");
}

#[test]
fn our_ssh_works_with_our_agent_and_keys() {
    day(Whose::Ours, Whose::Ours, "10.0");
}

/// What the script asks for is what OpenSSH does.
#[test]
fn stock_ssh_works_with_its_own_agent_and_keys() {
    day(Whose::Stock("9.2"), Whose::Stock("9.2"), "9.2");
}
