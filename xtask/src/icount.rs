//! The instruction-count gate: the hot paths run under valgrind and must need as many instructions
//! as `bench/icount/counts.txt` says. A slowdown fails here without trusting a clock.
//!
//! What is counted must be the same on every machine, so it is not everything:
//!
//! - Our own code and the allocations it asks for, by the names of functions; not cryptography,
//!   whose instructions follow from what the CPU has. `ssh-transport/benches` measures that.
//! - Apart from it, copying: `memcpy` and its like, which the C library is told to do with the
//!   instructions that every x86-64 has. A copy more of every packet shows here.
//!
//! The binary is built like the product, and without graviola.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{Done, Failure, cargo, run, stdout, target, workspace};

/// How far a count may be from what is written down, in thousandths. Builds of the same source
/// differ by less; what somebody notices is more.
const TOLERANCE: u64 = 20;
/// The same under another compiler than the one that the counts are from: only a large slowdown
/// can be told from what that compiler does differently.
const TOLERANCE_OTHER_COMPILER: u64 = 150;

/// What the dynamic linker and the C library of every x86-64 machine have in common.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM,\
    -AVX_Fast_Unaligned_Load,-Prefer_No_VZEROUPPER:glibc.cpu.x86_non_temporal_threshold=0x4000000";

/// Our crates, as they stand in the names of functions, and what they have others do that is the
/// same on every machine.
const OWN: [&str; 10] = [
    "chiton",
    "icount::",
    "sftp::",
    "ssh_auth",
    "ssh_connection",
    "ssh_keys",
    "ssh_transport",
    "ssh_wire",
    "alloc::",
    "bytes::",
];
/// Never counted, even where one of the names above stands as well.
const CRYPTOGRAPHY: &str = "ssh_crypto";
const COPYING: [&str; 4] = ["memcpy", "memmove", "memset", "memcmp"];

/// Instructions of a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    own: u64,
    copying: u64,
}

/// Counts, and compares with what is written down; or writes it down.
pub(crate) fn icount(update: bool) -> Done {
    install()?;
    run(&mut cargo(&["build", "--quiet", "--release", "--package", "chiton-icount"]))?;
    let binary = target().join("release/icount");
    let mut counts = Vec::new();
    for scenario in stdout(&mut Command::new(&binary))?.lines() {
        counts.push((scenario.to_owned(), count(&binary, scenario)?));
    }
    let compiler = stdout(Command::new("rustc").arg("--version"))?.trim().to_owned();
    let path = workspace().join("bench/icount/counts.txt");
    let text = write(&compiler, &counts);
    if update {
        return fs::write(&path, text)
            .map_err(|error| Failure::new(format!("{}: {error}", path.display())));
    }
    let expected = fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    compare(&expected, &compiler, &counts)
}

fn write(compiler: &str, counts: &[(String, Count)]) -> String {
    let mut text = format!(
        "# Instructions of the hot paths. `cargo xtask icount --update` writes this file anew.\n\
         {compiler}\n"
    );
    for (scenario, Count { own, copying }) in counts {
        text.push_str(&format!("{scenario} {own} {copying}\n"));
    }
    text
}

/// Compares `counts` with the text of the file.
fn compare(expected: &str, compiler: &str, counts: &[(String, Count)]) -> Done {
    let mut lines = expected.lines().filter(|line| !line.starts_with('#'));
    let same_compiler = lines.next() == Some(compiler);
    let expected: HashMap<&str, Count> = lines
        .filter_map(|line| {
            let mut words = line.split(' ');
            let name = words.next()?;
            let own = words.next()?.parse().ok()?;
            let copying = words.next()?.parse().ok()?;
            Some((name, Count { own, copying }))
        })
        .collect();
    let tolerance = if same_compiler { TOLERANCE } else { TOLERANCE_OTHER_COMPILER };
    let mut wrong = Vec::new();
    for (scenario, count) in counts {
        let Some(expected) = expected.get(scenario.as_str()) else {
            wrong.push(format!("{scenario}: not in the file"));
            continue;
        };
        for (what, is, should) in [
            ("instructions of our own", count.own, expected.own),
            ("instructions for copying", count.copying, expected.copying),
        ] {
            let change = change(is, should);
            eprintln!("xtask: icount: {scenario}: {is} {what} ({change:+} ‰)");
            let too_few = same_compiler && change < -i64_of(tolerance);
            if change > i64_of(tolerance) || too_few {
                wrong.push(format!("{scenario}: {is} {what} instead of {should} ({change:+} ‰)"));
            }
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the hot paths need another number of instructions:\n    {}\nFaster, or slower for a good \
         reason? `cargo xtask icount --update` writes the new counts to bench/icount/counts.txt; \
         the commit says why. Otherwise `valgrind --tool=callgrind` on target/release/icount \
         SCENARIO, then callgrind_annotate, before and after, show where.",
        wrong.join("\n    ")
    )))
}

