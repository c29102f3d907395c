//! RFC 4254 §6.2, §6.7 and §8: terminals, their sizes and their modes.

use alloc::{borrow::Cow, vec::Vec};
use core::fmt;

use ssh_wire::{DecodeError, Encode, Reader, put_with_length};

use super::owned;

/// A terminal for the program: the body of `pty-req`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct Pty<'a> {
    /// What `TERM` shall be, such as `xterm-256color`.
    pub term: Cow<'a, [u8]>,
    /// How large it is.
    pub size: WindowSize,
    /// How it behaves.
    pub modes: TerminalModes<'a>,
}

impl<'a> Pty<'a> {
    pub(super) fn into_owned(self) -> Pty<'static> {
        Pty { term: owned(self.term), size: self.size, modes: self.modes.into_owned() }
    }

    pub(super) fn weight(&self) -> usize {
        self.term.len().saturating_add(self.modes.0.len())
    }

    pub(super) fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            term: reader.field("term").string()?.into(),
            size: WindowSize::decode(reader)?,
            modes: TerminalModes::from_encoded(reader.field("modes").string()?),
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.term.encode(out);
        self.size.encode(out);
        self.modes.encode(out);
    }
}

/// The size of a terminal. A dimension of zero says nothing and is to be ignored (§6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_structs, reason = "the fields are the protocol's")]
pub struct WindowSize {
    /// Characters in a row.
    pub columns: u32,
    /// Rows.
    pub rows: u32,
    /// Pixels from left to right. Characters count more, where both are given.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl WindowSize {
    /// A size in characters, as most clients send it.
    #[must_use]
    pub const fn of_characters(columns: u32, rows: u32) -> Self {
        Self { columns, rows, width: 0, height: 0 }
    }

    /// This size, with what `earlier` says where this one says nothing.
    #[must_use]
    pub const fn or(self, earlier: Self) -> Self {
        const fn pick(new: u32, old: u32) -> u32 {
            if new == 0 { old } else { new }
        }
        Self {
            columns: pick(self.columns, earlier.columns),
            rows: pick(self.rows, earlier.rows),
            width: pick(self.width, earlier.width),
            height: pick(self.height, earlier.height),
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            columns: reader.field("columns").uint32()?,
            rows: reader.field("rows").uint32()?,
            width: reader.field("width").uint32()?,
            height: reader.field("height").uint32()?,
        })
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.columns, self.rows, self.width, self.height] {
            number.encode(out);
        }
    }
}

/// The modes of a terminal (§8): pairs of [`Mode`] and value.
///
/// Of what a peer sends, the pairs before the first end mark, undefined opcode or cut are kept.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TerminalModes<'a>(Cow<'a, [u8]>);

/// An opcode and its value on the wire.
const PAIR: usize = 5;

impl<'a> TerminalModes<'a> {
    /// Reads the bytes of §8, with or without the end mark.
    #[must_use]
    pub fn from_encoded(bytes: &'a [u8]) -> Self {
        let pairs = bytes
            .chunks_exact(PAIR)
            .take_while(|pair| pair.first().is_some_and(|opcode| Mode(*opcode).has_value()));
        let len = pairs.count().saturating_mul(PAIR);
        Self(Cow::Borrowed(bytes.get(..len).unwrap_or_default()))
    }

    /// Adds a mode. Where one is given twice, the receiver takes the later one.
    ///
    /// Opcodes that carry no value (0 and those from 160 on) are not modes and are not added.
    pub fn set(&mut self, mode: Mode, value: u32) {
        if mode.has_value() {
            let bytes = self.0.to_mut();
            bytes.push(mode.0);
            bytes.extend_from_slice(&value.to_be_bytes());
        }
    }

    /// The modes in the order they were given.
    pub fn iter(&self) -> impl Iterator<Item = (Mode, u32)> + '_ {
        self.0.chunks_exact(PAIR).filter_map(|pair| {
            let (opcode, value) = pair.split_first()?;
            Some((Mode(*opcode), u32::from_be_bytes(value.try_into().ok()?)))
        })
    }

    /// The value of `mode`, if it is given.
    #[must_use]
    pub fn get(&self, mode: Mode) -> Option<u32> {
        self.iter().filter(|(other, _)| *other == mode).map(|(_, value)| value).last()
    }

    /// The same modes, independent of the message they were read from.
    #[must_use]
    pub fn into_owned(self) -> TerminalModes<'static> {
        TerminalModes(owned(self.0))
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_with_length(out, |out| {
            out.extend_from_slice(&self.0);
            out.push(Mode::END.0);
        });
    }
}

