//! Writing: values append themselves to a buffer.

use alloc::vec::Vec;

/// A value that can be written to a message.
///
/// Writing cannot fail: what is too long for its length field cannot be constructed from what a
/// peer sends (packets are bounded far below `u32::MAX`), and a local string of 4 GiB is cut.
pub trait Encode {
    /// Appends the value to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

/// The mouth of the layer below: how authentication, the connection protocol and their tests
/// speak without knowing the transport.
pub trait Outbox {
    /// Sends one message. Never fails and never blocks: messages that are not data are bounded
    /// by what the peer can provoke, and the driver stops reading when they pile up.
    fn send(&mut self, message: &dyn Encode);

    /// Bytes of channel data that may be sent now. Zero while a key exchange runs (RFC 4253 §7.1)
    /// or while the socket does not keep up; whoever got zero waits to be told.
    fn data_room(&self) -> usize;
}

/// For tests: a list of messages is a good enough transport.
impl Outbox for Vec<Vec<u8>> {
    fn send(&mut self, message: &dyn Encode) {
        let mut payload = Vec::new();
        message.encode(&mut payload);
        self.push(payload);
    }

    fn data_room(&self) -> usize {
        usize::MAX
    }
}

/// Appends `bytes` as a `string`: a length and the bytes.
pub fn put_string(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend(bytes.get(..usize::try_from(len).unwrap_or(usize::MAX)).unwrap_or(bytes));
}

/// Appends what `body` writes as a `string`, with the length filled in afterwards.
pub fn put_with_length(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    body(out);
    let len = u32::try_from(out.len().saturating_sub(start)).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..start) {
        place.copy_from_slice(&len.to_be_bytes());
    }
}

/// Several slices written as one `string`: the scattered data of a vectored write.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a>(pub &'a [&'a [u8]]);

impl Encode for Parts<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_with_length(out, |out| {
            for part in self.0 {
                out.extend_from_slice(part);
            }
        });
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut Vec<u8>) {
        (**self).encode(out);
    }
}

impl Encode for u8 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(*self);
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Encode for u32 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl Encode for u64 {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_be_bytes());
    }
}

impl Encode for [u8] {
    fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, self);
    }
}

impl Encode for str {
    fn encode(&self, out: &mut Vec<u8>) {
        put_string(out, self.as_bytes());
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}
