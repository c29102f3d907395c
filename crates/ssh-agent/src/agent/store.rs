//! The keys of an agent.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::time::Duration;

use ssh_keys::{Certificate, PrivateKey};
use ssh_wire::{Reader, Time};

use super::sign;
use crate::{
    Bindings, ConstraintError, Constraints,
    destination::Destination,
    limits::{MAX_COMMENT, MAX_KEYS, MAX_MESSAGE},
};

/// A key and what limits its use.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) private: PrivateKey,
    /// The public key or certificate: its name.
    pub(super) blob: Box<[u8]>,
    pub(super) comment: String,
    pub(super) dies: Option<Time>,
    pub(super) confirm: bool,
    pub(super) destinations: Vec<Destination>,
    /// Tells a key from itself before it was added again.
    pub(super) generation: u64,
}

#[derive(Debug, Default)]
pub(super) struct Store {
    keys: Vec<Stored>,
    generation: u64,
}

/// A key as it comes in a request.
struct Addition {
    private: PrivateKey,
    blob: Box<[u8]>,
    comment: String,
    constraints: Constraints,
}

impl Addition {
    fn decode(bytes: &[u8], constrained: bool) -> Result<Self, ConstraintError> {
        let mut reader = Reader::new("key", bytes);
        let (private, certificate) =
            PrivateKey::decode_certified_fields(&mut reader).map_err(ConstraintError::Key)?;
        let blob = certificate.as_ref().map_or(private.public().blob(), Certificate::blob).into();
        let comment = reader.field("comment").string()?;
        let comment = comment.get(..MAX_COMMENT).unwrap_or(comment);
        let constraints =
            if constrained { Constraints::decode(&mut reader)? } else { Constraints::default() };
        reader.finish()?;
        let comment = String::from_utf8_lossy(comment).into_owned();
        Ok(Self { private, blob, comment, constraints })
    }
}

impl Store {
    pub(super) const fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Stored> {
        self.keys.iter()
    }

    pub(super) fn get(&self, blob: &[u8]) -> Option<&Stored> {
        self.keys.iter().find(|key| *key.blob == *blob)
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.keys.iter().filter_map(|key| key.dies).min()
    }

    pub(super) fn expire(&mut self, now: Time) {
        self.keys.retain(|key| key.dies.is_none_or(|dies| now < dies));
    }

    /// Takes a key; one that is there already is replaced, with its constraints (RFC 9987 §5.2).
    pub(super) fn add(
        &mut self,
        bytes: &[u8],
        constrained: bool,
        lifetime: Option<Duration>,
        connection: &Bindings,
        now: Time,
    ) -> bool {
        let Ok(addition) = Addition::decode(bytes, constrained) else { return false };
        let Addition { private, blob, comment, constraints } = addition;
        // Keys in tokens sign through a library, and that is not served.
        if constraints.sk_provider.is_some() || private.algorithms().is_empty() {
            return false;
        }
        let old = self.get(&blob);
        // Whoever may not use a key may not loosen its constraints either.
        if old.is_some_and(|old| !sign::is_shown(&old.destinations, connection, now)) {
            return false;
        }
        if old.is_none() && !self.has_room_for(&blob, &comment) {
            return false;
        }
        let own = constraints.lifetime.map(|seconds| Duration::from_secs(seconds.into()));
        let dies = own.or(lifetime).map(|left| after(now, left));
        self.generation = self.generation.saturating_add(1);
        let stored = Stored {
            private,
            blob,
            comment,
            dies,
            confirm: constraints.confirm,
            destinations: constraints.destinations,
            generation: self.generation,
        };
        match self.keys.iter_mut().find(|key| key.blob == stored.blob) {
            Some(old) => *old = stored,
            None => self.keys.push(stored),
        }
        true
    }

    /// The number of keys is bounded, and the list of all has to fit into an answer.
    fn has_room_for(&self, blob: &[u8], comment: &str) -> bool {
        // Two lengths for each key; number and count of the message.
        let entry =
            |blob: &[u8], comment: &str| blob.len().saturating_add(comment.len()).saturating_add(8);
        let all = self.keys.iter().map(|key| entry(&key.blob, &key.comment));
        let len = all.fold(entry(blob, comment).saturating_add(5), usize::saturating_add);
        self.keys.len() < MAX_KEYS && len <= MAX_MESSAGE
    }

    pub(super) fn remove(&mut self, blob: &[u8], connection: &Bindings, now: Time) -> bool {
        let before = self.keys.len();
        self.keys.retain(|key| {
            *key.blob != *blob || !sign::is_shown(&key.destinations, connection, now)
        });
        self.keys.len() < before
    }
}

fn after(now: Time, left: Duration) -> Time {
    Time::from_epoch(now.since_epoch().saturating_add(left))
}
