//! The other side as `sftp` sees it: a current directory, and files named from there.

use chiton::{Sftp, sftp::DirEntry};
use sftp::{Attrs, FileType};

use super::{
    glob::{self, Tree},
    listing::Entry,
    words::Word,
};
use crate::{
    advice,
    failure::{Failure, Result},
};

/// An SFTP session with a current directory.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    pub(crate) sftp: Sftp,
    /// Absolute, as the server spells it; empty as long as nobody needed it. Paths are the
    /// server's to complete then.
    pub(crate) directory: Vec<u8>,
    /// Where the session began; empty if that is not known.
    start: Vec<u8>,
}

/// An error of the library, for the user.
pub(crate) fn explain(error: chiton::Error) -> Failure {
    Failure::new(advice::explain(&error, None))
}

impl Remote {
    /// A session whose current directory nobody has asked for: on a long link the question takes
    /// time, and paths that begin at the root do not need it.
    pub(crate) const fn new(sftp: Sftp) -> Self {
        Self { sftp, directory: Vec::new(), start: Vec::new() }
    }

    /// Asks where the session begins, unless that is known.
    pub(crate) async fn settle(&mut self) -> Result<()> {
        if self.start.is_empty() {
            self.start = self.sftp.canonicalize(".").await.map_err(explain)?.into_bytes();
            self.directory.clone_from(&self.start);
        }
        Ok(())
    }

    /// The path of a word, from the current directory on.
    pub(crate) fn path(&self, word: &Word) -> Vec<u8> {
        self.absolute(word).bytes().to_vec()
    }

    fn absolute(&self, word: &Word) -> Word {
        if word.is_absolute() {
            word.clone()
        } else {
            word.with_prefix(&glob::join(&self.directory, b""))
        }
    }

    /// The paths a word stands for.
    pub(crate) async fn expand(&self, word: &Word) -> Result<Vec<Vec<u8>>> {
        glob::expand(&self.absolute(word), self).await
    }

    /// A path as it is shown: without the current directory in front, unless the user wrote it.
    pub(crate) fn shorten<'a>(&self, path: &'a [u8], word: Option<&Word>) -> &'a [u8] {
        if word.is_some_and(Word::is_absolute) {
            return path;
        }
        let prefix = glob::join(&self.directory, b"");
        path.strip_prefix(prefix.as_slice()).filter(|rest| !rest.is_empty()).unwrap_or(path)
    }

    /// Goes to another directory.
    pub(crate) async fn change(&mut self, word: Option<&Word>) -> Result<()> {
        let path = word.map_or_else(|| self.start.clone(), |word| self.path(word));
        let path = self.sftp.canonicalize(path).await.map_err(explain)?.into_bytes();
        let attrs = self.sftp.metadata(path.clone()).await.map_err(explain)?;
        if !is_directory(&attrs) {
            let path = super::show(&path);
            return Err(Failure::new(format_args!("\"{path}\" is not a directory")));
        }
        self.directory = path;
        Ok(())
    }

    /// What the server says about a file; links are followed.
    pub(crate) async fn metadata(&self, path: &[u8]) -> Result<Attrs> {
        self.sftp.metadata(path).await.map_err(explain)
    }

    /// What the server says about a file that is looked for under its name, as a pattern would:
    /// a server that shows no names does not give the file either.
    pub(crate) async fn find(&self, path: &[u8]) -> Result<Attrs> {
        let attrs = self.sftp.symlink_metadata(path).await.map_err(explain)?;
        match file_type(&attrs) {
            None | Some(FileType::Symlink) => self.metadata(path).await,
            Some(_) => Ok(attrs),
        }
    }

    /// Copies a file on the other side: without its coming here, if the server can do that.
    pub(crate) async fn copy(&self, from: &[u8], to: &[u8]) -> Result<()> {
        self.sftp.copy(from, to).await.map(drop).map_err(explain)
    }

    pub(crate) async fn read_dir(&self, path: &[u8]) -> Result<Vec<DirEntry>> {
        self.sftp.list_dir(path).await.map_err(explain)
    }
}

impl Tree for Remote {
    async fn list(&self, directory: &[u8]) -> Result<Vec<(Vec<u8>, bool)>> {
        let directory = if directory.is_empty() { b"." } else { directory };
        let entries = self.read_dir(directory).await?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.file_name, may_be_directory(&entry.attrs)))
            .collect())
    }

    async fn exists(&self, path: &[u8]) -> bool {
        self.sftp.symlink_metadata(path).await.is_ok()
    }

    async fn is_directory(&self, path: &[u8]) -> bool {
        self.sftp.metadata(path).await.is_ok_and(|attrs| is_directory(&attrs))
    }
}

/// The type of a file, if the server says it.
pub(crate) fn file_type(attrs: &Attrs) -> Option<FileType> {
    attrs.permissions.and_then(|permissions| permissions.file_type())
}

pub(crate) fn is_directory(attrs: &Attrs) -> bool {
    file_type(attrs) == Some(FileType::Directory)
}

/// True for directories, for links that may lead to one, and where the server says nothing.
fn may_be_directory(attrs: &Attrs) -> bool {
    matches!(file_type(attrs), None | Some(FileType::Directory | FileType::Symlink))
}

/// A file as `ls` lists it.
pub(crate) fn entry(name: Vec<u8>, long_name: Vec<u8>, attrs: &Attrs) -> Entry {
    Entry {
        name,
        long_name,
        mode: attrs.permissions.map(|permissions| permissions.bits()),
        owner: attrs.owner.map(|owner| (owner.uid, owner.gid)),
        size: attrs.size,
        modified: attrs.times.map(|times| times.modified),
    }
}
