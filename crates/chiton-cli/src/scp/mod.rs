//! `chiton scp`: copies files between machines, over SFTP or, with `-O`, by the protocol of `rcp`.

mod copy;
mod place;
mod rcp;
mod relay;

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use tokio::process;

use crate::{
    args::{self, Getopt, Grammar, Item},
    destination::Destination,
    failure::{Failure, Result, io_reason},
    log::{print, say},
    options,
    reach::Reach,
    sftp::transfer::Pace,
    signals, ssh,
};
use copy::Session;
use place::Place;

const GRAMMAR: Grammar =
    Grammar { flags: "346ABCOpqRrsTvdft", values: "cDFiJloPSX", unsupported: "" };

const USAGE: &str = "chiton scp [options] source ... target";

/// What `--help` prints, up to the names of the options of `-o`.
const HELP: &str = "\
chiton scp: copies files between machines; options as OpenSSH's scp

usage: chiton scp [options] source ... target

Each is a local file, [user@]host:[path] or scp://[user@]host[:port][/path].

  -r                whole directories; links in them are followed
  -p                keep times and modes
  -P port           the port; 22 unless said
  -i key_file       a private key to log in with; may be given more than once
  -o Name=value     an option by its name, see below
  -l limit          the most Kbit to move in a second
  -B                batch mode: ask for nothing
  -q, -v            say less, say more; -v up to three times
  -3                from one host to another through this machine: the default
  -R                from one host to another by an scp on the first
  -O                by the old protocol, for which the other side needs an scp; the
                    shell there then reads patterns and quotes in the path
  -s                over SFTP: the default
  -T                with -O: take names that were not asked for
  -X option         how SFTP asks: buffer=bytes, nrequests=number
  -c ciphers        what to offer, best first, with commas between
  -F none           read no configuration file; none is read so far
  -D program        speak to a server program on this machine, such as sftp-server
  -S program        connect by another ssh program; it gets -4, -6, -A, -C, -J as
                    well, which this one does not support yet
  -t, -f, -d        be the other side of -O: receive, send, into a directory
";

/// What the program exits with if something was not copied, and if there is no connection.
const FAILED: u8 = 1;
const CONNECTION_FAILED: u8 = 255;

/// What the options of the command line say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    reach: Reach,
    pace: Pace,
    recursive: bool,
    preserve: bool,
    quiet: bool,
    verbosity: u32,
    /// `-O`
    old: bool,
    /// `-R`
    remote_to_remote: bool,
    /// `-T`
    trusting: bool,
    /// `-d`
    directory: bool,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    Copy {
        sources: Vec<Place>,
        target: Place,
    },
    /// `-t`: what somebody else's `scp` runs here.
    Receive {
        target: PathBuf,
    },
    /// `-f`
    Send {
        sources: Vec<PathBuf>,
    },
}

/// Runs `scp`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let (result, code) = match parse(args) {
        Ok(Some((settings, task))) => (crate::run_async(run(settings, task)), CONNECTION_FAILED),
        Ok(None) => {
            print(format_args!("{HELP}\n{}", options::help()));
            return 0;
        }
        Err(failure) => (Err(failure), FAILED),
    };
    match result {
        Ok(true) => 0,
        Ok(false) => FAILED,
        Err(failure) => {
            say!(Fatal, "chiton scp: {failure}");
            code
        }
    }
}

