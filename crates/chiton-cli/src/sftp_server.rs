//! `chiton sftp-server`: SFTP on standard input and output, with the command line of OpenSSH's
//! `sftp-server`, for whatever starts such a program: an `sshd`, a test, a pipe.
//!
//! It serves the files of the machine as the user who runs it may use them. Requests are answered
//! one after the other; whoever sends many does not wait for each.

use core::fmt;
use std::{
    env,
    ffi::OsString,
    io,
    os::unix::{ffi::OsStringExt, net::UnixDatagram},
    path::PathBuf,
};

use chiton::server::fs::System;
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    stdio::{stdin, stdout},
};
use sftp::{
    StatusCode,
    message::FromClient,
    server::{Config, Operation, Policy, Server},
};

use crate::{
    args::{Getopt, Grammar, Item, text},
    failure::{Failure, Result, io_reason},
    log::{self, Level, print},
    sftp::show,
};

/// What is read at once: the longest packet of a client.
const PIECE: usize = 256 * 1024;

/// What it ends with if its arguments are wrong or the client is gone.
const FAILED: u8 = 1;

/// What it ends with if the client sends no SFTP, as OpenSSH's.
const NO_SFTP: u8 = 11;

const GRAMMAR: Grammar = Grammar { flags: "eR", values: "dflPpQu", unsupported: "" };

const HELP: &str = "\
Usage: chiton sftp-server [-eR] [-d DIRECTORY] [-f FACILITY] [-l LEVEL] [-P REQUESTS] [-p REQUESTS]
                          [-u UMASK]
       chiton sftp-server -Q requests

Serves SFTP on standard input and output, as OpenSSH's sftp-server. Not to be run by hand: an SSH
server starts it, or sftp -D.

  -d DIRECTORY   begin there and not in the present directory; %d is the home, %u the user's name
  -e             log to standard error and not to the system's log
  -f FACILITY    what to be in the system's log: DAEMON, USER, AUTH (the default), LOCAL0 to LOCAL7
  -l LEVEL       how much to log: QUIET, FATAL, ERROR (the default), INFO, VERBOSE, DEBUG
  -P REQUESTS    what not to do, with commas between; -Q requests lists the names
  -p REQUESTS    do only this
  -Q requests    list the names of requests
  -R             change nothing
  -u UMASK       the permissions that new files do not get, in octal";

/// Runs `sftp-server`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let settings = match Settings::parse(args) {
        Ok(Some(settings)) => settings,
        Ok(None) => return 0,
        Err(failure) => {
            log::write(Level::Fatal, format_args!("chiton sftp-server: {failure}"));
            return FAILED;
        }
    };
    serve(settings)
}

/// The names of syslog's facilities with their numbers (RFC 5424 §6.2.1).
const FACILITIES: [(&str, u8); 11] = [
    ("USER", 1),
    ("DAEMON", 3),
    ("AUTH", 4),
    ("LOCAL0", 16),
    ("LOCAL1", 17),
    ("LOCAL2", 18),
    ("LOCAL3", 19),
    ("LOCAL4", 20),
    ("LOCAL5", 21),
    ("LOCAL6", 22),
    ("LOCAL7", 23),
];

#[derive(Debug)]
struct Settings {
    start: Option<String>,
    to_stderr: bool,
    facility: u8,
    level: Level,
    policy: Policy,
    umask: Option<u32>,
}

impl Settings {
    /// `None` if what was asked for has been printed.
    fn parse(args: &[OsString]) -> Result<Option<Self>> {
        let mut settings = Self {
            start: None,
            to_stderr: false,
            facility: 4,
            level: Level::Error,
            policy: Policy::default(),
            umask: None,
        };
        let mut getopt = Getopt::new(GRAMMAR, args);
        while let Some(item) = getopt.next().map_err(Failure::new)? {
            match item {
                Item::Help => {
                    print(HELP);
                    return Ok(None);
                }
                Item::Flag('e') => settings.to_stderr = true,
                Item::Flag(_) => settings.policy = settings.policy.read_only(),
                Item::Value(option, value) => {
                    let value = text(option, value).map_err(Failure::new)?;
                    if option == 'Q' {
                        return list(&value).map(|()| None);
                    }
                    settings = settings.with(option, value)?;
                }
            }
        }
        // What else stands there is ignored, as by OpenSSH's: some call it with the host's name.
        Ok(Some(settings))
    }

