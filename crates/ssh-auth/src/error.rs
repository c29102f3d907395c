//! Why authentication cannot go on, and whose fault that is.

use core::fmt;

use ssh_wire::{DecodeError, DisconnectReason, Fault, PeerText, Rule};

use crate::method::Method;

/// The end of authentication by an error. A refused password is not one: see
/// [`AuthEvent::Failed`](crate::client::AuthEvent::Failed).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuthError {
    /// Bytes that do not parse as the message they claim to be.
    InvalidMessage(DecodeError),
    /// A message that parses, and that must not come here.
    PeerMisbehaved(PeerMisbehaved),
    /// Server: the client asked for a service that does not exist, or not yet.
    ServiceNotAvailable {
        /// The service's name.
        service: PeerText,
    },
    /// Server: a user name that is too long or holds control characters.
    IllegalUserName,
    /// Server: the client has failed as often as it may.
    TooManyFailures {
        /// How often it may.
        limit: u32,
    },
    /// The peer wants more held or done than a limit allows.
    LimitExceeded(Limit),
}

/// What a peer did that it must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// Server: the client asks before the service `ssh-userauth` has started.
    AuthBeforeService {
        /// The number of its message.
        number: u8,
    },
    /// Client: the server answers before it has accepted the service.
    BeforeServiceAccept {
        /// The number of its message.
        number: u8,
    },
    /// A message of authentication after its end.
    MessageAfterSuccess {
        /// The number of the message.
        number: u8,
    },
    /// Client: a message of a method (60 to 79) that the method in flight does not have.
    MethodMessageOutOfPlace {
        /// The number of the message.
        number: u8,
        /// The method in flight.
        method: Option<Method>,
    },
    /// Client: the server accepts another key or algorithm than the one asked about.
    OtherKeyAccepted,
    /// Client: the server accepts another service than the one asked for.
    OtherServiceAccepted {
        /// The service it named.
        service: PeerText,
    },
    /// Client: "success", whole or partial, in answer to the question whether a key would do.
    QuestionAnsweredBySuccess {
        /// True if only partial.
        partial: bool,
    },
    /// Client: an answer while no request is out.
    ReplyWithoutRequest {
        /// The number of the message.
        number: u8,
    },
    /// Client: the service was accepted before.
    ServiceAcceptedTwice,
    /// Server: the client changed the service in the middle.
    ServiceChanged,
    /// A number that the peer's role must not send, or that nobody has assigned.
    UnexpectedMessage {
        /// The number of the message.
        number: u8,
    },
    /// Server: the client changed the user in the middle.
    UserChanged,
}

/// A limit of this layer: see [`limits`](crate::limits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// [`MAX_BANNERS`](crate::limits::MAX_BANNERS).
    Banners,
    /// [`MAX_BANNER_BYTES`](crate::limits::MAX_BANNER_BYTES).
    BannerBytes,
    /// [`MAX_METHODS`](crate::limits::MAX_METHODS).
    Methods,
    /// [`MAX_PIPELINED`](crate::limits::MAX_PIPELINED) and
    /// [`MAX_PIPELINED_BYTES`](crate::limits::MAX_PIPELINED_BYTES).
    Pipelined,
    /// Server: [`max_requests`](crate::server::Limits::max_requests).
    Requests,
}

impl AuthError {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InvalidMessage(_) | Self::PeerMisbehaved(_) => Fault::Peer,
            Self::ServiceNotAvailable { .. }
            | Self::IllegalUserName
            | Self::TooManyFailures { .. }
            | Self::LimitExceeded(_) => Fault::Policy,
        }
    }

    /// The rule that the peer broke, if it broke one.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::InvalidMessage(_) => Some(Rule("RFC 4251 §5")),
            Self::PeerMisbehaved(what) => Some(what.rule()),
            Self::ServiceNotAvailable { .. } => Some(Rule("RFC 4253 §10")),
            Self::TooManyFailures { .. } => Some(Rule("RFC 4252 §4")),
            Self::IllegalUserName | Self::LimitExceeded(_) => None,
        }
    }

    /// What to tell the peer.
    #[must_use]
    pub const fn disconnect(&self) -> Option<DisconnectReason> {
        Some(match self {
            Self::InvalidMessage(_) | Self::PeerMisbehaved(_) | Self::LimitExceeded(_) => {
                DisconnectReason::PROTOCOL_ERROR
            }
            Self::ServiceNotAvailable { .. } => DisconnectReason::SERVICE_NOT_AVAILABLE,
            Self::IllegalUserName => DisconnectReason::ILLEGAL_USER_NAME,
            Self::TooManyFailures { .. } => DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE,
        })
    }
}

