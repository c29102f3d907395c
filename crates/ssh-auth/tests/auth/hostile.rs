//! Peers that break the rules: each breach has its own error, and the error stays.

use crate::common::{both, key, methods, secret, session};
use ssh_auth::{
    AuthError, Limit, PeerMisbehaved,
    client::{AuthEvent, Authenticator, RequestError},
    limits::{MAX_BANNER_BYTES, MAX_BANNERS, MAX_PASSWORD, MAX_PIPELINED, MAX_USER_NAME},
    message::{
        CONNECTION_SERVICE, MethodRequest, PublicKeyOk, ServiceAccept, ServiceRequest,
        USERAUTH_SERVICE, UserauthBanner, UserauthFailure, UserauthRequest, UserauthSuccess,
    },
    method::Method,
    server::{Acceptor, Credential, Limits, Refusal, ServerAuthEvent},
    signing::signed_data,
};
use ssh_keys::{
    PrivateKey, SignatureError,
    algorithm::{KeyType, SignatureAlgorithm},
};
use ssh_wire::{DisconnectReason, Fault, NameList, Rest, proof::SessionId, testing::payload};

const ACCEPT: ServiceAccept<'_> = ServiceAccept { service: USERAUTH_SERVICE };

fn client_at(accepted: bool) -> (Authenticator, Vec<Vec<u8>>) {
    let mut out = Vec::new();
    let mut client = Authenticator::new("alice", &session(), None, &mut out);
    if accepted {
        assert!(client.handle(&payload(&ACCEPT), &mut out).unwrap().is_none());
    }
    (client, out)
}

fn new_server() -> (Acceptor, Vec<Vec<u8>>) {
    let mut out = Vec::new();
    let mut server = Acceptor::new(&session(), Limits::default(), both());
    let request = payload(&ServiceRequest { service: USERAUTH_SERVICE });
    assert!(server.handle(&request, &mut out).unwrap().is_none());
    assert_eq!(out, [payload(&ACCEPT)]);
    out.clear();
    (server, out)
}

fn request_of(user: &str, service: &str, method: MethodRequest<'_>) -> Vec<u8> {
    payload(&UserauthRequest { user, service, method })
}

fn request(method: MethodRequest<'_>) -> Vec<u8> {
    request_of("alice", CONNECTION_SERVICE, method)
}

const PASSWORD: MethodRequest<'_> = MethodRequest::Password { password: b"secret" };

fn misbehaved(client: &mut Authenticator, message: &[u8]) -> PeerMisbehaved {
    let mut out = Vec::new();
    let error = client.handle(message, &mut out).unwrap_err();
    // It stays, whatever comes next.
    assert_eq!(client.handle(&payload(&UserauthSuccess {}), &mut out).unwrap_err(), error);
    assert_eq!(client.try_none(&mut out), Err(RequestError::Ended(error.clone())));
    assert!(out.is_empty());
    assert_eq!(error.disconnect(), Some(DisconnectReason::PROTOCOL_ERROR));
    assert_eq!(error.fault(), Fault::Peer);
    assert!(error.rule().is_some());
    let AuthError::PeerMisbehaved(what) = error else { panic!("{error}") };
    what
}

fn failure(partial_success: bool) -> Vec<u8> {
    let methods = NameList::from_text("publickey,password").unwrap();
    payload(&UserauthFailure { methods, partial_success })
}

// The server is hostile.

#[test]
fn success_is_believed_only_while_a_request_is_out() {
    let success = payload(&UserauthSuccess {});
    let (mut client, _) = client_at(true);
    assert_eq!(
        misbehaved(&mut client, &success),
        PeerMisbehaved::ReplyWithoutRequest { number: 52 }
    );
    // Not after a refusal either.
    let (mut client, mut out) = client_at(true);
    client.try_password(secret("x"), &mut out).unwrap();
    client.handle(&failure(false), &mut out).unwrap();
    assert_eq!(
        misbehaved(&mut client, &success),
        PeerMisbehaved::ReplyWithoutRequest { number: 52 }
    );
    // And once.
    let (mut client, mut out) = client_at(true);
    client.try_password(secret("x"), &mut out).unwrap();
    let event = client.handle(&success, &mut out).unwrap();
    assert!(matches!(event, Some(AuthEvent::Success(_))));
    let error = client.handle(&success, &mut out).unwrap_err();
    assert_eq!(
        error,
        AuthError::PeerMisbehaved(PeerMisbehaved::MessageAfterSuccess { number: 52 })
    );
}

