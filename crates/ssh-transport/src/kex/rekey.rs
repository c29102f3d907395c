//! When keys are exchanged anew (RFC 4253 §9, RFC 4344 §3): by bytes, packets and time.
//!
//! An exchange is begun by this side only once the connection protocol has spoken: OpenSSH's
//! client does not cope with one during authentication, and nothing there is large or takes long.
//! One begun by the peer is answered at any time.

use ssh_wire::Time;

use crate::{limits::Limits, packet::Usage};

/// The clock of key exchanges.
#[derive(Debug)]
pub(crate) struct Schedule {
    /// The latest time that was told.
    now: Time,
    /// When the present keys were made.
    keys_since: Time,
    /// Whether a message of the connection protocol was seen.
    authenticated: bool,
    running: Running,
}

#[derive(Debug, PartialEq, Eq)]
enum Running {
    No,
    Since(Time),
    /// Begun by sending something, which does not know the time: the next tick does.
    SinceUnknown,
}

impl Schedule {
    pub(crate) const fn new(now: Time) -> Self {
        Self { now, keys_since: now, authenticated: false, running: Running::No }
    }

    /// Notes the time.
    pub(crate) fn at(&mut self, now: Time) {
        self.now = self.now.max(now);
        if self.running == Running::SinceUnknown {
            self.running = Running::Since(self.now);
        }
    }

    /// Notes that the connection protocol speaks.
    pub(crate) const fn authenticated(&mut self) {
        self.authenticated = true;
    }

    /// Whether the connection protocol has spoken.
    pub(crate) const fn is_authenticated(&self) -> bool {
        self.authenticated
    }

    /// A later exchange begins; the time is known unless a send began it.
    pub(crate) const fn begin(&mut self, time_is_known: bool) {
        self.running = if time_is_known { Running::Since(self.now) } else { Running::SinceUnknown };
    }

    /// Keys were made.
    pub(crate) const fn complete(&mut self) {
        self.running = Running::No;
        self.keys_since = self.now;
    }

    /// Whether a key has been used enough.
    pub(crate) fn is_used_up(&self, limits: &Limits, usage: Usage) -> bool {
        let packets = limits.rekey_packets.min(Limits::MAX_REKEY_PACKETS);
        self.authenticated && (usage.bytes >= limits.rekey_bytes || usage.packets >= packets)
    }

    /// Whether the keys are old enough.
    pub(crate) fn is_old(&self, limits: &Limits) -> bool {
        self.authenticated && self.now.since(self.keys_since) >= limits.rekey_interval
    }

    /// Whether the exchange that runs has taken too long.
    pub(crate) fn is_late(&self, limits: &Limits) -> bool {
        match self.running {
            Running::Since(start) => self.now.since(start) >= limits.rekey_timeout,
            Running::No | Running::SinceUnknown => false,
        }
    }

    /// When the time has to be told next.
    #[expect(clippy::arithmetic_side_effects, reason = "the addition of `Time` saturates")]
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Time> {
        match self.running {
            Running::Since(start) => Some(start + limits.rekey_timeout),
            Running::SinceUnknown => Some(self.now),
            Running::No if self.authenticated => Some(self.keys_since + limits.rekey_interval),
            Running::No => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    fn second(n: u64) -> Time {
        Time::from_epoch(Duration::from_secs(n))
    }

    #[test]
    fn keys_are_renewed_only_once_the_connection_protocol_speaks() {
        let limits = Limits { rekey_bytes: 10, rekey_packets: 2, ..Limits::default() };
        let mut schedule = Schedule::new(second(0));
        let much = Usage { packets: 9, bytes: 99 };
        schedule.at(second(99_999));
        assert!(!schedule.is_used_up(&limits, much) && !schedule.is_old(&limits));
        assert_eq!(schedule.deadline(&limits), None);
        schedule.authenticated();
        assert!(schedule.is_used_up(&limits, much) && schedule.is_old(&limits));
        assert_eq!(schedule.deadline(&limits), Some(second(3600)));
        schedule.complete();
        assert!(!schedule.is_old(&limits));
        for (packets, bytes, due) in [(1, 9, false), (2, 0, true), (0, 10, true)] {
            assert_eq!(schedule.is_used_up(&limits, Usage { packets, bytes }), due);
        }
    }

    #[test]
    fn no_configuration_lets_sequence_numbers_repeat() {
        let limits = Limits { rekey_packets: u64::MAX, ..Limits::default() };
        let mut schedule = Schedule::new(second(0));
        schedule.authenticated();
        assert!(schedule.is_used_up(&limits, Usage { packets: 1 << 31, bytes: 0 }));
    }

    #[test]
    fn an_exchange_begun_by_a_send_gets_its_deadline_at_the_next_tick() {
        let limits = Limits::default();
        let mut schedule = Schedule::new(second(5));
        schedule.begin(false);
        assert_eq!(schedule.deadline(&limits), Some(second(5)));
        schedule.at(second(1000));
        assert!(!schedule.is_late(&limits));
        assert_eq!(schedule.deadline(&limits), Some(second(1300)));
        schedule.at(second(1300));
        assert!(schedule.is_late(&limits));
    }

    #[test]
    fn a_clock_that_runs_backwards_ends_nothing() {
        let limits = Limits::default();
        let mut schedule = Schedule::new(second(500));
        schedule.begin(true);
        schedule.at(second(1));
        assert!(!schedule.is_late(&limits));
    }
}
