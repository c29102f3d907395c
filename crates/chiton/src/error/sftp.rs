//! What can go wrong with files on the other side.

use core::{fmt, time::Duration};
use std::sync::Arc;

use ssh_wire::{Fault, PeerText, Rule};

use super::{Error, LocalFileError};

/// An SFTP operation that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SftpError {
    /// What was to be done: `open`, `read`, …
    pub operation: &'static str,
    /// To which file; empty where there is none.
    pub path: Vec<u8>,
    /// What went wrong.
    pub kind: SftpErrorKind,
}

/// What went wrong in an SFTP operation.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SftpErrorKind {
    /// The server answered with an error status.
    Status(sftp::Status),
    /// The server broke the protocol.
    Protocol(sftp::Error),
    /// The request cannot be made.
    Request(sftp::RequestError),
    /// The server listed a name that is not the name of a file in the directory.
    BadName(sftp::path::BadComponent),
    /// The server listed more than is taken, in bytes.
    ListingTooLong {
        /// The most bytes that the entries of a directory may take.
        limit: usize,
    },
    /// A file has more content than is read into memory at once.
    ContentTooLong {
        /// The most, in bytes.
        limit: usize,
    },
    /// The server owes answers and was silent for longer than
    /// [`Sftp::set_request_timeout`](crate::Sftp::set_request_timeout) allows.
    NoAnswer {
        /// How long it may be.
        after: Duration,
    },
    /// The connection under it ended.
    Connection(Error),
    /// The subsystem ended without having been asked to.
    SubsystemEnded,
    /// What arrived is not the whole file.
    Transfer(sftp::transfer::TransferError),
    /// A directory where a file is needed.
    IsADirectory,
    /// Something else where a directory is needed.
    NotADirectory,
    /// Directories are nested deeper than is followed.
    TooDeep {
        /// The most that are followed.
        limit: usize,
    },
    /// The server does not offer the extension that this needs.
    Unsupported(&'static str),
    /// A local file could not be read or written.
    Local(Arc<LocalFileError>),
    /// What is there already is not the beginning of the source, so that it cannot be gone on
    /// behind it.
    ResumeMismatch {
        /// Bytes that are there.
        there: u64,
    },
    /// The copy was compared by SHA-256 and is another.
    ContentDiffers,
    /// The server does not run `sha256sum`, which was to compare the copy.
    CannotVerify,
    /// [`Monitor::cancel`](crate::sftp::Monitor::cancel) was called.
    Cancelled,
    /// The transfer stopped; this many bytes from the beginning are in place.
    Interrupted {
        /// Bytes from the beginning of the file that are confirmed.
        confirmed: u64,
        /// Why it stopped.
        cause: Box<Self>,
    },
}

impl SftpError {
    /// What such a failure comes from most often, as a question: version 3 of the protocol has one
    /// code for most of them.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        use sftp::StatusCode::{Failure, NoSuchFile};
        Some(match (self.operation, self.kind.status()?) {
            // What was written of it says that it was opened.
            ("put", Failure) if matches!(self.kind, SftpErrorKind::Interrupted { .. }) => {
                "is the disk there full?"
            }
            ("put", Failure) => "is a directory of that name there, or the disk full?",
            ("put" | "create_dir" | "symlink", NoSuchFile) => {
                "is the directory there in which it is to be?"
            }
            ("create_dir", Failure) => "is it there already?",
            ("remove_dir", Failure) => "is it empty?",
            ("remove_file", Failure) => "is it a directory?",
            ("copy", Failure) => "are both the same file?",
            ("rename", Failure) => "is the new name taken, or on another file system?",
            ("symlink", Failure) => "is the name taken?",
            ("hard_link", Failure) => "is the new name taken?",
            _ => return None,
        })
    }
}

impl SftpErrorKind {
    pub(super) fn fault(&self) -> Fault {
        match self {
            Self::Protocol(_) => Fault::Peer,
            Self::Connection(error) => error.fault(),
            Self::Local(_) => Fault::Local,
            Self::NoAnswer { .. } => Fault::Network,
            Self::Interrupted { cause, .. } => cause.fault(),
            _ => Fault::Policy,
        }
    }

    pub(super) fn rule(&self) -> Option<Rule> {
        match self {
            Self::Protocol(error) => error.rule(),
            Self::BadName(_) => Some(Rule("filexfer-02 §7")),
            Self::Connection(error) => error.rule(),
            Self::Interrupted { cause, .. } => cause.rule(),
            _ => None,
        }
    }

    /// The server's status code, also of what interrupted a transfer.
    #[must_use]
    pub fn status(&self) -> Option<sftp::StatusCode> {
        match self {
            Self::Status(status) => Some(status.code),
            Self::Interrupted { cause, .. } => cause.status(),
            _ => None,
        }
    }
}

impl fmt::Display for SftpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sftp {}", self.operation)?;
        if !self.path.is_empty() {
            write!(f, " {}", PeerText::from_bytes(&self.path))?;
        }
        write!(f, ": {}", self.kind)?;
        self.hint().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl fmt::Display for SftpErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Protocol(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::BadName(error) => write!(f, "the server misbehaved: {error}"),
            Self::ListingTooLong { limit } => {
                write!(f, "the server listed more than fits into {limit} bytes")
            }
            Self::ContentTooLong { limit } => write!(
                f,
                "is longer than {limit} bytes; read_up_to takes more, and open_file reads it piece \
                 by piece"
            ),
            Self::NoAnswer { after } => write!(
                f,
                "the server did not answer for {:.1} s (Sftp::set_request_timeout)",
                after.as_secs_f64()
            ),
            Self::Connection(error) => error.fmt(f),
            Self::SubsystemEnded => f.write_str("the server ended the sftp subsystem"),
            Self::Transfer(error) => error.fmt(f),
            Self::IsADirectory => f.write_str("is a directory, not a file"),
            Self::NotADirectory => f.write_str("is no directory"),
            Self::TooDeep { limit } => {
                write!(f, "directories are nested more than {limit} deep")
            }
            Self::Unsupported(name) => write!(f, "the server does not offer {name}"),
            Self::Local(error) => error.fmt(f),
            Self::ResumeMismatch { there } => write!(
                f,
                "the {there} bytes that are there are not the beginning of the source; write it \
                 anew"
            ),
            Self::ContentDiffers => f.write_str("the copy differs from the source (SHA-256)"),
            Self::CannotVerify => {
                f.write_str("the server does not run sha256sum, which was to compare the copy")
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::Interrupted { confirmed, cause } => {
                write!(f, "{cause} (the first {confirmed} bytes are in place)")
            }
        }
    }
}

impl From<LocalFileError> for SftpErrorKind {
    fn from(error: LocalFileError) -> Self {
        Self::Local(Arc::new(error))
    }
}
