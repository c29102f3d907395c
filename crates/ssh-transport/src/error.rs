//! What goes wrong in this layer, whose fault it is, and which rule it breaks.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use ssh_keys::public::{MAX_RSA_BITS, SMALLEST_RSA_BITS};
use ssh_wire::{DecodeError, DisconnectReason, Fault, PeerText, Rule};

use crate::{algorithm::AlgorithmKind, event::Disconnect, remedy::Remedy};

/// Why a connection cannot go on.
///
/// After one of these the transport has queued a fitting `DISCONNECT`, and every later call gives
/// the same error.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The peer's bytes are not the message they claim to be.
    InvalidMessage(DecodeError),
    /// The peer broke a rule.
    PeerMisbehaved(PeerMisbehaved),
    /// The two sides have no algorithm in common.
    NoCommonAlgorithm(Box<NoCommonAlgorithm>),
    /// The peer speaks another version of SSH; this is its identification.
    UnsupportedVersion(PeerText),
    /// The host key, or that of the authority over it, is an RSA key of a size that nobody asked
    /// for.
    RsaHostKeySize {
        /// What it has.
        bits: usize,
        /// The least it may have ([`Config::min_rsa_bits`](crate::Config::min_rsa_bits)).
        required: usize,
    },
    /// The host key was refused.
    HostKeyRefused,
    /// The answer about a host key belongs to another connection or was given already.
    WrongHostKeyAnswer,
    /// Our host key could not sign.
    SigningFailed,
    /// The peer ended the connection.
    Disconnected(Disconnect),
    /// This side ended the connection.
    Closed,
    /// The peer did not complete a later key exchange in time.
    RekeyTimedOut,
    /// More than [`Limits::held_output`](crate::Limits::held_output) bytes had to be held back
    /// during a key exchange.
    TooMuchHeldOutput,
    /// 2^32 packets were sent without new keys.
    SequenceNumbersExhausted,
    /// A message of our own does not fit into a packet.
    MessageTooLong,
    /// A message could not be compressed: a defect of this program.
    CompressionFailed,
    /// The key material that was derived does not fit the cipher: a defect of this program.
    UnusableKeys,
}

impl Error {
    /// Who has to change something.
    #[must_use]
    pub const fn fault(&self) -> Fault {
        match self {
            Self::InvalidMessage(_) | Self::PeerMisbehaved(_) | Self::TooMuchHeldOutput => {
                Fault::Peer
            }
            Self::NoCommonAlgorithm(_)
            | Self::UnsupportedVersion(_)
            | Self::RsaHostKeySize { .. }
            | Self::HostKeyRefused => Fault::Policy,
            Self::WrongHostKeyAnswer
            | Self::SigningFailed
            | Self::Closed
            | Self::SequenceNumbersExhausted
            | Self::MessageTooLong
            | Self::CompressionFailed
            | Self::UnusableKeys => Fault::Local,
            Self::Disconnected(_) => Fault::Policy,
            Self::RekeyTimedOut => Fault::Network,
        }
    }

    /// The rule that was broken, where there is one.
    #[must_use]
    pub const fn rule(&self) -> Option<Rule> {
        match self {
            Self::InvalidMessage(_) => Some(Rule("RFC 4251 §5")),
            Self::PeerMisbehaved(how) => Some(how.rule()),
            Self::NoCommonAlgorithm(_) => Some(Rule("RFC 4253 §7.1")),
            Self::UnsupportedVersion(_) => Some(Rule("RFC 4253 §5")),
            Self::HostKeyRefused => Some(Rule("RFC 4251 §4.1")),
            Self::RekeyTimedOut | Self::SequenceNumbersExhausted => Some(Rule("RFC 4253 §9")),
            Self::MessageTooLong => Some(Rule("RFC 4253 §6.1")),
            _ => None,
        }
    }

