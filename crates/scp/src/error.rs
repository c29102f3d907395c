//! What goes wrong between source and sink, apart from files that fail honestly.

use core::fmt;

use ssh_wire::{Fault, PeerText, Rule};

use crate::{
    limits::{MAX_DEPTH, MAX_LINE},
    name::BadName,
};

/// The end of a transfer. Files that fail are not this: they are answered with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke a rule.
    PeerMisbehaved(PeerMisbehaved),
    /// The peer gave up and said why.
    GaveUp(PeerText),
    /// The stream ended in the middle.
    Ended,
}

/// The rules that a peer broke.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A line longer than [`MAX_LINE`].
    LineTooLong,
    /// A line that is no record: often the output of a shell's start-up file.
    NotARecord(PeerText),
    /// A record whose fields are not what they should be.
    BadRecord {
        /// Which field.
        field: &'static str,
        /// The line.
        line: PeerText,
    },
    /// A name that is not the name of a file.
    BadName {
        /// What is the matter with it.
        why: BadName,
        /// The name.
        name: PeerText,
    },
    /// A name that is not what was asked for (CVE-2019-6111).
    NotAskedFor {
        /// The name.
        name: PeerText,
    },
    /// A directory, and none was asked for.
    DirectoryNotAskedFor {
        /// Its name.
        name: PeerText,
    },
    /// Directories nested deeper than [`MAX_DEPTH`].
    TooDeep,
    /// The end of a directory that had not begun.
    EndWithoutDirectory,
    /// Times that no file follows.
    TimesWithoutFile,
    /// Behind the content of a file there is something else than its end: it is longer than was
    /// said.
    NoEndOfFile {
        /// The byte that came.
        byte: u8,
    },
    /// A reply that begins with another byte than 0, 1 or 2.
    BadReply {
        /// The byte that came.
        byte: u8,
    },
    /// A reply to nothing.
    ReplyToNothing,
}

impl Error {
    /// Who has to change something for this to go away.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::PeerMisbehaved(_) => Fault::Peer,
            Self::GaveUp(_) => Fault::Policy,
            Self::Ended => Fault::Network,
        }
    }

    /// The rule that the peer broke, where it broke one.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::PeerMisbehaved(_) => Some(Rule("the protocol of rcp")),
            Self::GaveUp(_) | Self::Ended => None,
        }
    }
}

impl From<PeerMisbehaved> for Error {
    fn from(error: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerMisbehaved(error) => write!(f, "protocol error: {error}"),
            Self::GaveUp(text) => write!(f, "the other side gave up: {text}"),
            Self::Ended => f.write_str("the other side has ended in the middle"),
        }
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong => write!(f, "a line is longer than {MAX_LINE} bytes"),
            Self::NotARecord(line) => write!(
                f,
                "\"{line}\" is no record; does a start-up file of the shell there print something?"
            ),
            Self::BadRecord { field, line } => write!(f, "no {field} in the record \"{line}\""),
            Self::BadName { why, name } => write!(f, "unexpected file name \"{name}\": {why}"),
            Self::NotAskedFor { name } => {
                write!(f, "the other side sends \"{name}\", which was not asked for")
            }
            Self::DirectoryNotAskedFor { name } => write!(
                f,
                "the other side sends the directory \"{name}\", and none was asked for (-r)"
            ),
            Self::TooDeep => write!(f, "directories are nested deeper than {MAX_DEPTH}"),
            Self::EndWithoutDirectory => f.write_str("a directory ends that had not begun"),
            Self::TimesWithoutFile => f.write_str("times that no file follows"),
            Self::NoEndOfFile { byte } => {
                write!(f, "the byte {byte} where a file should end: it is longer than was said")
            }
            Self::BadReply { byte } => write!(f, "a reply that begins with the byte {byte}"),
            Self::ReplyToNothing => f.write_str("a reply to nothing"),
        }
    }
}

impl core::error::Error for Error {}
impl core::error::Error for PeerMisbehaved {}

/// A call that cannot work: in the wrong order, or with something that cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Misuse {
    /// Something else has to come first: the reply to what was sent, or the rest of a file.
    OutOfTurn,
    /// A name that cannot be sent.
    Name(BadName),
    /// More content than the file was said to have, or less at its end.
    Length,
    /// Deeper than [`MAX_DEPTH`].
    TooDeep,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfTurn => f.write_str("something else has to come first"),
            Self::Name(why) => write!(f, "the name cannot be sent: {why}"),
            Self::Length => f.write_str("the content is not as long as was said"),
            Self::TooDeep => write!(f, "more than {MAX_DEPTH} directories deep"),
        }
    }
}

impl core::error::Error for Misuse {}
