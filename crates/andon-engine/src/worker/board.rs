//! Where jobs wait, and what is known outside of the thread about it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use andon_task::engine::{EngineError, Statistics, Terms};
use andon_task::task::Class;

use super::job::{Job, Pin, Work};
use crate::adapter::{Applied, Variant};
use crate::schedule::{Rank, STEP_TOKENS};
use crate::speed::Speed;

/// Jobs that wait; more are refused.
const MOST_WAITING: usize = 256;
/// A step that takes so many times what was foretold is stuck.
const STUCK: u32 = 50;
/// Before any step was measured, nothing is stuck that is younger.
const FIRST_STEP: Duration = Duration::from_secs(120);
/// A client is never asked to come back sooner.
const SOONEST: Duration = Duration::from_millis(100);

pub(super) struct Board {
    state: Mutex<State>,
    bell: Condvar,
}

struct State {
    waiting: Vec<Job>,
    /// Tokens that running jobs still have to compute before they can answer.
    backlog: Vec<(Rank, usize)>,
    speed: Speed,
    last_machine: Option<Instant>,
    arrivals: u64,
    /// Which thread the board is for: those before it were stuck.
    tenure: u64,
    /// When the step began that is computed now, and how long it should take.
    step: Option<(Instant, Option<Duration>)>,
    is_closed: bool,
    /// Beginnings that are kept for good: a new thread computes them anew.
    pins: Vec<(Vec<u32>, Option<Applied>)>,
    statistics: Statistics,
}

impl Board {
    pub(super) fn new(blocks: usize) -> Self {
        Self {
            state: Mutex::new(State {
                waiting: Vec::new(),
                backlog: Vec::new(),
                speed: Speed::default(),
                last_machine: None,
                arrivals: 0,
                tenure: 0,
                step: None,
                is_closed: false,
                pins: Vec::new(),
                statistics: Statistics {
                    blocks,
                    ..Statistics::default()
                },
            }),
            bell: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a job wait, if there is room and time for it.
    pub(super) fn put(
        &self,
        work: Work,
        adapter: Option<Applied>,
        terms: &Terms,
    ) -> Result<(), EngineError> {
        let mut state = self.lock();
        let now = Instant::now();
        state.arrivals += 1;
        let rank = Rank::new(terms.class, terms.deadline, state.arrivals);
        if state.waiting.len() >= MOST_WAITING {
            state.statistics.refused += 1;
            return Err(EngineError::Overloaded {
                waiting: state.waiting.len(),
                retry_after: state.time_for(None, 0).max(SOONEST),
            });
        }
        if let Some(deadline) = terms.deadline {
            let left = deadline.saturating_duration_since(now);
            let needed = state.time_for(Some(rank), work.prompt().len());
            if needed > left {
                state.statistics.refused += 1;
                let alone = state.time_of(work.prompt().len());
                return Err(EngineError::Late {
                    needed,
                    left,
                    retry_after: needed.saturating_sub(alone).max(SOONEST),
                });
            }
        }
        if terms.class == Class::Machine {
            state.last_machine = Some(now);
        }
        state.waiting.push(Job {
            work,
            adapter,
            terms: terms.clone(),
            rank,
        });
        drop(state);
        self.bell.notify_all();
        Ok(())
    }

    /// The right of a new thread to the board.
    pub(super) fn tenure(self: &Arc<Self>) -> Tenure {
        Tenure {
            number: self.lock().tenure,
            board: Arc::clone(self),
        }
    }

    /// Takes the board from the thread that has it.
    pub(super) fn disown(&self) {
        let mut state = self.lock();
        state.tenure += 1;
        state.step = None;
        state.backlog.clear();
        state.statistics.replaced += 1;
    }

    /// Whether the thread has been in one step for too long.
    pub(super) fn is_stuck(&self, patience: Duration) -> bool {
        let state = self.lock();
        state.step.is_some_and(|(began, foretold)| {
            let most = match foretold {
                Some(foretold) => patience.max(foretold * STUCK),
                None => patience.max(FIRST_STEP.min(patience * 12)),
            };
            began.elapsed() > most
        })
    }

    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_all();
    }

    pub(super) fn statistics(&self) -> Statistics {
        let state = self.lock();
        Statistics {
            waiting: state.waiting.len(),
            ..state.statistics
        }
    }
}

impl State {
    /// What the thread says replaces what it said before.
    fn stand(&mut self, standing: Standing) {
        self.backlog = standing.backlog;
        self.statistics = Statistics {
            refused: self.statistics.refused,
            replaced: self.statistics.replaced,
            ..standing.statistics
        };
    }

    /// How long it takes until `tokens` tokens of a job of this rank are computed,
    /// with all that comes before it; `None`: after everything.
    fn time_for(&self, rank: Option<Rank>, tokens: usize) -> Duration {
        let is_before = |other: Rank| rank.is_none_or(|rank| other < rank);
        let running = self.backlog.iter().copied();
        let waiting = self
            .waiting
            .iter()
            .map(|job| (job.rank, job.work.prompt().len()));
        let before: usize = running
            .chain(waiting)
            .filter(|&(other, _)| is_before(other))
            .map(|(_, tokens)| tokens)
            .sum();
        self.time_of(before + tokens)
    }

