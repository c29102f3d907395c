//! RSA signatures, RSASSA-PKCS1-v1_5 with SHA-256 or SHA-512 (RFC 8332, RFC 8017 §8.2).
//!
//! The `rsa` crate is flagged for RUSTSEC-2023-0071 ("Marvin"), a timing leak
//! that lets a remote party decrypt. We never decrypt, and each private
//! operation is blinded with fresh randomness or refused. (With the feature `ring` that library
//! signs instead, with keys of 2048 to 4096 bits: in constant time, and so without blinding.)

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use rand_core::TryCryptoRng;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::traits::{PrivateKeyParts, PublicKeyParts, SignatureScheme};
use rsa::{BoxedUint, RsaPrivateKey, RsaPublicKey};
use sha2::{Sha256, Sha512};
use zeroize::Zeroizing;

use crate::hash::{HashAlgorithm, digest};
use crate::rng::{Adapter, Rng};
use crate::{Forged, InvalidKey, Secret, SignError, backend};

/// The smallest modulus, in bits: below it keys can be factored.
pub const RSA_MIN_BITS: usize = 2048;

/// The smallest modulus that is taken when somebody asks for it, in bits: old devices have such
/// keys, and nothing below protects anything.
pub const RSA_SMALLEST_BITS: usize = 1024;

/// The largest modulus, in bits: the cost of checking a signature grows with the
/// square, and the peer chooses the key. OpenSSH's limit.
pub const RSA_MAX_BITS: usize = 16384;

/// Public exponents have at most this many bits: again the peer chooses, and pays nothing.
const MAX_EXPONENT_BITS: usize = 33;

/// An RSA private key. Cloning shares it.
#[derive(Clone)]
pub struct RsaKey(Arc<Private>);

struct Private {
    key: RsaPrivateKey,
    /// The same key, if a library that is faster serves it.
    fast: Option<backend::RsaKey>,
}

impl RsaKey {
    /// The key of its numbers, big-endian, with or without leading zeros.
    ///
    /// # Errors
    /// As [`rsa_check_public`], and [`InvalidKey::Inconsistent`] unless n = p·q
    /// and d inverts e.
    pub fn from_parts(
        n: &[u8],
        e: &[u8],
        d: &[u8],
        p: &[u8],
        q: &[u8],
    ) -> Result<Self, InvalidKey> {
        Self::from_parts_with_min(RSA_MIN_BITS, n, e, d, p, q)
    }

    /// The same with a least size of the caller's, in bits; at least [`RSA_SMALLEST_BITS`].
    ///
    /// # Errors
    /// As [`from_parts`](Self::from_parts).
    pub fn from_parts_with_min(
        min_bits: usize,
        n: &[u8],
        e: &[u8],
        d: &[u8],
        p: &[u8],
        q: &[u8],
    ) -> Result<Self, InvalidKey> {
        rsa_check_public_with_min(min_bits, n, e)?;
        let bits = u32::try_from(bit_len(n)).map_err(|_| InvalidKey::Inconsistent)?;
        let half = bits.div_ceil(2);
        let primes = alloc::vec![secret_number(p, half)?, secret_number(q, half)?];
        let d = secret_number(d, bits)?;
        RsaPrivateKey::from_components(number(n), number(e), d, primes)
            .map(Self::new)
            .map_err(|_| InvalidKey::Inconsistent)
    }

