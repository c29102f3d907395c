//! What an error of the library means for the user, in one line: what happened and what to do.

use std::io;

use chiton::{
    error::{
        AuthFailure, ChannelError, Error, HostKeyError, HostKeyReason, KeyFileError, Phase,
        SftpError, SftpErrorKind,
    },
    keys::PrivateKeyError,
};

use crate::{
    connect::Target,
    failure::{io_reason, show_path},
    log::say,
    sftp::show,
};

/// The line for an error. `target` is whom the connection was to. It is one line whatever the
/// other side has put into it.
pub(crate) fn explain(error: &Error, target: Option<&Target>) -> String {
    reason(error, target).replace('\n', "\\n")
}

fn reason(error: &Error, target: Option<&Target>) -> String {
    let place = target.map(|target| format!("{} port {}: ", target.host, target.port));
    let place = place.unwrap_or_default();
    match error {
        Error::Resolve(error) => {
            let host = target.map_or(error.to.as_str(), |target| &target.host);
            let reason = resolve_reason(&error.source);
            format!("cannot find the host {host}: {reason}; is its name right?")
        }
        Error::Connect(error) => {
            let reason = connect_reason(&error.source);
            format!("cannot connect to {}: {reason}", error.to)
        }
        Error::TimedOut(phase, _) => format!("{place}{error}; {}", timeout_advice(*phase)),
        Error::ConnectionLost(phase, cause) => {
            let what = match cause {
                Some(cause) => format!("the connection was lost: {}", io_reason(cause)),
                None => "the server closed the connection".to_owned(),
            };
            match phase {
                Phase::Connected => format!("{place}{what}"),
                _ => format!("{place}{what} (during {phase})"),
            }
        }
        Error::Disconnected(_)
        | Error::TurnedAway(_)
        | Error::Transport(_)
        | Error::AuthProtocol(_)
        | Error::Connection(_)
        | Error::PeerMisbehaved(_) => format!("{place}{error}"),
        Error::HostKey(error) => host_key(error),
        Error::Auth(failure) => denied(failure, target, None),
        Error::KeyFile(error) => key_file(error, None),
        Error::Sftp(error) => sftp(error, None),
        Error::LocalFile(error) => format!(
            "cannot {} {}: {}",
            error.operation,
            show_path(&error.path),
            io_reason(&error.source)
        ),
        Error::Channel(error) => channel(error),
        _ => error.to_string(),
    }
}

/// Why a person could not be asked, each a sentence.
#[derive(Debug, Default)]
pub(crate) struct Unasked {
    /// About the key of an unknown host.
    pub(crate) host_key: Option<String>,
    /// For the passphrase of a key.
    pub(crate) passphrase: Option<String>,
    /// For a password.
    pub(crate) password: Option<String>,
}

/// The line for a connection that did not come about.
pub(crate) fn explain_connecting(error: &Error, target: &Target, unasked: &Unasked) -> String {
    let line = match (error, &unasked.host_key) {
        (Error::HostKey(error), Some(why)) if matches!(error.reason, HostKeyReason::Refused) => {
            format!(
                "the host {} is unknown; its {} key is {}. {why}",
                error.host, error.key_type, error.fingerprint
            )
        }
        (Error::Auth(failure), _) => denied(failure, Some(target), unasked.password.as_deref()),
        (Error::KeyFile(error), _) => key_file(error, unasked.passphrase.as_deref()),
        _ => reason(error, Some(target)),
    };
    line.replace('\n', "\\n")
}

fn key_file(error: &KeyFileError, unasked: Option<&str>) -> String {
    let path = show_path(&error.path);
    match (&error.kind, unasked) {
        (PrivateKeyError::Encrypted, Some(why)) => format!("the key in {path} is encrypted. {why}"),
        (PrivateKeyError::WrongPassphrase, _) => {
            format!("cannot unlock the key in {path}: the passphrase is wrong")
        }
        (kind, _) => format!("cannot use the key in {path}: {kind}"),
    }
}

/// The line for an error of an operation on two files, of which the error names the first.
pub(crate) fn explain_pair(error: &Error, to: &[u8]) -> String {
    match error {
        Error::Sftp(error) => sftp(error, Some(to)),
        _ => explain(error, None),
    }
}

/// Says, for those who asked for more, what was tried to log in.
pub(crate) fn log_attempts(error: &Error) {
    let Error::Auth(failure) = error else { return };
    for step in &failure.plan {
        say!(Debug1, "Was to be tried: {step}.");
    }
    for attempt in &failure.record.attempts {
        say!(Verbose, "Tried: {attempt}.");
    }
}

/// The system's library says in front what it was doing, which is said already.
fn resolve_reason(error: &io::Error) -> String {
    let reason = io_reason(error);
    let rest = reason.strip_prefix("failed to lookup address information: ");
    rest.unwrap_or(&reason).to_owned()
}

