//! The weights of a reader: logistic regression over each choice, by AdaGrad (Duchi, Hazan
//! and Singer, 2011). First among random candidates, then among those that were taken for
//! right ones.

use std::collections::BTreeMap;

use andon_task::extract::{
    Fields, Gold, Grouping, Look, PLACES, Page, Parts, ROLES, Reader, Search, Weights, digest_of,
    place, roles,
};
use serde_json::Value;

use super::Register;
use super::align::{Aligned, Target, align};
use super::demand::{memories, survey};
use super::meaning::{self, Corpus, Roles};
use crate::error::LearnError;
use crate::random::Random;

/// Passes over the examples before and after the hard candidates are sought.
const PASSES: [usize; 2] = [4, 12];

/// How far a weight moves at first.
const RATE: f32 = 0.05;

/// Weights are the mean of so many trainings, each against other random candidates.
const TRAININGS: usize = 2;

/// Wrong candidates that a choice is learnt against: drawn ones, and hard ones.
const DRAWN: usize = 24;
const HARD: usize = 24;

/// The same for a document's lists.
const DRAWN_IN_LISTS: usize = 120;
const HARD_IN_LISTS: usize = 120;

/// An example of which the expected object was read.
#[derive(Clone, Copy)]
pub(super) struct Lesson<'a> {
    pub(super) text: &'a str,
    pub(super) gold: &'a Gold,
    /// Its number among all examples.
    pub(super) number: usize,
}

/// So many examples say what all documents have.
const ENOUGH: usize = 10;

/// A choice that is learnt: features of each option one after the other.
#[derive(Default)]
struct Choice {
    features: Vec<u32>,
    ends: Vec<u32>,
    /// The words that are seen of each option.
    roles: Vec<Roles>,
    /// The lesson that it is of.
    lesson: usize,
    /// The options that are right are the first ones.
    right: usize,
    /// The field; of an option of a list any of its fields, or none.
    form: Form,
}

enum Form {
    /// One of the options is the value of the field.
    Value(usize),
    /// Each option is the value of one of these fields or of none.
    Marks {
        /// The fields that each option may be.
        fields: Vec<Vec<u16>>,
        /// The field that each option is.
        right: Vec<Option<u16>>,
    },
}

impl Default for Form {
    fn default() -> Self {
        Self::Value(0)
    }
}

/// Weights while they are learnt.
struct Learning<'a> {
    weights: Weights,
    squares: Vec<f32>,
    meaning: Option<meaning::Learning<'a>>,
}

impl Choice {
    /// Adds an option whose features are there already.
    fn push(&mut self, (page, look): (&Page<'_>, &Look), candidate: Option<u32>) {
        self.ends.push(self.features.len() as u32);
        let seen = candidate.into_iter().flat_map(|candidate| {
            roles(page, &look.candidates[candidate as usize])
                .map(|(word, role)| (word as u32, role as u8))
        });
        self.roles.push(seen.collect());
    }
}

impl Learning<'_> {
    fn move_by(&mut self, field: usize, features: &[u32], slope: f64) {
        let slope = slope as f32;
        if slope.abs() < 1e-3 {
            return;
        }
        for &feature in features {
            let place = place(feature, field);
            self.squares[place] += slope * slope;
            *self.weights.at(place) += RATE * slope / (self.squares[place].sqrt() + 1e-3);
        }
    }
}