/// Reads the command line; nothing is to be done if it asks for help.
fn parse(args: &[OsString]) -> Result<Option<(Settings, Task)>> {
    let mut getopt = Getopt::new(GRAMMAR, args);
    let mut settings = Settings::default();
    let (mut receive, mut send) = (false, false);
    while let Some(item) = getopt.next().map_err(Failure::new)? {
        match item {
            Item::Help => return Ok(None),
            Item::Flag('B') => settings.reach.batch_mode(),
            Item::Flag('d') => settings.directory = true,
            Item::Flag('f') => send = true,
            Item::Flag('O') => settings.old = true,
            Item::Flag('p') => settings.preserve = true,
            Item::Flag('R') => settings.remote_to_remote = true,
            Item::Flag('r') => settings.recursive = true,
            Item::Flag('s') => settings.old = false,
            Item::Flag('T') => settings.trusting = true,
            Item::Flag('t') => receive = true,
            Item::Flag('3') => settings.remote_to_remote = false,
            Item::Value(option @ ('X' | 'l'), value) => {
                settings.pace.set(option, &args::text(option, value).map_err(Failure::new)?)?;
            }
            item => {
                match item {
                    Item::Flag('q') => settings.quiet = true,
                    Item::Flag('v') => settings.verbosity = settings.verbosity.saturating_add(1),
                    _ => {}
                }
                settings.reach.take(item)?;
            }
        }
    }
    settings.reach.check()?;
    let operands = getopt.rest();
    let task = match (receive, send) {
        (true, true) => return Err(Failure::new("-t and -f exclude each other")),
        (true, false) => match operands {
            [target] => Task::Receive { target: target.into() },
            _ => return Err(Failure::new("-t needs one target")),
        },
        (false, true) => Task::Send { sources: operands.iter().map(PathBuf::from).collect() },
        (false, false) => {
            let [sources @ .., target] = operands else { return Err(too_few()) };
            if sources.is_empty() {
                return Err(too_few());
            }
            let parse = |operand: &OsString| Place::parse(operand);
            let sources = sources.iter().map(parse).collect::<Result<_>>()?;
            Task::Copy { sources, target: parse(target)? }
        }
    };
    Ok(Some((settings, task)))
}

fn too_few() -> Failure {
    Failure::new(format_args!("a source and a target are needed: {USAGE}; --help says more"))
}

/// True if everything was copied. What was not was told.
async fn run(settings: Settings, task: Task) -> Result<bool> {
    let level = settings.reach.options().unwrap_or_default();
    ssh::set_log_level(&level, settings.quiet, settings.verbosity);
    signals::watch(i32::from(FAILED))
        .map_err(|error| Failure::new(format_args!("cannot watch for signals: {error}")))?;
    match task {
        Task::Receive { target } => Ok(rcp::serve_receiving(&settings, &target).await),
        Task::Send { sources } => Ok(rcp::serve_sending(&settings, &sources).await),
        Task::Copy { sources, target: Place::Local(target) } => {
            to_local(&settings, sources, Path::new(&target)).await
        }
        Task::Copy { sources, target: Place::Remote { host, path } } => {
            to_remote(&settings, sources, &host, &path).await
        }
    }
}

/// Says what went wrong; false, since something did.
pub(crate) fn told(result: Result<bool>) -> bool {
    result.unwrap_or_else(|failure| {
        say!(Error, "chiton scp: {failure}");
        false
    })
}

async fn to_local(settings: &Settings, sources: Vec<Place>, target: &Path) -> Result<bool> {
    let several = sources.len() > 1;
    if (several || settings.directory) && !target.is_dir() {
        let target = crate::failure::show_path(target);
        return Ok(told(Err(Failure::new(format_args!(
            "{target} is not a directory, and several files are to be copied there"
        )))));
    }
    let mut complete = true;
    let mut session: Option<Session> = None;
    for source in sources {
        complete &= match source {
            Place::Local(source) => told(copy_here(settings, &source, target).await),
            Place::Remote { host, path } if settings.old => {
                rcp::download(settings, &host, &path, target).await?
            }
            Place::Remote { host, path } => {
                let session = Session::keep(&mut session, settings, &host).await?;
                session.told(session.download(&path, target)).await
            }
        };
        if let Some(session) = &mut session {
            session.check().await?;
        }
    }
    end(session).await;
    Ok(complete)
}

