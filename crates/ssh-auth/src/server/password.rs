//! RFC 4252 §8: the method `password`.

use alloc::string::{String, ToString};

use ssh_crypto::Secret;
use ssh_wire::Outbox;

use super::{Acceptor, AuthQuestion, Credential, Refusal};
use crate::{
    error::AuthError, event::ServerAuthEvent, limits::MAX_PASSWORD, message::PasswordChangeRequest,
};

impl Acceptor {
    pub(super) fn password_requested(
        &mut self,
        password: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<ServerAuthEvent, AuthError> {
        match take(password) {
            Some(password) => Ok(self.ask(Credential::Password(password))),
            None => self.refuse(Refusal::Password, out),
        }
    }

    pub(super) fn password_change_requested(
        &mut self,
        old: &[u8],
        new: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<ServerAuthEvent, AuthError> {
        match (take(old), take(new)) {
            (Some(old), Some(new)) => Ok(self.ask(Credential::PasswordChange { old, new })),
            _ => self.refuse(Refusal::Password, out),
        }
    }

    /// Answers a question about a password: it has expired, or the new one is not good enough,
    /// and `prompt` says so. For a question about anything else this is [`Self::reject`].
    ///
    /// # Errors
    /// As [`Self::reject`].
    pub fn demand_password_change(
        &mut self,
        question: AuthQuestion,
        prompt: &str,
        out: &mut dyn Outbox,
    ) -> Result<(), AuthError> {
        match question.credential() {
            Credential::Password(_) | Credential::PasswordChange { .. } => {
                if self.answered(&question) {
                    let prompt = prompt.as_bytes();
                    out.send(&PasswordChangeRequest { prompt, language: b"" });
                }
                Ok(())
            }
            Credential::None | Credential::Key { .. } => self.reject(question, out),
        }
    }
}

/// A password as the application gets it.
fn take(password: &[u8]) -> Option<Secret<String>> {
    if password.len() > MAX_PASSWORD {
        return None;
    }
    core::str::from_utf8(password).ok().map(|password| Secret::new(password.to_string()))
}
