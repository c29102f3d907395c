//! The driver: one future per connection, which moves bytes between a socket and a [`Session`].
//!
//! ```text
//!         socket ──read──► Inbound, owned by the driver ──opened in place, no lock──► batch
//!                                                                                      │ one lock a batch
//!  Channel::poll_read  ◄─ copy or Bytes ─ Mux ◄────────────── Session::handle ◄────────┘ wake readers
//!  Channel::poll_write ── lock ─ one copy into the output, sealed where it lies ─ wake driver
//!         socket ◄─write── spare Vec ◄──swapped under the lock, written outside of it
//! ```
//!
//! The lock ([`Shared`]) is never held over an `await` or a system call. Nothing the user calls
//! goes through a queue to this future: handles work on the state machine themselves, so that
//! errors are immediate and cancelling a call leaves nothing behind.

mod buffers;
mod shared;
mod socket;

pub(crate) use buffers::READ_CHUNK;
pub(crate) use shared::{Connection, Shared, State};
pub(crate) use socket::{Plain, Socket};

use core::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
use std::{io, sync::Arc};

use ssh_transport::{CONTROL_HIGH_WATER, Inbound, Received};
use tokio::time::{Instant, Sleep};

use crate::error::{Error, Phase};
use buffers::ReadBuffers;

/// The most that is handed to one `write` call.
const WRITE_CHUNK: usize = 256 * 1024;

/// How many packets are handled under one lock.
const BATCH: usize = 64;

/// How many rounds of reading and writing one poll does before other tasks get their turn.
const ROUNDS: usize = 8;

/// How long the last words of a connection may take.
const GOODBYE: Duration = Duration::from_secs(2);

/// The most bytes that the driver of a connection holds, and what waits for the handles beside it:
/// blocks to read into, the output that is being written while the next is being filled, and
/// requests.
pub(crate) fn worst_case() -> usize {
    let limits = ssh_transport::Limits::default();
    // What is provoked by one read may still be added when the mark is reached: replies are at
    // most twice as long as what asks for them. A buffer that grows may be twice as large as what
    // is in it; there are two that go round.
    let output = limits
        .output_high_water
        .saturating_add(CONTROL_HIGH_WATER)
        .saturating_add(READ_CHUNK.saturating_mul(2));
    output
        .saturating_mul(4)
        .saturating_add(buffers::worst_case())
        .saturating_add(shared::MAX_REQUEST_BYTES)
}

/// When to ask an idle peer whether it is still there, and when to believe that it is not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeepAlive {
    pub(crate) interval: Duration,
    pub(crate) max_missed: u32,
}

impl KeepAlive {
    /// What a connection has unless said otherwise: whoever is gone is noticed within four
    /// minutes.
    pub(crate) const USUAL: Self = Self { interval: Duration::from_secs(60), max_missed: 3 };
}

/// The future that runs a connection. It ends when the connection does.
pub(crate) struct Driver<S> {
    socket: S,
    inbound: Inbound,
    buffers: ReadBuffers,
    shared: Arc<Shared>,
    batch: Vec<Received>,
    wakers: Vec<Waker>,
    out: Vec<u8>,
    written: usize,
    /// Bytes written since the last read.
    written_since_read: usize,
    timer: Pin<Box<Sleep>>,
    timer_at: Option<Instant>,
    keepalive: Option<KeepAlive>,
    last_heard: Instant,
    missed: u32,
    /// Set when the connection has ended and only the last words are to be written.
    goodbye: Option<Instant>,
}

impl<S: Socket> Driver<S> {
    pub(crate) fn new(
        socket: S,
        inbound: Inbound,
        shared: Arc<Shared>,
        keepalive: Option<KeepAlive>,
    ) -> Self {
        let now = Instant::now();
        Self {
            socket,
            inbound,
            buffers: ReadBuffers::default(),
            shared,
            batch: Vec::with_capacity(BATCH),
            wakers: Vec::new(),
            out: Vec::new(),
            written: 0,
            written_since_read: 0,
            timer: Box::pin(tokio::time::sleep_until(now)),
            timer_at: None,
            keepalive,
            last_heard: now,
            missed: 0,
            goodbye: None,
        }
    }

    /// Ends the connection for everybody who waits on it; what is queued is still written.
    fn fail(&mut self, error: Error) {
        self.shared.lock().fail(error, &mut self.wakers);
        self.wake();
        self.note_end(false);
    }

    fn lost(&mut self, error: Option<io::Error>) {
        let phase = self.shared.lock().phase;
        self.fail(match (phase, self.inbound.last_line()) {
            // A server that does not want to talk says so in plain text (RFC 4253 §4.2).
            (Phase::KeyExchange, Some(line)) if self.shared.lock().peer_is_silent() => {
                Error::TurnedAway(line.clone())
            }
            _ => Error::ConnectionLost(phase, error.map(Arc::new)),
        });
    }

