//! Fuzz targets: bodies that must neither panic nor hang, whatever the bytes.

#![expect(clippy::missing_panics_doc, reason = "a panic is what a fuzzer looks for")]

use alloc::{boxed::Box, vec::Vec};

use crate::{Asked, Event, Record, Reply, Sink, Source, Times, name};

/// A name and a body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this crate.
pub const TARGETS: &[Target] =
    &[("scp_records", scp_records), ("scp_sink", scp_sink), ("scp_source", scp_source)];

/// What parses also parses after being written, and is the same.
pub fn scp_records(data: &[u8]) {
    if let Ok(record) = Record::parse(data) {
        let mut line = Vec::new();
        record.write(&mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        assert_eq!(Record::parse(&line), Ok(record));
    }
}

/// Splits off the first byte, and cuts the rest into pieces as long as it says.
fn pieces(data: &[u8]) -> (u8, impl Iterator<Item = &[u8]>) {
    let (&first, rest) = data.split_first().unwrap_or((&0, &[]));
    (first, rest.chunks(usize::from(first & 31).saturating_add(1)))
}

/// A hostile source: names stay harmless and asked for, directories balance, content is as long as
/// was said.
pub fn scp_sink(data: &[u8]) {
    let (mode, pieces) = pieces(data);
    let recursive = mode & 32 != 0;
    let asked = |name: &[u8]| name.first() == Some(&b'f');
    let limited = mode & 64 != 0;
    let mut out = Vec::new();
    let wanted = if limited { Asked::Names(Box::new(asked)) } else { Asked::Anything };
    let mut sink = Sink::new(wanted, recursive, &mut out);
    let (mut depth, mut left, mut answers) = (0_usize, 0_u64, 0_u32);
    for piece in pieces {
        let mut input = piece;
        loop {
            let Ok(event) = sink.receive(&mut input, &mut out) else { return };
            let Some(event) = event else { break };
            // Some are refused.
            answers = answers.wrapping_mul(5).wrapping_add(u32::from(mode | 1));
            let accepted = answers & 24 != 0;
            match event {
                Event::File(offer) | Event::Directory(offer)
                    if name::check(&offer.name).is_err() =>
                {
                    unreachable!("a name that is none: {:?}", offer.name)
                }
                Event::File(offer) => {
                    assert!(!limited || depth > 0 || asked(&offer.name));
                    left = if accepted { offer.size } else { 0 };
                }
                Event::Directory(offer) => {
                    assert!(recursive && (!limited || depth > 0 || asked(&offer.name)));
                    depth = depth.saturating_add(usize::from(accepted));
                    assert!(depth <= crate::limits::MAX_DEPTH);
                }
                Event::Data(data) => {
                    let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
                    left = left.checked_sub(len).unwrap_or_else(|| unreachable!("too much"));
                }
                Event::FileEnd { .. } => assert_eq!(left, 0),
                Event::DirectoryEnd => {
                    depth = depth.checked_sub(1).unwrap_or_else(|| unreachable!("no such end"));
                }
                Event::Trouble(_) => {}
            }
            if accepted {
                sink.accept(&mut out);
            } else {
                sink.refuse("no\nreally", &mut out);
            }
        }
        assert!(input.is_empty(), "all questions were answered");
    }
    drop(sink.finish());
}

/// A hostile sink.
pub fn scp_source(data: &[u8]) {
    let (mode, pieces) = pieces(data);
    let mut source = Source::new();
    let mut out = Vec::new();
    let mut step = u32::from(mode);
    for piece in pieces {
        let mut input = piece;
        while let Ok(Some(reply)) = source.receive(&mut input) {
            step = step.wrapping_mul(5).wrapping_add(3);
            if source.left() > 0 {
                assert_eq!(reply, Reply::Go, "content is sent only if it was accepted");
                let left = usize::try_from(source.left()).unwrap_or(usize::MAX);
                assert_eq!(source.sent(left), Ok(()));
                assert_eq!(source.file_end(None, &mut out), Ok(()));
                continue;
            }
            let sent = match step >> 3 & 3 {
                0 => source.times(Times { modified: 1, accessed: 2 }, &mut out),
                1 => source.directory(b"d", 0o755, &mut out),
                2 => source.directory_end(&mut out),
                _ => source.file(b"f", 0o644, 3, &mut out),
            };
            // Too deep, or no directory to end: then something else.
            if sent.is_err() {
                assert_eq!(source.file(b"f", 0o644, 3, &mut out), Ok(()));
            }
        }
        if source.receive(&mut input).is_err() {
            return;
        }
    }
}