#[test]
fn a_failure_that_answers_nothing_is_refused() {
    let (mut client, _) = client_at(true);
    assert_eq!(
        misbehaved(&mut client, &failure(false)),
        PeerMisbehaved::ReplyWithoutRequest { number: 51 }
    );
}

#[test]
fn nothing_is_believed_before_the_service_is_accepted() {
    let banner = payload(&UserauthBanner { message: b"x", language: b"" });
    for message in [failure(false), payload(&UserauthSuccess {}), banner, vec![60, 0]] {
        let (mut client, mut out) = client_at(false);
        client.try_password(secret("x"), &mut out).unwrap();
        assert_eq!(
            misbehaved(&mut client, &message),
            PeerMisbehaved::BeforeServiceAccept { number: message[0] }
        );
    }
}

#[test]
fn another_service_or_the_same_one_again_is_refused() {
    let (mut client, _) = client_at(false);
    let other = payload(&ServiceAccept { service: CONNECTION_SERVICE });
    assert_eq!(
        misbehaved(&mut client, &other),
        PeerMisbehaved::OtherServiceAccepted { service: CONNECTION_SERVICE.into() }
    );
    let (mut client, _) = client_at(true);
    assert_eq!(misbehaved(&mut client, &payload(&ACCEPT)), PeerMisbehaved::ServiceAcceptedTwice);
}

#[test]
fn number_60_belongs_to_the_method_in_flight_only() {
    let key = key(KeyType::Ed25519, 1);
    let ok = payload(&PublicKeyOk { algorithm: "ssh-ed25519", key: key.public().blob() });
    let out_of_place = |number, method| PeerMisbehaved::MethodMessageOutOfPlace { number, method };

    let (mut client, _) = client_at(true);
    assert_eq!(misbehaved(&mut client, &ok), out_of_place(60, None));

    let (mut client, mut out) = client_at(true);
    client.try_none(&mut out).unwrap();
    assert_eq!(misbehaved(&mut client, &ok), out_of_place(60, Some(Method::None)));

    // A signature was sent; there is nothing to be asked for.
    let (mut client, mut out) = client_at(true);
    client.try_key(&key, &mut out).unwrap();
    assert_eq!(misbehaved(&mut client, &ok), out_of_place(60, Some(Method::PublicKey)));

    let (mut client, mut out) = client_at(true);
    client.try_password(secret("x"), &mut out).unwrap();
    assert_eq!(misbehaved(&mut client, &[61, 0]), out_of_place(61, Some(Method::Password)));

    // Read as a demand for another password, which has two strings as well.
    let (mut client, mut out) = client_at(true);
    client.try_password(secret("x"), &mut out).unwrap();
    let event = client.handle(&ok, &mut out).unwrap();
    assert!(matches!(event, Some(AuthEvent::ChangePassword { .. })));
}

#[test]
fn a_key_that_was_not_asked_about_is_not_signed_with() {
    let (asked, other) = (key(KeyType::Ed25519, 1), key(KeyType::Ed25519, 2));
    for (algorithm, blob) in
        [("ssh-ed25519", other.public().blob()), ("rsa-sha2-256", asked.public().blob())]
    {
        let (mut client, mut out) = client_at(true);
        client.ask_key(asked.public(), SignatureAlgorithm::Ed25519, &mut out).unwrap();
        let ok = payload(&PublicKeyOk { algorithm, key: blob });
        assert_eq!(misbehaved(&mut client, &ok), PeerMisbehaved::OtherKeyAccepted);
    }
}

