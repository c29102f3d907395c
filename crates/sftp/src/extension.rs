//! Extensions: filexfer-02 §8 and OpenSSH's `PROTOCOL` §4.

use alloc::vec::Vec;

use ssh_wire::{Decode, DecodeError, Encode, Reader, Rest};

/// An operation of OpenSSH that version 3 does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Extension {
    /// `posix-rename@openssh.com`: rename, and replace what has the new name.
    PosixRename,
    /// `statvfs@openssh.com`: how full the file system at a path is.
    StatVfs,
    /// `fstatvfs@openssh.com`: how full the file system of an open file is.
    FstatVfs,
    /// `hardlink@openssh.com`: a second name for a file.
    HardLink,
    /// `fsync@openssh.com`: wait until the content of a file is on the disk.
    Fsync,
    /// `limits@openssh.com`: what the server accepts.
    Limits,
}

impl Extension {
    /// All that this crate knows.
    pub const ALL: &'static [Self] = &[
        Self::PosixRename,
        Self::StatVfs,
        Self::FstatVfs,
        Self::HardLink,
        Self::Fsync,
        Self::Limits,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PosixRename => "posix-rename@openssh.com",
            Self::StatVfs => "statvfs@openssh.com",
            Self::FstatVfs => "fstatvfs@openssh.com",
            Self::HardLink => "hardlink@openssh.com",
            Self::Fsync => "fsync@openssh.com",
            Self::Limits => "limits@openssh.com",
        }
    }

    /// The version that this crate speaks, as `VERSION` announces it. Another version may have
    /// other fields, so it does not count as the same extension.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::StatVfs | Self::FstatVfs => "2",
            Self::PosixRename | Self::HardLink | Self::Fsync | Self::Limits => "1",
        }
    }

    /// The extension of that name, whatever its version.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|extension| extension.name().as_bytes() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::PosixRename => 0x01,
            Self::StatVfs => 0x02,
            Self::FstatVfs => 0x04,
            Self::HardLink => 0x08,
            Self::Fsync => 0x10,
            Self::Limits => 0x20,
        }
    }
}

/// A set of [`Extension`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extensions(u8);

impl Extensions {
    /// None.
    pub const NONE: Self = Self(0);

    /// All that this crate knows.
    #[must_use]
    pub fn all() -> Self {
        Extension::ALL.iter().copied().collect()
    }

    /// The set with `extension` in it.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | extension.bit())
    }

    /// The set without `extension`.
    #[must_use]
    pub const fn without(self, extension: Extension) -> Self {
        Self(self.0 & !extension.bit())
    }

    /// True if `extension` is in the set.
    #[must_use]
    pub const fn contains(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    /// What is in the set, in the order of [`Extension::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL.iter().copied().filter(move |extension| self.contains(*extension))
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<T: IntoIterator<Item = Extension>>(iter: T) -> Self {
        iter.into_iter().fold(Self::NONE, Self::with)
    }
}

/// What an `EXTENDED` asks for, as a server reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExtendedRequest<'a> {
    /// Rename `old` to `new`, and replace what is there.
    PosixRename {
        /// The present name.
        old: &'a [u8],
        /// The new name.
        new: &'a [u8],
    },
    /// How full the file system at `path` is.
    StatVfs {
        /// Any file of the file system.
        path: &'a [u8],
    },
    /// How full the file system of an open file is.
    FstatVfs {
        /// The open file.
        handle: &'a [u8],
    },
    /// Make `new` a second name for `old`.
    HardLink {
        /// The present name.
        old: &'a [u8],
        /// The further name.
        new: &'a [u8],
    },
    /// Wait until the content is on the disk.
    Fsync {
        /// The open file.
        handle: &'a [u8],
    },
    /// Ask for the limits.
    Limits,
    /// A name that this crate does not know.
    Unknown {
        /// The name.
        name: &'a [u8],
    },
}

