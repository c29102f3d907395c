//! Carries out the commands of `sftp`.

use std::{
    env, fs,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use sftp::Attrs;
use tokio::process;

use super::{
    command::{COMMANDS, Command, ListFlags, Owner, TransferFlags},
    listing::{self, Entry, Usage},
    remote::{Remote, entry, explain},
    show,
    transfer::{Manner, Transfers},
    words::Word,
};
use crate::{
    advice,
    failure::{Failure, Result},
    log::{print, say},
    terminal,
};

/// The width of a listing that goes to no terminal.
const DEFAULT_COLUMNS: usize = 80;

/// What comes after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// It failed, in part or at all, and the user was told.
    Failed,
    Quit,
}

impl Outcome {
    fn of(complete: bool) -> Self {
        if complete { Self::Done } else { Self::Failed }
    }
}

/// A session of commands.
#[derive(Debug)]
pub(crate) struct Interpreter {
    pub(crate) remote: Remote,
    /// Flags that the command line sets for every transfer.
    pub(crate) flags: TransferFlags,
    pub(crate) manner: Manner,
}

impl Interpreter {
    /// Carries out one command. What goes wrong is said.
    pub(crate) async fn run(&mut self, command: Command) -> Outcome {
        if command.is_relative()
            && let Err(failure) = self.remote.settle().await
        {
            say!(Error, "{failure}");
            return Outcome::Failed;
        }
        let result = match command {
            Command::Nothing => Ok(Outcome::Done),
            Command::Bye => Ok(Outcome::Quit),
            Command::Get { .. } | Command::Put { .. } => self.transfer(command).await,
            Command::Help
            | Command::Lcd(_)
            | Command::Lls(_)
            | Command::Lmkdir(_)
            | Command::Lpwd
            | Command::Lumask(_)
            | Command::Progress
            | Command::Shell(_)
            | Command::Version => self.local(command).await,
            Command::Cd(_) | Command::Pwd | Command::Ls { .. } | Command::Df { .. } => {
                self.look(command).await
            }
            _ => self.change(command).await,
        };
        result.unwrap_or_else(|failure| {
            say!(Error, "{failure}");
            Outcome::Failed
        })
    }

    async fn transfer(&self, command: Command) -> Result<Outcome> {
        let merge = |flags: TransferFlags| TransferFlags {
            resume: flags.resume || self.flags.resume,
            sync: flags.sync || self.flags.sync,
            preserve: flags.preserve || self.flags.preserve,
            recursive: flags.recursive || self.flags.recursive,
        };
        let transfers =
            |flags| Transfers { remote: &self.remote, flags: merge(flags), manner: self.manner };
        let complete = match command {
            Command::Get { flags, remote, local } => {
                transfers(flags).get(&remote, local.as_ref()).await?
            }
            Command::Put { flags, local, remote } => {
                transfers(flags).put(&local, remote.as_ref()).await?
            }
            _ => true,
        };
        Ok(Outcome::of(complete))
    }

    /// Commands that only concern this side.
    async fn local(&mut self, command: Command) -> Result<Outcome> {
        match command {
            Command::Help => print_lines(help()),
            Command::Lcd(word) => {
                let path = match word {
                    Some(word) => path(&word),
                    None => env::home_dir()
                        .ok_or_else(|| Failure::new("there is no home directory; name one"))?,
                };
                env::set_current_dir(&path)
                    .map_err(|e| Failure::local("change the local directory to", &path, &e))?;
            }
            Command::Lls(line) => {
                let mut list = b"ls ".to_vec();
                list.extend_from_slice(&line);
                return shell(&list).await;
            }
            Command::Lmkdir(word) => {
                let path = path(&word);
                fs::create_dir(&path)
                    .map_err(|e| Failure::local("make the local directory", &path, &e))?;
            }
            Command::Lpwd => {
                let path = env::current_dir().map_err(|error| {
                    Failure::new(format_args!("cannot tell the local directory: {error}"))
                })?;
                print(format_args!(
                    "Local working directory: {}",
                    show(path.as_os_str().as_bytes())
                ));
            }
            Command::Lumask(mask) => {
                rustix::process::umask(rustix::fs::Mode::from_raw_mode(mask & 0o777));
                print(format_args!("Local umask: {mask:03o}"));
            }
            Command::Progress => {
                self.manner.progress = !self.manner.progress;
                let state = if self.manner.progress { "enabled" } else { "disabled" };
                print(format_args!("Progress meter {state}"));
            }
            Command::Shell(line) => return shell(&line).await,
            _ => print(format_args!("SFTP protocol version 3")),
        }
        Ok(Outcome::Done)
    }

