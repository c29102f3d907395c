//! The client of an agent.

use std::{
    env, fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use ssh_agent::{
    Constraints,
    client::{self, Identity, SessionBind},
    message,
};
use ssh_keys::{Certificate, PrivateKey, SignatureAlgorithm};
use tokio::sync::Mutex;

use super::{
    AgentError,
    stream::{self, Stream},
};
use crate::error::Error;

/// The variable that names the agent of a session (RFC 9987 §6).
const VARIABLE: &str = "SSH_AUTH_SOCK";

/// A connection to an agent. Clones share it; requests are answered one after the other.
///
/// # Cancel safety
/// A call that is dropped before it has ended leaves an answer on its way that nobody waits for.
/// The connection is then of no use any more, and every later call says so.
#[derive(Clone)]
pub struct Agent {
    link: Arc<Mutex<Option<Box<dyn Stream>>>>,
}

impl Agent {
    /// Connects to the agent that the environment names in `SSH_AUTH_SOCK`.
    ///
    /// # Errors
    /// [`Error::Agent`]: it names none, or the one it names cannot be reached.
    pub async fn from_env() -> Result<Self, Error> {
        match Self::path_from_env() {
            Some(path) => Self::connect(path).await,
            None => Err(AgentError::NotNamed.into()),
        }
    }

    /// The agent that the environment names.
    #[must_use]
    pub fn path_from_env() -> Option<PathBuf> {
        env::var_os(VARIABLE).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Connects to the agent at a socket, or on Windows at a named pipe.
    ///
    /// # Errors
    /// [`Error::Agent`]: it cannot be reached.
    pub async fn connect(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        match stream::open(path).await {
            Ok(stream) => Ok(Self::from_box(stream)),
            Err(source) => Err(AgentError::Connect { path: path.into(), source }.into()),
        }
    }

    /// Speaks to an agent over a stream that is open already.
    pub fn over(stream: impl Stream + 'static) -> Self {
        Self::from_box(Box::new(stream))
    }

    /// True for clones of each other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.link, &other.link)
    }

    fn from_box(stream: Box<dyn Stream>) -> Self {
        Self { link: Arc::new(Mutex::new(Some(stream))) }
    }

    async fn ask(&self, request: &[u8]) -> Result<Vec<u8>, AgentError> {
        let mut link = self.link.lock().await;
        let mut stream = link.take().ok_or(AgentError::Abandoned)?;
        stream::send(&mut *stream, request).await.map_err(AgentError::Lost)?;
        let answer = stream::receive(&mut *stream).await.map_err(AgentError::Lost)?;
        let answer = answer.ok_or_else(|| AgentError::Lost(io::ErrorKind::UnexpectedEof.into()))?;
        *link = Some(stream);
        Ok(answer.expose().clone())
    }

    async fn done(&self, request: &[u8]) -> Result<(), Error> {
        let answer = self.ask(request).await?;
        client::done(&answer).map_err(|error| AgentError::Protocol(error).into())
    }

    /// The keys that the agent holds and shows here. A locked agent shows none.
    ///
    /// # Errors
    /// [`Error::Agent`]
    pub async fn list(&self) -> Result<Vec<Identity>, Error> {
        let answer = self.ask(&client::payload(&message::RequestIdentities {})).await?;
        client::identities(&answer).map_err(|error| AgentError::Protocol(error).into())
    }

    /// Has `data` signed by the key with this blob, which may be that of a certificate. Gives the
    /// signature blob. The agent may have to ask somebody first, and take as long.
    ///
    /// # Errors
    /// [`Error::Agent`], also if the agent refuses: see [`AgentError::is_refusal`].
    pub async fn sign(
        &self,
        blob: &[u8],
        algorithm: SignatureAlgorithm,
        data: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let answer = self.ask(&client::sign(blob, data, algorithm)).await?;
        client::signature(&answer).map_err(|error| AgentError::Protocol(error).into())
    }

    /// Hands a key to the agent. One that it holds already gets the new constraints.
    ///
    /// # Errors
    /// [`Error::Agent`], also if the agent does not know a constraint.
    pub async fn add(
        &self,
        key: &PrivateKey,
        comment: &str,
        constraints: &Constraints,
    ) -> Result<(), Error> {
        self.done(client::add_identity(key, comment, constraints).expose()).await
    }

    /// Hands a key to the agent together with a certificate over it, which then names it there. The
    /// key by itself is another one to the agent.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub async fn add_certificate(
        &self,
        key: &PrivateKey,
        certificate: &Certificate,
        comment: &str,
        constraints: &Constraints,
    ) -> Result<(), Error> {
        self.done(client::add_certificate(key, certificate, comment, constraints).expose()).await
    }

    /// Has the agent forget the key with this blob.
    ///
    /// # Errors
    /// [`Error::Agent`], also if the agent does not hold it.
    pub async fn remove(&self, blob: &[u8]) -> Result<(), Error> {
        self.done(&client::payload(&message::RemoveIdentity { key: blob })).await
    }

    /// Has the agent forget all keys.
    ///
    /// # Errors
    /// [`Error::Agent`]
    pub async fn remove_all(&self) -> Result<(), Error> {
        self.done(&client::payload(&message::RemoveAllIdentities {})).await
    }

    /// Locks the agent: it does nothing until it is unlocked.
    ///
    /// # Errors
    /// [`Error::Agent`], also if it is locked.
    pub async fn lock(&self, passphrase: &[u8]) -> Result<(), Error> {
        self.done(client::lock(passphrase).expose()).await
    }

    /// Unlocks the agent. It takes its time to say that a passphrase is wrong.
    ///
    /// # Errors
    /// [`Error::Agent`], also if the passphrase is wrong.
    pub async fn unlock(&self, passphrase: &[u8]) -> Result<(), Error> {
        self.done(client::unlock(passphrase).expose()).await
    }

    /// Tells the agent which SSH session this connection serves, so that it can obey destination
    /// constraints. Agents that do not know this refuse.
    ///
    /// # Errors
    /// [`Error::Agent`]
    pub async fn bind_session(&self, bind: &SessionBind<'_>) -> Result<(), Error> {
        self.done(&client::session_bind(bind)).await
    }

    /// The extensions that the agent knows. Older agents refuse the question.
    ///
    /// # Errors
    /// [`Error::Agent`]
    pub async fn extensions(&self) -> Result<Vec<String>, Error> {
        let answer = self.ask(&client::query()).await?;
        client::extensions(&answer).map_err(|error| AgentError::Protocol(error).into())
    }
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").finish_non_exhaustive()
    }
}