/// Trains a reader on lessons. It is not calibrated.
pub(super) fn train(
    schema: &Value,
    fields: &Fields,
    lessons: &[Lesson<'_>],
    (corpus, registers): (Option<&Corpus>, &[Register]),
) -> Result<Reader, LearnError> {
    let pairs: Vec<(&str, &Gold)> = lessons
        .iter()
        .map(|lesson| (lesson.text, lesson.gold))
        .collect();
    let mut surveyed = survey(fields, &pairs);
    let remembered = memories(fields, &mut surveyed.demands, &pairs, registers);
    let search = Search::new(fields.clone(), surveyed.demands.clone(), &remembered);
    let mut seen = Vec::new();
    let mut mean = Weights::default();
    let mut meaning = None;
    for training in 0..TRAININGS {
        let learning = weigh(&search, lessons, corpus, training as u64, &mut seen);
        for (place, weight) in learning.weights.listed() {
            *mean.at(place as usize) += weight / TRAININGS as f32;
        }
        if let Some(learning) = learning.meaning {
            learning.add_to(&mut meaning, TRAININGS);
        }
    }
    let parts = Parts {
        schema: digest_of(schema),
        demands: surveyed.demands,
        remembered,
        spelling: surveyed.spelling,
        grouping: grouping_of(fields, &seen),
        always: always(fields, lessons),
        nested: seen.iter().any(|seen| seen.nested),
        weights: mean.listed(),
        trust: andon_task::extract::Trust::default(),
        meaning,
        fusion: None,
    };
    Ok(Reader::new(fields.clone(), parts)?)
}

/// Weights from all lessons. The first training says what it has seen of them.
fn weigh<'a>(
    search: &Search,
    lessons: &[Lesson<'_>],
    corpus: Option<&'a Corpus>,
    training: u64,
    seen: &mut Vec<Seen>,
) -> Learning<'a> {
    let fields = search.fields.all().len();
    let mut learning = Learning {
        weights: Weights::default(),
        squares: vec![0.0; PLACES],
        meaning: corpus.map(|corpus| meaning::Learning::new(corpus, lessons, fields)),
    };
    let mut random = Random::seeded(1 + training);
    for (round, passes) in PASSES.into_iter().enumerate() {
        let mut choices = Vec::new();
        for (number, lesson) in lessons.iter().enumerate() {
            let page = Page::new(lesson.text);
            let look = search.look(&page);
            let before = choices.len();
            let aligned = align(search, &page, &look, lesson.gold);
            let hard = (round > 0).then_some(&learning.weights);
            choose_among(
                search,
                (&page, &look),
                (lesson.gold, &aligned),
                hard,
                &mut random,
                &mut choices,
            );
            for choice in &mut choices[before..] {
                choice.lesson = number;
            }
            if seen.len() < lessons.len() {
                seen.push(Seen::of(aligned, &look));
            }
        }
        let mut order: Vec<usize> = (0..choices.len()).collect();
        for _ in 0..passes {
            random.shuffle(&mut order);
            for &index in &order {
                learn(&mut learning, &choices[index]);
            }
        }
    }
    learning
}

