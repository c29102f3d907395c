//! Reading ahead: more is asked for than is wanted at the moment, so that it is there when it is.

use core::task::{Context, Poll, ready};
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use sftp::{
    StatusCode,
    client::{Handle, RequestId, Response},
};

use super::super::{
    engine::{Engine, Ticket},
    expect_ok,
};
use crate::error::SftpErrorKind;

/// What is asked for ahead of the reader at most, in bytes: a link of 1 Gbit/s and 30 ms. It is
/// also the most that a file which is not read any more keeps.
const MAX_AHEAD: u32 = 4 * 1024 * 1024;

/// The most requests for it, to servers that answer each with little.
const MAX_REQUESTS: u32 = 128;

/// Requests at the beginning; with each whole answer there are twice as many.
const FIRST_REQUESTS: usize = 2;

/// The requests of one that reads from one place on.
#[derive(Debug)]
pub(super) struct Reader {
    ticket: Ticket,
    ahead: VecDeque<Ahead>,
    /// Where the next request begins.
    next: u64,
    /// Nothing is asked for from here on.
    end: u64,
    depth: usize,
    /// What a short answer has left, to be asked for again before anything else.
    rest: Option<(u64, u32)>,
    /// Pieces that have arrived and are next.
    ready: VecDeque<Bytes>,
    at_end: bool,
}

#[derive(Debug)]
struct Ahead {
    id: RequestId,
    offset: u64,
    len: u32,
    answer: Option<Response>,
}

impl Reader {
    /// Will read from `at` on.
    pub(super) fn new(engine: &Arc<Engine>, at: u64) -> Self {
        Self {
            ticket: engine.ticket(),
            ahead: VecDeque::new(),
            next: at,
            end: u64::MAX,
            depth: FIRST_REQUESTS,
            rest: None,
            ready: VecDeque::new(),
            at_end: false,
        }
    }

    /// Will read from `at` on, and at most `len` bytes.
    pub(super) fn of_range(engine: &Arc<Engine>, at: u64, len: u64) -> Self {
        Self { end: at.saturating_add(len), ..Self::new(engine, at) }
    }

    /// True if nothing is under way that could be of another place, or of another time.
    pub(super) fn is_fresh(&self, at: u64) -> bool {
        self.ahead.is_empty() && self.ready.is_empty() && !self.at_end && self.next == at
    }

    fn ask(
        &mut self,
        handle: &Handle,
        first: bool,
        offset: u64,
        len: u32,
    ) -> Result<(), SftpErrorKind> {
        let id = self.ticket.send(|client, out| client.read(handle, offset, len, out))?;
        let entry = Ahead { id, offset, len, answer: None };
        if first {
            self.ahead.push_front(entry);
        } else {
            self.ahead.push_back(entry);
        }
        Ok(())
    }

    /// Asks for as much as may be under way, in pieces of `size` bytes.
    fn ask_ahead(&mut self, handle: &Handle, size: u32) -> Result<(), SftpErrorKind> {
        while self.ahead.len() < self.depth && self.next < self.end {
            let offset = self.next;
            let len = self.end.saturating_sub(offset).min(size.into());
            let len = u32::try_from(len).unwrap_or(size);
            match self.ask(handle, false, offset, len) {
                // Others have many requests out; ours go on.
                Err(SftpErrorKind::Request(sftp::RequestError::TooManyOutstanding))
                    if !self.ahead.is_empty() =>
                {
                    break;
                }
                asked => asked?,
            }
            self.next = offset.saturating_add(len.into());
        }
        Ok(())
    }

    /// Makes the next piece ready and gives it; `None` at the end of the file. What is taken from
    /// its front is not given again.
    pub(super) fn poll_piece(
        &mut self,
        handle: &Handle,
        size: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<&mut Bytes>, SftpErrorKind>> {
        while self.ready.front().is_some_and(Bytes::is_empty) {
            self.ready.pop_front();
        }
        while self.ready.is_empty() && !self.at_end {
            if let Some((offset, len)) = self.rest {
                ready!(self.ticket.poll_reserve(cx))?;
                self.ask(handle, true, offset, len)?;
                self.rest = None;
            } else if self.ahead.is_empty() && self.next < self.end {
                ready!(self.ticket.poll_reserve(cx))?;
            }
            self.ask_ahead(handle, size)?;
            while self.ahead.front().is_some_and(|front| front.answer.is_none()) {
                let (id, response) = ready!(self.ticket.poll_reply(cx))?;
                if let Some(entry) = self.ahead.iter_mut().find(|entry| entry.id == id) {
                    entry.answer = Some(response);
                }
            }
            let Some(Ahead { offset, len, answer, .. }) = self.ahead.pop_front() else {
                self.at_end = true;
                break;
            };
            match answer {
                Some(Response::Data(chunks)) => {
                    let got = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
                    if got < len {
                        // A short answer is legal; the rest is asked for again, before what
                        // follows it.
                        let at = offset.saturating_add(got.into());
                        self.rest = Some((at, len.saturating_sub(got)));
                    } else {
                        let most = MAX_AHEAD.checked_div(size).unwrap_or(1).clamp(2, MAX_REQUESTS);
                        let most = usize::try_from(most).unwrap_or(usize::MAX);
                        self.depth = self.depth.saturating_mul(2).min(most);
                    }
                    self.ready.extend(chunks.into_parts());
                }
                Some(Response::Status(status)) if status.code == StatusCode::Eof => {
                    self.at_end = true;
                }
                Some(other) => expect_ok(other)?,
                None => {}
            }
        }
        Poll::Ready(Ok(self.ready.front_mut()))
    }
}
