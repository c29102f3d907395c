//! Peers that are libraries, with small programs on them: AsyncSSH and paramiko in Python, ssh2 in
//! JavaScript.

use std::path::Path;
use std::process::Command;

use crate::command::{Done, Failure, output, run};

/// The libraries of Python and their versions.
const PYTHON: [(&str, &str); 2] = [("asyncssh", "2.24.0"), ("paramiko", "5.1.0")];

/// The library of JavaScript and its version.
const JAVASCRIPT: (&str, &str) = ("ssh2", "1.17.0");

/// Makes sure that the libraries are there, and says where.
pub(super) fn fetch() -> Done {
    fetch_python()?;
    fetch_javascript()
}

/// Puts the libraries of Python into an environment of their own.
fn fetch_python() -> Done {
    let folder = super::folder("python");
    let python = folder.join("bin/python");
    let is_there = || {
        PYTHON.iter().all(|(name, version)| {
            let script = format!("import {name}; print({name}.__version__)");
            says(Command::new(&python).args(["-c", &script]), version)
        })
    };
    if !is_there() {
        let wanted = PYTHON.map(|(name, version)| format!("{name}=={version}"));
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))
            .and_then(|()| {
                run(Command::new(&python).args(["-m", "pip", "install", "--quiet"]).args(&wanted))
            })
            .map_err(|failure| missing(&wanted.join(" "), &folder, "python3 -m venv", &failure))?;
    }
    announce(&PYTHON, &folder);
    Ok(())
}

/// Puts the library of JavaScript into a folder of its own. No scripts of packages run: they would
/// compile what only makes it faster.
fn fetch_javascript() -> Done {
    let (name, version) = JAVASCRIPT;
    let folder = super::folder("javascript");
    let package = folder.join("node_modules").join(name);
    let script = format!(
        "require({path:?}); console.log(require({path:?} + '/package.json').version)",
        path = package.display().to_string()
    );
    if !says(Command::new("node").args(["-e", &script]), version) {
        let wanted = format!("{name}@{version}");
        let mut npm = Command::new("npm");
        npm.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"])
            .arg("--prefix")
            .arg(&folder)
            .arg(&wanted);
        std::fs::create_dir_all(&folder)
            .map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
        run(&mut npm).map_err(|failure| missing(&wanted, &folder, "npm install", &failure))?;
    }
    announce(&[JAVASCRIPT], &folder);
    Ok(())
}

/// Whether `command` succeeds and prints one line, which is `wanted`.
fn says(command: &mut Command, wanted: &str) -> bool {
    matches!(output(command), Ok((true, stdout, _)) if stdout.trim() == wanted)
}

fn announce(libraries: &[(&str, &str)], folder: &Path) {
    for (name, version) in libraries {
        eprintln!("xtask: peer {name} {version} in {}", folder.display());
    }
}

fn missing(wanted: &str, folder: &Path, how: &str, failure: &Failure) -> Failure {
    let folder = folder.display();
    Failure::new(format!(
        "cannot get the peer: {failure}\nThe interop tests need {wanted} in {folder} ({how})"
    ))
}
