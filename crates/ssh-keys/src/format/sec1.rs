//! RFC 5915: keys on elliptic curves as OpenSSL has always written them.

use der::{
    Decode as _, Reader as _, TagMode, TagNumber,
    asn1::{BitStringRef, ObjectIdentifier, OctetStringRef},
};
use ssh_crypto::{
    Secret,
    sign::{EcdsaCurve, EcdsaKey},
};

use super::asn1::{self, Writer, tag};
use crate::{
    KeyError, PrivateKey, PrivateKeyError,
    private::{ReadLimits, SecretKey},
};

/// Reads `ECPrivateKey` that names its curve itself.
pub(super) fn read(bytes: &[u8], limits: &ReadLimits) -> Result<PrivateKey, PrivateKeyError> {
    read_on(None, bytes, limits)
}

/// Reads `ECPrivateKey`: version, scalar, \[0\] curve, \[1\] point. Around it, PKCS#8 may have named the
/// curve already.
pub(super) fn read_on(
    outer: Option<EcdsaCurve>,
    bytes: &[u8],
    limits: &ReadLimits,
) -> Result<PrivateKey, PrivateKeyError> {
    let (scalar, oid, point) = asn1::sequence("ECPrivateKey", bytes, |reader| {
        if u8::decode(reader)? != 1 {
            return Err(reader.error(der::ErrorKind::Failed));
        }
        let scalar = <&OctetStringRef>::decode(reader)?.as_bytes();
        let oid = reader.context_specific::<ObjectIdentifier>(TagNumber(0), TagMode::Explicit)?;
        let point = reader.context_specific::<BitStringRef<'_>>(TagNumber(1), TagMode::Explicit)?;
        Ok((scalar, oid, point.and_then(|point| point.as_bytes())))
    })?;
    let named = oid.map(|oid| {
        let name = alloc::string::ToString::to_string(&oid);
        asn1::curve(oid).ok_or(PrivateKeyError::UnsupportedAlgorithm { name: name.as_str().into() })
    });
    let curve = match (outer, named.transpose()?) {
        (Some(outer), Some(named)) if outer != named => return Err(PrivateKeyError::Mismatch),
        (outer, named) => {
            outer.or(named).ok_or(PrivateKeyError::NotDer { structure: "EcParameters" })?
        }
    };
    let key = EcdsaKey::from_scalar(curve, scalar).map_err(|_| PrivateKeyError::InvalidKey)?;
    // The point may be compressed, and need not be there.
    if let Some(point) = point {
        if point.first() == Some(&4) && point != key.public() {
            return Err(PrivateKeyError::Mismatch);
        }
        if !matches!(point.first(), Some(2..=4)) {
            return Err(PrivateKeyError::PublicKey(KeyError::InvalidPoint));
        }
    }
    PrivateKey::of_numbers(SecretKey::Ecdsa(key), "", limits.min_rsa_bits)
}

/// Writes `ECPrivateKey`, with its curve where nothing around it says which.
pub(super) fn write(key: &EcdsaKey, with_curve: bool) -> Secret<alloc::vec::Vec<u8>> {
    let mut out = Writer::new();
    out.nest(tag::SEQUENCE, |out| {
        out.integer(&[1]).put(tag::OCTET_STRING, key.scalar().expose());
        if with_curve {
            out.nest(tag::CONTEXT_0, |out| {
                out.oid(asn1::curve_oid(key.curve()));
            });
        }
        out.nest(tag::CONTEXT_1, |out| {
            // All bits of the last byte count.
            out.put(tag::BIT_STRING, &[&[0], &key.public()[..]].concat());
        });
    });
    out.finish()
}