impl PeerMisbehaved {
    /// The rule that was broken.
    #[must_use]
    pub const fn rule(&self) -> Rule {
        Rule(match self {
            Self::AuthBeforeService { .. }
            | Self::BeforeServiceAccept { .. }
            | Self::OtherServiceAccepted { .. }
            | Self::ServiceAcceptedTwice => "RFC 4253 §10",
            Self::MessageAfterSuccess { .. } => "RFC 4252 §5.3",
            Self::MethodMessageOutOfPlace { .. } | Self::UnexpectedMessage { .. } => "RFC 4252 §6",
            Self::OtherKeyAccepted | Self::QuestionAnsweredBySuccess { .. } => "RFC 4252 §7",
            Self::ReplyWithoutRequest { .. } => "RFC 4252 §5.1",
            Self::ServiceChanged | Self::UserChanged => "RFC 4252 §5",
        })
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidMessage(error) => write!(f, "invalid message: {error}"),
            Self::PeerMisbehaved(what) => write!(f, "peer misbehaved: {what} ({})", what.rule()),
            Self::ServiceNotAvailable { service } => {
                write!(f, "the client asked for the service \"{service}\", which is not available")
            }
            Self::IllegalUserName => {
                f.write_str("the user name is too long or holds control characters")
            }
            Self::TooManyFailures { limit } => {
                write!(f, "too many authentication failures (at most {limit})")
            }
            Self::LimitExceeded(limit) => write!(f, "limit exceeded: {limit}"),
        }
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AuthBeforeService { number } => {
                write!(f, "message {number} before the service ssh-userauth was asked for")
            }
            Self::BeforeServiceAccept { number } => {
                write!(f, "message {number} before the service ssh-userauth was accepted")
            }
            Self::MessageAfterSuccess { number } => {
                write!(f, "message {number} after authentication had succeeded")
            }
            Self::MethodMessageOutOfPlace { number, method: Some(method) } => {
                write!(f, "message {number}, which the method {method} does not expect now")
            }
            Self::MethodMessageOutOfPlace { number, method: None } => {
                write!(f, "message {number} of a method while no request is out")
            }
            Self::OtherKeyAccepted => {
                f.write_str("a key or algorithm was accepted that was not asked about")
            }
            Self::OtherServiceAccepted { service } => {
                write!(f, "the service \"{service}\" was accepted, ssh-userauth was asked for")
            }
            Self::QuestionAnsweredBySuccess { partial } => {
                let partial = if *partial { "partial " } else { "" };
                write!(f, "{partial}success for a key that has signed nothing")
            }
            Self::ReplyWithoutRequest { number } => {
                write!(f, "message {number} answers a request, and none is out")
            }
            Self::ServiceAcceptedTwice => f.write_str("the service was accepted twice"),
            Self::ServiceChanged => f.write_str("the service changed between two requests"),
            Self::UnexpectedMessage { number } => {
                write!(f, "message {number} has no place in authentication")
            }
            Self::UserChanged => f.write_str("the user changed between two requests"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Banners => "too many banners",
            Self::BannerBytes => "the banners are too long",
            Self::Methods => "too many names in the list of methods",
            Self::Pipelined => "too many requests sent ahead",
            Self::Requests => "too many requests",
        })
    }
}

impl core::error::Error for AuthError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::InvalidMessage(error) => Some(error),
            _ => None,
        }
    }
}

impl From<DecodeError> for AuthError {
    fn from(error: DecodeError) -> Self {
        Self::InvalidMessage(error)
    }
}

impl From<PeerMisbehaved> for AuthError {
    fn from(what: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString};

    #[test]
    fn errors_are_small_and_can_cross_threads() {
        fn check<T: Clone + Send + Sync + 'static + core::error::Error>() {}
        check::<AuthError>();
        assert!(size_of::<AuthError>() <= 64, "{}", size_of::<AuthError>());
    }

    #[test]
    fn text_of_the_peer_cannot_steer_a_terminal() {
        let error = AuthError::ServiceNotAvailable { service: PeerText::from("\x1b[2J") };
        assert!(!error.to_string().contains('\x1b'));
    }

    #[test]
    fn an_error_names_the_rule() {
        let error = AuthError::from(PeerMisbehaved::ReplyWithoutRequest { number: 52 });
        assert_eq!(
            format!("{error}"),
            "peer misbehaved: message 52 answers a request, and none is out (RFC 4252 §5.1)"
        );
        assert_eq!(error.fault(), Fault::Peer);
        assert_eq!(error.disconnect(), Some(DisconnectReason::PROTOCOL_ERROR));
    }
}
