//! RFC 4253 §6.6, RFC 5656 §3.1, RFC 8709 §4, `PROTOCOL.u2f`, draft-ietf-sshm-composite-sigs:
//! public key blobs, and the lines of `*.pub` files.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};
use core::{
    fmt,
    hash::{Hash, Hasher},
};

use ssh_crypto::{
    InvalidKey,
    sign::{self, EcdsaCurve},
};
use ssh_wire::{
    Decode as _, DecodeError, DecodeErrorKind, Encode as _, MpInt, PeerText, Reader, put_string,
};

use crate::{
    Fingerprint, KeyError, KeyType,
    algorithm::{curve_name, key_type_of_curve},
    format::{rfc4716, spki},
    line,
};

/// The smallest RSA modulus accepted unless one asks for less, in bits: smaller ones can be
/// factored.
pub const MIN_RSA_BITS: usize = sign::RSA_MIN_BITS;
/// The smallest RSA modulus accepted from those who ask for small ones, in bits: what old devices
/// have.
pub const SMALLEST_RSA_BITS: usize = sign::RSA_SMALLEST_BITS;
/// The largest RSA modulus accepted, in bits: the peer chooses the key, and checking a signature
/// costs this side the square of its size. OpenSSH's limit.
pub const MAX_RSA_BITS: usize = sign::RSA_MAX_BITS;
/// The longest application of a key in a token, in bytes. Usually it is `ssh:`.
pub const MAX_APPLICATION_LEN: usize = 1024;

/// The length of a key of `ssh-mldsa44-ed25519`: both halves.
pub(crate) const MLDSA44_ED25519_LEN: usize = sign::MLDSA44_ED25519_PUBLIC_LEN;

/// A public key: well-formed, of a type that is implemented, and within the limits of this
/// module. Keeps its blob as it came; cheap to clone.
#[derive(Clone)]
pub struct PublicKey(Arc<Inner>);

struct Inner {
    blob: Box<[u8]>,
    /// As it is spelled in the blob.
    name: &'static str,
    key_type: KeyType,
    material: Material,
}

/// The numbers of a key.
pub(crate) enum Material {
    Ed25519([u8; 32]),
    /// `04 | x | y`.
    Ecdsa {
        curve: EcdsaCurve,
        point: Box<[u8]>,
    },
    Rsa {
        n: Box<[u8]>,
        e: Box<[u8]>,
    },
    SkEd25519 {
        point: [u8; 32],
        application: Box<str>,
    },
    SkEcdsaP256 {
        point: Box<[u8]>,
        application: Box<str>,
    },
    MlDsa44Ed25519(Box<[u8; MLDSA44_ED25519_LEN]>),
}

impl PublicKey {
    /// Reads the blob that key exchange, authentication requests and key files carry.
    ///
    /// # Errors
    /// All [`KeyError`]s but those of lines. Bytes behind the last field are an error.
    pub fn from_blob(blob: &[u8]) -> Result<Self, KeyError> {
        Self::from_blob_of_bits(blob, MIN_RSA_BITS)
    }

    /// As [`Self::from_blob`], for those who have asked for smaller RSA keys: an inventory of old
    /// keys, or a device that has no other. Less than 1024 bits are not to be had.
    ///
    /// # Errors
    /// As there.
    pub fn from_blob_of_bits(blob: &[u8], min_rsa_bits: usize) -> Result<Self, KeyError> {
        let mut reader = Reader::new("public key", blob);
        let name = reader.field("type").string()?;
        let (key_type, name) = spelled(name)?;
        let material = Material::read(key_type, &mut reader, min_rsa_bits)?;
        reader.finish()?;
        Ok(Self(Arc::new(Inner { blob: blob.into(), name, key_type, material })))
    }

