//! Trying again: seldom, after a wait that is drawn by lot, so that many nodes do not
//! come back together.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// What a request adds to the budget: one in ten may be tried again.
const EARNED: f64 = 0.1;
/// What the budget holds at most, and at first.
const MOST: f64 = 10.0;
/// The longest first wait.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait of all.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How many requests may be tried again.
#[derive(Debug)]
pub(super) struct Budget(f64);

impl Default for Budget {
    fn default() -> Self {
        Self(MOST)
    }
}

impl Budget {
    /// A request came.
    pub(super) fn earn(&mut self) {
        self.0 = (self.0 + EARNED).min(MOST);
    }

    /// Whether one may be tried again; if so it is paid for.
    pub(super) fn spend(&mut self) -> bool {
        let can = self.0 >= 1.0;
        if can {
            self.0 -= 1.0;
        }
        can
    }
}

/// How long to wait after so many attempts: anything up to a time that doubles.
pub(super) fn jitter(attempts: u32) -> Duration {
    let longest = FIRST_WAIT * 2_u32.saturating_pow(attempts.saturating_sub(1));
    // Keys of hash maps are drawn anew each time.
    let drawn = RandomState::new().hash_one(attempts) as f64 / u64::MAX as f64;
    longest.min(LONGEST_WAIT).mul_f64(drawn)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_in_ten_is_tried_again() {
        let mut budget = Budget::default();
        let spent = (0..1_000).filter(|_| {
            budget.earn();
            budget.spend()
        });
        let spent = spent.count();
        assert!((100..=110).contains(&spent), "{spent}");
    }

    #[test]
    fn waits_are_drawn_from_nothing_up_to_the_longest() {
        for attempt in [1, 3, 30] {
            let longest = (FIRST_WAIT * 2_u32.saturating_pow(attempt - 1)).min(LONGEST_WAIT);
            let waits: Vec<Duration> = (0..200).map(|_| jitter(attempt)).collect();
            assert!(waits.iter().all(|wait| *wait <= longest));
            assert!(waits.iter().any(|wait| *wait < longest / 4));
            assert!(waits.iter().any(|wait| *wait > longest * 3 / 4));
        }
    }
}
