//! How long a packet of channel data takes: from the message to sealed bytes, and from there to
//! the other side's payload, for each cipher and several sizes.
//!
//! ```console
//! $ cargo bench -p chiton-transport                                        # pure Rust
//! $ cargo bench -p chiton-transport --features ssh-crypto/graviola -- aes128-gcm@openssh.com
//! ```
//!
//! The best of several rounds is shown: what disturbs a measurement only ever makes it longer.

use std::{
    error::Error as StdError,
    sync::Arc,
    time::{Duration, Instant},
};

use ssh_crypto::rng::SystemRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_transport::{CipherAlgorithm, Config, Event, Inbound, Received, Transport};
use ssh_wire::{Outbox, Rest, Time};

/// Sent in each round, in bytes, and packets at most.
const TOTAL: usize = 64 << 20;
const MAX_PACKETS: usize = 100_000;
const ROUNDS: u32 = 5;
/// Bytes of a message.
const SIZES: [usize; 4] = [32 * 1024, 8 * 1024, 1024, 64];
/// Packets that are sealed before they are opened: what fits into one write to a socket.
const BATCH: usize = 4;

fn main() -> Result<(), Box<dyn StdError>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo bench` says so; under `cargo test --benches`, one batch shows that everything works.
    let total = if arguments.iter().any(|word| word == "--bench") { TOTAL } else { 0 };
    let mut ciphers: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|word| !word.starts_with("--")).collect();
    if ciphers.is_empty() {
        ciphers = CipherAlgorithm::ALL.iter().map(|cipher| cipher.name()).collect();
    }
    println!("{:32} {:>7} {:>10} {:>10} {:>7}", "cipher", "bytes", "seal", "open", "GB/s");
    for cipher in ciphers {
        for size in SIZES {
            measure(cipher, size, total)?;
        }
    }
    Ok(())
}

/// Measures messages of `size` bytes, `total` in each round.
fn measure(cipher: &str, size: usize, total: usize) -> Result<(), Box<dyn StdError>> {
    let (mut client, mut server, mut inbound) = connected(cipher)?;
    let mut message = vec![94_u8];
    message.resize(size, 7);
    let batches = (total / size).min(MAX_PACKETS) / BATCH + 1;
    let mut wire = Vec::new();
    let (mut sealing, mut opening) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let (mut seal, mut open) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..batches {
            let start = Instant::now();
            for _ in 0..BATCH {
                client.send(&Rest(&message));
            }
            client.take_output(&mut wire);
            seal += start.elapsed();
            // The copy that a socket would make.
            inbound.buffer().extend_from_slice(&wire);
            wire.clear();
            let start = Instant::now();
            while let Some(received) = inbound.next()? {
                server.handle(received, &mut inbound, Time::ZERO)?;
            }
            open += start.elapsed();
        }
        (sealing, opening) = (sealing.min(seal), opening.min(open));
    }
    let packets = f64::from(u32::try_from(batches * BATCH)?);
    let [seal, open] = [sealing, opening].map(|time| time.as_secs_f64() * 1e9 / packets);
    let rate = f64::from(u32::try_from(size)?) / (seal + open);
    println!("{cipher:32} {size:>7} {seal:>7.0} ns {open:>7.0} ns {rate:>7.2}");
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
