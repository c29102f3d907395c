//! The servers: Debian's sshd for all, and each implementation's own where it is measured against
//! itself.

use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Done, Failure};
use crate::site::{Guard, Site, stdout, text};

/// How long a server may take to listen, and to be done with a client that has left.
const PATIENCE: Duration = Duration::from_secs(20);

/// Which program serves, with which algorithms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An sshd, from this folder, that knows one cipher only, so that everybody uses it.
    OpenSsh { root: PathBuf, cipher: &'static str },
    /// `chiton sshd`.
    Chiton { program: PathBuf },
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) port: u16,
    process: u32,
    _guard: Guard,
}

impl Server {
    pub(crate) fn start(kind: Kind, site: &Site) -> Done<Self> {
        let port = free_port()?;
        let folder = site.folder().join(format!("server-{port}"));
        fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        let key = site.user_key().with_extension("pub");
        let authorized = folder.join("authorized_keys");
        fs::copy(&key, &authorized).map_err(Failure::file(&key))?;
        let command = match &kind {
            Kind::OpenSsh { root, cipher } => openssh(root, cipher, port, &folder, site)?,
            Kind::Chiton { program } => vec![
                text(program)?,
                "sshd".into(),
                format!("--listen=127.0.0.1:{port}"),
                format!("--host-key={}", text(&site.host_key())?),
                format!("--authorized-keys={}", text(&authorized)?),
                format!("--sftp-root={}", text(site.folder())?),
            ],
        };
        let mut arguments = vec![text(&folder)?];
        arguments.extend(command);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let guard = Guard::new(
            "folder=\"$1\"\nshift\n\"$@\" 2>\"$folder/log\" & server=$!\n\
             echo $server >\"$folder/id.new\"\nmv \"$folder/id.new\" \"$folder/id\"",
            "kill $server\nwait $server",
            &arguments,
        )?;
        let began = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if began.elapsed() > PATIENCE {
                let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
                return Err(Failure::new(format!("{kind:?} does not start: {log}")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        let id = folder.join("id");
        let process = fs::read_to_string(&id)
            .map_err(Failure::file(&id))?
            .trim()
            .parse()
            .map_err(|_| Failure::new(format!("{}: no process id", id.display())))?;
        let server = Self { kind, port, process, _guard: guard };
        // The connection above ends first.
        server.cpu_at_rest()?;
        Ok(server)
    }

    /// What a client calls a path of this machine.
    pub(crate) fn path(&self, path: &Path, site: &Site) -> Done<String> {
        match &self.kind {
            Kind::OpenSsh { .. } => text(path),
            Kind::Chiton { .. } => {
                let below = path.strip_prefix(site.folder()).unwrap_or(path);
                Ok(format!("/{}", text(below)?))
            }
        }
    }

    /// Seconds of user and system time that the server has spent so far, its processes for
    /// clients that have ended included.
    pub(crate) fn cpu(&self) -> Done<f64> {
        let path = PathBuf::from(format!("/proc/{}/stat", self.process));
        let stat = fs::read_to_string(&path).map_err(Failure::file(&path))?;
        // `pid (name) state …`, where the name may hold anything; utime, stime, cutime, cstime are
        // the 14th to the 17th.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks: u32 =
            after.split_whitespace().skip(11).take(4).filter_map(|n| n.parse::<u32>().ok()).sum();
        // USER_HZ, which Linux fixed at 100 for user space.
        Ok(f64::from(ticks) / 100.0)
    }

    /// [`Self::cpu`], once the server is done with everybody.
    pub(crate) fn cpu_at_rest(&self) -> Done<f64> {
        let path = PathBuf::from(format!("/proc/{0}/task/{0}/children", self.process));
        let began = Instant::now();
        loop {
            let children = fs::read_to_string(&path).map_err(Failure::file(&path))?;
            if children.trim().is_empty() {
                return self.cpu();
            }
            if began.elapsed() > PATIENCE {
                return Err(Failure::new("the server does not notice that its client has left"));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

fn free_port() -> Done<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    listener
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Failure::new(format!("no free port: {error}")))
}

fn openssh(root: &Path, cipher: &str, port: u16, folder: &Path, site: &Site) -> Done<Vec<String>> {
    let run = Path::new("/run/sshd");
    if stdout(Command::new("id").arg("-u"))?.trim() == "0" && !run.exists() {
        // A server that runs as root wants this empty folder, which a service makes at boot.
        fs::create_dir_all(run).map_err(Failure::file(run))?;
    }
    let mut config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}/authorized_keys\n\
         Ciphers {cipher}\nMACs hmac-sha2-256-etm@openssh.com,hmac-sha2-256\n\
         KexAlgorithms curve25519-sha256,curve25519-sha256@libssh.org\n\
         StrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n\
         MaxStartups 2000\nMaxSessions 2000\nPermitRootLogin yes\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nUseDNS no\nPrintMotd no\nPrintLastLog no\n\
         SetEnv HOME={}\n",
        text(&site.host_key())?,
        text(folder)?,
        // Shells read no settings of whoever runs this.
        text(&site.folder().join("home"))?,
    );
    // From 9.8 on a session is a program of its own.
    let session = root.join("usr/lib/openssh/sshd-session");
    if session.exists() {
        let auth = root.join("usr/lib/openssh/sshd-auth");
        writeln!(
            config,
            "SshdSessionPath {}\nSshdAuthPath {}\nPerSourcePenalties no",
            text(&session)?,
            text(&auth)?
        )
        .map_err(|error| Failure::new(error.to_string()))?;
    }
    let path = folder.join("config");
    fs::write(&path, config).map_err(Failure::file(&path))?;
    let program = text(&root.join("usr/sbin/sshd"))?;
    Ok([&program, "-D", "-e", "-f", &text(&path)?].map(str::to_owned).to_vec())
}
