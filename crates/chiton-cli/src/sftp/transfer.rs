//! `get` and `put`: files and, with `-R`, trees.

use alloc::sync::Arc;
use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use chiton::{
    error::{Error, SftpErrorKind},
    sftp::{DirEntry, Progress as Done},
};
use sftp::{Attrs, FileType, attrs::Times, path::file_name};

use super::{
    command::TransferFlags,
    folder::{self, Folder, MODE},
    glob::{self, Local},
    remote::{Remote, explain, file_type},
    show,
    words::Word,
};
use crate::{
    failure::{Failure, Result, show_path},
    log::{print, say},
    progress::Progress,
};

/// How deep a tree may be: what is deeper is a loop or a trap (OpenSSH has the same bound).
pub(crate) const MAX_DEPTH: u32 = 64;

/// What transfers say and show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) quiet: bool,
    pub(crate) progress: bool,
    /// Files that are there are not emptied before they are written over.
    pub(crate) in_place: bool,
    /// Links in trees are taken for what they lead to.
    pub(crate) follow: bool,
    /// There is a command that goes on with what was broken off.
    pub(crate) resumable: bool,
    pub(crate) pace: Pace,
}

/// How much at once, and how fast; as the library thinks best unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Bytes in one request (`-B`).
    pub(crate) request: Option<u32>,
    /// Requests under way at most (`-R`).
    pub(crate) requests: Option<usize>,
    /// Bytes a second (`-l`, where they are Kbit).
    pub(crate) rate: Option<u64>,
}

/// A transfer of the library, done as the user wants it.
macro_rules! as_told {
    ($transfer:expr, $transfers:expr) => {{
        let Transfers { flags, manner, .. } = $transfers;
        let pace = manner.pace;
        let mut transfer = $transfer.resume(flags.resume).in_place(manner.in_place);
        transfer = transfer.limit_rate(pace.rate.unwrap_or(0));
        if let Some(bytes) = pace.request {
            transfer = transfer.request_len(bytes);
        }
        if let Some(requests) = pace.requests {
            transfer = transfer.requests(requests);
        }
        transfer
    }};
}

impl Pace {
    /// Takes the value of an option: `B`, `R`, `X` or `l`.
    pub(crate) fn set(&mut self, option: char, text: &str) -> Result<()> {
        let bad = |expected: &str| {
            let text = show(text.as_bytes());
            Failure::new(format_args!("-{option} {text}: expected {expected}"))
        };
        let number = |text: &str| text.parse::<u32>().ok().filter(|&number| number > 0);
        match option {
            'B' => self.request = Some(number(text).ok_or_else(|| bad("a number of bytes"))?),
            'R' => {
                let requests = number(text).and_then(|number| usize::try_from(number).ok());
                self.requests = Some(requests.ok_or_else(|| bad("a number of requests"))?);
            }
            'l' => {
                let kilobits = number(text).ok_or_else(|| bad("Kbit a second"))?;
                self.rate = Some(u64::from(kilobits).saturating_mul(1024 / 8));
            }
            _ => match text.split_once('=') {
                Some(("buffer", bytes)) => self.set('B', bytes)?,
                Some(("nrequests", requests)) => self.set('R', requests)?,
                _ => return Err(bad("buffer=bytes or nrequests=number")),
            },
        }
        Ok(())
    }
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
            let to = show_path(to);
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

    pub(crate) async fn get_one(&self, remote: &[u8], local: &Path) -> Result<Complete> {
        let attrs = self.remote.find(remote).await?;
        if attrs.is_dir() {
            if self.flags.recursive {
                return self.get_tree(remote, local).await;
            }
            let remote = show(remote);
            return Err(Failure::new(format_args!("\"{remote}\" is a directory; -r takes it")));
        }
        self.get_file(remote, local, None, &attrs).await.map(|()| true)
    }

    /// Downloads a directory with everything in it.
    async fn get_tree(&self, remote: &[u8], local: &Path) -> Result<Complete> {
        let mut complete = true;
        let top = Step::Enter { remote: remote.to_vec(), place: Place::At(local), depth: 0 };
        let mut pending = vec![top];
        while let Some(step) = pending.pop() {
            let done = match step {
                Step::Enter { remote, place, depth } if depth < MAX_DEPTH => {
                    self.get_directory(&remote, place, depth, &mut pending).await
                }
                Step::Enter { remote, .. } => Err(too_deep(&show(&remote))),
                Step::Leave { folder, attrs } => folder.preserve(&attrs).map(|()| true),
            };
            complete &= self.told(done);
        }
        Ok(complete)
    }

    /// Downloads the files of a directory, and notes the directories in it for later.
    async fn get_directory(
        &self,
        remote: &[u8],
        place: Place<'_>,
        depth: u32,
        pending: &mut Vec<Step<'_>>,
    ) -> Result<Complete> {
        if !self.manner.quiet {
            print(format_args!("Retrieving {}", show(remote)));
        }
        let attrs = self.remote.metadata(remote).await?;
        let folder = match place {
            Place::At(path) => Folder::at(path)?,
            Place::In(parent, name) => parent.folder(&name)?,
        };
        let mut entries = self.remote.read_dir(remote).await?;
        entries.sort_by(|a, b| a.file_name.cmp(&b.file_name));
        if self.flags.preserve {
            pending.push(Step::Leave { folder: folder.clone(), attrs });
        }
        let mut complete = true;
        for DirEntry { file_name, attrs, .. } in entries {
            // The library lets no name pass that is not a single component.
            let path = glob::join(remote, &file_name);
            let followed = self.manner.follow && file_type(&attrs) == Some(FileType::Symlink);
            let attrs = match if followed { self.remote.metadata(&path).await } else { Ok(attrs) } {
                Ok(attrs) => attrs,
                Err(failure) => {
                    complete = self.told(Err(failure));
                    continue;
                }
            };
            if attrs.is_dir() {
                let place = Place::In(folder.clone(), file_name);
                let depth = depth.saturating_add(1);
                pending.push(Step::Enter { remote: path, place, depth });
            } else if attrs.is_file() || file_type(&attrs).is_none() {
                let mode = attrs.permissions.map(sftp::Permissions::mode);
                let got = match folder.file(&file_name, mode) {
                    Ok((file, local)) => self.get_file(&path, &local, Some(file), &attrs).await,
                    Err(failure) => Err(failure),
                };
                complete &= self.told(got.map(|()| true));
            } else {
                say!(Info, "\"{}\" is not a regular file: left out.", show(&path));
            }
        }
        Ok(complete)
    }

