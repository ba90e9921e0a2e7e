//! What is searched: the sections of all documents, by their words and by the vectors of
//! their passages.

use std::collections::HashMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::document::{Document, Section, plain};
use super::term::{Term, terms, words};
use super::vector::Vector;
use crate::digest::Digest;
use crate::glossary::Glossary;

/// A passage has no more words, unless it is one sentence.
const PASSAGE_WORDS: usize = 50;
/// BM25 (Robertson and Zaragoza, 2009): how fast repeats of a term lose weight, and how
/// much the length of a section counts.
const SATURATION: f64 = 1.2;
const LENGTH: f64 = 0.75;

/// The number of a term in an index.
pub(crate) type TermId = u32;

/// Sentences that follow each other and are short enough for one vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The section, by its position in the document.
    pub section: usize,
    /// The sentences, by their positions in the section.
    pub sentences: Range<usize>,
}

/// The vectors of one document: one for each passage, and one for each section's headings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Vectors {
    /// Of the passages, in order.
    pub passages: Vec<Vector>,
    /// Of the headings, in the order of the sections.
    pub headings: Vec<Vector>,
    /// What the encoder read for each of both, as the first bytes of its digest: what is read
    /// again has its vector.
    pub read: Vec<u64>,
}

impl Vectors {
    /// Reads what [`Vectors::bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// The vectors as bytes, to be kept.
    pub fn bytes(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("plain numbers")
    }
}

/// A section in the index.
pub(crate) struct Entry {
    pub(crate) document: usize,
    pub(crate) section: usize,
    /// Terms of each sentence, in order.
    pub(crate) sentences: Vec<Vec<TermId>>,
    /// Terms of its own heading.
    pub(crate) heading: Vec<TermId>,
    /// Terms of the headings above it.
    pub(crate) above: Vec<TermId>,
    pub(crate) length: usize,
    /// Its pairs of words that stand side by side, ascending.
    pub(crate) pairs: Vec<u32>,
    /// Its passages in [`Index::passages`].
    pub(crate) passages: Range<usize>,
    pub(crate) heading_vector: Vector,
}

/// All that can be searched.
pub struct Index {
    pub(crate) documents: Vec<Document>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) passages: Vec<(Passage, Vector)>,
    vocabulary: HashMap<String, TermId>,
    /// For each term the sections that have it, and how often.
    postings: Vec<Vec<(u32, u16)>>,
    mean_length: f64,
}

/// The passages of a document, in order. They are what the encoder reads.
pub fn passages(document: &Document) -> Vec<Passage> {
    let mut passages = Vec::new();
    for (number, section) in document.sections.iter().enumerate() {
        let (mut start, mut words) = (0, 0);
        for (at, sentence) in section.sentences.iter().enumerate() {
            let count = document.text[sentence.place.clone()]
                .split_whitespace()
                .count();
            if at > start && words + count > PASSAGE_WORDS {
                passages.push(Passage {
                    section: number,
                    sentences: start..at,
                });
                (start, words) = (at, 0);
            }
            words += count;
        }
        if start < section.sentences.len() {
            let sentences = start..section.sentences.len();
            passages.push(Passage {
                section: number,
                sentences,
            });
        }
    }
    passages
}

/// What the encoder reads of a passage: its section's heading, then its words.
pub fn passage_text(document: &Document, passage: &Passage) -> String {
    let section = &document.sections[passage.section];
    let quote = document.quote(&section.sentences[passage.sentences.clone()]);
    format!("{}: {quote}", section.heading())
}

/// What the encoder reads of a section's headings.
pub fn heading_text(section: &Section) -> String {
    let from = section.headings.len().saturating_sub(2);
    section.headings[from..].join(", ")
}

impl Index {
    /// An index of documents with their vectors. Where a document's vectors are missing or
    /// of another number than its passages, its words alone are searched.
    pub fn new(documents: Vec<(Document, Vectors)>, glossary: &Glossary) -> Self {
        let mut index = Self {
            documents: Vec::new(),
            entries: Vec::new(),
            passages: Vec::new(),
            vocabulary: HashMap::new(),
            postings: Vec::new(),
            mean_length: 0.0,
        };
        for (document, vectors) in documents {
            index.add(document, vectors, glossary);
        }
        let lengths: usize = index.entries.iter().map(|entry| entry.length).sum();
        index.mean_length = lengths as f64 / index.entries.len().max(1) as f64;
        index
    }

