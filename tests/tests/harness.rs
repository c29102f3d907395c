//! The harness itself: OpenSSH's client against OpenSSH's server. What fails here is the machine,
//! not the product.

use chiton_tests::openssh::Clients;
use chiton_tests::peer::Peer;
use chiton_tests::sshd::{Sshd, whoami};
use chiton_tests::user::User;
use chiton_tests::{against_each_peer, keys};

async fn openssh_reaches_openssh(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let clients = Clients::new(peer, sshd.port(), &whoami(), &keys::KINDS);
    let outcome = clients.ssh(&[], "cat; exit 7", b"across");
    assert_eq!((outcome.status, outcome.text()), (7, "across"), "{}", outcome.stderr);
    let outcome = clients.sftp(&[], "pwd\n").ok();
    assert!(outcome.text().contains("Remote working directory"), "{outcome:?}");
}

async fn openssh_accepts_the_password(peer: &Peer) {
    let sshd = Sshd::start(peer, "");
    let user = User::get();
    let clients = Clients::new(peer, sshd.port(), user.name(), &keys::KINDS);
    let outcome = clients.ssh_with_password(User::PASSWORD, "id -un").ok();
    assert_eq!(outcome.text().trim(), user.name());
    assert_eq!(clients.ssh_with_password("wrong", "id -un").status, 255);
}

against_each_peer!(openssh_reaches_openssh, openssh_accepts_the_password);
