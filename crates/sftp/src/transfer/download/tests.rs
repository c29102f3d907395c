//! Tests of [`Download`].

use super::*;
use crate::transfer::Options;
use alloc::vec::Vec;

const NOW: Time = Time::ZERO;

/// One file with a pipe to itself.
struct One {
    plan: Download,
    pipe: Pipe,
}

impl One {
    fn new(start: u64, size: Option<u64>, request_len: u32, max_requests: usize) -> Self {
        let options = Options { max_requests, ..Options::new(request_len) };
        Self { plan: Download::new(request_len, start, size), pipe: Pipe::new(&options) }
    }

    fn next_read(&mut self) -> Option<Range> {
        self.plan.next_read(&mut self.pipe, NOW)
    }

    fn reads(&mut self) -> Vec<(u64, u32)> {
        core::iter::from_fn(|| self.next_read()).map(|read| (read.offset, read.len)).collect()
    }

    fn on_data(&mut self, offset: u64, got: u32) -> Result<(), TransferError> {
        self.plan.on_data(&mut self.pipe, offset, got, NOW)
    }

    fn on_eof(&mut self, offset: u64) -> Result<(), TransferError> {
        self.plan.on_eof(&mut self.pipe, offset, NOW)
    }
}

#[test]
fn a_file_of_known_size_is_read_with_one_read_for_its_end() {
    let mut download = One::new(0, Some(25), 10, 4);
    assert_eq!(download.reads(), [(0, 10), (10, 10), (20, 5), (25, 10)]);
    for (at, len) in [(10, 10), (0, 10), (20, 5)] {
        download.on_data(at, len).unwrap();
    }
    assert!(!download.plan.is_done());
    assert_eq!(download.reads(), []);
    download.on_eof(25).unwrap();
    assert!(download.plan.is_done());
    assert_eq!(download.plan.check(None), Ok(25));
}

#[test]
fn an_empty_file_takes_one_read() {
    for size in [None, Some(0)] {
        let mut download = One::new(0, size, 10, 1);
        assert_eq!(download.reads(), [(0, 10)]);
        download.on_eof(0).unwrap();
        assert_eq!(download.plan.check(None), Ok(0));
    }
}

/// Files of `/proc` say that they are empty.
#[test]
fn a_file_that_says_it_is_empty_is_read_all_the_same() {
    let mut download = One::new(0, Some(0), 10, 4);
    assert_eq!(download.reads(), [(0, 10)]);
    download.on_data(0, 10).unwrap();
    assert_eq!(download.reads(), [(10, 10), (20, 10), (30, 10), (40, 10)]);
    download.on_data(10, 2).unwrap();
    for at in [20, 30, 40] {
        download.on_eof(at).unwrap();
    }
    assert_eq!(download.reads(), [(12, 8)]);
    download.on_eof(12).unwrap();
    assert_eq!(download.plan.check(None), Ok(12));
}

#[test]
fn the_rest_of_a_short_reply_is_asked_for_first() {
    let mut download = One::new(0, Some(100), 10, 4);
    download.reads();
    download.on_data(0, 3).unwrap();
    assert_eq!(download.reads(), [(3, 7)]);
    assert_eq!(download.plan.confirmed(), 3);
}

#[test]
fn requests_become_smaller_only_if_the_server_gives_no_more() {
    let mut download = One::new(0, None, 64 * 1024, 4);
    assert_eq!(download.next_read(), Some(Range { offset: 0, len: 65_536 }));
    download.on_data(0, 16_384).unwrap();
    // So far it might be the end of the file.
    assert_eq!(download.next_read(), Some(Range { offset: 16_384, len: 49_152 }));
    download.on_data(16_384, 16_384).unwrap();
    // It was not. Halved at most, so that one odd reply does not cost much.
    assert_eq!(download.next_read(), Some(Range { offset: 32_768, len: 32_768 }));
    download.on_data(32_768, 16_384).unwrap();
    assert_eq!(download.next_read(), Some(Range { offset: 49_152, len: 16_384 }));
}

#[test]
fn a_hostile_server_cannot_make_requests_tiny() {
    let mut download = One::new(0, None, 1 << 18, 1);
    for _ in 0..1000 {
        let read = download.next_read().unwrap();
        download.on_data(read.offset, 1).unwrap();
    }
    assert_eq!(download.plan.read_len, MIN_READ);
    assert_eq!(download.plan.confirmed(), 1000);
}

#[test]
fn a_file_that_was_cut_needs_its_new_size_to_be_whole() {
    let mut download = One::new(0, Some(20), 10, 4);
    download.reads();
    download.on_data(0, 10).unwrap();
    download.on_eof(10).unwrap();
    download.on_eof(20).unwrap();
    assert!(download.plan.is_done());
    let mismatch = |size| Err(TransferError::SizeMismatch { moved: 10, size });
    assert_eq!(download.plan.check(None), mismatch(20));
    assert_eq!(download.plan.check(Some(10)), Ok(10));
    assert_eq!(download.plan.check(Some(15)), mismatch(15));
}

#[test]
fn taking_up_behind_the_end_of_the_file_is_an_error() {
    let mut download = One::new(50, Some(20), 10, 4);
    assert_eq!(download.reads(), [(50, 10)]);
    download.on_eof(50).unwrap();
    assert_eq!(download.plan.check(None), Err(TransferError::SizeMismatch { moved: 50, size: 20 }));
}

#[test]
fn a_file_with_content_behind_its_end_is_an_error_in_the_end() {
    let mut download = One::new(0, Some(30), 10, 4);
    let mut error = None;
    for _ in 0..100 {
        for (at, len) in download.reads() {
            let answer =
                if at == 10 || at >= 30 { download.on_eof(at) } else { download.on_data(at, len) };
            error = error.or(answer.err());
        }
    }
    assert_eq!(error, Some(TransferError::Hole { at: 10 }));
    assert_eq!(download.plan.confirmed(), 10);
}

#[test]
fn replies_to_nothing_are_refused() {
    let mut download = One::new(0, Some(30), 10, 4);
    assert_eq!(download.on_eof(0), Err(TransferError::NotInFlight { offset: 0 }));
    download.reads();
    let wrong = |got| Err(TransferError::WrongLength { asked: 10, got });
    assert_eq!(download.on_data(0, 0), wrong(0));
    assert_eq!(download.on_data(10, 11), wrong(11));
    assert_eq!(download.on_data(10, 10), Err(TransferError::NotInFlight { offset: 10 }));
    assert_eq!(download.plan.check(None), Err(TransferError::Unfinished { confirmed: 0 }));
}

#[test]
fn the_end_of_what_can_be_counted_is_no_overflow() {
    let mut download = One::new(u64::MAX - 5, None, 10, 4);
    assert_eq!(download.next_read(), None);
}
