//! Replies: filexfer-02 §7. Each is compared with the request that it answers.

use alloc::vec::Vec;

use bytes::Bytes;
use ssh_wire::{Decode, DecodeError, PeerText, Reader, Rest};

use super::{Arriving, Asked, Expected, Handle, Name, Reply, RequestId, Response, Session};
use crate::{
    Chunks, Error, Extensions, Limits, PeerMisbehaved, Status, StatusCode,
    extension::{Extension, IdNames, StatVfs},
    limits::MAX_HANDLE_LEN,
    message::{self, Data, Entries, FromServer},
};

impl Session {
    /// Takes a packet other than `DATA`.
    pub(super) fn packet(&mut self, packet: &[u8]) -> Result<(), Error> {
        match FromServer::parse(packet)? {
            FromServer::Version(version) => self.version(version),
            FromServer::Status(status) => self.status(status),
            FromServer::Handle(reply) => self.handle(reply.id, reply.handle),
            FromServer::Data(data) => self.data(data),
            FromServer::Name(reply) => self.names(reply.id, reply.entries),
            FromServer::Attributes(reply) => {
                self.expect(reply.id, "ATTRS", Expected::Attrs)?;
                self.answer(reply.id, Response::Attrs(reply.attrs));
                Ok(())
            }
            FromServer::ExtendedReply(reply) => self.extended_reply(reply.id, reply.fields),
        }
    }

    fn version(&mut self, version: message::Version<'_>) -> Result<(), Error> {
        if self.outstanding.remove(&RequestId::INIT.0).is_none() {
            return Err(PeerMisbehaved::SecondVersion.into());
        }
        if version.version != message::VERSION {
            return Err(Error::UnsupportedVersion { theirs: version.version });
        }
        let offered: Extensions = version
            .extensions
            .iter()
            .filter_map(|(name, value)| {
                Extension::from_name(name).filter(|known| known.version().as_bytes() == value)
            })
            .collect();
        self.server = Some(offered);
        self.answer(RequestId::INIT.0, Response::Version);
        Ok(())
    }

    /// The request that a reply with `id` answers.
    fn asked(&mut self, id: u32, reply: &'static str) -> Result<Asked, Error> {
        if self.server.is_none() {
            return Err(PeerMisbehaved::ReplyBeforeVersion { reply }.into());
        }
        let asked = self.outstanding.remove(&id);
        asked.ok_or(PeerMisbehaved::UnknownId { id, reply }.into())
    }

    /// As [`Self::asked`], for a reply that answers only requests with the result `expected`.
    fn expect(&mut self, id: u32, reply: &'static str, expected: Expected) -> Result<Asked, Error> {
        let asked = self.asked(id, reply)?;
        if asked.result == expected { Ok(asked) } else { Err(unexpected(asked, reply)) }
    }

    fn answer(&mut self, id: u32, response: Response) {
        self.replies.push_back(Reply { id: RequestId(id), response });
    }

    fn status(&mut self, status: message::Status<'_>) -> Result<(), Error> {
        let Asked { operation, result } = self.asked(status.id, "STATUS")?;
        if status.code == StatusCode::Ok && result != Expected::Nothing {
            return Err(PeerMisbehaved::OkWithoutResult { operation }.into());
        }
        let message = PeerText::from_bytes(status.message);
        self.answer(status.id, Response::Status(Status { code: status.code, message }));
        Ok(())
    }

    fn handle(&mut self, id: u32, handle: &[u8]) -> Result<(), Error> {
        self.expect(id, "HANDLE", Expected::Handle)?;
        if handle.len() > MAX_HANDLE_LEN {
            return Err(PeerMisbehaved::HandleTooLong { len: handle.len() }.into());
        }
        self.answer(id, Response::Handle(Handle(Bytes::copy_from_slice(handle))));
        Ok(())
    }

    /// `DATA` in one piece; the reader of frames does not hand it out so, but the table has it.
    fn data(&mut self, data: Data<'_>) -> Result<(), Error> {
        let len = u32::try_from(data.data.len()).unwrap_or(u32::MAX);
        self.data_begins(data.id, len)?;
        self.data_piece(Bytes::copy_from_slice(data.data));
        Ok(())
    }

