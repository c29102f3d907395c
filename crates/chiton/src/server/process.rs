//! Programs that clients start, as the user who runs this server (RFC 4254 §6.5, §6.9, §6.10).

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{ffi::OsStrExt, process::ExitStatusExt},
    },
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use pty_process::{OwnedReadPty, OwnedWritePty};
use rustix::{
    process::{Pid, Signal, kill_process_group},
    termios::tcgetpgrp,
};
use ssh_connection::{ExitSignal, Pty, Request, Signal as SignalName};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use super::terminal;

/// Where programs are looked for if this server was started without a `PATH`.
const USUAL_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The shell of last resort: POSIX has it at this place.
const USUAL_SHELL: &str = "/bin/sh";

/// How long the output of a terminal may stay silent after its program has ended, before the
/// terminal is taken away from whatever the program left running in the background.
pub(super) const DRAIN: Duration = Duration::from_millis(250);

/// The user who runs this server, to whom all programs belong.
#[derive(Clone, Debug)]
pub(super) struct Account {
    name: String,
    pub(super) home: PathBuf,
    pub(super) shell: PathBuf,
    path: OsString,
}

impl Account {
    /// Asks the system.
    pub(super) fn current() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            name: whoami::username().unwrap_or_else(|_| "nobody".to_owned()),
            home: etcetera::home_dir().unwrap_or_else(|_| PathBuf::from("/")),
            shell: variable("SHELL").map_or_else(|| USUAL_SHELL.into(), PathBuf::from),
            path: variable("PATH").unwrap_or_else(|| USUAL_PATH.into()),
        }
    }
}

/// What to start.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// The user's shell, as a login shell.
    Shell,
    /// A command, which the user's shell reads.
    Command(&'a [u8]),
}

/// A running program.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// The process group has the number of its first process.
    group: Option<Pid>,
}

/// How to speak to it.
#[derive(Debug)]
pub(super) enum Pipes {
    /// Three pipes.
    Plain { stdin: ChildStdin, stdout: ChildStdout, stderr: ChildStderr },
    /// A terminal, and its handle for everything that is not data.
    Terminal { input: OwnedWritePty, output: OwnedReadPty, control: OwnedFd },
}

/// Starts a program in a process group of its own.
pub(super) fn start(
    account: &Account,
    what: What<'_>,
    env: &[(OsString, OsString)],
    pty: Option<&Pty<'_>>,
) -> io::Result<(Process, Pipes)> {
    let mut command = Command::new(&account.shell);
    match what {
        What::Command(text) => {
            command.arg("-c").arg(OsStr::from_bytes(text));
        }
        What::Shell => {
            // A name that begins with a dash makes a login shell.
            let mut name = OsString::from("-");
            name.push(account.shell.file_name().unwrap_or(OsStr::new("sh")));
            command.arg0(name);
        }
    }
    command.env_clear();
    command.env("PATH", &account.path).env("HOME", &account.home).env("SHELL", &account.shell);
    command.env("USER", &account.name).env("LOGNAME", &account.name);
    command.envs(env.iter().map(|(name, value)| (name, value)));
    command.current_dir(if account.home.is_dir() { &account.home } else { Path::new("/") });
    match pty {
        Some(pty) => start_on_terminal(command, pty),
        None => start_with_pipes(command),
    }
}

