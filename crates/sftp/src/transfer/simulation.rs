//! A server with one file that misbehaves on purpose, for tests and fuzzing of [`Download`].

use alloc::vec::Vec;

use ssh_wire::Time;

use super::{Download, Options, Range, TransferError};

/// More steps than this is a transfer that does not end.
const MAX_STEPS: usize = 200_000;

/// What happens, by numbers from a seed or from a fuzzer.
pub(crate) struct Chance<F: FnMut() -> u32>(pub(crate) F);

impl<F: FnMut() -> u32> Chance<F> {
    /// A number below `n`; 0 if `n` is 0.
    fn below(&mut self, n: usize) -> usize {
        usize::try_from((self.0)()).unwrap_or(0).checked_rem(n).unwrap_or(0)
    }
}

/// How the file and the server behave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Behaviour {
    /// Replies may be shorter than asked for.
    pub(crate) short_reads: bool,
    /// The file grows while it is read.
    pub(crate) grows: bool,
    /// The file is cut once while it is read.
    pub(crate) shrinks: bool,
}

/// How a transfer went.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<u64, TransferError>,
    /// The copy, cut to what was confirmed.
    pub(crate) copy: Vec<u8>,
    /// The file as it was at the end.
    pub(crate) file: Vec<u8>,
}

/// Byte `at` of every file here, so that a copy can be compared whatever the file's size was.
fn byte(at: usize) -> u8 {
    let [a, b, c, _] = u32::try_from(at).unwrap_or(0).wrapping_mul(0x9e37_79b1).to_le_bytes();
    a ^ b ^ c
}

fn resize(file: &mut Vec<u8>, len: usize) {
    file.truncate(len);
    file.extend((file.len()..len).map(byte));
}

/// Downloads a file of `len` bytes.
pub(crate) fn download<F: FnMut() -> u32>(
    options: &Options,
    len: usize,
    behaviour: Behaviour,
    chance: &mut Chance<F>,
) -> Outcome {
    let mut file = Vec::new();
    resize(&mut file, len);
    let start = usize::try_from(options.start).unwrap_or(0);
    let mut copy = file.get(..start).unwrap_or(&file).to_vec();
    let mut download = Download::new(options);
    let result = drive(&mut download, &mut file, &mut copy, behaviour, chance)
        .and_then(|()| download.check(None))
        .or_else(|error| match error {
            TransferError::SizeMismatch { .. } => download.check(u64::try_from(file.len()).ok()),
            error => Err(error),
        });
    let confirmed = usize::try_from(download.confirmed()).unwrap_or(usize::MAX);
    assert!(confirmed <= copy.len().max(start), "more confirmed than came");
    copy.truncate(confirmed);
    Outcome { result, copy, file }
}

fn drive<F: FnMut() -> u32>(
    download: &mut Download,
    file: &mut Vec<u8>,
    copy: &mut Vec<u8>,
    behaviour: Behaviour,
    chance: &mut Chance<F>,
) -> Result<(), TransferError> {
    let mut under_way: Vec<Range> = Vec::new();
    let mut shrinks = behaviour.shrinks;
    // It does not grow for ever: that would never end.
    let mut grows: usize = if behaviour.grows { 20 } else { 0 };
    for step in 0..MAX_STEPS {
        let now =
            Time::from_epoch(core::time::Duration::from_millis(u64::try_from(step).unwrap_or(0)));
        if download.is_done() {
            assert!(under_way.is_empty() && download.next_read(now).is_none());
            return Ok(());
        }
        if grows > 0 && chance.below(8) == 0 {
            grows = grows.saturating_sub(1);
            let len = file.len().saturating_add(chance.below(3000));
            resize(file, len);
        }
        if shrinks && chance.below(30) == 0 {
            shrinks = false;
            file.truncate(chance.below(file.len()));
        }
        if under_way.is_empty() || chance.below(2) == 0 {
            if let Some(range) = download.next_read(now) {
                assert!(range.len > 0);
                under_way.push(range);
                continue;
            }
            assert!(!under_way.is_empty(), "neither done nor waiting: {download:?}");
        }
        let Range { offset, len } = under_way.swap_remove(chance.below(under_way.len()));
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let there = file.get(at..).unwrap_or_default();
        let most = there.len().min(usize::try_from(len).unwrap_or(0));
        if most == 0 {
            download.on_eof(offset, now)?;
            continue;
        }
        let got = match behaviour.short_reads && chance.below(4) == 0 {
            true => chance.below(most).saturating_add(1),
            false => most,
        };
        let end = at.saturating_add(got);
        if copy.len() < end {
            copy.resize(end, 0);
        }
        if let (Some(to), Some(from)) = (copy.get_mut(at..end), there.get(..got)) {
            to.copy_from_slice(from);
        }
        download.on_data(offset, u32::try_from(got).unwrap_or(0), now)?;
    }
    assert!(download.is_done(), "the transfer does not end: {download:?}");
    Ok(())
}
