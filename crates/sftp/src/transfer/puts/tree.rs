//! The order in a tree: a directory is there before what is in it, and ends after that.

use alloc::vec::Vec;

use super::{super::Item, PutStep, Puts, Stage};

#[derive(Clone, Debug)]
pub(super) struct Directory {
    pub(super) parent: Option<Item>,
    pub(super) state: Made,
    /// Set attributes when everything in it is done.
    pub(super) set_attributes: bool,
    /// What waits for it.
    pub(super) waiting: Vec<Item>,
    /// What in it is not done, and whether more may come.
    pub(super) left: usize,
    pub(super) sealed: bool,
    pub(super) failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Made {
    Waiting,
    Asked,
    Yes,
    Setting,
}

impl Puts {
    /// Adds a directory to be made, or that is `there` already. What is in it may be added
    /// at once; [`Self::seal`] says that nothing more comes.
    pub fn add_directory(
        &mut self,
        item: Item,
        parent: Option<Item>,
        there: bool,
        set_attributes: bool,
    ) {
        let state = if there { Made::Yes } else { Made::Waiting };
        let directory = Directory {
            parent,
            state,
            set_attributes,
            waiting: Vec::new(),
            left: 0,
            sealed: false,
            failed: false,
        };
        self.directories.insert(item, directory);
        self.enter(item, parent);
    }

    /// Says that everything that is in a directory was added.
    pub fn seal(&mut self, item: Item) {
        if let Some(directory) = self.directories.get_mut(&item) {
            directory.sealed = true;
        }
        self.settle(item);
    }

    pub(super) fn waits(&self, parent: Option<Item>) -> bool {
        parent
            .and_then(|parent| self.directories.get(&parent))
            .is_some_and(|directory| directory.state != Made::Yes)
    }

    /// Puts something into its directory, or at once to work.
    pub(super) fn enter(&mut self, item: Item, parent: Option<Item>) {
        let directory = parent.and_then(|parent| self.directories.get_mut(&parent));
        if let Some(directory) = directory {
            directory.left = directory.left.saturating_add(1);
            if directory.state != Made::Yes {
                directory.waiting.push(item);
                return;
            }
        }
        self.begin(item);
    }

    /// Its directory is there.
    pub(super) fn begin(&mut self, item: Item) {
        if let Some(directory) = self.directories.get_mut(&item) {
            if directory.state == Made::Waiting {
                directory.state = Made::Asked;
                self.steps.push_back(PutStep::MakeDirectory(item));
            }
            return;
        }
        let Some(file) = self.files.get(&item) else { return };
        match file.stage {
            Stage::Renaming => self.step(item, PutStep::MakeLink(item)),
            Stage::Waiting if file.how.look => self.step(item, PutStep::Look(item)),
            _ => self.to_open.push_back(item),
        }
    }

    pub(super) fn abandon_directory(&mut self, item: Item) {
        let Some(directory) = self.directories.get_mut(&item) else { return };
        let waiting = core::mem::take(&mut directory.waiting);
        directory.sealed = true;
        directory.failed = true;
        directory.set_attributes = false;
        directory.state = Made::Yes;
        self.steps.retain(|step| *step != PutStep::MakeDirectory(item));
        for child in waiting {
            if self.directories.contains_key(&child) {
                self.abandon_directory(child);
            } else {
                self.forget(child);
            }
        }
        self.settle(item);
    }

    pub(super) fn leave(&mut self, item: Item) {
        if let Some(directory) = self.directories.remove(&item) {
            if !directory.failed {
                self.finished.push_back((item, Ok(0)));
            }
            self.leave_parent(directory.parent);
        }
    }

    pub(super) fn leave_parent(&mut self, parent: Option<Item>) {
        let Some(parent) = parent else { return };
        if let Some(directory) = self.directories.get_mut(&parent) {
            directory.left = directory.left.saturating_sub(1);
        }
        self.settle(parent);
    }

    /// Ends a directory in which everything is done.
    pub(super) fn settle(&mut self, item: Item) {
        let Some(directory) = self.directories.get_mut(&item) else { return };
        if directory.state != Made::Yes || !directory.sealed || directory.left > 0 {
            return;
        }
        if directory.set_attributes {
            directory.state = Made::Setting;
            self.steps.push_back(PutStep::SetDirectory(item));
        } else {
            self.leave(item);
        }
    }
}