    /// Reads the first line of the text of a `*.pub` file: the type, the blob in base64, and a
    /// comment that may be missing. Returns the comment too, as it stands there (not for a
    /// terminal: see [`ssh_wire::escape`]).
    ///
    /// # Errors
    /// [`KeyError`], among them [`KeyError::TypeMismatch`] if the name at the start of the line is
    /// not the one in the blob.
    pub fn from_openssh(text: &str) -> Result<(Self, String), KeyError> {
        let first = text.trim_start().lines().next().unwrap_or_default();
        let (key, comment) = line::read_key(line::trimmed(first.as_bytes()))?;
        Ok((key, String::from_utf8_lossy(comment).into_owned()))
    }

    /// Reads the text of a public key file: a line as in [`Self::from_openssh`], RFC 4716, which
    /// begins with `---- BEGIN SSH2 PUBLIC KEY ----`, or PEM as OpenSSL writes it. Returns the
    /// comment too.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn parse(text: &str) -> Result<(Self, String), KeyError> {
        let start = text.trim_start();
        if start.starts_with(rfc4716::BEGIN) {
            let (blob, comment) = rfc4716::read(text)?;
            return Ok((Self::from_blob(&blob)?, comment));
        }
        if start.starts_with(spki::BEGIN) {
            return Ok((Self::from_blob(&spki::read(text)?)?, String::new()));
        }
        Self::from_openssh(text)
    }

    /// The text of a file as in RFC 4716, for other implementations.
    #[must_use]
    pub fn to_rfc4716(&self, comment: &str) -> String {
        rfc4716::write(&crate::Identity::Key(self.clone()), comment)
    }

    /// The text of a PEM file for OpenSSL, `PUBLIC KEY` (RFC 7468 §13); `None` for a type of keys
    /// that has no such form.
    #[must_use]
    pub fn to_pkcs8(&self) -> Option<String> {
        spki::write(self)
    }

    /// The same as OpenSSL wrote it before: `RSA PUBLIC KEY` (RFC 8017 §A.1.1), and for keys on
    /// elliptic curves `PUBLIC KEY`; `None` for other types of keys.
    #[must_use]
    pub fn to_pem(&self) -> Option<String> {
        spki::write_traditional(self)
    }

    /// The line for a `*.pub` file or for `authorized_keys`, without an end of line. Control
    /// characters of the comment become spaces, so that it stays one line.
    #[must_use]
    pub fn to_openssh(&self, comment: &str) -> String {
        line::key_line(self.name(), self.blob(), comment)
    }

    /// The blob, as in [`Self::from_blob`].
    #[must_use]
    pub fn blob(&self) -> &[u8] {
        &self.0.blob
    }

    /// A copy of the blob.
    #[must_use]
    pub fn to_blob(&self) -> Vec<u8> {
        self.blob().into()
    }

    /// The type of the key.
    #[must_use]
    pub fn key_type(&self) -> KeyType {
        self.0.key_type
    }

    /// The name of the type as the blob spells it; see [`KeyType::from_name`].
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    /// The size of the key as people call it, in bits.
    #[must_use]
    pub fn bits(&self) -> usize {
        match self.material() {
            Material::Ecdsa { curve, .. } => curve.bits(),
            Material::Rsa { n, .. } => MpInt::from_bytes(n).bits(),
            Material::Ed25519(_) | Material::SkEd25519 { .. } | Material::SkEcdsaP256 { .. } => 256,
            // OpenSSH counts the seeds of both halves.
            Material::MlDsa44Ed25519(_) => 512,
        }
    }

    /// The application that a key in a token was made for, usually `ssh:`; `None` for keys that are
    /// in no token.
    #[must_use]
    pub fn application(&self) -> Option<&str> {
        match self.material() {
            Material::SkEd25519 { application, .. } | Material::SkEcdsaP256 { application, .. } => {
                Some(application)
            }
            _ => None,
        }
    }

    /// The fingerprint to show to people.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_blob(self.blob())
    }

    pub(crate) fn material(&self) -> &Material {
        &self.0.material
    }

    /// The key with this name, whose blob goes on with `fields`.
    pub(crate) fn from_fields(
        name: &str,
        fields: &[u8],
        min_rsa_bits: usize,
    ) -> Result<Self, KeyError> {
        let mut blob = Vec::new();
        put_string(&mut blob, name.as_bytes());
        blob.extend_from_slice(fields);
        Self::from_blob_of_bits(&blob, min_rsa_bits)
    }

    /// What follows the name in the blob.
    pub(crate) fn fields(&self) -> &[u8] {
        let name = self.name().len().saturating_add(size_of::<u32>());
        self.blob().get(name..).unwrap_or_default()
    }
}

