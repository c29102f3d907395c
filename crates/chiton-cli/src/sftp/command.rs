//! The commands of `sftp`, read from a line.

use core::fmt;

use super::words::{self, Word, WordsError};

/// A line of input: what stands in front counts even if the command cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// `-` in front: go on in batch mode if it fails.
    pub(crate) ignore_errors: bool,
    /// `@` in front: do not echo it in batch mode.
    pub(crate) silent: bool,
    pub(crate) command: Result<Command, CommandError>,
}

/// The flags of `get` and `put`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransferFlags {
    /// `-a`, or the commands `reget` and `reput`.
    pub(crate) resume: bool,
    /// `-f`
    pub(crate) sync: bool,
    /// `-p`
    pub(crate) preserve: bool,
    /// `-R`, `-r`
    pub(crate) recursive: bool,
}

/// How `ls` sorts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    #[default]
    Name,
    Size,
    Time,
    /// As the server gives them.
    None,
}

/// The flags of `ls`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListFlags {
    /// `-a`
    pub(crate) all: bool,
    /// `-l`
    pub(crate) long: bool,
    /// `-n`
    pub(crate) numeric: bool,
    /// `-h`
    pub(crate) human: bool,
    /// `-1`
    pub(crate) single_column: bool,
    /// `-r`
    pub(crate) reverse: bool,
    /// `-S`, `-t`, `-f`
    pub(crate) sort: Sort,
}

/// Whose numbers `chown` and `chgrp` set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    User(u32),
    Group(u32),
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Nothing,
    Bye,
    Cd(Option<Word>),
    Chmod {
        mode: u32,
        /// `-h`: of a link itself.
        link: bool,
        path: Word,
    },
    Chown {
        owner: Owner,
        /// `-h`: of a link itself.
        link: bool,
        path: Word,
    },
    Copy {
        from: Word,
        to: Word,
    },
    Df {
        human: bool,
        inodes: bool,
        path: Option<Word>,
    },
    Get {
        flags: TransferFlags,
        remote: Word,
        local: Option<Word>,
    },
    Help,
    Lcd(Option<Word>),
    /// A command line for the local shell.
    Lls(Vec<u8>),
    Lmkdir(Word),
    Ln {
        symbolic: bool,
        target: Word,
        link: Word,
    },
    Lpwd,
    Ls {
        flags: ListFlags,
        path: Option<Word>,
    },
    Lumask(u32),
    Mkdir(Word),
    Progress,
    Put {
        flags: TransferFlags,
        local: Word,
        remote: Option<Word>,
    },
    Pwd,
    Rename {
        /// `-l`: only if no file has the new name.
        exclusive: bool,
        from: Word,
        to: Word,
    },
    Rm(Word),
    Rmdir(Word),
    /// `!`: a command line for the local shell, or the shell itself.
    Shell(Vec<u8>),
    Version,
}

impl Command {
    /// True if what it does depends on the current directory of the other side.
    pub(crate) fn is_relative(&self) -> bool {
        let relative = |word: &Word| !word.is_absolute();
        let or_here = |word: &Option<Word>| word.as_ref().is_none_or(relative);
        match self {
            Self::Cd(_) | Self::Pwd => true,
            Self::Df { path, .. } | Self::Ls { path, .. } => or_here(path),
            Self::Put { remote, .. } => or_here(remote),
            Self::Get { remote: path, .. }
            | Self::Chmod { path, .. }
            | Self::Chown { path, .. }
            | Self::Mkdir(path)
            | Self::Rm(path)
            | Self::Rmdir(path)
            // What a symbolic link says is not a path from the current directory.
            | Self::Ln { symbolic: true, link: path, .. } => relative(path),
            Self::Copy { from, to } | Self::Rename { from, to, .. } => {
                relative(from) || relative(to)
            }
            Self::Ln { symbolic: false, target, link } => relative(target) || relative(link),
            Self::Nothing
            | Self::Bye
            | Self::Help
            | Self::Lcd(_)
            | Self::Lls(_)
            | Self::Lmkdir(_)
            | Self::Lpwd
            | Self::Lumask(_)
            | Self::Progress
            | Self::Shell(_)
            | Self::Version => false,
        }
    }
}

