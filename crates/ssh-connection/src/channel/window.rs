//! RFC 4254 §5.2: the window for data that comes in, as arithmetic.
//!
//! ```text
//!   │◄──────────────────────── target ────────────────────────►│
//!   │◄─── unread ───►│◄──── open: the peer may send ────►│ owed │
//!   │◄──────────────── holding ────────────────────────►│
//! ```
//!
//! Credit is given when data is *read*, so that a reader that stops stops its peer. It is given
//! early, three packets or a sixteenth of the window after the last time, so that a long link does
//! not run dry; never later than at half the window.
//!
//! The target doubles when a whole window was received and read within two round trips: then the
//! window, and not the link or the reader, was what limited the peer.

use core::time::Duration;

use ssh_wire::Time;

use crate::{number, size};

/// What the peer may send, and how much of it is unread.
#[derive(Debug)]
pub(crate) struct ReceiveWindow {
    /// What the channel may hold.
    target: u32,
    /// What the peer may still send.
    open: u32,
    /// What came and was not read.
    unread: u32,
    /// The largest data message that the peer may send.
    max_packet: u32,
    /// When the present lap began: a lap is a target's worth of data read.
    lap_began: Time,
    /// What was read in it.
    lap: u32,
}

/// The data is more than was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Excess {
    Packet { max: u32 },
    Window { over: usize },
}

impl ReceiveWindow {
    /// A window that the peer was told is `initial` bytes.
    pub(crate) const fn new(initial: u32, max_packet: u32, now: Time) -> Self {
        Self { target: initial, open: initial, unread: 0, max_packet, lap_began: now, lap: 0 }
    }

    /// What the budget counts: bytes that are here or may come without asking.
    pub(crate) const fn holding(&self) -> u32 {
        self.open.saturating_add(self.unread)
    }

    /// What the channel may hold.
    pub(crate) const fn target(&self) -> u32 {
        self.target
    }

    /// Data has come.
    pub(crate) fn receive(&mut self, len: usize) -> Result<(), Excess> {
        let bytes = number(len);
        if bytes > self.max_packet {
            return Err(Excess::Packet { max: self.max_packet });
        }
        let Some(open) = self.open.checked_sub(bytes) else {
            return Err(Excess::Window { over: len.saturating_sub(size(self.open)) });
        };
        self.open = open;
        self.unread = self.unread.saturating_add(bytes);
        Ok(())
    }

    /// Data was read, or thrown away. True if the window was too small for the peer.
    pub(crate) fn consume(&mut self, len: usize, now: Time, round_trip: RoundTrip) -> bool {
        let bytes = number(len).min(self.unread);
        self.unread = self.unread.saturating_sub(bytes);
        self.lap = self.lap.saturating_add(bytes);
        if self.lap < self.target {
            return false;
        }
        let elapsed = now.since(self.lap_began);
        self.lap = 0;
        self.lap_began = now;
        round_trip.shortest.is_some_and(|shortest| elapsed <= shortest.saturating_mul(2))
    }

    /// Doubles the target, within `max` and by no more than `allowance`.
    pub(crate) fn grow(&mut self, max: u32, allowance: u32) {
        let more = self.target.min(max.saturating_sub(self.target)).min(allowance);
        self.target = self.target.saturating_add(more);
    }

    /// Raises the target to `window`, by no more than `allowance`.
    pub(crate) fn widen(&mut self, window: u32, allowance: u32) {
        let more = window.saturating_sub(self.target).min(allowance);
        self.target = self.target.saturating_add(more);
    }

    /// Lowers the target to `share`: no credit until that much less is held.
    pub(crate) fn shrink(&mut self, share: u32) {
        self.target = self.target.min(share.max(self.max_packet));
    }

    /// What may be credited.
    pub(crate) const fn owed(&self) -> u32 {
        self.target.saturating_sub(self.holding())
    }

    /// What is worth a message.
    fn threshold(&self) -> u32 {
        let packets = self.max_packet.saturating_mul(3);
        packets.max(self.target / 16).min(self.target / 2).max(1)
    }

    /// Credits what was read, if it is worth a message, by at most `allowance`. What is returned
    /// has to be sent. `floor` is what any channel may hold: it is always worth a message if half
    /// of it can be given.
    pub(crate) fn credit(&mut self, allowance: u32, floor: u32) -> Option<u32> {
        let owed = self.owed();
        if owed < self.threshold() {
            return None;
        }
        let grant = owed.min(allowance);
        if grant < self.threshold().min(floor / 2).max(1) {
            return None;
        }
        self.open = self.open.saturating_add(grant);
        Some(grant)
    }

    /// The peer will send no more data.
    pub(crate) const fn shut(&mut self) {
        self.open = 0;
    }

    /// What is unread is thrown away.
    pub(crate) const fn clear(&mut self) {
        self.unread = 0;
    }
}

/// The shortest time that the peer took to answer something on this connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrip {
    shortest: Option<Duration>,
}

impl RoundTrip {
    /// That time, once there was an answer.
    pub(crate) const fn shortest(self) -> Option<Duration> {
        self.shortest
    }

