//! `bcrypt_pbkdf`, which turns a passphrase into the key of an OpenSSH private key file.

use crate::KdfError;

/// The most rounds that are computed.
///
/// A key file names its own number, so a hostile one could ask for days. One
/// round takes about 7 ms (for the usual 48 bytes): this is half a minute. `ssh-keygen` writes 24 unless told otherwise, careful people 100 to 1000.
pub const MAX_ROUNDS: u32 = 4096;

/// The most output the function is defined for, in bytes.
pub const MAX_OUTPUT: usize = 1024;

/// Fills `out` with a key derived from `pass` and `salt`.
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

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::testing::Vectors;

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
}
