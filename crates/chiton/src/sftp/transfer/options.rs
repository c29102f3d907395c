//! How a transfer is to be done.

use super::Monitor;
use crate::sftp::Sftp;

/// What to do with a file that is there already, in whole or in part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Resume {
    /// Write it anew.
    #[default]
    No,
    /// Go on behind it, once it was seen to be the beginning of the source; if it is not, that is
    /// [`SftpErrorKind::ResumeMismatch`](crate::error::SftpErrorKind::ResumeMismatch).
    ///
    /// What is seen: the whole of it, if the server runs `sha256sum` for us. Otherwise its last
    /// 256 KiB and 15 blocks of 32 KiB spread evenly over the rest; all of it, if that is more.
    Verify,
    /// As [`Verify`](Self::Verify), but write it anew if it is not.
    Restart,
    /// Go on behind it, whatever it is.
    Trust,
}

/// `true` is [`Resume::Verify`], `false` [`Resume::No`].
impl From<bool> for Resume {
    fn from(yes: bool) -> Self {
        if yes { Self::Verify } else { Self::No }
    }
}

/// What to do with symbolic links inside of a tree. The one that was named as the tree itself, or
/// as the file, is followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Links {
    /// Leave them out, and list them in [`Report::skipped`](super::Report::skipped).
    #[default]
    Skip,
    /// Copy what they lead to. A `put` leaves out those that lead nowhere or to a directory that
    /// they are in, which would be a loop; a `get` leaves out all that lead to directories.
    Follow,
    /// Make links with the same text. Nothing of this transfer is written through any of them.
    Keep,
}

/// Whether content is compared after it was moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Verify {
    /// No: the tags of the transport and the confirmations of the server have to do.
    #[default]
    No,
    /// By SHA-256, if the server runs `sha256sum` for us; [`Report::verified`](super::Report)
    /// says for how many files it did.
    IfPossible,
    /// By SHA-256; a server that does not run `sha256sum` for us makes the transfer fail.
    Always,
}

/// `true` is [`Verify::Always`], `false` [`Verify::No`].
impl From<bool> for Verify {
    fn from(yes: bool) -> Self {
        if yes { Self::Always } else { Self::No }
    }
}

/// The most channels that one transfer uses, unless configured otherwise: eight of OpenSSH's
/// 2 MiB windows fill 1 Gbit/s at 100 ms, and its `MaxSessions` is 10.
pub(super) const DEFAULT_CHANNELS: usize = 8;

/// Everything that can be said of a transfer.
#[derive(Clone, Debug)]
pub(in crate::sftp) struct Settings {
    pub(super) resume: Resume,
    pub(super) recursive: bool,
    pub(super) preserve: bool,
    pub(super) links: Links,
    pub(super) atomic: bool,
    pub(super) sync: bool,
    pub(super) verify: Verify,
    /// Bytes a second.
    pub(super) rate: Option<u64>,
    pub(super) sparse: bool,
    pub(super) channels: usize,
    pub(super) in_place: bool,
    /// Bytes.
    pub(super) request_len: Option<u32>,
    pub(super) requests: Option<usize>,
    pub(super) on_this_thread: bool,
    pub(super) monitor: Monitor,
}

impl Settings {
    /// What the planners are told, for a server that takes this many bytes in a request.
    pub(super) fn planned(&self, sftp: &Sftp, most: u32) -> sftp::transfer::Options {
        let request_len = self.request_len.map_or(most, |len| len.min(most)).max(1);
        let mut options = sftp::transfer::Options::new(request_len);
        if let Some(requests) = self.requests {
            options.max_requests = requests.max(1);
        }
        if let Some(told) = sftp.engine.client(|client| client.limits()).max_handles {
            let told = usize::try_from(told).unwrap_or(usize::MAX);
            options.max_handles = options.max_handles.min(told).max(1);
        }
        options.rate = self.rate;
        options.round_trip = sftp.engine.round_trip();
        options
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resume: Resume::No,
            recursive: false,
            preserve: false,
            links: Links::Skip,
            atomic: false,
            sync: false,
            verify: Verify::No,
            rate: None,
            sparse: false,
            channels: DEFAULT_CHANNELS,
            in_place: false,
            request_len: None,
            requests: None,
            on_this_thread: false,
            monitor: Monitor::new(),
        }
    }
}

