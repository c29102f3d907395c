//! Fuzz targets: functions that must neither panic nor hang, whatever the bytes.

use alloc::vec::Vec;

use bytes::Bytes;
use ssh_wire::{Encode, Time, proof::Authenticated};

use crate::{
    Limits, Mux, MuxEvent, Request, Role, Stream,
    message::{ChannelOpen, ChannelType, ConnectionMessage},
    model,
};

/// What a target does with its bytes.
pub type Body = fn(&[u8]);

/// Name and body of each target.
pub const TARGETS: &[(&str, Body)] =
    &[("connection_messages", connection_messages), ("mux", mux), ("mux_messages", mux_messages)];

/// One payload: a message that parses is written so that it parses as the same.
///
/// # Panics
/// If it does not.
pub fn connection_messages(data: &[u8]) {
    if let Ok(message) = ConnectionMessage::parse(data) {
        let mut again = Vec::new();
        message.encode(&mut again);
        assert_eq!(ConnectionMessage::parse(&again), Ok(message));
    }
}

/// What two applications do and when the network delivers, against a model.
///
/// # Panics
/// If the model is contradicted.
pub fn mux(data: &[u8]) {
    model::run(data);
}

/// Any messages to a mux with channels, whose application does something with what comes.
///
/// A message is two bytes and its fields: which message, which channel. The first byte of all says
/// which side the mux is.
///
/// # Panics
/// If memory exceeds the limits, or an error is not for ever.
pub fn mux_messages(data: &[u8]) {
    let Some((role, mut rest)) = data.split_first() else { return };
    let role = if role.is_multiple_of(2) { Role::Client } else { Role::Server };
    let mut limits = Limits::default();
    (limits.max_channels, limits.max_pending_opens, limits.max_pending_replies) = (6, 3, 4);
    let mut mux = Mux::new(Authenticated::by_userauth_success(), role, limits.clone());
    let mut out: Vec<Vec<u8>> = Vec::new();
    for _ in 0..3 {
        let _opened = mux.open_session(Time::ZERO, &mut out);
    }
    let mut failure = None;
    while let Some((payload, next)) = next_message(rest) {
        rest = next;
        let result = mux.handle(payload, Time::ZERO, &mut out);
        if let Some(error) = &failure {
            assert_eq!(result.as_ref(), Err(error), "an error is for ever");
        }
        failure = result.err();
        use_what_came(&mut mux, &mut out);
        let held: usize = mux.inspect_all().map(|channel| channel.buffered().0).sum();
        assert!(held <= limits.connection_budget && mux.channels() <= limits.max_channels);
    }
}

/// A payload from two bytes of choice and up to 64 of fields, and the bytes behind it.
fn next_message(bytes: &[u8]) -> Option<(Bytes, &[u8])> {
    let ([which, channel], rest) = bytes.split_first_chunk()?;
    let (fields, rest) = match rest.split_first() {
        None => (rest, rest),
        Some((len, rest)) => {
            let len = usize::from(len % 64).min(rest.len());
            rest.split_at_checked(len)?
        }
    };
    let index = usize::from(*which).checked_rem(ConnectionMessage::TABLE.len())?;
    let (number, ..) = ConnectionMessage::TABLE.get(index)?;
    let mut payload = Vec::new();
    match number {
        // Mostly sessions, since nothing else is granted.
        90 if channel % 4 > 0 => ChannelOpen {
            kind: ChannelType::Session,
            sender: u32::from(*channel),
            initial_window: 1000,
            max_packet: u32::from(*which) | 1,
        }
        .encode(&mut payload),
        91..=100 => {
            payload.push(*number);
            payload.extend_from_slice(&[0, 0, 0, channel % 8]);
            if *number == 94 {
                fields.encode(&mut payload);
            } else {
                payload.extend_from_slice(fields);
            }
        }
        _ => {
            payload.push(*number);
            payload.extend_from_slice(fields);
        }
    }
    Some((Bytes::from(payload), rest))
}

/// Fetches the events and does with each what its shape suggests.
fn use_what_came(mux: &mut Mux, out: &mut Vec<Vec<u8>>) {
    out.clear();
    while let Some(event) = mux.poll() {
        match event {
            MuxEvent::Incoming(offer) => {
                let _id = mux.accept(offer, Time::ZERO, out);
            }
            MuxEvent::Opened(id) => {
                let _asked = mux.request(id, &Request::Shell, true, out);
                let _sent = mux.write(id, Stream::Data, &[b"data"], out);
            }
            MuxEvent::Readable(id, stream) => {
                let _read = mux.read_chunk(id, stream, Time::ZERO, out);
            }
            MuxEvent::Request(id, request, token) => {
                if let Some(token) = token {
                    mux.reply(token, request.starts_program(), out);
                }
                mux.eof(id, out);
            }
            MuxEvent::Closed(id) => mux.release(id, out),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn no_bytes_break_a_target(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for (_, target) in TARGETS {
                target(&bytes);
            }
        }
    }
}
