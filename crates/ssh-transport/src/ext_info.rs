//! `EXT_INFO` (RFC 8308): what a side has beyond RFC 4253.

use alloc::{string::String, vec::Vec};

use ssh_keys::SignatureAlgorithm;
use ssh_wire::{DecodeError, DecodeErrorKind, Message, NameList, Reader};

use crate::{Role, message::ExtInfo};

/// The signature algorithms that a server accepts from users (RFC 8308 §3.1).
const SERVER_SIG_ALGS: &[u8] = b"server-sig-algs";
/// The sender answers pings (OpenSSH PROTOCOL §1.8).
const PING: &[u8] = b"ping@openssh.com";
/// A client takes a second `EXT_INFO` during authentication, whose algorithms may depend on the
/// user (OpenSSH PROTOCOL §1.11).
const EXT_INFO_IN_AUTH: &[u8] = b"ext-info-in-auth@openssh.com";
/// The version of the extensions that have one.
const VERSION_0: &[u8] = b"0";

/// What the peer told.
#[derive(Debug, Default)]
pub(crate) struct PeerExtensions {
    pub(crate) server_sig_algs: Option<Vec<SignatureAlgorithm>>,
    pub(crate) ping: bool,
    /// How many `EXT_INFO` came.
    pub(crate) count: u8,
}

impl PeerExtensions {
    /// Takes what a message tells. The algorithms are replaced by a second message, everything
    /// else is in the first. Unknown names are ignored.
    pub(crate) fn update(&mut self, peer: Role, payload: &[u8]) -> Result<(), DecodeError> {
        let message = ExtInfo::parse(payload)?;
        for (name, value) in message.entries() {
            match *name {
                SERVER_SIG_ALGS if peer == Role::Server => {
                    self.server_sig_algs = Some(algorithms(value)?);
                }
                PING if self.count == 0 => self.ping = *value == VERSION_0,
                _ => {}
            }
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }
}

/// Two names of the JavaScript library `ssh2` (up to 1.17 at least), which forgets the comma
/// between them.
const RUN_TOGETHER: (&str, [SignatureAlgorithm; 2]) = (
    "ecdsa-sha2-nistp521rsa-sha2-512",
    [SignatureAlgorithm::EcdsaP521, SignatureAlgorithm::RsaSha512],
);

/// The known algorithms of a list, each once.
fn algorithms(names: &[u8]) -> Result<Vec<SignatureAlgorithm>, DecodeError> {
    let reader = Reader::new(ExtInfo::NAME, names);
    let error = reader.error(DecodeErrorKind::BadName);
    let names = core::str::from_utf8(names).ok().and_then(NameList::from_text);
    let mut list = Vec::new();
    let known = names.ok_or(error)?.iter().flat_map(|name| {
        let both = if name == RUN_TOGETHER.0 { &RUN_TOGETHER.1[..] } else { &[] };
        // Known by this name only here: RSA with SHA-1 is used by those who ask for it.
        #[cfg(feature = "legacy")]
        let both = if name == "ssh-rsa" { &[SignatureAlgorithm::RsaSha1][..] } else { both };
        SignatureAlgorithm::from_name(name).into_iter().chain(both.iter().copied())
    });
    for algorithm in known {
        if !list.contains(&algorithm) {
            list.push(algorithm);
        }
    }
    Ok(list)
}

/// What `role` tells, as a payload.
pub(crate) fn ours(role: Role) -> Vec<u8> {
    let mut names = String::new();
    for algorithm in SignatureAlgorithm::ALL {
        if !names.is_empty() {
            names.push(',');
        }
        names.push_str(algorithm.name());
    }
    let message = match role {
        Role::Client => ExtInfo::new(&[(EXT_INFO_IN_AUTH, VERSION_0)]),
        Role::Server => ExtInfo::new(&[(SERVER_SIG_ALGS, names.as_bytes()), (PING, VERSION_0)]),
    };
    let mut payload = Vec::new();
    ssh_wire::Encode::encode(&message, &mut payload);
    payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_wire::{Decode, Encode};

    fn payload(entries: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        ExtInfo::new(entries).encode(&mut out);
        out
    }

    #[test]
    fn a_client_understands_what_a_server_of_ours_tells() {
        let mut peer = PeerExtensions::default();
        peer.update(Role::Server, &ours(Role::Server)).unwrap();
        assert_eq!(peer.server_sig_algs.as_deref(), Some(SignatureAlgorithm::ALL));
        assert!(peer.ping);
    }

    #[test]
    fn a_second_message_replaces_the_algorithms_and_nothing_else() {
        let mut peer = PeerExtensions::default();
        let first: [(&[u8], &[u8]); 2] =
            [(SERVER_SIG_ALGS, b"x,ssh-ed25519,ssh-ed25519"), (b"?", b"\0")];
        peer.update(Role::Server, &payload(&first)).unwrap();
        assert_eq!(peer.server_sig_algs, Some(alloc::vec![SignatureAlgorithm::Ed25519]));
        peer.update(Role::Server, &payload(&[(SERVER_SIG_ALGS, b""), (PING, b"0")])).unwrap();
        assert_eq!(peer.server_sig_algs, Some(Vec::new()));
        assert!(!peer.ping);
    }

    #[test]
    fn a_comma_that_a_library_forgets_costs_no_algorithm() {
        let mut peer = PeerExtensions::default();
        let names = b"ssh-ed25519,ecdsa-sha2-nistp521rsa-sha2-512,rsa-sha2-256";
        peer.update(Role::Server, &payload(&[(SERVER_SIG_ALGS, names)])).unwrap();
        let names = peer.server_sig_algs.unwrap().into_iter().map(SignatureAlgorithm::name);
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["ssh-ed25519", "ecdsa-sha2-nistp521", "rsa-sha2-512", "rsa-sha2-256"]
        );
    }

    #[test]
    fn lists_that_are_none_are_refused_and_those_of_clients_ignored() {
        let bad = payload(&[(SERVER_SIG_ALGS, b"a,,b")]);
        assert!(PeerExtensions::default().update(Role::Server, &bad).is_err());
        let mut peer = PeerExtensions::default();
        peer.update(Role::Client, &bad).unwrap();
        assert_eq!(peer.server_sig_algs, None);
    }

    #[test]
    fn what_a_client_of_ours_tells_means_nothing_to_a_server_of_ours() {
        let mut peer = PeerExtensions::default();
        peer.update(Role::Client, &ours(Role::Client)).unwrap();
        assert!(!peer.ping);
        assert!(ExtInfo::decode(&mut Reader::new("x", &ours(Role::Client))).is_ok());
    }
}
