//! The connection is lost in the middle: everything that was pending ends, with the cause.

use std::time::Duration;

use chiton::Error;
use chiton_tests::against_each_peer;
use chiton_tests::peer::Peer;
use chiton_tests::sshd::Sshd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::connect;

/// How long what is pending may take to notice that the server has been killed.
const SOON: Duration = Duration::from_secs(10);

fn is_the_loss(error: &Error) -> bool {
    matches!(error, Error::ConnectionLost(..) | Error::Disconnected(_))
}

async fn every_pending_operation_ends_with_the_cause(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let client = connect(&sshd).await;
    let sftp = client.open_sftp().await.unwrap();
    let folder = tempfile::tempdir().unwrap();

    let exec = tokio::spawn({
        let client = client.clone();
        async move { client.exec("sleep 1000").await.map(drop) }
    });
    let wait = tokio::spawn({
        let mut child = client.command("sleep 1000").spawn().await.unwrap();
        async move { child.wait().await.map(drop) }
    });
    let read = tokio::spawn({
        let mut child = client.command("sleep 1000").spawn().await.unwrap();
        async move { child.stdout.take().unwrap().read_u8().await.map(drop) }
    });
    let write = tokio::spawn({
        let mut child = client.command("sleep 1000").spawn().await.unwrap();
        async move {
            let mut stdin = child.stdin.take().unwrap();
            let block = vec![0; 1024 * 1024];
            loop {
                stdin.write_all(&block).await?;
            }
            #[expect(unreachable_code, reason = "gives the block its type")]
            Ok::<(), std::io::Error>(())
        }
    });
    let get = tokio::spawn({
        let (sftp, local) = (sftp.clone(), folder.path().join("local"));
        async move { sftp.get("/dev/zero", local).await.map(drop) }
    });
    let closed = tokio::spawn({
        let client = client.clone();
        async move { client.closed().await }
    });

    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(client.is_closed().is_none());
    assert!(sshd.kill_connections() > 0, "no process of the connection was found");

    for (what, task) in [("exec", exec), ("wait", wait)] {
        let error = timeout(SOON, task).await.expect(what).unwrap().unwrap_err();
        assert!(is_the_loss(&error), "{what}: {error}");
    }
    for (what, task) in [("read", read), ("write", write)] {
        let error = timeout(SOON, task).await.expect(what).unwrap().unwrap_err();
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        assert!(cause.is_some_and(is_the_loss), "{what}: {error:?}");
    }
    let error = timeout(SOON, get).await.expect("get").unwrap().unwrap_err();
    assert!(error.to_string().contains("/dev/zero"), "{error}");
    let error = timeout(SOON, closed).await.expect("closed").unwrap();
    assert!(is_the_loss(&error), "closed: {error}");

    // What is begun afterwards fails at once, with the same cause.
    let error = timeout(SOON, client.exec("true")).await.unwrap().unwrap_err();
    assert!(is_the_loss(&error), "afterwards: {error}");
    assert!(timeout(SOON, sftp.metadata("/")).await.unwrap().is_err());
}

/// The server may go away while keys are exchanged.
async fn a_loss_during_a_rekey(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let client = connect(&sshd).await;
    let exec = tokio::spawn({
        let client = client.clone();
        async move { client.exec("sleep 1000").await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    sshd.kill_connections();
    client.rekey();
    let error = timeout(SOON, exec).await.unwrap().unwrap().unwrap_err();
    assert!(is_the_loss(&error), "{error}");
}

/// The last handle that is dropped closes the connection.
async fn dropping_the_last_handle_closes(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let client = connect(&sshd).await;
    let sftp = client.open_sftp().await.unwrap();
    drop(client);
    assert!(sftp.canonicalize(".").await.is_ok(), "a session keeps the connection");
    drop(sftp);
    let gone = async {
        while !sshd.log().contains("Disconnected from") && !sshd.log().contains("disconnect") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, gone).await.unwrap_or_else(|_| panic!("still connected:\n{}", sshd.log()));
}

async fn closing_says_good_bye(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let client = connect(&sshd).await;
    let other = client.clone();
    client.close().await.unwrap();
    assert!(matches!(other.exec("true").await.unwrap_err(), Error::Closed));
    let said = async {
        while !sshd.log().contains("Received disconnect") {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, said).await.unwrap_or_else(|_| panic!("no good-bye:\n{}", sshd.log()));
}

against_each_peer!(
    every_pending_operation_ends_with_the_cause,
    a_loss_during_a_rekey,
    dropping_the_last_handle_closes,
    closing_says_good_bye,
);
