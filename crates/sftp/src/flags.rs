//! How a file is opened: filexfer-02 §6.3.

use alloc::vec::Vec;
use core::ops::BitOr;

use ssh_wire::{Decode, DecodeError, Encode, Reader};

/// The `pflags` of `OPEN`. Combine them with `|`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct OpenFlags(u32);

impl OpenFlags {
    /// For reading. What has neither `READ` nor `WRITE` is opened for reading, as by OpenSSH.
    pub const READ: Self = Self(0x1);
    /// For writing.
    pub const WRITE: Self = Self(0x2);
    /// Every write goes to the end; its offset is ignored.
    pub const APPEND: Self = Self(0x4);
    /// Make the file if there is none.
    pub const CREATE: Self = Self(0x8);
    /// Cut the file to nothing. The draft wants [`CREATE`](Self::CREATE) with it, OpenSSH does not.
    pub const TRUNCATE: Self = Self(0x10);
    /// Fail if the file exists; with [`CREATE`](Self::CREATE).
    pub const EXCLUSIVE: Self = Self(0x20);

    /// Takes the number of the wire. Bits without a meaning are kept and ignored.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The number of the wire.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// True if every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if reading is allowed: with `READ`, and without `WRITE`.
    #[must_use]
    pub const fn readable(self) -> bool {
        self.contains(Self::READ) || !self.contains(Self::WRITE)
    }

    /// True if writing is allowed.
    #[must_use]
    pub const fn writable(self) -> bool {
        self.contains(Self::WRITE)
    }
}

impl BitOr for OpenFlags {
    type Output = Self;

    fn bitor(self, rhs: Self) -> Self {
        Self(self.0 | rhs.0)
    }
}

impl<'a> Decode<'a> for OpenFlags {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.uint32().map(Self)
    }
}

impl Encode for OpenFlags {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_opened_for_nothing_is_opened_for_reading() {
        assert!(OpenFlags::default().readable() && !OpenFlags::default().writable());
        assert!(!OpenFlags::WRITE.readable() && OpenFlags::WRITE.writable());
        let both = OpenFlags::READ | OpenFlags::WRITE;
        assert!(both.readable() && both.writable());
    }
}
