//! What goes to the server and what it answers: each step of the plan as a request, and each reply
//! given to the plan and to those whom it concerns.

use sftp::{
    Attrs, OpenFlags, StatusCode,
    client::{Handle, RequestId, Response},
    transfer::{Item, PutStep, Range},
};

use super::{Entry, Sending, lanes::Asked};
use crate::{
    error::SftpErrorKind,
    sftp::{
        RemotePath, expect_attrs, expect_ok,
        transfer::{FileState, RESERVE, folder::MODE},
        unexpected,
    },
};

impl Sending {
    pub(super) fn has_room(&self) -> bool {
        self.lanes.iter().all(|lane| lane.asked.is_empty() || lane.sftp.engine.room() > RESERVE)
    }

    /// The attributes that something shall have in the end.
    fn wanted(&self, entry: &Entry) -> Attrs {
        let mut attrs = if self.settings.preserve { entry.attrs } else { Attrs::NONE };
        attrs.size = None;
        if !entry.directory && (self.settings.sparse || self.settings.in_place) {
            attrs.size = Some(entry.size);
        }
        attrs
    }

    pub(super) fn send(&mut self, step: PutStep) -> Result<(), SftpErrorKind> {
        let item = step.item();
        let (Some(entry), Some(lane)) = (self.entries.get(&item), self.lanes.get(step.lane()))
        else {
            return Ok(());
        };
        let ticket = &lane.ticket;
        let path = entry.remote.as_bytes();
        let now_at = entry.hidden.as_ref().map_or(path, RemotePath::as_bytes);
        let handle = |lane: usize| {
            entry.handles.get(lane).and_then(Option::as_ref).ok_or(SftpErrorKind::SubsystemEnded)
        };
        let id = match step {
            PutStep::MakeDirectory(_) => {
                // It has to be written into, whatever its mode shall be in the end.
                let mode = entry.mode() & MODE | 0o300;
                let attrs = Attrs::with_mode(mode);
                ticket.send(|client, out| client.mkdir(path, &attrs, out))?
            }
            PutStep::SetDirectory(_) => {
                let attrs = self.wanted(entry);
                ticket.send(|client, out| client.setstat(path, &attrs, out))?
            }
            PutStep::Look(_) => ticket.send(|client, out| client.stat(path, out))?,
            PutStep::Open(_) => {
                let mut flags = OpenFlags::WRITE | OpenFlags::CREATE;
                if entry.hidden.is_some() {
                    flags = flags | OpenFlags::EXCLUSIVE;
                } else if entry.start == 0 && !self.settings.in_place {
                    flags = flags | OpenFlags::TRUNCATE;
                }
                let attrs = Attrs::with_mode(entry.mode() & MODE);
                ticket.send(|client, out| client.open(now_at, flags, &attrs, out))?
            }
            PutStep::Join(..) => {
                let flags = OpenFlags::WRITE;
                ticket.send(|client, out| client.open(now_at, flags, &Attrs::NONE, out))?
            }
            PutStep::Write(_, lane, Range { offset, .. }) => {
                let handle = handle(lane)?;
                // What the plan lets be sent was loaded.
                let Some(bytes) = self.loaded.remove(&(item, offset)) else { return Ok(()) };
                // Small files have memory of their own.
                if bytes.len() > usize::try_from(self.request_len / 2).unwrap_or(usize::MAX) {
                    self.buffers.sent(bytes.clone());
                }
                ticket.send_write(handle, offset, bytes)?
            }
            PutStep::SetAttributes(_) => {
                let (handle, attrs) = (handle(0)?, self.wanted(entry));
                ticket.send(|client, out| client.fsetstat(handle, &attrs, out))?
            }
            PutStep::Sync(_) => {
                let handle = handle(0)?;
                ticket.send(|client, out| client.fsync(handle, out))?
            }
            PutStep::Size(_) => {
                let handle = handle(0)?;
                ticket.send(|client, out| client.fstat(handle, out))?
            }
            PutStep::Cut(_, size) => {
                let (handle, attrs) = (handle(0)?, Attrs::with_size(size));
                ticket.send(|client, out| client.fsetstat(handle, &attrs, out))?
            }
            PutStep::Close(_, lane) => {
                let handle = handle(lane)?;
                ticket.send(|client, out| client.close(handle, out))?
            }
            PutStep::Rename(_) => {
                ticket.send(|client, out| client.posix_rename(now_at, path, out))?
            }
            PutStep::Remove(_) => ticket.send(|client, out| client.remove(now_at, out))?,
            PutStep::MakeLink(_) => {
                let target = entry.link.as_deref().unwrap_or_default();
                ticket.send(|client, out| client.symlink(target, path, out))?
            }
            _ => return Ok(()),
        };
        if let Some(lane) = self.lanes.get_mut(step.lane()) {
            lane.asked.insert(id, Asked { step, again: false });
        }
        Ok(())
    }

