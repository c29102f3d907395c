//! What turns a passphrase into the key of a private key file: `bcrypt_pbkdf` (OpenSSH), PBKDF2
//! (PKCS#8, RFC 8018) and Argon2 (PuTTY, RFC 9106).

use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};

use crate::KdfError;
use crate::hash::HashAlgorithm;

/// The most rounds that are computed.
///
/// A key file names its own number, so a hostile one could ask for days. One
/// round takes about 7 ms (for the usual 48 bytes): this is half a minute. `ssh-keygen` writes 24 unless told otherwise, careful people 100 to 1000.
pub const MAX_ROUNDS: u32 = 4096;

/// The most output the function is defined for, in bytes.
pub const MAX_OUTPUT: usize = 1024;

/// The most iterations of PBKDF2 that are computed.
///
/// A key file names its own number. One takes about 0.3 µs with SHA-256, 0.6 with SHA-512: this is
/// a few seconds. `ssh-keygen` writes 2048; advice for passwords is near a million.
pub const MAX_ITERATIONS: u32 = 10_000_000;

/// The most memory that Argon2 is given, in KiB: a quarter of a GiB.
///
/// A key file names its own figure; `puttygen` writes 8192.
pub const MAX_ARGON2_MEMORY: u32 = 256 * 1024;

/// The most memory that Argon2 goes over in all passes together, in KiB: 16 GiB are about ten
/// seconds.
pub const MAX_ARGON2_WORK: u64 = 16 * 1024 * 1024;

/// The most lanes of Argon2.
pub const MAX_ARGON2_LANES: u32 = 64;

/// `bcrypt_pbkdf`: fills `out` with a key derived from `pass` and `salt`.
///
/// # Errors
/// [`KdfError`] if an input is empty or beyond [`MAX_ROUNDS`] or [`MAX_OUTPUT`].
pub fn bcrypt_pbkdf(pass: &[u8], salt: &[u8], rounds: u32, out: &mut [u8]) -> Result<(), KdfError> {
    if pass.is_empty() {
        return Err(KdfError::EmptyPassphrase);
    }
    if salt.is_empty() {
        return Err(KdfError::EmptySalt);
    }
    if rounds == 0 || rounds > MAX_ROUNDS {
        return Err(KdfError::Rounds(rounds));
    }
    let len = out.len();
    if len == 0 || len > MAX_OUTPUT {
        return Err(KdfError::OutputLength(len));
    }
    bcrypt_pbkdf::bcrypt_pbkdf(pass, salt, rounds, out).map_err(|_| KdfError::OutputLength(len))
}

/// PBKDF2 with an HMAC (RFC 8018 §5.2): fills `out` with a key derived from `pass` and `salt`.
///
/// # Errors
/// [`KdfError::Iterations`] beyond [`MAX_ITERATIONS`], [`KdfError::OutputLength`] beyond
/// [`MAX_OUTPUT`].
pub fn pbkdf2(
    hash: HashAlgorithm,
    pass: &[u8],
    salt: &[u8],
    iterations: u32,
    out: &mut [u8],
) -> Result<(), KdfError> {
    if iterations == 0 || iterations > MAX_ITERATIONS {
        return Err(KdfError::Iterations(iterations));
    }
    if out.is_empty() || out.len() > MAX_OUTPUT {
        return Err(KdfError::OutputLength(out.len()));
    }
    match hash {
        HashAlgorithm::Md5 => pbkdf2::pbkdf2_hmac::<md5::Md5>(pass, salt, iterations, out),
        HashAlgorithm::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(pass, salt, iterations, out),
        HashAlgorithm::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(pass, salt, iterations, out),
        HashAlgorithm::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(pass, salt, iterations, out),
        HashAlgorithm::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(pass, salt, iterations, out),
    }
    Ok(())
}

/// The three kinds of Argon2 (RFC 9106 §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "RFC 9106 has these three")]
pub enum Argon2Kind {
    /// Addresses depend on the passphrase.
    D,
    /// Addresses do not.
    I,
    /// First not, then they do: what `puttygen` writes.
    Id,
}

/// What Argon2 is to cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "RFC 9106 has these parameters")]
pub struct Argon2Cost {
    /// Memory, in KiB: at least 8 for each lane, at most [`MAX_ARGON2_MEMORY`].
    pub memory: u32,
    /// Passes over the memory: at least one, with the memory at most [`MAX_ARGON2_WORK`].
    pub passes: u32,
    /// Lanes, computed one after the other here: 1 to [`MAX_ARGON2_LANES`].
    pub lanes: u32,
}