fn i64_of(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The change in thousandths.
fn change(is: u64, should: u64) -> i64 {
    // Below this many, a handful of instructions would be a change.
    let should = should.max(10_000);
    (i64_of(is) - i64_of(should)).saturating_mul(1000) / i64_of(should)
}

fn install() -> Done {
    if Command::new("valgrind").arg("--version").output().is_ok() {
        return Ok(());
    }
    let mut apt = Command::new("apt-get");
    apt.args(["install", "-y", "-qq", "--no-install-recommends", "valgrind"]);
    run(apt.env("DEBIAN_FRONTEND", "noninteractive")).map_err(|failure| {
        Failure::new(format!(
            "{failure}\nCounting instructions needs valgrind: sudo apt-get install valgrind"
        ))
    })
}

fn count(binary: &Path, scenario: &str) -> Done<Count> {
    let profile: PathBuf = target().join(format!("icount-{scenario}.out"));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(binary)
        .arg(scenario)
        .env("GLIBC_TUNABLES", TUNABLES);
    stdout(&mut valgrind)?;
    let text = fs::read_to_string(&profile)
        .map_err(|error| Failure::new(format!("{}: {error}", profile.display())))?;
    let mut count = Count::default();
    for (function, instructions) in functions(&text) {
        match kind(function) {
            Kind::Own => count.own += instructions,
            Kind::Copying => count.copying += instructions,
            Kind::Other => {}
        }
    }
    if count.own == 0 {
        return Err(Failure::new(format!(
            "no function of ours in {}: does the binary have symbols?",
            profile.display()
        )));
    }
    Ok(count)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Own,
    Copying,
    Other,
}

fn kind(function: &str) -> Kind {
    if function.contains(CRYPTOGRAPHY) {
        Kind::Other
    } else if OWN.iter().any(|name| function.contains(name)) {
        Kind::Own
    } else if COPYING.iter().any(|name| function.contains(name)) {
        Kind::Copying
    } else {
        Kind::Other
    }
}

/// The functions of a profile of callgrind and what each needed itself, without those it called.
/// <https://valgrind.org/docs/manual/cl-format.html>
fn functions(profile: &str) -> HashMap<&str, u64> {
    let mut names: HashMap<&str, &str> = HashMap::new();
    let mut counts: HashMap<&str, u64> = HashMap::new();
    let mut current = "";
    let mut is_call = false;
    for line in profile.lines() {
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        match key {
            // `(number) name` where it stands first, `(number)` from then on.
            "fn" | "cfn" => {
                let (number, name) = value.split_once(' ').unwrap_or((value, ""));
                if !name.is_empty() {
                    names.insert(number, name);
                }
                if key == "fn" {
                    current = names.get(number).copied().unwrap_or(number);
                }
            }
            // The next line is what the called function needed.
            "calls" => is_call = true,
            _ if line
                .starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) =>
            {
                let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
                if let Some(cost) = cost.filter(|_| !is_call) {
                    *counts.entry(current).or_default() += cost;
                }
                is_call = false;
            }
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROFILE: &str = "positions: line\nevents: Ir\n\nob=(1) /x\nfl=(1) a.rs\n\
        fn=(1) ssh_wire::read\n16 400\n+2 3\ncfn=(2) __memcpy_sse2_unaligned\n\
        calls=1 50\n16 700\n* 7\nfn=(2)\n51 700\nfn=(3) ssh_crypto::seal::<ssh_wire::X>\n1 9\n";

    #[test]
    fn a_profile_gives_what_each_function_needs_itself() {
        let counts = functions(PROFILE);
        assert_eq!(counts["ssh_wire::read"], 410);
        assert_eq!(counts["__memcpy_sse2_unaligned"], 700);
        assert_eq!(kind("__memcpy_sse2_unaligned"), Kind::Copying);
        assert_eq!(kind("ssh_wire::read"), Kind::Own);
        assert_eq!(kind("ssh_crypto::seal::<ssh_wire::X>"), Kind::Other);
    }

    #[test]
    fn what_changes_by_more_than_the_tolerance_is_named() {
        let counts = |own| vec![("mux".to_owned(), Count { own, copying: 50_000 })];
        let file = write("rustc 1", &counts(1_000_000));
        assert!(compare(&file, "rustc 1", &counts(1_019_000)).is_ok());
        let error = compare(&file, "rustc 1", &counts(1_022_000)).unwrap_err().to_string();
        assert!(error.contains("mux: 1022000 instructions of our own"), "{error}");
        assert!(error.contains("--update"), "{error}");
        // Faster is news as well, or the next slowdown would go unnoticed.
        assert!(compare(&file, "rustc 1", &counts(970_000)).is_err());
        assert!(compare(&file, "rustc 2", &counts(1_100_000)).is_ok());
        assert!(compare(&file, "rustc 2", &counts(1_200_000)).is_err());
        assert!(compare("rustc 1\n", "rustc 1", &counts(1)).is_err(), "no count to compare with");
    }
}
