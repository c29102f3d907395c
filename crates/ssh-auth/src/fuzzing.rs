//! Bodies of the fuzz targets: any bytes may come, and nothing may panic or hang.

use alloc::{string::ToString, vec::Vec};

use ssh_crypto::{Secret, rng::SeededRng};
use ssh_keys::{
    PrivateKey,
    algorithm::{KeyType, SignatureAlgorithm},
};
use ssh_wire::{Encode, proof::SessionId};

use crate::{
    client::{AuthEvent, Authenticator},
    message::{ClientMessage, PasswordMessage, PublicKeyMessage, ServerMessage},
    method::{Method, MethodSet},
    server::{Acceptor, AuthQuestion, Credential, Limits, ServerAuthEvent},
};

/// Name and body of a target.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] =
    &[("auth_messages", auth_messages), ("auth_client", auth_client), ("auth_server", auth_server)];

/// Every table reads the bytes; what one reads, it writes so that it reads the same again.
///
/// # Panics
/// If it does not.
pub fn auth_messages(data: &[u8]) {
    macro_rules! check {
        ($($table:ident),*) => {$(
            if let Ok(message) = $table::parse(data) {
                let mut written = Vec::new();
                message.encode(&mut written);
                assert_eq!($table::parse(&written), Ok(message));
            }
        )*};
    }
    check!(ClientMessage, ServerMessage, PublicKeyMessage, PasswordMessage);
}

/// Splits a script into operations: a byte that chooses, and, where the operation needs a
/// payload, a length and that many bytes.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn payload(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte().unwrap_or_default());
        let (taken, rest) = self.0.split_at_checked(len).unwrap_or((self.0, &[]));
        self.0 = rest;
        taken
    }
}

fn session() -> SessionId {
    SessionId::of_trusted_exchange(&[7; 32])
}

/// A client does what the script says and receives what it says. Success must answer a request
/// that proved something, and an error must stay.
///
/// # Panics
/// If one of these does not hold.
pub fn auth_client(data: &[u8]) {
    let mut script = Script(data);
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut client = Authenticator::new("alice", &session(), None, &mut out);
    let Ok(key) = PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(1)) else { return };
    let mut request = None;
    let mut proving = false;
    let mut failed = None;
    while let Some(choice) = script.byte() {
        let before = out.len();
        let sent = match choice % 8 {
            0 => client.try_none(&mut out),
            1 => client.try_password(Secret::new("secret".to_string()), &mut out),
            2 => client.try_key(&key, &mut out),
            3 => client.ask_key(key.public(), SignatureAlgorithm::Ed25519, &mut out),
            4 => {
                client.set_server_sig_algs(SignatureAlgorithm::ALL.to_vec());
                continue;
            }
            5 => {
                let Some(request) = request.take() else { continue };
                let Ok(signature) = sign(&key, &request) else { continue };
                client.signed(&request, &signature, &mut out)
            }
            _ => {
                let waiting = client.is_waiting();
                let result = client.handle(script.payload(), &mut out);
                assert!(failed.is_none() || result.as_ref().err() == failed.as_ref());
                match result {
                    Ok(Some(AuthEvent::Success(_))) => assert!(waiting && proving),
                    Ok(Some(AuthEvent::KeyAccepted(asked))) => {
                        assert!(waiting && !proving);
                        request = Some(asked);
                    }
                    Ok(_) => {}
                    Err(error) => failed = Some(error),
                }
                continue;
            }
        };
        assert_eq!(sent.is_ok(), out.len() == before.saturating_add(1));
        if sent.is_ok() {
            proving = choice % 8 != 3;
        }
    }
    let _lines = client.record().to_string();
}

fn sign(
    key: &PrivateKey,
    request: &crate::client::SignRequest,
) -> Result<Vec<u8>, ssh_keys::SignError> {
    key.sign(request.algorithm(), request.data())
}

/// A server receives what the script says, and its application answers as it says. Nobody gets in
/// but by the answer to a question about a proof, and only once.
///
/// # Panics
/// If one of these does not hold.
pub fn auth_server(data: &[u8]) {
    let mut script = Script(data);
    let mut out: Vec<Vec<u8>> = Vec::new();
    let methods = MethodSet::EMPTY.with(Method::Password).with(Method::PublicKey);
    let limits = Limits::default();
    let mut server = Acceptor::new(&session(), limits, methods);
    let mut open: Option<AuthQuestion> = None;
    while let Some(choice) = script.byte() {
        let result = match choice % 8 {
            0 => open.take().map_or(Ok(None), |question| {
                let proof = !matches!(
                    question.credential(),
                    Credential::None | Credential::Key { proven: false, .. }
                );
                let done = server.is_done();
                let accepted = server.accept(question, &mut out).is_some();
                assert!(!accepted || (proof && !done && server.is_done()));
                Ok(None)
            }),
            1 => open.take().map_or(Ok(None), |q| server.reject(q, &mut out).map(|()| None)),
            2 => {
                if let Some(question) = open.take() {
                    let remaining = MethodSet::EMPTY.with(Method::Password);
                    server.accept_partially(question, remaining, &mut out);
                }
                Ok(None)
            }
            3 => open.take().map_or(Ok(None), |question| {
                server.demand_password_change(question, "again", &mut out).map(|()| None)
            }),
            4 => server.poll(&mut out),
            _ => server.handle(script.payload(), &mut out),
        };
        if let Ok(Some(ServerAuthEvent::Request(question))) = result {
            assert!(open.is_none() && !server.is_done());
            open = Some(question);
        }
    }
    let failures = out.iter().filter(|payload| payload.first() == Some(&51)).count();
    let most = usize::try_from(limits.max_requests).unwrap_or(usize::MAX);
    assert!(failures <= most && out.iter().filter(|payload| **payload == [52]).count() <= 1);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_script_breaks_a_target(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, target) in TARGETS {
                target(&data);
            }
        }

        /// Scripts of well-formed messages get further than random bytes.
        #[test]
        fn no_order_of_real_messages_breaks_a_target(
            choices in proptest::collection::vec((0u8..8, 0usize..REAL.len()), 0..40)
        ) {
            let mut data = Vec::new();
            for (choice, which) in choices {
                data.push(choice);
                if choice >= 5 {
                    data.push(u8::try_from(REAL[which].len()).unwrap());
                    data.extend_from_slice(REAL[which]);
                }
            }
            for (_, target) in TARGETS {
                target(&data);
            }
        }
    }

    const REAL: &[&[u8]] = &[
        b"\x05\0\0\0\x0cssh-userauth",
        b"\x06\0\0\0\x0cssh-userauth",
        b"\x33\0\0\0\x09publickey\0",
        b"\x33\0\0\0\x08password\x01",
        b"\x34",
        b"\x35\0\0\0\x02hi\0\0\0\0",
        b"\x3c\0\0\0\x02hi\0\0\0\0",
        b"\x32\0\0\0\x01a\0\0\0\x0essh-connection\0\0\0\x04none",
        b"\x32\0\0\0\x01a\0\0\0\x0essh-connection\0\0\0\x08password\0\0\0\0\x02pw",
        b"\x32\0\0\0\x01a\0\0\0\x0essh-connection\0\0\0\x08password\x01\0\0\0\x02pw\0\0\0\x01n",
        b"\x32\0\0\0\x01b\0\0\0\x0essh-connection\0\0\0\x08password\0\0\0\0\x02pw",
    ];
}
