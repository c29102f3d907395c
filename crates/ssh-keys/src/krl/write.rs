//! Writing a list.

use alloc::{vec, vec::Vec};

use ssh_wire::{Encode as _, put_string, put_with_length};

use super::{FORMAT, Krl, MAGIC, RevokedCertificates, Serials, number};

/// Numbers that are nearer to each other than this share a bitmap: eight bytes of it are as many
/// as a number takes by itself.
const NEAR: u64 = 64;
/// Runs longer than this are written as a range.
const LONG: u64 = 256;
/// A bitmap with fewer runs than this saves nothing.
const MIN_RUNS: usize = 3;
/// The most numbers that a bitmap spans here.
const MAX_SPAN: u64 = 1 << 16;

/// How runs of serial numbers are written.
enum Form<'a> {
    /// A run by itself.
    Range(u64, u64),
    /// Runs that are near to each other.
    Bitmap(&'a [(u64, u64)]),
}

impl Krl {
    /// The list as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(MAGIC);
        FORMAT.encode(&mut out);
        self.version.encode(&mut out);
        self.generated.encode(&mut out);
        0_u64.encode(&mut out);
        put_string(&mut out, b"");
        put_string(&mut out, self.comment.as_bytes());
        for revoked in &self.certificates {
            out.push(number::CERTIFICATES);
            put_with_length(&mut out, |out| revoked.write(out));
        }
        write_strings(number::KEYS, self.keys(), &mut out);
        write_strings(number::SHA1, self.sha1.iter().map(|hash| &hash[..]), &mut out);
        write_strings(number::SHA256, self.sha256.iter().map(|hash| &hash[..]), &mut out);
        out
    }
}

fn write_strings<'a>(number: u8, strings: impl Iterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    let mut strings = strings.peekable();
    if strings.peek().is_none() {
        return;
    }
    out.push(number);
    put_with_length(out, |out| strings.for_each(|string| put_string(out, string)));
}

impl RevokedCertificates {
    fn write(&self, out: &mut Vec<u8>) {
        put_string(out, self.authority.as_ref().map_or(&[], |key| key.blob()));
        put_string(out, b"");
        let runs = merged(&self.serials);
        let mut single = Vec::new();
        for form in forms(&runs) {
            match form {
                Form::Range(first, last) if first == last => single.push(first),
                Form::Range(first, last) => {
                    out.push(number::SERIAL_RANGE);
                    put_with_length(out, |out| {
                        first.encode(out);
                        last.encode(out);
                    });
                }
                Form::Bitmap(runs) => {
                    out.push(number::SERIAL_BITMAP);
                    put_with_length(out, |out| write_bitmap(runs, out));
                }
            }
        }
        if !single.is_empty() {
            out.push(number::SERIALS);
            put_with_length(out, |out| single.iter().for_each(|serial| serial.encode(out)));
        }
        let key_ids = self.key_ids.iter().map(alloc::string::String::as_bytes);
        write_strings(number::KEY_IDS, key_ids, out);
    }
}

/// The runs in order, none of them touching another.
fn merged(serials: &[Serials]) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = serials.iter().flat_map(Serials::ranges).collect();
    runs.sort_unstable();
    let mut merged: Vec<(u64, u64)> = Vec::new();
    for (first, last) in runs {
        match merged.last_mut() {
            Some((_, end)) if first <= end.saturating_add(1) => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn forms(runs: &[(u64, u64)]) -> Vec<Form<'_>> {
    let mut forms = Vec::new();
    let mut rest = runs;
    while let Some(((first, _), _)) = rest.split_first() {
        let together = near(rest, *first).max(1);
        let (group, after) = rest.split_at_checked(together).unwrap_or((rest, &[]));
        rest = after;
        if group.len() >= MIN_RUNS {
            forms.push(Form::Bitmap(group));
        } else {
            forms.extend(group.iter().map(|(first, last)| Form::Range(*first, *last)));
        }
    }
    forms
}

/// How many of the runs, the first of which begins at `start`, may share a bitmap.
fn near(runs: &[(u64, u64)], start: u64) -> usize {
    let mut end = start;
    runs.iter()
        .take_while(|(first, last)| {
            let fits = last.saturating_sub(*first) <= LONG
                && first.saturating_sub(end) <= NEAR
                && last.saturating_sub(start) < MAX_SPAN;
            end = *last;
            fits
        })
        .count()
}

/// Writes the offset and the bits, the first of which is set, as an mpint.
fn write_bitmap(runs: &[(u64, u64)], out: &mut Vec<u8>) {
    let offset = runs.first().map_or(0, |(first, _)| *first);
    let end = runs.last().map_or(0, |(_, last)| last.saturating_sub(offset));
    let mut bits = vec![0_u8; usize::try_from(end / 8).unwrap_or(0).saturating_add(1)];
    for serial in runs.iter().flat_map(|(first, last)| *first..=*last) {
        let bit = serial.saturating_sub(offset);
        let byte = usize::try_from(bit / 8).unwrap_or(usize::MAX);
        if let Some(byte) = bits.iter_mut().rev().nth(byte) {
            *byte |= 1 << (bit % 8);
        }
    }
    offset.encode(out);
    ssh_wire::MpInt::from_bytes(&bits).encode(out);
}
