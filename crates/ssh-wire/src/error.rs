//! Why bytes from the peer do not parse.

use core::fmt;

/// Bytes that are not the message they claim to be.
///
/// The four parts are what a reader of a packet dump needs to find the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// Name of the message, as in the table of its layer.
    pub message: &'static str,
    /// Name of the field that could not be read; empty for the message as a whole.
    pub field: &'static str,
    /// Where the field begins, in bytes from the start of the message.
    pub offset: usize,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// The ways in which a field can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The message ends inside the field.
    Truncated {
        /// Bytes the field needs.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// Bytes follow the last field.
    TrailingBytes(usize),
    /// The message number is another one.
    WrongNumber {
        /// The number of the message that was asked for.
        expected: u8,
        /// The number that was found.
        found: u8,
    },
    /// No message of this layer has the number.
    UnknownNumber(u8),
    /// A string that has to be UTF-8 is not (RFC 4251 §4.5).
    NotUtf8,
    /// A name is empty, too long, or holds a character that names must not have (RFC 4251 §6).
    BadName,
    /// An mpint with leading bytes that must not be there, or a negative one (RFC 4251 §5).
    BadMpInt,
    /// A fixed-length value has another length.
    WrongLength {
        /// The length it must have, in bytes.
        expected: usize,
        /// The length it has.
        found: usize,
    },
    /// A list has more entries than the limit named.
    TooMany {
        /// Entries announced.
        count: u64,
        /// The most that are accepted.
        limit: u64,
    },
    /// A value outside of what the specification allows; the text says which rule.
    Invalid(&'static str),
}

impl DecodeError {
    /// Makes an error for a place.
    #[must_use]
    pub const fn new(
        message: &'static str,
        field: &'static str,
        offset: usize,
        kind: DecodeErrorKind,
    ) -> Self {
        Self { message, field, offset, kind }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)?;
        if !self.field.is_empty() {
            write!(f, ".{}", self.field)?;
        }
        write!(f, " at byte {}: {}", self.offset, self.kind)
    }
}

impl fmt::Display for DecodeErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { needed, left } => {
                write!(f, "needs {needed} bytes, {left} are left")
            }
            Self::TrailingBytes(n) => write!(f, "{n} bytes follow the last field"),
            Self::WrongNumber { expected, found } => {
                write!(f, "message number {found} where {expected} belongs")
            }
            Self::UnknownNumber(n) => write!(f, "no message of this layer has number {n}"),
            Self::NotUtf8 => f.write_str("not valid UTF-8"),
            Self::BadName => {
                f.write_str("a name must be 1 to 64 printable ASCII characters without comma")
            }
            Self::BadMpInt => f.write_str("not a positive mpint in its shortest form"),
            Self::WrongLength { expected, found } => {
                write!(f, "is {found} bytes long, must be {expected}")
            }
            Self::TooMany { count, limit } => write!(f, "{count} entries, at most {limit} allowed"),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl core::error::Error for DecodeError {}
