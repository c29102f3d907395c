//! Learning the other host keys of a server, with ours and OpenSSH's programs on both sides.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::{
    agent::openssh,
    place::{Place, chiton, run, text},
};

/// A server with the host keys that it is given. It ends with the test.
struct Server {
    process: Child,
    port: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn serve(place: &Place, host_keys: &[&str]) -> Server {
    let mut command = chiton();
    command.args(["sshd", "--listen", "127.0.0.1:0"]).arg("--authorized-keys");
    command.arg(place.path("authorized_keys"));
    for key in host_keys {
        command.arg("--host-key").arg(place.path(key));
    }
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let port = output
        .lines()
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("Listening on 127.0.0.1:").map(str::to_owned))
        .expect("the server says where it listens");
    Server { process, port }
}

/// The types of the keys that a file has, sorted.
fn known_types(place: &Place) -> Vec<String> {
    let text = fs::read_to_string(place.path("known")).unwrap();
    let mut types: Vec<String> =
        text.lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    types.sort();
    types
}

#[test]
fn a_new_host_key_is_learned_and_an_old_one_forgotten() {
    let place = Place::new();
    for (name, kind) in [("ecdsa", "ecdsa"), ("rsa", "rsa")] {
        let path = place.path(name).display().to_string();
        let made = run(chiton().args(["keygen", "-q", "-t", kind, "-N", "", "-f", &path]));
        assert!(made.status.success(), "{}", text(&made.stderr));
    }
    let server = serve(&place, &["host_key", "ecdsa"]);
    let own = fs::read_to_string(place.path("known_hosts")).unwrap();
    let key = own.split_once(' ').unwrap().1;
    let rsa = fs::read_to_string(place.path("rsa.pub")).unwrap();
    let host = format!("[127.0.0.1]:{}", server.port);
    let known = format!("UserKnownHostsFile={}", place.path("known").display());
    let login = |mut command: Command, update: &str| {
        fs::write(place.path("known"), format!("{host} {key}{host} {rsa}")).unwrap();
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", &known, "-o", update]);
        command.arg("-i").arg(place.path("key")).args(["-p", &server.port]);
        let output = run(command.args(["alice@127.0.0.1", "sleep 1; echo in"]));
        assert_eq!(text(&output.stdout), "in\n", "{}", text(&output.stderr));
        known_types(&place)
    };
    let ours = || {
        let mut command = chiton();
        command.arg("ssh");
        command
    };
    assert_eq!(login(ours(), "UpdateHostKeys=no"), ["ssh-ed25519", "ssh-rsa"]);
    for version in ["9.2", "10.0"] {
        let types = login(openssh(version, "ssh"), "UpdateHostKeys=yes");
        assert_eq!(types, ["ecdsa-sha2-nistp256", "ssh-ed25519"], "OpenSSH {version}");
    }
    assert_eq!(login(ours(), "UpdateHostKeys=yes"), ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
}
