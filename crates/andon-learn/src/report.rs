//! What a measurement found, as one report: an object for programs, and a
//! document that a terminal and a page show.
//!
//! A kind of task adds a variant to [`Figures`] and writes its sections; the
//! document, the page and the comparison know no kinds.

use std::collections::BTreeMap;

use andon_task::digest::Digest;
use serde::Serialize;

use crate::comparison::Comparison;
use crate::evaluate::Evaluation;
use crate::mend::{Contradiction, Wrong};

mod answer;
mod beside;
mod decide;
mod document;
mod extract;
mod normalise;
mod page;
mod plot;
mod summarise;
mod times;

pub use answer::{AnswerFigures, WrongAnswer};
pub use document::{Cell, Column, Content, Document, Range, Section, Shown, Table};
pub use extract::{ExtractFigures, WrongField};
pub use normalise::NormaliseFigures;
pub use page::page;
pub use summarise::{SummariseFigures, Told};
pub use times::Summary;

/// What was measured of one task.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The figures of its kind, beside the other keys.
    #[serde(flatten)]
    pub figures: Figures,
    /// The task.
    pub task: String,
    /// What answered.
    pub measured: Subject,
    /// What it was measured on.
    pub examples: Examples,
    /// What it costs.
    pub cost: Cost,
    /// What the reader has to know before believing a figure.
    pub warnings: Vec<String>,
    /// Wrong answers, the surest first.
    pub wrong: Vec<Wrong>,
    /// Texts with several labels.
    pub contradictions: Vec<Contradiction>,
    /// The contenders on the same examples, if there were several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Compared>,
}

/// The figures of a task, by its kind.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// A `decide` task.
    Decide(Box<Evaluation>),
    /// A `normalise` task.
    Normalise(Box<NormaliseFigures>),
    /// A `summarise` task.
    Summarise(Box<SummariseFigures>),
    /// An `extract` task.
    Extract(Box<ExtractFigures>),
    /// An `answer` task.
    Answer(Box<AnswerFigures>),
}

/// What answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subject {
    /// The name under which it is compared.
    pub name: String,
    /// How it was measured, in a sentence.
    pub how: String,
    /// Whether its shares are calibrated probabilities; otherwise they are scores.
    pub calibrated: bool,
    /// The digests of all that shaped the answers.
    pub digests: BTreeMap<String, Digest>,
}

/// What was measured on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Examples {
    /// Where they come from.
    pub source: String,
    /// Their digest: texts and labels, in order.
    pub digest: Digest,
}

impl Examples {
    /// Those of a file, or of the plant.
    pub fn of(
        task: &str,
        file: Option<&std::path::Path>,
        examples: &[andon_task::example::Example],
    ) -> Self {
        let expected: Vec<String> = examples.iter().map(|e| e.expected.to_string()).collect();
        let parts = examples.iter().zip(&expected);
        let parts =
            parts.flat_map(|(example, expected)| [example.input.as_bytes(), expected.as_bytes()]);
        Self {
            source: match file {
                Some(path) => path.display().to_string(),
                None => format!("the plant's examples of {task}"),
            },
            digest: Digest::of_parts(parts),
        }
    }
}

/// What answers cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cost {
    /// The mean time of one answer, in milliseconds.
    pub mean_ms: f64,
    /// The mean number of tokens that a request has.
    pub tokens_per_request: Option<f64>,
    /// Of these, tokens that were found in a cache.
    pub cached_per_request: Option<f64>,
    /// What a thousand answers cost, where the plant gives prices.
    pub thousand: Option<Thousand>,
}

/// What a thousand answers cost, in the plant's currency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Thousand {
    /// The currency.
    pub currency: String,
    /// Electricity and the box, for the seconds that it works.
    pub edge: f64,
    /// The same tokens at the cloud's price, where it is given and the tokens are
    /// those that a language model reads.
    pub cloud: Option<f64>,
}

/// A comparison and what follows from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The contenders, and what is shown of every two.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// What each contender is.
    pub subjects: Vec<Subject>,
    /// What runs today.
    pub today: Today,
    /// Which should run.
    pub decision: Decision,
    /// The same as a sentence.
    pub sentence: String,
}

/// What answers the task in the plant today.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Today {
    /// What it is, for people.
    pub runs: String,
    /// Its name among the contenders, if it is one.
    pub contender: Option<String>,
}

/// What a comparison decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", content = "contender", rename_all = "snake_case")]
pub enum Decision {
    /// It runs today, and nothing is shown to be better.
    Stays(String),
    /// It is shown to be better than what runs today, or than every other where
    /// that was not compared.
    Replaces(String),
    /// Nothing is shown.
    Open,
}

pub use beside::decide;

impl Report {
    /// The report as a document.
    pub fn document(&self) -> Document {
        let mut sections = Vec::new();
        let mut heads: Vec<Section> = match &self.figures {
            Figures::Decide(evaluation) => decide::sections(self, evaluation),
            Figures::Normalise(figures) => normalise::sections(figures),
            Figures::Summarise(figures) => summarise::sections(figures),
            Figures::Extract(figures) => extract::sections(self, figures),
            Figures::Answer(figures) => answer::sections(self, figures),
        };
        if let Some(compared) = &self.comparison {
            // The figures first, then what they decide.
            sections.extend(heads.drain(..1));
            sections.push(beside::section(compared));
        }
        sections.append(&mut heads);
        Document {
            title: format!("Evaluation of {}", self.task),
            lead: self.lead(),
            warnings: self.warnings.clone(),
            sections,
            facts: self.facts(),
        }
    }

    fn lead(&self) -> Vec<String> {
        let mut lead = vec![format!("{}: {}.", self.measured.name, self.measured.how)];
        if let Some(compared) = &self.comparison {
            lead.push(compared.sentence.clone());
        }
        lead
    }

    /// What a reader needs to measure the same again.
    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![
            ("task".to_owned(), self.task.clone()),
            ("examples".to_owned(), self.examples.source.clone()),
            (
                "examples' digest".to_owned(),
                self.examples.digest.to_string(),
            ),
        ];
        let mut subjects = vec![&self.measured];
        if let Some(compared) = &self.comparison {
            let others = compared.subjects.iter();
            subjects.extend(others.filter(|subject| subject.name != self.measured.name));
        }
        for subject in subjects {
            for (what, digest) in &subject.digests {
                facts.push((format!("{}: {what}", subject.name), digest.to_string()));
            }
        }
        facts
    }
}

#[cfg(test)]
mod tests;
