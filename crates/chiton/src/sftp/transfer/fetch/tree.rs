//! Directories: what a listing names is checked, counted and begun with, and a directory ends when
//! everything in it has.

use sftp::{
    client::Name,
    path::{NamingRules, check_component},
    transfer::Item,
};

use super::{Entry, Fetch};
use crate::{
    error::SftpErrorKind,
    sftp::{
        dir::MAX_LISTING,
        transfer::{FileState, Links, MAX_DEPTH, SkipReason, sink::Job},
    },
};

impl Fetch {
    /// Begins with a directory whose attributes are known.
    pub(super) fn begin_directory(&mut self, item: Item) {
        let Some(entry) = self.entries.get(&item) else { return };
        self.sink.send(Job::Folder(item, entry.place()));
        self.tell(item, FileState::Directory);
    }

    /// Takes what a directory was said to contain.
    pub(super) fn on_names(&mut self, item: Item, names: Vec<Name>) {
        for Name { filename, attrs, .. } in names {
            if matches!(&*filename, b"." | b"..") {
                continue;
            }
            let Some(directory) = self.entries.get(&item).filter(|entry| !entry.over) else {
                return;
            };
            if let Err(bad) = check_component(&filename, NamingRules::LOCAL) {
                return self.fail_directory(item, SftpErrorKind::BadName(bad));
            }
            let mut entry = directory.inner(item, filename, attrs);
            self.listed = self.listed.saturating_add(entry.weight());
            if self.listed > MAX_LISTING {
                let kind = SftpErrorKind::ListingTooLong { limit: MAX_LISTING };
                return self.fail_directory(item, kind);
            }
            let number = Item(self.next_item);
            if let Some(reason) = self.leaves_out(&entry) {
                self.listed = self.listed.saturating_sub(entry.weight());
                self.skip(&entry, reason);
                continue;
            }
            self.next_item = self.next_item.wrapping_add(1);
            entry.parent = Some(item);
            self.entries.insert(number, entry);
            if let Some(directory) = self.entries.get_mut(&item) {
                directory.left = directory.left.saturating_add(1);
            }
            if attrs.is_dir() {
                self.begin_directory(number);
                self.plan.add_directory(number);
            } else if attrs.is_symlink() {
                self.links.push_back(number);
            } else {
                self.begin_file(number);
            }
        }
    }

    /// Why something listed is left out, if it is.
    fn leaves_out(&self, entry: &Entry) -> Option<SkipReason> {
        let known = entry.attrs.permissions.and_then(sftp::Permissions::file_type).is_some();
        if entry.attrs.is_symlink() {
            (self.settings.links == Links::Skip).then_some(SkipReason::Link)
        } else if entry.attrs.is_dir() {
            (entry.depth >= MAX_DEPTH).then_some(SkipReason::TooDeep)
        } else {
            (known && !entry.attrs.is_file()).then_some(SkipReason::Special)
        }
    }

    pub(super) fn skip(&mut self, entry: &Entry, reason: SkipReason) {
        self.account.skip(&entry.remote, &entry.local, entry.remote.clone(), reason);
    }

    /// Everything in a directory is known.
    pub(super) fn on_listed(&mut self, item: Item) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.listed = true;
        }
        self.settle(item);
    }

    /// Lists a directory no further. What was listed of it goes on.
    pub(super) fn fail_directory(&mut self, item: Item, kind: SftpErrorKind) {
        self.plan.abandon(item);
        if let Some(entry) = self.entries.get(&item) {
            self.account.fail(&entry.remote, &entry.local, kind);
        }
        self.on_listed(item);
    }

    /// Ends a directory in which everything is done.
    pub(super) fn settle(&mut self, item: Item) {
        let Some(entry) = self.entries.get_mut(&item) else { return };
        if entry.listed && entry.left == 0 && !entry.over {
            entry.over = true;
            let attrs = self.settings.preserve.then_some(entry.attrs);
            self.sink.send(Job::Settle(item, attrs));
        }
    }
}
