//! SFTP: files on the other side, named and shaped like [`tokio::fs`].

mod content;
mod dir;
mod engine;
mod file;
mod glob;
#[cfg(test)]
mod hostile;
mod link;
mod path;
mod start;
#[cfg(test)]
mod testing;
mod transfer;
mod tree;

/// What the protocol says about files, file systems and failures.
pub use ::sftp::{
    Attrs, Extension, FileType, Permissions, Status, StatusCode,
    attrs::{Owner, Times},
    extension::{IdNames, StatVfs},
};
pub use content::MAX_CONTENT;
pub use dir::{DirEntry, ReadDir};
pub use file::{File, OpenOptions};
pub use path::RemotePath;
pub use start::START_TIMEOUT;
pub use transfer::{
    Existing, FileEvent, FileProgress, FileState, Folder, Get, Links, Monitor, Progress, Put,
    Report, Resume, SkipReason, Skipped, Verify,
};

use core::time::Duration;
use std::{path::PathBuf, sync::Arc};

use sftp::{
    client::{Client as Codec, Handle, RequestId, Response},
    limits::MAX_IDS,
};

use crate::{
    Client,
    error::{Error, SftpError, SftpErrorKind},
};
use engine::Engine;
use start::Beginning;

/// An SFTP session (version 3, with OpenSSH's extensions where the server has them).
///
/// Clones are handles on the same session; operations of all of them overlap. Paths and file
/// names are bytes: nothing needs to be UTF-8.
///
/// # Cancel safety
/// Dropping the future of an operation abandons its reply. Whether the server did what was asked
/// is then not known; a handle that it opened is closed.
#[derive(Clone, Debug)]
pub struct Sftp {
    engine: Arc<Engine>,
    /// Keeps the connection open.
    client: Option<Client>,
    /// How the start went, if it was not waited for.
    beginning: Option<Arc<Beginning>>,
}

impl Sftp {
    /// Why the session has ended, if it has: every operation fails from then on. It is noticed
    /// while some operation waits.
    #[must_use]
    pub fn ended(&self) -> Option<SftpErrorKind> {
        self.engine.ended()
    }

    /// Ends the session when the server owes answers and says nothing for this long, though the
    /// connection may be alive: with [`SftpErrorKind::NoAnswer`], for all operations. For all
    /// handles on the session, and for the channels that its transfers open besides.
    ///
    /// There is none unless one is set: how long a server may take to copy (`copy-data`) or to
    /// write to its disk (`fsync`) is for the caller to know. For the start of a session there is
    /// always one, [`START_TIMEOUT`].
    pub fn set_request_timeout(&self, limit: impl Into<Option<Duration>>) {
        self.engine.set_request_timeout(limit.into());
    }

    /// True if the server offers the extension; false as well before the session has
    /// [`begun`](Self::begun).
    #[must_use]
    pub fn has(&self, extension: Extension) -> bool {
        self.engine
            .client(|client| client.extensions().is_some_and(|offered| offered.contains(extension)))
    }

    /// Downloads a file. The future may be configured before it is awaited.
    ///
    /// Many requests are out at once; short answers are asked for again; the size is checked at
    /// the end. If it fails, the local file holds what [`SftpErrorKind::Interrupted`] says.
    pub fn get(&self, remote: impl Into<RemotePath>, local: impl Into<PathBuf>) -> Get {
        Get::new(self.clone(), remote.into(), local.into())
    }

    /// Uploads a file. The future may be configured before it is awaited.
    ///
    /// Every write is confirmed by the server, and the size is checked at the end. If it fails,
    /// the remote file holds what [`SftpErrorKind::Interrupted`] says.
    pub fn put(&self, local: impl Into<PathBuf>, remote: impl Into<RemotePath>) -> Put {
        Put::new(self.clone(), local.into(), remote.into())
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn open_file(&self, path: impl Into<RemotePath>) -> Result<File, Error> {
        OpenOptions::new().read(true).open(self, path).await
    }

    /// Creates a file, or empties the one that is there, and opens it for writing.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn create(&self, path: impl Into<RemotePath>) -> Result<File, Error> {
        OpenOptions::new().write(true).create(true).truncate(true).open(self, path).await
    }

