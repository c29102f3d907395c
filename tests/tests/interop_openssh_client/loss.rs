//! A client of OpenSSH that is killed, and a server of ours that is shut down.

use std::time::Duration;

use chiton_tests::against_each_peer;
use chiton_tests::peer::Peer;
use tokio::time::timeout;

use crate::Ours;

/// Clients that vanish in the middle of a transfer leave nothing that holds up the next.
async fn a_killed_client_does_not_matter(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    std::fs::File::create(clients.folder().join("up")).unwrap().set_len(1 << 40).unwrap();
    for _ in 0..3 {
        // `timeout` kills the client and everything that it started.
        let outcome = clients.sftp_killed_after("0.5", "put up\n");
        assert_ne!(outcome.status, 0);
    }
    let file = ours.root.path().join("up");
    assert!(file.exists(), "nothing was transferred before the client was killed");
    clients.ssh(&[], "true", &[]).ok();
}

/// A server that is shut down says good-bye; the clients end, and so do the commands.
async fn a_shut_down_ends_every_client(peer: &Peer) {
    let ours = Ours::start().await;
    let clients = ours.clients(peer);
    let port = ours.port();
    let client = std::thread::spawn(move || {
        let outcome = clients.ssh(&[], "echo running >&2; exec sleep 1000", &[]);
        (clients, outcome)
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let limit = Duration::from_secs(20);
    timeout(limit, ours.handle.shutdown()).await.expect("the server ends");
    let (clients, outcome) = timeout(limit, tokio::task::spawn_blocking(|| client.join().unwrap()))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(outcome.status, 255, "{}", outcome.stderr);
    assert!(outcome.stderr.contains("running"), "{}", outcome.stderr);
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err());
    drop(clients);
}

against_each_peer!(a_killed_client_does_not_matter, a_shut_down_ends_every_client);