    /// Commands that change nothing on the other side.
    async fn look(&mut self, command: Command) -> Result<Outcome> {
        match command {
            Command::Cd(word) => self.remote.change(word.as_ref()).await?,
            Command::Ls { flags, path } => return self.list(flags, path.as_ref()).await,
            Command::Df { human, inodes, path } => {
                let path = match path {
                    Some(word) => self.remote.path(&word),
                    None => self.remote.directory.clone(),
                };
                let figures = self.remote.sftp.statvfs(path).await.map_err(explain)?;
                let usage = if inodes {
                    Usage {
                        unit: 1,
                        total: figures.files,
                        free: figures.files_free,
                        available: figures.files_available,
                    }
                } else {
                    Usage {
                        unit: figures.fragment_size,
                        total: figures.blocks,
                        free: figures.blocks_free,
                        available: figures.blocks_available,
                    }
                };
                print_lines(listing::usage_lines(usage, human, inodes));
            }
            _ => print(format_args!("Remote working directory: {}", show(&self.remote.directory))),
        }
        Ok(Outcome::Done)
    }

    async fn list(&self, flags: ListFlags, word: Option<&Word>) -> Result<Outcome> {
        let paths = match word {
            Some(word) => self.remote.expand(word).await?,
            None => vec![self.remote.directory.clone()],
        };
        let mut complete = true;
        let mut entries = Vec::new();
        if let [path] = paths.as_slice() {
            let attrs = self.remote.metadata(path).await?;
            if attrs.is_dir() {
                entries = self.list_directory(path, word, flags).await?;
            } else {
                entries.push(entry(self.remote.shorten(path, word).to_vec(), Vec::new(), &attrs));
            }
        } else {
            for path in &paths {
                match self.remote.sftp.symlink_metadata(path.as_slice()).await {
                    Ok(attrs) => {
                        entries.push(entry(
                            self.remote.shorten(path, word).to_vec(),
                            Vec::new(),
                            &attrs,
                        ));
                    }
                    Err(error) => {
                        say!(Error, "{}", explain(error));
                        complete = false;
                    }
                }
            }
            // Files that were named are listed even if they are hidden.
            listing::arrange(&mut entries, ListFlags { all: true, ..flags });
        }
        let columns = terminal::output_columns().unwrap_or(DEFAULT_COLUMNS);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        print_lines(listing::lines(&entries, flags, columns, now));
        Ok(Outcome::of(complete))
    }

    /// The files of a directory; with its path in front where the user named one.
    async fn list_directory(
        &self,
        path: &[u8],
        word: Option<&Word>,
        flags: ListFlags,
    ) -> Result<Vec<Entry>> {
        let listed = self.remote.read_dir(path).await?;
        let mut entries: Vec<Entry> = listed
            .into_iter()
            .map(|listed| entry(listed.file_name, listed.longname, &listed.attrs))
            .collect();
        listing::arrange(&mut entries, flags);
        if word.is_some() {
            for entry in &mut entries {
                let whole = super::glob::join(path, &entry.name);
                entry.name = self.remote.shorten(&whole, word).to_vec();
            }
        }
        Ok(entries)
    }

    /// Commands that change something on the other side.
    async fn change(&self, command: Command) -> Result<Outcome> {
        let sftp = &self.remote.sftp;
        match command {
            Command::Chmod { mode, link, path } => {
                let attrs = Attrs::with_mode(mode);
                return self.set(&path, link, "mode", |_| attrs).await;
            }
            Command::Chown { owner, link, path } => {
                return self.set(&path, link, "owner", |now| with_owner(now, owner)).await;
            }
            Command::Copy { from, to } => {
                let (from, to) = (self.remote.path(&from), self.remote.path(&to));
                return self.remote.copy(&from, &to).await.map(|()| Outcome::Done);
            }
            Command::Mkdir(word) => {
                sftp.create_dir(self.remote.path(&word)).await.map_err(explain)?;
            }
            Command::Rmdir(word) => {
                sftp.remove_dir(self.remote.path(&word)).await.map_err(explain)?;
            }
            Command::Rename { exclusive, from, to } => {
                let (from, to) = (self.remote.path(&from), self.remote.path(&to));
                let renamed = if exclusive {
                    sftp.rename_exclusive(from, to.clone()).await
                } else {
                    sftp.rename(from, to.clone()).await
                };
                renamed.map_err(|error| explain_pair(&error, &to))?;
            }
            Command::Ln { symbolic: true, target, link } => {
                // What a symbolic link says is not a path from the current directory.
                let link = self.remote.path(&link);
                sftp.symlink(target.bytes(), link).await.map_err(explain)?;
            }
            Command::Ln { symbolic: false, target, link } => {
                let (target, link) = (self.remote.path(&target), self.remote.path(&link));
                let linked = sftp.hard_link(target, link.clone()).await;
                linked.map_err(|error| explain_pair(&error, &link))?;
            }
            Command::Rm(word) => {
                let mut complete = true;
                for path in self.remote.expand(&word).await? {
                    self.mention("Removing", &path);
                    if let Err(error) = sftp.remove_file(path).await {
                        say!(Error, "{}", explain(error));
                        complete = false;
                    }
                }
                return Ok(Outcome::of(complete));
            }
            _ => {}
        }
        Ok(Outcome::Done)
    }