    /// What the server says about a file; links are followed.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn metadata(&self, path: impl Into<RemotePath>) -> Result<Attrs, Error> {
        let path = path.into();
        let reply = self.ask(|client, out| client.stat(path.as_bytes(), out)).await;
        reply.and_then(expect_attrs).map_err(|kind| error("metadata", path.as_bytes(), kind))
    }

    /// What the server says about a file; of a link, about the link itself.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn symlink_metadata(&self, path: impl Into<RemotePath>) -> Result<Attrs, Error> {
        let path = path.into();
        let reply = self.ask(|client, out| client.lstat(path.as_bytes(), out)).await;
        reply
            .and_then(expect_attrs)
            .map_err(|kind| error("symlink_metadata", path.as_bytes(), kind))
    }

    /// Changes size, owner, permissions or times: what is set in `attrs`.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn set_attrs(&self, path: impl Into<RemotePath>, attrs: &Attrs) -> Result<(), Error> {
        let path = path.into();
        self.act("set_attrs", &path, |client, out| client.setstat(path.as_bytes(), attrs, out))
            .await
    }

    /// Removes a file or a link.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn remove_file(&self, path: impl Into<RemotePath>) -> Result<(), Error> {
        let path = path.into();
        self.act("remove_file", &path, |client, out| client.remove(path.as_bytes(), out)).await
    }

    /// Creates a directory.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn create_dir(&self, path: impl Into<RemotePath>) -> Result<(), Error> {
        let path = path.into();
        self.act("create_dir", &path, |client, out| {
            client.mkdir(path.as_bytes(), &Attrs::NONE, out)
        })
        .await
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn remove_dir(&self, path: impl Into<RemotePath>) -> Result<(), Error> {
        let path = path.into();
        self.act("remove_dir", &path, |client, out| client.rmdir(path.as_bytes(), out)).await
    }

    /// Renames a file. As with `std::fs::rename`, the one that has the new name is replaced, if
    /// the server offers `posix-rename@openssh.com`; if it does not, it has to be gone.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn rename(
        &self,
        from: impl Into<RemotePath>,
        to: impl Into<RemotePath>,
    ) -> Result<(), Error> {
        let (from, to) = (from.into(), to.into());
        self.begun().await?;
        let posix = self.has(Extension::PosixRename);
        self.act("rename", &from, |client, out| {
            if posix {
                client.posix_rename(from.as_bytes(), to.as_bytes(), out)
            } else {
                client.rename(from.as_bytes(), to.as_bytes(), out)
            }
        })
        .await
    }

    /// Renames a file if no other has the new name.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn rename_exclusive(
        &self,
        from: impl Into<RemotePath>,
        to: impl Into<RemotePath>,
    ) -> Result<(), Error> {
        let (from, to) = (from.into(), to.into());
        self.act("rename_exclusive", &from, |client, out| {
            client.rename(from.as_bytes(), to.as_bytes(), out)
        })
        .await
    }

    /// Makes `link` a symbolic link to `target`.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn symlink(
        &self,
        target: impl Into<RemotePath>,
        link: impl Into<RemotePath>,
    ) -> Result<(), Error> {
        let (target, link) = (target.into(), link.into());
        self.act("symlink", &link, |client, out| {
            client.symlink(target.as_bytes(), link.as_bytes(), out)
        })
        .await
    }

    /// Gives a file another name (`hardlink@openssh.com`).
    ///
    /// # Errors
    /// The server's answer, a server without the extension, or the end of the connection.
    pub async fn hard_link(
        &self,
        existing: impl Into<RemotePath>,
        new: impl Into<RemotePath>,
    ) -> Result<(), Error> {
        let (existing, new) = (existing.into(), new.into());
        self.need(Extension::HardLink, "hard_link", &existing).await?;
        self.act("hard_link", &existing, |client, out| {
            client.hardlink(existing.as_bytes(), new.as_bytes(), out)
        })
        .await
    }

    /// Where a symbolic link points to.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn read_link(&self, path: impl Into<RemotePath>) -> Result<RemotePath, Error> {
        let path = path.into();
        let reply = self.ask(|client, out| client.readlink(path.as_bytes(), out)).await;
        reply.and_then(expect_path).map_err(|kind| error("read_link", path.as_bytes(), kind))
    }

    /// The absolute path without links and `..`. `.` gives the directory the session starts in.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn canonicalize(&self, path: impl Into<RemotePath>) -> Result<RemotePath, Error> {
        let path = path.into();
        let reply = self.ask(|client, out| client.realpath(path.as_bytes(), out)).await;
        reply.and_then(expect_path).map_err(|kind| error("canonicalize", path.as_bytes(), kind))
    }

    /// Size and free space of the file system that holds `path` (`statvfs@openssh.com`).
    ///
    /// # Errors
    /// The server's answer, a server without the extension, or the end of the connection.
    pub async fn statvfs(&self, path: impl Into<RemotePath>) -> Result<StatVfs, Error> {
        let path = path.into();
        self.need(Extension::StatVfs, "statvfs", &path).await?;
        let reply = self.ask(|client, out| client.statvfs(path.as_bytes(), out)).await;
        reply
            .and_then(|reply| match reply {
                Response::StatVfs(figures) => Ok(figures),
                other => Err(unexpected(other)),
            })
            .map_err(|kind| error("statvfs", path.as_bytes(), kind))
    }

    /// Changes owner, permissions or times of what is at `path`; of a link itself
    /// (`lsetstat@openssh.com`). A size cannot be changed so.
    ///
    /// # Errors
    /// The server's answer, a server without the extension, or the end of the connection.
    pub async fn set_symlink_attrs(
        &self,
        path: impl Into<RemotePath>,
        attrs: &Attrs,
    ) -> Result<(), Error> {
        let path = path.into();
        self.need(Extension::Lsetstat, "set_symlink_attrs", &path).await?;
        self.act("set_symlink_attrs", &path, |client, out| {
            client.lsetstat(path.as_bytes(), attrs, out)
        })
        .await
    }

    /// The absolute path of one in which `~` and `~user` at the beginning stand for homes
    /// (`expand-path@openssh.com`).
    ///
    /// # Errors
    /// The server's answer, a server without the extension, or the end of the connection.
    pub async fn expand_path(&self, path: impl Into<RemotePath>) -> Result<RemotePath, Error> {
        let path = path.into();
        self.need(Extension::ExpandPath, "expand_path", &path).await?;
        let reply = self.ask(|client, out| client.expand_path(path.as_bytes(), out)).await;
        reply.and_then(expect_path).map_err(|kind| error("expand_path", path.as_bytes(), kind))
    }

    /// Where a user is at home (`home-directory`); the one who is logged in if `user` is empty.
    ///
    /// # Errors
    /// The server's answer, which does not tell whether there is no such user; a server without
    /// the extension, or the end of the connection.
    pub async fn home_directory(&self, user: &str) -> Result<RemotePath, Error> {
        let name = RemotePath::from(user);
        self.need(Extension::HomeDirectory, "home_directory", &name).await?;
        let reply = self.ask(|client, out| client.home_directory(user.as_bytes(), out)).await;
        reply.and_then(expect_path).map_err(|kind| error("home_directory", user.as_bytes(), kind))
    }

    /// The server's names for numbers of users and groups (`users-groups-by-id@openssh.com`), in
    /// the order of the numbers; empty where it knows none.
    ///
    /// # Errors
    /// The server's answer, a server without the extension, or the end of the connection.
    pub async fn names_by_id(&self, users: &[u32], groups: &[u32]) -> Result<IdNames, Error> {
        self.need(Extension::UsersGroupsById, "names_by_id", &RemotePath::from("")).await?;
        let mut names = IdNames::default();
        let requests = (users.chunks(MAX_IDS).map(|users| (users, &[][..])))
            .chain(groups.chunks(MAX_IDS).map(|groups| (&[][..], groups)));
        for (users, groups) in requests {
            let reply = self.ask(|client, out| client.users_groups_by_id(users, groups, out)).await;
            let reply = reply.and_then(|reply| match reply {
                Response::IdNames(names) => Ok(names),
                other => Err(unexpected(other)),
            });
            let more = reply.map_err(|kind| error("names_by_id", &[], kind))?;
            names.users.extend(more.users);
            names.groups.extend(more.groups);
        }
        Ok(names)
    }

    async fn need(
        &self,
        extension: Extension,
        operation: &'static str,
        path: &RemotePath,
    ) -> Result<(), Error> {
        self.begun().await?;
        if self.has(extension) {
            return Ok(());
        }
        let kind = SftpErrorKind::Unsupported(extension.name());
        Err(error(operation, path.as_bytes(), kind))
    }

    /// A request and its reply.
    async fn ask(&self, request: impl Request) -> Result<Response, SftpErrorKind> {
        let ticket = self.engine.ticket();
        ticket.send_in_turn(request).await?;
        ticket.reply().await.map(|(_, reply)| reply)
    }

    /// A request that is answered with a status.
    async fn act(
        &self,
        operation: &'static str,
        path: &RemotePath,
        request: impl Request,
    ) -> Result<(), Error> {
        let reply = self.ask(request).await;
        reply.and_then(expect_ok).map_err(|kind| error(operation, path.as_bytes(), kind))
    }
}

