//! Signatures: Ed25519 (RFC 8709), ECDSA (RFC 5656 §3), RSA (RFC 8332), ML-DSA-44 with Ed25519,
//! and what FIDO security keys sign.
//!
//! Keys and signatures are numbers and byte strings here; how SSH writes them is
//! the business of the crate above.

mod ecdsa;
mod ed25519;
mod mldsa;
mod rsa;
mod sk;

pub use ecdsa::{
    EcdsaCurve, EcdsaKey, EcdsaP256Key, ecdsa_p256_point_is_valid, ecdsa_p256_verify,
    ecdsa_point_is_valid, ecdsa_verify,
};
pub use ed25519::{Ed25519Key, ed25519_verify};
pub use mldsa::{
    MLDSA44_ED25519_PUBLIC_LEN, MLDSA44_ED25519_SEEDS_LEN, MLDSA44_ED25519_SIGNATURE_LEN,
    MlDsa44Ed25519Key, mldsa44_ed25519_verify,
};
pub use rsa::{
    RSA_MAX_BITS, RSA_MIN_BITS, RSA_SMALLEST_BITS, RsaKey, rsa_check_public,
    rsa_check_public_with_min, rsa_verify, rsa_verify_with_min,
};
pub use sk::{
    SK_USER_PRESENT, SK_USER_VERIFIED, SkContext, Webauthn, sk_ecdsa_verify, sk_ed25519_verify,
    webauthn_ecdsa_verify,
};

use crate::Secret;

/// A big-endian number of any length as `N` bytes; `None` if it does not fit.
///
/// Key files write scalars without leading zeros, or with one for the sign.
pub(crate) fn scalar_from_magnitude<const N: usize>(bytes: &[u8]) -> Option<Secret<[u8; N]>> {
    padded(bytes).map(Secret::new)
}

/// The same for numbers that are no secret.
fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut number = [0; N];
    let (excess, low) = bytes.split_at(bytes.len().saturating_sub(N));
    for (to, from) in number.iter_mut().rev().zip(low.iter().rev()) {
        *to = *from;
    }
    excess.iter().all(|byte| *byte == 0).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hash::HashAlgorithm;

    #[test]
    fn a_scalar_is_a_number_whatever_its_length() {
        let value =
            |bytes: &[u8]| scalar_from_magnitude::<32>(bytes).map(|scalar| *scalar.expose());
        let mut five = [0; 32];
        five[31] = 5;
        for bytes in [&[5][..], &[0, 5], &five, &[[0; 32], five].concat()] {
            assert_eq!(value(bytes), Some(five));
        }
        assert_eq!(value(&[]), Some([0; 32]));
        assert_eq!(value(&[1; 33]), None);
        assert_eq!(value(&[&[1][..], &[0; 63]].concat()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_bytes_of_a_peer_make_verification_panic_or_succeed(
            public in proptest::collection::vec(any::<u8>(), 0..300),
            e in proptest::collection::vec(any::<u8>(), 0..6),
            msg in proptest::collection::vec(any::<u8>(), 0..64),
            sig in proptest::collection::vec(any::<u8>(), 0..300),
            point: [u8; 32],
            r: [u8; 32],
            s: [u8; 32],
        ) {
            for hash in [HashAlgorithm::Sha1, HashAlgorithm::Sha256, HashAlgorithm::Sha512] {
                prop_assert!(rsa_verify(&public, &e, hash, &msg, &sig).is_err());
            }
            let mut odd = public.clone();
            odd.resize(256, 1);
            odd[0] |= 0x80;
            odd[255] |= 1;
            prop_assert!(rsa_verify(&odd, &[3], HashAlgorithm::Sha256, &msg, &sig).is_err());
            prop_assert!(ecdsa_p256_verify(&public, &msg, &r, &s).is_err());
            let sec1 = [&[4][..], &point, &r].concat();
            prop_assert!(ecdsa_p256_verify(&sec1, &msg, &r, &s).is_err());
            let sig: [u8; 64] = [r, s].concat().try_into().unwrap();
            prop_assert!(ed25519_verify(&point, &msg, &sig).is_err());
        }
    }
}
