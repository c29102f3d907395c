//! RFC 9987 §5.6, and what OpenSSH's `PROTOCOL.agent` says about keys with destinations: who may
//! have a signature over what.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use ssh_keys::{KeyType, PublicKey, SignatureAlgorithm};
use ssh_wire::{DecodeError, DecodeErrorKind, PeerText, Reader, Time};

use super::store::Stored;
use crate::{
    Bindings,
    destination::Destination,
    message::{RSA_SHA2_256, RSA_SHA2_512},
};

/// A request that somebody has to agree with.
///
/// Dropping it leaves a client without an answer: give it to [`Agent::answer`](super::Agent::answer).
#[derive(Clone)]
pub struct Question {
    key: PublicKey,
    blob: Box<[u8]>,
    comment: PeerText,
    algorithm: SignatureAlgorithm,
    data: Vec<u8>,
    generation: u64,
}

impl Question {
    pub(super) fn new(key: &Stored, algorithm: SignatureAlgorithm, data: &[u8]) -> Self {
        Self {
            key: key.private.public().clone(),
            blob: key.blob.clone(),
            comment: PeerText::from(key.comment.as_str()),
            algorithm,
            data: data.to_vec(),
            generation: key.generation,
        }
    }

    /// The key that is to sign.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// What the one who added it called it.
    #[must_use]
    pub const fn comment(&self) -> &PeerText {
        &self.comment
    }

    /// The user of the login that the signature is for, if that is what it is for.
    #[must_use]
    pub fn user(&self) -> Option<PeerText> {
        let request = LoginRequest::parse(&self.data).ok()?;
        Some(PeerText::from(request.user))
    }

    pub(super) const fn blob(&self) -> &[u8] {
        &self.blob
    }

    pub(super) const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question")
            .field("key", &self.key)
            .field("comment", &self.comment)
            .finish_non_exhaustive()
    }
}

/// What to sign with. Without a flag, RSA stands for the one with SHA-1, which does not exist here:
/// who asks so gets a good signature, which says what it is, and may refuse it. (`ssh-add -T` of
/// OpenSSH asks so and takes it.)
pub(super) fn algorithm(key_type: KeyType, flags: u32) -> Option<SignatureAlgorithm> {
    match key_type {
        KeyType::Rsa if flags & RSA_SHA2_512 == 0 && flags & RSA_SHA2_256 != 0 => {
            Some(SignatureAlgorithm::RsaSha256)
        }
        // The flags say something about RSA only.
        other => other.signature_algorithms().first().copied(),
    }
}

/// True if the key may be seen on the connection: it has no destinations, the connection is not
/// bound and so of this host, or each hop on the way here is one that the key may take, and it may
/// be used somewhere from there.
pub(super) fn is_shown(destinations: &[Destination], connection: &Bindings, now: Time) -> bool {
    if destinations.is_empty() {
        return true;
    }
    if connection.failed() {
        return false;
    }
    let Some(last) = connection.all().last() else { return true };
    let leads_on = || {
        destinations
            .iter()
            .any(|d| d.permits(Some(&last.host_key), None, None, now.since_epoch().as_secs()))
    };
    way_is_permitted(destinations, connection, None, now) && (!last.is_forwarding || leads_on())
}

/// Each step from where the agent is to the host that the connection was bound to last.
fn way_is_permitted(
    destinations: &[Destination],
    connection: &Bindings,
    user: Option<&str>,
    now: Time,
) -> bool {
    let mut from = None;
    let mut hops = connection.all().iter().peekable();
    while let Some(hop) = hops.next() {
        let is_last = hops.peek().is_none();
        // Only the last is a login, and only a login has a user.
        let user = user.filter(|_| is_last);
        let is_login = user.is_some();
        if (is_login && hop.is_forwarding) || (!is_last && !hop.is_forwarding) {
            return false;
        }
        if !destinations
            .iter()
            .any(|d| d.permits(from, Some(&hop.host_key), user, now.since_epoch().as_secs()))
        {
            return false;
        }
        from = Some(hop.host_key.as_slice());
    }
    true
}

/// True if the key may sign `data` for this connection. A key with destinations signs nothing but
/// logins, and those only to the host that the connection was bound to last.
pub(super) fn is_permitted(key: &Stored, connection: &Bindings, data: &[u8], now: Time) -> bool {
    if key.destinations.is_empty() {
        return true;
    }
    let Some(last) = connection.all().last() else { return false };
    let Ok(request) = LoginRequest::parse(data) else { return false };
    let is_bound_host = match request.host_key {
        Some(host_key) => host_key == last.host_key,
        // Before OpenSSH 8.9 the request did not name the host; behind a hop it has to.
        None => connection.all().len() == 1,
    };
    request.key == &*key.blob
        && request.session_id == last.session_id
        && is_bound_host
        && way_is_permitted(&key.destinations, connection, Some(request.user), now)
}

/// RFC 4252 §7, what a login signs; or OpenSSH's `PROTOCOL` §3.1, where it names the host as well.
struct LoginRequest<'a> {
    session_id: &'a [u8],
    user: &'a str,
    key: &'a [u8],
    host_key: Option<&'a [u8]>,
}

impl<'a> LoginRequest<'a> {
    const HOST_BOUND: &'static str = "publickey-hostbound-v00@openssh.com";

    fn parse(data: &'a [u8]) -> Result<Self, DecodeError> {
        let invalid = |reader: &Reader<'_>| {
            Err(reader.error(DecodeErrorKind::Invalid("must be a login with a public key")))
        };
        let mut reader = Reader::new("data to sign", data);
        let session_id = reader.field("session id").string()?;
        reader.field("number").number(50)?;
        let user = reader.field("user").utf8()?;
        if reader.field("service").utf8()? != "ssh-connection" {
            return invalid(&reader);
        }
        let host_bound = match reader.field("method").utf8()? {
            "publickey" => false,
            Self::HOST_BOUND => true,
            _ => return invalid(&reader),
        };
        if !reader.field("has signature").boolean()? {
            return invalid(&reader);
        }
        reader.field("algorithm").utf8()?;
        let key = reader.field("key").string()?;
        let host_key = if host_bound { Some(reader.field("host key").string()?) } else { None };
        reader.finish()?;
        Ok(Self { session_id, user, key, host_key })
    }
}

/// Text for the question, as OpenSSH asks it.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.key.fingerprint();
        write!(f, "Allow use of key {}?\nKey fingerprint {fingerprint}.", self.comment)?;
        match self.user() {
            Some(user) => write!(f, "\nIt is for a login as {user}."),
            None => Ok(()),
        }
    }
}
