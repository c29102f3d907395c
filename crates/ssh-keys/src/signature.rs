//! RFC 4253 §6.6, RFC 5656 §3.1.2, RFC 8332 §3, RFC 8709 §6, `PROTOCOL.u2f`,
//! draft-ietf-sshm-composite-sigs: signature blobs.
//!
//! A blob is `string name | string signature`; what the second string holds depends on the name.
//! Signatures of FIDO tokens go on with what the token says about how it was used.

use alloc::vec::Vec;

use ssh_crypto::{
    Forged,
    sign::{
        self, EcdsaCurve, RSA_SMALLEST_BITS, SK_USER_PRESENT, SK_USER_VERIFIED, SkContext, Webauthn,
    },
};
use ssh_wire::{
    Decode as _, DecodeErrorKind, Encode as _, MpInt, Reader, put_string, put_with_length,
};

use crate::{
    PublicKey, SignatureAlgorithm, SignatureError,
    public::{Material, shown},
};

/// What a FIDO token says about a signature, under the signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenProof {
    /// Somebody touched the token.
    pub user_present: bool,
    /// The token knew who: by a PIN, a fingerprint.
    pub user_verified: bool,
    /// Signatures that the token has made, as it counts them.
    pub counter: u32,
}

impl TokenProof {
    const fn of(context: SkContext<'_>) -> Self {
        Self {
            user_present: context.flags & SK_USER_PRESENT != 0,
            user_verified: context.flags & SK_USER_VERIFIED != 0,
            counter: context.counter,
        }
    }
}

impl PublicKey {
    /// Checks that `signature_blob` is a signature of `message` by this key, made with
    /// `algorithm`: the one agreed on or asked for, never one that the blob itself names. Somebody
    /// has to have touched the token of a key that is in one.
    ///
    /// # Errors
    /// [`SignatureError::WrongKeyType`] and [`SignatureError::WrongAlgorithm`] before anything is
    /// computed; [`SignatureError::Malformed`], also for bytes behind the last field;
    /// [`SignatureError::Forged`]; and [`SignatureError::NotTouched`].
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature_blob: &[u8],
    ) -> Result<(), SignatureError> {
        match self.verify_proof(algorithm, message, signature_blob)? {
            Some(TokenProof { user_present: false, .. }) => Err(SignatureError::NotTouched),
            _ => Ok(()),
        }
    }

    /// As [`Self::verify`], for those who have rules of their own for tokens: tells how the token
    /// was used, which is nothing for a key that is in none. An untouched token is no error here.
    ///
    /// # Errors
    /// As there, but for [`SignatureError::NotTouched`].
    pub fn verify_proof(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature_blob: &[u8],
    ) -> Result<Option<TokenProof>, SignatureError> {
        if algorithm.key_type() != self.key_type() {
            return Err(SignatureError::WrongKeyType { algorithm, key: self.key_type() });
        }
        let mut reader = Reader::new("signature", signature_blob);
        let name = reader.field("algorithm").string()?;
        if SignatureAlgorithm::of_label(name) != Some(algorithm) {
            return Err(SignatureError::WrongAlgorithm { expected: algorithm, found: shown(name) });
        }
        reader.field("signature");
        let (verdict, context) = match self.material() {
            Material::SkEd25519 { point, application } => {
                let signature = reader.string_of()?;
                let context = token_context(&mut reader, application)?;
                reader.finish()?;
                (sign::sk_ed25519_verify(point, context, message, signature), Some(context))
            }
            Material::SkEcdsaP256 { point, application } => {
                let (r, s) = read_ecdsa(reader.string()?, EcdsaCurve::P256)?;
                let context = token_context(&mut reader, application)?;
                let verdict = if algorithm == SignatureAlgorithm::WebAuthnSkEcdsaP256 {
                    let browser = browser_context(&mut reader)?;
                    reader.finish()?;
                    sign::webauthn_ecdsa_verify(point, context, browser, message, r, s)
                } else {
                    reader.finish()?;
                    sign::sk_ecdsa_verify(point, context, message, r, s)
                };
                (verdict, Some(context))
            }
            material => (verify_plain(material, algorithm, message, reader)?, None),
        };
        verdict.map_err(|_| SignatureError::Forged)?;
        Ok(context.map(TokenProof::of))
    }
}

/// The verdict about a signature of a key that is in no token.
fn verify_plain(
    material: &Material,
    algorithm: SignatureAlgorithm,
    message: &[u8],
    mut reader: Reader<'_>,
) -> Result<Result<(), Forged>, SignatureError> {
    Ok(match material {
        Material::Ed25519(point) => {
            let signature = reader.string_of()?;
            reader.finish()?;
            sign::ed25519_verify(point, message, signature)
        }
        Material::Ecdsa { curve, point } => {
            let (r, s) = read_ecdsa(reader.string()?, *curve)?;
            reader.finish()?;
            sign::ecdsa_verify(*curve, point, message, r, s)
        }
        Material::Rsa { n, e } => {
            let at = reader.clone();
            let signature = reader.string()?;
            reader.finish()?;
            if signature.len() > n.len() {
                let (expected, found) = (n.len(), signature.len());
                return Err(at.error(DecodeErrorKind::WrongLength { expected, found }).into());
            }
            // That the key exists shows that its size is one that was asked for.
            sign::rsa_verify_with_min(RSA_SMALLEST_BITS, n, e, algorithm.hash(), message, signature)
        }
        Material::MlDsa44Ed25519(public) => {
            let signature = reader.string_of()?;
            reader.finish()?;
            sign::mldsa44_ed25519_verify(public, message, signature)
        }
        // Their signatures say more; the caller reads them.
        Material::SkEd25519 { .. } | Material::SkEcdsaP256 { .. } => Err(Forged),
    })
}