    /// How the connection is ended on the wire; nothing is sent where the peer ended it.
    #[must_use]
    pub const fn disconnect(&self) -> Option<DisconnectReason> {
        match self {
            Self::InvalidMessage(_) | Self::TooMuchHeldOutput => {
                Some(DisconnectReason::PROTOCOL_ERROR)
            }
            Self::PeerMisbehaved(how) => Some(how.disconnect()),
            Self::NoCommonAlgorithm(_)
            | Self::SigningFailed
            | Self::RekeyTimedOut
            | Self::RsaHostKeySize { .. }
            | Self::UnusableKeys => Some(DisconnectReason::KEY_EXCHANGE_FAILED),
            Self::UnsupportedVersion(_) => Some(DisconnectReason::PROTOCOL_VERSION_NOT_SUPPORTED),
            Self::HostKeyRefused | Self::WrongHostKeyAnswer => {
                Some(DisconnectReason::HOST_KEY_NOT_VERIFIABLE)
            }
            Self::CompressionFailed => Some(DisconnectReason::COMPRESSION_ERROR),
            Self::MessageTooLong => Some(DisconnectReason::BY_APPLICATION),
            Self::Disconnected(_) | Self::Closed | Self::SequenceNumbersExhausted => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidMessage(error) => write!(f, "invalid message: {error}"),
            Self::PeerMisbehaved(how) => write!(f, "peer misbehaved: {how} ({})", how.rule()),
            Self::NoCommonAlgorithm(error) => error.fmt(f),
            Self::UnsupportedVersion(found) => {
                write!(f, "the peer does not speak SSH 2: it identified itself as {found:?}")
            }
            Self::RsaHostKeySize { bits, required } => {
                write!(
                    f,
                    "the host key is an RSA key of {bits} bits, allowed are {required} to \
                     {MAX_RSA_BITS}"
                )?;
                if (SMALLEST_RSA_BITS..*required).contains(bits) {
                    write!(
                        f,
                        "; RequiredRSASize={bits} would allow it, at a cost: who can factor it can \
                         pretend to be the server"
                    )?;
                }
                Ok(())
            }
            Self::HostKeyRefused => f.write_str("the server's host key was refused"),
            Self::WrongHostKeyAnswer => f.write_str("no host key was waiting for this answer"),
            Self::SigningFailed => f.write_str("the host key could not sign"),
            Self::Disconnected(goodbye) => write!(f, "the peer disconnected: {goodbye}"),
            Self::Closed => f.write_str("the connection was closed by this side"),
            Self::RekeyTimedOut => f.write_str("the peer did not complete a key exchange in time"),
            Self::TooMuchHeldOutput => {
                f.write_str("too many messages had to wait for the end of a key exchange")
            }
            Self::SequenceNumbersExhausted => {
                f.write_str("2^32 packets were sent without new keys")
            }
            Self::MessageTooLong => f.write_str("a message is too long for a packet"),
            Self::CompressionFailed => f.write_str("a message could not be compressed"),
            Self::UnusableKeys => f.write_str("the derived keys do not fit the cipher"),
        }
    }
}

impl core::error::Error for Error {}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Self::InvalidMessage(error)
    }
}

impl From<PeerMisbehaved> for Error {
    fn from(how: PeerMisbehaved) -> Self {
        Self::PeerMisbehaved(how)
    }
}