fn connect_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused; is a server running there, and is the port right?".to_owned()
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("{}; is the address right and the network up?", io_reason(error))
        }
        io::ErrorKind::TimedOut => "nothing answers; is the address right?".to_owned(),
        _ => io_reason(error),
    }
}

fn timeout_advice(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolving => "is the name server reachable?",
        Phase::Connecting => "is the address right, and does a firewall let it through?",
        _ => "the other side is too slow or no SSH server; ConnectTimeout sets how long to wait",
    }
}

fn host_key(error: &HostKeyError) -> String {
    let host = &error.host;
    match &error.reason {
        HostKeyReason::Unknown { .. } => {
            format!("{error}, or answer the question with -o StrictHostKeyChecking=ask")
        }
        HostKeyReason::Changed { known } => {
            let place = known.first().and_then(|place| place.rsplit_once(':'));
            let file = place.map(|(file, _)| format!(" -f '{file}'")).unwrap_or_default();
            format!("{error}: chiton keygen{file} -R '{host}' does it")
        }
        HostKeyReason::Refused => format!(
            "Host key verification failed: the {} key {} of {host} was not accepted",
            error.key_type, error.fingerprint
        ),
        _ => error.to_string(),
    }
}

fn denied(failure: &AuthFailure, target: Option<&Target>, unasked: Option<&str>) -> String {
    let host = target.map(|target| format!("@{}", target.host)).unwrap_or_default();
    let user = show(failure.user.as_bytes());
    let methods = show(failure.remaining.join(",").as_bytes());
    let mut line = format!("{user}{host}: Permission denied ({methods}).");
    let tried = |method: &str| {
        let attempts = &failure.record.attempts;
        attempts.iter().any(|attempt| attempt.method.to_string() == method)
    };
    let (key, password) = (tried("publickey"), tried("password"));
    let takes = |method: &str| failure.remaining.iter().any(|name| name == method);
    if let (Some(why), false) = (unasked, password) {
        line.push(' ');
        line.push_str(why);
        return line;
    }
    line.push_str(match (key, password) {
        (_, true) => " Is the user name right, and the password?",
        (true, false) if takes("password") => {
            " No key was accepted and no password was asked for: is the user name right?"
        }
        (true, false) => " No key was accepted: is the user name right, and the key (-i)?",
        (false, false) if takes("publickey") => " There was no key to try: name one with -i.",
        (false, false) => " Nothing that the server accepts could be tried.",
    });
    line
}

fn channel(error: &ChannelError) -> String {
    match error {
        ChannelError::RequestRefused("subsystem") => {
            "the server has no such subsystem, or does not allow it".to_owned()
        }
        ChannelError::RequestRefused("pty-req") => {
            "the server gives no terminal; -T does without".to_owned()
        }
        _ => error.to_string(),
    }
}

fn sftp(error: &SftpError, to: Option<&[u8]>) -> String {
    let reason = sftp_reason(&error.kind);
    if error.path.is_empty() || matches!(error.kind.innermost(), SftpErrorKind::Local(_)) {
        return reason;
    }
    let doing = sftp_operation(error.operation);
    let path = show(&error.path);
    let hint = error.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
    let to = to.map(|to| format!(" to \"{}\"", show(to))).unwrap_or_default();
    format!("cannot {doing} \"{path}\"{to}: {reason}{hint}")
}

/// What was to be done.
fn sftp_operation(operation: &str) -> &str {
    match operation {
        "get" => "get remote",
        "put" => "put remote",
        "create_dir" => "make the remote directory",
        "remove_dir" => "remove the remote directory",
        "remove_file" => "remove remote",
        "copy" => "copy remote",
        "rename" => "rename remote",
        "symlink" => "make the remote link",
        "hard_link" => "link remote",
        "read_dir" => "list remote",
        "metadata" | "symlink_metadata" | "canonicalize" => "find remote",
        "set_attrs" => "change remote",
        "statvfs" => "tell how full the file system is of remote",
        other => other,
    }
}

fn sftp_reason(kind: &SftpErrorKind) -> String {
    match kind {
        SftpErrorKind::Local(error) => format!(
            "cannot {} {}: {}",
            error.operation,
            show_path(&error.path),
            io_reason(&error.source)
        ),
        SftpErrorKind::Interrupted { cause, .. } => sftp_reason(cause),
        SftpErrorKind::Connection(error) => reason(error, None),
        _ => kind.to_string(),
    }
}

/// What is at the bottom of an SFTP error.
trait Innermost {
    fn innermost(&self) -> &Self;
}

impl Innermost for SftpErrorKind {
    fn innermost(&self) -> &Self {
        match self {
            Self::Interrupted { cause, .. } => cause.innermost(),
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_connection_says_what_to_look_at() {
        let reason = connect_reason(&io::ErrorKind::ConnectionRefused.into());
        assert!(reason.contains("port"), "{reason}");
    }
}
