//! rclone, whose SFTP is Go's x/crypto and pkg/sftp.

use std::path::Path;
use std::process::Command;

use super::Kind;
use crate::failure::{Done, Failure};
use crate::measure::Invocation;
use crate::site::{stdout, text};
use crate::work::{Place, Work};

pub(super) fn find() -> Done<(String, Kind)> {
    super::install("rclone", "rclone")?;
    let version = stdout(Command::new("rclone").arg("version"))?;
    Ok((version.lines().next().unwrap_or_default().to_owned(), Kind::Rclone))
}

pub(super) fn invocation(
    work: &Work,
    place: &Place,
    remote: &dyn Fn(&Path) -> Done<String>,
) -> Done<Invocation> {
    let (command, from, to) = match work {
        Work::Get { remote: from, local } => {
            ("copyto", format!(":sftp:{}", remote(from)?), text(local)?)
        }
        Work::Put { local, remote: to } => {
            ("copyto", text(local)?, format!(":sftp:{}", remote(to)?))
        }
        Work::GetMany { remote: from, local } => {
            ("copy", format!(":sftp:{}", remote(from)?), text(local)?)
        }
        Work::PutMany { local, remote: to } => {
            ("copy", text(local)?, format!(":sftp:{}", remote(to)?))
        }
        _ => return Err(Failure::new("rclone only moves files")),
    };
    let mut words: Vec<String> =
        ["rclone", command, "--config", "", "--sftp-host", "127.0.0.1"].map(str::to_owned).to_vec();
    words.extend(["--sftp-port".into(), place.port.to_string()]);
    words.extend(["--sftp-user".into(), place.user.clone()]);
    words.extend(["--sftp-key-file".into(), text(&place.key)?]);
    // No commands on the server for checksums, which nobody else computes either; many at once.
    words.extend(["--sftp-disable-hashcheck", "--transfers", "32"].map(str::to_owned));
    words.extend([from, to]);
    Ok(Invocation::new(words))
}
