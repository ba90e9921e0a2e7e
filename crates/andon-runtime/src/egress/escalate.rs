//! A run that was not accepted here: an upstream's answer, a place in the queue, or a
//! person's task. The way is the same for every kind of task; what is asked and what an
//! answer has to be is in `question`.

use std::ops::ControlFlow;
use std::time::Instant;

use andon_store::Placed;
use andon_task::digest::Digest;
use andon_task::engine::{GenerateRequest, Prompt, Terms};
use andon_task::policy::Principal;
use andon_task::redact::Field;
use andon_task::route::{self, Escalated, Reason, Route};
use andon_task::run::{Answerer, Evidence, Guarantee, Record, Run};
use andon_task::task::{DataClass, Task};
use andon_task::upstream::{Delivery, Egress as Left, Link, UpstreamError};
use serde_json::Value;

use super::passage::{Closed, Order, Ready};
use super::question::{Question, Said, schema_of};
use super::{Egress, Line};
use crate::error::Error;
use crate::node::Node;
use crate::run::before;

/// A bad answer is asked for once more.
const ATTEMPTS: u32 = 2;

/// The fields of a task that leave.
pub(super) fn fields(task: &Task) -> Vec<(Field, DataClass)> {
    let fields = task.fields().iter();
    fields.map(|&field| (field, task.data_class)).collect()
}

/// What a record asks, after the question before it.
pub(super) fn asked_of<'a>(record: &'a Record, before: &'a [String]) -> (Option<&'a str>, &'a str) {
    (before.last().map(String::as_str), &record.text)
}

/// By what the same question is known, whenever it is asked.
pub(super) fn key_of(task: &Task, record: i64, ready: &Ready) -> String {
    let turns = match &ready.request.prompt {
        Prompt::Chat(chat) => chat
            .messages
            .iter()
            .map(|turn| turn.content.as_str())
            .collect(),
        Prompt::Text(text) => vec![text.as_str()],
    };
    let record = record.to_string();
    let schema = schema_of(&ready.request).to_string();
    let mut parts = vec!["andon question", task.name.as_str(), record.as_str()];
    parts.extend(turns);
    parts.push(&schema);
    Digest::of_parts(parts.into_iter().map(str::as_bytes)).to_string()
}

impl Egress {
    /// Asks an upstream; what it says, once that holds.
    pub(super) fn ask(
        &self,
        line: &Line,
        order: &Order<'_>,
        question: &Question<'_>,
        ready: &Ready,
        key: &str,
    ) -> Result<(Said, Left), Closed> {
        let mut attempt = 1;
        loop {
            // An upstream that remembers keys would give the same bad answer again.
            let key = match attempt {
                1 => key.to_owned(),
                attempt => format!("{key}-{attempt}"),
            };
            let sent = self.dispatch(line, order, ready, &key, &mut |_| ControlFlow::Continue(()));
            let error = match sent {
                Ok(sent) => {
                    let answer: Option<Value> = serde_json::from_str(&sent.reply.text).ok();
                    match answer.and_then(|answer| question.read(&answer, ready)) {
                        Some(said) => return Ok((said, sent.egress)),
                        None => Closed::Upstream(UpstreamError::Unfit),
                    }
                }
                Err(error) => error,
            };
            if attempt == ATTEMPTS || !error.is_of_answer() {
                return Err(error);
            }
            attempt += 1;
        }
    }

    /// `Err(None)` where as many wait as may.
    pub(super) fn try_once(
        &self,
        line: &Line,
        order: &Order<'_>,
        task: &Task,
        record: i64,
        question: &Question<'_>,
    ) -> Result<(Said, Left), Option<Closed>> {
        let _place = self.wait().ok_or(None)?;
        let ready = self
            .prepare(line, order, &question.request, &question.words())
            .map_err(Some)?;
        let key = key_of(task, record, &ready);
        self.ask(line, order, question, &ready, &key).map_err(Some)
    }
}

