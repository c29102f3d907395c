//! The open files and directories of a server.

use alloc::collections::BTreeMap;

use super::{DirEntry, FileSystem};
use crate::{OpenFlags, StatusCode};

/// An open file.
pub(super) struct OpenFile<F: FileSystem> {
    pub(super) file: F::File,
    /// As it was opened: reading and writing are checked here, for all file systems alike.
    pub(super) flags: OpenFlags,
}

/// A directory that is being listed.
pub(super) struct OpenDir<F: FileSystem> {
    pub(super) dir: F::Dir,
    /// What the file system said and the client has not been told yet.
    pub(super) pending: Option<Result<DirEntry, StatusCode>>,
}

/// What a handle stands for.
pub(super) enum Open<F: FileSystem> {
    File(OpenFile<F>),
    Dir(OpenDir<F>),
}

/// The table of handles. A handle is a number that is counted up, so that one that was closed
/// does not soon stand for something else.
pub(super) struct Handles<F: FileSystem> {
    table: BTreeMap<u32, Open<F>>,
    last: u32,
    limit: usize,
}

impl<F: FileSystem> Handles<F> {
    pub(super) const fn new(limit: usize) -> Self {
        Self { table: BTreeMap::new(), last: u32::MAX, limit }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    /// Whether one more can be opened; asked before something is opened or made.
    pub(super) fn room(&self) -> Result<(), StatusCode> {
        if self.table.len() < self.limit { Ok(()) } else { Err(StatusCode::Failure) }
    }

    fn add(&mut self, open: Open<F>) -> Result<[u8; 4], StatusCode> {
        self.room()?;
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.table.contains_key(&self.last) {
                break;
            }
        }
        self.table.insert(self.last, open);
        Ok(self.last.to_be_bytes())
    }

    pub(super) fn add_file(&mut self, file: OpenFile<F>) -> Result<[u8; 4], StatusCode> {
        self.add(Open::File(file))
    }

    pub(super) fn add_dir(&mut self, dir: F::Dir) -> Result<[u8; 4], StatusCode> {
        self.add(Open::Dir(OpenDir { dir, pending: None }))
    }

    fn get(&mut self, handle: &[u8]) -> Option<&mut Open<F>> {
        let number = u32::from_be_bytes(handle.try_into().ok()?);
        self.table.get_mut(&number)
    }

    /// An open file; `otherwise` is the answer if the handle stands for none.
    pub(super) fn file(
        &mut self,
        handle: &[u8],
        otherwise: StatusCode,
    ) -> Result<&mut OpenFile<F>, StatusCode> {
        match self.get(handle) {
            Some(Open::File(file)) => Ok(file),
            Some(Open::Dir(_)) | None => Err(otherwise),
        }
    }

    /// Two open files that are not the same, for reading and for writing.
    pub(super) fn files(
        &mut self,
        from: &[u8],
        to: &[u8],
    ) -> Result<(&mut OpenFile<F>, &mut OpenFile<F>), StatusCode> {
        let number = |handle: &[u8]| handle.try_into().map(u32::from_be_bytes).ok();
        let (Some(from), Some(to)) = (number(from), number(to)) else {
            return Err(StatusCode::NoSuchFile);
        };
        if !self.table.contains_key(&from) || !self.table.contains_key(&to) {
            return Err(StatusCode::NoSuchFile);
        }
        let mut between = self.table.range_mut(from.min(to)..=from.max(to));
        let (Some((_, Open::File(low))), Some((_, Open::File(high)))) =
            (between.next(), between.next_back())
        else {
            return Err(StatusCode::Failure);
        };
        Ok(if from < to { (low, high) } else { (high, low) })
    }

    pub(super) fn dir(&mut self, handle: &[u8]) -> Result<&mut OpenDir<F>, StatusCode> {
        match self.get(handle) {
            Some(Open::Dir(dir)) => Ok(dir),
            Some(Open::File(_)) | None => Err(StatusCode::Failure),
        }
    }

    pub(super) fn remove(&mut self, handle: &[u8]) -> Result<Open<F>, StatusCode> {
        let number = handle.try_into().map(u32::from_be_bytes).ok();
        number.and_then(|number| self.table.remove(&number)).ok_or(StatusCode::NoSuchFile)
    }
}
