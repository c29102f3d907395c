//! Data that came and was not read, and the memory it keeps alive.
//!
//! Payloads are kept as slices of the blocks they were read in: no copy. But a slice of a kilobyte
//! may keep a block of 128 KiB alive, and a peer chooses what it sends. So the buffer counts what it
//! *holds* and not only what is in it:
//!
//! - payloads below 1 KiB are copied to a small block of the buffer's own, its *tail*;
//! - slices are counted in *runs*, which lie in one block as far as their addresses tell; a run
//!   holds a whole block, however little of it is unread;
//! - when more than twice the unread bytes and a [`slack`] is held, what is not compact is copied to
//!   blocks of the right size. Each byte is copied once at most.

use alloc::{collections::VecDeque, vec::Vec};

use bytes::{Bytes, BytesMut};

/// Payloads below this are copied: a slice would keep too much alive for what it is.
const SMALL: usize = 1024;

/// The size of the block that small payloads are copied to.
const TAIL: usize = 4 * 1024;

/// The largest block made by compaction: what a nearly read one still keeps alive.
const COMPACT: usize = 32 * 1024;

/// What a buffer may hold beyond twice its unread bytes: as much as lets a packet of [`COMPACT`]
/// bytes be kept in a block of `block`, and what compaction itself needs.
pub(crate) fn slack(block: usize) -> usize {
    block.max(4 * COMPACT).saturating_sub(2 * COMPACT)
}

/// The unread bytes of one stream.
#[derive(Debug)]
pub(crate) struct RecvBuf {
    /// In the order of the wire; the last `loose` of them may hold more than they are.
    chunks: VecDeque<Chunk>,
    /// Behind all chunks.
    tail: BytesMut,
    /// Unread bytes.
    len: usize,
    /// Bytes kept alive by the chunks.
    held: usize,
    /// Chunks at the back that were not looked at by compaction.
    loose: usize,
    /// The run that the next slice may belong to.
    run: Option<Run>,
    /// What a run holds.
    block: usize,
}

#[derive(Debug)]
struct Chunk {
    bytes: Bytes,
    /// What is freed when this chunk and those that continue it are gone.
    weight: usize,
    /// In the same block as the chunk before it.
    continues: bool,
}

/// Addresses of slices that follow each other within one block.
#[derive(Clone, Copy, Debug)]
struct Run {
    start: usize,
    end: usize,
}

impl RecvBuf {
    /// An empty buffer for slices of blocks of `block` bytes.
    pub(crate) fn new(block: usize) -> Self {
        Self {
            chunks: VecDeque::new(),
            tail: BytesMut::new(),
            len: 0,
            held: 0,
            loose: 0,
            run: None,
            block,
        }
    }

