//! What can go wrong, and whose fault it is.

use core::fmt;

use ssh_wire::{DecodeError, DisconnectReason, Fault, Rule};

/// Why the connection has to end. Each error comes from something that the peer sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not the message they claim to be.
    InvalidMessage(DecodeError),
    /// A message that parses and breaks a rule.
    PeerMisbehaved(PeerMisbehaved),
    /// More of something than this side is willing to hold.
    LimitExceeded(Limit),
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InvalidMessage(_) | Self::PeerMisbehaved(_) => Fault::Peer,
            Self::LimitExceeded(_) => Fault::Policy,
        }
    }

    /// The rule that was broken.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::InvalidMessage(_) => Some(Rule("RFC 4251 §5")),
            Self::PeerMisbehaved(what) => Some(what.rule()),
            Self::LimitExceeded(_) => None,
        }
    }

    /// What to tell the peer.
    #[must_use]
    pub const fn disconnect(&self) -> Option<DisconnectReason> {
        Some(match self {
            Self::InvalidMessage(_) | Self::PeerMisbehaved(_) => DisconnectReason::PROTOCOL_ERROR,
            Self::LimitExceeded(_) => DisconnectReason::BY_APPLICATION,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidMessage(error) => write!(f, "invalid message: {error}"),
            Self::PeerMisbehaved(what) => {
                write!(f, "peer misbehaved: {what} ({})", what.rule())
            }
            Self::LimitExceeded(limit) => write!(f, "limit exceeded: {limit}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::InvalidMessage(error)
    }
}

impl From<PeerMisbehaved> for Error {
    fn from(what: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(what)
    }
}

impl From<Limit> for Error {
    fn from(limit: Limit) -> Self {
        Self::LimitExceeded(limit)
    }
}

/// A rule of RFC 4254 that the peer broke. `channel` is this side's number, as in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// `CHANNEL_SUCCESS` or `CHANNEL_FAILURE`, and no request waits for one.
    ChannelReplyNotAsked {
        /// The channel of the reply.
        channel: u32,
    },
    /// Data after the peer had said that there would be no more.
    DataAfterEof {
        /// The channel of the data.
        channel: u32,
    },
    /// More data in a message than this side said it takes.
    DataBeyondMaxPacket {
        /// The channel of the data.
        channel: u32,
        /// Bytes in the message.
        len: usize,
        /// Bytes that are allowed.
        max: u32,
    },
    /// More data than the window allows.
    DataBeyondWindow {
        /// The channel of the data.
        channel: u32,
        /// Bytes too many.
        over: usize,
    },
    /// A message for a channel that the peer had closed.
    MessageAfterClose {
        /// The channel of the message.
        channel: u32,
        /// The number of the message.
        message: u8,
    },
    /// A message for a channel that the peer had not confirmed.
    MessageBeforeConfirmation {
        /// The channel of the message.
        channel: u32,
        /// The number of the message.
        message: u8,
    },
    /// An answer to an open that is not out.
    OpenReplyNotAsked {
        /// The channel that was answered.
        channel: u32,
    },
    /// A session was opened after `no-more-sessions@openssh.com`.
    SessionAfterNoMoreSessions,
    /// A message for a channel that does not exist.
    UnknownChannel {
        /// The channel of the message.
        channel: u32,
        /// The number of the message.
        message: u8,
    },
    /// A window was raised above 2^32 − 1.
    WindowAboveMaximum {
        /// The channel of the window.
        channel: u32,
    },
    /// A channel with a largest packet of nothing.
    ZeroMaxPacket {
        /// The channel: the peer's number in an open, this side's in a confirmation.
        channel: u32,
    },
}

impl PeerMisbehaved {
    /// Where the rule stands.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        Rule(match self {
            Self::ChannelReplyNotAsked { .. } => "RFC 4254 §5.4",
            Self::DataAfterEof { .. } | Self::MessageAfterClose { .. } => "RFC 4254 §5.3",
            Self::DataBeyondMaxPacket { .. }
            | Self::DataBeyondWindow { .. }
            | Self::WindowAboveMaximum { .. } => "RFC 4254 §5.2",
            Self::MessageBeforeConfirmation { .. }
            | Self::OpenReplyNotAsked { .. }
            | Self::ZeroMaxPacket { .. } => "RFC 4254 §5.1",
            Self::SessionAfterNoMoreSessions => "OpenSSH PROTOCOL §2.2",
            Self::UnknownChannel { .. } => "RFC 4254 §5",
        })
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChannelReplyNotAsked { channel } => {
                write!(f, "reply to no request on channel {channel}")
            }
            Self::DataAfterEof { channel } => write!(f, "data after EOF on channel {channel}"),
            Self::DataBeyondMaxPacket { channel, len, max } => {
                write!(f, "{len} bytes of data in a packet on channel {channel}, {max} allowed")
            }
            Self::DataBeyondWindow { channel, over } => {
                write!(f, "data beyond window on channel {channel}: {over} bytes over")
            }
            Self::MessageAfterClose { channel, message } => {
                write!(f, "message {message} on channel {channel}, which the peer has closed")
            }
            Self::MessageBeforeConfirmation { channel, message } => {
                write!(f, "message {message} on channel {channel}, which is not confirmed")
            }
            Self::OpenReplyNotAsked { channel } => {
                write!(f, "answer to an open of channel {channel}, which is not being opened")
            }
            Self::SessionAfterNoMoreSessions => {
                f.write_str("session opened after the promise to open no more")
            }
            Self::UnknownChannel { channel, message } => {
                write!(f, "message {message} on channel {channel}, which does not exist")
            }
            Self::WindowAboveMaximum { channel } => {
                write!(f, "window of channel {channel} raised above 4294967295 bytes")
            }
            Self::ZeroMaxPacket { channel } => {
                write!(f, "channel {channel} with a maximum packet size of 0")
            }
        }
    }
}