    pub(super) fn on_reply(&mut self, lane: usize, id: RequestId, response: Response) {
        let asked = self.lanes.get_mut(lane).and_then(|lane| lane.asked.remove(&id));
        let Some(Asked { step, again }) = asked else { return };
        let now = self.clock.now();
        match step {
            PutStep::MakeDirectory(item) => self.on_made(item, response, again),
            PutStep::SetDirectory(item) => {
                if let Err(kind) = expect_ok(response) {
                    self.say(item, kind);
                }
                self.plan.on_done(item);
            }
            PutStep::Look(item) => self.on_looked(item, response),
            PutStep::Open(item) => match response {
                Response::Handle(handle) => {
                    self.set_handle(item, 0, handle);
                    self.plan.on_opened(item);
                }
                other => {
                    self.record(item, unexpected(other));
                    self.plan.on_refused(item);
                }
            },
            PutStep::Join(item, lane) => {
                let ok = match response {
                    Response::Handle(handle) => {
                        self.set_handle(item, lane, handle);
                        true
                    }
                    _ => false,
                };
                self.plan.on_joined(item, lane, ok);
            }
            PutStep::Write(item, _, Range { offset, len }) => {
                let ok = match expect_ok(response) {
                    Ok(()) => {
                        self.account.moved(len.into());
                        true
                    }
                    Err(kind) => {
                        self.interrupt(item, kind);
                        false
                    }
                };
                self.plan.on_written(item, offset, ok, now);
            }
            PutStep::Size(item) => match expect_attrs(response) {
                Ok(attrs) => self.plan.on_size(item, attrs.size),
                // A server that takes files and shows none: every write was confirmed.
                Err(kind) if kind.status().is_some() => self.plan.on_size(item, None),
                Err(kind) => {
                    self.interrupt(item, kind);
                    self.plan.on_refused(item);
                }
            },
            PutStep::Close(item, lane) => {
                let closed = expect_ok(response);
                if let Some(handle) =
                    self.entries.get_mut(&item).and_then(|entry| entry.handles.get_mut(lane))
                {
                    *handle = None;
                }
                let ok = closed.is_ok();
                if let Err(kind) = closed {
                    self.interrupt(item, kind);
                }
                self.plan.on_closed(item, ok);
            }
            PutStep::Cut(item, _) | PutStep::Remove(item) => self.plan.on_done(item),
            PutStep::SetAttributes(item)
            | PutStep::Sync(item)
            | PutStep::Rename(item)
            | PutStep::MakeLink(item) => match expect_ok(response) {
                Ok(()) => self.plan.on_done(item),
                Err(kind) => {
                    self.interrupt(item, kind);
                    self.plan.on_refused(item);
                }
            },
            _ => {}
        }
        self.collect();
    }

    fn set_handle(&mut self, item: Item, lane: usize, handle: Handle) {
        if let Some(entry) = self.entries.get_mut(&item) {
            if entry.handles.len() <= lane {
                entry.handles.resize(lane.saturating_add(1), None);
            }
            if let Some(place) = entry.handles.get_mut(lane) {
                *place = Some(handle);
            }
        }
    }

    fn on_made(&mut self, item: Item, response: Response, again: bool) {
        let failure = match (response, again) {
            (Response::Attrs(attrs), true) if attrs.is_dir() => None,
            (Response::Status(status), false) if status.code == StatusCode::Ok => None,
            (response, false) => {
                // Version 3 has no code for "it is there already".
                let Some(entry) = self.entries.get(&item) else { return };
                let path = entry.remote.clone();
                let Some(lane) = self.lanes.first_mut() else { return };
                let asked = lane.ticket.send(|client, out| client.stat(path.as_bytes(), out));
                if let Ok(id) = asked {
                    let step = PutStep::MakeDirectory(item);
                    lane.asked.insert(id, Asked { step, again: true });
                    if let Some(entry) = self.entries.get_mut(&item) {
                        entry.refused = Some(unexpected(response));
                    }
                    return;
                }
                Some(unexpected(response))
            }
            (other, true) => {
                let refused = self.entries.get_mut(&item).and_then(|entry| entry.refused.take());
                Some(refused.unwrap_or_else(|| unexpected(other)))
            }
        };
        match failure {
            None => {
                self.tell(item, FileState::Directory);
                self.plan.on_done(item);
            }
            Some(kind) => {
                self.record(item, kind);
                self.plan.on_refused(item);
            }
        }
    }
}
