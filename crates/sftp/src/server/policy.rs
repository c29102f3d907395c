//! Which operations a server does: OpenSSH's `sftp-server` has `-R`, `-P` and `-p` for it.

use crate::{OpenFlags, StatusCode, extension::Extension, message::FromClient};

/// An operation that can be denied, under the name that OpenSSH's `sftp-server` has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the request of that name")]
#[non_exhaustive]
pub enum Operation {
    Open,
    Close,
    Read,
    Write,
    Lstat,
    Fstat,
    Setstat,
    Fsetstat,
    Opendir,
    Readdir,
    Remove,
    Mkdir,
    Rmdir,
    Realpath,
    Stat,
    Rename,
    Readlink,
    Symlink,
    /// A request of an extension.
    Extended(Extension),
}

impl Operation {
    /// All of them, in OpenSSH's order.
    pub fn all() -> impl Iterator<Item = Self> {
        const OF_THE_DRAFT: [Operation; 18] = [
            Operation::Open,
            Operation::Close,
            Operation::Read,
            Operation::Write,
            Operation::Lstat,
            Operation::Fstat,
            Operation::Setstat,
            Operation::Fsetstat,
            Operation::Opendir,
            Operation::Readdir,
            Operation::Remove,
            Operation::Mkdir,
            Operation::Rmdir,
            Operation::Realpath,
            Operation::Stat,
            Operation::Rename,
            Operation::Readlink,
            Operation::Symlink,
        ];
        OF_THE_DRAFT.into_iter().chain(Extension::ALL.iter().copied().map(Self::Extended))
    }

    /// OpenSSH's name for it; that of an extension has no `@openssh.com`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Close => "close",
            Self::Read => "read",
            Self::Write => "write",
            Self::Lstat => "lstat",
            Self::Fstat => "fstat",
            Self::Setstat => "setstat",
            Self::Fsetstat => "fsetstat",
            Self::Opendir => "opendir",
            Self::Readdir => "readdir",
            Self::Remove => "remove",
            Self::Mkdir => "mkdir",
            Self::Rmdir => "rmdir",
            Self::Realpath => "realpath",
            Self::Stat => "stat",
            Self::Rename => "rename",
            Self::Readlink => "readlink",
            Self::Symlink => "symlink",
            Self::Extended(extension) => {
                let name = extension.name();
                name.strip_suffix("@openssh.com").unwrap_or(name)
            }
        }
    }

    /// The operation of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|operation| operation.name() == name)
    }

    /// True if it changes something. Opening may, depending on its flags.
    #[must_use]
    pub const fn writes(self) -> bool {
        match self {
            Self::Write
            | Self::Setstat
            | Self::Fsetstat
            | Self::Remove
            | Self::Mkdir
            | Self::Rmdir
            | Self::Rename
            | Self::Symlink => true,
            Self::Open
            | Self::Close
            | Self::Read
            | Self::Lstat
            | Self::Fstat
            | Self::Opendir
            | Self::Readdir
            | Self::Realpath
            | Self::Stat
            | Self::Readlink => false,
            Self::Extended(extension) => match extension {
                Extension::PosixRename
                | Extension::HardLink
                | Extension::Fsync
                | Extension::Lsetstat
                | Extension::CopyData => true,
                Extension::StatVfs
                | Extension::FstatVfs
                | Extension::Limits
                | Extension::ExpandPath
                | Extension::HomeDirectory
                | Extension::UsersGroupsById => false,
            },
        }
    }

    /// What `request` asks for; `None` for `INIT` and for extensions that nobody knows.
    pub(super) fn of(request: &FromClient<'_>) -> Option<Self> {
        Some(match request {
            FromClient::Init(_) => return None,
            FromClient::Open(_) => Self::Open,
            FromClient::Close(_) => Self::Close,
            FromClient::Read(_) => Self::Read,
            FromClient::Write(_) => Self::Write,
            FromClient::Lstat(_) => Self::Lstat,
            FromClient::Fstat(_) => Self::Fstat,
            FromClient::Setstat(_) => Self::Setstat,
            FromClient::Fsetstat(_) => Self::Fsetstat,
            FromClient::Opendir(_) => Self::Opendir,
            FromClient::Readdir(_) => Self::Readdir,
            FromClient::Remove(_) => Self::Remove,
            FromClient::Mkdir(_) => Self::Mkdir,
            FromClient::Rmdir(_) => Self::Rmdir,
            FromClient::Realpath(_) => Self::Realpath,
            FromClient::Stat(_) => Self::Stat,
            FromClient::Rename(_) => Self::Rename,
            FromClient::Readlink(_) => Self::Readlink,
            FromClient::Symlink(_) => Self::Symlink,
            FromClient::Extended(request) => Self::Extended(Extension::from_name(request.name)?),
        })
    }
}

/// Which operations are done. All, unless said otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    read_only: bool,
    denied: alloc::vec::Vec<Operation>,
}

impl Policy {
    /// Nothing is changed.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// The operation is not done.
    #[must_use]
    pub fn deny(mut self, operation: Operation) -> Self {
        self.denied.push(operation);
        self
    }

    /// True if the operation is done. An extension of which this is false is not offered.
    #[must_use]
    pub fn permits(&self, operation: Operation) -> bool {
        !(self.read_only && operation.writes() || self.denied.contains(&operation))
    }

    pub(super) fn check(&self, request: &FromClient<'_>) -> Result<(), StatusCode> {
        let changing = OpenFlags::CREATE | OpenFlags::TRUNCATE;
        let opens_for_change =
            |flags: OpenFlags| flags.writable() || flags.bits() & changing.bits() != 0;
        let permitted = match request {
            FromClient::Open(open) if self.read_only && opens_for_change(open.flags) => false,
            _ => Operation::of(request).is_none_or(|operation| self.permits(operation)),
        };
        if permitted { Ok(()) } else { Err(StatusCode::PermissionDenied) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn names_are_those_of_openssh_and_belong_to_one_operation_each() {
        let names: Vec<&str> = Operation::all().map(Operation::name).collect();
        assert_eq!(
            names.join(" "),
            "open close read write lstat fstat setstat fsetstat opendir readdir remove mkdir rmdir \
             realpath stat rename readlink symlink posix-rename statvfs fstatvfs hardlink fsync \
             lsetstat limits expand-path copy-data home-directory users-groups-by-id"
        );
        for operation in Operation::all() {
            assert_eq!(Operation::from_name(operation.name()), Some(operation));
        }
        assert_eq!(Operation::from_name("posix-rename@openssh.com"), None);
    }
}
