//! The end that sends.

use core::time::Duration;
use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use scp::{Misuse, Reply, Source, Times, record::MODE};
use tokio::{
    fs::File,
    io::AsyncReadExt,
    time::{Instant, sleep_until},
};

use super::{super::place::local_name, Manner, explain, wire::Wire};
use crate::{
    failure::{Failure, Result},
    log::say,
    progress::Progress,
    sftp::{show, transfer::MAX_DEPTH},
};

/// How much is read and sent at once.
const PIECE: usize = 128 * 1024;

/// Sends files and directories.
pub(super) struct Sender {
    manner: Manner,
    /// True for `-f`: what goes wrong is told to the other side, which shows it.
    serving: bool,
    source: Source,
    complete: bool,
    began: Instant,
    moved: u64,
}

/// What is still to be done of a tree.
enum Step {
    Enter(PathBuf, u32),
    Leave,
}

impl Sender {
    pub(super) fn new(manner: Manner, serving: bool) -> Self {
        let source = Source::new();
        Self { manner, serving, source, complete: true, began: Instant::now(), moved: 0 }
    }

    /// Sends all of it. True if everything went well; what did not was told.
    pub(super) async fn run(mut self, wire: &mut Wire, files: &[PathBuf]) -> Result<bool> {
        if !self.reply(wire).await? {
            return Ok(false);
        }
        for path in files {
            self.send(wire, path).await?;
        }
        Ok(self.complete)
    }

    /// Waits for the reply to what was sent; true if it is to go on.
    async fn reply(&mut self, wire: &mut Wire) -> Result<bool> {
        loop {
            let input = wire.read().await?;
            if input.is_empty() {
                return Err(Failure::new("the other side has ended"));
            }
            let mut rest = input;
            let reply = self.source.receive(&mut rest);
            let taken = input.len().saturating_sub(rest.len());
            wire.take(taken);
            match reply.map_err(|error| explain(&error))? {
                Some(Reply::Go) => return Ok(true),
                Some(Reply::Trouble(text)) => {
                    self.complete = false;
                    if !self.serving {
                        say!(Error, "{}", text.to_string().replace('\n', "\\n"));
                    }
                    return Ok(false);
                }
                None => {}
            }
        }
    }

    /// Something cannot be sent.
    async fn trouble(&mut self, wire: &mut Wire, failure: &Failure) -> Result<()> {
        self.complete = false;
        if !self.serving {
            say!(Error, "chiton scp: {failure}");
        }
        let mut out = Vec::new();
        // Only between files is there a place to say so.
        if self.source.trouble(&format!("scp: {failure}"), &mut out).is_ok() {
            wire.write(&out).await?;
        }
        Ok(())
    }

    async fn send(&mut self, wire: &mut Wire, path: &Path) -> Result<()> {
        let mut pending = vec![Step::Enter(path.to_path_buf(), 0)];
        while let Some(step) = pending.pop() {
            let failure = match step {
                Step::Enter(path, depth) => {
                    match self.enter(wire, &path, depth, &mut pending).await? {
                        Ok(()) => continue,
                        Err(failure) => failure,
                    }
                }
                Step::Leave => {
                    let mut out = Vec::new();
                    self.source.directory_end(&mut out).map_err(misused)?;
                    wire.write(&out).await?;
                    self.reply(wire).await?;
                    continue;
                }
            };
            self.trouble(wire, &failure).await?;
        }
        Ok(())
    }

    /// Sends a file, or begins a directory. The inner result is about the file alone.
    async fn enter(
        &mut self,
        wire: &mut Wire,
        path: &Path,
        depth: u32,
        pending: &mut Vec<Step>,
    ) -> Result<Result<()>> {
        let found = fs::metadata(path).map_err(|e| Failure::local("send", path, &e));
        let metadata = match found {
            Ok(metadata) => metadata,
            Err(failure) => return Ok(Err(failure)),
        };
        let name = match local_name(path) {
            Ok(name) => name,
            Err(failure) => return Ok(Err(failure)),
        };
        let shown = crate::failure::show_path(path);
        if metadata.is_dir() {
            if !self.manner.recursive {
                return Ok(Err(Failure::new(format_args!("{shown} is a directory; -r takes it"))));
            }
            if depth >= MAX_DEPTH {
                return Ok(Err(Failure::new(format_args!("{shown} is too deep: left out"))));
            }
            return self.directory(wire, path, name.as_bytes(), &metadata, depth, pending).await;
        }
        if !metadata.is_file() {
            return Ok(Err(Failure::new(format_args!("{shown} is not a regular file"))));
        }
        self.file(wire, path, name.as_bytes()).await
    }

    /// Sends the times of what comes next, if they are wanted; true if it is to go on.
    async fn times(&mut self, wire: &mut Wire, metadata: &fs::Metadata) -> Result<bool> {
        if !self.manner.preserve {
            return Ok(true);
        }
        let seconds = |time: i64| u64::try_from(time).unwrap_or_default();
        let times =
            Times { modified: seconds(metadata.mtime()), accessed: seconds(metadata.atime()) };
        let mut out = Vec::new();
        self.source.times(times, &mut out).map_err(misused)?;
        wire.write(&out).await?;
        self.reply(wire).await
    }

