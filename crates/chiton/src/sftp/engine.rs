//! The engine under every SFTP operation: requests out, replies to whoever asked.
//!
//! There is no task of its own. Whoever waits for a reply reads the channel, and hands the
//! replies that are for others to them. When something arrives, all who wait are woken, since
//! one of them may be a task that does not come back to it; the first reads for all. A transfer
//! is one waiter with many requests out, so that on its path nothing is handed around.

use core::{
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::Duration,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::Wake,
};

use bytes::{Buf, Bytes};
use sftp::{
    Limits, RequestError,
    client::{Client, Handle, Reply, RequestId, Response},
};

use super::link::Link;
use crate::error::SftpErrorKind;

/// How many received pieces one poll handles before others get their turn.
const CHUNKS_PER_POLL: usize = 128;

/// How many pieces one write takes from the queue.
const WRITE_PIECES: usize = 16;

/// Requests are collected here and travel together; beyond this they begin a new piece.
const SMALL_PIECE: usize = 32 * 1024;

#[derive(Debug)]
pub(super) struct Engine {
    link: Link,
    state: Mutex<State>,
    /// Those who wait for the link, and the waker that wakes them all.
    parked: Arc<Parked>,
    waker: Waker,
    /// The shortest time that an answer took when the session began.
    round_trip: OnceLock<Duration>,
}

/// Everybody who waits for something to arrive, or for room to write.
#[derive(Debug, Default)]
struct Parked(Mutex<Vec<Waker>>);

impl Parked {
    fn park(&self, waker: &Waker) {
        let mut parked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !parked.iter().any(|known| known.will_wake(waker)) {
            parked.push(waker.clone());
        }
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        let parked = core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for waker in parked {
            waker.wake();
        }
    }
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
    /// Whom to wake once the lock is free.
    to_wake: Vec<Waker>,
}

#[derive(Debug, Default)]
struct Waiter {
    waker: Option<Waker>,
    replies: VecDeque<(RequestId, Response)>,
}

impl Engine {
    pub(super) fn new(link: Link) -> Arc<Self> {
        let parked = Arc::new(Parked::default());
        Arc::new(Self {
            link,
            waker: Waker::from(Arc::clone(&parked)),
            parked,
            round_trip: OnceLock::new(),
            state: Mutex::new(State {
                client: Client::new(),
                out: VecDeque::new(),
                small: Vec::new(),
                next_ticket: 0,
                waiters: HashMap::new(),
                owners: HashMap::new(),
                ended: None,
                to_wake: Vec::new(),
            }),
        })
    }

    /// Does something under the lock and then, outside of it, wakes those whom it concerns.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut state);
        let wakers = core::mem::take(&mut state.to_wake);
        drop(state);
        for waker in wakers {
            waker.wake();
        }
        result
    }

    /// Looks at the codec: limits and extensions of the server.
    pub(super) fn client<T>(&self, look: impl FnOnce(&Client) -> T) -> T {
        self.with(|state| look(&state.client))
    }

    /// Tells the codec what the server accepts, which it told on another channel.
    pub(super) fn assume_limits(&self, limits: Limits) {
        self.with(|state| state.client.assume_limits(limits));
    }

    /// Notes how long answers took when the session began.
    pub(super) fn note_round_trip(&self, time: Duration) {
        // It begins once.
        self.round_trip.set(time).ok();
    }

    /// The shortest time that an answer took on this connection, as far as is known.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        let known = self.round_trip.get().copied();
        match &self.link {
            Link::Channel(channel) => channel.round_trip().into_iter().chain(known).min(),
            Link::Stream(_) => known,
        }
    }

    /// What the peer takes now before it has said that it took some, in bytes; `None` if what is
    /// below is no channel.
    pub(super) fn window(&self) -> Option<u64> {
        match &self.link {
            Link::Channel(channel) => Some(channel.send_window().into()),
            Link::Stream(_) => None,
        }
    }

    /// Makes ready for much data, if the link is long: the window that a channel begins with would
    /// hold it up for some round trips, until it has grown.
    pub(super) fn expect_data(&self) {
        /// What a link of 1 Gbit/s holds at 130 ms.
        const WINDOW: u32 = 16 * 1024 * 1024;
        /// On a shorter link the usual window is enough.
        const LONG: Duration = Duration::from_millis(10);

        if let Link::Channel(channel) = &self.link
            && self.round_trip().is_some_and(|time| time >= LONG)
        {
            channel.widen(WINDOW);
        }
    }

    /// Why nothing works any more, if so.
    pub(super) fn ended(&self) -> Option<SftpErrorKind> {
        self.with(|state| state.ended.clone())
    }

    /// A place to receive replies at.
    pub(super) fn ticket(self: &Arc<Self>) -> Ticket {
        let id = self.with(|state| {
            let id = state.next_ticket;
            state.next_ticket = id.wrapping_add(1);
            state.waiters.insert(id, Waiter::default());
            id
        });
        Ticket { engine: Arc::clone(self), id }
    }

    /// Sends a request that nobody waits for, and gets it on its way if the channel has room.
    pub(super) fn send_and_forget(
        &self,
        request: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>,
    ) {
        self.with(|state| {
            // A session that has ended has no open handles either.
            request(&mut state.client, &mut state.small).ok();
            state.flush(self);
        });
    }
}

