//! `session-bind@openssh.com` (OpenSSH's `PROTOCOL.agent` §1): which SSH sessions a connection to
//! an agent serves.
//!
//! The client of the agent tells it: here is the host key of the session, the session identifier,
//! and the signature with which the host proved that it holds the key. With this an agent knows
//! where a request comes from and where a signature will be used.

use alloc::vec::Vec;

use ssh_keys::{Identity, SignatureAlgorithm};
use ssh_wire::{Decode, DecodeError, Encode, Reader};

use crate::limits::{MAX_BINDINGS, MAX_SESSION_ID};

/// The fields of the extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct SessionBind<'a> {
    /// The key by which the host was known in the first key exchange.
    pub host_key: &'a [u8],
    /// The session identifier (RFC 4253 §7.2).
    pub session_id: &'a [u8],
    /// The host's signature over the session identifier, from the first key exchange.
    pub signature: &'a [u8],
    /// True if the agent is forwarded to that host, false if the connection only serves to log in
    /// there.
    pub is_forwarding: bool,
}

impl<'a> Decode<'a> for SessionBind<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            host_key: reader.field("host key").string()?,
            session_id: reader.field("session id").string()?,
            signature: reader.field("signature").string()?,
            is_forwarding: reader.field("is forwarding").boolean()?,
        })
    }
}

impl Encode for SessionBind<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.host_key.encode(out);
        self.session_id.encode(out);
        self.signature.encode(out);
        self.is_forwarding.encode(out);
    }
}

/// What an agent knows about one connection: the sessions it was bound to, the nearest first.
#[derive(Debug, Default)]
pub struct Bindings {
    bound: Vec<Binding>,
    /// True once a binding was tried, whether it succeeded or not.
    tried: bool,
}

#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) host_key: Vec<u8>,
    pub(crate) session_id: Vec<u8>,
    pub(crate) is_forwarding: bool,
}

impl Bindings {
    /// The sessions, the nearest first.
    pub(crate) fn all(&self) -> &[Binding] {
        &self.bound
    }

    /// True if a binding was tried and none succeeded: whoever speaks here wanted to be known, and
    /// is not.
    pub(crate) const fn failed(&self) -> bool {
        self.tried && self.bound.is_empty()
    }

    /// True if somebody on another host speaks here.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.bound.iter().any(|binding| binding.is_forwarding)
    }

    /// Takes note of a session. False if it must not be.
    pub(crate) fn bind(&mut self, contents: &[u8]) -> bool {
        self.tried = true;
        let mut reader = Reader::new("session-bind@openssh.com", contents);
        let Ok(bind) = SessionBind::decode(&mut reader) else { return false };
        if reader.finish().is_err() || bind.session_id.len() > MAX_SESSION_ID {
            return false;
        }
        if !is_signed(&bind) {
            return false;
        }
        for known in &self.bound {
            // Who logs in with this connection has nobody behind it.
            if !known.is_forwarding {
                return false;
            }
            if known.session_id == bind.session_id {
                return known.host_key == bind.host_key;
            }
        }
        if self.bound.len() >= MAX_BINDINGS {
            return false;
        }
        self.bound.push(Binding {
            host_key: bind.host_key.to_vec(),
            session_id: bind.session_id.to_vec(),
            is_forwarding: bind.is_forwarding,
        });
        true
    }
}

/// The host proved that it holds the key, with whatever algorithm the two agreed on.
fn is_signed(bind: &SessionBind<'_>) -> bool {
    let name = Reader::new("signature", bind.signature).utf8().ok();
    let algorithm = name.and_then(SignatureAlgorithm::from_name);
    let host = Identity::from_blob(bind.host_key);
    match (host, algorithm) {
        (Ok(host), Some(algorithm)) => {
            host.key().verify(algorithm, bind.session_id, bind.signature).is_ok()
        }
        _ => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ssh_crypto::rng::SeededRng;
    use ssh_keys::{KeyType, PrivateKey};
    use ssh_wire::testing::payload;

    use super::*;

    pub(crate) fn host(seed: u64) -> PrivateKey {
        PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(seed)).unwrap()
    }

    /// The fields with which a client binds a connection to a session with `host`.
    pub(crate) fn bind(host: &PrivateKey, session_id: &[u8], is_forwarding: bool) -> Vec<u8> {
        let signature = host.sign(SignatureAlgorithm::Ed25519, session_id).unwrap();
        let host_key = host.public().blob();
        payload(&SessionBind { host_key, session_id, signature: &signature, is_forwarding })
    }

    #[test]
    fn a_connection_can_be_bound_to_hops_and_then_to_a_login() {
        let mut bindings = Bindings::default();
        assert!(bindings.bind(&bind(&host(1), b"first", true)));
        assert!(bindings.is_remote());
        assert!(bindings.bind(&bind(&host(2), b"second", true)));
        assert!(bindings.bind(&bind(&host(2), b"second", true)), "the same again is no harm");
        assert!(bindings.bind(&bind(&host(1), b"third", false)));
        assert_eq!(bindings.all().len(), 3);
        assert!(!bindings.bind(&bind(&host(3), b"fourth", true)), "nothing follows a login");
    }

    #[test]
    fn a_session_belongs_to_one_host() {
        let mut bindings = Bindings::default();
        assert!(bindings.bind(&bind(&host(1), b"id", true)));
        assert!(!bindings.bind(&bind(&host(2), b"id", true)));
    }

    #[test]
    fn a_binding_without_a_good_signature_is_refused_and_remembered_as_tried() {
        let mut bindings = Bindings::default();
        assert!(!bindings.failed());
        let good = bind(&host(1), b"id", false);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            // The last byte is a boolean, and every value but zero is true.
            assert_eq!(bindings.bind(&bad), at + 1 == good.len(), "{at}");
            if at + 1 < good.len() {
                assert!(bindings.failed());
            }
            assert!(!Bindings::default().bind(&good[..at]));
        }
        assert!(!Bindings::default().bind(&[&good[..], &[0]].concat()));
    }

    #[test]
    fn sessions_and_their_names_are_bounded() {
        let mut bindings = Bindings::default();
        for hop in 0..MAX_BINDINGS {
            assert!(bindings.bind(&bind(&host(1), &[u8::try_from(hop).unwrap()], true)));
        }
        assert!(!bindings.bind(&bind(&host(1), b"one more", true)));
        let long = [7; MAX_SESSION_ID + 1];
        assert!(!Bindings::default().bind(&bind(&host(1), &long, true)));
        assert!(Bindings::default().bind(&bind(&host(1), &long[1..], true)));
    }
}
