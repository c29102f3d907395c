//! From one host to another: through this machine, or by an `scp` on the first.

use ::sftp::{Attrs, path::file_name};
use chiton::sftp::{DirEntry, OpenOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Settings, copy::Session, told};
use crate::{
    destination::Destination,
    failure::{Failure, Result},
    log::say,
    progress::Progress,
    sftp::{
        glob,
        remote::{explain, file_type},
        show,
        transfer::MAX_DEPTH,
    },
};
use std::io;

/// How much is on its way in this program at once.
const PIECE: usize = 256 * 1024;

/// Permission bits that are copied.
const MODE: u32 = 0o777;

/// Copies over two SFTP sessions.
pub(super) async fn over_sftp(
    from: &Session,
    source: &[u8],
    to: &Session,
    target: &[u8],
    several: bool,
) -> Result<bool> {
    let found = from.expand(source).await?;
    let (target, into) = to.target(target, several || found.len() > 1).await?;
    let relay = Relay { from, to };
    let mut complete = true;
    for path in found {
        let target = match file_name(&path) {
            Some(name) if into => glob::join(&target, name),
            _ => target.clone(),
        };
        complete &= told(relay.one(path, target).await);
    }
    Ok(complete)
}

/// Two sessions, from one to the other.
struct Relay<'a> {
    from: &'a Session,
    to: &'a Session,
}

impl Relay<'_> {
    async fn one(&self, path: Vec<u8>, target: Vec<u8>) -> Result<bool> {
        let attrs = self.from.remote.find(&path).await?;
        if !attrs.is_dir() {
            return self.file(&path, &target, &attrs).await.map(|()| true);
        }
        if !self.from.flags.recursive {
            let path = show(&path);
            return Err(Failure::new(format_args!("\"{path}\" is a directory; -r takes it")));
        }
        self.tree(path, target, attrs).await
    }

    /// Copies a directory with everything in it; what was not is told.
    async fn tree(&self, path: Vec<u8>, target: Vec<u8>, attrs: Attrs) -> Result<bool> {
        let mut complete = true;
        let mut pending = vec![(path, target, attrs, 0_u32)];
        let mut made = Vec::new();
        while let Some((path, target, attrs, depth)) = pending.pop() {
            if depth >= MAX_DEPTH {
                let path = show(&path);
                let deep = format_args!("\"{path}\" is too deep: left out").to_string();
                complete = told(Err(Failure::new(deep)));
                continue;
            }
            let listed = match self.to.transfers().make_remote_directory(&target).await {
                Ok(()) => self.from.remote.read_dir(&path).await,
                Err(failure) => Err(failure),
            };
            let mut entries = match listed {
                Ok(entries) => entries,
                Err(failure) => {
                    complete = told(Err(failure));
                    continue;
                }
            };
            made.push((target.clone(), attrs));
            entries.sort_by(|a, b| a.file_name.cmp(&b.file_name));
            for DirEntry { file_name, .. } in entries {
                let (path, target) =
                    (glob::join(&path, &file_name), glob::join(&target, &file_name));
                // Links are followed.
                let done = match self.from.remote.metadata(&path).await {
                    Ok(attrs) if attrs.is_dir() => {
                        pending.push((path, target, attrs, depth.saturating_add(1)));
                        Ok(true)
                    }
                    Ok(attrs) if attrs.is_file() || file_type(&attrs).is_none() => {
                        self.file(&path, &target, &attrs).await.map(|()| true)
                    }
                    Ok(_) => {
                        say!(Info, "\"{}\" is not a regular file: left out.", show(&path));
                        Ok(true)
                    }
                    Err(failure) => Err(failure),
                };
                complete &= told(done);
            }
        }
        if self.from.flags.preserve {
            for (target, attrs) in made.iter().rev() {
                let kept = self.to.remote.sftp.set_attrs(target.as_slice(), &kept(attrs)).await;
                complete &= told(kept.map(|()| true).map_err(explain));
            }
        }
        Ok(complete)
    }

    async fn file(&self, path: &[u8], target: &[u8], attrs: &Attrs) -> Result<()> {
        let name = show(file_name(path).unwrap_or(path));
        let bar = Progress::new(&name, self.from.manner.progress);
        let copied = self.content(path, target, attrs, &bar).await;
        bar.finish();
        copied?;
        if self.from.flags.preserve {
            let set = self.to.remote.sftp.set_attrs(target, &kept(attrs)).await;
            set.map_err(explain)?;
        }
        Ok(())
    }

    async fn content(
        &self,
        path: &[u8],
        target: &[u8],
        attrs: &Attrs,
        bar: &Progress,
    ) -> Result<()> {
        let mut from = self.from.remote.sftp.open_file(path).await.map_err(explain)?;
        // Not emptied: it may be the same file.
        let mut options = OpenOptions::new().write(true).create(true);
        if let Some(permissions) = attrs.permissions {
            options = options.mode(permissions.mode() & MODE);
        }
        let mut to = options.open(&self.to.remote.sftp, target).await.map_err(explain)?;
        let mut buffer = vec![0; PIECE];
        let mut done: u64 = 0;
        loop {
            let read = from.read(&mut buffer).await.map_err(|error| lost(&error, path))?;
            let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else { break };
            to.write_all(piece).await.map_err(|error| lost(&error, target))?;
            done = done.saturating_add(u64::try_from(read).unwrap_or_default());
            bar.update(done, attrs.size);
        }
        from.close().await.map_err(explain)?;
        if to.metadata().await.map_err(explain)?.size.is_none_or(|size| size > done) {
            to.set_len(done).await.map_err(explain)?;
        }
        to.close().await.map_err(explain)
    }
}

