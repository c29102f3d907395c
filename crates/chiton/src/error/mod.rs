//! Everything that can go wrong, sorted by whose fault it is.

mod host_key;
mod sftp;

pub use self::{
    host_key::{HostKeyError, HostKeyReason},
    sftp::{SftpError, SftpErrorKind},
};

use core::fmt;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use ssh_auth::AuthRecord;
use ssh_keys::PrivateKeyError;
use ssh_wire::{DisconnectReason, Fault, Layer, PeerText, Rule};

/// Why something did not work.
///
/// An error is cheap to clone: a connection that ends gives the same one to every operation that
/// was pending. [`Error::fault`] tells who has to change something, [`Error::rule`] which sentence
/// of a specification the peer broke, if it did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The host name has no address.
    Resolve(Arc<ConnectError>),
    /// No address of the host accepted a TCP connection.
    Connect(Arc<ConnectError>),
    /// It took too long.
    TimedOut(Phase, Duration),
    /// The peer ended the connection with a DISCONNECT message.
    Disconnected(Box<Disconnect>),
    /// The TCP connection ended without a good-bye, in this phase.
    ConnectionLost(Phase, Option<Arc<io::Error>>),
    /// The server closed the connection without identifying itself, and gave this reason.
    TurnedAway(PeerText),
    /// The connection was closed from this side.
    Closed,
    /// The transport layer gave up.
    Transport(Box<ssh_transport::Error>),
    /// The peer broke the authentication protocol.
    AuthProtocol(Box<ssh_auth::AuthError>),
    /// An authentication request could not be made.
    AuthRequest(Box<ssh_auth::client::RequestError>),
    /// The peer broke the connection protocol.
    Connection(Box<ssh_connection::Error>),
    /// The peer broke a rule that no single layer can see.
    PeerMisbehaved(PeerMisbehaved),
    /// The host's key is not one that the policy accepts.
    HostKey(Box<HostKeyError>),
    /// The server let nobody in with what was offered.
    Auth(Box<AuthFailure>),
    /// A channel could not be opened or used.
    Channel(Box<ChannelError>),
    /// A command ended with something else than success ([`crate::Output::ok`]).
    CommandFailed(Box<CommandFailed>),
    /// An SFTP operation failed.
    Sftp(Box<SftpError>),
    /// A local file could not be used.
    LocalFile(Arc<LocalFileError>),
    /// A key file could not be used.
    KeyFile(Arc<KeyFileError>),
    /// An agent is of no help.
    #[cfg(feature = "tokio")]
    Agent(Arc<crate::agent::AgentError>),
    /// An address `[user@]host[:port]` that cannot be understood.
    Destination(Box<str>),
    /// The call cannot work: wrong order, wrong argument. The text says what to do.
    ApiMisuse(&'static str),
}

/// How far a connection had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Looking up the address of the host.
    Resolving,
    /// Opening the TCP connection.
    Connecting,
    /// Identification and key exchange.
    KeyExchange,
    /// Waiting for the answer to whether the host key is trusted.
    HostKey,
    /// Authentication.
    Authentication,
    /// The connection was up.
    Connected,
}

/// A host that cannot be reached.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectError {
    /// Host and port as they were asked for.
    pub to: String,
    /// What the operating system says, of the last address tried.
    pub source: io::Error,
}

/// The peer's good-bye (RFC 4253 §11.1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Disconnect {
    /// The reason code.
    pub reason: DisconnectReason,
    /// The description.
    pub text: PeerText,
    /// How far the connection had come.
    pub phase: Phase,
}

/// Rules above a single layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A message of a protocol that is not spoken yet, or no longer.
    WrongPhase {
        /// The message number.
        number: u8,
        /// The layer that owns it.
        layer: Layer,
    },
}

/// Nothing that was offered let the user in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AuthFailure {
    /// The user name.
    pub user: String,
    /// What was to be tried, in order.
    pub plan: Vec<String>,
    /// What was tried and how the server answered.
    pub record: AuthRecord,
    /// The methods that the server would still accept.
    pub remaining: Vec<String>,
    /// Why something could not even be tried, such as a key file that is not there; the first.
    pub unusable: Option<Error>,
}

/// Why a channel could not be opened or used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ChannelError {
    /// The peer refused to open it.
    OpenRefused {
        /// The reason code of RFC 4254 §5.1.
        reason: u32,
        /// The peer's words.
        text: PeerText,
    },
    /// The peer refused a request on it.
    RequestRefused(&'static str),
    /// It was closed while it was still in use.
    Closed,
    /// There are as many channels open as the limits allow.
    TooMany(usize),
    /// A command wrote more to one of its streams than was to be collected.
    OutputTooLong(usize),
}

