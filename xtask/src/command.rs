//! Running other programs, with what was run in the error.

use core::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// Why a chore failed, in words for the person who ran it.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) type Done<T = ()> = Result<T, Failure>;

/// The folder of the root manifest.
pub(crate) fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// The folder that cargo builds into.
pub(crate) fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    workspace().join(named)
}

/// The cargo that runs this.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace());
    command
}

fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text
}

/// Runs `command` with its output on the terminal, and says how long it took.
pub(crate) fn run(command: &mut Command) -> Done {
    let text = shown(command);
    eprintln!("xtask: {text}");
    let began = Instant::now();
    let status =
        command.status().map_err(|error| Failure::new(format!("cannot run {text}: {error}")))?;
    if !status.success() {
        return Err(Failure::new(format!("{text}: {status}")));
    }
    eprintln!("xtask: {text}: done in {:.1} s", began.elapsed().as_secs_f64());
    Ok(())
}

/// Runs `command` and gives what it wrote to stdout and stderr, whatever its status.
pub(crate) fn output(command: &mut Command) -> Done<(bool, String, String)> {
    let text = shown(command);
    let output =
        command.output().map_err(|error| Failure::new(format!("cannot run {text}: {error}")))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok((output.status.success(), stdout, stderr))
}

/// Like [`output`], where failure ends the chore.
pub(crate) fn stdout(command: &mut Command) -> Done<String> {
    let text = shown(command);
    match output(command)? {
        (true, stdout, _) => Ok(stdout),
        (false, _, stderr) => Err(Failure::new(format!("{text} failed:\n{stderr}"))),
    }
}
