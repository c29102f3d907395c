//! RFC 4252, the client: sends requests one at a time and reads the answers.
//!
//! ```text
//!             SERVICE_REQUEST                    try_*                 FAILURE, PK_OK,
//!   new() ───────────────────► Service ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄► (request is     CHANGEREQ
//!                                 │     may be sent      out early)         ┌────┐
//!                                 │ SERVICE_ACCEPT                          │    │
//!                                 ▼                     try_*               │    ▼
//!                             Requests: no request out ──────► Requests: one request out
//!                                                                           │
//!                                                                           │ SUCCESS
//!                                                                           ▼
//!                                                                         Done
//! ```
//! Everything that has no arrow is an error that stays.

mod error;
mod none;
mod password;
mod publickey;

use alloc::{boxed::Box, vec::Vec};

use ssh_keys::algorithm::SignatureAlgorithm;
use ssh_wire::{
    Message, Outbox, PeerText,
    proof::{Authenticated, SessionId},
};

use self::publickey::{KeyInFlight, UsedKey};
pub use self::{error::RequestError, publickey::SignRequest};
pub use crate::event::AuthEvent;
use crate::{
    error::{AuthError, Limit, PeerMisbehaved},
    limits::{MAX_BANNER_BYTES, MAX_BANNERS, MAX_REQUESTS},
    message::{
        CONNECTION_SERVICE, MethodRequest, PasswordChangeRequest, PublicKeyOk, ServerMessage,
        ServiceAccept, ServiceRequest, USERAUTH_SERVICE, UserauthBanner, UserauthFailure,
        UserauthRequest, UserauthSuccess,
    },
    method::{Method, Methods},
    record::{AuthRecord, Outcome},
};

/// The client's side of authentication as one user for the service `ssh-connection`.
///
/// What to try and in which order is the caller's business: it calls one of the `try_` functions,
/// hands in what comes from the server, and goes on as the [`AuthEvent`] says.
#[derive(Debug)]
pub struct Authenticator {
    user: Box<str>,
    session: SessionId,
    /// What the server said it takes; none if it did not say.
    sig_algs: Option<Vec<SignatureAlgorithm>>,
    /// What may be signed with, and whether with a certificate; everything sound if not said.
    allowed: Option<Vec<(SignatureAlgorithm, bool)>>,
    phase: Phase,
    ended: Option<AuthError>,
    in_flight: Option<InFlight>,
    requests: usize,
    used: Vec<UsedKey>,
    banners: usize,
    banner_bytes: usize,
    record: AuthRecord,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The service was asked for.
    Service,
    /// The service was accepted.
    Requests,
    /// SUCCESS came.
    Done,
}

/// The request that has not been answered. It decides what the numbers from 60 on mean.
#[derive(Debug)]
enum InFlight {
    None,
    Password,
    PublicKey(KeyInFlight),
}

impl InFlight {
    const fn method(&self) -> Method {
        match self {
            Self::None => Method::None,
            Self::Password => Method::Password,
            Self::PublicKey(_) => Method::PublicKey,
        }
    }
}

impl Authenticator {
    /// Begins authentication as `user`, and asks for the service at once. Requests may follow
    /// without waiting for it to be accepted.
    ///
    /// `sig_algs` are the signature algorithms that the server said it takes (`server-sig-algs`,
    /// RFC 8308 §3.1), as far as they are known here; none if it said nothing so far.
    pub fn new(
        user: &str,
        session: &SessionId,
        sig_algs: Option<Vec<SignatureAlgorithm>>,
        out: &mut dyn Outbox,
    ) -> Self {
        out.send(&ServiceRequest { service: USERAUTH_SERVICE });
        Self {
            user: user.into(),
            session: session.clone(),
            sig_algs,
            allowed: None,
            phase: Phase::Service,
            ended: None,
            in_flight: None,
            requests: 0,
            used: Vec::new(),
            banners: 0,
            banner_bytes: 0,
            record: AuthRecord::default(),
        }
    }

