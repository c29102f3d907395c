//! Their clients against our server.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use chiton::Preferences;
use chiton::server::{Handle, Server};
use chiton_tests::evidence::Peer;
use chiton_tests::keys::{ALL_KINDS, Keys, public_blob};
use chiton_tests::sshd::known_hosts_line;
use ssh_keys::PrivateKey;
use ssh_keys::authorized_keys::AuthorizedKeys;
use tempfile::TempDir;

use crate::{
    COMMAND, PASSWORD, USER, USER_KEYS, announce, cases, dropbear_key, fetched, noise, offers,
    script,
};

/// A client that takes longer than this many seconds for all it has to do is killed.
const LIMIT: &str = "200";

/// How long a client may take to connect.
const START: Duration = Duration::from_secs(30);

/// How a client logs in.
#[derive(Clone, Copy, Debug)]
enum Login {
    /// With the user's key of this kind.
    Key(&'static str),
    /// With this password.
    Password(&'static str),
}

/// How the tables call what the client of `peer` has.
pub(crate) fn as_client(peer: Peer) -> &'static [Peer] {
    match peer {
        Peer::AsyncSsh => &[Peer::AsyncSsh],
        Peer::Dropbear => &[Peer::Dropbear],
        Peer::Ssh2 => &[Peer::Ssh2, Peer::Ssh2Client],
        Peer::Putty => &[Peer::Putty],
        _ => panic!("{peer:?} is no client of another implementation"),
    }
}

/// A server of ours that offers `preferences`.
async fn ours(preferences: Preferences) -> Handle {
    let keys = Keys::get();
    let mut builder = Server::builder()
        .authorized_keys(AuthorizedKeys::parse(keys.authorized().as_bytes()))
        .password(USER, PASSWORD)
        .allow_exec(true)
        .shell("/bin/sh")
        .preferences(preferences);
    for kind in ALL_KINDS {
        let key = fs::read(keys.host(kind)).unwrap();
        builder = builder.host_key(PrivateKey::parse(&key, None).unwrap());
    }
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    builder.serve(listener).unwrap()
}

/// Runs a client of `peer` for each of `ports`. Gives its version, and how each went.
fn run(peer: Peer, login: Login, ports: &[u16]) -> (String, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let known = ports
        .iter()
        .flat_map(|&port| ALL_KINDS.map(|kind| known_hosts_line(port, &Keys::get().host(kind))));
    fs::write(folder.path().join("known_hosts"), known.collect::<String>()).unwrap();
    match peer {
        Peer::AsyncSsh => {
            let python = fetched("python/bin/python");
            library(&folder, &[python, script("asyncssh_client.py")], login, ports)
        }
        Peer::Ssh2 => {
            let library_folder = fetched("javascript/node_modules/ssh2");
            let command = ["node".into(), script("ssh2_client.js"), library_folder];
            library(&folder, &command, login, ports)
        }
        Peer::Dropbear => program(ports, |port| dbclient(&folder, login, port)),
        Peer::Putty => program(ports, |port| plink(&folder, login, port)),
        _ => panic!("{peer:?} is no client of another implementation"),
    }
}

/// Runs a program that takes all ports, and prints its version and a line for each.
fn library(
    folder: &TempDir,
    command: &[PathBuf],
    login: Login,
    ports: &[u16],
) -> (String, Vec<String>) {
    let mut client = limited(&command[0]);
    client.args(&command[1..]).arg(USER);
    match login {
        Login::Key(kind) => client.arg(Keys::get().user(kind)),
        Login::Password(password) => client.arg(format!("password:{password}")),
    };
    client.arg(folder.path().join("known_hosts")).args(ports.iter().map(u16::to_string));
    let output = finish(client.env("HOME", folder.path()));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let mut lines = stdout.lines();
    let version = lines.next().unwrap_or_default();
    let version = format!("{} {version}", command[1].file_stem().unwrap().display());
    let ended: Vec<String> = ports
        .iter()
        .zip(lines)
        .map(|(port, line)| line.strip_prefix(&format!("{port} ")).unwrap().to_owned())
        .collect();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(ended.len(), ports.len(), "{}: {stdout}\n{stderr}", output.status);
    (version, ended)
}

/// Runs a program for each port.
fn program(ports: &[u16], command: impl Fn(u16) -> Command) -> (String, Vec<String>) {
    let mut version = Command::new(command(0).get_args().nth(3).unwrap());
    let version = version.arg("-V").output().unwrap();
    let version = [version.stdout, version.stderr].concat();
    let version = String::from_utf8_lossy(&version).lines().next().unwrap().to_owned();
    let ended = ports.iter().map(|&port| {
        let output = finish(&mut command(port));
        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(3) && stderr.ends_with("oops\n") {
            if output.stdout == noise() { "ok" } else { "other data came back" }.to_owned()
        } else {
            format!("{}: {stderr}", output.status)
        }
    });
    (version, ended.collect())
}

fn dbclient(folder: &TempDir, login: Login, port: u16) -> Command {
    let mut client = limited(&fetched("openssh-10.6/usr/bin/dbclient"));
    // It looks for known hosts at home only, and takes no account of ports.
    let home = folder.path().join(".ssh");
    fs::create_dir_all(&home).unwrap();
    let known =
        ALL_KINDS.map(|kind| format!("127.0.0.1 {}\n", public_blob(&Keys::get().host(kind))));
    fs::write(home.join("known_hosts"), known.concat()).unwrap();
    client.env("HOME", folder.path()).args(["-T", "-p", &port.to_string()]);
    match login {
        Login::Key(kind) => client.arg("-i").arg(dropbear_key(folder, &Keys::get().user(kind))),
        Login::Password(password) => client.env("DROPBEAR_PASSWORD", password),
    };
    client.args([&format!("{USER}@127.0.0.1"), COMMAND]);
    client
}

/// PuTTY has formats of its own for keys and for settings.
fn plink(folder: &TempDir, login: Login, port: u16) -> Command {
    let mut client = limited(&fetched("openssh-10.6/usr/bin/plink"));
    let sessions = folder.path().join(".putty/sessions");
    fs::create_dir_all(&sessions).unwrap();
    fs::write(sessions.join("all"), SETTINGS).unwrap();
    client.env("HOME", folder.path()).args(["-load", "all", "-ssh", "-batch", "-T"]);
    client.args(["-P", &port.to_string(), "-l", USER]);
    for kind in ALL_KINDS {
        let public = fs::read_to_string(Keys::get().host(kind).with_added_extension("pub"));
        let (key, _) = ssh_keys::PublicKey::from_openssh(&public.unwrap()).unwrap();
        client.args(["-hostkey", &key.fingerprint().to_string()]);
    }
    match login {
        Login::Key(kind) => client.arg("-i").arg(ppk(folder, kind)),
        Login::Password(password) => client.args(["-pw", password]),
    };
    client.args(["127.0.0.1", COMMAND]);
    client
}

/// Everything without a question whether it is strong enough.
const SETTINGS: &str = "\
Cipher=aesgcm,chacha20,aes,3des,WARN\n\
KEX=ntru-curve25519,mlkem-curve25519,mlkem-nist,ecdh,dh-gex-sha1,dh-group18-sha512,\
dh-group17-sha512,dh-group16-sha512,dh-group15-sha512,dh-group14-sha1,dh-group1-sha1,rsa,WARN\n\
HostKey=ed25519,ecdsa,rsa,dsa,WARN\n\
Compression=1\n";

/// The user's key of a kind in PuTTY's format, by PuTTY's own program.
fn ppk(folder: &TempDir, kind: &str) -> PathBuf {
    let path = folder.path().join(format!("user_{kind}.ppk"));
    if !path.exists() {
        let mut puttygen = Command::new(fetched("openssh-10.6/usr/bin/puttygen"));
        puttygen.arg(Keys::get().user(kind)).args(["-O", "private", "-o"]).arg(&path);
        let output = puttygen.output().unwrap();
        assert!(output.status.success(), "{puttygen:?}: {output:?}");
    }
    path
}

fn limited(program: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-k", "5", LIMIT]).arg(program).env_remove("SSH_AUTH_SOCK");
    command
}

/// Runs a client with the data as its input.
fn finish(command: &mut Command) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().unwrap();
    let writer = thread::spawn(move || {
        // A client that fails does not read its input.
        let written = input.write_all(&noise());
        drop(written);
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

async fn every_algorithm(peer: Peer) {
    let (what, preferences): (Vec<_>, Vec<_>) = cases(as_client(peer)).into_iter().unzip();
    let mut servers = Vec::new();
    for preferences in preferences {
        servers.push(ours(preferences).await);
    }
    let ports: Vec<u16> = servers.iter().map(|server| server.local_addr().port()).collect();
    let run = tokio::task::spawn_blocking(move || run(peer, Login::Key("ed25519"), &ports));
    let (version, ended) = run.await.unwrap();
    announce("their client, every algorithm", &version);
    let failed: Vec<_> = what.iter().zip(&ended).filter(|(_, ended)| *ended != "ok").collect();
    assert!(failed.is_empty(), "{version}: {failed:#?}");
}

async fn every_login(peer: Peer) {
    let server = ours(Preferences::modern_server()).await;
    let port = server.local_addr().port();
    let keys = USER_KEYS.map(Login::Key);
    for login in keys.into_iter().chain([Login::Password(PASSWORD)]) {
        let run = tokio::task::spawn_blocking(move || run(peer, login, &[port]));
        let (version, ended) = run.await.unwrap();
        assert_eq!(ended, ["ok"], "{version}, {login:?}");
    }
    let wrong = Login::Password("wrong");
    let run = tokio::task::spawn_blocking(move || run(peer, wrong, &[port]));
    let (version, ended) = run.await.unwrap();
    announce("their client, every login", &version);
    assert_ne!(ended, ["ok"], "{version}");
}

fn its_offer(peer: Peer) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = thread::spawn(move || run(peer, Login::Key("ed25519"), &[port]));
    offers::check(accept(&listener), as_client(peer));
    // We have hung up on it.
    let (version, ended) = client.join().unwrap();
    assert_ne!(ended, ["ok"], "{version}");
}

/// The first connection, which a client that does not start never makes.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let began = Instant::now();
    loop {
        match listener.accept() {
            Ok((socket, _)) => {
                socket.set_nonblocking(false).unwrap();
                return socket;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                assert!(began.elapsed() < START, "the client does not come");
                thread::sleep(Duration::from_millis(10));
            }
            Err(error) => panic!("{error}"),
        }
    }
}

macro_rules! against_each_client {
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

against_each_client! {
    asyncssh, AsyncSsh;
    dropbear, Dropbear;
    putty, Putty;
    ssh2, Ssh2;
}
