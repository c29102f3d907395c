//! What an embedder decides.

use alloc::vec::Vec;

use ssh_crypto::agree::DhGroup;
use ssh_keys::{Certificate, PrivateKey, public::MIN_RSA_BITS};

use crate::{ident::Identification, limits::Limits, preferences::Preferences};

/// Settings of a transport; share one between connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The first line that is sent.
    pub identification: Identification,
    /// The algorithms that are offered.
    pub preferences: Preferences,
    /// Bounds on space and time.
    pub limits: Limits,
    /// The server's keys; the first that fits the negotiated algorithm is used.
    pub host_keys: Vec<PrivateKey>,
    /// Certificates over host keys. A server offers one where a client asks for certificates.
    pub host_certificates: Vec<Certificate>,
    /// The groups that a server chooses from in a group exchange (RFC 4419), as
    /// [`parse_moduli`](crate::parse_moduli) reads them. None: those of RFC 3526.
    pub groups: Vec<DhGroup>,
    /// Whether strict key exchange is offered. Without it an attacker in the middle can remove
    /// packets behind the first key exchange (CVE-2023-48795); only tests of old peers turn it
    /// off.
    pub strict_kex: bool,
    /// Client: the smallest RSA key of a host, or of the authority that certified it, in bits.
    /// 2048 unless asked for; less than 1024 are not to be had. (OpenSSH's `RequiredRSASize`.)
    pub min_rsa_bits: usize,
    /// Client: whether the first message of the key exchange follows the first `KEXINIT` at once,
    /// for the method that is preferred most (RFC 4253 §7). That saves a round trip with a server
    /// whose most preferred method and host key algorithm are ours, too; any other server drops
    /// the message, and nothing is lost but its bytes and the work for it. Off unless asked for:
    /// most servers list an RSA key first. In later exchanges the server's order is known, and
    /// the message is sent ahead where it is right.
    pub guess_kex: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            identification: Identification::default(),
            preferences: Preferences::modern(),
            limits: Limits::default(),
            host_keys: Vec::new(),
            host_certificates: Vec::new(),
            groups: Vec::new(),
            strict_kex: true,
            min_rsa_bits: MIN_RSA_BITS,
            guess_kex: false,
        }
    }
}
