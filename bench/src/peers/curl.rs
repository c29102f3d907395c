//! curl, whose SFTP is libssh2's.

use std::path::Path;
use std::process::Command;

use super::Kind;
use crate::failure::{Done, Failure};
use crate::measure::Invocation;
use crate::site::{stdout, text};
use crate::work::{Place, Work};

pub(super) fn find() -> Done<(String, Kind)> {
    super::install("curl", "curl")?;
    let version = stdout(Command::new("curl").arg("--version"))?;
    let line = version.lines().next().unwrap_or_default();
    let words: Vec<&str> = line
        .split_whitespace()
        .filter(|word| word.starts_with("libssh") || word.starts_with(char::is_numeric))
        .collect();
    if !version.contains("sftp") {
        return Err(Failure::new(format!("this curl has no SFTP: {line}")));
    }
    Ok((words.join(", "), Kind::Curl))
}

pub(super) fn invocation(
    work: &Work,
    place: &Place,
    remote: &dyn Fn(&Path) -> Done<String>,
) -> Done<Invocation> {
    // The host key is not what is measured, and curl knows no file for it but the user's.
    let mut words = vec!["curl".to_owned(), "-s".into(), "-S".into(), "-k".into()];
    words.extend(["--key".into(), text(&place.key)?]);
    words.extend(["--pubkey".into(), text(&place.key.with_extension("pub"))?]);
    let url = |path: String| format!("sftp://{}@127.0.0.1:{}{path}", place.user, place.port);
    match work {
        Work::Get { remote: from, local } => {
            words.extend(["-o".into(), text(local)?, url(remote(from)?)]);
        }
        Work::Put { local, remote: to } => {
            words.extend(["-T".into(), text(local)?, url(remote(to)?)]);
        }
        _ => return Err(Failure::new("curl moves single files only")),
    }
    Ok(Invocation::new(words))
}
