use std::ops::ControlFlow;

use andon_store::{Page, RecordFilter};
use andon_task::certificate::Severity;
use andon_task::engine::{EngineError, GenerateRequest, Terms};
use andon_task::prompt;
use andon_task::route::{Reason, Route};
use andon_task::run::{Answerer, Digests, Evidence, Guarantee, Record, Run, Sentence, Timestamp};
use andon_task::summarise::{Facts, Finding, Period, Section, Wrote, findings, words};
use serde_json::{Map, Value, json};

use crate::error::Error;
use crate::node::Node;
use crate::run::{Asked, Tell, Told};

/// Findings that the language model is asked to word, at most: those told first.
const WORDED: usize = 4;
/// Older open records that are carried over, at most.
const CARRIED: usize = 200;

impl Node {
    /// What happened in a period, of the records that the text holds. The facts are
    /// computed; the language model, where there is one, words some of them.
    pub(crate) fn summarise(&self, asked: &Asked<'_>) -> Result<Run, Error> {
        let period = Period::read(asked.text)?;
        let (answer, worded) = self.summary_telling(&period, asked.terms, asked.tell)?;
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

    /// The records that came in since a time, with what became of them; what came in as
    /// long before is the period before, and what is older and open is carried over.
    pub fn period(&self, since: Timestamp, asset: Option<&str>) -> Result<Period, Error> {
        let now = self.now();
        let before = Timestamp(since.0.saturating_sub(now.0.saturating_sub(since.0)));
        let filter = RecordFilter {
            asset: asset.map(str::to_owned),
            ..RecordFilter::default()
        };
        let (mut own, mut earlier) = (Vec::new(), Vec::new());
        let mut page = Page {
            before: None,
            limit: 500,
        };
        'pages: loop {
            let records = self.store.records(&filter, page)?;
            let Some(last) = records.last() else { break };
            page.before = Some(last.id);
            for record in records {
                if record.received_at < before {
                    break 'pages;
                }
                // What was summarised is no record of its own.
                if record.text.trim_start().starts_with(['{', '[']) {
                    continue;
                }
                match record.received_at < since {
                    true => earlier.push(self.event(&record)?),
                    false => own.push(self.event(&record)?),
                }
            }
        }
        own.reverse();
        earlier.reverse();
        Ok(Period::of(&json!({
            "records": own,
            "previous": {"records": earlier},
            "carried_over": self.carried_over(since, asset)?,
        }))?)
    }

    /// What is open of the records before a time, the oldest first; of many the newest.
    fn carried_over(&self, since: Timestamp, asset: Option<&str>) -> Result<Vec<Value>, Error> {
        let filter = RecordFilter {
            open_only: true,
            asset: asset.map(str::to_owned),
        };
        let mut page = Page {
            before: None,
            limit: 500,
        };
        let mut open = Vec::new();
        loop {
            let records = self.store.records(&filter, page)?;
            let Some(last) = records.last() else { break };
            page.before = Some(last.id);
            for record in records.iter().filter(|r| r.received_at < since) {
                if !record.text.trim_start().starts_with(['{', '[']) {
                    open.push(self.event(record)?);
                }
                if open.len() == CARRIED {
                    open.reverse();
                    return Ok(open);
                }
            }
        }
        open.reverse();
        Ok(open)
    }

    /// A record as an event: what its sender said of it, and what tasks made of it.
    fn event(&self, record: &Record) -> Result<Value, Error> {
        let mut event = match &record.meta {
            Value::Object(meta) => meta.clone(),
            _ => Map::new(),
        };
        let mut set = |name: &str, value: Value| event.insert(name.to_owned(), value);
        set("record_id", record.id.to_string().into());
        set("received_at", record.received_at.to_string().into());
        set("text", record.text.clone().into());
        if let Some(asset) = &record.asset {
            set("asset", asset.clone().into());
        }
        let status = if record.closed_at.is_some() {
            "closed"
        } else {
            "open"
        };
        set("status", status.into());
        let runs = self.store.runs_of(record.id)?;
        let is_critical = runs.iter().any(|stored| {
            let task = self.plant.tasks.get(&stored.run.task);
            let settled = stored.settled.as_ref().and_then(|s| s.answer.as_ref());
            let answer = settled.unwrap_or(&stored.run.answer).as_str();
            task.zip(answer)
                .is_some_and(|(task, answer)| task.labels().severity(answer) == Severity::Critical)
        });
        if is_critical {
            set("priority", "high".into());
        }
        Ok(Value::Object(event))
    }

    /// The answer for a period, and how many of its sentences are the model's.
    pub fn summary(&self, period: &Period, terms: &Terms) -> Result<(Value, usize), Error> {
        self.summary_telling(period, terms, &|_| {})
    }

    fn summary_telling(
        &self,
        period: &Period,
        terms: &Terms,
        tell: Tell<'_>,
    ) -> Result<(Value, usize), Error> {
        let facts = Facts::of(period);
        let mut findings = findings(period, &facts);
        let worded = self.word(&mut findings, terms, tell)?;
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
    fn word(
        &self,
        findings: &mut [Finding],
        terms: &Terms,
        tell: Tell<'_>,
    ) -> Result<usize, Error> {
        let mut worded = 0;
        let most = match self.language_model {
            Some(_) => WORDED,
            None => 0,
        };
        let mut asked: Vec<(usize, &mut Finding)> = Vec::new();
        for (place, finding) in findings.iter_mut().enumerate() {
            // What is told as it stands need not wait for the model.
            match finding.wording.is_some() && asked.len() < most {
                true => asked.push((place, finding)),
                false => tell(Told::Sentence(place, &sentence(finding))),
            }
        }
        let Some(model) = self.language_model.as_ref().filter(|_| !asked.is_empty()) else {
            return Ok(0);
        };
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
                .map(|(_, finding)| {
                    let finding: &Finding = finding;
                    scope.spawn(move || word(finding))
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.collect()
        });
        for ((place, finding), said) in asked.into_iter().zip(said) {
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
            tell(Told::Sentence(place, &sentence(finding)));
        }
        Ok(worded)
    }
}

/// A finding as it is told.
fn sentence(finding: &Finding) -> Sentence {
    let section = match finding.section {
        Section::WhatHappened => "what_happened",
        Section::WhatIsOpen => "what_is_open",
        Section::WhatToWatch => "what_to_watch",
    };
    Sentence {
        section: section.to_owned(),
        text: finding.text.clone(),
        records: finding.records.clone(),
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
