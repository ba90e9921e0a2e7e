//! The life of the thread: schedule, run, settle.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use andon_kernels::{Kernels, kv};
use andon_task::engine::{EngineError, Statistics};

use super::Model;
use super::board::{Choice, Standing, Tenure};
use super::job::{Job, Work};
use super::pin;
use super::running::Running;
use super::score::Scoring;
use super::sequence::{Course, Drafts, Purpose, Sequence};
use crate::adapter::Variant;
use crate::cache::{Blocks, Found, Held};
use crate::decoder::{Logits, Slot, Workspace};
use crate::lookup::Acceptance;
use crate::schedule::{Budget, Demand, Fairness, Machines, Rank, plan};

/// Jobs that run side by side.
const MOST_RUNNING: usize = 256;

/// Steps of machines that a step of others lets pass; as many as it has tokens if these
/// are more.
const LEAST_OVERTAKING: usize = 8;

/// Drafts pay where this share of them comes true: a step of nine tokens takes about
/// twice as long as one of one.
const DRAFTS_PAY_FROM: f64 = 0.2;
/// Kinds of work for which it is known whether drafts pay.
const MOST_KINDS: usize = 1024;

pub(super) struct Engine {
    model: Arc<dyn Model>,
    kernels: Arc<Kernels>,
    tenure: Tenure,
    /// One, and another once a step was overtaken.
    workspaces: Vec<Workspace>,
    blocks: Blocks,
    /// In the order of their ranks.
    running: Vec<Running>,
    /// Of those whose step is being overtaken: what they still have to compute.
    overtaken: Option<Vec<(Rank, usize)>>,
    /// Beginnings that are kept for good.
    pinned: Vec<Held>,
    /// Where drafts pay.
    acceptance: Acceptance<u64>,
    fairness: Fairness,
    statistics: Statistics,
}

/// What came of a step.
struct Computed {
    logits: Logits,
    /// How long it took, without those that overtook it.
    took: Duration,
    /// Of these, who is not done.
    overtakers: Vec<Running>,
}

impl Engine {
    pub(super) fn new(
        model: Arc<dyn Model>,
        kernels: Arc<Kernels>,
        tenure: Tenure,
        blocks: usize,
    ) -> Self {
        Self {
            model,
            kernels,
            tenure,
            workspaces: Vec::new(),
            blocks: Blocks::new(blocks),
            running: Vec::new(),
            overtaken: None,
            pinned: Vec::new(),
            acceptance: Acceptance::new(DRAFTS_PAY_FROM, MOST_KINDS),
            fairness: Fairness::default(),
            statistics: Statistics {
                blocks,
                ..Statistics::default()
            },
        }
    }

    /// Works until the board is closed or another's.
    pub(super) fn live(mut self) {
        self.tenure.renew_pins();
        let mut cache = self.model.new_cache(self.blocks.count());
        loop {
            if self.running.is_empty() && !self.tenure.rest() || self.tenure.is_over() {
                return;
            }
            let step = catch_unwind(AssertUnwindSafe(|| self.step(&mut cache)));
            if let Err(panic) = step {
                self.rebuild(&reason(panic.as_ref()));
            }
        }
    }

    /// One step, if there is anything to compute.
    fn step(&mut self, cache: &mut [kv::Layer]) -> bool {
        self.admit(cache);
        let plan = self.schedule(cache);
        let tokens = plan.iter().sum();
        if tokens == 0 {
            // Who has left is not to be counted any longer.
            let standing = self.standing();
            self.tenure.tell(standing);
            return false;
        }
        self.tenure.begin(tokens);
        let Computed {
            logits,
            took,
            overtakers,
        } = self.run(&plan, cache);
        self.settle(&plan, &logits, cache);
        for running in overtakers {
            self.insert(running);
        }
        self.statistics.steps += 1;
        self.statistics.computed_tokens += tokens as u64;
        let standing = self.standing();
        self.tenure.end(tokens, took, standing);
        true
    }

