//! What went wrong, as the one line the user sees.

use core::fmt;
use std::{io, os::unix::ffi::OsStrExt, path::Path};

use crate::sftp::show;

/// The end of the program: a line that says what went wrong and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure(String);

/// A result whose error is for the user.
pub(crate) type Result<T> = core::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(line: impl fmt::Display) -> Self {
        Self(line.to_string())
    }

    /// True if the line ends in a question.
    pub(crate) fn is_question(&self) -> bool {
        self.0.ends_with('?')
    }

    /// A local file that could not be used; `doing` is such as "read the batch file".
    pub(crate) fn local(doing: &str, path: &Path, error: &io::Error) -> Self {
        Self(format!("cannot {doing} {}: {}", show_path(path), io_reason(error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A local path as it may be shown: a part of it may be a name that a server has listed.
pub(crate) fn show_path(path: &Path) -> String {
    show(path.as_os_str().as_bytes())
}

/// What an error of the local system means, and what to do where that is clear.
pub(crate) fn io_reason(error: &io::Error) -> String {
    let advice = match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory",
        io::ErrorKind::PermissionDenied => "permission denied",
        io::ErrorKind::StorageFull => "the disk is full; make room and try again",
        io::ErrorKind::QuotaExceeded => "the disk quota is used up; make room and try again",
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        io::ErrorKind::IsADirectory => "it is a directory",
        io::ErrorKind::NotADirectory => "a part of the path is no directory",
        io::ErrorKind::AlreadyExists => "it exists already",
        _ => return plain(error),
    };
    advice.to_owned()
}

/// The text of an error without the number that the system has for it.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let number = text.rfind(" (os error ").filter(|_| text.ends_with(')'));
    number.and_then(|at| text.get(..at)).unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_an_error_is_left_out() {
        assert_eq!(io_reason(&io::Error::from_raw_os_error(104)), "Connection reset by peer");
        assert_eq!(io_reason(&io::Error::other("a (b)")), "a (b)");
    }

    #[test]
    fn a_local_error_names_the_file_and_the_reason() {
        let failure = |kind: io::ErrorKind| {
            Failure::local("write", Path::new("/x/y"), &kind.into()).to_string()
        };
        assert_eq!(
            failure(io::ErrorKind::NotFound),
            "cannot write /x/y: no such file or directory"
        );
        assert_eq!(
            failure(io::ErrorKind::StorageFull),
            "cannot write /x/y: the disk is full; make room and try again"
        );
    }

    #[test]
    fn a_local_path_cannot_steer_the_terminal() {
        let path = Path::new("here/\u{1b}]0;x\u{7}\n$ ");
        let failure = Failure::local("write", path, &io::ErrorKind::NotFound.into());
        assert_eq!(
            failure.to_string(),
            "cannot write here/\\u{1b}]0;x\\u{7}\\n$ : no such file or directory"
        );
    }
}
