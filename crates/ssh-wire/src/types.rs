//! The types of RFC 4251 §5 that are more than bytes: `mpint` and `name-list`.

use alloc::vec::Vec;
use core::fmt;

use crate::{Decode, DecodeError, DecodeErrorKind, Encode, Reader, put_string, put_with_length};

/// The longest name that an algorithm or method may have, in bytes (RFC 4251 §6).
pub const MAX_NAME_LEN: usize = 64;

/// A `name-list`: names separated by commas, as borrowed from a message.
///
/// Reading checks each name: not empty, printable ASCII, at most [`MAX_NAME_LEN`] bytes. An empty
/// list is an empty string. Names that repeat are kept as they are.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct NameList<'a>(&'a str);

impl<'a> NameList<'a> {
    /// Takes text of the form `a,b,c`; `None` if a name breaks RFC 4251 §6.
    #[must_use]
    pub fn from_text(text: &'a str) -> Option<Self> {
        (text.is_empty() || text.split(',').all(is_name)).then_some(Self(text))
    }

    /// The names in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> + Clone {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// True if `name` is in the list.
    #[must_use]
    pub fn contains(self, name: &str) -> bool {
        self.iter().any(|other| other == name)
    }

    /// The first name: the preferred one.
    #[must_use]
    pub fn first(self) -> Option<&'a str> {
        self.iter().next()
    }

    /// The list as text, with commas.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// True if there are no names.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_graphic() && b != b',')
}

impl fmt::Debug for NameList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

impl<'a> Decode<'a> for NameList<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let error = reader.error(DecodeErrorKind::BadName);
        core::str::from_utf8(reader.string()?).ok().and_then(Self::from_text).ok_or(error)
    }
}

impl Encode for NameList<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, self.0.as_bytes());
    }
}

/// Names to be written as a `name-list`.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a>(pub &'a [&'a str]);

impl Encode for Names<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_with_length(out, |out| {
            for (i, name) in self.0.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                out.extend_from_slice(name.as_bytes());
            }
        });
    }
}

/// A positive `mpint`, as its big-endian bytes without leading zeros.
///
/// Negative numbers, which no message of SSH has a use for, and unnecessary leading bytes are
/// refused in reading.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MpInt<'a>(&'a [u8]);

impl<'a> MpInt<'a> {
    /// The number with the big-endian bytes `bytes`; leading zeros are dropped.
    #[must_use]
    pub fn from_bytes(bytes: &'a [u8]) -> Self {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Self(bytes.get(zeros..).unwrap_or_default())
    }

    /// Big-endian bytes without leading zeros; none for zero.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The number of bits without leading zero bits.
    #[must_use]
    pub fn bits(self) -> usize {
        let Some(first) = self.0.first() else { return 0 };
        let zeros = usize::try_from(first.leading_zeros()).unwrap_or(0);
        self.0.len().saturating_mul(8).saturating_sub(zeros)
    }
}

/// Shows the size only: an mpint may be a secret.
impl fmt::Debug for MpInt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MpInt({} bits)", self.bits())
    }
}

impl<'a> Decode<'a> for MpInt<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let error = reader.error(DecodeErrorKind::BadMpInt);
        match reader.string()? {
            [] => Ok(Self(&[])),
            [0, rest @ ..] if rest.first().is_some_and(|byte| byte & 0x80 != 0) => Ok(Self(rest)),
            bytes @ [1..=0x7f, ..] => Ok(Self(bytes)),
            _ => Err(error),
        }
    }
}

impl Encode for MpInt<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_with_length(out, |out| {
            if self.0.first().is_some_and(|byte| byte & 0x80 != 0) {
                out.push(0);
            }
            out.extend_from_slice(self.0);
        });
    }
}

/// Everything up to the end of the message, without a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest<'a>(pub &'a [u8]);

impl<'a> Decode<'a> for Rest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self(reader.rest()))
    }
}

impl Encode for Rest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{string::String, vec};
    use proptest::prelude::*;

    fn mpint(bytes: &[u8]) -> Result<MpInt<'_>, DecodeError> {
        MpInt::decode(&mut Reader::new("M", bytes))
    }

    /// The examples of RFC 4251 §5 that are not negative.
    #[test]
    fn mpints_are_written_as_the_rfc_shows() {
        for (number, wire) in [
            (&[][..], &[0, 0, 0, 0][..]),
            (
                &[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
                &[0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7],
            ),
            (&[0x80], &[0, 0, 0, 2, 0, 0x80]),
        ] {
            let mut out = Vec::new();
            MpInt::from_bytes(number).encode(&mut out);
            assert_eq!(out, wire);
            assert_eq!(mpint(wire).unwrap().as_bytes(), number);
        }
    }

    #[test]
    fn negative_and_padded_mpints_are_refused() {
        for wire in [
            &[0, 0, 0, 2, 0xed, 0xcc][..], // negative
            &[0, 0, 0, 1, 0x80],
            &[0, 0, 0, 1, 0], // zero has no bytes
            &[0, 0, 0, 2, 0, 0x7f],
            &[0, 0, 0, 3, 0, 0, 0x80],
        ] {
            assert_eq!(mpint(wire).unwrap_err().kind, DecodeErrorKind::BadMpInt, "{wire:?}");
        }
    }

    #[test]
    fn names_that_break_rfc_4251_are_refused() {
        let long = "x".repeat(65);
        for text in [",", "a,", ",a", "a,,b", "a b", "a\u{e9}", "a\n", &long] {
            assert!(NameList::from_text(text).is_none(), "{text:?}");
        }
        assert_eq!(NameList::from_text("").unwrap().iter().count(), 0);
    }

    proptest! {
        #[test]
        fn any_number_survives_a_round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let number = MpInt::from_bytes(&bytes);
            let mut out = vec![];
            number.encode(&mut out);
            prop_assert_eq!(mpint(&out).unwrap(), number);
        }

        #[test]
        fn any_names_survive_a_round_trip(names in proptest::collection::vec("[!-+\\--~]{1,64}", 0..8)) {
            let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut out = vec![];
            Names(&borrowed).encode(&mut out);
            let list = NameList::decode(&mut Reader::new("M", &out)).unwrap();
            prop_assert_eq!(list.iter().collect::<Vec<_>>(), borrowed);
        }

        #[test]
        fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut reader = Reader::new("M", &bytes);
            let _ = NameList::decode(&mut reader.clone());
            let _ = MpInt::decode(&mut reader.clone());
            let _ = reader.utf8();
        }
    }
}
