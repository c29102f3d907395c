//! `chiton ssh`: a shell or a command on another machine.

use std::{ffi::OsString, os::unix::ffi::OsStrExt, path::Path};

use chiton::Client;

use crate::{
    advice,
    args::{self, ArgsError, Getopt, Grammar, Item},
    connect::{self, Target},
    destination::{self, Destination},
    failure::{Failure, Result},
    log::{self, Level, say},
    options::{self, Options, RequestTty},
    query,
    session::{self, Start},
    signals, terminal, values,
};

const GRAMMAR: Grammar =
    Grammar { flags: "aCknqsTtVvxN", values: "cEeFilmopQ", unsupported: "46ABbDfGgIJKLMOPRSWwXYy" };

const USAGE: &str = "chiton ssh [options] [user@]host [command [argument ...]]";

/// What `--help` prints, up to the names of the options of `-o`.
const HELP: &str = "\
chiton ssh: a shell or a command on another machine; options as OpenSSH's ssh

usage: chiton ssh [options] [user@]host [command [argument ...]]
       chiton ssh [options] ssh://[user@]host[:port] [command [argument ...]]

  -p port           the port; 22 unless said
  -l user           the user to log in as
  -i key_file       a private key to log in with; may be given more than once
  -o Name=value     an option by its name, see below
  -t, -T            ask for a terminal, ask for none; -tt: even if there is none here
  -n                give the command no input
  -N                run no command, only log in
  -s                the command is the name of a subsystem
  -e character      what begins an escape, ~ unless said, or none; ~? at the beginning of a
                    line lists the escapes
  -C                compress what is sent
  -c ciphers, -m macs
                    what to offer, best first, with commas between
  -F none           read no configuration file; none is read so far
  -E log_file       append messages to a file
  -Q what           list what there is: cipher, mac, kex, key, key-sig, sig, …; help lists all
  -q, -v            say less, say more; -v up to three times
  -V                print the version
  -a, -k, -x        accepted: nothing is forwarded

The exit status is the command's; 255 if there is none, or for an error of chiton ssh.
";

/// What the program exits with for errors of its own.
const FAILED: u8 = 255;

/// What the options of the command line say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Flags {
    options: Options,
    subsystem: bool,
    no_command: bool,
    no_stdin: bool,
    verbosity: u32,
    quiet: bool,
    log_file: Option<OsString>,
    version: bool,
    query: Option<String>,
    help: bool,
}

/// What the command line asks for.
#[derive(Debug, PartialEq, Eq)]
struct Invocation {
    flags: Flags,
    destination: Destination,
    command: Vec<u8>,
}

/// What a command line is.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Help,
    Version,
    /// These lines are the answer.
    Lines(String),
    Run(Box<Invocation>),
}

/// Runs `ssh`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let result = match parse(args) {
        Ok(Parsed::Run(invocation)) => crate::run_async(run(*invocation)),
        Ok(Parsed::Version) => {
            log::print(crate::VERSION);
            Ok(0)
        }
        Ok(Parsed::Lines(lines)) => {
            log::print(lines);
            Ok(0)
        }
        Ok(Parsed::Help) => {
            log::print(format_args!("{HELP}\n{}", options::help()));
            Ok(0)
        }
        Err(failure) => Err(failure),
    };
    result.unwrap_or_else(|failure| {
        say!(Fatal, "chiton ssh: {failure}");
        FAILED
    })
}

/// Reads the command line.
fn parse(args: &[OsString]) -> Result<Parsed> {
    let mut flags = Flags::default();
    let mut getopt = Getopt::new(GRAMMAR, args);
    // OpenSSH reads options up to the destination, and again behind it up to the command.
    read_options(&mut flags, &mut getopt)?;
    if flags.help {
        return Ok(Parsed::Help);
    }
    if flags.version {
        return Ok(Parsed::Version);
    }
    if let Some(what) = &flags.query {
        return query::answer(what).map(Parsed::Lines).map_err(Failure::new);
    }
    let missing =
        || Failure::new(format_args!("the destination is missing: {USAGE}; --help says more"));
    let destination = getopt.operand().ok_or_else(missing)?.to_str();
    let destination =
        destination.ok_or_else(|| Failure::new("the destination is not UTF-8 text"))?;
    let destination = destination::parse_ssh(destination).map_err(Failure::new)?;
    if !getopt.is_terminated() {
        read_options(&mut flags, &mut getopt)?;
        if flags.help {
            return Ok(Parsed::Help);
        }
    }
    let command = args::join(getopt.rest());
    if flags.subsystem && command.is_empty() {
        return Err(Failure::new("-s needs the name of a subsystem behind the destination"));
    }
    if flags.no_command && !command.is_empty() {
        return Err(Failure::new("-N is to run no command, but there is one"));
    }
    Ok(Parsed::Run(Box::new(Invocation { flags, destination, command })))
}