    fn with(mut self, option: char, value: String) -> Result<Self> {
        let wrong = |what: &str| {
            let value = value.escape_debug();
            Failure::new(format_args!("-{option} {value}: {what}; --help says more"))
        };
        match option {
            'd' => self.start = Some(value),
            'f' => {
                let known = FACILITIES.iter().find(|(name, _)| name.eq_ignore_ascii_case(&value));
                self.facility = known.ok_or_else(|| wrong("no facility of the log"))?.1;
            }
            'l' => {
                self.level =
                    Level::from_name(&value).ok_or_else(|| wrong("no level of the log"))?;
            }
            'u' => {
                let mask = u32::from_str_radix(&value, 8).ok().filter(|mask| *mask <= 0o777);
                self.umask = Some(mask.ok_or_else(|| wrong("no octal number up to 777"))?);
            }
            _ => {
                // A name that is mistyped must not leave open what was to be closed.
                let named = |name: &str| {
                    Operation::from_name(name).ok_or_else(|| {
                        wrong("not every word of it is a request; -Q requests lists them")
                    })
                };
                let named = value.split(',').map(named).collect::<Result<Vec<_>>>()?;
                let denied = |operation: &Operation| named.contains(operation) == (option == 'P');
                self.policy = Operation::all().filter(denied).fold(self.policy, Policy::deny);
            }
        }
        Ok(self)
    }
}

fn list(what: &str) -> Result<()> {
    if !what.eq_ignore_ascii_case("requests") {
        let what = what.escape_debug();
        return Err(Failure::new(format_args!("-Q {what}: it can only be asked for requests")));
    }
    Operation::all().for_each(|operation| print(operation.name()));
    Ok(())
}

/// Puts home and user into the directory of `-d`.
fn expand(directory: &str, home: &str, user: &str) -> Result<String> {
    let mut out = String::new();
    let mut chars = directory.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('d') => out.push_str(home),
            Some('u') => out.push_str(user),
            Some('%') => out.push('%'),
            _ => {
                return Err(Failure::new(format_args!(
                    "-d {}: only %d, %u and %% can follow a %",
                    directory.escape_debug()
                )));
            }
        }
    }
    Ok(out)
}

/// Where the session begins: a directory that cannot be entered is told, and not fatal, as with
/// OpenSSH's.
fn start(directory: Option<&str>, log: &Log) -> Result<PathBuf> {
    let here = || {
        env::current_dir().map_err(|error| {
            Failure::new(format_args!("cannot tell the present directory: {}", io_reason(&error)))
        })
    };
    let Some(directory) = directory else { return here() };
    let home = env::home_dir().unwrap_or_default().into_os_string().into_vec();
    let user = whoami::username().unwrap_or_default();
    let directory = expand(directory, &String::from_utf8_lossy(&home), &user)?;
    match env::set_current_dir(&directory) {
        Ok(()) => {}
        Err(error) => log.say(
            Level::Error,
            format_args!("cannot begin in {}: {}", show(directory.as_bytes()), io_reason(&error)),
        ),
    }
    here()
}

fn serve(settings: Settings) -> u8 {
    let log = Log::new(&settings);
    if let Some(mask) = settings.umask {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask));
    }
    let start = match start(settings.start.as_deref(), &log) {
        Ok(start) => start,
        Err(failure) => {
            log.say(Level::Fatal, format_args!("{failure}"));
            return FAILED;
        }
    };
    let mut config = Config::default();
    config.policy = settings.policy;
    let mut server = Server::new(System::new(start), &config);
    let observed = log.clone();
    server.observe(Box::new(move |request, code| observed.request(request, code)));
    log.say(Level::Info, format_args!("session opened"));
    let code = answer(&mut server, &log);
    log.say(Level::Info, format_args!("session closed"));
    code
}

