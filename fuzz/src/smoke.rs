//! A short run of every target, in seconds and without coverage: enough to notice that a target no
//! longer builds, starts or survives what is near its seeds.

use core::fmt::Write as _;
use core::time::Duration;
use std::panic;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::mutate::{Dice, mutate};
use crate::{Target, seeds};

/// An input that takes longer than this is a finding. Generous, since tests run unoptimised on
/// machines that do other things too.
const INPUT_TIME: Duration = Duration::from_secs(5);

/// How a run is bounded.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// How long each target runs.
    pub time: Duration,
    /// What the mutations are made from: the same seed makes the same inputs in the same order.
    pub seed: u64,
}

/// What a run of one target came to.
#[derive(Debug)]
pub struct Report {
    /// How many inputs were run.
    pub inputs: u64,
    /// How many of them were seeds.
    pub seeds: usize,
    /// How long it took.
    pub took: Duration,
}

/// Why a run of one target failed.
#[derive(Debug)]
pub enum Finding {
    /// The target panicked, with this message, on this input.
    Panicked(String, Vec<u8>),
    /// The seeds could not be read.
    NoSeeds(std::io::Error),
}

/// What a worker is doing, for the thread that watches the time.
#[derive(Debug, Default)]
pub struct Watch(Mutex<Running>);

#[derive(Debug, Default)]
struct Running {
    /// The target, and since when it runs the input.
    since: Option<(&'static str, Instant)>,
    input: Vec<u8>,
    /// The message of the last panic.
    message: String,
}

impl Watch {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, name: &'static str, input: &[u8]) {
        let mut running = self.lock();
        running.since = Some((name, Instant::now()));
        running.input.clear();
        running.input.extend_from_slice(input);
    }

    fn end(&self) {
        self.lock().since = None;
    }

    /// Keeps the message of a panic, for the hook that sees it.
    pub fn panicked(&self, message: String) {
        self.lock().message = message;
    }

    /// The target and the input that have run for longer than an input may, if they have.
    #[must_use]
    pub fn overdue(&self) -> Option<(&'static str, Vec<u8>)> {
        let running = self.lock();
        let (name, since) = running.since?;
        (since.elapsed() > INPUT_TIME).then(|| (name, running.input.clone()))
    }
}

/// Runs `target` over its seeds and then over mutations of them until the time is up.
///
/// # Errors
/// What the run found.
pub fn run(target: Target, budget: Budget, watch: &Watch) -> Result<Report, Finding> {
    let began = Instant::now();
    let seeds = seeds::of(target.name).map_err(Finding::NoSeeds)?;
    let words = seeds::words(include_str!("../ssh.dict"));
    let mut inputs: u64 = 0;
    let mut execute = |input: &[u8]| {
        watch.begin(target.name, input);
        let result = panic::catch_unwind(|| (target.body)(input));
        watch.end();
        inputs = inputs.saturating_add(1);
        result.map_err(|_| Finding::Panicked(watch.lock().message.clone(), input.to_vec()))
    };

    execute(&[])?;
    for seed in &seeds {
        execute(seed)?;
    }
    // The name makes different targets with the same seeds see different inputs.
    let name = target
        .name
        .bytes()
        .fold(0, |sum: u64, byte| sum.wrapping_mul(0x100_0000_01b3).wrapping_add(u64::from(byte)));
    let mut dice = Dice::new(budget.seed ^ name);
    let mut input = Vec::new();
    while began.elapsed() < budget.time {
        // Mostly from a seed; sometimes further from what the last one became.
        if dice.below(4) != 0 || input.is_empty() {
            input.clear();
            input.extend_from_slice(dice.pick(&seeds).map(Vec::as_slice).unwrap_or_default());
        }
        mutate(&mut input, &seeds, &words, &mut dice);
        execute(&input)?;
    }
    Ok(Report { inputs, seeds: seeds.len(), took: began.elapsed() })
}

/// The bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "writing to a String does not fail");
        text
    })
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::{Budget, Finding, Watch, run};
    use crate::Target;

    #[test]
    fn a_target_without_seeds_is_a_finding() {
        let target = Target { krate: "none", name: "no such target", body: |_| {} };
        let budget = Budget { time: Duration::ZERO, seed: 1 };
        assert!(matches!(run(target, budget, &Watch::default()), Err(Finding::NoSeeds(_))));
    }
}
