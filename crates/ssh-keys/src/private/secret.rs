//! The numbers of private keys, and how files and agents write them (`PROTOCOL.key` §3, RFC 9987
//! §3.2, `PROTOCOL.u2f`).

use alloc::vec::Vec;

use ssh_crypto::{
    Secret,
    rng::Rng,
    sign::{
        EcdsaCurve, EcdsaKey, Ed25519Key, MLDSA44_ED25519_SEEDS_LEN, MlDsa44Ed25519Key, RsaKey,
    },
};
use ssh_wire::{
    Decode as _, DecodeErrorKind, Encode as _, MpInt, Reader, put_string, put_with_length,
};

use crate::{
    Certificate, GenerationFailed, KeyType, PrivateKeyError, PublicKey, SignError,
    SignatureAlgorithm,
    algorithm::curve_name,
    public::{self, MLDSA44_ED25519_LEN, Material, shown},
    signature,
};

/// The numbers of a private key; the types inside wipe themselves.
pub(crate) enum SecretKey {
    Ed25519(Ed25519Key),
    Ecdsa(EcdsaKey),
    Rsa(RsaKey),
    MlDsa44Ed25519(MlDsa44Ed25519Key),
    /// The numbers are in a token: what it needs to find them.
    Token(Token),
}

/// A key in a FIDO token: what its file holds besides the public half.
pub(crate) struct Token {
    key_type: KeyType,
    flags: u8,
    handle: Secret<Vec<u8>>,
    reserved: Vec<u8>,
}

impl SecretKey {
    pub(crate) fn generate(
        key_type: KeyType,
        rsa_bits: usize,
        rng: &mut dyn Rng,
    ) -> Result<Self, GenerationFailed> {
        let ecdsa = |curve, rng| EcdsaKey::generate(curve, rng).map(Self::Ecdsa);
        match key_type {
            KeyType::Ed25519 => Ok(Self::Ed25519(Ed25519Key::generate(rng))),
            KeyType::EcdsaP256 => ecdsa(EcdsaCurve::P256, rng),
            KeyType::EcdsaP384 => ecdsa(EcdsaCurve::P384, rng),
            KeyType::EcdsaP521 => ecdsa(EcdsaCurve::P521, rng),
            KeyType::Rsa => RsaKey::generate(rsa_bits, rng).map(Self::Rsa),
            KeyType::MlDsa44Ed25519 => Ok(Self::MlDsa44Ed25519(MlDsa44Ed25519Key::generate(rng))),
            KeyType::SkEd25519 | KeyType::SkEcdsaP256 => return Err(GenerationFailed),
        }
        .map_err(|_| GenerationFailed)
    }

    pub(crate) const fn key_type(&self) -> KeyType {
        match self {
            Self::Ed25519(_) => KeyType::Ed25519,
            Self::Ecdsa(key) => crate::algorithm::key_type_of_curve(key.curve()),
            Self::Rsa(_) => KeyType::Rsa,
            Self::MlDsa44Ed25519(_) => KeyType::MlDsa44Ed25519,
            Self::Token(token) => token.key_type,
        }
    }

    /// The blob of the public half, under the present name of its type. A token does not tell it.
    pub(crate) fn public_blob(&self) -> Option<Vec<u8>> {
        Some(match self {
            Self::Ed25519(key) => public::ed25519_blob(&key.public()),
            Self::Ecdsa(key) => public::ecdsa_blob(key.curve(), &key.public()),
            Self::Rsa(key) => public::rsa_blob(&key.n(), &key.e()),
            Self::MlDsa44Ed25519(key) => {
                public::mldsa_blob(KeyType::MlDsa44Ed25519.name(), &key.public())
            }
            Self::Token(_) => return None,
        })
    }

    /// Whether `public` is the other half.
    pub(crate) fn belongs_to(&self, public: &PublicKey) -> bool {
        match (self, public.material()) {
            (Self::MlDsa44Ed25519(key), Material::MlDsa44Ed25519(public)) => {
                key.public() == **public
            }
            (Self::Token(token), _) => token.key_type == public.key_type(),
            _ => self.public_blob().is_some_and(|blob| blob == public.blob()),
        }
    }