    /// From the end of the connection on, only its last words count, and for a short time.
    fn note_end(&mut self, open: bool) {
        if !open {
            let now = Instant::now();
            self.goodbye.get_or_insert_with(|| now.checked_add(GOODBYE).unwrap_or(now));
        }
    }

    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    /// Writes what there is. Ready with whether anything moved, pending never: what blocks has
    /// registered its waker.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<bool, io::Error> {
        let mut moved = false;
        loop {
            if self.written >= self.out.len() {
                self.written = 0;
                self.out.clear();
                let mut state = self.shared.lock();
                let open = state.take_output(&mut self.out, &mut self.wakers);
                if self.out.is_empty() {
                    state.wake_driver_with(cx.waker());
                }
                drop(state);
                self.wake();
                self.note_end(open);
                if self.out.is_empty() {
                    break;
                }
            }
            let rest = self.out.get(self.written..).unwrap_or_default();
            let chunk = rest.get(..WRITE_CHUNK).unwrap_or(rest);
            match Pin::new(&mut self.socket).poll_write(cx, chunk) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => {
                    self.written = self.written.saturating_add(n);
                    self.written_since_read = self.written_since_read.saturating_add(n);
                    moved = true;
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => {
                    // Whoever ends the connection or makes the timer earlier wakes us. A peer
                    // that reads nothing must not keep us from noticing that it has ended.
                    let mut state = self.shared.lock();
                    state.wake_driver_with(cx.waker());
                    let open = state.is_open(&mut self.wakers);
                    drop(state);
                    self.wake();
                    self.note_end(open);
                    break;
                }
            }
        }
        if moved && let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(cx) {
            return Err(error);
        }
        Ok(moved)
    }

    /// Reads once and handles what is complete.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        // A peer that asks faster than it takes the answers throttles itself: SSH has no other
        // flow control for what is not channel data.
        if self.shared.lock().control_backlog() > CONTROL_HIGH_WATER {
            return Poll::Pending;
        }
        let buffer = self.inbound.buffer();
        self.buffers.make_room(buffer);
        let read = tokio_util::io::poll_read_buf(Pin::new(&mut self.socket), cx, buffer);
        let n = ready!(read).map_err(|error| Ended::Socket(Some(error)))?;
        if n == 0 {
            return Poll::Ready(Err(Ended::Socket(None)));
        }
        self.socket.after_read(n, core::mem::take(&mut self.written_since_read));
        self.last_heard = Instant::now();
        self.missed = 0;
        Poll::Ready(self.handle_received())
    }

    /// Opens packets in place, without the lock, and handles them in batches under it.
    fn handle_received(&mut self) -> Result<(), Ended> {
        loop {
            let mut broken = None;
            while self.batch.len() < BATCH {
                match self.inbound.next() {
                    Ok(Some(received)) => self.batch.push(received),
                    Ok(None) => break,
                    Err(error) => {
                        broken = Some(error);
                        break;
                    }
                }
            }
            if self.batch.is_empty() && broken.is_none() {
                return Ok(());
            }
            let mut state = self.shared.lock();
            let handled = state.handle_batch(
                self.batch.drain(..),
                broken,
                &mut self.inbound,
                &mut self.wakers,
            );
            drop(state);
            self.wake();
            handled.map_err(Ended::Protocol)?;
        }
    }

    /// Rekeying by time, deadlines of the protocol, and asking an idle peer.
    fn tick(&mut self, cx: &mut Context<'_>) -> Result<bool, Error> {
        let now = Instant::now();
        let mut next = self.goodbye;
        if self.goodbye.is_none() {
            let mut state = self.shared.lock();
            if let Some(at) = state.deadline() {
                if at <= now {
                    state.tick()?;
                    return Ok(true);
                }
                next = earlier(next, at);
            }
            let rounds = self.missed.saturating_add(1);
            if let Some(keepalive) = self.keepalive.filter(|_| state.phase == Phase::Connected)
                && let Some(at) =
                    self.last_heard.checked_add(keepalive.interval.saturating_mul(rounds))
            {
                if at <= now {
                    if self.missed >= keepalive.max_missed {
                        let silent = now.saturating_duration_since(self.last_heard);
                        return Err(Error::TimedOut(Phase::Connected, silent));
                    }
                    self.missed = rounds;
                    state.ask_for_a_sign_of_life();
                    return Ok(true);
                }
                next = earlier(next, at);
            }
        } else if next.is_some_and(|at| at <= now) {
            return Err(Error::Closed);
        }
        let Some(at) = next else { return Ok(false) };
        if self.timer_at != Some(at) {
            self.timer_at = Some(at);
            self.timer.as_mut().reset(at);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            self.timer_at = None;
            return Ok(true);
        }
        Ok(false)
    }
}

/// Why nothing more is read.
enum Ended {
    Socket(Option<io::Error>),
    Protocol(Error),
}

fn earlier(a: Option<Instant>, b: Instant) -> Option<Instant> {
    Some(a.map_or(b, |a| a.min(b)))
}

impl<S: Socket> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
            let mut moved = match this.write(cx) {
                Ok(moved) => moved,
                Err(_) if this.goodbye.is_some() => return Poll::Ready(()),
                Err(error) => {
                    this.lost(Some(error));
                    return Poll::Ready(());
                }
            };
            if this.goodbye.is_some() {
                // Only last words: nothing is read any more, and this ends with the last byte.
                let all_written = this.out.is_empty();
                if all_written && Pin::new(&mut this.socket).poll_shutdown(cx).is_ready() {
                    return Poll::Ready(());
                }
            } else {
                match this.read(cx) {
                    Poll::Ready(Ok(())) => moved = true,
                    Poll::Ready(Err(Ended::Socket(error))) => {
                        this.lost(error);
                        return Poll::Ready(());
                    }
                    Poll::Ready(Err(Ended::Protocol(error))) => {
                        this.fail(error);
                        moved = true;
                    }
                    Poll::Pending => {}
                }
            }
            match this.tick(cx) {
                Ok(fired) => moved |= fired,
                Err(_) if this.goodbye.is_some() => return Poll::Ready(()),
                Err(error) => {
                    this.fail(error);
                    moved = true;
                }
            }
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A driver that is dropped with its runtime leaves nobody waiting.
impl<S> Drop for Driver<S> {
    fn drop(&mut self) {
        let mut wakers = Vec::new();
        self.shared.lock().finish(&mut wakers);
        for waker in wakers {
            waker.wake();
        }
    }
}
