//! Directories: what is in them, as it comes.

use core::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};
use std::{collections::VecDeque, sync::Arc};

use futures_core::{FusedStream, Stream};
use sftp::{
    Attrs, RequestError, StatusCode,
    client::{Name, Response},
    path::{NamingRules, check_component},
};

use super::{
    RemotePath, Sftp,
    engine::{Opened, Ticket},
    error, expect_handle, expect_ok,
};
use crate::error::{Error, SftpErrorKind};

/// The most bytes that the entries of one directory may take: more than a million files with names
/// of the usual length. A server can go on listing for ever.
pub(super) const MAX_LISTING: usize = 256 * 1024 * 1024;

/// Requests at the beginning: of a small directory, the names and the end come together.
const FIRST_REQUESTS: usize = 2;

/// The most requests at a time: with OpenSSH's server 1600 names for each round trip. It is also
/// the number of answers (256 KiB at most) that a listing holds which nobody reads on.
const MAX_REQUESTS: usize = 16;

/// An entry of a directory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DirEntry {
    /// The name: one component, as bytes. Never `.` or `..`, never with a `/`.
    pub file_name: Vec<u8>,
    /// A line as `ls -l` prints it, made by the server for people. Not to be parsed.
    pub longname: Vec<u8>,
    /// What the server says about it; links are not followed.
    pub attrs: Attrs,
}

impl DirEntry {
    /// About what it takes in memory, in bytes.
    fn held(&self) -> usize {
        let texts = self.file_name.len().saturating_add(self.longname.len());
        texts.saturating_add(size_of::<Self>())
    }
}

/// The entries of a directory, as they come: a [`Stream`], or [`next_entry`](Self::next_entry).
///
/// Several requests are out at a time, so that a large directory does not cost a round trip for
/// every hundred entries. What was asked for and is not taken waits; nothing more is asked for then.
///
/// # Errors
/// The server's answer, a name that is not one component, or the end of the connection. Nothing
/// comes after an error.
///
/// # Cancel safety
/// A dropped [`next_entry`](Self::next_entry) has taken nothing. Dropping the whole closes the
/// directory on the server.
#[derive(Debug)]
pub struct ReadDir {
    ticket: Ticket,
    path: RemotePath,
    /// Closed when it is dropped: a directory has nothing to tell at its end.
    handle: Option<Opened>,
    /// Requests that are out.
    asked: usize,
    /// Requests that may be out.
    depth: usize,
    entries: VecDeque<DirEntry>,
    /// The server has said that there is no more, or failed.
    ended: Option<Result<(), SftpErrorKind>>,
}

impl ReadDir {
    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// See [`ReadDir`].
    pub async fn next_entry(&mut self) -> Result<Option<DirEntry>, Error> {
        poll_fn(|cx| self.poll_entry(cx)).await.transpose()
    }

    fn poll_entry(&mut self, cx: &Context<'_>) -> Poll<Option<Result<DirEntry, Error>>> {
        loop {
            if let Some(entry) = self.entries.pop_front() {
                return Poll::Ready(Some(Ok(entry)));
            }
            if self.asked == 0
                && self.ended.is_none()
                && self.handle.is_some()
                && let Err(kind) = ready!(self.ticket.poll_reserve(cx))
            {
                self.fail(kind);
            }
            if let Err(kind) = self.ask() {
                self.fail(kind);
            }
            if self.asked == 0 {
                self.handle = None;
                let failed = self.ended.replace(Ok(())).and_then(Result::err);
                return Poll::Ready(
                    failed.map(|kind| Err(error("read_dir", self.path.as_bytes(), kind))),
                );
            }
            match ready!(self.ticket.poll_reply(cx)) {
                Ok((_, response)) => self.take(response),
                Err(kind) => self.fail(kind),
            }
        }
    }

    /// Ends it with an error; what is still to come is not waited for.
    fn fail(&mut self, kind: SftpErrorKind) {
        self.ended = Some(Err(kind));
        self.asked = 0;
    }

    fn ask(&mut self) -> Result<(), SftpErrorKind> {
        while self.ended.is_none() && self.asked < self.depth {
            let Some(open) = &self.handle else { break };
            let handle = open.handle()?;
            match self.ticket.send(|client, out| client.readdir(handle, out)) {
                // Others have many requests out; ours go on, or wait for their turn.
                Err(SftpErrorKind::Request(RequestError::TooManyOutstanding)) => break,
                asked => drop(asked?),
            }
            self.asked = self.asked.saturating_add(1);
        }
        Ok(())
    }

    fn take(&mut self, response: Response) {
        self.asked = self.asked.saturating_sub(1);
        match response {
            Response::Names(names) => {
                self.depth = self.depth.saturating_mul(2).min(MAX_REQUESTS);
                for Name { filename, longname, attrs, .. } in names {
                    if matches!(&*filename, b"." | b"..") {
                        continue;
                    }
                    if let Err(bad) = check_component(&filename, NamingRules::LOCAL) {
                        self.fail(SftpErrorKind::BadName(bad));
                        return;
                    }
                    self.entries.push_back(DirEntry { file_name: filename, longname, attrs });
                }
            }
            Response::Status(status) if status.code == StatusCode::Eof => {
                self.ended.get_or_insert(Ok(()));
            }
            other => {
                let failed = expect_ok(other);
                self.ended.get_or_insert(failed);
            }
        }
    }
}

