//! The one thread that drives a model.
//!
//! Jobs come through a bounded channel; each becomes a sequence, or a sequence
//! and its branches. A step is three words: schedule, run, settle. A panic
//! within a step fails the jobs that run and nothing else: weights never change,
//! and the bookkeeping is made anew.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::JoinHandle;

use andon_kernels::Kernels;
use andon_kernels::kv;
use andon_task::engine::{EngineError, Finish, Sampling, Usage};

use crate::cache::Blocks;
use crate::decoder::{Decoder, Slot, Workspace};
use crate::schedule::plan;

mod score;
mod sequence;

use score::Scoring;
use sequence::{Purpose, Sequence};

/// Tokens of a step, at most: few enough that a step takes some 50 ms.
const STEP_TOKENS: usize = 128;
/// Jobs that run side by side.
const MOST_RUNNING: usize = 16;
/// Jobs that wait; more are refused.
const MOST_WAITING: usize = 64;

/// Work for the model, with the place where its outcome goes. A place that
/// nobody listens at ends the work.
pub enum Job {
    /// Continue a text.
    Generate(Generate),
    /// Score labels.
    Score(Score),
    /// The logits after every token.
    Evaluate(Evaluate),
}

/// Continue a text.
pub struct Generate {
    /// The text.
    pub tokens: Vec<u32>,
    /// Tokens to generate, at most.
    pub most: usize,
    /// Tokens that end the text.
    pub ends: Vec<u32>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Where events go; it has room for all of them.
    pub events: SyncSender<Event>,
}

/// What happens while a text is continued.
pub enum Event {
    /// The next token.
    Token {
        /// The token.
        token: u32,
        /// Tokens of the prompt that were found in the cache.
        cached_tokens: usize,
    },
    /// The end.
    End(Result<(Finish, Usage), EngineError>),
}

/// Score labels.
pub struct Score {
    /// The text before them.
    pub prompt: Vec<u32>,
    /// Each label's tokens, with the token that ends the turn.
    pub labels: Vec<Vec<u32>>,
    /// Where the natural logarithms of their probabilities go.
    pub outcome: SyncSender<Result<(Vec<f64>, Usage), EngineError>>,
}

/// The logits after every token.
pub struct Evaluate {
    /// The text.
    pub tokens: Vec<u32>,
    /// Where the logits go, a row for each token.
    pub outcome: SyncSender<Result<Vec<f32>, EngineError>>,
}

impl Job {
    /// Blocks that the job may hold at the same time, at most.
    fn blocks(&self) -> usize {
        match self {
            Self::Generate(job) => (job.tokens.len() + job.most).div_ceil(kv::BLOCK),
            Self::Score(job) => Scoring::blocks(job),
            Self::Evaluate(job) => job.tokens.len().div_ceil(kv::BLOCK),
        }
    }

    fn fail(self, error: EngineError) {
        // A caller that has left needs no answer: the errors of `send` say no more.
        match self {
            Self::Generate(job) => drop(job.events.send(Event::End(Err(error)))),
            Self::Score(job) => drop(job.outcome.send(Err(error))),
            Self::Evaluate(job) => drop(job.outcome.send(Err(error))),
        }
    }
}

/// The thread and the way to it. Dropping it ends the thread after its step.
pub struct Worker {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread of a model with room for `blocks` blocks.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(model: Decoder, kernels: Arc<Kernels>, blocks: usize) -> std::io::Result<Self> {
        let (sender, jobs) = sync_channel(MOST_WAITING);
        let thread = std::thread::Builder::new()
            .name("andon-engine".into())
            .spawn(move || {
                let cache = model.new_cache(blocks);
                let engine = Engine {
                    model,
                    kernels,
                    workspace: Workspace::default(),
                    cache,
                    blocks: Blocks::new(blocks),
                    promised: 0,
                    running: Vec::new(),
                    blocked: None,
                    jobs,
                };
                engine.live();
            })?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    /// Puts a job before the thread.
    ///
    /// # Errors
    /// If as many jobs wait as may, or the thread has ended.
    pub fn submit(&self, job: Job) -> Result<(), EngineError> {
        let jobs = self.jobs.as_ref().ok_or_else(stopped)?;
        jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => EngineError::Overloaded {
                waiting: MOST_WAITING,
            },
            TrySendError::Disconnected(_) => stopped(),
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches the panics of its steps; there is nothing to hear.
            drop(thread.join());
        }
    }
}

/// The error of a job that the thread no longer answers.
pub fn stopped() -> EngineError {
    EngineError::Failed("the engine's thread has ended".into())
}

struct Engine {
    model: Decoder,
    kernels: Arc<Kernels>,
    workspace: Workspace,
    cache: Vec<kv::Layer>,
    blocks: Blocks,
    /// Blocks that running jobs may hold together: never more than there are.
    promised: usize,
    running: Vec<Running>,
    /// The next job, if it has to wait for blocks.
    blocked: Option<Job>,
    jobs: Receiver<Job>,
}

/// A job that runs.
struct Running {
    promised: usize,
    sequences: Vec<Sequence>,
    /// For labels: what is known of them.
    scoring: Option<Scoring>,
}

impl Engine {
    fn live(mut self) {
        while self.admit() {
            let step = catch_unwind(AssertUnwindSafe(|| self.step()));
            if let Err(panic) = step {
                self.rebuild(&reason(panic.as_ref()));
            }
        }
    }

