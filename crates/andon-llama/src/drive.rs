//! The one thread that owns a context, and the way to it.
//!
//! Texts are continued together, a token of each in every batch, with the prompts of those
//! that begin. Labels are weighed one question at a time, between two batches. Who comes
//! first is decided by class, then deadline, then arrival.

use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use andon_engine::adapter::Applied;
use andon_engine::drive::{
    Branch, Drive, Evaluate, Generate, Generating, Labels, Next, Pin, Score, Work,
};
use andon_kernels::Kernels;
use andon_task::engine::{EngineError, Statistics, Terms, Usage};

use crate::board::{Board, Job, go_on, over};
use crate::native::{BATCH, Entry, Fault, Native};
use crate::sequence::Sequences;

/// Jobs that wait, at most.
const WAITING: usize = 256;
/// Texts that are continued at once.
const RUNNING: usize = 16;
/// Branches of labels that are computed at once.
const BRANCHES: usize = 16;

/// The thread and the way to it. Dropping it ends the thread after its batch.
pub(crate) struct Driver {
    board: Arc<Board>,
    cells: usize,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Starts the thread.
    pub(crate) fn start(native: Native, kernels: Arc<Kernels>) -> std::io::Result<Self> {
        let board = Arc::new(Board::default());
        let cells = native.cells();
        let thread = std::thread::Builder::new().name("andon-llama".into());
        let engine = Engine {
            native,
            kernels,
            board: Arc::clone(&board),
            sequences: Sequences::new(),
            running: Vec::new(),
        };
        Ok(Self {
            board,
            cells,
            thread: Some(thread.spawn(move || engine.live())?),
        })
    }
}

impl Drive for Driver {
    fn submit(
        &self,
        work: Work,
        adapter: Option<Applied>,
        terms: &Terms,
    ) -> Result<(), EngineError> {
        if adapter.is_some() {
            return Err(EngineError::Invalid(
                "llama.cpp computes this model without adapters: leave the adapter out".into(),
            ));
        }
        if needed(&work) > self.cells {
            return Err(EngineError::Invalid(format!(
                "the request needs {} tokens of the {} that llama.cpp holds: shorten it",
                needed(&work),
                self.cells
            )));
        }
        let mut state = self.board.lock();
        if state.is_over {
            return Err(EngineError::Failed("llama.cpp's thread has ended".into()));
        }
        let waiting = state.waiting.len();
        if waiting >= WAITING {
            state.statistics.refused += 1;
            return Err(EngineError::Overloaded {
                waiting,
                retry_after: Duration::from_secs(1),
            });
        }
        state.arrivals += 1;
        let arrival = state.arrivals;
        state.waiting.push(Job {
            work,
            terms: terms.clone(),
            arrival,
        });
        self.board.changed.notify_all();
        Ok(())
    }

    fn look_after(&self) {}

    fn statistics(&self) -> Statistics {
        let state = self.board.lock();
        Statistics {
            waiting: state.waiting.len(),
            ..state.statistics
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.board.lock().is_closed = true;
        self.board.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was told to those who waited.
            drop(thread.join());
        }
    }
}

/// Tokens that a job may come to hold.
fn needed(work: &Work) -> usize {
    match work {
        Work::Generate(work) => work.tokens.len() + work.most,
        Work::Score(work) => {
            let longest = work.labels.iter().map(Vec::len).max().unwrap_or(0);
            work.prompt.len() + BRANCHES * longest
        }
        Work::Evaluate(work) => work.tokens.len(),
        Work::Pin(work) => work.tokens.len(),
        Work::Restore(_) => 0,
    }
}

/// A text that is continued.
struct Running {
    sequence: usize,
    prompt: usize,
    /// The prompt and what was said.
    tokens: Vec<u32>,
    computed: usize,
    /// Tokens that it may come to hold.
    reserved: usize,
    generating: Generating,
    terms: Terms,
}

struct Engine {
    native: Native,
    kernels: Arc<Kernels>,
    board: Arc<Board>,
    sequences: Sequences,
    running: Vec<Running>,
}

impl Drop for Engine {
    /// However the thread ends, nobody waits for it in vain.
    fn drop(&mut self) {
        let mut state = self.board.lock();
        state.is_over = true;
        for job in state.waiting.drain(..) {
            job.work
                .fail(EngineError::Failed("llama.cpp's thread has ended".into()));
        }
    }
}