fn read_options(flags: &mut Flags, getopt: &mut Getopt<'_>) -> Result<()> {
    while let Some(item) = getopt.next().map_err(Failure::new)? {
        match item {
            Item::Flag(flag) => read_flag(flags, flag),
            Item::Value(option, value) => read_value(flags, option, value)?,
            Item::Help => flags.help = true,
        }
    }
    Ok(())
}

fn read_flag(flags: &mut Flags, flag: char) {
    let tty = &mut flags.options.request_tty;
    match flag {
        'n' => flags.no_stdin = true,
        'q' => flags.quiet = true,
        's' => flags.subsystem = true,
        'C' => drop(flags.options.compression.get_or_insert(true)),
        'N' => flags.no_command = true,
        'T' => *tty = Some(RequestTty::No),
        't' if matches!(tty, Some(RequestTty::Yes | RequestTty::Force)) => {
            *tty = Some(RequestTty::Force);
        }
        't' => *tty = Some(RequestTty::Yes),
        'V' => flags.version = true,
        'v' => flags.verbosity = flags.verbosity.saturating_add(1),
        // -a, -k and -x switch off what this program does not do.
        _ => {}
    }
}

fn read_value(flags: &mut Flags, option: char, value: OsString) -> Result<()> {
    if option == 'E' {
        flags.log_file = Some(value);
        return Ok(());
    }
    if option == 'F' {
        return config_file(&value);
    }
    let text = args::text(option, value).map_err(Failure::new)?;
    if option == 'Q' {
        flags.query = Some(text);
        return Ok(());
    }
    set_option(&mut flags.options, option, &text)
}

/// `-F`: configuration files are not read, so only the promise not to read one can be kept.
pub(crate) fn config_file(value: &OsString) -> Result<()> {
    if value.as_bytes().eq_ignore_ascii_case(b"none") || value.as_bytes() == b"/dev/null" {
        return Ok(());
    }
    Err(Failure::new(format_args!(
        "-F {}: configuration files are not supported yet; only -F none is",
        value.display()
    )))
}

/// Options with a letter that are options with a name as well.
pub(crate) fn set_option(options: &mut Options, option: char, text: &str) -> Result<()> {
    let bad = |error: &dyn core::fmt::Display| Failure::new(format_args!("-{option}: {error}"));
    match option {
        'o' => options.set(text).map_err(Failure::new)?,
        'c' => drop(options.ciphers.get_or_insert(text.to_owned())),
        'm' => drop(options.macs.get_or_insert(text.to_owned())),
        'i' => options.identity_files.push(text.to_owned()),
        'l' => drop(options.user.get_or_insert(text.to_owned())),
        'e' => {
            let character = values::parse_escape_char(text);
            let expected = "expected one character, ^ and a letter, or none";
            options.escape_char.get_or_insert(character.ok_or_else(|| bad(&expected))?);
        }
        'p' | 'P' => {
            let port = destination::parse_port(text).map_err(|error| bad(&error))?;
            options.port.get_or_insert(port);
        }
        _ => return Err(Failure::new(ArgsError::Unknown(option))),
    }
    Ok(())
}

/// Sets how much is said by `-q`, `-v` and `LogLevel`.
pub(crate) fn set_log_level(options: &Options, quiet: bool, verbosity: u32) {
    let mut level = options.log_level.unwrap_or(if quiet { Level::Quiet } else { Level::Info });
    for _ in 0..verbosity.min(3) {
        level = level.louder();
    }
    log::set_level(level);
}

async fn run(invocation: Invocation) -> Result<u8> {
    let Invocation { flags, destination, .. } = &invocation;
    if let Some(path) = flags.log_file.as_deref().map(Path::new) {
        log::to_file(path).map_err(|error| Failure::local("write the log to", path, &error))?;
    }
    set_log_level(&flags.options, flags.quiet, flags.verbosity);
    signals::watch(i32::from(FAILED))
        .map_err(|error| Failure::new(format_args!("cannot watch for signals: {error}")))?;
    let target = Target::new(destination, &flags.options)?;
    let client = connect::connect(&target, &flags.options).await?;
    if flags.no_command {
        let error = client.closed().await;
        return Err(Failure::new(advice::explain(&error, Some(&target))));
    }
    let tty = wants_tty(&invocation, terminal::stdin_is_tty());
    let start = Start {
        command: command(&client, &invocation)?,
        tty,
        escape: escape(&flags.options, tty),
        no_stdin: flags.no_stdin,
        target: &target,
    };
    let code = session::run(&client, start).await;
    // The status is known; a good-bye that cannot be said changes nothing.
    drop(client.close().await);
    code
}

