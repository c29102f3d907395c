//! The engine under every SFTP operation: requests out, replies to whoever asked.
//!
//! There is no task of its own. Whoever waits for a reply reads the channel, and hands the
//! replies that are for others to them; when it leaves, it wakes another waiter to take over.
//! A transfer is one waiter with many requests out, so that on its path nothing is handed around.

use core::{
    future::poll_fn,
    task::{Context, Poll, Waker},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::{Buf, Bytes};
use sftp::{
    RequestError,
    client::{Client, Handle, Reply, RequestId, Response},
};
use ssh_connection::Stream;

use crate::{channel::Channel, error::SftpErrorKind};

/// How many received pieces one poll handles before others get their turn.
const CHUNKS_PER_POLL: usize = 128;

/// How many pieces one write takes from the queue.
const WRITE_PIECES: usize = 16;

/// Requests are collected here and travel together; beyond this they begin a new piece.
const SMALL_PIECE: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct Engine {
    channel: Arc<Channel>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    client: Client,
    /// What is to be written, in order. A WRITE's data is a piece of its own and is not copied.
    out: VecDeque<Bytes>,
    /// Requests that are being collected; they come after `out`.
    small: Vec<u8>,
    next_ticket: u64,
    waiters: HashMap<u64, Waiter>,
    owners: HashMap<RequestId, u64>,
    ended: Option<SftpErrorKind>,
}

#[derive(Debug, Default)]
struct Waiter {
    waker: Option<Waker>,
    replies: VecDeque<(RequestId, Response)>,
}

impl Engine {
    pub(super) fn new(channel: Arc<Channel>) -> Arc<Self> {
        Arc::new(Self {
            channel,
            state: Mutex::new(State {
                client: Client::new(),
                out: VecDeque::new(),
                small: Vec::new(),
                next_ticket: 0,
                waiters: HashMap::new(),
                owners: HashMap::new(),
                ended: None,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the codec: limits and extensions of the server.
    pub(super) fn client<T>(&self, look: impl FnOnce(&Client) -> T) -> T {
        look(&self.lock().client)
    }

    /// A place to receive replies at.
    pub(super) fn ticket(self: &Arc<Self>) -> Ticket {
        let mut state = self.lock();
        let id = state.next_ticket;
        state.next_ticket = id.wrapping_add(1);
        state.waiters.insert(id, Waiter::default());
        Ticket { engine: Arc::clone(self), id }
    }

    /// Sends a request that nobody waits for, and gets it on its way if the channel has room.
    pub(super) fn send_and_forget(
        &self,
        request: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) {
        let mut state = self.lock();
        let State { client, small, .. } = &mut *state;
        // A session that has ended has no open handles either.
        request(client, small).ok();
        let cx = Context::from_waker(Waker::noop());
        if state.ended.is_none() {
            state.flush(&self.channel, &cx);
        }
        // The write may have to wait; one of the waiters will see to it.
        state.wake_somebody();
    }
}

impl State {
    /// Writes what there is room for.
    fn flush(&mut self, channel: &Channel, cx: &Context<'_>) {
        loop {
            if !self.small.is_empty() {
                self.out.push_back(core::mem::take(&mut self.small).into());
            }
            if self.out.is_empty() {
                return;
            }
            let pieces: Vec<&[u8]> = self.out.iter().take(WRITE_PIECES).map(|b| &**b).collect();
            match channel.poll_write(Stream::Data, cx, &pieces) {
                Poll::Pending => return,
                Poll::Ready(Ok(n)) => self.wrote(n),
                Poll::Ready(Err(error)) => {
                    self.end(SftpErrorKind::Connection(error));
                    return;
                }
            }
        }
    }

    fn wrote(&mut self, mut n: usize) {
        while let Some(piece) = self.out.front_mut() {
            if n < piece.len() {
                piece.advance(n);
                return;
            }
            n = n.saturating_sub(piece.len());
            self.out.pop_front();
        }
    }

    /// Reads what has arrived. True if there may be more.
    fn receive(&mut self, channel: &Channel, cx: &Context<'_>) -> bool {
        for _ in 0..CHUNKS_PER_POLL {
            match channel.poll_read_chunk(Stream::Data, cx) {
                Poll::Pending => return false,
                Poll::Ready(Ok(Some(chunk))) => {
                    if let Err(error) = self.client.feed(chunk) {
                        self.end(SftpErrorKind::Protocol(error));
                        return false;
                    }
                    while let Some(reply) = self.client.poll() {
                        self.deliver(reply);
                    }
                }
                Poll::Ready(Ok(None)) => {
                    self.end(SftpErrorKind::SubsystemEnded);
                    return false;
                }
                Poll::Ready(Err(error)) => {
                    self.end(SftpErrorKind::Connection(error));
                    return false;
                }
            }
        }
        true
    }

    fn deliver(&mut self, Reply { id, response, .. }: Reply) {
        let waiter = self.owners.remove(&id).and_then(|ticket| self.waiters.get_mut(&ticket));
        match waiter {
            Some(waiter) => {
                waiter.replies.push_back((id, response));
                if let Some(waker) = waiter.waker.take() {
                    waker.wake();
                }
            }
            // Whoever opened it has gone: the handle must not stay open at the server.
            None => {
                if let Response::Handle(handle) = response {
                    self.client.close(&handle, &mut self.small).ok();
                }
            }
        }
    }

    fn end(&mut self, why: SftpErrorKind) {
        self.ended.get_or_insert(why);
        self.out.clear();
        for waiter in self.waiters.values_mut() {
            if let Some(waker) = waiter.waker.take() {
                waker.wake();
            }
        }
    }

    /// The reader of the channel leaves: somebody else has to take over.
    fn wake_somebody(&mut self) {
        if let Some(waker) = self.waiters.values_mut().find_map(|waiter| waiter.waker.take()) {
            waker.wake();
        }
    }
}

/// Where the replies to one operation's requests arrive.
///
/// Dropping it abandons the requests: their replies are read and thrown away, and a handle that
/// arrives for nobody is closed.
#[derive(Debug)]
pub(super) struct Ticket {
    engine: Arc<Engine>,
    id: u64,
}

impl Ticket {
    /// Queues a request.
    pub(super) fn send(
        &self,
        request: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) -> Result<RequestId, SftpErrorKind> {
        let mut state = self.engine.lock();
        let State { client, small, .. } = &mut *state;
        let id = request(client, small).map_err(SftpErrorKind::Request)?;
        if state.small.len() > SMALL_PIECE {
            let piece = core::mem::take(&mut state.small);
            state.out.push_back(piece.into());
        }
        state.owners.insert(id, self.id);
        Ok(id)
    }

    /// Queues a WRITE. Its data is not copied.
    pub(super) fn send_write(
        &self,
        handle: &Handle,
        offset: u64,
        data: Bytes,
    ) -> Result<RequestId, SftpErrorKind> {
        let mut state = self.engine.lock();
        let State { client, small, .. } = &mut *state;
        let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let id = client.write_header(handle, offset, len, small).map_err(SftpErrorKind::Request)?;
        let header = core::mem::take(small);
        state.out.push_back(header.into());
        state.out.push_back(data);
        state.owners.insert(id, self.id);
        Ok(id)
    }

    /// The next reply to any of this ticket's requests.
    pub(super) fn poll_reply(
        &self,
        cx: &Context<'_>,
    ) -> Poll<Result<(RequestId, Response), SftpErrorKind>> {
        let mut state = self.engine.lock();
        if let Some(reply) = state.waiters.get_mut(&self.id).and_then(|w| w.replies.pop_front()) {
            return Poll::Ready(Ok(reply));
        }
        let mut more = false;
        if state.ended.is_none() {
            state.flush(&self.engine.channel, cx);
            more = state.receive(&self.engine.channel, cx);
            // Closing abandoned handles may have queued something.
            if !state.small.is_empty() {
                state.flush(&self.engine.channel, cx);
            }
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
    }

    /// Gets what is queued on its way, without waiting.
    pub(super) fn poll_flush(&self, cx: &Context<'_>) {
        let mut state = self.engine.lock();
        if state.ended.is_none() {
            state.flush(&self.engine.channel, cx);
        }
    }

    /// Gets what is queued on its way, as far as there is room, without waiting.
    pub(super) async fn flush(&self) {
        poll_fn(|cx| {
            self.poll_flush(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// The next reply to any of this ticket's requests.
    pub(super) async fn reply(&self) -> Result<(RequestId, Response), SftpErrorKind> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.engine.lock();
        let Some(waiter) = state.waiters.remove(&self.id) else { return };
        for (_, response) in waiter.replies {
            if let Response::Handle(handle) = response {
                let State { client, small, .. } = &mut *state;
                client.close(&handle, small).ok();
            }
        }
        state.wake_somebody();
    }
}
