//! `zlib@openssh.com` (RFC 4253 §6.2, draft-miller-secsh-compression-delayed): compression that
//! begins once the user is authenticated, so that strangers cannot reach the code.
//!
//! Each direction has one stream, which begins anew with each `NEWKEYS`. Every packet ends with a
//! partial flush, so that it can be read at once.
//!
//! Compressing shows in the length of a packet how much of it was seen before: who can have
//! something of their own sent along with a secret, and sees the lengths, can guess the secret. So
//! nothing is compressed unless somebody asks for it.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "std")]
pub(crate) use zlib::{Deflater, Inflater};

#[cfg(not(feature = "std"))]
pub(crate) use none::{Deflater, Inflater};

/// A packet that does not inflate, or to more than a packet may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadCompression;

/// Whether `SSH_MSG_USERAUTH_SUCCESS` (RFC 4252 §5.1) has passed. Shared by both directions: what
/// one of them sees, the other must know before the next packet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authenticated(Arc<AtomicBool>);

impl Authenticated {
    /// The number of `SSH_MSG_USERAUTH_SUCCESS`.
    pub(crate) const SUCCESS: u8 = 52;

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }
}

#[cfg(feature = "std")]
mod zlib {
    use alloc::vec::Vec;

    use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

    use super::BadCompression;
    use crate::{algorithm::CompressionAlgorithm, packet::MAX_PACKET_LENGTH};

    /// The level of OpenSSH.
    const LEVEL: Compression = Compression::new(6);

    /// Room that is made for more output, in bytes.
    const ROOM: usize = 4096;

    /// The most bytes that a packet inflates to: as many as a packet without compression may have.
    const MAX_INFLATED: usize = MAX_PACKET_LENGTH as usize;

    /// The sending stream.
    pub(crate) struct Deflater(Compress);

    impl Deflater {
        /// `None` for no compression.
        pub(crate) fn new(algorithm: CompressionAlgorithm) -> Option<Self> {
            match algorithm {
                CompressionAlgorithm::None => None,
                CompressionAlgorithm::ZlibOpenSsh => Some(Self(Compress::new(LEVEL, true))),
            }
        }

        /// The next packet's payload, compressed.
        pub(crate) fn deflate(&mut self, payload: &[u8]) -> Result<Vec<u8>, BadCompression> {
            let mut out = Vec::with_capacity(payload.len().saturating_div(2).max(ROOM));
            let mut rest = payload;
            loop {
                let before = self.0.total_in();
                let status = self.0.compress_vec(rest, &mut out, FlushCompress::Partial);
                status.map_err(|_| BadCompression)?;
                let taken = self.0.total_in().saturating_sub(before);
                rest = rest.get(usize::try_from(taken).unwrap_or(usize::MAX)..).unwrap_or_default();
                // All is out once there was more room than it took.
                if rest.is_empty() && out.len() < out.capacity() {
                    return Ok(out);
                }
                out.reserve(ROOM);
            }
        }
    }

    /// The receiving stream.
    pub(crate) struct Inflater(Decompress);

    impl Inflater {
        /// `None` for no compression.
        pub(crate) fn new(algorithm: CompressionAlgorithm) -> Option<Self> {
            match algorithm {
                CompressionAlgorithm::None => None,
                CompressionAlgorithm::ZlibOpenSsh => Some(Self(Decompress::new(true))),
            }
        }

        /// The payload of the next packet.
        pub(crate) fn inflate(&mut self, compressed: &[u8]) -> Result<Vec<u8>, BadCompression> {
            let mut out = Vec::with_capacity(compressed.len().saturating_mul(2).max(ROOM));
            let mut rest = compressed;
            loop {
                let before = self.0.total_in();
                let status = self.0.decompress_vec(rest, &mut out, FlushDecompress::Sync);
                let taken = self.0.total_in().saturating_sub(before);
                rest = rest.get(usize::try_from(taken).unwrap_or(usize::MAX)..).unwrap_or_default();
                let full = out.len() == out.capacity();
                if out.len() > MAX_INFLATED {
                    return Err(BadCompression);
                }
                match status {
                    // More fits into what is left than came out: the packet is at its end.
                    Ok(Status::Ok | Status::BufError) if !full && rest.is_empty() => {
                        return Ok(out);
                    }
                    Ok(Status::Ok | Status::BufError) if full => out.reserve(ROOM),
                    // Nothing moves, the stream has ended, or it is none.
                    _ => return Err(BadCompression),
                }
            }
        }
    }
}

/// Without the standard library there is no compression.
#[cfg(not(feature = "std"))]
mod none {
    use alloc::vec::Vec;

    use super::BadCompression;
    use crate::algorithm::CompressionAlgorithm;

    pub(crate) enum Deflater {}

    impl Deflater {
        pub(crate) const fn new(_: CompressionAlgorithm) -> Option<Self> {
            None
        }

        pub(crate) const fn deflate(&mut self, _: &[u8]) -> Result<Vec<u8>, BadCompression> {
            match *self {}
        }
    }

    pub(crate) enum Inflater {}

    impl Inflater {
        pub(crate) const fn new(_: CompressionAlgorithm) -> Option<Self> {
            None
        }

        pub(crate) const fn inflate(&mut self, _: &[u8]) -> Result<Vec<u8>, BadCompression> {
            match *self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::{vec, vec::Vec};

    use proptest::prelude::*;

    use super::*;
    use crate::algorithm::CompressionAlgorithm::ZlibOpenSsh;

    fn pair() -> (Deflater, Inflater) {
        (Deflater::new(ZlibOpenSsh).unwrap(), Inflater::new(ZlibOpenSsh).unwrap())
    }

    #[test]
    fn a_small_packet_that_inflates_to_more_than_a_packet_is_refused() {
        let (mut deflater, mut inflater) = pair();
        let longest = deflater.deflate(&vec![0; 262_144]).unwrap();
        assert!(longest.len() < 1000);
        assert_eq!(inflater.inflate(&longest).map(|payload| payload.len()), Ok(262_144));
        let bomb = deflater.deflate(&vec![0; 262_145]).unwrap();
        assert_eq!(inflater.inflate(&bomb), Err(BadCompression));
    }

    #[test]
    fn what_is_no_stream_or_a_stream_that_has_ended_is_refused() {
        assert_eq!(pair().1.inflate(b"nonsense"), Err(BadCompression));
        // An empty stream with its end (RFC 1950).
        let ended = [0x78, 0x9c, 0x03, 0, 0, 0, 0, 1];
        assert_eq!(pair().1.inflate(&ended), Err(BadCompression));
    }

    proptest! {
        #[test]
        fn packets_inflate_to_what_was_deflated_each_at_once(
            payloads in proptest::collection::vec(
                (any::<u8>(), 0_usize..5000, any::<bool>()), 1..8
            )
        ) {
            let (mut deflater, mut inflater) = pair();
            for (seed, len, smooth) in payloads {
                let noise = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
                let payload: Vec<u8> =
                    (0..len).map(|i| if smooth { seed } else { noise(i) ^ seed }).collect();
                let packet = deflater.deflate(&payload).unwrap();
                prop_assert_eq!(inflater.inflate(&packet), Ok(payload));
            }
        }

        #[test]
        fn no_bytes_make_inflating_panic(packets in proptest::collection::vec(
            proptest::collection::vec(any::<u8>(), 0..200), 1..4
        )) {
            let mut inflater = pair().1;
            for packet in packets {
                if let Ok(payload) = inflater.inflate(&packet) {
                    prop_assert!(payload.len() <= 262_144);
                }
            }
        }
    }
}