    pub(crate) fn sign(
        &self,
        public: &PublicKey,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, SignError> {
        if self.key_type() != algorithm.key_type() {
            return Err(SignError::WrongKeyType { algorithm, key: self.key_type() });
        }
        match self {
            Self::Ed25519(key) => Ok(signature::blob(algorithm.name(), &key.sign(message))),
            Self::Ecdsa(key) => {
                let (r, s) = key.sign(message);
                Ok(signature::ecdsa_blob(algorithm, &r, &s))
            }
            // Called as the key is: its owner may know the earlier name only.
            Self::MlDsa44Ed25519(key) => Ok(signature::blob(public.name(), &key.sign(message))),
            Self::Rsa(key) => match key.sign(algorithm.hash(), message) {
                Ok(bytes) => Ok(signature::blob(algorithm.name(), &bytes)),
                Err(ssh_crypto::SignError::NoRandomness) => Err(SignError::NoRandomness),
                Err(_) => Err(SignError::Failed),
            },
            Self::Token(_) => Err(SignError::InToken),
        }
    }

    /// Writes type and numbers, public ones too.
    pub(crate) fn encode(&self, public: &PublicKey, out: &mut Vec<u8>) {
        put_string(out, public.name().as_bytes());
        match self {
            Self::Ed25519(key) => put_string(out, &key.public()),
            Self::Ecdsa(key) => {
                put_string(out, curve_name(key.curve()).as_bytes());
                put_string(out, &key.public());
            }
            Self::Rsa(key) => {
                MpInt::from_bytes(&key.n()).encode(out);
                MpInt::from_bytes(&key.e()).encode(out);
            }
            Self::MlDsa44Ed25519(key) => put_string(out, &key.public()),
            Self::Token(_) => encode_token_point(public, out),
        }
        self.encode_private(public, out);
    }

    /// Writes a certificate, which has the public numbers, and the private ones.
    pub(crate) fn encode_certified(&self, certificate: &Certificate, out: &mut Vec<u8>) {
        put_string(out, certificate.name().as_bytes());
        put_string(out, certificate.blob());
        if let Self::Ed25519(key) = self {
            // Once more, though the certificate has it: so does OpenSSH.
            put_string(out, &key.public());
        }
        self.encode_private(certificate.key(), out);
    }

    fn encode_private(&self, public: &PublicKey, out: &mut Vec<u8>) {
        match self {
            Self::Ed25519(key) => put_with_length(out, |out| {
                out.extend_from_slice(key.seed().expose());
                out.extend_from_slice(&key.public());
            }),
            Self::Ecdsa(key) => MpInt::from_bytes(key.scalar().expose()).encode(out),
            Self::Rsa(key) => {
                for number in [key.d(), key.iqmp(), key.p(), key.q()] {
                    MpInt::from_bytes(number.expose()).encode(out);
                }
            }
            Self::MlDsa44Ed25519(key) => put_string(out, key.seeds().expose()),
            Self::Token(token) => {
                put_string(out, public.application().unwrap_or_default().as_bytes());
                out.push(token.flags);
                put_string(out, token.handle.expose());
                put_string(out, &token.reserved);
            }
        }
    }

    /// Reads type and numbers, with a certificate before them or without.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        min_rsa_bits: usize,
    ) -> Result<(Self, PublicKey, Option<Certificate>), PrivateKeyError> {
        let malformed = PrivateKeyError::Malformed;
        let name = reader.field("type").string().map_err(malformed)?;
        let text = core::str::from_utf8(name).unwrap_or_default();
        if let Some((key_type, spelling)) = KeyType::spelled(text) {
            let (secret, public) = decode_plain(key_type, spelling, reader, min_rsa_bits)?;
            return Ok((secret, public, None));
        }
        if KeyType::certificate_spelled(text).is_some() {
            let blob = reader.field("certificate").string().map_err(malformed)?;
            let certificate = Certificate::from_blob_of_bits(blob, min_rsa_bits)
                .map_err(PrivateKeyError::Certificate)?;
            let public = certificate.key().clone();
            let secret = decode_private(&public, reader, min_rsa_bits)?;
            return Ok((secret, public, Some(certificate)));
        }
        let error = crate::KeyError::UnsupportedType { name: shown(name) };
        Err(PrivateKeyError::PublicKey(error))
    }
}

/// What tokens have of a public key before its application: their private fields have that.
fn encode_token_point(public: &PublicKey, out: &mut Vec<u8>) {
    match public.material() {
        Material::SkEd25519 { point, .. } => put_string(out, point),
        Material::SkEcdsaP256 { point, .. } => {
            put_string(out, curve_name(EcdsaCurve::P256).as_bytes());
            put_string(out, point);
        }
        _ => {}
    }
}

fn decode_plain(
    key_type: KeyType,
    name: &'static str,
    reader: &mut Reader<'_>,
    min_rsa_bits: usize,
) -> Result<(SecretKey, PublicKey), PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let mut blob = Vec::new();
    put_string(&mut blob, name.as_bytes());
    match key_type {
        KeyType::Ed25519 => {
            put_string(&mut blob, reader.field("public").string_of::<32>().map_err(malformed)?);
        }
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => {
            put_string(&mut blob, reader.field("curve").string().map_err(malformed)?);
            put_string(&mut blob, reader.field("point").string().map_err(malformed)?);
        }
        KeyType::Rsa => {
            // The modulus comes before the exponent here, other than in the public blob.
            let n = MpInt::decode(reader.field("n")).map_err(malformed)?;
            MpInt::decode(reader.field("e")).map_err(malformed)?.encode(&mut blob);
            n.encode(&mut blob);
        }
        KeyType::MlDsa44Ed25519 => {
            let public = reader.field("public").string_of::<MLDSA44_ED25519_LEN>();
            put_string(&mut blob, public.map_err(malformed)?);
        }
        KeyType::SkEd25519 | KeyType::SkEcdsaP256 => {
            if key_type == KeyType::SkEcdsaP256 {
                put_string(&mut blob, reader.field("curve").string().map_err(malformed)?);
            }
            put_string(&mut blob, reader.field("point").string().map_err(malformed)?);
            // The application is among the private fields, which are read next.
            let application = reader.clone().field("application").string().map_err(malformed)?;
            put_string(&mut blob, application);
        }
    }
    let public = PublicKey::from_blob_of_bits(&blob, min_rsa_bits)?;
    let secret = decode_private_of(&public, reader, min_rsa_bits)?;
    Ok((secret, public))
}