fn command(client: &Client, invocation: &Invocation) -> Result<chiton::Command> {
    let command = if invocation.flags.subsystem {
        let name = core::str::from_utf8(&invocation.command)
            .map_err(|_| Failure::new("the name of the subsystem is not UTF-8 text"))?;
        client.subsystem(name)
    } else if invocation.command.is_empty() {
        client.shell()
    } else {
        client.command(invocation.command.clone())
    };
    let env = invocation.flags.options.set_env.iter();
    Ok(env.fold(command, |command, (name, value)| command.env(name.clone(), value.clone())))
}

/// Whether to ask for a terminal, by OpenSSH's rules.
fn wants_tty(invocation: &Invocation, stdin_is_tty: bool) -> bool {
    let request = invocation.flags.options.request_tty.unwrap_or(RequestTty::Auto);
    let wanted = match request {
        RequestTty::No => false,
        RequestTty::Yes | RequestTty::Force => true,
        RequestTty::Auto => invocation.command.is_empty(),
    };
    if wanted && request != RequestTty::Force && (!stdin_is_tty || invocation.flags.no_stdin) {
        say!(Info, "Pseudo-terminal will not be allocated because stdin is not a terminal.");
        return false;
    }
    wanted
}

fn escape(options: &Options, tty: bool) -> Option<u8> {
    if tty { options.escape_char.unwrap_or(Some(b'~')) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invocation(words: &[&str]) -> Result<Invocation> {
        let args: Vec<OsString> = words.iter().map(OsString::from).collect();
        match parse(&args)? {
            Parsed::Run(invocation) => Ok(*invocation),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_may_stand_on_both_sides_of_the_destination() {
        let found = invocation(&["-p", "2222", "alice@h", "-v", "-l", "bob", "ls", "-l"]).unwrap();
        assert_eq!(found.flags.options.port, Some(2222));
        assert_eq!(found.flags.options.user.as_deref(), Some("bob"));
        assert_eq!(found.flags.verbosity, 1);
        assert_eq!(found.command, b"ls -l");
    }

    #[test]
    fn two_dashes_keep_the_command_from_being_read() {
        assert_eq!(invocation(&["h", "--", "-x"]).unwrap().command, b"-x");
        assert_eq!(invocation(&["--", "h", "-x"]).unwrap().command, b"-x");
    }

    #[test]
    fn a_letter_and_a_name_are_one_option() {
        let found = invocation(&["-p", "1", "-o", "Port=2", "-c", "aes128-ctr", "h"]).unwrap();
        assert_eq!(found.flags.options.port, Some(1));
        assert_eq!(found.flags.options.ciphers.as_deref(), Some("aes128-ctr"));
    }

    #[test]
    fn terminals_are_asked_for_as_openssh_does() {
        let tty = |words: &[&str], stdin| wants_tty(&invocation(words).unwrap(), stdin);
        assert!(tty(&["h"], true));
        assert!(!tty(&["h"], false));
        assert!(!tty(&["h", "ls"], true));
        assert!(tty(&["-t", "h", "ls"], true));
        assert!(!tty(&["-t", "h", "ls"], false));
        assert!(tty(&["-tt", "h", "ls"], false));
        assert!(!tty(&["-T", "h"], true));
        assert!(!tty(&["-n", "h"], true));
        assert!(tty(&["-o", "RequestTTY=force", "h", "ls"], false));
    }

    #[test]
    fn escapes_belong_to_terminals() {
        let mut options = Options::default();
        assert_eq!(escape(&options, true), Some(b'~'));
        assert_eq!(escape(&options, false), None);
        options.set("EscapeChar=none").unwrap();
        assert_eq!(escape(&options, true), None);
    }

    #[test]
    fn version_and_help_need_no_destination() {
        assert_eq!(parse(&["-V".into()]), Ok(Parsed::Version));
        assert_eq!(parse(&["--help".into()]), Ok(Parsed::Help));
        assert_eq!(parse(&["h".into(), "-h".into()]), Ok(Parsed::Help));
    }

    #[test]
    fn help_tells_of_every_option() {
        for option in GRAMMAR.flags.chars().chain(GRAMMAR.values.chars()) {
            assert!(HELP.contains(&format!("-{option}")), "-{option}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_named() {
        let line = |words: &[&str]| invocation(words).unwrap_err().to_string();
        assert!(line(&["-L", "1:h:1", "h"]).contains("-L"));
        assert!(line(&["-o", "Tunnel=yes", "h"]).contains("Tunnel"));
        assert!(line(&["-F", "config", "h"]).contains("config"));
        assert!(line(&[]).contains("destination"));
        assert!(line(&["-s", "h"]).contains("subsystem"));
        assert!(line(&["-p", "0", "h"]).contains("port"));
    }
}