/// Argon2, version 1.3 (RFC 9106): fills `out` with a key derived from `pass` and `salt`.
///
/// # Errors
/// [`KdfError`] if the cost is out of its bounds, the salt has fewer than 8 bytes, or `out` fewer
/// than 4 or more than [`MAX_OUTPUT`].
pub fn argon2(
    kind: Argon2Kind,
    pass: &[u8],
    salt: &[u8],
    cost: Argon2Cost,
    out: &mut [u8],
) -> Result<(), KdfError> {
    let Argon2Cost { memory, passes, lanes } = cost;
    if lanes == 0 || lanes > MAX_ARGON2_LANES {
        return Err(KdfError::Argon2Lanes(lanes));
    }
    if memory > MAX_ARGON2_MEMORY || memory < lanes.saturating_mul(8) {
        return Err(KdfError::Argon2Memory(memory));
    }
    let work = u64::from(memory).saturating_mul(u64::from(passes));
    if passes == 0 || work > MAX_ARGON2_WORK {
        return Err(KdfError::Argon2Passes(passes));
    }
    if out.len() > MAX_OUTPUT {
        return Err(KdfError::OutputLength(out.len()));
    }
    let kind = match kind {
        Argon2Kind::D => argon2::Algorithm::Argon2d,
        Argon2Kind::I => argon2::Algorithm::Argon2i,
        Argon2Kind::Id => argon2::Algorithm::Argon2id,
    };
    let params = argon2::Params::new(memory, passes, lanes, Some(out.len()));
    let params = params.map_err(|_| KdfError::Argon2Input)?;
    argon2::Argon2::new(kind, argon2::Version::V0x13, params)
        .hash_password_into(pass, salt, out)
        .map_err(|_| KdfError::Argon2Input)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::testing::{Vectors, unhex};

    #[test]
    fn known_answers() {
        let vectors = Vectors::load(include_str!("../testdata/bcrypt_pbkdf.json"));
        for case in vectors.list("vectors") {
            let key = case.hex("key");
            assert_eq!(case.number("length"), key.len() as u64);
            let mut out = vec![0; key.len()];
            let rounds = case.number("rounds").try_into().unwrap();
            bcrypt_pbkdf(&case.hex("password"), &case.hex("salt"), rounds, &mut out).unwrap();
            assert_eq!(out, key);
        }
    }

    #[test]
    fn inputs_out_of_bounds_are_refused_at_once() {
        let mut out = [0; 48];
        let mut derive = |pass: &[u8], salt: &[u8], rounds| {
            bcrypt_pbkdf(pass, salt, rounds, &mut out).unwrap_err()
        };
        assert_eq!(derive(b"", b"salt", 1), KdfError::EmptyPassphrase);
        assert_eq!(derive(b"pass", b"", 1), KdfError::EmptySalt);
        assert_eq!(derive(b"pass", b"salt", 0), KdfError::Rounds(0));
        let rounds = MAX_ROUNDS + 1;
        assert_eq!(derive(b"pass", b"salt", rounds), KdfError::Rounds(rounds));
        assert_eq!(derive(b"pass", b"salt", u32::MAX), KdfError::Rounds(u32::MAX));
        assert_eq!(bcrypt_pbkdf(b"pass", b"salt", 1, &mut []), Err(KdfError::OutputLength(0)));
        assert_eq!(
            bcrypt_pbkdf(b"pass", b"salt", 1, &mut [0; MAX_OUTPUT + 1]),
            Err(KdfError::OutputLength(MAX_OUTPUT + 1))
        );
    }

    #[test]
    fn the_longest_output_is_computed() {
        assert_eq!(bcrypt_pbkdf(b"p", b"s", 1, &mut [0; MAX_OUTPUT]), Ok(()));
    }

    #[test]
    fn known_answers_of_pbkdf2() {
        // RFC 6070, and the same inputs with SHA-256 (RFC 7914 §11) and SHA-512 (hashlib).
        let mut out = [0; 20];
        pbkdf2(HashAlgorithm::Sha1, b"password", b"salt", 4096, &mut out).unwrap();
        assert_eq!(out[..], unhex("4b007901b765489abead49d926f721d065a429c1"));
        let mut out = [0; 64];
        pbkdf2(HashAlgorithm::Sha256, b"passwd", b"salt", 1, &mut out).unwrap();
        assert_eq!(
            out[..],
            unhex(
                "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc\
                 49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783"
            )
        );
        let mut out = [0; 32];
        for (hash, expected) in [
            (
                HashAlgorithm::Md5,
                "280bb9170d873234e922ea067e94e9b12451854849957543f56d9be119a00669",
            ),
            (
                HashAlgorithm::Sha384,
                "fd59f4c5847bbcf1ca33174a7d63ae50c5adeef45d94a36f730b13ebe352ae80",
            ),
            (
                HashAlgorithm::Sha512,
                "fef7276b107040a0a713bcbec9fd3e191cc6153249e245a3e1a22087dbe61606",
            ),
        ] {
            pbkdf2(hash, b"password", b"salt", 100, &mut out).unwrap();
            assert_eq!(out[..], unhex(expected), "{hash:?}");
        }
    }

    #[test]
    fn known_answers_of_argon2() {
        // The reference implementation's test.c, version 0x13.
        let cost = Argon2Cost { memory: 1 << 8, passes: 2, lanes: 1 };
        for (kind, lanes, expected) in [
            (Argon2Kind::I, 1, "89e9029f4637b295beb027056a7336c414fadd43f6b208645281cb214a56452f"),
            (Argon2Kind::I, 2, "4ff5ce2769a1d7f4c8a491df09d41a9fbe90e5eb02155a13e4c01e20cd4eab61"),
            (Argon2Kind::Id, 1, "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe"),
            (Argon2Kind::Id, 2, "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037"),
        ] {
            let mut out = [0; 32];
            argon2(kind, b"password", b"somesalt", Argon2Cost { lanes, ..cost }, &mut out).unwrap();
            assert_eq!(out[..], unhex(expected), "{kind:?} {lanes}");
        }
    }

    #[test]
    fn costs_out_of_bounds_are_refused_at_once() {
        let mut out = [0; 32];
        let mut derive = |iterations| {
            pbkdf2(HashAlgorithm::Sha256, b"p", b"s", iterations, &mut out).unwrap_err()
        };
        for iterations in [0, MAX_ITERATIONS + 1, u32::MAX] {
            assert_eq!(derive(iterations), KdfError::Iterations(iterations));
        }
        let none = pbkdf2(HashAlgorithm::Sha256, b"p", b"s", 1, &mut []);
        assert_eq!(none, Err(KdfError::OutputLength(0)));
        let long = pbkdf2(HashAlgorithm::Sha256, b"p", b"s", 1, &mut [0; MAX_OUTPUT + 1]);
        assert_eq!(long, Err(KdfError::OutputLength(MAX_OUTPUT + 1)));

        let cost = Argon2Cost { memory: 64, passes: 1, lanes: 1 };
        let mut derive = |salt: &[u8], cost| argon2(Argon2Kind::Id, b"p", salt, cost, &mut out);
        assert_eq!(derive(b"somesalt", cost), Ok(()));
        assert_eq!(derive(b"short", cost), Err(KdfError::Argon2Input));
        for memory in [0, 7, MAX_ARGON2_MEMORY + 1, u32::MAX] {
            let refused = derive(b"somesalt", Argon2Cost { memory, ..cost });
            assert_eq!(refused, Err(KdfError::Argon2Memory(memory)));
        }
        for passes in [0, MAX_ARGON2_WORK as u32 / 64 + 1, u32::MAX] {
            let refused = derive(b"somesalt", Argon2Cost { passes, ..cost });
            assert_eq!(refused, Err(KdfError::Argon2Passes(passes)));
        }
        for lanes in [0, MAX_ARGON2_LANES + 1, u32::MAX] {
            let refused = derive(b"somesalt", Argon2Cost { lanes, ..cost });
            assert_eq!(refused, Err(KdfError::Argon2Lanes(lanes)));
        }
        let short = argon2(Argon2Kind::D, b"p", b"somesalt", cost, &mut [0; 3]);
        assert_eq!(short, Err(KdfError::Argon2Input));
        let long = argon2(Argon2Kind::D, b"p", b"somesalt", cost, &mut [0; MAX_OUTPUT + 1]);
        assert_eq!(long, Err(KdfError::OutputLength(MAX_OUTPUT + 1)));
    }
}