/// Writes a request.
trait Request: FnOnce(&mut Codec, &mut Vec<u8>) -> Result<RequestId, sftp::RequestError> {}

impl<F> Request for F where
    F: FnOnce(&mut Codec, &mut Vec<u8>) -> Result<RequestId, sftp::RequestError>
{
}

fn error(operation: &'static str, path: &[u8], kind: SftpErrorKind) -> Error {
    Error::Sftp(Box::new(SftpError { operation, path: path.to_vec(), kind }))
}

/// What the codec has let through is of the right type, or it is a status.
fn unexpected(response: Response) -> SftpErrorKind {
    match response {
        Response::Status(status) => SftpErrorKind::Status(status),
        _ => SftpErrorKind::SubsystemEnded,
    }
}

fn expect_ok(response: Response) -> Result<(), SftpErrorKind> {
    match response {
        Response::Status(status) if status.code == StatusCode::Ok => Ok(()),
        other => Err(unexpected(other)),
    }
}

fn expect_handle(response: Response) -> Result<Handle, SftpErrorKind> {
    match response {
        Response::Handle(handle) => Ok(handle),
        other => Err(unexpected(other)),
    }
}

fn expect_attrs(response: Response) -> Result<Attrs, SftpErrorKind> {
    match response {
        Response::Attrs(attrs) => Ok(attrs),
        other => Err(unexpected(other)),
    }
}

fn expect_path(response: Response) -> Result<RemotePath, SftpErrorKind> {
    match response {
        Response::Path(path) => Ok(path.into()),
        other => Err(unexpected(other)),
    }
}
