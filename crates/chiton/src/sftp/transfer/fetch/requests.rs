//! What goes to the server and what it answers: each step of the plan as a request, and each reply
//! given to the plan and to those whom it concerns.

use sftp::{
    Attrs, OpenFlags, StatusCode,
    client::{RequestId, Response},
    transfer::{GetStep, Item},
};

use super::{Entry, Fetch};
use crate::{
    error::SftpErrorKind,
    sftp::{
        expect_attrs,
        transfer::{RESERVE, sink::Job},
        unexpected,
    },
};

/// Links that are looked at, and files that are compared, at a time.
const ASIDE: usize = 16;

/// What a request asks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asked {
    Step(GetStep),
    Link(Item),
    LinkTarget(Item),
}

impl Fetch {
    /// Sends what the plan wants to be asked.
    pub(super) fn ask(&mut self) -> Result<(), SftpErrorKind> {
        while let Some(item) = self.to_look.front().copied().filter(|_| self.looking < ASIDE) {
            self.to_look.pop_front();
            if let Some(place) = self.entries.get(&item).map(Entry::place) {
                self.looking = self.looking.saturating_add(1);
                self.sink.send(Job::Look(item, place));
            }
        }
        while self.has_room() {
            let extra = self.asked.len() < ASIDE || self.plan.is_idle();
            if extra && let Some(item) = self.links.pop_front() {
                self.look_at_link(item)?;
                continue;
            }
            let Some(step) = self.plan.next(self.clock.now()) else { break };
            self.send(step)?;
        }
        Ok(())
    }

    fn has_room(&self) -> bool {
        self.asked.is_empty() || self.sftp.engine.room() > RESERVE
    }

    fn send(&mut self, step: GetStep) -> Result<(), SftpErrorKind> {
        let Some(entry) = self.entries.get_mut(&step.item()) else { return Ok(()) };
        let path = entry.remote.as_bytes();
        let ticket = &self.ticket;
        let handle = entry.handle.as_ref().and_then(|open| open.handle().ok());
        let id = match (step, handle) {
            (GetStep::Open(_), _) => {
                ticket.send(|client, out| client.open(path, OpenFlags::READ, &Attrs::NONE, out))?
            }
            (GetStep::OpenDirectory(_), _) => {
                ticket.send(|client, out| client.opendir(path, out))?
            }
            (GetStep::Read(_, range), Some(handle)) => {
                ticket.send(|client, out| client.read(handle, range.offset, range.len, out))?
            }
            (GetStep::Size(_), Some(handle)) => {
                ticket.send(|client, out| client.fstat(handle, out))?
            }
            (GetStep::List(_), Some(handle)) => {
                ticket.send(|client, out| client.readdir(handle, out))?
            }
            (GetStep::Close(_), Some(handle)) => {
                ticket.send(|client, out| client.close(handle, out))?
            }
            // Only what is open is read and closed.
            (_, None) => return Ok(()),
            _ => return Ok(()),
        };
        if let (GetStep::Close(_), Some(open)) = (step, &mut entry.handle) {
            open.take();
        }
        self.asked.insert(id, Asked::Step(step));
        Ok(())
    }

    pub(super) fn on_reply(&mut self, id: RequestId, response: Response) {
        let Some(asked) = self.asked.remove(&id) else { return };
        let step = match asked {
            Asked::Step(step) => step,
            Asked::Link(item) => return self.on_link(item, response),
            Asked::LinkTarget(item) => return self.on_link_target(item, response),
        };
        let now = self.clock.now();
        match (step, response) {
            (GetStep::Open(item), Response::Handle(handle)) => {
                self.set_handle(item, handle);
                self.open_local(item);
                self.plan.on_opened(item);
            }
            (GetStep::OpenDirectory(item), Response::Handle(handle)) => {
                self.set_handle(item, handle);
                self.plan.on_opened(item);
            }
            (GetStep::Open(item) | GetStep::OpenDirectory(item), other) => {
                self.plan.on_refused(item);
                self.fail(item, unexpected(other));
            }
            (GetStep::Read(item, range), Response::Data(chunks)) => {
                let got = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
                self.plan.on_data(item, range.offset, got, now);
                self.on_content(item, range.offset, chunks);
                self.collect();
            }
            (GetStep::Read(item, range), Response::Status(status))
                if status.code == StatusCode::Eof =>
            {
                self.plan.on_eof(item, range.offset, now);
                self.collect();
            }
            (GetStep::Read(item, range), other) => {
                self.plan.on_read_failed(item, range.offset, now);
                self.fail(item, unexpected(other));
            }
            (GetStep::Size(item), other) => {
                let size = expect_attrs(other).ok().and_then(|attrs| attrs.size);
                self.plan.on_size(item, size);
                self.collect();
            }
            (GetStep::List(item), Response::Names(names)) => {
                self.plan.on_names(item);
                self.on_names(item, names);
            }
            (GetStep::List(item), Response::Status(status)) if status.code == StatusCode::Eof => {
                self.plan.on_listed(item);
                self.on_listed(item);
            }
            (GetStep::List(item), other) => {
                self.plan.on_listed(item);
                self.fail_directory(item, unexpected(other));
            }
            (GetStep::Close(item), _) => {
                // Reading has told everything there is to tell.
                self.plan.on_closed(item);
                self.on_closed(item);
            }
            _ => {}
        }
    }

    /// Takes note of files that have ended, as the plan has it.
    fn collect(&mut self) {
        while let Some((item, result)) = self.plan.poll_finished() {
            match result {
                Ok(size) => self.finish_local(item, size),
                Err(error) => self.fail(item, SftpErrorKind::Transfer(error)),
            }
        }
    }
}
