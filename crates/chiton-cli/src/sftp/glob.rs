//! Patterns in paths, replaced by the files that fit: on either side.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt, path::Path};

use super::{
    pattern::{Component, PathPattern},
    words::Word,
};
use crate::failure::{Failure, Result};

/// The most paths one pattern may stand for: beyond it something is wrong, and memory is not
/// without end.
const MAX_MATCHES: usize = 1_000_000;

/// A place where files can be looked for.
pub(crate) trait Tree {
    /// The names in a directory, and which of them may be directories themselves.
    async fn list(&self, directory: &[u8]) -> Result<Vec<(Vec<u8>, bool)>>;
    /// True if there is such a file.
    async fn exists(&self, path: &[u8]) -> bool;
    /// True if it is a directory; links are followed.
    async fn is_directory(&self, path: &[u8]) -> bool;
}

/// The paths a word stands for, in order. A word without a pattern stands for itself, whether
/// there is such a file or not; a pattern that fits nothing is an error.
pub(crate) async fn expand(word: &Word, tree: &impl Tree) -> Result<Vec<Vec<u8>>> {
    match matches(word, tree).await? {
        None => Ok(vec![word.bytes().to_vec()]),
        Some(paths) if paths.is_empty() => {
            let word = super::show(word.bytes());
            Err(Failure::new(format_args!("no file fits \"{word}\"")))
        }
        Some(paths) => Ok(paths),
    }
}

/// The paths that fit a pattern, in order; `None` if the word has no pattern.
pub(crate) async fn matches(word: &Word, tree: &impl Tree) -> Result<Option<Vec<Vec<u8>>>> {
    let Some(pattern) = PathPattern::parse(word) else { return Ok(None) };
    let start = if pattern.absolute { b"/".to_vec() } else { Vec::new() };
    let mut paths = vec![start];
    let mut components = pattern.components.iter().peekable();
    while let Some(component) = components.next() {
        let last = components.peek().is_none();
        paths = step(&paths, component, last, tree).await?;
        if paths.len() > MAX_MATCHES {
            return Err(Failure::new(format_args!("more than {MAX_MATCHES} files fit")));
        }
    }
    if pattern.directory {
        let mut directories = Vec::with_capacity(paths.len());
        for path in paths {
            if tree.is_directory(&path).await {
                directories.push(path);
            }
        }
        paths = directories;
    }
    paths.sort();
    Ok(Some(paths))
}

/// Goes one component deeper.
async fn step(
    paths: &[Vec<u8>],
    component: &Component,
    last: bool,
    tree: &impl Tree,
) -> Result<Vec<Vec<u8>>> {
    let mut next = Vec::new();
    for path in paths {
        match component {
            Component::Name(name) => {
                let joined = join(path, name);
                if !last || tree.exists(&joined).await {
                    next.push(joined);
                }
            }
            Component::Pattern(pattern) => {
                // A directory that cannot be read has nothing that fits.
                let listed = tree.list(path).await.unwrap_or_default();
                let fitting = listed
                    .into_iter()
                    .filter(|(name, maybe_directory)| {
                        (last || *maybe_directory) && pattern.matches(name)
                    })
                    .map(|(name, _)| join(path, &name));
                next.extend(fitting);
            }
        }
    }
    Ok(next)
}

/// A name in a directory; the empty path is the current one.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = directory.to_vec();
    if !path.is_empty() && path.last() != Some(&b'/') {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// The files of this machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Local;

impl Tree for Local {
    async fn list(&self, directory: &[u8]) -> Result<Vec<(Vec<u8>, bool)>> {
        let directory = if directory.is_empty() { b"." } else { directory };
        let path = Path::new(OsStr::from_bytes(directory));
        let entries = fs::read_dir(path)
            .map_err(|error| Failure::local("read the directory", path, &error))?;
        let entries = entries.flatten().map(|entry| {
            let maybe = entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_symlink());
            (entry.file_name().as_bytes().to_vec(), maybe)
        });
        Ok(entries.collect())
    }

    async fn exists(&self, path: &[u8]) -> bool {
        fs::symlink_metadata(OsStr::from_bytes(path)).is_ok()
    }

    async fn is_directory(&self, path: &[u8]) -> bool {
        Path::new(OsStr::from_bytes(path)).is_dir()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sftp::words::split;

    async fn paths(root: &Path, text: &str) -> Result<Vec<String>> {
        let word = split(text.as_bytes()).unwrap().remove(0);
        let word = word.with_prefix(join(root.as_os_str().as_bytes(), b"").as_slice());
        let root = format!("{}/", root.display());
        let paths = expand(&word, &Local).await?;
        let strip = |path: Vec<u8>| String::from_utf8(path).unwrap().replace(&root, "");
        Ok(paths.into_iter().map(strip).collect())
    }

    #[tokio::test]
    async fn patterns_stand_for_the_files_that_fit() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a.txt", "b.txt", ".c.txt", "x/1/log", "x/2/log", "x/3/other", "w*w"] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        assert_eq!(paths(root, "*.txt").await.unwrap(), ["a.txt", "b.txt"]);
        assert_eq!(paths(root, ".*.txt").await.unwrap(), [".c.txt"]);
        assert_eq!(paths(root, "x/*/log").await.unwrap(), ["x/1/log", "x/2/log"]);
        assert_eq!(paths(root, "?/[23]/*").await.unwrap(), ["x/2/log", "x/3/other"]);
        assert_eq!(paths(root, "*/").await.unwrap(), ["x"]);
        assert_eq!(paths(root, r"w\*w").await.unwrap(), ["w*w"]);
        assert_eq!(paths(root, "missing").await.unwrap(), ["missing"]);
        assert!(paths(root, "*.pdf").await.is_err());
        assert!(paths(root, "a.txt/*").await.is_err());
    }
}
