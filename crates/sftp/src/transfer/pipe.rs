//! How much to have under way.
//!
//! A link is full when as many bytes are under way as it delivers in one round trip. Both are
//! measured: the round trip as the shortest time from a request to its reply, the rate as what
//! was delivered between the two. Twice their product is asked for: once what is on the way, once
//! what waits at the server. While the link is not yet full this doubles with each round trip;
//! once it is, the rate grows no more, and neither does what waits in queues. (The idea is that
//! of the BBR congestion control.)

use core::time::Duration;

use ssh_wire::Time;

use super::Options;

/// Bytes under way from the start where the round trip is not known: enough for 40 MB/s at 100 ms
/// before anything was measured, and little enough to be drained in a few seconds on a slow link.
const START: u64 = 4 * 1024 * 1024;

/// Where it is known, as many bytes as come in it at this rate (in bytes a second), 1 Gbit/s, but
/// no more than three times [`START`]: what such a link holds at 100 ms.
const START_RATE: u64 = 125_000_000;

/// On a link of at least this round trip they are asked for at [`START_RATE`], as they would come
/// from a full link, but for so many that are asked for at once. A server has to keep what it
/// answers faster than the link takes it, and OpenSSH's copies all that it keeps whenever that
/// becomes more.
const LONG: Duration = Duration::from_millis(10);
const AT_ONCE: u64 = 1024 * 1024;
const STEP: Duration = Duration::from_millis(1);

/// Bytes under way at least, once the link is measured: on a short one this is some milliseconds,
/// in which neither side has to wait for the other to be scheduled.
const LEAST: u64 = 2 * 1024 * 1024;

/// What may wait for a window that is full, so that there is something to be sent as soon as it
/// opens.
const AHEAD: u64 = 512 * 1024;

/// Requests under way from the start, where they are so small that [`START`] would be more: as
/// many as OpenSSH's client has at most.
const START_REQUESTS: u64 = 64;

/// The part of the best rate that is forgotten with each reply, so that a link that got slower is
/// noticed after a few hundred.
const FORGET: u64 = 128;

/// When something was sent, and what had been delivered by then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    at: Time,
    delivered: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Pipe {
    /// Bytes that shall be under way.
    target: u64,
    /// What `target` is until as many bytes were delivered: the first replies tell of a link that
    /// was empty, and would leave it so.
    start: u64,
    /// When the first request was sent, and whether others follow it at [`START_RATE`].
    began: Option<Time>,
    paced: bool,
    /// What `target` is at least and at most, from then on.
    least: u64,
    budget: u64,
    max_requests: usize,
    /// Bytes and requests that are under way.
    bytes: u64,
    requests: usize,
    /// Bytes that came in all.
    delivered: u64,
    round_trip: Option<Duration>,
    /// In bytes a second.
    rate: u64,
}

impl Pipe {
    pub(super) fn new(options: &Options) -> Self {
        let window = options.window.map_or(u64::MAX, |window| window.saturating_add(AHEAD));
        let budget = options.budget.min(window).max(u64::from(options.request_len));
        let requests = u64::from(options.request_len).saturating_mul(START_REQUESTS);
        let start = options.round_trip.map_or(START, |round_trip| {
            in_time(START_RATE, round_trip).clamp(LEAST, START.saturating_mul(3))
        });
        let start = start.min(requests).min(budget);
        Self {
            target: start,
            start,
            began: None,
            paced: options.round_trip.is_some_and(|time| time >= LONG),
            least: start.min(LEAST),
            budget,
            max_requests: options.max_requests.max(1),
            bytes: 0,
            requests: 0,
            delivered: 0,
            round_trip: None,
            rate: 0,
        }
    }

    /// True if a request for `len` bytes may be sent.
    pub(super) fn has_room(&self, len: u32) -> bool {
        self.requests < self.max_requests
            && (self.requests == 0
                || self.bytes < self.target
                    && self.bytes.saturating_add(u64::from(len)) <= self.budget)
    }

    /// When there is to be asked for more, as long as that is not told by replies and not now.
    pub(super) fn opens(&self, now: Time) -> Option<Time> {
        if !self.paced || self.delivered > 0 {
            return None;
        }
        let began = self.began?;
        let due = in_time(START_RATE, now.since(began)).saturating_add(AT_ONCE);
        (due <= self.bytes && self.bytes < self.target)
            .then(|| Time::from_epoch(now.since_epoch().saturating_add(STEP)))
    }

