//! One channel, as a handle that calls the state machine under the connection's lock.

use core::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};
use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use ssh_connection::{
    ChannelId, ExitStatus as WireExit, IncomingChannel, Read, ReadChunk, ReplyToken, Request,
    Stream,
};
use ssh_wire::PeerText;
use tokio::io::ReadBuf;

use crate::{
    driver::{Connection, Shared},
    error::{ChannelError, Error},
    exit_status::ExitStatus,
};

/// A channel. Dropping the last handle on it closes it.
#[derive(Debug)]
pub(crate) struct Channel {
    connection: Arc<Connection>,
    id: ChannelId,
}

impl Channel {
    /// Opens a channel for a session (RFC 4254 §6.1).
    pub(crate) async fn open_session(connection: &Arc<Connection>) -> Result<Self, Error> {
        let id = connection.shared.with(|state| {
            let (mux, transport, now) = state.mux()?;
            let id = mux
                .open_session(now, transport)
                .map_err(|error| ChannelError::TooMany(error.limit))?;
            state.slots(id);
            Ok::<_, Error>(id)
        })?;
        // From here on, dropping this future closes the channel again.
        let channel = Self { connection: Arc::clone(connection), id };
        poll_fn(|cx| {
            channel.shared().with(|state| {
                if let Some(result) = state.slots(id).opened.take() {
                    return Poll::Ready(result.map_err(Error::from));
                }
                if let Err(error) = state.alive() {
                    return Poll::Ready(Err(error));
                }
                state.slots(id).wait_news(cx.waker());
                Poll::Pending
            })
        })
        .await?;
        Ok(channel)
    }

    /// Accepts a channel that the peer wants to open.
    pub(crate) fn accept(
        connection: &Arc<Connection>,
        incoming: IncomingChannel,
    ) -> Result<Self, Error> {
        let id = connection.shared.with(|state| {
            let (mux, transport, now) = state.mux()?;
            let id = mux.accept(incoming, now, transport).ok_or(ChannelError::Closed)?;
            state.slots(id);
            Ok::<_, Error>(id)
        })?;
        Ok(Self { connection: Arc::clone(connection), id })
    }

    fn shared(&self) -> &Shared {
        &self.connection.shared
    }

    /// Reads into `buf`. Nothing read means the end of the stream.
    pub(crate) fn poll_read(
        &self,
        stream: Stream,
        cx: &Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Error>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let unfilled = buf.initialize_unfilled();
        let read = self.shared().with(|state| {
            let Some((mux, transport, now)) = state.mux_after_end() else {
                return Poll::Ready(state.alive().map(|()| 0));
            };
            match mux.read(self.id, stream, unfilled, now, transport) {
                Read::Data(n) => Poll::Ready(Ok(n)),
                Read::Eof => Poll::Ready(Ok(0)),
                Read::Empty => self.wait_read(state, stream, cx).map_ok(|()| 0),
            }
        });
        read.map_ok(|n| buf.advance(n))
    }

    /// Takes the next piece of what was received, without copying it.
    pub(crate) fn poll_read_chunk(
        &self,
        stream: Stream,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        self.shared().with(|state| {
            let Some((mux, transport, now)) = state.mux_after_end() else {
                return Poll::Ready(state.alive().map(|()| None));
            };
            match mux.read_chunk(self.id, stream, now, transport) {
                ReadChunk::Data(bytes) => Poll::Ready(Ok(Some(bytes))),
                ReadChunk::Eof => Poll::Ready(Ok(None)),
                ReadChunk::Empty => self.wait_read(state, stream, cx).map_ok(|()| None),
            }
        })
    }

