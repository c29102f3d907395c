//! What the driver and the handles share: the session, and who waits for what.

use core::task::Waker;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use ssh_connection::{
    ChannelId, IncomingChannel, Mux, MuxEvent, ReplyToken, Request, RequestId, Stream,
};
use ssh_keys::PublicKey;
use ssh_transport::{Inbound, Received, Transport};
use ssh_wire::{DisconnectReason, Time};
use tokio::time::Instant;

use crate::{
    error::{ChannelError, Disconnect, Error, Phase},
    host_key_news,
    session::{Session, SessionEvent},
};

/// How many requests of a peer may wait for the application on one channel. More are refused: a
/// client asks for a terminal, some variables and a program, and then resizes the terminal.
const MAX_REQUESTS: usize = 128;

/// Bytes of strings in the requests that wait, on all channels of a connection together: as many
/// as the mux keeps before they are fetched from it.
pub(super) const MAX_REQUEST_BYTES: usize = 1024 * 1024;

/// A handle on a connection. The last one to go closes it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.with(|state| state.close("the last handle was dropped"));
    }
}

/// The state of a connection behind its one lock.
///
/// The lock is held for as long as it takes to handle a batch of packets or to seal one, never
/// over an `await` or a system call.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
}

impl Shared {
    pub(crate) fn new(session: Session, epoch: Instant) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                session,
                epoch,
                phase: Phase::KeyExchange,
                dead: None,
                driver: None,
                front: None,
                closed: Vec::new(),
                to_wake: Vec::new(),
                finished: false,
                events: VecDeque::new(),
                incoming: VecDeque::new(),
                request_bytes: 0,
                channels: HashMap::new(),
                host_key_news: HostKeyNews::default(),
            }),
        })
    }

    /// A panic while the lock is held would be a bug elsewhere; the state is usable all the same.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something under the lock and then, outside of it, wakes the driver if there is now
    /// something to write.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state);
        let wants_driver = state.session.transport().pending_output() > 0 || state.dead.is_some();
        let driver = if wants_driver { state.driver.take() } else { None };
        let others = core::mem::take(&mut state.to_wake);
        drop(state);
        for waker in others {
            waker.wake();
        }
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }
}

/// See [`Shared`].
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) session: Session,
    epoch: Instant,
    /// How far the connection has come, for errors.
    pub(crate) phase: Phase,
    /// Why it ended, if it did.
    dead: Option<Error>,
    driver: Option<Waker>,
    /// Who waits for events of the session or for incoming channels.
    front: Option<Waker>,
    /// Who waits for the end.
    closed: Vec<Waker>,
    /// Whom [`Shared::with`] wakes when it has let go of the lock.
    to_wake: Vec<Waker>,
    /// True once the driver has ended: the last byte is written and the socket closed.
    finished: bool,
    /// Events of the handshake and authentication. Each needs an answer of ours before the peer
    /// may cause the next, but for banners, whose number authentication bounds.
    events: VecDeque<SessionEvent>,
    /// Channels that the peer wants to open; bounded by the mux.
    incoming: VecDeque<IncomingChannel>,
    /// What the requests that wait on all channels take.
    request_bytes: usize,
    channels: HashMap<ChannelId, Slots>,
    host_key_news: HostKeyNews,
}

/// What the server has told of its host keys, and who waits for that.
#[derive(Debug, Default)]
struct HostKeyNews {
    told: Option<Vec<PublicKey>>,
    /// The request for proofs, until it is answered.
    asked: Option<RequestId>,
    proofs: Option<Option<Bytes>>,
    waker: Option<Waker>,
}

/// Who waits for what on one channel, and what came for them.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    read: [Option<Waker>; 2],
    write: Option<Waker>,
    news: Vec<Waker>,
    pub(crate) opened: Option<Result<(), ChannelError>>,
    pub(crate) answers: Vec<(RequestId, bool)>,
    /// Requests of the peer, at most [`MAX_REQUESTS`] and [`MAX_REQUEST_BYTES`]; none on a client.
    requests: VecDeque<(Request<'static>, Option<ReplyToken>)>,
    pub(crate) closed: bool,
}

impl Slots {
    const fn reader(&mut self, stream: Stream) -> &mut Option<Waker> {
        let [data, stderr] = &mut self.read;
        match stream {
            Stream::Data => data,
            Stream::Stderr => stderr,
        }
    }

