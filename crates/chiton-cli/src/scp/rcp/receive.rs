//! The end that receives: puts what comes where it belongs, and nowhere else.

use core::time::Duration;
use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use ::sftp::{Attrs, attrs::Times};
use chiton::sftp::{Existing, Folder};
use scp::{Asked, Event, Offer, Sink};
use tokio::{fs::File, io::AsyncWriteExt};

use super::{Manner, explain, wire::Wire};
use crate::{
    failure::{Failure, Result},
    log::say,
    progress::Progress,
    sftp::{remote::explain as explain_local, show},
};

/// Permission bits that are copied.
const MODE: u32 = 0o777;

/// Receives files and directories.
pub(super) struct Receiver<'a> {
    manner: Manner,
    target: &'a Path,
    /// True for `-t`: what goes wrong is told to the other side, which shows it.
    serving: bool,
    /// The directories that are open, the innermost last, with what they are to become.
    open: Vec<(Folder, Attrs)>,
    file: Option<Incoming>,
    complete: bool,
}

/// A file that is being received.
struct Incoming {
    file: File,
    path: PathBuf,
    size: u64,
    done: u64,
    attrs: Attrs,
    progress: Progress,
    /// What went wrong: the rest is read and dropped.
    failure: Option<Failure>,
}

impl<'a> Receiver<'a> {
    pub(super) const fn new(manner: Manner, target: &'a Path, serving: bool) -> Self {
        Self { manner, target, serving, open: Vec::new(), file: None, complete: true }
    }

    /// Receives until the other side has no more. True if everything went well; what did not was
    /// told.
    pub(super) async fn run(&mut self, wire: &mut Wire, asked: Asked) -> Result<bool> {
        let mut out = Vec::new();
        let mut sink = Sink::new(asked, self.manner.recursive, &mut out);
        loop {
            wire.write(&out).await?;
            out.clear();
            let input = wire.read().await?;
            if input.is_empty() {
                break;
            }
            let mut rest = input;
            let handled = self.take(&mut sink, &mut rest, &mut out).await;
            let taken = input.len().saturating_sub(rest.len());
            wire.take(taken);
            if let Err(error) = handled {
                wire.write(&out).await.ok();
                return Err(explain(&error));
            }
        }
        sink.finish().map_err(|error| explain(&error))?;
        Ok(self.complete)
    }

    /// Handles what has come.
    async fn take(
        &mut self,
        sink: &mut Sink,
        input: &mut &[u8],
        out: &mut Vec<u8>,
    ) -> core::result::Result<(), scp::Error> {
        while let Some(event) = sink.receive(input, out)? {
            let done = match event {
                Event::Data(data) => {
                    self.write(data).await;
                    continue;
                }
                Event::Trouble(text) => {
                    self.complete = false;
                    if !self.serving {
                        say!(Error, "{}", text.to_string().replace('\n', "\\n"));
                    }
                    continue;
                }
                Event::File(offer) => self.begin_file(offer),
                Event::FileEnd { trouble } => {
                    if let Some(text) = trouble {
                        self.complete = false;
                        if !self.serving {
                            say!(Error, "{}", text.to_string().replace('\n', "\\n"));
                        }
                    }
                    self.end_file().await
                }
                Event::Directory(offer) => self.begin_directory(&offer),
                Event::DirectoryEnd => self.end_directory(),
            };
            match done {
                Ok(()) => sink.accept(out),
                Err(failure) => {
                    self.complete = false;
                    if !self.serving {
                        say!(Error, "chiton scp: {failure}");
                    }
                    sink.refuse(&format!("scp: {failure}"), out);
                }
            }
        }
        Ok(())
    }

    /// Where something goes that is not in a directory that came before it.
    fn place(&self, name: &[u8]) -> PathBuf {
        if self.target.is_dir() {
            self.target.join(OsStr::from_bytes(name))
        } else {
            self.target.to_path_buf()
        }
    }

    fn begin_file(&mut self, offer: Offer) -> Result<()> {
        let (file, path) = match self.open.last() {
            Some((folder, _)) => {
                let path = folder.path().join(OsStr::from_bytes(&offer.name));
                let file = folder.file(&offer.name, Some(offer.mode), Existing::Keep);
                (file.map_err(explain_local)?, path)
            }
            None => create(self.place(&offer.name), offer.mode)?,
        };
        let progress = Progress::new(&show(&offer.name), self.manner.progress);
        self.file = Some(Incoming {
            file: File::from_std(file),
            path,
            size: offer.size,
            done: 0,
            attrs: attrs(&offer),
            progress,
            failure: None,
        });
        Ok(())
    }

    async fn write(&mut self, data: &[u8]) {
        let Some(incoming) = &mut self.file else { return };
        if incoming.failure.is_none()
            && let Err(error) = incoming.file.write_all(data).await
        {
            incoming.failure = Some(Failure::local("write", &incoming.path, &error));
        }
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        incoming.done = incoming.done.saturating_add(len);
        incoming.progress.update(incoming.done, Some(incoming.size));
    }

    async fn end_file(&mut self) -> Result<()> {
        let Some(incoming) = self.file.take() else { return Ok(()) };
        let Incoming { mut file, path, size, attrs, progress, failure, .. } = incoming;
        progress.finish();
        if let Some(failure) = failure {
            return Err(failure);
        }
        let cannot = |error| Failure::local("write", &path, &error);
        file.flush().await.map_err(cannot)?;
        // What was there may have been longer. A device has no length.
        if file.metadata().await.map_err(cannot)?.is_file() {
            file.set_len(size).await.map_err(cannot)?;
        }
        if self.manner.preserve {
            preserve(file.into_std().await, &attrs).map_err(cannot)?;
        }
        Ok(())
    }

    fn begin_directory(&mut self, offer: &Offer) -> Result<()> {
        let folder = match self.open.last() {
            Some((folder, _)) => folder.folder(&offer.name),
            None => Folder::at(&self.place(&offer.name)),
        };
        let folder = folder.map_err(explain_local)?;
        self.open.push((folder, attrs(offer)));
        Ok(())
    }

    fn end_directory(&mut self) -> Result<()> {
        match self.open.pop() {
            Some((folder, attrs)) if self.manner.preserve => {
                folder.preserve(&attrs).map_err(explain_local)
            }
            _ => Ok(()),
        }
    }
}

/// Opens a file to be written over: what is there is cut at the end, so that a file that is copied
/// onto itself stays whole.
fn create(path: PathBuf, mode: u32) -> Result<(fs::File, PathBuf)> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(mode & MODE | 0o200);
    let file = options.open(&path).map_err(|e| Failure::local("create", &path, &e))?;
    Ok((file, path))
}

/// Gives a file the mode and the times of the one it was copied from.
fn preserve(file: fs::File, attrs: &Attrs) -> std::io::Result<()> {
    if let Some(permissions) = attrs.permissions {
        file.set_permissions(fs::Permissions::from_mode(permissions.mode() & MODE))?;
    }
    if let Some(times) = attrs.times {
        let time = |seconds: u32| UNIX_EPOCH + Duration::from_secs(seconds.into());
        let times = fs::FileTimes::new()
            .set_accessed(time(times.accessed))
            .set_modified(time(times.modified));
        file.set_times(times)?;
    }
    Ok(())
}

fn attrs(offer: &Offer) -> Attrs {
    let seconds = |time: u64| u32::try_from(time).unwrap_or(u32::MAX);
    let times = offer.times.map(|times| Times {
        accessed: seconds(times.accessed),
        modified: seconds(times.modified),
    });
    Attrs { times, ..Attrs::with_mode(offer.mode & MODE) }
}
