//! The generations of OpenSSH that the interop tests run against.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::keys::ALL_KINDS;

/// A test that takes longer than this hangs.
pub const TEST_LIMIT: Duration = Duration::from_secs(240);

/// A generation of OpenSSH.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generation {
    /// Debian 12's own.
    V9_2,
    /// Debian 12's backports have it: key exchange with ML-KEM, sessions in a program of their own.
    V10_0,
    /// Only unstable has it: keys of ML-DSA, no Diffie-Hellman in prime fields unless named.
    V10_6,
}

impl Generation {
    /// How many there are.
    pub const COUNT: usize = 3;

    /// What `ssh -V` begins with.
    const fn version(self) -> &'static str {
        match self {
            Self::V9_2 => "OpenSSH_9.2",
            Self::V10_0 => "OpenSSH_10.0",
            Self::V10_6 => "OpenSSH_10.6",
        }
    }

    /// Where it may be.
    fn roots(self) -> Vec<PathBuf> {
        match self {
            Self::V9_2 => vec![fetched("openssh-9.2"), "/".into()],
            Self::V10_0 => vec![fetched("openssh-10.0")],
            Self::V10_6 => vec![fetched("openssh-10.6")],
        }
    }
}

/// OpenSSH of one generation on this machine.
#[derive(Debug, Clone)]
pub struct Peer {
    generation: Generation,
    root: PathBuf,
    version: String,
}

impl Peer {
    /// OpenSSH 9.2, which is Debian 12's own.
    ///
    /// # Panics
    /// If it is not there; the message says how to get it.
    pub fn v9_2() -> &'static Self {
        static PEER: OnceLock<Peer> = OnceLock::new();
        PEER.get_or_init(|| Self::find(Generation::V9_2))
    }

    /// OpenSSH 10.0, which Debian 12 has in its backports.
    ///
    /// # Panics
    /// If it is not there; the message says how to get it.
    pub fn v10_0() -> &'static Self {
        static PEER: OnceLock<Peer> = OnceLock::new();
        PEER.get_or_init(|| Self::find(Generation::V10_0))
    }

    /// OpenSSH 10.6, which only Debian's unstable suite has.
    ///
    /// # Panics
    /// If it is not there; the message says how to get it.
    pub fn v10_6() -> &'static Self {
        static PEER: OnceLock<Peer> = OnceLock::new();
        PEER.get_or_init(|| Self::find(Generation::V10_6))
    }

    fn find(generation: Generation) -> Self {
        let (wanted, roots) = (generation.version(), generation.roots());
        for root in &roots {
            let Ok(output) = Command::new(root.join("usr/bin/ssh")).arg("-V").output() else {
                continue;
            };
            let version = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if version.starts_with(wanted) && root.join("usr/sbin/sshd").exists() {
                return Self { generation, root: root.clone(), version };
            }
        }
        panic!(
            "the peer {wanted} is missing (looked in {roots:?}): run `cargo xtask peers`, \
             which fetches it or says what to install"
        );
    }

    /// Says on the terminal, past the capture of the test runner, that `test` runs against this.
    ///
    /// # Panics
    /// If stderr is closed.
    pub fn announce(&self, test: &str) -> &Self {
        let line = format!("interop: {test}: peer {}\n", self.version);
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        self
    }

    /// What `ssh -V` says.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Which generation this is.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Whether this is 10.0 or later, with post-quantum key exchange by ML-KEM.
    #[must_use]
    pub fn is_v10(&self) -> bool {
        self.generation >= Generation::V10_0
    }

    /// The kinds of [`Keys`](crate::keys::Keys) that it knows.
    #[must_use]
    pub fn kinds(&self) -> &'static [&'static str] {
        match self.generation {
            Generation::V9_2 | Generation::V10_0 => &ALL_KINDS[..ALL_KINDS.len() - 1],
            Generation::V10_6 => &ALL_KINDS,
        }
    }

    /// The program `name`: `ssh`, `sftp`, `ssh-keygen`.
    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.root.join("usr/bin").join(name)
    }

    /// The server program.
    #[must_use]
    pub fn sshd(&self) -> PathBuf {
        self.root.join("usr/sbin/sshd")
    }

    /// Lines that the configuration of this server needs, whatever it is for.
    #[must_use]
    pub fn sshd_config(&self) -> String {
        if !self.is_v10() {
            return String::new();
        }
        let programs = self.root.join("usr/lib/openssh");
        let programs = programs.display();
        // Without the penalties off, the failed logins of one test would block the next.
        format!(
            "SshdSessionPath {programs}/sshd-session\nSshdAuthPath {programs}/sshd-auth\n\
             PerSourcePenalties no\n"
        )
    }
}

/// Where `cargo xtask peers` puts a peer that is not the system's own.
pub(crate) fn fetched(folder: &str) -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).join("target/peers").join(folder)
}

/// Makes a test of each named function for each peer. The functions take a `&Peer` and are
/// `async`.
#[macro_export]
macro_rules! against_each_peer {
    ($($name:ident),* $(,)?) => {
        $crate::against_each_peer!(@module openssh_9_2, v9_2, $($name),*);
        $crate::against_each_peer!(@module openssh_10_0, v10_0, $($name),*);
        $crate::against_each_peer!(@module openssh_10_6, v10_6, $($name),*);
    };
    (@module $module:ident, $peer:ident, $($name:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let peer = $crate::peer::Peer::$peer().announce(stringify!($name));
                    let test = super::$name(peer);
                    let ended = tokio::time::timeout($crate::peer::TEST_LIMIT, test).await;
                    assert!(ended.is_ok(), "{} hangs", stringify!($name));
                }
            )*
        }
    };
}