    /// Takes note of the signature algorithms that the server takes: they come in an EXT_INFO,
    /// which may be late and may come twice; the later one counts (RFC 8308 §2.4).
    pub fn set_server_sig_algs(&mut self, algorithms: Vec<SignatureAlgorithm>) {
        self.sig_algs = Some(algorithms);
    }

    /// The user.
    #[must_use]
    pub const fn user(&self) -> &str {
        &self.user
    }

    /// True while a request is out.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        self.in_flight.is_some()
    }

    /// What was tried so far, and how it went.
    #[must_use]
    pub const fn record(&self) -> &AuthRecord {
        &self.record
    }

    /// Takes a message from the server: a payload of 50 to 79, or SERVICE_ACCEPT (6).
    ///
    /// # Errors
    /// [`AuthError`], with which authentication has ended: the same comes from every later call.
    pub fn handle(
        &mut self,
        payload: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<Option<AuthEvent>, AuthError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        let result = self.dispatch(payload, out);
        if let Err(error) = &result {
            self.ended = Some(error.clone());
            self.in_flight = None;
        }
        result
    }

    /// The whole table of what may come when. Only the arms that name a phase and a message act.
    fn dispatch(
        &mut self,
        payload: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<Option<AuthEvent>, AuthError> {
        const ACCEPT: u8 = ServiceAccept::NUMBER;
        const FAILURE: u8 = UserauthFailure::NUMBER;
        const SUCCESS: u8 = UserauthSuccess::NUMBER;
        const BANNER: u8 = UserauthBanner::NUMBER;
        let number = payload.first().copied().unwrap_or_default();
        match (self.phase, number) {
            (Phase::Service, ACCEPT) | (Phase::Requests, FAILURE | SUCCESS | BANNER) => {
                match ServerMessage::parse(payload)? {
                    ServerMessage::ServiceAccept(message) => self.service_accept(message),
                    ServerMessage::UserauthFailure(message) => self.failure(message, out),
                    ServerMessage::UserauthSuccess(_) => self.success(),
                    ServerMessage::UserauthBanner(message) => self.banner(message),
                }
            }
            (Phase::Requests, 60..=79) => self.method_message(number, payload).map(Some),
            (Phase::Requests, ACCEPT) => Err(PeerMisbehaved::ServiceAcceptedTwice.into()),
            (Phase::Service, FAILURE | SUCCESS | BANNER | 60..=79) => {
                Err(PeerMisbehaved::BeforeServiceAccept { number }.into())
            }
            (Phase::Done, ACCEPT | FAILURE | SUCCESS | BANNER | 60..=79) => {
                Err(PeerMisbehaved::MessageAfterSuccess { number }.into())
            }
            (Phase::Service | Phase::Requests | Phase::Done, _) => {
                Err(PeerMisbehaved::UnexpectedMessage { number }.into())
            }
        }
    }

    fn service_accept(
        &mut self,
        message: ServiceAccept<'_>,
    ) -> Result<Option<AuthEvent>, AuthError> {
        if message.service != USERAUTH_SERVICE {
            let service = PeerText::from(message.service);
            return Err(PeerMisbehaved::OtherServiceAccepted { service }.into());
        }
        self.phase = Phase::Requests;
        Ok(None)
    }

    fn failure(
        &mut self,
        message: UserauthFailure<'_>,
        out: &mut dyn Outbox,
    ) -> Result<Option<AuthEvent>, AuthError> {
        let remaining = Methods::from_list(message.methods)?;
        let partial = message.partial_success;
        let Some(in_flight) = self.in_flight.take() else {
            return Err(self.unasked(UserauthFailure::NUMBER));
        };
        let key = match in_flight {
            InFlight::PublicKey(key) if key.question && partial => {
                return Err(PeerMisbehaved::QuestionAnsweredBySuccess { partial }.into());
            }
            InFlight::PublicKey(key) => Some(key),
            InFlight::None | InFlight::Password => None,
        };
        let outcome = if partial { Outcome::PartialSuccess } else { Outcome::Failed };
        self.record.end(outcome, Some(&remaining));
        if partial {
            self.factor_done(key.as_ref());
        } else if let Some(key) = key
            && remaining.contains(Method::PublicKey)
            && self.sign_again(key, out)
        {
            return Ok(None);
        }
        Ok(Some(AuthEvent::Failed { remaining, partial }))
    }

    fn success(&mut self) -> Result<Option<AuthEvent>, AuthError> {
        match self.in_flight.take() {
            None => Err(self.unasked(UserauthSuccess::NUMBER)),
            Some(InFlight::PublicKey(key)) if key.question => {
                Err(PeerMisbehaved::QuestionAnsweredBySuccess { partial: false }.into())
            }
            Some(InFlight::None | InFlight::Password | InFlight::PublicKey(_)) => {
                self.record.end(Outcome::Success, None);
                self.phase = Phase::Done;
                Ok(Some(AuthEvent::Success(Authenticated::by_userauth_success())))
            }
        }
    }

    fn banner(&mut self, message: UserauthBanner<'_>) -> Result<Option<AuthEvent>, AuthError> {
        self.banners = self.banners.saturating_add(1);
        self.banner_bytes = self.banner_bytes.saturating_add(message.message.len());
        if self.banners > MAX_BANNERS {
            return Err(AuthError::LimitExceeded(Limit::Banners));
        }
        if self.banner_bytes > MAX_BANNER_BYTES {
            return Err(AuthError::LimitExceeded(Limit::BannerBytes));
        }
        Ok(Some(AuthEvent::Banner(PeerText::from_bytes(message.message))))
    }

    fn method_message(&mut self, number: u8, payload: &[u8]) -> Result<AuthEvent, AuthError> {
        const KEY_OK: u8 = PublicKeyOk::NUMBER;
        const CHANGE: u8 = PasswordChangeRequest::NUMBER;
        match (&self.in_flight, number) {
            (Some(InFlight::PublicKey(key)), KEY_OK) if key.question => self.key_accepted(payload),
            (Some(InFlight::Password), CHANGE) => self.password_expired(payload),
            (in_flight, _) => {
                let method = in_flight.as_ref().map(InFlight::method);
                Err(PeerMisbehaved::MethodMessageOutOfPlace { number, method }.into())
            }
        }
    }

    const fn unasked(&self, number: u8) -> AuthError {
        AuthError::PeerMisbehaved(PeerMisbehaved::ReplyWithoutRequest { number })
    }

    /// What has to hold before a request goes out.
    fn ready(&self) -> Result<(), RequestError> {
        if let Some(error) = &self.ended {
            return Err(RequestError::Ended(error.clone()));
        }
        match (self.phase, &self.in_flight) {
            (Phase::Done, _) => Err(RequestError::Succeeded),
            (Phase::Service | Phase::Requests, Some(_)) => Err(RequestError::Busy),
            (Phase::Service | Phase::Requests, None) if self.requests >= MAX_REQUESTS => {
                Err(RequestError::TooManyRequests)
            }
            (Phase::Service | Phase::Requests, None) => Ok(()),
        }
    }

    fn request(&mut self, method: MethodRequest<'_>, in_flight: InFlight, out: &mut dyn Outbox) {
        let key = match &in_flight {
            InFlight::PublicKey(key) => Some(key.attempt()),
            InFlight::None | InFlight::Password => None,
        };
        self.record.begin(in_flight.method(), key, Outcome::Pending);
        self.requests = self.requests.saturating_add(1);
        self.in_flight = Some(in_flight);
        out.send(&UserauthRequest { user: &self.user, service: CONNECTION_SERVICE, method });
    }
}
