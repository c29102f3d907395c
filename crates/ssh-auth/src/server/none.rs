//! RFC 4252 §5.2: the method `none`, which asks what else there is.

use ssh_wire::Outbox;

use super::{Acceptor, Credential, Refusal};
use crate::{error::AuthError, event::ServerAuthEvent, method::Method};

impl Acceptor {
    pub(super) fn none_requested(
        &mut self,
        out: &mut dyn Outbox,
    ) -> Result<ServerAuthEvent, AuthError> {
        // Everybody begins with it, to learn the methods: once, it is not a guess.
        if self.first_none == 0 {
            self.first_none = self.requests;
        }
        if self.methods.contains(Method::None) {
            return Ok(self.ask(Credential::None));
        }
        self.fail(self.first_none == self.requests, out)?;
        Ok(ServerAuthEvent::Refused(Refusal::Method { name: Method::None.name().into() }))
    }
}
