//! RFC 4255, RFC 6594, RFC 7479: fingerprints of host keys in the DNS.
//!
//! The question to the DNS is the caller's, and so is whether the answer can be believed: only one
//! that DNSSEC has validated says anything.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

use ssh_crypto::hash::HashAlgorithm;

use crate::{KeyType, PublicKey, fingerprint::hash};

/// The longest fingerprint that is read from text, in bytes.
const MAX_FINGERPRINT_LEN: usize = 64;

/// The data of an SSHFP record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SshfpRecord {
    algorithm: u8,
    hash: u8,
    fingerprint: Box<[u8]>,
}

/// The hashes of SSHFP records that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "those that the registry has")]
pub enum SshfpHash {
    /// SHA-1 (RFC 4255). It proves nothing any more, but still disproves.
    Sha1,
    /// SHA-256 (RFC 6594).
    Sha256,
}

impl SshfpHash {
    const fn number(self) -> u8 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 2,
        }
    }
}

/// What the records of a host say about the key that it has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between")]
pub enum SshfpVerdict {
    /// A record has the SHA-256 of the key, and none contradicts.
    Matches,
    /// There is a record for keys of this type, and the key is another.
    Differs,
    /// No record says anything about keys of this type that could be relied on.
    Silent,
}

impl SshfpRecord {
    /// A record from its numbers, as a resolver gives them.
    #[must_use]
    pub fn new(algorithm: u8, hash: u8, fingerprint: &[u8]) -> Self {
        Self { algorithm, hash, fingerprint: fingerprint.into() }
    }

    /// The record for a key; `None` if the registry has no number for keys of its type.
    #[must_use]
    pub fn of(key: &PublicKey, with: SshfpHash) -> Option<Self> {
        let algorithm = algorithm_of(key.key_type())?;
        let fingerprint = fingerprint(key, with);
        Some(Self { algorithm, hash: with.number(), fingerprint: fingerprint.into() })
    }

    /// Reads `4 2 hex`, the data of a record as text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split_ascii_whitespace();
        let algorithm = fields.next()?.parse().ok()?;
        let hash = fields.next()?.parse().ok()?;
        let digits: String = fields.collect();
        if !digits.is_ascii() || !digits.len().is_multiple_of(2) {
            return None;
        }
        let fingerprint: Option<Vec<u8>> = (0..digits.len() / 2)
            .map(|at| {
                let from = at.checked_mul(2)?;
                let digits = digits.get(from..from.checked_add(2)?)?;
                digits.bytes().all(|b| b.is_ascii_hexdigit()).then_some(())?;
                u8::from_str_radix(digits, 16).ok()
            })
            .collect();
        let fingerprint = fingerprint?;
        (1..=MAX_FINGERPRINT_LEN).contains(&fingerprint.len()).then(|| Self {
            algorithm,
            hash,
            fingerprint: fingerprint.into(),
        })
    }

    /// What `records`, which can be believed, say about `key`. All records for a type of key that
    /// have a hash which is known have to match.
    #[must_use]
    pub fn compare(records: &[Self], key: &PublicKey) -> SshfpVerdict {
        let Some(algorithm) = algorithm_of(key.key_type()) else { return SshfpVerdict::Silent };
        let mut proven = false;
        let mut matches = |with: SshfpHash| {
            let expected = fingerprint(key, with);
            let mut found = false;
            let mut same = false;
            for record in records {
                if (record.algorithm, record.hash) == (algorithm, with.number()) {
                    found = true;
                    same = same || *record.fingerprint == expected[..];
                }
            }
            proven = proven || (same && with == SshfpHash::Sha256);
            !found || same
        };
        // A host may have several keys of one type, so one record of each hash is enough.
        let agree = matches(SshfpHash::Sha1) & matches(SshfpHash::Sha256);
        if !agree {
            SshfpVerdict::Differs
        } else if proven {
            SshfpVerdict::Matches
        } else {
            SshfpVerdict::Silent
        }
    }
}

fn fingerprint(key: &PublicKey, with: SshfpHash) -> Vec<u8> {
    match with {
        SshfpHash::Sha1 => hash::<20>(HashAlgorithm::Sha1, key.blob()).into(),
        SshfpHash::Sha256 => hash::<32>(HashAlgorithm::Sha256, key.blob()).into(),
    }
}

