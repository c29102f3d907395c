//! `restrict-destination-v00@openssh.com` (OpenSSH's `PROTOCOL.agent` §2): the hosts at which a key
//! may be used, and the hosts on the way to them.
//!
//! ```text
//! string  all of them:
//!   string  a destination:
//!     string  from: a hop          string  to: a hop          string  reserved
//! hop:  string user   string host   string reserved   (string key, boolean is a CA)*
//! ```
//! (That each destination is a string of its own comes from OpenSSH's code.)

use alloc::{string::String, vec::Vec};

use ssh_keys::{Certificate, PublicKey};
use ssh_wire::{DecodeErrorKind, Encode as _, Reader, put_with_length};

use crate::{ConstraintError, limits::MAX_DESTINATIONS};

/// One step of a way: a key may be used to log in from one host to another.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Destination {
    /// Where the request comes from; a hop without a host stands for where the agent is.
    pub from: Hop,
    /// Where the login goes, and as whom.
    pub to: Hop,
}

/// One host of a way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Hop {
    /// Users, as a pattern with `*` and `?`; empty for all. Only for where the login goes.
    pub user: String,
    /// The host's name, for people. (The keys say which one it is.)
    pub host: String,
    /// The keys of the host.
    pub keys: Vec<HopKey>,
}

/// A key by which a host is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct HopKey {
    /// The public key.
    pub blob: Vec<u8>,
    /// True if the key is that of an authority which certifies hosts.
    pub is_ca: bool,
}

impl Hop {
    /// Where the agent is.
    #[must_use]
    pub const fn is_origin(&self) -> bool {
        self.host.is_empty() && self.keys.is_empty()
    }

    /// True if a host that showed this key or certificate is the one, at `now` (seconds since 1970).
    #[must_use]
    pub fn is_known_by(&self, key: &[u8], now: u64) -> bool {
        self.keys.iter().any(|known| !known.is_ca && known.blob == key)
            || self.is_certified_by(key, now)
    }

    /// True for a certificate of one of the authorities that names the host.
    fn is_certified_by(&self, certificate: &[u8], now: u64) -> bool {
        let Ok(certificate) = Certificate::from_blob(certificate) else { return false };
        let is_ours =
            |key: &PublicKey| self.keys.iter().any(|known| known.is_ca && known.blob == key.blob());
        certificate.verify(is_ours).is_ok_and(|trusted| trusted.for_host(&self.host, now).is_ok())
    }

    fn decode(bytes: &[u8]) -> Result<Self, ConstraintError> {
        let mut reader = Reader::new("hop", bytes);
        let user = reader.field("user").utf8()?.into();
        let host = reader.field("host").utf8()?.into();
        reader.field("reserved").string()?;
        let mut keys = Vec::new();
        while reader.left() > 0 {
            check_count(&reader, keys.len())?;
            let blob = reader.field("key").string()?.to_vec();
            let is_ca = reader.field("is CA").boolean()?;
            keys.push(HopKey { blob, is_ca });
        }
        Ok(Self { user, host, keys })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_with_length(out, |out| {
            self.user.as_str().encode(out);
            self.host.as_str().encode(out);
            "".encode(out);
            for key in &self.keys {
                key.blob.as_slice().encode(out);
                key.is_ca.encode(out);
            }
        });
    }
}

impl Destination {
    /// True if this step leads from a host known by `from` (none for where the agent is) to one
    /// known by `to`, as `user`, at `now` (seconds since 1970). What is not given is not asked for.
    #[must_use]
    pub fn permits(
        &self,
        from: Option<&[u8]>,
        to: Option<&[u8]>,
        user: Option<&str>,
        now: u64,
    ) -> bool {
        let from_fits = match from {
            None => self.from.is_origin(),
            Some(key) => self.from.is_known_by(key, now),
        };
        from_fits
            && to.is_none_or(|key| self.to.is_known_by(key, now))
            && user.is_none_or(|user| {
                self.to.user.is_empty() || fits(self.to.user.as_bytes(), user.as_bytes())
            })
    }
}

