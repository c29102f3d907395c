//! RFC 9987 §5.7: the passphrase that an agent was locked with.

use core::{fmt, time::Duration};

use ssh_crypto::{Secret, constant_time_eq, kdf::bcrypt_pbkdf, rng::Rng};

use crate::limits::{MAX_UNLOCK_DELAYS, UNLOCK_DELAY_MS};

/// One round takes a few milliseconds, which is what a guess costs whoever reads our memory.
const ROUNDS: u32 = 1;

/// What is left of a passphrase: enough to recognise it.
pub(super) struct Lock {
    salt: [u8; 16],
    hash: Secret<[u8; 32]>,
}

impl Lock {
    /// None for an empty passphrase, with which nothing is locked.
    pub(super) fn new(passphrase: &[u8], rng: &mut dyn Rng) -> Option<Self> {
        let mut salt = [0; 16];
        rng.fill(&mut salt);
        Some(Self { salt, hash: hash(passphrase, &salt)? })
    }

    pub(super) fn fits(&self, passphrase: &[u8]) -> bool {
        hash(passphrase, &self.salt)
            .is_some_and(|hash| constant_time_eq(hash.expose(), self.hash.expose()))
    }
}

fn hash(passphrase: &[u8], salt: &[u8; 16]) -> Option<Secret<[u8; 32]>> {
    let mut hash = Secret::new([0; 32]);
    bcrypt_pbkdf(passphrase, salt, ROUNDS, hash.expose_mut()).ok()?;
    Some(hash)
}

/// How long the answer to a wrong passphrase takes, after so many.
pub(super) fn delay(wrong: u64) -> Duration {
    Duration::from_millis(wrong.min(MAX_UNLOCK_DELAYS).saturating_mul(UNLOCK_DELAY_MS))
}

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock(..)")
    }
}
