//! What waits for a link, and what is done when it is back.

use std::collections::VecDeque;
use std::ops::AddAssign;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use andon_store::{NewPlace, Place, PlaceState, Placed};
use andon_task::audit::Act;
use andon_task::digest::Digest;
use andon_task::engine::{GenerateRequest, Prompt};
use andon_task::policy::Principal;
use andon_task::run::{Answerer, Run, Timestamp};
use andon_task::task::Task;
use andon_task::upstream::{Delivery, Link};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::escalate::{asked_of, fields, key_of};
use super::passage::{Closed, Order};
use super::question::{Question, schema_of};
use super::{Egress, Line};
use crate::error::Error;
use crate::node::Node;
use crate::run::before;

/// So many are sent at once: their rows are committed together, and a slow upstream
/// answers them beside each other.
const SENDERS: usize = 12;

/// So often an upstream may fail in a question, while it answers others, until that is a
/// dead letter.
const MOST_FAILURES: u32 = 8;
/// How long a question waits that an upstream has failed in once; three times as long each
/// time.
const FIRST_REST: Duration = Duration::from_secs(5);
/// How long at most.
const LONGEST_REST: Duration = Duration::from_secs(600);

/// A question as it waits: redacted. What the placeholders stand for is not kept; when it
/// is sent it is made anew from its record, by the policy and the names of that day.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    /// What its answer is held to, by digest.
    held_to: Digest,
    turns: Vec<String>,
    schema: Value,
}

