//! Tests of [`Gets`].

use core::time::Duration;

use super::*;
use crate::transfer::simulation::{self, Behaviour, Chance, Tree};
use proptest::prelude::*;

const NOW: Time = Time::ZERO;

fn all(gets: &mut Gets) -> Vec<GetStep> {
    core::iter::from_fn(|| gets.next(NOW)).collect()
}

#[test]
fn small_files_are_opened_together_and_read_as_soon_as_they_are_open() {
    let mut gets = Gets::new(&Options::new(1000));
    for n in 0..100 {
        gets.add_file(Item(n), 0, Some(10));
    }
    let opens: Vec<_> = (0..100).map(|n| GetStep::Open(Item(n))).collect();
    assert_eq!(all(&mut gets), opens);
    gets.on_opened(Item(7));
    let read = |offset, len| GetStep::Read(Item(7), Range { offset, len });
    // The second one asks whether that is the end.
    assert_eq!(all(&mut gets), [read(0, 10), read(10, 1000)]);
    gets.on_data(Item(7), 0, 10, NOW);
    gets.on_eof(Item(7), 10, NOW);
    assert_eq!(gets.poll_finished(), Some((Item(7), Ok(10))));
    assert_eq!(all(&mut gets), [GetStep::Close(Item(7))]);
}

#[test]
fn looking_for_the_end_of_small_files_does_not_count_as_much_data() {
    let mut gets = Gets::new(&Options::new(255 * 1024));
    for n in 0..200 {
        gets.add_file(Item(n), 0, Some(4096));
    }
    assert_eq!(all(&mut gets).len(), 200);
    (0..200).for_each(|n| gets.on_opened(Item(n)));
    assert_eq!(all(&mut gets).len(), 400, "all are read in one round trip");
}

#[test]
fn no_more_files_are_opened_than_the_link_is_worth() {
    let mut gets = Gets::new(&Options::new(256 * 1024));
    for n in 0..100 {
        gets.add_file(Item(n), 0, Some(1 << 30));
    }
    assert_eq!(all(&mut gets), [GetStep::Open(Item(0))]);
}

#[test]
fn a_directory_is_asked_for_more_names_the_more_there_are() {
    let mut gets = Gets::new(&Options::new(1000));
    let top = Item(0);
    gets.add_directory(top);
    assert_eq!(all(&mut gets), [GetStep::OpenDirectory(top)]);
    gets.on_opened(top);
    assert_eq!(all(&mut gets), [GetStep::List(top); 2]);
    gets.on_names(top);
    assert_eq!(all(&mut gets), [GetStep::List(top); 3]);
    gets.on_listed(top);
    assert_eq!(all(&mut gets), [GetStep::Close(top)]);
    for _ in 0..3 {
        gets.on_listed(top);
    }
    gets.on_closed(top);
    assert!(gets.is_idle());
}

#[test]
fn directories_without_end_do_not_pile_up() {
    let mut gets = Gets::new(&Options::new(1000));
    gets.add_directory(Item(0));
    let (mut next, mut open) = (1, 0_usize);
    let mut deepest = 0;
    for _ in 0..20_000 {
        match gets.next(NOW) {
            Some(GetStep::OpenDirectory(item)) => {
                deepest = deepest.max(item.0);
                open += 1;
                gets.on_opened(item);
            }
            Some(GetStep::List(item)) => {
                // Each has files and a directory more, and never ends.
                gets.on_names(item);
                gets.add_directory(Item(next));
                gets.add_file(Item(next + 1), 0, Some(1));
                next += 2;
            }
            Some(GetStep::Open(_)) | None => break,
            Some(other) => panic!("{other:?}"),
        }
    }
    assert!(open <= MAX_LISTINGS && gets.directories.len() - gets.to_list.len() <= MAX_LISTINGS);
}

