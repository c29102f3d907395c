//! `KEXINIT` (RFC 4253 §7.1): the lists of both sides, and the markers that hide among them.
//!
//! Markers look like key exchange methods and are none: `ext-info-c`, `ext-info-s` (RFC 8308 §2.1)
//! and those of [strict key exchange](super::strict). They are joined to the names here and
//! nowhere else, so they can be neither preferred nor negotiated.

use alloc::{boxed::Box, string::String, vec::Vec};

use ssh_crypto::rng::Rng;
use ssh_keys::KeyType;
use ssh_wire::{Encode, NameList};

use super::{
    method::{self, ClientShare},
    negotiate::Offer,
    strict,
};
use crate::{
    Role,
    algorithm::{Algorithm, HostKeyAlgorithm, KexAlgorithm},
    config::Config,
    message::KexInit,
};

/// The marker of a client that wants `EXT_INFO` (RFC 8308 §2.1).
pub(crate) const EXT_INFO_CLIENT: &str = "ext-info-c";
/// The marker of a server that wants `EXT_INFO`.
pub(crate) const EXT_INFO_SERVER: &str = "ext-info-s";

/// Our `KEXINIT`: its bytes for the exchange hash, and what it offered.
pub(crate) struct OurInit {
    pub(crate) payload: Vec<u8>,
    /// Host key algorithms that this exchange may use.
    host_keys: Vec<HostKeyAlgorithm>,
    /// Client: the private half of the first message of the exchange, if that follows without
    /// waiting for the server.
    pub(crate) guess: Option<Box<dyn ClientShare>>,
}

/// What a peer names first in `KEXINIT`: where this side names the same, a guess is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FirstChoice {
    kex: Option<KexAlgorithm>,
    host_key: Option<HostKeyAlgorithm>,
}

impl FirstChoice {
    /// That of a peer for which no guess is right.
    pub(crate) const UNKNOWN: Self = Self { kex: None, host_key: None };

    pub(crate) fn of(theirs: &KexInit<'_>) -> Self {
        Self {
            kex: theirs.kex_algorithms.first().and_then(KexAlgorithm::from_name),
            host_key: theirs
                .server_host_key_algorithms
                .first()
                .and_then(<HostKeyAlgorithm as Algorithm>::from_name),
        }
    }
}

/// Whether a client sends the first message of the exchange ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ahead {
    /// Not: what the peer wants is known already, or nobody asked for it.
    No,
    /// Yes, whatever the server prefers.
    Yes,
    /// Only if the server prefers the same.
    IfRight(FirstChoice),
}

impl OurInit {
    /// Writes a `KEXINIT`. `key_type` is that of the host key of the first exchange, in later
    /// ones: a client asks for the same key again. Markers are for the first exchange only.
    pub(crate) fn new(
        role: Role,
        config: &Config,
        first: bool,
        key_type: Option<KeyType>,
        ahead: Ahead,
        rng: &mut dyn Rng,
    ) -> Self {
        let offered = config.preferences.host_keys().as_slice().iter().copied();
        let host_keys: Vec<_> = offered
            .filter(|algorithm| match role {
                Role::Client => key_type.is_none_or(|wanted| algorithm.key_type() == wanted),
                Role::Server => super::server::host_key(config, *algorithm).is_some(),
            })
            .collect();
        let mut init = Self { payload: Vec::new(), host_keys, guess: None };
        let offer = init.offer(config);
        let ours = FirstChoice {
            kex: offer.kex.first().copied(),
            host_key: offer.host_keys.first().copied(),
        };
        let wanted = match ahead {
            Ahead::No => false,
            Ahead::Yes => true,
            Ahead::IfRight(theirs) => ours == theirs,
        };
        // The first message of a group exchange has no share in it, and is not sent ahead.
        if let Some(kex) = ours.kex
            && wanted
            && role == Role::Client
            && !kex.is_group_exchange()
        {
            init.guess = method::generate(kex, None, rng).ok();
        }
        init.payload = init.encode(role, config, first, rng);
        init
    }

    fn encode(&self, role: Role, config: &Config, first: bool, rng: &mut dyn Rng) -> Vec<u8> {
        let mut cookie = [0; 16];
        rng.fill(&mut cookie);
        let offer = self.offer(config);
        let mut kex = names(offer.kex);
        if first {
            let mut markers = Vec::new();
            markers.push(match role {
                Role::Client => EXT_INFO_CLIENT,
                Role::Server => EXT_INFO_SERVER,
            });
            if config.strict_kex {
                markers.extend_from_slice(strict::markers(role));
            }
            for marker in markers {
                kex.push(',');
                kex.push_str(marker);
            }
        }
        let host_keys = names(offer.host_keys);
        let ciphers = names(offer.ciphers);
        let macs = names(offer.macs);
        let compression = names(offer.compression);
        let list = |names| NameList::from_text(names).unwrap_or_default();
        let message = KexInit {
            cookie,
            kex_algorithms: list(&kex),
            server_host_key_algorithms: list(&host_keys),
            encryption_client_to_server: list(&ciphers),
            encryption_server_to_client: list(&ciphers),
            mac_client_to_server: list(&macs),
            mac_server_to_client: list(&macs),
            compression_client_to_server: list(&compression),
            compression_server_to_client: list(&compression),
            languages_client_to_server: NameList::default(),
            languages_server_to_client: NameList::default(),
            first_kex_packet_follows: self.guess.is_some(),
            reserved: 0,
        };
        let mut payload = Vec::new();
        message.encode(&mut payload);
        payload
    }

    /// What was offered.
    pub(crate) fn offer<'a>(&'a self, config: &'a Config) -> Offer<'a> {
        Offer { host_keys: &self.host_keys, ..config.preferences.offer() }
    }
}

fn names<T: Algorithm>(list: &[T]) -> String {
    let mut text = String::new();
    for algorithm in list {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(algorithm.name());
    }
    text
}

/// Whether the peer wants `EXT_INFO`.
pub(crate) fn wants_ext_info(peer: Role, theirs: &KexInit<'_>) -> bool {
    theirs.kex_algorithms.contains(match peer {
        Role::Client => EXT_INFO_CLIENT,
        Role::Server => EXT_INFO_SERVER,
    })
}

/// Whether a packet that was sent behind a `KEXINIT` as a guess is the first message of the
/// exchange: both sides name the same method and host key algorithm first. A wrong guess has to be
/// dropped (RFC 4253 §7).
pub(crate) fn guess_is_right(ours: &Offer<'_>, theirs: &KexInit<'_>) -> bool {
    let kex = ours.kex.first().map(|algorithm| algorithm.name());
    let host_key = ours.host_keys.first().map(|algorithm| algorithm.name());
    theirs.kex_algorithms.first() == kex && theirs.server_host_key_algorithms.first() == host_key
}
