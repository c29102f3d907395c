//! The memory that content is read into before it is sent.

use std::collections::VecDeque;

use bytes::Bytes;

/// Buffers that are kept to be read into again, beyond those that are being sent.
const SPARES: usize = 8;

/// What was handed to the engine, the oldest first. Once that has copied it into packets, the memory
/// is free to be read into again: the one that was freed last, which the CPU's cache still has.
#[derive(Debug, Default)]
pub(super) struct Buffers(VecDeque<Bytes>);

impl Buffers {
    /// Notes what is being sent.
    pub(super) fn sent(&mut self, bytes: Bytes) {
        self.0.push_back(bytes);
        for _ in SPARES..self.free() {
            self.0.pop_front();
        }
    }

    /// Memory that is free, if there is any.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        let last = self.free().checked_sub(1)?;
        self.0.remove(last)?.try_into_mut().ok().map(Vec::from)
    }

    /// How many of the oldest nobody else has any more.
    fn free(&self) -> usize {
        self.0.iter().take_while(|bytes| bytes.is_unique()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_into_again_once_it_was_sent() {
        let mut buffers = Buffers::default();
        assert_eq!(buffers.take(), None);
        let sent: Vec<Bytes> = (0..3).map(|n| vec![n; 1000].into()).collect();
        sent.iter().for_each(|bytes| buffers.sent(bytes.clone()));
        assert_eq!(buffers.take(), None, "all are being sent");
        let mut sent = sent.into_iter();
        drop((sent.next(), sent.next()));
        // What is in them tells which they are.
        assert_eq!(buffers.take(), Some(vec![1; 1000]));
        assert_eq!(buffers.take(), Some(vec![0; 1000]));
        assert_eq!(buffers.take(), None);
        drop(sent);
        assert_eq!(buffers.take(), Some(vec![2; 1000]));
    }

    #[test]
    fn no_more_is_kept_than_is_worth_it() {
        let mut buffers = Buffers::default();
        (0..100).for_each(|_| buffers.sent(vec![0; 1000].into()));
        assert_eq!(buffers.0.len(), SPARES);
    }
}
