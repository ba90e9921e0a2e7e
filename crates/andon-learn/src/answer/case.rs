//! Examples of an `answer` task, read against an index.

use std::time::Duration;

use andon_task::answer::{Index, Question, Quoted, Remembered, Rouge, Vector};
use andon_task::engine::Embed;
use andon_task::example::Example;
use andon_task::glossary::Glossary;
use serde_json::Value;

use crate::error::LearnError;
use crate::learn::{Clock, Progress, Stage};

/// Remembered answers have no more sentences.
const LONGEST: usize = 10;
/// Sentences that are less like the expected answer are not what it was taken from.
const ALIKE: f64 = 0.4;

/// A question with the sections that answer it.
pub struct Case {
    /// The question's words.
    pub text: String,
    pub(crate) question: Question,
    /// The sections that answer it; none where the documents do not.
    pub(crate) gold: Vec<usize>,
    /// What it should be answered with; `None` where the documents do not say.
    pub(crate) answer: Option<String>,
    /// How long the encoder took.
    pub(crate) took: Duration,
}

/// The examples of a task as cases, and what the reader has to know of them.
pub struct Cases {
    /// The cases, in order.
    pub cases: Vec<Case>,
    /// Sources that name no section of the documents.
    pub lost: Vec<String>,
}

/// What examples are read with.
#[derive(Clone, Copy)]
pub struct Against<'a> {
    /// What is searched.
    pub index: &'a Index,
    /// What makes vectors.
    pub encoder: &'a dyn Embed,
    /// What questions are read with.
    pub glossary: &'a Glossary,
}

impl Cases {
    /// Reads examples: `{"input": question, "expected": {"answer", "sources"}}`, where
    /// `expected` or `answer` is null if the documents do not say.
    ///
    /// # Errors
    /// If an expected value has another form, or the encoder fails.
    pub fn read(
        examples: &[Example],
        against: Against<'_>,
        clock: Clock<'_>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Self, LearnError> {
        let mut read = Self {
            cases: Vec::new(),
            lost: Vec::new(),
        };
        for (number, example) in examples.iter().enumerate() {
            let (answer, sources) = expected(&example.expected).ok_or(LearnError::Question {
                example: number + 1,
            })?;
            let mut gold: Vec<usize> = Vec::new();
            for source in sources {
                let found = against.index.find(source);
                if found.is_empty() {
                    read.lost.push(source.to_owned());
                }
                gold.extend(found);
            }
            gold.sort_unstable();
            gold.dedup();
            let began = clock();
            let vector = vector(&example.input, against, number)?;
            let question = Question::new(&example.input, vector, against.glossary);
            read.cases.push(Case {
                text: example.input.clone(),
                question,
                gold,
                answer,
                took: clock().saturating_sub(began),
            });
            progress(Progress {
                stage: Stage::Embedding,
                done: number + 1,
                total: examples.len(),
            });
        }
        Ok(read)
    }
}

impl Case {
    /// Whether the documents should answer it.
    pub(crate) fn is_answerable(&self) -> bool {
        !self.gold.is_empty() || self.answer.is_some()
    }

    /// The sentences of the right sections that are most like the expected answer.
    fn quoted(&self, index: &Index) -> Option<Quoted> {
        let rouge = Rouge::new(self.answer.as_deref()?);
        let mut best: Option<(f64, Quoted)> = None;
        for &number in &self.gold {
            let (document, section) = index.section(number);
            let of = section.sentences.len();
            for start in 0..of {
                let mut state = rouge.begin();
                for end in start + 1..=of.min(start + LONGEST) {
                    let place = section.sentences[end - 1].place.clone();
                    let likeness = rouge.add(&mut state, &document.text[place]);
                    if best.as_ref().is_none_or(|(known, _)| likeness > *known) {
                        let section = section.id.clone();
                        let quoted = Quoted {
                            section,
                            of,
                            sentences: start..end,
                        };
                        best = Some((likeness, quoted));
                    }
                }
            }
        }
        best.filter(|(likeness, _)| *likeness >= ALIKE)
            .map(|(_, quoted)| quoted)
    }

    /// As it is remembered; `None` where no section answers it.
    pub(crate) fn memory(&self, index: &Index) -> Option<Remembered> {
        let id = |&number: &usize| index.section(number).1.id.clone();
        // A source that names a whole document says little of its sections.
        (1..=4).contains(&self.gold.len()).then(|| Remembered {
            keys: self.question.keys().to_vec(),
            vector: self.question.vector().clone(),
            sections: self.gold.iter().map(id).collect(),
            quoted: self.quoted(index),
        })
    }
}

/// The answer and the sources of an expected value.
fn expected(expected: &Value) -> Option<(Option<String>, Vec<&str>)> {
    match expected {
        Value::Null => Some((None, Vec::new())),
        Value::String(answer) => Some((Some(answer.clone()), Vec::new())),
        Value::Object(fields) => {
            let answer = match fields.get("answer") {
                None | Some(Value::Null) => None,
                Some(Value::String(answer)) => Some(answer.clone()),
                Some(_) => return None,
            };
            let sources = match fields.get("sources") {
                None | Some(Value::Null) => Vec::new(),
                Some(Value::String(source)) => vec![source.as_str()],
                Some(Value::Array(sources)) => {
                    sources.iter().map(Value::as_str).collect::<Option<_>>()?
                }
                Some(_) => return None,
            };
            // Where there is no answer, what is cited does not give one.
            let unanswered = fields.contains_key("answer") && answer.is_none();
            Some((answer, if unanswered { Vec::new() } else { sources }))
        }
        _ => None,
    }
}

fn vector(text: &str, against: Against<'_>, number: usize) -> Result<Vector, LearnError> {
    let failed = |source| LearnError::Encoder {
        text: format!("example {}", number + 1),
        source,
    };
    let reading = against.glossary.read(text);
    let vectors = against.encoder.embed(&[reading.text()]).map_err(failed)?;
    Ok(Vector::of(vectors.first().map_or(&[], Vec::as_slice)))
}
