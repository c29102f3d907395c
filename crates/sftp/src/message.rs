//! The packets of version 3: filexfer-02 §3 to §7.
//!
//! A packet is a length (`uint32`) and that many bytes, of which the first is the type. What is
//! here begins with the type; [`put_packet`] adds the length. The types have
//! nothing to do with SSH's message numbers.

use alloc::vec::Vec;

use ssh_wire::{
    Decode, DecodeError, DecodeErrorKind, Encode, Message, Reader, Rest, messages, put_with_length,
};

use crate::{Attrs, OpenFlags, StatusCode};

/// The version of the protocol that this crate speaks.
pub const VERSION: u32 = 3;

messages! {
    /// What a client sends.
    pub enum FromClient<'a>;

    /// Begins the protocol. The only packet of a client without an id.
    ["filexfer-02 §4"] 1 Init<'a>;

    /// Opens a file. Answered by [`Handle`].
    ["filexfer-02 §6.3"] 3 Open<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file.
        path: &'a [u8],
        /// For what it is opened.
        flags: OpenFlags,
        /// Permissions of a file that is made; the rest is ignored by OpenSSH.
        attrs: Attrs,
    }

    /// Closes a file or directory. Answered by [`Status`].
    ["filexfer-02 §6.3"] 4 Close<'a> {
        /// The client's number for the request.
        id: u32,
        /// What to close. It is gone after this, whatever the reply says.
        handle: &'a [u8],
    }

    /// Asks for content. Answered by [`Data`].
    ["filexfer-02 §6.4"] 5 Read<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file.
        handle: &'a [u8],
        /// Where to begin, in bytes.
        offset: u64,
        /// The most bytes to answer with.
        len: u32,
    }

    /// Puts content into a file. Answered by [`Status`].
    ["filexfer-02 §6.4"] 6 Write<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file.
        handle: &'a [u8],
        /// Where to begin, in bytes.
        offset: u64,
        /// The content.
        data: &'a [u8],
    }

    /// Asks for attributes, of a link itself. Answered by [`Attributes`].
    ["filexfer-02 §6.8"] 7 Lstat<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file or link.
        path: &'a [u8],
    }

    /// Asks for attributes of an open file. Answered by [`Attributes`].
    ["filexfer-02 §6.8"] 8 Fstat<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file.
        handle: &'a [u8],
    }

    /// Sets attributes. Answered by [`Status`].
    ["filexfer-02 §6.9"] 9 Setstat<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file; links are followed.
        path: &'a [u8],
        /// What to set.
        attrs: Attrs,
    }

    /// Sets attributes of an open file. Answered by [`Status`].
    ["filexfer-02 §6.9"] 10 Fsetstat<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file.
        handle: &'a [u8],
        /// What to set.
        attrs: Attrs,
    }

    /// Opens a directory for listing. Answered by [`Handle`].
    ["filexfer-02 §6.7"] 11 Opendir<'a> {
        /// The client's number for the request.
        id: u32,
        /// The directory.
        path: &'a [u8],
    }

    /// Asks for the next names of a directory. Answered by [`Name`].
    ["filexfer-02 §6.7"] 12 Readdir<'a> {
        /// The client's number for the request.
        id: u32,
        /// The directory.
        handle: &'a [u8],
    }

    /// Removes a file. Answered by [`Status`].
    ["filexfer-02 §6.5"] 13 Remove<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file.
        path: &'a [u8],
    }

    /// Makes a directory. Answered by [`Status`].
    ["filexfer-02 §6.6"] 14 Mkdir<'a> {
        /// The client's number for the request.
        id: u32,
        /// The directory.
        path: &'a [u8],
        /// Its permissions; the rest is ignored by OpenSSH.
        attrs: Attrs,
    }

    /// Removes an empty directory. Answered by [`Status`].
    ["filexfer-02 §6.6"] 15 Rmdir<'a> {
        /// The client's number for the request.
        id: u32,
        /// The directory.
        path: &'a [u8],
    }

    /// Asks for the absolute path. Answered by [`Name`] with one entry.
    ["filexfer-02 §6.11"] 16 Realpath<'a> {
        /// The client's number for the request.
        id: u32,
        /// Any path; `.` is where the session begins.
        path: &'a [u8],
    }

    /// Asks for attributes, of what a link leads to. Answered by [`Attributes`].
    ["filexfer-02 §6.8"] 17 Stat<'a> {
        /// The client's number for the request.
        id: u32,
        /// The file.
        path: &'a [u8],
    }

    /// Renames a file or directory; fails if the new name exists. Answered by [`Status`].
    ["filexfer-02 §6.5"] 18 Rename<'a> {
        /// The client's number for the request.
        id: u32,
        /// The present name.
        old: &'a [u8],
        /// The new name.
        new: &'a [u8],
    }

    /// Asks for where a link leads. Answered by [`Name`] with one entry.
    ["filexfer-02 §6.10"] 19 Readlink<'a> {
        /// The client's number for the request.
        id: u32,
        /// The link.
        path: &'a [u8],
    }

    /// Makes a symbolic link. Answered by [`Status`].
    ///
    /// The order is OpenSSH's, which most servers follow; the draft has the link first.
    ["filexfer-02 §6.10, OpenSSH PROTOCOL §4.1"] 20 Symlink<'a> {
        /// The client's number for the request.
        id: u32,
        /// Where the link leads.
        target: &'a [u8],
        /// The link to make.
        link: &'a [u8],
    }

    /// A request with a name instead of a type.
    ["filexfer-02 §8"] 200 Extended<'a> {
        /// The client's number for the request.
        id: u32,
        /// The name of the request.
        name: &'a [u8],
        /// Its fields: see [`ExtendedRequest`](crate::extension::ExtendedRequest).
        fields: Rest<'a>,
    }
}

