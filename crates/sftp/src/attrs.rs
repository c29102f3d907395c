//! Attributes of files: filexfer-02 §5.

use alloc::vec::Vec;

use ssh_wire::{Decode, DecodeError, DecodeErrorKind, Encode, Reader};

const SIZE: u32 = 0x1;
const OWNER: u32 = 0x2;
const PERMISSIONS: u32 = 0x4;
const TIMES: u32 = 0x8;
const EXTENDED: u32 = 0x8000_0000;
const KNOWN: u32 = SIZE | OWNER | PERMISSIONS | TIMES | EXTENDED;

/// The fewest bytes that an extended attribute takes: the lengths of its two strings.
const MIN_EXTENDED_LEN: usize = 8;

/// Attributes of a file (`ATTRS`); each may be absent.
///
/// In a reply, an absent attribute is one that the server does not know. In a request it is one
/// that shall stay as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "version 3 of the protocol has these and no others")]
pub struct Attrs {
    /// Size in bytes.
    pub size: Option<u64>,
    /// Numbers of the owning user and group.
    pub owner: Option<Owner>,
    /// Permission bits, and in replies the type of the file.
    pub permissions: Option<Permissions>,
    /// Times of the last access and modification.
    pub times: Option<Times>,
}

/// Who owns a file, by the server's numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// Times of a file, in seconds since 1970-01-01 UTC. 32 bits without sign: they end in 2106.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Times {
    /// Last access.
    pub accessed: u32,
    /// Last modification.
    pub modified: u32,
}

/// The mode of a file as POSIX's `st_mode`: its type and its permission bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Permissions(u32);

/// What kind of thing a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileType {
    /// A file with content.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl FileType {
    /// The type bits of `st_mode`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Fifo => 0o010_000,
            Self::CharDevice => 0o020_000,
            Self::Directory => 0o040_000,
            Self::BlockDevice => 0o060_000,
            Self::Regular => 0o100_000,
            Self::Symlink => 0o120_000,
            Self::Socket => 0o140_000,
        }
    }
}

impl Permissions {
    /// Takes a mode as POSIX's `st_mode`.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// A file of type `kind` with the permission bits `mode`, of which only `0o7777` counts.
    #[must_use]
    pub const fn new(kind: FileType, mode: u32) -> Self {
        Self(kind.bits() | mode & 0o7777)
    }

    /// Everything: type and permission bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Read, write, execute, set-user-id, set-group-id and sticky: `0o7777`.
    #[must_use]
    pub const fn mode(self) -> u32 {
        self.0 & 0o7777
    }

    /// The type of the file; `None` if the type bits are absent or say nothing known.
    #[must_use]
    pub const fn file_type(self) -> Option<FileType> {
        Some(match self.0 & 0o170_000 {
            0o010_000 => FileType::Fifo,
            0o020_000 => FileType::CharDevice,
            0o040_000 => FileType::Directory,
            0o060_000 => FileType::BlockDevice,
            0o100_000 => FileType::Regular,
            0o120_000 => FileType::Symlink,
            0o140_000 => FileType::Socket,
            _ => return None,
        })
    }
}

impl Attrs {
    /// No attributes.
    pub const NONE: Self = Self { size: None, owner: None, permissions: None, times: None };

    /// Only permission bits, as given when a file or directory is made.
    #[must_use]
    pub const fn with_mode(mode: u32) -> Self {
        Self { permissions: Some(Permissions::from_bits(mode & 0o7777)), ..Self::NONE }
    }

    /// Only a size: sets the length of a file.
    #[must_use]
    pub const fn with_size(size: u64) -> Self {
        Self { size: Some(size), ..Self::NONE }
    }

    /// The type of the file, where the server told it.
    #[must_use]
    pub fn file_type(&self) -> Option<FileType> {
        self.permissions.and_then(Permissions::file_type)
    }

    /// True for what the server says is a directory.
    #[must_use]
    pub fn is_dir(&self) -> bool {
        self.file_type() == Some(FileType::Directory)
    }

    /// True for what the server says is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file_type() == Some(FileType::Regular)
    }

    /// True for what the server says is a symbolic link.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.file_type() == Some(FileType::Symlink)
    }

    /// The attributes one by one, in the order in which a server applies them: size, permissions,
    /// times, owner.
    pub fn one_by_one(&self) -> impl Iterator<Item = Self> + use<> {
        let Self { size, owner, permissions, times } = *self;
        [
            Self { size, ..Self::NONE },
            Self { permissions, ..Self::NONE },
            Self { times, ..Self::NONE },
            Self { owner, ..Self::NONE },
        ]
        .into_iter()
        .filter(|one| *one != Self::NONE)
    }
}

