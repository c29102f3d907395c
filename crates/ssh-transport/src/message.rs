//! The messages of the transport layer: numbers 1 to 49 (RFC 4250 §4.1), and OpenSSH's ping.
//!
//! `SERVICE_REQUEST` and `SERVICE_ACCEPT` (5, 6) are spoken by the authentication protocol, whose
//! table has them; this layer only carries them.

use alloc::vec::Vec;

use ssh_wire::{
    Decode, DecodeError, DecodeErrorKind, Encode, Message, MpInt, NameList, Reader, messages,
    put_string,
};

/// The most entries that an [`ExtInfo`] may have: OpenSSH accepts fewer than this, and a dozen
/// names exist.
pub const MAX_EXTENSIONS: u32 = 1024;

messages! {
    /// Messages that do not depend on the key exchange method.
    pub enum TransportMessage<'a>;

    /// Ends the connection at once.
    ["RFC 4253 §11.1"] 1 Disconnect<'a> {
        /// Why, as a number of RFC 4250 §4.2.2.
        reason: u32,
        /// Why, for people. UTF-8 in theory.
        description: &'a [u8],
        /// The language of the description (RFC 3066).
        language: &'a [u8],
    }

    /// Means nothing.
    ["RFC 4253 §11.2"] 2 Ignore<'a> {
        /// Means nothing.
        data: &'a [u8],
    }

    /// The answer to a message whose number the sender does not know.
    ["RFC 4253 §11.4"] 3 Unimplemented {
        /// The sequence number of the packet with that message.
        sequence: u32,
    }

    /// Something that the peer's developers wanted to be told.
    ["RFC 4253 §11.3"] 4 Debug<'a> {
        /// Whether it should be shown to the user without being asked for.
        always_display: bool,
        /// The text. UTF-8 in theory.
        message: &'a [u8],
        /// The language of the text (RFC 3066).
        language: &'a [u8],
    }

    /// Extensions that the sender has.
    ["RFC 8308 §2.3"] 7 ExtInfo<'a>;

    /// Begins a key exchange and lists what the sender is able to use, the preferred first.
    ["RFC 4253 §7.1"] 20 KexInit<'a> {
        /// Random bytes, so that neither side alone determines the exchange hash.
        cookie: [u8; 16],
        /// Key exchange methods, and markers that are none.
        kex_algorithms: NameList<'a>,
        /// Algorithms of the server's host key.
        server_host_key_algorithms: NameList<'a>,
        /// Ciphers from client to server.
        encryption_client_to_server: NameList<'a>,
        /// Ciphers from server to client.
        encryption_server_to_client: NameList<'a>,
        /// MACs from client to server.
        mac_client_to_server: NameList<'a>,
        /// MACs from server to client.
        mac_server_to_client: NameList<'a>,
        /// Compression from client to server.
        compression_client_to_server: NameList<'a>,
        /// Compression from server to client.
        compression_server_to_client: NameList<'a>,
        /// Languages from client to server.
        languages_client_to_server: NameList<'a>,
        /// Languages from server to client.
        languages_server_to_client: NameList<'a>,
        /// Whether the next packet is a guess of the exchange's first message.
        first_kex_packet_follows: bool,
        /// Zero, for an extension that never came.
        reserved: u32,
    }

    /// The last message under the old keys.
    ["RFC 4253 §7.3"] 21 NewKeys {}

    /// Asks for a [`Pong`] with the same data.
    ["OpenSSH PROTOCOL §1.8"] 192 Ping<'a> {
        /// Anything.
        data: &'a [u8],
    }

    /// Answers a [`Ping`].
    ["OpenSSH PROTOCOL §1.8"] 193 Pong<'a> {
        /// The data of the ping.
        data: &'a [u8],
    }
}

messages! {
    /// Messages of the methods shaped like ECDH: all elliptic curves, the hybrids, and
    /// Diffie-Hellman with a fixed group (RFC 4253 §8), whose `mpint`s are strings of bytes too.
    pub enum EcdhMessage<'a>;

    /// The client's public value.
    ["RFC 5656 §4"] 30 KexEcdhInit<'a> {
        /// The format is the method's.
        client_public: &'a [u8],
    }

    /// The server's host key, its public value, and the signature over the exchange.
    ["RFC 5656 §4"] 31 KexEcdhReply<'a> {
        /// The host key as a blob of RFC 4253 §6.6.
        host_key: &'a [u8],
        /// The format is the method's.
        server_public: &'a [u8],
        /// The signature over the exchange hash, as a blob of RFC 4253 §6.6.
        signature: &'a [u8],
    }
}

