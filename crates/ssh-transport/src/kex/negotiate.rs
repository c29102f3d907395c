//! Choosing the algorithms (RFC 4253 §7.1): the client's first that the server has too.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use ssh_wire::{NameList, PeerText};

use crate::{
    Role,
    algorithm::{
        Algorithm, AlgorithmKind, CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm,
        KexAlgorithm, MacAlgorithm, Standing,
    },
    error::NoCommonAlgorithm,
    message::KexInit,
    preferences::Preferences,
    remedy::Remedy,
};

/// What this side offers, the most preferred first.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the lists of KEXINIT are a closed set")]
pub struct Offer<'a> {
    /// Key exchange methods.
    pub kex: &'a [KexAlgorithm],
    /// Host key algorithms.
    pub host_keys: &'a [HostKeyAlgorithm],
    /// Ciphers, for both directions.
    pub ciphers: &'a [CipherAlgorithm],
    /// MACs, for both directions.
    pub macs: &'a [MacAlgorithm],
    /// Compression, for both directions.
    pub compression: &'a [CompressionAlgorithm],
}

impl Preferences {
    /// The preferences as they are offered.
    #[must_use]
    pub fn offer(&self) -> Offer<'_> {
        Offer {
            kex: self.kex().as_slice(),
            host_keys: self.host_keys().as_slice(),
            ciphers: self.ciphers().as_slice(),
            macs: self.macs().as_slice(),
            compression: self.compression().as_slice(),
        }
    }
}

/// The protection of one direction: a cipher, and a MAC exactly where the cipher needs one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protection {
    cipher: CipherAlgorithm,
    mac: Option<MacAlgorithm>,
}

impl Protection {
    /// The cipher.
    #[must_use]
    pub const fn cipher(self) -> CipherAlgorithm {
        self.cipher
    }

    /// The MAC; none for ciphers that authenticate themselves.
    #[must_use]
    pub const fn mac(self) -> Option<MacAlgorithm> {
        self.mac
    }
}

#[cfg(any(test, feature = "fuzzing"))]
impl Protection {
    /// For tests of single protections.
    pub(crate) fn of(cipher: CipherAlgorithm, mac: MacAlgorithm) -> Self {
        Self { cipher, mac: (!cipher.is_aead()).then_some(mac) }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.cipher)?;
        match self.mac {
            Some(mac) => write!(f, " with {mac}"),
            None => Ok(()),
        }
    }
}

/// What both sides are going to use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The key exchange method.
    pub kex: KexAlgorithm,
    /// The algorithm of the server's host key.
    pub host_key: HostKeyAlgorithm,
    /// How packets of the client are protected.
    pub client_to_server: Protection,
    /// How packets of the server are protected.
    pub server_to_client: Protection,
    /// How packets of the client are compressed, once the user is authenticated.
    pub compression_to_server: CompressionAlgorithm,
    /// The same for packets of the server.
    pub compression_to_client: CompressionAlgorithm,
    /// Whether the connection keeps the rules of strict key exchange.
    pub strict: bool,
}

impl Negotiated {
    /// What of it is known to be weak, by name; see [`Standing::Legacy`](crate::Standing).
    #[must_use]
    pub fn weak(&self) -> Vec<&'static str> {
        fn name<T: Algorithm>(algorithm: T) -> Option<&'static str> {
            (algorithm.standing() == Standing::Legacy).then(|| algorithm.name())
        }
        let (to_server, to_client) = (self.client_to_server, self.server_to_client);
        let mut weak: Vec<_> = [
            name(self.kex),
            name(self.host_key),
            name(to_server.cipher),
            to_server.mac.and_then(name),
            name(to_client.cipher),
            to_client.mac.and_then(name),
        ]
        .into_iter()
        .flatten()
        .collect();
        weak.dedup();
        weak
    }
}

impl fmt::Display for Negotiated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, host key {}", self.kex, self.host_key.name())?;
        if self.client_to_server == self.server_to_client {
            write!(f, ", {}", self.client_to_server)?;
        } else {
            write!(f, ", to server {}", self.client_to_server)?;
            write!(f, ", to client {}", self.server_to_client)?;
        }
        if self.compression_to_server == self.compression_to_client {
            if self.compression_to_server != CompressionAlgorithm::None {
                write!(f, ", {}", self.compression_to_server)?;
            }
        } else {
            write!(f, ", compression to server {}", self.compression_to_server)?;
            write!(f, ", to client {}", self.compression_to_client)?;
        }
        f.write_str(if self.strict { ", strict" } else { ", not strict" })?;
        match self.weak().as_slice() {
            [] => Ok(()),
            weak => write!(f, "; weak: {}", weak.join(", ")),
        }
    }
}

/// Chooses for each list. Whether the connection is strict is not decided here: it follows from
/// the first exchange alone, and `strict` of the result is false.
///
/// # Errors
/// [`NoCommonAlgorithm`] for the first list, in the order of `KEXINIT`, where nothing is common.
pub fn negotiate(
    ours: &Offer<'_>,
    theirs: &KexInit<'_>,
    role: Role,
) -> Result<Negotiated, Box<NoCommonAlgorithm>> {
    let kex = choose(role, ours.kex, theirs.kex_algorithms)?;
    let host_key = choose(role, ours.host_keys, theirs.server_host_key_algorithms)?;
    let to_server = choose(role, ours.ciphers, theirs.encryption_client_to_server)?;
    let to_client = choose(role, ours.ciphers, theirs.encryption_server_to_client)?;
    let mac = |cipher: CipherAlgorithm, macs| -> Result<_, Box<NoCommonAlgorithm>> {
        // Where the cipher authenticates, nobody looks at the list of MACs (RFC 5647 is ignored
        // on this point, as by everybody).
        if cipher.is_aead() { Ok(None) } else { choose(role, ours.macs, macs).map(Some) }
    };
    let client_to_server =
        Protection { cipher: to_server, mac: mac(to_server, theirs.mac_client_to_server)? };
    let server_to_client =
        Protection { cipher: to_client, mac: mac(to_client, theirs.mac_server_to_client)? };
    let compression_to_server =
        choose(role, ours.compression, theirs.compression_client_to_server)?;
    let compression_to_client =
        choose(role, ours.compression, theirs.compression_server_to_client)?;
    Ok(Negotiated {
        kex,
        host_key,
        client_to_server,
        server_to_client,
        compression_to_server,
        compression_to_client,
        strict: false,
    })
}

fn choose<T: Algorithm>(
    role: Role,
    ours: &[T],
    theirs: NameList<'_>,
) -> Result<T, Box<NoCommonAlgorithm>> {
    let chosen = match role {
        Role::Client => ours.iter().copied().find(|algorithm| theirs.contains(algorithm.name())),
        Role::Server => theirs.iter().filter_map(T::from_name).find(|found| ours.contains(found)),
    };
    chosen.ok_or_else(|| {
        let names = ours.iter().map(|algorithm| algorithm.name()).collect();
        nothing_common(T::KIND, names, theirs)
    })
}

fn nothing_common(
    kind: AlgorithmKind,
    ours: Vec<&'static str>,
    theirs: NameList<'_>,
) -> Box<NoCommonAlgorithm> {
    let mut remedies: Vec<_> = theirs.iter().filter_map(|name| Remedy::of(kind, name)).collect();
    // The sound ones first, and what this build has.
    remedies.sort_by_key(|remedy| (remedy.cost.is_some(), !remedy.built_in));
    Box::new(NoCommonAlgorithm { kind, ours, theirs: PeerText::from(theirs.as_str()), remedies })
}