    pub(crate) fn wait_read(&mut self, stream: Stream, waker: &Waker) {
        *self.reader(stream) = Some(waker.clone());
    }

    pub(crate) fn wait_write(&mut self, waker: &Waker) {
        self.write = Some(waker.clone());
    }

    pub(crate) fn wait_news(&mut self, waker: &Waker) {
        if !self.news.iter().any(|known| known.will_wake(waker)) {
            self.news.push(waker.clone());
        }
    }

    fn wake_all(&mut self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.read.iter_mut().filter_map(Option::take));
        wakers.extend(self.write.take());
        wakers.append(&mut self.news);
    }
}

impl State {
    pub(crate) fn now(&self) -> Time {
        Time::from_epoch(self.epoch.elapsed())
    }

    /// The error that ended the connection.
    ///
    /// # Errors
    /// That error, if it did end.
    pub(crate) fn alive(&self) -> Result<(), Error> {
        self.dead.clone().map_or(Ok(()), Err)
    }

    /// Ends the connection: everybody who waits gets `error`. The first one counts.
    pub(crate) fn fail(&mut self, error: Error, wakers: &mut Vec<Waker>) {
        if self.dead.is_none() {
            self.dead = Some(error);
        }
        wakers.extend(self.driver.take());
        wakers.extend(self.front.take());
        wakers.extend(self.host_key_news.waker.take());
        wakers.append(&mut self.closed);
        for slots in self.channels.values_mut() {
            slots.wake_all(wakers);
        }
    }

    /// Closes the connection from this side. The driver writes the good-bye and ends. To be called
    /// through [`Shared::with`], which wakes whoever waits.
    pub(crate) fn close(&mut self, text: &str) {
        if self.dead.is_some() {
            return;
        }
        self.session.disconnect(DisconnectReason::BY_APPLICATION, text);
        let driver = self.driver.take();
        let mut wakers = core::mem::take(&mut self.to_wake);
        self.fail(Error::Closed, &mut wakers);
        self.to_wake = wakers;
        self.driver = driver;
    }

    pub(crate) fn wake_driver_with(&mut self, waker: &Waker) {
        self.driver = Some(waker.clone());
    }

    pub(crate) fn wait_for_end(&mut self, waker: &Waker) {
        if !self.closed.iter().any(|known| known.will_wake(waker)) {
            self.closed.push(waker.clone());
        }
    }

    /// True once the last byte is written and the socket closed.
    pub(crate) const fn is_finished(&self) -> bool {
        self.finished
    }

    /// The driver ends.
    pub(crate) fn finish(&mut self, wakers: &mut Vec<Waker>) {
        self.finished = true;
        self.fail(Error::Closed, wakers);
    }

    /// The next event of the session; remembers `waker` if there is none.
    pub(crate) fn next_event(&mut self, waker: &Waker) -> Option<Result<SessionEvent, Error>> {
        if let Some(event) = self.events.pop_front() {
            return Some(Ok(event));
        }
        if let Err(error) = self.alive() {
            return Some(Err(error));
        }
        self.front = Some(waker.clone());
        None
    }

    /// The next channel that the peer wants to open; remembers `waker` if there is none.
    pub(crate) fn next_incoming(
        &mut self,
        waker: &Waker,
    ) -> Option<Result<IncomingChannel, Error>> {
        if let Some(channel) = self.incoming.pop_front() {
            return Some(Ok(channel));
        }
        if let Err(error) = self.alive() {
            return Some(Err(error));
        }
        self.front = Some(waker.clone());
        None
    }

    /// The channels and the outbox, on a connection that is up.
    ///
    /// # Errors
    /// What ended the connection, or a call before authentication.
    pub(crate) fn mux(&mut self) -> Result<(&mut Mux, &mut Transport, Time), Error> {
        self.alive()?;
        let now = self.now();
        match self.session.connection() {
            Some((mux, transport)) => Ok((mux, transport, now)),
            None => Err(Error::ApiMisuse("the connection is not authenticated yet")),
        }
    }

    /// The channels even of a connection that has ended: what was received can still be read.
    pub(crate) fn mux_after_end(&mut self) -> Option<(&mut Mux, &mut Transport, Time)> {
        let now = self.now();
        let (mux, transport) = self.session.connection()?;
        Some((mux, transport, now))
    }

