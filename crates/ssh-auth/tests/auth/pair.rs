//! Our client against our server: every method, alone and combined.

use crate::common::{Pair, both, key, methods, secret, session};
use ssh_auth::{
    AuthError, AuthRecord,
    client::{AuthEvent, RequestError},
    method::Method,
    record::Outcome,
    server::{Acceptor, AuthQuestion, Credential, Limits, Refusal, ServerAuthEvent},
};
use ssh_keys::{
    PublicKey,
    algorithm::{KeyType, SignatureAlgorithm},
};

/// Lets in whom `allowed` lets in.
fn deciding(
    allowed: impl Fn(&AuthQuestion) -> bool + 'static,
) -> impl FnMut(&mut Acceptor, ServerAuthEvent, &mut Vec<Vec<u8>>) -> Result<(), AuthError> {
    move |server, event, out| match event {
        ServerAuthEvent::Request(question) if allowed(&question) => {
            server.accept(question, out);
            Ok(())
        }
        ServerAuthEvent::Request(question) => server.reject(question, out),
        _ => Ok(()),
    }
}

fn password_is(question: &AuthQuestion, right: &str) -> bool {
    matches!(question.credential(), Credential::Password(p) if p.expose() == right)
}

fn key_is(question: &AuthQuestion, right: &PublicKey) -> bool {
    matches!(question.credential(), Credential::Key { key, .. } if key == right)
}

fn outcomes(record: &AuthRecord) -> Vec<Outcome> {
    record.attempts.iter().map(|attempt| attempt.outcome).collect()
}

#[test]
fn a_wrong_password_and_then_the_right_one() {
    let mut pair = Pair::new(both(), deciding(|q| q.user() == "alice" && password_is(q, "right")));
    pair.client.try_password(secret("wrong"), &mut pair.to_server).unwrap();
    let AuthEvent::Failed { remaining, partial: false } = pair.event() else { panic!() };
    assert_eq!(remaining.to_string(), "publickey, password");
    pair.client.try_password(secret("right"), &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
    assert_eq!(outcomes(pair.client.record()), [Outcome::Failed, Outcome::Success]);
    assert!(pair.server.is_done());
}

#[test]
fn none_lists_the_methods_and_is_not_counted_once() {
    let mut pair = Pair::new(both(), deciding(|_| true));
    pair.client.try_none(&mut pair.to_server).unwrap();
    let AuthEvent::Failed { remaining, partial: false } = pair.event() else { panic!() };
    assert!(remaining.contains(Method::PublicKey) && !remaining.contains(Method::None));
}

#[test]
fn none_lets_in_where_the_application_wants_it() {
    let mut pair = Pair::new(methods(&[Method::None]), deciding(|_| true));
    pair.client.try_none(&mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
}

#[test]
fn every_type_of_key_lets_in() {
    for (key_type, seed) in [(KeyType::Ed25519, 1), (KeyType::EcdsaP256, 2), (KeyType::Rsa, 3)] {
        let key = key(key_type, seed);
        let public = key.public().clone();
        let mut pair = Pair::new(both(), deciding(move |q| key_is(q, &public)));
        pair.client.try_key(&key, &mut pair.to_server).unwrap();
        assert!(matches!(pair.event(), AuthEvent::Success(_)), "{key_type:?}");
        let attempt = &pair.client.record().attempts[0];
        let first = key_type.signature_algorithms().first().copied();
        assert_eq!(attempt.key.as_ref().unwrap().algorithm, first);
    }
}

#[test]
fn a_key_is_asked_about_and_then_signs() {
    let key = key(KeyType::Ed25519, 1);
    let public = key.public().clone();
    let mut pair = Pair::new(both(), deciding(move |q| key_is(q, &public)));
    pair.client.ask_key(key.public(), SignatureAlgorithm::Ed25519, &mut pair.to_server).unwrap();
    let AuthEvent::KeyAccepted(request) = pair.event() else { panic!() };
    assert!(!pair.server.is_done());
    let signature = key.sign(request.algorithm(), request.data()).unwrap();
    // A signature over anything else does not leave the house.
    let other = key.sign(request.algorithm(), b"something else").unwrap();
    assert!(matches!(
        pair.client.signed(&request, &other, &mut pair.to_server),
        Err(RequestError::Signature(_))
    ));
    pair.client.signed(&request, &signature, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
    assert_eq!(outcomes(pair.client.record()), [Outcome::KeyAcceptable, Outcome::Success]);
}

#[test]
fn a_key_that_is_not_wanted_is_refused_before_and_after_signing() {
    let key = key(KeyType::Ed25519, 1);
    let mut pair = Pair::new(both(), deciding(|_| false));
    pair.client.ask_key(key.public(), SignatureAlgorithm::Ed25519, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { partial: false, .. }));
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { partial: false, .. }));
    // Each key once: the third time is not sent.
    let again = pair.client.try_key(&key, &mut pair.to_server);
    assert_eq!(again, Err(RequestError::AlreadyTried));
    assert!(pair.to_server.is_empty());
}