    /// Unread bytes.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Bytes kept alive.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) fn held(&self) -> usize {
        self.held.saturating_add(self.tail.capacity())
    }

    /// Adds `bytes`, which are a slice of a block that others may share.
    pub(crate) fn push(&mut self, bytes: Bytes) {
        self.len = self.len.saturating_add(bytes.len());
        if bytes.len() < SMALL {
            self.push_small(&bytes);
        } else {
            self.seal_tail();
            self.push_slice(bytes);
        }
        self.compact_if_sparse();
    }

    fn push_small(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if self.tail.len().saturating_add(bytes.len()) > TAIL {
            self.seal_tail();
        }
        if self.tail.capacity().saturating_sub(self.tail.len()) < bytes.len() {
            self.tail.reserve(TAIL.saturating_sub(self.tail.len()));
        }
        self.tail.extend_from_slice(bytes);
    }

    /// Makes the tail a chunk.
    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            let weight = self.tail.capacity();
            let bytes = core::mem::take(&mut self.tail).freeze();
            self.push_chunk(Chunk { bytes, weight, continues: false });
            self.run = None;
        }
    }

    fn push_slice(&mut self, bytes: Bytes) {
        let start = bytes.as_ptr().addr();
        let end = start.saturating_add(bytes.len());
        let run =
            self.run.filter(|run| run.end <= start && end.saturating_sub(run.start) <= self.block);
        self.run = Some(Run { start: run.map_or(start, |run| run.start), end });
        let continues = run.is_some();
        let weight = if continues { 0 } else { self.block.max(bytes.len()) };
        self.push_chunk(Chunk { bytes, weight, continues });
    }

    fn push_chunk(&mut self, chunk: Chunk) {
        self.held = self.held.saturating_add(chunk.weight);
        self.chunks.push_back(chunk);
        self.loose = self.loose.saturating_add(1);
    }

    /// Takes the oldest piece, whole.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let bytes = match self.pop_chunk() {
            Some(bytes) => bytes,
            None if self.tail.is_empty() => return None,
            None => self.tail.split().freeze(),
        };
        self.len = self.len.saturating_sub(bytes.len());
        self.compact_if_sparse();
        Some(bytes)
    }

    /// Copies to `buf` what fits and returns how much.
    pub(crate) fn read(&mut self, buf: &mut [u8]) -> usize {
        let mut filled: usize = 0;
        while let Some(room) = buf.get_mut(filled..).filter(|room| !room.is_empty()) {
            let Some(front) = self.chunks.front_mut() else {
                filled = filled.saturating_add(copy_front(&mut self.tail, room));
                break;
            };
            let n = copy(&front.bytes, room);
            filled = filled.saturating_add(n);
            if n == front.bytes.len() {
                let _read = self.pop_chunk();
            } else {
                let _read = front.bytes.split_to(n);
            }
        }
        self.len = self.len.saturating_sub(filled);
        self.compact_if_sparse();
        filled
    }

    /// Throws everything away and returns how much it was.
    pub(crate) fn clear(&mut self) -> usize {
        let len = self.len;
        *self = Self::new(self.block);
        len
    }

    /// Takes the first chunk out; its weight goes to the next if that is in the same block.
    fn pop_chunk(&mut self) -> Option<Bytes> {
        let chunk = self.chunks.pop_front()?;
        self.loose = self.loose.min(self.chunks.len());
        match self.chunks.front_mut() {
            Some(next) if next.continues => {
                next.continues = false;
                next.weight = next.weight.saturating_add(chunk.weight);
            }
            _ => self.held = self.held.saturating_sub(chunk.weight),
        }
        if self.chunks.is_empty() {
            self.run = None;
        }
        Some(chunk.bytes)
    }

    fn compact_if_sparse(&mut self) {
        let allowed = self.len.saturating_mul(2).saturating_add(slack(self.block));
        if self.held > allowed && self.loose > 0 {
            self.compact();
        }
    }

    /// Copies the loose chunks to blocks of the right size.
    fn compact(&mut self) {
        let compact = self.chunks.len().saturating_sub(self.loose);
        // The first loose chunk may continue a compact one only if that is loose too: compaction
        // ends runs. So cutting here cuts no run.
        let loose = self.chunks.split_off(compact);
        let mut left =
            loose.iter().fold(0_usize, |sum, chunk| sum.saturating_add(chunk.bytes.len()));
        self.held = loose.iter().fold(self.held, |held, chunk| held.saturating_sub(chunk.weight));
        let mut block = Vec::new();
        for chunk in loose {
            let mut rest: &[u8] = &chunk.bytes;
            while !rest.is_empty() {
                if block.capacity() == 0 {
                    block.reserve_exact(left.min(COMPACT));
                }
                let room = block.capacity().saturating_sub(block.len());
                let (now, later) = rest.split_at_checked(room).unwrap_or((rest, &[]));
                block.extend_from_slice(now);
                left = left.saturating_sub(now.len());
                rest = later;
                if block.len() == block.capacity() {
                    self.push_compact(core::mem::take(&mut block));
                }
            }
        }
        self.loose = 0;
        self.run = None;
    }

    fn push_compact(&mut self, block: Vec<u8>) {
        let weight = block.capacity();
        self.held = self.held.saturating_add(weight);
        self.chunks.push_back(Chunk { bytes: Bytes::from(block), weight, continues: false });
    }
}

/// Copies what fits and returns how much.
fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let n = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..n), to.get_mut(..n)) {
        to.copy_from_slice(from);
    }
    n
}

