//! How what is under way comes to its end: whole, failed, broken off or dropped. What the server has
//! of it is then cut to what it has confirmed.

use core::{pin::pin, time::Duration};

use bytes::Bytes;
use sftp::{Attrs, client::Client as Codec, transfer::Item};
use tokio::time::timeout;

use super::{Entry, Sending};
use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath,
        transfer::{FileState, source::Job},
    },
};

/// How long a transfer that was cancelled waits for the server to cut files.
const TIDYING: Duration = Duration::from_secs(10);

impl Sending {
    /// Takes note of files that have ended, as the plan has it.
    pub(super) fn collect(&mut self) {
        while let Some((item, result)) = self.plan.poll_finished() {
            let Some(entry) = self.entries.get_mut(&item) else { continue };
            match result {
                Ok(_) if entry.over => {}
                Ok(_) if entry.directory => {
                    self.account.report.directories =
                        self.account.report.directories.saturating_add(1);
                    self.entries.remove(&item);
                }
                Ok(_) if entry.link.is_some() => {
                    self.account.report.links = self.account.report.links.saturating_add(1);
                    self.tell(item, FileState::Link);
                    self.entries.remove(&item);
                }
                Ok(size) => {
                    entry.size = size;
                    entry.handles.clear();
                    self.on_whole(item);
                }
                Err(error) => self.interrupt(item, SftpErrorKind::Transfer(error)),
            }
        }
    }

    pub(super) fn complete(&mut self, item: Item) {
        if let Some(entry) = self.entries.remove(&item) {
            self.account.complete(&entry.remote, &entry.local, entry.size);
        }
    }

    /// Says what went wrong with a file that may be there in part.
    pub(super) fn interrupt(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get(&item) else { return };
        let confirmed = if entry.hidden.is_some() { 0 } else { self.plan.confirmed(item) };
        let kind = if entry.is_open() {
            SftpErrorKind::Interrupted { confirmed, cause: Box::new(kind) }
        } else {
            kind
        };
        self.record(item, kind);
    }

    /// Says what went wrong with something, of which nothing more is done. It is kept until the
    /// plan has closed it.
    pub(super) fn record(&mut self, item: Item, kind: SftpErrorKind) {
        let Some(entry) = self.entries.get_mut(&item).filter(|entry| !entry.over) else { return };
        entry.over = true;
        let in_it = |(of, _): &(Item, u64), _: &mut Bytes| *of != item;
        self.loaded.retain(in_it);
        self.source.send(Job::Close(item));
        self.say(item, kind);
    }

    pub(super) fn say(&mut self, item: Item, kind: SftpErrorKind) {
        if let Some(entry) = self.entries.get(&item) {
            self.account.fail(&entry.remote, &entry.local, kind);
        }
    }

    pub(super) fn tell(&self, item: Item, state: FileState) {
        if let Some(entry) = self.entries.get(&item) {
            self.account.tell(&entry.remote, &entry.local, state);
        }
    }

    /// The transfer cannot go on. If the connection lives, what was being written is cut to what is
    /// confirmed.
    pub(super) async fn break_off(&mut self, why: SftpErrorKind, top: &RemotePath) {
        let mut items: Vec<Item> = self.entries.keys().copied().collect();
        items.sort();
        for &item in &items {
            if self.entries.get(&item).is_some_and(Entry::is_open) {
                self.interrupt(item, why.clone());
            }
        }
        self.account.broken_off(top, why.clone());
        if let SftpErrorKind::Cancelled = why {
            self.checks.abort_all();
            self.decided = true;
            self.to_list.clear();
            for item in items {
                if let Some(entry) = self.entries.get_mut(&item) {
                    entry.over = true;
                }
                self.plan.abandon(item);
            }
            let tidy =
                async { while let Ok(true) = self.turn(pin!(core::future::pending())).await {} };
            // A server that takes longer than that is left as it is.
            timeout(TIDYING, tidy).await.ok();
        }
    }
}

/// Asks for what is left open to be cut to what is confirmed and closed: the transfer was dropped,
/// or the server took too long.
impl Drop for Sending {
    fn drop(&mut self) {
        for (item, entry) in &self.entries {
            let confirmed = Attrs::with_size(self.plan.confirmed(*item));
            for (lane, handle) in self.lanes.iter().zip(&entry.handles) {
                let Some(handle) = handle.clone() else { continue };
                let cut = (entry.hidden.is_none() && !entry.over).then_some(confirmed);
                let engine = &lane.sftp.engine;
                if let (Some(cut), handle) = (cut, handle.clone()) {
                    engine.send_and_forget(move |client, out| client.fsetstat(&handle, &cut, out));
                }
                engine.send_and_forget(move |client, out| client.close(&handle, out));
            }
            if let (Some(hidden), Some(lane), true) =
                (&entry.hidden, self.lanes.first(), entry.is_open())
            {
                let hidden = hidden.clone();
                let remove =
                    move |client: &mut Codec, out: &mut _| client.remove(hidden.as_bytes(), out);
                lane.sftp.engine.send_and_forget(remove);
            }
        }
    }
}
