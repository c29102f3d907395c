//! Which algorithms are offered, in which order.

use alloc::{string::String, vec::Vec};
use core::fmt;

use ssh_crypto::aead::aes_gcm_is_accelerated;
use ssh_keys::KeyType;

use crate::algorithm::{
    Algorithm, AlgorithmKind, CipherAlgorithm, CompressionAlgorithm, HostKeyAlgorithm,
    KexAlgorithm, MacAlgorithm, Standing,
};

/// Algorithms in order of preference: at least one, none twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(Vec<T>);

impl<T: Algorithm> List<T> {
    /// The algorithms of `items` in order, each once; `None` if there are none.
    #[must_use]
    pub fn new(items: impl IntoIterator<Item = T>) -> Option<Self> {
        let mut list = Vec::new();
        for item in items {
            if !list.contains(&item) {
                list.push(item);
            }
        }
        (!list.is_empty()).then_some(Self(list))
    }

    /// What is offered by those who say nothing else.
    #[must_use]
    pub fn usual() -> Self {
        let usual = |algorithm: &T| algorithm.standing() == Standing::Usual;
        Self(T::all().iter().copied().filter(usual).collect())
    }

    /// All algorithms of the kind but those that are weak.
    #[must_use]
    pub fn sound() -> Self {
        let sound = |algorithm: &T| algorithm.standing() != Standing::Legacy;
        Self(T::all().iter().copied().filter(sound).collect())
    }

    /// The algorithms in order.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }

    /// The names in order.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.0.iter().map(|algorithm| algorithm.name()).collect()
    }

    /// Moves the algorithms that `wanted` picks before the others; both keep their order.
    fn move_to_front(&mut self, wanted: impl Fn(T) -> bool) {
        self.0.sort_by_key(|algorithm| !wanted(*algorithm));
    }

    /// The list after an edit in the notation of OpenSSH's `Ciphers` and its kin.
    fn edited(&self, text: &str) -> Result<Self, PreferencesError> {
        let old = self.0.iter().copied();
        let list = if let Some(names) = text.strip_prefix('+') {
            Self::new(old.chain(parse(names)?))
        } else if let Some(names) = text.strip_prefix('^') {
            Self::new(parse(names)?.into_iter().chain(old))
        } else if let Some(patterns) = text.strip_prefix('-') {
            let keep = |item: &T| !patterns.split(',').any(|pattern| matches(pattern, item.name()));
            Self::new(old.filter(keep))
        } else {
            Self::new(parse(text)?)
        };
        list.ok_or(PreferencesError::Empty { kind: T::KIND })
    }
}

fn parse<T: Algorithm>(names: &str) -> Result<Vec<T>, PreferencesError> {
    let unknown = |name: &str| {
        PreferencesError::Unknown(UnknownAlgorithm {
            kind: T::KIND,
            name: String::from(name),
            known: T::all().iter().map(|algorithm| algorithm.name()).collect(),
        })
    };
    names
        .split(',')
        .filter(|name| !name.is_empty())
        .map(|name| T::from_name(name).ok_or_else(|| unknown(name)))
        .collect()
}

/// Whether `name` is matched by `pattern`, where `*` stands for any characters and `?` for one.
fn matches(pattern: &str, name: &str) -> bool {
    let mut pattern_chars = pattern.chars();
    match pattern_chars.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = pattern_chars.as_str();
            let mut tail = name.chars();
            loop {
                if matches(rest, tail.as_str()) {
                    return true;
                }
                if tail.next().is_none() {
                    return false;
                }
            }
        }
        Some(wanted) => {
            let mut tail = name.chars();
            let found = tail.next();
            found.is_some_and(|found| wanted == '?' || wanted == found)
                && matches(pattern_chars.as_str(), tail.as_str())
        }
    }
}