    fn step(&mut self) {
        let plan = self.schedule();
        let logits = self.run(&plan);
        self.settle(&plan, &logits);
    }

    /// Takes jobs in while there is room; waits for one if nothing runs. False
    /// when nobody can send any more and everything is done.
    fn admit(&mut self) -> bool {
        while self.running.len() < MOST_RUNNING {
            let job = match self.blocked.take() {
                Some(job) => job,
                None if self.running.is_empty() => match self.jobs.recv() {
                    Ok(job) => job,
                    Err(_) => return false,
                },
                None => match self.jobs.try_recv() {
                    Ok(job) => job,
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                },
            };
            let blocks = job.blocks();
            if blocks > self.blocks.count() {
                let message = format!(
                    "the request needs {blocks} blocks of the KV cache, which has {}: shorten it",
                    self.blocks.count()
                );
                job.fail(EngineError::Invalid(message));
                continue;
            }
            if self.promised + blocks > self.blocks.count() {
                self.blocked = Some(job);
                break;
            }
            self.promised += blocks;
            let running = Running::new(job, blocks, &mut self.blocks);
            self.running.push(running);
        }
        true
    }

    /// How many tokens of every sequence are computed now.
    fn schedule(&mut self) -> Vec<usize> {
        for running in &mut self.running {
            running.branch(&mut self.blocks, &mut self.cache);
        }
        let sequences = self.running.iter().flat_map(|running| &running.sequences);
        let left: Vec<usize> = sequences.map(Sequence::left).collect();
        plan(&left, STEP_TOKENS)
    }

    fn run(&mut self, plan: &[usize]) -> Vec<f32> {
        let sequences = self.running.iter().flat_map(|running| &running.sequences);
        let slots: Vec<Slot<'_>> = sequences
            .zip(plan)
            .flat_map(|(sequence, &count)| sequence.slots(count))
            .collect();
        let (workspace, cache) = (&mut self.workspace, &mut self.cache);
        self.model.step(&self.kernels, workspace, cache, &slots)
    }

    /// Hands the logits to those who want them and lets go of who is done.
    fn settle(&mut self, plan: &[usize], logits: &[f32]) {
        let mut rows = logits.chunks_exact(self.model.vocabulary());
        let mut counts = plan.iter();
        for running in &mut self.running {
            let mut still = Vec::with_capacity(running.sequences.len());
            for mut sequence in std::mem::take(&mut running.sequences) {
                let count = *counts.next().expect("a count for every sequence");
                let wanted = sequence.wanted(count);
                let rows: Vec<&[f32]> = rows.by_ref().take(wanted).collect();
                sequence.advance(count, &mut self.blocks);
                let scoring = running.scoring.as_mut();
                if sequence.settle(&self.kernels, &rows, scoring) {
                    still.push(sequence);
                } else {
                    self.blocks.release(sequence.held);
                }
            }
            running.sequences = still;
        }
        let (blocks, promised) = (&mut self.blocks, &mut self.promised);
        self.running.retain_mut(|running| {
            let is_live = running.goes_on();
            if !is_live {
                running.release(blocks);
                *promised -= running.promised;
            }
            is_live
        });
    }

    /// After a panic: fails what ran and forgets all blocks.
    fn rebuild(&mut self, reason: &str) {
        tracing::error!(reason, "the engine failed in a step and is rebuilt");
        for running in self.running.drain(..) {
            running.fail(&EngineError::Failed(reason.to_owned()));
        }
        self.promised = 0;
        self.blocks = Blocks::new(self.blocks.count());
    }
}

impl Running {
    fn new(job: Job, promised: usize, blocks: &mut Blocks) -> Self {
        let (sequence, scoring) = match job {
            Job::Generate(job) => (Sequence::generate(job, blocks), None),
            Job::Score(job) => {
                let (sequence, scoring) = Scoring::start(job, blocks);
                (sequence, Some(scoring))
            }
            Job::Evaluate(job) => (Sequence::evaluate(job, blocks), None),
        };
        Self {
            promised,
            sequences: vec![sequence],
            scoring,
        }
    }

    /// Starts the branches of labels that there is room for.
    fn branch(&mut self, blocks: &mut Blocks, cache: &mut [kv::Layer]) {
        if let Some(scoring) = &mut self.scoring {
            scoring.branch(&mut self.sequences, blocks, cache);
        }
    }

    fn goes_on(&self) -> bool {
        let labels_left = self.scoring.as_ref().is_some_and(Scoring::goes_on);
        !self.sequences.is_empty() || labels_left
    }

    fn release(&mut self, blocks: &mut Blocks) {
        if let Some(scoring) = self.scoring.take() {
            scoring.finish(blocks);
        }
    }

    fn fail(self, error: &EngineError) {
        for sequence in self.sequences {
            match sequence.purpose {
                Purpose::Generate(state) => {
                    drop(state.events.send(Event::End(Err(error.clone()))));
                }
                Purpose::Evaluate(state) => drop(state.outcome.send(Err(error.clone()))),
                Purpose::Prompt | Purpose::Label(_) => {}
            }
        }
        if let Some(scoring) = self.scoring {
            scoring.fail(error.clone());
        }
    }
}

fn reason(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
