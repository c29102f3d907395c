//! RFC 4254 §9: the messages of the connection protocol, numbers 80 to 100.

use alloc::vec::Vec;

use ssh_wire::{Decode, DecodeError, Encode, Message, Reader, Rest, messages};

use crate::session::Request;

messages! {
    /// The messages of the connection protocol.
    pub enum ConnectionMessage<'a>;

    /// Asks for something that concerns the connection as a whole.
    ["RFC 4254 §4"] 80 GlobalRequest<'a> {
        /// What is asked for.
        name: &'a str,
        /// Whether the sender waits for number 81 or 82.
        want_reply: bool,
        /// What the name says follows.
        data: Rest<'a>,
    }

    /// Grants the oldest global request that is not answered.
    ["RFC 4254 §4"] 81 RequestSuccess<'a> {
        /// What the request says an answer holds; mostly nothing.
        data: Rest<'a>,
    }

    /// Refuses the oldest global request that is not answered.
    ["RFC 4254 §4"] 82 RequestFailure {}

    /// Asks for a new channel.
    ["RFC 4254 §5.1"] 90 ChannelOpen<'a>;

    /// Grants a new channel.
    ["RFC 4254 §5.1"] 91 ChannelOpenConfirmation<'a> {
        /// The number in the open.
        recipient: u32,
        /// The number of the channel at the side that grants.
        sender: u32,
        /// Bytes that may be sent to the side that grants.
        initial_window: u32,
        /// Bytes of data that one message to it may hold.
        max_packet: u32,
        /// What the type of the channel says follows.
        data: Rest<'a>,
    }

    /// Refuses a new channel.
    ["RFC 4254 §5.1"] 92 ChannelOpenFailure<'a> {
        /// The number in the open.
        recipient: u32,
        /// Why, as a number: [`OpenFailureReason`](crate::OpenFailureReason).
        reason: u32,
        /// Why, for people.
        description: &'a [u8],
        /// The language of the description.
        language: &'a [u8],
    }

    /// Lets the peer send more.
    ["RFC 4254 §5.2"] 93 ChannelWindowAdjust {
        /// The receiver's number for the channel.
        recipient: u32,
        /// How many bytes more.
        bytes: u32,
    }

    /// Carries bytes of a channel.
    ["RFC 4254 §5.2"] 94 ChannelData<'a> {
        /// The receiver's number for the channel.
        recipient: u32,
        /// At most the window, at most the packet limit.
        data: &'a [u8],
    }

    /// Carries bytes of another stream of a channel.
    ["RFC 4254 §5.2"] 95 ChannelExtendedData<'a> {
        /// The receiver's number for the channel.
        recipient: u32,
        /// Which stream: [`STDERR`].
        code: u32,
        /// At most the window, at most the packet limit.
        data: &'a [u8],
    }

    /// Says that no data will follow on a channel.
    ["RFC 4254 §5.3"] 96 ChannelEof {
        /// The receiver's number for the channel.
        recipient: u32,
    }

    /// Says that nothing at all will follow on a channel.
    ["RFC 4254 §5.3"] 97 ChannelClose {
        /// The receiver's number for the channel.
        recipient: u32,
    }

    /// Asks for something that concerns one channel.
    ["RFC 4254 §5.4"] 98 ChannelRequest<'a>;

    /// Grants the oldest request on a channel that is not answered.
    ["RFC 4254 §5.4"] 99 ChannelSuccess {
        /// The receiver's number for the channel.
        recipient: u32,
    }

    /// Refuses the oldest request on a channel that is not answered.
    ["RFC 4254 §5.4"] 100 ChannelFailure {
        /// The receiver's number for the channel.
        recipient: u32,
    }
}

/// The one extended stream there is: `SSH_EXTENDED_DATA_STDERR`.
pub const STDERR: u32 = 1;

