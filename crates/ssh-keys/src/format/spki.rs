//! RFC 5280 §4.1.2.7, RFC 8017 §A.1.1: public keys in PEM, as OpenSSL reads and writes them.

use alloc::{string::String, vec::Vec};

use der::{
    Decode as _, SliceReader,
    asn1::{AnyRef, BitStringRef, ObjectIdentifier, UintRef},
};
use ssh_wire::put_string;

use super::{
    asn1::{self, Algorithm, Writer, tag},
    pem::{self, Pem},
    pkcs8::{EC, ED25519, RSA},
};
use crate::{
    KeyError, KeyType, PublicKey,
    algorithm::{curve_name, key_type_of_curve},
    public::Material,
};

/// `SubjectPublicKeyInfo` (RFC 7468 §13): any algorithm.
const ANY: &str = "PUBLIC KEY";
/// `RSAPublicKey`: RSA only.
const ONLY_RSA: &str = "RSA PUBLIC KEY";

/// What a file with such keys begins with, apart from the label.
pub(crate) const BEGIN: &str = "-----BEGIN ";

const WRONG: KeyError = KeyError::NotPublicPem;

/// Reads the text of a file: the blob of the key in it.
pub(crate) fn read(text: &str) -> Result<Vec<u8>, KeyError> {
    let pem = Pem::parse(text.as_bytes()).map_err(|_| WRONG)?;
    let der = pem.decoded().map_err(|_| KeyError::NotBase64)?;
    match pem.label {
        label if label == ANY.as_bytes() => read_any(der.expose()),
        label if label == ONLY_RSA.as_bytes() => read_rsa(der.expose()),
        _ => Err(WRONG),
    }
}

fn read_any(der: &[u8]) -> Result<Vec<u8>, KeyError> {
    let read = asn1::sequence("SubjectPublicKeyInfo", der, |reader| {
        Ok((Algorithm::read(reader)?, BitStringRef::decode(reader)?))
    });
    let (algorithm, key) = read.map_err(|_| WRONG)?;
    let key = key.as_bytes().ok_or(WRONG)?;
    let parameters = algorithm.parameters;
    match algorithm.oid {
        // RFC 8017 §A.1: NULL, which some leave out.
        RSA if parameters.is_none_or(|any| any == AnyRef::NULL) => read_rsa(key),
        EC => {
            let oid = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
            let curve = oid.and_then(asn1::curve).ok_or(WRONG)?;
            Ok(blob(key_type_of_curve(curve), &[curve_name(curve).as_bytes(), key]))
        }
        ED25519 if parameters.is_none() => Ok(blob(KeyType::Ed25519, &[key])),
        _ => Err(WRONG),
    }
}

fn read_rsa(der: &[u8]) -> Result<Vec<u8>, KeyError> {
    let read = asn1::sequence("RSAPublicKey", der, |reader: &mut SliceReader<'_>| {
        let n = UintRef::decode(reader)?.as_bytes();
        Ok((n, UintRef::decode(reader)?.as_bytes()))
    });
    let (n, e) = read.map_err(|_| WRONG)?;
    let (n, e) = (positive(n), positive(e));
    Ok(blob(KeyType::Rsa, &[&e, &n]))
}

/// The body of an `mpint` (RFC 4251 §5) of a number without leading zeros.
fn positive(number: &[u8]) -> Vec<u8> {
    let sign = number.first().is_some_and(|first| first & 0x80 != 0);
    let mut body = Vec::with_capacity(number.len().saturating_add(1));
    body.extend(sign.then_some(0));
    body.extend_from_slice(number);
    body
}

fn blob(key_type: KeyType, fields: &[&[u8]]) -> Vec<u8> {
    let mut blob = Vec::new();
    put_string(&mut blob, key_type.name().as_bytes());
    for field in fields {
        put_string(&mut blob, field);
    }
    blob
}

/// Writes `SubjectPublicKeyInfo`; nothing for a type of keys that has no such form.
pub(crate) fn write(key: &PublicKey) -> Option<String> {
    let (oid, bits) = match key.material() {
        Material::Rsa { n, e } => (RSA, rsa(n, e)),
        Material::Ecdsa { point, .. } => (EC, point.to_vec()),
        Material::Ed25519(point) => (ED25519, point.to_vec()),
        _ => return None,
    };
    let mut out = Writer::new();
    out.nest(tag::SEQUENCE, |out| {
        out.nest(tag::SEQUENCE, |out| {
            out.oid(oid);
            match key.material() {
                Material::Rsa { .. } => drop(out.put(tag::NULL, &[])),
                Material::Ecdsa { curve, .. } => drop(out.oid(asn1::curve_oid(*curve))),
                _ => {}
            }
        });
        // All bits of the last byte count.
        out.put(tag::BIT_STRING, &[&[0], &bits[..]].concat());
    });
    Some(pem::of_der(ANY, out.finish().expose()).expose().clone())
}

/// Writes what OpenSSL calls the traditional form: `RSAPublicKey`, and for curves the same as
/// [`write`]; nothing for other types of keys.
pub(crate) fn write_traditional(key: &PublicKey) -> Option<String> {
    match key.material() {
        Material::Rsa { n, e } => Some(pem::of_der(ONLY_RSA, &rsa(n, e)).expose().clone()),
        Material::Ecdsa { .. } => write(key),
        _ => None,
    }
}

fn rsa(n: &[u8], e: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.nest(tag::SEQUENCE, |out| {
        out.integer(n).integer(e);
    });
    out.finish().expose().clone()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn keys() -> Vec<PublicKey> {
        ["host_ed25519", "host_ecdsa", "host_ecdsa384", "host_ecdsa521", "host_rsa"]
            .map(|name| testing::public(&alloc::format!("keys/{name}.pub")))
            .into()
    }

    #[test]
    fn every_type_that_has_a_form_is_read_back() {
        for key in keys() {
            let text = write(&key).unwrap();
            assert_eq!(PublicKey::parse(&text).unwrap(), (key.clone(), String::new()), "{text}");
            if let Some(text) = write_traditional(&key) {
                assert_eq!(PublicKey::parse(&text).unwrap().0, key, "{text}");
            } else {
                assert_eq!(key.key_type(), KeyType::Ed25519);
            }
        }
        let token = testing::public("openssh/ed25519_sk1.pub");
        assert_eq!((write(&token), write_traditional(&token)), (None, None));
    }

    /// Every byte of the key is in the blob, so a changed one is another key or none.
    #[test]
    fn a_cut_or_changed_key_is_refused_or_another_one() {
        for key in keys() {
            let text = write(&key).unwrap();
            let der = Pem::parse(text.as_bytes()).unwrap().decoded().unwrap();
            for end in 0..der.expose().len() {
                assert_eq!(read_any(&der.expose()[..end]), Err(WRONG), "{end}");
            }
            for at in 0..der.expose().len() {
                let mut bytes = der.expose().clone();
                bytes[at] ^= 1;
                let read = read_any(&bytes).and_then(|blob| PublicKey::from_blob(&blob));
                assert!(read.as_ref() != Ok(&key), "{at}: {read:?}");
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "-----BEGIN PUBLIC KEY-----\n",
            "-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----\n",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "-----BEGIN RSA PUBLIC KEY-----\nMAA=\n-----END RSA PUBLIC KEY-----\n",
        ] {
            assert!(PublicKey::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            drop(read_any(&bytes));
            drop(read_rsa(&bytes));
        }
    }
}
