//! What waits for a link, and what is done when it is back.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use andon_store::{NewPlace, Place, Placed};
use andon_task::engine::{GenerateRequest, Grammar, Message, Prompt, Role};
use andon_task::policy::Principal;
use andon_task::run::{Run, Timestamp};
use andon_task::task::{Kind, Task};
use andon_task::upstream::{Delivery, Link};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::decide::{ANSWER_TOKENS, fields, key_of, labels_of};
use super::passage::{Closed, Order};
use super::{Egress, Line};
use crate::error::Error;
use crate::node::Node;

/// So many are sent at once: their rows are committed together, and a slow upstream
/// answers them beside each other.
const SENDERS: usize = 12;

/// A question as it waits: redacted.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    system: String,
    user: String,
    labels: Vec<String>,
}

impl Kept {
    fn of(request: &GenerateRequest) -> Option<Self> {
        let Prompt::Chat(chat) = &request.prompt else {
            return None;
        };
        let [system, user] = chat.messages.as_slice() else {
            return None;
        };
        Some(Self {
            system: system.content.clone(),
            user: user.content.clone(),
            labels: labels_of(request).into_iter().map(str::to_owned).collect(),
        })
    }

    fn request(&self) -> GenerateRequest {
        GenerateRequest {
            max_tokens: Some(ANSWER_TOKENS),
            grammar: Some(Grammar::Json(json!({
                "type": "object",
                "properties": {"label": {"type": "string", "enum": self.labels}},
                "required": ["label"],
                "additionalProperties": false,
            }))),
            ..GenerateRequest::new(Prompt::chat(vec![
                Message::new(Role::System, &self.system),
                Message::new(Role::User, &self.user),
            ]))
        }
    }
}

/// What was done with what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Answered.
    pub settled: usize,
    /// Not to be sent any more.
    pub expired: usize,
}

impl AddAssign for Drained {
    fn add_assign(&mut self, other: Self) {
        self.settled += other.settled;
        self.expired += other.expired;
    }
}

/// What became of a place.
enum Fate {
    Settled,
    Expired(String),
    /// It waits on, and so do all behind it.
    Waits,
}

impl Egress {
    /// Redacts a question and lets it wait, where the policy lets it leave today.
    pub(super) fn enqueue(
        &self,
        order: &Order<'_>,
        task: &Task,
        record: i64,
        question: &GenerateRequest,
    ) -> Result<Result<Placed, Closed>, andon_store::Error> {
        let allowed = self
            .lines
            .iter()
            .find(|line| self.denied(order.principal, order.fields, line).is_none());
        let Some(line) = allowed else {
            return Ok(Err(Closed::Denied("input")));
        };
        let ready = match self.prepare(line, order, question) {
            Ok(ready) => ready,
            Err(closed) => return Ok(Err(closed)),
        };
        let kept = Kept::of(&ready.request).and_then(|kept| serde_json::to_string(&kept).ok());
        let Some(request) = kept else {
            return Ok(Err(Closed::Denied("input")));
        };
        let now = self.now();
        let wait = task.wait.unwrap_or_default().as_millis();
        let wait = i64::try_from(wait).unwrap_or(i64::MAX);
        let place = NewPlace {
            key: key_of(task, record, &ready),
            task: task.name.clone(),
            record,
            class: task.deadline,
            request,
            queued_at: now,
            expires_at: Timestamp(now.0.saturating_add(wait)),
        };
        self.parts
            .store
            .enqueue(place, self.parts.queue_bytes)
            .map(Ok)
    }

    /// An upstream that may be asked now.
    fn open_line(&self, order: &Order<'_>) -> Option<&Line> {
        let is_open = |line: &&Line| {
            line.upstream.link() != Link::Down
                && self.denied(order.principal, order.fields, line).is_none()
        };
        self.lines.iter().find(is_open)
    }
}

/// Those who send what waits, in its order.
struct Senders<'a> {
    node: &'a Node,
    egress: &'a Egress,
    /// So many are taken out of the queue at once.
    taken_at_once: usize,
    /// Taken out, and not sent yet.
    taken: Mutex<VecDeque<Place>>,
    /// A link failed, or nothing is left.
    is_over: AtomicBool,
}

impl<'a> Senders<'a> {
    fn new(node: &'a Node, egress: &'a Egress, taken_at_once: usize) -> Self {
        Self {
            node,
            egress,
            taken_at_once,
            taken: Mutex::default(),
            is_over: AtomicBool::new(false),
        }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// Sends from several threads until it is over. What was taken out and not sent waits
    /// again.
    fn work_together(&self) -> Result<Drained, Error> {
        let parts: Vec<thread::Result<Result<Drained, Error>>> = thread::scope(|scope| {
            let work = || {
                let worked = self.work(usize::MAX);
                if worked.is_err() {
                    self.end();
                }
                worked
            };
            let threads: Vec<_> = (0..SENDERS).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join()).collect()
        });
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let unsent: Vec<i64> = taken.drain(..).map(|place| place.id).collect();
        if !unsent.is_empty() {
            self.node.store.return_to_queue(unsent, self.node.now())?;
        }
        let mut drained = Drained::default();
        for part in parts {
            match part {
                Ok(part) => drained += part?,
                Err(panic) => {
                    // What it had in hand is nobody's now, and nobody else sends.
                    self.node.store.recover_queue(self.node.now())?;
                    resume_unwind(panic);
                }
            }
        }
        Ok(drained)
    }

