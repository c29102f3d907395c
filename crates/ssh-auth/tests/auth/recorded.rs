//! A recorded authentication with OpenSSH's sshd, replayed against both of our roles.

use crate::common::{methods, session};
use ssh_auth::{
    client::{AuthEvent, Authenticator},
    method::Method,
    server::{Acceptor, Credential, Limits, ServerAuthEvent},
    signing::signed_data,
};
use ssh_keys::{PrivateKey, algorithm::SignatureAlgorithm};
use ssh_wire::{Reader, proof::SessionId};

struct Recording {
    signed_data: Vec<u8>,
    /// True for client to server.
    packets: Vec<(bool, Vec<u8>)>,
}

fn recording() -> Recording {
    let mut recording = Recording { signed_data: Vec::new(), packets: Vec::new() };
    for line in include_str!("../../testdata/openssh-10.6-publickey.txt").lines() {
        let Some((name, hex)) = line.split_once(' ').filter(|(name, _)| *name != "#") else {
            continue;
        };
        let bytes = (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect();
        match name {
            "signed_data" => recording.signed_data = bytes,
            _ => recording.packets.push((name == "c2s", bytes)),
        }
    }
    assert_eq!(recording.packets.len(), 8);
    recording
}

impl Recording {
    fn session(&self) -> SessionId {
        SessionId::of_trusted_exchange(Reader::new("", &self.signed_data).string().unwrap())
    }
}

fn user_key() -> PrivateKey {
    PrivateKey::parse(include_bytes!("../../testdata/user_ed25519"), None).unwrap()
}

#[test]
fn the_signed_data_is_what_openssh_verified() {
    let recording = recording();
    let key = user_key();
    let algorithm = SignatureAlgorithm::Ed25519;
    let data = signed_data(&recording.session(), "root", algorithm, key.public().blob());
    assert_eq!(data, recording.signed_data);
}

/// The signature is deterministic, so even that is the same.
#[test]
fn our_client_sends_the_same_bytes_as_the_recorded_one() {
    let recording = recording();
    let key = user_key();
    let mut sent = Vec::new();
    let mut client = Authenticator::new("root", &recording.session(), None, &mut sent);
    let mut step = 0;
    let mut success = false;
    for (to_server, bytes) in &recording.packets {
        if *to_server {
            assert_eq!(sent.remove(0), *bytes);
            continue;
        }
        match client.handle(bytes, &mut sent).unwrap() {
            None => client.try_none(&mut sent).unwrap(),
            Some(AuthEvent::Failed { remaining, partial: false }) => {
                assert_eq!(remaining.to_string(), "publickey, password, keyboard-interactive");
                client.ask_key(key.public(), SignatureAlgorithm::Ed25519, &mut sent).unwrap();
            }
            Some(AuthEvent::KeyAccepted(request)) => {
                let signature = key.sign(request.algorithm(), request.data()).unwrap();
                client.signed(&request, &signature, &mut sent).unwrap();
            }
            Some(AuthEvent::Success(_)) => success = true,
            event => panic!("{event:?}"),
        }
        step += 1;
    }
    assert!(success && step == 4 && sent.is_empty());
}

#[test]
fn our_server_lets_the_recorded_client_in_and_only_in_its_own_session() {
    let recording = recording();
    for (session, expected) in [(recording.session(), true), (session(), false)] {
        let allowed = methods(&[Method::PublicKey, Method::Password]);
        let mut server = Acceptor::new(&session, Limits::default(), allowed);
        let mut out = Vec::new();
        let mut authenticated = false;
        for (_, bytes) in recording.packets.iter().filter(|(to_server, _)| *to_server) {
            if let Some(ServerAuthEvent::Request(question)) =
                server.handle(bytes, &mut out).unwrap()
            {
                assert_eq!(question.user(), "root");
                let Credential::Key { key, .. } = question.credential() else { panic!() };
                assert_eq!(key, user_key().public());
                authenticated |= server.accept(question, &mut out).is_some();
            }
        }
        assert_eq!(authenticated, expected);
        let numbers: Vec<u8> = out.iter().map(|payload| payload[0]).collect();
        assert_eq!(numbers, [6, 51, 60, if expected { 52 } else { 51 }]);
    }
}