    /// Bytes that shall be under way.
    pub(super) const fn target(&self) -> u64 {
        self.target
    }

    /// Bytes that are under way.
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Requests that are under way.
    pub(super) const fn requests(&self) -> usize {
        self.requests
    }

    /// Bytes a second, as measured; 0 before that.
    pub(super) const fn rate(&self) -> u64 {
        self.rate
    }

    /// The shortest time from a request to its reply.
    pub(super) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// Notes a request for `len` bytes.
    pub(super) const fn sent(&mut self, len: u32, now: Time) -> Sent {
        if self.paced && self.began.is_none() {
            self.began = Some(now);
        }
        self.bytes = self.bytes.saturating_add(len as u64);
        self.requests = self.requests.saturating_add(1);
        Sent { at: now, delivered: self.delivered }
    }

    /// Notes the reply to a request for `len` bytes, which moved `got` of them.
    pub(super) fn answered(&mut self, sent: Sent, len: u32, got: u32, now: Time) {
        self.bytes = self.bytes.saturating_sub(u64::from(len));
        self.requests = self.requests.saturating_sub(1);
        self.delivered = self.delivered.saturating_add(u64::from(got));
        let took = now.since(sent.at);
        self.round_trip = Some(self.round_trip.map_or(took, |best| best.min(took)));
        let delivered = self.delivered.saturating_sub(sent.delivered);
        let rate = per_second(delivered, took).unwrap_or(0);
        let known = self.rate.saturating_sub(self.rate.checked_div(FORGET).unwrap_or(0));
        self.rate = rate.max(known);
        let full = in_time(self.rate, self.round_trip.unwrap_or_default());
        let least = if self.delivered < self.start { self.start } else { self.least };
        // It grows by no more than was delivered, which is asked for again: twice as much in a
        // round trip, and not in a moment.
        let most = self.target.saturating_add(got.into()).min(self.budget);
        self.target = full.saturating_mul(2).clamp(least, self.budget).min(most);
    }
}

/// Keeps to a number of bytes a second, by when requests are sent.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate: Option<u64>,
    /// Before this, nothing may be sent.
    next: Time,
}

impl Pace {
    pub(super) const fn new(rate: Option<u64>) -> Self {
        Self { rate, next: Time::ZERO }
    }

    /// True if something may be sent.
    pub(super) fn is_open(&self, now: Time) -> bool {
        self.rate.is_none() || now >= self.next
    }

    /// Notes that `len` bytes were asked for, or sent.
    pub(super) fn spent(&mut self, len: u32, now: Time) {
        let Some(rate) = self.rate else { return };
        let nanos = u64::from(len).saturating_mul(1_000_000_000).checked_div(rate);
        let takes = Duration::from_nanos(nanos.unwrap_or(0));
        self.next = Time::from_epoch(self.next.max(now).since_epoch().saturating_add(takes));
    }

    /// When something may be sent again, if that is not now.
    pub(super) fn opens(&self, now: Time) -> Option<Time> {
        (!self.is_open(now)).then_some(self.next)
    }
}

/// The rate of `bytes` in `time`; `None` if no time passed.
fn per_second(bytes: u64, time: Duration) -> Option<u64> {
    let rate = u128::from(bytes).saturating_mul(1_000_000_000).checked_div(time.as_nanos())?;
    Some(u64::try_from(rate).unwrap_or(u64::MAX))
}

