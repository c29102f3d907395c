//! The content of files on its way to the disk: where each file begins, what comes of it, and what
//! the disk says. Small files of a tree are kept until they are whole and then written in one go.

use sftp::{Chunks, transfer::Item};

use super::{Fetch, entry::Content};
use crate::{
    error::SftpErrorKind,
    sftp::transfer::{
        FileState, Resume,
        sink::{Done, Ending, Job},
    },
};

/// A file that is said to be no larger is written in one go, when everything of it is there: more
/// than a request carries from most servers.
const SMALL: u64 = 128 * 1024;

impl Fetch {
    /// Begins with a file whose attributes are known.
    pub(super) fn begin_file(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        self.account.expect_file(entry.size());
        if self.settings.resume == Resume::No || self.settings.atomic {
            self.add_file(item, 0);
        } else {
            self.to_look.push_back(item);
        }
    }

    /// Gives a file to the plan, from `start` on.
    pub(super) fn add_file(&mut self, item: Item, start: u64) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        let size = entry.size();
        entry.start = start;
        self.account.meter.skipped = self.account.meter.skipped.saturating_add(start);
        let small = start == 0 && size.is_some_and(|size| size <= SMALL) && entry.file.is_none();
        // What is named is written as it comes, so that what is there can be taken up.
        entry.content = if small && entry.parent.is_some() {
            Content::Small(Vec::new())
        } else {
            Content::Written
        };
        // A hint for regular files only: others say anything.
        let hint = size.filter(|_| entry.attrs.is_file() || entry.attrs.permissions.is_none());
        self.tell(item, FileState::Started { size });
        let open = self.entries.get(&item).is_some_and(|entry| entry.handle.is_some());
        if open {
            self.open_local(item);
            self.plan.add_open_file(item, start, hint);
        } else {
            self.plan.add_file(item, start, hint);
        }
    }

    /// Opens the local file, unless it is written in one go.
    pub(super) fn open_local(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        if let Content::Written = entry.content
            && !entry.over
        {
            let (mode, keep) = (entry.mode(), entry.start);
            let place = entry.take_place();
            self.sink.send(Job::Create { item, place, mode, keep });
        }
    }

    pub(super) fn on_content(&mut self, item: Item, offset: u64, chunks: Chunks) {
        let len = u64::try_from(chunks.len()).unwrap_or(u64::MAX);
        let Some(entry) = self.entries.get_mut(&item).filter(|entry| !entry.over) else {
            return self.plan.on_stored(len);
        };
        entry.came = entry.came.saturating_add(len);
        self.account.moved(len);
        match &mut entry.content {
            Content::Written => self.sink.send(Job::Write(item, offset, chunks)),
            Content::Small(pieces) => {
                pieces.push((offset, chunks));
                if entry.came <= SMALL {
                    return;
                }
                // It has become larger than it was said to be.
                let pieces = core::mem::take(pieces);
                entry.content = Content::Written;
                self.open_local(item);
                for (offset, chunks) in pieces {
                    self.sink.send(Job::Write(item, offset, chunks));
                }
            }
        }
    }

    /// Everything of a file came: it is given its end on the disk.
    pub(super) fn finish_local(&mut self, item: Item, size: u64) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        let end = Ending { size, attrs: self.settings.preserve.then_some(entry.attrs) };
        if let Content::Small(pieces) = &mut entry.content {
            let pieces = core::mem::take(pieces);
            let (mode, came) = (entry.mode(), entry.came);
            let place = entry.take_place();
            // What waits in the queue to the disk is bounded by the files that may be open.
            self.plan.on_stored(came);
            self.sink.send(Job::Store { item, place, mode, pieces, end });
        } else {
            self.sink.send(Job::Finish(item, end));
        }
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.came = size;
            entry.finishing = true;
        }
    }

    pub(super) fn on_disk(&mut self, done: Done) {
        match done {
            Done::Ready(item) => self.on_ready(item),
            Done::There(item, there) => self.on_there(item, there),
            Done::Written(bytes) => self.plan.on_stored(bytes),
            Done::Finished(item) => self.on_written(item),
            Done::Abandoned(item, confirmed) => {
                let failure = self.entries.get_mut(&item).and_then(|entry| entry.failure.take());
                if let Some(cause) = failure {
                    let cause = Box::new(cause);
                    self.record(item, SftpErrorKind::Interrupted { confirmed, cause });
                }
            }
            Done::Failed { item, cause, written, freed } => {
                self.plan.on_stored(freed);
                let Some(entry) = self.entries.get_mut(&item) else { return };
                if entry.is_directory() {
                    return self.fail_directory(item, cause);
                }
                // It may have failed for another reason before; it does so once.
                let known = entry.over && entry.failure.take().is_none();
                let kind = match entry.came {
                    0 => cause,
                    _ => {
                        let cause = Box::new(cause);
                        SftpErrorKind::Interrupted { confirmed: written, cause }
                    }
                };
                entry.over = true;
                self.plan.abandon(item);
                if !known {
                    self.record(item, kind);
                }
            }
        }
    }

    /// A directory, link or file is there.
    fn on_ready(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        if entry.attrs.is_symlink() && entry.parent.is_some() {
            self.account.report.links = self.account.report.links.saturating_add(1);
            self.tell(item, FileState::Link);
            self.forget(item);
        } else if entry.is_directory() && entry.over {
            self.account.report.directories = self.account.report.directories.saturating_add(1);
            self.forget(item);
        }
    }
}
