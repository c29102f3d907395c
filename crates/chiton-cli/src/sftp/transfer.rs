//! `get` and `put`: files and, with `-R`, trees.

use alloc::sync::Arc;
use core::pin::pin;
use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use chiton::{
    error::{Error, SftpErrorKind},
    sftp::{Attrs, FileEvent, FileState, Links, Monitor, Progress as Done, Report, SkipReason},
};
use sftp::path::file_name;

use super::{
    command::TransferFlags,
    glob::{self, Local},
    remote::{Remote, explain},
    show,
    words::Word,
};
use crate::{
    failure::{Failure, Result, show_path},
    log::say,
    progress::Progress,
};

/// How deep a tree may be that is copied without the library's engine (which has the same bound):
/// what is deeper is a loop or a trap.
pub(crate) const MAX_DEPTH: u32 = 64;

/// What transfers say and show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) quiet: bool,
    pub(crate) progress: bool,
    /// Files that are there are not emptied before they are written over.
    pub(crate) in_place: bool,
    /// Links in trees are taken for the files they lead to.
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
        let links = if manner.follow { Links::Follow } else { Links::Skip };
        let mut transfer = $transfer.resume(flags.resume).in_place(manner.in_place).links(links);
        transfer = transfer.preserve(flags.preserve).sync(flags.sync).on_this_thread(true);
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

/// Does `work` while `find` looks whether there is something to do, and drops it if not.
async fn found_first<T>(
    find: Option<impl Future<Output = Result<Attrs>>>,
    work: impl Future<Output = T>,
) -> Result<T> {
    let mut work = pin!(work);
    if let Some(find) = find {
        tokio::select! {
            biased;
            found = find => drop(found?),
            done = &mut work => return Ok(done),
        }
    }
    Ok(work.await)
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

    /// Downloads a file, or a directory with everything in it.
    pub(crate) async fn get_one(&self, remote: &[u8], local: &Path) -> Result<Complete> {
        let find = self.remote.find(remote);
        // What is no tree is looked for, looked at and opened in one round trip.
        let (tree, find) = match self.flags.recursive {
            true => (find.await?.is_dir(), None),
            false => (false, Some(find)),
        };
        let again = self.manner.resumable.then_some("reget");
        let (monitor, bar) = (Monitor::new(), self.progress(remote));
        let shown = Arc::clone(&bar);
        let get = as_told!(self.remote.sftp.get(remote, local), self)
            .recursive(tree)
            .monitor(&monitor)
            .progress(move |Done { done, total, .. }| shown.update(done, total))
            .report();
        let local = Where { from: remote, to: local };
        let mut partial = Partial::new(show_path(local.to), again, &monitor);
        let report = self.watched(get, &monitor, &bar, |event| match event.state {
            FileState::Directory => Some(format!("Retrieving {}", show(event.remote.as_bytes()))),
            FileState::Started { .. } => {
                let (from, to) = (show(event.remote.as_bytes()), show_path(&event.local));
                Some(format!("{} {from} to {to}", self.verb("Fetching")))
            }
            _ => None,
        });
        let report = found_first(find, report).await;
        bar.finish();
        // Nothing was begun of what is not there.
        let report = report.inspect_err(|_| partial.told = true)?;
        let directory = |error: &Error| matches!(error, Error::Sftp(e) if matches!(e.kind, SftpErrorKind::IsADirectory));
        if !tree && report.failures.iter().any(directory) {
            partial.told = true;
            let remote = show(remote);
            return Err(Failure::new(format_args!("\"{remote}\" is a directory; -r takes it")));
        }
        self.conclude(report, partial, tree, |path| show_path(&local.of(path)))
    }

    /// Uploads a file, or a directory with everything in it.
    pub(crate) async fn put_one(&self, local: &Path, remote: &[u8]) -> Result<Complete> {
        let metadata = fs::metadata(local).map_err(|e| Failure::local("upload", local, &e))?;
        let (tree, shown) = (metadata.is_dir(), show_path(local));
        if tree && !self.flags.recursive {
            return Err(Failure::new(format_args!("{shown} is a directory; -r takes it")));
        }
        if !tree && !metadata.is_file() {
            return Err(Failure::new(format_args!("{shown} is not a regular file")));
        }
        let again = self.manner.resumable.then_some("reput");
        let (monitor, bar) = (Monitor::new(), self.progress(local.as_os_str().as_bytes()));
        let moving = Arc::clone(&bar);
        let put = as_told!(self.remote.sftp.put(local, remote), self)
            .recursive(tree)
            .monitor(&monitor)
            .progress(move |Done { done, total, .. }| moving.update(done, total))
            .report();
        let mut partial = Partial::new(format!("remote {}", show(remote)), again, &monitor);
        partial.links = "a symbolic link that leads nowhere or back to where it is";
        let report = self.watched(put, &monitor, &bar, |event| match event.state {
            FileState::Directory => Some(format!("Entering {}", show_path(&event.local))),
            FileState::Started { .. } => {
                let (from, to) = (show_path(&event.local), show(event.remote.as_bytes()));
                Some(format!("{} {from} to {to}", self.verb("Uploading")))
            }
            _ => None,
        });
        let report = report.await;
        bar.finish();
        self.conclude(report, partial, tree, |path| format!("remote {}", show(path)))
    }

    fn verb<'a>(&self, verb: &'a str) -> &'a str {
        if self.flags.resume { "Resuming" } else { verb }
    }

    /// Does a transfer, and tells of what it does unless nobody wants to know.
    async fn watched(
        &self,
        work: impl Future<Output = Report>,
        monitor: &Monitor,
        bar: &Progress,
        line: impl Fn(&FileEvent) -> Option<String>,
    ) -> Report {
        if self.manner.quiet {
            return work.await;
        }
        monitor.listen();
        let tell = async {
            while let Some(event) = monitor.event().await {
                if let Some(line) = line(&event) {
                    bar.print(line);
                }
            }
        };
        tokio::join!(work, tell).0
    }

    /// Says what a transfer has left out and what went wrong, each with what it has left behind:
    /// `place` tells how a file is called where it goes to. What went wrong with a single file is
    /// the error.
    fn conclude(
        &self,
        report: Report,
        mut partial: Partial,
        tree: bool,
        place: impl Fn(&[u8]) -> String,
    ) -> Result<Complete> {
        partial.told = true;
        for skipped in &report.skipped {
            let reason = match skipped.reason {
                SkipReason::Link if self.manner.follow => partial.links,
                reason => &reason.to_string(),
            };
            say!(Info, "\"{}\" is {reason}: left out.", show(skipped.path.as_bytes()));
        }
        let complete = report.is_complete();
        let listed = u64::try_from(report.failures.len()).unwrap_or(u64::MAX);
        let more = report.failed.saturating_sub(listed);
        for error in report.failures {
            let file = match &error {
                Error::Sftp(inner) if tree => place(&inner.path),
                _ => partial.file.clone(),
            };
            let failure = partial.explain(error, &file);
            if !tree {
                return Err(failure);
            }
            say!(Error, "{failure}");
        }
        if more > 0 {
            say!(Error, "{more} more could not be copied.");
        }
        Ok(complete)
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
}

