//! What is known of something that is downloaded: where it is and goes, and how far it has come.

use std::{collections::HashMap, fs, path::PathBuf};

use sftp::{
    Attrs, Chunks,
    transfer::{Gets, Item},
};

use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath,
        engine::Opened,
        transfer::{FileProgress, progress::oldest, sink::Place},
    },
};

/// A file, directory or link of a download.
pub(super) struct Entry {
    pub(super) remote: RemotePath,
    pub(super) local: PathBuf,
    pub(super) parent: Option<Item>,
    /// The name in the parent.
    pub(super) name: Vec<u8>,
    /// The open file of the user.
    pub(super) file: Option<fs::File>,
    pub(super) attrs: Attrs,
    pub(super) depth: u32,
    pub(super) handle: Option<Opened>,
    /// Bytes that were there, and those that came.
    pub(super) start: u64,
    pub(super) came: u64,
    pub(super) content: Content,
    /// Why it was given up, until the disk has said up to where it is there.
    pub(super) failure: Option<SftpErrorKind>,
    pub(super) over: bool,
    /// It is being given its end on the disk.
    pub(super) finishing: bool,
    /// Of a directory: what in it is not done, and whether everything was listed.
    pub(super) left: usize,
    pub(super) listed: bool,
}

/// What is done with the content of a file.
pub(super) enum Content {
    /// It is kept until it is all there.
    Small(Vec<(u64, Chunks)>),
    /// It is written as it comes.
    Written,
}

impl Entry {
    pub(super) fn new(remote: RemotePath, local: PathBuf, attrs: Attrs) -> Self {
        Self {
            remote,
            local,
            parent: None,
            name: Vec::new(),
            file: None,
            attrs,
            depth: 0,
            handle: None,
            start: 0,
            came: 0,
            content: Content::Written,
            failure: None,
            over: false,
            finishing: false,
            left: 0,
            listed: false,
        }
    }

    /// Something in this directory.
    pub(super) fn inner(&self, item: Item, name: Vec<u8>, attrs: Attrs) -> Self {
        use std::os::unix::ffi::OsStrExt;

        let local = self.local.join(std::ffi::OsStr::from_bytes(&name));
        let mut entry = Self::new(self.remote.join(&name), local, attrs);
        entry.name = name;
        entry.parent = Some(item);
        entry.depth = self.depth.saturating_add(1);
        entry
    }

    /// What it takes in memory.
    pub(super) fn weight(&self) -> usize {
        let paths = self.remote.as_bytes().len().saturating_add(self.local.as_os_str().len());
        paths.saturating_add(self.name.len()).saturating_add(size_of::<Self>())
    }

    pub(super) fn is_directory(&self) -> bool {
        self.attrs.is_dir()
    }

    pub(super) fn size(&self) -> Option<u64> {
        self.attrs.size
    }

    pub(super) fn mode(&self) -> Option<u32> {
        self.attrs.permissions.map(sftp::Permissions::mode)
    }

    /// Where it goes; a file of the user can be looked at before.
    pub(super) fn place(&self) -> Place {
        match (self.parent, &self.file) {
            (Some(parent), _) => Place::In(parent, self.name.clone()),
            (None, Some(file)) => match file.try_clone() {
                Ok(file) => Place::Open(file, self.local.clone()),
                Err(_) => Place::Path(self.local.clone()),
            },
            (None, None) => Place::Path(self.local.clone()),
        }
    }

    pub(super) fn take_place(&mut self) -> Place {
        match self.file.take() {
            Some(file) => Place::Open(file, self.local.clone()),
            None => self.place(),
        }
    }
}

/// The files that are shown.
pub(super) fn active(entries: &HashMap<Item, Entry>, plan: &Gets) -> Vec<FileProgress> {
    let open = entries
        .iter()
        .filter(|(_, entry)| entry.handle.is_some() && !entry.is_directory() && !entry.over);
    oldest(open, |item, entry| FileProgress {
        remote: entry.remote.clone(),
        done: plan.confirmed(item),
        total: entry.size(),
    })
}
