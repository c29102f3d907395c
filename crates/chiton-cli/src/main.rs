//! The program `chiton`: `ssh`, `sftp`, `sftp-server`, `sshd` and a demo that needs nothing else.
//!
//! The subcommands `ssh`, `sftp` and `sftp-server` speak OpenSSH's command line. Called by such a
//! name, through a link, the program is that subcommand.

extern crate alloc;

mod add;
mod advice;
mod agent;
mod args;
mod askpass;
mod connect;
mod demo;
mod destination;
mod escapes;
mod failure;
mod identities;
mod key_file;
mod keygen;
mod keyscan;
mod log;
mod options;
mod progress;
mod query;
mod reach;
mod scp;
mod session;
mod sftp;
mod sftp_server;
mod signals;
mod ssh;
mod sshd;
mod stdio;
mod terminal;
mod values;

use std::{env, ffi::OsString, path::Path, process::ExitCode};

use clap::{Parser, Subcommand, error::ErrorKind};

use crate::failure::{Failure, Result};

/// What `-V` prints.
pub(crate) const VERSION: &str = concat!("chiton ", env!("CARGO_PKG_VERSION"));

/// What stands below the list of subcommands.
const MORE_HELP: &str = "\
chiton COMMAND --help lists the options of a command. First steps:

  chiton demo                          see that it works here
  chiton ssh alice@example.org uptime  run a command on another machine
  chiton sftp alice@example.org        move files; the command help lists what can be done";