/// A command that did not end with status 0.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CommandFailed {
    /// How it ended.
    pub status: crate::ExitStatus,
    /// The last bytes of what it wrote to its standard error.
    pub stderr: PeerText,
}

/// A local file that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct LocalFileError {
    /// What was to be done, as a verb: `open`, `write`, …
    pub operation: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the operating system says.
    pub source: io::Error,
}

/// A key file that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub kind: PrivateKeyError,
}

impl Error {
    /// Who has to change something for this to go away.
    #[must_use]
    pub fn fault(&self) -> Fault {
        match self {
            Self::Transport(error) => error.fault(),
            Self::AuthProtocol(error) => error.fault(),
            Self::Connection(error) => error.fault(),
            Self::PeerMisbehaved(_) => Fault::Peer,
            Self::Resolve(_) | Self::Connect(_) | Self::TimedOut(..) | Self::ConnectionLost(..) => {
                Fault::Network
            }
            Self::Disconnected(_)
            | Self::TurnedAway(_)
            | Self::HostKey(_)
            | Self::Auth(_)
            | Self::Channel(_)
            | Self::CommandFailed(_) => Fault::Policy,
            Self::Sftp(error) => error.kind.fault(),
            #[cfg(feature = "tokio")]
            Self::Agent(error) if error.is_refusal() => Fault::Policy,
            #[cfg(feature = "tokio")]
            Self::Agent(_) => Fault::Local,
            Self::Closed
            | Self::AuthRequest(_)
            | Self::LocalFile(_)
            | Self::KeyFile(_)
            | Self::Destination(_)
            | Self::ApiMisuse(_) => Fault::Local,
        }
    }

    /// The rule that the peer broke, where it broke one.
    #[must_use]
    pub fn rule(&self) -> Option<Rule> {
        match self {
            Self::Transport(error) => error.rule(),
            Self::AuthProtocol(error) => error.rule(),
            Self::Connection(error) => error.rule(),
            Self::PeerMisbehaved(PeerMisbehaved::WrongPhase { layer, .. }) => Some(match layer {
                Layer::Auth => Rule("RFC 4252 §6"),
                _ => Rule("RFC 4252 §6 and RFC 4253 §7.1"),
            }),
            Self::Sftp(error) => error.kind.rule(),
            _ => None,
        }
    }

    /// The reason code to say good-bye with, where the protocol has one for this.
    #[must_use]
    pub fn disconnect(&self) -> Option<DisconnectReason> {
        match self {
            Self::Transport(error) => error.disconnect(),
            Self::AuthProtocol(error) => error.disconnect(),
            Self::Connection(error) => error.disconnect(),
            Self::PeerMisbehaved(_) => Some(DisconnectReason::PROTOCOL_ERROR),
            Self::HostKey(_) => Some(DisconnectReason::HOST_KEY_NOT_VERIFIABLE),
            Self::Auth(_) => Some(DisconnectReason::NO_MORE_AUTH_METHODS_AVAILABLE),
            _ => None,
        }
    }

