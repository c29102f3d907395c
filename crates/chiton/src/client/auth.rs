//! How to authenticate: what will be tried, in order, and the loop that tries it.

use std::{fmt, path::PathBuf, sync::Arc};

use ssh_auth::{
    client::{AuthEvent, RequestError},
    method::Method,
    record,
};
use ssh_crypto::Secret;
use ssh_keys::{PrivateKey, PublicKey};

use super::{
    front::{Budget, Front, blocking},
    key_file::{self, Ask, Asking, KeyFile},
};
use crate::{
    error::{AuthFailure, Error, Phase},
    session::SessionEvent,
};

/// The files in `~/.ssh` that are tried by default, in this order.
const DEFAULT_KEYS: [&str; 3] = ["id_ed25519", "id_ecdsa", "id_rsa"];

/// What to authenticate with: a list of credentials, tried in order.
///
/// ```
/// use chiton::Auth;
/// let auth = Auth::key_file("/k/id_ed25519").or(Auth::password("secret"));
/// assert_eq!(auth.plan().to_string(), "the key in /k/id_ed25519, then a password");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Auth {
    credentials: Vec<Credential>,
}

/// One way to authenticate.
#[derive(Clone)]
enum Credential {
    /// Nothing (RFC 4252 §5.2).
    None,
    /// A password (RFC 4252 §8).
    Password(Secret<String>),
    /// A key in memory (RFC 4252 §7).
    Key(PrivateKey),
    /// A key in a file, and who to ask for its passphrase.
    KeyFile { path: PathBuf, passphrase: Option<Asking>, optional: bool },
    /// A password asked for when its turn comes, so many times.
    AskPassword { ask: Ask, times: u32 },
}

impl Auth {
    const fn from(credentials: Vec<Credential>) -> Self {
        Self { credentials }
    }

    /// Asks to be let in without anything, as some devices do.
    pub fn none() -> Self {
        Self::from(vec![Credential::None])
    }

    /// A password.
    pub fn password(password: impl Into<String>) -> Self {
        Self::from(vec![Credential::Password(Secret::new(password.into()))])
    }

    /// A key that is in memory already.
    pub fn key(key: PrivateKey) -> Self {
        Self::from(vec![Credential::Key(key)])
    }

    /// A key file that is not encrypted. It is read when its turn comes.
    pub fn key_file(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self::from(vec![Credential::KeyFile { path, passphrase: None, optional: false }])
    }

    /// A key file, and who to ask for its passphrase if it has one, up to `times` times. Only if
    /// the server wants the key is anybody asked. The argument of the callback is the question to
    /// show; it runs on a thread where it may block. Who answers `None` is not asked again.
    pub fn key_file_asking(
        path: impl Into<PathBuf>,
        times: u32,
        ask: impl Fn(&str) -> Option<Secret<String>> + Send + Sync + 'static,
    ) -> Self {
        let passphrase = Some(Asking { ask: Arc::new(ask), times });
        Self::from(vec![Credential::KeyFile { path: path.into(), passphrase, optional: false }])
    }

    /// A password that is asked for when its turn comes, up to `times` times. Only if the server
    /// takes passwords at all is anybody asked.
    pub fn ask_password(
        times: u32,
        ask: impl Fn(&str) -> Option<Secret<String>> + Send + Sync + 'static,
    ) -> Self {
        Self::from(vec![Credential::AskPassword { ask: Arc::new(ask), times }])
    }

    /// The keys that lie in `~/.ssh` under their usual names. Encrypted ones are passed over.
    ///
    /// # Errors
    /// There is no home directory.
    pub fn default_keys() -> Result<Self, Error> {
        let directory = user_directory()?;
        let keys =
            DEFAULT_KEYS.iter().map(|name| directory.join(name)).filter(|path| path.exists());
        Ok(Self::from(
            keys.map(|path| Credential::KeyFile { path, passphrase: None, optional: true })
                .collect(),
        ))
    }

    /// Then tries what `other` says.
    pub fn or(mut self, other: Self) -> Self {
        self.credentials.extend(other.credentials);
        self
    }

    /// What would be tried, in order, as data: to be shown before anything is sent.
    #[must_use]
    pub fn plan(&self) -> AuthPlan {
        AuthPlan { steps: self.credentials.iter().map(ToString::to_string).collect() }
    }
}

/// What will be tried, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthPlan {
    /// A line for each credential.
    pub steps: Vec<String>,
}

impl fmt::Display for AuthPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps.join(", then "))
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Password(_) => f.write_str("a password"),
            Self::Key(key) => write!(f, "the key {}", key.public().fingerprint()),
            Self::KeyFile { path, .. } => write!(f, "the key in {}", path.display()),
            Self::AskPassword { times, .. } => {
                write!(f, "a password, asked for up to {times} times")
            }
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `~/.ssh`
pub(super) fn user_directory() -> Result<PathBuf, Error> {
    let home = etcetera::home_dir()
        .map_err(|_| Error::ApiMisuse("there is no home directory; name the files instead"))?;
    Ok(home.join(".ssh"))
}

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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Success,
    /// The server would take a signature of the key that it was asked about.
    KeyWanted,
    Failed {
        partial: bool,
    },
}

