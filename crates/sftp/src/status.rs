//! How requests end: filexfer-02 §7, `SSH_FXP_STATUS`.

use alloc::vec::Vec;
use core::fmt;

use ssh_wire::{Decode, DecodeError, Encode, PeerText, Reader};

/// The code of a `STATUS` reply.
///
/// Version 3 has few: "exists already" and "not empty", for example, are both
/// [`Failure`](Self::Failure). A server's [`FileSystem`](crate::server::FileSystem) uses them as
/// OpenSSH maps `errno`:
///
/// | errno | code |
/// |---|---|
/// | `ENOENT`, `ENOTDIR`, `EBADF`, `ELOOP` | [`NoSuchFile`](Self::NoSuchFile) |
/// | `EPERM`, `EACCES`, `EFAULT` | [`PermissionDenied`](Self::PermissionDenied) |
/// | `ENAMETOOLONG`, `EINVAL` | [`BadMessage`](Self::BadMessage) |
/// | `ENOSYS` | [`OpUnsupported`](Self::OpUnsupported) |
/// | every other | [`Failure`](Self::Failure) |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StatusCode {
    /// 0: done.
    Ok,
    /// 1: the end of the file or of the directory.
    Eof,
    /// 2: there is no such file, or no such handle.
    NoSuchFile,
    /// 3: not allowed.
    PermissionDenied,
    /// 4: anything that has no code of its own.
    Failure,
    /// 5: a request that makes no sense.
    BadMessage,
    /// 6: for use by a client only; a server does not send it.
    NoConnection,
    /// 7: for use by a client only; a server does not send it.
    ConnectionLost,
    /// 8: the server does not know the operation.
    OpUnsupported,
    /// A code of another version of the protocol; to be taken as a failure.
    Other(u32),
}

impl StatusCode {
    /// The code for a number of the wire.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Eof,
            2 => Self::NoSuchFile,
            3 => Self::PermissionDenied,
            4 => Self::Failure,
            5 => Self::BadMessage,
            6 => Self::NoConnection,
            7 => Self::ConnectionLost,
            8 => Self::OpUnsupported,
            other => Self::Other(other),
        }
    }

    /// The number of the wire.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Ok => 0,
            Self::Eof => 1,
            Self::NoSuchFile => 2,
            Self::PermissionDenied => 3,
            Self::Failure => 4,
            Self::BadMessage => 5,
            Self::NoConnection => 6,
            Self::ConnectionLost => 7,
            Self::OpUnsupported => 8,
            Self::Other(other) => other,
        }
    }

    /// The text that OpenSSH's server sends with the code.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Ok => "Success",
            Self::Eof => "End of file",
            Self::NoSuchFile => "No such file",
            Self::PermissionDenied => "Permission denied",
            Self::Failure => "Failure",
            Self::BadMessage => "Bad message",
            Self::NoConnection => "No connection",
            Self::ConnectionLost => "Connection lost",
            Self::OpUnsupported => "Operation unsupported",
            Self::Other(_) => "Unknown status",
        }
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Other(number) => write!(f, "{} {number}", self.text()),
            _ => f.write_str(self.text()),
        }
    }
}

impl core::error::Error for StatusCode {}

impl<'a> Decode<'a> for StatusCode {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.uint32().map(Self::from_number)
    }
}

impl Encode for StatusCode {
    fn encode(&self, out: &mut Vec<u8>) {
        self.number().encode(out);
    }
}

/// A `STATUS` reply as a client keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What happened.
    pub code: StatusCode,
    /// The server's words for it; may be empty.
    pub message: PeerText,
}

impl Status {
    /// A status with the words that OpenSSH uses for `code`.
    #[must_use]
    pub fn new(code: StatusCode) -> Self {
        Self { code, message: PeerText::from(code.text()) }
    }

    /// `Ok` for [`StatusCode::Ok`], the status itself as the error for every other.
    ///
    /// # Errors
    /// The status, unless its code is [`StatusCode::Ok`].
    pub fn ok(self) -> Result<(), Self> {
        if self.code == StatusCode::Ok { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.code.fmt(f)?;
        let said = self.message.raw();
        if said.is_empty() || said.eq_ignore_ascii_case(self.code.text()) {
            return Ok(());
        }
        write!(f, " (the server says: {})", self.message)
    }
}

impl core::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn codes_and_numbers_belong_together() {
        for number in 0..20 {
            assert_eq!(StatusCode::from_number(number).number(), number);
        }
        assert_eq!(StatusCode::from_number(9), StatusCode::Other(9));
    }

    #[test]
    fn a_status_says_what_the_server_said_only_if_that_adds_something() {
        assert_eq!(Status::new(StatusCode::NoSuchFile).to_string(), "No such file");
        let status =
            Status { code: StatusCode::Failure, message: PeerText::from("disk \x1b[31mfull") };
        assert_eq!(status.to_string(), "Failure (the server says: disk \\u{1b}[31mfull)");
    }

    #[test]
    fn only_ok_is_ok() {
        assert_eq!(Status::new(StatusCode::Ok).ok(), Ok(()));
        assert!(Status::new(StatusCode::Eof).ok().is_err());
        assert!(Status::new(StatusCode::Other(99)).ok().is_err());
    }
}