impl Stream for ReadDir {
    type Item = Result<DirEntry, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().poll_entry(cx)
    }
}

impl FusedStream for ReadDir {
    fn is_terminated(&self) -> bool {
        matches!(self.ended, Some(Ok(()))) && self.asked == 0 && self.entries.is_empty()
    }
}

impl Sftp {
    /// Opens a directory and gives its entries as they come, without `.` and `..`, in the server's
    /// order. See [`Self::list_dir`] for all of them at once.
    ///
    /// ```no_run
    /// # async fn example(sftp: chiton::Sftp) -> Result<(), chiton::Error> {
    /// let mut entries = sftp.read_dir("/var/log").await?;
    /// while let Some(entry) = entries.next_entry().await? {
    ///     println!("{} bytes", entry.attrs.size.unwrap_or(0));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    pub async fn read_dir(&self, path: impl Into<RemotePath>) -> Result<ReadDir, Error> {
        let path = path.into();
        let ticket = self.engine.ticket();
        let open = async {
            ticket.send_in_turn(|client, out| client.opendir(path.as_bytes(), out)).await?;
            expect_handle(ticket.reply().await?.1)
        };
        let handle = open.await.map_err(|kind| error("read_dir", path.as_bytes(), kind))?;
        let mut entries = ReadDir {
            ticket,
            path,
            handle: Some(Opened::new(Arc::clone(&self.engine), handle)),
            asked: 0,
            depth: FIRST_REQUESTS,
            entries: VecDeque::new(),
            ended: None,
        };
        if let Err(kind) = entries.ask() {
            entries.fail(kind);
        }
        entries.ticket.flush();
        Ok(entries)
    }

    /// All entries of a directory, as [`Self::read_dir`] gives them.
    ///
    /// # Errors
    /// As [`ReadDir`]; and more entries than fit into 256 MiB.
    pub async fn list_dir(&self, path: impl Into<RemotePath>) -> Result<Vec<DirEntry>, Error> {
        let mut listing = self.read_dir(path).await?;
        let (mut entries, mut held) = (Vec::new(), 0_usize);
        while let Some(entry) = listing.next_entry().await? {
            held = held.saturating_add(entry.held());
            if held > MAX_LISTING {
                let kind = SftpErrorKind::ListingTooLong { limit: MAX_LISTING };
                return Err(error("read_dir", listing.path.as_bytes(), kind));
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::testing::{World, millis};
    use sftp::server::Policy;
    use std::fs;

    fn fill(world: &World, count: usize) {
        for i in 0..count {
            fs::write(world.path(format!("file {i}")), b"").unwrap();
        }
    }

    #[tokio::test]
    async fn entries_come_one_by_one_and_each_once() {
        let world = World::new().await;
        for count in [0, 1, 99, 100, 2500] {
            fill(&world, count);
            let mut listing = world.sftp.read_dir("/").await.unwrap();
            let mut names = Vec::new();
            while let Some(entry) = listing.next_entry().await.unwrap() {
                names.push(entry.file_name);
            }
            assert!(listing.next_entry().await.unwrap().is_none() && listing.is_terminated());
            names.sort();
            names.dedup();
            assert_eq!(names.len(), count);
            assert_eq!(world.sftp.list_dir(".").await.unwrap().len(), count);
        }
        world.settled().await;
        assert_eq!(world.open_handles(), 0);
        let error = world.sftp.read_dir("missing").await.unwrap_err();
        assert!(error.to_string().contains("missing"), "{error}");
    }

    #[tokio::test]
    async fn a_listing_that_is_given_up_is_closed() {
        let world = World::new().await;
        fill(&world, 2500);
        let mut listing = world.sftp.read_dir("/").await.unwrap();
        assert!(listing.next_entry().await.unwrap().is_some());
        assert!(!listing.is_terminated());
        drop(listing);
        world.settled().await;
        assert_eq!(world.open_handles(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_directory_costs_few_round_trips() {
        let world = World::with(Policy::default(), 50).await;
        fill(&world, 5000);
        let start = tokio::time::Instant::now();
        assert_eq!(world.sftp.list_dir("/").await.unwrap().len(), 5000);
        // One to open, then 2, 4, 8, 16 … requests of 100 names for each: not 51.
        assert!(millis(start) <= 800, "{}", millis(start));
        let start = tokio::time::Instant::now();
        world.sftp.create_dir("small").await.unwrap();
        assert!(world.sftp.list_dir("small").await.unwrap().is_empty());
        assert!(millis(start) <= 300, "{}", millis(start));
    }
}