impl<'a> ExtendedRequest<'a> {
    /// Reads the fields that follow `name` in an `EXTENDED`. Bytes after them are ignored, as by
    /// OpenSSH's server.
    ///
    /// # Errors
    /// Fields that are cut.
    pub fn parse(name: &'a [u8], fields: Rest<'a>) -> Result<Self, DecodeError> {
        let Some(extension) = Extension::from_name(name) else {
            return Ok(Self::Unknown { name });
        };
        let mut reader = Reader::new(extension.name(), fields.0);
        Ok(match extension {
            Extension::PosixRename => Self::PosixRename {
                old: reader.field("oldpath").string()?,
                new: reader.field("newpath").string()?,
            },
            Extension::StatVfs => Self::StatVfs { path: reader.field("path").string()? },
            Extension::FstatVfs => Self::FstatVfs { handle: reader.field("handle").string()? },
            Extension::HardLink => Self::HardLink {
                old: reader.field("oldpath").string()?,
                new: reader.field("newpath").string()?,
            },
            Extension::Fsync => Self::Fsync { handle: reader.field("handle").string()? },
            Extension::Limits => Self::Limits,
        })
    }
}

/// How full a file system is: the fields of POSIX's `statvfs`, as in the reply to
/// `statvfs@openssh.com`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct StatVfs {
    /// Size of a block for good transfers, in bytes.
    pub block_size: u64,
    /// Size of the blocks that are counted below, in bytes.
    pub fragment_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Blocks that are free.
    pub blocks_free: u64,
    /// Blocks that are free for users without privileges.
    pub blocks_available: u64,
    /// Files that can exist in all.
    pub files: u64,
    /// Files that can still be made.
    pub files_free: u64,
    /// Files that users without privileges can still make.
    pub files_available: u64,
    /// Number of the file system.
    pub id: u64,
    /// [`READ_ONLY`](Self::READ_ONLY), [`NO_SETUID`](Self::NO_SETUID).
    pub flags: u64,
    /// The longest file name, in bytes.
    pub max_name_len: u64,
}

impl StatVfs {
    /// Flag: the file system cannot be written to.
    pub const READ_ONLY: u64 = 0x1;
    /// Flag: set-user-id bits have no effect.
    pub const NO_SETUID: u64 = 0x2;
}

impl<'a> Decode<'a> for StatVfs {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            block_size: reader.field("f_bsize").uint64()?,
            fragment_size: reader.field("f_frsize").uint64()?,
            blocks: reader.field("f_blocks").uint64()?,
            blocks_free: reader.field("f_bfree").uint64()?,
            blocks_available: reader.field("f_bavail").uint64()?,
            files: reader.field("f_files").uint64()?,
            files_free: reader.field("f_ffree").uint64()?,
            files_available: reader.field("f_favail").uint64()?,
            id: reader.field("f_fsid").uint64()?,
            flags: reader.field("f_flag").uint64()?,
            max_name_len: reader.field("f_namemax").uint64()?,
        })
    }
}

impl Encode for StatVfs {
    fn encode(&self, out: &mut Vec<u8>) {
        for number in [
            self.block_size,
            self.fragment_size,
            self.blocks,
            self.blocks_free,
            self.blocks_available,
            self.files,
            self.files_free,
            self.files_available,
            self.id,
            self.flags,
            self.max_name_len,
        ] {
            number.encode(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_extension_has_its_own_name_and_bit() {
        for extension in Extension::ALL {
            assert_eq!(Extension::from_name(extension.name().as_bytes()), Some(*extension));
            let only = Extensions::NONE.with(*extension);
            assert_eq!(only.iter().collect::<Vec<_>>(), [*extension]);
            assert!(!Extensions::all().without(*extension).contains(*extension));
        }
        assert_eq!(Extensions::all().iter().count(), Extension::ALL.len());
    }

    #[test]
    fn unknown_names_are_not_an_error_of_the_bytes() {
        let parsed = ExtendedRequest::parse(b"foo@example.com", Rest(b"anything"));
        assert_eq!(parsed, Ok(ExtendedRequest::Unknown { name: b"foo@example.com" }));
    }

    #[test]
    fn cut_fields_name_the_extension() {
        let error = ExtendedRequest::parse(b"fsync@openssh.com", Rest(&[0, 0])).unwrap_err();
        assert_eq!((error.message, error.field), ("fsync@openssh.com", "handle"));
    }
}