/// What a token adds to a signature (`PROTOCOL.u2f`), at the end of a signature blob.
fn token_context<'a>(
    reader: &mut Reader<'_>,
    application: &'a str,
) -> Result<SkContext<'a>, SignatureError> {
    let flags = reader.field("flags").byte()?;
    let counter = reader.field("counter").uint32()?;
    Ok(SkContext { application: application.as_bytes(), flags, counter })
}

/// What a browser adds to a signature (`PROTOCOL.u2f`, WebAuthn §6.3.3).
fn browser_context<'a>(reader: &mut Reader<'a>) -> Result<Webauthn<'a>, SignatureError> {
    Ok(Webauthn {
        origin: reader.field("origin").string()?,
        client_data: reader.field("client data").string()?,
        extensions: reader.field("extensions").string()?,
    })
}

/// The two numbers of an ECDSA signature (RFC 5656 §3.1.2), big-endian, of no more bytes than
/// scalars of the curve have.
fn read_ecdsa(bytes: &[u8], curve: EcdsaCurve) -> Result<(&[u8], &[u8]), SignatureError> {
    let mut reader = Reader::new("ecdsa signature", bytes);
    let r = read_scalar(reader.field("r"), curve)?;
    let s = read_scalar(reader.field("s"), curve)?;
    reader.finish()?;
    Ok((r, s))
}

fn read_scalar<'a>(reader: &mut Reader<'a>, curve: EcdsaCurve) -> Result<&'a [u8], SignatureError> {
    let at = reader.clone();
    let number = MpInt::decode(reader)?.as_bytes();
    if number.len() > curve.scalar_len() {
        let why = DecodeErrorKind::Invalid("longer than the order of the curve");
        return Err(at.error(why).into());
    }
    Ok(number)
}

/// The algorithm that a signature blob says it was made with; nothing is checked.
///
/// # Errors
/// [`SignatureError::Malformed`], and [`SignatureError::UnknownAlgorithm`].
pub(crate) fn algorithm_of(signature_blob: &[u8]) -> Result<SignatureAlgorithm, SignatureError> {
    let name = Reader::new("signature", signature_blob).field("algorithm").string()?;
    core::str::from_utf8(name)
        .ok()
        .and_then(SignatureAlgorithm::from_name)
        .ok_or_else(|| SignatureError::UnknownAlgorithm { name: shown(name) })
}

/// The blob of a signature called `name`.
pub(crate) fn blob(name: &str, signature: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, name.as_bytes());
    put_string(&mut blob, signature);
    blob
}

/// The blob of an ECDSA signature.
pub(crate) fn ecdsa_blob(algorithm: SignatureAlgorithm, r: &[u8], s: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, algorithm.name().as_bytes());
    put_with_length(&mut blob, |out| {
        MpInt::from_bytes(r).encode(out);
        MpInt::from_bytes(s).encode(out);
    });
    blob
}

#[cfg(test)]
mod tests {
    use alloc::{string::String, vec};

    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    struct HostSignature {
        name: String,
        key: Vec<u8>,
        algorithm: String,
        hash: Vec<u8>,
        signature: Vec<u8>,
    }

    /// Signatures of OpenSSH's server (and libssh's) over exchange hashes.
    fn host_signatures() -> Vec<HostSignature> {
        let json: serde_json::Value =
            serde_json::from_str(&testing::text("host_signatures.json")).unwrap();
        let field = |entry: &serde_json::Value, name| String::from(entry[name].as_str().unwrap());
        json.as_array()
            .unwrap()
            .iter()
            .map(|entry| HostSignature {
                name: field(entry, "name"),
                key: testing::hex(&field(entry, "host_key")),
                algorithm: field(entry, "algorithm"),
                hash: testing::hex(&field(entry, "exchange_hash")),
                signature: testing::hex(&field(entry, "signature")),
            })
            .collect()
    }

