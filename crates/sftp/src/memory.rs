//! A file system in memory, for tests and fuzzing: directories, files, symbolic and hard links.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    Attrs, FileType, OpenFlags, Permissions, StatusCode,
    attrs::{Owner, Times},
    extension::StatVfs,
    path::join,
    server::{DirEntry, FileSystem},
};

/// Larger files are `ENOSPC`, so that a hole cannot be made as large as an offset.
const MAX_FILE: usize = 1 << 20;
/// More nodes than this are `ENOSPC`.
const MAX_NODES: usize = 10_000;
/// More links than this on the way are `ELOOP`.
const MAX_LINKS: usize = 40;
/// What is taken from the permissions of what is made.
const UMASK: u32 = 0o022;
const ROOT: u32 = 1;

#[derive(Debug, Clone)]
enum Content {
    File(Vec<u8>),
    Dir(BTreeMap<Vec<u8>, u32>),
    Link(Vec<u8>),
}

#[derive(Debug, Clone)]
struct Node {
    content: Content,
    mode: u32,
    owner: Owner,
    times: Times,
    links: u64,
}

impl Node {
    fn new(content: Content, mode: u32) -> Self {
        Self { content, mode, owner: Owner::default(), times: Times::default(), links: 1 }
    }

    fn attrs(&self) -> Attrs {
        let (kind, len) = match &self.content {
            Content::File(bytes) => (FileType::Regular, bytes.len()),
            Content::Dir(names) => (FileType::Directory, names.len()),
            Content::Link(target) => (FileType::Symlink, target.len()),
        };
        Attrs {
            size: u64::try_from(len).ok(),
            owner: Some(self.owner),
            permissions: Some(Permissions::new(kind, self.mode)),
            times: Some(self.times),
        }
    }

    fn set(&mut self, attrs: &Attrs) -> Result<(), StatusCode> {
        if let Some(size) = attrs.size {
            let Content::File(bytes) = &mut self.content else {
                return Err(StatusCode::Failure);
            };
            let size = usize::try_from(size).ok().filter(|size| *size <= MAX_FILE);
            bytes.resize(size.ok_or(StatusCode::Failure)?, 0);
        }
        if let Some(permissions) = attrs.permissions {
            self.mode = permissions.mode();
        }
        self.times = attrs.times.unwrap_or(self.times);
        self.owner = attrs.owner.unwrap_or(self.owner);
        Ok(())
    }
}

/// An open file.
#[derive(Debug)]
pub(crate) struct File {
    node: u32,
    append: bool,
}

/// The file system. Nodes are not freed.
#[derive(Debug)]
pub(crate) struct Memory {
    nodes: BTreeMap<u32, Node>,
    /// Where relative paths begin.
    home: Vec<u8>,
    /// The most that one read gives.
    pub(crate) max_read: usize,
}

