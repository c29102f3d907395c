//! Private keys: made, read from files, and signing.

use alloc::{string::String, sync::Arc, vec::Vec};
use core::fmt;

use ssh_crypto::{
    Secret, kdf,
    rng::Rng,
    sign::{EcdsaP256Key, Ed25519Key, RsaKey},
};
use ssh_wire::Reader;

use crate::{
    GenerationFailed, KeyType, PrivateKeyError, PublicKey, SignError, SignatureAlgorithm,
    openssh_key, public, signature,
};

/// The longest key file that is read, in bytes. The longest RSA key takes a quarter of it.
pub const MAX_FILE_LEN: usize = 64 * 1024;
/// The most rounds of bcrypt that a passphrase is tried with: about half a minute. `ssh-keygen`
/// writes 24 unless told otherwise.
pub const MAX_BCRYPT_ROUNDS: u32 = kdf::MAX_ROUNDS;
/// The size of the RSA keys that [`PrivateKey::generate`] makes, in bits; as `ssh-keygen`.
pub const RSA_BITS: usize = 3072;

/// A private key with its public half and its comment. Cloning shares it, the last clone wipes
/// it, and nothing prints it.
#[derive(Clone)]
pub struct PrivateKey(Arc<Inner>);

struct Inner {
    secret: SecretKey,
    public: PublicKey,
    comment: String,
}

/// The numbers of a private key; the types inside wipe themselves.
pub(crate) enum SecretKey {
    Ed25519(Ed25519Key),
    EcdsaP256(EcdsaP256Key),
    Rsa(RsaKey),
}

impl SecretKey {
    pub(crate) const fn key_type(&self) -> KeyType {
        match self {
            Self::Ed25519(_) => KeyType::Ed25519,
            Self::EcdsaP256(_) => KeyType::EcdsaP256,
            Self::Rsa(_) => KeyType::Rsa,
        }
    }

    pub(crate) fn public_blob(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) => public::ed25519_blob(&key.public()),
            Self::EcdsaP256(key) => public::p256_blob(&key.public()),
            Self::Rsa(key) => public::rsa_blob(&key.n(), &key.e()),
        }
    }
}

impl PrivateKey {
    /// Makes a new key without a comment. RSA keys have [`RSA_BITS`] bits and take a second or
    /// several.
    ///
    /// # Errors
    /// [`GenerationFailed`], which no working source of random numbers leads to.
    pub fn generate(key_type: KeyType, rng: &mut dyn Rng) -> Result<Self, GenerationFailed> {
        let secret = match key_type {
            KeyType::Ed25519 => SecretKey::Ed25519(Ed25519Key::generate(rng)),
            KeyType::EcdsaP256 => {
                SecretKey::EcdsaP256(EcdsaP256Key::generate(rng).map_err(|_| GenerationFailed)?)
            }
            KeyType::Rsa => {
                SecretKey::Rsa(RsaKey::generate(RSA_BITS, rng).map_err(|_| GenerationFailed)?)
            }
        };
        let public = PublicKey::from_blob(&secret.public_blob()).map_err(|_| GenerationFailed)?;
        Ok(Self(Arc::new(Inner { secret, public, comment: String::new() })))
    }

    /// Reads a private key file of OpenSSH, `-----BEGIN OPENSSH PRIVATE KEY-----`. The passphrase
    /// is needed if the key is encrypted, and otherwise not looked at. Trying one takes as long as
    /// the file demands, up to half a minute ([`MAX_BCRYPT_ROUNDS`]).
    ///
    /// # Errors
    /// [`PrivateKeyError`]. [`PrivateKeyError::Encrypted`] comes only if the rest of the file is
    /// in order, so that asking a person for the passphrase makes sense.
    pub fn from_openssh(text: &[u8], passphrase: Option<&[u8]>) -> Result<Self, PrivateKeyError> {
        let opened = openssh_key::read(text, passphrase, MAX_BCRYPT_ROUNDS)?;
        let openssh_key::Opened { secret, public, comment } = opened;
        Ok(Self(Arc::new(Inner { secret, public, comment })))
    }

