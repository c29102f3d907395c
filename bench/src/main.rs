//! Measures chiton against its peers, side by side on one machine. `cargo xtask bench` builds
//! everything and runs this; `docs/benchmark` has the results and how to read them.

mod bench;
mod failure;
mod link;
mod measure;
mod peers;
mod report;
mod results;
mod rows;
mod server;
mod site;
mod targets;
mod work;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;

use bench::Bench;
use failure::{Done, Failure};
use link::Shape;
use peers::Folders;
use results::{Circumstances, Results};
use site::{Site, Sizes, stdout};

/// Measure chiton against other SSH clients
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench")]
enum Arguments {
    /// Run the rows and write the tables
    Run(Run),
    /// Say which rows and clients there are, and build or install what they need
    Setup,
    /// Used by `run`: run one program and measure it
    #[command(hide = true)]
    Measure(measure::Helper),
}

/// Which rows, how often, and where to
#[derive(Debug, clap::Args)]
struct Run {
    /// How often each client does each row
    #[arg(long, default_value_t = 5)]
    runs: u32,
    /// Only these rows, separated by commas; with a * at its end, all that begin so
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these clients, separated by commas
    #[arg(long, value_delimiter = ',')]
    peers: Vec<String>,
    /// A quarter of the bytes, and three runs at most
    #[arg(long)]
    quick: bool,
    /// Where the tables, the numbers and the chart go
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse() {
        Arguments::Run(run) => self::run(&run),
        Arguments::Setup => setup(),
        Arguments::Measure(helper) => helper.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn folders() -> Folders {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = manifest.parent().unwrap_or(manifest).to_owned();
    let named = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
    Folders { target: workspace.join(named), workspace }
}

fn setup() -> Done {
    let folders = folders();
    for row in rows::all(&Sizes::FULL) {
        println!("row {:24} {}", row.id, row.title);
    }
    for name in peers::NAMES {
        match peers::find(name, &folders) {
            Ok(peer) => println!("client {name:21} {}", peer.version),
            Err(missing) => println!("client {name:21} missing: {}", missing.why),
        }
    }
    Ok(())
}

fn run(run: &Run) -> Done {
    let folders = folders();
    let (sizes, runs) =
        if run.quick { (Sizes::QUICK, run.runs.min(3)) } else { (Sizes::FULL, run.runs) };
    let wanted = |list: &[String], name: &str| {
        let is = |one: &String| match one.strip_suffix('*') {
            Some(begins) => name.starts_with(begins),
            None => name == one,
        };
        list.is_empty() || list.iter().any(is)
    };
    let rows: Vec<_> =
        rows::all(&sizes).into_iter().filter(|row| wanted(&run.only, &row.id)).collect();
    if rows.is_empty() {
        return Err(Failure::new("no such row; `cargo xtask bench setup` lists them"));
    }
    let (mut peers, mut missing) = (Vec::new(), Vec::new());
    for name in peers::NAMES.into_iter().filter(|name| wanted(&run.peers, name)) {
        match peers::find(name, &folders) {
            Ok(peer) => peers.push(peer),
            Err(why) => {
                eprintln!("bench: {name} is missing: {}", why.why);
                missing.push(why);
            }
        }
    }
    let link = rows.iter().any(|row| row.far).then(|| link::check(Shape::LONG)).transpose()?;
    let site = Site::make(&sizes)?;
    let mut bench = Bench::new(site, sizes, folders.clone(), runs, peers);
    let mut results = Results {
        circumstances: circumstances(&folders, link, runs)?,
        peers: bench.peers.clone(),
        missing,
        rows: Vec::new(),
    };
    let out = run.out.clone().unwrap_or_else(|| folders.own().join("report"));
    for row in &rows {
        results.rows.push(bench.row(row)?);
        // Whoever interrupts this has what was measured until then.
        report::write(&results, &out)?;
    }
    eprintln!("bench: {} has results.md, results.json and chart.svg", out.display());
    println!("{}", report::markdown::page(&results));
    Ok(())
}

fn circumstances(
    folders: &Folders,
    link: Option<link::Measured>,
    runs: u32,
) -> Done<Circumstances> {
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        stdout(git.args(arguments).current_dir(&folders.workspace)).unwrap_or_default()
    };
    let mut commit = git(&["rev-parse", "--short", "HEAD"]).trim().to_owned();
    if !git(&["status", "--porcelain"]).trim().is_empty() {
        commit.push_str(" with changes");
    }
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, name)| name);
    Ok(Circumstances {
        commit,
        date: stdout(Command::new("date").args(["-u", "+%Y-%m-%d"]))?.trim().to_owned(),
        kernel: stdout(Command::new("uname").arg("-r"))?.trim().to_owned(),
        processor: processor.to_owned(),
        cores: std::thread::available_parallelism().map_or(1, core::num::NonZero::get),
        link,
        runs,
    })
}
