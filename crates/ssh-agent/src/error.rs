//! What goes wrong between an agent and its clients.

use core::fmt;

use ssh_keys::PrivateKeyError;
use ssh_wire::DecodeError;

/// Why a client has no answer of use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentError {
    /// Bytes that do not parse as the message they claim to be.
    InvalidMessage(DecodeError),
    /// A message of no bytes, or of more than [`MAX_MESSAGE`](crate::limits::MAX_MESSAGE).
    Length {
        /// The length it says to have.
        len: u32,
    },
    /// The agent refused (RFC 9987 §5.1). It never says why: the key is not there or not to be
    /// used here, the agent is locked, somebody did not agree, or it cannot do this at all.
    Refused,
    /// The agent knows the extension, and it failed (RFC 9987 §5.8).
    ExtensionFailed,
    /// An answer to another question.
    UnexpectedReply {
        /// The number of the message.
        number: u8,
    },
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidMessage(error) => write!(f, "the agent's answer is damaged: {error}"),
            Self::Length { len } => write!(
                f,
                "a message of {len} bytes; those of agents have 1 to {} bytes",
                crate::limits::MAX_MESSAGE
            ),
            Self::Refused => f.write_str("the agent refused"),
            Self::ExtensionFailed => f.write_str("the agent knows the extension, but it failed"),
            Self::UnexpectedReply { number } => {
                write!(f, "the agent answered with message {number}, which fits no such request")
            }
        }
    }
}

impl core::error::Error for AgentError {}

impl From<DecodeError> for AgentError {
    fn from(error: DecodeError) -> Self {
        Self::InvalidMessage(error)
    }
}

/// Why the constraints of a key, or the key itself, are not taken (RFC 9987 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConstraintError {
    /// Bytes that do not parse.
    Malformed(DecodeError),
    /// A constraint that is not known here. RFC 9987 §5.2.7: the key must be refused.
    Unknown {
        /// The number of its type.
        number: u8,
    },
    /// A constraint extension that is not known here.
    UnknownExtension,
    /// A constraint that comes twice.
    Repeated,
    /// A hop of a destination that says nothing, or too much: where the rules of OpenSSH's
    /// `PROTOCOL.agent` are not kept.
    Hop,
    /// The private key itself.
    Key(PrivateKeyError),
}

impl From<DecodeError> for ConstraintError {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl fmt::Display for ConstraintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::Unknown { number } => write!(f, "a key constraint {number} is not known"),
            Self::UnknownExtension => f.write_str("a key constraint extension is not known"),
            Self::Repeated => f.write_str("a key constraint comes twice"),
            Self::Hop => f.write_str("a hop of a destination constraint is not well-formed"),
            Self::Key(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for ConstraintError {}
