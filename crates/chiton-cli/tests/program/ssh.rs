//! `ssh`, and what all of the program has in common.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    process::Stdio,
    thread,
};

use ssh_crypto::rng::SystemRng;
use ssh_keys::{KeyType, PrivateKey};

use crate::place::{PASSWORD, Place, assert_one_line, chiton, run, text};

#[test]
fn a_command_gives_its_streams_and_its_status() {
    let place = Place::new();
    let output = run(place.with_key("ssh").args(["127.0.0.1", "echo out; echo err >&2; exit 7"]));
    assert_eq!(text(&output.stdout), "out\n");
    assert_eq!(text(&output.stderr), "err\n");
    assert_eq!(output.status.code(), Some(7));
    let output = run(place.with_key("ssh").args(["127.0.0.1", "kill -9 $$"]));
    assert_eq!(output.status.code(), Some(255));
}

#[test]
fn a_lot_of_input_comes_back_whole() {
    let place = Place::new();
    let sent: Vec<u8> = (0..8_000_000_u32).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect();
    let mut child = place
        .with_key("ssh")
        .args(["-o", "RekeyLimit=1M", "127.0.0.1", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sending = sent.clone();
    let writer = thread::spawn(move || stdin.write_all(&sending).unwrap());
    let mut got = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut got).unwrap();
    writer.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    let place = Place::new();
    let mut command = place.with_key("ssh");
    let mut child = command
        .args(["127.0.0.1", "while :; do echo yes; done"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "yes\n");
    assert_eq!(child.wait().unwrap().code(), Some(255));
}

#[test]
fn a_password_is_asked_for_through_a_program() {
    let place = Place::new();
    let output = run(place.with_password(PASSWORD).args(["127.0.0.1", "echo in"]));
    assert_eq!(text(&output.stdout), "in\n", "{}", text(&output.stderr));
    let mut wrong = place.with_password("wrong");
    let output = run(wrong.args(["-o", "NumberOfPasswordPrompts=1", "127.0.0.1", "true"]));
    assert_one_line(&output, 255, &["alice@127.0.0.1", "Permission denied", "password"]);
}

/// A key with the passphrase "open sesame"; the server does not know it until it is told.
const LOCKED: &str = include_str!("../testdata/encrypted_ed25519");

#[test]
fn what_cannot_be_asked_is_told_in_one_line() {
    let place = Place::new();
    let alone = |option: &str, value: &str| {
        let mut command = place.program("ssh");
        command.env("SSH_ASKPASS", "/nonexistent").env("SSH_ASKPASS_REQUIRE", "force");
        run(command.args([option, value, "127.0.0.1", "true"]))
    };
    let password = alone("-o", "PreferredAuthentications=password");
    assert_one_line(&password, 255, &["Permission denied", "password cannot be asked", "/nonex"]);
    let locked = place.path("locked");
    fs::write(&locked, LOCKED).unwrap();
    fs::set_permissions(&locked, PermissionsExt::from_mode(0o600)).unwrap();
    let locked = locked.to_str().unwrap();
    // The server does not want this key: only the password is asked for.
    assert_one_line(&alone("-i", locked), 255, &["password cannot be asked", "/nonexistent"]);
    let batch = ["-o", "BatchMode=yes", "-i", locked];
    let output = run(place.program("ssh").args(batch).args(["127.0.0.1", "true"]));
    assert_one_line(&output, 255, &["encrypted", "BatchMode"]);
    let output = run(place.with_key("ssh").args(batch).args(["127.0.0.1", "echo in"]));
    assert_eq!(text(&output.stdout), "in\n", "another key will do: {}", text(&output.stderr));
}

#[test]
fn a_key_that_is_open_to_others_is_not_used() {
    let place = Place::new();
    let key = place.path("key");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let output = run(place.with_key("ssh").args(["127.0.0.1", "true"]));
    assert_one_line(&output, 255, &["0644", "chmod 600"]);
}

#[test]
fn an_unknown_host_is_refused_or_remembered_as_told() {
    let place = Place::new();
    let known = place.path("known_hosts");
    let line = fs::read_to_string(&known).unwrap();
    fs::write(&known, "").unwrap();
    let output = run(place.with_key("ssh").args(["127.0.0.1", "true"]));
    assert_one_line(&output, 255, &["unknown", "SHA256:", "StrictHostKeyChecking=ask"]);
    let ask = ["-o", "StrictHostKeyChecking=ask", "-o", "BatchMode=no", "127.0.0.1", "true"];
    let mut alone = place.program("ssh");
    alone.env("SSH_ASKPASS", "/nonexistent").env("SSH_ASKPASS_REQUIRE", "force");
    assert_one_line(&run(alone.args(ask)), 255, &["unknown", "SHA256:", "/nonexistent"]);
    let nowhere = ["-o", "UserKnownHostsFile=/proc/nowhere/x", "-o", "StrictHostKeyChecking=no"];
    let mut forgetful = chiton();
    forgetful.args(["ssh", "-p", &place.port, "-l", "alice", "-o", "BatchMode=yes"]);
    forgetful.args(nowhere).arg("-i").arg(place.path("key")).args(["127.0.0.1", "echo in"]);
    let output = run(&mut forgetful);
    assert_eq!(text(&output.stdout), "in\n");
    assert_one_line(&output, 0, &["this time only", "/proc/nowhere"]);
    let accept = ["-o", "StrictHostKeyChecking=accept-new", "127.0.0.1", "true"];
    let output = run(place.with_key("ssh").args(accept));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read_to_string(&known).unwrap().trim(), line.trim());

    let other = PrivateKey::generate(KeyType::Ed25519, &mut SystemRng).unwrap();
    let line = format!("[127.0.0.1]:{} {}\n", place.port, other.public().to_openssh(""));
    fs::write(&known, line).unwrap();
    let output = run(place.with_key("ssh").args(accept));
    assert_one_line(
        &output,
        255,
        &["CHANGED", "known_hosts:1", "chiton keygen -f", "known_hosts' -R"],
    );
}

#[test]
fn bad_input_gives_one_line_that_says_what_to_do() {
    let place = Place::new();
    let public = place.path("key.pub");
    fs::write(&public, fs::read(place.path("authorized_keys")).unwrap()).unwrap();
    let ssh = |args: &[&str]| run(place.with_key("ssh").args(args));
    assert_one_line(&ssh(&["-Z", "127.0.0.1"]), 255, &["-Z", "--help"]);
    assert_one_line(&ssh(&[]), 255, &["destination", "[user@]host"]);
    let sshd = |args: &[&str]| run(chiton().arg("sshd").args(args));
    assert_one_line(&sshd(&["--listen", "localhost"]), 2, &["--listen", "127.0.0.1:2222"]);
    assert_one_line(&sshd(&["--port", "1"]), 2, &["--port", "--help"]);
    let keys = place.path("authorized_keys");
    let taken = format!("127.0.0.1:{}", place.port);
    let keys = ["--listen", &taken, "--authorized-keys", keys.to_str().unwrap()];
    assert_one_line(&sshd(&keys), 255, &["in use", "another port"]);
    assert_one_line(&ssh(&["-o", "Foo=1", "127.0.0.1"]), 255, &["'Foo'"]);
    assert_one_line(&ssh(&["-L", "1:a:2", "127.0.0.1"]), 255, &["-L"]);
    assert_one_line(&ssh(&["-c", "rot13", "127.0.0.1"]), 255, &["Ciphers", "rot13"]);
    assert_one_line(&ssh(&["host.invalid", "true"]), 255, &["host.invalid", "name"]);
    assert_one_line(&ssh(&["-s", "127.0.0.1", "nothing"]), 255, &["subsystem"]);
    let with = |option: &str, value: &str| {
        run(place.program("ssh").args([option, value, "-o", "BatchMode=yes", "127.0.0.1", "true"]))
    };
    assert_one_line(&with("-i", "missing"), 255, &["missing", "no such file"]);
    assert_one_line(&with("-i", public.to_str().unwrap()), 255, &["public key", ".pub"]);
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut refused = chiton();
    refused.args(["ssh", "-p", &free.to_string(), "127.0.0.1", "true"]);
    assert_one_line(&run(&mut refused), 255, &["refused", "port"]);
}

#[test]
fn what_there_is_is_listed_and_can_be_chosen_for_users_too() {
    let listed = text(&run(chiton().args(["ssh", "-Q", "kex"])).stdout);
    assert!(listed.lines().any(|name| name == "mlkem1024nistp384-sha384"), "{listed}");
    let table = text(&run(chiton().arg("algorithms")).stdout);
    assert!(listed.lines().all(|name| table.contains(name)), "{table}");

    let place = Place::new();
    let with = |option: &str| {
        run(place
            .with_key("ssh")
            .args(["-C", "-o", option, "-o", "BatchMode=yes"])
            .args(["127.0.0.1", "echo in"]))
    };
    let output = with("PubkeyAcceptedKeyTypes=^ssh-ed25519");
    assert_eq!(text(&output.stdout), "in\n", "{}", text(&output.stderr));
    assert!(!with("PubkeyAcceptedAlgorithms=-ssh-ed25519*").status.success());
    assert_one_line(
        &with("PubkeyAcceptedAlgorithms=x"),
        255,
        &["PubkeyAcceptedAlgorithms", "\"x\""],
    );
    assert_one_line(&with("RequiredRSASize=1"), 255, &["RequiredRSASize", "1024 to 16384"]);
}

#[test]
fn the_demo_holds() {
    let output = run(chiton().arg("demo"));
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(said.ends_with("All of it held.\n"), "{said}");
}
