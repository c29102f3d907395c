//! OpenSSH's clients, run against a server of ours.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use tempfile::TempDir;

use crate::keys::Keys;
use crate::peer::Peer;
use crate::sshd::known_hosts_line;

/// A client that takes longer than this is killed, and the test fails.
const LIMIT: &str = "120";

/// What `timeout` exits with when it had to kill.
const TIMED_OUT: i32 = 124;

/// What a client did.
#[derive(Debug)]
pub struct Outcome {
    /// The exit status; 124 where the client was killed because it took too long.
    pub status: i32,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Outcome {
    /// The same, if the client succeeded.
    ///
    /// # Panics
    /// If it did not.
    pub fn ok(self) -> Self {
        assert!(self.status == 0, "status {}, stderr:\n{}", self.status, self.stderr);
        self
    }

    /// What was written to stdout, as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.stdout).unwrap()
    }
}

/// How OpenSSH's clients reach one server of ours.
#[derive(Debug)]
pub struct Clients {
    peer: Peer,
    port: u16,
    user: String,
    folder: TempDir,
    options: Vec<String>,
}

impl Clients {
    /// Clients of the generation `peer` for the server on `port` of 127.0.0.1, which has the host
    /// key of each of `host_keys`. They log in as `user` with the user's ed25519 key.
    ///
    /// # Panics
    /// If files cannot be written.
    #[must_use]
    pub fn new(peer: &Peer, port: u16, user: &str, host_keys: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::get();
        let lines = host_keys.iter().map(|kind| known_hosts_line(port, &keys.host(kind)));
        std::fs::write(folder.path().join("known_hosts"), lines.collect::<String>()).unwrap();
        let clients =
            Self { peer: peer.clone(), port, user: user.to_owned(), folder, options: Vec::new() };
        let known_hosts = clients.folder.path().join("known_hosts");
        clients
            .option(&format!("UserKnownHostsFile={}", known_hosts.display()))
            .option("GlobalKnownHostsFile=none")
            .option("StrictHostKeyChecking=yes")
            .option("IdentitiesOnly=yes")
            .option("IdentityAgent=none")
            .option("ControlPath=none")
            .option("ConnectTimeout=30")
            .option("LogLevel=VERBOSE")
    }

    /// Adds `-o NAME=VALUE`. As in OpenSSH, the first value of an option wins.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.options.push(option.to_owned());
        self
    }

    /// The `known_hosts` file.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.path().join("known_hosts")
    }

    /// A folder for the files of a test, on the side of the client.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self, limit: &str, program: &str, options: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.args(["-k", "5", limit]).arg(self.peer.program(program)).args(["-F", "none"]);
        for option in options.iter().copied().chain(self.options.iter().map(String::as_str)) {
            command.args(["-o", option]);
        }
        if !options.iter().any(|option| option.starts_with("IdentityFile=")) {
            command.arg("-i").arg(Keys::get().user("ed25519"));
        }
        command.env_remove("SSH_AUTH_SOCK").env_remove("DISPLAY");
        command
    }

    /// Runs `ssh` with `options`, a command for the server, and `stdin`.
    ///
    /// # Panics
    /// If `ssh` cannot be started.
    #[must_use]
    pub fn ssh(&self, options: &[&str], command: &str, stdin: &[u8]) -> Outcome {
        self.ssh_with(options, &[], command, stdin)
    }

    /// Like [`Self::ssh`], with flags such as `-tt` too.
    ///
    /// # Panics
    /// If `ssh` cannot be started.
    #[must_use]
    pub fn ssh_with(
        &self,
        options: &[&str],
        flags: &[&str],
        remote: &str,
        stdin: &[u8],
    ) -> Outcome {
        let mut command = self.command(LIMIT, "ssh", &[&["BatchMode=yes"], options].concat());
        command.args(flags).args(["-p", &self.port.to_string(), "-l", &self.user, "127.0.0.1"]);
        if !remote.is_empty() {
            command.arg(remote);
        }
        run_to_the_end(command, stdin)
    }

    /// Runs `ssh` with a password instead of a key.
    ///
    /// # Panics
    /// If `ssh` cannot be started.
    #[must_use]
    pub fn ssh_with_password(&self, password: &str, remote: &str) -> Outcome {
        let askpass = self.folder.path().join("askpass");
        std::fs::write(&askpass, format!("#!/bin/sh\nprintf '%s\\n' '{password}'\n")).unwrap();
        std::fs::set_permissions(&askpass, PermissionsExt::from_mode(0o700)).unwrap();
        let mut command = self.command(
            LIMIT,
            "ssh",
            &[
                "PreferredAuthentications=password",
                "NumberOfPasswordPrompts=1",
                "IdentityFile=none",
            ],
        );
        command.env("SSH_ASKPASS", askpass).env("SSH_ASKPASS_REQUIRE", "force");
        command.args(["-p", &self.port.to_string(), "-l", &self.user, "127.0.0.1", remote]);
        run_to_the_end(command, &[])
    }

    /// Runs `sftp -b` with `options` and the commands of `batch`.
    ///
    /// # Panics
    /// If `sftp` cannot be started.
    #[must_use]
    pub fn sftp(&self, options: &[&str], batch: &str) -> Outcome {
        let outcome = self.limited_sftp(LIMIT, options, batch);
        assert_ne!(outcome.status, TIMED_OUT, "killed after {LIMIT} s:\n{}", outcome.stderr);
        outcome
    }

    /// Runs `sftp -b` with the commands of `batch` and kills it after so many seconds.
    ///
    /// # Panics
    /// If `sftp` cannot be started.
    #[must_use]
    pub fn sftp_killed_after(&self, seconds: &str, batch: &str) -> Outcome {
        self.limited_sftp(seconds, &[], batch)
    }

    fn limited_sftp(&self, limit: &str, options: &[&str], batch: &str) -> Outcome {
        let mut command = self.command(limit, "sftp", options);
        // `sftp` finds the `ssh` of its own generation only when told.
        command.arg("-S").arg(self.peer.program("ssh")).args(["-b", "-"]);
        command.args(["-P", &self.port.to_string()]);
        command.arg(format!("{}@127.0.0.1", self.user)).current_dir(self.folder.path());
        run(command, batch.as_bytes())
    }
}

fn run_to_the_end(command: Command, stdin: &[u8]) -> Outcome {
    let what = format!("{command:?}");
    let outcome = run(command, stdin);
    let stderr = &outcome.stderr;
    assert_ne!(outcome.status, TIMED_OUT, "killed after {LIMIT} s: {what}\n{stderr}");
    outcome
}

fn run(mut command: Command, stdin: &[u8]) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    let writer = thread::spawn(move || {
        // A client that fails does not read its input.
        let written = input.write_all(&stdin);
        drop(written);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let status = output.status.code().unwrap_or(-1);
    Outcome { status, stdout: output.stdout, stderr }
}