    /// Changes attributes of every file a word stands for.
    async fn set(
        &self,
        word: &Word,
        link: bool,
        what: &str,
        attrs: impl Fn(&Attrs) -> Attrs,
    ) -> Result<Outcome> {
        let mut complete = true;
        for path in self.remote.expand(word).await? {
            self.mention(&format!("Changing {what} on"), &path);
            let set = async {
                let sftp = &self.remote.sftp;
                let set = if link {
                    let now = sftp.symlink_metadata(path.as_slice()).await.map_err(explain)?;
                    sftp.set_symlink_attrs(path.as_slice(), &attrs(&now)).await
                } else {
                    let now = self.remote.metadata(&path).await?;
                    sftp.set_attrs(path.as_slice(), &attrs(&now)).await
                };
                set.map_err(explain)
            };
            if let Err(failure) = set.await {
                say!(Error, "{failure}");
                complete = false;
            }
        }
        Ok(Outcome::of(complete))
    }

    fn mention(&self, doing: &str, path: &[u8]) {
        if !self.manner.quiet {
            print(format_args!("{doing} {}", show(path)));
        }
    }
}

/// One of the two numbers changed: the protocol sets both at once.
fn with_owner(now: &Attrs, owner: Owner) -> Attrs {
    let mut both = now.owner.unwrap_or_default();
    match owner {
        Owner::User(number) => both.uid = number,
        Owner::Group(number) => both.gid = number,
    }
    Attrs { owner: Some(both), ..Attrs::NONE }
}

fn path(word: &Word) -> PathBuf {
    Path::new(std::ffi::OsStr::from_bytes(word.bytes())).to_path_buf()
}

fn print_lines(lines: impl IntoIterator<Item = String>) {
    lines.into_iter().for_each(print);
}

fn help() -> impl Iterator<Item = String> {
    let width = 36;
    COMMANDS.iter().map(move |(name, usage, what)| {
        let call = format!("{name} {usage}");
        format!("{call:width$} {what}")
    })
}

/// What two files are needed for, for the user.
fn explain_pair(error: &chiton::Error, to: &[u8]) -> Failure {
    Failure::new(advice::explain_pair(error, to))
}

/// Runs a line in the user's shell, or the shell itself if the line is empty. That a command has
/// failed is told; it does not end a batch, which ends at errors of transfers and remote files.
async fn shell(line: &[u8]) -> Result<Outcome> {
    let shell = env::var_os("SHELL").filter(|shell| !shell.is_empty());
    let shell = shell.unwrap_or_else(|| "/bin/sh".into());
    let mut command = process::Command::new(&shell);
    if !line.is_empty() {
        command.arg("-c").arg(std::ffi::OsStr::from_bytes(line));
    }
    let status = command.status().await.map_err(|error| {
        Failure::new(format_args!("cannot run the shell {}: {error}", shell.display()))
    })?;
    if !status.success() {
        say!(Error, "The local command ended with {status}.");
    }
    Ok(Outcome::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_set_without_touching_the_group() {
        let owner = sftp::attrs::Owner { uid: 1, gid: 2 };
        let now = Attrs { owner: Some(owner), size: Some(9), ..Attrs::NONE };
        let set = with_owner(&now, Owner::User(7));
        assert_eq!(set.owner, Some(sftp::attrs::Owner { uid: 7, gid: 2 }));
        assert_eq!(set.size, None, "a size would cut the file");
    }

    #[test]
    fn help_names_every_command() {
        let help: Vec<String> = help().collect();
        assert_eq!(help.len(), COMMANDS.len());
        assert!(help.iter().any(|line| line.starts_with("reget [-fpR] remote")));
    }

    #[tokio::test]
    async fn a_local_command_that_fails_ends_no_batch() {
        assert_eq!(shell(b"exit 3").await, Ok(Outcome::Done));
        assert_eq!(shell(b"true").await, Ok(Outcome::Done));
    }
}
