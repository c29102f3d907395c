//! Private keys: made, read from files, and signing.

mod secret;

use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt;

use ssh_crypto::{Secret, kdf, rng::Rng};
use ssh_wire::Reader;

pub(crate) use self::secret::{SecretKey, rsa};
pub use crate::format::{FileCipher, Protection};
use crate::{
    Certificate, GenerationFailed, KeyError, KeyType, PrivateKeyError, PublicKey, SignError,
    SignatureAlgorithm, certificate, format, public,
};

/// The longest key file that is read, in bytes. The longest RSA key takes a quarter of it.
pub const MAX_FILE_LEN: usize = 64 * 1024;
/// The most rounds of bcrypt that a passphrase is tried with: about half a minute. `ssh-keygen`
/// writes 24 unless told otherwise.
pub const MAX_BCRYPT_ROUNDS: u32 = kdf::MAX_ROUNDS;
/// The most iterations of PBKDF2 that a passphrase is tried with: some seconds. `ssh-keygen` writes
/// 2048, people who have read advice about passwords up to a million.
pub const MAX_PBKDF2_ITERATIONS: u32 = kdf::MAX_ITERATIONS;
/// The most memory that a passphrase is tried with, in KiB. `puttygen` writes 8192.
pub const MAX_ARGON2_MEMORY: u32 = kdf::MAX_ARGON2_MEMORY;
/// The size of the RSA keys that [`PrivateKey::generate`] makes, in bits; as `ssh-keygen`.
pub const RSA_BITS: usize = 3072;

/// What a key file may demand of who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadLimits {
    /// The smallest RSA key, in bits. Less than 1024 are not to be had.
    pub min_rsa_bits: usize,
    /// The most rounds of bcrypt, up to [`MAX_BCRYPT_ROUNDS`].
    pub max_bcrypt_rounds: u32,
    /// The most iterations of PBKDF2, up to [`MAX_PBKDF2_ITERATIONS`].
    pub max_pbkdf2_iterations: u32,
    /// The most memory for Argon2, in KiB, up to [`MAX_ARGON2_MEMORY`].
    pub max_argon2_memory: u32,
}

impl ReadLimits {
    /// What files may demand unless somebody knows better.
    pub const USUAL: Self = Self {
        min_rsa_bits: public::MIN_RSA_BITS,
        max_bcrypt_rounds: MAX_BCRYPT_ROUNDS,
        max_pbkdf2_iterations: MAX_PBKDF2_ITERATIONS,
        max_argon2_memory: MAX_ARGON2_MEMORY,
    };

    /// The same, with RSA keys down to `bits`.
    #[must_use]
    pub const fn with_min_rsa_bits(self, bits: usize) -> Self {
        Self { min_rsa_bits: bits, ..self }
    }
}

impl Default for ReadLimits {
    fn default() -> Self {
        Self::USUAL
    }
}

/// A private key with its public half and its comment. Cloning shares it, the last clone wipes
/// it, and nothing prints it.
///
/// The key of a FIDO token is one too, though all that it holds is what the token needs to find the
/// key: it signs nothing here.
#[derive(Clone)]
pub struct PrivateKey {
    secret: Arc<SecretKey>,
    public: PublicKey,
    comment: Arc<str>,
}

impl PrivateKey {
    /// Makes a new key without a comment. RSA keys have [`RSA_BITS`] bits and take a second or
    /// several.
    ///
    /// # Errors
    /// [`GenerationFailed`], which no working source of random numbers leads to, unless the key
    /// would be in a token.
    pub fn generate(key_type: KeyType, rng: &mut dyn Rng) -> Result<Self, GenerationFailed> {
        Self::of_generated(SecretKey::generate(key_type, RSA_BITS, rng)?)
    }

