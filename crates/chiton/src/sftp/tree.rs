//! Whole paths and whole trees of directories: made and removed with many requests under way.

use std::{collections::HashMap, sync::Arc};

use sftp::{
    Attrs, RequestError, StatusCode,
    client::{Client as Codec, Handle, Name, RequestId, Response},
    path::{NamingRules, check_component, join},
};

use super::{
    RemotePath, Request, Sftp,
    engine::{Opened, Ticket},
    error, expect_attrs, expect_handle, expect_ok,
};
use crate::error::{Error, SftpErrorKind};

/// Removals under way. As many as OpenSSH's client has requests; each is small.
const MAX_UNDER_WAY: usize = 64;

/// Directories that are listed at a time: each is a handle of the server, of which there may be
/// few.
const MAX_LISTED: usize = 16;

/// So many entries of a directory are removed before it is listed on: a server that lists for ever
/// makes us hold no more. It also does not matter then whether the server's place in a listing
/// moves when files vanish.
const MAX_ENTRIES: usize = 4096;

/// So often is a directory listed anew: 16 million entries.
const MAX_PASSES: usize = 4096;

/// The deepest tree that is removed. No path is longer than 4096 bytes on most systems; a server
/// can nest for ever.
const MAX_DEPTH: usize = 1024;

/// The most bytes that names take which wait for their removal, in all directories on the way.
const MAX_WAITING: usize = 64 * 1024 * 1024;

/// Directories of a path made in one go.
const MAX_COMPONENTS: usize = 64;

impl Sftp {
    /// Creates a directory and those above it, as far as they are missing. That it is there
    /// already is no error.
    ///
    /// # Errors
    /// The server's answer, or the end of the connection.
    ///
    /// # Cancel safety
    /// Some of the directories may have been made.
    pub async fn create_dir_all(&self, path: impl Into<RemotePath>) -> Result<(), Error> {
        let path = path.into();
        let make = async {
            let whole = [path.as_bytes().to_vec()];
            let (mut first, mut is_dir) = self.make_dirs(&whole).await?;
            if !is_dir && first == Some(StatusCode::NoSuchFile) {
                for some in prefixes(path.as_bytes()).chunks(MAX_COMPONENTS) {
                    (first, is_dir) = self.make_dirs(some).await?;
                }
            }
            match first {
                _ if is_dir => Ok(()),
                // Again, for what the server says: one of those above may have been the reason.
                Some(_) => self
                    .ask(|client, out| client.mkdir(path.as_bytes(), &Attrs::NONE, out))
                    .await
                    .and_then(expect_ok),
                None => Ok(()),
            }
        };
        make.await.map_err(|kind| error("create_dir_all", path.as_bytes(), kind))
    }

    /// Makes directories, each below the one before, without waiting in between. Gives why the
    /// last one was not made, and whether a directory is there now.
    async fn make_dirs(
        &self,
        paths: &[Vec<u8>],
    ) -> Result<(Option<StatusCode>, bool), SftpErrorKind> {
        let ticket = self.engine.ticket();
        let mut last = None;
        for path in paths {
            let make = |client: &mut Codec, out: &mut _| client.mkdir(path, &Attrs::NONE, out);
            last = Some(ticket.send_in_turn(make).await?);
        }
        let path = paths.last().map(Vec::as_slice).unwrap_or_default();
        let stat = ticket.send_in_turn(|client, out| client.stat(path, out)).await?;
        let (mut refused, mut is_dir) = (None, false);
        for _ in 0..=paths.len() {
            match ticket.reply().await? {
                (id, Response::Attrs(attrs)) if id == stat => is_dir = attrs.is_dir(),
                (id, Response::Status(status)) if Some(id) == last => {
                    refused = Some(status.code).filter(|code| *code != StatusCode::Ok);
                }
                _ => {}
            }
        }
        // A server that answers in another order may have looked before the directory was there.
        Ok((refused, is_dir || refused.is_none()))
    }

