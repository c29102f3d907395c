//! Comparing what is here with its source: before a file is resumed, and once it is whole.

use std::fs;

use sftp::transfer::{Item, TransferError};

use super::Fetch;
use crate::{
    error::SftpErrorKind,
    sftp::transfer::{
        Resume, Verify,
        check::{self, Checked, Verdict},
    },
};

impl Fetch {
    /// How much of a file is there.
    pub(super) fn on_there(
        &mut self,
        item: Item,
        there: Result<Option<(fs::File, u64)>, SftpErrorKind>,
    ) {
        self.looking = self.looking.saturating_sub(1);
        let Some(entry) = self.entries.get(&item) else { return };
        let there = match there {
            Ok(there) => there,
            Err(kind) => return self.give_up(item, kind),
        };
        let Some((file, there)) = there.filter(|(_, there)| *there > 0) else {
            return self.add_file(item, 0);
        };
        match (self.settings.resume, entry.size().filter(|size| *size < there)) {
            (Resume::Restart, Some(_)) => self.add_file(item, 0),
            (_, Some(size)) => {
                let mismatch = TransferError::SizeMismatch { moved: there, size };
                self.give_up(item, SftpErrorKind::Transfer(mismatch));
            }
            (Resume::Trust, None) => self.add_file(item, there),
            (_, None) => {
                let (sftp, remote) = (self.sftp.clone(), entry.remote.clone());
                self.checks.spawn(async move {
                    (
                        item,
                        Checked::Beginning(check::same(&sftp, &remote, file, there).await, there),
                    )
                });
            }
        }
    }

    pub(super) fn on_checked(&mut self, item: Item, checked: Checked) {
        match checked.verdict(self.settings.resume, self.settings.verify) {
            Verdict::From(start) => self.add_file(item, start),
            Verdict::Refused(kind) => self.give_up(item, kind),
            Verdict::Whole { verified } => {
                let report = &mut self.account.report;
                report.verified = report.verified.saturating_add(verified.into());
                self.complete(item);
            }
            Verdict::Bad(kind) => self.record(item, kind),
        }
    }

    /// Fails a file that the plan does not know yet.
    pub(super) fn give_up(&mut self, item: Item, kind: SftpErrorKind) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.handle = None;
            entry.over = true;
        }
        self.record(item, kind);
    }

    /// A file is whole on the disk.
    pub(super) fn on_written(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        if self.settings.verify == Verify::No {
            return self.complete(item);
        }
        let (sftp, remote, local) = (self.sftp.clone(), entry.remote.clone(), entry.local.clone());
        self.checks.spawn(async move {
            (item, Checked::Whole(check::whole(&sftp, &remote, local).await))
        });
    }
}
