//! `chiton agent`, also called by the name `ssh-agent`: an agent in the background, with the
//! command line and the output of OpenSSH's.
//!
//! There is no `fork`: the program starts itself once more, and hands the socket over as standard
//! input. With a command the agent ends when the command has.

use core::time::Duration;
use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Read as _, Write as _},
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
            process::CommandExt as _,
        },
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use chiton::agent::Server;
use rustix::process::{DumpableBehavior, Pid, Signal, getppid, set_dumpable_behavior, setsid};
use ssh_agent::{client, frame, message::RequestIdentities};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    args::{self, ArgsError, Getopt, Grammar, Item},
    askpass,
    failure::{Failure, Result},
    log::{self, print, say},
    values::parse_time,
};

const USAGE: &str = "\
usage: ssh-agent [-c | -s] [-Dd] [-a bind_address] [-E fingerprint_hash]
                 [-O option] [-P allowed_providers] [-t life]
       ssh-agent [-a bind_address] [-E fingerprint_hash] [-O option]
                 [-P allowed_providers] [-t life] command [arg ...]
       ssh-agent [-c | -s] -k";

const GRAMMAR: Grammar = Grammar { flags: "cdDks", values: "aEOPt", unsupported: "TUu" };

const SOCKET: &str = "SSH_AUTH_SOCK";
const PID: &str = "SSH_AGENT_PID";

/// The first argument of the process that serves; the second is the process whose end ends it, or
/// 0; the third is the path of the socket; the fourth is the lifetime of keys in seconds, or 0.
const SERVE: &str = "--serve-inherited-socket";

/// How often the agent looks whether the command still runs. OpenSSH's number.
const LOOK_AFTER_COMMAND: Duration = Duration::from_secs(10);

/// What a signal ends the agent with, as OpenSSH's.
const ENDED_BY_SIGNAL: u8 = 2;

/// What the command line says.
#[derive(Debug, Default)]
struct Options {
    /// `-c` or `-s`; for whose shell to write.
    csh: Option<bool>,
    kill: bool,
    foreground: bool,
    socket: Option<PathBuf>,
    lifetime: Option<Duration>,
    command: Vec<OsString>,
}

/// Runs `agent`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let result = match args {
        [serve, parent, socket, lifetime] if serve == SERVE => {
            serve_inherited(parent, socket, lifetime)
        }
        _ => run(args),
    };
    result.unwrap_or_else(|failure| {
        say!(Fatal, "ssh-agent: {failure}");
        1
    })
}

fn run(args: &[OsString]) -> Result<u8> {
    let Some(options) = parse(args)? else {
        print(USAGE);
        return Ok(0);
    };
    if options.kill {
        return kill(options.csh());
    }
    let (listener, path) = bind(options.socket.as_deref())?;
    if options.foreground {
        print(set_line(options.csh(), SOCKET, &path.display().to_string()));
        print(format_args!("echo Agent pid {};", std::process::id()));
        return serve(listener, &path, options.lifetime, None);
    }
    start(listener, &path, &options).inspect_err(|_| clean_up(&path))
}

fn parse(args: &[OsString]) -> Result<Option<Options>> {
    let mut options = Options::default();
    let mut getopt = Getopt::new(GRAMMAR, args);
    while let Some(item) = getopt.next().map_err(Failure::new)? {
        match item {
            Item::Help => return Ok(None),
            Item::Flag('c') => options.csh = Some(true),
            Item::Flag('s') => options.csh = Some(false),
            Item::Flag('k') => options.kill = true,
            Item::Flag('D') => options.foreground = true,
            Item::Flag('d') => {
                options.foreground = true;
                log::set_level(log::level().louder());
            }
            Item::Flag(other) => return Err(Failure::new(ArgsError::Unknown(other))),
            Item::Value('a', path) => options.socket = Some(path.into()),
            Item::Value('t', life) => {
                let life = args::text('t', life).map_err(Failure::new)?;
                let time = parse_time(&life).filter(|time| !time.is_zero());
                options.lifetime = Some(
                    time.ok_or_else(|| Failure::new(format_args!("Invalid lifetime {life}")))?,
                );
            }
            // Which libraries and hashes for tokens and logs there may be: there are none here.
            Item::Value(..) => {}
        }
    }
    options.command = getopt.rest().to_vec();
    if !options.command.is_empty() && (options.csh.is_some() || options.kill || options.foreground)
    {
        return Err(Failure::new("a command goes with neither of -c, -D, -d, -k and -s"));
    }
    Ok(Some(options))
}

