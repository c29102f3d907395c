//! How many channels an upload is worth.
//!
//! A server lets a client send a window's worth of data on a channel before it has said that it
//! took some: 2 MiB on OpenSSH's. So one channel carries a window in a round trip and no more,
//! whatever the link could; several channels carry several.

use core::time::Duration;

/// Below this round trip a window of usual size carries more than any server takes.
const SHORT: Duration = Duration::from_millis(5);

/// The link that shall be filled, in bytes a second: 1 Gbit/s.
const LINK: u64 = 125_000_000;

/// The most channels that are worth it; OpenSSH allows ten sessions on a connection.
const MOST: usize = 8;

/// How many channels to use for the `remaining` bytes of an upload.
///
/// One, unless the link is so long that a `window` (what the peer lets us have under way on a
/// channel, in bytes) carries less than 1 Gbit/s, and there is so much left that opening further
/// channels pays, which takes two round trips. If a `rate` was measured (bytes a second), and it is
/// less than what the window allows, then it is the link or the peer that is slow, and more
/// channels would not help.
#[must_use]
pub fn wanted(round_trip: Duration, window: u64, rate: Option<u64>, remaining: u64) -> usize {
    let window = window.max(1);
    if round_trip < SHORT || remaining < window.saturating_mul(4) {
        return 1;
    }
    let nanos = u64::try_from(round_trip.as_nanos()).unwrap_or(u64::MAX);
    let in_round_trip = |rate: u64| {
        let bytes = u128::from(rate).saturating_mul(u128::from(nanos)).checked_div(1_000_000_000);
        bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX)
    };
    // Three quarters of a window in a round trip: it is the window that limits.
    let limited_by_link = |rate| in_round_trip(rate) < window.saturating_sub(window / 4);
    if rate.is_some_and(limited_by_link) {
        return 1;
    }
    let worth = in_round_trip(LINK).min(remaining / 2);
    usize::try_from(worth.div_ceil(window)).unwrap_or(MOST).clamp(1, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;
    const WINDOW: u64 = 2 * MIB;

    fn at(millis: u64, rate: Option<u64>, remaining: u64) -> usize {
        wanted(Duration::from_millis(millis), WINDOW, rate, remaining)
    }

    #[test]
    fn a_long_link_is_worth_as_many_channels_as_fill_it() {
        assert_eq!(at(100, None, 64 * MIB), 6);
        assert_eq!(at(50, None, 64 * MIB), 3);
        assert_eq!(at(1000, None, 1024 * MIB), 8);
    }

    #[test]
    fn one_channel_does_where_more_do_not_help() {
        assert_eq!(at(1, None, 1024 * MIB), 1, "a short link");
        assert_eq!(at(100, None, 7 * MIB), 1, "little to move");
        assert_eq!(at(100, Some(1_000_000), 64 * MIB), 1, "a slow link");
        assert_eq!(at(100, Some(20_000_000), 64 * MIB), 6, "the window is the limit");
        let wide = wanted(Duration::from_millis(100), 32 * MIB, None, 1024 * MIB);
        assert_eq!(wide, 1, "a wide window");
    }

    #[test]
    fn numbers_at_their_ends_are_no_problem() {
        assert_eq!(wanted(Duration::MAX, 0, Some(u64::MAX), u64::MAX), MOST);
        assert_eq!(wanted(Duration::ZERO, u64::MAX, None, 0), 1);
    }
}