fn start_with_pipes(mut command: Command) -> io::Result<(Process, Pipes)> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0);
    let mut child = command.spawn()?;
    let (Some(stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    Ok((Process::of(child), Pipes::Plain { stdin, stdout, stderr }))
}

fn start_on_terminal(mut command: Command, wanted: &Pty<'_>) -> io::Result<(Process, Pipes)> {
    command.env("TERM", OsStr::from_bytes(&wanted.term));
    let (pty, pts) = pty_process::open().map_err(into_io)?;
    terminal::resize(&pty, wanted.size);
    terminal::set_modes(&pts, &wanted.modes);
    // The program becomes the leader of a session, and so of a process group.
    let child = pty_process::Command::from(command).spawn(pts).map_err(into_io)?;
    let control = pty.as_fd().try_clone_to_owned()?;
    let (output, input) = pty.into_split();
    Ok((Process::of(child), Pipes::Terminal { input, output, control }))
}

fn into_io(error: pty_process::Error) -> io::Error {
    match error {
        pty_process::Error::Io(error) => error,
        pty_process::Error::Rustix(error) => error.into(),
        other => io::Error::other(other),
    }
}

impl Process {
    fn of(child: Child) -> Self {
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        Self { child, group }
    }

    /// Waits for the end of the program.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// What signals are sent to.
    pub(super) const fn group(&self) -> Group {
        Group { leader: self.group, ended: AtomicBool::new(false) }
    }
}

/// The process group of a program. When this is dropped before the program has ended, its
/// terminal or its pipes are about to go, and it is told so, as by a modem that hangs up.
#[derive(Debug)]
pub(super) struct Group {
    leader: Option<Pid>,
    ended: AtomicBool,
}

impl Group {
    /// Takes note that the program has ended: from now on the number of its group belongs to
    /// nobody, or to somebody else.
    pub(super) fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// Sends a signal to the program, or to the part of it that has the terminal.
    pub(super) fn signal(&self, signal: Signal, terminal: Option<&OwnedFd>) {
        if self.ended.load(Ordering::Relaxed) {
            return;
        }
        let foreground = terminal.and_then(|terminal| tcgetpgrp(terminal).ok());
        if let Some(group) = foreground.or(self.leader) {
            // A group that has ended meanwhile has nobody to miss it.
            kill_process_group(group, signal).ok();
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::HUP, None);
    }
}

/// The signal with a name of RFC 4254 §6.9.
pub(super) fn signal_named(name: &SignalName<'_>) -> Option<Signal> {
    SIGNALS.iter().find(|(known, _)| known == name).map(|(_, signal)| *signal)
}

const SIGNALS: &[(SignalName<'static>, Signal)] = &[
    (SignalName::ABRT, Signal::ABORT),
    (SignalName::ALRM, Signal::ALARM),
    (SignalName::FPE, Signal::FPE),
    (SignalName::HUP, Signal::HUP),
    (SignalName::ILL, Signal::ILL),
    (SignalName::INT, Signal::INT),
    (SignalName::KILL, Signal::KILL),
    (SignalName::PIPE, Signal::PIPE),
    (SignalName::QUIT, Signal::QUIT),
    (SignalName::SEGV, Signal::SEGV),
    (SignalName::TERM, Signal::TERM),
    (SignalName::USR1, Signal::USR1),
    (SignalName::USR2, Signal::USR2),
];

/// The message that tells how a program ended.
pub(super) fn exit_request(status: ExitStatus) -> Request<'static> {
    if let Some(code) = status.code() {
        return Request::ExitStatus(u32::try_from(code).unwrap_or(u32::MAX));
    }
    let number = status.signal().unwrap_or_default();
    let known = SIGNALS.iter().find(|(_, signal)| signal.as_raw() == number);
    // §6.10: a signal without a name of its own gets one with a domain.
    let (signal, message) = match known {
        Some((name, _)) => (name.clone(), String::new()),
        None => (SignalName::named("SIG@openssh.com"), format!("signal {number}")),
    };
    Request::ExitSignal(ExitSignal {
        signal,
        core_dumped: status.core_dumped(),
        message: message.into_bytes().into(),
        language: b"".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn output_of(what: What<'_>, env: &[(OsString, OsString)]) -> (String, ExitStatus) {
        let account = Account { shell: USUAL_SHELL.into(), ..Account::current() };
        let (mut process, pipes) = start(&account, what, env, None).unwrap();
        let Pipes::Plain { stdin, mut stdout, .. } = pipes else { panic!() };
        drop(stdin);
        let mut text = String::new();
        stdout.read_to_string(&mut text).await.unwrap();
        let status = process.wait().await.unwrap();
        (text, status)
    }

    #[tokio::test]
    async fn a_program_sees_only_the_environment_meant_for_it() {
        let env = [("LANG".into(), "tlh".into())];
        let (text, status) = output_of(What::Command(b"env | cut -d= -f1 | sort"), &env).await;
        let names: Vec<&str> =
            text.lines().filter(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name)).collect();
        assert_eq!(names, ["HOME", "LANG", "LOGNAME", "PATH", "SHELL", "USER"]);
        assert_eq!(exit_request(status), Request::ExitStatus(0));
    }

    #[tokio::test]
    async fn codes_and_signals_are_told_apart() {
        let (_, status) = output_of(What::Command(b"exit 200"), &[]).await;
        assert_eq!(exit_request(status), Request::ExitStatus(200));
        let (_, status) = output_of(What::Command(b"kill -TERM $$"), &[]).await;
        let Request::ExitSignal(exit) = exit_request(status) else { panic!() };
        assert_eq!(exit.signal, SignalName::TERM);
        let (_, status) = output_of(What::Command(b"kill -XCPU $$"), &[]).await;
        let Request::ExitSignal(exit) = exit_request(status) else { panic!() };
        assert_eq!(exit.signal.name(), "SIG@openssh.com");
    }

    #[tokio::test]
    async fn a_command_with_a_nul_in_it_is_refused() {
        assert!(start(&Account::current(), What::Command(b"a\0b"), &[], None).is_err());
    }

    #[tokio::test]
    async fn a_program_on_a_terminal_sees_it() {
        let pty = Pty {
            term: b"vt100".into(),
            size: ssh_connection::WindowSize::of_characters(132, 50),
            modes: ssh_connection::TerminalModes::default(),
        };
        let account = Account { shell: USUAL_SHELL.into(), ..Account::current() };
        let command = What::Command(b"tty >/dev/null && stty size && echo $TERM");
        let (mut process, pipes) = start(&account, command, &[], Some(&pty)).unwrap();
        let Pipes::Terminal { input: _input, mut output, .. } = pipes else { panic!() };
        let mut text = Vec::new();
        // Linux says EIO when nobody has the terminal open any more.
        output.read_to_end(&mut text).await.ok();
        assert_eq!(String::from_utf8(text).unwrap(), "50 132\r\nvt100\r\n");
        assert!(process.wait().await.unwrap().success());
    }

    #[test]
    fn every_signal_of_the_rfc_has_a_number() {
        for (name, number) in SIGNALS {
            assert_eq!(signal_named(name), Some(*number));
        }
        assert_eq!(signal_named(&SignalName::named("STOP")), None);
    }
}
