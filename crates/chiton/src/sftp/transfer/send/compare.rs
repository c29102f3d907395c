//! Comparing what the server has with what is here: before a file is resumed, and once it is whole.

use std::fs::File;

use sftp::{
    StatusCode,
    client::Response,
    transfer::{Item, TransferError},
};

use super::Sending;
use crate::{
    error::{Error, SftpErrorKind},
    sftp::{
        expect_attrs,
        transfer::{
            Resume, Verify,
            check::{self, Checked, Verdict},
            local::local_error,
        },
    },
};

impl Sending {
    /// What the server has of a file that is to be resumed.
    pub(super) fn on_looked(&mut self, item: Item, response: Response) {
        let Some(entry) = self.entries.get(&item) else { return };
        let there = match expect_attrs(response) {
            Ok(attrs) => attrs.size.unwrap_or(0),
            Err(kind) if kind.status() == Some(StatusCode::NoSuchFile) => 0,
            Err(kind) => {
                self.record(item, kind);
                return self.plan.on_refused(item);
            }
        };
        let size = entry.size;
        match self.settings.resume {
            _ if there == 0 => self.take_up(item, 0),
            Resume::Restart if there > size => self.take_up(item, 0),
            _ if there > size => {
                let mismatch = TransferError::SizeMismatch { moved: size, size: there };
                self.record(item, SftpErrorKind::Transfer(mismatch));
                self.plan.on_refused(item);
            }
            Resume::Trust | Resume::No => self.take_up(item, there),
            Resume::Verify | Resume::Restart => {
                let Some(sftp) = self.sftp().cloned() else { return };
                let (remote, local) = (entry.remote.clone(), entry.local.clone());
                self.checks.spawn(async move {
                    let opened = tokio::task::spawn_blocking(move || {
                        File::open(&local).map_err(|error| local_error("open", &local, error))
                    });
                    let same = match opened.await {
                        Ok(Ok(file)) => check::same(&sftp, &remote, file, there).await,
                        Ok(Err(error)) => Err(error.into()),
                        Err(_) => Err(SftpErrorKind::Connection(Error::Closed)),
                    };
                    (item, Checked::Beginning(same, there))
                });
            }
        }
    }

    fn take_up(&mut self, item: Item, start: u64) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.start = start;
        }
        self.account.meter.skipped = self.account.meter.skipped.saturating_add(start);
        self.plan.on_looked(item, start);
    }

    pub(super) fn on_checked(&mut self, item: Item, checked: Checked) {
        match checked.verdict(self.settings.resume, self.settings.verify) {
            Verdict::From(start) => self.take_up(item, start),
            Verdict::Refused(kind) => {
                self.record(item, kind);
                self.plan.on_refused(item);
            }
            Verdict::Whole { verified } => {
                let report = &mut self.account.report;
                report.verified = report.verified.saturating_add(verified.into());
                self.complete(item);
            }
            Verdict::Bad(kind) => self.record(item, kind),
        }
    }

    /// A file is whole on the server.
    pub(super) fn on_whole(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        if self.settings.verify == Verify::No {
            return self.complete(item);
        }
        let (remote, local) = (entry.remote.clone(), entry.local.clone());
        let Some(sftp) = self.sftp().cloned() else { return };
        self.checks.spawn(async move {
            (item, Checked::Whole(check::whole(&sftp, &remote, local).await))
        });
    }
}
