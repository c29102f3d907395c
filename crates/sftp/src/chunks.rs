//! Content as it came: slices of the buffers it was received in.

use alloc::{collections::VecDeque, vec::Vec};

use bytes::Bytes;

/// Below this many bytes a piece is copied next to the one before it, so that a peer who sends
/// many small packets cannot make a small file cost a lot of memory.
const SMALL: usize = 512;

/// The content of a `DATA`: a short list of [`Bytes`], none of them empty. Nothing was copied
/// unless the server sent it in pieces below 512 bytes.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    parts: VecDeque<Bytes>,
    /// Small pieces that came after `parts`.
    tail: Vec<u8>,
    len: usize,
}

impl Chunks {
    /// No bytes.
    #[must_use]
    pub const fn new() -> Self {
        Self { parts: VecDeque::new(), tail: Vec::new(), len: 0 }
    }

    /// Bytes in all.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// True if there are no bytes.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds `piece` at the end.
    pub fn push(&mut self, piece: Bytes) {
        self.len = self.len.saturating_add(piece.len());
        if piece.len() < SMALL {
            self.tail.extend_from_slice(&piece);
            return;
        }
        self.flush();
        self.parts.push_back(piece);
    }

    fn flush(&mut self) {
        if !self.tail.is_empty() {
            self.parts.push_back(Bytes::from(core::mem::take(&mut self.tail)));
        }
    }

    /// The slices in order; for vectored and positioned writes.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let tail = (!self.tail.is_empty()).then_some(&*self.tail);
        self.parts.iter().map(|part| &**part).chain(tail)
    }

    /// Copies from the beginning into `buf` and says how many bytes: the shorter of both.
    pub fn copy_to(&self, buf: &mut [u8]) -> usize {
        let mut copied: usize = 0;
        for part in self.iter() {
            let free = buf.get_mut(copied..).unwrap_or_default();
            let n = part.len().min(free.len());
            if let (Some(to), Some(from)) = (free.get_mut(..n), part.get(..n)) {
                to.copy_from_slice(from);
            }
            copied = copied.saturating_add(n);
        }
        copied
    }

    /// Drops the first `n` bytes, or all if there are fewer.
    pub fn advance(&mut self, n: usize) {
        let mut n = n.min(self.len);
        self.len = self.len.saturating_sub(n);
        while n > 0 {
            let Some(first) = self.parts.front_mut() else {
                self.tail.drain(..n.min(self.tail.len()));
                return;
            };
            if n < first.len() {
                drop(first.split_to(n));
                return;
            }
            n = n.saturating_sub(first.len());
            self.parts.pop_front();
        }
    }

    /// Moves bytes from the beginning into `buf` and says how many.
    pub fn read(&mut self, buf: &mut [u8]) -> usize {
        let n = self.copy_to(buf);
        self.advance(n);
        n
    }

    /// Everything in one piece; copied where it came in several.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        if self.parts.is_empty() {
            return self.tail;
        }
        let mut all = Vec::with_capacity(self.len);
        self.iter().for_each(|part| all.extend_from_slice(part));
        all
    }

    /// The pieces themselves.
    #[must_use]
    pub fn into_parts(mut self) -> VecDeque<Bytes> {
        self.flush();
        self.parts
    }
}

/// Equal if the bytes are, however they are cut.
impl PartialEq for Chunks {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().flatten().eq(other.iter().flatten())
    }
}

impl Eq for Chunks {}

impl From<Bytes> for Chunks {
    fn from(bytes: Bytes) -> Self {
        let mut chunks = Self::new();
        chunks.push(bytes);
        chunks
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_peer_that_sends_crumbs_cannot_make_many_parts() {
        let mut chunks = Chunks::new();
        let crumb = Bytes::from_static(b"x");
        for _ in 0..100_000 {
            chunks.push(crumb.clone());
        }
        assert_eq!((chunks.len(), chunks.iter().count()), (100_000, 1));
    }

    #[test]
    fn large_pieces_are_not_copied() {
        let piece = Bytes::from(alloc::vec![7; 4096]);
        let chunks = Chunks::from(piece.clone());
        assert_eq!(chunks.iter().next().unwrap().as_ptr(), piece.as_ptr());
    }

    proptest! {
        #[test]
        fn chunks_behave_as_one_slice(
            lens in proptest::collection::vec(0_usize..1200, 0..8),
            reads in proptest::collection::vec(0_usize..2000, 0..8),
        ) {
            let mut chunks = Chunks::new();
            let mut all = Vec::new();
            for (i, len) in lens.iter().enumerate() {
                let piece = alloc::vec![u8::try_from(i).unwrap(); *len];
                all.extend_from_slice(&piece);
                chunks.push(Bytes::from(piece));
            }
            prop_assert_eq!(chunks.clone().into_vec(), all.clone());
            prop_assert_eq!(chunks.clone().into_parts().iter().map(Bytes::len).sum::<usize>(), all.len());
            let mut rest = &all[..];
            for len in reads {
                let mut buf = alloc::vec![0; len];
                let n = chunks.read(&mut buf);
                prop_assert_eq!(&buf[..n], &rest[..n]);
                prop_assert!(n == len || n == rest.len());
                rest = &rest[n..];
                prop_assert_eq!(chunks.len(), rest.len());
            }
            prop_assert_eq!(chunks.into_vec(), rest.to_vec());
        }
    }
}