    /// Makes a new RSA key of `bits` bits, at least [`public::MIN_RSA_BITS`] and at most
    /// [`public::MAX_RSA_BITS`]. The time it takes grows fast.
    ///
    /// # Errors
    /// [`GenerationFailed`] if `bits` is out of bounds.
    pub fn generate_rsa(bits: usize, rng: &mut dyn Rng) -> Result<Self, GenerationFailed> {
        Self::of_generated(SecretKey::generate(KeyType::Rsa, bits, rng)?)
    }

    fn of_generated(secret: SecretKey) -> Result<Self, GenerationFailed> {
        let blob = secret.public_blob().ok_or(GenerationFailed)?;
        let public = PublicKey::from_blob(&blob).map_err(|_| GenerationFailed)?;
        Ok(Self::new(secret, public, ""))
    }

    pub(crate) fn new(secret: SecretKey, public: PublicKey, comment: &str) -> Self {
        Self { secret: Arc::new(secret), public, comment: comment.into() }
    }

    /// The key of its numbers, whose public half they tell.
    pub(crate) fn of_numbers(
        secret: SecretKey,
        comment: &str,
        min_rsa_bits: usize,
    ) -> Result<Self, PrivateKeyError> {
        let blob = secret.public_blob().ok_or(PrivateKeyError::InvalidKey)?;
        let public = PublicKey::from_blob_of_bits(&blob, min_rsa_bits)?;
        Ok(Self::new(secret, public, comment))
    }