/// True if `name` fits a pattern of literal bytes, `?` and `*`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut pattern, mut name) = (pattern, name);
    // Where to go on if what follows the last `*` does not fit: one byte further.
    let mut again: Option<(&[u8], &[u8])> = None;
    loop {
        match (pattern.split_first(), name.split_first()) {
            (Some((b'*', rest)), _) => {
                again = Some((rest, name));
                pattern = rest;
            }
            (Some((wanted, rest)), Some((found, left))) if *wanted == b'?' || wanted == found => {
                (pattern, name) = (rest, left);
            }
            (None, None) => return true,
            _ => {
                let Some((rest, [_, left @ ..])) = again else { return false };
                again = Some((rest, left));
                (pattern, name) = (rest, left);
            }
        }
    }
}

fn check_count(reader: &Reader<'_>, count: usize) -> Result<(), ConstraintError> {
    if count < MAX_DESTINATIONS {
        return Ok(());
    }
    let limit = u64::try_from(MAX_DESTINATIONS).unwrap_or(u64::MAX);
    let kind = DecodeErrorKind::TooMany { count: limit.saturating_add(1), limit };
    Err(reader.error(kind).into())
}

/// Reads what stands in the constraint.
pub(crate) fn decode(bytes: &[u8]) -> Result<Vec<Destination>, ConstraintError> {
    let mut list = Reader::new("destinations", bytes);
    let mut all = Vec::new();
    while list.left() > 0 {
        check_count(&list, all.len())?;
        let mut reader = Reader::new("destination", list.field("destination").string()?);
        let from = Hop::decode(reader.field("from").string()?)?;
        let to = Hop::decode(reader.field("to").string()?)?;
        reader.field("reserved").string()?;
        reader.finish()?;
        // OpenSSH's rules: a key comes from a host with keys or from the agent itself, whoever
        // uses it there; and it goes to a host with keys.
        let from_is_right = from.user.is_empty() && from.host.is_empty() == from.keys.is_empty();
        if !from_is_right || to.host.is_empty() || to.keys.is_empty() {
            return Err(ConstraintError::Hop);
        }
        all.push(Destination { from, to });
    }
    // No destination at all would be a key for everywhere, which nobody can have meant.
    if all.is_empty() { Err(ConstraintError::Hop) } else { Ok(all) }
}

/// Writes what [`decode`] reads, and its length before it.
pub(crate) fn encode(all: &[Destination], out: &mut Vec<u8>) {
    put_with_length(out, |out| {
        for destination in all {
            put_with_length(out, |out| {
                destination.from.encode(out);
                destination.to.encode(out);
                "".encode(out);
            });
        }
    });
}

#[cfg(test)]
pub(crate) mod tests {
    use alloc::vec;

    use proptest::prelude::*;
    use ssh_crypto::rng::SeededRng;
    use ssh_keys::{
        KeyType, PrivateKey, SignatureAlgorithm,
        certificate::{CertificateRequest, Role},
    };

    use super::*;

    pub(crate) fn hop(user: &str, host: &str, keys: &[&[u8]]) -> Hop {
        let keys = keys.iter().map(|blob| HopKey { blob: blob.to_vec(), is_ca: false }).collect();
        Hop { user: user.into(), host: host.into(), keys }
    }

    pub(crate) fn some_destination() -> Destination {
        Destination { from: Hop::default(), to: hop("al*", "h", &[b"one", b"two"]) }
    }

    fn read(all: &[Destination]) -> Result<Vec<Destination>, ConstraintError> {
        let mut bytes = vec![];
        encode(all, &mut bytes);
        decode(&bytes[4..])
    }

    #[test]
    fn destinations_are_read_as_they_are_written() {
        let second = Destination { from: hop("", "h", &[b"one"]), to: hop("", "i", &[b"three"]) };
        let all = vec![some_destination(), second];
        assert_eq!(read(&all), Ok(all));
    }

