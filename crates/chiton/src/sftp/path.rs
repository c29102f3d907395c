//! Paths on the other side: bytes.

use core::fmt;
use std::path::{Path, PathBuf};

use ssh_wire::PeerText;

/// A path on the other side, as bytes: SFTP v3 does not say how names are encoded.
///
/// Printing it escapes what could steer a terminal and replaces what is not UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RemotePath(Vec<u8>);

impl RemotePath {
    /// The bytes of the path.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes of the path.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The path of `name` in this directory; `name` itself if it is absolute.
    #[must_use]
    pub fn join(&self, name: impl AsRef<[u8]>) -> Self {
        Self(sftp::path::join(&self.0, name.as_ref()))
    }

    /// The last component, if there is one.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        sftp::path::file_name(&self.0)
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        PeerText::from_bytes(&self.0).fmt(f)
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&PeerText::from_bytes(&self.0), f)
    }
}

impl From<&str> for RemotePath {
    fn from(path: &str) -> Self {
        Self(path.as_bytes().to_vec())
    }
}

impl From<String> for RemotePath {
    fn from(path: String) -> Self {
        Self(path.into_bytes())
    }
}

impl From<&[u8]> for RemotePath {
    fn from(path: &[u8]) -> Self {
        Self(path.to_vec())
    }
}

impl From<Vec<u8>> for RemotePath {
    fn from(path: Vec<u8>) -> Self {
        Self(path)
    }
}

impl From<&Self> for RemotePath {
    fn from(path: &Self) -> Self {
        path.clone()
    }
}

impl From<&Path> for RemotePath {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_encoded_bytes().to_vec())
    }
}

impl From<PathBuf> for RemotePath {
    fn from(path: PathBuf) -> Self {
        Self::from(&*path)
    }
}
