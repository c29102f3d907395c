//! Commands, shells and terminals.

use core::time::Duration;

use chiton::{Client, Error, ExitStatus, Pty};
use ssh_connection::{Mode, TerminalModes, WindowSize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::World;

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("takes too long")
}

fn pty(columns: u32, rows: u32) -> Pty<'static> {
    let mut modes = TerminalModes::default();
    modes.set(Mode::ECHO, 0);
    Pty { term: b"vt220".into(), size: WindowSize::of_characters(columns, rows), modes }
}

async fn on_terminal(client: &Client, command: &str) -> (String, ExitStatus) {
    let child = client.command(command).pty(pty(100, 30)).spawn().await.unwrap();
    let output = soon(child.wait_with_output()).await.unwrap();
    assert!(output.stderr.is_empty(), "a terminal has one stream");
    (String::from_utf8(output.stdout).unwrap(), output.status)
}

#[tokio::test]
async fn the_two_streams_and_the_status_arrive_apart() {
    let world = World::new().await;
    let client = world.client().await;
    let output = soon(client.exec("echo out; echo err >&2; exit 3")).await.unwrap();
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status, ExitStatus::Code(3));
}

#[tokio::test]
async fn a_signal_that_ends_a_command_is_told() {
    let world = World::new().await;
    let client = world.client().await;
    let output = soon(client.exec("kill -KILL $$")).await.unwrap();
    assert!(matches!(&output.status, ExitStatus::Signal { name, .. } if name.raw() == "KILL"));
    let mut child = client.command("exec sleep 60").spawn().await.unwrap();
    child.signal("TERM").unwrap();
    let status = soon(child.wait()).await.unwrap();
    assert!(matches!(&status, ExitStatus::Signal { name, .. } if name.raw() == "TERM"));
}

