//! How to authenticate: what will be tried, in order.

use std::{fmt, path::PathBuf, sync::Arc};

use ssh_crypto::Secret;
use ssh_keys::{Certificate, Identity, PrivateKey};
use ssh_wire::PeerText;

use super::key_file::{Ask, Asking};
use crate::{agent::Agent, error::Error};

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
    pub(super) credentials: Vec<Credential>,
}

/// Which agent.
#[derive(Clone)]
pub(super) enum AgentKeys {
    /// The one that the environment names.
    FromEnv,
    Over(Agent),
}

/// One way to authenticate.
#[derive(Clone)]
pub(super) enum Credential {
    /// Nothing (RFC 4252 §5.2).
    None,
    /// A password (RFC 4252 §8).
    Password(Secret<String>),
    /// A key in memory (RFC 4252 §7).
    Key(PrivateKey),
    /// A key in memory with a certificate over it.
    Certified(PrivateKey, Certificate),
    /// A key in a file, and who to ask for its passphrase.
    KeyFile { path: PathBuf, passphrase: Option<Asking>, optional: bool },
    /// A password asked for when its turn comes, so many times.
    AskPassword { ask: Ask, times: u32 },
    /// The keys of an agent.
    Agent(AgentKeys),
    /// One key of an agent.
    AgentKey { agent: Agent, identity: Identity, comment: PeerText },
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

    /// A key that is in memory already, shown as a certificate over it.
    pub fn certified_key(key: PrivateKey, certificate: Certificate) -> Self {
        Self::from(vec![Credential::Certified(key, certificate)])
    }

    /// A key file that is not encrypted. It is read when its turn comes. Where a certificate stands
    /// beside it, in a file of the same name with `-cert.pub`, that is tried first.
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

    /// The keys of the agent that the environment names in `SSH_AUTH_SOCK`, in its order. The agent
    /// is asked when its turn comes, and signs only with keys that the server wants.
    ///
    /// An agent with many keys can use up the tries that a server allows, six with OpenSSH; then
    /// name the one to use with [`Self::agent_key`].
    pub fn agent() -> Self {
        Self::from(vec![Credential::Agent(AgentKeys::FromEnv)])
    }

    /// The keys of this agent, in its order.
    pub fn agent_over(agent: Agent) -> Self {
        Self::from(vec![Credential::Agent(AgentKeys::Over(agent))])
    }

    /// One key or certificate that this agent holds.
    pub fn agent_key(agent: Agent, identity: Identity) -> Self {
        let comment = PeerText::from("");
        Self::from(vec![Credential::AgentKey { agent, identity, comment }])
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
            Self::Agent(_) => f.write_str("the keys of the agent"),
            Self::Certified(key, _) => {
                write!(f, "the certificate of the key {}", key.public().fingerprint())
            }
            Self::AgentKey { identity, comment, .. } => {
                let kind = if identity.certificate().is_some() { "certificate of" } else { "key" };
                write!(f, "the agent's {kind} {}", identity.key().fingerprint())?;
                if comment.is_empty() { Ok(()) } else { write!(f, " ({comment})") }
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

impl Credential {
    /// The method's name in RFC 4252.
    pub(super) const fn method(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password(_) | Self::AskPassword { .. } => "password",
            Self::Key(_)
            | Self::Certified(..)
            | Self::KeyFile { .. }
            | Self::Agent(_)
            | Self::AgentKey { .. } => "publickey",
        }
    }
}