    /// Removes a directory and everything in it. Links are removed and not followed, also if `path`
    /// is one.
    ///
    /// Version 3 knows files by their paths only: a server on which somebody else replaces a
    /// directory by a link at the same time may remove what that leads to.
    ///
    /// # Errors
    /// The server's answer for the first that could not be removed, with its path; a file at
    /// `path`; a tree deeper than 1024; or the end of the connection. Some of it may be gone.
    ///
    /// # Cancel safety
    /// Some of it may be gone.
    pub async fn remove_dir_all(&self, path: impl Into<RemotePath>) -> Result<(), Error> {
        let path = path.into().into_bytes();
        let failed = |kind| error("remove_dir_all", &path, kind);
        let found = self.ask(|client, out| client.lstat(&path, out)).await;
        let attrs = found.and_then(expect_attrs).map_err(failed)?;
        if attrs.is_symlink() {
            let removed = self.ask(|client, out| client.remove(&path, out)).await;
            return removed.and_then(expect_ok).map_err(failed);
        }
        if !attrs.is_dir() {
            return Err(failed(SftpErrorKind::NotADirectory));
        }
        Removal::new(self, path).run().await
    }
}

/// The path of every directory on the way to `path`, and of itself.
fn prefixes(path: &[u8]) -> Vec<Vec<u8>> {
    let mut prefixes = Vec::new();
    for (at, byte) in path.iter().enumerate() {
        let prefix = path.get(..at).unwrap_or_default();
        if *byte == b'/' && !prefix.is_empty() && prefix.last() != Some(&b'/') {
            prefixes.push(prefix.to_vec());
        }
    }
    if path.last() != Some(&b'/') {
        prefixes.push(path.to_vec());
    }
    prefixes
}

/// A tree that is being removed.
///
/// Directories are taken last first, so that what waits is bounded by the depth; removals, and the
/// listings of several directories, are under way together.
struct Removal {
    sftp: Sftp,
    ticket: Ticket,
    dirs: HashMap<usize, Dir>,
    next_dir: usize,
    todo: Vec<Todo>,
    under_way: HashMap<RequestId, Todo>,
    /// Directories that are being listed.
    listed: usize,
    /// Bytes of the names in `todo`, and of the paths of `dirs`.
    waiting: usize,
}

/// A directory of which something is left.
struct Dir {
    path: Vec<u8>,
    parent: Option<usize>,
    depth: usize,
    /// What is in it and was found, and is not gone yet.
    left: usize,
    handle: Option<Opened>,
    /// Entries found in this pass.
    found: usize,
    passes: usize,
    /// The end of the listing was not seen in this pass.
    more: bool,
}

/// What is to be done, or under way.
#[derive(Debug)]
enum Todo {
    /// Open a directory for listing.
    List(usize),
    /// Ask for the next names.
    Names(usize),
    /// Ask what a name stands for, as the listing did not say.
    Look {
        dir: usize,
        name: Vec<u8>,
    },
    Remove {
        dir: usize,
        name: Vec<u8>,
    },
    /// Remove a directory that is empty by now.
    RemoveDir(usize),
}

impl Removal {
    fn new(sftp: &Sftp, path: Vec<u8>) -> Self {
        let mut removal = Self {
            sftp: sftp.clone(),
            ticket: sftp.engine.ticket(),
            dirs: HashMap::new(),
            next_dir: 0,
            todo: Vec::new(),
            under_way: HashMap::new(),
            listed: 0,
            waiting: 0,
        };
        removal.add_dir(path, None, 0);
        removal
    }

    fn add_dir(&mut self, path: Vec<u8>, parent: Option<usize>, depth: usize) {
        let dir =
            Dir { path, parent, depth, left: 0, handle: None, found: 0, passes: 0, more: false };
        self.waiting = self.waiting.saturating_add(dir.path.len());
        let number = self.next_dir;
        self.next_dir = number.wrapping_add(1);
        self.dirs.insert(number, dir);
        self.todo.push(Todo::List(number));
    }

    async fn run(mut self) -> Result<(), Error> {
        while !self.dirs.is_empty() {
            if self.under_way.is_empty() {
                let turn = self.ticket.reserve().await;
                turn.map_err(|kind| error("remove_dir_all", &[], kind))?;
            }
            self.send().map_err(|(path, kind)| error("remove_dir_all", &path, kind))?;
            let reply = self.ticket.reply().await;
            let (id, response) = reply.map_err(|kind| error("remove_dir_all", &[], kind))?;
            let Some(todo) = self.under_way.remove(&id) else { continue };
            let path = self.path_of(&todo);
            self.answered(todo, response).map_err(|kind| error("remove_dir_all", &path, kind))?;
        }
        Ok(())
    }

