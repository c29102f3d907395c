//! RFC 4252, the server: reads requests one at a time and puts them to the application.
//!
//! ```text
//!          SERVICE_REQUEST              USERAUTH_REQUEST            accept
//!   Service ────────────► Requests: idle ─────────────► asked ─────────────────────► Done
//!           SERVICE_ACCEPT     ▲  │                       │           SUCCESS
//!                              │  └─ refused by itself    │ reject, accept_partially,
//!                              │     FAILURE              │ accept of an unproven key
//!                              └──────────────────────────┘ FAILURE, PK_OK
//! ```
//! A request that comes while the application thinks is kept until [`Acceptor::poll`]. Everything
//! that has no arrow is an error that stays.

mod limits;
mod none;
mod password;
mod publickey;
mod question;

use alloc::{boxed::Box, collections::VecDeque, string::String, vec::Vec};

use ssh_crypto::Secret;
use ssh_keys::PublicKey;
use ssh_wire::{
    Message, NameList, Outbox, PeerText,
    proof::{Authenticated, SessionId},
};

pub use self::{
    limits::Limits,
    question::{AuthQuestion, Credential},
};
pub use crate::event::{Refusal, ServerAuthEvent};
pub use crate::method::MethodSet;
use crate::{
    error::{AuthError, Limit, PeerMisbehaved},
    limits::{MAX_PIPELINED, MAX_PIPELINED_BYTES, MAX_USER_NAME},
    message::{
        CONNECTION_SERVICE, ClientMessage, MethodRequest, PublicKeyOk, ServiceAccept,
        ServiceRequest, USERAUTH_SERVICE, UserauthBanner, UserauthFailure, UserauthRequest,
        UserauthSuccess,
    },
    method::Method,
    signing::wire_name,
};

/// The server's side of authentication.
///
/// Signatures, names and counts are checked here; whether a key or password belongs to a user is
/// the application's to say, and so is taking as long for users who do not exist.
#[derive(Debug)]
pub struct Acceptor {
    session: SessionId,
    limits: Limits,
    /// What can continue now.
    methods: MethodSet,
    phase: Phase,
    ended: Option<AuthError>,
    /// Who asks: the first request decides, and the others must agree (RFC 4252 §5).
    user: Option<Box<str>>,
    /// The number of the question the application has not answered.
    asked: Option<u32>,
    requests: u32,
    failures: u32,
    /// The number of the request that was the first `none`, which is not counted; zero before.
    first_none: u32,
    used_keys: Vec<PublicKey>,
    /// Requests that came while a question was open.
    ahead: VecDeque<Secret<Vec<u8>>>,
    /// Banners from before the service started.
    banners: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing came.
    Service,
    /// The service runs.
    Requests,
    /// SUCCESS is sent.
    Done,
}

impl Acceptor {
    /// Waits for a client. `methods` are those that can let it in; [`Method::None`] among them
    /// means that the application wants to be asked about clients that show nothing.
    #[must_use]
    pub fn new(session: &SessionId, limits: Limits, methods: MethodSet) -> Self {
        Self {
            session: session.clone(),
            limits,
            methods,
            phase: Phase::Service,
            ended: None,
            user: None,
            asked: None,
            requests: 0,
            failures: 0,
            first_none: 0,
            used_keys: Vec::new(),
            ahead: VecDeque::new(),
            banners: Vec::new(),
        }
    }

    /// The user that the client asks to be; empty before its first request.
    #[must_use]
    pub fn user(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }

    /// True once SUCCESS is sent.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// Takes a message from the client: SERVICE_REQUEST (5), or a payload of 50 to 79.
    ///
    /// # Errors
    /// [`AuthError`], with which authentication has ended: the same comes from every later call.
    pub fn handle(
        &mut self,
        payload: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<Option<ServerAuthEvent>, AuthError> {
        self.alive()?;
        if self.asked.is_some() || !self.ahead.is_empty() {
            self.keep(payload)?;
            return self.poll(out);
        }
        let result = self.dispatch(payload, out);
        self.note(result)
    }

    /// Goes on with requests that came while a question was open. To be called after each answer,
    /// until it gives nothing.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn poll(&mut self, out: &mut dyn Outbox) -> Result<Option<ServerAuthEvent>, AuthError> {
        self.alive()?;
        while self.asked.is_none() {
            let Some(payload) = self.ahead.pop_front() else { break };
            let result = self.dispatch(payload.expose(), out);
            if let Some(event) = self.note(result)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn alive(&self) -> Result<(), AuthError> {
        self.ended.clone().map_or(Ok(()), Err)
    }

    fn note<T>(&mut self, result: Result<T, AuthError>) -> Result<T, AuthError> {
        if let Err(error) = &result {
            self.ended = Some(error.clone());
            self.asked = None;
            self.ahead.clear();
        }
        result
    }

    fn keep(&mut self, payload: &[u8]) -> Result<(), AuthError> {
        let bytes = self.ahead.iter().map(|payload| payload.expose().len()).sum::<usize>();
        let fits = self.ahead.len() < MAX_PIPELINED
            && bytes.saturating_add(payload.len()) <= MAX_PIPELINED_BYTES;
        if !fits {
            return self.note(Err(AuthError::LimitExceeded(Limit::Pipelined)));
        }
        self.ahead.push_back(Secret::new(payload.to_vec()));
        Ok(())
    }

    /// The whole table of what may come when. Only the arms that name a phase and a message act.
    fn dispatch(
        &mut self,
        payload: &[u8],
        out: &mut dyn Outbox,
    ) -> Result<Option<ServerAuthEvent>, AuthError> {
        const SERVICE: u8 = ServiceRequest::NUMBER;
        const REQUEST: u8 = UserauthRequest::NUMBER;
        let number = payload.first().copied().unwrap_or_default();
        match (self.phase, number) {
            (Phase::Service | Phase::Requests, SERVICE) | (Phase::Requests, REQUEST) => {
                self.requests = self.requests.saturating_add(1);
                if self.requests > self.limits.max_requests {
                    return Err(AuthError::LimitExceeded(Limit::Requests));
                }
                match ClientMessage::parse(payload)? {
                    ClientMessage::ServiceRequest(message) => self.service(message, out),
                    ClientMessage::UserauthRequest(message) => self.request(message, out).map(Some),
                }
            }
            // "Any further authentication requests received after that SHOULD be silently
            // ignored" (RFC 4252 §5.1).
            (Phase::Done, REQUEST) => Ok(None),
            (Phase::Service, REQUEST) => Err(PeerMisbehaved::AuthBeforeService { number }.into()),
            (Phase::Done, SERVICE) => Err(PeerMisbehaved::MessageAfterSuccess { number }.into()),
            (Phase::Service | Phase::Requests | Phase::Done, _) => {
                Err(PeerMisbehaved::UnexpectedMessage { number }.into())
            }
        }
    }

    /// RFC 4253 §10. Asking again is harmless, and old versions of paramiko do so before each
    /// request.
    fn service(
        &mut self,
        message: ServiceRequest<'_>,
        out: &mut dyn Outbox,
    ) -> Result<Option<ServerAuthEvent>, AuthError> {
        if message.service != USERAUTH_SERVICE {
            return Err(not_available(message.service));
        }
        self.phase = Phase::Requests;
        out.send(&ServiceAccept { service: USERAUTH_SERVICE });
        for text in core::mem::take(&mut self.banners) {
            send_banner(&text, out);
        }
        Ok(None)
    }

    fn request(
        &mut self,
        message: UserauthRequest<'_>,
        out: &mut dyn Outbox,
    ) -> Result<ServerAuthEvent, AuthError> {
        self.check_identity(message.user, message.service)?;
        let name = message.method.name();
        let open = Method::from_name(name).is_some_and(|method| self.methods.contains(method));
        match message.method {
            // Whether it is open or not: the first one is not counted.
            MethodRequest::None => self.none_requested(out),
            MethodRequest::PublicKey { algorithm, key, signature } if open => {
                self.key_requested(algorithm, key, signature, out)
            }
            MethodRequest::Password { password } if open => self.password_requested(password, out),
            MethodRequest::PasswordChange { old, new } if open => {
                self.password_change_requested(old, new, out)
            }
            MethodRequest::PublicKey { .. }
            | MethodRequest::Password { .. }
            | MethodRequest::PasswordChange { .. }
            | MethodRequest::Other { .. } => {
                self.refuse(Refusal::Method { name: PeerText::from(name) }, out)
            }
        }
    }

    /// RFC 4252 §5: "If it is unable to flush an authentication state, it MUST disconnect if the
    /// 'user name' or 'service name' changes." Nobody needs the change, so nothing is flushed.
    fn check_identity(&mut self, user: &str, service: &str) -> Result<(), AuthError> {
        let known = self.user.as_deref();
        if service != CONNECTION_SERVICE {
            return Err(match known {
                Some(_) => PeerMisbehaved::ServiceChanged.into(),
                None => not_available(service),
            });
        }
        match known {
            Some(known) if known == user => Ok(()),
            Some(_) => Err(PeerMisbehaved::UserChanged.into()),
            None if user.len() > MAX_USER_NAME || user.contains(char::is_control) => {
                Err(AuthError::IllegalUserName)
            }
            None => {
                self.user = Some(user.into());
                Ok(())
            }
        }
    }

    fn ask(&mut self, credential: Credential) -> ServerAuthEvent {
        // The number of requests is bounded and counts up: a good name for the question.
        let id = self.requests;
        self.asked = Some(id);
        let (session, user) = (self.session.clone(), self.user().into());
        ServerAuthEvent::Request(AuthQuestion { session, id, user, credential })
    }

    /// True if this is the answer to the open question, which it then no longer is.
    fn answered(&mut self, question: &AuthQuestion) -> bool {
        let ours = self.asked == Some(question.id) && self.session == question.session;
        if ours {
            self.asked = None;
        }
        ours
    }

    /// Yes. Whoever showed a password, or a key with a signature, is in, and the connection
    /// protocol can start; nothing comes back for a key without a signature, whose client is now
    /// asked to sign, and for a question that was not open.
    pub fn accept(
        &mut self,
        question: AuthQuestion,
        out: &mut dyn Outbox,
    ) -> Option<Authenticated> {
        if !self.answered(&question) {
            return None;
        }
        match question.credential {
            Credential::Key { algorithm, proven: false, .. } => {
                if let Some(identity) = question.credential.identity() {
                    let algorithm = wire_name(&identity, algorithm);
                    out.send(&PublicKeyOk { algorithm, key: identity.blob() });
                }
                None
            }
            Credential::None
            | Credential::Password(_)
            | Credential::PasswordChange { .. }
            | Credential::Key { proven: true, .. } => {
                self.phase = Phase::Done;
                self.ahead.clear();
                out.send(&UserauthSuccess {});
                Some(Authenticated::by_userauth_success())
            }
        }
    }

    /// Yes, but it is not enough: the client goes on with one of the methods in `remaining`. For
    /// a key without a signature, this asks the client to sign.
    ///
    /// A key that completed a factor does not complete another.
    pub fn accept_partially(
        &mut self,
        question: AuthQuestion,
        remaining: MethodSet,
        out: &mut dyn Outbox,
    ) {
        if let Credential::Key { proven: false, .. } = question.credential {
            // Makes no `Authenticated`: the key is unproven.
            let asked_to_sign = self.accept(question, out);
            debug_assert!(asked_to_sign.is_none());
            return;
        }
        if !self.answered(&question) {
            return;
        }
        if let Credential::Key { key, .. } = question.credential {
            self.used_keys.push(key);
        }
        self.methods = remaining.without(Method::None);
        self.send_failure(true, out);
    }

    /// No. The client may try again, unless it has failed too often.
    ///
    /// # Errors
    /// [`AuthError::TooManyFailures`], with which authentication has ended.
    pub fn reject(
        &mut self,
        question: AuthQuestion,
        out: &mut dyn Outbox,
    ) -> Result<(), AuthError> {
        if !self.answered(&question) {
            return Ok(());
        }
        let free =
            matches!(question.credential, Credential::None) && self.first_none == question.id;
        let result = self.fail(free, out);
        self.note(result)
    }

    /// Sends text for the user to read: a notice before the login, or the reason of a refusal
    /// (RFC 4252 §5.4). Before the service has started it is kept until then, after success it is
    /// dropped.
    pub fn banner(&mut self, text: &str, out: &mut dyn Outbox) {
        match self.phase {
            Phase::Service => self.banners.push(text.into()),
            Phase::Requests => send_banner(text, out),
            Phase::Done => {}
        }
    }

    /// A request that needs no question is refused and counted.
    fn refuse(
        &mut self,
        refusal: Refusal,
        out: &mut dyn Outbox,
    ) -> Result<ServerAuthEvent, AuthError> {
        self.fail(false, out)?;
        Ok(ServerAuthEvent::Refused(refusal))
    }

    fn fail(&mut self, free: bool, out: &mut dyn Outbox) -> Result<(), AuthError> {
        if !free {
            self.failures = self.failures.saturating_add(1);
            let limit = self.limits.max_failures.max(1);
            if self.failures >= limit {
                return Err(AuthError::TooManyFailures { limit });
            }
        }
        self.send_failure(false, out);
        Ok(())
    }

    fn send_failure(&self, partial_success: bool, out: &mut dyn Outbox) {
        let methods = NameList::from_text(self.methods.listed()).unwrap_or_default();
        out.send(&UserauthFailure { methods, partial_success });
    }
}

fn not_available(service: &str) -> AuthError {
    AuthError::ServiceNotAvailable { service: PeerText::from(service) }
}

fn send_banner(text: &str, out: &mut dyn Outbox) {
    out.send(&UserauthBanner { message: text.as_bytes(), language: b"" });
}