/// SSH from scratch: client, server, file transfer.
#[derive(Debug, Parser)]
#[command(name = "chiton", version, disable_help_subcommand = true, after_help = MORE_HELP)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Log in to another machine or run a command there; options as OpenSSH's ssh
    #[command(disable_help_flag = true)]
    Ssh {
        /// Options, the destination and the command
        #[arg(value_name = "OPTIONS… [user@]host [command…]", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// Copy files between machines; options as OpenSSH's scp
    #[command(disable_help_flag = true)]
    Scp {
        /// Options, what to copy and where to
        #[arg(value_name = "OPTIONS… [[user@]host:]source… [[user@]host:]target", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// Move files; options as OpenSSH's sftp
    #[command(disable_help_flag = true)]
    Sftp {
        /// Options and the destination
        #[arg(value_name = "OPTIONS… [user@]host[:path [local]]", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// Serve files on standard input and output; options as OpenSSH's sftp-server
    #[command(disable_help_flag = true)]
    SftpServer {
        /// Options
        #[arg(value_name = "OPTIONS…", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// Hold private keys and sign with them; options as OpenSSH's ssh-agent
    #[command(disable_help_flag = true)]
    Agent {
        /// Options, and a command to run with the agent
        #[arg(value_name = "OPTIONS… [command…]", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// Give keys to an agent, list and remove them; options as OpenSSH's ssh-add
    #[command(disable_help_flag = true)]
    Add {
        /// Options and key files
        #[arg(value_name = "OPTIONS… [file…]", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// Make keys, certificates and signatures, look into files of them; options as OpenSSH's
    /// ssh-keygen
    #[command(disable_help_flag = true)]
    Keygen {
        /// Options and files
        #[arg(value_name = "OPTIONS… [file…]", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// Collect the keys of hosts; options as OpenSSH's ssh-keyscan
    #[command(disable_help_flag = true)]
    Keyscan {
        /// Options and hosts
        #[arg(value_name = "OPTIONS… host…", trailing_var_arg = true, allow_hyphen_values = true, num_args = 0..)]
        args: Vec<OsString>,
    },
    /// List the algorithms of this build, and which are offered
    Algorithms,
    /// Serve shells, commands and files
    Sshd(sshd::Args),
    /// Show that it works: a server and a client in one process, over a real socket
    Demo,
}

/// What runs a subcommand: it takes the arguments and gives the exit code.
type Main = fn(&[OsString]) -> u8;

/// The subcommands that have their own command line and get it as it is, each with the name of
/// OpenSSH's program that it stands in for.
const RAW: [(&str, &str, Main); 8] = [
    ("ssh", "ssh", ssh::main),
    ("scp", "scp", scp::main),
    ("sftp", "sftp", sftp::main),
    ("sftp-server", "sftp-server", sftp_server::main),
    ("agent", "ssh-agent", agent::main),
    ("add", "ssh-add", add::main),
    ("keygen", "ssh-keygen", keygen::main),
    ("keyscan", "ssh-keyscan", keyscan::main),
];

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    ExitCode::from(dispatch(&args))
}

fn dispatch(args: &[OsString]) -> u8 {
    let name = args.first().map(Path::new).and_then(Path::file_name);
    let second = args.get(1);
    for (raw, program, main) in RAW {
        if name.is_some_and(|name| name == program) {
            return main(args.get(1..).unwrap_or_default());
        }
        if second.is_some_and(|second| second == raw) {
            return main(args.get(2..).unwrap_or_default());
        }
    }
    // `chiton help` and `chiton help ssh`, since hands know it from other programs.
    if let Some((program, [help, topic @ ..])) = args.split_first()
        && help == "help"
        && topic.len() <= 1
    {
        let mut line = vec![program.clone()];
        line.extend(topic.iter().cloned());
        line.push("--help".into());
        return dispatch(&line);
    }
    let program = match Program::try_parse_from(args) {
        Ok(program) => program,
        Err(error) => return tell(&error, second),
    };
    match program.command {
        Command::Ssh { args } => ssh::main(&args),
        Command::Scp { args } => scp::main(&args),
        Command::Sftp { args } => sftp::main(&args),
        Command::SftpServer { args } => sftp_server::main(&args),
        Command::Agent { args } => agent::main(&args),
        Command::Add { args } => add::main(&args),
        Command::Keygen { args } => keygen::main(&args),
        Command::Keyscan { args } => keyscan::main(&args),
        Command::Algorithms => query::main(),
        Command::Sshd(args) => sshd::main(args),
        Command::Demo => demo::main(),
    }
}

/// Prints help and version, which are no errors; of errors the one line that says what is wrong.
fn tell(error: &clap::Error, subcommand: Option<&OsString>) -> u8 {
    let code = u8::try_from(error.exit_code()).unwrap_or(2);
    if code == 0 || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // What cannot be printed is nobody's to see.
        drop(error.print());
        return code;
    }
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    let what = what.strip_prefix("error: ").unwrap_or(what);
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let known = |name: &&str| subcommand.is_some_and(|subcommand| subcommand == name);
    let program = match ["algorithms", "sshd", "demo"].iter().find(|name| known(name)) {
        Some(name) => format!("chiton {name}"),
        None => "chiton".to_owned(),
    };
    log::write(log::Level::Fatal, format_args!("{program}: {what}; {program} --help says more"));
    code
}

/// Runs a future to its end on this thread. One connection does not gain from more threads: what
/// one hands to another costs more than it saves. Files and terminals have threads of their own.
pub(crate) fn run_async<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run_on(tokio::runtime::Builder::new_current_thread(), work)
}

/// Runs a future to its end with a thread for each processor: for many connections.
pub(crate) fn run_async_on_all_cores<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    run_on(tokio::runtime::Builder::new_multi_thread(), work)
}

fn run_on<T>(
    mut builder: tokio::runtime::Builder,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    let runtime = builder
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format_args!("cannot start threads: {error}")))?;
    let result = runtime.block_on(work);
    // A thread that waits for a key to be pressed does not keep the program from ending.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Program::command().debug_assert();
    }

    #[test]
    fn help_can_be_asked_for_in_every_way() {
        for line in [
            &["chiton", "--help"][..],
            &["chiton", "help"],
            &["chiton", "help", "ssh"],
            &["chiton", "help", "sshd"],
            &["chiton", "sftp", "-h"],
            &["chiton", "sftp-server", "-h"],
            &["/usr/lib/openssh/sftp-server", "-h"],
            &["ssh", "--help"],
        ] {
            let args: Vec<OsString> = line.iter().map(OsString::from).collect();
            assert_eq!(dispatch(&args), 0, "{line:?}");
        }
    }

    #[test]
    fn wrong_usage_is_no_success() {
        let run = |words: &[&str]| {
            let args: Vec<OsString> = words.iter().map(OsString::from).collect();
            dispatch(&args)
        };
        assert_eq!(run(&["chiton", "nonsense"]), 2);
        assert_eq!(run(&["chiton", "--version"]), 0);
        assert_eq!(run(&["chiton", "ssh"]), 255);
        assert_eq!(run(&["chiton", "help", "nonsense"]), 2);
        assert_eq!(run(&["chiton", "help", "sshd", "more"]), 2);
        assert_eq!(run(&["/usr/bin/ssh", "-z"]), 255);
        assert_eq!(run(&["sftp", "-z"]), 1);
        assert_eq!(run(&["sftp-server", "-z"]), 1);
    }
}
