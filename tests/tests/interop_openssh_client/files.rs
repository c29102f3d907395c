//! OpenSSH's `sftp` against our server: every operation, confinement, large files.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use chiton_tests::against_each_peer;
use chiton_tests::peer::Peer;

use crate::{Ours, noise};

const MIB: u64 = 1024 * 1024;

async fn every_operation(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let (root, local) = (ours.root.path(), clients.folder());
    let bytes = noise(3_000_000);
    fs::write(local.join("up"), &bytes).unwrap();
    let batch = "\
pwd
mkdir d
cd d
put up
chmod 640 up
ln -s up link
ln up hard
rename hard other
ls -la
get up down
get link through
rm other
df
";
    let outcome = clients.sftp(&[], batch).ok();
    let text = outcome.text();
    assert!(text.contains("Remote working directory: /\n"), "{text}");
    assert!(text.contains("link") && text.contains("other"), "{text}");
    assert!(fs::read(root.join("d/up")).unwrap() == bytes);
    assert!(fs::read(local.join("down")).unwrap() == bytes);
    assert!(fs::read(local.join("through")).unwrap() == bytes);
    assert_eq!(fs::metadata(root.join("d/up")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_link(root.join("d/link")).unwrap(), Path::new("up"));
    assert!(!root.join("d/other").exists() && !root.join("d/hard").exists());

    clients.sftp(&[], "rm d/link\nrm d/up\nrmdir d\n").ok();
    assert!(!root.join("d").exists());
}

async fn times_and_permissions_are_kept(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let local = clients.folder().join("up");
    fs::write(&local, b"x").unwrap();
    fs::set_permissions(&local, fs::Permissions::from_mode(0o604)).unwrap();
    let time = "@1100000000";
    assert!(Command::new("touch").args(["-d", time]).arg(&local).status().unwrap().success());
    clients.sftp(&[], "put -p up\nget -p up down\n").ok();
    for path in [ours.root.path().join("up"), clients.folder().join("down")] {
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.mtime()), (0o604, 1_100_000_000), "{path:?}");
    }
}

async fn trees_go_both_ways(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let tree = clients.folder().join("tree");
    for folder in ["a/b/c", "empty"] {
        fs::create_dir_all(tree.join(folder)).unwrap();
    }
    for number in 0..200 {
        fs::write(tree.join(format!("a/b/file {number}")), noise(number * 100)).unwrap();
    }
    fs::write(tree.join("a/b/c/deep"), noise(100_000)).unwrap();
    // Put makes the folder itself since OpenSSH 8.
    clients.sftp(&[], "put -r tree\nget -r tree back\n").ok();
    let differ = |one: &Path, other: &Path| {
        let output = Command::new("diff").arg("-r").arg(one).arg(other).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    differ(&tree, &ours.root.path().join("tree"));
    differ(&tree, &clients.folder().join("back"));
}

async fn errors_are_told_apart(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    for (batch, words) in [
        ("get missing\n", "not found"),
        ("cd missing\n", "No such file"),
        ("rm missing\n", "No such file"),
        ("mkdir missing/below\n", "No such file"),
        ("rmdir missing\n", "No such file"),
    ] {
        let outcome = clients.sftp(&[], batch);
        assert_ne!(outcome.status, 0, "{batch}");
        assert!(outcome.stderr.contains(words), "{batch}: {}", outcome.stderr);
    }
    fs::create_dir_all(ours.root.path().join("full/of")).unwrap();
    let outcome = clients.sftp(&[], "rmdir full\n");
    assert_ne!(outcome.status, 0);
    assert!(ours.root.path().join("full").exists());
}

/// Nothing outside the root can be read, written, listed or named, by `..` or by links.
async fn the_root_cannot_be_left(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    fs::write(clients.folder().join("up"), b"intruder").unwrap();
    let root = ours.root.path();
    symlink(outside.path(), root.join("absolute")).unwrap();
    symlink(outside.path().join("secret"), root.join("file")).unwrap();
    let up = "../".repeat(20);
    symlink(format!("{up}{}", outside.path().display()), root.join("relative")).unwrap();
    let name = outside.path().strip_prefix("/").unwrap().display();
    for path in [
        format!("{up}{name}"),
        format!("/{up}{name}"),
        format!("/{name}"),
        "absolute".to_owned(),
        "relative".to_owned(),
    ] {
        for batch in [
            format!("get {path}/secret down\n"),
            format!("put up {path}/new\n"),
            format!("cd {path}\n"),
            format!("mkdir {path}/new\n"),
            format!("rm {path}/secret\n"),
            format!("rename up {path}/new\n"),
            format!("rename {path}/secret here\n"),
            format!("ln {path}/secret here\n"),
            format!("chmod 777 {path}/secret\n"),
        ] {
            let outcome = clients.sftp(&[], &batch);
            assert_ne!(outcome.status, 0, "{batch} worked: {}", outcome.text());
        }
        // Of a link that leads nowhere, `ls` shows the link.
        for batch in [format!("ls {path}/\n"), format!("ls {path}/*\n")] {
            let outcome = clients.sftp(&[], &batch);
            assert!(!outcome.text().contains("secret\n"), "{batch}: {}", outcome.text());
        }
    }
    for batch in ["get file down\n", "put up file\n", "chmod 777 file\n"] {
        assert_ne!(clients.sftp(&[], batch).status, 0, "{batch} worked");
    }
    assert!(!clients.folder().join("down").exists());
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_ne!(fs::metadata(outside.path().join("secret")).unwrap().mode() & 0o777, 0o777);
}

/// 256 MiB each way while the client begins a key exchange after every MiB.
async fn a_large_file_each_way_while_the_client_rekeys(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    large_file(&ours, &clients, 256 * MIB, &["RekeyLimit=1M", "LogLevel=DEBUG1"]);
}

/// The same while we begin them.
async fn a_large_file_each_way_while_we_rekey(peer: &Peer) {
    let ours = Ours::start_with(|builder| builder.rekey_after(MIB)).await;
    let clients = ours.clients(peer);
    large_file(&ours, &clients, 256 * MIB, &["LogLevel=DEBUG1"]);
}

fn large_file(ours: &Ours, clients: &chiton_tests::openssh::Clients, size: u64, options: &[&str]) {
    let source = clients.folder().join("up");
    let script = format!("head -c {size} /dev/urandom > \"$1\"");
    let made = Command::new("sh").args(["-c", &script, "make"]).arg(&source).status().unwrap();
    assert!(made.success());
    let outcome = clients.sftp(options, "put up\nget up down\n").ok();
    for copy in [ours.root.path().join("up"), clients.folder().join("down")] {
        let same = Command::new("cmp").arg(&source).arg(&copy).status().unwrap().success();
        assert!(same, "{} differs", copy.display());
    }
    let exchanges = outcome.stderr.matches("SSH2_MSG_KEXINIT received").count();
    assert!(exchanges > 200, "only {exchanges} key exchanges");
}

against_each_peer!(
    every_operation,
    times_and_permissions_are_kept,
    trees_go_both_ways,
    errors_are_told_apart,
    the_root_cannot_be_left,
    a_large_file_each_way_while_the_client_rekeys,
    a_large_file_each_way_while_we_rekey,
);
