//! What a head sees of a text: character n-grams within words, and words with
//! pairs of words, each weighted by how telling it is (TF-IDF).

use std::collections::{BTreeMap, HashMap};

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::glossary::Reading;

/// What an n-gram is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Two to four characters of one word with a blank on each side: what is
    /// misspelt, inflected or compounded still shares most of them.
    Characters,
    /// A word, or two words that follow each other.
    Words,
}

/// Lengths of the n-grams of characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 2..=4;

/// The n-grams that a head knows, with their weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Vocabulary {
    unit: Unit,
    /// Hashes of the n-grams, ascending.
    keys: Vec<u64>,
    /// Inverse document frequency, one for each key.
    rarity: Vec<f32>,
    /// From hash to column.
    columns: HashMap<u64, u32>,
}

/// A weighted n-gram of one text: column in the vocabulary and value.
pub type Weighted = (u32, f32);

impl Vocabulary {
    /// The n-grams that occur in at least `least` of `readings`; where they are
    /// more than `most`, those that occur in the most.
    pub fn of<'a>(
        unit: Unit,
        readings: impl IntoIterator<Item = &'a Reading<'a>>,
        least: u32,
        most: usize,
    ) -> Self {
        let mut documents: BTreeMap<u64, u32> = BTreeMap::new();
        let mut total = 0u32;
        for reading in readings {
            total += 1;
            for key in counts(unit, reading).into_keys() {
                *documents.entry(key).or_default() += 1;
            }
        }
        documents.retain(|_, documents| *documents >= least);
        if documents.len() > most {
            let mut common: Vec<(u64, u32)> = documents.into_iter().collect();
            // Of equally common ones those with the smallest hash: any fixed rule will do.
            common.sort_unstable_by_key(|&(key, documents)| (std::cmp::Reverse(documents), key));
            common.truncate(most);
            documents = common.into_iter().collect();
        }
        let (keys, rarity) = documents
            .into_iter()
            .map(|(key, documents)| {
                let rarity = (f64::from(total + 1) / f64::from(documents + 1)).ln() + 1.0;
                (key, rarity as f32)
            })
            .unzip();
        Self::index(unit, keys, rarity)
    }

    /// A vocabulary without any n-gram.
    pub fn empty(unit: Unit) -> Self {
        Self::index(unit, Vec::new(), Vec::new())
    }

    /// A vocabulary as it was stored; `None` where keys are not ascending, a
    /// weight is no positive number, or there are more of one than of the other.
    pub fn from_parts(unit: Unit, keys: Vec<u64>, rarity: Vec<f32>) -> Option<Self> {
        let sound = keys.len() == rarity.len()
            && u32::try_from(keys.len()).is_ok()
            && keys.is_sorted_by(|a, b| a < b)
            && rarity
                .iter()
                .all(|&weight| weight.is_finite() && weight > 0.0);
        sound.then(|| Self::index(unit, keys, rarity))
    }

    fn index(unit: Unit, keys: Vec<u64>, rarity: Vec<f32>) -> Self {
        let columns = keys.iter().copied().zip(0..).collect();
        Self {
            unit,
            keys,
            rarity,
            columns,
        }
    }

    /// The number of n-grams.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no n-grams at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The hashes of the n-grams, ascending, and their weights.
    pub fn parts(&self) -> (&[u64], &[f32]) {
        (&self.keys, &self.rarity)
    }

    /// The known n-grams of a text by ascending column, as a vector of unit
    /// length; empty where the text has none of them.
    pub fn weigh(&self, reading: &Reading<'_>) -> Vec<Weighted> {
        let mut weighted: Vec<Weighted> = counts(self.unit, reading)
            .into_iter()
            .filter_map(|(key, count)| {
                let &column = self.columns.get(&key)?;
                // Sublinear: the tenth repetition says less than the first.
                Some((
                    column,
                    ((count as f32).ln() + 1.0) * self.rarity[column as usize],
                ))
            })
            .collect();
        weighted.sort_unstable_by_key(|&(column, _)| column);
        let length = weighted
            .iter()
            .map(|(_, value)| value * value)
            .sum::<f32>()
            .sqrt();
        for (_, value) in &mut weighted {
            *value /= length;
        }
        weighted
    }
}

/// A text without what operators do not mean by it: case, accents, and which
/// digit stands there. NFKD, lower case, every digit a 0.
pub fn fold(text: &str) -> String {
    text.nfkd()
        .filter(|&c| !is_combining_mark(c))
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_numeric() { '0' } else { c })
        .collect()
}

/// How often each n-gram occurs in a text, by its hash.
fn counts(unit: Unit, reading: &Reading<'_>) -> HashMap<u64, u32> {
    let folded = fold(reading.text());
    let mut counts = HashMap::new();
    match unit {
        Unit::Characters => count_characters(&folded, &mut counts),
        Unit::Words => count_words(&folded, &mut counts),
    }
    counts
}

/// Words are padded with a blank on both sides; a word that is shorter than an
/// n-gram counts once.
fn count_characters(folded: &str, counts: &mut HashMap<u64, u32>) {
    let mut word = Vec::new();
    for piece in folded.split_whitespace() {
        word.clear();
        word.push(' ');
        word.extend(piece.chars());
        word.push(' ');
        for length in LENGTHS {
            for gram in word.windows(length.min(word.len())) {
                *counts.entry(hash(gram.iter().copied())).or_default() += 1;
            }
            if length >= word.len() {
                break;
            }
        }
    }
}

/// A word is a run of letters and digits; a text's ends count as words in pairs.
fn count_words(folded: &str, counts: &mut HashMap<u64, u32>) {
    let words = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty());
    let mut before = "";
    for word in words.chain([""]) {
        if !word.is_empty() {
            *counts.entry(hash(word.chars())).or_default() += 1;
        }
        if !(before.is_empty() && word.is_empty()) {
            let pair = before.chars().chain([' ']).chain(word.chars());
            *counts.entry(hash(pair)).or_default() += 1;
        }
        before = word;
    }
}

/// FNV-1a over the characters, 64 bits: among a million n-grams two share a
/// hash with a probability of 3e-8.
fn hash(gram: impl Iterator<Item = char>) -> u64 {
    gram.flat_map(|c| u32::from(c).to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
}

#[cfg(test)]
mod tests;