fn answer(server: &mut Server<System>, log: &Log) -> u8 {
    let (mut input, mut output) = (vec![0; PIECE], Vec::new());
    loop {
        let n = match read(&mut input) {
            Ok(0) => return 0,
            Ok(n) => n,
            Err(error) => {
                log.say(Level::Error, format_args!("cannot read: {}", io_reason(&error)));
                return FAILED;
            }
        };
        let mut rest = input.get(..n).unwrap_or_default();
        while !rest.is_empty() {
            output.clear();
            let taken = server.feed(rest, &mut output);
            if let Err(error) = write_all(&output) {
                log.say(Level::Error, format_args!("cannot write: {}", io_reason(&error)));
                return FAILED;
            }
            match taken {
                Ok(taken) => rest = rest.get(taken..).unwrap_or_default(),
                Err(error) => {
                    log.say(Level::Error, format_args!("{error}"));
                    return NO_SFTP;
                }
            }
        }
    }
}

/// Reads what there is, and waits if that is nothing, also where the descriptor does not: who
/// started the program may use it as well.
fn read(buf: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::io::read(stdin(), &mut *buf) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&stdin(), PollFlags::IN)], None)?;
            }
            result => return Ok(result?),
        }
    }
}

fn write_all(mut data: &[u8]) -> io::Result<()> {
    while !data.is_empty() {
        match rustix::io::write(stdout(), data) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&stdout(), PollFlags::OUT)], None)?;
            }
            result => data = data.get(result?..).unwrap_or_default(),
        }
    }
    Ok(())
}

/// Where the log goes.
#[derive(Debug)]
struct Log {
    level: Level,
    facility: u8,
    /// The system's log; `None` for standard error.
    system: Option<UnixDatagram>,
}

impl Clone for Log {
    fn clone(&self) -> Self {
        let system = self.system.as_ref().and_then(|socket| socket.try_clone().ok());
        Self { system, ..*self }
    }
}

impl Log {
    /// A machine without a log gets none: standard error belongs to the client.
    fn new(settings: &Settings) -> Self {
        let Settings { to_stderr, facility, level, .. } = *settings;
        if to_stderr {
            return Self { level, facility, system: None };
        }
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect("/dev/log")?;
            socket.set_nonblocking(true)?;
            io::Result::Ok(socket)
        };
        match connect() {
            Ok(socket) => Self { level, facility, system: Some(socket) },
            Err(_) => Self { level: Level::Quiet, facility, system: None },
        }
    }

    fn say(&self, level: Level, message: fmt::Arguments<'_>) {
        if level > self.level || self.level == Level::Quiet {
            return;
        }
        let Some(system) = &self.system else {
            log::set_level(self.level);
            log::write(level, message);
            return;
        };
        let severity = match level {
            Level::Quiet | Level::Fatal => 2,
            Level::Error => 3,
            Level::Info | Level::Verbose => 6,
            Level::Debug1 | Level::Debug2 | Level::Debug3 => 7,
        };
        let priority = u16::from(self.facility).saturating_mul(8).saturating_add(severity);
        let line = format!("<{priority}>sftp-server[{}]: {message}", std::process::id());
        // A log that is full has nobody to be told to.
        drop(system.send(line.as_bytes()));
    }

    fn request(&self, request: &FromClient<'_>, code: StatusCode) {
        let (level, what) = describe(request);
        match code {
            StatusCode::Ok | StatusCode::Eof => self.say(level, format_args!("{what}")),
            code => self.say(level.min(Level::Verbose), format_args!("{what}: {code}")),
        }
    }
}

