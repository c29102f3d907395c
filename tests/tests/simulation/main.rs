//! Client and server against each other in memory: virtual time, a network that cuts and delays,
//! keys that change all the time. Everything comes from one seed, which a failure prints.

mod client;
mod server;
mod world;

use std::cell::Cell;

use world::{Chop, Plan, World};

/// Runs `test` with so many seeds, and says which one failed.
fn seeds(count: u64, test: impl Fn(u64)) {
    for seed in 0..count {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(seed)));
        if let Err(panic) = result {
            eprintln!("the seed was {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// All data arrives, once and in order, however the bytes are cut and delayed.
#[test]
fn sessions_end_well_on_any_network() {
    seeds(60, |seed| World::new(&Plan::random(seed)).run_to_the_end());
}

/// Byte by byte: no parser anywhere depends on where a read ends.
#[test]
fn a_session_byte_by_byte() {
    for seed in 0..3 {
        let plan = Plan { chop: Chop::Bytes, channels: 2, amount: 20_000, ..Plan::random(seed) };
        World::new(&plan).run_to_the_end();
    }
}

/// Both sides exchange keys after every few hundred bytes, while data flows both ways.
#[test]
fn keys_change_all_the_time() {
    seeds(10, |seed| {
        let plan = Plan {
            client_rekey: 700,
            server_rekey: 900,
            amount: 40_000,
            channels: 3,
            window: 4096,
            delay_ms: 1,
            ..Plan::random(seed)
        };
        let mut world = World::new(&plan);
        world.run_to_the_end();
        assert!(world.rekeys() > 20, "only {} rekeys", world.rekeys());
    });
}

/// Keys that are old are renewed by time alone.
#[test]
fn keys_change_with_time() {
    let plan = Plan { rekey_interval_ms: 300, delay_ms: 1, linger_ms: 5000, ..Plan::random(1) };
    let mut world = World::new(&plan);
    world.run_to_the_end();
    assert!(world.rekeys() >= 10, "only {} rekeys in five seconds", world.rekeys());
}

/// A run is a function of its seed: no clock and no randomness of the machine is in it.
#[test]
fn the_same_seed_sends_the_same_bytes() {
    let sent = |seed| {
        let mut world = World::new(&Plan::random(seed));
        world.run_to_the_end();
        world.digest()
    };
    assert_eq!(sent(5), sent(5));
    assert_ne!(sent(5), sent(6));
}

/// One bit is wrong, anywhere: no wrong byte is ever delivered, and nobody is let in who would
/// not have been. Only padding in the clear may change unnoticed.
#[test]
fn a_flipped_bit_delivers_nothing_wrong() {
    let plan = |seed| Plan { channels: 2, amount: 4000, ..Plan::random(seed) };
    let (runs, noticed) = (300, Cell::new(0));
    seeds(runs, |seed| {
        let mut world = World::new(&plan(seed % 8));
        world.flip_a_bit(seed);
        // Data is checked as it arrives. A wrong length may leave a side waiting for more bytes;
        // ending that is for the deadline of whoever drives the session.
        noticed.set(noticed.get() + u64::from(world.run().is_some()));
    });
    assert!(noticed.get() > runs / 2, "only {} of {runs} were noticed", noticed.get());
}