    /// Takes the header of a `DATA`. All of its checks are made before its content is kept.
    pub(super) fn data_begins(&mut self, id: u32, len: u32) -> Result<(), Error> {
        let request = self.asked(id, "DATA")?;
        let Expected::Data(asked) = request.result else {
            return Err(unexpected(request, "DATA"));
        };
        if len > asked {
            return Err(PeerMisbehaved::DataLongerThanAsked { asked, got: len }.into());
        }
        if len == 0 && asked > 0 {
            return Err(PeerMisbehaved::EmptyData { asked }.into());
        }
        let left = usize::try_from(len).unwrap_or(usize::MAX);
        self.data = Some(Arriving { id: RequestId(id), left, chunks: Chunks::new() });
        self.finish_data();
        Ok(())
    }

    /// Takes the next piece of the content that was announced.
    pub(super) fn data_piece(&mut self, piece: Bytes) {
        if let Some(data) = &mut self.data {
            data.left = data.left.saturating_sub(piece.len());
            data.chunks.push(piece);
        }
        self.finish_data();
    }

    fn finish_data(&mut self) {
        if let Some(Arriving { id, chunks, .. }) = self.data.take_if(|data| data.left == 0) {
            self.answer(id.0, Response::Data(chunks));
        }
    }

    fn names(&mut self, id: u32, entries: Entries<'_>) -> Result<(), Error> {
        let asked = self.asked(id, "NAME")?;
        let operation = asked.operation;
        if entries.is_empty() {
            return Err(PeerMisbehaved::EmptyNames { operation }.into());
        }
        let response = match asked.result {
            Expected::Names => Response::Names(entries.iter().map(Name::from).collect()),
            Expected::Path => {
                let mut names = entries.iter();
                let (Some(only), None) = (names.next(), names.next()) else {
                    let count = entries.len();
                    return Err(PeerMisbehaved::MoreThanOneName { operation, count }.into());
                };
                Response::Path(only.filename.to_vec())
            }
            _ => return Err(unexpected(asked, "NAME")),
        };
        self.answer(id, response);
        Ok(())
    }

    fn extended_reply(&mut self, id: u32, fields: Rest<'_>) -> Result<(), Error> {
        let asked = self.asked(id, "EXTENDED_REPLY")?;
        let response = match asked.result {
            Expected::StatVfs => Response::StatVfs(parse::<StatVfs>(asked, fields)?),
            Expected::Limits => {
                self.limits = parse::<Limits>(asked, fields)?;
                Response::Limits(self.limits)
            }
            Expected::IdNames { users, groups } => {
                let mut reader = Reader::new(asked.operation, fields.0);
                let names = IdNames::decode(&mut reader, users, groups)?;
                let (got_users, got_groups) = (names.users.len(), names.groups.len());
                for (asked, got) in [(users, got_users), (groups, got_groups)] {
                    if asked != got {
                        return Err(PeerMisbehaved::WrongNumberOfNames { asked, got }.into());
                    }
                }
                Response::IdNames(names)
            }
            _ => return Err(unexpected(asked, "EXTENDED_REPLY")),
        };
        self.answer(id, response);
        Ok(())
    }
}

fn unexpected(Asked { operation, .. }: Asked, reply: &'static str) -> Error {
    PeerMisbehaved::UnexpectedReply { operation, reply }.into()
}

/// Reads the fields of an `EXTENDED_REPLY`. More of them may follow in a later version.
fn parse<'a, T: Decode<'a>>(asked: Asked, fields: Rest<'a>) -> Result<T, DecodeError> {
    T::decode(&mut Reader::new(asked.operation, fields.0))
}

impl From<message::Entry<'_>> for Name {
    fn from(entry: message::Entry<'_>) -> Self {
        Self {
            filename: Vec::from(entry.filename),
            longname: Vec::from(entry.longname),
            attrs: entry.attrs,
        }
    }
}
