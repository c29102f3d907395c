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
    options::{Options, RequestTty},
    session::{self, Start},
    signals, terminal, values,
};

const GRAMMAR: Grammar =
    Grammar { flags: "aknqsTtVvxN", values: "cEeFilmop", unsupported: "46ABbCDfGgIJKLMOPQRSWwXYy" };

const USAGE: &str = "\
usage: chiton ssh [-aknqsTtVvxN] [-c cipher_spec] [-E log_file] [-e escape_char]
                  [-F none] [-i identity_file] [-l login_name] [-m mac_spec]
                  [-o option] [-p port] destination [command [argument ...]]";

/// What the program exits with for errors of its own.
const FAILED: u8 = 255;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Invocation {
    options: Options,
    destination: Option<Destination>,
    command: Vec<u8>,
    subsystem: bool,
    no_command: bool,
    no_stdin: bool,
    verbosity: u32,
    quiet: bool,
    log_file: Option<OsString>,
    version: bool,
}

/// Runs `ssh`; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> u8 {
    let invocation = match parse(args) {
        Ok(invocation) => invocation,
        Err(failure) => {
            say!(Fatal, "chiton ssh: {failure}\n{USAGE}");
            return FAILED;
        }
    };
    crate::run_async(run(invocation)).unwrap_or_else(|failure| {
        say!(Fatal, "chiton ssh: {failure}");
        FAILED
    })
}

fn parse(args: &[OsString]) -> Result<Invocation> {
    let mut invocation = Invocation::default();
    let mut getopt = Getopt::new(GRAMMAR, args);
    // OpenSSH reads options up to the destination, and again behind it up to the command.
    read_options(&mut invocation, &mut getopt)?;
    if invocation.version {
        return Ok(invocation);
    }
    let destination = getopt.operand().ok_or_else(|| Failure::new("the destination is missing"))?;
    let destination =
        destination.to_str().ok_or_else(|| Failure::new("the destination is not UTF-8 text"))?;
    invocation.destination = Some(destination::parse_ssh(destination).map_err(Failure::new)?);
    if !getopt.is_terminated() {
        read_options(&mut invocation, &mut getopt)?;
    }
    invocation.command = args::join(getopt.rest());
    if invocation.subsystem && invocation.command.is_empty() {
        return Err(Failure::new("-s needs the name of a subsystem behind the destination"));
    }
    if invocation.no_command && !invocation.command.is_empty() {
        return Err(Failure::new("-N is to run no command, but there is one"));
    }
    Ok(invocation)
}

fn read_options(invocation: &mut Invocation, getopt: &mut Getopt<'_>) -> Result<()> {
    while let Some(item) = getopt.next().map_err(Failure::new)? {
        match item {
            Item::Flag(flag) => read_flag(invocation, flag),
            Item::Value(option, value) => read_value(invocation, option, value)?,
        }
    }
    Ok(())
}

fn read_flag(invocation: &mut Invocation, flag: char) {
    let tty = &mut invocation.options.request_tty;
    match flag {
        'n' => invocation.no_stdin = true,
        'q' => invocation.quiet = true,
        's' => invocation.subsystem = true,
        'N' => invocation.no_command = true,
        'T' => *tty = Some(RequestTty::No),
        't' if matches!(tty, Some(RequestTty::Yes | RequestTty::Force)) => {
            *tty = Some(RequestTty::Force);
        }
        't' => *tty = Some(RequestTty::Yes),
        'V' => invocation.version = true,
        'v' => invocation.verbosity = invocation.verbosity.saturating_add(1),
        // -a, -k and -x switch off what this program does not do.
        _ => {}
    }
}

fn read_value(invocation: &mut Invocation, option: char, value: OsString) -> Result<()> {
    if option == 'E' {
        invocation.log_file = Some(value);
        return Ok(());
    }
    if option == 'F' {
        return config_file(&value);
    }
    let text = args::text(option, value).map_err(Failure::new)?;
    set_option(&mut invocation.options, option, &text)
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
    if invocation.version {
        log::print(crate::VERSION);
        return Ok(0);
    }
    if let Some(path) = invocation.log_file.as_deref().map(Path::new) {
        log::to_file(path).map_err(|error| Failure::local("write the log to", path, &error))?;
    }
    set_log_level(&invocation.options, invocation.quiet, invocation.verbosity);
    signals::watch(i32::from(FAILED))
        .map_err(|error| Failure::new(format_args!("cannot watch for signals: {error}")))?;
    let Some(destination) = &invocation.destination else {
        return Err(Failure::new("the destination is missing"));
    };
    let target = Target::new(destination, &invocation.options)?;
    let client = connect::connect(&target, &invocation.options).await?;
    if invocation.no_command {
        let error = client.closed().await;
        return Err(Failure::new(advice::explain(&error, Some(&target))));
    }
    let tty = wants_tty(&invocation, terminal::stdin_is_tty());
    let command = command(&client, &invocation)?;
    let start = Start {
        command,
        tty,
        escape: escape(&invocation.options, tty),
        no_stdin: invocation.no_stdin,
        host: &target.host,
    };
    let code = session::run(&client, start).await;
    // The status is known; a good-bye that cannot be said changes nothing.
    drop(client.close().await);
    code
}

fn command(client: &Client, invocation: &Invocation) -> Result<chiton::Command> {
    let command = if invocation.subsystem {
        let name = core::str::from_utf8(&invocation.command)
            .map_err(|_| Failure::new("the name of the subsystem is not UTF-8 text"))?;
        client.subsystem(name)
    } else if invocation.command.is_empty() {
        client.shell()
    } else {
        client.command(invocation.command.clone())
    };
    let env = invocation.options.set_env.iter();
    Ok(env.fold(command, |command, (name, value)| command.env(name.clone(), value.clone())))
}

/// Whether to ask for a terminal, by OpenSSH's rules.
fn wants_tty(invocation: &Invocation, stdin_is_tty: bool) -> bool {
    let request = invocation.options.request_tty.unwrap_or(RequestTty::Auto);
    let wanted = match request {
        RequestTty::No => false,
        RequestTty::Yes | RequestTty::Force => true,
        RequestTty::Auto => invocation.command.is_empty(),
    };
    if wanted && request != RequestTty::Force && (!stdin_is_tty || invocation.no_stdin) {
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
        parse(&args)
    }

    #[test]
    fn options_may_stand_on_both_sides_of_the_destination() {
        let found = invocation(&["-p", "2222", "alice@h", "-v", "-l", "bob", "ls", "-l"]).unwrap();
        assert_eq!(found.options.port, Some(2222));
        assert_eq!(found.options.user.as_deref(), Some("bob"));
        assert_eq!(found.verbosity, 1);
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
        assert_eq!(found.options.port, Some(1));
        assert_eq!(found.options.ciphers.as_deref(), Some("aes128-ctr"));
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
