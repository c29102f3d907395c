//! Files, beneath one directory.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
};

use chiton::{
    Error,
    sftp::{Attrs, StatusCode, Times},
};

use crate::common::World;

#[tokio::test]
async fn files_go_there_and_back() {
    let world = World::new().await;
    let client = world.client().await;
    let sftp = client.open_sftp().await.unwrap();
    let data: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
    sftp.write("/file", &data).await.unwrap();
    assert!(fs::read(world.root.path().join("file")).unwrap() == data);
    assert!(sftp.read("file").await.unwrap() == data);
    let local = tempfile::tempdir().unwrap();
    let copy = local.path().join("copy");
    sftp.get("/file", &copy).await.unwrap();
    assert!(fs::read(&copy).unwrap() == data);
    sftp.put(&copy, "/again").await.unwrap();
    assert!(fs::read(world.root.path().join("again")).unwrap() == data);
    assert_eq!(sftp.metadata("again").await.unwrap().size, Some(3_000_000));
}

#[tokio::test]
async fn directories_are_made_listed_renamed_and_removed() {
    let world = World::new().await;
    let client = world.client().await;
    let sftp = client.open_sftp().await.unwrap();
    sftp.create_dir("/dir").await.unwrap();
    for i in 0..300 {
        fs::write(world.root.path().join(format!("dir/{i}")), b"").unwrap();
    }
    let entries = sftp.list_dir("/dir").await.unwrap();
    let real = entries.iter().filter(|entry| !entry.file_name.starts_with(b".")).count();
    assert_eq!(real, 300);
    sftp.rename("/dir/1", "/one").await.unwrap();
    assert!(sftp.remove_dir("/dir").await.is_err());
    assert_eq!(sftp.canonicalize("dir/../dir").await.unwrap().as_bytes(), b"/dir");
    assert_eq!(sftp.canonicalize(".").await.unwrap().as_bytes(), b"/");
    assert!(sftp.statvfs("/").await.unwrap().blocks > 0);
}

#[tokio::test]
async fn every_extension_is_served() {
    let world = World::new().await;
    let client = world.client().await;
    let sftp = client.open_sftp().await.unwrap();
    sftp.write("from", b"content").await.unwrap();
    let (from, to) = (sftp.open_file("from").await.unwrap(), sftp.create("to").await.unwrap());
    from.copy_range_to(3, None, &to, 1).await.unwrap();
    from.copy_range_to(0, Some(1), &to, 0).await.unwrap();
    from.copy_range_to(0, Some(0), &to, 100).await.unwrap();
    to.close().await.unwrap();
    assert_eq!(sftp.read("to").await.unwrap(), b"ctent");
    let link = world.root.path().join("link");
    symlink("/nowhere", &link).unwrap();
    let times = Some(Times { accessed: 1, modified: 2 });
    sftp.set_symlink_attrs("link", &Attrs { times, ..Attrs::NONE }).await.unwrap();
    assert_eq!(fs::symlink_metadata(&link).unwrap().mtime(), 2);
    assert_eq!(sftp.expand_path("~/to").await.unwrap().as_bytes(), b"/to");
    let stranger = sftp.expand_path("~nobody at all/x").await.unwrap_err();
    assert_eq!(stranger.sftp_status(), Some(StatusCode::NoSuchFile));
    assert_eq!(sftp.home_directory("").await.unwrap().as_bytes(), b"/");
    // More than one request can have.
    let users: Vec<u32> = (0..3000).map(|n| if n == 1500 { 0 } else { 4_000_000 }).collect();
    let names = sftp.names_by_id(&users, &[0]).await.unwrap();
    assert_eq!((names.users.len(), names.groups.len()), (3000, 1));
    assert_eq!((&names.users[1500][..], &names.users[1][..]), (&b"root"[..], &b""[..]));
}

#[tokio::test]
async fn nothing_outside_of_the_directory_exists() {
    let world = World::new().await;
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    symlink(outside.path().join("secret"), world.root.path().join("link")).unwrap();
    let client = world.client().await;
    let sftp = client.open_sftp().await.unwrap();
    for path in ["link", "/etc/passwd", "../../../../etc/passwd"] {
        assert!(matches!(sftp.read(path).await, Err(Error::Sftp(_))), "{path}");
        assert!(sftp.metadata(path).await.is_err(), "{path}");
    }
    sftp.symlink("/etc/passwd", "own").await.unwrap();
    assert!(sftp.read("own").await.is_err());
    assert_eq!(sftp.read_link("own").await.unwrap().as_bytes(), b"/etc/passwd");
}

#[tokio::test]
async fn a_server_without_files_has_no_sftp() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = chiton::server::Server::builder()
        .host_key(crate::common::host_key())
        .password("alice", "right")
        .serve(listener)
        .unwrap();
    let world = World { server, root: tempfile::tempdir().unwrap() };
    let client = world.log_in(chiton::Auth::password("right")).await.unwrap();
    assert!(client.open_sftp().await.is_err());
}