    /// A fresh key with a modulus of `bits` bits and the exponent 65537.
    ///
    /// Takes about a second for 3072 bits, and grows fast.
    ///
    /// # Errors
    /// [`InvalidKey::Modulus`] if `bits` is not within 2048 to 16384,
    /// [`InvalidKey::Generation`] if the library finds no key.
    pub fn generate(bits: usize, rng: &mut dyn Rng) -> Result<Self, InvalidKey> {
        if !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits) {
            return Err(InvalidKey::Modulus { bits });
        }
        RsaPrivateKey::new(&mut Adapter(rng), bits)
            .map(Self::new)
            .map_err(|_| InvalidKey::Generation)
    }

    fn new(key: RsaPrivateKey) -> Self {
        let fast = backend::RsaKey::is_served().then(|| {
            let iqmp = key.crt_coefficient().map(Zeroizing::new);
            backend::RsaKey::new(&backend::RsaNumbers {
                n: &key.n_bytes(),
                e: &key.e_bytes(),
                d: secret_bytes(key.d()).expose(),
                p: part(key.primes().first().map(AsRef::as_ref)).expose(),
                q: part(key.primes().get(1).map(AsRef::as_ref)).expose(),
                dp: part(key.dp()).expose(),
                dq: part(key.dq()).expose(),
                iqmp: part(iqmp.as_deref()).expose(),
            })
        });
        Self(Arc::new(Private { key, fast: fast.flatten() }))
    }

    /// The modulus; big-endian, without leading zeros, like all below.
    #[must_use]
    pub fn n(&self) -> Vec<u8> {
        self.0.key.n_bytes().into_vec()
    }

    /// The public exponent.
    #[must_use]
    pub fn e(&self) -> Vec<u8> {
        self.0.key.e_bytes().into_vec()
    }

    /// The private exponent.
    #[must_use]
    pub fn d(&self) -> Secret<Vec<u8>> {
        secret_bytes(self.0.key.d())
    }

    /// The first prime.
    #[must_use]
    pub fn p(&self) -> Secret<Vec<u8>> {
        part(self.0.key.primes().first().map(AsRef::as_ref))
    }

    /// The second prime.
    #[must_use]
    pub fn q(&self) -> Secret<Vec<u8>> {
        part(self.0.key.primes().get(1).map(AsRef::as_ref))
    }

    /// d modulo p - 1, as PKCS#1 writes it.
    #[must_use]
    pub fn dp(&self) -> Secret<Vec<u8>> {
        part(self.0.key.dp())
    }

    /// d modulo q - 1, as PKCS#1 writes it.
    #[must_use]
    pub fn dq(&self) -> Secret<Vec<u8>> {
        part(self.0.key.dq())
    }

    /// The inverse of q modulo p, which key files carry for faster signing.
    #[must_use]
    pub fn iqmp(&self) -> Secret<Vec<u8>> {
        let inverse = self.0.key.crt_coefficient().map(Zeroizing::new);
        part(inverse.as_deref())
    }

    /// The signature of `msg`, as long as the modulus, blinded with the operating
    /// system's randomness.
    ///
    /// # Errors
    /// [`SignError`]; without the feature `std` always
    /// [`NoRandomness`](SignError::NoRandomness), use
    /// [`sign_with_rng`](Self::sign_with_rng) there.
    pub fn sign(&self, hash: HashAlgorithm, msg: &[u8]) -> Result<Vec<u8>, SignError> {
        #[cfg(feature = "std")]
        return self.sign_blinded(hash, msg, &mut getrandom::SysRng);
        #[cfg(not(feature = "std"))]
        {
            let _ = (hash, msg);
            Err(SignError::NoRandomness)
        }
    }

    /// The signature of `msg`, as long as the modulus, blinded with `rng`. The
    /// blinding leaves no trace in the signature.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign_with_rng(
        &self,
        hash: HashAlgorithm,
        msg: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<Vec<u8>, SignError> {
        self.sign_blinded(hash, msg, &mut Adapter(rng))
    }

    fn sign_blinded<R: TryCryptoRng>(
        &self,
        hash: HashAlgorithm,
        msg: &[u8],
        rng: &mut R,
    ) -> Result<Vec<u8>, SignError> {
        let scheme = scheme(hash).ok_or(SignError::UnsupportedHash)?;
        if let Some(signed) = self.0.fast.as_ref().and_then(|key| key.sign(hash, msg)) {
            return signed.map_err(|Forged| SignError::Fault);
        }
        scheme.sign(Some(rng), &self.0.key, digest(hash, msg).as_bytes()).map_err(|error| {
            match error {
                rsa::Error::Rng => SignError::NoRandomness,
                _ => SignError::Fault,
            }
        })
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaKey({} bits)", self.0.key.n().bits())
    }
}

/// Checks the numbers of a public key, big-endian, with or without leading zeros:
/// an odd modulus of 2048 to 16384 bits and an odd exponent of 3 to 2^33 - 1.
///
/// # Errors
/// [`InvalidKey::Modulus`] or [`InvalidKey::PublicExponent`].
pub fn rsa_check_public(n: &[u8], e: &[u8]) -> Result<(), InvalidKey> {
    rsa_check_public_with_min(RSA_MIN_BITS, n, e)
}

