//! RFC 9987, the agent: holds keys and answers requests.
//!
//! ```text
//!                 LOCK
//!   Open ──────────────────────► Locked: lists nothing, does nothing but
//!    ▲ │ list, sign, add, …       │      UNLOCK and REMOVE_ALL
//!    │ └──┘                       │
//!    └────────────────────────────┘
//!          UNLOCK, right passphrase
//! ```

mod lock;
mod sign;
mod store;

use alloc::vec::Vec;
use core::time::Duration;

use ssh_crypto::rng::Rng;
use ssh_wire::{Encode, Rest, Time};

pub use self::sign::Question;
use self::{lock::Lock, store::Store};
use crate::{
    Bindings,
    message::{
        Extension, ExtensionFailure, ExtensionResponse, Failure, IdentityList, QUERY, Request,
        SESSION_BIND, SignRequest, SignResponse, Success,
    },
};

/// Private keys, and what may be done with them.
///
/// One value serves all connections; each connection has its [`Bindings`].
#[derive(Debug, Default)]
pub struct Agent {
    store: Store,
    lock: Option<Lock>,
    /// Passphrases that did not unlock it, since the last that did.
    wrong_passphrases: u64,
    /// How long keys stay that come without a lifetime of their own.
    lifetime: Option<Duration>,
}

/// What comes of a request.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The answer, to be sent.
    Reply(Vec<u8>),
    /// The answer, to be sent after so much time, and nothing else on this connection before: so
    /// that passphrases cannot be guessed fast.
    After(Duration, Vec<u8>),
    /// Somebody has to agree first: [`Agent::answer`] takes the yes or no, and gives the answer to
    /// be sent. Meanwhile the agent serves other connections.
    Ask(Question),
}

impl Agent {
    /// An agent without keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long keys stay that come without a lifetime of their own; without this call, until they
    /// are removed.
    #[must_use]
    pub const fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The number of keys.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.store.len()
    }

    /// True if there is no key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.store.len() == 0
    }

    /// When [`Self::tick`] wants to be called, at the latest: a key's time is over.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.store.deadline()
    }

    /// Forgets the keys whose time is over.
    pub fn tick(&mut self, now: Time) {
        self.store.expire(now);
    }

    /// Takes a request, a message without its length, and gives what comes of it. A request that
    /// does not parse is refused like one that must not be.
    ///
    /// `now` counts from 1970, since certificates of hosts have an end, and must not go back.
    pub fn handle(
        &mut self,
        connection: &mut Bindings,
        request: &[u8],
        now: Time,
        rng: &mut dyn Rng,
    ) -> Answer {
        self.store.expire(now);
        let Ok(request) = Request::parse(request) else { return status(false) };
        if self.lock.is_some() {
            return self.handle_locked(&request);
        }
        match request {
            Request::RequestIdentities(_) => Answer::Reply(self.list(connection, now)),
            Request::SignRequest(request) => self.sign(connection, request, now),
            Request::AddIdentity(message) => {
                status(self.store.add(message.key.0, false, self.lifetime, connection, now))
            }
            Request::AddIdConstrained(message) => {
                status(self.store.add(message.key.0, true, self.lifetime, connection, now))
            }
            Request::RemoveIdentity(message) => {
                status(self.store.remove(message.key, connection, now))
            }
            Request::RemoveAllIdentities(_) => {
                self.store.clear();
                status(true)
            }
            Request::Lock(message) => {
                self.lock = Lock::new(message.passphrase.0, rng);
                status(self.lock.is_some())
            }
            Request::Extension(message) => extension(connection, message),
            // There is nothing to unlock, and tokens are not served.
            Request::Unlock(_)
            | Request::AddSmartcardKey(_)
            | Request::AddSmartcardKeyConstrained(_)
            | Request::RemoveSmartcardKey(_) => status(false),
        }
    }

    /// RFC 9987 §5.7. In an emergency keys can be removed nevertheless (§5.4).
    fn handle_locked(&mut self, request: &Request<'_>) -> Answer {
        match request {
            Request::RequestIdentities(_) => reply(&IdentityList::default().answer()),
            Request::RemoveAllIdentities(_) => {
                self.store.clear();
                status(true)
            }
            Request::Unlock(message) => self.unlock(message.passphrase.0),
            _ => status(false),
        }
    }

    fn unlock(&mut self, passphrase: &[u8]) -> Answer {
        if self.lock.as_ref().is_none_or(|lock| lock.fits(passphrase)) {
            self.lock = None;
            self.wrong_passphrases = 0;
            return status(true);
        }
        self.wrong_passphrases = self.wrong_passphrases.saturating_add(1);
        Answer::After(lock::delay(self.wrong_passphrases), payload(&Failure {}))
    }

    /// What may not be used on a connection is not shown there.
    fn list(&self, connection: &Bindings, now: Time) -> Vec<u8> {
        let mut list = IdentityList::default();
        for key in
            self.store.iter().filter(|key| sign::is_shown(&key.destinations, connection, now))
        {
            list.push(&key.blob, &key.comment);
        }
        payload(&list.answer())
    }

    fn sign(&self, connection: &Bindings, request: SignRequest<'_>, now: Time) -> Answer {
        let Some(key) = self.store.get(request.key) else { return status(false) };
        let Some(algorithm) = sign::algorithm(key.private.public().key_type(), request.flags)
        else {
            return status(false);
        };
        if !sign::is_permitted(key, connection, request.data, now) {
            return status(false);
        }
        if key.confirm {
            return Answer::Ask(Question::new(key, algorithm, request.data));
        }
        match key.private.sign(algorithm, request.data) {
            Ok(signature) => reply(&SignResponse { signature: &signature }),
            Err(_) => status(false),
        }
    }

    /// Answers a request for which somebody had to agree. Meanwhile the key may have been removed
    /// or the agent been locked: then a yes is a no.
    #[must_use]
    pub fn answer(&mut self, question: Question, yes: bool, now: Time) -> Vec<u8> {
        self.store.expire(now);
        let key = self.store.get(question.blob()).filter(|_| yes && self.lock.is_none());
        // A key that was added again is another one.
        let key = key.filter(|key| key.generation == question.generation());
        match key.map(|key| key.private.sign(question.algorithm(), question.data())) {
            Some(Ok(signature)) => payload(&SignResponse { signature: &signature }),
            Some(Err(_)) | None => payload(&Failure {}),
        }
    }
}

/// RFC 9987 §5.8.
fn extension(connection: &mut Bindings, message: Extension<'_>) -> Answer {
    match message.name {
        SESSION_BIND if connection.bind(message.contents.0) => status(true),
        SESSION_BIND => reply(&ExtensionFailure {}),
        QUERY => {
            let names = payload(&SESSION_BIND);
            reply(&ExtensionResponse { name: QUERY, contents: Rest(&names) })
        }
        _ => status(false),
    }
}

fn payload(message: &dyn Encode) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

fn reply(message: &dyn Encode) -> Answer {
    Answer::Reply(payload(message))
}

fn status(done: bool) -> Answer {
    if done { reply(&Success {}) } else { reply(&Failure {}) }
}

#[cfg(test)]
mod tests;
