//! Writing behind: it goes on while answers to what was written are still to come.

use core::task::{Context, Poll, ready};
use std::{collections::HashMap, sync::Arc};

use bytes::{Bytes, BytesMut};
use sftp::client::{Handle, RequestId};

use super::super::{
    engine::{Engine, Ticket},
    expect_ok,
};
use crate::error::SftpErrorKind;

/// What may be unconfirmed, in bytes: a link of 1 Gbit/s and 30 ms. It is held until it is sent.
const MAX_BEHIND: u64 = 4 * 1024 * 1024;

/// The most requests for it, to servers that take only little in each.
const MAX_REQUESTS: usize = 128;

/// What was written and not confirmed.
#[derive(Debug)]
pub(super) struct Writer {
    ticket: Ticket,
    /// What is unconfirmed, and how much each is.
    under_way: HashMap<RequestId, u64>,
    bytes: u64,
    /// Written, and not sent: while something is under way, small pieces are collected.
    pending: BytesMut,
    pending_at: u64,
    /// The first thing that went wrong. Nothing is written any more, and it is told every time.
    failed: Option<SftpErrorKind>,
}

impl Writer {
    pub(super) fn new(engine: &Arc<Engine>) -> Self {
        Self {
            ticket: engine.ticket(),
            under_way: HashMap::new(),
            bytes: 0,
            pending: BytesMut::new(),
            pending_at: 0,
            failed: None,
        }
    }

    /// Takes a beginning of `data` for the place `at`, at most `most` bytes, and says how much.
    pub(super) fn poll_write(
        &mut self,
        handle: &Handle,
        (at, data): (u64, &[u8]),
        most: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<usize, SftpErrorKind>> {
        ready!(self.poll_room(cx))?;
        let pending = u64::try_from(self.pending.len()).unwrap_or(u64::MAX);
        if at != self.pending_at.saturating_add(pending) {
            ready!(self.poll_send_pending(handle, cx))?;
        }
        ready!(self.ticket.poll_reserve(cx))?;
        let written = self.write(handle, (at, data), most);
        // What is only collected needs no request yet.
        self.ticket.give_back();
        Poll::Ready(written)
    }

    fn write(
        &mut self,
        handle: &Handle,
        (at, data): (u64, &[u8]),
        most: u32,
    ) -> Result<usize, SftpErrorKind> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if self.pending.is_empty() {
            self.pending_at = at;
        }
        let room = most.saturating_sub(self.pending.len());
        let (taken, _) = data.split_at_checked(room).unwrap_or((data, &[]));
        if self.pending.is_empty() && (taken.len() == most || self.under_way.is_empty()) {
            self.send(handle, at, Bytes::copy_from_slice(taken))?;
        } else {
            self.pending.extend_from_slice(taken);
            if self.pending.len() >= most {
                self.send_pending(handle)?;
            }
        }
        Ok(taken.len())
    }

    /// Looks at what has been answered, and waits until more may be under way.
    fn poll_room(&mut self, cx: &Context<'_>) -> Poll<Result<(), SftpErrorKind>> {
        while !self.under_way.is_empty() {
            let full = self.bytes >= MAX_BEHIND || self.under_way.len() >= MAX_REQUESTS;
            match self.poll_answer(cx) {
                Poll::Pending if full => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(answer) => answer?,
            }
        }
        Poll::Ready(self.failed.clone().map_or(Ok(()), Err))
    }

    /// Takes one answer. That the server refused a write is kept, and no error here.
    fn poll_answer(&mut self, cx: &Context<'_>) -> Poll<Result<(), SftpErrorKind>> {
        let (id, response) = match ready!(self.ticket.poll_reply(cx)) {
            Ok(reply) => reply,
            Err(kind) => {
                self.failed.get_or_insert_with(|| kind.clone());
                return Poll::Ready(Err(kind));
            }
        };
        if let Some(len) = self.under_way.remove(&id) {
            self.bytes = self.bytes.saturating_sub(len);
        }
        if let Err(kind) = expect_ok(response) {
            self.failed.get_or_insert(kind);
        }
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, handle: &Handle, at: u64, data: Bytes) -> Result<(), SftpErrorKind> {
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let sent = self.ticket.send_write(handle, at, data);
        let id = sent.inspect_err(|kind| self.failed = Some(kind.clone()))?;
        self.under_way.insert(id, len);
        self.bytes = self.bytes.saturating_add(len);
        self.ticket.flush();
        Ok(())
    }

    /// Sends what was collected. To be called before anything else is asked about the file.
    pub(super) fn poll_send_pending(
        &mut self,
        handle: &Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SftpErrorKind>> {
        if self.pending.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.ticket.poll_reserve(cx))?;
        Poll::Ready(self.send_pending(handle))
    }

    /// Takes what was collected, and where it belongs.
    pub(super) fn take_pending(&mut self) -> Option<(u64, Bytes)> {
        let data = self.pending.split().freeze();
        (!data.is_empty()).then_some((self.pending_at, data))
    }

    fn send_pending(&mut self, handle: &Handle) -> Result<(), SftpErrorKind> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let data = self.pending.split().freeze();
        self.send(handle, self.pending_at, data)
    }

    /// Waits until everything is confirmed.
    pub(super) fn poll_settle(
        &mut self,
        handle: &Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SftpErrorKind>> {
        if self.failed.is_none() {
            ready!(self.poll_send_pending(handle, cx))?;
        }
        while !self.under_way.is_empty() {
            ready!(self.poll_answer(cx))?;
        }
        Poll::Ready(self.failed.clone().map_or(Ok(()), Err))
    }

    /// Sends CLOSE right behind what was written. The answer comes as that of a write.
    pub(super) fn poll_close(
        &mut self,
        handle: &Handle,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SftpErrorKind>> {
        ready!(self.ticket.poll_reserve(cx))?;
        let sent = self.ticket.send(|client, out| client.close(handle, out));
        let id = sent.inspect_err(|kind| self.failed = Some(kind.clone()))?;
        self.under_way.insert(id, 0);
        Poll::Ready(Ok(()))
    }
}
