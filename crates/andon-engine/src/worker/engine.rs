//! The life of the thread: schedule, run, settle.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use andon_kernels::{Kernels, kv};
use andon_task::engine::{EngineError, Statistics};

use super::Model;
use super::board::{Choice, Standing, Tenure};
use super::job::{Job, Work};
use super::pin;
use super::score::Scoring;
use super::sequence::{Course, Drafts, Purpose, Sequence};
use crate::adapter::Variant;
use crate::cache::{Blocks, Found, Held};
use crate::decoder::{Logits, Slot, Workspace};
use crate::lookup::Acceptance;
use crate::schedule::{Budget, Demand, Fairness, plan};

/// Jobs that run side by side.
const MOST_RUNNING: usize = 256;

/// Drafts pay where this share of them comes true: a step of nine tokens takes about
/// twice as long as one of one.
const DRAFTS_PAY_FROM: f64 = 0.2;
/// Kinds of work for which it is known whether drafts pay.
const MOST_KINDS: usize = 1024;

pub(super) struct Engine {
    model: Arc<dyn Model>,
    kernels: Arc<Kernels>,
    tenure: Tenure,
    workspace: Workspace,
    cache: Vec<kv::Layer>,
    blocks: Blocks,
    /// In the order of their ranks.
    running: Vec<Running>,
    /// Beginnings that are kept for good.
    pinned: Vec<Held>,
    /// Where drafts pay.
    acceptance: Acceptance<u64>,
    fairness: Fairness,
    statistics: Statistics,
}

/// A job that runs.
pub(super) struct Running {
    job: Job,
    sequences: Vec<Sequence>,
    /// For labels: what is known of them.
    scoring: Option<Scoring>,
}

