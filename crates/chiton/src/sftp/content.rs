//! The whole content of a file: read, written, copied.

use core::future::poll_fn;
use std::sync::Arc;

use sftp::{Attrs, Extension, StatusCode};
use tokio::io::AsyncWriteExt;

use super::{File, OpenOptions, Permissions, RemotePath, Sftp, Times, error, file::unwrap_io};
use crate::error::{Error, SftpErrorKind};

/// How much of a file is read into memory by the calls that read all of it, in bytes: what a
/// program would want there at once. A server could else fill it.
pub const MAX_CONTENT: usize = 64 * 1024 * 1024;

impl Sftp {
    /// Reads a whole file into memory, at most [`MAX_CONTENT`] bytes.
    ///
    /// # Errors
    /// The server's answer, [`SftpErrorKind::ContentTooLong`], or the end of the connection.
    pub async fn read(&self, path: impl Into<RemotePath>) -> Result<Vec<u8>, Error> {
        self.read_up_to(path, MAX_CONTENT).await
    }

    /// Reads a whole file into memory, at most `limit` bytes.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_up_to(
        &self,
        path: impl Into<RemotePath>,
        limit: usize,
    ) -> Result<Vec<u8>, Error> {
        // Closing tells nothing about what was read, so it is not waited for.
        self.open_file(path).await?.read_to_vec_up_to(limit).await
    }

    /// Writes `bytes` as the whole content of a file, which is made or emptied first. Much of it is
    /// under way at a time, and all of it is confirmed at the end.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    ///
    /// # Cancel safety
    /// The file may hold a part.
    pub async fn write(&self, path: impl Into<RemotePath>, bytes: &[u8]) -> Result<(), Error> {
        let mut file = self.create(path).await?;
        file.write_all(bytes).await.map_err(unwrap_io)?;
        file.close().await
    }

    /// Copies the content and the permissions of a file to another, which is made or replaced, and
    /// says how many bytes. If the server can (`copy-data`), nothing of it comes here.
    ///
    /// Both may be one file; nothing happens to it then, on most servers at the price of an error.
    ///
    /// # Errors
    /// The server's answer, a file that got shorter meanwhile, or the end of the connection.
    ///
    /// # Cancel safety
    /// The other file may hold a part, and more behind it if it was longer.
    pub async fn copy(
        &self,
        from: impl Into<RemotePath>,
        to: impl Into<RemotePath>,
    ) -> Result<u64, Error> {
        let (from, to) = (from.into(), to.into());
        let source = self.open_file(&from).await?;
        let attrs = source.metadata().await?;
        if attrs.is_dir() {
            return Err(error("copy", from.as_bytes(), SftpErrorKind::IsADirectory));
        }
        // Not emptied: it may be the same file under another name.
        let mut options = OpenOptions::new().write(true).create(true);
        if let Some(permissions) = attrs.permissions {
            options = options.mode(permissions.mode());
        }
        let mut target = options.open(self, &to).await?;
        self.begun().await?;
        let copied = if self.has(Extension::CopyData) {
            copy_there(&source, attrs.size.unwrap_or(0), &target).await?
        } else {
            copy_through_us(source, &mut target).await?
        };
        let there = target.metadata().await?;
        if there.size.is_none_or(|size| size > copied) {
            target.set_len(copied).await?;
        }
        if let Some(permissions) = attrs.permissions
            && there.permissions.is_some_and(|there| there.mode() != permissions.mode())
        {
            target.set_attrs(&Attrs::with_mode(permissions.mode())).await?;
        }
        target.close().await?;
        Ok(copied)
    }

    /// Copies a file, with its permission bits, to a path of another session, which may be one with
    /// another server. If both are sessions of one connection, it is [`copy`](Self::copy); else
    /// the content goes through here, with reading and writing overlapped.
    ///
    /// # Errors
    /// The answer of either server, or the end of a connection.
    ///
    /// # Cancel safety
    /// The other file may hold a part.
    pub async fn copy_to(
        &self,
        from: impl Into<RemotePath>,
        other: &Self,
        to: impl Into<RemotePath>,
    ) -> Result<u64, Error> {
        let (from, to) = (from.into(), to.into());
        if self.is_beside(other) {
            return self.copy(from, to).await;
        }
        let source = self.open_file(&from).await?;
        let attrs = source.metadata().await?;
        if attrs.is_dir() {
            return Err(error("copy_to", from.as_bytes(), SftpErrorKind::IsADirectory));
        }
        // Not emptied: both sessions may lead to the same file.
        let mut options = OpenOptions::new().write(true).create(true);
        if let Some(permissions) = attrs.permissions {
            options = options.mode(permissions.mode() & 0o777);
        }
        let mut target = options.open(other, &to).await?;
        let copied = copy_through_us(source, &mut target).await?;
        if target.metadata().await?.size.is_none_or(|size| size > copied) {
            target.set_len(copied).await?;
        }
        target.close().await?;
        Ok(copied)
    }

    /// True for sessions of one connection.
    fn is_beside(&self, other: &Self) -> bool {
        let connections = self.client.as_ref().zip(other.client.as_ref());
        Arc::ptr_eq(&self.engine, &other.engine)
            || connections.is_some_and(|(one, other)| one.is_same(other))
    }

    /// Whether something is at `path`; links are followed.
    ///
    /// # Errors
    /// The server's answer, unless it is that there is no such file; or the end of the connection.
    pub async fn try_exists(&self, path: impl Into<RemotePath>) -> Result<bool, Error> {
        match self.metadata(path).await {
            Ok(_) => Ok(true),
            Err(error) if error.sftp_status() == Some(StatusCode::NoSuchFile) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Changes the permissions of what is at `path`; links are followed.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn set_permissions(
        &self,
        path: impl Into<RemotePath>,
        permissions: Permissions,
    ) -> Result<(), Error> {
        self.set_attrs(path, &Attrs::with_mode(permissions.mode())).await
    }

    /// Changes the times of what is at `path`; links are followed.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn set_times(&self, path: impl Into<RemotePath>, times: Times) -> Result<(), Error> {
        self.set_attrs(path, &Attrs { times: Some(times), ..Attrs::NONE }).await
    }
}

/// Lets the server copy `size` bytes; all there are if it does not tell how many, as of files in
/// `/proc`.
async fn copy_there(source: &File, size: u64, target: &File) -> Result<u64, Error> {
    if size > 0 {
        source.copy_range_to(0, Some(size), target, 0).await?;
        return Ok(size);
    }
    let before = target.metadata().await?;
    if before.size != Some(0) {
        target.set_len(0).await?;
    }
    source.copy_range_to(0, None, target, 0).await?;
    Ok(target.metadata().await?.size.unwrap_or(0))
}

/// Reads ahead and writes behind.
async fn copy_through_us(mut source: File, target: &mut File) -> Result<u64, Error> {
    let mut copied: u64 = 0;
    while let Some(piece) = poll_fn(|cx| source.poll_piece(cx)).await? {
        target.write_all(&piece).await.map_err(unwrap_io)?;
        copied = copied.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
    }
    target.flush().await.map_err(unwrap_io)?;
    Ok(copied)
}
