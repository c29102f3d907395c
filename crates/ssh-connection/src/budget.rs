//! The window of the connection, which RFC 4254 does not have.
//!
//! A channel *holds* what the peer may still send plus what is unread. Each channel may always hold
//! its floor; what it holds above comes out of one account. When the account is empty, credit is
//! withheld from the channels that hold most, and the sum never exceeds the budget.

use crate::{Limits, number, size};

/// The account that all channels of a connection draw on.
#[derive(Debug)]
pub(crate) struct Budget {
    /// What a channel may hold without drawing on the account.
    floor: u32,
    /// What the account had at first.
    limit: usize,
    /// What is drawn.
    taken: usize,
    /// What a channel may hold is the budget divided by the channels.
    total: usize,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let floor = limits.window_floor();
        let floors = size(floor).saturating_mul(limits.max_channels);
        Self {
            floor,
            limit: limits.connection_budget.saturating_sub(floors),
            taken: 0,
            total: limits.connection_budget,
        }
    }

    /// What is drawn, for the checks of tests.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const fn taken(&self) -> usize {
        self.taken
    }

    pub(crate) const fn floor(&self) -> u32 {
        self.floor
    }

    /// What a channel that holds `holding` may hold in addition.
    pub(crate) fn allowance(&self, holding: u32) -> u32 {
        let free = number(self.limit.saturating_sub(self.taken));
        self.floor.saturating_sub(holding).saturating_add(free)
    }

    /// A channel holds `after` instead of `before`.
    pub(crate) fn change(&mut self, before: u32, after: u32) {
        let drawn = |holding: u32| size(holding.saturating_sub(self.floor));
        self.taken = self.taken.saturating_sub(drawn(before)).saturating_add(drawn(after));
    }

    /// What each of `channels` may hold if all hold the same.
    pub(crate) fn share(&self, channels: usize) -> u32 {
        number(self.total.checked_div(channels).unwrap_or(self.total)).max(self.floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget() -> Budget {
        Budget::new(&Limits {
            initial_window: 100,
            max_packet: 50,
            connection_budget: 1000,
            max_channels: 4,
            ..Limits::default()
        })
    }

    #[test]
    fn the_floors_of_all_channels_are_kept_back() {
        let mut budget = budget();
        assert_eq!(budget.allowance(0), 700);
        budget.change(0, 700);
        assert_eq!(budget.allowance(700), 0);
        assert_eq!(budget.allowance(0), 100);
        budget.change(0, 100);
        budget.change(700, 650);
        assert_eq!(budget.allowance(100), 50);
    }

    #[test]
    fn a_share_is_never_below_the_floor() {
        assert_eq!(budget().share(2), 500);
        assert_eq!(budget().share(50), 100);
        assert_eq!(budget().share(0), 1000);
    }
}
