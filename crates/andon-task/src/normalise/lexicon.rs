//! Known words that an unknown one may be a misspelling, a beginning or an abbreviation of.

use std::cmp::Reverse;

use super::memory::{Held, Memory, Side, target_words};

/// Words that stand near an unknown one, of each way at most.
const NEAR: usize = 3;
/// Longer words are no misspellings of plant words; comparing them costs much.
const LONGEST: usize = 32;

/// The known words, ready to be compared.
#[derive(Clone, Debug)]
pub(crate) struct Lexicon {
    entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
struct Entry {
    letters: Vec<char>,
    text: String,
    /// One bit for each letter of the alphabet that is in it.
    bits: u32,
    count: u32,
    of: Side,
}

/// How an unknown word resembles a known one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// A letter or two wrong, missing, too many or swapped.
    Misspelt,
    /// It is cut off.
    CutOff,
    /// Letters are left out.
    Abbreviated,
}

/// A known word near an unknown one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Near<'a> {
    pub(crate) word: &'a str,
    pub(crate) of: Side,
    pub(crate) how: How,
    pub(crate) distance: usize,
    pub(crate) count: u32,
}

impl Lexicon {
    pub(crate) fn of(memory: &Memory) -> Self {
        let entries = memory.words.iter().map(|word| {
            let letters: Vec<char> = word.text.to_lowercase().chars().collect();
            Entry {
                bits: bits(&letters),
                letters,
                text: word.text.clone(),
                count: word.count,
                of: word.of,
            }
        });
        Self {
            entries: entries.filter(|e| e.letters.len() <= LONGEST).collect(),
        }
    }

    /// The known words near `fold`, without the example that is held out.
    pub(crate) fn near(&self, fold: &str, held: Option<Held<'_>>) -> Vec<Near<'_>> {
        let letters: Vec<char> = fold.chars().collect();
        if letters.len() < 3 || letters.len() > LONGEST {
            return Vec::new();
        }
        let own = bits(&letters);
        let most = if letters.len() >= 5 { 2 } else { 1 };
        let mut near: Vec<Near<'_>> = Vec::new();
        for entry in &self.entries {
            let missing = entry.bits & !own;
            let extra = own & !entry.bits;
            let is_longer = entry.letters.len() > letters.len();
            // Cheap refusals first: most words share too few letters.
            let may_be_misspelt = missing.count_ones() <= most && extra.count_ones() <= most;
            let may_be_short = extra == 0 && is_longer && entry.letters[0] == letters[0];
            if !(may_be_misspelt || may_be_short) {
                continue;
            }
            let count = entry.count - held.map_or(0, |held| entry.uses_in(held));
            if count == 0 || entry.letters == letters {
                continue;
            }
            let found = may_be_short
                .then(|| shortened(&letters, &entry.letters))
                .flatten();
            let found = match found {
                // One letter missing is a misspelling, but for the last.
                Some((How::Abbreviated, 1)) | None => may_be_misspelt
                    .then(|| distance(&letters, &entry.letters, most as usize))
                    .flatten()
                    .map(|distance| (How::Misspelt, distance)),
                found => found,
            };
            if let Some((how, distance)) = found {
                near.push(Near {
                    word: &entry.text,
                    of: entry.of,
                    how,
                    distance,
                    count,
                });
            }
        }
        near.sort_by_key(|near| {
            // Of misspellings the least, of shortenings the most usual.
            let distance = match near.how {
                How::Misspelt => near.distance,
                How::CutOff | How::Abbreviated => 0,
            };
            (near.how, distance, Reverse(near.count), near.word, near.of)
        });
        let mut taken = [0; 3];
        near.retain(|near| {
            taken[near.how as usize] += 1;
            taken[near.how as usize] <= NEAR
        });
        near
    }
}

impl Entry {
    /// How often the target that is held out has it.
    fn uses_in(&self, held: Held<'_>) -> u32 {
        match self.of {
            Side::Token => 0,
            Side::Target => target_words(held.target)
                .filter(|word| *word == self.text)
                .count() as u32,
        }
    }
}

fn bits(letters: &[char]) -> u32 {
    letters.iter().fold(0, |bits, &c| {
        bits | match c {
            'a'..='z' => 1 << (c as u32 - 'a' as u32),
            _ => 1 << 31,
        }
    })
}

/// Whether `short` is `long` cut off, or with letters left out but not the first; and how
/// many letters are missing.
fn shortened(short: &[char], long: &[char]) -> Option<(How, usize)> {
    let missing = long.len() - short.len();
    if long.starts_with(short) {
        return Some((How::CutOff, missing));
    }
    let mut rest = long.iter();
    let in_order = short.iter().all(|letter| rest.any(|other| other == letter));
    in_order.then_some((How::Abbreviated, missing))
}

/// The number of letters to insert, delete, replace or swap, if it is at most `most`.
pub(super) fn distance(left: &[char], right: &[char], most: usize) -> Option<usize> {
    if left.len().abs_diff(right.len()) > most {
        return None;
    }
    let width = right.len() + 1;
    let mut rows: [Vec<usize>; 3] = [vec![0; width], (0..width).collect(), vec![0; width]];
    for (i, &l) in left.iter().enumerate() {
        rows[2][0] = i + 1;
        for (j, &r) in right.iter().enumerate() {
            let mut best = (rows[1][j] + usize::from(l != r))
                .min(rows[1][j + 1] + 1)
                .min(rows[2][j] + 1);
            if i > 0 && j > 0 && l == right[j - 1] && left[i - 1] == r {
                best = best.min(rows[0][j - 1] + 1);
            }
            rows[2][j + 1] = best;
        }
        if rows[2].iter().min().is_some_and(|&least| least > most) {
            return None;
        }
        rows.rotate_left(1);
    }
    Some(rows[1][right.len()]).filter(|&distance| distance <= most)
}
