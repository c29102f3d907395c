//! What is here: files, directories and links as they are found, and content as it is read.

use sftp::{
    Extension,
    transfer::{Item, PutFile},
};

use super::Sending;
use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath,
        transfer::{
            FileState, MAX_DEPTH, Resume, SkipReason,
            local::local_error,
            source::{Done, Found, Kind},
        },
    },
};

impl Sending {
    pub(super) fn on_disk(&mut self, done: Done) {
        match done {
            Done::Looked(item, Ok(found)) => self.begin(item, found),
            Done::Looked(item, Err(error)) => self.record(item, error.into()),
            Done::Listed(item, Ok(found)) => {
                found.into_iter().for_each(|found| self.add(item, found));
                self.plan.seal(item);
            }
            Done::Listed(item, Err(error)) => {
                self.say(item, error.into());
                self.plan.seal(item);
            }
            Done::Loaded(load, Ok((bytes, end))) => {
                let got = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                if let Some(entry) = self.entries.get_mut(&load.item).filter(|entry| !entry.over) {
                    if end {
                        entry.size = load.range.offset.saturating_add(got.into());
                    }
                    if got > 0 {
                        self.loaded.insert((load.item, load.range.offset), bytes);
                    }
                }
                self.plan.on_loaded(load, got, end);
            }
            Done::Loaded(load, Err(error)) => {
                self.interrupt(load.item, error.into());
                self.plan.abandon(load.item);
                self.plan.on_loaded(load, 0, true);
            }
            Done::Hole(load, to, end) => {
                if end && let Some(entry) = self.entries.get_mut(&load.item) {
                    entry.size = to;
                }
                self.plan.on_hole(load, to, end);
            }
            Done::Closed => {}
        }
        self.collect();
    }

    /// Begins with what the user named.
    fn begin(&mut self, item: Item, found: Found) {
        let Some(top) = self.entries.get_mut(&item) else { return };
        let recursive = self.settings.recursive;
        match found.kind {
            Kind::Directory if recursive => {
                top.describe(&found);
                self.add_directory(item, None);
            }
            Kind::Directory => {
                let kind = std::io::ErrorKind::IsADirectory.into();
                let failure = local_error("upload", &top.local, kind);
                self.record(item, failure.into());
            }
            Kind::File | Kind::Link(_) | Kind::Special => {
                top.describe(&found);
                self.add_file(item, None, found.size);
            }
        }
    }

    /// Takes what is in a local directory.
    fn add(&mut self, parent: Item, found: Found) {
        // What could not be made has nothing put into it.
        let Some(directory) = self.entries.get(&parent).filter(|entry| !entry.over) else { return };
        let mut entry = directory.inner(&found);
        let reason = match (&found.kind, self.settings.links) {
            (Kind::Directory, _) if entry.depth > MAX_DEPTH => Some(SkipReason::TooDeep),
            (Kind::Link(target), _) if target.is_empty() => Some(SkipReason::Link),
            (Kind::Special, _) => Some(SkipReason::Special),
            _ => None,
        };
        if let Some(reason) = reason {
            let path = RemotePath::from(&*entry.local);
            return self.account.skip(&entry.remote, &entry.local, path, reason);
        }
        let item = Item(self.next_item);
        self.next_item = self.next_item.wrapping_add(1);
        entry.describe(&found);
        let size = found.size;
        match found.kind {
            Kind::Directory => {
                self.entries.insert(item, entry);
                self.add_directory(item, Some(parent));
            }
            Kind::Link(target) => {
                entry.link = Some(target);
                self.entries.insert(item, entry);
                self.plan.add_link(item, Some(parent));
            }
            Kind::File | Kind::Special => {
                self.entries.insert(item, entry);
                self.add_file(item, Some(parent), size);
            }
        }
    }

    fn add_directory(&mut self, item: Item, parent: Option<Item>) {
        if let Some(entry) = self.entries.get_mut(&item) {
            entry.directory = true;
        }
        self.plan.add_directory(item, parent, false, self.settings.preserve);
        self.to_list.push(item);
    }

    fn add_file(&mut self, item: Item, parent: Option<Item>, size: u64) {
        let settings = &self.settings;
        let atomic = settings.atomic && self.has(Extension::PosixRename);
        if settings.atomic && !atomic {
            let name = Extension::PosixRename.name();
            return self.record(item, SftpErrorKind::Unsupported(name));
        }
        let how = PutFile {
            parent,
            size: Some(size),
            look: settings.resume != Resume::No && !atomic,
            set_attributes: settings.preserve || settings.sparse || settings.in_place,
            sync: (settings.sync || atomic) && self.has(Extension::Fsync),
            rename: atomic,
        };
        if settings.sync && !how.sync {
            return self.record(item, SftpErrorKind::Unsupported(Extension::Fsync.name()));
        }
        if atomic && let Some(entry) = self.entries.get_mut(&item) {
            entry.hide();
        }
        self.account.expect_file(Some(size));
        self.tell(item, FileState::Started { size: Some(size) });
        self.plan.add_file(item, how);
        self.decide();
    }
}
