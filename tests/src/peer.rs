//! The generations of OpenSSH that the interop tests run against.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// A test that takes longer than this hangs.
pub const TEST_LIMIT: Duration = Duration::from_secs(240);

/// One generation of OpenSSH on this machine.
#[derive(Debug, Clone)]
pub struct Peer {
    root: PathBuf,
    version: String,
    has_session_program: bool,
}

impl Peer {
    /// OpenSSH 9.2, which is Debian 12's own.
    ///
    /// # Panics
    /// If it is not there; the message says how to get it.
    pub fn v9_2() -> &'static Self {
        static PEER: OnceLock<Peer> = OnceLock::new();
        PEER.get_or_init(|| Self::find("OpenSSH_9.2", &[fetched("openssh-9.2"), "/".into()]))
    }

    /// OpenSSH 10.0, which Debian 12 has in its backports.
    ///
    /// # Panics
    /// If it is not there; the message says how to get it.
    pub fn v10_0() -> &'static Self {
        static PEER: OnceLock<Peer> = OnceLock::new();
        PEER.get_or_init(|| Self::find("OpenSSH_10.0", &[fetched("openssh-10.0")]))
    }

    fn find(version: &str, roots: &[PathBuf]) -> Self {
        for root in roots {
            let Ok(output) = Command::new(root.join("usr/bin/ssh")).arg("-V").output() else {
                continue;
            };
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if said.starts_with(version) && root.join("usr/sbin/sshd").exists() {
                let has_session_program = root.join("usr/lib/openssh/sshd-session").exists();
                return Self { root: root.clone(), version: said, has_session_program };
            }
        }
        panic!(
            "the peer {version} is missing (looked in {roots:?}): run `cargo xtask peers`, \
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

    /// Whether this is 10.0, with the post-quantum key exchange of 9.9 and later.
    #[must_use]
    pub const fn is_v10_0(&self) -> bool {
        self.has_session_program
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
        if !self.has_session_program {
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
fn fetched(folder: &str) -> PathBuf {
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
