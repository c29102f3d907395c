//! RFC 4254 §6.10: how a command ended.

use core::fmt;

use ssh_wire::PeerText;

/// How a command ended (RFC 4254 §6.10).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitStatus {
    /// It returned this status.
    Code(u32),
    /// A signal ended it.
    Signal {
        /// The signal's name without `SIG`.
        name: PeerText,
        /// Whether it left a core file.
        core_dumped: bool,
        /// The server's explanation.
        message: PeerText,
    },
    /// The server closed the channel and did not say how it ended.
    Missing,
}

impl ExitStatus {
    /// True for status 0 and nothing else.
    #[must_use]
    pub const fn success(&self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// The status, if the command returned one.
    #[must_use]
    pub const fn code(&self) -> Option<u32> {
        match self {
            Self::Code(code) => Some(*code),
            _ => None,
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal { name, core_dumped, .. } => {
                write!(f, "signal {name}{}", if *core_dumped { " (core dumped)" } else { "" })
            }
            Self::Missing => f.write_str("no exit status"),
        }
    }
}
