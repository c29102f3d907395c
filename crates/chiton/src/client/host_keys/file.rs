//! How a known_hosts file is written.

use std::{
    fs,
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use crate::error::Error;

/// Adds a line to a file. One write in append mode: another program that does the same at the same
/// time cannot tear it.
pub(super) fn append(path: &Path, line: &str) -> Result<(), Error> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        create_private_dir(directory)
            .map_err(|error| Error::local("create the directory", directory, error))?;
    }
    let append = || {
        let mut file = fs::OpenOptions::new().append(true).create(true).read(true).open(path)?;
        let separator = if ends_with_newline(&mut file)? { "" } else { "\n" };
        file.write_all(format!("{separator}{line}").as_bytes())
    };
    append().map_err(|error| Error::local("add the host key to", path, error))
}

/// Puts a new file in the place of one: whatever happens, there is one of the two.
pub(super) fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(text)?;
    file.as_file().set_permissions(fs::metadata(path)?.permissions())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A missing newline at the end would glue two entries together.
fn ends_with_newline(file: &mut fs::File) -> io::Result<bool> {
    // Devices have no length, and no end to look at.
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

fn create_private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}
