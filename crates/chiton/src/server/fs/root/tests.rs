//! Tests of [`Root`]: what it does, and above all that nothing leads out of it.

use super::*;
use sftp::attrs::{Owner, Times};
use std::{fs, os::unix::fs::symlink};
use tempfile::TempDir;

/// `outside` beside the root, with a secret in it, and a root with a file and a directory.
fn world() -> (TempDir, Root) {
    let temp = tempfile::tempdir().unwrap();
    let root = temp.path().join("root");
    fs::create_dir_all(root.join("dir/inner")).unwrap();
    fs::create_dir(temp.path().join("outside")).unwrap();
    fs::write(temp.path().join("outside/secret"), b"secret").unwrap();
    fs::write(root.join("file"), b"content").unwrap();
    let root = Root::open(root).unwrap();
    (temp, root)
}

const READ: OpenFlags = OpenFlags::READ;
const WRITE: OpenFlags = OpenFlags::WRITE;
const CREATE: OpenFlags = OpenFlags::CREATE;

fn read(root: &mut Root, path: &str) -> Result<Vec<u8>, StatusCode> {
    let mut file = root.open(path.as_bytes(), READ, 0)?;
    let mut buf = [0; 64];
    let n = root.read_at(&mut file, 0, &mut buf)?;
    Ok(buf[..n].to_vec())
}

fn names(root: &mut Root, path: &str) -> Vec<String> {
    let mut dir = root.open_dir(path.as_bytes()).unwrap();
    let mut names = Vec::new();
    while let Some(entry) = root.read_dir(&mut dir).unwrap() {
        names.push(String::from_utf8(entry.name).unwrap());
    }
    names.sort();
    names
}

#[test]
fn the_root_is_the_root_however_it_is_spelled() {
    let (_temp, mut root) = world();
    for path in ["/", ".", "/..", "../../..", "/dir/..", "dir/../..", "//", "./dir/../../dir/.."] {
        assert_eq!(root.real_path(path.as_bytes()).unwrap(), b"/", "{path}");
        assert_eq!(names(&mut root, path), ["dir", "file"], "{path}");
    }
    for path in ["file", "/file", "/../file", "/../../../file", "dir/inner/../../file"] {
        assert_eq!(read(&mut root, path).unwrap(), b"content", "{path}");
    }
    assert_eq!(root.real_path(b"dir/./inner/").unwrap(), b"/dir/inner");
    assert_eq!(root.real_path(b"dir/new").unwrap(), b"/dir/new");
    assert_eq!(root.real_path(b"new").unwrap(), b"/new");
    assert_eq!(root.real_path(b"no/new"), Err(StatusCode::NoSuchFile));
}

/// Everything that can be done to a path, done to a path that leads out.
fn nothing_happens_through(temp: &TempDir, root: &mut Root, path: &str, what: &str) {
    let p = path.as_bytes();
    let before = fs::metadata(temp.path().join("outside/secret")).unwrap();
    assert!(read(root, path).is_err(), "{what}: read");
    for flags in [WRITE, WRITE | CREATE, WRITE | CREATE | OpenFlags::TRUNCATE] {
        assert!(root.open(p, flags, 0o644).is_err(), "{what}: open {flags:?}");
    }
    assert!(root.stat(p).is_err(), "{what}: stat");
    assert!(root.stat_vfs(p).is_err(), "{what}: statvfs");
    assert!(root.real_path(p).is_err(), "{what}: real path");
    for attrs in [
        Attrs::with_size(0),
        Attrs::with_mode(0o777),
        Attrs { times: Some(Times { accessed: 1, modified: 1 }), ..Attrs::NONE },
        Attrs { owner: Some(Owner { uid: 1, gid: 1 }), ..Attrs::NONE },
    ] {
        assert!(root.set_attrs(p, &attrs).is_err(), "{what}: {attrs:?}");
    }
    assert!(root.open_dir(p).is_err(), "{what}: open dir");
    assert!(root.make_dir(p, 0o777).is_err(), "{what}: make dir");
    assert!(root.remove_dir(p).is_err(), "{what}: remove dir");
    let after = fs::metadata(temp.path().join("outside/secret")).unwrap();
    assert_eq!(before.permissions(), after.permissions(), "{what}");
    assert_eq!(before.modified().unwrap(), after.modified().unwrap(), "{what}");
    assert_eq!(fs::read(temp.path().join("outside/secret")).unwrap(), b"secret", "{what}");
}

