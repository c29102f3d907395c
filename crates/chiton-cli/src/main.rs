//! The program `chiton`: `ssh`, `sftp`, `sshd` and a demo that needs nothing else.
#![expect(dead_code, reason = "the subcommands that use these parts land with the library")]

extern crate alloc;

mod args;
mod askpass;
mod destination;
mod escapes;
mod failure;
mod log;
mod options;
mod progress;
mod sftp;
mod signals;
mod stdio;
mod terminal;
mod values;

fn main() {}
