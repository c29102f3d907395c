//! RFC 4254 §5: the numbers of channels.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use super::Channel;

/// Names a channel of one connection.
///
/// Behind it is the number on the wire, which is used again once a channel is gone, and a count of
/// such uses: an id that was kept too long names nothing instead of somebody else's channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId {
    number: u32,
    generation: u32,
}

impl ChannelId {
    /// The number on the wire, for messages to people.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.number
    }

    #[cfg(test)]
    pub(crate) const fn for_tests(number: u32) -> Self {
        Self { number, generation: 0 }
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

impl fmt::Debug for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChannelId({}#{})", self.number, self.generation)
    }
}

/// All channels, by number.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Slot>,
    /// Numbers of slots without a channel.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot {
    generation: u32,
    channel: Option<Box<Channel>>,
}

impl Table {
    /// How many channels there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Gives `channel` a number. The caller has checked that there are not too many.
    pub(crate) fn insert(&mut self, channel: Channel) -> ChannelId {
        let channel = Some(Box::new(channel));
        if let Some(number) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(crate::size(number))
        {
            slot.channel = channel;
            return ChannelId { number, generation: slot.generation };
        }
        let number = crate::number(self.slots.len());
        self.slots.push(Slot { generation: 0, channel });
        ChannelId { number, generation: 0 }
    }

    /// The channel that the application means.
    pub(crate) fn get(&self, id: ChannelId) -> Option<&Channel> {
        let slot = self.slots.get(crate::size(id.number))?;
        slot.channel.as_deref().filter(|_| slot.generation == id.generation)
    }

    /// As [`Self::get`].
    pub(crate) fn get_mut(&mut self, id: ChannelId) -> Option<&mut Channel> {
        let slot = self.slots.get_mut(crate::size(id.number))?;
        let generation = slot.generation;
        slot.channel.as_deref_mut().filter(|_| generation == id.generation)
    }

    /// The channel that the peer means, and its id.
    pub(crate) fn by_number(&mut self, number: u32) -> Option<(ChannelId, &mut Channel)> {
        let slot = self.slots.get_mut(crate::size(number))?;
        let id = ChannelId { number, generation: slot.generation };
        slot.channel.as_deref_mut().map(|channel| (id, channel))
    }

    /// Takes a channel out; its number is free for the next.
    pub(crate) fn remove(&mut self, id: ChannelId) -> Option<Box<Channel>> {
        let slot = self.slots.get_mut(crate::size(id.number))?;
        if slot.generation != id.generation {
            return None;
        }
        let channel = slot.channel.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.number);
        Some(channel)
    }

    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Channel> {
        self.slots.iter().filter_map(|slot| slot.channel.as_deref())
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Channel> {
        self.slots.iter_mut().filter_map(|slot| slot.channel.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Limits, budget::Budget};
    use ssh_wire::Time;

    #[test]
    fn an_old_id_does_not_name_the_next_channel_with_its_number() {
        let limits = Limits::default();
        let channel = || Channel::ours(&limits, &mut Budget::new(&limits), Time::ZERO);
        let mut table = Table::default();
        let a = table.insert(channel());
        let b = table.insert(channel());
        assert_eq!((a.number(), b.number(), table.len()), (0, 1, 2));
        assert!(table.remove(a).is_some());
        assert!(table.remove(a).is_none());
        let c = table.insert(channel());
        assert_eq!((c.number(), table.len()), (0, 2));
        assert!(table.get(a).is_none() && table.get_mut(a).is_none());
        assert!(table.get(c).is_some());
        assert_eq!(table.by_number(0).map(|(id, _)| id), Some(c));
        assert!(table.by_number(2).is_none());
    }
}