impl ConnectionMessage<'_> {
    /// True if the table has a message with `number`. Others are to be answered with
    /// `SSH_MSG_UNIMPLEMENTED` (RFC 4253 §11.4) by whoever knows the packet's sequence number.
    #[must_use]
    pub fn has_number(number: u8) -> bool {
        Self::TABLE.iter().any(|(other, ..)| *other == number)
    }
}

/// Asks for a new channel.
///
/// Message number 90, RFC 4254 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelOpen<'a> {
    /// What the channel is for.
    pub kind: ChannelType<'a>,
    /// The number of the channel at the side that asks.
    pub sender: u32,
    /// Bytes that may be sent to the side that asks.
    pub initial_window: u32,
    /// Bytes of data that one message to it may hold.
    pub max_packet: u32,
}

/// What a channel is for, with the fields that its type brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChannelType<'a> {
    /// `session` (RFC 4254 §6.1): a program on the other side.
    Session,
    /// A type that this crate has no name for.
    Other {
        /// The name of the type.
        name: &'a str,
        /// What follows the fields that all types have.
        data: Rest<'a>,
    },
}

impl ChannelType<'_> {
    /// The name of the type.
    #[must_use]
    pub const fn name(&self) -> &str {
        match self {
            Self::Session => "session",
            Self::Other { name, .. } => name,
        }
    }
}

impl<'a> Decode<'a> for ChannelOpen<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("").number(Self::NUMBER)?;
        let name = reader.field("channel_type").utf8()?;
        let sender = reader.field("sender").uint32()?;
        let initial_window = reader.field("initial_window").uint32()?;
        let max_packet = reader.field("max_packet").uint32()?;
        let kind = match name {
            "session" => ChannelType::Session,
            name => ChannelType::Other { name, data: Rest(reader.field("data").rest()) },
        };
        Ok(Self { kind, sender, initial_window, max_packet })
    }
}

impl Encode for ChannelOpen<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(Self::NUMBER);
        self.kind.name().encode(out);
        self.sender.encode(out);
        self.initial_window.encode(out);
        self.max_packet.encode(out);
        if let ChannelType::Other { data, .. } = self.kind {
            data.encode(out);
        }
    }
}

/// Asks for something that concerns one channel.
///
/// Message number 98, RFC 4254 §5.4.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelRequest<'a> {
    /// The receiver's number for the channel.
    pub recipient: u32,
    /// Whether the sender waits for number 99 or 100.
    pub want_reply: bool,
    /// What is asked for.
    pub request: Request<'a>,
}

impl<'a> Decode<'a> for ChannelRequest<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        reader.field("").number(Self::NUMBER)?;
        let recipient = reader.field("recipient").uint32()?;
        let name = reader.field("request_type").utf8()?;
        let want_reply = reader.field("want_reply").boolean()?;
        let request = Request::decode_body(name, reader)?;
        Ok(Self { recipient, want_reply, request })
    }
}

impl Encode for ChannelRequest<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        RequestOut {
            recipient: self.recipient,
            want_reply: self.want_reply,
            request: &self.request,
        }
        .encode(out);
    }
}

/// A [`ChannelRequest`] that borrows what it asks for.
pub(crate) struct RequestOut<'a> {
    pub(crate) recipient: u32,
    pub(crate) want_reply: bool,
    pub(crate) request: &'a Request<'a>,
}

