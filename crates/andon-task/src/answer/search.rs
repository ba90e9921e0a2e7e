//! Finding sections: candidates by words and by vectors, each described by the same
//! features, ranked by a linear function of them.

use std::collections::HashMap;
use std::ops::Range;

use super::index::{Index, TermId, keys, pair_key, saturate};
use super::ranker::{FEATURES, Learned, Ranker};
use super::term::words;
use super::vector::Vector;
use crate::glossary::Glossary;

/// So many sections are taken from each way of finding them.
const POOL: usize = 40;

/// A question as the search reads it.
pub struct Question {
    /// Its words, as they are compared.
    pub(crate) keys: Vec<String>,
    /// Its own words in order, for runs of them.
    run: Vec<String>,
    /// Its vector.
    pub(crate) vector: Vector,
}

/// What is treated as though it were not there, for learning and measuring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hidden<'a> {
    /// Sections, by their numbers.
    pub sections: &'a [usize],
    /// A remembered question, by its place.
    pub memory: Option<usize>,
}

/// A section that may hold the answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The section's number in the index.
    pub section: usize,
    /// How it is described to the ranker.
    pub features: [f64; FEATURES],
    /// Its place among the others: the higher the better.
    pub score: f64,
    /// How like the likest question is that some of its sentences answered, and which.
    pub(crate) recalled: Option<(f64, Range<usize>)>,
}

impl Question {
    /// A question with its vector.
    pub fn new(text: &str, vector: Vector, glossary: &Glossary) -> Self {
        let mut all: Vec<String> = Vec::new();
        for key in keys(text, glossary) {
            if !all.contains(&key) {
                all.push(key);
            }
        }
        Self {
            keys: all,
            run: words(text).into_iter().map(|word| word.key).collect(),
            vector,
        }
    }

    /// Its words in order, folded, none left out.
    pub(crate) fn run(&self) -> &[String] {
        &self.run
    }

    /// Its words, as they are compared.
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Its vector.
    pub fn vector(&self) -> &Vector {
        &self.vector
    }

    /// Whether it has a word that could be looked for.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The numbers of its words in an index, with how telling they are.
    pub(crate) fn weighed(&self, index: &Index) -> Vec<(Option<TermId>, f64)> {
        let weigh = |key: &String| {
            let term = index.term(key);
            (term, index.rarity(term))
        };
        self.keys.iter().map(weigh).collect()
    }
}

/// The sections that may hold the answer to a question, the best first.
pub fn search(
    index: &Index,
    ranker: &Ranker,
    question: &Question,
    hidden: Hidden<'_>,
) -> Vec<Found> {
    let mut found = describe(index, ranker, question, hidden);
    rank(ranker.learned(), &mut found);
    found
}

/// Puts sections that were found into the order of a ranker.
pub fn rank(learned: &Learned, found: &mut [Found]) {
    for one in found.iter_mut() {
        one.score = learned.sections.value(&one.features);
    }
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.section.cmp(&b.section)));
}

/// What is known of the memory of earlier questions: for each section how like the likest is.
fn remembered(
    index: &Index,
    ranker: &Ranker,
    question: &Question,
    hidden: Option<usize>,
) -> Recalled {
    let weighed = question.weighed(index);
    let total: f64 = weighed.iter().map(|(_, rarity)| rarity).sum();
    let mut best: Vec<(usize, f64)> = Vec::new();
    let mut quotes: HashMap<usize, (f64, Range<usize>)> = HashMap::new();
    for (_, memory) in ranker
        .memories()
        .iter()
        .enumerate()
        .filter(|&(at, _)| Some(at) != hidden)
    {
        let known = |term: &TermId| memory.terms.binary_search(term).is_ok();
        let shared = weighed
            .iter()
            .filter(|(term, _)| term.as_ref().is_some_and(known));
        let shared: f64 = shared.map(|(_, rarity)| rarity).sum();
        let union = total + memory.weight - shared;
        let words = if union > 0.0 { shared / union } else { 0.0 };
        let likeness = 0.5 * words + 0.5 * memory.vector.cosine(&question.vector).max(0.0);
        if let Some((section, sentences)) = &memory.quoted
            && quotes
                .get(section)
                .is_none_or(|(known, _)| likeness > *known)
        {
            quotes.insert(*section, (likeness, sentences.clone()));
        }
        for &section in &memory.sections {
            match best.iter_mut().find(|(known, _)| *known == section) {
                Some((_, known)) => *known = known.max(likeness),
                None => best.push((section, likeness)),
            }
        }
    }
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Recalled {
        sections: best,
        quotes,
    }
}

