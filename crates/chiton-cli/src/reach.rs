//! How `sftp` and `scp` get to the other side: by a connection of this program, through another
//! `ssh` program (`-S`), or to a server program on this machine (`-D`).

use core::fmt;
use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    process::Stdio,
};

use chiton::{Child, Client, Sftp};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    process,
};

use crate::{
    advice,
    args::{self, ArgsError, Item},
    connect::{self, Target},
    destination::Destination,
    failure::{Failure, Result, show_path},
    options::Options,
    ssh, terminal,
};

/// What the command line says about the way there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reach {
    /// `-S`
    program: Option<OsString>,
    /// `-D`
    server: Option<OsString>,
    /// Every other option that concerns the connection, in order.
    items: Vec<Item>,
}

/// What comes from the other side, and what goes there.
pub(crate) type Input = Box<dyn AsyncRead + Send + Unpin>;
/// See [`Input`].
pub(crate) type Output = Box<dyn AsyncWrite + Send + Unpin>;

impl Reach {
    /// Takes an option that concerns the connection.
    pub(crate) fn take(&mut self, item: Item) -> Result<()> {
        let (slot, value) = match item {
            Item::Value('S', value) => (&mut self.program, value),
            Item::Value('D', value) => (&mut self.server, value),
            item => {
                self.items.push(item);
                return Ok(());
            }
        };
        if value.is_empty() {
            return Err(Failure::new("-S and -D need the name of a program"));
        }
        *slot = Some(value);
        Ok(())
    }

    /// Nobody is there to answer questions.
    pub(crate) fn batch_mode(&mut self) {
        self.items.push(Item::Value('o', "BatchMode=yes".into()));
    }

    /// Makes sure that the options are known, before anything else happens. Another program
    /// knows its own.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_local() || self.program.is_some() { Ok(()) } else { self.options().map(drop) }
    }

    /// True if a server on this machine is used.
    pub(crate) fn is_local(&self) -> bool {
        self.server.is_some()
    }

    /// The options of a connection of this program.
    pub(crate) fn options(&self) -> Result<Options> {
        let mut options = Options::default();
        for item in &self.items {
            match item {
                Item::Flag('q' | 'v') | Item::Help => {}
                Item::Flag('C') => drop(options.compression.get_or_insert(true)),
                Item::Flag(flag) | Item::Value(flag @ 'J', _) => {
                    return Err(Failure::new(ArgsError::Unsupported(*flag)));
                }
                Item::Value('F', file) => ssh::config_file(file)?,
                Item::Value(option, value) => {
                    let text = args::text(*option, value.clone()).map_err(Failure::new)?;
                    ssh::set_option(&mut options, *option, &text)?;
                }
            }
        }
        Ok(options)
    }

    /// The command line for another `ssh` program, up to what it is to run.
    fn program_line(&self, program: &OsStr, to: &Destination) -> Vec<OsString> {
        let mut line: Vec<OsString> = vec![program.to_owned()];
        // As OpenSSH's sftp and scp: a file transfer forwards nothing and starts nothing here.
        let fixed = ["-x", "-oPermitLocalCommand=no", "-oClearAllForwardings=yes"];
        line.extend(fixed.map(OsString::from));
        line.extend(["-oRemoteCommand=none", "-oRequestTTY=no"].map(OsString::from));
        if !self.items.contains(&Item::Flag('A')) {
            line.push("-oForwardAgent=no".into());
        }
        for item in &self.items {
            match item {
                Item::Flag(flag) => line.push(format!("-{flag}").into()),
                Item::Value('P', port) => {
                    line.push("-p".into());
                    line.push(port.clone());
                }
                Item::Value(option, value) => {
                    line.push(format!("-{option}").into());
                    line.push(value.clone());
                }
                Item::Help => {}
            }
        }
        if let Some(port) = to.port {
            line.extend(["-p".to_owned(), port.to_string()].map(OsString::from));
        }
        if let Some(user) = &to.user {
            line.extend(["-l", user].map(OsString::from));
        }
        line
    }

    /// Opens an SFTP session. `to` may be missing for a local server only; `subsystem` is its
    /// name or the path of the server program on the other side, where it is not `sftp`.
    pub(crate) async fn sftp(
        &self,
        to: Option<&Destination>,
        subsystem: Option<&OsStr>,
    ) -> Result<(Sftp, Other)> {
        if let Some(server) = &self.server {
            // As OpenSSH, which lets arguments follow the program.
            let words = server.as_bytes().split(u8::is_ascii_whitespace);
            let words = words.filter(|word| !word.is_empty());
            let line: Vec<OsString> = words.map(|word| OsStr::from_bytes(word).into()).collect();
            return sftp_over(spawn(&line)?).await;
        }
        let to = to.ok_or_else(|| Failure::new("the destination is missing"))?;
        let name = subsystem.unwrap_or(OsStr::new("sftp"));
        let is_command = name.as_bytes().contains(&b'/');
        if let Some(program) = &self.program {
            let mut line = self.program_line(program, to);
            if !is_command {
                line.push("-s".into());
            }
            line.extend(["--".into(), OsString::from(&to.host), name.to_owned()]);
            return sftp_over(spawn(&line)?).await;
        }
        let (client, target) = self.connect(to).await?;
        let sftp = if subsystem.is_none() {
            client.open_sftp_ahead().await
        } else {
            let command = match name.to_str() {
                Some(text) if !is_command => client.subsystem(text),
                _ => client.command(name.as_bytes()),
            };
            over_command(&command).await
        };
        let explain = |error| Failure::new(advice::explain(&error, Some(&target)));
        Ok((sftp.map_err(explain)?, Other::Connection { client, target, child: None }))
    }

    /// Runs a command on the other side. What it writes to its standard error appears here.
    pub(crate) async fn run(
        &self,
        to: &Destination,
        command: &[u8],
    ) -> Result<(Input, Output, Other)> {
        if let Some(program) = &self.program {
            let mut line = self.program_line(program, to);
            let command = OsString::from_vec(command.to_vec());
            line.extend(["--".into(), OsString::from(&to.host), command]);
            let Spawned { input, output, name, child } = spawn(&line)?;
            return Ok((Box::new(input), Box::new(output), Other::Program { name, child }));
        }
        let (client, target) = self.connect(to).await?;
        let explain = |error| Failure::new(advice::explain(&error, Some(&target)));
        let mut child = client.command(command).spawn().await.map_err(explain)?;
        let (Some(input), Some(output)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(Failure::new("the command has no input and no output"));
        };
        show_errors(child.stderr.take());
        let other = Other::Connection { client, target, child: Some(child) };
        Ok((Box::new(input), Box::new(output), other))
    }

    async fn connect(&self, to: &Destination) -> Result<(Client, Box<Target>)> {
        let options = self.options()?;
        let target = Box::new(Target::new(to, &options)?);
        Ok((connect::connect(&target, &options).await?, target))
    }
}