/// The type with the name in a blob, and its spelling; [`KeyError::UnsupportedType`] if there is
/// none.
fn spelled(name: &[u8]) -> Result<(KeyType, &'static str), KeyError> {
    core::str::from_utf8(name)
        .ok()
        .and_then(KeyType::spelled)
        .ok_or_else(|| KeyError::UnsupportedType { name: shown(name) })
}

/// A name for an error: no longer than names may be (RFC 4251 §6).
pub(crate) fn shown(name: &[u8]) -> PeerText {
    PeerText::from_bytes(name.get(..ssh_wire::MAX_NAME_LEN).unwrap_or(name))
}

impl Material {
    /// Reads what follows the name of a key.
    pub(crate) fn read(
        key_type: KeyType,
        reader: &mut Reader<'_>,
        min_rsa_bits: usize,
    ) -> Result<Self, KeyError> {
        Ok(match key_type {
            KeyType::Ed25519 => Self::Ed25519(*reader.field("point").string_of()?),
            KeyType::EcdsaP256 => read_ecdsa(reader, EcdsaCurve::P256)?,
            KeyType::EcdsaP384 => read_ecdsa(reader, EcdsaCurve::P384)?,
            KeyType::EcdsaP521 => read_ecdsa(reader, EcdsaCurve::P521)?,
            KeyType::Rsa => read_rsa(reader, min_rsa_bits)?,
            KeyType::SkEd25519 => {
                let point = *reader.field("point").string_of()?;
                Self::SkEd25519 { point, application: read_application(reader)? }
            }
            KeyType::SkEcdsaP256 => {
                let point = read_point(reader, EcdsaCurve::P256)?;
                Self::SkEcdsaP256 { point, application: read_application(reader)? }
            }
            KeyType::MlDsa44Ed25519 => {
                Self::MlDsa44Ed25519(Box::new(*reader.field("key").string_of()?))
            }
        })
    }
}

fn read_ecdsa(reader: &mut Reader<'_>, curve: EcdsaCurve) -> Result<Material, KeyError> {
    Ok(Material::Ecdsa { curve, point: read_point(reader, curve)? })
}

/// Reads the name of a curve, which is the one expected, and an uncompressed point on it.
pub(crate) fn read_point(
    reader: &mut Reader<'_>,
    curve: EcdsaCurve,
) -> Result<Box<[u8]>, KeyError> {
    let expected = curve_name(curve);
    let name = reader.field("curve").string()?;
    if name != expected.as_bytes() {
        return Err(KeyError::WrongCurve { expected, found: shown(name) });
    }
    let at = reader.field("point").clone();
    let point = reader.string()?;
    let (expected, found) = (curve.point_len(), point.len());
    if expected != found {
        return Err(at.error(DecodeErrorKind::WrongLength { expected, found }).into());
    }
    if sign::ecdsa_point_is_valid(curve, point) {
        Ok(point.into())
    } else {
        Err(KeyError::InvalidPoint)
    }
}

fn read_application(reader: &mut Reader<'_>) -> Result<Box<str>, KeyError> {
    let at = reader.field("application").clone();
    let application = reader.utf8()?;
    refuse_zero(&at, application.as_bytes())?;
    if application.len() > MAX_APPLICATION_LEN {
        return Err(at.error(DecodeErrorKind::Invalid("longer than any application")).into());
    }
    Ok(application.into())
}