/// A request as the log has it. What comes for each piece of a file is only for those who look for
/// errors.
fn describe(request: &FromClient<'_>) -> (Level, String) {
    let one = |what: &str, path: &[u8]| (Level::Info, format!("{what} \"{}\"", show(path)));
    let two = |what: &str, old: &[u8], new: &[u8]| {
        (Level::Info, format!("{what} \"{}\" \"{}\"", show(old), show(new)))
    };
    match request {
        FromClient::Open(m) => {
            let mode = m.attrs.permissions.map_or(0o666, |permissions| permissions.mode());
            let flags = m.flags.bits();
            (Level::Info, format!("open \"{}\" flags {flags:#x} mode {mode:#o}", show(m.path)))
        }
        FromClient::Opendir(m) => one("opendir", m.path),
        FromClient::Remove(m) => one("remove", m.path),
        FromClient::Mkdir(m) => one("mkdir", m.path),
        FromClient::Rmdir(m) => one("rmdir", m.path),
        FromClient::Setstat(m) => one("set", m.path),
        FromClient::Rename(m) => two("rename", m.old, m.new),
        FromClient::Symlink(m) => two("symlink", m.target, m.link),
        FromClient::Close(_) => (Level::Info, "close".to_owned()),
        FromClient::Extended(m) => one("extended", m.name),
        FromClient::Stat(m) => (Level::Verbose, format!("stat \"{}\"", show(m.path))),
        FromClient::Lstat(m) => (Level::Verbose, format!("lstat \"{}\"", show(m.path))),
        FromClient::Realpath(m) => (Level::Verbose, format!("realpath \"{}\"", show(m.path))),
        FromClient::Readlink(m) => (Level::Verbose, format!("readlink \"{}\"", show(m.path))),
        FromClient::Read(m) => (Level::Debug1, format!("read {} bytes at {}", m.len, m.offset)),
        FromClient::Write(m) => {
            (Level::Debug1, format!("write {} bytes at {}", m.data.len(), m.offset))
        }
        // `INIT`, and what is asked of an open file.
        _ => (Level::Debug1, "a request for an open file".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Settings>> {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        Settings::parse(&args)
    }

    #[test]
    fn the_command_line_is_that_of_openssh() {
        let settings = parse(&["-eR", "-l", "debug3", "-fLOCAL7", "-u", "027", "-d", "%d/x"])
            .unwrap()
            .unwrap();
        assert!(settings.to_stderr);
        assert_eq!((settings.level, settings.facility), (Level::Debug3, 23));
        assert_eq!((settings.umask, settings.start.as_deref()), (Some(0o27), Some("%d/x")));
        assert!(!settings.policy.permits(Operation::Remove));
        assert!(parse(&["-Q", "requests"]).unwrap().is_none());
        assert!(parse(&["-h"]).unwrap().is_none());
        assert!(parse(&["-e", "somehost", "sftp"]).unwrap().is_some());
    }

    #[test]
    fn lists_of_requests_deny_and_permit() {
        let policy = parse(&["-P", "remove,posix-rename"]).unwrap().unwrap().policy;
        for operation in Operation::all() {
            let denied = ["remove", "posix-rename"].contains(&operation.name());
            assert_eq!(policy.permits(operation), !denied, "{}", operation.name());
        }
        let policy = parse(&["-p", "open,read,close", "-P", "read"]).unwrap().unwrap().policy;
        assert!(policy.permits(Operation::Open) && !policy.permits(Operation::Read));
        assert!(!policy.permits(Operation::Write));
    }

    #[test]
    fn what_is_wrong_is_said_and_not_guessed() {
        for (words, what) in [
            (&["-P", "remove,writ"][..], "not every word of it is a request"),
            (&["-u", "8"], "no octal number"),
            (&["-u", "1777"], "no octal number"),
            (&["-l", "loud"], "no level"),
            (&["-f", "MAIL"], "no facility"),
            (&["-Q", "ciphers"], "only be asked for requests"),
            (&["-z"], "unknown option"),
        ] {
            let failure = parse(words).unwrap_err().to_string();
            assert!(failure.contains(what), "{failure}");
        }
    }

    #[test]
    fn the_directory_may_name_home_and_user() {
        assert_eq!(expand("%d/%u/%%x", "/home/a", "a").unwrap(), "/home/a/a/%x");
        assert!(expand("%x", "", "").is_err() && expand("x%", "", "").is_err());
    }

    #[test]
    fn names_in_the_log_cannot_forge_lines() {
        let request = FromClient::Remove(sftp::message::Remove { id: 1, path: b"a\nb\x1b" });
        assert_eq!(describe(&request).1, "remove \"a\\nb\\u{1b}\"");
    }
}
