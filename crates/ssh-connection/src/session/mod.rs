//! RFC 4254 §6: what is asked for on a session channel.

use alloc::{
    borrow::{Cow, ToOwned},
    vec::Vec,
};

use ssh_wire::{DecodeError, Encode, Reader};

mod env;
mod exec;
mod exit;
mod pty;
mod signal;

pub use env::Env;
pub use exit::{ExitSignal, ExitStatus};
pub use pty::{Mode, Pty, TerminalModes, WindowSize};
pub use signal::Signal;

/// A request on a channel, with the fields that its name brings.
///
/// The same type is sent, received and handed to the application: what is read from a message
/// borrows from it, and [`Request::into_owned`] copies.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request<'a> {
    /// `pty-req`, §6.2: a terminal for the program.
    Pty(Pty<'a>),
    /// `env`, §6.4: a variable for the program.
    Env(Env<'a>),
    /// `shell`, §6.5: start the user's shell.
    Shell,
    /// `exec`, §6.5: start this command.
    Exec(Cow<'a, [u8]>),
    /// `subsystem`, §6.5: start a subsystem, such as `sftp`.
    Subsystem(Cow<'a, str>),
    /// `window-change`, §6.7: the terminal has another size.
    WindowChange(WindowSize),
    /// `xon-xoff`, §6.8: who does flow control with control-S and control-Q.
    XonXoff {
        /// Whether the client may do it.
        client_can_do: bool,
    },
    /// `signal`, §6.9: deliver a signal to the program.
    Signal(Signal<'a>),
    /// `break`, RFC 4335 §3.
    Break {
        /// How long; 0 means as long as the implementation likes.
        milliseconds: u32,
    },
    /// `exit-status`, §6.10: the program has ended by itself.
    ExitStatus(u32),
    /// `exit-signal`, §6.10: a signal has ended the program.
    ExitSignal(ExitSignal<'a>),
    /// A request that this crate has no name for.
    Other {
        /// What is asked for.
        name: Cow<'a, str>,
        /// What follows the flag for a reply.
        data: Cow<'a, [u8]>,
    },
}

impl<'a> Request<'a> {
    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Pty(_) => "pty-req",
            Self::Env(_) => "env",
            Self::Shell => "shell",
            Self::Exec(_) => "exec",
            Self::Subsystem(_) => "subsystem",
            Self::WindowChange(_) => "window-change",
            Self::XonXoff { .. } => "xon-xoff",
            Self::Signal(_) => "signal",
            Self::Break { .. } => "break",
            Self::ExitStatus(_) => "exit-status",
            Self::ExitSignal(_) => "exit-signal",
            Self::Other { name, .. } => name,
        }
    }

    /// True for the three requests of which only one can succeed on a channel (§6.5).
    #[must_use]
    pub const fn starts_program(&self) -> bool {
        matches!(self, Self::Shell | Self::Exec(_) | Self::Subsystem(_))
    }

    /// The same request, independent of the message it was read from.
    #[must_use]
    pub fn into_owned(self) -> Request<'static> {
        match self {
            Self::Pty(pty) => Request::Pty(pty.into_owned()),
            Self::Env(env) => Request::Env(env.into_owned()),
            Self::Shell => Request::Shell,
            Self::Exec(command) => Request::Exec(owned(command)),
            Self::Subsystem(name) => Request::Subsystem(owned(name)),
            Self::WindowChange(size) => Request::WindowChange(size),
            Self::XonXoff { client_can_do } => Request::XonXoff { client_can_do },
            Self::Signal(signal) => Request::Signal(signal.into_owned()),
            Self::Break { milliseconds } => Request::Break { milliseconds },
            Self::ExitStatus(code) => Request::ExitStatus(code),
            Self::ExitSignal(exit) => Request::ExitSignal(exit.into_owned()),
            Self::Other { name, data } => Request::Other { name: owned(name), data: owned(data) },
        }
    }

    /// Bytes of memory that the strings take: for whoever keeps requests of a peer and has to know
    /// when it is enough.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Pty(pty) => pty.weight(),
            Self::Env(env) => env.name.len().saturating_add(env.value.len()),
            Self::Exec(command) => command.len(),
            Self::Subsystem(name) => name.len(),
            Self::Signal(signal) => signal.name().len(),
            Self::ExitSignal(exit) => exit.weight(),
            Self::Other { name, data } => name.len().saturating_add(data.len()),
            Self::Shell
            | Self::WindowChange(_)
            | Self::XonXoff { .. }
            | Self::Break { .. }
            | Self::ExitStatus(_) => 0,
        }
    }

    pub(crate) fn decode_body(name: &'a str, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match name {
            "pty-req" => Self::Pty(Pty::decode(r)?),
            "env" => Self::Env(Env::decode(r)?),
            "shell" => Self::Shell,
            "exec" => Self::Exec(exec::decode_command(r)?),
            "subsystem" => Self::Subsystem(exec::decode_subsystem(r)?),
            "window-change" => Self::WindowChange(WindowSize::decode(r)?),
            "xon-xoff" => Self::XonXoff { client_can_do: r.field("client_can_do").boolean()? },
            "signal" => Self::Signal(Signal::decode(r)?),
            "break" => Self::Break { milliseconds: r.field("milliseconds").uint32()? },
            "exit-status" => Self::ExitStatus(r.field("exit_status").uint32()?),
            "exit-signal" => Self::ExitSignal(ExitSignal::decode(r)?),
            name => Self::Other { name: name.into(), data: r.field("data").rest().into() },
        })
    }

    pub(crate) fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Pty(pty) => pty.encode(out),
            Self::Env(env) => env.encode(out),
            Self::Shell => {}
            Self::Exec(command) => command.encode(out),
            Self::Subsystem(name) => name.encode(out),
            Self::WindowChange(size) => size.encode(out),
            Self::XonXoff { client_can_do } => client_can_do.encode(out),
            Self::Signal(signal) => signal.name().encode(out),
            Self::Break { milliseconds } => milliseconds.encode(out),
            Self::ExitStatus(code) => code.encode(out),
            Self::ExitSignal(exit) => exit.encode(out),
            Self::Other { data, .. } => out.extend_from_slice(data),
        }
    }
}

/// `cow`, independent of what it borrowed from.
pub(crate) fn owned<T: ToOwned + ?Sized>(cow: Cow<'_, T>) -> Cow<'static, T> {
    Cow::Owned(cow.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_request_does_not_depend_on_its_message() {
        let bytes = b"rm -rf /".to_vec();
        let request = Request::Exec(Cow::Borrowed(&bytes));
        assert_eq!(request.weight(), 8);
        let kept = request.into_owned();
        drop(bytes);
        assert_eq!(kept, Request::Exec(b"rm -rf /".into()));
    }

    #[test]
    fn only_shell_exec_and_subsystem_start_a_program() {
        assert!(Request::Shell.starts_program());
        assert!(Request::Exec(b"".into()).starts_program());
        assert!(Request::Subsystem("sftp".into()).starts_program());
        assert!(!Request::ExitStatus(0).starts_program());
    }
}