/// Copies what a command writes to its standard error to ours.
fn show_errors(from: Option<chiton::ChildStderr>) {
    let Some(mut from) = from else { return };
    drop(tokio::spawn(async move {
        // What nobody can be told is not told.
        tokio::io::copy(&mut from, &mut tokio::io::stderr()).await.ok();
    }));
}

async fn over_command(command: &chiton::Command) -> core::result::Result<Sftp, chiton::Error> {
    let mut child = command.spawn().await?;
    show_errors(child.stderr.take());
    let (Some(input), Some(output)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(chiton::Error::Closed);
    };
    Sftp::over(tokio::io::join(input, output)).await
}

/// A program that was started, and its pipes.
struct Spawned {
    input: process::ChildStdout,
    output: process::ChildStdin,
    name: String,
    child: process::Child,
}

/// What keeps SIGINT and SIGTSTP, which the terminal sends to every program, from a program that
/// is to outlive them: what is ignored stays ignored.
const SHIELD: &str = "trap '' INT TSTP; exec \"$@\"";

fn spawn(line: &[OsString]) -> Result<Spawned> {
    let (program, args) =
        line.split_first().ok_or_else(|| Failure::new("there is no program to run"))?;
    let name = show_path(program.as_ref());
    let cannot = |error: &dyn fmt::Display| {
        Failure::new(format_args!("cannot run {name}: {error}; is the name right?"))
    };
    let mut command = if terminal::stdin_is_tty() {
        let mut shell = process::Command::new("/bin/sh");
        shell.args(["-c", SHIELD, "sh"]).arg(program);
        shell
    } else {
        process::Command::new(program)
    };
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().map_err(|e| cannot(&crate::failure::io_reason(&e)))?;
    let (Some(input), Some(output)) = (child.stdout.take(), child.stdin.take()) else {
        return Err(cannot(&"it has no pipes"));
    };
    Ok(Spawned { input, output, name, child })
}

async fn sftp_over(spawned: Spawned) -> Result<(Sftp, Other)> {
    let Spawned { input, output, name, child } = spawned;
    let mut other = Other::Program { name, child };
    match Sftp::over(tokio::io::join(input, output)).await {
        Ok(sftp) => Ok((sftp, other)),
        Err(error) => Err(other.explain_end(&error).await),
    }
}

/// The other side, as long as it is needed.
pub(crate) enum Other {
    Connection {
        client: Client,
        target: Box<Target>,
        /// The command that runs there.
        child: Option<Child>,
    },
    Program {
        name: String,
        child: process::Child,
    },
}