    fn path_of(&self, todo: &Todo) -> Vec<u8> {
        let dir = |number: &usize| self.dirs.get(number).map(|dir| &*dir.path).unwrap_or_default();
        match todo {
            Todo::List(number) | Todo::Names(number) | Todo::RemoveDir(number) => {
                dir(number).to_vec()
            }
            Todo::Look { dir: number, name } | Todo::Remove { dir: number, name } => {
                join(dir(number), name)
            }
        }
    }

    /// Sends what there is room for.
    fn send(&mut self) -> Result<(), (Vec<u8>, SftpErrorKind)> {
        while self.under_way.len() < MAX_UNDER_WAY {
            // What needs no further handle comes first.
            let full = self.listed >= MAX_LISTED;
            let next = self.todo.iter().rposition(|todo| !(full && matches!(todo, Todo::List(_))));
            let Some(todo) = next.map(|at| self.todo.remove(at)) else { break };
            let path = self.path_of(&todo);
            let sent = match &todo {
                Todo::List(_) => self.ticket.send(|client, out| client.opendir(&path, out)),
                Todo::Names(number) => {
                    let handle = self.dirs.get(number).and_then(|dir| dir.handle.as_ref());
                    let Some(handle) = handle.and_then(|open| open.handle().ok()) else { continue };
                    self.ticket.send(readdir(handle))
                }
                Todo::Look { .. } => self.ticket.send(|client, out| client.lstat(&path, out)),
                Todo::Remove { .. } => self.ticket.send(|client, out| client.remove(&path, out)),
                Todo::RemoveDir(_) => self.ticket.send(|client, out| client.rmdir(&path, out)),
            };
            match sent {
                Ok(id) => {
                    if let Todo::List(_) = todo {
                        self.listed = self.listed.saturating_add(1);
                    }
                    self.under_way.insert(id, todo);
                }
                // Others have many requests out; ours go on.
                Err(SftpErrorKind::Request(RequestError::TooManyOutstanding))
                    if !self.under_way.is_empty() =>
                {
                    self.todo.push(todo);
                    break;
                }
                Err(kind) => return Err((path, kind)),
            }
        }
        Ok(())
    }

    fn answered(&mut self, todo: Todo, response: Response) -> Result<(), SftpErrorKind> {
        match todo {
            Todo::List(number) => {
                let handle = expect_handle(response)?;
                if let Some(dir) = self.dirs.get_mut(&number) {
                    dir.handle = Some(Opened::new(Arc::clone(&self.sftp.engine), handle));
                    (dir.found, dir.more) = (0, true);
                    dir.passes = dir.passes.saturating_add(1);
                }
                self.todo.push(Todo::Names(number));
                Ok(())
            }
            Todo::Names(number) => self.names(number, response),
            Todo::Look { dir, name } => {
                let attrs = expect_attrs(response)?;
                self.waiting = self.waiting.saturating_sub(name.len());
                self.entry(dir, name, &attrs)
            }
            Todo::Remove { dir, name } => {
                removed(response)?;
                self.waiting = self.waiting.saturating_sub(name.len());
                self.gone(dir);
                Ok(())
            }
            Todo::RemoveDir(number) => {
                removed(response)?;
                if let Some(Dir { path, parent, .. }) = self.dirs.remove(&number) {
                    self.waiting = self.waiting.saturating_sub(path.len());
                    if let Some(parent) = parent {
                        self.gone(parent);
                    }
                }
                Ok(())
            }
        }
    }

