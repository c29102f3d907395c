//! Uploading files and trees.

use std::{
    future::{Future, IntoFuture},
    path::PathBuf,
    pin::Pin,
};

use super::{
    Links, Monitor, Progress, Report, Resume, Verify,
    options::{Settings, setters},
    progress::{OnProgress, report_to},
    send::Sending,
};
use crate::{
    error::Error,
    sftp::{RemotePath, Sftp},
};

/// An upload, to be awaited. See [`Sftp::put`].
#[must_use = "a transfer does nothing until it is awaited"]
pub struct Put {
    sftp: Sftp,
    local: PathBuf,
    remote: RemotePath,
    settings: Settings,
    tell: Option<OnProgress>,
}

impl core::fmt::Debug for Put {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Put")
            .field("local", &self.local)
            .field("remote", &self.remote)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Put {
    pub(in crate::sftp) fn new(sftp: Sftp, local: PathBuf, remote: RemotePath) -> Self {
        Self { sftp, local, remote, settings: Settings::default(), tell: None }
    }

    setters!();

    /// Moves what was described, and tells what came of it. The report of a transfer that was
    /// broken off has what was done until then.
    ///
    /// # Cancel safety
    /// Dropping the future asks the server to cut files to what is confirmed of them, and does not
    /// wait for that. [`Monitor::cancel`] ends it, waits, and lets it tell how far it came.
    pub async fn report(self) -> Report {
        let Self { sftp, local, remote, settings, tell } = self;
        let seen = settings.monitor.watch();
        let shown = tell.map(|tell| tokio::spawn(report_to(seen, tell)));
        // If there is no session, the first request says why.
        sftp.begun().await.ok();
        let report = Sending::new(sftp, settings).run(local, remote).await;
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

impl IntoFuture for Put {
    type Output = Result<u64, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    /// The number of bytes that the remote files have in the end. Anything that goes wrong is an
    /// error, if also the rest was moved; [`Put::report`] tells more.
    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
