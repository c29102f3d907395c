//! ML-DSA-44 together with Ed25519, the composite signature of
//! draft-ietf-sshm-composite-sigs: as strong as the stronger of the two.
//!
//! Both halves sign `M' = prefix | label | length of the context, 0 | SHA-512(message)`, ML-DSA with
//! the label as its context string besides, so that neither half is a signature on its own.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use ml_dsa::{ExpandedSigningKey, MlDsa44, Signature, SigningKey, VerifyingKey};

use super::ed25519::{Ed25519Key, ed25519_verify};
use crate::hash::{HashAlgorithm, digest};
use crate::rng::Rng;
use crate::{Forged, Secret};

/// The length of a public key: ML-DSA-44, then Ed25519.
pub const MLDSA44_ED25519_PUBLIC_LEN: usize = MLDSA_PUBLIC + 32;
/// The length of the private seeds: ML-DSA-44, then Ed25519.
pub const MLDSA44_ED25519_SEEDS_LEN: usize = 64;
/// The length of a signature: ML-DSA-44, then Ed25519.
pub const MLDSA44_ED25519_SIGNATURE_LEN: usize = MLDSA_SIGNATURE + 64;

const MLDSA_PUBLIC: usize = 1312;
const MLDSA_SIGNATURE: usize = 2420;

const PREFIX: &[u8] = b"CompositeAlgorithmSignatures2025";
const LABEL: &[u8] = b"COMPSIG-MLDSA44-Ed25519-SHA512";

/// A private key of `ssh-mldsa44-ed25519`.
#[derive(Clone)]
pub struct MlDsa44Ed25519Key {
    seeds: Secret<[u8; MLDSA44_ED25519_SEEDS_LEN]>,
    /// Several kilobytes: boxed, so that moves do not copy it.
    mldsa: Box<ExpandedSigningKey<MlDsa44>>,
    ed25519: Ed25519Key,
    public: Box<[u8; MLDSA44_ED25519_PUBLIC_LEN]>,
}

impl MlDsa44Ed25519Key {
    /// The key of its two 32-byte seeds, ML-DSA's first.
    #[must_use]
    pub fn from_seeds(seeds: &[u8; MLDSA44_ED25519_SEEDS_LEN]) -> Self {
        let mut halves = [Secret::new([0; 32]), Secret::new([0; 32])];
        for (half, seed) in halves.iter_mut().zip(seeds.chunks(32)) {
            half.expose_mut().copy_from_slice(seed);
        }
        let [mldsa, ed25519] = &halves;
        let ed25519 = Ed25519Key::from_seed(ed25519.expose());
        let mldsa = SigningKey::<MlDsa44>::from_seed(mldsa.expose().into()).expanded_key().clone();
        let mut public = Box::new([0; MLDSA44_ED25519_PUBLIC_LEN]);
        let encoded = mldsa.verifying_key().encode();
        for (to, from) in public.iter_mut().zip(encoded.iter().chain(&ed25519.public())) {
            *to = *from;
        }
        Self { seeds: Secret::new(*seeds), mldsa: Box::new(mldsa), ed25519, public }
    }

    /// A fresh key.
    #[must_use]
    pub fn generate(rng: &mut dyn Rng) -> Self {
        let mut seeds = Secret::new([0; MLDSA44_ED25519_SEEDS_LEN]);
        rng.fill(seeds.expose_mut());
        Self::from_seeds(seeds.expose())
    }

    /// The seeds, for writing the key to a file.
    #[must_use]
    pub fn seeds(&self) -> Secret<[u8; MLDSA44_ED25519_SEEDS_LEN]> {
        self.seeds.clone()
    }

    /// The public key.
    #[must_use]
    pub fn public(&self) -> [u8; MLDSA44_ED25519_PUBLIC_LEN] {
        *self.public
    }

    /// The signature of `msg`, [`MLDSA44_ED25519_SIGNATURE_LEN`] bytes; always the same for the
    /// same message (the deterministic variant of FIPS 204 §3.4), so no bad randomness can give
    /// the key away.
    #[must_use]
    pub fn sign(&self, msg: &[u8]) -> Vec<u8> {
        self.sign_hedged(msg, &[0; 32])
    }

    /// The signature of `msg` with randomness against faults of the hardware (FIPS 204 §3.4).
    #[must_use]
    pub fn sign_with_rng(&self, msg: &[u8], rng: &mut dyn Rng) -> Vec<u8> {
        let mut hedge = Secret::new([0; 32]);
        rng.fill(hedge.expose_mut());
        self.sign_hedged(msg, hedge.expose())
    }

    fn sign_hedged(&self, msg: &[u8], hedge: &[u8; 32]) -> Vec<u8> {
        let message = representative(msg);
        // FIPS 204, algorithm 2: pure ML-DSA, the context with its length.
        let context = [&[0][..], &[LABEL_LEN], LABEL, &message];
        let mut signature = self.mldsa.sign_internal(&context, hedge.into()).encode().to_vec();
        signature.extend_from_slice(&self.ed25519.sign(&message));
        signature
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the label has 30 bytes")]
const LABEL_LEN: u8 = LABEL.len() as u8;

impl fmt::Debug for MlDsa44Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MlDsa44Ed25519Key(..)")
    }
}