impl Engine {
    pub(super) fn new(
        model: Arc<dyn Model>,
        kernels: Arc<Kernels>,
        tenure: Tenure,
        blocks: usize,
    ) -> Self {
        Self {
            cache: model.new_cache(blocks),
            model,
            kernels,
            tenure,
            workspace: Workspace::default(),
            blocks: Blocks::new(blocks),
            running: Vec::new(),
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
        loop {
            if self.running.is_empty() && !self.tenure.rest() || self.tenure.is_over() {
                return;
            }
            let step = catch_unwind(AssertUnwindSafe(|| self.step()));
            if let Err(panic) = step {
                self.rebuild(&reason(panic.as_ref()));
            }
        }
    }

    fn step(&mut self) {
        self.admit();
        let plan = self.schedule();
        let tokens = plan.iter().sum();
        if tokens == 0 {
            // Who has left is not to be counted any longer.
            let standing = self.standing();
            self.tenure.tell(standing);
            return;
        }
        self.tenure.begin(tokens);
        let began = Instant::now();
        let logits = self.run(&plan);
        self.settle(&plan, &logits);
        self.report(tokens, began);
    }

    /// Takes in waiting jobs for which there is room, the first in rank first.
    fn admit(&mut self) {
        while self.running.len() < MOST_RUNNING {
            let (running, blocks) = (&self.running, &self.blocks);
            // What those that run still need for what they have begun.
            let promised: usize = running
                .iter()
                .flat_map(|running| &running.sequences)
                .map(Sequence::missing_blocks)
                .sum();
            let taken = self.tenure.take(|job| {
                let prompt = job.work.prompt();
                let needed = promised + prompt.len() / kv::BLOCK + 2;
                // Those behind in rank give way when it comes to that.
                let is_first = running.iter().all(|other| job.rank < other.job.rank);
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
                Some(job) => self.start(job),
                None => return,
            }
        }
    }

    fn start(&mut self, mut job: Job) {
        let variant = job.variant();
        let found = match job.work {
            Work::Evaluate(_) | Work::Restore(_) => Found {
                held: self.blocks.begin(variant),
                ..Found::default()
            },
            _ => self.find(variant, job.work.prompt()),
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
                let restored = pin::restore(work, found.held, &mut self.blocks, &mut self.cache);
                let outcome = restored.map(|held| {
                    self.tenure.note_pin(&work.tokens, job.adapter.as_ref());
                    self.pinned.push(held);
                });
                // A caller that has left needs no answer.
                drop(work.outcome.send(outcome));
                return;
            }
        };
        let at = self
            .running
            .partition_point(|other| other.job.rank < job.rank);
        let running = Running {
            job,
            sequences: vec![sequence],
            scoring,
        };
        self.running.insert(at, running);
    }

    /// The beginning of a text, as far as the cache has it.
    fn find(&mut self, variant: Variant, tokens: &[u32]) -> Found {
        let found = self.blocks.match_prefix(variant, tokens);
        if let Some((from, to)) = found.copy {
            let layers = self.cache.iter_mut();
            layers.for_each(|layer| layer.copy_block(from, to));
        }
        found
    }

    /// How many tokens of every sequence are computed now; there are blocks for
    /// all of them.
    fn schedule(&mut self) -> Vec<usize> {
        self.dismiss();
        let budget = Budget::new(
            &self.tenure.speed(),
            self.tenure.last_machine(),
            Instant::now(),
            &self.fairness,
        );
        loop {
            for running in &mut self.running {
                running.branch(&mut self.blocks, &mut self.cache);
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
                self.fairness.note(&demands, &plan);
                return self.foresee(plan, budget);
            }
            // Blocks are short: the last in rank gives its own back.
            self.suspend_last();
            if self.running.is_empty() {
                return Vec::new();
            }
        }
    }

    /// Adds to a step what prompts that end in it may ask for next, where there is room.
    fn foresee(&mut self, plan: Vec<usize>, budget: Budget) -> Vec<usize> {
        let mut used: usize = plan.iter().sum();
        let mut counts = plan.into_iter();
        let mut whole = Vec::with_capacity(counts.len());
        for running in &mut self.running {
            let own = counts.by_ref().take(running.sequences.len());
            let from = whole.len();
            whole.extend(own);
            let room = budget.limit(running.job.rank).saturating_sub(used);
            running.foresee(&whole[from..], room, &mut self.blocks, &mut self.cache);
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
        if self.running.is_empty() {
            let message = "the KV cache has no room for the request beside what is pinned";
            running.fail(&EngineError::Invalid(message.into()));
            return;
        }
        self.statistics.suspended += 1;
        running.remember();
        self.tenure.put_back(running.job);
    }

    fn run(&mut self, plan: &[usize]) -> Logits {
        let sequences = self.running.iter().flat_map(|running| {
            let adapter = running.job.adapter.as_ref();
            let sequences = running.sequences.iter();
            sequences.map(move |sequence| (sequence, adapter))
        });
        let slots: Vec<Slot<'_>> = sequences
            .zip(plan)
            .flat_map(|((sequence, adapter), &count)| sequence.slots(count, adapter))
            .collect();
        let (workspace, cache) = (&mut self.workspace, &mut self.cache);
        self.model.step(&self.kernels, workspace, cache, &slots)
    }

    /// Hands the logits to those who want them and lets go of who is done.
    fn settle(&mut self, plan: &[usize], logits: &Logits) {
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
                        let kept = running.end(sequence, &mut self.blocks, &self.cache);
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

    fn report(&mut self, tokens: usize, began: Instant) {
        self.statistics.steps += 1;
        self.statistics.computed_tokens += tokens as u64;
        let standing = self.standing();
        self.tenure.end(tokens, began.elapsed(), standing);
    }

    /// What runs, and what it takes.
    fn standing(&mut self) -> Standing {
        self.statistics.running = self.running.len();
        self.statistics.free_blocks = self.blocks.available();
        let backlog = self.running.iter().map(|running| {
            let left = running.sequences.iter().map(Sequence::left).sum();
            (running.job.rank, left)
        });
        Standing {
            backlog: backlog.collect(),
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
        self.pinned.clear();
        self.blocks = Blocks::new(self.blocks.count());
        let standing = self.standing();
        self.tenure.tell(standing);
        self.tenure.renew_pins();
    }
}

impl Running {
    /// Whether this job, not behind `other` in rank, is about to compute more of the
    /// beginning of its prompt than the cache has: who waits a little saves that.
    fn is_computing(&self, other: &Job, blocks: &Blocks) -> bool {
        let (prompt, variant) = (other.work.prompt(), other.variant());
        self.job.rank < other.rank
            && self.job.variant() == variant
            && self.sequences.iter().any(|sequence| {
                let common = sequence.common_blocks(prompt);
                common * kv::BLOCK > sequence.computed && common > blocks.known(variant, prompt) + 1
            })
    }

    /// Starts the branches of labels that there is room for.
    fn branch(&mut self, blocks: &mut Blocks, cache: &mut [kv::Layer]) {
        if let Some(scoring) = &mut self.scoring {
            scoring.branch(&mut self.sequences, blocks, cache);
        }
    }

    /// Begins what a prompt that ends with this step may ask for next.
    fn foresee(
        &mut self,
        counts: &[usize],
        room: usize,
        blocks: &mut Blocks,
        cache: &mut [kv::Layer],
    ) {
        let Some(scoring) = &self.scoring else {
            return;
        };
        if let ([prompt], [count]) = (self.sequences.as_mut_slice(), counts)
            && matches!(prompt.purpose, Purpose::Prompt)
            && *count == prompt.left()
        {
            let begun = scoring.foresee(prompt, room, blocks, cache);
            self.sequences.extend(begun);
        }
    }

    fn goes_on(&self) -> bool {
        let labels_left = self.scoring.as_ref().is_some_and(Scoring::goes_on);
        !self.sequences.is_empty() || labels_left
    }

    /// Gives all blocks back.
    fn release(&mut self, blocks: &mut Blocks) {
        for sequence in &mut self.sequences {
            sequence.retire(blocks);
        }
        if let Some(scoring) = &mut self.scoring {
            scoring.release(blocks);
        }
    }

    /// Lets go of a sequence at its end; what is to be kept for good is returned.
    fn end(
        &self,
        mut sequence: Sequence,
        blocks: &mut Blocks,
        cache: &[kv::Layer],
    ) -> Option<Held> {
        // Callers that have left need no answers.
        match (&self.job.work, &mut sequence.purpose) {
            (Work::Evaluate(work), Purpose::Evaluate(logits)) => {
                drop(work.outcome.send(Ok(std::mem::take(logits))));
            }
            (Work::Pin(work), Purpose::Pin) => {
                let (held, content) = sequence.keep(blocks, cache);
                drop(work.outcome.send(Ok(content)));
                return Some(held);
            }
            _ => {}
        }
        sequence.retire(blocks);
        None
    }

    /// Answers what is answered at the end of all sequences.
    fn finish(&mut self, blocks: &mut Blocks) {
        if let (Some(scoring), Work::Score(work)) = (&mut self.scoring, &self.job.work) {
            scoring.release(blocks);
            drop(work.outcome.send(scoring.outcome()));
        }
    }

    /// Puts into the job what it has come to, so that it can go on later.
    fn remember(&mut self) {
        for sequence in self.sequences.drain(..) {
            if let (Purpose::Generate(state), Work::Generate(work)) =
                (sequence.purpose, &mut self.job.work)
            {
                work.tokens = sequence.tokens;
                work.progress = Some(state);
            }
        }
    }

    fn fail(&self, error: &EngineError) {
        self.job.work.fail(error.clone());
    }
}

/// What a panic says, unless it was put together: that may quote a text.
fn reason(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map_or_else(|| "a panic".to_owned(), |text| (*text).to_owned())
}
