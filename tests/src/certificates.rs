//! Certificates issued by OpenSSH's `ssh-keygen`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::keys::{Keys, public_blob};
use crate::peer::{Generation, Peer};

/// What `-V` of `ssh-keygen` calls a time that has long passed.
pub const EXPIRED: &str = "20200101:20200102";

/// What it calls any time.
pub const ALWAYS: &str = "always:forever";

/// A folder of keys with certificates over them, issued by one generation of OpenSSH. The authority
/// for a kind of keys has a key of that kind.
#[derive(Debug)]
pub struct Issuer {
    peer: Peer,
    folder: TempDir,
}

impl Issuer {
    /// An issuer without certificates.
    ///
    /// # Panics
    /// If no folder can be made.
    #[must_use]
    pub fn new(peer: &Peer) -> Self {
        Self { peer: peer.clone(), folder: tempfile::tempdir().unwrap() }
    }

    /// What its programs have to be told to take the signatures of every authority: OpenSSH 10.6
    /// signs certificates with ML-DSA, but wants to be told before it believes them.
    #[must_use]
    pub fn believing(&self) -> &'static str {
        match self.peer.generation() {
            Generation::V9_2 | Generation::V10_0 => "CASignatureAlgorithms +ssh-ed25519",
            Generation::V10_6 => "CASignatureAlgorithms +ssh-mldsa44-ed25519",
        }
    }

    /// Type and base64 of the authority for a kind of keys.
    #[must_use]
    pub fn authority(&self, kind: &str) -> String {
        public_blob(&Keys::get().other_host(kind))
    }

    /// Certifies the host key of a kind, for hosts with commas between them.
    pub fn host(&self, kind: &str, principals: &str, validity: &str) -> PathBuf {
        self.issue(&Keys::get().host(kind), kind, &["-h", "-n", principals, "-V", validity])
    }

    /// Certifies the key of a kind that no server accepts by itself, for users with commas between
    /// them. `options` are more arguments for `ssh-keygen`.
    pub fn user(&self, kind: &str, principals: &str, validity: &str, options: &[&str]) -> PathBuf {
        let options = [&["-n", principals, "-V", validity], options].concat();
        self.issue(&Keys::get().stranger(kind), kind, &options)
    }

    /// Gives the private key, beside which the certificate stands.
    fn issue(&self, key: &Path, kind: &str, options: &[&str]) -> PathBuf {
        let copy = self.folder.path().join(key.file_name().unwrap());
        fs::copy(key, &copy).unwrap();
        let public = copy.with_added_extension("pub");
        fs::copy(key.with_added_extension("pub"), &public).unwrap();
        let mut keygen = Command::new(self.peer.program("ssh-keygen"));
        keygen.args(["-q", "-I", "an id", "-s"]).arg(Keys::get().other_host(kind));
        let output = keygen.args(options).arg(&public).output().unwrap();
        assert!(output.status.success(), "{keygen:?}: {output:?}");
        copy
    }
}

/// The certificate beside a private key.
#[must_use]
pub fn beside(key: &Path) -> PathBuf {
    let mut name = key.as_os_str().to_owned();
    name.push("-cert.pub");
    name.into()
}
