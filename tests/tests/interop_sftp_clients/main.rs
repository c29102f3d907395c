//! Clients of SFTP other than OpenSSH's, against our server: each puts a tree of 1,000 files there,
//! lists it, gets it, renames it and removes it.

mod clients;

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chiton::server::{Handle, Server};
use chiton_tests::{keys::Keys, sshd::known_hosts_line};
use ssh_keys::{PrivateKey, authorized_keys::AuthorizedKeys};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// A client that takes longer than this many seconds is killed, and the test fails.
const LIMIT: &str = "60";

/// The user that our server knows.
const USER: &str = "alice";

/// The user's password, for what can do nothing but passwords.
const PASSWORD: &str = "password";

/// Files in the tree.
const FILES: usize = 1000;

/// What is in a tree: content by path.
type Tree = BTreeMap<PathBuf, Vec<u8>>;

/// A server of ours, and a folder for its client.
struct World {
    server: Handle,
    root: TempDir,
    folder: TempDir,
}

impl World {
    async fn start() -> Self {
        let (root, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = Keys::get();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let host_key = keys.host("ed25519");
        let private = PrivateKey::parse(&fs::read(&host_key).unwrap(), None).unwrap();
        let server = Server::builder()
            .host_key(private)
            .authorized_keys(AuthorizedKeys::parse(keys.authorized().as_bytes()))
            .password(USER, PASSWORD)
            .sftp_root(root.path())
            .serve(listener)
            .unwrap();
        let world = Self { server, root, folder };
        let line = known_hosts_line(world.port(), &host_key);
        fs::write(world.path("known_hosts"), line).unwrap();
        plant(&world.path("tree"));
        world
    }

    fn port(&self) -> u16 {
        self.server.local_addr().port()
    }

    /// A file of the client.
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The options of `ssh` by which it gets to the server.
    fn ssh_options(&self) -> Vec<String> {
        let key = Keys::get().user("ed25519");
        [
            format!("UserKnownHostsFile={}", self.path("known_hosts").display()),
            format!("IdentityFile={}", key.display()),
            "GlobalKnownHostsFile=none".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            "IdentitiesOnly=yes".to_owned(),
            "IdentityAgent=none".to_owned(),
            "BatchMode=yes".to_owned(),
        ]
        .to_vec()
    }

    /// Runs a client in its folder; gives what it printed.
    fn run(&self, program: impl AsRef<Path>, arguments: &[&str]) -> String {
        let program = program.as_ref();
        let output = Command::new("timeout")
            .args(["-k", "5", LIMIT])
            .arg(program)
            .args(arguments)
            .current_dir(self.folder.path())
            // Nobody's settings but our own.
            .env("HOME", self.folder.path())
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{} {arguments:?}: {}\n{stderr}",
            program.display(),
            output.status
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Says on the terminal, past the capture of the test runner, against what this ran.
    fn announce(&self, version: &str) {
        let line = version.lines().next().unwrap_or_default();
        std::io::stderr().write_all(format!("interop: sftp client {line}\n").as_bytes()).unwrap();
    }

    /// The server has the whole tree under `name`.
    fn check_there(&self, name: &str) {
        assert_same(&self.path("tree"), &self.root.path().join(name));
    }

    /// The client got the whole tree back, under `name`.
    fn check_back(&self, name: &str) {
        assert_same(&self.path("tree"), &self.path(name));
    }

    /// Nothing is left.
    fn check_gone(&self) {
        assert_eq!(fs::read_dir(self.root.path()).unwrap().count(), 0);
    }
}

/// 1,000 files of up to 40 KB, one of 1 MB, in 20 directories, some below others. Names have spaces
/// and letters beyond ASCII.
fn plant(tree: &Path) {
    let mut state: u32 = 7;
    for number in 0..FILES {
        let dir = match number % 20 {
            inner @ 0..10 => tree.join(format!("dir {inner}/inner")),
            outer => tree.join(format!("dir {outer}")),
        };
        fs::create_dir_all(&dir).unwrap();
        let len = if number == 500 { 1_000_000 } else { number * 40 };
        let content = (0..len).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        let path = dir.join(format!("file {number} für.txt"));
        fs::write(&path, content.collect::<Vec<u8>>()).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    }
}

fn tree(root: &Path) -> Tree {
    let mut tree = Tree::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_path_buf();
                tree.insert(name, fs::read(path).unwrap());
            }
        }
    }
    tree
}

fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (tree(one), tree(other));
    assert_eq!(one.len(), FILES);
    assert!(one.keys().eq(other.keys()), "{} files", other.len());
    for (name, content) in &one {
        assert!(other.get(name) == Some(content), "{} differs", name.display());
    }
}
