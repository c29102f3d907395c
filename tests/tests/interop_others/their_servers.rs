//! Our client against their servers.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use chiton::client::{Builder, WantsAuth};
use chiton::{Auth, Client, HostKeys};
use chiton_tests::evidence::Peer;
use chiton_tests::guard::Guard;
use chiton_tests::keys::Keys;
use chiton_tests::sshd::{free_port, known_hosts_line};
use chiton_tests::user::User;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use crate::their_clients::as_client;
use crate::{
    COMMAND, PASSWORD, USER, USER_KEYS, announce, cases, dropbear_key, fetched, noise, offers,
    script,
};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);

/// A command that takes longer hangs.
const EXERCISE: Duration = Duration::from_secs(30);

/// A running server of another implementation.
struct Theirs {
    port: u16,
    version: String,
    user: &'static str,
    password: &'static str,
    // Ended before its folder is removed.
    _guard: Guard,
    folder: TempDir,
}

impl Theirs {
    fn start(peer: Peer) -> Self {
        // Dropbear wants a place that only root or the user can write to, all the way up.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        fs::write(folder.path().join("authorized_keys"), authorized()).unwrap();
        match peer {
            Peer::AsyncSsh => {
                let python = fetched("python/bin/python");
                Self::library(folder, &[python, script("asyncssh_server.py")])
            }
            Peer::Ssh2 => {
                let library = fetched("javascript/node_modules/ssh2");
                Self::library(folder, &["node".into(), script("ssh2_server.js"), library])
            }
            Peer::Dropbear => Self::dropbear(folder),
            _ => panic!("{peer:?} is no server of another implementation"),
        }
    }

    /// A program that prints its version and then its port.
    fn library(folder: TempDir, command: &[PathBuf]) -> Self {
        let authorized = folder.path().join("authorized_keys");
        let mut command: Vec<PathBuf> = command.to_vec();
        command.extend([USER.into(), PASSWORD.into(), authorized]);
        command.extend(USER_KEYS.map(|kind| Keys::get().host(kind)));
        let guard = run(&folder, &command);
        let out = folder.path().join("out");
        let said = wait(&folder, || {
            let said = fs::read_to_string(&out).ok()?;
            (said.lines().count() == 2 && said.ends_with('\n')).then_some(said)
        });
        let mut lines = said.lines();
        let version = lines.next().unwrap().to_owned();
        let port = lines.next().unwrap().parse().unwrap();
        let mut theirs =
            Self { port, version, user: USER, password: PASSWORD, _guard: guard, folder };
        theirs.version =
            format!("{} {}", command[1].file_stem().unwrap().display(), theirs.version);
        theirs
    }

    /// Dropbear knows only the users of the system, and has a format of its own for host keys.
    fn dropbear(folder: TempDir) -> Self {
        let root = fetched("openssh-10.6/usr");
        let user = User::get();
        let port = free_port();
        let mut command: Vec<PathBuf> = vec![root.join("sbin/dropbear")];
        command.extend(["-F", "-E", "-m", "-p"].map(PathBuf::from));
        command.push(format!("127.0.0.1:{port}").into());
        command.extend(["-P".into(), folder.path().join("pid")]);
        command.extend(["-D".into(), folder.path().to_owned()]);
        for kind in USER_KEYS {
            let key = dropbear_key(&folder, &Keys::get().host(kind));
            command.extend(["-r".into(), key]);
        }
        let guard = run(&folder, &command);
        wait(&folder, || TcpStream::connect(("127.0.0.1", port)).ok());
        let version = Command::new(root.join("sbin/dropbear")).arg("-V").output().unwrap();
        let version = String::from_utf8_lossy(&version.stdout).trim().to_owned()
            + String::from_utf8_lossy(&version.stderr).trim();
        let (user, password) = (user.name(), User::PASSWORD);
        Self { port, version, user, password, _guard: guard, folder }
    }

