//! Extensions: filexfer-02 §8 and OpenSSH's `PROTOCOL` §4.

use alloc::vec::Vec;

use ssh_wire::{Decode, DecodeError, DecodeErrorKind, Encode, Reader, Rest, put_with_length};

use crate::Attrs;

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
    /// `lsetstat@openssh.com`: set attributes of a link itself.
    Lsetstat,
    /// `limits@openssh.com`: what the server accepts.
    Limits,
    /// `expand-path@openssh.com`: the absolute path of one that may begin with `~`.
    ExpandPath,
    /// `copy-data`: copy from one open file to another, on the server.
    CopyData,
    /// `home-directory`: where a user is at home.
    HomeDirectory,
    /// `users-groups-by-id@openssh.com`: the names for numbers of users and groups.
    UsersGroupsById,
}

impl Extension {
    /// All that this crate knows, in the order in which OpenSSH's server announces them.
    pub const ALL: &'static [Self] = &[
        Self::PosixRename,
        Self::StatVfs,
        Self::FstatVfs,
        Self::HardLink,
        Self::Fsync,
        Self::Lsetstat,
        Self::Limits,
        Self::ExpandPath,
        Self::CopyData,
        Self::HomeDirectory,
        Self::UsersGroupsById,
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
            Self::Lsetstat => "lsetstat@openssh.com",
            Self::Limits => "limits@openssh.com",
            Self::ExpandPath => "expand-path@openssh.com",
            Self::CopyData => "copy-data",
            Self::HomeDirectory => "home-directory",
            Self::UsersGroupsById => "users-groups-by-id@openssh.com",
        }
    }

    /// The version that this crate speaks, as `VERSION` announces it. Another version may have
    /// other fields, so it does not count as the same extension.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::StatVfs | Self::FstatVfs => "2",
            Self::PosixRename
            | Self::HardLink
            | Self::Fsync
            | Self::Lsetstat
            | Self::Limits
            | Self::ExpandPath
            | Self::CopyData
            | Self::HomeDirectory
            | Self::UsersGroupsById => "1",
        }
    }

    /// The extension of that name, whatever its version.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|extension| extension.name().as_bytes() == name)
    }

    const fn bit(self) -> u16 {
        match self {
            Self::PosixRename => 0x001,
            Self::StatVfs => 0x002,
            Self::FstatVfs => 0x004,
            Self::HardLink => 0x008,
            Self::Fsync => 0x010,
            Self::Limits => 0x020,
            Self::Lsetstat => 0x040,
            Self::ExpandPath => 0x080,
            Self::CopyData => 0x100,
            Self::HomeDirectory => 0x200,
            Self::UsersGroupsById => 0x400,
        }
    }
}

/// A set of [`Extension`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Extensions(u16);

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

