//! Every library gives the bytes of the portable one, and refuses what it refuses.
#![cfg(feature = "std")]

use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::agree::{P256, P384, X25519};
#[cfg(feature = "ring")]
use crate::hash::HashAlgorithm;
use crate::kem::{self, MlKem768};
use crate::mac::HmacAlgorithm;
use crate::rng::{Rng, SeededRng, SystemRng};
use crate::sign::{EcdsaCurve, EcdsaKey, EcdsaP256Key, ecdsa_point_is_valid};
#[cfg(feature = "ring")]
use crate::sign::{RsaKey, rsa_check_public};
use crate::testing::{Vectors, unhex};

/// Who else is here.
fn others() -> impl Iterator<Item = Backend> {
    [Backend::Graviola, Backend::Ring].into_iter().filter(|backend| backend.is_available())
}

fn has(backend: Backend) -> bool {
    backend.is_available()
}

#[test]
fn ring_goes_before_graviola_and_that_before_the_portable_libraries() {
    assert_eq!(has(Backend::Ring), cfg!(feature = "ring"));
    let expected = others().last().unwrap_or(Backend::Pure);
    let served = match AesGcm::new(&[0; 16]).unwrap() {
        AesGcm::Pure(_) => Backend::Pure,
        AesGcm::Graviola(_) => Backend::Graviola,
        AesGcm::Ring(_) => Backend::Ring,
    };
    assert_eq!((served, first()), (expected, expected));
    assert_eq!(first_but_ring() == Backend::Graviola, has(Backend::Graviola));
    for served in [
        Hmac::new(HmacAlgorithm::Sha256, b"key").is_some(),
        ChaChaPoly::new(&[0; 64]).is_some(),
        Backend::Ring.serves(),
        Ephemeral::generate::<32>(Curve::X25519, &SystemRng).is_some(),
        Ephemeral::generate::<65>(Curve::P256, &SystemRng).is_some(),
        Ephemeral::generate::<97>(Curve::P384, &SystemRng).is_some(),
    ] {
        assert_eq!(served, has(Backend::Ring));
    }
    for algorithm in [HmacAlgorithm::Md5, HmacAlgorithm::Sha1] {
        assert!(Hmac::new(algorithm, b"key").is_none());
    }
    assert_eq!(super::MlKem768::generate(&SystemRng).is_some(), has(Backend::Graviola));
}

#[test]
fn with_a_seed_every_private_value_is_what_the_seed_says() {
    let rng = || SeededRng::new(3);
    for curve in [Curve::X25519, Curve::P256, Curve::P384] {
        assert!(Ephemeral::generate::<32>(curve, &rng()).is_none());
    }
    assert!(super::MlKem768::generate(&rng()).is_none());
    let mut bytes = [0; 64];
    rng().fill(&mut bytes);
    let secret: [u8; 32] = bytes[..32].try_into().unwrap();
    assert_eq!(X25519::generate(&mut rng()).public(), pure::x25519_public(&secret));
    assert_eq!(Some(P256::generate(&mut rng()).public()), pure::p256_public(&secret));
    let wide: [u8; 48] = bytes[..48].try_into().unwrap();
    assert_eq!(Some(P384::generate(&mut rng()).unwrap().public()), pure::p384_public(&wide));
    let key = MlKem768::from_seed(&bytes).encapsulation_key();
    assert_eq!(MlKem768::generate(&mut rng()).encapsulation_key(), key);
    let once = kem::encapsulate(&key, &mut rng()).unwrap().0;
    assert_eq!(kem::encapsulate(&key, &mut rng()).unwrap().0, once);
}

#[test]
fn private_values_that_a_library_keeps_agree_with_those_of_a_seed() {
    let mut seed = SeededRng::new(4);
    for _ in 0..4 {
        let (a, b) = (X25519::generate(&mut SystemRng), X25519::generate(&mut seed));
        let (to_a, to_b) = (b.public(), a.public());
        assert_eq!(a.agree(&to_a).unwrap().expose(), b.agree(&to_b).unwrap().expose());
        let (a, b) = (P256::generate(&mut SystemRng), P256::generate(&mut seed));
        let (to_a, to_b) = (b.public(), a.public());
        assert_eq!(a.agree(&to_a).unwrap().expose(), b.agree(&to_b).unwrap().expose());
        let a = P384::generate(&mut SystemRng).unwrap();
        let b = P384::generate(&mut seed).unwrap();
        let (to_a, to_b) = (b.public(), a.public());
        assert_eq!(a.agree(&to_a).unwrap().expose(), b.agree(&to_b).unwrap().expose());
    }
}