/// First a key, then a password: what `AuthenticationMethods publickey,password` is in sshd.
#[test]
fn a_key_and_a_password_together_let_in() {
    let key = key(KeyType::Ed25519, 1);
    let mut key_done = false;
    let mut pair = Pair::new(both(), move |server, event, out| {
        let ServerAuthEvent::Request(question) = event else { return Ok(()) };
        match question.method() {
            Method::PublicKey => {
                key_done |= matches!(question.credential(), Credential::Key { proven: true, .. });
                server.accept_partially(question, methods(&[Method::Password]), out);
                Ok(())
            }
            Method::Password if key_done => {
                assert!(server.accept(question, out).is_some());
                Ok(())
            }
            _ => server.reject(question, out),
        }
    });
    pair.client.try_password(secret("right"), &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { partial: false, .. }));
    pair.client.ask_key(key.public(), SignatureAlgorithm::Ed25519, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::KeyAccepted(_)));
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    let AuthEvent::Failed { remaining, partial: true } = pair.event() else { panic!() };
    assert_eq!(remaining.to_string(), "password");
    // The key has done its part and cannot do another.
    assert_eq!(pair.client.try_key(&key, &mut pair.to_server), Err(RequestError::AlreadyTried));
    pair.client.try_password(secret("right"), &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
    assert_eq!(pair.client.record().to_string().lines().count(), 4, "{}", pair.client.record());
}

#[test]
fn a_key_refused_before_a_factor_can_be_tried_after_it() {
    let key = key(KeyType::Ed25519, 1);
    let mut pair = Pair::new(both(), |server, event, out| {
        if let ServerAuthEvent::Request(question) = event {
            if question.method() == Method::Password {
                server.accept_partially(question, methods(&[Method::PublicKey]), out);
            } else {
                server.reject(question, out)?;
            }
        }
        Ok(())
    });
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { partial: false, .. }));
    pair.client.try_password(secret("right"), &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { partial: true, .. }));
    assert_eq!(pair.client.try_key(&key, &mut pair.to_server), Ok(()));
}

/// The server, too, takes a key for one factor only.
#[test]
fn the_server_refuses_a_key_that_has_done_its_part() {
    let key = key(KeyType::Ed25519, 1);
    let mut pair = Pair::new(both(), |server, event, out| {
        match event {
            ServerAuthEvent::Request(question) => {
                server.accept_partially(question, methods(&[Method::PublicKey]), out);
            }
            ServerAuthEvent::Refused(refusal) => {
                assert!(matches!(refusal, Refusal::KeyUsed { .. }));
            }
            _ => panic!(),
        }
        Ok(())
    });
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    let request = pair.to_server.last().unwrap().clone();
    assert!(matches!(pair.event(), AuthEvent::Failed { partial: true, .. }));
    let event = pair.server.handle(&request, &mut pair.to_client).unwrap();
    assert!(matches!(event, Some(ServerAuthEvent::Refused(Refusal::KeyUsed { .. }))));
}

#[test]
fn rsa_signs_with_what_the_server_names() {
    let key = key(KeyType::Rsa, 3);
    let public = key.public().clone();
    let mut pair = Pair::new(both(), deciding(move |q| key_is(q, &public)));
    pair.client.set_server_sig_algs(vec![SignatureAlgorithm::RsaSha256]);
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
    let used = pair.client.record().attempts[0].key.as_ref().unwrap().algorithm;
    assert_eq!(used, Some(SignatureAlgorithm::RsaSha256));
}

