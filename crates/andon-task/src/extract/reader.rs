//! A trained reader: from a text to an object, with the place of each value.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::assemble::{self, Filled, Item};
use super::candidate::{Candidate, Demand};
use super::fields::Fields;
use super::fusion::Fusion;
use super::look::{Look, Search};
use super::meaning::{Meaning, Meanings, ROLES, roles};
use super::memory::Remembered;
use super::page::Page;
use super::spelling::Spelling;
use super::trust::{Trust, log_odds, of_record};
use super::weights::Weights;
use super::{ReaderError, digest_of, format};
use crate::digest::Digest;
use crate::engine::States;
use serde::{Deserialize, Serialize};

/// What is less probable is not taken for a value of a list even where one must be.
const LEAST_SHARE: f64 = 0.01;

/// What is less probable does not make one doubt that a list is whole.
const LEAST_DOUBT: f64 = 0.05;

/// How the values of a list become items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Grouping {
    /// An item is on one line, and no line has two.
    Line,
    /// An item ends where one of its fields comes again: before the line that has it.
    Repeat,
}

/// What a reader is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Parts {
    /// The digest of the schema that it was trained for.
    pub schema: Digest,
    /// Where each field is looked for.
    pub demands: Vec<Demand>,
    /// What each field has been.
    pub remembered: Vec<Vec<Remembered>>,
    /// How each field is written.
    pub spelling: Vec<Spelling>,
    /// How the values of each list become items.
    pub grouping: Vec<Grouping>,
    /// Whether a value of a list may lie within another.
    pub nested: bool,
    /// The fields that every example had: a text without one of them is of another kind.
    pub always: Vec<usize>,
    /// The weights that are not zero, by ascending place.
    pub weights: Vec<(u32, f32)>,
    /// From shares to probabilities.
    pub trust: Trust,
    /// Weights on what an encoder makes of words.
    pub meaning: Option<Meaning>,
    /// What a language model that is asked as well counts for, where that was found to help.
    pub fusion: Option<Fusion>,
}

/// Reads the fields of one schema out of texts.
#[derive(Debug)]
pub struct Reader {
    search: Search,
    parts: Parts,
    weights: Weights,
    bytes: Vec<u8>,
    digest: Digest,
}

/// A value that was read, or that there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Pointed {
    /// Where it belongs, as `total` or `positions[2].quantity`.
    pub path: String,
    /// The field.
    pub field: usize,
    /// The value; `None` where the text has none.
    pub value: Option<Value>,
    /// Its place in the text, in bytes; `None` where nothing there says it.
    pub span: Option<(usize, usize)>,
    /// Whether the place says the value as it is, but for blanks and punctuation.
    pub verbatim: bool,
    /// How probable it is that the value is right.
    pub confidence: f64,
    /// Whether a language model that was asked as well has the same; `None` where none was.
    pub agreed: Option<bool>,
}

/// What a text says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The object; it satisfies the schema.
    pub value: Value,
    /// Each value with its place.
    pub fields: Vec<Pointed>,
    /// How probable it is that all of them are right.
    pub confidence: f64,
    /// The logarithm of how sure it is that no value of a list is missing.
    pub doubt: f64,
}

impl Reader {
    /// A reader of these parts for the schema with these fields.
    pub fn new(fields: Fields, parts: Parts) -> Result<Self, ReaderError> {
        let (bytes, digest) = format::write(&parts);
        Self::build(fields, parts, bytes, digest)
    }

    /// Reads the file of a reader for a schema.
    pub fn parse(schema: &Value, bytes: &[u8]) -> Result<Self, ReaderError> {
        let (parts, digest) = format::read(bytes)?;
        if parts.schema != digest_of(schema) {
            return Err(ReaderError::OtherSchema);
        }
        Self::build(Fields::of(schema)?, parts, bytes.to_vec(), digest)
    }

