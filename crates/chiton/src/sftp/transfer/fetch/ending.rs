//! How what is under way comes to its end: whole, failed or broken off, and out of its directory. It
//! is kept for as long as the server has it open.

use sftp::transfer::Item;

use super::{Fetch, entry::Content};
use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath,
        transfer::{FileState, TOP, sink::Job},
    },
};

impl Fetch {
    pub(super) fn complete(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        self.account.complete(&entry.remote, &entry.local, entry.came);
        self.forget(item);
    }

    /// Gives up a file because of what the server said or did.
    pub(super) fn fail(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get_mut(&item).filter(|entry| !entry.over) else { return };
        entry.over = true;
        if entry.is_directory() && entry.handle.is_some() {
            return self.fail_directory(item, kind);
        }
        let opened = entry.handle.is_some();
        match &entry.content {
            Content::Written if opened => {
                entry.failure = Some(kind);
                let confirmed = self.plan.confirmed(item);
                self.plan.abandon(item);
                self.sink.send(Job::Abandon(item, confirmed));
            }
            Content::Small(_) if entry.came > 0 => {
                let came = entry.came;
                entry.content = Content::Small(Vec::new());
                self.plan.on_stored(came);
                self.plan.abandon(item);
                let cause = Box::new(kind);
                self.record(item, SftpErrorKind::Interrupted { confirmed: 0, cause });
            }
            _ => {
                self.plan.abandon(item);
                self.record(item, kind);
            }
        }
    }

    /// Says what went wrong with a file, for which nothing more is done.
    pub(super) fn record(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get(&item) else { return };
        self.account.fail(&entry.remote, &entry.local, kind);
        self.leave(item);
    }

    pub(super) fn tell(&self, item: Item, state: FileState) {
        if let Some(entry) = self.entries.get(&item) {
            self.account.tell(&entry.remote, &entry.local, state);
        }
    }

    /// Takes an item that is done out of its directory. It is kept while it is open.
    pub(super) fn leave(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        let parent = entry.parent.take();
        if entry.handle.is_none() {
            self.remove(item);
        }
        if let Some(parent) = parent {
            if let Some(directory) = self.entries.get_mut(&parent) {
                directory.left = directory.left.saturating_sub(1);
            }
            self.settle(parent);
        }
    }

    pub(super) fn forget(&mut self, item: Item) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.over = true;
        }
        self.leave(item);
    }

    fn remove(&mut self, item: Item) {
        if let Some(entry) = self.entries.remove(&item) {
            self.listed = self.listed.saturating_sub(entry.weight());
        }
    }

    pub(super) fn on_closed(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        entry.handle = None;
        if entry.over && entry.parent.is_none() && entry.failure.is_none() && item != TOP {
            self.remove(item);
        }
    }

    /// The transfer cannot go on: what was being written is cut to what is confirmed.
    pub(super) async fn break_off(&mut self, why: &SftpErrorKind, top: &RemotePath) {
        let mut open: Vec<Item> = self.entries.keys().copied().collect();
        open.sort();
        for item in open {
            let Some(entry) = self.entries.get(&item) else { continue };
            if !entry.is_directory() && entry.handle.is_some() && !entry.finishing {
                self.fail(item, why.clone());
            }
        }
        while let Some(done) = self.sink.next().await {
            self.on_disk(done);
        }
        self.account.broken_off(top, why.clone());
    }
}
