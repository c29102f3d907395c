//! What is told of a transfer: to those who look while it runs, and in its report at the end. Both
//! directions keep the same account, and say in the same words what went wrong.

use std::path::Path;

use super::{FileEvent, FileState, Monitor, Report, SkipReason, progress::Meter};
use crate::{
    error::SftpErrorKind,
    sftp::{RemotePath, error},
};

/// What a transfer has done until now.
pub(super) struct Account {
    /// What errors call it.
    operation: &'static str,
    monitor: Monitor,
    pub(super) meter: Meter,
    pub(super) report: Report,
}

impl Account {
    pub(super) fn new(operation: &'static str, monitor: &Monitor) -> Self {
        Self {
            operation,
            monitor: monitor.clone(),
            meter: Meter::new(monitor.clone()),
            report: Report::default(),
        }
    }

    /// A file is to be moved.
    pub(super) fn expect_file(&mut self, size: Option<u64>) {
        let meter = &mut self.meter;
        meter.files = meter.files.saturating_add(1);
        match size {
            Some(size) => meter.total = meter.total.saturating_add(size),
            None => meter.unknown = meter.unknown.saturating_add(1),
        }
    }

    /// So many bytes of content went over the connection.
    pub(super) fn moved(&mut self, len: u64) {
        self.meter.done = self.meter.done.saturating_add(len);
        self.report.moved = self.report.moved.saturating_add(len);
    }

    /// A file is whole at the target.
    pub(super) fn complete(&mut self, remote: &RemotePath, local: &Path, size: u64) {
        self.report.files = self.report.files.saturating_add(1);
        self.report.bytes = self.report.bytes.saturating_add(size);
        self.meter.files_done = self.meter.files_done.saturating_add(1);
        self.tell(remote, local, FileState::Done { size });
    }

    /// Something went wrong.
    pub(super) fn fail(&mut self, remote: &RemotePath, local: &Path, kind: SftpErrorKind) {
        let failure = error(self.operation, remote.as_bytes(), kind);
        self.tell(remote, local, FileState::Failed(failure.clone()));
        self.report.fail(failure);
    }

    /// Something is left out, which the report calls `path`.
    pub(super) fn skip(
        &mut self,
        remote: &RemotePath,
        local: &Path,
        path: RemotePath,
        reason: SkipReason,
    ) {
        self.tell(remote, local, FileState::Skipped(reason));
        self.report.skip(path, reason);
    }

    /// The transfer of `top` was broken off. That is a failure of its own if no file failed of it.
    pub(super) fn broken_off(&mut self, top: &RemotePath, why: SftpErrorKind) {
        if self.report.is_complete() {
            self.report.fail(error(self.operation, top.as_bytes(), why));
        }
    }

    /// Tells what happened to a file, if anybody wants to know.
    pub(super) fn tell(&self, remote: &RemotePath, local: &Path, state: FileState) {
        self.monitor.tell(|| FileEvent { remote: remote.clone(), local: local.to_owned(), state });
    }

    /// The transfer has ended.
    pub(super) fn finish(&mut self) -> Report {
        self.meter.finish();
        core::mem::take(&mut self.report)
    }
}