#[test]
fn what_is_not_stored_holds_up_what_is_asked_for() {
    let mut gets = Gets::new(&Options::new(100_000));
    gets.add_open_file(Item(0), 0, Some(1 << 30));
    let (mut sent, most) = (0, gets.pipe.target() + 100_000);
    for _ in 0..1000 {
        while let Some(step) = gets.next(NOW) {
            let GetStep::Read(item, range) = step else { panic!("{step:?}") };
            sent += u64::from(range.len);
            gets.on_data(item, range.offset, range.len, NOW);
        }
    }
    assert!(sent <= most, "{sent}");
    gets.on_stored(sent);
    assert!(gets.next(NOW).is_some());
}

#[test]
fn a_long_link_is_filled_as_fast_as_it_takes_it_and_not_in_a_moment() {
    let mut options = Options::new(200_000);
    options.round_trip = Some(Duration::from_millis(100));
    let mut gets = Gets::new(&options);
    gets.add_open_file(Item(0), 0, Some(1 << 30));
    let at = |millis| Time::from_epoch(Duration::from_millis(1000 + millis));
    for millis in 0..90 {
        while gets.next(at(millis)).is_some() {}
        // 1 Gbit/s.
        let due = (1 << 20) + millis * 125_000;
        assert!((due..=due + 200_000).contains(&gets.pipe.bytes()), "{millis} ms");
        assert_eq!(gets.opens(at(millis)), Some(at(millis + 1)));
    }
    // From the first reply on, there is a new request for each, or two.
    gets.on_data(Item(0), 0, 200_000, at(100));
    let under_way = gets.pipe.bytes();
    while gets.next(at(100)).is_some() {}
    assert!((200_000..=1_500_000).contains(&(gets.pipe.bytes() - under_way)));
    assert_eq!(gets.opens(at(100)), None);
}

#[test]
fn a_file_whose_size_was_wrong_is_measured_again() {
    let mut gets = Gets::new(&Options::new(10));
    gets.add_open_file(Item(0), 0, Some(15));
    assert_eq!(all(&mut gets).len(), 3);
    gets.on_data(Item(0), 0, 10, NOW);
    gets.on_eof(Item(0), 10, NOW);
    gets.on_eof(Item(0), 15, NOW);
    assert_eq!(all(&mut gets), [GetStep::Size(Item(0))]);
    gets.on_size(Item(0), Some(10));
    assert_eq!(gets.poll_finished(), Some((Item(0), Ok(10))));
}

#[test]
fn a_file_that_is_given_up_is_closed_when_all_is_answered() {
    let mut gets = Gets::new(&Options::new(10));
    gets.add_file(Item(0), 0, Some(20));
    gets.add_file(Item(1), 0, Some(20));
    assert_eq!(all(&mut gets).len(), 2);
    gets.on_opened(Item(0));
    assert_eq!(all(&mut gets).len(), 3);
    gets.abandon(Item(0));
    gets.abandon(Item(1));
    assert_eq!(all(&mut gets), []);
    gets.on_data(Item(0), 0, 10, NOW);
    gets.on_read_failed(Item(0), 10, NOW);
    gets.on_eof(Item(0), 20, NOW);
    // It is opened for nothing.
    gets.on_opened(Item(1));
    assert_eq!(all(&mut gets), [GetStep::Close(Item(0)), GetStep::Close(Item(1))]);
    gets.on_closed(Item(0));
    gets.on_closed(Item(1));
    assert!(gets.is_idle() && gets.poll_finished().is_none());
}

#[test]
fn a_rate_makes_requests_small_and_rare() {
    let mut gets = Gets::new(&Options { rate: Some(100_000), ..Options::new(255 * 1024) });
    gets.add_open_file(Item(0), 0, Some(1 << 20));
    let at = |millis| Time::from_epoch(Duration::from_millis(millis));
    let mut bytes = 0;
    for millis in 0..1000 {
        while let Some(step) = gets.next(at(millis)) {
            let GetStep::Read(item, range) = step else { panic!("{step:?}") };
            bytes += u64::from(range.len);
            gets.on_data(item, range.offset, range.len, at(millis));
            gets.on_stored(range.len.into());
        }
        assert!(gets.opens(at(millis)).is_some());
    }
    assert!((90_000..=110_000).contains(&bytes), "{bytes}");
}

