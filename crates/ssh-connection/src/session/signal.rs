//! RFC 4254 §6.9: signals.

use alloc::borrow::Cow;
use core::fmt;

use ssh_wire::{DecodeError, DecodeErrorKind, MAX_NAME_LEN, Reader, escape};

use super::owned;

/// The name of a signal, without `SIG`.
///
/// Others than the constants have the form `name@domain`; a peer may send any text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signal<'a>(Cow<'a, str>);

macro_rules! signals {
    ($($name:ident)*) => {
        impl Signal<'static> {
            $(
                #[doc = concat!("`SIG", stringify!($name), "`")]
                pub const $name: Self = Self(Cow::Borrowed(stringify!($name)));
            )*
        }
    };
}
signals!(ABRT ALRM FPE HUP ILL INT KILL PIPE QUIT SEGV TERM USR1 USR2);

impl<'a> Signal<'a> {
    /// The signal called `name`, without `SIG`.
    #[must_use]
    pub fn named(name: impl Into<Cow<'a, str>>) -> Self {
        Self(name.into())
    }

    /// The name, as it came. Not for a terminal: `Display` is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The same signal, independent of the message it was read from.
    #[must_use]
    pub fn into_owned(self) -> Signal<'static> {
        Signal(owned(self.0))
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let error = reader.field("signal").error(DecodeErrorKind::BadName);
        let name = reader.utf8()?;
        if name.len() > MAX_NAME_LEN {
            return Err(error);
        }
        Ok(Self::named(name))
    }
}

impl fmt::Display for Signal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIG{}", escape(&self.0))
    }
}

impl fmt::Debug for Signal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_name_is_at_most_64_bytes() {
        let bytes = [&[0, 0, 0, 65][..], &[b'X'; 65]].concat();
        let error = Signal::decode(&mut Reader::new("M", &bytes)).unwrap_err();
        assert_eq!((error.offset, error.kind), (0, DecodeErrorKind::BadName));
        let bytes = [&[0, 0, 0, 64][..], &[b'X'; 64]].concat();
        assert!(Signal::decode(&mut Reader::new("M", &bytes)).is_ok());
    }

    #[test]
    fn a_name_from_the_peer_cannot_steer_a_terminal() {
        assert_eq!(Signal::named("\x1b[2J").to_string(), "SIG\\u{1b}[2J");
        assert_eq!(Signal::TERM.to_string(), "SIGTERM");
    }
}