impl Other {
    /// What it is called: the host, or nothing for a program.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Self::Connection { target, .. } => Some(&target.host),
            Self::Program { .. } => None,
        }
    }

    /// Comes back when the connection has ended, or the session turns out not to begin. Of a
    /// program, its pipes tell.
    pub(crate) fn closed(&self, sftp: &Sftp) -> impl Future<Output = ()> + 'static {
        let (sftp, client) = match self {
            Self::Connection { client, .. } => (Some(sftp.clone()), Some(client.clone())),
            Self::Program { .. } => (None, None),
        };
        async move {
            let (Some(sftp), Some(client)) = (sftp, client) else {
                return core::future::pending().await;
            };
            tokio::select! {
                Err(_) = sftp.begun() => {}
                _ = client.closed() => {}
            }
        }
    }

    /// Why nothing works any more, if so.
    pub(crate) async fn lost(&mut self, sftp: &Sftp) -> Option<Failure> {
        if let Self::Connection { client, target, .. } = self
            && let Some(error) = client.is_closed()
        {
            return Some(Failure::new(advice::explain(&error, Some(target))));
        }
        sftp.ended()?;
        Some(match self {
            Self::Connection { target, .. } => match sftp.begun().await {
                Ok(()) => Failure::new(format_args!(
                    "{} port {}: the server has ended the SFTP session",
                    target.host, target.port
                )),
                Err(error) => Failure::new(advice::explain(&error, Some(target))),
            },
            Self::Program { .. } => self.explain_end(&chiton::Error::Closed).await,
        })
    }

    /// What to say when a program does not speak any more, or not what it should.
    async fn explain_end(&mut self, error: &chiton::Error) -> Failure {
        let Self::Program { name, child } = self else {
            return Failure::new(advice::explain(error, None));
        };
        let misspoke = match error {
            chiton::Error::Sftp(error) => {
                matches!(error.kind, chiton::error::SftpErrorKind::Protocol(_))
            }
            _ => false,
        };
        if misspoke {
            let what = advice::explain(error, None);
            return Failure::new(format_args!("{name} does not speak SFTP: {what}"));
        }
        match child.wait().await {
            Ok(status) => Failure::new(format_args!("{name} has ended ({status})")),
            Err(error) => Failure::new(format_args!("{name} has ended: {error}")),
        }
    }

    /// Says good-bye. Of a command, gives its exit status: 255 if it has none.
    pub(crate) async fn end(self) -> u8 {
        match self {
            Self::Connection { client, child, .. } => {
                let status = match child {
                    Some(mut child) => child.wait().await.ok().and_then(|s| s.code()),
                    None => Some(0),
                };
                // Nobody needs it any more.
                drop(client.close().await);
                status.map_or(FAILED, |code| u8::try_from(code).unwrap_or(FAILED))
            }
            Self::Program { mut child, .. } => {
                let status = child.wait().await.ok().and_then(|status| status.code());
                status.map_or(FAILED, |code| u8::try_from(code).unwrap_or(FAILED))
            }
        }
    }
}

/// The exit status where there is none.
const FAILED: u8 = 255;

#[cfg(test)]
mod tests {
    use super::*;

    fn host(port: Option<u16>) -> Destination {
        Destination { user: Some("alice".into()), host: "h".into(), port, path: None }
    }

    #[test]
    fn another_program_gets_every_option() {
        let mut reach = Reach::default();
        for item in [
            Item::Value('S', "myssh".into()),
            Item::Value('F', "config".into()),
            Item::Value('o', "ProxyCommand=x y".into()),
            Item::Flag('C'),
            Item::Value('P', "23".into()),
        ] {
            reach.take(item).unwrap();
        }
        assert_eq!(reach.check(), Ok(()), "options of another program are its own");
        let line = reach.program_line("myssh".as_ref(), &host(Some(22)));
        let text: Vec<&str> = line.iter().map(|word| word.to_str().unwrap()).collect();
        let text = text.join(" ");
        assert!(text.starts_with("myssh -x -oPermitLocalCommand=no"), "{text}");
        assert!(text.ends_with("-F config -o ProxyCommand=x y -C -p 23 -p 22 -l alice"), "{text}");
    }

    #[test]
    fn compression_is_an_option_of_our_own_connections_too() {
        let mut reach = Reach::default();
        reach.take(Item::Flag('C')).unwrap();
        assert_eq!(reach.options().unwrap().compression, Some(true));
    }

    #[test]
    fn without_another_program_what_cannot_be_done_is_an_error() {
        for (item, named) in [
            (Item::Value('J', "a".into()), "-J"),
            (Item::Flag('A'), "-A"),
            (Item::Value('o', "ProxyCommand=x".into()), "ProxyCommand"),
        ] {
            let mut reach = Reach::default();
            reach.take(item.clone()).unwrap();
            assert!(reach.check().unwrap_err().to_string().contains(named), "{item:?}");
            reach.take(Item::Value('D', "/bin/server".into())).unwrap();
            assert_eq!(reach.check(), Ok(()), "nobody is connected to");
        }
    }

    #[tokio::test]
    async fn a_program_that_ends_or_says_something_else_is_named() {
        let line = |server: &str| {
            let server = OsString::from(server);
            async move {
                let reach = Reach { server: Some(server), ..Reach::default() };
                reach.sftp(None, None).await.map(drop).unwrap_err().to_string()
            }
        };
        let said = line("/nonexistent/server").await;
        assert!(said.contains("/nonexistent/server") && said.contains("no such file"), "{said}");
        let said = line("false -x").await;
        assert!(said.contains("false has ended (exit status: 1)"), "{said}");
        // It goes on until nobody listens: one that ended could do so before it is spoken to.
        let said = line("yes hello").await;
        assert!(said.contains("yes does not speak SFTP"), "{said}");
    }
}