impl Node {
    /// What becomes of a run that was not accepted here: an upstream's answer, a place in
    /// the queue, or a person's task with the reason why no upstream answered.
    pub(crate) fn escalate(
        &self,
        task: &Task,
        record: &Record,
        terms: &Terms,
        run: Run,
    ) -> Result<Run, Error> {
        let Some(egress) = &self.egress else {
            return Ok(run);
        };
        if !route::is_uncertain(task, run.reason) {
            return Ok(run);
        }
        let before = before(&record.meta);
        let Some(mut question) = self.question(task, asked_of(record, &before), &run) else {
            return Ok(run);
        };
        question.request = GenerateRequest {
            terms: terms.clone(),
            ..question.request
        };
        let principal = Principal::Task(task.name.clone());
        let fields = fields(task);
        let order = Order {
            principal: &principal,
            fields: &fields,
            record: Some(record.id),
            delivery: Delivery::Whole,
        };
        let mut outlooks = egress.outlooks(&order, &question);
        loop {
            let left = terms
                .deadline
                .map(|at| at.saturating_duration_since(Instant::now()));
            let reason = match route::escalate(task, run.reason, left, &outlooks) {
                Escalated::NotAsked => return Ok(run),
                Escalated::Closed(reason) => reason,
                Escalated::To(place) => {
                    let line = &egress.lines[place];
                    match egress.try_once(line, &order, task, record.id, &question) {
                        Ok((said, left)) => return Ok(self.answered(task, run, said, left)),
                        // The next of them, if there is one.
                        Err(Some(closed)) if closed.is_of_link() => {
                            outlooks[place].link = Link::Down;
                            continue;
                        }
                        Err(Some(closed)) => closed.reason(),
                        Err(None) => Reason::Busy,
                    }
                }
            };
            tracing::info!(task = task.name, ?reason, "no upstream answers");
            if reason == Reason::LinkDown && task.wait.is_some() {
                return self.wait_for_link(egress, &order, task, record.id, &question, run);
            }
            return Ok(Run { reason, ..run });
        }
    }

    /// The run with what an upstream said.
    pub(super) fn answered(&self, task: &Task, run: Run, said: Said, left: Left) -> Run {
        let (answer, rests_on) = match said {
            Said::Answer(answer, rests_on) => (answer, rests_on),
            // Nobody found it: a person looks, and sees who was asked.
            Said::Nothing => {
                let mut run = run;
                run.evidence.push(Evidence::Egress(left));
                return run;
            }
        };
        let best = run.probabilities.first().map(|best| best.probability);
        let edge = Evidence::Edge {
            confidence: run.probability.or(best).unwrap_or(0.0),
            answer: run.answer,
        };
        let procedure = answer
            .as_str()
            .and_then(|answer| self.plant.procedure_of(task, answer))
            .cloned();
        // What stood behind the answer that was given here stands behind no other.
        let kept = run.evidence.into_iter().filter(|evidence| {
            matches!(
                evidence,
                Evidence::Repeats(_) | Evidence::Edge { .. } | Evidence::Egress(_)
            )
        });
        Run {
            answer,
            also: None,
            probability: None,
            route: Route::Cloud,
            answered_by: Answerer::Upstream,
            evidence: (procedure.map(Evidence::Procedure).into_iter())
                .chain(rests_on)
                .chain(kept)
                .chain([edge, Evidence::Egress(left)])
                .collect(),
            certificate: Guarantee::Uncertified,
            ..run
        }
    }

    /// Lets the question wait, and the answer here be provisional.
    fn wait_for_link(
        &self,
        egress: &Egress,
        order: &Order<'_>,
        task: &Task,
        record: i64,
        question: &Question<'_>,
        run: Run,
    ) -> Result<Run, Error> {
        match egress.enqueue(order, task, record, question) {
            Ok(Ok(Placed::At(place))) => {
                let mut run = Run {
                    reason: Reason::Queued,
                    ..run
                };
                run.evidence.push(Evidence::Queued { place });
                Ok(run)
            }
            Ok(Ok(Placed::Full)) => Ok(Run {
                reason: Reason::LinkDown,
                ..run
            }),
            Ok(Err(closed)) => Ok(Run {
                reason: closed.reason(),
                ..run
            }),
            Err(error) => Err(error.into()),
        }
    }
}