/// Checks a composite signature: both halves must be right.
///
/// # Errors
/// [`Forged`] if either half is not `public`'s signature of `msg`.
pub fn mldsa44_ed25519_verify(
    public: &[u8; MLDSA44_ED25519_PUBLIC_LEN],
    msg: &[u8],
    sig: &[u8; MLDSA44_ED25519_SIGNATURE_LEN],
) -> Result<(), Forged> {
    let (mldsa_key, ed25519_key) = public.split_first_chunk::<MLDSA_PUBLIC>().ok_or(Forged)?;
    let (mldsa_sig, ed25519_sig) = sig.split_first_chunk::<MLDSA_SIGNATURE>().ok_or(Forged)?;
    let message = representative(msg);
    let ed25519_key = ed25519_key.try_into().map_err(|_| Forged)?;
    let ed25519_sig = ed25519_sig.try_into().map_err(|_| Forged)?;
    ed25519_verify(ed25519_key, &message, ed25519_sig)?;
    let key = VerifyingKey::<MlDsa44>::decode(mldsa_key.into());
    let signature = Signature::<MlDsa44>::decode(mldsa_sig.into()).ok_or(Forged)?;
    if key.verify_with_context(&message, LABEL, &signature) { Ok(()) } else { Err(Forged) }
}

/// `M'` with an empty context, as SSH has it.
fn representative(msg: &[u8]) -> Vec<u8> {
    [PREFIX, LABEL, &[0], digest(HashAlgorithm::Sha512, msg).as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use sha3::{Digest as _, Sha3_256};

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::Vectors;

    fn vectors() -> Vectors {
        Vectors::load(include_str!("../../testdata/mldsa44.json"))
    }

    #[test]
    fn a_host_signature_of_openssh_verifies_and_its_key_is_that_of_its_seeds() {
        let case = vectors().object("openssh");
        let (public, signature) = (case.array("public"), case.array("signature"));
        assert_eq!(mldsa44_ed25519_verify(&public, &case.hex("H"), &signature), Ok(()));
        assert_eq!(MlDsa44Ed25519Key::from_seeds(&case.array("seeds")).public(), public);
    }

    #[test]
    fn a_signature_of_the_lamps_draft_verifies() {
        let case = vectors().object("lamps");
        let (public, signature) = (case.array("pk"), case.array("s"));
        assert_eq!(mldsa44_ed25519_verify(&public, &case.hex("m"), &signature), Ok(()));
        assert_eq!(MlDsa44Ed25519Key::from_seeds(&case.array("sk")).public(), public);
        // With a context, which SSH does not have.
        let signature = case.array("sWithContext");
        assert_eq!(mldsa44_ed25519_verify(&public, &case.hex("m"), &signature), Err(Forged));
    }

    #[test]
    fn known_answers_of_nist_for_ml_dsa_44() {
        for case in vectors().list("nist") {
            let seed: [u8; 32] = case.array("key_generation_seed");
            let key = SigningKey::<MlDsa44>::from_seed(&seed.into());
            let public = key.expanded_key().verifying_key().encode();
            assert_eq!(Sha3_256::digest(public)[..], case.hex("sha3_256_hash_of_verification_key"));
            let randomness: [u8; 32] = case.array("signing_randomness");
            let signature = key
                .expanded_key()
                .sign_internal(&[&[0, 0], &case.hex("message")], &randomness.into());
            assert_eq!(
                Sha3_256::digest(signature.encode())[..],
                case.hex("sha3_256_hash_of_signature")
            );
        }
    }

    #[test]
    fn both_halves_must_be_right() {
        let key = MlDsa44Ed25519Key::generate(&mut SeededRng::new(1));
        let (public, signature) = (key.public(), key.sign(b"message"));
        let signature: [u8; MLDSA44_ED25519_SIGNATURE_LEN] = signature.try_into().unwrap();
        let verify = |sig: &_| mldsa44_ed25519_verify(&public, b"message", sig);
        assert_eq!(verify(&signature), Ok(()));
        for index in (0..signature.len()).step_by(83).chain([2419, 2420, 2483]) {
            let mut flipped = signature;
            flipped[index] ^= 0x10;
            assert_eq!(verify(&flipped), Err(Forged), "{index}");
        }
        assert_eq!(mldsa44_ed25519_verify(&public, b"messagf", &signature), Err(Forged));
        assert_eq!(verify(&[0; MLDSA44_ED25519_SIGNATURE_LEN]), Err(Forged));
        assert_eq!(verify(&[0xff; MLDSA44_ED25519_SIGNATURE_LEN]), Err(Forged));
        // A key with one half of somebody else's.
        let other = MlDsa44Ed25519Key::generate(&mut SeededRng::new(2)).public();
        for half in [0..MLDSA_PUBLIC, MLDSA_PUBLIC..MLDSA44_ED25519_PUBLIC_LEN] {
            let mut mixed = public;
            mixed[half.clone()].copy_from_slice(&other[half]);
            assert_eq!(mldsa44_ed25519_verify(&mixed, b"message", &signature), Err(Forged));
        }
    }

    #[test]
    fn signatures_repeat_without_randomness_and_differ_with_it() {
        let key = MlDsa44Ed25519Key::from_seeds(&[7; 64]);
        let again = MlDsa44Ed25519Key::from_seeds(key.seeds().expose());
        assert_eq!(key.sign(b"m"), again.sign(b"m"));
        let hedged = key.sign_with_rng(b"m", &mut SeededRng::new(3));
        assert_ne!(hedged, key.sign(b"m"));
        let hedged = hedged.try_into().unwrap();
        assert_eq!(mldsa44_ed25519_verify(&key.public(), b"m", &hedged), Ok(()));
    }

    #[test]
    fn debug_shows_no_key() {
        let key = MlDsa44Ed25519Key::from_seeds(&[7; 64]);
        assert_eq!(format!("{key:?}"), "MlDsa44Ed25519Key(..)");
    }
}