messages! {
    /// What a server sends.
    pub enum FromServer<'a>;

    /// Answers [`Init`]. The only packet of a server without an id.
    ["filexfer-02 §4"] 2 Version<'a>;

    /// How a request ended.
    ["filexfer-02 §7"] 101 Status<'a>;

    /// An open file or directory.
    ["filexfer-02 §7"] 102 Handle<'a> {
        /// The number of the request.
        id: u32,
        /// What to name the open file by; its bytes mean nothing to a client.
        handle: &'a [u8],
    }

    /// Content of a file.
    ["filexfer-02 §7"] 103 Data<'a> {
        /// The number of the request.
        id: u32,
        /// The content.
        data: &'a [u8],
    }

    /// Names of files.
    ["filexfer-02 §7"] 104 Name<'a> {
        /// The number of the request.
        id: u32,
        /// The names.
        entries: Entries<'a>,
    }

    /// Attributes of a file.
    ["filexfer-02 §7"] 105 Attributes {
        /// The number of the request.
        id: u32,
        /// The attributes.
        attrs: Attrs,
    }

    /// The reply to an [`Extended`], where it is none of the others.
    ["filexfer-02 §8"] 201 ExtendedReply<'a> {
        /// The number of the request.
        id: u32,
        /// What the request's extension says.
        fields: Rest<'a>,
    }
}

/// Begins the protocol. The only packet of a client without an id.
///
/// Message number 1, filexfer-02 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Init<'a> {
    /// The highest version that the client speaks.
    pub version: u32,
    /// What the client can besides.
    pub extensions: Pairs<'a>,
}

/// Answers [`Init`]. The only packet of a server without an id.
///
/// Message number 2, filexfer-02 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Version<'a> {
    /// The version that both speak from here on.
    pub version: u32,
    /// What the server can besides.
    pub extensions: Pairs<'a>,
}

/// How a request ended.
///
/// Message number 101, filexfer-02 §7. Both texts are absent where a server speaks as in
/// versions 1 and 2; they are then read as empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Status<'a> {
    /// The number of the request.
    pub id: u32,
    /// What happened.
    pub code: StatusCode,
    /// Words for a person: UTF-8 by the draft, but not by every server.
    pub message: &'a [u8],
    /// The language of the words (RFC 1766).
    pub language: &'a [u8],
}

impl<'a> Decode<'a> for Init<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("").number(Self::NUMBER)?;
        Ok(Self {
            version: reader.field("version").uint32()?,
            extensions: Pairs::decode(reader.field("extensions"))?,
        })
    }
}

impl Encode for Init<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::NUMBER);
        self.version.encode(out);
        out.extend_from_slice(self.extensions.bytes);
    }
}