/// Refuses a zero byte in a text, which would end it for who reads it in C. (OpenSSH takes one at
/// the end, so that is told apart.)
pub(crate) fn refuse_zero(at: &Reader<'_>, text: &[u8]) -> Result<(), DecodeError> {
    match text.split_last() {
        Some((_, before)) if before.contains(&0) => {
            Err(at.error(DecodeErrorKind::Invalid("a zero byte in a text")))
        }
        Some((0, _)) => Err(at.error(DecodeErrorKind::Invalid("a zero byte at the end of a text"))),
        _ => Ok(()),
    }
}

fn read_rsa(reader: &mut Reader<'_>, min_bits: usize) -> Result<Material, KeyError> {
    let e = MpInt::decode(reader.field("e"))?;
    let n = MpInt::decode(reader.field("n"))?;
    check_rsa(n, e, min_bits)?;
    Ok(Material::Rsa { n: n.as_bytes().into(), e: e.as_bytes().into() })
}

/// Checks the numbers of an RSA key.
pub(crate) fn check_rsa(n: MpInt<'_>, e: MpInt<'_>, min_bits: usize) -> Result<(), KeyError> {
    let min_bits = min_bits.max(sign::RSA_SMALLEST_BITS);
    sign::rsa_check_public_with_min(min_bits, n.as_bytes(), e.as_bytes()).map_err(|error| {
        match error {
            InvalidKey::Modulus { bits } if (min_bits..=MAX_RSA_BITS).contains(&bits) => {
                KeyError::RsaModulusEven
            }
            InvalidKey::Modulus { bits } => KeyError::RsaModulusSize { bits },
            _ => KeyError::RsaExponent,
        }
    })
}

/// The blob of an Ed25519 key (RFC 8709 §4).
pub(crate) fn ed25519_blob(point: &[u8; 32]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, KeyType::Ed25519.name().as_bytes());
    put_string(&mut blob, point);
    blob
}

/// The blob of an ECDSA key (RFC 5656 §3.1).
pub(crate) fn ecdsa_blob(curve: EcdsaCurve, point: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, key_type_of_curve(curve).name().as_bytes());
    put_string(&mut blob, curve_name(curve).as_bytes());
    put_string(&mut blob, point);
    blob
}

/// The blob of a key of ML-DSA and Ed25519, under one of the names it has.
pub(crate) fn mldsa_blob(name: &str, public: &[u8; MLDSA44_ED25519_LEN]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, name.as_bytes());
    put_string(&mut blob, public);
    blob
}

/// The blob of an RSA key (RFC 4253 §6.6), from big-endian numbers.
pub(crate) fn rsa_blob(n: &[u8], e: &[u8]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, KeyType::Rsa.name().as_bytes());
    MpInt::from_bytes(e).encode(&mut blob);
    MpInt::from_bytes(n).encode(&mut blob);
    blob
}

