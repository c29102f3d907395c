//! Changes to an input that are likely to reach somewhere: the kind that libFuzzer makes, from a
//! seed, so that a run can be repeated.

/// Inputs are kept shorter than this; more would only slow the run.
pub const MAX_LEN: usize = 64 * 1024;

/// A small random number generator (SplitMix64), the same on every machine.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice that always fall the same way for `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, 0 where there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX);
        let rolled = self.roll().checked_rem(bound).unwrap_or_default();
        usize::try_from(rolled).unwrap_or_default()
    }

    /// One of `from`.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    fn byte(&mut self) -> u8 {
        self.roll().to_le_bytes()[0]
    }
}

/// Lengths and counts at which code tends to break.
const NUMBERS: [u32; 14] = [
    0,
    1,
    4,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0x8000,
    35_000,
    0x0004_0000,
    0x0004_0001,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
];

/// Changes `input` in one to eight places. `others` and `words` are what may be put into it.
pub fn mutate(input: &mut Vec<u8>, others: &[Vec<u8>], words: &[Vec<u8>], dice: &mut Dice) {
    for _ in 0..=dice.below(8) {
        step(input, others, words, dice);
    }
    input.truncate(MAX_LEN);
}

fn step(input: &mut Vec<u8>, others: &[Vec<u8>], words: &[Vec<u8>], dice: &mut Dice) {
    let at = dice.below(input.len().saturating_add(1));
    match dice.below(12) {
        0 | 1 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << dice.below(8);
            }
        }
        2 => {
            let new = dice.byte();
            if let Some(byte) = input.get_mut(at) {
                *byte = new;
            }
        }
        3 => {
            if let Some(byte) = input.get_mut(at) {
                let by = [1, 0xff, 2, 0xfe, 8, 0xf8][dice.below(6)];
                *byte = byte.wrapping_add(by);
            }
        }
        4 | 5 => number(input, at, dice),
        6 => input.truncate(at),
        7 => {
            let end = at.saturating_add(dice.below(64)).min(input.len());
            input.drain(at..end);
        }
        8 => {
            let random: Vec<u8> = (0..dice.below(32)).map(|_| dice.byte()).collect();
            insert(input, at, &random);
        }
        9 => {
            let end = at.saturating_add(dice.below(256)).min(input.len());
            let copy = input.get(at..end).unwrap_or_default().to_vec();
            let to = dice.below(input.len().saturating_add(1));
            insert(input, to, &copy);
        }
        10 => {
            if let Some(word) = dice.pick(words) {
                insert(input, at, word);
            }
        }
        _ => {
            if let Some(other) = dice.pick(others) {
                let from = dice.below(other.len().saturating_add(1));
                input.truncate(at);
                input.extend_from_slice(other.get(from..).unwrap_or_default());
            }
        }
    }
}

/// Writes a number over four bytes, as a length or count would be: one of those that break code,
/// what is left of the input, or a little more or less than what was there.
fn number(input: &mut [u8], at: usize, dice: &mut Dice) {
    let left = u32::try_from(input.len().saturating_sub(at)).unwrap_or(u32::MAX);
    let Some(place) = input.get_mut(at..).and_then(|rest| rest.first_chunk_mut::<4>()) else {
        return;
    };
    let old = u32::from_be_bytes(*place);
    let little = u32::from(dice.byte() & 7);
    let new = match dice.below(4) {
        0 => left.wrapping_sub(little),
        1 => old.wrapping_add(little),
        2 => old.wrapping_sub(little),
        _ => NUMBERS[dice.below(NUMBERS.len())],
    };
    *place = new.to_be_bytes();
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let at = at.min(input.len());
    input.splice(at..at, bytes.iter().copied());
}

#[cfg(test)]
mod tests {
    use super::{Dice, MAX_LEN, mutate};

    #[test]
    fn the_same_seed_makes_the_same_inputs() {
        let inputs = |seed| {
            let mut dice = Dice::new(seed);
            let seeds = vec![b"first seed".to_vec(), b"second".to_vec()];
            let words = vec![b"word".to_vec()];
            (0..1000)
                .map(|_| {
                    let mut input = dice.pick(&seeds).unwrap().clone();
                    mutate(&mut input, &seeds, &words, &mut dice);
                    input
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
    }

    #[test]
    fn inputs_stay_short_and_empty_ones_do_not_matter() {
        let mut dice = Dice::new(7);
        let mut input = Vec::new();
        let others = vec![vec![0; MAX_LEN]];
        for _ in 0..2000 {
            mutate(&mut input, &others, &[], &mut dice);
            assert!(input.len() <= MAX_LEN);
        }
        mutate(&mut Vec::new(), &[], &[], &mut dice);
    }
}
