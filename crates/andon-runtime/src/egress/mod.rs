//! The way out of the plant: the only one.
//!
//! Whatever leaves goes through the same steps, in this order, on the final bytes:
//! the policy lets every field, every field is redacted, the body is composed and
//! looked through once more, the audit log has its row, and only then it is sent.
//! What fails on the way closes it. `passage` is that way; `escalate` and `queue`
//! are tasks that use it, `outbound` is a chat that does.

mod escalate;
mod measure;
mod outbound;
mod passage;
mod question;
mod queue;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use andon_store::Store;
use andon_task::audit::Act;
use andon_task::digest::Digest;
use andon_task::normalise::Normaliser;
use andon_task::policy::{Permit, Principal, Question};
use andon_task::redact::{Field, Redactor};
use andon_task::route::Outlook;
use andon_task::run::Timestamp;
use andon_task::task::DataClass;
use andon_task::upstream::Upstream;
use andon_task::worth::Worth;
use serde_json::json;

pub use self::measure::Consulted;
use self::measure::Worths;
pub use self::outbound::Outbound;
use self::passage::Order;
use self::question::Question as Asking;
pub use self::queue::Drained;
use crate::error::Error;
use crate::node::{Clock, Node};

/// The most requests that wait for upstreams at once: fewer than the calls that a
/// server lets in, so that a silent upstream does not keep the node from answering.
const MOST_WAITING: usize = 24;

/// What the way out is made of.
pub struct EgressParts {
    /// Larger models elsewhere, in the order in which they are asked.
    pub upstreams: Vec<Arc<dyn Upstream>>,
    /// What may leave.
    pub rules: Rules,
    /// What is replaced in whatever leaves.
    pub redactor: Redactor,
    /// The most bytes that wait for a link.
    pub queue_bytes: u64,
    /// The audit log, the queue and what was paid.
    pub store: Store,
    /// The time.
    pub clock: Clock,
}

/// A policy as it stands in its files.
#[derive(Clone)]
pub struct Rules {
    /// What it says.
    pub policy: Arc<dyn Permit>,
    /// The digest of its files; of none where there are none.
    pub digest: Option<Digest>,
}

/// The way out of the plant. Shared by all who use it.
pub struct Egress {
    parts: EgressParts,
    lines: Vec<Line>,
    waiting: AtomicUsize,
    /// What decides now: other than at first, once the files have changed.
    rules: RwLock<Rules>,
    /// What upstreams were measured to be worth.
    worths: RwLock<Worths>,
    /// The normalisers that are promoted: what they mask does not leave.
    masks: RwLock<Masks>,
}

/// What masks words, or why it cannot, which closes the way.
pub(crate) type Masks = Result<Vec<Arc<Normaliser>>, String>;

/// An upstream, with how long it took lately.
struct Line {
    upstream: Arc<dyn Upstream>,
    took: Mutex<Option<Duration>>,
}

impl Line {
    fn name(&self) -> &str {
        &self.upstream.settings().name
    }

    fn expected(&self) -> Duration {
        let took = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        took.unwrap_or_default()
    }

    /// Half of what is known is new.
    fn note(&self, took: Duration) {
        let mut known = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(known.map_or(took, |known| (known + took) / 2));
    }
}

