//! A real `sshd` with a configuration, keys and port of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::guard::Guard;
use crate::keys::{ALL_KINDS, Keys, public_blob};
use crate::peer::{Generation, Peer};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);

/// A running server. It ends when this is dropped, or with the test process.
#[derive(Debug)]
pub struct Sshd {
    folder: PathBuf,
    port: u16,
    guard: Guard,
}

impl Sshd {
    /// Starts a server with all kinds of host keys that accepts the user's keys, with `extra`
    /// lines of configuration that win over what stands here.
    ///
    /// # Panics
    /// If it does not start; the message has its log.
    #[must_use]
    pub fn start(peer: &Peer, extra: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("chiton-sshd-").tempdir().unwrap().keep();
        make_privilege_separation_folder();
        let mut log = String::new();
        // The port is free when it is chosen; somebody else may have it when sshd takes it.
        for _ in 0..5 {
            let port = free_port();
            write_config(peer, &folder, port, extra);
            let guard = spawn(peer, &folder);
            let sshd = Self { folder: folder.clone(), port, guard };
            match sshd.wait_until_it_listens() {
                Ok(()) => return sshd,
                Err(said) => log = said,
            }
        }
        panic!("{} does not start:\n{log}", peer.sshd().display());
    }

    /// A server that all tests of this process share, one for each peer.
    ///
    /// # Panics
    /// As [`Self::start`].
    pub fn shared(peer: &Peer) -> &'static Self {
        static SERVERS: [OnceLock<Sshd>; Generation::COUNT] =
            [const { OnceLock::new() }; Generation::COUNT];
        SERVERS[peer.generation() as usize].get_or_init(|| Self::start(peer, ""))
    }

    fn wait_until_it_listens(&self) -> Result<(), String> {
        let began = Instant::now();
        loop {
            let log = self.log();
            if log.contains("Server listening on") {
                return Ok(());
            }
            let ended =
                log.contains("Cannot bind") || log.contains("error:") || log.contains("line ");
            if ended || began.elapsed() > START {
                return Err(log);
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// A folder for the files of a test, on the side of the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// A `known_hosts` file with all keys of the server, in its folder.
    #[must_use]
    pub fn known_hosts(&self) -> PathBuf {
        self.folder.join("known_hosts")
    }

    /// Kills every process of every connection, but not the server that listens. Gives how many.
    ///
    /// # Panics
    /// If `kill` or `/proc` is missing.
    pub fn kill_connections(&self) -> usize {
        let listener = children(self.guard.id());
        let mut found = Vec::new();
        let mut next: Vec<u32> = listener.iter().copied().flat_map(children).collect();
        while let Some(process) = next.pop() {
            next.extend(children(process));
            found.push(process.to_string());
        }
        if !found.is_empty() {
            // Some may have ended by themselves when their parents did.
            Command::new("kill").arg("-KILL").args(&found).output().expect("kill runs");
        }
        found.len()
    }
}

fn spawn(peer: &Peer, folder: &Path) -> Guard {
    Guard::new(
        "\"$1\" -D -f \"$2/config\" -E \"$2/log\" & server=$!",
        "kill $server; wait $server; rm -rf \"$2\"",
        &[peer.sshd().to_str().unwrap(), folder.to_str().unwrap()],
    )
}

fn write_config(peer: &Peer, folder: &Path, port: u16, extra: &str) {
    let keys = Keys::get();
    let authorized = folder.join("authorized_keys");
    fs::write(&authorized, keys.authorized()).unwrap();
    // The first value of an option wins.
    let mut config = format!("{extra}\n{}", peer.sshd_config());
    if !extra.contains("HostKey ") {
        for kind in peer.kinds() {
            config.push_str(&format!("HostKey {}\n", keys.host(kind).display()));
        }
    }
    config.push_str(&format!(
        "Port {port}\nListenAddress 127.0.0.1\nAuthorizedKeysFile {}\n\
         StrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n\
         MaxStartups 200\nMaxSessions 200\nMaxAuthTries 20\nPermitRootLogin yes\n\
         PasswordAuthentication yes\nKbdInteractiveAuthentication no\nAcceptEnv CHITON_*\n\
         SetEnv HOME={}\nUseDNS no\nPrintMotd no\nPrintLastLog no\nLogLevel VERBOSE\n",
        authorized.display(),
        // Shells read no settings of whoever runs the tests: they can do anything.
        folder.display(),
    ));
    fs::write(folder.join("config"), config).unwrap();
    let known = ALL_KINDS.map(|kind| known_hosts_line(port, &keys.host(kind)));
    fs::write(folder.join("known_hosts"), known.concat()).unwrap();
}

/// The line of a `known_hosts` file that gives the host on `port` of 127.0.0.1 the key in `private`.
///
/// # Panics
/// If the key cannot be read.
#[must_use]
pub fn known_hosts_line(port: u16, private: &Path) -> String {
    format!("[127.0.0.1]:{port} {}\n", public_blob(private))
}

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that runs as root wants an empty folder, which Debian's service makes at each boot.
fn make_privilege_separation_folder() {
    let folder = Path::new("/run/sshd");
    if is_root() && !folder.exists() {
        // Two tests may do this at once.
        if let Err(error) = fs::DirBuilder::new().mode(0o755).recursive(true).create(folder) {
            panic!("{}: {error}", folder.display());
        }
    }
}

/// Whether the tests run as root, which the server needs to log in as somebody else.
///
/// # Panics
/// If `id` is missing.
#[must_use]
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().expect("id runs").stdout == b"0\n"
}

/// The name of the user that runs the tests.
///
/// # Panics
/// If `id` is missing.
#[must_use]
pub fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The children of a process.
fn children(parent: u32) -> Vec<u32> {
    let processes = fs::read_dir("/proc").expect("/proc is mounted").flatten();
    processes
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            // `pid (name) state parent …`, where the name may hold anything.
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            let after = stat.rsplit_once(')')?.1;
            let of: u32 = after.split_whitespace().nth(1)?.parse().ok()?;
            (of == parent).then_some(id)
        })
        .collect()
}