    fn names(&mut self, number: usize, response: Response) -> Result<(), SftpErrorKind> {
        match response {
            Response::Names(names) => {
                for Name { filename, attrs, .. } in names {
                    if matches!(&*filename, b"." | b"..") {
                        continue;
                    }
                    check_component(&filename, NamingRules::Unix)
                        .map_err(SftpErrorKind::BadName)?;
                    if let Some(dir) = self.dirs.get_mut(&number) {
                        dir.found = dir.found.saturating_add(1);
                        dir.left = dir.left.saturating_add(1);
                    }
                    self.entry(number, filename, &attrs)?;
                }
                if self.dirs.get(&number).is_some_and(|dir| dir.found >= MAX_ENTRIES) {
                    self.listed(number);
                } else {
                    self.todo.push(Todo::Names(number));
                }
                Ok(())
            }
            Response::Status(status) if status.code == StatusCode::Eof => {
                if let Some(dir) = self.dirs.get_mut(&number) {
                    dir.more = false;
                }
                self.listed(number);
                Ok(())
            }
            other => expect_ok(other),
        }
    }

    /// Takes something that is in a directory.
    fn entry(&mut self, dir: usize, name: Vec<u8>, attrs: &Attrs) -> Result<(), SftpErrorKind> {
        if attrs.is_dir() {
            let Some(above) = self.dirs.get(&dir) else { return Ok(()) };
            let depth = above.depth.saturating_add(1);
            if depth > MAX_DEPTH {
                return Err(SftpErrorKind::TooDeep { limit: MAX_DEPTH });
            }
            self.add_dir(join(&above.path, &name), Some(dir), depth);
            return self.check_waiting();
        }
        self.waiting = self.waiting.saturating_add(name.len());
        self.check_waiting()?;
        self.todo.push(match attrs.file_type() {
            Some(_) => Todo::Remove { dir, name },
            None if attrs.permissions.is_some() => Todo::Remove { dir, name },
            None => Todo::Look { dir, name },
        });
        Ok(())
    }

    const fn check_waiting(&self) -> Result<(), SftpErrorKind> {
        if self.waiting > MAX_WAITING {
            return Err(SftpErrorKind::ListingTooLong { limit: MAX_WAITING });
        }
        Ok(())
    }

    /// A directory has been listed, or enough of it.
    fn listed(&mut self, number: usize) {
        self.listed = self.listed.saturating_sub(1);
        if let Some(dir) = self.dirs.get_mut(&number) {
            dir.handle = None;
        }
        self.done(number);
    }

    /// Something that was in a directory is gone.
    fn gone(&mut self, number: usize) {
        if let Some(dir) = self.dirs.get_mut(&number) {
            dir.left = dir.left.saturating_sub(1);
        }
        self.done(number);
    }

    /// Removes the directory, or lists it on, if nothing is left of what was found.
    fn done(&mut self, number: usize) {
        let Some(dir) = self.dirs.get(&number) else { return };
        if dir.left == 0 && dir.handle.is_none() {
            let again = dir.more && dir.passes < MAX_PASSES;
            self.todo.push(if again { Todo::List(number) } else { Todo::RemoveDir(number) });
        }
    }
}

/// What is gone already, since somebody else removes as well, need not be removed.
fn removed(response: Response) -> Result<(), SftpErrorKind> {
    match response {
        Response::Status(status) if status.code == StatusCode::NoSuchFile => Ok(()),
        other => expect_ok(other),
    }
}

