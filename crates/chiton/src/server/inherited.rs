//! What programs would inherit from whoever started the server, and must not.
//!
//! A signal that is ignored stays ignored in every program that is started from there, and in a
//! shell it cannot even be trapped. `nohup` starts a server that ignores hang-ups, and `server &`
//! in a script one that ignores interrupts: control-C would then do nothing in any session.

use std::fs;

use tokio::signal::unix::{SignalKind, signal};

/// Lets programs start with default signals: a signal with a handler is back at its default in a
/// program that is started, one that is ignored is not. So those that are ignored get a handler
/// that does nothing, which for the server itself is the same.
///
/// To be called on a tokio runtime.
pub(super) fn stop_ignoring_signals() {
    // Elsewhere than on Linux nobody tells without unsafe code; there it stays as it is.
    let Ok(status) = fs::read_to_string("/proc/self/status") else { return };
    let ignored = ignored_signals(&status);
    for kind in
        [SignalKind::hangup(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::terminate()]
    {
        let bit = u32::try_from(kind.as_raw_value()).ok().and_then(|number| number.checked_sub(1));
        let is_ignored = bit.and_then(|bit| ignored.checked_shr(bit)).is_some_and(|b| b & 1 == 1);
        if is_ignored {
            // The handler stays for as long as the process lives.
            signal(kind).map(drop).ok();
        }
    }
}

/// The mask of ignored signals: bit 0 is signal 1.
fn ignored_signals(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read_as_the_kernel_writes_it() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals("Name:\tx\n"), 0);
    }
}