impl fmt::Debug for TerminalModes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// An opcode of §8: which mode of a terminal a value is for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(clippy::exhaustive_structs, reason = "every byte is an opcode")]
pub struct Mode(pub u8);

macro_rules! modes {
    ($($number:literal $name:ident)*) => {
        impl Mode {
            $(
                #[doc = concat!("Opcode ", $number, " of RFC 4254 §8.")]
                pub const $name: Self = Self($number);
            )*

            /// The name in §8, where the opcode has one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}
modes! {
    0 END
    1 VINTR 2 VQUIT 3 VERASE 4 VKILL 5 VEOF 6 VEOL 7 VEOL2 8 VSTART 9 VSTOP
    10 VSUSP 11 VDSUSP 12 VREPRINT 13 VWERASE 14 VLNEXT 15 VFLUSH 16 VSWTCH 17 VSTATUS 18 VDISCARD
    30 IGNPAR 31 PARMRK 32 INPCK 33 ISTRIP 34 INLCR 35 IGNCR 36 ICRNL 37 IUCLC
    38 IXON 39 IXANY 40 IXOFF 41 IMAXBEL 42 IUTF8
    50 ISIG 51 ICANON 52 XCASE 53 ECHO 54 ECHOE 55 ECHOK 56 ECHONL 57 NOFLSH
    58 TOSTOP 59 IEXTEN 60 ECHOCTL 61 ECHOKE 62 PENDIN
    70 OPOST 71 OLCUC 72 ONLCR 73 OCRNL 74 ONOCR 75 ONLRET
    90 CS7 91 CS8 92 PARENB 93 PARODD
    128 ISPEED 129 OSPEED
}

impl Mode {
    /// Opcodes 1 to 159 have a value; 0 ends the list, and the rest "cause parsing to stop".
    const fn has_value(self) -> bool {
        matches!(self.0, 1..=159)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};

    #[test]
    fn modes_are_written_as_pairs_and_an_end_mark() {
        let mut modes = TerminalModes::default();
        modes.set(Mode::ECHO, 1);
        modes.set(Mode::END, 9);
        modes.set(Mode(200), 9);
        let mut out = vec![];
        modes.encode(&mut out);
        assert_eq!(out, [0, 0, 0, 6, 53, 0, 0, 0, 1, 0]);
        assert_eq!(format!("{modes:?}"), "{ECHO: 1}");
    }

    #[test]
    fn parsing_of_modes_stops_where_the_rfc_says() {
        for bytes in [
            &[1, 0, 0, 0, 3, 0][..],                          // end mark
            &[1, 0, 0, 0, 3],                                 // no end mark
            &[1, 0, 0, 0, 3, 160, 0, 0, 0, 1, 2, 0, 0, 0, 1], // undefined opcode
            &[1, 0, 0, 0, 3, 2, 0, 0],                        // cut
            &[1, 0, 0, 0, 3, 0, 2, 0, 0, 0, 1],               // more behind the end
        ] {
            let modes = TerminalModes::from_encoded(bytes);
            assert_eq!(modes.iter().collect::<Vec<_>>(), [(Mode::VINTR, 3)], "{bytes:?}");
        }
        assert_eq!(TerminalModes::from_encoded(&[]).iter().count(), 0);
    }

    #[test]
    fn the_later_of_two_values_counts() {
        let mut modes = TerminalModes::default();
        modes.set(Mode::ECHO, 1);
        modes.set(Mode::ECHO, 0);
        assert_eq!(modes.get(Mode::ECHO), Some(0));
        assert_eq!(modes.get(Mode::ICANON), None);
    }

    #[test]
    fn dimensions_of_zero_are_ignored() {
        let first = WindowSize { columns: 80, rows: 24, width: 640, height: 480 };
        let next = WindowSize { columns: 132, ..WindowSize::default() };
        assert_eq!(next.or(first), WindowSize { columns: 132, rows: 24, width: 640, height: 480 });
        assert_eq!(WindowSize::of_characters(80, 24).height, 0);
    }
}
