//! SFTP: every operation.

use std::io::SeekFrom;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use chiton::sftp::OpenOptions;
use chiton::{Client, Error, Sftp};
use chiton_tests::against_each_peer;
use chiton_tests::peer::Peer;
use chiton_tests::sshd::Sshd;
use sftp::attrs::Times;
use sftp::{Attrs, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

use crate::{connect, noise};

/// A session and a folder that both sides see.
async fn start(peer: &Peer) -> (Client, Sftp, TempDir) {
    let client = connect(Sshd::shared(peer)).await;
    let sftp = client.open_sftp().await.unwrap();
    (client, sftp, tempfile::tempdir().unwrap())
}

fn status<T>(result: Result<T, Error>) -> StatusCode {
    match result {
        Ok(_) => panic!("it succeeded"),
        Err(error) => error.sftp_status().unwrap_or_else(|| panic!("no status: {error}")),
    }
}

fn name(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

async fn whole_files_are_read_and_written(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    for len in [0, 1, 32 * 1024, 261_120, 261_121, 3_000_000] {
        let bytes = noise(len);
        let path = name(&folder, "file");
        sftp.write(path.as_str(), &bytes).await.unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes, "{len} bytes written");
        assert!(sftp.read(path.as_str()).await.unwrap() == bytes, "{len} bytes read");
    }
}

/// What is asked before the session has begun is answered like everything else.
async fn a_session_may_be_used_before_it_has_begun(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let folder = tempfile::tempdir().unwrap();
    let (remote, copy, local) = (name(&folder, "a"), name(&folder, "b"), folder.path().join("c"));
    let bytes = noise(1_000_000);
    std::fs::write(&remote, &bytes).unwrap();
    let sftp = client.open_sftp_ahead().await.unwrap();
    sftp.get(remote.as_str(), &local).await.unwrap();
    assert!(std::fs::read(&local).unwrap() == bytes);
    let sftp = client.open_sftp_ahead().await.unwrap();
    sftp.put(&local, copy.as_str()).await.unwrap();
    assert!(std::fs::read(&copy).unwrap() == bytes);
    // Over a file that is there, which only the extension can do.
    let sftp = client.open_sftp_ahead().await.unwrap();
    sftp.rename(copy.as_str(), remote.as_str()).await.unwrap();
    drop(client.open_sftp_ahead().await.unwrap());
    assert_eq!(client.exec("echo fine").await.unwrap().stdout, b"fine\n");
}

async fn files_are_read_written_and_sought_in(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    let path = name(&folder, "file");
    let bytes = noise(1_000_000);
    let options = OpenOptions::new().read(true).write(true).create_new(true).mode(0o640);
    let mut file = options.open(&sftp, path.as_str()).await.unwrap();
    file.write_all(&bytes).await.unwrap();
    file.flush().await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o640);

    file.seek(SeekFrom::Start(500_000)).await.unwrap();
    let mut part = vec![0; 100_000];
    file.read_exact(&mut part).await.unwrap();
    assert!(part == bytes[500_000..600_000]);
    file.seek(SeekFrom::Current(-50_000)).await.unwrap();
    file.write_all(b"changed").await.unwrap();
    assert_eq!(file.seek(SeekFrom::End(-10)).await.unwrap(), 999_990);
    let mut end = Vec::new();
    file.read_to_end(&mut end).await.unwrap();
    assert!(end == bytes[999_990..]);
    assert_eq!(file.metadata().await.unwrap().size, Some(1_000_000));
    file.set_attrs(&Attrs::with_size(600_000)).await.unwrap();
    file.close().await.unwrap();

    let mut expected = bytes;
    expected.truncate(600_000);
    expected[550_000..550_007].copy_from_slice(b"changed");
    assert!(std::fs::read(&path).unwrap() == expected);
    assert_eq!(status(options.open(&sftp, path.as_str()).await), StatusCode::Failure);

    let mut file = OpenOptions::new().append(true).open(&sftp, path.as_str()).await.unwrap();
    file.write_all(b"at the end").await.unwrap();
    file.close().await.unwrap();
    assert!(std::fs::read(&path).unwrap().ends_with(b"at the end"));
}