#[test]
fn private_values_that_a_library_keeps_refuse_what_is_no_point() {
    let vectors = Vectors::load(include_str!("../../testdata/x25519.json"));
    for point in vectors.hex_list("low_order_points_must_abort_kex") {
        let mut point: [u8; 32] = point.try_into().unwrap();
        assert!(X25519::generate(&mut SystemRng).agree(&point).is_err());
        point[31] |= 0x80;
        assert!(X25519::generate(&mut SystemRng).agree(&point).is_err());
    }
    let good = P256::from_secret(&[9]).unwrap().public();
    for index in 0..good.len() {
        let mut bad = good;
        bad[index] ^= 1;
        assert!(P256::generate(&mut SystemRng).agree(&bad).is_err());
    }
    for bad in [&good[..64], &[0], &[], &[0; 65]] {
        assert!(P256::generate(&mut SystemRng).agree(bad).is_err());
    }
    let good = P384::from_secret(&[9]).unwrap().public();
    for index in 0..good.len() {
        let mut bad = good;
        bad[index] ^= 1;
        assert!(P384::generate(&mut SystemRng).unwrap().agree(&bad).is_err());
    }
}

#[test]
fn ml_kem_keys_that_a_library_keeps_open_what_was_sealed_for_them_and_nothing_else() {
    let mut seed = SeededRng::new(5);
    for _ in 0..4 {
        let held = MlKem768::generate(&mut SystemRng);
        let (ciphertext, secret) = kem::encapsulate(&held.encapsulation_key(), &mut seed).unwrap();
        assert_eq!(held.decapsulate(&ciphertext).expose(), secret.expose());

        let ours = MlKem768::generate(&mut seed);
        let sealed = kem::encapsulate(&ours.encapsulation_key(), &mut SystemRng).unwrap();
        assert_eq!(ours.decapsulate(&sealed.0).expose(), sealed.1.expose());

        let held = MlKem768::generate(&mut SystemRng);
        let (mut ciphertext, secret) =
            kem::encapsulate(&held.encapsulation_key(), &mut seed).unwrap();
        ciphertext[500] ^= 1;
        assert_ne!(held.decapsulate(&ciphertext).expose(), secret.expose());
    }
    let mut bad = MlKem768::generate(&mut seed).encapsulation_key();
    bad[0] = 0xff;
    bad[1] |= 0x0f;
    for rng in [&mut seed as &mut dyn Rng, &mut SystemRng] {
        assert_eq!(kem::encapsulate(&bad, rng).unwrap_err(), InvalidEncapsulationKey);
    }
}

fn gcm_agrees(key: &[u8], nonce: &[u8; 12], aad: &[u8], plaintext: &[u8]) {
    let pure = AesGcm::of(Backend::Pure, key).unwrap();
    let mut sealed = plaintext.to_vec();
    let tag = pure.seal(nonce, aad, &mut sealed);
    for backend in others() {
        let other = AesGcm::of(backend, key).unwrap();
        let mut buf = plaintext.to_vec();
        assert_eq!(other.seal(nonce, aad, &mut buf), tag, "{backend:?}");
        assert_eq!(buf, sealed, "{backend:?}");
        let mut forged = tag;
        forged[0] ^= 1;
        assert_eq!(other.open(nonce, aad, &mut buf.clone(), &forged), Err(Forged));
        assert_eq!(pure.open(nonce, aad, &mut buf.clone(), &forged), Err(Forged));
        assert_eq!(other.open(nonce, aad, &mut buf, &tag), Ok(()));
        assert_eq!(buf, plaintext, "{backend:?}");
    }
}

