//! `agent` and `add` with OpenSSH's programs on the other side, of two generations, and alone.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
    time::{Duration, Instant},
};

use crate::place::{Place, chiton, run, text};

/// An agent that ends with the test: ours, or the one of a generation of OpenSSH.
struct Agent {
    socket: PathBuf,
    pid: String,
}

impl Drop for Agent {
    fn drop(&mut self) {
        Command::new("kill").arg(&self.pid).status().ok();
    }
}

/// Where the programs of OpenSSH are.
pub(crate) fn openssh(version: &str, program: &str) -> Command {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let peers = package.ancestors().nth(2).unwrap().join("target/peers");
    let unpacked = peers.join(format!("openssh-{version}/usr/bin")).join(program);
    let found = if unpacked.exists() { unpacked } else { Path::new("/usr/bin").join(program) };
    let said = Command::new(found.with_file_name("ssh")).arg("-V").output().unwrap();
    let said = text(&said.stderr);
    assert!(said.contains(version), "OpenSSH {version} is missing: run `cargo xtask peers`");
    let mut command = Command::new(found);
    for name in ["SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "SSH_AUTH_SOCK"] {
        command.env_remove(name);
    }
    command
}

pub(crate) const VERSIONS: [&str; 2] = ["9.2", "10.0"];

fn start(mut command: Command, socket: PathBuf) -> Agent {
    let output = run(command.arg("-s").arg("-a").arg(&socket));
    let said = text(&output.stdout);
    let pid = said.split("SSH_AGENT_PID=").nth(1).and_then(|rest| rest.split(';').next());
    let pid = pid.unwrap_or_else(|| panic!("{said}{}", text(&output.stderr))).to_owned();
    assert!(said.contains(&format!("SSH_AUTH_SOCK={}; export", socket.display())), "{said}");
    assert!(said.ends_with(&format!("echo Agent pid {pid};\n")), "{said}");
    Agent { socket, pid }
}

fn ours(place: &Place, options: &[&str]) -> Agent {
    let mut command = chiton();
    command.arg("agent").args(options);
    start(command, place.path("agent"))
}

impl Agent {
    fn run(&self, command: &mut Command) -> Output {
        run(command.env("SSH_AUTH_SOCK", &self.socket))
    }

    fn add(&self, arguments: &[&str]) -> Output {
        self.run(chiton().arg("add").args(arguments))
    }
}

/// A stock `ssh` that has nothing but the agent.
fn stock_ssh(version: &str, place: &Place) -> Command {
    let mut command = openssh(version, "ssh");
    command.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentityFile=none"]);
    command.arg("-o").arg(format!("UserKnownHostsFile={}", place.path("known_hosts").display()));
    command.args(["-p", &place.port, "alice@127.0.0.1", "echo in"]);
    command
}

fn key(place: &Place) -> String {
    place.path("key").display().to_string()
}

#[test]
fn stock_ssh_logs_in_with_a_key_in_our_agent() {
    let place = Place::new();
    let agent = ours(&place, &[]);
    for version in VERSIONS {
        let refused = agent.run(&mut stock_ssh(version, &place));
        assert!(!refused.status.success(), "{version}: there is no key yet");
        let added = agent.add(&[&key(&place)]);
        assert!(text(&added.stderr).starts_with("Identity added: "), "{added:?}");
        let output = agent.run(&mut stock_ssh(version, &place));
        assert_eq!(text(&output.stdout), "in\n", "{version}: {}", text(&output.stderr));
        assert!(agent.add(&["-D"]).status.success());
    }
}

#[test]
fn stock_ssh_add_works_with_our_agent() {
    let place = Place::new();
    let agent = ours(&place, &[]);
    for version in VERSIONS {
        let add = |arguments: &[&str]| agent.run(openssh(version, "ssh-add").args(arguments));
        let key = key(&place);
        let none = add(&["-l"]);
        assert_eq!(none.status.code(), Some(1));
        assert_eq!(text(&none.stdout), "The agent has no identities.\n");
        assert!(add(&["-t", "1h", &key]).status.success());
        assert_eq!(text(&add(&["-l"]).stdout), text(&agent.add(&["-l"]).stdout), "{version}");
        assert_eq!(text(&add(&["-L"]).stdout), text(&agent.add(&["-L"]).stdout), "{version}");
        fs::write(place.path("key.pub"), text(&add(&["-L"]).stdout)).unwrap();
        assert!(add(&["-T", &format!("{key}.pub")]).status.success());
        assert!(add(&["-d", &key]).status.success());
        assert_eq!(add(&["-d", &key]).status.code(), Some(1));
    }
}

