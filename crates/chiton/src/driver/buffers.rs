//! The memory that the socket is read into.
//!
//! Packets are decrypted where they lie and handed on as slices of the buffer they were read
//! into, so that a buffer is free again only when the last slice is gone. Giving it back to the
//! allocator then, and getting another one, costs more than decrypting it: the kernel takes and
//! clears the pages each time. So the buffers that are full are remembered, and used again once
//! nobody reads from them.

use bytes::BytesMut;

/// The size of a buffer, and so what a received byte that somebody keeps can pin. Large enough
/// that system calls do not matter at gigabytes a second.
pub(crate) const READ_CHUNK: usize = 256 * 1024;

/// A buffer with less room than this is full. Two packets of the usual size.
const LEAST_ROOM: usize = 72 * 1024;

/// How many full buffers are remembered: 2 MiB, what is on its way to a file at any time.
const REMEMBERED: usize = 8;

/// The most bytes of all blocks together, as far as no channel keeps them.
pub(super) const fn worst_case() -> usize {
    // And the one that is being read into.
    READ_CHUNK.saturating_mul(REMEMBERED.saturating_add(1))
}

#[derive(Debug, Default)]
pub(super) struct ReadBuffers {
    full: Vec<BytesMut>,
}

impl ReadBuffers {
    /// Makes sure that there is room behind what `buffer` holds.
    pub(super) fn make_room(&mut self, buffer: &mut BytesMut) {
        let room = buffer.capacity().saturating_sub(buffer.len());
        // An idle connection holds no more than a small buffer: the first is allocated when
        // there is something to read into it.
        if room >= LEAST_ROOM || buffer.try_reclaim(READ_CHUNK.saturating_sub(buffer.len())) {
            return;
        }
        let mut next = self.take();
        next.extend_from_slice(buffer);
        let mut full = core::mem::replace(buffer, next);
        if self.full.len() < REMEMBERED {
            // The handle that is left holds no bytes; it only knows the allocation.
            full.clear();
            self.full.push(full);
        }
    }

    fn take(&mut self) -> BytesMut {
        let free = self.full.iter_mut().position(|full| full.try_reclaim(READ_CHUNK));
        match free {
            Some(at) => self.full.swap_remove(at),
            None => BytesMut::with_capacity(READ_CHUNK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    /// Reads `n` bytes and takes them off as a packet.
    fn read(buffers: &mut ReadBuffers, buffer: &mut BytesMut, n: usize) -> Bytes {
        buffers.make_room(buffer);
        assert!(buffer.capacity() - buffer.len() >= n);
        buffer.extend_from_slice(&vec![7; n]);
        buffer.split_to(n).freeze()
    }

    #[test]
    fn memory_is_used_again_once_nobody_reads_from_it() {
        let (mut buffers, mut buffer) = (ReadBuffers::default(), BytesMut::new());
        let mut places = std::collections::HashSet::new();
        let mut kept = std::collections::VecDeque::new();
        for _ in 0..1000 {
            let packet = read(&mut buffers, &mut buffer, 64 * 1024);
            places.insert(packet.as_ptr() as usize / READ_CHUNK);
            kept.push_back(packet);
            // A transfer keeps about a megabyte on its way to the file.
            if kept.len() > 16 {
                kept.pop_front();
            }
        }
        assert!(places.len() < 40, "{} places for one stream", places.len());
        assert!(buffers.full.len() <= REMEMBERED);
    }

    #[test]
    fn what_was_read_of_a_packet_moves_with_it() {
        let (mut buffers, mut buffer) = (ReadBuffers::default(), BytesMut::new());
        buffers.make_room(&mut buffer);
        let fill = buffer.capacity() - 10;
        buffer.extend_from_slice(&vec![1; fill]);
        let _packet = buffer.split_to(fill - 3).freeze();
        buffers.make_room(&mut buffer);
        assert_eq!(&buffer[..], [1, 1, 1]);
        assert!(buffer.capacity() - buffer.len() >= LEAST_ROOM);
    }
}