    fn build(
        fields: Fields,
        parts: Parts,
        bytes: Vec<u8>,
        digest: Digest,
    ) -> Result<Self, ReaderError> {
        let count = fields.all().len();
        let lengths = [
            parts.demands.len(),
            parts.remembered.len(),
            parts.spelling.len(),
        ];
        if lengths != [count; 3] || parts.grouping.len() != fields.lists.len() {
            return Err(ReaderError::Damaged("its fields are others"));
        }
        if let Some(meaning) = &parts.meaning
            && (meaning.weights.len() != count * ROLES * meaning.width
                || meaning.weights.iter().any(|weight| !weight.is_finite()))
        {
            return Err(ReaderError::Damaged("its weights on words are others"));
        }
        if let Some(fusion) = &parts.fusion
            && !fusion.is_sound(count)
        {
            return Err(ReaderError::Damaged("its second opinion is no number"));
        }
        let weights =
            Weights::of(&parts.weights).ok_or(ReaderError::Damaged("a weight is no number"))?;
        Ok(Self {
            search: Search::new(fields, parts.demands.clone(), &parts.remembered),
            parts,
            weights,
            bytes,
            digest,
        })
    }

    /// The encoder that the file of a reader names, whatever its schema; `None` if there is none,
    /// or it is no such file.
    pub fn encoder_of(bytes: &[u8]) -> Option<Digest> {
        let (parts, _) = format::read(bytes).ok()?;
        parts.meaning.map(|meaning| meaning.encoder)
    }

    /// Its file.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest that it is known by.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The digest of the schema that it was trained for.
    pub fn schema(&self) -> Digest {
        self.parts.schema
    }

    /// The fields that it reads.
    pub fn fields(&self) -> &Fields {
        &self.search.fields
    }

    /// The same reader with other calibration.
    pub fn trusting(self, trust: Trust) -> Result<Self, ReaderError> {
        let parts = Parts {
            trust,
            ..self.parts
        };
        Self::new(self.search.fields, parts)
    }

    /// The same reader with other weights on what an encoder makes of words.
    ///
    /// # Errors
    /// If they are not of its fields.
    pub fn with_meaning(&self, meaning: Option<Meaning>) -> Result<Self, ReaderError> {
        let parts = Parts {
            meaning,
            ..self.parts.clone()
        };
        Self::new(self.search.fields.clone(), parts)
    }

    /// What it looks for.
    pub fn search(&self) -> &Search {
        &self.search
    }

    /// The same reader with a second opinion.
    pub fn fusing(self, fusion: Fusion) -> Result<Self, ReaderError> {
        let parts = Parts {
            fusion: Some(fusion),
            ..self.parts
        };
        Self::new(self.search.fields, parts)
    }

    /// What a second opinion counts for, where one was found to help.
    pub fn fusion(&self) -> Option<&Fusion> {
        self.parts.fusion.as_ref()
    }

    /// The encoder whose states of words it has to be given.
    pub fn encoder(&self) -> Option<Digest> {
        self.parts.meaning.as_ref().map(|meaning| meaning.encoder)
    }

    /// Reads a text, with the states of its words where [`Reader::encoder`] names one. A
    /// text that is too long for the encoder is read without, and not to be relied on.
    ///
    /// # Errors
    /// If a field must have a value and the text has none that the schema admits.
    pub fn read(&self, text: &str, states: Option<&States>) -> Result<Reading, ReaderError> {
        let page = Page::new(text);
        let look = self.search.look(&page);
        let look = &Seen {
            meant: self.meant(&page, states)?,
            page: &page,
            look,
        };
        let mut filled = Filled::new(&self.search.fields);
        for (number, field) in self.search.fields.all().iter().enumerate() {
            if field.list.is_none() {
                filled.values[number] = Some(self.choose(look, number)?);
            }
        }
        self.collect(look, &mut filled);
        let has = |field: &usize| {
            filled.values[*field]
                .as_ref()
                .is_some_and(|one| one.value.is_some())
        };
        let is_known =
            self.parts.always.iter().all(has) && self.parts.meaning.is_none() == states.is_none();
        let doubt = filled.doubt;
        let (value, fields) = assemble::object(&self.search.fields, filled)?;
        let seen = of_record(fields.iter().map(|pointed| pointed.confidence), doubt);
        Ok(Reading {
            value,
            fields,
            confidence: match is_known {
                true => self.parts.trust.record(seen),
                false => 0.0,
            },
            doubt,
        })
    }

