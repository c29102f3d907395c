//! RFC 4252 §5.2: the method `none`, which asks what else there is.

use ssh_wire::Outbox;

use super::{Authenticator, InFlight, RequestError};
use crate::message::MethodRequest;

impl Authenticator {
    /// Asks to be let in without any proof. The answer is a list of methods, or, where the server
    /// needs no authentication, success.
    ///
    /// # Errors
    /// [`RequestError`]: nothing was sent.
    pub fn try_none(&mut self, out: &mut dyn Outbox) -> Result<(), RequestError> {
        self.ready()?;
        self.request(MethodRequest::None, InFlight::None, out);
        Ok(())
    }
}