    /// Reads the text of a private key file, whichever of these it is:
    ///
    /// | begins with | what it is |
    /// |---|---|
    /// | `-----BEGIN OPENSSH PRIVATE KEY-----` | OpenSSH's own, plain or encrypted |
    /// | `-----BEGIN RSA PRIVATE KEY-----` | PKCS#1 (RFC 8017), plain or encrypted as OpenSSL did |
    /// | `-----BEGIN EC PRIVATE KEY-----` | SEC 1 (RFC 5915), plain or encrypted as OpenSSL did |
    /// | `-----BEGIN PRIVATE KEY-----` | PKCS#8 (RFC 5958) |
    /// | `-----BEGIN ENCRYPTED PRIVATE KEY-----` | PKCS#8, encrypted (RFC 8018 PBES2) |
    /// | `PuTTY-User-Key-File-2:` or `-3:` | PuTTY's `.ppk`, plain or encrypted |
    ///
    /// The passphrase is not looked at if the file is not encrypted. Trying one takes as long as
    /// the file demands, at most about half a minute.
    ///
    /// # Errors
    /// [`PrivateKeyError`]. [`PrivateKeyError::Encrypted`] comes only if as much of the file as can
    /// be seen is in order, so that asking a person for the passphrase makes sense.
    pub fn parse(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, PrivateKeyError> {
        Self::parse_with(text, passphrase, &ReadLimits::USUAL)
    }

    /// As [`Self::parse`], with limits of one's own: for small RSA keys, or less patience.
    ///
    /// # Errors
    /// As there.
    pub fn parse_with(
        text: &[u8],
        passphrase: Option<&[u8]>,
        limits: &ReadLimits,
    ) -> Result<Self, PrivateKeyError> {
        format::read(text, passphrase, limits)
    }

    /// Reads only the public half of a private key file, for which no passphrase is needed: to ask
    /// a server whether it wants the key before asking a person to unlock it.
    ///
    /// # Errors
    /// [`PrivateKeyError`], but for those that come from the encrypted part.
    /// [`PrivateKeyError::Encrypted`] if all of the file is encrypted, as PEM is.
    pub fn parse_public(text: &[u8]) -> Result<PublicKey, PrivateKeyError> {
        format::read_public(text, &ReadLimits::USUAL)
    }

    /// Whether the file is encrypted, by what stands outside of the encryption.
    ///
    /// # Errors
    /// As [`Self::parse_public`], without the last.
    pub fn is_encrypted(text: &[u8]) -> Result<bool, PrivateKeyError> {
        match format::read(text, None, &ReadLimits::USUAL.with_min_rsa_bits(0)) {
            Ok(_) => Ok(false),
            Err(PrivateKeyError::Encrypted) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The text of an unencrypted private key file in OpenSSH's format. `rng` gives four bytes that
    /// nothing depends on.
    #[must_use]
    pub fn to_openssh(&self, rng: &mut dyn Rng) -> Secret<String> {
        format::openssh::write(self, rng)
    }

    /// The text of a private key file in OpenSSH's format that opens with a passphrase.
    ///
    /// # Errors
    /// [`PrivateKeyError::EmptyPassphrase`], and [`PrivateKeyError::TooManyRounds`] beyond
    /// [`MAX_BCRYPT_ROUNDS`].
    pub fn to_openssh_encrypted(
        &self,
        protection: &Protection<'_>,
        rng: &mut dyn Rng,
    ) -> Result<Secret<String>, PrivateKeyError> {
        format::openssh::write_encrypted(self, protection, rng)
    }

    /// The text of an unencrypted private key file in PKCS#8 (RFC 5958, RFC 8410), for programs
    /// other than SSH.
    ///
    /// # Errors
    /// [`PrivateKeyError::NoSuchForm`] for types that PKCS#8 has no number for.
    pub fn to_pkcs8(&self) -> Result<Secret<String>, PrivateKeyError> {
        format::pkcs8::write(self)
    }

    /// The text of a private key file in PKCS#8 that opens with a passphrase: PBES2 with
    /// PBKDF2-HMAC-SHA256 and AES-256-CBC (RFC 8018).
    ///
    /// # Errors
    /// As [`Self::to_pkcs8`], and [`PrivateKeyError::EmptyPassphrase`].
    pub fn to_pkcs8_encrypted(
        &self,
        passphrase: &[u8],
        rng: &mut dyn Rng,
    ) -> Result<Secret<String>, PrivateKeyError> {
        format::pkcs8::write_encrypted(self, passphrase, rng)
    }

    /// The text of an unencrypted private key file as older programs read it: PKCS#1 for RSA, SEC 1
    /// for ECDSA.
    ///
    /// # Errors
    /// [`PrivateKeyError::NoSuchForm`] for other types.
    pub fn to_pem(&self) -> Result<Secret<String>, PrivateKeyError> {
        format::pem::write(self)
    }

    /// Reads the type and the numbers of a key as agents are given them (RFC 9987 §3.2): those of a
    /// key file, without what stands around them. What follows is left to the reader; the comment
    /// is empty.
    ///
    /// # Errors
    /// [`PrivateKeyError`]: fields that do not parse, or halves that do not fit each other.
    pub fn decode_fields(reader: &mut Reader<'_>) -> Result<Self, PrivateKeyError> {
        match Self::decode_certified_fields(reader)? {
            (key, None) => Ok(key),
            (_, Some(certificate)) => {
                let name = certificate.name().into();
                Err(PrivateKeyError::PublicKey(KeyError::UnsupportedType { name }))
            }
        }
    }

    /// As [`Self::decode_fields`], with a certificate if there is one before the numbers.
    ///
    /// # Errors
    /// As there, and [`PrivateKeyError::Certificate`].
    pub fn decode_certified_fields(
        reader: &mut Reader<'_>,
    ) -> Result<(Self, Option<Certificate>), PrivateKeyError> {
        let (secret, public, certificate) = SecretKey::decode(reader, public::MIN_RSA_BITS)?;
        Ok((Self::new(secret, public, ""), certificate))
    }

    /// Writes what [`Self::decode_fields`] reads.
    #[must_use]
    pub fn encode_fields(&self) -> Secret<Vec<u8>> {
        self.encoded(|out| self.secret.encode(&self.public, out))
    }

    /// Writes a certificate over this key, and the private numbers: what
    /// [`Self::decode_certified_fields`] reads.
    #[must_use]
    pub fn encode_certified_fields(&self, certificate: &Certificate) -> Secret<Vec<u8>> {
        self.encoded(|out| self.secret.encode_certified(certificate, out))
    }

    /// What `write` writes. No copy of a secret stays behind: the largest are the numbers of RSA
    /// keys, n, d of the size of the public blob, p, q, iqmp of half of it.
    fn encoded(&self, write: impl FnOnce(&mut Vec<u8>)) -> Secret<Vec<u8>> {
        let numbers = self.public.blob().len().saturating_mul(4);
        let capacity = numbers.saturating_add(certificate::MAX_LEN);
        let mut fields = Secret::new(Vec::with_capacity(capacity));
        write(fields.expose_mut());
        fields
    }

    /// The same key with another comment.
    #[must_use]
    pub fn with_comment(&self, comment: &str) -> Self {
        Self { comment: comment.into(), ..self.clone() }
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The comment as it stands in the file (not for a terminal: see [`ssh_wire::escape`]).
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The algorithms this key signs with, the preferred first; none if it is in a token.
    #[must_use]
    pub fn algorithms(&self) -> &'static [SignatureAlgorithm] {
        let key_type = self.secret.key_type();
        if key_type.is_hardware() { &[] } else { key_type.signature_algorithms() }
    }

    /// Signs `message`, and returns the signature blob: name and signature, as in
    /// [`PublicKey::verify`].
    ///
    /// # Errors
    /// [`SignError::WrongKeyType`] if `algorithm` is not one of the key; [`SignError::InToken`];
    /// for RSA also the others.
    pub fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        self.secret.sign(&self.public, algorithm, message)
    }

    pub(crate) fn secret(&self) -> &SecretKey {
        &self.secret
    }
}

/// Shows the public half only.
impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {})", self.public().key_type(), self.public().fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec};

