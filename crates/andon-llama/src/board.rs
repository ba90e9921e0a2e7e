//! Jobs that wait for the thread, and whether anybody still waits for them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use andon_engine::drive::Work;
use andon_task::engine::{EngineError, Statistics, Terms};
use andon_task::task::Class;

/// A job that waits.
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) terms: Terms,
    pub(crate) arrival: u64,
}

impl Job {
    /// Its place among others: the least goes first.
    pub(crate) fn rank(&self) -> (u8, bool, Option<Instant>, u64) {
        let class = match self.terms.class {
            Class::Machine => 0,
            Class::Person => 1,
            Class::Batch => 2,
        };
        let deadline = self.terms.deadline;
        (class, deadline.is_none(), deadline, self.arrival)
    }
}

/// Why nobody waits for an answer any more, if so.
pub(crate) fn over(terms: &Terms) -> Option<EngineError> {
    if terms.departure.is_announced() {
        return Some(EngineError::Cancelled);
    }
    let is_past = terms.deadline.is_some_and(|by| Instant::now() > by);
    is_past.then_some(EngineError::DeadlinePassed)
}

/// As [`over`], for who stops there.
pub(crate) fn go_on(terms: &Terms) -> Result<(), EngineError> {
    over(terms).map_or(Ok(()), Err)
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) waiting: Vec<Job>,
    pub(crate) arrivals: u64,
    pub(crate) is_closed: bool,
    pub(crate) is_over: bool,
    pub(crate) statistics: Statistics,
}

#[derive(Default)]
pub(crate) struct Board {
    pub(crate) state: Mutex<State>,
    pub(crate) changed: Condvar,
}

impl Board {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
