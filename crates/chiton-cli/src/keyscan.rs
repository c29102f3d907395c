//! `chiton keyscan`, also called by the name `ssh-keyscan`: the keys of hosts as lines for
//! `known_hosts`, with the command line and the output of OpenSSH's.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use chiton::{
    Preferences,
    client::{ScannedHost, scan_host_key},
    keys::{
        known_hosts::{HostName, entry_line},
        sshfp::{SshfpHash, SshfpRecord},
    },
};
use ssh_crypto::rng::SystemRng;
use tokio::task::JoinSet;

use crate::{
    advice,
    args::{self, ArgsError, Getopt, Grammar, Item},
    destination::parse_port,
    failure::{Failure, Result},
    keygen,
    log::{self, print, say},
    values::parse_time,
};

const USAGE: &str = "\
usage: ssh-keyscan [-46DHqv] [-f file] [-O option] [-p port] [-T timeout]
                   [-t type] [host | addrlist namelist]";

const GRAMMAR: Grammar = Grammar { flags: "46DHqv", values: "OTfpt", unsupported: "c" };

/// Hosts that are asked at the same time, so that a long list needs no more sockets than there are.
const AT_ONCE: usize = 64;

/// How long one host may take, unless said otherwise; as OpenSSH's.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The types of keys that are asked for, unless said otherwise; as OpenSSH's.
const TYPES: &str = "rsa,ecdsa,ed25519";

/// What the command line says.
#[derive(Debug)]
struct Options {
    dns: bool,
    hash: bool,
    quiet: bool,
    port: u16,
    timeout: Duration,
    /// Which hashes the DNS records have.
    dns_hashes: Vec<SshfpHash>,
    /// The algorithms of each type.
    types: Vec<&'static str>,
    /// Addresses with the names to print for them.
    hosts: Vec<(String, String)>,
}

/// Runs `keyscan`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let options = match parse(args) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print(USAGE);
            return 0;
        }
        Err(failure) => {
            say!(Fatal, "ssh-keyscan: {failure}");
            return 1;
        }
    };
    crate::run_async(run(options)).unwrap_or_else(|failure| {
        say!(Fatal, "ssh-keyscan: {failure}");
        1
    })
}

/// The host key algorithms behind a name for `-t`.
fn algorithms(name: &str) -> Result<&'static str> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "rsa" | "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256",
        "ecdsa" => "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
        "ecdsa-sha2-nistp256" => "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384" => "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521" => "ecdsa-sha2-nistp521",
        "ed25519" | "ssh-ed25519" => "ssh-ed25519",
        "mldsa44-ed25519" | "ssh-mldsa44-ed25519" => "ssh-mldsa44-ed25519",
        _ => {
            return Err(Failure::new(format_args!(
                "Unknown key type \"{}\"; there are rsa, ecdsa, ed25519 and mldsa44-ed25519",
                name.escape_debug()
            )));
        }
    })
}

fn parse(args: &[OsString]) -> Result<Option<Options>> {
    let mut options = Options {
        dns: false,
        hash: false,
        quiet: false,
        port: 22,
        timeout: TIMEOUT,
        dns_hashes: vec![SshfpHash::Sha1, SshfpHash::Sha256],
        types: Vec::new(),
        hosts: Vec::new(),
    };
    let mut types = TYPES.to_owned();
    let mut getopt = Getopt::new(GRAMMAR, args);
    while let Some(item) = getopt.next().map_err(Failure::new)? {
        let (option, value) = match item {
            Item::Help => return Ok(None),
            // The system chooses between the two kinds of addresses.
            Item::Flag('4' | '6') => continue,
            Item::Flag(flag) => {
                match flag {
                    'D' => options.dns = true,
                    'H' => options.hash = true,
                    'q' => options.quiet = true,
                    'v' => log::set_level(log::level().louder()),
                    other => return Err(Failure::new(ArgsError::Unknown(other))),
                }
                continue;
            }
            Item::Value('f', file) => {
                options.read_hosts(&PathBuf::from(file))?;
                continue;
            }
            Item::Value(option, value) => {
                (option, args::text(option, value).map_err(Failure::new)?)
            }
        };
        match option {
            'T' => {
                let time = parse_time(&value).filter(|time| !time.is_zero());
                options.timeout = time.ok_or_else(|| Failure::new("Bad timeout"))?;
            }
            'p' => {
                options.port = parse_port(&value).map_err(|_| {
                    Failure::new(format_args!("Bad port '{}'", value.escape_debug()))
                })?;
            }
            't' => types = value,
            _ => {
                options.dns_hashes = match value.strip_prefix("hashalg=") {
                    Some("sha1") => vec![SshfpHash::Sha1],
                    Some("sha256") => vec![SshfpHash::Sha256],
                    _ => return Err(Failure::new("the option -O takes hashalg=sha1 or sha256")),
                };
            }
        }
    }
    options.types = types.split(',').map(algorithms).collect::<Result<_>>()?;
    for host in getopt.rest() {
        let host = host.to_string_lossy().into_owned();
        options.hosts.push((host.clone(), host));
    }
    if options.hosts.is_empty() {
        return Err(Failure::new(format_args!("no host is named\n{USAGE}")));
    }
    Ok(Some(options))
}

