use std::time::Instant;

use andon_task::certificate::Severity;
use andon_task::engine::Terms;
use andon_task::route::{self, Answered};
use andon_task::run::{Answerer, Digests, Evidence, Repeat, Run, Sentence, StoredRun};
use andon_task::task::{Kind, Task};
use serde_json::Value;

use crate::error::Error;
use crate::intake::{Taken, check_text};
use crate::node::Node;

/// What a run has come to while it is at work. It is provisional: the answer is the run that
/// is on disk.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A sentence of a summary, with its place among all sentences.
    Sentence(usize, &'a Sentence),
    /// More of what the language model writes.
    Text(&'a str),
}

/// Hears what a run comes to, from any thread.
pub type Tell<'a> = &'a (dyn Fn(Told<'_>) + Sync);

/// What a task is run over.
pub(crate) struct Asked<'a> {
    pub(crate) task: &'a Task,
    pub(crate) text: &'a str,
    /// What the plant's encoder makes of the text, where that is known.
    pub(crate) vector: Option<Vec<f32>>,
    /// The open record that this one repeats.
    pub(crate) repeats: Option<Repeat>,
    pub(crate) terms: &'a Terms,
    /// Earlier questions of the same conversation, the newest last.
    pub(crate) before: Vec<String>,
    /// Who hears of the run while it is at work.
    pub(crate) tell: Tell<'a>,
}

/// What a task answered, before it is routed.
pub(crate) struct Outcome {
    pub(crate) answer: Value,
    /// The probability that the answer is right, or a score.
    pub(crate) confidence: f64,
    /// Whether `confidence` is a calibrated probability.
    pub(crate) calibrated: bool,
    /// What kind of label was answered.
    pub(crate) said: Severity,
    pub(crate) answered_by: Answerer,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) digests: Digests,
}

impl Node {
    /// Runs a task over a record, on the terms of whoever asks. The run is on disk
    /// when this returns: an answer without a record of it cannot be audited.
    pub fn run(&self, task: &str, taken: &Taken, terms: &Terms) -> Result<StoredRun, Error> {
        self.run_telling(task, taken, terms, &|_| {})
    }

    /// The same, telling what comes of it as it comes.
    pub fn run_telling(
        &self,
        task: &str,
        taken: &Taken,
        terms: &Terms,
        tell: Tell<'_>,
    ) -> Result<StoredRun, Error> {
        let began = Instant::now();
        let mut run = self.perform(Asked {
            task: self.task(task)?,
            text: &taken.record.text,
            vector: taken.vector.clone(),
            repeats: taken.record.repeats,
            terms,
            before: before(&taken.record.meta),
            tell,
        })?;
        // A certificate's watch looks at what was answered here.
        let observation = self.backing(&run.task, &run.digests).observation(&run);
        run = self.escalate(self.task(task)?, &taken.record, terms, run)?;
        run.took_ms = (taken.took + began.elapsed()).as_secs_f64() * 1000.0;
        let (stored, evidence) =
            self.store
                .insert_observed_run(taken.record.id, self.now(), &run, observation)?;
        self.heed_inputs(&stored, evidence)?;
        Ok(stored)
    }

    /// What a task makes of a text, without keeping either.
    pub fn preview(&self, task: &str, text: &str) -> Result<Run, Error> {
        let task = self.task(task)?;
        check_text(text)?;
        let began = Instant::now();
        let mut run = self.perform(Asked {
            task,
            text,
            vector: None,
            repeats: None,
            terms: &Terms::of(task.deadline),
            before: Vec::new(),
            tell: &|_| {},
        })?;
        run.took_ms = began.elapsed().as_secs_f64() * 1000.0;
        Ok(run)
    }

    /// The run, but for the time it took.
    fn perform(&self, asked: Asked<'_>) -> Result<Run, Error> {
        let mut run = match &asked.task.kind {
            Kind::Decide(labels) => self.decide(labels, asked),
            Kind::Extract(schema) => self.extract(schema, asked),
            Kind::Normalise => self.normalise(&asked),
            Kind::Summarise => self.summarise(&asked),
            Kind::Answer => self.answer(asked),
        }?;
        // It may be another than the plant began with.
        run.digests.policy = self.policy();
        Ok(run)
    }

    /// The run of an outcome, by where it goes.
    pub(crate) fn routed(&self, asked: &Asked<'_>, outcome: Outcome) -> Run {
        let task = asked.task;
        let backing = self.backing(&task.name, &outcome.digests);
        let answered = Answered {
            text: asked.text,
            confidence: outcome.confidence,
            calibrated: outcome.calibrated,
            said: outcome.said,
        };
        let (route, reason, certificate) = route::decide(task, answered, backing.standing());
        Run {
            task: task.name.clone(),
            answer: outcome.answer,
            also: None,
            probability: outcome.calibrated.then_some(outcome.confidence),
            probabilities: Vec::new(),
            calibrated: outcome.calibrated,
            route,
            reason,
            answered_by: outcome.answered_by,
            evidence: (outcome.evidence.into_iter())
                .chain(asked.repeats.map(Evidence::Repeats))
                .collect(),
            certificate,
            digests: outcome.digests,
            took_ms: 0.0,
        }
    }
}

/// The earlier questions that came with a record, as `before` in its metadata.
pub(crate) fn before(meta: &Value) -> Vec<String> {
    let questions = meta["before"].as_array().into_iter().flatten();
    questions
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}
