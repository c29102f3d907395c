//! Every message number, in every state, for both roles, strict and not.

use alloc::{vec, vec::Vec};

use ssh_crypto::agree::{DhGroup, FixedGroup};
use ssh_wire::Encode;

use crate::{
    Config, Error, Payload, PeerMisbehaved, Received, Role,
    message::{Debug, Disconnect, ExtInfo, NewKeys, Ping, Pong},
    testing::{Pair, Side},
};

/// Where a side stands when the message comes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// Our first `KEXINIT` is out.
    Start,
    /// Both first `KEXINIT` are out.
    Method,
    /// The same with a group exchange, before and after the group.
    Group,
    GroupMethod,
    /// Client: the host key waits for a verdict, before and after the server's `NEWKEYS`.
    Verdict,
    VerdictNewKeys,
    /// Our first `NEWKEYS` is out.
    NewKeys,
    Idle,
    /// The same of a later exchange.
    RekeyInit,
    RekeyMethod,
    RekeyNewKeys,
}

const CLIENT: &[At] = &[
    At::Start,
    At::Method,
    At::Group,
    At::GroupMethod,
    At::Verdict,
    At::VerdictNewKeys,
    At::NewKeys,
    At::Idle,
    At::RekeyInit,
    At::RekeyMethod,
    At::RekeyNewKeys,
];

impl At {
    const fn is_first(self) -> bool {
        matches!(
            self,
            Self::Start
                | Self::Method
                | Self::Group
                | Self::GroupMethod
                | Self::Verdict
                | Self::VerdictNewKeys
                | Self::NewKeys
        )
    }

    /// Whether the peer is between `KEXINIT` and `NEWKEYS`.
    const fn is_exchanging(self) -> bool {
        matches!(
            self,
            Self::Method
                | Self::Group
                | Self::GroupMethod
                | Self::Verdict
                | Self::NewKeys
                | Self::RekeyMethod
                | Self::RekeyNewKeys
        )
    }
}

/// A pair in which `role` stands at `at`, with nothing else on its way to it.
fn pair_at(role: Role, at: At, strict: bool) -> Pair {
    let mut pair = Pair::with(|config: &mut Config| {
        config.strict_kex = strict;
        let method = match at {
            At::Group | At::GroupMethod => "diffie-hellman-group-exchange-sha256",
            _ => "curve25519-sha256",
        };
        config.preferences.set_kex(method).unwrap();
        config.groups = vec![DhGroup::fixed(FixedGroup::Group14)];
    });
    pair.client.trusts = at != At::Verdict && at != At::VerdictNewKeys;
    let now = pair.now;
    if at.is_first() {
        let steps = match (role, at) {
            (_, At::Start) => 1,
            (_, At::Method | At::Group) => 2,
            (_, At::Verdict | At::NewKeys | At::GroupMethod) => 3,
            _ => 4,
        };
        for _ in 0..steps {
            while pair.side(role).inbound.buffer().is_empty()
                && pair.deliver(role.other()) | pair.carry(role)
            {}
            assert!(pair.side(role).step(now), "{at:?}");
        }
    } else {
        pair.run();
        if at != At::Idle {
            pair.side(role).transport.rekey(now);
        }
        let steps = match at {
            At::RekeyMethod => 1,
            At::RekeyNewKeys => 2,
            _ => 0,
        };
        for _ in 0..steps {
            while pair.side(role).inbound.buffer().is_empty()
                && pair.deliver(role.other()) | pair.carry(role)
            {}
            assert!(pair.side(role).step(now), "{at:?}");
        }
    }
    let side = pair.side(role);
    assert_eq!(side.error, None, "{at:?}");
    side.events.clear();
    side.payloads.clear();
    pair
}

fn body(number: u8) -> Vec<u8> {
    let mut out = Vec::new();
    match number {
        1 => Disconnect { reason: 11, description: b"bye", language: b"" }.encode(&mut out),
        4 => Debug { always_display: false, message: b"hm", language: b"" }.encode(&mut out),
        7 => ExtInfo::new(&[]).encode(&mut out),
        21 => NewKeys {}.encode(&mut out),
        192 => Ping { data: b"p" }.encode(&mut out),
        193 => Pong { data: b"p" }.encode(&mut out),
        other => out.push(other),
    }
    out
}

/// What a message leads to.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// Nothing that can be seen from above.
    Nothing,
    Event(&'static str),
    Payload,
    /// An answer `UNIMPLEMENTED`.
    Unimplemented,
    Misbehaved(PeerMisbehaved),
    /// The state would take the message, had it a body.
    Invalid,
}

