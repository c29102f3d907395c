//! Tests of [`Puts`].

use super::*;
use crate::transfer::{
    gets::tests::{chance, options, trees},
    simulation::{self, Behaviour},
};
use proptest::prelude::*;

const NOW: Time = Time::ZERO;

fn all(puts: &mut Puts) -> Vec<PutStep> {
    core::iter::from_fn(|| puts.next(NOW)).collect()
}

fn load_all(puts: &mut Puts) {
    while let Some(load) = puts.next_load() {
        puts.on_loaded(load, load.range.len, true);
    }
}

fn small(size: u64) -> PutFile {
    PutFile { size: Some(size), ..PutFile::default() }
}

#[test]
fn a_small_file_takes_two_round_trips_however_many_there_are() {
    let mut puts = Puts::new(&Options::new(1000));
    for n in 0..50 {
        puts.add_file(Item(n), PutFile { set_attributes: true, ..small(10) });
    }
    let opens: Vec<_> = (0..50).map(|n| PutStep::Open(Item(n))).collect();
    assert_eq!(all(&mut puts), opens);
    load_all(&mut puts);
    assert_eq!(all(&mut puts), []);
    puts.on_opened(Item(3));
    let range = Range { offset: 0, len: 10 };
    let steps = [
        PutStep::Write(Item(3), 0, range),
        PutStep::SetAttributes(Item(3)),
        PutStep::Close(Item(3), 0),
    ];
    assert_eq!(all(&mut puts), steps);
    puts.on_closed(Item(3), true);
    puts.on_done(Item(3));
    assert_eq!(puts.poll_finished(), None, "the write is not confirmed");
    puts.on_written(Item(3), 0, true, NOW);
    assert_eq!(puts.poll_finished(), Some((Item(3), Ok(10))));
}

#[test]
fn a_directory_is_made_before_what_is_in_it_and_ends_behind_it() {
    let mut puts = Puts::new(&Options::new(1000));
    let (top, inner, file) = (Item(0), Item(1), Item(2));
    puts.add_directory(top, None, false, true);
    puts.add_directory(inner, Some(top), false, true);
    puts.add_file(file, PutFile { parent: Some(inner), ..small(0) });
    puts.seal(top);
    puts.seal(inner);
    assert_eq!(all(&mut puts), [PutStep::MakeDirectory(top)]);
    puts.on_done(top);
    assert_eq!(all(&mut puts), [PutStep::MakeDirectory(inner)]);
    puts.on_done(inner);
    assert_eq!(all(&mut puts), [PutStep::Open(file)]);
    puts.on_opened(file);
    let load = puts.next_load().unwrap();
    puts.on_loaded(load, 0, true);
    assert_eq!(all(&mut puts), [PutStep::Close(file, 0)]);
    puts.on_closed(file, true);
    assert_eq!(puts.poll_finished(), Some((file, Ok(0))));
    assert_eq!(all(&mut puts), [PutStep::SetDirectory(inner)]);
    puts.on_done(inner);
    assert_eq!(all(&mut puts), [PutStep::SetDirectory(top)]);
    puts.on_done(top);
    assert_eq!(puts.poll_finished(), Some((inner, Ok(0))));
    assert_eq!(puts.poll_finished(), Some((top, Ok(0))));
    assert!(puts.is_idle());
}

#[test]
fn nothing_is_put_into_a_directory_that_could_not_be_made() {
    let mut puts = Puts::new(&Options::new(1000));
    puts.add_directory(Item(0), None, false, true);
    puts.add_directory(Item(1), Some(Item(0)), false, true);
    puts.add_file(Item(2), PutFile { parent: Some(Item(1)), ..small(5) });
    puts.add_link(Item(3), Some(Item(0)));
    puts.seal(Item(0));
    puts.seal(Item(1));
    assert_eq!(all(&mut puts).len(), 1);
    puts.on_refused(Item(0));
    assert_eq!(all(&mut puts), []);
    assert!(puts.is_idle() && puts.poll_finished().is_none());
}

#[test]
fn a_large_file_goes_over_every_channel_and_is_closed_on_the_first_last() {
    let mut puts = Puts::new(&Options::new(1000));
    let file = Item(0);
    puts.add_file(file, small(1_000_000));
    assert_eq!(puts.add_lane(), 1);
    assert_eq!(all(&mut puts), [PutStep::Open(file)]);
    puts.on_opened(file);
    let (mut written, mut lanes) = (0_u64, [0_u32; 2]);
    let mut closes = Vec::new();
    for _ in 0..1000 {
        while let Some(load) = puts.next_load() {
            let end = load.range.offset + u64::from(load.range.len) >= 1_000_000;
            puts.on_loaded(load, load.range.len, end);
        }
        let mut acks = Vec::new();
        for step in all(&mut puts) {
            match step {
                PutStep::Join(item, lane) => puts.on_joined(item, lane, true),
                PutStep::Write(_, lane, range) => {
                    lanes[lane] += 1;
                    written += u64::from(range.len);
                    acks.push(range.offset);
                }
                PutStep::Close(item, lane) => {
                    closes.push(lane);
                    puts.on_closed(item, true);
                }
                other => panic!("{other:?}"),
            }
        }
        acks.into_iter().for_each(|offset| puts.on_written(file, offset, true, NOW));
    }
    assert_eq!((written, closes), (1_000_000, Vec::from([1, 0])));
    assert!(lanes.iter().all(|writes| *writes > 0), "{lanes:?}");
    assert_eq!(puts.poll_finished(), Some((file, Ok(1_000_000))));
}

