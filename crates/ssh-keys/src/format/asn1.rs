//! DER, as much of it as key files need (X.690): reading by the `der` crate, writing by hand into
//! memory that is wiped.

use alloc::vec::Vec;

use der::{
    Decode as _, Reader as _, SliceReader,
    asn1::{AnyRef, ObjectIdentifier},
};
use ssh_crypto::{Secret, sign::EcdsaCurve};

use crate::PrivateKeyError;

/// Reads `bytes`, one SEQUENCE and nothing else, as the structure called `name`.
pub(super) fn sequence<'a, T>(
    name: &'static str,
    bytes: &'a [u8],
    body: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> Result<T, PrivateKeyError> {
    let read = || -> der::Result<T> {
        let mut reader = SliceReader::new(bytes)?;
        let value = reader.sequence(body)?;
        reader.finish()?;
        Ok(value)
    };
    read().map_err(|_| PrivateKeyError::NotDer { structure: name })
}

/// An `AlgorithmIdentifier` (RFC 5280 §4.1.1.2).
#[derive(Clone, Copy)]
pub(super) struct Algorithm<'a> {
    pub(super) oid: ObjectIdentifier,
    pub(super) parameters: Option<AnyRef<'a>>,
}

impl<'a> Algorithm<'a> {
    pub(super) fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        reader.sequence(|reader| {
            Ok(Self {
                oid: ObjectIdentifier::decode(reader)?,
                parameters: Option::<AnyRef<'_>>::decode(reader)?,
            })
        })
    }
}

/// The number of a curve (RFC 5480 §2.1.1.1).
pub(super) const fn curve_oid(curve: EcdsaCurve) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(match curve {
        EcdsaCurve::P256 => "1.2.840.10045.3.1.7",
        EcdsaCurve::P384 => "1.3.132.0.34",
        EcdsaCurve::P521 => "1.3.132.0.35",
    })
}

/// The curve with this number.
pub(super) fn curve(oid: ObjectIdentifier) -> Option<EcdsaCurve> {
    EcdsaCurve::ALL.iter().copied().find(|curve| curve_oid(*curve) == oid)
}

/// Tags that are written.
pub(super) mod tag {
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BIT_STRING: u8 = 0x03;
    pub(crate) const OCTET_STRING: u8 = 0x04;
    pub(crate) const NULL: u8 = 0x05;
    pub(crate) const OID: u8 = 0x06;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const CONTEXT_0: u8 = 0xa0;
    pub(crate) const CONTEXT_1: u8 = 0xa1;
}

/// DER that is being written, and wiped afterwards.
pub(super) struct Writer(Secret<Vec<u8>>);

impl Writer {
    /// Enough for the largest key, so that nothing is moved and left behind.
    const CAPACITY: usize = 32 * 1024;

    pub(super) fn new() -> Self {
        Self(Secret::new(Vec::with_capacity(Self::CAPACITY)))
    }

    pub(super) fn finish(self) -> Secret<Vec<u8>> {
        self.0
    }

    /// A value of bytes.
    pub(super) fn put(&mut self, tag: u8, bytes: &[u8]) -> &mut Self {
        self.header(tag, bytes.len());
        self.0.expose_mut().extend_from_slice(bytes);
        self
    }

    /// A value of other values.
    pub(super) fn nest(&mut self, tag: u8, body: impl FnOnce(&mut Self)) -> &mut Self {
        let mut inner = Self::new();
        body(&mut inner);
        self.put(tag, inner.0.expose())
    }

    /// A positive number from its big-endian bytes.
    pub(super) fn integer(&mut self, bytes: &[u8]) -> &mut Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let bytes = bytes.get(zeros..).unwrap_or_default();
        let sign = usize::from(bytes.first().is_none_or(|first| first & 0x80 != 0));
        self.header(tag::INTEGER, bytes.len().saturating_add(sign));
        let out = self.0.expose_mut();
        out.extend(core::iter::repeat_n(0, sign));
        out.extend_from_slice(bytes);
        self
    }

    pub(super) fn oid(&mut self, oid: ObjectIdentifier) -> &mut Self {
        self.put(tag::OID, oid.as_bytes())
    }

    fn header(&mut self, tag: u8, len: usize) {
        let out = self.0.expose_mut();
        out.push(tag);
        match u8::try_from(len) {
            Ok(short @ ..=0x7f) => out.push(short),
            _ => {
                let bytes = len.to_be_bytes();
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                let bytes = bytes.get(zeros..).unwrap_or_default();
                out.push(0x80 | u8::try_from(bytes.len()).unwrap_or(0));
                out.extend_from_slice(bytes);
            }
        }
    }
}