    /// How long the steps of so many tokens take; nothing before any was measured.
    fn time_of(&self, tokens: usize) -> Duration {
        let steps = tokens.div_ceil(STEP_TOKENS).max(1) as u32;
        let each = self.speed.step(tokens.div_ceil(steps as usize));
        each.map_or(Duration::ZERO, |each| each * steps)
    }
}

/// A thread's right to the board, until it is taken away.
pub(super) struct Tenure {
    number: u64,
    board: Arc<Board>,
}

/// What runs on a thread, and all that it has done.
pub(super) struct Standing {
    pub(super) backlog: Vec<(Rank, usize)>,
    pub(super) statistics: Statistics,
}

impl Tenure {
    /// The state, unless the board is another's now.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.board.lock();
        (state.tenure == self.number).then_some(state)
    }

    /// Waits until there is a job; false when there will be none, or none for this
    /// thread.
    pub(super) fn rest(&self) -> bool {
        let mut state = self.board.lock();
        while state.tenure == self.number && state.waiting.is_empty() && !state.is_closed {
            let woken = self.board.bell.wait(state);
            state = woken.unwrap_or_else(PoisonError::into_inner);
        }
        state.tenure == self.number && !state.is_closed
    }

    /// Whether the thread is to end, whatever it runs.
    pub(super) fn is_over(&self) -> bool {
        self.state().is_none_or(|state| state.is_closed)
    }

    /// The first waiting job in rank that is to be taken.
    pub(super) fn take(&self, choose: impl Fn(&Job) -> Choice) -> Option<Job> {
        let mut state = self.state()?;
        state.waiting.sort_by_key(|job| job.rank);
        for at in 0..state.waiting.len() {
            match choose(&state.waiting[at]) {
                Choice::Take => return Some(state.waiting.remove(at)),
                Choice::Leave => {}
                Choice::Stop => return None,
            }
        }
        None
    }

    /// Puts a job back that had to give way.
    pub(super) fn put_back(&self, job: Job) {
        match self.state() {
            Some(mut state) => state.waiting.push(job),
            None => job
                .work
                .fail(EngineError::Failed("the engine was replaced".into())),
        }
    }

    /// Notes that a beginning is kept for good, computed with an adapter.
    pub(super) fn note_pin(&self, tokens: &[u32], adapter: Option<&Applied>) {
        let Some(mut state) = self.state() else {
            return;
        };
        let variant = Variant::of(adapter);
        let is_it = |(pin, other): &(Vec<u32>, Option<Applied>)| {
            pin == tokens && Variant::of(other.as_ref()) == variant
        };
        if !state.pins.iter().any(is_it) {
            state.pins.push((tokens.to_vec(), adapter.cloned()));
        }
    }

    /// Lets all beginnings wait that are to be kept: the cache has lost them.
    pub(super) fn renew_pins(&self) {
        let Some(mut state) = self.state() else {
            return;
        };
        for (tokens, adapter) in state.pins.clone() {
            state.arrivals += 1;
            let rank = Rank::new(Class::Batch, None, state.arrivals);
            // Nobody waits for the outcome.
            let (outcome, _) = std::sync::mpsc::sync_channel(1);
            state.waiting.push(Job {
                work: Work::Pin(Pin { tokens, outcome }),
                adapter,
                terms: Terms::default(),
                rank,
            });
        }
    }

    pub(super) fn speed(&self) -> Speed {
        self.board.lock().speed
    }

    /// Whether a machine's job waits.
    pub(super) fn is_machine_waiting(&self) -> bool {
        let is_machine = |state: &State| state.waiting.iter().any(|job| job.rank.is_machine());
        self.state().is_some_and(|state| is_machine(&state))
    }

    pub(super) fn last_machine(&self) -> Option<Instant> {
        self.board.lock().last_machine
    }

    /// A step of so many tokens begins.
    pub(super) fn begin(&self, tokens: usize) {
        if let Some(mut state) = self.state() {
            state.step = Some((Instant::now(), state.speed.step(tokens)));
        }
    }

    /// The step of so many tokens is over.
    pub(super) fn end(&self, tokens: usize, took: Duration, standing: Standing) {
        if let Some(mut state) = self.state() {
            state.step = None;
            state.speed.note(tokens, took);
            state.stand(standing);
        }
    }

    /// There was nothing to compute, or the step broke off.
    pub(super) fn tell(&self, standing: Standing) {
        if let Some(mut state) = self.state() {
            state.step = None;
            state.stand(standing);
        }
    }
}

/// What becomes of a waiting job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It runs from now on.
    Take,
    /// It waits, and others may go before it.
    Leave,
    /// It waits, and nobody goes before it.
    Stop,
}
