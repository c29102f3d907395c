//! What the application is told, and how much of it may wait to be fetched.

use alloc::collections::VecDeque;
use core::fmt;

use bytes::Bytes;
use ssh_wire::PeerText;

use crate::{
    ChannelId, IncomingChannel, Limit, Limits, ReplyToken, Stream, error::Error, session::Request,
};

/// Something that happened on the connection; fetched with [`Mux::poll`](crate::Mux::poll).
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MuxEvent {
    /// The peer granted a channel that this side opened: requests and data may go.
    Opened(ChannelId),
    /// The peer refused it. The id is dead.
    OpenFailed(ChannelId, OpenFailure),
    /// The peer wants a channel; see [`Mux::accept`](crate::Mux::accept).
    Incoming(IncomingChannel),
    /// A stream from which a read had found nothing has data. Comes once: again only after
    /// another read has found nothing.
    Readable(ChannelId, Stream),
    /// A channel on which a write had stopped takes data again.
    Writable(ChannelId),
    /// The peer will send no more data on the channel. Reads end once they have taken what came.
    Eof(ChannelId),
    /// The peer asks for something on a channel. With a token, it waits for
    /// [`Mux::reply`](crate::Mux::reply).
    Request(ChannelId, Request<'static>, Option<ReplyToken>),
    /// A request of this side was granted (`true`) or refused.
    RequestAnswered(ChannelId, RequestId, bool),
    /// The program on the other side has ended: [`Mux::exit_status`](crate::Mux::exit_status).
    /// Data and the end of the channel may still come.
    Exited(ChannelId),
    /// The channel is closed both ways. Data that came before can be read until it is released.
    Closed(ChannelId),
    /// A global request of this side was granted, with what the answer holds, or refused (`None`).
    GlobalReply(RequestId, Option<Bytes>),
}

impl MuxEvent {
    /// The channel that the event is about.
    #[must_use]
    pub const fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Opened(id)
            | Self::OpenFailed(id, _)
            | Self::Readable(id, _)
            | Self::Writable(id)
            | Self::Eof(id)
            | Self::Request(id, ..)
            | Self::RequestAnswered(id, ..)
            | Self::Exited(id)
            | Self::Closed(id) => Some(*id),
            Self::Incoming(_) | Self::GlobalReply(..) => None,
        }
    }
}

/// Names one request of this side, until it is answered. Never used twice on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// Why the peer refused a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenFailure {
    /// As a code.
    pub reason: OpenFailureReason,
    /// For people.
    pub text: PeerText,
}

impl fmt::Display for OpenFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}

/// The reason code of `SSH_MSG_CHANNEL_OPEN_FAILURE` (RFC 4254 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "every number is a code")]
pub struct OpenFailureReason(pub u32);

impl OpenFailureReason {
    /// 1
    pub const ADMINISTRATIVELY_PROHIBITED: Self = Self(1);
    /// 2
    pub const CONNECT_FAILED: Self = Self(2);
    /// 3
    pub const UNKNOWN_CHANNEL_TYPE: Self = Self(3);
    /// 4
    pub const RESOURCE_SHORTAGE: Self = Self(4);
}

impl fmt::Display for OpenFailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::ADMINISTRATIVELY_PROHIBITED => f.write_str("administratively prohibited"),
            Self::CONNECT_FAILED => f.write_str("connect failed"),
            Self::UNKNOWN_CHANNEL_TYPE => f.write_str("unknown channel type"),
            Self::RESOURCE_SHORTAGE => f.write_str("resource shortage"),
            Self(code) => write!(f, "reason {code}"),
        }
    }
}

/// The most bytes that are kept of a text of the peer for people. 4 KiB are two screens; a peer may
/// send a packet full of it for each channel.
const MAX_TEXT: usize = 4 * 1024;

/// The beginning of a text of the peer.
pub(crate) fn excerpt(text: &[u8]) -> PeerText {
    PeerText::from_bytes(text.get(..MAX_TEXT).unwrap_or(text))
}

/// The events that wait.
///
/// Requests are the only ones that a peer can pile up, and are counted. The others come once until
/// the application has done something: read, written, asked, opened.
#[derive(Debug)]
pub(crate) struct Events {
    queue: VecDeque<MuxEvent>,
    requests: usize,
    request_bytes: usize,
    max_requests: usize,
    max_request_bytes: usize,
}

impl Events {
    pub(crate) const fn new(limits: &Limits) -> Self {
        Self {
            queue: VecDeque::new(),
            requests: 0,
            request_bytes: 0,
            max_requests: limits.max_queued_requests,
            max_request_bytes: limits.max_queued_request_bytes,
        }
    }

    pub(crate) fn push(&mut self, event: MuxEvent) {
        self.queue.push_back(event);
    }

    /// Makes room for a request of `bytes`; to be followed by the push.
    pub(crate) const fn admit_request(&mut self, bytes: usize) -> Result<(), Error> {
        if self.requests >= self.max_requests {
            let limit = self.max_requests;
            return Err(Error::LimitExceeded(Limit::QueuedRequests { limit }));
        }
        let total = self.request_bytes.saturating_add(bytes);
        if total > self.max_request_bytes {
            let limit = self.max_request_bytes;
            return Err(Error::LimitExceeded(Limit::QueuedRequestBytes { limit }));
        }
        self.requests = self.requests.saturating_add(1);
        self.request_bytes = total;
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<MuxEvent> {
        let event = self.queue.pop_front()?;
        if let MuxEvent::Request(_, request, _) = &event {
            self.requests = self.requests.saturating_sub(1);
            self.request_bytes = self.request_bytes.saturating_sub(request.weight());
        }
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn requests_that_nobody_fetches_are_bounded_by_count_and_by_bytes() {
        let limits =
            Limits { max_queued_requests: 2, max_queued_request_bytes: 10, ..Limits::default() };
        let mut events = Events::new(&limits);
        let id = ChannelId::for_tests(0);
        for _ in 0..2 {
            events.admit_request(5).unwrap();
            events.push(MuxEvent::Request(id, Request::Exec(b"12345".into()), None));
        }
        assert_eq!(events.admit_request(0), Err(Limit::QueuedRequests { limit: 2 }.into()));
        assert!(events.pop().is_some());
        assert_eq!(events.admit_request(6), Err(Limit::QueuedRequestBytes { limit: 10 }.into()));
        assert_eq!(events.admit_request(5), Ok(()));
    }

    #[test]
    fn of_a_long_text_the_beginning_is_kept() {
        assert_eq!(excerpt(&[b'x'; 100_000]).raw().len(), MAX_TEXT);
        assert_eq!(excerpt(b"short").raw(), "short");
    }

    #[test]
    fn a_refusal_says_why() {
        let failure = OpenFailure {
            reason: OpenFailureReason::CONNECT_FAILED,
            text: PeerText::from("no route\x07"),
        };
        assert_eq!(failure.to_string(), "connect failed: no route\\u{7}");
        assert_eq!(OpenFailureReason(77).to_string(), "reason 77");
    }
}