    /// Downloads a file: to `local`, which is only its name if it is `open` already.
    async fn get_file(
        &self,
        remote: &[u8],
        local: &Path,
        open: Option<fs::File>,
        attrs: &Attrs,
    ) -> Result<()> {
        let shown = show_path(local);
        self.announce("Fetching", &show(remote), &shown);
        let partial = Partial::new(shown, self.manner.resumable.then_some("reget"));
        let progress = self.progress(remote);
        let bar = Arc::clone(&progress);
        let mut get = as_told!(self.remote.sftp.get(remote, local), self);
        let kept = match open {
            Some(file) => {
                let cannot = |error| Failure::local("open", local, &error);
                let kept = file.try_clone().map_err(cannot)?;
                get = get.into_file(file);
                Some(kept)
            }
            None => None,
        };
        let got = get.progress(move |Done { done, total, .. }| bar.update(done, total)).await;
        progress.finish();
        partial.check(got)?;
        if self.flags.sync || self.flags.preserve {
            let file = match kept {
                Some(file) => file,
                None => {
                    let cannot = |error| Failure::local("open", local, &error);
                    fs::File::open(local).map_err(cannot)?
                }
            };
            if self.flags.sync {
                let cannot = |error| Failure::local("write to the disk", local, &error);
                file.sync_all().map_err(cannot)?;
            }
            if self.flags.preserve {
                folder::preserve(&file, local, attrs)?;
            }
        }
        Ok(())
    }

    pub(crate) async fn put_one(&self, local: &Path, remote: &[u8]) -> Result<Complete> {
        let metadata = fs::metadata(local).map_err(|e| Failure::local("upload", local, &e))?;
        if metadata.is_dir() {
            if self.flags.recursive {
                return self.put_tree(local, remote).await;
            }
            let local = show_path(local);
            return Err(Failure::new(format_args!("{local} is a directory; -r takes it")));
        }
        if !metadata.is_file() {
            let local = show_path(local);
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
                complete = self.told(Err(too_deep(&show_path(&local))));
                continue;
            }
            if !self.manner.quiet {
                print(format_args!("Entering {}", show(local.as_os_str().as_bytes())));
            }
            let listed = list_local(&local, self.manner.follow);
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
        let partial =
            Partial::new(format!("remote {shown}"), self.manner.resumable.then_some("reput"));
        let progress = self.progress(local.as_os_str().as_bytes());
        let bar = Arc::clone(&progress);
        let sent = as_told!(self.remote.sftp.put(local, remote), self)
            .sync(self.flags.sync)
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
    pub(crate) async fn make_remote_directory(&self, path: &[u8]) -> Result<()> {
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

/// The files in a local directory by name; links are followed if asked for.
fn list_local(path: &Path, follow: bool) -> Result<Vec<(PathBuf, fs::Metadata)>> {
    let cannot = |error| Failure::local("read the directory", path, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(path).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        let metadata = if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
        // A link that leads nowhere, or a file that is gone meanwhile, is told when it is its turn.
        let metadata = metadata.or_else(|_| fs::symlink_metadata(&path)).map_err(cannot)?;
        entries.push((path, metadata));
    }
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(entries)
}

/// What is still to be done of a tree.
enum Step<'a> {
    /// Downloading a directory.
    Enter { remote: Vec<u8>, place: Place<'a>, depth: u32 },
    /// Giving it its mode and times, which putting something in changes: behind all of that.
    Leave { folder: Folder, attrs: Attrs },
}

/// Where a directory of a tree goes.
enum Place<'a> {
    /// The tree itself: where the user said.
    At(&'a Path),
    /// A directory in it.
    In(Folder, Vec<u8>),
}

/// A file that is being written. If the transfer is broken off, the user is told.
struct Partial {
    file: String,
    /// The command that goes on with it.
    again: Option<&'static str>,
    told: bool,
}

impl Partial {
    fn new(file: String, again: Option<&'static str>) -> Self {
        Self { file, again, told: false }
    }

    fn advice(&self) -> String {
        self.again.map(|again| format!("; {again} goes on")).unwrap_or_default()
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
        let (file, again) = (&self.file, self.advice());
        Err(Failure::new(format_args!("{failure}. {file} is incomplete{left}{again}")))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.told {
            say!(Error, "{} is incomplete{}.", self.file, self.advice());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_that_failed_says_what_is_left() {
        let whole = Partial::new("f".into(), Some("reget")).check(Ok(7));
        assert_eq!(whole, Ok(()));
        let error = Partial::new("f".into(), Some("reget")).check(Err(Error::Closed)).unwrap_err();
        assert!(!error.to_string().contains("incomplete"));
    }
}
