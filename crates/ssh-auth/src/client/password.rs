//! RFC 4252 §8: the method `password`.

use alloc::string::String;

use ssh_crypto::Secret;
use ssh_wire::{Outbox, PeerText};

use super::{Authenticator, InFlight, RequestError};
use crate::{
    error::AuthError,
    event::AuthEvent,
    message::{MethodRequest, PasswordMessage},
    record::Outcome,
};

impl Authenticator {
    /// Sends the password.
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent.
    pub fn try_password(
        &mut self,
        password: Secret<String>,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        self.ready()?;
        let method = MethodRequest::Password { password: password.expose().as_bytes() };
        self.request(method, InFlight::Password, out);
        Ok(())
    }

    /// Sends the password and a new one, mostly after [`AuthEvent::ChangePassword`].
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent.
    pub fn change_password(
        &mut self,
        old: Secret<String>,
        new: Secret<String>,
        out: &mut dyn Outbox,
    ) -> Result<(), RequestError> {
        self.ready()?;
        let (old, new) = (old.expose().as_bytes(), new.expose().as_bytes());
        self.request(MethodRequest::PasswordChange { old, new }, InFlight::Password, out);
        Ok(())
    }

    /// Number 60 while a password is out.
    pub(super) fn password_expired(&mut self, payload: &[u8]) -> Result<AuthEvent, AuthError> {
        match PasswordMessage::parse(payload)? {
            PasswordMessage::PasswordChangeRequest(message) => {
                self.in_flight = None;
                self.record.end(Outcome::PasswordExpired, None);
                Ok(AuthEvent::ChangePassword { prompt: PeerText::from_bytes(message.prompt) })
            }
        }
    }
}