    /// The SFTP status code of the server, where the error is one.
    #[must_use]
    pub fn sftp_status(&self) -> Option<::sftp::StatusCode> {
        match self {
            Self::Sftp(error) => error.kind.status(),
            _ => None,
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn local(
        operation: &'static str,
        path: impl Into<PathBuf>,
        source: io::Error,
    ) -> Self {
        Self::LocalFile(Arc::new(LocalFileError { operation, path: path.into(), source }))
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolving => "looking up the host name",
            Self::Connecting => "opening the TCP connection",
            Self::KeyExchange => "key exchange",
            Self::HostKey => "checking the host key",
            Self::Authentication => "authentication",
            Self::Connected => "the session",
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resolve(error) => {
                write!(f, "cannot find the host {}: {}", error.to, error.source)
            }
            Self::Connect(error) => {
                write!(f, "cannot connect to {}: {}", error.to, error.source)?;
                match error.source.kind() {
                    io::ErrorKind::ConnectionRefused => {
                        f.write_str("; is a server running there, and is the port right?")
                    }
                    _ => Ok(()),
                }
            }
            Self::TimedOut(phase, after) => {
                write!(f, "timed out during {phase}, after {:.1} s", after.as_secs_f64())
            }
            Self::Disconnected(d) => {
                write!(f, "the peer disconnected during {}: {}", d.phase, d.reason)?;
                if d.text.is_empty() { Ok(()) } else { write!(f, " ({})", d.text) }
            }
            Self::ConnectionLost(phase, None) => {
                write!(f, "the peer closed the connection during {phase}")
            }
            Self::ConnectionLost(phase, Some(error)) => {
                write!(f, "the connection was lost during {phase}: {error}")
            }
            Self::TurnedAway(line) => {
                write!(f, "the server does not want to talk; it said: {}", line.to_string().trim())
            }
            Self::Closed => f.write_str("the connection was closed from this side"),
            Self::Transport(error) => error.fmt(f),
            Self::AuthProtocol(error) => error.fmt(f),
            Self::AuthRequest(error) => error.fmt(f),
            Self::Connection(error) => error.fmt(f),
            Self::PeerMisbehaved(PeerMisbehaved::WrongPhase { number, layer }) => write!(
                f,
                "the peer misbehaved: message {number} of the {} while that protocol is not \
                 spoken (RFC 4252 §6)",
                match layer {
                    Layer::Transport => "transport layer",
                    Layer::Auth => "authentication protocol",
                    _ => "connection protocol",
                }
            ),
            Self::HostKey(error) => error.fmt(f),
            Self::Auth(failure) => failure.fmt(f),
            Self::Channel(error) => error.fmt(f),
            Self::CommandFailed(failed) => {
                write!(f, "the command failed: {}", failed.status)?;
                if failed.stderr.is_empty() { Ok(()) } else { write!(f, ": {}", failed.stderr) }
            }
            Self::Sftp(error) => error.fmt(f),
            Self::LocalFile(error) => error.fmt(f),
            Self::KeyFile(error) => {
                write!(f, "key file {}: {}", shown(&error.path), error.kind)?;
                match error.kind {
                    PrivateKeyError::Encrypted => f.write_str("; Auth::key_file_asking takes one"),
                    _ => Ok(()),
                }
            }
            #[cfg(feature = "tokio")]
            Self::Agent(error) => error.fmt(f),
            Self::Destination(text) => {
                write!(f, "`{text}` is not of the form [user@]host[:port]")
            }
            Self::ApiMisuse(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for LocalFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}: {}", self.operation, shown(&self.path), self.source)?;
        if self.source.kind() == io::ErrorKind::NotFound && self.path.starts_with("~") {
            f.write_str("; only shells know what ~ is: write the path in full")?;
        }
        Ok(())
    }
}

/// A local path as it may be shown: what a server has listed may have become a part of it.
fn shown(path: &Path) -> PeerText {
    PeerText::from_bytes(path.as_os_str().as_encoded_bytes())
}

impl fmt::Display for AuthFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "authentication as {} failed", ssh_wire::escape(&self.user))?;
        if self.record.attempts.is_empty() {
            f.write_str(": nothing was tried")?;
        }
        for (i, attempt) in self.record.attempts.iter().enumerate() {
            write!(f, "{} {attempt}", if i == 0 { ":" } else { ";" })?;
        }
        if !self.remaining.is_empty() {
            write!(f, ". The server accepts: {}", ssh_wire::escape(&self.remaining.join(", ")))?;
        }
        if let Some(error) = &self.unusable {
            write!(f, ". Not tried: {error}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ChannelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenRefused { reason, text } => {
                let name = match reason {
                    1 => "administratively prohibited",
                    2 => "connect failed",
                    3 => "unknown channel type",
                    4 => "resource shortage",
                    _ => "no known reason",
                };
                write!(f, "the peer refused to open a channel: {name} ({reason}): {text}")
            }
            Self::RequestRefused(what) => write!(f, "the peer refused the request `{what}`"),
            Self::Closed => f.write_str("the channel is closed"),
            Self::TooMany(limit) => {
                write!(f, "{limit} channels are open, which is the limit (Limits::max_channels)")
            }
            Self::OutputTooLong(limit) => {
                write!(f, "the command wrote more than {limit} bytes (Command::max_output); ")?;
                f.write_str("read its streams instead of collecting them")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Resolve(error) | Self::Connect(error) => Some(&error.source),
            Self::ConnectionLost(_, Some(error)) => Some(&**error),
            Self::LocalFile(error) => Some(&error.source),
            Self::KeyFile(error) => Some(&error.kind),
            #[cfg(feature = "tokio")]
            Self::Agent(error) => core::error::Error::source(&**error),
            _ => None,
        }
    }
}

impl From<ssh_transport::Error> for Error {
    fn from(error: ssh_transport::Error) -> Self {
        Self::Transport(Box::new(error))
    }
}