/// As [`copy`], and takes it out of `from`.
fn copy_front(from: &mut BytesMut, to: &mut [u8]) -> usize {
    let n = copy(from, to);
    if n == from.len() {
        from.clear();
    } else {
        let _read = from.split_to(n);
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use proptest::prelude::*;

    const BLOCK: usize = 128 * 1024;
    const SLACK: usize = 64 * 1024;

    fn block(byte: u8, len: usize) -> Bytes {
        Bytes::from(vec![byte; len])
    }

    #[test]
    fn large_payloads_are_not_copied() {
        let mut buf = RecvBuf::new(BLOCK);
        let payload = block(1, BLOCK);
        for i in 0..4 {
            buf.push(payload.slice(i * 32_768..(i + 1) * 32_768));
        }
        assert_eq!(buf.held(), BLOCK);
        for i in 0..4 {
            let chunk = buf.pop().unwrap();
            assert_eq!(chunk.as_ptr(), payload[i * 32_768..].as_ptr());
        }
        assert_eq!((buf.len(), buf.held()), (0, 0));
    }

    /// Embedders read in blocks of many sizes; bulk data is never copied.
    #[test]
    fn a_packet_is_kept_in_a_block_of_any_size() {
        for size in [32 * 1024, BLOCK, 2 * BLOCK, 8 * BLOCK] {
            let mut buf = RecvBuf::new(size);
            let payload = block(1, size);
            buf.push(payload.slice(..32_768));
            assert_eq!(buf.pop().unwrap().as_ptr(), payload.as_ptr());
        }
        assert_eq!(slack(BLOCK), SLACK);
    }

    #[test]
    fn a_little_slice_does_not_keep_a_large_block_alive() {
        let mut buf = RecvBuf::new(BLOCK);
        let payload = block(7, BLOCK);
        buf.push(payload.slice(100..4196));
        assert_eq!((buf.len(), buf.held()), (4096, 4096));
        let chunk = buf.pop().unwrap();
        assert_ne!(chunk.as_ptr(), payload[100..].as_ptr());
        assert_eq!(chunk, payload.slice(100..4196));
    }

    /// The attack: a kilobyte of data in each block, the rest of it messages that are not kept.
    #[test]
    fn what_is_held_stays_near_what_is_unread() {
        for len in [1, 17, 1023, 1024, 5000, 30_000, 65_000] {
            let mut buf = RecvBuf::new(BLOCK);
            for _ in 0..100 {
                buf.push(block(0, BLOCK).slice(1..=len));
                assert!(buf.held() <= 2 * buf.len() + SLACK + TAIL, "{len}: {}", buf.held());
            }
        }
    }

    /// Slices that come from lower and lower addresses are not in one block.
    #[test]
    fn a_run_goes_upwards_only() {
        let mut buf = RecvBuf::new(BLOCK);
        let blocks = block(3, 2 * BLOCK);
        buf.push(blocks.slice(BLOCK..BLOCK + 32_768));
        buf.push(blocks.slice(..2000));
        assert_eq!(buf.held(), 34_768, "two blocks for this would be too much");
    }

    /// What was looked at once is compact and is not copied again.
    #[test]
    fn compaction_leaves_alone_what_is_compact() {
        let mut buf = RecvBuf::new(BLOCK);
        buf.push(block(3, BLOCK).slice(..2000));
        let address = buf.chunks[0].bytes.as_ptr();
        for _ in 0..100 {
            buf.push(block(3, BLOCK).slice(..2000));
        }
        assert_eq!(buf.pop().unwrap().as_ptr(), address);
    }

    /// Dense data, then sparse; the dense part is read and what remains must not hold much.
    #[test]
    fn reading_does_not_leave_sparse_blocks_behind() {
        let mut buf = RecvBuf::new(BLOCK);
        for _ in 0..32 {
            buf.push(block(1, BLOCK));
        }
        for _ in 0..32 {
            buf.push(block(2, BLOCK).slice(..1024));
        }
        while buf.len() > 32 * 1024 {
            buf.read(&mut [0; 10_000]);
            assert!(buf.held() <= 2 * buf.len() + SLACK + TAIL);
        }
    }

    #[test]
    fn small_payloads_share_a_block() {
        let mut buf = RecvBuf::new(BLOCK);
        for i in 0..10 {
            buf.push(block(i, 100));
        }
        assert_eq!((buf.len(), buf.held()), (1000, TAIL));
        let mut out = [0; 250];
        assert_eq!(buf.read(&mut out), 250);
        assert_eq!(out[..100], [0; 100]);
        assert_eq!(out[200..], [2; 50]);
        assert_eq!(buf.pop().unwrap().len(), 750);
        assert_eq!(buf.read(&mut out), 0);
    }

    #[test]
    fn keystrokes_do_not_allocate_each_time() {
        let mut buf = RecvBuf::new(BLOCK);
        buf.push(block(1, 1));
        assert_eq!(buf.read(&mut [0; 10]), 1);
        let address = buf.tail.as_ptr();
        for _ in 0..10_000 {
            buf.push(block(1, 1));
            assert_eq!(buf.read(&mut [0; 10]), 1);
        }
        assert_eq!(buf.tail.as_ptr(), address);
    }

    #[test]
    fn clearing_frees_everything() {
        let mut buf = RecvBuf::new(BLOCK);
        buf.push(block(1, 40_000));
        buf.push(block(1, 4));
        assert_eq!(buf.clear(), 40_004);
        assert_eq!((buf.len(), buf.held()), (0, 0));
        assert_eq!(buf.pop(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Whatever is pushed comes out in order, however it is read, and within the bound.
        #[test]
        fn bytes_come_out_as_they_went_in(
            ops in proptest::collection::vec((any::<bool>(), 0_usize..6000, any::<bool>()), 1..80),
            shared in any::<bool>(),
        ) {
            let mut buf = RecvBuf::new(BLOCK);
            let source = Bytes::from((0..BLOCK).map(|i| (i % 251) as u8).collect::<Vec<u8>>());
            let (mut at, mut sent, mut received) = (0, Vec::new(), Vec::new());
            for (push, len, whole) in ops {
                if push {
                    at = if at + len > BLOCK { 0 } else { at };
                    let slice = source.slice(at..at + len);
                    sent.extend_from_slice(&slice);
                    buf.push(if shared { slice } else { Bytes::copy_from_slice(&slice) });
                    at += len;
                } else if whole {
                    received.extend_from_slice(&buf.pop().unwrap_or_default());
                } else {
                    let mut out = vec![0; len];
                    let n = buf.read(&mut out);
                    prop_assert!(n == len || buf.len() == 0);
                    received.extend_from_slice(&out[..n]);
                }
                prop_assert_eq!(buf.len(), sent.len() - received.len());
                prop_assert!(buf.held() <= 2 * buf.len() + SLACK + TAIL);
            }
            while let Some(bytes) = buf.pop() {
                received.extend_from_slice(&bytes);
            }
            prop_assert_eq!(sent, received);
            prop_assert_eq!(buf.held, 0);
        }
    }
}