    /// Machines that have come while a step of others is computed are answered between
    /// two of its layers, in at most `most` steps of their own; returns how many it took.
    /// Nobody in the step that waits is touched.
    fn overtake(&mut self, most: usize, cache: &mut [kv::Layer]) -> usize {
        let mut steps = 0;
        while steps < most && (self.tenure.is_machine_waiting() || !self.running.is_empty()) {
            if !self.step(cache) {
                break;
            }
            steps += 1;
        }
        steps
    }

    /// Takes in waiting jobs for which there is room, the first in rank first.
    fn admit(&mut self, cache: &mut [kv::Layer]) {
        let overtakes = self.overtaken.is_some();
        while self.running.len() < MOST_RUNNING {
            let (running, blocks) = (&self.running, &self.blocks);
            // What those that run still need for what they have begun.
            let promised: usize = running
                .iter()
                .flat_map(|running| &running.sequences)
                .map(Sequence::missing_blocks)
                .sum();
            let taken = self.tenure.take(|job| {
                if overtakes && !job.rank.is_machine() {
                    return Choice::Stop;
                }
                let prompt = job.work.prompt();
                let needed = promised + prompt.len() / kv::BLOCK + 2;
                // Those behind in rank give way when it comes to that, but not within
                // their step.
                let is_first = !overtakes && running.iter().all(|other| job.rank < other.job.rank);
                if needed > blocks.available() && !is_first {
                    return Choice::Stop;
                }
                let is_computed = |other: &Running| other.is_computing(job, blocks);
                match running.iter().any(is_computed) {
                    true => Choice::Leave,
                    false => Choice::Take,
                }
            });
            match taken {
                Some(job) => self.start(job, cache),
                None => return,
            }
        }
    }

    fn start(&mut self, mut job: Job, cache: &mut [kv::Layer]) {
        let variant = job.variant();
        let found = match job.work {
            Work::Evaluate(_) | Work::Restore(_) => Found {
                held: self.blocks.begin(variant),
                ..Found::default()
            },
            _ => self.find(variant, job.work.prompt(), cache),
        };
        self.statistics.cached_tokens += found.tokens as u64;
        let (sequence, scoring) = match &mut job.work {
            Work::Generate(work) => {
                let drafts = match self.acceptance.allows(&work.kind) {
                    true => Drafts::Made,
                    false => Drafts::NotMade,
                };
                match Sequence::generate(work, found, drafts) {
                    Ok(sequence) => (sequence, None),
                    Err(held) => return self.blocks.release(held),
                }
            }
            Work::Score(work) => {
                let (sequence, scoring) = Scoring::start(work, found);
                (sequence, Some(scoring))
            }
            Work::Evaluate(work) => (Sequence::evaluate(work, found), None),
            Work::Pin(work) => (Sequence::pin(&work.tokens, found), None),
            Work::Restore(work) => {
                let restored = pin::restore(work, found.held, &mut self.blocks, cache);
                let outcome = restored.map(|held| {
                    self.tenure.note_pin(&work.tokens, job.adapter.as_ref());
                    self.pinned.push(held);
                });
                // A caller that has left needs no answer.
                drop(work.outcome.send(outcome));
                return;
            }
        };
        self.insert(Running {
            job,
            sequences: vec![sequence],
            scoring,
        });
    }

    fn insert(&mut self, running: Running) {
        let is_before = |other: &Running| other.job.rank < running.job.rank;
        let at = self.running.partition_point(is_before);
        self.running.insert(at, running);
    }

    /// The beginning of a text, as far as the cache has it.
    fn find(&mut self, variant: Variant, tokens: &[u32], cache: &mut [kv::Layer]) -> Found {
        let found = self.blocks.match_prefix(variant, tokens);
        if let Some((from, to)) = found.copy {
            let layers = cache.iter_mut();
            layers.for_each(|layer| layer.copy_block(from, to));
        }
        found
    }

