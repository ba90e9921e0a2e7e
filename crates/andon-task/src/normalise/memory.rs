//! What the examples made of each token: counts of targets, under the token as written,
//! without case, by pattern, by shape, and beside its neighbours.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::hash;
use super::token::Token;

/// Under which form of a token its targets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Exact,
    Fold,
    Pattern,
    Shape,
    Before,
    After,
}

pub(crate) const LEVELS: [Level; 6] = [
    Level::Exact,
    Level::Fold,
    Level::Pattern,
    Level::Shape,
    Level::Before,
    Level::After,
];

/// How often a key had each target; most often first.
pub(crate) type Counts = Vec<(u32, u32)>;

/// A word that is known, for comparing unknown ones with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) count: u32,
    /// Whether targets hold it, or tokens are written so.
    pub(crate) of: Side,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Side {
    Target,
    Token,
}

/// Counts over the examples.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    pub(crate) targets: Vec<String>,
    counts: HashMap<u64, Counts>,
    pub(crate) words: Vec<Word>,
    /// How often targets hold a word, whatever its characters.
    spelt: HashMap<u64, u32>,
}

/// A token of an example with what became of it: counts without it say what they would
/// say had the example never been seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held<'a> {
    /// Its target.
    pub(crate) target: &'a str,
}

/// The keys of a token among its neighbours, in the order of [`LEVELS`].
pub(crate) fn keys(tokens: &[Token<'_>], at: usize) -> [u64; 6] {
    let token = &tokens[at];
    let fold = hash::text(&token.fold);
    let before = at.checked_sub(1).map(|at| hash::text(&tokens[at].fold));
    let after = tokens.get(at + 1).map(|token| hash::text(&token.fold));
    let beside = |hash: Option<u64>| hash::mix(fold, hash.unwrap_or(1));
    let plain = [
        hash::text(token.text),
        fold,
        hash::text(&token.pattern),
        hash::text(&token.shape),
        beside(before),
        beside(after),
    ];
    let mut level = 0;
    plain.map(|key| {
        level += 1;
        key_of(level, key)
    })
}

/// The key of a form at a level, counted from 1; the last bit says whether it is the
/// first level.
fn key_of(level: u64, form: u64) -> u64 {
    (hash::mix(level, form) & !1) | u64::from(level == 1)
}

fn is_exact(key: u64) -> bool {
    key & 1 == 1
}

impl Memory {
    /// Counts pairs of tokens and targets, text by text.
    pub fn of<'a>(texts: impl IntoIterator<Item = (&'a [Token<'a>], &'a [String])>) -> Self {
        let mut numbers: BTreeMap<String, u32> = BTreeMap::new();
        let mut targets = Vec::new();
        let mut counts: HashMap<u64, BTreeMap<u32, u32>> = HashMap::new();
        let mut words: BTreeMap<(Side, String), u32> = BTreeMap::new();
        for (tokens, expected) in texts {
            for (at, target) in expected.iter().enumerate() {
                let number = *numbers.entry(target.clone()).or_insert_with(|| {
                    targets.push(target.clone());
                    targets.len() as u32 - 1
                });
                for key in keys(tokens, at) {
                    *counts.entry(key).or_default().entry(number).or_default() += 1;
                }
                if tokens[at].is_word() {
                    let word = tokens[at].fold.clone();
                    *words.entry((Side::Token, word)).or_default() += 1;
                }
                for word in target_words(target) {
                    *words.entry((Side::Target, word.to_owned())).or_default() += 1;
                }
            }
        }
        let counts = counts.into_iter().map(|(key, counts)| {
            let mut counts: Counts = counts.into_iter().collect();
            counts.sort_by_key(|&(target, count)| (std::cmp::Reverse(count), target));
            (key, counts)
        });
        let words = words
            .into_iter()
            .map(|((of, text), count)| Word { text, count, of });
        Self::whole(targets, counts.collect(), words.collect())
    }

    fn whole(targets: Vec<String>, counts: HashMap<u64, Counts>, words: Vec<Word>) -> Self {
        let mut spelt: HashMap<u64, u32> = HashMap::new();
        let mut totals = vec![0; targets.len()];
        // Each pair of token and target is counted once under the token as written.
        for (_, counts) in counts.iter().filter(|(key, _)| is_exact(**key)) {
            for &(target, count) in counts {
                totals[target as usize] += count;
            }
        }
        for (target, total) in targets.iter().zip(totals) {
            for word in target.split(' ') {
                *spelt.entry(hash::text(word)).or_default() += total;
            }
        }
        Self {
            targets,
            counts,
            words,
            spelt,
        }
    }

    /// How often the rarest word of `target` stands in targets, without the example that
    /// is held out.
    pub(crate) fn spelt(&self, target: &str, held: Option<Held<'_>>) -> u32 {
        let count = |word: &str| {
            let all = self.spelt.get(&hash::text(word)).copied().unwrap_or(0);
            let own = held.map_or(0, |held| {
                held.target.split(' ').filter(|w| *w == word).count()
            });
            all.saturating_sub(own as u32)
        };
        target.split(' ').map(count).min().unwrap_or(0)
    }

    /// The targets of a key, most often first, without the example that is held out.
    pub(crate) fn counts(&self, key: u64, held: Option<Held<'_>>) -> Counts {
        let Some(counts) = self.counts.get(&key) else {
            return Counts::new();
        };
        let Some(held) = held else {
            return counts.clone();
        };
        let mut counts: Counts = counts
            .iter()
            .map(|&(target, count)| {
                let is_held = self.targets[target as usize] == held.target;
                (target, count - u32::from(is_held))
            })
            .filter(|&(_, count)| count > 0)
            .collect();
        counts.sort_by_key(|&(target, count)| (std::cmp::Reverse(count), target));
        counts
    }

    pub(crate) fn target(&self, number: u32) -> &str {
        &self.targets[number as usize]
    }

    /// What a piece of a token becomes most often on its own.
    pub(crate) fn usual(&self, fold: &str) -> Option<&str> {
        let of = |level: Level, text: &str| {
            let key = key_of(level as u64 + 1, hash::text(text));
            let (target, _) = *self.counts.get(&key)?.first()?;
            Some(self.target(target)).filter(|target| !target.is_empty())
        };
        of(Level::Fold, fold).or_else(|| {
            let pattern = super::token::pattern(fold);
            of(Level::Pattern, &pattern).filter(|_| pattern != fold)
        })
    }

    /// The tables by rising key, so that the same examples give the same bytes.
    pub(crate) fn sorted(&self) -> Vec<(u64, &Counts)> {
        let mut sorted: Vec<_> = self.counts.iter().map(|(key, c)| (*key, c)).collect();
        sorted.sort_unstable_by_key(|(key, _)| *key);
        sorted
    }

    /// The memory of these parts; `None` where a count names a target that is not there.
    pub(crate) fn from_parts(
        targets: Vec<String>,
        counts: Vec<(u64, Counts)>,
        words: Vec<Word>,
    ) -> Option<Self> {
        let known = targets.len() as u32;
        let sound = counts
            .iter()
            .flat_map(|(_, counts)| counts)
            .all(|&(target, count)| target < known && count > 0);
        sound.then(|| Self::whole(targets, counts.into_iter().collect(), words))
    }
}

/// The words of a target that an unknown token may be a misspelling of.
pub(crate) fn target_words(target: &str) -> impl Iterator<Item = &str> {
    let is_word = |word: &&str| word.chars().count() > 1 && word.chars().all(char::is_alphabetic);
    target.split(' ').filter(is_word)
}