/// The private numbers behind a certificate.
fn decode_private(
    public: &PublicKey,
    reader: &mut Reader<'_>,
    min_rsa_bits: usize,
) -> Result<SecretKey, PrivateKeyError> {
    if public.key_type() == KeyType::Ed25519 {
        let again = reader.field("public").string_of::<32>().map_err(PrivateKeyError::Malformed)?;
        if !matches!(public.material(), Material::Ed25519(point) if point == again) {
            return Err(PrivateKeyError::Mismatch);
        }
    }
    decode_private_of(public, reader, min_rsa_bits)
}

fn decode_private_of(
    public: &PublicKey,
    reader: &mut Reader<'_>,
    min_rsa_bits: usize,
) -> Result<SecretKey, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let secret = match public.material() {
        Material::Ed25519(point) => {
            let secret = reader.field("secret").string_of::<64>().map_err(malformed)?;
            let (Some(seed), Some(again)) = (secret.first_chunk(), secret.last_chunk::<32>())
            else {
                return Err(PrivateKeyError::InvalidKey);
            };
            if again != point {
                return Err(PrivateKeyError::Mismatch);
            }
            SecretKey::Ed25519(Ed25519Key::from_seed(seed))
        }
        Material::Ecdsa { curve, .. } => {
            let scalar = MpInt::decode(reader.field("scalar")).map_err(malformed)?;
            let key = EcdsaKey::from_scalar(*curve, scalar.as_bytes());
            SecretKey::Ecdsa(key.map_err(|_| PrivateKeyError::InvalidKey)?)
        }
        Material::Rsa { n, e } => decode_rsa(n, e, reader, min_rsa_bits)?,
        Material::MlDsa44Ed25519(_) => {
            let seeds = reader.field("seeds").string_of::<MLDSA44_ED25519_SEEDS_LEN>();
            SecretKey::MlDsa44Ed25519(MlDsa44Ed25519Key::from_seeds(seeds.map_err(malformed)?))
        }
        Material::SkEd25519 { application, .. } | Material::SkEcdsaP256 { application, .. } => {
            let again = reader.field("application").string().map_err(malformed)?;
            if again != application.as_bytes() {
                return Err(PrivateKeyError::Mismatch);
            }
            let flags = reader.field("flags").byte().map_err(malformed)?;
            let at = reader.field("key handle").clone();
            let handle = reader.string().map_err(malformed)?;
            if handle.is_empty() {
                return Err(malformed(at.error(DecodeErrorKind::Invalid("must not be empty"))));
            }
            let handle = Secret::new(handle.to_vec());
            let reserved = reader.field("reserved").string().map_err(malformed)?.into();
            SecretKey::Token(Token { key_type: public.key_type(), flags, handle, reserved })
        }
    };
    if secret.belongs_to(public) { Ok(secret) } else { Err(PrivateKeyError::Mismatch) }
}

fn decode_rsa(
    n: &[u8],
    e: &[u8],
    reader: &mut Reader<'_>,
    min_rsa_bits: usize,
) -> Result<SecretKey, PrivateKeyError> {
    let malformed = PrivateKeyError::Malformed;
    let d = MpInt::decode(reader.field("d")).map_err(malformed)?;
    // Computed anew from p and q, so that a wrong one cannot make faulty signatures.
    let _iqmp = MpInt::decode(reader.field("iqmp")).map_err(malformed)?;
    let p = MpInt::decode(reader.field("p")).map_err(malformed)?;
    let q = MpInt::decode(reader.field("q")).map_err(malformed)?;
    rsa(n, e, d.as_bytes(), p.as_bytes(), q.as_bytes(), min_rsa_bits)
}

/// An RSA key of its numbers, big-endian.
pub(crate) fn rsa(
    n: &[u8],
    e: &[u8],
    d: &[u8],
    p: &[u8],
    q: &[u8],
    min_rsa_bits: usize,
) -> Result<SecretKey, PrivateKeyError> {
    public::check_rsa(MpInt::from_bytes(n), MpInt::from_bytes(e), min_rsa_bits)?;
    RsaKey::from_parts_with_min(min_rsa_bits, n, e, d, p, q)
        .map(SecretKey::Rsa)
        .map_err(|_| PrivateKeyError::InvalidKey)
}
