//! The loop that tries credentials until the server is content.

use std::{path::PathBuf, sync::Arc};

use ssh_agent::client::SessionBind;
use ssh_auth::{
    client::{AuthEvent, RequestError, SignRequest},
    method::Method,
    record,
};
use ssh_keys::{Certificate, Identity, PublicKey, ReadLimits};
use ssh_transport::HostKeyOffer;
use ssh_wire::PeerText;

use super::{
    Auth,
    auth::{AgentKeys, Credential},
    front::{Budget, Front, blocking},
    key_file::{self, Asking, KeyFile},
};
use crate::{
    agent::Agent,
    error::{AuthFailure, Error, Phase},
    session::SessionEvent,
};

/// A credential on the way through the login.
struct Step {
    credential: Credential,
    state: StepState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum StepState {
    /// Its turn has not come.
    Waits,
    /// It was refused, or is of a method that is not wanted now. If another one does its part and
    /// more is needed, it gets another turn: it may have come too early.
    Failed,
    /// It has done its part, or is of no use.
    Done,
}

impl Step {
    const fn new(credential: Credential) -> Self {
        Self { credential, state: StepState::Waits }
    }
}

/// What became of one request.
enum Outcome {
    Success,
    /// The server would take this signature of the key that it was asked about.
    KeyWanted(Box<SignRequest>),
    Failed {
        partial: bool,
    },
}

/// The loop over the credentials.
pub(super) struct Attempts<'a> {
    front: &'a Front,
    budget: &'a mut Budget,
    login: Login<'a>,
    on_banner: Option<&'a (dyn Fn(&PeerText) + Send + Sync)>,
    /// The methods that the server would accept; unknown before its first answer.
    allowed: Option<Vec<String>>,
    /// Keys that the server was asked about and does not want now.
    refused: Vec<Identity>,
    /// Agents that know which host this is.
    bound: Vec<Agent>,
}

/// What became of a credential's turn.
enum Turn {
    /// It could not be tried.
    Nothing,
    Over(Outcome),
    /// These are to be tried in its place.
    More(Vec<Credential>),
}

/// How a host proved who it is, in the words that an agent is told so with.
#[derive(Clone, Debug, Default)]
pub(super) struct HostProof {
    pub(super) key: Vec<u8>,
    pub(super) session_id: Vec<u8>,
    pub(super) signature: Vec<u8>,
}

impl HostProof {
    /// The session is named after the first key exchange, of which this is.
    pub(super) fn of(offer: &HostKeyOffer) -> Self {
        Self {
            key: offer.certificate().map_or(offer.key().blob(), Certificate::blob).to_vec(),
            session_id: offer.exchange_hash().to_vec(),
            signature: offer.signature().to_vec(),
        }
    }
}

/// Who logs in where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Login<'a> {
    pub(super) user: &'a str,
    pub(super) host: &'a str,
    /// The smallest RSA key in a file that may be used.
    pub(super) min_rsa_bits: usize,
    pub(super) proof: &'a HostProof,
}

impl<'a> Attempts<'a> {
    pub(super) const fn new(
        front: &'a Front,
        budget: &'a mut Budget,
        login: Login<'a>,
        on_banner: Option<&'a (dyn Fn(&PeerText) + Send + Sync)>,
    ) -> Self {
        Self {
            front,
            budget,
            login,
            on_banner,
            allowed: None,
            refused: Vec::new(),
            bound: Vec::new(),
        }
    }