/// Where a remote tree goes on this side.
#[derive(Clone, Copy)]
struct Where<'a> {
    from: &'a [u8],
    to: &'a Path,
}

impl Where<'_> {
    /// Where a file of it goes.
    fn of(&self, path: &[u8]) -> PathBuf {
        let rest = path.strip_prefix(self.from).unwrap_or_default();
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        if rest.is_empty() { self.to.to_path_buf() } else { self.to.join(OsStr::from_bytes(rest)) }
    }
}

/// A file that is being written. If the transfer is broken off, the user is told.
struct Partial {
    file: String,
    /// The command that goes on with it.
    again: Option<&'static str>,
    monitor: Monitor,
    /// What the links of a tree are that were to be followed and were left out.
    links: &'static str,
    told: bool,
}

impl Partial {
    fn new(file: String, again: Option<&'static str>, monitor: &Monitor) -> Self {
        let links = "a symbolic link to a directory";
        Self { file, again, monitor: monitor.clone(), links, told: false }
    }

    fn advice(&self) -> String {
        self.again.map(|again| format!("; {again} goes on")).unwrap_or_default()
    }

    /// What went wrong with a file, and what is left behind of it.
    fn explain(&self, error: Error, file: &str) -> Failure {
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
        let Some(left) = left else { return failure };
        let again = self.advice();
        // The advice may be a question.
        let stop = if failure.is_question() { "" } else { "." };
        Failure::new(format_args!("{failure}{stop} {file} is incomplete{left}{again}"))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let begun = self.monitor.progress().files > 0;
        if begun && !self.told {
            say!(Error, "{} is incomplete{}.", self.file, self.advice());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_that_failed_says_what_is_left() {
        let mut partial = Partial::new("f".into(), Some("reget"), &Monitor::new());
        partial.told = true;
        let line = partial.explain(Error::Closed, "f").to_string();
        assert!(!line.contains("incomplete"), "{line}");
    }

    #[test]
    fn a_file_of_a_tree_is_named_as_it_is_called_here() {
        let place = Where { from: b"/srv/tree", to: Path::new("here") };
        assert_eq!(place.of(b"/srv/tree/a/b"), Path::new("here/a/b"));
        assert_eq!(place.of(b"/srv/tree"), Path::new("here"));
        assert_eq!(place.of(b"/elsewhere"), Path::new("here"));
    }
}