/// What earlier questions say of a new one.
struct Recalled {
    /// The sections that answered them, by how like the likest was.
    sections: Vec<(usize, f64)>,
    /// The sentences that answered the likest one, by section.
    quotes: HashMap<usize, (f64, Range<usize>)>,
}

fn describe(index: &Index, ranker: &Ranker, question: &Question, hidden: Hidden<'_>) -> Vec<Found> {
    let weighed = question.weighed(index);
    let left = |section: &usize| !hidden.sections.contains(section);

    let scores = index.weigh(&weighed);
    let mut by_words: Vec<(usize, f64)> = scores
        .into_iter()
        .map(|(section, score)| (section as usize, score))
        .filter(|(section, _)| left(section))
        .collect();
    by_words.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));

    let mut by_vector: Vec<(usize, f64)> = (0..index.len())
        .filter(left)
        .map(|section| (section, passage_cosines(index, question, section)[0]))
        .collect();
    by_vector.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));

    let Recalled {
        sections: mut memory,
        quotes,
    } = remembered(index, ranker, question, hidden.memory);
    memory.retain(|(section, _)| left(section));

    let mut pool: Vec<usize> = Vec::new();
    let lists = [(&by_words, POOL), (&by_vector, POOL), (&memory, POOL / 4)];
    for (list, most) in lists {
        for &(section, _) in list.iter().take(most) {
            if !pool.contains(&section) {
                pool.push(section);
            }
        }
    }
    let rank = |list: &[(usize, f64)], section: usize| {
        let at = list
            .iter()
            .take(4 * POOL)
            .position(|&(one, _)| one == section);
        at.map_or(0.0, |at| 1.0 / (3.0 + at as f64))
    };
    let value = |list: &[(usize, f64)], section: usize| {
        list.iter()
            .find(|&&(one, _)| one == section)
            .map_or(0.0, |&(_, value)| value)
    };
    let total: f64 = weighed
        .iter()
        .map(|(_, rarity)| rarity)
        .sum::<f64>()
        .max(1e-9);
    let best_words = by_words.first().map_or(1.0, |&(_, score)| score).max(1e-9);
    let best_cosine = by_vector.first().map_or(0.0, |&(_, cosine)| cosine);
    let best_memory = memory.first().map_or(0.0, |&(_, likeness)| likeness);
    let heading_cosine = |section: usize| {
        index.entries[section]
            .heading_vector
            .cosine(&question.vector)
    };
    let best_heading = pool
        .iter()
        .map(|&section| heading_cosine(section))
        .fold(0.0, f64::max);

    pool.iter()
        .map(|&section| {
            let words = value(&by_words, section);
            let cosines = passage_cosines(index, question, section);
            let cover = Cover::of(index, section, question, &weighed);
            let likeness = value(&memory, section);
            let heading = heading_cosine(section);
            let features = [
                words / total,
                words / best_words,
                rank(&by_words, section),
                cosines[0],
                best_cosine - cosines[0],
                rank(&by_vector, section),
                cosines.iter().sum::<f64>() / cosines.len() as f64,
                heading,
                best_heading - heading,
                cover.heading,
                cover.of_heading,
                cover.above,
                cover.section,
                cover.sentence,
                cover.passage,
                cover.pairs,
                cover.beginnings,
                (1.0 + index.entries[section].length as f64).ln(),
                likeness,
                if likeness > 0.0 && likeness == best_memory {
                    likeness
                } else {
                    0.0
                },
            ];
            Found {
                section,
                features,
                score: 0.0,
                recalled: quotes.get(&section).cloned(),
            }
        })
        .collect()
}

/// The cosines of a section's three likest passages, the likest first; 0 where there are fewer.
fn passage_cosines(index: &Index, question: &Question, section: usize) -> [f64; 3] {
    let mut best = [0.0f64; 3];
    for (_, vector) in &index.passages[index.entries[section].passages.clone()] {
        let cosine = vector.cosine(&question.vector);
        if cosine > best[0] {
            best = [cosine, best[0], best[1]];
        } else if cosine > best[1] {
            best = [best[0], cosine, best[1]];
        } else if cosine > best[2] {
            best[2] = cosine;
        }
    }
    best
}

