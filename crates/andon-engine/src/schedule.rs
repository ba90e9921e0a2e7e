//! What a step computes, as a function of what there is to compute.

use std::time::{Duration, Instant};

use andon_task::task::Class;

use crate::speed::Speed;

/// Tokens of a step, at most.
pub(crate) const STEP_TOKENS: usize = 128;
/// How long a machine may have to wait for those whose turn it is: most of its 50 ms
/// is left to it.
const QUICK: Duration = Duration::from_millis(7);
/// Where every step costs much, whatever its tokens, it may take this many times that:
/// shorter ones would be nothing but cost, and all others would stand still.
const LEAST_TIMES: u32 = 3;
/// How long machines are expected after one came.
const ABOUT: Duration = Duration::from_secs(60);

/// Classes of requests.
const CLASSES: usize = 3;
/// Steps in which a class gets nothing at all before a step keeps some tokens for it.
const PATIENT_STEPS: u32 = 7;
/// The tokens that it keeps.
const KEPT_TOKENS: usize = 8;

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

    fn class(self) -> usize {
        usize::from(self.class)
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
    /// What each class gets at least, whatever those before it ask for.
    pub(crate) kept: [usize; CLASSES],
}

/// Whom the steps pass by: one step in eight keeps some tokens for a class that all
/// others left nothing, so that it comes to its end under any load.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fairness {
    passed: [u32; CLASSES],
}

impl Fairness {
    /// What the next step keeps for each class.
    fn kept(&self) -> [usize; CLASSES] {
        self.passed.map(|passed| match passed >= PATIENT_STEPS {
            true => KEPT_TOKENS,
            false => 0,
        })
    }

    /// Notes what a step gives to whom.
    pub(crate) fn note(&mut self, demands: &[Demand], counts: &[usize]) {
        let mut is_passed = [false; CLASSES];
        let mut is_served = [false; CLASSES];
        for (demand, &count) in demands.iter().zip(counts) {
            let class = demand.rank.class();
            is_passed[class] |= demand.left > 0;
            is_served[class] |= count > 0;
        }
        for (class, passed) in self.passed.iter_mut().enumerate() {
            *passed = match is_passed[class] && !is_served[class] {
                true => *passed + 1,
                false => 0,
            };
        }
    }
}

/// The machines that ask for something.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Machines {
    /// Whether the step is one of theirs too.
    pub(crate) is_run: bool,
    /// When the last of them came.
    pub(crate) last: Option<Instant>,
    /// Layers of the model. A step of others can be overtaken behind each of them.
    pub(crate) layers: usize,
}

impl Budget {
    /// Until a sequence of this rank gets no more.
    pub(crate) fn limit(&self, rank: Rank) -> usize {
        match rank.is_machine() {
            true => self.tokens,
            false => self.quick,
        }
    }

    /// What the measured speed allows: those beside machines add little to their
    /// step, and those before machines hold them up for a layer at most.
    pub(crate) fn new(
        speed: &Speed,
        machines: Machines,
        now: Instant,
        fairness: &Fairness,
    ) -> Self {
        let is_about = |last| now.duration_since(last) < ABOUT;
        let quick = match machines {
            Machines { is_run: true, .. } => Some(QUICK),
            Machines { last, layers, .. } if last.is_some_and(is_about) => {
                Some(QUICK * layers.max(1) as u32)
            }
            Machines { .. } => None,
        };
        let quick = quick.and_then(|quick| {
            let base = speed.base()?;
            speed.tokens_within(quick.max(LEAST_TIMES * base))
        });
        Self {
            tokens: STEP_TOKENS,
            quick: quick.unwrap_or(STEP_TOKENS).min(STEP_TOKENS),
            kept: fairness.kept(),
        }
    }
}

/// How many tokens of each sequence a step computes. The demands come in the order
/// of their ranks. In each class every sequence that only needs its next token
/// gets it, then the others share what is left in their order. The first demand of
/// all gets at least one, and each class what the step keeps for it, so that nothing
/// waits for ever.
pub(crate) fn plan(demands: &[Demand], budget: Budget) -> Vec<usize> {
    let mut counts = vec![0; demands.len()];
    let mut used = 0;
    let mut from = 0;
    let classes = || demands.chunk_by(|a, b| a.rank.class == b.rank.class);
    let kept = |class: &[Demand]| {
        let left: usize = class.iter().map(|demand| demand.left).sum();
        left.min(budget.kept[class[0].rank.class()])
    };
    // What is kept for the classes that come later.
    let mut behind: usize = classes().map(kept).sum();
    for class in classes() {
        behind -= kept(class);
        let limit = budget
            .limit(class[0].rank)
            .saturating_sub(behind)
            .max(used + kept(class));
        let limit = limit.min(budget.tokens.saturating_sub(behind));
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
