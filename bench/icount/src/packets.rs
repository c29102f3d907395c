//! Packets: sealed by one side, opened by the other.

use std::sync::Arc;

use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{Config, Event, Inbound, Transport};
use ssh_wire::{Outbox as _, Rest, Time};

use crate::{Done, check};

/// Packets that travel together, as in one write to a socket.
const BATCH: usize = 4;

pub(crate) fn seal_and_open(size: usize, count: usize) -> Done {
    let (mut client, mut server, mut inbound) = connected()?;
    let mut message = vec![94_u8];
    message.resize(size, 7);
    let (mut wire, mut came) = (Vec::new(), 0);
    for _ in 0..count / BATCH {
        for _ in 0..BATCH {
            client.send(&Rest(&message));
        }
        client.take_output(&mut wire);
        inbound.buffer().extend_from_slice(&wire);
        wire.clear();
        while let Some(received) = inbound.next()? {
            server.handle(received, &mut inbound, Time::ZERO)?;
            came += 1;
        }
    }
    check(came == count, "packets are missing")
}

/// A client that sends, and a server that receives with its `Inbound`.
fn connected() -> Done<(Transport, Transport, Inbound)> {
    let mut config = Config::default();
    config.preferences.set_ciphers("aes128-gcm@openssh.com")?;
    let mut server_config = config.clone();
    server_config.host_keys.push(PrivateKey::generate(KeyType::Ed25519, &mut SeededRng::new(1))?);
    let rng = |seed| Box::new(SeededRng::new(seed));
    let (mut client, mut to_client) = Transport::client(Arc::new(config), rng(2), Time::ZERO);
    let (mut server, mut to_server) =
        Transport::server(Arc::new(server_config), rng(3), Time::ZERO);
    let mut wire = Vec::new();
    while client.pending_output() + server.pending_output() > 0 {
        client.take_output(&mut wire);
        to_server.buffer().extend_from_slice(&wire);
        wire.clear();
        while let Some(received) = to_server.next()? {
            server.handle(received, &mut to_server, Time::ZERO)?;
        }
        server.take_output(&mut wire);
        to_client.buffer().extend_from_slice(&wire);
        wire.clear();
        while let Some(received) = to_client.next()? {
            let event = client.handle(received, &mut to_client, Time::ZERO)?;
            if let Some(Event::HostKey(offer)) = event {
                client.answer_host_key(offer.trust())?;
            }
        }
    }
    Ok((client, server, to_server))
}