/// The ways of a peer to break the rules of this layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// The tag of a packet does not match: the packet was changed on the way, or the peer does
    /// not have the key.
    BadMac,
    /// A packet without payload.
    EmptyPacket,
    /// A packet that does not inflate, or to more than a packet may hold.
    BadCompression,
    /// The padding is shorter than four bytes or longer than the packet.
    BadPadding {
        /// The length it claims to have, in bytes.
        length: u8,
    },
    /// A packet length outside of 5 to 262144 or not a multiple of the cipher's block.
    BadPacketLength {
        /// The length that was claimed, in bytes.
        length: u32,
    },
    /// The identification, or a line before it, does not end.
    IdentificationTooLong {
        /// The most bytes that such a line may have.
        limit: usize,
    },
    /// The first line of a client is not an identification.
    IdentificationMissing,
    /// A NUL byte before or in the identification.
    NulInIdentification,
    /// A carriage return in the middle of a line.
    StrayCarriageReturn,
    /// A server sent lines and no identification.
    TooManyLinesBeforeIdentification,
    /// 2^32 packets came without new keys.
    SequenceNumbersExhausted,
    /// Message number 0, which is reserved.
    MessageNumberZero {
        /// The sequence number of the packet.
        sequence: u32,
    },
    /// A message that the state of the key exchange does not allow.
    UnexpectedMessage {
        /// Its number.
        number: u8,
        /// The sequence number of its packet.
        sequence: u32,
    },
    /// Strict key exchange: `KEXINIT` was not the first packet.
    StrictKexInitNotFirst {
        /// The sequence number of the packet with the `KEXINIT`.
        sequence: u32,
    },
    /// Strict key exchange: a message that does not belong to the first exchange.
    StrictKexViolation {
        /// Its number.
        number: u8,
        /// The sequence number of its packet.
        sequence: u32,
    },
    /// A public value of the key exchange that has the wrong length, is not on the curve, or
    /// leads to a secret that is none.
    BadKexShare,
    /// A group for Diffie-Hellman that is not within the bounds that were asked for, or no group.
    BadKexGroup,
    /// Bounds for a group that contradict each other, or within which there is no safe group.
    BadGroupBounds,
    /// A host key that does not parse or has unsafe parameters.
    BadHostKey,
    /// A host key of another type than the algorithm that was negotiated.
    WrongHostKeyType,
    /// The signature over the exchange hash is not by the host key or not by the algorithm that
    /// was negotiated.
    BadHostKeySignature,
    /// A later key exchange came with another host key than the first.
    HostKeyChanged,
    /// `EXT_INFO` where it must not be, or too often.
    MisplacedExtInfo,
    /// Key exchanges again and again by somebody who has not logged in.
    TooManyKeyExchanges,
}

impl PeerMisbehaved {
    /// The rule that is broken.
    #[must_use]
    pub const fn rule(self) -> Rule {
        Rule(match self {
            Self::BadMac => "RFC 4253 §6.4",
            Self::EmptyPacket | Self::BadPadding { .. } => "RFC 4253 §6",
            Self::BadPacketLength { .. } => "RFC 4253 §6.1",
            Self::BadCompression => "RFC 4253 §6.2",
            Self::IdentificationTooLong { .. }
            | Self::IdentificationMissing
            | Self::NulInIdentification
            | Self::StrayCarriageReturn
            | Self::TooManyLinesBeforeIdentification => "RFC 4253 §4.2",
            Self::SequenceNumbersExhausted => "RFC 4344 §3.1",
            Self::MessageNumberZero { .. } => "RFC 4250 §4.1.1",
            Self::UnexpectedMessage { .. } => "RFC 4253 §7.1",
            Self::StrictKexInitNotFirst { .. } | Self::StrictKexViolation { .. } => {
                "draft-ietf-sshm-strict-kex §3"
            }
            Self::BadKexShare => "RFC 8731 §3, RFC 5656 §4, RFC 8268 §4",
            Self::BadKexGroup | Self::BadGroupBounds => "RFC 4419 §3, RFC 8270 §2",
            Self::BadHostKey | Self::BadHostKeySignature => "RFC 4253 §8",
            Self::WrongHostKeyType => "RFC 8332 §3.1",
            Self::HostKeyChanged | Self::TooManyKeyExchanges => "RFC 4253 §9",
            Self::MisplacedExtInfo => "RFC 8308 §2.4",
        })
    }

    /// How the connection is ended on the wire.
    #[must_use]
    pub const fn disconnect(self) -> DisconnectReason {
        match self {
            Self::BadMac => DisconnectReason::MAC_ERROR,
            Self::BadKexShare
            | Self::BadKexGroup
            | Self::BadGroupBounds
            | Self::BadHostKey
            | Self::WrongHostKeyType
            | Self::BadHostKeySignature => DisconnectReason::KEY_EXCHANGE_FAILED,
            Self::BadCompression => DisconnectReason::COMPRESSION_ERROR,
            Self::HostKeyChanged => DisconnectReason::HOST_KEY_NOT_VERIFIABLE,
            Self::EmptyPacket
            | Self::BadPadding { .. }
            | Self::BadPacketLength { .. }
            | Self::IdentificationTooLong { .. }
            | Self::IdentificationMissing
            | Self::NulInIdentification
            | Self::StrayCarriageReturn
            | Self::TooManyLinesBeforeIdentification
            | Self::SequenceNumbersExhausted
            | Self::MessageNumberZero { .. }
            | Self::UnexpectedMessage { .. }
            | Self::StrictKexInitNotFirst { .. }
            | Self::StrictKexViolation { .. }
            | Self::MisplacedExtInfo
            | Self::TooManyKeyExchanges => DisconnectReason::PROTOCOL_ERROR,
        }
    }
}