async fn directories_are_made_listed_and_removed(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    let path = name(&folder, "directory");
    sftp.create_dir(path.as_str()).await.unwrap();
    assert!(Path::new(&path).is_dir());
    // More names than one answer holds, and one that is not UTF-8.
    let mut expected: Vec<Vec<u8>> =
        (0..500).map(|number| format!("entry {number}").into()).collect();
    expected.push(b"not \xff UTF-8".to_vec());
    for file in &expected {
        let path = [path.as_bytes(), b"/", file].concat();
        sftp.write(path.as_slice(), b"x").await.unwrap();
    }
    let mut listed = sftp.list_dir(path.as_str()).await.unwrap();
    listed.sort_by(|a, b| a.file_name.cmp(&b.file_name));
    expected.sort();
    assert_eq!(listed.iter().map(|entry| entry.file_name.clone()).collect::<Vec<_>>(), expected);
    assert!(listed.iter().all(|entry| entry.attrs.size == Some(1) && entry.attrs.is_file()));
    assert!(listed[0].longname.starts_with(b"-rw"));

    assert_eq!(status(sftp.remove_dir(path.as_str()).await), StatusCode::Failure);
    for file in &expected {
        sftp.remove_file([path.as_bytes(), b"/", file].concat()).await.unwrap();
    }
    assert!(sftp.list_dir(path.as_str()).await.unwrap().is_empty());
    sftp.remove_dir(path.as_str()).await.unwrap();
    assert!(!Path::new(&path).exists());
    assert_eq!(status(sftp.list_dir(path.as_str()).await), StatusCode::NoSuchFile);
}

async fn attributes_are_read_and_set(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    let path = name(&folder, "file");
    std::fs::write(&path, b"content").unwrap();
    let attrs = sftp.metadata(path.as_str()).await.unwrap();
    assert!(attrs.is_file() && attrs.size == Some(7), "{attrs:?}");
    assert_eq!(attrs.owner.unwrap().uid, std::fs::metadata(&path).unwrap().uid());

    sftp.set_attrs(path.as_str(), &Attrs::with_mode(0o600)).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    sftp.set_attrs(path.as_str(), &Attrs::with_size(3)).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"con");
    let times = Times { accessed: 1_000_000_000, modified: 1_100_000_000 };
    sftp.set_attrs(path.as_str(), &Attrs { times: Some(times), ..Attrs::NONE }).await.unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().mtime(), 1_100_000_000);
    assert_eq!(sftp.metadata(path.as_str()).await.unwrap().times, Some(times));

    let missing = name(&folder, "missing");
    assert_eq!(status(sftp.metadata(missing.as_str()).await), StatusCode::NoSuchFile);
}

async fn links_are_made_and_followed(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    let (target, link) = (name(&folder, "target"), name(&folder, "link"));
    std::fs::write(&target, b"behind the link").unwrap();
    sftp.symlink(target.as_str(), link.as_str()).await.unwrap();
    assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(&target));
    assert_eq!(sftp.read_link(link.as_str()).await.unwrap().as_bytes(), target.as_bytes());
    assert!(sftp.symlink_metadata(link.as_str()).await.unwrap().is_symlink());
    assert!(sftp.metadata(link.as_str()).await.unwrap().is_file());
    assert_eq!(sftp.read(link.as_str()).await.unwrap(), b"behind the link");

    let hard = name(&folder, "hard");
    sftp.hard_link(target.as_str(), hard.as_str()).await.unwrap();
    let inode = |path: &str| std::fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&hard), inode(&target));
    sftp.remove_file(link.as_str()).await.unwrap();
    assert!(Path::new(&target).exists() && !Path::new(&link).exists());
}

async fn files_are_renamed(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    let (old, new) = (name(&folder, "old"), name(&folder, "new"));
    std::fs::write(&old, b"first").unwrap();
    sftp.rename(old.as_str(), new.as_str()).await.unwrap();
    assert_eq!(std::fs::read(&new).unwrap(), b"first");
    std::fs::write(&old, b"second").unwrap();
    let exclusive = sftp.rename_exclusive(old.as_str(), new.as_str()).await;
    assert_eq!(status(exclusive), StatusCode::Failure);
    assert_eq!(std::fs::read(&new).unwrap(), b"first");
    sftp.rename(old.as_str(), new.as_str()).await.unwrap();
    assert_eq!(std::fs::read(&new).unwrap(), b"second");
    assert!(!Path::new(&old).exists());
    assert_eq!(status(sftp.rename(old.as_str(), new.as_str()).await), StatusCode::NoSuchFile);
}

