//! Transfers: a large file and many small ones, planned against a server that answers in order.

use core::time::Duration;
use std::collections::VecDeque;

use sftp::transfer::{GetStep, Gets, Item, Options, PutFile, PutStep, Puts};
use ssh_wire::Time;

use crate::{Done, check};

/// Bytes of a request.
const REQUEST: u32 = 255 * 1024;
/// The sizes of the files: one of half a gigabyte, and a thousand of 4 KiB.
const LARGE: u64 = 2000 * 255 * 1024;
const SMALL: u64 = 4096;
const FILES: u32 = 1001;

fn size(item: Item) -> u64 {
    if item.0 == 0 { LARGE } else { SMALL }
}

/// The time at which a reply comes: each a little later.
fn at(replies: u64) -> Time {
    Time::from_epoch(Duration::from_micros(200 * replies))
}

pub(crate) fn download() -> Done {
    let mut gets = Gets::new(&Options::new(REQUEST));
    for item in (0..FILES).map(Item) {
        gets.add_file(item, 0, Some(size(item)));
    }
    let (mut under_way, mut replies, mut whole) = (VecDeque::new(), 0, 0);
    while !gets.is_idle() {
        while let Some(step) = gets.next(at(replies)) {
            under_way.push_back(step);
        }
        replies += 1;
        match under_way.pop_front().ok_or("nothing is under way")? {
            GetStep::Open(item) => gets.on_opened(item),
            GetStep::Read(item, range) if range.offset < size(item) => {
                gets.on_data(item, range.offset, range.len, at(replies));
                gets.on_stored(u64::from(range.len));
            }
            GetStep::Read(item, range) => gets.on_eof(item, range.offset, at(replies)),
            GetStep::Size(item) => gets.on_size(item, Some(size(item))),
            GetStep::Close(item) => gets.on_closed(item),
            _ => return Err("a step for a directory".into()),
        }
        while let Some((item, end)) = gets.poll_finished() {
            whole += u32::from(end? == size(item));
        }
    }
    check(whole == FILES, "a file is not whole")
}

pub(crate) fn upload() -> Done {
    let mut puts = Puts::new(&Options::new(REQUEST));
    for item in (0..FILES).map(Item) {
        puts.add_file(item, PutFile { size: Some(size(item)), ..PutFile::default() });
    }
    let (mut under_way, mut replies, mut whole) = (VecDeque::new(), 0, 0);
    while !puts.is_idle() {
        while let Some(load) = puts.next_load() {
            let left = size(load.item).saturating_sub(load.range.offset);
            let got = u32::try_from(left).unwrap_or(u32::MAX).min(load.range.len);
            puts.on_loaded(load, got, u64::from(got) == left);
        }
        while let Some(step) = puts.next(at(replies)) {
            under_way.push_back(step);
        }
        replies += 1;
        match under_way.pop_front().ok_or("nothing is under way")? {
            PutStep::Open(item) => puts.on_opened(item),
            PutStep::Write(item, _, range) => {
                puts.on_written(item, range.offset, true, at(replies));
            }
            PutStep::Size(item) => puts.on_size(item, Some(size(item))),
            PutStep::Close(item, _) => puts.on_closed(item, true),
            step => return Err(format!("nobody asked for {step:?}").into()),
        }
        while let Some((item, end)) = puts.poll_finished() {
            whole += u32::from(end? == size(item));
        }
    }
    check(whole == FILES, "a file is not whole")
}