/// The methods that all transfers share. The type has the fields `settings` and `tell`.
macro_rules! setters {
    () => {
        /// What to do with what is there already: `true` goes on behind it, once it was seen to
        /// be the beginning of the source.
        pub fn resume(mut self, resume: impl Into<Resume>) -> Self {
            self.settings.resume = resume.into();
            self
        }

        /// Takes a directory with everything in it. A file is taken as without.
        ///
        /// Directories that are there are used, and so are files of the same name, which get new
        /// content. At most 64 levels are followed.
        pub const fn recursive(mut self, yes: bool) -> Self {
            self.settings.recursive = yes;
            self
        }

        /// Gives files and directories the permission bits (without set-id and sticky) and the
        /// times of the source.
        pub const fn preserve(mut self, yes: bool) -> Self {
            self.settings.preserve = yes;
            self
        }

        /// What to do with links inside of a tree.
        pub const fn links(mut self, links: Links) -> Self {
            self.settings.links = links;
            self
        }

        /// Writes each file under another name in the same directory, waits until it is on the
        /// disk, and renames it only then: under its name there is at all times the old content
        /// or the new. If it fails, what was written is removed. Excludes resuming.
        pub const fn atomic(mut self, yes: bool) -> Self {
            self.settings.atomic = yes;
            self
        }

        /// Waits for each file until it is on the disk.
        pub const fn sync(mut self, yes: bool) -> Self {
            self.settings.sync = yes;
            self
        }

        /// Compares the content of each file when it was moved.
        pub fn verify(mut self, verify: impl Into<Verify>) -> Self {
            self.settings.verify = verify.into();
            self
        }

        /// Moves at most this many bytes of content a second; 0 is no limit.
        pub fn limit_rate(mut self, bytes_per_second: u64) -> Self {
            self.settings.rate = (bytes_per_second > 0).then_some(bytes_per_second);
            self
        }

        /// Makes no blocks of zeroes where the file system can do without.
        pub const fn sparse(mut self, yes: bool) -> Self {
            self.settings.sparse = yes;
            self
        }

        /// Uses at most this many channels of the connection: 8 unless told otherwise. How many
        /// it uses follows from the link; a server that allows fewer gets along with those.
        pub fn channels(mut self, most: usize) -> Self {
            self.settings.channels = most.max(1);
            self
        }

        /// Writes over a file that is there without emptying it first, and cuts it at the end. A
        /// file that is copied onto itself, by whatever names, so stays whole.
        pub const fn in_place(mut self, yes: bool) -> Self {
            self.settings.in_place = yes;
            self
        }

        /// Asks for this many bytes at once, or as many as the server takes if that is less. The
        /// most it takes is best; this is for servers that say one thing and do another.
        pub const fn request_len(mut self, bytes: u32) -> Self {
            self.settings.request_len = Some(bytes);
            self
        }

        /// Has at most this many requests under way: 512 unless told otherwise.
        pub const fn requests(mut self, most: usize) -> Self {
            self.settings.requests = Some(most);
            self
        }

        /// Reads and writes local files on the thread that polls the transfer, where they cost less:
        /// the cache of its CPU has their content, and nobody has to be woken. For programs whose
        /// runtime has nothing more urgent to do; a thread is used all the same once a file turns
        /// out to be slow (20 ms for a request), to be none (a pipe, a terminal), or is to be on
        /// the disk before it is done.
        pub const fn on_this_thread(mut self, yes: bool) -> Self {
            self.settings.on_this_thread = yes;
            self
        }

        /// Shows how it goes, and can end it: see [`Monitor`].
        pub fn monitor(mut self, monitor: &Monitor) -> Self {
            self.settings.monitor = monitor.clone();
            self
        }

        /// Is told how far it has come, some ten times a second and at the end. It is a task of
        /// its own that calls it: what takes long there does not hold up the transfer.
        pub fn progress(mut self, tell: impl FnMut(Progress) + Send + 'static) -> Self {
            self.tell = Some(Box::new(tell));
            self
        }
    };
}
pub(super) use setters;
