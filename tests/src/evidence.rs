//! What shows that each algorithm is right: recordings that are replayed byte by byte, and peers
//! that negotiate it in the tests. The interop tests go through these tables, and
//! `docs/algorithms.md` is made of them, so the three cannot say different things.

use ssh_transport::{CipherAlgorithm, MacAlgorithm};

/// Another implementation, with which an algorithm is negotiated in both directions where nothing
/// else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Debian 12's OpenSSH 9.2, the 10.0 of its backports, and 10.6.
    OpenSsh,
    /// Not the 9.2 of them.
    OpenSsh10,
    /// Only the 10.6.
    OpenSsh10_6,
    /// AsyncSSH, a library in Python.
    AsyncSsh,
    /// Dropbear, of devices with little memory.
    Dropbear,
    /// ssh2, a library in JavaScript.
    Ssh2,
    /// Only its client: its server offers the algorithm, and then fails.
    Ssh2Client,
    /// PuTTY, which is a client only.
    Putty,
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

use Peer::{AsyncSsh, Dropbear, OpenSsh, OpenSsh10, OpenSsh10_6, Putty, Ssh2, Ssh2Client};

/// Key exchange methods.
pub const KEX: &[Evidence] = &[
    shown("mlkem768x25519-sha256", &[OpenSsh10, AsyncSsh, Dropbear, Putty], true),
    shown("sntrup761x25519-sha512", &[OpenSsh, Dropbear, Putty], true),
    shown("sntrup761x25519-sha512@openssh.com", &[OpenSsh, Dropbear, Putty], false),
    shown("curve25519-sha256", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("curve25519-sha256@libssh.org", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("ecdh-sha2-nistp256", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("ecdh-sha2-nistp384", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("ecdh-sha2-nistp521", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("diffie-hellman-group-exchange-sha256", &[OpenSsh, AsyncSsh, Ssh2Client, Putty], true),
    shown("diffie-hellman-group16-sha512", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("diffie-hellman-group18-sha512", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("diffie-hellman-group14-sha256", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("mlkem768nistp256-sha256", &[OpenSsh10_6, AsyncSsh, Putty], true),
    shown("mlkem1024nistp384-sha384", &[AsyncSsh, Putty], false),
    shown("diffie-hellman-group15-sha512", &[AsyncSsh, Ssh2, Putty], false),
    shown("diffie-hellman-group17-sha512", &[AsyncSsh, Ssh2, Putty], false),
    shown("diffie-hellman-group14-sha1", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("diffie-hellman-group-exchange-sha1", &[OpenSsh, AsyncSsh, Ssh2Client, Putty], true),
    shown("diffie-hellman-group1-sha1", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
];

/// Host key algorithms. (Those of tokens are tested with keys and certificates of `ssh-keygen`, and
/// between our two sides.)
pub const HOST_KEYS: &[Evidence] = &[
    shown("ssh-ed25519", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("ecdsa-sha2-nistp256", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("ecdsa-sha2-nistp384", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("ecdsa-sha2-nistp521", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("rsa-sha2-512", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("rsa-sha2-256", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("ssh-mldsa44-ed25519", &[OpenSsh10_6], true),
    shown("ssh-rsa", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
];

/// Host certificates. (Users' certificates of the same types are tested beside them.)
pub const HOST_CERTIFICATES: &[Evidence] = &[
    shown("ssh-ed25519-cert-v01@openssh.com", &[OpenSsh], false),
    shown("ecdsa-sha2-nistp256-cert-v01@openssh.com", &[OpenSsh], false),
    shown("ecdsa-sha2-nistp384-cert-v01@openssh.com", &[OpenSsh], false),
    shown("ecdsa-sha2-nistp521-cert-v01@openssh.com", &[OpenSsh], false),
    shown("rsa-sha2-512-cert-v01@openssh.com", &[OpenSsh], false),
    shown("rsa-sha2-256-cert-v01@openssh.com", &[OpenSsh], false),
    shown("ssh-mldsa44-ed25519-cert", &[OpenSsh10_6], false),
];

/// Ciphers.
pub const CIPHERS: &[Evidence] = &[
    shown("aes128-gcm@openssh.com", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("aes256-gcm@openssh.com", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("chacha20-poly1305@openssh.com", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("aes128-ctr", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("aes192-ctr", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("aes256-ctr", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("aes128-cbc", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("aes192-cbc", &[OpenSsh, AsyncSsh, Ssh2, Putty], false),
    shown("aes256-cbc", &[OpenSsh, AsyncSsh, Ssh2, Putty], false),
    shown("3des-cbc", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
];

/// MACs.
pub const MACS: &[Evidence] = &[
    shown("hmac-sha2-256-etm@openssh.com", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("hmac-sha2-512-etm@openssh.com", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("umac-128-etm@openssh.com", &[OpenSsh, AsyncSsh], true),
    shown("umac-64-etm@openssh.com", &[OpenSsh, AsyncSsh], true),
    shown("hmac-sha2-256", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("hmac-sha2-512", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("umac-128@openssh.com", &[OpenSsh, AsyncSsh], false),
    shown("umac-64@openssh.com", &[OpenSsh, AsyncSsh], true),
    shown("hmac-sha1-etm@openssh.com", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("hmac-sha1", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
    shown("hmac-sha1-96", &[OpenSsh, AsyncSsh, Ssh2, Putty], false),
    shown("hmac-md5", &[OpenSsh, AsyncSsh, Ssh2, Putty], false),
];

/// Compression.
pub const COMPRESSION: &[Evidence] = &[
    shown("none", &[OpenSsh, AsyncSsh, Dropbear, Ssh2, Putty], true),
    shown("zlib@openssh.com", &[OpenSsh, AsyncSsh, Ssh2, Putty], true),
];

/// A column of a table.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// The implementation and its version.
    pub title: &'static str,
    /// What of [`Evidence::peers`] says that it negotiates an algorithm in both directions.
    pub both: &'static [Peer],
    /// What says that its client does with our server.
    pub client: &'static [Peer],
}

/// The columns of a table.
pub const COLUMNS: &[Column] = &[
    column("OpenSSH 9.2", &[OpenSsh], &[]),
    column("OpenSSH 10.0", &[OpenSsh, OpenSsh10], &[]),
    column("OpenSSH 10.6", &[OpenSsh, OpenSsh10, OpenSsh10_6], &[]),
    column("AsyncSSH 2.24", &[AsyncSsh], &[]),
    column("Dropbear 2026", &[Dropbear], &[]),
    column("ssh2 1.17", &[Ssh2], &[Ssh2Client]),
    column("PuTTY 0.85", &[], &[Putty]),
];

const fn column(title: &'static str, both: &'static [Peer], client: &'static [Peer]) -> Column {
    Column { title, both, client }
}

/// The names of a table that one of `peers` negotiates.
pub fn with(table: &'static [Evidence], peers: &[Peer]) -> impl Iterator<Item = &'static str> {
    table.iter().filter(|row| row.has(peers)).map(|row| row.name)
}

/// The names of a table that this generation of OpenSSH negotiates.
pub fn with_openssh(
    table: &'static [Evidence],
    peer: &crate::peer::Peer,
) -> impl Iterator<Item = &'static str> + use<> {
    with(table, COLUMNS[peer.generation() as usize].both)
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