/// What there is too much of: see [`Limits`](crate::Limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// Requests of one channel without an answer.
    PendingReplies {
        /// The channel, by this side's number.
        channel: u32,
        /// How many are allowed.
        limit: usize,
    },
    /// Requests that the application has not fetched.
    QueuedRequests {
        /// How many are allowed.
        limit: usize,
    },
    /// Bytes in requests that the application has not fetched.
    QueuedRequestBytes {
        /// How many are allowed.
        limit: usize,
    },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PendingReplies { channel, limit } => {
                write!(f, "more than {limit} unanswered requests on channel {channel}")
            }
            Self::QueuedRequests { limit } => write!(f, "more than {limit} requests queued"),
            Self::QueuedRequestBytes { limit } => {
                write!(f, "more than {limit} bytes of requests queued")
            }
        }
    }
}

/// A channel was not opened: there are as many as [`Limits::max_channels`](crate::Limits) allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "there is nothing more to say")]
pub struct TooManyChannels {
    /// How many are allowed.
    pub limit: usize,
}

impl fmt::Display for TooManyChannels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no further channel: {} are in use", self.limit)
    }
}

impl core::error::Error for TooManyChannels {}

/// Data was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WriteError {
    /// One of the two sides has closed the channel.
    Closed,
    /// [`Mux::eof`](crate::Mux::eof) was called before.
    EofSent,
    /// The channel was released or never existed.
    UnknownChannel,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the channel is closed",
            Self::EofSent => "the end of the data was announced before",
            Self::UnknownChannel => "there is no such channel",
        })
    }
}

impl core::error::Error for WriteError {}

/// A request was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RequestError {
    /// One of the two sides has closed the channel.
    Closed,
    /// The peer has not confirmed the channel.
    NotOpen,
    /// The channel was released or never existed.
    UnknownChannel,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the channel is closed",
            Self::NotOpen => "the channel is not open yet",
            Self::UnknownChannel => "there is no such channel",
        })
    }
}

impl core::error::Error for RequestError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_error_is_an_audit_finding() {
        let error = Error::from(PeerMisbehaved::DataBeyondWindow { channel: 3, over: 4096 });
        assert_eq!(
            error.to_string(),
            "peer misbehaved: data beyond window on channel 3: 4096 bytes over (RFC 4254 §5.2)"
        );
        assert_eq!(error.fault(), Fault::Peer);
        assert_eq!(error.disconnect(), Some(DisconnectReason::PROTOCOL_ERROR));
    }

    #[test]
    fn errors_can_be_kept_and_passed_around() {
        fn check<E: core::error::Error + Clone + PartialEq + Send + Sync + 'static>() {}
        check::<Error>();
        check::<WriteError>();
        check::<RequestError>();
        check::<TooManyChannels>();
    }
}
