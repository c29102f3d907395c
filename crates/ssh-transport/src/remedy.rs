//! What would let two sides agree, and what that would cost.

use core::fmt;

use crate::algorithm::{
    Algorithm, AlgorithmKind, CipherAlgorithm, HostKeyAlgorithm, KexAlgorithm, MacAlgorithm,
};

/// An algorithm of the peer's that this side could offer, and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remedy {
    /// What it is for, and so which list it would have to be added to.
    pub kind: AlgorithmKind,
    /// Its name.
    pub name: &'static str,
    /// What is wrong with it; `None` where it is only not offered by those who do not ask.
    pub cost: Option<&'static str>,
    /// Whether this build has it: what is weak needs the cargo feature `legacy`.
    pub built_in: bool,
}

/// What is known of weak algorithms, whether this build has them or not.
const WEAK: &[(AlgorithmKind, &str, &str)] = &[
    (AlgorithmKind::Kex, "diffie-hellman-group14-sha1", "SHA-1 can be made to collide"),
    (
        AlgorithmKind::Kex,
        "diffie-hellman-group-exchange-sha1",
        "SHA-1 can be made to collide, and the group may be too small",
    ),
    (
        AlgorithmKind::Kex,
        "diffie-hellman-group1-sha1",
        "its one group of 1024 bits is within reach of states, for every connection at once",
    ),
    (AlgorithmKind::HostKey, "ssh-rsa", "a forged SHA-1 signature can pretend to be the server"),
    (AlgorithmKind::Cipher, "aes128-cbc", CBC),
    (AlgorithmKind::Cipher, "aes192-cbc", CBC),
    (AlgorithmKind::Cipher, "aes256-cbc", CBC),
    (
        AlgorithmKind::Cipher,
        "3des-cbc",
        "after some gigabytes under one key, equal blocks show plaintext",
    ),
    (AlgorithmKind::Mac, "hmac-sha1-etm@openssh.com", SHA1_MAC),
    (AlgorithmKind::Mac, "hmac-sha1", SHA1_MAC),
    (AlgorithmKind::Mac, "hmac-sha1-96", "the tag is short, and its hash is old"),
    (AlgorithmKind::Mac, "hmac-md5", "MD5 is broken; its HMAC only has not been yet"),
];

const CBC: &str = "who may inject packets can learn a little plaintext of each";
const SHA1_MAC: &str = "SHA-1 is broken; its HMAC is not known to be";

impl Remedy {
    /// The algorithm called `name`, if offering it would help.
    pub(crate) fn of(kind: AlgorithmKind, name: &str) -> Option<Self> {
        let known = match kind {
            AlgorithmKind::Kex => spelled::<KexAlgorithm>(name),
            AlgorithmKind::HostKey => spelled::<HostKeyAlgorithm>(name),
            AlgorithmKind::Cipher => spelled::<CipherAlgorithm>(name),
            AlgorithmKind::Mac => spelled::<MacAlgorithm>(name),
            AlgorithmKind::Compression | AlgorithmKind::Signature => return None,
        };
        let weak = WEAK.iter().find(|(of, weak, _)| *of == kind && *weak == name);
        let name = known.or(weak.map(|(_, name, _)| *name))?;
        Some(Self { kind, name, cost: weak.map(|(_, _, cost)| *cost), built_in: known.is_some() })
    }
}

fn spelled<T: Algorithm>(name: &str) -> Option<&'static str> {
    T::from_name(name).map(T::name)
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name, cost, built_in } = self;
        write!(f, "{}=+{name} would agree", kind.option())?;
        if let Some(cost) = cost {
            write!(f, ", at a cost: {cost}")?;
        }
        if !built_in {
            f.write_str(" (and this build lacks it: it needs the feature `legacy`)")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::ToString, vec::Vec};

    #[test]
    fn everything_legacy_has_a_cost_and_nothing_else_does() {
        fn check<T: Algorithm>() -> Vec<&'static str> {
            let legacy = |algorithm: &T| algorithm.standing() == crate::Standing::Legacy;
            for algorithm in T::all() {
                let remedy = Remedy::of(T::KIND, algorithm.name()).unwrap();
                assert_eq!(remedy.cost.is_some(), legacy(algorithm), "{remedy}");
                assert!(remedy.built_in);
            }
            T::all().iter().copied().filter(legacy).map(T::name).collect()
        }
        let (kex, ciphers) = (check::<KexAlgorithm>(), check::<CipherAlgorithm>());
        let macs = check::<MacAlgorithm>();
        check::<HostKeyAlgorithm>();
        let known: Vec<_> = [kex, ciphers, macs].concat();
        let kinds = [AlgorithmKind::Kex, AlgorithmKind::Cipher, AlgorithmKind::Mac];
        let weak = WEAK.iter().filter(|(kind, ..)| kinds.contains(kind));
        let weak: Vec<_> = weak.map(|(_, name, _)| *name).collect();
        assert!(known.iter().all(|name| weak.contains(name)));
        assert_eq!(known.len(), if cfg!(feature = "legacy") { weak.len() } else { 0 });
    }

    #[test]
    fn a_remedy_says_which_switch_and_at_what_cost() {
        let remedy = Remedy::of(AlgorithmKind::Cipher, "3des-cbc").unwrap();
        let text = remedy.to_string();
        assert!(text.starts_with("Ciphers=+3des-cbc would agree, at a cost: after"), "{text}");
        assert_eq!(text.contains("feature `legacy`"), !cfg!(feature = "legacy"));
        let sound = Remedy::of(AlgorithmKind::Kex, "mlkem1024nistp384-sha384").unwrap();
        assert_eq!(sound.to_string(), "KexAlgorithms=+mlkem1024nistp384-sha384 would agree");
        assert_eq!(Remedy::of(AlgorithmKind::Cipher, "arcfour"), None);
        assert_eq!(Remedy::of(AlgorithmKind::Mac, "3des-cbc"), None);
    }
}