impl Kept {
    fn of(question: &Question<'_>, redacted: &GenerateRequest) -> Self {
        let turns = match &redacted.prompt {
            Prompt::Chat(chat) => {
                let turns = chat.messages.iter();
                turns.map(|turn| turn.content.clone()).collect()
            }
            Prompt::Text(text) => vec![text.clone()],
        };
        Self {
            held_to: question.held_to(),
            turns,
            schema: schema_of(redacted).clone(),
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
    /// The upstream fails in it, and perhaps not in others: it waits by itself, with so many
    /// failures.
    Deferred(u32, String),
    /// It waits on, and so do all behind it.
    Waits,
}

/// How long a question waits after so many failures before.
fn rest(failures: u32) -> Duration {
    let rest = FIRST_REST.saturating_mul(3_u32.saturating_pow(failures));
    rest.min(LONGEST_REST)
}

impl Egress {
    /// Redacts a question and lets it wait, where the policy lets it leave today.
    pub(super) fn enqueue(
        &self,
        order: &Order<'_>,
        task: &Task,
        record: i64,
        question: &Question<'_>,
    ) -> Result<Result<Placed, Closed>, andon_store::Error> {
        let allowed = self
            .lines
            .iter()
            .find(|line| self.denied(order.principal, order.fields, line).is_none());
        let Some(line) = allowed else {
            return Ok(Err(Closed::Denied("input")));
        };
        let ready = match self.prepare(line, order, &question.request, &question.words()) {
            Ok(ready) => ready,
            Err(closed) => return Ok(Err(closed)),
        };
        let kept = serde_json::to_string(&Kept::of(question, &ready.request));
        let request = kept.unwrap_or_default();
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
                Ok(Fate::Deferred(failures, reason)) if failures < MOST_FAILURES => {
                    let rest = rest(place.failures).as_millis();
                    let rest = i64::try_from(rest).unwrap_or(i64::MAX);
                    let now = now();
                    let not_before = Timestamp(now.0.saturating_add(rest));
                    store.defer_queued(place.id, (now, not_before), failures, &reason)?;
                }
                Ok(Fate::Deferred(_, reason)) => {
                    let reason = format!("given up after {MOST_FAILURES} failures: {reason}");
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

    /// Moves the times of what waits, because the clock was set by so much.
    pub fn shift_queue(&self, by_ms: i64) -> Result<(), Error> {
        Ok(self.store.shift_queue(by_ms)?)
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

    /// Lets a dead letter wait once more, for as long as its task lets it: its question is
    /// made anew from its record. The number of its new place.
    pub fn retry_queued(&self, id: i64, by: Option<&str>) -> Result<i64, Error> {
        let place = self.store.place(id)?.ok_or(Error::UnknownPlace(id))?;
        if place.state != PlaceState::Expired {
            let state = place.state.name();
            return Err(Error::NotGivenUp { place: id, state });
        }
        let no = |reason: &str| {
            Err(Error::NotQueued {
                place: id,
                reason: reason.to_owned(),
            })
        };
        let Some(egress) = &self.egress else {
            return no("the plant has no upstream");
        };
        let task = self.task(&place.new.task)?;
        if task.wait.is_none() {
            return no("its task lets nothing wait: write queue = true in its file");
        }
        let record = self.record(place.new.record)?;
        let before = before(&record.meta);
        let provisional = self.provisional(task, &place, &record.text)?;
        if matches!(provisional.answered_by, Answerer::Upstream) {
            return no("an upstream has answered it since");
        }
        let Some(question) = self.question(task, asked_of(&record, &before), &provisional) else {
            return no("there is nothing to ask any more");
        };
        let principal = Principal::Task(task.name.clone());
        let fields = fields(task);
        let order = Order {
            principal: &principal,
            fields: &fields,
            record: Some(place.new.record),
            delivery: Delivery::Whole,
        };
        let place = match egress.enqueue(&order, task, place.new.record, &question)? {
            Ok(Placed::At(place)) => place,
            Ok(Placed::Full) => return no("as many bytes wait as may"),
            Err(closed) => return no(&closed.to_string()),
        };
        let detail = json!({"place": place, "again": id, "task": task.name});
        let who = by.unwrap_or("unnamed");
        (self.store).append_audit(Act::QueueRetry, who, self.now(), detail)?;
        Ok(place)
    }

    fn send_place(&self, egress: &Egress, place: &Place) -> Result<Fate, Error> {
        let dead = |reason: &str| Ok(Fate::Expired(reason.to_owned()));
        let Some(task) = self.plant.tasks.get(&place.new.task) else {
            return dead("the plant has no such task any more");
        };
        let Ok(kept) = serde_json::from_str::<Kept>(&place.new.request) else {
            return dead("what waits cannot be read");
        };
        let record = self.record(place.new.record)?;
        let before = before(&record.meta);
        let provisional = self.provisional(task, place, &record.text)?;
        let Some(question) = self.question(task, asked_of(&record, &before), &provisional) else {
            return dead("there is nothing to ask any more");
        };
        if question.held_to() != kept.held_to {
            return dead("the task asks for something else now");
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
        if !egress.affords(line, question.bytes() / 3 + 1, question.tokens()) {
            return Ok(Fate::Waits);
        }
        // Of one that failed last nobody knows whether it fails in all: others overtake
        // this one, and it does not count.
        let answers_others = line.upstream.link() == Link::Up;
        let answer = egress
            .prepare(line, &order, &question.request, &question.words())
            .and_then(|ready| egress.ask(line, &order, &question, &ready, &place.new.key));
        let (said, left) = match answer {
            Ok(answer) => answer,
            Err(closed) if closed.may_be_of_one() => {
                let failures = place.failures + u32::from(answers_others);
                return Ok(Fate::Deferred(failures, closed.to_string()));
            }
            Err(closed) if closed.is_of_link() || matches!(closed, Closed::Audit(_)) => {
                return Ok(Fate::Waits);
            }
            Err(closed) => return dead(&closed.to_string()),
        };
        let run = self.answered(task, provisional, said, left);
        // The run and the end of the wait are one: a node that ends here asks again,
        // under the same key.
        self.store.settle_queued(place.id, self.now(), &run)?;
        Ok(Fate::Settled)
    }

    /// What was answered here when the question began to wait.
    fn provisional(&self, task: &Task, place: &Place, text: &str) -> Result<Run, Error> {
        let newest = self.store.newest_run(&task.name, place.new.record)?;
        if let Some(id) = newest {
            return Ok(self.run_of(id)?.run);
        }
        // The node ended between the two.
        let mut run = self.preview(&task.name, text)?;
        if run.reason == andon_task::route::Reason::Confident {
            run.reason = andon_task::route::Reason::BelowThreshold;
        }
        Ok(run)
    }
}