/// A line that is no command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CommandError {
    Words(WordsError),
    Unknown(Vec<u8>),
    UnknownFlag { command: &'static str, flag: u8 },
    Missing { command: &'static str, usage: &'static str },
    TooMany { command: &'static str, usage: &'static str },
    BadMode(Vec<u8>),
    BadNumber(Vec<u8>),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(error) => error.fmt(f),
            Self::Unknown(name) => {
                write!(f, "Invalid command '{}'. Try 'help'.", name.escape_ascii())
            }
            Self::UnknownFlag { command, flag } => {
                write!(f, "{command}: invalid flag -{}", flag.escape_ascii())
            }
            Self::Missing { command, usage } => {
                write!(f, "{command}: something is missing; usage: {command} {usage}")
            }
            Self::TooMany { command, usage } => {
                write!(f, "{command}: too many arguments; usage: {command} {usage}")
            }
            Self::BadMode(text) => {
                write!(f, "'{}' is no octal mode such as 644", text.escape_ascii())
            }
            Self::BadNumber(text) => write!(f, "'{}' is no number", text.escape_ascii()),
        }
    }
}

/// Every command: its name, its usage, what it does.
pub(crate) const COMMANDS: &[(&str, &str, &str)] = &[
    ("bye", "", "Quit"),
    ("cd", "[path]", "Change the remote directory; without a path, to where the session began"),
    (
        "chgrp",
        "[-h] group path",
        "Set the group (a number) of a remote file (-h: of a link itself)",
    ),
    ("chmod", "[-h] mode path", "Set the permissions of a remote file to an octal mode"),
    ("chown", "[-h] owner path", "Set the owner (a number) of a remote file"),
    ("copy", "oldpath newpath", "Copy a remote file on the other side"),
    ("cp", "oldpath newpath", "Copy a remote file on the other side"),
    ("df", "[-hi] [path]", "Show how full the remote file system is"),
    ("exit", "", "Quit"),
    ("get", "[-afpR] remote [local]", "Download files"),
    ("help", "", "Show this"),
    ("lcd", "[path]", "Change the local directory; without a path, to the home directory"),
    ("lls", "[ls-options [path]]", "List a local directory"),
    ("lmkdir", "path", "Make a local directory"),
    ("ln", "[-s] oldpath newpath", "Link a remote file (-s: by a symbolic link)"),
    ("lpwd", "", "Print the local directory"),
    ("ls", "[-1afhlnrSt] [path]", "List a remote directory"),
    ("lumask", "umask", "Set the local umask"),
    ("mkdir", "path", "Make a remote directory"),
    ("progress", "", "Switch the progress bar on or off"),
    ("put", "[-afpR] local [remote]", "Upload files"),
    ("pwd", "", "Print the remote directory"),
    ("quit", "", "Quit"),
    ("reget", "[-fpR] remote [local]", "Go on with a download that was broken off"),
    ("rename", "[-l] oldpath newpath", "Rename a remote file (-l: replace none)"),
    ("reput", "[-fpR] local [remote]", "Go on with an upload that was broken off"),
    ("rm", "path", "Delete remote files"),
    ("rmdir", "path", "Delete an empty remote directory"),
    ("symlink", "oldpath newpath", "Make a remote symbolic link"),
    ("version", "", "Show the version of the protocol"),
    ("!", "[command]", "Run a command in the local shell, or the shell"),
    ("?", "", "Show this"),
];

/// Other names OpenSSH has for commands.
const ALIASES: &[(&str, &str)] = &[
    ("chdir", "cd"),
    ("cp", "copy"),
    ("dir", "ls"),
    ("lchdir", "lcd"),
    ("mget", "get"),
    ("mput", "put"),
    ("?", "help"),
    ("exit", "bye"),
    ("quit", "bye"),
];

/// Reads a line.
pub(crate) fn parse(line: &[u8]) -> Line {
    let mut rest = line.trim_ascii();
    let (mut ignore_errors, mut silent) = (false, false);
    loop {
        rest = match rest {
            [b'-', tail @ ..] => {
                ignore_errors = true;
                tail
            }
            [b'@', tail @ ..] => {
                silent = true;
                tail
            }
            _ => break,
        };
    }
    Line { ignore_errors, silent, command: parse_command(rest.trim_ascii_start()) }
}

