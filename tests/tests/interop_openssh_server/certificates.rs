//! Certificates of OpenSSH's server, and ours that it takes.

use std::fs;
use std::path::{Path, PathBuf};

use chiton::error::HostKeyReason;
use chiton::{Auth, Client, Error, HostKeys, Preferences};
use chiton_tests::against_each_peer;
use chiton_tests::certificates::{ALWAYS, EXPIRED, Issuer, beside};
use chiton_tests::evidence;
use chiton_tests::keys::{Keys, public_blob};
use chiton_tests::peer::Peer;
use chiton_tests::sshd::{Sshd, whoami};
use ssh_keys::certificate::CertificateError;
use ssh_transport::HostKeyAlgorithm;
use tempfile::TempDir;

use crate::{key, to};

/// A server with a certificate over each of its host keys.
fn certified(peer: &Peer, issuer: &Issuer, principals: &str, validity: &str) -> Sshd {
    let mut config = String::new();
    for kind in peer.kinds() {
        let key = issuer.host(kind, principals, validity);
        let certificate = beside(&key).display().to_string();
        config.push_str(&format!("HostKey {}\nHostCertificate {certificate}\n", key.display()));
    }
    Sshd::start(peer, &config)
}

/// A `known_hosts` file with the authorities for this server, and with more lines.
fn known(peer: &Peer, issuer: &Issuer, more: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    let lines = peer.kinds().iter().map(|kind| {
        format!("@cert-authority [127.0.0.1]:*,127.0.0.1 {}\n", issuer.authority(kind))
    });
    fs::write(&path, lines.collect::<String>() + more).unwrap();
    (folder, path)
}

async fn connect(sshd: &Sshd, known: &Path, algorithm: &str) -> Result<Client, Error> {
    let mut preferences = Preferences::modern();
    preferences.set_host_keys(algorithm).unwrap();
    Client::builder("127.0.0.1", sshd.port())
        .user(whoami())
        .algorithms(preferences)
        .host_keys(HostKeys::known_hosts(known).unwrap())
        .auth(key())
        .connect()
        .await
}

async fn refusal(sshd: &Sshd, known: &Path, algorithm: &str) -> HostKeyReason {
    match connect(sshd, known, algorithm).await {
        Err(Error::HostKey(error)) => error.reason,
        other => panic!("{algorithm}: {other:?}"),
    }
}