impl Options {
    /// Whether to write for the C shell.
    fn csh(&self) -> bool {
        let shell = || env::var("SHELL").is_ok_and(|shell| shell.ends_with("csh"));
        self.csh.unwrap_or_else(shell)
    }
}

/// Makes the socket. Nobody else may write to it, nor, unless it was named, see it.
fn bind(path: Option<&Path>) -> Result<(UnixListener, PathBuf)> {
    let path = match path {
        Some(path) => env::current_dir().unwrap_or_default().join(path),
        None => {
            let mut directory = tempfile::Builder::new();
            directory.prefix("ssh-").rand_bytes(12);
            let directory = directory.permissions(fs::Permissions::from_mode(0o700)).tempdir();
            let cannot = |error| Failure::local("make a directory in", &env::temp_dir(), &error);
            let directory = directory.map_err(cannot)?.keep();
            directory.join(format!("agent.{}", std::process::id()))
        }
    };
    // Until the mode is set, the directory or the agent itself keeps others away.
    let bound = UnixListener::bind(&path).and_then(|listener| {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        Ok(listener)
    });
    match bound {
        Ok(listener) => Ok((listener, path)),
        Err(error) => Err(Failure::local("make the socket", &path, &error)),
    }
}

/// Starts the process that serves, and tells how to reach it.
fn start(listener: UnixListener, path: &Path, options: &Options) -> Result<u8> {
    let failed = |error| Failure::new(format_args!("cannot start the agent: {error}"));
    let own = std::process::id();
    let parent = if options.command.is_empty() { 0 } else { own };
    let lifetime = options.lifetime.unwrap_or_default().as_secs();
    let mut child = Command::new(env::current_exe().map_err(failed)?);
    child.arg0("ssh-agent").arg(SERVE).arg(parent.to_string()).arg(path).arg(lifetime.to_string());
    child.stdin(OwnedFd::from(listener)).stdout(Stdio::null()).stderr(Stdio::null());
    let child = child.current_dir("/").spawn().map_err(failed)?;
    wait_until_it_serves(path).map_err(failed)?;
    let pid = child.id().to_string();
    let Some((program, arguments)) = options.command.split_first() else {
        let csh = options.csh();
        print(set_line(csh, SOCKET, &path.display().to_string()));
        print(set_line(csh, PID, &pid));
        print(format_args!("echo Agent pid {pid};"));
        return Ok(0);
    };
    let error = Command::new(program).args(arguments).env(SOCKET, path).env(PID, pid).exec();
    Err(Failure::new(format_args!("{}: {error}", program.display())))
}

/// Asks it for its keys, so that whoever has its number can reach it, and can end it without leaving
/// the socket behind.
fn wait_until_it_serves(path: &Path) -> io::Result<()> {
    let mut stream = UnixStream::connect(path)?;
    let question = client::payload(&RequestIdentities {});
    let question = frame::framed(&question).map_err(io::Error::other)?;
    stream.write_all(question.expose())?;
    stream.read_exact(&mut [0; frame::HEADER_LEN])
}

fn set_line(csh: bool, name: &str, value: &str) -> String {
    if csh { format!("setenv {name} {value};") } else { format!("{name}={value}; export {name};") }
}

/// `-k`
fn kill(csh: bool) -> Result<u8> {
    let text = env::var(PID)
        .map_err(|_| Failure::new(format_args!("{PID} not set, cannot kill agent")))?;
    let pid = text.parse().ok().filter(|pid| *pid > 1).and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| {
        Failure::new(format_args!("{PID}=\"{}\", which is not a good PID", text.escape_debug()))
    })?;
    rustix::process::kill_process(pid, Signal::TERM)
        .map_err(|error| Failure::new(format_args!("cannot kill the agent {text}: {error}")))?;
    let unset = if csh { "unsetenv" } else { "unset" };
    print(format_args!("{unset} {SOCKET};"));
    print(format_args!("{unset} {PID};"));
    print(format_args!("echo Agent pid {text} killed;"));
    Ok(0)
}