impl Encode for RequestOut<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(ChannelRequest::NUMBER);
        self.recipient.encode(out);
        self.request.name().encode(out);
        self.want_reply.encode(out);
        self.request.encode_body(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Env, ExitSignal, Mode, Pty, Signal, TerminalModes, WindowSize};
    use alloc::{borrow::Cow, vec};
    use ssh_wire::testing::{check_message, payload, payload_and_one_more};

    fn request(request: Request<'static>) -> ChannelRequest<'static> {
        ChannelRequest { recipient: 7, want_reply: true, request }
    }

    /// Each message that does not end in a `Rest`, cut at every byte.
    #[test]
    fn messages_survive_a_round_trip_and_no_cut() {
        macro_rules! check {
            ($($message:expr),* $(,)?) => {$({
                let message = $message;
                check_message(&message, &payload_and_one_more(&message));
            })*};
        }
        let size = WindowSize { columns: 80, rows: 24, width: 640, height: 480 };
        let mut modes = TerminalModes::default();
        modes.set(Mode::ECHO, 1);
        check!(
            RequestFailure {},
            ChannelOpen { kind: ChannelType::Session, sender: 1, initial_window: 2, max_packet: 3 },
            ChannelOpenFailure { recipient: 1, reason: 2, description: b"no", language: b"en" },
            ChannelWindowAdjust { recipient: 1, bytes: u32::MAX },
            ChannelData { recipient: 1, data: b"data" },
            ChannelExtendedData { recipient: 1, code: STDERR, data: b"data" },
            ChannelEof { recipient: 1 },
            ChannelClose { recipient: 1 },
            ChannelSuccess { recipient: 1 },
            ChannelFailure { recipient: 1 },
            request(Request::Pty(Pty { term: Cow::Borrowed(b"xterm"), size, modes })),
            request(Request::Env(Env { name: b"LANG".into(), value: b"C".into() })),
            request(Request::Shell),
            request(Request::Exec(b"true".into())),
            request(Request::Subsystem("sftp".into())),
            request(Request::WindowChange(size)),
            request(Request::XonXoff { client_can_do: true }),
            request(Request::Signal(Signal::TERM)),
            request(Request::Break { milliseconds: 500 }),
            request(Request::ExitStatus(255)),
            request(Request::ExitSignal(ExitSignal {
                signal: Signal::SEGV,
                core_dumped: true,
                message: b"boom".into(),
                language: b"".into(),
            })),
        );
    }

    /// Where a message ends in a `Rest`, a cut behind the fixed part is another message.
    #[test]
    fn open_ended_messages_survive_a_round_trip() {
        let data = Rest(b"rest");
        for (message, fixed) in [
            (
                ConnectionMessage::GlobalRequest(GlobalRequest {
                    name: "name",
                    want_reply: true,
                    data,
                }),
                10,
            ),
            (ConnectionMessage::RequestSuccess(RequestSuccess { data }), 1),
            (
                ConnectionMessage::ChannelOpen(ChannelOpen {
                    kind: ChannelType::Other { name: "other", data },
                    sender: 1,
                    initial_window: 2,
                    max_packet: 3,
                }),
                22,
            ),
            (
                ConnectionMessage::ChannelOpenConfirmation(ChannelOpenConfirmation {
                    recipient: 1,
                    sender: 2,
                    initial_window: 3,
                    max_packet: 4,
                    data,
                }),
                17,
            ),
            (
                ConnectionMessage::ChannelRequest(request(Request::Other {
                    name: "other".into(),
                    data: b"rest".into(),
                })),
                15,
            ),
        ] {
            let bytes = payload(&message);
            assert_eq!(ConnectionMessage::parse(&bytes), Ok(message));
            for end in 0..bytes.len() {
                assert_eq!(ConnectionMessage::parse(&bytes[..end]).is_ok(), end >= fixed, "{end}");
            }
        }
    }

    #[test]
    fn the_table_holds_exactly_the_numbers_of_section_9() {
        let numbers: Vec<u8> = ConnectionMessage::TABLE.iter().map(|(n, ..)| *n).collect();
        assert_eq!(numbers, vec![80, 81, 82, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100]);
        assert!(ConnectionMessage::has_number(80) && !ConnectionMessage::has_number(83));
    }

    #[test]
    fn a_session_open_has_no_fields_of_its_own() {
        let open =
            ChannelOpen { kind: ChannelType::Session, sender: 0, initial_window: 0, max_packet: 1 };
        let mut bytes = payload(&open);
        bytes.push(0);
        assert!(ConnectionMessage::parse(&bytes).is_err());
    }
}