    pub(crate) fn slots(&mut self, id: ChannelId) -> &mut Slots {
        self.channels.entry(id).or_default()
    }

    pub(crate) fn forget(&mut self, id: ChannelId) {
        while self.next_request(id).is_some() {}
        self.channels.remove(&id);
    }

    /// The oldest request of the peer that waits on a channel.
    pub(crate) fn next_request(
        &mut self,
        id: ChannelId,
    ) -> Option<(Request<'static>, Option<ReplyToken>)> {
        let next = self.channels.get_mut(&id)?.requests.pop_front()?;
        self.request_bytes = self.request_bytes.saturating_sub(next.0.weight());
        Some(next)
    }

    /// Takes what is to be written. False if the connection has ended.
    pub(crate) fn take_output(&mut self, spare: &mut Vec<u8>, wakers: &mut Vec<Waker>) -> bool {
        if self.session.transport().pending_output() > 0 {
            self.session.take_output(spare);
            if let Some((mux, _)) = self.session.connection() {
                mux.data_room_returned();
            }
            self.dispatch(wakers);
        }
        self.is_open(wakers)
    }

    /// False once the connection has ended. A message of this side that could not be sent ends
    /// it, too, and no call fails because of that: it is noticed here.
    pub(crate) fn is_open(&mut self, wakers: &mut Vec<Waker>) -> bool {
        if self.dead.is_none()
            && let Some(error) = self.session.transport().error()
        {
            self.fail(error.clone().into(), wakers);
        }
        self.dead.is_none()
    }

    /// True while the peer has not identified itself.
    pub(crate) fn peer_is_silent(&self) -> bool {
        self.session.transport().peer_identification().is_none()
    }

    pub(crate) fn control_backlog(&self) -> usize {
        self.session.transport().control_backlog()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        // What is so late that no clock shows it is never.
        self.session.deadline().and_then(|time| self.epoch.checked_add(time.since_epoch()))
    }

    pub(crate) fn tick(&mut self) -> Result<(), Error> {
        let now = self.now();
        self.session.tick(now)
    }

    /// `keepalive@openssh.com`: any answer will do, and every server gives one (RFC 4254 §4).
    pub(crate) fn ask_for_a_sign_of_life(&mut self) {
        if let Some((mux, transport)) = self.session.connection() {
            mux.global_request("keepalive@openssh.com", &[], true, transport);
        }
    }

    /// The host keys that the server has told; remembers `waker` if it has not.
    pub(crate) fn announced_host_keys(
        &mut self,
        waker: &Waker,
    ) -> Option<Result<Vec<PublicKey>, Error>> {
        if let Some(keys) = self.host_key_news.told.take() {
            return Some(Ok(keys));
        }
        self.wait_for_host_key_news(waker)
    }

    /// Asks the server to prove that it holds host keys.
    ///
    /// # Errors
    /// The connection has ended.
    pub(crate) fn ask_for_host_key_proof(&mut self, keys: &[u8]) -> Result<(), Error> {
        let (mux, transport, _) = self.mux()?;
        let id = mux.global_request(host_key_news::PROVE, keys, true, transport);
        self.host_key_news.asked = Some(id);
        Ok(())
    }

    /// The answer to that, nothing if the server refuses; remembers `waker` if it has not come.
    pub(crate) fn host_key_proof(&mut self, waker: &Waker) -> Option<Result<Option<Bytes>, Error>> {
        if let Some(proofs) = self.host_key_news.proofs.take() {
            return Some(Ok(proofs));
        }
        self.wait_for_host_key_news(waker)
    }

    fn wait_for_host_key_news<T>(&mut self, waker: &Waker) -> Option<Result<T, Error>> {
        if let Err(error) = self.alive() {
            return Some(Err(error));
        }
        self.host_key_news.waker = Some(waker.clone());
        None
    }

    /// Handles a batch of packets, and then what made the batch end, if it was an error.
    pub(crate) fn handle_batch(
        &mut self,
        batch: impl Iterator<Item = Received>,
        broken: Option<ssh_transport::Error>,
        inbound: &mut Inbound,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), Error> {
        let now = self.now();
        let mut result = Ok(());
        for received in batch {
            if result.is_err() {
                continue;
            }
            result = match self.session.handle(received, inbound, now) {
                Ok(None) => Ok(()),
                Ok(Some(event)) => self.on_event(event, wakers),
                Err(error) => Err(error),
            };
        }
        if result.is_ok()
            && let Some(error) = broken
        {
            self.session.transport_mut().fail(error.clone());
            result = Err(error.into());
        }
        self.dispatch(wakers);
        result
    }

