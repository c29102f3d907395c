//! How long a packet of channel data takes, from the message to the other side's payload.
//!
//! `cargo run --release -p chiton-transport --example throughput [cipher…]`

use std::{
    error::Error as StdError,
    sync::Arc,
    time::{Duration, Instant},
};

use ssh_crypto::rng::SystemRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{CipherAlgorithm, Config, Event, Inbound, Received, Transport};
use ssh_wire::{Outbox, Rest, Time};

/// Sent in each run, in bytes.
const TOTAL: usize = 1 << 30;
/// Packets that are sealed before they are opened: what fits into one write to a socket.
const BATCH: usize = 4;

fn main() -> Result<(), Box<dyn StdError>> {
    let mut ciphers: Vec<String> = std::env::args().skip(1).collect();
    if ciphers.is_empty() {
        ciphers = CipherAlgorithm::ALL.iter().map(|cipher| cipher.name().to_owned()).collect();
    }
    println!("{:30} {:>9} {:>10} {:>10} {:>7}", "cipher", "payload", "send", "receive", "GB/s");
    for cipher in ciphers {
        for size in [32 * 1024, 1024, 64] {
            measure(&cipher, size)?;
        }
    }
    Ok(())
}

fn measure(cipher: &str, size: usize) -> Result<(), Box<dyn StdError>> {
    let (mut client, mut server, mut inbound) = connected(cipher)?;
    let mut message = vec![94_u8];
    message.resize(size.saturating_sub(9).max(9), 7);
    let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
    let packets = (TOTAL / size).min(2_000_000) / BATCH * BATCH;
    let mut wire = Vec::new();
    for _ in 0..packets / BATCH {
        let start = Instant::now();
        for _ in 0..BATCH {
            client.send(&Rest(&message));
        }
        client.take_output(&mut wire);
        sealing += start.elapsed();
        // The copy that a socket would make.
        inbound.buffer().extend_from_slice(&wire);
        wire.clear();
        let start = Instant::now();
        while let Some(received) = inbound.next()? {
            server.handle(received, &mut inbound, Time::ZERO)?;
        }
        opening += start.elapsed();
    }
    let per_packet =
        |time: Duration| time.as_nanos() / u128::try_from(packets).unwrap_or(u128::MAX);
    let both = per_packet(sealing) + per_packet(opening);
    let rate = f64::from(u32::try_from(size)?) / f64::from(u32::try_from(both)?);
    let (send, receive) = (per_packet(sealing), per_packet(opening));
    println!("{cipher:30} {size:>9} {send:>7} ns {receive:>7} ns {rate:>7.2}");
    Ok(())
}

/// A client that sends, and a server that receives with its `Inbound`.
fn connected(cipher: &str) -> Result<(Transport, Transport, Inbound), Box<dyn StdError>> {
    let mut config = Config::default();
    config.preferences.set_ciphers(cipher)?;
    config.limits.rekey_bytes = u64::MAX;
    let mut server_config = config.clone();
    server_config.host_keys.push(PrivateKey::generate(KeyType::Ed25519, &mut SystemRng)?);
    let (mut client, mut to_client) =
        Transport::client(Arc::new(config), Box::new(SystemRng), Time::ZERO);
    let (mut server, mut to_server) =
        Transport::server(Arc::new(server_config), Box::new(SystemRng), Time::ZERO);
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
            take(&mut client, received, &mut to_client)?;
        }
    }
    Ok((client, server, to_server))
}

fn take(
    client: &mut Transport,
    received: Received,
    inbound: &mut Inbound,
) -> Result<(), Box<dyn StdError>> {
    if let Some(Event::HostKey(offer)) = client.handle(received, inbound, Time::ZERO)? {
        client.answer_host_key(offer.trust())?;
    }
    Ok(())
}
