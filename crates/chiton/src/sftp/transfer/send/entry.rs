//! What is known of something that is uploaded: where it is and goes, and what the server has open
//! of it.

use std::{collections::HashMap, path::PathBuf};

use sftp::{
    Attrs,
    attrs::Times,
    client::Handle,
    transfer::{Item, Puts},
};

use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath,
        transfer::{
            FileProgress, folder::MODE, progress::oldest, sink::temporary_name, source::Found,
        },
    },
};

/// A file, directory or link of an upload.
pub(super) struct Entry {
    pub(super) remote: RemotePath,
    /// What it is called until it is whole.
    pub(super) hidden: Option<RemotePath>,
    pub(super) local: PathBuf,
    pub(super) attrs: Attrs,
    pub(super) directory: bool,
    pub(super) link: Option<Vec<u8>>,
    pub(super) depth: u32,
    pub(super) size: u64,
    pub(super) start: u64,
    /// By channel.
    pub(super) handles: Vec<Option<Handle>>,
    /// Why a directory could not be made, until it is seen whether it is there.
    pub(super) refused: Option<SftpErrorKind>,
    pub(super) over: bool,
}

impl Entry {
    pub(super) fn new(remote: RemotePath, local: PathBuf) -> Self {
        Self {
            remote,
            hidden: None,
            local,
            attrs: Attrs::NONE,
            directory: false,
            link: None,
            depth: 0,
            size: 0,
            start: 0,
            handles: Vec::new(),
            refused: None,
            over: false,
        }
    }

    /// Something in this directory.
    pub(super) fn inner(&self, found: &Found) -> Self {
        use std::os::unix::ffi::OsStrExt;

        let local = self.local.join(std::ffi::OsStr::from_bytes(&found.name));
        let mut entry = Self::new(self.remote.join(&found.name), local);
        entry.depth = self.depth.saturating_add(1);
        entry
    }

    pub(super) fn describe(&mut self, found: &Found) {
        let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
        let times = Times { accessed: seconds(found.accessed), modified: seconds(found.modified) };
        self.attrs = Attrs { times: Some(times), ..Attrs::with_mode(found.mode & MODE) };
        self.size = found.size;
    }

    /// Gives it a name for as long as it is not whole.
    pub(super) fn hide(&mut self) {
        let path = self.remote.as_bytes();
        let name = self.remote.file_name().unwrap_or_default();
        let end =
            path.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last.saturating_add(1));
        let start = end.saturating_sub(name.len());
        let mut hidden = path.get(..start).unwrap_or_default().to_vec();
        hidden.extend(temporary_name(name));
        self.hidden = Some(hidden.into());
    }

    /// Whether the server has it open on any channel.
    pub(super) fn is_open(&self) -> bool {
        self.handles.iter().any(Option::is_some)
    }

    pub(super) fn mode(&self) -> u32 {
        self.attrs.permissions.map_or(0o644, sftp::Permissions::mode)
    }
}

/// The files that are shown.
pub(super) fn active(entries: &HashMap<Item, Entry>, plan: &Puts) -> Vec<FileProgress> {
    let open = entries.iter().filter(|(_, entry)| !entry.over && entry.is_open());
    oldest(open, |item, entry| FileProgress {
        remote: entry.remote.clone(),
        done: plan.confirmed(item),
        total: Some(entry.size),
    })
}