#[test]
fn our_ssh_logs_in_with_a_key_in_a_stock_agent() {
    let place = Place::new();
    for version in VERSIONS {
        let agent = start(openssh(version, "ssh-agent"), place.path(&format!("agent-{version}")));
        let mut ssh = place.program("ssh");
        ssh.args(["-o", "BatchMode=yes", "127.0.0.1", "echo in"]);
        assert_eq!(agent.run(&mut ssh).status.code(), Some(255), "there is no key yet");
        assert!(agent.add(&["-q", &key(&place)]).status.success());
        let output = agent.run(&mut ssh);
        assert_eq!(text(&output.stdout), "in\n", "{version}: {}", text(&output.stderr));
        let mut none = place.program("ssh");
        none.args(["-o", "BatchMode=yes", "-o", "IdentityAgent=none", "127.0.0.1", "echo in"]);
        assert_eq!(agent.run(&mut none).status.code(), Some(255));
    }
}

/// A program for questions that answers all with `answer`.
fn askpass(place: &Place, answer: &str) -> PathBuf {
    let path = place.path("askpass");
    fs::write(
        &path,
        format!("#!/bin/sh\necho \"$1\" >>{}\n{answer}\n", place.path("asked").display()),
    )
    .unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
    path
}

#[test]
fn somebody_is_asked_about_a_key_that_wants_it() {
    let place = Place::new();
    let ask = askpass(&place, "exit 0");
    let mut command = chiton();
    command.arg("agent").env("SSH_ASKPASS", &ask).env("SSH_ASKPASS_REQUIRE", "force");
    let agent = start(command, place.path("agent"));
    let added = agent.add(&["-c", &key(&place)]);
    assert!(text(&added.stderr).contains("The user must confirm each use of the key"));
    let output = agent.run(&mut stock_ssh("9.2", &place));
    assert_eq!(text(&output.stdout), "in\n", "{}", text(&output.stderr));
    let asked = fs::read_to_string(place.path("asked")).unwrap();
    assert!(asked.starts_with("Allow use of key "), "{asked}");
    assert!(asked.contains("It is for a login as alice."), "{asked}");
    askpass(&place, "exit 1");
    assert!(!agent.run(&mut stock_ssh("9.2", &place)).status.success());
}

#[test]
fn a_key_goes_when_its_time_is_over() {
    let place = Place::new();
    let agent = ours(&place, &["-t", "2"]);
    assert!(agent.add(&["-q", &key(&place)]).status.success());
    assert!(agent.add(&["-l"]).status.success());
    let began = Instant::now();
    while agent.add(&["-l"]).status.success() {
        assert!(began.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_agent_lives_as_long_as_its_command() {
    let place = Place::new();
    let script = format!(
        "'{}' add -q '{}' && echo $SSH_AGENT_PID && exit 7",
        env!("CARGO_BIN_EXE_chiton"),
        key(&place)
    );
    let output = run(chiton().args(["agent", "sh", "-c", &script]));
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    let process = Path::new("/proc").join(text(&output.stdout).trim());
    let began = Instant::now();
    while process.exists() {
        assert!(began.elapsed() < Duration::from_secs(30), "the agent is still there");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn an_agent_is_killed_with_its_socket() {
    let place = Place::new();
    let agent = ours(&place, &[]);
    let output = run(chiton().args(["agent", "-k"]).env("SSH_AGENT_PID", &agent.pid));
    let expected = format!(
        "unset SSH_AUTH_SOCK;\nunset SSH_AGENT_PID;\necho Agent pid {} killed;\n",
        agent.pid
    );
    assert_eq!(text(&output.stdout), expected);
    let began = Instant::now();
    while agent.socket.exists() {
        assert!(began.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn without_an_agent_add_says_so() {
    let output = run(chiton().args(["add", "-l"]).env_remove("SSH_AUTH_SOCK"));
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stderr), "Could not open a connection to your authentication agent.\n");
}
