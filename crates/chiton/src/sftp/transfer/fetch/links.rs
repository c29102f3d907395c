//! Links inside of a tree: read to be made here as well, or looked through to what they lead to.

use sftp::{client::Response, transfer::Item};

use super::{Fetch, requests::Asked};
use crate::{
    error::SftpErrorKind,
    sftp::{
        expect_attrs, expect_path,
        transfer::{Links, SkipReason, sink::Job},
    },
};

impl Fetch {
    /// Asks where a link leads, or what it leads to.
    pub(super) fn look_at_link(&mut self, item: Item) -> Result<(), SftpErrorKind> {
        let Some(entry) = self.entries.get(&item) else { return Ok(()) };
        let path = entry.remote.as_bytes();
        let (id, asked) = match self.settings.links {
            Links::Follow => {
                let id = self.ticket.send(|client, out| client.stat(path, out))?;
                (id, Asked::LinkTarget(item))
            }
            _ => {
                let id = self.ticket.send(|client, out| client.readlink(path, out))?;
                (id, Asked::Link(item))
            }
        };
        self.asked.insert(id, asked);
        Ok(())
    }

    /// Where a link leads.
    pub(super) fn on_link(&mut self, item: Item, response: Response) {
        let Some(entry) = self.entries.get(&item) else { return };
        match expect_path(response) {
            Ok(target) => {
                let place = entry.place();
                self.sink.send(Job::Link(item, place, target.into_bytes()));
            }
            Err(kind) => self.fail(item, kind),
        }
    }

    /// What a link leads to.
    pub(super) fn on_link_target(&mut self, item: Item, response: Response) {
        match expect_attrs(response) {
            Ok(attrs) if attrs.is_file() => {
                if let Some(entry) = self.entries.get_mut(&item) {
                    entry.attrs = attrs;
                }
                self.begin_file(item);
            }
            Ok(attrs) => {
                let reason = if attrs.is_dir() { SkipReason::Link } else { SkipReason::Special };
                if let Some(entry) = self.entries.remove(&item) {
                    self.skip(&entry, reason);
                    self.entries.insert(item, entry);
                }
                self.forget(item);
            }
            Err(kind) => self.fail(item, kind),
        }
    }
}
