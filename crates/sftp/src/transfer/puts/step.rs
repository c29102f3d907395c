//! What an upload asks of the server.

use super::super::{Item, Range};

/// What to ask the server next. A number is that of the channel: see
/// [`Puts::add_lane`](super::Puts::add_lane).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PutStep {
    /// `MKDIR`; answered with [`Puts::on_done`](super::Puts::on_done), or
    /// [`Puts::on_refused`](super::Puts::on_refused) unless there is such a directory.
    MakeDirectory(Item),
    /// `SETSTAT` of a directory, when everything in it is done; answered with
    /// [`Puts::on_done`](super::Puts::on_done), however it went.
    SetDirectory(Item),
    /// `STAT` of a file that may be there in part; answered with
    /// [`Puts::on_looked`](super::Puts::on_looked).
    Look(Item),
    /// `OPEN` of a file for writing, created and emptied unless it is resumed; answered with
    /// [`Puts::on_opened`](super::Puts::on_opened) or
    /// [`Puts::on_refused`](super::Puts::on_refused).
    Open(Item),
    /// `OPEN` of a file that is open already, on another channel; answered with
    /// [`Puts::on_joined`](super::Puts::on_joined).
    Join(Item, usize),
    /// `WRITE` of what was loaded; answered with [`Puts::on_written`](super::Puts::on_written).
    Write(Item, usize, Range),
    /// `FSETSTAT`; answered with [`Puts::on_done`](super::Puts::on_done) or
    /// [`Puts::on_refused`](super::Puts::on_refused).
    SetAttributes(Item),
    /// `fsync@openssh.com`; answered as that.
    Sync(Item),
    /// `FSTAT`, to see that the file has the size that it should; answered with
    /// [`Puts::on_size`](super::Puts::on_size).
    Size(Item),
    /// `FSETSTAT` of the size of a file that was given up, to what is confirmed of it; answered
    /// with [`Puts::on_done`](super::Puts::on_done).
    Cut(Item, u64),
    /// `CLOSE`; answered with [`Puts::on_closed`](super::Puts::on_closed).
    Close(Item, usize),
    /// Renaming a file to the name that it shall have; answered with
    /// [`Puts::on_done`](super::Puts::on_done) or [`Puts::on_refused`](super::Puts::on_refused).
    Rename(Item),
    /// `REMOVE` of a file that was given up before it had its name; answered with
    /// [`Puts::on_done`](super::Puts::on_done).
    Remove(Item),
    /// `SYMLINK`; answered with [`Puts::on_done`](super::Puts::on_done) or
    /// [`Puts::on_refused`](super::Puts::on_refused).
    MakeLink(Item),
}

impl PutStep {
    /// The file, link or directory that it is for.
    #[must_use]
    pub const fn item(self) -> Item {
        match self {
            Self::MakeDirectory(item)
            | Self::SetDirectory(item)
            | Self::Look(item)
            | Self::Open(item)
            | Self::Join(item, _)
            | Self::Write(item, ..)
            | Self::SetAttributes(item)
            | Self::Sync(item)
            | Self::Size(item)
            | Self::Cut(item, _)
            | Self::Close(item, _)
            | Self::Rename(item)
            | Self::Remove(item)
            | Self::MakeLink(item) => item,
        }
    }

    /// The channel that it is to be sent on.
    #[must_use]
    pub const fn lane(self) -> usize {
        match self {
            Self::Join(_, lane) | Self::Write(_, lane, _) | Self::Close(_, lane) => lane,
            _ => 0,
        }
    }

    /// True for what is not worth sending any more for a file that was given up.
    pub(super) fn ends(self, item: Item) -> bool {
        matches!(
            self,
            Self::SetAttributes(of)
                | Self::Sync(of)
                | Self::Size(of)
                | Self::Close(of, 0)
                | Self::Look(of)
                | Self::Rename(of)
                | Self::MakeLink(of)
            if of == item
        )
    }
}