#[test]
fn no_link_leads_out() {
    let (temp, mut root) = world();
    let absolute = temp.path().join("outside/secret");
    let inside = temp.path().join("root");
    symlink(&absolute, inside.join("absolute")).unwrap();
    symlink("../outside/secret", inside.join("relative")).unwrap();
    symlink("dir/inner/../../../outside/secret", inside.join("winding")).unwrap();
    symlink("relative", inside.join("twice")).unwrap();
    for path in ["absolute", "relative", "winding", "twice", "/dir/../relative"] {
        nothing_happens_through(&temp, &mut root, path, path);
    }
    // A link to a directory on the way is no way either, for the last component included.
    symlink("../outside", inside.join("away")).unwrap();
    symlink(temp.path().join("outside"), inside.join("dir/away")).unwrap();
    for path in ["away/secret", "dir/away/secret", "away/../outside/secret", "away/new"] {
        nothing_happens_through(&temp, &mut root, path, path);
        let p = path.as_bytes();
        assert!(root.lstat(p).is_err() && root.read_link(p).is_err(), "{path}");
        assert!(root.remove(p).is_err(), "{path}");
        assert!(root.symlink(b"x", p).is_err(), "{path}");
        for (old, new) in [(&b"file"[..], p), (p, &b"taken"[..])] {
            assert!(root.rename(old, new).is_err(), "{path}");
            assert!(root.posix_rename(old, new).is_err(), "{path}");
            assert!(root.hard_link(old, new).is_err(), "{path}");
        }
    }
    assert_eq!(fs::read_dir(temp.path().join("outside")).unwrap().count(), 1);
    assert_eq!(read(&mut root, "file").unwrap(), b"content");
}

#[test]
fn a_link_that_leads_out_can_be_seen_and_removed() {
    let (temp, mut root) = world();
    root.symlink(b"/etc/passwd", b"link").unwrap();
    assert_eq!(root.read_link(b"link").unwrap(), b"/etc/passwd");
    assert!(root.lstat(b"link").unwrap().is_symlink());
    assert_eq!(root.stat(b"link"), Err(StatusCode::PermissionDenied));
    root.rename(b"link", b"dir/other").unwrap();
    root.remove(b"dir/other").unwrap();
    assert!(!temp.path().join("root/dir/other").is_symlink());
}

#[test]
fn links_inside_are_followed() {
    let (_temp, mut root) = world();
    root.symlink(b"../file", b"dir/link").unwrap();
    assert_eq!(read(&mut root, "dir/link").unwrap(), b"content");
    assert_eq!(root.real_path(b"dir/link").unwrap(), b"/file");
    root.set_attrs(b"dir/link", &Attrs::with_mode(0o640)).unwrap();
    assert_eq!(root.stat(b"file").unwrap().permissions.unwrap().mode(), 0o640);
    assert!(root.stat_vfs(b"dir/link").unwrap().blocks > 0);
}

#[test]
fn files_are_written_where_the_client_says() {
    let (_temp, mut root) = world();
    let mut file = root.open(b"new", WRITE | CREATE | OpenFlags::EXCLUSIVE, 0o600).unwrap();
    root.write_at(&mut file, 4, b"late").unwrap();
    root.write_at(&mut file, 0, b"soon").unwrap();
    root.sync(&mut file).unwrap();
    assert_eq!(root.file_attrs(&mut file).unwrap().size, Some(8));
    root.close(file).unwrap();
    assert_eq!(read(&mut root, "new").unwrap(), b"soonlate");
    assert_eq!(root.stat(b"new").unwrap().permissions.unwrap().mode(), 0o600);
    let again = root.open(b"new", WRITE | CREATE | OpenFlags::EXCLUSIVE, 0o600);
    assert_eq!(again.err(), Some(StatusCode::Failure));
    let mut file = root.open(b"new", WRITE | OpenFlags::APPEND, 0).unwrap();
    root.write_at(&mut file, 0, b"!").unwrap();
    assert_eq!(read(&mut root, "new").unwrap(), b"soonlate!");
    // Each flag by itself, as with OpenSSH's server.
    drop(root.open(b"new", WRITE | OpenFlags::TRUNCATE, 0).unwrap());
    assert_eq!(read(&mut root, "new").unwrap(), b"");
    drop(root.open(b"made", READ | CREATE, 0o644).unwrap());
    assert_eq!(read(&mut root, "made").unwrap(), b"");
    assert_eq!(root.open(b"nothing", READ, 0).err(), Some(StatusCode::NoSuchFile));
}

#[test]
fn attributes_of_files_are_set_one_by_one() {
    let (_temp, mut root) = world();
    let times = Attrs { times: Some(Times { accessed: 7, modified: 8 }), ..Attrs::NONE };
    root.set_attrs(b"file", &times).unwrap();
    root.set_attrs(b"file", &Attrs::with_size(3)).unwrap();
    root.set_attrs(b"file", &Attrs::with_mode(0o400)).unwrap();
    let found = root.stat(b"file").unwrap();
    assert_eq!((found.size, found.times.unwrap().accessed), (Some(3), 7));
    // Whoever owns a file may change its mode without being allowed to read it.
    root.set_attrs(b"file", &Attrs::with_mode(0)).unwrap();
    root.set_attrs(b"file", &Attrs::with_mode(0o600)).unwrap();
    let mut file = root.open(b"file", WRITE, 0).unwrap();
    for attrs in [Attrs::with_size(1), Attrs::with_mode(0o644), times] {
        root.set_file_attrs(&mut file, &attrs).unwrap();
    }
    let Owner { uid, gid } = found.owner.unwrap();
    let mine = Attrs { owner: Some(Owner { uid, gid }), ..Attrs::NONE };
    root.set_file_attrs(&mut file, &mine).unwrap();
    root.set_attrs(b"file", &mine).unwrap();
    let found = root.stat(b"file").unwrap();
    assert_eq!((found.size, found.times.unwrap().modified), (Some(1), 8));
    assert_eq!(found.permissions.unwrap().mode(), 0o644);
}

