//! Tests of [`Download`].

use super::*;
use crate::transfer::simulation::{self, Behaviour, Chance};
use alloc::vec::Vec;
use proptest::prelude::*;

const NOW: Time = Time::ZERO;

fn options(size: Option<u64>, request_len: u32) -> Options {
    Options { size, max_requests: 4, ..Options::new(request_len) }
}

fn reads(download: &mut Download) -> Vec<(u64, u32)> {
    core::iter::from_fn(|| download.next_read(NOW)).map(|read| (read.offset, read.len)).collect()
}

#[test]
fn a_file_of_known_size_is_read_with_one_read_for_its_end() {
    let mut download = Download::new(&options(Some(25), 10));
    assert_eq!(reads(&mut download), [(0, 10), (10, 10), (20, 5), (25, 10)]);
    for (at, len) in [(10, 10), (0, 10), (20, 5)] {
        download.on_data(at, len, NOW).unwrap();
    }
    assert!(!download.is_done());
    assert_eq!(reads(&mut download), []);
    download.on_eof(25, NOW).unwrap();
    assert!(download.is_done());
    assert_eq!(download.check(None), Ok(25));
}

#[test]
fn an_empty_file_takes_one_read() {
    for size in [None, Some(0)] {
        let mut download = Download::new(&Options { max_requests: 1, ..options(size, 10) });
        assert_eq!(reads(&mut download), [(0, 10)]);
        download.on_eof(0, NOW).unwrap();
        assert_eq!(download.check(None), Ok(0));
    }
}

/// Files of `/proc` say that they are empty.
#[test]
fn a_file_that_says_it_is_empty_is_read_all_the_same() {
    let mut download = Download::new(&options(Some(0), 10));
    assert_eq!(reads(&mut download), [(0, 10)]);
    download.on_data(0, 10, NOW).unwrap();
    assert_eq!(reads(&mut download), [(10, 10), (20, 10), (30, 10), (40, 10)]);
    download.on_data(10, 2, NOW).unwrap();
    for at in [20, 30, 40] {
        download.on_eof(at, NOW).unwrap();
    }
    assert_eq!(reads(&mut download), [(12, 8)]);
    download.on_eof(12, NOW).unwrap();
    assert_eq!(download.check(None), Ok(12));
}

#[test]
fn the_rest_of_a_short_reply_is_asked_for_first() {
    let mut download = Download::new(&options(Some(100), 10));
    reads(&mut download);
    download.on_data(0, 3, NOW).unwrap();
    assert_eq!(reads(&mut download), [(3, 7)]);
    assert_eq!(download.confirmed(), 3);
}

#[test]
fn requests_become_smaller_only_if_the_server_gives_no_more() {
    let mut download = Download::new(&options(None, 64 * 1024));
    assert_eq!(download.next_read(NOW), Some(Range { offset: 0, len: 65_536 }));
    download.on_data(0, 16_384, NOW).unwrap();
    // So far it might be the end of the file.
    assert_eq!(download.next_read(NOW), Some(Range { offset: 16_384, len: 49_152 }));
    download.on_data(16_384, 16_384, NOW).unwrap();
    // It was not. Halved at most, so that one odd reply does not cost much.
    assert_eq!(download.next_read(NOW), Some(Range { offset: 32_768, len: 32_768 }));
    download.on_data(32_768, 16_384, NOW).unwrap();
    assert_eq!(download.next_read(NOW), Some(Range { offset: 49_152, len: 16_384 }));
}

#[test]
fn a_hostile_server_cannot_make_requests_tiny() {
    let mut download = Download::new(&Options { max_requests: 1, ..options(None, 1 << 18) });
    for _ in 0..1000 {
        let read = download.next_read(NOW).unwrap();
        download.on_data(read.offset, 1, NOW).unwrap();
    }
    assert_eq!(download.read_len, MIN_READ);
    assert_eq!(download.confirmed(), 1000);
}

#[test]
fn a_file_that_was_cut_needs_its_new_size_to_be_whole() {
    let mut download = Download::new(&options(Some(20), 10));
    reads(&mut download);
    download.on_data(0, 10, NOW).unwrap();
    download.on_eof(10, NOW).unwrap();
    download.on_eof(20, NOW).unwrap();
    assert!(download.is_done());
    let mismatch = |size| Err(TransferError::SizeMismatch { moved: 10, size });
    assert_eq!(download.check(None), mismatch(20));
    assert_eq!(download.check(Some(10)), Ok(10));
    assert_eq!(download.check(Some(15)), mismatch(15));
}

