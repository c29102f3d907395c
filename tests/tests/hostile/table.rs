//! Every number in every stage, in both roles, on a whole session without I/O.

use std::sync::Arc;

use chiton::session::{Role, Session, SessionEvent};
use chiton_tests::hostile::{Engine, host_key};
use ssh_auth::{
    message::{
        CONNECTION_SERVICE, MethodRequest, ServiceAccept, ServiceRequest, USERAUTH_SERVICE,
        UserauthRequest, UserauthSuccess,
    },
    method::Method,
    server::{Limits, MethodSet},
};
use ssh_crypto::{Secret, rng::SeededRng};
use ssh_transport::{Config, Event, Inbound};
use ssh_wire::{DisconnectReason, Fault, Time};

/// How far the honest side has come when the message arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The keys are there, but nobody has judged the host yet. Only a client knows this stage.
    Verdict,
    /// The service of authentication was not accepted, or asked for.
    Service,
    /// The service runs; of a client, a password is out.
    Requests,
    /// The login is over.
    Connected,
}

struct Honest {
    session: Session,
    inbound: Inbound,
    events: Vec<SessionEvent>,
    error: Option<chiton::Error>,
}

impl Honest {
    fn new(role: Role) -> Self {
        let mut config = Config::default();
        config.preferences.set_kex("curve25519-sha256").unwrap();
        let rng = Box::new(SeededRng::new(1));
        let limits = ssh_connection::Limits::default();
        let (session, inbound) = match role {
            Role::Client => Session::client(Arc::new(config), "alice", limits, rng, Time::ZERO),
            Role::Server => {
                config.host_keys.push(host_key());
                let methods = MethodSet::EMPTY.with(Method::Password);
                let auth = Limits::default();
                Session::server(Arc::new(config), methods, auth, limits, rng, Time::ZERO)
            }
        };
        Self { session, inbound, events: Vec::new(), error: None }
    }

    /// Takes in what the other side has sent.
    fn feed(&mut self, bytes: &[u8]) {
        self.inbound.buffer().extend_from_slice(bytes);
        while self.error.is_none() {
            match self.inbound.next() {
                Ok(None) => break,
                Ok(Some(received)) => {
                    match self.session.handle(received, &mut self.inbound, Time::ZERO) {
                        Ok(event) => self.events.extend(event),
                        Err(error) => self.error = Some(error),
                    }
                }
                Err(error) => {
                    self.session.transport_mut().fail(error.clone());
                    self.error = Some(error.into());
                }
            }
        }
    }

    fn output(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.session.take_output(&mut out);
        out
    }

    fn has(&self, wanted: impl Fn(&SessionEvent) -> bool) -> bool {
        self.events.iter().any(wanted)
    }
}

/// Carries bytes both ways until there are none, and gives what the hostile side was told.
fn run(honest: &mut Honest, hostile: &mut Engine) -> Vec<Event> {
    let mut heard = Vec::new();
    loop {
        let (to_hostile, to_honest) = (honest.output(), hostile.output());
        if to_hostile.is_empty() && to_honest.is_empty() {
            return heard;
        }
        honest.feed(&to_honest);
        hostile.feed(&to_hostile);
        heard.extend(std::iter::from_fn(|| hostile.event()));
    }
}