/// How much of a question stands where, each word weighing as much as it tells.
struct Cover {
    /// The question's share in the heading.
    heading: f64,
    /// The heading's share in the question.
    of_heading: f64,
    /// The question's share in the headings above.
    above: f64,
    /// In the section with its headings.
    section: f64,
    /// In the best sentence.
    sentence: f64,
    /// BM25 of the best three sentences in a row.
    passage: f64,
    /// The share of the question's pairs of words that stand side by side.
    pairs: f64,
    /// The share in the heading of words that only begin alike.
    beginnings: f64,
}

/// The share of a question's terms, weighed by their rarity, of which `has` is true.
pub(super) fn covered(weighed: &[(Option<TermId>, f64)], has: &dyn Fn(TermId) -> bool) -> f64 {
    let of = |&&(term, _): &&(Option<TermId>, f64)| term.is_some_and(has);
    let share: f64 = weighed.iter().filter(of).map(|(_, rarity)| rarity).sum();
    share / weight(weighed)
}

/// What the terms of a question weigh together.
fn weight(weighed: &[(Option<TermId>, f64)]) -> f64 {
    let total: f64 = weighed.iter().map(|(_, rarity)| rarity).sum();
    total.max(1e-9)
}

impl Cover {
    fn of(
        index: &Index,
        section: usize,
        question: &Question,
        weighed: &[(Option<TermId>, f64)],
    ) -> Self {
        let entry = &index.entries[section];
        let share = |has: &dyn Fn(TermId) -> bool| covered(weighed, has);
        let asked: Vec<TermId> = weighed.iter().filter_map(|(term, _)| *term).collect();
        let heading_weight = |term: &TermId| index.rarity(Some(*term));
        let heading_total: f64 = entry.heading.iter().map(heading_weight).sum();
        let in_question = |term: &&TermId| asked.contains(term);
        let heading_asked: f64 = entry
            .heading
            .iter()
            .filter(in_question)
            .map(heading_weight)
            .sum();
        let in_section = |term: TermId| {
            entry.heading.contains(&term)
                || entry.above.contains(&term)
                || entry
                    .sentences
                    .iter()
                    .any(|sentence| sentence.contains(&term))
        };
        let sentence = entry
            .sentences
            .iter()
            .map(|sentence| share(&|term| sentence.contains(&term)))
            .fold(0.0, f64::max);
        Self {
            heading: share(&|term| entry.heading.contains(&term)),
            of_heading: if heading_total > 0.0 {
                heading_asked / heading_total
            } else {
                0.0
            },
            above: share(&|term| entry.above.contains(&term)),
            section: share(&in_section),
            sentence,
            passage: best_window(&entry.sentences, weighed) / weight(weighed),
            pairs: pairs(index, section, question),
            beginnings: beginnings(index, section, question),
        }
    }
}

/// BM25 of the best three sentences that follow each other.
fn best_window(sentences: &[Vec<TermId>], weighed: &[(Option<TermId>, f64)]) -> f64 {
    let width = sentences.len().clamp(1, 3);
    sentences
        .windows(width)
        .map(|window| {
            let length = window.iter().map(Vec::len).sum::<usize>() as f64 / 24.0;
            weighed
                .iter()
                .filter_map(|&(term, rarity)| {
                    let term = term?;
                    let count = window.iter().flatten().filter(|&&one| one == term).count();
                    (count > 0).then(|| rarity * saturate(count as f64, length))
                })
                .sum()
        })
        .fold(0.0, f64::max)
}

/// The share of the question's neighbouring words that are neighbours in the section too.
fn pairs(index: &Index, section: usize, question: &Question) -> f64 {
    if question.run.len() < 2 {
        return 0.0;
    }
    let known = &index.entries[section].pairs;
    let has = |pair: &&[String]| known.binary_search(&pair_key(&pair[0], &pair[1])).is_ok();
    let found = question.run.windows(2).filter(has).count();
    found as f64 / (question.run.len() - 1) as f64
}

/// The share of the question's words that begin as a word of the heading does.
fn beginnings(index: &Index, section: usize, question: &Question) -> f64 {
    let begin = |word: &str| word.chars().take(5).collect::<String>();
    let (_, section) = index.section(section);
    let heading: Vec<String> = super::term::terms(section.heading())
        .into_iter()
        .map(|term| begin(&term.key))
        .collect();
    if question.keys.is_empty() {
        return 0.0;
    }
    let found = question
        .keys
        .iter()
        .filter(|key| heading.contains(&begin(key)))
        .count();
    found as f64 / question.keys.len() as f64
}
