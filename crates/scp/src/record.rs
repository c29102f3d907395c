//! The lines that a source sends.
//!
//! ```text
//! T<modified> <micros> <accessed> <micros>   the times of what comes next
//! C<mode> <size> <name>                      a file; its content follows when it was accepted
//! D<mode> 0 <name>                           a directory begins
//! E                                          and ends
//! ```

use alloc::vec::Vec;

use ssh_wire::PeerText;

use crate::{error::PeerMisbehaved, limits::MAX_SIZE, name};

/// Permission bits of a record: what `chmod` knows.
pub const MODE: u32 = 0o7777;

/// When a file was last changed and used, in seconds since 1970. The microseconds of the record
/// are 0 in practice and are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Times {
    /// When it was last written.
    pub modified: u64,
    /// When it was last read.
    pub accessed: u64,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record<'a> {
    /// The times of the file or directory that comes next.
    Times(Times),
    /// A file.
    File {
        /// Permission bits.
        mode: u32,
        /// Its length in bytes.
        size: u64,
        /// Its name: one component.
        name: &'a [u8],
    },
    /// A directory, which goes to the [`Record::End`] that fits.
    Directory {
        /// Permission bits.
        mode: u32,
        /// Its name: one component.
        name: &'a [u8],
    },
    /// The end of a directory.
    End,
}

impl<'a> Record<'a> {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// A line that is no record, or with fields that cannot be.
    pub fn parse(line: &'a [u8]) -> Result<Self, PeerMisbehaved> {
        let text = || PeerText::from_bytes(line);
        let bad = |field| PeerMisbehaved::BadRecord { field, line: text() };
        match line.split_first() {
            Some((b'T', rest)) => times(rest).map(Self::Times).ok_or_else(|| bad("times")),
            Some((b'E', b"")) => Ok(Self::End),
            Some((&kind @ (b'C' | b'D'), rest)) => {
                let (mode, rest) = mode(rest).ok_or_else(|| bad("mode of four octal digits"))?;
                let (size, name) = field(rest).ok_or_else(|| bad("name"))?;
                let size = number(size).filter(|&size| size <= MAX_SIZE);
                let size = size.ok_or_else(|| bad("size"))?;
                name::check(name).map_err(|why| PeerMisbehaved::BadName {
                    why,
                    name: PeerText::from_bytes(name),
                })?;
                Ok(match kind {
                    b'C' => Self::File { mode, size, name },
                    _ => Self::Directory { mode, name },
                })
            }
            _ => Err(PeerMisbehaved::NotARecord(text())),
        }
    }

    /// Writes the line with its end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let head = match self {
            Self::Times(Times { modified, accessed }) => {
                alloc::format!("T{modified} 0 {accessed} 0")
            }
            Self::File { mode, size, .. } => alloc::format!("C{:04o} {size} ", mode & MODE),
            Self::Directory { mode, .. } => alloc::format!("D{:04o} 0 ", mode & MODE),
            Self::End => "E".into(),
        };
        out.extend_from_slice(head.as_bytes());
        if let Self::File { name, .. } | Self::Directory { name, .. } = self {
            out.extend_from_slice(name);
        }
        out.push(b'\n');
    }
}

fn field(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = text.iter().position(|&byte| byte == b' ')?;
    let (field, rest) = text.split_at_checked(space)?;
    Some((field, rest.get(1..)?))
}

/// Four octal digits and a space.
fn mode(text: &[u8]) -> Option<(u32, &[u8])> {
    let (digits, rest) = field(text)?;
    if digits.len() != 4 || !digits.iter().all(|byte| (b'0'..=b'7').contains(byte)) {
        return None;
    }
    let digits = core::str::from_utf8(digits).ok()?;
    Some((u32::from_str_radix(digits, 8).ok()?, rest))
}

/// A number in decimal digits; no sign, no space.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    core::str::from_utf8(text).ok()?.parse().ok()
}

fn times(text: &[u8]) -> Option<Times> {
    let micros = |text| number(text).filter(|&micros| micros < 1_000_000);
    let (modified, rest) = field(text)?;
    let (first, rest) = field(rest)?;
    let (accessed, second) = field(rest)?;
    micros(first).and(micros(second))?;
    let seconds = |text| number(text).filter(|&seconds| seconds <= MAX_SIZE);
    Some(Times { modified: seconds(modified)?, accessed: seconds(accessed)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::BadName;
    use proptest::prelude::*;

    #[test]
    fn records_are_read() {
        let file = Record::File { mode: 0o644, size: 12, name: b"two words" };
        assert_eq!(Record::parse(b"C0644 12 two words"), Ok(file));
        let directory = Record::Directory { mode: 0o1755, name: b"d" };
        assert_eq!(Record::parse(b"D1755 0 d"), Ok(directory));
        let times = Times { modified: 7, accessed: 9 };
        assert_eq!(Record::parse(b"T7 0 9 999999"), Ok(Record::Times(times)));
        assert_eq!(Record::parse(b"E"), Ok(Record::End));
    }

    #[test]
    fn what_is_no_record_is_refused_and_told() {
        for (line, field) in [
            (&b"C755 2 f"[..], "mode of four octal digits"),
            (b"C0888 2 f", "mode of four octal digits"),
            (b"C07777 2 f", "mode of four octal digits"),
            (b"C0644", "mode of four octal digits"),
            (b"C0644 ", "name"),
            (b"C0644 2", "name"),
            (b"C0644 -2 f", "size"),
            (b"C0644 +2 f", "size"),
            (b"C0644  f", "size"),
            (b"C0644 9223372036854775808 f", "size"),
            (b"C0644 99999999999999999999999 f", "size"),
            (b"T1 0 2", "times"),
            (b"T1 1000000 2 0", "times"),
            (b"T-1 0 2 0", "times"),
            (b"T1 0 2 0 ", "times"),
        ] {
            match Record::parse(line) {
                Err(PeerMisbehaved::BadRecord { field: found, .. }) => assert_eq!(found, field),
                other => panic!("{line:?}: {other:?}"),
            }
        }
        for line in [&b""[..], b"Welcome!", b"E ", b"EE", b"c0644 2 f"] {
            let parsed = Record::parse(line);
            assert!(matches!(parsed, Err(PeerMisbehaved::NotARecord(_))), "{line:?}: {parsed:?}");
        }
        for (line, expected) in [
            (&b"C0644 2 ../f"[..], BadName::Slash),
            (b"D0755 0 ..", BadName::Dots),
            (b"D0755 0 ", BadName::Empty),
            (b"C0644 2 a\x1b", BadName::Control),
        ] {
            match Record::parse(line) {
                Err(PeerMisbehaved::BadName { why, .. }) => assert_eq!(why, expected),
                other => panic!("{line:?}: {other:?}"),
            }
        }
    }

    fn any_name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 1..20)
            .prop_filter("a name", |name| name::check(name).is_ok())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(mode in 0..=MODE, size in 0..=MAX_SIZE, name in any_name()) {
            for record in [
                Record::File { mode, size, name: &name },
                Record::Directory { mode, name: &name },
                Record::Times(Times { modified: size, accessed: u64::from(mode) }),
            ] {
                let mut line = Vec::new();
                record.write(&mut line);
                prop_assert_eq!(line.pop(), Some(b'\n'));
                prop_assert_eq!(Record::parse(&line), Ok(record));
            }
        }
    }
}
