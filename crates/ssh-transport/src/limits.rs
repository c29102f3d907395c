//! What a peer can make this layer hold, do and wait for, each with its number.

use core::time::Duration;

use crate::packet::MAX_PACKET_LENGTH;

/// How long a client looks for the identification among other lines: RFC 4253 §4.2 allows them
/// without a limit, OpenSSH reads as many.
pub const MAX_LINES_BEFORE_IDENTIFICATION: u32 = 1024;

/// The longest of these lines, in bytes with the line feed; OpenSSH's limit.
pub const MAX_LINE_BEFORE_IDENTIFICATION: usize = 8192;

/// The longest identification, in bytes with carriage return and line feed (RFC 4253 §4.2).
pub const MAX_IDENTIFICATION: usize = 255;

/// Bytes of messages other than channel data in the output from which on a driver stops reading:
/// what a peer provokes cannot pile up when it does not read the answers.
pub const CONTROL_HIGH_WATER: usize = 64 * 1024;

/// The most `EXT_INFO` that a client takes: one after `NEWKEYS`, one during authentication
/// (RFC 8308 §2.4).
pub const MAX_EXT_INFO_FROM_SERVER: u8 = 2;

/// The most pings without an answer that this side sends.
pub const MAX_PINGS: u32 = 64;

/// The most key exchanges that a peer may begin between the first one and the first message of
/// the connection protocol. Each makes this side compute, a server also sign; nobody who has not
/// logged in has a reason for one, but clocks and counters of old implementations run from the
/// first packet on. Afterwards there is no limit: the peer is known, and computes as much itself.
pub const MAX_EARLY_KEY_EXCHANGES: u8 = 4;

/// Limits that an embedder may set.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Keys are exchanged anew once one of them has protected this many bytes. RFC 4253 §9
    /// recommends a gigabyte.
    pub rekey_bytes: u64,
    /// The same for packets; at most 2^31, so that an exchange is finished before the sequence
    /// numbers repeat (RFC 4344 §3.1).
    pub rekey_packets: u64,
    /// The same for time. RFC 4253 §9 recommends an hour.
    pub rekey_interval: Duration,
    /// How long an exchange of new keys may take. The first has the deadline of whoever drives
    /// the connection.
    pub rekey_timeout: Duration,
    /// Channel data is taken while fewer bytes than this wait to be sent.
    pub output_high_water: usize,
    /// The most bytes of messages that are held back while keys are exchanged. No channel data is
    /// among them, and a driver cannot stop reading meanwhile, so more ends the connection.
    pub held_output: usize,
}

impl Limits {
    /// The most packets between two exchanges, whatever was configured.
    pub(crate) const MAX_REKEY_PACKETS: u64 = 1 << 31;

    /// The most bytes that this layer holds for one connection at any time: the packet being
    /// read, output that waits (bounded by the marks as long as the driver keeps to them), held
    /// messages, and the two `KEXINIT` of an exchange.
    #[must_use]
    pub fn worst_case(&self) -> usize {
        let packet = usize::try_from(MAX_PACKET_LENGTH).unwrap_or(usize::MAX);
        packet
            .saturating_mul(3)
            .saturating_add(self.output_high_water)
            .saturating_add(CONTROL_HIGH_WATER)
            .saturating_add(self.held_output)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            rekey_bytes: 1 << 30,
            rekey_packets: Self::MAX_REKEY_PACKETS,
            rekey_interval: Duration::from_secs(60 * 60),
            rekey_timeout: Duration::from_secs(5 * 60),
            output_high_water: 1 << 20,
            held_output: 1 << 20,
        }
    }
}
