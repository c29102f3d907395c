//! How to open a file.

use sftp::{Attrs, OpenFlags};

use super::{
    super::{RemotePath, Sftp, error, expect_handle},
    File,
};
use crate::error::Error;

/// How to open a file, as [`tokio::fs::OpenOptions`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct OpenOptions {
    flags: OpenFlags,
    attrs: Option<Attrs>,
}

impl OpenOptions {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    const fn set(&mut self, flag: OpenFlags, yes: bool) {
        let bits = self.flags.bits();
        let bits = if yes { bits | flag.bits() } else { bits & !flag.bits() };
        self.flags = OpenFlags::from_bits(bits);
    }

    /// For reading.
    pub fn read(mut self, yes: bool) -> Self {
        self.set(OpenFlags::READ, yes);
        self
    }

    /// For writing.
    pub fn write(mut self, yes: bool) -> Self {
        self.set(OpenFlags::WRITE, yes);
        self
    }

    /// For writing at the end, wherever that is by then.
    pub fn append(mut self, yes: bool) -> Self {
        self.set(OpenFlags::APPEND, yes);
        if yes { self.write(true) } else { self }
    }

    /// Creates the file if it is not there.
    pub fn create(mut self, yes: bool) -> Self {
        self.set(OpenFlags::CREATE, yes);
        self
    }

    /// Creates the file and fails if it is there.
    pub fn create_new(mut self, yes: bool) -> Self {
        self.set(OpenFlags::EXCLUSIVE, yes);
        if yes { self.create(true) } else { self }
    }

    /// Empties the file.
    pub fn truncate(mut self, yes: bool) -> Self {
        self.set(OpenFlags::TRUNCATE, yes);
        self
    }

    /// The permissions of a file that is created, before the server's umask.
    pub const fn mode(mut self, mode: u32) -> Self {
        self.attrs = Some(Attrs::with_mode(mode));
        self
    }

    /// Opens a file.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    ///
    /// # Cancel safety
    /// A handle that arrives for nobody is closed; a file that was created stays.
    pub async fn open(&self, sftp: &Sftp, path: impl Into<RemotePath>) -> Result<File, Error> {
        let path = path.into();
        let attrs = self.attrs.unwrap_or(Attrs::NONE);
        let reply =
            sftp.ask(|client, out| client.open(path.as_bytes(), self.flags, &attrs, out)).await;
        let handle =
            reply.and_then(expect_handle).map_err(|kind| error("open", path.as_bytes(), kind))?;
        Ok(File::new(sftp.clone(), path, handle))
    }
}
