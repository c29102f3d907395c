//! Patterns in paths, replaced by the files of the server that fit.

use sftp::glob::Component;
use tokio::task::JoinSet;

use super::{RemotePath, Sftp, error};
use crate::error::{Error, SftpErrorKind};

/// The most paths one pattern may stand for: beyond it something is wrong, and memory is not
/// without end.
const MAX_MATCHES: usize = 1_000_000;

/// Directories that are listed at a time.
const AT_ONCE: usize = 32;

impl Sftp {
    /// The paths that fit a pattern, in order: `*`, `?`, `[a-z]` and `[!a-z]` stand for what they
    /// do in a shell, in each component of the path, and `\` before one of them takes that away.
    /// A name with a leading dot fits only a pattern that has it. A pattern without any of these
    /// is the path of a file if there is one.
    ///
    /// Directories are listed many at a time. One that cannot be read has nothing that fits.
    ///
    /// # Errors
    /// More than a million paths fit, or the connection ends.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn glob(&self, pattern: impl Into<RemotePath>) -> Result<Vec<RemotePath>, Error> {
        let pattern = pattern.into();
        let text = pattern.as_bytes();
        let start = if text.first() == Some(&b'/') { &b"/"[..] } else { b"" };
        let mut paths = vec![RemotePath::from(start)];
        let components: Vec<Component> = text
            .split(|byte| *byte == b'/')
            .filter(|component| !component.is_empty())
            .map(Component::parse)
            .collect();
        let count = components.len();
        for (at, component) in components.into_iter().enumerate() {
            let last = at.saturating_add(1) == count && text.last() != Some(&b'/');
            paths = match component {
                Component::Name(name) => paths.iter().map(|path| path.join(&name)).collect(),
                Component::Pattern(pattern) => self.fitting(paths, &pattern, last).await?,
            };
            if paths.len() > MAX_MATCHES {
                let kind = SftpErrorKind::ListingTooLong { limit: MAX_MATCHES };
                return Err(error("glob", text, kind));
            }
        }
        let mut paths = self.existing(paths).await?;
        paths.sort();
        Ok(paths)
    }

    /// What fits in these directories.
    async fn fitting(
        &self,
        directories: Vec<RemotePath>,
        pattern: &sftp::glob::Pattern,
        last: bool,
    ) -> Result<Vec<RemotePath>, Error> {
        let mut found = Vec::new();
        let mut waiting = directories.into_iter();
        let mut listing = JoinSet::new();
        loop {
            while listing.len() < AT_ONCE
                && let Some(directory) = waiting.next()
            {
                let sftp = self.clone();
                listing.spawn(async move {
                    let path = if directory.as_bytes().is_empty() {
                        ".".into()
                    } else {
                        directory.clone()
                    };
                    (directory, sftp.list_dir(path).await)
                });
            }
            let Some(listed) = listing.join_next().await else { return Ok(found) };
            // A task that does not end well was cancelled with its runtime.
            let Ok((directory, entries)) = listed else { continue };
            let entries = match entries {
                Ok(entries) => entries,
                Err(error) if self.ended().is_some() => return Err(error),
                Err(_) => continue,
            };
            for entry in entries {
                // A link may be a directory; whether it is, the next listing shows.
                let may_be = last || entry.attrs.is_dir() || entry.attrs.is_symlink();
                if may_be && pattern.matches(&entry.file_name) {
                    found.push(directory.join(&entry.file_name));
                }
            }
        }
    }

    /// Those of these paths at which there is something.
    async fn existing(&self, paths: Vec<RemotePath>) -> Result<Vec<RemotePath>, Error> {
        let mut there = Vec::new();
        let mut waiting = paths.into_iter();
        let mut asking = JoinSet::new();
        loop {
            while asking.len() < AT_ONCE
                && let Some(path) = waiting.next()
            {
                let sftp = self.clone();
                asking.spawn(async move { (sftp.symlink_metadata(&path).await, path) });
            }
            let Some(asked) = asking.join_next().await else { return Ok(there) };
            match asked {
                Ok((Ok(_), path)) => there.push(path),
                Ok((Err(error), _)) if self.ended().is_some() => return Err(error),
                _ => {}
            }
        }
    }
}
