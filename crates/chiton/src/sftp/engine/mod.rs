//! The engine under every SFTP operation: requests out, replies to whoever asked.
//!
//! There is no task of its own. Whoever waits for a reply reads the channel, and hands the
//! replies that are for others to them. When something arrives, all who wait are woken, since
//! one of them may be a task that does not come back to it; the first reads for all. A transfer
//! is one waiter with many requests out, so that on its path nothing is handed around.

mod line;
mod patience;
mod ticket;

use core::{
    fmt,
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
use line::Line;
use patience::Patience;
pub(super) use ticket::Ticket;

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
    /// Who waits until a request may be made.
    line: Line,
    /// Requests that may be made, and that are promised to somebody.
    reserved: usize,
    /// Requests that nobody waits for, and for which there was no room.
    later: VecDeque<Forgotten>,
    patience: Patience,
}

/// A request whose answer nobody waits for.
struct Forgotten(Box<Write>);

type Write = dyn FnOnce(&mut Client, &mut Vec<u8>) + Send;

impl fmt::Debug for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forgotten")
    }
}

#[derive(Debug, Default)]
struct Waiter {
    waker: Option<Waker>,
    replies: VecDeque<(RequestId, Response)>,
    /// One request is promised to it.
    reserved: bool,
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
                line: Line::default(),
                reserved: 0,
                later: VecDeque::new(),
                patience: Patience::default(),
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

    /// How many requests may be made now by those to whom none is promised.
    pub(super) fn room(&self) -> usize {
        self.with(|state| state.room())
    }

    /// How long the server may be silent while it owes answers.
    pub(super) fn request_timeout(&self) -> Option<Duration> {
        self.with(|state| state.patience.limit())
    }

    /// Sets how long the server may be silent while it owes answers.
    pub(super) fn set_request_timeout(&self, limit: Option<Duration>) {
        self.with(|state| state.patience.set_limit(limit));
        // Whoever waits has to set the timer.
        self.waker.wake_by_ref();
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

    /// Lets nothing work any more.
    pub(super) fn give_up(&self, why: SftpErrorKind) {
        self.with(|state| state.end(why));
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

    /// Sends a request that nobody waits for, and gets it on its way if the channel has room. If no
    /// further request may be made, it follows later.
    pub(super) fn send_and_forget(
        &self,
        request: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<RequestId, RequestError>
        + Send
        + 'static,
    ) {
        self.with(|state| {
            // A session that has ended has no open handles either.
            let request = Forgotten(Box::new(move |client, out| {
                // There is room; what else is wrong with it, nobody wants to know.
                request(client, out).ok();
            }));
            if state.ended.is_none() {
                state.later.push_back(request);
            }
            state.send_later();
            state.flush(self);
        });
    }
}

impl State {
    fn room(&self) -> usize {
        self.client.room().saturating_sub(self.reserved)
    }

    /// Makes those requests that nobody waits for.
    fn send_later(&mut self) {
        while self.room() > 0
            && let Some(Forgotten(request)) = self.later.pop_front()
        {
            request(&mut self.client, &mut self.small);
            self.note_request();
        }
    }

    /// The time to answer begins with the first request that is to be answered.
    fn note_request(&mut self) {
        if self.client.outstanding() == 1 {
            self.patience.renew();
        }
    }

    /// Promises a request to a ticket, if one may be made.
    fn reserve(&mut self, ticket: u64) -> bool {
        let room = self.room();
        let Some(waiter) = self.waiters.get_mut(&ticket) else { return false };
        if !waiter.reserved && room > 0 {
            waiter.reserved = true;
            self.reserved = self.reserved.saturating_add(1);
        }
        waiter.reserved
    }

    /// Takes the promise back, because the request is made now or never.
    fn release(&mut self, ticket: u64) {
        if let Some(waiter) = self.waiters.get_mut(&ticket)
            && core::mem::take(&mut waiter.reserved)
        {
            self.reserved = self.reserved.saturating_sub(1);
        }
    }

    /// Takes the promise back if it was not used, for those who wait.
    fn give_back(&mut self, ticket: u64) {
        if self.reserved > 0 {
            self.release(ticket);
            self.invite();
        }
    }

    /// Wakes those for whom there is room now.
    fn invite(&mut self) {
        let room = self.room();
        self.to_wake.extend(self.line.first(room).cloned());
    }

    /// Reads, and ends the session if the server owes answers and has been silent for too long.
    /// True if there may be more to read.
    fn look(&mut self, engine: &Engine) -> bool {
        self.flush(engine);
        let more = self.receive(engine);
        self.send_later();
        self.invite();
        // Closing abandoned handles may have queued something.
        if !self.small.is_empty() {
            self.flush(engine);
        }
        if !more && self.ended.is_none() && self.client.outstanding() > 0 {
            let mut cx = Context::from_waker(&engine.waker);
            if let Poll::Ready(after) = self.patience.poll_over(&mut cx) {
                self.end(SftpErrorKind::NoAnswer { after });
            }
        }
        more
    }

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
                Poll::Ready(Ok(n)) => {
                    self.wrote(n);
                    self.patience.renew();
                }
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
                    self.patience.renew();
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
                    self.close_later(handle);
                }
            }
        }
    }

    /// Closes a handle that nobody has any more.
    fn close_later(&mut self, handle: Handle) {
        self.later.push_back(Forgotten(Box::new(move |client, out| {
            // There is room, and a handle that was given can be closed.
            client.close(&handle, out).ok();
        })));
    }

    fn end(&mut self, why: SftpErrorKind) {
        self.ended.get_or_insert(why);
        self.out.clear();
        self.later.clear();
        self.to_wake.extend(self.line.first(usize::MAX).cloned());
        self.to_wake.extend(self.waiters.values_mut().filter_map(|waiter| waiter.waker.take()));
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
            self.engine.send_and_forget(move |client, out| client.close(&handle, out));
        }
    }
}