#[test]
fn aes_gcm_gives_the_same_bytes_at_every_length() {
    let data: [u8; 700] = core::array::from_fn(|i| (i * 7) as u8);
    for len in (0..data.len()).step_by(3) {
        gcm_agrees(&[1; 16], &[2; 12], &data[..len % 40], &data[..len]);
        gcm_agrees(&[3; 32], &[4; 12], &data[..4], &data[..len]);
    }
    for len in [32 * 1024, 35_000, 256 * 1024] {
        gcm_agrees(&[5; 16], &[6; 12], &[0, 0, 1, 0], &vec![7; len]);
        gcm_agrees(&[8; 32], &[9; 12], &[0, 0, 1, 0], &vec![7; len]);
    }
}

#[test]
fn points_of_low_order_are_refused() {
    let vectors = Vectors::load(include_str!("../../testdata/x25519.json"));
    for point in vectors.hex_list("low_order_points_must_abort_kex") {
        let mut point = point.try_into().unwrap();
        // The top bit is ignored (RFC 7748 §5).
        for _ in 0..2 {
            assert!(pure::x25519_agree(&[7; 32], &point).is_none());
            if has(Backend::Graviola) {
                assert!(graviola::x25519_agree(&[7; 32], &point).is_none());
            }
            point[31] |= 0x80;
        }
    }
}

#[test]
fn the_same_scalars_and_points_are_refused() {
    if !has(Backend::Graviola) {
        return;
    }
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: [u8; 32] = unhex(order).try_into().unwrap();
    let mut below = order;
    below[31] -= 1;
    for secret in [[0; 32], order, [0xff; 32]] {
        assert_eq!(graviola::p256_public(&secret), None);
        assert_eq!(pure::p256_public(&secret), None);
    }
    let good = graviola::p256_public(&below).unwrap();
    assert_eq!(Some(good), pure::p256_public(&below));
    for index in 0..good.len() {
        let mut bad = good;
        bad[index] ^= 1;
        assert!(graviola::p256_agree(&below, &bad).is_none());
        assert!(pure::p256_agree(&below, &bad).is_none());
        assert!(!p256_point_is_valid(&bad));
    }
    let order = "ffffffffffffffffffffffffffffffffffffffffffffffff\
                 c7634d81f4372ddf581a0db248b0a77aecec196accc52973";
    let order: [u8; 48] = unhex(order).try_into().unwrap();
    let mut below = order;
    below[47] -= 1;
    for secret in [[0; 48], order, [0xff; 48]] {
        assert_eq!(graviola::p384_public(&secret), None);
        assert_eq!(pure::p384_public(&secret), None);
    }
    let good = graviola::p384_public(&below).unwrap();
    assert_eq!(Some(good), pure::p384_public(&below));
    for index in 0..good.len() {
        let mut bad = good;
        bad[index] ^= 1;
        assert!(graviola::p384_agree(&below, &bad).is_none());
        assert!(pure::p384_agree(&below, &bad).is_none());
        assert!(!ecdsa_point_is_valid(EcdsaCurve::P384, &bad));
    }
}

#[test]
fn signature_numbers_out_of_range_and_broken_points_are_refused_by_all() {
    let key = EcdsaP256Key::from_scalar(&[7]).unwrap();
    let (r, s) = key.sign(b"message");
    let order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
    let order: [u8; 32] = unhex(order).try_into().unwrap();
    let mut off_curve = key.public();
    off_curve[64] ^= 1;
    let mut hybrid = key.public();
    hybrid[0] = 0x06 | (hybrid[64] & 1);
    for backend in others() {
        let verify = match backend {
            Backend::Ring => ring::ecdsa_p256_verify,
            _ => graviola::ecdsa_p256_verify,
        };
        assert_eq!(verify(&key.public(), b"message", &r, &s), Ok(()));
        for bad in [[0; 32], order, [0xff; 32]] {
            for (r, s) in [(&bad, &s), (&r, &bad), (&bad, &bad)] {
                assert_eq!(verify(&key.public(), b"message", r, s), Err(Forged));
            }
        }
        for public in [off_curve, hybrid, [0; 65]] {
            assert_eq!(verify(&public, b"message", &r, &s), Err(Forged));
        }
    }
}