    /// Reads only the public half of a private key file, for which no passphrase is needed: to ask
    /// a server whether it wants the key before asking a person to unlock it.
    ///
    /// # Errors
    /// [`PrivateKeyError`], but for those that come from the encrypted part.
    pub fn public_from_openssh(text: &[u8]) -> Result<PublicKey, PrivateKeyError> {
        openssh_key::read_public(text)
    }

    /// The text of an unencrypted private key file. `rng` gives four bytes that nothing depends
    /// on.
    #[must_use]
    pub fn to_openssh(&self, rng: &mut dyn Rng) -> Secret<String> {
        openssh_key::write(&self.0.secret, self.public(), self.comment(), rng)
    }

    /// Reads the type and the numbers of a key as agents are given them (RFC 9987 §5.2): those of a
    /// key file, without what stands around them. What follows is left to the reader; the comment
    /// is empty.
    ///
    /// # Errors
    /// [`PrivateKeyError`]: fields that do not parse, or halves that do not fit each other.
    pub fn decode_fields(reader: &mut Reader<'_>) -> Result<Self, PrivateKeyError> {
        let secret = openssh_key::read_secret(reader)?;
        let public = PublicKey::from_blob(&secret.public_blob())?;
        Ok(Self(Arc::new(Inner { secret, public, comment: String::new() })))
    }

    /// Writes what [`Self::decode_fields`] reads.
    #[must_use]
    pub fn encode_fields(&self) -> Secret<Vec<u8>> {
        openssh_key::write_fields(&self.0.secret)
    }

    /// The same key with another comment.
    #[must_use]
    pub fn with_comment(&self, comment: &str) -> Self {
        let secret = match &self.0.secret {
            SecretKey::Ed25519(key) => SecretKey::Ed25519(key.clone()),
            SecretKey::EcdsaP256(key) => SecretKey::EcdsaP256(key.clone()),
            SecretKey::Rsa(key) => SecretKey::Rsa(key.clone()),
        };
        let public = self.public().clone();
        Self(Arc::new(Inner { secret, public, comment: comment.into() }))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// The comment as it stands in the file (not for a terminal: see [`ssh_wire::escape`]).
    #[must_use]
    pub fn comment(&self) -> &str {
        &self.0.comment
    }

    /// The algorithms this key signs with, the preferred first.
    #[must_use]
    pub fn algorithms(&self) -> &'static [SignatureAlgorithm] {
        self.0.secret.key_type().signature_algorithms()
    }

    /// Signs `message`, and returns the signature blob: name and signature, as in
    /// [`PublicKey::verify`].
    ///
    /// # Errors
    /// [`SignError::WrongKeyType`] if `algorithm` is not one of [`Self::algorithms`];
    /// for RSA also the others.
    pub fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        match &self.0.secret {
            secret if secret.key_type() != algorithm.key_type() => {
                Err(SignError::WrongKeyType { algorithm, key: secret.key_type() })
            }
            SecretKey::Ed25519(key) => Ok(signature::blob(algorithm, &key.sign(message))),
            SecretKey::EcdsaP256(key) => {
                let (r, s) = key.sign(message);
                Ok(signature::ecdsa_blob(algorithm, &r, &s))
            }
            SecretKey::Rsa(key) => match key.sign(algorithm.hash(), message) {
                Ok(bytes) => Ok(signature::blob(algorithm, &bytes)),
                Err(ssh_crypto::SignError::NoRandomness) => Err(SignError::NoRandomness),
                Err(_) => Err(SignError::Failed),
            },
        }
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
    use crate::{KeyError, armor, base64, testing};

    /// Changes the bytes inside of a key file.
    fn changed(text: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut bytes = base64::decode_secret(armor::body(text).unwrap()).unwrap().expose().clone();
        change(&mut bytes);
        format!("{}\n{}\n{}\n", armor::BEGIN, base64::encode(&bytes), armor::END).into_bytes()
    }

