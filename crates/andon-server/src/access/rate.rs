//! So many requests a minute: a bucket that fills evenly and holds a minute's worth.

use std::time::{Duration, Instant};

/// The bucket of one key.
#[derive(Debug)]
pub(super) struct Bucket {
    per_minute: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(per_minute: u32, now: Instant) -> Self {
        let per_minute = f64::from(per_minute.max(1));
        Self {
            per_minute,
            level: per_minute,
            at: now,
        }
    }

    /// Takes one request out, or says after what time there is one again.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level + passed * self.per_minute / 60.0).min(self.per_minute);
        if self.level >= 1.0 {
            self.level -= 1.0;
            return Ok(());
        }
        let wait = (1.0 - self.level) * 60.0 / self.per_minute;
        Err(Duration::from_secs_f64(wait))
    }
}
