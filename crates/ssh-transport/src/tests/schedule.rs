//! Any order of sending, delivering and rekeying: everything arrives, once and in order.

use alloc::{vec, vec::Vec};

use proptest::prelude::*;

use crate::{Role, testing::Pair};

#[derive(Clone, Copy, Debug)]
enum Op {
    Send(Role, u8),
    Rekey(Role),
    /// Carries at most so many bytes.
    Deliver(Role, u16),
}

fn role() -> impl Strategy<Value = Role> {
    any::<bool>().prop_map(|client| if client { Role::Client } else { Role::Server })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (role(), any::<u8>()).prop_map(|(role, len)| Op::Send(role, len)),
        1 => role().prop_map(Op::Rekey),
        4 => (role(), 1_u16..2000).prop_map(|(role, bytes)| Op::Deliver(role, bytes)),
    ]
}

/// What is on its way to each side.
#[derive(Default)]
struct Links {
    to_client: Vec<u8>,
    to_server: Vec<u8>,
}

impl Links {
    const fn to(&mut self, role: Role) -> &mut Vec<u8> {
        match role {
            Role::Client => &mut self.to_client,
            Role::Server => &mut self.to_server,
        }
    }

    fn deliver(&mut self, pair: &mut Pair, role: Role, most: usize) -> bool {
        let now = pair.now;
        let sent = pair.side(role.other()).output();
        let link = self.to(role);
        link.extend_from_slice(&sent);
        let some: Vec<u8> = link.drain(..most.min(link.len())).collect();
        pair.side(role).feed(&some, usize::MAX, now);
        !some.is_empty()
    }
}

fn message(number: usize, len: u8) -> Vec<u8> {
    let mut message = vec![94];
    message.extend_from_slice(&number.to_be_bytes());
    message.resize(9 + usize::from(len), u8::try_from(number % 256).unwrap());
    message
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn messages_arrive_in_order_whatever_else_happens(
        ops in proptest::collection::vec(op(), 1..80),
        rekey_bytes in prop_oneof![Just(1_u64), 100_u64..3000, Just(u64::MAX)],
        rekey_packets in prop_oneof![Just(1_u64), 2_u64..9, Just(u64::MAX)],
        strict in any::<bool>(),
    ) {
        let mut pair = Pair::with(|config| {
            config.preferences.set_kex("curve25519-sha256").unwrap();
            config.strict_kex = strict;
            config.limits.rekey_bytes = rekey_bytes;
            config.limits.rekey_packets = rekey_packets;
        });
        pair.run();
        let mut links = Links::default();
        let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
        for op in ops {
            match op {
                Op::Send(role, len) => {
                    let sent =
                        if role == Role::Client { &mut from_client } else { &mut from_server };
                    sent.push(message(sent.len(), len));
                    pair.side(role).send(sent.last().unwrap());
                }
                Op::Rekey(role) => {
                    let now = pair.now;
                    pair.side(role).transport.rekey(now);
                }
                Op::Deliver(role, bytes) => {
                    links.deliver(&mut pair, role, bytes.into());
                }
            }
        }
        let both = [Role::Client, Role::Server];
        while both.iter().fold(false, |any, role| links.deliver(&mut pair, *role, usize::MAX) | any) {}
        prop_assert_eq!(&pair.client.error, &None);
        prop_assert_eq!(&pair.server.error, &None);
        prop_assert!(pair.server.payloads == from_client);
        prop_assert!(pair.client.payloads == from_server);
        prop_assert!(!pair.client.transport.is_rekeying() && !pair.server.transport.is_rekeying());
    }
}
