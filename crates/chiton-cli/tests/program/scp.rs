//! `scp`: over SFTP and by the old protocol, with `sshd`, with OpenSSH's `scp`, and with a liar.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use tempfile::TempDir;

use crate::place::{Place, assert_one_line, chiton, run, text};

/// OpenSSH's, which `cargo xtask peers` installs.
const THEIRS: &str = "/usr/bin/scp";

/// A file with some content that is not all the same.
fn write(path: &Path, len: usize) -> Vec<u8> {
    let content: Vec<u8> = (0..len).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect();
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, &content).unwrap();
    content
}

/// Makes a tree with an empty file, a large one, a directory that nobody may write to, old times
/// and a link to a file.
fn make_tree(tree: &Path) {
    write(&tree.join("dir/large"), 1_000_000);
    write(&tree.join("dir/two words"), 3);
    write(&tree.join("empty"), 0);
    symlink("dir/large", tree.join("link")).unwrap();
    let mode = |name: &str, mode| {
        fs::set_permissions(tree.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    mode("empty", 0o640);
    mode("dir", 0o550);
    for name in ["dir", "empty"] {
        let old = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        fs::File::open(tree.join(name)).unwrap().set_modified(old).unwrap();
    }
}

/// Makes sure that `copy` is a tree of [`make_tree`], copied with `-p`; lets it be removed.
fn check_tree(tree: &Path, copy: &Path) {
    for name in ["dir/large", "dir/two words", "empty"] {
        assert!(fs::read(tree.join(name)).unwrap() == fs::read(copy.join(name)).unwrap(), "{name}");
    }
    let link = copy.join("link");
    assert!(fs::symlink_metadata(&link).unwrap().is_file(), "links are followed");
    assert_eq!(fs::read(link).unwrap().len(), 1_000_000);
    for (name, mode) in [("empty", 0o640), ("dir", 0o550)] {
        let metadata = fs::metadata(copy.join(name)).unwrap();
        assert_eq!((metadata.mode() & 0o7777, metadata.mtime()), (mode, 1_000_000_000), "{name}");
    }
    for tree in [tree, copy] {
        fs::set_permissions(tree.join("dir"), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

fn ok(command: &mut Command) {
    let output = run(command);
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{out}{errors}", output.status);
    assert_eq!(errors, "", "{command:?}");
}

#[test]
fn trees_go_there_and_back_over_sftp_and_the_old_way() {
    for old in [false, true] {
        let place = Place::new();
        let (home, root) = (place.path("home"), place.path("root"));
        make_tree(&home.join("tree"));
        // By the old protocol the paths are those of the machine.
        let there = |name: &str| {
            let path = if old { root.join(name) } else { Path::new("/").join(name) };
            format!("127.0.0.1:{}", path.display())
        };
        let scp = |args: &[&str]| {
            let mut command = place.with_key("scp");
            command.args(if old { &["-O"][..] } else { &[] }).args(args);
            ok(&mut command);
        };
        scp(&["-rp", "tree", &there("copy")]);
        scp(&["-rp", &there("copy"), "back"]);
        check_tree(&home.join("tree"), &home.join("back"));
        // Into a directory that is there, under their own names.
        scp(&["-r", "tree/empty", "tree/dir", &there("copy")]);
        assert!(root.join("copy/dir/large").exists());
        fs::create_dir(home.join("into")).unwrap();
        scp(&[&there("copy/dir/*"), "into/"]);
        assert_eq!(fs::read_dir(home.join("into")).unwrap().count(), 2);
        assert_eq!(fs::read(home.join("into/two words")).unwrap().len(), 3);
        // What is longer is cut.
        write(&home.join("target"), 50);
        scp(&[&there("copy/empty"), "target"]);
        assert_eq!(fs::read(home.join("target")).unwrap(), b"");
    }
}

#[test]
fn files_go_from_host_to_host_through_this_one_and_by_themselves() {
    for flags in [&[][..], &["-O"], &["-3"]] {
        let (one, two) = (Place::new(), Place::new());
        make_tree(&one.path("root/tree"));
        let path = |place: &Place, name: &str| {
            let root = if flags.contains(&"-O") { place.path("root") } else { "/".into() };
            format!("scp://127.0.0.1:{}/{}", place.port, root.join(name).display())
        };
        // Both hosts are known, and let the same key in; the port is in the URI.
        let known = [one.path("known_hosts"), two.path("known_hosts")];
        let known: String = known.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        fs::write(one.path("home/known"), known).unwrap();
        let keys = [&one, &two].map(|place| place.path("key"));
        let mut command = chiton();
        command.current_dir(one.path("home")).env("HOME", one.path("home")).arg("scp").args(flags);
        command.args(["-F", "none", "-o", "User=alice", "-o", "UserKnownHostsFile=known"]);
        command.args(["-o", "GlobalKnownHostsFile=none", "-B", "-rp"]);
        for key in keys {
            command.arg("-i").arg(key);
        }
        ok(command.args([path(&one, "tree"), path(&two, "copy")]));
        check_tree(&one.path("root/tree"), &two.path("root/copy"));
    }
}

#[test]
fn a_file_copied_onto_itself_through_this_host_keeps_its_content() {
    let place = Place::new();
    fs::write(place.path("root/file"), "content").unwrap();
    fs::write(place.path("root/longer"), "something longer").unwrap();
    for target in ["file", "longer"] {
        let url = |name: &str| format!("scp://127.0.0.1:{}//{name}", place.port);
        let mut command = chiton();
        command.current_dir(place.path("home")).env("HOME", place.path("home"));
        command.args(["scp", "-F", "none", "-B", "-o", "User=alice", "-i"]).arg(place.path("key"));
        let known = place.path("known_hosts");
        command.arg("-o").arg(format!("UserKnownHostsFile={}", known.display()));
        ok(command.args(["-o", "GlobalKnownHostsFile=none"]).args([url("file"), url(target)]));
        assert_eq!(fs::read_to_string(place.path("root").join(target)).unwrap(), "content");
    }
}

#[test]
fn local_files_are_copied_without_a_host() {
    let place = Place::new();
    make_tree(&place.path("home/tree"));
    fs::remove_file(place.path("home/tree/link")).unwrap();
    ok(place.with_key("scp").args(["-r", "tree", "copy"]));
    assert!(place.path("home/copy/dir/large").exists());
}

#[test]
fn what_goes_wrong_is_one_line_and_the_rest_is_copied() {
    for old in [false, true] {
        let place = Place::new();
        let home = place.path("home");
        write(&home.join("good"), 10);
        fs::create_dir(home.join("dir")).unwrap();
        let scp = |args: &[&str]| {
            let mut command = place.with_key("scp");
            run(command.args(if old { &["-O"][..] } else { &[] }).args(args))
        };
        let root = if old { place.path("root") } else { "/".into() };
        let root = format!("127.0.0.1:{}", root.display());
        assert_one_line(&scp(&["missing", "good", &root]), 1, &["missing", "no such file"]);
        assert!(place.path("root/good").exists());
        assert_one_line(&scp(&["dir", &root]), 1, &["dir", "-r"]);
        assert_one_line(&scp(&[&format!("{root}/nothing"), "here"]), 1, &["nothing"]);
        assert!(!home.join("here").exists());
        let several = scp(&[&format!("{root}/good"), &format!("{root}/good"), "nowhere"]);
        assert_one_line(&several, 1, &["nowhere", "not a directory"]);
        // The target of several files has to be a directory there too.
        let output = scp(&["good", "good", &format!("{root}/good")]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert_eq!(fs::read(place.path("root/good")).unwrap().len(), 10);
    }
    assert_one_line(&run(chiton().args(["scp", "one"])), 1, &["source and a target", "--help"]);
    let refused = run(chiton().args(["scp", "-F", "none", "-P", "1", "x", "127.0.0.1:"]));
    assert_one_line(&refused, 255, &["127.0.0.1", "refused"]);
}

/// A folder with a script that stands for `ssh`: it runs `command` here, in which `$@` is what was
/// to be run there.
fn instead_of_ssh(command: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("ssh");
    let text = format!("#!/bin/sh\nfor last; do :; done\nset -- $last\nshift\n{command}\n");
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    (folder, script)
}

#[test]
fn the_old_protocol_is_spoken_with_openssh_on_either_side() {
    let ours = format!("exec {} scp \"$@\"", env!("CARGO_BIN_EXE_chiton"));
    let theirs = format!("exec {THEIRS} \"$@\"");
    let scp = |ours: bool| {
        let mut command = if ours { chiton() } else { Command::new(THEIRS) };
        command.args(if ours { &["scp"][..] } else { &[] });
        command
    };
    for (here, there) in [(true, &theirs), (false, &ours)] {
        let (folder, ssh) = instead_of_ssh(there);
        let path = |name: &str| folder.path().join(name);
        make_tree(&path("tree"));
        let remote = |name: &str| format!("h:{}", path(name).display());
        let run = |args: &[&str]| {
            let mut command = scp(here);
            command.args(["-O", "-q", "-S"]).arg(&ssh).args(args).current_dir(folder.path());
            ok(&mut command);
        };
        run(&["-rp", "tree", &remote("copy")]);
        run(&["-rp", &remote("copy"), "back"]);
        check_tree(&path("tree"), &path("back"));
        run(&["-r", "tree/dir/large", "tree/empty", &remote("copy")]);
        run(&[&remote("copy/[le]*"), &remote("tree/link"), "back"]);
        assert_eq!(fs::read(path("back/large")).unwrap().len(), 1_000_000);
    }
}

/// Runs `scp -O` with `flags`, fetching `f`, from a server that says this.
fn fetch_from_liar(flags: &[&str], says: &str) -> (TempDir, Output) {
    // It ends when it is left alone, or at once if it says so.
    let (says, wait) = match says.strip_suffix("<end>") {
        Some(says) => (says, "head -c 2"),
        None => (says, "cat"),
    };
    let (folder, ssh) = instead_of_ssh(&format!("printf '{says}'; {wait} >/dev/null"));
    fs::create_dir(folder.path().join("target")).unwrap();
    let mut command = chiton();
    command.current_dir(folder.path()).args(["scp", "-O", "-S"]).arg(ssh).args(flags);
    let output = run(command.args(["h:f", "target"]));
    (folder, output)
}

#[test]
fn a_server_cannot_write_what_was_not_asked_for() {
    for (flags, says, why) in [
        (&[][..], "C0644 2 ../x\\nab\\0", "slash"),
        (&[], "C0644 2 .bashrc\\nab\\0", "not asked for"),
        (&[], "D0755 0 f\\nC0644 2 x\\nab\\0E\\n", "none was asked for"),
        (&["-r"], "D0755 0 ..\\nC0644 2 x\\nab\\0E\\n", "another directory"),
        (&["-r"], "D0755 0 .ssh\\n", "not asked for"),
        (&["-r"], "D0755 0 f\\nC0644 2 /tmp/x\\nab\\0", "slash"),
        (&["-pr"], "D0700 0 .\\nE\\n", "another directory"),
        (&["-p"], "C0644 2 f\\033[2J\\nab\\0", "control character"),
        (&[], "C0644 1 f\\nab\\0", "longer than was said"),
        (&[], "C0644 9 f\\nab<end>", "ended"),
        (&[], "Welcome!\\n", "Welcome!"),
    ] {
        let (folder, output) = fetch_from_liar(flags, says);
        assert_one_line(&output, 1, &["chiton scp: ", why]);
        let mut there =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(there.all(|name| name == "ssh" || name == "target"), "{says}");
        for entry in fs::read_dir(folder.path().join("target")).unwrap() {
            assert_eq!(entry.unwrap().file_name(), "f", "{says}");
        }
    }
    let nested = "D0755 0 f\\n".repeat(70);
    let (_folder, output) = fetch_from_liar(&["-r"], &nested);
    assert_one_line(&output, 1, &["deeper than 64"]);
}

#[test]
fn a_tree_is_not_written_through_links_that_are_there() {
    let (folder, ssh) =
        instead_of_ssh("printf 'D0755 0 f\\nC0644 2 x\\nab\\0E\\n'; cat >/dev/null");
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("target/f")).unwrap();
    fs::write(path("outside"), "old").unwrap();
    symlink(path("outside"), path("target/f/x")).unwrap();
    let mut command = chiton();
    command.current_dir(folder.path()).args(["scp", "-r", "-O", "-S"]).arg(ssh);
    let output = run(command.args(["h:f", "target"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("symbolic link"), "{}", text(&output.stderr));
    assert_eq!(fs::read(path("outside")).unwrap(), b"old");
}

#[test]
fn links_to_directories_go_up_as_what_they_lead_to_unless_they_lead_back() {
    let place = Place::new();
    let tree = place.path("home/tree");
    write(&tree.join("dir/file"), 5);
    symlink("dir", tree.join("linked")).unwrap();
    symlink("..", tree.join("dir/up")).unwrap();
    let output = run(place.with_key("scp").args(["-r", "tree", "127.0.0.1:/copy"]));
    let errors = text(&output.stderr);
    assert!(output.status.success(), "{errors}");
    for path in ["tree/dir/up", "tree/linked/up"] {
        assert!(errors.contains(&format!("\"{path}\" is a symbolic link that leads")), "{errors}");
    }
    assert_eq!(errors.lines().count(), 2, "{errors}");
    let copy = place.path("root/copy");
    assert!(fs::symlink_metadata(copy.join("linked")).unwrap().is_dir());
    assert_eq!(fs::read(copy.join("linked/file")).unwrap().len(), 5);
    assert!(!copy.join("dir/up").exists());
}

#[test]
fn a_file_goes_into_a_directory_and_not_over_one() {
    let place = Place::new();
    write(&place.path("home/f"), 5);
    fs::create_dir_all(place.path("root/dir/f")).unwrap();
    fs::create_dir_all(place.path("root/free")).unwrap();
    ok(place.with_key("scp").args(["f", "127.0.0.1:/free"]));
    assert_eq!(fs::read(place.path("root/free/f")).unwrap().len(), 5);
    let output = run(place.with_key("scp").args(["f", "127.0.0.1:/dir"]));
    assert_one_line(&output, 1, &["/dir/f", "is a directory of that name there"]);
}