    /// How many tokens of every sequence are computed now; there are blocks for
    /// all of them.
    fn schedule(&mut self, cache: &mut [kv::Layer]) -> Vec<usize> {
        self.dismiss();
        let is_run = self.running.iter().any(|other| other.job.rank.is_machine());
        let machines = Machines {
            is_run,
            last: self.tenure.last_machine(),
            layers: cache.len(),
        };
        let speed = self.tenure.speed();
        let budget = Budget::new(&speed, machines, Instant::now(), &self.fairness);
        loop {
            for running in &mut self.running {
                running.branch(&mut self.blocks, cache);
            }
            let demands: Vec<Demand> = self
                .running
                .iter()
                .flat_map(|running| {
                    let rank = running.job.rank;
                    running.sequences.iter().map(move |sequence| Demand {
                        rank,
                        left: sequence.left(),
                    })
                })
                .collect();
            let plan = plan(&demands, budget);
            let mut sequences = self.running.iter_mut().flat_map(|r| &mut r.sequences);
            let is_granted = plan.iter().all(|&count| {
                let sequence = sequences.next().expect("a sequence for every count");
                sequence.secure(count, &mut self.blocks)
            });
            let is_idle = plan.iter().all(|&count| count == 0) && !self.running.is_empty();
            if is_granted && !is_idle {
                if self.overtaken.is_none() {
                    self.fairness.note(&demands, &plan);
                }
                return self.foresee(plan, budget, cache);
            }
            // Blocks are short: the last in rank gives its own back.
            self.suspend_last();
            if self.running.is_empty() {
                return Vec::new();
            }
        }
    }

    /// Adds to a step what prompts that end in it may ask for next, where there is room.
    fn foresee(&mut self, plan: Vec<usize>, budget: Budget, cache: &mut [kv::Layer]) -> Vec<usize> {
        let mut used: usize = plan.iter().sum();
        let mut counts = plan.into_iter();
        let mut whole = Vec::with_capacity(counts.len());
        for running in &mut self.running {
            let own = counts.by_ref().take(running.sequences.len());
            let from = whole.len();
            whole.extend(own);
            let room = budget.limit(running.job.rank).saturating_sub(used);
            running.foresee(&whole[from..], room, &mut self.blocks, cache);
            let added = running.sequences[whole.len() - from..].iter();
            let added: Vec<usize> = added.map(Sequence::left).collect();
            used += added.iter().sum::<usize>();
            whole.extend(added);
        }
        whole
    }

    /// Lets go of those whose callers have left or whose time is over.
    fn dismiss(&mut self) {
        let now = Instant::now();
        let blocks = &mut self.blocks;
        self.running.retain_mut(|running| {
            let terms = &running.job.terms;
            let error = if terms.departure.is_announced() {
                EngineError::Cancelled
            } else if terms.deadline.is_some_and(|deadline| deadline < now) {
                EngineError::DeadlinePassed
            } else {
                return true;
            };
            running.fail(&error);
            running.release(blocks);
            false
        });
    }

    /// The last in rank waits again, and begins anew later.
    fn suspend_last(&mut self) {
        let Some(mut running) = self.running.pop() else {
            return;
        };
        running.release(&mut self.blocks);
        if self.running.is_empty() && self.overtaken.is_none() {
            let message = "the KV cache has no room for the request beside what is pinned";
            running.fail(&EngineError::Invalid(message.into()));
            return;
        }
        self.statistics.suspended += 1;
        running.remember();
        self.tenure.put_back(running.job);
    }

    /// Computes what was planned. Machines that come meanwhile may overtake, unless one
    /// is among those whose step it is.
    fn run(&mut self, plan: &[usize], cache: &mut [kv::Layer]) -> Computed {
        let began = Instant::now();
        let tokens: usize = plan.iter().sum();
        let is_urgent = self.running.iter().any(|other| other.job.rank.is_machine());
        let (model, kernels) = (Arc::clone(&self.model), Arc::clone(&self.kernels));
        let mut workspace = self.workspaces.pop().unwrap_or_default();
        let running = std::mem::take(&mut self.running);
        let sequences = running.iter().flat_map(|running| {
            let adapter = running.job.adapter.as_ref();
            let sequences = running.sequences.iter();
            sequences.map(move |sequence| (sequence, adapter))
        });
        let slots: Vec<Slot<'_>> = sequences
            .zip(plan)
            .flat_map(|((sequence, adapter), &count)| sequence.slots(count, adapter))
            .collect();
        let mut lost = Duration::ZERO;
        // A bounded number of their steps: this one comes to its end.
        let mut left = tokens.max(LEAST_OVERTAKING);
        let mut pause = |cache: &mut [kv::Layer]| {
            if is_urgent || left == 0 || !self.tenure.is_machine_waiting() {
                return;
            }
            let since = Instant::now();
            self.overtaken = Some(backlog(&running));
            left -= self.overtake(left, cache);
            self.overtaken = None;
            self.tenure.begin(tokens);
            lost += since.elapsed();
        };
        let step = catch_unwind(AssertUnwindSafe(|| {
            model.step(&kernels, &mut workspace, cache, &slots, &mut pause)
        }));
        drop(slots);
        self.workspaces.push(workspace);
        let overtakers = std::mem::replace(&mut self.running, running);
        match step {
            Ok(logits) => Computed {
                logits,
                took: began.elapsed().saturating_sub(lost),
                overtakers,
            },
            // All that run are in their place, for whoever catches it.
            Err(panic) => {
                self.running.extend(overtakers);
                resume_unwind(panic)
            }
        }
    }

