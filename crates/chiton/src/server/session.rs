//! RFC 4254 §6: one session of a client, from what it asks for to how it ended.

use core::{
    future::{Future, pending},
    pin::pin,
};
use std::{
    ffi::{OsStr, OsString},
    net::SocketAddr,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    sync::Arc,
};

use ssh_connection::{Env, Pty, ReplyToken, Request, Stream};
use ssh_keys::authorized_keys;
use tokio::sync::watch;

use super::{
    fs::Root,
    process::{self, Account, Group, Pipes, Process, What},
    relay, subsystem, terminal,
};
use crate::channel::Channel;

/// The most variables that a client may set for one program.
const MAX_VARIABLES: usize = 64;

/// The longest variable, name and value together, in bytes.
const MAX_VARIABLE: usize = 4096;

/// What sessions may do.
#[derive(Debug)]
pub(super) struct Permissions {
    pub(super) account: Account,
    pub(super) exec: bool,
    pub(super) sftp: Option<Root>,
    /// Names of variables; one that ends in `*` stands for all that begin so.
    pub(super) env: Vec<String>,
}

impl Permissions {
    fn accepts(&self, name: &[u8]) -> bool {
        self.env.iter().any(|known| match known.strip_suffix('*') {
            Some(start) => name.starts_with(start.as_bytes()),
            None => name == known.as_bytes(),
        })
    }
}

/// Whom a session belongs to.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
}

impl Origin {
    /// The variables by which programs know that they run over SSH.
    fn variables(&self) -> [(OsString, OsString); 2] {
        let (peer, local) = (self.peer, self.local);
        let ends = format!("{} {} {}", peer.ip(), peer.port(), local.port());
        let connection = format!("{} {} {} {}", peer.ip(), peer.port(), local.ip(), local.port());
        [("SSH_CLIENT".into(), ends.into()), ("SSH_CONNECTION".into(), connection.into())]
    }
}

/// The command that stands for the file server of this process, as in sshd_config(5).
const INTERNAL_SFTP: &str = "internal-sftp";

/// A session before its program.
struct Setup {
    channel: Channel,
    permissions: Arc<Permissions>,
    /// What the options of the client's key leave of them.
    granted: Arc<authorized_keys::Permissions>,
    env: Vec<(OsString, OsString)>,
    pty: Option<Pty<'static>>,
}

/// Serves one session until it ends.
pub(super) async fn serve(
    channel: Channel,
    permissions: Arc<Permissions>,
    granted: Arc<authorized_keys::Permissions>,
    origin: Origin,
) {
    // What the client would say on the other stream has no meaning.
    channel.discard(Stream::Stderr);
    let mut env: Vec<(OsString, OsString)> =
        granted.environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
    env.extend(origin.variables());
    let mut setup = Setup { channel, permissions, granted, env, pty: None };
    while let Ok(Some((request, token))) = setup.channel.next_request().await {
        match request {
            Request::Exec(_) | Request::Shell | Request::Subsystem(_) => {
                match setup.job(&request) {
                    Some(Job::Program(started)) => {
                        setup.reply(token, true);
                        return run(&setup.channel, *started).await;
                    }
                    Some(Job::Files(root)) => {
                        setup.reply(token, true);
                        return setup.serve_files(root).await;
                    }
                    None => setup.reply(token, false),
                }
            }
            request => {
                let ok = setup.prepare(request);
                setup.reply(token, ok);
            }
        }
    }
}

/// What a session is for.
enum Job {
    Program(Box<(Process, Pipes)>),
    Files(Root),
}

impl Job {
    fn program(started: (Process, Pipes)) -> Self {
        Self::Program(Box::new(started))
    }
}

impl Setup {
    /// What a request asks for, or what the client's key is for instead.
    fn job(&mut self, request: &Request<'static>) -> Option<Job> {
        if let Some(command) = self.granted.command.clone() {
            if command == INTERNAL_SFTP {
                return self.sftp("sftp").map(Job::Files);
            }
            let original = match request {
                Request::Exec(command) => Some(OsStr::from_bytes(command).to_owned()),
                Request::Subsystem(name) => Some(OsString::from(&**name)),
                _ => None,
            };
            let original = original.map(|command| ("SSH_ORIGINAL_COMMAND".into(), command));
            self.env.extend(original);
            return self.start(What::Command(command.as_bytes())).map(Job::program);
        }
        match request {
            Request::Exec(command) => self.start(What::Command(command)).map(Job::program),
            Request::Subsystem(name) => self.sftp(name).map(Job::Files),
            _ => self.start(What::Shell).map(Job::program),
        }
    }

    fn reply(&self, token: Option<ReplyToken>, ok: bool) {
        if let Some(token) = token {
            self.channel.reply(token, ok);
        }
    }

    /// Requests that come before the program.
    fn prepare(&mut self, request: Request<'static>) -> bool {
        match request {
            Request::Pty(pty)
                if self.permissions.exec && self.granted.pty && self.pty.is_none() =>
            {
                self.pty = Some(pty);
                true
            }
            Request::WindowChange(size) => match &mut self.pty {
                Some(pty) => {
                    pty.size = size.or(pty.size);
                    true
                }
                None => false,
            },
            Request::Env(variable) => self.set(&variable),
            _ => false,
        }
    }