    #[test]
    fn hops_that_say_too_little_or_too_much_are_refused() {
        let good = some_destination();
        for (from, to) in [
            (hop("user", "", &[]), good.to.clone()),
            (hop("", "host", &[]), good.to.clone()),
            (hop("", "", &[b"key"]), good.to.clone()),
            (good.from.clone(), hop("", "", &[b"key"])),
            (good.from, hop("", "host", &[])),
        ] {
            assert_eq!(read(&[Destination { from, to }]), Err(ConstraintError::Hop));
        }
        assert_eq!(read(&[]), Err(ConstraintError::Hop));
    }

    #[test]
    fn destinations_and_keys_without_end_are_refused() {
        let many = vec![some_destination(); MAX_DESTINATIONS + 1];
        assert!(matches!(read(&many), Err(ConstraintError::Malformed(_))));
        assert!(read(&many[1..]).is_ok());
        let keys = vec![&b"k"[..]; MAX_DESTINATIONS + 1];
        let wide = Destination { from: Hop::default(), to: hop("", "h", &keys) };
        assert!(matches!(read(&[wide]), Err(ConstraintError::Malformed(_))));
    }

    #[test]
    fn a_step_fits_by_the_keys_of_its_hosts_and_by_the_user() {
        let first = some_destination();
        assert!(first.permits(None, Some(b"two"), Some("alice"), 0));
        assert!(first.permits(None, None, None, 0));
        assert!(!first.permits(None, Some(b"three"), Some("alice"), 0));
        assert!(!first.permits(None, Some(b"two"), Some("bob"), 0));
        assert!(!first.permits(Some(b"one"), Some(b"two"), Some("alice"), 0));
        let next = Destination { from: hop("", "h", &[b"one"]), to: hop("", "i", &[b"three"]) };
        assert!(next.permits(Some(b"one"), Some(b"three"), Some("anybody"), 0));
        assert!(!next.permits(None, Some(b"three"), None, 0));
    }

    #[test]
    fn a_certificate_of_the_authority_makes_a_host_known_while_it_is_valid() {
        let key = |seed| PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(seed)).unwrap();
        let (authority, host) = (key(1), key(2));
        let certificate = |name: &str, authority: &PrivateKey| {
            let public = host.public().clone();
            let mut request = CertificateRequest::new(public, Role::Host, "id", name);
            request.valid_before = 100;
            let mut rng = SeededRng::new(3);
            request.issue(authority, SignatureAlgorithm::Ed25519, &mut rng).unwrap()
        };
        let mut to = hop("", "h", &[authority.public().blob()]);
        to.keys[0].is_ca = true;
        let good = certificate("h", &authority);
        assert!(to.is_known_by(good.blob(), 99));
        assert!(!to.is_known_by(good.blob(), 100), "it has expired");
        assert!(!to.is_known_by(certificate("other", &authority).blob(), 99));
        assert!(!to.is_known_by(certificate("h", &key(4)).blob(), 99));
        assert!(!to.is_known_by(host.public().blob(), 99), "not the key alone");
        assert!(!to.is_known_by(authority.public().blob(), 99), "nor the authority itself");
    }

    /// What it means that `name` fits, without any cleverness.
    fn oracle(pattern: &[u8], name: &[u8]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => oracle(rest, name),
            (Some((b'*', rest)), Some((_, left))) => oracle(rest, name) || oracle(pattern, left),
            (Some((b'?', rest)), Some((_, left))) => oracle(rest, left),
            (Some((a, rest)), Some((b, left))) => a == b && oracle(rest, left),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn patterns_mean_what_the_definition_says(pattern in "[ab*?]{0,10}", name in "[ab]{0,10}") {
            let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
            prop_assert_eq!(fits(pattern, name), oracle(pattern, name));
        }

        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(all) = decode(&bytes) {
                prop_assert_eq!(read(&all), Ok(all));
            }
        }
    }
}
