//! Values that the examples had, and where a text says about the same.

use serde::{Deserialize, Serialize};

use super::alike::Wanted;
use super::candidate::{Candidate, Source, key_of_text};
use super::page::{Class, Page};
use super::spelling;

/// The most values of a field that are looked for in one text.
const MOST_LOOKED_FOR: usize = 24;

/// How like a place and a value have to be.
const LEAST_LIKENESS: f32 = 0.75;

/// Shorter values would be found everywhere.
const LEAST_LENGTH: usize = 4;

/// A value that examples had.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    /// As the examples write it most often.
    pub value: String,
    /// In how many examples it is.
    pub times: u32,
    /// The number of the choice that the words stand for in the examples' texts, where the
    /// field is one of choices: "leve" may stand for `minor`.
    pub stands_for: Option<u32>,
}

/// The values that the examples had, by field.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    by_field: Vec<Vec<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    remembered: Remembered,
    wanted: Wanted,
    /// Its words, as a page has them.
    words: Vec<u64>,
    key: u64,
    /// The same in their order, for words that stand for a choice.
    tokens: Vec<u64>,
}

impl Memory {
    /// A memory of these values, for each field.
    pub fn new(by_field: &[Vec<Remembered>]) -> Self {
        let know = |remembered: &Remembered| {
            let page = Page::new(&remembered.value);
            let letters = spelling::compact(&remembered.value);
            let most = ((1.0 - LEAST_LIKENESS) * letters.len() as f32) as usize;
            Known {
                wanted: Wanted::new(letters, most),
                words: page.vocabulary.clone(),
                tokens: page.tokens.iter().map(|token| token.word).collect(),
                key: key_of_text(&remembered.value),
                remembered: remembered.clone(),
            }
        };
        let by_field = by_field
            .iter()
            .map(|values| values.iter().map(know).collect())
            .collect();
        Self { by_field }
    }

    pub(super) fn value(&self, field: usize, which: usize) -> Option<&str> {
        let known = self.by_field.get(field)?.get(which)?;
        Some(&known.remembered.value)
    }

    /// Words that stand for choices of a field: as a page has them, and the choice.
    pub(super) fn standing(&self, field: usize) -> impl Iterator<Item = (&[u64], usize)> {
        let known = self.by_field.get(field).into_iter().flatten();
        known.filter_map(|known| Some((&*known.tokens, known.remembered.stands_for? as usize)))
    }

    /// In how many examples a remembered value was.
    pub(super) fn times(&self, field: usize, which: usize) -> u32 {
        let known = self.by_field.get(field).and_then(|known| known.get(which));
        known.map_or(0, |known| known.remembered.times)
    }

    /// In how many examples the value with this key was.
    pub(super) fn times_of(&self, field: usize, key: u64) -> u32 {
        let known = self
            .by_field
            .get(field)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let place = known.binary_search_by_key(&key, |known| known.key);
        place.map_or(0, |place| known[place].remembered.times)
    }

    /// Where a page says about what a field is remembered to have been.
    pub(super) fn find(&self, field: usize, page: &Page<'_>, all: &mut Vec<Candidate>) {
        let Some(known) = self.by_field.get(field) else {
            return;
        };
        let mut likely: Vec<(usize, usize)> = Vec::new();
        for (which, known) in known.iter().enumerate() {
            let has = |word: &&u64| page.vocabulary.binary_search(word).is_ok();
            let shared = known.words.iter().filter(has).count();
            let is_long = known.wanted.len() >= LEAST_LENGTH;
            if is_long && shared * 2 >= known.words.len() && shared > 0 {
                likely.push((shared * 1000 / known.words.len(), which));
            }
        }
        likely.sort_unstable_by_key(|&(share, which)| (std::cmp::Reverse(share), which));
        for &(_, which) in likely.iter().take(MOST_LOOKED_FOR) {
            let known = &known[which];
            if let Some((start, end, likeness)) = locate(&known.wanted, page)
                && let Some((first, last)) = page.around(start, end)
            {
                all.push(Candidate {
                    source: Source::Remembered,
                    start,
                    end,
                    first,
                    last,
                    which,
                    field: Some(field),
                    key: known.key,
                    likeness,
                });
            }
        }
    }
}

/// The values of a field by how they are compared, sorted by key, as a memory needs them.
pub fn remember<'v>(values: impl IntoIterator<Item = &'v str>) -> Vec<Remembered> {
    let mut known: std::collections::BTreeMap<u64, std::collections::BTreeMap<&str, u32>> =
        std::collections::BTreeMap::new();
    for value in values {
        *known
            .entry(key_of_text(value))
            .or_default()
            .entry(value)
            .or_default() += 1;
    }
    known
        .into_values()
        .map(|written| {
            let times = written.values().sum();
            let (value, _) = written
                .into_iter()
                .max_by_key(|(value, times)| (*times, std::cmp::Reverse(*value)))
                .expect("a value was counted");
            Remembered {
                value: value.to_owned(),
                times,
                stands_for: None,
            }
        })
        .collect()
}

/// The place of a page that is most like a value: its bytes, and how like it is. A place
/// begins and ends with whole tokens' letters or digits.
fn locate(wanted: &Wanted, page: &Page<'_>) -> Option<(usize, usize, f32)> {
    let alike = wanted.find(&page.compact)?;
    let start = page.origin[alike.first];
    let end = page.origin[alike.last];
    let end = end + page.text[end..].chars().next().map_or(1, char::len_utf8);
    let (first, last) = page.around(start, end)?;
    let sound = page.tokens[first..=last]
        .iter()
        .any(|t| t.class != Class::Sign);
    let likeness = 1.0 - alike.edits as f32 / wanted.len() as f32;
    sound.then_some((start, end, likeness))
}