pub(crate) fn chance(seed: u64) -> Chance<impl FnMut() -> u32> {
    let mut state = seed;
    Chance(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(state >> 33).unwrap()
    })
}

prop_compose! {
    pub(crate) fn trees()(
        lens in proptest::collection::vec(
            prop_oneof![Just(0_usize), 0_usize..300, 0_usize..20_000],
            1..12,
        ),
        directories in 1_usize..6,
        start in prop_oneof![Just(0_usize), 0_usize..3000],
    ) -> Tree {
        Tree { lens, directories, start }
    }
}

prop_compose! {
    pub(crate) fn options()(
        request_len in 200_u32..6000,
        max_requests in 1_usize..20,
        max_handles in 1_usize..6,
        budget in prop_oneof![Just(u64::MAX), 1_u64..50_000],
    ) -> Options {
        Options { budget, max_requests, max_handles, ..Options::new(request_len) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_copies_equal_the_files(
        tree in trees(),
        options in options(),
        short_reads in any::<bool>(),
        lies in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let behaviour = Behaviour { short_reads, lies, ..Behaviour::default() };
        for outcome in simulation::download(&options, &tree, behaviour, &mut chance(seed)) {
            let len = u64::try_from(outcome.file.len()).unwrap();
            prop_assert_eq!(outcome.result, Some(Ok(len)));
            prop_assert!(outcome.copy.as_ref() == Some(&outcome.file));
        }
    }

    #[test]
    fn copies_of_files_that_grow_are_what_they_were_at_some_moment(
        mut tree in trees(),
        options in options(),
        short_reads in any::<bool>(),
        seed in any::<u64>(),
    ) {
        tree.start = 0;
        let behaviour = Behaviour { short_reads, grows: true, ..Behaviour::default() };
        let outcomes = simulation::download(&options, &tree, behaviour, &mut chance(seed));
        for (outcome, len) in outcomes.into_iter().zip(&tree.lens) {
            let copy = outcome.copy.unwrap();
            match outcome.result.unwrap() {
                Ok(moved) => {
                    prop_assert_eq!(moved, u64::try_from(copy.len()).unwrap());
                    prop_assert!(copy.len() >= *len);
                }
                Err(error) => prop_assert!(matches!(error, TransferError::Hole { .. }), "{error}"),
            }
            prop_assert!(outcome.file.starts_with(&copy));
        }
    }

    #[test]
    fn files_that_are_cut_meanwhile_are_errors_or_whole(
        mut tree in trees(),
        options in options(),
        seed in any::<u64>(),
    ) {
        tree.start = 0;
        let behaviour = Behaviour { short_reads: true, shrinks: true, ..Behaviour::default() };
        let outcomes = simulation::download(&options, &tree, behaviour, &mut chance(seed));
        for (outcome, len) in outcomes.into_iter().zip(&tree.lens) {
            let copy = outcome.copy.unwrap();
            if outcome.result.unwrap().is_ok() {
                prop_assert!(copy.len() >= outcome.file.len());
            }
            prop_assert!(copy.len() <= *len);
        }
    }

    #[test]
    fn what_fails_leaves_what_is_confirmed_and_the_rest_is_whole(
        mut tree in trees(),
        options in options(),
        seed in any::<u64>(),
    ) {
        tree.start = 0;
        let behaviour = Behaviour { short_reads: true, errors: true, ..Behaviour::default() };
        for outcome in simulation::download(&options, &tree, behaviour, &mut chance(seed)) {
            let copy = outcome.copy.unwrap();
            prop_assert!(outcome.file.starts_with(&copy));
            if let Some(Ok(_)) = outcome.result {
                prop_assert!(copy == outcome.file);
            }
        }
    }
}