    /// Tries the credentials in order until the server is content.
    pub(super) async fn run(mut self, auth: Auth) -> Result<(), Error> {
        let plan = auth.plan();
        let mut all: Vec<Step> = auth.credentials.into_iter().map(Step::new).collect();
        // What could not even be tried. Told if nothing else was.
        let mut unusable = None;
        while let Some(at) = all.iter().position(|step| step.state == StepState::Waits) {
            let Some(step) = all.get_mut(at) else { break };
            if matches!(step.credential, Credential::AskPassword { .. })
                && self.allowed.is_none()
                && let Outcome::Success = self.attempt(&Credential::None).await?
            {
                return Ok(());
            }
            if !self.allows(step.credential.method()) {
                step.state = StepState::Failed;
                continue;
            }
            let outcome = match self.take_turn(step).await {
                Ok(outcome) => outcome,
                Err(error @ (Error::KeyFile(_) | Error::LocalFile(_) | Error::Agent(_))) => {
                    unusable.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match outcome {
                Turn::Over(Outcome::Success) => return Ok(()),
                Turn::Nothing
                | Turn::Over(Outcome::KeyWanted(_) | Outcome::Failed { partial: false }) => {}
                Turn::Over(Outcome::Failed { partial: true }) => {
                    step.state = StepState::Done;
                    self.refused.clear();
                    // What was refused or not allowed may be what is wanted now.
                    for step in all.iter_mut().filter(|step| step.state == StepState::Failed) {
                        step.state = StepState::Waits;
                    }
                }
                Turn::More(keys) => {
                    step.state = StepState::Done;
                    all.splice(at..at, keys.into_iter().map(Step::new));
                }
            }
        }
        let record = self.front.auth_record();
        let only_asked = record.attempts.iter().all(|attempt| {
            attempt.method == Method::None || attempt.outcome == record::Outcome::KeyAcceptable
        });
        match unusable {
            Some(error) if only_asked => Err(error),
            _ => Err(Error::Auth(Box::new(AuthFailure {
                user: self.login.user.to_owned(),
                plan: plan.steps,
                record,
                remaining: self.allowed.unwrap_or_default(),
                unusable,
            }))),
        }
    }

    /// Does with a credential what can be done.
    async fn take_turn(&mut self, step: &mut Step) -> Result<Turn, Error> {
        match self.prepare(step).await? {
            None => Ok(Turn::Nothing),
            Some(Credential::Agent(keys)) => self.open_agent(keys).await.map(Turn::More),
            Some(Credential::AgentKey { agent, identity, .. }) => {
                self.attempt_by_agent(&agent, &identity).await.map(Turn::Over)
            }
            Some(Credential::KeyFile { path, passphrase, optional }) => {
                match self.open_file(path, passphrase).await {
                    Err(Error::KeyFile(_) | Error::LocalFile(_)) if optional => {
                        step.state = StepState::Done;
                        Ok(Turn::Nothing)
                    }
                    Err(error) => {
                        step.state = StepState::Done;
                        Err(error)
                    }
                    // Nobody is asked twice for the same passphrase.
                    Ok(Some(keys)) => Ok(Turn::More(keys)),
                    Ok(None) => Ok(Turn::Nothing),
                }
            }
            // An agent or another file has it too, and the server does not want it.
            Some(Credential::Key(key)) if self.is_refused(key.public()) => Ok(Turn::Nothing),
            Some(ready) => self.attempt(&ready).await.map(Turn::Over),
        }
    }

    fn allows(&self, method: &str) -> bool {
        method == "none"
            || self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|name| name == method))
    }

    /// Reads the file or asks the person; what is to be sent. The step counts as failed from now
    /// on, unless the person may be asked again.
    async fn prepare(&self, step: &mut Step) -> Result<Option<Credential>, Error> {
        step.state = StepState::Failed;
        match &mut step.credential {
            Credential::AskPassword { ask, times } => {
                let Some(left) = times.checked_sub(1) else { return Ok(None) };
                *times = left;
                let ask = Arc::clone(ask);
                let question = format!("{}@{}'s password: ", self.login.user, self.login.host);
                let answer = blocking(move || ask(&question)).await?;
                step.state = match (&answer, left) {
                    (None, _) => StepState::Done,
                    (_, 0) => StepState::Failed,
                    _ => StepState::Waits,
                };
                Ok(answer.map(Credential::Password))
            }
            Credential::None => {
                // It has told what it can: asking again would count as a failure.
                step.state = StepState::Done;
                Ok(Some(Credential::None))
            }
            other => Ok(Some(other.clone())),
        }
    }

    /// True if the server was asked about the key and does not want it now.
    fn is_refused(&self, key: &PublicKey) -> bool {
        self.refused.iter().any(|refused| matches!(refused, Identity::Key(known) if known == key))
    }

    /// Reads a key file, and unlocks it if it is encrypted and the server wants the key or the
    /// certificate beside it; `None` if it wants neither.
    async fn open_file(
        &mut self,
        path: PathBuf,
        asking: Option<Asking>,
    ) -> Result<Option<Vec<Credential>>, Error> {
        let limits = ReadLimits::USUAL.with_min_rsa_bits(self.login.min_rsa_bits);
        let (file, certificate) = blocking(move || {
            let file = key_file::read(&path, &limits)?;
            let certificate = key_file::certificate(&path);
            Ok::<_, Error>((file, certificate))
        })
        .await??;
        let certificate = certificate.filter(|certificate| certificate.key() == file.public());
        let key = match file {
            KeyFile::Plain(key) => key,
            KeyFile::Encrypted(locked) => {
                let Some(asking) = asking else { return Err(locked.locked()) };
                let shown = certificate.clone().map(Identity::Certificate);
                let shown = shown.into_iter().chain([Identity::Key(locked.public().clone())]);
                let mut is_wanted = false;
                for identity in shown {
                    is_wanted = matches!(self.ask_for(&identity).await?, Outcome::KeyWanted(_));
                    if is_wanted {
                        break;
                    }
                }
                if !is_wanted {
                    return Ok(None);
                }
                blocking(move || locked.unlock(&asking)).await??
            }
        };
        let certified =
            certificate.map(|certificate| Credential::Certified(key.clone(), certificate));
        Ok(Some(certified.into_iter().chain([Credential::Key(key)]).collect()))
    }

