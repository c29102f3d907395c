//! Signals: whichever ends the program, the terminal is put back first.

use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::{io, process};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};

use crate::{log::say, terminal};

const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// What the program exits with when a signal ends it.
static EXIT_CODE: AtomicI32 = AtomicI32::new(255);
/// True while SIGINT breaks off what is being done, not the program.
static INTERRUPTIBLE: AtomicBool = AtomicBool::new(false);
static INTERRUPTED: Notify = Notify::const_new();

/// Ends the program at once with the terminal as it was.
pub(crate) fn exit(code: i32) -> ! {
    terminal::restore_all();
    process::exit(code)
}

/// From now on SIGHUP, SIGINT and SIGTERM put the terminal back and exit with `code`; those that
/// were ignored when the program began stay ignored, as `nohup` wants it.
pub(crate) fn watch(code: i32) -> io::Result<()> {
    EXIT_CODE.store(code, Ordering::Relaxed);
    let ignored = ignored_at_start();
    for number in [SIGHUP, SIGINT, SIGTERM] {
        if ignored >> (number - 1) & 1 == 1 {
            continue;
        }
        let stream = signal(SignalKind::from_raw(number))?;
        drop(tokio::spawn(watch_one(number, stream)));
    }
    Ok(())
}

async fn watch_one(number: i32, mut stream: Signal) {
    while stream.recv().await.is_some() {
        if number == SIGINT && INTERRUPTIBLE.load(Ordering::Relaxed) {
            INTERRUPTED.notify_waiters();
            continue;
        }
        say!(Verbose, "Killed by signal {number}.");
        exit(EXIT_CODE.load(Ordering::Relaxed));
    }
}

/// Waits until the program is asked to stop: for servers, which end in order.
pub(crate) async fn stopped() -> io::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// The signals ignored by inheritance, as a mask with SIGHUP in bit 0. Known on Linux only.
fn ignored_at_start() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    parse_ignored(&status)
}

fn parse_ignored(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

/// Does `work` until it is done or the user presses `^C`; then there is no result.
pub(crate) async fn interruptible<T>(work: impl Future<Output = T>) -> Option<T> {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            INTERRUPTIBLE.store(false, Ordering::Relaxed);
        }
    }
    let interrupted = INTERRUPTED.notified();
    tokio::pin!(interrupted);
    interrupted.as_mut().enable();
    INTERRUPTIBLE.store(true, Ordering::Relaxed);
    let _reset = Reset;
    tokio::select! {
        done = work => Some(done),
        () = interrupted => None,
    }
}

/// Stops the program until its parent shell continues it: the escape `~^Z`.
pub(crate) fn suspend() -> io::Result<()> {
    let own = rustix::process::getpid();
    Ok(rustix::process::kill_process(own, rustix::process::Signal::TSTP)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status = "Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
        assert_eq!(parse_ignored(status), 0x1001);
        assert_eq!(parse_ignored("Name:\tx\n"), 0);
        assert_eq!(parse_ignored("SigIgn:\tzz\n"), 0);
    }

    #[tokio::test]
    async fn work_that_is_not_interrupted_gives_its_result() {
        assert_eq!(interruptible(async { 7 }).await, Some(7));
        assert!(!INTERRUPTIBLE.load(Ordering::Relaxed));
    }
}
