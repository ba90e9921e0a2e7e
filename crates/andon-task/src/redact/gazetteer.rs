//! The plant's own names: assets, people, customers, recipes, sites.
//!
//! A name is compared by its letters and digits alone, so that blanks, hyphens and
//! their like may be written or left out, and only where a word begins and ends.

use std::collections::BTreeMap;
use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind};
use serde::Deserialize;

use super::RedactError;
use super::view::{BARRIER, View};

/// A name shorter than this is found only as it is written.
const SHORT: usize = 3;
/// So many characters other than letters and digits may stand within a name.
const MOST_BETWEEN: usize = 3;

/// One name with what it names.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Row {
    value: String,
    #[serde(rename = "type")]
    kind: String,
}

/// What is wrong with `gazetteer.csv`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum GazetteerError {
    /// Not CSV of the expected form.
    #[error("{0}")]
    Csv(String),
    /// The name has no letters and no digits.
    #[error("'{0}' has neither letters nor digits: it would not be found")]
    Empty(String),
    /// The type is no word.
    #[error("'{0}' is no type: give one word of letters, as person, customer, recipe or site")]
    Kind(String),
}

/// The plant's own names, with what each of them names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gazetteer {
    names: BTreeMap<String, String>,
}

impl Gazetteer {
    /// Takes in the names of `gazetteer.csv`: the columns `value` and `type`.
    ///
    /// # Errors
    /// If it is no such file; the first row that is wrong is named.
    pub fn read(&mut self, csv_text: &str) -> Result<(), GazetteerError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(csv_text.as_bytes());
        for row in reader.deserialize() {
            let row: Row = row.map_err(|error| GazetteerError::Csv(error.to_string()))?;
            self.add(&row.value, &row.kind)?;
        }
        Ok(())
    }

    /// Takes in a name.
    ///
    /// # Errors
    /// If nothing of it could be found in a text.
    pub fn add(&mut self, value: &str, kind: &str) -> Result<(), GazetteerError> {
        let tag = kind.to_ascii_uppercase();
        if tag.is_empty() || !tag.chars().all(|c| c.is_ascii_uppercase()) {
            return Err(GazetteerError::Kind(kind.to_owned()));
        }
        if !value.chars().any(char::is_alphanumeric) {
            return Err(GazetteerError::Empty(value.to_owned()));
        }
        self.names.entry(value.to_owned()).or_insert(tag);
        Ok(())
    }

    /// How many names it holds.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Names and what they name, in capital letters.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = self.names.iter();
        names.map(|(value, tag)| (value.as_str(), tag.as_str()))
    }
}

/// A name that was found.
pub(super) struct Named {
    pub(super) tag: String,
    pub(super) range: Range<usize>,
}

/// Finds names in folded texts.
pub(super) struct Finder {
    automaton: Option<AhoCorasick>,
    /// By pattern: what it names, and the exact form of a short one.
    entries: Vec<(String, Option<String>)>,
}

impl Finder {
    pub(super) fn new<'a>(
        names: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, RedactError> {
        let mut patterns = Vec::new();
        let mut entries = Vec::new();
        for (value, tag) in names {
            let view = View::plain(value).folded();
            let letters = Letters::of(&view).text;
            let letters: String = letters.split('\0').collect();
            if letters.is_empty() {
                continue;
            }
            let exact = letters.chars().count() < SHORT;
            let exact = exact.then(|| view.text.trim().to_owned());
            // People are also called by their last name first.
            let words: Vec<&str> = view
                .text
                .split(' ')
                .filter(|word| !word.is_empty())
                .collect();
            if tag == "PERSON" && (2..=4).contains(&words.len()) {
                for turn in 1..words.len() {
                    let turned: Vec<&str> = words[turn..]
                        .iter()
                        .chain(&words[..turn])
                        .copied()
                        .collect();
                    let turned = View::plain(&turned.join(" "));
                    patterns.push(Letters::of(&turned).text);
                    entries.push((tag.to_owned(), None));
                }
            }
            patterns.push(letters);
            entries.push((tag.to_owned(), exact));
        }
        let automaton = match patterns.is_empty() {
            true => None,
            false => Some(
                AhoCorasick::builder()
                    .match_kind(MatchKind::Standard)
                    .build(&patterns)
                    .map_err(|error| RedactError::Pattern(error.to_string()))?,
            ),
        };
        Ok(Self { automaton, entries })
    }

    /// All names in a folded text.
    pub(super) fn find(&self, view: &View) -> Vec<Named> {
        let Some(automaton) = &self.automaton else {
            return Vec::new();
        };
        let letters = Letters::of(view);
        let mut found = Vec::new();
        for hit in automaton.find_overlapping_iter(&letters.text) {
            if !(letters.begins(hit.start()) && letters.begins(hit.end())) {
                continue;
            }
            let range = letters.origin(hit.range());
            let (tag, exact) = &self.entries[hit.pattern().as_usize()];
            if exact
                .as_ref()
                .is_none_or(|exact| view.text[range.clone()] == **exact)
            {
                found.push(Named {
                    tag: tag.clone(),
                    range,
                });
            }
        }
        found
    }
}

/// The letters and digits of a folded text, in lower case.
pub(super) struct Letters {
    pub(super) text: String,
    /// By byte: where it comes from in the folded text.
    from: Vec<(u32, u32)>,
    /// By byte, and for the end: whether a word can begin here.
    begins: Vec<bool>,
}

impl Letters {
    pub(super) fn of(view: &View) -> Self {
        let mut letters = Self {
            text: String::with_capacity(view.text.len()),
            from: Vec::with_capacity(view.text.len()),
            begins: Vec::with_capacity(view.text.len() + 1),
        };
        let mut before: Option<char> = None;
        let mut between = 0;
        for (at, c) in view.text.char_indices() {
            if !c.is_alphanumeric() {
                between += if c == BARRIER { MOST_BETWEEN + 1 } else { 1 };
                continue;
            }
            if between > MOST_BETWEEN {
                letters.add('\0', at, at, true);
            }
            let begins = between > 0 || before.is_none_or(|before| parts(before, c));
            let end = at + c.len_utf8();
            for (index, lower) in c.to_lowercase().enumerate() {
                letters.add(lower, at, end, begins && index == 0);
            }
            before = Some(c);
            between = 0;
        }
        letters.begins.push(true);
        letters
    }

    fn add(&mut self, c: char, start: usize, end: usize, begins: bool) {
        self.text.push(c);
        self.from
            .resize(self.text.len(), (start as u32, end as u32));
        self.begins.push(begins);
        self.begins.resize(self.text.len(), false);
    }

    fn begins(&self, at: usize) -> bool {
        self.begins[at]
    }

    fn origin(&self, part: Range<usize>) -> Range<usize> {
        let (start, _) = self.from[part.start];
        let (_, end) = self.from[part.end - 1];
        start as usize..end as usize
    }
}

/// Whether a word can end between two characters that nothing parts.
fn parts(before: char, c: char) -> bool {
    before.is_numeric() != c.is_numeric()
        || (before.is_lowercase() && c.is_uppercase())
        || is_unspaced(before)
        || is_unspaced(c)
}

/// Scripts that write words without blanks between them.
fn is_unspaced(c: char) -> bool {
    matches!(c as u32, 0xE00..=0xEFF | 0x1000..=0x11FF | 0x1780..=0x17FF | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0x20000..=0x3FFFF)
}