    fn set(&mut self, Env { name, value }: &Env<'_>) -> bool {
        let proper = name.len().saturating_add(value.len()) <= MAX_VARIABLE
            && self.env.len() < MAX_VARIABLES
            && !name.iter().chain(value.iter()).any(|byte| *byte == 0)
            && !name.contains(&b'=');
        let accepted = proper && self.permissions.accepts(name);
        if accepted {
            let own = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
            self.env.push((own(name), own(value)));
        }
        accepted
    }

    /// Serves SFTP, which has no use for requests: they are refused, so that they do not pile up.
    async fn serve_files(&self, root: Root) {
        let refuse = async {
            while let Ok(Some((_, token))) = self.channel.next_request().await {
                self.reply(token, false);
            }
            pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = subsystem::sftp(&self.channel, root) => {}
            () = refuse => {}
        }
    }

    fn start(&self, what: What<'_>) -> Option<(Process, Pipes)> {
        if !self.permissions.exec {
            return None;
        }
        let Self { permissions, env, pty, .. } = self;
        process::start(&permissions.account, what, env, pty.as_ref()).ok()
    }

    fn sftp(&self, name: &str) -> Option<Root> {
        self.permissions.sftp.as_ref().filter(|_| name == "sftp")?.try_clone().ok()
    }
}

/// Connects a program with the client until both are done with each other.
async fn run(channel: &Channel, (process, pipes): (Process, Pipes)) {
    let group = process.group();
    let (ended, has_ended) = watch::channel(false);
    match pipes {
        Pipes::Plain { stdin, stdout, stderr } => {
            let output = async {
                tokio::join!(
                    relay::output(channel, Stream::Data, stdout, None),
                    relay::output(channel, Stream::Stderr, stderr, None),
                );
            };
            let input = relay::input(channel, stdin, Vec::new);
            let end = end(channel, process, &group, &ended, output);
            supervise(channel, &group, None, input, end).await;
        }
        Pipes::Terminal { input, output, control } => {
            let output = relay::output(channel, Stream::Data, output, Some(has_ended));
            let input = relay::input(channel, input, || vec![terminal::end_of_file(&control)]);
            let end = end(channel, process, &group, &ended, output);
            supervise(channel, &group, Some(&control), input, end).await;
        }
    }
}

/// Waits for the end of the program and of its output, tells the client how it ended, and closes
/// the channel.
///
/// The status comes behind the output, unless something in the background holds the output open
/// (RFC 4254 §6.10 allows both).
async fn end(
    channel: &Channel,
    mut process: Process,
    group: &Group,
    ended: &watch::Sender<bool>,
    output: impl Future<Output = ()>,
) {
    let mut output = pin!(output);
    let mut drained = false;
    let status = {
        let mut wait = pin!(process.wait());
        loop {
            tokio::select! {
                biased;
                () = &mut output, if !drained => drained = true,
                status = &mut wait => break status,
            }
        }
    };
    group.ended();
    ended.send_replace(true);
    if !drained {
        drained = tokio::time::timeout(process::DRAIN, &mut output).await.is_ok();
    }
    if let Ok(status) = status {
        channel.tell(&process::exit_request(status)).ok();
    }
    if !drained {
        output.await;
    }
    channel.eof();
    channel.close();
}

/// Handles requests while the program runs. Ends with the program, or when the client closes the
/// channel or is gone: then the program is hung up on, as `group` is dropped.
async fn supervise(
    channel: &Channel,
    group: &Group,
    terminal: Option<&OwnedFd>,
    input: impl Future<Output = ()>,
    end: impl Future<Output = ()>,
) {
    let input = async {
        input.await;
        pending::<()>().await;
    };
    let requests = async {
        while let Ok(Some((request, token))) = channel.next_request().await {
            let ok = deliver(&request, group, terminal);
            if let Some(token) = token {
                channel.reply(token, ok);
            }
        }
    };
    tokio::select! {
        biased;
        () = end => {}
        () = requests => {}
        () = input => {}
    }
}

fn deliver(request: &Request<'_>, group: &Group, terminal: Option<&OwnedFd>) -> bool {
    match request {
        Request::WindowChange(size) => {
            if let Some(terminal) = terminal {
                terminal::resize(terminal, *size);
            }
            terminal.is_some()
        }
        Request::Signal(name) => {
            let number = process::signal_named(name);
            if let Some(number) = number {
                group.signal(number, terminal);
            }
            number.is_some()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_accepted_by_name_or_beginning() {
        let permissions = Permissions {
            account: Account::current(),
            exec: true,
            sftp: None,
            env: vec!["LANG".into(), "LC_*".into()],
        };
        assert!(permissions.accepts(b"LANG") && permissions.accepts(b"LC_ALL"));
        for name in [&b"LANGUAGE"[..], b"LC", b"LD_PRELOAD", b"", b"lang"] {
            assert!(!permissions.accepts(name));
        }
    }
}
