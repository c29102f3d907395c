//! `sftp`: batches, single files, and what is left behind by errors.

use std::{fs, process::Stdio, thread, time::Duration};

use crate::place::{Place, assert_one_line, run, text};

#[test]
fn files_move_by_batch_and_the_first_error_ends_it() {
    let place = Place::new();
    let home = place.path("home");
    fs::create_dir_all(home.join("tree/deep")).unwrap();
    fs::write(home.join("tree/deep/two words"), "deep").unwrap();
    fs::write(home.join("st*r"), "star").unwrap();
    let output = place.batch(
        "put -R tree\nmkdir d\nput \"st*r\" d/'other name'\nget \"d/other name\" back\n\
         get -R tree again\nrename d/other\\ name moved\nln -s moved link\nls -1\n\
         -rm missing\n@pwd\nrm moved\nget nothing\npwd\n",
    );
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}{}", text(&output.stderr));
    assert_eq!(fs::read(home.join("back")).unwrap(), b"star");
    assert_eq!(fs::read(home.join("again/deep/two words")).unwrap(), b"deep");
    assert!(said.contains("sftp> ls -1\nd\nlink\nmoved\ntree\n"), "{said}");
    assert!(said.contains("Remote working directory: /\n") && !said.contains("@pwd"), "{said}");
    assert!(said.ends_with("sftp> get nothing\n"), "the batch went on: {said}");
    assert!(!place.path("root/moved").exists());
    assert!(!home.join("nothing").exists());
}

#[test]
fn a_file_copied_onto_itself_keeps_its_content() {
    let place = Place::new();
    fs::write(place.path("root/file"), "content").unwrap();
    fs::hard_link(place.path("root/file"), place.path("root/same")).unwrap();
    fs::write(place.path("root/longer"), "something longer").unwrap();
    let output = place.batch("-cp file file\n-cp file same\ncp file longer\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read(place.path("root/file")).unwrap(), b"content");
    assert_eq!(fs::read(place.path("root/longer")).unwrap(), b"content");
}

#[test]
fn a_batch_ends_at_errors_of_files_and_not_at_those_of_local_commands() {
    let place = Place::new();
    fs::write(place.path("root/file"), "x").unwrap();
    let output = place.batch("!exit 3\nlls nothing-there\npwd\nrename file missing/new\npwd\n");
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(out.matches("Remote working directory").count(), 1, "{out}");
    let last = errors.lines().last().unwrap();
    assert!(last.contains("\"/file\" to \"/missing/new\""), "{errors}");
}

#[test]
fn a_batch_goes_on_behind_a_line_that_it_does_not_understand_if_told_so() {
    let place = Place::new();
    let output = place.batch("-frobnicate\n-chmod 99 file\npwd\nfrobnicate\npwd\n");
    let (out, errors) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert_eq!(out.matches("Remote working directory").count(), 1, "{out}");
    assert_eq!(errors.matches("Invalid command 'frobnicate'").count(), 2, "{errors}");
}

#[test]
fn a_file_for_a_directory_that_is_missing_says_so() {
    let place = Place::new();
    fs::write(place.path("home/file"), "x").unwrap();
    let output = place.batch("put file nowhere/file\n");
    assert_one_line(&output, 1, &["/nowhere/file", "is the directory there"]);
}

#[test]
fn a_directory_that_is_not_asked_for_as_a_tree_leaves_nothing_incomplete() {
    let place = Place::new();
    fs::create_dir(place.path("root/tree")).unwrap();
    assert_one_line(&place.batch("get tree\n"), 1, &["\"/tree\" is a directory; -r takes it"]);
    assert!(!place.path("home/tree").exists());
}

#[test]
fn a_file_is_fetched_without_a_batch() {
    let place = Place::new();
    fs::write(place.path("root/file"), vec![7; 3_000_000]).unwrap();
    let output = run(place.with_key("sftp").args(["-q", "127.0.0.1:file", "here"]));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(fs::read(place.path("home/here")).unwrap(), vec![7; 3_000_000]);
    let output = run(place.with_key("sftp").args(["-q", "127.0.0.1:missing", "here"]));
    assert_one_line(&output, 1, &["/missing", "No such file"]);
}

#[test]
fn a_lost_connection_is_told_once_and_what_is_incomplete_is_named() {
    let mut place = Place::new();
    // More than can be moved before the server ends; it takes no room.
    for name in ["tree/a", "tree/b", "tree/c"] {
        let path = place.path("root").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().set_len(1 << 40).unwrap();
    }
    let mut command = place.with_key("sftp");
    let child = command
        .args(["-qr", "127.0.0.1:tree", "here"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // In whatever order the server lists them.
    let has_content = |entry: fs::DirEntry| entry.metadata().is_ok_and(|file| file.len() > 0);
    let here = place.path("home/here");
    while !fs::read_dir(&here).is_ok_and(|here| here.flatten().any(has_content)) {
        thread::sleep(Duration::from_millis(5));
    }
    place.kill_server();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(255), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    let [incomplete, lost] = lines.as_slice() else { panic!("{said}") };
    assert!(incomplete.contains("here is incomplete; reget goes on"), "{said}");
    assert!(lost.starts_with(&format!("chiton sftp: 127.0.0.1 port {}: ", place.port)), "{said}");
}

#[test]
fn a_full_disk_is_told_and_leaves_no_doubt() {
    let place = Place::new();
    fs::write(place.path("root/file"), vec![7; 3_000_000]).unwrap();
    let output = place.batch("get file /dev/full\n");
    assert_one_line(&output, 1, &["/dev/full", "disk is full", "incomplete"]);
}

#[test]
fn a_tree_is_not_fetched_through_links_that_are_there() {
    let place = Place::new();
    let (root, home) = (place.path("root"), place.path("home"));
    fs::create_dir_all(root.join("tree/dir")).unwrap();
    fs::write(root.join("tree/dir/new"), "new").unwrap();
    fs::write(root.join("tree/file"), "new").unwrap();
    fs::write(root.join("tree/good"), "good").unwrap();
    let outside = place.path("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::write(outside.join("file"), "old").unwrap();
    fs::create_dir_all(home.join("copy/tree")).unwrap();
    std::os::unix::fs::symlink(&outside, home.join("copy/tree/dir")).unwrap();
    std::os::unix::fs::symlink(outside.join("file"), home.join("copy/tree/file")).unwrap();
    let output = place.batch("get -R tree copy\n");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_eq!(
        said.matches("is a symbolic link, which is not written through").count(),
        2,
        "{said}"
    );
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"old");
    assert!(!outside.join("new").exists());
    // What can be fetched is.
    assert_eq!(fs::read(home.join("copy/tree/good")).unwrap(), b"good");
}

#[test]
fn modes_and_times_of_a_tree_are_those_of_the_other_side_in_the_end() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let place = Place::new();
    let dir = place.path("root/tree/dir");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("file"), "x").unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o550)).unwrap();
    let old = std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(&dir).unwrap().set_modified(old).unwrap();
    let output = place.batch("get -Rp tree copy\n");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let copy = fs::metadata(place.path("home/copy/dir")).unwrap();
    assert_eq!((copy.mode() & 0o7777, copy.mtime()), (0o550, 1_000_000_000));
    // So that it can be removed again.
    for path in [dir, place.path("home/copy/dir")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}