    /// Asks the server whether it wants a key, with the algorithm it would sign with first.
    async fn ask_for(&mut self, identity: &Identity) -> Result<Outcome, Error> {
        let sent = self.front.with_authenticator(|auth, out| {
            let key_type = identity.key().key_type();
            match auth.algorithms_for(identity).first() {
                Some(&algorithm) => auth.ask_identity(identity, algorithm, out),
                None => Err(RequestError::NoAlgorithm { key_type }),
            }
        })?;
        self.outcome(sent).await
    }

    /// The keys that an agent holds, those of kinds that are known here.
    async fn open_agent(&mut self, keys: AgentKeys) -> Result<Vec<Credential>, Error> {
        let agent = match keys {
            AgentKeys::FromEnv => Agent::from_env().await?,
            AgentKeys::Over(agent) => agent,
        };
        self.bind(&agent).await?;
        let identities = agent.list().await?.into_iter();
        Ok(identities
            .filter_map(|held| {
                let identity = Identity::from_blob(&held.blob).ok()?;
                let (agent, comment) = (agent.clone(), held.comment);
                Some(Credential::AgentKey { agent, identity, comment })
            })
            .collect())
    }

    /// Tells an agent which host its signatures are for. One that does not want to know will sign
    /// with keys that are not bound to hosts.
    async fn bind(&mut self, agent: &Agent) -> Result<(), Error> {
        if self.bound.iter().any(|bound| bound.is_same(agent)) {
            return Ok(());
        }
        self.bound.push(agent.clone());
        let bind = SessionBind {
            host_key: &self.login.proof.key,
            session_id: &self.login.proof.session_id,
            signature: &self.login.proof.signature,
            is_forwarding: false,
        };
        match agent.bind_session(&bind).await {
            Err(Error::Agent(error)) if error.is_refusal() => Ok(()),
            other => other,
        }
    }

    /// Asks the server about a key, and has the agent sign if it wants it. The agent may have to
    /// ask a person, whose time does not count.
    async fn attempt_by_agent(
        &mut self,
        agent: &Agent,
        identity: &Identity,
    ) -> Result<Outcome, Error> {
        let outcome = self.ask_for(identity).await?;
        let Outcome::KeyWanted(request) = outcome else {
            if matches!(outcome, Outcome::Failed { partial: false }) {
                self.refused.push(identity.clone());
            }
            return Ok(outcome);
        };
        self.bind(agent).await?;
        let signature = agent.sign(identity.blob(), request.algorithm(), request.data()).await?;
        let sent =
            self.front.with_authenticator(|auth, out| auth.signed(&request, &signature, out))?;
        self.outcome(sent).await
    }

    /// Sends one request and waits for its answer.
    async fn attempt(&mut self, credential: &Credential) -> Result<Outcome, Error> {
        let sent = self.front.with_authenticator(|auth, out| match credential {
            Credential::Password(password) => auth.try_password(password.clone(), out),
            Credential::Key(key) => auth.try_key(key, out),
            Credential::Certified(key, certificate) => auth.try_certificate(key, certificate, out),
            _ => auth.try_none(out),
        })?;
        self.outcome(sent).await
    }

    /// Waits for the answer to a request that was sent.
    async fn outcome(&mut self, sent: Result<(), RequestError>) -> Result<Outcome, Error> {
        match sent {
            Ok(()) => {}
            // Of no use here; the record says so, and the next one gets its turn.
            Err(RequestError::NoAlgorithm { .. } | RequestError::AlreadyTried) => {
                return Ok(Outcome::Failed { partial: false });
            }
            Err(error) => return Err(Error::AuthRequest(Box::new(error))),
        }
        loop {
            let event = self.budget.spend(Phase::Authentication, self.front.next_event()).await??;
            match event {
                SessionEvent::Authenticated => return Ok(Outcome::Success),
                SessionEvent::Auth(AuthEvent::Failed { remaining, partial }) => {
                    self.allowed = Some(remaining.to_strings());
                    return Ok(Outcome::Failed { partial });
                }
                SessionEvent::Auth(AuthEvent::KeyAccepted(request)) => {
                    return Ok(Outcome::KeyWanted(Box::new(request)));
                }
                SessionEvent::Auth(AuthEvent::Banner(text)) => {
                    if let Some(on_banner) = self.on_banner {
                        on_banner(&text);
                    }
                }
                // A request to change the password: nobody here has another one.
                SessionEvent::Auth(AuthEvent::ChangePassword { .. }) => {
                    return Ok(Outcome::Failed { partial: false });
                }
                _ => {}
            }
        }
    }
}