impl Engine {
    fn live(mut self) {
        loop {
            match self.next_job() {
                Some(job) => self.begin(job),
                None if self.running.is_empty() => return,
                None => self.step(),
            }
        }
    }

    /// The next job for which there is room. Without any it waits, if nothing runs. `None`
    /// where a batch is due, or the thread is to end.
    fn next_job(&mut self) -> Option<Job> {
        let board = Arc::clone(&self.board);
        let mut state = board.lock();
        loop {
            if state.is_closed {
                self.running.clear();
                return None;
            }
            state.waiting.retain(|job| match over(&job.terms) {
                Some(error) => {
                    job.work.fail(error);
                    false
                }
                None => true,
            });
            state.statistics.running = self.running.len();
            let first = (0..state.waiting.len()).min_by_key(|&at| state.waiting[at].rank());
            if let Some(first) = first
                && self.running.len() < RUNNING
                && self.make_room(needed(&state.waiting[first].work))
            {
                return Some(state.waiting.swap_remove(first));
            }
            if !self.running.is_empty() {
                return None;
            }
            let changed = board.changed.wait(state);
            state = changed.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether so many tokens more can be held, once beginnings are dropped.
    fn make_room(&mut self, tokens: usize) -> bool {
        let reserved: usize = self.running.iter().map(|running| running.reserved).sum();
        let fixed = reserved + self.sequences.pinned() + tokens;
        if fixed > self.native.cells() {
            return false;
        }
        while fixed + self.sequences.loose() > self.native.cells() {
            if !self.sequences.drop_oldest(&mut self.native) {
                return false;
            }
        }
        true
    }

    fn begin(&mut self, job: Job) {
        let reserved = needed(&job.work);
        match job.work {
            Work::Generate(work) => self.begin_text(work, job.terms, reserved),
            Work::Score(work) => {
                let outcome = self.weigh(&work, &job.terms);
                drop(work.outcome.send(outcome));
            }
            Work::Evaluate(work) => {
                let outcome = self.evaluate(&work, &job.terms);
                drop(work.outcome.send(outcome));
            }
            Work::Pin(work) => {
                let outcome = self.pin(&work, &job.terms);
                drop(work.outcome.send(outcome));
            }
            work @ Work::Restore(_) => work.fail(EngineError::Invalid(
                "llama.cpp's beginnings are not kept on disk".into(),
            )),
        }
    }

    fn begin_text(&mut self, mut work: Generate, terms: Terms, reserved: usize) {
        let Some(sequence) = self.sequences.take(&mut self.native) else {
            return Work::Generate(work).fail(no_sequence());
        };
        let computed = self
            .sequences
            .begin(&mut self.native, sequence, &work.tokens);
        let usage = Usage {
            prompt_tokens: work.tokens.len(),
            cached_tokens: computed,
            completion_tokens: 0,
        };
        let mut generating = Generating::new(&mut work, usage);
        let mut tokens = work.tokens;
        let prompt = tokens.len();
        match generating.begin() {
            Next::Tokens(more) => tokens.extend(more),
            Next::Nothing => return self.sequences.give(&mut self.native, sequence),
        }
        self.board.lock().statistics.cached_tokens += computed as u64;
        self.running.push(Running {
            sequence,
            prompt,
            tokens,
            computed,
            reserved,
            generating,
            terms,
        });
    }

    /// Computes a batch: the tokens of the texts that are continued, the shortest first, so
    /// that no prompt keeps the others waiting.
    fn step(&mut self) {
        for running in std::mem::take(&mut self.running) {
            match over(&running.terms) {
                Some(error) => {
                    running.generating.fail(error);
                    self.sequences.give(&mut self.native, running.sequence);
                }
                None => self.running.push(running),
            }
        }
        let mut order: Vec<usize> = (0..self.running.len()).collect();
        let left = |running: &Running| running.tokens.len() - running.computed;
        order.sort_by_key(|&at| left(&self.running[at]));
        let mut entries = Vec::new();
        let mut parts = Vec::new();
        for at in order {
            let running = &self.running[at];
            let count = left(running).min(BATCH - entries.len());
            if count == 0 {
                continue;
            }
            let places = running.computed..running.computed + count;
            let ends = places.end == running.tokens.len();
            let tokens = &running.tokens[places.clone()];
            entries.extend(places.clone().zip(tokens).map(|(position, &token)| Entry {
                token,
                position,
                sequence: running.sequence,
                wants: ends && position + 1 == places.end,
            }));
            parts.push((at, count, ends.then(|| entries.len() - 1)));
        }
        if entries.is_empty() {
            return;
        }
        if self.compute(&entries).is_err() {
            return self.forget_all();
        }
        let mut ended = Vec::new();
        for (at, count, row) in parts {
            let running = &mut self.running[at];
            running.computed += count;
            let Some(logits) = row.and_then(|row| self.native.logits(row)) else {
                continue;
            };
            match running.generating.next(&self.kernels, logits) {
                Next::Tokens(tokens) => running.tokens.extend(tokens),
                Next::Nothing => ended.push(at),
            }
        }
        ended.sort_unstable();
        for at in ended.into_iter().rev() {
            let running = self.running.swap_remove(at);
            self.leave(running.sequence, &running.tokens[..running.prompt]);
        }
    }

    /// A sequence that begins with a computed prompt is not needed any more.
    fn leave(&mut self, sequence: usize, prompt: &[u32]) {
        let native = &mut self.native;
        self.sequences.keep(native, (sequence, prompt), false);
        self.sequences.give(native, sequence);
    }

    /// Begins anew: whoever runs is told to ask again.
    fn forget_all(&mut self) {
        for running in std::mem::take(&mut self.running) {
            running
                .generating
                .fail(EngineError::Failed("llama.cpp failed in a batch".into()));
        }
        self.native.clear();
        self.sequences.reset();
    }

    /// One batch. Where it fails, all has to begin anew.
    fn compute(&mut self, entries: &[Entry]) -> Result<(), EngineError> {
        let computed = self.native.compute(entries);
        let mut state = self.board.lock();
        state.statistics.steps += 1;
        state.statistics.computed_tokens += entries.len() as u64;
        computed.map_err(|fault: Fault| {
            state.statistics.failures += 1;
            tracing::error!(%fault, "a batch failed; all that was computed is forgotten");
            EngineError::Failed(fault.to_string())
        })
    }

    /// Runs `work` with a sequence of its own.
    fn with_sequence<T>(
        &mut self,
        work: impl FnOnce(&mut Self, usize) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let sequence = self.sequences.take(&mut self.native);
        let sequence = sequence.ok_or_else(no_sequence)?;
        let outcome = work(self, sequence);
        // After a failed batch there is nothing to give back, and what was drawn for
        // texts that are continued is lost.
        match outcome {
            Err(EngineError::Failed(_)) => self.forget_all(),
            _ => self.sequences.give(&mut self.native, sequence),
        }
        outcome
    }

    /// Computes a prompt in a sequence, but for what is known of it. The logits of its last
    /// token, and how many tokens were known.
    fn prompt(
        &mut self,
        sequence: usize,
        prompt: &[u32],
        terms: &Terms,
    ) -> Result<(Vec<f32>, usize), EngineError> {
        let known = self.sequences.begin(&mut self.native, sequence, prompt);
        let mut from = known;
        loop {
            go_on(terms)?;
            let to = (from + BATCH).min(prompt.len());
            let entries: Vec<Entry> = (from..to)
                .map(|position| Entry {
                    token: prompt[position],
                    position,
                    sequence,
                    wants: position + 1 == prompt.len(),
                })
                .collect();
            self.compute(&entries)?;
            from = to;
            if from == prompt.len() {
                let logits = self.native.logits(entries.len() - 1);
                let logits = logits.ok_or_else(no_logits)?.to_vec();
                return Ok((logits, known));
            }
        }
    }

    fn weigh(&mut self, work: &Score, terms: &Terms) -> Result<(Vec<f64>, Usage), EngineError> {
        self.with_sequence(|engine, sequence| {
            let (logits, cached_tokens) = engine.prompt(sequence, &work.prompt, terms)?;
            let mut labels = Labels::new(work.labels.clone());
            labels.learn(Branch { label: 0, depth: 0 }, |token| {
                logits[token as usize]
            });
            let mut usage = Usage {
                prompt_tokens: work.prompt.len(),
                cached_tokens,
                completion_tokens: 0,
            };
            loop {
                let round = labels.next_round();
                if round.is_empty() {
                    break;
                }
                for branches in round.chunks(BRANCHES) {
                    go_on(terms)?;
                    usage.completion_tokens += branches.iter().map(|b| b.depth).sum::<usize>();
                    engine.branch(sequence, work.prompt.len(), branches, &mut labels)?;
                }
            }
            let native = &mut engine.native;
            engine
                .sequences
                .keep(native, (sequence, &work.prompt), false);
            let shares = labels.shares();
            match shares.iter().all(|share| share.is_finite()) {
                true => Ok((shares, usage)),
                false => Err(EngineError::Failed(
                    "the model's logits are no numbers".into(),
                )),
            }
        })
    }

    /// Computes branches behind a prompt, and learns what may follow each.
    fn branch(
        &mut self,
        prompt: usize,
        length: usize,
        branches: &[Branch],
        labels: &mut Labels,
    ) -> Result<(), EngineError> {
        let mut sequences = Vec::new();
        for _ in branches {
            let sequence = self.sequences.take(&mut self.native);
            let sequence = sequence.ok_or_else(no_sequence)?;
            self.native.share(prompt, sequence, length);
            sequences.push(sequence);
        }
        let outcome = self.learn_branches((length, branches, &sequences), labels);
        if outcome.is_ok() {
            for sequence in sequences {
                self.sequences.give(&mut self.native, sequence);
            }
        }
        outcome
    }

    fn learn_branches(
        &mut self,
        (length, branches, sequences): (usize, &[Branch], &[usize]),
        labels: &mut Labels,
    ) -> Result<(), EngineError> {
        let mut from = 0;
        while from < branches.len() {
            let (mut entries, mut rows) = (Vec::new(), Vec::new());
            for (&branch, &sequence) in branches[from..].iter().zip(&sequences[from..]) {
                let path = &labels.tokens(branch.label)[..branch.depth];
                if entries.len() + path.len() > BATCH {
                    break;
                }
                entries.extend(path.iter().enumerate().map(|(at, &token)| Entry {
                    token,
                    position: length + at,
                    sequence,
                    wants: at + 1 == path.len(),
                }));
                rows.push((branch, entries.len() - 1));
            }
            if rows.is_empty() {
                return Err(EngineError::Invalid(format!(
                    "a label has more than {BATCH} tokens: shorten it"
                )));
            }
            self.compute(&entries)?;
            from += rows.len();
            for (branch, row) in rows {
                let logits = self.native.logits(row).ok_or_else(no_logits)?;
                labels.learn(branch, |token| logits[token as usize]);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, work: &Evaluate, terms: &Terms) -> Result<Vec<f32>, EngineError> {
        self.with_sequence(|engine, sequence| {
            let mut rows = Vec::with_capacity(work.tokens.len() * engine.native.vocabulary());
            for (part, tokens) in work.tokens.chunks(BATCH).enumerate() {
                go_on(terms)?;
                let entries: Vec<Entry> = (part * BATCH..)
                    .zip(tokens)
                    .map(|(position, &token)| Entry {
                        token,
                        position,
                        sequence,
                        wants: true,
                    })
                    .collect();
                engine.compute(&entries)?;
                for row in 0..entries.len() {
                    rows.extend_from_slice(engine.native.logits(row).ok_or_else(no_logits)?);
                }
            }
            Ok(rows)
        })
    }

    /// Computes a beginning that many requests have, and keeps it. Half of the context is
    /// left to requests: what does not fit the other half is computed when it is needed.
    fn pin(&mut self, work: &Pin, terms: &Terms) -> Result<Vec<u8>, EngineError> {
        if self.sequences.pinned() + work.tokens.len() > self.native.cells() / 2 {
            tracing::warn!("there is no room to keep another beginning");
            return Ok(Vec::new());
        }
        self.with_sequence(|engine, sequence| {
            engine.prompt(sequence, &work.tokens, terms)?;
            let native = &mut engine.native;
            if !engine
                .sequences
                .keep(native, (sequence, &work.tokens), true)
            {
                tracing::warn!("there is no sequence to keep another beginning");
            }
            Ok(Vec::new())
        })
    }
}

fn no_sequence() -> EngineError {
    EngineError::Failed("llama.cpp has no sequence left".into())
}

fn no_logits() -> EngineError {
    EngineError::Failed("llama.cpp gave no logits".into())
}