async fn paths_and_file_systems(peer: &Peer) {
    let (client, sftp, folder) = start(peer).await;
    let home = client.exec("pwd").await.unwrap().stdout;
    assert_eq!(sftp.canonicalize(".").await.unwrap().as_bytes(), home.trim_ascii_end());
    let crooked = format!("{}/./x/..", folder.path().display());
    std::fs::create_dir(folder.path().join("x")).unwrap();
    let straight = sftp.canonicalize(crooked).await.unwrap();
    assert_eq!(straight.as_bytes(), folder.path().as_os_str().as_encoded_bytes());
    let figures = sftp.statvfs("/").await.unwrap();
    assert!(figures.blocks > 0 && figures.block_size > 0, "{figures:?}");
}

async fn copies_homes_and_names_are_the_servers(peer: &Peer) {
    let (client, sftp, folder) = start(peer).await;
    let (from, to) = (name(&folder, "from"), name(&folder, "to"));
    let bytes = noise(500_000);
    std::fs::write(&from, &bytes).unwrap();
    let source = sftp.open_file(from.as_str()).await.unwrap();
    let target = sftp.create(to.as_str()).await.unwrap();
    source.copy_range_to(7, None, &target, 0).await.unwrap();
    let beyond = source.copy_range_to(399_990, Some(300_000), &target, 0).await;
    assert_eq!(status(beyond), StatusCode::Eof);
    source.copy_range_to(0, Some(10), &target, 600_000).await.unwrap();
    assert_eq!(status(source.copy_range_to(0, None, &source, 0).await), StatusCode::Failure);
    target.close().await.unwrap();
    let copy = std::fs::read(&to).unwrap();
    assert!(copy[100_010..499_993] == bytes[100_017..] && copy[600_000..] == bytes[..10]);

    std::os::unix::fs::symlink("nowhere", name(&folder, "link")).unwrap();
    let times = Some(Times { accessed: 1, modified: 2 });
    let attrs = Attrs { times, ..Attrs::NONE };
    sftp.set_symlink_attrs(name(&folder, "link"), &attrs).await.unwrap();
    assert_eq!(std::fs::symlink_metadata(name(&folder, "link")).unwrap().mtime(), 2);

    let home = client.exec("pwd").await.unwrap().stdout;
    let expanded = sftp.expand_path("~/below").await.unwrap();
    assert_eq!(expanded.as_bytes(), [home.trim_ascii_end(), b"/below"].concat());
    assert_eq!(sftp.home_directory("root").await.unwrap().as_bytes(), b"/root");
    assert_eq!(status(sftp.expand_path("~nobody-at-all").await), StatusCode::NoSuchFile);
    let names = sftp.names_by_id(&[0, 4_242_424], &[0]).await.unwrap();
    assert_eq!(
        (names.users, names.groups),
        (vec![b"root".to_vec(), vec![]], vec![b"root".to_vec()])
    );
}

/// Many operations of one session overlap and each gets its own answer.
async fn operations_overlap(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    let tasks = (0..40_usize).map(|number| {
        let (sftp, path) = (sftp.clone(), name(&folder, &format!("file {number}")));
        tokio::spawn(async move {
            let bytes = noise(number * 10_000);
            sftp.write(path.as_str(), &bytes).await.unwrap();
            assert!(sftp.read(path.as_str()).await.unwrap() == bytes);
            assert_eq!(sftp.metadata(path.as_str()).await.unwrap().size, Some(bytes.len() as u64));
            sftp.remove_file(path.as_str()).await.unwrap();
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// The server's errors are told with the operation, the file and the status.
async fn errors_say_what_and_where(peer: &Peer) {
    let (_client, sftp, folder) = start(peer).await;
    let missing = name(&folder, "missing");
    let error = sftp.read(missing.as_str()).await.unwrap_err();
    assert_eq!(error.sftp_status(), Some(StatusCode::NoSuchFile));
    let text = error.to_string();
    assert!(text.contains(&missing) && text.contains("open"), "{text}");
    assert_eq!(status(sftp.remove_file(missing.as_str()).await), StatusCode::NoSuchFile);
    assert_eq!(status(sftp.read_link(missing.as_str()).await), StatusCode::NoSuchFile);
    assert_eq!(status(sftp.create_dir(missing + "/below").await), StatusCode::NoSuchFile);
    // After errors the session works.
    assert!(sftp.canonicalize(".").await.is_ok());
}

against_each_peer!(
    whole_files_are_read_and_written,
    a_session_may_be_used_before_it_has_begun,
    files_are_read_written_and_sought_in,
    directories_are_made_listed_and_removed,
    attributes_are_read_and_set,
    links_are_made_and_followed,
    files_are_renamed,
    paths_and_file_systems,
    copies_homes_and_names_are_the_servers,
    operations_overlap,
    errors_say_what_and_where,
);
