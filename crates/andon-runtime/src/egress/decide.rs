//! A `decide` task that is not sure: one of its labels, from an upstream.

use std::ops::ControlFlow;
use std::time::Instant;

use andon_store::Placed;
use andon_task::digest::Digest;
use andon_task::engine::{GenerateRequest, Grammar, Prompt, Terms};
use andon_task::label::LabelSet;
use andon_task::policy::Principal;
use andon_task::prompt;
use andon_task::redact::Field;
use andon_task::route::{self, Escalated, Reason, Route};
use andon_task::run::{Answerer, Evidence, Guarantee, Run};
use andon_task::task::{DataClass, Kind, Task};
use andon_task::upstream::{Delivery, Egress as Left, Link};
use serde_json::{Value, json};

use super::passage::{Closed, Order, Ready};
use super::{Egress, Line};
use crate::error::Error;
use crate::node::Node;

/// The most tokens of an answer: a label, and what some models think before it.
pub(super) const ANSWER_TOKENS: usize = 256;
/// A bad answer is asked for once more.
const ATTEMPTS: u32 = 2;

/// The fields of a task that leave.
pub(super) fn fields(task: &Task) -> [(Field, DataClass); 3] {
    [Field::Input, Field::Instructions, Field::Labels].map(|field| (field, task.data_class))
}

/// What an upstream is asked of a text.
pub(super) fn question(task: &Task, labels: &LabelSet, text: &str) -> GenerateRequest {
    let mut prompt = prompt::decide(task, text);
    if let Prompt::Chat(chat) = &mut prompt {
        chat.messages[0]
            .content
            .push_str("\n\nAnswer with a JSON object that has the label under \"label\".");
    }
    GenerateRequest {
        max_tokens: Some(ANSWER_TOKENS),
        grammar: Some(Grammar::Json(json!({
            "type": "object",
            "properties": {"label": {"type": "string", "enum": labels.names()}},
            "required": ["label"],
            "additionalProperties": false,
        }))),
        ..GenerateRequest::new(prompt)
    }
}

/// The labels of a question as they leave, in their order.
pub(super) fn labels_of(request: &GenerateRequest) -> Vec<&str> {
    match &request.grammar {
        Some(Grammar::Json(schema)) => {
            let labels = schema["properties"]["label"]["enum"].as_array();
            let labels = labels.map(|labels| labels.iter().filter_map(Value::as_str).collect());
            labels.unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// By what the same question is known, whenever it is asked.
pub(super) fn key_of(task: &Task, record: i64, ready: &Ready) -> String {
    let system = match &ready.request.prompt {
        Prompt::Chat(chat) => chat
            .messages
            .iter()
            .map(|turn| turn.content.as_str())
            .collect(),
        Prompt::Text(text) => vec![text.as_str()],
    };
    let record = record.to_string();
    let mut parts = vec!["andon question", task.name.as_str(), record.as_str()];
    parts.extend(system);
    parts.extend(labels_of(&ready.request));
    Digest::of_parts(parts.into_iter().map(str::as_bytes)).to_string()
}

impl Egress {
    /// Asks an upstream for a label; the place of the label among the task's.
    pub(super) fn ask(
        &self,
        line: &Line,
        order: &Order<'_>,
        ready: &Ready,
        key: &str,
    ) -> Result<(usize, Left), Closed> {
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
                    let label = answer.as_ref().and_then(|answer| answer["label"].as_str());
                    let labels = labels_of(&ready.request);
                    let place =
                        label.and_then(|label| labels.iter().position(|known| *known == label));
                    match place {
                        Some(place) => return Ok((place, sent.egress)),
                        None => Closed::Upstream(andon_task::upstream::UpstreamError::Unfit),
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
}

impl Node {
    /// What becomes of a run that was not accepted here: an upstream's answer, a place in
    /// the queue, or a person's task with the reason why no upstream answered.
    pub(crate) fn escalate(
        &self,
        task: &Task,
        record: i64,
        text: &str,
        terms: &Terms,
        run: Run,
    ) -> Result<Run, Error> {
        let (Some(egress), Kind::Decide(labels)) = (&self.egress, &task.kind) else {
            return Ok(run);
        };
        let principal = Principal::Task(task.name.clone());
        let fields = fields(task);
        let order = Order {
            principal: &principal,
            fields: &fields,
            record: Some(record),
            delivery: Delivery::Whole,
        };
        let question = question(task, labels, text);
        let question = GenerateRequest {
            terms: terms.clone(),
            ..question
        };
        let bytes = text.len() + task.instructions.len() + 32 * labels.labels().len();
        let mut outlooks = egress.outlooks(&principal, &fields, bytes);
        loop {
            let left = terms
                .deadline
                .map(|at| at.saturating_duration_since(Instant::now()));
            let reason = match route::escalate(task, run.reason, left, &outlooks) {
                Escalated::NotAsked => return Ok(run),
                Escalated::Closed(reason) => reason,
                Escalated::To(place) => {
                    let line = &egress.lines[place];
                    match egress.try_once(line, &order, task, record, &question) {
                        Ok((label, left)) => {
                            return Ok(self.answered(task, labels, run, label, left));
                        }
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
                return self.wait_for_link(egress, &order, task, record, &question, run);
            }
            return Ok(Run { reason, ..run });
        }
    }

    /// The run with the answer of an upstream.
    pub(super) fn answered(
        &self,
        task: &Task,
        labels: &LabelSet,
        run: Run,
        place: usize,
        left: Left,
    ) -> Run {
        let label = &labels.labels()[place].label;
        let confidence = run
            .probabilities
            .first()
            .map_or(0.0, |best| best.probability);
        let edge = Evidence::Edge {
            answer: run.answer,
            confidence,
        };
        let procedure = self.plant.procedure_of(task, label).cloned();
        let kept = run.evidence.into_iter().filter(|evidence| {
            !matches!(evidence, Evidence::Procedure(_) | Evidence::Queued { .. })
        });
        Run {
            answer: label.as_str().into(),
            also: None,
            probability: None,
            route: Route::Cloud,
            answered_by: Answerer::Upstream,
            evidence: (procedure.map(Evidence::Procedure).into_iter())
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
        question: &GenerateRequest,
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

impl Egress {
    /// `Err(None)` where as many wait as may.
    fn try_once(
        &self,
        line: &Line,
        order: &Order<'_>,
        task: &Task,
        record: i64,
        question: &GenerateRequest,
    ) -> Result<(usize, Left), Option<Closed>> {
        let _place = self.wait().ok_or(None)?;
        let ready = self.prepare(line, order, question).map_err(Some)?;
        let key = key_of(task, record, &ready);
        self.ask(line, order, &ready, &key).map_err(Some)
    }
}