impl Memory {
    /// An empty directory `home`, an absolute path.
    pub(crate) fn new(home: &[u8]) -> Self {
        let root = Node::new(Content::Dir(BTreeMap::new()), 0o755);
        let mut fs = Self {
            nodes: BTreeMap::from([(ROOT, root)]),
            home: Vec::from(home),
            max_read: usize::MAX,
        };
        let mut path = Vec::new();
        for component in home.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(component);
            let _ = fs.make_dir(&path, 0o777);
        }
        fs
    }

    /// Makes a file.
    pub(crate) fn put(&mut self, path: &[u8], content: &[u8]) {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
        if let Ok(mut file) = self.open(path, flags, 0o666) {
            let _ = self.write_at(&mut file, 0, content);
        }
    }

    /// The content of a file; empty if there is none.
    #[cfg(test)]
    pub(crate) fn get(&self, path: &[u8]) -> &[u8] {
        match self.find(path, true).and_then(|node| self.node(node)) {
            Ok(Node { content: Content::File(bytes), .. }) => bytes,
            _ => &[],
        }
    }

    fn node(&self, number: u32) -> Result<&Node, StatusCode> {
        self.nodes.get(&number).ok_or(StatusCode::NoSuchFile)
    }

    fn node_mut(&mut self, number: u32) -> Result<&mut Node, StatusCode> {
        self.nodes.get_mut(&number).ok_or(StatusCode::NoSuchFile)
    }

    fn names(&self, dir: u32) -> Result<&BTreeMap<Vec<u8>, u32>, StatusCode> {
        match &self.node(dir)?.content {
            Content::Dir(names) => Ok(names),
            _ => Err(StatusCode::NoSuchFile),
        }
    }

    fn names_mut(&mut self, dir: u32) -> Result<&mut BTreeMap<Vec<u8>, u32>, StatusCode> {
        match &mut self.node_mut(dir)?.content {
            Content::Dir(names) => Ok(names),
            _ => Err(StatusCode::NoSuchFile),
        }
    }

    /// Walks along `path` and gives the nodes on the way, from the root, and the last component
    /// if it is missing. `follow`: also if the last component is a link.
    fn walk(&self, path: &[u8], follow: bool) -> Result<Walk, StatusCode> {
        let path = join(&self.home, path);
        let mut todo: Vec<Vec<u8>> = components(&path);
        let mut way: Vec<(Vec<u8>, u32)> = Vec::new();
        let mut links: usize = 0;
        while let Some(name) = todo.pop() {
            let dir = way.last().map_or(ROOT, |(_, node)| *node);
            let names = self.names(dir)?;
            if name == b".." {
                way.pop();
                continue;
            }
            let Some(node) = names.get(&name).copied() else {
                return if todo.is_empty() {
                    Ok(Walk { way, missing: Some(name) })
                } else {
                    Err(StatusCode::NoSuchFile)
                };
            };
            match &self.node(node)?.content {
                Content::Link(target) if follow || !todo.is_empty() => {
                    links = links.saturating_add(1);
                    if links > MAX_LINKS {
                        return Err(StatusCode::NoSuchFile);
                    }
                    if target.first() == Some(&b'/') {
                        way.clear();
                    }
                    todo.extend(components(target));
                }
                _ => way.push((name, node)),
            }
        }
        Ok(Walk { way, missing: None })
    }

    fn find(&self, path: &[u8], follow: bool) -> Result<u32, StatusCode> {
        let walk = self.walk(path, follow)?;
        match walk.missing {
            None => Ok(walk.last()),
            Some(_) => Err(StatusCode::NoSuchFile),
        }
    }

    /// The directory and the name of what is not there yet.
    fn vacant(&self, path: &[u8]) -> Result<(u32, Vec<u8>), StatusCode> {
        let walk = self.walk(path, false)?;
        let dir = walk.last();
        walk.missing.map(|name| (dir, name)).ok_or(StatusCode::Failure)
    }

    /// The directory and the name of what is there; not of the root.
    fn occupied(&self, path: &[u8]) -> Result<(u32, Vec<u8>, u32), StatusCode> {
        let mut walk = self.walk(path, false)?;
        if walk.missing.is_some() {
            return Err(StatusCode::NoSuchFile);
        }
        let (name, node) = walk.way.pop().ok_or(StatusCode::Failure)?;
        Ok((walk.last(), name, node))
    }

    fn make(&mut self, path: &[u8], content: Content, mode: u32) -> Result<u32, StatusCode> {
        let (dir, name) = self.vacant(path)?;
        let number = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX).saturating_add(ROOT);
        if self.nodes.len() >= MAX_NODES {
            return Err(StatusCode::Failure);
        }
        self.names_mut(dir)?.insert(name, number);
        self.nodes.insert(number, Node::new(content, mode));
        Ok(number)
    }

    /// Takes away a name.
    fn unlink(&mut self, dir: u32, name: &[u8], node: u32) -> Result<(), StatusCode> {
        self.names_mut(dir)?.remove(name);
        let node = self.node_mut(node)?;
        node.links = node.links.saturating_sub(1);
        Ok(())
    }

    fn content(&mut self, file: &File) -> Result<&mut Vec<u8>, StatusCode> {
        match &mut self.node_mut(file.node)?.content {
            Content::File(bytes) => Ok(bytes),
            _ => Err(StatusCode::Failure),
        }
    }
}

struct Walk {
    way: Vec<(Vec<u8>, u32)>,
    missing: Option<Vec<u8>>,
}

impl Walk {
    fn last(&self) -> u32 {
        self.way.last().map_or(ROOT, |(_, node)| *node)
    }
}

/// The components of a path, the first one last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
        .map(Vec::from)
        .rev()
        .collect()
}

impl FileSystem for Memory {
    type File = File;
    type Dir = alloc::vec::IntoIter<DirEntry>;

