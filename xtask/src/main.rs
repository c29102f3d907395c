//! The chores of the workspace, as `cargo xtask CHORE`. Plain Rust on purpose: it builds at once,
//! on any machine that has a toolchain.

mod bench;
mod checks;
mod command;
mod icount;
mod peers;
mod tests;

use std::process::ExitCode;

use command::Failure;

const USAGE: &str = "\
cargo xtask test     all tests: fetches the peers, cargo test, icount, a smoke run of each fuzz target
cargo xtask peers    only fetches the peers
cargo xtask lint     clippy, documentation, no C in the program, no_std builds
cargo xtask smoke    only the smoke run of the fuzz targets
cargo xtask bench    chiton and other clients side by side; `bench --help` says more
cargo xtask icount   instructions of the hot paths; with --update, what they may need from now on
cargo xtask ci       formatting, lint, test: what a change must pass";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => tests::all(),
        ["peers"] => peers::fetch(),
        ["lint"] => checks::lint(),
        ["smoke"] => tests::smoke(),
        ["ci"] => checks::format().and_then(|()| checks::lint()).and_then(|()| tests::all()),
        ["icount"] => icount::icount(false),
        ["icount", "--update"] => icount::icount(true),
        ["bench", arguments @ ..] => bench::bench(arguments),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            Ok(())
        }
        _ => Err(Failure::new(format!("which chore?\n{USAGE}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
