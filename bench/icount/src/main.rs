//! The hot paths, each alone and always the same. `cargo xtask icount` runs every scenario under
//! valgrind and compares the instructions with those in `counts.txt`.

mod files;
mod mux;
mod packets;
mod plans;
mod session;

use std::error::Error;

type Done<T = ()> = Result<T, Box<dyn Error>>;

/// Something to be counted.
type Scenario = fn() -> Done;

/// The scenarios by name.
const SCENARIOS: &[(&str, Scenario)] = &[
    ("packets-32k", || packets::seal_and_open(32 * 1024, 512)),
    ("packets-64", || packets::seal_and_open(64, 20_000)),
    ("mux", mux::both_ways),
    ("sftp-read", files::read),
    ("sftp-write", files::write),
    ("plan-download", plans::download),
    ("plan-upload", plans::upload),
    ("session", session::both_ways),
];

fn main() -> Done {
    let wanted = std::env::args().nth(1);
    let found = SCENARIOS.iter().find(|(name, _)| Some(*name) == wanted.as_deref());
    if let Some((_, scenario)) = found {
        return scenario();
    }
    for (name, _) in SCENARIOS {
        println!("{name}");
    }
    Ok(())
}

/// What stops a scenario that would otherwise measure nothing.
fn check(holds: bool, what: &str) -> Done {
    if holds { Ok(()) } else { Err(what.into()) }
}
