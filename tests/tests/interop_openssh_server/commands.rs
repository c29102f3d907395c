//! Commands: streams, status, signals, environment, terminals.

use std::time::Duration;

use chiton::{Error, ExitStatus, Pty, Stdio};
use chiton_tests::against_each_peer;
use chiton_tests::peer::Peer;
use chiton_tests::sshd::{Sshd, is_root, whoami};
use chiton_tests::user::User;
use ssh_connection::{TerminalModes, WindowSize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{connect, key, noise, to};

const MIB: usize = 1024 * 1024;

async fn exec_gives_status_stdout_and_stderr(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let output = client.exec("printf out; printf err >&2; exit 3").await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(3));
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out"[..], &b"err"[..]));
    let error = output.ok().unwrap_err();
    assert!(matches!(error, Error::CommandFailed(_)), "{error}");

    let output = client.exec("true").await.unwrap().ok().unwrap();
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty());
    let missing = client.exec("/no/such/program").await.unwrap();
    assert_eq!(missing.status, ExitStatus::Code(127));
    // A command is bytes, not text.
    let output = client.exec(b"printf '\xff\x80'".as_slice()).await.unwrap();
    assert_eq!(output.stdout, b"\xff\x80");
}

/// 10 MiB in, 10 MiB out and 10 MiB of errors at the same time: nothing waits for another.
async fn all_three_streams_at_once(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let command = "head -c 10485760 /dev/zero >&2 & cat; wait";
    let mut child = client.command(command).spawn().await.unwrap();
    let sent = noise(10 * MIB);
    let mut stdin = child.stdin.take().unwrap();
    let bytes = sent.clone();
    let writer = tokio::spawn(async move {
        stdin.write_all(&bytes).await.unwrap();
        stdin.shutdown().await.unwrap();
    });
    let output = child.wait_with_output().await.unwrap();
    writer.await.unwrap();
    assert!(output.status.success(), "{}", output.status);
    assert!(output.stdout == sent, "other data came back");
    assert_eq!(output.stderr.len(), 10 * MIB);
    assert!(output.stderr.iter().all(|&byte| byte == 0));
}

/// `exec` reads both streams, however much is on either and in whatever order.
async fn exec_cannot_deadlock(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    for command in [
        "head -c 10485760 /dev/zero >&2; head -c 10485760 /dev/zero",
        "head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2",
    ] {
        let output = client.exec(command).await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (10 * MIB, 10 * MIB), "{command}");
    }
}

/// Nobody reads the output of one command; others on the connection do not notice.
async fn an_unread_stream_holds_up_nothing_else(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let mut unread = client.command("cat /dev/zero").spawn().await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    for number in 0..20 {
        let output = client.exec(format!("echo {number}")).await.unwrap();
        assert_eq!(output.stdout, format!("{number}\n").as_bytes());
    }
    let mut stdout = unread.stdout.take().unwrap();
    let mut read = vec![1; 8 * MIB];
    stdout.read_exact(&mut read).await.unwrap();
    assert!(read.iter().all(|&byte| byte == 0));
    unread.kill();
}

async fn a_signal_that_ends_a_command_is_named(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    for name in ["TERM", "KILL", "HUP"] {
        let output = client.exec(format!("kill -{name} $$")).await.unwrap();
        let ExitStatus::Signal { name: ended_by, .. } = &output.status else {
            panic!("{name}: {}", output.status)
        };
        assert_eq!(ended_by.to_string(), name);
        assert!(!output.status.success());
    }
}

async fn a_signal_reaches_the_command(peer: &Peer) {
    // 9.2 passes no signals on to commands of root.
    let user = if is_root() { User::get().name().to_owned() } else { whoami() };
    let client = to(Sshd::shared(peer)).user(user).auth(key()).connect().await.unwrap();
    let script = "trap 'echo caught; exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    let mut child = client.command(script).spawn().await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("ready"));
    child.signal("TERM").unwrap();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("caught"));
    assert_eq!(child.wait().await.unwrap(), ExitStatus::Code(5));
}

async fn the_environment_arrives(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    // sshd accepts CHITON_* only; the other is refused without a word.
    let command = client.command("printf %s:%s \"$CHITON_TEST\" \"$OTHER\"");
    let output = command.env("CHITON_TEST", "a b").env("OTHER", "c").output().await.unwrap();
    assert_eq!(output.stdout, b"a b:");
}

/// A terminal has the size and the name that it was given, and learns when it changes.
async fn a_terminal_has_its_size(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let pty = Pty {
        term: b"xterm-256color".into(),
        size: WindowSize::of_characters(100, 30),
        modes: TerminalModes::default(),
    };
    let script = "trap 'stty size; exit' WINCH; echo $TERM; stty size; \
                  while :; do sleep 0.05; done";
    let mut child = client.command(script).pty(pty).spawn().await.unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || lines.next_line().await.unwrap().unwrap().trim().to_owned();
    assert_eq!(next().await, "xterm-256color");
    assert_eq!(next().await, "30 100");
    child.resize(132, 50).unwrap();
    assert_eq!(next().await, "50 132");
    assert!(child.wait().await.unwrap().success());
}

async fn a_shell_runs_what_it_is_told(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let mut child = client.shell().spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"echo one; echo two >&2; exit 9\n").await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.status, ExitStatus::Code(9));
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.ends_with("one\n"), "{stdout}");
    assert!(output.stderr.ends_with(b"two\n"));
    drop(stdin);
}

/// The end of the input is seen behind the data, and the output still arrives after it.
async fn the_end_of_input_follows_the_data(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let mut child = client.command("cat >/dev/null; echo end").spawn().await.unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&noise(3 * MIB)).await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"end\n");
}

async fn an_unknown_subsystem_is_refused(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let error = client.subsystem("no-such-subsystem").spawn().await.unwrap_err();
    assert!(matches!(error, Error::Channel(_)), "{error}");
    // The connection lives on.
    assert!(client.exec("true").await.unwrap().status.success());
}

async fn many_commands_run_at_once(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let commands = (0..50).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let command = format!("head -c {} /dev/zero; exit {number}", number * 10_000);
            let output = client.exec(command).await.unwrap();
            assert_eq!(output.status, ExitStatus::Code(number));
            assert_eq!(output.stdout.len(), number as usize * 10_000);
        })
    });
    for command in commands.collect::<Vec<_>>() {
        command.await.unwrap();
    }
}

async fn streams_that_are_not_wanted_are_dropped(peer: &Peer) {
    let client = connect(Sshd::shared(peer)).await;
    let noisy = client.command("head -c 20971520 /dev/zero; head -c 20971520 /dev/zero >&2");
    assert!(noisy.status().await.unwrap().success());
    let output = noisy.stdin(Stdio::null()).stdout(Stdio::null()).output().await.unwrap();
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 20 * MIB));
}

against_each_peer!(
    exec_gives_status_stdout_and_stderr,
    all_three_streams_at_once,
    exec_cannot_deadlock,
    an_unread_stream_holds_up_nothing_else,
    a_signal_that_ends_a_command_is_named,
    a_signal_reaches_the_command,
    the_environment_arrives,
    a_terminal_has_its_size,
    a_shell_runs_what_it_is_told,
    the_end_of_input_follows_the_data,
    an_unknown_subsystem_is_refused,
    many_commands_run_at_once,
    streams_that_are_not_wanted_are_dropped,
);
