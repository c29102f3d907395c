//! Checks that every message table is put through. For tests of the crates that define messages.

use alloc::vec::Vec;
use core::fmt::Debug;

use crate::{Encode, Message};

/// The payload of `message`.
#[must_use]
pub fn payload(message: &dyn Encode) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// The payload of `message` and one byte that does not belong to it, for [`check_message`].
#[must_use]
pub fn payload_and_one_more(message: &dyn Encode) -> Vec<u8> {
    let mut out = payload(message);
    out.push(0);
    out
}

/// Checks that bytes written from `message` read as the same message, and that they do not when
/// they are cut anywhere or a byte follows them. (Where the last field is a
/// [`Rest`](crate::Rest), a cut makes another message instead of an error.)
///
/// `bytes` come from [`payload_and_one_more`]; they are an argument because the message read
/// borrows from them.
///
/// # Panics
/// If one of these does not hold.
pub fn check_message<'a, M: Message<'a> + PartialEq + Debug>(message: &M, bytes: &'a [u8]) {
    let whole = bytes.len().saturating_sub(1);
    for end in 0..=bytes.len() {
        let read = M::parse(bytes.get(..end).unwrap_or_default());
        let same = read.as_ref() == Ok(message);
        assert!(same == (end == whole), "{message:?}: {end} of {whole} bytes read as {read:?}");
    }
}

/// Calls `feed` with `bytes` cut into pieces in many ways: whole, byte by byte, and at every
/// single place in two. For parsers that must not care how bytes arrive.
pub fn every_split(bytes: &[u8], mut feed: impl FnMut(&[&[u8]])) {
    feed(&[bytes]);
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    feed(&single);
    for at in 1..bytes.len() {
        if let Some((head, tail)) = bytes.split_at_checked(at) {
            feed(&[head, tail]);
        }
    }
}
