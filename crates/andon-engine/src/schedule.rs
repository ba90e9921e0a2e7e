//! What a step computes, as a function of what there is to compute.

use std::time::{Duration, Instant};

use andon_task::task::Class;

use crate::speed::Speed;

/// Tokens of a step, at most.
pub(crate) const STEP_TOKENS: usize = 128;
/// How long a step may take while machines are about: one that comes in its
/// middle still has most of its 50 ms.
const QUICK_STEP: Duration = Duration::from_millis(7);
/// How long machines are expected after one came.
const ABOUT: Duration = Duration::from_secs(60);

/// Who comes first: by class, then by deadline, then by arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    class: u8,
    /// Without a deadline: after all that have one.
    is_patient: bool,
    deadline: Option<Instant>,
    arrival: u64,
}

impl Rank {
    /// The rank of a request that came as number `arrival`.
    pub(crate) fn new(class: Class, deadline: Option<Instant>, arrival: u64) -> Self {
        Self {
            class: match class {
                Class::Machine => 0,
                Class::Person => 1,
                Class::Batch => 2,
            },
            is_patient: deadline.is_none(),
            deadline,
            arrival,
        }
    }

    /// Whether a machine waits.
    pub(crate) fn is_machine(self) -> bool {
        self.class == 0
    }
}

/// What one sequence has to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Demand {
    /// Whose it is.
    pub(crate) rank: Rank,
    /// Tokens.
    pub(crate) left: usize,
}

/// How many tokens a step may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// In all.
    pub(crate) tokens: usize,
    /// Until nobody but machines gets more.
    pub(crate) quick: usize,
}

impl Budget {
    /// What the measured speed allows, `last_machine` being when a machine last
    /// asked for something.
    pub(crate) fn new(speed: &Speed, last_machine: Option<Instant>, now: Instant) -> Self {
        let is_about = last_machine.is_some_and(|last| now.duration_since(last) < ABOUT);
        let quick = match is_about {
            true => speed.tokens_within(QUICK_STEP),
            false => None,
        };
        Self {
            tokens: STEP_TOKENS,
            quick: quick.unwrap_or(STEP_TOKENS).min(STEP_TOKENS),
        }
    }
}

/// How many tokens of each sequence a step computes. The demands come in the order
/// of their ranks. In each class every sequence that only needs its next token
/// gets it, then the others share what is left in their order. The first demand of
/// all gets at least one, so that nothing waits for ever.
pub(crate) fn plan(demands: &[Demand], budget: Budget) -> Vec<usize> {
    let mut counts = vec![0; demands.len()];
    let mut used = 0;
    let mut from = 0;
    for class in demands.chunk_by(|a, b| a.rank.class == b.rank.class) {
        let limit = match class[0].rank.is_machine() {
            true => budget.tokens,
            false => budget.quick,
        };
        let is_next = |demand: &Demand| demand.left == 1;
        for is_wanted in [true, false] {
            for (at, demand) in class.iter().enumerate() {
                if is_next(demand) != is_wanted || demand.left == 0 {
                    continue;
                }
                let room = limit.max(usize::from(used == 0)).saturating_sub(used);
                counts[from + at] = demand.left.min(room);
                used += counts[from + at];
            }
        }
        from += class.len();
    }
    counts
}

#[cfg(test)]
mod tests;