fn parse_command(line: &[u8]) -> Result<Command, CommandError> {
    if let Some(shell) = line.strip_prefix(b"!") {
        return Ok(Command::Shell(shell.trim_ascii().to_vec()));
    }
    let words = words::split(line).map_err(CommandError::Words)?;
    let Some((first, words)) = words.split_first() else { return Ok(Command::Nothing) };
    let lower = first.bytes().to_ascii_lowercase();
    let is = |name: &str| name.as_bytes() == lower;
    let unknown = || CommandError::Unknown(first.bytes().to_vec());
    let alias = ALIASES.iter().find(|(alias, _)| is(alias)).map(|(_, name)| name.as_bytes());
    let wanted = alias.unwrap_or(&lower);
    let found = COMMANDS.iter().find(|(name, ..)| name.as_bytes() == wanted);
    let &(name, usage, _) = found.ok_or_else(unknown)?;
    let mut args = Args { command: name, usage, words };
    match name {
        "lls" => {
            let after = line.get(first.bytes().len()..).unwrap_or_default();
            Ok(Command::Lls(after.trim_ascii().to_vec()))
        }
        "get" | "reget" | "put" | "reput" => transfer(name, args),
        _ => {
            let command = other(name, &mut args)?;
            args.end()?;
            Ok(command)
        }
    }
}

/// What is left of a line behind the name of its command.
struct Args<'a> {
    command: &'static str,
    usage: &'static str,
    words: &'a [Word],
}

impl Args<'_> {
    /// Hands every flag to `set`, which says whether there is such a flag.
    fn flags(&mut self, mut set: impl FnMut(u8) -> bool) -> Result<(), CommandError> {
        while let Some((word, rest)) = self.words.split_first() {
            let [b'-', flags @ ..] = word.bytes() else { return Ok(()) };
            if flags.is_empty() {
                return Ok(());
            }
            self.words = rest;
            if flags == b"-" {
                return Ok(());
            }
            for &flag in flags {
                if !set(flag) {
                    return Err(CommandError::UnknownFlag { command: self.command, flag });
                }
            }
        }
        Ok(())
    }

    /// The only flag that there is.
    fn flag(&mut self, only: u8) -> Result<bool, CommandError> {
        let mut given = false;
        self.flags(|flag| {
            given |= flag == only;
            flag == only
        })?;
        Ok(given)
    }

    fn optional(&mut self) -> Option<Word> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first.clone())
    }

    fn required(&mut self) -> Result<Word, CommandError> {
        let word = self.optional().filter(|word| !word.bytes().is_empty());
        word.ok_or(CommandError::Missing { command: self.command, usage: self.usage })
    }

    fn end(&self) -> Result<(), CommandError> {
        if self.words.is_empty() {
            return Ok(());
        }
        Err(CommandError::TooMany { command: self.command, usage: self.usage })
    }
}

fn transfer(name: &'static str, mut args: Args<'_>) -> Result<Command, CommandError> {
    let mut flags = TransferFlags { resume: name.starts_with("re"), ..Default::default() };
    args.flags(|flag| {
        match flag {
            b'a' => flags.resume = true,
            b'f' => flags.sync = true,
            b'p' | b'P' => flags.preserve = true,
            b'r' | b'R' => flags.recursive = true,
            _ => return false,
        }
        true
    })?;
    let from = args.required()?;
    let to = args.optional();
    args.end()?;
    Ok(match name {
        "get" | "reget" => Command::Get { flags, remote: from, local: to },
        _ => Command::Put { flags, local: from, remote: to },
    })
}

