//! Bodies of the fuzz targets: any bytes may come, and nothing may panic or hang.

use alloc::vec::Vec;
use core::time::Duration;

use ssh_crypto::rng::SeededRng;
use ssh_keys::{KeyType, PrivateKey};
use ssh_wire::{Encode as _, Time};

use crate::{
    Agent, Bindings, Constraints,
    agent::Answer,
    client, frame,
    limits::{MAX_KEYS, MAX_MESSAGE},
    message::{Reply, Request},
};

/// Name and body of a target.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: &[Target] =
    &[("agent_messages", agent_messages), ("agent_client", agent_client), ("agent", agent)];

/// Both tables read the bytes; what one reads, it writes so that it reads the same again.
///
/// # Panics
/// If it does not.
pub fn agent_messages(data: &[u8]) {
    macro_rules! check {
        ($($table:ident),*) => {$(
            if let Ok(message) = $table::parse(data) {
                let mut written = Vec::new();
                message.encode(&mut written);
                assert_eq!($table::parse(&written), Ok(message));
            }
        )*};
    }
    check!(Request, Reply);
}

/// A client reads the bytes as the answer to each of its requests.
///
/// # Panics
/// If an answer holds more than came.
pub fn agent_client(data: &[u8]) {
    if let Some((header, _)) = data.split_first_chunk() {
        assert!(
            frame::len(*header).is_ok_and(|len| len <= MAX_MESSAGE) || frame::len(*header).is_err()
        );
    }
    let _done = client::done(data);
    if let Ok(keys) = client::identities(data) {
        assert!(keys.iter().map(|key| key.blob.len()).sum::<usize>() <= data.len());
    }
    if let Ok(signature) = client::signature(data) {
        assert!(signature.len() <= data.len());
    }
    let _names = client::extensions(data);
}

/// An agent with two keys receives what the script says on two connections, and somebody answers
/// its questions as the script says.
///
/// # Panics
/// If it answers a request with nothing, or with something that no client reads.
pub fn agent(data: &[u8]) {
    let mut rng = SeededRng::new(1);
    let mut agent = Agent::new();
    let mut connections = (Bindings::default(), Bindings::default());
    for confirm in [false, true] {
        let Ok(key) = PrivateKey::generate(KeyType::Ed25519, &mut rng) else { return };
        let constraints = Constraints { confirm, ..Constraints::default() };
        let request = client::add_identity(&key, "key", &constraints);
        agent.handle(&mut connections.0, request.expose(), Time::ZERO, &mut rng);
    }
    let (mut script, mut seconds) = (data, 0_u64);
    // A passphrase costs a few milliseconds.
    let mut passphrases = 0_u8;
    while let Some((choice, rest)) = script.split_first() {
        let (len, rest) = rest.split_first().map_or((0, rest), |(len, rest)| (*len, rest));
        let (request, rest) = rest.split_at_checked(len.into()).unwrap_or((rest, &[]));
        script = rest;
        seconds = seconds.saturating_add(u64::from(choice >> 2));
        let now = Time::from_epoch(Duration::from_secs(seconds));
        if matches!(request.first(), Some(22 | 23)) {
            passphrases = passphrases.saturating_add(1);
            if passphrases > 4 {
                continue;
            }
        }
        let connection = if choice & 1 == 0 { &mut connections.0 } else { &mut connections.1 };
        let reply = match agent.handle(connection, request, now, &mut rng) {
            Answer::Reply(reply) | Answer::After(_, reply) => reply,
            Answer::Ask(question) => agent.answer(question, choice & 2 == 0, now),
        };
        assert!(Reply::parse(&reply).is_ok() && reply.len() <= MAX_MESSAGE);
        assert!(agent.len() <= MAX_KEYS && agent.deadline().is_none_or(|deadline| deadline > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_script_breaks_a_target(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            for (_, target) in TARGETS {
                target(&data);
            }
        }
    }
}