    use proptest::prelude::*;
    use ssh_crypto::rng::SeededRng;

    use super::*;
    use crate::{base64, format::pem, testing};

    /// Changes the bytes inside of a key file.
    fn changed(text: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = pem::Pem::parse(text).unwrap().decoded().unwrap().expose().clone();
        change(&mut bytes);
        format!("{BEGIN}\n{}\n{END}\n", base64::encode(&bytes)).into_bytes()
    }

    fn error(text: &[u8]) -> PrivateKeyError {
        PrivateKey::parse(text, None).unwrap_err()
    }

    const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
    const END: &str = "-----END OPENSSH PRIVATE KEY-----";

    const PLAIN: &[&str] = &[
        "keys/host_ed25519",
        "keys/host_ecdsa",
        "keys/host_rsa",
        "keys/user",
        "extra/ed25519",
        "extra/rsa2048",
        "openssh/ed25519_1",
        "openssh/ed25519_2",
        "openssh/ecdsa_n",
    ];

    #[test]
    fn keys_of_ssh_keygen_are_read_sign_and_are_written_back() {
        for name in PLAIN {
            let key = testing::private(name);
            if !name.ends_with("_n") {
                let text = testing::text(&format!("{name}.pub"));
                let (public, comment) = PublicKey::from_openssh(&text).unwrap();
                assert_eq!(*key.public(), public, "{name}");
                assert_eq!(key.comment(), comment, "{name}");
            }
            for algorithm in key.algorithms() {
                let signature = key.sign(*algorithm, b"message").unwrap();
                assert_eq!(key.public().verify(*algorithm, b"message", &signature), Ok(()));
                assert!(key.public().verify(*algorithm, b"massage", &signature).is_err());
            }
            let text = key.to_openssh(&mut SeededRng::new(1));
            let again = PrivateKey::parse(text.expose().as_bytes(), None).unwrap();
            assert_eq!(again.public(), key.public());
            assert_eq!(again.to_openssh(&mut SeededRng::new(1)).expose(), text.expose(), "{name}");
        }
    }