    /// Sends `most` at most.
    fn work(&self, most: usize) -> Result<Drained, Error> {
        let mut drained = Drained::default();
        for _ in 0..most {
            let Some(place) = self.next()? else { break };
            let (store, now) = (&self.node.store, || self.node.now());
            match self.node.send_place(self.egress, &place) {
                Ok(Fate::Settled) => drained.settled += 1,
                Ok(Fate::Expired(reason)) => {
                    store.expire_queued(place.id, now(), &reason)?;
                    drained.expired += 1;
                }
                Ok(Fate::Waits) => {
                    self.end();
                    store.return_to_queue(vec![place.id], now())?;
                }
                Err(error) => {
                    self.end();
                    store.return_to_queue(vec![place.id], now())?;
                    return Err(error);
                }
            }
        }
        Ok(drained)
    }

    fn next(&self) -> Result<Option<Place>, Error> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_over() {
            return Ok(None);
        }
        if taken.is_empty() {
            let now = self.node.now();
            taken.extend(self.node.store.take_from_queue(now, self.taken_at_once)?);
        }
        let place = taken.pop_front();
        if place.is_none() {
            self.end();
        }
        Ok(place)
    }
}

impl Node {
    /// Lets what was in flight when a node ended wait again. Only a process that is
    /// alone in sending may ask for it.
    pub fn recover_queue(&self) -> Result<usize, Error> {
        Ok(self.store.recover_queue(self.now())?)
    }

    /// Sends what waits, the most urgent first, until a link fails or nothing is left.
    /// Policy and redaction are those of now.
    pub fn drain_queue(&self) -> Result<Drained, Error> {
        let mut drained = Drained {
            expired: self.store.expire_due(self.now())?,
            settled: 0,
        };
        let Some(egress) = &self.egress else {
            return Ok(drained);
        };
        if egress
            .lines
            .iter()
            .all(|line| line.upstream.link() == Link::Down)
        {
            return Ok(drained);
        }
        // One goes ahead where the link is only thought to be back.
        let is_sure = |line: &Line| line.upstream.link() == Link::Up;
        if !egress.lines.iter().any(is_sure) {
            let first = Senders::new(self, egress, 1);
            drained += first.work(1)?;
            if first.is_over() {
                return Ok(drained);
            }
        }
        let senders = Senders::new(self, egress, 2 * SENDERS);
        drained += senders.work_together()?;
        Ok(drained)
    }

    fn send_place(&self, egress: &Egress, place: &Place) -> Result<Fate, Error> {
        let dead = |reason: &str| Ok(Fate::Expired(reason.to_owned()));
        let Some(task) = self.plant.tasks.get(&place.new.task) else {
            return dead("the plant has no such task any more");
        };
        let Kind::Decide(labels) = &task.kind else {
            return dead("the task is of another kind now");
        };
        let Ok(kept) = serde_json::from_str::<Kept>(&place.new.request) else {
            return dead("what waits cannot be read");
        };
        if kept.labels.len() != labels.labels().len() {
            return dead("the task has other labels now");
        }
        let principal = Principal::Task(task.name.clone());
        let fields = fields(task);
        let order = Order {
            principal: &principal,
            fields: &fields,
            record: Some(place.new.record),
            delivery: Delivery::Whole,
        };
        let permitted = |line: &Line| egress.denied(&principal, &fields, line).is_none();
        if !egress.lines.iter().any(permitted) {
            return dead("policy_denied");
        }
        let Some(line) = egress.open_line(&order) else {
            return Ok(Fate::Waits);
        };
        if !egress.affords(line, place.new.request.len() / 3 + 1, ANSWER_TOKENS) {
            return Ok(Fate::Waits);
        }
        let answer = egress
            .prepare_kept(line, &order, kept.request())
            .and_then(|ready| egress.ask(line, &order, &ready, &place.new.key));
        let (label, left) = match answer {
            Ok(answer) => answer,
            Err(closed) if closed.is_of_link() || matches!(closed, Closed::Audit(_)) => {
                return Ok(Fate::Waits);
            }
            Err(closed) => return dead(&closed.to_string()),
        };
        let provisional = self.provisional(task, place)?;
        let run = self.answered(task, labels, provisional, label, left);
        // The run and the end of the wait are one: a node that ends here asks again,
        // under the same key.
        self.store.settle_queued(place.id, self.now(), &run)?;
        Ok(Fate::Settled)
    }

    /// What was answered here when the question began to wait.
    fn provisional(&self, task: &Task, place: &Place) -> Result<Run, Error> {
        let newest = self.store.newest_run(&task.name, place.new.record)?;
        if let Some(id) = newest {
            return Ok(self.run_of(id)?.run);
        }
        // The node ended between the two.
        let text = self.record(place.new.record)?.text;
        let mut run = self.preview(&task.name, &text)?;
        if run.reason == andon_task::route::Reason::Confident {
            run.reason = andon_task::route::Reason::BelowThreshold;
        }
        Ok(run)
    }
}
