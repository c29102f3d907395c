//! What the client promises to those who embed it, against our own server on a real socket.

use std::{
    fs, io,
    time::{Duration, Instant},
};

use chiton::{
    Auth, Error, ExitStatus, HostKeys,
    error::{ChannelError, SftpErrorKind},
    sftp::OpenOptions,
};
use chiton_tests::embedded::{Embedded, PASSWORD, USER, Wire, is_lost};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// More than any window holds before it is read.
const LOTS: usize = 10 * 1024 * 1024;

#[tokio::test]
async fn both_streams_may_be_larger_than_the_windows_in_exec() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let both = format!("head -c {LOTS} /dev/zero >&2; head -c {LOTS} /dev/zero; exit 3");
    let out = timeout(PATIENCE, ssh.exec(both)).await.unwrap().unwrap();
    assert_eq!(out.status, ExitStatus::Code(3));
    assert_eq!((out.stdout.len(), out.stderr.len()), (LOTS, LOTS));
}

#[tokio::test]
async fn output_without_end_is_not_collected() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    for command in ["cat /dev/zero", "cat /dev/zero >&2"] {
        let command = ssh.command(command).max_output(100_000);
        let error = timeout(PATIENCE, command.output()).await.unwrap().unwrap_err();
        let Error::Channel(error) = error else { panic!("{error}") };
        assert!(matches!(*error, ChannelError::OutputTooLong(100_000)), "{error}");
    }
    let just_enough = ssh.command("head -c 100000 /dev/zero").max_output(100_000);
    assert_eq!(just_enough.output().await.unwrap().stdout.len(), 100_000);
}

#[tokio::test]
async fn waiting_before_reading_does_not_deadlock() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let mut child = ssh.command(format!("head -c {LOTS} /dev/zero; exit 4")).spawn().await.unwrap();
    let status = timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert_eq!(status, ExitStatus::Code(4));
}

#[tokio::test]
async fn input_and_output_flow_at_the_same_time() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let mut child = ssh.command("cat").spawn().await.unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let data: Vec<u8> = (0..LOTS).map(|i| u8::try_from(i % 253).unwrap()).collect();
    let write = async {
        stdin.write_all(&data).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let ((), back) =
        timeout(PATIENCE, async { tokio::join!(write, stdout.read_all()) }).await.unwrap();
    assert!(back.unwrap() == data);
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test]
async fn a_channel_that_nobody_reads_stalls_nothing_else() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let stalled = ssh.command("cat /dev/zero").spawn().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    for _ in 0..20 {
        let out = timeout(PATIENCE, ssh.exec("echo still here")).await.unwrap().unwrap();
        assert_eq!(out.stdout, b"still here\n");
    }
    drop(stalled);
}

#[tokio::test]
async fn a_command_ended_by_a_signal_is_no_success() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let out = ssh.exec("kill -TERM $$").await.unwrap();
    assert!(
        matches!(&out.status, ExitStatus::Signal { name, .. } if name.raw() == "TERM"),
        "{:?}",
        out.status
    );
    assert!(matches!(out.ok(), Err(Error::CommandFailed(_))));
}

#[tokio::test]
async fn a_lost_connection_ends_every_pending_operation_with_the_cause() {
    let server = Embedded::start().await;
    let wire = Wire::to(server.address()).await;
    let ssh = server.at(wire.address()).connect().await.unwrap();
    let sftp = ssh.open_sftp().await.unwrap();
    fs::write(server.path("fifo-like"), vec![1; 1000]).unwrap();
    let mut child = ssh.command("sleep 1000").spawn().await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let exec = ssh.exec("sleep 1000");
    let mut byte = [0];
    let read = stdout.read(&mut byte);
    let cut = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        wire.cut();
    };
    let all = async { tokio::join!(exec, read, ssh.closed(), cut) };
    let (exec, read, closed, ()) = timeout(PATIENCE, all).await.unwrap();
    assert!(is_lost(&exec.unwrap_err()));
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert!(is_lost(&closed));
    assert!(is_lost(&child.wait().await.unwrap_err()));
    match sftp.metadata("fifo-like").await.unwrap_err() {
        Error::Sftp(error) => {
            assert!(matches!(&error.kind, SftpErrorKind::Connection(cause) if is_lost(cause)));
        }
        other => panic!("{other}"),
    }
    assert!(is_lost(&ssh.exec("true").await.unwrap_err()));
}

