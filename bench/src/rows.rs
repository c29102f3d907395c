//! The rows of the table: who does what, on which server, how far away.

use std::path::Path;

use crate::peers::{CHITON, CHITON_LIBRARY, OPENSSH_10};
use crate::site::{Site, Sizes};
use crate::work::Work;

pub(crate) const AES128_GCM: &str = "aes128-gcm@openssh.com";
/// The key is renewed after so much in the row about that.
pub(crate) const REKEY: u64 = 64 << 20;

/// For rows that are about something else: everybody's best.
const ANY: &str = "aes128-gcm@openssh.com,aes256-ctr";

/// The ciphers of the bulk rows. With the last, the MAC is `hmac-sha2-256-etm@openssh.com`; for
/// who does not know that, `hmac-sha2-256`.
const CIPHERS: [(&str, &str); 4] = [
    ("aes128-gcm", AES128_GCM),
    ("aes256-gcm", "aes256-gcm@openssh.com"),
    ("chacha20-poly1305", "chacha20-poly1305@openssh.com"),
    ("aes256-ctr-etm", "aes256-ctr"),
];

/// What is done in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Get,
    Put,
    GetMany,
    PutMany,
    ExecOut,
    ExecIn,
    Fresh,
    Sequential,
    AtOnce,
    FirstByte,
    Idle,
}

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The newer programs and the fast libraries.
    Fast,
    /// The same, and curl, which knows no other of these ciphers.
    FastAndCurl,
    /// Everybody who can.
    Everybody,
    /// Those that serve as well, each against itself.
    Itself,
    /// Ours and OpenSSH, each with and without renewed keys.
    Rekeying,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) task: Task,
    pub(crate) cipher: &'static str,
    /// Over the long link and not on loopback.
    pub(crate) far: bool,
    pub(crate) who: Who,
}

impl Row {
    fn new(id: &str, title: String, task: Task, who: Who) -> Self {
        Self { id: id.into(), title, task, cipher: ANY, far: false, who }
    }

    fn far(self) -> Self {
        Self { far: true, ..self }
    }

    /// Whether `peer` takes part.
    pub(crate) fn admits(&self, peer: &str) -> bool {
        let fast = matches!(
            peer,
            CHITON
                | CHITON_LIBRARY
                | "openssh-9.2"
                | OPENSSH_10
                | "openssh-10.6"
                | "libssh"
                | "russh"
        );
        // Our library moves a file as our program does; where commands, connections and files
        // are counted, they differ.
        let both = matches!(
            self.task,
            Task::Fresh
                | Task::Sequential
                | Task::AtOnce
                | Task::FirstByte
                | Task::Idle
                | Task::GetMany
                | Task::PutMany
        );
        match self.who {
            Who::Fast => fast && (both || peer != CHITON_LIBRARY),
            Who::FastAndCurl => peer != CHITON_LIBRARY && (fast || peer == "curl"),
            Who::Everybody => both || peer != CHITON_LIBRARY,
            Who::Itself => matches!(peer, CHITON | "openssh-9.2" | OPENSSH_10),
            Who::Rekeying => matches!(peer, CHITON | OPENSSH_10),
        }
    }

    /// Whether `peer` spends its time waiting here, for more than a minute, so that all such
    /// clients may wait at the same time.
    pub(crate) fn waits(&self, peer: &str) -> bool {
        let many = matches!(self.task, Task::GetMany | Task::PutMany);
        self.far && many && !matches!(peer, CHITON | CHITON_LIBRARY | "russh")
    }

    /// What is to be done; what arrives by it arrives in `work`.
    pub(crate) fn work(&self, site: &Site, sizes: &Sizes, work: &Path) -> Work {
        let file = site.data(if self.far { "medium" } else { "big" });
        let folder = site.data(if self.far { "few" } else { "many" });
        let arrived = work.join("arrived");
        match self.task {
            Task::Get => Work::Get { remote: file, local: arrived },
            Task::Put => Work::Put { local: file, remote: arrived },
            Task::GetMany => Work::GetMany { remote: folder, local: arrived },
            Task::PutMany => Work::PutMany { local: folder, remote: arrived },
            Task::ExecOut => Work::ExecOut { file },
            Task::ExecIn => Work::ExecIn { file },
            Task::Fresh => Work::Fresh { times: sizes.fresh },
            Task::Sequential => Work::Sequential { times: sizes.sequential },
            Task::AtOnce => Work::AtOnce { times: sizes.at_once },
            Task::FirstByte => Work::FirstByte,
            Task::Idle => Work::Idle { connections: sizes.idle },
        }
    }
}

/// All rows.
pub(crate) fn all(sizes: &Sizes) -> Vec<Row> {
    let mib = |bytes: u64| match bytes >> 20 {
        1024 => "1 GiB".to_owned(),
        mib => format!("{mib} MiB"),
    };
    let (big, medium) = (mib(sizes.big), mib(sizes.medium));
    let mut rows = Vec::new();
    for (task, verb, id) in [(Task::Get, "get", "get"), (Task::Put, "put", "put")] {
        for (name, cipher) in CIPHERS {
            let who = match name {
                "aes128-gcm" => Who::Everybody,
                "aes256-ctr-etm" => Who::FastAndCurl,
                _ => Who::Fast,
            };
            let title = format!("SFTP {verb} {big}, {name}");
            rows.push(Row { cipher, ..Row::new(&format!("{id}-{name}"), title, task, who) });
        }
    }
    let mut row = |id: &str, title: String, task, who| rows.push(Row::new(id, title, task, who));
    row("exec-out", format!("exec, {big} of output"), Task::ExecOut, Who::Fast);
    row("exec-in", format!("exec, {big} of input"), Task::ExecIn, Who::Fast);
    let Sizes { fresh, sequential, at_once, idle, many, few, .. } = sizes;
    row("fresh", format!("{fresh} fresh connections running true"), Task::Fresh, Who::Everybody);
    let title = format!("{sequential} times true on one connection");
    row("sequential", title, Task::Sequential, Who::Everybody);
    let title = format!("{at_once} times true at once on one connection");
    row("at-once", title, Task::AtOnce, Who::Everybody);
    row("get-many", format!("SFTP get {many} files of 4 KiB"), Task::GetMany, Who::Everybody);
    row("put-many", format!("SFTP put {many} files of 4 KiB"), Task::PutMany, Who::Everybody);
    row("first-byte", "first byte of a fresh connection".into(), Task::FirstByte, Who::Everybody);
    row("idle", format!("{idle} idle connections in one process"), Task::Idle, Who::Everybody);
    row("itself-get", format!("get {big} from its own server"), Task::Get, Who::Itself);
    row("itself-put", format!("put {big} to its own server"), Task::Put, Who::Itself);
    row("rekey", format!("get {big}, keys renewed each 64 MiB"), Task::Get, Who::Rekeying);
    let link = "at 100 ms and 1 Gbit/s";
    let mut row = |id: &str, title: String, task| {
        rows.push(Row::new(id, format!("{title}, {link}"), task, Who::Everybody).far());
    };
    row("far-first-byte", "first byte of a fresh connection".into(), Task::FirstByte);
    row("far-get", format!("SFTP get {medium}"), Task::Get);
    row("far-put", format!("SFTP put {medium}"), Task::Put);
    row("far-get-many", format!("SFTP get {few} files of 4 KiB"), Task::GetMany);
    row("far-put-many", format!("SFTP put {few} files of 4 KiB"), Task::PutMany);
    rows
}