impl<'a> Decode<'a> for Version<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("").number(Self::NUMBER)?;
        Ok(Self {
            version: reader.field("version").uint32()?,
            extensions: Pairs::decode(reader.field("extensions"))?,
        })
    }
}

impl Encode for Version<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::NUMBER);
        self.version.encode(out);
        out.extend_from_slice(self.extensions.bytes);
    }
}

impl<'a> Decode<'a> for Status<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("").number(Self::NUMBER)?;
        let id = reader.field("id").uint32()?;
        let code = StatusCode::decode(reader.field("code"))?;
        let mut text = |field| match reader.left() {
            0 => Ok(&[][..]),
            _ => reader.field(field).string(),
        };
        Ok(Self { id, code, message: text("message")?, language: text("language")? })
    }
}

impl Encode for Status<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::NUMBER);
        self.id.encode(out);
        self.code.encode(out);
        self.message.encode(out);
        self.language.encode(out);
    }
}

/// Pairs of a name and data that fill a message to its end: the extensions of [`Init`] and
/// [`Version`]. The bytes are known to be whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs<'a> {
    bytes: &'a [u8],
}

impl<'a> Pairs<'a> {
    /// The pairs in order.
    pub fn iter(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut reader = Reader::new("Pairs", self.bytes);
        core::iter::from_fn(move || {
            let name = reader.string().ok()?;
            Some((name, reader.string().ok()?))
        })
    }

    /// Takes bytes that [`put_pair`] wrote.
    ///
    /// # Errors
    /// Bytes that are not whole pairs.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode(Reader::new("Pairs", bytes).field("extensions"))
    }
}

impl<'a> Decode<'a> for Pairs<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut check = reader.clone();
        while check.left() > 0 {
            check.string()?;
            check.string()?;
        }
        Ok(Self { bytes: reader.rest() })
    }
}

/// Appends a pair of [`Pairs`].
pub fn put_pair(out: &mut Vec<u8>, name: &str, data: &str) {
    name.encode(out);
    data.encode(out);
}

/// One name of a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Entry<'a> {
    /// The name: one component in a listing, a path in other replies.
    pub filename: &'a [u8],
    /// A line as `ls -l` prints it, for people.
    pub longname: &'a [u8],
    /// What the server knows of the file.
    pub attrs: Attrs,
}

impl<'a> Decode<'a> for Entry<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            filename: reader.field("filename").string()?,
            longname: reader.field("longname").string()?,
            attrs: Attrs::decode(reader)?,
        })
    }
}

impl Encode for Entry<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.filename.encode(out);
        self.longname.encode(out);
        self.attrs.encode(out);
    }
}

/// The names of a [`Name`]: a count and that many entries, which are known to be whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entries<'a> {
    count: u32,
    bytes: &'a [u8],
}

/// The fewest bytes of an entry: two lengths and the flags of the attributes.
const MIN_ENTRY_LEN: usize = 12;

impl<'a> Entries<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.count
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The entries in order.
    pub fn iter(self) -> impl Iterator<Item = Entry<'a>> {
        let mut reader = Reader::new("Name", self.bytes);
        (0..self.count).map_while(move |_| Entry::decode(&mut reader).ok())
    }
}

/// The count is compared with the bytes left before anything is read.
impl<'a> Decode<'a> for Entries<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let at = reader.field("count").clone();
        let count = reader.uint32()?;
        let limit = reader.left().checked_div(MIN_ENTRY_LEN).unwrap_or(0);
        if usize::try_from(count).map_or(true, |count| count > limit) {
            let limit = u64::try_from(limit).unwrap_or(u64::MAX);
            return Err(at.error(DecodeErrorKind::TooMany { count: u64::from(count), limit }));
        }
        let mut end = reader.clone();
        for _ in 0..count {
            Entry::decode(&mut end)?;
        }
        let len = reader.left().saturating_sub(end.left());
        Ok(Self { count, bytes: reader.take(len)? })
    }
}

impl Encode for Entries<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.count.encode(out);
        out.extend_from_slice(self.bytes);
    }
}

/// Appends `message` as a packet: with its length before it.
pub fn put_packet(out: &mut Vec<u8>, message: &dyn Encode) {
    put_with_length(out, |out| message.encode(out));
}

#[cfg(test)]
mod tests;
