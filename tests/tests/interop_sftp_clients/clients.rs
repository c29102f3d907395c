//! The clients: one test for each.

use std::{fmt::Write as _, fs, path::Path};

use chiton_tests::{guard::Guard, keys::Keys};
use ssh_keys::PublicKey;

use super::{FILES, PASSWORD, USER, World, tree};

#[tokio::test(flavor = "multi_thread")]
async fn lftp() {
    let world = World::start().await;
    world.announce(&world.run("lftp", &["--version"]));
    let options = world.ssh_options().iter().fold(String::new(), |all, o| all + " -o " + o);
    let script = format!(
        "set sftp:connect-program \"ssh -a -x -F none{options}\"\n\
         set cmd:fail-exit yes\n\
         set net:max-retries 1\n\
         open -u {USER},none -p {} sftp://127.0.0.1\n\
         mirror -R --no-perms tree tree\n\
         find tree\n\
         mirror tree back\n\
         mv tree renamed\n",
        world.port(),
    );
    fs::write(world.path("script"), &script).unwrap();
    let listed = world.run("lftp", &["-f", "script"]);
    assert_eq!(listed.lines().filter(|line| line.ends_with(".txt")).count(), FILES);
    world.check_there("renamed");
    world.check_back("back");
    let open = script.split_inclusive('\n').take(4).collect::<String>();
    fs::write(world.path("script"), open + "rm -r renamed\n").unwrap();
    world.run("lftp", &["-f", "script"]);
    world.check_gone();
}

#[tokio::test(flavor = "multi_thread")]
async fn rclone() {
    let world = World::start().await;
    world.announce(&world.run("rclone", &["version"]));
    let remote = |path: &str| {
        format!(
            ":sftp,host=127.0.0.1,port={},user={USER},key_file={},known_hosts_file={},\
             shell_type=none:{path}",
            world.port(),
            Keys::get().user("ed25519").display(),
            world.path("known_hosts").display(),
        )
    };
    world.run("rclone", &["copy", "tree", &remote("tree")]);
    world.check_there("tree");
    let listed = world.run("rclone", &["lsf", "-R", "--files-only", &remote("tree")]);
    assert_eq!(listed.lines().count(), FILES);
    // Without sums of files on the server, everything is fetched and compared.
    world.run("rclone", &["check", "--download", "tree", &remote("tree")]);
    world.run("rclone", &["copy", &remote("tree"), "back"]);
    world.check_back("back");
    world.run("rclone", &["moveto", &remote("tree"), &remote("renamed")]);
    world.check_there("renamed");
    world.run("rclone", &["purge", &remote("renamed")]);
    world.check_gone();
}

#[tokio::test(flavor = "multi_thread")]
async fn sshfs() {
    let world = World::start().await;
    world.announce(&world.run("sshfs", &["--version"]));
    let mount = world.path("mount");
    fs::create_dir(&mount).unwrap();
    let mount_point = mount.to_str().unwrap();
    // What is mounted is unmounted however this ends; the folder could not be removed otherwise.
    let guard = Guard::new("", "fusermount3 -u -z \"$1\"", &[mount_point]);
    let (port, from) = (world.port().to_string(), format!("{USER}@127.0.0.1:/"));
    let mut arguments = vec!["-p", &port, "-F", "/dev/null"];
    let options = world.ssh_options();
    for option in &options {
        arguments.extend(["-o", option]);
    }
    arguments.extend([&*from, mount_point]);
    world.run("sshfs", &arguments);
    // Blocking calls into our own server: on a thread that may block.
    let (world, mount) = tokio::task::spawn_blocking(move || {
        world.run("cp", &["-r", "tree", "mount/tree"]);
        world.check_there("tree");
        assert_eq!(tree(&mount.join("tree")).len(), FILES);
        world.run("cp", &["-r", "mount/tree", "back"]);
        world.check_back("back");
        fs::rename(mount.join("tree"), mount.join("renamed")).unwrap();
        world.check_there("renamed");
        world.run("df", &["mount"]);
        fs::remove_dir_all(mount.join("renamed")).unwrap();
        world.check_gone();
        (world, mount)
    })
    .await
    .unwrap();
    world.run("fusermount3", &["-u", mount.to_str().unwrap()]);
    drop(guard);
}

/// One upload, listing or command for each file: curl knows no trees.
#[tokio::test(flavor = "multi_thread")]
async fn curl() {
    let world = World::start().await;
    world.announce(&world.run("curl", &["--version"]));
    let public = fs::read_to_string(Keys::get().host("ed25519").with_extension("pub")).unwrap();
    let fingerprint = PublicKey::from_openssh(&public).unwrap().0.fingerprint().to_string();
    let names: Vec<String> =
        tree(&world.path("tree")).keys().map(|name| name.to_str().unwrap().to_owned()).collect();
    let url = |path: &str| {
        let path = path.replace(' ', "%20").replace('ü', "%C3%BC");
        format!("sftp://127.0.0.1:{}/{path}", world.port())
    };
    let common = format!(
        "silent\nshow-error\nfail\nuser = \"{USER}:{PASSWORD}\"\nhostpubsha256 = \"{}\"\n",
        fingerprint.trim_start_matches("SHA256:"),
    );
    let run = |what: &str| {
        fs::write(world.path("config"), format!("{common}{what}")).unwrap();
        world.run("curl", &["-K", "config"])
    };
    let mut put = String::from("ftp-create-dirs\n");
    let mut get = String::from("create-dirs\n");
    for name in &names {
        let there = url(&format!("tree/{name}"));
        writeln!(put, "upload-file = \"tree/{name}\"\nurl = \"{there}\"").unwrap();
        writeln!(get, "url = \"{there}\"\noutput = \"back/{name}\"").unwrap();
    }
    run(&put);
    world.check_there("tree");
    let listed = run(&format!("url = \"{}\"\n", url("tree/dir 15/")));
    assert_eq!(listed.lines().filter(|line| line.ends_with(".txt")).count(), FILES / 20);
    run(&get);
    world.check_back("back");
    let nothing = format!("url = \"{}\"\noutput = \"/dev/null\"\n", url(""));
    run(&format!("{nothing}quote = \"rename tree renamed\"\n"));
    world.check_there("renamed");
    let mut remove = nothing;
    for name in &names {
        writeln!(remove, "quote = \"rm 'renamed/{name}'\"").unwrap();
    }
    let mut dirs: Vec<&Path> = names.iter().filter_map(|name| Path::new(name).parent()).collect();
    dirs.extend(dirs.clone().iter().filter_map(|dir| dir.parent()));
    dirs.sort_by_key(|dir| core::cmp::Reverse(dir.components().count()));
    dirs.dedup();
    for dir in dirs {
        writeln!(remove, "quote = \"rmdir 'renamed/{}'\"", dir.display()).unwrap();
    }
    run(&remove);
    world.check_gone();
}

#[tokio::test(flavor = "multi_thread")]
async fn paramiko() {
    let world = World::start().await;
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/peers/python/bin/python");
    assert!(python.exists(), "paramiko is missing: run `cargo xtask peers`, which fetches it");
    fs::write(world.path("client.py"), include_str!("client.py")).unwrap();
    let key = Keys::get().user("ed25519");
    let said = world.run(
        python,
        &["client.py", &world.port().to_string(), USER, key.to_str().unwrap(), "known_hosts"],
    );
    world.announce(&said);
    assert_eq!(said.lines().nth(1), Some("1000 files"));
    world.check_back("back");
    world.check_gone();
}