/// What an `EXTENDED` asks for.
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
    /// Set attributes of what is at `path`; of a link itself.
    Lsetstat {
        /// The file or link.
        path: &'a [u8],
        /// What to set; never a size, which a link does not have.
        attrs: Attrs,
    },
    /// Ask for the limits.
    Limits,
    /// Ask for the absolute path.
    ExpandPath {
        /// Any path; `~` and `~user` at its beginning stand for homes.
        path: &'a [u8],
    },
    /// Copy content from one open file to another.
    CopyData {
        /// The open file to read.
        from: &'a [u8],
        /// Where to begin reading, in bytes.
        from_offset: u64,
        /// How many bytes; 0 for all up to the end.
        len: u64,
        /// The open file to write.
        to: &'a [u8],
        /// Where to begin writing, in bytes.
        to_offset: u64,
    },
    /// Ask where a user is at home.
    HomeDirectory {
        /// The user; empty for the one who is logged in.
        user: &'a [u8],
    },
    /// Ask for names.
    UsersGroupsById {
        /// Numbers of users.
        users: Ids<'a>,
        /// Numbers of groups.
        groups: Ids<'a>,
    },
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
            Extension::Lsetstat => Self::Lsetstat {
                path: reader.field("path").string()?,
                attrs: Attrs::decode(&mut reader)?,
            },
            Extension::Limits => Self::Limits,
            Extension::ExpandPath => Self::ExpandPath { path: reader.field("path").string()? },
            Extension::CopyData => Self::CopyData {
                from: reader.field("read-from-handle").string()?,
                from_offset: reader.field("read-from-offset").uint64()?,
                len: reader.field("read-data-length").uint64()?,
                to: reader.field("write-to-handle").string()?,
                to_offset: reader.field("write-to-offset").uint64()?,
            },
            Extension::HomeDirectory => {
                Self::HomeDirectory { user: reader.field("username").string()? }
            }
            Extension::UsersGroupsById => Self::UsersGroupsById {
                users: Ids::decode(reader.field("uids"))?,
                groups: Ids::decode(reader.field("gids"))?,
            },
        })
    }

    /// Appends the fields that [`Self::parse`] reads.
    pub fn put_fields(&self, out: &mut Vec<u8>) {
        match self {
            Self::PosixRename { old, new } | Self::HardLink { old, new } => {
                old.encode(out);
                new.encode(out);
            }
            Self::StatVfs { path } | Self::ExpandPath { path } => path.encode(out),
            Self::FstatVfs { handle } | Self::Fsync { handle } => handle.encode(out),
            Self::Lsetstat { path, attrs } => {
                path.encode(out);
                attrs.encode(out);
            }
            Self::CopyData { from, from_offset, len, to, to_offset } => {
                from.encode(out);
                from_offset.encode(out);
                len.encode(out);
                to.encode(out);
                to_offset.encode(out);
            }
            Self::HomeDirectory { user } => user.encode(out),
            Self::UsersGroupsById { users, groups } => {
                users.bytes.encode(out);
                groups.bytes.encode(out);
            }
            Self::Limits | Self::Unknown { .. } => {}
        }
    }
}

/// Numbers of users or groups, as `users-groups-by-id@openssh.com` has them: a string that is
/// known to consist of whole `uint32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids<'a> {
    bytes: &'a [u8],
}

impl<'a> Ids<'a> {
    /// Takes numbers as they are on the wire, one behind the other.
    ///
    /// # Errors
    /// A last number that is cut.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let cut = bytes.len().checked_rem(4).unwrap_or(0);
        if cut != 0 {
            let kind = DecodeErrorKind::Truncated { needed: 4, left: cut };
            let offset = bytes.len().saturating_sub(cut);
            return Err(DecodeError::new(Extension::UsersGroupsById.name(), "ids", offset, kind));
        }
        Ok(Self { bytes })
    }

    /// How many there are.
    #[must_use]
    pub fn len(self) -> usize {
        self.bytes.len().checked_div(4).unwrap_or(0)
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.bytes.is_empty()
    }

    /// The numbers in order.
    pub fn iter(self) -> impl Iterator<Item = u32> + use<'a> {
        let (numbers, _) = self.bytes.as_chunks();
        numbers.iter().copied().map(u32::from_be_bytes)
    }
}

impl<'a> Decode<'a> for Ids<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::from_bytes(reader.string()?)
    }
}

/// The names for numbers of users and groups: the reply to `users-groups-by-id@openssh.com`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct IdNames {
    /// A name for each user that was asked for, in that order; empty where the server knows none.
    pub users: Vec<Vec<u8>>,
    /// A name for each group.
    pub groups: Vec<Vec<u8>>,
}

/// Reads the names in a string. No more than `most` are kept, and one more counted.
fn names(field: &mut Reader<'_>, most: usize) -> Result<Vec<Vec<u8>>, DecodeError> {
    let mut reader = Reader::new(Extension::UsersGroupsById.name(), field.string()?);
    let mut names = Vec::new();
    while reader.left() > 0 && names.len() <= most {
        names.push(Vec::from(reader.field("name").string()?));
    }
    Ok(names)
}