#[tokio::test]
async fn megabytes_go_through_a_command_and_back() {
    let world = World::new().await;
    let client = world.client().await;
    let data: Vec<u8> = (0..5_000_000u32).map(|i| (i % 251) as u8).collect();
    let mut child = client.command("cat").spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sent = data.clone();
    let sender = tokio::spawn(async move {
        stdin.write_all(&sent).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    let mut stdout = child.stdout.take().unwrap();
    soon(stdout.read_to_end(&mut received)).await.unwrap();
    sender.await.unwrap();
    assert!(received == data, "{} of {} bytes", received.len(), data.len());
    assert!(soon(child.wait()).await.unwrap().success());
}

#[tokio::test]
async fn a_command_that_reads_nothing_does_not_hold_up_its_client() {
    let world = World::new().await;
    let client = world.client().await;
    let mut child = client.command("exec <&-; sleep 0.2; echo done").spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let flood = tokio::spawn(async move {
        let data = vec![0; 1 << 20];
        while stdin.write_all(&data).await.is_ok() {}
    });
    let output = soon(child.wait_with_output()).await.unwrap();
    assert_eq!(output.stdout, b"done\n");
    soon(flood).await.unwrap();
}

#[tokio::test]
async fn only_harmless_variables_are_taken() {
    let world = World::new().await;
    let client = world.client().await;
    let output = soon(client.command("echo $LC_TEST").env("LC_TEST", "yes").output()).await;
    assert_eq!(output.unwrap().stdout, b"yes\n");
    let refused = soon(client.command("true").env("LD_PRELOAD", "/x").output()).await;
    if let Ok(output) = refused {
        // Clients may go on without.
        assert!(output.status.success());
    }
    let output = soon(client.exec("echo $SSH_CONNECTION")).await.unwrap();
    let port = format!(" 127.0.0.1 {}\n", world.server.local_addr().port());
    assert!(String::from_utf8(output.stdout).unwrap().ends_with(&port));
}

#[tokio::test]
async fn a_terminal_has_the_size_the_name_and_the_modes_of_the_client() {
    let world = World::new().await;
    let client = world.client().await;
    let (text, status) =
        on_terminal(&client, "stty size; echo $TERM; stty | grep -o -- -echo").await;
    assert_eq!(text, "30 100\r\nvt220\r\n-echo\r\n");
    assert!(status.success());
}

#[tokio::test]
async fn a_terminal_can_be_resized_and_typed_at() {
    let world = World::new().await;
    let client = world.client().await;
    let command = "trap 'stty size; exit 7' WINCH; echo ready; while :; do sleep 0.05; done";
    let mut child = client.command(command).pty(pty(80, 24)).spawn().await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut ready = [0; 7];
    soon(stdout.read_exact(&mut ready)).await.unwrap();
    assert_eq!(&ready, b"ready\r\n");
    child.resize(132, 50).unwrap();
    let mut text = String::new();
    soon(stdout.read_to_string(&mut text)).await.unwrap();
    assert_eq!(text, "50 132\r\n");
    assert_eq!(soon(child.wait()).await.unwrap(), ExitStatus::Code(7));

    // The end of the input is typed, as control-D.
    let mut child =
        client.command("read line; echo \"<$line>\"; cat").pty(pty(80, 24)).spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"hello\n").await.unwrap();
    stdin.shutdown().await.unwrap();
    let output = soon(child.wait_with_output()).await.unwrap();
    assert_eq!(output.stdout, b"<hello>\r\n");
    assert!(output.status.success());

    // A signal reaches what has the terminal.
    let mut child = client.command("sleep 60; exit 5").pty(pty(80, 24)).spawn().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    child.signal("INT").unwrap();
    assert_ne!(soon(child.wait()).await.unwrap(), ExitStatus::Code(0));
}

#[tokio::test]
async fn a_large_output_on_a_terminal_arrives_to_its_end() {
    let world = World::new().await;
    let client = world.client().await;
    let (text, status) = on_terminal(&client, "seq 1 100000; echo end").await;
    assert!(text.ends_with("\r\n100000\r\nend\r\n"), "{} bytes", text.len());
    assert!(status.success());
}

#[tokio::test]
async fn a_forgotten_process_in_the_background_does_not_keep_a_terminal() {
    let world = World::new().await;
    let client = world.client().await;
    let start = std::time::Instant::now();
    let (text, status) = on_terminal(&client, "sleep 30 & trap '' HUP; echo started").await;
    assert_eq!(text, "started\r\n");
    assert!(status.success() && start.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_shell_reads_commands_from_its_input() {
    let world = World::new().await;
    let client = world.client().await;
    let mut child = client.shell().spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"echo a$((1+1))b\nexit 4\n").await.unwrap();
    let output = soon(child.wait_with_output()).await.unwrap();
    assert_eq!(output.stdout, b"a2b\n");
    assert_eq!(output.status, ExitStatus::Code(4));
}

#[tokio::test]
async fn a_client_that_goes_hangs_up() {
    let world = World::new().await;
    let client = world.client().await;
    let mark = world.root.path().join("hung-up");
    let script = format!("trap 'touch {}; exit' HUP; echo ready; sleep 60 & wait", mark.display());
    let mut child = client.command(script).spawn().await.unwrap();
    child.stdout.as_mut().unwrap().read_chunk().await.unwrap();
    drop(child);
    drop(client);
    soon(async {
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_and_the_connection_lives() {
    let world = World::with(|builder| builder.allow_exec(false)).await;
    let client = world.client().await;
    for result in [
        soon(client.exec("true")).await.map(drop),
        soon(client.shell().output()).await.map(drop),
        soon(client.subsystem("netconf").output()).await.map(drop),
    ] {
        assert!(matches!(result, Err(Error::Channel(_))), "{result:?}");
    }
    soon(client.open_sftp()).await.unwrap();
}

#[tokio::test]
async fn many_commands_run_at_once_on_one_connection() {
    let world = World::new().await;
    let client = world.client().await;
    let mut running = tokio::task::JoinSet::new();
    for i in 0..20u32 {
        let client = client.clone();
        running.spawn(async move {
            let output = client.exec(format!("sleep 0.1; echo {i}; exit {i}")).await.unwrap();
            assert_eq!(output.stdout, format!("{i}\n").as_bytes());
            assert_eq!(output.status, ExitStatus::Code(i));
        });
    }
    soon(running.join_all()).await;
}