impl Options {
    /// `-f`: a host, or addresses and the names for them, to a line.
    fn read_hosts(&mut self, path: &Path) -> Result<()> {
        let text = keygen::read_file(path)?;
        let text = String::from_utf8_lossy(&text);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(addresses) = words.next() else { continue };
            for address in addresses.split(',').filter(|address| !address.is_empty()) {
                let names = words.clone().next().unwrap_or(address);
                self.hosts.push((address.to_owned(), names.to_owned()));
            }
        }
        Ok(())
    }
}

async fn run(options: Options) -> Result<u8> {
    let mut waiting = Vec::new();
    for (address, names) in &options.hosts {
        for types in &options.types {
            waiting.push((address.clone(), names.clone(), *types));
        }
    }
    let (port, timeout) = (options.port, options.timeout);
    let mut waiting = waiting.into_iter();
    let mut scans = JoinSet::new();
    let mut found = false;
    let mut outcomes = BTreeMap::new();
    loop {
        while scans.len() < AT_ONCE
            && let Some((address, names, types)) = waiting.next()
        {
            scans.spawn(async move {
                let mut preferences = Preferences::modern();
                let result = match preferences.set_host_keys(types) {
                    Ok(()) => scan_host_key(&address, port, preferences, timeout)
                        .await
                        .map_err(|error| advice::explain(&error, None)),
                    Err(error) => Err(error.to_string()),
                };
                (address, names, result)
            });
        }
        let Some(done) = scans.join_next().await else { break };
        let Ok((address, names, result)) = done else { continue };
        match result {
            Ok(scanned) => {
                tell(&options, &address, &scanned);
                found |= show(&options, &names, &scanned)?;
                outcomes.insert(address, None);
            }
            Err(error) => {
                say!(Verbose, "{address}: {error}");
                outcomes.entry(address).or_insert(Some(error));
            }
        }
    }
    // That a host has no key of one type is usual; that it has none is worth a line.
    for (address, error) in &outcomes {
        if let Some(error) = error {
            say!(Error, "{}: {error}", ssh_wire::escape(address));
        }
    }
    io::stdout()
        .flush()
        .map_err(|error| Failure::local("write to", Path::new("standard output"), &error))?;
    Ok(u8::from(!found))
}

/// The comment that says who answered.
fn tell(options: &Options, address: &str, scanned: &ScannedHost) {
    if options.quiet {
        return;
    }
    let sign = if options.dns { ';' } else { '#' };
    let identification =
        scanned.identification.as_ref().map(ToString::to_string).unwrap_or_default();
    print(format_args!("{sign} {}:{} {identification}", ssh_wire::escape(address), options.port));
}

/// The lines for a key. True if there are any.
fn show(options: &Options, names: &str, scanned: &ScannedHost) -> Result<bool> {
    let mut found = false;
    for name in names.split(',').filter(|name| !name.is_empty()) {
        if options.dns {
            for hash in &options.dns_hashes {
                if let Some(record) = SshfpRecord::of(&scanned.key, *hash) {
                    print(format_args!("{} IN SSHFP {record}", ssh_wire::escape(name)));
                    found = true;
                }
            }
            continue;
        }
        let host = HostName::new(name, options.port).map_err(|_| {
            Failure::new(format_args!("not the name of a host: {}", name.escape_debug()))
        })?;
        let mut rng = SystemRng;
        let line = entry_line(&host, &scanned.key, options.hash.then_some(&mut rng));
        print(line.trim_end());
        found = true;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Option<Options>> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&words)
    }

    #[test]
    fn the_command_line_is_that_of_ssh_keyscan() {
        let all = options(&["-p", "2222", "-T3", "-t", "ed25519,rsa", "-H", "a", "b"]);
        let all = all.unwrap().unwrap();
        assert_eq!((all.port, all.timeout, all.hash), (2222, Duration::from_secs(3), true));
        assert_eq!(all.types, ["ssh-ed25519", "rsa-sha2-512,rsa-sha2-256"]);
        assert_eq!(all.hosts.len(), 2);
        assert!(options(&["--help"]).unwrap().is_none());
        for bad in [&[][..], &["-t", "dsa", "h"], &["-p", "0", "h"], &["-T", "x", "h"], &["-z"]] {
            assert!(options(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_file_has_addresses_and_the_names_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hosts");
        std::fs::write(&path, "10.0.0.1,10.0.0.2 name,alias # both\n\nhost\n").unwrap();
        let all = options(&["-f", path.to_str().unwrap()]).unwrap().unwrap();
        let expected = [("10.0.0.1", "name,alias"), ("10.0.0.2", "name,alias"), ("host", "host")];
        let expected = expected.map(|(address, names)| (address.to_owned(), names.to_owned()));
        assert_eq!(all.hosts, expected);
    }
}