fn lost(error: &io::Error, path: &[u8]) -> Failure {
    Failure::new(format_args!("\"{}\": {}", show(path), crate::failure::io_reason(error)))
}

/// What is kept of attributes.
fn kept(attrs: &Attrs) -> Attrs {
    let mode = attrs.permissions.map(|permissions| permissions.mode() & MODE);
    let bits = mode.map_or(Attrs::NONE, Attrs::with_mode);
    Attrs { times: attrs.times, ..bits }
}

/// Has an `scp` on the first host copy to the second (`-R`).
pub(super) async fn by_the_other_side(
    settings: &Settings,
    (from, source): (&Destination, &[u8]),
    (to, target): (&Destination, &[u8]),
) -> Result<bool> {
    if to.port.is_some() {
        return Err(Failure::new("with -R the target cannot have a port; leave -R out"));
    }
    let mut command = b"scp".to_vec();
    for (wanted, flag) in [
        (settings.verbosity > 0, " -v"),
        (settings.recursive, " -r"),
        (settings.preserve, " -p"),
        (settings.quiet, " -q"),
    ] {
        if wanted {
            command.extend_from_slice(flag.as_bytes());
        }
    }
    // The shell there reads the paths, as it does of one that is typed there.
    command.extend_from_slice(b" -- ");
    command.extend_from_slice(if source.is_empty() { b"." } else { source });
    command.push(b' ');
    if let Some(user) = &to.user {
        command.extend_from_slice(user.as_bytes());
        command.push(b'@');
    }
    let bare = to.host.as_bytes();
    let host = if to.host.contains(':') { [b"[", bare, b"]"].concat() } else { bare.to_vec() };
    command.extend_from_slice(&host);
    command.push(b':');
    command.extend_from_slice(target);
    let (mut input, output, other) = settings.reach.run(from, &command).await?;
    drop(output);
    // What it prints, it prints for the user.
    let shown = tokio::io::copy(&mut input, &mut tokio::io::stdout()).await;
    let ended = other.end().await;
    Ok(shown.is_ok() && ended == 0)
}
