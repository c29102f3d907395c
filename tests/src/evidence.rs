//! What shows that each algorithm is right: recordings that are replayed byte by byte, and peers
//! that negotiate it in the tests. The interop tests go through these tables, and
//! `docs/algorithms.md` is made of them, so the three cannot say different things.

use ssh_transport::{CipherAlgorithm, MacAlgorithm};

/// Another implementation, with which an algorithm is negotiated in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Debian 12's OpenSSH 9.2, the 10.0 of its backports, and 10.6.
    OpenSsh,
    /// Not the 9.2 of them.
    OpenSsh10,
    /// Only the 10.6.
    OpenSsh10_6,
}

/// An algorithm and what shows that it is right.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// Its name on the wire.
    pub name: &'static str,
    /// Who negotiates it in the tests.
    pub peers: &'static [Peer],
    /// Whether there is a recording of it, with OpenSSH 10.6.
    pub recorded: bool,
}

impl Evidence {
    /// Whether one of `peers` negotiates it.
    #[must_use]
    pub fn has(&self, peers: &[Peer]) -> bool {
        peers.iter().any(|peer| self.peers.contains(peer))
    }
}

const fn shown(name: &'static str, peers: &'static [Peer], recorded: bool) -> Evidence {
    Evidence { name, peers, recorded }
}

use Peer::{OpenSsh, OpenSsh10, OpenSsh10_6};

/// Key exchange methods.
pub const KEX: &[Evidence] = &[
    shown("mlkem768x25519-sha256", &[OpenSsh10], true),
    shown("sntrup761x25519-sha512", &[OpenSsh], true),
    shown("sntrup761x25519-sha512@openssh.com", &[OpenSsh], false),
    shown("curve25519-sha256", &[OpenSsh], true),
    shown("curve25519-sha256@libssh.org", &[OpenSsh], true),
    shown("ecdh-sha2-nistp256", &[OpenSsh], true),
    shown("ecdh-sha2-nistp384", &[OpenSsh], true),
    shown("ecdh-sha2-nistp521", &[OpenSsh], true),
    shown("diffie-hellman-group-exchange-sha256", &[OpenSsh], true),
    shown("diffie-hellman-group16-sha512", &[OpenSsh], true),
    shown("diffie-hellman-group18-sha512", &[OpenSsh], true),
    shown("diffie-hellman-group14-sha256", &[OpenSsh], true),
    shown("mlkem768nistp256-sha256", &[OpenSsh10_6], true),
    shown("mlkem1024nistp384-sha384", &[], false),
    shown("diffie-hellman-group15-sha512", &[], false),
    shown("diffie-hellman-group17-sha512", &[], false),
    shown("diffie-hellman-group14-sha1", &[OpenSsh], true),
    shown("diffie-hellman-group-exchange-sha1", &[OpenSsh], true),
    shown("diffie-hellman-group1-sha1", &[OpenSsh], true),
];

/// Host key algorithms. (Those with certificates, and the keys of tokens, are tested with keys and
/// certificates of `ssh-keygen`, and between our two sides.)
pub const HOST_KEYS: &[Evidence] = &[
    shown("ssh-ed25519", &[OpenSsh], true),
    shown("ecdsa-sha2-nistp256", &[OpenSsh], true),
    shown("ecdsa-sha2-nistp384", &[OpenSsh], true),
    shown("ecdsa-sha2-nistp521", &[OpenSsh], true),
    shown("rsa-sha2-512", &[OpenSsh], true),
    shown("rsa-sha2-256", &[OpenSsh], true),
    shown("ssh-mldsa44-ed25519", &[OpenSsh10_6], true),
    shown("ssh-rsa", &[OpenSsh], true),
];

/// Ciphers.
pub const CIPHERS: &[Evidence] = &[
    shown("aes128-gcm@openssh.com", &[OpenSsh], true),
    shown("aes256-gcm@openssh.com", &[OpenSsh], true),
    shown("chacha20-poly1305@openssh.com", &[OpenSsh], true),
    shown("aes128-ctr", &[OpenSsh], true),
    shown("aes192-ctr", &[OpenSsh], true),
    shown("aes256-ctr", &[OpenSsh], true),
    shown("aes128-cbc", &[OpenSsh], true),
    shown("aes192-cbc", &[OpenSsh], false),
    shown("aes256-cbc", &[OpenSsh], false),
    shown("3des-cbc", &[OpenSsh], true),
];

/// MACs.
pub const MACS: &[Evidence] = &[
    shown("hmac-sha2-256-etm@openssh.com", &[OpenSsh], true),
    shown("hmac-sha2-512-etm@openssh.com", &[OpenSsh], true),
    shown("umac-128-etm@openssh.com", &[OpenSsh], true),
    shown("umac-64-etm@openssh.com", &[OpenSsh], true),
    shown("hmac-sha2-256", &[OpenSsh], true),
    shown("hmac-sha2-512", &[OpenSsh], true),
    shown("umac-128@openssh.com", &[OpenSsh], false),
    shown("umac-64@openssh.com", &[OpenSsh], true),
    shown("hmac-sha1-etm@openssh.com", &[OpenSsh], true),
    shown("hmac-sha1", &[OpenSsh], true),
    shown("hmac-sha1-96", &[OpenSsh], false),
    shown("hmac-md5", &[OpenSsh], false),
];

/// Compression.
pub const COMPRESSION: &[Evidence] =
    &[shown("none", &[OpenSsh], true), shown("zlib@openssh.com", &[OpenSsh], true)];

/// The columns of a table, and what of [`Evidence::peers`] fills them.
pub const COLUMNS: &[(&str, &[Peer])] = &[
    ("OpenSSH 9.2", &[OpenSsh]),
    ("OpenSSH 10.0", &[OpenSsh, OpenSsh10]),
    ("OpenSSH 10.6", &[OpenSsh, OpenSsh10, OpenSsh10_6]),
];

/// The names of a table that one of `peers` negotiates.
pub fn with(
    table: &'static [Evidence],
    peers: &'static [Peer],
) -> impl Iterator<Item = &'static str> {
    table.iter().filter(|row| row.has(peers)).map(|row| row.name)
}

/// The names of a table that this generation of OpenSSH negotiates.
pub fn with_openssh(
    table: &'static [Evidence],
    peer: &crate::peer::Peer,
) -> impl Iterator<Item = &'static str> + use<> {
    with(table, COLUMNS[peer.generation() as usize].1)
}

/// Ciphers with MACs, so that each MAC goes with a cipher in counter mode and one in CBC mode where
/// there are such, and each cipher with several MACs, of both orders of encryption.
#[must_use]
pub fn pairs(
    ciphers: &[CipherAlgorithm],
    macs: &[MacAlgorithm],
) -> Vec<(CipherAlgorithm, MacAlgorithm)> {
    let stream = ciphers.iter().copied().filter(|cipher| !cipher.is_aead());
    let (cbc, ctr): (Vec<_>, Vec<_>) = stream.partition(|cipher| cipher.name().ends_with("-cbc"));
    let pairs = |ciphers: Vec<_>| ciphers.into_iter().cycle().zip(macs.iter().copied());
    pairs(ctr).chain(pairs(cbc)).collect()
}