/// The fields that every example has, where there are enough of them to say so.
fn always(fields: &Fields, lessons: &[Lesson<'_>]) -> Vec<usize> {
    let has = |&field: &usize| {
        let mut values = lessons.iter().map(|lesson| &lesson.gold.values[field]);
        lessons.len() >= ENOUGH && values.all(Option::is_some)
    };
    let single = |&field: &usize| fields.all()[field].list.is_none();
    (0..fields.all().len()).filter(single).filter(has).collect()
}

/// The choices that a document teaches.
fn choose_among(
    search: &Search,
    (page, look): (&Page<'_>, &Look),
    (gold, aligned): (&Gold, &Aligned),
    hard: Option<&Weights>,
    random: &mut Random,
    choices: &mut Vec<Choice>,
) {
    for (field, target) in aligned.values.iter().enumerate() {
        let definition = search.field(field);
        let key = gold.values[field]
            .as_ref()
            .and_then(|value| definition.key(value));
        let mut choice = Choice {
            form: Form::Value(field),
            ..Choice::default()
        };
        let absence = |choice: &mut Choice| {
            if definition.may_be_absent {
                search.absence(page, look.own[field].len(), &mut choice.features);
                choice.push((page, look), None);
            }
        };
        let push = |choice: &mut Choice, candidate: u32| {
            let at = (field, candidate as usize);
            let has = search.features(look, at, key, &mut choice.features);
            if has {
                choice.push((page, look), Some(candidate));
            }
            has
        };
        let right: &[u32] = match target {
            Target::Unknown => continue,
            Target::Absent => {
                absence(&mut choice);
                choice.right = choice.ends.len();
                &[]
            }
            Target::Candidates(right) => {
                for &candidate in right {
                    choice.right += usize::from(push(&mut choice, candidate));
                }
                absence(&mut choice);
                right
            }
        };
        if choice.right == 0 {
            continue;
        }
        let wrong: Vec<u32> = look.own[field]
            .iter()
            .copied()
            .filter(|number| !right.contains(number))
            .collect();
        let mut features = Vec::new();
        let score = |weights: &Weights, number: u32| {
            features.clear();
            match search.features(look, (field, number as usize), key, &mut features) {
                true => weights.score(field, &features),
                false => f64::NEG_INFINITY,
            }
        };
        for number in select(wrong, hard, (DRAWN, HARD), random, score) {
            push(&mut choice, number);
        }
        choices.push(choice);
    }
    mark_among(search, (page, look), &aligned.marks, hard, random, choices);
}

/// The choices that the values of a document's lists teach.
fn mark_among(
    search: &Search,
    (page, look): (&Page<'_>, &Look),
    marks: &BTreeMap<u32, usize>,
    hard: Option<&Weights>,
    random: &mut Random,
    choices: &mut Vec<Choice>,
) {
    let mut may_be: BTreeMap<u32, Vec<u16>> = BTreeMap::new();
    for field in 0..search.fields.all().len() {
        if search.field(field).list.is_some() {
            for &candidate in &look.own[field] {
                may_be.entry(candidate).or_default().push(field as u16);
            }
        }
    }
    if may_be.is_empty() {
        return;
    }
    let mut choice = Choice::default();
    let keys: std::collections::BTreeSet<u64> = marks
        .keys()
        .map(|&number| look.candidates[number as usize].key())
        .collect();
    let wrong: Vec<u32> = may_be
        .keys()
        .copied()
        .filter(|number| !marks.contains_key(number))
        .collect();
    let left_out = |number: u32| {
        let key = look.candidates[number as usize].key();
        keys.contains(&key).then_some(key)
    };
    let mut features = Vec::new();
    let score = |weights: &Weights, number: u32| {
        let fields = &may_be[&number];
        let mut best = f64::NEG_INFINITY;
        for &field in fields {
            features.clear();
            let at = (usize::from(field), number as usize);
            if search.features(look, at, left_out(number), &mut features) {
                best = best.max(weights.score(usize::from(field), &features));
            }
        }
        best
    };
    let selected = select(wrong, hard, (DRAWN_IN_LISTS, HARD_IN_LISTS), random, score);
    let (mut fields, mut right) = (Vec::new(), Vec::new());
    for number in marks.keys().copied().chain(selected) {
        // What is remembered differs by field, but the same features serve all: the
        // field is part of a weight's place.
        let Some(first) = may_be.get(&number) else {
            continue;
        };
        let options: Vec<u16> = first.clone();
        fields.push(options);
        right.push(marks.get(&number).map(|&field| field as u16));
        for &field in first {
            let at = (usize::from(field), number as usize);
            search.features(look, at, left_out(number), &mut choice.features);
            choice.push((page, look), Some(number));
        }
    }
    choice.form = Form::Marks { fields, right };
    choices.push(choice);
}

/// Some of the wrong candidates: drawn ones, and those that score highest.
fn select(
    mut wrong: Vec<u32>,
    hard: Option<&Weights>,
    (drawn, hardest): (usize, usize),
    random: &mut Random,
    mut score: impl FnMut(&Weights, u32) -> f64,
) -> Vec<u32> {
    if wrong.len() <= drawn + hardest {
        return wrong;
    }
    let mut selected = Vec::new();
    if let Some(weights) = hard {
        let mut scored: Vec<(f64, u32)> = wrong
            .iter()
            .map(|&number| (score(weights, number), number))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        selected.extend(scored.iter().take(hardest).map(|&(_, number)| number));
        wrong = scored[hardest..]
            .iter()
            .map(|&(_, number)| number)
            .collect();
    }
    let missing = drawn + hardest - selected.len();
    for step in 0..missing.min(wrong.len()) {
        let other = step + random.below(wrong.len() - step);
        wrong.swap(step, other);
        selected.push(wrong[step]);
    }
    selected
}

fn learn(learning: &mut Learning<'_>, choice: &Choice) {
    let option = |index: usize| {
        let start = index.checked_sub(1).map_or(0, |before| choice.ends[before]);
        &choice.features[start as usize..choice.ends[index] as usize]
    };
    let mut tables: BTreeMap<usize, Vec<f32>> = BTreeMap::new();
    let mut score = |field: usize, index: usize| {
        let meant = learning.meaning.as_ref().map_or(0.0, |meaning| {
            let table = tables
                .entry(field)
                .or_insert_with(|| meaning.table(choice.lesson, field));
            let own = choice.roles[index].iter();
            own.map(|&(word, role)| f64::from(table[word as usize * ROLES + usize::from(role)]))
                .sum()
        });
        meant + learning.weights.score(field, option(index))
    };
    // For each option its field, and how far it should weigh more.
    let mut slopes: Vec<(usize, f64)> = Vec::with_capacity(choice.ends.len());
    match &choice.form {
        Form::Value(field) => {
            let scores: Vec<f64> = (0..choice.ends.len())
                .map(|index| score(*field, index))
                .collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = scores.iter().map(|score| (score - top).exp()).collect();
            let total: f64 = shares.iter().sum();
            let right: f64 = shares[..choice.right].iter().sum::<f64>().max(1e-300);
            for (index, share) in shares.iter().enumerate() {
                let wanted = if index < choice.right {
                    share / right
                } else {
                    0.0
                };
                slopes.push((*field, wanted - share / total));
            }
        }
        Form::Marks { fields, right } => {
            let mut first = 0;
            for (fields, right) in fields.iter().zip(right) {
                let scores: Vec<f64> = (fields.iter().enumerate())
                    .map(|(index, &field)| score(usize::from(field), first + index))
                    .collect();
                let top = scores.iter().copied().fold(0.0, f64::max);
                let total: f64 =
                    scores.iter().map(|score| (score - top).exp()).sum::<f64>() + (-top).exp();
                for (&field, score) in fields.iter().zip(&scores) {
                    let share = (score - top).exp() / total;
                    let wanted = f64::from(u8::from(*right == Some(field)));
                    slopes.push((usize::from(field), wanted - share));
                }
                first += fields.len();
            }
        }
    }
    for (index, &(field, slope)) in slopes.iter().enumerate() {
        learning.move_by(field, option(index), slope);
    }
    if let Some(meaning) = &mut learning.meaning {
        let mut of_words = BTreeMap::new();
        for (&(field, slope), roles) in slopes.iter().zip(&choice.roles) {
            for &(word, role) in roles {
                *of_words.entry((field, word, role)).or_default() += slope;
            }
        }
        meaning.move_by(choice.lesson, &of_words);
    }
}

/// What an example shows of how its lists are written.
struct Seen {
    /// For each list and item the lines of its values.
    items: Vec<Vec<Vec<usize>>>,
    /// Whether a value lies within another.
    nested: bool,
}

impl Seen {
    fn of(aligned: Aligned, look: &Look) -> Self {
        let marks: Vec<_> = aligned
            .marks
            .keys()
            .map(|&number| &look.candidates[number as usize])
            .collect();
        let nested = marks.iter().enumerate().any(|(index, a)| {
            marks[..index]
                .iter()
                .any(|b| a.start < b.end && b.start < a.end && a.key() != b.key())
        });
        Self {
            nested,
            items: aligned.items,
        }
    }
}

/// How values become items, as the examples show it.
fn grouping_of(fields: &Fields, seen: &[Seen]) -> Vec<Grouping> {
    let lists = fields.all().iter().filter_map(|field| field.list).max();
    (0..lists.map_or(0, |last| last + 1))
        .map(|list| {
            let (mut items, mut in_line) = (0, 0);
            for seen in seen {
                let mut last = None;
                for lines in &seen.items[list] {
                    items += 1;
                    let own = lines[0];
                    in_line += usize::from(lines.iter().all(|&l| l == own) && last != Some(own));
                    last = Some(own);
                }
            }
            // A plain value is an item of its own, wherever it stands.
            match !fields.is_plain(list) && in_line * 20 >= items * 19 {
                true => Grouping::Line,
                false => Grouping::Repeat,
            }
        })
        .collect()
}
