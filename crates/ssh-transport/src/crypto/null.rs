//! No protection (RFC 4253 §6.3 "none"): what packets have before the first `NEWKEYS`.

use super::{BadMac, Open, Seal};
use crate::packet::{LENGTH_LEN, Shape};

/// Neither encrypts nor authenticates.
pub(crate) struct Null;

const SHAPE: Shape = Shape { block: 8, aligns_length: true, tag: 0 };

impl Seal for Null {
    fn shape(&self) -> Shape {
        SHAPE
    }

    fn seal(&mut self, _sequence: u32, _packet: &mut [u8]) {}
}

impl Open for Null {
    fn shape(&self) -> Shape {
        SHAPE
    }

    fn header_len(&self) -> usize {
        LENGTH_LEN
    }

    fn length(&mut self, _sequence: u32, header: &mut [u8]) -> u32 {
        header.first_chunk().copied().map_or(0, u32::from_be_bytes)
    }

    fn open(&mut self, _sequence: u32, _packet: &mut [u8]) -> Result<(), BadMac> {
        Ok(())
    }
}
