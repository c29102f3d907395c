//! RFC 4254 §6.4: environment variables.

use alloc::{borrow::Cow, vec::Vec};

use ssh_wire::{DecodeError, Encode, Reader};

use super::owned;

/// A variable for the program that is started later.
///
/// A server must not set what it does not know: a name like `LD_PRELOAD` is a way in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Env<'a> {
    /// The name of the variable.
    pub name: Cow<'a, [u8]>,
    /// Its value.
    pub value: Cow<'a, [u8]>,
}

impl<'a> Env<'a> {
    pub(super) fn into_owned(self) -> Env<'static> {
        Env { name: owned(self.name), value: owned(self.value) }
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.field("name").string()?.into(),
            value: reader.field("value").string()?.into(),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.name.encode(out);
        self.value.encode(out);
    }
}