impl State {
    /// Writes what there is room for.
    fn flush(&mut self, engine: &Engine) {
        let cx = Context::from_waker(&engine.waker);
        while self.ended.is_none() {
            if !self.small.is_empty() {
                self.out.push_back(core::mem::take(&mut self.small).into());
            }
            if self.out.is_empty() {
                if let Poll::Ready(Err(error)) = engine.link.poll_flush(&cx) {
                    self.end(SftpErrorKind::Connection(error));
                }
                return;
            }
            let pieces: Vec<&[u8]> = self.out.iter().take(WRITE_PIECES).map(|b| &**b).collect();
            match engine.link.poll_write(&cx, &pieces) {
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
    fn receive(&mut self, engine: &Engine) -> bool {
        let cx = Context::from_waker(&engine.waker);
        for _ in 0..CHUNKS_PER_POLL {
            match engine.link.poll_read_chunk(&cx) {
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
                self.to_wake.extend(waiter.waker.take());
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
        self.to_wake.extend(self.waiters.values_mut().filter_map(|waiter| waiter.waker.take()));
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
        self.engine.with(|state| {
            let id =
                request(&mut state.client, &mut state.small).map_err(SftpErrorKind::Request)?;
            if state.small.len() > SMALL_PIECE {
                let piece = core::mem::take(&mut state.small);
                state.out.push_back(piece.into());
            }
            state.owners.insert(id, self.id);
            Ok(id)
        })
    }

    /// Queues a WRITE. Its data is not copied.
    pub(super) fn send_write(
        &self,
        handle: &Handle,
        offset: u64,
        data: Bytes,
    ) -> Result<RequestId, SftpErrorKind> {
        self.engine.with(|state| {
            let State { client, small, .. } = state;
            let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
            let id =
                client.write_header(handle, offset, len, small).map_err(SftpErrorKind::Request)?;
            state.out.push_back(core::mem::take(small).into());
            state.out.push_back(data);
            state.owners.insert(id, self.id);
            Ok(id)
        })
    }

    /// The next reply to any of this ticket's requests.
    pub(super) fn poll_reply(
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
                state.flush(&self.engine);
                more = state.receive(&self.engine);
                // Closing abandoned handles may have queued something.
                if !state.small.is_empty() {
                    state.flush(&self.engine);
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
        })
    }

    /// Gets what is queued on its way, as far as there is room. What is left follows when
    /// somebody waits for a reply.
    pub(super) fn flush(&self) {
        self.engine.with(|state| state.flush(&self.engine));
    }

    /// The next reply to any of this ticket's requests.
    pub(super) async fn reply(&self) -> Result<(RequestId, Response), SftpErrorKind> {
        poll_fn(|cx| self.poll_reply(cx)).await
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.engine.with(|state| {
            let Some(waiter) = state.waiters.remove(&self.id) else { return };
            for (_, response) in waiter.replies {
                if let Response::Handle(handle) = response {
                    state.client.close(&handle, &mut state.small).ok();
                }
            }
        });
    }
}

/// An open handle at the server, which is closed if it is dropped before that was done.
#[derive(Debug)]
pub(super) struct Opened {
    engine: Arc<Engine>,
    handle: Option<Handle>,
}

impl Opened {
    pub(super) const fn new(engine: Arc<Engine>, handle: Handle) -> Self {
        Self { engine, handle: Some(handle) }
    }

    /// The handle; none once it is closed.
    pub(super) fn handle(&self) -> Result<&Handle, SftpErrorKind> {
        self.handle.as_ref().ok_or(SftpErrorKind::SubsystemEnded)
    }

    /// Takes it, to close it and see how that goes.
    pub(super) const fn take(&mut self) -> Option<Handle> {
        self.handle.take()
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.engine.send_and_forget(|client, out| client.close(&handle, out));
        }
    }
}