#[test]
fn a_hole_is_not_sent_and_counts_as_there() {
    let mut puts = Puts::new(&Options::new(10));
    let file = Item(0);
    puts.add_file(file, PutFile { set_attributes: true, ..small(100) });
    assert_eq!(all(&mut puts).len(), 1);
    puts.on_opened(file);
    let load = puts.next_load().unwrap();
    puts.on_hole(load, 80, false);
    let load = puts.next_load().unwrap();
    assert_eq!(load.range, Range { offset: 80, len: 10 });
    puts.on_loaded(load, 10, false);
    let load = puts.next_load().unwrap();
    puts.on_hole(load, 100, true);
    let range = Range { offset: 80, len: 10 };
    let steps = all(&mut puts);
    assert_eq!(steps[..2], [PutStep::Write(file, 0, range), PutStep::SetAttributes(file)]);
    puts.on_written(file, 80, true, NOW);
    assert_eq!(puts.confirmed(file), 100);
}

#[test]
fn what_fails_is_cut_or_removed() {
    for rename in [false, true] {
        let mut puts = Puts::new(&Options::new(10));
        let file = Item(0);
        puts.add_file(file, PutFile { rename, ..small(30) });
        assert_eq!(all(&mut puts).len(), 1);
        puts.on_opened(file);
        for _ in 0..3 {
            let load = puts.next_load().unwrap();
            puts.on_loaded(load, 10, false);
        }
        assert_eq!(all(&mut puts).len(), 3);
        puts.on_written(file, 0, true, NOW);
        puts.on_written(file, 10, false, NOW);
        assert_eq!(all(&mut puts), [], "an answer is missing");
        puts.on_written(file, 20, true, NOW);
        let close = PutStep::Close(file, 0);
        if rename {
            assert_eq!(all(&mut puts), [close]);
            puts.on_closed(file, true);
            assert_eq!(all(&mut puts), [PutStep::Remove(file)]);
            puts.on_done(file);
        } else {
            assert_eq!(all(&mut puts), [PutStep::Cut(file, 10), close]);
            puts.on_done(file);
            puts.on_closed(file, true);
        }
        assert!(puts.is_idle());
    }
}

#[test]
fn what_is_loaded_is_bounded() {
    let mut puts = Puts::new(&Options::new(100_000));
    puts.add_file(Item(0), small(1 << 30));
    assert_eq!(all(&mut puts).len(), 1);
    let mut loaded = 0;
    while let Some(load) = puts.next_load() {
        loaded += u64::from(load.range.len);
        puts.on_loaded(load, load.range.len, false);
    }
    assert!(loaded <= puts.target() + 400_000, "{loaded}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_copies_equal_the_sources(
        mut tree in trees(),
        options in options(),
        lies in any::<bool>(),
        look in any::<bool>(),
        set_attributes in any::<bool>(),
        rename in any::<bool>(),
        lanes in 1_usize..4,
        seed in any::<u64>(),
    ) {
        if !look {
            tree.start = 0;
        }
        let how = PutFile { look, set_attributes, sync: rename, rename, ..PutFile::default() };
        let behaviour = Behaviour { lies, ..Behaviour::default() };
        let chance = &mut chance(seed);
        for outcome in simulation::upload(&options, &tree, how, lanes, behaviour, chance) {
            let len = u64::try_from(outcome.file.len()).unwrap();
            prop_assert_eq!(outcome.result, Some(Ok(len)));
            prop_assert!(outcome.copy.as_ref() == Some(&outcome.file));
        }
    }

    #[test]
    fn what_fails_leaves_what_is_confirmed_or_nothing(
        mut tree in trees(),
        options in options(),
        rename in any::<bool>(),
        lanes in 1_usize..4,
        seed in any::<u64>(),
    ) {
        tree.start = 0;
        let how = PutFile { set_attributes: true, sync: true, rename, ..PutFile::default() };
        let behaviour = Behaviour { errors: true, ..Behaviour::default() };
        let chance = &mut chance(seed);
        for outcome in simulation::upload(&options, &tree, how, lanes, behaviour, chance) {
            match (outcome.result, outcome.copy) {
                (Some(Ok(_)), copy) => prop_assert!(copy == Some(outcome.file)),
                (_, Some(copy)) => {
                    prop_assert!(!rename, "what has no name was left");
                    prop_assert!(outcome.file.starts_with(&copy));
                }
                (_, None) => {}
            }
        }
    }
}