#[test]
fn a_question_about_a_key_lets_nobody_in() {
    let key = key(KeyType::Ed25519, 1);
    for (message, partial) in [(payload(&UserauthSuccess {}), false), (failure(true), true)] {
        let (mut client, mut out) = client_at(true);
        client.ask_key(key.public(), SignatureAlgorithm::Ed25519, &mut out).unwrap();
        assert_eq!(
            misbehaved(&mut client, &message),
            PeerMisbehaved::QuestionAnsweredBySuccess { partial }
        );
    }
}

#[test]
fn every_other_number_is_an_error_in_every_state() {
    let states: [fn() -> Authenticator; 3] = [
        || client_at(false).0,
        || client_at(true).0,
        || {
            let (mut client, mut out) = client_at(true);
            client.try_none(&mut out).unwrap();
            client.handle(&payload(&UserauthSuccess {}), &mut out).unwrap();
            client
        },
    ];
    for state in states {
        for number in 0..=255u8 {
            if matches!(number, 6 | 51..=53 | 60..=79) {
                continue;
            }
            let error = state().handle(&[number], &mut Vec::new()).unwrap_err();
            assert_eq!(
                error,
                AuthError::PeerMisbehaved(PeerMisbehaved::UnexpectedMessage { number })
            );
        }
        assert!(state().handle(&[], &mut Vec::new()).is_err());
    }
}

#[test]
fn banners_have_an_end() {
    let (mut client, mut out) = client_at(true);
    let banner = payload(&UserauthBanner { message: b"x", language: b"" });
    for _ in 0..MAX_BANNERS {
        assert!(client.handle(&banner, &mut out).unwrap().is_some());
    }
    let error = client.handle(&banner, &mut out).unwrap_err();
    assert_eq!(error, AuthError::LimitExceeded(Limit::Banners));

    let (mut client, mut out) = client_at(true);
    let half = vec![b'x'; MAX_BANNER_BYTES / 2];
    let banner = payload(&UserauthBanner { message: &half, language: b"" });
    assert!(client.handle(&banner, &mut out).is_ok() && client.handle(&banner, &mut out).is_ok());
    let error = client
        .handle(&payload(&UserauthBanner { message: b"x", language: b"" }), &mut out)
        .unwrap_err();
    assert_eq!(error, AuthError::LimitExceeded(Limit::BannerBytes));
}

#[test]
fn every_cut_of_every_message_to_the_client_is_an_error() {
    let key = key(KeyType::Ed25519, 1);
    let messages = [
        failure(false),
        payload(&UserauthBanner { message: b"hello", language: b"en" }),
        payload(&PublicKeyOk { algorithm: "ssh-ed25519", key: key.public().blob() }),
    ];
    for message in messages {
        for end in 1..message.len() {
            let (mut client, mut out) = client_at(true);
            client.ask_key(key.public(), SignatureAlgorithm::Ed25519, &mut out).unwrap();
            let error = client.handle(&message[..end], &mut out).unwrap_err();
            assert!(matches!(error, AuthError::InvalidMessage(_)), "{error}");
        }
    }
}

// The client is hostile.

#[test]
fn a_client_that_changes_user_or_service_is_cut_off() {
    for (user, service, expected) in [
        ("root", CONNECTION_SERVICE, PeerMisbehaved::UserChanged),
        ("alice", "ssh-userauth", PeerMisbehaved::ServiceChanged),
    ] {
        let (mut server, mut out) = new_server();
        server.handle(&request(MethodRequest::None), &mut out).unwrap();
        let error = server.handle(&request_of(user, service, PASSWORD), &mut out).unwrap_err();
        assert_eq!(error, AuthError::PeerMisbehaved(expected));
        assert_eq!(server.handle(&request(PASSWORD), &mut out).unwrap_err(), error);
    }
}

