//! RFC 4252 §7 and RFC 8332: the method `publickey`.

use alloc::vec::Vec;
use core::fmt;

use ssh_keys::{Certificate, Identity, PrivateKey, PublicKey, algorithm::SignatureAlgorithm};
use ssh_wire::{Message, Outbox};

use super::{Authenticator, InFlight, RequestError};
use crate::{
    error::{AuthError, PeerMisbehaved},
    event::AuthEvent,
    message::{MethodRequest, PublicKeyMessage, PublicKeyOk},
    method::Method,
    record::{KeyAttempt, Outcome},
    signing::{signed_data_of, wire_name},
};

/// A request for the signature of a key that the server would accept.
///
/// Whoever holds the private key, an agent or a token perhaps, signs [`Self::data`]; the signature
/// goes to [`Authenticator::signed`]. There is no hurry, and no duty.
#[derive(Clone, PartialEq, Eq)]
pub struct SignRequest {
    identity: Identity,
    algorithm: SignatureAlgorithm,
    data: Vec<u8>,
}

impl SignRequest {
    /// The key that is to sign.
    #[must_use]
    pub fn key(&self) -> &PublicKey {
        self.identity.key()
    }

    /// What the server was asked about: the key, or a certificate over it.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
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
            .field("identity", &self.identity)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// A key that has signed a request of this authentication.
#[derive(Debug)]
pub(super) struct UsedKey {
    identity: Identity,
    /// True once it has completed a factor: it cannot complete another.
    done: bool,
}

/// A question or a signature on its way.
#[derive(Debug)]
pub(super) struct KeyInFlight {
    identity: Identity,
    algorithm: SignatureAlgorithm,
    /// A question carries no signature and cannot succeed.
    pub(super) question: bool,
    /// What to sign with next if this is refused, while the server has not said what it takes.
    again: Option<(PrivateKey, Vec<SignatureAlgorithm>)>,
}

impl Authenticator {
    /// The signature algorithms to use with a key or certificate, best first.
    ///
    /// Where the server has named those it takes (RFC 8308 §3.1), only those; where it has not,
    /// all there are, for trial and error. SHA-1 is among them for those who
    /// [allow](Self::allow_only) it.
    #[must_use]
    pub fn algorithms_for(&self, identity: &Identity) -> Vec<SignatureAlgorithm> {
        let key_type = identity.key().key_type();
        let is_certificate = identity.certificate().is_some();
        let mut algorithms = match &self.allowed {
            None => key_type.signature_algorithms().to_vec(),
            Some(allowed) => allowed
                .iter()
                .filter(|(algorithm, certificate)| {
                    algorithm.key_type() == key_type && *certificate == is_certificate
                })
                .map(|(algorithm, _)| *algorithm)
                .collect(),
        };
        algorithms.retain(|a| self.sig_algs.as_ref().is_none_or(|taken| taken.contains(a)));
        algorithms
    }

    /// Signs with these algorithms and no others, in this order of preference; those that are
    /// marked go with certificates, and the others with keys (`PubkeyAcceptedAlgorithms` of
    /// OpenSSH). Unless said, everything is used that is not weak.
    pub fn allow_only(&mut self, algorithms: Vec<(SignatureAlgorithm, bool)>) {
        self.allowed = Some(algorithms);
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
        self.try_as(Identity::Key(key.public().clone()), key, out)
    }

    /// As [`Self::try_key`], with a certificate over the key. Key and certificate are different
    /// things to a server, and each may be tried.
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent.
    pub fn try_certificate(
        &mut self,
        key: &PrivateKey,
        certificate: &Certificate,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        if certificate.key() != key.public() {
            return Err(RequestError::CertificateOfOtherKey);
        }
        self.try_as(Identity::Certificate(certificate.clone()), key, out)
    }

    fn try_as(
        &mut self,
        identity: Identity,
        key: &PrivateKey,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        self.ready()?;
        let public = key.public();
        if self.used.iter().any(|used| used.identity == identity) {
            return Err(RequestError::AlreadyTried);
        }
        let algorithms = self.algorithms_for(&identity);
        if algorithms.is_empty() {
            let key = KeyAttempt { fingerprint: public.fingerprint(), algorithm: None };
            self.record.begin(Method::PublicKey, Some(key), Outcome::NoAlgorithm);
            return Err(RequestError::NoAlgorithm { key_type: public.key_type() });
        }
        self.used.push(UsedKey { identity: identity.clone(), done: false });
        self.sign_and_send(identity, key, algorithms, out)
    }

