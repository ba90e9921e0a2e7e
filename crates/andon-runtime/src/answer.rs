//! Answers to questions, from the plant's documents, word for word.

use std::sync::Arc;

use andon_task::answer::{Hidden, Index, Question, Selection, Table, Vector, select};
use andon_task::certificate::Severity;
use andon_task::reach::Beyond;
use andon_task::route::{Reason, Route};
use andon_task::run::{Answerer, Digests, Evidence, Passage, Run};
use andon_task::task::{Kind, Task};
use serde_json::Value;

use crate::corpus::Corpus;
use crate::error::Error;
use crate::intake::vector_of;
use crate::node::Node;
use crate::rankers::{RankerFiles, RankerStatus, Rankers, Searching};
use crate::run::{Asked, Outcome};

/// The longest question, in characters.
pub const MAX_QUESTION: usize = 2_000;
/// What is said of a question to a table that is not understood.
const NOT_UNDERSTOOD: &str = "the question asks to count or rank, and not each of its words was understood: name columns and values as the table does";
/// So many sections are named beside an answer.
const NAMED: usize = 5;
/// The label of requests for what the documents may hold after all.
const KNOWLEDGE: &str = "knowledge";
/// From this probability on, a question that asks for reasoning, a long context or free
/// writing is declined whatever was found.
const SURELY_BEYOND: f64 = 0.9;
/// Words that a question begins with that goes on from the one before.
const GOES_ON: &[&str] = &[
    "and",
    "also",
    "it",
    "its",
    "that",
    "then",
    "they",
    "this",
    "those",
    "what about",
    "how about",
    "y",
    "eso",
    "esa",
    "ese",
    "entonces",
    "tambien",
    "también",
];
/// A question of fewer words of its own may go on from the one before.
const FEW_WORDS: usize = 3;

/// The tasks of a node that wait for their documents, or for newer ones.
pub struct Shelf {
    tasks: Vec<Task>,
    rankers: Arc<Rankers>,
}

impl Shelf {
    /// Gives each task what it searches. What is promoted for it serves after the next
    /// refresh of the node.
    pub fn fill(&self, corpus: &Corpus) {
        for task in &self.tasks {
            self.rankers.begin(task, corpus.index(task));
        }
    }
}

impl Node {
    /// The node with the files of its rankers.
    pub fn with_rankers(mut self, files: RankerFiles) -> Self {
        self.ranker_files = Some(files);
        self
    }

    /// Where documents go once they are read, while the node is up already.
    pub fn shelf(&self) -> Shelf {
        let tasks = self.plant.tasks.values();
        Shelf {
            tasks: tasks
                .filter(|task| task.kind == Kind::Answer)
                .cloned()
                .collect(),
            rankers: Arc::clone(&self.rankers),
        }
    }

    /// The ranker that is promoted for a task, and whether it serves.
    pub fn ranker_status(&self, task: &str) -> Option<RankerStatus> {
        self.rankers.status(task)
    }

    /// The answer to a question.
    pub(crate) fn answer(&self, asked: Asked<'_>) -> Result<Run, Error> {
        let characters = asked.text.chars().count();
        if characters > MAX_QUESTION {
            return Err(Error::QuestionTooLong { characters });
        }
        let name = &asked.task.name;
        let searching =
            self.rankers
                .serving(name)
                .ok_or_else(|| match self.plant.documents.is_empty() {
                    true => Error::NoDocuments(name.clone()),
                    false => Error::StillReading(name.clone()),
                })?;
        if searching.index.is_empty() {
            return Err(Error::NoDocuments(name.clone()));
        }
        if let Some(outcome) = self.reckon(&searching, &asked) {
            return Ok(self.routed(
                &Asked {
                    repeats: None,
                    ..asked
                },
                outcome,
            ));
        }
        let asked = Asked {
            vector: match (asked.vector, &self.encoder) {
                (None, Some(encoder)) => {
                    vector_of(&**encoder, &self.plant.glossary.read(asked.text))?
                }
                (vector, _) => vector,
            },
            ..asked
        };
        let selection = self.look_up(&searching, &asked)?;
        let learned = searching.ranker.learned();
        let least = learned.threshold.max(asked.task.accept);
        let supported = selection.span.is_some() && selection.probability >= least;
        // What the documents hold is no broad knowledge. No quotation reasons or invents.
        let beyond = self.beyond_of(asked.text, asked.vector.as_deref())?;
        let invents = (beyond.as_ref())
            .is_some_and(|beyond| beyond.what != KNOWLEDGE && beyond.probability >= SURELY_BEYOND);
        let passages = passages(&searching.index, &selection);
        // No row by itself says how many rows there are, or which is the highest.
        let reckons = Table::is_reckoning(asked.text)
            && passages
                .first()
                .is_some_and(|quoted| quoted.citation.document.ends_with(".csv"));
        let given = supported && !invents && !reckons;
        let answer = match passages.first() {
            Some(quoted) if given => Value::String(quoted.text.clone()),
            _ => Value::Null,
        };
        let mut evidence: Vec<Evidence> = passages.into_iter().map(Evidence::Passage).collect();
        if !given {
            evidence.insert(
                0,
                Evidence::Unsaid {
                    note: match reckons {
                        true => NOT_UNDERSTOOD.to_owned(),
                        false => unsaid(beyond.as_ref()),
                    },
                },
            );
        }
        let outcome = Outcome {
            answer,
            confidence: selection.probability,
            calibrated: learned.encoder.is_some(),
            said: Severity::Ordinary,
            answered_by: Answerer::Passages,
            evidence,
            digests: self.digests_of_search(&searching),
        };
        // A question that was asked before is no reason to ask a person again.
        let asked = Asked {
            repeats: None,
            ..asked
        };
        let run = self.routed(&asked, outcome);
        Ok(match given {
            true => run,
            false => Run {
                route: Route::Human,
                reason: match run.reason {
                    Reason::NotCalibrated => Reason::NotCalibrated,
                    _ => Reason::BelowThreshold,
                },
                ..run
            },
        })
    }

