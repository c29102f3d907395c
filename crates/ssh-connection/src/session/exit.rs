//! RFC 4254 §6.10: how a program ended.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use ssh_wire::{DecodeError, Encode, PeerText, Reader};

use super::{Signal, owned};
use crate::event::excerpt;

/// A signal has ended the program: the body of `exit-signal`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct ExitSignal<'a> {
    /// Which signal.
    pub signal: Signal<'a>,
    /// Whether it left a core dump.
    pub core_dumped: bool,
    /// More about it, for people.
    pub message: Cow<'a, [u8]>,
    /// The language of the message.
    pub language: Cow<'a, [u8]>,
}

impl<'a> ExitSignal<'a> {
    pub(super) fn into_owned(self) -> ExitSignal<'static> {
        ExitSignal {
            signal: self.signal.into_owned(),
            core_dumped: self.core_dumped,
            message: owned(self.message),
            language: owned(self.language),
        }
    }

    pub(super) fn weight(&self) -> usize {
        let text = self.message.len().saturating_add(self.language.len());
        self.signal.name().len().saturating_add(text)
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            signal: Signal::decode(reader)?,
            core_dumped: reader.field("core_dumped").boolean()?,
            message: reader.field("message").string()?.into(),
            language: reader.field("language").string()?.into(),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.signal.name().encode(out);
        self.core_dumped.encode(out);
        self.message.encode(out);
        self.language.encode(out);
    }
}

/// How the program on the other side ended.
///
/// A channel that closes without one tells nothing about the program: that is not success.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExitStatus {
    /// It ended by itself, with this code.
    Code(u32),
    /// A signal ended it.
    Signal {
        /// Which signal.
        name: Signal<'static>,
        /// Whether it left a core dump.
        core_dumped: bool,
        /// More about it, from the peer.
        message: PeerText,
    },
}

impl From<ExitSignal<'_>> for ExitStatus {
    fn from(exit: ExitSignal<'_>) -> Self {
        Self::Signal {
            name: exit.signal.into_owned(),
            core_dumped: exit.core_dumped,
            message: excerpt(&exit.message),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal { name, core_dumped, message } => {
                write!(f, "ended by {name}")?;
                if *core_dumped {
                    f.write_str(" (core dumped)")?;
                }
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_exit_says_what_happened() {
        assert_eq!(ExitStatus::Code(3).to_string(), "exit status 3");
        let exit = ExitSignal {
            signal: Signal::SEGV,
            core_dumped: true,
            message: b"bad\x1b pointer".into(),
            language: b"".into(),
        };
        assert_eq!(
            ExitStatus::from(exit).to_string(),
            "ended by SIGSEGV (core dumped): bad\\u{1b} pointer"
        );
    }
}