fn at(role: Role, stage: Stage) -> (Honest, Engine) {
    let mut honest = Honest::new(role);
    let mut hostile = match role {
        Role::Client => Engine::server(),
        Role::Server => Engine::client(),
    };
    run(&mut honest, &mut hostile);
    if role == Role::Client && stage > Stage::Verdict {
        let Some(SessionEvent::HostKey(offer)) = honest.events.pop() else { panic!() };
        let event = honest.session.answer_host_key(offer.trust(), Time::ZERO).unwrap();
        honest.events.extend(event);
        run(&mut honest, &mut hostile);
    }
    if stage >= Stage::Requests {
        match role {
            Role::Client => {
                let (auth, out) = honest.session.authenticator().unwrap();
                auth.try_password(Secret::new("x".into()), out).unwrap();
                hostile.send(&ServiceAccept { service: USERAUTH_SERVICE });
            }
            Role::Server => hostile.send(&ServiceRequest { service: USERAUTH_SERVICE }),
        }
        run(&mut honest, &mut hostile);
    }
    if stage == Stage::Connected {
        match role {
            Role::Client => hostile.send(&UserauthSuccess {}),
            Role::Server => {
                let method = MethodRequest::Password { password: b"x" };
                let (user, service) = ("alice", CONNECTION_SERVICE);
                hostile.send(&UserauthRequest { user, service, method });
                run(&mut honest, &mut hostile);
                let Some(SessionEvent::AuthQuestion(question)) = honest.events.pop() else {
                    panic!()
                };
                honest.events.extend(honest.session.accept(question).unwrap());
            }
        }
        run(&mut honest, &mut hostile);
        assert!(honest.has(|event| matches!(event, SessionEvent::Authenticated)));
    }
    assert!(honest.error.is_none(), "{role:?} {stage:?}: {:?}", honest.error);
    honest.events.clear();
    (honest, hostile)
}

/// What must not happen, whatever is in the message.
fn judge(role: Role, stage: Stage, payload: &[u8]) {
    let case = format!("{role:?} {stage:?} {payload:?}");
    let number = payload[0];
    let (mut honest, mut hostile) = at(role, stage);
    hostile.send_bytes(payload);
    let heard = run(&mut honest, &mut hostile);
    let goodbye = heard.iter().find_map(|event| match event {
        Event::Disconnected(goodbye) => Some(goodbye.reason),
        _ => None,
    });
    if let Some(error) = &honest.error {
        assert!(error.rule().is_some(), "{case}: {error}");
        assert_eq!(goodbye, error.disconnect(), "{case}: {error}");
        let expected = match error.fault() {
            Fault::Peer => DisconnectReason::PROTOCOL_ERROR,
            // There is no service without a name.
            _ => DisconnectReason::SERVICE_NOT_AVAILABLE,
        };
        assert_eq!(goodbye, Some(expected), "{case}: {error}");
    } else {
        assert_eq!(goodbye, None, "{case}");
    }
    let must_fail = match number {
        // Of the connection protocol, before the login is over.
        80..=127 => stage < Stage::Connected,
        // Of authentication, before its service runs, and what the other role says.
        51..=53 => stage < Stage::Requests || role == Role::Server,
        50 => stage < Stage::Requests || role == Role::Client,
        54..=79 => true,
        5 | 6 => stage != Stage::Service,
        // 22 to 29 mean nothing to anybody; a KEXINIT of zeros is none.
        20 | 21 | 30..=49 => true,
        _ => false,
    };
    if must_fail {
        assert!(honest.error.is_some(), "{case}");
    }
    let in_it = honest.has(|event| matches!(event, SessionEvent::Authenticated));
    let asked_for = role == Role::Client && stage == Stage::Requests && payload == [52];
    assert_eq!(in_it, asked_for, "{case}");
    if stage == Stage::Verdict {
        assert!(honest.session.authenticator().is_none(), "{case}");
    }
    if stage < Stage::Connected && !in_it {
        assert!(honest.session.connection().is_none(), "{case}");
    }
}

fn every_number(role: Role, stage: Stage) {
    // Our transport never sends 0: `what_comes_before_its_time_is_refused` has that.
    for number in 1..=255 {
        for body in [0, 1, 9, 40] {
            let mut payload = vec![0; body + 1];
            payload[0] = number;
            judge(role, stage, &payload);
        }
    }
}

#[test]
fn every_number_has_its_answer_at_a_client_that_has_not_judged_the_host() {
    every_number(Role::Client, Stage::Verdict);
}

#[test]
fn every_number_has_its_answer_before_the_service() {
    every_number(Role::Client, Stage::Service);
    every_number(Role::Server, Stage::Service);
}

#[test]
fn every_number_has_its_answer_during_authentication() {
    every_number(Role::Client, Stage::Requests);
    every_number(Role::Server, Stage::Requests);
}

#[test]
fn every_number_has_its_answer_after_the_login() {
    every_number(Role::Client, Stage::Connected);
    every_number(Role::Server, Stage::Connected);
}
