//! `get` and `put`: files and, with `-R`, trees.

use alloc::sync::Arc;
use core::time::Duration;
use std::{
    ffi::OsStr,
    fs,
    io::ErrorKind,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use chiton::{
    error::{Error, SftpErrorKind},
    sftp::Progress as Done,
};
use sftp::{Attrs, attrs::Times, path::file_name};

use super::{
    command::TransferFlags,
    glob::{self, Local},
    remote::{Remote, explain, file_type},
    show,
    words::Word,
};
use crate::{
    failure::{Failure, Result},
    log::{print, say},
    progress::Progress,
};

/// How deep a tree may be: what is deeper is a loop or a trap (OpenSSH has the same bound).
const MAX_DEPTH: u32 = 64;

/// Permission bits that are copied.
const MODE: u32 = 0o777;

/// What transfers say and show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) quiet: bool,
    pub(crate) progress: bool,
}

/// True if every part went well. What went wrong was said already.
pub(crate) type Complete = bool;

/// Moves files between the two sides.
#[derive(Debug)]
pub(crate) struct Transfers<'a> {
    pub(crate) remote: &'a Remote,
    pub(crate) flags: TransferFlags,
    pub(crate) manner: Manner,
}

fn local_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

impl Transfers<'_> {
    /// Downloads what a word stands for.
    pub(crate) async fn get(&self, from: &Word, to: Option<&Word>) -> Result<Complete> {
        let paths = self.remote.expand(from).await?;
        let to = to.map(|word| local_path(word.bytes()));
        let to_directory = to.as_deref().is_some_and(Path::is_dir);
        if let (Some(to), [_, _, ..], false) = (&to, paths.as_slice(), to_directory) {
            let to = to.display();
            return Err(Failure::new(format_args!("several files fit, but {to} is no directory")));
        }
        let mut complete = true;
        for path in paths {
            let target = match (&to, file_name(&path)) {
                (Some(to), Some(name)) if to_directory => to.join(OsStr::from_bytes(name)),
                (Some(to), _) => to.clone(),
                (None, Some(name)) => local_path(name),
                (None, None) => {
                    let path = show(&path);
                    say!(Error, "\"{path}\" has no name of its own; say where it is to go.");
                    complete = false;
                    continue;
                }
            };
            complete &= self.told(self.get_one(&path, &target).await);
        }
        Ok(complete)
    }

    /// Uploads what a word stands for.
    pub(crate) async fn put(&self, from: &Word, to: Option<&Word>) -> Result<Complete> {
        if self.flags.sync {
            return Err(Failure::new("put -f: not supported yet"));
        }
        let paths = glob::expand(from, &Local).await?;
        let to = to.map(|word| self.remote.path(word));
        let to_directory = match &to {
            Some(to) => self.remote.metadata(to).await.is_ok_and(|attrs| attrs.is_dir()),
            None => false,
        };
        if let (Some(to), [_, _, ..], false) = (&to, paths.as_slice(), to_directory) {
            let to = show(to);
            return Err(Failure::new(format_args!(
                "several files fit, but remote \"{to}\" is no directory"
            )));
        }
        let mut complete = true;
        for path in paths {
            let target = match (&to, file_name(&path)) {
                (Some(to), Some(name)) if to_directory => glob::join(to, name),
                (Some(to), _) => to.clone(),
                (None, Some(name)) => glob::join(&self.remote.directory, name),
                (None, None) => {
                    let path = show(&path);
                    say!(Error, "\"{path}\" has no name of its own; say where it is to go.");
                    complete = false;
                    continue;
                }
            };
            complete &= self.told(self.put_one(&local_path(&path), &target).await);
        }
        Ok(complete)
    }

    /// Says what went wrong.
    fn told(&self, result: Result<Complete>) -> Complete {
        result.unwrap_or_else(|failure| {
            say!(Error, "{failure}");
            false
        })
    }

    fn announce(&self, verb: &str, from: &str, to: &str) {
        if !self.manner.quiet {
            let verb = if self.flags.resume { "Resuming" } else { verb };
            print(format_args!("{verb} {from} to {to}"));
        }
    }

    async fn get_one(&self, remote: &[u8], local: &Path) -> Result<Complete> {
        let attrs = self.remote.metadata(remote).await?;
        if attrs.is_dir() {
            if self.flags.recursive {
                return self.get_tree(remote, local).await;
            }
            let remote = show(remote);
            return Err(Failure::new(format_args!("\"{remote}\" is a directory; get -R takes it")));
        }
        self.get_file(remote, local, &attrs).await.map(|()| true)
    }

    /// Downloads a directory with everything in it.
    async fn get_tree(&self, remote: &[u8], local: &Path) -> Result<Complete> {
        let mut complete = true;
        let mut pending = vec![(remote.to_vec(), local.to_path_buf(), 0_u32)];
        // Times and modes of directories are set last: what is put in changes them.
        let mut directories = Vec::new();
        while let Some((remote, local, depth)) = pending.pop() {
            if depth >= MAX_DEPTH {
                complete = self.told(Err(too_deep(&show(&remote))));
                continue;
            }
            if !self.manner.quiet {
                print(format_args!("Retrieving {}", show(&remote)));
            }
            let attrs = self.remote.metadata(&remote).await;
            let listed = make_local_directory(&local).and(attrs);
            let (attrs, mut entries) = match (listed, self.remote.read_dir(&remote).await) {
                (Ok(attrs), Ok(entries)) => (attrs, entries),
                (Err(failure), _) | (_, Err(failure)) => {
                    complete = self.told(Err(failure));
                    continue;
                }
            };
            directories.push((local.clone(), attrs));
            entries.sort_by(|a, b| a.file_name.cmp(&b.file_name));
            for entry in &entries {
                // The library lets no name pass that is not a single component.
                let path = glob::join(&remote, &entry.file_name);
                let target = local.join(OsStr::from_bytes(&entry.file_name));
                if entry.attrs.is_dir() {
                    pending.push((path, target, depth.saturating_add(1)));
                } else if entry.attrs.is_file() || file_type(&entry.attrs).is_none() {
                    let got = match refuse_link(&target) {
                        Ok(()) => self.get_file(&path, &target, &entry.attrs).await,
                        Err(failure) => Err(failure),
                    };
                    complete &= self.told(got.map(|()| true));
                } else {
                    say!(Info, "\"{}\" is not a regular file: left out.", show(&path));
                }
            }
        }
        if self.flags.preserve {
            for (local, attrs) in directories.iter().rev() {
                complete &= self.told(preserve_local(local, attrs).map(|()| true));
            }
        }
        Ok(complete)
    }

    async fn get_file(&self, remote: &[u8], local: &Path, attrs: &Attrs) -> Result<()> {
        let shown = show(local.as_os_str().as_bytes());
        self.announce("Fetching", &show(remote), &shown);
        let partial = Partial::new(shown, "reget");
        let progress = self.progress(remote);
        let bar = Arc::clone(&progress);
        let got = self
            .remote
            .sftp
            .get(remote, local)
            .resume(self.flags.resume)
            .progress(move |Done { done, total, .. }| bar.update(done, total))
            .await;
        progress.finish();
        partial.check(got)?;
        if self.flags.sync {
            let synced = fs::File::open(local).and_then(|file| file.sync_all());
            synced.map_err(|error| Failure::local("write to the disk", local, &error))?;
        }
        if self.flags.preserve {
            preserve_local(local, attrs)?;
        }
        Ok(())
    }

    async fn put_one(&self, local: &Path, remote: &[u8]) -> Result<Complete> {
        let metadata = fs::metadata(local).map_err(|e| Failure::local("upload", local, &e))?;
        if metadata.is_dir() {
            if self.flags.recursive {
                return self.put_tree(local, remote).await;
            }
            let local = local.display();
            return Err(Failure::new(format_args!("{local} is a directory; put -R takes it")));
        }
        if !metadata.is_file() {
            let local = local.display();
            return Err(Failure::new(format_args!("{local} is not a regular file")));
        }
        self.put_file(local, remote, &metadata).await.map(|()| true)
    }

    /// Uploads a directory with everything in it.
    async fn put_tree(&self, local: &Path, remote: &[u8]) -> Result<Complete> {
        let mut complete = true;
        let mut pending = vec![(local.to_path_buf(), remote.to_vec(), 0_u32)];
        let mut directories = Vec::new();
        while let Some((local, remote, depth)) = pending.pop() {
            if depth >= MAX_DEPTH {
                complete = self.told(Err(too_deep(&local.display().to_string())));
                continue;
            }
            if !self.manner.quiet {
                print(format_args!("Entering {}", show(local.as_os_str().as_bytes())));
            }
            let listed = list_local(&local);
            let entries = match (listed, self.make_remote_directory(&remote).await) {
                (Ok(entries), Ok(())) => entries,
                (Err(failure), _) | (_, Err(failure)) => {
                    complete = self.told(Err(failure));
                    continue;
                }
            };
            if let Ok(metadata) = fs::metadata(&local) {
                directories.push((remote.clone(), metadata));
            }
            for (path, metadata) in entries {
                let name = path.file_name().unwrap_or_default();
                let target = glob::join(&remote, name.as_bytes());
                if metadata.is_dir() {
                    pending.push((path, target, depth.saturating_add(1)));
                } else if metadata.is_file() {
                    let sent = self.put_file(&path, &target, &metadata).await;
                    complete &= self.told(sent.map(|()| true));
                } else {
                    let path = show(path.as_os_str().as_bytes());
                    say!(Info, "\"{path}\" is not a regular file: left out.");
                }
            }
        }
        if self.flags.preserve {
            for (remote, metadata) in directories.iter().rev() {
                complete &= self.told(self.preserve_remote(remote, metadata).await.map(|()| true));
            }
        }
        Ok(complete)
    }

    async fn put_file(&self, local: &Path, remote: &[u8], metadata: &fs::Metadata) -> Result<()> {
        let shown = show(remote);
        self.announce("Uploading", &show(local.as_os_str().as_bytes()), &shown);
        let partial = Partial::new(format!("remote {shown}"), "reput");
        let progress = self.progress(local.as_os_str().as_bytes());
        let bar = Arc::clone(&progress);
        let sent = self
            .remote
            .sftp
            .put(local, remote)
            .resume(self.flags.resume)
            .progress(move |Done { done, total, .. }| bar.update(done, total))
            .await;
        progress.finish();
        partial.check(sent)?;
        if self.flags.preserve {
            self.preserve_remote(remote, metadata).await?;
        }
        Ok(())
    }

    fn progress(&self, path: &[u8]) -> Arc<Progress> {
        let name = show(file_name(path).unwrap_or(path));
        Arc::new(Progress::new(&name, self.manner.progress))
    }

    /// Makes a directory unless it is there.
    async fn make_remote_directory(&self, path: &[u8]) -> Result<()> {
        match self.remote.sftp.create_dir(path).await {
            Ok(()) => Ok(()),
            Err(error) => match self.remote.metadata(path).await {
                Ok(attrs) if attrs.is_dir() => Ok(()),
                _ => Err(explain(error)),
            },
        }
    }

    async fn preserve_remote(&self, remote: &[u8], metadata: &fs::Metadata) -> Result<()> {
        let seconds = |time: i64| u32::try_from(time).unwrap_or_default();
        let attrs = Attrs {
            times: Some(Times {
                accessed: seconds(metadata.atime()),
                modified: seconds(metadata.mtime()),
            }),
            ..Attrs::with_mode(metadata.mode() & MODE)
        };
        self.remote.sftp.set_attrs(remote, &attrs).await.map_err(explain)
    }
}