#[tokio::test]
async fn a_peer_that_went_silent_is_noticed_by_keepalives() {
    let server = Embedded::start().await;
    let wire = Wire::to(server.address()).await;
    let ssh =
        server.at(wire.address()).keepalive(Duration::from_millis(100), 3).connect().await.unwrap();
    // While it answers, it lives.
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert!(ssh.is_closed().is_none());
    wire.go_silent();
    let error = timeout(PATIENCE, ssh.exec("sleep 1000")).await.unwrap().unwrap_err();
    assert!(matches!(error, Error::TimedOut(..)), "{error}");
}

#[tokio::test]
async fn dropping_the_last_handle_closes_the_connection_and_not_before() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let clone = ssh.clone();
    drop(ssh);
    let mut child = clone.command("cat").spawn().await.unwrap();
    drop(clone);
    // The child is a handle as well.
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"alive").await.unwrap();
    drop(stdin);
    assert_eq!(child.stdout.take().unwrap().read_all().await.unwrap(), b"alive");
    child.wait().await.unwrap();
    drop(child);

    // A stream that is watched from outside sees the goodbye and the end.
    let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
    let connecting = tokio::spawn(server.at(server.address()).connect_over(ours));
    let mut greeting = [0; 8];
    theirs.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    connecting.abort();
    let mut rest = Vec::new();
    timeout(PATIENCE, theirs.read_to_end(&mut rest)).await.unwrap().unwrap();
}

#[tokio::test]
async fn one_deadline_covers_a_server_that_says_nothing_and_one_that_talks_for_ever() {
    let server = Embedded::start().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tarpit = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tarpit_address = tarpit.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut socket, _) = tarpit.accept().await.unwrap();
        while socket.write_all(b"wait a little\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    for address in [silent.local_addr().unwrap(), tarpit_address] {
        let start = Instant::now();
        let connecting = server.at(address).connect_timeout(Duration::from_millis(300)).connect();
        let error = timeout(PATIENCE, connecting).await.unwrap().unwrap_err();
        assert!(matches!(error, Error::TimedOut(..)), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn cancelled_commands_leave_no_channels_behind() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    // More than there may be channels.
    for i in 0..300 {
        let patience = Duration::from_micros(i * 10);
        // Whether it is cut off early or late is the point.
        timeout(patience, ssh.exec("echo x")).await.ok();
    }
    let out = timeout(PATIENCE, ssh.exec("echo fine")).await.unwrap().unwrap();
    assert_eq!(out.stdout, b"fine\n");
}

#[tokio::test]
async fn cancelled_sftp_operations_leave_no_handles_behind() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let sftp = ssh.open_sftp().await.unwrap();
    fs::write(server.path("f"), vec![7; 3_000_000]).unwrap();
    for i in 0..400 {
        let patience = Duration::from_micros(i * 5);
        timeout(patience, sftp.open_file("f")).await.ok();
        let target = server.path("copy");
        timeout(patience, sftp.get("f", target).into_future()).await.ok();
    }
    let bytes = timeout(PATIENCE, sftp.read("f")).await.unwrap().unwrap();
    assert!(bytes == vec![7; 3_000_000]);
}

#[tokio::test]
async fn operations_of_many_tasks_overlap_on_one_sftp_session() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let sftp = ssh.open_sftp().await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for i in 0..32_u8 {
        let sftp = sftp.clone();
        tasks.spawn(async move {
            let name = format!("file-{i}");
            let content = vec![i; 200_000 + usize::from(i)];
            sftp.write(name.as_str(), &content).await.unwrap();
            assert!(sftp.read(name.as_str()).await.unwrap() == content);
            sftp.remove_file(name.as_str()).await.unwrap();
        });
    }
    timeout(PATIENCE, async {
        while let Some(done) = tasks.join_next().await {
            done.unwrap()
        }
    })
    .await
    .unwrap();
    assert!(sftp.list_dir("/").await.unwrap().is_empty());
}

#[tokio::test]
async fn files_read_write_and_seek_like_local_ones() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let sftp = ssh.open_sftp().await.unwrap();
    let data: Vec<u8> = (0..2_000_000_u32).map(|i| u8::try_from(i % 249).unwrap()).collect();
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).open(&sftp, "f").await.unwrap();
    file.write_all(&data).await.unwrap();
    file.seek(io::SeekFrom::Start(1_000_000)).await.unwrap();
    file.write_all(b"here").await.unwrap();
    assert_eq!(file.stream_position().await.unwrap(), 1_000_004);
    file.seek(io::SeekFrom::Current(-8)).await.unwrap();
    let mut around = [0; 12];
    file.read_exact(&mut around).await.unwrap();
    assert_eq!(&around[4..8], b"here");
    assert_eq!(around[8..], data[1_000_004..1_000_008]);
    assert_eq!(file.seek(io::SeekFrom::End(-3)).await.unwrap(), 1_999_997);
    assert_eq!(file.read_to_vec().await.unwrap(), data[1_999_997..]);
    file.close().await.unwrap();
    let mut expected = data;
    expected[1_000_000..1_000_004].copy_from_slice(b"here");
    assert!(fs::read(server.path("f")).unwrap() == expected);
}

