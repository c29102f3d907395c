//! Formatting and lints, and two properties of the build that no lint shows: nothing in the
//! program's tree compiles C, and the protocol crates need no standard library.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Done, Failure, cargo, output, run, stdout, target};

/// The crates that a device without an operating system can use.
const NO_STD: [&str; 9] = [
    "chiton-wire",
    "chiton-crypto",
    "chiton-keys",
    "chiton-transport",
    "chiton-auth",
    "chiton-agent",
    "chiton-connection",
    "chiton-sftp",
    "chiton-scp",
];

/// A target that has no standard library at all.
const NO_STD_TARGET: &str = "thumbv7em-none-eabihf";

/// Packages whose work is to compile C or assembly, or to find the products of such a compiler, and
/// one of ours to choose that needs them.
const C_BUILDERS: [&str; 9] =
    ["autotools", "bindgen", "cc", "cmake", "meson", "nasm-rs", "pkg-config", "ring", "vcpkg"];

pub(crate) fn format() -> Done {
    run(&mut cargo(&["fmt", "--all", "--check"]))
}

pub(crate) fn lint() -> Done {
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    run(cargo(&["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    // What is weak, and what needs a C compiler, is compiled only here and in its tests.
    let optional = ["chiton-crypto", "chiton-agent", "chiton-tests", "chiton-cli"];
    let optional = optional.iter().flat_map(|name| ["--package", *name]);
    run(cargo(&["clippy", "--all-targets", "--features", "legacy,ring"])
        .args(optional)
        .args(["--", "-D", "warnings"]))?;
    // The protocol without sockets has to do without tokio.
    run(&mut cargo(&["check", "--package", "chiton", "--no-default-features"]))?;
    no_std()?;
    no_c()
}

/// Builds the protocol crates for a machine without a standard library.
fn no_std() -> Done {
    // A toolchain without rustup has its targets from elsewhere, or the build below says so.
    drop(output(Command::new("rustup").args(["target", "add", NO_STD_TARGET])));
    let mut check = cargo(&["check", "--no-default-features", "--target", NO_STD_TARGET]);
    for package in NO_STD {
        check.args(["--package", package]);
    }
    run(&mut check)
}

/// Nothing in the trees of the library and the program needs C, whatever the system, with default
/// features.
fn no_c_in_the_tree(package: &str) -> Done {
    let shape = ["--edges", "normal,build", "--prefix", "none", "--format", "{p}"];
    let tree = stdout(cargo(&["tree", "--target", "all", "--package", package]).args(shape))?;
    for line in tree.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        if C_BUILDERS.contains(&name) {
            return Err(Failure::new(format!(
                "{name} is in the tree of {package}: something there compiles C \
                 (cargo tree --target all -p {package} -i {name})"
            )));
        }
    }
    Ok(())
}

/// Builds the program with default features where every C compiler and assembler fails, and lets
/// it demonstrate itself.
fn no_c() -> Done {
    no_c_in_the_tree("chiton")?;
    no_c_in_the_tree("chiton-cli")?;
    let folder = target().join("no-c");
    let mut build = cargo(&["build", "--release", "--package", "chiton-cli"]);
    build.env("CARGO_TARGET_DIR", &folder);
    for tool in ["CC", "CXX", "AS", "NASM", "CMAKE"] {
        for name in [tool.to_owned(), format!("HOST_{tool}"), format!("TARGET_{tool}")] {
            build.env(name, "false");
        }
    }
    run(&mut build)?;
    run(Command::new(program(&folder)).arg("demo"))
}

fn program(folder: &Path) -> PathBuf {
    folder.join("release").join(format!("chiton{}", std::env::consts::EXE_SUFFIX))
}