    /// But for the check number the format leaves no choice.
    #[test]
    fn files_are_written_as_ssh_keygen_writes_them() {
        struct Check([u8; 4]);
        impl ssh_crypto::rng::Rng for Check {
            fn fill(&mut self, dest: &mut [u8]) {
                dest.copy_from_slice(&self.0);
            }
        }
        for name in ["keys/host_ed25519", "keys/host_ecdsa", "keys/host_rsa", "extra/rsa2048"] {
            let text = testing::bytes(name);
            let mut check = [0; 4];
            changed(&text, |bytes| {
                let public = testing::public(&format!("{name}.pub"));
                let at = 15 + 8 + 8 + 4 + 4 + 4 + public.blob().len() + 4;
                check.copy_from_slice(&bytes[at..at + 4]);
            });
            let written = testing::private(name).to_openssh(&mut Check(check));
            assert_eq!(written.expose().as_bytes(), text, "{name}");
        }
    }

    #[test]
    fn encrypted_keys_open_with_their_passphrase_and_no_other() {
        let public = testing::public("extra/ed25519.pub");
        for cipher in [
            "aes128-ctr",
            "aes192-ctr",
            "aes256-ctr",
            "aes128-gcm@openssh.com",
            "aes256-gcm@openssh.com",
            "chacha20-poly1305@openssh.com",
            "aes128-cbc",
            "aes192-cbc",
            "aes256-cbc",
            "3des-cbc",
        ] {
            let text = testing::bytes(&format!("extra/ed25519_enc_{cipher}"));
            let open =
                |passphrase| PrivateKey::parse(&text, passphrase).map(|k| k.public().clone());
            assert_eq!(open(Some(testing::PASSPHRASE)), Ok(public.clone()), "{cipher}");
            assert_eq!(open(None), Err(PrivateKeyError::Encrypted), "{cipher}");
            assert_eq!(open(Some(b"")), Err(PrivateKeyError::WrongPassphrase), "{cipher}");
            assert_eq!(open(Some(b"correct horsE")), Err(PrivateKeyError::WrongPassphrase));
            assert_eq!(PrivateKey::parse_public(&text), Ok(public.clone()));
        }
        let text = testing::bytes("openssh/ed25519_1_pw");
        let key = PrivateKey::parse(&text, Some(testing::OPENSSH_PASSPHRASE)).unwrap();
        assert_eq!(*key.public(), testing::public("openssh/ed25519_1.pub"));
    }

    #[test]
    fn ciphers_that_are_not_implemented_are_named() {
        let text = testing::bytes("extra/ed25519_enc_aes256-ctr");
        let text = changed(&text, |bytes| bytes[15 + 4] = b'A');
        let error = PrivateKey::parse(&text, Some(testing::PASSPHRASE)).unwrap_err();
        assert_eq!(error, PrivateKeyError::UnsupportedCipher { name: "Aes256-ctr".into() });
        assert!(error.to_string().contains("ssh-keygen -p -Z"));
    }

    #[test]
    fn small_rsa_keys_are_read_by_those_who_ask_for_them() {
        let text = testing::bytes("openssh/rsa_n");
        let refused = PrivateKeyError::PublicKey(KeyError::RsaModulusSize { bits: 1024 });
        assert_eq!(error(&text), refused);
        let limits = ReadLimits::USUAL.with_min_rsa_bits(1024);
        let key = PrivateKey::parse_with(&text, None, &limits).unwrap();
        let algorithm = SignatureAlgorithm::RsaSha256;
        let signature = key.sign(algorithm, b"m").unwrap();
        assert_eq!(key.public().verify(algorithm, b"m", &signature), Ok(()));
        assert!(PublicKey::from_blob(key.public().blob()).is_err());
    }

