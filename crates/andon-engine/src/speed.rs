//! How long a step takes, as it was measured.

use std::time::Duration;

/// What an old measurement still counts when a new one comes.
const MEMORY: f64 = 0.97;

/// The time of a step as a line over its tokens, fitted by least squares in which
/// old steps fade: what every step costs, and what each token adds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Speed {
    weight: f64,
    tokens: f64,
    seconds: f64,
    tokens_squared: f64,
    tokens_seconds: f64,
}

impl Speed {
    /// Notes a step.
    pub(crate) fn note(&mut self, tokens: usize, took: Duration) {
        let (tokens, seconds) = (tokens as f64, took.as_secs_f64());
        // A step far slower than the rest says that something else ran.
        if let Some(expected) = self.seconds_of(tokens)
            && seconds > 8.0 * expected
        {
            return;
        }
        for (sum, x) in [
            (&mut self.weight, 1.0),
            (&mut self.tokens, tokens),
            (&mut self.seconds, seconds),
            (&mut self.tokens_squared, tokens * tokens),
            (&mut self.tokens_seconds, tokens * seconds),
        ] {
            *sum = *sum * MEMORY + x;
        }
    }

    /// How long a step of so many tokens takes; `None` before any was measured.
    pub(crate) fn step(&self, tokens: usize) -> Option<Duration> {
        self.seconds_of(tokens as f64).map(Duration::from_secs_f64)
    }

    /// What every step costs, whatever its tokens; `None` before any was measured.
    pub(crate) fn base(&self) -> Option<Duration> {
        let (base, _) = self.line()?;
        Some(Duration::from_secs_f64(base))
    }

    /// The most tokens of a step that ends within `limit`; 1 at least.
    pub(crate) fn tokens_within(&self, limit: Duration) -> Option<usize> {
        let (base, slope) = self.line()?;
        let tokens = (limit.as_secs_f64() - base) / slope;
        Some((tokens as usize).max(1))
    }

    fn seconds_of(&self, tokens: f64) -> Option<f64> {
        let (base, slope) = self.line()?;
        Some(base + slope * tokens)
    }

    /// What a step costs without and for each token; neither is negative.
    fn line(&self) -> Option<(f64, f64)> {
        if self.weight == 0.0 {
            return None;
        }
        let (mean_tokens, mean_seconds) = (self.tokens / self.weight, self.seconds / self.weight);
        let spread = self.tokens_squared / self.weight - mean_tokens * mean_tokens;
        let product = self.tokens_seconds / self.weight - mean_tokens * mean_seconds;
        // Steps of one size say nothing of the slope: then all is proportional.
        let proportional = mean_seconds / mean_tokens.max(1.0);
        let slope = match spread > 0.5 {
            true => (product / spread).clamp(proportional / 100.0, proportional),
            false => proportional,
        };
        Some((
            (mean_seconds - slope * mean_tokens).max(0.0),
            slope.max(1e-9),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(steps: &[(usize, f64)]) -> Speed {
        let mut speed = Speed::default();
        for &(tokens, ms) in steps {
            speed.note(tokens, Duration::from_secs_f64(ms / 1000.0));
        }
        speed
    }

    fn check(steps: &[(usize, f64)], tokens: usize, expected_ms: f64) {
        let found = measured(steps).step(tokens).expect("a speed");
        let found = found.as_secs_f64() * 1000.0;
        let is_near = (found - expected_ms).abs() < 0.05 * expected_ms;
        assert!(is_near, "{found} is not {expected_ms} after {steps:?}");
    }

    #[test]
    fn steps_are_foretold_from_those_measured() {
        check(&[(1, 2.4), (128, 53.2)], 64, 27.6);
        check(&[(100, 40.0)], 50, 20.0);
        check(&[(1, 2.0), (1, 2.0), (1, 2.0)], 1, 2.0);
        // Old measurements fade.
        let mut steps = vec![(64, 10.0); 50];
        steps.extend(vec![(64, 20.0); 200]);
        check(&steps, 64, 20.0);
    }

    #[test]
    fn nothing_is_foretold_before_a_measurement() {
        assert_eq!(Speed::default().step(1), None);
        assert_eq!(Speed::default().tokens_within(Duration::from_secs(1)), None);
    }

    #[test]
    fn a_step_fits_its_limit() {
        let speed = measured(&[(1, 2.4), (128, 53.2)]);
        let tokens = speed.tokens_within(Duration::from_millis(12));
        assert_eq!(tokens, Some(25));
        assert_eq!(speed.tokens_within(Duration::ZERO), Some(1));
    }

    #[test]
    fn one_stall_changes_little() {
        let mut steps = vec![(64, 10.0); 20];
        steps.push((64, 5000.0));
        check(&steps, 64, 10.0);
    }
}