/// Two keys are the same if their blobs are: a key has only one blob, since points must be
/// uncompressed and numbers in their shortest form. (The two spellings of `ssh-mldsa44-ed25519`
/// make two blobs, and two keys, as for OpenSSH.)
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.blob() == other.blob()
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.blob().hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.key_type(), self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use alloc::{format, string::ToString, vec};
    use proptest::prelude::*;
    use ssh_wire::DecodeErrorKind;

    use super::*;
    use crate::testing;

    #[test]
    fn lines_of_ssh_keygen_are_read_and_written_back() {
        for name in [
            "keys/host_ed25519.pub",
            "keys/host_ecdsa.pub",
            "keys/host_rsa.pub",
            "keys/user.pub",
            "extra/ed25519.pub",
            "extra/rsa2048.pub",
            "openssh/ed25519_1.pub",
            "openssh/ed25519_2.pub",
            "openssh/ecdsa_1.pub",
            "openssh/rsa_2.pub",
            "hostkeys/ed25519_1.pub",
            "hostkeys/ecdsa_3.pub",
            "keys/host_ecdsa384.pub",
            "keys/host_ecdsa521.pub",
            "keys/host_mldsa.pub",
            "openssh/ed25519_sk1.pub",
            "openssh/ecdsa_sk2.pub",
            "openssh/mldsa44_ed25519_1.pub",
        ] {
            let text = testing::text(name);
            let (key, comment) = PublicKey::from_openssh(&text).unwrap();
            assert_eq!(key.to_openssh(&comment), text.trim_end(), "{name}");
            assert_eq!(PublicKey::from_blob(key.blob()).unwrap(), key);
        }
    }

    #[test]
    fn types_that_are_not_implemented_are_named() {
        let error = PublicKey::from_openssh("ssh-dss AAAAB3NzaC1kc3M=").unwrap_err();
        assert_eq!(error, KeyError::UnsupportedType { name: "ssh-dss".into() });
        assert_eq!(error.fault(), ssh_wire::Fault::Policy);
        // A certificate is no key.
        let text = testing::text("openssh/ed25519_1-cert.pub");
        let error = PublicKey::from_openssh(&text).unwrap_err();
        let name = "ssh-ed25519-cert-v01@openssh.com".into();
        assert_eq!(error, KeyError::UnsupportedType { name });
    }

    #[test]
    fn a_name_that_is_not_the_one_in_the_blob_is_refused() {
        let text = testing::text("extra/ed25519.pub");
        let blob = text.split(' ').nth(1).unwrap();
        for declared in ["ssh-rsa", "ecdsa-sha2-nistp384", "ssh-ed25519-cert-v01@openssh.com", "x"]
        {
            let error = PublicKey::from_openssh(&format!("{declared} {blob}")).unwrap_err();
            assert_eq!(
                error,
                KeyError::TypeMismatch { declared: declared.into(), found: "ssh-ed25519".into() }
            );
        }
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_an_error() {
        for name in ["keys/host_ed25519.pub", "keys/host_ecdsa.pub", "keys/host_rsa.pub"] {
            let mut blob = testing::public(name).to_blob();
            for end in 0..blob.len() {
                let error = PublicKey::from_blob(&blob[..end]).unwrap_err();
                assert!(matches!(error, KeyError::Malformed(_)), "{name} {end} {error}");
            }
            blob.push(0);
            let Err(KeyError::Malformed(error)) = PublicKey::from_blob(&blob) else { panic!() };
            assert_eq!(error.kind, DecodeErrorKind::TrailingBytes(1));
        }
    }

    #[test]
    fn points_of_ed25519_have_32_bytes() {
        for len in [0_usize, 31, 33, 64] {
            let mut blob = Vec::new();
            put_string(&mut blob, b"ssh-ed25519");
            put_string(&mut blob, &vec![7; len]);
            assert_eq!(
                PublicKey::from_blob(&blob).unwrap_err().to_string(),
                format!("public key.point at byte 15: is {len} bytes long, must be 32"),
            );
        }
    }

    #[test]
    fn points_that_are_not_on_the_curve_or_compressed_are_refused() {
        let key = testing::public("keys/host_ecdsa.pub");
        let Material::Ecdsa { curve, point } = key.material() else { panic!() };
        for (at, bit) in [(0, 1), (0, 4), (64, 1), (1, 0x80)] {
            let mut point = point.clone();
            point[at] ^= bit;
            assert_eq!(
                PublicKey::from_blob(&ecdsa_blob(*curve, &point)),
                Err(KeyError::InvalidPoint)
            );
        }
        let mut blob = Vec::new();
        put_string(&mut blob, b"ecdsa-sha2-nistp256");
        put_string(&mut blob, b"nistp256");
        put_string(&mut blob, &point[..33]);
        assert!(matches!(PublicKey::from_blob(&blob), Err(KeyError::Malformed(_))));
    }

    #[test]
    fn the_curve_must_be_the_one_of_the_type() {
        let mut blob = Vec::new();
        put_string(&mut blob, b"ecdsa-sha2-nistp256");
        put_string(&mut blob, b"nistp384");
        put_string(&mut blob, &[4; 97]);
        assert_eq!(
            PublicKey::from_blob(&blob),
            Err(KeyError::WrongCurve { expected: "nistp256", found: "nistp384".into() })
        );
    }

    #[test]
    fn rsa_numbers_out_of_bounds_are_refused() {
        let modulus = |bits: usize| {
            let mut n = vec![0xff_u8; bits.div_ceil(8)];
            n[0] >>= (8 - bits % 8) % 8;
            n
        };
        let f4 = [1, 0, 1];
        for bits in [1023, 1024, 2047, 16385, 20000] {
            assert_eq!(
                PublicKey::from_blob(&rsa_blob(&modulus(bits), &f4)),
                Err(KeyError::RsaModulusSize { bits })
            );
        }
        for bits in [2048, 2049, 16384] {
            assert_eq!(PublicKey::from_blob(&rsa_blob(&modulus(bits), &f4)).unwrap().bits(), bits);
        }
        for e in [&[][..], &[1], &[2], &[1, 0, 0], &[2, 0, 0, 0, 1]] {
            assert_eq!(
                PublicKey::from_blob(&rsa_blob(&modulus(2048), e)),
                Err(KeyError::RsaExponent),
                "{e:?}"
            );
        }
        for e in [&[3][..], &[1, 0xff, 0xff, 0xff, 0xff]] {
            assert!(PublicKey::from_blob(&rsa_blob(&modulus(2048), e)).is_ok(), "{e:?}");
        }
        let mut even = modulus(2048);
        even[255] = 0xfe;
        assert_eq!(PublicKey::from_blob(&rsa_blob(&even, &f4)), Err(KeyError::RsaModulusEven));
    }

    #[test]
    fn small_rsa_keys_of_the_test_data_are_refused() {
        let text = testing::text("openssh/rsa_1.pub");
        assert_eq!(PublicKey::from_openssh(&text), Err(KeyError::RsaModulusSize { bits: 1024 }));
    }

    #[test]
    fn lines_without_a_key_say_what_is_missing() {
        for (line, error) in [
            ("", KeyError::MissingField("key type")),
            (" \t ", KeyError::MissingField("key type")),
            ("ssh-ed25519", KeyError::MissingField("key")),
            ("ssh-ed25519 \t", KeyError::MissingField("key")),
            ("ssh-ed25519 AAA", KeyError::NotBase64),
            ("ssh-ed25519 AAAA===", KeyError::NotBase64),
        ] {
            assert_eq!(PublicKey::from_openssh(line), Err(error), "{line:?}");
        }
    }

    #[test]
    fn only_the_first_line_of_a_file_counts() {
        let (key, line) = testing::some_key(1);
        let (_, other) = testing::some_key(2);
        let text = format!("\r\n \t{line} \t a  b\t \r\n{other}\n");
        assert_eq!(PublicKey::from_openssh(&text), Ok((key, "a  b".into())));
    }

    #[test]
    fn a_comment_cannot_make_a_second_line() {
        let (key, _) = testing::some_key(1);
        let line = key.to_openssh("a\nb\r\u{85}c");
        assert_eq!(line.lines().count(), 1);
        assert!(line.ends_with(" a b  c"), "{line}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), which in 0..4_usize) {
            let mut blob = Vec::new();
            if let Some(key_type) = KeyType::ALL.get(which) {
                put_string(&mut blob, key_type.name().as_bytes());
            }
            blob.extend(bytes);
            if let Ok(key) = PublicKey::from_blob(&blob) {
                prop_assert_eq!(key.blob(), &blob[..]);
            }
        }

        #[test]
        fn any_line_gives_a_key_or_an_error(line in "(ssh-ed25519|ssh-rsa)?[ \t]{0,2}[A-Za-z0-9+/=]{0,60} ?.{0,10}") {
            drop(PublicKey::from_openssh(&line));
        }

        #[test]
        fn keys_survive_a_round_trip(point in any::<[u8; 32]>(), comment in "[^\\s\\p{C}]([^\\p{C}]*[^\\s\\p{C}])?") {
            let key = PublicKey::from_blob(&ed25519_blob(&point)).unwrap();
            let line = key.to_openssh(&comment);
            prop_assert_eq!(PublicKey::from_openssh(&line).unwrap(), (key, comment));
        }
    }
}
