//! One run of one program, and what it cost.
//!
//! The program runs under a helper: this same executable, as `measure`. The helper has no other
//! children, so what the kernel adds up for its children is the program and whatever that started,
//! and it is small, so that its own memory is not taken for theirs.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::failure::{Done, Failure};
use crate::server::Server;

/// The longest that one run may take.
const PATIENCE: Duration = Duration::from_secs(150);

/// What to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) command: Vec<OsString>,
    pub(crate) environment: Vec<(String, OsString)>,
    pub(crate) stdin: Option<PathBuf>,
}

impl Invocation {
    pub(crate) fn new<I>(command: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<OsString>,
    {
        Self { command: command.into_iter().map(Into::into).collect(), ..Self::default() }
    }
}

/// What one run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// From the start of the program to its end, or to the first byte it wrote.
    pub(crate) wall: f64,
    /// Seconds of user and system time of the program and its children.
    pub(crate) client_cpu: f64,
    /// The same of the server, if it had no other client. The kernel counts in hundredths of a
    /// second.
    pub(crate) server_cpu: Option<f64>,
    /// The largest that any of the program's processes was, in KiB.
    pub(crate) peak: f64,
    /// The number that the program wrote, where it was to measure something itself.
    pub(crate) figure: Option<f64>,
}

/// What is wanted of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The time until the program ends.
    Exit,
    /// The time until its first byte of output.
    FirstByte,
    /// The number that it writes.
    Figure,
}

/// Runs the program against `server`, if that has no other client; files of the benchmark itself
/// are in `scratch`.
pub(crate) fn run(
    invocation: &Invocation,
    until: Until,
    server: Option<&Server>,
    scratch: &Path,
) -> Done<Sample> {
    let report = scratch.join("report.json");
    let log = scratch.join("client.log");
    let own =
        std::env::current_exe().map_err(|error| Failure::new(format!("where am I? {error}")))?;
    let mut helper = Command::new(own);
    helper.arg("measure").arg("--report").arg(&report);
    match until {
        Until::Exit => {}
        Until::FirstByte => drop(helper.arg("--first-byte")),
        Until::Figure => drop(helper.arg("--figure")),
    }
    if let Some(stdin) = &invocation.stdin {
        helper.arg("--stdin").arg(stdin);
    }
    helper.arg("--").args(&invocation.command);
    for (name, value) in &invocation.environment {
        helper.env(name, value);
    }
    let output = File::create(&log).map_err(Failure::file(&log))?;
    helper.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output).process_group(0);

    let before = server.map(Server::cpu).transpose()?;
    let failed = |what: &str| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        // The last line is the helper's.
        let last = said.lines().rev().find(|line| !line.starts_with("bench: "));
        Failure::new(format!("{what}: {}", last.unwrap_or(&said).trim()))
    };
    let mut child =
        helper.spawn().map_err(|error| Failure::new(format!("cannot measure: {error}")))?;
    let began = Instant::now();
    let status = loop {
        if let Some(status) =
            child.try_wait().map_err(|error| Failure::new(format!("cannot wait: {error}")))?
        {
            break status;
        }
        if began.elapsed() > PATIENCE {
            let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
            // It may have ended just now.
            killpg(group, Signal::SIGKILL).ok();
            drop(child.wait());
            return Err(failed(&format!("took longer than {} s", PATIENCE.as_secs())));
        }
        thread::sleep(Duration::from_millis(5));
    };
    if !status.success() {
        return Err(failed("failed"));
    }
    let after = server.map(Server::cpu_at_rest).transpose()?;
    let server_cpu = after.zip(before).map(|(after, before)| after - before);
    let text = fs::read_to_string(&report).map_err(Failure::file(&report))?;
    let report: Value = serde_json::from_str(&text)
        .map_err(|error| Failure::new(format!("{}: {error}", report.display())))?;
    let field = |name: &str| {
        report.get(name).and_then(Value::as_f64).ok_or_else(|| failed(&format!("no {name}")))
    };
    Ok(Sample {
        wall: field("wall")?,
        client_cpu: field("cpu")?,
        server_cpu,
        peak: field("peak")?,
        figure: report.get("figure").and_then(Value::as_f64),
    })
}

/// What the helper is asked to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Helper {
    /// Where to write what was measured
    #[arg(long)]
    report: PathBuf,
    /// What the program reads
    #[arg(long)]
    stdin: Option<PathBuf>,
    /// Measure the time to the first byte that the program writes
    #[arg(long)]
    first_byte: bool,
    /// Take the number that the program writes
    #[arg(long)]
    figure: bool,
    /// The program and its arguments
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl Helper {
    /// Runs the program and writes the report. A failure of the program is a failure of this.
    pub(crate) fn run(&self) -> Done {
        let [program, arguments @ ..] = self.command.as_slice() else {
            return Err(Failure::new("nothing to run"));
        };
        let stdin = match &self.stdin {
            Some(path) => File::open(path).map_err(Failure::file(path))?.into(),
            None => Stdio::null(),
        };
        let piped = self.first_byte || self.figure;
        let stdout = if piped { Stdio::piped() } else { Stdio::null() };
        let io = |error| Failure::new(format!("{}: {error}", program.display()));
        let began = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(stdin)
            .stdout(stdout)
            .spawn()
            .map_err(io)?;
        let mut first = None;
        let mut written = vec![0];
        if let Some(mut stdout) = child.stdout.take() {
            stdout.read_exact(&mut written).map_err(io)?;
            first = self.first_byte.then(|| began.elapsed());
            stdout.read_to_end(&mut written).map_err(io)?;
        }
        let status = child.wait().map_err(io)?;
        let wall = first.unwrap_or_else(|| began.elapsed());
        let written = String::from_utf8_lossy(&written);
        let figure: Option<f64> = written.trim().parse().ok().filter(|_| self.figure);
        if !status.success() {
            return Err(Failure::new(format!("{}: {status}", program.display())));
        }
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN)
            .map_err(|error| Failure::new(format!("getrusage: {error}")))?;
        let seconds = |time: nix::sys::time::TimeVal| {
            let whole = f64::from(u32::try_from(time.tv_sec()).unwrap_or(u32::MAX));
            let parts = f64::from(u32::try_from(time.tv_usec()).unwrap_or(0));
            whole + parts / 1e6
        };
        let report = json!({
            "wall": wall.as_secs_f64(),
            "cpu": seconds(usage.user_time()) + seconds(usage.system_time()),
            "peak": usage.max_rss(),
            "figure": figure,
        });
        fs::write(&self.report, report.to_string()).map_err(Failure::file(&self.report))
    }
}
