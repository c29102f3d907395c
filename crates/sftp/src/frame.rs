//! Packets out of a stream of bytes: filexfer-02 §3.
//!
//! SFTP packets and the packets of SSH do not begin and end together. Two readers put them
//! together: [`ReplyReader`] for clients, which hands out the content of `DATA` as it lies in the
//! buffers received, and [`RequestReader`] for servers, which looks at a packet where it lies if
//! it came whole. The length is checked as soon as it is known, and nothing is allocated for
//! bytes that have not come.

use alloc::vec::Vec;

use bytes::Bytes;
use ssh_wire::{DecodeError, DecodeErrorKind, Message, Reader};

use crate::{Error, PeerMisbehaved, limits::MAX_PACKET, message::Data};

/// Bytes of the length field.
const LENGTH: usize = 4;
/// Bytes up to the content of a `DATA`: length, type, id, length of the content.
const DATA_HEADER: usize = 13;
/// Bytes of a `DATA` that its length counts besides the content: type, id, length of the content.
const DATA_FIELDS: usize = 9;

/// The packet length at the beginning of `bytes`, if it is there.
fn packet_length(bytes: &[u8]) -> Result<Option<usize>, Error> {
    let Some(length) = bytes.first_chunk::<LENGTH>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes(*length);
    if length == 0 {
        return Err(PeerMisbehaved::EmptyPacket.into());
    }
    if length > MAX_PACKET {
        return Err(PeerMisbehaved::PacketTooLong { length }.into());
    }
    Ok(usize::try_from(length).ok())
}

/// What a [`ReplyReader`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// A packet other than `DATA`, without its length.
    Packet(&'a [u8]),
    /// A `DATA` begins. Its content follows in pieces, of `len` bytes together; none if `len` is 0.
    DataBegins { id: u32, len: u32 },
    /// The next piece of the content.
    DataPiece(Bytes),
}

/// Puts together what a server sends.
#[derive(Debug, Default)]
pub(crate) struct ReplyReader {
    /// The beginning of a packet, length included; at most one packet.
    partial: Vec<u8>,
    /// `partial` has been handed out and is to be cleared.
    handed_out: bool,
    /// Bytes missing of the content of a `DATA`.
    data_left: usize,
}

impl ReplyReader {
    /// Takes the next thing from the front of `input`; `None` if `input` is used up.
    pub(crate) fn next(&mut self, input: &mut Bytes) -> Result<Option<Reply<'_>>, Error> {
        if core::mem::take(&mut self.handed_out) {
            self.partial.clear();
        }
        if self.data_left > 0 {
            return Ok(self.data_piece(input));
        }
        let (true, Some(length)) = (self.fill(LENGTH, input), packet_length(&self.partial)?) else {
            return Ok(None);
        };
        if !self.fill(LENGTH.saturating_add(1), input) {
            return Ok(None);
        }
        if self.partial.get(LENGTH) == Some(&Data::NUMBER) {
            if !self.fill(DATA_HEADER.min(length.saturating_add(LENGTH)), input) {
                return Ok(None);
            }
            return self.data_begins(length).map(Some);
        }
        if !self.fill(length.saturating_add(LENGTH), input) {
            return Ok(None);
        }
        self.handed_out = true;
        Ok(Some(Reply::Packet(self.partial.get(LENGTH..).unwrap_or_default())))
    }

    /// Moves bytes from `input` until `partial` has `want` of them; false if there are too few.
    fn fill(&mut self, want: usize, input: &mut Bytes) -> bool {
        let missing = want.saturating_sub(self.partial.len()).min(input.len());
        self.partial.extend_from_slice(&input.split_to(missing));
        self.partial.len() >= want
    }

    fn data_piece(&mut self, input: &mut Bytes) -> Option<Reply<'_>> {
        if input.is_empty() {
            return None;
        }
        let piece = input.split_to(self.data_left.min(input.len()));
        self.data_left = self.data_left.saturating_sub(piece.len());
        Some(Reply::DataPiece(piece))
    }

    /// Reads the header of a `DATA` and compares both lengths, which say the same thing.
    fn data_begins(&mut self, length: usize) -> Result<Reply<'_>, Error> {
        let mut reader = Reader::new(Data::NAME, self.partial.get(LENGTH..).unwrap_or_default());
        reader.number(Data::NUMBER)?;
        let id = reader.field("id").uint32()?;
        let len = reader.field("data").uint32()?;
        let (offset, left) = (reader.offset(), length.saturating_sub(DATA_FIELDS));
        let data_len = usize::try_from(len).unwrap_or(usize::MAX);
        if data_len != left {
            let kind = match left.checked_sub(data_len) {
                None => DecodeErrorKind::Truncated { needed: data_len, left },
                Some(more) => DecodeErrorKind::TrailingBytes(more),
            };
            return Err(DecodeError::new(Data::NAME, "data", offset, kind).into());
        }
        self.data_left = data_len;
        self.partial.clear();
        Ok(Reply::DataBegins { id, len })
    }
}

/// Where a [`RequestReader`] found a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// In the input; without its length.
    InPlace(&'a [u8]),
    /// In the reader: see [`RequestReader::take`].
    Assembled,
}

/// Puts together what a client sends.
#[derive(Debug, Default)]
pub(crate) struct RequestReader {
    partial: Vec<u8>,
}

