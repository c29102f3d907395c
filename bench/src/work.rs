//! What the clients are asked to do.

use std::path::PathBuf;

/// One piece of work. Paths are those of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Fetch a file by SFTP.
    Get { remote: PathBuf, local: PathBuf },
    /// Send a file by SFTP.
    Put { local: PathBuf, remote: PathBuf },
    /// Fetch a folder full of files.
    GetMany { remote: PathBuf, local: PathBuf },
    /// Send a folder full of files.
    PutMany { local: PathBuf, remote: PathBuf },
    /// Read all that a command writes.
    ExecOut { file: PathBuf },
    /// Write a file to a command.
    ExecIn { file: PathBuf },
    /// Connect, run `true`, disconnect, again and again.
    Fresh { times: u32 },
    /// Connect once, and run `true` again and again.
    Sequential { times: u32 },
    /// Connect once, and run `true` as often at the same time.
    AtOnce { times: u32 },
    /// Connect, and pass on what a command writes.
    FirstByte,
    /// Hold connections that do nothing.
    Idle { connections: u32 },
}

/// Where the server is, and how to get in.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) key: PathBuf,
    pub(crate) known_hosts: PathBuf,
    /// The only cipher to offer, where the server would leave a choice.
    pub(crate) cipher: Option<&'static str>,
    /// Renew the keys after so many bytes.
    pub(crate) rekey: Option<u64>,
    /// A folder for batches, sockets and the like.
    pub(crate) scratch: PathBuf,
}
