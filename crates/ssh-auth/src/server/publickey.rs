//! RFC 4252 §7 and RFC 8332: the method `publickey`.

use ssh_keys::{PublicKey, algorithm::SignatureAlgorithm};
use ssh_wire::{Outbox, PeerText};

use super::{Acceptor, Credential, Refusal};
use crate::{error::AuthError, event::ServerAuthEvent, signing::signed_data};

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
        let Some(algorithm) = SignatureAlgorithm::from_name(name) else {
            return Err(Refusal::Algorithm { name: PeerText::from(name) });
        };
        let key = PublicKey::from_blob(blob).map_err(Refusal::Key)?;
        if algorithm.key_type() != key.key_type() {
            return Err(Refusal::AlgorithmOfOtherKeyType { key });
        }
        if self.used_keys.contains(&key) {
            return Err(Refusal::KeyUsed { key });
        }
        if let Some(signature) = signature {
            let data = signed_data(&self.session, self.user(), algorithm, key.blob());
            if let Err(error) = key.verify(algorithm, &data, signature) {
                return Err(Refusal::Signature { key, error });
            }
        }
        Ok(Credential::Key { key, algorithm, proven: signature.is_some() })
    }
}
