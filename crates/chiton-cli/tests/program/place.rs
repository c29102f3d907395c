//! A server to run the program against, and the program run against it.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use ssh_crypto::rng::SystemRng;
use ssh_keys::{KeyType, PrivateKey};
use tempfile::TempDir;

pub(crate) const PASSWORD: &str = "open sesame";

/// A server that ends with the test, and what is needed to log in to it.
#[derive(Debug)]
pub(crate) struct Place {
    folder: TempDir,
    server: Child,
    pub(crate) port: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

pub(crate) fn chiton() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chiton"));
    // Nothing of the environment of whoever runs the tests may show.
    for name in
        ["SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "SSH_AUTH_SOCK", "DISPLAY", "WAYLAND_DISPLAY"]
    {
        command.env_remove(name);
    }
    command.env("SHELL", "/bin/sh");
    command
}

fn write_key(path: &Path) -> PrivateKey {
    let key = PrivateKey::generate(KeyType::Ed25519, &mut SystemRng).unwrap();
    fs::write(path, key.to_openssh(&mut SystemRng).expose()).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    key
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("root")).unwrap();
        fs::create_dir(path("home")).unwrap();
        // Commands on the other side find an `scp`, and it is this program.
        fs::create_dir(path("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_chiton"), path("bin/scp")).unwrap();
        let commands = std::env::var("PATH").unwrap_or_default();
        let commands = format!("{}:{commands}", path("bin").display());
        let host = write_key(&path("host_key"));
        let user = write_key(&path("key"));
        let authority = write_key(&path("ca"));
        fs::write(path("ca.pub"), authority.public().to_openssh("ca")).unwrap();
        fs::write(path("authorized_keys"), user.public().to_openssh("user")).unwrap();
        fs::write(path("password"), format!("{PASSWORD}\n")).unwrap();
        let mut server = chiton()
            .args(["sshd", "--listen", "127.0.0.1:0", "--user", "alice"])
            .args(["--host-key".as_ref(), path("host_key").as_os_str()])
            .args(["--authorized-keys".as_ref(), path("authorized_keys").as_os_str()])
            .args(["--trusted-user-ca".as_ref(), path("ca.pub").as_os_str()])
            .args(["--password-file".as_ref(), path("password").as_os_str()])
            .args(["--sftp-root".as_ref(), path("root").as_os_str()])
            .env("PATH", commands)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(server.stdout.take().unwrap());
        let port = output
            .lines()
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("Listening on 127.0.0.1:").map(str::to_owned))
            .expect("the server says where it listens");
        let line = format!("[127.0.0.1]:{port} {}\n", host.public().to_openssh(""));
        fs::write(path("known_hosts"), line).unwrap();
        Self { folder, server, port }
    }

    /// Ends the server without a word to anybody.
    pub(crate) fn kill_server(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `ssh` or `sftp` with everything but the key.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = chiton();
        let known = format!("UserKnownHostsFile={}", self.path("known_hosts").display());
        command.env("HOME", self.path("home")).current_dir(self.path("home"));
        command.args([name, "-F", "none", "-o", &known, "-o", "GlobalKnownHostsFile=none"]);
        command.args(["-o", &format!("Port={}", self.port), "-o", "User=alice"]);
        command
    }

    /// `ssh` or `sftp` that logs in by key.
    pub(crate) fn with_key(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.arg("-i").arg(self.path("key")).args(["-o", "BatchMode=yes"]);
        command
    }

    /// `ssh` that is asked for its password through a program.
    pub(crate) fn with_password(&self, password: &str) -> Command {
        let ask = self.path("ask");
        fs::write(&ask, format!("#!/bin/sh\necho '{password}'\n")).unwrap();
        fs::set_permissions(&ask, PermissionsExt::from_mode(0o700)).unwrap();
        let mut command = self.program("ssh");
        command.env("SSH_ASKPASS", ask).env("SSH_ASKPASS_REQUIRE", "force");
        command
    }

    /// Runs a batch of `sftp` commands.
    pub(crate) fn batch(&self, lines: &str) -> Output {
        let file = self.path("batch");
        fs::write(&file, lines).unwrap();
        let mut command = self.with_key("sftp");
        run(command.arg("-b").arg(file).arg("127.0.0.1"))
    }
}

pub(crate) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Checks that the program failed with one line that has all of `words`.
pub(crate) fn assert_one_line(output: &Output, code: i32, words: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}