    /// For each field what each word weighs in each role.
    fn meant(
        &self,
        page: &Page<'_>,
        states: Option<&States>,
    ) -> Result<Vec<Vec<f32>>, ReaderError> {
        let (Some(meaning), Some(states)) = (&self.parts.meaning, states) else {
            return Ok(Vec::new());
        };
        if meaning.width != states.width {
            return Err(ReaderError::OtherEncoder);
        }
        let meanings = Meanings::new(page, states);
        let fields = meaning.weights.chunks_exact(ROLES * meaning.width);
        Ok(fields.map(|weights| meanings.weigh(weights)).collect())
    }

    /// What a candidate weighs for a field.
    fn score(&self, seen: &Seen<'_>, field: usize, candidate: usize, features: &[u32]) -> f64 {
        let meant = seen.meant.get(field).map_or(0.0, |table| {
            let seen = roles(seen.page, &seen.look.candidates[candidate]);
            seen.map(|(word, role)| f64::from(table[word * ROLES + role]))
                .sum()
        });
        meant + self.weights.score(field, features)
    }

    /// The value of a field that a document has once.
    fn choose(&self, seen: &Seen<'_>, number: usize) -> Result<Pointed, ReaderError> {
        let (page, look) = (seen.page, &seen.look);
        let field = self.search.field(number);
        let own = &look.own[number];
        let mut features = Vec::new();
        // Places that say the same are one answer: key, score, best place and its score.
        let mut answers: Vec<(u64, f64, usize, f64)> = Vec::new();
        let mut known = std::collections::HashMap::new();
        for &candidate in own {
            let candidate = candidate as usize;
            features.clear();
            if !self
                .search
                .features(look, (number, candidate), None, &mut features)
            {
                continue;
            }
            let score = self.score(seen, number, candidate, &features);
            let key = look.candidates[candidate].key();
            let slot = *known.entry(key).or_insert(answers.len());
            match answers.get_mut(slot) {
                None => answers.push((key, score, candidate, score)),
                Some((_, sum, best, highest)) => {
                    let top = sum.max(score);
                    *sum = top + ((*sum - top).exp() + (score - top).exp()).ln();
                    let better = (look.candidates[candidate].has_place(), score)
                        > (look.candidates[*best].has_place(), *highest);
                    if better {
                        (*best, *highest) = (candidate, score);
                    }
                }
            }
        }
        answers.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.2.cmp(&b.2)));
        features.clear();
        self.search.absence(page, own.len(), &mut features);
        let absent = match field.may_be_absent {
            true => self.weights.score(number, &features),
            false => f64::NEG_INFINITY,
        };
        let top = answers.first().map_or(absent, |best| best.1.max(absent));
        let total: f64 = answers
            .iter()
            .map(|answer| (answer.1 - top).exp())
            .sum::<f64>()
            + (absent - top).exp();
        for (_, score, candidate, _) in &answers {
            if *score <= absent {
                break;
            }
            let candidate = &look.candidates[*candidate];
            let spelling = &self.parts.spelling[number];
            let Some(value) = candidate.value(page, field, &self.search.memory, spelling) else {
                continue;
            };
            let share = (score - top).exp() / total;
            return Ok(self.pointed(page, number, (candidate, value), share));
        }
        if !field.may_be_absent {
            return Err(ReaderError::NothingFound(field.path.clone()));
        }
        let share = match answers.is_empty() {
            true => 1.0,
            false => (absent - top).exp() / total,
        };
        Ok(Pointed {
            path: field.path.clone(),
            field: number,
            value: None,
            span: None,
            verbatim: false,
            confidence: self.parts.trust.field(number, log_odds(share)),
            agreed: None,
        })
    }

    fn pointed(
        &self,
        page: &Page<'_>,
        number: usize,
        (candidate, value): (&Candidate, Value),
        share: f64,
    ) -> Pointed {
        let span = candidate
            .has_place()
            .then_some((candidate.start, candidate.end));
        let verbatim = match (&value, span) {
            (Value::String(value), Some((start, end))) => {
                super::spelling::compact(value) == super::spelling::compact(&page.text[start..end])
            }
            (_, span) => span.is_some(),
        };
        Pointed {
            path: self.search.field(number).path.clone(),
            field: number,
            value: Some(value),
            span,
            verbatim,
            confidence: self.parts.trust.field(number, log_odds(share)),
            agreed: None,
        }
    }

    /// The items of all lists: each candidate is a value of one of their fields, or of none.
    fn collect(&self, seen: &Seen<'_>, filled: &mut Filled) {
        let (page, look) = (seen.page, &seen.look);
        let (likely, unlikely) = self.mark(seen);
        let mut taken: Vec<Marked> = Vec::new();
        for (share, candidate, field) in likely {
            let candidate = look.candidates[candidate];
            let clash = |other: &Candidate| {
                let overlap = candidate.start < other.end && other.start < candidate.end;
                let within = (candidate.start >= other.start && candidate.end <= other.end)
                    || (other.start >= candidate.start && other.end <= candidate.end);
                let same = (candidate.first, candidate.last) == (other.first, other.last);
                overlap && (!self.parts.nested || !within || same)
            };
            if taken.iter().any(|other| clash(&other.candidate)) {
                continue;
            }
            let spelling = &self.parts.spelling[field];
            let definition = self.search.field(field);
            if let Some(value) = candidate.value(page, definition, &self.search.memory, spelling) {
                taken.push(Marked {
                    candidate,
                    field,
                    share,
                    value,
                });
            }
        }
        taken.sort_by_key(|marked| (marked.candidate.start, marked.candidate.end));
        let spans = taken
            .iter()
            .map(|marked| (marked.candidate.start, marked.candidate.end));
        let spans: Vec<(usize, usize)> = spans.collect();
        // What each line has of each list.
        let mut on_line: BTreeMap<(usize, usize), Vec<usize>> = BTreeMap::new();
        for marked in &taken {
            if let Some(list) = self.search.field(marked.field).list {
                let line = marked.candidate.lines(page).0;
                on_line.entry((list, line)).or_default().push(marked.field);
            }
        }
        let mut last_line = vec![None; filled.items.len()];
        for marked in taken {
            let Some(list) = self.search.field(marked.field).list else {
                continue;
            };
            let line = marked.candidate.lines(page).0;
            let has = |item: &Item, field| item.iter().any(|pointed| pointed.field == field);
            let is_new = last_line[list] != Some(line);
            let begins = match (self.parts.grouping[list], filled.items[list].last()) {
                (_, None) => true,
                (Grouping::Line, _) => is_new,
                (Grouping::Repeat, Some(item)) if is_new => {
                    on_line[&(list, line)].iter().any(|&field| has(item, field))
                }
                (Grouping::Repeat, Some(item)) => has(item, marked.field),
            };
            last_line[list] = Some(line);
            let field = marked.field;
            let pointed =
                self.pointed(page, field, (&marked.candidate, marked.value), marked.share);
            match filled.items[list].last_mut().filter(|_| !begins) {
                // A second value on the line is a second reading of the same thing.
                Some(item) if item.iter().any(|other| other.field == field) => {}
                Some(item) => item.push(pointed),
                None => filled.items[list].push(vec![pointed]),
            }
        }
        self.complete(seen, &unlikely, spans, filled);
    }

    /// Gives items what they must have and nothing seemed to be: the most probable place on
    /// their own lines. What is then left over, or left out, is doubted.
    fn complete(
        &self,
        seen: &Seen<'_>,
        unlikely: &[Weighed],
        mut taken: Vec<(usize, usize)>,
        filled: &mut Filled,
    ) {
        let page = seen.page;
        let line_of = |pointed: &Pointed| pointed.span.map(|(start, _)| page.line_at(start));
        let mut used = BTreeSet::new();
        for (field, definition) in self.search.fields.all().iter().enumerate() {
            let Some(list) = definition.list.filter(|_| !definition.may_be_absent) else {
                continue;
            };
            for item in &mut filled.items[list] {
                let lines = item.iter().filter_map(line_of);
                let (Some(first), Some(last)) = (lines.clone().min(), lines.max()) else {
                    continue;
                };
                if item.iter().any(|pointed| pointed.field == field) {
                    continue;
                }
                let best = unlikely.iter().find_map(|&(share, candidate, own)| {
                    let place = &seen.look.candidates[candidate];
                    let free =
                        |&(start, end): &(usize, usize)| place.end <= start || place.start >= end;
                    let (from, to) = place.lines(page);
                    let fits = own == field && first <= from && to <= last;
                    if !fits || !taken.iter().all(free) {
                        return None;
                    }
                    let spelling = &self.parts.spelling[field];
                    let value = place.value(page, definition, &self.search.memory, spelling)?;
                    Some((share, candidate, value))
                });
                match best {
                    Some((share, candidate, value)) => {
                        let place = &seen.look.candidates[candidate];
                        taken.push((place.start, place.end));
                        used.insert(candidate);
                        item.push(self.pointed(page, field, (place, value), share));
                    }
                    None => {
                        let surest = item.iter().map(|pointed| pointed.confidence);
                        filled.doubt += (1.0 - surest.fold(0.0, f64::max)).max(1e-6).ln();
                    }
                }
            }
        }
        let left_out = unlikely
            .iter()
            .filter(|(share, candidate, _)| *share > LEAST_DOUBT && !used.contains(candidate));
        filled.doubt += left_out.map(|(share, ..)| (1.0 - share).ln()).sum::<f64>();
    }

    /// The candidates that are probably values of lists, and those that might be, each most
    /// probable first.
    fn mark(&self, seen: &Seen<'_>) -> (Vec<Weighed>, Vec<Weighed>) {
        let look = &seen.look;
        // For each candidate its scores by field, against none at 0.
        let mut scores: BTreeMap<usize, Vec<(usize, f64)>> = BTreeMap::new();
        let mut features = Vec::new();
        for (field, definition) in self.search.fields.all().iter().enumerate() {
            if definition.list.is_none() {
                continue;
            }
            for &candidate in &look.own[field] {
                let candidate = candidate as usize;
                features.clear();
                if self
                    .search
                    .features(look, (field, candidate), None, &mut features)
                {
                    let score = self.score(seen, field, candidate, &features);
                    scores.entry(candidate).or_default().push((field, score));
                }
            }
        }
        let (mut likely, mut unlikely) = (Vec::new(), Vec::new());
        for (candidate, scores) in scores {
            let top = scores.iter().map(|(_, score)| *score).fold(0.0, f64::max);
            let sum: f64 = scores.iter().map(|(_, score)| (score - top).exp()).sum();
            let total = sum + (-top).exp();
            let best = scores.iter().max_by(|a, b| a.1.total_cmp(&b.1));
            let Some(&(field, score)) = best else {
                continue;
            };
            let share = (score - top).exp() / total;
            match score > 0.0 {
                true => likely.push((share, candidate, field)),
                false if share > LEAST_SHARE => unlikely.push((share, candidate, field)),
                false => {}
            }
        }
        for weighed in [&mut likely, &mut unlikely] {
            weighed.sort_by(|a: &Weighed, b: &Weighed| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        (likely, unlikely)
    }
}

/// A candidate for a field of a list: how probable it is, the candidate and the field.
type Weighed = (f64, usize, usize);

/// A page with its candidates, and for each field what each word weighs in each role.
struct Seen<'t> {
    page: &'t Page<'t>,
    look: Look,
    meant: Vec<Vec<f32>>,
}

/// A candidate that is taken for a value of a list.
struct Marked {
    candidate: Candidate,
    field: usize,
    share: f64,
    value: Value,
}