    /// What a table answers, if the question is one that counts or ranks. That it was computed
    /// is certain, that it was understood is not: there is no probability.
    fn reckon(&self, searching: &Searching, asked: &Asked<'_>) -> Option<Outcome> {
        let translated = self.plant.glossary.read(asked.text);
        let ask = |table: &Table| {
            let answer = table.ask(asked.text);
            // In the sheet's words, where the plant's glossary knows them.
            answer.or_else(|| table.ask(translated.text()))
        };
        let tables = searching.tables.iter();
        let mut answers: Vec<_> = tables
            .filter_map(|(at, table)| Some((*at, table, ask(table)?)))
            .collect();
        if answers.len() > 1 {
            answers.retain(|(_, table, _)| table.is_named(asked.text));
        }
        // Of two sheets that could be meant neither is.
        let (Some((at, _, reckoned)), true) = (answers.pop(), answers.is_empty()) else {
            return None;
        };
        let document = &searching.index.documents()[at];
        let passage = |(section, sentences): &(usize, std::ops::Range<usize>)| {
            let section = &document.sections[*section];
            Evidence::Passage(Passage {
                text: document.quote(&section.sentences[sentences.clone()]),
                citation: document.cite(section, sentences.clone()),
            })
        };
        Some(Outcome {
            answer: Value::String(reckoned.text),
            confidence: 1.0,
            calibrated: false,
            said: Severity::Ordinary,
            answered_by: Answerer::Table,
            evidence: reckoned.rows.iter().map(passage).collect(),
            digests: self.digests_of_search(searching),
        })
    }

    /// What is found for a question, and for the question with the one before it where it
    /// seems to go on from that: the surer of both.
    fn look_up(&self, searching: &Searching, asked: &Asked<'_>) -> Result<Selection, Error> {
        let alone = self.read_question(asked.text, asked.vector.clone())?;
        let selection = select(
            &searching.index,
            &searching.ranker,
            &alone,
            Hidden::default(),
        );
        let Some(before) = asked.before.last().filter(|_| goes_on(asked.text, &alone)) else {
            return Ok(selection);
        };
        let before: String = before.chars().take(MAX_QUESTION).collect();
        let both = self.read_question(&format!("{before} {}", asked.text), None)?;
        let together = select(
            &searching.index,
            &searching.ranker,
            &both,
            Hidden::default(),
        );
        Ok(match together.probability >= selection.probability {
            true => together,
            false => selection,
        })
    }

    fn read_question(&self, text: &str, vector: Option<Vec<f32>>) -> Result<Question, Error> {
        let glossary = &self.plant.glossary;
        let vector = match (vector, &self.encoder) {
            (Some(vector), _) => Some(vector),
            (None, Some(encoder)) => vector_of(&**encoder, &glossary.read(text))?,
            (None, None) => None,
        };
        let vector = Vector::of(vector.as_deref().unwrap_or(&[]));
        Ok(Question::new(text, vector, glossary))
    }

    pub(crate) fn digests_of_search(&self, searching: &Searching) -> Digests {
        Digests {
            model: self
                .encoder
                .as_ref()
                .map(|encoder| encoder.identity().digest),
            ranker: searching.digest,
            corpus: Some(searching.index.digest()),
            glossary: Some(self.plant.glossary.digest()),
            policy: self.plant.policy,
            ..Digests::default()
        }
    }
}

/// The quoted sentences, and the best passages of the other sections that were found.
fn passages(index: &Index, selection: &Selection) -> Vec<Passage> {
    let Some(span) = &selection.span else {
        return Vec::new();
    };
    let (document, section) = index.section(span.section);
    let mut passages = vec![Passage {
        text: document.quote(&section.sentences[span.sentences.clone()]),
        citation: document.cite(section, span.sentences.clone()),
    }];
    let others = selection
        .found
        .iter()
        .filter(|found| found.section != span.section);
    for found in others.take(NAMED - 1) {
        let (document, section) = index.section(found.section);
        let sentences = 0..section.sentences.len().min(2);
        passages.push(Passage {
            text: document.quote(&section.sentences[sentences.clone()]),
            citation: document.cite(section, sentences),
        });
    }
    passages
}

/// Why there is no answer.
fn unsaid(beyond: Option<&Beyond>) -> String {
    let Some(beyond) = beyond else {
        return "the manuals do not say".to_owned();
    };
    format!(
        "the manuals do not say; the question seems to ask for {} ({}), which a small model answers badly: ask a larger one",
        beyond.words, beyond.what
    )
}

/// Whether a question may only be understood with the one before it.
fn goes_on(text: &str, question: &Question) -> bool {
    let text = text.trim_start_matches(['¿', '¡', ' ']).to_lowercase();
    let begins = |word: &&str| {
        text.strip_prefix(*word)
            .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    question.keys().len() <= FEW_WORDS || GOES_ON.iter().any(begins)
}
