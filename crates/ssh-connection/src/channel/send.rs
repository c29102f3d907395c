//! RFC 4254 §5.2: data that goes out.

use alloc::vec::Vec;

use ssh_wire::{Encode, Message, Outbox};

use crate::{
    Stream,
    message::{ChannelData, ChannelExtendedData, STDERR},
    number, size,
};

/// The most data in one message, whatever the peer takes: every transport carries this much
/// (RFC 4253 §6.1), and larger packets gain nothing.
const MAX_DATA: u32 = 32 * 1024;

/// Less than this is not sent just because the transport has no room for more: it would fill the
/// connection with crumbs. A transport says that it has room when a packet fits.
const CRUMB: usize = 4 * 1024;

/// What the peer lets this side send on a channel.
#[derive(Debug)]
pub(crate) struct Sender {
    /// Bytes that the peer takes.
    window: u32,
    /// Bytes that it takes in one message.
    max_packet: u32,
    /// A write has stopped because of the window.
    waits_for_window: bool,
    /// A write has stopped because the transport had no room; the channel is in the list of those.
    pub(crate) waits_for_room: bool,
}

/// The window went above 2^32 − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl Sender {
    /// For a channel that the peer has not confirmed: nothing may be sent.
    pub(crate) const fn closed() -> Self {
        Self::new(0, 0)
    }

    pub(crate) const fn new(window: u32, max_packet: u32) -> Self {
        Self { window, max_packet, waits_for_window: false, waits_for_room: false }
    }

    /// The peer has confirmed the channel. True if a write waits for that.
    pub(crate) const fn open(&mut self, window: u32, max_packet: u32) -> bool {
        self.window = window;
        self.max_packet = max_packet;
        self.wake()
    }

    /// The peer takes `bytes` more. True if a write waits for that.
    pub(crate) fn adjust(&mut self, bytes: u32) -> Result<bool, Overflow> {
        self.window = self.window.checked_add(bytes).ok_or(Overflow)?;
        Ok(self.wake())
    }

    const fn wake(&mut self) -> bool {
        let woken = self.waits_for_window && self.window > 0;
        if woken {
            self.waits_for_window = false;
        }
        woken
    }

    /// What may be sent now.
    pub(crate) fn room(&self, out: &dyn Outbox) -> usize {
        size(self.window).min(out.data_room())
    }

    /// What the peer takes.
    pub(crate) const fn window(&self) -> u32 {
        self.window
    }

    /// Sends as much of `parts` as may be sent, in as few messages as possible. What is returned
    /// was sent; if it is less than all, the channel remembers what it waits for.
    pub(crate) fn write(
        &mut self,
        recipient: u32,
        stream: Stream,
        parts: &[&[u8]],
        out: &mut dyn Outbox,
    ) -> usize {
        let total = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
        let mut sent: usize = 0;
        while sent < total {
            let left = total.saturating_sub(sent);
            let packet = size(self.max_packet.min(MAX_DATA));
            let allowed = left.min(packet).min(size(self.window));
            if allowed == 0 {
                self.waits_for_window = true;
                break;
            }
            let room = out.data_room();
            if room < allowed.min(CRUMB) {
                self.waits_for_room = true;
                break;
            }
            let len = allowed.min(room);
            out.send(&DataOut { recipient, stream, span: Span { parts, skip: sent, len } });
            self.window = self.window.saturating_sub(number(len));
            sent = sent.saturating_add(len);
        }
        sent
    }
}

/// [`ChannelData`] or [`ChannelExtendedData`] from scattered bytes.
struct DataOut<'a> {
    recipient: u32,
    stream: Stream,
    span: Span<'a>,
}

impl Encode for DataOut<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        match self.stream {
            Stream::Data => {
                out.push(ChannelData::NUMBER);
                self.recipient.encode(out);
            }
            Stream::Stderr => {
                out.push(ChannelExtendedData::NUMBER);
                self.recipient.encode(out);
                STDERR.encode(out);
            }
        }
        self.span.encode(out);
    }
}

/// `len` bytes of `parts` from `skip` on, as one `string`.
struct Span<'a> {
    parts: &'a [&'a [u8]],
    skip: usize,
    len: usize,
}