#[tokio::test]
async fn transfers_are_whole_and_can_be_resumed() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let sftp = ssh.open_sftp().await.unwrap();
    let local = tempfile::tempdir().unwrap();
    let (source, back) = (local.path().join("source"), local.path().join("back"));
    for size in [0, 1, 32_768, 261_120, 261_121, 5_000_000] {
        let data: Vec<u8> = (0..size).map(|i: u32| u8::try_from(i % 241).unwrap()).collect();
        fs::write(&source, &data).unwrap();
        assert_eq!(sftp.put(&source, "up").await.unwrap(), u64::from(size));
        assert_eq!(sftp.get("up", &back).await.unwrap(), u64::from(size));
        assert!(fs::read(&back).unwrap() == data, "{size}");

        // Cut both to a half and go on from there.
        let half = u64::from(size / 2);
        fs::File::options().write(true).open(&back).unwrap().set_len(half).unwrap();
        fs::File::options().write(true).open(server.path("up")).unwrap().set_len(half).unwrap();
        assert_eq!(sftp.put(&source, "up").resume(true).await.unwrap(), u64::from(size));
        assert_eq!(sftp.get("up", &back).resume(true).await.unwrap(), u64::from(size));
        assert!(fs::read(&back).unwrap() == data, "{size} resumed");
        assert!(fs::read(server.path("up")).unwrap() == data, "{size} resumed");
    }
}

#[tokio::test]
async fn keys_are_exchanged_anew_while_data_flows_in_both_directions() {
    let server = Embedded::start().await;
    let ssh = server.at(server.address()).rekey_after(64 * 1024).connect().await.unwrap();
    let mut child = ssh.command("cat").spawn().await.unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let data = vec![0x5a; 4 * 1024 * 1024];
    let write = async {
        stdin.write_all(&data).await.unwrap();
        stdin.shutdown().await.unwrap();
    };
    let ((), back) =
        timeout(PATIENCE, async { tokio::join!(write, stdout.read_all()) }).await.unwrap();
    assert!(back.unwrap() == data);
}

#[tokio::test]
async fn a_refused_login_tells_what_was_tried_and_what_the_server_takes() {
    let server = Embedded::start().await;
    let address = server.address();
    let key = chiton::keys::PrivateKey::generate(
        chiton::keys::KeyType::Ed25519,
        &mut ssh_crypto::rng::SeededRng::new(5),
    )
    .unwrap();
    let auth = Auth::key(key.clone()).or(Auth::password("wrong"));
    let error = server.unauthenticated(address).auth(auth).connect().await.unwrap_err();
    let text = error.to_string();
    let Error::Auth(failure) = error else { panic!("{text}") };
    assert_eq!(failure.user, USER);
    assert_eq!(failure.plan.len(), 2);
    assert!(failure.remaining.iter().any(|method| method == "password"), "{text}");
    assert!(!text.contains("wrong"), "a secret in an error: {text}");
    assert!(text.contains("password"), "{text}");
}

#[tokio::test]
async fn the_right_password_after_a_wrong_one_gets_in() {
    let server = Embedded::start().await;
    let auth = Auth::password("wrong").or(Auth::password(PASSWORD));
    server.unauthenticated(server.address()).auth(auth).connect().await.unwrap();
}

#[tokio::test]
async fn a_host_that_shows_another_key_gets_no_password() {
    let server = Embedded::start().await;
    let other = chiton::keys::PrivateKey::generate(
        chiton::keys::KeyType::Ed25519,
        &mut ssh_crypto::rng::SeededRng::new(6),
    )
    .unwrap();
    let address = server.address();
    let error = chiton::Client::builder(address.ip().to_string(), address.port())
        .user(USER)
        .host_keys(HostKeys::exactly(other.public().clone()))
        .auth(Auth::password(PASSWORD))
        .connect()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::HostKey(_)), "{error}");
}