/// The classic: a factor completed as one user, the rest as another.
#[test]
fn a_factor_of_one_user_is_nothing_to_another() {
    let (mut server, mut out) = new_server();
    let Some(ServerAuthEvent::Request(question)) =
        server.handle(&request(PASSWORD), &mut out).unwrap()
    else {
        panic!()
    };
    server.accept_partially(question, methods(&[Method::Password]), &mut out);
    let as_root = request_of("root", CONNECTION_SERVICE, PASSWORD);
    let error = server.handle(&as_root, &mut out).unwrap_err();
    assert_eq!(error, AuthError::PeerMisbehaved(PeerMisbehaved::UserChanged));
}

#[test]
fn services_that_do_not_exist_are_refused_with_the_fitting_reason() {
    let request = payload(&ServiceRequest { service: "ssh-connection" });
    let mut server = Acceptor::new(&session(), Limits::default(), both());
    let error = server.handle(&request, &mut Vec::new()).unwrap_err();
    assert_eq!(error, AuthError::ServiceNotAvailable { service: "ssh-connection".into() });
    assert_eq!(error.disconnect(), Some(DisconnectReason::SERVICE_NOT_AVAILABLE));

    let (mut server, mut out) = new_server();
    let error = server.handle(&request_of("alice", "backdoor", PASSWORD), &mut out).unwrap_err();
    assert_eq!(error, AuthError::ServiceNotAvailable { service: "backdoor".into() });
}

#[test]
fn a_client_that_does_not_ask_for_the_service_is_cut_off() {
    let mut server = Acceptor::new(&session(), Limits::default(), both());
    let error = server.handle(&request(PASSWORD), &mut Vec::new()).unwrap_err();
    assert_eq!(error, AuthError::PeerMisbehaved(PeerMisbehaved::AuthBeforeService { number: 50 }));
}

#[test]
fn messages_of_a_server_are_not_taken_from_a_client() {
    for number in (0..=255u8).filter(|number| ![5, 50].contains(number)) {
        let (mut server, mut out) = new_server();
        let error = server.handle(&[number], &mut out).unwrap_err();
        assert_eq!(error, AuthError::PeerMisbehaved(PeerMisbehaved::UnexpectedMessage { number }));
        assert!(out.is_empty());
    }
}

fn key_request(
    key: &PrivateKey,
    algorithm: &str,
    sign_as: SignatureAlgorithm,
    session: &SessionId,
    user: &str,
) -> Vec<u8> {
    let blob = key.public().blob();
    let signature = key.sign(sign_as, &signed_data(session, user, sign_as, blob)).unwrap();
    request(MethodRequest::PublicKey { algorithm, key: blob, signature: Some(&signature) })
}

fn refusal(message: &[u8]) -> Refusal {
    let (mut server, mut out) = new_server();
    let event = server.handle(message, &mut out).unwrap();
    assert_eq!(out, [failure(false)]);
    let Some(ServerAuthEvent::Refused(refusal)) = event else { panic!("{event:?}") };
    refusal
}

#[test]
fn a_signature_is_good_for_its_session_and_user_only() {
    let key = key(KeyType::Ed25519, 1);
    let algorithm = SignatureAlgorithm::Ed25519;
    let other = SessionId::of_trusted_exchange(&[8; 32]);
    for request in [
        key_request(&key, "ssh-ed25519", algorithm, &other, "alice"),
        key_request(&key, "ssh-ed25519", algorithm, &session(), "root"),
    ] {
        let Refusal::Signature { error, .. } = refusal(&request) else { panic!() };
        assert_eq!(error, SignatureError::Forged);
    }
}

#[test]
fn every_bit_of_a_signed_request_matters() {
    let key = key(KeyType::Ed25519, 1);
    let good = key_request(&key, "ssh-ed25519", SignatureAlgorithm::Ed25519, &session(), "alice");
    for bit in 8..good.len() * 8 {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let (mut server, mut out) = new_server();
        if let Ok(Some(ServerAuthEvent::Request(question))) = server.handle(&bad, &mut out) {
            // The flag before the algorithm: any value but zero is true.
            let Credential::Key { proven, .. } = question.credential() else { panic!() };
            assert!(!proven || bad[48] > 1, "bit {bit}");
        }
    }
}