/// A place among those who wait for upstreams.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Egress {
    /// The way out of these parts.
    pub fn new(parts: EgressParts) -> Self {
        let lines = parts.upstreams.iter().map(|upstream| Line {
            upstream: Arc::clone(upstream),
            took: Mutex::default(),
        });
        Self {
            lines: lines.collect(),
            rules: RwLock::new(parts.rules.clone()),
            parts,
            waiting: AtomicUsize::new(0),
            worths: RwLock::default(),
            masks: RwLock::new(Ok(Vec::new())),
        }
    }

    /// Why nothing leaves, if the policy cannot be used.
    pub fn closed(&self) -> Option<String> {
        self.rules().policy.closed().map(str::to_owned)
    }

    /// What decides now.
    pub(super) fn rules(&self) -> Rules {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.clone()
    }

    /// The upstreams by name, in order.
    pub fn upstreams(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(Line::name)
    }

    /// Lets these mask words from now on.
    pub(crate) fn mask_by(&self, masks: Masks) {
        *self.masks.write().unwrap_or_else(PoisonError::into_inner) = masks;
    }

    fn masks(&self) -> Masks {
        let masks = self.masks.read().unwrap_or_else(PoisonError::into_inner);
        masks.clone()
    }

    fn now(&self) -> Timestamp {
        (self.parts.clock)()
    }

    fn wait(&self) -> Option<Waiting<'_>> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let place = Waiting(&self.waiting);
        (waiting < MOST_WAITING).then_some(place)
    }

    /// The first field that may not go to an upstream.
    fn denied(
        &self,
        principal: &Principal,
        fields: &[(Field, DataClass)],
        line: &Line,
    ) -> Option<Field> {
        self.denied_by(&self.rules(), principal, fields, line)
    }

    fn denied_by(
        &self,
        rules: &Rules,
        principal: &Principal,
        fields: &[(Field, DataClass)],
        line: &Line,
    ) -> Option<Field> {
        let may_not = |(field, class): &&(Field, DataClass)| {
            let question = Question {
                principal,
                field: *field,
                class: *class,
                upstream: line.name(),
            };
            *class > line.upstream.settings().data_class
                || !rules.policy.decide(&question).permits()
        };
        fields.iter().find(may_not).map(|(field, _)| *field)
    }

    /// Whether so many tokens can be paid from what is left of an upstream's budgets.
    /// Where the store does not say what was paid, nothing is.
    fn affords(&self, line: &Line, prompt_tokens: usize, answer_tokens: usize) -> bool {
        let settings = line.upstream.settings();
        let cost = settings.cost(prompt_tokens, answer_tokens);
        let now = self.now();
        // What a clock that was set back has dated later counts too: `paid` has no end.
        let within = |budget: Option<f64>, since: Timestamp| {
            let Some(budget) = budget else {
                return true;
            };
            let paid = self.parts.store.paid(line.name(), since);
            paid.is_ok_and(|paid| paid + cost <= budget)
        };
        within(settings.budget_day, now.day_began())
            && within(settings.budget_month, now.month_began())
    }

    /// What is known of each upstream, for a question of a task.
    fn outlooks(&self, order: &Order<'_>, question: &Asking<'_>) -> Vec<Outlook> {
        let has_room = self.waiting.load(Ordering::Relaxed) < MOST_WAITING;
        // A token has some three bytes or more.
        let tokens = question.bytes() / 3 + 1;
        let worth = |line: &Line| match order.principal {
            Principal::Task(task) => self.worth(task, line.name()),
            Principal::Caller(_) => Worth::Unknown,
        };
        let outlook = |line: &Line| Outlook {
            worth: worth(line),
            data_class: line.upstream.settings().data_class,
            permitted: self.denied(order.principal, order.fields, line).is_none(),
            link: line.upstream.link(),
            expected: line.expected(),
            affordable: self.affords(line, tokens, question.tokens()),
            has_room,
        };
        self.lines.iter().map(outlook).collect()
    }
}

impl Node {
    /// The node with a way out of the plant.
    pub fn with_egress(mut self, egress: Egress) -> Self {
        egress.mask_by(self.normalisers.masks());
        self.egress = Some(Arc::new(egress));
        if let Err(error) = self.refresh_worths() {
            tracing::warn!(%error, "what upstreams are worth cannot be read yet");
        }
        self
    }

    /// The digest of the policy that decides now.
    pub fn policy(&self) -> Option<Digest> {
        match &self.egress {
            Some(egress) => egress.rules().digest,
            None => self.plant.policy,
        }
    }

    /// Lets other rules decide from now on, and notes that in the audit log first. Where it
    /// cannot be noted nothing changes, but for rules that close the way.
    ///
    /// # Errors
    /// If it cannot be noted.
    pub fn rule_by(&self, rules: Rules) -> Result<(), Error> {
        let Some(egress) = &self.egress else {
            return Ok(());
        };
        let detail = json!({"from": self.policy(), "to": rules.digest});
        let noted = (self.store).append_audit(Act::PolicyChanged, "node", self.now(), detail);
        if noted.is_ok() || rules.policy.closed().is_some() {
            *egress.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        }
        noted?;
        Ok(())
    }

    /// The way out of the plant, if there is one.
    pub fn egress(&self) -> Option<&Arc<Egress>> {
        self.egress.as_ref()
    }
}