/// A 2048-bit key, whose numbers are in the vectors.
#[cfg(feature = "ring")]
fn rsa() -> (Vectors, RsaKey) {
    let v = Vectors::load(include_str!("../../testdata/rsa.json"));
    let key = RsaKey::from_parts(&v.hex("n"), &v.hex("e"), &v.hex("d"), &v.hex("p"), &v.hex("q"));
    (v, key.unwrap())
}

#[cfg(feature = "ring")]
#[test]
fn rsa_signatures_are_the_same_bytes() {
    let (v, key) = rsa();
    let (n, e) = (key.n(), key.e());
    let secrets = [key.d(), key.p(), key.q(), key.dp(), key.dq(), key.iqmp()];
    let [d, p, q, dp, dq, iqmp] = secrets.each_ref().map(|secret| &secret.expose()[..]);
    let numbers = RsaNumbers { n: &n, e: &e, d, p, q, dp, dq, iqmp };
    let fast = ring::RsaKey::new(&numbers).unwrap();
    for (hash, name) in [(HashAlgorithm::Sha256, "sha256"), (HashAlgorithm::Sha512, "sha512")] {
        assert_eq!(fast.sign(hash, &v.hex("message")), Some(Ok(v.hex(name))));
    }
    assert!(fast.sign(HashAlgorithm::Sha1, b"message").is_none());
    // A number that does not belong is seen at once, or in the result.
    let mut dp = dp.to_vec();
    dp[5] ^= 1;
    let broken = ring::RsaKey::new(&RsaNumbers { dp: &dp, ..numbers });
    let signed = broken.map(|key| key.sign(HashAlgorithm::Sha256, b"message"));
    assert!(signed.is_none_or(|signed| signed == Some(Err(Forged))));
}

