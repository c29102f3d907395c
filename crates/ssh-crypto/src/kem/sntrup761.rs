//! Streamlined NTRU Prime with the parameters 761 (draft-ietf-sshm-ntruprime-ssh).

use alloc::boxed::Box;
use core::fmt;

use sntrup::sntrup761::{
    CIPHERTEXT_SIZE, Ciphertext, DecapsulationKey, EncapsulationKey, PUBLIC_KEY_SIZE, generate_key,
};

use crate::Secret;
use crate::rng::{Adapter, Rng};

/// The length of a public key, in bytes.
pub const SNTRUP761_PUBLIC_LEN: usize = 1158;
/// The length of a ciphertext, in bytes.
pub const SNTRUP761_CIPHERTEXT_LEN: usize = 1039;

const _: () = assert!(PUBLIC_KEY_SIZE == SNTRUP761_PUBLIC_LEN);
const _: () = assert!(CIPHERTEXT_SIZE == SNTRUP761_CIPHERTEXT_LEN);

/// The decapsulation side: who made the key pair and opens what was sealed for it.
pub struct Sntrup761 {
    secret: DecapsulationKey,
    public: Box<[u8; SNTRUP761_PUBLIC_LEN]>,
}

impl Sntrup761 {
    /// A fresh key pair.
    #[must_use]
    pub fn generate(rng: &mut dyn Rng) -> Self {
        let (public, secret) = generate_key(&mut Adapter(rng));
        Self { secret, public: bytes_of(public.as_ref()) }
    }

    /// The key pair of its private key: for tests and replay. `None` if that has another length.
    #[must_use]
    pub fn from_secret(secret: &[u8]) -> Option<Self> {
        let secret = DecapsulationKey::try_from(secret).ok()?;
        let public = bytes_of(secret.encapsulation_key().as_ref());
        Some(Self { secret, public })
    }

    /// The public key, to be sent.
    #[must_use]
    pub fn public(&self) -> [u8; SNTRUP761_PUBLIC_LEN] {
        *self.public
    }

    /// The secret inside `ciphertext`.
    ///
    /// Never fails: a ciphertext that was not made with our key gives a secret nobody knows, and
    /// the exchange fails later.
    #[must_use]
    pub fn decapsulate(self, ciphertext: &[u8; SNTRUP761_CIPHERTEXT_LEN]) -> Secret<[u8; 32]> {
        let mut secret = Secret::new([0; 32]);
        // The lengths are equal, so neither is refused.
        if let Ok(ciphertext) = Ciphertext::try_from(&ciphertext[..]) {
            let shared = self.secret.decapsulate(&ciphertext);
            copy(secret.expose_mut(), shared.as_ref());
        }
        secret
    }
}

impl fmt::Debug for Sntrup761 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sntrup761(..)")
    }
}

/// Makes a secret and seals it for the holder of `public`. Any bytes are a public key.
#[must_use]
pub fn sntrup761_encapsulate(
    public: &[u8; SNTRUP761_PUBLIC_LEN],
    rng: &mut dyn Rng,
) -> ([u8; SNTRUP761_CIPHERTEXT_LEN], Secret<[u8; 32]>) {
    let mut sealed = [0; SNTRUP761_CIPHERTEXT_LEN];
    let mut secret = Secret::new([0; 32]);
    if let Ok(key) = EncapsulationKey::try_from(&public[..]) {
        let (ciphertext, shared) = key.encapsulate(&mut Adapter(rng));
        copy(&mut sealed, ciphertext.as_ref());
        copy(secret.expose_mut(), shared.as_ref());
    }
    (sealed, secret)
}

fn bytes_of<const N: usize>(bytes: &[u8]) -> Box<[u8; N]> {
    let mut copied = Box::new([0; N]);
    copy(&mut *copied, bytes);
    copied
}

fn copy(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use proptest::prelude::*;

    use super::*;
    use crate::rng::{Rng, SeededRng};
    use crate::testing::Vectors;

    #[test]
    fn a_real_exchange_with_openssh() {
        let kex = Vectors::load(include_str!("../../testdata/sntrup761.json"));
        let secret = kex.hex("client_sntrup761_private");
        assert!(Sntrup761::from_secret(&secret[1..]).is_none());
        let ours = Sntrup761::from_secret(&secret).unwrap();
        assert_eq!(kex.hex("client_public")[..SNTRUP761_PUBLIC_LEN], ours.public());
        let received = kex.hex("server_public");
        let ciphertext = received[..SNTRUP761_CIPHERTEXT_LEN].try_into().unwrap();
        let shared = ours.decapsulate(ciphertext);
        assert_eq!(*shared.expose(), kex.array("shared_sntrup761"));
    }

    #[test]
    fn what_is_encapsulated_is_decapsulated_and_nothing_else() {
        let mut rng = SeededRng::new(1);
        let ours = Sntrup761::generate(&mut rng);
        let (mut ciphertext, secret) = sntrup761_encapsulate(&ours.public(), &mut rng);
        assert_eq!(ours.decapsulate(&ciphertext).expose(), secret.expose());
        ciphertext[17] ^= 1;
        let ours = Sntrup761::generate(&mut SeededRng::new(1));
        assert_ne!(ours.decapsulate(&ciphertext).expose(), secret.expose());
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Sntrup761::generate(&mut SeededRng::new(1))), "Sntrup761(..)");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]

        #[test]
        fn no_bytes_of_a_peer_make_it_panic(seed: u64) {
            let mut rng = SeededRng::new(seed);
            let ours = Sntrup761::generate(&mut rng);
            let (mut ciphertext, mut public) = ([0; 1039], [0; 1158]);
            Rng::fill(&mut rng, &mut ciphertext);
            Rng::fill(&mut rng, &mut public);
            drop(ours.decapsulate(&ciphertext));
            let (_, secret) = sntrup761_encapsulate(&public, &mut rng);
            prop_assert_ne!(*secret.expose(), [0; 32]);
            let (_, secret) = sntrup761_encapsulate(&[0xff; 1158], &mut rng);
            prop_assert_ne!(*secret.expose(), [0; 32]);
        }
    }
}