impl IdNames {
    /// Reads the body of a reply that was asked for `users` and `groups` names. If there are more
    /// of them, one more is read.
    ///
    /// # Errors
    /// Fields that are cut.
    pub fn decode(
        reader: &mut Reader<'_>,
        users: usize,
        groups: usize,
    ) -> Result<Self, DecodeError> {
        Ok(Self {
            users: names(reader.field("usernames"), users)?,
            groups: names(reader.field("groupnames"), groups)?,
        })
    }
}

impl Encode for IdNames {
    fn encode(&self, out: &mut Vec<u8>) {
        for names in [&self.users, &self.groups] {
            put_with_length(out, |out| names.iter().for_each(|name| name.encode(out)));
        }
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
    use crate::attrs::tests::any_attrs;
    use proptest::{collection::vec, prelude::*};

    #[test]
    fn every_extension_has_its_own_name_and_bit() {
        for extension in Extension::ALL {
            assert_eq!(Extension::from_name(extension.name().as_bytes()), Some(*extension));
            let only = Extensions::NONE.with(*extension);
            assert_eq!(only.iter().collect::<Vec<_>>(), [*extension]);
            assert!(!Extensions::all().without(*extension).contains(*extension));
        }
        assert_eq!(Extensions::all().iter().count(), Extension::ALL.len());
        // What is not between `ALL` and `bit` would be missed by both.
        assert_eq!(Extensions::all().0.count_ones(), 11);
    }

    proptest! {
        #[test]
        fn what_a_client_asks_for_is_what_a_server_reads_and_no_cut_of_it(
            one in vec(any::<u8>(), 0..12),
            two in vec(any::<u8>(), 0..12),
            ids in vec(any::<[u8; 4]>(), 0..5),
            numbers: [u64; 3],
            attrs in any_attrs(),
        ) {
            use ExtendedRequest as E;
            let ids = ids.concat();
            let (users, groups) = (Ids { bytes: &ids }, Ids::default());
            let (old, new, handle, path): (&[u8], &[u8], &[u8], &[u8]) = (&one, &two, &one, &two);
            let [from_offset, len, to_offset] = numbers;
            let requests = [
                (Extension::PosixRename, E::PosixRename { old, new }),
                (Extension::StatVfs, E::StatVfs { path }),
                (Extension::FstatVfs, E::FstatVfs { handle }),
                (Extension::HardLink, E::HardLink { old, new }),
                (Extension::Fsync, E::Fsync { handle }),
                (Extension::Lsetstat, E::Lsetstat { path, attrs }),
                (Extension::Limits, E::Limits),
                (Extension::ExpandPath, E::ExpandPath { path }),
                (Extension::CopyData, E::CopyData { from: old, from_offset, len, to: new, to_offset }),
                (Extension::HomeDirectory, E::HomeDirectory { user: old }),
                (Extension::UsersGroupsById, E::UsersGroupsById { users, groups }),
            ];
            prop_assert_eq!(requests.len(), Extension::ALL.len());
            for (extension, request) in requests {
                let mut fields = Vec::new();
                request.put_fields(&mut fields);
                let name = extension.name().as_bytes();
                prop_assert_eq!(E::parse(name, Rest(&fields)), Ok(request));
                for end in 0..fields.len() {
                    prop_assert!(E::parse(name, Rest(&fields[..end])).is_err(), "{} {}", extension.name(), end);
                }
            }
        }

        #[test]
        fn names_survive_a_round_trip_and_no_more_than_asked_for_are_kept(
            users in vec(vec(any::<u8>(), 0..9), 0..6),
            groups in vec(vec(any::<u8>(), 0..9), 0..6),
            most in 0_usize..6,
        ) {
            let names = IdNames { users: users.clone(), groups };
            let mut bytes = Vec::new();
            names.encode(&mut bytes);
            let decode = |most| IdNames::decode(&mut Reader::new("M", &bytes), most, 6);
            prop_assert_eq!(decode(6), Ok(names));
            let kept = decode(most).unwrap().users;
            prop_assert_eq!(&kept[..], &users[..users.len().min(most + 1)]);
        }
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