async fn every_type_of_host_certificate(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let sshd = certified(peer, &issuer, "127.0.0.1,elsewhere", ALWAYS);
    let (_folder, path) = known(peer, &issuer, "");
    for name in evidence::with_openssh(evidence::HOST_CERTIFICATES, peer) {
        let client = connect(&sshd, &path, name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(client.negotiated().unwrap().host_key.name(), name);
        client.rekey();
        assert!(client.exec("true").await.unwrap().status.success(), "{name}");
    }
    // Asked for on its own account where an authority is known, though keys are listed first.
    let known = HostKeys::known_hosts(&path).unwrap();
    let builder = Client::builder("127.0.0.1", sshd.port()).user(whoami()).host_keys(known);
    let client = builder.auth(key()).connect().await.unwrap();
    assert!(client.negotiated().unwrap().host_key.is_certificate());
}

async fn a_host_certificate_for_another_host_is_refused(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let sshd = certified(peer, &issuer, "elsewhere", ALWAYS);
    let (_folder, path) = known(peer, &issuer, "");
    for name in evidence::with_openssh(evidence::HOST_CERTIFICATES, peer) {
        let reason = refusal(&sshd, &path, name).await;
        let HostKeyReason::NotCertified { error } = reason else { panic!("{name}: {reason:?}") };
        assert!(matches!(error, CertificateError::WrongPrincipal { .. }), "{name}: {error:?}");
    }
}

async fn a_host_certificate_that_has_expired_is_refused(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let sshd = certified(peer, &issuer, "127.0.0.1", EXPIRED);
    let (_folder, path) = known(peer, &issuer, "");
    for name in evidence::with_openssh(evidence::HOST_CERTIFICATES, peer) {
        let reason = refusal(&sshd, &path, name).await;
        let HostKeyReason::NotCertified { error } = reason else { panic!("{name}: {reason:?}") };
        assert!(matches!(error, CertificateError::Expired { .. }), "{name}: {error:?}");
    }
}

/// By a line for the authority, or for the key that it certified.
async fn a_revoked_authority_or_host_is_refused(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let sshd = certified(peer, &issuer, "127.0.0.1", ALWAYS);
    let revoked = |key: &dyn Fn(&str) -> String| {
        peer.kinds().iter().map(|kind| format!("@revoked * {}\n", key(kind))).collect::<String>()
    };
    let authorities = revoked(&|kind| issuer.authority(kind));
    let keys = revoked(&|kind| public_blob(&Keys::get().host(kind)));
    for lines in [authorities, keys] {
        let (_folder, path) = known(peer, &issuer, &lines);
        for name in evidence::with_openssh(evidence::HOST_CERTIFICATES, peer) {
            let reason = refusal(&sshd, &path, name).await;
            assert!(matches!(reason, HostKeyReason::Revoked { .. }), "{name}: {reason:?}");
        }
    }
}

/// A certificate of an authority that no file names is as good as its key, which is not known.
async fn an_unknown_authority_is_refused(peer: &Peer) {
    let issuer = Issuer::new(peer);
    let sshd = certified(peer, &issuer, "127.0.0.1", ALWAYS);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("known_hosts");
    let line = format!("@cert-authority * {}\n", public_blob(&Keys::get().user("ed25519")));
    fs::write(&path, line).unwrap();
    for name in evidence::with_openssh(evidence::HOST_CERTIFICATES, peer) {
        let reason = refusal(&sshd, &path, name).await;
        let expected =
            matches!(reason, HostKeyReason::NotCertified { .. } | HostKeyReason::Unknown { .. });
        assert!(expected, "{name}: {reason:?}");
    }
}

/// A server that lets in whoever has a certificate for the principal `operators`.
struct Trusting {
    sshd: Sshd,
    issuer: Issuer,
    _folder: TempDir,
}

impl Trusting {
    fn start(peer: &Peer) -> Self {
        let (issuer, folder) = (Issuer::new(peer), tempfile::tempdir().unwrap());
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let authorities = peer.kinds().iter().map(|kind| issuer.authority(kind) + "\n").collect();
        let authorities = file("authorities", authorities);
        let principals = file("principals", "auditors\noperators\n".to_owned());
        let sshd = Sshd::start(
            peer,
            &format!(
                "TrustedUserCAKeys {authorities}\nAuthorizedPrincipalsFile {principals}\n{}\n",
                issuer.believing()
            ),
        );
        Self { sshd, issuer, _folder: folder }
    }

    async fn login(&self, key: &Path) -> Result<Client, Error> {
        to(&self.sshd).auth(Auth::key_file(key)).connect().await
    }

    async fn refuses(&self, kind: &str, key: &Path) {
        let result = self.login(key).await;
        assert!(matches!(result, Err(Error::Auth(_))), "{kind}: {result:?}");
    }
}

async fn every_type_of_user_certificate(peer: &Peer) {
    let trusting = Trusting::start(peer);
    for kind in peer.kinds() {
        let key = trusting.issuer.user(kind, "operators,others", ALWAYS, &[]);
        let client = trusting.login(&key).await.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert!(client.exec("true").await.unwrap().status.success(), "{kind}");
    }
    let accepted = trusting.sshd.log().matches("Accepted certificate ID \"an id\"").count();
    assert_eq!(accepted, peer.kinds().len(), "{}", trusting.sshd.log());
}

async fn a_user_certificate_that_does_not_count_is_refused(peer: &Peer) {
    let trusting = Trusting::start(peer);
    for kind in peer.kinds() {
        let issuer = &trusting.issuer;
        trusting.refuses(kind, &issuer.user(kind, "others", ALWAYS, &[])).await;
        trusting.refuses(kind, &issuer.user(kind, &whoami(), ALWAYS, &[])).await;
        trusting.refuses(kind, &issuer.user(kind, "operators", EXPIRED, &[])).await;
        let elsewhere = ["-O", "source-address=10.0.0.0/8"];
        trusting.refuses(kind, &issuer.user(kind, "operators", ALWAYS, &elsewhere)).await;
    }
}

async fn a_user_certificate_says_what_may_be_done(peer: &Peer) {
    let trusting = Trusting::start(peer);
    for kind in peer.kinds() {
        let forced = ["-O", "clear", "-O", "force-command=echo forced"];
        let key = trusting.issuer.user(kind, "operators", ALWAYS, &forced);
        let client = trusting.login(&key).await.unwrap();
        let output = client.exec("echo free").await.unwrap();
        assert_eq!(output.stdout, b"forced\n", "{kind}");
    }
}

#[test]
fn the_tables_have_every_certificate_of_a_key_that_no_token_holds() {
    let tokens = |name: &str| name.starts_with("sk-") || name.starts_with("webauthn-");
    let ours = HostKeyAlgorithm::ALL.iter().filter(|it| it.is_certificate()).map(|it| it.name());
    let ours: Vec<_> =
        ours.filter(|name| !tokens(name) && !name.contains("mldsa44-ed25519-cert-v01")).collect();
    assert_eq!(evidence::HOST_CERTIFICATES.iter().map(|row| row.name).collect::<Vec<_>>(), ours);
}

against_each_peer!(
    every_type_of_host_certificate,
    a_host_certificate_for_another_host_is_refused,
    a_host_certificate_that_has_expired_is_refused,
    a_revoked_authority_or_host_is_refused,
    an_unknown_authority_is_refused,
    every_type_of_user_certificate,
    a_user_certificate_that_does_not_count_is_refused,
    a_user_certificate_says_what_may_be_done,
);
