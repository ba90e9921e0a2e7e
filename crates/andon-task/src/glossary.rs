//! A plant's glossary: what its own words, abbreviations and words of other
//! languages mean in the language that the encoder knows.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::digest::Digest;

const COLUMNS: [&str; 3] = ["term", "meaning", "lang"];
/// The language of the meanings, which the encoder knows.
const WORKING: &str = "en";

/// Terms and what they mean. Empty where a plant has no `glossary.csv`.
#[derive(Clone, Debug)]
pub struct Glossary {
    /// Entries by the first word of their term, the most specific first.
    by_word: HashMap<String, Vec<Entry>>,
    /// The same for terms whose first word is a stem.
    by_stem: HashMap<String, Vec<Entry>>,
    /// The length of the longest stem in `by_stem`, in characters.
    longest_stem: usize,
    digest: Digest,
}

#[derive(Clone, Debug)]
struct Entry {
    words: Vec<Pattern>,
    meaning: String,
    /// Whether the term is of another language than the meaning.
    is_foreign: bool,
}

/// One word of a term, folded.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Word(String),
    /// Written `stem*`: any word that begins so.
    Stem(String),
}

/// A text as a head and its encoder read it: with every known term replaced by
/// its meaning. Only [`Glossary::read`] makes one, so that learning and serving
/// cannot read a text differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading<'a>(Cow<'a, str>);

/// What is wrong with a glossary file.
#[derive(Debug, thiserror::Error)]
pub enum GlossaryError {
    /// The text is not CSV with the expected columns.
    #[error("line {line}: {reason}")]
    Csv {
        /// Line of the file, from 1.
        line: u64,
        /// What the CSV reader says.
        reason: String,
    },
    /// A column is missing.
    #[error(
        "line 1: there is no column '{0}': the first line must be term,meaning or term,meaning,lang"
    )]
    NoColumn(&'static str),
    /// A column that Andon does not know.
    #[error("line 1: unknown column '{0}': the columns are term, meaning and lang")]
    UnknownColumn(String),
    /// A term is empty or has no letter or digit.
    #[error("line {line}: the term is empty: write a word or a few")]
    EmptyTerm {
        /// Line of the file, from 1.
        line: u64,
    },
    /// A meaning is empty.
    #[error("line {line}: the term '{term}' has no meaning: write one or remove the line")]
    EmptyMeaning {
        /// Line of the file, from 1.
        line: u64,
        /// The term.
        term: String,
    },
    /// A `*` stands elsewhere than behind the letters of a word.
    #[error(
        "line {line}: the '*' in '{term}' does not end a word: write it behind the stem, as in 'leak*'"
    )]
    Star {
        /// Line of the file, from 1.
        line: u64,
        /// The term.
        term: String,
    },
    /// Two terms are the same but for case, accents and punctuation.
    #[error("line {line}: the term '{term}' stands already in line {first}: remove one of them")]
    Duplicate {
        /// Line of the file, from 1.
        line: u64,
        /// The term.
        term: String,
        /// The line where it stands first.
        first: u64,
    },
}

impl Default for Glossary {
    fn default() -> Self {
        Self::of(BTreeMap::new())
    }
}

impl Glossary {
    /// Reads a glossary file: CSV with a header, columns `term` and `meaning`,
    /// and `lang` for its readers. A term is a word or a few; `stem*` stands for
    /// every word that begins so.
    pub fn parse(csv_text: &str) -> Result<Self, GlossaryError> {
        let csv_text = csv_text.strip_prefix('\u{feff}').unwrap_or(csv_text);
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(csv_text.as_bytes());
        let csv_error = |error: csv::Error| GlossaryError::Csv {
            line: error.position().map_or(1, csv::Position::line),
            reason: error.to_string(),
        };
        let columns = reader.headers().map_err(csv_error)?.clone();
        if let Some(unknown) = columns.iter().find(|name| !COLUMNS.contains(name)) {
            return Err(GlossaryError::UnknownColumn(unknown.to_owned()));
        }
        let column = |name| {
            let at = columns.iter().position(|column| column == name);
            at.ok_or(GlossaryError::NoColumn(name))
        };
        let (term_column, meaning_column) = (column("term")?, column("meaning")?);

        let mut entries = BTreeMap::new();
        let mut lines = HashMap::new();
        for row in reader.records() {
            let row = row.map_err(csv_error)?;
            let line = row.position().map_or(0, csv::Position::line);
            let field = |at| row.get(at).unwrap_or_default().to_owned();
            let (term, meaning) = (field(term_column), field(meaning_column));
            let lang = columns.iter().position(|column| column == "lang");
            let is_foreign = lang.is_some_and(|at| !["", WORKING].contains(&field(at).as_str()));
            let Some(words) = patterns(&term) else {
                return Err(GlossaryError::Star { line, term });
            };
            if words.is_empty() {
                return Err(GlossaryError::EmptyTerm { line });
            }
            if meaning.is_empty() {
                return Err(GlossaryError::EmptyMeaning { line, term });
            }
            let key = written(&words);
            if let Some(first) = lines.insert(key.clone(), line) {
                return Err(GlossaryError::Duplicate { line, term, first });
            }
            let entry = Entry {
                words,
                meaning,
                is_foreign,
            };
            entries.insert(key, entry);
        }
        Ok(Self::of(entries))
    }

