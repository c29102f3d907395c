//! RFC 4252 §7 and RFC 8332: the method `publickey`.

use ssh_keys::{Certificate, Identity, PublicKey, algorithm::SignatureAlgorithm};
use ssh_wire::{Outbox, PeerText};

use super::{Acceptor, Credential, Refusal};
use crate::{error::AuthError, event::ServerAuthEvent, signing::signed_data_of};

impl Acceptor {
    pub(super) fn key_requested(
        &mut self,
        algorithm: &str,
        blob: &[u8],
        signature: Option<&[u8]>,
        out: &mut dyn Outbox,
    ) -> Result<ServerAuthEvent, AuthError> {
        match self.check_key(algorithm, blob, signature) {
            Ok(credential) => Ok(self.ask(credential)),
            Err(refusal) => self.refuse(refusal, out),
        }
    }

    /// Everything about a key that does not depend on whose it is. The application is only asked
    /// about signatures that are good.
    fn check_key(
        &self,
        name: &str,
        blob: &[u8],
        signature: Option<&[u8]>,
    ) -> Result<Credential, Refusal> {
        let plain = SignatureAlgorithm::from_name(name);
        let certified = || SignatureAlgorithm::from_certificate_name(name);
        let Some(algorithm) = plain.or_else(certified) else {
            return Err(Refusal::Algorithm { name: PeerText::from(name) });
        };
        let identity = if plain.is_some() {
            Identity::Key(PublicKey::from_blob(blob).map_err(Refusal::Key)?)
        } else {
            Identity::Certificate(Certificate::from_blob(blob).map_err(Refusal::Certificate)?)
        };
        let (key, certificate) = (identity.key().clone(), identity.certificate().cloned());
        if algorithm.key_type() != key.key_type() {
            return Err(Refusal::AlgorithmOfOtherKeyType { key });
        }
        if self.used_keys.contains(&key) {
            return Err(Refusal::KeyUsed { key });
        }
        let mut token = None;
        if let Some(signature) = signature {
            let data = signed_data_of(&self.session, self.user(), name, blob);
            token = match key.verify_proof(algorithm, &data, signature) {
                Ok(token) => token,
                Err(error) => return Err(Refusal::Signature { key, error }),
            };
        }
        Ok(Credential::Key { key, certificate, algorithm, proven: signature.is_some(), token })
    }
}