impl From<ssh_auth::AuthError> for Error {
    fn from(error: ssh_auth::AuthError) -> Self {
        Self::AuthProtocol(Box::new(error))
    }
}

impl From<ssh_connection::Error> for Error {
    fn from(error: ssh_connection::Error) -> Self {
        Self::Connection(Box::new(error))
    }
}

impl From<LocalFileError> for Error {
    fn from(error: LocalFileError) -> Self {
        Self::LocalFile(Arc::new(error))
    }
}

impl From<ChannelError> for Error {
    fn from(error: ChannelError) -> Self {
        Self::Channel(Box::new(error))
    }
}

/// For `AsyncRead` and `AsyncWrite`, which know no other error.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::TimedOut(..) => io::ErrorKind::TimedOut,
            Error::ConnectionLost(..) | Error::Disconnected(_) => io::ErrorKind::ConnectionReset,
            Error::Closed | Error::Channel(_) => io::ErrorKind::BrokenPipe,
            Error::Sftp(sftp) => match sftp.kind.status() {
                Some(::sftp::StatusCode::NoSuchFile) => io::ErrorKind::NotFound,
                Some(::sftp::StatusCode::PermissionDenied) => io::ErrorKind::PermissionDenied,
                Some(::sftp::StatusCode::OpUnsupported) => io::ErrorKind::Unsupported,
                _ => io::ErrorKind::Other,
            },
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_keys::Fingerprint;

    #[test]
    fn an_error_is_small_and_can_cross_threads() {
        fn ordinary<T: Clone + Send + Sync + 'static>() {}
        ordinary::<Error>();
        assert!(size_of::<Error>() <= 48, "{}", size_of::<Error>());
    }

    #[test]
    fn a_local_path_cannot_steer_the_terminal() {
        // The last part of it was the server's choice.
        let path = PathBuf::from("downloads/a\u{1b}]0;x\u{7}");
        let error = Error::local("create", path, io::ErrorKind::PermissionDenied.into());
        assert!(error.to_string().contains("downloads/a\\u{1b}]0;x\\u{7}"), "{error}");
    }

    #[test]
    fn what_people_do_first_is_answered_with_what_to_do() {
        let missing =
            |path: &str| Error::local("open", path, io::ErrorKind::NotFound.into()).to_string();
        assert!(missing("~/.ssh/id_ed25519").ends_with("write the path in full"));
        assert!(!missing("/home/alice/~").contains("shells"));
        let refused = io::ErrorKind::ConnectionRefused.into();
        let refused = ConnectError { to: "h port 22".into(), source: refused };
        let text = Error::Connect(Arc::new(refused)).to_string();
        assert!(text.ends_with("is the port right?"), "{text}");
        let locked = KeyFileError { path: "k".into(), kind: PrivateKeyError::Encrypted };
        let text = Error::KeyFile(Arc::new(locked)).to_string();
        assert!(text.contains("key_file_asking"), "{text}");
    }

    #[test]
    fn what_interrupted_a_transfer_says_whose_fault_it_is() {
        let full = LocalFileError {
            operation: "write",
            path: "here".into(),
            source: io::ErrorKind::StorageFull.into(),
        };
        let cause = Box::new(SftpErrorKind::from(full));
        let kind = SftpErrorKind::Interrupted { confirmed: 7, cause };
        let error = Error::Sftp(Box::new(SftpError { operation: "get", path: Vec::new(), kind }));
        assert_eq!(error.fault(), Fault::Local);
    }

    #[test]
    fn what_an_sftp_server_broke_is_named() {
        let kind = SftpErrorKind::Protocol(::sftp::PeerMisbehaved::SecondVersion.into());
        let cause = Box::new(kind);
        let kind = SftpErrorKind::Interrupted { confirmed: 0, cause };
        let error = Error::Sftp(Box::new(SftpError { operation: "get", path: Vec::new(), kind }));
        assert_eq!(error.rule(), Some(Rule("filexfer-02 §4")));
    }

    #[test]
    fn a_changed_host_key_is_told_with_the_place_where_the_old_one_stands() {
        let error = Error::HostKey(Box::new(HostKeyError {
            host: "[h]:2222".into(),
            key_type: "ssh-ed25519",
            fingerprint: Fingerprint::of_blob(b"blob"),
            reason: HostKeyReason::Changed { known: vec!["/k:3".into()] },
        }));
        let text = error.to_string();
        assert!(text.contains("[h]:2222") && text.contains("/k:3 lists another one"), "{text}");
        assert_eq!(error.disconnect(), Some(DisconnectReason::HOST_KEY_NOT_VERIFIABLE));
    }
}