/// What a side offers in `KEXINIT` (RFC 4253 §7.1), the most preferred first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preferences {
    kex: List<KexAlgorithm>,
    host_keys: List<HostKeyAlgorithm>,
    ciphers: List<CipherAlgorithm>,
    macs: List<MacAlgorithm>,
    compression: List<CompressionAlgorithm>,
    user_keys: List<HostKeyAlgorithm>,
}

impl Preferences {
    /// What a client should offer today, the set of OpenSSH 10's client: post-quantum hybrids
    /// first, AES-GCM or ChaCha20-Poly1305 first by what this machine is fast at, and nothing weak.
    /// No cargo feature changes it.
    #[must_use]
    pub fn modern() -> Self {
        let mut ciphers = List::usual();
        if !aes_gcm_is_accelerated() {
            ciphers.move_to_front(|cipher| cipher == CipherAlgorithm::ChaCha20Poly1305);
        }
        Self {
            kex: List::usual(),
            host_keys: List::usual(),
            ciphers,
            macs: List::usual(),
            compression: List::usual(),
            user_keys: List::sound(),
        }
    }

    /// What a server should offer today: the same without Diffie-Hellman in prime fields, with
    /// which anybody could make it compute for long. OpenSSH 10's server does not offer it either.
    #[must_use]
    pub fn modern_server() -> Self {
        let mut preferences = Self::modern();
        preferences.kex.0.retain(|method| !method.is_finite_field());
        preferences
    }

    /// Key exchange methods.
    #[must_use]
    pub const fn kex(&self) -> &List<KexAlgorithm> {
        &self.kex
    }

    /// Host key algorithms.
    #[must_use]
    pub const fn host_keys(&self) -> &List<HostKeyAlgorithm> {
        &self.host_keys
    }

    /// Ciphers, for both directions.
    #[must_use]
    pub const fn ciphers(&self) -> &List<CipherAlgorithm> {
        &self.ciphers
    }

    /// MACs, for both directions.
    #[must_use]
    pub const fn macs(&self) -> &List<MacAlgorithm> {
        &self.macs
    }

    /// Sets the key exchange methods from names with commas. As in `ssh_config`, a list that
    /// begins with `+` is appended to what is set, one with `^` is put before it, and one with `-`
    /// names what is taken away; there, `*` and `?` are wildcards. What is weak is known to the
    /// cargo feature `legacy` only, and is offered if it is named in full.
    ///
    /// # Errors
    /// A name that is not known (except after `-`: what is not known is not offered), or nothing
    /// left.
    pub fn set_kex(&mut self, names: &str) -> Result<(), PreferencesError> {
        self.kex = self.kex.edited(names)?;
        Ok(())
    }

    /// Sets the host key algorithms; see [`set_kex`](Self::set_kex).
    ///
    /// # Errors
    /// As there.
    pub fn set_host_keys(&mut self, names: &str) -> Result<(), PreferencesError> {
        self.host_keys = self.host_keys.edited(names)?;
        Ok(())
    }

    /// Sets the ciphers of both directions; see [`set_kex`](Self::set_kex).
    ///
    /// # Errors
    /// As there.
    pub fn set_ciphers(&mut self, names: &str) -> Result<(), PreferencesError> {
        self.ciphers = self.ciphers.edited(names)?;
        Ok(())
    }

    /// Sets the MACs of both directions; see [`set_kex`](Self::set_kex).
    ///
    /// # Errors
    /// As there.
    pub fn set_macs(&mut self, names: &str) -> Result<(), PreferencesError> {
        self.macs = self.macs.edited(names)?;
        Ok(())
    }

    /// Compression, for both directions: none, unless something else is set.
    #[must_use]
    pub const fn compression(&self) -> &List<CompressionAlgorithm> {
        &self.compression
    }

    /// Sets the compression of both directions; see [`set_kex`](Self::set_kex).
    ///
    /// # Errors
    /// As there.
    pub fn set_compression(&mut self, names: &str) -> Result<(), PreferencesError> {
        self.compression = self.compression.edited(names)?;
        Ok(())
    }