/// A server without `server-sig-algs` that knows `rsa-sha2-256` only.
#[test]
fn rsa_is_tried_with_both_hashes_where_the_server_names_nothing() {
    let key = key(KeyType::Rsa, 3);
    let mut pair = Pair::new(
        both(),
        deciding(|q| {
            matches!(
                q.credential(),
                Credential::Key { algorithm: SignatureAlgorithm::RsaSha256, .. }
            )
        }),
    );
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
    assert_eq!(outcomes(pair.client.record()), [Outcome::Failed, Outcome::Success]);

    // Where it did name something, a refusal is a refusal.
    let mut pair = Pair::new(both(), deciding(|_| false));
    pair.client.set_server_sig_algs(SignatureAlgorithm::ALL.to_vec());
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { .. }));
    assert_eq!(outcomes(pair.client.record()), [Outcome::Failed]);
}

#[test]
fn only_what_is_allowed_is_signed_with() {
    let key = key(KeyType::Rsa, 3);
    let mut pair = Pair::new(both(), deciding(|_| false));
    pair.client.allow_only(vec![
        (SignatureAlgorithm::RsaSha512, true),
        (SignatureAlgorithm::RsaSha256, false),
    ]);
    pair.client.try_key(&key, &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { .. }));
    let attempts = &pair.client.record().attempts;
    let used: Vec<_> = attempts.iter().map(|it| it.key.as_ref().unwrap().algorithm).collect();
    assert_eq!(used, [Some(SignatureAlgorithm::RsaSha256)]);

    let mut pair = Pair::new(both(), deciding(|_| true));
    pair.client.allow_only(vec![(SignatureAlgorithm::Ed25519, false)]);
    let refused = pair.client.try_key(&key, &mut pair.to_server);
    assert_eq!(refused, Err(RequestError::NoAlgorithm { key_type: KeyType::Rsa }));
}

#[test]
fn a_key_of_a_type_that_the_server_does_not_take_is_not_sent_and_is_on_record() {
    let key = key(KeyType::Ed25519, 1);
    let mut pair = Pair::new(both(), deciding(|_| true));
    pair.client.set_server_sig_algs(vec![SignatureAlgorithm::EcdsaP256]);
    assert_eq!(
        pair.client.try_key(&key, &mut pair.to_server),
        Err(RequestError::NoAlgorithm { key_type: KeyType::Ed25519 })
    );
    assert_eq!(outcomes(pair.client.record()), [Outcome::NoAlgorithm]);
    assert_eq!(pair.to_server.len(), 1, "only the request for the service");
}

#[test]
fn banners_arrive_in_order_and_without_control_characters() {
    let mut pair = Pair::new(both(), |server, event, out| {
        server.banner("second", out);
        deciding(|_| true)(server, event, out)
    });
    pair.server.banner("first\x1b[2J", &mut pair.to_client);
    assert!(pair.to_client.is_empty(), "before the service, nothing may be said");
    pair.client.try_password(secret("x"), &mut pair.to_server).unwrap();
    let (events, _) = pair.run();
    let [AuthEvent::Banner(first), AuthEvent::Banner(second), AuthEvent::Success(_)] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (first.to_string(), second.to_string()),
        ("first\\u{1b}[2J".into(), "second".into())
    );
}

