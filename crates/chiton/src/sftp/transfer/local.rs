//! Local files of a transfer, on threads of their own: positional, in large pieces.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{Arc, mpsc as std_mpsc},
};

use bytes::Bytes;
use sftp::Chunks;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::error::{Error, LocalFileError, SftpErrorKind};

/// How many pieces may wait between the network and the disk. With 255 KiB each, 2 MiB.
const PIECES: usize = 8;

/// An error with a local file.
pub(super) fn failed(operation: &'static str, path: &Path, source: io::Error) -> SftpErrorKind {
    SftpErrorKind::Local(Arc::new(LocalFileError { operation, path: path.to_owned(), source }))
}

/// Runs what may block on a thread where it may.
pub(super) async fn blocking<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, SftpErrorKind> + Send + 'static,
) -> Result<T, SftpErrorKind> {
    // A task that does not end well was cancelled with its runtime.
    tokio::task::spawn_blocking(act).await.unwrap_or(Err(SftpErrorKind::Connection(Error::Closed)))
}

/// Writes what it is given where it belongs.
pub(super) struct Writer {
    pieces: mpsc::Sender<(u64, Chunks)>,
    thread: JoinHandle<Result<File, NotWritten>>,
}

/// The disk did not take everything.
pub(super) struct NotWritten {
    pub(super) cause: SftpErrorKind,
    /// Up to where it did, without a gap.
    pub(super) written: u64,
}

impl Writer {
    /// Begins to write to `file`, which has everything up to `start`.
    pub(super) fn new(file: File, path: PathBuf, start: u64) -> Self {
        let (pieces, mut queue) = mpsc::channel::<(u64, Chunks)>(PIECES);
        let thread = tokio::task::spawn_blocking(move || {
            let mut written = Prefix { end: start, ahead: BTreeMap::new() };
            while let Some((offset, chunks)) = queue.blocking_recv() {
                let len = u64::try_from(chunks.len()).unwrap_or(u64::MAX);
                if let Err(error) = write_at(&file, chunks, offset) {
                    // What stands behind a gap would look complete. A device cannot be cut.
                    file.set_len(written.end).ok();
                    let cause = failed("write", &path, error);
                    return Err(NotWritten { cause, written: written.end });
                }
                written.add(offset, offset.saturating_add(len));
            }
            Ok(file)
        });
        Self { pieces, thread }
    }

    /// Queues a piece; waits while the disk does not keep up. An error comes with
    /// [`Self::finish`].
    pub(super) async fn write(&self, offset: u64, chunks: Chunks) -> Result<(), SftpErrorKind> {
        // The thread has ended with an error, which `finish` gives.
        let gone = |_| SftpErrorKind::Connection(Error::Closed);
        self.pieces.send((offset, chunks)).await.map_err(gone)
    }

    /// Waits until everything is written.
    pub(super) async fn finish(self) -> Result<File, NotWritten> {
        drop(self.pieces);
        let cause = SftpErrorKind::Connection(Error::Closed);
        self.thread.await.unwrap_or(Err(NotWritten { cause, written: 0 }))
    }
}

/// How much is there without a gap, when pieces come in any order.
struct Prefix {
    end: u64,
    ahead: BTreeMap<u64, u64>,
}

impl Prefix {
    fn add(&mut self, from: u64, to: u64) {
        self.ahead.insert(from, to);
        while let Some(next) = self.ahead.first_entry().filter(|next| *next.key() <= self.end) {
            self.end = self.end.max(next.remove());
        }
    }
}

#[cfg(unix)]
fn write_at(file: &File, mut chunks: Chunks, mut offset: u64) -> io::Result<()> {
    use std::io::IoSlice;

    /// The most slices that a system call takes everywhere.
    const MAX_SLICES: usize = 16;

    while !chunks.is_empty() {
        let slices: Vec<IoSlice<'_>> = chunks.iter().take(MAX_SLICES).map(IoSlice::new).collect();
        let n = match rustix::io::pwritev(file, &slices, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => n,
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        };
        chunks.advance(n);
        offset = offset.saturating_add(u64::try_from(n).unwrap_or(u64::MAX));
    }
    Ok(())
}

#[cfg(not(unix))]
fn write_at(mut file: &File, chunks: Chunks, offset: u64) -> io::Result<()> {
    use std::io::Write;

    file.seek(SeekFrom::Start(offset))?;
    chunks.iter().try_for_each(|piece| file.write_all(piece))
}

/// Reads a file from a place to its end, ahead of whoever takes the pieces.
pub(super) struct Reader {
    pieces: mpsc::Receiver<Result<(u64, Bytes), SftpErrorKind>>,
    used: std_mpsc::Sender<Vec<u8>>,
}

impl Reader {
    pub(super) fn new(mut file: File, path: PathBuf, from: u64, size: usize) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        let (used, free) = std_mpsc::channel::<Vec<u8>>();
        tokio::task::spawn_blocking(move || {
            let mut offset = from;
            if let Err(error) = file.seek(SeekFrom::Start(from)) {
                sender.blocking_send(Err(failed("seek in", &path, error))).ok();
                return;
            }
            loop {
                let mut buffer = free.try_recv().unwrap_or_else(|_| Vec::with_capacity(size));
                buffer.clear();
                let limit = u64::try_from(size).unwrap_or(u64::MAX);
                let read = match (&mut file).take(limit).read_to_end(&mut buffer) {
                    Ok(0) => return,
                    Ok(n) => u64::try_from(n).unwrap_or(u64::MAX),
                    Err(error) => {
                        sender.blocking_send(Err(failed("read", &path, error))).ok();
                        return;
                    }
                };
                if sender.blocking_send(Ok((offset, buffer.into()))).is_err() {
                    return;
                }
                offset = offset.saturating_add(read);
            }
        });
        Self { pieces, used }
    }

    /// The next piece; `None` at the end of the file.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn next(&mut self) -> Option<Result<(u64, Bytes), SftpErrorKind>> {
        self.pieces.recv().await
    }

    /// Gives the memory of a piece back, to be read into again.
    pub(super) fn give_back(&self, piece: Bytes) {
        if let Ok(buffer) = piece.try_into_mut() {
            // Nobody reads any more: the memory is freed instead.
            self.used.send(buffer.into()).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_without_a_gap_counts_as_written() {
        let mut written = Prefix { end: 10, ahead: BTreeMap::new() };
        written.add(20, 30);
        assert_eq!(written.end, 10);
        written.add(10, 20);
        assert_eq!(written.end, 30);
        written.add(40, 50);
        assert_eq!(written.end, 30);
    }
}