/// The number of the registry "SSHFP RR Types for public key algorithms".
const fn algorithm_of(key_type: KeyType) -> Option<u8> {
    match key_type {
        KeyType::Rsa => Some(1),
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => Some(3),
        KeyType::Ed25519 => Some(4),
        KeyType::SkEd25519 | KeyType::SkEcdsaP256 | KeyType::MlDsa44Ed25519 => None,
    }
}

/// `4 2 hex`, the data of the record as a zone file has it.
impl fmt::Display for SshfpRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.algorithm, self.hash)?;
        self.fingerprint.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString};

    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn records(key: &PublicKey) -> [SshfpRecord; 2] {
        [SshfpHash::Sha1, SshfpHash::Sha256].map(|hash| SshfpRecord::of(key, hash).unwrap())
    }

    /// `ssh-keygen -r host` of OpenSSH 9.2, without the name.
    #[test]
    fn records_are_those_of_ssh_keygen() {
        let expected = testing::text("sshfp/records");
        let mut ours = String::new();
        for name in ["keys/host_ed25519", "keys/host_ecdsa", "keys/host_ecdsa384", "keys/host_rsa"]
        {
            for record in records(&testing::public(&format!("{name}.pub"))) {
                ours.push_str(&format!("{record}\n"));
                assert_eq!(SshfpRecord::parse(&record.to_string()), Some(record));
            }
        }
        assert_eq!(ours, expected);
        assert_eq!(
            SshfpRecord::of(&testing::public("keys/host_mldsa.pub"), SshfpHash::Sha256),
            None
        );
    }

    #[test]
    fn only_sha256_proves_and_anything_disproves() {
        let (key, _) = testing::some_key(1);
        let (other, _) = testing::some_key(2);
        let ([sha1, sha256], [other_sha1, other_sha256]) = (records(&key), records(&other));
        let rsa = records(&testing::public("keys/host_rsa.pub"));
        let list = |records: &[&SshfpRecord]| -> SshfpVerdict {
            let records: Vec<_> = records.iter().copied().cloned().collect();
            SshfpRecord::compare(&records, &key)
        };
        assert_eq!(list(&[&sha256]), SshfpVerdict::Matches);
        assert_eq!(list(&[&sha1, &sha256]), SshfpVerdict::Matches);
        assert_eq!(list(&[&sha256, &other_sha256]), SshfpVerdict::Matches);
        assert_eq!(list(&[&sha1]), SshfpVerdict::Silent);
        assert_eq!(list(&[]), SshfpVerdict::Silent);
        assert_eq!(list(&[&rsa[0], &rsa[1]]), SshfpVerdict::Silent);
        assert_eq!(list(&[&other_sha256]), SshfpVerdict::Differs);
        assert_eq!(list(&[&sha1, &other_sha256]), SshfpVerdict::Differs);
        assert_eq!(list(&[&other_sha1, &sha256]), SshfpVerdict::Differs);
        let unknown = SshfpRecord::new(4, 9, &[1; 32]);
        assert_eq!(list(&[&unknown, &sha256]), SshfpVerdict::Matches);
        let cut = SshfpRecord::new(4, 2, &sha256.fingerprint[..31]);
        assert_eq!(list(&[&cut]), SshfpVerdict::Differs);
    }

    #[test]
    fn a_record_may_be_written_in_groups_of_digits() {
        let [_, record] = records(&testing::some_key(1).0);
        let text = record.to_string();
        let (start, end) = text.split_at(20);
        assert_eq!(SshfpRecord::parse(&format!("{start} {}", end.to_uppercase())), Some(record));
        for bad in ["", "4", "4 2", "4 2 a", "4 2 gg", "4 2 +1", "a 2 aa", "4 256 aa", "4 2 é1"] {
            assert_eq!(SshfpRecord::parse(bad), None, "{bad}");
        }
        assert_eq!(SshfpRecord::parse(&format!("4 2 {}", "aa".repeat(65))), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(text in "[0-9a-g ]{0,24}") {
            drop(SshfpRecord::parse(&text));
        }
    }
}