impl fmt::Display for PeerMisbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMac => f.write_str("the tag of a packet does not match"),
            Self::EmptyPacket => f.write_str("a packet without payload"),
            Self::BadCompression => {
                f.write_str("a packet that does not inflate, or to more than 262144 bytes")
            }
            Self::BadPadding { length } => {
                write!(f, "a padding of {length} bytes does not fit its packet")
            }
            Self::BadPacketLength { length } => {
                write!(f, "a packet length of {length} bytes, must be 5 to 262144 and whole blocks")
            }
            Self::IdentificationTooLong { limit } => {
                write!(f, "a line of more than {limit} bytes before the first packet")
            }
            Self::IdentificationMissing => f.write_str("the first line is not an identification"),
            Self::NulInIdentification => f.write_str("a NUL byte in the identification"),
            Self::StrayCarriageReturn => {
                f.write_str("a carriage return in the middle of the identification")
            }
            Self::TooManyLinesBeforeIdentification => {
                f.write_str("1024 lines and none of them an identification")
            }
            Self::SequenceNumbersExhausted => f.write_str("2^32 packets without new keys"),
            Self::MessageNumberZero { sequence } => {
                write!(f, "message number 0 in packet {sequence}")
            }
            Self::UnexpectedMessage { number, sequence } => {
                write!(f, "message {number} is not allowed here, in packet {sequence}")
            }
            Self::StrictKexInitNotFirst { sequence } => {
                write!(f, "strict key exchange: KEXINIT came in packet {sequence} and not first")
            }
            Self::StrictKexViolation { number, sequence } => {
                write!(f, "strict key exchange: unexpected message {number} in packet {sequence}")
            }
            Self::BadKexShare => f.write_str("an invalid public value in the key exchange"),
            Self::BadKexGroup => {
                f.write_str("a Diffie-Hellman group that is none or not of a size we asked for")
            }
            Self::BadGroupBounds => f.write_str(
                "bounds on the Diffie-Hellman group within which there is none of 2048 to 8192 bits",
            ),
            Self::BadHostKey => f.write_str("an invalid host key"),
            Self::WrongHostKeyType => {
                f.write_str("the host key is not of the type that was negotiated")
            }
            Self::BadHostKeySignature => {
                f.write_str("the signature over the key exchange does not verify")
            }
            Self::HostKeyChanged => f.write_str("the host key changed within the connection"),
            Self::MisplacedExtInfo => f.write_str("EXT_INFO where it must not be"),
            Self::TooManyKeyExchanges => {
                f.write_str("key exchanges again and again before the login")
            }
        }
    }
}

/// The peer follows the rules, but there is nothing both sides are able to use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoCommonAlgorithm {
    /// What was being chosen.
    pub kind: AlgorithmKind,
    /// What this side offered.
    pub ours: Vec<&'static str>,
    /// What the peer offered, with commas.
    pub theirs: PeerText,
    /// What of the peer's list this side could offer too, in the peer's order; none if nothing
    /// would help.
    pub remedies: Vec<Remedy>,
}

impl fmt::Display for NoCommonAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no common {}: we offer {}", self.kind, self.ours.join(","))?;
        write!(f, ", the peer {}", self.theirs)?;
        match self.remedies.first() {
            Some(remedy) => write!(f, "; {remedy}"),
            None => f.write_str("; nothing that the peer offers is known here"),
        }
    }
}

impl core::error::Error for NoCommonAlgorithm {}
