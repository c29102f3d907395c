//! What goes wrong between client and server, apart from requests that fail honestly.

use core::fmt;

use ssh_wire::{DecodeError, DisconnectReason, Fault, Rule};

use crate::{extension::Extension, limits::MAX_HANDLE_LEN, limits::MAX_OUTSTANDING, message};

/// The end of an SFTP session. Requests that fail are not this: they get a
/// [`Status`](crate::Status).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Bytes that are not the packet they claim to be.
    InvalidMessage(DecodeError),
    /// A packet that parses and breaks a rule.
    PeerMisbehaved(PeerMisbehaved),
    /// The server speaks another version of the protocol.
    UnsupportedVersion {
        /// The version that the server chose.
        theirs: u32,
    },
}

/// The rules that a peer broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A `DATA` with more bytes than the `READ` asked for.
    DataLongerThanAsked {
        /// Bytes asked for.
        asked: u32,
        /// Bytes sent.
        got: u32,
    },
    /// A `DATA` without bytes in reply to a `READ` of some; the end of a file is a status.
    EmptyData {
        /// Bytes asked for.
        asked: u32,
    },
    /// A `NAME` without names; the end of a directory is a status.
    EmptyNames {
        /// What was asked.
        operation: &'static str,
    },
    /// A packet without even a type.
    EmptyPacket,
    /// A handle longer than [`MAX_HANDLE_LEN`].
    HandleTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Several names in reply to a request for one.
    MoreThanOneName {
        /// What was asked.
        operation: &'static str,
        /// How many names came.
        count: u32,
    },
    /// The status "OK" in reply to a request that has a result.
    OkWithoutResult {
        /// What was asked.
        operation: &'static str,
    },
    /// A packet longer than [`MAX_PACKET`](crate::limits::MAX_PACKET).
    PacketTooLong {
        /// Its length in bytes, as announced.
        length: u32,
    },
    /// A reply before `VERSION`.
    ReplyBeforeVersion {
        /// The packet that came.
        reply: &'static str,
    },
    /// A request before `INIT`.
    RequestBeforeInit {
        /// The type of the packet that came.
        number: u8,
    },
    /// `VERSION` where none was asked for.
    SecondVersion,
    /// A reply of a kind that the request cannot have.
    UnexpectedReply {
        /// What was asked.
        operation: &'static str,
        /// The packet that came.
        reply: &'static str,
    },
    /// A reply to a request that was never made or has its reply already.
    UnknownId {
        /// The id in the reply.
        id: u32,
        /// The packet that came.
        reply: &'static str,
    },
    /// Another number of names of users or groups than was asked for.
    WrongNumberOfNames {
        /// How many were asked for.
        asked: usize,
        /// How many came; of more than were asked for, one more is counted.
        got: usize,
    },
}

