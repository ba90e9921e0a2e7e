//! Encoders that are tuned on the places of a task's values, and how much of what they say a
//! reader takes.
//!
//! Weights that were learnt beside a tuned encoder would be learnt on texts that it has seen,
//! and trust it too much. So a reader is trained without it, and the logits that were tuned
//! with it are added to its own, times a share that held-out texts ask for.

use std::collections::BTreeMap;
use std::time::Duration;

use andon_task::engine::Embed;
use andon_task::extract::{Meaning, Page, ROLES, Reader, roles};

use super::align::{Target, align};
use super::evaluate::f1;
use super::grade::{Graded, grade};
use super::meaning::{MOST_WORDS, is_short, states_of};
use super::train::Lesson;
use crate::error::LearnError;
use crate::random::Random;

/// The shares that are tried.
const SHARES: [f32; 7] = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 4.0];

/// Places of a text that are no values, at most.
const MOST_WRONG: usize = 300;

/// A text whose words are known, and places in it.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkedText<'a> {
    /// The text.
    pub text: &'a str,
    /// The bytes of each of its words.
    pub words: Vec<(usize, usize)>,
    /// Places that are values, and others that are not.
    pub places: Vec<MarkedPlace>,
}

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MarkedPlace {
    /// The word before it, its first, its last, the one behind it.
    pub words: [Option<usize>; ROLES],
    /// The field that it is a value of; `None`: of none.
    pub field: Option<usize>,
}

/// An encoder that was tuned on places.
pub struct TunedWords {
    /// What serves: its states of words are those that were tuned. Its identity is its own.
    pub encoder: Box<dyn Embed>,
    /// `[field][role][width]`, on states of words of unit length: the sum over a place's words
    /// is its logit for a field, beside 0 for none.
    pub weights: Vec<f32>,
    /// What has to be kept so that the encoder can be loaded again.
    pub bytes: Vec<u8>,
}

/// Tunes an encoder so that its states of words tell which places are values of which field.
pub trait TuneWords {
    /// Tunes on these texts alone: in cross-validation those of the other folds. `fields` is the
    /// number of fields; `what` names the tuning for people. The same texts give the same
    /// encoder, bit for bit. What goes wrong is [`LearnError::Tuning`].
    fn tune(
        &self,
        texts: &[MarkedText<'_>],
        fields: usize,
        what: &str,
    ) -> Result<TunedWords, LearnError>;
}

/// A reader's texts as a tuned encoder reads them, of one fold.
pub(super) struct Tuned {
    meaning: Meaning,
    words: TunedWords,
}

impl Tuned {
    /// Tunes on the lessons that a reader was trained on.
    pub(super) fn on(
        tune: &dyn TuneWords,
        reader: &Reader,
        lessons: &[Lesson<'_>],
        what: &str,
    ) -> Result<Self, LearnError> {
        let texts: Vec<&str> = lessons.iter().map(|lesson| lesson.text).collect();
        if !is_short(&texts) {
            return Err(LearnError::LongTexts(MOST_WORDS));
        }
        let mut random = Random::seeded(0);
        let marked = lessons
            .iter()
            .map(|lesson| marked(reader, lesson, &mut random));
        let marked: Vec<MarkedText<'_>> = marked.collect();
        let words = tune.tune(&marked, reader.fields().all().len(), what)?;
        let meaning = Meaning::of_unit_states(
            words.encoder.identity().digest,
            words.weights.clone(),
            reader.fields().all().len(),
        );
        Ok(Self { meaning, words })
    }

    /// What has to be kept of the encoder.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.words.bytes
    }

    /// The reader, with so much of what the encoder says.
    pub(super) fn join(&self, reader: &Reader, share: f32) -> Result<Reader, LearnError> {
        Ok(reader.with_meaning((share > 0.0).then(|| self.meaning.times(share)))?)
    }

    /// How a reader reads held-out texts with each share of what the encoder says.
    pub(super) fn read(
        &self,
        reader: &Reader,
        lessons: &[Lesson<'_>],
        clock: &dyn Fn() -> Duration,
    ) -> Result<Shares, LearnError> {
        let began = clock();
        let states = lessons
            .iter()
            .map(|lesson| states_of(&*self.words.encoder, lesson.number, lesson.text));
        let states = states.collect::<Result<Vec<_>, _>>()?;
        let each = clock().saturating_sub(began) / lessons.len().max(1) as u32;
        let mut shares = Shares::default();
        for (share, read) in SHARES.iter().zip(&mut shares) {
            let reader = self.join(reader, *share)?;
            for (lesson, states) in lessons.iter().zip(&states) {
                let own = (lesson.text, lesson.gold);
                let asked = reader.encoder().and(states.as_ref());
                let graded = grade(&reader, reader.fields(), own, asked, clock);
                let before = reader.encoder().map_or(Duration::ZERO, |_| each);
                read.push(Graded {
                    took: graded.took + before,
                    ..graded
                });
            }
        }
        Ok(shares)
    }
}

/// For each share how texts were read.
pub(super) type Shares = [Vec<Graded>; SHARES.len()];

/// The share with which most values are right.
pub(super) fn best_share(shares: &Shares) -> usize {
    let right = shares.iter().map(|graded| f1(graded)).enumerate();
    let better = |best: (usize, f64), other: (usize, f64)| match other.1 > best.1 {
        true => other,
        false => best,
    };
    right.fold((0, f64::MIN), better).0
}

/// How much of what an encoder says is taken, at this place in the list of shares.
pub(super) fn share(place: usize) -> f32 {
    SHARES[place]
}

/// The places of a lesson's values, and some of all others that a reader looks at.
fn marked<'a>(reader: &Reader, lesson: &Lesson<'a>, random: &mut Random) -> MarkedText<'a> {
    let search = reader.search();
    let page = Page::new(lesson.text);
    let look = search.look(&page);
    let aligned = align(search, &page, &look, lesson.gold);
    let mut field_of = aligned.marks;
    for (field, target) in aligned.values.iter().enumerate() {
        if let Target::Candidates(right) = target {
            field_of.extend(right.iter().map(|&candidate| (candidate, field)));
        }
    }
    // Candidates of different kinds may be one place.
    let mut places: BTreeMap<[Option<usize>; ROLES], Option<usize>> = BTreeMap::new();
    for (number, candidate) in look.candidates.iter().enumerate() {
        let mut words = [None; ROLES];
        for (word, role) in roles(&page, candidate) {
            words[role] = Some(word);
        }
        let field = field_of.get(&(number as u32)).copied();
        if words != [None; ROLES] {
            let known = places.entry(words).or_default();
            *known = known.or(field);
        }
    }
    let place = |(words, field)| MarkedPlace { words, field };
    let (right, mut wrong): (Vec<MarkedPlace>, Vec<MarkedPlace>) =
        (places.into_iter().map(place)).partition(|place| place.field.is_some());
    random.shuffle(&mut wrong);
    wrong.truncate(MOST_WRONG);
    MarkedText {
        text: lesson.text,
        words: page.words().collect(),
        places: right.into_iter().chain(wrong).collect(),
    }
}