    fn sign_and_send(
        &mut self,
        identity: Identity,
        key: &PrivateKey,
        mut algorithms: Vec<SignatureAlgorithm>,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        if algorithms.is_empty() {
            return Err(RequestError::NoAlgorithm { key_type: key.public().key_type() });
        }
        let algorithm = algorithms.remove(0);
        let data = self.data_to_sign(&identity, algorithm);
        let signature = key.sign(algorithm, &data).map_err(RequestError::Sign)?;
        let again =
            (self.sig_algs.is_none() && !algorithms.is_empty()).then(|| (key.clone(), algorithms));
        let in_flight = KeyInFlight { identity, algorithm, question: false, again };
        self.send_key(in_flight, Some(&signature), out);
        Ok(())
    }

    fn data_to_sign(&self, identity: &Identity, algorithm: SignatureAlgorithm) -> Vec<u8> {
        let name = wire_name(identity, algorithm);
        signed_data_of(&self.session, &self.user, name, identity.blob())
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
        self.ask_identity(&Identity::Key(key.clone()), algorithm, out)
    }

    /// As [`Self::ask_key`], for a key or a certificate.
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent.
    pub fn ask_identity(
        &mut self,
        identity: &Identity,
        algorithm: SignatureAlgorithm,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        self.ready()?;
        let key_type = identity.key().key_type();
        if algorithm.key_type() != key_type {
            return Err(RequestError::NoAlgorithm { key_type });
        }
        if self.used.iter().any(|used| used.identity == *identity) {
            return Err(RequestError::AlreadyTried);
        }
        let identity = identity.clone();
        let in_flight = KeyInFlight { identity, algorithm, question: true, again: None };
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
        let SignRequest { identity, algorithm, .. } = request;
        if self.used.iter().any(|used| used.identity == *identity) {
            return Err(RequestError::AlreadyTried);
        }
        // Not the data of the request, which may come from another session: ours. How a token was
        // used is for the server to judge.
        let data = self.data_to_sign(identity, *algorithm);
        let key = identity.key();
        key.verify_proof(*algorithm, &data, signature).map_err(RequestError::Signature)?;
        self.used.push(UsedKey { identity: identity.clone(), done: false });
        let (identity, algorithm) = (identity.clone(), *algorithm);
        let in_flight = KeyInFlight { identity, algorithm, question: false, again: None };
        self.send_key(in_flight, Some(signature), out);
        Ok(())
    }

    fn send_key(&mut self, request: KeyInFlight, signature: Option<&[u8]>, out: &mut dyn Outbox) {
        let identity = request.identity.clone();
        let algorithm = wire_name(&identity, request.algorithm);
        let method = MethodRequest::PublicKey { algorithm, key: identity.blob(), signature };
        self.request(method, InFlight::PublicKey(request), out);
    }

    /// Number 60 while a question is out.
    pub(super) fn key_accepted(&mut self, payload: &[u8]) -> Result<AuthEvent, AuthError> {
        let Some(InFlight::PublicKey(asked)) = &self.in_flight else {
            return Err(self.unasked(PublicKeyOk::NUMBER));
        };
        let PublicKeyMessage::PublicKeyOk(PublicKeyOk { algorithm, key }) =
            PublicKeyMessage::parse(payload)?;
        let name = wire_name(&asked.identity, asked.algorithm);
        if algorithm != name || key != asked.identity.blob() {
            return Err(PeerMisbehaved::OtherKeyAccepted.into());
        }
        let data = self.data_to_sign(&asked.identity, asked.algorithm);
        let (identity, algorithm) = (asked.identity.clone(), asked.algorithm);
        let request = SignRequest { identity, algorithm, data };
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
        self.ready().is_ok() && self.sign_and_send(refused.identity, &key, algorithms, out).is_ok()
    }

    /// A factor is complete. Keys that were refused may have come too early and can be tried
    /// again for the next factor; the one that completed this factor cannot.
    pub(super) fn factor_done(&mut self, by: Option<&KeyInFlight>) {
        for used in &mut self.used {
            used.done |= by.is_some_and(|by| by.identity == used.identity);
        }
        self.used.retain(|used| used.done);
    }
}

impl KeyInFlight {
    pub(super) fn attempt(&self) -> KeyAttempt {
        KeyAttempt {
            fingerprint: self.identity.key().fingerprint(),
            algorithm: Some(self.algorithm),
        }
    }
}