    fn add(&mut self, document: Document, vectors: Vectors, glossary: &Glossary) {
        let number = self.documents.len();
        let cut = passages(&document);
        let has_vectors = vectors.passages.len() == cut.len()
            && vectors.headings.len() == document.sections.len();
        let (mut of_passages, mut of_headings) = match has_vectors {
            true => (vectors.passages, vectors.headings),
            false => (
                vec![Vector::default(); cut.len()],
                vec![Vector::default(); document.sections.len()],
            ),
        };
        let mut at = 0;
        for (position, section) in document.sections.iter().enumerate() {
            let first = self.passages.len();
            while cut
                .get(at)
                .is_some_and(|passage| passage.section == position)
            {
                let vector = std::mem::take(&mut of_passages[at]);
                self.passages.push((cut[at].clone(), vector));
                at += 1;
            }
            let sentences: Vec<Vec<TermId>> = section
                .sentences
                .iter()
                .map(|sentence| self.number_terms(&document.text[sentence.place.clone()], glossary))
                .collect();
            let heading = self.number_terms(section.heading(), glossary);
            let above = section.headings[..section.headings.len().saturating_sub(1)].join("\n");
            let above = self.number_terms(&above, glossary);
            let entry = Entry {
                document: number,
                section: position,
                length: sentences.iter().map(Vec::len).sum::<usize>() + heading.len(),
                sentences,
                heading,
                above,
                pairs: pairs(&document, section),
                passages: first..self.passages.len(),
                heading_vector: std::mem::take(&mut of_headings[position]),
            };
            self.post(&entry);
            self.entries.push(entry);
        }
        self.documents.push(document);
    }

    fn post(&mut self, entry: &Entry) {
        let number = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let body = entry.sentences.iter().flatten();
        for &term in body.chain(&entry.heading) {
            let postings = &mut self.postings[term as usize];
            match postings.last_mut() {
                Some((last, count)) if *last == number => *count = count.saturating_add(1),
                _ => postings.push((number, 1)),
            }
        }
    }

    /// The terms of a text and of what the glossary makes of it.
    fn number_terms(&mut self, text: &str, glossary: &Glossary) -> Vec<TermId> {
        let mut numbers = Vec::new();
        for key in keys(text, glossary) {
            let next = TermId::try_from(self.postings.len()).unwrap_or(TermId::MAX);
            let number = *self.vocabulary.entry(key).or_insert(next);
            if number == next {
                self.postings.push(Vec::new());
            }
            numbers.push(number);
        }
        numbers
    }

    /// The number of a term, if any section has it.
    pub(crate) fn term(&self, key: &str) -> Option<TermId> {
        self.vocabulary.get(key).copied()
    }

    /// How telling a term is: its inverse frequency over sections.
    pub(crate) fn rarity(&self, term: Option<TermId>) -> f64 {
        let having = term.map_or(0, |term| self.postings[term as usize].len());
        let (all, having) = (self.entries.len() as f64, having as f64);
        (1.0 + (all - having + 0.5) / (having + 0.5)).ln()
    }

    /// BM25 of all sections that have one of `terms`, each with its weight.
    pub(crate) fn weigh(&self, terms: &[(Option<TermId>, f64)]) -> HashMap<u32, f64> {
        let mut scores: HashMap<u32, f64> = HashMap::new();
        for &(term, rarity) in terms {
            let Some(term) = term else { continue };
            for &(entry, count) in &self.postings[term as usize] {
                let length = self.entries[entry as usize].length as f64 / self.mean_length;
                let score = saturate(f64::from(count), length);
                *scores.entry(entry).or_default() += rarity * score;
            }
        }
        scores
    }

    /// The digest of all documents: their paths and texts.
    pub fn digest(&self) -> Digest {
        let parts = self
            .documents
            .iter()
            .flat_map(|document| [&document.path, &document.text]);
        Digest::of_parts(parts.map(|part| part.as_bytes()))
    }