fn readdir(handle: &Handle) -> impl Request {
    |client: &mut Codec, out: &mut Vec<u8>| client.readdir(handle, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::testing::{World, millis};
    use sftp::server::{Operation, Policy};
    use std::{fs, os::unix::fs::symlink};

    #[tokio::test]
    async fn directories_are_made_as_far_as_they_are_missing() {
        let world = World::new().await;
        let sftp = &world.sftp;
        sftp.create_dir_all("a").await.unwrap();
        sftp.create_dir_all("a/b/c//d/").await.unwrap();
        assert!(world.path("a/b/c/d").is_dir());
        sftp.create_dir_all("/a/b/c/d").await.unwrap();
        sftp.create_dir_all("a").await.unwrap();
        let deep = vec!["x"; 150].join("/");
        sftp.create_dir_all(&*deep).await.unwrap();
        assert!(world.path(&deep).is_dir());
        fs::write(world.path("file"), b"").unwrap();
        for path in ["file", "file/below", "file/below/it"] {
            let error = sftp.create_dir_all(path).await.unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
        let policy = Policy::default().deny(Operation::Mkdir);
        let refused = World::with(policy, 0).await.sftp.create_dir_all("a/b").await.unwrap_err();
        assert_eq!(refused.sftp_status(), Some(StatusCode::PermissionDenied));
    }

    fn make_tree(world: &World) {
        for i in 0..20 {
            let dir = world.path(format!("tree/dir {i}/inner/deeper"));
            fs::create_dir_all(&dir).unwrap();
            for j in 0..50 {
                fs::write(dir.join(format!("file {j}")), b"x").unwrap();
            }
        }
        fs::write(world.path("precious"), b"precious").unwrap();
        fs::create_dir(world.path("other")).unwrap();
        fs::write(world.path("other/precious"), b"precious").unwrap();
        symlink(world.path("other"), world.path("tree/link")).unwrap();
        symlink("../precious", world.path("tree/dir 3/link")).unwrap();
        symlink("nowhere", world.path("tree/dir 4/inner/link")).unwrap();
    }

    #[tokio::test]
    async fn a_tree_goes_and_what_its_links_lead_to_stays() {
        let world = World::new().await;
        make_tree(&world);
        world.sftp.remove_dir_all("tree").await.unwrap();
        assert!(!world.path("tree").exists());
        assert_eq!(fs::read(world.path("other/precious")).unwrap(), b"precious");
        assert_eq!(fs::read(world.path("precious")).unwrap(), b"precious");
        // A link is removed itself, and a file is not what was asked for.
        symlink("other", world.path("link")).unwrap();
        world.sftp.remove_dir_all("link").await.unwrap();
        assert!(world.path("other/precious").exists() && !world.path("link").is_symlink());
        let error = world.sftp.remove_dir_all("precious").await.unwrap_err();
        assert!(error.to_string().contains("is no directory"), "{error}");
        assert!(world.path("precious").exists());
        let error = world.sftp.remove_dir_all("missing").await.unwrap_err();
        assert_eq!(error.sftp_status(), Some(StatusCode::NoSuchFile));
        assert_eq!(world.open_handles(), 0);
    }

    #[tokio::test]
    async fn more_than_one_listing_takes_are_removed_as_well() {
        let world = World::new().await;
        fs::create_dir(world.path("many")).unwrap();
        for i in 0..=2 * MAX_ENTRIES {
            fs::write(world.path(format!("many/{i}")), b"").unwrap();
        }
        world.sftp.remove_dir_all("many").await.unwrap();
        assert!(!world.path("many").exists());
    }

    #[tokio::test]
    async fn what_cannot_be_removed_is_named() {
        let world = World::with(Policy::default().deny(Operation::Remove), 0).await;
        make_tree(&world);
        let error = world.sftp.remove_dir_all("tree").await.unwrap_err();
        assert_eq!(error.sftp_status(), Some(StatusCode::PermissionDenied));
        let text = error.to_string();
        assert!(text.contains("tree/dir ") || text.contains("tree/link"), "{text}");
        // What is opened when nobody waits any more is closed when that is noticed.
        world.settled().await;
        world.settled().await;
        assert_eq!(world.open_handles(), 0, "what was open is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tree_costs_bandwidth_and_not_round_trips() {
        let world = World::with(Policy::default(), 50).await;
        make_tree(&world);
        let start = tokio::time::Instant::now();
        world.sftp.remove_dir_all("tree").await.unwrap();
        let round_trips = millis(start) / 100;
        // 1,000 files in 61 directories, three deep.
        assert!(round_trips <= 45, "{round_trips} round trips");
        let start = tokio::time::Instant::now();
        world.sftp.create_dir_all("a/b/c/d/e/f/g/h").await.unwrap();
        assert!(millis(start) / 100 <= 2, "{}", millis(start));
    }

    #[test]
    fn every_directory_on_the_way_is_named_once() {
        let of = |path: &str| {
            prefixes(path.as_bytes())
                .into_iter()
                .map(|prefix| String::from_utf8(prefix).unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(of("/a/b//c/"), ["/a", "/a/b", "/a/b//c"]);
        assert_eq!(of("a/b"), ["a", "a/b"]);
        assert_eq!(of("/"), [""; 0]);
    }
}
