//! What happens on a server, for its log.

use core::fmt;
use std::net::SocketAddr;

use crate::error::Error;
use ssh_auth::server::Credential;
use ssh_keys::Fingerprint;

/// Something that happened on a server. Printed, it is a line of a log without secrets.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A client has connected.
    Connected {
        /// The address of the client.
        peer: SocketAddr,
    },
    /// A client was turned away at the door, because there are too many.
    TurnedAway {
        /// The address of the client.
        peer: SocketAddr,
    },
    /// A client was not let in with what it showed. It may try again.
    Refused {
        /// The address of the client.
        peer: SocketAddr,
        /// The user it wants to be.
        user: String,
        /// What it showed.
        proof: Proof,
    },
    /// A client was let in.
    LoggedIn {
        /// The address of the client.
        peer: SocketAddr,
        /// The user.
        user: String,
        /// What it showed.
        proof: Proof,
    },
    /// The connection has ended.
    Ended {
        /// The address of the client.
        peer: SocketAddr,
        /// Why.
        cause: Error,
    },
}

/// What a client showed to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// Nothing.
    None,
    /// A password.
    Password,
    /// A key.
    Key(Fingerprint),
}

impl Proof {
    pub(super) fn of(credential: &Credential) -> Self {
        match credential {
            Credential::Key { key, .. } => Self::Key(key.fingerprint()),
            Credential::Password(_) | Credential::PasswordChange { .. } => Self::Password,
            _ => Self::None,
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Password => f.write_str("a password"),
            Self::Key(fingerprint) => write!(f, "the key {fingerprint}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { peer } => write!(f, "{peer}: connected"),
            Self::TurnedAway { peer } => write!(f, "{peer}: turned away, too many connections"),
            Self::Refused { peer, user, proof } => {
                let user = user.escape_debug();
                write!(f, "{peer}: refused \"{user}\" with {proof}")
            }
            Self::LoggedIn { peer, user, proof } => {
                let user = user.escape_debug();
                write!(f, "{peer}: \"{user}\" has logged in with {proof}")
            }
            // A client may say good-bye in several lines; the log has one for each event.
            Self::Ended { peer, cause } => {
                write!(f, "{peer}: ended: {}", cause.to_string().replace('\n', "\\n"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Disconnect, Phase};
    use ssh_wire::{DisconnectReason, PeerText};

    #[test]
    fn a_client_cannot_add_lines_to_the_log() {
        let goodbye = Disconnect {
            reason: DisconnectReason::BY_APPLICATION,
            text: PeerText::from("x\r\n10.0.0.1:22: \"root\" has logged in with a password"),
            phase: Phase::Authentication,
        };
        let peer = SocketAddr::from(([127, 0, 0, 1], 9));
        let event = Event::Ended { peer, cause: Error::Disconnected(Box::new(goodbye)) };
        assert!(event.to_string().contains("x\\u{d}\\n10.0.0.1"), "{event}");
        let event = Event::Refused { peer, user: "a\nb".into(), proof: Proof::None };
        assert_eq!(event.to_string().lines().count(), 1, "{event}");
    }
}
