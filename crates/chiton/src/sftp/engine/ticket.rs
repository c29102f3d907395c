//! One operation's place at the engine: its requests, its replies, and its turn.

use core::{
    future::poll_fn,
    task::{Context, Poll},
};
use std::sync::Arc;

use bytes::Bytes;
use sftp::{
    RequestError,
    client::{Client, Handle, RequestId, Response},
};

use super::{Engine, SMALL_PIECE, State};
use crate::error::SftpErrorKind;

/// Where the replies to one operation's requests arrive.
///
/// Dropping it abandons the requests: their replies are read and thrown away, and a handle that
/// arrives for nobody is closed.
#[derive(Debug)]
pub(in crate::sftp) struct Ticket {
    pub(super) engine: Arc<Engine>,
    pub(super) id: u64,
}

impl Ticket {
    /// Queues a request. It fails if no further one may be made, which [`Self::reserve`] waits for.
    pub(in crate::sftp) fn send(
        &self,
        request: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) -> Result<RequestId, SftpErrorKind> {
        self.queue(|state| {
            let id = request(&mut state.client, &mut state.small)?;
            if state.small.len() > SMALL_PIECE {
                let piece = core::mem::take(&mut state.small);
                state.out.push_back(piece.into());
            }
            Ok(id)
        })
    }

    /// Queues a WRITE. Its data is not copied.
    pub(in crate::sftp) fn send_write(
        &self,
        handle: &Handle,
        offset: u64,
        data: Bytes,
    ) -> Result<RequestId, SftpErrorKind> {
        self.queue(|state| {
            let State { client, small, .. } = state;
            let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let id = client.write_header(handle, offset, len, small)?;
            state.out.push_back(core::mem::take(small).into());
            state.out.push_back(data);
            Ok(id)
        })
    }

    fn queue(
        &self,
        request: impl FnOnce(&mut State) -> Result<RequestId, RequestError>,
    ) -> Result<RequestId, SftpErrorKind> {
        self.engine.with(|state| {
            if state.reserved > 0 {
                state.release(self.id);
            }
            if state.room() == 0 {
                return Err(SftpErrorKind::Request(RequestError::TooManyOutstanding));
            }
            let id = request(state).map_err(SftpErrorKind::Request)?;
            state.note_request();
            state.owners.insert(id, self.id);
            Ok(id)
        })
    }

    /// Queues a request, and waits for its turn if no further one may be made now.
    ///
    /// # Cancel safety
    /// It was not made if the future is dropped.
    pub(in crate::sftp) async fn send_in_turn(
        &self,
        request: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) -> Result<RequestId, SftpErrorKind> {
        self.reserve().await?;
        self.send(request)
    }

    /// Waits until this ticket may make a request. Of those that wait, the oldest comes first.
    ///
    /// # Cancel safety
    /// Safe: what was promised and not used goes to the next.
    pub(in crate::sftp) async fn reserve(&self) -> Result<(), SftpErrorKind> {
        let place = Place(self);
        let promise = poll_fn(|cx| self.engine.with(|state| self.poll_promise(state, cx, true)));
        promise.await?;
        drop(place);
        Ok(())
    }

    /// As [`Self::reserve`], for those who may come back late or never: they do not stand in line.
    /// What is not used is to be given back.
    pub(in crate::sftp) fn poll_reserve(
        &self,
        cx: &Context<'_>,
    ) -> Poll<Result<(), SftpErrorKind>> {
        self.engine.with(|state| self.poll_promise(state, cx, false))
    }

    /// Gives back what was promised.
    pub(in crate::sftp) fn give_back(&self) {
        self.engine.with(|state| state.give_back(self.id));
    }

    fn poll_promise(
        &self,
        state: &mut State,
        cx: &Context<'_>,
        in_line: bool,
    ) -> Poll<Result<(), SftpErrorKind>> {
        if let Some(why) = &state.ended {
            return Poll::Ready(Err(why.clone()));
        }
        if state.reserve(self.id) {
            return Poll::Ready(Ok(()));
        }
        if !in_line || state.line.wait(self.id, cx.waker()) {
            // Before reading, so that what arrives while reading wakes this task.
            self.engine.parked.park(cx.waker());
            if state.look(&self.engine) {
                cx.waker().wake_by_ref();
            }
            if let Some(why) = &state.ended {
                return Poll::Ready(Err(why.clone()));
            }
            if state.reserve(self.id) {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }

    /// The next reply to any of this ticket's requests.
    pub(in crate::sftp) fn poll_reply(
        &self,
        cx: &Context<'_>,
    ) -> Poll<Result<(RequestId, Response), SftpErrorKind>> {
        self.engine.with(|state| {
            if let Some(reply) = state.waiters.get_mut(&self.id).and_then(|w| w.replies.pop_front())
            {
                return Poll::Ready(Ok(reply));
            }
            let mut more = false;
            if state.ended.is_none() {
                // Before reading, so that what arrives while reading wakes this task.
                self.engine.parked.park(cx.waker());
                more = state.look(&self.engine);
            }
            let ended = state.ended.clone();
            let Some(waiter) = state.waiters.get_mut(&self.id) else {
                return Poll::Pending;
            };
            if let Some(reply) = waiter.replies.pop_front() {
                return Poll::Ready(Ok(reply));
            }
            if let Some(why) = ended {
                return Poll::Ready(Err(why));
            }
            if more {
                cx.waker().wake_by_ref();
            }
            waiter.waker = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    /// Gets what is queued on its way, as far as there is room. What is left follows when
    /// somebody waits for a reply.
    pub(in crate::sftp) fn flush(&self) {
        self.engine.with(|state| state.flush(&self.engine));
    }

    /// The next reply to any of this ticket's requests.
    pub(in crate::sftp) async fn reply(&self) -> Result<(RequestId, Response), SftpErrorKind> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.engine.with(|state| {
            state.give_back(self.id);
            let Some(waiter) = state.waiters.remove(&self.id) else { return };
            for (_, response) in waiter.replies {
                if let Response::Handle(handle) = response {
                    state.close_later(handle);
                }
            }
            state.send_later();
        });
    }
}

/// A place in the line, which is left when this is dropped.
struct Place<'a>(&'a Ticket);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.engine.with(|state| {
            let next = state.line.leave(self.0.id);
            state.to_wake.extend(next);
        });
    }
}
