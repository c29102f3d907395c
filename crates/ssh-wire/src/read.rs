//! Reading: a borrowed cursor over one message.

use core::fmt;

use crate::{DecodeError, DecodeErrorKind, Encode};

/// A cursor over the bytes of one message.
///
/// It remembers which message and which field it is at, so that every error says where.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    rest: &'a [u8],
    message: &'static str,
    field: &'static str,
}

impl<'a> Reader<'a> {
    /// Begins to read `bytes` as the message called `message`.
    #[must_use]
    pub const fn new(message: &'static str, bytes: &'a [u8]) -> Self {
        Self { bytes, rest: bytes, message, field: "" }
    }

    /// Names the field that is read next, for errors.
    pub const fn field(&mut self, name: &'static str) -> &mut Self {
        self.field = name;
        self
    }

    /// Bytes that have not been read.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Bytes that have been read.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.bytes.len().saturating_sub(self.rest.len())
    }

    /// The error of `kind` at the present place.
    #[must_use]
    pub const fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(self.message, self.field, self.offset(), kind)
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(n) else {
            let left = self.rest.len();
            return Err(self.error(DecodeErrorKind::Truncated { needed: n, left }));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes (`byte[N]`).
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            let left = self.rest.len();
            return Err(self.error(DecodeErrorKind::Truncated { needed: N, left }));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// A `byte`.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A `boolean`: every value but 0 is true (RFC 4251 §5).
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] at the end.
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        self.byte().map(|byte| byte != 0)
    }

    /// A `uint32`.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if fewer than four bytes are left.
    pub fn uint32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// A `uint64`.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if fewer than eight bytes are left.
    pub fn uint64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// A `string`: a length and that many bytes.
    ///
    /// # Errors
    /// [`DecodeErrorKind::Truncated`] if the length or the bytes are cut; the offset is then that
    /// of the bytes.
    pub fn string(&mut self) -> Result<&'a [u8], DecodeError> {
        let len = self.uint32()?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// A `string` that has to be UTF-8.
    ///
    /// # Errors
    /// As [`Self::string`], and [`DecodeErrorKind::NotUtf8`].
    pub fn utf8(&mut self) -> Result<&'a str, DecodeError> {
        let error = self.error(DecodeErrorKind::NotUtf8);
        core::str::from_utf8(self.string()?).map_err(|_| error)
    }

    /// A `string` of exactly `N` bytes.
    ///
    /// # Errors
    /// As [`Self::string`], and [`DecodeErrorKind::WrongLength`].
    pub fn string_of<const N: usize>(&mut self) -> Result<&'a [u8; N], DecodeError> {
        let at = self.clone();
        let bytes = self.string()?;
        bytes
            .try_into()
            .map_err(|_| at.error(DecodeErrorKind::WrongLength { expected: N, found: bytes.len() }))
    }

    /// Everything that is left.
    pub const fn rest(&mut self) -> &'a [u8] {
        let rest = self.rest;
        self.rest = &[];
        rest
    }

    /// The first byte of a message, which has to be `number`.
    ///
    /// # Errors
    /// [`DecodeErrorKind::WrongNumber`], or [`DecodeErrorKind::Truncated`] for an empty message.
    pub fn number(&mut self, number: u8) -> Result<(), DecodeError> {
        let at = self.clone();
        let found = self.byte()?;
        if found == number {
            Ok(())
        } else {
            Err(at.error(DecodeErrorKind::WrongNumber { expected: number, found }))
        }
    }

    /// Ends the message.
    ///
    /// # Errors
    /// [`DecodeErrorKind::TrailingBytes`] if something is left.
    pub fn finish(mut self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        self.field = "";
        Err(self.error(DecodeErrorKind::TrailingBytes(self.rest.len())))
    }
}

/// A value that can be read from a message. It borrows from the bytes where it can.
pub trait Decode<'a>: Sized {
    /// Reads the value at the reader's place.
    ///
    /// # Errors
    /// What [`DecodeErrorKind`] lists.
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError>;
}

/// A message of one of SSH's protocols: a number, then fields.
///
/// [`Encode::encode`] writes the number and the fields, [`Decode::decode`] reads both.
/// The [`messages!`](crate::messages) table implements it.
pub trait Message<'a>: Encode + Decode<'a> + fmt::Debug {
    /// The message number.
    const NUMBER: u8;
    /// The name of the type, for errors and logs.
    const NAME: &'static str;
    /// Where the message is specified.
    const SPEC: &'static str;

    /// Reads `payload` as this message and nothing else.
    ///
    /// # Errors
    /// What [`DecodeErrorKind`] lists; bytes behind the last field are an error.
    fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(Self::NAME, payload);
        let message = Self::decode(&mut reader)?;
        reader.finish()?;
        Ok(message)
    }
}

impl<'a> Decode<'a> for u8 {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.byte()
    }
}

impl<'a> Decode<'a> for bool {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.boolean()
    }
}

impl<'a> Decode<'a> for u32 {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.uint32()
    }
}

impl<'a> Decode<'a> for u64 {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.uint64()
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.string()
    }
}

impl<'a> Decode<'a> for &'a str {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.utf8()
    }
}

impl<'a, const N: usize> Decode<'a> for [u8; N] {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_end_is_an_error_and_not_an_allocation() {
        let mut reader = Reader::new("M", &[0xff, 0xff, 0xff, 0xff, 1]);
        let error = reader.field("f").string().unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::Truncated { needed: 0xffff_ffff, left: 1 });
        assert_eq!((error.message, error.field, error.offset), ("M", "f", 4));
    }

    #[test]
    fn every_value_but_zero_is_true() {
        let mut reader = Reader::new("M", &[0, 1, 2, 255]);
        assert!(!reader.boolean().unwrap());
        assert!(
            reader.boolean().unwrap() && reader.boolean().unwrap() && reader.boolean().unwrap()
        );
    }

    #[test]
    fn bytes_behind_the_last_field_are_reported() {
        let reader = Reader::new("M", &[1, 2, 3]);
        assert_eq!(reader.finish().unwrap_err().kind, DecodeErrorKind::TrailingBytes(3));
    }

    #[test]
    fn a_string_of_another_length_than_the_fixed_one_is_refused() {
        let mut reader = Reader::new("M", &[0, 0, 0, 2, 9, 9]);
        let error = reader.string_of::<3>().unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::WrongLength { expected: 3, found: 2 });
    }
}