#[test]
fn key_algorithm_and_signature_have_to_agree() {
    let (ed25519, rsa) = (key(KeyType::Ed25519, 1), key(KeyType::Rsa, 3));
    let (sha256, sha512) = (SignatureAlgorithm::RsaSha256, SignatureAlgorithm::RsaSha512);
    let request =
        key_request(&ed25519, "rsa-sha2-256", SignatureAlgorithm::Ed25519, &session(), "alice");
    assert!(matches!(refusal(&request), Refusal::AlgorithmOfOtherKeyType { .. }));
    // RFC 8332 §3.2: the request and the signature name the same algorithm.
    let request = key_request(&rsa, "rsa-sha2-512", sha256, &session(), "alice");
    let Refusal::Signature { error, .. } = refusal(&request) else { panic!() };
    assert!(matches!(error, SignatureError::WrongAlgorithm { expected, .. } if expected == sha512));
    // SHA-1 has no name here.
    let request = key_request(&rsa, "ssh-rsa", sha256, &session(), "alice");
    assert_eq!(refusal(&request), Refusal::Algorithm { name: "ssh-rsa".into() });
}

#[test]
fn refusals_without_a_question_name_their_reason() {
    let other = MethodRequest::Other { name: "hostbased", fields: Rest(b"x") };
    assert_eq!(refusal(&request(other)), Refusal::Method { name: "hostbased".into() });
    let broken = MethodRequest::PublicKey { algorithm: "ssh-ed25519", key: b"x", signature: None };
    assert!(matches!(refusal(&request(broken)), Refusal::Key(_)));
    let long = vec![b'x'; MAX_PASSWORD + 1];
    for password in [&long[..], b"\xff"] {
        assert_eq!(refusal(&request(MethodRequest::Password { password })), Refusal::Password);
    }
}

#[test]
fn methods_that_are_not_offered_are_not_asked_about() {
    let only_keys = methods(&[Method::PublicKey]);
    let mut server = Acceptor::new(&session(), Limits::default(), only_keys);
    let mut out = Vec::new();
    let service = payload(&ServiceRequest { service: USERAUTH_SERVICE });
    server.handle(&service, &mut out).unwrap();
    for method in [PASSWORD, MethodRequest::None] {
        let event = server.handle(&request(method), &mut out).unwrap();
        assert!(matches!(event, Some(ServerAuthEvent::Refused(Refusal::Method { .. }))));
    }
}

#[test]
fn yes_to_an_unproven_key_lets_nobody_in() {
    let key = key(KeyType::Ed25519, 1);
    let blob = key.public().blob();
    let question =
        request(MethodRequest::PublicKey { algorithm: "ssh-ed25519", key: blob, signature: None });
    for partially in [false, true] {
        let (mut server, mut out) = new_server();
        let Some(ServerAuthEvent::Request(question)) = server.handle(&question, &mut out).unwrap()
        else {
            panic!()
        };
        assert!(matches!(question.credential(), Credential::Key { proven: false, .. }));
        if partially {
            server.accept_partially(question, both(), &mut out);
        } else {
            assert!(server.accept(question, &mut out).is_none());
        }
        assert!(!server.is_done());
        assert_eq!(out, [payload(&PublicKeyOk { algorithm: "ssh-ed25519", key: blob })]);
    }
}

#[test]
fn the_answer_to_a_question_of_another_connection_is_not_taken() {
    let (mut server, mut out) = new_server();
    let mut other =
        Acceptor::new(&SessionId::of_trusted_exchange(&[9; 32]), Limits::default(), both());
    other.handle(&payload(&ServiceRequest { service: USERAUTH_SERVICE }), &mut out).unwrap();
    let as_root = request_of("root", CONNECTION_SERVICE, PASSWORD);
    let Some(ServerAuthEvent::Request(theirs)) = other.handle(&as_root, &mut out).unwrap() else {
        panic!()
    };
    let ours = server.handle(&request(PASSWORD), &mut out).unwrap();
    out.clear();
    assert!(server.accept(theirs, &mut out).is_none());
    assert!(out.is_empty() && !server.is_done());
    let Some(ServerAuthEvent::Request(ours)) = ours else { panic!() };
    assert!(server.accept(ours, &mut out).is_some());
}