impl RequestReader {
    /// Takes the next packet from the front of `input`; `None` if `input` is used up.
    pub(crate) fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Request<'a>>, Error> {
        if self.partial.is_empty()
            && let Some(length) = packet_length(input)?
            && let Some((packet, rest)) = input.split_at_checked(length.saturating_add(LENGTH))
        {
            *input = rest;
            return Ok(packet.get(LENGTH..).map(Request::InPlace));
        }
        let (true, Some(length)) = (self.fill(LENGTH, input), packet_length(&self.partial)?) else {
            return Ok(None);
        };
        Ok(self.fill(length.saturating_add(LENGTH), input).then_some(Request::Assembled))
    }

    fn fill(&mut self, want: usize, input: &mut &[u8]) -> bool {
        let missing = want.saturating_sub(self.partial.len()).min(input.len());
        if let Some((taken, rest)) = input.split_at_checked(missing) {
            self.partial.extend_from_slice(taken);
            *input = rest;
        }
        self.partial.len() >= want
    }

    /// The buffer with the packet just assembled, its length before it. To be given back with
    /// [`Self::put_back`], so that it is allocated once.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.partial)
    }

    /// Takes the buffer back for the next packet.
    pub(crate) fn put_back(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.partial = buffer;
    }

    /// The packet in a buffer from [`Self::take`].
    pub(crate) fn packet(buffer: &[u8]) -> &[u8] {
        buffer.get(LENGTH..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_wire::testing::every_split;

    /// Everything that `pieces` contain, with the content of each `DATA` put together.
    fn replies(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
        let mut reader = ReplyReader::default();
        let mut found: Vec<Vec<u8>> = Vec::new();
        for piece in pieces {
            let mut input = Bytes::copy_from_slice(piece);
            while let Some(reply) = reader.next(&mut input)? {
                match reply {
                    Reply::Packet(packet) => found.push(packet.to_vec()),
                    Reply::DataBegins { .. } => found.push(Vec::new()),
                    Reply::DataPiece(piece) => found.last_mut().unwrap().extend(&piece),
                }
            }
            assert!(input.is_empty());
        }
        Ok(found)
    }

    fn requests(pieces: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
        let mut reader = RequestReader::default();
        let mut found = Vec::new();
        for mut piece in pieces.iter().copied() {
            while let Some(request) = reader.next(&mut piece)? {
                match request {
                    Request::InPlace(packet) => found.push(packet.to_vec()),
                    Request::Assembled => {
                        let buffer = reader.take();
                        found.push(RequestReader::packet(&buffer).to_vec());
                        reader.put_back(buffer);
                    }
                }
            }
            assert!(piece.is_empty());
        }
        Ok(found)
    }

    #[test]
    fn packets_are_the_same_however_the_stream_is_cut() {
        let stream = [
            &[0, 0, 0, 2, 101, 9][..],
            &[0, 0, 0, 12, 103, 0, 0, 0, 1, 0, 0, 0, 3, 7, 8, 9],
            &[0, 0, 0, 9, 103, 0, 0, 0, 2, 0, 0, 0, 0],
            &[0, 0, 0, 1, 104],
        ]
        .concat();
        every_split(&stream, |pieces| {
            let found = replies(pieces).unwrap();
            assert_eq!(found, [&[101, 9][..], &[7, 8, 9], &[], &[104]]);
            let found = requests(pieces).unwrap();
            assert_eq!((found.len(), &found[3][..]), (4, &[104][..]));
        });
    }

    #[test]
    fn a_length_out_of_bounds_is_refused_with_its_fourth_byte() {
        for (length, error) in [
            (0, PeerMisbehaved::EmptyPacket),
            (MAX_PACKET + 1, PeerMisbehaved::PacketTooLong { length: MAX_PACKET + 1 }),
            (u32::MAX, PeerMisbehaved::PacketTooLong { length: u32::MAX }),
        ] {
            assert_eq!(replies(&[&length.to_be_bytes()]), Err(error.into()));
            assert_eq!(requests(&[&length.to_be_bytes()]), Err(error.into()));
        }
        assert_eq!(replies(&[&MAX_PACKET.to_be_bytes()]), Ok(Vec::new()));
        assert_eq!(requests(&[&MAX_PACKET.to_be_bytes()]), Ok(Vec::new()));
    }

    #[test]
    fn the_two_lengths_of_data_must_agree() {
        for (length, len) in [(12, 2), (12, 4), (12, u32::MAX), (9, 1)] {
            let mut packet = alloc::vec![0, 0, 0, length, 103, 0, 0, 0, 1];
            packet.extend(u32::to_be_bytes(len));
            assert!(matches!(replies(&[&packet]), Err(Error::InvalidMessage(_))), "{length} {len}");
        }
        // Too short for an id.
        assert!(replies(&[&[0, 0, 0, 3, 103, 0, 0]]).is_err());
    }

    #[test]
    fn content_is_not_copied() {
        let mut reader = ReplyReader::default();
        let mut packet = alloc::vec![0, 0, 4, 9, 103, 0, 0, 0, 1, 0, 0, 4, 0];
        packet.resize(packet.len() + 1024, 5);
        let packet = Bytes::from(packet);
        let mut input = packet.clone();
        assert_eq!(reader.next(&mut input), Ok(Some(Reply::DataBegins { id: 1, len: 1024 })));
        let Ok(Some(Reply::DataPiece(piece))) = reader.next(&mut input) else { panic!() };
        assert_eq!(piece.as_ptr(), packet[13..].as_ptr());
    }
}