/// The bytes that come in `time` at `rate`.
fn in_time(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate).saturating_mul(time.as_nanos()).checked_div(1_000_000_000);
    bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::VecDeque;

    const KIB: u64 = 1024;

    /// Runs a link that delivers `rate` bytes a second after `round_trip`, for `seconds`, and
    /// gives the bytes delivered and the bytes under way at the end.
    fn run(options: &Options, rate: u64, round_trip: Duration, seconds: u64) -> (u64, u64) {
        let mut pipe = Pipe::new(options);
        let mut link: VecDeque<(Time, Sent)> = VecDeque::new();
        let (mut now, mut free) = (Time::ZERO, Time::ZERO);
        let each = Duration::from_nanos(u64::from(options.request_len) * 1_000_000_000 / rate);
        while now < Time::from_epoch(Duration::from_secs(seconds)) {
            while pipe.has_room(options.request_len) {
                free = free.max(now + round_trip) + each;
                link.push_back((free, pipe.sent(options.request_len, now)));
            }
            let (at, sent) = link.pop_front().unwrap();
            now = at;
            pipe.answered(sent, options.request_len, options.request_len, now);
        }
        (pipe.delivered, pipe.bytes)
    }

    #[test]
    fn a_long_fast_link_is_filled_within_a_few_round_trips() {
        let options = Options::new(255 * 1024);
        // 125 MB/s at 100 ms hold 12.5 MB.
        let (delivered, under_way) = run(&options, 125_000_000, Duration::from_millis(100), 2);
        assert!(delivered > 200_000_000, "{delivered}");
        assert!(under_way > 12_500_000 && under_way <= DEFAULT, "{under_way}");
    }
    const DEFAULT: u64 = super::super::DEFAULT_BUDGET;

    #[test]
    fn it_is_full_from_the_start_where_the_round_trip_is_known() {
        let (rate, round_trip) = (125_000_000, Duration::from_millis(100));
        let mut options = Options::new(255 * 1024);
        options.round_trip = Some(round_trip);
        let (delivered, _) = run(&options, rate, round_trip, 1);
        // Of the second, one round trip passes before the first byte comes.
        assert!(delivered > rate * 88 / 100, "{delivered}");
    }

    #[test]
    fn small_requests_fill_it_too() {
        let options = Options::new(32 * 1024);
        let (delivered, under_way) = run(&options, 50_000_000, Duration::from_millis(100), 3);
        assert!(delivered > 120_000_000, "{delivered}");
        assert!(under_way <= 512 * 32 * KIB);
    }

    #[test]
    fn a_slow_link_does_not_get_longer_queues() {
        let options = Options::new(255 * 1024);
        let (delivered, under_way) = run(&options, 1_000_000, Duration::from_millis(20), 60);
        assert!(delivered > 55_000_000);
        assert!(under_way <= START + 255 * KIB, "{under_way}");
    }

    #[test]
    fn the_budget_is_kept_whatever_the_link_holds() {
        let mut options = Options::new(255 * 1024);
        options.budget = 3 * 1024 * KIB;
        let (_, under_way) = run(&options, 1_000_000_000, Duration::from_secs(1), 10);
        assert!(under_way <= options.budget);
        options.budget = 1;
        let (_, under_way) = run(&options, 1_000_000_000, Duration::from_millis(1), 1);
        assert_eq!(under_way, 0, "one at a time");
    }

    #[test]
    fn a_rate_is_kept_over_time_and_not_saved_up() {
        let mut pace = Pace::new(Some(1_000_000));
        let at = |millis| Time::from_epoch(Duration::from_millis(millis));
        let mut sent: u64 = 0;
        for millis in 5000..6000 {
            while pace.is_open(at(millis)) {
                pace.spent(10_000, at(millis));
                sent += 10_000;
            }
            assert!(pace.opens(at(millis)).is_some_and(|next| next > at(millis)));
        }
        assert!((990_000..=1_010_000).contains(&sent), "{sent}");
    }

    #[test]
    fn what_is_known_of_the_link_is_used_from_the_start() {
        let mut options = Options::new(255 * 1024);
        let start = |options: &Options| Pipe::new(options).target;
        assert_eq!(start(&options), START);
        options.round_trip = Some(Duration::from_micros(200));
        assert_eq!(start(&options), LEAST);
        options.round_trip = Some(Duration::from_secs(2));
        assert_eq!(start(&options), 3 * START);
        options.window = Some(2 * 1024 * KIB);
        assert_eq!(start(&options), 2 * 1024 * KIB + AHEAD);
    }

    #[test]
    fn a_clock_that_stands_still_is_no_problem() {
        let mut pipe = Pipe::new(&Options::new(1000));
        for _ in 0..100 {
            let sent = pipe.sent(1000, Time::ZERO);
            pipe.answered(sent, 1000, 1000, Time::ZERO);
        }
        assert!(pipe.has_room(1000));
    }
}