#[cfg(feature = "ring")]
#[test]
fn rsa_signatures_are_checked_alike_whatever_the_size_and_exponent() {
    let (v, key) = rsa();
    let (n, e, message, good) = (key.n(), key.e(), v.hex("message"), v.hex("sha256"));
    let verify =
        |e: &[u8], sig: &[u8]| ring::rsa_verify(&n, e, HashAlgorithm::Sha256, &message, sig);
    assert_eq!(verify(&e, &good), Some(Ok(())));
    for bit in (0..good.len() * 8).step_by(61) {
        let mut forged = good.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(verify(&e, &forged), Some(Err(Forged)));
    }
    // The signature plus the modulus is the same number to careless arithmetic, and too large.
    for bad in [vec![0; 256], vec![0xff; 256], n.clone()] {
        assert_eq!(verify(&e, &bad), Some(Err(Forged)));
    }
    // What ring does not serve is for the portable library; what it does serve is all that passes
    // our own bounds.
    for (bytes, served) in [(128, false), (255, false), (256, true), (1024, true), (1025, false)] {
        let mut n = vec![0xff; bytes];
        n[1] = 7;
        let verdict = ring::rsa_verify(&n, &e, HashAlgorithm::Sha256, b"", &vec![1; bytes]);
        assert_eq!(verdict, served.then_some(Err(Forged)), "{bytes} bytes");
        assert_eq!(rsa_check_public(&n, &e).is_ok(), bytes >= 256);
    }
    // 3 to the power of 3, and 5 to that of 2^33 - 1, are checked and no signatures.
    for e in [&[3][..], &[1, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(verify(e, &good), Some(Err(Forged)));
    }
    for hash in [HashAlgorithm::Md5, HashAlgorithm::Sha384] {
        assert!(ring::rsa_verify(&n, &e, hash, &message, &good).is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn aes_gcm_is_the_same(
        key: [u8; 32],
        long: bool,
        nonce: [u8; 12],
        aad in proptest::collection::vec(any::<u8>(), 0..50),
        plaintext in proptest::collection::vec(any::<u8>(), 0..3000),
    ) {
        gcm_agrees(&key[..if long { 32 } else { 16 }], &nonce, &aad, &plaintext);
    }

    #[test]
    fn hmac_is_the_same(
        key in proptest::collection::vec(any::<u8>(), 0..200),
        one in proptest::collection::vec(any::<u8>(), 0..300),
        two in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        for algorithm in [HmacAlgorithm::Sha256, HmacAlgorithm::Sha512] {
            let Some(other) = Hmac::new(algorithm, &key) else { continue };
            let mut tag = [0; 64];
            other.compute(&[&one, &two], &mut tag);
            let expected = crate::mac::Hmac::portable(algorithm, &key);
            let tag = &tag[..algorithm.tag_len()];
            prop_assert_eq!(expected.verify(&[&one, &two], tag), Ok(()));
        }
    }

    #[test]
    fn x25519_is_the_same(secret: [u8; 32], peer: [u8; 32]) {
        if has(Backend::Graviola) {
            prop_assert_eq!(graviola::x25519_public(&secret), pure::x25519_public(&secret));
            let (a, b) = (
                graviola::x25519_agree(&secret, &peer),
                pure::x25519_agree(&secret, &peer),
            );
            prop_assert_eq!(a.map(|a| *a.expose()), b.map(|b| *b.expose()));
            let ours = X25519::from_secret(secret);
            prop_assert_eq!(ours.public(), pure::x25519_public(&secret));
        }
    }

    #[test]
    fn ed25519_signs_the_same(
        seed: [u8; 32],
        msg in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let pure = Ed25519::of(Backend::Pure, &seed).unwrap();
        for backend in others() {
            let other = Ed25519::of(backend, &seed).unwrap();
            prop_assert_eq!(other.public(), pure.public(), "{:?}", backend);
            prop_assert_eq!(other.sign(&msg), pure.sign(&msg), "{:?}", backend);
        }
    }

    #[test]
    fn p256_is_the_same(seed: u64, msg in proptest::collection::vec(any::<u8>(), 0..100)) {
        let mut rng = SeededRng::new(seed);
        let (secret, public) = p256_generate(&mut rng);
        let (_, peer) = p256_generate(&mut rng);
        prop_assert_eq!(Some(public), pure::p256_public(secret.expose()));
        if has(Backend::Graviola) {
            let a = graviola::p256_agree(secret.expose(), &peer).unwrap();
            let b = pure::p256_agree(secret.expose(), &peer).unwrap();
            prop_assert_eq!(a.expose(), b.expose());
        }
        let (r, s) = EcdsaP256Key::from_scalar(secret.expose()).unwrap().sign(&msg);
        for (key, verdict) in [(&public, Ok(())), (&peer, Err(Forged))] {
            prop_assert_eq!(pure::ecdsa_p256_verify(key, &msg, &r, &s), verdict);
            if has(Backend::Graviola) {
                prop_assert_eq!(graviola::ecdsa_p256_verify(key, &msg, &r, &s), verdict);
            }
            if has(Backend::Ring) {
                prop_assert_eq!(ring::ecdsa_p256_verify(key, &msg, &r, &s), verdict);
            }
        }
    }

    #[test]
    fn p384_is_the_same(
        secret: [u8; 48],
        peer: [u8; 48],
        msg in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let (public, peer) = (pure::p384_public(&secret), pure::p384_public(&peer));
        prop_assert_eq!(p384_public(&secret), public);
        let (Some(public), Some(peer)) = (public, peer) else { return Ok(()) };
        if has(Backend::Graviola) {
            let a = graviola::p384_agree(&secret, &peer).unwrap();
            let b = pure::p384_agree(&secret, &peer).unwrap();
            prop_assert_eq!(a.expose(), b.expose());
        }
        let (r, s) = EcdsaKey::from_scalar(EcdsaCurve::P384, &secret).unwrap().sign(&msg);
        let (r, s) = (r.try_into().unwrap(), s.try_into().unwrap());
        for (key, verdict) in [(&public, Ok(())), (&peer, Err(Forged))] {
            prop_assert_eq!(pure::ecdsa_p384_verify(key, &msg, &r, &s), verdict);
            if has(Backend::Graviola) {
                prop_assert_eq!(graviola::ecdsa_p384_verify(key, &msg, &r, &s), verdict);
            }
            if has(Backend::Ring) {
                prop_assert_eq!(ring::ecdsa_p384_verify(key, &msg, &r, &s), verdict);
            }
        }
    }
}
