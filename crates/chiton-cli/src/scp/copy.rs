//! Copies over SFTP: patterns and `~` are looked up from here.

use std::path::{Path, PathBuf};

use ::sftp::{Extension, path::file_name};
use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

use super::{Settings, bytes, place::local_name, told};
use crate::{
    destination::Destination,
    failure::{Failure, Result, show_path},
    reach::Other,
    sftp::{
        command::TransferFlags,
        glob,
        remote::{Remote, explain},
        show,
        transfer::{Manner, Transfers},
        words::Word,
    },
};

/// A session with one host.
pub(super) struct Session {
    host: Destination,
    pub(super) remote: Remote,
    other: Other,
    pub(super) flags: TransferFlags,
    pub(super) manner: Manner,
}

impl Session {
    async fn open(settings: &Settings, host: &Destination) -> Result<Self> {
        let (sftp, other) = settings.reach.sftp(Some(host), None).await?;
        let flags = TransferFlags {
            preserve: settings.preserve,
            recursive: settings.recursive,
            ..TransferFlags::default()
        };
        let manner = Manner {
            quiet: true,
            progress: !settings.quiet,
            in_place: true,
            follow: true,
            resumable: false,
            pace: settings.pace,
        };
        Ok(Self { host: host.clone(), remote: Remote::new(sftp), other, flags, manner })
    }

    /// The session with a host: the one that is there, or a new one.
    pub(super) async fn keep<'a>(
        slot: &'a mut Option<Self>,
        settings: &Settings,
        host: &Destination,
    ) -> Result<&'a mut Self> {
        let session = match slot.take() {
            Some(session) if session.host == *host => session,
            Some(session) => {
                session.end().await;
                Self::open(settings, host).await?
            }
            None => Self::open(settings, host).await?,
        };
        Ok(slot.insert(session))
    }

    /// Copies something, as long as there is a session. Says what went wrong with it; what became of
    /// the session is for [`Self::check`].
    pub(super) async fn told(&self, work: impl Future<Output = Result<bool>>) -> bool {
        tokio::select! {
            biased;
            () = self.other.closed(&self.remote.sftp) => false,
            done = work => told(done),
        }
    }

    /// Nothing works any more once the connection is gone.
    pub(super) async fn check(&mut self) -> Result<()> {
        match self.other.lost(&self.remote.sftp).await {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    pub(super) async fn end(self) {
        let Self { remote, other, .. } = self;
        // A program ends when its input does.
        drop(remote);
        other.end().await;
    }

    pub(super) fn transfers(&self) -> Transfers<'_> {
        Transfers { remote: &self.remote, flags: self.flags, manner: self.manner }
    }

    /// The path that an operand stands for: one that begins with `~` is somebody's home.
    pub(super) async fn path(&self, path: &[u8]) -> Result<Vec<u8>> {
        let sftp = &self.remote.sftp;
        if let [b'~', user, ..] = path
            && *user != b'/'
        {
            sftp.begun().await.map_err(explain)?;
        }
        match path {
            b"" | b"~" | b"~/" => Ok(b".".to_vec()),
            [b'~', b'/', rest @ ..] => Ok(rest.to_vec()),
            [b'~', ..] if sftp.has(Extension::ExpandPath) => {
                let expanded = sftp.expand_path(path).await.map_err(explain)?;
                Ok(expanded.into_bytes())
            }
            [b'~', ..] => Err(Failure::new(format_args!(
                "\"{}\": the server does not know whose home that is; write the path in full, or \
                 ./~ for a file of that name",
                show(path)
            ))),
            _ => Ok(path.to_vec()),
        }
    }

    /// The files that an operand stands for. A pattern that fits nothing stands for itself.
    pub(super) async fn expand(&self, path: &[u8]) -> Result<Vec<Vec<u8>>> {
        let path = self.path(path).await?;
        let word = Word::pattern(&path);
        Ok(match glob::matches(&word, &self.remote).await? {
            Some(found) if !found.is_empty() => found,
            _ => vec![path],
        })
    }

    /// Fetches what an operand stands for.
    pub(super) async fn download(&self, from: &[u8], target: &Path) -> Result<bool> {
        let found = self.expand(from).await?;
        let into = target.is_dir();
        if found.len() > 1 && !into {
            let target = show_path(target);
            return Err(Failure::new(format_args!(
                "several files fit, but {target} is no directory"
            )));
        }
        let mut complete = true;
        for path in found {
            let to = match file_name(&path) {
                Some(name) if into => target.join(OsStr::from_bytes(name)),
                _ => target.to_path_buf(),
            };
            complete &= told(self.transfers().get_one(&path, &to).await);
        }
        Ok(complete)
    }

    /// Where something goes on this side: into a directory, under its name, or to the path itself.
    pub(super) async fn target(&self, path: &[u8], several: bool) -> Result<(Vec<u8>, bool)> {
        let path = self.path(path).await?;
        let into = self.remote.metadata(&path).await.is_ok_and(|attrs| attrs.is_dir());
        if several && !into {
            return Err(Failure::new(format_args!(
                "\"{}\" is not a directory there, and several files are to be copied to it",
                show(&path)
            )));
        }
        Ok((path, into))
    }

    /// Sends files.
    pub(super) async fn upload(
        &self,
        from: &[PathBuf],
        target: &[u8],
        several: bool,
    ) -> Result<bool> {
        let (target, into) = self.target(target, several).await?;
        let mut complete = true;
        for path in from {
            let to = if into {
                match local_name(path) {
                    Ok(name) => glob::join(&target, bytes(Path::new(&name))),
                    Err(failure) => {
                        complete = told(Err(failure));
                        continue;
                    }
                }
            } else {
                target.clone()
            };
            complete &= told(self.transfers().put_one(path, &to).await);
        }
        Ok(complete)
    }
}