/// The loop over the credentials.
pub(super) struct Attempts<'a> {
    front: &'a Front,
    budget: &'a mut Budget,
    user: &'a str,
    host: &'a str,
    on_banner: Option<&'a (dyn Fn(&ssh_wire::PeerText) + Send + Sync)>,
    /// The methods that the server would accept; unknown before its first answer.
    allowed: Option<Vec<String>>,
}

impl<'a> Attempts<'a> {
    pub(super) const fn new(
        front: &'a Front,
        budget: &'a mut Budget,
        user: &'a str,
        host: &'a str,
        on_banner: Option<&'a (dyn Fn(&ssh_wire::PeerText) + Send + Sync)>,
    ) -> Self {
        Self { front, budget, user, host, on_banner, allowed: None }
    }

    /// Tries the credentials in order until the server is content.
    pub(super) async fn run(mut self, auth: Auth) -> Result<(), Error> {
        let plan = auth.plan();
        let mut all: Vec<Step> = auth.credentials.into_iter().map(Step::new).collect();
        // What could not even be tried. Told if nothing else was.
        let mut unusable = None;
        while let Some(step) = all.iter_mut().find(|step| step.state == StepState::Waits) {
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
            let ready = match self.prepare(step).await {
                Ok(Some(ready)) => ready,
                Ok(None) => continue,
                Err(error @ (Error::KeyFile(_) | Error::LocalFile(_))) => {
                    unusable.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            match self.attempt(&ready).await? {
                Outcome::Success => return Ok(()),
                Outcome::KeyWanted | Outcome::Failed { partial: false } => {}
                Outcome::Failed { partial: true } => {
                    step.state = StepState::Done;
                    // What was refused or not allowed may be what is wanted now.
                    for step in all.iter_mut().filter(|step| step.state == StepState::Failed) {
                        step.state = StepState::Waits;
                    }
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
                user: self.user.to_owned(),
                plan: plan.steps,
                record,
                remaining: self.allowed.unwrap_or_default(),
            }))),
        }
    }

    fn allows(&self, method: &str) -> bool {
        method == "none"
            || self.allowed.as_ref().is_none_or(|allowed| allowed.iter().any(|name| name == method))
    }

    /// Reads the file or asks the person; what is to be sent. The step counts as failed from now
    /// on, unless the person may be asked again.
    async fn prepare(&mut self, step: &mut Step) -> Result<Option<Credential>, Error> {
        step.state = StepState::Failed;
        match &mut step.credential {
            Credential::KeyFile { path, passphrase, optional } => {
                let (path, passphrase, optional) = (path.clone(), passphrase.clone(), *optional);
                match self.load(path, passphrase).await {
                    Ok(Some(key)) => {
                        // Nobody is asked twice for the same passphrase.
                        step.credential = Credential::Key(key.clone());
                        Ok(Some(Credential::Key(key)))
                    }
                    Ok(None) => Ok(None),
                    Err(Error::KeyFile(_) | Error::LocalFile(_)) if optional => {
                        step.state = StepState::Done;
                        Ok(None)
                    }
                    Err(error) => {
                        step.state = StepState::Done;
                        Err(error)
                    }
                }
            }
            Credential::AskPassword { ask, times } => {
                let Some(left) = times.checked_sub(1) else { return Ok(None) };
                *times = left;
                let ask = Arc::clone(ask);
                let question = format!("{}@{}'s password: ", self.user, self.host);
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

    /// Reads a key file, and unlocks it if it is encrypted and the server wants the key; `None` if
    /// it does not.
    async fn load(
        &mut self,
        path: PathBuf,
        asking: Option<Asking>,
    ) -> Result<Option<PrivateKey>, Error> {
        let locked = match blocking(move || key_file::read(&path)).await?? {
            KeyFile::Plain(key) => return Ok(Some(key)),
            KeyFile::Encrypted(locked) => locked,
        };
        let Some(asking) = asking else { return Err(locked.locked()) };
        if self.ask_for(locked.public()).await? != Outcome::KeyWanted {
            return Ok(None);
        }
        blocking(move || locked.unlock(&asking)).await?.map(Some)
    }

    /// Asks the server whether it wants a key, with the algorithm it would sign with first.
    async fn ask_for(&mut self, key: &PublicKey) -> Result<Outcome, Error> {
        let sent = self.front.with_authenticator(|auth, out| {
            let algorithms = auth.algorithms_for(key.key_type());
            match algorithms.first() {
                Some(&algorithm) => auth.ask_key(key, algorithm, out),
                None => Err(RequestError::NoAlgorithm { key_type: key.key_type() }),
            }
        })?;
        self.outcome(sent).await
    }

    /// Sends one request and waits for its answer.
    async fn attempt(&mut self, credential: &Credential) -> Result<Outcome, Error> {
        let sent = self.front.with_authenticator(|auth, out| match credential {
            Credential::Password(password) => auth.try_password(password.clone(), out),
            Credential::Key(key) => auth.try_key(key, out),
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
                SessionEvent::Auth(AuthEvent::KeyAccepted(_)) => return Ok(Outcome::KeyWanted),
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

impl Credential {
    /// The method's name in RFC 4252.
    const fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password(_) | Self::AskPassword { .. } => "password",
            Self::Key(_) | Self::KeyFile { .. } => "publickey",
        }
    }
}