    fn of(entries: BTreeMap<String, Entry>) -> Self {
        let parts = entries
            .iter()
            .flat_map(|(term, entry)| [term.as_bytes(), entry.meaning.as_bytes()]);
        let digest = Digest::of_parts(parts);
        let (mut by_word, mut by_stem) = (HashMap::new(), HashMap::new());
        for entry in entries.into_values() {
            let (index, key) = match &entry.words[0] {
                Pattern::Word(word) => (&mut by_word, word.clone()),
                Pattern::Stem(stem) => (&mut by_stem, stem.clone()),
            };
            index.entry(key).or_insert_with(Vec::new).push(entry);
        }
        for entries in by_word.values_mut().chain(by_stem.values_mut()) {
            entries.sort_by_key(|entry: &Entry| std::cmp::Reverse(entry.precision()));
        }
        let longest_stem = by_stem.keys().map(|stem| stem.chars().count()).max();
        Self {
            by_word,
            by_stem,
            longest_stem: longest_stem.unwrap_or(0),
            digest,
        }
    }

    /// The digest of all terms and meanings, whatever their order in the file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// A text with every known term replaced by its meaning. From left to
    /// right, the term of the most words is taken, then a word before a stem
    /// and a long stem before a short one. Case, accents and what stands
    /// between the words do not matter; all else stays as it is.
    pub fn translate<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let words = words(text);
        let mut translated = String::new();
        let (mut copied, mut at) = (0, 0);
        while at < words.len() {
            let Some(entry) = self.find(&words[at..]) else {
                at += 1;
                continue;
            };
            let last = at + entry.words.len() - 1;
            translated.push_str(&text[copied..words[at].place.start]);
            translated.push_str(&entry.meaning);
            copied = words[last].place.end;
            at = last + 1;
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        translated.push_str(&text[copied..]);
        Cow::Owned(translated)
    }

    /// The term of the meanings' own language that `tokens` begin with: how many of them
    /// it takes, and what it means. Translations are left out.
    pub(crate) fn meaning(&self, tokens: &[&str]) -> Option<(usize, &str)> {
        let first: Vec<Word> = words(tokens.first()?);
        // Most words begin no term: the rest is read only for those that do.
        if first.len() != 1 || self.find(&first).is_none() && !self.begins(&first[0].folded) {
            return None;
        }
        let mut read = first;
        for token in &tokens[1..] {
            let word = words(token);
            if word.len() != 1 {
                break;
            }
            read.extend(word);
        }
        let entry = self.find(&read)?;
        (!entry.is_foreign).then_some((entry.words.len(), entry.meaning.as_str()))
    }

    fn begins(&self, folded: &str) -> bool {
        self.by_word.contains_key(folded)
    }

    /// What a head reads of a text, in learning and in serving.
    pub fn read<'a>(&self, text: &'a str) -> Reading<'a> {
        Reading(self.translate(text))
    }

    /// The most precise entry that `words` begin with.
    fn find(&self, words: &[Word]) -> Option<&Entry> {
        let first = words[0].folded.as_str();
        let stems = first
            .char_indices()
            .take(self.longest_stem)
            .map(|(at, c)| &first[..at + c.len_utf8()])
            .filter_map(|stem| self.by_stem.get(stem));
        self.by_word
            .get(first)
            .into_iter()
            .chain(stems)
            .filter_map(|entries| entries.iter().find(|entry| entry.begins(words)))
            .max_by_key(|entry| entry.precision())
    }
}

impl Reading<'_> {
    /// The same, independent of the text that was read.
    pub fn into_owned(self) -> Reading<'static> {
        Reading(Cow::Owned(self.0.into_owned()))
    }

    /// What the encoder is given and the n-grams are taken from.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Entry {
    fn begins(&self, words: &[Word]) -> bool {
        self.words.len() <= words.len()
            && self
                .words
                .iter()
                .zip(words)
                .all(|(pattern, word)| match pattern {
                    Pattern::Word(expected) => *expected == word.folded,
                    Pattern::Stem(stem) => word.folded.starts_with(stem),
                })
    }

    /// How many words the term has, how many of them are whole, and the letters.
    fn precision(&self) -> (usize, usize, usize) {
        let whole = |pattern: &&Pattern| matches!(pattern, Pattern::Word(_));
        let letters = |(Pattern::Word(letters) | Pattern::Stem(letters)): &Pattern| letters.len();
        (
            self.words.len(),
            self.words.iter().filter(whole).count(),
            self.words.iter().map(letters).sum(),
        )
    }
}

struct Word {
    folded: String,
    place: Range<usize>,
}

/// The runs of letters and digits of a text.
fn words(text: &str) -> Vec<Word> {
    let belongs = |c: char| c.is_alphanumeric() || is_combining_mark(c);
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        match start {
            None if belongs(c) => start = Some(at),
            Some(from) if !belongs(c) => {
                let (folded, place) = (fold(&text[from..at]), from..at);
                // Accents alone are no word.
                if !folded.is_empty() {
                    words.push(Word { folded, place });
                }
                start = None;
            }
            _ => {}
        }
    }
    words
}

/// A word without case and accents.
fn fold(word: &str) -> String {
    word.nfkd()
        .filter(|&c| !is_combining_mark(c))
        .flat_map(char::to_lowercase)
        .collect()
}

/// The words of a term; `None` where a `*` does not end one.
fn patterns(term: &str) -> Option<Vec<Pattern>> {
    let mut stars = term.matches('*').count();
    let pattern = |word: Word| {
        let Some(behind) = term[word.place.end..].strip_prefix('*') else {
            return Some(Pattern::Word(word.folded));
        };
        stars -= 1;
        (!behind.starts_with(char::is_alphanumeric)).then_some(Pattern::Stem(word.folded))
    };
    let patterns = words(term).into_iter().map(pattern).collect();
    if stars == 0 { patterns } else { None }
}

/// A term as it is compared with others.
fn written(words: &[Pattern]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|pattern| match pattern {
            Pattern::Word(word) => word.clone(),
            Pattern::Stem(stem) => format!("{stem}*"),
        })
        .collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
