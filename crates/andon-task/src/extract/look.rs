//! A page with its candidates, and what is seen of each: what training and reading share.

use super::candidate::{Candidate, Demand, Finder, Source};
use super::feature::{self, Sink};
use super::fields::{Field, Fields, Type};
use super::memory::{Memory, Remembered};
use super::page::Page;

/// What is looked for: the fields of a schema, where to find them, and what they have been.
#[derive(Clone, Debug)]
pub struct Search {
    /// The fields.
    pub fields: Fields,
    /// Where each is looked for.
    pub demands: Vec<Demand>,
    /// What each has been.
    pub memory: Memory,
}

impl Search {
    /// A search for fields by demands, with what they have been.
    pub fn new(fields: Fields, demands: Vec<Demand>, remembered: &[Vec<Remembered>]) -> Self {
        Self {
            fields,
            demands,
            memory: Memory::new(remembered),
        }
    }

    /// The candidates of a page for all fields together.
    pub fn find(&self, page: &Page<'_>) -> Vec<Candidate> {
        self.finder().find(page).0
    }

    fn finder(&self) -> Finder<'_> {
        Finder {
            fields: self.fields.all(),
            demands: &self.demands,
            memory: &self.memory,
        }
    }

    /// The candidates of a page, with what is seen of them.
    pub fn look(&self, page: &Page<'_>) -> Look {
        let (candidates, own) = self.finder().find(page);
        let mut remembered = vec![Vec::new(); own.len()];
        for candidate in &candidates {
            if let (Source::Remembered, Some(field)) = (candidate.source, candidate.field) {
                remembered[field].push((candidate.start, candidate.end, candidate.likeness));
            }
        }
        let mut features = Vec::new();
        let mut ends = Vec::with_capacity(candidates.len());
        for candidate in &candidates {
            feature::of_candidate(page, candidate, &mut Sink(&mut features));
            ends.push(features.len());
        }
        Look {
            candidates,
            own,
            remembered,
            features,
            ends,
        }
    }

    /// The features of one candidate for a field. `left_out` is the key of a value that
    /// counts once less: that of the example itself, which no other text could know.
    /// `None` where the candidate then is none.
    pub fn features(
        &self,
        look: &Look,
        (field, candidate): (usize, usize),
        left_out: Option<u64>,
        features: &mut Vec<u32>,
    ) -> bool {
        let place = &look.candidates[candidate];
        let mut times = match place.source {
            Source::Remembered => self.memory.times(field, place.which),
            Source::Choice => 0,
            _ => self.memory.times_of(field, place.key),
        };
        if left_out == Some(place.key) {
            times = times.saturating_sub(1);
        }
        if times == 0 && place.source == Source::Remembered {
            return false;
        }
        features.extend(look.common(candidate));
        if self.fields.all()[field].kind == Type::String {
            let near = match place.source {
                Source::Remembered => place.likeness,
                _ => look.near(field, place),
            };
            feature::of_memory(place, times, near, &mut Sink(features));
        }
        true
    }

    /// The features of a field's absence.
    pub fn absence(&self, page: &Page<'_>, candidates: usize, features: &mut Vec<u32>) {
        feature::of_absence(page, candidates, &mut Sink(features));
    }

    /// The field of this number.
    pub fn field(&self, field: usize) -> &Field {
        &self.fields.all()[field]
    }
}

/// The candidates of one page.
pub struct Look {
    /// All of them.
    pub candidates: Vec<Candidate>,
    /// For each field the numbers of those that may be its value.
    pub own: Vec<Vec<u32>>,
    /// For each field the places of remembered values, and how like they are.
    remembered: Vec<Vec<(usize, usize, f32)>>,
    features: Vec<u32>,
    ends: Vec<usize>,
}

impl Look {
    /// What is seen of a candidate whatever the field.
    pub fn common(&self, candidate: usize) -> &[u32] {
        let start = candidate
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        &self.features[start..self.ends[candidate]]
    }
}

impl Look {
    /// How like a remembered value a place is that it has most in common with; 0 where
    /// none is there.
    fn near(&self, field: usize, place: &Candidate) -> f32 {
        let mostly_same = |&&(start, end, _): &&(usize, usize, f32)| {
            let common = end.min(place.end).saturating_sub(start.max(place.start));
            common * 10 >= 8 * (end.max(place.end) - start.min(place.start))
        };
        let same = self.remembered[field].iter().filter(mostly_same);
        same.map(|&(_, _, likeness)| likeness).fold(0.0, f32::max)
    }
}

impl Candidate {
    /// What its value is known by: the same for places that say the same.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The lines that it begins and ends on.
    pub fn lines(&self, page: &Page<'_>) -> (usize, usize) {
        (page.tokens[self.first].line, page.tokens[self.last].line)
    }

    /// How many tokens it has.
    pub fn tokens(&self) -> usize {
        self.last - self.first + 1
    }
}