    /// Takes note of an event; the ones that want an answer wait for whoever gives it.
    pub(crate) fn on_event(
        &mut self,
        event: SessionEvent,
        wakers: &mut Vec<Waker>,
    ) -> Result<(), Error> {
        match &event {
            SessionEvent::HostKey(_) => self.phase = Phase::HostKey,
            SessionEvent::AuthReady | SessionEvent::AuthQuestion(_) => {
                self.phase = Phase::Authentication;
            }
            SessionEvent::Authenticated => self.phase = Phase::Connected,
            SessionEvent::Disconnected(goodbye) => {
                return Err(Error::Disconnected(Box::new(Disconnect {
                    reason: goodbye.reason,
                    text: goodbye.text.clone(),
                    phase: self.phase,
                })));
            }
            SessionEvent::Rekeyed | SessionEvent::Debug { .. } | SessionEvent::AuthRefused(_) => {
                return Ok(());
            }
            SessionEvent::Auth(_) => {}
            SessionEvent::HostKeys(keys) => {
                self.host_key_news.told = Some(keys.clone());
                wakers.extend(self.host_key_news.waker.take());
                return Ok(());
            }
        }
        self.events.push_back(event);
        wakers.extend(self.front.take());
        Ok(())
    }

    /// Tells whoever waits what the channels have to say.
    fn dispatch(&mut self, wakers: &mut Vec<Waker>) {
        let Some((mux, _)) = self.session.connection() else { return };
        while let Some(event) = mux.poll() {
            let (id, news) = match event {
                MuxEvent::Readable(id, stream) => {
                    if let Some(slots) = self.channels.get_mut(&id) {
                        wakers.extend(slots.reader(stream).take());
                    }
                    continue;
                }
                MuxEvent::Writable(id) => {
                    if let Some(slots) = self.channels.get_mut(&id) {
                        wakers.extend(slots.write.take());
                    }
                    continue;
                }
                MuxEvent::Incoming(channel) => {
                    self.incoming.push_back(channel);
                    wakers.extend(self.front.take());
                    continue;
                }
                MuxEvent::GlobalReply(id, proofs) if self.host_key_news.asked == Some(id) => {
                    self.host_key_news.proofs = Some(proofs);
                    wakers.extend(self.host_key_news.waker.take());
                    continue;
                }
                MuxEvent::Opened(id) => (id, News::Opened(Ok(()))),
                MuxEvent::OpenFailed(id, failure) => (
                    id,
                    News::Opened(Err(ChannelError::OpenRefused {
                        reason: failure.reason.0,
                        text: failure.text,
                    })),
                ),
                MuxEvent::RequestAnswered(id, request, ok) => (id, News::Answer(request, ok)),
                MuxEvent::Request(id, request, token) => (id, News::Request(request, token)),
                MuxEvent::Eof(id) => (id, News::Eof),
                MuxEvent::Closed(id) => (id, News::Closed),
                _ => continue,
            };
            let Some(slots) = self.channels.get_mut(&id) else { continue };
            match news {
                News::Opened(result) => slots.opened = Some(result),
                News::Answer(request, ok) => slots.answers.push((request, ok)),
                News::Request(request, token) => {
                    let bytes = self.request_bytes.saturating_add(request.weight());
                    // A token that is dropped is a refusal.
                    if slots.requests.len() < MAX_REQUESTS && bytes <= MAX_REQUEST_BYTES {
                        self.request_bytes = bytes;
                        slots.requests.push_back((request, token));
                    }
                }
                News::Eof => wakers.extend(slots.read.iter_mut().filter_map(Option::take)),
                News::Closed => {
                    slots.closed = true;
                    slots.wake_all(wakers);
                }
            }
            wakers.append(&mut slots.news);
        }
    }
}

enum News {
    Opened(Result<(), ChannelError>),
    Answer(RequestId, bool),
    Request(Request<'static>, Option<ReplyToken>),
    Eof,
    Closed,
}