    /// The documents.
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The number of sections.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is nothing to search.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// A section, by its number, with its document.
    pub fn section(&self, number: usize) -> (&Document, &Section) {
        let entry = &self.entries[number];
        let document = &self.documents[entry.document];
        (document, &document.sections[entry.section])
    }

    /// The sections that a source names: `document#section`, a document, a heading, or
    /// headings joined by `>`. A document is its path, its file's name, or that without its
    /// ending. A section is the slug of its heading, the heading, or the headings down to
    /// it; where there is no such section, the deepest heading that there is counts.
    pub fn find(&self, source: &str) -> Vec<usize> {
        let (document, section) = match source.split_once('#') {
            Some((document, section)) => (Some(document), Some(section)),
            None if self.documents.iter().any(|one| is_named(&one.path, source)) => {
                (Some(source), None)
            }
            None => (None, Some(source)),
        };
        let within: Vec<usize> = (0..self.len())
            .filter(|&number| {
                let path = &self.section(number).0.path;
                document.is_none_or(|name| name.is_empty() || is_named(path, name))
            })
            .collect();
        let Some(section) = section else {
            return within;
        };
        let parts: Vec<&str> = section.split('>').collect();
        for depth in (1..=parts.len()).rev() {
            let wanted = plain(&parts[..depth].concat());
            let last = plain(parts[depth - 1]);
            let whole = |number: &&usize| {
                let (_, section) = self.section(**number);
                let id = section.id.rsplit_once('#').map_or("", |(_, slug)| slug);
                let path = |from: usize| plain(&section.headings[from..].concat());
                plain(id) == wanted || (0..section.headings.len()).any(|from| path(from) == wanted)
            };
            let own = |number: &&usize| plain(self.section(**number).1.heading()) == last;
            let above = |number: &&usize| {
                let headings = &self.section(**number).1.headings;
                headings.iter().any(|heading| plain(heading) == last)
            };
            let found: Vec<usize> = within.iter().filter(whole).copied().collect();
            if !found.is_empty() {
                return found;
            }
            let found: Vec<usize> = within.iter().filter(own).copied().collect();
            if !found.is_empty() {
                return found;
            }
            // A heading without sentences of its own stands for what is below it.
            let found: Vec<usize> = within.iter().filter(above).copied().collect();
            if !found.is_empty() {
                return found;
            }
        }
        Vec::new()
    }
}

/// The weight of a term that occurs `count` times in a text of a length relative to the mean.
pub(crate) fn saturate(count: f64, length: f64) -> f64 {
    count * (SATURATION + 1.0) / (count + SATURATION * (1.0 - LENGTH + LENGTH * length))
}

/// The keys of a text's terms, and of those that the glossary puts in their place.
pub(crate) fn keys(text: &str, glossary: &Glossary) -> Vec<String> {
    let mut keys: Vec<String> = terms(text).into_iter().map(|term| term.key).collect();
    let reading = glossary.read(text);
    if reading.text() != text {
        let own: Vec<String> = keys.clone();
        let meant = terms(reading.text()).into_iter().map(|term| term.key);
        keys.extend(meant.filter(|key| !own.contains(key)));
    }
    keys
}

/// The pairs of words that stand side by side in a section, ascending.
fn pairs(document: &Document, section: &Section) -> Vec<u32> {
    let mut run = words(section.heading());
    for sentence in &section.sentences {
        run.extend(words(&document.text[sentence.place.clone()]));
    }
    let pair = |pair: &[Term]| pair_key(&pair[0].key, &pair[1].key);
    let mut pairs: Vec<u32> = run.windows(2).map(pair).collect();
    pairs.sort_unstable();
    pairs.dedup();
    pairs
}

/// A number for a pair of words: FNV-1a of both.
pub(crate) fn pair_key(first: &str, second: &str) -> u32 {
    let bytes = first.bytes().chain([0]).chain(second.bytes());
    bytes.fold(0x811c_9dc5, |key: u32, byte| {
        (key ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

/// Whether a document is called so.
fn is_named(path: &str, name: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name = name.trim();
    path == name || file == name || stem == name || path.ends_with(&format!("/{name}"))
}

#[cfg(test)]
mod tests;