impl Encode for Span<'_> {
    fn encode(&self, out: &mut Vec<u8>) {
        number(self.len).encode(out);
        let (mut skip, mut left) = (self.skip, self.len);
        for part in self.parts {
            let from = skip.min(part.len());
            skip = skip.saturating_sub(from);
            let bytes = part.get(from..).unwrap_or_default();
            let bytes = bytes.get(..left.min(bytes.len())).unwrap_or_default();
            out.extend_from_slice(bytes);
            left = left.saturating_sub(bytes.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// A transport with room for so much.
    struct Narrow(usize, Vec<Vec<u8>>);

    impl Outbox for Narrow {
        fn send(&mut self, message: &dyn Encode) {
            self.1.send(message);
            self.0 = self.0.saturating_sub(self.1.last().map_or(0, |m| m.len() - 9));
        }

        fn data_room(&self) -> usize {
            self.0
        }
    }

    fn data(out: &[Vec<u8>]) -> Vec<Vec<u8>> {
        out.iter().map(|m| <ChannelData<'_> as Message>::parse(m).unwrap().data.to_vec()).collect()
    }

    #[test]
    fn scattered_bytes_go_in_one_message() {
        let mut out = Vec::new();
        let mut sender = Sender::new(100, 100);
        assert_eq!(sender.write(1, Stream::Data, &[b"ab", b"", b"cde"], &mut out), 5);
        assert_eq!(data(&out), [b"abcde"]);
        assert_eq!(sender.window(), 95);
        assert!(!sender.waits_for_window && !sender.waits_for_room);
    }

    #[test]
    fn messages_are_cut_to_what_the_peer_takes() {
        let mut out = Vec::new();
        let mut sender = Sender::new(5, 2);
        assert_eq!(sender.write(1, Stream::Data, &[b"abc", b"defg"], &mut out), 5);
        assert_eq!(data(&out), [&b"ab"[..], b"cd", b"e"]);
        assert_eq!(sender.write(1, Stream::Data, &[b"fg"], &mut out), 0);
        assert_eq!(sender.adjust(1), Ok(true));
        assert_eq!(sender.adjust(1), Ok(false), "nobody waits any more");
        assert_eq!(sender.write(1, Stream::Data, &[b"fg"], &mut out), 2);
    }

    #[test]
    fn no_message_is_larger_than_every_transport_carries() {
        let mut out = Vec::new();
        let mut sender = Sender::new(u32::MAX, u32::MAX);
        assert_eq!(sender.write(1, Stream::Data, &[&vec![0; 70_000]], &mut out), 70_000);
        assert_eq!(data(&out).iter().map(Vec::len).collect::<Vec<_>>(), [32_768, 32_768, 4_464]);
    }

    #[test]
    fn a_full_transport_stops_the_write_without_crumbs() {
        let mut out = Narrow(32_768 + 4_095, Vec::new());
        let mut sender = Sender::new(1 << 20, 32_768);
        assert_eq!(sender.write(1, Stream::Data, &[&vec![0; 50_000]], &mut out), 32_768);
        assert!(sender.waits_for_room && !sender.waits_for_window);
        out.0 = 4_096;
        assert_eq!(sender.write(1, Stream::Data, &[&vec![0; 50_000]], &mut out), 4_096);
        out.0 = 10;
        assert_eq!(sender.write(1, Stream::Data, &[&[0; 10]], &mut out), 10, "all that is left");
    }

    #[test]
    fn a_window_above_the_maximum_is_noticed() {
        let mut sender = Sender::new(u32::MAX - 1, 1);
        assert_eq!(sender.adjust(1), Ok(false));
        assert_eq!(sender.adjust(0), Ok(false));
        assert_eq!(sender.adjust(1), Err(Overflow));
    }

    #[test]
    fn stderr_is_extended_data_of_type_1() {
        let mut out = Vec::new();
        Sender::new(9, 9).write(7, Stream::Stderr, &[b"x"], &mut out);
        let message = ChannelExtendedData { recipient: 7, code: 1, data: b"x" };
        assert_eq!(<ChannelExtendedData<'_> as Message>::parse(&out[0]), Ok(message));
    }
}