/// The same with a least size of the caller's, in bits; at least [`RSA_SMALLEST_BITS`].
///
/// # Errors
/// As [`rsa_check_public`].
pub fn rsa_check_public_with_min(min_bits: usize, n: &[u8], e: &[u8]) -> Result<(), InvalidKey> {
    let bits = bit_len(n);
    if !(min_bits.max(RSA_SMALLEST_BITS)..=RSA_MAX_BITS).contains(&bits) || !is_odd(n) {
        return Err(InvalidKey::Modulus { bits });
    }
    if !(2..=MAX_EXPONENT_BITS).contains(&bit_len(e)) || !is_odd(e) {
        return Err(InvalidKey::PublicExponent);
    }
    Ok(())
}

/// Checks a signature by the holder of the public key (n, e).
///
/// A signature shorter than the modulus is taken to lack leading zeros, as some
/// implementations send it; one with more bytes is refused (RFC 8332 §3).
///
/// # Errors
/// [`Forged`] if it is not the key's signature of `msg`, the key is outside the
/// bounds of [`rsa_check_public`], or the hash is neither SHA-256 nor SHA-512 (nor, with the
/// feature `legacy`, SHA-1).
pub fn rsa_verify(
    n: &[u8],
    e: &[u8],
    hash: HashAlgorithm,
    msg: &[u8],
    sig: &[u8],
) -> Result<(), Forged> {
    rsa_verify_with_min(RSA_MIN_BITS, n, e, hash, msg, sig)
}

/// The same with a least size of the caller's, in bits; at least [`RSA_SMALLEST_BITS`].
///
/// # Errors
/// As [`rsa_verify`].
pub fn rsa_verify_with_min(
    min_bits: usize,
    n: &[u8],
    e: &[u8],
    hash: HashAlgorithm,
    msg: &[u8],
    sig: &[u8],
) -> Result<(), Forged> {
    rsa_check_public_with_min(min_bits, n, e).map_err(|_| Forged)?;
    let scheme = scheme(hash).ok_or(Forged)?;
    let (n, e) = (trimmed(n), trimmed(e));
    let missing = n.len().checked_sub(sig.len()).ok_or(Forged)?;
    let mut padded = alloc::vec![0; missing];
    padded.extend_from_slice(sig);
    if let Some(verdict) = backend::rsa_verify(n, e, hash, msg, &padded) {
        return verdict;
    }
    let key =
        RsaPublicKey::new_with_size_limits(number(n), number(e), RSA_SMALLEST_BITS..=RSA_MAX_BITS)
            .map_err(|_| Forged)?;
    scheme.verify(&key, digest(hash, msg).as_bytes(), &padded).map_err(|_| Forged)
}

