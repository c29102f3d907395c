//! Downloading files and trees.

use std::{
    fs,
    future::{Future, IntoFuture},
    path::PathBuf,
    pin::Pin,
};

use super::{
    Links, Monitor, Progress, Report, Resume, Verify,
    fetch::Fetch,
    options::{Settings, setters},
    progress::{OnProgress, report_to},
};
use crate::{
    error::Error,
    sftp::{RemotePath, Sftp},
};

/// A download, to be awaited. See [`Sftp::get`].
#[must_use = "a transfer does nothing until it is awaited"]
pub struct Get {
    sftp: Sftp,
    remote: RemotePath,
    local: PathBuf,
    file: Option<fs::File>,
    settings: Settings,
    tell: Option<OnProgress>,
}

impl core::fmt::Debug for Get {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Get")
            .field("remote", &self.remote)
            .field("local", &self.local)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Get {
    pub(in crate::sftp) fn new(sftp: Sftp, remote: RemotePath, local: PathBuf) -> Self {
        Self { sftp, remote, local, file: None, settings: Settings::default(), tell: None }
    }

    setters!();

    /// Writes to this file, opened for writing, from its beginning on. The local path is then only
    /// what it is called in errors. For files whose names a server chooses: they are opened
    /// beneath a directory, and through no link; see [`Folder`](super::Folder). Verifying and
    /// resuming need it to be open for reading as well.
    pub fn into_file(mut self, file: fs::File) -> Self {
        self.file = Some(file);
        self
    }

    /// Moves what was described, and tells what came of it. The report of a transfer that was
    /// broken off has what was done until then.
    ///
    /// # Cancel safety
    /// Dropping the future cuts local files to what is confirmed of them. [`Monitor::cancel`] ends
    /// it and lets it tell how far it came.
    pub async fn report(self) -> Report {
        let Self { sftp, remote, local, file, settings, tell } = self;
        let seen = settings.monitor.watch();
        let shown = tell.map(|tell| tokio::spawn(report_to(seen, tell)));
        let report = Fetch::new(sftp, settings).run(remote, local, file).await;
        if let Some(shown) = shown {
            // A closure that panics does not fail the transfer.
            shown.await.ok();
        }
        report
    }

    async fn run(self) -> Result<u64, Error> {
        self.report().await.into_result().map(|report| report.bytes)
    }
}

impl IntoFuture for Get {
    type Output = Result<u64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// The number of bytes that the local files have in the end. Anything that goes wrong is an
    /// error, if also the rest was moved; [`Get::report`] tells more.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
