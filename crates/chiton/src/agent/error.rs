//! Why an agent is of no help.

use core::fmt;
use std::{io, path::PathBuf, sync::Arc};

use crate::error::Error;

/// What went wrong between this program and an agent.
#[derive(Debug)]
#[non_exhaustive]
pub enum AgentError {
    /// The environment names no agent: `SSH_AUTH_SOCK` is not set.
    NotNamed,
    /// It cannot be reached.
    Connect {
        /// The socket, or the pipe.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The connection to it failed.
    Lost(io::Error),
    /// A request on this connection was abandoned before its answer came, so that answers and
    /// requests no longer fit together.
    Abandoned,
    /// What it said.
    Protocol(ssh_agent::AgentError),
}

impl AgentError {
    /// True if the agent is there and refused.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Protocol(ssh_agent::AgentError::Refused | ssh_agent::AgentError::ExtensionFailed)
        )
    }
}

impl fmt::Display for AgentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotNamed => f.write_str(
                "no agent is named in the environment (SSH_AUTH_SOCK); start one, such as chiton \
                 agent, in this session",
            ),
            Self::Connect { path, source } => {
                write!(f, "cannot reach the agent at {}: {source}", path.display())
            }
            Self::Lost(source) => write!(f, "the connection to the agent failed: {source}"),
            Self::Abandoned => {
                f.write_str("an earlier request to the agent was abandoned; connect to it again")
            }
            Self::Protocol(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for AgentError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Connect { source, .. } | Self::Lost(source) => Some(source),
            Self::Protocol(error) => Some(error),
            Self::NotNamed | Self::Abandoned => None,
        }
    }
}

impl From<ssh_agent::AgentError> for AgentError {
    fn from(error: ssh_agent::AgentError) -> Self {
        Self::Protocol(error)
    }
}

impl From<AgentError> for Error {
    fn from(error: AgentError) -> Self {
        Self::Agent(Arc::new(error))
    }
}