/// The padding of RFC 8017 §9.2 for a hash that SSH has with RSA.
fn scheme(hash: HashAlgorithm) -> Option<Pkcs1v15Sign> {
    match hash {
        HashAlgorithm::Sha256 => Some(Pkcs1v15Sign::new::<Sha256>()),
        HashAlgorithm::Sha512 => Some(Pkcs1v15Sign::new::<Sha512>()),
        #[cfg(feature = "legacy")]
        HashAlgorithm::Sha1 => Some(Pkcs1v15Sign::new::<sha1::Sha1>()),
        #[cfg(not(feature = "legacy"))]
        HashAlgorithm::Sha1 => None,
        HashAlgorithm::Md5 | HashAlgorithm::Sha384 => None,
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

fn bit_len(bytes: &[u8]) -> usize {
    let bytes = trimmed(bytes);
    let unused = bytes.first().map_or(0, |byte| byte.leading_zeros());
    bytes.len().saturating_mul(8).saturating_sub(usize::try_from(unused).unwrap_or(0))
}

fn is_odd(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|byte| byte & 1 == 1)
}

/// A public number, in as few limbs as it needs.
fn number(bytes: &[u8]) -> BoxedUint {
    BoxedUint::from_be_slice_vartime(trimmed(bytes))
}

/// A secret number in `bits` bits, so that its own size does not show in the time taken.
fn secret_number(bytes: &[u8], bits: u32) -> Result<BoxedUint, InvalidKey> {
    BoxedUint::from_be_slice(trimmed(bytes), bits).map_err(|_| InvalidKey::Inconsistent)
}

/// A number that every complete key has.
fn part(number: Option<&BoxedUint>) -> Secret<Vec<u8>> {
    number.map_or_else(|| Secret::new(Vec::new()), secret_bytes)
}

fn secret_bytes(number: &BoxedUint) -> Secret<Vec<u8>> {
    let bytes = Zeroizing::new(number.to_be_bytes());
    Secret::new(trimmed(&bytes).to_vec())
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec;

    use super::*;
    use crate::rng::SeededRng;
    use crate::testing::Vectors;

    fn vectors() -> Vectors {
        Vectors::load(include_str!("../../testdata/rsa.json"))
    }

    fn key() -> RsaKey {
        let v = vectors();
        RsaKey::from_parts(&v.hex("n"), &v.hex("e"), &v.hex("d"), &v.hex("p"), &v.hex("q")).unwrap()
    }

    const HASHES: [(HashAlgorithm, &str); 2] =
        [(HashAlgorithm::Sha256, "sha256"), (HashAlgorithm::Sha512, "sha512")];

    #[test]
    fn signatures_are_those_of_another_implementation() {
        let (v, key) = (vectors(), key());
        for (hash, name) in HASHES {
            let expected = v.hex(name);
            let mut rng = SeededRng::new(1);
            let signature = key.sign_with_rng(hash, &v.hex("message"), &mut rng);
            assert_eq!(signature, Ok(expected.clone()));
            #[cfg(feature = "std")]
            assert_eq!(key.sign(hash, &v.hex("message")), Ok(expected.clone()));
            assert_eq!(rsa_verify(&key.n(), &key.e(), hash, &v.hex("message"), &expected), Ok(()));
        }
    }

    #[test]
    fn a_host_signature_of_openssh_verifies() {
        let (v, openssh) = (vectors(), vectors().object("openssh"));
        assert_eq!(openssh.value("algorithm"), "rsa-sha2-256");
        let (message, signature) = (openssh.hex("H"), openssh.hex("signature"));
        let verify = |hash| rsa_verify(&v.hex("n"), &v.hex("e"), hash, &message, &signature);
        assert_eq!(verify(HashAlgorithm::Sha256), Ok(()));
        assert_eq!(verify(HashAlgorithm::Sha512), Err(Forged));
    }

    #[test]
    fn the_numbers_come_back_minimal() {
        let (v, key) = (vectors(), key());
        assert_eq!(key.n(), v.hex("n"));
        assert_eq!(key.e(), v.hex("e"));
        assert_eq!(*key.d().expose(), v.hex("d"));
        assert_eq!(*key.p().expose(), v.hex("p"));
        assert_eq!(*key.q().expose(), v.hex("q"));
        assert_eq!(*key.iqmp().expose(), v.hex("iqmp"));
    }

    #[test]
    fn every_private_operation_is_blinded_with_fresh_randomness() {
        struct Counting(SeededRng, usize);
        impl Rng for Counting {
            fn fill(&mut self, dest: &mut [u8]) {
                self.1 += dest.len();
                self.0.fill(dest);
            }
        }
        // As where no other library signs.
        let Private { key, .. } = Arc::into_inner(key().0).unwrap();
        let key = RsaKey(Arc::new(Private { key, fast: None }));
        let mut rng = Counting(SeededRng::new(1), 0);
        for count in 1..4 {
            key.sign_with_rng(HashAlgorithm::Sha256, b"message", &mut rng).unwrap();
            assert!(rng.1 >= count * 256, "{} bytes drawn", rng.1);
        }
    }

    #[cfg(not(feature = "std"))]
    #[test]
    fn without_a_source_of_randomness_nothing_is_signed() {
        assert_eq!(key().sign(HashAlgorithm::Sha256, b"message"), Err(SignError::NoRandomness));
    }

    #[test]
    fn a_short_signature_lacks_leading_zeros_only() {
        let key = key();
        // Found by trying: this signature begins with a zero byte.
        let message = b"message 333";
        let hash = HashAlgorithm::Sha256;
        let mut rng = SeededRng::new(1);
        let signature = key.sign_with_rng(hash, message, &mut rng).unwrap();
        assert_eq!((signature.len(), signature[0]), (256, 0));
        let verify = |sig: &[u8]| rsa_verify(&key.n(), &key.e(), hash, message, sig);
        assert_eq!(verify(&signature), Ok(()));
        assert_eq!(verify(&signature[1..]), Ok(()));
        assert_eq!(verify(&signature[2..]), Err(Forged));
        assert_eq!(verify(&signature[..255]), Err(Forged));
        assert_eq!(verify(&[]), Err(Forged));
        let longer = [&[0][..], &signature].concat();
        assert_eq!(verify(&longer), Err(Forged));
    }

    #[test]
    fn forgeries_are_refused() {
        let (v, key) = (vectors(), key());
        let good = v.hex("sha256");
        let verify = |message: &[u8], sig: &[u8]| {
            rsa_verify(&key.n(), &key.e(), HashAlgorithm::Sha256, message, sig)
        };
        assert_eq!(verify(b"chiton", &good), Ok(()));
        assert_eq!(verify(b"chitom", &good), Err(Forged));
        for bit in (0..256 * 8).step_by(61) {
            let mut forged = good.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(b"chiton", &forged), Err(Forged));
        }
        for bad in [vec![0; 256], vec![0xff; 256], key.n()] {
            assert_eq!(verify(b"chiton", &bad), Err(Forged));
        }
    }

    #[cfg(feature = "legacy")]
    #[test]
    fn a_sha1_signature_of_openssh_verifies_where_legacy_is_wanted() {
        let (v, openssh) = (vectors(), vectors().object("openssh_sha1"));
        let (message, signature) = (openssh.hex("H"), openssh.hex("signature"));
        let verify = |hash| rsa_verify(&v.hex("n"), &v.hex("e"), hash, &message, &signature);
        assert_eq!(verify(HashAlgorithm::Sha1), Ok(()));
        assert_eq!(verify(HashAlgorithm::Sha256), Err(Forged));
        let mut rng = SeededRng::new(1);
        assert_eq!(key().sign_with_rng(HashAlgorithm::Sha1, &message, &mut rng), Ok(signature));
    }

    #[cfg(not(feature = "legacy"))]
    #[test]
    fn sha1_signatures_are_neither_made_nor_accepted() {
        let openssh = vectors().object("openssh_sha1");
        let (message, signature) = (openssh.hex("H"), openssh.hex("signature"));
        let (n, e) = (key().n(), key().e());
        assert_eq!(rsa_verify(&n, &e, HashAlgorithm::Sha1, &message, &signature), Err(Forged));
        assert_eq!(
            key().sign_with_rng(HashAlgorithm::Sha1, &message, &mut SeededRng::new(1)),
            Err(SignError::UnsupportedHash)
        );
    }

    #[test]
    fn small_moduli_are_taken_only_from_those_who_ask() {
        let mut n = vec![0; 128];
        n[0] = 0x80;
        n[127] = 1;
        let refused = Err(InvalidKey::Modulus { bits: 1024 });
        assert_eq!(rsa_check_public(&n, &[3]), refused);
        assert_eq!(rsa_check_public_with_min(1024, &n, &[3]), Ok(()));
        assert_eq!(rsa_check_public_with_min(1025, &n, &[3]), refused);
        n[0] = 0x40;
        let refused = Err(InvalidKey::Modulus { bits: 1023 });
        assert_eq!(rsa_check_public_with_min(0, &n, &[3]), refused);
    }

    #[test]
    fn the_exponents_of_pkcs1_are_those_of_the_remainder_theorem() {
        let key = key();
        let below = |number: &Secret<Vec<u8>>, prime: &Secret<Vec<u8>>| {
            let (number, prime) = (number.expose(), prime.expose());
            number.len() <= prime.len() && number != prime && !number.is_empty()
        };
        assert!(below(&key.dp(), &key.p()) && below(&key.dq(), &key.q()));
        // d ≡ dp modulo p - 1.
        let remainder = |d: &Secret<Vec<u8>>, p: &Secret<Vec<u8>>| {
            let order = number(p.expose()).wrapping_sub(BoxedUint::one());
            let order = order.to_nz().into_option().unwrap();
            secret_bytes(&number(d.expose()).rem_vartime(&order))
        };
        assert_eq!(remainder(&key.d(), &key.p()).expose(), key.dp().expose());
        assert_eq!(remainder(&key.d(), &key.q()).expose(), key.dq().expose());
    }

    #[test]
    fn signatures_over_other_hashes_are_neither_made_nor_accepted() {
        let (v, key) = (vectors(), key());
        for hash in [HashAlgorithm::Md5, HashAlgorithm::Sha384] {
            assert_eq!(
                key.sign_with_rng(hash, b"message", &mut SeededRng::new(1)),
                Err(SignError::UnsupportedHash)
            );
            assert_eq!(
                rsa_verify(&key.n(), &key.e(), hash, b"chiton", &v.hex("sha256")),
                Err(Forged)
            );
        }
    }

    #[test]
    fn public_keys_out_of_bounds_are_refused() {
        let modulus = |bits: usize| {
            let mut n = vec![0; bits.div_ceil(8)];
            n[0] = 1 << ((bits - 1) % 8);
            *n.last_mut().unwrap() |= 1;
            n
        };
        let e = [1, 0, 1];
        for bits in [2048, 2049, 3072, 16384] {
            assert_eq!(rsa_check_public(&modulus(bits), &e), Ok(()));
        }
        for bits in [8, 1024, 2047, 16385, 100_000] {
            let refused = rsa_check_public(&modulus(bits), &e).unwrap_err();
            assert_eq!(refused, InvalidKey::Modulus { bits });
            assert_eq!(
                rsa_verify(&modulus(bits), &e, HashAlgorithm::Sha256, b"", &[1; 256]),
                Err(Forged)
            );
        }
        let mut even = modulus(2048);
        even[255] = 0;
        assert!(rsa_check_public(&even, &e).is_err());
        assert!(rsa_check_public(&[], &e).is_err());

        let n = modulus(2048);
        for e in [&[3][..], &[0, 0, 1, 0, 1], &[1, 0xff, 0xff, 0xff, 0xff]] {
            assert_eq!(rsa_check_public(&n, e), Ok(()));
        }
        for e in [&[][..], &[0], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1], &n] {
            let refused = rsa_check_public(&n, e).unwrap_err();
            assert_eq!(refused, InvalidKey::PublicExponent);
        }
    }

    #[test]
    fn the_costliest_public_key_is_bearable() {
        // 16384 bits and an exponent of 33 ones, with a signature of full length.
        let (n, sig) = (vec![0xff; 2048], vec![0x7f; 2048]);
        let e = [1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(rsa_verify(&n, &e, HashAlgorithm::Sha512, b"", &sig), Err(Forged));
    }

    #[test]
    fn private_numbers_that_do_not_fit_together_are_refused() {
        let v = vectors();
        let names = ["n", "e", "d", "p", "q"];
        let good = names.map(|name| v.hex(name));
        let make = |parts: &[Vec<u8>; 5]| {
            let [n, e, d, p, q] = parts;
            RsaKey::from_parts(n, e, d, p, q)
        };
        // Leading zeros, as SSH writes them for the sign, change nothing.
        let padded = good.clone().map(|part| [&[0][..], &part].concat());
        assert_eq!(make(&padded).unwrap().n(), v.hex("n"));
        for (index, name) in names.iter().enumerate() {
            let mut parts = good.clone();
            let last = parts[index].last_mut().unwrap();
            *last ^= 2;
            assert!(make(&parts).is_err(), "{name} changed");
            for bad in [vec![], vec![0], vec![1], vec![0xff; 4096]] {
                let mut parts = good.clone();
                parts[index] = bad;
                assert!(make(&parts).is_err(), "{name} replaced");
            }
        }
        // p = n and q = 1 multiply to n, and are no factors.
        let [n, e, d, ..] = good;
        assert!(make(&[n.clone(), e, d, n, vec![1]]).is_err());
    }

    #[test]
    fn a_generated_key_signs() {
        let mut rng = SeededRng::new(5);
        let key = RsaKey::generate(2048, &mut rng).unwrap();
        assert_eq!(bit_len(&key.n()), 2048);
        assert_eq!(key.e(), [1, 0, 1]);
        let (d, p, q) = (key.d(), key.p(), key.q());
        let again = RsaKey::from_parts(&key.n(), &key.e(), d.expose(), p.expose(), q.expose());
        let hash = HashAlgorithm::Sha512;
        let signature = again.unwrap().sign_with_rng(hash, b"m", &mut rng).unwrap();
        assert_eq!(rsa_verify(&key.n(), &key.e(), hash, b"m", &signature), Ok(()));
        for bits in [0, 1024, 2047, 16385] {
            let refused = RsaKey::generate(bits, &mut rng).unwrap_err();
            assert_eq!(refused, InvalidKey::Modulus { bits });
        }
    }

    #[test]
    fn debug_shows_the_size_only() {
        assert_eq!(format!("{:?}", key()), "RsaKey(2048 bits)");
    }
}
