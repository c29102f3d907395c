//! Errors of local files.

use std::{io, path::Path};

use crate::error::LocalFileError;

/// An error with a local file.
pub(super) fn local_error(
    operation: &'static str,
    path: &Path,
    source: io::Error,
) -> LocalFileError {
    LocalFileError { operation, path: path.to_owned(), source }
}
