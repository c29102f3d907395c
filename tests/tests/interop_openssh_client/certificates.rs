//! Certificates of ours that OpenSSH's client takes, and those of its users.

use std::fs;
use std::path::Path;

use chiton_tests::against_each_peer;
use chiton_tests::certificates::{ALWAYS, EXPIRED, Issuer, beside};
use chiton_tests::evidence;
use chiton_tests::keys::ALL_KINDS;
use chiton_tests::openssh::{Clients, Outcome};
use chiton_tests::peer::Peer;
use ssh_keys::{Certificate, PublicKey};

use crate::{Ours, USER};

/// A server of ours with a certificate over each host key that `peer` knows.
async fn certified(peer: &Peer, issuer: &Issuer, principals: &str, validity: &str) -> Ours {
    let certificates: Vec<Certificate> = peer
        .kinds()
        .iter()
        .map(|kind| {
            let path = beside(&issuer.host(kind, principals, validity));
            Certificate::from_openssh(&fs::read_to_string(path).unwrap()).unwrap().0
        })
        .collect();
    Ours::start_with(|builder| {
        certificates.into_iter().fold(builder, chiton::server::Builder::host_certificate)
    })
    .await
}

/// Clients that know the authorities, and no key of the server.
fn trusting(ours: &Ours, peer: &Peer, issuer: &Issuer) -> Clients {
    let clients = Clients::new(peer, ours.port(), USER, &[]);
    let lines = peer.kinds().iter().map(|kind| {
        format!("@cert-authority [127.0.0.1]:*,127.0.0.1 {}\n", issuer.authority(kind))
    });
    fs::write(clients.known_hosts(), lines.collect::<String>()).unwrap();
    clients.option(issuer.believing())
}

async fn every_type_of_host_certificate(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let ours = certified(peer, &issuer, "elsewhere,127.0.0.1", ALWAYS).await;
    let clients = trusting(&ours, peer, &issuer);
    for name in evidence::with_openssh(evidence::HOST_CERTIFICATES, peer) {
        let options = [&format!("HostKeyAlgorithms={name}"), "LogLevel=DEBUG1"];
        let outcome = clients.ssh(&options, "true", &[]).ok();
        let said = format!("kex: host key algorithm: {name}");
        assert!(outcome.stderr.contains(&said), "{name}:\n{}", outcome.stderr);
    }
}

async fn a_host_certificate_that_does_not_count_is_refused(peer: &Peer) {
    for (principals, validity) in [("elsewhere", ALWAYS), ("127.0.0.1", EXPIRED)] {
        let issuer = Issuer::new(peer);
        let ours = certified(peer, &issuer, principals, validity).await;
        let clients = trusting(&ours, peer, &issuer);
        for name in evidence::with_openssh(evidence::HOST_CERTIFICATES, peer) {
            let outcome = clients.ssh(&[&format!("HostKeyAlgorithms={name}")], "true", &[]);
            assert_eq!(outcome.status, 255, "{name}");
            assert!(outcome.stderr.contains("Certificate invalid"), "{}", outcome.stderr);
        }
    }
}

/// Logs in with the certificate beside a key.
fn login(clients: &Clients, key: &Path) -> Outcome {
    let identity = format!("IdentityFile={}", key.display());
    let certificate = format!("CertificateFile={}", beside(key).display());
    clients.ssh(&[&identity, &certificate], "echo free", &[])
}

/// A server that trusts the authorities.
async fn with_authorities(issuer: &Issuer) -> Ours {
    let authorities =
        ALL_KINDS.map(|kind| PublicKey::from_openssh(&issuer.authority(kind)).unwrap().0);
    Ours::start_with(|builder| {
        authorities.into_iter().fold(builder, chiton::server::Builder::trusted_user_ca)
    })
    .await
}

async fn every_type_of_user_certificate(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let ours = with_authorities(&issuer).await;
    let clients = ours.clients(peer);
    for kind in peer.kinds() {
        let key = issuer.user(kind, &format!("others,{USER}"), ALWAYS, &[]);
        assert_eq!(login(&clients, &key).ok().text(), "free\n", "{kind}");
        let forced = ["-O", "force-command=echo forced"];
        let key = issuer.user(kind, USER, ALWAYS, &forced);
        assert_eq!(login(&clients, &key).ok().text(), "forced\n", "{kind}");
    }
}

async fn a_user_certificate_that_does_not_count_is_refused(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let ours = with_authorities(&issuer).await;
    let clients = ours.clients(peer);
    for kind in peer.kinds() {
        let elsewhere = ["-O", "source-address=10.0.0.0/8"];
        for (principal, validity, options) in
            [("others", ALWAYS, &[][..]), (USER, EXPIRED, &[]), (USER, ALWAYS, &elsewhere)]
        {
            let outcome = login(&clients, &issuer.user(kind, principal, validity, options));
            assert_eq!(outcome.status, 255, "{kind}");
            assert!(outcome.stderr.contains("Permission denied"), "{}", outcome.stderr);
        }
    }
    // Certificates of an authority that this server does not know.
    let stranger = Ours::start().await;
    let clients = stranger.clients(peer);
    for kind in peer.kinds() {
        assert_eq!(login(&clients, &issuer.user(kind, USER, ALWAYS, &[])).status, 255, "{kind}");
    }
}

against_each_peer!(
    every_type_of_host_certificate,
    a_host_certificate_that_does_not_count_is_refused,
    every_type_of_user_certificate,
    a_user_certificate_that_does_not_count_is_refused,
);