#[test]
fn an_expired_password_is_changed() {
    let mut pair = Pair::new(both(), |server, event, out| {
        let ServerAuthEvent::Request(question) = event else { panic!() };
        match question.credential() {
            Credential::PasswordChange { old, new }
                if old.expose() == "old" && new.expose().len() > 3 =>
            {
                assert!(server.accept(question, out).is_some());
                Ok(())
            }
            Credential::PasswordChange { .. } => {
                server.demand_password_change(question, "Longer.", out)
            }
            _ => server.demand_password_change(question, "Expired.", out),
        }
    });
    pair.client.try_password(secret("old"), &mut pair.to_server).unwrap();
    let AuthEvent::ChangePassword { prompt } = pair.event() else { panic!() };
    assert_eq!(prompt.to_string(), "Expired.");
    pair.client.change_password(secret("old"), secret("new"), &mut pair.to_server).unwrap();
    let AuthEvent::ChangePassword { prompt } = pair.event() else { panic!() };
    assert_eq!(prompt.to_string(), "Longer.");
    pair.client.change_password(secret("old"), secret("newer"), &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
    assert_eq!(
        outcomes(pair.client.record()),
        [Outcome::PasswordExpired, Outcome::PasswordExpired, Outcome::Success]
    );
}

#[test]
fn one_request_at_a_time_and_none_after_the_end() {
    let mut pair = Pair::new(both(), deciding(|_| true));
    pair.client.try_none(&mut pair.to_server).unwrap();
    assert!(pair.client.is_waiting());
    assert_eq!(pair.client.try_password(secret("x"), &mut pair.to_server), Err(RequestError::Busy));
    assert!(matches!(pair.event(), AuthEvent::Failed { .. }));
    pair.client.try_password(secret("x"), &mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Success(_)));
    assert_eq!(pair.client.try_none(&mut pair.to_server), Err(RequestError::Succeeded));
}

#[test]
fn a_client_stops_by_itself_when_the_server_always_wants_more() {
    let mut pair = Pair::new(both(), deciding(|_| true));
    pair.run().1.unwrap();
    let more: &[u8] = b"\x33\0\0\0\x08password\x01";
    for _ in 0..ssh_auth::limits::MAX_REQUESTS {
        pair.client.try_password(secret("x"), &mut pair.to_server).unwrap();
        let event = pair.client.handle(more, &mut pair.to_server).unwrap();
        assert!(matches!(event, Some(AuthEvent::Failed { partial: true, .. })));
    }
    assert_eq!(
        pair.client.try_password(secret("x"), &mut pair.to_server),
        Err(RequestError::TooManyRequests)
    );
}

#[test]
fn six_failures_end_it_and_the_first_none_is_not_one() {
    let mut pair = Pair::new(both(), deciding(|_| false));
    pair.client.try_none(&mut pair.to_server).unwrap();
    assert!(matches!(pair.event(), AuthEvent::Failed { .. }));
    for _ in 0..5 {
        pair.client.try_password(secret("x"), &mut pair.to_server).unwrap();
        assert!(matches!(pair.event(), AuthEvent::Failed { .. }));
    }
    pair.client.try_password(secret("x"), &mut pair.to_server).unwrap();
    let (_, server) = pair.run();
    let error = server.unwrap_err();
    assert_eq!(error, AuthError::TooManyFailures { limit: 6 });
    assert_eq!(error.disconnect(), Some(ssh_wire::DisconnectReason(14)));
    assert_eq!(pair.server.poll(&mut pair.to_client).unwrap_err(), error);
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let mut requests = Vec::new();
    for password in ["one", "two", "three"] {
        let mut pair = Pair::new(both(), |_, _, _| Ok(()));
        pair.client.try_password(secret(password), &mut pair.to_server).unwrap();
        requests.push(pair.to_server.remove(1));
    }
    let mut server = Acceptor::new(&session(), Limits::default(), both());
    let mut out = Vec::new();
    let service = b"\x05\0\0\0\x0cssh-userauth";
    assert!(server.handle(service, &mut out).unwrap().is_none());
    let Some(ServerAuthEvent::Request(first)) = server.handle(&requests[0], &mut out).unwrap()
    else {
        panic!()
    };
    for request in &requests[1..] {
        assert!(server.handle(request, &mut out).unwrap().is_none(), "the first is open");
    }
    assert!(server.poll(&mut out).unwrap().is_none());
    server.reject(first, &mut out).unwrap();
    let Some(ServerAuthEvent::Request(second)) = server.poll(&mut out).unwrap() else { panic!() };
    assert!(password_is(&second, "two"));
    assert!(server.accept(second, &mut out).is_some());
    assert!(server.poll(&mut out).unwrap().is_none(), "what comes after success is ignored");
    assert!(server.handle(&requests[2], &mut out).unwrap().is_none());
    assert_eq!(out.len(), 3, "accept, failure, success: {out:?}");
}