    async fn directory(
        &mut self,
        wire: &mut Wire,
        path: &Path,
        name: &[u8],
        metadata: &fs::Metadata,
        depth: u32,
        pending: &mut Vec<Step>,
    ) -> Result<Result<()>> {
        let cannot = |error| Failure::local("read the directory", path, &error);
        let listed = fs::read_dir(path).and_then(Iterator::collect::<std::io::Result<Vec<_>>>);
        let mut entries: Vec<PathBuf> = match listed {
            Ok(entries) => entries.iter().map(fs::DirEntry::path).collect(),
            Err(error) => return Ok(Err(cannot(error))),
        };
        entries.sort();
        if let Err(why) = scp::name::check(name) {
            return Ok(Err(unsendable(name, Misuse::Name(why))));
        }
        if !self.times(wire, metadata).await? {
            return Ok(Ok(()));
        }
        let mut out = Vec::new();
        if let Err(why) = self.source.directory(name, metadata.mode() & MODE, &mut out) {
            return Ok(Err(unsendable(name, why)));
        }
        wire.write(&out).await?;
        if self.reply(wire).await? {
            pending.push(Step::Leave);
            let below = depth.saturating_add(1);
            pending.extend(entries.into_iter().rev().map(|path| Step::Enter(path, below)));
        }
        Ok(Ok(()))
    }

    async fn file(&mut self, wire: &mut Wire, path: &Path, name: &[u8]) -> Result<Result<()>> {
        let cannot = |error| Failure::local("read", path, &error);
        let opened = async {
            let file = File::open(path).await?;
            let metadata = file.metadata().await?;
            Ok((file, metadata))
        };
        let (mut file, metadata) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(cannot(error))),
        };
        if let Err(why) = scp::name::check(name) {
            return Ok(Err(unsendable(name, Misuse::Name(why))));
        }
        if !self.times(wire, &metadata).await? {
            return Ok(Ok(()));
        }
        let mut out = Vec::new();
        let mode = metadata.mode() & MODE;
        if let Err(why) = self.source.file(name, mode, metadata.len(), &mut out) {
            return Ok(Err(unsendable(name, why)));
        }
        wire.write(&out).await?;
        if !self.reply(wire).await? {
            return Ok(Ok(()));
        }
        let progress = Progress::new(&show(name), self.manner.progress);
        let trouble = self.content(wire, &mut file, metadata.len(), &progress).await;
        progress.finish();
        let trouble = trouble?.map(cannot);
        out.clear();
        let said = trouble.as_ref().map(|failure| format!("scp: {failure}"));
        self.source.file_end(said.as_deref(), &mut out).map_err(misused)?;
        wire.write(&out).await?;
        if let Some(failure) = trouble {
            self.complete = false;
            if !self.serving {
                say!(Error, "chiton scp: {failure}");
            }
        }
        self.reply(wire).await?;
        Ok(Ok(()))
    }

    /// Sends as much content as was said; what cannot be read is zeros, and the error told.
    async fn content(
        &mut self,
        wire: &mut Wire,
        file: &mut File,
        size: u64,
        progress: &Progress,
    ) -> Result<Option<std::io::Error>> {
        let mut buffer = vec![0; PIECE];
        let mut trouble = None;
        while self.source.left() > 0 {
            let most = usize::try_from(self.source.left()).unwrap_or(usize::MAX).min(PIECE);
            let Some(piece) = buffer.get_mut(..most) else { break };
            let mut read = most;
            if trouble.is_none() {
                match file.read(piece).await {
                    Ok(0) => trouble = Some(std::io::ErrorKind::UnexpectedEof.into()),
                    Ok(n) => read = n,
                    Err(error) => trouble = Some(error),
                }
            }
            if trouble.is_some() {
                piece.fill(0);
                read = most;
            }
            wire.write(piece.get(..read).unwrap_or_default()).await?;
            self.source.sent(read).map_err(misused)?;
            progress.update(size.saturating_sub(self.source.left()), Some(size));
            self.keep_pace(read).await;
        }
        Ok(trouble)
    }

    /// Waits until so much more may have been sent.
    async fn keep_pace(&mut self, sent: usize) {
        self.moved = self.moved.saturating_add(u64::try_from(sent).unwrap_or(u64::MAX));
        if let Some(rate) = self.manner.rate {
            let millis = self.moved.saturating_mul(1000).checked_div(rate).unwrap_or_default();
            sleep_until(self.began + Duration::from_millis(millis)).await;
        }
    }
}

fn unsendable(name: &[u8], why: Misuse) -> Failure {
    Failure::new(format_args!("\"{}\" cannot be sent: {why}", show(name)))
}

fn misused(why: Misuse) -> Failure {
    Failure::new(format_args!("out of turn: {why}"))
}