    #[test]
    fn keys_in_tokens_are_read_and_written_and_do_not_sign() {
        for name in ["ed25519_sk1", "ecdsa_sk1", "ed25519_sk2", "ecdsa_sk2"] {
            let key = testing::private(&format!("openssh/{name}"));
            assert_eq!(*key.public(), testing::public(&format!("openssh/{name}.pub")), "{name}");
            assert!(key.algorithms().is_empty());
            let algorithm = key.public().key_type().signature_algorithms()[0];
            assert_eq!(key.sign(algorithm, b"m"), Err(SignError::InToken));
            let text = key.to_openssh(&mut SeededRng::new(1));
            let again = PrivateKey::parse(text.expose().as_bytes(), None).unwrap();
            assert_eq!(again.encode_fields().expose(), key.encode_fields().expose());
            assert!(matches!(key.to_pkcs8(), Err(PrivateKeyError::NoSuchForm { .. })));
        }
        let refused = PrivateKey::generate(KeyType::SkEd25519, &mut SeededRng::new(1));
        assert!(refused.is_err());
    }

    #[test]
    fn every_cut_of_a_file_is_an_error_and_never_asks_for_a_passphrase() {
        for name in PLAIN.iter().chain(&["extra/ed25519_enc_aes256-ctr", "openssh/ed25519_1_pw"]) {
            let text = testing::bytes(name);
            for end in 0..text.len() - 1 {
                let error = error(&text[..end]);
                let begun = end >= BEGIN.len();
                assert_eq!(
                    error == PrivateKeyError::Truncated,
                    end >= "-----BEGIN ".len(),
                    "{name} {end}"
                );
                assert!(!begun || error == PrivateKeyError::Truncated, "{name} {end} {error}");
            }
        }
    }

    #[test]
    fn every_cut_inside_of_a_file_is_an_error() {
        for name in
            ["extra/ed25519", "keys/host_ecdsa", "extra/ed25519_enc_chacha20-poly1305@openssh.com"]
        {
            let text = testing::bytes(name);
            let mut len = 0;
            changed(&text, |bytes| len = bytes.len());
            for end in 0..len {
                let cut = changed(&text, |bytes| bytes.truncate(end));
                assert_eq!(error(&cut), PrivateKeyError::Truncated, "{name} {end}");
            }
            let more = changed(&text, |bytes| bytes.push(0));
            assert!(matches!(error(&more), PrivateKeyError::Malformed(_)), "{name}");
        }
    }

    #[test]
    fn every_changed_byte_of_an_unencrypted_key_is_noticed() {
        for name in ["extra/ed25519", "keys/host_ecdsa"] {
            let text = testing::bytes(name);
            let comment = testing::private(name).comment().as_bytes().to_vec();
            let mut bytes = vec![];
            changed(&text, |inner| bytes.clone_from(inner));
            let at = bytes.windows(comment.len()).position(|window| window == comment).unwrap();
            // The comment may be anything, so also longer by the padding behind it.
            let comment = at - 4..at + comment.len();
            for i in (0..bytes.len()).filter(|i| !comment.contains(i)) {
                let text = changed(&text, |bytes| bytes[i] ^= 0x04);
                assert!(PrivateKey::parse(&text, None).is_err(), "{name} {i}");
            }
        }
    }

    #[test]
    fn halves_of_different_keys_do_not_make_a_key() {
        let other = testing::public("keys/user.pub");
        let text = testing::bytes("extra/ed25519");
        let at = 15 + 8 + 8 + 4 + 4 + 4;
        let mixed = changed(&text, |bytes| bytes[at..at + 51].copy_from_slice(other.blob()));
        assert_eq!(error(&mixed), PrivateKeyError::Mismatch);
    }

