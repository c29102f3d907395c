//! Commands run by OpenSSH's client: streams, status, signals, terminals.

use chiton_tests::against_each_peer;
use chiton_tests::peer::Peer;

use crate::{Ours, noise};

const MIB: usize = 1024 * 1024;

async fn a_command_gives_status_stdout_and_stderr(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let outcome = clients.ssh(&["LogLevel=ERROR"], "printf out; printf err >&2; exit 3", &[]);
    assert_eq!((outcome.status, outcome.text(), outcome.stderr.as_str()), (3, "out", "err"));
    assert_eq!(clients.ssh(&[], "true", &[]).status, 0);
    assert_eq!(clients.ssh(&[], "/no/such/program", &[]).status, 127);
}

async fn all_three_streams_at_once(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let sent = noise(10 * MIB);
    let command = "head -c 10485760 /dev/zero | tr '\\0' 'e' >&2 & cat; wait";
    let outcome = clients.ssh(&["LogLevel=ERROR"], command, &sent).ok();
    assert!(outcome.stdout == sent, "other data came back");
    assert_eq!(outcome.stderr.len(), 10 * MIB);
    assert!(outcome.stderr.bytes().all(|byte| byte == b'e'));
}

async fn a_signal_that_ends_a_command_is_told(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    // OpenSSH's client has no status to exit with then.
    let outcome = clients.ssh(&["LogLevel=DEBUG2"], "kill -TERM $$", &[]);
    assert_eq!(outcome.status, 255);
    assert!(outcome.stderr.contains("exit-signal"), "{}", outcome.stderr);
}

async fn a_terminal_is_allocated(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let outcome = clients.ssh_with(&["LogLevel=ERROR"], &["-tt"], "tty; exit 4", &[]);
    assert_eq!(outcome.status, 4, "{outcome:?}");
    assert!(outcome.text().starts_with("/dev/pts/"), "{outcome:?}");
    let outcome = clients.ssh_with(&["LogLevel=ERROR"], &["-T"], "tty", &[]);
    assert!(outcome.text().starts_with("not a tty"), "{outcome:?}");
}

async fn a_shell_runs_what_it_is_told(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let outcome = clients.ssh_with(&["LogLevel=ERROR"], &["-T"], "", b"echo one; exit 9\n");
    assert_eq!((outcome.status, outcome.text()), (9, "one\n"), "{outcome:?}");
}

async fn a_command_that_outlives_its_output_is_waited_for(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let command = "echo first; exec >&- 2>&-; sleep 0.3; exit 6";
    let outcome = clients.ssh(&["LogLevel=ERROR"], command, &[]);
    assert_eq!((outcome.status, outcome.text()), (6, "first\n"), "{outcome:?}");
}

/// Several commands over one connection, by OpenSSH's multiplexing.
async fn many_commands_over_one_connection(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let path = format!("ControlPath={}", clients.folder().join("mux").display());
    let master = ["ControlMaster=yes", "ControlPersist=30", &path];
    clients.ssh(&master, "true", &[]).ok();
    std::thread::scope(|scope| {
        let (clients, path) = (&clients, &path);
        for number in 0..8 {
            scope.spawn(move || {
                let sent = noise(MIB + number);
                let outcome = clients.ssh(&["ControlMaster=no", path], "cat", &sent).ok();
                assert!(outcome.stdout == sent, "{number}: other data came back");
            });
        }
    });
    clients.ssh_with(&[&path], &["-O", "exit"], "", &[]).ok();
}

against_each_peer!(
    a_command_gives_status_stdout_and_stderr,
    all_three_streams_at_once,
    a_signal_that_ends_a_command_is_told,
    a_terminal_is_allocated,
    a_shell_runs_what_it_is_told,
    a_command_that_outlives_its_output_is_waited_for,
    many_commands_over_one_connection,
);