messages! {
    /// Messages of the group exchange. (31 means something else in the methods shaped like ECDH.)
    pub enum GroupExchangeMessage<'a>;

    /// The client's bounds on the group.
    ["RFC 4419 §3"] 34 KexDhGexRequest {
        /// The least size of the modulus, in bits.
        min: u32,
        /// The preferred size, in bits.
        wanted: u32,
        /// The largest size, in bits.
        max: u32,
    }

    /// The server's group.
    ["RFC 4419 §3"] 31 KexDhGexGroup<'a> {
        /// The modulus, a safe prime.
        p: MpInt<'a>,
        /// The generator.
        g: MpInt<'a>,
    }

    /// The client's public value.
    ["RFC 4419 §3"] 32 KexDhGexInit<'a> {
        /// `e`, the bytes of an `mpint`.
        client_public: &'a [u8],
    }

    /// The server's host key, its public value, and the signature over the exchange.
    ["RFC 4419 §3"] 33 KexDhGexReply<'a> {
        /// The host key as a blob of RFC 4253 §6.6.
        host_key: &'a [u8],
        /// `f`, the bytes of an `mpint`.
        server_public: &'a [u8],
        /// The signature over the exchange hash, as a blob of RFC 4253 §6.6.
        signature: &'a [u8],
    }
}

/// Extensions that the sender has.
///
/// Message number 7, RFC 8308 §2.3: a count, and as many pairs of name and value. Reading checks
/// the pairs; [`entries`](Self::entries) walks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtInfo<'a> {
    entries: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> ExtInfo<'a> {
    /// The message with these names and values.
    #[must_use]
    pub fn new(entries: &[(&'a [u8], &'a [u8])]) -> Self {
        Self { entries: entries.to_vec() }
    }

    /// Names and values in order.
    #[must_use]
    pub fn entries(&self) -> &[(&'a [u8], &'a [u8])] {
        &self.entries
    }
}

impl<'a> Decode<'a> for ExtInfo<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("").number(Self::NUMBER)?;
        let at = reader.field("count").clone();
        let count = reader.uint32()?;
        if count >= MAX_EXTENSIONS {
            return Err(at.error(DecodeErrorKind::TooMany {
                count: count.into(),
                limit: MAX_EXTENSIONS.saturating_sub(1).into(),
            }));
        }
        let mut entries = Vec::new();
        for _ in 0..count {
            let name = reader.field("name").string()?;
            let value = reader.field("value").string()?;
            entries.push((name, value));
        }
        Ok(Self { entries })
    }
}

impl Encode for ExtInfo<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::NUMBER);
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX).encode(out);
        for (name, value) in &self.entries {
            put_string(out, name);
            put_string(out, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ssh_wire::testing::{check_message, payload_and_one_more};

    fn check<'a, M: Message<'a> + PartialEq>(message: &M, bytes: &'a mut Vec<u8>) {
        *bytes = payload_and_one_more(message);
        check_message(message, bytes);
    }

    #[test]
    fn every_message_reads_as_it_was_written_and_not_when_cut() {
        let names = NameList::from_text("a,b@c").unwrap();
        let kexinit = KexInit {
            cookie: [7; 16],
            kex_algorithms: names,
            server_host_key_algorithms: names,
            encryption_client_to_server: names,
            encryption_server_to_client: names,
            mac_client_to_server: names,
            mac_server_to_client: names,
            compression_client_to_server: names,
            compression_server_to_client: names,
            languages_client_to_server: NameList::default(),
            languages_server_to_client: NameList::default(),
            first_kex_packet_follows: true,
            reserved: 0,
        };
        check(&kexinit, &mut Vec::new());
        check(&Disconnect { reason: 2, description: b"d", language: b"" }, &mut Vec::new());
        check(&Ignore { data: b"x" }, &mut Vec::new());
        check(&Unimplemented { sequence: 9 }, &mut Vec::new());
        check(&Debug { always_display: true, message: b"m", language: b"en" }, &mut Vec::new());
        check(&ExtInfo::new(&[(b"n", b"v"), (b"", b"")]), &mut Vec::new());
        check(&NewKeys {}, &mut Vec::new());
        check(&Ping { data: b"p" }, &mut Vec::new());
        check(&Pong { data: b"p" }, &mut Vec::new());
        check(&KexEcdhInit { client_public: b"q" }, &mut Vec::new());
        let reply = KexEcdhReply { host_key: b"k", server_public: b"q", signature: b"s" };
        check(&reply, &mut Vec::new());
        check(&KexDhGexRequest { min: 1, wanted: 2, max: 3 }, &mut Vec::new());
        let (p, g) = (MpInt::from_bytes(&[0x81]), MpInt::from_bytes(&[2]));
        check(&KexDhGexGroup { p, g }, &mut Vec::new());
        check(&KexDhGexInit { client_public: b"e" }, &mut Vec::new());
        let reply = KexDhGexReply { host_key: b"k", server_public: b"f", signature: b"s" };
        check(&reply, &mut Vec::new());
    }

    #[test]
    fn the_number_of_extensions_is_bounded_before_they_are_read() {
        let error = ExtInfo::parse(&[7, 0, 0, 4, 0]).unwrap_err();
        assert_eq!(error.kind, DecodeErrorKind::TooMany { count: 1024, limit: 1023 });
        assert!(matches!(
            ExtInfo::parse(&[7, 0, 0, 3, 255]).unwrap_err().kind,
            DecodeErrorKind::Truncated { .. }
        ));
    }
}
