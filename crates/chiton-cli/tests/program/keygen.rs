//! `keygen` and `keyscan` with OpenSSH's programs on the other side, of two generations.

use std::{fs, path::Path, process::Output};

use crate::{
    agent::{VERSIONS, openssh},
    place::{Place, assert_one_line, chiton, run, text},
};

fn keygen(folder: &Path, arguments: &[&str]) -> Output {
    run(chiton().arg("keygen").args(arguments).current_dir(folder))
}

fn theirs(version: &str, folder: &Path, arguments: &[&str]) -> Output {
    run(openssh(version, "ssh-keygen").args(arguments).current_dir(folder))
}

/// What a program says that has to succeed.
fn said(output: &Output) -> String {
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn keys_are_read_by_ssh_keygen_as_by_us() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for (name, kind) in [
        ("ed25519", &["-t", "ed25519"][..]),
        ("p256", &["-t", "ecdsa"]),
        ("p384", &["-t", "ecdsa", "-b", "384"]),
        ("p521", &["-t", "ecdsa", "-b", "521"]),
        ("rsa", &["-t", "rsa", "-b", "2048"]),
    ] {
        let made = [kind, &["-N", "pass word", "-a", "2", "-C", "a comment", "-f", name]].concat();
        let output = said(&keygen(folder, &made));
        assert!(output.contains(&format!("Your public key has been saved in {name}.pub")));
        let ours = said(&keygen(folder, &["-lvf", name]));
        assert!(output.ends_with(ours.split_once('\n').unwrap().1), "the same picture");
        for version in VERSIONS {
            assert_eq!(said(&theirs(version, folder, &["-lvf", name])), ours, "{name}");
            let public = said(&theirs(version, folder, &["-y", "-P", "pass word", "-f", name]));
            assert_eq!(public, fs::read_to_string(folder.join(format!("{name}.pub"))).unwrap());
            assert!(!theirs(version, folder, &["-y", "-P", "wrong", "-f", name]).status.success());
        }
        said(&keygen(folder, &["-p", "-P", "pass word", "-N", "", "-f", name]));
        let public = said(&theirs("9.2", folder, &["-y", "-f", name]));
        assert_eq!(said(&keygen(folder, &["-y", "-f", name])), public);
    }
}

#[test]
fn an_existing_key_is_not_overwritten_without_a_yes() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("k"), "old").unwrap();
    let output = keygen(folder.path(), &["-q", "-N", "", "-f", "k"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(fs::read(folder.path().join("k")).unwrap(), b"old");
}

#[test]
fn certificates_are_read_by_ssh_keygen_as_by_us() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(&keygen(folder, &["-q", "-N", "", "-f", "ca"]));
    said(&keygen(folder, &["-q", "-N", "", "-f", "id"]));
    let sign = ["-s", "ca", "-I", "an id", "-n", "alice,bob", "-z", "7", "-V", "always:forever"];
    let options = ["-O", "no-pty", "-O", "force-command=true", "-O", "source-address=10.0.0.0/8"];
    said(&keygen(folder, &[&sign[..], &options, &["id.pub"]].concat()));
    let ours = said(&keygen(folder, &["-L", "-f", "id-cert.pub"]));
    for version in VERSIONS {
        assert_eq!(said(&theirs(version, folder, &["-L", "-f", "id-cert.pub"])), ours);
    }
    said(&theirs("9.2", folder, &[&sign[..], &options, &["id.pub"]].concat()));
    assert_eq!(said(&keygen(folder, &["-L", "-f", "id-cert.pub"])), ours);
}

#[test]
fn a_certificate_lets_in_the_user_it_names_and_limits_what_may_be_done() {
    let place = Place::new();
    let folder = place.path("");
    let sign = |options: &[&str]| {
        let line = ["-q", "-s", "ca", "-I", "id"];
        said(&keygen(&folder, &[&line[..], options, &["id.pub"]].concat()));
    };
    said(&keygen(&folder, &["-q", "-N", "", "-f", "id"]));
    let our_ssh = || {
        let mut command = place.program("ssh");
        command.arg("-i").arg(place.path("id")).args(["-o", "BatchMode=yes"]);
        run(command.args(["127.0.0.1", "echo in"]))
    };
    let stock_ssh = |version| {
        let mut command = openssh(version, "ssh");
        let known = format!("UserKnownHostsFile={}", place.path("known_hosts").display());
        command.args(["-F", "none", "-o", "BatchMode=yes", "-o", &known, "-p", &place.port]);
        command.arg("-i").arg(place.path("id"));
        run(command.args(["alice@127.0.0.1", "echo in"]))
    };
    let both = |expected: Option<&str>| {
        for output in [our_ssh(), stock_ssh("9.2"), stock_ssh("10.0")] {
            let got = output.status.success().then(|| text(&output.stdout));
            assert_eq!(got.as_deref(), expected, "{}", text(&output.stderr));
        }
    };
    both(None);
    sign(&["-n", "alice,carol"]);
    both(Some("in\n"));
    sign(&["-n", "bob"]);
    both(None);
    sign(&["-n", "alice", "-V", "20200101:20210101"]);
    both(None);
    sign(&["-n", "alice", "-O", "source-address=10.0.0.0/8"]);
    both(None);
    sign(&["-n", "alice", "-O", "force-command=echo forced"]);
    both(Some("forced\n"));
}

