//! The files that are read and written, and the questions about them.

use std::{
    env, fs,
    io::{self, BufRead, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use zeroize::Zeroizing;

use crate::{
    askpass::Asker,
    failure::{Failure, Result, show_path},
    log::print,
};

/// The largest file that is read: a known_hosts file with more than a hundred thousand hosts.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// `~/.ssh` and a name.
pub(super) fn in_home(name: &str) -> Result<PathBuf> {
    let home = env::home_dir().ok_or_else(|| Failure::new("there is no home directory"))?;
    Ok(home.join(".ssh").join(name))
}

/// A file, or standard input for `-`.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut text = Zeroizing::new(Vec::new());
    let limit = MAX_FILE.saturating_add(1);
    let read = if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text))
    };
    let read = read.map_err(|error| Failure::local("read", path, &error))?;
    if u64::try_from(read).is_ok_and(|read| read > MAX_FILE) {
        return Err(Failure::new(format_args!("{} is too large", show_path(path))));
    }
    Ok(text)
}

/// Writes a file that either is as it was or has all of `text`: a new file takes its place once it
/// is on the disk. `mode` are its permissions; those of the old file stay where there is one and no
/// mode is given.
pub(super) fn write(path: &Path, text: &[u8], mode: Option<u32>) -> Result<()> {
    let replace = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        let old = fs::metadata(path).ok().map(|metadata| metadata.permissions().mode());
        let mode = mode.or(old).unwrap_or(0o644);
        file.write_all(text)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    replace().map_err(|error: io::Error| Failure::local("write", path, &error))
}

/// A line from standard input.
pub(super) fn line() -> Result<String> {
    let mut line = String::new();
    let read = io::stdin().lock().take(4096).read_line(&mut line);
    match read {
        Ok(0) => Err(Failure::new("there is no answer on standard input")),
        Ok(_) => Ok(line.trim_end_matches(['\n', '\r']).to_owned()),
        Err(error) => Err(Failure::local("read", Path::new("standard input"), &error)),
    }
}

fn question(text: &str) {
    // Who cannot see the question may know it.
    drop(io::stdout().write_all(text.as_bytes()));
    drop(io::stdout().flush());
}

/// Asks for a file; the usual one if the answer is empty.
pub(super) fn ask(what: &str) -> Result<PathBuf> {
    let usual = in_home("id_ed25519")?;
    question(&format!("{what} ({}): ", usual.display()));
    let answer = line()?;
    Ok(if answer.is_empty() { usual } else { answer.into() })
}

/// Asks whether a file that is there may go. True if it is not there.
pub(super) fn may_overwrite(path: &Path) -> Result<bool> {
    if !path.exists() {
        return Ok(true);
    }
    print(format_args!("{} already exists.", show_path(path)));
    question("Overwrite (y/n)? ");
    Ok(line().unwrap_or_default().starts_with(['y', 'Y']))
}

/// Asks for something to be typed.
pub(super) fn ask_text(what: &str) -> Result<String> {
    question(what);
    line()
}

/// Asks for a new passphrase, twice; it may be empty.
pub(super) fn new_passphrase(first: &str) -> Result<Zeroizing<String>> {
    let asker = Asker { batch: false };
    loop {
        let one = asker.secret(first).map_err(|error| {
            Failure::new(format_args!("no passphrase: {error}; or give one with -N"))
        })?;
        let two = asker.secret("Enter same passphrase again: ").map_err(Failure::new)?;
        if *one == *two {
            return Ok(one);
        }
        print("Passphrases do not match.  Try again.");
    }
}

/// What `date` knows of the time zone; UTC if it cannot be asked.
pub(super) fn utc_offset() -> i32 {
    let output = Command::new("date").arg("+%z").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.ok().and_then(|text| parse_offset(&text)).unwrap_or(0)
}

/// `+hhmm` in seconds.
fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = digits.split_at_checked(2)?;
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    Some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        write(&path, b"one", Some(0o600)).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode()), (b"one".to_vec(), 0o600));
        write(&path, b"two", None).unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode()), (b"two".to_vec(), 0o600));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
        assert!(write(&folder.path().join("none/f"), b"x", None).is_err());
    }

    #[test]
    fn offsets_of_time_zones_are_read() {
        assert_eq!(parse_offset("+0000"), Some(0));
        assert_eq!(parse_offset("-0330"), Some(-12600));
        assert_eq!(parse_offset("+1400"), Some(50400));
        assert_eq!(parse_offset("UTC"), None);
    }
}
