//! `-F`, `-R` and `-H`: what is in `known_hosts`.

use std::path::{Path, PathBuf};

use chiton::keys::known_hosts::{Document, HostName, LineMarker};
use ssh_crypto::rng::SystemRng;

use super::{Action, Options, files, show};
use crate::{
    failure::{Failure, Result, show_path},
    log::{print, say},
};

const PORT: u16 = 22;

fn file(options: &Options) -> Result<PathBuf> {
    options.file.clone().map_or_else(|| files::in_home("known_hosts"), Ok)
}

/// `host` or `[host]:port`, as the file has it.
fn host(options: &Options) -> Result<HostName> {
    let text = options.host_name.as_ref().and_then(|name| name.to_str()).unwrap_or_default();
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once("]:")) {
        Some((name, port)) => (name, port.parse().ok()),
        None => (text, Some(PORT)),
    };
    let bad = || Failure::new(format_args!("not the name of a host: {}", text.escape_debug()));
    HostName::new(name, port.ok_or_else(bad)?).map_err(|_| bad())
}

pub(super) fn find(options: &Options) -> Result<u8> {
    let (path, host) = (file(options)?, host(options)?);
    let document = Document::parse(&files::read(&path)?);
    let mut code = 1;
    for line in document.find(&host) {
        code = 0;
        let marker = match line.marker {
            LineMarker::HostKey => "",
            LineMarker::CertAuthority => "CA",
            LineMarker::Revoked => "REVOKED",
        };
        if !options.quiet {
            print(format_args!("# Host {} found: line {} {marker}", host.as_str(), line.number));
        }
        if !options.list {
            let mut found = Document::parse(line.text);
            if options.actions.contains(&Action::Hash) {
                found.hash(&mut SystemRng);
            }
            print(String::from_utf8_lossy(&found.to_bytes()).trim_end_matches('\n'));
        } else if let Some(key) = line.key() {
            let name = key.key_type().short_name();
            print(format_args!(
                "{} {name} {}",
                host.as_str(),
                show::fingerprint(&key, options.md5)
            ));
        }
    }
    Ok(code)
}

/// A file is not replaced of which not every line is understood.
fn check(path: &Path, document: &Document) -> Result<()> {
    match document.invalid().next() {
        None => Ok(()),
        Some((number, error)) => Err(Failure::new(format_args!(
            "{} is not a valid known_hosts file (line {number}: {error}); it is left as it is",
            show_path(path)
        ))),
    }
}

/// Puts the changed file in the place of the old one, which stays beside it.
fn save(path: &Path, old: &[u8], document: &Document) -> Result<PathBuf> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".old");
    let beside = PathBuf::from(beside);
    files::write(&beside, old, Some(0o600))?;
    files::write(path, &document.to_bytes(), None)?;
    Ok(beside)
}

pub(super) fn remove(options: &Options) -> Result<u8> {
    let (path, host) = (file(options)?, host(options)?);
    let old = files::read(&path)?;
    let mut document = Document::parse(&old);
    check(&path, &document)?;
    let gone = document.remove(&host);
    if gone.is_empty() {
        say!(Error, "Host {} not found in {}", host.as_str(), show_path(&path));
        return Ok(0);
    }
    for number in gone {
        print(format_args!("# Host {} found: line {number}", host.as_str()));
    }
    let beside = save(&path, &old, &document)?;
    print(format_args!("{} updated.", show_path(&path)));
    print(format_args!("Original contents retained as {}", show_path(&beside)));
    Ok(0)
}

pub(super) fn hash(options: &Options) -> Result<u8> {
    let path = file(options)?;
    let old = files::read(&path)?;
    let mut document = Document::parse(&old);
    check(&path, &document)?;
    for number in document.hash(&mut SystemRng) {
        say!(Error, "{}:{number}: ignoring host name with wildcard", show_path(&path));
    }
    if document.to_bytes() == *old {
        return Ok(0);
    }
    let beside = save(&path, &old, &document)?;
    print(format_args!("{} updated.", show_path(&path)));
    print(format_args!("Original contents retained as {}", show_path(&beside)));
    say!(Error, "WARNING: {} contains unhashed entries", show_path(&beside));
    say!(Error, "Delete this file to ensure privacy of hostnames");
    Ok(0)
}
