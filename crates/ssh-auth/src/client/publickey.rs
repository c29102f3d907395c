//! RFC 4252 §7 and RFC 8332: the method `publickey`.

use alloc::vec::Vec;
use core::fmt;

use ssh_keys::{
    PrivateKey, PublicKey,
    algorithm::{KeyType, SignatureAlgorithm},
};
use ssh_wire::{Message, Outbox};

use super::{Authenticator, InFlight, RequestError};
use crate::{
    error::{AuthError, PeerMisbehaved},
    event::AuthEvent,
    message::{MethodRequest, PublicKeyMessage, PublicKeyOk},
    method::Method,
    record::{KeyAttempt, Outcome},
    signing::signed_data,
};

/// A request for the signature of a key that the server would accept.
///
/// Whoever holds the private key, an agent or a token perhaps, signs [`Self::data`]; the signature
/// goes to [`Authenticator::signed`]. There is no hurry, and no duty.
#[derive(Clone, PartialEq, Eq)]
pub struct SignRequest {
    key: PublicKey,
    algorithm: SignatureAlgorithm,
    data: Vec<u8>,
}

impl SignRequest {
    /// The key that is to sign.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The algorithm to sign with.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The bytes to sign.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for SignRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignRequest")
            .field("key", &self.key)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A key that has signed a request of this authentication.
#[derive(Debug)]
pub(super) struct UsedKey {
    key: PublicKey,
    /// True once it has completed a factor: it cannot complete another.
    done: bool,
}

/// A question or a signature on its way.
#[derive(Debug)]
pub(super) struct KeyInFlight {
    key: PublicKey,
    algorithm: SignatureAlgorithm,
    /// A question carries no signature and cannot succeed.
    pub(super) question: bool,
    /// What to sign with next if this is refused, while the server has not said what it takes.
    again: Option<(PrivateKey, Vec<SignatureAlgorithm>)>,
}

impl Authenticator {
    /// The signature algorithms to use with a key of this type, best first.
    ///
    /// Where the server has named those it takes (RFC 8308 §3.1), only those; where it has not,
    /// all there are, for trial and error. SHA-1 is never among them.
    #[must_use]
    pub fn algorithms_for(&self, key_type: KeyType) -> Vec<SignatureAlgorithm> {
        key_type
            .signature_algorithms()
            .iter()
            .copied()
            .filter(|a| self.sig_algs.as_ref().is_none_or(|taken| taken.contains(a)))
            .collect()
    }

    /// Signs a request with the key and sends it, without asking first whether the key would do.
    ///
    /// An RSA key signs with the first of `rsa-sha2-512` and `rsa-sha2-256` that the server takes.
    /// If the server has not said what it takes and refuses the first, the second is tried before
    /// [`AuthEvent::Failed`] is reported.
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent.
    pub fn try_key(&mut self, key: &PrivateKey, out: &mut dyn Outbox) -> Result<(), RequestError> {
        self.ready()?;
        let public = key.public();
        if self.used.iter().any(|used| used.key == *public) {
            return Err(RequestError::AlreadyTried);
        }
        let algorithms = self.algorithms_for(public.key_type());
        if algorithms.is_empty() {
            let key = KeyAttempt { fingerprint: public.fingerprint(), algorithm: None };
            self.record.begin(Method::PublicKey, Some(key), Outcome::NoAlgorithm);
            return Err(RequestError::NoAlgorithm { key_type: public.key_type() });
        }
        self.used.push(UsedKey { key: public.clone(), done: false });
        self.sign_and_send(key, algorithms, out)
    }

    fn sign_and_send(
        &mut self,
        key: &PrivateKey,
        mut algorithms: Vec<SignatureAlgorithm>,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        let public = key.public();
        if algorithms.is_empty() {
            return Err(RequestError::NoAlgorithm { key_type: public.key_type() });
        }
        let algorithm = algorithms.remove(0);
        let data = signed_data(&self.session, &self.user, algorithm, public.blob());
        let signature = key.sign(algorithm, &data).map_err(RequestError::Sign)?;
        let again =
            (self.sig_algs.is_none() && !algorithms.is_empty()).then(|| (key.clone(), algorithms));
        let in_flight = KeyInFlight { key: public.clone(), algorithm, question: false, again };
        self.send_key(in_flight, Some(&signature), out);
        Ok(())
    }