    fn open(&mut self, path: &[u8], flags: OpenFlags, mode: u32) -> Result<File, StatusCode> {
        let create = flags.contains(OpenFlags::CREATE);
        let node = match self.find(path, true) {
            Ok(_) if create && flags.contains(OpenFlags::EXCLUSIVE) => {
                return Err(StatusCode::Failure);
            }
            Ok(node) => node,
            Err(StatusCode::NoSuchFile) if create => {
                self.make(path, Content::File(Vec::new()), mode & !UMASK)?
            }
            Err(code) => return Err(code),
        };
        match &mut self.node_mut(node)?.content {
            Content::File(bytes) if flags.contains(OpenFlags::TRUNCATE) => bytes.clear(),
            Content::Dir(_) if flags.writable() => return Err(StatusCode::Failure),
            _ => {}
        }
        Ok(File { node, append: flags.contains(OpenFlags::APPEND) })
    }

    fn read_at(
        &mut self,
        file: &mut File,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<usize, StatusCode> {
        let max = self.max_read;
        let bytes = self.content(file)?;
        let from = usize::try_from(offset).ok().and_then(|at| bytes.get(at..)).unwrap_or_default();
        let len = from.len().min(buf.len()).min(max);
        if let (Some(to), Some(from)) = (buf.get_mut(..len), from.get(..len)) {
            to.copy_from_slice(from);
        }
        Ok(len)
    }

    fn write_at(&mut self, file: &mut File, offset: u64, data: &[u8]) -> Result<(), StatusCode> {
        let append = file.append;
        let bytes = self.content(file)?;
        let start = if append { Some(bytes.len()) } else { usize::try_from(offset).ok() };
        let end = start
            .and_then(|start| start.checked_add(data.len()))
            .filter(|end| *end <= MAX_FILE)
            .ok_or(StatusCode::Failure)?;
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        let place = start.and_then(|start| bytes.get_mut(start..end));
        place.ok_or(StatusCode::Failure)?.copy_from_slice(data);
        Ok(())
    }

    fn file_attrs(&mut self, file: &mut File) -> Result<Attrs, StatusCode> {
        self.node(file.node).map(Node::attrs)
    }

    fn set_file_attrs(&mut self, file: &mut File, attrs: &Attrs) -> Result<(), StatusCode> {
        self.node_mut(file.node)?.set(attrs)
    }

    fn sync(&mut self, _file: &mut File) -> Result<(), StatusCode> {
        Ok(())
    }

    fn close(&mut self, _file: File) -> Result<(), StatusCode> {
        Ok(())
    }

    fn open_dir(&mut self, path: &[u8]) -> Result<Self::Dir, StatusCode> {
        let dir = self.find(path, true)?;
        let entry = |name: &[u8], node: u32| {
            let node = self.node(node)?;
            Ok(DirEntry { name: Vec::from(name), attrs: node.attrs(), links: node.links })
        };
        let parent = self.find(&join(path, b".."), true)?;
        let dots = [entry(b".", dir), entry(b"..", parent)];
        let names = self.names(dir)?.iter().map(|(name, node)| entry(name, *node));
        Ok(dots.into_iter().chain(names).collect::<Result<Vec<_>, _>>()?.into_iter())
    }

    fn read_dir(&mut self, dir: &mut Self::Dir) -> Result<Option<DirEntry>, StatusCode> {
        Ok(dir.next())
    }

    fn stat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode> {
        self.node(self.find(path, true)?).map(Node::attrs)
    }

    fn lstat(&mut self, path: &[u8]) -> Result<Attrs, StatusCode> {
        self.node(self.find(path, false)?).map(Node::attrs)
    }

    fn set_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode> {
        let node = self.find(path, true)?;
        self.node_mut(node)?.set(attrs)
    }

    fn set_link_attrs(&mut self, path: &[u8], attrs: &Attrs) -> Result<(), StatusCode> {
        let node = self.find(path, false)?;
        self.node_mut(node)?.set(attrs)
    }

    fn copy(
        &mut self,
        from: (&mut File, u64),
        len: Option<u64>,
        to: (&mut File, u64),
    ) -> Result<u64, StatusCode> {
        if from.0.node == to.0.node {
            return Err(StatusCode::Failure);
        }
        let bytes = self.content(from.0)?;
        let start = usize::try_from(from.1).unwrap_or(usize::MAX).min(bytes.len());
        let most = len.and_then(|len| usize::try_from(len).ok()).unwrap_or(usize::MAX);
        let end = start.saturating_add(most).min(bytes.len());
        let copy = Vec::from(bytes.get(start..end).unwrap_or_default());
        self.write_at(to.0, to.1, &copy)?;
        Ok(u64::try_from(copy.len()).unwrap_or(u64::MAX))
    }

    fn home(&mut self, user: &[u8]) -> Option<Vec<u8>> {
        match user {
            b"" | b"root" => Some(b"/root".to_vec()),
            _ => None,
        }
    }

    fn user_name(&mut self, uid: u32) -> Option<Vec<u8>> {
        match uid {
            0 => Some(b"root".to_vec()),
            1 => Some(b"daemon".to_vec()),
            _ => None,
        }
    }

    fn group_name(&mut self, gid: u32) -> Option<Vec<u8>> {
        (gid == 0).then(|| b"root".to_vec())
    }

    fn remove(&mut self, path: &[u8]) -> Result<(), StatusCode> {
        let (dir, name, node) = self.occupied(path)?;
        if self.names(node).is_ok() {
            return Err(StatusCode::Failure);
        }
        self.unlink(dir, &name, node)
    }

    fn make_dir(&mut self, path: &[u8], mode: u32) -> Result<(), StatusCode> {
        self.make(path, Content::Dir(BTreeMap::new()), mode & !UMASK).map(drop)
    }

    fn remove_dir(&mut self, path: &[u8]) -> Result<(), StatusCode> {
        let (dir, name, node) = self.occupied(path)?;
        if !self.names(node)?.is_empty() {
            return Err(StatusCode::Failure);
        }
        self.unlink(dir, &name, node)
    }

    fn real_path(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode> {
        let Walk { way, missing } = self.walk(path, true)?;
        let mut real = Vec::new();
        for name in way.into_iter().map(|(name, _)| name).chain(missing) {
            real.push(b'/');
            real.extend(name);
        }
        if real.is_empty() {
            real.push(b'/');
        }
        Ok(real)
    }

    fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        self.occupied(old)?;
        self.vacant(new)?;
        self.posix_rename(old, new)
    }

    fn posix_rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        let (dir, name, node) = self.occupied(old)?;
        let walk = self.walk(new, false)?;
        // A directory cannot become a part of itself.
        if walk.way.iter().any(|(_, on_the_way)| *on_the_way == node) {
            return if walk.missing.is_none() && walk.last() == node {
                Ok(())
            } else {
                Err(StatusCode::BadMessage)
            };
        }
        if walk.missing.is_none() {
            let (dir, name, there) = self.occupied(new)?;
            if self.names(there).is_ok() {
                return Err(StatusCode::Failure);
            }
            self.unlink(dir, &name, there)?;
        }
        let (new_dir, new_name) = self.vacant(new)?;
        self.names_mut(dir)?.remove(&name);
        self.names_mut(new_dir)?.insert(new_name, node);
        Ok(())
    }