impl PeerMisbehaved {
    /// The rule that was broken.
    #[must_use]
    pub const fn rule(self) -> Rule {
        Rule(match self {
            Self::EmptyPacket | Self::PacketTooLong { .. } | Self::UnknownId { .. } => {
                "filexfer-02 §3"
            }
            Self::ReplyBeforeVersion { .. }
            | Self::RequestBeforeInit { .. }
            | Self::SecondVersion => "filexfer-02 §4",
            Self::HandleTooLong { .. } => "filexfer-02 §6.3",
            Self::DataLongerThanAsked { .. } | Self::EmptyData { .. } => "filexfer-02 §6.4",
            Self::EmptyNames { .. }
            | Self::MoreThanOneName { .. }
            | Self::OkWithoutResult { .. }
            | Self::UnexpectedReply { .. } => "filexfer-02 §7",
            Self::WrongNumberOfNames { .. } => "OpenSSH PROTOCOL §4.11",
        })
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataLongerThanAsked { asked, got } => {
                write!(f, "the server sent {got} bytes where {asked} were asked for")
            }
            Self::EmptyData { asked } => {
                write!(
                    f,
                    "the server sent no data and no end of file where {asked} bytes were asked for"
                )
            }
            Self::EmptyNames { operation } => {
                write!(f, "the server answered {operation} with an empty list of names")
            }
            Self::EmptyPacket => f.write_str("a packet without a type"),
            Self::HandleTooLong { len } => {
                write!(
                    f,
                    "the server sent a handle of {len} bytes, at most {MAX_HANDLE_LEN} are allowed"
                )
            }
            Self::MoreThanOneName { operation, count } => {
                write!(f, "the server answered {operation} with {count} names, one was asked for")
            }
            Self::OkWithoutResult { operation } => {
                write!(f, "the server answered {operation} with the status OK and no result")
            }
            Self::PacketTooLong { length } => {
                write!(
                    f,
                    "a packet of {length} bytes, at most {} are allowed",
                    crate::limits::MAX_PACKET
                )
            }
            Self::ReplyBeforeVersion { reply } => {
                write!(f, "the server sent {reply} where VERSION belongs")
            }
            Self::RequestBeforeInit { number } => {
                write!(f, "the client sent a packet of type {number} where INIT belongs")
            }
            Self::SecondVersion => f.write_str("the server sent VERSION a second time"),
            Self::UnexpectedReply { operation, reply } => {
                write!(f, "the server answered {operation} with {reply}")
            }
            Self::UnknownId { id, reply } => {
                write!(f, "the server sent {reply} for id {id}, which waits for nothing")
            }
            Self::WrongNumberOfNames { asked, got } if got > asked => {
                write!(
                    f,
                    "the server sent more names of users or groups than the {asked} asked for"
                )
            }
            Self::WrongNumberOfNames { asked, got } => {
                write!(f, "the server sent {got} names of users or groups, {asked} were asked for")
            }
        }
    }
}

impl core::error::Error for PeerMisbehaved {}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InvalidMessage(_) | Self::PeerMisbehaved(_) => Fault::Peer,
            Self::UnsupportedVersion { .. } => Fault::Policy,
        }
    }

    /// The rule that was broken.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::InvalidMessage(_) => Some(Rule("filexfer-02 §3")),
            Self::PeerMisbehaved(how) => Some(how.rule()),
            Self::UnsupportedVersion { .. } => Some(Rule("filexfer-02 §4")),
        }
    }

    /// Always `None`: a broken SFTP session ends its channel, the connection goes on.
    #[must_use]
    pub const fn disconnect(&self) -> Option<DisconnectReason> {
        None
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidMessage(error) => write!(f, "invalid SFTP packet: {error}"),
            Self::PeerMisbehaved(how) => write!(f, "SFTP: {how}"),
            Self::UnsupportedVersion { theirs } => write!(
                f,
                "the server speaks version {theirs} of SFTP, version {} is needed",
                message::VERSION
            ),
        }
    }
}

impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::InvalidMessage(error) => Some(error),
            Self::PeerMisbehaved(how) => Some(how),
            Self::UnsupportedVersion { .. } => None,
        }
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::InvalidMessage(error)
    }
}

impl From<PeerMisbehaved> for Error {
    fn from(how: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(how)
    }
}

/// Why a client did not send a request. Nothing was written, and the session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// [`Client::start`](crate::client::Client::start) was not called.
    NotStarted,
    /// The server did not offer the extension, or has not yet answered `INIT`.
    NotOffered(Extension),
    /// [`MAX_OUTSTANDING`] requests wait for their replies, or their replies wait to be taken.
    TooManyOutstanding,
    /// The packet would be longer than the server accepts.
    TooLong {
        /// Bytes of the packet.
        len: usize,
        /// The most that the server accepts.
        limit: u32,
    },
}

impl RequestError {
    /// Always this program: nothing was sent.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotOffered(_) => Fault::Policy,
            Self::NotStarted | Self::TooManyOutstanding | Self::TooLong { .. } => Fault::Local,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => f.write_str("the SFTP session has not been started"),
            Self::NotOffered(extension) => {
                write!(f, "the server does not offer {}", extension.name())
            }
            Self::TooManyOutstanding => {
                write!(f, "{MAX_OUTSTANDING} SFTP requests are waiting already")
            }
            Self::TooLong { len, limit } => {
                write!(f, "a request of {len} bytes, the server accepts {limit}")
            }
        }
    }
}

impl core::error::Error for RequestError {}