    /// Asks whether a signature of the key with this algorithm would be accepted. The answer is
    /// [`AuthEvent::KeyAccepted`] or [`AuthEvent::Failed`].
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent.
    pub fn ask_key(
        &mut self,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        self.ready()?;
        if algorithm.key_type() != key.key_type() {
            return Err(RequestError::NoAlgorithm { key_type: key.key_type() });
        }
        if self.used.iter().any(|used| used.key == *key) {
            return Err(RequestError::AlreadyTried);
        }
        let in_flight = KeyInFlight { key: key.clone(), algorithm, question: true, again: None };
        self.send_key(in_flight, None, out);
        Ok(())
    }

    /// Sends the signature that a [`SignRequest`] asked for, a blob of name and signature.
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent. The signature is checked first.
    pub fn signed(
        &mut self,
        request: &SignRequest,
        signature: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        self.ready()?;
        let SignRequest { key, algorithm, .. } = request;
        if self.used.iter().any(|used| used.key == *key) {
            return Err(RequestError::AlreadyTried);
        }
        // Not the data of the request, which may come from another session: ours.
        let data = signed_data(&self.session, &self.user, *algorithm, key.blob());
        key.verify(*algorithm, &data, signature).map_err(RequestError::Signature)?;
        self.used.push(UsedKey { key: key.clone(), done: false });
        let in_flight =
            KeyInFlight { key: key.clone(), algorithm: *algorithm, question: false, again: None };
        self.send_key(in_flight, Some(signature), out);
        Ok(())
    }

    fn send_key(&mut self, request: KeyInFlight, signature: Option<&[u8]>, out: &mut dyn Outbox) {
        let (key, algorithm) = (request.key.clone(), request.algorithm.name());
        let method = MethodRequest::PublicKey { algorithm, key: key.blob(), signature };
        self.request(method, InFlight::PublicKey(request), out);
    }

    /// Number 60 while a question is out.
    pub(super) fn key_accepted(&mut self, payload: &[u8]) -> Result<AuthEvent, AuthError> {
        let Some(InFlight::PublicKey(asked)) = &self.in_flight else {
            return Err(self.unasked(PublicKeyOk::NUMBER));
        };
        let PublicKeyMessage::PublicKeyOk(PublicKeyOk { algorithm, key }) =
            PublicKeyMessage::parse(payload)?;
        if algorithm != asked.algorithm.name() || key != asked.key.blob() {
            return Err(PeerMisbehaved::OtherKeyAccepted.into());
        }
        let data = signed_data(&self.session, &self.user, asked.algorithm, asked.key.blob());
        let request = SignRequest { key: asked.key.clone(), algorithm: asked.algorithm, data };
        self.in_flight = None;
        self.record.end(Outcome::KeyAcceptable, None);
        Ok(AuthEvent::KeyAccepted(request))
    }

    /// After a refused signature: signs with the next algorithm, if there is a reason to. True if
    /// another request is out.
    pub(super) fn sign_again(&mut self, refused: KeyInFlight, out: &mut dyn Outbox) -> bool {
        let Some((key, mut algorithms)) = refused.again else { return false };
        // What the server takes may have become known meanwhile.
        algorithms.retain(|a| self.sig_algs.as_ref().is_none_or(|taken| taken.contains(a)));
        self.ready().is_ok() && self.sign_and_send(&key, algorithms, out).is_ok()
    }

    /// A factor is complete. Keys that were refused may have come too early and can be tried
    /// again for the next factor; the one that completed this factor cannot.
    pub(super) fn factor_done(&mut self, by: Option<&KeyInFlight>) {
        for used in &mut self.used {
            used.done |= by.is_some_and(|by| by.key == used.key);
        }
        self.used.retain(|used| used.done);
    }
}

impl KeyInFlight {
    pub(super) fn attempt(&self) -> KeyAttempt {
        KeyAttempt { fingerprint: self.key.fingerprint(), algorithm: Some(self.algorithm) }
    }
}