/// The rules, once more and written differently.
fn expected(role: Role, at: At, strict: bool, number: u8, sequence: u32) -> Outcome {
    let refused = Outcome::Misbehaved(if strict && at.is_first() && at.is_exchanging() {
        PeerMisbehaved::StrictKexViolation { number, sequence }
    } else {
        PeerMisbehaved::UnexpectedMessage { number, sequence }
    });
    let method = match (role, at) {
        (Role::Client, At::GroupMethod) => 33,
        (Role::Client, _) => 31,
        (Role::Server, At::Group) => 34,
        (Role::Server, At::GroupMethod) => 32,
        (Role::Server, _) => 30,
    };
    let before_keys = at == At::Start || at.is_exchanging();
    match number {
        0 => Outcome::Misbehaved(PeerMisbehaved::MessageNumberZero { sequence }),
        1 => Outcome::Event("Disconnected"),
        2 | 3 | 4 | 8..=19 | 22..=29 if strict && at.is_first() && at.is_exchanging() => refused,
        2 | 3 => Outcome::Nothing,
        4 => Outcome::Event("Debug"),
        // Saying so would break the strict exchange that this side is still in.
        8..=19 | 22..=29 if strict && at == At::VerdictNewKeys => refused,
        8..=19 | 22..=29 => Outcome::Unimplemented,
        20 if matches!(at, At::Start | At::Idle | At::RekeyInit) => Outcome::Invalid,
        21 if at == At::Verdict => Outcome::Nothing,
        21 if at == At::NewKeys => Outcome::Event("Established"),
        21 if at == At::RekeyNewKeys => Outcome::Event("Rekeyed"),
        30..=49
            if number == method
                && matches!(at, At::Method | At::Group | At::GroupMethod | At::RekeyMethod) =>
        {
            Outcome::Invalid
        }
        20..=49 => refused,
        _ if before_keys => refused,
        7 if role == Role::Client => Outcome::Event("PeerExtensions"),
        7 => Outcome::Misbehaved(PeerMisbehaved::MisplacedExtInfo),
        192 => Outcome::Nothing,
        _ if at == At::VerdictNewKeys => refused,
        5 | 6 | 50..=127 => Outcome::Payload,
        193 => Outcome::Nothing,
        128..=255 => Outcome::Unimplemented,
    }
}

fn observed(side: &Side, had_output: usize) -> Outcome {
    match &side.error {
        Some(Error::PeerMisbehaved(how)) => return Outcome::Misbehaved(*how),
        Some(Error::InvalidMessage(_)) => return Outcome::Invalid,
        Some(other) => panic!("{other:?}"),
        None => {}
    }
    if !side.payloads.is_empty() {
        return Outcome::Payload;
    }
    match side.events.as_slice() {
        [] if side.transport.pending_output() > had_output => Outcome::Unimplemented,
        [] => Outcome::Nothing,
        [event] => Outcome::Event(event),
        more => panic!("{more:?}"),
    }
}

/// All numbers that differ in treatment, with their neighbours.
fn numbers() -> impl Iterator<Item = u8> {
    (0..=52).chain([60, 79, 80, 81, 94, 98, 100, 127, 128, 191, 192, 193, 194, 255])
}

fn check(role: Role, at: At, strict: bool, number: u8) {
    let mut pair = pair_at(role, at, strict);
    let now = pair.now;
    let side = pair.side(role);
    let had_output = side.transport.pending_output();
    let sequence = if number == 20 { 0 } else { 77 };
    let payload = Payload::new(body(number).into(), number, sequence);
    side.handle(Received::Packet(payload), now);
    let mut outcome = observed(side, had_output);
    if number == 192 && outcome == Outcome::Unimplemented {
        outcome = Outcome::Nothing; // the output is a PONG
    }
    let place = std::format!("{role:?} {at:?} strict: {strict} message {number}");
    assert_eq!(outcome, expected(role, at, strict, number, sequence), "{place}");
    // Errors stay, and the peer is told the right reason.
    let Some(error) = side.error.clone() else { return };
    let again = Received::Packet(Payload::new(body(2).into(), 2, 78));
    let result = side.transport.handle(again, &mut side.inbound, now);
    assert_eq!(result.unwrap_err(), error, "{place}");
    let peer = pair.side(role.other());
    assert_eq!(peer.error, None, "{place}");
    pair.client.trusts = true;
    pair.deliver(role.other());
    let goodbye = pair.side(role.other()).goodbye.clone();
    assert_eq!(goodbye.map(|g| g.reason), error.disconnect(), "{place}");
}

#[test]
fn every_message_in_every_state_does_what_the_table_says_to_a_client() {
    for at in CLIENT {
        for strict in [true, false] {
            numbers().for_each(|number| check(Role::Client, *at, strict, number));
        }
    }
}

#[test]
fn every_message_in_every_state_does_what_the_table_says_to_a_server() {
    for at in CLIENT {
        if !matches!(at, At::Verdict | At::VerdictNewKeys) {
            for strict in [true, false] {
                numbers().for_each(|number| check(Role::Server, *at, strict, number));
            }
        }
    }
}