#[test]
fn taking_up_behind_the_end_of_the_file_is_an_error() {
    let mut download = Download::new(&Options { start: 50, ..options(Some(20), 10) });
    assert_eq!(reads(&mut download), [(50, 10)]);
    download.on_eof(50, NOW).unwrap();
    assert_eq!(download.check(None), Err(TransferError::SizeMismatch { moved: 50, size: 20 }));
}

#[test]
fn a_file_with_content_behind_its_end_is_an_error_in_the_end() {
    let mut download = Download::new(&options(Some(30), 10));
    let mut error = None;
    for _ in 0..100 {
        for (at, len) in reads(&mut download) {
            let answer = if at == 10 || at >= 30 {
                download.on_eof(at, NOW)
            } else {
                download.on_data(at, len, NOW)
            };
            error = error.or(answer.err());
        }
    }
    assert_eq!(error, Some(TransferError::Hole { at: 10 }));
    assert_eq!(download.confirmed(), 10);
}

#[test]
fn replies_to_nothing_are_refused() {
    let mut download = Download::new(&options(Some(30), 10));
    assert_eq!(download.on_eof(0, NOW), Err(TransferError::NotInFlight { offset: 0 }));
    reads(&mut download);
    let wrong = |got| Err(TransferError::WrongLength { asked: 10, got });
    assert_eq!(download.on_data(0, 0, NOW), wrong(0));
    assert_eq!(download.on_data(10, 11, NOW), wrong(11));
    assert_eq!(download.on_data(10, 10, NOW), Err(TransferError::NotInFlight { offset: 10 }));
    assert_eq!(download.check(None), Err(TransferError::Unfinished { confirmed: 0 }));
}

#[test]
fn the_end_of_what_can_be_counted_is_no_overflow() {
    let mut download = Download::new(&Options { start: u64::MAX - 5, ..options(None, 10) });
    assert_eq!(download.next_read(NOW), None);
}

fn chance(seed: u64) -> Chance<impl FnMut() -> u32> {
    let mut state = seed;
    Chance(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 33).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_copy_equals_the_file(
        len in 0_usize..40_000,
        hint in proptest::option::of(0_u64..40_000),
        right_hint in any::<bool>(),
        start in 0_usize..3000,
        request_len in 1_u32..6000,
        max_requests in 1_usize..20,
        short_reads in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let request_len = request_len.max(200);
        let start = start.min(len);
        let size = if right_hint { u64::try_from(len).ok() } else { hint };
        let options = Options {
            start: u64::try_from(start).unwrap(),
            max_requests,
            ..options(size, request_len)
        };
        let behaviour = Behaviour { short_reads, ..Behaviour::default() };
        let outcome = simulation::download(&options, len, behaviour, &mut chance(seed));
        // A hint beyond the end is corrected by asking for the size again.
        prop_assert_eq!(outcome.result, Ok(u64::try_from(len).unwrap()));
        prop_assert!(outcome.copy == outcome.file);
    }

    #[test]
    fn the_copy_of_a_file_that_grows_is_what_it_was_at_some_moment(
        len in 0_usize..40_000,
        told in any::<bool>(),
        request_len in 200_u32..6000,
        short_reads in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let size = told.then_some(u64::try_from(len).unwrap());
        let behaviour = Behaviour { short_reads, grows: true, shrinks: false };
        let outcome = simulation::download(&options(size, request_len), len, behaviour, &mut chance(seed));
        match outcome.result {
            Ok(moved) => {
                prop_assert_eq!(moved, u64::try_from(outcome.copy.len()).unwrap());
                prop_assert!(outcome.copy.len() >= len);
            }
            Err(error) => prop_assert!(matches!(error, TransferError::Hole { .. }), "{error}"),
        }
        prop_assert!(outcome.file.starts_with(&outcome.copy));
    }

    #[test]
    fn a_file_that_is_cut_meanwhile_is_an_error_or_whole(
        len in 0_usize..40_000,
        request_len in 200_u32..6000,
        seed in any::<u64>(),
    ) {
        let size = u64::try_from(len).ok();
        let behaviour = Behaviour { short_reads: true, grows: false, shrinks: true };
        let outcome = simulation::download(&options(size, request_len), len, behaviour, &mut chance(seed));
        if outcome.result.is_ok() {
            prop_assert!(outcome.copy.len() >= outcome.file.len());
        }
        prop_assert!(outcome.copy.len() <= len);
    }
}