#[test]
fn known_hosts_are_found_hashed_and_removed_as_by_ssh_keygen() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(&keygen(folder, &["-q", "-N", "", "-C", "", "-f", "k"]));
    let key = fs::read_to_string(folder.join("k.pub")).unwrap();
    let lines = format!("# hosts\none.example {key}[two.example]:2222,10.0.0.1 {key}");
    for program in [false, true] {
        fs::write(folder.join("hosts"), &lines).unwrap();
        let run = |arguments: &[&str]| {
            if program { theirs("9.2", folder, arguments) } else { keygen(folder, arguments) }
        };
        let other = |arguments: &[&str]| {
            if program { keygen(folder, arguments) } else { theirs("9.2", folder, arguments) }
        };
        said(&run(&["-H", "-f", "hosts"]));
        for host in ["one.example", "[two.example]:2222", "10.0.0.1"] {
            let find = ["-F", host, "-f", "hosts"];
            assert_eq!(said(&run(&find)), said(&other(&find)), "{host}");
        }
        assert_eq!(run(&["-F", "three.example", "-f", "hosts"]).status.code(), Some(1));
        said(&run(&["-R", "one.example", "-f", "hosts"]));
        assert_eq!(other(&["-F", "one.example", "-f", "hosts"]).status.code(), Some(1));
        said(&other(&["-F", "10.0.0.1", "-f", "hosts"]));
    }
}

#[test]
fn revoked_keys_are_revoked_for_ssh_keygen_too() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    for name in ["ca", "good", "bad"] {
        said(&keygen(folder, &["-q", "-N", "", "-C", name, "-f", name]));
    }
    said(&keygen(folder, &["-q", "-s", "ca", "-I", "x", "-n", "a", "-z", "5", "good.pub"]));
    fs::write(folder.join("spec"), "serial: 4-6\n").unwrap();
    said(&keygen(folder, &["-k", "-f", "krl", "-s", "ca.pub", "bad.pub", "spec"]));
    for (file, code) in [("good.pub", 0), ("bad.pub", 1), ("good-cert.pub", 1)] {
        let query = ["-Q", "-f", "krl", file];
        let ours = keygen(folder, &query);
        assert_eq!(ours.status.code(), Some(code), "{file}");
        for version in VERSIONS {
            let theirs = theirs(version, folder, &query);
            assert_eq!(text(&theirs.stdout), text(&ours.stdout), "{file}");
            assert_eq!(theirs.status.code(), ours.status.code(), "{file}");
        }
    }
}

#[test]
fn signatures_of_files_are_good_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    said(&keygen(folder, &["-q", "-N", "", "-C", "", "-f", "k"]));
    let key = fs::read_to_string(folder.join("k.pub")).unwrap();
    fs::write(folder.join("allowed"), format!("alice namespaces=\"file\" {key}")).unwrap();
    fs::write(folder.join("text"), "some text\n").unwrap();
    let sign = ["-Y", "sign", "-n", "file", "-f", "k", "text"];
    let verify = ["-Y", "verify", "-n", "file", "-f", "allowed", "-I", "alice", "-s", "text.sig"];
    let find = ["-Y", "find-principals", "-f", "allowed", "-s", "text.sig"];
    let with_input = |mut command: std::process::Command, name: &str| {
        let input = fs::File::open(folder.join(name)).unwrap();
        command.current_dir(folder).stdin(input).output().unwrap()
    };
    let ours = |arguments: &[&str]| {
        let mut command = chiton();
        command.arg("keygen").args(arguments);
        command
    };
    let theirs = |arguments: &[&str]| {
        let mut command = openssh("9.2", "ssh-keygen");
        command.args(arguments);
        command
    };
    for signer in [false, true] {
        fs::remove_file(folder.join("text.sig")).ok();
        let command = if signer { theirs(&sign) } else { ours(&sign) };
        said(&with_input(command, "text"));
        let mine = with_input(ours(&verify), "text");
        assert_eq!(said(&mine), said(&with_input(theirs(&verify), "text")));
        assert!(text(&mine.stdout).starts_with("Good \"file\" signature for alice with ED25519"));
        assert_eq!(said(&with_input(ours(&find), "text")), "alice\n");
        assert_eq!(with_input(ours(&verify), "allowed").status.code(), Some(255));
    }
}

#[test]
fn keyscan_writes_what_a_client_can_use() {
    let place = Place::new();
    let scan = |extra: &[&str]| {
        let output = run(chiton()
            .args(["keyscan", "-q", "-p", &place.port, "-t", "ed25519"])
            .args(extra)
            .arg("127.0.0.1"));
        said(&output)
    };
    assert_eq!(scan(&[]), fs::read_to_string(place.path("known_hosts")).unwrap());
    fs::write(place.path("known_hosts"), scan(&["-H"])).unwrap();
    let output = run(place.with_key("ssh").args(["127.0.0.1", "echo in"]));
    assert_eq!(text(&output.stdout), "in\n", "{}", text(&output.stderr));
    let nobody = run(chiton().args(["keyscan", "-T", "1", "-p", "1", "127.0.0.1"]));
    assert_one_line(&nobody, 1, &["127.0.0.1 port 1", "refused", "is the port right?"]);
    let unnamed = run(chiton().arg("keyscan"));
    assert_eq!(unnamed.status.code(), Some(1));
    assert!(text(&unnamed.stderr).contains("no host is named\nusage:"));
}