    /// A connection that trusts its keys and still has to log in.
    fn to(&self) -> Builder<WantsAuth> {
        let known = USER_KEYS.map(|kind| known_hosts_line(self.port, &Keys::get().host(kind)));
        let path = self.folder.path().join("known_hosts");
        fs::write(&path, known.concat()).unwrap();
        Client::builder("127.0.0.1", self.port)
            .user(self.user)
            .host_keys(HostKeys::known_hosts(path).unwrap())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

/// Starts a server that ends with the guard.
fn run(folder: &TempDir, command: &[PathBuf]) -> Guard {
    let arguments: Vec<&str> = [folder.path()]
        .into_iter()
        .chain(command.iter().map(PathBuf::as_path))
        .map(|path| path.to_str().unwrap())
        .collect();
    Guard::new(
        "folder=$1; shift; HOME=$folder \"$@\" >\"$folder/out\" 2>\"$folder/log\" & server=$!",
        "kill $server; wait $server",
        &arguments,
    )
}

/// Waits until `ready` gives something.
fn wait<T>(folder: &TempDir, ready: impl Fn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(ready) = ready() {
            return ready;
        }
        let log = || fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(began.elapsed() < START, "the server does not start:\n{}", log());
        thread::sleep(Duration::from_millis(10));
    }
}

/// The keys that may log in.
fn authorized() -> String {
    USER_KEYS.map(|kind| chiton_tests::keys::public(&Keys::get().user(kind))).concat()
}

fn key(path: &Path) -> Auth {
    Auth::key_file(path)
}

/// Sends data through the command and back, and sees stderr and the exit status.
async fn exercise(client: &Client, what: &str) {
    let done = tokio::time::timeout(EXERCISE, echo(client, what)).await;
    assert!(done.is_ok(), "{what}: hangs");
}

async fn echo(client: &Client, what: &str) {
    let sent = noise();
    let mut child = client.command(COMMAND).spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = sent.clone();
    let writer = tokio::spawn(async move {
        stdin.write_all(&bytes).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let output = child.wait_with_output().await.unwrap();
    writer.await.unwrap();
    assert_eq!(output.status.code(), Some(3), "{what}: {}", output.status);
    assert!(output.stdout == sent, "{what}: other data came back");
    assert_eq!(output.stderr, b"oops\n", "{what}");
}

async fn every_algorithm(peer: Peer) {
    let theirs = Theirs::start(peer);
    announce("their server, every algorithm", &theirs.version);
    for (what, preferences) in cases(&[peer]) {
        let auth = key(&Keys::get().user("ed25519"));
        let client = theirs.to().algorithms(preferences).auth(auth).connect().await;
        let client = client.unwrap_or_else(|e| panic!("{what}: {e}\n{}", theirs.log()));
        exercise(&client, &what).await;
        client.rekey();
        exercise(&client, &what).await;
        client.close().await.unwrap();
    }
}

async fn every_login(peer: Peer) {
    let theirs = Theirs::start(peer);
    announce("their server, every login", &theirs.version);
    let keys = USER_KEYS.map(|kind| (kind, key(&Keys::get().user(kind))));
    let password = ("a password", Auth::password(theirs.password));
    for (what, auth) in keys.into_iter().chain([password]) {
        let client = theirs.to().auth(auth).connect().await;
        let client = client.unwrap_or_else(|e| panic!("{what}: {e}\n{}", theirs.log()));
        exercise(&client, what).await;
        client.close().await.unwrap();
    }
    for auth in [Auth::password("wrong"), key(&Keys::get().stranger("rsa"))] {
        let what = auth.plan().to_string();
        let refused = theirs.to().auth(auth).connect().await;
        assert!(matches!(refused, Err(chiton::Error::Auth(_))), "{what}: {refused:?}");
    }
}

fn its_offer(peer: Peer) {
    let theirs = Theirs::start(peer);
    offers::check(TcpStream::connect(("127.0.0.1", theirs.port)).unwrap(), as_client(peer));
}

macro_rules! against_each_server {
    ($($module:ident, $peer:ident;)*) => {$(
        mod $module {
            use chiton_tests::evidence::Peer;

            #[tokio::test(flavor = "multi_thread")]
            async fn every_algorithm() {
                super::every_algorithm(Peer::$peer).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn every_login() {
                super::every_login(Peer::$peer).await;
            }

            #[test]
            fn its_offer() {
                super::its_offer(Peer::$peer);
            }
        }
    )*};
}

against_each_server! {
    asyncssh, AsyncSsh;
    dropbear, Dropbear;
    ssh2, Ssh2;
}
