//! RFC 4254 §6.5: what a program is started from.

use alloc::borrow::Cow;

use ssh_wire::{DecodeError, Reader};

/// A command is bytes: what they mean is the business of the shell on the other side.
pub(super) fn decode_command<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, [u8]>, DecodeError> {
    reader.field("command").string().map(Cow::Borrowed)
}

/// The name of a subsystem is a name as in RFC 4250, so it is text.
pub(super) fn decode_subsystem<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, DecodeError> {
    reader.field("subsystem").utf8().map(Cow::Borrowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_may_be_any_bytes_and_a_subsystem_may_not() {
        let bytes = [0, 0, 0, 1, 0xff];
        assert_eq!(decode_command(&mut Reader::new("M", &bytes)).unwrap().as_ref(), [0xff]);
        assert!(decode_subsystem(&mut Reader::new("M", &bytes)).is_err());
    }
}