    fn error(text: &[u8]) -> PrivateKeyError {
        PrivateKey::from_openssh(text, None).unwrap_err()
    }

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
            let again = PrivateKey::from_openssh(text.expose().as_bytes(), None).unwrap();
            assert_eq!(again.public(), key.public());
            assert_eq!(again.to_openssh(&mut SeededRng::new(1)).expose(), text.expose(), "{name}");
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
        ] {
            let text = testing::bytes(&format!("extra/ed25519_enc_{cipher}"));
            let open = |passphrase| {
                PrivateKey::from_openssh(&text, passphrase).map(|k| k.public().clone())
            };
            assert_eq!(open(Some(testing::PASSPHRASE)), Ok(public.clone()), "{cipher}");
            assert_eq!(open(None), Err(PrivateKeyError::Encrypted), "{cipher}");
            assert_eq!(open(Some(b"")), Err(PrivateKeyError::WrongPassphrase), "{cipher}");
            assert_eq!(open(Some(b"correct horsE")), Err(PrivateKeyError::WrongPassphrase));
            assert_eq!(PrivateKey::public_from_openssh(&text), Ok(public.clone()));
        }
        let text = testing::bytes("openssh/ed25519_1_pw");
        let key = PrivateKey::from_openssh(&text, Some(testing::OPENSSH_PASSPHRASE)).unwrap();
        assert_eq!(*key.public(), testing::public("openssh/ed25519_1.pub"));
    }

    #[test]
    fn ciphers_that_are_not_implemented_are_named() {
        for cipher in ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"] {
            let text = testing::bytes(&format!("extra/ed25519_enc_{cipher}"));
            let error = PrivateKey::from_openssh(&text, Some(testing::PASSPHRASE)).unwrap_err();
            assert_eq!(error, PrivateKeyError::UnsupportedCipher { name: cipher.into() });
            assert!(error.to_string().contains("ssh-keygen -p -Z"));
        }
    }

    #[test]
    fn keys_of_other_types_are_refused_with_the_reason() {
        assert_eq!(
            error(&testing::bytes("extra/ecdsa384")),
            PrivateKeyError::PublicKey(KeyError::UnsupportedType {
                name: "ecdsa-sha2-nistp384".into()
            })
        );
        assert_eq!(
            error(&testing::bytes("openssh/rsa_n")),
            PrivateKeyError::PublicKey(KeyError::RsaModulusSize { bits: 1024 })
        );
    }

    #[test]
    fn every_cut_of_a_file_is_an_error_and_never_asks_for_a_passphrase() {
        for name in PLAIN.iter().chain(&["extra/ed25519_enc_aes256-ctr", "openssh/ed25519_1_pw"]) {
            let text = testing::bytes(name);
            for end in 0..text.len() - 1 {
                let error = error(&text[..end]);
                let begun = end >= armor::BEGIN.len();
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
                assert!(PrivateKey::from_openssh(&text, None).is_err(), "{name} {i}");
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
            let result = PrivateKey::from_openssh(&text, Some(testing::PASSPHRASE));
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
            assert!(PrivateKey::from_openssh(text.as_bytes(), None).is_ok());
        }
    }

    #[test]
    fn new_keys_sign_and_survive_a_file() {
        for key_type in KeyType::ALL {
            let mut rng = SeededRng::new(7);
            let key = PrivateKey::generate(*key_type, &mut rng).unwrap().with_comment("a b");
            assert_eq!(key.public().key_type(), *key_type);
            let text = key.to_openssh(&mut rng);
            let again = PrivateKey::from_openssh(text.expose().as_bytes(), None).unwrap();
            assert_eq!((again.public(), again.comment()), (key.public(), "a b"));
            for algorithm in key.algorithms() {
                let signature = again.sign(*algorithm, b"m").unwrap();
                assert_eq!(key.public().verify(*algorithm, b"m", &signature), Ok(()));
            }
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
            drop(PrivateKey::from_openssh(&bytes, None));
            let text = testing::bytes("extra/ed25519");
            let text = changed(&text, |inner| {
                let at = at.min(inner.len());
                inner.truncate(at);
                inner.extend(&bytes);
            });
            drop(PrivateKey::from_openssh(&text, None));
        }
    }
}