fn other(name: &'static str, args: &mut Args<'_>) -> Result<Command, CommandError> {
    Ok(match name {
        "bye" => Command::Bye,
        "cd" => Command::Cd(args.optional()),
        "chmod" => {
            let link = args.flag(b'h')?;
            Command::Chmod { mode: mode(&args.required()?)?, link, path: args.required()? }
        }
        "chown" | "chgrp" => {
            let link = args.flag(b'h')?;
            let number = number(&args.required()?)?;
            let owner = if name == "chown" { Owner::User(number) } else { Owner::Group(number) };
            Command::Chown { owner, link, path: args.required()? }
        }
        "copy" => Command::Copy { from: args.required()?, to: args.required()? },
        "df" => df(args)?,
        "help" => Command::Help,
        "lcd" => Command::Lcd(args.optional()),
        "lmkdir" => Command::Lmkdir(args.required()?),
        "ln" => {
            let symbolic = args.flag(b's')?;
            Command::Ln { symbolic, target: args.required()?, link: args.required()? }
        }
        "lpwd" => Command::Lpwd,
        "ls" => list(args)?,
        "lumask" => Command::Lumask(mode(&args.required()?)?),
        "mkdir" => Command::Mkdir(args.required()?),
        "progress" => Command::Progress,
        "pwd" => Command::Pwd,
        "rename" => {
            let exclusive = args.flag(b'l')?;
            Command::Rename { exclusive, from: args.required()?, to: args.required()? }
        }
        "rm" => Command::Rm(args.required()?),
        "rmdir" => Command::Rmdir(args.required()?),
        "symlink" => {
            Command::Ln { symbolic: true, target: args.required()?, link: args.required()? }
        }
        _ => Command::Version,
    })
}

fn df(args: &mut Args<'_>) -> Result<Command, CommandError> {
    let (mut human, mut inodes) = (false, false);
    args.flags(|flag| {
        match flag {
            b'h' => human = true,
            b'i' => inodes = true,
            _ => return false,
        }
        true
    })?;
    Ok(Command::Df { human, inodes, path: args.optional() })
}

fn list(args: &mut Args<'_>) -> Result<Command, CommandError> {
    let mut flags = ListFlags::default();
    args.flags(|flag| {
        match flag {
            b'1' => flags.single_column = true,
            b'a' => flags.all = true,
            b'f' => flags.sort = Sort::None,
            b'h' => flags.human = true,
            b'l' => flags.long = true,
            b'n' => {
                flags.long = true;
                flags.numeric = true;
            }
            b'r' => flags.reverse = true,
            b'S' => flags.sort = Sort::Size,
            b't' => flags.sort = Sort::Time,
            _ => return false,
        }
        true
    })?;
    Ok(Command::Ls { flags, path: args.optional() })
}

/// The permission bits a mode may have, with set-user-id, set-group-id and sticky.
const MAX_MODE: u32 = 0o7777;

fn mode(word: &Word) -> Result<u32, CommandError> {
    let bad = || CommandError::BadMode(word.bytes().to_vec());
    let text = word.text().ok_or_else(bad)?;
    u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= MAX_MODE).ok_or_else(bad)
}