#[test]
fn renaming_replaces_only_where_it_should() {
    let (_temp, mut root) = world();
    drop(root.open(b"other", WRITE | CREATE, 0o600).unwrap());
    assert_eq!(root.rename(b"file", b"other"), Err(StatusCode::Failure));
    root.posix_rename(b"file", b"/other").unwrap();
    assert_eq!(read(&mut root, "other").unwrap(), b"content");
    root.rename(b"other", b"dir/inner/moved").unwrap();
    root.hard_link(b"dir/inner/moved", b"second").unwrap();
    assert_eq!(names(&mut root, "/"), ["dir", "second"]);
    assert_eq!(root.rename(b"nothing", b"x"), Err(StatusCode::NoSuchFile));
}

#[test]
fn directories_are_made_listed_and_removed() {
    let (_temp, mut root) = world();
    root.make_dir(b"/made", 0o700).unwrap();
    assert_eq!(root.stat(b"made").unwrap().permissions.unwrap().mode(), 0o700);
    assert_eq!(root.make_dir(b"/made", 0o700), Err(StatusCode::Failure));
    assert_eq!(root.remove(b"made").err(), Some(StatusCode::Failure));
    root.remove_dir(b"made").unwrap();
    assert_eq!(root.remove_dir(b"dir"), Err(StatusCode::Failure));
    assert!(root.remove_dir(b"/").is_err() && root.remove(b"/").is_err());
    assert!(root.rename(b"/", b"x").is_err() && root.rename(b"file", b"/").is_err());
    let mut dir = root.open_dir(b"/").unwrap();
    while let Some(entry) = root.read_dir(&mut dir).unwrap() {
        assert_eq!(entry.attrs.is_dir(), entry.name == b"dir");
        assert!(entry.links > 0);
    }
}

/// Opening a FIFO must not make the server wait for its other end.
#[test]
fn a_fifo_holds_up_nobody() {
    let (temp, mut root) = world();
    let path = temp.path().join("root/fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(read(&mut root, "fifo"), Err(StatusCode::Failure));
    assert!(root.open(b"fifo", WRITE, 0).is_err());
    root.set_attrs(b"fifo", &Attrs::with_mode(0o622)).unwrap();
    let times = Attrs { times: Some(Times { accessed: 1, modified: 1 }), ..Attrs::NONE };
    root.set_attrs(b"fifo", &times).unwrap();
    assert!(root.set_attrs(b"fifo", &Attrs::with_size(0)).is_err());
}

#[test]
fn attributes_of_a_link_are_its_own() {
    let (temp, mut root) = world();
    symlink("../outside/secret", temp.path().join("root/link")).unwrap();
    let times = Attrs { times: Some(Times { accessed: 7, modified: 8 }), ..Attrs::NONE };
    root.set_link_attrs(b"link", &times).unwrap();
    assert_eq!(root.lstat(b"link").unwrap().times, times.times);
    root.set_link_attrs(b"file", &Attrs::with_mode(0)).unwrap();
    root.set_link_attrs(b"file", &Attrs::with_mode(0o604)).unwrap();
    assert_eq!(root.stat(b"file").unwrap().permissions.unwrap().mode(), 0o604);
    root.set_link_attrs(b"/", &times).unwrap();
    assert_eq!(root.stat(b"/").unwrap().times, times.times);
    // The mode of a link that leads out is not that of what it leads to.
    let before = fs::metadata(temp.path().join("outside/secret")).unwrap().permissions();
    assert!(root.set_link_attrs(b"link", &Attrs::with_mode(0o777)).is_err());
    assert_eq!(fs::metadata(temp.path().join("outside/secret")).unwrap().permissions(), before);
}

#[test]
fn a_copy_stays_inside_and_homes_are_not_told() {
    let (_temp, mut root) = world();
    let mut from = root.open(b"file", READ, 0).unwrap();
    let mut to = root.open(b"copy", WRITE | CREATE, 0o600).unwrap();
    assert_eq!(root.copy((&mut from, 3), None, (&mut to, 0)), Ok(4));
    assert_eq!(read(&mut root, "copy").unwrap(), b"tent");
    assert_eq!(root.home(b"").as_deref(), Some(&b"/"[..]));
    assert_eq!(root.home(b"root"), None);
    assert_eq!(root.user_name(0).as_deref(), Some(&b"root"[..]));
}