    /// The peer has answered after `elapsed`.
    pub(crate) fn sample(&mut self, elapsed: Duration) {
        self.shortest = Some(self.shortest.map_or(elapsed, |shortest| shortest.min(elapsed)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: u32 = 32 * 1024;
    const FLOOR: u32 = 64 * 1024;

    fn window(target: u32) -> ReceiveWindow {
        ReceiveWindow::new(target, PACKET, Time::ZERO)
    }

    fn at(millis: u64) -> Time {
        Time::from_epoch(Duration::from_millis(millis))
    }

    fn round_trip(millis: u64) -> RoundTrip {
        let mut round_trip = RoundTrip::default();
        round_trip.sample(Duration::from_millis(millis));
        round_trip
    }

    #[test]
    fn data_beyond_the_window_or_the_packet_is_noticed() {
        let mut window = window(40_000);
        assert_eq!(window.receive(PACKET as usize + 1), Err(Excess::Packet { max: PACKET }));
        assert_eq!(window.receive(32_768), Ok(()));
        assert_eq!(window.receive(7_233), Err(Excess::Window { over: 1 }));
        assert_eq!(window.receive(7_232), Ok(()));
        assert_eq!(window.receive(0), Ok(()));
        assert_eq!(window.receive(1), Err(Excess::Window { over: 1 }));
    }

    #[test]
    fn credit_comes_with_reading_and_not_with_arrival() {
        let mut window = window(2 * 1024 * 1024);
        for _ in 0..6 {
            window.receive(32_768).unwrap();
        }
        assert_eq!(window.credit(u32::MAX, FLOOR), None);
        // Below a sixteenth of 2 MiB, 128 KiB, it is not worth a message.
        window.consume(3 * 32_768, at(0), RoundTrip::default());
        assert_eq!(window.credit(u32::MAX, FLOOR), None);
        window.consume(32_768, at(0), RoundTrip::default());
        assert_eq!(window.credit(u32::MAX, FLOOR), Some(4 * 32_768));
        assert_eq!(window.credit(u32::MAX, FLOOR), None);
    }

    #[test]
    fn a_small_window_is_credited_at_half() {
        let mut window = window(FLOOR);
        window.receive(32_768).unwrap();
        window.consume(32_767, at(0), RoundTrip::default());
        assert_eq!(window.credit(u32::MAX, FLOOR), None);
        window.consume(1, at(0), RoundTrip::default());
        assert_eq!(window.credit(u32::MAX, FLOOR), Some(32_768));
    }

    #[test]
    fn windows_up_to_the_largest_number_work() {
        let mut window = ReceiveWindow::new(u32::MAX, u32::MAX, Time::ZERO);
        window.receive(u32::MAX as usize).unwrap();
        assert_eq!(window.receive(1), Err(Excess::Window { over: 1 }));
        window.consume(u32::MAX as usize, at(0), RoundTrip::default());
        assert_eq!(window.credit(u32::MAX, FLOOR), Some(u32::MAX));
        assert_eq!(window.holding(), u32::MAX);
        window.grow(u32::MAX, u32::MAX);
        assert_eq!(window.target(), u32::MAX);
    }

    #[test]
    fn an_empty_budget_withholds_credit_but_not_the_floor() {
        let mut window = window(4 * FLOOR);
        for _ in 0..8 {
            window.receive(32_768).unwrap();
        }
        window.consume(8 * 32_768, at(0), RoundTrip::default());
        assert_eq!(window.credit(FLOOR / 2 - 1, FLOOR), None);
        assert_eq!(window.credit(FLOOR, FLOOR), Some(FLOOR));
    }

    /// Within two round trips means that the window was the limit; later, that something else was.
    #[test]
    fn the_window_was_too_small_if_it_went_through_within_two_round_trips() {
        for (elapsed, too_small) in [(50, true), (200, true), (201, false), (5000, false)] {
            let mut window = window(FLOOR);
            window.receive(32_768).unwrap();
            window.receive(32_768).unwrap();
            assert!(!window.consume(65_535, at(10), round_trip(100)));
            assert_eq!(window.consume(1, at(elapsed), round_trip(100)), too_small);
        }
        let mut window = window(1);
        window.receive(1).unwrap();
        assert!(!window.consume(1, at(0), RoundTrip::default()), "nothing is known about the link");
    }

    #[test]
    fn growth_doubles_and_stays_within_its_bounds() {
        let mut window = window(FLOOR);
        window.grow(u32::MAX, u32::MAX);
        assert_eq!(window.target(), 2 * FLOOR);
        window.grow(3 * FLOOR, u32::MAX);
        assert_eq!(window.target(), 3 * FLOOR);
        window.grow(u32::MAX, 5);
        assert_eq!(window.target(), 3 * FLOOR + 5);
        assert_eq!(window.owed(), 2 * FLOOR + 5);
    }

    #[test]
    fn a_lowered_target_gives_no_credit_until_less_is_held() {
        let mut window = window(16 * FLOOR);
        window.shrink(2 * FLOOR);
        for _ in 0..28 {
            window.receive(32_768).unwrap();
            window.consume(32_768, at(0), RoundTrip::default());
            assert_eq!(window.credit(u32::MAX, FLOOR), None);
        }
        window.receive(32_768).unwrap();
        window.consume(32_768, at(0), RoundTrip::default());
        window.receive(32_768).unwrap();
        window.consume(32_768, at(0), RoundTrip::default());
        assert_eq!(window.credit(u32::MAX, FLOOR), Some(FLOOR));
    }

    #[test]
    fn the_shortest_answer_counts() {
        let mut round_trip = round_trip(30);
        round_trip.sample(Duration::from_millis(10));
        round_trip.sample(Duration::from_millis(20));
        assert_eq!(round_trip.shortest, Some(Duration::from_millis(10)));
    }
}