    /// What a client's user may sign with to log in, and what with a certificate: all that is not
    /// weak, unless something else is set.
    #[must_use]
    pub const fn user_keys(&self) -> &List<HostKeyAlgorithm> {
        &self.user_keys
    }

    /// Sets what a client's user may sign with (`PubkeyAcceptedAlgorithms`); see
    /// [`set_kex`](Self::set_kex). With `+ssh-rsa` an RSA key signs with SHA-1 as well, after the
    /// others, for servers that know nothing else.
    ///
    /// # Errors
    /// As there.
    pub fn set_user_keys(&mut self, names: &str) -> Result<(), PreferencesError> {
        self.user_keys = self.user_keys.edited(names).map_err(PreferencesError::of_signatures)?;
        Ok(())
    }

    /// Moves algorithms of these key types to the front: a client asks for the kind of key that
    /// it knows of a host.
    pub fn prefer_host_key_types(&mut self, types: &[KeyType]) {
        self.host_keys.move_to_front(|algorithm| {
            !algorithm.is_certificate() && types.contains(&algorithm.key_type())
        });
    }

    /// Moves the algorithms with certificates to the front: a client asks for one if it knows an
    /// authority for a host.
    pub fn prefer_host_certificates(&mut self) {
        self.host_keys.move_to_front(HostKeyAlgorithm::is_certificate);
    }
}

impl Default for Preferences {
    fn default() -> Self {
        Self::modern()
    }
}

/// Why preferences cannot be set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PreferencesError {
    /// A name that stands for nothing this crate has.
    Unknown(UnknownAlgorithm),
    /// Nothing would be left to offer.
    Empty {
        /// Of which kind.
        kind: AlgorithmKind,
    },
}

impl PreferencesError {
    /// The same about a list of signature algorithms, which have the names of host keys.
    fn of_signatures(self) -> Self {
        let kind = AlgorithmKind::Signature;
        match self {
            Self::Unknown(error) => Self::Unknown(UnknownAlgorithm { kind, ..error }),
            Self::Empty { .. } => Self::Empty { kind },
        }
    }
}

/// A name that stands for nothing this crate has.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownAlgorithm {
    /// What was being set.
    pub kind: AlgorithmKind,
    /// The name.
    pub name: String,
    /// The names that exist.
    pub known: Vec<&'static str>,
}

impl fmt::Display for PreferencesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(error) => error.fmt(f),
            Self::Empty { kind } => write!(f, "no {kind} would be left to offer"),
        }
    }
}

impl core::error::Error for PreferencesError {}

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, known } = self;
        write!(f, "unknown {kind} {name:?}; known are {}", known.join(","))
    }
}

impl core::error::Error for UnknownAlgorithm {}

#[cfg(test)]
mod tests {
    use super::*;