#[test]
fn user_names_are_short_and_printable() {
    for user in [&"x".repeat(MAX_USER_NAME + 1)[..], "a\0b", "a\nb", "\u{9b}"] {
        let (mut server, mut out) = new_server();
        let request = request_of(user, CONNECTION_SERVICE, MethodRequest::None);
        let error = server.handle(&request, &mut out).unwrap_err();
        assert_eq!(error, AuthError::IllegalUserName);
        assert_eq!(error.disconnect(), Some(DisconnectReason::ILLEGAL_USER_NAME));
    }
}

#[test]
fn refused_questions_about_keys_count_as_failures() {
    let (mut server, mut out) = new_server();
    for seed in 1..=6 {
        let key = key(KeyType::Ed25519, seed);
        let question = request(MethodRequest::PublicKey {
            algorithm: "ssh-ed25519",
            key: key.public().blob(),
            signature: None,
        });
        let Some(ServerAuthEvent::Request(question)) = server.handle(&question, &mut out).unwrap()
        else {
            panic!()
        };
        let result = server.reject(question, &mut out);
        assert_eq!(result.is_err(), seed == 6, "{result:?}");
    }
}

#[test]
fn none_counts_from_the_second_time_on() {
    let (mut server, mut out) = new_server();
    let none = request(MethodRequest::None);
    for _ in 0..6 {
        server.handle(&none, &mut out).unwrap();
    }
    assert_eq!(
        server.handle(&none, &mut out).unwrap_err(),
        AuthError::TooManyFailures { limit: 6 }
    );
}

#[test]
fn requests_of_every_outcome_have_an_end() {
    let (mut server, mut out) = new_server();
    let service = payload(&ServiceRequest { service: USERAUTH_SERVICE });
    // One was sent in making the server.
    for _ in 1..Limits::default().max_requests {
        server.handle(&service, &mut out).unwrap();
    }
    assert_eq!(
        server.handle(&service, &mut out).unwrap_err(),
        AuthError::LimitExceeded(Limit::Requests)
    );
}

#[test]
fn what_is_sent_ahead_has_an_end() {
    let (mut server, mut out) = new_server();
    assert!(server.handle(&request(PASSWORD), &mut out).unwrap().is_some());
    for _ in 0..MAX_PIPELINED {
        assert!(server.handle(&request(PASSWORD), &mut out).unwrap().is_none());
    }
    assert_eq!(
        server.handle(&request(PASSWORD), &mut out).unwrap_err(),
        AuthError::LimitExceeded(Limit::Pipelined)
    );

    let (mut server, mut out) = new_server();
    assert!(server.handle(&request(PASSWORD), &mut out).unwrap().is_some());
    let long = vec![b'x'; 70_000];
    let request = request(MethodRequest::Password { password: &long });
    assert_eq!(
        server.handle(&request, &mut out).unwrap_err(),
        AuthError::LimitExceeded(Limit::Pipelined)
    );
}

#[test]
fn every_cut_of_every_request_is_an_error_and_not_an_answer() {
    let key = key(KeyType::Ed25519, 1);
    let requests = [
        request(MethodRequest::None),
        request(PASSWORD),
        request(MethodRequest::PasswordChange { old: b"old", new: b"new" }),
        key_request(&key, "ssh-ed25519", SignatureAlgorithm::Ed25519, &session(), "alice"),
    ];
    for request in requests {
        for end in 1..request.len() {
            let (mut server, mut out) = new_server();
            let error = server.handle(&request[..end], &mut out).unwrap_err();
            assert!(matches!(error, AuthError::InvalidMessage(_)), "{error}");
            assert!(out.is_empty());
        }
    }
}