async fn to_remote(
    settings: &Settings,
    sources: Vec<Place>,
    host: &Destination,
    path: &[u8],
) -> Result<bool> {
    let several = sources.len() > 1;
    let mut complete = true;
    let mut locals = Vec::new();
    let (mut here, mut there): (Option<Session>, Option<Session>) = (None, None);
    for source in sources {
        match source {
            Place::Local(source) => locals.push(PathBuf::from(source)),
            Place::Remote { host: from, path: source } if settings.remote_to_remote => {
                complete &=
                    relay::by_the_other_side(settings, (&from, &source), (host, path)).await?;
            }
            Place::Remote { host: from, path: source } if settings.old => {
                let (from, to) = ((&from, source.as_slice()), (host, path));
                complete &= rcp::relay(settings, from, to, several).await?;
            }
            Place::Remote { host: from, path: source } => {
                let from = Session::keep(&mut there, settings, &from).await?;
                let to = Session::keep(&mut here, settings, host).await?;
                complete &= told(relay::over_sftp(from, &source, to, path, several).await);
                from.check().await?;
                to.check().await?;
            }
        }
    }
    if !locals.is_empty() && settings.old {
        complete &= rcp::upload(settings, &locals, host, path, several).await?;
    } else if !locals.is_empty() {
        let session = Session::keep(&mut here, settings, host).await?;
        complete &= session.told(session.upload(&locals, path, several)).await;
        session.check().await?;
    }
    end(here).await;
    end(there).await;
    Ok(complete)
}

async fn end(session: Option<Session>) {
    if let Some(session) = session {
        session.end().await;
    }
}

/// Copies a file of this machine to another place on it, as OpenSSH does: by `cp`.
async fn copy_here(settings: &Settings, source: &OsStr, target: &Path) -> Result<bool> {
    let mut command = process::Command::new("cp");
    if settings.recursive {
        command.arg("-r");
    }
    if settings.preserve {
        command.arg("-p");
    }
    let status = command.arg("--").arg(source).arg(target).status().await;
    let status = status
        .map_err(|error| Failure::new(format_args!("cannot run cp: {}", io_reason(&error))))?;
    Ok(status.success())
}

/// The last component of what was asked for, in which patterns are left.
pub(crate) fn asked_name(path: &[u8]) -> &[u8] {
    let trimmed =
        path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last.saturating_add(1));
    let path = path.get(..trimmed).unwrap_or(path);
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// The bytes of a path of this machine.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<(Settings, Task)> {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&args).map(Option::unwrap)
    }

    #[test]
    fn help_tells_of_every_option() {
        assert_eq!(parse(&["--help".into()]), Ok(None));
        for option in GRAMMAR.flags.chars().chain(GRAMMAR.values.chars()) {
            assert!(HELP.contains(&format!("-{option}")), "-{option}");
        }
        assert!(HELP.lines().all(|line| line.len() <= 84));
    }

    #[test]
    fn the_last_operand_is_the_target() {
        let (settings, task) = parsed(&["-rpq", "-P", "23", "a", "h:b", "c"]).unwrap();
        assert!(settings.recursive && settings.preserve && settings.quiet && !settings.old);
        let Task::Copy { sources, target } = task else { panic!("{task:?}") };
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0], Place::Local("a".into()));
        assert_eq!(target, Place::Local("c".into()));
        assert!(parsed(&["a"]).unwrap_err().to_string().contains("target"));
        assert!(parsed(&[]).is_err());
    }

    #[test]
    fn the_other_side_of_the_old_protocol_is_asked_for_as_openssh_does() {
        let (settings, task) = parsed(&["-v", "-r", "-p", "-d", "-t", "--", "-x"]).unwrap();
        assert!(settings.directory && settings.recursive);
        assert_eq!(task, Task::Receive { target: "-x".into() });
        let (_, task) = parsed(&["-f", "a", "b"]).unwrap();
        assert_eq!(task, Task::Send { sources: vec!["a".into(), "b".into()] });
        assert!(parsed(&["-t"]).is_err() && parsed(&["-tf", "a"]).is_err());
    }

    #[test]
    fn the_name_that_was_asked_for_is_the_last_component() {
        for (path, name) in
            [("a", "a"), ("/x/a*/", "a*"), ("x/b", "b"), ("/", ""), ("", ""), (".", ".")]
        {
            assert_eq!(asked_name(path.as_bytes()), name.as_bytes(), "{path}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let line = |words: &[&str]| parsed(words).unwrap_err().to_string();
        assert!(line(&["-J", "x", "a", "h:b"]).contains("-J"));
        assert!(line(&["-l", "fast", "a", "h:b"]).contains("-l"));
        assert!(line(&["-Z", "a", "h:b"]).contains("-Z"));
        assert!(line(&["", "h:b"]).contains("empty"));
    }
}