    fn wait_read(
        &self,
        state: &mut crate::driver::State,
        stream: Stream,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Error>> {
        if let Err(error) = state.alive() {
            return Poll::Ready(Err(error));
        }
        let slots = state.slots(self.id);
        if slots.closed {
            return Poll::Ready(Ok(()));
        }
        slots.wait_read(stream, cx.waker());
        Poll::Pending
    }

    /// Writes as much of `data` as goes into the window now; the pieces travel together.
    pub(crate) fn poll_write(
        &self,
        stream: Stream,
        cx: &Context<'_>,
        data: &[&[u8]],
    ) -> Poll<Result<usize, Error>> {
        if data.iter().all(|piece| piece.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.shared().with(|state| {
            let (mux, transport, _) = state.mux()?;
            match mux.write(self.id, stream, data, transport) {
                Ok(0) => {
                    state.slots(self.id).wait_write(cx.waker());
                    Poll::Pending
                }
                Ok(n) => Poll::Ready(Ok(n)),
                Err(_) => Poll::Ready(Err(ChannelError::Closed.into())),
            }
        })
    }

    /// What the peer takes now before it has said that it took some, in bytes.
    pub(crate) fn send_window(&self) -> u32 {
        self.shared().with(|state| state.mux().map_or(0, |(mux, ..)| mux.send_window(self.id)))
    }

    /// The shortest time that the peer took to answer something on this connection.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.shared().with(|state| state.mux().ok().and_then(|(mux, ..)| mux.round_trip()))
    }

    /// Lets the peer send `window` bytes before they are read, where the limits allow it.
    pub(crate) fn widen(&self, window: u32) {
        self.shared().with(|state| {
            if let Ok((mux, transport, _)) = state.mux() {
                mux.widen(self.id, window, transport);
            }
        });
    }

    /// Says that no more data will come from this side (`SSH_MSG_CHANNEL_EOF`).
    pub(crate) fn eof(&self) {
        self.shared().with(|state| {
            if let Ok((mux, transport, _)) = state.mux() {
                mux.eof(self.id, transport);
            }
        });
    }

    /// Closes the channel in both directions (`SSH_MSG_CHANNEL_CLOSE`).
    pub(crate) fn close(&self) {
        self.shared().with(|state| {
            if let Ok((mux, transport, _)) = state.mux() {
                mux.close(self.id, transport);
            }
        });
    }

    /// From now on drops what arrives on `stream`, so that nothing waits for it to be read.
    pub(crate) fn discard(&self, stream: Stream) {
        self.shared().with(|state| {
            if let Some((mux, transport, now)) = state.mux_after_end() {
                mux.discard(self.id, stream, now, transport);
            }
        });
    }

    /// Sends a request that nobody answers.
    pub(crate) fn tell(&self, request: &Request<'static>) -> Result<(), Error> {
        self.shared().with(|state| {
            let (mux, transport, _) = state.mux()?;
            mux.request(self.id, request, false, transport)
                .map(drop)
                .map_err(|_| ChannelError::Closed.into())
        })
    }

    /// Sends requests in one go and waits for all their answers; the first refusal is the error.
    pub(crate) async fn ask(
        &self,
        requests: &[(&'static str, Request<'static>)],
    ) -> Result<(), Error> {
        let mut pending = self.shared().with(|state| {
            let (mux, transport, _) = state.mux()?;
            requests
                .iter()
                .map(|(name, request)| {
                    let id = mux
                        .request(self.id, request, true, transport)
                        .map_err(|_| ChannelError::Closed)?;
                    Ok((*name, id))
                })
                .collect::<Result<VecDeque<_>, Error>>()
        })?;
        poll_fn(|cx| {
            self.shared().with(|state| {
                let dead = state.alive();
                let slots = state.slots(self.id);
                while let Some((name, id)) = pending.front() {
                    let Some(at) = slots.answers.iter().position(|(answered, _)| answered == id)
                    else {
                        break;
                    };
                    if !slots.answers.swap_remove(at).1 {
                        return Poll::Ready(Err(ChannelError::RequestRefused(name).into()));
                    }
                    pending.pop_front();
                }
                if pending.is_empty() {
                    return Poll::Ready(Ok(()));
                }
                if slots.closed {
                    return Poll::Ready(Err(ChannelError::Closed.into()));
                }
                dead?;
                slots.wait_news(cx.waker());
                Poll::Pending
            })
        })
        .await
    }

    /// Server: the peer's next request; `None` when the channel is closed.
    pub(crate) async fn next_request(
        &self,
    ) -> Result<Option<(Request<'static>, Option<ReplyToken>)>, Error> {
        poll_fn(|cx| {
            self.shared().with(|state| {
                let dead = state.alive();
                if let Some(request) = state.next_request(self.id) {
                    return Poll::Ready(Ok(Some(request)));
                }
                let slots = state.slots(self.id);
                if slots.closed {
                    return Poll::Ready(Ok(None));
                }
                dead?;
                slots.wait_news(cx.waker());
                Poll::Pending
            })
        })
        .await
    }

    /// Server: answers a request.
    pub(crate) fn reply(&self, token: ReplyToken, ok: bool) {
        self.shared().with(|state| {
            if let Ok((mux, transport, _)) = state.mux() {
                mux.reply(token, ok, transport);
            }
        });
    }

    /// Waits until the peer has closed the channel and tells how the command ended.
    ///
    /// Only the CLOSE counts as the end: an exit status may come before the last data (RFC 4254
    /// §6.10), and a connection that ends without CLOSE is an error whatever came before.
    pub(crate) async fn wait_closed(&self) -> Result<ExitStatus, Error> {
        poll_fn(|cx| {
            self.shared().with(|state| {
                let dead = state.alive();
                let slots = state.slots(self.id);
                if !slots.closed {
                    dead?;
                    slots.wait_news(cx.waker());
                    return Poll::Pending;
                }
                let status = state.mux_after_end().and_then(|(mux, ..)| mux.exit_status(self.id));
                Poll::Ready(Ok(match status {
                    Some(WireExit::Code(code)) => ExitStatus::Code(*code),
                    Some(WireExit::Signal { name, core_dumped, message }) => ExitStatus::Signal {
                        name: PeerText::from(name.name()),
                        core_dumped: *core_dumped,
                        message: message.clone(),
                    },
                    _ => ExitStatus::Missing,
                }))
            })
        })
        .await
    }

    /// How the command ended, if that is already known.
    pub(crate) fn is_closed(&self) -> bool {
        self.shared().with(|state| state.alive().is_err() || state.slots(self.id).closed)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.shared().with(|state| {
            if let Some((mux, transport, _)) = state.mux_after_end() {
                mux.release(self.id, transport);
            }
            state.forget(self.id);
        });
    }
}