#[tokio::test]
async fn a_key_file_that_is_missing_is_told_beside_the_password_that_was_refused() {
    let server = Embedded::start().await;
    let address = server.address();
    let error = chiton::Client::builder(address.ip().to_string(), address.port())
        .user(USER)
        .dangerous()
        .accept_any_host_key()
        .auth(Auth::key_file("/nowhere/key").or(Auth::password("not the one")))
        .connect()
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("password: refused") && error.contains("/nowhere/key"), "{error}");
}

#[tokio::test]
async fn what_is_missing_or_forbidden_is_told_with_its_path() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let sftp = ssh.open_sftp().await.unwrap();
    let local = tempfile::tempdir().unwrap();

    let error = sftp.get("no such file", local.path().join("x")).await.unwrap_err().to_string();
    assert!(error.contains("no such file"), "{error}");
    assert!(!local.path().join("x").exists(), "an empty file was left behind");

    let missing = local.path().join("not there");
    let error = sftp.put(&missing, "y").await.unwrap_err().to_string();
    assert!(error.contains("not there"), "{error}");
    assert!(!server.path("y").exists(), "an empty file was left behind");

    fs::write(server.path("f"), "content").unwrap();
    let error = sftp.put(server.path("f"), "nowhere/f").await.unwrap_err().to_string();
    assert!(error.contains("nowhere/f") && error.contains("is the directory there"), "{error}");
    let error = sftp.get("f", local.path().join("no/dir/x")).await.unwrap_err().to_string();
    assert!(error.contains("no/dir/x"), "{error}");
    let error = sftp.get("/", local.path().join("x")).await.unwrap_err().to_string();
    assert!(error.contains("directory"), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_told_with_how_much_is_in_place() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let sftp = ssh.open_sftp().await.unwrap();
    fs::write(server.path("f"), vec![1; 100_000]).unwrap();
    let error = sftp.get("f", "/dev/full").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("/dev/full") && text.contains("in place"), "{text}");
}

/// The one who waits last reads for all; if its future is dropped and its file lives on, the
/// others must not wait for it.
#[tokio::test]
async fn an_sftp_reply_is_not_lost_on_a_task_that_stopped_waiting() {
    let server = Embedded::start().await;
    let ssh = server.connect().await;
    let sftp = ssh.open_sftp().await.unwrap();
    fs::write(server.path("f"), vec![1; 1_000_000]).unwrap();
    let mut file = sftp.open_file("f").await.unwrap();
    for _ in 0..50 {
        let other = tokio::spawn({
            let sftp = sftp.clone();
            async move { sftp.metadata("f").await }
        });
        tokio::task::yield_now().await;
        let mut byte = [0; 1];
        // Polled once and dropped, while the file and its ticket stay.
        tokio::select! {
            biased;
            _ = file.read(&mut byte) => {}
            () = std::future::ready(()) => {}
        }
        timeout(PATIENCE, other).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_server_without_sftp_says_so() {
    let server = Embedded::start_without_sftp().await;
    let ssh = server.connect().await;
    let refused = |error| match error {
        Error::Channel(error) => {
            assert!(matches!(*error, ChannelError::RequestRefused("subsystem")), "{error}");
        }
        other => panic!("{other}"),
    };
    refused(timeout(PATIENCE, ssh.open_sftp()).await.unwrap().unwrap_err());
    // Who does not wait for the start hears of it from the first operation.
    let sftp = ssh.open_sftp_ahead().await.unwrap();
    let operation = timeout(PATIENCE, sftp.metadata("/")).await.unwrap().unwrap_err();
    assert!(operation.to_string().contains("subsystem"), "{operation}");
    refused(sftp.begun().await.unwrap_err());
    timeout(PATIENCE, sftp.get("/file", "/nowhere/file")).await.unwrap().unwrap_err();
    timeout(PATIENCE, sftp.rename("/a", "/b")).await.unwrap().unwrap_err();
    assert_eq!(ssh.exec("echo fine").await.unwrap().stdout, b"fine\n");
}

#[tokio::test]
async fn times_without_end_are_times_like_others() {
    let server = Embedded::start().await;
    let builder = server.at(server.address());
    let builder = builder.connect_timeout(Duration::MAX).rekey_every(Duration::MAX);
    for misses in [0, u32::MAX] {
        let ssh = server.at(server.address()).keepalive(Duration::MAX, misses).connect().await;
        ssh.unwrap().exec("true").await.unwrap().ok().unwrap();
    }
    builder.connect().await.unwrap().exec("true").await.unwrap().ok().unwrap();
}