/// The process in the background: see [`SERVE`].
fn serve_inherited(parent: &OsString, socket: &OsString, lifetime: &OsString) -> Result<u8> {
    let number = |text: &OsString| text.to_str().and_then(|text| text.parse::<u32>().ok());
    let (Some(parent), Some(lifetime)) = (number(parent), number(lifetime)) else {
        return Err(Failure::new(format_args!("{SERVE} is for this program's own use")));
    };
    let failed = |error| Failure::new(format_args!("cannot take the socket over: {error}"));
    let listener = io::stdin().as_fd().try_clone_to_owned().map_err(failed)?;
    // Fails only for one who leads a session already.
    let _ = setsid();
    let lifetime = (lifetime > 0).then(|| Duration::from_secs(lifetime.into()));
    serve(listener.into(), Path::new(socket), lifetime, (parent > 0).then_some(parent))
}

/// Serves until a signal comes, or the process `parent` has ended.
fn serve(
    listener: UnixListener,
    path: &Path,
    lifetime: Option<Duration>,
    parent: Option<u32>,
) -> Result<u8> {
    // Nobody but root is to read the keys, neither from memory nor from a dump of it. It is a
    // precaution, and the agent is of use without.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let failed = |error| Failure::new(format_args!("cannot serve: {error}"));
    let code = crate::run_async(async {
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::UnixListener::from_std(listener).map_err(failed)?;
        let server = lifetime.map_or_else(Server::new, Server::with_lifetime);
        let server = server.confirm(|question| askpass::permission(&question.to_string()));
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        tokio::select! {
            never = server.serve(listener) => match never {},
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
            _ = interrupt.recv() => {}
            () = end_of(parent) => {}
        }
        Ok(ENDED_BY_SIGNAL)
    });
    clean_up(path);
    code
}

/// Waits until the process is no longer the one that started this.
async fn end_of(parent: Option<u32>) {
    let Some(parent) = parent else { return core::future::pending().await };
    let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
    while getppid() == parent {
        tokio::time::sleep(LOOK_AFTER_COMMAND).await;
    }
}

/// Removes the socket, and the directory if it was made for it.
fn clean_up(path: &Path) {
    drop(fs::remove_file(path));
    let directory = path.parent().filter(|directory| {
        directory.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"ssh-"))
    });
    if let Some(directory) = directory {
        // Only an empty one goes.
        drop(fs::remove_dir(directory));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(words: &[&str]) -> Result<Options> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        parse(&words).map(Option::unwrap_or_default)
    }

    #[test]
    fn the_command_line_is_that_of_ssh_agent() {
        let all = options(&["-s", "-a", "/x/y", "-t1h", "-P", "lib*", "-E", "sha256"]).unwrap();
        assert_eq!(all.csh, Some(false));
        assert_eq!(all.socket, Some("/x/y".into()));
        assert_eq!(all.lifetime, Some(Duration::from_secs(3600)));
        assert_eq!(options(&["-t", "5", "sh", "-c", "x"]).unwrap().command, ["sh", "-c", "x"]);
        assert!(options(&["-k"]).unwrap().kill && options(&["-D"]).unwrap().foreground);
        assert!(options(&["-z"]).is_err() && options(&["-t", "0"]).is_err());
        assert!(options(&["-c", "true"]).is_err());
    }

    #[test]
    fn the_lines_are_for_the_shell_that_reads_them() {
        assert_eq!(set_line(false, "A", "b"), "A=b; export A;");
        assert_eq!(set_line(true, "A", "b"), "setenv A b;");
    }

    #[test]
    fn a_socket_is_open_to_nobody_else_and_goes_with_its_directory() {
        let (listener, path) = bind(None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let directory = path.parent().unwrap();
        assert_eq!((mode(&path), mode(directory)), (0o600, 0o700));
        assert!(bind(Some(&path)).unwrap_err().to_string().contains("agent."));
        drop(listener);
        clean_up(&path);
        assert!(!directory.exists());
    }
}