fn number(word: &Word) -> Result<u32, CommandError> {
    let bad = || CommandError::BadNumber(word.bytes().to_vec());
    word.text().and_then(|text| text.parse().ok()).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<Command, CommandError> {
        parse(line.as_bytes()).command
    }

    /// A word without quotes.
    fn word(text: &str) -> Word {
        words::split(text.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn prefixes_of_batch_mode_combine_in_any_order() {
        let both = |line: &str| {
            let line = parse(line.as_bytes());
            (line.ignore_errors, line.silent, line.command.unwrap())
        };
        assert_eq!(both("-rm x"), (true, false, Command::Rm(word("x"))));
        assert_eq!(both("@pwd"), (false, true, Command::Pwd));
        assert_eq!(both("-@ pwd"), (true, true, Command::Pwd));
        assert_eq!(both("@-pwd"), (true, true, Command::Pwd));
    }

    #[test]
    fn what_cannot_be_understood_may_be_ignored_too() {
        let line = parse(b"-frobnicate x");
        assert_eq!(line.command, Err(CommandError::Unknown(b"frobnicate".to_vec())));
        assert!(line.ignore_errors);
        assert!(!parse(b"frobnicate x").ignore_errors);
    }

    #[test]
    fn only_paths_from_the_current_directory_on_need_it() {
        let relative = |line: &str| command(line).unwrap().is_relative();
        for line in [
            "get /a b",
            "put a /b",
            "ls /",
            "df /",
            "rm /a",
            "mkdir /a",
            "rename /a /b",
            "lcd x",
            "ln /a /b",
            "symlink a /b",
            "chmod 600 /a",
            "copy /a /b",
            "bye",
            "!ls",
        ] {
            assert!(!relative(line), "{line}");
        }
        for line in [
            "get a b",
            "put a",
            "put a b",
            "ls",
            "ls a",
            "df",
            "cd /a",
            "pwd",
            "rename /a b",
            "rename a /b",
            "ln a /b",
            "symlink /a b",
            "chown 0 a",
            "copy a /b",
            "rmdir a",
        ] {
            assert!(relative(line), "{line}");
        }
    }

    #[test]
    fn blank_lines_and_comments_do_nothing() {
        assert_eq!(command(""), Ok(Command::Nothing));
        assert_eq!(command("  # get it all"), Ok(Command::Nothing));
    }

    #[test]
    fn commands_know_no_case_and_have_other_names() {
        assert_eq!(command("PWD"), Ok(Command::Pwd));
        assert_eq!(command("quit"), Ok(Command::Bye));
        assert_eq!(command("exit"), Ok(Command::Bye));
        assert_eq!(command("chdir x"), command("cd x"));
        assert_eq!(command("dir"), command("ls"));
        assert_eq!(command("?"), Ok(Command::Help));
        assert_eq!(command("mget x"), command("get x"));
    }

    #[test]
    fn transfers_have_flags() {
        let flags = TransferFlags { resume: true, recursive: true, ..Default::default() };
        let expected = Command::Get { flags, remote: word("a"), local: Some(word("b")) };
        assert_eq!(command("get -aR a b"), Ok(expected.clone()));
        assert_eq!(command("reget -r a b"), Ok(expected));
        let flags = TransferFlags { preserve: true, sync: true, ..Default::default() };
        let expected = Command::Put { flags, local: word("-x"), remote: None };
        assert_eq!(command("put -pf -- -x"), Ok(expected));
        assert!(matches!(command("get"), Err(CommandError::Missing { command: "get", .. })));
        assert!(matches!(command("get a b c"), Err(CommandError::TooMany { .. })));
        let flag = CommandError::UnknownFlag { command: "put", flag: b'z' };
        assert_eq!(command("put -z a"), Err(flag));
    }

    #[test]
    fn listings_have_flags() {
        let flags = ListFlags { all: true, long: true, ..Default::default() };
        assert_eq!(command("ls -la"), Ok(Command::Ls { flags, path: None }));
        let flags = ListFlags {
            long: true,
            numeric: true,
            reverse: true,
            sort: Sort::Time,
            ..Default::default()
        };
        assert_eq!(command("ls -n -rt x"), Ok(Command::Ls { flags, path: Some(word("x")) }));
    }

    #[test]
    fn modes_and_numbers_are_checked() {
        assert_eq!(
            command("chmod 0644 f"),
            Ok(Command::Chmod { mode: 0o644, link: false, path: word("f") })
        );
        assert!(matches!(command("chmod 888 f"), Err(CommandError::BadMode(_))));
        assert!(matches!(command("chmod 17777 f"), Err(CommandError::BadMode(_))));
        assert!(matches!(command("chown bob f"), Err(CommandError::BadNumber(_))));
        let group = |link| Command::Chown { owner: Owner::Group(7), link, path: word("f") };
        assert_eq!(command("chgrp 7 f"), Ok(group(false)));
        assert_eq!(command("chgrp -h 7 f"), Ok(group(true)));
        assert_eq!(command("lumask 022"), Ok(Command::Lumask(0o022)));
    }

    #[test]
    fn links() {
        let link = |symbolic| Command::Ln { symbolic, target: word("a"), link: word("b") };
        assert_eq!(command("ln a b"), Ok(link(false)));
        assert_eq!(command("ln -s a b"), Ok(link(true)));
        assert_eq!(command("symlink a b"), Ok(link(true)));
    }

    #[test]
    fn local_commands_keep_their_line() {
        assert_eq!(command("lls -l 'a b'"), Ok(Command::Lls(b"-l 'a b'".to_vec())));
        assert_eq!(command("!ls | wc"), Ok(Command::Shell(b"ls | wc".to_vec())));
        assert_eq!(command("!"), Ok(Command::Shell(vec![])));
    }

    #[test]
    fn what_is_no_command_is_named() {
        assert_eq!(command("fetch x"), Err(CommandError::Unknown(b"fetch".to_vec())));
        assert_eq!(command("cp a b"), command("copy a b"));
        assert!(matches!(command("rm 'x"), Err(CommandError::Words(_))));
        assert!(matches!(command("rm ''"), Err(CommandError::Missing { .. })));
    }
}
