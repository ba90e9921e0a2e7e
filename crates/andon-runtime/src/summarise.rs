use std::ops::ControlFlow;

use andon_task::engine::{EngineError, GenerateRequest, Terms};
use andon_task::prompt;
use andon_task::route::{Reason, Route};
use andon_task::run::{Answerer, Digests, Evidence, Guarantee, Run, Sentence};
use andon_task::summarise::{Facts, Finding, Period, Section, Wrote, findings, words};
use serde_json::{Value, json};

use crate::error::Error;
use crate::node::Node;
use crate::run::Asked;

/// Findings that the language model is asked to word, at most: those told first.
const WORDED: usize = 4;

impl Node {
    /// What happened in a period, of the records that the text holds. The facts are
    /// computed; the language model, where there is one, words some of them.
    pub(crate) fn summarise(&self, asked: &Asked<'_>) -> Result<Run, Error> {
        let period = Period::read(asked.text)?;
        let (answer, worded) = self.summary(&period, asked.terms)?;
        let answered_by = match worded {
            0 => Answerer::Computation,
            _ => Answerer::WordedComputation,
        };
        let model = self.language_model.as_ref().filter(|_| worded > 0);
        Ok(Run {
            task: asked.task.name.clone(),
            evidence: told(&answer),
            answer,
            also: None,
            probability: None,
            probabilities: Vec::new(),
            calibrated: false,
            // Each sentence was checked against its records: there is nothing to doubt but
            // the records themselves.
            route: Route::Edge,
            reason: Reason::Checked,
            answered_by,
            certificate: Guarantee::Uncertified,
            digests: Digests {
                model: model.map(|model| model.model().digest),
                prompt: model.map(|_| prompt::digest(&words::prompt(""))),
                policy: self.plant.policy,
                ..Digests::default()
            },
            took_ms: 0.0,
        })
    }

    /// The answer for a period, and how many of its sentences are the model's.
    pub fn summary(&self, period: &Period, terms: &Terms) -> Result<(Value, usize), Error> {
        let facts = Facts::of(period);
        let mut findings = findings(period, &facts);
        let worded = self.word(&mut findings, terms)?;
        let section = |wanted: Section| -> Vec<&Finding> {
            let of_section = findings.iter().filter(|finding| finding.section == wanted);
            of_section.collect()
        };
        let answer = json!({
            "facts": facts,
            "sections": {
                "what_happened": section(Section::WhatHappened),
                "what_is_open": section(Section::WhatIsOpen),
                "what_to_watch": section(Section::WhatToWatch),
            },
        });
        Ok((answer, worded))
    }

    /// Puts the model's words in the place of the plain ones, where they say the same.
    fn word(&self, findings: &mut [Finding], terms: &Terms) -> Result<usize, Error> {
        let Some(model) = &self.language_model else {
            return Ok(0);
        };
        let mut worded = 0;
        let may_be_worded = findings
            .iter_mut()
            .filter(|finding| finding.wording.is_some());
        let asked: Vec<&mut Finding> = may_be_worded.take(WORDED).collect();
        let word = |finding: &Finding| {
            let request = GenerateRequest {
                terms: terms.clone(),
                max_tokens: Some(words::MOST_TOKENS),
                stop: vec!["\n".to_owned()],
                ..GenerateRequest::new(words::prompt(&finding.text))
            };
            model.generate(&request, &mut |_| match terms.departure.is_announced() {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        };
        // The model computes them together.
        let said: Vec<_> = std::thread::scope(|scope| {
            let word = &word;
            let threads: Vec<_> = asked
                .iter()
                .map(|finding| {
                    let finding: &Finding = finding;
                    scope.spawn(move || word(finding))
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.collect()
        });
        for (finding, said) in asked.into_iter().zip(said) {
            match said {
                Ok(Ok(said)) => {
                    if let Some(sentence) = words::accept(finding, &said.text) {
                        finding.text = sentence;
                        finding.by = Wrote::Model;
                        worded += 1;
                    }
                }
                Ok(Err(EngineError::Cancelled)) => return Err(EngineError::Cancelled.into()),
                // A model that does not answer takes nothing from the facts.
                Ok(Err(error)) => tracing::warn!(%error, "a finding is told in plain words"),
                Err(_) => tracing::warn!("a finding is told in plain words: the model failed"),
            }
        }
        Ok(worded)
    }
}

/// The sentences of an answer with their records, as evidence.
fn told(answer: &Value) -> Vec<Evidence> {
    let sections = answer["sections"].as_object().into_iter().flatten();
    sections
        .flat_map(|(section, sentences)| {
            let sentences = sentences.as_array().into_iter().flatten();
            sentences.map(move |sentence| {
                let records = sentence["records"].as_array().into_iter().flatten();
                Evidence::Sentence(Sentence {
                    section: section.clone(),
                    text: sentence["text"].as_str().unwrap_or_default().to_owned(),
                    records: records
                        .filter_map(Value::as_str)
                        .map(str::to_owned)
                        .collect(),
                })
            })
        })
        .collect()
}
