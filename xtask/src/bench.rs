//! The benchmark: builds what is measured, then runs the program in `bench/`.

use std::process::Command;

use crate::command::{Done, cargo, run, target, workspace};
use crate::peers;

/// `arguments` are those of the program in `bench/`.
pub(crate) fn bench(arguments: &[&str]) -> Done {
    peers::fetch()?;
    run(&mut cargo(&["build", "--quiet", "--release", "--package", "chiton-cli"]))?;
    run(&mut cargo(&[
        "build",
        "--quiet",
        "--release",
        "--package",
        "chiton",
        "--example",
        "load",
    ]))?;
    run(&mut cargo(&["build", "--quiet", "--release", "--package", "chiton-bench"]))?;
    let mut bench = Command::new(target().join("release/chiton-bench"));
    match arguments {
        ["setup" | "help" | "--help" | "-h", ..] => bench.args(arguments),
        _ => bench.arg("run").args(arguments),
    };
    run(bench.current_dir(workspace()))
}
