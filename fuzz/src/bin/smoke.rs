//! Runs every fuzz target for a short time: `smoke [--seconds N] [--seed N] [NAME…]`.

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::time::Duration;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use chiton_fuzz::smoke::{Budget, Finding, Report, Watch, hex, run};
use chiton_fuzz::{Target, targets};

/// More of a reproducer than this is better written to a file than printed.
const SHOWN: usize = 4096;

thread_local! {
    static WATCH: core::cell::OnceCell<Arc<Watch>> = const { core::cell::OnceCell::new() };
}

fn main() -> ExitCode {
    let (budget, chosen) = match arguments() {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("smoke: {message}");
            return ExitCode::FAILURE;
        }
    };
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let kept = WATCH.with(|watch| watch.get().map(|watch| watch.panicked(info.to_string())));
        if kept.is_none() {
            hook(info);
        }
    }));

    let total = chosen.len();
    let queue = Arc::new(Mutex::new(VecDeque::from(chosen)));
    let (results, done) = mpsc::channel();
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let watches: Vec<Arc<Watch>> = (0..workers).map(|_| Arc::default()).collect();
    for watch in &watches {
        let (queue, results, watch) = (Arc::clone(&queue), results.clone(), Arc::clone(watch));
        thread::spawn(move || work(&queue, budget, &watch, &results));
    }
    report(total, &done, &watches, budget)
}

fn work(
    queue: &Mutex<VecDeque<Target>>,
    budget: Budget,
    watch: &Arc<Watch>,
    results: &mpsc::Sender<(Target, Result<Report, Finding>)>,
) {
    WATCH.with(|mine| mine.get_or_init(|| Arc::clone(watch)).overdue());
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let Some(target) = next else { return };
        if results.send((target, run(target, budget, watch))).is_err() {
            return;
        }
    }
}

fn report(
    total: usize,
    done: &mpsc::Receiver<(Target, Result<Report, Finding>)>,
    watches: &[Arc<Watch>],
    budget: Budget,
) -> ExitCode {
    let mut failed = 0;
    let mut finished = 0;
    while finished < total {
        match done.recv_timeout(Duration::from_millis(200)) {
            Ok((target, result)) => {
                finished += 1;
                failed += usize::from(result.is_err());
                print_result(target, result, budget);
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                // A thread cannot be stopped: what hangs ends the run.
                if let Some((name, input)) = watches.iter().find_map(|watch| watch.overdue()) {
                    println!("{name}: HANGS (seed {})\n{}", budget.seed, reproducer(name, &input));
                    return ExitCode::FAILURE;
                }
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    println!("smoke: {finished} of {total} targets ran, {failed} failed");
    if failed == 0 && finished == total && total > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn print_result(target: Target, result: Result<Report, Finding>, budget: Budget) {
    let Target { krate, name, .. } = target;
    match result {
        Ok(Report { inputs, seeds, took }) => {
            println!("{krate} {name}: {inputs} inputs from {seeds} seeds in {took:.1?}");
        }
        Err(Finding::Panicked(message, input)) => {
            println!(
                "{krate} {name}: {message} (seed {})\n{}",
                budget.seed,
                reproducer(name, &input)
            );
        }
        Err(Finding::NoSeeds(error)) => println!("{krate} {name}: no seeds: {error}"),
    }
}

fn reproducer(name: &str, input: &[u8]) -> String {
    let digits = hex(input.get(..SHOWN).unwrap_or(input));
    let file = std::env::temp_dir().join(format!("chiton-fuzz-{name}"));
    let written = match std::fs::write(&file, input) {
        Ok(()) => format!("cargo run -p chiton-fuzz --bin {name} -- {}", file.display()),
        Err(error) => format!("not written to {}: {error}", file.display()),
    };
    let more = if input.len() > SHOWN { "…" } else { "" };
    format!("  input, {} bytes: {digits}{more}\n  {written}", input.len())
}

fn arguments() -> Result<(Budget, Vec<Target>), String> {
    let mut budget = Budget { time: Duration::from_secs(2), seed: 1 };
    let mut names = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().and_then(|value| value.parse().ok());
            value.ok_or_else(|| format!("{argument} needs a number"))
        };
        match argument.as_str() {
            "--seconds" => budget.time = Duration::from_secs(number()?),
            "--seed" => budget.seed = number()?,
            _ => names.push(argument),
        }
    }
    for name in &names {
        if !targets().any(|target| target.name == name) {
            return Err(format!("no target is called {name}"));
        }
    }
    let chosen =
        targets().filter(|target| names.is_empty() || names.iter().any(|name| name == target.name));
    Ok((budget, chosen.collect()))
}
