//! What has been moved: a prefix without a gap, and ranges behind it.

use alloc::collections::BTreeMap;

/// The parts of a file that are there. Ranges that touch become one, so there are never more of
/// them than there are gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    prefix: u64,
    /// Start and end of what is there behind the first gap.
    ahead: BTreeMap<u64, u64>,
}

impl Ranges {
    /// Everything before `prefix` is there.
    pub(super) const fn new(prefix: u64) -> Self {
        Self { prefix, ahead: BTreeMap::new() }
    }

    /// Where the first gap begins.
    pub(super) const fn prefix(&self) -> u64 {
        self.prefix
    }

    /// Where the last range behind the first gap ends; `None` if there is no gap.
    pub(super) fn end_ahead(&self) -> Option<u64> {
        self.ahead.last_key_value().map(|(_, end)| *end)
    }

    /// Adds a range that touches others or nothing; it overlaps none.
    pub(super) fn add(&mut self, start: u64, end: u64) {
        if start == self.prefix {
            self.prefix = end;
            while let Some(end) = self.ahead.remove(&self.prefix) {
                self.prefix = end;
            }
            return;
        }
        let end = self.ahead.remove(&end).unwrap_or(end);
        match self.ahead.range_mut(..start).next_back() {
            Some((_, before)) if *before == start => *before = end,
            _ => {
                self.ahead.insert(start, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_added_in_any_order_become_the_whole(
            order in Just((0_u64..32).collect::<Vec<_>>()).prop_shuffle(),
        ) {
            let mut ranges = Ranges::new(0);
            let mut there = [false; 32];
            for i in order {
                ranges.add(i * 10, i * 10 + 10);
                there[usize::try_from(i).unwrap()] = true;
                let prefix = there.iter().take_while(|there| **there).count();
                prop_assert_eq!(ranges.prefix(), u64::try_from(prefix).unwrap() * 10);
                // As few ranges as there are runs of what is there behind the prefix.
                let runs = there[prefix..].windows(2).filter(|pair| !pair[0] && pair[1]).count();
                prop_assert_eq!(ranges.ahead.len(), runs);
            }
            prop_assert_eq!((ranges.prefix(), ranges.end_ahead()), (320, None));
        }
    }
}
