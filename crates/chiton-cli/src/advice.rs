//! What an error of the library means for the user, in one line: what happened and what to do.

use std::io;

use ::sftp::StatusCode;
use chiton::error::{
    AuthFailure, ChannelError, Error, HostKeyError, HostKeyReason, Phase, SftpError, SftpErrorKind,
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
    match error {
        Error::Resolve(error) => {
            format!("cannot find the host {}: {}; is its name right?", error.to, error.source)
        }
        Error::Connect(error) => {
            let reason = connect_reason(&error.source);
            format!("cannot connect to {}: {reason}", error.to)
        }
        Error::TimedOut(phase, _) => format!("{error}; {}", timeout_advice(*phase)),
        Error::HostKey(error) => host_key(error),
        Error::Auth(failure) => denied(failure, target),
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

fn connect_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => {
            "connection refused; is a server running there, and is the port right?".to_owned()
        }
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            format!("{error}; is the address right and the network up?")
        }
        io::ErrorKind::TimedOut => "nothing answers; is the address right?".to_owned(),
        _ => error.to_string(),
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
        HostKeyReason::Changed { .. } => {
            format!("{error}: ssh-keygen -R '{host}' does it (-f names the file)")
        }
        HostKeyReason::Refused => format!(
            "Host key verification failed: the {} key {} of {host} was not accepted",
            error.key_type, error.fingerprint
        ),
        _ => error.to_string(),
    }
}

fn denied(failure: &AuthFailure, target: Option<&Target>) -> String {
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
    let (doing, hint) = sftp_operation(error.operation);
    let path = show(&error.path);
    // Version 3 of the protocol has one code for most failures.
    let hint = if error.kind.status() == Some(StatusCode::Failure) { hint } else { "" };
    let to = to.map(|to| format!(" to \"{}\"", show(to))).unwrap_or_default();
    format!("cannot {doing} \"{path}\"{to}: {reason}{hint}")
}

/// What was to be done, and what it fails of most often.
fn sftp_operation(operation: &str) -> (&str, &str) {
    match operation {
        "get" => ("get remote", ""),
        "put" => ("put remote", "; is the disk there full?"),
        "create_dir" => ("make the remote directory", "; is it there already?"),
        "remove_dir" => ("remove the remote directory", "; is it empty?"),
        "remove_file" => ("remove remote", "; is it a directory?"),
        "rename" => ("rename remote", "; is the new name taken, or on another file system?"),
        "symlink" => ("make the remote link", "; is the name taken?"),
        "hard_link" => ("link remote", "; is the new name taken?"),
        "read_dir" => ("list remote", ""),
        "metadata" | "symlink_metadata" | "canonicalize" => ("find remote", ""),
        "set_attrs" => ("change remote", ""),
        "statvfs" => ("tell how full the file system is of remote", ""),
        other => (other, ""),
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