    #[test]
    fn a_file_cannot_make_us_compute_for_days() {
        let text = testing::bytes("extra/ed25519_enc_aes256-ctr");
        let rounds_at = 15 + 4 + 10 + 4 + 6 + 4 + 4 + 16;
        for (rounds, expected) in [
            (u32::MAX, PrivateKeyError::TooManyRounds { rounds: u32::MAX }),
            (
                MAX_BCRYPT_ROUNDS + 1,
                PrivateKeyError::TooManyRounds { rounds: MAX_BCRYPT_ROUNDS + 1 },
            ),
        ] {
            let text = changed(&text, |bytes| {
                bytes[rounds_at..rounds_at + 4].copy_from_slice(&rounds.to_be_bytes());
            });
            let result = PrivateKey::parse(&text, Some(testing::PASSPHRASE));
            assert_eq!(result.unwrap_err(), expected);
        }
        let text = changed(&text, |bytes| bytes[rounds_at..rounds_at + 4].fill(0));
        assert!(matches!(error(&text), PrivateKeyError::Malformed(_)));
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let text = vec![b' '; MAX_FILE_LEN + 1];
        assert_eq!(error(&text), PrivateKeyError::TooLong { len: MAX_FILE_LEN + 1 });
        assert!(matches!(error(&text[1..]), PrivateKeyError::UnknownFormat { .. }));
    }

    #[test]
    fn files_may_have_other_line_ends_and_no_last_one() {
        let text = testing::text("extra/ed25519");
        for text in [text.trim_end().into(), text.replace('\n', "\r\n"), format!("\n{text}\n\n")] {
            assert!(PrivateKey::parse(text.as_bytes(), None).is_ok());
        }
    }

    #[test]
    fn new_keys_sign_and_survive_a_file() {
        for key_type in KeyType::ALL.iter().filter(|key_type| !key_type.is_hardware()) {
            let mut rng = SeededRng::new(7);
            let key = PrivateKey::generate(*key_type, &mut rng).unwrap().with_comment("a b");
            assert_eq!(key.public().key_type(), *key_type);
            let text = key.to_openssh(&mut rng);
            let again = PrivateKey::parse(text.expose().as_bytes(), None).unwrap();
            assert_eq!((again.public(), again.comment()), (key.public(), "a b"));
            for algorithm in key.algorithms() {
                let signature = again.sign(*algorithm, b"m").unwrap();
                assert_eq!(key.public().verify(*algorithm, b"m", &signature), Ok(()));
            }
        }
    }

    #[test]
    fn the_fields_for_agents_are_read_as_they_are_written_and_leave_the_rest() {
        for name in PLAIN {
            let key = testing::private(name);
            let mut bytes = key.encode_fields().expose().clone();
            for end in 0..bytes.len() {
                let cut = PrivateKey::decode_fields(&mut Reader::new("key", &bytes[..end]));
                assert!(cut.is_err(), "{name} {end}");
            }
            bytes.push(7);
            let mut reader = Reader::new("key", &bytes);
            let again = PrivateKey::decode_fields(&mut reader).unwrap();
            assert_eq!(again.public(), key.public());
            assert_eq!(reader.rest(), [7]);
        }
    }

    #[test]
    fn a_key_does_not_sign_with_the_algorithm_of_another() {
        let key = testing::private("extra/ed25519");
        assert_eq!(
            key.sign(SignatureAlgorithm::RsaSha512, b"m"),
            Err(SignError::WrongKeyType {
                algorithm: SignatureAlgorithm::RsaSha512,
                key: KeyType::Ed25519
            })
        );
    }

    #[test]
    fn debug_output_shows_the_fingerprint_only() {
        let key = testing::private("openssh/ed25519_1");
        let fingerprint = testing::text("openssh/ed25519_1.fp");
        assert_eq!(
            format!("{key:?}"),
            format!("PrivateKey(ssh-ed25519 {})", fingerprint.trim_end())
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..200_usize) {
            drop(PrivateKey::parse(&bytes, None));
            let text = testing::bytes("extra/ed25519");
            let text = changed(&text, |inner| {
                let at = at.min(inner.len());
                inner.truncate(at);
                inner.extend(&bytes);
            });
            drop(PrivateKey::parse(&text, None));
        }
    }
}