    fn read_link(&mut self, path: &[u8]) -> Result<Vec<u8>, StatusCode> {
        match &self.node(self.find(path, false)?)?.content {
            Content::Link(target) => Ok(target.clone()),
            _ => Err(StatusCode::BadMessage),
        }
    }

    fn symlink(&mut self, target: &[u8], link: &[u8]) -> Result<(), StatusCode> {
        self.make(link, Content::Link(Vec::from(target)), 0o777).map(drop)
    }

    fn hard_link(&mut self, old: &[u8], new: &[u8]) -> Result<(), StatusCode> {
        let node = self.find(old, false)?;
        if self.names(node).is_ok() {
            return Err(StatusCode::PermissionDenied);
        }
        let (dir, name) = self.vacant(new)?;
        self.names_mut(dir)?.insert(name, node);
        let node = self.node_mut(node)?;
        node.links = node.links.saturating_add(1);
        Ok(())
    }

    fn stat_vfs(&mut self, path: &[u8]) -> Result<StatVfs, StatusCode> {
        self.find(path, true)?;
        Ok(StatVfs { block_size: 4096, fragment_size: 1, max_name_len: 255, ..StatVfs::default() })
    }

    fn file_stat_vfs(&mut self, _file: &mut File) -> Result<StatVfs, StatusCode> {
        self.stat_vfs(b"/")
    }
}
