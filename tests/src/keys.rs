//! Keys made by `ssh-keygen`, once per test process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::guard::Guard;
use crate::peer::Peer;

/// The kinds of keys that everybody has, as `ssh-keygen -t` and the file names call them.
pub const KINDS: [&str; 3] = ["ed25519", "ecdsa", "rsa"];

/// All kinds of keys: those, the other curves, and the one that only OpenSSH 10.6 has, at the end.
pub const ALL_KINDS: [&str; 6] =
    ["ed25519", "ecdsa", "rsa", "ecdsa-384", "ecdsa-521", MLDSA44_ED25519];

/// The post-quantum kind.
pub const MLDSA44_ED25519: &str = "mldsa44-ed25519";

/// The passphrase of [`Keys::encrypted`].
pub const PASSPHRASE: &str = "correct horse battery staple";

/// A folder with keys for hosts and users.
#[derive(Debug)]
pub struct Keys {
    folder: PathBuf,
    _guard: Guard,
}

impl Keys {
    /// The keys of this process.
    ///
    /// # Panics
    /// If `ssh-keygen` is missing or fails.
    pub fn get() -> &'static Self {
        static KEYS: OnceLock<Keys> = OnceLock::new();
        KEYS.get_or_init(Self::generate)
    }

    fn generate() -> Self {
        let folder = tempfile::Builder::new().prefix("chiton-keys-").tempdir().unwrap().keep();
        let guard = Guard::new("", "rm -rf \"$1\"", &[folder.to_str().unwrap()]);
        for kind in ALL_KINDS {
            for owner in ["host", "other_host", "user", "stranger"] {
                keygen(&folder.join(format!("{owner}_{kind}")), kind, "");
            }
        }
        keygen(&folder.join("encrypted"), "ed25519", PASSPHRASE);
        Self { folder, _guard: guard }
    }

    /// The key of the server, of one of [`ALL_KINDS`].
    #[must_use]
    pub fn host(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("host_{kind}"))
    }

    /// A key of some other server.
    #[must_use]
    pub fn other_host(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("other_host_{kind}"))
    }

    /// The key of the user, of one of [`ALL_KINDS`].
    #[must_use]
    pub fn user(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("user_{kind}"))
    }

    /// A key that no server accepts.
    #[must_use]
    pub fn stranger(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("stranger_{kind}"))
    }

    /// A key of the user whose file is encrypted with [`PASSPHRASE`].
    #[must_use]
    pub fn encrypted(&self) -> PathBuf {
        self.folder.join("encrypted")
    }

    /// An authorized keys file of the user.
    ///
    /// # Panics
    /// If a key cannot be read.
    #[must_use]
    pub fn authorized(&self) -> String {
        let users = ALL_KINDS.iter().map(|kind| self.user(kind));
        users.chain([self.encrypted()]).map(|key| public(&key)).collect()
    }
}

/// The line of a public key file, with its newline.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn public(private: &Path) -> String {
    let path = private.with_added_extension("pub");
    let text = std::fs::read_to_string(&path);
    text.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Type and base64 of a public key, without the comment: what a `known_hosts` line ends with.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn public_blob(private: &Path) -> String {
    public(private).split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let program = match kind {
        MLDSA44_ED25519 => Peer::v10_6().program("ssh-keygen"),
        _ => "/usr/bin/ssh-keygen".into(),
    };
    let (name, bits) = match kind {
        "rsa" => ("rsa", "2048"),
        "ecdsa-384" => ("ecdsa", "384"),
        "ecdsa-521" => ("ecdsa", "521"),
        // The only size there is.
        _ => (kind, "256"),
    };
    let mut command = Command::new(program);
    command.args(["-q", "-t", name, "-b", bits, "-N", passphrase, "-C", "chiton test", "-f"]);
    command.arg(path);
    let output = command.output().expect("ssh-keygen runs (`cargo xtask peers` installs it)");
    assert!(output.status.success(), "{command:?}: {output:?}");
}