    fn ciphers(edits: &[&str]) -> Vec<&'static str> {
        let mut preferences = Preferences::modern();
        for edit in edits {
            preferences.set_ciphers(edit).unwrap();
        }
        preferences.ciphers().names()
    }

    #[test]
    fn lists_are_edited_in_the_notation_of_openssh() {
        assert_eq!(ciphers(&["aes256-ctr,aes128-ctr"]), ["aes256-ctr", "aes128-ctr"]);
        assert_eq!(
            ciphers(&["aes128-ctr", "+aes192-ctr,aes128-ctr"]),
            ["aes128-ctr", "aes192-ctr"]
        );
        assert_eq!(ciphers(&["aes128-ctr", "^aes192-ctr"]), ["aes192-ctr", "aes128-ctr"]);
        assert_eq!(ciphers(&["-*ctr,chacha20*,aes?56-gcm@*,3des-cbc"]), ["aes128-gcm@openssh.com"]);
        assert_eq!(ciphers(&["aes128-ctr,aes128-ctr,"]), ["aes128-ctr"]);
    }

    #[test]
    fn unknown_names_and_empty_lists_are_errors_that_leave_things_as_they_were() {
        let mut preferences = Preferences::modern();
        let error = preferences.set_macs("hmac-ripemd160").unwrap_err();
        assert!(matches!(&error, PreferencesError::Unknown(e) if e.name == "hmac-ripemd160"));
        assert_eq!(
            preferences.set_kex("-*"),
            Err(PreferencesError::Empty { kind: AlgorithmKind::Kex })
        );
        assert!(preferences.set_kex("ext-info-c").is_err());
        assert_eq!(preferences, Preferences::modern());
    }

    #[test]
    fn known_key_types_come_first_and_keep_their_order() {
        let mut preferences = Preferences::modern();
        preferences.prefer_host_key_types(&[KeyType::Rsa]);
        let names = preferences.host_keys().names();
        assert!(names.first().unwrap().starts_with("rsa-sha2"), "{names:?}");
        assert_eq!(names.len(), 20);
        preferences.prefer_host_certificates();
        let names = preferences.host_keys().names();
        assert_eq!(names[0], "ssh-ed25519-cert-v01@openssh.com");
        assert!(names[10].starts_with("rsa-sha2"), "{names:?}");
    }

    /// OpenSSH 10's client, but for its order.
    #[test]
    fn what_is_offered_is_the_set_of_openssh_without_sha1_whatever_features_are_on() {
        let preferences = Preferences::modern();
        assert_eq!(
            preferences.kex().names(),
            [
                "mlkem768x25519-sha256",
                "sntrup761x25519-sha512",
                "sntrup761x25519-sha512@openssh.com",
                "curve25519-sha256",
                "curve25519-sha256@libssh.org",
                "ecdh-sha2-nistp256",
                "ecdh-sha2-nistp384",
                "ecdh-sha2-nistp521",
                "diffie-hellman-group-exchange-sha256",
                "diffie-hellman-group16-sha512",
                "diffie-hellman-group18-sha512",
                "diffie-hellman-group14-sha256",
            ]
        );
        let mut ciphers = preferences.ciphers().names();
        ciphers.sort_unstable();
        assert_eq!(
            ciphers,
            [
                "aes128-ctr",
                "aes128-gcm@openssh.com",
                "aes192-ctr",
                "aes256-ctr",
                "aes256-gcm@openssh.com",
                "chacha20-poly1305@openssh.com",
            ]
        );
        assert_eq!(
            preferences.macs().names(),
            [
                "hmac-sha2-256-etm@openssh.com",
                "hmac-sha2-512-etm@openssh.com",
                "umac-128-etm@openssh.com",
                "umac-64-etm@openssh.com",
                "hmac-sha2-256",
                "hmac-sha2-512",
                "umac-128@openssh.com",
                "umac-64@openssh.com",
            ]
        );
    }

    #[test]
    fn a_server_offers_no_diffie_hellman_in_prime_fields() {
        let names = Preferences::modern_server().kex().names();
        assert_eq!(names.len(), 8);
        assert!(names.iter().all(|name| !name.starts_with("diffie-hellman")));
    }

    #[test]
    fn weak_algorithms_need_their_feature_and_their_name() {
        let mut preferences = Preferences::modern();
        let set = preferences.set_ciphers("+3des-cbc");
        assert_eq!(set.is_ok(), cfg!(feature = "legacy"));
        assert_eq!(preferences.ciphers().names().contains(&"3des-cbc"), set.is_ok());
        let set = preferences.set_kex("+diffie-hellman-group1-sha1");
        assert_eq!(set.is_ok(), cfg!(feature = "legacy"));
        let weak = |name: &str| name.contains("sha1") && !name.contains("sha512");
        let all = List::<MacAlgorithm>::sound().names();
        assert!(!all.into_iter().any(weak));
    }
}
