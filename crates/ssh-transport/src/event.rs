//! What the transport has to tell.

use bytes::Bytes;
use core::fmt;
use ssh_wire::{DisconnectReason, PeerText, proof::SessionId};

use crate::host_key::HostKeyOffer;

/// Something happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// Client, first key exchange: the server proved that it has this key. Whether the key is the
    /// right one is answered with [`Transport::answer_host_key`](crate::Transport::answer_host_key)
    /// or [`refuse_host_key`](crate::Transport::refuse_host_key), whenever the answer is known.
    HostKey(HostKeyOffer),
    /// Both sides use new keys and the host is trusted: authentication may begin.
    Established(SessionId),
    /// A message for the layers above: 5, 6 and 50 to 127.
    Payload(Payload),
    /// The peer listed its extensions; see
    /// [`server_sig_algs`](crate::Transport::server_sig_algs). May come again, and before
    /// [`Established`](Self::Established) while the host key waits for its verdict.
    PeerExtensions,
    /// A later key exchange is complete.
    Rekeyed,
    /// The peer ended the connection. Nothing comes after it.
    Disconnected(Disconnect),
    /// The peer has something to say to its developers (RFC 4253 §11.3).
    Debug {
        /// Whether the peer wants it shown to the user unasked.
        always_display: bool,
        /// What it says.
        text: PeerText,
    },
    /// The answer to a [`ping`](crate::Transport::ping), with the data of the ping.
    Pong(Bytes),
}

/// Why the peer ended the connection (RFC 4253 §11.1).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disconnect {
    /// The reason code.
    pub reason: DisconnectReason,
    /// What the peer wrote for people.
    pub text: PeerText,
}

impl fmt::Display for Disconnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}

/// The payload of a packet that was verified and decrypted.
///
/// Only [`Inbound`](crate::Inbound) makes one. It has at least one byte.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    bytes: Bytes,
    number: u8,
    sequence: u32,
}

impl Payload {
    /// Called by `Inbound` after verification, with at least one byte.
    pub(crate) const fn new(bytes: Bytes, number: u8, sequence: u32) -> Self {
        Self { bytes, number, sequence }
    }

    /// The message number: the first byte.
    #[must_use]
    pub const fn number(&self) -> u8 {
        self.number
    }

    /// The sequence number of the packet (RFC 4253 §6.4).
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Message number and fields.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Message number and fields, to be kept or cut without a copy.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// Shows number and size only: payloads hold passwords.
impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("number", &self.number)
            .field("sequence", &self.sequence)
            .field("len", &self.bytes.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn the_content_of_a_payload_is_not_in_its_debug_output() {
        let payload = Payload::new(Bytes::from_static(b"\x32secret"), 50, 7);
        let shown = format!("{payload:?}");
        assert_eq!(shown, "Payload { number: 50, sequence: 7, len: 7 }");
    }

    #[test]
    fn what_the_peer_wrote_cannot_steer_a_terminal() {
        let goodbye =
            Disconnect { reason: DisconnectReason(2), text: PeerText::from_bytes(b"a\x1b[2J") };
        assert_eq!(format!("{goodbye}"), "protocol error: a\\u{1b}[2J");
    }
}