/// Extended attributes are skipped. Flags that version 3 does not have are an error, because the
/// length of what they announce is not known.
impl<'a> Decode<'a> for Attrs {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("attrs.flags");
        let unknown =
            reader.error(DecodeErrorKind::Invalid("a flag that version 3 of SFTP does not have"));
        let flags = reader.uint32()?;
        if flags & !KNOWN != 0 {
            return Err(unknown);
        }
        let mut attrs = Self::NONE;
        if flags & SIZE != 0 {
            attrs.size = Some(reader.field("attrs.size").uint64()?);
        }
        if flags & OWNER != 0 {
            attrs.owner = Some(Owner {
                uid: reader.field("attrs.uid").uint32()?,
                gid: reader.field("attrs.gid").uint32()?,
            });
        }
        if flags & PERMISSIONS != 0 {
            attrs.permissions = Some(Permissions(reader.field("attrs.permissions").uint32()?));
        }
        if flags & TIMES != 0 {
            attrs.times = Some(Times {
                accessed: reader.field("attrs.atime").uint32()?,
                modified: reader.field("attrs.mtime").uint32()?,
            });
        }
        if flags & EXTENDED != 0 {
            skip_extended(reader)?;
        }
        Ok(attrs)
    }
}

/// Reads over `count` pairs of strings. The count is compared with the bytes left first.
fn skip_extended(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    reader.field("attrs.extended");
    let at = reader.clone();
    let count = reader.uint32()?;
    let limit = reader.left().checked_div(MIN_EXTENDED_LEN).unwrap_or(0);
    if usize::try_from(count).map_or(true, |count| count > limit) {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        return Err(at.error(DecodeErrorKind::TooMany { count: u64::from(count), limit }));
    }
    for _ in 0..count {
        reader.string()?;
        reader.string()?;
    }
    Ok(())
}

impl Encode for Attrs {
    fn encode(&self, out: &mut Vec<u8>) {
        let flag = |present: bool, flag: u32| if present { flag } else { 0 };
        let flags = flag(self.size.is_some(), SIZE)
            | flag(self.owner.is_some(), OWNER)
            | flag(self.permissions.is_some(), PERMISSIONS)
            | flag(self.times.is_some(), TIMES);
        flags.encode(out);
        if let Some(size) = self.size {
            size.encode(out);
        }
        if let Some(Owner { uid, gid }) = self.owner {
            uid.encode(out);
            gid.encode(out);
        }
        if let Some(Permissions(bits)) = self.permissions {
            bits.encode(out);
        }
        if let Some(Times { accessed, modified }) = self.times {
            accessed.encode(out);
            modified.encode(out);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any attributes.
    pub(crate) fn any_attrs() -> impl Strategy<Value = Attrs> {
        (
            any::<Option<u64>>(),
            any::<Option<(u32, u32)>>(),
            any::<Option<u32>>(),
            any::<Option<(u32, u32)>>(),
        )
            .prop_map(|(size, owner, mode, times)| Attrs {
                size,
                owner: owner.map(|(uid, gid)| Owner { uid, gid }),
                permissions: mode.map(Permissions::from_bits),
                times: times.map(|(accessed, modified)| Times { accessed, modified }),
            })
    }

    fn decode(bytes: &[u8]) -> Result<Attrs, DecodeError> {
        let mut reader = Reader::new("M", bytes);
        let attrs = Attrs::decode(&mut reader)?;
        reader.finish().map(|()| attrs)
    }

    #[test]
    fn a_flag_that_cannot_be_skipped_is_an_error() {
        let error = decode(&[0, 0, 0, 0x10, 1, 2, 3, 4]).unwrap_err();
        assert_eq!((error.field, error.offset), ("attrs.flags", 0));
    }

    #[test]
    fn extended_attributes_are_read_over() {
        let mut bytes = alloc::vec![0x80, 0, 0, 1];
        7u64.encode(&mut bytes);
        2u32.encode(&mut bytes);
        for text in ["a@b", "value", "", ""] {
            text.encode(&mut bytes);
        }
        assert_eq!(decode(&bytes), Ok(Attrs::with_size(7)));
    }

    #[test]
    fn more_extended_attributes_than_bytes_is_an_error_at_once() {
        let error = decode(&[0x80, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::TooMany { count: 0xffff_ffff, limit: 0 });
    }

    #[test]
    fn attributes_are_applied_in_the_order_of_openssh() {
        let all = Attrs {
            size: Some(1),
            owner: Some(Owner { uid: 2, gid: 3 }),
            permissions: Some(Permissions::from_bits(0o644)),
            times: Some(Times { accessed: 4, modified: 5 }),
        };
        let order: Vec<Attrs> = all.one_by_one().collect();
        assert!(order[0].size.is_some() && order[1].permissions.is_some());
        assert!(order[2].times.is_some() && order[3].owner.is_some());
        assert_eq!(Attrs::NONE.one_by_one().count(), 0);
    }

    #[test]
    fn every_file_type_is_read_from_its_bits() {
        for kind in [
            FileType::Regular,
            FileType::Directory,
            FileType::Symlink,
            FileType::Fifo,
            FileType::Socket,
            FileType::CharDevice,
            FileType::BlockDevice,
        ] {
            let permissions = Permissions::new(kind, 0o4755);
            assert_eq!(permissions.file_type(), Some(kind));
            assert_eq!(permissions.mode(), 0o4755);
        }
        assert_eq!(Permissions::from_bits(0o644).file_type(), None);
    }

    proptest! {
        #[test]
        fn attributes_survive_a_round_trip(attrs in any_attrs()) {
            let mut bytes = Vec::new();
            attrs.encode(&mut bytes);
            prop_assert_eq!(decode(&bytes), Ok(attrs));
            for end in 0..bytes.len() {
                prop_assert!(decode(&bytes[..end]).is_err());
            }
        }
    }
}