fn too_deep(path: &str) -> Failure {
    Failure::new(format_args!("\"{path}\" is more than {MAX_DEPTH} directories deep: left out"))
}

/// Makes a directory unless it is there. A link in its place is not followed.
fn make_local_directory(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {
            refuse_link(path)
        }
        Err(error) => Err(Failure::local("make the directory", path, &error)),
    }
}

/// Inside of a tree nothing is written through links: they could lead out of it.
fn refuse_link(path: &Path) -> Result<()> {
    if path.is_symlink() {
        let path = path.display();
        return Err(Failure::new(format_args!("{path} is a symbolic link: not written through")));
    }
    Ok(())
}

/// The files in a local directory by name; links are not followed.
fn list_local(path: &Path) -> Result<Vec<(PathBuf, fs::Metadata)>> {
    let cannot = |error| Failure::local("read the directory", path, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        entries.push((entry.path(), entry.metadata().map_err(cannot)?));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// Gives a local file the mode and the times of the remote one.
fn preserve_local(path: &Path, attrs: &Attrs) -> Result<()> {
    let cannot = |error| Failure::local("set mode and times of", path, &error);
    if let Some(permissions) = attrs.permissions {
        let mode = fs::Permissions::from_mode(permissions.mode() & MODE);
        fs::set_permissions(path, mode).map_err(cannot)?;
    }
    if let Some(times) = attrs.times {
        let time = |seconds: u32| -> SystemTime {
            UNIX_EPOCH.checked_add(Duration::from_secs(seconds.into())).unwrap_or(UNIX_EPOCH)
        };
        let times = fs::FileTimes::new()
            .set_accessed(time(times.accessed))
            .set_modified(time(times.modified));
        let file = fs::File::open(path).map_err(cannot)?;
        file.set_times(times).map_err(cannot)?;
    }
    Ok(())
}

/// A file that is being written. If the transfer is broken off, the user is told.
struct Partial {
    file: String,
    again: &'static str,
    told: bool,
}

impl Partial {
    fn new(file: String, again: &'static str) -> Self {
        Self { file, again, told: false }
    }

    /// Takes the transfer's result, and says in its error what is left behind.
    fn check(mut self, result: core::result::Result<u64, Error>) -> Result<()> {
        self.told = true;
        let Err(error) = result else { return Ok(()) };
        let left = match &error {
            Error::Sftp(inner) => match &inner.kind {
                // What a full disk has kept is not what was received.
                SftpErrorKind::Interrupted { cause, .. }
                    if matches!(**cause, SftpErrorKind::Local(_)) =>
                {
                    Some(String::new())
                }
                SftpErrorKind::Interrupted { confirmed, .. } => {
                    Some(format!(": {confirmed} bytes of it are there"))
                }
                _ => None,
            },
            _ => None,
        };
        let failure = explain(error);
        let Some(left) = left else { return Err(failure) };
        let Self { file, again, .. } = &self;
        Err(Failure::new(format_args!("{failure}. {file} is incomplete{left}; {again} goes on")))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.told {
            say!(Error, "{} is incomplete; {} goes on.", self.file, self.again);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_through_links() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert!(refuse_link(&link).is_err());
        assert!(make_local_directory(&link).is_err());
        assert!(refuse_link(&folder.path().join("new")).is_ok());
        let plain = folder.path().join("plain");
        make_local_directory(&plain).unwrap();
        make_local_directory(&plain).unwrap();
    }

    #[test]
    fn modes_and_times_are_copied_without_special_bits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "x").unwrap();
        let times = Some(Times { accessed: 5, modified: 7 });
        preserve_local(&path, &Attrs { times, ..Attrs::with_mode(0o4640) }).unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!(metadata.mtime(), 7);
    }

    #[test]
    fn a_transfer_that_failed_says_what_is_left() {
        let whole = Partial::new("f".into(), "reget").check(Ok(7));
        assert_eq!(whole, Ok(()));
        let error = Partial::new("f".into(), "reget").check(Err(Error::Closed)).unwrap_err();
        assert!(!error.to_string().contains("incomplete"));
    }
}