    #[test]
    fn host_signatures_of_other_implementations_verify() {
        let mut verified = vec![];
        for case in host_signatures() {
            let Some(algorithm) = SignatureAlgorithm::from_name(&case.algorithm) else { continue };
            let key = PublicKey::from_blob(&case.key).unwrap();
            assert_eq!(key.verify(algorithm, &case.hash, &case.signature), Ok(()), "{}", case.name);
            verified.push(algorithm);
        }
        for algorithm in SignatureAlgorithm::ALL {
            let hardware = algorithm.key_type().is_hardware();
            assert!(hardware || verified.contains(algorithm), "no signature of {algorithm}");
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_is_noticed() {
        for case in host_signatures() {
            let Some(algorithm) = SignatureAlgorithm::from_name(&case.algorithm) else { continue };
            let key = PublicKey::from_blob(&case.key).unwrap();
            let mut hash = case.hash.clone();
            hash[0] ^= 1;
            let verdict = key.verify(algorithm, &hash, &case.signature);
            assert_eq!(verdict, Err(SignatureError::Forged), "{}", case.name);
            for at in (0..case.signature.len()).step_by(7) {
                let mut signature = case.signature.clone();
                signature[at] ^= 0x10;
                assert!(
                    key.verify(algorithm, &case.hash, &signature).is_err(),
                    "{} {at}",
                    case.name
                );
            }
        }
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_malformed() {
        for name in ["curve25519-sha256", "ecdh-sha2-nistp256", "dh-group16-sha512"] {
            let case = host_signatures().into_iter().find(|case| case.name == name).unwrap();
            let key = PublicKey::from_blob(&case.key).unwrap();
            let algorithm = SignatureAlgorithm::from_name(&case.algorithm).unwrap();
            let mut signature = case.signature.clone();
            for end in 0..signature.len() {
                let error = key.verify(algorithm, &case.hash, &signature[..end]).unwrap_err();
                assert!(matches!(error, SignatureError::Malformed(_)), "{name} {end} {error}");
            }
            signature.push(0);
            let error = key.verify(algorithm, &case.hash, &signature).unwrap_err();
            assert!(matches!(error, SignatureError::Malformed(_)), "{name} {error}");
        }
    }

    #[test]
    fn rsa_with_sha1_does_not_verify() {
        let case = host_signatures().into_iter().find(|case| case.algorithm == "ssh-rsa").unwrap();
        let key = PublicKey::from_blob(&case.key).unwrap();
        for algorithm in [SignatureAlgorithm::RsaSha256, SignatureAlgorithm::RsaSha512] {
            assert_eq!(
                key.verify(algorithm, &case.hash, &case.signature),
                Err(SignatureError::WrongAlgorithm {
                    expected: algorithm,
                    found: "ssh-rsa".into()
                })
            );
        }
    }

    #[test]
    fn the_label_must_be_the_algorithm_agreed_on() {
        let key = testing::private("keys/host_rsa");
        let signature = key.sign(SignatureAlgorithm::RsaSha256, b"m").unwrap();
        let public = key.public();
        assert_eq!(
            public.verify(SignatureAlgorithm::RsaSha512, b"m", &signature),
            Err(SignatureError::WrongAlgorithm {
                expected: SignatureAlgorithm::RsaSha512,
                found: "rsa-sha2-256".into()
            })
        );
        assert_eq!(
            public.verify(SignatureAlgorithm::Ed25519, b"m", &signature),
            Err(SignatureError::WrongKeyType {
                algorithm: SignatureAlgorithm::Ed25519,
                key: crate::KeyType::Rsa
            })
        );
        assert_eq!(public.verify(SignatureAlgorithm::RsaSha256, b"m", &signature), Ok(()));
    }

    #[test]
    fn an_rsa_signature_may_be_short_but_not_long() {
        let key = testing::public("keys/host_rsa.pub");
        let algorithm = SignatureAlgorithm::RsaSha256;
        let short = blob(algorithm.name(), &[1; 255]);
        assert_eq!(key.verify(algorithm, b"m", &short), Err(SignatureError::Forged));
        let long = blob(algorithm.name(), &[0; 257]);
        let error = key.verify(algorithm, b"m", &long).unwrap_err();
        assert!(matches!(error, SignatureError::Malformed(_)), "{error}");
    }

    #[test]
    fn ecdsa_numbers_that_are_zero_or_too_long_are_refused() {
        let key = testing::public("keys/host_ecdsa.pub");
        let algorithm = SignatureAlgorithm::EcdsaP256;
        let zero = ecdsa_blob(algorithm, &[0; 32], &[0; 32]);
        assert_eq!(key.verify(algorithm, b"m", &zero), Err(SignatureError::Forged));
        let mut inner = Vec::new();
        MpInt::from_bytes(&[1; 33]).encode(&mut inner);
        MpInt::from_bytes(&[1; 32]).encode(&mut inner);
        let error = key.verify(algorithm, b"m", &blob(algorithm.name(), &inner)).unwrap_err();
        assert!(matches!(error, SignatureError::Malformed(_)), "{error}");
    }

    proptest! {
        #[test]
        fn no_blob_makes_verifying_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..100), which in 0..3_usize
        ) {
            for name in ["keys/host_ed25519.pub", "keys/host_ecdsa.pub", "keys/host_rsa.pub"] {
                let key = testing::public(name);
                let algorithm = key.key_type().signature_algorithms()[0];
                let signature = if which == 0 { bytes.clone() } else { blob(algorithm.name(), &bytes) };
                prop_assert!(key.verify(algorithm, b"m", &signature).is_err());
            }
        }
    }
}