    /// Hands the logits to those who want them and lets go of who is done.
    fn settle(&mut self, plan: &[usize], logits: &Logits, cache: &[kv::Layer]) {
        let vocabulary = self.model.vocabulary();
        let mut whole = logits.whole.chunks_exact(vocabulary);
        let mut partial = logits.partial.chunks_exact(vocabulary);
        let mut counts = plan.iter();
        for running in &mut self.running {
            let mut still = Vec::with_capacity(running.sequences.len());
            for mut sequence in std::mem::take(&mut running.sequences) {
                let count = *counts.next().expect("a count for every sequence");
                let wanted = sequence.wanted(count);
                let rows = match sequence.choices.is_empty() {
                    true => &mut whole,
                    false => &mut partial,
                };
                let rows: Vec<&[f32]> = rows.take(wanted).collect();
                sequence.advance(count, &mut self.blocks);
                let scoring = running.scoring.as_mut();
                match sequence.settle(&self.kernels, &rows, scoring) {
                    Course::GoesOn => still.push(sequence),
                    Course::Ended => {
                        if let (Purpose::Generate(state), Work::Generate(work)) =
                            (&sequence.purpose, &running.job.work)
                        {
                            let (drafted, accepted) = state.drafts();
                            self.acceptance.record(&work.kind, drafted, accepted);
                        }
                        let kept = running.end(sequence, &mut self.blocks, cache);
                        if let Some(held) = kept {
                            let job = &running.job;
                            self.tenure
                                .note_pin(job.work.prompt(), job.adapter.as_ref());
                            self.pinned.push(held);
                        }
                    }
                }
            }
            running.sequences = still;
            if let Some(scoring) = &mut running.scoring {
                scoring.proceed();
            }
        }
        let blocks = &mut self.blocks;
        self.running.retain_mut(|running| {
            let is_live = running.goes_on();
            if !is_live {
                running.finish(blocks);
            }
            is_live
        });
    }

    /// What runs, and what it takes.
    fn standing(&mut self) -> Standing {
        let mut backlog = self.overtaken.clone().unwrap_or_default();
        backlog.extend(self::backlog(&self.running));
        self.statistics.running = backlog.len();
        self.statistics.free_blocks = self.blocks.available();
        Standing {
            backlog,
            statistics: self.statistics,
        }
    }

    /// After a panic: fails what ran and forgets all blocks.
    fn rebuild(&mut self, reason: &str) {
        tracing::error!(reason, "the engine failed in a step and is rebuilt");
        self.statistics.failures += 1;
        for running in &mut self.running {
            running.fail(&EngineError::Failed(reason.to_owned()));
        }
        self.running.clear();
        self.overtaken = None;
        self.pinned.clear();
        self.blocks = Blocks::new(self.blocks.count());
        let standing = self.standing();
        self.tenure.tell(standing);
        self.tenure.renew_pins();
    }
}

/// What each still has to compute.
fn backlog(running: &[Running]) -> Vec<(Rank, usize)> {
    let backlog = running.iter().map(|running| {
        let left = running.sequences.iter().map(Sequence::left).sum();
        (running.job.rank, left)
    });
    backlog.collect()
}

/// What a panic says, unless it was put together: that may quote a text.
fn reason(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map_or_else(|| "a panic".to_owned(), |text| (*text).to_owned())
}
